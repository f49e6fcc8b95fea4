import { Change, type EditedTable, FILL, FILL_GROUPS } from './change.ts';
import type { Edit, Mark } from './edit.ts';
import { PAGES, TABLES } from './invalidation.ts';
import { limited } from './widen.ts';

/** What a table as a whole is. */
interface Whole {
  readonly kind: 'empty' | 'page';
  /** Of a page: its first frame, and its attributes in the form of entries of the last level. */
  readonly frame: number;
  readonly low: number;
  readonly high: number;
}

const EMPTY: Whole = { kind: 'empty', frame: 0, low: 0, high: 0 };

/** How far pages are merged. */
export interface CompactLimits {
  /** `log2` of the 4-KiB pages that a page may have at most. */
  readonly maxOrder: number;
  /** Whether contiguous groups are made. */
  readonly groups: boolean;
}

/**
 * Puts larger pages in the place of tables that map the same, and gives up empty tables. What reaches out of the range stays, and
 * so do tables that others use, too.
 *
 * @param first - first page, counted without the hole between two halves
 * @param end - one past the last
 * @returns what the table is as a whole, if it is one thing
 */
export function compactRange(
  edit: Edit,
  table: EditedTable,
  first: number,
  end: number,
  limits: CompactLimits,
): Whole | undefined {
  const span = edit.spanOf(table);
  const entries = edit.entriesAt(table.depth);
  const from = Math.max(0, Math.floor((first - table.page) / span));
  const to = Math.min(entries, Math.ceil((end - table.page) / span));
  const run = new Run(edit, table);
  // Entries that lead to tables that become pages are pages from here on.
  const merged = new Map<number, Whole>();
  for (let i = 0; i < entries; i += 1) {
    const low = edit.low(table, i);
    const high = edit.high(table, i);
    const isTable = edit.isPresent(table, low) && edit.leadsToTable(table, low);
    if (!isTable || i < from || i >= to) {
      run.add(i, low, high, isTable);
      continue;
    }
    const whole = compactBelow(edit, table, i, low, high, first, end, limits);
    if (whole?.kind === 'page') {
      merged.set(i, whole);
      run.addPage(i, whole.frame, whole.low, whole.high);
    } else {
      run.add(i, whole === undefined ? low : 0, whole === undefined ? high : 0, whole === undefined);
    }
  }
  if (limits.groups) makeGroups(edit, table, from, to, limits.maxOrder, merged);
  return run.whole();
}

/** Compacts the table that an entry leads to; what the entry is then. */
function compactBelow(
  edit: Edit,
  table: EditedTable,
  index: number,
  low: number,
  high: number,
  first: number,
  end: number,
  limits: CompactLimits,
): Whole | undefined {
  if (edit.isFaulty(table, low, high) || edit.leadsElsewhere(table, low, high)) return undefined;
  const start = edit.pageAt(table, index);
  const span = edit.spanOf(table);
  const mark = edit.mark();
  const child = edit.enter(table, index, low, high);
  const whole = compactRange(edit, child, Math.max(first, start), Math.min(end, start + span), limits);
  if (whole === undefined || start < first || start + span > end) return undefined;
  if (whole.kind === 'empty') {
    edit.remove(table, index, child, mark);
    return whole;
  }
  const { order, hasPages, frameEnd } = edit.encoder.levels[table.depth];
  const fits =
    hasPages && order <= limits.maxOrder && whole.frame % span === 0 && whole.frame + span <= frameEnd;
  if (!fits) return undefined;
  const page = { ...whole, ...limited(edit, table, low, high, whole) };
  merge(edit, table, index, child, page, mark);
  return page;
}

/** Puts a page in the place of a table. */
function merge(
  edit: Edit,
  table: EditedTable,
  index: number,
  child: EditedTable,
  { frame, low, high }: Whole,
  mark: Mark,
): void {
  const breaks = edit.breaksSize(false);
  edit.cutChanges(mark, table, index);
  edit.freed.push(child.frame);
  // Each page by itself, where they map the same, too: an invalidation of the large page later on need not find them.
  const span = edit.spanOf(child);
  for (let i = 0; i < edit.entriesAt(child.depth); i += 1) {
    // What was below a table is in the list already.
    const entry = edit.low(child, i);
    if (edit.leadsToTable(child, entry)) continue;
    edit.forget(child, edit.pageAt(child, i), span, PAGES | TABLES, edit.isGlobal(child, entry), breaks);
  }
  edit.stale.raise(mark.stale);
  edit.push(new Change(FILL, table, index, 1, { frame, low, high, breaks }));
}

/** Makes contiguous groups of single pages. */
function makeGroups(
  edit: Edit,
  table: EditedTable,
  from: number,
  to: number,
  maxOrder: number,
  merged: ReadonlyMap<number, Whole>,
): void {
  const { order, group } = edit.encoder.levels[table.depth];
  if (group === 1 || order + Math.log2(group) > maxOrder) return;
  const breaks = edit.breaksGroup();
  for (let start = Math.ceil(from / group) * group; start + group <= to; start += group) {
    const run = new Run(edit, table, start, group);
    let isNew = false;
    for (let i = start; i < start + group; i += 1) {
      const low = edit.low(table, i);
      const high = edit.high(table, i);
      const isTable = edit.isPresent(table, low) && edit.leadsToTable(table, low);
      run.add(i, low, high, isTable || merged.has(i));
      if (!isTable && !edit.isGrouped(table, high)) isNew = true;
    }
    const whole = run.whole();
    const size = group * edit.spanOf(table);
    if (!isNew || whole?.kind !== 'page' || whole.frame % size !== 0) continue;
    const { frame, low, high } = whole;
    const isGlobal = edit.isGlobal(table, edit.low(table, start));
    edit.forget(table, edit.pageAt(table, start), size, PAGES, isGlobal, breaks);
    edit.push(new Change(FILL_GROUPS, table, start, group, { frame, low, high, breaks }));
  }
}

/** Whether neighbouring entries are one thing: all zero, or pages that one larger page can stand for. */
class Run {
  private readonly edit: Edit;
  private readonly table: EditedTable;
  private readonly start: number;
  private readonly count: number;
  private pages = 0;
  private zeros = 0;
  private frame = 0;
  private low = 0;
  private high = 0;

  constructor(edit: Edit, table: EditedTable, start = 0, count = edit.entriesAt(table.depth)) {
    this.edit = edit;
    this.table = table;
    this.start = start;
    this.count = count;
  }

  add(index: number, low: number, high: number, isTable: boolean): void {
    const { edit, table } = this;
    if ((low | high) === 0) this.zeros += 1;
    else if (!isTable && edit.isUsable(table, low, high)) {
      const frame = edit.frameOf(table, index, low, high);
      edit.encoder.attributesOf(table.depth, low, high);
      this.addPage(index, frame, edit.encoder.low, edit.encoder.high);
    }
  }

  addPage(index: number, frame: number, low: number, high: number): void {
    if (this.pages === 0) {
      this.frame = frame;
      this.low = low;
      this.high = high;
    }
    const place = (index - this.start) * this.edit.spanOf(this.table);
    if (frame - this.frame !== place || !this.edit.sameAttributes(low, high, this.low, this.high)) return;
    // What was used or written to in one place is so as a whole.
    this.low |= low;
    this.pages += 1;
  }

  whole(): Whole | undefined {
    if (this.zeros === this.count) return EMPTY;
    const { frame, low, high } = this;
    return this.pages === this.count ? { kind: 'page', frame, low, high } : undefined;
  }
}
