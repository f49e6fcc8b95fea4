// Ready-made operations, what they refuse, and what is refused of a user's.
import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import {
  aarch64,
  amd64,
  CopyOnWriteTableOps,
  type FixedTableOps,
  GuestPageTableBuffer,
  type Mapping,
  MemoryTableOps,
  map,
  mergedMappings,
  scratchBaseGva,
  spaceAwareMap,
  virtToPhys,
  walkVaSpaces,
} from '../../src/hyperlight-vmem/index.ts';
import { flatMemory, memoryOfTables } from '../../src/memory/index.ts';
import { copyOnWriteStore, kind, MapOps, PAGE, pages, put, ROOT, ramStore } from './stores.ts';

/** As much of WebAssembly as is needed; its types are only in the DOM library. */
declare const WebAssembly: {
  Memory: new (descriptor: {
    readonly initial: number;
  }) => {
    readonly buffer: ArrayBuffer;
    grow(delta: number): number;
  };
};

const code = (expected: string) => expect.objectContaining({ code: expected });
/** Something of another type than the compiler allows. */
const wrong = <T>(value: unknown) => value as T;

describe('arguments', () => {
  const good: Mapping = { physBase: 0x5000n, virtBase: 0x1000n, len: PAGE, kind: kind('rw-') };

  test.each<[what: string, given: Partial<Record<keyof Mapping, unknown>>, message: string]>([
    ['a number', { physBase: 5 }, 'map: physBase: the number 5; expected a bigint'],
    ['nothing', { virtBase: undefined }, 'map: virtBase: undefined; expected a bigint'],
    ['a negative address', { virtBase: -1n }, 'map: virtBase is -0x1; expected 0 to 2^64 - 1'],
    ['65 bits', { len: 1n << 64n }, 'map: len is 0x10000000000000000; expected 0 to 2^64 - 1'],
    [
      'a range that goes round',
      { virtBase: 0x800n, len: 1n << 48n },
      'map: virtBase 0x800 and len 0x1000000000000 touch 68719476737 pages; expected at most 2^36, all there are',
    ],
    ['no kind', { kind: undefined }, 'map: kind is undefined; expected Unmapped, Basic or Cow'],
    ['another kind', { kind: { kind: 'basic' } }, 'map: kind is basic; expected Unmapped, Basic or Cow'],
  ])('%s is refused, and nothing is touched', (_, given, message) => {
    const ops = new MapOps();
    expect(() => map(amd64, ops, wrong({ ...good, ...given }))).toThrow(message);
    expect(ops.log).toEqual([]);
  });

  test('a forgotten architecture is told', () => {
    const ops = new MapOps();
    expect(() => map(wrong(ops), wrong<MapOps>(good), wrong(undefined))).toThrow(
      /^map: architecture: .*; expected amd64 or aarch64 as first argument$/,
    );
    expect(() => virtToPhys(wrong(undefined), ops, 0n, 1n)).toThrow(/^virtToPhys: architecture: undefined/);
    expect(() => walkVaSpaces(wrong('amd64'), ops, [], 0n, 1n)).toThrow(/^walkVaSpaces: architecture: amd64/);
  });

  test('operations that lack a method are told by its name', () => {
    const { readEntry: _, ...others } = { ...good, entryAddr: () => 0n, readEntry: 0 };
    expect(() => virtToPhys(amd64, wrong<MapOps>(others), 0n, 1n)).toThrow(
      'virtToPhys: operations without readEntry',
    );
    expect(() => virtToPhys(amd64, wrong<MapOps>(undefined), 0n, 1n)).toThrow(
      'virtToPhys: operations without entryAddr',
    );
    const reader = new MapOps();
    const readOnly = {
      entryAddr: reader.entryAddr,
      readEntry: () => 0n,
      toPhys: reader.toPhys,
      fromPhys: reader.fromPhys,
      rootTable: () => 0n,
    };
    expect(() => map(amd64, wrong<MapOps>(readOnly), good)).toThrow(
      'map: operations without allocTable; expected TableOps',
    );
  });

  test('entries that are no bigint', () => {
    const ops = new MapOps();
    ops.readEntry = () => wrong(0);
    expect(() => map(amd64, ops, good)).toThrow('readEntry returned: the number 0; expected a bigint');
  });

  test('what fixed tables return for a write is not looked at', () => {
    const words = new Map<bigint, bigint>();
    const inner = new MapOps();
    const ops: FixedTableOps<bigint> = {
      tableMovability: 'MayNotMoveTable',
      entryAddr: inner.entryAddr,
      readEntry: (addr) => words.get(addr) ?? 0n,
      toPhys: inner.toPhys,
      fromPhys: inner.fromPhys,
      rootTable: () => ROOT,
      allocTable: () => inner.allocTable(),
      writeEntry: (addr, entry) => words.set(addr, entry),
    };
    map(amd64, ops, good);
    expect(pages(amd64, ops)).toEqual([[0x1000n, 0x5000n, 'rw-']]);
  });

  test.each<[what: string, methods: object, message: string]>([
    ['a mapping is forgotten', {}, 'map: undefined; expected a mapping'],
    [
      'no movability',
      { tableMovability: 'Never' },
      'map: tableMovability of the operations: Never; expected',
    ],
    [
      'a table that moves, and no updateRoot',
      { tableMovability: 'MayMoveTable' },
      'map: operations without updateRoot; expected MovableTableOps',
    ],
    ['no table', { allocTable: () => undefined }, 'allocTable returned: undefined; expected a table'],
    ['an address that is none', { toPhys: () => 5 }, 'toPhys returned: the number 5; expected a bigint'],
    [
      'a misaligned table',
      { allocTable: () => 0x2345n },
      'allocTable: table at physical address 0x2345; expected',
    ],
    [
      'a table too far away',
      { allocTable: () => 1n << 52n },
      'allocTable: table at physical address 0x10000000000000',
    ],
  ])('%s: refused, and nothing is written', (what, methods, message) => {
    const ops = Object.assign(new MapOps(), methods);
    expect(() => map(amd64, ops, what === 'a mapping is forgotten' ? wrong(undefined) : good)).toThrow(
      expect.objectContaining({ name: 'PageTableError', message: expect.stringContaining(message) }),
    );
    expect(ops.words.size).toBe(0);
  });

  test.each<[what: string, call: (ops: MapOps) => unknown, message: string]>([
    [
      'one root instead of a list',
      (ops) => walkVaSpaces(amd64, ops, wrong(ROOT), 0n, 1n),
      'expected an array of roots',
    ],
    ['a root that is none', (ops) => walkVaSpaces(amd64, ops, [wrong(undefined)], 0n, 1n), 'expected a root'],
    [
      'a misaligned root',
      (ops) => walkVaSpaces(amd64, ops, [0x123n], 0n, 1n),
      'root at 0x123; expected a multiple',
    ],
    [
      'no limit',
      (ops) => walkVaSpaces(amd64, ops, [ROOT], 0n, 1n, { maxTables: Number.NaN }),
      'a number from 0',
    ],
    [
      'no limit of items',
      (ops) => walkVaSpaces(amd64, ops, [ROOT], 0n, 1n, { maxItems: -1 }),
      'a number from 0',
    ],
    [
      'no limit either',
      (ops) => virtToPhys(amd64, ops, 0n, 1n, { maxTables: wrong('9') }),
      'a number from 0',
    ],
    [
      'a forgotten reference',
      (ops) => spaceAwareMap(amd64, ops, wrong(undefined), new Map()),
      'expected a reference',
    ],
    [
      'forgotten roots',
      (ops) => spaceAwareMap(amd64, ops, { depth: 1, space: ROOT, ourVa: 0n, theirVa: 0n }, wrong({})),
      'expected a Map of built roots',
    ],
    ['no memory', () => new MemoryTableOps(wrong(undefined), { root: 0n }), 'expected a PhysicalMemory'],
    [
      'bytes for a memory',
      () => new MemoryTableOps(wrong(new Uint8Array(9)), { root: 0n }),
      'expected a PhysicalMemory',
    ],
    [
      'no options',
      () => new MemoryTableOps(ramStore().memory, wrong(undefined)),
      'expected options with the root',
    ],
    ['null for options', () => new GuestPageTableBuffer(0n, wrong(null)), 'expected options, or none'],
    [
      'a limit of tables that is none',
      () => new GuestPageTableBuffer(0n, { maxTables: 16.5 }),
      'a whole number from 1',
    ],
    [
      'nothing to copy',
      () => new CopyOnWriteTableOps(wrong<MapOps>(undefined), () => true),
      'expected operations on tables',
    ],
    ['no store', () => memoryOfTables(wrong<MapOps>(undefined)), 'expected TableReadOps'],
    [
      'a scratch region of no architecture',
      () => scratchBaseGva(wrong(0x4000n), wrong(undefined)),
      'expected amd64 or',
    ],
  ])('%s is refused in words', (_, call, message) => {
    expect(() => call(new MapOps())).toThrow(
      expect.objectContaining({ name: 'PageTableError', message: expect.stringContaining(message) }),
    );
  });

  test('errors of operations pass through, and what was mapped before stays', () => {
    const ops = new MapOps();
    const allocTable = ops.allocTable.bind(ops);
    let left = 4;
    ops.allocTable = () => {
      left -= 1;
      if (left < 0) throw new RangeError('no table left');
      return allocTable();
    };
    expect(() => put(amd64, ops, 0x1f_f000n, 0n, 0x40_0000n)).toThrow(new RangeError('no table left'));
    expect(pages(amd64, ops).length).toBe(1 + 512);
  });
});

