import { describe, expect, test } from 'vitest';
import { PageTableError } from '../../src/bits/index.ts';
import { capturePath, captureTables, readLinear } from '../../src/capture/index.ts';
import { x86Paging } from '../../src/format/index.ts';
import { listRegions } from '../../src/inspect/index.ts';
import { SparseMemory } from '../../src/memory/index.ts';
import { Walker } from '../../src/walk/index.ts';
import { granule64K } from '../support/granule-64k.ts';
import { machineFrom } from '../support/machine-from.ts';
import { interestingAddresses, randomTables } from '../support/random-tables.ts';
import { entryTo, Tables } from '../support/tables.ts';
import { controlsOf, layOut, MODES } from '../support/x86-cases.ts';

const TABLE = 0x27n;
const PAGE = 0x67n;
const PAGING = x86Paging(controlsOf({ mode: '4-level', cr3: 0x1000n, physBits: 40 }).ours);

/** Root 1; user half: tables 2, 3, 4; kernel half: tables 5, 6 and the shared 4. */
function twoHalves(): Tables {
  return new Tables()
    .set(1, 0, entryTo(2, TABLE))
    .set(1, 511, entryTo(5, TABLE))
    .set(2, 0, entryTo(3, TABLE))
    .set(3, 0, entryTo(4, TABLE))
    .set(5, 511, entryTo(6, TABLE))
    .set(6, 511, entryTo(4, TABLE))
    .set(4, 0, entryTo(0x77, PAGE))
    .set(4, 511, entryTo(0x78, PAGE));
}

const UPPER_HALF = 2 ** 52 - 2 ** 35;
const sorted = (frames: Iterable<number>) => [...frames].sort((a, b) => a - b);

