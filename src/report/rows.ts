import { PageTableError } from '../bits/index.ts';
import type { Paging } from '../format/index.ts';
import { DEFAULT_MAX_ROWS, listRegions, MERGE_RULES, type MergeRule, type Region } from '../inspect/index.ts';
import type { PhysicalMemory } from '../memory/index.ts';
import { parseCount, type Session } from '../session/index.ts';
import { filterRows, parseRange, type RowFilter } from './filters.ts';

/** What chooses and makes rows, as texts by the names of the command's options. */
export interface RowOptions extends RowFilter {
  readonly range?: string;
  readonly merge?: string;
  readonly limit?: string;
  readonly all?: true;
}

/** A row, and the page tables that it comes from. */
export interface RegionRow {
  readonly region: Region;
  readonly paging: Paging;
}

/** The rows of a list, and what makes one. */
export interface RowList {
  readonly rows: readonly RegionRow[];
  readonly merge: MergeRule;
}

/**
 * Every region of the page tables that were chosen, the lower half first.
 *
 * @param memory - that holds the tables, as far as there are any
 * @throws {@link PageTableError} `BAD_ARGUMENT` for a text that says nothing; `LIMIT_EXCEEDED` if there are more rows than `limit`
 */
export function listRows(session: Session, memory: PhysicalMemory, options: RowOptions): RowList {
  const within = options.range === undefined ? {} : { range: parseRange(options.range) };
  const merge = MERGE_RULES.find((rule) => rule === (options.merge ?? 'physical'));
  if (merge === undefined) {
    throw new PageTableError(
      'BAD_ARGUMENT',
      `--merge is '${options.merge}'; expected one of ${MERGE_RULES.join(', ')}`,
    );
  }
  const maxRows =
    options.limit === undefined ? DEFAULT_MAX_ROWS : parseCount('--limit', options.limit, 1, 2 ** 31);
  const more = options.all ? { all: true } : {};
  const rows: RegionRow[] = [];
  for (const { paging } of session.spaces) {
    const listed = listRegions(memory, paging, { merge, maxRows, ...more, ...within });
    for (const region of filterRows(listed, options, paging.format.fact)) rows.push({ region, paging });
  }
  if (rows.length > maxRows) {
    throw new PageTableError(
      'LIMIT_EXCEEDED',
      `regions: more than ${maxRows} rows; narrow the range or raise the limit`,
      { maxRows },
    );
  }
  return { rows, merge };
}
