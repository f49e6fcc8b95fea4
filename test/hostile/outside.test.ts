/** Tables that lead out of the image: what is not there is said to be missing, never unmapped and never zero. */
import { describe, expect, test } from 'vitest';
import { capturePath, captureTables, readLinear } from '../../src/capture/index.ts';
import { x86Paging } from '../../src/format/index.ts';
import { explain, listRegions, takeCensus } from '../../src/inspect/index.ts';
import { ABSENT, SparseMemory } from '../../src/memory/index.ts';
import { NOT_IN_MEMORY, Walker } from '../../src/walk/index.ts';
import { machineFrom } from '../support/machine-from.ts';
import type { ReferenceMode } from '../support/reference-walker.ts';
import { entryTo, Tables } from '../support/tables.ts';
import { controlsOf, LAYOUTS, layOut, MODES } from '../support/x86-cases.ts';

const LEVELS = { '32-bit': 2, PAE: 3, '4-level': 4, '5-level': 5 } as const;
/** `log2` of the pages that one entry spans, by depth. */
const ORDERS = {
  '32-bit': [10, 0],
  PAE: [18, 9, 0],
  '4-level': [27, 18, 9, 0],
  '5-level': [36, 27, 18, 9, 0],
} as const;

/** Entry 1 of the root and entry 0 of each table lead on, until the table at `depth`, which is outside. */
function leadingOut(mode: ReferenceMode, depth: number, outside: number): Tables {
  const tables = new Tables(mode === '32-bit' ? 4 : 8);
  for (let at = 0; at < depth; at += 1) {
    const flags = mode === 'PAE' && at === 0 ? 1n : 0x27n;
    tables.set(0x10 + at, at === 0 ? 1 : 0, entryTo(at + 1 === depth ? outside : 0x11 + at, flags));
  }
  return tables;
}

for (const mode of MODES) {
  describe.each(LAYOUTS)(`${mode}, %s memory`, (layout) => {
    const outsides = mode === '32-bit' ? [0x30, 0xfffff] : [0x30, 0xfffff, 2 ** 28 - 1];
    const depths = Array.from({ length: LEVELS[mode] - 1 }, (_, i) => i + 1);

    test.each(depths)('a table of depth %d outside the image', (depth) => {
      for (const outside of outsides) {
        const tables = leadingOut(mode, depth, outside);
        const { memory } = layOut(tables.frames, layout, { first: 0x10, end: 0x18 });
        const paging = x86Paging(controlsOf({ mode, cr3: 0x10000n, physBits: 40 }).ours);
        const page = 2 ** ORDERS[mode][0];
        const walker = new Walker(memory, paging);
        expect(walker.translate(page)).toBe(NOT_IN_MEMORY);
        expect(walker.path(page)).toMatchObject({ end: 'not-in-memory', frame: outside });
        expect(walker.path(page).steps).toHaveLength(depth);
        // The whole range of the entry above is unknown, and nothing else is.
        const row = {
          kind: 'missing',
          first: page,
          end: page + 2 ** ORDERS[mode][depth - 1],
          depth,
          frame: outside,
        };
        for (const options of [{}, { all: true }, { merge: 'none' }, { merge: 'rights' }] as const) {
          expect(listRegions(memory, paging, options)).toEqual([row]);
        }
        expect(takeCensus(memory, paging)).toEqual({
          tables: depth,
          pages: new Map(),
          missing: 1,
          faulty: 0,
          recursive: [],
        });
        const explained = explain(memory, paging, BigInt(page) << 12n);
        expect(explained).toMatchObject({
          end: 'not-in-memory',
          missingTable: BigInt(outside) << 12n,
          physical: undefined,
          rights: undefined,
          linux: undefined,
        });
        expect(explained.accesses.map(({ result }) => result)).toEqual(Array(6).fill({ kind: 'unknown' }));
      }
    });
  });
}

test.each(MODES)('%s: the root itself outside the image', (mode) => {
  const { memory } = layOut(new Tables().frames, 'sparse', { first: 0, end: 0 });
  const paging = x86Paging(controlsOf({ mode, cr3: 0x50_0000n, physBits: 40 }).ours);
  expect(new Walker(memory, paging).translate(0)).toBe(NOT_IN_MEMORY);
  const rows = listRegions(memory, paging);
  expect(rows.length).toBeGreaterThan(0);
  for (const row of rows) expect(row).toMatchObject({ kind: 'missing', depth: 0, frame: 0x500 });
  // Every page of the space, and no other.
  const { lowEnd, highStart } = paging.format;
  const spaces =
    highStart === 2 ** 52
      ? [[0, lowEnd]]
      : [
          [0, lowEnd],
          [highStart, 2 ** 52],
        ];
  expect(rows.map(({ first, end }) => [first, end])).toEqual(spaces);
  expect(takeCensus(memory, paging)).toMatchObject({ tables: 0, missing: 1 });
});

describe('a machine that does not have all frames', () => {
  const paging = x86Paging(controlsOf({ mode: '4-level', cr3: 0x1000n, physBits: 52 }).ours);
  // Page 0 is in frame 5, page 1 in frame 0x999, which the machine lacks; pages 2 to 511 are not mapped.
  const tables = new Tables()
    .set(1, 0, entryTo(2, 0x27n))
    .set(1, 256, entryTo(2 ** 40 - 1, 0x27n))
    .set(2, 0, entryTo(3, 0x27n))
    .set(2, 1, entryTo(0x777, 0x27n))
    .set(3, 0, entryTo(4, 0x27n))
    .set(4, 0, entryTo(5, 0x67n))
    .set(4, 1, entryTo(0x999, 0x67n));
  tables.add(5).fill(0x6162_6364);

  test('captureTables leaves missing tables absent and goes on', async () => {
    const machine = machineFrom(tables.frames);
    const captured = await captureTables(machine, paging);
    expect([...captured.frames()].sort((a, b) => a - b)).toEqual([1, 2, 3, 4]);
    expect([captured.locate(0x777), captured.locate(2 ** 40 - 1)]).toEqual([ABSENT, ABSENT]);
    expect(new Walker(captured.memory, paging).translate(1)).toBe(0x999);
    expect(takeCensus(captured.memory, paging)).toMatchObject({ tables: 4, missing: 2 });
  });

  test('capturePath stops at a missing table, without asking for ever', async () => {
    const machine = machineFrom(tables.frames);
    const into = new SparseMemory();
    await capturePath(machine, paging, 2 ** 18, into);
    expect(new Walker(into.memory, paging).path(2 ** 18)).toMatchObject({
      end: 'not-in-memory',
      frame: 0x777,
    });
    expect(machine.asked.filter((frame) => frame === 0x777).length).toBeLessThanOrEqual(paging.format.levels);
  });

  test('readLinear names every hole and why, and never takes a missing frame for zeros', async () => {
    const { bytes, holes } = await readLinear(machineFrom(tables.frames), paging, 0xffcn, 0x2008);
    expect([...bytes.subarray(0, 8)]).toEqual([0x64, 0x63, 0x62, 0x61, 0, 0, 0, 0]);
    expect(holes).toEqual([
      { first: 0x1000n, end: 0x2000n, reason: 'not-in-image' },
      { first: 0x2000n, end: 0x3004n, reason: 'not-present' },
    ]);
    const missing = await readLinear(machineFrom(tables.frames), paging, 0x4000_0ff0n, 32);
    expect(missing.holes).toEqual([{ first: 0x4000_0ff0n, end: 0x4000_1010n, reason: 'table-not-in-image' }]);
  });
});
