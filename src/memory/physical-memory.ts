import { FRAME_WORDS, hex, highHalf, joinHalves, lowHalf, PageTableError } from '../bits/index.ts';
import { FrameHash } from './frame-hash.ts';

// Constants of this module's own, which V8 compiles in; exported and imported ones it reads from a cell at each use.
const WORDS = FRAME_WORDS;

/** What {@link PhysicalMemory.locate} answers for a frame that is not there. */
export const ABSENT = -1;

/** Finds frames that lie neither in a memory's direct run nor in its pool. */
export interface FrameLookup {
  /**
   * @param frame - frame number, an integer in `[0, 2^52)`
   * @returns index of the frame's first word in the memory's `words`, or {@link ABSENT}
   */
  locate(frame: number): number;
}

const NO_POOL = new FrameHash();

/** Finds nothing. */
export const NO_FRAMES: FrameLookup = { locate: () => ABSENT };

/**
 * Physical memory as page-table code sees it: one array of 32-bit words, and where each 4-KiB frame lies in it.
 *
 * Every kind of memory is an instance of this one class, so that a walk compiled for one kind stays compiled when
 * another kind comes along. The frames `[first, first + count)` lie at the start of `words`, one after the other;
 * those of the pool have their slot there, and all others are found by `lookup`.
 */
export class PhysicalMemory {
  /** All words, little-endian as the machine's. Replaced when the memory grows: read it afresh for each operation. */
  words: Uint32Array;
  /** First frame of the direct run. */
  first: number;
  /** Number of frames in the direct run; 0 if there is none. */
  count: number;
  /** Where all other frames are. */
  readonly lookup: FrameLookup;
  /** Frames that came one by one; slot `n` lies at word `n * 1024`. */
  private readonly pool: FrameHash;
  private readonly renew: (() => Uint32Array) | undefined;
  /** Whether another thread may write while we read: entries are then loaded and stored whole, with one atomic access. */
  readonly shared: boolean;
  /** Bits 63:32 of the entry that was last loaded. */
  high = 0;
  private wide: BigUint64Array | undefined;
  /** The words of which `wide` is a view. */
  private wideOf: Uint32Array | undefined;

  /**
   * @param words - the words; starts with the direct run
   * @param first - first frame of the direct run
   * @param count - frames in the direct run
   * @param lookup - finds the other frames
   * @param renew - makes a new view when the one in use was detached (a WebAssembly memory that has grown)
   * @param pool - frames that came one by one
   */
  constructor(
    words: Uint32Array,
    first: number,
    count: number,
    lookup: FrameLookup = NO_FRAMES,
    renew?: () => Uint32Array,
    pool: FrameHash = NO_POOL,
  ) {
    this.words = words;
    this.first = first;
    this.count = count;
    this.lookup = lookup;
    this.renew = renew;
    this.pool = pool;
    this.shared = typeof SharedArrayBuffer !== 'undefined' && words.buffer instanceof SharedArrayBuffer;
  }

  /**
   * @param frame - frame number, an integer in `[0, 2^52)`
   * @returns index of the frame's first word in `words`, or {@link ABSENT}
   */
  locate(frame: number): number {
    const place = frame - this.first;
    if (place >= 0 && place < this.count) return place * WORDS;
    const slot = this.pool.slotOf(frame);
    return slot < 0 ? this.lookup.locate(frame) : slot * WORDS;
  }

  /** The words, from a fresh view if the last one was detached. */
  current(): Uint32Array {
    if (this.words.length === 0 && this.renew !== undefined) this.words = this.renew();
    return this.words;
  }

  /**
   * Loads a 64-bit entry. From a SharedArrayBuffer it is one atomic load, which never sees half of a store.
   *
   * @param at - index of the entry's low word, even
   * @returns bits 31:0, signed; bits 63:32, signed, are then in {@link high}
   */
  loadEntry(at: number): number {
    if (this.shared) {
      const entry = Atomics.load(this.entries(), at >>> 1);
      this.high = highHalf(entry);
      return lowHalf(entry);
    }
    const words = this.words;
    this.high = words[at + 1] | 0;
    return words[at] | 0;
  }

