// Expected values: notes on the Rust crate, sections 1, 3 and 17 (vectors 45 to 50 and 57).
import { describe, expect, test } from 'vitest';
import { PageTableError } from '../../src/bits/index.ts';
import {
  alignDown,
  alignUp,
  PageTableLevel,
  PhysAddr,
  PhysAddrNotValid,
  VirtAddr,
  VirtAddrNotValid,
} from '../../src/x86_64/index.ts';

const LAST_LOWER = 0x7fff_ffff_ffffn;
const FIRST_UPPER = 0xffff_8000_0000_0000n;
const LAST = 0xffff_ffff_ffff_ffffn;
const LAST_PHYS = 0xf_ffff_ffff_ffffn;

const virt = (address: bigint) => new VirtAddr(address);
const phys = (address: bigint) => new PhysAddr(address);

/** The error that a call throws. */
function thrown(call: () => unknown): unknown {
  try {
    call();
  } catch (error) {
    return error;
  }
  return undefined;
}

describe('alignDown and alignUp', () => {
  test('move to a multiple and leave a multiple alone (section 3)', () => {
    expect(alignDown(0x1fffn, 0x1000n)).toBe(0x1000n);
    expect(alignDown(0x1000n, 0x1000n)).toBe(0x1000n);
    expect(alignUp(0x1001n, 0x1000n)).toBe(0x2000n);
    expect(alignUp(0x2000n, 0x1000n)).toBe(0x2000n);
    expect(alignUp(0n, 0x4000_0000n)).toBe(0n);
    expect(alignDown(LAST, 1n)).toBe(LAST);
    expect(alignUp(LAST, 1n)).toBe(LAST);
    expect(alignDown(LAST, 1n << 63n)).toBe(1n << 63n);
  });

  test.each([0n, 3n, 0x1001n, 6n])('an alignment of %s is no power of two and refused', (align) => {
    expect(() => alignDown(0x1000n, align)).toThrow(PageTableError);
    expect(() => alignUp(0x1000n, align)).toThrow(PageTableError);
  });

  test('alignUp past 64 bits is refused, up to the last multiple it is not', () => {
    expect(() => alignUp(0xffff_ffff_ffff_f001n, 0x1000n)).toThrow(PageTableError);
    expect(() => alignUp((1n << 63n) + 1n, 1n << 63n)).toThrow(PageTableError);
    expect(alignUp(0xffff_ffff_ffff_e001n, 0x1000n)).toBe(0xffff_ffff_ffff_f000n);
  });
});

describe('which virtual addresses there are', () => {
  test.each([0n, 1n, LAST_LOWER, FIRST_UPPER, LAST])(
    '%s is canonical: bits 63 to 47 are equal',
    (address) => {
      expect(virt(address).asU64()).toBe(address);
      expect(VirtAddr.tryNew(address).asU64()).toBe(address);
    },
  );

  test.each([
    0x8000_0000_0000n,
    0x1_0000_0000_0000n,
    0xffff_0000_0000_0000n,
    0x1234_8000_0000_0000n,
    0xffff_7fff_ffff_ffffn,
  ])('%s is not, and the error holds all of it (vector 45)', (address) => {
    for (const call of [() => virt(address), () => VirtAddr.tryNew(address)]) {
      const error = thrown(call);
      expect(error).toBeInstanceOf(VirtAddrNotValid);
      expect(error).toBeInstanceOf(PageTableError);
      expect((error as VirtAddrNotValid).address).toBe(address);
      expect((error as VirtAddrNotValid).message).toContain(address.toString(16));
    }
  });

  test('newTruncate drops bits 63 to 48 and extends bit 47 (vector 46)', () => {
    expect(VirtAddr.newTruncate(0x1234_8000_0000_0000n).asU64()).toBe(FIRST_UPPER);
    expect(VirtAddr.newTruncate(0xffff_0000_0000_1000n).asU64()).toBe(0x1000n);
    expect(VirtAddr.newTruncate(0x8000_0000_0000n).asU64()).toBe(FIRST_UPPER);
    expect(VirtAddr.newTruncate(LAST_LOWER).asU64()).toBe(LAST_LOWER);
    expect(VirtAddr.newTruncate(LAST).asU64()).toBe(LAST);
  });

  test('newUnsafe keeps what it is given', () => {
    expect(VirtAddr.newUnsafe(0x8000_0000_0000n).asU64()).toBe(0x8000_0000_0000n);
  });

  test('zero is null, and nothing else is', () => {
    expect(VirtAddr.zero().asU64()).toBe(0n);
    expect(VirtAddr.zero().isNull()).toBe(true);
    expect(virt(1n).isNull()).toBe(false);
    expect(virt(FIRST_UPPER).isNull()).toBe(false);
  });
});

