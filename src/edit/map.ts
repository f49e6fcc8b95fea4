import { addressOf, hex, hex64, PageTableError } from '../bits/index.ts';
import type { AttributeBits } from './attributes.ts';
import { Change, type EditedTable, FILL, FILL_GROUPS } from './change.ts';
import { BREAKS, compare, STALE } from './compare.ts';
import { drop, holdsNothing } from './drop.ts';
import type { Edit } from './edit.ts';
import { ungroup } from './group.ts';
import { conflict } from './in-the-way.ts';
import { PAGES, TABLES } from './invalidation.ts';
import { widen } from './widen.ts';

/** What is done where something is mapped already. */
export type Overlap = 'refuse' | 'replace' | 'keep';

/** Pages to be mapped, one behind the other in both spaces. */
export interface Filling extends AttributeBits {
  /** What is added to the number of a page to get its frame. */
  readonly delta: number;
  /** `log2` of the 4-KiB pages that a page may have at most. */
  readonly maxOrder: number;
  /** Whether contiguous groups are made. */
  readonly groups: boolean;
}

/**
 * Maps a range with the largest pages that fit.
 *
 * @param first - first page, counted without the hole between two halves
 * @param end - one past the last
 * @throws {@link PageTableError} `ALREADY_MAPPED` if something is there and `overlap` is `refuse`; what reading tables throws
 */
export function mapRange(
  edit: Edit,
  table: EditedTable,
  first: number,
  end: number,
  filling: Filling,
  overlap: Overlap,
): void {
  const { order, span, hasPages, frameEnd } = edit.encoder.levels[table.depth];
  const entries = edit.entriesAt(table.depth);
  const fits =
    hasPages && order <= filling.maxOrder && filling.delta % span === 0 && end + filling.delta <= frameEnd;
  let index = Math.floor((first - table.page) / span);
  let page = first;
  while (page < end) {
    const start = table.page + index * span;
    if (fits && page === start && end - page >= span) {
      const count = Math.min(Math.floor((end - page) / span), entries - index);
      mapEntries(edit, table, index, count, filling, overlap);
      page += count * span;
      index += count;
    } else {
      const stop = Math.min(end, start + span);
      mapBelow(edit, table, index, page, stop, filling, overlap);
      page = stop;
      index += 1;
    }
  }
}

/** Maps whole entries. */
function mapEntries(
  edit: Edit,
  table: EditedTable,
  index: number,
  count: number,
  filling: Filling,
  overlap: Overlap,
): void {
  if (edit.isUntouched(table)) {
    fill(edit, table, index, count, filling);
    return;
  }
  let free = index;
  for (let i = index; i < index + count; i += 1) {
    const low = edit.low(table, i);
    const high = edit.high(table, i);
    if ((low | high) === 0 && table.child(i) === undefined) continue;
    if (free < i) fill(edit, table, free, i - free, filling);
    mapOver(edit, table, i, low, high, filling, overlap);
    free = i + 1;
  }
  if (free < index + count) fill(edit, table, free, index + count - free, filling);
}

/** Writes entries that map pages: contiguous groups where that was asked for and they fit. */
function fill(
  edit: Edit,
  table: EditedTable,
  index: number,
  count: number,
  filling: Filling,
  breaks = false,
): void {
  const { order, span, group } = edit.encoder.levels[table.depth];
  edit.checkEntry(table, index, edit.pageAt(table, index) + filling.delta, filling);
  edit.appear(table, index, count, PAGES);
  const isGroupable =
    filling.groups &&
    group > 1 &&
    order + Math.log2(group) <= filling.maxOrder &&
    filling.delta % (span * group) === 0;
  const start = isGroupable ? Math.min(index + count, Math.ceil(index / group) * group) : index + count;
  const end = isGroupable ? Math.max(start, Math.floor((index + count) / group) * group) : start;
  fillWith(FILL, edit, table, index, start, filling, breaks);
  fillWith(FILL_GROUPS, edit, table, start, end, filling, breaks);
  fillWith(FILL, edit, table, end, index + count, filling, breaks);
}

/** Writes the entries [from, to) in one way. */
function fillWith(
  kind: number,
  edit: Edit,
  table: EditedTable,
  from: number,
  to: number,
  { delta, low, high }: Filling,
  breaks: boolean,
): void {
  if (from >= to) return;
  const frame = edit.pageAt(table, from) + delta;
  edit.push(new Change(kind, table, from, to - from, { frame, low, high, breaks }));
}

