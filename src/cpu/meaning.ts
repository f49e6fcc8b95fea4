import type { CompiledFormat, Root } from '../format/index.ts';
import type { Remembered, Step } from './origin.ts';
import type { PageWalk } from './page-walk.ts';

/** What a detector must know of an architecture: what the registers make of tables, and of what is remembered of them. */
export interface Meaning {
  /** The processor's class, for messages. */
  readonly processor: string;
  /** The address space that is current. */
  readonly space: number;
  /** The space of global translations. */
  readonly global: number;
  /** One of the formats that are in use, for what they all have in common; `undefined` while there is none. */
  readonly anyFormat: CompiledFormat | undefined;
  /** The format of the tables for an address; `undefined` while there are none. */
  formatAt(high: number): CompiledFormat | undefined;
  /** Their root now. */
  rootAt(high: number): Root;
  /** Depth of the tables to which entries lead that span `2 ** order` pages, on the way to an address. */
  depthBelow(high: number, order: number): number;
  /** What is remembered of the page that a walk has come to. */
  pageBits(walk: PageWalk, format: CompiledFormat): number;
  /** What is remembered of a table, from the entries down to `depth`. */
  tableBits(walk: PageWalk, depth: number): number;
  /** Why an access is refused by what is remembered of a page: bits, 0 where it is allowed. */
  denials(bits: number, access: number, excused: boolean): number;
  /** Whether what is remembered of a page gives another memory type than what the tables say now. */
  isOtherType(bits: number, others: number): boolean;
  /** Whether what is remembered of a table leaves rights that the tables now take away. */
  isWider(bits: number, now: number): boolean;
  /** Whether an entry, which leads to the same as before, takes rights that it did not take. */
  narrows(
    format: CompiledFormat,
    depth: number,
    isTable: boolean,
    oldLow: number,
    oldHigh: number,
    low: number,
    high: number,
  ): boolean;
  /**
   * Bits of an entry's low half that processors change by themselves.
   *
   * @param depth - of the entry; `undefined` where it may be any
   * @param high - its high half
   */
  marksOf(format: CompiledFormat, depth: number | undefined, high: number): number;
  /** What would have removed it, in words, where an entry changed, or a register if `changed` is not given. */
  dueFor(entry: Remembered, changed: Step | undefined, isSameRoot: boolean): string;
}
