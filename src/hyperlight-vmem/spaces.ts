import { addressOf, hex, PageTableError } from '../bits/index.ts';
import { wrongKind } from '../bits/wrong-kind.ts';
import type { TableOps, TableReadOps } from '../memory/index.ts';
import { type Architecture, checkArchitecture } from './architecture.ts';
import { limitOf, tooMany } from './limits.ts';
import { descend } from './map.ts';
import type { SpaceAwareMapping, SpaceId, SpaceReferenceMapping } from './mapping.ts';
import { pathFrom, writablePathOf } from './path-of.ts';
import { Position } from './position.ts';
import { checkU64, pageInSpace, rangeToRead, type SpaceRange } from './range.ts';
import { LAST_DEPTH, type TablePath } from './table-path.ts';
import { type TableVisitor, TableWalk } from './table-walk.ts';
import { MappedPage } from './virt-to-phys.ts';

const MAX_TABLES = 1 << 20;
const MAX_ITEMS = 1 << 20;

/** How {@link walkVaSpaces} walks. */
export interface WalkOptions {
  /** Whether tables that were met before at the same depth are told as `AnotherSpace`; by default on aarch64 only, as in the original. */
  readonly aliases?: boolean;
  /** Tables that may be entered, roots included; 1,048,576 unless given. */
  readonly maxTables?: number;
  /** Items that may be found in all spaces; 1,048,576 unless given: 4 GiB in pages. */
  readonly maxItems?: number;
}

/** An address space and what was found in it. */
export interface SpaceMappings {
  readonly space: SpaceId;
  /** In the order of virtual addresses, ascending in the 48-bit space. */
  readonly items: readonly SpaceAwareMapping[];
}

/** Who was first in a table. */
interface Owner {
  readonly depth: number;
  readonly space: SpaceId;
  readonly virt: bigint;
}

/** What all spaces of one call have in common. */
interface Survey {
  readonly owners: Map<bigint | number, Owner> | undefined;
  readonly maxTables: number;
  readonly maxItems: number;
  tables: number;
  items: number;
}

/**
 * What is mapped in a range of several address spaces, and which tables they share.
 *
 * A table, the root included, belongs to the space that came to it first, at the depth at which it did. Met again at that depth, it is
 * not gone through: it gives one `AnotherSpace`, in its place among the pages, with the addresses at which the walk entered it here and there. Met at another
 * depth it is gone through as any other.
 *
 * @param architecture - `amd64` or `aarch64`
 * @param op - of the store; its `rootTable` is not asked for
 * @param roots - top-level tables, in the order of the result
 * @param address - byte address; bits above bit 47 do not count
 * @param len - bytes, as in `virtToPhys`
 * @throws {@link PageTableError} `OUT_OF_RANGE`, `BAD_ARGUMENT` as `virtToPhys`; `LIMIT_EXCEEDED` if there is more than `options` allow
 */
export function walkVaSpaces<A>(
  architecture: Architecture,
  op: TableReadOps<A>,
  roots: readonly A[],
  address: bigint,
  len: bigint,
  options: WalkOptions = {},
): SpaceMappings[] {
  checkArchitecture('walkVaSpaces', architecture);
  const range = rangeToRead('walkVaSpaces', address, len);
  if (!Array.isArray(roots)) throw wrongKind('walkVaSpaces', roots, 'an array of roots');
  const survey: Survey = {
    owners: (options?.aliases ?? architecture.findsAliases) ? new Map() : undefined,
    maxTables: limitOf('walkVaSpaces', 'maxTables', options?.maxTables, MAX_TABLES),
    maxItems: limitOf('walkVaSpaces', 'maxItems', options?.maxItems, MAX_ITEMS),
    tables: 0,
    items: 0,
  };
  return Array.from<A, SpaceMappings>(roots, (table) => {
    const path = pathFrom('walkVaSpaces', architecture, op, table);
    return new SpaceWalk(architecture, path, op.toPhys(table), survey).run(range);
  });
}

/** The walk of one space. */
class SpaceWalk implements TableVisitor {
  private readonly architecture: Architecture;
  private readonly path: TablePath;
  private readonly space: SpaceId;
  private readonly survey: Survey;
  private readonly items: SpaceAwareMapping[] = [];

  constructor(architecture: Architecture, path: TablePath, space: SpaceId, survey: Survey) {
    this.architecture = architecture;
    this.path = path;
    this.space = space;
    this.survey = survey;
  }

  run(range: SpaceRange): SpaceMappings {
    const { architecture, path, space, items } = this;
    // What all spaces may enter together is counted in `wants`.
    const walk = new TableWalk(architecture, path, range, Number.POSITIVE_INFINITY, this);
    if (this.wants(0, new Position(range.first))) {
      while (walk.advance()) this.add({ kind: 'ThisSpace', mapping: new MappedPage(walk).toMapping() });
    }
    return { space, items };
  }

