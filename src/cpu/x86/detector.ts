import { addressOf, joinHalves, PageTableError } from '../../bits/index.ts';
import { ACCESSES, denials, isPresent, leadsToTable } from '../../format/index.ts';
import { ABSENT, type PhysicalMemory } from '../../memory/index.ts';
import type { Lookaside } from '../lookaside.ts';
import type { Origin, Remembered, Step } from '../origin.ts';
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
import { GLOBAL, RIGHTS } from './remembered.ts';

/** How much a detector keeps. */
export interface DetectorOptions {
  /** Whether reports say where in the program an entry was written; each write to a table then takes microseconds. */
  readonly traces?: boolean;
  /** Reports that are kept; the rest is counted. By default 1,000. */
  readonly limit?: number;
  /**
   * Is told of each report, in the middle of the access that it is about: accesses through the processor are refused
   * meanwhile (`REENTERED`).
   */
  readonly onReport?: (report: Report) => void;
  /** Whether a write is reported that sets no dirty bit since one is remembered, which the manual allows; by default not. */
  readonly dirty?: boolean;
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
const MOST_DONE = 64;
/** Lines of a stack trace, those inside this package included. */
const STACK_LINES = 40;
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
  /** Frames that were freed, by where they begin in memory: see {@link baseOf}. */
  private readonly freed = new Map<number, { readonly frame: number }>();
  /** What was reported already, for each of its kinds once. */
  private said = new Map<Report['kind'], WeakSet<object>>();
  private list: Report[] = [];
  private total = 0;
  private isTelling = false;

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

  /** Reports, in order, up to the limit: one for each write through the processor, or else for each translation. */
  get reports(): readonly Report[] {
    return this.list;
  }

  /** How many there were. */
  get count(): number {
    return this.total;
  }

  /** Forgets all reports; what is still out of date is reported again. */
  clear(): void {
    this.said = new Map();
    this.list = [];
    this.total = 0;
  }

  /**
   * A frame is free from now on: a table that was taken out of the tables, or a page that was unmapped.
   *
   * @param frame - frame number
   * @throws {@link PageTableError} `BAD_ARGUMENT` for what is no frame number
   */
  frameFreed(frame: number): void {
    const base = this.baseOf('frameFreed', frame);
    this.known.delete(base);
    this.freed.set(base, { frame });
  }

  /**
   * A frame is about to be used, for whatever it may be.
   *
   * @param frame - frame number
   * @throws {@link PageTableError} `BAD_ARGUMENT` for what is no frame number
   */
  frameAllocated(frame: number): void {
    if (!this.freed.delete(this.baseOf('frameAllocated', frame))) return;
    for (const entry of this.remembered()) {
      if (!this.isUsable(entry) || !leadsTo(entry, frame)) continue;
      const stale = this.compare.staleness(entry);
      if (stale === undefined) continue;
      const address = addressOf(frame);
      this.report(entry.origin, {
        kind: 'freed-frame-reused',
        frame: address,
        address: stale.address,
        message: reusedMessage(address, stale),
      });
      return;
    }
  }

