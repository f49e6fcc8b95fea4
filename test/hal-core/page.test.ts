// Expected values: notes on mycelium, P1 to P10 and R1 to R13.
import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import {
  type Address,
  AnySize,
  MIN_PAGE_SIZE,
  NotAligned,
  PAddr,
  Page,
  PageRange,
  Region,
  type Size,
  Size1Gb,
  Size2Mb,
  Size4Kb,
  VAddr,
} from '../../src/hal-core/index.ts';
import { refused } from './thrown.ts';

const virt = (address: bigint) => VAddr.fromUsize(address);
const page = (address: bigint) => Page.startingAt(virt(address), Size4Kb);
const frame = (address: bigint) => Page.startingAt(PAddr.fromUsize(address), Size4Kb);
const any = (address: bigint, size: AnySize) => Page.startingAt(virt(address), size);
const base = (of: Page) => of.baseAddr().asUsize();
const bases = (pages: Iterable<Page>) => Array.from(pages, base);

/** The first so many. */
function take(range: Iterable<Page>, count: number): bigint[] {
  const found: bigint[] = [];
  for (const each of range) if (found.push(base(each)) === count) break;
  return found;
}

describe('sizes', () => {
  test('have their bytes and their names', () => {
    const sizes = [Size4Kb, Size2Mb, Size1Gb];
    expect(sizes.map((size) => size.asUsize())).toEqual([0x1000n, 0x20_0000n, 0x4000_0000n]);
    expect(sizes.map(String)).toEqual(['4KB', '2MB', '1GB']);
    expect(sizes.map((size) => size.PRETTY_NAME)).toEqual(['4KB', '2MB', '1GB']);
    expect(MIN_PAGE_SIZE).toBe(4096n);
    expect(inspect(Size2Mb)).toBe('2MB');
  });

  test('AnySize equals any size with as many bytes', () => {
    expect(AnySize.Size2Mb.equals(Size2Mb)).toBe(true);
    expect(AnySize.Size2Mb.equals(AnySize.Size1Gb)).toBe(false);
    expect([String(AnySize.Size4Kb), inspect(AnySize.Size4Kb), AnySize.Size1Gb.asUsize()]).toEqual([
      '4KB',
      'Size4Kb',
      0x4000_0000n,
    ]);
  });
});

