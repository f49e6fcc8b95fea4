import {
  ACCESS_KINDS,
  CAUSE_NOT_PRESENT,
  CAUSE_RESERVED,
  causeOf,
  combinedIndex,
  isGlobal,
  pageDirty,
  pageFaultCode,
  patIndexOf,
  WRITE,
} from '../../format/index.ts';
import { ABSENT, type PhysicalMemory } from '../../memory/index.ts';
import { NOT_IN_MEMORY, NOT_PRESENT } from '../../walk/index.ts';
import { MAPPED, PageWalk } from '../page-walk.ts';
import { MOST_ENTRIES, NONE } from '../translation-cache.ts';
import type { ControlState } from './control-state.ts';
import { X86Detector } from './detector.ts';
import { Failure, type Source } from './failure.ts';
import { FastWalk } from './fast-walk.ts';
import { Lookaside } from './lookaside.ts';
import type { MmuPolicy } from './mmu-policy.ts';
import * as remembered from './remembered.ts';

// This module's own constants, which V8 compiles in; what is imported it reads from a cell at each use.
const KINDS = ACCESS_KINDS;
const KIND_WRITE = WRITE;
const ABSENT_FRAME = ABSENT;
const { GLOBAL, RIGHTS, DIRTY, TYPE_SHIFT, TABLE_AND, TABLE_OR } = remembered;

// The front: for each access and each of some pages, where the page begins in memory. Four numbers each: bits 63:32 of
// the page's address; bits 31:12, with the epoch in the bits below; the word; the frame, if it is a small integer.
/** `log2` of the pages that it has room for at first. */
const SMALL_FRONT = 9;
/** And when it has grown. */
const LARGE_FRONT = 15;
const PAGE_BITS = ~0xfff;
const LAST_EPOCH = 0xfff;
/** `log2` of the misses for each of its places that make the front grow. */
const FRONT_PATIENCE = 3;
/** Frames that are kept in the front. */
const NEAR_FRAMES = 2 ** 31;
const FAR_FRAME = -1;

/** How often another thread's changes to the entries may undo a walk before its A and D bits are left unset. */
const MOST_RETRIES = 1000;

/** {@link Mmu.reach}: the access faults. */
export const FAULT = -1;
/** {@link Mmu.reach}: there is no memory at the physical address, or where a table should be. */
export const NO_MEMORY = -2;

/**
 * Turns linear addresses into places in memory: looks into the TLB, walks, checks rights, remembers.
 *
 * Why an access failed is noted in {@link failed}.
 */
export class Mmu {
  /** Counts what may change a translation that was made before; it wraps around. */
  generation = 0;
  /** CR2. */
  cr2Low = 0;
  /** See {@link cr2Low}. */
  cr2High = 0;
  /** RFLAGS.AC. */
  excused = false;
  /** Watches, if that was asked for. */
  readonly detector: X86Detector | undefined;
  private readonly memory: PhysicalMemory;
  private readonly state: ControlState;
  /** Whether anything is remembered. */
  private readonly remembers: boolean;
  /** Whether the front is used: what a bounded cache lets go is worth no more. */
  private readonly fronts: boolean;
  private readonly marks: boolean;
  private readonly known: Lookaside;
  private readonly fast: FastWalk;
  private readonly walk = new PageWalk();
  /** Why the last access failed. */
  readonly failed: Failure;
  private front = newFront(SMALL_FRONT);
  private frontBits = SMALL_FRONT;
  private frontMask = (1 << SMALL_FRONT) - 1;
  private epoch = 1;
  /** Accesses that were not found in the front since it was last renewed. */
  private misses = 0;
  private evictions = 0;
  /** What the last walk has added to the TLB. */
  private remembered = NONE;

  // What the last translation came to: the 4-KiB frame, and what is remembered besides it.
  private frame = 0;
  private bits = 0;

  constructor(memory: PhysicalMemory, state: ControlState, policy: MmuPolicy) {
    const { caching, accessedDirty, detector } = policy;
    this.memory = memory;
    this.state = state;
    this.failed = new Failure(state, this.walk);
    this.remembers = caching !== 'none';
    // A detector wants to see every access.
    this.fronts = caching === 'all' && detector === undefined;
    this.marks = accessedDirty;
    this.known = new Lookaside(state, typeof caching === 'number' ? caching : MOST_ENTRIES);
    this.fast = new FastWalk(memory, state, this.known, policy);
    this.detector = detector && new X86Detector(memory, state, this.known, detector);
  }