describe('captureTables', () => {
  test('brings every table once, no page, and what is walked afterwards is the same', async () => {
    const tables = twoHalves();
    tables.add(0x77);
    const machine = machineFrom(tables.frames);
    const captured = await captureTables(machine, PAGING);
    expect(sorted(captured.frames())).toEqual([1, 2, 3, 4, 5, 6]);
    expect(sorted(machine.asked)).toEqual([1, 2, 3, 4, 5, 6]);
    const whole = layOut(tables.frames, 'sparse', { first: 0, end: 0 }).memory;
    expect(listRegions(captured.memory, PAGING)).toEqual(listRegions(whole, PAGING));
  });

  test('a table of 64 KiB is brought with all of its sixteen frames', async () => {
    // TG0 = 64K, T0SZ = 22: 42 bits, two levels; IPS = 48 bits. Descriptors: DDI 0487, "VMSAv8-64 Table descriptor".
    const paging = granule64K(22n);
    // Entry 8191 of each table is the last of its sixteenth frame; bit 10 is AF.
    const tables = new Tables().set(0x1f, 511, entryTo(0x20, 3n)).set(0x2f, 511, entryTo(0x50, 0x403n));
    for (let frame = 0x10; frame < 0x30; frame += 1) tables.add(frame);
    const captured = await captureTables(machineFrom(tables.frames), paging);
    expect(sorted(captured.frames())).toEqual(Array.from({ length: 32 }, (_, i) => 0x10 + i));
    // The last page of the 42 bits is the last of the 64-KiB page.
    expect(new Walker(captured.memory, paging).translate(2 ** 30 - 1)).toBe(0x5f);
  });

  test('of a range: only the tables on the way there, and the range is complete', async () => {
    const tables = twoHalves();
    const lower = machineFrom(tables.frames);
    expect(sorted((await captureTables(lower, PAGING, { range: { first: 0, end: 1 } })).frames())).toEqual([
      1, 2, 3, 4,
    ]);
    const upper = machineFrom(tables.frames);
    const range = { first: UPPER_HALF, end: 2 ** 52 };
    const captured = await captureTables(upper, PAGING, { range });
    expect(sorted(captured.frames())).toEqual([1, 4, 5, 6]);
    expect(sorted(upper.asked)).toEqual([1, 4, 5, 6]);
    expect(new Walker(captured.memory, PAGING).translate(2 ** 52 - 1)).toBe(0x78);
  });

  test('of a range that reaches a shared table by two ways: both ways are complete', async () => {
    // Two entries lead to table 3; the range ends inside the first and begins inside the second half of nothing else.
    const tables = new Tables()
      .set(1, 0, entryTo(2, TABLE))
      .set(2, 0, entryTo(3, TABLE))
      .set(2, 1, entryTo(3, TABLE))
      .set(3, 0, entryTo(4, TABLE))
      .set(3, 511, entryTo(5, TABLE))
      .set(4, 0, entryTo(0x77, PAGE))
      .set(5, 511, entryTo(0x78, PAGE));
    const range = { first: 2 ** 18 - 1, end: 2 ** 18 + 1 };
    const captured = await captureTables(machineFrom(tables.frames), PAGING, { range });
    const walker = new Walker(captured.memory, PAGING);
    expect([walker.translate(2 ** 18 - 1), walker.translate(2 ** 18)]).toEqual([0x78, 0x77]);
  });

  test('into memory that holds some tables already: those are not read again', async () => {
    const machine = machineFrom(twoHalves().frames);
    const into = new SparseMemory();
    await captureTables(machine, PAGING, { range: { first: 0, end: 1 }, into });
    machine.asked.length = 0;
    expect(await captureTables(machine, PAGING, { into })).toBe(into);
    expect(sorted(machine.asked)).toEqual([5, 6]);
    expect(into.size).toBe(6);
  });

  test('asks for tables in batches of at most 1 MiB', async () => {
    const tables = new Tables().set(1, 0, entryTo(2, TABLE)).fill(2, (i) => entryTo(0x1000 + i, TABLE));
    for (let i = 0; i < 512; i += 1) tables.set(0x1000 + i, 0, entryTo(0x4_0000 + (i << 9), PAGE | 0x80n));
    const machine = machineFrom(tables.frames);
    const captured = await captureTables(machine, PAGING);
    expect(machine.calls).toEqual([1, 1, 256, 256]);
    expect(captured.size).toBe(514);
    expect(new Walker(captured.memory, PAGING).translate(511 * 2 ** 18)).toBe(0x4_0000 + (511 << 9));
  });

  test('more tables than the memory may hold are a typed error', async () => {
    const capturing = captureTables(machineFrom(twoHalves().frames), PAGING, { into: new SparseMemory(3) });
    await expect(capturing).rejects.toThrow(PageTableError);
    await expect(capturing).rejects.toMatchObject({ code: 'LIMIT_EXCEEDED' });
  });

  test('what a machine throws goes through', async () => {
    const machine = {
      ...machineFrom(twoHalves().frames),
      readFrames: () => Promise.reject(new PageTableError('READ_FAILED', 'gone')),
    };
    await expect(captureTables(machine, PAGING)).rejects.toMatchObject({ code: 'READ_FAILED' });
  });

  test.each(MODES)(
    '%s: walks of random tables are the same in what was captured as in the machine',
    async (mode) => {
      const seed = 900;
      for (let i = 0; i < 10; i += 1) {
        const tables = randomTables({ seed: seed + i, mode, physBits: mode === '32-bit' ? 32 : 46 });
        const paging = x86Paging(controlsOf({ mode, cr3: tables.cr3, physBits: 46 }).ours);
        const captured = new Walker((await captureTables(machineFrom(tables.memory), paging)).memory, paging);
        const whole = new Walker(layOut(tables.memory, 'sparse', { first: 0, end: 0 }).memory, paging);
        for (const va of interestingAddresses(tables, seed + i, 50)) {
          const page = Number(va >> 12n); // at most 52 bits
          expect([seed + i, page, captured.path(page)]).toEqual([seed + i, page, whole.path(page)]);
        }
      }
      console.log(`capture, ${mode}: 10 random tables from seed ${seed}`);
    },
  );
});

