import { describe, expect, test } from 'vitest';
import { PageTableError } from '../../src/bits/index.ts';
import { x86Paging } from '../../src/format/index.ts';
import { findPhysical, type PhysicalReferences, type ReferenceOptions } from '../../src/inspect/index.ts';
import { LONG } from '../support/long.ts';
import { pagingCases } from '../support/paging-cases.ts';
import { createRandom } from '../support/random-tables.ts';
import { entryTo, Tables } from '../support/tables.ts';
import { controlsOf, type Switches, sparseFrom } from '../support/x86-cases.ts';

const TABLE = 0x27n;
const PAGE = 0x67n;
const PS = 0x80n;
const ALL_FRAMES = [0, 2 ** 40] as const;

/** Tables 2, 3 and 4 under the root, 1: entries 0 all the way to page 0. */
function lowest(): Tables {
  const tables = new Tables();
  tables.add(4);
  return tables.set(1, 0, entryTo(2, TABLE)).set(2, 0, entryTo(3, TABLE)).set(3, 0, entryTo(4, TABLE));
}

function find(
  tables: Tables,
  [first, end]: readonly [number, number],
  options: ReferenceOptions = {},
  switches: Partial<Switches> = {},
): PhysicalReferences {
  const { ours } = controlsOf({ mode: '4-level', cr3: 0x1000n, physBits: 40, ...switches });
  return findPhysical(sparseFrom(tables.frames).memory, x86Paging(ours), { first, end }, options);
}

/** `first-end -> frame 2^shift rights`, in hexadecimal. */
function brief({ mappings }: PhysicalReferences): string[] {
  return mappings.map(
    ({ first, end, frame, pageShift, rights }) =>
      `${first.toString(16)}-${end.toString(16)} -> ${frame.toString(16)} 2^${pageShift} ${rights}`,
  );
}

describe('pages that lead to frames', () => {
  test('in address order, runs as one, with effective rights', () => {
    const tables = lowest()
      .set(4, 9, entryTo(0x101, PAGE))
      .set(4, 10, entryTo(0x102, PAGE))
      .set(4, 20, entryTo(0x102, 0x25n))
      .set(4, 30, entryTo(0x103, PAGE))
      .set(4, 31, entryTo(0x100, PAGE));
    const found = find(tables, [0x101, 0x103]);
    expect(brief(found)).toEqual(['9-b -> 101 2^12 63', '14-15 -> 102 2^12 45']);
    expect(found).toMatchObject({ pages: 3, moreMappings: false, tables: [], tableCount: 0, missing: 0 });
  });

  test('of a large page the part that leads there', () => {
    const tables = lowest()
      .set(3, 5, entryTo(0x400, PAGE | PS))
      .set(2, 1, entryTo(0x4_0000, PAGE | PS));
    expect(brief(find(tables, [0x5ff, 0x601]))).toEqual(['bff-c00 -> 5ff 2^21 63']);
    expect(brief(find(tables, [0x4_1234, 0x4_1235]))).toEqual(['41234-41235 -> 41234 2^30 63']);
    expect(find(tables, [0x400, 0x4_0000]).pages).toBe(512);
    expect(brief(find(tables, [0x600, 0x4_0000]))).toEqual([]);
  });

  test('runs of neighbours that are passed over at once are cut at both ends', () => {
    const tables = lowest().fill(4, (index) => entryTo(0x1000 + index, PAGE));
    expect(brief(find(tables, [0x1010, 0x1020]))).toEqual(['10-20 -> 1010 2^12 63']);
    expect(brief(find(tables, [0x11ff, 0x1300]))).toEqual(['1ff-200 -> 11ff 2^12 63']);
  });

  test('through shared tables, each with the rights of its way', () => {
    const tables = lowest()
      .set(4, 7, entryTo(0x100, PAGE))
      .set(3, 1, entryTo(4, 0x25n))
      .set(1, 256, entryTo(2, TABLE | (1n << 63n)));
    const found = find(tables, [0x100, 0x101]);
    expect(brief(found)).toEqual([
      '7-8 -> 100 2^12 63',
      '207-208 -> 100 2^12 45',
      'ffff800000007-ffff800000008 -> 100 2^12 27',
      'ffff800000207-ffff800000208 -> 100 2^12 9',
    ]);
    expect(found.pages).toBe(4);
  });

  test('PSE-36: frames above 4 GiB', () => {
    const tables = new Tables(4).set(1, 3, 0x0080_0000n | (0xa5n << 13n) | PAGE | PS);
    expect(brief(find(tables, [0xa50_0801, 0xa50_0802], {}, { mode: '32-bit' }))).toEqual([
      'c01-c02 -> a500801 2^22 63',
    ]);
  });

  test('entries with a reserved bit lead nowhere; tables that are not there are counted', () => {
    const tables = lowest()
      .set(4, 7, entryTo(0x100, PAGE | (1n << 45n)))
      .set(3, 1, entryTo(0x99, TABLE));
    expect(find(tables, [0x100, 0x101])).toMatchObject({ mappings: [], pages: 0, missing: 1 });
  });
});

