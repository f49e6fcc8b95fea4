// A model of aarch64-paging, written from a description of what both versions do, without a look at this package's own:
// slow, in bigint, with every table entry written one by one. It tells what a map with fixes must do.

import { ACCESSED, bitsOf, CLEARED, FIXED_TYPE, NON_GLOBAL, SET, TABLE, VALID } from './aarch64-flags.mjs';

/** Bits 47:12 of an entry. */
const ADDRESS = 0xffff_ffff_f000n;
const FLAGS = BigInt.asUintN(64, ~ADDRESS);
const END = 1n << 64n;
const HALF = 1n << 63n;
const TABLE_BYTES = 4096n;
const ENTRIES = 512;
const LEAF = 3;
/** Bits by which version 0.5 tells memory types. */
const MEMORY_TYPE = 0x304n;
/** The constraint that leaves must be pages. */
const PAGES_ONLY = 1;

/** @typedef {{ start: bigint, end: bigint }} Range */
/** @typedef {{ level: number, live: boolean, held: bigint, value: bigint, store: (value: bigint) => void }} Entry */
/** @typedef {(range: Range, entry: Entry) => void} Updater */
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

/** @typedef {'fine' | 'refused' | 'panic'} Verdict */

/** What ends an operation: an error of the original. */
class Failure extends Error {
  /** @param {Record<string, unknown>} result */
  constructor(result) {
    super(JSON.stringify(result));
    this.result = result;
  }
}

/** The callback's own failure, or a change that is refused. */
class Refused extends Error {}

/** Bytes that an entry maps. @param {number} level */
const spanOf = (level) => TABLE_BYTES << BigInt(9 * (LEAF - level));

export class Model {
  /** @type {Set<string>} names of the fixes that made a difference */
  reasons = new Set();
  /** @type {bigint[]} start, end, level and entry of each call of the callback */
  log = [];
  #shape;
  #state;
  #named;
  #isUpper;

  /**
   * @param {Shape} shape
   * @param {State} state - which it changes
   */
  constructor(shape, state) {
    this.#shape = shape;
    this.#state = state;
    this.#named = bitsOf(shape);
    this.#isUpper = shape.range === 'Upper';
  }

  /**
   * Does an operation.
   *
   * @param {Record<string, any>} operation - as recorded
   * @returns {Record<string, unknown>} its result
   */
  perform(operation) {
    try {
      this.#dispatch(operation);
      return { ok: true };
    } catch (error) {
      if (error instanceof Failure) return error.result;
      throw error;
    }
  }

