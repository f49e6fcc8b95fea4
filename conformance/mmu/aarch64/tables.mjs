// Random AArch64 page tables, with the guest's page in one half or in none.
//
// Biased: most virtual addresses made of hot indices translate, and each kind of edge (invalid entries, blocks where there are
// none, addresses beyond the output size, each right at each level, shared tables, tables that point at themselves) turns up
// every few addresses.

import { SketchMemory } from '../sketch-memory.mjs';
import { halfOf, indexBits, isSizeValid, levelShift, outputBits, rootLevel } from './control.mjs';
import { IMAGE, LAYOUT, RAM_START } from './layout.mjs';
import {
  ACCESSED,
  DIRTY_MODIFIER,
  NO_USER_TABLE,
  NON_GLOBAL,
  PXN,
  PXN_TABLE,
  READ_ONLY,
  READ_ONLY_TABLE,
  rootAddress,
  TABLE,
  USER,
  UXN,
  UXN_TABLE,
  VALID,
} from './reference.mjs';

/** @typedef {import('../random.mjs').Random} Random */
/** @typedef {import('./control.mjs').Control} Control */

/**
 * What a case is made with.
 *
 * @typedef {object} StagedTables
 * @property {SketchMemory} memory
 * @property {ReadonlySet<number>} guarded - addresses of entries that the guest itself needs
 * @property {import('./operations.mjs').Stubs} stubs
 */

/**
 * Tables of both halves. They share all but their roots.
 *
 * @typedef {object} RandomTables
 * @property {Hot} hot
 * @property {(level: number) => bigint} randomEntry - another entry for a table of that level
 * @property {(half: import('./control.mjs').Half) => bigint} copyRoot - makes a root with some of a half's entries
 */

/** @typedef {StagedTables & RandomTables} Tables */

/**
 * Indices with entries: of the roots of both halves, lower first, and of the other tables by level.
 *
 * @typedef {{ roots: readonly [readonly number[], readonly number[]], tables: readonly (readonly number[])[] }} Hot
 */

const CONTIGUOUS = 1n << 52n;

/** The levels that tables other than roots have. */
const LEVELS = [1, 2, 3];

/** Of the guest's page, for EL1 and for EL0, in the last table. */
const WINDOW_INDEX = 0x1f0;

/** Of the tables that lead there, if they are so large. */
const WINDOW_PATH = 5;

/** Beyond this no memory and no device is. */
const NOWHERE_BIT = 40;

/**
 * @param {Random} random
 * @param {number} size - of a table, in entries
 * @param {number} level
 */
function hotIndices(random, size, level) {
  const chosen = new Set([0, size - 1, random.below(size), random.below(size)]);
  chosen.add(random.pick([1, size >> 1, (size >> 1) - 1, size - 2]) & (size - 1));
  // A byte of a 1-GiB page is in RAM only if the index of the level below is this.
  const [[start]] = LAYOUT.pageRanges;
  const firstBlock = (start - RAM_START) >> 21;
  if (level === 2) for (let i = 0; i < 2; i++) chosen.add((firstBlock + random.below(8)) & (size - 1));
  return [...chosen];
}

/**
 * The address of a page or block.
 *
 * @param {Random} random
 * @param {number} level
 */
function randomPage(random, level) {
  const bytes = 2 ** Number(levelShift(level)); // at most 2^39
  const [[start, end]] = LAYOUT.pageRanges;
  const inRam = BigInt(start + random.below((end - start) / 4096) * 4096);
  const choice = random.below(100);
  // Without block size: hardware ignores the bits below it.
  if (choice < 6) return inRam | (1n << BigInt(32 + random.below(16)));
  if (choice < 9 && level === 3) return BigInt(LAYOUT.arena + random.below(LAYOUT.arenaFrames) * 4096);
  if (choice < 14) return inRam;
  return inRam - (inRam % BigInt(bytes));
}

/**
 * A page or block, without its address; each right is granted in about two of three.
 *
 * @param {Random} random
 */
function randomLeafFlags(random) {
  /** @type {readonly [bigint, number][]} */
  const single = [
    [USER, 0.6],
    [READ_ONLY, 0.35],
    [ACCESSED, 0.8],
    [NON_GLOBAL, 0.5],
    [DIRTY_MODIFIER, 0.35],
    [PXN, 0.2],
    [UXN, 0.2],
    [1n << 50n, 0.1], // guarded page
    [CONTIGUOUS, 0.1],
  ];
  let flags = (random.bits(3) << 2n) | (BigInt(random.pick([0, 2, 3, 3])) << 8n);
  for (const [bit, probability] of single) if (random.chance(probability)) flags |= bit;
  if (random.chance(0.3)) flags |= random.bits(4) << 55n; // software's
  if (random.chance(0.3)) flags |= random.bits(5) << 59n; // ignored
  return flags;
}

/** @param {Random} random */
function randomTableFlags(random) {
  let flags = 0n;
  for (const bit of [PXN_TABLE, UXN_TABLE, NO_USER_TABLE, READ_ONLY_TABLE]) {
    if (random.chance(0.1)) flags |= bit;
  }
  if (random.chance(0.3)) flags |= (random.bits(8) << 51n) | (random.bits(10) << 2n); // ignored
  return flags;
}

/**
 * @param {Random} random
 * @param {number} level
 * @param {number} block - percent of blocks, if there are some
 * @param {() => bigint} tablePage
 */
