import { addressOf, hex, hex64, PageTableError } from '../bits/index.ts';
import {
  andRights,
  type CompiledFormat,
  type EntryEncoder,
  groupOrder,
  isFaultyPage,
  isFaultyTable,
  isGlobal,
  isPresent,
  LIVE_RULES,
  type LiveRules,
  lastIndex,
  leadsToTable,
  orRights,
  type Paging,
  pageFrame,
  pageWithin,
  rightsText,
  SUPERVISOR_EXECUTE,
  SUPERVISOR_WRITE,
  tableFrame,
  USER_EXECUTE,
  USER_WRITE,
} from '../format/index.ts';
import { ABSENT, type PhysicalMemory } from '../memory/index.ts';
import { Cursor, DONE, PAGE, type PageRange, TABLE } from '../walk/index.ts';
import type { AttributeBits, Described } from './attributes.ts';
import { Change, CLEAR, COPY, EditedTable, FILL, MASK, POINT } from './change.ts';
import { PAGES, StaleList, TABLES } from './invalidation.ts';
import type { LevelMasks, PageMasks } from './masks.ts';
import { type Sharing, SharingDraft } from './sharing.ts';

/** Page tables under one root, and what edits of them must know. */
export interface Tree {
  readonly memory: PhysicalMemory;
  readonly paging: Paging;
  readonly encoder: EntryEncoder;
  readonly masks: PageMasks;
  readonly sharing: Sharing;
}

/** How edits are made. */
export interface EditPolicy {
  /** Whether a processor may be using the tables while they are changed. */
  readonly live: boolean;
  /** Whether no page may be both writable and executable. */
  readonly writeXorExecute: boolean;
  /** Whether a processor may be left to fault once where rights have become wider, or an entry present. */
  readonly spuriousFaults: 'avoid' | 'tolerate';
  /** What is done with tables that other entries lead to, too. */
  readonly whenShared: 'copy' | 'refuse';
  /** Tables that one edit may make: a bound on its work. */
  readonly maxTables: number;
}

/** {@link Edit.compare}: the entry changes at all. */
export const CHANGES = 1;
/** {@link Edit.compare}: a processor may remember what is no longer right. */
export const STALE = 2;
/** {@link Edit.compare}: the entry must be absent in between. */
export const BREAKS = 4;

/** Tables of other spaces that an edit looks through at most to know what it unmaps. */
const MOST_SHARED_TABLES = 1 << 20;

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
export class Edit {
  readonly tree: Tree;
  readonly policy: EditPolicy;
  readonly rules: LiveRules;
  readonly format: CompiledFormat;
  readonly facts: Int32Array;
  readonly encoder: EntryEncoder;
  readonly root: EditedTable;
  /** What is being done, for messages. */
  readonly operation: Described;
  /** The pages that it is about, counted without the hole between two halves. */
  readonly first: number;
  readonly end: number;
  /** In the order in which they must be applied to tables that nobody sees yet. */
  readonly changes: Change[] = [];
  /** Tables that must be made. */
  readonly newTables: EditedTable[] = [];
  /** Frames of tables that are not needed any more. */
  readonly freed: number[] = [];
  readonly stale = new StaleList();
  readonly sharing: SharingDraft;
  private readonly memory: PhysicalMemory;
  private visited = 0;
  private isUnchecked = false;
  private readonly blank: Uint32Array;

  /**
   * @param first - first page of the range, counted without the hole between two halves
   * @param end - one past the last
   */
  constructor(tree: Tree, policy: EditPolicy, operation: Described, first: number, end: number) {
    this.first = first;
    this.end = end;
    this.tree = tree;
    this.policy = policy;
    this.operation = operation;
    this.memory = tree.memory;
    this.format = tree.paging.format;
    this.facts = this.format.facts;
    this.encoder = tree.encoder;
    this.rules = LIVE_RULES[this.format.fact.architecture];
    this.sharing = new SharingDraft(tree.sharing);
    this.blank = BLANK;
    const { frame, word } = tree.paging.root;
    const at = this.place(0, 0, frame);
    const place = { frame, slot: -1, copyOf: -1 };
    this.root = new EditedTable(0, 0, place, { words: this.memory.words, at: at + word });
  }

