import type { PageTable } from './page-table.ts';
import { TablePath } from './table-path.ts';

/** What bits 63:32 of an address count in 4-KiB units. */
const HIGH_UNITS = 0x10_0000;

/**
 * A path through tables that appear in a window of the address space they map: the level-4 entry that points back to its
 * table makes each walk end one level early.
 *
 * Where an entry's table appears follows from the address alone; the frame in the entry is left to the processor.
 */
export class RecursivePath extends TablePath {
  readonly isLax = true;
  override readonly skipped: number;
  /** Bits 63:47 of a canonical address whose level-4 index is the recursive one, in their place in the high half. */
  private readonly sign: number;

  /**
   * @param root - the level-4 table, at its place in the window
   * @param index - of the level-4 entry that points back
   */
  constructor(root: PageTable, index: number) {
    super(root, 0);
    this.skipped = index;
    this.sign = (index >= 256 ? 0xffff_0000 : 0) | (index << 7);
  }

  override follow(): void {
    this.page = this.windowOf(this.towardHigh, this.towardLow, this.level - 1);
  }

  /**
   * Where the table appears that holds the entry of a level on the way to an address.
   *
   * @param high - bits 63:32 of the address
   * @param low - bits 31:0
   * @param level - 4 to 1
   * @returns number of a page
   */
  windowOf(high: number, low: number, level: number): number {
    const index = this.skipped;
    // Indices of the levels above, moved down by as many levels as the walk goes round.
    const level4 = (high >>> 7) & 511;
    const level3 = ((high << 2) | (low >>> 30)) & 511;
    const level2 = (low >>> 21) & 511;
    // The page's own indices at levels 3, 2 and 1.
    const third = level === 1 ? level4 : index;
    const second = level === 1 ? level3 : level === 2 ? level4 : index;
    const first = level === 1 ? level2 : level === 2 ? level3 : level === 3 ? level4 : index;
    const upper = (this.sign | (third >>> 2)) >>> 0;
    return upper * HIGH_UNITS + ((((third & 3) << 18) | (second << 9) | first) >>> 0);
  }
}
