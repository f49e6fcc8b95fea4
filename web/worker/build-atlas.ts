import { PageTableError } from 'tablewalk/bits';
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
  WX_CLASS,
} from '../map/atlas.ts';

/** Slots of the rights that are kept; a power of two. */
const KNOWN_RIGHTS = 4096;

/** Tables in an outline at most, each counted once for every depth and every set of rights that it inherits. */
const MAX_NODES = 1 << 18;

/**
 * Outlines the tables that a root reaches, and tells after each how many were done. The arrays are exactly as long as they need
 * to be: they can be handed over.
 *
 * @throws {@link PageTableError} `LIMIT_EXCEEDED` if there are more than {@link MAX_NODES}
 */
export function* outlineTables(memory: PhysicalMemory, paging: Paging): Generator<number, AtlasData> {
  return yield* new Builder(memory, paging).build();
}

/** The same at one go. */
export function buildAtlas(memory: PhysicalMemory, paging: Paging): AtlasData {
  const steps = outlineTables(memory, paging);
  let step = steps.next();
  while (!step.done) step = steps.next();
  return step.value;
}

/** An entry that leads to a table: its place among the cells, and what the table is. */
interface Lead {
  readonly at: number;
  readonly frame: number;
  readonly and: number;
  readonly or: number;
}

class Builder {
  private readonly memory: PhysicalMemory;
  private readonly paging: Paging;
  private readonly counts: Uint32Array;
  private readonly orders: Uint8Array;
  /** By depth: what is inherited there, and with each the nodes by frame. It is of few kinds, since few bits count. */
  private readonly known: {
    readonly and: number;
    readonly or: number;
    readonly nodes: Map<number, number>;
  }[][];
  private readonly depths: number[] = [];
  private readonly frames: number[] = [];
  private readonly starts: number[] = [];
  private readonly marks: number[] = [];
  private readonly riches: number[] = [];
  private readonly pages: number[] = [];
  private readonly childStarts: number[] = [];
  private children = new Int32Array(1 << 14);
  private childrenUsed = 0;
  private cells = new Uint8Array(1 << 16);
  private used = 0;
  /** Rights that were worked out: of which bits of an entry and of those above, and what they are. */
  private readonly knownBits = new Int32Array(4 * KNOWN_RIGHTS);
  private readonly knownRights = new Uint8Array(KNOWN_RIGHTS);

  constructor(memory: PhysicalMemory, paging: Paging) {
    const { levels, facts } = paging.format;
    this.memory = memory;
    this.paging = paging;
    this.counts = Uint32Array.from({ length: levels }, (_, depth) => lastIndex(facts, depth) + 1);
    this.orders = Uint8Array.from({ length: levels }, (_, depth) => entryOrder(facts, depth));
    this.known = Array.from({ length: levels }, () => []);
  }

  *build(): Generator<number, AtlasData> {
    yield* this.node(0, this.paging.root.frame, -1, 0);
    const { lowEnd, highStart } = this.paging.format;
    return {
      depths: Uint8Array.from(this.depths),
      frames: Float64Array.from(this.frames),
      starts: Uint32Array.from(this.starts),
      marks: Uint8Array.from(this.marks),
      riches: Float64Array.from(this.riches),
      pages: Float64Array.from(this.pages),
      cells: this.cells.slice(0, this.used),
      childStarts: Int32Array.from(this.childStarts),
      children: this.children.slice(0, this.childrenUsed),
      counts: this.counts,
      orders: this.orders,
      lowEnd,
      highStart,
    };
  }

  /** The node of a table, made if it is new. Depths only grow, so this ends. */
  private *node(depth: number, frame: number, and: number, or: number): Generator<number, number> {
    const nodes = this.nodesOf(depth, and, or);
    const known = nodes.get(frame);
    if (known !== undefined) return known;
    const node = this.depths.length;
    if (node === MAX_NODES) {
      throw new PageTableError(
        'LIMIT_EXCEEDED',
        `map: more than ${MAX_NODES} tables, of which each counts once for every depth and all rights that it inherits`,
        { maxTables: MAX_NODES },
      );
    }
    nodes.set(frame, node);
    const start = this.room(this.counts[depth]);
    this.depths.push(depth);
    this.frames.push(frame);
    this.starts.push(start);
    const leads = depth < this.counts.length - 1;
    this.childStarts.push(leads ? this.childRoom(this.counts[depth]) : 0);
    this.marks.push(0);
    this.riches.push(0);
    for (let i = 0; i < CLASSES; i += 1) this.pages.push(0);
    for (const lead of this.fill(node, start, depth, frame, and, or)) {
      const child = yield* this.node(depth + 1, lead.frame, lead.and, lead.or);
      this.children[this.childStarts[node] + lead.at - start] = child;
      this.marks[node] |= this.marks[child];
    }
    this.sumUp(node, start, depth);
    yield this.depths.length;
    return node;
  }

