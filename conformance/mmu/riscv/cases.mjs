// Makes cases. Each follows from the seed and its number alone.

import { createRandom, seedOf } from '../random.mjs';
import { accessesCase, untranslatedCase } from './accesses.mjs';
import { rightsCase } from './rights.mjs';
import { Sequence } from './sequences.mjs';

const TRANSLATING = /** @type {const} */ (['Sv32', 'Sv39', 'Sv48', 'Sv57']);

/**
 * The modes of cases, in turn.
 *
 * @type {readonly import('./operations.mjs').Mode[]}
 */
const TURNS = [...repeated(TRANSLATING, 6), 'Bare'];

/** The first cases of a round, one for each mode that translates, are for rights. */
const RIGHTS = TRANSLATING.length;

/** Of the others that translate, as many keep the TLB. */
const SEQUENCES = 0.4;

/**
 * @template T
 * @param {readonly T[]} list
 * @param {number} times
 */
function repeated(list, times) {
  return Array.from({ length: times }, () => list).flat();
}

/**
 * @param {number} number - of a case
 * @returns {import('./operations.mjs').Mode}
 */
export function modeOf(number) {
  return TURNS[number % TURNS.length];
}

/**
 * @param {number} seed
 * @param {number} number
 * @returns {import('./operations.mjs').Case}
 */
export function createCase(seed, number) {
  const random = createRandom(seedOf(seed, number));
  const mode = modeOf(number);
  if (mode === 'Bare') return untranslatedCase(random, number);
  const turn = number % TURNS.length;
  if (turn < RIGHTS) return rightsCase(random, number, mode, Math.floor(number / TURNS.length), seed);
  if (random.chance(SEQUENCES)) return new Sequence(random, mode).make(number);
  return accessesCase(random, number, mode);
}
