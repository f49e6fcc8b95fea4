import { lastIndex, type Paging } from '../format/index.ts';
import type { PhysicalMemory } from '../memory/index.ts';
import { Cursor, DONE, FAULTY, MISSING, PAGE, TABLE } from '../walk/index.ts';

/** What page tables consist of. Counts of pages are of the whole address space, shared tables counted each time. */
export interface Census {
  /** Distinct frames used as tables, the root included; those that are not there are not counted. */
  readonly tables: number;
  /** Pages by `log2` of their bytes, smallest first. */
  readonly pages: ReadonlyMap<number, number>;
  /** Entries that lead to tables that are not there. */
  readonly missing: number;
  /** Entries with a reserved bit set. */
  readonly faulty: number;
  /** Entries of the root that lead to the root itself: their indices. */
  readonly recursive: readonly number[];
}

/** Counts per kind: pages by depth of their entry, then missing and faulty ones. */
interface Counts {
  readonly pages: Float64Array;
  missing: number;
  faulty: number;
}

/** Counts tables and pages. Every table is read once per depth at which it is used. */
export function takeCensus(memory: PhysicalMemory, paging: Paging): Census {
  const { levels, facts } = paging.format;
  const known = Array.from({ length: levels }, () => new Map<number, Counts>());
  const tables = new Set<number>();
  const recursive: number[] = [];

  const count = (depth: number, frame: number): Counts => {
    const before = known[depth].get(frame);
    if (before !== undefined) return before;
    const counts: Counts = { pages: new Float64Array(levels), missing: 0, faulty: 0 };
    known[depth].set(frame, counts);
    const cursor = new Cursor(memory, paging);
    cursor.start({ depth, frame, page: 0 });
    let there = true;
    for (let event = cursor.next(); event !== DONE; event = cursor.next()) {
      switch (event) {
        case PAGE:
          counts.pages[depth] += 1;
          break;
        case FAULTY:
          counts.faulty += 1;
          break;
        case MISSING:
          there = false;
          counts.missing = 1;
          break;
        case TABLE: {
          const index = (cursor.page * paging.format.indexScale[depth]) & lastIndex(facts, depth);
          if (depth === 0 && cursor.frame === frame) recursive.push(index);
          cursor.skip();
          const below = count(depth + 1, cursor.frame);
          below.pages.forEach((pages, at) => {
            counts.pages[at] += pages;
          });
          counts.missing += below.missing;
          counts.faulty += below.faulty;
          break;
        }
      }
    }
    if (there) tables.add(frame);
    return counts;
  };

  const all = count(0, paging.root.frame);
  const pages = new Map<number, number>();
  for (let depth = levels - 1; depth >= 0; depth -= 1) {
    const shift = paging.format.fact.levels[depth].indexLow;
    if (all.pages[depth] > 0) pages.set(shift, all.pages[depth]);
  }
  return { tables: tables.size, pages, missing: all.missing, faulty: all.faulty, recursive };
}
