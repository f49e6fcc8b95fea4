/** Finds what a list of regions says of one page, by the meaning that the list's documentation gives to its rows. */
import type { Region } from '../../src/inspect/index.ts';

/** A row, and where in it a page lies. */
export interface FoundRow {
  readonly region: Exclude<Region, { readonly kind: 'shared' }>;
  /** Pages from the beginning of the row's own copy. */
  readonly offset: number;
  /** Whether it was found by itself, in a repeated row, or by way of shared rows. */
  readonly through: 'directly' | 'repeat' | 'shared';
}

/** Checks that rows are in order and do not overlap, and returns them. */
export function rowsByPage(rows: readonly Region[]): readonly Region[] {
  let end = 0;
  for (const row of rows) {
    if (!(row.first >= end && row.end > row.first))
      throw new Error(`row [${row.first}, ${row.end}) is out of order`);
    end = lastEnd(row);
  }
  return rows;
}

function lastEnd(row: Region): number {
  return row.repeat === undefined ? row.end : row.end + (row.repeat.count - 1) * row.repeat.stride;
}

/** What the rows say of a page; `undefined` where no row holds it. */
export function rowAt(rows: readonly Region[], page: number): FoundRow | undefined {
  let through: FoundRow['through'] = 'directly';
  let at = page;
  // A shared row leads to an earlier place; there may be another one, of a lower depth.
  for (let hops = 0; hops < 8; hops += 1) {
    const row = lastFrom(rows, at);
    if (row === undefined || at >= lastEnd(row)) return undefined;
    let offset = at - row.first;
    if (row.repeat !== undefined) {
      if (through === 'directly') through = 'repeat';
      offset %= row.repeat.stride;
      if (offset >= row.end - row.first) return undefined;
    }
    if (row.kind !== 'shared') return { region: row, offset, through };
    if (row.same >= row.first) throw new Error(`shared row at page ${row.first} refers to page ${row.same}`);
    through = 'shared';
    at = row.same + offset;
  }
  throw new Error(`page ${page}: shared rows lead to shared rows without end`);
}

/** The last row that begins at or before a page. */
function lastFrom(rows: readonly Region[], page: number): Region | undefined {
  let low = 0;
  let high = rows.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (rows[middle].first <= page) low = middle + 1;
    else high = middle;
  }
  return rows[low - 1];
}
