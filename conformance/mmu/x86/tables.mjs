// Random x86 page tables with the guest's window in them.
//
// Biased: most linear addresses made of hot indices translate, and each kind of edge (not present, reserved bits, page
// sizes at every level, shared tables, tables that point at themselves) turns up every few addresses.

import { SketchMemory } from '../sketch-memory.mjs';
import { CR4_PSE, entryBytes, isLong, PHYS_BITS } from './control.mjs';
import {
  ARENA,
  ARENA_ALIAS,
  ARENA_FRAMES,
  LAYOUT,
  PAGE_RANGES,
  RAM_BYTES,
  USER_CODE,
  WINDOW,
  WINDOW_PAGES,
} from './layout.mjs';
import { LEVELS, reservedBits } from './reference.mjs';

/** @typedef {import('../random.mjs').Random} Random */
/** @typedef {import('./control.mjs').Control} Control */
/** @typedef {import('./control.mjs').Mode} Mode */

/**
 * @typedef {object} Tables
 * @property {SketchMemory} memory
 * @property {readonly bigint[]} roots - physical addresses for CR3
 * @property {readonly (readonly number[])[]} hot - indices with entries, by depth
 * @property {readonly (readonly number[])[]} frames - addresses of the tables of each depth
 * @property {(depth: number) => bigint} randomEntry - another entry for a table of that depth
 * @property {ReadonlySet<number>} guarded - addresses of entries that the guest itself needs
 */

const PRESENT = 1n;
const READ_WRITE = 1n << 1n;
const USER = 1n << 2n;
const ACCESSED = 1n << 5n;
const DIRTY = 1n << 6n;
const PAGE_SIZE = 1n << 7n;

/** Protection key of the guest's own pages; its rights stay 0. */
export const OWN_KEY = 15;

/** Probability of a reserved bit in a present entry that has some. */
const RESERVED = 0.025;

/**
 * Indices of a table that get entries.
 *
 * @param {Random} random
 * @param {Mode} mode
 * @param {number} depth
 */
function hotIndices(random, mode, depth) {
  const { shift, indexBits } = LEVELS[mode][depth];
  const size = 1 << Number(indexBits); // at most 1024
  const chosen = new Set([0, 1, size / 2 - 1, size / 2, size - 2, size - 1]);
  // A byte of a 1-GiB page is in RAM only if the index of the level below is small.
  const inRam = RAM_BYTES >> Number(shift); // shifts are at most 48; wrong ones give 0
  if (isLong(mode) && LEVELS[mode][depth].name === 'PDE') {
    for (let i = 0; i < 4; i++) chosen.add(random.below(inRam));
  }
  const wanted = Math.min(size, chosen.size + 4);
  while (chosen.size < wanted) chosen.add(random.below(size));
  return [...chosen];
}

/**
 * Bits of a present entry beside its address; each right is granted in about two walks of three.
 *
 * @param {Random} random
 * @param {Mode} mode
 */
function randomFlags(random, mode) {
  const granted = 1 - 0.3 / LEVELS[mode].length;
  /** @type {readonly [number, number][]} */
  const single = [
    [1, granted],
    [2, granted],
    [3, 0.2],
    [4, 0.2],
    [5, 0.4],
    [6, 0.3],
    [8, 0.25],
    [9, 0.1],
    [10, 0.1],
    [11, 0.1],
  ];
  let flags = PRESENT;
  for (const [bit, probability] of single) if (random.chance(probability)) flags |= 1n << BigInt(bit);
  if (isLong(mode)) {
    if (random.chance(0.3)) flags |= random.bits(7) << 52n;
    if (random.chance(0.6)) flags |= random.bits(4) << 59n;
  }
  if (mode !== '32-bit' && random.chance(0.025)) flags |= 1n << 63n;
  return flags;
}

/**
 * The address of a page, as an entry has it.
 *
 * @param {Random} random
 * @param {Mode} mode
 * @param {number} shift
 */
function randomPage(random, mode, shift) {
  const bytes = 2 ** shift;
  if (random.chance(0.07)) return highPage(random, mode, shift);
  // Any place of the size that begins in RAM; larger pages also hold what is not for accesses.
  if (shift > 12) return BigInt(random.below(Math.max(1, RAM_BYTES / bytes)) * bytes);
  if (random.chance(0.04)) return BigInt(ARENA + random.below(ARENA_FRAMES) * 4096);
  const [start, end] = random.pick(PAGE_RANGES);
  return BigInt(start + random.below((end - start) / 4096) * 4096);
}

/**
 * Beyond RAM, for accesses that fault before they get there.
 *
 * @param {Random} random
 * @param {Mode} mode
 * @param {number} shift
 */
function highPage(random, mode, shift) {
  if (mode !== '32-bit') return (random.bits(PHYS_BITS) >> BigInt(shift)) << BigInt(shift);
  const low = (random.bits(32) >> BigInt(shift)) << BigInt(shift);
  return shift === 22 ? low | (random.bits(8) << 13n) : low;
}

/**
 * @param {Random} random
 * @param {bigint} mask - not 0
 */
