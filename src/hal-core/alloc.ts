import { PageTableError } from '../bits/index.ts';
import { wrongKind } from '../bits/wrong-kind.ts';
import { bigintOf, PAddr } from './addr.ts';
import { AllocError } from './errors.ts';
import { checkPage, checkRange, Page, type PageRange } from './page.ts';
import { bytesOf, type Size, type Size4Kb } from './size.ts';

/**
 * Gives physical pages and takes them back. What it gives belongs to nobody else; what is in it is unknown. To make one,
 * extend this with the two methods for ranges.
 */
export abstract class Alloc<S extends Size = Size> {
  /**
   * Gives pages that lie one after the other.
   *
   * @param size - of each
   * @param len - how many; there may be more in what is returned, which the caller then owns
   * @throws {@link AllocError}
   */
  abstract allocRange(size: S, len: bigint): PageRange<PAddr, S>;

  /**
   * Takes pages back.
   *
   * @throws {@link AllocError}
   */
  abstract deallocRange(range: PageRange<PAddr, S>): void;

  /**
   * Gives one page: the first of a range. If the allocator gives more, the rest is forgotten.
   *
   * @throws {@link AllocError}
   */
  alloc(size: S): Page<PAddr, S> {
    return checkRange('allocRange returned', this.allocRange(size, 1n), PAddr).start();
  }

  /**
   * Takes one page back.
   *
   * @throws {@link AllocError}
   */
  dealloc(page: Page<PAddr, S>): void {
    this.deallocRange(checkPage('dealloc', page, PAddr).rangeInclusive(page));
  }
}

/** Has no pages, and takes none: for callers who know that no table is missing. */
export class EmptyAlloc extends Alloc<Size> {
  override alloc(size: Size): never {
    return this.allocRange(size, 1n);
  }

  allocRange(_size: Size, _len: bigint): never {
    throw AllocError.oom();
  }

  deallocRange(_range: PageRange<PAddr>): never {
    throw new AllocError('an EmptyAlloc takes no pages back');
  }
}

/** Addresses of pages that were never given. */
interface Fresh {
  next: bigint;
  readonly end: bigint;
}

/** Gives the pages of some ranges in ascending order, and before them those that came back, the last one first. */
export class BumpAlloc<S extends Size = Size4Kb> extends Alloc<S> {
  private readonly fresh: readonly Fresh[];
  private readonly pageBytes: bigint | undefined;
  /** Addresses of pages that are in use. */
  private readonly used = new Set<bigint>();
  /** Addresses of pages that came back. */
  private readonly free: bigint[] = [];

  /**
   * @param ranges - where pages come from, in this order; all of one size, and disjoint
   * @throws {@link PageTableError} `OVERLAP`; `BAD_ARGUMENT` for sizes that differ; as `PageRange.size` for a range that is none
   */
  constructor(ranges: Iterable<PageRange<PAddr, S>>) {
    super();
    if (typeof ranges?.[Symbol.iterator] !== 'function') {
      throw wrongKind('BumpAlloc', ranges, 'PageRanges of PAddr, in an array');
    }
    const list = Array.from(ranges, (range) => checkRange('BumpAlloc', range, PAddr));
    this.pageBytes = list[0]?.pageSize().asUsize();
    this.fresh = list.map((range) => {
      checkSame(this.pageBytes, range.pageSize());
      const next = range.baseAddr().asUsize();
      return { next, end: next + range.size() };
    });
    const sorted = [...this.fresh].sort((a, b) => (a.next < b.next ? -1 : 1));
    for (const [i, { next }] of sorted.entries()) {
      if (i > 0 && next < sorted[i - 1].end) {
        throw new PageTableError('OVERLAP', `BumpAlloc: ${list.join(' and ')}; expected disjoint ranges`);
      }
    }
  }

  /** Pages in use. */
  get allocated(): number {
    return this.used.size;
  }

  /** Pages that it can still give. */
  get remaining(): bigint {
    const size = this.pageBytes ?? 1n;
    return this.fresh.reduce((sum, { next, end }) => sum + (end - next) / size, BigInt(this.free.length));
  }

  /** A range of several pages is taken from those that were never given. */
  allocRange(size: S, len: bigint): PageRange<PAddr, S> {
    const bytes = bytesOf('allocRange', size);
    checkSame(this.pageBytes, size);
    if (bigintOf('allocRange', len) < 1n) {
      throw new AllocError(`allocRange: ${len} pages; expected at least one`, { len });
    }
    const start = (len === 1n ? this.free.pop() : undefined) ?? this.bump(bytes * len);
    if (start === undefined) {
      throw new AllocError(
        `allocRange: ${len} pages of ${size} one after the other; there are ${this.remaining} in all`,
        { len, remaining: this.remaining },
      );
    }
    const first = Page.startingAt(PAddr.fromUsize(start), size);
    const range = first.rangeInclusive(first.add(len - 1n));
    for (const page of range) this.used.add(page.baseAddr().asUsize());
    return range;
  }

  /** Takes all of them or none. */
  deallocRange(range: PageRange<PAddr, S>): void {
    checkRange('deallocRange', range, PAddr);
    checkSame(this.pageBytes, range.pageSize());
    range.len();
    for (const page of range) {
      if (!this.used.has(page.baseAddr().asUsize())) {
        throw new AllocError(
          `deallocRange: ${page} is not in use; expected a page that this allocator gave`,
          {
            page: page.baseAddr().asUsize(),
          },
        );
      }
    }
    for (const page of range) {
      this.used.delete(page.baseAddr().asUsize());
      this.free.push(page.baseAddr().asUsize());
    }
  }

  private bump(bytes: bigint): bigint | undefined {
    const from = this.fresh.find(({ next, end }) => end - next >= bytes);
    if (from === undefined) return undefined;
    from.next += bytes;
    return from.next - bytes;
  }
}

/** Refuses what is no allocator; what it gives is looked at when it gives it. */
export function checkAlloc(operation: string, alloc: Alloc<Size4Kb>): void {
  if (typeof alloc?.alloc === 'function' && typeof alloc.dealloc === 'function') return;
  throw wrongKind(operation, alloc, 'an allocator for tables (Alloc), such as a BumpAlloc');
}

function checkSame(bytes: bigint | undefined, size: Size): void {
  if (bytes === undefined || bytes === size.asUsize()) return;
  throw new PageTableError(
    'BAD_ARGUMENT',
    `BumpAlloc: pages of ${size}; expected pages of ${bytes} bytes, as its first range has`,
    { size: size.asUsize(), expected: bytes },
  );
}
