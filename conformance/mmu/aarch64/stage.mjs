// Follows a case while it is being made: what each operation would do, and whether a guest can be asked to do it.

import { LooseBits } from '../loose-bits.mjs';
import { SCTLR_M } from './control.mjs';
import { BRK, LAYOUT } from './layout.mjs';
import { ACCESSED, predict, READ_ONLY, rightsAllow, strayBlock, walkTables } from './reference.mjs';
import { isNowhere } from './tables.mjs';

/** @typedef {import('./control.mjs').Control} Control */
/** @typedef {import('./operations.mjs').Access} Access */
/** @typedef {import('./operations.mjs').Translate} Translate */
/** @typedef {import('./reference.mjs').Prediction} Prediction */
/** @typedef {import('./reference.mjs').Portion} Portion */
/** @typedef {import('./reference.mjs').Walk} Walk */

/** Names in the list of deviations; those of bits that QEMU changes against the manual. */
export const AT_DIRTIES = 'AT of a write makes a page dirty';
export const STRAY_BLOCK_ACCESSED = 'block where there is none accessed';
export const STRAY_BLOCK_DIRTIED = 'block where there is none made dirty';

const AF = Number(ACCESSED);
const AP2 = Number(READ_ONLY);

/** Memory and registers as they are after the operations so far. */
export class Stage {
  /**
   * @param {Control} control
   * @param {import('./tables.mjs').StagedTables} tables
   * @param {{ editsTables: boolean }} options - whether accesses may write to tables
   */
  constructor(control, tables, { editsTables }) {
    this.control = control;
    this.memory = tables.memory;
    this.guarded = tables.guarded;
    this.arenaEnd = LAYOUT.arena + tables.arenaFrames * 4096;
    this.editsTables = editsTables;
    this.loose = new LooseBits();
    /**
     * Addresses of 8-byte words in pages that were written.
     *
     * @type {Set<number>}
     */
    this.written = new Set();
  }

  /** @type {import('./reference.mjs').Read} */
  read = (address, bytes) => this.memory.read(address, bytes);

  /** @param {bigint} va */
  walk(va) {
    return walkTables(this.read, this.control, va, { kind: 'read', asUser: false, pan: false });
  }

  /**
   * Does an operation, if it is one that can be compared and leaves the guest alive.
   *
   * @param {Access | Translate} operation
   * @returns {Prediction | undefined} nothing if it is not
   */
  attempt(operation) {
    const prediction = predict(this.read, this.control, operation);
    if (!this.isComparable(operation, prediction)) return undefined;
    this.note(operation, prediction);
    return prediction;
  }

  /**
   * @param {Access | Translate} operation
   * @param {Prediction} prediction
   */
  isComparable(operation, { fault, portions, manner }) {
    for (const { walk } of portions) {
      if (!walk.entries.every(({ address }) => this.isArenaByte(Number(address)))) return false; // below 2^48
      const stray = strayBlock(walk);
      if (stray !== undefined && !(isNowhere(stray.value) && isInPage(operation))) return false;
    }
    if (operation.kind === 'at') return true;
    if (fault?.kind === 'alignment') return true;
    if (!portions.every(({ walk }) => this.isDefined(operation, walk))) return false;
    // A page before the one that faults may be read already.
    const touched = fault === undefined ? portions : portions.slice(0, -1);
    if (!touched.every((portion) => this.mayTouch(operation, portion))) return false;
    if (fault?.kind !== 'permission' || operation.kind !== 'fetch') return true;
    // QEMU may go on with this one.
    const [portion] = portions;
    const seen = { ...portion.walk, readOnly: true };
    const goesOn = seemsUnwritable(operation, portion.walk) && rightsAllow(this.control, seen, manner);
    return !goesOn || this.mayTouch(operation, portion);
  }

  /**
   * Not so: alignment of what is not in normal memory, and fetches from there.
   *
   * @param {Access} access
   * @param {Walk} walk
   */
  isDefined({ kind, address, bytes }, { end, memoryType }) {
    if (end !== 'leaf' || memoryType >= 0x10) return true;
    if (kind === 'fetch') return (this.control.sctlr & SCTLR_M) === 0n;
    return address % BigInt(bytes) === 0n;
  }

