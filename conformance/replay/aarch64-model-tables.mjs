// Tables of the model of aarch64-paging: mapping, splitting, walking, freeing.
//
// The model is written from a description of what both versions do, without a look at this package's own code: slow, in
// bigint, with every table entry written one by one. It tells what a map with fixes must do.

import { ACCESSED, bitsOf, TABLE, VALID } from './aarch64-flags.mjs';
import { hex } from './values.mjs';

/** Bits 47:12 of an entry. */
export const ADDRESS = 0xffff_ffff_f000n;
export const FLAGS = BigInt.asUintN(64, ~ADDRESS);
/** Behind the last address. */
export const END = 1n << 64n;
export const HALF = 1n << 63n;
export const TABLE_BYTES = 4096n;
/** The level of pages. */
export const LEAF = 3;
/** The constraint that leaves must be pages. */
export const PAGES_ONLY = 1;
const ENTRIES = 512;

/** @typedef {{ start: bigint, end: bigint }} Range */
/** @typedef {(range: Range, table: number, index: number, level: number) => void} Visitor */

/**
 * What a model is of.
 *
 * @typedef {object} Shape
 * @property {boolean} seed - version 0.5.0, otherwise 0.12.1
 * @property {string} regime
 * @property {number} level - of the root
 * @property {string} range - Lower or Upper
 * @property {bigint} base - address of the first table
 * @property {string} kind - RootTable, Mapping, IdMap, LinearMap
 * @property {bigint} offset - of a LinearMap
 * @property {ReadonlySet<string>} fixes - names of what it does otherwise than version 0.5.0
 */

/**
 * The state of a map.
 *
 * @typedef {object} State
 * @property {BigUint64Array} words - of all tables, slot by slot
 * @property {boolean[]} used - whether a slot holds a table; the root has slot 0
 * @property {number} active
 */

/** What ends an operation: an error of the original. */
export class Failure extends Error {
  /** @param {Record<string, unknown>} result */
  constructor(result) {
    super(JSON.stringify(result));
    this.result = result;
  }
}

/**
 * Bytes that an entry maps.
 *
 * @param {number} level
 */
export function spanOf(level) {
  return TABLE_BYTES << BigInt(9 * (LEAF - level));
}

/** @param {Range} range */
export function hexRange({ start, end }) {
  return { start: hex(start), end: hex(end) };
}

/** The tables. */
export class ModelTables {
  /** @type {Set<string>} names of the fixes that made a difference */
  reasons = new Set();

  /**
   * @param {Shape} shape
   * @param {State} state - which it changes
   */
  constructor(shape, state) {
    this.shape = shape;
    this.state = state;
    this.named = bitsOf(shape);
    this.isUpper = shape.range === 'Upper';
  }

  /**
   * @param {string} name - of a fix
   * @param {boolean} [differs] - whether it makes a difference here
   */
  has(name, differs = true) {
    const has = this.shape.fixes.has(name);
    if (has && differs) this.reasons.add(name);
    return has;
  }

  /**
   * @param {bigint} start
   * @param {bigint} end
   * @returns {Range} whole pages
   */
  rangeOf(start, end) {
    const rounded = (end + TABLE_BYTES - 1n) & -TABLE_BYTES;
    if ((end === 0n || rounded === END) && !this.has('top-of-the-upper-range'))
      throw new Failure({ panic: true });
    return { start: start & -TABLE_BYTES, end: rounded };
  }

  /** @param {Range} range */
  verify({ start, end }) {
    const size = spanOf(this.shape.level) * BigInt(ENTRIES);
    if (end < start) throw new Failure({ err: 'RegionBackwards', ...hexRange({ start, end }) });
    const isOutside = this.isUpper ? start < HALF || END - start > size : start >= HALF;
    if (isOutside) throw new Failure({ err: 'AddressRange', addr: hex(start) });
    if (!this.isUpper && end > size) throw new Failure({ err: 'AddressRange', addr: hex(end) });
  }

  /**
   * The pieces of a range that lie in one entry each.
   *
   * @param {Range} range
   * @param {number} level
   */
  *pieces({ start, end }, level) {
    const span = spanOf(level);
    for (let at = start; at < end; ) {
      const next = (at / span + 1n) * span;
      if (next === END && !this.has('top-of-the-upper-range')) throw new Failure({ panic: true });
      yield { start: at, end: next < end ? next : end };
      at = next;
    }
  }

  /**
   * @param {number} table - its slot
   * @param {number} index
   */
  read(table, index) {
    return this.state.words[table * ENTRIES + index];
  }

  /**
   * @param {number} table
   * @param {number} index
   * @param {bigint} value
   */
  write(table, index, value) {
    this.state.words[table * ENTRIES + index] = value;
  }

  /** @returns {number} the slot of a new table */
  allocate() {
    const state = this.state;
    const free = state.used.indexOf(false);
    const table = free < 0 ? state.used.length : free;
    state.used[table] = true;
    if ((table + 1) * ENTRIES > state.words.length) {
      const words = new BigUint64Array(state.words.length * 2 + ENTRIES);
      words.set(state.words);
      state.words = words;
    }
    return table;
  }

  /** @param {number} table */
  free(table) {
    this.state.words.fill(0n, table * ENTRIES, (table + 1) * ENTRIES);
    this.state.used[table] = false;
  }

