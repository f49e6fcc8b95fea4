// Random RISC-V page tables, with the guest's page among what they map.
//
// Biased: most virtual addresses made of hot indices translate, and each kind of edge (invalid entries, pages of every size,
// misaligned ones, groups of 64 KiB, memory types, reserved bits, reserved rights, memory that is not there, shared tables,
// tables that point at themselves) turns up every few addresses.

import { SketchMemory } from '../sketch-memory.mjs';
import { levelShift } from './control.mjs';
import { IMAGE, LAYOUT } from './layout.mjs';
import { ACCESSED, DIRTY, EXECUTE, GLOBAL, NAPOT, READ, USER_PAGE, VALID, WRITE } from './reference.mjs';

/** @typedef {import('../random.mjs').Random} Random */
/** @typedef {import('./control.mjs').Format} Format */

/**
 * What a case is made with.
 *
 * @typedef {object} StagedTables
 * @property {SketchMemory} memory
 * @property {number} arenaFrames - that are used
 * @property {ReadonlySet<number>} guarded - addresses of words of 32 bits in entries that the guest itself needs
 * @property {import('./operations.mjs').Stubs} stubs
 */

/**
 * @typedef {object} RandomTables
 * @property {bigint} root
 * @property {(level: number) => readonly number[]} hot - indices with entries
 * @property {(level: number) => bigint} randomEntry - another entry for a table of that level
 * @property {() => bigint} copyRoot - makes a root with some of the entries
 */

/** @typedef {StagedTables & RandomTables} Tables */

/** Of the guest's page, for S and for U mode, in the last table. */
const WINDOW_INDEX = 0x1f0;

/** Of the tables that lead there. */
const WINDOW_PATH = 5;

/** Tables of each level but the root's. */
const SHARED = 2;

/** Rights of leaves; each right is granted in about two of three. */
const RIGHTS = [
  READ | WRITE | EXECUTE,
  READ | WRITE | EXECUTE,
  READ | WRITE,
  READ | WRITE,
  READ | EXECUTE,
  READ | EXECUTE,
  READ,
  EXECUTE,
];

/** Not for use. */
const RESERVED_RIGHTS = [WRITE, WRITE | EXECUTE];

/** Pages of a group, and what the address in their entries ends with. */
export const GROUP_SIZE = 16;
const GROUP_CODE = 0x8000n;

/**
 * Whether an entry of the last level is that of a group of pages.
 *
 * @param {bigint} entry
 */
export function isGroup(entry) {
  return (entry & VALID) !== 0n && (entry & NAPOT) !== 0n && (entry & framed(0xf000n)) === framed(GROUP_CODE);
}

/** An address with its bits where an entry has them. @param {bigint} address */
export function framed(address) {
  return (address >> 12n) << 10n;
}

/**
 * How many frames the tables of a format take at most.
 *
 * @param {Format} format
 */
export function frameCount({ levels }) {
  // Two roots, what is shared, and what leads to the guest's page.
  return 2 + (levels - 1) * (SHARED + 1);
}

/**
 * An address without memory or device.
 *
 * @param {Random} random
 * @param {Format} format
 */
function nowhere(random, { xlen }) {
  if (xlen === 32) return (BigInt(1 + random.below(2)) << 32n) | (random.bits(20) << 12n);
  return 1n << BigInt(36 + random.below(20));
}

/**
 * @param {Random} random
 * @param {Format} format
 * @param {number} level
 */
function hotIndices(random, format, level) {
  const size = 1 << format.indexBits;
  const chosen = new Set([0, size - 1, random.below(size), random.below(size)]);
  chosen.add(random.pick([1, size >> 1, (size >> 1) - 1, size - 2]));
  // A byte of a page larger than RAM is there only if the index below is this.
  const [[start, end]] = LAYOUT.pageRanges;
  for (let i = 0; i < 2; i++) {
    const address = start + random.below(end - start);
    chosen.add(Math.floor(address / 2 ** Number(levelShift(format, level))) % size); // a shift is at most 48
  }
  return [...chosen];
}

/** Tables with nothing but what the guest needs in S and U mode. */
class Plain {
  memory = new SketchMemory(LAYOUT);
  /** @type {Set<number>} */
  guarded = new Set();

