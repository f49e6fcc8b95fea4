// Addresses, regions, flags, MAIR, tables: values without a map (notes, sections 3, 5, 6 and 15).
import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import {
  Attributes,
  BITS_PER_LEVEL,
  Constraints,
  El1Attributes,
  El23Attributes,
  LEAF_LEVEL,
  Mair,
  MairAttribute,
  MemoryRegion,
  NormalMemory,
  PAGE_SIZE,
  PhysicalAddress,
  Stage2Attributes,
  UpdateError,
  VirtualAddress,
} from './exports.ts';

const refusal = (code: string) => expect.objectContaining({ name: 'PageTableError', code });

test('constants', () => {
  expect([PAGE_SIZE, BITS_PER_LEVEL, LEAF_LEVEL]).toEqual([4096n, 9, 3]);
});

describe('addresses', () => {
  const low = new VirtualAddress(0x12n);
  const high = new VirtualAddress(0x1234n);

  test('differences and sums', () => {
    expect(high.sub(low)).toBe(0x1222n);
    expect(high.add(0x42n)).toEqual(new VirtualAddress(0x1276n));
    expect(high.sub(0x34n)).toEqual(new VirtualAddress(0x1200n));
    expect(new PhysicalAddress(0x1234n).sub(new PhysicalAddress(0x12n))).toBe(0x1222n);
    expect(new PhysicalAddress(0x1234n).add(0x42n).value).toBe(0x1276n);
  });

  test('what does not fit is refused', () => {
    expect(() => low.sub(high)).toThrow(refusal('OUT_OF_RANGE'));
    expect(() => low.sub(0x13n)).toThrow(refusal('OUT_OF_RANGE'));
    expect(() => new PhysicalAddress((1n << 64n) - 1n).add(1n)).toThrow(refusal('OUT_OF_RANGE'));
    for (const value of [-1n, (1n << 64n) + 1n]) {
      expect(() => new VirtualAddress(value)).toThrow(refusal('OUT_OF_RANGE'));
      expect(() => new PhysicalAddress(value)).toThrow(refusal('OUT_OF_RANGE'));
    }
    expect(() => new PhysicalAddress(1n << 64n)).toThrow(refusal('OUT_OF_RANGE'));
    // The end of a region that reaches to the last page.
    expect(String(new VirtualAddress(1n << 64n))).toBe('0x10000000000000000');
  });

  test('order and texts', () => {
    expect([low.compare(high), high.compare(low), low.compare(new VirtualAddress(0x12n))]).toEqual([
      -1, 1, 0,
    ]);
    expect([low < high, low.equals(new VirtualAddress(0x12n)), low.equals(high)]).toEqual([
      true,
      true,
      false,
    ]);
    expect(String(new VirtualAddress(0x1000n))).toBe('0x0000000000001000');
    expect(inspect(new VirtualAddress(0x1000n))).toBe('VirtualAddress(0x0000000000001000)');
    expect(inspect(new PhysicalAddress(0x1000n))).toBe('PhysicalAddress(0x0000000000001000)');
  });

  test('kinds are kept apart', () => {
    const physical = new PhysicalAddress(0x12n) as never;
    expect(() => low.compare(physical)).toThrow(refusal('BAD_ARGUMENT'));
    expect(() => low.equals(physical)).toThrow(refusal('BAD_ARGUMENT'));
    expect(() => high.sub(physical)).toThrow(refusal('BAD_ARGUMENT'));
    expect(() => new VirtualAddress(0x1000 as never)).toThrow(/the number 4096; expected .*: 4096n/);
    expect(() => new MemoryRegion(undefined as never, 1n)).toThrow(refusal('BAD_ARGUMENT'));
  });
});

