import {
  type AtlasData,
  countedPage,
  entryPage,
  HOLE,
  isWx,
  LEAF,
  linearPage,
  type Run,
  runsOf,
  TABLE,
} from './atlas.ts';

/** What lies between the two halves: no address there is canonical. Stands beside what `AtlasData.cells` holds. */
export const GAP = 4;

/**
 * A piece of the map. `left` and `right` are positions: the whole map is `[0, 1]`, and all positions grow with addresses.
 */
export interface Piece extends Run {
  readonly space: number;
  /** The table in which it lies, and its depth; -1 of what lies outside of all tables. */
  readonly node: number;
  readonly depth: number;
  readonly left: number;
  readonly right: number;
  /** First page of the piece, counted without the hole. */
  readonly page: number;
}

/** The runs of one table, and where they end: the table is `[0, 1]`. */
interface Layout {
  readonly runs: readonly Run[];
  readonly edges: Float64Array;
}

/** Runs of which the layout is kept, and of one table more. */
const MAX_RUNS = 1 << 19;

/**
 * The compressed scale of the map. Each table divides its width among its runs: a hole gets little however large it is, pages get
 * more the more there are of them, a table by the root of how much there is to see in it. So the order of addresses is kept, and nothing
 * gets lost among terabytes of nothing.
 */
export class Scale {
  readonly atlases: readonly AtlasData[];
  /** Levels of the space that has most. */
  readonly levels: number;
  private readonly layouts = new Map<number, Layout>();
  /** Runs in those. */
  private kept = 0;
  /** Where each space begins and ends. */
  private readonly bounds: readonly { readonly left: number; readonly right: number }[];

  constructor(atlases: readonly AtlasData[]) {
    this.atlases = atlases;
    this.levels = Math.max(...atlases.map(({ counts }) => counts.length));
    const gap = 1.5;
    const weights = atlases.map(({ riches }) => Math.sqrt(riches[0]) + 1);
    const sum = weights.reduce((a, b) => a + b, 0) + gap * (atlases.length - 1);
    let at = 0;
    this.bounds = weights.map((weight) => {
      const left = at / sum;
      at += weight;
      const right = at / sum;
      at += gap;
      return { left, right };
    });
  }

  /** Calls `visit` for the pieces at the top: those of the roots, and what lies between. */
  top(from: number, to: number, visit: (piece: Piece) => void): void {
    this.bounds.forEach(({ left, right }, space) => {
      this.table(space, 0, 0, left, right, from, to, visit);
      const next = this.bounds[space + 1];
      if (next === undefined || next.left < from || right > to) return;
      visit(this.outside(space, right, next.left));
    });
  }

  /** Calls `visit` for the pieces of the table to which a piece leads, as far as they reach into `[from, to]`. */
  below(piece: Piece, from: number, to: number, visit: (piece: Piece) => void): void {
    if (piece.child < 0) return;
    this.table(piece.space, piece.child, piece.page, piece.left, piece.right, from, to, visit);
  }

  /** The pieces at a position, from the root down, as deep as they go. */
  path(position: number): Piece[] {
    const pieces: Piece[] = [];
    const take = (piece: Piece) => {
      if (piece.left <= position && position < piece.right && pieces[pieces.length - 1]?.node !== piece.node)
        pieces.push(piece);
    };
    this.top(position, position, take);
    for (let last = pieces[pieces.length - 1]; last !== undefined && last.child >= 0; ) {
      const { length } = pieces;
      this.below(last, position, position, take);
      if (pieces.length === length) break;
      last = pieces[length];
    }
    return pieces;
  }

  /**
   * Where a linear page lies; positions of its first byte and of its end. Pages between the spaces lie in the gap there, those
   * below or above the only space at its end.
   */
  place(page: number): { space: number; left: number; right: number } {
    const space = this.spaceOf(page);
    if (space < 0) {
      // Of two halves, the upper one can be the only one that is read.
      const isBelow = this.atlases[0].lowEnd === 0 && page < this.atlases[0].highStart;
      const left = isBelow ? 0 : this.bounds[0].right;
      return { space: 0, left, right: isBelow ? 0 : (this.bounds[1]?.left ?? left) };
    }
    const atlas = this.atlases[space];
    const counted = countedPage(atlas, page);
    let { left, right } = this.bounds[space];
    let node = 0;
    let first = 0;
    for (;;) {
      const depth = atlas.depths[node];
      const layout = this.layout(space, node);
      const index = Math.min(
        Math.floor((counted - first) / 2 ** atlas.orders[depth]),
        atlas.counts[depth] - 1,
      );
      const i = layout.runs.findIndex((run) => run.cell !== GAP && index < run.first + run.count);
      const run = layout.runs[i];
      const width = right - left;
      const start = left + (i === 0 ? 0 : layout.edges[i - 1]) * width;
      const end = left + layout.edges[i] * width;
      if (run.child < 0) {
        const each = (end - start) / run.count;
        // A part of an entry that maps more than one page.
        const span = 2 ** atlas.orders[depth];
        const from = start + (index - run.first) * each;
        const within = (counted - first - index * span) / span;
        return { space, left: from + within * each, right: from + (within + 1 / span) * each };
      }
      left = start;
      right = end;
      first = entryPage(atlas, depth, first, index);
      node = run.child;
    }
  }

