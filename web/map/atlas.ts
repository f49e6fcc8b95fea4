/**
 * The outline of an address space that the map draws from: every distinct table with what each of its entries is, in one
 * byte. A table that several entries share stands once for each set of rights that it inherits, so the outline is no larger than the
 * tables, also where they lead to themselves.
 */
export interface AtlasData {
  /** By node: depth of the table, counted from the root, 0. The root is node 0. */
  readonly depths: Uint8Array;
  /** By node: frame of the table. */
  readonly frames: Float64Array;
  /** By node: where its cells begin in {@link cells}. */
  readonly starts: Uint32Array;
  /** By node: what it holds, see {@link HAS_WX} and the others. */
  readonly marks: Uint8Array;
  /** By node: how much there is to see in it; a run of alike cells counts 1. */
  readonly riches: Float64Array;
  /** By node: pages of 4 KiB that it maps, by the colour that the map gives them: {@link CLASSES} numbers a node. */
  readonly pages: Float64Array;
  /** One byte an entry: {@link HOLE}, {@link TABLE}, {@link MISSING}, {@link FAULTY}, or {@link LEAF} and effective rights. */
  readonly cells: Uint8Array;
  /** By node: where its part of {@link children} begins; tables of the last level have none. */
  readonly childStarts: Int32Array;
  /** By cell of tables above the last level: the node that a {@link TABLE} leads to. */
  readonly children: Int32Array;
  /** By depth: entries in a table, and `log2` of the 4-KiB pages that one spans. */
  readonly counts: Uint32Array;
  readonly orders: Uint8Array;
  /** Pages `[0, lowEnd)` and `[highStart, 2^52)` are translated. */
  readonly lowEnd: number;
  readonly highStart: number;
}

/** An entry that is not present. */
export const HOLE = 0;
/** An entry that leads to a table. */
export const TABLE = 1;
/** An entry, or part of one, of which the table is not in the image. */
export const MISSING = 2;
/** An entry with a reserved bit set. */
export const FAULTY = 3;
/** An entry that maps a page; bits 5:0 are its effective rights, as in `tablewalk/format`. */
export const LEAF = 0x40;

/** {@link AtlasData.marks}: something in it can be written and executed by one privilege. */
export const HAS_WX = 1;
/** Part of it is not in the image. */
export const HAS_MISSING = 2;
/** An entry in it has a reserved bit set. */
export const HAS_FAULTY = 4;

/**
 * What the map shows of a page: rights of user pages, then of the kernel's own; `none` for pages that nobody may use.
 * Pages that one privilege may both write and execute are one class, whoever that is.
 */
export const CLASS_NAMES = [
  'wx',
  'user-rw',
  'user-rx',
  'user-r',
  'kernel-rw',
  'kernel-rx',
  'kernel-r',
  'none',
] as const;

/** One of {@link CLASS_NAMES}. */
export type ClassName = (typeof CLASS_NAMES)[number];

/** How many there are. */
export const CLASSES = CLASS_NAMES.length;

/** Index of the class of pages that one privilege may both write and execute. */
export const WX_CLASS = CLASS_NAMES.indexOf('wx');

/** By effective rights: the index of their class in {@link CLASS_NAMES}. */
export const CLASS_OF: Uint8Array = Uint8Array.from({ length: 64 }, (_, rights) => {
  const user = rights & 7;
  const kernel = rights >> 3;
  if ((user & 6) === 6 || (kernel & 6) === 6) return WX_CLASS;
  const [who, bits] = user === 0 ? (['kernel', kernel] as const) : (['user', user] as const);
  if (bits === 0) return CLASS_NAMES.indexOf('none');
  const what = (bits & 2) !== 0 ? 'rw' : (bits & 4) !== 0 ? 'rx' : 'r';
  return CLASS_NAMES.indexOf(`${who}-${what}`);
});

/** The node to which an entry of a node leads; -1 if it leads to no table. */
export function childOf(
  { cells, childStarts, children, starts }: AtlasData,
  node: number,
  index: number,
): number {
  return cells[starts[node] + index] === TABLE ? children[childStarts[node] + index] : -1;
}

/** Whether a cell is a page that one privilege may both write and execute. */
export function isWx(cell: number): boolean {
  return cell >= LEAF && CLASS_OF[cell & 63] === WX_CLASS;
}

/** A run of alike cells of one table. */
export interface Run {
  /** Index of its first cell. */
  readonly first: number;
  readonly count: number;
  /** What {@link AtlasData.cells} holds of each. */
  readonly cell: number;
  /** The node, of a {@link TABLE}; -1 otherwise. */
  readonly child: number;
}

/** Entries that lead to one table, from which they are one run, as in the rows of `maps`. */
const FOLD_FROM = 3;

/** The runs of a table: alike neighbours as one; entries that lead to the same table from {@link FOLD_FROM} on. */
export function runsOf(atlas: AtlasData, node: number): Run[] {
  const { cells, childStarts, children, counts, depths, starts } = atlas;
  const start = starts[node];
  const childStart = childStarts[node];
  const count = counts[depths[node]];
  const runs: Run[] = [];
  for (let i = 0; i < count; ) {
    const cell = cells[start + i];
    const child = cell === TABLE ? children[childStart + i] : -1;
    let end = i + 1;
    while (end < count && cells[start + end] === cell && (child < 0 || children[childStart + end] === child))
      end += 1;
    if (child >= 0 && end - i < FOLD_FROM) end = i + 1;
    runs.push({ first: i, count: end - i, cell, child });
    i = end;
  }
  return runs;
}

/** First page of an entry of a table whose own first page is given, counted without the hole between two halves. */
export function entryPage(atlas: AtlasData, depth: number, page: number, index: number): number {
  return page + index * 2 ** atlas.orders[depth];
}

/** A page counted without the hole, as an address has it. */
export function linearPage({ lowEnd, highStart }: AtlasData, page: number): number {
  return page >= lowEnd ? page + (highStart - lowEnd) : page;
}

/** The reverse; pages in the hole are those at its lower end. */
export function countedPage({ lowEnd, highStart }: AtlasData, page: number): number {
  return page >= highStart ? page - (highStart - lowEnd) : Math.min(page, lowEnd);
}

/** The memory of outlines, which can be handed to the page instead of being copied. */
export function buffersOf(atlases: readonly AtlasData[]): ArrayBufferLike[] {
  return atlases.flatMap((atlas) =>
    Object.values(atlas).flatMap((part) => (ArrayBuffer.isView(part) ? [part.buffer] : [])),
  );
}
