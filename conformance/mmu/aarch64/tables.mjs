// Random AArch64 page tables, with the guest's page in one half or in none.
//
// Biased: most virtual addresses made of hot indices translate, and each kind of edge (invalid entries, blocks where there are
// none, addresses beyond the output size, each right at each level, shared tables, tables that point at themselves) turns up
// every few addresses.

import { SketchMemory } from '../sketch-memory.mjs';
import { halfOf, indexBits, isSizeValid, levelShift, outputBits, rootLevel } from './control.mjs';
import { ARENA_UNITS, IMAGE, LAYOUT, RAM_START } from './layout.mjs';
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
/** @typedef {import('./control.mjs').Granule} Granule */
/** @typedef {import('./control.mjs').Half} Half */

/**
 * What a case is made with.
 *
 * @typedef {object} StagedTables
 * @property {SketchMemory} memory
 * @property {number} arenaFrames - that are used
 * @property {ReadonlySet<number>} guarded - addresses of entries that the guest itself needs
 * @property {import('./operations.mjs').Stubs} stubs
 */

/**
 * Tables of both halves. Those of one granule share all but their roots.
 *
 * @typedef {object} RandomTables
 * @property {(half: Half, level: number) => readonly number[]} hot - indices with entries
 * @property {(granule: Granule, level: number) => bigint} randomEntry - another entry for a table of that level
 * @property {(half: Half) => bigint} copyRoot - makes a root with some of a half's entries
 */

/** @typedef {StagedTables & RandomTables} Tables */

const CONTIGUOUS = 1n << 52n;

/** The levels that tables other than roots have. */
const LEVELS = [1, 2, 3];

/** Of the guest's page, for EL1 and for EL0, in the last table. */
const WINDOW_INDEX = 0x1f0;

/** Of the tables that lead there, if they are so large. */
const WINDOW_PATH = 5;

/** Beyond it no memory and no device is, nor in a block that has it in its address, as large as it may be. */
const NOWHERE = 1n << 47n;

/**
 * @param {Random} random
 * @param {Granule} granule
 * @param {number} size - of a table, in entries
 * @param {number} level
 */
function hotIndices(random, granule, size, level) {
  const chosen = new Set([0, size - 1, random.below(size), random.below(size)]);
  chosen.add(random.pick([1, size >> 1, (size >> 1) - 1, size - 2]) & (size - 1));
  if (!granule.blocks.includes(level - 1)) return [...chosen];
  // A byte of a block larger than RAM is there only if the index of the level below is this.
  const shift = Number(levelShift(granule, level)); // at most 42
  const [[start, end]] = LAYOUT.pageRanges;
  for (let i = 0; i < 2; i++) {
    const offset = start - RAM_START + random.below(end - start);
    chosen.add(Math.floor(offset / 2 ** shift) & (size - 1));
  }
  return [...chosen];
}

/**
 * The address of a page or block.
 *
 * @param {Random} random
 * @param {Granule} granule
 * @param {number} level
 * @param {number} arenaFrames
 */
