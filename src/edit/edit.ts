import { addressOf, hex, hex64, PageTableError } from '../bits/index.ts';
import {
  andRights,
  isFaultyTable,
  isPresent,
  LIVE_RULES,
  type LiveRules,
  leadsToTable,
  orRights,
  SUPERVISOR_EXECUTE,
  SUPERVISOR_WRITE,
  tableFrame,
  USER_EXECUTE,
  USER_WRITE,
} from '../format/index.ts';
import type { AttributeBits, Described } from './attributes.ts';
import { Change, CLEAR, COPY, EditedTable, FILL, MASK, POINT } from './change.ts';
import { StaleList, TABLES } from './invalidation.ts';
import { SharingDraft } from './sharing.ts';
import { TableReader } from './table-reader.ts';
import type { EditPolicy, Tree } from './tree.ts';

/** Entries of a table that is not made yet: zeros. */
const BLANK = new Uint32Array(4096);

/** How far an edit has come; what follows can be undone. */
export interface Mark {
  readonly changes: number;
  readonly tables: number;
  readonly freed: number;
  readonly sharing: number;
  readonly stale: number;
}

/**
 * One edit while it is worked out: reads tables and gathers changes; writes nothing.
 */
export class Edit extends TableReader {
  readonly policy: EditPolicy;
  readonly rules: LiveRules;
  readonly root: EditedTable;
  /** In the order in which they must be applied to tables that nobody sees yet. */
  readonly changes: Change[] = [];
  /** Tables that must be made. */
  readonly newTables: EditedTable[] = [];
  /** Frames of tables that are not needed any more. */
  readonly freed: number[] = [];
  readonly stale = new StaleList();
  readonly sharing: SharingDraft;
  private isUnchecked = false;

  /**
   * @param first - first page of the range, counted without the hole between two halves
   * @param end - one past the last
   */
  constructor(tree: Tree, policy: EditPolicy, operation: Described, first: number, end: number) {
    super(tree, operation, first, end);
    this.policy = policy;
    this.rules = LIVE_RULES[this.format.fact.architecture];
    this.sharing = new SharingDraft(tree.sharing);
    const { frame, word } = tree.paging.root;
    const at = this.place(0, 0, frame);
    const place = { frame, slot: -1, copyOf: -1 };
    this.root = new EditedTable(0, 0, place, { words: this.memory.words, at: at + word });
  }

  // ---- tables

  /**
   * The table that a present entry leads to, to be changed: a copy of it if others use it, too.
   *
   * @throws {@link PageTableError} `CORRUPT_TABLE`, `NOT_IN_MEMORY`, `SHARED_TABLE`
   */
  enter(table: EditedTable, index: number, low: number, high: number): EditedTable {
    const known = table.child(index);
    if (known !== undefined) return known;
    const { depth } = table;
    const page = this.pageAt(table, index);
    if (isFaultyTable(this.facts, depth, low, high))
      throw this.corrupt(table, index, 'has a reserved bit set');
    const frame = tableFrame(this.facts, depth, low, high);
    if (this.isAbove(table, frame)) {
      throw new PageTableError(
        'SHARED_TABLE',
        `${this.operation}: the ${this.entryText(table, index)} leads back to the table at ${hex(addressOf(frame))} above it; ` +
          'expected one that leads to a table of its own',
        { address: this.addressOf(page), table: addressOf(frame) },
      );
    }
    const content = { words: this.memory.words, at: this.place(depth + 1, page, frame) };
    const isShared = this.sharing.countOf(frame) > 1;
    if (isShared && this.policy.whenShared === 'refuse') {
      throw new PageTableError(
        'SHARED_TABLE',
        `${this.operation}: the table at ${hex(addressOf(frame))}, to which the ${this.entryText(table, index)} leads, has ` +
          `${this.sharing.countOf(frame)} entries that lead to it; expected one (whenShared: 'copy' makes a copy)`,
        { address: this.addressOf(page), table: addressOf(frame) },
      );
    }
    const place = isShared
      ? { frame: -1, slot: this.newTables.length, copyOf: frame }
      : { frame, slot: -1, copyOf: -1 };
    const child = new EditedTable(depth + 1, page, place, content, table, index);
    if (isShared) this.countTable();
    if (isShared) this.adoptCopy(table, index, child, low, high);
    this.take(table, index, child, low, high);
    return child;
  }

  /** Works out afresh what the entries above a table say, after one has changed. */
  inherit(table: EditedTable, index: number, child: EditedTable): void {
    this.take(table, index, child, this.low(table, index), this.high(table, index));
  }

  /** A table that is made for an entry; nothing is written of the entry yet. */
  newTable(table: EditedTable, index: number): EditedTable {
    this.countTable();
    const place = { frame: -1, slot: this.newTables.length, copyOf: -1 };
    const content = { words: BLANK, at: 0 };
    const child = new EditedTable(table.depth + 1, this.pageAt(table, index), place, content, table, index);
    this.newTables.push(child);
    this.take(table, index, child, this.encoder.levels[table.depth].tableLow, 0);
    return child;
  }

