import fc from 'fast-check';
import { expect, test } from 'vitest';
import { memoryBytes, openElfCore } from '../../src/source/index.ts';
import { buildElf, concat, type LoadSpec, pattern, patternByte } from './build-elf.ts';
import { countingBytes, expectBytes, expectFailure, frame, framesOf } from './expect.ts';

const open = (loads: readonly LoadSpec[]) => openElfCore(memoryBytes(buildElf({ loads }).bytes));

test('the tail between p_filesz and p_memsz is zero, also within a page', async () => {
  const machine = await open([{ physical: 0x1000n, data: pattern(0x1000, 4096 + 10), memoryBytes: 0x4000n }]);
  expect(framesOf(machine.frames)).toEqual([1, 2, 3, 4]);
  expectBytes(await frame(machine, 2), concat([pattern(0x2000, 10), new Uint8Array(4086)]));
  const target = new Uint8Array(4096).fill(0xee);
  expect(await machine.readFrames([4], target)).toEqual(Uint8Array.of(1));
  expectBytes(target, new Uint8Array(4096));
  expect(machine.remarks).toEqual([expect.stringContaining('12278 bytes are not in the file')]);
});

test('a frame of which only a part is stored is not given, and counted once', async () => {
  const machine = await open([
    { physical: 0x1800n, data: pattern(0x1800, 0x800 + 0x1000 + 0x10) },
    { physical: 0x3f00n, data: pattern(0x3f00, 0x100) },
    { physical: 0x9010n, data: pattern(0x9010, 0x20) },
  ]);
  expect(framesOf(machine.frames)).toEqual([2]);
  expect(await frame(machine, 1)).toBeUndefined();
  expect(await frame(machine, 3)).toBeUndefined();
  // Frames 1, 3 (two pieces) and 9.
  expect(machine.remarks).toEqual([expect.stringContaining('3 frames are only partly')]);
});

test('a frame made of several adjoining segments is given', async () => {
  const machine = await open([
    { physical: 0x1c00n, data: pattern(0x1c00, 0x400) },
    { physical: 0x1000n, data: pattern(0x1000, 0x800) },
    { physical: 0x1800n, data: pattern(0x1800, 0x400) },
  ]);
  expect(machine.frames).toEqual([{ first: 1, end: 2 }]);
  expectBytes(await frame(machine, 1), pattern(0x1000, 4096));
  expect(machine.remarks).toEqual([]);
});

test('frames that adjoin become one range, sorted', async () => {
  const page = (number: bigint) => ({ physical: number << 12n, data: pattern(Number(number) << 12, 4096) });
  const machine = await open([page(9n), page(2n), page(1n), page(3n), page(7n)]);
  expect(machine.frames).toEqual([
    { first: 1, end: 4 },
    { first: 7, end: 8 },
    { first: 9, end: 10 },
  ]);
});

test('where segments overlap, stored bytes count before zeros and the lowest start before others', async () => {
  const filled = (byte: number, pages: number) => new Uint8Array(pages * 4096).fill(byte);
  const machine = await open([
    { physical: 0x1000n, memoryBytes: 0x8000n },
    { physical: 0x3000n, data: filled(3, 2) },
    { physical: 0x2000n, data: filled(2, 2) },
    { physical: 0x2000n, data: filled(9, 1) },
  ]);
  const found = await Promise.all(
    [1, 2, 3, 4, 5].map(async (number) => (await frame(machine, number))?.[100]),
  );
  expect(found).toEqual([0, 2, 2, 3, 0]);
  expect(machine.frames).toEqual([{ first: 1, end: 9 }]);
});

test('random overlapping segments give what a byte by byte reference gives', async () => {
  const END = 0x6000;
  const segment = fc.record({
    start: fc.oneof(
      fc.integer({ min: 0, max: END - 1 }),
      fc.integer({ min: 0, max: 5 }).map((page) => page * 4096),
    ),
    stored: fc.oneof(fc.integer({ min: 0, max: 0x3000 }), fc.constantFrom(0x1000, 0x2000)),
    zeros: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 0x2000 })),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(segment, { minLength: 1, maxLength: 12 }), async (segments) => {
      fc.pre(segments.some(({ start, stored, zeros }) => start > 0 && stored + zeros > 0));
      const machine = await open(
        segments.map(({ start, stored, zeros }) => ({
          physical: BigInt(start),
          data: pattern(start, stored),
          memoryBytes: BigInt(stored + zeros),
        })),
      );
      const expected = new Int16Array(END + 0x5000).fill(-1);
      for (const { start, stored, zeros } of segments) {
        for (let i = start; i < start + stored; i++) expected[i] = patternByte(i);
        for (let i = start + stored; i < start + stored + zeros; i++) if (expected[i] === -1) expected[i] = 0;
      }
      const all = Array.from({ length: expected.length / 4096 }, (_, i) => i);
      const whole = all.filter(
        (number) => !expected.subarray(number * 4096, number * 4096 + 4096).includes(-1),
      );
      expect(framesOf(machine.frames)).toEqual(whole);
      const target = new Uint8Array(expected.length).fill(0xee);
      const present = await machine.readFrames(all, target);
      for (const number of all) {
        const wanted = whole.includes(number)
          ? Uint8Array.from(expected.subarray(number * 4096, number * 4096 + 4096))
          : new Uint8Array(4096).fill(0xee);
        expect(present[number] === 1).toBe(whole.includes(number));
        expectBytes(target.subarray(number * 4096, number * 4096 + 4096), wanted);
      }
    }),
    { numRuns: 150 },
  );
});

