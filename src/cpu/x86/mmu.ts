import { addressOf, joinHalves } from '../../bits/index.ts';
import {
  ACCESS_KINDS,
  andRights,
  CAUSE_NOT_PRESENT,
  CAUSE_RESERVED,
  causeOf,
  combinedIndex,
  denials,
  denialTexts,
  isGlobal,
  orRights,
  pageDirty,
  pageFaultBits,
  pageFaultCode,
  patIndexOf,
  WRITE,
} from '../../format/index.ts';
import { ABSENT, type PhysicalMemory } from '../../memory/index.ts';
import { NOT_IN_MEMORY, NOT_PRESENT } from '../../walk/index.ts';
import type { Absent, Fault } from '../outcome.ts';
import { MAPPED, PageWalk } from '../page-walk.ts';
import { MOST_ENTRIES, NONE, pageKind, TranslationCache } from '../translation-cache.ts';
import type { ControlState } from './control-state.ts';

// This module's own constants, which V8 compiles in; what is imported it reads from a cell at each use.
const KINDS = ACCESS_KINDS;
const ABSENT_FRAME = ABSENT;

/** Address spaces: a PCID has 12 bits; global translations have a space of their own. */
const PCIDS = 4096;
const GLOBAL = PCIDS;

// What is remembered of a page besides its frame: seven bits of rights, then these.
const RIGHTS = 0x7f;
const DIRTY = 0x80;
/** Index into PAT. */
const TYPE_SHIFT = 8;

// What is remembered of a table: R/W and U/S at their places in an entry's low half, XD at its place in the high half.
const TABLE_AND = 6;
const TABLE_OR = 0x8000_0000 | 0;

// The front: for each access and each of a few pages, where the page begins in memory. Four numbers each: bits 63:32 of
// the page's address; bits 31:12, with the epoch in the bits below; the word; nothing.
const FRONT_BITS = 9;
const FRONT_MASK = (1 << FRONT_BITS) - 1;
const PAGE_BITS = ~0xfff;
const LAST_EPOCH = 0xfff;

/** How often another thread's changes to the entries may undo a walk before its A and D bits are left unset. */
const MOST_RETRIES = 1000;

/** {@link Mmu.reach}: the access faults. */
export const FAULT = -1;
/** {@link Mmu.reach}: there is no memory at the physical address, or where a table should be. */
export const NO_MEMORY = -2;

/** Where a translation came from, or an entry that decided a fault: a full walk, the TLB, or a walk that began below the root. */
type Source = 'walk' | 'TLB' | 'tables';

/** How a processor uses the freedom that the architecture leaves it. */
export interface MmuPolicy {
  readonly caching: 'all' | 'none' | number;
  readonly accessedDirty: boolean;
}

/**
 * Turns linear addresses into places in memory: looks into the TLB, walks, checks rights, remembers.
 *
 * A failed access leaves what failed in the fields, and {@link failure} makes an answer of it.
 */
export class Mmu {
  /** CR2. */
  cr2Low = 0;
  /** See {@link cr2Low}. */
  cr2High = 0;
  /** RFLAGS.AC. */
  excused = false;
  private readonly memory: PhysicalMemory;
  private readonly state: ControlState;
  private readonly remembers: boolean;
  private readonly marks: boolean;
  private readonly cache: TranslationCache;
  private readonly walk = new PageWalk();
  private readonly front = new Int32Array((2 * ACCESS_KINDS) << (FRONT_BITS + 2));
  private epoch = 1;
  /** Whether there may be global translations. */
  private globals = false;
  private evictions = 0;

  // What the last translation came to: the 4-KiB frame, and what is remembered besides it.
  private frame = 0;
  private bits = 0;

  // The last failure: `exception` is undefined where memory was missing, and `frame` then says which.
  private exception: Fault['exception'] | undefined;
  private failHigh = 0;
  private failLow = 0;
  private errorCode = 0;
  private denied = 0;
  private end: number = MAPPED;
  private source: Source = 'walk';