function randomBitOf(random, mask) {
  const set = [...mask.toString(2)].reverse().flatMap((bit, i) => (bit === '1' ? [i] : []));
  return 1n << BigInt(random.pick(set));
}

/**
 * Makes trees of tables that share all but their roots.
 *
 * @param {Random} random
 * @param {Mode} mode
 * @param {Control} control
 * @param {number} rootCount
 * @returns {Tables}
 */
export function randomTables(random, mode, control, rootCount) {
  const levels = LEVELS[mode];
  const size = entryBytes(mode);
  const memory = new SketchMemory(LAYOUT);
  const take = LAYOUT.frameSupply(random);
  const frames = levels.map((_, depth) =>
    Array.from({ length: depth === 0 ? rootCount : 2 + random.below(2) }, take),
  );
  if (mode === 'PAE') frames[0] = frames[0].map((root) => root + random.below(128) * 32);
  const hot = levels.map((_, depth) => hotIndices(random, mode, depth));

  /** @param {number} depth - of the entry that points to the table */
  const tablePage = (depth) => {
    if (random.chance(0.05)) {
      const any = random.pick(random.pick(frames));
      return BigInt(any - (any % 4096));
    }
    return BigInt(random.pick(frames[depth + 1]));
  };

  /** @param {number} depth */
  const randomEntry = (depth) => {
    const level = levels[depth];
    const isLast = depth === levels.length - 1;
    const isPdpte = mode === 'PAE' && depth === 0;
    if (random.chance(isLast ? 0.07 : 0.025)) return random.bits(size * 8) & ~PRESENT;
    if (isPdpte) return PRESENT | (random.bits(2) << 3n) | (random.bits(3) << 9n) | tablePage(depth);
    const mayBeLarge = level.shift === 21n || level.shift === 22n || level.shift === 30n;
    const largeWorks = level.shift !== 22n || (control.cr4 & CR4_PSE) !== 0n;
    const large = !isLast && mayBeLarge && largeWorks && random.chance(0.25);
    let entry = randomFlags(random, mode);
    if (isLast || large) {
      entry |= randomPage(random, mode, Number(level.shift)); // at most 30
      if (large) entry |= PAGE_SIZE;
      if (random.chance(0.25)) entry |= 1n << (large ? 12n : 7n); // PAT
    } else {
      entry |= tablePage(depth);
      if (!largeWorks && random.chance(0.3)) entry |= PAGE_SIZE;
    }
    const reserved = reservedBits(mode, control, level, large || isLast);
    if (reserved !== 0n && random.chance(RESERVED)) entry |= randomBitOf(random, reserved);
    return entry;
  };

  for (const [depth, tables] of frames.entries()) {
    for (const table of tables) {
      for (const index of hot[depth]) memory.write(BigInt(table + index * size), size, randomEntry(depth));
    }
  }
  const guarded = addWindow(memory, mode, frames, take());
  return { memory, roots: frames[0].map(BigInt), hot, frames, randomEntry, guarded };
}

/**
 * Maps what the guest needs while its paging is on.
 *
 * @param {SketchMemory} memory
 * @param {Mode} mode
 * @param {readonly (readonly number[])[]} frames
 * @param {number} lastTable - for the window alone
 */
function addWindow(memory, mode, frames, lastTable) {
  const levels = LEVELS[mode];
  const size = entryBytes(mode);
  const key = isLong(mode) ? BigInt(OWN_KEY) << 59n : 0n;
  /** @type {Set<number>} */
  const guarded = new Set();
  /**
   * @param {number} table
   * @param {number} depth
   * @param {number} linear
   * @param {bigint} entry
   */
  const put = (table, depth, linear, entry) => {
    const { shift, indexBits } = levels[depth];
    const index = Number((BigInt(linear) >> shift) & ((1n << indexBits) - 1n)); // below 1024
    const address = table + index * size;
    memory.write(BigInt(address), size, entry);
    guarded.add(address);
  };
  const last = levels.length - 1;
  for (let depth = 0; depth < last; depth++) {
    const next = depth + 1 === last ? lastTable : frames[depth + 1][0];
    const rights = mode === 'PAE' && depth === 0 ? 0n : READ_WRITE | USER | ACCESSED;
    const tables = depth === 0 ? frames[0] : frames[depth].slice(0, 1);
    for (const table of tables) put(table, depth, WINDOW, BigInt(next) | rights | PRESENT);
  }
  const own = PRESENT | READ_WRITE | ACCESSED | DIRTY | key;
  for (let page = 0; page < WINDOW_PAGES; page++) {
    const address = WINDOW + page * 4096;
    put(lastTable, last, address, BigInt(address) | own);
  }
  put(lastTable, last, USER_CODE, BigInt(WINDOW) | PRESENT | USER | ACCESSED | key);
  for (let frame = 0; frame < ARENA_FRAMES; frame++) {
    put(lastTable, last, ARENA_ALIAS + frame * 4096, BigInt(ARENA + frame * 4096) | own);
  }
  return guarded;
}
