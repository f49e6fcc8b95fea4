// Expected values: notes on the Rust crate, sections 5 and 17 (vectors 53 to 56). Where the original panics instead of yielding
// the last page of the lower half or the last frame, ours yields it.
import { describe, expect, test } from 'vitest';
import { PageTableError } from '../../src/bits/index.ts';
import {
  Page,
  type PageRange,
  PhysAddr,
  PhysFrame,
  Size1GiB,
  Size2MiB,
  Size4KiB,
  VirtAddr,
} from '../../src/x86_64/index.ts';
import type { PageSize } from './calls.ts';

const LAST_LOWER_PAGE = 0x7fff_ffff_f000n;
const FIRST_UPPER = 0xffff_8000_0000_0000n;
const LAST_PAGE = 0xffff_ffff_ffff_f000n;
const LAST_FRAME = 0xf_ffff_ffff_f000n;

const page = (address: bigint, size: PageSize = Size4KiB) =>
  Page.fromStartAddress<PageSize>(new VirtAddr(address), size);
const frame = (address: bigint, size: PageSize = Size4KiB) =>
  PhysFrame.fromStartAddress<PageSize>(new PhysAddr(address), size);

/** The start addresses that a range yields, at most 20, and how it ended. */
function walk(
  range: Iterable<{ startAddress(): { asU64(): bigint } }>,
): [addresses: bigint[], end: 'end' | 'limit' | unknown] {
  const found: bigint[] = [];
  try {
    for (const one of range) {
      found.push(one.startAddress().asU64());
      if (found.length === 20) return [found, 'limit'];
    }
  } catch (error) {
    return [found, error];
  }
  return [found, 'end'];
}

/** Two kinds of range over the same numbers, made of pages or of frames. */
const KINDS = [
  {
    name: 'pages',
    exclusive: (a: bigint, b: bigint, size?: PageSize) => Page.range(page(a, size), page(b, size)),
    inclusive: (a: bigint, b: bigint, size?: PageSize) => Page.rangeInclusive(page(a, size), page(b, size)),
  },
  {
    name: 'frames',
    exclusive: (a: bigint, b: bigint, size?: PageSize) => PhysFrame.range(frame(a, size), frame(b, size)),
    inclusive: (a: bigint, b: bigint, size?: PageSize) =>
      PhysFrame.rangeInclusive(frame(a, size), frame(b, size)),
  },
] as const;

