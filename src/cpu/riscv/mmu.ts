import { ACCESS_KINDS, groupOrder, isGlobal, pteRights, WRITE } from '../../format/index.ts';
import type { PhysicalMemory } from '../../memory/index.ts';
import { NOT_IN_MEMORY, NOT_PRESENT, RESERVED } from '../../walk/index.ts';
import { Front } from '../front.ts';
import { Lookaside } from '../lookaside.ts';
import type { MmuPolicy } from '../mmu-policy.ts';
import * as pageWalk from '../page-walk.ts';
import { MOST_ENTRIES, NONE } from '../translation-cache.ts';
import type { RiscvState } from './control-state.ts';
import { RiscvDetector } from './detector.ts';
import { type Refusal, RiscvFailure, type Source } from './failure.ts';
import * as remembered from './remembered.ts';
import { type Fence, whyLeft } from './sfence.ts';

// This module's own constants, which V8 compiles in; what is imported it reads from a cell at each use.
const KINDS = ACCESS_KINDS;
const KIND_WRITE = WRITE;
const { RIGHTS, ACCESSED, DIRTY, TYPE_SHIFT, FAULTY, RESERVED_ENTRY, TABLE_NOT_GLOBAL } = remembered;
const { MAPPED, PageWalk, pagesInside } = pageWalk;

/** How often another thread's changes to an entry may undo a walk before its A and D are left as they are. */
const MOST_RETRIES = 1000;
/** ASIDs under which an address is looked for, one by one. */
const MOST_SPACES = 64;
/** Frames that entries can name. */
const ALL_FRAMES = 2 ** 44;
/** Place of PBMT in a high half. */
const PBMT_SHIFT = 29;

/**
 * Turns virtual addresses into places in memory: looks into the TLB, walks, checks rights, remembers.
 *
 * Everything is remembered that may be: whatever ends a walk, pages as well as entries that fault, and what leads to tables.
 */
export class RiscvMmu extends Front {
  override readonly failed: RiscvFailure;
  /** scause, bits 31:0. */
  cause = 0;
  /** Bits 63:32, which faults clear. */
  causeHigh = 0;
  /** stval. */
  valueLow = 0;
  /** See {@link valueLow}. */
  valueHigh = 0;
  private readonly state: RiscvState;
  /** Whether anything is remembered. */
  private readonly remembers: boolean;
  /** Whether entries that fault are. */
  private readonly remembersFaulty: boolean;
  private readonly known: Lookaside;
  /** Watches, if that was asked for. */
  readonly detector: RiscvDetector | undefined;
  private readonly walk = new PageWalk();
  /** Spaces in which there may be something. */
  private readonly spaces = new Set<number>();
  private evictions = 0;
  /** What the last walk has added to the TLB. */
  private remembered = NONE;
  /** What the entries above those of the last walk say of rights. */
  private above = -1;

  constructor(memory: PhysicalMemory, state: RiscvState, policy: MmuPolicy, cachesInvalid: boolean) {
    const { caching, detector } = policy;
    // A detector wants to see every access.
    super(memory, state, caching === 'all' && detector === undefined);
    this.state = state;
    this.failed = new RiscvFailure(state, this.walk);
    this.remembers = caching !== 'none';
    this.remembersFaulty = this.remembers && cachesInvalid;
    this.known = new Lookaside(state, state.global, typeof caching === 'number' ? caching : MOST_ENTRIES);
    this.detector = detector && new RiscvDetector(memory, state, this.known, detector);
  }

  /** @param special - whether the access is translated in M-mode as well */
  override translate(
    high: number,
    low: number,
    access: number,
    _excused: boolean,
    special: boolean,
  ): boolean {
    const { state } = this;
    this.detector?.refuseReentry();
    if (special ? state.format === undefined : !state.isOn) return this.translateBare(high, low, access);
    if (!state.isCanonical(high)) return this.fault(high, low, access, 'range');
    const at = this.remembers ? this.known.findPage(high, low) : NONE;
    if (at !== NONE) {
      const { pages } = this.known;
      const bits = pages.bitsOf(at);
      const order = pages.orderOf(at);
      if ((bits & FAULTY) !== 0) {
        const end = (bits & RESERVED_ENTRY) === 0 ? NOT_PRESENT : RESERVED;
        return this.faultByEntry(high, low, access, 'TLB', end, 0, state.levelOf(order));
      }
      const denied = state.denials(bits & RIGHTS, access);
      if (denied !== 0) {
        return this.faultByEntry(high, low, access, 'TLB', MAPPED, denied, state.levelOf(order));
      }
      // Otherwise the walk that sets them replaces what is remembered, for reads as well.
      const needs = isWrite(access) ? ACCESSED | DIRTY : ACCESSED;
      if ((bits & needs) === needs) {
        this.frame = pages.frameOf(at) + pagesInside(high, low, order);
        if (this.frame >= state.frameLimit) return this.fault(high, low, access, 'page too far');
        this.detector?.used(at, high, low, access, false);
        return true;
      }
      if (order > 0) this.renewFront();
      else this.clearFront(low);
    }
    this.remembered = NONE;
    const isDone = this.translateByWalk(high, low, access);
    const { detector } = this;
    if (detector === undefined) return isDone;
    detector.walked(this.walk, high, low, access);
    if (isDone) detector.used(this.remembered, high, low, access, false);
    return isDone;
  }

