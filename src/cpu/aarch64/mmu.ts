import {
  ACCESS_KINDS,
  combinedDescriptors,
  FAULT_STATUS,
  FETCH,
  isGlobal,
  pageAccessed,
  STATUS_ALIGNMENT,
  WRITE,
  withDirty,
} from '../../format/index.ts';
import type { PhysicalMemory } from '../../memory/index.ts';
import { NOT_IN_MEMORY, NOT_PRESENT } from '../../walk/index.ts';
import { Front } from '../front.ts';
import { Lookaside } from '../lookaside.ts';
import type { MmuPolicy } from '../mmu-policy.ts';
import { MAPPED, PageWalk } from '../page-walk.ts';
import { MOST_ENTRIES, NONE } from '../translation-cache.ts';
import { type Aarch64State, depthBelow, type HalfState, isInHalf, untaggedHigh } from './control-state.ts';
import { Aarch64Failure, type Cause, type Source } from './failure.ts';
import * as remembered from './remembered.ts';
import { covers, type TlbInvalidation } from './tlbi.ts';

// This module's own constants, which V8 compiles in; what is imported it reads from a cell at each use.
const KINDS = ACCESS_KINDS;
const KIND_WRITE = WRITE;
const KIND_FETCH = FETCH;
const { ASIDS, GLOBAL, RIGHTS, DIRTY, TYPE_SHIFT, TABLE_OR } = remembered;
const ADDRESS_SIZE = FAULT_STATUS.addressSize;
const TRANSLATION = FAULT_STATUS.translation;
const ACCESS_FLAG = FAULT_STATUS.accessFlag;
const PERMISSION = FAULT_STATUS.permission;

/** How often another thread's changes to an entry may undo a walk before its AF is left as it is. */
const MOST_RETRIES = 1000;
/** Invalidations that wait for a DSB at most; they may always come earlier. */
const MOST_PENDING = 1024;
/** ASIDs under which an address is looked for, one by one. */
const MOST_SPACES = 64;

/** What stands for the bits of an address that is physical already: Device-nGnRnE, all rights. */
const FLAT = -1;

/**
 * Turns virtual addresses into places in memory: looks into the TLB, walks, checks rights, remembers.
 *
 * Everything is remembered that may be, and invalidations come with the next DSB, no earlier.
 */
export class Aarch64Mmu extends Front {
  override readonly failed: Aarch64Failure;
  /** Whether accesses come from EL0, which decides what exceptions say. */
  isUser = false;
  /** ESR_EL1, bits 31:0. */
  syndrome = 0;
  /** FAR_EL1. */
  faultLow = 0;
  /** See {@link faultLow}. */
  faultHigh = 0;
  private readonly state: Aarch64State;
  /** Whether anything is remembered. */
  private readonly remembers: boolean;
  private readonly known: Lookaside;
  private readonly walk = new PageWalk();
  /** Spaces in which there may be something. */
  private readonly spaces = new Set<number>();
  private pending: TlbInvalidation[] = [];
  private evictions = 0;
  /** What is remembered besides the frame to which the last translation came; {@link FLAT} where addresses are physical. */
  private bits = FLAT;
  /** Whether the translation is for an AT instruction: it reports no alignment, and makes nothing dirty. */
  private isQuestion = false;

  constructor(memory: PhysicalMemory, state: Aarch64State, policy: MmuPolicy) {
    const { caching, detector } = policy;
    // A detector wants to see every access.
    super(memory, state, caching === 'all' && detector === undefined);
    this.state = state;
    this.failed = new Aarch64Failure(state, this.walk);
    this.remembers = caching !== 'none';
    this.known = new Lookaside(state, ASIDS, typeof caching === 'number' ? caching : MOST_ENTRIES);
    this.excused = true;
  }

