import { addressOf, joinHalves, PageTableError } from '../bits/index.ts';
import { ACCESSES } from '../format/index.ts';
import { ABSENT, type PhysicalMemory } from '../memory/index.ts';
import type { Overwritten } from './access-port.ts';
import { Comparison } from './comparison.ts';
import type { Lookaside } from './lookaside.ts';
import type { Meaning } from './meaning.ts';
import type { Done, Origin, Remembered, Step } from './origin.ts';
import { type PageWalk, pagesInside } from './page-walk.ts';
import { freedMessage, type Report, reusedMessage, type Stale, staleMessage } from './report.ts';
import { NONE, type TranslationCache } from './translation-cache.ts';

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

const DEFAULT_LIMIT = 1000;
/** Invalidations that are kept for reports. */
const MOST_DONE = 64;
/** Lines of a stack trace, those inside this package included. */
const STACK_LINES = 40;
/** Lines of a stack trace that are kept. */
const TRACE_LINES = 4;
/** Words in a frame, less 1. */
const IN_FRAME = 1023;
/** `log2` of the words in a frame. */
const FRAME_SHIFT = 10;

/**
 * Finds what software forgot: invalidations, above all. It slows a processor down, since each access is compared with a walk
 * of its own.
 *
 * It reports what had an effect: an access that got another frame, more rights or another memory type than the tables
 * give; a walk through a table that was freed; a frame that is used anew while the processor may still walk through it; and
 * changes of entries that its architecture does not allow in one step. What software may leave out is not reported: entries
 * that become present, rights that only widen, accessed and dirty bits.
 */
export abstract class Detector {
  /** @internal */
  protected readonly memory: PhysicalMemory;
  /** @internal */
  protected readonly meaning: Meaning;
  private readonly pages: TranslationCache<Origin>;
  private readonly tables: TranslationCache<Origin>;
  private readonly options: DetectorOptions;
  /** @internal */
  protected readonly compare: Comparison;
  /** @internal Counts writes to tables and invalidations. */
  protected order = 0;
  /** @internal Numbers of the frames from which walks have read entries, by the word at which they begin in memory. */
  protected readonly known = new Map<number, number>();
  /** Frames that were freed, by where they begin in memory: see {@link baseOf}. */
  private readonly freed = new Map<number, { readonly frame: number }>();
  /** What was reported already, for each of its kinds once. */
  private said = new Map<Report['kind'], WeakSet<object>>();
  private list: Report[] = [];
  private total = 0;
  private isTelling = false;

  /** @internal */
  constructor(memory: PhysicalMemory, meaning: Meaning, known: Lookaside, options: DetectorOptions) {
    this.memory = memory;
    this.meaning = meaning;
    this.pages = known.pages;
    this.tables = known.tables;
    this.options = options;
    this.compare = new Comparison(memory, meaning);
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
   * @param options - `allSpaces`: also what belongs to PCIDs or ASIDs that are not current, which software may well leave until
   *   it loads them; that is compared with the root under which it was made
   */
  stale(options: { readonly allSpaces?: boolean } = {}): Stale[] {
    const found: Stale[] = [];
    for (const entry of this.remembered()) {
      if (this.meaning.formatAt(entry.high) === undefined) continue;
      if (options.allSpaces !== true && !this.isUsable(entry)) continue;
      const stale = this.compare.staleness(entry);
      if (stale !== undefined) found.push(stale);
    }
    return found;
  }

  // ---- what the processor tells

  /** @internal The entries of a walk down to a depth, behind those from which it began. */
  originOf(walk: PageWalk, high: number, last: number, before: Origin | undefined): Origin {
    const entryShift = this.meaning.formatAt(high)?.entryShift ?? 1;
    const steps: Step[] = [...(before?.steps ?? [])];
    for (let depth = walk.start; depth <= last; depth += 1) {
      const at = walk.indexes[depth] << entryShift;
      const word = at & IN_FRAME;
      // Tables of large granules have several frames.
      const table = walk.tables[depth] + (at >>> FRAME_SHIFT);
      const base = this.memory.locate(table);
      if (base !== ABSENT) this.known.set(base, table);
      steps.push({ depth, table, word, low: walk.lows[depth], high: walk.highs[depth] });
    }
    return { steps, root: before?.root ?? this.meaning.rootAt(high), order: this.order };
  }

  /** @internal An access is going to use a translation of the TLB. */
  used(at: number, high: number, low: number, access: number, excused: boolean): void {
    const entry = at === NONE ? undefined : this.entryOf(this.pages, at, true);
    if (entry === undefined) return;
    const { meaning } = this;
    const { kind, user } = ACCESSES[access];
    const inside = pagesInside(high, low, entry.order);
    const now = this.compare.translate(high, low, meaning.rootAt(high));
    let difference: Stale['difference'] | undefined;
    if (now === undefined) difference = 'not mapped';
    else if (now.frame !== entry.frame + inside) difference = 'frame';
    else if (meaning.denials(now.bits, access, excused) !== 0) difference = 'rights';
    else if (meaning.isOtherType(entry.bits, now.bits)) difference = 'memory type';
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
      message: staleMessage(this.textOf(access), address, stale),
    });
  }

  /** @internal An access from inside {@link DetectorOptions.onReport} would get between the parts of the one it is about. */
  refuseReentry(): void {
    if (!this.isTelling) return;
    throw new PageTableError(
      'REENTERED',
      `${this.meaning.processor}: an access from inside onReport, in the middle of the access that is reported; expected a look into memory, or an ` +
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
      const advice = this.meaning.freedAdvice[by];
      const message = freedMessage(this.textOf(access), address, addressOf(table), advice);
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
    const format = this.meaning.anyFormat;
    if (format === undefined) return [];
    const reused = this.freed.get(base);
    if (reused !== undefined) this.frameAllocated(reused.frame);
    if (!this.known.has(base)) return [];
    const { entryShift } = format;
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
    const format = this.meaning.anyFormat;
    if (format === undefined) return;
    for (const { place, low: oldLow, high: oldHigh } of before) {
      const [newLow, newHigh] = this.compare.entryAt(place, format);
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
        format,
      );
      this.changed(place, oldLow, oldHigh, newLow, newHigh);
    }
  }

  /** @internal Something was invalidated. */
  invalidated(instruction: string, left: Done['left']): void {
    this.order += 1;
    this.compare.done.push({ order: this.order, instruction, left });
    if (this.compare.done.length > MOST_DONE) this.compare.done.shift();
  }

  // ---- comparisons

  /** @internal An entry was changed through the processor. */
  protected abstract changed(
    place: number,
    oldLow: number,
    oldHigh: number,
    newLow: number,
    newHigh: number,
  ): void;

  /** @internal Whether the processor may use an entry under its current registers. */
  protected isUsable({ high, space }: Remembered): boolean {
    const { meaning } = this;
    const isOfSpace = space === meaning.space || space === meaning.global;
    return isOfSpace && meaning.formatAt(high) !== undefined;
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

  /** @internal */
  protected *remembered(): IterableIterator<Remembered> {
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

  /** An access in words. */
  private textOf(access: number): string {
    const { kind, user } = ACCESSES[access];
    return `${this.meaning.privileges[user ? 0 : 1]} ${kind}`;
  }

  /** @internal The lines of a stack trace, if they are kept. */
  protected trace(): string[] {
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
    const own = new URL('../', import.meta.url).pathname;
    const others = own === '/' ? lines : lines.filter((line) => !line.includes(own));
    return others.slice(0, TRACE_LINES);
  }

  /** @internal @param about - what is reported, as long as it is the same */
  protected report(about: object, report: Report): void {
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
