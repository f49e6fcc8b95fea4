import { addressOf, joinHalves } from '../../bits/index.ts';
import { ACCESSES, type Access, denials, isPresent, leadsToTable } from '../../format/index.ts';
import { ABSENT, type PhysicalMemory } from '../../memory/index.ts';
import type { PageWalk } from '../page-walk.ts';
import {
  freedMessage,
  type Report,
  reusedMessage,
  type Stale,
  staleMessage,
  unsafeMessage,
} from '../report.ts';
import { NONE, type TranslationCache } from '../translation-cache.ts';
import { Comparison } from './comparison.ts';
import type { ControlState } from './control-state.ts';
import type { Lookaside } from './lookaside.ts';
import type { Origin, Remembered, Step } from './origin.ts';
import { RIGHTS, TYPE_SHIFT } from './remembered.ts';

/** How much a detector keeps. */
export interface DetectorOptions {
  /** Whether reports say where in the program an entry was written; each write to a table then takes microseconds. */
  readonly traces?: boolean;
  /** Reports that are kept; the rest is counted. By default 1,000. */
  readonly limit?: number;
  /** Is told of each report. */
  readonly onReport?: (report: Report) => void;
}

/** A word before it is written. */
export interface Overwritten {
  /** Index of its low word in memory. */
  readonly place: number;
  readonly low: number;
  readonly high: number;
}

const DEFAULT_LIMIT = 1000;
/** Invalidations that are kept for reports. */
const MOST_DONE = 16;
/** Reports that are known not to be new. */
const MOST_SAID = 100_000;
/** Lines of a stack trace that are kept. */
const TRACE_LINES = 4;
/** Words in a frame, less 1. */
const IN_FRAME = 1023;

/**
 * Finds what software forgot: invalidations, above all. It slows a processor down, since each access is compared with a walk
 * of its own.
 *
 * It reports what had an effect: an access that got another frame, more rights or another memory type than the tables
 * give; a walk through a table that was freed; a frame that is used anew while the processor may still walk through it; a
 * page size that changed together with something else. What software may leave out is not reported: entries that become
 * present, rights that only widen, accessed and dirty bits, a page size that changes alone.
 *
 * @see Intel SDM vol. 3A, section "Invalidation of TLBs and Paging-Structure Caches"
 */
export class X86Detector {
  /** Reports, in order, up to the limit. The same is reported once. */
  readonly reports: Report[] = [];
  /** How many there were. */
  count = 0;
  private readonly memory: PhysicalMemory;
  private readonly state: ControlState;
  private readonly pages: TranslationCache<Origin>;
  private readonly tables: TranslationCache<Origin>;
  private readonly options: DetectorOptions;
  private readonly compare: Comparison;
  /** Counts writes to tables and invalidations. */
  private order = 0;
  /** Numbers of the frames from which walks have read entries, by the word at which they begin in memory. */
  private readonly known = new Map<number, number>();
  private readonly freed = new Set<number>();
  /** What was reported, so that it is not again. */
  private readonly said = new Set<string>();

  /** @internal */
  constructor(memory: PhysicalMemory, state: ControlState, known: Lookaside, options: DetectorOptions) {
    this.memory = memory;
    this.state = state;
    this.pages = known.pages;
    this.tables = known.tables;
    this.options = options;
    this.compare = new Comparison(memory, state);
  }

  // ---- what software tells, and asks

  /**
   * A table was taken out of the tables, and its frame is free.
   *
   * @param frame - frame number
   */
  tableFreed(frame: number): void {
    this.freed.add(frame);
  }

  /**
   * A frame is about to be used, for whatever it may be.
   *
   * @param frame - frame number
   */
  frameAllocated(frame: number): void {
    if (!this.freed.delete(frame)) return;
    for (const entry of this.remembered()) {
      const isThrough = entry.origin.steps.some(({ table }) => table === frame);
      if (!isThrough && (entry.isPage || entry.frame !== frame)) continue;
      const stale = this.compare.staleness(entry);
      if (stale === undefined) continue;
      const table = addressOf(frame);
      this.report(`reused ${frame} ${this.order}`, {
        kind: 'freed-table-reused',
        table,
        address: stale.address,
        message: reusedMessage(table, stale),
      });
      return;
    }
  }

