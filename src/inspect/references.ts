import { PageTableError } from '../bits/index.ts';
import type { Paging } from '../format/index.ts';
import type { PhysicalMemory } from '../memory/index.ts';
import { Cursor, DONE, MISSING, PAGE, TABLE } from '../walk/index.ts';
import { type IndexedTable, TableIndex, type TableParent } from './table-index.ts';

/** Physical frames, half-open. */
export interface PhysicalRange {
  readonly first: number;
  readonly end: number;
}

/** Contiguous pages that lead to contiguous frames, alike in page size and effective rights. */
export interface FrameMapping {
  /** First 4-KiB page. */
  readonly first: number;
  /** One past the last page. */
  readonly end: number;
  /** Frame of the first page. */
  readonly frame: number;
  /** `log2` of the bytes of the pages; of a page that reaches out of the frames asked for, only a part is listed. */
  readonly pageShift: number;
  /** Effective rights, the bits of `format/rights.ts`. */
  readonly rights: number;
}

/** A page table that lies in the frames, at one depth at which it is used. */
export interface FrameTable extends IndexedTable {
  /** The entries that lead to it. */
  readonly parents: readonly TableParent[];
  /** Whether there are more of those than are listed. */
  readonly more: boolean;
}

/** What leads to a range of frames. */
export interface PhysicalReferences {
  /** Pages mapped to them, in address order. */
  readonly mappings: readonly FrameMapping[];
  /** All 4-KiB pages mapped to them, listed or not; what tables share is counted each time. Exact, at most 2^52. */
  readonly pages: number;
  /** Whether there are more mappings than are listed. */
  readonly moreMappings: boolean;
  /** Page tables that lie in them, lowest depth first. */
  readonly tables: readonly FrameTable[];
  /** All of those, listed or not. */
  readonly tableCount: number;
  /** Tables of which a part is not in memory: it may hold more. */
  readonly missing: number;
}

/** How much is listed. */
export interface ReferenceOptions {
  /** Mappings, tables, and entries that lead to a table, each at most; 1,000 by default. */
  readonly maxResults?: number;
  /** The index of the same tables, where it is at hand. */
  readonly index?: TableIndex;
}

/** Results of each kind that are listed unless their maker says otherwise. */
export const DEFAULT_MAX_RESULTS = 1000;

/**
 * Finds what leads to a range of physical frames: which pages are mapped to it, and which page tables lie in it.
 *
 * Every table is read once for each depth at which it is used; of what is found, addresses are worked out for as many as are
 * listed. Both also hold where tables point at themselves. The list can be cut before `maxResults` where long runs of pages
 * are mapped many times over; `moreMappings` says so.
 *
 * @param frames - a range of whole numbers in `[0, 2^52]`
 * @throws {@link PageTableError} `OUT_OF_RANGE` if `frames` is no such range, or `maxResults` not at least 1
 */
export function findPhysical(
  memory: PhysicalMemory,
  paging: Paging,
  frames: PhysicalRange,
  options: ReferenceOptions = {},
): PhysicalReferences {
  const { first, end } = frames;
  const { maxResults = DEFAULT_MAX_RESULTS } = options;
  if (!(Number.isInteger(first) && Number.isInteger(end) && first >= 0 && first <= end && end <= 2 ** 52)) {
    throw new PageTableError(
      'OUT_OF_RANGE',
      `find: frames [${first}, ${end}); expected whole numbers in [0, 2^52], the first not above the end`,
      { first, end },
    );
  }
  if (!(maxResults >= 1)) {
    throw new PageTableError('OUT_OF_RANGE', `find: maxResults ${maxResults}; expected at least 1`, {
      maxResults,
    });
  }
  const index = options.index ?? new TableIndex(memory, paging);
  const { counts, missing } = countPages(memory, paging, index, frames);
  const within = index.within(first, end);
  return {
    ...listMappings(memory, paging, index, frames, counts, maxResults),
    pages: counts[0],
    tables: within.slice(0, maxResults).map((table) => {
      const found = index.table(table);
      const parents = index.parents(table).slice(0, maxResults);
      const listed = parents.reduce((sum, { count }) => sum + count, 0);
      return { ...found, parents, more: listed < found.entries };
    }),
    tableCount: within.length,
    missing,
  };
}

/** By table: how many pages below it are mapped to the frames. */
function countPages(
  memory: PhysicalMemory,
  paging: Paging,
  index: TableIndex,
  { first, end }: PhysicalRange,
): { readonly counts: Float64Array; readonly missing: number } {
  const counts = new Float64Array(index.size);
  const cursor = new Cursor(memory, paging);
  let missing = 0;
  // A table leads to tables of a higher number only.
  for (let table = index.size - 1; table >= 0; table -= 1) {
    const { depth, frame } = index.table(table);
    let count = 0;
    let isWhole = true;
    cursor.start({ depth, frame, page: 0 });
    for (let event = cursor.next(); event !== DONE; event = cursor.next()) {
      if (event === PAGE) {
        const start = cursor.frame;
        if (start >= end) continue;
        const pages = 2 ** cursor.order * (1 + cursor.skipAlike());
        if (start + pages > first) count += Math.min(end, start + pages) - Math.max(first, start);
      } else if (event === TABLE) {
        cursor.skip();
        count += counts[index.numberOf(depth + 1, cursor.frame) ?? 0];
      } else if (event === MISSING) isWhole = false;
    }
    counts[table] = count;
    if (!isWhole) missing += 1;
  }
  return { counts, missing };
}

/** The first mappings, through tables alone of which something is known to be below. */
function listMappings(
  memory: PhysicalMemory,
  paging: Paging,
  index: TableIndex,
  frames: PhysicalRange,
  counts: Float64Array,
  maxResults: number,
): { readonly mappings: FrameMapping[]; readonly moreMappings: boolean } {
  const mappings: { first: number; end: number; frame: number; pageShift: number; rights: number }[] = [];
  const cursor = new Cursor(memory, paging);
  // Each table once, and as many as it takes to come to as many results.
  let visits = index.size + maxResults * paging.format.levels;
  for (let event = cursor.next(); event !== DONE; event = cursor.next()) {
    if (event === TABLE) {
      // Memory that another thread writes to may lead where it did not when it was counted.
      const below = index.numberOf(cursor.depth + 1, cursor.frame);
      if (below === undefined || counts[below] === 0) cursor.skip();
      else if (visits === 0) return { mappings, moreMappings: true };
      else visits -= 1;
      continue;
    }
    if (event !== PAGE || cursor.frame >= frames.end) continue;
    const { page, order, frame } = cursor;
    const rights = paging.rights(cursor.and, cursor.or, cursor.low, cursor.high);
    const length = 2 ** order * (1 + cursor.skipAlike());
    const from = Math.max(0, frames.first - frame);
    const to = Math.min(length, frames.end - frame);
    if (from >= to) continue;
    const last = mappings[mappings.length - 1];
    const continues =
      last !== undefined &&
      last.end === page + from &&
      last.frame + (last.end - last.first) === frame + from &&
      last.pageShift === order + 12 &&
      last.rights === rights;
    if (continues) last.end = page + to;
    else if (mappings.length === maxResults) return { mappings, moreMappings: true };
    else
      mappings.push({
        first: page + from,
        end: page + to,
        frame: frame + from,
        pageShift: order + 12,
        rights,
      });
  }
  return { mappings, moreMappings: false };
}