describe.each(KINDS)('ranges of $name (section 5)', ({ exclusive, inclusive }) => {
  test('an exclusive range does not have its end', () => {
    const range = exclusive(0x1000n, 0x4000n);
    expect([range.isEmpty(), range.len(), range.size()]).toEqual([false, 3, 0x3000n]);
    expect(walk(range)).toEqual([[0x1000n, 0x2000n, 0x3000n], 'end']);
  });

  test('an inclusive range has its end', () => {
    const range = inclusive(0x1000n, 0x4000n);
    expect([range.isEmpty(), range.len(), range.size()]).toEqual([false, 4, 0x4000n]);
    expect(walk(range)).toEqual([[0x1000n, 0x2000n, 0x3000n, 0x4000n], 'end']);
  });

  test('one that ends where it starts: empty if exclusive, one element if inclusive', () => {
    const none = exclusive(0x1000n, 0x1000n);
    expect([none.isEmpty(), none.len(), none.size()]).toEqual([true, 0, 0n]);
    expect(walk(none)).toEqual([[], 'end']);
    const one = inclusive(0x1000n, 0x1000n);
    expect([one.isEmpty(), one.len(), one.size()]).toEqual([false, 1, 0x1000n]);
    expect(walk(one)).toEqual([[0x1000n], 'end']);
  });

  test('an inverted one is empty', () => {
    for (const range of [exclusive(0x2000n, 0x1000n), inclusive(0x2000n, 0x1000n)]) {
      expect([range.isEmpty(), range.len(), range.size()]).toEqual([true, 0, 0n]);
      expect(walk(range)).toEqual([[], 'end']);
    }
  });

  test('larger pages come one size apart', () => {
    const range = inclusive(0x20_0000n, 0x60_0000n, Size2MiB);
    expect([range.len(), range.size()]).toEqual([3, 0x60_0000n]);
    expect(walk(range)).toEqual([[0x20_0000n, 0x40_0000n, 0x60_0000n], 'end']);
    expect(walk(exclusive(0n, 0x8000_0000n, Size1GiB))).toEqual([[0n, 0x4000_0000n], 'end']);
  });

  test('next moves the start and keeps the end, to the end and beyond', () => {
    const range = exclusive(0x1000n, 0x3000n);
    expect(range.next().value?.startAddress().asU64()).toBe(0x1000n);
    expect(range.start.startAddress().asU64()).toBe(0x2000n);
    expect(range.end.startAddress().asU64()).toBe(0x3000n);
    expect(range.len()).toBe(1);
    expect(range.next().value?.startAddress().asU64()).toBe(0x2000n);
    expect(range.isEmpty()).toBe(true);
    expect(range.next().done).toBe(true);
    expect(range.next().done).toBe(true);
    expect(range.start.startAddress().asU64()).toBe(0x3000n);
  });

  test('next on an inclusive range ends behind the end', () => {
    const range = inclusive(0x1000n, 0x2000n);
    expect(range.next()).toMatchObject({ done: false });
    expect(range.next()).toMatchObject({ done: false });
    expect(range.isEmpty()).toBe(true);
    expect(range.len()).toBe(0);
    expect(range.next().done).toBe(true);
    expect(range.start.startAddress().asU64()).toBe(0x3000n);
    expect(range.end.startAddress().asU64()).toBe(0x2000n);
  });

  test('for-of goes over a copy', () => {
    for (const range of [exclusive(0x1000n, 0x3000n), inclusive(0x1000n, 0x2000n)]) {
      expect(walk(range)[0]).toHaveLength(2);
      expect(walk(range)[0]).toHaveLength(2);
      expect(range.start.startAddress().asU64()).toBe(0x1000n);
      expect(range.len()).toBe(2);
    }
  });

  test('start and end may be set', () => {
    const range = exclusive(0x1000n, 0x3000n);
    range.next();
    const other = exclusive(0x7000n, 0x9000n);
    range.start = other.start as never;
    range.end = other.end as never;
    expect(walk(range)).toEqual([[0x7000n, 0x8000n], 'end']);
  });
});

describe('ranges of pages at the hole', () => {
  test.each([
    ['4KiB', Size4KiB, LAST_LOWER_PAGE],
    ['2MiB', Size2MiB, 0x7fff_ffe0_0000n],
    ['1GiB', Size1GiB, 0x7fff_c000_0000n],
  ] as const)(
    'the last lower page of %s is yielded, alone and behind others (vector 53)',
    (_, size, last) => {
      const alone = Page.rangeInclusive(page(last, size), page(last, size));
      expect(alone.len()).toBe(1);
      expect(walk(alone)).toEqual([[last], 'end']);
      const three = Page.rangeInclusive(page(last - 2n * size.SIZE, size), page(last, size));
      expect(walk(three)).toEqual([[last - 2n * size.SIZE, last - size.SIZE, last], 'end']);
    },
  );

  test('after the last lower page next has nothing left', () => {
    const range = Page.rangeInclusive(page(LAST_LOWER_PAGE), page(LAST_LOWER_PAGE));
    expect(range.next().value?.startAddress().asU64()).toBe(LAST_LOWER_PAGE);
    expect(range.isEmpty()).toBe(true);
    expect(range.len()).toBe(0);
    expect(range.next().done).toBe(true);
  });

  test('an exclusive range up to the last lower page ends before it (vector 54)', () => {
    expect(walk(Page.range(page(0x7fff_ffff_e000n), page(LAST_LOWER_PAGE)))).toEqual([
      [0x7fff_ffff_e000n],
      'end',
    ]);
  });

  test('an exclusive range into the hole yields the last lower page and then throws (vector 54)', () => {
    const [found, end] = walk(Page.range(page(0x7fff_ffff_e000n), page(FIRST_UPPER)));
    expect(found).toEqual([0x7fff_ffff_e000n, LAST_LOWER_PAGE]);
    expect(end).toBeInstanceOf(PageTableError);
    expect(end).toMatchObject({ code: 'OUT_OF_RANGE' });
  });

  test('an inclusive range over the hole throws, and never reaches the upper half', () => {
    const [found, end] = walk(Page.rangeInclusive(page(0x7fff_ffff_e000n), page(FIRST_UPPER)));
    expect(end).toBeInstanceOf(PageTableError);
    expect([0x7fff_ffff_e000n, LAST_LOWER_PAGE].slice(0, found.length)).toEqual(found);
  });

  test('length and size count the hole (section 5)', () => {
    const range = Page.range(page(LAST_LOWER_PAGE), page(FIRST_UPPER));
    expect(range.len()).toBe(4503530907893761);
    expect(range.size()).toBe(4503530907893761n * 4096n);
  });

  test('the whole address space has 2^52 pages, and a size that does not fit (vector 55)', () => {
    const all = Page.rangeInclusive(page(0n), page(LAST_PAGE));
    expect(all.len()).toBe(2 ** 52);
    expect(() => all.size()).toThrow(PageTableError);
    expect(Page.range(page(0n), page(LAST_PAGE)).size()).toBe(LAST_PAGE);
  });
});

