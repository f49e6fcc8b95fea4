import { describe, expect, test } from 'vitest';
import { PageTableError } from '../../src/bits/index.ts';
import { x86Paging } from '../../src/format/index.ts';
import { flatMemory, type PhysicalMemory } from '../../src/memory/index.ts';
import { NON_CANONICAL, NOT_IN_MEMORY, NOT_PRESENT, RESERVED, Walker } from '../../src/walk/index.ts';
import { entryTo, Tables } from '../support/tables.ts';
import { controlsOf, layOut, MODES, type Switches, sparseFrom } from '../support/x86-cases.ts';

// Expected values: formats.md 1.1-1.5, by hand. P, R/W, U/S, A and D.
const TABLE = 0x27n;
const PAGE = 0x67n;
const PS = 0x80n;
const XD = 1n << 63n;

function walkerOf(memory: PhysicalMemory, switches: Switches): Walker {
  return new Walker(memory, x86Paging(controlsOf(switches).ours));
}

/** Linear page 0x8080604: indices 1, 2, 3 and 4 of four levels. */
const PAGE_1234 = (1 << 27) + (2 << 18) + (3 << 9) + 4;

/** Root in frame 1, tables in 2, 3 and 4, the page in 0x12345. */
function fourLevels(): Tables {
  return new Tables()
    .set(1, 1, entryTo(2, TABLE))
    .set(2, 2, entryTo(3, TABLE))
    .set(3, 3, entryTo(4, TABLE))
    .set(4, 4, entryTo(0x12345, PAGE));
}

const FROM_ZERO = { first: 0, end: 16 };

describe('a page number that is not a whole number in [0, 2^52) is an error, whatever the tables hold', () => {
  // Entries 0 and 511 of every level lead on, so that a wrong number finds a page.
  const everywhere = new Tables();
  for (const frame of [1, 2, 3, 4]) everywhere.fill(frame, () => entryTo(frame + 1, TABLE));
  const bad = [-1, -4096, 0.5, 1.25, 2 ** 52, 2 ** 52 + 2, 2 ** 53, Number.NaN, Infinity, -Infinity];

  for (const layout of ['flat', 'sparse'] as const) {
    for (const mode of MODES) {
      test.each(bad)(`${layout}, ${mode}: page %d`, (page) => {
        const { memory } = layOut(everywhere.frames, layout, FROM_ZERO);
        const walker = walkerOf(memory, { mode, cr3: 0x1000n });
        for (const walk of [() => walker.translate(page), () => walker.path(page)]) {
          expect(walk).toThrow(PageTableError);
          expect(walk).toThrow(expect.objectContaining({ code: 'OUT_OF_RANGE', detail: { page } }));
        }
      });
    }
  }
});

describe('frame numbers beyond 2^31 are compared in full, never modulo 2^32', () => {
  // A table at 16 TiB + 0x5000 is not the one at 0x5000.
  const FAR = 2 ** 32;

  test('a root above 16 TiB that is not in memory is not the frame 2^32 below it', () => {
    const { memory } = layOut(fourLevels().frames, 'flat', FROM_ZERO);
    const walker = walkerOf(memory, { mode: '4-level', physBits: 52, cr3: BigInt(FAR + 1) << 12n });
    expect(walker.path(PAGE_1234)).toMatchObject({ end: 'not-in-memory', frame: FAR + 1, steps: [] });
    expect(walker.translate(PAGE_1234)).toBe(NOT_IN_MEMORY);
  });

  test('a root below RAM that begins at 16 TiB is not the frame 2^32 above it', () => {
    const tables = new Tables();
    for (const [frame, words] of fourLevels().frames) tables.add(FAR + frame).set(words);
    const { memory } = layOut(tables.frames, 'flat', { first: FAR, end: FAR + 16 });
    const walker = walkerOf(memory, { mode: '4-level', physBits: 52, cr3: 0x1000n });
    expect(walker.path(PAGE_1234)).toMatchObject({ end: 'not-in-memory', frame: 1 });
    expect(walker.translate(PAGE_1234)).toBe(NOT_IN_MEMORY);
  });

  test('nor are tables named 2^32 frames too low', () => {
    const tables = new Tables();
    for (const [frame, words] of fourLevels().frames) tables.add(FAR + frame).set(words);
    const { memory } = layOut(tables.frames, 'flat', { first: FAR, end: FAR + 16 });
    const walker = walkerOf(memory, { mode: '4-level', physBits: 52, cr3: BigInt(FAR + 1) << 12n });
    expect(walker.path(PAGE_1234)).toMatchObject({ end: 'not-in-memory', frame: 2, steps: [{ depth: 0 }] });
    expect(walker.translate(PAGE_1234)).toBe(NOT_IN_MEMORY);
  });

  test('no root is not frame 2^32 - 1: other formats than 4-level are walked from their own root', () => {
    // The root's entries are 0. In frame 2^32 - 1, and 2^32 frames above frame 1, stand tables that lead on.
    const first = 2 ** 32 - 2;
    const tables = new Tables()
      .fill(first + 1, () => entryTo(1, TABLE))
      .fill(FAR + 1, () => entryTo(1, TABLE));
    const { memory } = layOut(tables.frames, 'flat', { first, end: first + 8 });
    const walker = walkerOf(memory, { mode: '5-level', physBits: 52, cr3: BigInt(first) << 12n });
    expect(walker.path(0)).toMatchObject({ end: 'not-present', steps: [{ depth: 0 }] });
    expect(walker.translate(0)).toBe(NOT_PRESENT);
  });

  test.each([2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 40 - 1])(
    'a page in frame %d translates to it',
    (frame) => {
      const { memory } = layOut(fourLevels().set(4, 4, entryTo(frame, PAGE)).frames, 'flat', FROM_ZERO);
      const walker = walkerOf(memory, { mode: '4-level', physBits: 52, cr3: 0x1000n });
      expect(walker.translate(PAGE_1234)).toBe(frame);
      expect(walker.path(PAGE_1234).frame).toBe(frame);
    },
  );
});

