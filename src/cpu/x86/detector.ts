import { addressOf, hex, joinHalves } from '../../bits/index.ts';
import {
  ACCESSES,
  type Access,
  type CompiledFormat,
  combinedIndex,
  denials,
  isPresent,
  leadsToTable,
  pageAccessed,
  pageDirty,
  patIndexOf,
  type Root,
  tableAccessed,
} from '../../format/index.ts';
import { ABSENT, type PhysicalMemory } from '../../memory/index.ts';
import { MAPPED, PageWalk } from '../page-walk.ts';
import {
  type EntryChange,
  type EntryWrite,
  freedMessage,
  type Invalidation,
  type Report,
  reusedMessage,
  type Stale,
  staleMessage,
  unsafeMessage,
} from '../report.ts';
import { NONE, type TranslationCache } from '../translation-cache.ts';
import type { ControlState } from './control-state.ts';
import { GLOBAL, RIGHTS, TABLE_AND, TABLE_OR, TYPE_SHIFT } from './remembered.ts';

/** How much a detector keeps. */
export interface DetectorOptions {
  /** Whether reports say where in the program an entry was written; each write to a table then takes microseconds. */
  readonly traces?: boolean;
  /** Reports that are kept; the rest is counted. By default 1,000. */
  readonly limit?: number;
  /** Is told of each report. */
  readonly onReport?: (report: Report) => void;
}

/** An entry as the processor has read it. */
interface Step {
  readonly depth: number;
  /** Frame of the table that it lies in. */
  readonly table: number;
  /** Index of its low word in that frame. */
  readonly word: number;
  readonly low: number;
  readonly high: number;
}

/** What a remembered translation, or table, was made from. */
export interface Origin {
  /** The entries, root first. */
  readonly steps: readonly Step[];
  readonly root: Root;
  /** When it was made. */
  readonly order: number;
}

/** An entry of the TLB, or of the paging-structure caches. */
export interface Remembered {
  readonly isPage: boolean;
  readonly space: number;
  /** `log2` of the 4-KiB pages that it spans. */
  readonly order: number;
  readonly high: number;
  readonly low: number;
  readonly frame: number;
  readonly bits: number;
  readonly origin: Origin;
}

/** An instruction that invalidated something. */
interface Done {
  readonly order: number;
  readonly instruction: string;
  readonly left: (entry: Remembered) => string;
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
  private readonly walk = new PageWalk();
  /** Counts writes to tables and invalidations. */
  private order = 0;
  /** Numbers of the frames from which walks have read entries, by the word at which they begin in memory. */
  private readonly known = new Map<number, number>();
  /** The last write to each entry, by its place in memory. */
  private readonly writes = new Map<number, EntryWrite>();
  private readonly freed = new Set<number>();
  private readonly done: Done[] = [];
  /** What was reported, so that it is not again. */
  private readonly said = new Set<string>();