  /**
   * All that the processor remembers and the tables no longer give, used or not: what forgotten invalidations have left. What
   * belongs to another PCID is compared with the root under which it was made.
   */
  stale(): Stale[] {
    const found: Stale[] = [];
    for (const entry of this.remembered()) {
      const stale = this.compare.staleness(entry);
      if (stale !== undefined) found.push(stale);
    }
    return found;
  }

  // ---- what the processor tells

  /** @internal The entries of a walk down to a depth, behind those from which it began. */
  originOf(walk: PageWalk, last: number, before: Origin | undefined): Origin {
    const { entryShift } = this.compare.format;
    const steps: Step[] = [...(before?.steps ?? [])];
    for (let depth = walk.start; depth <= last; depth += 1) {
      const table = walk.tables[depth];
      const base = this.memory.locate(table);
      if (base !== ABSENT) this.known.set(base, table);
      const word = walk.indexes[depth] << entryShift;
      steps.push({ depth, table, word, low: walk.lows[depth], high: walk.highs[depth] });
    }
    return { steps, root: before?.root ?? this.state.root, order: this.order };
  }

  /** @internal An access is going to use a translation of the TLB. */
  used(at: number, high: number, low: number, access: number, excused: boolean): void {
    if (at === NONE) return;
    const entry = this.entryOf(this.pages, at, true);
    if (entry === undefined) return;
    const { state } = this;
    const { kind, user } = ACCESSES[access];
    this.usedFreed(entry, { kind, user }, joinHalves(low, high));
    const inside = (low >>> 12) & ((1 << entry.order) - 1);
    const now = this.compare.translate(high, low, state.root);
    let difference: Stale['difference'] | undefined;
    if (now === undefined) difference = 'not mapped';
    else if (now.frame !== entry.frame + inside) difference = 'frame';
    else if (denials(now.bits & RIGHTS, access, state.rights, excused) !== 0) difference = 'rights';
    else if (now.bits >> TYPE_SHIFT !== entry.bits >> TYPE_SHIFT) difference = 'memory type';
    if (difference === undefined) return;
    const stale = this.compare.explain(entry, difference, now?.frame, inside);
    const key = `${entry.isPage} ${stale.address} ${stale.change?.address} ${stale.change?.after} ${difference}`;
    const address = joinHalves(low, high);
    this.report(key, {
      kind: 'stale-translation',
      access: { kind, user },
      accessed: address,
      ...stale,
      message: staleMessage({ kind, user }, address, stale),
    });
  }

  /** @internal Words are going to be written; those of frames that are no tables are not looked at. */
  willWrite(place: number, words: number): Overwritten[] {
    const base = place & ~IN_FRAME;
    const frame = this.known.get(base);
    if (frame === undefined || this.state.format === undefined) return [];
    this.frameAllocated(frame);
    const { entryShift } = this.compare.format;
    const found: Overwritten[] = [];
    const size = 1 << entryShift;
    for (let at = place & -size; at < place + words; at += size) {
      const low = entryShift === 1 ? this.memory.loadEntry(at) : this.memory.words[at] | 0;
      found.push({ place: at, low, high: entryShift === 1 ? this.memory.high : 0 });
    }
    return found;
  }

  /** @internal They were written, through a linear address. */
  hasWritten(before: readonly Overwritten[], high: number, low: number): void {
    for (const { place, low: oldLow, high: oldHigh } of before) {
      const [newLow, newHigh] = this.compare.entryAt(place);
      if (newLow === oldLow && newHigh === oldHigh) continue;
      this.order += 1;
      // The place in the page is that of the entry in its frame.
      const address = joinHalves((low & ~0xfff) | ((place & IN_FRAME) << 2), high);
      this.compare.writes.set(place, { order: this.order, address, trace: this.trace() });
      this.checkChange(place, oldLow, newLow);
    }
  }

