import {
  andRights,
  type CompiledFormat,
  entryOrder,
  lastIndex,
  orRights,
  type Paging,
  withoutHole,
} from 'tablewalk/format';
import type { PhysicalMemory } from 'tablewalk/memory';
import {
  Cursor,
  DONE,
  FAULTY as FAULTY_ENTRY,
  MISSING as MISSING_TABLE,
  PAGE,
  TABLE as TABLE_ENTRY,
} from 'tablewalk/walk';
import {
  type AtlasData,
  CLASS_OF,
  CLASSES,
  FAULTY,
  HAS_FAULTY,
  HAS_MISSING,
  HAS_WX,
  HOLE,
  LEAF,
  MISSING,
  TABLE,
} from '../map/atlas.ts';

/** Outlines the tables that a root reaches. Its arrays are exactly as long as they need to be: they can be handed over. */
export function buildAtlas(memory: PhysicalMemory, paging: Paging): AtlasData {
  return new Builder(memory, paging).build();
}

class Builder {
  private readonly memory: PhysicalMemory;
  private readonly paging: Paging;
  private readonly counts: Uint32Array;
  private readonly orders: Uint8Array;
  /** Nodes by frame, depth and inherited rights. */
  private readonly known = new Map<string, number>();
  private readonly depths: number[] = [];
  private readonly frames: number[] = [];
  private readonly starts: number[] = [];
  private readonly marks: number[] = [];
  private readonly riches: number[] = [];
  private readonly pages: number[] = [];
  private cells = new Uint8Array(1 << 16);
  private children = new Int32Array(1 << 16);
  private used = 0;

  constructor(memory: PhysicalMemory, paging: Paging) {
    const { levels, facts } = paging.format;
    this.memory = memory;
    this.paging = paging;
    this.counts = Uint32Array.from({ length: levels }, (_, depth) => lastIndex(facts, depth) + 1);
    this.orders = Uint8Array.from({ length: levels }, (_, depth) => entryOrder(facts, depth));
  }

  build(): AtlasData {
    this.node(0, this.paging.root.frame, -1, 0);
    const { lowEnd, highStart } = this.paging.format;
    return {
      depths: Uint8Array.from(this.depths),
      frames: Float64Array.from(this.frames),
      starts: Uint32Array.from(this.starts),
      marks: Uint8Array.from(this.marks),
      riches: Float64Array.from(this.riches),
      pages: Float64Array.from(this.pages),
      cells: this.cells.slice(0, this.used),
      // Cells of the last level lead nowhere; where they were the last to come, nothing is kept for them.
      children: this.children.slice(0, this.used),
      counts: this.counts,
      orders: this.orders,
      lowEnd,
      highStart,
    };
  }

  /** The node of a table, made if it is new. Depths only grow, so this ends. */
  private node(depth: number, frame: number, and: number, or: number): number {
    const key = `${frame} ${depth} ${and} ${or}`;
    const known = this.known.get(key);
    if (known !== undefined) return known;
    const node = this.depths.length;
    this.known.set(key, node);
    const start = this.room(this.counts[depth]);
    this.depths.push(depth);
    this.frames.push(frame);
    this.starts.push(start);
    this.marks.push(0);
    this.riches.push(0);
    for (let i = 0; i < CLASSES; i += 1) this.pages.push(0);
    this.fill(node, start, depth, frame, and, or);
    this.sumUp(node, start, depth);
    return node;
  }

  private room(count: number): number {
    const start = this.used;
    this.used += count;
    if (this.used > this.cells.length) {
      const length = Math.max(this.used, this.cells.length * 2);
      const cells = new Uint8Array(length);
      cells.set(this.cells);
      this.cells = cells;
      const children = new Int32Array(length);
      children.set(this.children);
      this.children = children;
    }
    return start;
  }

  /** Reads a table's entries. */
  private fill(node: number, start: number, depth: number, frame: number, and: number, or: number): void {
    const { format } = this.paging;
    const { facts } = format;
    const order = this.orders[depth];
    const cursor = new Cursor(this.memory, this.paging);
    cursor.start({ depth, frame, page: 0, and, or });
    let lowBefore = -1;
    let highBefore = -1;
    let cellBefore = 0;
    for (let event = cursor.next(); event !== DONE; event = cursor.next()) {
      const at = start + indexIn(format, depth, order, cursor.page);
      switch (event) {
        case PAGE: {
          const { low, high } = cursor;
          // Rights stand in the lowest and the highest bits; neighbours have most of them alike.
          if ((low & 0xfff) !== lowBefore || high !== highBefore) {
            lowBefore = low & 0xfff;
            highBefore = high;
            cellBefore = LEAF | this.paging.rights(and, or, low, high);
          }
          const more = cursor.skipAlike();
          this.cells.fill(cellBefore, at, at + 1 + more);
          break;
        }
        case TABLE_ENTRY: {
          cursor.skip();
          this.cells[at] = TABLE;
          const child = this.node(
            depth + 1,
            cursor.frame,
            andRights(facts, depth, and, cursor.low),
            orRights(facts, depth, or, cursor.high),
          );
          this.children[at] = child;
          this.marks[node] |= this.marks[child];
          break;
        }
        case MISSING_TABLE:
          this.cells.fill(MISSING, at, at + 2 ** (cursor.order - order));
          this.marks[node] |= HAS_MISSING;
          break;
        case FAULTY_ENTRY:
          this.cells[at] = FAULTY;
          this.marks[node] |= HAS_FAULTY;
          break;
      }
    }
  }

  /** Sums up what a table holds, once all below it is known. */
  private sumUp(node: number, start: number, depth: number): void {
    const end = start + this.counts[depth];
    const span = 2 ** this.orders[depth];
    const wx = 0;
    let rich = 0;
    let before = -1;
    let childBefore = -1;
    for (let at = start; at < end; at += 1) {
      const cell = this.cells[at];
      const child = cell === TABLE ? this.children[at] : -1;
      if (cell !== before || child !== childBefore) rich += child < 0 ? 1 : this.riches[child];
      before = cell;
      childBefore = child;
      if (child >= 0) {
        for (let i = 0; i < CLASSES; i += 1)
          this.pages[node * CLASSES + i] += this.pages[child * CLASSES + i];
      } else if (cell >= LEAF) {
        const kind = CLASS_OF[cell & 63];
        this.pages[node * CLASSES + kind] += span;
      }
    }
    if (this.pages[node * CLASSES + wx] > 0) this.marks[node] |= HAS_WX;
    // A table without anything in it is no more than a hole.
    this.riches[node] = rich === 1 && before === HOLE ? 0 : rich;
  }
}

/** Index of an entry whose first page a cursor gave that started at page 0. */
function indexIn(format: CompiledFormat, depth: number, order: number, page: number): number {
  return Math.floor((depth === 0 ? withoutHole(format, page) : page) / 2 ** order);
}
