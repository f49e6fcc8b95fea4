import { expect, test } from 'vitest';
import { PageTableError } from '../../src/bits/index.ts';
import { ABSENT, DEFAULT_MAX_FRAMES, SparseMemory } from '../../src/memory/index.ts';
import { createRandom } from '../support/random-tables.ts';

/** Adds a frame and stores a word there. The words are asked for last: adding may replace them. */
function put(sparse: SparseMemory, frame: number, word: number, value: number): void {
  const at = sparse.add(frame) + word;
  sparse.memory.words[at] = value;
}

/** A word of a frame, which is added if it is not there. */
function get(sparse: SparseMemory, frame: number, word: number): number {
  const at = sparse.add(frame) + word;
  return sparse.memory.words[at];
}

test('a frame that was added is found, and holds zeros; others are absent', () => {
  const sparse = new SparseMemory();
  const at = sparse.add(0x1234);
  expect(sparse.memory.words.subarray(at, at + 1024).every((word) => word === 0)).toBe(true);
  expect(sparse.locate(0x1234)).toBe(at);
  expect(sparse.memory.locate(0x1234)).toBe(at);
  for (const frame of [0, 0x1233, 0x1235, 0x1234 + 2 ** 32, 2 ** 40]) {
    expect([frame, sparse.locate(frame), sparse.memory.locate(frame)]).toEqual([frame, ABSENT, ABSENT]);
  }
});

test('empty memory holds nothing', () => {
  const sparse = new SparseMemory();
  expect([sparse.size, sparse.frames().length, sparse.locate(0), sparse.memory.locate(0)]).toEqual([
    0,
    0,
    ABSENT,
    ABSENT,
  ]);
});

test('adding a frame again gives the same place and keeps its words', () => {
  const sparse = new SparseMemory();
  const at = sparse.add(7);
  sparse.memory.words[at + 1023] = 99;
  expect([sparse.add(7), sparse.size]).toEqual([at, 1]);
  expect(sparse.memory.words[at + 1023]).toBe(99);
});

test('frames that differ only above bit 32, or have equal low bits, are kept apart', () => {
  const frames = [
    0,
    1,
    2 ** 32,
    2 ** 32 + 1,
    2 ** 33,
    2 ** 39,
    2 ** 40 - 1,
    2 ** 40,
    2 ** 51,
    2 ** 52 - 1,
    2 ** 31,
    2 ** 31 - 1,
  ];
  const sparse = new SparseMemory();
  frames.forEach((frame, i) => {
    put(sparse, frame, i, i + 1);
  });
  expect(sparse.size).toBe(frames.length);
  frames.forEach((frame, i) => {
    const at = sparse.locate(frame);
    expect([...sparse.memory.words.subarray(at, at + frames.length)]).toEqual(
      frames.map((_, k) => (k === i ? i + 1 : 0)),
    );
  });
});

test('it grows: thousands of frames all over 52 bits are found with their words, in the order in which they came', () => {
  const seed = 77;
  const random = createRandom(seed);
  const frames = new Map<number, number>();
  const sparse = new SparseMemory();
  for (let i = 0; i < 5000; i += 1) {
    // Runs of neighbours, as tables often are, and frames anywhere below 2^40.
    const frame = i % 2 === 0 ? 0x10_0000 + i : Math.floor((random.next() / 2 ** 32) * 2 ** 40);
    if (!frames.has(frame)) frames.set(frame, i);
    put(sparse, frame, 3, frames.get(frame) ?? 0);
  }
  console.log(`sparse memory: ${frames.size} frames, seed ${seed}`);
  expect(sparse.size).toBe(frames.size);
  expect([...sparse.frames()]).toEqual([...frames.keys()]);
  for (const [frame, i] of frames) expect(sparse.memory.words[sparse.locate(frame) + 3]).toBe(i);
  for (const frame of frames.keys())
    if (!frames.has(frame + 2 ** 41)) expect(sparse.locate(frame + 2 ** 41)).toBe(ABSENT);
});

test.each([1, 2, 31, 32, 33, 40, 64, 65])('a limit of %d frames is kept exactly', (maxFrames) => {
  const sparse = new SparseMemory(maxFrames);
  for (let frame = 0; frame < maxFrames; frame += 1) put(sparse, frame * 1000, 0, frame);
  const more = () => sparse.add(5);
  expect(more).toThrow(PageTableError);
  expect(more).toThrow(expect.objectContaining({ code: 'LIMIT_EXCEEDED', detail: { frame: 5, maxFrames } }));
  // What it has is untouched, and may be asked for again.
  expect(sparse.size).toBe(maxFrames);
  for (let frame = 0; frame < maxFrames; frame += 1) {
    expect(get(sparse, frame * 1000, 0)).toBe(frame);
  }
  expect(sparse.locate(5)).toBe(ABSENT);
});

test('the limit is 4 GiB unless given', () => {
  expect(DEFAULT_MAX_FRAMES * 4096).toBe(2 ** 32);
  expect(new SparseMemory().maxFrames).toBe(DEFAULT_MAX_FRAMES);
});

test('frames that an image chose so that they fall on one hash place cost no more than a second, or are a typed error', () => {
  // The inverse of what the hash multiplies by gives low halves of which the lowest 21 bits of the hash are all 0.
  let inverse = 1;
  for (let i = 0; i < 5; i += 1) inverse = Math.imul(inverse, 2 - Math.imul(0x9e3779b1, inverse));
  const frames: number[] = [];
  for (let high = 0; frames.length < 40_000; high += 1) {
    for (let top = 0; top < 2048; top += 1) {
      let mixed = top << 21;
      for (let bit = 16; bit >= 0; bit -= 1) mixed |= ((mixed >>> (bit + 15)) & 1) << bit;
      frames.push(high * 2 ** 32 + ((Math.imul(mixed, inverse) ^ high) >>> 0));
    }
  }
  expect(Math.max(...frames)).toBeLessThan(2 ** 40);
  const sparse = new SparseMemory();
  const started = performance.now();
  let code = 'none';
  try {
    for (const frame of frames) sparse.add(frame);
  } catch (error) {
    code = error instanceof PageTableError ? error.code : String(error);
  }
  const elapsed = performance.now() - started;
  console.log(`sparse memory: ${sparse.size} chosen frames in ${elapsed.toFixed(0)} ms, error ${code}`);
  expect(['none', 'LIMIT_EXCEEDED']).toContain(code);
  expect(elapsed).toBeLessThan(10_000);
});
