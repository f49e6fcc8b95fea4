import { addressOf, hex, hex64, PageTableError } from '../bits/index.ts';
import type { PhysicalMemory } from '../memory/index.ts';
import { type BreakSpans, breakSpans } from './breaks.ts';
import type { Change, EditedTable } from './change.ts';
import { COPY } from './change.ts';
import type { Edit } from './edit.ts';
import { PAGES, ROOT, type StaleRange, TABLES } from './invalidation.ts';
import type { SharingDraft } from './sharing.ts';
import type { EditPolicy, Tree } from './tree.ts';

/** One entry that an edit writes. */
export interface PlannedWrite {
  /** Physical byte address of the table, or which of the tables that are made it is, counted from 0. */
  readonly table: bigint | { readonly made: number };
  readonly depth: number;
  readonly index: number;
  /** First byte address that the entry spans. */
  readonly address: bigint;
  /** The entry as it is. */
  readonly before: bigint;
  /** The entry as it will be; of one that leads to a table that is made, without the address. */
  readonly after: bigint;
  /** Which of the tables that are made it leads to. */
  readonly leadsTo?: number;
  /** Whether it must be absent, and invalidated, in between. */
  readonly breaks: boolean;
}

/** Entries on which a plan rests. */
interface Entries {
  readonly table: EditedTable;
  readonly index: number;
  readonly count: number;
}

/** What they were when the plan was made. */
interface Snapshot {
  readonly entries: Entries;
  readonly words: Uint32Array;
}

/**
 * An edit that is worked out and not made: what it writes, in which order, and what it takes.
 *
 * Writes of tables that it makes come first, since nobody sees these; then those of existing tables.
 */
export class EditPlan {
  /** @internal */
  tree: Tree;
  /** @internal */
  readonly changes: readonly Change[];
  /** @internal */
  readonly newTables: readonly EditedTable[];
  /** @internal */
  readonly freed: readonly number[];
  /** @internal */
  readonly stale: readonly StaleRange[];
  /** @internal */
  readonly sharing: SharingDraft;
  private readonly edit: Edit;
  private snapshots: readonly Snapshot[] | undefined;
  private isDone = false;
  private version: number;
  /** Plans that were made together with this one, of other tables: they stay good when it is committed. */
  private siblings: readonly EditPlan[] = [];

  constructor(edit: Edit) {
    this.edit = edit;
    this.tree = edit.tree;
    this.changes = edit.changes;
    this.newTables = edit.newTables;
    this.freed = edit.freed;
    const breaks = breakSpans(this.changes, this.tree.encoder);
    edit.stale.settle(breaks);
    this.addRootEntries(breaks);
    edit.stale.finish();
    this.addReappearing();
    this.stale = edit.stale.sorted();
    this.sharing = edit.sharing;
    this.version = edit.sharing.sharing.version;
  }

  /** Entries that are absent in between may be remembered so, by processors that do. */
  private addReappearing(): void {
    const { edit, tree } = this;
    for (const [table, changes] of this.breaks ? this.byTable() : []) {
      const broken = table.isNew ? [] : changes.filter(({ breaks }) => breaks);
      if (broken.length === 0) continue;
      const { after } = this.simulate(table, changes);
      const indices = new Set(
        broken.flatMap(({ index, count }) => Array.from({ length: count }, (_, i) => index + i)),
      );
      for (const index of indices) {
        // The low halves.
        const low = after[index << tree.encoder.format.entryShift];
        if (!edit.isPresent(table, low)) continue;
        edit.appear(table, index, 1, edit.leadsToTable(table, low) ? TABLES : PAGES);
      }
    }
  }

  /** Entries of the root count only once they are loaded, where processors keep them in registers. */
  private addRootEntries(breaks: BreakSpans): void {
    const { edit, tree } = this;
    if (tree.paging.format.fact.rootInRegisters !== true) return;
    const { order } = tree.encoder.levels[0];
    const changes = this.changes.filter(({ table }) => table.depth === 0);
    if (changes.length === 0) return;
    const { before, after } = this.simulate(changes[0].table, changes);
    for (let index = 0; index < edit.entriesAt(0); index += 1) {
      const { entryShift } = edit.format;
      if (entryAt(before, index, entryShift) === entryAt(after, index, entryShift)) continue;
      const first = index * 2 ** order;
      const end = first + 2 ** order;
      if (breaks.covers(first, end)) edit.stale.add(first, end, order, ROOT, false, true);
      edit.stale.add(first, end, order, ROOT, false, false);
    }
  }

