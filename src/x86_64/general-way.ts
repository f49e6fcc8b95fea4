import { joinHalves, PageTableError } from '../bits/index.ts';
import { wrongKind } from '../bits/wrong-kind.ts';
import { VirtAddr } from './addr.ts';
import { ADDRESS_HIGH, ADDRESS_LOW, HUGE_PAGE, PRESENT } from './entry-bits.ts';
import { FlagUpdateError, TranslateError, UnmapError } from './errors.ts';
import { PageTableFlags } from './flags.ts';
import { PhysFrame } from './frame.ts';
import type { MappedFrame, TranslateResult } from './mapper.ts';
import { Page } from './page.ts';
import { type PageSize, Size1GiB, Size2MiB, Size4KiB } from './page-size.ts';
import { FOUND, HUGE, NOT_MAPPED, type TablePath } from './table-path.ts';

/** By level, from 1. */
const SIZES = [Size4KiB, Size2MiB, Size1GiB] as const;

/** What all mappers do with entries, whichever way leads to them. Each call begins and ends a call of the path. */
export class GeneralWay {
  /** The entry that {@link search} has found. */
  low = 0;
  /** See {@link low}. */
  high = 0;
  private readonly path: TablePath;

  constructor(path: TablePath) {
    this.path = path;
  }

  /**
   * Takes a mapping away.
   *
   * @returns the frame that was mapped
   * @throws {@link UnmapError}
   */
  unmap<S extends PageSize>(page: Page<S>): PhysFrame<S> {
    const { path } = this;
    const size = page.pageSize;
    path.enter();
    try {
      let end = path.find(page.high, page.low, size.level);
      if (end === FOUND && (path.low & PRESENT) === 0) end = NOT_MAPPED;
      if (end === FOUND && (path.low & HUGE_PAGE) !== size.leaf) end = HUGE;
      if (end === FOUND && (path.low & size.inner) === 0) {
        const frame = new PhysFrame(path.high & ADDRESS_HIGH, path.low & ADDRESS_LOW, size);
        path.memory.writeEntry(path.page, path.index, 0, 0);
        return frame;
      }
      const message = this.refusal('unmap', page, end);
      if (end === HUGE) throw new UnmapError('ParentEntryHugePage', message, path.detail(page));
      if (end === NOT_MAPPED) throw new UnmapError('PageNotMapped', message, path.detail(page));
      throw new UnmapError('InvalidFrameAddress', message, path.detail(page), path.address());
    } finally {
      path.leave();
    }
  }

  /**
   * Replaces the flags of an entry that must be used.
   *
   * @param level - of the entry
   * @param low - bits 31:0 of the flags
   * @param high - bits 63:32
   * @throws {@link FlagUpdateError}
   */
  change(operation: string, page: Page<PageSize>, level: number, low: number, high: number): void {
    const { path } = this;
    path.enter();
    try {
      let end = this.find(page.high, page.low, level);
      if (end === FOUND && (path.low | path.high) === 0) end = NOT_MAPPED;
      if (end === FOUND) {
        path.rewrite(low, high);
        return;
      }
      const kind = end === HUGE ? 'ParentEntryHugePage' : 'PageNotMapped';
      throw new FlagUpdateError(kind, this.refusal(operation, page, end), path.detail(page));
    } finally {
      path.leave();
    }
  }

  /**
   * Replaces the flags of an entry above a page's own.
   *
   * @throws {@link FlagUpdateError}
   */
  setFlags(operation: string, page: Page<PageSize>, level: number, flags: PageTableFlags): void {
    if (!(page instanceof Page)) throw wrongKind(operation, page, 'a Page');
    if (!(flags instanceof PageTableFlags)) throw wrongKind(operation, flags, 'PageTableFlags');
    if (level <= page.pageSize.level) {
      throw new FlagUpdateError(
        'ParentEntryHugePage',
        `${operation}: ${page} has no table at level ${level - 1}; expected a page of a smaller size`,
        { page: page.startAddress().asU64(), level },
      );
    }
    this.change(operation, page, level, flags.low, flags.high);
  }

