// Cases that keep the TLB: edits of table entries, invalidations and register writes between the accesses.
//
// Every edit is followed by the invalidation that the manual requires, or by none where it requires none. So every TLB that
// conforms gives the same outcomes, whether it forgets much or little. All accesses are in a few pages; of any other
// linear address nothing needs to be known.
//
// See Intel SDM vol. 3A (order 253668), section "Invalidation of TLBs and Paging-Structure Caches".

import { hotPage, makeCanonical, randomControl, randomCr3Flags, randomKeyRights } from './accesses.mjs';
import {
  CR0_WP,
  CR4_LA57,
  CR4_PAE,
  CR4_PGE,
  CR4_PKE,
  CR4_PKS,
  CR4_PSE,
  CR4_SMAP,
  CR4_SMEP,
  EFER_NXE,
  entryBytes,
  isLong,
  PHYS_BITS,
} from './control.mjs';
import { LAYOUT } from './layout.mjs';
import { LEVELS } from './reference.mjs';
import { Stage } from './stage.mjs';
import { OWN_KEY, randomTables } from './tables.mjs';

/** @typedef {import('../random.mjs').Random} Random */
/** @typedef {import('./control.mjs').Mode} Mode */
/** @typedef {import('./control.mjs').Processor} Processor */
/** @typedef {import('./operations.mjs').Access} Access */
/** @typedef {import('./operations.mjs').Case} Case */
/** @typedef {import('./operations.mjs').Operation} Operation */
/** @typedef {import('./operations.mjs').Refusal} Refusal */
/** @typedef {import('./reference.mjs').Prediction} Prediction */
/** @typedef {import('./reference.mjs').Walk} Walk */

const ACCESSES = 48;
const STEPS = 1000;
const MAX_PAGES = 5;

/** Operations that one step may add. */
const LONGEST_STEP = 12;
const MAX_OPERATIONS = 220;

const PRESENT = 1n;
const PAGE_SIZE = 1n << 7n;
const ACCESSED_AND_DIRTY = 0x60n;

/** Makes one case. */
export class Sequence {
  /** @type {Operation[]} */
  operations = [];
  /** @type {(Prediction | undefined)[]} */
  predictions = [];
  /** @type {Map<number, Refusal>} */
  refusals = new Map();
  accesses = 0;

  /**
   * @param {Random} random
   * @param {Mode} mode
   * @param {Processor} processor
   * @param {{ cr4: bigint, cr3: bigint }} [extra] - bits to set at the beginning; of CR3 in place of random ones
   */
  constructor(random, mode, processor, extra) {
    this.random = random;
    this.mode = mode;
    this.processor = processor;
    this.control = randomControl(random, mode, processor);
    this.tables = randomTables(random, mode, this.control, 2);
    this.control.cr3 = this.tables.roots[0] | (extra?.cr3 ?? randomCr3Flags(random, mode));
    this.control.cr4 |= extra?.cr4 ?? 0n;
    this.words = new Map(this.tables.memory.words);
    this.stage = new Stage(mode, { ...this.control }, this.tables, { editsTables: false });
    this.pages = this.choosePages();
  }

  /**
   * @param {number} number
   * @returns {Case}
   */
  make(number) {
    for (let i = 0; i < STEPS && this.hasRoom(); i++) this.step();
    if (this.mode === 'PAE' && this.random.chance(0.3)) this.loadReservedPdpte();
    const { mode, control, words, operations, predictions, refusals, stage } = this;
    const written = [...stage.written];
    return {
      number,
      mode,
      control,
      words,
      operations,
      predictions,
      refusals,
      written,
      loose: stage.loose.at,
    };
  }

  hasRoom() {
    return this.accesses < ACCESSES && this.operations.length < MAX_OPERATIONS - LONGEST_STEP;
  }

  step() {
    const choice = this.random.below(100);
    if (choice < 60) this.access();
    else if (choice < 82) this.edit();
    else if (choice < 92) this.changeRegister();
    else if (choice < 95) this.switchRoot();
    else this.invalidateNeedlessly();
  }

