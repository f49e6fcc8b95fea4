import { FRAME_WORDS, hex, PageTableError } from '../bits/index.ts';
import { ABSENT, type FrameLookup, PhysicalMemory } from './physical-memory.ts';

/** Frames that a sparse memory may hold unless its maker says otherwise: 1,048,576, which is 4 GiB. */
export const DEFAULT_MAX_FRAMES = 1 << 20;

const SMALLEST_TABLE = 64;

// Constants of this module's own, which V8 compiles in; exported and imported ones it reads from a cell at each use.
const WORDS = FRAME_WORDS;
const NOT_THERE = ABSENT;

/**
 * Memory of which only some frames are there: a pool of frames, and an open-addressing hash from frame number to pool
 * slot.
 */
export class SparseMemory implements FrameLookup {
  /** What walks read. */
  readonly memory: PhysicalMemory;
  /** Frames that it may hold. */
  readonly maxFrames: number;
  /** Frame number by pool slot. */
  private frameOf = new Float64Array(SMALLEST_TABLE / 2);
  /** Pool slot by hash place, plus 1; 0 where the place is free. */
  private slots = new Int32Array(SMALLEST_TABLE);
  private used = 0;

  constructor(maxFrames = DEFAULT_MAX_FRAMES) {
    this.maxFrames = maxFrames;
    this.memory = new PhysicalMemory(new Uint32Array(0), 0, 0, this);
  }

  /** Frames held. */
  get size(): number {
    return this.used;
  }

  /** The frame numbers held, in the order in which they came. */
  frames(): Float64Array {
    return this.frameOf.slice(0, this.used);
  }

  locate(frame: number): number {
    const slots = this.slots;
    const mask = slots.length - 1;
    for (let place = hashOf(frame) & mask; ; place = (place + 1) & mask) {
      const slot = slots[place] - 1;
      if (slot < 0) return NOT_THERE;
      if (this.frameOf[slot] === frame) return slot * WORDS;
    }
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
    if (this.used >= this.maxFrames) {
      throw new PageTableError(
        'LIMIT_EXCEEDED',
        `sparse memory: frame ${hex(frame)} would be one more than the ${this.maxFrames} frames it may hold`,
        { frame, maxFrames: this.maxFrames },
      );
    }
    const slot = this.used;
    this.used += 1;
    if (slot === this.frameOf.length) this.grow();
    const end = (slot + 1) * FRAME_WORDS;
    if (this.memory.words.length < end) {
      const words = new Uint32Array(Math.max(end, this.frameOf.length * FRAME_WORDS));
      words.set(this.memory.words);
      this.memory.words = words;
    }
    this.frameOf[slot] = frame;
    this.insert(slot);
    return slot * FRAME_WORDS;
  }

  private insert(slot: number): void {
    const mask = this.slots.length - 1;
    let place = hashOf(this.frameOf[slot]) & mask;
    while (this.slots[place] !== 0) place = (place + 1) & mask;
    this.slots[place] = slot + 1;
  }

  /** Doubles the pool and keeps the hash at most half full. */
  private grow(): void {
    const count = this.frameOf.length;
    const frameOf = new Float64Array(Math.min(count * 2, Math.max(this.maxFrames, count + 1)));
    frameOf.set(this.frameOf);
    this.frameOf = frameOf;
    this.slots = new Int32Array(this.slots.length * 2);
    for (let slot = 0; slot < count; slot += 1) this.insert(slot);
  }
}

/**
 * Multiplicative hash of the low 32 bits of a frame number. At most 256 frames of a 52-bit space share them, and taking
 * the upper bits in would put a floating-point division into each step of a walk.
 */
function hashOf(frame: number): number {
  const mixed = Math.imul(frame | 0, 0x9e3779b1);
  return mixed ^ (mixed >>> 15);
}