describe('MemoryTableOps', () => {
  const tooHigh = 0x7000_0000n;

  test('a table outside memory reads as 0, and is refused before another is taken', () => {
    const memory = flatMemory(new ArrayBuffer(2 << 20));
    let taken = 0;
    const allocTable = () => {
      taken += 1;
      return ROOT + BigInt(taken) * PAGE;
    };
    const ops = new MemoryTableOps(memory, { root: ROOT, allocTable });
    ops.writeEntry(ROOT, tooHigh | 0x23n);
    expect(pages(amd64, ops)).toEqual([]);
    expect(() => put(amd64, ops, 0x1000n, 0n, PAGE)).toThrow(
      expect.objectContaining({
        code: 'NOT_IN_MEMORY',
        message: 'map: the table at 0x70000000 is not in memory',
      }),
    );
    expect(taken).toBe(0);
    expect(ops.readEntry(tooHigh)).toBe(0n);
    expect(() => ops.writeEntry(tooHigh, 1n)).toThrow(code('NOT_IN_MEMORY'));
    const ignoring = new MemoryTableOps(memory, { root: ROOT, allocTable, outside: 'ignore' });
    put(amd64, ignoring, 0x1000n, 0n, PAGE);
    expect(pages(amd64, ignoring)).toEqual([]);
    ignoring.writeEntry(tooHigh, 1n);
    expect(ignoring.readEntry(tooHigh)).toBe(0n);
  });

  test('what is ignored outside takes its part of the physical addresses', () => {
    const memory = flatMemory(new ArrayBuffer(2 << 20));
    const ops = new MemoryTableOps(memory, { root: 0n, outside: 'ignore', allocTable: () => 0x4000n });
    // The first of two tables is outside.
    for (const [at, entry] of [
      [0n, 0x1023n],
      [0x1000n, 0x2023n],
      [0x2000n, 0x7fff_f023n],
      [0x2008n, 0x3023n],
    ]) {
      ops.writeEntry(at, entry);
    }
    put(amd64, ops, 0x1f_e800n, 0x10_0000n, 0x3000n);
    expect(pages(amd64, ops)).toEqual([
      [0x20_0000n, 0x10_1000n, 'rw-'],
      [0x20_1000n, 0x10_2000n, 'rw-'],
    ]);
  });

  test('physical addresses go on beyond 4 GiB, in every way to map them', () => {
    const { ops } = ramStore();
    const own = new MapOps();
    for (const [virt, phys, len] of [
      [0x1000n, 0xffff_e000n, 0x4000n],
      [0x10_0000n, 0x1_ffff_f800n, 0x3000n],
      [0x20_0800n, 0x2_fffe_f000n, 0x20_1000n],
    ]) {
      put(amd64, ops, virt, phys, len);
      put(amd64, own, virt, phys, len);
    }
    expect(pages(amd64, ops)).toEqual(pages(amd64, own));
    expect(pages(amd64, ops, 0x1000n, 0x4000n).map(([, phys]) => phys)).toEqual([
      0xffff_e000n,
      0xffff_f000n,
      0x1_0000_0000n,
      0x1_0000_1000n,
    ]);
  });

  test.each<[root: unknown, expected: string]>([
    [0x1001n, 'MISALIGNED'],
    [4096, 'BAD_ARGUMENT'],
    [1n << 64n, 'OUT_OF_RANGE'],
    [0x10_0000n, 'NOT_IN_MEMORY'],
    [-4096n, 'OUT_OF_RANGE'],
  ])('a root %s is refused: %s', (root, expected) => {
    const memory = flatMemory(new ArrayBuffer(1 << 20));
    expect(() => new MemoryTableOps(memory, { root: wrong(root) })).toThrow(code(expected));
    expect(() => new MemoryTableOps(memory, { root: 0n }).setRoot(wrong(root))).toThrow(code(expected));
  });

  test('what is no memory, a table that is none, and no tables at all', () => {
    expect(() => new MemoryTableOps(wrong(new ArrayBuffer(8)), { root: 0n })).toThrow(
      'expected a PhysicalMemory',
    );
    const memory = flatMemory(new ArrayBuffer(1 << 20));
    expect(() => put(amd64, new MemoryTableOps(memory, { root: 0n }), 0n, 0n, 1n)).toThrow(
      code('OUT_OF_FRAMES'),
    );
    const giving = (table: unknown) =>
      new MemoryTableOps(memory, { root: 0n, allocTable: () => wrong(table) });
    expect(() => put(amd64, giving(0x1008n), 0n, 0n, 1n)).toThrow(code('MISALIGNED'));
    expect(() => put(amd64, giving(undefined), 0n, 0n, 1n)).toThrow(code('BAD_ARGUMENT'));
    expect(() => put(amd64, giving(tooHigh), 0n, 0n, 1n)).toThrow(code('NOT_IN_MEMORY'));
    expect(memory.isClear(0)).toBe(true);
    expect(() => giving(0n).readEntry(4n)).toThrow(code('MISALIGNED'));
    expect(() => giving(0n).readEntry(wrong(8))).toThrow(code('BAD_ARGUMENT'));
    expect(() => put(amd64, giving(0n), 0n, 0n, 1n)).toThrow(
      /^allocTable: was given the root, at 0x0, as a new table/,
    );
  });

  test('tables that are handed out are cleared', () => {
    const { ops, memory } = ramStore();
    memory.words.fill(0xa5a5_a5a5, 0x10_1000 / 4, 0x20_0000 / 4);
    put(amd64, ops, 0x1000n, 0x5000n, PAGE);
    expect(pages(amd64, ops)).toEqual([[0x1000n, 0x5000n, 'rw-']]);
  });

  test('memory that others share is written an entry at a time, and reads the same', () => {
    const shared = flatMemory(new SharedArrayBuffer(2 << 20));
    const plain = flatMemory(new ArrayBuffer(2 << 20));
    for (const memory of [shared, plain]) {
      let next = 0x1000n;
      const allocTable = () => {
        next += PAGE;
        return next;
      };
      const ops = new MemoryTableOps(memory, { root: 0x1000n, allocTable });
      put(amd64, ops, 0x1f_f800n, 0xffff_ffff_f000n, 0x40_3000n, 'cowx');
      put(aarch64, ops, 0x80_0000_0000n, 0xf_ffff_f000n, 0x3000n, 'r-x');
    }
    expect(shared.words.every((word, i) => word === plain.words[i])).toBe(true);
  });

  test('a WebAssembly memory may grow between two items', () => {
    const wasm = new WebAssembly.Memory({ initial: 32 });
    const memory = flatMemory(wasm);
    let next = 0x1000n;
    const allocTable = () => {
      next += PAGE;
      return next;
    };
    const ops = new MemoryTableOps(memory, { root: 0x1000n, allocTable });
    put(amd64, ops, 0x1000n, 0x5000n, 0x2000n);
    const found = virtToPhys(amd64, ops, 0n, 0x10000n);
    expect(found.next().value?.physBase).toBe(0x5000n);
    wasm.grow(1);
    expect(found.next().value?.physBase).toBe(0x6000n);
    wasm.grow(1);
    put(amd64, ops, 0x20_0000n, 0x9000n, PAGE);
    expect(pages(amd64, ops)).toHaveLength(3);
  });

  test('a method that is overridden is called', () => {
    const memory = flatMemory(new ArrayBuffer(2 << 20));
    let reads = 0;
    class Counting extends MemoryTableOps {
      override readEntry(addr: bigint): bigint {
        reads += 1;
        return super.readEntry(addr);
      }
    }
    const plain = new MemoryTableOps(memory, { root: ROOT });
    const counting = new Counting(memory, { root: ROOT });
    expect(pages(amd64, counting)).toEqual(pages(amd64, plain));
    expect(reads).toBe(512);
  });
});

