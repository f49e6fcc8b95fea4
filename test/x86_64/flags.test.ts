// Expected values: notes on the Rust crate, section 2.
import { describe, expect, test } from 'vitest';
import { PageTableFlags } from '../../src/x86_64/index.ts';

const F = PageTableFlags;

/** The specification's table: every name and its bit. */
const NAMED: readonly (readonly [string, number])[] = [
  ['PRESENT', 0],
  ['WRITABLE', 1],
  ['USER_ACCESSIBLE', 2],
  ['WRITE_THROUGH', 3],
  ['NO_CACHE', 4],
  ['ACCESSED', 5],
  ['DIRTY', 6],
  ['HUGE_PAGE', 7],
  ['GLOBAL', 8],
  ['BIT_9', 9],
  ['BIT_10', 10],
  ['BIT_11', 11],
  ...[52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62].map((bit) => [`BIT_${bit}`, bit] as const),
  ['NO_EXECUTE', 63],
];
const ALL = 0xfff0_0000_0000_0fffn;

describe('names', () => {
  test.each(NAMED)('%s is bit %i', (name, bit) => {
    const flag = (F as unknown as Record<string, PageTableFlags>)[name];
    expect(flag.bits()).toBe(1n << BigInt(bit));
    expect(F.fromName(name)?.bits()).toBe(1n << BigInt(bit));
    expect(String(flag)).toBe(`PageTableFlags(${name})`);
  });

  test('there are no others', () => {
    expect(F.fromName('PAT')).toBeUndefined();
    expect(F.fromName('BIT_12')).toBeUndefined();
    expect(F.fromName('present')).toBeUndefined();
    expect(F.fromName('toString')).toBeUndefined();
    expect(F.fromName('')).toBeUndefined();
  });

  test('together they are every bit that is not an address bit', () => {
    expect(F.all().bits()).toBe(ALL);
    expect(F.all().isAll()).toBe(true);
    expect(F.all().difference(F.DIRTY).isAll()).toBe(false);
    expect([...F.all().iter()].map((one) => one.bits())).toEqual(NAMED.map(([, bit]) => 1n << BigInt(bit)));
    expect([...F.all().iterNames()].map(([name]) => name)).toEqual(NAMED.map(([name]) => name));
  });
});

describe('bits from outside', () => {
  test('fromBits takes named bits only', () => {
    expect(F.fromBits(0x3n)?.bits()).toBe(0x3n);
    expect(F.fromBits(0n)?.isEmpty()).toBe(true);
    expect(F.fromBits(ALL)?.isAll()).toBe(true);
    expect(F.fromBits(0x1000n)).toBeUndefined();
    expect(F.fromBits(0x1003n)).toBeUndefined();
    expect(F.fromBits(0x0008_0000_0000_0000n)).toBeUndefined();
  });

  test('fromBitsTruncate drops the others', () => {
    expect(F.fromBitsTruncate(0xffff_ffff_ffff_ffffn).bits()).toBe(ALL);
    expect(F.fromBitsTruncate(0x1003n).bits()).toBe(0x3n);
  });

  test('fromBitsRetain keeps them', () => {
    expect(F.fromBitsRetain(0x1003n).bits()).toBe(0x1003n);
    expect(F.fromBitsRetain(0xffff_ffff_ffff_ffffn).bits()).toBe(0xffff_ffff_ffff_ffffn);
  });
});

describe('sets', () => {
  const pw = F.PRESENT.union(F.WRITABLE);

  test('the empty set is in every set, and meets none', () => {
    expect(F.empty().isEmpty()).toBe(true);
    expect(F.empty().bits()).toBe(0n);
    expect(pw.contains(F.empty())).toBe(true);
    expect(F.empty().contains(F.empty())).toBe(true);
    expect(pw.intersects(F.empty())).toBe(false);
  });

  test('contains asks for all, intersects for any', () => {
    const wu = F.WRITABLE.union(F.USER_ACCESSIBLE);
    expect(pw.contains(F.WRITABLE)).toBe(true);
    expect(pw.contains(wu)).toBe(false);
    expect(pw.intersects(wu)).toBe(true);
    expect(pw.intersects(F.NO_EXECUTE)).toBe(false);
  });

  test('union takes any number of sets', () => {
    expect(F.PRESENT.union().bits()).toBe(0x1n);
    expect(F.PRESENT.union(F.WRITABLE, F.NO_EXECUTE).bits()).toBe(0x8000_0000_0000_0003n);
  });

  test('intersection, difference, symmetric difference', () => {
    const a = F.fromBitsRetain(0x8000_0000_0000_0007n);
    const b = F.fromBitsRetain(0x8000_0000_0000_0105n);
    expect(a.intersection(b).bits()).toBe(0x8000_0000_0000_0005n);
    expect(a.difference(b).bits()).toBe(0x2n);
    expect(a.symmetricDifference(b).bits()).toBe(0x102n);
  });

  test('the complement has named bits only', () => {
    expect(F.PRESENT.complement().bits()).toBe(0xfff0_0000_0000_0ffen);
    expect(F.all().complement().bits()).toBe(0n);
    expect(F.fromBitsRetain(0x1000n).complement().bits()).toBe(ALL);
  });

  test('insert, remove, toggle and set give the changed set and leave their own as it was', () => {
    expect(pw.insert(F.NO_EXECUTE).bits()).toBe(0x8000_0000_0000_0003n);
    expect(pw.remove(F.WRITABLE.union(F.DIRTY)).bits()).toBe(0x1n);
    expect(pw.toggle(F.WRITABLE.union(F.DIRTY)).bits()).toBe(0x41n);
    expect(pw.set(F.DIRTY, true).bits()).toBe(0x43n);
    expect(pw.set(F.WRITABLE, false).bits()).toBe(0x1n);
    expect(pw.set(F.WRITABLE, true).bits()).toBe(0x3n);
    expect(pw.bits()).toBe(0x3n);
    expect(F.PRESENT.bits()).toBe(0x1n);
  });

  test('order and equality are those of the bits', () => {
    expect(F.PRESENT.compare(F.WRITABLE)).toBe(-1);
    expect(F.NO_EXECUTE.compare(F.BIT_62)).toBe(1);
    expect(F.NO_EXECUTE.compare(F.all())).toBe(-1);
    expect(pw.compare(F.fromBitsRetain(3n))).toBe(0);
    expect(F.fromBitsRetain(0x8000_0000_0000_0000n).compare(F.fromBitsRetain(0xffn))).toBe(1);
    expect(pw.equals(F.fromBitsRetain(3n))).toBe(true);
    expect(pw.equals(F.fromBitsRetain(0x8000_0000_0000_0003n))).toBe(false);
  });
});

describe('text', () => {
  test('names from bit 0 up, the empty set as 0x0', () => {
    expect(String(F.PRESENT.union(F.WRITABLE))).toBe('PageTableFlags(PRESENT | WRITABLE)');
    expect(String(F.NO_EXECUTE.union(F.BIT_9, F.PRESENT))).toBe(
      'PageTableFlags(PRESENT | BIT_9 | NO_EXECUTE)',
    );
    expect(`${F.empty()}`).toBe('PageTableFlags(0x0)');
  });

  test('bits without a name follow in hexadecimal', () => {
    expect(String(F.fromBitsRetain(0x1001n))).toBe('PageTableFlags(PRESENT | 0x1000)');
    expect(String(F.fromBitsRetain(0x3000n))).toBe('PageTableFlags(0x3000)');
  });
});
