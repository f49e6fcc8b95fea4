import {
  addressOf,
  FRAME_BYTES,
  hex,
  highHalf,
  joinHalves,
  lowHalf,
  PageTableError,
  pageOf,
} from '../bits/index.ts';
import { INSPECT } from '../bits/inspect.ts';
import { wrongKind } from '../bits/wrong-kind.ts';
import type { TableMemory } from '../memory/table-memory.ts';
import { PhysAddr } from './addr.ts';
import { ADDRESS_HIGH, ADDRESS_LOW, HUGE_PAGE, PRESENT } from './entry-bits.ts';
import { FrameError } from './errors.ts';
import { PageTableFlags } from './flags.ts';
import { PhysFrame } from './frame.ts';
import { Size4KiB } from './page-size.ts';
import { PageTableIndex } from './table-index.ts';

export type { TableMemory } from '../memory/table-memory.ts';

/** Entries in a table. */
const ENTRIES = 512;

/** The entries of a table, or the one entry, that lies in no memory. */
class OwnEntries implements TableMemory {
  high = 0;
  private readonly halves: Int32Array;

  constructor(entries: number) {
    this.halves = new Int32Array(2 * entries);
  }

  readEntry(_page: number, index: number): number {
    this.high = this.halves[2 * index + 1];
    return this.halves[2 * index];
  }

  writeEntry(_page: number, index: number, low: number, high: number): void {
    this.halves[2 * index] = low;
    this.halves[2 * index + 1] = high;
  }
}

/** An entry that can only be read. It shows what the table holds at the moment it is asked. */
export class ReadonlyPageTableEntry {
  protected readonly memory: TableMemory;
  protected readonly page: number;
  protected readonly index: number;

  protected constructor(memory: TableMemory, page: number, index: number) {
    this.memory = memory;
    this.page = page;
    this.index = index;
  }

  /** @internal An entry of a table. */
  static of(memory: TableMemory, page: number, index: number): ReadonlyPageTableEntry {
    return new ReadonlyPageTableEntry(memory, page, index);
  }

  /** The 64 bits. */
  bits(): bigint {
    return joinHalves(this.memory.readEntry(this.page, this.index), this.memory.high);
  }

  /** Whether all 64 bits are 0; an entry that is not present may well be used. */
  isUnused(): boolean {
    return (this.memory.readEntry(this.page, this.index) | this.memory.high) === 0;
  }

  /** Every bit outside the address. */
  flags(): PageTableFlags {
    const low = this.memory.readEntry(this.page, this.index);
    return PageTableFlags.fromHalves(this.memory.high & ~ADDRESS_HIGH, low & ~ADDRESS_LOW);
  }

  /** Bits 51:12, as an address; may be 0. */
  addr(): PhysAddr {
    const low = this.memory.readEntry(this.page, this.index);
    return new PhysAddr(this.memory.high & ADDRESS_HIGH, low & ADDRESS_LOW);
  }

  /**
   * The frame to which a present entry points that does not map a huge page.
   *
   * @throws {@link FrameError} `FrameNotPresent`, or else `HugeFrame`
   */
  frame(): PhysFrame {
    const low = this.memory.readEntry(this.page, this.index);
    const high = this.memory.high;
    if ((low & PRESENT) === 0) throw new FrameError('FrameNotPresent', joinHalves(low, high));
    if ((low & HUGE_PAGE) !== 0) throw new FrameError('HugeFrame', joinHalves(low, high));
    return new PhysFrame(high & ADDRESS_HIGH, low & ADDRESS_LOW, Size4KiB);
  }

  /** A copy that belongs to no table. */
  clone(): PageTableEntry {
    const copy = new PageTableEntry();
    copy.store(this.memory.readEntry(this.page, this.index), this.memory.high);
    return copy;
  }

  /** The original's debug text. */
  toString(): string {
    return `PageTableEntry { addr: ${this.addr()}, flags: ${this.flags()} }`;
  }

  /** @internal */
  [INSPECT](): string {
    return this.toString();
  }
}

/** An entry of a table, or one of its own. It shows what the table holds at the moment it is asked. */
export class PageTableEntry extends ReadonlyPageTableEntry {
  /** An unused entry that belongs to no table. */
  constructor();
  /** @internal An entry of a table. */
  constructor(memory: TableMemory, page: number, index: number);
  constructor(memory: TableMemory = new OwnEntries(1), page = 0, index = 0) {
    super(memory, page, index);
  }

  /** Makes all 64 bits 0. */
  setUnused(): void {
    this.store(0, 0);
  }

  /**
   * Sets address and flags. Flags are not masked: bits of them that belong to the address end up in it.
   *
   * @throws {@link PageTableError} `MISALIGNED` unless the address is a multiple of 4096
   */
  setAddr(address: PhysAddr, flags: PageTableFlags): void {
    if ((address.low & (FRAME_BYTES - 1)) !== 0) {
      throw new PageTableError('MISALIGNED', `setAddr: ${address}; expected a multiple of ${FRAME_BYTES}`);
    }
    this.store(address.low | flags.low, address.high | flags.high);
  }

  /**
   * Points the entry to a 4-KiB frame or to a table.
   *
   * @throws {@link PageTableError} `BAD_ARGUMENT` if the flags contain `HUGE_PAGE`
   */
  setFrame(frame: PhysFrame, flags: PageTableFlags): void {
    if (frame.pageSize !== Size4KiB) {
      throw wrongKind('setFrame', frame, 'a frame of 4 KiB');
    }
    if ((flags.low & HUGE_PAGE) !== 0) {
      throw wrongKind('setFrame', flags, 'flags without HUGE_PAGE');
    }
    this.setAddr(frame.startAddress(), flags);
  }

