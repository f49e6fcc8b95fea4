/** A machine made of frames in a map. */
import type { FrameRange, Machine } from '../../src/machine/index.ts';
import type { SparseMemory as FrameMap } from './random-tables.ts';

/** A machine that remembers which frames it was asked for. */
export interface FrameMachine extends Machine {
  /** Every frame asked for, in order. */
  readonly asked: number[];
  /** How many frames each call asked for. */
  readonly calls: number[];
}

/** The machine that has these frames and no others. */
export function machineFrom(frames: FrameMap): FrameMachine {
  const asked: number[] = [];
  const calls: number[] = [];
  return {
    kind: 'frames of a test',
    architecture: 'x86',
    longMode: undefined,
    cpus: [],
    roots: [],
    frames: rangesOf([...frames.keys()].sort((a, b) => a - b)),
    remarks: [],
    asked,
    calls,
    async readFrames(wanted, target) {
      calls.push(wanted.length);
      const present = new Uint8Array(wanted.length);
      for (let i = 0; i < wanted.length; i += 1) {
        asked.push(wanted[i]);
        const words = frames.get(wanted[i]);
        if (words === undefined) continue;
        target.set(new Uint8Array(words.buffer, words.byteOffset, 4096), i * 4096);
        present[i] = 1;
      }
      return present;
    },
    async close() {},
  };
}

function rangesOf(sorted: readonly number[]): FrameRange[] {
  const ranges: FrameRange[] = [];
  for (const frame of sorted) {
    const last = ranges[ranges.length - 1];
    if (last?.end === frame) ranges[ranges.length - 1] = { first: last.first, end: frame + 1 };
    else ranges.push({ first: frame, end: frame + 1 });
  }
  return ranges;
}