  /**
   * All that the processor may use and the tables no longer give, used already or not: what forgotten invalidations have left.
   *
   * @param options - `allPcids`: also what belongs to PCIDs that are not current, which software may well leave until it
   *   loads them; that is compared with the root under which it was made
   */
  stale(options: { readonly allPcids?: boolean } = {}): Stale[] {
    const found: Stale[] = [];
    for (const entry of this.remembered()) {
      if (options.allPcids !== true && !this.isUsable(entry)) continue;
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
    const entry = at === NONE ? undefined : this.entryOf(this.pages, at, true);
    if (entry === undefined) return;
    const { state } = this;
    const { kind, user } = ACCESSES[access];
    const inside = (low >>> 12) & ((1 << entry.order) - 1);
    const now = this.compare.translate(high, low, state.root);
    let difference: Stale['difference'] | undefined;
    if (now === undefined) difference = 'not mapped';
    else if (now.frame !== entry.frame + inside) difference = 'frame';
    else if (denials(now.bits & RIGHTS, access, state.rights, excused) !== 0) difference = 'rights';
    else if (this.compare.isOtherType(now.bits, entry.bits)) difference = 'memory type';
    else if (this.options.dirty && kind === 'write' && !now.isDirty) difference = 'dirty';
    if (difference === undefined) return;
    const stale = this.compare.explain(entry, difference, now?.frame, inside);
    const address = joinHalves(low, high);
    // A write that makes many pages stale is one mistake.
    this.report(stale.change?.write ?? entry.origin, {
      kind: 'stale-translation',
      access: { kind, user },
      accessed: address,
      ...stale,
      message: staleMessage({ kind, user }, address, stale),
    });
  }

  /** @internal An access from inside {@link DetectorOptions.onReport} would get between the parts of the one it is about. */
  refuseReentry(): void {
    if (!this.isTelling) return;
    throw new PageTableError(
      'REENTERED',
      'X86Cpu: an access from inside onReport, in the middle of the access that is reported; expected a look into memory, or an ' +
        'access once that one is done',
    );
  }

  /** @internal A walk has been made, whatever its end. */
  walked(walk: PageWalk, high: number, low: number, access: number): void {
    if (this.freed.size === 0) return;
    for (let depth = walk.start; depth <= walk.depth; depth += 1) {
      const table = walk.tables[depth];
      const freed = this.freed.get(this.memory.locate(table));
      if (freed === undefined) continue;
      const { kind, user } = ACCESSES[access];
      const address = joinHalves(low, high);
      const by = depth > walk.start ? 'entry' : depth === 0 ? 'root' : 'remembered';
      const message = freedMessage({ kind, user }, address, addressOf(table), by);
      const kindOf = { kind, user };
      this.report(freed, {
        kind: 'freed-table-used',
        access: kindOf,
        address,
        table: addressOf(table),
        by,
        message,
      });
      return;
    }
  }

  /** @internal Words are going to be written; those of frames that are no tables are not looked at. */
  willWrite(place: number, words: number): Overwritten[] {
    const base = place & ~IN_FRAME;
    if (this.state.format === undefined) return [];
    const reused = this.freed.get(base);
    if (reused !== undefined) this.frameAllocated(reused.frame);
    if (!this.known.has(base)) return [];
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
      this.compare.noteWrite(
        place,
        { order: this.order, address, trace: this.trace() },
        oldLow,
        newLow,
        newHigh,
      );
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
    const { facts, levels } = this.compare.format;
    const changesSize = (depth: number) =>
      isPresent(facts, depth, oldLow) &&
      isPresent(facts, depth, newLow) &&
      leadsToTable(facts, depth, oldLow) !== leadsToTable(facts, depth, newLow);
    if (!Array.from({ length: levels }, (_, depth) => depth).some(changesSize)) return;
    for (const entry of this.remembered()) {
      const step = entry.origin.steps.find((each) => this.compare.placeOf(each) === place);
      if (step === undefined || !entry.isPage || !this.isUsable(entry)) continue;
      // Through a recursive window the entry is the last of another page, too.
      if (!changesSize(step.depth)) continue;
      const stale = this.compare.staleness(entry);
      if (stale?.change === undefined) continue;
      this.report(stale.change, {
        kind: 'unsafe-change',
        address: stale.address,
        change: stale.change,
        what: stale.difference,
        message: unsafeMessage(stale.change, stale.difference),
      });
      return;
    }
  }

  /** Whether the processor may use an entry under its current registers. */
  private isUsable({ space }: Remembered): boolean {
    return space === this.state.space || space === GLOBAL;
  }

  /** Where a frame begins in memory; frames that are not there have negative places of their own. */
  private baseOf(operation: string, frame: number): number {
    if (!(Number.isInteger(frame) && frame >= 0)) {
      throw new PageTableError('BAD_ARGUMENT', `${operation}: ${String(frame)}; expected a frame number`);
    }
    const base = this.memory.locate(frame);
    return base === ABSENT ? -2 - frame : base;
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
    const { stackTraceLimit } = Error;
    Error.stackTraceLimit = STACK_LINES;
    const { stack = '' } = new Error();
    Error.stackTraceLimit = stackTraceLimit;
    const lines = stack
      .split('\n')
      .slice(1)
      .map((line) => line.trim())
      .filter((line) => !line.includes('node:internal'));
    // Where this package lies, as stack traces say it; in a bundle it is where the program lies too.
    const own = new URL('../../', import.meta.url).pathname;
    const others = own === '/' ? lines : lines.filter((line) => !line.includes(own));
    return others.slice(0, TRACE_LINES);
  }

  /** @param about - what is reported, as long as it is the same */
  private report(about: object, report: Report): void {
    const said = this.said.get(report.kind) ?? new WeakSet();
    this.said.set(report.kind, said);
    if (said.has(about)) return;
    said.add(about);
    const { limit = DEFAULT_LIMIT, onReport } = this.options;
    this.total += 1;
    if (this.list.length < limit) this.list.push(report);
    if (onReport === undefined) return;
    this.isTelling = true;
    try {
      onReport(report);
    } finally {
      this.isTelling = false;
    }
  }
}

/** Whether an entry leads to a frame: a page in it, or a table that walks go through. */
function leadsTo({ isPage, frame: first, order }: Remembered, frame: number): boolean {
  return isPage ? frame >= first && frame < first + 2 ** order : frame === first;
}
