// Cases that keep the TLB: edits of table entries, SFENCE.VMA and register writes between the accesses.
//
// Every edit is followed by the fence that the manual requires, or by none where it requires none. A TLB may hold entries that
// are invalid, too. So every TLB that conforms gives the same outcomes, whether it forgets much or little. All accesses are in
// a few pages; of any other virtual address nothing needs to be known.
//
// See the RISC-V Instruction Set Manual, volume II (privileged architecture), section "Supervisor Memory-Management Fence
// Instruction".

import { uses as usesEntry } from '../cacheable.mjs';
import { inPage } from '../offsets.mjs';
import { formatNamed, hotPage, mannerFor, offsetFor, randomControl } from './accesses.mjs';
import { asidBits, canonical, levelShift, MENVCFG_ADUE, MENVCFG_PBMTE, satpOf } from './control.mjs';
import { LAYOUT } from './layout.mjs';
import {
  ACCESSED,
  DIRTY,
  EXECUTE,
  GLOBAL,
  isPointer,
  READ,
  USER_PAGE,
  VALID,
  WRITE,
  walkTables,
} from './reference.mjs';
import { Stage } from './stage.mjs';
import { GROUP_SIZE, isGroup, randomTables } from './tables.mjs';

/** @typedef {import('../random.mjs').Random} Random */
/** @typedef {import('./operations.mjs').Case} Case */
/** @typedef {import('./operations.mjs').Mode} Mode */
/** @typedef {import('./reference.mjs').Walk} Walk */

/**
 * What one ASID stands for: the root that is in satp with it.
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
const MAX_PAGES = 5;
const MAX_OPERATIONS = 140;

/** In leaves: what an edit changes most often. */
const FLAGS = [READ, WRITE, EXECUTE, USER_PAGE, GLOBAL, ACCESSED, ACCESSED, DIRTY, DIRTY];

/** Of software. */
const HARMLESS = 3n << 8n;

/** Of satp with RV64. */
const RESERVED_MODE = 5n << 60n;

/** Makes one case. */
export class Sequence {
  accesses = 0;
  /** Registers that stay as they are for a while, since a change may cost a TLB what it holds. */
  sum = true;
  mxr = false;

  /**
   * @param {Random} random
   * @param {Mode} mode - not Bare
   */
  constructor(random, mode) {
    this.random = random;
    this.mode = mode;
    this.format = formatNamed(mode);
    const control = randomControl(random, this.format.xlen);
    this.tables = randomTables(random, this.format, { cached: true, edges: 0.4 });
    this.asidBits = asidBits(this.format.xlen);
    this.contexts = this.makeContexts();
    this.context = this.contexts[0];
    control.satp = this.satpOf(this.context);
    this.stage = new Stage(control, this.tables, { editsTables: false });
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
    else if (choice < 82) this.edit();
    else if (choice < 86) this.changeRegister();
    else if (choice < 94) this.switchContext();
    else this.fenceNeedlessly();
  }

  // --- Address spaces ---------------------------------------------------------------------------

  /**
   * Contexts that share all tables but the root. Their ASIDs differ.
   *
   * @returns {[Context, Context]}
   */
  makeContexts() {
    const { random } = this;
    const first = random.bits(this.asidBits);
    const second = first ^ (1n << BigInt(random.below(this.asidBits)));
    return [
      { asid: first, root: this.tables.root },
      { asid: second, root: this.tables.copyRoot() },
    ];
  }

  /** @param {Context} context */
  satpOf(context) {
    return satpOf(this.format, context);
  }

  /** Another ASID with its root. What is not global stays apart by itself. */
  switchContext() {
    const { random } = this;
    const before = this.seen();
    const [first, second] = this.contexts;
    const recycles = random.chance(0.25);
    if (recycles) [first.root, second.root] = [second.root, first.root];
    else this.context = random.pick(this.contexts);
    this.stage.setRegister('satp', this.satpOf(this.context));
    if (recycles) {
      if (random.chance(0.5)) return this.fence(undefined, undefined);
      for (const { asid } of this.contexts) this.fence(undefined, asid);
    }
    // What was global in one of them may be otherwise in another.
    if (before.some(({ walk }) => isGlobalAbove(walk))) return this.fence(undefined, undefined);
    for (const { page, walk } of before) if (walk.global) this.fence(this.addressIn(page, walk), undefined);
    return undefined;
  }