function randomEntryOf(random, level, block, tablePage) {
  const choice = random.below(100);
  if (level === 3) {
    if (choice < 5) return random.bits(64) & ~VALID;
    const code = choice < 7 ? VALID : VALID | TABLE;
    return code | randomPage(random, level) | randomLeafFlags(random);
  }
  if (choice < 3) return random.bits(64) & ~VALID;
  if (choice >= 3 + block) {
    const outside = random.chance(0.03) ? 1n << BigInt(32 + random.below(16)) : 0n;
    return VALID | TABLE | tablePage() | outside | randomTableFlags(random);
  }
  const page =
    level === 0 ? (random.bits(8) << 40n) | (1n << BigInt(NOWHERE_BIT)) : randomPage(random, level);
  return VALID | page | randomLeafFlags(random);
}

/**
 * Where an emulator that takes an entry for a 512-GiB block would find nothing at all.
 *
 * @param {bigint} value - of an entry of level 0
 */
export function isNowhereBlock(value) {
  return (value & 3n) === VALID && ((value >> BigInt(NOWHERE_BIT)) & 0xffn) !== 0n;
}

/**
 * Chooses the roots as well: `control` gets its TTBRs.
 *
 * @param {Random} random
 * @param {Control} control
 * @param {'lower' | 'upper' | 'none'} home - the half that the guest's page is in, which must be walked
 * @param {{ cached?: boolean }} [options] - without what may not be in a TLB, or not alone
 * @returns {Tables}
 */
export function randomTables(random, control, home, { cached = false } = {}) {
  const memory = new SketchMemory(LAYOUT);
  const take = LAYOUT.frameSupply(random);
  const frames = [[], ...LEVELS.map(() => [take(), take()])];
  const hot = LEVELS.map((level) => hotIndices(random, 512, level));

  /** @param {number} level - of the entry that points to the table */
  const tablePage = (level) =>
    BigInt(random.pick(frames[random.chance(0.05) ? 1 + random.below(3) : level + 1]));
  /** @param {number} level */
  const randomEntry = (level) => {
    const block = level > 0 ? 25 : cached ? 0 : 5;
    const entry = randomEntryOf(random, level, block, () => tablePage(level));
    return cached ? entry & ~CONTIGUOUS : entry;
  };

  for (const level of LEVELS) {
    for (const table of frames[level]) {
      for (const index of hot[level - 1]) memory.write(BigInt(table + index * 8), 8, randomEntry(level));
    }
  }
  /** @param {boolean} upper */
  const addRoot = (upper) => {
    const half = halfOf(control, upper);
    const frame = take();
    const asid = random.bits(16) << 48n;
    control[upper ? 'ttbr1' : 'ttbr0'] = asid | BigInt(frame) | random.bits(1);
    if (!isSizeValid(half)) return [0];
    const level = rootLevel(half);
    const size = 1 << indexBits(half, level);
    const root = frame + random.below(512 / Math.max(size, 8)) * Math.max(size, 8) * 8;
    const output = outputBits(control);
    const isHome = upper === (home === 'upper') && home !== 'none';
    const outside =
      output < 48 && !isHome && random.chance(0.1) ? 1n << BigInt(output + random.below(48 - output)) : 0n;
    control[upper ? 'ttbr1' : 'ttbr0'] = asid | outside | BigInt(root) | random.bits(1);
    const indices = hotIndices(random, size, level);
    for (const index of indices) memory.write(BigInt(root + index * 8), 8, randomEntry(level));
    return indices;
  };
  /** @type {Set<number>} */
  const guarded = new Set();
  /** @type {RandomTables['copyRoot']} */
  const copyRoot = (half) => {
    const old = Number(rootAddress(half)); // in the arena
    const frame = take();
    for (let i = 0; i < 1 << indexBits(half, rootLevel(half)); i++) {
      const entry = memory.read(BigInt(old + i * 8), 8);
      const isOwn = guarded.has(old + i * 8);
      if (isOwn) guarded.add(frame + i * 8);
      if (entry !== 0n)
        memory.write(
          BigInt(frame + i * 8),
          8,
          isOwn || random.chance(0.6) ? entry : randomEntry(rootLevel(half)),
        );
    }
    return BigInt(frame) | (half.ttbr & 1n);
  };
  const tables = {
    memory,
    hot: { roots: /** @type {const} */ ([addRoot(false), addRoot(true)]), tables: [[], ...hot] },
    randomEntry,
    copyRoot,
    guarded,
  };
  if (home === 'none') return { ...tables, stubs: { el1: 0n, el0: 0n } };
  return { ...tables, stubs: addWindow(tables, control, home === 'upper', take) };
}

/**
 * Maps what the guest needs at EL1 and EL0.
 *
 * @param {{ memory: SketchMemory, guarded: Set<number> }} tables - get what is needed
 * @param {Control} control
 * @param {boolean} upper
 * @param {() => number} take - a frame
 * @returns {import('./operations.mjs').Stubs}
 */
export function addWindow({ memory, guarded }, control, upper, take) {
  const half = halfOf(control, upper);
  let table = Number(rootAddress(half)); // in the arena
  let va = upper ? -1n << BigInt(64 - half.size) : 0n;
  /**
   * @param {number} index
   * @param {bigint} entry
   */
  const put = (index, entry) => {
    const address = table + index * 8;
    memory.write(BigInt(address), 8, entry);
    guarded.add(address);
  };
  for (let level = rootLevel(half); level < 3; level++) {
    const index = WINDOW_PATH % (1 << indexBits(half, level));
    const next = take();
    put(index, BigInt(next) | VALID | TABLE);
    va += BigInt(index) << levelShift(level);
    table = next;
  }
  const index = WINDOW_INDEX % (1 << indexBits(half, 3));
  const own = BigInt(IMAGE) | VALID | TABLE | ACCESSED | READ_ONLY | (3n << 8n);
  put(index, own | UXN);
  put(index + 1, own | USER | PXN);
  const el1 = BigInt.asUintN(64, va + BigInt(index << 12));
  return { el1, el0: el1 + 4096n };
}
