// Maps as a whole: examples G of the notes (see README.md), texts, queries, where tables are, what is refused.
import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import {
  Attributes,
  BEHAVIOURS,
  Constraints,
  El1And0,
  El1Attributes,
  El2,
  El2And0,
  El3,
  El23Attributes,
  IdMap,
  IdTranslation,
  LinearMap,
  LinearTranslation,
  Mapping,
  MemoryRegion,
  PageTable,
  PhysicalAddress,
  RootTable,
  Stage2,
  Stage2Attributes,
  TargetAllocator,
  type Translation,
  VaRange,
  VirtualAddress,
} from './exports.ts';
import { F, G, M, P } from './machine.ts';

const refusal = (code: string) => expect.objectContaining({ name: 'PageTableError', code });
const V5 = { behaviour: BEHAVIOURS['0.5.0'] };
const V12 = { behaviour: BEHAVIOURS['0.12.1'] };
const none = Constraints.empty();
const el1 = (bits: bigint) => El1Attributes.fromBitsRetain(bits);
const word = (bytes: Uint8Array, at: number) => new DataView(bytes.buffer).getBigUint64(at, true);

describe('TargetAllocator', () => {
  test('gives the bytes of three tables (G)', () => {
    const tables = new TargetAllocator(0x1_0000n);
    const root = RootTable.withVaRange(tables, 1, El1And0, VaRange.Lower, V12);
    const { VALID, ATTRIBUTE_INDEX_0, INNER_SHAREABLE, UXN } = El1Attributes;
    root.mapRange(
      new MemoryRegion(0n, 0x1000n),
      0x4_2000n,
      VALID.or(ATTRIBUTE_INDEX_0, INNER_SHAREABLE, UXN),
      none,
    );
    const expected = new Uint8Array(12288);
    expected.set([3, 0x10, 1], 0);
    expected.set([3, 0x20, 1], 4096);
    expected.set([3, 0x23, 4, 0, 0, 0, 0x40], 8192);
    expect(tables.asBytes()).toEqual(expected);
    expect((root.translation() as TargetAllocator).asBytes()).toEqual(expected);
    expect([tables.size, tables.base().value]).toEqual([12288, 0x1_0000n]);
  });

  test('gives freed slots again, lowest first (G)', () => {
    const tables = new TargetAllocator(0x1_0000n);
    const map = Mapping.withAsidAndVaRange(tables, 1, 1, El1And0, VaRange.Lower);
    const at = (start: bigint) => map.mapRange(new MemoryRegion(start, start + P), start, el1(F), none);
    at(0n);
    at(G);
    expect(tables.size).toBe(20480);
    map.mapRange(new MemoryRegion(0n, G), 0n, el1(0n), none);
    expect(tables.size).toBe(20480);
    expect(tables.asBytes().subarray(4096, 12288)).toEqual(new Uint8Array(8192));
    at(2n * G);
    expect(tables.size).toBe(20480);
    const bytes = tables.asBytes();
    expect([word(bytes, 16), word(bytes, 4096), word(bytes, 8192)]).toEqual([
      0x1_1003n,
      0x1_2003n,
      0x8000_0707n,
    ]);
  });

  test('refuses bases that tables cannot have, and frames that are not its own', () => {
    expect(() => new TargetAllocator(0x1_0800n)).toThrow(refusal('MISALIGNED'));
    expect(() => new TargetAllocator(1n << 48n)).toThrow(refusal('OUT_OF_RANGE'));
    expect(() => new TargetAllocator(-4096n)).toThrow(refusal('OUT_OF_RANGE'));
    const last = new TargetAllocator(new PhysicalAddress(0xffff_ffff_f000n));
    expect(last.allocateTable()).toBe(2 ** 36 - 1);
    expect(() => last.allocateTable()).toThrow(refusal('OUT_OF_RANGE'));
    for (const frame of [0, 2 ** 36, Number.NaN]) {
      expect(() => last.deallocateTable(frame)).toThrow(refusal('BAD_ARGUMENT'));
    }
    last.deallocateTable(2 ** 36 - 1);
    expect(() => last.deallocateTable(2 ** 36 - 1)).toThrow(refusal('BAD_ARGUMENT'));
  });

  test('its memory is good for all that reads memory', () => {
    const tables = new TargetAllocator(0x1_0000n);
    new RootTable(tables, 1, VaRange.Lower).mapRange(
      new MemoryRegion(0n, P),
      0x5000n,
      Attributes.VALID,
      none,
    );
    expect(tables.memory.readEntry(0x10, 0)).toBe(0x1_1003);
    expect(tables.memory.locate(0x13)).toBe(-1);
  });
});

