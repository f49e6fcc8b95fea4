import { PageTableError } from '../bits/index.ts';
import { PageTableFlags } from './flags.ts';
import { PhysFrame } from './frame.ts';
import type { FrameDeallocator } from './frame-allocator.ts';
import { Size4KiB } from './page-size.ts';
import { isTableEmpty, type TableMemory } from './page-table.ts';
import type { TablePath } from './table-path.ts';

const PRESENT = PageTableFlags.PRESENT.low;
const HUGE_PAGE = PageTableFlags.HUGE_PAGE.low;
const ADDRESS_LOW = ~PageTableFlags.all().low;
const ADDRESS_HIGH = ~PageTableFlags.all().high;
/** Pages in each half of the address space. */
const HALF_PAGES = 2 ** 35;
/** What must be added to a page number that runs out of the lower half. */
const HOLE_PAGES = 2 ** 52 - 2 * HALF_PAGES;

/** One clean-up. */
export class TableCleaner {
  private readonly path: TablePath;
  private readonly deallocator: FrameDeallocator<Size4KiB>;
  private freed = 0;

  constructor(path: TablePath, deallocator: FrameDeallocator<Size4KiB>) {
    this.path = path;
    this.deallocator = deallocator;
  }

  /**
   * Unlinks and frees the empty tables on the way to a range of pages, lower levels first.
   *
   * @param first - page number
   * @param last - page number, inclusive
   * @throws {@link PageTableError} if a table cannot be reached; those freed before stay freed, `detail.freed` counts them
   */
  clean(first: number, last: number): void {
    const { path } = this;
    path.enter();
    try {
      this.visit(path.memory, path.page, 4, first, last);
    } finally {
      path.leave();
    }
  }

  /** Frees the empty tables below one, between two pages, and says whether it is empty itself. */
  private visit(memory: TableMemory, page: number, level: number, first: number, last: number): boolean {
    if (first > last) return false;
    const span = 512 ** (level - 1);
    const base = level === 4 ? 0 : first - (first % (512 * span));
    const end = Math.floor(last / span) % 512;
    for (let index = Math.floor(first / span) % 512; level > 1 && index <= end; index += 1) {
      const low = memory.readEntry(page, index);
      const high = memory.high;
      if ((low & (PRESENT | HUGE_PAGE)) !== PRESENT) continue;
      const lower = base + index * span;
      const start = base < HALF_PAGES && lower >= HALF_PAGES ? lower + HOLE_PAGES : lower;
      this.path.memory = memory;
      this.follow(high, low);
      const child = this.path;
      if (
        this.visit(
          child.memory,
          child.page,
          level - 1,
          Math.max(first, start),
          Math.min(last, start + span - 1),
        )
      ) {
        memory.writeEntry(page, index, 0, 0);
        this.freed += 1;
        this.deallocator.deallocateFrame(new PhysFrame(high & ADDRESS_HIGH, low & ADDRESS_LOW, Size4KiB));
      }
    }
    return isTableEmpty(memory, page);
  }

  /** Goes to a table, which must be there. */
  private follow(high: number, low: number): void {
    const { path, freed } = this;
    // An error of a mapping of the user's passes through unchanged.
    if (!path.ownMapping) path.follow(high, low);
    try {
      if (path.ownMapping) path.follow(high, low);
      path.memory.readEntry(path.page, 0);
    } catch (error) {
      if (!(error instanceof PageTableError)) throw error;
      const message = `cleanUp: ${error.message}; ${freed} tables were freed before`;
      throw new PageTableError(error.code, message, { ...error.detail, freed }, { cause: error });
    }
  }
}
