// Cases that keep the TLB: edits of table entries, invalidations and register writes between the accesses.
//
// Every edit is followed by the invalidation that the manual requires, or by none where it requires none, and entries are
// broken before they are made where that is required. So every TLB that conforms gives the same outcomes, whether it forgets
// much or little. All accesses are in a few pages; of any other virtual address nothing needs to be known.
//
// See Arm Architecture Reference Manual (DDI 0487, issue L), chapter D8, sections "Translation Lookaside Buffers", "Using
// break-before-make when updating translation table entries", and "TLB maintenance instructions".

import { mayBeCached, uses as usesEntry } from '../cacheable.mjs';
import { inPage, randomOffset } from '../offsets.mjs';
import { hotPage, randomControl, randomManner } from './accesses.mjs';
import { halfOf, isSizeValid, isUpper, levelShift, SCTLR_WXN, TCR_A1, TCR_AS, TCR_BITS } from './control.mjs';
import { LAYOUT } from './layout.mjs';
import {
  ACCESSED,
  DIRTY_MODIFIER,
  NON_GLOBAL,
  PXN,
  READ_ONLY,
  TABLE,
  USER,
  UXN,
  VALID,
  walkTables,
} from './reference.mjs';
import { INVALIDATION_NAMES } from './script.mjs';
import { Stage } from './stage.mjs';
import { randomTables } from './tables.mjs';

/** @typedef {import('../random.mjs').Random} Random */
/** @typedef {import('./control.mjs').Control} Control */
/** @typedef {import('./operations.mjs').Case} Case */
/** @typedef {import('./operations.mjs').Operation} Operation */
/** @typedef {import('./reference.mjs').Prediction} Prediction */
/** @typedef {import('./reference.mjs').Walk} Walk */

/**
 * What one ASID stands for: the root that is in the TTBR with it.
 *
 * @typedef {{ asid: bigint, root: bigint }} Context
 */

/**
 * A page as one of the contexts has it.
 *
 * @typedef {{ page: bigint, context: Context, walk: Walk }} Seen
 */

const ACCESSES = 30;
const STEPS = 400;
const MAX_PAGES = 4;
const MAX_OPERATIONS = 140;

/** In leaves: what may change in place, without break-before-make. */
const RIGHTS = [USER, READ_ONLY, READ_ONLY, PXN, UXN, DIRTY_MODIFIER];

/** Ignored, or of software. */
const HARMLESS = 15n << 55n;

/** Makes one case. */
export class Sequence {
  accesses = 0;

  /**
   * @param {Random} random
   * @param {'TTBR0' | 'TTBR1'} mode
   */
  constructor(random, mode) {
    this.random = random;
    this.mode = mode;
    const home = mode === 'TTBR1';
    this.control = randomControl(random, home ? 'upper' : 'lower');
    if (random.chance(0.5)) this.control.tcr = withBit(this.control.tcr, TCR_A1, home);
    this.tables = randomTables(random, this.control, home ? 'upper' : 'lower', { cached: true });
    this.asidBits = (this.control.tcr & TCR_AS) === 0n ? 8 : 16;
    this.switched =
      (this.control.tcr & TCR_A1) === 0n ? /** @type {const} */ ('ttbr0') : /** @type {const} */ ('ttbr1');
    this.contexts = this.makeContexts();
    this.context = this.contexts[0];
    this.control[this.switched] = this.registerOf(this.context);
    this.stage = new Stage(this.control, this.tables, { editsTables: false });
    this.pages = this.choosePages();
  }

  /**
   * @param {number} number
   * @returns {Case}
   */
  make(number) {
    const { stage } = this;
    for (let i = 0; i < STEPS && this.accesses < ACCESSES && stage.operations.length < MAX_OPERATIONS; i++)
      this.step();
    return stage.finish(number, this.mode);
  }

  step() {
    const choice = this.random.below(100);
    if (choice < 60) this.access();
    else if (choice < 80) this.edit();
    else if (choice < 87) this.changeRegister();
    else if (choice < 94) this.switchContext();
    else this.invalidateNeedlessly();
  }

  // --- Address spaces ---------------------------------------------------------------------------

  /**
   * Contexts that share all tables but the root. Their ASIDs differ.
   *
   * @returns {[Context, Context]}
   */
  makeContexts() {
    const { random, asidBits } = this;
    const root = this.control[this.switched] & ((1n << 48n) - 1n);
    const first = random.bits(asidBits);
    const second = first ^ (1n << BigInt(random.below(asidBits)));
    const half = halfOf(this.control, this.switched === 'ttbr1');
    const canSwitch = isSizeValid(half) && LAYOUT.isArenaByte(Number(root)); // below 2^48
    const other = canSwitch ? this.tables.copyRoot(half) : root;
    return [
      { asid: first, root },
      { asid: second, root: other },
    ];
  }

  /** @param {Context} context */
  registerOf({ asid, root }) {
    return (asid << 48n) | root;
  }

