/** Builds page tables by hand: frames that are made when they are first written to. */
import type { SparseMemory as FrameMap } from './random-tables.ts';
import { writeEntry } from './random-tables.ts';

/** Frames with entries in them; all other frames are absent. */
export class Tables {
  /** Frame number to 1024 words. */
  readonly frames: FrameMap = new Map();
  readonly entryBytes: 4 | 8;

  constructor(entryBytes: 4 | 8 = 8) {
    this.entryBytes = entryBytes;
  }

  /** Makes a frame; one that is new holds zeros. */
  add(frame: number): Uint32Array {
    const words = this.frames.get(frame) ?? new Uint32Array(1024);
    this.frames.set(frame, words);
    return words;
  }

  /** Stores entry `index` of the table in `frame`. */
  set(frame: number, index: number, value: bigint): this {
    this.add(frame);
    writeEntry(this.frames, (BigInt(frame) << 12n) + BigInt(index * this.entryBytes), this.entryBytes, value);
    return this;
  }

  /** Stores all entries of the table in `frame`. */
  fill(frame: number, value: (index: number) => bigint): this {
    for (let index = 0; index < 4096 / this.entryBytes; index += 1) this.set(frame, index, value(index));
    return this;
  }
}

/** An entry that names a frame: its address and its flags. */
export function entryTo(frame: number, flags: bigint): bigint {
  return (BigInt(frame) << 12n) | flags;
}