  constructor(memory: PhysicalMemory, state: ControlState, { caching, accessedDirty }: MmuPolicy) {
    this.memory = memory;
    this.state = state;
    this.remembers = caching !== 'none';
    this.marks = accessedDirty;
    this.cache = new TranslationCache(PCIDS + 1, typeof caching === 'number' ? caching : MOST_ENTRIES);
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
    const at = (((low >>> 12) & FRONT_MASK) | (access << FRONT_BITS)) << 2;
    if (front[at] === high && front[at + 1] === ((low & PAGE_BITS) | this.epoch)) return front[at + 2];
    return this.reachSlowly(high, low, access);
  }

  private reachSlowly(high: number, low: number, access: number): number {
    const place = this.reachWith(high, low, access, this.excused, false);
    if (place >= 0 && this.remembers) {
      const front = this.front;
      const at = (((low >>> 12) & FRONT_MASK) | (access << FRONT_BITS)) << 2;
      front[at] = high;
      front[at + 1] = (low & PAGE_BITS) | this.epoch;
      front[at + 2] = place;
    }
    return place;
  }

  /** {@link reach} for an access that is unusual. See {@link translate}. */
  reachWith(high: number, low: number, access: number, excused: boolean, stack: boolean): number {
    if (!this.translate(high, low, access, excused, stack)) {
      return this.exception === undefined ? NO_MEMORY : FAULT;
    }
    this.memory.current();
    const place = this.memory.locate(this.frame);
    if (place !== ABSENT_FRAME) return place;
    this.exception = undefined;
    return NO_MEMORY;
  }

  /**
   * Translates an address for one access; the frame is then {@link frameReached}.
   *
   * @param access - kind, with `ACCESS_KINDS` added for a user access
   * @param excused - whether SMAP does not apply
   * @param stack - whether the access goes through the stack segment
   * @returns whether the access is allowed; if not, {@link failure} tells why
   */
  translate(high: number, low: number, access: number, excused: boolean, stack: boolean): boolean {
    const { state } = this;
    const { format } = state;
    if (!state.isCanonical(high)) return this.refuse(stack ? '#SS' : '#GP', high, low, 0);
    if (format === undefined) {
      this.frame = low >>> 12;
      this.bits = 0;
      return true;
    }
    const write = (access >= KINDS ? access - KINDS : access) === WRITE;
    let at = this.remembers ? this.findPage(high, low) : NONE;
    if (at !== NONE) {
      const bits = this.cache.bitsOf(at);
      const denied = denials(bits & RIGHTS, access, state.rights, excused);
      if (denied !== 0) return this.refuseRights(high, low, access, denied, bits & RIGHTS, 'TLB');
      // The walk that sets the dirty bit replaces what is remembered.
      if (write && (bits & DIRTY) === 0) at = NONE;
    }
    if (at !== NONE) {
      const order = this.cache.kindOf(at) >> 1;
      this.bits = this.cache.bitsOf(at);
      this.frame = this.cache.frameOf(at) + ((low >>> 12) & ((1 << order) - 1));
      return true;
    }
    return this.translateByWalk(high, low, access, write, excused);
  }

  /** The 4-KiB frame to which the last address was translated. */
  get frameReached(): number {
    return this.frame;
  }

  // ---- invalidation

  /** INVLPG: the translations of a page, global ones as well, and every table of the current PCID. */
  invalidatePage(high: number, low: number): void {
    if (!this.state.isCanonical(high)) return;
    this.dropPage(high, low, this.state.pcid);
    this.dropPage(high, low, GLOBAL);
    this.cache.dropTables(this.state.pcid);
  }

  /** INVPCID type 0: the translations of a page under a PCID, and its tables. */
  invalidatePageOf(pcid: number, high: number, low: number): void {
    this.dropPage(high, low, pcid);
    this.cache.dropTables(pcid);
  }

  /** Everything of a PCID that is not global. */
  invalidatePcid(pcid: number): void {
    this.cache.dropPages(pcid);
    this.cache.dropTables(pcid);
    this.renewFront();
  }

