import { aarch64Paging } from 'tablewalk/format';
import { tableIndex } from 'tablewalk/inspect';
import { SparseMemory } from 'tablewalk/memory';
import type { Session } from 'tablewalk/session';
import { expect, test } from 'vitest';
import { FAULTY, HOLE, LEAF, MISSING, TABLE } from '../../web/map/atlas.ts';
import { GAP, Scale } from '../../web/map/scale.ts';
import { buildAtlas } from '../../web/worker/build-atlas.ts';
import { entriesOf, tableOf } from '../../web/worker/table.ts';
import { LONG } from '../support/long.ts';
import { type PagingCase, pagingCases, type SlowMeaning } from '../support/paging-cases.ts';
import { createRandom } from '../support/random-tables.ts';

const CASES = LONG ? 200 : 24;
const PAGES = 40;

/** What the map and the table show of a page that the slow walker understands so. */
function cellOf(meaning: SlowMeaning | undefined): number {
  switch (meaning?.kind) {
    case undefined:
      return HOLE;
    case 'mapped':
      return LEAF | meaning.rights;
    case 'missing':
      return MISSING;
    case 'faulty':
      return FAULTY;
  }
}

function sessionOf({ paging }: PagingCase): Session {
  // What these functions read of a session.
  return { spaces: [{ paging, rootFrom: 'a test' }] } as unknown as Session;
}

test('the map shows of every page what the slow walker says, in all formats', () => {
  for (const [seed, one] of pagingCases(CASES).entries()) {
    const random = createRandom(seed + 1);
    const scale = new Scale([buildAtlas(one.memory, one.paging)]);
    for (let i = 0; i < PAGES; i += 1) {
      const page = one.page(random);
      const meaning = one.meaning(one.memory, page);
      if (meaning === 'elsewhere' || scale.spaceOf(page) < 0) continue;
      const { left, right } = scale.place(page);
      const path = scale.path((left + right) / 2);
      const { cell } = path[path.length - 1];
      const what = `${one.name}, case ${seed}, page ${page.toString(16)}`;
      expect(cell === GAP ? HOLE : cell, what).toBe(cellOf(meaning));
      // Entries that lead to one table are one piece; and below some width, doubles do not tell pages apart.
      const isOnce = path.every(({ child, count }) => child < 0 || count === 1);
      if (isOnce && right - left > 2 ** -40) expect(scale.pageAt((left + right) / 2), what).toBe(page);
    }
  }
});

test('tables show of every entry what the slow walker says of its first page', () => {
  for (const [seed, one] of pagingCases(CASES).entries()) {
    const random = createRandom(seed + 1);
    const looked = { session: sessionOf(one), memory: one.memory };
    const index = tableIndex(one.memory, one.paging);
    for (let i = 0; i < 6; i += 1) {
      const number = random.below(index.size);
      const { depth, frame } = index.table(i === 0 ? 0 : number);
      const at = { space: 0, depth, frame };
      const table = tableOf(looked, index, at);
      for (let j = 0; j < 24; j += 1) {
        const entry = j === 0 ? table.count - 1 : random.below(table.count);
        const [text] = entriesOf(looked, index, at, entry, entry + 1);
        const what = `${one.name}, case ${seed}, depth ${depth}, frame ${frame.toString(16)}, entry ${entry}`;
        const cell = table.cells[entry];
        if (text === undefined) {
          expect(cell, what).toBe(MISSING);
          continue;
        }
        expect(text.value, what).toBe(BigInt(table.lows[entry]) | (BigInt(table.highs[entry]) << 32n));
        if (cell === TABLE) continue;
        const meaning = one.meaning(one.memory, Number(text.linear >> 12n));
        if (meaning !== 'elsewhere') expect(cell, what).toBe(cellOf(meaning));
      }
    }
  }
});

test('an address of the half that is not read lies at the end of the map on its side', () => {
  const half = (half: 'lower' | 'upper') => {
    // T0SZ = T1SZ = 16, both granules of 4 KiB (Arm ARM, TCR_EL1).
    const control = { ttbr0: 0x1000n, ttbr1: 0x1000n, tcr: 0x5_8010_0010n, mair: 0n, sctlr: 1n, pan: false };
    const paging = aarch64Paging({ ...control, physBits: 48 }, half);
    if (paging === undefined) throw new Error('no such half');
    return new Scale([buildAtlas(new SparseMemory().memory, paging)]);
  };
  expect(half('upper').place(0x10)).toEqual({ space: 0, left: 0, right: 0 });
  expect(half('lower').place(2 ** 52 - 1)).toEqual({ space: 0, left: 1, right: 1 });
});