test('tens of thousands of segments that overlap, in no order, become one range', async () => {
  const count = 60_000;
  // 7919 is prime to the count, so that every page is the start of one segment.
  const segments = Array.from({ length: count }, (_, i) => ({
    page: (i * 7919) % count,
    pages: 1 + (i % 50),
  }));
  const loads = segments.map(({ page, pages }) => ({
    physical: BigInt(page) << 12n,
    fileBytes: 0x1000n,
    memoryBytes: BigInt(pages) << 12n,
    offset: 0n,
  }));
  const machine = await openElfCore(memoryBytes(buildElf({ loads }).bytes));
  const end = segments.reduce((last, { page, pages }) => Math.max(last, page + pages), 0);
  expect(machine.frames).toEqual([{ first: 0, end }]);
});

test('frames come in the order asked for, repeated and absent ones included', async () => {
  const machine = await open([{ physical: 0x1000n, data: pattern(0x1000, 5 * 4096) }]);
  const asked = [5, 1, 3, 99, 1, 5, 0, 2 ** 52 - 1];
  const target = new Uint8Array(asked.length * 4096 + 7).fill(0xee);
  expect([...(await machine.readFrames(asked, target))]).toEqual([1, 1, 1, 0, 1, 1, 0, 0]);
  asked.forEach((number, i) => {
    const here = number >= 1 && number <= 5;
    expectBytes(
      target.subarray(i * 4096, i * 4096 + 4096),
      here ? pattern(number * 4096, 4096) : new Uint8Array(4096).fill(0xee),
    );
  });
  expect([...target.subarray(asked.length * 4096)]).toEqual(new Array(7).fill(0xee));
  expect([...(await machine.readFrames([], new Uint8Array(0)))]).toEqual([]);
});

test('neighbours in the file become one read of at most 1 MiB', async () => {
  const bytes = countingBytes(buildElf({ loads: [{ physical: 0n, data: pattern(0, 600 * 4096) }] }).bytes);
  const machine = await openElfCore(bytes);
  bytes.reads.length = 0;
  const asked = Array.from({ length: 600 }, (_, i) => 599 - i).concat([7, 7, 300]);
  const target = new Uint8Array(asked.length * 4096);
  await machine.readFrames(asked, target);
  expect(bytes.reads.map(([, length]) => length)).toEqual([2 ** 20, 2 ** 20, 88 * 4096]);
  expectBytes(target.subarray(0, 4096), pattern(599 * 4096, 4096));
  expectBytes(target.subarray(602 * 4096), pattern(300 * 4096, 4096));
  bytes.reads.length = 0;
  await machine.readFrames([1, 5], new Uint8Array(8192));
  expect(bytes.reads).toHaveLength(2);
});

test('a frame number that is none, or a target too small, is refused', async () => {
  const machine = await open([{ physical: 0x1000n, data: pattern(0x1000, 4096) }]);
  for (const number of [-1, 1.5, Number.NaN, 2 ** 52]) {
    await expectFailure(machine.readFrames([number], new Uint8Array(4096)), 'OUT_OF_RANGE', `${number}`);
  }
  await expectFailure(machine.readFrames([1, 1], new Uint8Array(8191)), 'OUT_OF_RANGE', '8191', '8192');
});

test('a read that fails underneath fails readFrames', async () => {
  const { bytes } = buildElf({ loads: [{ physical: 0x1000n, data: pattern(0x1000, 4096) }] });
  const { size, read } = memoryBytes(bytes);
  const broken = new Error('the disk is gone');
  let healthy = true;
  const machine = await openElfCore({
    size,
    read: (offset, length) => (healthy ? read(offset, length) : Promise.reject(broken)),
    close: async () => {},
  });
  healthy = false;
  await expect(frame(machine, 1)).rejects.toBe(broken);
});
