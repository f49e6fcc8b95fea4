// Follows a case while it is being made: what each operation would do, and whether a guest can be asked to do it.

import { LooseBits } from '../loose-bits.mjs';
import { setsAccessedAndDirty } from './control.mjs';
import { deviationName, qemuBreaks } from './deviations.mjs';
import { IMAGE, IMAGE_BYTES, isNowhere, LAYOUT, TRAP, TRAP_MASK } from './layout.mjs';
import { amoResult } from './operations.mjs';
import { predict, walkTables } from './reference.mjs';

/** @typedef {import('./control.mjs').Control} Control */
/** @typedef {import('./operations.mjs').Access} Access */
/** @typedef {import('./reference.mjs').Prediction} Prediction */
/** @typedef {import('./reference.mjs').Portion} Portion */
/** @typedef {import('./reference.mjs').Walk} Walk */

/**
 * What QEMU makes of an access, where that is not what the manual says, and what it reads then.
 *
 * @typedef {{ names: readonly string[], prediction: Prediction, value: bigint }} Deviating
 */

/** Memory and registers as they are after the operations so far. */
export class Stage {
  /** @type {import('./operations.mjs').Operation[]} */
  operations = [];
  /** @type {(Prediction | undefined)[]} */
  predictions = [];
  /** @type {(Deviating | undefined)[]} */
  deviating = [];
  loose = new LooseBits();
  /**
   * Addresses of 8-byte words in pages that were written.
   *
   * @type {Set<number>}
   */
  written = new Set();

  /**
   * @param {Control} control
   * @param {import('./tables.mjs').StagedTables} tables
   * @param {{ editsTables: boolean }} options - whether accesses may write to tables
   */
  constructor(control, tables, { editsTables }) {
    this.tables = tables;
    this.initial = { control, words: new Map(tables.memory.words) };
    this.control = { ...control };
    this.memory = tables.memory;
    this.arenaEnd = LAYOUT.arena + tables.arenaFrames * 4096;
    this.editsTables = editsTables;
  }

  /**
   * What was made.
   *
   * @param {number} number
   * @param {import('./operations.mjs').Mode} mode
   * @returns {import('./operations.mjs').Case}
   */
  finish(number, mode) {
    const { operations, predictions, deviating, initial, tables, written, loose } = this;
    const { stubs, arenaFrames } = tables;
    return {
      number,
      mode,
      ...initial,
      stubs,
      arenaFrames,
      operations,
      predictions,
      deviating,
      written: [...written],
      loose: loose.at,
    };
  }

  /** @type {import('./reference.mjs').Read} */
  read = (address, bytes) => this.memory.read(address, bytes);

  /** @param {bigint} va */
  walk(va) {
    return walkTables(this.read, this.control, va);
  }

  /**
   * Does an access, if it is one that can be compared and leaves the guest alive.
   *
   * @param {Access} wanted
   * @returns {boolean} whether it is
   */
  attempt(wanted) {
    const { read, control } = this;
    const prediction = predict(read, control, wanted);
    const inQemu = predict(read, control, wanted, qemuBreaks);
    if (inQemu.broken.length === 0) {
      if (!this.isComparable(wanted, prediction) || !this.isComparableAsRead(wanted)) return false;
      this.note(wanted, prediction, inQemu);
      this.add(wanted, prediction);
      return true;
    }
    // Writes that QEMU does against the manual must not show.
    const access = inQemu.fault === undefined ? this.harmless(wanted, inQemu) : wanted;
    if (!this.isComparable(access, prediction) || !this.isComparable(access, inQemu)) return false;
    if (!this.isComparableAsRead(access)) return false;
    if (touchesOwnEntries(inQemu)) return false;
    if (access !== wanted && !inQemu.portions.every(({ walk }) => LAYOUT.isPageByte(Number(walk.address))))
      return false;
    this.note(access, prediction, inQemu);
    if (isSameFault(prediction, inQemu)) {
      this.add(access, prediction);
      return true;
    }
    const value =
      inQemu.fault === undefined ? this.memory.transfer({ ...access, kind: 'read' }, inQemu.portions) : 0n;
    const names = [...new Set(inQemu.broken)].map((rule) => deviationName(rule, control));
    this.add(access, prediction, { names, prediction: inQemu, value });
    return true;
  }