  private countTable(): void {
    const { maxTables } = this.policy;
    if (this.newTables.length < maxTables) return;
    throw new PageTableError(
      'LIMIT_EXCEEDED',
      `${this.operation}: more than ${maxTables} tables would have to be made; expected fewer (maxTables), as with larger pages ` +
        'where virtual and physical address are aligned alike',
      { maxTables },
    );
  }

  /** Makes an entry lead to a new table. */
  point(table: EditedTable, index: number, child: EditedTable, breaks = false): void {
    const low = this.encoder.levels[table.depth].tableLow;
    this.changes.push(new Change(POINT, table, index, 1, { child, low, breaks }));
  }

  /** A copy in the place of a table that others use, too. */
  private adoptCopy(table: EditedTable, index: number, child: EditedTable, low: number, high: number): void {
    const { encoder, format } = this;
    this.newTables.push(child);
    this.sharing.add(child.copyOf, -1);
    for (let i = 0; i < this.entriesAt(child.depth); i += 1) {
      const entry = this.low(child, i);
      if (!isPresent(this.facts, child.depth, entry) || !leadsToTable(this.facts, child.depth, entry))
        continue;
      this.sharing.add(tableFrame(this.facts, child.depth, entry, this.high(child, i)), 1);
    }
    const { order } = encoder.levels[table.depth];
    const breaks = this.policy.live && this.rules.breaks.table;
    this.changes.push(new Change(COPY, child, 0, this.entriesAt(child.depth)));
    encoder.pointerBits(table.depth, low, high);
    const bits = { low: encoder.low, high: format.entryShift === 1 ? encoder.high : 0 };
    this.changes.push(new Change(POINT, table, index, 1, { child, ...bits, breaks }));
    // Of a copy in a copy as well: what leads to the old table is remembered for its addresses.
    this.stale.add(child.page, child.page + 2 ** order, order, TABLES, false, breaks);
  }

  /** Notes a table and what the entries above it say. */
  private take(table: EditedTable, index: number, child: EditedTable, low: number, high: number): void {
    child.and = andRights(this.facts, table.depth, table.and, low);
    child.or = orRights(this.facts, table.depth, table.or, high);
    table.setChild(index, child);
  }

  /** A copy of a table's entries that later steps of the edit read instead. */
  draft(table: EditedTable): Uint32Array {
    const words = this.entriesAt(table.depth) << this.format.entryShift;
    if (table.words.length !== words || table.words === BLANK) {
      table.words = table.words.slice(table.at, table.at + words);
      table.at = 0;
    }
    return table.words;
  }

  /** Whether the table that an entry leads to is not this place's alone: others lead to it, or it stands above. */
  leadsElsewhere(table: EditedTable, low: number, high: number): boolean {
    const frame = tableFrame(this.facts, table.depth, low, high);
    return this.sharing.countOf(frame) > 1 || this.isAbove(table, frame);
  }

  // ---- changes

  /** Adds a change; one that goes on where the last one ended becomes part of it. */
  push(change: Change): void {
    const last = this.changes[this.changes.length - 1];
    if (
      last !== undefined &&
      last.table === change.table &&
      last.kind === change.kind &&
      last.index + last.count === change.index &&
      last.low === change.low &&
      last.high === change.high &&
      last.breaks === change.breaks &&
      (change.kind === CLEAR || (change.kind === MASK && sameMask(last, change)) || this.goesOn(last, change))
    ) {
      last.count += change.count;
    } else {
      this.changes.push(change);
    }
  }

  private goesOn(last: Change, change: Change): boolean {
    const { span } = this.encoder.levels[change.table.depth];
    return change.kind === FILL && last.frame + last.count * span === change.frame;
  }

  clear(table: EditedTable, index: number, count = 1): void {
    this.push(new Change(CLEAR, table, index, count));
  }

  /** Pages that a processor may remember: nothing is to be invalidated of tables that nobody has seen. */
  forget(
    table: EditedTable,
    first: number,
    pages: number,
    scope: number,
    global: boolean,
    breaks = false,
  ): void {
    if (table.isNew && table.copyOf < 0) return;
    this.stale.add(first, first + pages, this.encoder.levels[table.depth].order, scope, global, breaks);
  }

  /** Notes that an entry that was absent is there now: some processors remember absent ones. */
  appear(table: EditedTable, index: number, count: number, scope: number): void {
    if (table.isNew || !this.rules.remembersAbsent || this.policy.spuriousFaults === 'tolerate') return;
    const first = this.pageAt(table, index);
    const { order, span } = this.encoder.levels[table.depth];
    // What was absent has no G bit: it is remembered of one address space.
    this.stale.add(first, first + count * span, order, scope, false, false);
  }

