import { entryOrder, lastIndex, type Paging, withoutHole } from '../format/index.ts';
import type { PhysicalMemory } from '../memory/index.ts';
import { Cursor, DONE, MISSING, TABLE } from '../walk/index.ts';

/** Neighbouring entries of one table that lead to one and the same table. */
export interface TableParent {
  /** First frame of the table in which they are. */
  readonly frame: number;
  /** Its depth, counted from the root, 0. */
  readonly depth: number;
  /** Index of the first of them. */
  readonly index: number;
  /** How many they are. */
  readonly count: number;
}

/** A table at one depth. */
export interface IndexedTable {
  /** First frame of the table. */
  readonly frame: number;
  /** Counted from the root, 0. */
  readonly depth: number;
  /** First 4-KiB page of the lowest range for which it is used. */
  readonly first: number;
  /** How many ranges it is used for: ways of entries that lead from the root to it. Exact, below 2^52. */
  readonly ways: number;
  /** How many entries lead to it. */
  readonly entries: number;
}

const NO_EDGE = -1;
const FIRST_EDGES = 1024;
/** Runs of entries that are kept: four million, of 16 bytes each. */
const MAX_EDGES = 2 ** 22;

/**
 * Every table that a root leads to, and what leads to it. A table is one for each depth at which it is used; its number is
 * its place in the order of depths, the root's is 0.
 *
 * Tables of the last level lead to no others and are not read; each other one is read once per depth, so that time and memory
 * are bounded by the size of the tables, also where they point at themselves. A table that is not in memory is in the index
 * as well. It shows the tables as they were when it was made.
 */
export class TableIndex {
  /** Tables, counted once for each depth at which they are used. */
  readonly size: number;
  /** Tables above the last level of which not every frame is in memory. */
  readonly missing: number;
  private readonly paging: Paging;
  private readonly frames: number[] = [];
  private readonly firsts: number[] = [];
  private readonly ways: number[] = [];
  private readonly entries: number[] = [];
  /** By depth: number of its first table; the end of the last depth comes last. */
  private readonly starts: number[] = [0];
  /** By depth: numbers by frame. */
  private readonly numbers: Map<number, number>[];
  /** By table: the last of its runs of entries; the runs of a table are chained, last to first. */
  private readonly lastEdge: number[] = [];
  private edges = 0;
  /** By run: the one before, number of the table it is in, index, count. */
  private edge = new Int32Array(4 * FIRST_EDGES);

  constructor(memory: PhysicalMemory, paging: Paging) {
    const { levels } = paging.format;
    this.paging = paging;
    this.numbers = Array.from({ length: levels }, () => new Map<number, number>());
    this.add(0, paging.root.frame, 0);
    this.ways[0] = 1;
    this.firsts[0] = paging.format.lowEnd === 0 ? paging.format.highStart : 0;
    const cursor = new Cursor(memory, paging);
    let missing = 0;
    for (let depth = 0; depth < levels; depth += 1) {
      this.starts.push(this.frames.length);
      if (depth === levels - 1) break;
      for (let table = this.starts[depth]; table < this.starts[depth + 1]; table += 1) {
        if (this.read(cursor, table, depth)) missing += 1;
      }
    }
    this.size = this.frames.length;
    this.missing = missing;
  }

  /**
   * The number of a table.
   *
   * @param depth - counted from the root, 0
   * @param frame - its first frame
   * @returns `undefined` if it is not used at that depth
   */
  numberOf(depth: number, frame: number): number | undefined {
    return this.numbers[depth]?.get(frame);
  }

  /**
   * A table by its number.
   *
   * @param table - a whole number in `[0, size)`
   */
  table(table: number): IndexedTable {
    return {
      frame: this.frames[table],
      depth: this.depthOf(table),
      first: this.firsts[table],
      ways: this.ways[table],
      entries: this.entries[table],
    };
  }

  /**
   * The entries that lead to a table; none for the root as such. Neighbours are one. Not all are kept where there are more than
   * four million in the index: `entries` of the table has their number.
   *
   * @param table - its number
   */
  parents(table: number): TableParent[] {
    const list: TableParent[] = [];
    const { edge } = this;
    for (let at = this.lastEdge[table]; at !== NO_EDGE; at = edge[4 * at]) {
      const parent = edge[4 * at + 1];
      list.push({
        frame: this.frames[parent],
        depth: this.depthOf(parent),
        index: edge[4 * at + 2],
        count: edge[4 * at + 3],
      });
    }
    return list.reverse();
  }

  /**
   * The tables that lie in a range of frames, at every depth at which they are used.
   *
   * @param first - frame
   * @param end - one past the last frame
   * @returns their numbers, lowest depth first
   */
  within(first: number, end: number): number[] {
    const list: number[] = [];
    const { facts, entryShift, levels } = this.paging.format;
    for (let depth = 0; depth < levels; depth += 1) {
      // Frames of one table; a root smaller than a frame lies in one.
      const size = Math.max(1, ((lastIndex(facts, depth) + 1) << entryShift) / 1024);
      for (let table = this.starts[depth]; table < this.starts[depth + 1]; table += 1) {
        if (this.frames[table] < end && this.frames[table] + size > first) list.push(table);
      }
    }
    return list;
  }

  private depthOf(table: number): number {
    let depth = 0;
    while (table >= this.starts[depth + 1]) depth += 1;
    return depth;
  }

  /** Adds what a table leads to. Returns whether a part of it is missing. */
  private read(cursor: Cursor, table: number, depth: number): boolean {
    const { format } = this.paging;
    const span = 2 ** entryOrder(format.facts, depth);
    const base = depth === 0 ? 0 : this.firsts[table];
    const ways = this.ways[table];
    let missing = false;
    cursor.start({ depth, frame: this.frames[table], page: 0 });
    for (let event = cursor.next(); event !== DONE; event = cursor.next()) {
      if (event === MISSING) missing = true;
      if (event !== TABLE) continue;
      cursor.skip();
      const { frame, page } = cursor;
      const child = this.numbers[depth + 1].get(frame) ?? this.add(depth + 1, frame, base + page);
      this.ways[child] += ways;
      this.firsts[child] = Math.min(this.firsts[child], base + page);
      // The root's pages have a hole between them that its entries have not.
      this.link(child, table, (depth === 0 ? withoutHole(format, page) : page) / span);
    }
    return missing;
  }

  private add(depth: number, frame: number, first: number): number {
    const table = this.frames.length;
    this.frames.push(frame);
    this.firsts.push(first);
    this.ways.push(0);
    this.entries.push(0);
    this.lastEdge.push(NO_EDGE);
    this.numbers[depth].set(frame, table);
    return table;
  }

  private link(child: number, parent: number, index: number): void {
    this.entries[child] += 1;
    const last = 4 * this.lastEdge[child];
    if (last >= 0 && this.edge[last + 1] === parent && this.edge[last + 2] + this.edge[last + 3] === index) {
      this.edge[last + 3] += 1;
      return;
    }
    if (this.edges === MAX_EDGES) return;
    const at = 4 * this.edges;
    if (at === this.edge.length) {
      const more = new Int32Array(2 * at);
      more.set(this.edge);
      this.edge = more;
    }
    this.edge[at] = this.lastEdge[child];
    this.edge[at + 1] = parent;
    this.edge[at + 2] = index;
    this.edge[at + 3] = 1;
    this.lastEdge[child] = this.edges;
    this.edges += 1;
  }
}

/** Indexes the tables that a root leads to: {@link TableIndex}. */
export function tableIndex(memory: PhysicalMemory, paging: Paging): TableIndex {
  return new TableIndex(memory, paging);
}
