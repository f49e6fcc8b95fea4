import { rightsText } from '../format/index.ts';
import type { MappedRegion, Region, Repeat } from './regions.ts';

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
  const summaries = new Map<readonly Region[], Summary>();
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
    addTo(last, row, summaries);
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
  const known = new Map<readonly Region[], boolean>();
  const passes = (row: Region): boolean => {
    if (row.kind !== 'shared') return row.kind === 'missing' || (row.kind === 'mapped' && test(row));
    const answer = known.get(row.content) ?? row.content.some(passes);
    known.set(row.content, answer);
    return answer;
  };
  return rows.filter(passes);
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

/** Adds a row, copies included. Each shared table is summed up once, whatever refers to it. */
function addTo(summary: Summary, row: Region, summaries: Map<readonly Region[], Summary>): void {
  const copies = row.repeat?.count ?? 1;
  switch (row.kind) {
    case 'missing':
      summary.missing = true;
      break;
    case 'faulty':
      summary.faulty = true;
      break;
    case 'shared': {
      let content = summaries.get(row.content);
      if (content === undefined) {
        content = emptySummary();
        summaries.set(row.content, content);
        for (const there of row.content) addTo(content, there, summaries);
      }
      merge(summary, content, copies);
      break;
    }
    case 'mapped':
      summary.mapped += (row.end - row.first) * copies;
      summary.regions += copies;
      for (const shift of row.pageShifts) summary.pageShifts.add(shift);
      summary.user.add(rightsText(row.rights, true));
      summary.supervisor.add(rightsText(row.rights, false));
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
