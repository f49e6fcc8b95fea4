import { addressOf, offsetOf, PageTableError, pageOf } from '../bits/index.ts';
import { uniformLevels } from '../format/compile.ts';
import {
  indexOf,
  isFaultyPage,
  isFaultyTable,
  isPresent,
  leadsToTable,
  nearTableFrame,
  type Paging,
  pageFrame,
  pageOrder,
  pageWithin,
  tableFrame,
  untagged,
  type WalkEnd,
} from '../format/index.ts';
import { ABSENT, type PhysicalMemory } from '../memory/index.ts';

/** {@link Walker.translate}: an entry on the way is not present. */
export const NOT_PRESENT = -1;
/** {@link Walker.translate}: an entry on the way has a reserved bit set. */
export const RESERVED = -2;
/** {@link Walker.translate}: a table on the way is not in memory. */
export const NOT_IN_MEMORY = -3;
/** {@link Walker.translate}: the address is not canonical, or wider than the format translates. */
export const NON_CANONICAL = -4;

/** Page numbers have two halves of 26 bits where they are passed as small integers. */
const HALF = 2 ** 26;

const ENDS: readonly WalkEnd[] = ['mapped', 'not-present', 'reserved', 'not-in-memory', 'non-canonical'];

/** One entry that a walk used. */
export interface Step {
  /** Counted from the root, 0. */
  readonly depth: number;
  /** Frame of the table in which the entry lies; with tables larger than a frame, the frame of the entry itself. */
  readonly tableFrame: number;
  /** Index of the entry in its table. */
  readonly index: number;
  /** Physical byte address of the entry. */
  readonly address: bigint;
  /** Bits 31:0. */
  readonly low: number;
  /** Bits 63:32; 0 in formats with 4-byte entries. */
  readonly high: number;
}

/** A walk with everything it saw. */
export interface Path {
  readonly end: WalkEnd;
  /** The entries used, root first; the last one decided, unless `end` is `not-in-memory` or `non-canonical`. */
  readonly steps: readonly Step[];
  /** `mapped`: frame of the 4-KiB page asked for. `not-in-memory`: frame of the table that is missing. */
  readonly frame: number | undefined;
  /** `mapped`: `log2` of the bytes of the page that contains it. */
  readonly pageShift: number | undefined;
}

/**
 * Translates page numbers through page tables in memory. Bounded by the number of levels, whatever the tables hold.
 */
export class Walker {
  readonly memory: PhysicalMemory;
  readonly paging: Paging;
  /** Place of the root in the memory's direct run; -1 sends every walk the general way. */
  private readonly fastRoot: number;
  /** Bits that must be as in `tableValue` for the fast way through an upper level. */
  private readonly tableMask: number;
  private readonly tableValue: number;
  /** The memory's words for the fast way. Never replaced, so that V8 takes it as a constant, save when they are detached. */
  private words: Uint32Array;
  /** Bits 51:27 of the page numbers that are translated are in [0, lowTop) or [highTop, 2^25). */
  private readonly lowTop: number;
  private readonly highTop: number;
  /** High bits of an entry that the fast way leaves to the general one: reserved ones, and frames from 2^31. */
  private readonly slowHigh: number;

  constructor(memory: PhysicalMemory, paging: Paging) {
    this.memory = memory;
    this.paging = paging;
    const uniform = uniformLevels(paging.format);
    // Frames are compared as small integers.
    const near = memory.first + memory.count <= 2 ** 31;
    const place = paging.root.frame - memory.first;
    // Entries that another thread may be writing to are loaded whole, which the fast way does not.
    const fast =
      uniform !== undefined &&
      paging.root.word === 0 &&
      near &&
      !memory.shared &&
      place >= 0 &&
      place < memory.count;
    this.fastRoot = fast ? place : -1;
    this.words = memory.current();
    this.tableMask = uniform?.mask ?? 0;
    this.tableValue = uniform?.value ?? 0;
    this.slowHigh = uniform?.high ?? 0;
    this.lowTop = paging.format.lowEnd / 0x800_0000;
    this.highTop = paging.format.highStart / 0x800_0000;
  }

