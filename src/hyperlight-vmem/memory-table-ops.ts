import {
  addressOf,
  FRAME_BYTES,
  FRAME_WORDS,
  hex,
  highHalf,
  joinHalves,
  lowHalf,
  offsetOf,
  PageTableError,
  pageOf,
} from '../bits/index.ts';
import { wrongKind } from '../bits/wrong-kind.ts';
import { ABSENT, type FixedTableOps, PhysicalMemory } from '../memory/index.ts';

/** What operations on a memory need to know. */
export interface MemoryTableOptions {
  /** Physical byte address of the root, a multiple of 4096. */
  readonly root: bigint;
  /**
   * Physical byte address of a new table, a multiple of 4096; its contents are cleared. Throws when there is none. Without it
   * tables can be read, and changed where they are.
   */
  readonly allocTable?: () => bigint;
  /**
   * What a write to a table outside the memory does: `'refuse'` (default) throws `NOT_IN_MEMORY`; `'ignore'` does nothing, as hyperlight's own buffer
   * does. Reads give 0 there either way.
   */
  readonly outside?: 'refuse' | 'ignore';
}

/**
 * Operations on tables in a memory: a guest's RAM, sparse memory, an overlay. Addresses are physical byte addresses. The functions of this
 * module know it, and read and write the memory by numbers, without its methods.
 */
export class MemoryTableOps implements FixedTableOps<bigint> {
  readonly tableMovability = 'MayNotMoveTable';
  readonly memory: PhysicalMemory;
  /** @internal */
  readonly ignoresOutside: boolean;
  private root: bigint;
  private readonly allocate: (() => bigint) | undefined;

  /**
   * @throws {@link PageTableError} `MISALIGNED`, `OUT_OF_RANGE` or `BAD_ARGUMENT` for a root that cannot be one; `NOT_IN_MEMORY` where there is
   *   none, unless what is outside is to be ignored
   */
  constructor(memory: PhysicalMemory, options: MemoryTableOptions) {
    if (!(memory instanceof PhysicalMemory)) {
      throw wrongKind('MemoryTableOps', memory, 'a PhysicalMemory, such as flatMemory makes');
    }
    if (typeof options !== 'object' || options === null) {
      throw wrongKind('MemoryTableOps', options, 'options with the root');
    }
    this.memory = memory;
    this.allocate = options.allocTable;
    this.ignoresOutside = options.outside === 'ignore';
    this.root = this.rootAt('MemoryTableOps', options.root);
  }

  entryAddr(addr: bigint, entryOffset: bigint): bigint {
    return addr + entryOffset;
  }

  readEntry(addr: bigint): bigint {
    const at = this.placeOf('readEntry', addr);
    if (at === ABSENT) return 0n;
    const low = this.memory.loadEntry(at);
    return joinHalves(low, this.memory.high);
  }

  writeEntry(addr: bigint, entry: bigint): void {
    const at = this.placeOf('writeEntry', addr);
    if (at !== ABSENT) this.memory.storeEntry(at, lowHalf(entry), highHalf(entry));
    else if (!this.ignoresOutside) throw outside('writeEntry', addr);
  }

  toPhys(addr: bigint): bigint {
    return addr;
  }

  fromPhys(phys: bigint): bigint {
    return phys;
  }

  rootTable(): bigint {
    return this.root;
  }

  /** Makes another table the root. Throws as the constructor does. */
  setRoot(table: bigint): void {
    this.root = this.rootAt('setRoot', table);
  }

  allocTable(): bigint {
    if (this.allocate === undefined) {
      throw new PageTableError(
        'OUT_OF_FRAMES',
        'allocTable: a table is needed, and nothing was given that makes tables',
      );
    }
    const table = tableAddress('allocTable', this.allocate());
    if (table === this.root) {
      throw new PageTableError(
        'BAD_ARGUMENT',
        `allocTable: was given the root, at ${hex(table)}, as a new table; expected a frame that nobody uses`,
        { table },
      );
    }
    if (this.memory.locate(pageOf(table)) === ABSENT) throw outside('allocTable', table);
    this.memory.clearFrame(pageOf(table));
    return table;
  }

  /** @internal Is told how many tables may be asked for next. */
  expectTables(_tables: number): void {}

