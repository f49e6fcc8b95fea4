// Expected values: notes on the Rust crate, sections 4 and 17 (vectors 51, 52 and 59).
import { describe, expect, test } from 'vitest';
import { PageTableError } from '../../src/bits/index.ts';
import {
  AddressNotAligned,
  Page,
  PageTableIndex,
  PageTableLevel,
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

const virt = (address: bigint) => new VirtAddr(address);
const phys = (address: bigint) => new PhysAddr(address);
const page = (address: bigint) => Page.fromStartAddress(virt(address));
const frame = (address: bigint) => PhysFrame.fromStartAddress(phys(address));
const start = (of: { startAddress(): VirtAddr | PhysAddr } | undefined) => of?.startAddress().asU64();
const SIZES: readonly PageSize[] = [Size4KiB, Size2MiB, Size1GiB];

describe('sizes (section 4)', () => {
  test('are 4 KiB, 2 MiB and 1 GiB', () => {
    expect(SIZES.map(({ SIZE }) => SIZE)).toEqual([0x1000n, 0x20_0000n, 0x4000_0000n]);
    expect(SIZES.map(({ DEBUG_STR }) => DEBUG_STR)).toEqual(['4KiB', '2MiB', '1GiB']);
  });

  test('there are no others', () => {
    const odd = { SIZE: 0x4000n, DEBUG_STR: '16KiB' } as never;
    expect(() => Page.containingAddress(virt(0n), odd)).toThrow(PageTableError);
    expect(() => Page.fromStartAddress(virt(0n), odd)).toThrow(PageTableError);
    expect(() => PhysFrame.containingAddress(phys(0n), odd)).toThrow(PageTableError);
    expect(() => PhysFrame.fromStartAddress(phys(0n), odd)).toThrow(PageTableError);
  });

  test('a page or frame of which no size is said has 4 KiB', () => {
    expect(Page.containingAddress(virt(0x1234n)).pageSize).toBe(Size4KiB);
    expect(PhysFrame.containingAddress(phys(0x1234n)).pageSize).toBe(Size4KiB);
    expect(page(0x1000n).size()).toBe(0x1000n);
    expect(frame(0x1000n).size()).toBe(0x1000n);
  });
});

describe.each(SIZES)('pages and frames of $DEBUG_STR (section 4)', (size) => {
  test('start at multiples of their size only', () => {
    expect(start(Page.fromStartAddress(virt(2n * size.SIZE), size))).toBe(2n * size.SIZE);
    expect(start(PhysFrame.fromStartAddress(phys(2n * size.SIZE), size))).toBe(2n * size.SIZE);
    for (const odd of [1n, size.SIZE / 2n, size.SIZE + 8n, 3n * size.SIZE - 1n]) {
      expect(() => Page.fromStartAddress(virt(odd), size)).toThrow(AddressNotAligned);
      expect(() => PhysFrame.fromStartAddress(phys(odd), size)).toThrow(AddressNotAligned);
      expect(() => PhysFrame.fromStartAddress(phys(odd), size)).toThrow(PageTableError);
    }
  });

  test('are built without a check where that is asked for', () => {
    expect(start(Page.fromStartAddressUnchecked(virt(0x1000n), size))).toBe(0x1000n);
    expect(start(PhysFrame.fromStartAddressUnchecked(phys(0x1000n), size))).toBe(0x1000n);
  });

  test('that contain an address start at or below it', () => {
    expect(start(Page.containingAddress(virt(3n * size.SIZE), size))).toBe(3n * size.SIZE);
    expect(start(Page.containingAddress(virt(4n * size.SIZE - 1n), size))).toBe(3n * size.SIZE);
    expect(start(Page.containingAddress(virt(0xffff_ffff_ffff_ffffn), size))).toBe((1n << 64n) - size.SIZE);
    expect(start(PhysFrame.containingAddress(phys(4n * size.SIZE - 1n), size))).toBe(3n * size.SIZE);
  });

  test('know their size', () => {
    expect(Page.containingAddress(virt(0n), size).size()).toBe(size.SIZE);
    expect(Page.containingAddress(virt(0n), size).pageSize).toBe(size);
    expect(PhysFrame.containingAddress(phys(0n), size).size()).toBe(size.SIZE);
    expect(PhysFrame.containingAddress(phys(0n), size).pageSize).toBe(size);
  });

  test('move by whole pages', () => {
    const third = Page.containingAddress(virt(3n * size.SIZE), size);
    expect(start(third.add(2))).toBe(5n * size.SIZE);
    expect(start(third.add(2n))).toBe(5n * size.SIZE);
    expect(start(third.sub(3))).toBe(0n);
    expect(start(third.sub(1n))).toBe(2n * size.SIZE);
    expect(third.add(7).sub(third)).toBe(7);
    expect(third.add(7).pageSize).toBe(size);
    expect(() => third.sub(4)).toThrow(PageTableError);
    expect(() => third.sub(third.add(1))).toThrow(PageTableError);

    const one = PhysFrame.containingAddress(phys(size.SIZE), size);
    expect(start(one.add(2))).toBe(3n * size.SIZE);
    expect(start(one.add(2n))).toBe(3n * size.SIZE);
    expect(start(one.sub(1n))).toBe(0n);
    expect(one.add(5).sub(one)).toBe(5);
    expect(() => one.sub(2)).toThrow(PageTableError);
    expect(() => one.sub(one.add(1))).toThrow(PageTableError);
  });

  test('a page does not move into the hole, nor past the top', () => {
    const lastLower = Page.containingAddress(virt(0x7fff_ffff_ffffn), size);
    const firstUpper = Page.containingAddress(virt(FIRST_UPPER), size);
    const last = Page.containingAddress(virt(0xffff_ffff_ffff_ffffn), size);
    expect(() => lastLower.add(1)).toThrow(PageTableError);
    expect(() => firstUpper.sub(1)).toThrow(PageTableError);
    expect(() => last.add(1)).toThrow(PageTableError);
    expect(start(last.add(0))).toBe(start(last));
    // The difference counts the hole.
    expect(firstUpper.sub(lastLower)).toBe(Number((FIRST_UPPER - 0x8000_0000_0000n) / size.SIZE) + 1);
  });

  test('a frame does not move past 52 bits', () => {
    const last = PhysFrame.containingAddress(phys(0xf_ffff_ffff_ffffn), size);
    expect(start(last)).toBe((1n << 52n) - size.SIZE);
    expect(() => last.add(1)).toThrow(PageTableError);
    expect(() => last.add(2n ** 52n)).toThrow(PageTableError);
  });

  test('steps jump over the hole', () => {
    const lastLower = Page.containingAddress(virt(0x7fff_ffff_ffffn), size);
    const firstUpper = Page.containingAddress(virt(FIRST_UPPER), size);
    const last = Page.containingAddress(virt(0xffff_ffff_ffff_ffffn), size);
    const zero = Page.containingAddress(virt(0n), size);
    expect(start(Page.forward(lastLower, 1))).toBe(FIRST_UPPER);
    expect(start(Page.backward(firstUpper, 1))).toBe(start(lastLower));
    expect(Page.stepsBetween(lastLower, firstUpper)).toEqual([1, 1]);
    expect(Page.stepsBetween(firstUpper, lastLower)).toEqual([0, undefined]);
    expect(Page.forwardChecked(last, 1)).toBeUndefined();
    expect(Page.backwardChecked(zero, 1)).toBeUndefined();
    expect(() => Page.forward(last, 1n)).toThrow(PageTableError);
    expect(() => Page.backward(zero, 1n)).toThrow(PageTableError);
    const pages = (1n << 48n) / size.SIZE;
    expect(start(Page.forwardChecked(zero, pages - 1n))).toBe(start(last));
    expect(Page.forwardChecked(zero, pages)).toBeUndefined();
    expect(start(Page.backwardChecked(last, pages - 1n))).toBe(0n);
    expect(Page.backwardChecked(last, pages)).toBeUndefined();
    expect(Page.stepsBetween(zero, last)).toEqual([Number(pages) - 1, Number(pages) - 1]);
    expect(Page.forwardChecked(zero, 2n ** 60n)).toBeUndefined();
    expect(Page.forwardChecked(zero, 1)?.pageSize).toBe(size);
  });

  test('the debug text names size and address', () => {
    const text = size.DEBUG_STR;
    const address = (2n * size.SIZE).toString(16);
    expect(String(Page.containingAddress(virt(2n * size.SIZE), size))).toBe(`Page[${text}](0x${address})`);
    expect(`${PhysFrame.containingAddress(phys(2n * size.SIZE), size)}`).toBe(
      `PhysFrame[${text}](0x${address})`,
    );
  });

  test('order is that of the start addresses', () => {
    const [low, high] = [virt(size.SIZE), virt(FIRST_UPPER)].map((at) => Page.containingAddress(at, size));
    expect([low.compare(high), high.compare(low), low.compare(low)]).toEqual([-1, 1, 0]);
    expect([low.equals(high), high.equals(Page.containingAddress(virt(FIRST_UPPER), size))]).toEqual([
      false,
      true,
    ]);
    const [one, two] = [phys(size.SIZE), phys(2n * size.SIZE)].map((at) =>
      PhysFrame.containingAddress(at, size),
    );
    expect([one.compare(two), two.compare(one), two.compare(two)]).toEqual([-1, 1, 0]);
    expect([one.equals(two), one.equals(two.sub(1))]).toEqual([false, true]);
  });
});

describe('examples of the specification', () => {
  test('steps between the first and the last 2-MiB page, and over the hole (vector 51)', () => {
    const first = Page.fromStartAddress(virt(0n), Size2MiB);
    const last = Page.fromStartAddress(virt(0xffff_ffff_ffe0_0000n), Size2MiB);
    expect(Page.stepsBetween(first, last)).toEqual([134217727, 134217727]);
    expect(start(Page.forwardChecked(Page.fromStartAddress(virt(0x7fff_ffe0_0000n), Size2MiB), 1))).toBe(
      FIRST_UPPER,
    );
  });

  test('2^36 pages of 4 KiB are one too many (vector 52)', () => {
    expect(Page.forwardChecked(page(0n), 2n ** 36n)).toBeUndefined();
    expect(start(Page.forwardChecked(page(0n), 2n ** 36n - 1n))).toBe(LAST_PAGE);
    expect(start(Page.forwardChecked(page(0n), 2 ** 36 - 1))).toBe(LAST_PAGE);
  });

  test('a product of count and size past 64 bits is refused (vector 59)', () => {
    expect(() => page(0x1000n).add(2n ** 52n)).toThrow(PageTableError);
    expect(() => page(0x1000n).add(2 ** 52)).toThrow(PageTableError);
    expect(() => page(0x1000n).sub(2n ** 52n)).toThrow(PageTableError);
    expect(() => frame(0x1000n).add(2n ** 52n)).toThrow(PageTableError);
    expect(() => frame(0x1000n).sub(2n ** 52n)).toThrow(PageTableError);
  });

  test('only the result of a sum must be a page (sections 3 and 4)', () => {
    expect(start(page(0x1000n).add(FIRST_UPPER >> 12n))).toBe(0xffff_8000_0000_1000n);
    expect(start(page(0xffff_8000_0000_1000n).sub(FIRST_UPPER >> 12n))).toBe(0x1000n);
    expect(page(FIRST_UPPER).sub(page(LAST_LOWER_PAGE))).toBe(4503530907893761);
  });

  test('a step count that is not a whole number of pages is rounded down (section 4)', () => {
    const low = Page.fromStartAddressUnchecked(virt(0x1000n), Size2MiB);
    const high = Page.fromStartAddressUnchecked(virt(0x40_0000n), Size2MiB);
    expect(Page.stepsBetween(low, high)).toEqual([1, 1]);
  });
});

describe('indices of pages (section 4)', () => {
  test('a page has an index per level above it', () => {
    const small = page(0x80_8060_4000n);
    expect([small.p4Index(), small.p3Index(), small.p2Index(), small.p1Index()].map((i) => i.value)).toEqual([
      1, 2, 3, 4,
    ]);
    const large = Page.fromStartAddress(virt(0x80_8060_0000n), Size2MiB);
    expect([large.p4Index(), large.p3Index(), large.p2Index()].map((i) => i.value)).toEqual([1, 2, 3]);
    const giant = Page.fromStartAddress(virt(0x80_8000_0000n), Size1GiB);
    expect([giant.p4Index(), giant.p3Index()].map((i) => i.value)).toEqual([1, 2]);
    expect(small.pageTableIndex(PageTableLevel.One).value).toBe(4);
    expect(large.pageTableIndex(PageTableLevel.Two).value).toBe(3);
    expect(giant.pageTableIndex(PageTableLevel.Four).value).toBe(1);
  });

  test('a page has no index in the tables below it', () => {
    const large = Page.fromStartAddress(virt(0n), Size2MiB);
    const giant = Page.fromStartAddress(virt(0n), Size1GiB);
    expect(() => (large as never as Page<Size4KiB>).p1Index()).toThrow(PageTableError);
    expect(() => (giant as never as Page<Size4KiB>).p1Index()).toThrow(PageTableError);
    expect(() => (giant as never as Page<Size2MiB>).p2Index()).toThrow(PageTableError);
  });

  test('indices make a page again; from 256 in the level-4 table it is in the upper half', () => {
    const index = (i: number) => new PageTableIndex(i);
    expect(start(Page.fromPageTableIndices(index(1), index(2), index(3), index(4)))).toBe(0x80_8060_4000n);
    expect(start(Page.fromPageTableIndices(1, 2, 3, 4))).toBe(0x80_8060_4000n);
    expect(start(Page.fromPageTableIndices2mib(1, 2, 3))).toBe(0x80_8060_0000n);
    expect(start(Page.fromPageTableIndices1gib(1, index(2)))).toBe(0x80_8000_0000n);
    expect(start(Page.fromPageTableIndices(256, 0, 0, 0))).toBe(FIRST_UPPER);
    expect(start(Page.fromPageTableIndices(511, 511, 511, 511))).toBe(LAST_PAGE);
    expect(start(Page.fromPageTableIndices(255, 511, 511, 511))).toBe(LAST_LOWER_PAGE);
    expect(Page.fromPageTableIndices(1, 2, 3, 4).pageSize).toBe(Size4KiB);
    expect(Page.fromPageTableIndices2mib(1, 2, 3).pageSize).toBe(Size2MiB);
    expect(Page.fromPageTableIndices1gib(1, 2).pageSize).toBe(Size1GiB);
    expect(() => Page.fromPageTableIndices(512, 0, 0, 0)).toThrow(PageTableError);
    expect(() => Page.fromPageTableIndices(0, 0, 0, -1)).toThrow(PageTableError);
  });

  test('the windows of a recursive table (section 10)', () => {
    expect(start(Page.fromPageTableIndices(1, 1, 1, 1))).toBe(0x80_4020_1000n);
    expect(start(Page.fromPageTableIndices(256, 256, 256, 256))).toBe(0xffff_8040_2010_0000n);
    expect(start(Page.fromPageTableIndices(510, 1, 2, 3))).toBe(0xffff_ff00_4040_3000n);
    expect(start(Page.fromPageTableIndices(510, 510, 1, 2))).toBe(0xffff_ff7f_8020_2000n);
    expect(start(Page.fromPageTableIndices(510, 510, 510, 1))).toBe(0xffff_ff7f_bfc0_1000n);
  });
});

describe('page and frame numbers: addresses without a bigint', () => {
  test('are the address divided by 4096, whatever the size', () => {
    expect(page(0x1234_5000n).pageNumber()).toBe(0x1_2345);
    expect(page(LAST_PAGE).pageNumber()).toBe(2 ** 52 - 1);
    expect(page(FIRST_UPPER).pageNumber()).toBe(0xf_fff8_0000_0000);
    expect(Page.fromStartAddress(virt(0x40_0000n), Size2MiB).pageNumber()).toBe(0x400);
    expect(frame(LAST_FRAME).pfn()).toBe(2 ** 40 - 1);
    expect(PhysFrame.fromStartAddress(phys(0x4000_0000n), Size1GiB).pfn()).toBe(0x4_0000);
  });

  test('make pages and frames again', () => {
    expect(start(Page.fromPageNumber(0x1_2345))).toBe(0x1234_5000n);
    expect(start(Page.fromPageNumber(2 ** 52 - 1))).toBe(LAST_PAGE);
    expect(start(Page.fromPageNumber(0x400, Size2MiB))).toBe(0x40_0000n);
    expect(start(PhysFrame.fromPfn(2 ** 40 - 1))).toBe(LAST_FRAME);
    expect(start(PhysFrame.fromPfn(0x4_0000, Size1GiB))).toBe(0x4000_0000n);
  });

  test('must be whole, in range, canonical and aligned', () => {
    for (const number of [-1, 0.5, 2 ** 52, Number.NaN, 0x8_0000_0000]) {
      expect(() => Page.fromPageNumber(number)).toThrow(PageTableError);
    }
    for (const number of [-1, 0.5, 2 ** 40, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => PhysFrame.fromPfn(number)).toThrow(PageTableError);
    }
    expect(() => Page.fromPageNumber(0x401, Size2MiB)).toThrow(PageTableError);
    expect(() => PhysFrame.fromPfn(0x401, Size2MiB)).toThrow(PageTableError);
  });
});

describe('sizes do not mix at run time either', () => {
  const small = page(0x1000n);
  const large = Page.fromStartAddress(virt(0x20_0000n), Size2MiB);

  test('in differences and ranges', () => {
    expect(() => large.sub(small as never)).toThrow(PageTableError);
    expect(() => Page.range(small, large as never)).toThrow(PageTableError);
    expect(() => Page.rangeInclusive(small, large as never)).toThrow(PageTableError);
    const [one, two] = [frame(0x1000n), PhysFrame.fromStartAddress(phys(0x20_0000n), Size2MiB)];
    expect(() => two.sub(one as never)).toThrow(PageTableError);
    expect(() => PhysFrame.range(one, two as never)).toThrow(PageTableError);
    expect(() => PhysFrame.rangeInclusive(one, two as never)).toThrow(PageTableError);
  });
});