describe('GuestPageTableBuffer', () => {
  test('grows as tables are made, up to its limit', () => {
    const buffer = new GuestPageTableBuffer(ROOT, { maxTables: 40 });
    put(amd64, buffer, 0n, 0n, 37n << 21n);
    expect(buffer.size).toBe(40);
    expect(pages(amd64, buffer)).toHaveLength(37 * 512);
    expect(() => put(amd64, buffer, 37n << 21n, 0n, PAGE)).toThrow(
      expect.objectContaining({
        code: 'OUT_OF_FRAMES',
        message: 'allocTable: the buffer holds 40 tables already, its limit',
      }),
    );
    expect(buffer.intoBytes()).toHaveLength(40 * 4096);
  });

  test('an entry that leads below the buffer or behind it finds nothing', () => {
    const buffer = new GuestPageTableBuffer(ROOT);
    buffer.writeEntry(ROOT, 0x1023n);
    buffer.writeEntry(ROOT + 8n, 0xf_ffff_f023n);
    expect(pages(amd64, buffer)).toEqual([]);
    expect(() => put(amd64, buffer, 0n, 0n, PAGE)).toThrow(code('NOT_IN_MEMORY'));
  });
});

describe('CopyOnWriteTableOps', () => {
  test.each([
    ['two pages of one table (V42)', 0x1000n, [0x1000n, 0x2000n]],
    ['pages of two tables of one directory (V43)', 0x3f_f000n, [0x1000n, 0x2000n, 0x3f_f000n, 0x40_0000n]],
    ['pages of two directories', 0x3fff_f000n, [0x1000n, 0x2000n, 0x3fff_f000n, 0x4000_0000n]],
  ])('keeps all that a call writes: %s', (_, virt, expected) => {
    const { ops, memory, freeze } = copyOnWriteStore();
    put(amd64, ops, 0x1000n, 0x1000n, 0x2000n);
    freeze();
    const before = memory.words.slice();
    const old = ops.rootTable();
    put(amd64, ops, virt, 0x9000n, 0x2000n);
    const found = pages(amd64, ops);
    expect(found.map(([page]) => page)).toEqual(expected);
    expect(found.slice(-2).map(([, phys]) => phys)).toEqual([0x9000n, 0xa000n]);
    // The snapshot is as it was, under its own root.
    expect(ops.rootTable()).not.toBe(old);
    const snapshot = pages(amd64, new MemoryTableOps(memory, { root: old }));
    expect(snapshot.map(([page, phys]) => [page, phys])).toEqual([
      [0x1000n, 0x1000n],
      [0x2000n, 0x2000n],
    ]);
    const isSame = (word: number, i: number) => word === memory.words[i];
    expect(before.subarray(0, Number(ROOT + 4n * PAGE) / 4).every(isSame)).toBe(true);
  });

  test('a table is copied once, and not again by later calls', () => {
    const inner = new MapOps();
    put(amd64, inner, 0x1000n, 0x1000n, PAGE);
    const frozen = inner.next;
    const ops = new CopyOnWriteTableOps(inner, (table) => table < frozen);
    put(amd64, ops, 0x2000n, 0x2000n, 0x10_0000n);
    expect(inner.next).toBe(frozen + 4n * PAGE);
    put(amd64, ops, 0x3000n, 0x9000n, 0x2000n);
    expect(inner.next).toBe(frozen + 4n * PAGE);
    expect(pages(amd64, ops)).toHaveLength(0x101);
  });

  test('a snapshot reads as it was, whoever reads it, also between calls', () => {
    const buffer = new GuestPageTableBuffer(ROOT);
    put(amd64, buffer, 0x1000n, 0x5000n, PAGE);
    const frozen = ROOT + BigInt(buffer.size) * PAGE;
    const cow = new CopyOnWriteTableOps(buffer, (table) => table < frozen);
    const before = virtToPhys(amd64, cow, 0n, 0x10_0000n);
    put(amd64, cow, 0x1000n, 0x9000n, PAGE);
    const [{ items }] = walkVaSpaces(amd64, cow, [ROOT], 0n, 0x10_0000n);
    expect(items).toEqual([
      { kind: 'ThisSpace', mapping: { physBase: 0x5000n, virtBase: 0x1000n, len: PAGE, kind: kind('rw-') } },
    ]);
    expect(before.next().value?.physBase).toBe(0x5000n);
    expect(cow.readEntry(ROOT)).toBe(buffer.readEntry(ROOT));
    const reference = { depth: 1, space: ROOT, ourVa: 1n << 39n, theirVa: 0n };
    spaceAwareMap(amd64, cow, reference, new Map([[ROOT, ROOT]]));
    expect(pages(amd64, cow)).toEqual([
      [0x1000n, 0x9000n, 'rw-'],
      [0x80_0000_1000n, 0x5000n, 'rw-'],
    ]);
  });

  test('tables that a call has made are not asked about', () => {
    const asked: bigint[] = [];
    const isFrozen = (table: bigint) => {
      asked.push(table);
      return true;
    };
    const inner = new MapOps();
    put(amd64, new CopyOnWriteTableOps(inner, isFrozen), 0x1000n, 0x5000n, 0x2000n);
    expect(asked).toEqual([ROOT]);
    expect(inner.next).toBe(ROOT + 5n * PAGE);
  });

  test('expects tables that do not move, and a function', () => {
    const { ops } = copyOnWriteStore();
    expect(() => new CopyOnWriteTableOps(wrong<FixedTableOps<bigint>>(ops), () => true)).toThrow(
      code('BAD_ARGUMENT'),
    );
    expect(() => new CopyOnWriteTableOps(new MapOps(), wrong(undefined))).toThrow(code('BAD_ARGUMENT'));
  });
});

