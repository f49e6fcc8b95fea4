import { hex64, joinHalves, PageTableError } from '../bits/index.ts';
import { ProcessorFault } from '../cpu/index.ts';
import { indexAt, PhysAddr } from './addr.ts';
import { ADDRESS_HIGH, ADDRESS_LOW, HUGE_PAGE, PRESENT } from './entry-bits.ts';
import { PhysFrame } from './frame.ts';
import { type PageTableFrameMapping, PhysOffset } from './frame-mapping.ts';
import type { Page } from './page.ts';
import { type PageSize, Size4KiB } from './page-size.ts';
import type { PageTable, TableMemory } from './page-table.ts';

/** The way ended at the entry that was asked for. */
export const FOUND = 0;
/** The way ended at an entry that is not present. */
export const NOT_MAPPED = 1;
/** The way ended at an entry that maps a huge page. */
export const HUGE = 2;

/**
 * The way from the root to an entry, table by table, through whatever memory they lie in. One of these serves a mapper for
 * all its calls, one at a time. How an entry leads to its table is up to the kind of path.
 */
export abstract class TablePath {
  /** The root. */
  readonly root: PageTable;
  /** Memory of the table that was reached. */
  memory: TableMemory;
  /** Its place there, in 4-KiB units. */
  page = 0;
  /** Its level, 4 to 1. */
  level = 4;
  /** Index of the entry that was read last. */
  index = 0;
  /** Bits 31:0 of that entry. */
  low = 0;
  /** Bits 63:32 of that entry. */
  high = 0;
  /** For the mapper's fast way: where it begins, a number from 0; -1 if there is none, and while a call is under way. */
  fastRoot: number;
  /** Whether an entry that is in use but not present leads on, unless a call says otherwise. */
  abstract readonly isLax: boolean;
  /** Index of a level-4 entry that leads back to the level-4 table and is no part of the address space; or -1. */
  readonly skipped: number = -1;
  /** Is told when a call begins in the general way. */
  entered: (() => void) | undefined;
  private readonly flatRoot: number;
  /** Bits 63:32 of the address to which it leads. */
  protected towardHigh = 0;
  /** Bits 31:0. */
  protected towardLow = 0;
  private busy = false;

  /**
   * @param root - the level-4 table
   * @param flatRoot - where the fast way begins, or -1
   */
  constructor(root: PageTable, flatRoot: number) {
    this.root = root;
    this.memory = root.memory;
    this.flatRoot = flatRoot;
    this.fastRoot = flatRoot;
  }

  /**
   * Goes from an entry of {@link level} to its table; the level stays.
   *
   * @param high - bits 63:32 of the entry
   * @param low - bits 31:0
   */
  abstract follow(high: number, low: number): void;

  /** Sets the address to which tables lead that are followed one by one. */
  aim(high: number, low: number): void {
    this.towardHigh = high;
    this.towardLow = low;
  }

  /**
   * Begins a call.
   *
   * @throws {@link PageTableError} `REENTERED` if one is under way
   */
  enter(): void {
    this.refuseReentry();
    this.busy = true;
    this.fastRoot = -1;
    this.entered?.();
    this.rewind();
  }

  /** Goes back to the root. */
  rewind(): void {
    this.memory = this.root.memory;
    this.page = this.root.page;
    this.level = 4;
  }

  /**
   * Refuses to go on inside a callback.
   *
   * @throws {@link PageTableError} `REENTERED`
   */
  refuseReentry(): void {
    if (this.busy) {
      throw new PageTableError(
        'REENTERED',
        'the mapper was called from inside an allocator, deallocator, frame mapping or memory that it called itself',
      );
    }
  }

  /** Ends a call. */
  leave(): void {
    this.busy = false;
    this.fastRoot = this.flatRoot;
  }

  /**
   * Goes to the entry of a level on the way to an address.
   *
   * @param high - bits 63:32 of the address
   * @param low - bits 31:0
   * @param level - 4 to 1
   * @param lax - whether an entry on the way need only be in use, not present
   * @param stops - flags in an entry on the way that end it: `HUGE_PAGE`, or 0
   * @returns {@link FOUND}, {@link NOT_MAPPED} or {@link HUGE}; the entry is then in the fields
   */
  find(high: number, low: number, level: number, lax = false, stops: number = HUGE_PAGE): number {
    this.aim(high, low);
    for (; ; this.level -= 1) {
      this.read(indexAt(high, low, this.level));
      if (this.level === level) return FOUND;
      if (lax ? (this.low | this.high) === 0 : (this.low & PRESENT) === 0) return NOT_MAPPED;
      if ((this.low & stops) !== 0) return HUGE;
      this.follow(this.high, this.low);
    }
  }

