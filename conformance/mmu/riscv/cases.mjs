// Makes cases. Each follows from the seed and its number alone.

import { createRandom, seedOf } from '../random.mjs';
import { accessesCase, untranslatedCase } from './accesses.mjs';

/**
 * The modes of cases, in turn.
 *
 * @type {readonly import('./operations.mjs').Mode[]}
 */
const TURNS = [...repeated(/** @type {const} */ (['Sv32', 'Sv39', 'Sv48', 'Sv57']), 6), 'Bare'];

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
  return accessesCase(random, number, mode);
}