  /** Replaces all flags; the address stays. */
  setFlags(flags: PageTableFlags): void {
    const low = this.memory.readEntry(this.page, this.index) & ADDRESS_LOW;
    this.store(low | flags.low, (this.memory.high & ADDRESS_HIGH) | flags.high);
  }

  /** @internal */
  store(low: number, high: number): void {
    this.memory.writeEntry(this.page, this.index, low, high);
  }
}

/** A table that can only be read: 512 entries. */
export class ReadonlyPageTable {
  /** @internal Where the table lies. */
  readonly memory: TableMemory;
  /** @internal Its address in {@link memory} divided by 4096. */
  readonly page: number;

  protected constructor(memory: TableMemory, page: number) {
    this.memory = memory;
    this.page = page;
  }

  /** @internal A view of the same table through which it cannot be changed. */
  static of(table: PageTable): ReadonlyPageTable {
    return new ReadonlyPageTable(table.memory, table.page);
  }

  /**
   * An entry.
   *
   * @param index - in `[0, 512)`
   * @throws {@link PageTableError} `OUT_OF_RANGE`
   */
  get(index: PageTableIndex | number): ReadonlyPageTableEntry {
    return ReadonlyPageTableEntry.of(this.memory, this.page, indexOf(index));
  }

  /** All entries, from 0 to 511. */
  *iter(): IterableIterator<ReadonlyPageTableEntry> {
    for (let index = 0; index < ENTRIES; index += 1) yield this.get(index);
  }

  /** Whether all entries are unused. */
  isEmpty(): boolean {
    return isTableEmpty(this.memory, this.page);
  }

  /** A copy of all entries that lies in no memory. */
  clone(): PageTable {
    const copy = new PageTable();
    for (let index = 0; index < ENTRIES; index += 1) {
      copy.memory.writeEntry(0, index, this.memory.readEntry(this.page, index), this.memory.high);
    }
    return copy;
  }

  /** Kind and place. */
  toString(): string {
    return `PageTable at ${hex(addressOf(this.page))}`;
  }

  /** @internal */
  [INSPECT](): string {
    return this.toString();
  }
}

/** A table: 512 entries of 64 bits, in a memory or of its own. */
export class PageTable extends ReadonlyPageTable {
  /** An empty table that lies in no memory. */
  constructor();
  /** @internal A table at a page of a memory. */
  constructor(memory: TableMemory, page: number);
  constructor(memory: TableMemory = new OwnEntries(ENTRIES), page = 0) {
    super(memory, page);
  }

  /**
   * The table at an address of a memory.
   *
   * @param memory - physical memory, or whatever else holds tables
   * @param address - byte address in it, a multiple of 4096
   * @throws {@link PageTableError} `MISALIGNED`; `NOT_IN_MEMORY` if nothing is there
   */
  static at(memory: TableMemory, address: bigint): PageTable {
    if (typeof address !== 'bigint') throw wrongKind('PageTable.at', address, 'an address as a bigint');
    if (typeof memory.readEntry !== 'function') {
      throw wrongKind(
        'PageTable.at',
        memory,
        'a memory with readEntry and writeEntry, such as a PhysicalMemory',
      );
    }
    const page = pageOf(address);
    if (address % BigInt(FRAME_BYTES) !== 0n) {
      throw new PageTableError(
        'MISALIGNED',
        `PageTable: address ${hex(address)} is not a multiple of ${FRAME_BYTES}`,
        { address },
      );
    }
    memory.readEntry(page, 0);
    return new PageTable(memory, page);
  }

  override get(index: PageTableIndex | number): PageTableEntry {
    return new PageTableEntry(this.memory, this.page, indexOf(index));
  }

  /**
   * Copies an entry, address and flags, as `table[index] = entry` does in the original.
   *
   * @param index - in `[0, 512)`
   * @throws {@link PageTableError} `OUT_OF_RANGE`
   */
  set(index: PageTableIndex | number, entry: ReadonlyPageTableEntry): void {
    const bits = entry.bits();
    this.memory.writeEntry(this.page, indexOf(index), lowHalf(bits), highHalf(bits));
  }

  /** All entries, from 0 to 511. */
  *iterMut(): IterableIterator<PageTableEntry> {
    for (let index = 0; index < ENTRIES; index += 1) yield this.get(index);
  }

  /** Makes all entries unused. */
  zero(): void {
    zeroTable(this.memory, this.page);
  }
}

/** Refuses what is no table that may be changed. */
export function checkTable(operation: string, table: PageTable): void {
  if (!(table instanceof PageTable)) throw wrongKind(operation, table, 'a PageTable');
}

/** Makes all entries of a table unused. */
export function zeroTable(memory: TableMemory, page: number): void {
  if (memory.clearFrame !== undefined) memory.clearFrame(page);
  else for (let index = 0; index < ENTRIES; index += 1) memory.writeEntry(page, index, 0, 0);
}

/** Whether all entries of a table are unused. */
export function isTableEmpty(memory: TableMemory, page: number): boolean {
  if (memory.isClear !== undefined) return memory.isClear(page);
  for (let index = 0; index < ENTRIES; index += 1) {
    if ((memory.readEntry(page, index) | memory.high) !== 0) return false;
  }
  return true;
}

function indexOf(index: PageTableIndex | number): number {
  return index instanceof PageTableIndex ? index.value : new PageTableIndex(index).value;
}