  wants(depth: number, position: Position): boolean {
    const { survey, space } = this;
    if (survey.tables >= survey.maxTables) throw tooMany('walkVaSpaces', 'tables', survey.maxTables);
    survey.tables += 1;
    if (survey.owners === undefined) return true;
    const key = this.path.keyOf(depth);
    const owner = survey.owners.get(key);
    const virt = addressOf(position.page(this.architecture.extendsSign));
    if (owner === undefined) survey.owners.set(key, { depth, space, virt });
    if (owner?.depth !== depth) return true;
    this.add({
      kind: 'AnotherSpace',
      reference: { depth, space: owner.space, ourVa: virt, theirVa: owner.virt },
    });
    return false;
  }

  private add(item: SpaceAwareMapping): void {
    const { survey } = this;
    if (survey.items >= survey.maxItems) throw tooMany('walkVaSpaces', 'items', survey.maxItems);
    survey.items += 1;
    this.items.push(item);
  }
}

/**
 * Makes the tables of `op`'s root share a table of another space, as an `AnotherSpace` of {@link walkVaSpaces} says: with it and `map`,
 * address spaces are built anew with the tables shared that were shared before. Whatever the entry led to is replaced.
 *
 * If the other space has no table there (nothing was mapped in it), our entry becomes absent. At depth 0 all entries of its root are copied.
 *
 * @param architecture - `amd64` or `aarch64`
 * @param op - of the store in which the spaces are built; its root is ours
 * @param refMap - the reference
 * @param builtRoots - the root built for each space, ours included if it shares with itself
 * @throws {@link PageTableError} `BAD_ARGUMENT` if the space is not in `builtRoots`; `OUT_OF_RANGE`
 */
export function spaceAwareMap<A>(
  architecture: Architecture,
  op: TableOps<A>,
  refMap: SpaceReferenceMapping,
  builtRoots: ReadonlyMap<SpaceId, A>,
): void {
  checkArchitecture('spaceAwareMap', architecture);
  if (typeof refMap !== 'object' || refMap === null) throw wrongKind('spaceAwareMap', refMap, 'a reference');
  if (!(builtRoots instanceof Map)) throw wrongKind('spaceAwareMap', builtRoots, 'a Map of built roots');
  const { depth, space, ourVa, theirVa } = refMap;
  checkU64('spaceAwareMap', 'ourVa', ourVa);
  checkU64('spaceAwareMap', 'theirVa', theirVa);
  if (!Number.isInteger(depth) || depth < 0 || depth > LAST_DEPTH) {
    throw new PageTableError('OUT_OF_RANGE', `spaceAwareMap: depth ${depth}; expected 0 to ${LAST_DEPTH}`);
  }
  const table = builtRoots.get(space);
  if (table === undefined) {
    throw new PageTableError(
      'BAD_ARGUMENT',
      `spaceAwareMap: space ${typeof space === 'bigint' ? hex(space) : String(space)} is not among the ${builtRoots.size} built roots; expected it to be built before ours`,
    );
  }
  const theirs = pathFrom('spaceAwareMap', architecture, op, table);
  if (depth === 0) {
    copyRoot(architecture, op, theirs);
    return;
  }
  const low = descendToRead(theirs, architecture, new Position(pageInSpace(theirVa)), depth - 1);
  const { high } = theirs;
  const ourPlace = new Position(pageInSpace(ourVa));
  const ours = writablePathOf('spaceAwareMap', architecture, op);
  descend(ours, architecture, ourPlace, depth - 1);
  ours.write(depth - 1, ourPlace.index(depth - 1), low, low === 0 ? 0 : high);
}

function copyRoot<A>(architecture: Architecture, op: TableOps<A>, theirs: TablePath): void {
  for (let index = 0; index < architecture.PAGE_TABLE_ENTRIES_PER_TABLE; index += 1) {
    // Our root may move with any entry.
    const ours = writablePathOf('spaceAwareMap', architecture, op);
    if (ours.keyOf(0) === theirs.keyOf(0)) return;
    const low = theirs.read(0, index);
    ours.write(0, index, low, theirs.high);
  }
}

/** Bits 31:0 of the entry for a page in the table at a depth, bits 63:32 being in `path.high`; 0 if it leads to no table. */
function descendToRead(path: TablePath, { facts }: Architecture, position: Position, depth: number): number {
  for (let above = 0; ; above += 1) {
    const low = path.read(above, position.index(above));
    if ((low & facts.present) !== facts.present) return 0;
    if (above === depth) return low;
    path.enter(above, low, path.high);
  }
}
