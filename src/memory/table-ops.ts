import { addressOf, FRAME_BYTES, highHalf, lowHalf } from '../bits/index.ts';
import { wrongKind } from '../bits/wrong-kind.ts';
import type { FrameLookup, PhysicalMemory } from './physical-memory.ts';
import { DEFAULT_MAX_FRAMES, SparseMemory } from './sparse.ts';

const ENTRY_BYTES = 8;

/**
 * How page tables of 64-bit entries are read, whatever they lie in.
 *
 * `A` is an address in that store: a number, a `bigint`, a pair, an object; anything but `undefined`. What is asked for comes
 * from entries, which may hold anything: answer 0, an absent entry, where nothing is.
 */
export interface TableReadOps<A> {
  /**
   * @param addr - of a table, or any other
   * @param entryOffset - bytes to go on from there, not an index; a table's entries are at 0 to 4088
   */
  entryAddr(addr: A, entryOffset: bigint): A;
  /** The 64-bit entry at an address. */
  readEntry(addr: A): bigint;
  /** The physical byte address that stands for an address in entries. */
  toPhys(addr: A): bigint;
  /** The address of the table that an entry leads to: `fromPhys(toPhys(addr))` is `addr`. */
  fromPhys(phys: bigint): A;
  /** The top-level table. It is asked for once at the beginning of each call. */
  rootTable(): A;
}

/** How tables are made and written. */
interface TableWriteOps<A> extends TableReadOps<A> {
  /** A new table of 4096 bytes, all zero. Throws if there is none. */
  allocTable(): A;
}

/** Operations on tables that stay where they are. */
export interface FixedTableOps<A> extends TableWriteOps<A> {
  readonly tableMovability: 'MayNotMoveTable';
  /** Stores a 64-bit entry. What it returns is not looked at. */
  writeEntry(addr: A, entry: bigint): void;
}

/** Operations on tables that may move when they are written to, as those in read-only memory must. */
export interface MovableTableOps<A> extends TableWriteOps<A> {
  readonly tableMovability: 'MayMoveTable';
  /**
   * Stores a 64-bit entry.
   *
   * @returns `undefined` if it is stored in place; otherwise the base of the copy of the table in which it is: the entry that leads to
   *   the table is then written, too, and so on up
   */
  writeEntry(addr: A, entry: bigint): A | undefined;
  /** Makes a table the root: it has moved. */
  updateRoot(table: A): void;
}

/** Operations on tables: a store that page tables are built in. They must not edit the tables themselves while they are called. */
export type TableOps<A> = FixedTableOps<A> | MovableTableOps<A>;

/**
 * The tables of any store as memory, for `Walker`, `Cursor`, `explain` and `listRegions`.
 *
 * A table is read whole when it is first touched, and kept; what is written to the memory stays in it. To see later changes of
 * the store, make another. Every frame is there: what the store answers for it is what it holds.
 *
 * @param ops - operations of the store; errors that they throw pass through
 * @param maxFrames - tables that may be touched
 */
export function memoryOfTables<A>(ops: TableReadOps<A>, maxFrames = DEFAULT_MAX_FRAMES): PhysicalMemory {
  const methods = [ops?.fromPhys, ops?.entryAddr, ops?.readEntry];
  if (methods.some((method) => typeof method !== 'function')) {
    throw wrongKind('memoryOfTables', ops, 'TableReadOps');
  }
  return new TableCopies(ops, maxFrames).copies.memory;
}

class TableCopies<A> implements FrameLookup {
  readonly copies: SparseMemory;
  private readonly ops: TableReadOps<A>;

  constructor(ops: TableReadOps<A>, maxFrames: number) {
    this.ops = ops;
    this.copies = new SparseMemory(maxFrames, this);
  }

  locate(frame: number): number {
    const { ops } = this;
    const table = ops.fromPhys(addressOf(frame));
    // All are read before a frame is added: an operation that throws leaves none that is half filled.
    const entries = Array.from({ length: FRAME_BYTES / ENTRY_BYTES }, (_, index) =>
      ops.readEntry(ops.entryAddr(table, BigInt(index * ENTRY_BYTES))),
    );
    const wrong = entries.findIndex((entry) => typeof entry !== 'bigint');
    if (wrong >= 0) throw wrongKind('readEntry returned', entries[wrong], 'a bigint');
    const at = this.copies.add(frame);
    const { words } = this.copies.memory;
    for (const [index, entry] of entries.entries()) {
      words[at + 2 * index] = lowHalf(entry);
      words[at + 2 * index + 1] = highHalf(entry);
    }
    return at;
  }
}
