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
import type { PhysicalMemory } from '../../memory/index.ts';
import { NOT_IN_MEMORY, NOT_PRESENT } from '../../walk/index.ts';
import { Front } from '../front.ts';
import { Lookaside } from '../lookaside.ts';
import type { MmuPolicy } from '../mmu-policy.ts';
import { MAPPED, PageWalk } from '../page-walk.ts';
import { MOST_ENTRIES, NONE } from '../translation-cache.ts';
import type { ControlState } from './control-state.ts';
import { X86Detector } from './detector.ts';
import { Failure, type Source } from './failure.ts';
import { FastWalk } from './fast-walk.ts';
import * as remembered from './remembered.ts';

// This module's own constants, which V8 compiles in; what is imported it reads from a cell at each use.
const KINDS = ACCESS_KINDS;
const KIND_WRITE = WRITE;
const { GLOBAL, RIGHTS, DIRTY, TYPE_SHIFT, TABLE_AND, TABLE_OR } = remembered;

/** How often another thread's changes to the entries may undo a walk before its A and D bits are left unset. */
const MOST_RETRIES = 1000;

/**
 * Turns linear addresses into places in memory: looks into the TLB, walks, checks rights, remembers.
 *
 * Why an access failed is noted in {@link failed}.
 */
export class Mmu extends Front {
  /** CR2. */
  cr2Low = 0;
  /** See {@link cr2Low}. */
  cr2High = 0;
  /** Watches, if that was asked for. */
  readonly detector: X86Detector | undefined;
  private readonly state: ControlState;
  /** Whether anything is remembered. */
  private readonly remembers: boolean;
  private readonly marks: boolean;
  private readonly known: Lookaside;
  private readonly fast: FastWalk;
  private readonly walk = new PageWalk();
  /** Why the last access failed. */
  override readonly failed: Failure;
  private evictions = 0;
  /** What the last walk has added to the TLB. */
  private remembered = NONE;

  /** What is remembered besides the frame to which the last translation came. */
  private bits = 0;

  constructor(memory: PhysicalMemory, state: ControlState, policy: MmuPolicy) {
    const { caching, accessedDirty, detector } = policy;
    // A detector wants to see every access.
    super(memory, state, caching === 'all' && detector === undefined);
    this.state = state;
    this.failed = new Failure(state, this.walk);
    this.remembers = caching !== 'none';
    this.marks = accessedDirty;
    this.known = new Lookaside(state, GLOBAL, typeof caching === 'number' ? caching : MOST_ENTRIES);
    this.fast = new FastWalk(memory, state, this.known, policy);
    this.detector = detector && new X86Detector(memory, state, this.known, detector);
  }

  /**
   * Translates an address for one access, to the frame that {@link frameOf} gives.
   *
   * @param excused - whether SMAP does not apply
   * @param stack - whether the access goes through the stack segment
   * @returns whether the access is allowed; if not, {@link failed} tells why
   */
  override translate(high: number, low: number, access: number, excused: boolean, stack: boolean): boolean {
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
    const { space: pcid } = this.state;
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
    this.known.dropSpace(pcid);
    this.renewFront();
  }

  /** Everything of a PCID, and global translations. */
  invalidatePcidAndGlobals(pcid: number): void {
    this.known.dropSpace(pcid);
    this.known.dropGlobals();
    this.renewFront();
  }

  /** Everything of all PCIDs that is not global. */
  invalidatePcids(): void {
    this.known.dropSpaces();
    this.renewFront();
  }

  /** Everything. */
  invalidateAll(): void {
    this.known.dropSpaces();
    this.known.dropGlobals();
    this.renewFront();
  }

  /** Forgets the translations of a page in one space. */
  private dropPage(high: number, low: number, space: number): void {
    if (this.known.dropPage(high, low, space)) this.renewFront();
    else this.clearFront(low);
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
      const bits = (walk.ands[depth] & TABLE_AND) | (walk.ors[depth] & TABLE_OR);
      const at = known.addTable(this.state.orders[depth], high, low, child, bits);
      if (detector !== undefined) known.tables.note(at, detector.originOf(walk, high, depth, before));
    }
    const isGlobalPage = isGlobal(format.facts, walk.depth, leaf);
    const at = this.rememberPage(high, low, order, isGlobalPage, walk.frame);
    if (detector !== undefined) known.pages.note(at, detector.originOf(walk, high, walk.depth, before));
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
      this.dropPage(high, low, this.state.space);
      this.dropPage(high, low, GLOBAL);
      this.known.dropTables(high, low, this.state.space);
    }
    return false;
  }
}
