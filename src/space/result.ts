import { addressOf } from '../bits/index.ts';
import { PAGES, ROOT, type StaleRange, TABLES } from '../edit/index.ts';
import { type Paging, withHole } from '../format/index.ts';

/** A range of addresses that a processor must forget. */
export interface SpaceInvalidation {
  /** First byte address. */
  readonly address: bigint;
  /** Bytes; a multiple of `pageBytes`. */
  readonly bytes: bigint;
  /** What one invalidation covers: the size of the pages, or of the tables' ranges, that were there. */
  readonly pageBytes: bigint;
  /**
   * What is to be forgotten: translations of pages, entries that lead to tables, or both. `root`: entries of the root, which
   * processors keep in registers; they load the root anew (PAE: MOV to CR3).
   */
  readonly scope: 'pages' | 'tables' | 'all' | 'root';
  /** Whether the translations were global: remembered for all address spaces. */
  readonly global: boolean;
  /** Address-space identifier (x86: PCID), if not global. */
  readonly asid: number | undefined;
}

/** What an edit has done. */
export interface EditResult {
  /** What processors must forget, in the order of addresses; empty if there is nothing. */
  readonly invalidations: readonly SpaceInvalidation[];
  /** Frames of tables that were made. */
  readonly tablesMade: readonly number[];
  /** Frames of tables that are not needed any more. */
  readonly tablesFreed: readonly number[];
  /**
   * Gives `tablesFreed` back to the allocator. It is done already unless the space is live and nobody could be asked to
   * invalidate: then it is to be called once `invalidations` are done.
   */
  readonly release: () => void;
}

const SCOPES = { [PAGES]: 'pages', [TABLES]: 'tables', [PAGES | TABLES]: 'all', [ROOT]: 'root' } as const;

/** The bits of a scope, by its name. */
export function scopeOf(scope: SpaceInvalidation['scope']): number {
  return { pages: PAGES, tables: TABLES, all: PAGES | TABLES, root: ROOT }[scope];
}

/** Ranges of a space as users see them. */
export function invalidationsOf(
  stale: readonly StaleRange[],
  { format }: Paging,
  asid: number | undefined,
): SpaceInvalidation[] {
  return stale.map(({ first, end, order, scope, global }) => ({
    address: addressOf(withHole(format, first)),
    bytes: BigInt(end - first) << 12n,
    pageBytes: 1n << BigInt(order + 12),
    // One of the four.
    scope: SCOPES[scope as keyof typeof SCOPES],
    global,
    asid: global ? undefined : asid,
  }));
}
