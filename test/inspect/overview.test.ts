import { describe, expect, it } from 'vitest';
import { x86Paging } from '../../src/format/index.ts';
import {
  filterRegions,
  joinRegions,
  listRegions,
  MERGE_RULES,
  type Region,
  takeCensus,
} from '../../src/inspect/index.ts';
import { randomTables } from '../support/random-tables.ts';
import { entryTo, Tables } from '../support/tables.ts';
import { controlsOf, MODES, sparseFrom } from '../support/x86-cases.ts';

const SEEDS = [11, 12, 13, 14, 15, 16];
const TABLE = 0x27n;
const READ_ONLY = 0x1n;
const WRITABLE = 0x3n;

/** Page table 4 with `pages`, led to by the page-directory entries `places`. */
function shared(places: readonly number[], pages: readonly (readonly [number, bigint])[]) {
  const tables = new Tables().set(1, 0, entryTo(2, TABLE)).set(2, 0, entryTo(3, TABLE));
  for (const place of places) tables.set(3, place, entryTo(4, TABLE));
  for (const [index, flags] of pages) tables.set(4, index, entryTo(0x100 + index, flags));
  const paging = x86Paging(controlsOf({ mode: '4-level', cr3: 0x1000n }).ours);
  return listRegions(sparseFrom(tables.frames).memory, paging);
}

const brief = (rows: readonly Region[]) => rows.map((row) => [row.kind, row.first]);

describe('joinRegions', () => {
  it.each(MODES.flatMap((mode) => SEEDS.map((seed) => [mode, seed] as const)))(
    '%s, seed %i: whatever is joined, each page that the tables map counts once',
    (mode, seed) => {
      const { memory: frames, cr3 } = randomTables({ seed, mode });
      const { memory } = sparseFrom(frames);
      const paging = x86Paging(controlsOf({ mode, cr3 }).ours);
      // Counted table by table, without any row.
      let pages = 0;
      for (const [shift, count] of takeCensus(memory, paging).pages) pages += count * 2 ** (shift - 12);
      expect(pages).toBeGreaterThan(0);
      for (const merge of MERGE_RULES) {
        const rows = listRegions(memory, paging, { merge });
        for (const gap of [0, 512, 2 ** 20, 2 ** 52]) {
          const clusters = joinRegions(rows, gap);
          expect(clusters.reduce((sum, one) => sum + one.mapped, 0)).toBe(pages);
          for (const [i, one] of clusters.entries()) {
            if (i > 0) expect(one.first).toBeGreaterThanOrEqual(clusters[i - 1].end);
          }
        }
      }
    },
  );

  it('joins rows at most the gap apart, and no others', () => {
    const rows = shared(
      [0],
      [
        [0, WRITABLE],
        [3, READ_ONLY],
        [8, WRITABLE],
      ],
    );
    expect(joinRegions(rows, 1).map((one) => [one.first, one.end])).toEqual([
      [0, 1],
      [3, 4],
      [8, 9],
    ]);
    expect(joinRegions(rows, 2).map((one) => [one.first, one.end])).toEqual([
      [0, 4],
      [8, 9],
    ]);
    expect(joinRegions(rows, 4).map((one) => [one.first, one.end, one.mapped])).toEqual([[0, 9, 3]]);
  });

  it('leaves a repeated row by itself if its copies lie further apart', () => {
    // One page at a stride of 512, five times.
    const rows = shared([0, 1, 2, 3, 4], [[7, WRITABLE]]);
    expect(joinRegions(rows, 510)).toMatchObject([
      { first: 7, mapped: 5, repeat: { count: 5, stride: 512 } },
    ]);
    expect(joinRegions(rows, 511)).toMatchObject([
      { first: 7, end: 4 * 512 + 8, mapped: 5, repeat: undefined },
    ]);
  });
});

describe('a shared table whose edge rows are joined with their neighbours where it stands first', () => {
  // Entry 0 leads to a page table of which the last page is followed by a 2-MiB page, contiguous in both spaces. Entry
  // 7 leads to the same table.
  const tables = new Tables()
    .set(1, 0, entryTo(2, TABLE))
    .set(2, 0, entryTo(3, TABLE))
    .set(3, 0, entryTo(4, TABLE))
    .set(3, 1, entryTo(0x400, WRITABLE | 0x80n))
    .set(3, 7, entryTo(4, TABLE))
    .set(4, 3, entryTo(0x50, READ_ONLY))
    .set(4, 511, entryTo(0x3ff, WRITABLE));
  const paging = x86Paging(controlsOf({ mode: '4-level', cr3: 0x1000n }).ours);
  const rows = listRegions(sparseFrom(tables.frames).memory, paging);

  it('does not get the neighbours’ page sizes or lengths', () => {
    expect(brief(rows)).toEqual([
      ['mapped', 3],
      ['mapped', 511],
      ['shared', 7 * 512],
    ]);
    expect(brief(filterRegions(rows, (row) => row.pageShifts.includes(21)))).toEqual([['mapped', 511]]);
    expect(brief(filterRegions(rows, (row) => row.end - row.first > 1))).toEqual([['mapped', 511]]);
  });

  it('counts its own pages only', () => {
    const last = joinRegions(rows, 0).at(-1);
    expect(last).toMatchObject({ first: 7 * 512, mapped: 2, regions: 2 });
    expect([...(last?.pageShifts ?? [])]).toEqual([12]);
  });
});

describe('filterRegions', () => {
  const writable = (row: { readonly rights: number }) => (row.rights & 16) !== 0;

  it('keeps a shared table if anything in it passes', () => {
    const rows = shared(
      [0, 4, 9],
      [
        [0, READ_ONLY],
        [5, WRITABLE],
      ],
    );
    expect(brief(filterRegions(rows, writable))).toEqual([
      ['mapped', 5],
      ['shared', 4 * 512],
      ['shared', 9 * 512],
    ]);
    expect(brief(filterRegions(rows, (row) => row.frame === 0x999))).toEqual([]);
  });

  it.each(MODES.flatMap((mode) => SEEDS.map((seed) => [mode, seed] as const)))(
    '%s, seed %i: a row is kept exactly if the list of its own range, unfolded, has a page that passes',
    (mode, seed) => {
      const { memory: frames, cr3 } = randomTables({ seed, mode });
      const { memory } = sparseFrom(frames);
      const paging = x86Paging(controlsOf({ mode, cr3 }).ours);
      const rows = listRegions(memory, paging);
      const kept = new Set(filterRegions(rows, writable));
      for (const row of rows.filter((one) => one.kind === 'shared').slice(0, 200)) {
        const range = { first: row.first, end: row.end };
        // Without tables met twice in the range there is nothing to follow.
        const there = listRegions(memory, paging, { range, all: true });
        const passes = there.some(
          (one) => one.kind === 'missing' || (one.kind === 'mapped' && writable(one)),
        );
        expect([row.first, kept.has(row)]).toEqual([row.first, passes]);
      }
    },
  );
});
