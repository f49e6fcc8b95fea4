import { highHalf, joinHalves, lowHalf, PageTableError } from '../bits/index.ts';
import { ABSENT, PhysicalMemory, type TableOps, type TableReadOps } from '../memory/index.ts';
import type { Architecture } from './architecture.ts';
import type { PageEntries } from './page-entries.ts';

/** Bytes from a table's base to each of its entries. */
const OFFSETS: readonly bigint[] = Array.from({ length: 512 }, (_, index) => BigInt(8 * index));

const NO_MEMORY = new PhysicalMemory(new Uint32Array(0), 0, 0);

/** The depth of the last tables; the root's is 0. */
export const LAST_DEPTH = 3;

/**
 * The tables on the way from a root down, one for each depth, in one of the two forms that a store can have. One call has one path.
 *
 * Entries are halves: what {@link read} returns are bits 31:0, signed, and bits 63:32 are then in {@link high}.
 */
export interface TablePath {
  high: number;
  /** Reads an entry of the table at a depth. */
  read(depth: number, index: number): number;
  /** The memory of which the last table entered is a part, where its entries may be read without {@link read}. */
  readonly memory: PhysicalMemory;
  /** Where that table is in the memory's words, or a negative number: then its entries are to be read with {@link read}. */
  lastPlace(): number;
  /** Goes down to the table to which an entry leads. */
  enter(depth: number, low: number, high: number): void;
  /** Makes a table, links it from an entry of the one at a depth, and goes down to it. */
  create(depth: number, index: number): void;
  /** Is told how many pages are about to be mapped. */
  expect(pages: number): void;
  /** Writes an entry. */
  write(depth: number, index: number, low: number, high: number): void;
  /** Writes entries of the last table, one after the other. */
  writeRun(index: number, count: number, entries: PageEntries): void;
  /** What identifies the table at a depth: its physical address, or its frame. */
  keyOf(depth: number): bigint | number;
}

/** A path through a user's operations. */
export class OperationPath<A> implements TablePath {
  high = 0;
  readonly memory: PhysicalMemory = NO_MEMORY;
  private readonly architecture: Architecture;
  private readonly ops: TableReadOps<A> | TableOps<A>;
  /** The tables, by depth. */
  private readonly tables: A[];
  /** The entries last touched, by depth: those that lead to the tables below. */
  private readonly entries: A[] = [];

  /** @param root - a table; the operations' own unless given */
  constructor(architecture: Architecture, ops: TableReadOps<A>, root?: { readonly table: A }) {
    this.architecture = architecture;
    this.ops = ops;
    this.tables = [root === undefined ? ops.rootTable() : root.table];
  }

  read(depth: number, index: number): number {
    const { ops } = this;
    const addr = ops.entryAddr(this.tables[depth], OFFSETS[index]);
    this.entries[depth] = addr;
    const entry = ops.readEntry(addr);
    if (typeof entry !== 'bigint') {
      throw new PageTableError('BAD_ARGUMENT', `readEntry: returned ${String(entry)}; expected a bigint`);
    }
    this.high = highHalf(entry);
    return lowHalf(entry);
  }

  lastPlace(): number {
    return ABSENT;
  }

  enter(depth: number, low: number, high: number): void {
    const { addressHigh } = this.architecture.facts;
    this.tables[depth + 1] = this.ops.fromPhys(joinHalves(low & ~0xfff, high & addressHigh));
  }

  create(depth: number, index: number): void {
    const table = this.writable().allocTable();
    const link = this.linkTo(table);
    this.write(depth, index, lowHalf(link), highHalf(link));
    this.tables[depth + 1] = table;
  }

  expect(): void {}

  write(depth: number, index: number, low: number, high: number): void {
    this.entries[depth] = this.ops.entryAddr(this.tables[depth], OFFSETS[index]);
    this.store(depth, joinHalves(low, high));
  }

  writeRun(index: number, count: number, entries: PageEntries): void {
    for (let i = index; i < index + count; i += 1) {
      this.write(LAST_DEPTH, i, entries.low | entries.flagsLow, entries.high | entries.flagsHigh);
      entries.advance();
    }
  }

  keyOf(depth: number): bigint {
    return this.ops.toPhys(this.tables[depth]);
  }

  /**
   * Stores an entry. Where its table moves, the entry that leads to it is written as well, and so on up to the root. The path itself stays as it
   * is, and so do the addresses of entries in it: what is written later in the same call goes to the table as it was before.
   */
  private store(depth: number, entry: bigint): void {
    const ops = this.writable();
    const moved = ops.writeEntry(this.entries[depth], entry);
    if (moved === undefined) return;
    if (ops.tableMovability !== 'MayMoveTable') {
      throw new PageTableError(
        'BAD_ARGUMENT',
        `writeEntry: returned ${String(moved)}; expected nothing from operations whose tableMovability is ${String(ops.tableMovability)}`,
      );
    }
    if (depth === 0) ops.updateRoot(moved);
    else this.store(depth - 1, this.linkTo(moved));
  }

  private linkTo(table: A): bigint {
    const phys = this.ops.toPhys(table);
    return joinHalves(lowHalf(phys) | this.architecture.facts.table, highHalf(phys));
  }

  private writable(): TableOps<A> {
    const { ops } = this;
    if ('writeEntry' in ops && 'allocTable' in ops) return ops;
    throw new PageTableError(
      'BAD_ARGUMENT',
      'operations without allocTable and writeEntry; expected TableOps',
    );
  }
}
