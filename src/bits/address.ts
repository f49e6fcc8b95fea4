import { PageTableError } from './errors.ts';
import { highHalf, joinHalves, lowHalf } from './halves.ts';

/** Bytes in a 4-KiB frame, the unit in which frames and pages are numbered everywhere. */
export const FRAME_BYTES = 4096;
/** 32-bit words in a frame. */
export const FRAME_WORDS = 1024;

/**
 * The page (or frame) number of a byte address: the address divided by 4096.
 *
 * @param address - byte address, 64 bits
 * @returns an integer in `[0, 2^52)`, exact in a double
 * @throws {@link PageTableError} `OUT_OF_RANGE` if `address` is negative or wider than 64 bits
 */
export function pageOf(address: bigint): number {
  if (BigInt.asUintN(64, address) !== address) {
    throw new PageTableError(
      'OUT_OF_RANGE',
      `address ${hex(address)} is outside [0, 2^64); expected an unsigned 64-bit byte address`,
      { address },
    );
  }
  return (highHalf(address) >>> 0) * 0x10_0000 + (lowHalf(address) >>> 12);
}

/** The offset of a byte address inside its 4-KiB page, in `[0, 4096)`. */
export function offsetOf(address: bigint): number {
  return lowHalf(address) & (FRAME_BYTES - 1);
}

/**
 * The byte address of a page or frame number plus an offset.
 *
 * @param page - integer in `[0, 2^52)`
 * @param offset - bytes, an integer in `[0, 2^53)`
 */
export function addressOf(page: number, offset = 0): bigint {
  const start = joinHalves(page << 12, Math.floor(page / 0x10_0000));
  return offset === 0 ? start : start + BigInt(offset);
}

/** `0x` and as many lower-case hexadecimal digits as the number needs; a minus sign where it is negative. */
export function hex(value: bigint | number): string {
  return value < 0 ? `-0x${(-value).toString(16)}` : `0x${value.toString(16)}`;
}

/** `0x` and exactly 16 hexadecimal digits. */
export function hex64(value: bigint): string {
  return `0x${value.toString(16).padStart(16, '0')}`;
}

/** Sixteen hexadecimal digits of the byte address of a page or frame number, without `0x`. */
export function hexPage(page: number): string {
  return `${page.toString(16).padStart(13, '0')}000`;
}