  /** Pages for the accesses, most of which translate, and some of which share entries. */
  choosePages() {
    const { random, mode, tables } = this;
    /** @type {Set<bigint>} */
    const pages = new Set();
    for (let i = 0; i < 200 && pages.size < MAX_PAGES; i++) {
      let page = hotPage(random, mode, tables.hot);
      if (pages.size > 0 && random.chance(0.5)) page = this.neighbour(random.pick([...pages]));
      if (!this.isUsable(page)) continue;
      if (this.stage.walk(page).end === 'leaf' || random.chance(0.1)) pages.add(page);
    }
    return [...pages];
  }

  /**
   * A page that differs in the index of one level.
   *
   * @param {bigint} page
   */
  neighbour(page) {
    const { random, mode, tables } = this;
    const depth = random.below(LEVELS[mode].length);
    const { shift, indexBits } = LEVELS[mode][depth];
    const mask = ((1n << indexBits) - 1n) << shift;
    return makeCanonical(mode, (page & ~mask) | (BigInt(random.pick(tables.hot[depth])) << shift));
  }

  /** @param {bigint} page */
  isUsable(page) {
    return !this.stage.touchesWindow({ address: page, bytes: 4096 });
  }

  /**
   * @param {Operation} operation
   * @param {Prediction} [prediction]
   */
  add(operation, prediction) {
    this.operations.push(operation);
    this.predictions.push(prediction);
  }

  access() {
    const { random } = this;
    if (this.pages.length === 0) return;
    const kind = random.pick(/** @type {const} */ (['read', 'read', 'write', 'write', 'fetch']));
    const bytes = kind === 'fetch' ? 1 : random.pick(/** @type {const} */ ([1, 2, 4, 8]));
    const offset = kind === 'fetch' ? random.below(256) * 16 + random.below(4) : random.below(4097 - bytes);
    /** @type {Access} */
    const access = {
      kind,
      address: random.pick(this.pages) + BigInt(offset),
      bytes,
      user: random.chance(0.5),
      ac: random.chance(0.3),
      stack: false,
      flush: false,
      value: kind === 'write' ? random.bits(bytes * 8) : 0n,
    };
    const prediction = this.stage.attempt(access);
    if (prediction === undefined) return;
    this.accesses++;
    this.add(access, prediction);
  }

  // --- Edits ------------------------------------------------------------------------------------

  edit() {
    const { random, stage, mode } = this;
    if (this.pages.length === 0) return;
    const { entries } = stage.walk(random.pick(this.pages));
    const depth = random.chance(0.6) ? entries.length - 1 : random.below(entries.length);
    const { address, value, level } = entries[depth];
    const size = entryBytes(mode);
    const isPdpte = mode === 'PAE' && depth === 0;
    if (!LAYOUT.isArenaByte(Number(address)) || stage.isGuarded(Number(address))) return; // below 2^40
    if (!isPdpte && stage.overlapsPdptes(address, size)) return;
    const next = BigInt.asUintN(size * 8, this.changed(value, depth, isPdpte));
    if (next === value) return;

    const before = this.walks();
    this.store(address, size, next);
    if (isPdpte) {
      this.loadCr3(stage.control.cr3);
      this.invalidateGlobal(before.filter(({ walk }) => uses(walk, address)));
      return;
    }
    const setsOnly = (value & PRESENT) !== 0n && next === (value | (next & ACCESSED_AND_DIRTY));
    // Bit 6 of an entry that names a table is ignored, and so is a change of it.
    if (setsOnly && level !== undefined) return;
    this.invalidate(before.filter(({ walk }) => mayBeCached(walk, address)));
  }

  /**
   * @param {bigint} address - of an entry
   * @param {4 | 8} size
   * @param {bigint} value
   */
  store(address, size, value) {
    this.add({ kind: 'store', address, bytes: size, value });
    this.stage.write(address, size, value);
  }

