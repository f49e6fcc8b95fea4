// The loops of bench/peers-aarch64-paging.mjs. Each user of the face has loops of his own, and V8 compiles each for what
// it meets: this module is imported once for each shape.

import { MemoryRegion } from '../dist/aarch64-paging/index.js';

const PAGE = 4096n;

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

/**
 * Sum of what the descriptors of a range say, and of the pages that they are said for, as numbers.
 *
 * @param {(descriptor: any) => number} value
 */
export function walk(map, region, first, value) {
  let sum = 0;
  map.walkRange(region, (part, descriptor, level) => {
    sum += part.firstPage - first + value(descriptor) + level;
  });
  return sum;
}

/** The same, page by page. */
export function walkEach(map, regions, first, value) {
  let sum = 0;
  const add = (part, descriptor, level) => {
    sum += part.firstPage - first + value(descriptor) + level;
  };
  for (let i = 0; i < regions.length; i += 1) map.walkRange(regions[i], add);
  return sum;
}

/** The same from addresses as `bigint`. */
export function walkAddresses(map, addresses, first, value) {
  let sum = 0;
  const add = (part, descriptor, level) => {
    sum += part.firstPage - first + value(descriptor) + level;
  };
  for (const address of addresses) map.walkRange(new MemoryRegion(address, address + PAGE), add);
  return sum;
}
