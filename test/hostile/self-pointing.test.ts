/** Tables that point at themselves and at each other: every operation ends soon, with a complete answer or LIMIT_EXCEEDED. */
import { describe, expect, test } from 'vitest';
import { PageTableError } from '../../src/bits/index.ts';
import { captureTables } from '../../src/capture/index.ts';
import { type Paging, x86Paging } from '../../src/format/index.ts';
import {
  listRegions,
  MERGE_RULES,
  printQemuMem,
  printQemuTlb,
  type Region,
  type RegionOptions,
  takeCensus,
} from '../../src/inspect/index.ts';
import { ABSENT, type FrameLookup, PhysicalMemory } from '../../src/memory/index.ts';
import { Cursor, DONE, NOT_IN_MEMORY, NOT_PRESENT, RESERVED, TABLE, Walker } from '../../src/walk/index.ts';
import { LONG } from '../support/long.ts';
import { machineFrom } from '../support/machine-from.ts';
import { type Cost, collectGarbage, costOf } from '../support/measure.ts';
import { createRandom } from '../support/random-tables.ts';
import type { ReferenceMode } from '../support/reference-walker.ts';
import { referenceLeaf } from '../support/reference-walker.ts';
import { rowAt, rowsByPage } from '../support/region-lookup.ts';
import { entryTo, Tables } from '../support/tables.ts';
import { controlsOf, layOut, MODES, sparseFrom } from '../support/x86-cases.ts';

const MAX_MILLISECONDS = 10_000;
const MAX_MEGABYTES = 200;
/** Tables of the shape with the longest lists. */
const MANY = LONG ? 6 : 3;

/** Entries of 4 or 8 bytes, valid at every depth of the mode: a PDPTE of PAE paging may not have R/W, U/S or A. */
function flagsOf(mode: ReferenceMode): bigint {
  return mode === 'PAE' ? 1n : 0x67n;
}

const XD = 1n << 63n;

/** Rights that differ from entry to entry, where the mode allows it, so that one table is met with many rights. */
function someFlags(mode: ReferenceMode, i: number): bigint {
  if (mode === 'PAE') return 1n;
  return 1n | (BigInt(i & 3) << 1n) | (mode !== '32-bit' && (i & 4) !== 0 ? XD : 0n);
}

interface Shape {
  readonly name: string;
  readonly make: (mode: ReferenceMode, tables: Tables) => void;
}

const SHAPES: readonly Shape[] = [
  {
    name: 'every entry of the root points to the root',
    make: (mode, tables) => tables.fill(1, () => entryTo(1, flagsOf(mode))),
  },
  {
    name: 'two tables whose entries all point to the other',
    make: (mode, tables) => {
      tables.fill(1, () => entryTo(2, flagsOf(mode))).fill(2, () => entryTo(1, flagsOf(mode)));
    },
  },
  {
    name: 'two tables alternating',
    make: (mode, tables) => {
      tables
        .fill(1, (i) => entryTo(1 + (i & 1), flagsOf(mode)))
        .fill(2, (i) => entryTo(2 - (i & 1), flagsOf(mode)));
    },
  },
  {
    name: 'one table used at all depths, with all rights',
    make: (mode, tables) => {
      tables.fill(1, (i) => entryTo(i % 5 === 0 ? 1 : 2, someFlags(mode, i)));
      tables.fill(2, (i) => (i % 7 === 0 ? 0n : entryTo(2, someFlags(mode, i))));
    },
  },
  {
    name: 'many tables, each entry to any of them, with any rights, or to nowhere',
    make: (mode, tables) => {
      const random = createRandom(99);
      for (let frame = 1; frame <= MANY; frame += 1) {
        tables.fill(frame, () => {
          const kind = random.below(40);
          if (kind === 0) return 0n;
          if (kind === 1) return entryTo(0x500, flagsOf(mode)); // absent
          if (kind === 2 && mode !== 'PAE') return entryTo(0x40000, flagsOf(mode) | 0x80n); // a large page, or reserved
          return entryTo(1 + random.below(MANY), someFlags(mode, random.below(8)));
        });
      }
    },
  },
  {
    name: 'tables that all entries share, and the lowest one empty',
    make: (mode, tables) => {
      const levels = { '32-bit': 2, PAE: 3, '4-level': 4, '5-level': 5 }[mode];
      for (let frame = 1; frame < levels; frame += 1)
        tables.fill(frame, () => entryTo(frame + 1, flagsOf(mode)));
      tables.add(levels);
    },
  },
];