  // ---- reading

  /** Entries of a table. */
  entriesAt(depth: number): number {
    return lastIndex(this.facts, depth) + 1;
  }

  low(table: EditedTable, index: number): number {
    return table.words[table.at + (index << this.format.entryShift)] | 0;
  }

  high(table: EditedTable, index: number): number {
    return this.format.entryShift === 1 ? table.words[table.at + (index << 1) + 1] | 0 : 0;
  }

  isPresent(table: EditedTable, low: number): boolean {
    return isPresent(this.facts, table.depth, low);
  }

  leadsToTable(table: EditedTable, low: number): boolean {
    return leadsToTable(this.facts, table.depth, low);
  }

  /** First frame of the page that an entry maps. */
  frameOf(table: EditedTable, index: number, low: number, high: number): number {
    const page = this.pageAt(table, index);
    return (
      pageFrame(this.facts, table.depth, low, high) +
      pageWithin(this.facts, table.depth, high, Math.floor(page / 2 ** 26), page % 2 ** 26)
    );
  }

  /** First page that an entry spans. */
  pageAt(table: EditedTable, index: number): number {
    return table.page + index * this.encoder.levels[table.depth].span;
  }

  isGlobal(table: EditedTable, low: number): boolean {
    return isGlobal(this.facts, table.depth, low, table.and);
  }

  /** Whether a present entry cannot be used: a reserved bit is set. */
  isFaulty(table: EditedTable, low: number, high: number): boolean {
    return leadsToTable(this.facts, table.depth, low)
      ? isFaultyTable(this.facts, table.depth, low, high)
      : isFaultyPage(this.facts, table.depth, low, high);
  }

  /**
   * One past the last of neighbouring entries that map pages as the first one does: what is true of the one is true of all, save
   * where they lead. A member of a contiguous group stands alone.
   *
   * @param index - of the first one, which maps a page and is not faulty
   * @param to - end of the search, above `index`
   */
  runEnd(table: EditedTable, index: number, to: number): number {
    const { alikeLow, alikeHigh } = this.encoder.levels[table.depth];
    const { words } = table;
    const { entryShift } = this.format;
    let at = table.at + (index << entryShift);
    // Of entries of one word, this is the same one, of which nothing is compared.
    const low = words[at];
    const high = words[at + entryShift];
    let end = index + 1;
    if (entryShift === 1 && this.isGrouped(table, high)) return end;
    for (const step = 1 << entryShift; end < to; end += 1) {
      at += step;
      if ((((words[at] ^ low) & alikeLow) | ((words[at + entryShift] ^ high) & alikeHigh)) !== 0) break;
    }
    return end;
  }

