import { describe, expect, test } from 'vitest';
import { CopyOnWriteTableOps, MemoryTableOps } from '../../src/hyperlight-vmem/index.ts';
import {
  aarch64Paging,
  FORMAT_PAE,
  flatMemory,
  PageTableError,
  type PhysicalMemory,
  resolveAarch64Control,
  resolveX86Control,
  type X86Control,
  X86Cpu,
  x86Paging,
} from '../../src/index.ts';
import {
  AddressSpace,
  type CreateOptions,
  type MapOptions,
  SPACE_FORMATS,
  UnfinishedEdit,
} from '../../src/space/index.ts';
import { reader } from './judge.ts';
import { StrictAllocator } from './strict-allocator.ts';

const K4 = 0x1000n;
const M2 = 0x20_0000n;
const G1 = 0x4000_0000n;
const FRAMES = 64;

function setUp(options: Partial<CreateOptions> = {}) {
  const memory = flatMemory(new ArrayBuffer((FRAMES + 1) * 4096));
  const allocator = new StrictAllocator(1, FRAMES);
  const space = AddressSpace.create({ format: '4-level', memory, allocator, ...options });
  return { memory, allocator, space };
}

function errorOf(action: () => unknown): PageTableError {
  try {
    action();
  } catch (error) {
    if (error instanceof PageTableError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

/** The paging of tables written by hand. */
function pagingAt(frame: number) {
  return x86Paging(resolveX86Control({ cr3: BigInt(frame) << 12n }, true).control);
}

function put(memory: PhysicalMemory, frame: number, index: number, entry: bigint): void {
  memory.writeEntry(frame, index, Number(BigInt.asIntN(32, entry)), Number(BigInt.asIntN(32, entry >> 32n)));
}

function get(memory: PhysicalMemory, frame: number, index: number): bigint | undefined {
  return reader(memory)((BigInt(frame) << 12n) + BigInt(8 * index), 8);
}

describe('entries are those of the manuals', () => {
  // Intel SDM vol. 3A and Arm ARM, worked by hand.
  test('x86: kernel rw, no fetches, global, used and written to', () => {
    const { space, memory } = setUp();
    space.map(0n, K4, { physical: 0x1234_5000n, rights: 'rw', global: true });
    const { steps } = space.walk(0n);
    expect(get(memory, steps[3].tableFrame, 0)).toBe(0x8000_0000_1234_5163n);
    expect(get(memory, steps[0].tableFrame, 0)).toBe((BigInt(steps[1].tableFrame) << 12n) | 7n);
  });

  test('x86: a 2-MiB page of the type at PAT entry 5 has PAT at bit 12', () => {
    const { space, memory } = setUp();
    space.map(0n, M2, { physical: 0xfee0_0000n, rights: 'rw', type: 'WT' });
    expect(get(memory, space.walk(0n).steps[2].tableFrame, 0)).toBe(0x8000_0000_fee0_00ebn);
    const pat = 0x0007_0406_0007_0406n | (1n << 40n);
    const other = setUp({ control: { pat: (pat & ~(0xffn << 40n)) | (1n << 40n) } });
    other.space.map(0n, M2, { physical: 0xfee0_0000n, rights: 'rw', type: 'WC' });
    expect(get(other.memory, other.space.walk(0n).steps[2].tableFrame, 0)).toBe(0x8000_0000_fee0_10ebn);
  });

  test('AArch64: a kernel page and a block, and a member of a contiguous group', () => {
    const { space, memory } = setUp({ format: 'aarch64-4k' });
    space.map(0n, K4, { physical: 0x4000_1000n, rights: 'rw', global: true });
    expect(get(memory, space.walk(0n).steps[3].tableFrame, 0)).toBe(0x0060_0000_4000_1703n);
    space.map(M2, M2, { physical: 0x4020_0000n, rights: 'rx', global: true });
    expect(get(memory, space.walk(M2).steps[2].tableFrame, 1)).toBe(0x0040_0000_4020_0781n);
    space.map(0x1_0000n, 0x1_0000n, { physical: 0x4001_0000n, rights: 'rw', global: true, groups: true });
    expect(get(memory, space.walk(0n).steps[3].tableFrame, 16)).toBe(0x0070_0000_4001_0703n);
  });

  test('RISC-V: a page, a superpage, a pointer, a Svnapot group and a page of I/O', () => {
    const { space, memory } = setUp({ format: 'sv39', control: { svnapot: true, svpbmt: true } });
    space.map(0x1000n, K4, { physical: 0x8000_1000n, rights: 'rw', global: true });
    const last = space.walk(0x1000n).steps[2].tableFrame;
    expect(get(memory, last, 1)).toBe(0x2000_04e7n);
    space.map(M2, M2, { physical: 0x8020_0000n, rights: 'rx', global: true, dirty: true });
    expect(get(memory, space.walk(M2).steps[1].tableFrame, 1)).toBe(0x2008_00ebn);
    expect(get(memory, space.walk(M2).steps[1].tableFrame, 0)).toBe((BigInt(last) << 10n) | 1n);
    space.map(0x1_0000n, 0x1_0000n, { physical: 0x8001_0000n, rights: 'rw', groups: true });
    for (let i = 16; i < 32; i += 1) expect(get(memory, last, i)).toBe(0x8000_0000_2000_60c7n);
    space.map(0x2_0000n, K4, { physical: 0x1000_0000n, rights: 'rw', type: 'device' });
    expect(get(memory, last, 32)).toBe(0x4000_0000_0400_00c7n);
  });

  test('Sv32 and 32-bit paging: large pages above 4 GiB', () => {
    const { space, memory } = setUp({ format: 'sv32' });
    space.map(0n, 0x40_0000n, { physical: 0x3_0040_0000n, rights: 'rwx', user: true });
    expect(reader(memory)(BigInt(space.walk(0n).steps[0].tableFrame) << 12n, 4)).toBe(0xc010_00dfn);
    const x86 = setUp({ format: '32-bit' });
    x86.space.map(0n, 0x40_0000n, { physical: 0x9_0040_0000n, rights: 'rwx' });
    expect(reader(x86.memory)(BigInt(x86.space.walk(0n).steps[0].tableFrame) << 12n, 4)).toBe(0x0041_20e3n);
    const error = errorOf(() => x86.space.map(0x40_0000n, K4, { physical: 0x1_0000_0000n, rights: 'rwx' }));
    expect(error.code).toBe('OUT_OF_RANGE');
  });

  test('fields by the names of the manual', () => {
    const { space, memory } = setUp({ control: { cr4: (1n << 22n) | 0xb0n } });
    space.map(0n, K4, { physical: 0n, rights: 'r', user: true, fields: { PK: 3 } });
    expect((get(memory, space.walk(0n).steps[3].tableFrame, 0) ?? 0n) >> 59n).toBe(0b10011n);
    const error = errorOf(() => space.map(K4, K4, { physical: 0n, rights: 'r', fields: { PFN: 3 } }));
    expect(error.message).toMatch(/no field PFN .* expected one of .*PK/);
    expect(errorOf(() => space.map(K4, K4, { physical: 0n, rights: 'r', fields: { PK: 16 } })).code).toBe(
      'OUT_OF_RANGE',
    );
  });
});

describe('plans', () => {
  const busy = (space: AddressSpace) => {
    space.map(0n, 4n * M2, { physical: G1, rights: 'rwx' });
    space.map(8n * M2, 3n * K4, { physical: 5n * K4, rights: 'rwx', user: true });
  };

  test.each(SPACE_FORMATS)('%s: the writes that a plan lists are those that its commit makes', (format) => {
    const { space, memory } = setUp({ format });
    busy(space);
    const plans = [
      () => space.plan.protect(M2 + K4, M2, { rights: 'rx' }),
      () => space.plan.map(K4 * 7n, 2n * M2, { physical: 0x7000n, rights: 'rwx', overlap: 'replace' }),
      () => space.plan.unmap(0n, 3n * M2 + K4),
    ];
    for (const make of plans) {
      const plan = make();
      const before = memory.words.slice();
      const writes = [...plan.writes()];
      const { tablesMade } = space.commit(plan);
      // The same by hand, on what was there before.
      const wide = !['32-bit', 'sv32'].includes(format);
      const bytes = wide ? 8n : 4n;
      const shift = format.startsWith('sv') ? 10n : 12n;
      for (const frame of tablesMade) before.fill(0, frame * 1024, (frame + 1) * 1024);
      for (const { table, index, before: old, after, leadsTo } of writes) {
        const base = typeof table === 'bigint' ? table : BigInt(tablesMade[table.made]) << 12n;
        const word = Number((base + BigInt(index) * bytes) / 4n);
        const found = wide ? BigInt(before[word]) | (BigInt(before[word + 1]) << 32n) : BigInt(before[word]);
        expect(found).toBe(old);
        const entry = leadsTo === undefined ? after : after | (BigInt(tablesMade[leadsTo]) << shift);
        before[word] = Number(entry & 0xffff_ffffn);
        if (wide) before[word + 1] = Number(entry >> 32n);
      }
      expect(memory.words).toEqual(before);
    }
  });

  test('a plan is committed once, and not after another edit or a change from outside', () => {
    const { space, memory } = setUp();
    busy(space);
    const plan = space.plan.unmap(0n, M2);
    const late = space.plan.unmap(M2, M2);
    space.commit(plan);
    expect(errorOf(() => space.commit(plan)).message).toMatch(/committed already/);
    expect(errorOf(() => space.commit(late)).message).toMatch(/another edit was committed/);
    const third = space.plan.unmap(M2, M2);
    const { tableFrame, index } = space.walk(M2).steps[2];
    const old = get(memory, tableFrame, index) ?? 0n;
    // What a processor does by itself is no change.
    put(memory, tableFrame, index, old ^ 0x40n);
    const words = memory.words.slice();
    put(memory, tableFrame, index, old & ~2n);
    const error = errorOf(() => space.commit(third));
    expect(error.code).toBe('STALE_PLAN');
    expect(error.message).toContain((old & ~2n).toString(16));
    put(memory, tableFrame, index, old ^ 0x40n);
    expect(memory.words).toEqual(words);
    space.commit(third);
    expect(space.translate(M2).kind).toBe('not-present');
    expect(errorOf(() => setUp().space.commit(space.plan.unmap(0n, M2))).code).toBe('STALE_PLAN');
  });
});

describe('what cannot be is refused, and nothing changes', () => {
  const cases: readonly [string, (space: AddressSpace) => unknown, string, RegExp][] = [
    [
      'the first range in the way, and what is there',
      (space) => space.map(0n, M2, { physical: 0n, rights: 'r' }),
      'ALREADY_MAPPED',
      /0x0000000000004000 to 0x0000000000006000 is in use: mapped to 0x0000000000009000 in pages of 0x1000 bytes, user ---, supervisor rw-, WB;/,
    ],
    ['an address between two pages', (space) => space.unmap(1n, K4), 'MISALIGNED', /address 0x1;/],
    ['a length between two pages', (space) => space.unmap(0n, 1n), 'MISALIGNED', /length 0x1;/],
    ['no length', (space) => space.unmap(0n, 0n), 'OUT_OF_RANGE', /length above 0/],
    [
      'a range over the hole',
      (space) => space.map(0x7fff_ffff_f000n, 2n * K4, { physical: 0n, rights: 'r' }),
      'OUT_OF_RANGE',
      /\[0x0000000000000000, 0x0000800000000000\) or \[0xffff800000000000, 0x10000000000000000\)/,
    ],
    [
      'a physical address that there is not',
      (space) => space.map(0n, K4, { physical: 1n << 52n, rights: 'r' }),
      'OUT_OF_RANGE',
      /from 0x10000000000000 on/,
    ],
    [
      'rights that the format has not',
      (space) => space.map(0n, K4, { physical: 0n, rights: 'x' }),
      'NOT_REPRESENTABLE',
      /no pages that cannot be read/,
    ],
    [
      'rights that there are not',
      (space) => space.map(0n, K4, { physical: 0n, rights: 'wr' } as unknown as MapOptions),
      'BAD_ARGUMENT',
      /expected r, rw, rx, rwx or x/,
    ],
    [
      'a memory type that the machine has not',
      (space) => space.map(0n, K4, { physical: 0n, rights: 'r', type: 'WP' }),
      'NOT_REPRESENTABLE',
      /the machine has WB, WT, UC-, UC;/,
    ],
    [
      'a page size that the format has not',
      (space) => space.map(0n, K4, { physical: 0n, rights: 'r', maxPage: 0x4000n }),
      'BAD_ARGUMENT',
      /expected one of 0x1000, 0x200000, 0x40000000/,
    ],
    [
      'a hole where there shall be none',
      (space) => space.protect(0x4000n, 3n * K4, { rights: 'r' }),
      'NOT_MAPPED',
      /nothing is mapped at 0x0000000000006000/,
    ],
    [
      'user without rights',
      (space) => space.protect(0x4000n, K4, { user: true }),
      'BAD_ARGUMENT',
      /expected both/,
    ],
    [
      'unmap of a hole where that is asked for',
      (space) => space.unmap(0x3000n, 2n * K4, { missing: 'refuse' }),
      'NOT_MAPPED',
      /0x0000000000003000/,
    ],
    [
      'more tables than allowed',
      (space) => space.map(G1, G1, { physical: K4, rights: 'r' }),
      'LIMIT_EXCEEDED',
      /more than 100 tables/,
    ],
  ];

  test.each(cases)('%s', (_, action, code, message) => {
    const { space, memory, allocator } = setUp({ maxTables: 100 });
    space.map(0x4000n, 2n * K4, { physical: 0x9000n, rights: 'rw' });
    const words = memory.words.slice();
    const used = allocator.used.size;
    const error = errorOf(() => action(space));
    expect(error.code).toBe(code);
    expect(error.message).toMatch(message);
    expect(memory.words).toEqual(words);
    expect(allocator.used.size).toBe(used);
  });

  test('32-bit paging cannot refuse fetches', () => {
    const { space } = setUp({ format: '32-bit' });
    expect(errorOf(() => space.map(0n, K4, { physical: 0n, rights: 'rw' })).message).toMatch(/no XD bit/);
  });

  test('an allocator that gives what is no frame', () => {
    const { memory } = setUp();
    for (const frame of [FRAMES + 1, -1, 0.5, Number.NaN]) {
      const freed: number[] = [];
      const frames = [1, 2, frame];
      const allocator = { allocate: () => frames.shift(), free: (one: number) => freed.push(one) };
      const space = AddressSpace.create({ format: '4-level', memory, allocator });
      expect(errorOf(() => space.map(0n, K4, { physical: 0n, rights: 'r' })).code).toBe('INVALID_FRAME');
      expect(freed).toEqual([2]);
    }
  });
});

describe('a page that can be written is not executed, where that is asked for', () => {
  test.each(SPACE_FORMATS)('%s', (format) => {
    const { space, memory } = setUp({ format, writeXorExecute: true });
    const words = memory.words.slice();
    expect(errorOf(() => space.map(0n, K4, { physical: 0n, rights: 'rwx' })).code).toBe('WRITE_XOR_EXECUTE');
    expect(memory.words).toEqual(words);
    space.map(0n, 2n * M2, { physical: 0n, rights: 'rx' });
    const before = memory.words.slice();
    expect(errorOf(() => space.protect(K4, K4, { rights: 'rwx' })).code).toBe('WRITE_XOR_EXECUTE');
    expect(memory.words).toEqual(before);
    space.protect(K4, K4, { rights: 'rx', user: true });
  });

  test('rights count as they are in the end: an entry above that forbids writes is lifted, and what was below it stays', () => {
    const { memory, allocator } = setUp();
    allocator.take(40, 41, 42, 43);
    // PML4E 0 read-only; below it two pages that say writable and executable.
    put(memory, 40, 0, 0x29005n);
    put(memory, 41, 0, 0x2a007n);
    put(memory, 42, 0, 0x2b007n);
    put(memory, 43, 0, 0x1_0007n);
    put(memory, 43, 1, 0x1_1007n);
    put(memory, 41, 1, 0x8000_0083n | (1n << 63n));
    const space = AddressSpace.open({ memory, allocator, paging: pagingAt(40), writeXorExecute: true });
    space.protect(0n, K4, { rights: 'rx', user: true });
    space.map(2n * K4, K4, { physical: 0n, rights: 'rw' });
    expect(space.translate(0n)).toMatchObject({ user: 'r-x' });
    expect(space.translate(K4)).toMatchObject({ user: 'r-x', supervisor: 'r-x' });
    expect(space.translate(2n * K4)).toMatchObject({ user: '---', supervisor: 'rw-' });
    expect(space.translate(G1)).toMatchObject({ supervisor: 'r--' });
    expect(errorOf(() => space.protect(K4, K4, { rights: 'rwx' })).code).toBe('WRITE_XOR_EXECUTE');
  });
});

describe('tables that others use, too', () => {
  test('a table to which two entries lead is copied before it is changed, or the edit is refused', () => {
    const { memory, allocator } = setUp();
    allocator.take(40, 41);
    put(memory, 40, 0, 0x29007n);
    put(memory, 40, 1, 0x29007n);
    put(memory, 41, 0, 0x83n);
    const words = memory.words.slice();
    const refusing = AddressSpace.open({ memory, allocator, paging: pagingAt(40), whenShared: 'refuse' });
    const error = errorOf(() => refusing.unmap(0n, K4));
    expect(error.code).toBe('SHARED_TABLE');
    expect(error.message).toMatch(/table at 0x29000.* has 2 entries/);
    expect(memory.words).toEqual(words);
    const space = AddressSpace.open({ memory, allocator, paging: pagingAt(40) });
    space.unmap(0n, K4);
    expect(space.translate(0n).kind).toBe('not-present');
    expect(space.translate(1n << 39n)).toMatchObject({ physical: 0n });
    expect(get(memory, 41, 0)).toBe(0x83n);
    // The last one that uses it gives it up.
    const { tablesFreed } = space.unmap(1n << 39n, G1);
    expect(tablesFreed).toEqual([41]);
  });

  test('spaces that are opened together know what they share', () => {
    const { memory, allocator } = setUp();
    allocator.take(40, 41, 44);
    for (const root of [40, 44]) put(memory, root, 256, 0x29007n);
    put(memory, 41, 0, 0x83n);
    const first = AddressSpace.open({ memory, allocator, paging: pagingAt(40) });
    const second = AddressSpace.open({ memory, allocator, paging: pagingAt(44), sharesWith: [first] });
    const kernel = 0xffff_8000_0000_0000n;
    expect(second.unmap(kernel, G1).tablesFreed).toEqual([]);
    expect(first.translate(kernel)).toMatchObject({ physical: 0n });
    expect(
      errorOf(() =>
        AddressSpace.open({ memory, allocator, paging: pagingAt(40), sharesWith: [first, setUp().space] }),
      ).code,
    ).toBe('BAD_ARGUMENT');
  });

  test('an entry that leads back to the root is no sharing, and nothing is edited through it', () => {
    const { memory, allocator } = setUp();
    allocator.take(40);
    put(memory, 40, 511, 0x28003n);
    const space = AddressSpace.open({ memory, allocator, paging: pagingAt(40) });
    space.map(0n, K4, { physical: 0n, rights: 'r' });
    const window = 0xffff_ff80_0000_0000n;
    expect(errorOf(() => space.unmap(window, K4)).message).toMatch(/leads back to the table at 0x28000/);
    expect(space.unmap(0n, K4).tablesFreed.length).toBe(3);
    // The whole window goes without what it shows.
    expect(space.unmap(window, 1n << 39n).tablesFreed).toEqual([]);
    expect(get(memory, 40, 511)).toBe(0n);
  });
});

describe("entries that are not the tables' own", () => {
  test('what software keeps in an absent entry is in the way, and is not lost with its table', () => {
    const { space, memory, allocator } = setUp();
    space.map(0n, 2n * K4, { physical: 0n, rights: 'r' });
    const { tableFrame } = space.walk(0n).steps[3];
    put(memory, tableFrame, 2, 0x1234_0000n);
    expect(errorOf(() => space.map(2n * K4, K4, { physical: 0n, rights: 'r' })).message).toMatch(/software/);
    expect(space.unmap(0n, 2n * K4).tablesFreed).toEqual([]);
    space.map(0n, 4n * K4, { physical: 0n, rights: 'r', overlap: 'keep' });
    expect(get(memory, tableFrame, 2)).toBe(0x1234_0000n);
    space.map(0n, 4n * K4, { physical: 0n, rights: 'r', overlap: 'replace' });
    expect(space.translate(2n * K4)).toMatchObject({ physical: 2n * K4 });
    space.unmap(0n, 4n * K4);
    expect(allocator.used.size).toBe(1);
  });

  test('an entry with a reserved bit is named, and goes only as a whole', () => {
    const { memory, allocator } = setUp();
    allocator.take(40, 41, 42);
    put(memory, 40, 0, 0x29007n);
    put(memory, 41, 0, 0x2a007n);
    // PDE of a 2-MiB page with bit 13 set.
    put(memory, 42, 0, 0x2083n);
    const space = AddressSpace.open({ memory, allocator, paging: pagingAt(40) });
    for (const edit of [() => space.unmap(0n, K4), () => space.protect(0n, K4, { rights: 'r' })]) {
      expect(errorOf(edit).message).toMatch(/PDE for 0x0000000000000000 has a reserved bit set/);
    }
    expect(errorOf(() => space.map(0n, K4, { physical: 0n, rights: 'r' })).code).toBe('ALREADY_MAPPED');
    // Nothing else was in its tables.
    expect(space.unmap(0n, M2).tablesFreed).toEqual([42, 41]);
    expect(get(memory, 40, 0)).toBe(0n);
  });

  test('an empty table is not in the way of a large page', () => {
    const { memory, allocator } = setUp();
    allocator.take(40, 41, 42, 43);
    put(memory, 40, 0, 0x29007n);
    put(memory, 41, 0, 0x2a007n);
    put(memory, 42, 0, 0x2b007n);
    const space = AddressSpace.open({ memory, allocator, paging: pagingAt(40) });
    expect(space.map(0n, G1, { physical: 0n, rights: 'r' }).tablesFreed).toEqual([43, 42]);
    expect(space.translate(0n)).toMatchObject({ pageBytes: G1 });
  });

  test('a table that is not in memory is named', () => {
    const { memory, allocator } = setUp();
    put(memory, 40, 0, 0x1000_0007n);
    const space = AddressSpace.open({ memory, allocator, paging: pagingAt(40) });
    const error = errorOf(() => space.map(0n, K4, { physical: 0n, rights: 'r' }));
    expect(error.code).toBe('NOT_IN_MEMORY');
    expect(error.message).toMatch(/page-directory-pointer table for 0x0000000000000000 lies at 0x10000000/);
  });
});

describe("over a store of the user's", () => {
  const edits = (space: AddressSpace) => {
    space.map(0n, M2 + K4, { physical: 0n, rights: 'rw' });
    space.protect(K4, K4, { rights: 'r' });
    space.map(G1, 2n * K4, { physical: 0x7000n, rights: 'rx', user: true });
    space.unmap(0x1_0000n, K4);
    space.unmap(G1, K4);
  };
  const listOf = (space: AddressSpace) =>
    space
      .regions()
      .map((region) =>
        region.kind === 'mapped' ? { ...region, memoryType: region.memoryType?.name } : region,
      );

  test('tables that stay come out as in memory, and those that are not needed are given back', () => {
    const plain = setUp();
    edits(plain.space);
    const memory = flatMemory(new ArrayBuffer((FRAMES + 1) * 4096));
    const allocator = new StrictAllocator(1, FRAMES);
    const root = BigInt(allocator.allocate() ?? 0) << 12n;
    const ops = new MemoryTableOps(memory, {
      root,
      allocTable: () => BigInt(allocator.allocate() ?? 0) << 12n,
    });
    const space = AddressSpace.open({
      ops,
      paging: pagingAt(Number(root >> 12n)),
      freeTable: (table: bigint) => allocator.free(Number(table >> 12n)),
    });
    edits(space);
    expect(listOf(space)).toEqual(listOf(plain.space));
    expect(allocator.used.size).toBe(plain.allocator.used.size);
    // The store is read afresh for each question.
    memory.clearFrame(Number(root >> 12n));
    expect(space.regions()).toEqual([]);
  });

  test('tables that move leave the old ones as they were', () => {
    const memory = flatMemory(new ArrayBuffer((FRAMES + 1) * 4096));
    const allocator = new StrictAllocator(1, FRAMES);
    const first = AddressSpace.create({ format: '4-level', memory, allocator });
    first.map(0n, 3n * K4, { physical: 0x3000n, rights: 'rw' });
    const frozen = new Set([...allocator.used].map((frame) => BigInt(frame) << 12n));
    const words = memory.words.slice();
    const inner = new MemoryTableOps(memory, {
      root: first.roots[0],
      allocTable: () => BigInt(allocator.allocate() ?? 0) << 12n,
    });
    const ops = new CopyOnWriteTableOps(inner, (table) => frozen.has(table));
    const space = AddressSpace.open({ ops, paging: first.pagings[0] });
    space.protect(K4, K4, { rights: 'r' });
    space.map(G1, K4, { physical: 0x9000n, rights: 'rw' });
    expect(space.roots[0]).not.toBe(first.roots[0]);
    expect(first.translate(K4)).toMatchObject({ supervisor: 'rw-' });
    expect(first.translate(G1).kind).toBe('not-present');
    expect(space.translate(K4)).toMatchObject({ supervisor: 'r--', physical: 0x4000n });
    expect(space.translate(G1)).toMatchObject({ supervisor: 'rw-', physical: 0x9000n });
    for (const table of frozen) {
      const at = Number(table) / 4;
      expect(memory.words.slice(at, at + 1024)).toEqual(words.slice(at, at + 1024));
    }
  });
});

test('on a SharedArrayBuffer the same bytes come out', () => {
  const plain = setUp();
  const shared = setUp({ memory: flatMemory(new SharedArrayBuffer((FRAMES + 1) * 4096)) });
  for (const { space } of [plain, shared]) {
    space.map(0n, 2n * M2 + K4, { physical: G1, rights: 'rw' });
    space.protect(K4, 3n * K4, { rights: 'r' });
    space.unmap(M2, K4);
  }
  expect(shared.space.regions()).toEqual(plain.space.regions());
});

test('a clone has registers of its own', () => {
  for (const format of SPACE_FORMATS) {
    const asid = ['32-bit', 'PAE'].includes(format) ? 0 : 5;
    const { space } = setUp({ format, asid });
    space.map(0n, K4, { physical: 0n, rights: 'rwx' });
    const clone = space.clone({ tables: 'share' });
    expect(clone.pagings.length).toBe(space.pagings.length);
    expect(clone.translate(0n)).toEqual(space.translate(0n));
    expect(clone.roots).not.toEqual(space.roots);
    const { control } = clone;
    if (control !== undefined && 'cr3' in control) expect(control.cr3).toBe(clone.roots[0] | BigInt(asid));
    if (control !== undefined && 'satp' in control)
      expect(control.satp & 0x3f_ffffn).toBe(clone.roots[0] >> 12n);
    if (control !== undefined && 'ttbr1' in control) expect(control.ttbr1).toBe(clone.roots[1] | (5n << 48n));
    clone.unmap(0n, K4);
    expect(space.translate(0n).kind).toBe('mapped');
  }
});

describe('spaces that registers cannot use', () => {
  test('a root above 4 GiB where CR3 has 32 bits', () => {
    const memory = flatMemory(new ArrayBuffer(0x4000), [{ address: 1n << 32n, offset: 0, length: 0x4000 }]);
    const freed: number[] = [];
    const allocator = { allocate: () => 0x10_0000, free: (frame: number) => freed.push(frame) };
    const error = errorOf(() => AddressSpace.create({ format: 'PAE', memory, allocator }));
    expect(error.code).toBe('INVALID_FRAME');
    expect(error.message).toMatch(/x86 PAE paging can hold/);
    expect(freed).toEqual([0x10_0000]);
  });

  test('tables larger than a frame', () => {
    const { memory, allocator } = setUp();
    const tcr = 16n | (1n << 14n) | (16n << 16n) | (3n << 30n) | (5n << 32n);
    const { control } = resolveAarch64Control({ tcr, ttbr0: 0n, ttbr1: 0n });
    const paging = aarch64Paging(control, 'lower');
    if (paging === undefined) throw new Error('no walks');
    expect(errorOf(() => AddressSpace.open({ memory, allocator, paging })).message).toMatch(
      /64K granule.* tables of 65536 bytes/,
    );
  });

  test('a half that makes no walks takes no frame', () => {
    const { memory, allocator } = setUp();
    const used = allocator.used.size;
    const tcr = 16n | (1n << 23n) | (16n << 16n) | (2n << 30n) | (5n << 32n);
    const space = AddressSpace.create({ format: 'aarch64-4k', memory, allocator, control: { tcr } });
    expect(allocator.used.size).toBe(used + 1);
    space.map(0n, K4, { physical: 0n, rights: 'r' });
    expect(errorOf(() => space.map(0xffff_0000_0000_0000n, K4, { physical: 0n, rights: 'r' })).code).toBe(
      'OUT_OF_RANGE',
    );
  });
});

describe('what a caller does in between', () => {
  test('a plan does not outlive that its tables came to be shared', () => {
    const { space } = setUp();
    space.map(0x40_0000n, 4n * K4, { physical: 0x10_0000n, rights: 'rw' });
    const plan = space.plan.unmap(0x40_0000n, 4n * K4);
    const clone = space.clone({ tables: 'share' });
    expect(errorOf(() => space.commit(plan)).code).toBe('STALE_PLAN');
    expect(clone.translate(0x40_0000n).kind).toBe('mapped');
  });

  test('neither the allocator nor who invalidates edits', () => {
    const { space, memory, allocator } = setUp();
    const codes: string[] = [];
    const nested = AddressSpace.create({
      format: '4-level',
      memory,
      allocator: {
        allocate: () => {
          if (codes.length > 0) codes.push(errorOf(() => nested.unmap(0n, K4)).code);
          return allocator.allocate();
        },
        free: (frame) => allocator.free(frame),
      },
      live: true,
    });
    nested.map(0n, K4, { physical: 0n, rights: 'rw' });
    codes.push('begin');
    nested.map(M2, K4, { physical: 0n, rights: 'rw' });
    nested.unmap(0n, K4, { invalidate: () => expect(nested.translate(M2).kind).toBe('mapped') });
    expect(codes).toEqual(['begin', 'REENTERED']);
    expect(nested.translate(M2).kind).toBe('mapped');
    expect(space.translate(0n).kind).toBe('not-present');
  });

  test('what a processor marks while entries are absent is not lost', () => {
    const { space, memory } = setUp({ live: true });
    space.map(M2, M2, { physical: M2, rights: 'rw', dirty: false });
    space.map(2n * M2, K4, { physical: 2n * M2, rights: 'rw', dirty: false });
    const cpu = new X86Cpu(memory, space.control as X86Control);
    space.protect(2n * M2 - K4, 2n * K4, {
      rights: 'r',
      invalidate: () => cpu.write(2n * M2, 8, 1n),
    });
    const { tableFrame } = space.walk(2n * M2).steps[3];
    expect((get(memory, tableFrame, 0) ?? 0n) & 0x40n).toBe(0x40n);
    expect(space.translate(2n * M2)).toMatchObject({ supervisor: 'r--' });
  });

  test('an error of the last invalidation leaves the edit, and says what is still to be done', () => {
    const { space, allocator } = setUp({ live: true });
    space.map(0n, K4, { physical: 0n, rights: 'rw' });
    const error = errorOf(() =>
      space.unmap(0n, K4, {
        invalidate: () => {
          throw new Error('no answer');
        },
      }),
    );
    expect(error.code).toBe('UPDATE_FAILED');
    expect(error).toBeInstanceOf(UnfinishedEdit);
    expect(allocator.used.size).toBe(4);
    if (error instanceof UnfinishedEdit) error.result.release();
    expect(allocator.used.size).toBe(1);
  });
});

describe('protect leaves what it is not asked to change', () => {
  test.each(SPACE_FORMATS)('%s: rights are given to whom each page is for', (format) => {
    const { space } = setUp({ format });
    const first = format === '32-bit' ? 'rwx' : 'rw';
    space.map(0n, K4, { physical: 0n, rights: first, user: true });
    space.map(K4, K4, { physical: K4, rights: first });
    space.protect(0n, 2n * K4, { rights: 'rx' });
    const [user, kernel] = [space.translate(0n), space.translate(K4)];
    expect(user).toMatchObject({ user: 'r-x' });
    expect(kernel).toMatchObject({ user: '---', supervisor: 'r-x' });
  });
});

describe('words, numbers and ends', () => {
  test('physical addresses end where the machine says', () => {
    for (const [format, physBits] of [
      ['4-level', 40],
      ['aarch64-4k', 40],
      ['sv39', 40],
    ] as const) {
      const { space } = setUp({ format, control: { physBits } });
      const end = 1n << 40n;
      expect(errorOf(() => space.map(0n, M2, { physical: end, rights: 'r' })).code).toBe('OUT_OF_RANGE');
      expect(errorOf(() => space.map(0n, 2n * K4, { physical: end - K4, rights: 'r' })).code).toBe(
        'OUT_OF_RANGE',
      );
      space.map(0n, M2, { physical: end - M2, rights: 'r' });
    }
  });

  test('what is none of the words is refused', () => {
    const { space } = setUp();
    const wrong = (options: object) => ({ physical: 0n, rights: 'r', ...options }) as unknown as MapOptions;
    for (const action of [
      () => space.map(0n, K4, wrong({ overlap: 'Keep' })),
      () => space.unmap(0n, K4, { missing: 'refused' as 'refuse' }),
      () => space.protect(0n, K4, { rights: 'r', missing: 'refused' as 'refuse' }),
      () => space.clone({ tables: 'shared' as 'share' }),
      () => setUp({ whenShared: 'copies' as 'copy' }),
      () => setUp({ spuriousFaults: 'never' as 'avoid' }),
    ]) {
      expect(errorOf(action)).toMatchObject({ code: 'BAD_ARGUMENT' });
    }
    expect(errorOf(() => setUp({ maxTables: -1 })).code).toBe('OUT_OF_RANGE');
    const svpbmt = setUp({ format: 'sv39', control: { svpbmt: true } }).space;
    expect(
      errorOf(() => svpbmt.map(0n, K4, { physical: 0n, rights: 'r', type: 'reserved' })).message,
    ).toMatch(/the machine has PMA, NC, IO;/);
  });

  test('identifiers that registers cannot hold', () => {
    const ends = {
      PAE: 1,
      '32-bit': 1,
      '4-level': 4096,
      '5-level': 4096,
      'aarch64-4k': 65536,
      sv32: 512,
      sv39: 65536,
    } as const;
    for (const [format, end] of Object.entries(ends)) {
      const its = format as keyof typeof ends;
      for (const asid of [end, -1, 0.5])
        expect(errorOf(() => setUp({ format: its, asid })).code).toBe('OUT_OF_RANGE');
      expect(setUp({ format: its, asid: end - 1 }).space.asid).toBe(end - 1);
    }
    // CR4.PCIDE and TCR_EL1.AS, without which the registers have no such identifiers.
    expect(setUp({ asid: 8 }).space.control).toMatchObject({ cr4: 0x2_00b0n });
    const { control } = setUp({ format: 'aarch64-4k', asid: 300 }).space;
    expect(control !== undefined && 'tcr' in control && (control.tcr >> 36n) & 1n).toBe(1n);
  });

  test('the plans of two halves can all be committed', () => {
    const { space } = setUp({ format: 'aarch64-4k' });
    for (const base of [0n, 0xffff_0000_0000_0000n]) {
      space.map(base, M2, { physical: 0n, rights: 'rw', maxPage: K4 });
    }
    for (const plan of space.plan.compact()) space.commit(plan);
    for (const base of [0n, 0xffff_0000_0000_0000n])
      expect(space.translate(base)).toMatchObject({ pageBytes: M2 });
  });

  test('a space that is given up takes its tables with it, and leaves those of others', () => {
    for (const format of SPACE_FORMATS) {
      const { space, allocator } = setUp({ format });
      space.map(0n, 3n * K4, { physical: 0n, rights: 'rwx' });
      const used = allocator.used.size;
      const clone = space.clone({ tables: 'share' });
      clone.unmap(0n, K4);
      clone.destroy();
      expect(allocator.used.size).toBe(used);
      expect(space.translate(0n).kind).toBe('mapped');
      expect(errorOf(() => clone.translate(0n)).message).toMatch(/destroyed/);
      space.destroy();
      expect(allocator.used.size).toBe(0);
    }
  });

  test('one root is one space', () => {
    const { space, memory, allocator } = setUp();
    const error = errorOf(() =>
      AddressSpace.open({ memory, allocator, paging: space.pagings, sharesWith: [space] }),
    );
    expect(error.message).toMatch(/another space has the root 0x0000000000001000/);
  });
});

describe('halves of entries, and roots that begin inside a frame', () => {
  test('a change from outside is seen in bits 63:32, too', () => {
    const { space, memory } = setUp();
    space.map(0n, K4, { physical: 0n, rights: 'rw' });
    const plan = space.plan.protect(0n, K4, { rights: 'r' });
    const { tableFrame } = space.walk(0n).steps[3];
    put(memory, tableFrame, 0, (get(memory, tableFrame, 0) ?? 0n) & ~(1n << 63n));
    expect(errorOf(() => space.commit(plan)).code).toBe('STALE_PLAN');
  });

  test('PAE: a root of 32 bytes that does not begin its frame', () => {
    for (const buffer of [new ArrayBuffer((FRAMES + 1) * 4096), new SharedArrayBuffer((FRAMES + 1) * 4096)]) {
      const memory = flatMemory(buffer);
      const allocator = new StrictAllocator(1, FRAMES);
      allocator.take(40);
      const { control } = resolveX86Control({ cr3: 0x2_8040n }, undefined, FORMAT_PAE);
      const space = AddressSpace.open({ memory, allocator, paging: x86Paging(control) });
      const plan = space.plan.map(G1, 2n * K4, { physical: 0x7000n, rights: 'rw' });
      const [write] = [...plan.writes()].filter(({ depth }) => depth === 0);
      expect(write).toMatchObject({ table: 0x2_8040n, index: 1 });
      space.commit(plan);
      expect(get(memory, 40, 8)).toBe(0n);
      expect((get(memory, 40, 9) ?? 0n) & 1n).toBe(1n);
      expect(space.translate(G1 + K4)).toMatchObject({ physical: 0x8000n });
    }
  });

  test('a limit of the upper half of an entry is lifted, and stays for what was there', () => {
    const { memory, allocator } = setUp();
    allocator.take(40, 41, 42, 43);
    put(memory, 40, 0, 0x29007n | (1n << 63n));
    put(memory, 41, 0, 0x2a007n);
    put(memory, 42, 0, 0x2b007n);
    for (const index of [0, 1]) put(memory, 43, index, 0x1_0007n + BigInt(index) * K4);
    const space = AddressSpace.open({ memory, allocator, paging: pagingAt(40) });
    space.protect(0n, K4, { rights: 'rx' });
    expect(space.translate(0n)).toMatchObject({ user: 'r-x' });
    expect(space.translate(K4)).toMatchObject({ user: 'rw-' });
    expect(get(memory, 40, 0)).toBe(0x29007n);
    // Each table passes the limit on to what is beside the way.
    expect((get(memory, 43, 1) ?? 0n) >> 63n).toBe(1n);
  });

  test('pages beside tables that go are ranges of their own', () => {
    const { space } = setUp({ format: 'aarch64-4k' });
    space.map(0n, M2 + 2n * K4, { physical: 0n, rights: 'rw', maxPage: K4 });
    const { invalidations } = space.unmap(0n, M2 + K4);
    expect(invalidations.map(({ address, bytes, scope }) => [address, bytes, scope])).toEqual([
      [0n, M2, 'all'],
      [M2, K4, 'pages'],
    ]);
  });
});