  /** The root table. */
  get root(): EditedTable {
    return this.edit.root;
  }

  /** What is done, in words: `map 0x…, 4096 bytes`. */
  get operation(): string {
    return String(this.edit.operation);
  }

  /** The pages that it is about, counted without the hole between two halves. */
  get range(): { readonly first: number; readonly end: number } {
    return this.edit;
  }

  /** How it was to be made. */
  get policy(): EditPolicy {
    return this.edit.policy;
  }

  /** Whether entries must be absent for a time: see {@link Edit}. */
  get breaks(): boolean {
    return this.changes.some(({ breaks, table }) => breaks && !table.isNew);
  }

  /** Remembers the entries that it changes and those that lead to them, so that {@link check} can tell whether they still are what they were. */
  remember(): this {
    if (this.snapshots !== undefined) return this;
    const entries: Entries[] = [];
    const known = new Set<EditedTable>();
    for (const { table, index, count, kind } of this.changes) {
      if (!table.isNew) entries.push({ table, index, count });
      else if (kind === COPY) entries.push({ table, index: 0, count });
      for (let one = table; one.parent !== undefined && !known.has(one); one = one.parent) {
        known.add(one);
        if (!one.parent.isNew) entries.push({ table: one.parent, index: one.index, count: 1 });
      }
    }
    this.snapshots = entries.map((one) => ({ entries: one, words: this.wordsOf(one).slice() }));
    return this;
  }

  /**
   * @throws {@link PageTableError} `STALE_PLAN` if it was committed already, or if tables have changed since: other than by what a
   *   processor sets while it uses them
   */
  check(): void {
    const stale = (what: string) =>
      new PageTableError(
        'STALE_PLAN',
        `${this.operation}: ${what}; expected a plan of the tables as they are`,
      );
    if (this.isDone) throw stale('this plan was committed already');
    if (this.snapshots !== undefined && this.sharing.sharing.version !== this.version) {
      throw stale('another edit was committed, or tables came to be shared, since this plan was made');
    }
    const step = 1 << this.edit.format.entryShift;
    for (const { entries, words } of this.snapshots ?? []) {
      const now = this.wordsOf(entries);
      const { marksLow, tableMarksLow } = this.tree.masks.levels[entries.table.depth];
      const marks = marksLow | tableMarksLow;
      for (let i = 0; i < words.length; i += step) {
        const isSame = ((words[i] ^ now[i]) & ~marks) === 0 && (step === 1 || words[i + 1] === now[i + 1]);
        if (isSame) continue;
        const table = hex(addressOf(frameOf(entries.table)));
        throw stale(
          `entry ${entries.index + i / step} of the table at ${table} was ${entryText(words, i, step)} when it was made, ` +
            `and is ${entryText(now, i, step)} now`,
        );
      }
    }
  }

  /** Reads tables from another memory, which holds the same store as it is now. */
  readFrom(memory: PhysicalMemory): void {
    if (memory !== this.tree.memory) this.tree = { ...this.tree, memory };
  }

  /** It is committed: it cannot be once more. */
  finish(): void {
    this.isDone = true;
    const { sharing } = this.sharing;
    const others = this.siblings.filter(({ version }) => version === sharing.version);
    this.sharing.apply();
    for (const other of others) other.version = sharing.version;
  }

  /** Says which plans were made together, of different tables. */
  static join(plans: readonly EditPlan[]): void {
    for (const plan of plans) plan.siblings = plans.filter((other) => other !== plan);
  }

  /**
   * The changes of each table, in order: tables that are made first, the last of them first; then those below others, which may lift
   * limits of theirs.
   */
  byTable(): [EditedTable, Change[]][] {
    const tables = new Map<EditedTable, Change[]>();
    for (const change of this.changes) {
      const list = tables.get(change.table);
      if (list === undefined) tables.set(change.table, [change]);
      else list.push(change);
    }
    // Deeper ones are made later than those that lead to them; existing ones have the slot -1.
    return [...tables].sort(([a], [b]) => b.slot - a.slot || b.depth - a.depth);
  }

