import { FRAME_WORDS } from '../bits/index.ts';
import { ABSENT, type FrameLookup, type PhysicalMemory } from './physical-memory.ts';
import { DEFAULT_MAX_FRAMES, SparseMemory } from './sparse.ts';

/** One 32-bit word that differs from the base. */
export interface WordChange {
  readonly frame: number;
  /** Index of the word in its frame, in `[0, 1024)`. */
  readonly word: number;
  readonly before: number;
  readonly after: number;
}

/**
 * A scratch copy of another memory: reads see the base, writes stay here.
 *
 * A frame is copied when it is first touched, so that all words lie in one array. The base must not change while the
 * overlay is in use.
 */
export class OverlayMemory implements FrameLookup {
  /** What walks read and edits write. */
  readonly memory: PhysicalMemory;
  private readonly base: PhysicalMemory;
  private readonly copies: SparseMemory;

  constructor(base: PhysicalMemory, maxFrames = DEFAULT_MAX_FRAMES) {
    this.base = base;
    this.copies = new SparseMemory(maxFrames, this);
    this.memory = this.copies.memory;
  }

  /** Copies a frame that is touched for the first time. */
  locate(frame: number): number {
    const from = this.base.locate(frame);
    if (from === ABSENT) return ABSENT;
    const at = this.copies.add(frame);
    this.memory.words.set(this.base.current().subarray(from, from + FRAME_WORDS), at);
    return at;
  }

  /** Every word that differs from the base, by the order in which frames were first touched, then by place. */
  changes(): WordChange[] {
    const base = this.base.current();
    const changes: WordChange[] = [];
    for (const frame of this.copies.frames()) {
      const from = this.base.locate(frame);
      const to = this.copies.locate(frame);
      for (let word = 0; word < FRAME_WORDS; word += 1) {
        const before = base[from + word];
        const after = this.memory.words[to + word];
        if (before !== after) changes.push({ frame, word, before, after });
      }
    }
    return changes;
  }
}