  /**
   * A write that leaves memory as it is.
   *
   * @param {Access} access
   * @param {Prediction} prediction
   * @returns {Access}
   */
  harmless(access, { portions }) {
    if (access.kind === 'amo') return { ...access, amo: 'or', value: 0n };
    if (access.kind !== 'write') return access;
    return { ...access, value: this.memory.transfer({ ...access, kind: 'read' }, portions) };
  }

  /**
   * @param {import('./operations.mjs').Operation} operation
   * @param {Prediction} [prediction]
   * @param {Deviating} [deviating]
   */
  add(operation, prediction, deviating) {
    this.operations.push(operation);
    this.predictions.push(prediction);
    this.deviating.push(deviating);
  }

  /**
   * A store to a table, by the guest's own code.
   *
   * @param {bigint} address - physical; of an entry
   * @param {4 | 8} bytes
   * @param {bigint} value
   */
  store(address, bytes, value) {
    this.add({ kind: 'store', address, bytes, value });
    this.write(address, bytes, value);
  }

  /**
   * @param {import('./control.mjs').RegisterName} name
   * @param {bigint} value
   */
  setRegister(name, value) {
    this.add({ kind: 'register', name, value });
    this.control[name] = value;
  }

  /**
   * Whether what an AMO does first in QEMU is comparable.
   *
   * @param {Access} access
   */
  isComparableAsRead(access) {
    if (access.kind !== 'amo') return true;
    const read = /** @type {const} */ ({ ...access, kind: 'read' });
    return this.isComparable(read, predict(this.read, this.control, read, qemuBreaks));
  }

  /**
   * @param {Access} access
   * @param {Prediction} prediction
   */
  isComparable(access, { fault, portions }) {
    for (const { walk } of portions) {
      if (!walk.entries.every(({ address }) => this.isArenaByte(Number(address)))) return false; // below 2^56
    }
    // QEMU takes a page that it fetched from for one that is read, whatever MPRV says.
    if (access.modified && portions.some(({ va }) => isImage(va))) return false;
    const isAligned = access.address % BigInt(access.bytes) === 0n;
    if (access.kind === 'amo' && !isAligned) return false;
    if (!isOneGroup(portions)) return false;
    // Which part of an access fails first is left open, and so is what alignment memory that is not there asks for.
    if (portions.some(({ walk }) => this.isMissing(walk))) return isAligned;
    // A page before the one that faults may be read already.
    const touched = fault === undefined ? portions : portions.slice(0, -1);
    return touched.every((portion) => this.mayTouch(access, portion));
  }

  /**
   * Whether a walk or its page is where no memory is.
   *
   * @param {Walk} walk
   */
  isMissing({ end, address }) {
    return end === 'access' || (end === 'leaf' && isNowhere(address, this.control.machine.xlen));
  }

  /**
   * Whether the bytes of an allowed access are the guest's to touch, and known.
   *
   * @param {Access} access
   * @param {Portion} portion
   */
  mayTouch({ kind }, { walk, bytes }) {
    const writes = kind === 'write' || kind === 'amo';
    for (let i = 0; i < bytes; i++) {
      const address = Number(walk.address) + i; // below 2^57
      const inArena = this.isArenaByte(address);
      if (!inArena && !LAYOUT.isPageByte(address)) return false;
      if (writes && inArena && (!this.editsTables || this.isGuarded(address))) return false;
      if (kind !== 'write' && this.loose.has(address)) return false;
    }
    return kind !== 'fetch' || (this.memory.read(walk.address, 4) & BigInt(TRAP_MASK)) === BigInt(TRAP);
  }

  /** @param {number} address - of a byte */
  isArenaByte(address) {
    return address >= LAYOUT.arena && address < this.arenaEnd;
  }

  /** @param {number} address - of a byte */
  isGuarded(address) {
    return this.tables.guarded.has(address - (address % 4));
  }

