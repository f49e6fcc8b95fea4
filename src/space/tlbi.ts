import type { FormatFact } from '../format/index.ts';
import type { SpaceInvalidation } from './result.ts';

// Arm ARM (DDI 0487), section "TLB maintenance instructions".

/** What TLBI instructions may use. */
export interface TlbiOptions {
  /** AArch64 with FEAT_TLBIRANGE: whether instructions that name a range take the place of several; not by default. */
  readonly ranges?: boolean;
  /** AArch64 with FEAT_TTL: whether instructions for pages alone say at which level their entry is; not by default. */
  readonly levelHints?: boolean;
}

/** A TLBI instruction that takes an address or a range. */
export interface Tlbi {
  readonly operation: string;
  readonly operand: bigint;
}

/** `log2` of the bytes of a granule: its code in TTL and TG. */
const GRANULE_CODES: Readonly<Record<number, bigint>> = { 12: 1n, 14: 2n, 16: 3n };
/** VA[55:12]. */
const ADDRESS_MASK = (1n << 44n) - 1n;
/** BaseADDR. */
const BASE_MASK = (1n << 37n) - 1n;
/** Instructions that forget what leads to a page as well, and those that do not. */
const WHOLE = /^VAA?E1IS$/;
const LAST_LEVEL = /^VAA?LE1IS$/;
/** SCALE, the largest. */
const MOST_SCALE = 3;
/** NUM + 1, at most. */
const MOST_UNITS = 32n;

/**
 * The TLBI instructions for some ranges.
 *
 * @param limit - instructions at most
 * @returns `undefined` if there were more
 */
export function tlbiInstructions(
  { levels }: FormatFact,
  invalidations: readonly SpaceInvalidation[],
  limit: number,
  { ranges = false, levelHints = false }: TlbiOptions,
): Tlbi[] | undefined {
  const granuleShift = levels[levels.length - 1].indexLow;
  const found: Tlbi[] = [];
  for (const invalidation of invalidations) {
    const { address, bytes, pageBytes } = invalidation;
    const level = levelHints && invalidation.scope === 'pages' ? levelOf(granuleShift, pageBytes) : undefined;
    const asid = BigInt(invalidation.asid ?? 0) << 48n;
    const name = nameOf(invalidation);
    const one = (at: bigint): Tlbi => {
      const ttl = level === undefined ? 0n : (GRANULE_CODES[granuleShift] << 2n) | level;
      return { operation: name, operand: asid | (ttl << 44n) | ((at >> 12n) & ADDRESS_MASK) };
    };
    const pieces = ranges ? rangesOf(bytes >> BigInt(granuleShift)) : [];
    if (pieces.length > 0 && BigInt(pieces.length) < bytes / pageBytes) {
      let at = address;
      for (const { scale, units } of pieces) {
        const operand =
          asid |
          (GRANULE_CODES[granuleShift] << 46n) |
          (BigInt(scale) << 44n) |
          ((units - 1n) << 39n) |
          ((level ?? 0n) << 37n) |
          ((at >> BigInt(granuleShift)) & BASE_MASK);
        found.push(units === 0n ? one(at) : { operation: `R${name}`, operand });
        at += units === 0n ? 1n << BigInt(granuleShift) : units << BigInt(5 * scale + 1 + granuleShift);
      }
    } else {
      if (BigInt(found.length) + bytes / pageBytes > BigInt(limit)) return undefined;
      for (let at = address; at < address + bytes; at += pageBytes) found.push(one(at));
    }
    if (found.length > limit) return undefined;
  }
  // What leads to a page goes with the page itself, global or not.
  const whole = new Set(
    found.flatMap(({ operation, operand }) => (WHOLE.test(operation) ? [operand & ADDRESS_MASK] : [])),
  );
  return found.filter(
    ({ operation, operand }) => !(LAST_LEVEL.test(operation) && whole.has(operand & ADDRESS_MASK)),
  );
}

/** `L` leaves what leads to tables, `A` stands for any ASID. */
function nameOf({ scope, asid }: SpaceInvalidation): string {
  return `VA${asid === undefined ? 'A' : ''}${scope === 'pages' ? 'L' : ''}E1IS`;
}

/** The level at which entries map pages of a size; `undefined` where they map none of that size by themselves. */
function levelOf(granuleShift: number, pageBytes: bigint): bigint | undefined {
  for (const level of [1, 2, 3]) {
    if (pageBytes === 1n << BigInt(granuleShift + (3 - level) * (granuleShift - 3))) return BigInt(level);
  }
  return undefined;
}

/**
 * A range as pieces of `units * 2^(5 * scale + 1)` granules; one that has no units is a single granule.
 *
 * @param granules - what they cover together
 */
function rangesOf(granules: bigint): { scale: number; units: bigint }[] {
  const pieces: { scale: number; units: bigint }[] = [];
  let rest = granules;
  for (let scale = MOST_SCALE; scale >= 0; scale -= 1) {
    const shift = BigInt(5 * scale + 1);
    while (rest >> shift > 0n) {
      const units = rest >> shift > MOST_UNITS ? MOST_UNITS : rest >> shift;
      pieces.push({ scale, units });
      rest -= units << shift;
    }
  }
  return rest > 0n ? [...pieces, { scale: 0, units: 0n }] : pieces;
}
