import {
  andPageRights,
  andRights,
  type CompiledFormat,
  groupOffset,
  indexOf,
  isFaultyPage,
  isFaultyTable,
  isPresent,
  leadsToTable,
  orPageRights,
  orRights,
  pageAccessed,
  pageFrame,
  pageOrder,
  tableAccessed,
  tableFrame,
  withDirty,
} from '../format/index.ts';
import type { PhysicalMemory } from '../memory/index.ts';
import { NOT_IN_MEMORY, NOT_PRESENT, RESERVED } from '../walk/index.ts';

/** {@link PageWalk.run}: the walk reached a page. */
export const MAPPED = 0;

/** How {@link PageWalk.run} can end. */
export type WalkCode = typeof MAPPED | typeof NOT_PRESENT | typeof RESERVED | typeof NOT_IN_MEMORY;

/** An entry that a walk found outside memory, in a register of the processor. */
const IN_REGISTER = -1;
/** `log2` of the words in a frame. */
const FRAME_SHIFT = 10;
/** Words in a frame, less 1. */
const IN_FRAME = 1023;

/**
 * How many 4-KiB pages an address lies behind the start of a page of `2 ** order` of them.
 *
 * @param high - bits 63:32 of the address
 * @param low - bits 31:0
 */
export function pagesInside(high: number, low: number, order: number): number {
  const lower = low >>> 12;
  // Bits 31:12 are 20 of them.
  if (order <= 20) return lower & ((1 << order) - 1);
  return lower + (high & ((1 << (order - 20)) - 1)) * 2 ** 20;
}

/**
 * A processor's page walk: it may start below the root, from what a processor remembers, and afterwards set accessed and
 * dirty bits in the entries it used. One of these serves a processor for all its walks; the fields tell of the last.
 */
export class PageWalk {
  /** Depth of the entry that was read last; that of the page's entry if one was reached. */
  depth = 0;
  /** Depth at which it started. */
  start = 0;
  /** First frame of the page, as its entry says it, or the frame of the table that is not in memory. See {@link frameAt}. */
  frame = 0;
  /** Rights bits that all entries have, those of the page's entry included. */
  and = 0;
  /** Execute-disable bits that any entry has. */
  or = 0;
  // By depth, from `start` to `depth`.
  /** Bits 31:0 of each entry. */
  readonly lows = new Int32Array(5);
  /** Bits 63:32 of each entry. */
  readonly highs = new Int32Array(5);
  /** Where each entry lies in the memory's words; -1 for one in a register. */
  readonly places = new Int32Array(5);
  /** Frame of the table in which each entry lies. */
  readonly tables = new Float64Array(5);
  /** Index of each entry in its table, counted from the start of the table's first frame. */
  readonly indexes = new Int32Array(5);
  /** Rights of the entries down to each depth. */
  readonly ands = new Int32Array(5);
  readonly ors = new Int32Array(5);

  /**
   * Walks to a page.
   *
   * @param memory - where the tables are
   * @param format - what they mean
   * @param high - bits 63:32 of the linear address, which must be canonical
   * @param low - bits 31:0
   * @param start - depth of the first table
   * @param table - frame of the first table
   * @param word - index of the first table's first word in its frame
   * @param and - rights bits that all entries above have; -1 at the root
   * @param or - execute-disable bits that any entry above has
   * @param registers - the entries of depth 0, where the processor keeps them in registers: pairs of halves
   */
  run(
    memory: PhysicalMemory,
    format: CompiledFormat,
    high: number,
    low: number,
    start: number,
    table: number,
    word: number,
    and: number,
    or: number,
    registers: Int32Array | undefined,
  ): WalkCode {
    const { facts, levels, entryShift } = format;
    memory.current();
    this.start = start;
    let offset = word;
    for (let depth = start; depth < levels; depth += 1) {
      this.depth = depth;
      this.tables[depth] = table;
      const index = indexOf(facts, depth, high >>> 6, ((high & 63) << 20) | (low >>> 12));
      let entryLow: number;
      let entryHigh = 0;
      let place = IN_REGISTER;
      if (depth === 0 && registers !== undefined) {
        entryLow = registers[index << 1];
        entryHigh = registers[(index << 1) | 1];
      } else {
        // Tables of large granules go on in the frames that follow.
        const part = table + (index >>> (FRAME_SHIFT - entryShift));
        const base = memory.locate(part);
        if (base < 0) {
          this.frame = part;
          return NOT_IN_MEMORY;
        }
        place = base + offset + ((index << entryShift) & IN_FRAME);
        if (entryShift === 1) {
          entryLow = memory.loadEntry(place);
          entryHigh = memory.high;
        } else {
          entryLow = memory.words[place] | 0;
        }
      }
      this.lows[depth] = entryLow;
      this.highs[depth] = entryHigh;
      this.places[depth] = place;
      this.indexes[depth] = index + (offset >> entryShift);
      if (!isPresent(facts, depth, entryLow)) return NOT_PRESENT;
      if (!leadsToTable(facts, depth, entryLow)) {
        if (isFaultyPage(facts, depth, entryLow, entryHigh)) return RESERVED;
        this.frame = pageFrame(facts, depth, entryLow, entryHigh);
        this.and = andPageRights(facts, depth, and, entryLow);
        this.or = orPageRights(facts, depth, or, entryHigh);
        return MAPPED;
      }
      and = andRights(facts, depth, and, entryLow);
      or = orRights(facts, depth, or, entryHigh);
      this.ands[depth] = and;
      this.ors[depth] = or;
      if (isFaultyTable(facts, depth, entryLow, entryHigh)) return RESERVED;
      table = tableFrame(facts, depth, entryLow, entryHigh);
      offset = 0;
    }
    return NOT_PRESENT;
  }

  /** The 4-KiB frame to which an address of the page that was reached translates. */
  frameAt(format: CompiledFormat, high: number, low: number): number {
    const { facts } = format;
    const { depth } = this;
    const group = groupOffset(facts, depth, this.highs[depth], low >>> 12);
    return this.frame + pagesInside(high, low, pageOrder(facts, depth)) + group;
  }

  /** `log2` of the 4-KiB pages in the page that was reached. */
  order(format: CompiledFormat): number {
    return pageOrder(format.facts, this.depth);
  }

  /**
   * Sets the accessed bit of every entry that the walk used, and makes the page's dirty if it was a write. Each entry changes only if it still is what the walk has seen.
   *
   * @returns whether all are set; if not, another thread has changed an entry, and the walk must be made again
   */
  mark(memory: PhysicalMemory, format: CompiledFormat, write: boolean): boolean {
    const { facts, entryShift } = format;
    for (let depth = this.start; depth <= this.depth; depth += 1) {
      const low = this.lows[depth];
      const high = this.highs[depth];
      let marked = low | tableAccessed(facts, depth);
      if (depth === this.depth) {
        marked = low | pageAccessed(facts, depth);
        if (write) marked = withDirty(facts, depth, marked, high);
      }
      const place = this.places[depth];
      if (marked === low || place === IN_REGISTER) continue;
      if (!memory.changeLow(place, low, high, marked, entryShift === 1)) return false;
      this.lows[depth] = marked;
    }
    return true;
  }
}