describe('what other tools got wrong', () => {
  test('a table is found although its entry has XD, ignored bits and a key set (gdb-pt-dump -walk)', () => {
    const high = XD | (0x7ffn << 52n);
    const tables = new Tables()
      .set(1, 1, entryTo(2, TABLE | high))
      .set(2, 2, entryTo(3, TABLE | high))
      .set(3, 3, entryTo(4, TABLE | high))
      .set(4, 4, entryTo(0x12345, PAGE | high));
    for (const layout of ['flat', 'sparse'] as const) {
      const walker = walkerOf(layOut(tables.frames, layout, FROM_ZERO).memory, {
        mode: '4-level',
        cr3: 0x1000n,
      });
      expect(walker.translate(PAGE_1234)).toBe(0x12345);
    }
  });

  test('physical address bits 51:50 are kept (QEMU info tlb loses them)', () => {
    for (const mode of ['4-level', '5-level'] as const) {
      const tables = mode === '4-level' ? fourLevels() : fourLevels().set(5, 0, entryTo(1, TABLE));
      tables.set(4, 4, entryTo(0xc0_0000_0001, PAGE)).set(3, 4, entryTo(0xc0_0000_0200, PAGE | PS));
      const cr3 = mode === '4-level' ? 0x1000n : 0x5000n;
      const walker = walkerOf(layOut(tables.frames, 'flat', FROM_ZERO).memory, { mode, cr3, physBits: 52 });
      expect(walker.translate(PAGE_1234)).toBe(0xc0_0000_0001);
      expect(walker.translate(PAGE_1234 + 512)).toBe(0xc0_0000_0204);
    }
  });

  test('XD of a PAE entry is no address bit (QEMU info tlb prints it as one)', () => {
    const tables = new Tables()
      .set(1, 0, entryTo(2, 1n))
      .set(2, 0, entryTo(3, TABLE | XD))
      .set(3, 7, entryTo(0x12345, PAGE | XD))
      .set(2, 1, entryTo(0x400, PAGE | PS | XD));
    const walker = walkerOf(sparseFrom(tables.frames).memory, { mode: 'PAE', cr3: 0x1000n });
    expect(walker.translate(7)).toBe(0x12345);
    expect(walker.translate(512 + 9)).toBe(0x409);
  });

  test('a 4-MiB page has its address bits 39:32 in bits 20:13 (QEMU info tlb ignores PSE-36)', () => {
    // Bits 20:13 = 0xa5: PA 39:32. PAT in bit 12 is no address bit.
    const tables = new Tables(4).set(1, 3, 0x0080_0000n | (0xa5n << 13n) | (1n << 12n) | PAGE | PS);
    const memory = sparseFrom(tables.frames).memory;
    const page = 3 * 1024 + 5;
    expect(walkerOf(memory, { mode: '32-bit', cr3: 0x1000n, physBits: 40 }).translate(page)).toBe(0xa50_0805);
    expect(
      walkerOf(memory, { mode: '32-bit', cr3: 0x1000n, physBits: 40, pse36: false }).translate(page),
    ).toBe(RESERVED);
    // With 36 address bits, bits 16:13 are address and 21:17 reserved.
    expect(walkerOf(memory, { mode: '32-bit', cr3: 0x1000n, physBits: 36 }).translate(page)).toBe(RESERVED);
  });

  test('PML5 entry 0 maps 2^48 bytes from address 0, none of them sign-extended (gdb-pt-dump)', () => {
    const tables = fourLevels().set(5, 0, entryTo(1, TABLE)).set(1, 511, entryTo(2, TABLE));
    const walker = walkerOf(layOut(tables.frames, 'flat', FROM_ZERO).memory, {
      mode: '5-level',
      cr3: 0x5000n,
    });
    // PML4 entry 511 of PML5 entry 0: address 0x0000ff80_8060_4000, canonical with 57 bits.
    const upper = 511 * 2 ** 27 + (PAGE_1234 - 2 ** 27);
    expect(walker.translate(upper)).toBe(0x12345);
    expect(walker.translate(2 ** 52 - 2 ** 36 + upper)).toBe(NOT_PRESENT);
  });

  test('two entries that are equal both map (gdb-pt-dump and Volatility 3 skip the second)', () => {
    const tables = fourLevels().set(1, 300, entryTo(2, TABLE)).set(2, 511, entryTo(3, TABLE));
    const walker = walkerOf(layOut(tables.frames, 'flat', FROM_ZERO).memory, {
      mode: '4-level',
      cr3: 0x1000n,
    });
    const sign = 2 ** 52 - 2 ** 36;
    expect(walker.translate(sign + 300 * 2 ** 27 + (PAGE_1234 - 2 ** 27))).toBe(0x12345);
    expect(walker.translate(PAGE_1234 + 509 * 2 ** 18)).toBe(0x12345);
  });

  test('addresses with all of bits 47:0 are translated (Volatility 3 has a 45-bit limit)', () => {
    const tables = new Tables();
    for (const frame of [1, 2, 3, 4]) tables.set(frame, 511, entryTo(frame + 1, frame === 4 ? PAGE : TABLE));
    for (const frame of [1, 2, 3, 4]) tables.set(frame, 255, entryTo(frame + 1, frame === 4 ? PAGE : TABLE));
    const walker = walkerOf(layOut(tables.frames, 'flat', FROM_ZERO).memory, {
      mode: '4-level',
      cr3: 0x1000n,
    });
    expect(walker.translate(2 ** 52 - 1)).toBe(5);
    expect(walker.translate(255 * (2 ** 27 + 2 ** 18 + 2 ** 9 + 1))).toBe(5);
  });
});

