/** Random tables, and the same after a few bits or a register have changed: the differences are those of a walk page by page. */
import { describe, expect, test } from 'vitest';
import { diffRegions, type PageMeaning, type RegionChange } from '../../src/inspect/index.ts';
import { PhysicalMemory } from '../../src/memory/index.ts';
import { LONG } from '../support/long.ts';
import { type PagingCase, pagingCases, type SlowMeaning } from '../support/paging-cases.ts';
import { createRandom, type Random } from '../support/random-tables.ts';

const CASES = LONG ? 400 : 16;
const WINDOW = 48;

/** The same memory with single bits of entries flipped. */
function flipBits(memory: PhysicalMemory, random: Random): PhysicalMemory {
  const words = memory.words.slice();
  for (let flips = 1 + random.below(4); flips > 0; flips -= 1) {
    let at = random.below(words.length);
    for (let tries = words.length; words[at] === 0 && tries > 0; tries -= 1) at = (at + 1) % words.length;
    words[at] ^= 1 << random.below(32);
  }
  const { first, count } = memory;
  return new PhysicalMemory(words, first, count, { locate: (frame) => memory.locate(frame) });
}

function textOf(meaning: SlowMeaning | PageMeaning | undefined, frames: number): string {
  if (meaning === undefined) return 'unmapped';
  if (meaning.kind === 'faulty') return 'faulty';
  if (meaning.kind === 'missing') return `missing ${meaning.frame}`;
  const { frame, rights, memoryType, global } = meaning;
  return `${frame + frames} ${rights} ${memoryType} ${global}`;
}

interface Pair {
  readonly name: string;
  readonly a: PagingCase;
  readonly b: PagingCase;
  readonly memory: PhysicalMemory;
}

/** What a page means on both sides, if it differs. */
function slowChange({ a, b, memory }: Pair, page: number): string | undefined {
  const before = a.meaning(a.memory, page);
  const after = b.meaning(memory, page);
  if (before === 'elsewhere' || after === 'elsewhere') return undefined;
  const texts = [textOf(before, 0), textOf(after, 0)];
  return texts[0] === texts[1] ? undefined : texts.join(' -> ');
}

function changeAt(changes: readonly RegionChange[], page: number): string | undefined {
  const row = changes.find(({ first, end }) => first <= page && page < end);
  if (row === undefined) return undefined;
  const within = page - row.first;
  return `${textOf(row.before, within)} -> ${textOf(row.after, within)}`;
}

/** Both sides of a comparison: a few bits of the tables, or a register. */
function pairOf(it: PagingCase, random: Random): Pair {
  const useRegister = it.other !== undefined && random.chance(0.3);
  const memory = useRegister && random.chance(0.5) ? it.memory : flipBits(it.memory, random);
  return { name: it.name, a: it, b: useRegister ? (it.other ?? it) : it, memory };
}

describe('differences', () => {
  const seen = { rows: 0, windows: 0, hits: 0 };

  test('are those of the reference walkers, page by page', () => {
    const random = createRandom(77);
    for (const [number, it] of pagingCases(CASES).entries()) {
      const pair = pairOf(it, random);
      const at = `case ${number}, ${pair.name}`;
      const views = [
        { memory: it.memory, paging: it.paging },
        { memory: pair.memory, paging: pair.b.paging },
      ] as const;
      const { changes, more } = diffRegions(...views, { maxRows: 1000 });
      seen.rows += changes.length;
      let end = 0;
      for (const row of changes) {
        expect(row.first >= end && row.end > row.first, at).toBe(true);
        end = row.end;
      }
      const limit = more ? end : 2 ** 52;
      const pages: number[] = [];
      for (let i = 0; i < 10; i += 1) pages.push(it.page(random));
      for (let i = 0; i < 6 && changes.length > 0; i += 1) {
        const { first, end } = random.pick(changes);
        pages.push(first - 1, first, first + random.below(end - first), end - 1, end);
      }
      for (const page of pages) {
        if (page < 0 || page >= limit) continue;
        const want = slowChange(pair, page);
        if (want !== undefined) seen.hits += 1;
        expect(`${at}, page ${page}: ${changeAt(changes, page)}`).toBe(`${at}, page ${page}: ${want}`);
      }
      // A small range, whole: rows begin and end where they must, and not more often.
      const middle = changes.length > 0 ? random.pick(changes).first : it.page(random);
      const first = Math.min(2 ** 52 - WINDOW, Math.max(0, middle - random.below(WINDOW)));
      const range = { first, end: first + WINDOW };
      const small = diffRegions(...views, { range }).changes;
      const want = Array.from({ length: WINDOW }, (_, i) => slowChange(pair, first + i));
      const found = Array.from({ length: WINDOW }, (_, i) => changeAt(small, first + i));
      expect({ at, found }).toEqual({ at, found: want });
      expect(small.every((row) => row.first >= first && row.end <= first + WINDOW)).toBe(true);
      const breaks = want.filter((change, i) => change !== undefined && !goesOn(want[i - 1], change)).length;
      expect({ at, rows: small.length }).toEqual({ at, rows: breaks });
      seen.windows += small.length;
    }
    console.log(`diff: ${seen.rows} rows, ${seen.windows} in windows, ${seen.hits} pages that differ`);
    expect(Math.min(seen.windows, seen.hits)).toBeGreaterThan(CASES);
  });
});

/** Whether a page's change continues the one of the page before: frames go on, all else is equal. */
function goesOn(before: string | undefined, change: string): boolean {
  if (before === undefined) return false;
  const [last, next] = [before, change].map((text) => text.split(' -> '));
  return last.every((side, i) => {
    const [frame, ...rest] = side.split(' ');
    if (!/^\d/.test(frame)) return side === next[i];
    return [Number(frame) + 1, ...rest].join(' ') === next[i];
  });
}
