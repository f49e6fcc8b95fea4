import type { EntryEncoder, Paging } from '../format/index.ts';
import type { PhysicalMemory } from '../memory/index.ts';
import type { PageMasks } from './masks.ts';
import type { Sharing } from './sharing.ts';

/** Page tables under one root, and what edits of them must know. */
export interface Tree {
  readonly memory: PhysicalMemory;
  readonly paging: Paging;
  readonly encoder: EntryEncoder;
  readonly masks: PageMasks;
  readonly sharing: Sharing;
}

/** Tables that one edit may make unless the user says otherwise: 4 GiB of them. */
export const MOST_TABLES = 2 ** 20;

/** How edits are made. */
export interface EditPolicy {
  /** Whether a processor may be using the tables while they are changed. */
  readonly live: boolean;
  /** Whether no page may be both writable and executable. */
  readonly writeXorExecute: boolean;
  /** Whether a processor may be left to fault once where rights have become wider, or an entry present. */
  readonly spuriousFaults: 'avoid' | 'tolerate';
  /** What is done with tables that other entries lead to, too. */
  readonly whenShared: 'copy' | 'refuse';
  /** Tables that one edit may make: a bound on its work. */
  readonly maxTables: number;
}
