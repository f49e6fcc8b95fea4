import { offsetOf } from '../bits/index.ts';
import type { TableOps } from '../memory/index.ts';
import { type Architecture, checkArchitecture } from './architecture.ts';
import type { Mapping } from './mapping.ts';
import { PageEntries } from './page-entries.ts';
import { pathOf } from './path-of.ts';
import { checkMapping, indexAt, pageInSpace, SPACE_PAGES, spanAt } from './range.ts';
import { LAST_DEPTH, type TablePath } from './table-path.ts';

/**
 * Maps a range of virtual addresses to physical ones, or to nothing, in pages of 4 KiB.
 *
 * Every page that the range touches is mapped whole. What was mapped there is replaced; tables that are missing are made, also for
 * `Unmapped`, and none is freed. The root is asked for once, each entry on the way read once, and pages are written in ascending order. TLBs and
 * barriers are the caller's. If an operation throws, what was mapped before stays.
 *
 * Tables that move: see {@link CopyOnWriteTableOps}. With operations that copy a table again for every entry, as hyperlight's tests have them, a call
 * that writes two entries of one such table loses the first.
 *
 * @param architecture - `amd64` or `aarch64`
 * @param op - of the store
 * @param mapping - addresses in bytes. Bits of `virtBase` above bit 47 do not count; a range may go on from the end of the 48-bit space to its beginning.
 *   An address inside a page is stored as it is, with its low bits
 * @throws {@link PageTableError} `OUT_OF_RANGE` if either range ends beyond 64 bits, or `len` is more than 2^48; `BAD_ARGUMENT`;
 *   `NOT_IN_MEMORY` from a memory. All but the last before anything is read
 */
export function map<A>(architecture: Architecture, op: TableOps<A>, mapping: Mapping): void {
  checkArchitecture('map', architecture);
  checkMapping('map', mapping);
  const { physBase, virtBase, len, kind } = mapping;
  const path = pathOf('map', architecture, op);
  if (len === 0n) return;
  const offset = offsetOf(virtBase);
  const pages = Number((BigInt(offset) + len + 0xfffn) >> 12n);
  const entries = new PageEntries(architecture, kind, physBase, offset);
  const { present } = architecture.facts;
  const first = pageInSpace(virtBase);
  const before = Math.min(pages, SPACE_PAGES - first);
  mapBelow(path, present, entries, 0, first, before);
  // From the end of the space to its beginning.
  if (pages > before) mapBelow(path, present, entries, 0, 0, pages - before);
}

/**
 * Maps pages of the table at a depth: all below an entry before the next entry is looked at.
 *
 * @param present - bits that are all set in an entry that leads to a table
 */
function mapBelow(
  path: TablePath,
  present: number,
  entries: PageEntries,
  depth: number,
  first: number,
  count: number,
): void {
  if (depth === LAST_DEPTH) {
    path.writeRun(first % 512, count, entries);
    return;
  }
  const span = spanAt(depth);
  for (let page = first, end = first + count; page < end; ) {
    const here = Math.min(end - page, span - (page % span));
    descend(path, present, depth, page);
    mapBelow(path, present, entries, depth + 1, page, here);
    page += here;
  }
}

/** Goes from the table at a depth down to the one for a page, which is made if there is none. */
export function descend(path: TablePath, present: number, depth: number, page: number): void {
  const index = indexAt(depth, page);
  const low = path.read(depth, index);
  if ((low & present) === present) path.enter(depth, low, path.high);
  else path.create(depth, index);
}
