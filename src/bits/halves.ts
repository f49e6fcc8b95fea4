// One 64-bit word and its two halves: a store and a load take a few nanoseconds where shifts of a bigint take forty.
const WORD = new BigUint64Array(1);
const HALVES = new Int32Array(WORD.buffer);

/** Bits 31:0 of a 64-bit value, signed. Bits above 63 are dropped. */
export function lowHalf(value: bigint): number {
  WORD[0] = value;
  return HALVES[0];
}

/** Bits 63:32 of a 64-bit value, signed. Bits above 63 are dropped. */
export function highHalf(value: bigint): number {
  WORD[0] = value;
  return HALVES[1];
}

/**
 * Joins the two halves of a 64-bit entry.
 *
 * @param low - bits 31:0, signed or unsigned
 * @param high - bits 63:32, signed or unsigned
 */
export function joinHalves(low: number, high: number): bigint {
  HALVES[0] = low;
  HALVES[1] = high;
  return WORD[0];
}