  /**
   * @param {Access} access
   * @param {Prediction} prediction
   * @param {Prediction} inQemu
   */
  note(access, prediction, inQemu) {
    const { fault, portions } = prediction;
    for (const { update } of portions) {
      if (update === undefined) continue;
      const bits = update.after & ~update.before;
      // The manual leaves open what an access changes that does not come to its end.
      if (fault !== undefined)
        this.loose.free(update.address, Number(bits)); // 8 bits
      else this.set(update.address, bits);
    }
    for (const { address, bits, name } of this.extraUpdates(access, prediction, inQemu)) {
      if (name === undefined) this.loose.free(address, bits);
      else this.loose.deviate(address, name, bits);
    }
    if (fault !== undefined || (access.kind !== 'write' && access.kind !== 'amo')) return;
    const old = this.memory.transfer({ ...access, kind: 'read' }, portions);
    let value = access.kind === 'amo' ? amoResult(access, old) : access.value;
    for (const { walk, bytes } of portions) {
      this.write(walk.address, bytes, BigInt.asUintN(bytes * 8, value));
      value >>= BigInt(bytes * 8);
    }
  }

  /**
   * A and D that QEMU sets where the manual does not: by a deviation, or because it reads first what an AMO may not write.
   *
   * @param {Access} access
   * @param {Prediction} prediction
   * @param {Prediction} inQemu
   */
  *extraUpdates(access, prediction, inQemu) {
    const known = new Set(
      prediction.portions.flatMap(({ update }) => (update === undefined ? [] : [update.address])),
    );
    const isRefusedAmo = access.kind === 'amo' && inQemu.fault !== undefined;
    const first = isRefusedAmo
      ? predict(this.read, this.control, { ...access, kind: 'read' }, qemuBreaks)
      : inQemu;
    for (const { update, walk } of first.portions) {
      if (update === undefined || known.has(update.address)) continue;
      const bits = Number(update.after & ~update.before); // 8 bits
      const rule = [...walk.broken, ...inQemu.broken].find((each) => each !== 'address above 32 bits');
      const name = rule === undefined ? undefined : deviationName(rule, this.control);
      if (name !== undefined || setsAccessedAndDirty(this.control))
        yield { address: update.address, bits, name };
    }
  }

  /**
   * Hardware sets bits of an entry.
   *
   * @param {bigint} address
   * @param {bigint} bits
   */
  set(address, bits) {
    // Two pages of one access may use the same entry.
    this.memory.write(address, 1, this.memory.read(address, 1) | bits);
    this.loose.settle(address, Number(bits)); // 8 bits
  }

  /**
   * @param {bigint} address - physical
   * @param {number} bytes
   * @param {bigint} value
   */
  write(address, bytes, value) {
    this.memory.write(address, bytes, value);
    for (let i = 0; i < bytes; i++) {
      const at = Number(address) + i; // below 2^57
      this.loose.write(at);
      if (LAYOUT.isPageByte(at)) this.written.add(at - (at % 8));
    }
  }
}

/** @param {Prediction} one @param {Prediction} other */
function isSameFault({ fault: one }, { fault: other }) {
  return one !== undefined && other !== undefined && one.cause === other.cause && one.tval === other.tval;
}

/**
 * Whether an access to a table is to the very entry that it changes.
 *
 * @param {Prediction} prediction
 */
function touchesOwnEntries({ portions }) {
  return portions.some(
    ({ update }) =>
      update !== undefined &&
      portions.some(
        ({ walk, bytes }) =>
          walk.address < update.address + 8n && walk.address + BigInt(bytes) > update.address,
      ),
  );
}

/** @param {bigint} va */
function isImage(va) {
  return va >= BigInt(IMAGE) && va < BigInt(IMAGE + IMAGE_BYTES);
}

/**
 * Not so: pages of one group whose entries disagree, or are updated. Which of the entries counts is left open.
 *
 * @param {readonly Portion[]} portions
 */
function isOneGroup(portions) {
  if (portions.length < 2 || !portions.some(({ walk }) => walk.group)) return true;
  const [first, ...others] = portions.map(({ walk }) => walk.entries.at(-1)?.value);
  return others.every((each) => each === first) && portions.every(({ update }) => update === undefined);
}