  /**
   * @param {Random} random
   * @param {Format} format
   */
  constructor(random, format) {
    this.format = format;
    this.arenaFrames = frameCount(format);
    this.take = LAYOUT.frameSupply(random, { count: this.arenaFrames, bytes: 4096 });
    this.root = this.take();
  }

  /**
   * @param {number} table
   * @param {number} index
   * @param {bigint} entry
   */
  put(table, index, entry) {
    const { entryBytes } = this.format;
    this.memory.write(BigInt(table + index * entryBytes), entryBytes, entry);
  }

  /**
   * Of the guest's own path.
   *
   * @param {number} table
   * @param {number} index
   * @param {bigint} entry
   */
  putGuarded(table, index, entry) {
    this.put(table, index, entry);
    const { entryBytes } = this.format;
    for (let i = 0; i < entryBytes; i += 4) this.guarded.add(table + index * entryBytes + i);
  }

  /**
   * Maps what the guest needs in S and U mode.
   *
   * @returns {import('./operations.mjs').Stubs}
   */
  addWindow() {
    const { format } = this;
    let table = this.root;
    let va = 0n;
    for (let level = format.levels - 1; level > 0; level--) {
      const next = this.take();
      this.putGuarded(table, WINDOW_PATH, VALID | framed(BigInt(next)));
      va += BigInt(WINDOW_PATH) << levelShift(format, level);
      table = next;
    }
    const own = VALID | EXECUTE | ACCESSED | framed(BigInt(IMAGE));
    this.putGuarded(table, WINDOW_INDEX, own);
    this.putGuarded(table, WINDOW_INDEX + 1, own | USER_PAGE);
    const stubs = va + (BigInt(WINDOW_INDEX) << 12n);
    return { super: stubs, user: stubs + 4096n };
  }
}

/** Makes the tables of a case. */
class Maker extends Plain {
  /**
   * @param {Random} random
   * @param {Format} format
   * @param {{ cached: boolean, edges: number }} options
   */
  constructor(random, format, { cached, edges }) {
    super(random, format);
    this.random = random;
    this.cached = cached;
    this.edges = edges;
    const levels = Array.from({ length: format.levels }, (_, level) => level);
    this.hot = levels.map((level) => hotIndices(random, format, level));
    this.frames = levels.map((level) =>
      level === format.levels - 1 ? [this.root] : Array.from({ length: SHARED }, this.take),
    );
    for (const level of levels) {
      for (const table of this.frames[level]) {
        for (const index of this.hot[level]) this.put(table, index, this.randomEntry(level));
      }
    }
    for (const table of this.frames[0]) for (const index of this.hot[0]) this.completeGroup(table, index);
  }

  /** @param {number} probability */
  edge(probability) {
    return this.random.chance(probability * this.edges);
  }

  /** @type {RandomTables['randomEntry']} */
  randomEntry = (level) => {
    const { random, format, frames } = this;
    const isLast = level === 0;
    if (random.chance(isLast ? 0.05 : 0.03)) return random.bits(format.xlen) & ~VALID;
    if (isLast ? !this.edge(0.03) : random.chance(level === 1 ? 0.3 : 0.18)) return this.randomLeaf(level);
    const next = random.pick(frames[this.edge(0.05) ? random.below(format.levels) : Math.max(level - 1, 0)]);
    let entry = VALID;
    if (random.chance(0.15)) entry |= GLOBAL;
    if (random.chance(0.2)) entry |= random.bits(2) << 8n; // software's
    if (this.edge(0.03)) entry |= random.pick([ACCESSED, DIRTY, USER_PAGE]);
    if (format.xlen === 64) entry |= this.topBits({ reserved: 0.02, type: 0.02, group: 0.02 });
    if (this.edge(0.03)) return entry | framed(nowhere(random, format));
    return entry | framed(BigInt(next));
  };

  /** @param {{ reserved: number, type: number, group: number }} probabilities */
  topBits({ reserved, type, group }) {
    const { random } = this;
    let bits = 0n;
    if (this.edge(reserved)) bits |= 1n << BigInt(54 + random.below(7));
    if (this.edge(type)) bits |= random.bits(2) << 61n;
    if (this.edge(group)) bits |= NAPOT;
    return bits;
  }