  /** @param {Record<string, any>} operation */
  #dispatch(operation) {
    const state = this.#state;
    if (operation.op === 'compact_subtables') this.#compact(0, this.#shape.level);
    else if (operation.op === 'activate') {
      if (this.#shape.seed && state.active > 0) throw new Failure({ panic: true });
      state.active += 1;
    } else if (operation.op === 'deactivate') {
      if (state.active === 0) throw new Failure({ panic: true });
      state.active -= 1;
    } else {
      const range = this.#rangeOf(BigInt(operation.start), BigInt(operation.end));
      if (operation.op === 'map_range') this.#mapRange(range, operation);
      else if (operation.op === 'walk_range')
        this.#walkRange(
          range,
          this.#logged(operation, () => undefined),
        );
      else this.#modifyRange(range, this.#logged(operation, this.#action(operation.action, range)));
    }
  }

  /**
   * @param {string} name - of a fix
   * @param {boolean} [differs] - whether it makes a difference here
   */
  #has(name, differs = true) {
    const has = this.#shape.fixes.has(name);
    if (has && differs) this.reasons.add(name);
    return has;
  }

  // Ranges

  /**
   * @param {bigint} start
   * @param {bigint} end
   * @returns {Range} whole pages
   */
  #rangeOf(start, end) {
    const rounded = (end + TABLE_BYTES - 1n) & -TABLE_BYTES;
    if ((end === 0n || rounded === END) && !this.#has('top-of-the-upper-range'))
      throw new Failure({ panic: true });
    return { start: start & -TABLE_BYTES, end: rounded };
  }

  /** @param {Range} range */
  #verify({ start, end }) {
    const size = spanOf(this.#shape.level) * BigInt(ENTRIES);
    if (end < start) throw new Failure({ err: 'RegionBackwards', ...hexRange({ start, end }) });
    const isOutside = this.#isUpper ? start < HALF || END - start > size : start >= HALF;
    if (isOutside) throw new Failure({ err: 'AddressRange', addr: hex(start) });
    if (!this.#isUpper && end > size) throw new Failure({ err: 'AddressRange', addr: hex(end) });
  }

  /**
   * The pieces of a range that lie in one entry each.
   *
   * @param {Range} range
   * @param {number} level
   */
  *#pieces({ start, end }, level) {
    const span = spanOf(level);
    for (let at = start; at < end; ) {
      const next = (at / span + 1n) * span;
      if (next === END && !this.#has('top-of-the-upper-range')) throw new Failure({ panic: true });
      yield { start: at, end: next < end ? next : end };
      at = next;
    }
  }

  // Tables

  /**
   * @param {number} table - its slot
   * @param {number} index
   */
  #read(table, index) {
    return this.#state.words[table * ENTRIES + index];
  }

  /**
   * @param {number} table
   * @param {number} index
   * @param {bigint} value
   */
  #write(table, index, value) {
    this.#state.words[table * ENTRIES + index] = value;
  }

  /** @returns {number} the slot of a new table */
  #allocate() {
    const state = this.#state;
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
  #free(table) {
    this.#state.words.fill(0n, table * ENTRIES, (table + 1) * ENTRIES);
    this.#state.used[table] = false;
  }

  /**
   * @param {number} table
   * @param {number} level - of the table
   */
  #freeTree(table, level) {
    for (let index = 0; index < ENTRIES; index += 1) {
      const below = this.#below(this.#read(table, index), level);
      if (below !== undefined) this.#freeTree(below, level + 1);
    }
    this.#free(table);
  }

  /** @param {bigint} value */
  #isUnknown(value) {
    return (value & FLAGS & ~this.#named) !== 0n;
  }

  /**
   * @param {bigint} value - an entry
   * @param {number} level
   * @returns {number | undefined} the table that it leads to
   */
  #below(value, level) {
    if (level === LEAF || (value & (VALID | TABLE)) !== (VALID | TABLE)) return undefined;
    return Number(((value & ADDRESS) - this.#shape.base) / TABLE_BYTES);
  }

  /**
   * @param {bigint} va
   * @param {number} level
   */
  #indexOf(va, level) {
    return Number((va / spanOf(level)) % BigInt(ENTRIES));
  }

  // Mapping

  /**
   * @param {Range} range
   * @param {Record<string, any>} operation
   */
  #mapRange(range, operation) {
    const { seed, regime } = this.#shape;
    const given = BigInt(operation.flags);
    const isRes1 = (regime === 'El2' || regime === 'El3') && (given & VALID) !== 0n;
    const res1 = isRes1 && this.#has('res1-is-set', (given & 0x40n) === 0n) ? 0x40n : 0n;
    const flags = given | res1 | this.#accessed();
    const pa = operation.pa === undefined ? this.#physical(range) : BigInt(operation.pa);
    if (this.#state.active > 0) this.#checkMap(range, pa, flags, operation.constraints);
    if ((given & TABLE) !== 0n) throw new Failure({ err: 'InvalidFlags', flags: hex(seed ? TABLE : given) });
    this.#verify(range);
    const last = pa + range.end - range.start;
    const isBeyond = last > END || (last === END && range.end > range.start);
    if (isBeyond && (last > END || !this.#has('no-underflow-of-addresses')))
      throw new Failure({ panic: true });
    this.#map(0, this.#shape.level, range, pa, flags, operation.constraints);
  }

  #accessed() {
    return this.#shape.fixes.has('accessed-only-if-given') ? 0n : ACCESSED;
  }

  /** @param {Range} range */
  #physical({ start, end }) {
    const { kind, offset } = this.#shape;
    if (kind !== 'LinearMap') return start;
    const pa = (/** @type {bigint} */ va) => BigInt.asIntN(64, va) + offset;
    const isNone = (/** @type {bigint} */ va) => pa(va) < 0n || pa(va) >= HALF;
    const last = end - TABLE_BYTES;
    if (isNone(start)) throw new Failure({ err: 'InvalidVirtualAddress', addr: hex(start) });
    if (end > start && isNone(last) && this.#has('whole-linear-range-is-checked')) {
      throw new Failure({ err: 'InvalidVirtualAddress', addr: hex(last) });
    }
    return pa(start);
  }

  /**
   * @param {number} table
   * @param {number} level
   * @param {Range} range
   * @param {bigint} firstPa
   * @param {bigint} flags
   * @param {number} constraints
   */
  #map(table, level, range, firstPa, flags, constraints) {
    const span = spanOf(level);
    const isValid = (flags & VALID) !== 0n;
    const keepsAddress = isValid || !this.#shape.fixes.has('invalid-leaves-have-no-address');
    let pa = firstPa;
    for (const piece of this.#pieces(range, level)) {
      const index = this.#indexOf(piece.start, level);
      const value = this.#read(table, index);
      const below = this.#below(value, level);
      const isWhole = piece.end - piece.start === span;
      const couldBeBlock = isWhole && pa % span === 0n && (constraints & PAGES_ONLY) === 0;
      const leaf = keepsAddress ? (pa & ADDRESS) | flags : flags;
      if (level === LEAF) {
        this.#write(table, index, keepsAddress ? leaf | TABLE : leaf);
      } else if (
        below === undefined &&
        this.#isIdentical(value, pa, piece.start % span, flags, couldBeBlock && level > 0)
      ) {
        // Stays.
      } else if (couldBeBlock && below === undefined && (level > 0 || !this.#has('no-level-0-blocks'))) {
        this.#write(table, index, leaf);
      } else if (
        isWhole &&
        below !== undefined &&
        !isValid &&
        (!keepsAddress || (couldBeBlock && level > 0)) &&
        this.#has('unmapped-tables-are-freed')
      ) {
        this.#write(table, index, leaf);
        this.#freeTree(below, level + 1);
      } else {
        this.#map(
          below ?? this.#split(table, index, level, piece.start),
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
  #isIdentical(value, pa, within, flags, isBlock) {
    if (!this.#shape.fixes.has('identical-blocks-stay') || (value & FLAGS) !== flags) return false;
    if (pa < within && !this.#has('no-underflow-of-addresses')) throw new Failure({ panic: true });
    return (value & ADDRESS) + within === pa && this.#has('identical-blocks-stay', !isBlock);
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
  #split(table, index, level, va) {
    const value = this.#read(table, index);
    const made = this.#allocate();
    const span = spanOf(level);
    const start = (va / span) * span;
    const isEmpty = value === 0n && this.#has('clean-split-of-empty-entries');
    const isLost = this.#isUnknown(value) && !this.#has('unknown-bits-survive-a-split');
    if ((value & TABLE) === 0n && !isEmpty && !isLost) {
      const range = { start, end: start + span };
      this.#map(made, level + 1, range, value & ADDRESS, (value & FLAGS) | this.#accessed(), 0);
    }
    this.#write(table, index, (this.#shape.base + BigInt(made) * TABLE_BYTES) | VALID | TABLE);
    return made;
  }

  // Walking and changing

  /**
   * @param {Record<string, any>} operation
   * @param {Updater} update
   * @returns {Updater} which writes down its calls, and fails where it should
   */
  #logged({ failAt }, update) {
    return (range, entry) => {
      this.log.push(range.start, range.end, BigInt(entry.level), entry.value);
      if (this.log.length / 4 - 1 === failAt) throw new Refused();
      update(range, entry);
    };
  }

  /**
   * @param {any} action
   * @param {Range} whole
   * @returns {Updater}
   */
  #action({ kind, set, clear, flags, pa, level }, whole) {
    const withPage = (/** @type {Entry} */ entry) =>
      BigInt(flags) | (entry.level === LEAF && (BigInt(flags) & VALID) !== 0n ? TABLE : 0n);
    return (range, entry) => {
      const address = entry.value & ADDRESS;
      if (kind === 'modifyFlags' || (kind === 'modifyFlagsAtLevel' && level === entry.level)) {
        this.#modifyFlags(entry, BigInt(set), BigInt(clear));
      } else if (kind === 'setFlags') {
        this.#set(entry, address, withPage(entry));
      } else if (kind === 'setPa') {
        this.#set(entry, BigInt.asUintN(64, BigInt(pa) + range.start - whole.start), withPage(entry));
      } else if (kind === 'clear') {
        this.#set(entry, 0n, 0n);
      } else if (kind === 'breakMake') {
        this.#set(entry, address, withPage(entry) & ~VALID);
        this.#set(entry, address, withPage(entry));
      }
    };
  }

  /**
   * @param {Entry} entry
   * @param {bigint} set
   * @param {bigint} clear
   */
  #modifyFlags(entry, set, clear) {
    const { seed } = this.#shape;
    const changed = (entry.value | set) & ~clear;
    if (((changed ^ entry.value) & TABLE) !== 0n) throw seed ? new Failure({ panic: true }) : new Refused();
    if (seed) this.#store(entry, changed);
    else this.#set(entry, entry.value & ADDRESS, ((entry.value & FLAGS) | set) & ~clear & this.#named);
  }

  /**
   * @param {Entry} entry
   * @param {bigint} pa
   * @param {bigint} flags
   */
  #set(entry, pa, flags) {
    const isTable = entry.level < LEAF && (flags & (VALID | TABLE)) === (VALID | TABLE);
    if (isTable && this.#has('leaves-stay-leaves')) throw new Refused();
    this.#setAny(entry, pa, flags);
  }

  /**
   * @param {Entry} entry
   * @param {bigint} pa
   * @param {bigint} flags
   */
  #setAny(entry, pa, flags) {
    const value = (pa & ADDRESS) | flags;
    if (entry.live && (flags & VALID) !== 0n) {
      const isBroken = (entry.value & VALID) === 0n && (entry.held & VALID) !== 0n;
      const old =
        isBroken && this.#shape.fixes.has('no-break-and-make-in-one-callback') ? entry.held : entry.value;
      const isSameAddress = pa === (old & ADDRESS) && this.#isAddress(old, value);
      const isAllowed = (old & VALID) === 0n || (isSameAddress && this.#mayBecome(old, flags));
      if (!isAllowed) {
        if (isBroken) this.reasons.add('no-break-and-make-in-one-callback');
        throw new Refused();
      }
      entry.held = value;
    }
    this.#store(entry, value);
  }

  /**
   * @param {Entry} entry
   * @param {bigint} value
   */
  #store(entry, value) {
    entry.value = value;
    entry.store(value);
  }

  /**
   * Whether a live valid leaf may get other flags, by the masks of version 0.12.
   *
   * @param {bigint} old
   * @param {bigint} flags
   */
  #mayBecome(old, flags) {
    const set = flags & ~(old & FLAGS) & ~SET[this.#type()];
    const cleared = old & FLAGS & ~flags & ~CLEARED[this.#type()];
    const bad = set | cleared;
    if ((bad & this.#named) !== 0n) return false;
    return (bad & FLAGS) === 0n || !this.#has('unnamed-bits-count');
  }

  /**
   * Whether a live leaf keeps its output address, to which flags may add bits.
   *
   * @param {bigint} old
   * @param {bigint} value
   */
  #isAddress(old, value) {
    return ((old ^ value) & ADDRESS) === 0n || !this.#has('unnamed-bits-count');
  }

  #type() {
    return FIXED_TYPE[this.#shape.regime];
  }

  /**
   * @param {number} table
   * @param {number} level
   * @param {Range} range
   * @param {Visitor} visit
   */
  #walk(table, level, range, visit) {
    for (const piece of this.#pieces(range, level)) {
      const index = this.#indexOf(piece.start, level);
      const below = this.#below(this.#read(table, index), level);
      if (below === undefined) visit(piece, table, index, level);
      else this.#walk(below, level + 1, piece, visit);
    }
  }

  /**
   * @param {Range} range
   * @param {Updater} look
   */
  #walkRange(range, look) {
    this.#verify(range);
    this.#walk(0, this.#shape.level, range, (piece, table, index, level) => {
      const value = this.#read(table, index);
      this.#orFault(value, () =>
        look(piece, { level, live: false, held: 0n, value, store: () => undefined }),
      );
    });
  }

  /**
   * @param {Range} range
   * @param {Updater} update
   */
  #modifyRange(range, update) {
    const live = this.#state.active > 0;
    if (live) this.#checkModify(range, update);
    this.#verify(range);
    /** @type {(table: number, level: number, part: Range) => void} */
    const modify = (table, level, part) => {
      for (const piece of this.#pieces(part, level)) {
        const index = this.#indexOf(piece.start, level);
        const value = this.#read(table, index);
        const below = this.#below(value, level);
        if (below === undefined && piece.end - piece.start === spanOf(level)) {
          const store = (/** @type {bigint} */ changed) => this.#write(table, index, changed);
          this.#orFault(value, () => update(piece, { level, live, held: value, value, store }));
        } else {
          modify(below ?? this.#split(table, index, level, piece.start), level + 1, piece);
        }
      }
    };
    modify(0, this.#shape.level, range);
  }

  /**
   * @param {bigint} value - the entry
   * @param {() => void} action
   */
  #orFault(value, action) {
    try {
      action();
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      throw new Failure({ err: 'PteUpdateFault', bits: hex(value) });
    }
  }

  /**
   * @param {number} table
   * @param {number} level
   * @returns {boolean} whether nothing is left in it
   */
  #compact(table, level) {
    let isEmpty = true;
    for (let index = 0; index < ENTRIES; index += 1) {
      const below = this.#below(this.#read(table, index), level);
      if (below !== undefined && this.#compact(below, level + 1)) {
        this.#write(table, index, 0n);
        this.#free(below);
      }
      isEmpty &&= this.#read(table, index) === 0n;
    }
    return isEmpty;
  }

  // Break-before-make

  /**
   * Looks whether a live map may map a range.
   *
   * @param {Range} range
   * @param {bigint} pa
   * @param {bigint} flags
   * @param {number} constraints
   */
  #checkMap(range, pa, flags, constraints) {
    this.#check(range, (piece, entry) => {
      const { level, value } = entry;
      const span = spanOf(level);
      const target = pa + piece.start - range.start;
      if (target >= END) throw new Failure({ panic: true });
      const within = piece.start % span;
      const rounded = (target / span) * span;
      const to = this.#shape.fixes.has('no-live-change-of-address')
        ? (target - within) & -TABLE_BYTES
        : rounded;
      const isPage = level === LEAF && this.#shape.fixes.has('live-changes-by-masks');
      const wanted = (to & ADDRESS) | flags | (isPage ? TABLE : 0n);
      if (
        (value & VALID) !== 0n &&
        (flags & VALID) !== 0n &&
        to !== rounded &&
        rounded === (value & ADDRESS)
      ) {
        this.reasons.add('no-live-change-of-address');
      }
      if (this.#shape.seed) this.#store(entry, wanted);
      else this.#setAny(entry, to, isPage ? flags | TABLE : flags);
      if (level === LEAF || (value & VALID) === 0n) return;
      const isWhole = piece.end - piece.start === span;
      const isSame = (value & FLAGS) === flags && target - within === (value & ADDRESS);
      const staysBlock = isWhole && target % span === 0n && (constraints & PAGES_ONLY) === 0 && level > 0;
      const isSplit = !staysBlock && !(isSame && this.#shape.fixes.has('identical-blocks-stay'));
      if (isSplit && this.#has('no-live-split', isWhole || (value & FLAGS) === flags)) throw new Refused();
    });
  }

  /**
   * Looks whether a live map may be changed.
   *
   * @param {Range} range
   * @param {Updater} update
   */
  #checkModify(range, update) {
    this.#check(range, (piece, entry) => {
      const isValid = (entry.value & VALID) !== 0n;
      const isPart = piece.end - piece.start < spanOf(entry.level);
      if (isPart && isValid && this.#has('no-live-split')) throw new Refused();
      if (this.#shape.seed && !isValid) this.#has('live-changes-by-masks');
      update(piece, entry);
    });
  }

  /**
   * Tries an updater on copies of the entries of a live map.
   *
   * @param {Range} range
   * @param {Updater} update
   */
  #check(range, update) {
    const { seed, fixes } = this.#shape;
    const violation = (/** @type {Range} */ named) =>
      new Failure({ err: 'BreakBeforeMakeViolation', ...hexRange(named) });
    const byMasks = fixes.has('live-changes-by-masks');
    try {
      this.#verify(range);
    } catch (error) {
      throw this.#has('errors-stay-themselves-while-active') ? error : violation(range);
    }
    this.#walk(0, this.#shape.level, range, (piece, table, index, level) => {
      const value = this.#read(table, index);
      if (!byMasks && (value & VALID) === 0n) return;
      const isWhole = piece.end - piece.start === spanOf(level);
      /** @type {Entry} */
      const copy = { level, live: !seed, held: value, value, store: () => undefined };
      try {
        if (!byMasks && !isWhole) throw new Refused();
        update(piece, copy);
        const asSeed = seed ? this.#seedVerdict(value, copy.value, isWhole) : 'refused';
        const verdict = byMasks ? this.#verdict(value, copy.value, isWhole) : asSeed;
        if (seed && verdict !== asSeed) this.#has('live-changes-by-masks');
        if (verdict === 'panic') throw new Failure({ panic: true });
        if (verdict === 'refused') throw new Refused();
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        const isPart = piece.start !== range.start || piece.end !== range.end;
        throw violation(this.#has('violation-names-the-region', isPart) ? piece : range);
      }
    });
  }

  /**
   * What version 0.12 says of a change, beside what its descriptors refuse at once; those of 0.5 refuse nothing.
   *
   * @param {bigint} old
   * @param {bigint} value
   * @param {boolean} isWhole
   * @returns {Verdict}
   */
  #verdict(old, value, isWhole) {
    if ((old & VALID) === 0n) return 'fine';
    if (!isWhole && ((old ^ value) & FLAGS) !== 0n) return 'refused';
    if (!this.#shape.seed || (value & VALID) === 0n) return 'fine';
    return ((old ^ value) & ADDRESS) === 0n && this.#mayBecome(old, value & FLAGS) ? 'fine' : 'refused';
  }

  /**
   * What version 0.5 says of it.
   *
   * @param {bigint} old
   * @param {bigint} value
   * @param {boolean} isWhole
   * @returns {Verdict}
   */
  #seedVerdict(old, value, isWhole) {
    if ((old & VALID) === 0n) return 'fine';
    if (!isWhole || this.#isUnknown(value)) return 'refused';
    if ((value & VALID) === 0n) return 'fine';
    if (((value ^ old) & ADDRESS) !== 0n) return 'refused';
    if (this.#isUnknown(old)) return 'panic';
    return ((value ^ old) & MEMORY_TYPE) === 0n && (old & ~value & NON_GLOBAL) === 0n ? 'fine' : 'refused';
  }
}

/** @param {Range} range */
function hexRange({ start, end }) {
  return { start: hex(start), end: hex(end) };
}

/** @param {bigint} value */
function hex(value) {
  return `0x${value.toString(16)}`;
}
