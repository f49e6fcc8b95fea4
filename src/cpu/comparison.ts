import { addressOf, joinHalves } from '../bits/index.ts';
import {
  ACCESSES,
  type CompiledFormat,
  isFaultyPage,
  isFaultyTable,
  isPresent,
  leadsToTable,
  pageFrame,
  type Root,
  tableFrame,
  withDirty,
} from '../format/index.ts';
import { ABSENT, type PhysicalMemory } from '../memory/index.ts';
import type { Meaning } from './meaning.ts';
import type { Done, Remembered, Step, Tag } from './origin.ts';
import { MAPPED, PageWalk } from './page-walk.ts';
import type { EntryChange, EntryWrite, Invalidation, Stale } from './report.ts';

/** 4-KiB pages of which the addresses differ in bits 31:12. */
const PAGES_OF_LOW = 2 ** 20;

/** Compares what a processor remembers with the tables in memory, and says what changed and what should have been done. */
export class Comparison {
  /** The last write to each entry, and what was written, by its place in memory. */
  private readonly writes = new Map<number, { write: EntryWrite; low: number; high: number }>();
  /** The last invalidations, oldest first. */
  readonly done: Done[] = [];
  private readonly memory: PhysicalMemory;
  private readonly meaning: Meaning;
  private readonly walk = new PageWalk();

  constructor(memory: PhysicalMemory, meaning: Meaning) {
    this.memory = memory;
    this.meaning = meaning;
  }

  /** What of an entry the tables no longer give. */
  staleness(entry: Remembered): Stale | undefined {
    const { meaning } = this;
    const isCurrent = entry.space === meaning.space || entry.space === meaning.global;
    const root = isCurrent ? meaning.rootAt(entry.high) : entry.origin.root;
    if (!entry.isPage) return this.staleTable(entry, root);
    // A page may have become several smaller ones.
    for (let inside = 0; inside < 2 ** entry.order; ) {
      const behind = Math.floor(inside / PAGES_OF_LOW);
      const now = this.translate(entry.high + behind, entry.low + (inside % PAGES_OF_LOW) * 4096, root);
      if (now === undefined) return this.explain(entry, 'not mapped', undefined, inside);
      if (now.frame !== entry.frame + inside) return this.explain(entry, 'frame', now.frame, inside);
      const lost = ACCESSES.some(
        (_, access) =>
          meaning.denials(entry.bits, access, false) === 0 && meaning.denials(now.bits, access, false) !== 0,
      );
      if (lost) return this.explain(entry, 'rights', now.frame, inside);
      if (meaning.isOtherType(entry.bits, now.bits)) {
        return this.explain(entry, 'memory type', now.frame, inside);
      }
      inside += 2 ** Math.min(now.order, entry.order);
    }
    return undefined;
  }

  private staleTable(entry: Remembered, root: Root): Stale | undefined {
    const { walk, meaning } = this;
    const end = this.walkAfresh(this.formatAt(entry.high), entry.high, entry.low, root);
    const depth = meaning.depthBelow(entry.high, entry.order);
    if (walk.depth < depth) {
      // The table may have given way to a page.
      return end === MAPPED
        ? this.explain(entry, 'frame', walk.frame, 0)
        : this.explain(entry, 'not mapped', undefined, 0);
    }
    const table = walk.tables[depth];
    if (table !== entry.frame) return this.explain(entry, 'frame', table, 0);
    const isWider = meaning.isWider(entry.bits, meaning.tableBits(walk, depth - 1));
    return isWider ? this.explain(entry, 'rights', table, 0) : undefined;
  }

  /** What the tables in memory say of an address. */
  translate(
    high: number,
    low: number,
    root: Root,
  ): { frame: number; order: number; bits: number; isDirty: boolean } | undefined {
    const { walk } = this;
    const format = this.formatAt(high);
    if (this.walkAfresh(format, high, low, root) !== MAPPED) return undefined;
    const order = walk.order(format);
    const bits = this.meaning.pageBits(walk, format);
    const frame = walk.frameAt(format, high, low);
    const leaf = walk.lows[walk.depth];
    const isDirty = withDirty(format.facts, walk.depth, leaf, walk.highs[walk.depth]) === leaf;
    return { frame, order, bits, isDirty };
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
    const format = this.formatAt(entry.high);
    const steps = origin.steps.filter((step) => this.changeOf(step, format) !== undefined);
    // Entries above may have changed as well, to no harm: rights that widened, say.
    const changed = steps.find((step) => this.isCause(step, format, difference)) ?? steps[0];
    const change = changed === undefined ? undefined : this.changeOf(changed, format);
    return {
      remembered: isPage ? 'translation' : 'table',
      space: entry.space === this.meaning.global ? undefined : entry.space,
      address: joinHalves(entry.low, entry.high),
      shift: order + 12,
      difference,
      used: addressOf(entry.frame + (isPage ? inside : 0)),
      current: current === undefined ? undefined : addressOf(current),
      change,
      due: this.meaning.dueFor(entry, changed, this.isSameRoot(entry)),
      done: this.doneSince(entry, Math.max(change?.write?.order ?? 0, origin.order)),
    };
  }