  /**
   * Stores a 64-bit entry. On a SharedArrayBuffer it is one atomic store, so that another thread never sees half of it.
   *
   * @param at - index of the entry's low word, even
   * @param low - bits 31:0
   * @param high - bits 63:32
   */
  storeEntry(at: number, low: number, high: number): void {
    if (this.shared) {
      Atomics.store(this.entries(), at >>> 1, joinHalves(low, high));
    } else {
      const words = this.words;
      words[at] = low;
      words[at + 1] = high;
    }
  }

  /**
   * Changes the low half of an entry, as a processor changes accessed and dirty bits: on a SharedArrayBuffer with one atomic
   * operation, and only if the entry still is what it was.
   *
   * @param at - index of the entry's low word
   * @param low - bits 31:0 that it had
   * @param high - bits 63:32 that it had
   * @param next - bits 31:0 that it gets
   * @param wide - whether it has 64 bits; otherwise 32
   * @returns whether the entry was still that
   */
  changeLow(at: number, low: number, high: number, next: number, wide: boolean): boolean {
    if (!this.shared) {
      this.words[at] = next;
      return true;
    }
    if (!wide) return (Atomics.compareExchange(this.words, at, low, next) | 0) === (low | 0);
    const before = joinHalves(low, high);
    return Atomics.compareExchange(this.entries(), at >>> 1, before, joinHalves(next, high)) === before;
  }

  /**
   * Reads a 64-bit entry of a table.
   *
   * @param frame - the table's frame number, an integer in `[0, 2^52)`
   * @param index - of the entry in its frame, in `[0, 512)`
   * @returns bits 31:0, signed; bits 63:32, signed, are then in {@link high}
   * @throws {@link PageTableError} `NOT_IN_MEMORY` if the frame is not there
   */
  readEntry(frame: number, index: number): number {
    return this.loadEntry(this.place(frame) + (index << 1));
  }

  /**
   * Writes a 64-bit entry of a table, as {@link storeEntry} does.
   *
   * @param frame - the table's frame number, an integer in `[0, 2^52)`
   * @param index - of the entry in its frame, in `[0, 512)`
   * @param low - bits 31:0
   * @param high - bits 63:32
   * @throws {@link PageTableError} `NOT_IN_MEMORY` if the frame is not there
   */
  writeEntry(frame: number, index: number, low: number, high: number): void {
    this.storeEntry(this.place(frame) + (index << 1), low, high);
  }

  /**
   * Fills a frame with zeros.
   *
   * @param frame - an integer in `[0, 2^52)`
   * @throws {@link PageTableError} `NOT_IN_MEMORY` if it is not there
   */
  clearFrame(frame: number): void {
    const at = this.place(frame);
    this.words.fill(0, at, at + WORDS);
  }

  /**
   * Whether a frame holds nothing but zeros.
   *
   * @param frame - an integer in `[0, 2^52)`
   * @throws {@link PageTableError} `NOT_IN_MEMORY` if it is not there
   */
  isClear(frame: number): boolean {
    return this.isClearAt(this.place(frame));
  }

  /** The same for the frame that begins at a word. */
  isClearAt(start: number): boolean {
    const words = this.words;
    for (let at = start; at < start + WORDS; at += 4) {
      if ((words[at] | words[at + 1] | words[at + 2] | words[at + 3]) !== 0) return false;
    }
    return true;
  }

  private place(frame: number): number {
    this.current();
    const at = this.locate(frame);
    if (at !== ABSENT) return at;
    throw new PageTableError('NOT_IN_MEMORY', `memory: there is no frame ${hex(frame)} in it`, { frame });
  }

  private entries(): BigUint64Array {
    const words = this.words;
    if (this.wide === undefined || this.wideOf !== words) {
      this.wide = new BigUint64Array(words.buffer, words.byteOffset, words.length >>> 1);
      this.wideOf = words;
    }
    return this.wide;
  }
}
