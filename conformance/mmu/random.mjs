// Random numbers that follow from a seed.

/**
 * @typedef {object} Random
 * @property {() => number} next - a whole number in `[0, 2^32)`
 * @property {(limit: number) => number} below - a whole number in `[0, limit)`; `limit` at most 2^32
 * @property {(probability: number) => boolean} chance
 * @property {<T>(list: readonly T[]) => T} pick
 * @property {(count: number) => bigint} bits - that many random bits, at most 64
 */

/**
 * Mulberry32 (Tommy Ettinger, public domain).
 *
 * @param {number} seed
 * @returns {Random}
 */
export function createRandom(seed) {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b_79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  };
  /** @param {number} limit */
  const below = (limit) => Math.floor((next() / 2 ** 32) * limit);
  return {
    next,
    below,
    chance: (probability) => next() < probability * 2 ** 32,
    pick: (list) => list[below(list.length)],
    bits: (count) => BigInt.asUintN(count, (BigInt(next()) << 32n) | BigInt(next())),
  };
}

/**
 * A seed for one of many things that have a number, none of which shall resemble its neighbour.
 *
 * @param {number} seed
 * @param {number} number
 */
export function seedOf(seed, number) {
  let t = Math.imul(seed ^ (seed >>> 16), 0x85eb_ca6b) ^ Math.imul(number + 1, 0xc2b2_ae35);
  t = Math.imul(t ^ (t >>> 13), 0x27d4_eb2f);
  return (t ^ (t >>> 16)) >>> 0;
}
