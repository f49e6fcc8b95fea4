import type { FrameAllocator, Overlap, PageOptions } from '../edit/index.ts';
import type { PhysicalMemory } from '../memory/index.ts';
import type { KnownControl, SpaceFormat } from './machines.ts';
import type { SpaceInvalidation } from './result.ts';

/** How a space is edited. */
export interface SpacePolicy {
  /** Whether processors may be using the tables while they are changed; not by default. */
  readonly live?: boolean;
  /** Whether no page may be both writable and executable, whoever it is for; not by default. */
  readonly writeXorExecute?: boolean;
  /**
   * Whether a processor may be left to fault once where rights have become wider or an entry present: `tolerate` asks for fewer
   * invalidations of whoever has a handler that tries again, as far as the architecture leaves it open (x86: the processor may
   * then also not set again marks of use that were cleared). `avoid` by default.
   */
  readonly spuriousFaults?: 'avoid' | 'tolerate';
  /** What is done with tables that other entries or spaces use, too: `copy` (the default) or `refuse`. */
  readonly whenShared?: 'copy' | 'refuse';
  /** Tables that one edit may make, a bound on its work; 1,048,576 by default. */
  readonly maxTables?: number;
  /** Address-space identifier (x86: PCID), of which invalidations tell; 0 by default. */
  readonly asid?: number;
}

/** How a new space is made. */
export interface CreateOptions extends SpacePolicy {
  readonly format: SpaceFormat;
  /** Where the tables are to lie. */
  readonly memory: PhysicalMemory;
  /** Where their frames come from. */
  readonly allocator: FrameAllocator;
  /** Control state that shall not be as by default: `{ pat }`, `{ mair }`, `{ svpbmt: true }`. Roots are not taken from it. */
  readonly control?: KnownControl;
}

/** Where the tables of a space lie that is made from JSON, and how it is edited. */
export type JsonOptions = SpacePolicy & Pick<CreateOptions, 'memory' | 'allocator'>;

/** How a range is mapped. */
export interface MapOptions extends PageOptions {
  /** Physical byte address; a multiple of 4096. */
  readonly physical: bigint;
  /** Largest page, in bytes: one that the format has; all that it has by default. */
  readonly maxPage?: bigint;
  /** Whether pages become contiguous groups where they fit (AArch64 Contiguous bit, Svnapot); not by default. */
  readonly groups?: boolean;
  /** What is done where something is mapped already: `refuse` by default. */
  readonly overlap?: Overlap;
}

/** What is changed of a mapped range; the rest stays. */
export interface ProtectOptions extends Partial<PageOptions> {
  /** What is done with pages that are not mapped: `refuse` by default. */
  readonly missing?: 'refuse' | 'ignore';
}

/** How a range is unmapped. */
export interface UnmapOptions {
  /** What is done with pages that are not mapped: `ignore` by default. */
  readonly missing?: 'refuse' | 'ignore';
}

/** How far pages are merged. */
export interface CompactOptions {
  /** First byte address and bytes of the range; all by default. */
  readonly address?: bigint;
  readonly bytes?: bigint;
  /** Largest page, in bytes; all that the format has by default. */
  readonly maxPage?: bigint;
  /** Whether contiguous groups are made; not by default. */
  readonly groups?: boolean;
}

/** How a plan is committed. */
export interface CommitOptions {
  /**
   * Asks the processors that use a live space to invalidate, and returns when they have. It may be called twice: while entries
   * are absent, where the plan needs that, and at the end.
   */
  readonly invalidate?: (invalidations: readonly SpaceInvalidation[]) => void;
}

/** What an address translates to. */
export type SpaceTranslation =
  | {
      readonly kind: 'mapped';
      /** Physical byte address. */
      readonly physical: bigint;
      /** Bytes of the page in which it lies. */
      readonly pageBytes: bigint;
      /** Effective rights of applications and of the kernel: `rw-`. */
      readonly user: string;
      readonly supervisor: string;
      /** Name of the memory type. */
      readonly type: string;
    }
  | { readonly kind: 'not-present' | 'reserved' | 'not-in-memory' | 'non-canonical' };
