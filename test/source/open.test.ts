import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { memoryBytes, openImage, openRaw } from '../../src/source/index.ts';
import { buildElf, concat, pattern } from './build-elf.ts';
import { expectFailure, frame } from './expect.ts';

const CORE = buildElf({ loads: [{ physical: 0x5000n, data: pattern(0x5000, 4096) }] }).bytes;

test('an ELF core is recognised, packed or not', async () => {
  for (const bytes of [CORE, gzipSync(CORE)]) {
    const machine = await openImage(memoryBytes(bytes));
    expect(machine.kind).toBe('ELF core');
    expect(await frame(machine, 5)).toEqual(pattern(0x5000, 4096));
  }
});

test('a packed image that unpacks beyond the limit is refused', async () => {
  await expectFailure(
    openImage(memoryBytes(gzipSync(CORE)), { maxUnpackedBytes: 4096 }),
    'LIMIT_EXCEEDED',
    '4096',
  );
});

test('an unknown format is raw only if the caller says so', async () => {
  const image = memoryBytes(concat([Uint8Array.of(0xde, 0xad, 0xbe, 0xef), new Uint8Array(5000)]));
  await expectFailure(
    openImage(image),
    'UNSUPPORTED_IMAGE',
    'de ad be ef 00 00 00 00 00 00 00 00 00 00 00 00;',
    'raw',
  );
  await expectFailure(openImage(image, { format: 'elf' }), 'UNSUPPORTED_IMAGE', '7f 45 4c 46');
  expect((await openImage(image, { format: 'raw' })).frames).toEqual([{ first: 0, end: 1 }]);
  expect((await openImage(image, { base: 0x40000000n })).frames).toEqual([{ first: 0x40000, end: 0x40001 }]);
  await expectFailure(openImage(memoryBytes(new Uint8Array(0))), 'UNSUPPORTED_IMAGE', 'empty');
  await expectFailure(openImage(memoryBytes(Uint8Array.of(0x7f))), 'UNSUPPORTED_IMAGE', '7f');
});

test('a base for an ELF core is refused; format raw takes its file as memory', async () => {
  await expectFailure(openImage(memoryBytes(CORE), { base: 0n }), 'BAD_ARGUMENT', 'base');
  const machine = await openImage(memoryBytes(CORE), { format: 'raw' });
  expect(await frame(machine, 0)).toEqual(CORE.subarray(0, 4096));
});

test('a packed raw image is unpacked', async () => {
  const machine = await openImage(memoryBytes(gzipSync(pattern(0, 8192))), { format: 'raw' });
  expect(await frame(machine, 1)).toEqual(pattern(4096, 4096));
});

test('a raw image says nothing but its memory, and a partial page at its end is not given', async () => {
  const machine = await openRaw(memoryBytes(pattern(0, 3 * 4096 + 5)), { base: 0x100000n });
  expect(machine).toMatchObject({ architecture: undefined, longMode: undefined, cpus: [], roots: [] });
  expect(machine.frames).toEqual([{ first: 0x100, end: 0x103 }]);
  expect(machine.remarks).toEqual([expect.stringContaining('The last 5 bytes')]);
  expect(await frame(machine, 0x102)).toEqual(pattern(0x2000, 4096));
  expect(await frame(machine, 0x103)).toBeUndefined();
  expect(await frame(machine, 0xff)).toBeUndefined();
});

test('a raw base must be a multiple of 4096 in range', async () => {
  const image = memoryBytes(new Uint8Array(4096));
  await expectFailure(openRaw(image, { base: 0x800n }), 'MISALIGNED', '0x800');
  await expectFailure(openRaw(image, { base: -4096n }), 'OUT_OF_RANGE', '-0x1000');
  await expectFailure(openRaw(image, { base: 1n << 53n }), 'OUT_OF_RANGE');
  expect((await openRaw(image, { base: (1n << 53n) - 8192n })).frames).toEqual([
    { first: 2 ** 41 - 2, end: 2 ** 41 - 1 },
  ]);
});
