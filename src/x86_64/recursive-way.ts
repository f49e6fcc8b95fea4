import { READ, WRITE } from '../format/index.ts';
import type { PhysicalMemory } from '../memory/index.ts';
import * as bits from './entry-bits.ts';

// This module's own constants, which V8 compiles in; what is imported it reads from a cell at each use.
const { PRESENT, HUGE_PAGE } = bits;
const KIND_READ = READ;
const KIND_WRITE = WRITE;
/** Bits of an address's low half that choose a level-1 table, with the whole high half. */
const TABLE_OF = ~0x1f_ffff;
const NOWHERE = -1;
/** Bits 63:32 of no canonical address. */
const NO_ADDRESS = 0x4000_0000;

/** A processor that remembers every translation until it is told to forget, and tells of that. */
export interface RememberingProcessor {
  /** Physical memory. */
  readonly memory: PhysicalMemory;
  /** Whether translations are good as long as {@link generation} stays, and nothing watches accesses. */
  readonly remembersAll: boolean;
  /** Changes whenever a translation may have changed. */
  readonly generation: number;
  /**
   * Where an entry lies in memory, as an access to it finds.
   *
   * @returns index of its low word, or a negative number if the access fails
   */
  entryAt(high: number, low: number, kind: number): number;
}

/** Whether a processor is one that the fast way can use. */
export function remembersAll(processor: object): processor is RememberingProcessor {
  return 'remembersAll' in processor && processor.remembersAll === true;
}

/**
 * The fast way to level-1 entries through a recursive window: where the four tables of the last address are is kept as long
 * as the processor forgets nothing, and the entries in them are read each time. It knows the usual case, and leaves
 * everything else to the general way.
 */
export class RecursiveWay {
  /** Bits 31:0 of the entry that was read. */
  low = 0;
  /** Bits 63:32. */
  high = 0;
  private readonly processor: RememberingProcessor;
  private readonly memory: PhysicalMemory;
  /** Bits 63:32 of addresses in the windows of levels 4, 3 and 2. */
  private readonly upper: number;
  /** Bits 63:39 of the high half of addresses in the windows of level 1. */
  private readonly high1: number;
  // Bits 31:0 of the windows of levels 4, 3 and 2.
  private readonly low4: number;
  private readonly low3: number;
  private readonly low2: number;

  // The address for which the rest holds.
  private ofHigh = NO_ADDRESS;
  private ofLow = 0;
  private generation = 0;
  // Words of the entries on the way, and of the level-1 table.
  private at4 = 0;
  private at3 = 0;
  private at2 = 0;
  private table = 0;
  /** Where in the table the entry is that was read. */
  private index = 0;
  /** The same table for writing; -1 if that is not known yet. */
  private writable = NOWHERE;

  /**
   * @param processor - through which tables are seen
   * @param index - of the level-4 entry that points back
   */
  constructor(processor: RememberingProcessor, index: number) {
    this.processor = processor;
    this.memory = processor.memory;
    const sign = index >= 256 ? 0xffff_0000 : 0;
    this.high1 = sign | (index << 7);
    this.upper = this.high1 | (index >>> 2);
    this.low2 = index << 30;
    this.low3 = this.low2 | (index << 21);
    this.low4 = this.low3 | (index << 12);
  }

  /**
   * Reads the level-1 entry of an address into {@link low} and {@link high}, if all tables on the way have what is
   * required.
   *
   * @param required - flags that every table on the way must have, `PRESENT` among them and `HUGE_PAGE` not
   * @returns whether it was read; if not, the general way must look
   */
  find(high: number, low: number, required: number): boolean {
    const moved = ((low ^ this.ofLow) & TABLE_OF) | (high ^ this.ofHigh);
    if ((moved | (this.generation ^ this.processor.generation)) !== 0 && !this.aim(high, low)) return false;
    const words = this.memory.words;
    // A buffer that was replaced is looked for by the general way.
    if (words.length === 0) return false;
    const low4 = words[this.at4];
    const low3 = words[this.at3];
    const low2 = words[this.at2];
    if ((low4 & low3 & low2 & required) !== required || ((low4 | low3 | low2) & HUGE_PAGE) !== 0)
      return false;
    this.index = (low >>> 11) & 0x3fe;
    const at = this.table + this.index;
    this.low = words[at] | 0;
    this.high = words[at | 1] | 0;
    return true;
  }

  /**
   * Writes to the entry that {@link find} has read; the fields keep what it was.
   *
   * @returns whether it was written; if not, the general way must
   */
  replace(low: number, high: number): boolean {
    if (this.writable < 0) {
      const { processor } = this;
      this.writable = processor.entryAt(
        this.upperOf(this.ofHigh),
        this.lowerOf(this.ofHigh, this.ofLow),
        KIND_WRITE,
      );
      if (this.writable < 0) return false;
    }
    const words = this.memory.words;
    const at = this.writable + this.index;
    words[at] = low;
    words[at | 1] = high;
    return true;
  }

  /** Finds the tables on the way to an address, one after the other. */
  private aim(high: number, low: number): boolean {
    const { processor, memory } = this;
    // Whatever goes wrong on the way, nothing holds.
    this.ofHigh = NO_ADDRESS;
    this.at4 = processor.entryAt(this.upper, this.low4 | ((high >>> 4) & 0xff8), KIND_READ);
    if (!this.leadsOn(this.at4)) return false;
    this.at3 = processor.entryAt(
      this.upper,
      this.low3 | (((high << 5) | (low >>> 27)) & 0x1f_fff8),
      KIND_READ,
    );
    if (!this.leadsOn(this.at3)) return false;
    const lower2 = ((high << 14) | (low >>> 18)) & 0x3fff_fff8;
    this.at2 = processor.entryAt(this.upper, this.low2 | lower2, KIND_READ);
    if (!this.leadsOn(this.at2)) return false;
    const table = processor.entryAt(this.upperOf(high), this.lowerOf(high, low), KIND_READ);
    if (table < 0 || memory.words.length === 0) return false;
    this.table = table;
    this.writable = NOWHERE;
    this.generation = processor.generation;
    this.ofHigh = high;
    this.ofLow = low;
    return true;
  }

  /** Whether there is an entry, and it is present and no page. */
  private leadsOn(at: number): boolean {
    return at >= 0 && (this.memory.words[at] & (PRESENT | HUGE_PAGE)) === PRESENT;
  }

  /** Bits 63:32 of where the level-1 table of an address appears. */
  private upperOf(high: number): number {
    return this.high1 | ((high >>> 9) & 0x7f);
  }

  /** Bits 31:0. */
  private lowerOf(high: number, low: number): number {
    return ((high << 23) | (low >>> 9)) & ~0xfff;
  }
}
