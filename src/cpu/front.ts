import { ACCESS_KINDS } from '../format/index.ts';
import { ABSENT, type PhysicalMemory } from '../memory/index.ts';
import type { FailureNote } from './failure-note.ts';

// This module's own constants, which V8 compiles in; what is imported it reads from a cell at each use.
const KINDS = ACCESS_KINDS;
const ABSENT_FRAME = ABSENT;

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

/** {@link Front.reach}: the access faults. */
export const FAULT = -1;
/** {@link Front.reach}: there is no memory at the physical address, or where a table should be. */
export const NO_MEMORY = -2;

/**
 * Turns addresses into places in memory. What was found out for a page and a kind of access is kept in front of all else
 * that a processor remembers, and given again as long as nothing has changed.
 */
export abstract class Front {
  /** Counts what may change a translation that was made before; it wraps around. */
  generation = 0;
  /** Whether a check of privileged accesses to pages of applications is off: RFLAGS.AC against SMAP, PSTATE.PAN. Not on RISC-V. */
  excused = false;
  /** Why the last access failed. */
  abstract readonly failed: FailureNote;
  protected readonly memory: PhysicalMemory;
  private readonly width: { readonly highMask: number };
  /** The 4-KiB frame to which the last translation came. */
  protected frame = 0;
  /** Whether the front is used: what a bounded cache lets go is worth no more. */
  private readonly fronts: boolean;
  private front = newFront(SMALL_FRONT);
  private frontBits = SMALL_FRONT;
  private frontMask = (1 << SMALL_FRONT) - 1;
  private epoch = 1;
  /** Accesses that were not found in the front since it was last renewed. */
  private misses = 0;

  /**
   * @param memory - physical memory
   * @param width - has what bits 63:32 of an address are masked with
   * @param fronts - whether translations stay until they are invalidated, and nobody wants to see every access
   */
  constructor(memory: PhysicalMemory, width: { readonly highMask: number }, fronts: boolean) {
    this.memory = memory;
    this.width = width;
    this.fronts = fronts;
  }

  /**
   * Translates an address for one access, to the 4-KiB frame in `frame`.
   *
   * @param high - bits 63:32 of the address
   * @param low - bits 31:0
   * @param access - kind, with `ACCESS_KINDS` added for a user access
   * @param excused - see {@link Front.excused}
   * @param special - whether the access is special in the way that its architecture has: it goes through the stack segment
   *   (x86), is not aligned (AArch64), or is translated whatever the mode (RISC-V)
   * @returns whether the access is allowed; if not, {@link failed} tells why
   */
  abstract translate(high: number, low: number, access: number, excused: boolean, special: boolean): boolean;

  /**
   * Where the page of an address begins in memory, for one access.
   *
   * @param high - bits 63:32 of the address
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
    const high = highGiven & this.width.highMask;
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
      if (this.translate(high & this.width.highMask, low, access, this.excused, false)) return this.frame;
      return this.failed.exception === undefined ? NO_MEMORY : FAULT;
    }
    if (this.reachSlowly(high, low, access) >= 0) return this.frame;
    if (this.failed.exception !== undefined) return FAULT;
    // A page may well lie where there is no memory; a table may not.
    return this.failed.isPageAbsent ? this.frame : NO_MEMORY;
  }

  /** {@link reach} for an access that is unusual. See {@link translate}. */
  reachWith(high: number, low: number, access: number, excused: boolean, special: boolean): number {
    if (!this.translate(high, low, access, excused, special)) {
      return this.failed.exception === undefined ? NO_MEMORY : FAULT;
    }
    this.memory.current();
    const place = this.memory.locate(this.frame);
    if (place !== ABSENT_FRAME) return place;
    this.failed.noteAbsent(this.frame, true, low);
    return NO_MEMORY;
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
  protected clearFront(low: number): void {
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
}

/** Room for `2 ** bits` pages. */
function newFront(bits: number): Int32Array {
  return new Int32Array((2 * KINDS) << (bits + 2));
}