test('a heap gives each map of its own frames, and takes them back', () => {
  const map = new IdMap(1, 1);
  const heap = map.translation() as IdTranslation;
  expect(heap).toBeInstanceOf(IdTranslation);
  expect(map.rootAddress().value).toBe(heap.base().value);
  expect(heap.virtualToPhysical(heap.base().value)).toEqual(heap.base());
  map.mapRange(new MemoryRegion(0n, P), Attributes.VALID);
  expect(heap.size).toBe(3 * 4096);
});

describe('LinearTranslation (D11)', () => {
  test('takes virtual addresses for signed numbers', () => {
    const up = new LinearTranslation(1n << 39n);
    expect(up.virtualToPhysical(0xffff_ff80_0000_0000n).value).toBe(0n);
    expect(up.virtualToPhysical(new VirtualAddress(0xffff_ffff_ffff_f000n)).value).toBe(0x7f_ffff_f000n);
  });

  test('gives virtual addresses for physical ones', () => {
    const translation = new LinearTranslation(P);
    expect(translation.physicalToVirtual(0x2000n).value).toBe(0x1000n);
    for (const address of [0x1000n, (1n << 64n) - 4096n, -1n]) {
      expect(() => translation.physicalToVirtual(address)).toThrow(refusal('OUT_OF_RANGE'));
    }
    expect(new LinearTranslation(1n << 40n).physicalToVirtual(0n).value).toBe((1n << 64n) - (1n << 40n));
    expect(() => new LinearTranslation(-(1n << 63n)).physicalToVirtual(P)).toThrow(refusal('OUT_OF_RANGE'));
  });

  test('refuses an offset that is no multiple of 4096, or has no 64 bits', () => {
    expect(() => new LinearTranslation(0x800n)).toThrow(
      /Invalid offset 2048; expected a multiple of the page size 4096/,
    );
    expect(() => new LinearMap(1, 1, -1n, VaRange.Lower)).toThrow(refusal('MISALIGNED'));
    expect(() => new LinearTranslation(1n << 63n)).toThrow(refusal('OUT_OF_RANGE'));
  });
});

describe('regimes (G)', () => {
  test('stage 2', () => {
    const tables = new TargetAllocator(0x1_0000n);
    const map = new Mapping(tables, 1, Stage2, V12);
    const {
      VALID,
      MEMATTR_NORMAL_INNER_WB,
      MEMATTR_NORMAL_OUTER_WB,
      S2AP_ACCESS_RW,
      SH_INNER,
      ACCESS_FLAG,
      XN,
    } = Stage2Attributes;
    const flags = VALID.or(
      MEMATTR_NORMAL_INNER_WB,
      MEMATTR_NORMAL_OUTER_WB,
      S2AP_ACCESS_RW,
      SH_INNER,
      ACCESS_FLAG,
      XN,
    );
    expect(flags.bits()).toBe(0x40_0000_0000_07fdn);
    map.mapRange(new MemoryRegion(G, 0x4020_1000n), 0x8000_0000n, flags, none);
    const bytes = tables.asBytes();
    expect([word(bytes, 8), word(bytes, 4096), word(bytes, 4104), word(bytes, 8192)]).toEqual([
      0x1_1003n,
      0x40_0000_8000_07fdn,
      0x1_2003n,
      0x40_0000_8020_07ffn,
    ]);
  });

  test('EL3', () => {
    const tables = new TargetAllocator(0x1_0000n);
    const map = new IdMap(1, El3, { ...V12, translation: tables });
    const { VALID, ATTRIBUTE_INDEX_1, INNER_SHAREABLE, ACCESSED, XN, USER_RES1 } = El23Attributes;
    map.mapRange(
      new MemoryRegion(0n, P),
      VALID.or(ATTRIBUTE_INDEX_1, INNER_SHAREABLE, ACCESSED, XN, USER_RES1),
    );
    expect(word(tables.asBytes(), 8192)).toBe(0x40_0000_0000_0747n);
  });

  test('names', () => {
    expect([El1And0, El2And0, El2, El3, Stage2].map(({ name }) => name)).toEqual([
      'El1And0',
      'El2And0',
      'El2',
      'El3',
      'Stage2',
    ]);
  });
});

