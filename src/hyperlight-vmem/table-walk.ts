import type { Architecture } from './architecture.ts';
import { Position } from './position.ts';
import type { SpaceRange } from './range.ts';
import { LAST_DEPTH, type TablePath } from './table-path.ts';

/**
 * Goes through the present pages of a range, ascending. An entry is read when the walk gets to it.
 */
export class TableWalk {
  /** The entry of the page found, by halves. */
  low = 0;
  high = 0;
  /** The address of the page found, by halves. */
  virtLow = 0;
  virtHigh = 0;
  protected readonly architecture: Architecture;
  protected readonly path: TablePath;
  private readonly present: number;
  /** The first page of which no entry has been looked at, and how many there are from it on. */
  private readonly position: Position;
  private left: number;
  /** In the last table entered: bits 31:0 of the address of the page of entry 0, the next entry, and the one at which to stop. */
  private base = 0;
  private index = 0;
  private limit = 0;

  constructor(architecture: Architecture, path: TablePath, range: SpaceRange) {
    this.architecture = architecture;
    this.present = architecture.facts.present;
    this.path = path;
    this.position = new Position(range.first);
    this.left = range.count;
  }

  /** Goes to the next present page. Returns whether there was one; afterwards there is none. */
  advance(): boolean {
    const { path, present } = this;
    do {
      while (this.index < this.limit) {
        const index = this.index;
        this.index = index + 1;
        const low = path.readLast(index);
        if ((low & present) === present) {
          this.low = low;
          this.high = path.high;
          this.virtLow = this.base + (index << 12);
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
   * @param _position - where its part of the range begins
   */
  protected wants(_depth: number, _position: Position): boolean {
    return true;
  }

  /** Goes to the next table of the last depth. */
  private nextTable(): boolean {
    const { path, present, position } = this;
    while (this.left > 0) {
      const { depth } = position;
      const low = path.read(depth, position.index(depth));
      if ((low & present) === present) {
        path.enter(depth, low, path.high);
        if (this.wants(depth + 1, position)) {
          position.depth = depth + 1;
          if (position.depth < LAST_DEPTH) continue;
          this.index = position.index(LAST_DEPTH);
          this.limit = Math.min(512, this.index + this.left);
          this.base = position.low - (this.index << 12);
          this.virtHigh = position.high(this.architecture.extendsSign);
          this.left -= position.skip(LAST_DEPTH - 1);
          return true;
        }
      }
      this.left -= position.skip(depth);
    }
    return false;
  }
}
