import type { PhysicalMemory } from '../memory/index.ts';
import type { Architecture } from './architecture.ts';
import { tooMany } from './limits.ts';
import { Position } from './position.ts';
import type { SpaceRange } from './range.ts';
import { LAST_DEPTH, type TablePath } from './table-path.ts';

/** So far below 0 that no entry of a table there is above it. */
const NOWHERE = -4096;

/**
 * Where the pages of a table of the last depth are. One object for all of them: in each page, a number above 2^31 would be an object of
 * its own.
 */
export interface PagesOfTable {
  /** Number of the page of entry 0, in `[0, 2^52)`. */
  readonly firstPage: number;
}

/** Is asked about tables on a walk. */
export interface TableVisitor {
  /**
   * Whether to go through a table to which the path has just led.
   *
   * @param depth - of the table
   * @param position - where its part of the range begins
   */
  wants(depth: number, position: Position): boolean;
}

/**
 * Goes through the present pages of a range, ascending. An entry is read when the walk gets to it.
 */
export class TableWalk {
  /** The entry of the page found, by halves. */
  low = 0;
  high = 0;
  /** The index of that entry. */
  index = 0;
  /** The table that it is in. */
  table: PagesOfTable;
  readonly architecture: Architecture;
  private readonly path: TablePath;
  private readonly memory: PhysicalMemory;
  private readonly visitor: TableVisitor | undefined;
  /** Tables that may be entered, and those that were. */
  private readonly maxTables: number;
  private tables = 0;
  private readonly present: number;
  /** The first page of which no entry has been looked at, and how many there are from it on. */
  private readonly position: Position;
  private left: number;
  /** Where the table is in the memory's words, if that is known; far below 0 otherwise. */
  private place = NOWHERE;
  /** In the table: the next entry, and the one at which to stop. */
  private nextIndex = 0;
  private limit = 0;

  constructor(
    architecture: Architecture,
    path: TablePath,
    range: SpaceRange,
    maxTables: number,
    visitor?: TableVisitor,
  ) {
    this.architecture = architecture;
    this.present = architecture.facts.present;
    this.path = path;
    this.memory = path.memory;
    this.visitor = visitor;
    this.maxTables = maxTables;
    this.table = { firstPage: 0 };
    this.position = new Position(range.first);
    this.left = range.count;
  }

  /** Goes to the next present page. Returns whether there was one; afterwards there is none. */
  advance(): boolean {
    const { path, memory, present } = this;
    do {
      while (this.nextIndex < this.limit) {
        const index = this.nextIndex;
        this.nextIndex = index + 1;
        const at = this.place + (index << 1);
        const { words } = memory;
        let low: number;
        let high: number;
        // Memory that was detached has no words; reading through the path takes it up again.
        if (at >= 0 && at < words.length) {
          low = words[at] | 0;
          high = words[at + 1] | 0;
        } else {
          low = path.read(LAST_DEPTH, index);
          high = path.high;
        }
        if ((low & present) === present) {
          this.low = low;
          this.high = high;
          this.index = index;
          return true;
        }
      }
    } while (this.nextTable());
    return false;
  }

  /** Goes to the next table of the last depth. */
  private nextTable(): boolean {
    const { path, present, position, visitor } = this;
    while (this.left > 0) {
      const { depth } = position;
      const low = path.read(depth, position.index(depth));
      if ((low & present) === present) {
        path.enter(depth, low, path.high);
        this.tables += 1;
        if (this.tables > this.maxTables) throw tooMany('virtToPhys', 'tables', this.maxTables);
        if (visitor === undefined || visitor.wants(depth + 1, position)) {
          position.depth = depth + 1;
          if (position.depth < LAST_DEPTH) continue;
          this.startTable();
          this.left -= position.skip(LAST_DEPTH - 1);
          return true;
        }
      }
      this.left -= position.skip(depth);
    }
    return false;
  }

  private startTable(): void {
    const { architecture, position } = this;
    const index = position.index(LAST_DEPTH);
    const place = this.path.lastPlace();
    this.place = place < 0 ? NOWHERE : place;
    this.nextIndex = index;
    this.limit = Math.min(512, index + this.left);
    this.table = { firstPage: position.page(architecture.extendsSign) - index };
  }
}