function randomPage(random, granule, level, arenaFrames) {
  const bytes = 2 ** Number(levelShift(granule, level)); // at most 2^42
  const [[start, end]] = LAYOUT.pageRanges;
  const inRam = BigInt(start + random.below((end - start) / 4096) * 4096);
  const choice = random.below(100);
  // Not a multiple of its size: hardware ignores the bits below.
  if (choice < 6) return inRam | (1n << BigInt(32 + random.below(16)));
  if (choice < 9 && level === 3) return BigInt(LAYOUT.arena + random.below(arenaFrames) * 4096);
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
 * Where an emulator that takes an entry for a block would find nothing at all.
 *
 * @param {bigint} value - of an entry
 */
export function isNowhere(value) {
  return (value & NOWHERE) !== 0n;
}

/**
 * Room for the tables of a case.
 *
 * @param {Random} random
 * @param {Control} control
 */
export function tableSupply(random, control) {
  const shift = Math.max(...[false, true].map((upper) => halfOf(control, upper).granule.shift));
  const bytes = 2 ** shift;
  const take = LAYOUT.frameSupply(random, { count: ARENA_UNITS, bytes });
  return { take, arenaFrames: (ARENA_UNITS * bytes) / 4096 };
}

/** Makes the tables of a case. */
class Maker {
  memory = new SketchMemory(LAYOUT);
  /** @type {Set<number>} */
  guarded = new Set();
  /**
   * Of the tables that are not roots, by granule.
   *
   * @type {Map<Granule, { frames: readonly (readonly number[])[], hot: readonly (readonly number[])[] }>}
   */
  shared = new Map();

  /**
   * @param {Random} random
   * @param {Control} control - gets its TTBRs
   * @param {{ cached: boolean }} options
   */
  constructor(random, control, { cached }) {
    this.random = random;
    this.control = control;
    this.cached = cached;
    const { take, arenaFrames } = tableSupply(random, control);
    this.take = take;
    this.arenaFrames = arenaFrames;
  }

  /** @param {Granule} granule */
  sharedOf(granule) {
    const known = this.shared.get(granule);
    if (known !== undefined) return known;
    const { random } = this;
    const size = 1 << (granule.shift - 3);
    const frames = [[], ...LEVELS.map(() => [this.take(), this.take()])];
    const hot = [[], ...LEVELS.map((level) => hotIndices(random, granule, size, level))];
    this.shared.set(granule, { frames, hot });
    for (const level of LEVELS) {
      for (const table of frames[level]) {
        for (const index of hot[level]) this.put(table, index, this.randomEntry(granule, level));
      }
    }
    return { frames, hot };
  }

  /**
   * @param {number} table
   * @param {number} index
   * @param {bigint} entry
   */
  put(table, index, entry) {
    this.memory.write(BigInt(table + index * 8), 8, entry);
  }

  /** @type {RandomTables['randomEntry']} */
  randomEntry = (granule, level) => {
    const entry = this.anyEntry(granule, level);
    if (!this.cached) return entry;
    // More of what is written back in two steps.
    return (entry & ~CONTIGUOUS) | (this.random.chance(0.3) ? DIRTY_MODIFIER : 0n);
  };

  /**
   * @param {Granule} granule
   * @param {number} level
   */
  anyEntry(granule, level) {
    const { random } = this;
    const choice = random.below(100);
    if (choice < (level === 3 ? 5 : 3)) return random.bits(64) & ~VALID;
    const page = randomPage(random, granule, level, this.arenaFrames);
    if (level === 3) return (choice < 7 ? VALID : VALID | TABLE) | page | randomLeafFlags(random);
    if (granule.blocks.includes(level)) {
      if (choice < 28) return VALID | page | randomLeafFlags(random);
    } else if (choice < 8 && !this.cached) {
      return VALID | NOWHERE | (random.bits(8) << 39n) | randomLeafFlags(random);
    }
    const { frames } = this.sharedOf(granule);
    const table = random.pick(frames[random.chance(0.05) ? random.pick(LEVELS) : level + 1]);
    const outside = random.chance(0.03) ? 1n << BigInt(32 + random.below(16)) : 0n;
    return VALID | TABLE | BigInt(table) | outside | randomTableFlags(random);
  }

  /**
   * Makes a root, and its TTBR.
   *
   * @param {boolean} upper
   * @param {boolean} isHome - it must be walked
   * @returns {readonly number[]} its hot indices
   */
  addRoot(upper, isHome) {
    const { random, control } = this;
    const half = halfOf(control, upper);
    const frame = this.take();
    const register = upper ? 'ttbr1' : 'ttbr0';
    control[register] = (random.bits(16) << 48n) | BigInt(frame) | random.bits(1);
    if (!isSizeValid(half)) return [0];
    const level = rootLevel(half);
    if (level < 3) this.sharedOf(half.granule);
    const size = 1 << indexBits(half, level);
    const places = 2 ** half.granule.shift / (size * 8);
    const root = frame + random.below(places) * size * 8;
    const output = outputBits(control);
    control[register] += BigInt(root - frame);
    if (output < 48 && !isHome && random.chance(0.1)) {
      control[register] |= 1n << BigInt(output + random.below(48 - output));
    }
    const hot = hotIndices(random, half.granule, size, level);
    for (const index of hot) this.put(root, index, this.randomEntry(half.granule, level));
    return hot;
  }

  /** @type {RandomTables['copyRoot']} */
  copyRoot = (half) => {
    const { random, guarded } = this;
    const old = Number(rootAddress(half)); // in the arena
    const frame = this.take();
    const level = rootLevel(half);
    for (let i = 0; i < 1 << indexBits(half, level); i++) {
      const entry = this.memory.read(BigInt(old + i * 8), 8);
      if (entry === 0n) continue;
      const isOwn = guarded.has(old + i * 8);
      if (isOwn) guarded.add(frame + i * 8);
      this.put(frame, i, isOwn || random.chance(0.6) ? entry : this.randomEntry(half.granule, level));
    }
    return BigInt(frame) | (half.ttbr & 1n);
  };
}

/**
 * @param {Random} random
 * @param {Control} control - gets its TTBRs
 * @param {'lower' | 'upper' | 'none'} home - the half that the guest's page is in, which must be walked
 * @param {{ cached?: boolean }} [options] - without what may not be in a TLB, or not alone
 * @returns {Tables}
 */
export function randomTables(random, control, home, { cached = false } = {}) {
  const maker = new Maker(random, control, { cached });
  const roots = [maker.addRoot(false, home === 'lower'), maker.addRoot(true, home === 'upper')];
  const { memory, guarded, arenaFrames, randomEntry, copyRoot } = maker;
  const stubs =
    home === 'none' ? { el1: 0n, el0: 0n } : addWindow(maker, control, home === 'upper', maker.take);
  return {
    memory,
    guarded,
    arenaFrames,
    stubs,
    hot: (half, level) =>
      level === rootLevel(half) ? roots[half.upper ? 1 : 0] : maker.sharedOf(half.granule).hot[level],
    randomEntry,
    copyRoot,
  };
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
    va += BigInt(index) << levelShift(half.granule, level);
    table = next;
  }
  const index = WINDOW_INDEX % (1 << indexBits(half, 3));
  const own = BigInt(IMAGE) | VALID | TABLE | ACCESSED | READ_ONLY | (3n << 8n);
  put(index, own | UXN);
  put(index + 1, own | USER | PXN);
  const { shift } = half.granule;
  const el1 = BigInt.asUintN(64, va + (BigInt(index) << BigInt(shift)));
  return { el1, el0: el1 + (1n << BigInt(shift)) };
}
