// Makes cases. Each follows from the seed and its number alone.

import { createRandom, seedOf } from '../random.mjs';
import { accessesCase, untranslatedCase } from './accesses.mjs';
import { rightsCase } from './rights.mjs';
import { Sequence } from './sequences.mjs';

/**
 * The modes of cases, in turn.
 *
 * @type {readonly import('./operations.mjs').Mode[]}
 */
const TURNS = ['TTBR0', 'TTBR1', 'rights', 'TTBR0', 'TTBR1', 'AT', 'TTBR0', 'TTBR1', 'rights', 'MMU off'];

/** Of cases with the guest's page in a half, as many keep the TLB. */
const SEQUENCES = 0.25;

/** Turns that are for rights. */
const RIGHTS = TURNS.flatMap((mode, turn) => (mode === 'rights' ? [turn] : []));

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
  if (mode === 'MMU off') return untranslatedCase(random, number);
  if (mode === 'rights') {
    const round = Math.floor(number / TURNS.length);
    const rank = round * RIGHTS.length + RIGHTS.indexOf(number % TURNS.length);
    return rightsCase(random, number, rank, seed);
  }
  if (mode !== 'AT' && random.chance(SEQUENCES)) return new Sequence(random, mode).make(number);
  return accessesCase(random, number, mode);
}
