import { addressOf, hex, PageTableError } from '../bits/index.ts';
import { wrongKind } from '../bits/wrong-kind.ts';
import { ABSENT, PhysicalMemory } from '../memory/index.ts';
import type { Behaviour } from './behaviour.ts';
import { ACCESSED, FLAGS_HIGH, FLAGS_LOW, frameOf, highOf, lowOf, SPANS, TABLE, VALID } from './entry.ts';
import { LiveRules } from './live-rules.ts';
import type { Regime } from './regime.ts';
import { TargetAllocator, type Translation } from './target-allocator.ts';

// Constants of this module's own, which V8 compiles in.
const LEAF = 3;
const FRAME_WORDS = 1024;
/** Bits 1:0 of what leads to a table. */
const LEADS = VALID | TABLE;
/** Frames of 4 GiB: bits 31:12 of an address. */
const LOW_FRAMES = 0x10_0000;

/** {@link Tables.map}: leaves must be pages. */
export const PAGES_ONLY = 1;
/** {@link Tables.map}: the physical address is no multiple of 4096. */
export const BETWEEN_PAGES = 2;

/** What is done with the leaves of a range. */
export interface Visitor {
  /**
   * Leaves that follow each other in one table: at level 3 all that the range has in it, above one.
   *
   * @param level - of their table
   * @param at - index of the first one's low word
   * @param page - first page of the range in them, relative to the first one of the map
   * @param end - behind the last one
   */
  leaves(level: number, at: number, page: number, end: number): void;
}

/** Who must forget what tables that are freed have mapped. */
export interface TableWatcher {
  /** A page that was mapped, or any page below a table that was. */
  invalidate(page: number): void;
  /** The tables are freed next. */
  synchronize(): void;
}

/**
 * The tables of one map: maps, visits, splits and frees. Pages are relative to the first one of the map, ranges are within it.
 */
export class Tables {
  readonly translation: Translation;
  readonly memory: PhysicalMemory;
  readonly regime: Regime;
  readonly behaviour: Behaviour;
  readonly rules: LiveRules;
  /** Set while the tables are in use by a processor. */
  watcher: TableWatcher | undefined;
  /** Frame of the root. */
  readonly root: number;
  /** Level of the root. */
  readonly level: number;
  /** Pages that the map has. */
  readonly pages: number;
  /** Where frames lie one after the other. */
  private readonly run: { readonly first: number; readonly count: number };
  /** Their first one, if it is below 2^31. */
  private readonly first: number;
  private readonly near: boolean;
  private readonly setsAccessed: number;
  private readonly keepsAddress: boolean;
  private readonly keepsIdentical: boolean;
  private readonly freesTables: boolean;
  private readonly splitsEmpty: boolean;
  private readonly losesUnknown: boolean;
  private readonly topBlocks: boolean;
  private readonly noUnderflow: boolean;

  constructor(translation: Translation, regime: Regime, level: number, behaviour: Behaviour) {
    const { memory, allocateTable } = (translation ?? {}) as Partial<Translation>;
    if (!(memory instanceof PhysicalMemory) || typeof allocateTable !== 'function') {
      throw wrongKind('translation', translation, 'a Translation');
    }
    this.translation = translation;
    this.memory = memory;
    this.regime = regime;
    this.behaviour = behaviour;
    this.rules = new LiveRules(regime, behaviour);
    this.level = level;
    this.pages = SPANS[level] * 512;
    this.run = translation instanceof TargetAllocator ? translation : memory;
    this.near = this.run.first < 2 ** 31;
    this.first = this.near ? this.run.first : 0;
    this.setsAccessed = behaviour['accessed-only-if-given'] ? 0 : ACCESSED;
    this.keepsAddress = !behaviour['invalid-leaves-have-no-address'];
    this.keepsIdentical = behaviour['identical-blocks-stay'];
    this.freesTables = behaviour['unmapped-tables-are-freed'];
    this.splitsEmpty = !behaviour['clean-split-of-empty-entries'];
    this.losesUnknown = !behaviour['unknown-bits-survive-a-split'];
    this.topBlocks = !behaviour['no-level-0-blocks'];
    this.noUnderflow = behaviour['no-underflow-of-addresses'];
    this.root = this.allocate();
  }

