import { addressOf, hex64, hexPage } from 'tablewalk/bits';
import { rightsText } from 'tablewalk/format';
import { pageSizeText, pagesText, rangeText } from 'tablewalk/report';
import { FAULTY, HOLE, isWx, LEAF, MISSING, TABLE } from './map/atlas.ts';
import type { Names } from './map/draw.ts';
import { GAP, type Piece, type Scale } from './map/scale.ts';
import type { EntryText, SpaceInfo, Table, TableAt } from './protocol.ts';

/** What pieces of the map are called. */
export function namesOf(scale: Scale, spaces: readonly SpaceInfo[]): Names {
  return {
    entry: (piece) => entryName(piece, spaces),
    content: (piece) => contentText(scale, piece),
    address: (page) => `0x${addressOf(page).toString(16)}`,
  };
}

/** `PDE 432`, or `PDE 0 to 511` of a run. */
export function entryName({ space, depth, first, count }: Piece, spaces: readonly SpaceInfo[]): string {
  // There is not much room on the map.
  return depth < 0
    ? ''
    : entryLabel({ depth }, first, first + count - 1, spaces[space]).replace(
        /^(?:level-|L)(\d) (?:PTE|descriptor)/,
        'L$1',
      );
}

/** `PDE 432`, or `PDE 0 to 511`. */
export function entryLabel(
  { depth }: Pick<TableAt, 'depth'>,
  first: number,
  last: number,
  { levels }: Pick<SpaceInfo, 'levels'>,
): string {
  const { entry } = levels[depth];
  return first === last ? `${entry} ${first}` : `${entry} ${first} to ${last}`;
}

/** What a piece holds, in short: `37 × 2M rw-`. */
export function contentText(scale: Scale, piece: Piece): string {
  const { space, depth, cell, count } = piece;
  if (cell === GAP) return 'no canonical address';
  const shift = scale.atlases[space].orders[depth] + 12;
  if (cell >= LEAF) {
    const rights = cell & 63;
    const user = (rights & 7) !== 0;
    return `${count === 1 ? '' : `${count} × `}${pageSizeText(shift)} ${user ? 'user ' : ''}${rightsText(rights, user)}`;
  }
  const size = pagesText(count * 2 ** (shift - 12));
  if (cell === HOLE) return `${size} not mapped`;
  if (cell === MISSING) return 'not in image';
  if (cell === FAULTY) return 'reserved bits';
  return count === 1 ? `${size} by a table` : `one table, ${count} times`;
}

/** Everything that the map knows of a piece, for tooltips and for those who listen. */
export function pieceText(scale: Scale, spaces: readonly SpaceInfo[], piece: Piece): string[] {
  const { first, end } = scale.pagesOf(piece);
  const lines = [rangeText(first, end)];
  if (piece.cell === GAP) return [...lines, 'no address here is canonical: it belongs to neither half'];
  const [user, supervisor] = spaces[piece.space].privileges;
  const size = pagesText(end - first);
  const name = entryName(piece, spaces);
  if (piece.cell >= LEAF) {
    const shift = scale.atlases[piece.space].orders[piece.depth] + 12;
    const rights = piece.cell & 63;
    const pages =
      piece.count === 1
        ? `one ${pageSizeText(shift)} page`
        : `${piece.count} pages of ${pageSizeText(shift)}`;
    lines.push(`${size}: ${pages}, ${name}`);
    lines.push(`${user} ${rightsText(rights, true)}, ${supervisor} ${rightsText(rights, false)}`);
    if (isWx(piece.cell)) lines.push('can be written and executed');
    return lines;
  }
  const level = spaces[piece.space].levels[piece.depth + 1];
  const says: Record<number, string> = {
    [HOLE]: 'not mapped',
    [MISSING]: 'the table is not in the image: what it maps is not known',
    [FAULTY]: 'a reserved bit is set: every access faults',
    [TABLE]:
      piece.count === 1
        ? `a ${level?.table ?? 'table'}`
        : `the same ${level?.table ?? 'table'} ${piece.count} times`,
  };
  return [...lines, `${size}: ${says[piece.cell]}, ${name}`];
}

/** The value of an entry with all its digits. */
export function entryValue(value: bigint, { entryBytes }: Pick<SpaceInfo, 'entryBytes'>): string {
  return `0x${value.toString(16).padStart(entryBytes * 2, '0')}`;
}

/** A table as a key. */
export function tableKey({ space, depth, frame }: TableAt): string {
  return `${space} ${depth} ${frame}`;
}

/** `page table at 0x…`. */
export function tableName({ space, depth, frame }: TableAt, spaces: readonly SpaceInfo[]): string {
  const { levels, rootAddress } = spaces[space];
  // A root need not begin where a frame does.
  return `${levels[depth].table} at ${hex64(depth === 0 ? rootAddress : addressOf(frame))}`;
}

/** First linear address of an entry, on the first way that leads to its table. */
export function linearOf(
  table: Pick<Table, 'page' | 'order' | 'upperFrom'>,
  space: SpaceInfo,
  index: number,
): string {
  return hexPage(pageOfEntry(table, space, index));
}

/** First linear page of an entry, on the first way that leads to its table. */
export function pageOfEntry(
  { page, order, upperFrom }: Pick<Table, 'page' | 'order' | 'upperFrom'>,
  { highStart }: Pick<SpaceInfo, 'highStart'>,
  index: number,
): number {
  const span = 2 ** order;
  return index < upperFrom ? page + index * span : highStart + (index - upperFrom) * span;
}

/** The linear pages that a table maps on the first way that leads to it: of a root with both halves, two ranges. */
export function rangesOf(
  { page, order, count, upperFrom }: Pick<Table, 'page' | 'order' | 'count' | 'upperFrom'>,
  { highStart }: Pick<SpaceInfo, 'highStart'>,
): { first: number; end: number }[] {
  const span = 2 ** order;
  const lower = { first: page, end: page + Math.min(count, upperFrom) * span };
  return upperFrom < count
    ? [lower, { first: highStart, end: highStart + (count - upperFrom) * span }]
    : [lower];
}

/** Where an entry leads, in short: `page table at 0x…`; of one that leads nowhere, why. */
export function leadsWords(entry: EntryText, space: SpaceInfo): string {
  return entry.target === undefined ? entry.text : `${leadsName(entry, space)} at ${hex64(entry.target)}`;
}

/** What an entry leads to: `page table`, or `page`. */
export function leadsName({ leads }: EntryText, { levels }: SpaceInfo): string {
  return leads === undefined ? 'page' : levels[leads.depth].table;
}