describe('page tables in frames', () => {
  test('with the depth, the first page, and the entries that lead there', () => {
    const tables = lowest().set(3, 9, entryTo(4, TABLE)).set(4, 0, entryTo(4, PAGE));
    const found = find(tables, [4, 5]);
    expect(found.tables).toEqual([
      {
        frame: 4,
        depth: 3,
        first: 0,
        ways: 2,
        entries: 2,
        parents: [
          { frame: 3, depth: 2, index: 0, count: 1 },
          { frame: 3, depth: 2, index: 9, count: 1 },
        ],
        more: false,
      },
    ]);
    // The page table is mapped as well, by itself.
    expect(brief(found)).toEqual(['0-1 -> 4 2^12 63', '1200-1201 -> 4 2^12 63']);
  });

  test('a root with a recursive entry is a table of each level, and the last page', () => {
    const tables = lowest().set(1, 511, entryTo(1, TABLE));
    const found = find(tables, [1, 2]);
    expect(found.tables.map(({ depth, ways, first }) => [depth, ways, first.toString(16)])).toEqual([
      [0, 1, '0'],
      [1, 1, 'ffffff8000000'],
      [2, 1, 'ffffffffc0000'],
      [3, 1, 'ffffffffffe00'],
    ]);
    expect(brief(found)).toEqual(['fffffffffffff-10000000000000 -> 1 2^12 63']);
  });
});

describe('limits', () => {
  test('a root that is all itself maps itself 2^36 times: counted, and the first ones listed', () => {
    const found = find(
      new Tables().fill(1, () => entryTo(1, TABLE)),
      [1, 2],
      { maxResults: 3 },
    );
    expect(found).toMatchObject({ pages: 2 ** 36, moreMappings: true, tableCount: 4 });
    expect(brief(found)).toEqual(['0-1 -> 1 2^12 63', '1-2 -> 1 2^12 63', '2-3 -> 1 2^12 63']);
    // Of four tables, three are listed; neighbours count as one entry.
    expect(found.tables.map(({ ways, more }) => [ways, more])).toEqual([
      [1, false],
      [512, false],
      [2 ** 18, false],
    ]);
  });

  test('five levels of it: 2^45 pages', () => {
    const tables = new Tables().fill(1, () => entryTo(1, TABLE));
    expect(find(tables, ALL_FRAMES, {}, { mode: '5-level' }).pages).toBe(2 ** 45);
  });

  test('long runs that are mapped many times over end the list before its limit', () => {
    // 512 ways to 2^18 pages in one run.
    const tables = new Tables().fill(1, () => entryTo(2, TABLE)).set(2, 0, entryTo(3, TABLE));
    for (let table = 0; table < 512; table += 1) {
      const low = 0x4_0000 + table * 512;
      tables
        .set(3, table, entryTo(16 + table, TABLE))
        .fill(16 + table, (index) => entryTo(low + index, PAGE));
    }
    const found = find(tables, ALL_FRAMES, { maxResults: 100 });
    expect(found).toMatchObject({ pages: 2 ** 27, moreMappings: true });
    expect(found.mappings[0]).toMatchObject({ first: 0, end: 2 ** 18, frame: 0x4_0000 });
  });

  test('as many results as allowed are complete; one more is not', () => {
    const tables = lowest();
    for (let i = 0; i < 10; i += 1) tables.set(4, 2 * i, entryTo(0x100, PAGE));
    expect(find(tables, [0x100, 0x101], { maxResults: 10 }).moreMappings).toBe(false);
    const cut = find(tables, [0x100, 0x101], { maxResults: 9 });
    expect([cut.mappings.length, cut.moreMappings, cut.pages]).toEqual([9, true, 10]);
  });

  test('entries that lead to a table are cut as well', () => {
    const tables = lowest();
    for (let i = 0; i < 8; i += 2) tables.set(3, i, entryTo(4, TABLE));
    expect(find(tables, [4, 5], { maxResults: 2 }).tables).toMatchObject([
      { ways: 4, parents: [{ index: 0 }, { index: 2 }], more: true },
    ]);
  });

  test.each<[readonly [number, number], ReferenceOptions]>([
    [[5, 4], {}],
    [[-1, 4], {}],
    [[0.5, 4], {}],
    [[0, 2 ** 53], {}],
    [[0, 1], { maxResults: 0 }],
    [[0, 1], { maxResults: Number.NaN }],
  ])('%j, %j is out of range', (frames, options) => {
    expect(() => find(lowest(), frames, options)).toThrow(PageTableError);
    expect(() => find(lowest(), frames, options)).toThrow(expect.objectContaining({ code: 'OUT_OF_RANGE' }));
  });
});

describe('random tables of every format', () => {
  test('a page that the reference walker maps to a frame is found there, and what is found is mapped so', () => {
    const random = createRandom(5);
    let checked = 0;
    for (const [number, it] of pagingCases(LONG ? 300 : 16).entries()) {
      for (let i = 0; i < 4; i += 1) {
        const page = it.page(random);
        const meaning = it.meaning(it.memory, page);
        if (meaning === undefined || meaning === 'elsewhere' || meaning.kind !== 'mapped') continue;
        const first = Math.max(0, meaning.frame - random.below(3));
        const frames = { first, end: meaning.frame + 1 + random.below(600) };
        const found = findPhysical(it.memory, it.paging, frames, { maxResults: 400 });
        const at = `case ${number}, ${it.name}, page ${page}`;
        const listed = found.mappings.reduce((sum, row) => sum + row.end - row.first, 0);
        if (found.moreMappings) expect(listed, at).toBeLessThan(found.pages);
        else {
          expect([at, found.pages]).toEqual([at, listed]);
          const row = found.mappings.find((one) => one.first <= page && page < one.end);
          expect([at, row && row.frame + page - row.first, row?.rights, row?.pageShift]).toEqual([
            at,
            meaning.frame,
            meaning.rights,
            meaning.pageShift,
          ]);
          checked += 1;
        }
        for (let k = 0; k < 4 && found.mappings.length > 0; k += 1) {
          const row = random.pick(found.mappings);
          for (const one of [row.first, row.end - 1]) {
            expect([at, it.meaning(it.memory, one)]).toMatchObject([
              at,
              { frame: row.frame + one - row.first, rights: row.rights, pageShift: row.pageShift },
            ]);
          }
        }
      }
    }
    expect(checked).toBeGreaterThan(20);
  });
});
