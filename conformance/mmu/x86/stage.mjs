// Follows a case while it is being made: what each operation would do, and whether a guest can be asked to do it.

import { LooseBits } from '../loose-bits.mjs';
import { entryBytes, isLong } from './control.mjs';
import { INT3, LAYOUT, RESERVED_PAGES, WINDOW } from './layout.mjs';
import { ACCESSED, predict, walkTables } from './reference.mjs';

/** @typedef {import('./control.mjs').Control} Control */
/** @typedef {import('./control.mjs').Mode} Mode */
/** @typedef {import('./operations.mjs').Access} Access */
/** @typedef {import('./reference.mjs').Prediction} Prediction */
/** @typedef {import('./reference.mjs').Portion} Portion */

/** Names in the list of deviations; those of accessed bits that QEMU sets against the manual. */
export const LARGE_PDPTE_ACCESSED = '1-GiB leaf accessed';
export const PAE_PDPTE_ACCESSED = 'PAE PDPTE accessed';
export const STRADDLE_ACCESSED = 'walked before the canonical boundary';

const A = Number(ACCESSED);

/** Memory and registers as they are after the operations so far. */
export class Stage {
  /**
   * @param {Mode} mode
   * @param {Control} control
   * @param {import('./tables.mjs').Tables} tables
   * @param {{ editsTables: boolean }} options - whether accesses may write to tables
   */
  constructor(mode, control, tables, { editsTables }) {
    this.mode = mode;
    this.control = control;
    this.memory = tables.memory;
    this.guarded = tables.guarded;
    this.roots = tables.roots;
    this.editsTables = editsTables;
    this.loose = new LooseBits();
    /**
     * Addresses of 8-byte words in pages that were written.
     *
     * @type {Set<number>}
     */
    this.written = new Set();
    if (mode === 'PAE') {
      // The guest's own accesses use it.
      for (const root of tables.roots) this.loose.deviate(root, PAE_PDPTE_ACCESSED, A);
    }
  }

  /** @type {import('./reference.mjs').ReadEntry} */
  read = (address, bytes) => this.memory.read(address, bytes);

  /** @param {bigint} linear - canonical */
  walk(linear) {
    return walkTables(this.read, this.mode, this.control, linear);
  }

  /**
   * Does an access, if it is one that can be compared and leaves the guest alive.
   *
   * @param {Access} access
   * @returns {Prediction | undefined} nothing if it is not
   */
  attempt(access) {
    if (this.touchesWindow(access)) return undefined;
    if (!isLong(this.mode) && access.address + BigInt(access.bytes) > 1n << 32n) return undefined;
    const prediction = predict(this.read, this.mode, this.control, access);
    if (!this.isComparable(access, prediction)) return undefined;
    this.note(access, prediction);
    return prediction;
  }

  /** @param {{ address: bigint, bytes: number }} range */
  touchesWindow({ address, bytes }) {
    const start = BigInt(WINDOW);
    return address + BigInt(bytes) > start && address < start + BigInt(RESERVED_PAGES * 4096);
  }

  /**
   * @param {Access} access
   * @param {Prediction} prediction
   */
  isComparable(access, prediction) {
    const { portions, straddle } = prediction;
    for (const { walk } of straddle === undefined ? portions : [straddle.portion]) {
      for (const { level, address } of walk.entries) {
        if (!LAYOUT.isArenaByte(Number(address))) return false; // below 2^40
        // A table entry that is also a PDPTE: its accessed bit would be reserved at the next load.
        if (this.overlapsPdptes(address, entryBytes(this.mode)) && level !== 'PDPTE') return false;
      }
    }
    if (prediction.fault !== undefined) return true;
    return prediction.portions.every((portion) => this.mayTouch(access, portion));
  }

  /**
   * @param {bigint} address
   * @param {number} bytes
   */
  overlapsPdptes(address, bytes) {
    if (this.mode !== 'PAE') return false;
    return this.roots.some((root) => address + BigInt(bytes) > root && address < root + 32n);
  }