  /**
   * The frame to which a page translates. Allocates nothing.
   *
   * @param page - number of a 4-KiB page, `address / 4096`: an integer in `[0, 2^52)`
   * @returns a frame number in `[0, 2^44)`, or {@link NOT_PRESENT}, {@link RESERVED}, {@link NOT_IN_MEMORY} or
   *   {@link NON_CANONICAL}
   * @throws {@link PageTableError} `OUT_OF_RANGE` if `page` is not such an integer
   */
  translate(page: number): number {
    // Three levels with everything in small integers. Whatever is unusual is left to `slowly`, which starts afresh:
    // nothing here may be merged with its result. Kept below V8's limit for inlining (460 bytes of bytecode).
    const words = this.words;
    const first = this.memory.first;
    const count = this.memory.count;
    const mask = this.tableMask;
    const value = this.tableValue;
    const slow = this.slowHigh;
    let place = this.enter(page);
    if (place >>> 0 < count) {
      let at = (place << 10) | (((page >>> 18) & 511) << 1);
      let low = words[at];
      let high = words[at + 1];
      place = (((low >>> 12) | (high << 20)) - first) | 0;
      if ((low & mask) === value && (high & slow) === 0 && place >>> 0 < count) {
        at = (place << 10) | (((page >>> 9) & 511) << 1);
        low = words[at];
        high = words[at + 1];
        place = (((low >>> 12) | (high << 20)) - first) | 0;
        if ((low & mask) === value && (high & slow) === 0 && place >>> 0 < count) {
          at = (place << 10) | ((page & 511) << 1);
          low = words[at];
          high = words[at + 1];
          if ((low & value) === value && (high & slow) === 0) return (low >>> 12) | (high << 20);
        }
      }
    }
    return this.slowly(page);
  }

  /**
   * The physical address of a linear one. {@link translate} does the same without a `bigint`, and says why not.
   *
   * @param address - linear byte address, 64 bits
   * @returns a physical byte address, or `undefined` where nothing is mapped or a table is missing
   * @throws {@link PageTableError} `OUT_OF_RANGE` if `address` is negative or wider than 64 bits
   */
  translateAddress(address: bigint): bigint | undefined {
    const frame = this.translate(pageOf(address));
    return frame < 0 ? undefined : addressOf(frame, offsetOf(address));
  }

  /** The fast way through the root: place of the next table in the memory's direct run, or -1. */
  private enter(page: number): number {
    const words = this.words;
    const memory = this.memory;
    const root = this.fastRoot;
    // Bits 51:27 of the page number.
    const top = page * (1 / 0x800_0000);
    const canonical = top < this.lowTop ? top >= 0 : top >= this.highTop && top < 0x200_0000;
    if (canonical && Math.floor(page) === page && root >= 0) {
      const at = (root << 10) | ((top & 511) << 1);
      const low = words[at];
      const high = words[at + 1];
      if ((low & this.tableMask) === this.tableValue && (high & this.slowHigh) === 0) {
        return (((low >>> 12) | (high << 20)) - memory.first) | 0;
      }
    }
    return -1;
  }

  /** {@link translate} for everything that the fast way does not do. */
  private slowly(page: number): number {
    if (!(page >= 0 && page < 2 ** 52 && Math.floor(page) === page)) throw notAPage(page);
    // Two small integers: a number above 2^31 would be put on the heap for the call.
    return this.general(this.upperOf(page), page & (HALF - 1));
  }

  /** Bits 51:26 of a page number, without a tag. */
  private upperOf(page: number): number {
    const upper = (page * (1 / HALF)) | 0;
    return this.paging.format.tagged ? untagged(upper) : upper;
  }

