import { rightsText } from '../format/index.ts';
import type { MappedRegion, Region, Repeat, SharedRegion } from './regions.ts';

/** What rows have in common, copies and shared tables included. */
export interface Summary {
  /** Pages mapped. */
  mapped: number;
  /** Mapped regions. */
  regions: number;
  readonly pageShifts: Set<number>;
  /** The rights that occur, `rwx` each. */
  readonly user: Set<string>;
  readonly supervisor: Set<string>;
  /** Whether a table is missing. */
  missing: boolean;
  /** Whether an entry has a reserved bit set. */
  faulty: boolean;
}

/** Rows that lie close together, as one. */
export interface Cluster extends Summary {
  readonly first: number;
  /** One past the last page. */
  end: number;
  /** Present if it is one repeated row of which the copies lie further apart than the gap. */
  readonly repeat: Repeat | undefined;
}

/**
 * Joins rows between which at most `gap` pages lie.
 *
 * @param rows - what `listRegions` gives
 * @param gap - pages, at least 0
 */
export function joinRegions(rows: readonly Region[], gap: number): Cluster[] {
  const shared = new SharedRows(rows);
  const list: Cluster[] = [];
  for (const row of rows) {
    const end = endOf(row);
    const apart = row.repeat !== undefined && row.repeat.stride - (row.end - row.first) > gap;
    let last = list[list.length - 1];
    if (last === undefined || last.repeat !== undefined || apart || row.first - last.end > gap) {
      last = { ...emptySummary(), first: row.first, end, repeat: apart ? row.repeat : undefined };
      list.push(last);
    }
    last.end = Math.max(last.end, end);
    shared.addTo(last, row, row.repeat?.count ?? 1, row.end - row.first);
  }
  return list;
}

/**
 * Keeps the rows of which a mapped region passes a test; a shared table passes if anything in it does. Rows of missing
 * tables are kept, since nobody knows; entries with a reserved bit set are not.
 *
 * @param rows - what `listRegions` gives
 */
export function filterRegions(rows: readonly Region[], test: (row: MappedRegion) => boolean): Region[] {
  const shared = new SharedRows(rows);
  const passes = new Map<string, boolean>();
  const passing = (row: Region): boolean => {
    if (row.kind !== 'shared') return row.kind === 'missing' || (row.kind === 'mapped' && test(row));
    const key = keyOf(row);
    const known = passes.get(key) ?? shared.rowsOf(row).some((there) => passing(there.row));
    passes.set(key, known);
    return known;
  };
  return rows.filter(passing);
}

function emptySummary(): Summary {
  return {
    mapped: 0,
    regions: 0,
    pageShifts: new Set(),
    user: new Set(),
    supervisor: new Set(),
    missing: false,
    faulty: false,
  };
}

/** One past the last page of a row, copies included. */
function endOf(row: Region): number {
  return row.end + ((row.repeat?.count ?? 1) - 1) * (row.repeat?.stride ?? 0);
}

/** Rows that refer to the same table say the same. */
function keyOf(row: SharedRegion): string {
  return `${row.same} ${row.depth}`;
}

/** Follows shared rows to the rows that they refer to. Each table is summed up once, whatever refers to it. */
class SharedRows {
  private readonly rows: readonly Region[];
  private readonly summaries = new Map<string, Summary>();

  constructor(rows: readonly Region[]) {
    this.rows = rows;
  }

  /**
   * The rows that stand where a shared row refers to, how many copies of each lie there, and how many pages of a copy.
   * Rows are in order and do not overlap, copies included.
   */
  rowsOf(shared: SharedRegion): { row: Region; copies: number; pages: number }[] {
    const from = shared.same;
    const to = from + (shared.end - shared.first);
    let low = 0;
    let high = this.rows.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (endOf(this.rows[middle]) <= from) low = middle + 1;
      else high = middle;
    }
    const found: { row: Region; copies: number; pages: number }[] = [];
    for (let i = low; i < this.rows.length && this.rows[i].first < to; i += 1) {
      const row = this.rows[i];
      const length = row.end - row.first;
      const { count, stride } = row.repeat ?? { count: 1, stride: length };
      const lowest = Math.max(0, Math.floor((from - row.first - length) / stride) + 1);
      const highest = Math.min(count - 1, Math.ceil((to - row.first) / stride) - 1);
      const pages = count > 1 ? length : Math.min(row.end, to) - Math.max(row.first, from);
      if (highest >= lowest && row !== shared) found.push({ row, copies: highest - lowest + 1, pages });
    }
    return found;
  }

  /** Adds `copies` of a row, of each of which `pages` count. */
  addTo(summary: Summary, row: Region, copies: number, pages: number): void {
    switch (row.kind) {
      case 'missing':
        summary.missing = true;
        break;
      case 'faulty':
        summary.faulty = true;
        break;
      case 'shared':
        merge(summary, this.summaryOf(row), copies);
        break;
      case 'mapped':
        summary.mapped += pages * copies;
        summary.regions += copies;
        for (const shift of row.pageShifts) summary.pageShifts.add(shift);
        summary.user.add(rightsText(row.rights, true));
        summary.supervisor.add(rightsText(row.rights, false));
    }
  }

  private summaryOf(shared: SharedRegion): Summary {
    const key = keyOf(shared);
    const known = this.summaries.get(key);
    if (known !== undefined) return known;
    const summary = emptySummary();
    this.summaries.set(key, summary);
    for (const { row, copies, pages } of this.rowsOf(shared)) this.addTo(summary, row, copies, pages);
    return summary;
  }
}

function merge(into: Summary, from: Summary, copies: number): void {
  into.mapped += from.mapped * copies;
  into.regions += from.regions * copies;
  for (const shift of from.pageShifts) into.pageShifts.add(shift);
  for (const rights of from.user) into.user.add(rights);
  for (const rights of from.supervisor) into.supervisor.add(rights);
  into.missing ||= from.missing;
  into.faulty ||= from.faulty;
}
