import { PageTableError } from '../bits/index.ts';
import {
  andRights,
  encodedShift,
  entryOrder,
  groupOffset,
  groupOrder,
  isFaultyPage,
  isFaultyTable,
  isPresent,
  lastIndex,
  leadsToTable,
  orRights,
  type Paging,
  pageFrame,
  tableFrame,
} from '../format/index.ts';
import { ABSENT, type PhysicalMemory } from '../memory/index.ts';

/** {@link Cursor.next}: the range is done. */
export const DONE = 0;
/** {@link Cursor.next}: an entry that maps a page. */
export const PAGE = 1;
/** {@link Cursor.next}: an entry that leads to a table, which comes next unless {@link Cursor.skip} is called. */
export const TABLE = 2;
/** {@link Cursor.next}: an entry with a reserved bit set, or a reserved code in it. */
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
  private readonly groupCodes: boolean;
  private readonly range: PageRange;
  /** Depth of the table that is being read; below `floor` when done. */
  private at = -1;
  private pushed = false;
  /** Depth of the table at which it started. */
  private floor = 0;
  // By depth: where the reading of that table stands.
  private readonly tables: Float64Array;
  /** First word of the table in its frame; not 0 only for a root smaller than a frame. */
  private readonly offsets: Int32Array;
  /** First page of the table, the hole of a sign-extended root not counted. */
  private readonly pages: Float64Array;
  private readonly index: Int32Array;
  /** Index at which reading ends. */
  private readonly limits: Int32Array;
  /** The frame of the table that is being read, counted from its first, and where its words begin. */
  private readonly parts: Int32Array;
  private readonly bases: Float64Array;
  private readonly ands: Int32Array;
  private readonly ors: Int32Array;

  /**
   * @param memory - where the tables are
   * @param paging - what they mean
   * @param range - pages to visit; an entry that reaches into it is visited
   * @throws {@link PageTableError} `OUT_OF_RANGE` if the range is not one of whole numbers in [0, 2^52], or ends before it begins
   */
  constructor(memory: PhysicalMemory, paging: Paging, range: PageRange = ALL_PAGES) {
    const { first, end } = range;
    if (!(Number.isInteger(first) && Number.isInteger(end) && first >= 0 && first <= end && end <= 2 ** 52)) {
      throw new PageTableError(
        'OUT_OF_RANGE',
        `cursor: pages [${first}, ${end}); expected whole numbers in [0, 2^52], the first not above the end`,
        { first, end },
      );
    }
    const levels = paging.format.levels;
    this.memory = memory;
    this.paging = paging;
    this.groupCodes = paging.format.groupCodes;
    this.range = range;
    this.tables = new Float64Array(levels);
    this.offsets = new Int32Array(levels);
    this.pages = new Float64Array(levels);
    this.index = new Int32Array(levels);
    this.limits = new Int32Array(levels);
    this.parts = new Int32Array(levels);
    this.bases = new Float64Array(levels);
    this.ands = new Int32Array(levels);
    this.ors = new Int32Array(levels);
    this.start({ depth: 0, frame: paging.root.frame, page: 0 });
  }

  /**
   * Starts afresh at one table; the range stays.
   *
   * @param table - its depth, its frame, the first page that its first entry maps, and what the entries above say of
   *   rights, see {@link and} and {@link or}
   * @throws {@link PageTableError} `OUT_OF_RANGE` if the format has no such depth
   */
  start(table: {
    readonly depth: number;
    readonly frame: number;
    readonly page: number;
    readonly and?: number;
    readonly or?: number;
  }): void {
    const { depth, frame, page } = table;
    if (!(depth >= 0 && depth < this.paging.format.levels)) {
      throw new PageTableError(
        'OUT_OF_RANGE',
        `cursor: depth ${depth}; expected a whole number in [0, ${this.paging.format.levels})`,
        { depth },
      );
    }
    this.memory.current();
    const offset = depth === 0 ? this.paging.root.word : 0;
    this.push(depth, frame, offset, page, table.and ?? -1, table.or ?? 0);
    this.floor = depth;
    this.pushed = false;
  }

  /** Goes to the next present entry, missing table or end. */
  next(): CursorEvent {
    const { facts, entryShift } = this.paging.format;
    const memory = this.memory;
    const partMask = (1024 >>> entryShift) - 1;
    this.pushed = false;
    for (;;) {
      const depth = this.at;
      if (depth < this.floor) return DONE;
      const limit = this.limits[depth];
      let index = this.index[depth];
      if (index >= limit) {
        this.at = depth - 1;
        continue;
      }
      const part = index >>> (10 - entryShift);
      if (part !== this.parts[depth]) {
        this.parts[depth] = part;
        this.bases[depth] = memory.locate(this.tables[depth] + part);
      }
      const base = this.bases[depth];
      if (base === ABSENT) {
        // All entries in this frame are unknown; those of a sign-extended root map two ranges.
        const entries =
          Math.min(
            partMask,
            lastIndex(facts, depth) >>> (depth === 0 && this.paging.format.fact.signExtended ? 1 : 0),
          ) + 1;
        const start = index - (index & (entries - 1));
        this.index[depth] = start + entries;
        this.report(depth, start, entryOrder(facts, depth) + 31 - Math.clz32(entries), 0, 0);
        this.frame = this.tables[depth] + part;
        return MISSING;
      }
      const words = memory.current();
      let at = base + this.offsets[depth] + ((index & partMask) << entryShift);
      let low = words[at] | 0;
      while (!isPresent(facts, depth, low)) {
        index += 1;
        if (index >= limit || (index & partMask) === 0) break;
        at += 1 << entryShift;
        low = words[at] | 0;
      }
      // The whole entry at once: another thread may be writing to it.
      if (entryShift === 1 && isPresent(facts, depth, low)) low = memory.loadEntry(at);
      this.index[depth] = index + 1;
      if (!isPresent(facts, depth, low)) {
        this.index[depth] = index;
        continue;
      }
      const high = entryShift === 1 ? memory.high : 0;
      this.report(depth, index, entryOrder(facts, depth), low, high);
      if (!leadsToTable(facts, depth, low)) {
        if (isFaultyPage(facts, depth, low, high)) return FAULTY;
        this.frame = pageFrame(facts, depth, low, high);
        // The lowest bits of the page are those of the index.
        if (this.groupCodes) this.frame += groupOffset(facts, depth, high, index);
        return PAGE;
      }
      if (isFaultyTable(facts, depth, low, high)) return FAULTY;
      this.frame = tableFrame(facts, depth, low, high);
      const and = andRights(facts, depth, this.and, low);
      this.push(depth + 1, this.frame, 0, this.page, and, orRights(facts, depth, this.or, high));
      return TABLE;
    }
  }

  /** After {@link TABLE}: passes over the table and all below it. */
  skip(): void {
    if (this.pushed) this.at -= 1;
    this.pushed = false;
  }

  /**
   * After {@link PAGE}: passes over the entries that go on as that one does, each with the same bits and the next frame. The
   * fields stay those of the first.
   *
   * @returns how many; some may be left that {@link next} meets one by one
   */
  skipAlike(): number {
    const { facts, entryShift } = this.paging.format;
    const { depth, low, high, memory } = this;
    const shift = this.order + encodedShift(facts, depth);
    // Another thread may be writing; a group may hold one address in all its entries; a root may have a hole.
    if (memory.shared || depth === 0 || shift > 31 || groupOrder(facts, depth, high) !== 0) return 0;
    const step = 1 << shift;
    const from = this.index[depth];
    const partMask = (1024 >>> entryShift) - 1;
    if ((from & partMask) === 0) return 0;
    const end = Math.min(this.limits[depth], (from | partMask) + 1);
    const words = memory.current();
    let at = this.bases[depth] + ((from & partMask) << entryShift);
    let index = from;
    for (let next = (low + step) | 0; index < end; index += 1) {
      // Where the low half is full, the high one is another.
      if (next >>> 0 < step >>> 0 || (words[at] | 0) !== next) break;
      if (entryShift === 1 && (words[at + 1] | 0) !== high) break;
      next = (next + step) | 0;
      at += 1 << entryShift;
    }
    this.index[depth] = index;
    return index - from;
  }

  /** Fills the public fields, save `frame`, for the entry at `index` of the table at `depth`. */
  private report(depth: number, index: number, order: number, low: number, high: number): void {
    const { indexScale, lowEnd, highStart } = this.paging.format;
    const page = this.pages[depth] + index / indexScale[depth];
    this.depth = depth;
    this.page = depth === 0 && page >= lowEnd ? page + (highStart - lowEnd) : page;
    this.order = order;
    this.frame = 0;
    this.low = low;
    this.high = high;
    this.and = this.ands[depth];
    this.or = this.ors[depth];
  }

  private push(depth: number, frame: number, offset: number, page: number, and: number, or: number): void {
    const { facts, indexScale, lowEnd, highStart } = this.paging.format;
    this.at = depth;
    this.pushed = true;
    this.tables[depth] = frame;
    this.offsets[depth] = offset;
    this.pages[depth] = page;
    this.parts[depth] = -1;
    this.ands[depth] = and;
    this.ors[depth] = or;
    // From the first entry that reaches into the range to the last. In the root, the upper half follows the lower one.
    const hole = depth === 0 ? highStart - lowEnd : 0;
    const first =
      this.range.first < lowEnd || hole === 0 ? this.range.first : Math.max(lowEnd, this.range.first - hole);
    const end =
      this.range.end <= lowEnd || hole === 0 ? this.range.end : Math.max(lowEnd, this.range.end - hole);
    const scale = indexScale[depth];
    const entries = lastIndex(facts, depth) + 1;
    this.index[depth] = Math.min(entries, Math.max(0, Math.floor((first - page) * scale)));
    this.limits[depth] = first === end ? 0 : Math.min(entries, Math.max(0, Math.ceil((end - page) * scale)));
  }
}
