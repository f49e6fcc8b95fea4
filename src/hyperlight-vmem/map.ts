import { offsetOf } from '../bits/index.ts';
import type { TableOps } from '../memory/index.ts';
import { type Architecture, checkArchitecture } from './architecture.ts';
import type { Mapping } from './mapping.ts';
import { PageEntries } from './page-entries.ts';
import { writablePathOf } from './path-of.ts';
import { Position } from './position.ts';
import { rangeToMap } from './range.ts';
import { LAST_DEPTH, type WritablePath } from './table-path.ts';

const ENTRIES = 512;

/**
 * Maps a range of virtual addresses to physical ones, or to nothing, in pages of 4 KiB.
 *
 * Every page that the range touches is mapped whole. What was mapped there is replaced; tables that are missing are made, also for
 * `Unmapped`, and none is freed. The root is asked for once, each entry on the way read once, and pages are written in ascending order. TLBs and
 * barriers are the caller's. If an operation throws, what was mapped before stays. Operations must not call `map` on the same tables.
 *
 * Tables that move: see {@link CopyOnWriteTableOps}. With operations that copy a table again for every entry, as hyperlight's tests have them, a call
 * that writes two entries of one such table loses the first.
 *
 * @param architecture - `amd64` or `aarch64`
 * @param op - of the store
 * @param mapping - addresses in bytes. Bits of `virtBase` above bit 47 do not count; a range may go on from the end of the 48-bit space to its beginning.
 *   An address inside a page is stored as it is, with its low bits
 * @throws {@link PageTableError} `OUT_OF_RANGE` if either range ends beyond 64 bits, or touches more pages than there are below 2^48;
 *   `BAD_ARGUMENT` for arguments and operations of other kinds, before anything is read. Later `NOT_IN_MEMORY` and `OUT_OF_FRAMES` from a
 *   memory, and what the operations throw, or return and should not
 */
export function map<A>(architecture: Architecture, op: TableOps<A>, mapping: Mapping): void {
  checkArchitecture('map', architecture);
  const range = rangeToMap('map', mapping);
  const path = writablePathOf('map', architecture, op);
  const { physBase, virtBase, kind } = mapping;
  const entries = new PageEntries(architecture, kind, physBase, offsetOf(virtBase));
  const position = new Position(range.first);
  path.expect(range.count);
  for (let left = range.count; left > 0; ) {
    descend(path, architecture, position, LAST_DEPTH);
    const index = position.index(LAST_DEPTH);
    path.writeRun(index, Math.min(left, ENTRIES - index), entries);
    left -= position.skip(LAST_DEPTH - 1);
  }
}

/** Goes down to the table at a depth on the path to a page; tables that are missing are made. */
export function descend(
  path: WritablePath,
  architecture: Architecture,
  position: Position,
  depth: number,
): void {
  const { present } = architecture.facts;
  for (; position.depth < depth; position.depth += 1) {
    const above = position.depth;
    const index = position.index(above);
    const low = path.read(above, index);
    if ((low & present) === present) path.enter(above, low, path.high);
    else path.create(above, index);
  }
}
