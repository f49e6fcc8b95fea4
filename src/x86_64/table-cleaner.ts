import { PageTableError } from '../bits/index.ts';
import { ProcessorFault } from '../cpu/index.ts';
import { HOLE, highOfUnit, LOWER_END } from './block.ts';
import { ADDRESS_HIGH, ADDRESS_LOW, HUGE_PAGE, PRESENT } from './entry-bits.ts';
import type { FlushSink } from './flush.ts';
import { PhysFrame } from './frame.ts';
import type { FrameDeallocator } from './frame-allocator.ts';
import { Size4KiB } from './page-size.ts';
import { isTableEmpty, type TableMemory } from './page-table.ts';
import type { TablePath } from './table-path.ts';

/** One clean-up. */
export class TableCleaner {
  private readonly path: TablePath;
  private readonly deallocator: FrameDeallocator<Size4KiB>;
  private readonly sink: FlushSink | undefined;
  private freed = 0;

  /** @param sink - is told of each table before the deallocator is */
  constructor(path: TablePath, deallocator: FrameDeallocator<Size4KiB>, sink: FlushSink | undefined) {
    this.path = path;
    this.deallocator = deallocator;
    this.sink = sink;
  }

  /**
   * Ends the call that the mapper has begun. Unlinks and frees the empty tables on the way to a range of pages, lower levels first.
   *
   * @param first - page number
   * @param last - page number, inclusive
   * @throws {@link PageTableError} if a table cannot be reached; those freed before stay freed, `detail.freed` counts them
   */
  clean(first: number, last: number): void {
    const { path } = this;
    try {
      this.visit(path.memory, path.page, 4, first, last);
    } finally {
      path.leave();
    }
  }

  /** Frees the empty tables below one, between two pages, and says whether it is empty itself. */
  private visit(memory: TableMemory, page: number, level: number, first: number, last: number): boolean {
    if (first > last) return false;
    if (level > 1) this.visitChildren(memory, page, level, first, last);
    return isTableEmpty(memory, page);
  }

  private visitChildren(memory: TableMemory, page: number, level: number, first: number, last: number): void {
    const { path } = this;
    const span = 512 ** (level - 1);
    const base = level === 4 ? 0 : first - (first % (512 * span));
    const end = Math.floor(last / span) % 512;
    for (let index = Math.floor(first / span) % 512; index <= end; index += 1) {
      if (level === 4 && index === path.skipped) continue;
      try {
        path.at(memory, page, level, index);
      } catch (error) {
        throw this.counted(error, 'a table');
      }
      const { low, high } = path;
      if ((low & (PRESENT | HUGE_PAGE)) !== PRESENT) continue;
      const lower = base + index * span;
      const start = base < LOWER_END && lower >= LOWER_END ? lower + HOLE : lower;
      path.aim(highOfUnit(start), start << 12);
      this.follow(high, low);
      const [from, to] = [Math.max(first, start), Math.min(last, start + span - 1)];
      if (this.visit(path.memory, path.page, level - 1, from, to)) {
        this.unlink(memory, page, index);
        this.freed += 1;
        const frame = new PhysFrame(high & ADDRESS_HIGH, low & ADDRESS_LOW, Size4KiB);
        this.sink?.tableFreed?.(frame);
        this.deallocator.deallocateFrame(frame);
      }
    }
  }

  /** Goes to a table, which must be there. */
  private follow(high: number, low: number): void {
    const { path } = this;
    try {
      path.follow(high, low);
      path.memory.readEntry(path.page, 0);
    } catch (error) {
      throw this.counted(error, `the table to which ${path} points`);
    }
  }

  private unlink(memory: TableMemory, page: number, index: number): void {
    try {
      memory.writeEntry(page, index, 0, 0);
    } catch (error) {
      throw this.counted(error, `the table with the entry ${index} of an empty table`);
    }
  }

  /** An error with how far the clean-up came; one of a mapping of the user's passes through unchanged. */
  private counted(error: unknown, table: string): unknown {
    const { path, freed } = this;
    if (!path.isOwn || !(error instanceof PageTableError)) return error;
    const before = `cleanUp: ${freed} tables were freed before; `;
    const options = { cause: error, detail: { freed } };
    if (error instanceof ProcessorFault) {
      return new ProcessorFault(error.fault, `${before}${table} cannot be reached: `, options);
    }
    const { code, message, detail } = path.missing(error, table) as PageTableError;
    return new PageTableError(code, `${before}${message}`, { ...detail, freed }, { cause: error });
  }
}