test('sizes (G), and roots that there are not', () => {
  expect([0, 1, 2, 3].map((level) => new IdMap(1, level).size())).toEqual([
    1n << 48n,
    1n << 39n,
    1n << 30n,
    1n << 21n,
  ]);
  for (const level of [4, -1, 0.5, Number.NaN]) {
    expect(() => new IdMap(1, level)).toThrow(`Invalid root table level ${level}`);
    expect(() => new RootTable(new IdTranslation(), level, El2)).toThrow(refusal('OUT_OF_RANGE'));
  }
  expect(() => new IdMap(-1, 1)).toThrow(refusal('OUT_OF_RANGE'));
  expect(() => new IdMap(0x1_0000, 1)).toThrow(refusal('OUT_OF_RANGE'));
});

test('a root knows its range and where it is', () => {
  const root = RootTable.withVaRange(new TargetAllocator(P), 2, El2And0, VaRange.Upper);
  expect([root.vaRange(), root.toPhysical().value, root.size()]).toEqual(['Upper', P, G]);
  expect(new RootTable(new TargetAllocator(P), 2, El2).vaRange()).toBe('Lower');
});

describe('arguments of constructors', () => {
  const translation = new TargetAllocator(P);
  const bad = refusal('BAD_ARGUMENT');

  test('a regime with ASIDs needs one, a regime without takes none', () => {
    expect(() => new IdMap(1, El1And0 as never)).toThrow(
      /the regime El1And0; expected a regime without ASIDs/,
    );
    expect(() => IdMap.withAsid(1, 1, El2 as never)).toThrow(/the regime El2; expected a regime with ASIDs/);
    expect(() => new LinearMap(1, 0n, El2And0 as never)).toThrow(bad);
    expect(() => LinearMap.withAsid(1, 1, 0n, Stage2 as never, VaRange.Lower)).toThrow(bad);
    expect(() => new Mapping(translation, 1, El1And0 as never)).toThrow(bad);
    expect(() => Mapping.withAsidAndVaRange(translation, 1, 1, El3 as never, VaRange.Lower)).toThrow(bad);
    expect(() => new RootTable(translation, 1, El1And0 as never)).toThrow(bad);
    expect(() => RootTable.withVaRange(translation, 1, El2 as never, VaRange.Lower)).toThrow(bad);
  });

  test('ranges and regimes that there are not', () => {
    expect(() => new RootTable(translation, 1, 'Middle' as never)).toThrow(bad);
    expect(() => new RootTable(translation, 1, undefined as never)).toThrow(bad);
    expect(() => new Mapping(translation, 1, 1, 'toString' as never)).toThrow(bad);
    expect(() => new IdMap(1, { ...El2 })).toThrow(bad);
    expect(() => new IdMap(1, null as never)).toThrow(bad);
  });
});