  /**
   * Maps pages to frames.
   *
   * @param page - first one
   * @param end - behind the last one
   * @param frame - of the first one, in `[0, 2^52)`; an entry holds its bits 35:0
   * @param low - flags
   * @param high - of the same
   * @param mode - 0, or {@link PAGES_ONLY} and {@link BETWEEN_PAGES}
   */
  mapRange(page: number, end: number, frame: number, low: number, high: number, mode: number): void {
    this.map(this.level, this.root, page, end, frame, low | this.setsAccessed, high, mode);
  }

  private map(
    level: number,
    table: number,
    first: number,
    end: number,
    firstFrame: number,
    low: number,
    high: number,
    mode: number,
  ): void {
    let page = first;
    let frame = firstFrame;
    const keeps = this.keepsAddress || (low & VALID) !== 0;
    const start = this.place(table);
    if (level === LEAF) {
      const at = start + ((page & 511) << 1);
      if (keeps) storeRun(this.memory, at, end - page, frame, 1, low | TABLE, high);
      else storeRun(this.memory, at, end - page, 0, 0, low, high);
      return;
    }
    const span = SPANS[level];
    const inside = span - 1;
    const blocks = mode === 0 && (level > 0 || this.topBlocks);
    while (page < end) {
      const within = page & inside;
      const at = start + (indexAt(level, page) << 1);
      const whole = within === 0 && end - page >= span;
      if (whole && blocks && (frame & inside) === 0) {
        const count = this.blocksFrom(at, Math.floor((end - page) / span));
        if (count > 0) {
          if (keeps) storeRun(this.memory, at, count, frame, span, low, high);
          else storeRun(this.memory, at, count, 0, 0, low, high);
          page += count * span;
          frame += count * span;
          continue;
        }
      }
      const next = Math.min(end, page - within + span);
      const entryLow = this.load(at);
      const entryHigh = this.memory.high;
      let child = frameOf(entryLow, entryHigh);
      if ((entryLow & LEADS) !== LEADS) {
        if (this.isIdentical(entryLow, entryHigh, frame, within, low, high, mode)) child = -1;
        else child = this.split(level, at, page - within);
      } else if (whole && (low & VALID) === 0 && this.freesTables) {
        if (!keeps || (blocks && (frame & inside) === 0)) {
          if (keeps) storeRun(this.memory, at, 1, frame, span, low, high);
          else this.memory.storeEntry(at, low, high);
          if (this.watcher !== undefined) {
            this.forget(level + 1, child, page);
            this.watcher.synchronize();
          }
          this.free(level + 1, child);
          child = -1;
        }
      }
      if (child >= 0) this.map(level + 1, child, page, next, frame, low, high, mode);
      frame += next - page;
      page = next;
    }
  }

  /** How many entries from a word on are no tables, up to so many and up to the end of the table. */
  private blocksFrom(at: number, most: number): number {
    const words = this.memory.words;
    const end = Math.min(at + most * 2, (at | (FRAME_WORDS - 1)) + 1);
    let to = at;
    while (to < end && (words[to] & LEADS) !== LEADS) to += 2;
    return (to - at) >> 1;
  }

  /** Whether an entry that is no table maps what it is to map already. */
  private isIdentical(
    entryLow: number,
    entryHigh: number,
    frame: number,
    within: number,
    low: number,
    high: number,
    mode: number,
  ): boolean {
    if (!this.keepsIdentical || (entryLow & FLAGS_LOW) !== low || (entryHigh & FLAGS_HIGH) !== high)
      return false;
    if (frame < within && !this.noUnderflow) {
      throw new PageTableError(
        'OUT_OF_RANGE',
        `map: physical address ${hex(addressOf(frame))} less ${hex(addressOf(within))} is negative`,
        { frame, within },
      );
    }
    return frame - within === frameOf(entryLow, entryHigh) && (mode & BETWEEN_PAGES) === 0;
  }

