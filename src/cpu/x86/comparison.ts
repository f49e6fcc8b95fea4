import { addressOf, hex, joinHalves } from '../../bits/index.ts';
import {
  ACCESSES,
  andRights,
  type CompiledFormat,
  combinedIndex,
  denials,
  isFaultyPage,
  isFaultyTable,
  isPresent,
  leadsToTable,
  orRights,
  pageAccessed,
  pageDirty,
  pageFrame,
  patIndexOf,
  type Root,
  tableAccessed,
  tableFrame,
} from '../../format/index.ts';
import { ABSENT, type PhysicalMemory } from '../../memory/index.ts';
import type { Done, Remembered, Step } from '../origin.ts';
import { MAPPED, PageWalk } from '../page-walk.ts';
import type { EntryChange, EntryWrite, Invalidation, Stale } from '../report.ts';
import type { ControlState } from './control-state.ts';
import { GLOBAL, RIGHTS, TABLE_AND, TABLE_OR, TYPE_SHIFT } from './remembered.ts';

/** Compares what a processor remembers with the tables in memory, and says what changed and what should have been done. */
export class Comparison {
  /** The last write to each entry, and what was written, by its place in memory. */
  private readonly writes = new Map<number, { write: EntryWrite; low: number; high: number }>();
  /** The last invalidations, oldest first. */
  readonly done: Done[] = [];
  private readonly memory: PhysicalMemory;
  private readonly state: ControlState;
  private readonly walk = new PageWalk();

  constructor(memory: PhysicalMemory, state: ControlState) {
    this.memory = memory;
    this.state = state;
  }