describe('debug texts (G)', () => {
  const pages = (base: bigint, scale: bigint) => {
    const root = RootTable.withVaRange(new TargetAllocator(base), 1, El1And0, VaRange.Lower, V12);
    const { VALID, NON_GLOBAL, READ_ONLY } = El1Attributes;
    const map = (from: bigint, to: bigint, flags: El1Attributes) =>
      root.mapRange(new MemoryRegion(from * scale, to * scale), from * scale, flags, none);
    map(3n, 6n, VALID.or(NON_GLOBAL));
    map(6n, 7n, VALID.or(READ_ONLY));
    map(8n, 9n, VALID.or(READ_ONLY));
    return root;
  };

  test('0.12: runs of entries', () => {
    const expected = `RootTable { pa: 0x0000000000000000, translation_regime: PhantomData<aarch64_paging::paging::El1And0>, va_range: Lower, level: 1, table:
0      : 0x00000000001003 (0x0000000000001000, El1Attributes(VALID | TABLE_OR_PAGE))
  0      : 0x00000000002003 (0x0000000000002000, El1Attributes(VALID | TABLE_OR_PAGE))
    0  -2  : 0
    3  -5  : 0x00000000003803 (0x0000000000003000, El1Attributes(VALID | TABLE_OR_PAGE | NON_GLOBAL))
    6      : 0x00000000006083 (0x0000000000006000, El1Attributes(VALID | TABLE_OR_PAGE | READ_ONLY))
    7      : 0
    8      : 0x00000000008083 (0x0000000000008000, El1Attributes(VALID | TABLE_OR_PAGE | READ_ONLY))
    9  -511: 0
  1  -511: 0
1  -511: 0
}`;
    expect(String(pages(0n, P))).toBe(expected);
    expect(inspect(pages(0n, P))).toBe(expected);
    expect(String(pages(0n, M))).toContain(`
  0  -2  : 0
  3  -5  : 0x00000000600801 (0x0000000000600000, El1Attributes(VALID | NON_GLOBAL))
  6      : 0x00000000c00081 (0x0000000000c00000, El1Attributes(VALID | READ_ONLY))
  7      : 0
  8      : 0x00000001000081 (0x0000000001000000, El1Attributes(VALID | READ_ONLY))
  9  -511: 0
1  -511: 0
}`);
  });

  test('0.5: runs of zeros only', () => {
    const root = new RootTable(new TargetAllocator(P), 3, VaRange.Lower, V5);
    root.mapRange(new MemoryRegion(3n * P, 6n * P), 3n * P, Attributes.NORMAL.or(Attributes.VALID), none);
    root.mapRange(new MemoryRegion(7n * P, 8n * P), 7n * P, Attributes.NORMAL, none);
    const line = (index: number) =>
      `${index}  : 0x0000000000${index}707 (0x000000000000${index}000, Attributes(VALID | TABLE_OR_PAGE | NORMAL | ACCESSED))\n`;
    expect(String(root)).toBe(
      `RootTable { pa: 0x0000000000001000, level: 3, table:\n0  -2: 0\n${line(3)}${line(4)}${line(5)}6  : 0\n` +
        '7  : 0x00000000007706\n8  -511: 0\n}',
    );
  });

  test('of an empty map, and of what is around it', () => {
    const tables = new TargetAllocator(P);
    const text = (name: string, range: string, level: number) =>
      `RootTable { pa: 0x0000000000001000, translation_regime: PhantomData<aarch64_paging::paging::${name}>, va_range: ${range}, level: ${level}, table:\n0  -511: 0\n}`;
    expect(String(new RootTable(tables, 1, El2))).toBe(text('El2', '()', 1));
    const fresh = () => ({ translation: new TargetAllocator(P) });
    expect(String(IdMap.withAsid(5, 1, El1And0, fresh()))).toBe(
      `IdMap { mapping: Mapping { root: ${text('El1And0', 'Lower', 1)}, asid: 5, active_count: 0 } }`,
    );
    const linear = new LinearMap(2, P, Stage2, fresh());
    linear.markActive();
    expect(String(linear)).toBe(
      `LinearMap { mapping: Mapping { root: ${text('Stage2', '()', 2)}, asid: (), active_count: 1 } }`,
    );
    const seed = new IdMap(1, 1, fresh());
    const around = (state: string) =>
      `IdMap { mapping: Mapping { root: RootTable { pa: 0x0000000000001000, level: 1, table:\n0  -511: 0\n}, asid: 1, previous_ttbr: ${state} } }`;
    expect(String(seed)).toBe(around('None'));
    seed.activate();
    expect(String(seed)).toBe(around('Some(18446744073709551615)'));
  });

  test('of descriptors: flags of 0.5 only if all have a name', () => {
    const seed = new RootTable(new TargetAllocator(P), 3, VaRange.Lower, V5);
    seed.mapRange(new MemoryRegion(0n, P), 0n, Attributes.fromBitsRetain((1n << 49n) | 1n), none);
    const seen: unknown[] = [];
    seed.walkRange(new MemoryRegion(0n, P), (_region, descriptor) => {
      seen.push(String(descriptor), descriptor.flags(), descriptor.isTableOrPage(), descriptor.isValid());
    });
    expect(seen).toEqual(['0x02000000000403', undefined, false, true]);
  });

  test.each<[bigint, boolean]>([
    [0n, false],
    [1n, false],
    [2n, false],
    [3n, true],
    [(1n << 50n) | (1n << 52n) | 3n, true],
  ])('of 0.12, bits 0 and 1 of %d alone tell tables and pages', (bits, expected) => {
    const root = RootTable.withVaRange(new TargetAllocator(P), 3, El1And0, VaRange.Lower);
    root.memory.writeEntry(1, 0, Number(bits & 0xffffn), Number(bits >> 32n));
    root.walkRange(new MemoryRegion(0n, P), (_region, descriptor) => {
      expect(descriptor.isTableOrPage()).toBe(expected);
      expect(descriptor.flags().bits()).toBe(bits);
    });
  });
});

