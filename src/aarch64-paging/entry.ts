/** Bit 0: the entry is in use. */
export const VALID = 1;
/** Bit 1: above level 3 a table, at level 3 a page. */
export const TABLE = 2;
/** Bit 10: access flag. */
export const ACCESSED = 0x400;
/** Bits of the low half that are flags. */
export const FLAGS_LOW = 0xfff;
/** Bits of the high half that are flags. */
export const FLAGS_HIGH = 0xffff_0000 | 0;
/** Bits of an entry that are its output address. */
export const ADDRESS = 0xffff_ffff_f000n;
/** The level of pages. */
export const LEAF_LEVEL = 3;
/** Bits of an address that one level resolves. */
export const BITS_PER_LEVEL = 9;
/** Bytes of a page, and of a table. */
export const PAGE_SIZE = 4096n;
/** Pages that an entry of each level maps. */
export const SPANS: readonly number[] = [2 ** 27, 2 ** 18, 2 ** 9, 1];

/** Frame of the output address of an entry, bits 47:12, given as halves. */
export function frameOf(low: number, high: number): number {
  return (high & 0xffff) * 0x10_0000 + (low >>> 12);
}

/** Bits 31:12 of the address of a frame. */
export function lowOf(frame: number): number {
  return (frame & 0xf_ffff) << 12;
}

/** Bits 47:32 of the address of a frame. */
export function highOf(frame: number): number {
  return (frame / 0x10_0000) & 0xffff;
}