/** Maps a whole entry over one that is not zero. */
function mapOver(
  edit: Edit,
  table: EditedTable,
  index: number,
  low: number,
  high: number,
  filling: Filling,
  overlap: Overlap,
): void {
  const page = edit.pageAt(table, index);
  const isTable = edit.isPresent(table, low) && edit.leadsToTable(table, low);
  // A table of which nothing is used is not in the way.
  if (overlap === 'refuse' && !(isTable && holdsNothing(edit, table, index, low, high)))
    throw conflict(edit, page);
  if (overlap === 'keep') {
    if (!isTable) return;
    edit.inside(table, index, low, high, (child) => {
      widen(edit, table, index, child, filling);
      mapRange(edit, child, page, page + edit.spanOf(table), filling, overlap);
    });
    return;
  }
  if (isTable) {
    const breaks = edit.breaksSize(true);
    drop(edit, table, index, low, high, breaks);
    fillOver(edit, table, index, filling, breaks);
    return;
  }
  const isUsed = edit.isPresent(table, low) && !edit.isFaulty(table, low, high);
  if (!isUsed) {
    fill(edit, table, index, 1, filling);
    return;
  }
  const { encoder } = edit;
  encoder.page(table.depth, page + filling.delta, filling.low, filling.high);
  const result = compare(edit, table, low, high, encoder.low, encoder.high);
  if (result === 0) return;
  if (edit.isGrouped(table, high)) {
    ungroup(edit, table, index, page, page + edit.spanOf(table));
    fillOver(edit, table, index, filling, edit.breaksGroup());
    return;
  }
  const breaks = (result & BREAKS) !== 0;
  if ((result & STALE) !== 0) {
    edit.forget(table, page, edit.spanOf(table), PAGES, edit.isGlobal(table, low), breaks);
  }
  fillOver(edit, table, index, filling, breaks);
}

/** One entry that replaces another: it is no member of a group, since its neighbours may stay. */
function fillOver(edit: Edit, table: EditedTable, index: number, filling: Filling, breaks: boolean): void {
  const frame = edit.pageAt(table, index) + filling.delta;
  edit.checkEntry(table, index, frame, filling);
  edit.push(new Change(FILL, table, index, 1, { frame, low: filling.low, high: filling.high, breaks }));
}

/** Maps a part of what an entry spans, or all of it in smaller pages. */
function mapBelow(
  edit: Edit,
  table: EditedTable,
  index: number,
  first: number,
  stop: number,
  filling: Filling,
  overlap: Overlap,
): void {
  const { order, hasPages } = edit.encoder.levels[table.depth];
  if (table.depth === edit.format.levels - 1) {
    throw new PageTableError(
      'OUT_OF_RANGE',
      `${edit.operation}: ${hex64(edit.addressOf(first))} would lie at ${hex64(addressOf(first + filling.delta))}; expected a physical ` +
        `address below ${hex(BigInt(edit.encoder.levels[table.depth].frameEnd) << 12n)} for a page of ${2 ** (order + 12)} bytes`,
      { address: edit.addressOf(first) },
    );
  }
  const low = edit.low(table, index);
  const high = edit.high(table, index);
  const known = table.child(index);
  if (known !== undefined || (edit.isPresent(table, low) && edit.leadsToTable(table, low))) {
    edit.inside(table, index, low, high, (child) => {
      widen(edit, table, index, child, filling);
      mapRange(edit, child, first, stop, filling, overlap);
    });
    return;
  }
  if ((low | high) === 0 || (overlap === 'replace' && !edit.isUsable(table, low, high))) {
    const child = edit.newTable(table, index);
    edit.appear(table, index, 1, TABLES);
    edit.point(table, index, child);
    mapRange(edit, child, first, stop, filling, overlap);
    return;
  }
  if (overlap === 'refuse') throw conflict(edit, first);
  if (overlap === 'keep' || !hasPages) return;
  // A part of a large page gets another meaning, unless it has it already.
  const start = edit.pageAt(table, index);
  const frame = edit.frameOf(table, index, low, high);
  edit.encoder.attributesOf(table.depth, low, high);
  const isSame =
    frame - start === filling.delta &&
    edit.sameAttributes(edit.encoder.low, edit.encoder.high, filling.low, filling.high);
  if (isSame) return;
  splitPage(edit, table, index, first, stop, (child) => mapRange(edit, child, first, stop, filling, overlap));
}

/**
 * Puts a table in the place of a page: it maps the same, save a part.
 *
 * @param first - first page of the part
 * @param stop - one past its last
 * @param inner - maps the part; without it, nothing is mapped there
 */
export function splitPage(
  edit: Edit,
  table: EditedTable,
  index: number,
  first: number,
  stop: number,
  inner?: (child: EditedTable) => void,
): void {
  const { encoder, rules } = edit;
  const start = edit.pageAt(table, index);
  const end = start + edit.spanOf(table);
  if (edit.isGrouped(table, edit.high(table, index))) ungroup(edit, table, index, start, end);
  const low = edit.low(table, index);
  const high = edit.high(table, index);
  const delta = edit.frameOf(table, index, low, high) - start;
  encoder.attributesOf(table.depth, low, high);
  const rest = {
    delta,
    low: encoder.low,
    high: encoder.high,
    maxOrder: Number.POSITIVE_INFINITY,
    groups: false,
  };
  const breaks = edit.breaksSize(inner !== undefined);
  const scope = rules.splitIsOfTable ? PAGES | TABLES : PAGES;
  edit.forget(table, start, end - start, scope, edit.isGlobal(table, low), breaks);
  const child = edit.newTable(table, index);
  edit.unchecked(() => {
    if (start < first) mapRange(edit, child, start, first, rest, 'replace');
    if (stop < end) mapRange(edit, child, stop, end, rest, 'replace');
  });
  inner?.(child);
  edit.point(table, index, child, breaks);
}