  /** Pages for the accesses, most of which translate, and some of which share entries. */
  choosePages() {
    const { random, format, tables } = this;
    /** @type {Set<bigint>} */
    const pages = new Set();
    for (let i = 0; i < 100 && pages.size < MAX_PAGES; i++) {
      let page = hotPage(random, format, tables);
      const [other] = pages;
      if (other !== undefined && random.chance(0.5)) {
        // Some of them in the same large page or group, and some beside it.
        const bit = levelShift(format, random.below(format.levels)) + BigInt(random.below(6));
        page = canonical(format, other ^ (1n << bit));
      }
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
    return this.contexts.flatMap((context) => {
      const control = { ...this.stage.control, satp: this.satpOf(context) };
      return this.pages.map((page) => ({ page, context, walk: walkTables(this.stage.read, control, page) }));
    });
  }

  // --- Operations -------------------------------------------------------------------------------

  access() {
    const { random } = this;
    if (this.pages.length === 0) return;
    const page = random.pick(this.pages);
    if (random.chance(0.15)) this.sum = !this.sum;
    if (random.chance(0.1)) this.mxr = !this.mxr;
    const { sum, mxr } = this;
    const manner = { ...mannerFor(random, this.format.xlen, this.stage.walk(page)), sum, mxr };
    const offset = inPage(offsetFor(random, manner));
    if (this.stage.attempt({ ...manner, address: page + BigInt(offset), flush: false })) this.accesses++;
  }

  // --- Edits ------------------------------------------------------------------------------------

  edit() {
    const { random, stage, format } = this;
    if (this.pages.length === 0) return undefined;
    const page = random.pick(this.pages);
    const { entries } = stage.walk(page);
    if (entries.length === 0) return undefined;
    const index = random.chance(0.6) ? entries.length - 1 : random.below(entries.length);
    const { address, value, level } = entries[index];
    if (!LAYOUT.isArenaByte(Number(address)) || stage.isGuarded(Number(address))) return undefined; // below 2^56
    const stale = this.seen().filter(({ walk }) => usesEntry(walk, address));
    const next = this.nextValue(value, level);
    if (level === 0 && (isGroup(value) || isGroup(next))) return this.editGroup(address, next);
    const isOpen = stage.loose.has(Number(address)); // below 2^56
    stage.store(address, format.entryBytes, next);
    const changed = next ^ value;
    if ((changed & ~HARMLESS) === 0n && !isOpen) return undefined;
    const levels = new Set(
      stale
        .flatMap(({ walk }) => walk.entries.filter((entry) => entry.address === address))
        .map((entry) => entry.level),
    );
    const isLast = levels.size === 1 && !leadsOn(value) && !leadsOn(next);
    return this.fenceFor(stale, isLast);
  }

  /**
   * Gives all pages of a group, before or after, the same entry.
   *
   * @param {bigint} address - of one of the entries
   * @param {bigint} value
   */
  editGroup(address, value) {
    const { stage } = this;
    const first = address - (address % BigInt(GROUP_SIZE * 8));
    const next = isGroup(value) ? value | ACCESSED | DIRTY : value;
    for (let i = 0; i < GROUP_SIZE; i++) {
      const each = first + BigInt(i * 8);
      if (!stage.isGuarded(Number(each))) stage.store(each, 8, next); // below 2^56
    }
    return this.fence(undefined, undefined);
  }

  /**
   * @param {bigint} value - of an entry
   * @param {number} level
   */
  nextValue(value, level) {
    const { random } = this;
    const isLeaf = (value & VALID) !== 0n && !isPointer(value);
    if (!isLeaf || random.chance(0.35)) return this.tables.randomEntry(level);
    const choice = random.below(100);
    if (choice < 10) return value ^ (random.bits(2) << 8n);
    if (choice < 30) return value ^ VALID;
    if (choice < 50) return value | ACCESSED | DIRTY;
    let next = value;
    do next ^= random.pick(FLAGS);
    while (random.chance(0.4));
    return next;
  }

  // --- Fences -----------------------------------------------------------------------------------

  /**
   * @param {bigint | undefined} address
   * @param {bigint | undefined} asid
   */
  fence(address, asid) {
    this.stage.add({ kind: 'fence', address, asid });
  }

  /**
   * Any address of what the last entry of a walk is for.
   *
   * @param {bigint} page
   * @param {Walk} walk
   */
  addressIn(page, { entries }) {
    const last = entries[entries.length - 1];
    if (last === undefined) return page;
    const bits = levelShift(this.format, last.level);
    const offset = this.random.bits(64) & ((1n << bits) - 1n);
    return ((page >> bits) << bits) | offset;
  }

  /**
   * Drops what is cached of some pages, in one of the ways that suffice.
   *
   * @param {readonly Seen[]} stale
   * @param {boolean} isLast - only of the last entries of the walks
   */
  fenceFor(stale, isLast) {
    const { random } = this;
    if (stale.length === 0) return;
    if (random.chance(0.1)) return this.fence(undefined, undefined);
    for (const context of this.contexts) {
      const walks = stale.filter((seen) => seen.context === context);
      if (walks.length === 0) continue;
      const anyAsid = random.chance(0.3) || walks.some(({ walk }) => walk.global || isGlobalAbove(walk));
      const asid = anyAsid ? undefined : context.asid;
      if (!isLast || random.chance(0.1)) this.fence(undefined, asid);
      else for (const { page, walk } of walks) this.fence(this.addressIn(page, walk), asid);
    }
    return undefined;
  }

  fenceNeedlessly() {
    const { random, format } = this;
    const address = random.chance(0.5) ? random.bits(format.xlen) : random.pick([...this.pages, 0n]);
    this.fence(
      random.chance(0.6) ? address : undefined,
      random.chance(0.6)
        ? random.pick([...this.contexts.map(({ asid }) => asid), random.bits(this.asidBits)])
        : undefined,
    );
  }

  // --- Registers --------------------------------------------------------------------------------

  /** All of these may be in the TLB, but for a mode that is not there: nothing is written then. */
  changeRegister() {
    const { random, stage } = this;
    const { menvcfg, machine } = stage.control;
    if (machine.xlen === 64 && random.chance(0.3)) {
      const value = RESERVED_MODE | random.bits(60);
      stage.add({ kind: 'register', name: 'satp', value });
      return;
    }
    // Whether A is set now may be open.
    const canChange = stage.loose.at.size === 0;
    const bit = machine.svpbmt && (!canChange || random.chance(0.5)) ? MENVCFG_PBMTE : MENVCFG_ADUE;
    if (bit === MENVCFG_ADUE && !canChange) return;
    stage.setRegister('menvcfg', menvcfg ^ bit);
    this.fence(undefined, undefined);
  }
}

/**
 * Whether there is another entry below.
 *
 * @param {bigint} value - of an entry
 */
function leadsOn(value) {
  return (value & VALID) !== 0n && isPointer(value);
}

/**
 * Whether a pointer of a walk makes what is below it global.
 *
 * @param {Walk} walk
 */
function isGlobalAbove({ entries }) {
  return entries.some(({ value }) => leadsOn(value) && (value & GLOBAL) !== 0n);
}
