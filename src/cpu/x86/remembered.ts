// What is kept with what a processor remembers, and the address spaces that it is tagged with.

/** Address spaces of the TLB: a PCID has 12 bits, and global translations have a space of their own. */
export const PCIDS = 4096;
/** The space of global translations. */
export const GLOBAL: number = PCIDS;

/** Of a page: the seven bits that `combinedIndex` makes. */
export const RIGHTS = 0x7f;
/** Of a page: writes need not set its dirty bit. */
export const DIRTY = 0x80;
/** Of a page: from here, the index into PAT. */
export const TYPE_SHIFT = 8;

/** Of a table: R/W and U/S of the entries above, at their places in a low half. */
export const TABLE_AND = 6;
/** Of a table: XD of the entries above, at its place in a high half. */
export const TABLE_OR: number = 0x8000_0000 | 0;