describe('canonical addresses', () => {
  const all = new Tables();
  for (const frame of [1, 2, 3, 4, 5]) all.fill(frame, () => entryTo(frame + 1, TABLE));

  test.each([
    ['4-level', 2 ** 35],
    ['5-level', 2 ** 44],
  ] as const)('%s: only the pages below and above the hole are translated', (mode, half) => {
    const walker = walkerOf(layOut(all.frames, 'flat', FROM_ZERO).memory, { mode, cr3: 0x1000n });
    for (const page of [0, half - 1, 2 ** 52 - half, 2 ** 52 - 1]) {
      expect(walker.translate(page)).toBe(mode === '4-level' ? 5 : 6);
    }
    for (const page of [half, half + 1, 2 ** 51, 2 ** 52 - half - 1]) {
      expect(walker.translate(page)).toBe(NON_CANONICAL);
      expect(walker.path(page)).toEqual({
        end: 'non-canonical',
        steps: [],
        frame: undefined,
        pageShift: undefined,
      });
    }
  });

  test.each(['32-bit', 'PAE'] as const)('%s: there is nothing above 4 GiB', (mode) => {
    const walker = walkerOf(layOut(all.frames, 'flat', FROM_ZERO).memory, { mode, cr3: 0x1000n });
    expect(walker.translate(2 ** 20)).toBe(NON_CANONICAL);
    expect(walker.translate(2 ** 52 - 1)).toBe(NON_CANONICAL);
  });
});