  /** What of an entry the tables no longer give. */
  staleness(entry: Remembered): Stale | undefined {
    const { state } = this;
    const isCurrent = entry.space === state.space || entry.space === GLOBAL;
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
      if (this.isOtherType(now.bits, entry.bits)) {
        return this.explain(entry, 'memory type', now.frame, inside);
      }
      inside += 2 ** Math.min(now.order, entry.order);
    }
    return undefined;
  }

  private staleTable(entry: Remembered, root: Root): Stale | undefined {
    const { walk } = this;
    const format = this.format;
    const end = this.walkAfresh(format, entry.high, entry.low, root);
    const depth = this.state.depthBelow(entry.order);
    if (walk.depth < depth) {
      // The table may have given way to a page.
      return end === MAPPED
        ? this.explain(entry, 'frame', walk.frame, 0)
        : this.explain(entry, 'not mapped', undefined, 0);
    }
    const table = walk.tables[depth];
    if (table !== entry.frame) return this.explain(entry, 'frame', table, 0);
    const and = walk.ands[depth - 1] & TABLE_AND;
    const or = walk.ors[depth - 1] & TABLE_OR;
    const narrower = (entry.bits & TABLE_AND & ~and) !== 0 || (or & ~entry.bits & TABLE_OR) !== 0;
    return narrower ? this.explain(entry, 'rights', table, 0) : undefined;
  }

  /** What the tables in memory say of an address. */
  translate(
    high: number,
    low: number,
    root: Root,
  ): { frame: number; order: number; bits: number; isDirty: boolean } | undefined {
    const { walk, state } = this;
    const format = this.format;
    if (this.walkAfresh(format, high, low, root) !== MAPPED) return undefined;
    const order = walk.order(format);
    const bits =
      combinedIndex(walk.and, walk.or, state.keys ? walk.highs[walk.depth] : 0) |
      (patIndexOf(order, walk.lows[walk.depth]) << TYPE_SHIFT);
    const frame = walk.frame + ((low >>> 12) & ((1 << order) - 1));
    const isDirty = (walk.lows[walk.depth] & pageDirty(format.facts, walk.depth)) !== 0;
    return { frame, order, bits, isDirty };
  }

  /** Whether two entries of IA32_PAT are different memory types. */
  isOtherType(bits: number, others: number): boolean {
    const { pat } = this.state.control;
    const typeOf = (of: number) => (pat >> BigInt(8 * (of >> TYPE_SHIFT))) & 7n;
    return typeOf(bits) !== typeOf(others);
  }

  /** A walk through memory alone: PAE's PDPTEs as they are there, not as they were loaded. */
  private walkAfresh(format: CompiledFormat, high: number, low: number, root: Root): number {
    return this.walk.run(this.memory, format, high, low, 0, root.frame, root.word, -1, 0, undefined);
  }

  /** What is to be said of an entry that differs from the tables. */
  explain(
    entry: Remembered,
    difference: Stale['difference'],
    current: number | undefined,
    inside: number,
  ): Stale {
    const { origin, isPage, order } = entry;
    const steps = origin.steps.filter((step) => this.changeOf(step) !== undefined);
    // Entries above may have changed as well, to no harm: rights that widened, say.
    const changed = steps.find((step) => this.isCause(step, difference)) ?? steps[0];
    const change = changed === undefined ? undefined : this.changeOf(changed);
    return {
      remembered: isPage ? 'translation' : 'table',
      pcid: entry.space === GLOBAL ? undefined : entry.space,
      address: joinHalves(entry.low, entry.high),
      shift: order + 12,
      difference,
      used: addressOf(entry.frame + (isPage ? inside : 0)),
      current: current === undefined ? undefined : addressOf(current),
      change,
      due: this.dueFor(entry, changed),
      done: this.doneSince(entry, Math.max(change?.write?.order ?? 0, origin.order)),
    };
  }

  /** How an entry differs from what the processor has read; accessed and dirty bits do not count. */
  changeOf(step: Step): EntryChange | undefined {
    const { facts, fact } = this.format;
    const place = this.placeOf(step);
    if (place === ABSENT) return undefined;
    const [low, high] = this.entryAt(place);
    // Through a recursive entry, a table's entry gets the marks of a page's. PAE's PDPTEs have none.
    const hasMarks = (tableAccessed(facts, step.depth) | pageAccessed(facts, step.depth)) !== 0;
    const marks = hasMarks ? this.allMarks() : 0;
    if (((low ^ step.low) & ~marks) === 0 && high === step.high) return undefined;
    return {
      entry: fact.levels[step.depth].entry,
      address: addressOf(step.table, step.word * 4),
      before: joinHalves(step.low, step.high),
      after: joinHalves(low, high),
      write: this.writeOf(place, low, high, marks),
    };
  }

  /** A word was written through the processor; what changes accessed and dirty bits alone is no news. */
  noteWrite(place: number, write: EntryWrite, oldLow: number, low: number, high: number): void {
    const last = this.writes.get(place);
    const isMark = ((oldLow ^ low) & ~this.allMarks()) === 0 && last?.high === high;
    this.writes.set(place, { write: isMark && last !== undefined ? last.write : write, low, high });
  }

  /** The write that made an entry what it is; `undefined` if that was another one, which was not seen. */
  private writeOf(place: number, low: number, high: number, marks: number): EntryWrite | undefined {
    const last = this.writes.get(place);
    return last !== undefined && ((last.low ^ low) & ~marks) === 0 && last.high === high
      ? last.write
      : undefined;
  }

  /** Whether the change of an entry makes a difference of a kind. */
  private isCause(
    { depth, low: oldLow, high: oldHigh, table, word }: Step,
    difference: Stale['difference'],
  ): boolean {
    const { facts } = this.format;
    const place = this.memory.locate(table) + word;
    const [low, high] = this.entryAt(place);
    const isTable = leadsToTable(facts, depth, low);
    const isSameKind = isPresent(facts, depth, low) && isTable === leadsToTable(facts, depth, oldLow);
    const isFaulty = isTable ? isFaultyTable(facts, depth, low, high) : isFaultyPage(facts, depth, low, high);
    if (!isSameKind || isFaulty) return difference === 'not mapped' || difference === 'frame';
    const frameOf = isTable ? tableFrame : pageFrame;
    const isElsewhere = frameOf(facts, depth, low, high) !== frameOf(facts, depth, oldLow, oldHigh);
    if (difference === 'frame' || difference === 'not mapped') return isElsewhere;
    if (difference !== 'rights') return !isTable;
    const lost = andRights(facts, depth, -1, oldLow) & ~andRights(facts, depth, -1, low);
    const forbidden = orRights(facts, depth, 0, high) & ~orRights(facts, depth, 0, oldHigh);
    return isElsewhere || lost !== 0 || forbidden !== 0 || (!isTable && high !== oldHigh);
  }

  /** Accessed and dirty bits of all levels. */
  private allMarks(): number {
    const { facts, levels } = this.format;
    let marks = 0;
    for (let depth = 0; depth < levels; depth += 1) {
      marks |= tableAccessed(facts, depth) | pageAccessed(facts, depth) | pageDirty(facts, depth);
    }
    return marks;
  }

  private dueFor({ isPage, space, low, high, origin }: Remembered, changed: Step | undefined): string {
    const { state } = this;
    const page = hex(joinHalves(low, high));
    const isGlobal = space === GLOBAL;
    const isSameRoot = origin.root.frame === state.root.frame && origin.root.word === state.root.word;
    if (changed === undefined && isSameRoot) {
      return 'an invalidation after the control register changed that gives the entries another meaning';
    }
    if (changed === undefined) {
      return isGlobal
        ? 'a change of CR4.PGE or INVPCID type 2: the translation is global, but the root is another one'
        : `MOV to CR3 with bit 63 clear, or INVPCID type 1, for PCID ${space}: it has another root now`;
    }
    if (state.pdptes !== undefined && changed.depth === 0) return 'MOV to CR3, which loads the PDPTEs';
    const isLeaf = isPage && changed === origin.steps[origin.steps.length - 1];
    const under = space === state.space || isGlobal ? '' : ` under PCID ${space}, or INVPCID type 0 for it`;
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

  /** Index of an entry's low word in memory. */
  placeOf({ table, word }: Step): number {
    const base = this.memory.locate(table);
    return base === ABSENT ? ABSENT : base + word;
  }

  /** Both halves of an entry. */
  entryAt(place: number): [low: number, high: number] {
    if (this.format.entryShift === 0) return [this.memory.words[place] | 0, 0];
    return [this.memory.loadEntry(place), this.memory.high];
  }

  /** The current format; nothing is remembered while paging is off. */
  get format(): CompiledFormat {
    const { format } = this.state;
    if (format !== undefined) return format;
    throw new Error('detector: nothing is remembered while paging is off');
  }
}