  /**
   * Makes a table in place of an entry; what that mapped, the table maps.
   *
   * @param page - first one of the entry
   * @returns the table
   */
  private split(level: number, at: number, page: number): number {
    const table = this.allocate();
    const low = this.load(at);
    const high = this.memory.high;
    if (
      (low & TABLE) === 0 &&
      (this.splitsEmpty || (low | high) !== 0) &&
      !(this.losesUnknown && this.rules.isUnknown(low, high))
    ) {
      const flags = (low & FLAGS_LOW) | this.setsAccessed;
      this.map(level + 1, table, page, page + SPANS[level], frameOf(low, high), flags, high & FLAGS_HIGH, 0);
    }
    // Last, so that whoever sees the table sees all that is in it.
    this.memory.storeEntry(at, lowOf(table) | LEADS, highOf(table));
    return table;
  }

  /**
   * Visits the leaves of a range, in order.
   *
   * @param splits - whether leaves that reach out of the range are split before
   */
  visit(page: number, end: number, visitor: Visitor, splits = false): void {
    let { level } = this;
    let start = this.place(this.root);
    // Down to the table in which the range begins and ends: most ranges are small.
    while (level < LEAF) {
      const index = indexAt(level, page);
      if (indexAt(level, end - 1) !== index) break;
      const low = this.memory.loadEntry(start + (index << 1));
      if ((low & LEADS) !== LEADS) break;
      start = this.placeOf(low, this.memory.high);
      level += 1;
    }
    this.visitTable(level, start, page, end, visitor, splits);
  }

  private visitTable(
    level: number,
    table: number,
    first: number,
    end: number,
    visitor: Visitor,
    splits: boolean,
  ): void {
    let at = table + (indexAt(level, first) << 1);
    if (level === LEAF) {
      visitor.leaves(level, at, first, end);
      return;
    }
    const span = SPANS[level];
    for (let page = first; page < end; ) {
      const start = page - (page & (span - 1));
      const low = this.load(at);
      let next = Math.min(end, start + span);
      let child = -1;
      let count = 1;
      if ((low & LEADS) === LEADS) child = this.placeOf(low, this.memory.high);
      else if (splits && next - page < span) child = this.place(this.split(level, at, start));
      else {
        // Up to the next table, or to the last one that is to be split.
        const rest = (end - start) / span;
        count = this.blocksFrom(at, splits ? Math.floor(rest) : Math.ceil(rest));
        next = Math.min(end, start + count * span);
      }
      if (child < 0) visitor.leaves(level, at, page, next);
      else this.visitTable(level + 1, child, page, next, visitor, splits);
      page = next;
      at += count * 2;
    }
  }

  /** Frees a table and all below it: what is below first, in order. */
  free(level: number, table: number): void {
    if (level < LEAF) {
      const start = this.place(table);
      for (let at = start; at < start + FRAME_WORDS; at += 2) {
        const low = this.load(at);
        if ((low & LEADS) === LEADS) this.free(level + 1, frameOf(low, this.memory.high));
      }
    }
    this.translation.deallocateTable(table);
  }

  /** Has the watcher forget a table and all below it. */
  private forget(level: number, table: number, page: number): void {
    const start = this.place(table);
    const span = SPANS[level];
    // One address for the table itself, whatever it maps there.
    this.watcher?.invalidate(page);
    for (let i = 0; i < 512; i += 1) {
      const low = this.load(start + i * 2);
      if (level < LEAF && (low & LEADS) === LEADS) {
        this.forget(level + 1, frameOf(low, this.memory.high), page + i * span);
      } else if (i > 0 && (low & VALID) !== 0) this.watcher?.invalidate(page + i * span);
    }
  }

  /** Frees tables that hold nothing but zeros, and those that do so then. */
  compact(): void {
    this.compactTable(this.level, this.root, 0);
  }

