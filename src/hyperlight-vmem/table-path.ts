import type { PhysicalMemory } from '../memory/index.ts';
import type { PageEntries } from './page-entries.ts';

/** The depth of the last tables; the root's is 0. */
export const LAST_DEPTH = 3;

/**
 * The tables on the way from a root down, one for each depth, in one of the two forms that a store can have. One call has one path.
 *
 * Entries are halves: what {@link read} returns are bits 31:0, signed, and bits 63:32 are then in {@link high}.
 */
export interface TablePath {
  high: number;
  /** Reads an entry of the table at a depth. */
  read(depth: number, index: number): number;
  /** The memory of which the last table entered is a part, where its entries may be read without {@link read}. */
  readonly memory: PhysicalMemory;
  /** Where that table is in the memory's words, or a negative number: then its entries are to be read with {@link read}. */
  lastPlace(): number;
  /** Goes down to the table to which an entry leads. */
  enter(depth: number, low: number, high: number): void;
  /** What identifies the table at a depth: its physical address, or its frame. */
  keyOf(depth: number): bigint | number;
}

/** A path on which tables are written to. */
export interface WritablePath extends TablePath {
  /** Is told how many pages are about to be mapped. */
  expect(pages: number): void;
  /** Makes a table, links it from an entry of the one at a depth, and goes down to it. */
  create(depth: number, index: number): void;
  /** Writes an entry. */
  write(depth: number, index: number, low: number, high: number): void;
  /** Writes entries of the last table, one after the other. */
  writeRun(index: number, count: number, entries: PageEntries): void;
}