describe('parts of a virtual address (sections 1 and 3)', () => {
  test('four indices of 9 bits from bit 12 up, and an offset of 12', () => {
    // The specification's V: indices 1, 2, 3, 4.
    const address = virt(0x80_8060_4abcn);
    expect(address.p4Index().value).toBe(1);
    expect(address.p3Index().value).toBe(2);
    expect(address.p2Index().value).toBe(3);
    expect(address.p1Index().value).toBe(4);
    expect(address.pageOffset().value).toBe(0xabc);
  });

  test('pageTableIndex gives the index of the level asked for', () => {
    const address = virt(0x80_8060_4abcn);
    expect(address.pageTableIndex(PageTableLevel.Four).value).toBe(1);
    expect(address.pageTableIndex(PageTableLevel.Three).value).toBe(2);
    expect(address.pageTableIndex(PageTableLevel.Two).value).toBe(3);
    expect(address.pageTableIndex(PageTableLevel.One).value).toBe(4);
  });

  test('the upper half begins at index 256, and the last address has 511 everywhere', () => {
    expect(virt(FIRST_UPPER).p4Index().value).toBe(256);
    expect(virt(LAST_LOWER).p4Index().value).toBe(255);
    const last = virt(LAST);
    expect(
      [last.p4Index(), last.p3Index(), last.p2Index(), last.p1Index()].map(({ value }) => value),
    ).toEqual([511, 511, 511, 511]);
    expect(last.pageOffset().value).toBe(4095);
  });
});

describe('arithmetic of virtual addresses', () => {
  test('only the result of a sum must be canonical (vector 47)', () => {
    expect(virt(0x1000n).add(FIRST_UPPER).asU64()).toBe(0xffff_8000_0000_1000n);
    expect(() => virt(LAST_LOWER).add(1n)).toThrow(PageTableError);
    expect(() => virt(LAST_LOWER).add(1)).toThrow(PageTableError);
    expect(virt(0x1000n).add(0x234).asU64()).toBe(0x1234n);
  });

  test('a sum past 64 bits is refused', () => {
    expect(() => virt(LAST).add(1n)).toThrow(PageTableError);
    expect(() => virt(FIRST_UPPER).add(FIRST_UPPER)).toThrow(PageTableError);
    expect(virt(LAST).add(0n).asU64()).toBe(LAST);
  });

  test('only the result of a difference with a number must be canonical (vector 47)', () => {
    expect(() => virt(FIRST_UPPER).sub(1n)).toThrow(PageTableError);
    expect(() => virt(0n).sub(1n)).toThrow(PageTableError);
    expect(virt(0xffff_8000_0000_1000n).sub(FIRST_UPPER).asU64()).toBe(0x1000n);
    expect(virt(0x1234n).sub(0x234).asU64()).toBe(0x1000n);
  });

  test('the difference of two addresses counts the hole, and is never negative (section 3)', () => {
    expect(virt(FIRST_UPPER).sub(virt(LAST_LOWER))).toBe(0xffff_0000_0000_0001n);
    expect(virt(0x3000n).sub(virt(0x1000n))).toBe(0x2000n);
    expect(virt(0x3000n).sub(virt(0x3000n))).toBe(0n);
    expect(() => virt(0x1000n).sub(virt(0x3000n))).toThrow(PageTableError);
  });

  test('alignment makes its result canonical (vector 48, section 3)', () => {
    expect(virt(0x7fff_ffff_f001n).alignUp(0x1000n).asU64()).toBe(FIRST_UPPER);
    expect(
      virt(FIRST_UPPER)
        .alignDown(1n << 48n)
        .asU64(),
    ).toBe(0n);
    expect(virt(0x1fffn).alignDown(0x1000n).asU64()).toBe(0x1000n);
    expect(() => virt(0xffff_ffff_ffff_f001n).alignUp(0x1000n)).toThrow(PageTableError);
    expect(() => virt(0x1000n).alignUp(0n)).toThrow(PageTableError);
    expect(() => virt(0x1000n).alignDown(0n)).toThrow(PageTableError);
    expect(() => virt(0x1000n).isAligned(3n)).toThrow(PageTableError);
  });

  test('isAligned compares with alignDown: no upper address is 2^48-aligned (section 3)', () => {
    expect(virt(0x20_0000n).isAligned(0x20_0000n)).toBe(true);
    expect(virt(0x20_1000n).isAligned(0x20_0000n)).toBe(false);
    expect(virt(FIRST_UPPER).isAligned(1n << 47n)).toBe(true);
    expect(virt(FIRST_UPPER).isAligned(1n << 48n)).toBe(false);
    expect(virt(0n).isAligned(1n << 48n)).toBe(true);
  });

  test('order is that of the raw numbers: the upper half comes last', () => {
    expect(virt(1n).compare(virt(2n))).toBe(-1);
    expect(virt(2n).compare(virt(1n))).toBe(1);
    expect(virt(2n).compare(virt(2n))).toBe(0);
    expect(virt(LAST_LOWER).compare(virt(FIRST_UPPER))).toBe(-1);
    expect(virt(LAST).equals(virt(LAST))).toBe(true);
    expect(virt(LAST).equals(virt(LAST - 1n))).toBe(false);
    expect(virt(0x1001n).compare(virt(0x1002n))).toBe(-1);
  });

  test('an address never changes', () => {
    const address = virt(0x1234n);
    address.add(1n);
    address.sub(1n);
    address.alignDown(0x1000n);
    address.alignUp(0x1000n);
    expect(address.asU64()).toBe(0x1234n);
  });
});

