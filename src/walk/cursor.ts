import { PageTableError } from '../bits/index.ts';
import {
  FACTS,
  INDEX_MASK,
  INDEX_SHIFT,
  PAGE_RESERVED_HIGH,
  PAGE_RESERVED_LOW,
  type Paging,
  PRESENT,
  pageFrame,
  RIGHTS_AND,
  RIGHTS_OR,
  TABLE_MASK,
  TABLE_RESERVED_HIGH,
  TABLE_RESERVED_LOW,
  TABLE_VALUE,
  tableFrame,
} from '../format/index.ts';
import { ABSENT, type PhysicalMemory } from '../memory/index.ts';

/** {@link Cursor.next}: the range is done. */
export const DONE = 0;
/** {@link Cursor.next}: an entry that maps a page. */
export const PAGE = 1;
/** {@link Cursor.next}: an entry that leads to a table, which comes next unless {@link Cursor.skip} is called. */
export const TABLE = 2;
/** {@link Cursor.next}: an entry with a reserved bit set. */
export const FAULTY = 3;
/** {@link Cursor.next}: the table `frame` is not in memory; `page` and `order` say what it would have mapped. */
export const MISSING = 4;

/** What {@link Cursor.next} can answer. */
export type CursorEvent = typeof DONE | typeof PAGE | typeof TABLE | typeof FAULTY | typeof MISSING;

/** The pages that a cursor visits, half-open. */
export interface PageRange {
  readonly first: number;
  readonly end: number;
}

/** Every page of a 64-bit address space. */
export const ALL_PAGES: PageRange = { first: 0, end: 2 ** 52 };

/**
 * Goes through page tables in address order, without a closure and without allocating: call {@link next} until it says
 * {@link DONE}, and read the fields in between.
 *
 * A table is visited once for each entry that leads to it. Who wants it visited once keeps a record of `frame` and
 * `depth`, and calls {@link skip}; only then is the work bounded by the tables' size, since tables may point at
 * themselves.
 */
export class Cursor {
  /** First 4-KiB page of what the entry maps: the whole entry, also where it reaches out of the range. */
  page = 0;
  /** `log2` of the 4-KiB pages that the entry spans. */
  order = 0;
  /** First frame of the page, or frame of the table. */
  frame = 0;
  /** Depth of the table in which the entry lies; counts from the root, 0. */
  depth = 0;
  /** Low half of the entry. */
  low = 0;
  /** High half of the entry. */
  high = 0;
  /** Bitwise AND of the rights bits of the entries above; -1 at the root. */
  and = -1;
  /** Bitwise OR of the execute-disable bits of the entries above. */
  or = 0;

  private readonly memory: PhysicalMemory;
  private readonly paging: Paging;
  private readonly range: PageRange;
  /** Depth of the table that is being read; below `floor` when done. */
  private at = -1;
  private pushed = false;
  /** Depth of the table at which it started. */
  private floor = 0;
  // By depth: where the reading of that table stands.
  private readonly tables: Float64Array;
  private readonly offsets: Float64Array;
  private readonly index: Int32Array;
  private readonly pages: Float64Array;
  private readonly ands: Int32Array;
  private readonly ors: Int32Array;

  /**
   * @param memory - where the tables are
   * @param paging - what they mean
   * @param range - pages to visit; an entry that reaches into it is visited
   */
  constructor(memory: PhysicalMemory, paging: Paging, range: PageRange = ALL_PAGES) {
    if (
      !(
        Number.isInteger(range.first) &&
        Number.isInteger(range.end) &&
        range.first >= 0 &&
        range.end <= 2 ** 52
      )
    ) {
      throw new PageTableError(
        'OUT_OF_RANGE',
        `cursor: pages [${range.first}, ${range.end}); expected whole numbers in [0, 2^52]`,
        { first: range.first, end: range.end },
      );
    }
    const levels = paging.format.levels;
    this.memory = memory;
    this.paging = paging;
    this.range = range;
    this.tables = new Float64Array(levels);
    this.offsets = new Float64Array(levels);
    this.index = new Int32Array(levels);
    this.pages = new Float64Array(levels);
    this.ands = new Int32Array(levels);
    this.ors = new Int32Array(levels);
    this.start({ depth: 0, frame: paging.root.frame, page: 0 });
  }