  /** The address of a root, which must be in memory. */
  private rootAt(operation: string, root: bigint): bigint {
    const table = tableAddress(operation, root);
    if (!this.ignoresOutside && this.memory.locate(pageOf(table)) === ABSENT) throw outside(operation, table);
    return table;
  }

  private placeOf(operation: string, addr: bigint): number {
    if (typeof addr !== 'bigint') throw wrongKind(operation, addr, 'a bigint address');
    if ((lowHalf(addr) & 7) !== 0) {
      throw new PageTableError('MISALIGNED', `${operation}: address ${hex(addr)}; expected a multiple of 8`, {
        addr,
      });
    }
    const { memory } = this;
    memory.current();
    const at = memory.locate(pageOf(addr));
    return at === ABSENT ? ABSENT : at + (offsetOf(addr) >>> 2);
  }
}

/** The error for a table that is needed, and that no memory holds. */
export function outside(operation: string, table: bigint): PageTableError {
  return new PageTableError('NOT_IN_MEMORY', `${operation}: the table at ${hex(table)} is not in memory`, {
    table,
  });
}

/** A byte address as one of a table. */
function tableAddress(operation: string, table: bigint): bigint {
  if (typeof table !== 'bigint') throw wrongKind(operation, table, 'the bigint address of a table');
  // Refuses what is wider than 64 bits.
  pageOf(table);
  if (offsetOf(table) !== 0) {
    throw new PageTableError(
      'MISALIGNED',
      `${operation}: table at ${hex(table)}; expected a multiple of 4096`,
      { table },
    );
  }
  return table;
}

/** Tables that a buffer holds unless its maker says otherwise: 262,144, which is 1 GiB. */
const MAX_TABLES = 1 << 18;
/** Tables for which room is made at once, at most: 16 MiB. */
const MAX_EXPECTED = 4096;

/**
 * Page tables built in a buffer that grows with them, to be put at a physical address afterwards. It begins with a root; tables lie in the
 * order in which they were made.
 */
export class GuestPageTableBuffer extends MemoryTableOps {
  private readonly physBase: bigint;
  private readonly maxTables: number;
  private expected = 0;

  /**
   * @param physBase - physical byte address at which the buffer will lie, a multiple of 4096
   * @param options - `maxTables`: tables that it may hold, with the root; by default 262,144. `outside`: see {@link MemoryTableOptions}
   */
  constructor(
    physBase: bigint,
    options: { readonly maxTables?: number; readonly outside?: 'refuse' | 'ignore' } = {},
  ) {
    const first = pageOf(tableAddress('GuestPageTableBuffer', physBase));
    if (typeof options !== 'object' || options === null) {
      throw wrongKind('GuestPageTableBuffer', options, 'options, or none');
    }
    const { maxTables = MAX_TABLES } = options;
    if (!Number.isInteger(maxTables) || maxTables < 1) {
      throw wrongKind('GuestPageTableBuffer: maxTables', maxTables, 'a whole number from 1');
    }
    super(new PhysicalMemory(new Uint32Array(16 * FRAME_WORDS), first, 1), { ...options, root: physBase });
    this.physBase = physBase;
    this.maxTables = maxTables;
  }

  /** Tables in it. */
  get size(): number {
    return this.memory.count;
  }

  /** The root with which it began. */
  initialRoot(): bigint {
    return this.physBase;
  }

  /** @throws {@link PageTableError} `OUT_OF_FRAMES` at its limit */
  override allocTable(): bigint {
    const { memory } = this;
    const { count } = memory;
    if (count >= this.maxTables) {
      throw new PageTableError(
        'OUT_OF_FRAMES',
        `allocTable: the buffer holds ${count} tables already, its limit`,
        {
          tables: count,
        },
      );
    }
    if (memory.words.length <= count * FRAME_WORDS) {
      const wanted = Math.max(2 * count, count + this.expected);
      const words = new Uint32Array(Math.min(wanted, this.maxTables) * FRAME_WORDS);
      words.set(memory.words);
      memory.words = words;
    }
    memory.count = count + 1;
    return addressOf(memory.first + count);
  }

  /** @internal */
  override expectTables(tables: number): void {
    this.expected = Math.min(tables, MAX_EXPECTED);
  }

  /** The tables as bytes, in the order in which they were made: a copy. */
  intoBytes(): Uint8Array {
    const { words, count } = this.memory;
    return new Uint8Array(words.buffer.slice(0, count * FRAME_BYTES));
  }
}
