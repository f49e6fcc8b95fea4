import { Change, type EditedTable, FILL } from './change.ts';
import type { Edit } from './edit.ts';
import { PAGES } from './invalidation.ts';

/**
 * Takes a contiguous group apart, where only some of its entries are about to change. Later steps of the edit find single
 * pages.
 *
 * @param index - of any entry of the group
 * @param from - first entry that is about to change
 * @param to - one past the last: nothing is done if the whole group is
 */
export function ungroup(edit: Edit, table: EditedTable, index: number, from: number, to: number): void {
  const { encoder } = edit;
  const { group } = encoder.levels[table.depth];
  const start = index - (index % group);
  if (from <= start && start + group <= to) return;
  const breaks = edit.breaksGroup();
  const span = edit.spanOf(table);
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
  edit.forget(table, edit.pageAt(table, start), group * span, PAGES, isGlobal, breaks);
}
