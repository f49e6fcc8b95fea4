// Lists of words and their digests, as recorded files have them (sections 2.2 to 2.4).

import { createHash } from 'node:crypto';
import { hex } from './values.mjs';

/** @typedef {import('./memory.mjs').Word} Word */

/** Changed words that are listed one by one; more than these are a count and a digest. */
const MAX_LISTED = 16;

/**
 * SHA-256 over 64-bit numbers, in hexadecimal.
 *
 * @param {BigUint64Array | Uint32Array} numbers - whole ones or their halves, little-endian as everywhere in this package
 */
export function digestOfNumbers(numbers) {
  return createHash('sha256').update(numbers).digest('hex');
}

/**
 * @param {readonly Word[]} words - ascending by address
 */
export function digestOfWords(words) {
  const numbers = new BigUint64Array(2 * words.length);
  for (const [i, { address, value }] of words.entries()) {
    numbers[2 * i] = address;
    numbers[2 * i + 1] = value;
  }
  return digestOfNumbers(numbers);
}

/**
 * Words as `[[address, value], …]`.
 *
 * @param {readonly Word[]} words
 */
export function listed(words) {
  return words.map(({ address, value }) => [hex(address), hex(value)]);
}

/**
 * The `changed` member for these words: nothing, a list, or a count and a digest.
 *
 * @param {readonly Word[]} words - ascending by address
 */
export function changedMember(words) {
  if (words.length === 0) return undefined;
  if (words.length <= MAX_LISTED) return listed(words);
  return { count: words.length, sha256: digestOfWords(words) };
}