  /**
   * Whether the bytes of an allowed access are the guest's to touch, and known.
   *
   * @param {Access} access
   * @param {Portion} portion
   */
  mayTouch(access, { walk, bytes }) {
    for (let i = 0; i < bytes; i++) {
      const address = Number(walk.address) + i; // below 2^52
      const inArena = this.isArenaByte(address);
      if (!inArena && !LAYOUT.isPageByte(address)) return false;
      if (access.kind === 'write') {
        if (inArena && (!this.editsTables || this.isGuarded(address))) return false;
      } else if (this.loose.has(address)) return false;
    }
    if (access.kind !== 'fetch') return true;
    return (this.memory.read(walk.address, 4) & 0xffe0_001fn) === BigInt(BRK);
  }

  /** @param {number} address - of a byte */
  isArenaByte(address) {
    return address >= LAYOUT.arena && address < this.arenaEnd;
  }

  /** @param {number} address - of a byte */
  isGuarded(address) {
    return this.guarded.has(address - (address % 8));
  }

  /**
   * @param {Access | Translate} operation
   * @param {Prediction} prediction
   */
  note(operation, { fault, portions, manner }) {
    const isAt = operation.kind === 'at';
    for (const [i, { walk, updates }] of portions.entries()) {
      const faults = fault !== undefined && i === portions.length - 1;
      const last = walk.entries.at(-1);
      if (last === undefined) continue;
      if (faults && strayBlock(walk) !== undefined) {
        const dirties = manner.kind === 'write' && (last.value & READ_ONLY) !== 0n;
        if ((last.value & ACCESSED) === 0n) this.loose.deviate(last.address, STRAY_BLOCK_ACCESSED, AF);
        if (dirties) this.loose.deviate(last.address, STRAY_BLOCK_DIRTIED, AP2);
      }
      if (fault !== undefined || isAt) {
        // The manual leaves open whether an AT sets AF, an access that is refused, or one whose other page is.
        if (walk.unaccessed) this.loose.free(last.address, AF);
        const isGranted = !faults && manner.kind === 'write' && walk.clean;
        if (isGranted && isAt) this.loose.deviate(last.address, AT_DIRTIES, AP2);
        else if (isGranted) this.loose.free(last.address, AP2);
        continue;
      }
      for (const { address, value } of updates) {
        // Two pages of one access may use the same entry.
        const before = this.memory.read(address, 8);
        const dirties = (value & READ_ONLY) === 0n;
        const after = (before | (value & ACCESSED)) & (dirties ? ~READ_ONLY : -1n);
        this.memory.write(address, 8, after);
        this.loose.settle(address, AF | (dirties ? AP2 : 0));
      }
    }
    if (fault !== undefined || operation.kind !== 'write') return;
    let value = operation.value;
    for (const { walk, bytes } of portions) {
      this.write(walk.address, bytes, value & ((1n << BigInt(bytes * 8)) - 1n));
      value >>= BigInt(bytes * 8);
    }
  }

  /**
   * @param {bigint} address - physical
   * @param {number} bytes
   * @param {bigint} value
   */
  write(address, bytes, value) {
    this.memory.write(address, bytes, value);
    for (let i = 0; i < bytes; i++) {
      const at = Number(address) + i; // below 2^48
      this.loose.write(at);
      if (LAYOUT.isPageByte(at)) this.written.add(at - (at % 8));
    }
  }
}

/** @param {Access | Translate} operation */
function isInPage(operation) {
  return operation.kind === 'at' || (operation.address & 0xfffn) + BigInt(operation.bytes) <= 4096n;
}

/**
 * Whether QEMU may take a page that hardware makes dirty for one that cannot be written: it is not dirty, or was not when QEMU
 * put it into its TLB.
 *
 * @param {Access} access
 * @param {Walk} walk
 */
export function seemsUnwritable({ flush }, { clean, tracked }) {
  return clean || (tracked && !flush);
}