  /**
   * Where the page of an address begins in memory, for one access.
   *
   * @param high - bits 63:32 of the linear address
   * @param low - bits 31:0
   * @param access - kind, with `ACCESS_KINDS` added for a user access
   * @returns index of a word, or {@link FAULT} or {@link NO_MEMORY}
   */
  reach(high: number, low: number, access: number): number {
    const front = this.front;
    const at = (((low >>> 12) & this.frontMask) | (access << this.frontBits)) << 2;
    if (front[at] === high && front[at | 1] === ((low & PAGE_BITS) | this.epoch)) return front[at | 2];
    return this.reachSlowly(high, low, access);
  }

  private reachSlowly(highGiven: number, low: number, access: number): number {
    // Outside 64-bit mode linear addresses have 32 bits.
    const high = highGiven & this.state.highMask;
    const place = this.reachWith(high, low, access, this.excused, false);
    if (place >= 0 && this.fronts) {
      this.misses += 1;
      if (this.misses >> FRONT_PATIENCE > this.frontMask) this.growFront();
      const front = this.front;
      const at = (((low >>> 12) & this.frontMask) | (access << this.frontBits)) << 2;
      front[at] = high;
      front[at + 1] = (low & PAGE_BITS) | this.epoch;
      front[at + 2] = place;
      front[at + 3] = this.frame < NEAR_FRAMES ? this.frame : FAR_FRAME;
    }
    return place;
  }

  /**
   * The frame of the page of an address, for one access. See {@link reach}.
   *
   * @returns a frame number, or {@link FAULT}, or {@link NO_MEMORY} if a table is missing
   */
  frameOf(high: number, low: number, access: number): number {
    const front = this.front;
    const at = (((low >>> 12) & this.frontMask) | (access << this.frontBits)) << 2;
    if (front[at] === high && front[at | 1] === ((low & PAGE_BITS) | this.epoch) && front[at | 3] >= 0) {
      return front[at | 3];
    }
    return this.frameSlowly(high, low, access);
  }

  private frameSlowly(high: number, low: number, access: number): number {
    if (!this.fronts) {
      if (this.translate(high & this.state.highMask, low, access, this.excused, false)) return this.frame;
      return this.failed.exception === undefined ? NO_MEMORY : FAULT;
    }
    if (this.reachSlowly(high, low, access) >= 0) return this.frame;
    if (this.failed.exception !== undefined) return FAULT;
    // A page may well lie where there is no memory; a table may not.
    return this.failed.isPageAbsent ? this.frame : NO_MEMORY;
  }

  /** {@link reach} for an access that is unusual. See {@link translate}. */
  reachWith(high: number, low: number, access: number, excused: boolean, stack: boolean): number {
    if (!this.translate(high, low, access, excused, stack)) {
      return this.failed.exception === undefined ? NO_MEMORY : FAULT;
    }
    this.memory.current();
    const place = this.memory.locate(this.frame);
    if (place !== ABSENT_FRAME) return place;
    this.failed.noteAbsent(this.frame, true, low);
    return NO_MEMORY;
  }

  /**
   * Translates an address for one access, to the frame that {@link frameOf} gives.
   *
   * @param access - kind, with `ACCESS_KINDS` added for a user access
   * @param excused - whether SMAP does not apply
   * @param stack - whether the access goes through the stack segment
   * @returns whether the access is allowed; if not, {@link failed} tells why
   */
  translate(high: number, low: number, access: number, excused: boolean, stack: boolean): boolean {
    const { state } = this;
    const { format } = state;
    const write = (access >= KINDS ? access - KINDS : access) === KIND_WRITE;
    // The usual case where nothing is remembered.
    if (!this.remembers && state.uniform !== undefined && state.isCanonical(high)) {
      if (this.walkFast(high, low, access, write, excused)) return true;
    }
    this.detector?.refuseReentry();
    if (!state.isCanonical(high)) {
      this.failed.noteAddress(stack ? '#SS' : '#GP', high, low);
      return false;
    }
    if (format === undefined) {
      this.frame = low >>> 12;
      this.bits = 0;
      return true;
    }
    const at = this.remembers ? this.known.findPage(high, low) : NONE;
    if (at !== NONE) {
      const { pages } = this.known;
      const bits = pages.bitsOf(at);
      const denied = state.denials(bits & RIGHTS, access, excused);
      if (denied !== 0) return this.refuseRights(high, low, access, denied, bits & RIGHTS, 'TLB');
      // Otherwise the walk that sets the dirty bit replaces what is remembered, for reads as well.
      if (!write || (bits & DIRTY) !== 0) {
        this.bits = bits;
        this.frame = pages.frameOf(at) + ((low >>> 12) & ((1 << pages.orderOf(at)) - 1));
        this.detector?.used(at, high, low, access, excused);
        return true;
      }
      if (pages.orderOf(at) > 0) this.renewFront();
      else this.clearFront(low);
    }
    if (this.detector !== undefined) {
      const isDone = this.translateByWalk(high, low, access, write, excused);
      this.detector.walked(this.walk, high, low, access);
      if (isDone) this.detector.used(this.remembered, high, low, access, excused);
      return isDone;
    }
    return (
      (this.remembers && state.uniform !== undefined && this.walkFast(high, low, access, write, excused)) ||
      this.translateByWalk(high, low, access, write, excused)
    );
  }

