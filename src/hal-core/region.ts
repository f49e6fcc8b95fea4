import { hex, PageTableError } from '../bits/index.ts';
import { wrongKind } from '../bits/wrong-kind.ts';
import { bigintOf, PAddr } from './addr.ts';
import { NotAligned } from './errors.ts';
import { checkRange, Page, type PageRange } from './page.ts';
import type { Size } from './size.ts';

/** A piece of physical memory, and what it is used for. Immutable. */
export class Region<Kind = string> {
  /** Its first address. */
  readonly baseAddr: PAddr;
  /** Bytes. */
  readonly byteSize: bigint;
  /** What it is used for. */
  readonly kind: Kind;

  /**
   * @param baseAddr - its first address
   * @param byteSize - bytes, not negative
   * @param kind - what it is used for
   * @throws {@link PageTableError} `BAD_ARGUMENT` or `OUT_OF_RANGE` for other arguments
   */
  constructor(baseAddr: PAddr, byteSize: bigint, kind: Kind) {
    if (!(baseAddr instanceof PAddr)) throw wrongKind('Region', baseAddr, 'a PAddr');
    if (bigintOf('Region', byteSize) < 0n) {
      throw new PageTableError(
        'OUT_OF_RANGE',
        `Region: ${hex(byteSize)} bytes; expected a size that is not negative`,
        { byteSize },
      );
    }
    this.baseAddr = baseAddr;
    this.byteSize = byteSize;
    this.kind = kind;
  }

  /** The memory of a range of physical pages. */
  static fromPageRange<Kind, S extends Size>(range: PageRange<PAddr, S>, kind: Kind): Region<Kind> {
    checkRange('Region.fromPageRange', range, PAddr);
    return new Region(range.baseAddr(), range.size(), kind);
  }

  /**
   * Its pages. For an empty region, a range that yields nothing.
   *
   * @throws {@link NotAligned} unless it starts and ends on a boundary of the size; {@link InvalidAddress} if it goes on past the end of
   *   physical memory; {@link PageTableError} `OUT_OF_RANGE` if it is empty and starts at 0: no page lies before that
   */
  pageRange<S extends Size>(size: S): PageRange<PAddr, S> {
    const start = Page.startingAt(this.baseAddr, size);
    const end = this.baseAddr.addUnchecked(this.byteSize);
    if (!end.isAligned(size.asUsize())) throw new NotAligned(size, end);
    if (this.byteSize === 0n) return start.rangeTo(start);
    return start.rangeInclusive(Page.startingAt(end.sub(size.asUsize()), size));
  }
}