  /**
   * Reads an entry of the table that was reached.
   *
   * @throws {@link PageTableError} `NOT_IN_MEMORY`
   */
  read(index: number): void {
    try {
      this.low = this.memory.readEntry(this.page, index);
      this.high = this.memory.high;
    } catch (error) {
      throw this.missing(
        error,
        this.level === 4 ? 'the root' : `the table to which ${this.text(this.level + 1)} points`,
      );
    }
    this.index = index;
  }

  /** Reads an entry of any table. */
  at(memory: TableMemory, page: number, level: number, index: number): void {
    this.memory = memory;
    this.page = page;
    this.level = level;
    this.read(index);
  }

  /**
   * Says which table cannot be read.
   *
   * @param table - what led to it
   */
  missing(error: unknown, table: string): unknown {
    if (error instanceof ProcessorFault)
      return new ProcessorFault(error.fault, `${table} cannot be reached${this.assumption}: `, {
        cause: error,
      });
    if (!(error instanceof PageTableError && error.code === 'NOT_IN_MEMORY')) return error;
    return new PageTableError(
      error.code,
      `${table} is not there: ${error.message}${this.assumption}`,
      error.detail,
      { cause: error },
    );
  }

  /** Whether the way is the library's own: an error of a mapping of the user's passes through unchanged. */
  get isOwn(): boolean {
    return true;
  }

  /** On what it rests that a table should be there, for messages. */
  protected get assumption(): string {
    return '';
  }

  /** Replaces the flags of the entry that was read. */
  rewrite(low: number, high: number): void {
    const address = this.low & ADDRESS_LOW;
    this.memory.writeEntry(this.page, this.index, address | low, (this.high & ADDRESS_HIGH) | high);
  }

  /** The address in the entry that was read. */
  address(): PhysAddr {
    return new PhysAddr(this.high & ADDRESS_HIGH, this.low & ADDRESS_LOW);
  }

  /** The entry that was read, for messages. */
  toString(): string {
    return this.text(this.level);
  }

  /** Page and entry, for the details of an error. */
  detail(page: Page<PageSize>): { page: bigint; level: number; index: number; entry: bigint } {
    const { level, index } = this;
    return { page: page.startAddress().asU64(), level, index, entry: joinHalves(this.low, this.high) };
  }

  private text(level: number): string {
    return `the level-${level} entry ${this.index} (${hex64(joinHalves(this.low, this.high))})`;
  }
}

/** A path through tables that a mapping finds by their frames. */
export class MappedPath extends TablePath {
  readonly isLax = false;
  private readonly mapping: PageTableFrameMapping;
  /** The mapping, if it is an offset in the root's own memory: tables are then reached without objects. */
  private readonly offset: PhysOffset | undefined;

  /**
   * @param root - the level-4 table
   * @param mapping - where the other tables are
   * @param flatRoot - where the root is in flat memory, or -1
   */
  constructor(root: PageTable, mapping: PageTableFrameMapping, flatRoot: number) {
    super(root, flatRoot);
    this.mapping = mapping;
    this.offset = offsetIn(root.memory, mapping);
  }

  override get isOwn(): boolean {
    return this.offset !== undefined;
  }

  protected override get assumption(): string {
    return this.offset === undefined ? '' : ` (physical memory is taken to begin at ${this.offset.offset})`;
  }

  override follow(high: number, low: number): void {
    if (this.offset !== undefined) {
      this.page = this.offset.pageOf(high & ADDRESS_HIGH, low);
    } else {
      const { memory, page } = this.mapping.frameToPointer(
        new PhysFrame(high & ADDRESS_HIGH, low & ADDRESS_LOW, Size4KiB),
      );
      this.memory = memory;
      this.page = page;
    }
  }
}

/** A mapping, if it is an offset in the memory given. */
export function offsetIn(memory: TableMemory, mapping: PageTableFrameMapping): PhysOffset | undefined {
  return mapping instanceof PhysOffset && mapping.memory === memory ? mapping : undefined;
}