  /**
   * {@link translate} for every format, memory and outcome.
   *
   * @param upper - bits 51:26 of the page number
   * @param lower - bits 25:0
   */
  private general(upper: number, lower: number): number {
    const { facts, levels, entryShift, lowEnd, highStart } = this.paging.format;
    const memory = this.memory;
    const current = memory.current();
    if (this.fastRoot >= 0 && this.words !== current) this.words = current;
    const page = upper * HALF + lower;
    if (page >= lowEnd && page < highStart) return NON_CANONICAL;
    // A frame from 2^31 has a variable of its own: one that has once held such a number is a double from then on, which
    // makes every later walk slower.
    let far = this.paging.root.frame;
    let near = far < 2 ** 31 ? far | 0 : -1;
    let word = this.paging.root.word;
    for (let depth = 0; depth < levels; depth += 1) {
      const index = indexOf(facts, depth, upper, lower);
      const part = index >>> (10 - entryShift);
      const base = near < 0 ? memory.locate(far + part) : memory.locate(near + part);
      if (base < 0) return NOT_IN_MEMORY;
      const at = base + word + ((index << entryShift) & 1023);
      const low = entryShift === 1 ? memory.loadEntry(at) : memory.words[at];
      const high = entryShift === 1 ? memory.high : 0;
      if (!isPresent(facts, depth, low)) return NOT_PRESENT;
      if (!leadsToTable(facts, depth, low)) {
        if (isFaultyPage(facts, depth, low, high)) return RESERVED;
        return pageFrame(facts, depth, low, high) + pageWithin(facts, depth, high, upper, lower);
      }
      if (isFaultyTable(facts, depth, low, high)) return RESERVED;
      near = nearTableFrame(facts, depth, low, high);
      if (near < 0) far = tableFrame(facts, depth, low, high);
      word = 0;
    }
    // The last level has no kind of entry that leads to a table, or only a faulty one.
    return NOT_PRESENT;
  }

  /**
   * The same walk with every entry it used.
   *
   * @param page - as for {@link translate}
   */
  path(page: number): Path {
    const { facts, levels, entryShift } = this.paging.format;
    const end = this.slowly(page);
    const upper = this.upperOf(page);
    const lower = page % HALF;
    const steps: Step[] = [];
    let frame = this.paging.root.frame;
    let word = this.paging.root.word;
    for (let depth = 0; end !== NON_CANONICAL && depth < levels; depth += 1) {
      const index = indexOf(facts, depth, upper, lower);
      const entryFrame = frame + (index >>> (10 - entryShift));
      const base = this.memory.locate(entryFrame);
      if (base === ABSENT) return { end: 'not-in-memory', steps, frame: entryFrame, pageShift: undefined };
      const offset = word + ((index << entryShift) & 1023);
      const at = base + offset;
      const low = entryShift === 1 ? this.memory.loadEntry(at) : this.memory.words[at] | 0;
      const high = entryShift === 1 ? this.memory.high : 0;
      steps.push({
        depth,
        tableFrame: entryFrame,
        index,
        address: addressOf(entryFrame, offset * 4),
        low,
        high,
      });
      if (!isPresent(facts, depth, low) || !leadsToTable(facts, depth, low)) {
        const pageShift = end >= 0 ? pageOrder(facts, depth) + 12 : undefined;
        return { end: ENDS[Math.max(0, -end)], steps, frame: end >= 0 ? end : undefined, pageShift };
      }
      if (isFaultyTable(facts, depth, low, high)) break;
      frame = tableFrame(facts, depth, low, high);
      word = 0;
    }
    return { end: ENDS[Math.max(0, -end)], steps, frame: undefined, pageShift: undefined };
  }
}

/**
 * The physical byte address of a table: the root may begin in the middle of its frame.
 *
 * @param depth - counts from the root, 0
 * @param frame - the table's first frame
 */
export function tableAddress(paging: Paging, depth: number, frame: number): bigint {
  return addressOf(frame, depth === 0 ? paging.root.word * 4 : 0);
}

function notAPage(page: number): PageTableError {
  return new PageTableError('OUT_OF_RANGE', `walk: page ${page}; expected a whole number in [0, 2^52)`, {
    page,
  });
}
