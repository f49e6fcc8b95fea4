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
   *   {@link PageFault}
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
    const size = page.pageSize;
    path.enter();
    try {
      const unusual = (size.leaf === 0 ? parentsLow | flags.low : parentsLow) & HUGE_PAGE;
      const frames =
        (unusual | (frame.low & 0xfff)) === 0
          ? allocator
          : this.foresee(`${operation}: ${page}`, page, frame, flags, parentsLow, allocator);
      path.aim(page.high, page.low);
      for (; path.level > size.level; path.level -= 1) {
        path.read(indexAt(page.high, page.low, path.level));
        const refused = this.pass(operation, page, parentsLow, parentsHigh, frames);
        if (refused !== undefined) throw mapRefusal(path, `${operation}: ${page}`, page, frame, refused);
      }
      path.read(indexAt(page.high, page.low, path.level));
      if ((path.low | path.high) !== 0) {
        throw mapRefusal(path, `${operation}: ${page}`, page, frame, 'PageAlreadyMapped');
      }
      // What could be wrong with the leaf was foreseen, save where a table could not be seen before it was made present.
      if ((unusual | (frame.low & 0xfff)) !== 0) checkLeaf(`${operation}: ${page}`, page, frame, flags);
      path.memory.writeEntry(
        path.page,
        path.index,
        frame.low | flags.low | size.leaf,
        frame.high | flags.high,
      );
    } finally {
      path.leave();
    }
  }

  /** Goes through the table of the entry that was read, which it makes if there is none. */
  private pass(
    operation: string,
    page: Page<PageSize>,
    parentsLow: number,
    parentsHigh: number,
    allocator: FrameAllocator<Size4KiB>,
  ): 'FrameAllocationFailed' | 'ParentEntryHugePage' | undefined {
    const { path } = this;
    const isNew = (path.low | path.high) === 0;
    if (isNew) {
      // JavaScript's other way to say "none" is taken too.
      const frame = allocator.allocateFrame() ?? undefined;
      if (frame === undefined) return 'FrameAllocationFailed';
      const call = `${operation}: ${page}`;
      checkTableFrame(call, frame);
      checkTableFlags(call, parentsLow);
      this.sink?.tableAllocated?.(frame);
      this.write(frame.low | ALWAYS | parentsLow, frame.high | parentsHigh);
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
   * made so on the way, cannot.
   *
   * @returns the allocator to go on with: it gives first the frames that were taken to see whether there are enough
   * @throws {@link PageTableError} before anything is written
   */
  private foresee(
    call: string,
    page: Page<PageSize>,
    frame: PhysFrame<PageSize>,
    flags: PageTableFlags,
    parentsLow: number,
    allocator: FrameAllocator<Size4KiB> & Partial<FrameDeallocator<Size4KiB>>,
  ): FrameAllocator<Size4KiB> {
    const missing = this.missingTables(page, parentsLow);
    this.path.rewind();
    if (missing === undefined) return allocator;
    const frames: PhysFrame[] = [];
    // Flags that no table can have are found when the first is made.
    const needed = (parentsLow & HUGE_PAGE) === 0 ? missing : Math.min(missing, 1);
    while (frames.length < needed) {
      const given = allocator.allocateFrame() ?? undefined;
      if (given === undefined) return { allocateFrame: () => frames.shift() };
      frames.push(given);
    }
    try {
      if (missing > 0) checkTableFlags(call, parentsLow);
      checkLeaf(call, page, frame, flags);
    } catch (error) {
      for (const given of frames) allocator.deallocateFrame?.(given);
      throw error;
    }
    return { allocateFrame: () => frames.shift() ?? allocator.allocateFrame() };
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
