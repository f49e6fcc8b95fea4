// Makes cases. Each follows from the seed and its number alone.

import { createRandom, seedOf } from '../random.mjs';
import { accessesCase } from './accesses.mjs';
import { isLong, MODES } from './control.mjs';
import { PcidSequence } from './pcid-sequences.mjs';
import { Sequence } from './sequences.mjs';

/**
 * @param {number} number - of a case
 * @returns {import('./control.mjs').Mode}
 */
export function modeOf(number) {
  return MODES[number % MODES.length];
}

/**
 * One case in four of each mode keeps the TLB.
 *
 * @param {number} number - of a case
 */
function isSequence(number) {
  return Math.floor(number / MODES.length) % 4 === 3;
}

/**
 * @param {number} seed
 * @param {number} number
 * @param {import('./control.mjs').Processor} processor
 * @returns {import('./operations.mjs').Case}
 */
export function createCase(seed, number, processor) {
  const random = createRandom(seedOf(seed, number));
  const mode = modeOf(number);
  if (!isSequence(number)) return accessesCase(random, number, mode, processor);
  const WithPcids = processor.pcid && isLong(mode) && random.chance(0.7) ? PcidSequence : Sequence;
  return new WithPcids(random, mode, processor).make(number);
}