test('tables without pages, hundreds of millions of them, are bounded in one step', () => {
  const ops = new MapOps();
  for (let i = 0n; i < 512n; i += 1n) {
    for (const [table, next] of [
      [0n, 1n],
      [1n, 2n],
      [2n, 3n],
    ]) {
      ops.words.set(ROOT + table * PAGE + 8n * i, (ROOT + next * PAGE) | 0x23n);
    }
  }
  const found = virtToPhys(amd64, ops, 0n, 1n << 48n, { maxTables: 1000 });
  expect(() => found.next()).toThrow(
    expect.objectContaining({
      code: 'LIMIT_EXCEEDED',
      message: 'virtToPhys: more than 1000 tables; give a higher limit, or a smaller range',
    }),
  );
});

describe('walkVaSpaces', () => {
  test('tables that contain themselves are bounded', () => {
    const ops = new MapOps();
    for (let i = 0n; i < 512n; i += 1n) ops.words.set(ROOT + 8n * i, ROOT | 0x23n);
    expect(() => walkVaSpaces(amd64, ops, [ROOT], 0n, 1n << 48n, { maxTables: 1000 })).toThrow(
      expect.objectContaining({
        code: 'LIMIT_EXCEEDED',
        message: 'walkVaSpaces: more than 1000 tables; give a higher limit, or a smaller range',
      }),
    );
    expect(() => walkVaSpaces(amd64, ops, [ROOT], 0n, 1n << 48n, { maxItems: 1000 })).toThrow(
      code('LIMIT_EXCEEDED'),
    );
    // Found once for each depth, and told as shared from then on.
    const [{ items }] = walkVaSpaces(amd64, ops, [ROOT], 0n, 1n << 30n, { aliases: true });
    expect(items.length).toBeLessThan(2 ** 20);
  });

  test('upper halves are told with their sign on amd64', () => {
    const ops = new MapOps();
    put(amd64, ops, 0xffff_8000_0000_0000n, 0x5000n, PAGE);
    const second = ops.allocTable();
    ops.words.set(second + 8n * 300n, ops.words.get(ROOT + 8n * 256n) ?? 0n);
    const [, { items }] = walkVaSpaces(amd64, ops, [ROOT, second], 0n, 1n << 48n, { aliases: true });
    expect(items).toEqual([
      {
        kind: 'AnotherSpace',
        reference: {
          depth: 1,
          space: ROOT,
          ourVa: 0xffff_9600_0000_0000n,
          theirVa: 0xffff_8000_0000_0000n,
        },
      },
    ]);
  });
});

