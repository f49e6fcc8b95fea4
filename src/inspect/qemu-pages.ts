import { PageTableError } from '../bits/index.ts';
import { ignoreReserved } from '../format/compile.ts';
import type { Paging } from '../format/index.ts';
import type { PhysicalMemory } from '../memory/index.ts';
import { Cursor, DONE, PAGE, TABLE } from '../walk/index.ts';
import { TableCounter } from './census.ts';

/** Lines printed at most: a table that points at itself has more pages than anyone can read. */
const MAX_LINES = 2 ** 24;

/**
 * Goes through all pages as QEMU's monitor does, which knows no reserved bits.
 *
 * @param see - takes the cursor at each page
 * @returns how many tables were missing
 * @throws {@link PageTableError} `LIMIT_EXCEEDED` if there are more than 16,777,216 pages; then none is seen
 */
export function eachPage(memory: PhysicalMemory, paging: Paging, see: (cursor: Cursor) => void): number {
  const view = { ...paging, format: ignoreReserved(paging.format) };
  const counter = new TableCounter(memory, view);
  const { pages, missing } = counter.count(0, paging.root.frame);
  const count = pages.reduce((sum, some) => sum + some, 0);
  if (count > MAX_LINES) {
    throw new PageTableError(
      'LIMIT_EXCEEDED',
      `QEMU listing: ${count} pages; expected at most ${MAX_LINES}. These tables repeat themselves`,
      { count, maxLines: MAX_LINES },
    );
  }
  const cursor = new Cursor(memory, view);
  for (let event = cursor.next(); event !== DONE; event = cursor.next()) {
    if (event === PAGE) see(cursor);
    // Tables without pages can be many more than those with.
    if (event === TABLE && counter.count(cursor.depth + 1, cursor.frame).pages.every((some) => some === 0))
      cursor.skip();
  }
  return missing;
}