describe('queries', () => {
  const map = Mapping.withAsidAndVaRange(new TargetAllocator(0x1_0000n), 1, 1, El1And0, VaRange.Upper);
  const start = 0xffff_ff80_0000_0000n;
  map.mapRange(new MemoryRegion(start, start + M + P), 0x4000_0000n, el1(F), none);
  map.mapRange(new MemoryRegion(start + G, start + 2n * G), 0x8000_0000n, el1(F), none);
  map.mapRange(new MemoryRegion(start + 2n * G, start + 2n * G + 2n * P), 0n, el1(F & ~1n), none);

  test('translate', () => {
    const found = (address: bigint) => {
      const translated = map.translate(address);
      return translated && [translated.address.value, translated.level, translated.descriptor.bits()];
    };
    expect(found(start + 0x1_2345n)).toEqual([0x4001_2345n, 2, 0x4000_0705n]);
    expect(found(start + M + 7n)).toEqual([0x4020_0007n, 3, 0x4020_0707n]);
    expect(map.translate(new VirtualAddress(start + 2n * G - 1n))?.address.value).toBe(0xbfff_ffffn);
    for (const address of [start + M + P, start + 2n * G, start - 1n, 0n, (1n << 64n) - 1n]) {
      expect(found(address)).toBeUndefined();
    }
    expect(() => map.translate(1n << 64n)).toThrow(refusal('OUT_OF_RANGE'));
  });

  test('what the hardware does not take for a leaf is none', () => {
    const odd = new IdMap(0, El2);
    // A valid entry at level 0, and one at level 3 without bit 1.
    odd.memory.writeEntry(odd.tables.root, 0, 0x401, 0);
    expect(odd.translate(0n)).toBeUndefined();
    const pages = new IdMap(3, El2);
    pages.memory.writeEntry(pages.tables.root, 0, 0x401, 0);
    expect(pages.translate(0n)).toBeUndefined();
  });

  test('statistics', () => {
    expect(map.statistics()).toEqual({ tables: [0, 1, 2, 2], valid: [0, 1, 1, 1], invalid: [0, 0, 0, 2] });
    expect(new IdMap(0, El2).statistics()).toEqual({
      tables: [1, 0, 0, 0],
      valid: [0, 0, 0, 0],
      invalid: [0, 0, 0, 0],
    });
  });
});

