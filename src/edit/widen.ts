import { isFaultyPage, isGlobal, withHole, withoutHole } from '../format/index.ts';
import { Cursor, DONE, PAGE } from '../walk/index.ts';
import type { AttributeBits } from './attributes.ts';
import { Change, type EditedTable, MASK } from './change.ts';
import type { Edit } from './edit.ts';
import { PAGES, TABLES } from './invalidation.ts';

const ALL_BITS: AttributeBits = { low: -1, high: -1 };

/**
 * Lifts the limits that an entry puts on all below it, where pages below are to have more: what is there already gets the
 * limit itself, so that nothing changes for it.
 *
 * @param wanted - attributes that pages in the table are to have, as entries of the last level have them
 * @param touched - which of these are to change; all if not given
 */
export function widen(
  edit: Edit,
  table: EditedTable,
  index: number,
  child: EditedTable,
  wanted: AttributeBits,
  touched: AttributeBits = ALL_BITS,
): void {
  const { tree, format } = edit;
  const isPlanned = table.isNew && table.copyOf < 0;
  if (isPlanned || tree.masks.limits.length === 0) return;
  const low = edit.low(table, index);
  const high = edit.high(table, index);
  let setLow = 0;
  let clearHigh = 0;
  for (const limit of tree.masks.limits) {
    const isLimited = (limit.low !== 0 && (low & limit.low) === 0) || (high & limit.high) !== 0;
    const isTouched =
      ((touched.low & (limit.clearLow | limit.setLow)) | (touched.high & limit.setHigh)) !== 0;
    const isWanted =
      isTouched &&
      (limit.clearLow === 0 || (wanted.low & limit.clearLow) !== 0) &&
      (wanted.low & limit.setLow) === 0 &&
      (wanted.high & limit.setHigh) === 0;
    if (!isLimited || !isWanted || !hasLimit(edit, table, limit)) continue;
    limitEntries(edit, child, limit);
    setLow |= limit.low;
    clearHigh |= limit.high;
  }
  if ((setLow | clearHigh) === 0) return;
  const breaks = edit.policy.live && edit.rules.breaks.tableRights;
  edit.changes.push(new Change(MASK, table, index, 1, { low: setLow, clearHigh, breaks }));
  const words = edit.draft(table);
  words[index << format.entryShift] |= setLow;
  if (format.entryShift === 1) words[(index << 1) + 1] &= ~clearHigh;
  edit.inherit(table, index, child);
  if (breaks) forgetBelow(edit, table, child);
  else if (!edit.leavesNarrower) edit.forget(table, child.page, edit.spanOf(table), TABLES, false);
}

/** Everything that is mapped below a table, and what leads there: an invalidation of one page leaves the others. */
function forgetBelow(edit: Edit, table: EditedTable, child: EditedTable): void {
  const span = edit.spanOf(table);
  const first = withHole(edit.format, child.page);
  const range = { first, end: first + span };
  const mark = edit.stale.mark();
  // As the tables are: nothing else can be remembered.
  const cursor = new Cursor(edit.tree.memory, edit.tree.paging, range);
  for (let event = cursor.next(); event !== DONE; event = cursor.next()) {
    if (event !== PAGE) continue;
    const page = withoutHole(edit.format, cursor.page);
    const isGlobalPage = isGlobal(edit.facts, cursor.depth, cursor.low, cursor.and);
    edit.stale.add(page, page + 2 ** cursor.order, cursor.order, PAGES | TABLES, isGlobalPage, true);
  }
  if (edit.stale.length === mark) edit.forget(table, child.page, span, TABLES, false, true);
}

/**
 * Attributes of a page that comes in the place of a table: with the limits that the entry put on all below it.
 *
 * @param low - of the entry that leads to the table
 * @param high - bits 63:32 of it
 * @param page - as an entry of the last level has them
 */
export function limited(
  edit: Edit,
  table: EditedTable,
  low: number,
  high: number,
  page: AttributeBits,
): AttributeBits {
  let bits = page;
  for (const limit of edit.tree.masks.limits) {
    const isLimited = (limit.low !== 0 && (low & limit.low) === 0) || (high & limit.high) !== 0;
    if (!isLimited || !hasLimit(edit, table, limit)) continue;
    bits = {
      low: (bits.low & ~limit.clearLow) | limit.setLow,
      high: (bits.high & ~limit.clearHigh) | limit.setHigh,
    };
  }
  return bits;
}

/** Whether the entries of a level have the bits of a limit at all. */
function hasLimit(
  edit: Edit,
  table: EditedTable,
  limit: { readonly low: number; readonly high: number },
): boolean {
  const { tableLow } = edit.encoder.levels[table.depth];
  return limit.low === 0 || (tableLow & limit.low) !== 0;
}

/** Gives each entry of a table a limit. */
function limitEntries(edit: Edit, child: EditedTable, limit: Edit['tree']['masks']['limits'][number]): void {
  const { entryShift } = edit.format;
  const words = edit.draft(child);
  for (let i = 0; i < edit.entriesAt(child.depth); i += 1) {
    const low = edit.low(child, i);
    const high = edit.high(child, i);
    if (!edit.isPresent(child, low)) continue;
    const isTable = edit.leadsToTable(child, low);
    if (!isTable && isFaultyPage(edit.facts, child.depth, low, high)) continue;
    const bits = isTable
      ? { clearLow: limit.low, low: 0, clearHigh: 0, high: limit.high }
      : { clearLow: limit.clearLow, low: limit.setLow, clearHigh: limit.clearHigh, high: limit.setHigh };
    edit.push(new Change(MASK, child, i, 1, bits));
    words[i << entryShift] = (low & ~bits.clearLow) | bits.low;
    if (entryShift === 1) words[(i << 1) + 1] = (high & ~bits.clearHigh) | bits.high;
    const known = child.child(i);
    if (known !== undefined) edit.inherit(child, i, known);
  }
}
