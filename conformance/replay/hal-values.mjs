// Sizes and pages as the files of hal_core write them: "4KB", [base, size].

import { AnySize, Page } from '../../dist/hal-core/index.js';
import { brief, checked, hex, listOf, MalformedFile, u64 } from './values.mjs';

/** @type {Record<string, any>} */
const SIZES = { '4KB': AnySize.Size4Kb, '2MB': AnySize.Size2Mb, '1GB': AnySize.Size1Gb };

/**
 * @param {unknown} value
 * @param {Readonly<Record<string, any>>} [sizes] - by name
 */
export function readSize(value, sizes = SIZES) {
  if (typeof value === 'string' && Object.hasOwn(sizes, value)) return sizes[value];
  throw new MalformedFile(`size: expected one of ${Object.keys(sizes).join(', ')}, found ${brief(value)}`);
}

/**
 * @param {any} Space - `VAddr` or `PAddr`
 * @param {unknown} base
 * @param {any} size
 * @param {string} name - the member's, for the message
 * @returns {any} the page
 */
export function pageAt(Space, base, size, name) {
  return checked(name, () => Page.startingAt(Space.fromUsize(u64(base, name)), size));
}

/**
 * @param {any} Space - `VAddr` or `PAddr`
 * @param {unknown} pair - `[base, size]`
 * @param {string} name - the member's, for the message
 */
export function readPage(Space, pair, name) {
  const [base, size] = listOf(pair, name);
  return pageAt(Space, base, readSize(size), name);
}

/** @param {any} unit - a page or a page range */
export function baseOf(unit) {
  return hex(unit.baseAddr().asUsize());
}

/**
 * Where each space ends, the virtual one at the end of both its halves.
 *
 * @type {Record<string, readonly bigint[]>}
 */
const ENDS = { VAddr: [1n << 47n, 1n << 64n], PAddr: [1n << 52n] };

/**
 * Whether there is no page after one: there a recorded range breaks off before it yields this page.
 *
 * @param {string} space - `VAddr` or `PAddr`
 * @param {bigint} base
 * @param {bigint} sizeBytes
 */
export function isLastOfSpace(space, base, sizeBytes) {
  return ENDS[space].includes(base + sizeBytes);
}
