import { PageTableError } from '../bits/index.ts';
import { wrongKind } from '../bits/wrong-kind.ts';
import { indexAt, VirtAddr } from './addr.ts';
import { AddressNotAligned, Block, HOLE, highOfUnit, LOWER_END, notAStart, UPPER_START } from './block.ts';
import {
  checkSameSize,
  checkSize,
  type NotGiantPageSize,
  type PageSize,
  Size1GiB,
  Size2MiB,
  Size4KiB,
} from './page-size.ts';
import { ClosedRange, HalfOpenRange } from './range.ts';
import { stepped, wholeNumber } from './step.ts';
import { PageTableIndex, PageTableLevel } from './table-index.ts';

/** A table index, as an object or as a plain number. */
export type Index = PageTableIndex | number;

/**
 * A page: an aligned piece of linear address space. `Page<Size2MiB>` and `Page<Size4KiB>` are different types, and
 * `pageSize` tells them apart at run time.
 */
export class Page<S extends PageSize = Size4KiB> extends Block<S, Page<S>> {
  readonly high: number;
  readonly low: number;
  readonly pageSize: S;

  private constructor(high: number, low: number, pageSize: S) {
    super();
    this.high = high;
    this.low = low;
    this.pageSize = pageSize;
  }

  /**
   * The page that starts at an address.
   *
   * @throws {@link AddressNotAligned}
   */
  static fromStartAddress(address: VirtAddr): Page;
  static fromStartAddress<S extends PageSize>(address: VirtAddr, size: S): Page<S>;
  static fromStartAddress(address: VirtAddr, size: PageSize = Size4KiB): Page<PageSize> {
    checkSize(size);
    if (!(address instanceof VirtAddr)) throw wrongKind('Page.fromStartAddress', address, 'a VirtAddr');
    if ((address.low & (size.inner | 0xfff)) !== 0)
      throw new AddressNotAligned('Page', address.asU64(), size);
    return new Page(address.high, address.low, size);
  }

  /** The same without the check: a page that is not aligned, if the address is not. */
  static fromStartAddressUnchecked(address: VirtAddr): Page;
  static fromStartAddressUnchecked<S extends PageSize>(address: VirtAddr, size: S): Page<S>;
  static fromStartAddressUnchecked(address: VirtAddr, size: PageSize = Size4KiB): Page<PageSize> {
    checkSize(size);
    if (!(address instanceof VirtAddr))
      throw wrongKind('Page.fromStartAddressUnchecked', address, 'a VirtAddr');
    return new Page(address.high, address.low, size);
  }

  /** The page in which an address lies. */
  static containingAddress(address: VirtAddr): Page;
  static containingAddress<S extends PageSize>(address: VirtAddr, size: S): Page<S>;
  static containingAddress(address: VirtAddr, size: PageSize = Size4KiB): Page<PageSize> {
    checkSize(size);
    if (!(address instanceof VirtAddr)) throw wrongKind('Page.containingAddress', address, 'a VirtAddr');
    // An address made without a check may not be canonical; the page is.
    return new Page((address.high << 16) >> 16, address.low & ~(size.inner | 0xfff), size);
  }

  /**
   * The page with a number, without a `bigint`.
   *
   * @param page - start address divided by 4096, whatever the size: a whole number in `[0, 2^52)`
   * @throws {@link PageTableError} `OUT_OF_RANGE` if it is none, or not canonical; {@link AddressNotAligned}
   */
  static fromPageNumber(page: number): Page;
  static fromPageNumber<S extends PageSize>(page: number, size: S): Page<S>;
  static fromPageNumber(page: number, size: PageSize = Size4KiB): Page<PageSize> {
    checkSize(size);
    const valid = isPageNumber(page);
    if (!valid || ((page << 12) & size.inner) !== 0) {
      throw notAStart('Page', page, valid, 'in [0, 2^35) or [2^52 - 2^35, 2^52)', size);
    }
    return new Page(highOfUnit(page), page << 12, size);
  }

  /**
   * The 4-KiB page that four table indices select, level 4 first.
   *
   * @throws {@link PageTableError} `OUT_OF_RANGE` unless each is in `[0, 512)`
   */
  static fromPageTableIndices(p4: Index, p3: Index, p2: Index, p1: Index): Page {
    return fromIndices(Size4KiB, p4, p3, p2, p1);
  }

  /** The 2-MiB page that three table indices select, as {@link fromPageTableIndices}. */
  static fromPageTableIndices2mib(p4: Index, p3: Index, p2: Index): Page<Size2MiB> {
    return fromIndices(Size2MiB, p4, p3, p2, 0);
  }

  /** The 1-GiB page that two table indices select, as {@link fromPageTableIndices}. */
  static fromPageTableIndices1gib(p4: Index, p3: Index): Page<Size1GiB> {
    return fromIndices(Size1GiB, p4, p3, 0, 0);
  }

  protected get kind(): string {
    return 'Page';
  }

  protected at(unit: number): Page<S> | undefined {
    return isPageNumber(unit) ? new Page(highOfUnit(unit), unit << 12, this.pageSize) : undefined;
  }

  /** Its first address. */
  startAddress(): VirtAddr {
    return new VirtAddr(this.high, this.low);
  }

