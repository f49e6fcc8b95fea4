import { addressOf, hex, hex64, PageTableError } from '../bits/index.ts';
import {
  type CompiledFormat,
  type EntryEncoder,
  groupOrder,
  isFaultyPage,
  isFaultyTable,
  isGlobal,
  isPresent,
  lastIndex,
  leadsToTable,
  pageFrame,
  pageWithin,
  withHole,
} from '../format/index.ts';
import { ABSENT, type PhysicalMemory } from '../memory/index.ts';
import { Cursor, DONE, PAGE } from '../walk/index.ts';
import type { Described } from './attributes.ts';
import { EditedTable } from './change.ts';
import type { Tree } from './tree.ts';

/** Tables of other spaces that an edit looks through at most to know what it unmaps. */
const MOST_SHARED_TABLES = 1 << 20;

/** Reads the tables of an edit, and says of them what messages need. */
export class TableReader {
  readonly tree: Tree;
  readonly format: CompiledFormat;
  readonly facts: Int32Array;
  readonly encoder: EntryEncoder;
  /** What is being done, for messages. */
  readonly operation: Described;
  /** The pages that it is about, counted without the hole between two halves. */
  readonly first: number;
  readonly end: number;
  protected readonly memory: PhysicalMemory;
  private visited = 0;

  /**
   * @param first - first page of the range, counted without the hole between two halves
   * @param end - one past the last
   */
  constructor(tree: Tree, operation: Described, first: number, end: number) {
    this.tree = tree;
    this.operation = operation;
    this.first = first;
    this.end = end;
    this.memory = tree.memory;
    this.format = tree.paging.format;
    this.facts = this.format.facts;
    this.encoder = tree.encoder;
  }

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

  /** 4-KiB pages that an entry of a table spans. */
  spanOf(table: EditedTable): number {
    return this.encoder.levels[table.depth].span;
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

  /** Whether two pages have the same attributes, in the form of entries of the last level; marks of use do not count. */
  sameAttributes(low: number, high: number, otherLow: number, otherHigh: number): boolean {
    const { levels } = this.tree.masks;
    return ((low ^ otherLow) & ~levels[levels.length - 1].marksLow) === 0 && high === otherHigh;
  }

  /** Whether a table is one of those through which another is reached, or that one itself. */
  isAbove(table: EditedTable | undefined, frame: number): boolean {
    for (let above = table; above !== undefined; above = above.parent) {
      if (above.frame === frame || above.copyOf === frame) return true;
    }
    return false;
  }

  /**
   * Where the table at `depth` for a page begins in memory.
   *
   * @throws {@link PageTableError} `NOT_IN_MEMORY`
   */
  place(depth: number, page: number, frame: number): number {
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

  /**
   * A table that is read only.
   *
   * @throws {@link PageTableError} `NOT_IN_MEMORY`; `LIMIT_EXCEEDED` if the edit has looked at too many
   */
  lookAt(table: EditedTable, index: number, frame: number): EditedTable {
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

  /**
   * Refuses a range of which a page is not mapped.
   *
   * @throws {@link PageTableError} `NOT_MAPPED`
   */
  checkMapped(): void {
    const first = withHole(this.format, this.first);
    const end = first + (this.end - this.first);
    const cursor = new Cursor(this.memory, this.tree.paging, { first, end });
    let next = first;
    for (let event = cursor.next(); event !== DONE && cursor.page <= next; event = cursor.next()) {
      if (event === PAGE) next = cursor.page + 2 ** cursor.order;
    }
    if (next < end) throw this.notMapped(this.first + (next - first));
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
    return addressOf(withHole(this.format, page));
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
