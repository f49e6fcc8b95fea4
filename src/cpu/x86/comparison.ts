import { addressOf, hex, joinHalves } from '../../bits/index.ts';
import {
  ACCESSES,
  type CompiledFormat,
  combinedIndex,
  denials,
  pageAccessed,
  pageDirty,
  patIndexOf,
  type Root,
  tableAccessed,
} from '../../format/index.ts';
import { ABSENT, type PhysicalMemory } from '../../memory/index.ts';
import { MAPPED, PageWalk } from '../page-walk.ts';
import type { EntryChange, EntryWrite, Invalidation, Stale } from '../report.ts';
import type { ControlState } from './control-state.ts';
import type { Done, Remembered, Step } from './origin.ts';
import { GLOBAL, RIGHTS, TABLE_AND, TABLE_OR, TYPE_SHIFT } from './remembered.ts';

/** Compares what a processor remembers with the tables in memory, and says what changed and what should have been done. */
export class Comparison {
  /** The last write to each entry, by its place in memory. */
  readonly writes = new Map<number, EntryWrite>();
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
    this.walkAfresh(format, entry.high, entry.low, root);
    const depth = this.state.depthBelow(entry.order);
    if (walk.depth < depth) return this.explain(entry, 'not mapped', undefined, 0);
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
      pcid: entry.space === GLOBAL ? undefined : entry.space,
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
  changeOf(step: Step): EntryChange | undefined {
    const { facts, fact, levels } = this.format;
    const place = this.placeOf(step);
    if (place === ABSENT) return undefined;
    const [low, high] = this.entryAt(place);
    // Through a recursive entry, a table's entry gets the marks of a page's. PAE's PDPTEs have none.
    const hasMarks = (depth: number) => tableAccessed(facts, depth) | pageAccessed(facts, depth);
    let marks = 0;
    for (let depth = 0; depth < levels && hasMarks(step.depth) !== 0; depth += 1) {
      marks |= hasMarks(depth) | pageDirty(facts, depth);
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