  private nodesOf(depth: number, and: number, or: number): Map<number, number> {
    const kinds = this.known[depth];
    const kind = kinds.find((one) => one.and === and && one.or === or);
    if (kind !== undefined) return kind.nodes;
    const nodes = new Map<number, number>();
    kinds.push({ and, or, nodes });
    return nodes;
  }

  private childRoom(count: number): number {
    const start = this.childrenUsed;
    this.childrenUsed += count;
    if (this.childrenUsed > this.children.length) {
      const children = new Int32Array(Math.max(this.childrenUsed, this.children.length * 2));
      children.set(this.children);
      this.children = children;
    }
    this.children.fill(-1, start, this.childrenUsed);
    return start;
  }

  private room(count: number): number {
    const start = this.used;
    this.used += count;
    if (this.used > this.cells.length) {
      const length = Math.max(this.used, this.cells.length * 2);
      const cells = new Uint8Array(length);
      cells.set(this.cells);
      this.cells = cells;
    }
    return start;
  }

  /** Reads a table's entries, and gives those that lead to tables. */
  private fill(node: number, start: number, depth: number, frame: number, and: number, or: number): Lead[] {
    const leads: Lead[] = [];
    const { format } = this.paging;
    const { facts } = format;
    const order = this.orders[depth];
    const cursor = new Cursor(this.memory, this.paging);
    cursor.start({ depth, frame, page: 0, and, or });
    for (let event = cursor.next(); event !== DONE; event = cursor.next()) {
      const at = start + indexIn(format, depth, order, cursor.page);
      switch (event) {
        case PAGE: {
          const cell = LEAF | this.rights(and, or, cursor.low, cursor.high);
          const more = cursor.skipAlike();
          if (more === 0) this.cells[at] = cell;
          else this.cells.fill(cell, at, at + 1 + more);
          break;
        }
        case TABLE_ENTRY: {
          cursor.skip();
          this.cells[at] = TABLE;
          leads.push({
            at,
            frame: cursor.frame,
            and: andRights(facts, depth, and, cursor.low),
            or: orRights(facts, depth, or, cursor.high),
          });
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
    return leads;
  }

  /** Effective rights of a page; many have the same bits. They stand in the lowest 12 and the highest 12 of an entry. */
  private rights(and: number, or: number, low: number, high: number): number {
    const bits = low & 0xfff;
    const slot = (bits ^ ((high >>> 20) * 5)) & (KNOWN_RIGHTS - 1);
    const known = this.knownBits;
    const i = 4 * slot;
    // No entry that is present has low bits of 0, as an empty slot has.
    if (known[i] === bits && known[i + 1] === high && known[i + 2] === and && known[i + 3] === or) {
      return this.knownRights[slot];
    }
    const rights = this.paging.rights(and, or, low, high);
    known[i] = bits;
    known[i + 1] = high;
    known[i + 2] = and;
    known[i + 3] = or;
    this.knownRights[slot] = rights;
    return rights;
  }

  /** Sums up what a table holds, once all below it is known. */
  private sumUp(node: number, start: number, depth: number): void {
    const end = start + this.counts[depth];
    const span = 2 ** this.orders[depth];
    let rich = 0;
    let before = -1;
    let childBefore = -1;
    for (let at = start; at < end; at += 1) {
      const cell = this.cells[at];
      const child = cell === TABLE ? this.children[this.childStarts[node] + at - start] : -1;
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
    if (this.pages[node * CLASSES + WX_CLASS] > 0) this.marks[node] |= HAS_WX;
    // A table without anything in it is no more than a hole.
    this.riches[node] = rich === 1 && before === HOLE ? 0 : rich;
  }
}

/** Index of an entry whose first page a cursor gave that started at page 0. */
function indexIn(format: CompiledFormat, depth: number, order: number, page: number): number {
  return Math.floor((depth === 0 ? withoutHole(format, page) : page) / 2 ** order);
}
