import { hex, highHalf, joinHalves, lowHalf, PageTableError } from '../bits/index.ts';
import { wrongKind } from '../bits/wrong-kind.ts';
import { ABSENT, PhysicalMemory, type TableOps, type TableReadOps } from '../memory/index.ts';
import type { Architecture } from './architecture.ts';
import type { PageEntries } from './page-entries.ts';
import { LAST_DEPTH, type TablePath, type WritablePath } from './table-path.ts';

/** Bytes from a table's base to each of its entries. */
const OFFSETS: readonly bigint[] = Array.from({ length: 512 }, (_, index) => BigInt(8 * index));

const NO_MEMORY = new PhysicalMemory(new Uint32Array(0), 0, 0);

/** A path through a user's operations. */
export class OperationPath<A> implements TablePath {
  high = 0;
  readonly memory: PhysicalMemory = NO_MEMORY;
  protected readonly architecture: Architecture;
  /** The tables, by depth. */
  protected readonly tables: A[];
  /** The entries last touched, by depth: those that lead to the tables below. */
  protected readonly entries: A[] = [];
  private readonly ops: TableReadOps<A>;

  /** @param root - where the path begins */
  constructor(architecture: Architecture, ops: TableReadOps<A>, root: A) {
    this.architecture = architecture;
    this.ops = ops;
    this.tables = [root];
  }

  read(depth: number, index: number): number {
    const { ops } = this;
    const addr = ops.entryAddr(this.tables[depth], OFFSETS[index]);
    this.entries[depth] = addr;
    const entry = ops.readEntry(addr);
    if (typeof entry !== 'bigint') throw wrongKind('readEntry returned', entry, 'a bigint');
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

  keyOf(depth: number): bigint {
    return this.ops.toPhys(this.tables[depth]);
  }
}

/** The same, to write. */
export class WritableOperationPath<A> extends OperationPath<A> implements WritablePath {
  private readonly writes: TableOps<A>;

  constructor(architecture: Architecture, ops: TableOps<A>, root: A) {
    super(architecture, ops, root);
    this.writes = ops;
  }

  expect(): void {}

  create(depth: number, index: number): void {
    const table = this.writes.allocTable();
    const link = this.linkTo('allocTable', table);
    this.write(depth, index, lowHalf(link), highHalf(link));
    this.tables[depth + 1] = table;
  }

  write(depth: number, index: number, low: number, high: number): void {
    this.entries[depth] = this.writes.entryAddr(this.tables[depth], OFFSETS[index]);
    this.store(depth, joinHalves(low, high));
  }

  writeRun(index: number, count: number, entries: PageEntries): void {
    for (let i = index; i < index + count; i += 1) {
      this.write(LAST_DEPTH, i, entries.low | entries.flagsLow, entries.high | entries.flagsHigh);
      entries.advance();
    }
  }

  /**
   * Stores an entry. Where its table moves, the entry that leads to it is written as well, and so on up to the root. The path itself stays as it
   * is, and so do the addresses of entries in it: what is written later in the same call goes to the table as it was before.
   */
  private store(depth: number, entry: bigint): void {
    const ops = this.writes;
    if (ops.tableMovability === 'MayNotMoveTable') {
      ops.writeEntry(this.entries[depth], entry);
      return;
    }
    const moved = ops.writeEntry(this.entries[depth], entry);
    if (moved === undefined) return;
    const link = this.linkTo('writeEntry', moved);
    if (depth === 0) ops.updateRoot(moved);
    else this.store(depth - 1, link);
  }

  /** The entry that leads to a table which an operation gave. */
  private linkTo(operation: string, table: A): bigint {
    if (table === undefined || table === null) throw wrongKind(`${operation} returned`, table, 'a table');
    const phys = this.writes.toPhys(table);
    if (typeof phys !== 'bigint') throw wrongKind('toPhys returned', phys, 'a bigint');
    const { PTE_ADDR_MASK, facts } = this.architecture;
    if ((phys & ~PTE_ADDR_MASK) !== 0n) throw unlinkable(operation, phys, this.architecture);
    return joinHalves(lowHalf(phys) | facts.table, highHalf(phys));
  }
}

/** The error for a table that no entry can lead to. */
export function unlinkable(operation: string, phys: bigint, architecture: Architecture): PageTableError {
  return new PageTableError(
    'OUT_OF_RANGE',
    `${operation}: table at physical address ${hex(phys)}; expected one that an entry of ${architecture} can hold: no bits beyond ${hex(architecture.PTE_ADDR_MASK)}`,
    { table: phys },
  );
}
