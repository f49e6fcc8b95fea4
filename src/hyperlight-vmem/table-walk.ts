import type { Architecture } from './architecture.ts';
import { indexAt, type PageRange, spanAt } from './range.ts';
import { LAST_DEPTH, type TablePath } from './table-path.ts';

/**
 * Goes through the present pages of a range, ascending. An entry is read when the walk gets to it.
 */
export class TableWalk {
  /** Number of the page found, in the 48-bit space. */
  page = 0;
  /** Its entry, by halves. */
  low = 0;
  high = 0;
  protected readonly path: TablePath;
  private readonly present: number;
  /** The first page of which no entry has been looked at, and the depth of the table on the path that has its entry. */
  private next: number;
  private depth = 0;
  private readonly end: number;
  /** In the last table entered: the page of its entry 0, the next entry, and the one at which to stop. */
  private base = 0;
  private index = 0;
  private limit = 0;

  constructor(architecture: Architecture, path: TablePath, range: PageRange) {
    this.present = architecture.facts.present;
    this.path = path;
    this.next = range.first;
    this.end = range.end;
  }

  /** Goes to the next present page. Returns whether there was one; afterwards there is none. */
  advance(): boolean {
    const { path, present } = this;
    do {
      while (this.index < this.limit) {
        const index = this.index;
        this.index = index + 1;
        const low = path.read(LAST_DEPTH, index);
        if ((low & present) === present) {
          this.page = this.base + index;
          this.low = low;
          this.high = path.high;
          return true;
        }
      }
    } while (this.nextTable());
    return false;
  }

  /**
   * Asked whether to go through a table to which the path has just led.
   *
   * @param _depth - of the table
   * @param _page - of the 48-bit space, with which its part of the range begins
   */
  protected wants(_depth: number, _page: number): boolean {
    return true;
  }

  /** Goes to the next table of the last depth. */
  private nextTable(): boolean {
    const { path, present } = this;
    while (this.next < this.end) {
      const { depth, next } = this;
      const span = spanAt(depth);
      const low = path.read(depth, indexAt(depth, next));
      if ((low & present) === present) {
        path.enter(depth, low, path.high);
        if (this.wants(depth + 1, next)) {
          this.depth = depth + 1;
          if (this.depth < LAST_DEPTH) continue;
          this.base = next - (next % span);
          this.index = next - this.base;
          this.limit = Math.min(span, this.end - this.base);
          this.goTo(this.base + span);
          return true;
        }
      }
      this.goTo(next - (next % span) + span);
    }
    return false;
  }

  /** Goes on at the first page below an entry, in the deepest table on the path that has it. */
  private goTo(page: number): void {
    this.next = page;
    while (this.depth > 0 && page % spanAt(this.depth - 1) === 0) this.depth -= 1;
  }
}