  /** Its start address divided by 4096: a whole number in `[0, 2^52)`. */
  pageNumber(): number {
    return this.unit();
  }

  /** Index in the level-4 table. */
  p4Index(): PageTableIndex {
    return this.index(4);
  }

  /** Index in the level-3 table. */
  p3Index(): PageTableIndex {
    return this.index(3);
  }

  /** Index in the level-2 table. */
  p2Index(this: Page<NotGiantPageSize>): PageTableIndex {
    return this.index(2);
  }

  /** Index in the level-1 table. */
  p1Index(this: Page<Size4KiB>): PageTableIndex {
    return this.index(1);
  }

  /** Index in the table of a level. */
  pageTableIndex(level: PageTableLevel): PageTableIndex {
    if (!(level instanceof PageTableLevel)) throw wrongKind('pageTableIndex', level, 'a PageTableLevel');
    return new PageTableIndex(indexAt(this.high, this.low, level.value));
  }

  private index(level: number): PageTableIndex {
    if (level < this.pageSize.level) {
      throw new PageTableError('BAD_ARGUMENT', `${this} has no index in a table of level ${level}`, {
        level,
      });
    }
    return new PageTableIndex(indexAt(this.high, this.low, level));
  }

  /** The pages from `start` up to but not including `end`. */
  static range<S extends PageSize>(start: Page<S>, end: Page<S>): PageRange<S> {
    return new PageRange(start, end);
  }

  /** The pages from `start` up to and including `end`. */
  static rangeInclusive<S extends PageSize>(start: Page<S>, end: Page<S>): PageRangeInclusive<S> {
    return new PageRangeInclusive(start, end);
  }

  /**
   * Pages from `start` up to `end`, the hole not counted.
   *
   * @returns lower bound and exact number, as the original's `Step`; `[0, undefined]` if `end` lies before `start`
   */
  static stepsBetween<S extends PageSize>(start: Page<S>, end: Page<S>): [number, number | undefined] {
    checkSameSize('stepsBetween', start, end);
    const [bytes, exact] = VirtAddr.stepsBetween(start.startAddress(), end.startAddress());
    // At most 2^36.
    const pages = Number(bytes / start.pageSize.SIZE);
    return [pages, exact === undefined ? undefined : pages];
  }

  /** The page so many steps further on, over the hole; `undefined` if there is none. */
  static forwardChecked<S extends PageSize>(start: Page<S>, count: bigint | number): Page<S> | undefined {
    const address = VirtAddr.forwardChecked(start.startAddress(), wholeNumber(count) * start.pageSize.SIZE);
    return address && new Page(address.high, address.low, start.pageSize);
  }

  /** The same. @throws {@link PageTableError} `OUT_OF_RANGE` if there is none */
  static forward<S extends PageSize>(start: Page<S>, count: bigint | number): Page<S> {
    return stepped(Page.forwardChecked(start, count), 'forward', start, count);
  }

  /** The page so many steps before, over the hole; `undefined` if there is none. */
  static backwardChecked<S extends PageSize>(start: Page<S>, count: bigint | number): Page<S> | undefined {
    const address = VirtAddr.backwardChecked(start.startAddress(), wholeNumber(count) * start.pageSize.SIZE);
    return address && new Page(address.high, address.low, start.pageSize);
  }

  /** The same. @throws {@link PageTableError} `OUT_OF_RANGE` if there is none */
  static backward<S extends PageSize>(start: Page<S>, count: bigint | number): Page<S> {
    return stepped(Page.backwardChecked(start, count), 'backward', start, count);
  }
}

/** Whether a number is that of a page with canonical addresses. */
function isPageNumber(page: number): boolean {
  return (
    Math.floor(page) === page && ((page >= 0 && page < LOWER_END) || (page >= UPPER_START && page < 2 ** 52))
  );
}

function fromIndices<S extends PageSize>(size: S, ...indices: readonly Index[]): Page<S> {
  let page = 0;
  for (const index of indices) {
    page = page * 512 + new PageTableIndex(Number(index)).value;
  }
  return Page.fromPageNumber(page < LOWER_END ? page : page + HOLE, size);
}

/** The pages from `start` up to but not including `end`. */
export class PageRange<S extends PageSize = Size4KiB> extends HalfOpenRange<Page<S>> {
  protected get kind(): string {
    return 'PageRange';
  }

  protected copy(): PageRange<S> {
    return new PageRange(this.start, this.end);
  }

  /** The same range in pages of 4 KiB. */
  as4kibPageRange(this: PageRange<Size2MiB>): PageRange {
    if (this.start.pageSize !== Size2MiB) {
      throw wrongKind('as4kibPageRange', this, 'a range of 2-MiB pages');
    }
    return new PageRange(
      Page.fromStartAddressUnchecked(this.start.startAddress()),
      Page.fromStartAddressUnchecked(this.end.startAddress()),
    );
  }
}

/** The pages from `start` up to and including `end`. */
export class PageRangeInclusive<S extends PageSize = Size4KiB> extends ClosedRange<Page<S>> {
  protected get kind(): string {
    return 'PageRangeInclusive';
  }

  protected copy(): PageRangeInclusive<S> {
    return new PageRangeInclusive(this.start, this.end);
  }
}
