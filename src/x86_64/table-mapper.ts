import { INSPECT } from '../bits/inspect.ts';
import { wrongKind } from '../bits/wrong-kind.ts';
import { isCanonical, type PhysAddr, VirtAddr, VirtAddrNotValid } from './addr.ts';
import * as bits from './entry-bits.ts';
import { PageTableFlags } from './flags.ts';
import { type FlushSink, MapperFlush, MapperFlushAll } from './flush.ts';
import { PhysFrame } from './frame.ts';
import type { FrameAllocator, FrameDeallocator } from './frame-allocator.ts';
import { GeneralWay } from './general-way.ts';
import type { CleanUp, Mapper, Translate, TranslateResult, Unmapped } from './mapper.ts';
import { Page, PageRangeInclusive } from './page.ts';
import { type PageSize, type Size1GiB, type Size2MiB, Size4KiB } from './page-size.ts';
import { type PageTable, ReadonlyPageTable } from './page-table.ts';
import { TableCleaner } from './table-cleaner.ts';
import type { TablePath } from './table-path.ts';

// This module's own constants, which V8 compiles in; what is imported it reads from a cell at each use.
const Flush = MapperFlush;
const Flags = PageTableFlags;
/** The flags of a page that tables on the way to it get as well. */
export const PARENT_FLAGS: number =
  bits.PRESENT | PageTableFlags.WRITABLE.low | PageTableFlags.USER_ACCESSIBLE.low;

/**
 * What all mappers have in common: the calls that do not depend on how tables are reached. Those that are made most stand
 * in each mapper, where V8 puts them into a caller's loop whole: `mapTo` took 1.35 times as long from here.
 */
export abstract class TableMapper
  implements Mapper<Size4KiB>, Mapper<Size2MiB>, Mapper<Size1GiB>, Translate, CleanUp
{
  /** @internal Is told of flushes. */
  protected readonly sink: FlushSink | undefined;
  /** @internal The general way to an entry. */
  protected readonly path: TablePath;
  /** @internal */
  protected readonly general: GeneralWay;

  protected constructor(path: TablePath, sink: FlushSink | undefined) {
    this.path = path;
    this.sink = sink;
    this.general = new GeneralWay(path);
  }

  /** @internal Maps a page, after its arguments were looked at. */
  protected abstract map(
    operation: string,
    page: Page<PageSize>,
    frame: PhysFrame<PageSize>,
    flags: PageTableFlags,
    parentsLow: number,
    parentsHigh: number,
    allocator: FrameAllocator<Size4KiB>,
  ): void;

  abstract mapTo<S extends PageSize>(
    page: Page<S>,
    frame: PhysFrame<S>,
    flags: PageTableFlags,
    allocator: FrameAllocator<Size4KiB>,
  ): MapperFlush<S>;
  abstract unmap<S extends PageSize>(page: Page<S>): Unmapped<S>;
  abstract updateFlags<S extends PageSize>(page: Page<S>, flags: PageTableFlags): MapperFlush<S>;
  abstract translatePage<S extends PageSize>(page: Page<S>): PhysFrame<S>;
  abstract translate(addr: VirtAddr | bigint): TranslateResult;
  abstract translateAddr(addr: VirtAddr): PhysAddr | undefined;
  abstract translateAddr(addr: bigint): bigint | undefined;

  /** The root, to look at. */
  level4Table(): ReadonlyPageTable {
    return ReadonlyPageTable.of(this.path.root);
  }

  /**
   * The root, to change.
   *
   * @throws {@link PageTableError} `REENTERED` from inside a callback
   */
  level4TableMut(): PageTable {
    this.path.refuseReentry();
    return this.path.root;
  }

  mapToWithTableFlags<S extends PageSize>(
    page: Page<S>,
    frame: PhysFrame<S>,
    flags: PageTableFlags,
    parentTableFlags: PageTableFlags,
    allocator: FrameAllocator<Size4KiB>,
  ): MapperFlush<S> {
    if (!(parentTableFlags instanceof Flags)) {
      throw wrongKind('mapToWithTableFlags', parentTableFlags, 'PageTableFlags');
    }
    const { low, high } = parentTableFlags;
    this.map('mapToWithTableFlags', page, frame, flags, low, high, allocator);
    return new Flush(page, this.sink);
  }

  identityMap<S extends PageSize>(
    frame: PhysFrame<S>,
    flags: PageTableFlags,
    allocator: FrameAllocator<Size4KiB>,
  ): MapperFlush<S> {
    if (!(frame instanceof PhysFrame)) throw wrongKind('identityMap', frame, 'a PhysFrame');
    if (!isCanonical(frame.high)) throw new VirtAddrNotValid(frame.startAddress().asU64());
    const page = Page.containingAddress(new VirtAddr(frame.high, frame.low), frame.pageSize);
    this.map('identityMap', page, frame, flags, flags.low & PARENT_FLAGS, 0, allocator);
    return new Flush(page, this.sink);
  }

  setFlagsP4Entry<S extends PageSize>(page: Page<S>, flags: PageTableFlags): MapperFlushAll {
    return this.setFlags(page, 4, flags);
  }

  setFlagsP3Entry<S extends PageSize>(page: Page<S>, flags: PageTableFlags): MapperFlushAll {
    return this.setFlags(page, 3, flags);
  }

  setFlagsP2Entry<S extends PageSize>(page: Page<S>, flags: PageTableFlags): MapperFlushAll {
    return this.setFlags(page, 2, flags);
  }

  cleanUp(deallocator: FrameDeallocator<Size4KiB>): void {
    this.clean(0, 2 ** 52 - 1, deallocator);
  }

  cleanUpAddrRange(range: PageRangeInclusive<Size4KiB>, deallocator: FrameDeallocator<Size4KiB>): void {
    if (!(range instanceof PageRangeInclusive)) {
      throw wrongKind('cleanUpAddrRange', range, 'a PageRangeInclusive');
    }
    if (range.start.pageSize !== Size4KiB) {
      throw wrongKind('cleanUpAddrRange', range, 'a range of 4-KiB pages');
    }
    this.clean(range.start.pageNumber(), range.end.pageNumber(), deallocator);
  }

  /** @internal */
  [INSPECT](): string {
    return this.toString();
  }

  private setFlags(page: Page<PageSize>, level: number, flags: PageTableFlags): MapperFlushAll {
    this.general.setFlags(`setFlagsP${level}Entry`, page, level, flags);
    return new MapperFlushAll(this.sink);
  }

  private clean(first: number, last: number, deallocator: FrameDeallocator<Size4KiB>): void {
    this.path.enter();
    new TableCleaner(this.path, deallocator, this.sink).clean(first, last);
  }
}