function build(shape: Shape, mode: ReferenceMode) {
  const tables = new Tables(mode === '32-bit' ? 4 : 8);
  shape.make(mode, tables);
  const { ours, reference } = controlsOf({ mode, cr3: 0x1000n, physBits: 40 });
  return { tables, paging: x86Paging(ours), reference };
}

/** Reads of tables that an operation may make on six tables, unless rows are its limit. */
const MAX_TABLE_READS = 2 ** 13;
/** Rows that an unfolded list may have, and reads of tables that it may make for them: enough for a whole 32-bit space. */
const UNFOLDED_ROWS = 300;
const UNFOLDED_READS = 2 ** 12;

/** Memory that counts how often a table is asked for, and makes an end of what would never end by itself. */
function countedMemory(
  tables: Tables,
  maxReads = MAX_TABLE_READS,
): { memory: PhysicalMemory; reads: () => number } {
  const sparse = sparseFrom(tables.frames);
  let reads = 0;
  const lookup: FrameLookup = {
    locate: (frame) => {
      reads += 1;
      if (reads > maxReads) throw new Error(`more than ${maxReads} tables were read`);
      return sparse.locate(frame);
    },
  };
  return { memory: new PhysicalMemory(sparse.memory.words, 0, 0, lookup), reads: () => reads };
}

/** The result, or the code of the typed error; anything else thrown is thrown on. */
function answer<T>(work: () => T): T | 'LIMIT_EXCEEDED' {
  try {
    return work();
  } catch (error) {
    if (error instanceof PageTableError && error.code === 'LIMIT_EXCEEDED') return error.code;
    throw error;
  }
}

const worst = new Map<string, Cost>();

async function within<T>(what: string, work: () => T): Promise<T> {
  const results: T[] = [];
  const cost = await costOf(async () => {
    results.push(await work());
  });
  const before = worst.get(what) ?? { milliseconds: 0, megabytes: 0 };
  worst.set(what, {
    milliseconds: Math.max(before.milliseconds, cost.milliseconds),
    megabytes: Math.max(before.megabytes, cost.megabytes),
  });
  expect(cost.milliseconds, `${what}: milliseconds`).toBeLessThan(MAX_MILLISECONDS);
  expect(cost.megabytes, `${what}: megabytes`).toBeLessThan(MAX_MEGABYTES);
  return results[0];
}

const pagesOfMode = { '32-bit': 2 ** 20, PAE: 2 ** 20, '4-level': 2 ** 36, '5-level': 2 ** 45 };