describe('steps over virtual addresses jump over the hole', () => {
  test('stepsBetween does not count the hole, and knows no way back (section 3)', () => {
    expect(VirtAddr.stepsBetween(virt(0n), virt(0n))).toEqual([0n, 0n]);
    expect(VirtAddr.stepsBetween(virt(0n), virt(0x1000n))).toEqual([0x1000n, 0x1000n]);
    expect(VirtAddr.stepsBetween(virt(LAST_LOWER), virt(FIRST_UPPER))).toEqual([1n, 1n]);
    expect(VirtAddr.stepsBetween(virt(0n), virt(LAST))).toEqual([(1n << 48n) - 1n, (1n << 48n) - 1n]);
    expect(VirtAddr.stepsBetween(virt(0x1000n), virt(0n))).toEqual([0n, undefined]);
    expect(VirtAddr.stepsBetween(virt(FIRST_UPPER), virt(LAST_LOWER))).toEqual([0n, undefined]);
  });

  test.each([
    [0n, 1n << 48n, undefined],
    [0n, (1n << 48n) - 1n, LAST],
    [LAST_LOWER, 1n << 47n, LAST],
    [LAST_LOWER, (1n << 47n) + 1n, undefined],
    // Section 3.
    [LAST_LOWER, 1n, FIRST_UPPER],
    [LAST_LOWER, 0n, LAST_LOWER],
    [LAST, 1n, undefined],
    [LAST, 0n, LAST],
    [FIRST_UPPER, 1n, 0xffff_8000_0000_0001n],
    [0n, (1n << 48n) + 1n, undefined],
  ])('forward from %s by %s (vector 49)', (start, count, expected) => {
    expect(VirtAddr.forwardChecked(virt(start), count)?.asU64()).toBe(expected);
    if (expected === undefined) expect(() => VirtAddr.forward(virt(start), count)).toThrow(PageTableError);
    else expect(VirtAddr.forward(virt(start), count).asU64()).toBe(expected);
  });

  test.each([
    [FIRST_UPPER, 1n << 47n, 0n],
    [FIRST_UPPER, (1n << 47n) + 1n, undefined],
    [LAST, 1n << 48n, undefined],
    // Section 3.
    [LAST, (1n << 48n) - 1n, 0n],
    [FIRST_UPPER, 1n, LAST_LOWER],
    [FIRST_UPPER, 0n, FIRST_UPPER],
    [0n, 1n, undefined],
    [0n, 0n, 0n],
    [LAST_LOWER, LAST_LOWER, 0n],
    [LAST, (1n << 48n) + 1n, undefined],
  ])('backward from %s by %s (vector 50)', (start, count, expected) => {
    expect(VirtAddr.backwardChecked(virt(start), count)?.asU64()).toBe(expected);
    if (expected === undefined) expect(() => VirtAddr.backward(virt(start), count)).toThrow(PageTableError);
    else expect(VirtAddr.backward(virt(start), count).asU64()).toBe(expected);
  });
});

