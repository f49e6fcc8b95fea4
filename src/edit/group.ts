import { Change, type EditedTable, FILL } from './change.ts';
import type { Edit } from './edit.ts';
import { PAGES } from './invalidation.ts';

/**
 * Takes a contiguous group apart, where only some of its entries are about to change. Later steps of the edit find single
 * pages.
 *
 * @param index - of any entry of the group
 * @param first - first page that is about to change
 * @param end - one past the last: nothing is done if the whole group is
 */
export function ungroup(edit: Edit, table: EditedTable, index: number, first: number, end: number): void {
  const { encoder } = edit;
  const { group } = encoder.levels[table.depth];
  const start = index - (index % group);
  const span = edit.spanOf(table);
  const page = edit.pageAt(table, start);
  if (first <= page && page + group * span <= end) return;
  const breaks = edit.breaksGroup();
  const isGlobal = edit.isGlobal(table, edit.low(table, index));
  const members: Change[] = [];
  for (let i = start; i < start + group; i += 1) {
    const low = edit.low(table, i);
    const high = edit.high(table, i);
    if (!edit.isPresent(table, low) || !edit.isGrouped(table, high)) continue;
    const frame = edit.frameOf(table, i, low, high);
    encoder.attributesOf(table.depth, low, high);
    members.push(new Change(FILL, table, i, 1, { frame, low: encoder.low, high: encoder.high, breaks }));
  }
  const words = edit.draft(table);
  for (const member of members) {
    member.apply(words, 0, encoder);
    edit.push(member);
  }
  edit.forget(table, page, group * span, PAGES, isGlobal, breaks);
}