  /** All words of a table as they are, zeros if it is to be made, and as changes leave them. */
  simulate(table: EditedTable, changes: readonly Change[]): { before: Uint32Array; after: Uint32Array } {
    const { encoder } = this.tree;
    const size = this.edit.entriesAt(table.depth) << encoder.format.entryShift;
    const source = table.isNew && table.copyOf < 0 ? undefined : this.sourceOf(table);
    const before =
      table.isNew || source === undefined
        ? new Uint32Array(size)
        : source.words.slice(source.at, source.at + size);
    const after = before.slice();
    for (const change of changes) change.apply(after, 0, encoder, source);
    return { before, after };
  }

  /** The entries that it writes, in the order in which {@link Edit} may write them. */
  *writes(): Generator<PlannedWrite> {
    const { entryShift } = this.edit.format;
    for (const [table, changes] of this.byTable()) {
      const { before, after } = this.simulate(table, changes);
      const leads = new Map<number, number>();
      const broken = new Set<number>();
      for (const { index, count, child, breaks } of changes) {
        for (let i = index; i < index + count; i += 1) {
          leads.delete(i);
          if (breaks && !table.isNew) broken.add(i);
        }
        if (child !== undefined) leads.set(index, child.slot);
      }
      for (let index = 0; index < after.length >>> entryShift; index += 1) {
        const from = entryAt(before, index, entryShift);
        const to = entryAt(after, index, entryShift);
        const leadsTo = leads.get(index);
        if (from === to && leadsTo === undefined) continue;
        yield {
          table: table.isNew ? { made: table.slot } : addressOf(table.frame, this.offsetOf(table)),
          depth: table.depth,
          index,
          address: this.edit.addressOf(this.edit.pageAt(table, index)),
          before: from,
          after: to,
          ...(leadsTo === undefined ? {} : { leadsTo }),
          breaks: broken.has(index),
        };
      }
    }
  }

  /** What refuses a plan of live tables that nobody can invalidate in between. */
  needsBreak(): PageTableError {
    const change = this.changes.find(({ breaks, table }) => breaks && !table.isNew);
    const { rules, encoder } = this.edit;
    const where = change === undefined ? '' : ` of ${this.edit.entryText(change.table, change.index)}`;
    const [old, next] = change === undefined ? ['', ''] : this.textsOf(change, encoder.format.entryShift);
    return new PageTableError(
      'BREAK_BEFORE_MAKE',
      `${this.operation}: the change${where} from ${old} to ${next} needs the entry absent, and an invalidation, in between ` +
        `(${rules.source}); expected a function that invalidates, since the tables are live`,
    );
  }

  /** The first entry of a change, before and after, in words. */
  private textsOf({ table, index }: Change, entryShift: number): [string, string] {
    const changes = this.changes.filter((one) => one.table === table);
    const { before, after } = this.simulate(table, changes);
    return [hex64(entryAt(before, index, entryShift)), hex64(entryAt(after, index, entryShift))];
  }

  /** The word at which a table lies that is there or made. */
  wordOf(table: EditedTable): number {
    return this.tree.memory.locate(table.frame) + this.offsetOf(table) / 4;
  }

  /** Where a table's entries are read: of a copy, those of the table that it is a copy of. */
  sourceOf(table: EditedTable): { words: Uint32Array; at: number } {
    return this.place(frameOf(table), table);
  }

  private place(frame: number, table: EditedTable): { words: Uint32Array; at: number } {
    const { memory } = this.tree;
    memory.current();
    const at = memory.locate(frame);
    return { words: memory.words, at: at + this.offsetOf(table) / 4 };
  }

  /** Offset of a table in its frame, in bytes: of a root that is smaller. */
  private offsetOf(table: EditedTable): number {
    return table.depth === 0 ? this.tree.paging.root.word * 4 : 0;
  }

  /** Entries as they are now. */
  private wordsOf({ table, index, count }: Entries): Uint32Array {
    const { entryShift } = this.edit.format;
    const { words, at } = this.sourceOf(table);
    return words.subarray(at + (index << entryShift), at + ((index + count) << entryShift));
  }
}

/** The frame where the entries of a table are read. */
function frameOf(table: EditedTable): number {
  return table.copyOf >= 0 ? table.copyOf : table.frame;
}

function entryAt(words: Uint32Array, index: number, entryShift: number): bigint {
  if (entryShift === 0) return BigInt(words[index]);
  return (BigInt(words[2 * index + 1]) << 32n) | BigInt(words[2 * index]);
}

function entryText(words: Uint32Array, at: number, step: number): string {
  return hex64(entryAt(words.subarray(at, at + step), 0, step - 1));
}