describe('regions', () => {
  test('are rounded to pages', () => {
    const region = new MemoryRegion(0x1234n, 0x5_6789n);
    expect([region.start().value, region.end().value, region.len()]).toEqual([0x1000n, 0x5_7000n, 0x5_6000n]);
    expect([region.firstPage, region.endPage]).toEqual([1, 0x57]);
    expect([String(region), inspect(region)]).toEqual(
      Array(2).fill('0x0000000000001000..0x0000000000057000'),
    );
    const range = { start: new VirtualAddress(0x1234n), end: new VirtualAddress(0x5_6789n) };
    expect(MemoryRegion.fromRange(range).equals(region)).toBe(true);
    expect(MemoryRegion.ofPages(1, 0x57).equals(region)).toBe(true);
  });

  test('one byte is a page, none is nothing', () => {
    expect(new MemoryRegion(5n, 5n).len()).toBe(0x1000n);
    expect(new MemoryRegion(0x1000n, 0x1000n).isEmpty()).toBe(true);
    expect(new MemoryRegion(0n, 0n).isEmpty()).toBe(true);
  });

  test('may be backwards, and then has no length', () => {
    const region = new MemoryRegion(0x3000n, 0x1000n);
    expect(region.isEmpty()).toBe(false);
    expect(() => region.len()).toThrow(refusal('OUT_OF_RANGE'));
  });

  test('may reach to the last page', () => {
    for (const end of [1n << 64n, (1n << 64n) - 1n, (1n << 64n) - 4095n]) {
      const region = new MemoryRegion(0xffff_ffff_ffff_f000n, end);
      expect([region.end().value, region.len()]).toEqual([1n << 64n, 0x1000n]);
    }
    expect(new MemoryRegion(0n, (1n << 64n) - 4096n).endPage).toBe(2 ** 52 - 1);
    expect(new MemoryRegion(1n << 64n, 1n << 64n).isEmpty()).toBe(true);
  });

  test('of nothing else', () => {
    for (const [start, end] of [
      [-1n, 0n],
      [0n, -1n],
      [(1n << 64n) + 1n, 0n],
      [0n, (1n << 64n) + 1n],
    ] as const) {
      expect(() => new MemoryRegion(start, end)).toThrow(refusal('OUT_OF_RANGE'));
    }
    for (const page of [-1, 0.5, 2 ** 52 + 1, Number.NaN]) {
      expect(() => MemoryRegion.ofPages(page, 0)).toThrow(refusal('OUT_OF_RANGE'));
      expect(() => MemoryRegion.ofPages(0, page)).toThrow(refusal('OUT_OF_RANGE'));
    }
  });
});

