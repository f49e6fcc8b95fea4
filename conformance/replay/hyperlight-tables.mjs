// Operations on page tables as a user of tablewalk/hyperlight-vmem would write them, on the memory of a recorded file.

import { hex, MalformedFile } from './values.mjs';

const TABLE_BYTES = 4096n;

/**
 * State beside memory.
 *
 * @typedef {object} State
 * @property {import('./allocator.mjs').RecordedAllocator} allocator
 * @property {bigint} root
 * @property {bigint} frozenBelow - tables below this address move when they are written to
 */

/** Thrown where a call is to end. */
export class Stopped extends Error {}

/** Operations on tables as the files were recorded with: an address is a physical address, and each call is counted. */
export class RecordedTables {
  reads = 0;
  writes = 0;
  /** @type {bigint[]} */
  alloc = [];
  /** @type {[bigint, bigint][]} */
  moved = [];
  /** @type {bigint[]} */
  roots = [];
  #memory;
  #maxWrites;

  /**
   * @param {'MayMoveTable' | 'MayNotMoveTable'} tableMovability
   * @param {import('./memory.mjs').WordMemory} memory
   * @param {State} state
   * @param {number} [maxWrites] - the next write is refused with {@link Stopped}
   */
  constructor(tableMovability, memory, state, maxWrites = Infinity) {
    this.tableMovability = tableMovability;
    this.#memory = memory;
    this.state = state;
    this.#maxWrites = maxWrites;
  }

  /**
   * @param {bigint} address
   * @param {bigint} offset - bytes
   */
  entryAddr(address, offset) {
    return address + offset;
  }

  /** @param {bigint} address */
  toPhys(address) {
    return address;
  }

  /** @param {bigint} phys */
  fromPhys(phys) {
    return phys;
  }

  rootTable() {
    return this.state.root;
  }

  /** @param {bigint} address */
  readEntry(address) {
    this.reads += 1;
    return this.#memory.read(address) ?? 0n;
  }

  allocTable() {
    const table = this.#take();
    this.alloc.push(table);
    return table;
  }

  /**
   * A table that is frozen is copied for each entry that is written to it: nobody remembers where it went before.
   *
   * @param {bigint} address
   * @param {bigint} value
   * @returns {any} the base of the copy
   */
  writeEntry(address, value) {
    if (this.writes >= this.#maxWrites) throw new Stopped();
    this.writes += 1;
    const offset = address % TABLE_BYTES;
    const table = address - offset;
    if (this.tableMovability === 'MayNotMoveTable' || table >= this.state.frozenBelow) {
      this.#memory.write({ address, value });
      return undefined;
    }
    const copy = this.#take(table);
    this.#memory.write({ address: copy + offset, value });
    this.moved.push([table, copy]);
    return copy;
  }

  /** @param {bigint} table */
  updateRoot(table) {
    this.roots.push(table);
    this.state.root = table;
  }

  outcomes() {
    return {
      alloc: this.alloc.map(hex),
      moved: this.moved.map((pair) => pair.map(hex)),
      updateRoot: this.roots.map(hex),
    };
  }

  /**
   * A table that is a copy of another one, or zeros.
   *
   * @param {bigint} [from]
   */
  #take(from) {
    const table = this.state.allocator.take();
    if (table === undefined) throw new MalformedFile('allocator: no frame is left for a table');
    this.#memory.fill(table, from);
    return table;
  }
}