  /** Everything of a PCID, and global translations. */
  invalidatePcidAndGlobals(pcid: number): void {
    this.invalidatePcid(pcid);
    this.cache.dropPages(GLOBAL);
    this.globals = false;
  }

  /** Everything of all PCIDs that is not global. */
  invalidatePcids(): void {
    this.cache.dropSpaces(PCIDS);
    this.renewFront();
  }

  /** Everything. */
  invalidateAll(): void {
    this.cache.dropSpaces(PCIDS + 1);
    this.globals = false;
    this.renewFront();
  }

  /** After a change on which rights depend, which invalidates nothing. */
  renewFront(): void {
    this.epoch += 1;
    if (this.epoch > LAST_EPOCH) {
      this.front.fill(0);
      this.epoch = 1;
    }
  }

  // ---- translation

  private findPage(high: number, low: number): number {
    const { cache, globals } = this;
    const { pageKinds, pcid } = this.state;
    for (let i = 0; i < pageKinds.length; i += 1) {
      const kind = pageKinds[i];
      if (!cache.has(kind)) continue;
      const at = cache.find(kind, pcid, high, low);
      if (at !== NONE) return at;
      if (globals) {
        const global = cache.find(kind, GLOBAL, high, low);
        if (global !== NONE) return global;
      }
    }
    return NONE;
  }

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
      if (end === NOT_IN_MEMORY) return this.refuseMemory(walk.frame);
      const source: Source = walk.start > 0 ? 'tables' : 'walk';
      if (end !== MAPPED) {
        this.end = end;
        const cause = end === NOT_PRESENT ? CAUSE_NOT_PRESENT : CAUSE_RESERVED;
        return this.refusePage(high, low, access, cause, source);
      }
      const key = state.keys ? walk.highs[walk.depth] : 0;
      const rights = combinedIndex(walk.and, walk.or, key);
      const denied = denials(rights, access, state.rights, excused);
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
    const { walk, state, cache, memory } = this;
    const { format, root, tableKinds, pcid, pdptes } = state;
    if (format === undefined) return NOT_PRESENT;
    if (this.remembers) {
      for (let depth = format.levels - 1; depth > 0; depth -= 1) {
        const kind = tableKinds[depth - 1];
        const at = cache.has(kind) ? cache.find(kind, pcid, high, low) : NONE;
        if (at === NONE) continue;
        const bits = cache.bitsOf(at);
        const and = bits | ~TABLE_AND;
        return walk.run(
          memory,
          format,
          high,
          low,
          depth,
          cache.frameOf(at),
          0,
          and,
          bits & TABLE_OR,
          undefined,
        );
      }
    }
    return walk.run(memory, format, high, low, 0, root.frame, root.word, -1, 0, pdptes);
  }

  private remember(high: number, low: number, order: number, leaf: number): void {
    const { walk, state, cache } = this;
    const { format, tableKinds, pcid } = state;
    if (format === undefined) return;
    for (let depth = walk.start; depth < walk.depth; depth += 1) {
      // What PAE paging keeps in registers is no cache.
      if (walk.places[depth] < 0) continue;
      const bits = (walk.ands[depth] & TABLE_AND) | (walk.ors[depth] & TABLE_OR);
      cache.insert(tableKinds[depth], pcid, high, low, walk.tables[depth + 1], bits);
    }
    const global = isGlobal(format.facts, walk.depth, leaf);
    if (global) this.globals = true;
    cache.insert(pageKind(order), global ? GLOBAL : pcid, high, low, walk.frame, this.bits);
    // The front may still have pieces of what had to go.
    if (cache.evictions !== this.evictions) {
      this.evictions = cache.evictions;
      this.renewFront();
    }
  }

  /** Forgets the translations of a page in one space. */
  private dropPage(high: number, low: number, space: number): void {
    const { cache } = this;
    const { pageKinds } = this.state;
    for (let i = 0; i < pageKinds.length; i += 1) {
      const kind = pageKinds[i];
      const at = cache.has(kind) ? cache.find(kind, space, high, low) : NONE;
      if (at === NONE) continue;
      cache.drop(at);
      if (i > 0) this.renewFront();
    }
    for (let access = 0; access < 2 * KINDS; access += 1) {
      this.front[((((low >>> 12) & FRONT_MASK) | (access << FRONT_BITS)) << 2) + 1] = 0;
    }
  }

  // ---- failures

  private refuse(exception: Fault['exception'], high: number, low: number, errorCode: number): false {
    this.exception = exception;
    this.failHigh = high;
    this.failLow = low;
    this.errorCode = errorCode;
    this.source = 'walk';
    return false;
  }

  private refuseMemory(frame: number): false {
    this.exception = undefined;
    this.frame = frame;
    return false;
  }

  private refuseRights(
    high: number,
    low: number,
    access: number,
    denied: number,
    rights: number,
    source: Source,
  ): false {
    this.end = MAPPED;
    this.denied = denied;
    this.bits = rights;
    return this.refusePage(high, low, access, causeOf(denied), source);
  }

  /** A page fault: CR2 is written, and whatever is remembered for the address is forgotten. */
  private refusePage(high: number, low: number, access: number, cause: number, source: Source): false {
    this.refuse('#PF', high, low, pageFaultCode(access, cause, this.state.fetches));
    this.source = source;
    this.cr2High = high;
    this.cr2Low = low;
    if (this.remembers) this.forget(high, low);
    return false;
  }

  /** What a page fault invalidates: all that would be used for its address. */
  private forget(high: number, low: number): void {
    const { cache } = this;
    const { tableKinds, pcid } = this.state;
    this.dropPage(high, low, pcid);
    this.dropPage(high, low, GLOBAL);
    for (const kind of tableKinds) {
      const at = cache.has(kind) ? cache.find(kind, pcid, high, low) : NONE;
      if (at !== NONE) cache.drop(at);
    }
  }

  /** Whether the last failure was a fault that came from what was remembered. */
  get isFromCache(): boolean {
    return this.exception === '#PF' && this.source !== 'walk';
  }

  /** Why the last access failed. */
  failure(): Fault | Absent {
    const { exception, errorCode } = this;
    if (exception === undefined) return { kind: 'absent', address: addressOf(this.frame) };
    const address = joinHalves(this.failLow, this.failHigh);
    const isPageFault = exception === '#PF';
    return {
      kind: 'fault',
      exception,
      errorCode,
      errorBits: isPageFault ? pageFaultBits(errorCode) : [],
      address,
      cr2: isPageFault ? address : undefined,
      because: isPageFault ? this.reasons() : ['address not canonical'],
      fromCache: this.isFromCache,
    };
  }

  private reasons(): string[] {
    const { walk } = this;
    const levels = this.state.format?.fact.levels ?? [];
    const name = levels[walk.depth]?.entry ?? '';
    if (this.end === NOT_PRESENT) return [`P = 0 in ${name}`];
    if (this.end !== MAPPED) return [`reserved bit set in ${name}`];
    return denialTexts(this.denied, this.bits, (bit) => {
      if (this.source === 'TLB') return ' in the translation that the TLB holds';
      const names = levels.filter(
        (_, depth) => depth >= walk.start && depth <= walk.depth && this.takes(depth, bit),
      );
      return names.length === 0
        ? ' in an entry above, which the paging-structure caches hold'
        : ` in ${names.map(({ entry }) => entry).join(', ')}`;
    });
  }

  /** Whether an entry of the last walk takes a right away. */
  private takes(depth: number, bit: 'U/S' | 'R/W' | 'XD'): boolean {
    const { walk } = this;
    const facts = this.state.format?.facts;
    if (facts === undefined) return false;
    if (bit === 'XD') return orRights(facts, depth, 0, walk.highs[depth]) !== 0;
    return (andRights(facts, depth, -1, walk.lows[depth]) & (bit === 'R/W' ? 2 : 4)) === 0;
  }
}
