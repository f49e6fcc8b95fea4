import type { PhysAddr, VirtAddr } from './addr.ts';
import type { PageTableFlags } from './flags.ts';
import type { FlushSink, MapperFlush, MapperFlushAll } from './flush.ts';
import type { PhysFrame } from './frame.ts';
import type { FrameAllocator, FrameDeallocator } from './frame-allocator.ts';
import type { Page, PageRangeInclusive } from './page.ts';
import type { PageSize, Size1GiB, Size2MiB, Size4KiB } from './page-size.ts';
import type { Processor } from './processor.ts';

/** What a mapper may be given besides its table. */
export interface MapperOptions {
  /**
   * Is told of every {@link MapperFlush.flush} and {@link MapperFlushAll.flushAll}. By default it is the processor through
   * which the mapper sees its tables, if it does.
   */
  readonly sink?: FlushSink | Processor | undefined;
}

/** What {@link Mapper.unmap} has removed. */
export interface Unmapped<S extends PageSize = Size4KiB> {
  /** The frame that was mapped. */
  readonly frame: PhysFrame<S>;
  /** The page, for the TLB. */
  readonly flush: MapperFlush<S>;
}

/** Maps and changes pages of one size. */
export interface Mapper<S extends PageSize> {
  /**
   * Maps a page to a frame. New tables get those of the flags `PRESENT`, `WRITABLE` and `USER_ACCESSIBLE` that the page
   * has; tables on the way that lack one of these get it too. The page gets the flags as they are: `PRESENT` is not added.
   *
   * @param allocator - asked for frames for tables, at most one for each level below the root
   * @throws {@link MapToError} `FrameAllocationFailed`, `ParentEntryHugePage` or `PageAlreadyMapped`. Tables made, and
   *   flags added to tables, until then stay; {@link CleanUp.cleanUp} takes empty tables away
   * @throws {@link PageTableError} where the original panics; then nothing has changed
   */
  mapTo(
    page: Page<S>,
    frame: PhysFrame<S>,
    flags: PageTableFlags,
    allocator: FrameAllocator<Size4KiB>,
  ): MapperFlush<S>;

  /**
   * The same with the flags for tables given. They are added to every table on the way.
   *
   * @param parentTableFlags - flags for tables; without `PRESENT`, or with `HUGE_PAGE`, no table can be made
   */
  mapToWithTableFlags(
    page: Page<S>,
    frame: PhysFrame<S>,
    flags: PageTableFlags,
    parentTableFlags: PageTableFlags,
    allocator: FrameAllocator<Size4KiB>,
  ): MapperFlush<S>;

  /**
   * {@link mapTo} for the page that has the frame's own address.
   *
   * @throws {@link VirtAddrNotValid} for a frame from 2^47
   */
  identityMap(
    frame: PhysFrame<S>,
    flags: PageTableFlags,
    allocator: FrameAllocator<Size4KiB>,
  ): MapperFlush<S>;

  /**
   * Removes a mapping. Tables stay, even empty ones.
   *
   * @returns the frame that was mapped, and the flush (a tuple in the original)
   * @throws {@link UnmapError} `PageNotMapped`, `ParentEntryHugePage` (also for a page mapped in another size) or
   *   `InvalidFrameAddress`; then nothing has changed
   */
  unmap(page: Page<S>): Unmapped<S>;

  /**
   * Replaces the flags of a page. Tables on the way stay as they are, and what they forbid stays forbidden.
   *
   * @throws {@link FlagUpdateError} `PageNotMapped` or `ParentEntryHugePage`; then nothing has changed
   */
  updateFlags(page: Page<S>, flags: PageTableFlags): MapperFlush<S>;

  /**
   * Replaces the flags of the level-4 entry above a page, `PRESENT` included.
   *
   * @throws {@link FlagUpdateError} `PageNotMapped` if the entry is unused
   */
  setFlagsP4Entry(page: Page<S>, flags: PageTableFlags): MapperFlushAll;

  /** The same for the level-3 entry; `ParentEntryHugePage` for pages of 1 GiB, or below a huge page. */
  setFlagsP3Entry(page: Page<S>, flags: PageTableFlags): MapperFlushAll;

  /** The same for the level-2 entry; `ParentEntryHugePage` for pages of 1 GiB and 2 MiB, or below a huge page. */
  setFlagsP2Entry(page: Page<S>, flags: PageTableFlags): MapperFlushAll;

  /**
   * The frame that a page is mapped to, present or not.
   *
   * @throws {@link TranslateError} `PageNotMapped`, `ParentEntryHugePage` or `InvalidFrameAddress`
   */
  translatePage(page: Page<S>): PhysFrame<S>;
}

/** Maps and changes pages of every size. */
export type MapperAllSizes = Mapper<Size4KiB> & Mapper<Size2MiB> & Mapper<Size1GiB>;

/** A frame of any size; {@link PhysFrame.hasSize} tells which. */
export type MappedFrame = PhysFrame<Size4KiB> | PhysFrame<Size2MiB> | PhysFrame<Size1GiB>;

/** What an address is mapped to. */
export type TranslateResult =
  | {
      readonly kind: 'Mapped';
      /** The page's frame. */
      readonly frame: MappedFrame;
      /** Bytes from the frame's start, in `[0, 2^30)`. */
      readonly offset: number;
      /** The flags of the entry that maps the page; what tables above forbid is not taken off. */
      readonly flags: PageTableFlags;
    }
  | { readonly kind: 'NotMapped' }
  | { readonly kind: 'InvalidFrameAddress'; readonly addr: PhysAddr };

/** Translates addresses. */
export interface Translate {
  /**
   * What an address is mapped to, with the size of its page.
   *
   * @throws {@link VirtAddrNotValid} for a `bigint` that is not canonical
   * @throws {@link PageTableError} `CORRUPT_TABLE` where a level-4 entry has `HUGE_PAGE`
   */
  translate(addr: VirtAddr | bigint): TranslateResult;

  /** The physical address of an address, in the form in which that is given; `undefined` if it is not mapped. */
  translateAddr(addr: VirtAddr): PhysAddr | undefined;
  translateAddr(addr: bigint): bigint | undefined;
}

/** Takes away tables that have become empty. */
export interface CleanUp {
  /**
   * Unlinks and frees every empty table of levels 1 to 3. The caller sees to it that no other address space shares one.
   *
   * @param deallocator - gets each table's frame once it is unlinked, lower levels first
   */
  cleanUp(deallocator: FrameDeallocator<Size4KiB>): void;

  /**
   * The same for the tables on the way to the pages of a range. A table goes only if all its 512 entries are unused,
   * those outside the range as well.
   */
  cleanUpAddrRange(range: PageRangeInclusive<Size4KiB>, deallocator: FrameDeallocator<Size4KiB>): void;
}
