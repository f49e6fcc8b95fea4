// The loops of bench/peers-hyperlight.mjs. Each user of the face has loops of his own, and V8 compiles each for what
// it meets: this module is imported once for each kind of operations.

import { amd64, map, virtToPhys, walkVaSpaces } from '../dist/hyperlight-vmem/index.js';

const PAGE = 4096n;

/** What the rows add up of a mapping's kind. */
function flagsOf(kind) {
  switch (kind.kind) {
    case 'Basic':
      return (kind.readable ? 1 : 0) + (kind.writable ? 2 : 0) + (kind.executable ? 4 : 0);
    case 'Cow':
      return (kind.readable ? 1 : 0) + (kind.executable ? 4 : 0) + 8;
    case 'Unmapped':
      return 0;
  }
}

/** What is found, page by page, as frame numbers: the sum of all. */
export function sumFrames(ops, virt, len) {
  const first = Number(virt >> 12n);
  let sum = 0;
  for (const { frame, page, kind } of virtToPhys(amd64, ops, virt, len)) {
    sum += frame + (page - first) + flagsOf(kind);
  }
  return sum;
}

/** The same from physical addresses as `bigint`. */
export function sumAddresses(ops, virt, len) {
  const first = Number(virt >> 12n);
  let addresses = 0n;
  let sum = 0;
  for (const { physBase, page, kind } of virtToPhys(amd64, ops, virt, len)) {
    addresses += physBase;
    sum += page - first + flagsOf(kind);
  }
  return sum + Number(addresses >> 12n);
}

/** Frames of addresses that are looked up one by one. */
export function sumLookups(ops, virt, addresses) {
  const first = Number(virt >> 12n);
  let sum = 0;
  for (const address of addresses) {
    for (const { frame, page, kind } of virtToPhys(amd64, ops, address, 1n)) {
      sum += frame + (page - first) + flagsOf(kind);
    }
  }
  return sum;
}

/** All mappings of all roots, which are collected. */
export function walk(ops, roots, len) {
  return walkVaSpaces(amd64, ops, roots, 0n, len);
}

/** Sum of what {@link walk} found. */
export function sumWalk(spaces, virt) {
  const first = Number(virt >> 12n);
  let sum = 0;
  for (const { items } of spaces) {
    for (const item of items) {
      if (item.kind !== 'ThisSpace') throw new Error('a reference to another space; expected none on x86-64');
      const { physBase, virtBase, kind } = item.mapping;
      sum += Number(physBase >> 12n) + (Number(virtBase >> 12n) - first) + flagsOf(kind);
    }
  }
  return sum;
}

/** All pages in one call. */
export function mapAll(ops, mapping) {
  map(amd64, ops, mapping);
}

/** The same pages one by one. */
export function mapEach(ops, { physBase, virtBase, len, kind }) {
  for (let at = 0n; at < len; at += PAGE) {
    map(amd64, ops, { physBase: physBase + at, virtBase: virtBase + at, len: PAGE, kind });
  }
}