  /**
   * @param excused - whether PSTATE.PAN does not count
   * @param misaligned - whether the access is not aligned
   */
  override translate(
    high: number,
    low: number,
    access: number,
    excused: boolean,
    misaligned: boolean,
  ): boolean {
    const { state } = this;
    const kind = access >= KINDS ? access - KINDS : access;
    if (misaligned) {
      if (kind === KIND_FETCH) return this.abort(high, low, access, STATUS_ALIGNMENT, 'PC');
      if (state.checksAlignment) return this.abort(high, low, access, STATUS_ALIGNMENT, 'SCTLR.A');
    }
    const half = state.halfOf(high);
    const ignoresTag = half.topByteIgnored && !(half.topByteDataOnly && kind === KIND_FETCH);
    const plain = ignoresTag ? untaggedHigh(high) : high;
    if (!state.isOn) return this.translateFlat(high, low, ignoresTag, access, misaligned);
    if (half.format === undefined) return this.abort(high, low, access, TRANSLATION, 'size');
    if (!isInHalf(half, plain, low)) return this.abort(high, low, access, TRANSLATION, 'range');
    if (half.userDisabled && access >= KINDS) {
      return this.abort(high, low, access, TRANSLATION, 'user disabled');
    }
    const at = this.remembers ? this.known.findPage(plain, low) : NONE;
    if (at !== NONE) {
      const { pages } = this.known;
      const bits = pages.bitsOf(at);
      const order = pages.orderOf(at);
      if (misaligned && kind !== KIND_FETCH && state.isDevice(attributeIndex(bits))) {
        return this.abort(high, low, access, STATUS_ALIGNMENT, 'device');
      }
      const denied = state.denials(bits & RIGHTS, access, excused);
      if (denied !== 0) {
        this.abort(high, low, access, PERMISSION | remembered.levelOf(order), 'entries');
        this.failed.noteEntries('TLB', MAPPED, denied);
        return false;
      }
      // Otherwise the walk that clears AP[2] replaces what is remembered, for reads as well.
      if (kind !== KIND_WRITE || (bits & DIRTY) !== 0 || this.isQuestion) {
        this.bits = bits;
        this.frame = pages.frameOf(at) + ((low >>> 12) & ((1 << order) - 1));
        return true;
      }
      if (order > 0) this.renewFront();
      else this.clearFront(low);
    }
    if (half.walksDisabled) return this.abort(high, low, access, TRANSLATION, 'walks disabled');
    if (half.isRootTooHigh) return this.abort(high, low, access, ADDRESS_SIZE, 'root');
    return this.translateByWalk(half, plain, high, low, access, excused, misaligned);
  }

  /**
   * Translates for an AT instruction. See {@link translate}.
   *
   * @returns whether it came to a page; {@link failed} tells why not
   */
  ask(high: number, low: number, access: number, excused: boolean): boolean {
    this.isQuestion = true;
    try {
      return this.translate(high, low, access, excused, false);
    } finally {
      this.isQuestion = false;
    }
  }

  /** Frame of the last translation. */
  get lastFrame(): number {
    return this.frame;
  }

  /** The byte of MAIR_EL1 of the last translation. */
  get lastAttribute(): number {
    return this.bits === FLAT ? 0 : this.state.attributeOf(attributeIndex(this.bits));
  }

  /** Shareability of the last translation, as SH says it. */
  get lastShareability(): number {
    return this.bits === FLAT ? 0 : (this.bits >>> (TYPE_SHIFT + 6)) & 3;
  }

  // ---- invalidation

  /** A TLBI instruction; it is sure to be done at the next {@link complete}. */
  invalidate(invalidation: TlbInvalidation): void {
    if (!this.remembers) return;
    this.pending.push(invalidation);
    if (this.pending.length > MOST_PENDING) this.complete();
  }

  /** A DSB that waits for TLBI instructions. */
  complete(): void {
    const { pending } = this;
    if (pending.length === 0) return;
    this.pending = [];
    for (const invalidation of pending) this.apply(invalidation);
  }