  // ---- invalidation

  /** INVLPG: the translations of a page, global ones as well, and every table of the current PCID. */
  invalidatePage(high: number, low: number): void {
    const { pcid } = this.state;
    if (!this.state.isCanonical(high)) return;
    this.dropPage(high, low, pcid);
    this.dropPage(high, low, GLOBAL);
    this.known.tables.dropSpace(pcid);
  }

  /** INVPCID type 0: the translations of a page under a PCID, and the tables on the way to it. */
  invalidatePageOf(pcid: number, high: number, low: number): void {
    this.dropPage(high, low, pcid);
    this.known.dropTables(high, low, pcid);
  }

  /** Everything of a PCID that is not global. */
  invalidatePcid(pcid: number): void {
    this.known.dropPcid(pcid);
    this.renewFront();
  }

  /** Everything of a PCID, and global translations. */
  invalidatePcidAndGlobals(pcid: number): void {
    this.known.dropPcid(pcid);
    this.known.dropGlobals();
    this.renewFront();
  }

  /** Everything of all PCIDs that is not global. */
  invalidatePcids(): void {
    this.known.dropPcids();
    this.renewFront();
  }

  /** Everything. */
  invalidateAll(): void {
    this.known.dropPcids();
    this.known.dropGlobals();
    this.renewFront();
  }

  /** Forgets the translations of a page in one space. */
  private dropPage(high: number, low: number, space: number): void {
    if (this.known.dropPage(high, low, space)) this.renewFront();
    else this.clearFront(low);
  }

  /** More pages are in use than it has room for. */
  private growFront(): void {
    this.misses = 0;
    if (this.frontBits === LARGE_FRONT) return;
    this.frontBits = LARGE_FRONT;
    this.frontMask = (1 << LARGE_FRONT) - 1;
    this.front = newFront(LARGE_FRONT);
  }

  /** Takes the page of an address out of the front. */
  private clearFront(low: number): void {
    this.touch();
    for (let access = 0; access < 2 * KINDS; access += 1) {
      const at = (((low >>> 12) & this.frontMask) | (access << this.frontBits)) << 2;
      this.front[at + 1] = 0;
    }
  }

  /** Whether translations are good as long as {@link generation} stays. */
  get remembersAll(): boolean {
    return this.fronts;
  }

  /** What was found out before about an access may not hold for the next. */
  touch(): void {
    this.generation = (this.generation + 1) | 0;
  }

  /** After a change on which rights depend, which invalidates nothing. */
  renewFront(): void {
    this.touch();
    this.misses = 0;
    if (this.epoch === LAST_EPOCH) {
      this.front.fill(0);
      this.epoch = 0;
    }
    this.epoch += 1;
  }

  // ---- translation