  /**
   * Gives the others of a group of pages the same entry. A TLB that keeps one of them needs that.
   *
   * @param {number} table
   * @param {number} index - that may be in a group
   */
  completeGroup(table, index) {
    const { entryBytes } = this.format;
    const entry = this.memory.read(BigInt(table + index * entryBytes), entryBytes);
    if (!isGroup(entry) || !(this.cached || this.random.chance(0.6))) return;
    const first = index - (index % GROUP_SIZE);
    for (let i = 0; i < GROUP_SIZE; i++) this.put(table, first + i, entry);
  }

  /** @param {number} level */
  randomLeaf(level) {
    const { random, format } = this;
    let entry = VALID | (this.edge(0.05) ? random.pick(RESERVED_RIGHTS) : random.pick(RIGHTS));
    if (random.chance(0.5)) entry |= USER_PAGE;
    if (random.chance(0.3)) entry |= GLOBAL;
    if (random.chance(0.7)) entry |= ACCESSED;
    if (random.chance(0.6)) entry |= DIRTY;
    if (random.chance(0.3)) entry |= random.bits(2) << 8n; // software's
    entry |= framed(this.randomPage(level));
    if (format.xlen === 32) return entry;
    entry |= this.topBits({ reserved: 0.04, type: 0.12, group: level === 0 ? 0.2 : 0.02 });
    if ((entry & NAPOT) === 0n || this.edge(0.15)) return entry;
    // Which of the entries hardware updates is left open, where a TLB keeps them.
    return (entry & ~framed(0xf000n)) | framed(GROUP_CODE) | (this.cached ? ACCESSED | DIRTY : 0n);
  }

  /**
   * The address of a page.
   *
   * @param {number} level
   */
  randomPage(level) {
    const { random, format } = this;
    const bytes = 1n << levelShift(format, level);
    const [[start, end]] = LAYOUT.pageRanges;
    if (level === 0 && random.chance(0.04)) {
      return BigInt(LAYOUT.arena + random.below(this.arenaFrames) * 4096);
    }
    const inRam = BigInt(start + random.below((end - start) / 4096) * 4096);
    const page = this.edge(0.05) ? nowhere(random, format) | inRam : inRam;
    return this.edge(0.05) ? page : page - (page % bytes);
  }

  /** @type {RandomTables['copyRoot']} */
  copyRoot = () => {
    const { random, format, root, guarded } = this;
    const frame = this.take();
    for (let i = 0; i < 1 << format.indexBits; i++) {
      const address = root + i * format.entryBytes;
      const entry = this.memory.read(BigInt(address), format.entryBytes);
      if (entry === 0n) continue;
      if (guarded.has(address)) this.putGuarded(frame, i, entry);
      else this.put(frame, i, random.chance(0.6) ? entry : this.randomEntry(format.levels - 1));
    }
    return BigInt(frame);
  };
}

/**
 * @param {Random} random
 * @param {Format} format
 * @param {{ cached?: boolean, edges?: number }} [options] - `cached`: without what may not be in a TLB alone; `edges`: how much
 *   of what is reserved or leads nowhere, by default 1
 * @returns {Tables}
 */
export function randomTables(random, format, { cached = false, edges = 1 } = {}) {
  const maker = new Maker(random, format, { cached, edges });
  const stubs = maker.addWindow();
  const { memory, guarded, arenaFrames, root, hot, randomEntry, copyRoot } = maker;
  return {
    memory,
    guarded,
    arenaFrames,
    stubs,
    root: BigInt(root),
    hot: (level) => hot[level],
    randomEntry,
    copyRoot,
  };
}

/**
 * Tables that a case fills by itself.
 *
 * @param {Random} random
 * @param {Format} format
 * @returns {{ tables: StagedTables, root: number, put: (table: number, index: number, entry: bigint) => void, take: () => number }}
 */
export function plainTables(random, format) {
  const plain = new Plain(random, format);
  const stubs = plain.addWindow();
  const { memory, guarded, arenaFrames, root, take } = plain;
  const put = (/** @type {[number, number, bigint]} */ ...place) => plain.put(...place);
  return { tables: { memory, guarded, arenaFrames, stubs }, root, put, take };
}
