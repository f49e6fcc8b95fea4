// The loops of bench/peers-aarch64-paging.mjs. Each user of the face has loops of his own, and V8 compiles each for what
// it meets: this module is imported once for each shape.

import { MemoryRegion } from '../dist/aarch64-paging/index.js';

const PAGE = 4096n;
const IS_SEED = import.meta.url.endsWith('?seed');

/** What is summed up of a descriptor: version 0.5 shows its flags, but not its output address. */
const numberOf = IS_SEED ? (descriptor) => descriptor.low & 0xfff : (descriptor) => descriptor.frame;
const bigintOf = IS_SEED
  ? (descriptor) => Number(descriptor.flags().bits())
  : (descriptor) => Number(descriptor.outputAddress().value >> 12n);

/** All pages, or blocks, in one call. */
export function mapAll(map, region, physical, flags, constraints) {
  map.mapRange(region, physical, flags, constraints);
}

/** Single pages, in regions that are there already. */
export function mapEach(map, regions, physical, flags, constraints) {
  for (let i = 0; i < regions.length; i += 1) map.mapRange(regions[i], physical[i], flags, constraints);
}

/** The same from addresses as `bigint`. */
export function mapAddresses(map, addresses, physical, flags, constraints) {
  for (let i = 0; i < addresses.length; i += 1) {
    const region = new MemoryRegion(addresses[i], addresses[i] + PAGE);
    map.mapRange(region, physical[i], flags, constraints);
  }
}

/** Sets flags of all leaves, or clears them. */
export function modify(map, region, set, clear) {
  map.modifyRange(region, (_, descriptor) => descriptor.modifyFlags(set, clear));
}

/** Sum of what the descriptors of a range say, and of the pages that they are said for, as numbers, modulo 2^32. */
export function walk(map, region, first) {
  let sum = 0;
  map.walkRange(region, (part, descriptor, level) => {
    sum = (sum + part.firstPage - first + numberOf(descriptor) + level) | 0;
  });
  return sum >>> 0;
}

/** The same from `bigint`. */
export function walkBigints(map, region, first) {
  let sum = 0;
  map.walkRange(region, (part, descriptor, level) => {
    sum = (sum + Number(part.start().value >> 12n) - first + bigintOf(descriptor) + level) | 0;
  });
  return sum >>> 0;
}

/** The same as {@link walk}, page by page, in regions that are there already. */
export function walkEach(map, regions, first) {
  let sum = 0;
  const add = (part, descriptor, level) => {
    sum = (sum + part.firstPage - first + numberOf(descriptor) + level) | 0;
  };
  for (let i = 0; i < regions.length; i += 1) map.walkRange(regions[i], add);
  return sum >>> 0;
}

/** The same from addresses as `bigint`. */
export function walkAddresses(map, addresses, first) {
  let sum = 0;
  const add = (part, descriptor, level) => {
    sum = (sum + part.firstPage - first + numberOf(descriptor) + level) | 0;
  };
  for (let i = 0; i < addresses.length; i += 1) {
    map.walkRange(new MemoryRegion(addresses[i], addresses[i] + PAGE), add);
  }
  return sum >>> 0;
}