describe('flags', () => {
  test.each<[string, bigint]>([
    ['VALID', 1n],
    ['TABLE_OR_PAGE', 2n],
    ['DEVICE_NGNRE', 0n],
    ['NORMAL', 0x304n],
    ['USER', 1n << 6n],
    ['READ_ONLY', 1n << 7n],
    ['ACCESSED', 1n << 10n],
    ['NON_GLOBAL', 1n << 11n],
    ['DBM', 1n << 51n],
    ['EXECUTE_NEVER', 3n << 53n],
    ['SWFLAG_0', 1n << 55n],
    ['SWFLAG_3', 1n << 58n],
  ])('Attributes.%s', (name, bits) => {
    expect(Attributes.fromName(name)?.bits()).toBe(bits);
    expect(Reflect.get(Attributes, name)).toEqual(Attributes.fromName(name));
  });

  test('all bits that each type names', () => {
    expect(Attributes.all().bits()).toBe(0x07e8_0000_0000_0fc7n);
    const unnamed = (bits: readonly number[]) => bits.reduce((all, at) => all | (1n << BigInt(at)), 0n);
    const outside = 0xffff_0000_0000_0fffn;
    expect(~El1Attributes.all().bits() & outside).toBe(unnamed([48, 49]));
    expect(~El23Attributes.all().bits() & outside).toBe(unnamed([48, 49, 53]));
    expect(~Stage2Attributes.all().bits() & outside).toBe(
      unnamed([11, 48, 49, 50, 51, 52, 53, 59, 60, 61, 62, 63]),
    );
    expect(El1Attributes.all().bits() & ~outside).toBe(1n << 16n);
    expect([El1Attributes.SHAREABILITY_MASK.bits(), El1Attributes.ATTRIBUTE_INDEX_MASK.bits()]).toEqual([
      0x300n,
      0x1cn,
    ]);
    expect([El23Attributes.XN.bits(), El23Attributes.USER_RES1.bits()]).toEqual([1n << 54n, 0x40n]);
    expect(Stage2Attributes.MEMATTR_DEVICE_nGRE.bits()).toBe(8n);
    expect(Stage2Attributes.S2AP_ACCESS_RW.bits()).toBe(0xc0n);
  });

  test.each<[string, { toString(): string }]>([
    ['Attributes(VALID | NORMAL | ACCESSED)', Attributes.fromBitsRetain(0x705n)],
    ['Attributes(0x300)', Attributes.fromBitsRetain(0x300n)],
    ['Attributes(0x0)', Attributes.empty()],
    ['El1Attributes(VALID | NON_GLOBAL)', El1Attributes.VALID.or(El1Attributes.NON_GLOBAL)],
    ['El1Attributes(ATTRIBUTE_INDEX_1 | ATTRIBUTE_INDEX_2)', El1Attributes.ATTRIBUTE_INDEX_3],
    ['El1Attributes(OUTER_SHAREABLE | INNER_SHAREABLE)', El1Attributes.INNER_SHAREABLE],
    [
      'El1Attributes(OUTER_SHAREABLE | INNER_SHAREABLE | NS)',
      El1Attributes.INNER_SHAREABLE.or(El1Attributes.NS),
    ],
    ['Stage2Attributes(S2AP_ACCESS_RO | S2AP_ACCESS_WO)', Stage2Attributes.S2AP_ACCESS_RW],
    [
      'Stage2Attributes(MEMATTR_DEVICE_nGnRE | MEMATTR_DEVICE_nGRE | MEMATTR_NORMAL_OUTER_NC | MEMATTR_NORMAL_OUTER_WT)',
      Stage2Attributes.MEMATTR_NORMAL_INNER_WB.or(Stage2Attributes.MEMATTR_NORMAL_OUTER_WB),
    ],
    ['Constraints(0x0)', Constraints.empty()],
    ['Constraints(NO_BLOCK_MAPPINGS | NO_CONTIGUOUS_HINT)', Constraints.all()],
    ['El1Attributes(VALID | 0x2000000000000)', El1Attributes.fromBitsRetain((1n << 49n) | 1n)],
  ])('%s', (text, flags) => {
    expect([String(flags), inspect(flags)]).toEqual([text, text]);
  });

  test('sets', () => {
    const { VALID, NORMAL, READ_ONLY, USER } = Attributes;
    const set = VALID.or(NORMAL, USER);
    expect(set.equals(VALID.union(NORMAL).union(USER))).toBe(true);
    expect(set.and(NORMAL.or(READ_ONLY))).toEqual(NORMAL);
    expect(set.intersection(READ_ONLY).isEmpty()).toBe(true);
    expect(set.xor(VALID.or(READ_ONLY))).toEqual(NORMAL.or(USER, READ_ONLY));
    expect(set.symmetricDifference(set).isEmpty()).toBe(true);
    expect(set.difference(VALID)).toEqual(NORMAL.or(USER));
    expect([set.contains(NORMAL), set.contains(READ_ONLY), set.intersects(READ_ONLY.or(USER))]).toEqual([
      true,
      false,
      true,
    ]);
    expect([set.isAll(), Attributes.all().isAll(), Attributes.empty().isEmpty()]).toEqual([
      false,
      true,
      true,
    ]);
    expect(set.contains(Attributes.DEVICE_NGNRE)).toBe(true);
    expect(VALID < NORMAL).toBe(true);
  });

  test('bits without a name', () => {
    const odd = 1n << 49n;
    expect(El1Attributes.fromBits(odd | 1n)).toBeUndefined();
    expect(El1Attributes.fromBits(-1n)).toBeUndefined();
    expect(El1Attributes.fromBits(5n)).toEqual(El1Attributes.VALID.or(El1Attributes.ATTRIBUTE_INDEX_1));
    expect(El1Attributes.fromBitsTruncate(odd | 1n)).toEqual(El1Attributes.VALID);
    const kept = El1Attributes.fromBitsRetain(odd | 1n);
    expect(kept.bits()).toBe(odd | 1n);
    expect(kept.or(El1Attributes.NS).bits()).toBe(odd | 0x21n);
    // A complement has named bits only.
    expect(kept.complement().bits()).toBe(El1Attributes.all().bits() & ~1n);
    expect(kept.complement().complement()).toEqual(El1Attributes.VALID);
    expect(El1Attributes.fromName('WRONG')).toBeUndefined();
  });

  test('types are kept apart', () => {
    expect(() => El1Attributes.VALID.or(El23Attributes.VALID as never)).toThrow(
      /El23Attributes\(VALID\); expected El1Attributes/,
    );
    for (const wrong of [undefined, null, 1n, {}]) {
      expect(() => El1Attributes.VALID.and(wrong as never)).toThrow(refusal('BAD_ARGUMENT'));
    }
  });
});