describe('physical addresses', () => {
  test('have 52 bits; the error of a wider one holds all of it (vector 57)', () => {
    expect(phys(LAST_PHYS).asU64()).toBe(LAST_PHYS);
    for (const address of [1n << 52n, LAST, 0x8000_0000_0000_1000n]) {
      for (const call of [() => phys(address), () => PhysAddr.tryNew(address)]) {
        const error = thrown(call);
        expect(error).toBeInstanceOf(PhysAddrNotValid);
        expect(error).toBeInstanceOf(PageTableError);
        expect((error as PhysAddrNotValid).address).toBe(address);
        expect((error as PhysAddrNotValid).message).toContain(address.toString(16));
      }
    }
    expect(PhysAddr.tryNew(0x1234n).asU64()).toBe(0x1234n);
  });

  test('newTruncate drops bits 63 to 52 (vector 57)', () => {
    expect(PhysAddr.newTruncate(LAST).asU64()).toBe(LAST_PHYS);
    expect(PhysAddr.newTruncate((1n << 52n) + 5n).asU64()).toBe(5n);
  });

  test('newUnsafe keeps what it is given', () => {
    expect(PhysAddr.newUnsafe(1n << 52n).asU64()).toBe(1n << 52n);
  });

  test('sums and differences stay within 52 bits (section 3)', () => {
    expect(phys(0x1000n).add(0x234n).asU64()).toBe(0x1234n);
    expect(phys(0x1000n).add(0x234).asU64()).toBe(0x1234n);
    expect(phys(0x1234n).sub(0x234n).asU64()).toBe(0x1000n);
    expect(() => phys(LAST_PHYS).add(1n)).toThrow(PageTableError);
    expect(() => phys(1n).add(LAST)).toThrow(PageTableError);
    expect(() => phys(0n).sub(1n)).toThrow(PageTableError);
    expect(phys(0x3000n).sub(phys(0x1000n))).toBe(0x2000n);
    expect(() => phys(0x1000n).sub(phys(0x3000n))).toThrow(PageTableError);
  });

  test('alignUp may not reach 2^52 (vector 57)', () => {
    expect(() => phys(LAST_PHYS).alignUp(2n)).toThrow(PageTableError);
    expect(phys(0x1001n).alignUp(0x1000n).asU64()).toBe(0x2000n);
    expect(phys(LAST_PHYS).alignDown(0x1000n).asU64()).toBe(0xf_ffff_ffff_f000n);
    expect(phys(0x20_0000n).isAligned(0x20_0000n)).toBe(true);
    expect(phys(0x20_1000n).isAligned(0x20_0000n)).toBe(false);
    expect(() => phys(0n).alignDown(0n)).toThrow(PageTableError);
    expect(() => phys(0n).alignUp(12n)).toThrow(PageTableError);
  });

  test('zero is null, and order is that of the numbers', () => {
    expect(PhysAddr.zero().isNull()).toBe(true);
    expect(phys(1n).isNull()).toBe(false);
    expect(phys(1n).compare(phys(2n))).toBe(-1);
    expect(phys(LAST_PHYS).compare(phys(2n))).toBe(1);
    expect(phys(2n).compare(phys(2n))).toBe(0);
    expect(phys(2n).equals(phys(2n))).toBe(true);
    expect(phys(0x1001n).equals(phys(0x1002n))).toBe(false);
  });
});

describe('text', () => {
  test('the debug text names the type and the address in hexadecimal', () => {
    expect(String(virt(0x1000n))).toBe('VirtAddr(0x1000)');
    expect(`${virt(FIRST_UPPER)}`).toBe('VirtAddr(0xffff800000000000)');
    expect(String(phys(0xf_ffff_ffff_f000n))).toBe('PhysAddr(0xffffffffff000)');
    expect(String(VirtAddr.zero())).toBe('VirtAddr(0x0)');
  });
});

test.each([VirtAddr, PhysAddr])('a number is refused, as types may not have been looked at: %s', (kind) => {
  const make = () => new kind(0x1000 as never);
  expect(make).toThrow(PageTableError);
  expect(make).toThrow('expected a bigint: 4096n');
});