  /** Whether the entry of a page is one of a contiguous group. */
  isGrouped(table: EditedTable, high: number): boolean {
    return groupOrder(this.facts, table.depth, high) !== 0;
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
    const content = { words: this.blank, at: 0 };
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
    if (table.words.length !== words || table.words === this.blank) {
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

  private isAbove(table: EditedTable | undefined, frame: number): boolean {
    for (let above = table; above !== undefined; above = above.parent) {
      if (above.frame === frame || above.copyOf === frame) return true;
    }
    return false;
  }

  private place(depth: number, page: number, frame: number): number {
    this.memory.current();
    const at = this.memory.locate(frame);
    if (at !== ABSENT) return at;
    throw new PageTableError(
      'NOT_IN_MEMORY',
      `${this.operation}: the ${this.format.fact.levels[depth].table} for ${hex64(this.addressOf(page))} lies at ` +
        `${hex(addressOf(frame))}, where no memory is; expected every table on the way in memory`,
      { address: this.addressOf(page), table: addressOf(frame) },
    );
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

  /** 4-KiB pages that an entry of a table spans. */
  spanOf(table: EditedTable): number {
    return this.encoder.levels[table.depth].span;
  }

  /**
   * Gives up a table and all below it, and notes the pages that were mapped there.
   *
   * @param index - of the entry in `table` that leads to it
   */
  drop(table: EditedTable, index: number, low: number, high: number, breaks: boolean): void {
    this.dropTable(table, index, low, high, breaks, true);
  }

  /** Whether nothing is mapped below an entry that leads to a table, and software keeps nothing there. */
  holdsNothing(table: EditedTable, index: number, low: number, high: number): boolean {
    const frame = tableFrame(this.facts, table.depth, low, high);
    if (isFaultyTable(this.facts, table.depth, low, high) || this.isAbove(table, frame)) return false;
    const child = this.lookAt(table, index, frame);
    for (let i = 0; i < this.entriesAt(child.depth); i += 1) {
      const entry = this.low(child, i);
      const upper = this.high(child, i);
      if ((entry | upper) === 0) continue;
      const isTable =
        isPresent(this.facts, child.depth, entry) && leadsToTable(this.facts, child.depth, entry);
      if (!isTable || !this.holdsNothing(child, i, entry, upper)) return false;
    }
    return true;
  }

  /** A table that is read only. */
  private lookAt(table: EditedTable, index: number, frame: number): EditedTable {
    this.visited += 1;
    if (this.visited > MOST_SHARED_TABLES) {
      throw new PageTableError(
        'LIMIT_EXCEEDED',
        `${this.operation}: more than ${MOST_SHARED_TABLES} tables below the range; expected tables that do not lead to each other over and over`,
        { tables: MOST_SHARED_TABLES },
      );
    }
    const page = this.pageAt(table, index);
    const at = this.place(table.depth + 1, page, frame);
    const place = { frame, slot: -1, copyOf: -1 };
    return new EditedTable(table.depth + 1, page, place, { words: this.memory.words, at }, table, index);
  }

  private dropTable(
    table: EditedTable,
    index: number,
    low: number,
    high: number,
    breaks: boolean,
    owned: boolean,
  ): void {
    if (isFaultyTable(this.facts, table.depth, low, high)) return;
    const frame = tableFrame(this.facts, table.depth, low, high);
    if (this.isAbove(table, frame)) return;
    const isOwned = owned && this.sharing.countOf(frame) === 1;
    if (owned && !isOwned) this.sharing.add(frame, -1);
    const mark = this.stale.mark();
    const child = this.lookAt(table, index, frame);
    child.and = andRights(this.facts, table.depth, table.and, low);
    const entries = this.entriesAt(child.depth);
    const span = this.spanOf(child);
    for (let i = 0; i < entries; i += 1) {
      const entry = this.low(child, i);
      if (!isPresent(this.facts, child.depth, entry)) continue;
      const upper = this.high(child, i);
      if (leadsToTable(this.facts, child.depth, entry)) {
        this.dropTable(child, i, entry, upper, breaks, isOwned);
      } else if (!isFaultyPage(this.facts, child.depth, entry, upper)) {
        const stop = this.runEnd(child, i, entries);
        const global = this.isGlobal(child, entry);
        this.forget(child, child.page + i * span, (stop - i) * span, PAGES | TABLES, global, breaks);
        i = stop - 1;
      }
    }
    // A table without pages may be remembered all the same.
    if (this.stale.length === mark) this.forget(table, child.page, this.spanOf(table), TABLES, false, breaks);
    if (isOwned) this.freed.push(frame);
  }

  // ---- what a change of a page needs

  /**
   * What follows from writing one page's entry over another's.
   *
   * @returns bits {@link CHANGES}, {@link STALE}, {@link BREAKS}
   */
  compare(table: EditedTable, low: number, high: number, newLow: number, newHigh: number): number {
    const { depth, and, or } = table;
    const { facts } = this;
    const lows = low ^ newLow;
    const highs = high ^ newHigh;
    if ((lows | highs) === 0) return 0;
    const masks = this.tree.masks.levels[depth];
    const { breaks } = this.rules;
    let result = CHANGES;
    if (isGlobal(facts, depth, low) !== isGlobal(facts, depth, newLow)) {
      result |= STALE;
      if (breaks.global && isGlobal(facts, depth, newLow)) result |= BREAKS;
    }
    if (pageFrame(facts, depth, low, high) !== pageFrame(facts, depth, newLow, newHigh)) {
      result |= breaks.frame ? STALE | BREAKS : STALE;
    }
    if (((lows & masks.typeLow) | (highs & masks.typeHigh)) !== 0) {
      result |= breaks.type ? STALE | BREAKS : STALE;
    }
    if (this.losesMark(masks, low, newLow)) result |= STALE;
    if (breaks.groupAttributes && this.isGrouped(table, high)) {
      const isApart =
        ((lows & masks.groupLow) | (highs & masks.groupHigh)) !== 0 ||
        isGlobal(facts, depth, low) !== isGlobal(facts, depth, newLow);
      if (isApart) result |= STALE | BREAKS;
    }
    if (((lows & masks.rightsLow) | (highs & masks.rightsHigh)) !== 0) {
      const { paging } = this.tree;
      const before = paging.rights(and, or, low | masks.marksLow, high);
      const after = paging.rights(and, or, newLow | masks.marksLow, newHigh);
      if ((before & ~after) !== 0 || (after !== before && !this.leavesNarrower)) result |= STALE;
    }
    return this.policy.live ? result : result & ~BREAKS;
  }

  private losesMark(masks: LevelMasks, low: number, newLow: number): boolean {
    const isLeft = this.rules.optional.marks && this.policy.spuriousFaults === 'tolerate';
    return (low & ~newLow & masks.marksLow) !== 0 && !isLeft;
  }

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

  /** Whether an entry is present and has no reserved bit. */
  isUsable(table: EditedTable, low: number, high: number): boolean {
    return this.isPresent(table, low) && !this.isFaulty(table, low, high);
  }

  /** Whether an entry outside of [from, to) holds anything at all; neighbours of the range are looked at first. */
  isUsedOutside(table: EditedTable, from: number, to: number): boolean {
    const { words, at } = table;
    const { entryShift } = this.format;
    const entries = this.entriesAt(table.depth);
    const end = at + (entries << entryShift);
    for (let word = at + (to << entryShift); word < end; word += 1) if (words[word] !== 0) return true;
    for (let word = at + (from << entryShift) - 1; word >= at; word -= 1) if (words[word] !== 0) return true;
    for (let i = 0; table.hasChildren && i < entries; i += 1) {
      if ((i < from || i >= to) && table.child(i) !== undefined) return true;
    }
    return false;
  }

  /** Whether nothing is known of a table: it is new, and all zeros. */
  isUntouched(table: EditedTable): boolean {
    return table.words === this.blank && !table.hasChildren;
  }

  /** Whether two pages have the same attributes, in the form of entries of the last level; marks of use do not count. */
  sameAttributes(low: number, high: number, otherLow: number, otherHigh: number): boolean {
    const { levels } = this.tree.masks;
    return ((low ^ otherLow) & ~levels[levels.length - 1].marksLow) === 0 && high === otherHigh;
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

  /**
   * Refuses a range of which a page is not mapped.
   *
   * @throws {@link PageTableError} `NOT_MAPPED`
   */
  checkMapped(): void {
    const { lowEnd, highStart } = this.format;
    const hole = this.first < lowEnd ? 0 : highStart - lowEnd;
    const cursor = new Cursor(this.memory, this.tree.paging, {
      first: this.first + hole,
      end: this.end + hole,
    });
    let next = this.first + hole;
    for (let event = cursor.next(); event !== DONE && cursor.page <= next; event = cursor.next()) {
      if (event === PAGE) next = cursor.page + 2 ** cursor.order;
    }
    if (next - hole < this.end) throw this.notMapped(next - hole);
  }

  /** Nothing is mapped where something should be. */
  notMapped(page: number): PageTableError {
    const address = this.addressOf(page);
    return new PageTableError(
      'NOT_MAPPED',
      `${this.operation}: nothing is mapped at ${hex64(address)}; expected the whole range to be mapped (missing: 'ignore' passes over holes)`,
      { address },
    );
  }

  // ---- text

  /** Byte address of a page, as a processor knows it. */
  addressOf(page: number): bigint {
    const { lowEnd, highStart } = this.format;
    return addressOf(page < lowEnd ? page : page + (highStart - lowEnd));
  }

  /**
   * Something is mapped where nothing should be.
   *
   * @param page - the first page that is in the way
   */
  conflict(page: number): PageTableError {
    const { lowEnd, highStart } = this.format;
    const first = page < lowEnd ? page : page + (highStart - lowEnd);
    const found = firstMapped(this.tree, { first, end: first + (this.end - page) });
    const address = addressOf(found?.first ?? first);
    const end = addressOf(found?.end ?? first + 1);
    const text = found === undefined ? 'by software, of an absent entry' : found.text;
    return new PageTableError(
      'ALREADY_MAPPED',
      `${this.operation}: ${hex64(address)} to ${hex64(end)} is in use: ${text}; expected nothing there (overlap: 'replace' or 'keep')`,
      { address, end, ...(found === undefined ? {} : { physical: addressOf(found.frame) }) },
    );
  }

  corrupt(table: EditedTable, index: number, what: string): PageTableError {
    return new PageTableError(
      'CORRUPT_TABLE',
      `${this.operation}: the ${this.entryText(table, index)} ${what}; expected one that the processor can use`,
      { address: this.addressOf(this.pageAt(table, index)) },
    );
  }

  /** An entry in words: `PDE for 0x…`. */
  entryText(table: EditedTable, index: number): string {
    const { fact } = this.format;
    return `${fact.levels[table.depth].entry} for ${hex64(this.addressOf(this.pageAt(table, index)))}`;
  }
}

/** A mapped range. */
interface MappedRange {
  readonly first: number;
  readonly end: number;
  readonly frame: number;
  readonly text: string;
}

/** The range that begins with the first mapped page of another range, as far as it is mapped alike. */
function firstMapped({ memory, paging }: Tree, range: PageRange): MappedRange | undefined {
  const cursor = new Cursor(memory, paging, range);
  let first: MappedRange | undefined;
  let rights = 0;
  for (let event = cursor.next(); event !== DONE; event = cursor.next()) {
    if (event === TABLE) continue;
    const page = Math.max(cursor.page, range.first);
    const end = Math.min(cursor.page + 2 ** cursor.order, range.end);
    const frame = cursor.frame + (page - cursor.page);
    if (event !== PAGE) return first;
    const now = paging.rights(cursor.and, cursor.or, cursor.low, cursor.high);
    if (first === undefined) {
      rights = now;
      const type = paging.memoryType(cursor.depth, cursor.low, cursor.high).name;
      const [user, supervisor] = paging.format.fact.privileges;
      const text =
        `mapped to ${hex64(addressOf(frame))} in pages of ${hex(2 ** (cursor.order + 12))} bytes, ` +
        `${user} ${rightsText(now, true)}, ${supervisor} ${rightsText(now, false)}, ${type}`;
      first = { first: page, end, frame, text };
    } else if (page === first.end && frame - first.frame === page - first.first && now === rights) {
      first = { ...first, end };
    } else {
      return first;
    }
  }
  return first;
}

/** Entries of a table that is not made yet: zeros. */
const BLANK = new Uint32Array(4096);

function sameMask(a: Change, b: Change): boolean {
  return a.clearLow === b.clearLow && a.clearHigh === b.clearHigh;
}