  private apply(invalidation: TlbInvalidation): void {
    const { known } = this;
    const { scope, asid, first, end } = invalidation;
    if (scope === 'nothing') return;
    if (scope === 'all') {
      known.dropSpaces();
      known.dropGlobals();
      this.spaces.clear();
    } else if (scope === 'asid') {
      if (asid !== undefined) {
        known.dropSpace(asid);
        this.spaces.delete(asid);
      }
    } else if (end - first === 1 && (asid !== undefined || this.spaces.size <= MOST_SPACES)) {
      const high = (first * 2 ** -20) | 0;
      const low = (first % 2 ** 20) << 12;
      for (const space of asid === undefined ? this.spaces : [asid])
        this.dropAddress(invalidation, space, high, low);
      this.dropAddress(invalidation, GLOBAL, high, low);
    } else {
      this.dropMatching(invalidation, known.pages, true);
      if (!invalidation.lastLevelOnly) this.dropMatching(invalidation, known.tables, false);
    }
    this.renewFront();
  }

  /** Forgets what an invalidation of one address covers in one space. */
  private dropAddress(invalidation: TlbInvalidation, space: number, high: number, low: number): void {
    const { pages, tables } = this.known;
    const { first } = invalidation;
    const caches = space === GLOBAL || invalidation.lastLevelOnly ? [pages] : [pages, tables];
    for (const cache of caches) {
      const isPage = cache === pages;
      for (const order of isPage ? this.state.pageOrders : this.state.tableOrders) {
        const at = cache.has(order) ? cache.find(order, space, high, low) : NONE;
        if (at !== NONE && covers(invalidation, { isPage, space, order, first })) cache.drop(at);
      }
    }
  }

  /** Forgets what an invalidation covers, whatever it is. */
  private dropMatching(invalidation: TlbInvalidation, cache: Lookaside['pages'], isPage: boolean): void {
    for (const at of cache.alive()) {
      const first = (cache.highOf(at) >>> 0) * 2 ** 20 + (cache.lowOf(at) >>> 12);
      const entry = { isPage, space: cache.spaceOf(at), order: cache.orderOf(at), first };
      if (covers(invalidation, entry)) cache.drop(at);
    }
  }

  // ---- translation

  /** Stage 1 is off: virtual addresses are physical ones, and all memory is a device. */
  private translateFlat(
    high: number,
    low: number,
    ignoresTag: boolean,
    access: number,
    misaligned: boolean,
  ): boolean {
    const { physBits } = this.state.registers;
    const address = ignoresTag ? high & 0x00ff_ffff : high;
    if (physBits === 32 ? address !== 0 : address >>> (physBits - 32) !== 0) {
      return this.abort(high, low, access, ADDRESS_SIZE, 'flat');
    }
    if (misaligned) return this.abort(high, low, access, STATUS_ALIGNMENT, 'device');
    this.frame = (address >>> 0) * 2 ** 20 + (low >>> 12);
    this.bits = FLAT;
    return true;
  }

