import { expect, test } from 'vitest';
import { PageTableError } from '../../src/bits/index.ts';
import { x86Paging } from '../../src/format/index.ts';
import { ABSENT, OverlayMemory } from '../../src/memory/index.ts';
import { Walker } from '../../src/walk/index.ts';
import { entryTo, Tables } from '../support/tables.ts';
import { controlsOf, layOut } from '../support/x86-cases.ts';

/** A word of a frame. The words are asked for last: touching a frame may replace them. */
function get(overlay: OverlayMemory, frame: number, word: number): number {
  const at = overlay.memory.locate(frame) + word;
  return overlay.memory.words[at];
}

function put(overlay: OverlayMemory, frame: number, word: number, value: number): void {
  const at = overlay.memory.locate(frame) + word;
  overlay.memory.words[at] = value;
}

const FROM_ZERO = { first: 0, end: 8 };

function tables(): Tables {
  const made = new Tables();
  for (const frame of [1, 2, 3, 4]) made.set(frame, 0, entryTo(frame === 4 ? 0x55 : frame + 1, 0x27n));
  return made;
}

for (const layout of ['flat', 'regions', 'sparse'] as const) {
  test(`over ${layout} memory: reads see the base, writes stay, and are listed exactly`, () => {
    const { memory: base } = layOut(tables().frames, layout, FROM_ZERO);
    const original = base.words.slice();
    const overlay = new OverlayMemory(base);
    const walker = new Walker(overlay.memory, x86Paging(controlsOf({ mode: '4-level', cr3: 0x1000n }).ours));
    expect(walker.translate(0)).toBe(0x55);
    expect(overlay.changes()).toEqual([]);

    overlay.memory.storeEntry(overlay.memory.locate(4) + 2, 0x66_027, 0x8000_0000);
    put(overlay, 2, 1023, 7);
    expect(walker.translate(1)).toBe(0x66);
    expect(overlay.changes()).toEqual([
      { frame: 2, word: 1023, before: 0, after: 7 },
      { frame: 4, word: 2, before: 0, after: 0x66_027 },
      { frame: 4, word: 3, before: 0, after: 0x8000_0000 },
    ]);

    // A word that is put back is no change.
    put(overlay, 2, 1023, 0);
    expect(overlay.changes().map(({ frame }) => frame)).toEqual([4, 4]);
    // Clearing one is.
    put(overlay, 3, 0, 0);
    expect(overlay.changes()[0]).toEqual({ frame: 3, word: 0, before: 0x4027, after: 0 });
    expect(base.words).toEqual(original);
  });
}

test('a frame that the base does not have is absent, and stays so', () => {
  const overlay = new OverlayMemory(layOut(tables().frames, 'sparse', FROM_ZERO).memory);
  expect([overlay.memory.locate(9), overlay.memory.locate(9), overlay.locate(2 ** 40)]).toEqual([
    ABSENT,
    ABSENT,
    ABSENT,
  ]);
  expect(overlay.changes()).toEqual([]);
});

test('places stay valid while more frames are touched', () => {
  const frames = new Tables();
  for (let frame = 0; frame < 300; frame += 1) frames.add(frame).fill(frame + 1);
  const overlay = new OverlayMemory(layOut(frames.frames, 'sparse', FROM_ZERO).memory);
  const first = overlay.memory.locate(0);
  put(overlay, 0, 0, 0xabcd);
  for (let frame = 299; frame > 0; frame -= 1) {
    expect(get(overlay, frame, 1023)).toBe(frame + 1);
  }
  expect(overlay.memory.locate(0)).toBe(first);
  expect(overlay.changes()).toEqual([{ frame: 0, word: 0, before: 1, after: 0xabcd }]);
});

test('an overlay over an overlay changes neither the one below nor the base', () => {
  const { memory: base } = layOut(tables().frames, 'flat', FROM_ZERO);
  const lower = new OverlayMemory(base);
  const upper = new OverlayMemory(lower.memory);
  put(lower, 1, 8, 1);
  put(upper, 1, 9, 2);
  expect(upper.changes()).toEqual([{ frame: 1, word: 9, before: 0, after: 2 }]);
  expect(lower.changes()).toEqual([{ frame: 1, word: 8, before: 0, after: 1 }]);
  expect(get(upper, 1, 8)).toBe(1);
});

test('touching more frames than allowed is a typed error', () => {
  const overlay = new OverlayMemory(layOut(tables().frames, 'flat', FROM_ZERO).memory, 2);
  overlay.memory.locate(1);
  overlay.memory.locate(2);
  const more = () => overlay.memory.locate(3);
  expect(more).toThrow(PageTableError);
  expect(more).toThrow(expect.objectContaining({ code: 'LIMIT_EXCEEDED' }));
  expect(overlay.memory.locate(1)).not.toBe(ABSENT);
});