describe('spaceAwareMap', () => {
  const reference = { depth: 3, space: ROOT, ourVa: 0n, theirVa: 0x4000_0000n };

  test.each([
    [{ depth: 4 }, 'spaceAwareMap: depth 4; expected 0 to 3'],
    [{ depth: 1.5 }, 'spaceAwareMap: depth 1.5; expected 0 to 3'],
    [{ ourVa: -1n }, 'spaceAwareMap: ourVa is -0x1; expected 0 to 2^64 - 1'],
    [
      { space: 0x99n },
      'spaceAwareMap: space 0x99 is not among the 1 built roots; expected it to be built before ours',
    ],
  ])('%o is refused, and nothing is touched', (given, message) => {
    const ops = new MapOps();
    expect(() => spaceAwareMap(amd64, ops, { ...reference, ...given }, new Map([[ROOT, ROOT]]))).toThrow(
      message,
    );
    expect(ops.words.size).toBe(0);
  });

  test.each([1, 2, 3])('what the other space does not have, ours has no longer: depth %i', (depth) => {
    const ops = new MapOps();
    const theirs = ops.allocTable();
    put(amd64, ops, 0x1000n, 0x5000n, PAGE);
    spaceAwareMap(amd64, ops, { ...reference, depth, space: 7n }, new Map([[7n, theirs]]));
    expect(pages(amd64, ops)).toEqual([]);
  });
});

