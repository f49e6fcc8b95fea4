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

/** What a table leads to: pages by depth of their entry, and entries that lead nowhere. */
interface Counts {
  readonly pages: Float64Array;
  /** Whether the table is there itself. */
  there: boolean;
  missing: number;
  faulty: number;
}

/** Counts what tables lead to. Every table is read once per depth at which it is used. */
export class TableCounter {
  /** Frames of the tables that are there. */
  readonly tables = new Set<number>();
  /** Indices of the root's entries that lead to the root. */
  readonly recursive: number[] = [];
  private readonly memory: PhysicalMemory;
  private readonly paging: Paging;
  private readonly known: Map<number, Counts>[];

  constructor(memory: PhysicalMemory, paging: Paging) {
    this.memory = memory;
    this.paging = paging;
    this.known = Array.from({ length: paging.format.levels }, () => new Map<number, Counts>());
  }

  /** What the table in a frame leads to, used at a depth. */
  count(depth: number, frame: number): Counts {
    const before = this.known[depth].get(frame);
    if (before !== undefined) return before;
    const { levels, facts, indexScale } = this.paging.format;
    const counts: Counts = { pages: new Float64Array(levels), there: true, missing: 0, faulty: 0 };
    this.known[depth].set(frame, counts);
    const cursor = new Cursor(this.memory, this.paging);
    cursor.start({ depth, frame, page: 0 });
    for (let event = cursor.next(); event !== DONE; event = cursor.next()) {
      switch (event) {
        case PAGE:
          counts.pages[depth] += 1;
          break;
        case FAULTY:
          counts.faulty += 1;
          break;
        case MISSING:
          counts.there = false;
          counts.missing = 1;
          break;
        case TABLE: {
          cursor.skip();
          if (depth === 0 && cursor.frame === frame && this.paging.root.word === 0) {
            this.recursive.push((cursor.page * indexScale[0]) & lastIndex(facts, 0));
          }
          const below = this.count(depth + 1, cursor.frame);
          below.pages.forEach((pages, at) => {
            counts.pages[at] += pages;
          });
          counts.missing += below.missing;
          counts.faulty += below.faulty;
          break;
        }
      }
    }
    if (counts.there) this.tables.add(frame);
    return counts;
  }
}

/** Counts tables and pages of a whole address space. */
export function takeCensus(memory: PhysicalMemory, paging: Paging): Census {
  const counter = new TableCounter(memory, paging);
  const all = counter.count(0, paging.root.frame);
  const pages = new Map<number, number>();
  for (let depth = paging.format.levels - 1; depth >= 0; depth -= 1) {
    const shift = paging.format.fact.levels[depth].indexLow;
    if (all.pages[depth] > 0) pages.set(shift, all.pages[depth]);
  }
  const { tables, recursive } = counter;
  return { tables: tables.size, pages, missing: all.missing, faulty: all.faulty, recursive };
}
