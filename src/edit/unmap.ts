import type { EditedTable } from './change.ts';
import { drop } from './drop.ts';
import type { Edit } from './edit.ts';
import { ungroup } from './group.ts';
import { PAGES } from './invalidation.ts';
import { splitPage } from './map.ts';

/**
 * Unmaps a range. Tables of which nothing is left are given up, large pages split where the range ends inside them; entries
 * that are not present and hold something are cleared, too.
 *
 * @param first - first page, counted without the hole between two halves
 * @param end - one past the last
 * @returns whether nothing is left in the table
 */
export function unmapRange(edit: Edit, table: EditedTable, first: number, end: number): boolean {
  const span = edit.spanOf(table);
  const entries = edit.entriesAt(table.depth);
  const from = Math.floor((first - table.page) / span);
  const to = Math.min(entries, Math.ceil((end - table.page) / span));
  // Between these, entries are whole.
  const wholeFrom = Math.ceil((first - table.page) / span);
  const wholeTo = Math.min(entries, Math.floor((end - table.page) / span));
  let isEmpty = true;
  for (let i = from; i < to; i += 1) {
    const low = edit.low(table, i);
    const high = edit.high(table, i);
    if ((low | high) === 0) continue;
    const isWhole = wholeFrom <= i && i < wholeTo;
    const isPage = edit.isUsable(table, low, high) && !edit.leadsToTable(table, low);
    if (isWhole && isPage) i = unmapPages(edit, table, i, low, high, first, end, wholeTo) - 1;
    else if (!unmapEntry(edit, table, i, low, high, isWhole, first, end)) isEmpty = false;
  }
  return isEmpty && !edit.isUsedOutside(table, from, to);
}

/** Unmaps pages that are mapped alike, from an entry on; one past the last. The range is [first, end). */
function unmapPages(
  edit: Edit,
  table: EditedTable,
  index: number,
  low: number,
  high: number,
  first: number,
  end: number,
  wholeTo: number,
): number {
  const isGroup = edit.isGrouped(table, high);
  if (isGroup) ungroup(edit, table, index, first, end);
  const stop = isGroup ? index + 1 : edit.runEnd(table, index, wholeTo);
  const count = stop - index;
  const pages = count * edit.spanOf(table);
  edit.forget(table, edit.pageAt(table, index), pages, PAGES, edit.isGlobal(table, low));
  edit.clear(table, index, count);
  return stop;
}

/** Unmaps what of an entry lies in the range, which is not one that maps a page as a whole; whether nothing is left of it. */
function unmapEntry(
  edit: Edit,
  table: EditedTable,
  index: number,
  low: number,
  high: number,
  isWhole: boolean,
  first: number,
  end: number,
): boolean {
  const isPresent = edit.isPresent(table, low);
  const isTable = isPresent && edit.leadsToTable(table, low);
  if (isWhole) {
    if (isTable) drop(edit, table, index, low, high, false);
    edit.clear(table, index);
    return true;
  }
  if (!isPresent) return false;
  const start = Math.max(first, edit.pageAt(table, index));
  const stop = Math.min(end, edit.pageAt(table, index) + edit.spanOf(table));
  if (!isTable) {
    if (edit.isFaulty(table, low, high)) throw edit.corrupt(table, index, 'has a reserved bit set');
    splitPage(edit, table, index, start, stop);
    return false;
  }
  return edit.inside(table, index, low, high, (child, mark) => {
    const isEmpty = unmapRange(edit, child, start, stop);
    if (isEmpty) edit.remove(table, index, child, mark);
    return isEmpty;
  });
}