  /**
   * @param {number} table
   * @param {number} level - of the table
   */
  freeTree(table, level) {
    for (let index = 0; index < ENTRIES; index += 1) {
      const below = this.below(this.read(table, index), level);
      if (below !== undefined) this.freeTree(below, level + 1);
    }
    this.free(table);
  }

  /** @param {bigint} value */
  isUnknown(value) {
    return (value & FLAGS & ~this.named) !== 0n;
  }

  /**
   * @param {bigint} value - an entry
   * @param {number} level
   * @returns {number | undefined} the table that it leads to
   */
  below(value, level) {
    if (level === LEAF || (value & (VALID | TABLE)) !== (VALID | TABLE)) return undefined;
    return Number(((value & ADDRESS) - this.shape.base) / TABLE_BYTES);
  }

  /**
   * @param {bigint} va
   * @param {number} level
   */
  indexOf(va, level) {
    return Number((va / spanOf(level)) % BigInt(ENTRIES));
  }

  accessed() {
    return this.shape.fixes.has('accessed-only-if-given') ? 0n : ACCESSED;
  }

  /**
   * @param {number} table
   * @param {number} level
   * @param {Range} range
   * @param {bigint} firstPa
   * @param {bigint} flags
   * @param {number} constraints
   */
  map(table, level, range, firstPa, flags, constraints) {
    const span = spanOf(level);
    const isValid = (flags & VALID) !== 0n;
    const keepsAddress = isValid || !this.shape.fixes.has('invalid-leaves-have-no-address');
    let pa = firstPa;
    for (const piece of this.pieces(range, level)) {
      const index = this.indexOf(piece.start, level);
      const value = this.read(table, index);
      const below = this.below(value, level);
      const isWhole = piece.end - piece.start === span;
      const couldBeBlock = isWhole && pa % span === 0n && (constraints & PAGES_ONLY) === 0;
      const leaf = keepsAddress ? (pa & ADDRESS) | flags : flags;
      if (level === LEAF) {
        this.write(table, index, keepsAddress ? leaf | TABLE : leaf);
      } else if (
        below === undefined &&
        this.isIdentical(value, pa, piece.start % span, flags, couldBeBlock && level > 0)
      ) {
        // Stays.
      } else if (couldBeBlock && below === undefined && (level > 0 || !this.has('no-level-0-blocks'))) {
        this.write(table, index, leaf);
      } else if (
        isWhole &&
        below !== undefined &&
        !isValid &&
        (!keepsAddress || (couldBeBlock && level > 0)) &&
        this.has('unmapped-tables-are-freed')
      ) {
        this.write(table, index, leaf);
        this.freeTree(below, level + 1);
      } else {
        this.map(
          below ?? this.split(table, index, level, piece.start),
          level + 1,
          piece,
          pa,
          flags,
          constraints,
        );
      }
      pa += piece.end - piece.start;
    }
  }

  /**
   * @param {bigint} value - an entry that leads to no table
   * @param {bigint} pa
   * @param {bigint} within - how far in the entry that is to be mapped
   * @param {bigint} flags
   * @param {boolean} isBlock - whether it would be written with the same value otherwise
   */
  isIdentical(value, pa, within, flags, isBlock) {
    if (!this.shape.fixes.has('identical-blocks-stay') || (value & FLAGS) !== flags) return false;
    if (pa < within && !this.has('no-underflow-of-addresses')) throw new Failure({ panic: true });
    return (value & ADDRESS) + within === pa && this.has('identical-blocks-stay', !isBlock);
  }

  /**
   * Makes a table that maps what an entry maps.
   *
   * @param {number} table
   * @param {number} index
   * @param {number} level
   * @param {bigint} va - in the entry
   * @returns {number} the new table
   */
  split(table, index, level, va) {
    const value = this.read(table, index);
    const made = this.allocate();
    const span = spanOf(level);
    const start = (va / span) * span;
    const isEmpty = value === 0n && this.has('clean-split-of-empty-entries');
    const isLost = this.isUnknown(value) && !this.has('unknown-bits-survive-a-split');
    if ((value & TABLE) === 0n && !isEmpty && !isLost) {
      const range = { start, end: start + span };
      this.map(made, level + 1, range, value & ADDRESS, (value & FLAGS) | this.accessed(), 0);
    }
    this.write(table, index, (this.shape.base + BigInt(made) * TABLE_BYTES) | VALID | TABLE);
    return made;
  }

  /**
   * @param {number} table
   * @param {number} level
   * @param {Range} range
   * @param {Visitor} visit
   */
  walk(table, level, range, visit) {
    for (const piece of this.pieces(range, level)) {
      const index = this.indexOf(piece.start, level);
      const below = this.below(this.read(table, index), level);
      if (below === undefined) visit(piece, table, index, level);
      else this.walk(below, level + 1, piece, visit);
    }
  }

  /**
   * @param {number} table
   * @param {number} level
   * @returns {boolean} whether nothing is left in it
   */
  compact(table, level) {
    let isEmpty = true;
    for (let index = 0; index < ENTRIES; index += 1) {
      const below = this.below(this.read(table, index), level);
      if (below !== undefined && this.compact(below, level + 1)) {
        this.write(table, index, 0n);
        this.free(below);
      }
      isEmpty &&= this.read(table, index) === 0n;
    }
    return isEmpty;
  }
}
