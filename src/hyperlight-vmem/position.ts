// Bits of a page number in the 48-bit space: 18 in each half, 9 for each of the two depths of a half.
const HALF_PAGES = 2 ** 18;
const LAST_IN_TABLE = 511;
const SPACE_PAGES = 2 ** 36;
const UPPER_HALF = SPACE_PAGES / 2;
const ALL_PAGES = 2 ** 52;

/**
 * A page of the 48-bit space on a walk in ascending order, and the deepest table on the path to the page before it that is on the
 * path to it, too.
 */
export class Position {
  /** Depth of that table; 0 is the root. */
  depth = 0;
  /** Bits 35:18 of the page number: indices at depths 0 and 1. */
  private upper: number;
  /** Bits 17:0: indices at depths 2 and 3. */
  private lower: number;

  /** @param page - its number, in `[0, 2^36)` */
  constructor(page: number) {
    this.upper = Math.floor(page / HALF_PAGES);
    this.lower = page - this.upper * HALF_PAGES;
  }

  /** The index of the page's entry in the table at a depth. */
  index(depth: number): number {
    const half = depth < 2 ? this.upper : this.lower;
    return (depth & 1) === 0 ? half >>> 9 : half & LAST_IN_TABLE;
  }

  /**
   * The number of the page.
   *
   * @param extendsSign - whether bit 47 of addresses is repeated in bits 63:48. The number is then in `[0, 2^52)`, otherwise in `[0, 2^36)`
   */
  page(extendsSign: boolean): number {
    const page = this.upper * HALF_PAGES + this.lower;
    return extendsSign && page >= UPPER_HALF ? page + (ALL_PAGES - SPACE_PAGES) : page;
  }

  /**
   * Goes to the first page below the next entry of the table at a depth; from the end of the space to its beginning.
   *
   * @returns how many pages that is
   */
  skip(depth: number): number {
    const before = this.page(false);
    if (depth === 0) this.upper |= LAST_IN_TABLE;
    this.lower = depth === 2 ? (this.lower | LAST_IN_TABLE) + 1 : HALF_PAGES;
    this.depth = depth;
    if (this.lower === HALF_PAGES) {
      this.lower = 0;
      this.upper = (this.upper + 1) & (HALF_PAGES - 1);
      this.depth = (this.upper & LAST_IN_TABLE) === 0 ? 0 : 1;
    }
    const skipped = this.page(false) - before;
    return skipped > 0 ? skipped : skipped + SPACE_PAGES;
  }
}