describe('capturePath', () => {
  test('brings only the tables on the way to one page, one by one', async () => {
    const machine = machineFrom(twoHalves().frames);
    const into = new SparseMemory();
    await capturePath(machine, PAGING, 2 ** 52 - 1, into);
    expect(machine.asked).toEqual([1, 5, 6, 4]);
    expect(new Walker(into.memory, PAGING).translate(2 ** 52 - 1)).toBe(0x78);
  });

  test('reads nothing for an address that is not canonical', async () => {
    const machine = machineFrom(twoHalves().frames);
    await capturePath(machine, PAGING, 2 ** 51, new SparseMemory());
    expect(machine.asked).toEqual([]);
  });
});

describe('readLinear', () => {
  /** Pages 0 and 1 in frames 0x78 and 0x77 (in that order), page 2 not mapped, page 3 in frame 0x78 too. */
  function machine() {
    const tables = new Tables()
      .set(1, 0, entryTo(2, TABLE))
      .set(1, 511, entryTo(2, TABLE))
      .set(2, 0, entryTo(3, TABLE))
      .set(2, 511, entryTo(3, TABLE))
      .set(3, 0, entryTo(4, TABLE))
      .set(3, 511, entryTo(4, TABLE))
      .set(4, 0, entryTo(0x78, PAGE))
      .set(4, 1, entryTo(0x77, PAGE))
      .set(4, 3, entryTo(0x78, PAGE))
      .set(4, 511, entryTo(0x77, PAGE));
    for (const frame of [0x77, 0x78]) {
      new Uint8Array(tables.add(frame).buffer).forEach((_, i, bytes) => {
        bytes[i] = (frame + i) & 0xff;
      });
    }
    return machineFrom(tables.frames);
  }

  test('joins pages in linear order, from the middle of one to the middle of another', async () => {
    const { bytes, holes } = await readLinear(machine(), PAGING, 0xffen, 4);
    expect([...bytes]).toEqual([(0x78 + 0xffe) & 0xff, (0x78 + 0xfff) & 0xff, 0x77, 0x78]);
    expect(holes).toEqual([]);
  });

  test('a hole is named with its address and reason, what lies around it is read', async () => {
    const { bytes, holes } = await readLinear(machine(), PAGING, 0x1fffn, 0x1002);
    expect(holes).toEqual([{ first: 0x2000n, end: 0x3000n, reason: 'not-present' }]);
    expect([bytes[0], bytes[1], bytes[0x1000], bytes[0x1001]]).toEqual([(0x77 + 0xfff) & 0xff, 0, 0, 0x78]);
  });

  test('up to the very end of the address space', async () => {
    const { bytes, holes } = await readLinear(machine(), PAGING, (1n << 64n) - 2n, 2);
    expect([...bytes]).toEqual([(0x77 + 0xffe) & 0xff, (0x77 + 0xfff) & 0xff]);
    expect(holes).toEqual([]);
  });

  test('into the canonical hole: those bytes are not canonical', async () => {
    const { holes } = await readLinear(machine(), PAGING, 0x7fff_ffff_fff0n, 32);
    expect(holes).toEqual([
      { first: 0x7fff_ffff_fff0n, end: 0x8000_0000_0000n, reason: 'not-present' },
      { first: 0x8000_0000_0000n, end: 0x8000_0000_0010n, reason: 'non-canonical' },
    ]);
  });

  test('nothing at all', async () => {
    expect(await readLinear(machine(), PAGING, 5n, 0)).toEqual({ bytes: new Uint8Array(0), holes: [] });
  });

  test.each([
    [0n, -1],
    [0n, 1.5],
    [0n, Number.NaN],
    [0n, 2 ** 26 + 1],
    [(1n << 64n) - 1n, 2],
    [1n << 64n, 1],
    [-1n, 1],
  ])('address %d, %d bytes: out of range', async (address, length) => {
    const reading = readLinear(machine(), PAGING, address, length);
    await expect(reading).rejects.toThrow(PageTableError);
    await expect(reading).rejects.toMatchObject({ code: 'OUT_OF_RANGE' });
  });
});
