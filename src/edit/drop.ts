import {
  andRights,
  isFaultyPage,
  isFaultyTable,
  isPresent,
  leadsToTable,
  tableFrame,
} from '../format/index.ts';
import type { EditedTable } from './change.ts';
import type { Edit } from './edit.ts';
import { PAGES, TABLES } from './invalidation.ts';

/**
 * Gives up a table and all below it, and notes the pages that were mapped there.
 *
 * @param index - of the entry in `table` that leads to it
 * @param breaks - whether that entry must be absent before another one comes in its place
 */
export function drop(
  edit: Edit,
  table: EditedTable,
  index: number,
  low: number,
  high: number,
  breaks: boolean,
): void {
  dropTable(edit, table, index, low, high, breaks, true);
}

function dropTable(
  edit: Edit,
  table: EditedTable,
  index: number,
  low: number,
  high: number,
  breaks: boolean,
  owned: boolean,
): void {
  if (isFaultyTable(edit.facts, table.depth, low, high)) return;
  const frame = tableFrame(edit.facts, table.depth, low, high);
  if (edit.isAbove(table, frame)) return;
  const isOwned = owned && edit.sharing.countOf(frame) === 1;
  if (owned && !isOwned) edit.sharing.add(frame, -1);
  const mark = edit.stale.mark();
  const child = edit.lookAt(table, index, frame);
  child.and = andRights(edit.facts, table.depth, table.and, low);
  const entries = edit.entriesAt(child.depth);
  const span = edit.spanOf(child);
  for (let i = 0; i < entries; i += 1) {
    const entry = edit.low(child, i);
    if (!isPresent(edit.facts, child.depth, entry)) continue;
    const upper = edit.high(child, i);
    if (leadsToTable(edit.facts, child.depth, entry)) {
      dropTable(edit, child, i, entry, upper, breaks, isOwned);
    } else if (!isFaultyPage(edit.facts, child.depth, entry, upper)) {
      const stop = edit.runEnd(child, i, entries);
      const global = edit.isGlobal(child, entry);
      edit.forget(child, child.page + i * span, (stop - i) * span, PAGES | TABLES, global, breaks);
      i = stop - 1;
    }
  }
  // A table without pages may be remembered all the same.
  if (edit.stale.length === mark) edit.forget(table, child.page, edit.spanOf(table), TABLES, false, breaks);
  if (isOwned) edit.freed.push(frame);
}

/** Whether nothing is mapped below an entry that leads to a table, and software keeps nothing there. */
export function holdsNothing(
  edit: Edit,
  table: EditedTable,
  index: number,
  low: number,
  high: number,
): boolean {
  const frame = tableFrame(edit.facts, table.depth, low, high);
  if (isFaultyTable(edit.facts, table.depth, low, high) || edit.isAbove(table, frame)) return false;
  const child = edit.lookAt(table, index, frame);
  for (let i = 0; i < edit.entriesAt(child.depth); i += 1) {
    const entry = edit.low(child, i);
    const upper = edit.high(child, i);
    if ((entry | upper) === 0) continue;
    const isTable = isPresent(edit.facts, child.depth, entry) && leadsToTable(edit.facts, child.depth, entry);
    if (!isTable || !holdsNothing(edit, child, i, entry, upper)) return false;
  }
  return true;
}
