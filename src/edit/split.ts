import type { EditedTable } from './change.ts';
import type { Edit } from './edit.ts';
import { ungroup } from './group.ts';
import { PAGES, TABLES } from './invalidation.ts';
import { mapRange } from './map.ts';

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
  if (edit.isGrouped(table, edit.high(table, index))) ungroup(edit, table, index, index, index + 1);
  const low = edit.low(table, index);
  const high = edit.high(table, index);
  const delta = edit.frameOf(table, index, low, high) - start;
  encoder.attributesOf(table.depth, low, high);
  const rest = { delta, low: encoder.low, high: encoder.high, maxOrder: Number.POSITIVE_INFINITY, groups: false };
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
