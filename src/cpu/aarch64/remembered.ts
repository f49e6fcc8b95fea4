import { GRANULES, type Granule } from '../../format/index.ts';

// What is kept with what a processor remembers, and the sizes of it that there are.

/** Address spaces of the TLB: an ASID has at most 16 bits, and global translations have a space of their own. */
export const ASIDS = 65_536;
/** The space of global translations. */
export const GLOBAL: number = ASIDS;

/** Of a page: the eight bits that `combinedDescriptors` makes. */
export const RIGHTS = 0xff;
/** Of a page: writes need not clear its AP[2]. */
export const DIRTY = 0x100;
/** Of a page: from here bits 9:2 of its entry: AttrIndx, NS, AP, SH. */
export const TYPE_SHIFT = 9;

/** Of a table: PXNTable, UXNTable and APTable of the entries above, at their places in a high half. */
export const TABLE_OR = 0x7800_0000;

const LAST_LEVEL = 3;
const MOST_BITS = 48;

/** What the entries of a level span, and which level it is. */
interface Span {
  /** `log2` of the 4-KiB pages. */
  readonly order: number;
  readonly granule: Granule;
  readonly level: number;
}

const SPANS: readonly Span[] = GRANULES.flatMap((granule) =>
  [LAST_LEVEL, 2, 1, 0]
    .map((level) => ({
      order: granule.shift + (LAST_LEVEL - level) * (granule.shift - 3) - 12,
      granule,
      level,
    }))
    .filter(({ order }) => order + 12 < MOST_BITS),
);

/** Orders of pages and blocks of all granules, small ones first within each. No two levels have the same. */
export const PAGE_ORDERS: readonly number[] = SPANS.filter(
  ({ granule, level }) => granule.leaves[level] !== undefined,
).map(({ order }) => order);

/** Orders of entries that lead to tables, of all granules. */
export const TABLE_ORDERS: readonly number[] = SPANS.filter(({ level }) => level < LAST_LEVEL).map(
  ({ order }) => order,
);

/** The level of entries that span `2 ** order` pages. */
export function levelOf(order: number): number {
  return SPANS.find((span) => span.order === order)?.level ?? LAST_LEVEL;
}

/** Whether entries that span `2 ** order` pages are of a granule of `2 ** shift` bytes. */
export function isOfGranule(order: number, shift: number): boolean {
  return SPANS.some((span) => span.order === order && span.granule.shift === shift);
}
