// What is kept with what a processor remembers, and the sizes of it that there are.

/** Of a page: the six bits that `pteRights` makes; these are the last two of them. */
export const RIGHTS = 0x3f;
/** Of a page: A is set. */
export const ACCESSED = 0x10;
/** Of a page: D is set. */
export const DIRTY = 0x20;
/** Of a page: from here, PBMT. */
export const TYPE_SHIFT = 6;
/** No page: the walk ended at an entry that faults, for every access. */
export const FAULTY = 0x100;
/** Besides {@link FAULTY}: the entry is valid, but holds something reserved. */
export const RESERVED_ENTRY = 0x200;

/** Of a table: clear if an entry that leads to it says that all below is global; its place is that of G. */
export const TABLE_NOT_GLOBAL = 0x20;

/** Address spaces by the width of registers: an ASID has at most 9 or 16 bits. Global translations have a space of their own. */
export const ASIDS: Readonly<Record<32 | 64, number>> = { 32: 512, 64: 65_536 };

/** Bits of an address that choose an entry of a table, by the width of registers. */
export const INDEX_BITS: Readonly<Record<32 | 64, number>> = { 32: 10, 64: 9 };

/** Orders of pages, small ones first: of the formats of one width of registers, all at once. */
export const PAGE_ORDERS: Readonly<Record<32 | 64, readonly number[]>> = {
  32: [0, 10],
  64: [0, 9, 18, 27, 36],
};

/** Orders of entries that lead to tables. */
export const TABLE_ORDERS: Readonly<Record<32 | 64, readonly number[]>> = {
  32: [10],
  64: [9, 18, 27, 36],
};
