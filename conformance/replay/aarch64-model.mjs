// A model of aarch64-paging: recorded operations, as a map with or without fixes does them.

import { TABLE, VALID } from './aarch64-flags.mjs';
import { ModelEntries, Refused } from './aarch64-model-entries.mjs';
import { ADDRESS, END, Failure, HALF, LEAF, spanOf, TABLE_BYTES } from './aarch64-model-tables.mjs';
import { hex } from './values.mjs';

/** @typedef {import('./aarch64-model-tables.mjs').Range} Range */
/** @typedef {import('./aarch64-model-entries.mjs').Entry} Entry */
/** @typedef {import('./aarch64-model-entries.mjs').Updater} Updater */

export class Model extends ModelEntries {
  /** @type {bigint[]} start, end, level and entry of each call of the callback */
  log = [];

  /**
   * Does an operation.
   *
   * @param {Record<string, any>} operation - as recorded
   * @returns {Record<string, unknown>} its result
   */
  perform(operation) {
    try {
      this.dispatch(operation);
      return { ok: true };
    } catch (error) {
      if (error instanceof Failure) return error.result;
      throw error;
    }
  }

  /** @param {Record<string, any>} operation */
  dispatch(operation) {
    const { op } = operation;
    const state = this.state;
    if (op === 'compact_subtables') {
      this.compact(0, this.shape.level);
    } else if (op === 'activate') {
      if (this.shape.seed && state.active > 0) throw new Failure({ panic: true });
      state.active += 1;
    } else if (op === 'deactivate') {
      if (state.active === 0) throw new Failure({ panic: true });
      state.active -= 1;
    } else {
      const range = this.rangeOf(BigInt(operation.start), BigInt(operation.end));
      const update = op === 'modify_range' ? this.action(operation.action, range) : () => undefined;
      if (op === 'map_range') this.mapRange(range, operation);
      else if (op === 'walk_range') this.walkRange(range, this.logged(operation, update));
      else this.modifyRange(range, this.logged(operation, update));
    }
  }

  /**
   * @param {Range} range
   * @param {Record<string, any>} operation
   */
  mapRange(range, operation) {
    const { seed, regime } = this.shape;
    const given = BigInt(operation.flags);
    const isRes1 = (regime === 'El2' || regime === 'El3') && (given & VALID) !== 0n;
    const res1 = isRes1 && this.has('res1-is-set', (given & 0x40n) === 0n) ? 0x40n : 0n;
    const flags = given | res1 | this.accessed();
    const pa = operation.pa === undefined ? this.physical(range) : BigInt(operation.pa);
    if (this.state.active > 0) this.checkMap(range, pa, flags, operation.constraints);
    if ((given & TABLE) !== 0n) throw new Failure({ err: 'InvalidFlags', flags: hex(seed ? TABLE : given) });
    this.verify(range);
    const last = pa + range.end - range.start;
    const isBeyond = last > END || (last === END && range.end > range.start);
    if (isBeyond && (last > END || !this.has('no-underflow-of-addresses')))
      throw new Failure({ panic: true });
    this.map(0, this.shape.level, range, pa, flags, operation.constraints);
  }

  /** @param {Range} range */
  physical({ start, end }) {
    const { kind, offset } = this.shape;
    if (kind !== 'LinearMap') return start;
    const pa = (/** @type {bigint} */ va) => BigInt.asIntN(64, va) + offset;
    const isNone = (/** @type {bigint} */ va) => pa(va) < 0n || pa(va) >= HALF;
    const last = end - TABLE_BYTES;
    if (isNone(start)) throw new Failure({ err: 'InvalidVirtualAddress', addr: hex(start) });
    if (end > start && isNone(last) && this.has('whole-linear-range-is-checked')) {
      throw new Failure({ err: 'InvalidVirtualAddress', addr: hex(last) });
    }
    return pa(start);
  }

  /**
   * @param {Record<string, any>} operation
   * @param {Updater} update
   * @returns {Updater} which writes down its calls, and fails where it should
   */
  logged({ failAt }, update) {
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
  action({ kind, set, clear, flags, pa, level }, whole) {
    const withPage = (/** @type {Entry} */ entry) =>
      BigInt(flags) | (entry.level === LEAF && (BigInt(flags) & VALID) !== 0n ? TABLE : 0n);
    return (range, entry) => {
      const address = entry.value & ADDRESS;
      if (kind === 'modifyFlags' || (kind === 'modifyFlagsAtLevel' && level === entry.level)) {
        this.modifyFlags(entry, BigInt(set), BigInt(clear));
      } else if (kind === 'setFlags') {
        this.set(entry, address, withPage(entry));
      } else if (kind === 'setPa') {
        this.set(entry, BigInt.asUintN(64, BigInt(pa) + range.start - whole.start), withPage(entry));
      } else if (kind === 'clear') {
        this.set(entry, 0n, 0n);
      } else if (kind === 'breakMake') {
        this.set(entry, address, withPage(entry) & ~VALID);
        this.set(entry, address, withPage(entry));
      }
    };
  }

  /**
   * @param {Range} range
   * @param {Updater} look
   */
  walkRange(range, look) {
    this.verify(range);
    this.walk(0, this.shape.level, range, (piece, table, index, level) => {
      const value = this.read(table, index);
      this.orFault(value, () => look(piece, { level, live: false, held: 0n, value, store: () => undefined }));
    });
  }

  /**
   * @param {Range} range
   * @param {Updater} update
   */
  modifyRange(range, update) {
    const live = this.state.active > 0;
    if (live) this.checkModify(range, update);
    this.verify(range);
    /** @type {(table: number, level: number, part: Range) => void} */
    const modify = (table, level, part) => {
      for (const piece of this.pieces(part, level)) {
        const index = this.indexOf(piece.start, level);
        const value = this.read(table, index);
        const below = this.below(value, level);
        if (below === undefined && piece.end - piece.start === spanOf(level)) {
          const store = (/** @type {bigint} */ changed) => this.write(table, index, changed);
          this.orFault(value, () => update(piece, { level, live, held: value, value, store }));
        } else {
          modify(below ?? this.split(table, index, level, piece.start), level + 1, piece);
        }
      }
    };
    modify(0, this.shape.level, range);
  }

  /**
   * @param {bigint} value - the entry
   * @param {() => void} action
   */
  orFault(value, action) {
    try {
      action();
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      throw new Failure({ err: 'PteUpdateFault', bits: hex(value) });
    }
  }
}
