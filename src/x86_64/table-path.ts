import { hex64, joinHalves, PageTableError } from '../bits/index.ts';
import { indexAt, PhysAddr } from './addr.ts';
import { PageTableFlags } from './flags.ts';
import { PhysFrame } from './frame.ts';
import { type PageTableFrameMapping, PhysOffset } from './frame-mapping.ts';
import { Size4KiB } from './page-size.ts';
import type { PageTable, TableMemory } from './page-table.ts';

const PRESENT = PageTableFlags.PRESENT.low;
const HUGE_PAGE = PageTableFlags.HUGE_PAGE.low;
/** Bits of an entry that belong to the address: those that are no flags. */
const ADDRESS_LOW = ~PageTableFlags.all().low;
const ADDRESS_HIGH = ~PageTableFlags.all().high;

/** The way ended at the entry that was asked for. */
export const FOUND = 0;
/** The way ended at an entry that is not present. */
export const NOT_MAPPED = 1;
/** The way ended at an entry that maps a huge page. */
export const HUGE = 2;

/**
 * The way from the root to an entry, table by table, through whatever memory they lie in. One of these serves a mapper for
 * all its calls, one at a time.
 */
export class TablePath {
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
  /** For the mapper's fast way: where the root is in flat memory; -1 while a call is under way. */
  fastRoot: number;
  private readonly flatRoot: number;
  private readonly mapping: PageTableFrameMapping;
  /** The mapping, if it is an offset in the root's own memory: tables are then reached without objects. */
  private readonly offset: PhysOffset | undefined;
  private busy = false;

  /**
   * @param root - the level-4 table
   * @param mapping - where the other tables are
   * @param flatRoot - where the root is in flat memory, or -1
   */
  constructor(root: PageTable, mapping: PageTableFrameMapping, flatRoot: number) {
    this.root = root;
    this.mapping = mapping;
    this.memory = root.memory;
    this.offset = offsetIn(root.memory, mapping);
    this.flatRoot = flatRoot;
    this.fastRoot = flatRoot;
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
        'the mapper was called from inside an allocator, deallocator or frame mapping that it called itself',
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
   * @returns {@link FOUND}, {@link NOT_MAPPED} or {@link HUGE}; the entry is then in the fields
   */
  find(high: number, low: number, level: number): number {
    this.enter();
    try {
      for (; ; this.level -= 1) {
        this.read(indexAt(high, low, this.level));
        if (this.level === level) return FOUND;
        if ((this.low & PRESENT) === 0) return NOT_MAPPED;
        if ((this.low & HUGE_PAGE) !== 0) return HUGE;
        this.follow(this.high, this.low);
      }
    } finally {
      this.leave();
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
      throw this.located(error);
    }
    this.index = index;
  }

  /**
   * Makes sure that the table that was reached is in memory; the entry that was read stays in the fields.
   *
   * @throws {@link PageTableError} `NOT_IN_MEMORY`
   */
  probe(): void {
    try {
      this.memory.readEntry(this.page, 0);
    } catch (error) {
      throw this.located(error);
    }
  }

  /** Says which table is not in memory, and what points to it. */
  private located(error: unknown): unknown {
    if (!(error instanceof PageTableError && error.code === 'NOT_IN_MEMORY')) return error;
    const above = this.level === 4 ? '' : `, to which ${this.entry(this.level + 1)} points`;
    return new PageTableError(
      error.code,
      `the level-${this.level} table${above}: ${error.message}`,
      error.detail,
      { cause: error },
    );
  }

  /** Whether the mapping is the library's own: an error of a mapping of the user's passes through unchanged. */
  get ownMapping(): boolean {
    return this.offset !== undefined;
  }

  /** Goes to the table to which an entry points. */
  follow(high: number, low: number): void {
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
    return this.entry(this.level);
  }

  private entry(level: number): string {
    return `the level-${level} entry ${this.index} (${hex64(joinHalves(this.low, this.high))})`;
  }
}

/** A mapping, if it is an offset in the memory given. */
export function offsetIn(memory: TableMemory, mapping: PageTableFrameMapping): PhysOffset | undefined {
  return mapping instanceof PhysOffset && mapping.memory === memory ? mapping : undefined;
}