  private translateByWalk(
    high: number,
    low: number,
    access: number,
    write: boolean,
    excused: boolean,
  ): boolean {
    const { walk, state, memory } = this;
    const { format } = state;
    if (format === undefined) return false;
    for (let tries = 0; ; tries += 1) {
      const end = this.runWalk(high, low);
      if (end === NOT_IN_MEMORY) {
        this.failed.noteAbsent(walk.frame, false, low);
        return false;
      }
      const source: Source = walk.start > 0 ? 'tables' : 'walk';
      if (end !== MAPPED) {
        const cause = end === NOT_PRESENT ? CAUSE_NOT_PRESENT : CAUSE_RESERVED;
        const code = pageFaultCode(access, cause, state.fetches);
        this.failed.notePageFault(high, low, code, source, end, 0, 0);
        return this.fault(high, low);
      }
      const key = state.keys ? walk.highs[walk.depth] : 0;
      const rights = combinedIndex(walk.and, walk.or, key);
      const denied = state.denials(rights, access, excused);
      if (denied !== 0) return this.refuseRights(high, low, access, denied, rights, source);
      if (this.marks && !walk.mark(memory, format, write) && tries < MOST_RETRIES) continue;
      const order = walk.order(format);
      const leaf = walk.lows[walk.depth];
      const dirty = !this.marks || (leaf & pageDirty(format.facts, walk.depth)) !== 0 ? DIRTY : 0;
      this.bits = rights | dirty | (patIndexOf(order, leaf) << TYPE_SHIFT);
      if (this.remembers) this.remember(high, low, order, leaf);
      this.frame = walk.frame + ((low >>> 12) & ((1 << order) - 1));
      return true;
    }
  }

  /** Walks from the lowest table that is remembered. */
  private runWalk(high: number, low: number): number {
    const { walk, state, memory } = this;
    const { format, root, pdptes } = state;
    if (format === undefined) return NOT_PRESENT;
    const at = this.remembers ? this.known.findTable(high, low) : NONE;
    if (at !== NONE) {
      const { tables } = this.known;
      const bits = tables.bitsOf(at);
      const depth = state.depthBelow(tables.orderOf(at));
      const table = tables.frameOf(at);
      const and = bits | ~TABLE_AND;
      return walk.run(memory, format, high, low, depth, table, 0, and, bits & TABLE_OR, undefined);
    }
    return walk.run(memory, format, high, low, 0, root.frame, root.word, -1, 0, pdptes);
  }

  /** Remembers what the walk has found. */
  private remember(high: number, low: number, order: number, leaf: number): void {
    const { walk, detector, known } = this;
    const { format } = this.state;
    if (format === undefined) return;
    const before = detector && walk.start > 0 ? known.tables.noteOf(known.findTable(high, low)) : undefined;
    for (let depth = walk.start; depth < walk.depth; depth += 1) {
      // What PAE paging keeps in registers is no cache.
      if (walk.places[depth] < 0) continue;
      const child = walk.tables[depth + 1];
      const at = known.addTable(depth, high, low, child, walk.ands[depth], walk.ors[depth]);
      if (detector !== undefined) known.tables.note(at, detector.originOf(walk, depth, before));
    }
    const isGlobalPage = isGlobal(format.facts, walk.depth, leaf);
    const at = this.rememberPage(high, low, order, isGlobalPage, walk.frame);
    if (detector !== undefined) known.pages.note(at, detector.originOf(walk, walk.depth, before));
    this.remembered = at;
  }

  /** The usual case; if it was not that, nothing has happened. */
  private walkFast(high: number, low: number, access: number, write: boolean, excused: boolean): boolean {
    const { fast } = this;
    if (!fast.run(high, low, access, write, excused)) return false;
    this.frame = fast.frame;
    this.bits = fast.bits;
    if (this.remembers) this.noticeEvictions();
    return true;
  }

  private rememberPage(
    high: number,
    low: number,
    order: number,
    isGlobalPage: boolean,
    frame: number,
  ): number {
    const { known } = this;
    const at = known.addPage(high, low, order, isGlobalPage, frame, this.bits);
    this.noticeEvictions();
    return at;
  }

  /** The front may still have pieces of what had to go. */
  private noticeEvictions(): void {
    const { evictions } = this.known.pages;
    if (evictions === this.evictions) return;
    this.evictions = evictions;
    this.renewFront();
  }

  // ---- failures

  private refuseRights(
    high: number,
    low: number,
    access: number,
    denied: number,
    rights: number,
    source: Source,
  ): false {
    const code = pageFaultCode(access, causeOf(denied), this.state.fetches);
    this.failed.notePageFault(high, low, code, source, MAPPED, denied, rights);
    return this.fault(high, low);
  }

  /** A page fault: CR2 is written, and whatever is remembered for the address is forgotten. */
  private fault(high: number, low: number): false {
    this.cr2High = high;
    this.cr2Low = low;
    if (this.remembers) {
      this.dropPage(high, low, this.state.pcid);
      this.dropPage(high, low, GLOBAL);
      this.known.dropTables(high, low, this.state.pcid);
    }
    return false;
  }
}

/** Room for `2 ** bits` pages. */
function newFront(bits: number): Int32Array {
  return new Int32Array((2 * KINDS) << (bits + 2));
}