describe('MAIR', () => {
  const { NonCacheable, WriteBackNonTransientReadWriteAllocate, WriteBackTransientReadWriteAllocate } =
    NormalMemory;
  const nc = MairAttribute.normal(NonCacheable, NonCacheable);
  const wb = MairAttribute.normal(
    WriteBackNonTransientReadWriteAllocate,
    WriteBackTransientReadWriteAllocate,
  );
  const { DEVICE_NGNRE, DEVICE_NGNRNE } = MairAttribute;

  test('of eight attributes, and one by one', () => {
    const mair = new Mair([DEVICE_NGNRE, nc, wb, ...Array<MairAttribute>(5).fill(DEVICE_NGNRNE)]);
    expect(mair.value).toBe(0x7f_4404n);
    const built = Mair.EMPTY.withAttribute(0, DEVICE_NGNRE).withAttribute(1, nc).withAttribute(2, wb);
    expect(built.equals(mair)).toBe(true);
    expect(mair.attributes().map(({ value }) => value)).toEqual([4, 0x44, 0x7f, 0, 0, 0, 0, 0]);
    expect(mair.withAttribute(7, wb).withAttribute(7, nc).value).toBe(0x4400_0000_007f_4404n);
  });

  test('texts', () => {
    const wbText = 'Write-back non-transient, read-write-allocate';
    expect(String(new Mair(0x44_ff04n))).toBe(
      `{0: Device-nGnRE; 1: Normal, Inner ${wbText}, Outer ${wbText}; 2: Normal, Inner Non-Cacheable, Outer Non-Cacheable; ` +
        '3: Device-nGnRnE; 4: Device-nGnRnE; 5: Device-nGnRnE; 6: Device-nGnRnE; 7: Device-nGnRnE}',
    );
    expect([0, 4, 8, 12].map((value) => String(new MairAttribute(value)))).toEqual([
      'Device-nGnRnE',
      'Device-nGnRE',
      'Device-nGRE',
      'Device-GRE',
    ]);
    expect([1, 15, 0x40, 0xf0].map((value) => inspect(new MairAttribute(value)))).toEqual([
      'Unpredictable (0x01)',
      'Unpredictable (0x0f)',
      'Unpredictable (0x40)',
      'Unpredictable (0xf0)',
    ]);
  });

  test.each<[keyof typeof NormalMemory, number, string]>([
    ['WriteThroughTransientWriteAllocate', 1, 'Write-through transient, write-allocate'],
    ['WriteThroughTransientReadAllocate', 2, 'Write-through transient, read-allocate'],
    ['WriteThroughTransientReadWriteAllocate', 3, 'Write-through transient, read-write-allocate'],
    ['NonCacheable', 4, 'Non-Cacheable'],
    ['WriteBackTransientWriteAllocate', 5, 'Write-back transient, write-allocate'],
    ['WriteBackTransientReadAllocate', 6, 'Write-back transient, read-allocate'],
    ['WriteBackTransientReadWriteAllocate', 7, 'Write-back transient, read-write-allocate'],
    ['WriteThroughNonTransient', 8, 'Write-through non-transient, do not allocate'],
    ['WriteThroughNonTransientWriteAllocate', 9, 'Write-through non-transient, write-allocate'],
    ['WriteThroughNonTransientReadAllocate', 10, 'Write-through non-transient, read-allocate'],
    ['WriteThroughNonTransientReadWriteAllocate', 11, 'Write-through non-transient, read-write-allocate'],
    ['WriteBackNonTransient', 12, 'Write-back non-transient, do not allocate'],
    ['WriteBackNonTransientWriteAllocate', 13, 'Write-back non-transient, write-allocate'],
    ['WriteBackNonTransientReadAllocate', 14, 'Write-back non-transient, read-allocate'],
    ['WriteBackNonTransientReadWriteAllocate', 15, 'Write-back non-transient, read-write-allocate'],
  ])('%s', (name, bits, text) => {
    const attribute = MairAttribute.normal(NormalMemory[name], NonCacheable);
    expect(attribute.value).toBe(0x40 | bits);
    expect(String(attribute)).toBe(`Normal, Inner ${text}, Outer Non-Cacheable`);
  });

  test('what it does not take', () => {
    for (const index of [8, -1, 0.5]) {
      expect(() => Mair.EMPTY.withAttribute(index, nc)).toThrow(refusal('OUT_OF_RANGE'));
    }
    expect(() => new MairAttribute(256)).toThrow(refusal('OUT_OF_RANGE'));
    expect(() => new Mair(1n << 64n)).toThrow(refusal('OUT_OF_RANGE'));
    for (const nibble of [0, 16]) {
      expect(() => MairAttribute.normal(nibble as never, NonCacheable)).toThrow(refusal('OUT_OF_RANGE'));
    }
    for (const wrong of [[nc], 4, [...Array<number>(8).fill(4)]]) {
      expect(() => new Mair(wrong as never)).toThrow(refusal('BAD_ARGUMENT'));
    }
    expect(() => Mair.EMPTY.withAttribute(0, 4 as never)).toThrow(refusal('BAD_ARGUMENT'));
    expect(nc.equals(wb)).toBe(false);
  });
});

test('an UpdateError says why', () => {
  expect(new UpdateError()).toMatchObject({ code: 'UPDATE_FAILED', message: 'the callback failed' });
  expect(new UpdateError('not mine')).toMatchObject({ message: 'not mine' });
});
