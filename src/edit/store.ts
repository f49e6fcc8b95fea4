import { addressOf, hex, joinHalves, PageTableError, pageOf } from '../bits/index.ts';
import { type EntryEncoder, isPresent, leadsToTable, tableFrame } from '../format/index.ts';
import { ABSENT, memoryOfTables, type PhysicalMemory, type TableOps } from '../memory/index.ts';
import type { Described } from './attributes.ts';
import type { EditedTable } from './change.ts';

/** Gives and takes the frames of tables. */
export interface FrameAllocator {
  /** A 4-KiB frame that nobody uses, its contents unknown; `undefined` if there is none left. */
  allocate(): number | undefined;
  /** Takes back a frame that nobody uses any more. */
  free(frame: number): void;
}

/** Where tables lie, how they are written, and where new ones come from. */
export interface TableStore {
  /**
   * Begins an edit, or a question.
   *
   * @returns what is read from now on; what is written is seen there
   */
  begin(): PhysicalMemory;
  /** Whether entries may be written straight to the memory's words, many at a time. */
  readonly isPlain: boolean;
  /** @returns the frame of a new table, or `undefined` if there is none left */
  allocate(): number | undefined;
  free(frame: number): void;
  /** Fills a new table with zeros. */
  clear(frame: number): void;
  /** Writes one entry of a table. */
  write(table: EditedTable, index: number, low: number, high: number): void;
}

/**
 * Takes frames from a store: as many as asked for, or none.
 *
 * @param operation - what they are for, for the message
 * @throws {@link PageTableError} `OUT_OF_FRAMES`; what the store throws
 */
export function takeFrames(
  operation: Described,
  store: Pick<TableStore, 'allocate' | 'free'>,
  count: number,
): number[] {
  const frames: number[] = [];
  try {
    while (frames.length < count) {
      const frame = store.allocate();
      if (frame === undefined) {
        throw new PageTableError(
          'OUT_OF_FRAMES',
          `${operation}: ${count} frames are needed for tables, and there are ${frames.length}; nothing was changed`,
          { needed: count, found: frames.length },
        );
      }
      frames.push(frame);
    }
    return frames;
  } catch (error) {
    giveBack(frames, store);
    throw error;
  }
}

/** Gives frames back, the last one first. */
export function giveBack(frames: readonly number[], store: Pick<TableStore, 'free'>): void {
  for (let i = frames.length - 1; i >= 0; i -= 1) store.free(frames[i]);
}

/** Tables in physical memory. */
export class MemoryStore implements TableStore {
  private readonly memory: PhysicalMemory;
  private readonly allocator: FrameAllocator;
  private readonly entryShift: number;
  private readonly frameEnd: number;
  /** Words before the root in its frame. */
  private readonly rootWord: number;

  constructor(memory: PhysicalMemory, allocator: FrameAllocator, encoder: EntryEncoder, rootWord = 0) {
    this.memory = memory;
    this.allocator = allocator;
    this.entryShift = encoder.format.entryShift;
    this.frameEnd = encoder.tableFrameEnd;
    this.rootWord = rootWord;
  }

  get isPlain(): boolean {
    return !this.memory.shared;
  }

  begin(): PhysicalMemory {
    return this.memory;
  }

  /** @throws {@link PageTableError} `INVALID_FRAME` if the allocator gives what is no frame of the memory */
  allocate(): number | undefined {
    const frame = this.allocator.allocate();
    if (frame === undefined) return undefined;
    const isFrame = Number.isInteger(frame) && frame >= 0 && frame < this.frameEnd;
    if (isFrame && this.memory.locate(frame) !== ABSENT) return frame;
    throw new PageTableError(
      'INVALID_FRAME',
      `allocator: it gave frame ${typeof frame === 'number' ? hex(frame) : String(frame)}; expected the number of a frame in ` +
        `memory below ${hex(this.frameEnd)}, to which an entry can lead`,
    );
  }

