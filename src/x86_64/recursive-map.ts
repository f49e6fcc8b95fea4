import { indexAt } from './addr.ts';
import { HUGE_PAGE, PRESENT } from './entry-bits.ts';
import { PageTableFlags } from './flags.ts';
import type { FlushSink } from './flush.ts';
import type { PhysFrame } from './frame.ts';
import type { FrameAllocator, FrameDeallocator } from './frame-allocator.ts';
import { checkLeaf, checkTableFlags, checkTableFrame, mapRefusal } from './map-request.ts';
import type { Page } from './page.ts';
import type { PageSize, Size4KiB } from './page-size.ts';
import { zeroTable } from './page-table.ts';
import type { RecursivePath } from './recursive-path.ts';

/** What every new table gets: without these it would not appear in the window, or could not be written there. */
const ALWAYS = PRESENT | PageTableFlags.WRITABLE.low;

/**
 * Maps pages through a recursive window. A new table can be seen, and emptied, only once it is linked, so each step is
 * written before the next is looked at.
 */
export class RecursiveMap {
  private readonly path: RecursivePath;
  private readonly sink: FlushSink | undefined;
  /** Frames that were taken from the allocator and are not linked yet. */
  private readonly taken: PhysFrame[] = [];
  private isExhausted = false;

  /** @param sink - is told of each new table */
  constructor(path: RecursivePath, sink: FlushSink | undefined) {
    this.path = path;
    this.sink = sink;
  }

  /**
   * Maps a page.
   *
   * @param operation - what the caller called
   * @param parentsLow - flags for tables, bits 31:0
   * @param parentsHigh - bits 63:32
   * @throws {@link MapToError}; {@link PageTableError} where the original panics, before anything is written;
   *   {@link ProcessorFault}
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
    path.enter();
    this.isExhausted = false;
    try {
      this.mapInCall(operation, page, frame, flags, parentsLow, parentsHigh, allocator);
    } catch (error) {
      try {
        this.giveBack(allocator);
      } catch (second) {
        // What went wrong first is not hidden.
        if (error instanceof Error && error.cause === undefined) error.cause = second;
      }
      throw error;
    } finally {
      this.taken.length = 0;
      path.leave();
    }
  }

  /** {@link map}, in a call of the path that has begun. */
  private mapInCall(
    operation: string,
    page: Page<PageSize>,
    frame: PhysFrame<PageSize>,
    flags: PageTableFlags,
    parentsLow: number,
    parentsHigh: number,
    allocator: FrameAllocator<Size4KiB>,
  ): void {
    const { path } = this;
    const size = page.pageSize;
    this.foresee(`${operation}: ${page}`, page, frame, flags, parentsLow, allocator);
    path.aim(page.high, page.low);
    for (; path.level > size.level; path.level -= 1) {
      path.read(indexAt(page.high, page.low, path.level));
      const refused = this.pass(operation, page, parentsLow, parentsHigh, allocator);
      if (refused !== undefined) throw mapRefusal(path, `${operation}: ${page}`, page, frame, refused);
    }
    path.read(indexAt(page.high, page.low, path.level));
    if ((path.low | path.high) !== 0) {
      throw mapRefusal(path, `${operation}: ${page}`, page, frame, 'PageAlreadyMapped');
    }
    // Foreseen already, save where a table could not be seen before it was made present.
    checkLeaf(`${operation}: ${page}`, page, frame, flags);
    this.write(frame.low | flags.low | size.leaf, frame.high | flags.high);
  }

  /** Goes through the table of the entry that was read, which it makes if there is none. */
  private pass(
    operation: string,
    page: Page<PageSize>,
    parentsLow: number,
    parentsHigh: number,
    allocator: FrameAllocator<Size4KiB>,
  ): 'FrameAllocationFailed' | 'ParentEntryHugePage' | undefined {
    const { path, taken } = this;
    const isNew = (path.low | path.high) === 0;
    if (isNew) {
      const call = `${operation}: ${page}`;
      if (taken.length === 0 && !this.take(call, allocator)) return 'FrameAllocationFailed';
      const [frame] = taken;
      checkTableFlags(call, parentsLow);
      this.sink?.tableAllocated?.(frame);
      this.write(frame.low | ALWAYS | parentsLow, frame.high | parentsHigh);
      taken.shift();
    } else {
      const low = path.low | parentsLow;
      const high = path.high | parentsHigh;
      if (low !== path.low || high !== path.high) this.write(low, high);
    }
    if ((path.low & HUGE_PAGE) !== 0) return 'ParentEntryHugePage';
    path.follow();
    if (isNew) this.empty();
    return undefined;
  }

  /** Takes a frame for a table from the allocator, unless it has none left. */
  private take(call: string, allocator: FrameAllocator<Size4KiB>): boolean {
    // A call that the allocator refused stays refused.
    if (this.isExhausted) return false;
    // JavaScript's other way to say "none" is taken too.
    const frame = allocator.allocateFrame() ?? undefined;
    this.isExhausted = frame === undefined;
    if (frame === undefined) return false;
    this.taken.push(frame);
    checkTableFrame(call, frame);
    return true;
  }

  /** Returns the frames that were taken and not linked, last first, to an allocator that takes frames. */
  private giveBack(allocator: FrameAllocator<Size4KiB> & Partial<FrameDeallocator<Size4KiB>>): void {
    for (let frame = this.taken.pop(); frame !== undefined; frame = this.taken.pop()) {
      allocator.deallocateFrame?.(frame);
    }
  }

  /** Replaces the entry that was read. */
  private write(low: number, high: number): void {
    const { path } = this;
    path.memory.writeEntry(path.page, path.index, low, high);
    path.low = low;
    path.high = high;
  }

  /** Empties a new table, which can be seen only now. */
  private empty(): void {
    const { path } = this;
    try {
      zeroTable(path.memory, path.page);
    } catch (error) {
      throw path.missing(error, `the new table to which ${path} points`);
    }
  }

  /**
   * Looks ahead for what the original would panic at, as far as tables can be seen: one that is not present, but will be
   * made so on the way, cannot. The frames for new tables are taken meanwhile, to see whether there are enough.
   *
   * @throws {@link PageTableError} before anything is written
   */
  private foresee(
    call: string,
    page: Page<PageSize>,
    frame: PhysFrame<PageSize>,
    flags: PageTableFlags,
    parentsLow: number,
    allocator: FrameAllocator<Size4KiB>,
  ): void {
    const missing = this.missingTables(page, parentsLow);
    this.path.rewind();
    if (missing === undefined) return;
    // Flags that no table can have are found when the first is made.
    const needed = (parentsLow & HUGE_PAGE) === 0 ? missing : Math.min(missing, 1);
    while (this.taken.length < needed) if (!this.take(call, allocator)) return;
    if (missing > 0) checkTableFlags(call, parentsLow);
    checkLeaf(call, page, frame, flags);
  }

  /** How many tables must be made for a page; `undefined` if the call will be refused before, or that cannot be seen. */
  private missingTables(page: Page<PageSize>, parentsLow: number): number | undefined {
    const { path } = this;
    const { level } = page.pageSize;
    path.aim(page.high, page.low);
    for (; ; path.level -= 1) {
      path.read(indexAt(page.high, page.low, path.level));
      if ((path.low | path.high) === 0) return path.level - level;
      const leads = ((path.low | parentsLow) & HUGE_PAGE) === 0 && (path.low & PRESENT) !== 0;
      if (path.level === level || !leads) return undefined;
      path.follow();
    }
  }
}