  private compactTable(level: number, table: number, page: number): boolean {
    const start = this.place(table);
    if (level < LEAF) {
      for (let at = start; at < start + FRAME_WORDS; at += 2) {
        const low = this.load(at);
        if ((low & LEADS) !== LEADS) continue;
        const child = frameOf(low, this.memory.high);
        const first = page + ((at - start) >> 1) * SPANS[level];
        if (!this.compactTable(level + 1, child, first)) continue;
        this.memory.storeEntry(at, 0, 0);
        if (this.watcher !== undefined) {
          this.watcher.invalidate(first);
          this.watcher.synchronize();
        }
        this.translation.deallocateTable(child);
      }
    }
    return this.memory.isClearAt(start);
  }

  /**
   * @returns index of a table's first word
   * @throws {@link PageTableError} `NOT_IN_MEMORY`
   */
  place(table: number): number {
    this.memory.current();
    const slot = table - this.run.first;
    if (slot >= 0 && slot < this.run.count) return slot * FRAME_WORDS;
    const at = this.memory.locate(table);
    if (at !== ABSENT) return at;
    throw new PageTableError(
      'NOT_IN_MEMORY',
      `the table at ${hex(addressOf(table))} is not in memory; expected the memory of the Translation to have it`,
      { frame: table },
    );
  }

  /** The same of the table to which an entry leads, given as halves. */
  private placeOf(low: number, high: number): number {
    // In small integers, if the frame is below 2^31.
    const slot = (((low >>> 12) | (high << 20)) - this.first) | 0;
    if ((high & 0xf800) === 0 && slot >= 0 && slot < this.run.count && this.near) return slot << 10;
    return this.place(frameOf(low, high));
  }

  /**
   * Loads an entry, also after a callback in which the memory has grown.
   *
   * @returns bits 31:0, signed; bits 63:32 are then in `memory.high`
   */
  load(at: number): number {
    this.memory.current();
    return this.memory.loadEntry(at);
  }

  private allocate(): number {
    const frame = this.translation.allocateTable();
    if (!Number.isInteger(frame) || frame < 0 || frame >= 2 ** 36) {
      throw new PageTableError(
        'OUT_OF_RANGE',
        `allocateTable gave ${frame}; expected a frame number in [0, 2^36)`,
      );
    }
    const at = this.place(frame);
    if (this.run === this.memory) this.memory.words.fill(0, at, at + FRAME_WORDS);
    return frame;
  }
}

/** Index of the entry for a page in a table of a level. */
export function indexAt(level: number, page: number): number {
  return level === 0 ? (page / 0x800_0000) & 511 : (page >>> (27 - 9 * level)) & 511;
}

/**
 * Stores entries of frames that follow each other.
 *
 * @param first - index of the low word of the first one
 * @param count - how many
 * @param firstFrame - of the first one
 * @param step - frames from one to the next
 * @param low - flags
 * @param high - of the same
 */
function storeRun(
  memory: PhysicalMemory,
  first: number,
  count: number,
  firstFrame: number,
  step: number,
  low: number,
  high: number,
): void {
  const end = first + count * 2;
  const bytes = step << 12;
  let at = first;
  let frame = firstFrame;
  while (at < end) {
    // Up to the next 4 GiB, only the low halves differ.
    const inside = frame & (LOW_FRAMES - 1);
    const entries = step === 0 ? count : Math.ceil((LOW_FRAMES - inside) / step);
    const stop = Math.min(end, at + entries * 2);
    const top = highOf(frame) | high;
    let address = inside << 12;
    frame += ((stop - at) >> 1) * step;
    if (memory.shared) {
      for (; at < stop; at += 2) {
        memory.storeEntry(at, address | low, top);
        address = (address + bytes) | 0;
      }
    } else {
      const words = memory.words;
      for (; at < stop; at += 2) {
        words[at] = address | low;
        words[at + 1] = top;
        address = (address + bytes) | 0;
      }
    }
  }
}
