import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { gunzip, isGzip, memoryBytes } from '../../src/source/index.ts';
import { concat, pattern } from './build-elf.ts';
import { countingBytes, expectBytes, expectFailure, failure } from './expect.ts';

const DATA = pattern(0, 2_500_000);
const PACKED = gzipSync(DATA);

test('what gzip packed comes back, within chunks and across them', async () => {
  const packed = countingBytes(PACKED);
  const bytes = await gunzip(packed);
  expect(bytes.size).toBe(DATA.length);
  const ranges = [
    [0, DATA.length],
    [0, 10],
    [1_048_570, 12],
    [1_048_576, 1_048_576],
    [DATA.length, 0],
  ];
  for (const [offset, length] of ranges) {
    expectBytes(await bytes.read(offset, length), DATA.subarray(offset, offset + length));
  }
  await expectFailure(bytes.read(DATA.length, 1), 'OUT_OF_RANGE');
  expect(Math.max(...packed.reads.map(([, length]) => length))).toBeLessThanOrEqual(65536);
  await bytes.close();
  await expectFailure(bytes.read(0, 1), 'READ_FAILED', 'closed');
});

test('the members of a file with several are joined', async () => {
  const bytes = await gunzip(
    memoryBytes(concat([gzipSync(DATA.subarray(0, 1000)), gzipSync(DATA.subarray(1000, 3000))])),
  );
  expectBytes(await bytes.read(0, bytes.size), DATA.subarray(0, 3000));
});

test('a file that unpacks beyond the limit is refused with the limit and the way out', async () => {
  const bomb = gzipSync(new Uint8Array(50_000_000));
  await expectFailure(
    gunzip(memoryBytes(bomb), { maxUnpackedBytes: 1_000_000 }),
    'LIMIT_EXCEEDED',
    '1000000',
    'maxUnpackedBytes',
  );
  await expectFailure(gunzip(memoryBytes(PACKED), { maxUnpackedBytes: DATA.length - 1 }), 'LIMIT_EXCEEDED');
  expect((await gunzip(memoryBytes(PACKED), { maxUnpackedBytes: DATA.length })).size).toBe(DATA.length);
  await expectFailure(gunzip(memoryBytes(PACKED), { maxUnpackedBytes: 0 }), 'BAD_ARGUMENT');
});

test('a cut file is TRUNCATED_IMAGE wherever it is cut', async () => {
  const small = gzipSync(DATA.subarray(0, 300));
  for (let length = 4; length < small.length; length++) {
    const error = await failure(gunzip(memoryBytes(small.subarray(0, length))));
    expect(error.code, `cut at ${length}`).toBe('TRUNCATED_IMAGE');
    expect(error.cause).toBeInstanceOf(Error);
  }
});

test('a damaged file is MALFORMED_IMAGE', async () => {
  for (const at of [20, PACKED.length >> 1, PACKED.length - 6, PACKED.length - 2]) {
    const damaged = new Uint8Array(PACKED);
    damaged[at] ^= 0x55;
    const error = await failure(gunzip(memoryBytes(damaged)));
    expect(error.code).toBe('MALFORMED_IMAGE');
    expect(error.cause).toBeInstanceOf(Error);
  }
});

test('a read that fails underneath is passed on unchanged', async () => {
  const broken = new Error('the disk is gone');
  const bytes = { size: PACKED.length, read: () => Promise.reject(broken), close: async () => {} };
  await expect(gunzip(bytes)).rejects.toBe(broken);
});

test('only the gzip magic with a known method and no reserved flags is gzip', async () => {
  expect(await isGzip(memoryBytes(PACKED))).toBe(true);
  for (const start of [[0x1f, 0x8b, 8], [0x1f, 0x8b, 7, 0], [0x1f, 0x8b, 8, 0xe0], [0x1f, 0x8c, 8, 0], []]) {
    expect(await isGzip(memoryBytes(Uint8Array.from(start)))).toBe(false);
  }
});