test('mergedMappings joins what goes on, and nothing else', () => {
  const ops = new MapOps();
  put(amd64, ops, 0x1000n, 0x5000n, 0x3000n, 'rw-');
  put(amd64, ops, 0x4000n, 0x8000n, 0x1000n, 'r--');
  put(amd64, ops, 0x5000n, 0x9_0000n, 0x1000n, 'r--');
  put(amd64, ops, 0x7000n, 0x9_1000n, 0x2000n, 'cow-');
  const merged = [...mergedMappings(virtToPhys(amd64, ops, 0n, 1n << 32n))];
  expect(merged.map(({ virtBase, physBase, len }) => [virtBase, physBase, len])).toEqual([
    [0x1000n, 0x5000n, 0x3000n],
    [0x4000n, 0x8000n, 0x1000n],
    [0x5000n, 0x9_0000n, 0x1000n],
    [0x7000n, 0x9_1000n, 0x2000n],
  ]);
  expect([...mergedMappings([])]).toEqual([]);
});

test('a page prints as a mapping', () => {
  const ops = new MapOps();
  put(amd64, ops, 0x1000n, 0x5000n, PAGE);
  const [page] = virtToPhys(amd64, ops, 0x1000n, 1n);
  expect(page.toMapping()).toEqual({ physBase: 0x5000n, virtBase: 0x1000n, len: PAGE, kind: kind('rw-') });
  expect(inspect(page)).toBe(inspect(page.toMapping()));
  expect([page.page, page.frame]).toEqual([1, 5]);
});

test('a scratch region larger than all below its top is refused', () => {
  expect(() => scratchBaseGva(aarch64, 1n << 63n)).toThrow(code('OUT_OF_RANGE'));
  expect(() => scratchBaseGva(amd64, wrong(4096))).toThrow(code('OUT_OF_RANGE'));
});