  // ---- invalidation

  /** SFENCE.VMA. */
  fence(fence: Fence): void {
    const { state, known } = this;
    const { address, asid } = fence;
    if (address !== undefined) {
      // Halves of 64 bits.
      const high = Number(BigInt.asIntN(32, address >> 32n)) & state.highMask;
      if (state.format !== undefined && !state.isCanonical(high)) return;
      if (!this.remembers) return;
      this.detector?.fenced(fence);
      this.dropAddress(fence, high, Number(BigInt.asIntN(32, address)));
      return;
    }
    if (!this.remembers) return;
    this.detector?.fenced(fence);
    if (asid !== undefined) {
      known.dropSpace(asid);
      this.spaces.delete(asid);
    } else {
      known.dropSpaces();
      known.dropGlobals();
      this.spaces.clear();
    }
    this.renewFront();
  }

  /** Forgets what ends the walk to an address. */
  private dropAddress(fence: Fence, high: number, low: number): void {
    const { known, state } = this;
    const { asid } = fence;
    if (asid === undefined && this.spaces.size > MOST_SPACES) {
      const { pages } = known;
      for (const at of pages.alive()) {
        const tag = {
          isPage: true,
          space: pages.spaceOf(at),
          order: pages.orderOf(at),
          high: pages.highOf(at),
          low: pages.lowOf(at),
        };
        if (whyLeft(fence, tag, state.global) === undefined) pages.drop(at);
      }
      this.renewFront();
      return;
    }
    let isLarge = false;
    if (asid === undefined) isLarge = known.dropPage(high, low, state.global);
    for (const space of asid === undefined ? this.spaces : [asid]) {
      if (known.dropPage(high, low, space)) isLarge = true;
    }
    if (isLarge) this.renewFront();
    else this.clearFront(low);
  }

  // ---- translation

  /** M-mode, or satp.MODE = Bare: addresses are physical. */
  private translateBare(high: number, low: number, access: number): boolean {
    this.frame = (high >>> 0) * 2 ** 20 + (low >>> 12);
    return this.frame < this.state.frameLimit || this.fault(high, low, access, 'page too far');
  }

  private translateByWalk(high: number, low: number, access: number): boolean {
    const { walk, state, memory } = this;
    const { format } = state;
    if (format === undefined) return false;
    const write = isWrite(access);
    for (let tries = 0; ; tries += 1) {
      const end = this.runWalk(high, low);
      const source: Source = walk.start > 0 ? 'tables' : 'walk';
      const isTooFar = this.isTableTooFar();
      const { depth } = walk;
      if (isTooFar || end !== MAPPED) {
        if (this.remembers) this.remember(high, low, end, isTooFar);
        if (isTooFar) return this.fault(high, low, access, 'table too far');
        if (end === NOT_IN_MEMORY) {
          this.failed.noteAbsent(walk.frame, false, low);
          return false;
        }
        return this.faultByEntry(high, low, access, source, end, 0, format.levels - 1 - depth);
      }
      const denied = state.denials(pteRights(walk.lows[depth]), access);
      // Of a refused access nothing is written back; what it came to is remembered all the same.
      const marks = denied === 0 && state.registers.adue;
      if (marks && !walk.mark(memory, format, write) && tries < MOST_RETRIES) continue;
      if (this.remembers) this.remember(high, low, MAPPED, false);
      if (denied !== 0) {
        return this.faultByEntry(high, low, access, source, MAPPED, denied, format.levels - 1 - depth);
      }
      this.frame = walk.frameAt(format, high, low);
      return this.frame < state.frameLimit || this.fault(high, low, access, 'page too far');
    }
  }

  /** Whether the walk has come to a table beyond the physical addresses of the processor, at its `depth` then. */
  private isTableTooFar(): boolean {
    const { walk } = this;
    const { frameLimit } = this.state;
    if (frameLimit === ALL_FRAMES) return false;
    for (let depth = walk.start; depth <= walk.depth; depth += 1) {
      if (walk.tables[depth] < frameLimit) continue;
      // Nothing behind it counts.
      walk.depth = depth;
      return true;
    }
    return false;
  }