  /**
   * The frame that a page is mapped to.
   *
   * @throws {@link TranslateError}
   */
  translatePage<S extends PageSize>(page: Page<S>): PhysFrame<S> {
    const { path } = this;
    const size = page.pageSize;
    path.enter();
    try {
      let end = this.find(page.high, page.low, size.level);
      if (end === FOUND && (path.low | path.high) === 0) end = NOT_MAPPED;
      if (end === FOUND && (path.low & size.inner) === 0) {
        return new PhysFrame(path.high & ADDRESS_HIGH, path.low & ADDRESS_LOW, size);
      }
      const message = this.refusal('translatePage', page, end);
      if (end === HUGE) throw new TranslateError('ParentEntryHugePage', message, path.detail(page));
      if (end === NOT_MAPPED) throw new TranslateError('PageNotMapped', message, path.detail(page));
      throw new TranslateError('InvalidFrameAddress', message, path.detail(page), path.address());
    } finally {
      path.leave();
    }
  }

  /**
   * The size of the page that maps an address; its entry is then in {@link low} and {@link high}.
   *
   * @returns `undefined` if nothing is mapped
   * @throws {@link PageTableError} `CORRUPT_TABLE` where an entry claims a page of a size that there is not
   */
  search(operation: string, high: number, low: number): PageSize | undefined {
    const { path } = this;
    path.enter();
    try {
      const end = path.find(high, low, 1, path.isLax);
      this.low = path.low;
      this.high = path.high;
      if (end === NOT_MAPPED || (end === FOUND && (path.low | path.high) === 0)) return undefined;
      // In a level-1 entry the bit is PAT; the original's lax way takes it for a page's size all the same.
      const claims = end === HUGE || (path.isLax && (path.low & HUGE_PAGE) !== 0);
      if (!claims || path.level === 2 || path.level === 3) return SIZES[path.level - 1];
      const reason = path.level === 4 ? 'a table, as no page has 512 GiB' : 'an entry without it';
      throw new PageTableError(
        'CORRUPT_TABLE',
        `${operation}: ${new VirtAddr(high, low)}: ${path} has HUGE_PAGE; expected ${reason}`,
        { address: joinHalves(low, high), entry: joinHalves(path.low, path.high) },
      );
    } finally {
      path.leave();
    }
  }

  /** What {@link search} has found of an address, in the original's words. */
  result(size: PageSize | undefined, low: number): TranslateResult {
    if (size === undefined) return { kind: 'NotMapped' };
    return {
      kind: 'Mapped',
      // The size is one of the three, and the frame of just that size.
      frame: new PhysFrame(
        this.high & ADDRESS_HIGH,
        this.low & ADDRESS_LOW & ~size.inner,
        size,
      ) as MappedFrame,
      offset: low & (size.inner | 0xfff),
      flags: PageTableFlags.fromHalves(this.high & ~ADDRESS_HIGH, this.low & ~ADDRESS_LOW),
    };
  }

  private find(high: number, low: number, level: number): number {
    const { path } = this;
    return path.isLax ? path.find(high, low, level, true, 0) : path.find(high, low, level);
  }

  /** Why the way to a page's entry, or the entry itself, is not as an operation needs it. */
  private refusal(operation: string, page: Page<PageSize>, end: number): string {
    const { path } = this;
    const { pageSize } = page;
    let found = `holds the address ${path.address()}, which is not a multiple of ${pageSize}`;
    if (end === NOT_MAPPED) found = (path.low | path.high) === 0 ? 'is unused' : 'is not present';
    if (end === HUGE) found = (path.low & HUGE_PAGE) !== 0 ? 'has HUGE_PAGE' : 'points to a table';
    const expected =
      path.level === pageSize.level
        ? `an entry that maps ${pageSize}`
        : `a table on the way to pages of ${pageSize}`;
    return `${operation}: ${page}: ${path} ${found}; expected ${expected}`;
  }
}
