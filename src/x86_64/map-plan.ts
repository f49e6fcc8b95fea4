import { PageTableError } from '../bits/index.ts';
import { indexAt } from './addr.ts';
import { HUGE_PAGE, PRESENT } from './entry-bits.ts';
import type { MapToError } from './errors.ts';
import type { PageTableFlags } from './flags.ts';
import type { FlushSink } from './flush.ts';
import type { PhysFrame } from './frame.ts';
import type { FrameAllocator, FrameDeallocator } from './frame-allocator.ts';
import { checkLeaf, checkTableFlags, checkTableFrame, mapRefusal } from './map-request.ts';
import type { Page } from './page.ts';
import type { PageSize, Size4KiB } from './page-size.ts';
import { type TableMemory, zeroTable } from './page-table.ts';
import type { TablePath } from './table-path.ts';

/** An entry that a call is going to write. */
class Write {
  memory: TableMemory | undefined;
  page = 0;
  index = 0;
  low = 0;
  high = 0;
  /** A new table: the frame it was given, and where that is. */
  frame: PhysFrame | undefined;
  childMemory: TableMemory | undefined;
  childPage = 0;

  /** Lets go of what belongs to the caller. */
  forget(): void {
    this.memory = undefined;
    this.frame = undefined;
    this.childMemory = undefined;
  }
}

/**
 * Maps a page in two steps: everything that can fail is found out first, then the entries are written. What the original
 * refuses leaves what it leaves there (tables made, flags added); any other error leaves memory as it was.
 */
export class MapPlan {
  private readonly path: TablePath;
  private readonly sink: FlushSink | undefined;
  /** At most three tables and the page itself. */
  private readonly writes = [new Write(), new Write(), new Write(), new Write()];
  private planned = 0;
  private written = 0;
  // What was called for which page, for messages.
  private operation = '';
  private page: Page<PageSize> | undefined;

  /** @param sink - is told of each new table */
  constructor(path: TablePath, sink: FlushSink | undefined) {
    this.path = path;
    this.sink = sink;
  }

  /**
   * Ends the call that the mapper has begun.
   *
   * @param operation - what the caller called
   * @param parentsLow - flags for tables, bits 31:0
   * @param parentsHigh - bits 63:32
   * @throws {@link MapToError}, or {@link PageTableError} where the original panics
   */
  map(
    operation: string,
    page: Page<PageSize>,
    frame: PhysFrame<PageSize>,
    flags: PageTableFlags,
    parentsLow: number,
    parentsHigh: number,
    allocator: FrameAllocator<Size4KiB>,
  ): void {
    const { path } = this;
    this.operation = operation;
    this.page = page;
    this.planned = 0;
    this.written = 0;
    try {
      let fresh = false;
      let refused: MapToError['kind'] | undefined;
      for (; path.level > page.pageSize.level; path.level -= 1) {
        this.read(page, fresh);
        fresh = (path.low | path.high) === 0;
        refused = fresh
          ? this.makeTable(parentsLow, parentsHigh, allocator)
          : this.passTable(parentsLow, parentsHigh);
        // The level stays at the entry that decided.
        if (refused !== undefined) break;
      }
      if (refused === undefined) {
        this.read(page, fresh);
        if ((path.low | path.high) !== 0) refused = 'PageAlreadyMapped';
        else this.mapLeaf(page, frame, flags);
      }
      const error = refused === undefined ? undefined : mapRefusal(path, this.call(), page, frame, refused);
      for (; this.written < this.planned; this.written += 1) commit(this.writes[this.written], this.sink);
      if (error !== undefined) throw error;
    } catch (error) {
      try {
        this.giveBack(allocator);
      } catch (second) {
        // What went wrong first is not hidden.
        if (error instanceof Error && error.cause === undefined) error.cause = second;
      }
      throw error;
    } finally {
      for (const write of this.writes) write.forget();
      this.page = undefined;
      path.leave();
    }
  }