for (const mode of MODES) {
  describe(mode, () => {
    describe.each(SHAPES)('$name', (shape) => {
      const { tables, paging, reference } = build(shape, mode);
      const random = createRandom(5);
      const half = paging.format.lowEnd;
      const pages = Array.from({ length: 200 }, () => {
        const page = Math.floor((random.next() / 2 ** 32) * half);
        return random.chance(0.5) || half === 2 ** 20 ? page : 2 ** 52 - 1 - page;
      });
      const { read } = layOut(tables.frames, 'sparse', { first: 0, end: 0 });

      test('translate and path answer as the reference walker does', async () => {
        const ends = {
          'not-present': NOT_PRESENT,
          reserved: RESERVED,
          'pdpte-reserved': RESERVED,
          absent: NOT_IN_MEMORY,
          'non-canonical': -4,
        };
        await within('translate and path', () => {
          for (const layout of ['flat', 'sparse'] as const) {
            const walker = new Walker(layOut(tables.frames, layout, { first: 0, end: 16 }).memory, paging);
            const wrong = pages.filter((page) => {
              const found = referenceLeaf(read, reference, BigInt(page) << 12n);
              // Frame numbers have at most 40 bits.
              const want = found.kind === 'leaf' ? Number(found.pa >> 12n) : ends[found.kind];
              const missing = found.kind === 'absent' ? Number(found.entryAddress >> 12n) : undefined;
              const frame = want >= 0 ? want : missing;
              return walker.translate(page) !== want || walker.path(page).frame !== frame;
            });
            expect(wrong).toEqual([]);
          }
        });
      });

      test('a cursor that skips what it has seen reads each table once per depth', async () => {
        const { memory, reads } = countedMemory(tables);
        await within('cursor with skip', () => {
          const seen = new Set<string>();
          const cursor = new Cursor(memory, paging);
          for (let event = cursor.next(); event !== DONE; event = cursor.next()) {
            const key = `${cursor.depth} ${cursor.frame}`;
            if (event === TABLE && seen.has(key)) cursor.skip();
            seen.add(key);
          }
        });
        // Frames may be asked for that are not there.
        expect(reads()).toBeLessThanOrEqual((tables.frames.size + 2) * paging.format.levels * 4);
      });

      test('takeCensus counts every page', async () => {
        const { memory } = countedMemory(tables);
        const census = await within('takeCensus', () => takeCensus(memory, paging));
        const all = [...census.pages.values()].reduce((sum, count) => sum + count, 0);
        if (shape.name.startsWith('every entry') || shape.name.startsWith('two')) {
          expect([...census.pages]).toEqual([[12, pagesOfMode[mode]]]);
          expect([census.missing, census.faulty]).toEqual([0, 0]);
        }
        if (shape.name.startsWith('every entry')) {
          const entries = { '32-bit': 1024, PAE: 4, '4-level': 512, '5-level': 512 }[mode];
          expect([census.tables, census.recursive.length]).toEqual([1, entries]);
        }
        if (shape.name.startsWith('tables that all')) expect(all).toBe(0);
        else expect(all).toBeGreaterThan(0);
        expect(census.tables).toBeLessThanOrEqual(tables.frames.size);
      });

      test('captureTables brings each table once', async () => {
        const machine = machineFrom(tables.frames);
        const captured = await within('captureTables', () => captureTables(machine, paging));
        const frames = [...(await captured).frames()].sort((a, b) => a - b);
        expect(frames.every((frame) => tables.frames.has(frame))).toBe(true);
        expect(machine.asked.filter((frame) => frame !== 0x500)).toEqual(
          [...new Set(machine.asked)].filter((frame) => frame !== 0x500),
        );
        // All tables here are reached, save by the four entries of a PAE root.
        if (mode !== 'PAE') expect(frames).toEqual([...tables.frames.keys()].sort((a, b) => a - b));
      });

      test.each(MERGE_RULES)(
        'listRegions, rule %s: a list that says what the tables say, or LIMIT_EXCEEDED',
        async (merge) => {
          const { memory } = countedMemory(tables);
          // The longest lists are measured from a collected heap.
          if (shape.name.startsWith('many') && mode === '5-level') collectGarbage();
          const rows = await within('listRegions', () =>
            answer(() => listRegions(memory, paging, { merge })),
          );
          if (rows === 'LIMIT_EXCEEDED') return;
          checkRows(rows, pages, read, reference);
          // Where every entry of every table leads on, every page of the space is mapped, by a leaf of its own.
          if (/^(every entry|two)/.test(shape.name)) expect(leavesOf(rows)).toBe(pagesOfMode[mode]);
        },
      );

      test.each(['physical', 'rights'] as const)(
        'listRegions of the upper half alone, rule %s',
        async (merge) => {
          const { memory } = countedMemory(tables, 2 ** 11);
          const { lowEnd, highStart } = paging.format;
          const first = highStart < 2 ** 52 ? highStart : lowEnd / 2;
          const range = { first, end: highStart < 2 ** 52 ? 2 ** 52 : lowEnd };
          const rows = await within('listRegions of a range', () =>
            answer(() => listRegions(memory, paging, { merge, range })),
          );
          if (rows === 'LIMIT_EXCEEDED') return;
          const upper = pages.filter((page) => page >= first);
          checkRows(rows, upper, read, reference);
          if (/^(every entry|two)/.test(shape.name)) expect(leavesOf(rows)).toBe(pagesOfMode[mode] / 2);
        },
      );

      test.each(MERGE_RULES)('listRegions with at most 100 rows, rule %s', async (merge) => {
        const { memory } = countedMemory(tables);
        const rows = await within('listRegions, 100 rows', () =>
          answer(() => listRegions(memory, paging, { merge, maxRows: 100 })),
        );
        if (rows !== 'LIMIT_EXCEEDED') expect(rows.length).toBeLessThanOrEqual(100);
      });

      test.each(MERGE_RULES)('listRegions unfolded, at most 300 rows, rule %s', async (merge) => {
        const { memory } = countedMemory(tables, UNFOLDED_READS);
        const options: RegionOptions = { merge, all: true, maxRows: UNFOLDED_ROWS };
        const rows = await within('listRegions, unfolded', () =>
          answer(() => listRegions(memory, paging, options)),
        );
        if (rows !== 'LIMIT_EXCEEDED') expect(rows.length).toBeLessThanOrEqual(UNFOLDED_ROWS);
      });
    });
  });
}