  /** The linear page at a position. */
  pageAt(position: number): number {
    const pieces = this.path(Math.min(Math.max(position, 0), 1 - 2 ** -52));
    const piece = pieces[pieces.length - 1];
    if (piece === undefined) return 0;
    const atlas = this.atlases[piece.space];
    if (piece.cell === GAP) return atlas.lowEnd;
    const span = 2 ** atlas.orders[piece.depth];
    const within = (position - piece.left) / (piece.right - piece.left);
    const page = piece.page + Math.floor(Math.max(0, within) * piece.count * span);
    return linearPage(atlas, Math.min(page, piece.page + piece.count * span - 1));
  }

  /** The first page of a piece and one past its last, as addresses have them. Of repeated tables, all copies. */
  pagesOf(piece: Piece): { first: number; end: number } {
    const atlas = this.atlases[piece.space];
    if (piece.cell === GAP) {
      const next = this.atlases[piece.space + 1];
      return next === undefined
        ? { first: atlas.lowEnd, end: atlas.highStart }
        : { first: atlas.lowEnd, end: next.highStart };
    }
    const first = linearPage(atlas, piece.page);
    return { first, end: first + piece.count * 2 ** atlas.orders[piece.depth] };
  }

  /** The space in which a page lies; -1 if in none. */
  spaceOf(page: number): number {
    return this.atlases.findIndex(({ lowEnd, highStart }) => page < lowEnd || page >= highStart);
  }

  private outside(space: number, left: number, right: number): Piece {
    return { space, node: -1, depth: -1, first: 0, count: 0, cell: GAP, child: -1, left, right, page: 0 };
  }

  private table(
    space: number,
    node: number,
    page: number,
    left: number,
    right: number,
    from: number,
    to: number,
    visit: (piece: Piece) => void,
  ): void {
    const atlas = this.atlases[space];
    const { runs, edges } = this.layout(space, node);
    const depth = atlas.depths[node];
    const width = right - left;
    // The first run that ends behind `from`.
    let low = 0;
    let high = runs.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (left + edges[middle] * width <= from) low = middle + 1;
      else high = middle;
    }
    for (let i = low; i < runs.length; i += 1) {
      const start = left + (i === 0 ? 0 : edges[i - 1]) * width;
      if (start > to) return;
      const run = runs[i];
      visit({
        space,
        node,
        depth,
        first: run.first,
        count: run.count,
        cell: run.cell,
        child: run.child,
        left: start,
        right: left + edges[i] * width,
        page: entryPage(atlas, depth, page, run.first),
      });
    }
  }

  private layout(space: number, node: number): Layout {
    const key = node * this.atlases.length + space;
    const known = this.layouts.get(key);
    if (known !== undefined) return known;
    if (this.kept >= MAX_RUNS) {
      this.layouts.clear();
      this.kept = 0;
    }
    const atlas = this.atlases[space];
    const runs = node === 0 ? withGap(atlas, runsOf(atlas, node)) : runsOf(atlas, node);
    const edges = new Float64Array(runs.length);
    let sum = 0;
    runs.forEach((run, i) => {
      sum += weightOf(atlas, run);
      edges[i] = sum;
    });
    for (let i = 0; i < edges.length; i += 1) edges[i] /= sum;
    const layout = { runs, edges };
    this.layouts.set(key, layout);
    this.kept += runs.length;
    return layout;
  }
}

function weightOf(atlas: AtlasData, { cell, child, count }: Run): number {
  if (cell === TABLE) return atlas.riches[child] === 0 ? 0.2 : 1 + Math.sqrt(atlas.riches[child]);
  // What can be written and executed must not be overlooked.
  if (cell >= LEAF) return (1 + Math.log2(count) / 2) * (isWx(cell) ? 4 : 1);
  return cell === HOLE ? 0.8 + Math.log2(count) / 12 : 1;
}

/** Parts the runs of a root where its lower half ends, and puts the gap between. */
function withGap({ lowEnd, highStart, orders, counts }: AtlasData, runs: readonly Run[]): Run[] {
  const at = Math.floor(lowEnd / 2 ** orders[0]);
  if (highStart <= lowEnd || at <= 0 || at >= counts[0]) return [...runs];
  const parted: Run[] = [];
  for (const run of runs) {
    const end = run.first + run.count;
    if (run.first < at && end <= at) parted.push(run);
    if (run.first < at && end > at) parted.push({ ...run, count: at - run.first });
    if (run.first <= at && end > at) parted.push({ first: at, count: 0, cell: GAP, child: -1 });
    if (run.first < at && end > at) parted.push({ ...run, first: at, count: end - at });
    if (run.first >= at) parted.push(run);
  }
  return parted;
}
