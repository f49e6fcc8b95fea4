import type { AttributeChange } from './attributes.ts';
import { Change, type EditedTable, MASK } from './change.ts';
import { BREAKS, CHANGES, compare, STALE } from './compare.ts';
import type { Edit } from './edit.ts';
import { ungroup } from './group.ts';
import { PAGES } from './invalidation.ts';
import { mapRange, splitPage } from './map.ts';
import { widen } from './widen.ts';

/**
 * Changes attributes of everything that is mapped in a range; large pages are split where the range ends inside them.
 *
 * @param first - first page, counted without the hole between two halves
 * @param end - one past the last
 * @param change - as entries of the last level have the bits
 * @param missing - what is done with pages that are not mapped
 * @throws {@link PageTableError} `NOT_MAPPED` if a page is not mapped and `missing` is `refuse`; `CORRUPT_TABLE`
 */
export function protectRange(
  edit: Edit,
  table: EditedTable,
  first: number,
  end: number,
  change: AttributeChange,
  missing: 'refuse' | 'ignore',
): void {
  const span = edit.spanOf(table);
  const from = Math.floor((first - table.page) / span);
  const to = Math.min(edit.entriesAt(table.depth), Math.ceil((end - table.page) / span));
  // Entries before this one are whole, save perhaps the first.
  const wholeEnd = Math.min(to, Math.floor((end - table.page) / span));
  const kernelMasks = masksAt(edit, table.depth, change);
  const userMasks = change.users === undefined ? kernelMasks : masksAt(edit, table.depth, change.users);
  const { userLow } = edit.tree.masks.levels[table.depth];
  // Neighbours are mostly alike: what follows from the change is worked out once for them.
  let lastLow = 0;
  let lastHigh = 0;
  let result = -1;
  const { attributeLow, attributeHigh, movedBit } = edit.encoder.levels[table.depth];
  for (let i = from; i < to; i += 1) {
    const low = edit.low(table, i);
    const high = edit.high(table, i);
    const page = table.page + i * span;
    if (!edit.isPresent(table, low)) {
      if (missing === 'refuse') throw edit.notMapped(Math.max(first, page));
      continue;
    }
    const isWhole = first <= page && page + span <= end;
    if (edit.leadsToTable(table, low)) {
      protectTable(
        edit,
        table,
        i,
        low,
        high,
        Math.max(first, page),
        Math.min(end, page + span),
        change,
        missing,
      );
      continue;
    }
    if (edit.isFaulty(table, low, high)) throw edit.corrupt(table, i, 'has a reserved bit set');
    const masks = (low & userLow) === 0 ? kernelMasks : userMasks;
    const newLow = (low & ~masks.clear.low) | masks.set.low;
    const newHigh = (high & ~masks.clear.high) | masks.set.high;
    if (!isWhole) {
      if (compare(edit, table, low, high, newLow, newHigh) !== 0) {
        protectPart(edit, table, i, Math.max(first, page), Math.min(end, page + span), change);
      }
      continue;
    }
    const isGroup = edit.isGrouped(table, high);
    if (isGroup) ungroup(edit, table, i, first, end);
    if (
      result < 0 ||
      isGroup ||
      ((low ^ lastLow) & (attributeLow | movedBit)) !== 0 ||
      ((high ^ lastHigh) & attributeHigh) !== 0
    ) {
      result = compare(edit, table, low, high, newLow, newHigh);
      if ((result & CHANGES) !== 0) edit.checkRights(table, page, newLow, newHigh);
      lastLow = low;
      lastHigh = high;
    }
    const stop = isGroup ? i + 1 : edit.runEnd(table, i, wholeEnd);
    const count = stop - i;
    const index = i;
    i = stop - 1;
    if ((result & CHANGES) === 0) continue;
    const breaks = (result & BREAKS) !== 0;
    if ((result & STALE) !== 0)
      edit.forget(table, page, count * span, PAGES, edit.isGlobal(table, low), breaks);
    edit.push(
      new Change(MASK, table, index, count, {
        clearLow: masks.clear.low,
        clearHigh: masks.clear.high,
        low: masks.set.low,
        high: masks.set.high,
        breaks,
      }),
    );
  }
}

function protectTable(
  edit: Edit,
  table: EditedTable,
  index: number,
  low: number,
  high: number,
  first: number,
  stop: number,
  change: AttributeChange,
  missing: 'refuse' | 'ignore',
): void {
  edit.inside(table, index, low, high, (child) => {
    widen(edit, table, index, child, change.set, change.clear);
    if (change.users !== undefined) widen(edit, table, index, child, change.users.set, change.users.clear);
    protectRange(edit, child, first, stop, change, missing);
  });
}

/** Changes a part of a large page. */
function protectPart(
  edit: Edit,
  table: EditedTable,
  index: number,
  first: number,
  stop: number,
  change: AttributeChange,
): void {
  splitPage(edit, table, index, first, stop, (child) => {
    const low = edit.low(table, index);
    const high = edit.high(table, index);
    const isUsers = (low & edit.tree.masks.levels[table.depth].userLow) !== 0;
    const { clear, set } = isUsers ? (change.users ?? change) : change;
    const delta = edit.frameOf(table, index, low, high) - edit.pageAt(table, index);
    edit.encoder.attributesOf(table.depth, low, high);
    const filling = {
      delta,
      low: (edit.encoder.low & ~clear.low) | set.low,
      high: (edit.encoder.high & ~clear.high) | set.high,
      maxOrder: Number.POSITIVE_INFINITY,
      groups: false,
    };
    mapRange(edit, child, first, stop, filling, 'replace');
  });
}

/** A change as entries of a level have its bits. */
function masksAt(edit: Edit, depth: number, { clear, set }: AttributeChange): AttributeChange {
  const { encoder } = edit;
  encoder.attributes(depth, clear.low, clear.high);
  const cleared = { low: encoder.low, high: encoder.high };
  encoder.attributes(depth, set.low, set.high);
  return { clear: cleared, set: { low: encoder.low, high: encoder.high } };
}
