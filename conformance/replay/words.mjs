// Lists of words and their digests, as recorded files have them (sections 2.2 to 2.4).

import { createHash } from 'node:crypto';
import { hex } from './values.mjs';

/**
 * A 64-bit word by its recorded address.
 *
 * @typedef {{ address: bigint, value: bigint }} Word
 */

/** Changed words that are listed one by one; more than these are a count and a digest. */
const MAX_LISTED = 16;
/** Words in a frame. */
const FRAME_WORDS = 512;

/**
 * SHA-256 over 64-bit numbers, in hexadecimal.
 *
 * @param {NodeJS.ArrayBufferView} numbers - whole ones or their halves, little-endian as everywhere in this package
 */
export function digestOfNumbers(numbers) {
  return createHash('sha256').update(numbers).digest('hex');
}

/** Words, ascending by address; there may be thousands, so that they are held as halves. */
export class Words {
  /** Number of words. */
  count = 0;
  /** Lower and upper half of the address and of the value of each. */
  #halves;

  /** @param {number} frames - from which all of them are */
  constructor(frames) {
    this.#halves = new Uint32Array(frames * FRAME_WORDS * 4);
  }

  /**
   * @param {readonly Word[]} list
   * @returns {Words} the same
   */
  static of(list) {
    const words = new Words(Math.ceil(list.length / FRAME_WORDS));
    const numbers = new BigUint64Array(words.#halves.buffer);
    for (const { address, value } of list) {
      numbers[2 * words.count] = address;
      numbers[2 * words.count + 1] = value;
      words.count += 1;
    }
    return words;
  }

  /**
   * @param {number} addressLow - signed or not, as all halves
   * @param {number} addressHigh
   * @param {number} low - of the value
   * @param {number} high
   */
  add(addressLow, addressHigh, low, high) {
    const at = this.count * 4;
    this.#halves[at] = addressLow;
    this.#halves[at + 1] = addressHigh;
    this.#halves[at + 2] = low;
    this.#halves[at + 3] = high;
    this.count += 1;
  }

  /** SHA-256 over addresses and values. */
  digest() {
    return digestOfNumbers(this.#halves.subarray(0, this.count * 4));
  }

  /** @returns {Word[]} one by one */
  all() {
    const numbers = new BigUint64Array(this.#halves.buffer, 0, this.count * 2);
    return Array.from({ length: this.count }, (_, i) => ({
      address: numbers[2 * i],
      value: numbers[2 * i + 1],
    }));
  }

  /** All as `[[address, value], …]`. */
  listed() {
    return this.all().map(({ address, value }) => [hex(address), hex(value)]);
  }

  /** The `changed` member for these words: nothing, a list, or a count and a digest. */
  member() {
    if (this.count === 0) return undefined;
    return this.count <= MAX_LISTED ? this.listed() : { count: this.count, sha256: this.digest() };
  }
}