  /** How an entry differs from what the processor has read; accessed and dirty bits do not count. */
  changeOf(step: Step, format: CompiledFormat): EntryChange | undefined {
    const place = this.placeOf(step);
    if (place === ABSENT) return undefined;
    const [low, high] = this.entryAt(place, format);
    const marks = this.meaning.marksOf(format, step.depth, step.high);
    if (((low ^ step.low) & ~marks) === 0 && high === step.high) return undefined;
    return {
      entry: format.fact.levels[step.depth].entry,
      address: addressOf(step.table, step.word * 4),
      before: joinHalves(step.low, step.high),
      after: joinHalves(low, high),
      write: this.writeOf(place, low, high, marks),
    };
  }

  /** A word was written through the processor; what changes accessed and dirty bits alone is no news. */
  noteWrite(
    place: number,
    write: EntryWrite,
    oldLow: number,
    low: number,
    high: number,
    format: CompiledFormat,
  ): void {
    const last = this.writes.get(place);
    const marks = this.meaning.marksOf(format, undefined, high);
    const isMark = ((oldLow ^ low) & ~marks) === 0 && last?.high === high;
    this.writes.set(place, { write: isMark && last !== undefined ? last.write : write, low, high });
  }

  /** The write that made an entry what it is; `undefined` if that was another one, which was not seen. */
  writeOf(place: number, low: number, high: number, marks: number): EntryWrite | undefined {
    const last = this.writes.get(place);
    return last !== undefined && ((last.low ^ low) & ~marks) === 0 && last.high === high
      ? last.write
      : undefined;
  }

  /** Whether the change of an entry makes a difference of a kind. */
  private isCause(
    { depth, low: oldLow, high: oldHigh, table, word }: Step,
    format: CompiledFormat,
    difference: Stale['difference'],
  ): boolean {
    const { facts } = format;
    const [low, high] = this.entryAt(this.memory.locate(table) + word, format);
    const isTable = leadsToTable(facts, depth, low);
    const isSameKind = isPresent(facts, depth, low) && isTable === leadsToTable(facts, depth, oldLow);
    const isFaulty = isTable ? isFaultyTable(facts, depth, low, high) : isFaultyPage(facts, depth, low, high);
    if (!isSameKind || isFaulty) return difference === 'not mapped' || difference === 'frame';
    const frameOf = isTable ? tableFrame : pageFrame;
    const isElsewhere = frameOf(facts, depth, low, high) !== frameOf(facts, depth, oldLow, oldHigh);
    if (difference === 'frame' || difference === 'not mapped') return isElsewhere;
    if (difference !== 'rights') return !isTable;
    const isNarrower = this.meaning.narrows(format, depth, isTable, oldLow, oldHigh, low, high);
    return isElsewhere || isNarrower || (!isTable && high !== oldHigh);
  }

  /** Whether an entry was made under the root that is current. */
  private isSameRoot({ high, origin }: Remembered): boolean {
    const root = this.meaning.rootAt(high);
    return origin.root.frame === root.frame && origin.root.word === root.word;
  }

  /** What was invalidated since, and why that has left something. */
  doneSince(tag: Tag, order: number): Invalidation[] {
    return this.done
      .filter((each) => each.order > order)
      .map(({ order: when, instruction, left }) => ({ order: when, instruction, left: left(tag, order) }));
  }

  /** Index of an entry's low word in memory. */
  placeOf({ table, word }: Step): number {
    const base = this.memory.locate(table);
    return base === ABSENT ? ABSENT : base + word;
  }

  /** Both halves of an entry. */
  entryAt(place: number, { entryShift }: CompiledFormat): [low: number, high: number] {
    if (entryShift === 0) return [this.memory.words[place] | 0, 0];
    return [this.memory.loadEntry(place), this.memory.high];
  }

  /** The format for an address; nothing that is remembered is looked at while there is none. */
  private formatAt(high: number): CompiledFormat {
    const format = this.meaning.formatAt(high);
    if (format !== undefined) return format;
    throw new Error('detector: what is remembered is compared while there are no tables');
  }
}