  /** @internal Something was invalidated. */
  invalidated(instruction: string, left: (entry: Remembered) => string): void {
    this.order += 1;
    this.compare.done.push({ order: this.order, instruction, left });
    if (this.compare.done.length > MOST_DONE) this.compare.done.shift();
  }

  // ---- comparisons

  /** A change between a page and a table must go through a state that is not present, unless nothing else changes. */
  private checkChange(place: number, oldLow: number, newLow: number): void {
    const { facts } = this.compare.format;
    for (const entry of this.remembered()) {
      const step = entry.origin.steps.find((each) => this.compare.placeOf(each) === place);
      if (step === undefined || !entry.isPage) continue;
      const isPresentThroughout =
        isPresent(facts, step.depth, oldLow) && isPresent(facts, step.depth, newLow);
      const sizeChanges = leadsToTable(facts, step.depth, oldLow) !== leadsToTable(facts, step.depth, newLow);
      if (!isPresentThroughout || !sizeChanges) return;
      const stale = this.compare.staleness(entry);
      if (stale?.change === undefined) continue;
      this.report(`unsafe ${place} ${stale.change.after}`, {
        kind: 'unsafe-change',
        address: stale.address,
        change: stale.change,
        what: stale.difference,
        message: unsafeMessage(stale.change, stale.difference),
      });
      return;
    }
  }

  /** Whether a walk went through a table that was freed. */
  private usedFreed(entry: Remembered, access: Access, address: bigint): void {
    if (this.freed.size === 0) return;
    const step = entry.origin.steps.find(({ table }) => this.freed.has(table));
    if (step === undefined) return;
    const parent = entry.origin.steps.find(({ depth }) => depth === step.depth - 1);
    const linked = parent === undefined || this.compare.changeOf(parent) === undefined;
    const table = addressOf(step.table);
    this.report(`freed ${step.table} ${linked}`, {
      kind: 'freed-table-used',
      access,
      address,
      table,
      linked,
      message: freedMessage(access, address, table, linked),
    });
  }

  // ---- access to what is remembered

  private *remembered(): IterableIterator<Remembered> {
    for (const at of this.pages.alive()) {
      const entry = this.entryOf(this.pages, at, true);
      if (entry !== undefined) yield entry;
    }
    for (const at of this.tables.alive()) {
      const entry = this.entryOf(this.tables, at, false);
      if (entry !== undefined) yield entry;
    }
  }

  private entryOf(cache: TranslationCache<Origin>, at: number, isPage: boolean): Remembered | undefined {
    const origin = cache.noteOf(at);
    if (origin === undefined) return undefined;
    return {
      isPage,
      space: cache.spaceOf(at),
      order: cache.orderOf(at),
      high: cache.highOf(at),
      low: cache.lowOf(at),
      frame: cache.frameOf(at),
      bits: cache.bitsOf(at),
      origin,
    };
  }

  private trace(): string[] {
    if (this.options.traces !== true) return [];
    // Where this package lies, as stack traces say it.
    const own = new URL('../../', import.meta.url).pathname;
    const lines = (new Error().stack ?? '')
      .split('\n')
      .slice(1)
      .map((line) => line.trim());
    return lines
      .filter((line) => !line.includes(own) && !line.includes('node:internal'))
      .slice(0, TRACE_LINES);
  }

  private report(key: string, report: Report): void {
    if (this.said.has(key)) return;
    const { limit = DEFAULT_LIMIT, onReport } = this.options;
    if (this.said.size < MOST_SAID) this.said.add(key);
    this.count += 1;
    if (this.reports.length < limit) this.reports.push(report);
    onReport?.(report);
  }
}