  /** Another ASID with its root. What is not global stays apart by itself. */
  switchContext() {
    const { random } = this;
    if (random.chance(0.25)) return this.recycleAsid();
    const before = this.seen();
    this.context = random.pick(this.contexts);
    this.stage.setRegister(this.switched, this.registerOf(this.context));
    // What was global in one of them may be otherwise in another.
    for (const { page, walk } of before) {
      if (walk.end === 'leaf' && walk.global)
        this.invalidatePage({ page, context: this.context }, walk.level);
    }
    return undefined;
  }

  /** The ASIDs change their roots. */
  recycleAsid() {
    const { random } = this;
    const before = this.seen();
    const [first, second] = this.contexts;
    [first.root, second.root] = [second.root, first.root];
    this.stage.setRegister(this.switched, this.registerOf(this.context));
    if (random.chance(0.5)) return this.invalidateAll();
    for (const { asid } of this.contexts) this.tlbi('ASIDE1', asid << 48n);
    for (const { page, walk } of before) {
      if (walk.end === 'leaf' && walk.global)
        this.invalidatePage({ page, context: this.context }, walk.level);
    }
    return undefined;
  }

  /** Pages for the accesses, most of which translate, and some of which share entries. */
  choosePages() {
    const { random, control, tables } = this;
    /** @type {Set<bigint>} */
    const pages = new Set();
    for (let i = 0; i < 100 && pages.size < MAX_PAGES; i++) {
      let page = hotPage(random, control, tables, random.chance(0.5));
      const [other] = pages;
      if (other !== undefined && random.chance(0.5))
        page = other ^ (1n << levelShift(halfOf(control, isUpper(other)).granule, 1 + random.below(3)));
      if (this.stage.walk(page).end === 'leaf' || random.chance(0.1)) pages.add(page);
    }
    return [...pages];
  }

  /**
   * How each page is translated now, in each context.
   *
   * @returns {Seen[]}
   */
  seen() {
    const manner = /** @type {const} */ ({ kind: 'read', asUser: false, pan: false });
    return this.contexts.flatMap((context) => {
      const control = { ...this.stage.control, [this.switched]: this.registerOf(context) };
      return this.pages.map((page) => ({
        page,
        context,
        walk: walkTables(this.stage.read, control, page, manner),
      }));
    });
  }

  // --- Operations -------------------------------------------------------------------------------

  access() {
    const { random } = this;
    if (this.pages.length === 0) return;
    const userStubs = !halfOf(this.stage.control, this.mode === 'TTBR1').hidden;
    const manner = randomManner(random, { atOnly: false, userStubs });
    const page = random.pick(this.pages);
    const offset =
      manner.kind === 'fetch'
        ? random.below(256) * 16
        : inPage(randomOffset(random, manner.kind === 'at' ? 1 : manner.bytes));
    const operation = { ...manner, address: page + BigInt(offset), flush: false };
    if (this.stage.attempt(operation)) this.accesses++;
  }

  // --- Edits ------------------------------------------------------------------------------------

  edit() {
    const { random, stage } = this;
    if (this.pages.length === 0) return;
    const page = random.pick(this.pages);
    const { entries } = stage.walk(page);
    if (entries.length === 0) return;
    const index = random.chance(0.6) ? entries.length - 1 : random.below(entries.length);
    const { address, value, level } = entries[index];
    if (!LAYOUT.isArenaByte(Number(address)) || stage.isGuarded(Number(address))) return; // below 2^48
    const uses = this.seen().filter(({ walk }) => usesEntry(walk, address));
    const stale = uses.filter(({ walk }) => mayBeCached(walk, address));
    const levels = new Set(
      uses
        .flatMap(({ walk }) => walk.entries.filter((entry) => entry.address === address))
        .map((entry) => entry.level),
    );
    const isLeaf = levels.size === 1 && (level === 3 || (value & TABLE) === 0n);

    if (isLeaf && (value & VALID) !== 0n && random.chance(0.5)) {
      // In place.
      const next = this.changedRights(value);
      // Hardware may have set AF without that it is known here.
      const isOpen = stage.loose.has(Number(address)); // below 2^48
      stage.store(address, next);
      if (((next ^ value) & ~HARMLESS) !== 0n || isOpen) this.invalidate(stale, true);
      return;
    }
    const { granule } = halfOf(stage.control, isUpper(page));
    const next = random.chance(0.2) ? value & ~VALID : this.tables.randomEntry(granule, level);
    if (stale.length > 0) {
      stage.store(address, random.chance(0.5) ? 0n : value & ~VALID);
      this.invalidate(stale, isLeaf);
    }
    if (stale.length === 0 || (next & VALID) !== 0n) stage.store(address, next);
  }

