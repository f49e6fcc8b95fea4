import { rightsText } from '../../format/index.ts';
import type { Region } from '../../inspect/index.ts';

/** Rows that lie close together, as one. */
export interface Cluster {
  readonly first: number;
  end: number;
  /** Pages mapped, copies included. */
  mapped: number;
  /** Regions, copies included. */
  rows: number;
  readonly pageShifts: Set<number>;
  /** The rights that occur, `rwx` each. */
  readonly user: Set<string>;
  readonly supervisor: Set<string>;
  /** Whether a part of it is not known. */
  unknown: boolean;
}

/**
 * Joins rows between which at most `gap` pages lie.
 *
 * @param rows - in address order
 */
export function clusters(rows: readonly Region[], gap: number): Cluster[] {
  const list: Cluster[] = [];
  for (const row of rows) {
    const copies = row.repeat?.count ?? 1;
    const end = row.end + (copies - 1) * (row.repeat?.stride ?? 0);
    let last = list[list.length - 1];
    if (last === undefined || row.first - last.end > gap) {
      last = {
        first: row.first,
        end,
        mapped: 0,
        rows: 0,
        pageShifts: new Set(),
        user: new Set(),
        supervisor: new Set(),
        unknown: false,
      };
      list.push(last);
    }
    last.end = Math.max(last.end, end);
    last.rows += copies;
    if (row.kind === 'mapped') {
      last.mapped += (row.end - row.first) * copies;
      for (const shift of row.pageShifts) last.pageShifts.add(shift);
      last.user.add(rightsText(row.rights, true));
      last.supervisor.add(rightsText(row.rights, false));
    } else if (row.kind === 'missing') {
      last.unknown = true;
    }
  }
  return list;
}