/** Leaves of all rows, with their copies. */
function leavesOf(rows: readonly Region[]): number {
  return rows.reduce((sum, row) => {
    const leaves = row.kind === 'mapped' || row.kind === 'shared' ? row.leaves : 0;
    return sum + leaves * (row.repeat?.count ?? 1);
  }, 0);
}

function checkRows(
  rows: readonly Region[],
  pages: readonly number[],
  read: Parameters<typeof referenceLeaf>[0],
  reference: Parameters<typeof referenceLeaf>[1],
): void {
  const kinds = {
    leaf: 'mapped',
    absent: 'missing',
    reserved: 'faulty',
    'pdpte-reserved': 'faulty',
    'not-present': 'none',
    'non-canonical': 'none',
  };
  const ordered = rowsByPage(rows);
  const wrong = pages.filter((page) => {
    const found = referenceLeaf(read, reference, BigInt(page) << 12n);
    const row = rowAt(ordered, page);
    if ((row?.region.kind ?? 'none') !== kinds[found.kind]) return true;
    if (found.kind !== 'leaf' || row?.region.kind !== 'mapped' || row.region.frame === undefined)
      return false;
    return row.region.frame + row.offset !== Number(found.pa >> 12n); // at most 40 bits
  });
  expect(wrong).toEqual([]);
}

test('an unfolded list with the usual limit ends within a million copied leaves, though all of them make one row', () => {
  const tables = new Tables().fill(1, () => entryTo(1, 0x67n));
  const paging = x86Paging(controlsOf({ mode: '4-level', cr3: 0x1000n, physBits: 40 }).ours);
  // A million leaves are 2,048 tables; eight times as many are allowed here.
  const { memory } = countedMemory(tables, 2 ** 14);
  expect(answer(() => listRegions(memory, paging, { all: true, merge: 'rights' }))).toBe('LIMIT_EXCEEDED');
});

describe.each(['4-level', '5-level'] as const)(
  '%s: what QEMU would print of shared tables, the lowest one empty',
  (mode) => {
    test.each([
      ['info tlb', printQemuTlb],
      ['info mem', printQemuMem],
    ])('%s: nothing, or LIMIT_EXCEEDED, without reading them 2^27 times', (_, print) => {
      const tables = new Tables();
      for (let frame = 1; frame <= 4; frame += 1) tables.fill(frame, () => entryTo(frame + 1, 0x67n));
      if (mode === '4-level') tables.fill(4, () => 0n);
      else tables.add(5);
      const paging = x86Paging(controlsOf({ mode, cr3: 0x1000n, physBits: 40 }).ours);
      const { memory } = countedMemory(tables);
      const lines: string[] = [];
      answer(() => print(memory, paging, (line) => lines.push(line)));
      expect(lines).toEqual([]);
    });
  },
);

test('an operation on memory that is not there asks once and says so', () => {
  const { memory, reads } = countedMemory(new Tables());
  const paging: Paging = x86Paging(controlsOf({ mode: '4-level', cr3: 0x1000n }).ours);
  expect(memory.locate(1)).toBe(ABSENT);
  expect(takeCensus(memory, paging)).toEqual({
    tables: 0,
    pages: new Map(),
    missing: 1,
    faulty: 0,
    recursive: [],
  });
  expect(listRegions(memory, paging).every(({ kind }) => kind === 'missing')).toBe(true);
  expect(reads()).toBeLessThan(8);
});

test('the worst cost of each operation', () => {
  for (const [what, { milliseconds, megabytes }] of worst) {
    console.log(
      `self-pointing tables: ${what}: at most ${milliseconds.toFixed(0)} ms, ${megabytes.toFixed(0)} MB`,
    );
  }
});