  /**
   * Another value for an entry.
   *
   * @param {bigint} value
   * @param {number} depth
   * @param {boolean} isPdpte - of PAE paging: without rights, and never with reserved bits
   */
  changed(value, depth, isPdpte) {
    const { random, mode, tables } = this;
    const choice = random.below(100);
    if (isPdpte) return random.chance(0.3) ? value & ~PRESENT : tables.randomEntry(depth);
    if (choice < 18) return value ^ PRESENT;
    if (choice < 34) return tables.randomEntry(depth);
    if (choice < 44) return value & ~(ACCESSED_AND_DIRTY & (random.bits(2) << 5n));
    if (choice < 52) return value | ACCESSED_AND_DIRTY;
    if (choice < 60) {
      // The same rights, elsewhere.
      const other = tables.randomEntry(depth);
      const address = ((1n << BigInt(PHYS_BITS)) - 1n) & ~0xfffn;
      return (value & ~address) | (other & address);
    }
    if (choice < 64) return value ^ PAGE_SIZE;
    const bits = [1, 1, 1, 2, 2, 2, 3, 4, 8, 8, 9, 12, ...(mode === '32-bit' ? [21] : [63, 63, 13, 40])];
    if (isLong(mode)) bits.push(59, 60, 61, 62);
    let next = value;
    do next ^= 1n << BigInt(random.pick(bits));
    while (random.chance(0.3));
    return next;
  }

  /** How each page is translated now. */
  walks() {
    return this.pages.map((page) => ({ page, walk: this.stage.walk(page) }));
  }

  /**
   * Drops what is cached of some pages, in one of the ways that suffice.
   *
   * @param {readonly { page: bigint, walk: Walk }[]} stale - with the walks from before the edit
   */
  invalidate(stale) {
    const { random } = this;
    if (stale.length === 0) return;
    const translated = stale.filter(({ walk }) => walk.end === 'leaf');
    const choice = random.below(100);
    if (choice < 55) {
      for (const { page } of translated) this.invlpg(this.inPageOf(page));
      // Any INVLPG empties the paging-structure caches.
      if (translated.length === 0) this.invlpg(this.anyAddress());
    } else if (choice < 80) {
      this.loadCr3(this.stage.control.cr3);
      this.invalidateGlobal(stale);
    } else this.setRegister('cr4', this.stage.control.cr4 ^ CR4_PGE);
  }

  /**
   * MOV to CR3 leaves global translations alone.
   *
   * @param {readonly { page: bigint, walk: Walk }[]} stale
   */
  invalidateGlobal(stale) {
    if ((this.stage.control.cr4 & CR4_PGE) === 0n) return;
    for (const { page, walk } of stale) {
      if (walk.end === 'leaf' && walk.global) this.invlpg(this.inPageOf(page));
    }
  }

  /** @param {bigint} page */
  inPageOf(page) {
    return page + BigInt(this.random.below(4096));
  }

  anyAddress() {
    const { random, mode } = this;
    return makeCanonical(mode, random.bits(64));
  }

  /** @param {bigint} address */
  invlpg(address) {
    this.add({ kind: 'invlpg', address });
  }

  /** Drops everything, global or not. */
  invalidateAll() {
    if ((this.stage.control.cr4 & CR4_PGE) !== 0n || this.random.chance(0.5)) {
      this.setRegister('cr4', this.stage.control.cr4 ^ CR4_PGE);
    } else this.loadCr3(this.stage.control.cr3);
  }

  invalidateNeedlessly() {
    const { random, mode } = this;
    const choice = random.below(4);
    if (choice === 0) this.loadCr3(this.stage.control.cr3);
    else if (choice === 1) this.setRegister('cr4', this.stage.control.cr4 ^ CR4_PGE);
    else if (choice === 2 && this.pages.length > 0) this.invlpg(this.inPageOf(random.pick(this.pages)));
    else this.invlpg(random.bits(isLong(mode) ? 64 : 32));
  }

  // --- Registers --------------------------------------------------------------------------------

  /**
   * @param {'cr0' | 'cr3' | 'cr4' | 'pkru' | 'pkrs' | 'efer'} kind
   * @param {bigint} value
   */
  setRegister(kind, value) {
    this.add({ kind, value });
    this.stage.control = { ...this.stage.control, [kind]: value };
  }

