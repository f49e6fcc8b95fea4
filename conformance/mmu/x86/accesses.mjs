// Cases of accesses that start from an empty TLB each.

import {
  CR0_ET,
  CR0_NE,
  CR0_PE,
  CR0_PG,
  CR0_WP,
  CR4_LA57,
  CR4_PAE,
  CR4_PGE,
  CR4_PKE,
  CR4_PKS,
  CR4_PSE,
  CR4_SMAP,
  CR4_SMEP,
  EFER_LMA,
  EFER_LME,
  EFER_NXE,
  isLong,
} from './control.mjs';
import { LEVELS } from './reference.mjs';
import { Stage } from './stage.mjs';
import { OWN_KEY, randomTables } from './tables.mjs';

/** @typedef {import('../random.mjs').Random} Random */
/** @typedef {import('./control.mjs').Control} Control */
/** @typedef {import('./control.mjs').Mode} Mode */
/** @typedef {import('./operations.mjs').Access} Access */
/** @typedef {import('./operations.mjs').Case} Case */

const ACCESSES = 24;

/** Accesses that are tried in place of one that cannot be made. */
const TRIES = 20;

/**
 * Registers other than CR3.
 *
 * @param {Random} random
 * @param {Mode} mode
 * @param {import('./control.mjs').Processor} processor
 * @returns {Control}
 */
export function randomControl(random, mode, { pku, pks }) {
  /**
   * @param {bigint} bit
   * @param {number} probability
   */
  const maybe = (bit, probability) => (random.chance(probability) ? bit : 0n);
  const long = isLong(mode);
  const keys = long ? 0.6 : 0.2;
  return {
    cr0: CR0_PE | CR0_ET | CR0_NE | CR0_PG | maybe(CR0_WP, 0.7),
    cr3: 0n,
    cr4:
      (mode === '32-bit' ? 0n : CR4_PAE) |
      (mode === '5-level' ? CR4_LA57 : 0n) |
      maybe(CR4_PSE, 0.75) |
      maybe(CR4_PGE, 0.7) |
      maybe(CR4_SMEP, 0.4) |
      maybe(CR4_SMAP, 0.4) |
      maybe(CR4_PKE, pku ? keys : 0) |
      maybe(CR4_PKS, pks ? keys : 0),
    efer: (long ? EFER_LME | EFER_LMA : 0n) | maybe(EFER_NXE, 0.75),
    pkru: randomKeyRights(random),
    pkrs: randomKeyRights(random) & ~(3n << BigInt(2 * OWN_KEY)),
  };
}

/**
 * PKRU or PKRS: about half of the keys have all rights.
 *
 * @param {Random} random
 */
export function randomKeyRights(random) {
  let rights = 0n;
  for (let key = 0n; key < 16n; key++) if (random.chance(0.45)) rights |= random.bits(2) << (2n * key);
  return rights;
}

/**
 * Bits of CR3 that change no translation.
 *
 * @param {Random} random
 * @param {Mode} mode
 */
export function randomCr3Flags(random, mode) {
  if (random.chance(0.5)) return 0n;
  return random.bits(mode === 'PAE' ? 5 : 12);
}

/**
 * Sign-extends what the mode translates.
 *
 * @param {Mode} mode
 * @param {bigint} linear
 */
export function makeCanonical(mode, linear) {
  if (!isLong(mode)) return BigInt.asUintN(32, linear);
  return BigInt.asUintN(64, BigInt.asIntN(mode === '5-level' ? 57 : 48, linear));
}

/**
 * A page whose index at each depth has an entry.
 *
 * @param {Random} random
 * @param {Mode} mode
 * @param {readonly (readonly number[])[]} hot
 */
export function hotPage(random, mode, hot) {
  let linear = 0n;
  for (const [depth, { shift }] of LEVELS[mode].entries()) linear |= BigInt(random.pick(hot[depth])) << shift;
  return makeCanonical(mode, linear);
}

/**
 * First addresses beyond a change of canonicity or of the highest index, and 0.
 *
 * @param {Mode} mode
 */
function boundaries(mode) {
  if (!isLong(mode)) return [0n, 1n << 31n, 1n << 32n];
  const width = mode === '5-level' ? 57n : 48n;
  return [0n, 1n << (width - 1n), (1n << 64n) - (1n << (width - 1n)), 1n << 64n, 1n << 47n, 1n << 56n];
}

/**
 * @param {Random} random
 * @param {Mode} mode
 * @param {readonly (readonly number[])[]} hot
 * @param {Access['kind']} kind
 * @param {number} bytes
 */
function randomAddress(random, mode, hot, kind, bytes) {
  const width = isLong(mode) ? 64 : 32;
  const choice = random.below(100);
  if (choice < 6) {
    // The bytes around a boundary.
    const boundary = random.pick(boundaries(mode));
    return BigInt.asUintN(width, boundary - BigInt(random.below(kind === 'fetch' ? 2 : bytes + 2)));
  }
  let linear = hotPage(random, mode, hot);
  if (choice < 16) {
    // The page of any size before or after.
    const step = 1n << random.pick(LEVELS[mode]).shift;
    linear = makeCanonical(mode, random.chance(0.5) ? linear + step : linear - step);
  } else if (choice < 19 && isLong(mode)) {
    const lowest = mode === '5-level' ? 56 : 47;
    linear ^= 1n << BigInt(lowest + random.below(64 - lowest));
  } else if (choice < 21) linear = makeCanonical(mode, random.bits(64));

  // Only at such offsets there is an INT3.
  if (kind === 'fetch') return linear - (linear % 4096n) + BigInt(random.below(256) * 16 + random.below(4));
  const crossing = bytes > 1 && random.chance(0.25);
  const offset = crossing ? 4096 - 1 - random.below(bytes - 1) : random.below(4096 - bytes + 1);
  return linear - (linear % 4096n) + BigInt(offset);
}

/**
 * @param {Random} random
 * @param {Mode} mode
 * @param {readonly (readonly number[])[]} hot
 * @returns {Access}
 */
function randomAccess(random, mode, hot) {
  const kind = random.pick(/** @type {const} */ (['read', 'read', 'write', 'write', 'fetch']));
  const bytes = kind === 'fetch' ? 1 : random.pick(/** @type {const} */ ([1, 2, 4, 8]));
  return {
    kind,
    address: randomAddress(random, mode, hot, kind, bytes),
    bytes,
    user: random.chance(0.5),
    ac: random.chance(0.3),
    stack: kind !== 'fetch' && random.chance(0.2),
    flush: true,
    value: kind === 'write' ? random.bits(bytes * 8) : 0n,
  };
}

/**
 * @param {Random} random
 * @param {number} number
 * @param {Mode} mode
 * @param {import('./control.mjs').Processor} processor
 * @returns {Case}
 */
export function accessesCase(random, number, mode, processor) {
  const control = randomControl(random, mode, processor);
  const tables = randomTables(random, mode, control, 1);
  control.cr3 = tables.roots[0] | randomCr3Flags(random, mode);
  const words = new Map(tables.memory.words);
  const stage = new Stage(mode, control, tables, { editsTables: true });
  const operations = [];
  const predictions = [];
  for (let i = 0; i < ACCESSES * TRIES && operations.length < ACCESSES; i++) {
    const access = randomAccess(random, mode, tables.hot);
    const prediction = stage.attempt(access);
    if (prediction === undefined) continue;
    operations.push(access);
    predictions.push(prediction);
  }
  return {
    number,
    mode,
    control,
    words,
    operations,
    predictions,
    refusals: new Map(),
    written: [...stage.written],
    loose: stage.loose.at,
  };
}
