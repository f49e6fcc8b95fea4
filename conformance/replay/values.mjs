// How recorded files write values (section "Conventions" of their description): 64-bit quantities are strings.

import { PageTableError } from '../../dist/bits/index.js';

/** A file that does not hold what its format promises. Whoever knows the file and the line adds them. */
export class MalformedFile extends Error {
  /** @type {number | undefined} line in the file, from 1 */
  line = undefined;

  /** @param {string} message - what was expected, what was found */
  constructor(message) {
    super(message);
    this.name = 'MalformedFile';
  }
}

/**
 * Reads a 64-bit quantity.
 *
 * @param {unknown} text - `'0x…'`
 * @param {string} what - the member's name, for the message
 * @returns {bigint}
 */
export function u64(text, what) {
  if (typeof text !== 'string' || !/^0x[0-9a-f]{1,16}$/.test(text)) {
    throw new MalformedFile(`${what}: expected a 64-bit number as "0x…", found ${brief(text)}`);
  }
  return BigInt(text);
}

/**
 * Reads a signed quantity.
 *
 * @param {unknown} text - decimal digits
 * @param {string} what - the member's name, for the message
 * @returns {bigint}
 */
export function decimal(text, what) {
  if (typeof text !== 'string' || !/^-?\d{1,19}$/.test(text)) {
    throw new MalformedFile(`${what}: expected a decimal number, found ${brief(text)}`);
  }
  return BigInt(text);
}

/**
 * Makes something of recorded values. If this package refuses them, the file is at fault.
 *
 * @template T
 * @param {string} what - for the message
 * @param {() => T} make
 * @returns {T}
 */
export function checked(what, make) {
  try {
    return make();
  } catch (error) {
    if (error instanceof PageTableError) throw new MalformedFile(`${what}: ${error.message}`);
    throw error;
  }
}

/**
 * @param {unknown} value
 * @param {string} what - the member's name, for the message
 * @returns {any[]}
 */
export function listOf(value, what) {
  if (Array.isArray(value)) return value;
  throw new MalformedFile(`${what}: expected a list, found ${brief(value)}`);
}

/**
 * Reads a list of `[address, value]` pairs.
 *
 * @param {unknown} list
 * @param {string} what - the member's name, for the message
 * @returns {import('./memory.mjs').Word[]}
 */
export function wordList(list, what) {
  if (!Array.isArray(list))
    throw new MalformedFile(`${what}: expected a list of words, found ${brief(list)}`);
  return list.map((pair) => {
    if (!Array.isArray(pair) || pair.length !== 2) {
      throw new MalformedFile(`${what}: expected an [address, value] pair, found ${brief(pair)}`);
    }
    return { address: u64(pair[0], `${what}, address`), value: u64(pair[1], `${what}, value`) };
  });
}

/**
 * The words that an operation changed.
 *
 * @param {{ changed?: unknown }} operation
 * @returns {import('./memory.mjs').Word[] | undefined} undefined if they are recorded as a digest only
 */
export function recordedWords({ changed = [] }) {
  return Array.isArray(changed) ? wordList(changed, 'changed') : undefined;
}

/**
 * Writes a 64-bit quantity as the files do.
 *
 * @param {bigint | number} value
 */
export function hex(value) {
  return `0x${value.toString(16)}`;
}

/**
 * A JSON value for a message, shortened.
 *
 * @param {unknown} value
 */
export function brief(value) {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > 400 ? `${text.slice(0, 400)}…` : text;
}
