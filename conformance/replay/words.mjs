// Lists of words and their digests, as recorded files have them (sections 2.2 to 2.4).

import { createHash } from 'node:crypto';
import { hex } from './values.mjs';

/** @typedef {import('./memory.mjs').Word} Word */

/** Changed words that are listed one by one; more than these are a count and a digest. */
const MAX_LISTED = 16;

/**
 * SHA-256 over the 64-bit little-endian numbers of a list, in hexadecimal.
 *
 * @param {readonly bigint[]} numbers
 */
export function digestOf(numbers) {
  const bytes = new DataView(new ArrayBuffer(numbers.length * 8));
  numbers.forEach((number, i) => {
    bytes.setBigUint64(i * 8, number, true);
  });
  return createHash('sha256').update(bytes).digest('hex');
}

/**
 * @param {readonly Word[]} words - ascending by address
 */
export function digestOfWords(words) {
  return digestOf(words.flatMap(({ address, value }) => [address, value]));
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