  /** Walks from the lowest table that is remembered. */
  private runWalk(high: number, low: number): number {
    const { walk, memory, state } = this;
    const { format, root } = state;
    if (format === undefined) return NOT_PRESENT;
    const at = this.remembers ? this.known.findTable(high, low) : NONE;
    if (at !== NONE) {
      const { tables } = this.known;
      const depth = state.depthBelow(tables.orderOf(at));
      if (depth > 0 && depth < format.levels) {
        this.above = tables.bitsOf(at) | ~TABLE_NOT_GLOBAL;
        return walk.run(memory, format, high, low, depth, tables.frameOf(at), 0, this.above, 0, undefined);
      }
    }
    this.above = -1;
    return walk.run(memory, format, high, low, 0, root.frame, root.word, -1, 0, undefined);
  }

  /**
   * Remembers what the walk has found.
   *
   * @param isTooFar - whether it ended at a table that is beyond the physical addresses
   */
  private remember(high: number, low: number, end: number, isTooFar: boolean): void {
    const { walk, known, state, detector } = this;
    const { format, orders } = state;
    if (format === undefined) return;
    const { depth } = walk;
    const isGone = end === NOT_IN_MEMORY || isTooFar;
    const before = detector && walk.start > 0 ? known.tables.noteOf(known.findTable(high, low)) : undefined;
    let and = this.above;
    for (let at = walk.start; at < depth; at += 1) {
      and = walk.ands[at];
      const below = (and & TABLE_NOT_GLOBAL) === 0;
      const place = known.addTable(orders[at], high, low, walk.tables[at + 1], and & TABLE_NOT_GLOBAL, below);
      if (detector !== undefined) known.tables.note(place, detector.originOf(walk, high, at, before));
    }
    this.spaces.add(state.space);
    if (isGone || (end !== MAPPED && !this.remembersFaulty)) return;
    const pteLow = walk.lows[depth];
    const pteHigh = walk.highs[depth];
    // Of an entry that faults no bit counts, so its own G does not.
    const isGlobalPage = isGlobal(format.facts, depth, end === MAPPED ? pteLow : 0, and);
    const bits =
      end === MAPPED
        ? pteRights(pteLow) | (((pteHigh >>> PBMT_SHIFT) & 3) << TYPE_SHIFT)
        : FAULTY | (end === NOT_PRESENT ? 0 : RESERVED_ENTRY);
    const origin = detector?.originOf(walk, high, depth, before);
    const { pages } = known;
    const group = end === MAPPED ? groupOrder(format.facts, depth, pteHigh) : 0;
    const first = group !== 0 ? walk.frameAt(format, high, low) : end === MAPPED ? walk.frame : 0;
    this.remembered = known.addPage(high, low, orders[depth], isGlobalPage, first, bits);
    if (origin !== undefined) pages.note(this.remembered, origin);
    if (group !== 0) this.rememberGroup(high, low, group, first, isGlobalPage, bits, origin);
    this.noticeEvictions();
  }

  /**
   * Remembers the other pages of a Svnapot group, as copies of the entry that was read. Of those that are known already the
   * older copy stays.
   *
   * @param group - `log2` of its pages
   * @param frame - of the page of the address
   * @see RISC-V Privileged ISA, chapter "Svnapot"
   */
  private rememberGroup(
    high: number,
    low: number,
    group: number,
    frame: number,
    isGlobalPage: boolean,
    bits: number,
    origin: ReturnType<RiscvDetector['originOf']> | undefined,
  ): void {
    const { known } = this;
    const span = (1 << group) - 1;
    const first = low & ~(span << 12);
    const firstFrame = frame - ((low >>> 12) & span);
    for (let i = 0; i <= span; i += 1) {
      const each = first | (i << 12);
      if (known.findPage(high, each) !== NONE) continue;
      const at = known.addPage(high, each, 0, isGlobalPage, firstFrame + i, bits);
      if (origin !== undefined) known.pages.note(at, origin);
    }
    // Making room may have moved it.
    this.remembered = known.findPage(high, low);
  }

  /** The front may still have pieces of what had to go. */
  private noticeEvictions(): void {
    const { evictions } = this.known.pages;
    if (evictions === this.evictions) return;
    this.evictions = evictions;
    this.renewFront();
  }

  // ---- failures

  private faultByEntry(
    high: number,
    low: number,
    access: number,
    source: Source,
    end: number,
    denied: number,
    level: number,
  ): false {
    this.fault(high, low, access, 'entries');
    this.failed.noteEntries(source, end, denied, level);
    return false;
  }

  /** Notes a fault; the exception is taken. */
  private fault(high: number, low: number, access: number, refusal: Refusal): false {
    this.failed.noteFault(high, low, access, refusal);
    this.cause = this.failed.cause;
    this.causeHigh = 0;
    this.valueHigh = high;
    this.valueLow = low;
    return false;
  }
}

function isWrite(access: number): boolean {
  return (access >= KINDS ? access - KINDS : access) === KIND_WRITE;
}
