// Sequences with CR4.PCIDE set: what is cached of several address spaces at once.
//
// What may be cached of the address space in use is always right, as in other sequences. Of each other one it is known of
// which pages something old may be cached; these are invalidated before the address space comes back without a flush.
//
// See Intel SDM vol. 3A (order 253668), sections "Process-Context Identifiers (PCIDs)" and "Operations that Invalidate TLBs
// and Paging-Structure Caches", and vol. 2A, "INVPCID".

import { mayBeCached } from '../cacheable.mjs';
import { CR4_PCIDE, CR4_PGE } from './control.mjs';
import { walkTables } from './reference.mjs';
import { Sequence } from './sequences.mjs';

/** @typedef {import('../random.mjs').Random} Random */
/** @typedef {import('./control.mjs').Mode} Mode */
/** @typedef {import('./control.mjs').Processor} Processor */
/** @typedef {import('./reference.mjs').Walk} Walk */

/** @typedef {{ root: bigint, stale: Set<bigint> }} Space */

const KEEP = 1n << 63n;
const PCID_BITS = 0xfffn;

/** INVPCID types. */
const ADDRESS = 0;
const CONTEXT = 1;
const EVERYTHING = 2;
const ALL_CONTEXTS = 3;

export class PcidSequence extends Sequence {
  /**
   * What may be cached, by PCID.
   *
   * @type {Map<bigint, Space>}
   */
  spaces = new Map();

  /**
   * @param {Random} random
   * @param {Mode} mode
   * @param {Processor} processor
   */
  constructor(random, mode, processor) {
    const others = [0n, PCID_BITS, random.bits(12)];
    super(random, mode, processor, { cr4: CR4_PCIDE, cr3: random.pick(others) });
    this.pcids = others;
    this.enter();
  }

  get pcid() {
    return this.stage.control.cr3 & PCID_BITS;
  }

  get root() {
    return this.stage.control.cr3 & ~PCID_BITS;
  }

  /** Nothing old is cached of the address space in use. */
  enter() {
    this.spaces.set(this.pcid, { root: this.root, stale: new Set() });
  }

  /** @returns {[bigint, Space][]} */
  otherSpaces() {
    return [...this.spaces].filter(([pcid]) => pcid !== this.pcid);
  }

  /** @override */
  step() {
    const choice = this.random.below(100);
    if (choice < 6) this.togglePcide();
    else if (choice < 10) this.invpcidNeedlessly();
    else if (choice < 22) this.switchRoot();
    else super.step();
  }

  // --- Edits ------------------------------------------------------------------------------------

  /**
   * @override
   * @param {bigint} address
   * @param {4 | 8} size
   * @param {bigint} value
   */
  store(address, size, value) {
    for (const [, { root, stale }] of this.otherSpaces()) {
      for (const page of this.pages) {
        const walk = walkTables(this.stage.read, this.mode, { ...this.stage.control, cr3: root }, page);
        if (mayBeCached(walk, address)) stale.add(page);
      }
    }
    super.store(address, size, value);
  }

  /**
   * @override
   * @param {readonly { page: bigint, walk: Walk }[]} stale
   */
  invalidate(stale) {
    const choice = this.random.below(100);
    if (stale.length === 0 || choice < 50) return super.invalidate(stale);
    if (choice < 70) for (const { page } of stale) this.invpcid(ADDRESS, this.pcid, this.inPageOf(page));
    else if (choice < 85) this.invpcid(CONTEXT, this.pcid, this.anyAddress());
    else if (choice < 93) this.invpcid(ALL_CONTEXTS, 0n, this.anyAddress());
    else return this.invpcid(EVERYTHING, 0n, this.anyAddress());
    return this.invalidateGlobal(stale);
  }

  /** @override */
  invalidateAll() {
    if (this.random.chance(0.5)) this.invpcid(EVERYTHING, 0n, 0n);
    else this.setRegister('cr4', this.stage.control.cr4 ^ CR4_PGE);
  }

  /**
   * @param {number} type
   * @param {bigint} pcid
   * @param {bigint} address
   */
  invpcid(type, pcid, address) {
    this.add({ kind: 'invpcid', type, pcid: Number(pcid), address }); // 12 bits
    if (type === ADDRESS) this.spaces.get(pcid)?.stale.delete(address - (address % 4096n));
    else if (type === CONTEXT) this.spaces.get(pcid)?.stale.clear();
    else this.forgetStale();
  }

  forgetStale() {
    for (const { stale } of this.spaces.values()) stale.clear();
  }

  invpcidNeedlessly() {
    const { random } = this;
    const pcid = random.pick(this.pcids);
    if (random.chance(0.2)) {
      this.refusals.set(this.operations.length, 'operand');
      const [type, address] = random.chance(0.5) ? [ADDRESS, 1n << 62n] : [4 + random.below(4), 0n];
      this.add({ kind: 'invpcid', type, pcid: Number(pcid), address }); // 12 bits
    } else if (random.chance(0.5) && this.pages.length > 0) {
      this.invpcid(ADDRESS, pcid, this.inPageOf(random.pick(this.pages)));
    } else this.invpcid(CONTEXT + random.below(3), pcid, random.bits(64));
  }

  // --- Registers --------------------------------------------------------------------------------

  /**
   * @override
   * @param {'cr0' | 'cr3' | 'cr4' | 'pkru' | 'pkrs' | 'efer'} kind
   * @param {bigint} value
   */
  setRegister(kind, value) {
    const changed = kind === 'cr4' ? value ^ this.stage.control.cr4 : 0n;
    super.setRegister(kind, value);
    if ((changed & CR4_PGE) !== 0n) this.forgetStale();
  }

  /**
   * @override
   * @param {bigint} value
   */
  loadCr3(value) {
    super.loadCr3(value);
    this.stage.control = { ...this.stage.control, cr3: value & ~KEEP };
    if ((value & KEEP) === 0n) this.enter();
  }

  /** @override */
  switchRoot() {
    const { random, tables } = this;
    const before = this.walks();
    const oldRoot = this.root;
    const pcid = random.pick(this.pcids);
    const space = this.spaces.get(pcid);
    if (space !== undefined && random.chance(0.7)) {
      this.invalidateStale(pcid, space);
      this.loadCr3(space.root | pcid | KEEP);
    } else this.loadCr3(random.pick(tables.roots) | pcid);
    // A global translation is good for every PCID, so also where the tables are others.
    if (this.root !== oldRoot) this.invalidateGlobal(before);
  }

  /**
   * Before an address space comes back with what is cached of it.
   *
   * @param {bigint} pcid
   * @param {Space} space
   */
  invalidateStale(pcid, { stale }) {
    const { random } = this;
    if (stale.size === 0) return;
    if (random.chance(0.6)) {
      for (const page of [...stale]) this.invpcid(ADDRESS, pcid, this.inPageOf(page));
    } else this.invpcid(random.pick([CONTEXT, ALL_CONTEXTS]), pcid, 0n);
  }

  /** For a while all is of PCID 0. */
  togglePcide() {
    const { random } = this;
    const { cr4 } = this.stage.control;
    this.setRegister('cr4', cr4 & ~CR4_PCIDE);
    this.spaces.clear();
    if (this.pcid !== 0n && random.chance(0.5)) {
      this.refusals.set(this.operations.length, 'CR3 at CR4.PCIDE');
      this.add({ kind: 'cr4', value: cr4 });
    }
    this.loadCr3(this.root);
    for (let i = random.below(4); i > 0; i--) this.access();
    this.setRegister('cr4', cr4);
    this.enter();
  }
}