  /** @internal */
  constructor(
    memory: PhysicalMemory,
    state: ControlState,
    pages: TranslationCache<Origin>,
    tables: TranslationCache<Origin>,
    options: DetectorOptions,
  ) {
    this.memory = memory;
    this.state = state;
    this.pages = pages;
    this.tables = tables;
    this.options = options;
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
      const stale = this.staleness(entry);
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
      const stale = this.staleness(entry);
      if (stale !== undefined) found.push(stale);
    }
    return found;
  }

  // ---- what the processor tells

  /** @internal The entries of a walk down to a depth, behind those from which it began. */
  originOf(walk: PageWalk, last: number, before: Origin | undefined): Origin {
    const { entryShift } = this.format();
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
    const now = this.translate(high, low, state.root);
    let difference: Stale['difference'] | undefined;
    if (now === undefined) difference = 'not mapped';
    else if (now.frame !== entry.frame + inside) difference = 'frame';
    else if (denials(now.bits & RIGHTS, access, state.rights, excused) !== 0) difference = 'rights';
    else if (now.bits >> TYPE_SHIFT !== entry.bits >> TYPE_SHIFT) difference = 'memory type';
    if (difference === undefined) return;
    const stale = this.explain(entry, difference, now?.frame, inside);
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
    if (frame === undefined) return [];
    this.frameAllocated(frame);
    const { entryShift } = this.format();
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
      const [newLow, newHigh] = this.entryAt(place);
      if (newLow === oldLow && newHigh === oldHigh) continue;
      this.order += 1;
      // The place in the page is that of the entry in its frame.
      const address = joinHalves((low & ~0xfff) | ((place & IN_FRAME) << 2), high);
      this.writes.set(place, { order: this.order, address, trace: this.trace() });
      this.checkChange(place, oldLow, newLow);
    }
  }

  /** @internal Something was invalidated. */
  invalidated(instruction: string, left: (entry: Remembered) => string): void {
    this.order += 1;
    this.done.push({ order: this.order, instruction, left });
    if (this.done.length > MOST_DONE) this.done.shift();
  }

  // ---- comparisons

  /** A change between a page and a table must go through a state that is not present, unless nothing else changes. */
  private checkChange(place: number, oldLow: number, newLow: number): void {
    const { facts } = this.format();
    for (const entry of this.remembered()) {
      const step = entry.origin.steps.find((each) => this.placeOf(each) === place);
      if (step === undefined || !entry.isPage) continue;
      const isPresentThroughout =
        isPresent(facts, step.depth, oldLow) && isPresent(facts, step.depth, newLow);
      const sizeChanges = leadsToTable(facts, step.depth, oldLow) !== leadsToTable(facts, step.depth, newLow);
      if (!isPresentThroughout || !sizeChanges) return;
      const stale = this.staleness(entry);
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
    const linked = parent === undefined || this.changeOf(parent) === undefined;
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

  /** What of an entry the tables no longer give. */
  private staleness(entry: Remembered): Stale | undefined {
    const { state } = this;
    const isCurrent = entry.space === state.pcid || entry.space === GLOBAL;
    const root = isCurrent ? state.root : entry.origin.root;
    if (!entry.isPage) return this.staleTable(entry, root);
    // A page may have become several smaller ones.
    for (let inside = 0; inside < 2 ** entry.order; ) {
      const now = this.translate(entry.high, entry.low + inside * 4096, root);
      if (now === undefined) return this.explain(entry, 'not mapped', undefined, inside);
      if (now.frame !== entry.frame + inside) return this.explain(entry, 'frame', now.frame, inside);
      const lost = ACCESSES.some(
        (_, access) =>
          denials(entry.bits & RIGHTS, access, state.rights) === 0 &&
          denials(now.bits & RIGHTS, access, state.rights) !== 0,
      );
      if (lost) return this.explain(entry, 'rights', now.frame, inside);
      if (now.bits >> TYPE_SHIFT !== entry.bits >> TYPE_SHIFT) {
        return this.explain(entry, 'memory type', now.frame, inside);
      }
      inside += 2 ** Math.min(now.order, entry.order);
    }
    return undefined;
  }

  private staleTable(entry: Remembered, root: Root): Stale | undefined {
    const { walk } = this;
    const format = this.format();
    const end = this.walkAfresh(format, entry.high, entry.low, root);
    const depth = this.state.depthBelow(entry.order);
    const isReached = walk.depth >= depth || (end !== MAPPED && walk.depth === depth);
    if (!isReached) return this.explain(entry, 'not mapped', undefined, 0);
    const table = walk.tables[depth];
    if (table !== entry.frame) return this.explain(entry, 'frame', table, 0);
    const and = walk.ands[depth - 1] & TABLE_AND;
    const or = walk.ors[depth - 1] & TABLE_OR;
    const narrower = (entry.bits & TABLE_AND & ~and) !== 0 || (or & ~entry.bits & TABLE_OR) !== 0;
    return narrower ? this.explain(entry, 'rights', table, 0) : undefined;
  }

  /** What the tables say of an address. */
  private translate(
    high: number,
    low: number,
    root: Root,
  ): { frame: number; order: number; bits: number } | undefined {
    const { walk, state } = this;
    const format = this.format();
    if (this.walkAfresh(format, high, low, root) !== MAPPED) return undefined;
    const order = walk.order(format);
    const bits =
      combinedIndex(walk.and, walk.or, state.keys ? walk.highs[walk.depth] : 0) |
      (patIndexOf(order, walk.lows[walk.depth]) << TYPE_SHIFT);
    return { frame: walk.frame + ((low >>> 12) & ((1 << order) - 1)), order, bits };
  }

  /** A walk through memory alone: PAE's PDPTEs as they are there, not as they were loaded. */
  private walkAfresh(format: CompiledFormat, high: number, low: number, root: Root): number {
    return this.walk.run(this.memory, format, high, low, 0, root.frame, root.word, -1, 0, undefined);
  }

  // ---- explanations

  private explain(
    entry: Remembered,
    difference: Stale['difference'],
    current: number | undefined,
    inside: number,
  ): Stale {
    const { origin, isPage, order } = entry;
    let change: EntryChange | undefined;
    let changed: Step | undefined;
    for (const step of origin.steps) {
      change = this.changeOf(step);
      if (change !== undefined) {
        changed = step;
        break;
      }
    }
    return {
      remembered: isPage ? 'translation' : 'table',
      address: joinHalves(entry.low, entry.high),
      shift: order + 12,
      difference,
      used: addressOf(entry.frame + (isPage ? inside : 0)),
      current: current === undefined ? undefined : addressOf(current),
      change,
      due: this.dueFor(entry, changed),
      done: this.doneSince(entry, change?.write?.order ?? origin.order),
    };
  }

  /** How an entry differs from what the processor has read; accessed and dirty bits do not count. */
  private changeOf(step: Step): EntryChange | undefined {
    const { facts, fact, levels } = this.format();
    const place = this.placeOf(step);
    if (place === ABSENT) return undefined;
    const [low, high] = this.entryAt(place);
    // Through a recursive entry, a table's entry gets the marks of a page's.
    let marks = 0;
    for (let depth = 0; depth < levels; depth += 1) {
      marks |= tableAccessed(facts, depth) | pageAccessed(facts, depth) | pageDirty(facts, depth);
    }
    if (((low ^ step.low) & ~marks) === 0 && high === step.high) return undefined;
    return {
      entry: fact.levels[step.depth].entry,
      address: addressOf(step.table, step.word * 4),
      before: joinHalves(step.low, step.high),
      after: joinHalves(low, high),
      write: this.writes.get(place),
    };
  }

  private dueFor({ isPage, space, low, high, origin }: Remembered, changed: Step | undefined): string {
    const { state } = this;
    const page = hex(joinHalves(low, high));
    const isGlobal = space === GLOBAL;
    if (changed === undefined) {
      return isGlobal
        ? 'a change of CR4.PGE or INVPCID type 2: the translation is global, but the root is another one'
        : `MOV to CR3 with bit 63 clear, or INVPCID type 1, for PCID ${space}: it has another root now`;
    }
    if (state.pdptes !== undefined && changed.depth === 0) return 'MOV to CR3, which loads the PDPTEs';
    const isLeaf = isPage && changed === origin.steps[origin.steps.length - 1];
    const under = space === state.pcid || isGlobal ? '' : ` under PCID ${space}, or INVPCID type 0 for it`;
    const keeps = isGlobal ? '; MOV to CR3 keeps it, since it is global' : '';
    if (isLeaf) return `INVLPG ${page}${under}${keeps}`;
    const pages = `INVLPG for every page below the entry${under}`;
    return isGlobal ? `${pages}, or a change of CR4.PGE${keeps}` : `${pages}, or MOV to CR3`;
  }

  private doneSince(entry: Remembered, order: number): Invalidation[] {
    return this.done
      .filter((each) => each.order > order)
      .map(({ order: when, instruction, left }) => ({ order: when, instruction, left: left(entry) }));
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

  private placeOf({ table, word }: Step): number {
    const base = this.memory.locate(table);
    return base === ABSENT ? ABSENT : base + word;
  }

  private entryAt(place: number): [low: number, high: number] {
    if (this.format().entryShift === 0) return [this.memory.words[place] | 0, 0];
    return [this.memory.loadEntry(place), this.memory.high];
  }

  private format(): CompiledFormat {
    const { format } = this.state;
    if (format !== undefined) return format;
    throw new Error('detector: nothing is remembered while paging is off');
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