  /** Plans a new table below an unused entry. */
  private makeTable(
    parentsLow: number,
    parentsHigh: number,
    allocator: FrameAllocator<Size4KiB>,
  ): MapToError['kind'] | undefined {
    const { path } = this;
    // JavaScript's other way to say "none" is taken too.
    const frame = allocator.allocateFrame() ?? undefined;
    if (frame === undefined) return 'FrameAllocationFailed';
    const write = this.plan(frame.low | parentsLow, frame.high | parentsHigh, frame);
    checkTableFlags(this.call(), parentsLow);
    checkTableFrame(this.call(), frame);
    if (((frame.low | parentsLow) & PRESENT) === 0) {
      throw new PageTableError(
        'BAD_ARGUMENT',
        `${this.call()}: the flags for tables lack PRESENT, which a new table of level ${path.level - 1} needs`,
      );
    }
    path.follow(write.high, write.low);
    write.childMemory = path.memory;
    write.childPage = path.page;
    // Where it must be, before anything is written.
    try {
      path.memory.readEntry(path.page, 0);
    } catch (error) {
      throw path.missing(error, `${this.call()}: the table in ${frame}, which the allocator gave,`);
    }
    return undefined;
  }

  /** Goes through a table that is there, and plans the flags that it lacks. */
  private passTable(parentsLow: number, parentsHigh: number): MapToError['kind'] | undefined {
    const { path } = this;
    const low = path.low | parentsLow;
    const high = path.high | parentsHigh;
    if (low !== path.low || high !== path.high) this.plan(low, high);
    if ((low & PRESENT) === 0) {
      throw new PageTableError(
        'CORRUPT_TABLE',
        `${this.call()}: ${path} is neither unused nor present; expected PRESENT in it or in the flags for tables`,
      );
    }
    if ((low & HUGE_PAGE) !== 0) return 'ParentEntryHugePage';
    path.follow(high, low);
    return undefined;
  }

  private mapLeaf(page: Page<PageSize>, frame: PhysFrame<PageSize>, flags: PageTableFlags): void {
    checkLeaf(this.call(), page, frame, flags);
    this.plan(frame.low | flags.low | page.pageSize.leaf, frame.high | flags.high);
  }

  /** Reads the entry of a page in the table that was reached, as it will be after the planned writes. */
  private read(page: Page<PageSize>, fresh: boolean): void {
    const { path } = this;
    const index = indexAt(page.high, page.low, path.level);
    if (fresh) {
      path.index = index;
      path.low = 0;
      path.high = 0;
      return;
    }
    path.read(index);
    // A table that contains itself is written to on the way.
    for (let i = 0; i < this.planned; i += 1) {
      const write = this.writes[i];
      if (write.memory === path.memory && write.page === path.page && write.index === path.index) {
        path.low = write.low;
        path.high = write.high;
      }
    }
  }

  /** Plans to write the entry that was read. */
  private plan(low: number, high: number, frame?: PhysFrame): Write {
    const { memory, page, index } = this.path;
    const write = this.writes[this.planned];
    write.memory = memory;
    write.page = page;
    write.index = index;
    write.low = low;
    write.high = high;
    write.frame = frame;
    write.childMemory = undefined;
    this.planned += 1;
    return write;
  }

  /** Returns the frames of tables that were planned and not linked to an allocator that takes frames. */
  private giveBack(allocator: FrameAllocator<Size4KiB>): void {
    const back = allocator as Partial<FrameDeallocator<Size4KiB>>;
    while (this.planned > this.written) {
      this.planned -= 1;
      const { frame } = this.writes[this.planned];
      if (frame !== undefined) back.deallocateFrame?.(frame);
    }
  }

  private call(): string {
    return `${this.operation}: ${this.page}`;
  }
}

/** Writes an entry; a new table is emptied first, so that nobody walks through what its frame held before. */
function commit(
  { memory, page, index, low, high, frame, childMemory, childPage }: Write,
  sink: FlushSink | undefined,
): void {
  if (frame !== undefined) sink?.tableAllocated?.(frame);
  // The original writes the entry first, which shows only if the new table is the one that holds it.
  const own = childMemory === memory && childPage === page;
  if (childMemory !== undefined && !own) zeroTable(childMemory, childPage);
  memory?.writeEntry(page, index, low, high);
  if (childMemory !== undefined && own) zeroTable(childMemory, childPage);
}