  /**
   * Starts afresh at one table; the range stays.
   *
   * @param table - its depth, its frame, the first page that its first entry maps, and what the entries above say of
   *   rights, see {@link and} and {@link or}
   */
  start(table: {
    readonly depth: number;
    readonly frame: number;
    readonly page: number;
    readonly and?: number;
    readonly or?: number;
  }): void {
    const { depth, frame, page } = table;
    this.memory.current();
    this.push(depth, frame, depth === 0 ? this.paging.root.word : 0, page, table.and ?? -1, table.or ?? 0);
    this.floor = depth;
    this.pushed = false;
  }

  /** Goes to the next present entry, missing table or end. */
  next(): CursorEvent {
    const { facts, indexScale, entryShift, lowEnd, highStart } = this.paging.format;
    const memory = this.memory;
    const end = this.range.end;
    this.pushed = false;
    while (this.at >= this.floor) {
      const depth = this.at;
      const fact = depth * FACTS;
      const index = this.index[depth];
      const order = facts[fact + INDEX_SHIFT];
      let page = this.pages[depth] + index / indexScale[depth];
      // The root's upper half comes after the hole in a sign-extended space.
      if (depth === 0 && page >= lowEnd) page += highStart - lowEnd;
      if (index > facts[fact + INDEX_MASK] || page >= end) {
        this.at = depth - 1;
        continue;
      }
      const offset = (index << entryShift) & 1023;
      const frame = this.tables[depth] + (index >>> (10 - entryShift));
      const base = memory.locate(frame);
      if (base === ABSENT) {
        // All entries in this frame are unknown.
        const entries = Math.min(1024 >>> entryShift, facts[fact + INDEX_MASK] + 1);
        const before = index & (entries - 1);
        this.index[depth] = index - before + entries;
        page -= before / indexScale[depth];
        return this.report(MISSING, depth, page, order + 31 - Math.clz32(entries), frame, 0, 0);
      }
      const words = memory.words;
      const at = base + this.offsets[depth] + offset;
      const low = words[at] | 0;
      if ((low & facts[fact + PRESENT]) !== facts[fact + PRESENT]) {
        this.index[depth] = index + 1;
        continue;
      }
      const high = entryShift === 1 ? words[at + 1] | 0 : 0;
      this.index[depth] = index + 1;
      if ((low & facts[fact + TABLE_MASK]) !== facts[fact + TABLE_VALUE]) {
        if (((low & facts[fact + PAGE_RESERVED_LOW]) | (high & facts[fact + PAGE_RESERVED_HIGH])) !== 0) {
          return this.report(FAULTY, depth, page, order, 0, low, high);
        }
        return this.report(PAGE, depth, page, order, pageFrame(facts, fact, low, high), low, high);
      }
      if (((low & facts[fact + TABLE_RESERVED_LOW]) | (high & facts[fact + TABLE_RESERVED_HIGH])) !== 0) {
        return this.report(FAULTY, depth, page, order, 0, low, high);
      }
      this.report(TABLE, depth, page, order, tableFrame(facts, fact, low, high), low, high);
      const and = this.and & (low | ~facts[fact + RIGHTS_AND]);
      this.push(depth + 1, this.frame, 0, page, and, this.or | (high & facts[fact + RIGHTS_OR]));
      return TABLE;
    }
    return DONE;
  }

  /** After {@link TABLE}: passes over the table and all below it. */
  skip(): void {
    if (this.pushed) this.at -= 1;
    this.pushed = false;
  }

  private report(
    event: CursorEvent,
    depth: number,
    page: number,
    order: number,
    frame: number,
    low: number,
    high: number,
  ): CursorEvent {
    this.depth = depth;
    this.page = page;
    this.order = order;
    this.frame = frame;
    this.low = low;
    this.high = high;
    this.and = this.ands[depth];
    this.or = this.ors[depth];
    return event;
  }

  private push(depth: number, frame: number, word: number, page: number, and: number, or: number): void {
    const { indexScale, lowEnd, highStart } = this.paging.format;
    this.at = depth;
    this.pushed = true;
    this.tables[depth] = frame;
    this.offsets[depth] = word;
    this.pages[depth] = page;
    this.ands[depth] = and;
    this.ors[depth] = or;
    // The first entry that reaches into the range.
    let first = this.range.first;
    if (depth === 0 && first >= lowEnd) first = Math.max(lowEnd, first - (highStart - lowEnd));
    this.index[depth] = Math.max(0, Math.floor((first - page) * indexScale[depth]));
  }
}
