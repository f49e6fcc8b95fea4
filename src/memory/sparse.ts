import { FRAME_WORDS, hex, PageTableError } from '../bits/index.ts';
import { FrameHash } from './frame-hash.ts';
import { ABSENT, type FrameLookup, NO_FRAMES, PhysicalMemory } from './physical-memory.ts';

/** Frames that a sparse memory may hold unless its maker says otherwise: 1,048,576, which is 4 GiB. */
export const DEFAULT_MAX_FRAMES = 1 << 20;

/**
 * Memory of which only some frames are there: a pool of frames, and a hash from frame number to place in the pool.
 */
export class SparseMemory {
  /** What walks read. */
  readonly memory: PhysicalMemory;
  /** Frames that it may hold. */
  readonly maxFrames: number;
  private readonly pool = new FrameHash();

  /**
   * @param maxFrames - frames that it may hold
   * @param lookup - asked for frames that it does not hold
   */
  constructor(maxFrames = DEFAULT_MAX_FRAMES, lookup: FrameLookup = NO_FRAMES) {
    this.maxFrames = maxFrames;
    this.memory = new PhysicalMemory(new Uint32Array(0), 0, 0, lookup, undefined, this.pool);
  }

  /** Frames held. */
  get size(): number {
    return this.pool.size;
  }

  /** The frame numbers held, in the order in which they came. */
  frames(): Float64Array {
    return this.pool.frames();
  }

  /**
   * @param frame - frame number, an integer in `[0, 2^52)`
   * @returns index of the frame's first word in `memory.words`, or `ABSENT`
   */
  locate(frame: number): number {
    const slot = this.pool.slotOf(frame);
    return slot < 0 ? ABSENT : slot * FRAME_WORDS;
  }

  /**
   * Makes room for a frame; one that is new holds zeros. It may replace `memory.words`: take the index first, then the
   * words.
   *
   * @param frame - frame number, an integer in `[0, 2^52)`
   * @returns index of its first word in `memory.words`
   * @throws {@link PageTableError} `LIMIT_EXCEEDED` if it holds `maxFrames` already
   */
  add(frame: number): number {
    const known = this.locate(frame);
    if (known !== ABSENT) return known;
    if (this.size >= this.maxFrames) {
      throw new PageTableError(
        'LIMIT_EXCEEDED',
        `sparse memory: frame ${hex(frame)} would be one more than the ${this.maxFrames} frames it may hold`,
        { frame, maxFrames: this.maxFrames },
      );
    }
    const at = this.pool.add(frame) * FRAME_WORDS;
    if (this.memory.words.length <= at) {
      const frames = Math.max(this.size, Math.min(this.pool.capacity, this.maxFrames));
      const words = new Uint32Array(frames * FRAME_WORDS);
      words.set(this.memory.words);
      this.memory.words = words;
    }
    return at;
  }
}