  /**
   * Whether the bytes of an allowed access are the guest's to touch, and known.
   *
   * @param {Access} access
   * @param {Portion} portion
   */
  mayTouch(access, { walk, bytes }) {
    for (let i = 0; i < bytes; i++) {
      const address = Number(walk.address) + i; // below 2^40
      const inArena = LAYOUT.isArenaByte(address);
      if (!inArena && !LAYOUT.isPageByte(address)) return false;
      if (access.kind === 'write') {
        if (inArena && (!this.editsTables || this.isGuarded(address))) return false;
      } else if (this.loose.has(address)) return false;
    }
    if (this.overlapsPdptes(walk.address, bytes)) return false;
    return access.kind !== 'fetch' || this.memory.read(walk.address, 1) === BigInt(INT3);
  }

  /** @param {number} address - of a byte */
  isGuarded(address) {
    const size = entryBytes(this.mode);
    return this.guarded.has(address - (address % size));
  }

  /**
   * @param {Access} access
   * @param {Prediction} prediction
   */
  note(access, { fault, portions, straddle }) {
    if (straddle !== undefined) this.noteStraddle(straddle.portion);
    for (const [i, portion] of portions.entries()) {
      const faults = fault !== undefined && i === portions.length - 1;
      if (faults) this.noteFaultingWalk(portion);
      else if (fault !== undefined) this.notePrecedingPortion(portion);
      else this.noteUpdates(portion);
      this.notePdpte(portion);
    }
    if (fault !== undefined || access.kind !== 'write') return;
    let value = access.value;
    for (const { walk, bytes } of portions) {
      this.write(walk.address, bytes, value & ((1n << BigInt(bytes * 8)) - 1n));
      value >>= BigInt(bytes * 8);
    }
  }

  /** @param {Portion} portion */
  noteUpdates({ updates }) {
    for (const { address, value } of updates) {
      const size = entryBytes(this.mode);
      // Two pages of one access may use the same entry.
      this.memory.write(address, size, this.memory.read(address, size) | value);
      // Bits that are set now are known.
      this.loose.settle(address, Number(value & 0xffn), PAE_PDPTE_ACCESSED); // 8 bits
    }
  }

  /**
   * The manual leaves open whether entries above the one that ends a walk get their accessed bits.
   *
   * @param {Portion} portion
   */
  noteFaultingWalk({ walk }) {
    for (const { level, address, value } of walk.entries.slice(0, -1)) {
      if (this.mode === 'PAE' && level === 'PDPTE') continue;
      if ((value & ACCESSED) === 0n) this.loose.free(address, A);
    }
    this.noteDecidingEntry(walk);
  }

  /** @param {import('./reference.mjs').Walk} walk - that ended in a fault */
  noteDecidingEntry({ end, entries }) {
    const { level, address, value } = entries[entries.length - 1];
    if (!isLong(this.mode) || level !== 'PDPTE' || end === 'not-present' || (value & ACCESSED) !== 0n) return;
    this.loose.deviate(address, LARGE_PDPTE_ACCESSED, A);
  }

  /**
   * Nor does it say what becomes of the first page of an access whose second page faults.
   *
   * @param {Portion} portion
   */
  notePrecedingPortion({ walk, updates }) {
    for (const { address, value } of updates) {
      const before = walk.entries.find((entry) => entry.address === address)?.value ?? 0n;
      this.loose.free(address, Number((value ^ before) & 0xffn)); // 8 bits
    }
  }

  /** @param {Portion} portion */
  noteStraddle({ walk, updates }) {
    for (const [depth, { address, value }] of walk.entries.entries()) {
      const isLeaf = depth === walk.entries.length - 1;
      const updated = updates.find((each) => each.address === address)?.value ?? value;
      const bits = isLeaf ? updated ^ value : ACCESSED & ~value;
      if (bits !== 0n) this.loose.deviate(address, STRADDLE_ACCESSED, Number(bits & 0xffn)); // 8 bits
    }
    if (updates.length === 0) this.noteDecidingEntry(walk);
  }

  /** @param {Portion} portion */
  notePdpte({ walk }) {
    if (this.mode !== 'PAE') return;
    const [{ address, value }] = walk.entries;
    if ((value & 1n) !== 0n) this.loose.deviate(address, PAE_PDPTE_ACCESSED, A);
  }

  /**
   * @param {bigint} address - physical
   * @param {number} bytes
   * @param {bigint} value
   */
  write(address, bytes, value) {
    this.memory.write(address, bytes, value);
    for (let i = 0; i < bytes; i++) {
      const at = Number(address) + i; // below 2^40
      this.loose.write(at);
      if (LAYOUT.isPageByte(at)) this.written.add(at - (at % 8));
    }
  }
}