  /** @param given - bits 63:32 as they were given, with a tag */
  private translateByWalk(
    half: HalfState,
    high: number,
    given: number,
    low: number,
    access: number,
    excused: boolean,
    misaligned: boolean,
  ): boolean {
    const { walk, state, memory } = this;
    const { format } = half;
    if (format === undefined) return false;
    const { facts } = format;
    const kind = access >= KINDS ? access - KINDS : access;
    for (let tries = 0; ; tries += 1) {
      const end = this.runWalk(half, high, low);
      const source: Source = walk.start > 0 ? 'tables' : 'walk';
      const { depth } = walk;
      const level = half.firstLevel + depth;
      if (end === NOT_IN_MEMORY) {
        this.failed.noteAbsent(walk.frame, false, low);
        return false;
      }
      if (end !== MAPPED) {
        const status = end === NOT_PRESENT ? TRANSLATION : ADDRESS_SIZE;
        this.abort(given, low, access, status | level, 'entries');
        this.failed.noteEntries(source, end, 0);
        return false;
      }
      const leaf = walk.lows[depth];
      const hasFlag = (leaf & pageAccessed(facts, depth)) !== 0;
      if (!hasFlag && state.flagFaults) {
        this.abort(given, low, access, ACCESS_FLAG | level, 'access flag');
        this.failed.noteEntries(source, MAPPED, 0);
        return false;
      }
      const rights = combinedDescriptors(walk.and, walk.or);
      const denied = state.denials(rights, access, excused);
      const isDevice = misaligned && kind !== KIND_FETCH && state.isDevice((leaf >>> 2) & 7);
      const isRefused = denied !== 0 || isDevice;
      const write = kind === KIND_WRITE && !this.isQuestion;
      // Of a refused access nothing is written back; what it came to may be remembered if its flag is set.
      if (!isRefused && !walk.mark(memory, format, write) && tries < MOST_RETRIES) continue;
      const marked = walk.lows[depth];
      const dirty = withDirty(facts, depth, marked, walk.highs[depth]) === marked ? DIRTY : 0;
      this.bits = rights | dirty | (((leaf >>> 2) & 0xff) << TYPE_SHIFT);
      const order = walk.order(format);
      if (this.remembers && (marked & pageAccessed(facts, depth)) !== 0)
        this.remember(half, high, low, order);
      if (isDevice) return this.abort(given, low, access, STATUS_ALIGNMENT, 'device');
      if (denied !== 0) {
        this.abort(given, low, access, PERMISSION | level, 'entries');
        this.failed.noteEntries(source, MAPPED, denied);
        return false;
      }
      this.frame = walk.frame + ((low >>> 12) & ((1 << order) - 1));
      return true;
    }
  }

  /** Walks from the lowest table that is remembered. */
  private runWalk(half: HalfState, high: number, low: number): number {
    const { walk, memory } = this;
    const { format, root } = half;
    if (format === undefined) return NOT_PRESENT;
    const at = this.remembers ? this.known.findTable(high, low) : NONE;
    if (at !== NONE) {
      const { tables } = this.known;
      const depth = depthBelow(half, tables.orderOf(at));
      if (depth > 0 && depth < format.levels) {
        const or = tables.bitsOf(at) & TABLE_OR;
        return walk.run(memory, format, high, low, depth, tables.frameOf(at), 0, -1, or, undefined);
      }
    }
    return walk.run(memory, format, high, low, 0, root.frame, root.word, -1, 0, undefined);
  }

  /** Remembers what the walk has found. */
  private remember(half: HalfState, high: number, low: number, order: number): void {
    const { walk, known, state } = this;
    const { format, orders } = half;
    if (format === undefined) return;
    for (let depth = walk.start; depth < walk.depth; depth += 1) {
      known.addTable(orders[depth], high, low, walk.tables[depth + 1], walk.ors[depth] & TABLE_OR);
    }
    const isGlobalPage = isGlobal(format.facts, walk.depth, walk.lows[walk.depth]);
    known.addPage(high, low, order, isGlobalPage, walk.frame, this.bits);
    this.spaces.add(state.space);
    // The front may still have pieces of what had to go.
    const { evictions } = known.pages;
    if (evictions === this.evictions) return;
    this.evictions = evictions;
    this.renewFront();
  }

  /** Notes an abort; unless it is for an AT instruction, the exception is taken. */
  private abort(high: number, low: number, access: number, status: number, cause: Cause): false {
    // Unprivileged accesses are checked as those of EL0, but their exceptions come from where they are.
    const kind = access >= KINDS ? access - KINDS : access;
    this.failed.noteAbort(high, low, this.isUser ? kind + KINDS : kind, status, cause);
    if (!this.isQuestion) {
      this.syndrome = this.failed.syndrome;
      this.faultHigh = high;
      this.faultLow = low;
    }
    return false;
  }
}

function attributeIndex(bits: number): number {
  return (bits >>> TYPE_SHIFT) & 7;
}