  free(frame: number): void {
    this.allocator.free(frame);
  }

  clear(frame: number): void {
    this.memory.clearFrame(frame);
  }

  write(table: EditedTable, index: number, low: number, high: number): void {
    const { memory } = this;
    memory.current();
    const at =
      memory.locate(table.frame) + (table.depth === 0 ? this.rootWord : 0) + (index << this.entryShift);
    if (this.entryShift === 1) memory.storeEntry(at, low, high);
    else if (memory.shared) Atomics.store(memory.words, at, low);
    else memory.words[at] = low;
  }
}

/**
 * Tables in a store of the user's, of 64-bit entries.
 */
export class OpsStore<A> implements TableStore {
  readonly isPlain = false;
  private memory: PhysicalMemory;
  private readonly ops: TableOps<A>;
  private readonly encoder: EntryEncoder;
  private readonly freeTable: ((table: A) => void) | undefined;
  /** Told of a table that has become the root. */
  private readonly moved: (frame: number) => void;

  /**
   * @param freeTable - takes a table back; without it, those that are not needed any more are left where they are
   * @param moved - told the frame of the root, when it has moved
   */
  constructor(
    ops: TableOps<A>,
    encoder: EntryEncoder,
    freeTable: ((table: A) => void) | undefined,
    moved: (frame: number) => void,
  ) {
    this.ops = ops;
    this.memory = memoryOfTables(ops);
    this.encoder = encoder;
    this.freeTable = freeTable;
    this.moved = moved;
  }

  /** Tables are read afresh: the store may have changed. */
  begin(): PhysicalMemory {
    this.ops.rootTable();
    this.memory = memoryOfTables(this.ops);
    return this.memory;
  }

  allocate(): number {
    const frame = pageOf(this.ops.toPhys(this.ops.allocTable()));
    if (frame < this.encoder.tableFrameEnd) return frame;
    throw new PageTableError(
      'INVALID_FRAME',
      `allocTable: it gave a table at ${hex(addressOf(frame))}; expected one to which an entry can lead, below ` +
        hex(BigInt(this.encoder.tableFrameEnd) << 12n),
    );
  }

  free(frame: number): void {
    this.freeTable?.(this.ops.fromPhys(addressOf(frame)));
  }

  /** New tables are zero already. */
  clear(): void {}

  write(table: EditedTable, index: number, low: number, high: number): void {
    const { ops, memory } = this;
    const entry = joinHalves(low, high);
    const place = ops.entryAddr(ops.fromPhys(addressOf(table.frame)), BigInt(index * 8));
    if (ops.tableMovability === 'MayNotMoveTable') {
      ops.writeEntry(place, entry);
    } else {
      const to = ops.writeEntry(place, entry);
      if (to !== undefined) this.move(table, pageOf(ops.toPhys(to)));
    }
    memory.writeEntry(table.frame, index, low, high);
  }

  /** A table has moved: what leads to it leads to where it is now. */
  private move(table: EditedTable, frame: number): void {
    const { memory, ops, encoder } = this;
    const before = table.frame;
    // Its entries are read from the store when it is next looked at.
    table.frame = frame;
    const { parent } = table;
    if (parent === undefined) {
      if (ops.tableMovability === 'MayMoveTable') ops.updateRoot(ops.fromPhys(addressOf(frame)));
      this.moved(frame);
      return;
    }
    const low = memory.readEntry(parent.frame, table.index);
    const { high } = memory;
    const { facts } = encoder.format;
    // One that is new may have none yet that leads to it.
    const isLedTo =
      isPresent(facts, parent.depth, low) &&
      leadsToTable(facts, parent.depth, low) &&
      tableFrame(facts, parent.depth, low, high) === before;
    if (!isLedTo) return;
    encoder.pointerBits(parent.depth, low, high);
    encoder.pointer(frame, encoder.low, encoder.high);
    this.write(parent, table.index, encoder.low, encoder.high);
  }
}
