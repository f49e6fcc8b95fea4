import { expect, test } from 'vitest';
import { type ByteSource, blobBytes, memoryBytes } from '../../src/source/index.ts';
import { expectFailure, failure } from './expect.ts';

const DATA = Uint8Array.from({ length: 100 }, (_, i) => i);
const SOURCES: readonly [string, () => ByteSource][] = [
  ['a Uint8Array', () => memoryBytes(DATA)],
  [
    'a Uint8Array inside a larger buffer',
    () => memoryBytes(new Uint8Array([9, 9, ...DATA, 9]).subarray(2, 102)),
  ],
  ['an ArrayBuffer', () => memoryBytes(DATA.slice().buffer)],
  ['a Blob', () => blobBytes(new Blob([DATA]))],
];

test.each(SOURCES)('%s gives exactly the bytes asked for', async (_, open) => {
  const bytes = open();
  expect(bytes.size).toBe(100);
  expect([...(await bytes.read(10, 3))]).toEqual([10, 11, 12]);
  expect((await bytes.read(0, 100)).length).toBe(100);
  expect((await bytes.read(100, 0)).length).toBe(0);
  await bytes.close();
  await bytes.close();
});

test.each(SOURCES)('%s refuses a range that leaves it', async (_, open) => {
  const bytes = open();
  const ranges = [
    [99, 2],
    [101, 0],
    [-1, 1],
    [0, -1],
    [0.5, 1],
    [0, Number.NaN],
    [Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
  ];
  for (const [offset, length] of ranges)
    await expectFailure(bytes.read(offset, length), 'OUT_OF_RANGE', '[0, 0x64)');
});

test('a Blob that cannot be read any more is READ_FAILED with the cause', async () => {
  const cause = new Error('the file changed');
  const blob = Object.assign(new Blob([DATA]), {
    slice: () => ({ arrayBuffer: () => Promise.reject(cause) }),
  });
  const error = await failure(blobBytes(blob as unknown as Blob).read(0, 1));
  expect(error).toMatchObject({ code: 'READ_FAILED', cause });
});