  /** @param {bigint} value */
  loadCr3(value) {
    this.setRegister('cr3', value);
  }

  /** A change that takes effect at once, or one with its invalidation. */
  changeRegister() {
    const { random, mode } = this;
    const { cr0, cr4, efer } = this.stage.control;
    switch (random.below(isLong(mode) ? 9 : 5)) {
      case 0:
        return this.setRegister('cr0', cr0 ^ CR0_WP);
      case 1:
        return this.setRegister('cr4', cr4 ^ CR4_SMEP);
      case 2:
        return this.setRegister('cr4', cr4 ^ CR4_SMAP);
      case 3:
        this.setRegister('efer', efer ^ EFER_NXE);
        return this.invalidateAll();
      case 4:
        this.setRegister('cr4', cr4 ^ CR4_PSE);
        return mode === '32-bit' ? this.invalidateAll() : undefined;
      case 5:
        if ((cr4 & CR4_PKE) !== 0n) this.setRegister('pkru', randomKeyRights(random));
        return undefined;
      case 6:
        if ((cr4 & CR4_PKS) === 0n) return undefined;
        return this.setRegister('pkrs', randomKeyRights(random) & ~(3n << BigInt(2 * OWN_KEY)));
      case 7:
        return this.toggleKeys();
      default:
        return this.refusedRegister();
    }
  }

  /** Rights in QEMU's TLB have the keys in them, and it does not drop them here. */
  toggleKeys() {
    const { random, processor } = this;
    const { cr4 } = this.stage.control;
    if (processor.pku && (!processor.pks || random.chance(0.5))) this.setRegister('cr4', cr4 ^ CR4_PKE);
    else if (processor.pks) this.setRegister('cr4', cr4 ^ CR4_PKS);
    this.invalidateAll();
  }

  /** Another root: what was global in the old one may stay. */
  switchRoot() {
    const { random, mode, tables } = this;
    const before = this.walks();
    this.loadCr3(random.pick(tables.roots) | randomCr3Flags(random, mode));
    this.invalidateGlobal(before);
  }

  /** Long modes: what gives #GP(0) and changes nothing. */
  refusedRegister() {
    const { random, processor } = this;
    const { cr3, cr4 } = this.stage.control;
    this.refusals.set(this.operations.length, 'reserved bit');
    const choice = random.below(processor.refusesReservedBits ? 3 : 1);
    if (choice === 0) return this.add({ kind: 'cr4', value: cr4 ^ CR4_LA57 });
    if (choice === 1) return this.add({ kind: 'cr4', value: cr4 ^ CR4_PAE });
    // Bit 63 has a meaning with PCIDs.
    return this.add({ kind: 'cr3', value: cr3 | (1n << BigInt(PHYS_BITS + random.below(63 - PHYS_BITS))) });
  }

  /** PAE, and the last of a case: a load of registers that is refused. */
  loadReservedPdpte() {
    const { random, stage, tables } = this;
    const root = random.pick(tables.roots);
    const index = 1 + random.below(3); // the guest itself is below the first GiB
    const address = root + BigInt(index * 8);
    const reserved = [1, 2, 5, 6, 7, 8, 63, PHYS_BITS + random.below(63 - PHYS_BITS)];
    const value = stage.memory.read(address, 8) | PRESENT | (1n << BigInt(random.pick(reserved)));
    this.store(address, 8, value);
    this.refusals.set(this.operations.length, 'reserved bit in a PDPTE');
    this.add({ kind: 'cr3', value: root });
  }
}

/**
 * @param {Walk} walk
 * @param {bigint} address - of an entry
 */
function uses(walk, address) {
  return walk.entries.some((entry) => entry.address === address);
}

/**
 * Whether something made from an entry may be cached for a walk: not if the entry is what ended it.
 *
 * @param {Walk} walk
 * @param {bigint} address - of the entry
 */
export function mayBeCached(walk, address) {
  const passed = walk.end === 'leaf' ? walk.entries : walk.entries.slice(0, -1);
  return passed.some((entry) => entry.address === address);
}