  mark(): Mark {
    return {
      changes: this.changes.length,
      tables: this.newTables.length,
      freed: this.freed.length,
      sharing: this.sharing.length,
      stale: this.stale.mark(),
    };
  }

  /** Undoes the changes since a mark, from which on one table was entered; what is freed and stale stays. */
  cutChanges(mark: Mark, table: EditedTable, index: number): void {
    this.changes.length = mark.changes;
    table.setChild(index, undefined);
  }

  /** Undoes all since a mark, from which on one table was entered. */
  private cut(mark: Mark, table: EditedTable, index: number): void {
    this.changes.length = mark.changes;
    this.newTables.length = mark.tables;
    this.freed.length = mark.freed;
    this.sharing.cut(mark.sharing);
    this.stale.cut(mark.stale);
    table.setChild(index, undefined);
  }

  /**
   * Does something in the table that an entry leads to; a copy of which nothing was then changed is not made.
   *
   * @returns what `action` returns
   */
  inside<T>(
    table: EditedTable,
    index: number,
    low: number,
    high: number,
    action: (child: EditedTable, mark: Mark) => T,
  ): T {
    const isKnown = table.child(index) !== undefined;
    const mark = this.mark();
    const child = this.enter(table, index, low, high);
    const { length } = this.changes;
    const result = action(child, mark);
    if (!isKnown && child.copyOf >= 0 && this.changes.length === length) this.cut(mark, table, index);
    return result;
  }

  /**
   * Removes a table of which nothing is left: its changes need not be made.
   *
   * @param mark - from before it was entered
   */
  remove(table: EditedTable, index: number, child: EditedTable, mark: Mark): void {
    this.changes.length = mark.changes;
    table.setChild(index, undefined);
    if (child.copyOf >= 0) {
      this.newTables.length = mark.tables;
      this.freed.length = mark.freed;
      this.sharing.cut(mark.sharing);
      this.sharing.add(child.copyOf, -1);
    } else {
      this.freed.push(child.frame);
    }
    if (this.stale.length === mark.stale) this.forget(table, child.page, this.spanOf(table), TABLES, false);
    else this.stale.raise(mark.stale);
    this.clear(table, index);
  }

  // ---- what a change needs

  /** Whether processors may go on with narrower rights than entries give. */
  get leavesNarrower(): boolean {
    return this.rules.optional.narrower && this.policy.spuriousFaults === 'tolerate';
  }

  /** Whether a page that becomes a table, or the other way round, must be absent in between. */
  breaksSize(isOtherwiseChanged: boolean): boolean {
    const { size } = this.rules.breaks;
    return this.policy.live && (size === 'always' || (size === 'with another change' && isOtherwiseChanged));
  }

  /**
   * Refuses a page that could be written and executed.
   *
   * @throws {@link PageTableError} `WRITE_XOR_EXECUTE`
   */
  checkRights(table: EditedTable, page: number, low: number, high: number): void {
    if (!this.policy.writeXorExecute) return;
    // Hardware may mark the page as used at any time.
    const { marksLow } = this.tree.masks.levels[table.depth];
    const rights = this.tree.paging.rights(table.and, table.or, low | marksLow, high);
    const writes = (rights & (USER_WRITE | SUPERVISOR_WRITE)) !== 0;
    if (!writes || (rights & (USER_EXECUTE | SUPERVISOR_EXECUTE)) === 0) return;
    throw new PageTableError(
      'WRITE_XOR_EXECUTE',
      `${this.operation}: ${hex64(this.addressOf(page))} could be written and executed; expected one of the two (writeXorExecute)`,
      { address: this.addressOf(page) },
    );
  }

  /** Whether an entry joins or leaves a contiguous group only after an absence. */
  breaksGroup(): boolean {
    return this.policy.live && this.rules.breaks.group;
  }

  /** Whether nothing is known of a table: it is new, and all zeros. */
  isUntouched(table: EditedTable): boolean {
    return table.words === BLANK && !table.hasChildren;
  }

  /**
   * {@link checkRights} of pages that are to be mapped.
   *
   * @param attributes - in the form of entries of the last level
   */
  checkEntry(table: EditedTable, index: number, frame: number, { low, high }: AttributeBits): void {
    if (!this.policy.writeXorExecute || this.isUnchecked) return;
    this.encoder.page(table.depth, frame, low, high);
    this.checkRights(table, this.pageAt(table, index), this.encoder.low, this.encoder.high);
  }

  /** Does what only puts in other words what is there: rights are not checked. */
  unchecked(action: () => void): void {
    this.isUnchecked = true;
    action();
    this.isUnchecked = false;
  }
}

function sameMask(a: Change, b: Change): boolean {
  return a.clearLow === b.clearLow && a.clearHigh === b.clearHigh;
}