describe('what decides', () => {
  const walk = (tables: Tables, switches: Partial<Switches> = {}) =>
    (['flat', 'sparse'] as const).map((layout) => {
      const walker = walkerOf(layOut(tables.frames, layout, FROM_ZERO).memory, {
        mode: '4-level',
        cr3: 0x1000n,
        physBits: 40,
        ...switches,
      });
      const path = walker.path(PAGE_1234);
      return [walker.translate(PAGE_1234), path.end, path.steps.length];
    });
  const both = <T>(value: T) => [value, value];

  test('P = 0 beats reserved bits of the same entry', () => {
    expect(walk(fourLevels().set(3, 3, entryTo(4, (TABLE & ~1n) | (1n << 51n))))).toEqual(
      both([NOT_PRESENT, 'not-present', 3]),
    );
  });

  test('a reserved bit of a higher entry beats P = 0 of a lower one', () => {
    const tables = fourLevels()
      .set(2, 2, entryTo(3, TABLE | (1n << 45n)))
      .set(4, 4, 0n);
    expect(walk(tables)).toEqual(both([RESERVED, 'reserved', 2]));
  });

  test('PS = 1 in a PML4E is a reserved bit', () => {
    expect(walk(fourLevels().set(1, 1, entryTo(2, TABLE | PS)))).toEqual(both([RESERVED, 'reserved', 1]));
  });

  test('PS = 1 in a PDPTE is a reserved bit without 1-GiB pages, and a page with them', () => {
    const tables = fourLevels().set(2, 2, entryTo(0x40000, PAGE | PS));
    expect(walk(tables, { page1GB: false })).toEqual(both([RESERVED, 'reserved', 2]));
    expect(walk(tables)).toEqual(both([0x40000 + 3 * 512 + 4, 'mapped', 2]));
  });

  test('CR4.PSE plays no part outside 32-bit paging', () => {
    const tables = fourLevels().set(3, 3, entryTo(0x600, PAGE | PS));
    expect(walk(tables, { pse: false })).toEqual(both([0x604, 'mapped', 3]));
  });

  test('bit 63 is reserved in every entry while EFER.NXE = 0', () => {
    for (const [frame, index] of [
      [1, 1],
      [2, 2],
      [3, 3],
      [4, 4],
    ]) {
      const tables = fourLevels();
      const next = frame === 4 ? 0x12345 : frame + 1;
      tables.set(frame, index, entryTo(next, TABLE | XD));
      expect(walk(tables, { nxe: false })).toEqual(both([RESERVED, 'reserved', frame]));
      expect(walk(tables, { nxe: true })).toEqual(both([0x12345, 'mapped', 4]));
    }
  });

  test('bit 8 of a PML4E is reserved on AMD processors only, and of no lower table entry', () => {
    const top = fourLevels().set(1, 1, entryTo(2, TABLE | 0x100n));
    expect(walk(top, { amd: true })).toEqual(both([RESERVED, 'reserved', 1]));
    expect(walk(top)).toEqual(both([0x12345, 'mapped', 4]));
    const lower = fourLevels()
      .set(2, 2, entryTo(3, TABLE | 0x100n))
      .set(3, 3, entryTo(4, TABLE | 0x100n));
    expect(walk(lower, { amd: true })).toEqual(both([0x12345, 'mapped', 4]));
  });

  test('a PTE has no PS: its bit 7 is PAT', () => {
    expect(walk(fourLevels().set(4, 4, entryTo(0x12345, PAGE | PS)))).toEqual(both([0x12345, 'mapped', 4]));
  });

  test('a table that is not in memory is named, with the entries that lead to it', () => {
    const tables = fourLevels().set(3, 3, entryTo(0xabcde, TABLE));
    expect(walk(tables)).toEqual(both([NOT_IN_MEMORY, 'not-in-memory', 3]));
    const path = walkerOf(sparseFrom(tables.frames).memory, { mode: '4-level', cr3: 0x1000n }).path(
      PAGE_1234,
    );
    expect(path).toMatchObject({ frame: 0xabcde, pageShift: undefined });
    expect(path.steps[2]).toEqual({
      depth: 2,
      tableFrame: 3,
      index: 3,
      address: 0x3018n,
      low: 0xabcde027 | 0,
      high: 0,
    });
  });
});

describe('memory that grows or changes between walks', () => {
  test('a walk sees what was written since the last one', () => {
    const tables = fourLevels();
    const { memory } = layOut(tables.frames, 'flat', FROM_ZERO);
    const walker = walkerOf(memory, { mode: '4-level', cr3: 0x1000n });
    expect(walker.translate(PAGE_1234)).toBe(0x12345);
    memory.storeEntry(memory.locate(4) + 8, 0x777_0000 | 0x67, 0);
    expect(walker.translate(PAGE_1234)).toBe(0x7770);
    memory.storeEntry(memory.locate(4) + 8, 0, 0);
    expect(walker.translate(PAGE_1234)).toBe(NOT_PRESENT);
  });

  test('two walkers with other control state share one memory', () => {
    const tables = fourLevels().set(4, 4, entryTo(0x12345, PAGE | XD));
    const { memory } = layOut(tables.frames, 'flat', FROM_ZERO);
    const plain = walkerOf(memory, { mode: '4-level', cr3: 0x1000n, nxe: false });
    const withNxe = walkerOf(memory, { mode: '4-level', cr3: 0x1000n, nxe: true });
    expect([plain.translate(PAGE_1234), withNxe.translate(PAGE_1234)]).toEqual([RESERVED, 0x12345]);
  });

  test('in memory of all ones every page ends at a reserved bit of the root', () => {
    const ones = flatMemory(new Uint32Array(4096).fill(0xffff_ffff).buffer);
    for (const mode of MODES) {
      const walker = walkerOf(ones, { mode, cr3: 0x1000n, physBits: 40 });
      expect(walker.translate(0)).toBe(RESERVED);
      expect(walker.path(0)).toMatchObject({ end: 'reserved', steps: [{ depth: 0, low: -1 }] });
    }
  });
});