  /** @param {bigint} value - of a leaf */
  changedRights(value) {
    const { random } = this;
    const choice = random.below(100);
    if (choice < 10) return value ^ (HARMLESS & (random.bits(4) << 55n));
    if (choice < 25) return value & ~ACCESSED;
    if (choice < 35) return value | ACCESSED;
    if (choice < 45) return value | NON_GLOBAL;
    if (choice < 60) return value & ~VALID;
    let next = value;
    do next ^= random.pick(RIGHTS);
    while (random.chance(0.3));
    return next;
  }

  // --- Invalidations ----------------------------------------------------------------------------

  /**
   * @param {string} name
   * @param {bigint} [operand]
   */
  tlbi(name, operand = 0n) {
    this.stage.add({ kind: 'tlbi', name: name + this.random.pick(['', 'IS', 'OS']), operand });
  }

  invalidateAll() {
    this.tlbi('VMALLE1');
  }

  /**
   * Drops what is cached of some pages, in one of the ways that suffice.
   *
   * @param {readonly Seen[]} stale
   * @param {boolean} lastLevel - only of the last entries of the walks
   */
  invalidate(stale, lastLevel) {
    if (stale.length === 0) return;
    if (this.random.chance(0.15)) this.invalidateAll();
    else for (const seen of stale) this.invalidatePage(seen, lastLevel ? seen.walk.level : undefined);
  }

  /**
   * @param {Omit<Seen, 'walk'>} where
   * @param {number | undefined} leaf - level of the last entry, if nothing else must go
   */
  invalidatePage({ page, context: { asid } }, leaf) {
    const { random } = this;
    const lastLevel = leaf !== undefined;
    // TTL: what granule, and where the last entry is.
    const { granule } = halfOf(this.stage.control, isUpper(page));
    const hint = lastLevel && random.chance(0.3) ? ((granule.tlbiCode << 2n) | BigInt(leaf)) << 44n : 0n;
    const anyAsid = random.chance(0.4);
    const range = random.chance(0.3);
    const last = lastLevel && random.chance(0.6);
    const name = `${range ? 'R' : ''}VA${anyAsid ? 'A' : ''}${last ? 'L' : ''}E1`;
    const tag = (anyAsid ? random.bits(this.asidBits) : asid) << 48n;
    this.tlbi(name, tag | (range ? this.rangeWith(page) : ((page >> 12n) & ((1n << 44n) - 1n)) | hint));
  }

  /**
   * The operand of an invalidation by range, without the ASID.
   *
   * @param {bigint} page
   */
  rangeWith(page) {
    const { random } = this;
    const { granule } = halfOf(this.stage.control, isUpper(page));
    // QEMU counts the bytes in 32 bits.
    const scale = random.below(granule.shift === 16 ? 3 : 4);
    const num = random.below(Math.min(32, 2 ** (32 - granule.shift - (5 * scale + 1)) - 1));
    const count = (num + 1) * 2 ** (5 * scale + 1);
    const number = BigInt.asIntN(37, page >> BigInt(granule.shift));
    const before = BigInt(random.below(count));
    // In the same half.
    const least = number < 0n ? -1n << 36n : 0n;
    const first = number - before < least ? least : number - before;
    return (
      (granule.tlbiCode << 46n) | (BigInt(scale) << 44n) | (BigInt(num) << 39n) | (first & ((1n << 37n) - 1n))
    );
  }

  invalidateNeedlessly() {
    const { random } = this;
    const page = this.pages.length > 0 ? random.pick(this.pages) : 0n;
    if (random.chance(0.5))
      return this.invalidatePage({ page, context: random.pick(this.contexts) }, 1 + random.below(3));
    const name = random.pick(INVALIDATION_NAMES);
    const operand = name.startsWith('R') ? this.rangeWith(random.bits(64)) : random.bits(48);
    return this.stage.add({ kind: 'tlbi', name, operand: (random.bits(this.asidBits) << 48n) | operand });
  }

  // --- Registers --------------------------------------------------------------------------------

  /** All of these may be in the TLB. */
  changeRegister() {
    const { random } = this;
    const { tcr, sctlr, mair } = this.stage.control;
    const other = this.mode === 'TTBR1' ? 0 : 1;
    const which = random.below(2);
    switch (random.below(4)) {
      case 0:
        this.stage.setRegister('sctlr', sctlr ^ SCTLR_WXN);
        break;
      case 1:
        this.stage.setRegister('tcr', tcr ^ TCR_BITS.hpd[which]);
        break;
      case 2:
        this.stage.setRegister('tcr', tcr ^ random.pick([TCR_BITS.e0pd[other], TCR_BITS.epd[other]]));
        break;
      default:
        this.stage.setRegister('mair', ((mair << 8n) & ((1n << 64n) - 1n)) | (mair >> 56n));
    }
    this.invalidateAll();
  }
}

/**
 * @param {bigint} value
 * @param {bigint} bit
 * @param {boolean} set
 */
function withBit(value, bit, set) {
  return set ? value | bit : value & ~bit;
}