describe('ranges at the top', () => {
  test('the last page is yielded, and then the range is over (vector 53, section 5)', () => {
    const alone = Page.rangeInclusive(page(LAST_PAGE), page(LAST_PAGE));
    expect(alone.next().value?.startAddress().asU64()).toBe(LAST_PAGE);
    expect(alone.next().done).toBe(true);
    expect(alone.start.startAddress().asU64()).toBe(LAST_PAGE);
    expect(alone.end.startAddress().asU64()).toBe(LAST_PAGE - 0x1000n);
    const three = Page.rangeInclusive(page(LAST_PAGE - 0x2000n), page(LAST_PAGE));
    expect(walk(three)).toEqual([[LAST_PAGE - 0x2000n, LAST_PAGE - 0x1000n, LAST_PAGE], 'end']);
    const giant = page(0xffff_ffff_c000_0000n, Size1GiB);
    expect(walk(Page.rangeInclusive(giant, giant))).toEqual([[0xffff_ffff_c000_0000n], 'end']);
  });

  test.each([
    ['4KiB', Size4KiB, LAST_FRAME],
    ['2MiB', Size2MiB, 0xf_ffff_ffe0_0000n],
    ['1GiB', Size1GiB, 0xf_ffff_c000_0000n],
  ] as const)('the last frame of %s is yielded, and then the range is over (vector 56)', (_, size, last) => {
    const alone = PhysFrame.rangeInclusive(frame(last, size), frame(last, size));
    expect(walk(alone)).toEqual([[last], 'end']);
    expect(alone.next().value?.startAddress().asU64()).toBe(last);
    expect(alone.isEmpty()).toBe(true);
    expect(alone.next().done).toBe(true);
    const two = PhysFrame.rangeInclusive(frame(last - size.SIZE, size), frame(last, size));
    expect(walk(two)).toEqual([[last - size.SIZE, last], 'end']);
  });

  test('an exclusive range up to the last frame has what is before it (vector 56)', () => {
    expect(walk(PhysFrame.range(frame(LAST_FRAME - 0x1000n), frame(LAST_FRAME)))).toEqual([
      [LAST_FRAME - 0x1000n],
      'end',
    ]);
  });

  test('all frames: 2^40 of them', () => {
    const all = PhysFrame.rangeInclusive(frame(0n), frame(LAST_FRAME));
    expect([all.len(), all.size()]).toEqual([2 ** 40, 1n << 52n]);
  });
});

describe('as4kibPageRange', () => {
  test('gives both ends of a range of 2-MiB pages another size (section 5)', () => {
    const large = Page.range(
      Page.fromStartAddress(new VirtAddr(0x20_0000n), Size2MiB),
      Page.fromStartAddress(new VirtAddr(0x60_0000n), Size2MiB),
    );
    const small = large.as4kibPageRange();
    expect(small.start.pageSize).toBe(Size4KiB);
    expect(small.start.startAddress().asU64()).toBe(0x20_0000n);
    expect(small.end.startAddress().asU64()).toBe(0x60_0000n);
    expect(small.len()).toBe(1024);
    expect(large.len()).toBe(2);
  });

  test('is for ranges of 2-MiB pages only', () => {
    for (const size of [Size4KiB, Size1GiB]) {
      const range = Page.range(page(0n, size), page(0x4000_0000n, size));
      expect(() => (range as never as PageRange<Size2MiB>).as4kibPageRange()).toThrow(PageTableError);
    }
  });
});