describe('pages', () => {
  test('P1, P5: containing rounds down', () => {
    expect(base(Page.containing(virt(0x1fffn), Size4Kb))).toBe(0x1000n);
    expect(base(Page.containing(virt(0x7fff_ffff_ffffn), Size1Gb))).toBe(0x7fff_c000_0000n);
  });

  test('P3: startingAt takes the start of a page', () => {
    expect(base(page(0x2000n))).toBe(0x2000n);
  });

  test.each([
    ['P2', 0x2001n, Size4Kb, '4KB'],
    ['P4', 0x20_1000n, Size2Mb, '2MB'],
  ])('%s: startingAt rounds nothing', (_, address, size, name) => {
    const error = refused(
      () => Page.startingAt<VAddr, Size>(virt(address), size),
      'MISALIGNED',
      `page size ${name}`,
    );
    expect(error).toBeInstanceOf(NotAligned);
    expect(error).toMatchObject({ size, detail: { address, size: size.asUsize() } });
  });

  test('P6: endAddr is the last byte', () => {
    expect(page(0x2000n).endAddr().asUsize()).toBe(0x2fffn);
    expect(Page.startingAt(virt(0xffff_ffff_c000_0000n), Size1Gb).endAddr().asUsize()).toBe((1n << 64n) - 1n);
  });

  test('P7: a page contains its last byte (contains-last-byte)', () => {
    const inside = [0x1fffn, 0x2000n, 0x2ffen, 0x2fffn, 0x3000n].map((at) =>
      page(0x2000n).contains(virt(at)),
    );
    // The original: false for 0x2fff.
    expect(inside).toEqual([false, true, true, true, false]);
  });

  test('P8: pages are added and subtracted', () => {
    expect([base(page(0x2000n).add(3)), base(page(0x5000n).sub(2n))]).toEqual([0x5000n, 0x3000n]);
    expect(String(Page.startingAt(virt(0n), Size2Mb).add(1n))).toBe(
      'Page { base: VAddr(0x200000), size: 2MB }',
    );
  });

  test('P9: there is no page before page 0, in the hole, or past the end', () => {
    refused(() => page(0x1000n).sub(2), 'OUT_OF_RANGE');
    refused(() => page(0x7fff_ffff_f000n).add(1), 'OUT_OF_RANGE', 'not canonical');
    refused(() => page(0xffff_ffff_ffff_f000n).add(1), 'OUT_OF_RANGE');
    refused(() => page(0x1000n).add(1n << 52n), 'OUT_OF_RANGE');
    refused(() => page(0x1000n).add(-1), 'OUT_OF_RANGE');
  });

  test('P10: pages of different sizes are neither equal nor ordered', () => {
    const [small, large] = [any(0n, AnySize.Size4Kb), any(0n, AnySize.Size2Mb)];
    expect([small.equals(large), small.compare(large), large.compare(small)]).toEqual([
      false,
      undefined,
      undefined,
    ]);
    expect([small.equals(any(0n, AnySize.Size4Kb)), small.compare(any(0x1000n, AnySize.Size4Kb))]).toEqual([
      true,
      -1,
    ]);
  });

  test('the debug text', () => {
    expect(inspect(page(0x1000n))).toBe('Page { base: VAddr(0x1000), size: 4KB }');
    expect(String(frame(0x1000n).rangeInclusive(frame(0x2000n)))).toBe(
      'PageRange { start: Page { base: PAddr(0x1000), size: 4KB }, end: Page { base: PAddr(0x2000), size: 4KB } }',
    );
    expect(inspect(page(0n).rangeInclusive(page(0n)))).toMatch(/^PageRange \{ start: Page \{/);
  });
});

describe('ranges', () => {
  test('R1: an inclusive range has its last page', () => {
    const range = page(0x1000n).rangeInclusive(page(0x3000n));
    expect([range.len(), range.size(), range.endAddr().asUsize()]).toEqual([3n, 0x3000n, 0x3fffn]);
    expect(bases(range)).toEqual([0x1000n, 0x2000n, 0x3000n]);
    expect([base(range.start()), base(range.end()), range.baseAddr().asUsize(), range.pageSize()]).toEqual([
      0x1000n,
      0x3000n,
      0x1000n,
      Size4Kb,
    ]);
  });

  test('R2: rangeTo has not', () => {
    const range = page(0x1000n).rangeTo(page(0x3000n));
    expect([base(range.end()), range.len(), bases(range)]).toEqual([0x2000n, 2n, [0x1000n, 0x2000n]]);
  });

  test('R3: a range up to its start yields nothing, and has no length', () => {
    const range = page(0x1000n).rangeTo(page(0x1000n));
    expect(bases(range)).toEqual([]);
    refused(() => range.len(), 'OUT_OF_RANGE', 'has 0 bytes; expected a range of at least one page');
  });

  test('R4: there is no page before page 0 to end with', () => {
    refused(() => page(0n).rangeTo(page(0n)), 'OUT_OF_RANGE', '-0x1000');
  });

  test('R5: a range that ends before it starts yields nothing, and has no length', () => {
    const range = page(0x5000n).rangeInclusive(page(0x2000n));
    expect(bases(range)).toEqual([]);
    refused(() => range.len(), 'OUT_OF_RANGE');
    refused(() => range.size(), 'OUT_OF_RANGE');
  });

  test('R6: a range of pages of two sizes has neither size nor length', () => {
    const range = new PageRange(any(0n, AnySize.Size4Kb), any(0x40_0000n, AnySize.Size2Mb));
    for (const call of [() => range.len(), () => range.size(), () => range.pageSize()]) {
      refused(call, 'BAD_ARGUMENT', 'mixes sizes');
    }
  });

  test('R7: it goes on behind its end', () => {
    const range = any(0n, AnySize.Size4Kb).rangeInclusive(any(0n, AnySize.Size2Mb));
    expect(take(range, 3)).toEqual([0n, 0x1000n, 0x2000n]);
  });

  test('R8: a range to the last page of the lower half yields it (last-page-is-yielded)', () => {
    // The original panics in place of the second page.
    expect(bases(page(0x7fff_ffff_e000n).rangeInclusive(page(0x7fff_ffff_f000n)))).toEqual([
      0x7fff_ffff_e000n,
      0x7fff_ffff_f000n,
    ]);
  });

  test('R9, R10: the very last page is yielded, and then no other (last-page-is-yielded)', () => {
    for (const last of [page(0xffff_ffff_ffff_f000n), frame(0x000f_ffff_ffff_f000n)]) {
      const range = new PageRange<Address, Size>(last, last);
      expect([range.len(), bases(range)]).toEqual([1n, [base(last)]]);
    }
  });

  test('R11: a range over the hole has no length, and fails in place of the page before the hole', () => {
    const range = page(0x7fff_ffff_e000n).rangeInclusive(page(0xffff_8000_0000_0000n));
    refused(() => range.len(), 'OUT_OF_RANGE');
    const pages = range[Symbol.iterator]();
    expect(base(pages.next().value as Page)).toBe(0x7fff_ffff_e000n);
    refused(() => pages.next(), 'OUT_OF_RANGE', 'not canonical');
  });

  test('iterating does not change a range', () => {
    const range = page(0x1000n).rangeInclusive(page(0x2000n));
    expect([bases(range), bases(range), range.len()]).toEqual([[0x1000n, 0x2000n], [0x1000n, 0x2000n], 2n]);
  });

  test('ranges are equal with both ends', () => {
    const range = page(0x1000n).rangeInclusive(page(0x2000n));
    expect(range.equals(page(0x1000n).rangeTo(page(0x3000n)))).toBe(true);
    expect(range.equals(page(0x1000n).rangeTo(page(0x2000n)))).toBe(false);
    expect(range.equals(page(0n).rangeTo(page(0x3000n)))).toBe(false);
  });
});

describe('regions', () => {
  const region = (bytes: bigint) => new Region(PAddr.fromUsize(0x1000n), bytes, 'free');

  test('R12: a region gives its pages, and pages a region', () => {
    const range = region(0x3000n).pageRange(Size4Kb);
    expect([bases(range), range.len()]).toEqual([[0x1000n, 0x2000n, 0x3000n], 3n]);
    expect(Region.fromPageRange(range, 'used')).toEqual(new Region(PAddr.fromUsize(0x1000n), 12288n, 'used'));
  });

  test('R13: a region that ends inside a page gives none', () => {
    expect(refused(() => region(0x1800n).pageRange(Size4Kb), 'MISALIGNED', '4KB')).toBeInstanceOf(NotAligned);
    expect(refused(() => region(0x3000n).pageRange(Size2Mb), 'MISALIGNED', '2MB')).toBeInstanceOf(NotAligned);
  });

  test('one that ends with physical memory gives its last page too; one that ends behind it, none', () => {
    const last = (bytes: bigint) => new Region(PAddr.fromUsize(0x000f_ffff_ffff_f000n), bytes, 'free');
    expect(bases(last(0x1000n).pageRange(Size4Kb))).toEqual([0x000f_ffff_ffff_f000n]);
    refused(() => last(0x2000n).pageRange(Size4Kb), 'OUT_OF_RANGE', 'PAddr: 0x10000000000000');
  });

  test('one of 0 bytes gives a range that yields nothing, but at address 0 none', () => {
    expect(bases(region(0n).pageRange(Size4Kb))).toEqual([]);
    refused(() => new Region(PAddr.zero(), 0n, 'free').pageRange(Size4Kb), 'OUT_OF_RANGE');
    refused(() => region(-1n), 'OUT_OF_RANGE', 'not negative');
  });
});

test('a number of pages is not negative', () => {
  for (const count of [-1, -1n]) {
    const says = 'Page { base: VAddr(0x5000), size: 4KB } + -1: expected a number that is not negative';
    refused(() => page(0x5000n).add(count), 'OUT_OF_RANGE', says);
    refused(() => page(0x5000n).sub(count), 'OUT_OF_RANGE', '- -1: expected');
  }
});

describe('what is none is refused', () => {
  const size = { asUsize: () => 3n };
  test.each([
    [
      'a bigint for an address',
      () => Page.containing(0x1000n as never, Size4Kb),
      'the bigint 4096; expected a VAddr or a PAddr',
    ],
    [
      'no address',
      () => Page.startingAt(undefined as never, Size4Kb),
      'undefined; expected a VAddr or a PAddr',
    ],
    ['no size', () => Page.containing(virt(0n), undefined as never), 'undefined; expected a page size'],
    [
      'a number for a size',
      () => Page.startingAt(virt(0n), 4096 as never),
      'the number 4096; expected a page size',
    ],
    [
      'an address of the other kind',
      () => page(0n).contains(PAddr.zero() as never),
      'PAddr(0x0); expected a VAddr',
    ],
    ['pages of two kinds', () => page(0n).rangeInclusive(frame(0n) as never), 'PAddr(0x0); expected a VAddr'],
    ['no page', () => page(0n).rangeTo(undefined as never), 'undefined; expected a Page'],
    ['a bigint for a page', () => page(0n).compare(0n as never), 'the bigint 0; expected a Page'],
    ['half a page', () => page(0n).add(0.5), 'the number 0.5; expected a whole number of pages'],
    [
      'no range',
      () =>
        page(0n)
          .rangeInclusive(page(0n))
          .equals(page(0n) as never),
      'expected a PageRange',
    ],
    ['a bigint for a region', () => new Region(0n as never, 0n, ''), 'the bigint 0; expected a PAddr'],
    ['a number of bytes', () => new Region(PAddr.zero(), 4096 as never, ''), 'expected a bigint: 4096n'],
    [
      'a linear region',
      () => Region.fromPageRange(page(0n).rangeInclusive(page(0n)) as never, ''),
      'expected a PageRange of PAddr',
    ],
    ['a size to compare with', () => AnySize.Size4Kb.equals(4096 as never), 'expected a page size'],
  ])('%s', (_, call, says) => {
    expect(refused(call, 'BAD_ARGUMENT').message).toContain(says);
  });

  test('a size that is no power of two', () => {
    refused(() => Page.containing(virt(0n), size), 'MISALIGNED', 'pages of 3 bytes');
  });
});