describe('PageTable', () => {
  test('shows a table of a map, or of any memory', () => {
    const map = new IdMap(3, El2);
    map.mapRange(new MemoryRegion(P, 2n * P), El23Attributes.VALID);
    const table = PageTable.at(map.memory, map.rootAddress(), El2);
    expect(String(table.get(1))).toBe(
      '0x00000000001043 (0x0000000000001000, El23Attributes(VALID | TABLE_OR_PAGE | USER_RES1))',
    );
    const bytes = new Uint8Array(4098).subarray(1, 4097);
    table.writeTo(bytes);
    expect([...bytes.subarray(8, 16)]).toEqual([0x43, 0x10, 0, 0, 0, 0, 0, 0]);
  });

  test('EMPTY is all zeros', () => {
    const bytes = new Uint8Array(4096).fill(1);
    PageTable.EMPTY.writeTo(bytes);
    expect(bytes).toEqual(new Uint8Array(4096));
    expect(PageTable.EMPTY.get(511).bits()).toBe(0n);
  });

  test('what it does not take', () => {
    const { memory } = new IdMap(1, 1);
    for (const bytes of [new Uint8Array(4095), new Uint8Array(4097), [] as never]) {
      expect(() => PageTable.EMPTY.writeTo(bytes)).toThrow(refusal('BAD_ARGUMENT'));
    }
    for (const index of [-1, 512, 0.5])
      expect(() => PageTable.EMPTY.get(index)).toThrow(refusal('OUT_OF_RANGE'));
    expect(() => PageTable.at(memory, 0x800n, El2)).toThrow(refusal('MISALIGNED'));
    expect(() => PageTable.at(memory, 0n, El2)).toThrow(refusal('NOT_IN_MEMORY'));
    expect(() => PageTable.at(memory, 0n, {} as never)).toThrow(refusal('BAD_ARGUMENT'));
  });
});

describe('freeing', () => {
  /** Remembers the order in which frames come back. */
  class Recording extends TargetAllocator implements Translation {
    readonly freed: number[] = [];

    override deallocateTable(frame: number): void {
      this.freed.push(frame);
      super.deallocateTable(frame);
    }
  }

  test('children in the order of their entries, then their parent, the root last', () => {
    const tables = new Recording(0n);
    const map = new Mapping(tables, 1, El2);
    for (const start of [G, 0n, 2n * M]) {
      map.mapRange(new MemoryRegion(start, start + P), start, El23Attributes.VALID, none);
    }
    // Tables: 1, 2 for the second GiB; 3 with 4 and 5 for the first one.
    map.free();
    expect(tables.freed).toEqual([4, 5, 3, 2, 1, 0]);
    for (const call of [
      () => map.free(),
      () => map.compactSubtables(),
      () => map.walkRange(new MemoryRegion(0n, P), () => undefined),
      () => map.translate(0n),
      () => String(map),
      () => map.activate(),
    ]) {
      expect(call).toThrow(/the map was freed/);
    }
    map[Symbol.dispose]();
  });

  test('compaction frees from below', () => {
    const tables = new Recording(0n);
    const map = new Mapping(tables, 1, El2);
    map.mapRange(new MemoryRegion(0n, P), 0n, El23Attributes.VALID, none);
    map.mapRange(new MemoryRegion(0n, P), 0n, El23Attributes.empty(), none);
    map.compactSubtables();
    expect(tables.freed).toEqual([2, 1]);
  });
});
