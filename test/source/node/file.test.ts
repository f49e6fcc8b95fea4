import { mkdtemp, open, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { fileBytes, openFile } from '../../../src/source/node/index.ts';
import { buildElf, pattern } from '../build-elf.ts';
import { expectFailure, failure, frame } from '../expect.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tablewalk-'));
});
afterAll(() => rm(folder, { recursive: true }));

test('a file beyond 4 GiB is read at its positions', async () => {
  const path = join(folder, 'large');
  const at = 4.5 * 2 ** 30;
  const handle = await open(path, 'w');
  await handle.truncate(5 * 2 ** 30);
  await handle.write(Uint8Array.of(1, 2, 3, 4), 0, 4, at);
  await handle.close();
  const bytes = await fileBytes(path);
  expect(bytes.size).toBe(5 * 2 ** 30);
  expect([...(await bytes.read(at - 1, 6))]).toEqual([0, 1, 2, 3, 4, 0]);
  await expectFailure(bytes.read(5 * 2 ** 30 - 1, 2), 'OUT_OF_RANGE');
  await bytes.close();
});

test('a path that does not exist is READ_FAILED with the cause', async () => {
  const error = await failure(fileBytes(join(folder, 'nothing')));
  expect(error.code).toBe('READ_FAILED');
  expect(error.message).toContain('nothing');
  expect((error.cause as NodeJS.ErrnoException).code).toBe('ENOENT');
});

test('a directory and a device are READ_FAILED', async () => {
  await expectFailure(fileBytes(folder), 'READ_FAILED', 'a directory');
  await expectFailure(fileBytes('/dev/null'), 'READ_FAILED', 'a device');
});

test('a file that becomes shorter or disappears fails at the read, with the cause', async () => {
  const path = join(folder, 'shrinks');
  await writeFile(path, new Uint8Array(100));
  const bytes = await fileBytes(path);
  await bytes.read(0, 100);
  await truncate(path, 50);
  await expectFailure(bytes.read(40, 20), 'READ_FAILED', 'only 10 bytes');
  await bytes.close();

  const lost = await fileBytes(path);
  await rm(path);
  await expectFailure(lost.read(0, 1), 'READ_FAILED', 'ENOENT');
  await lost.close();
});

test('a closed file is not read again', async () => {
  const path = join(folder, 'closed');
  await writeFile(path, new Uint8Array(10));
  const bytes = await fileBytes(path);
  await bytes.close();
  await bytes.close();
  await expectFailure(bytes.read(0, 1), 'READ_FAILED', 'closed');
});

test('openFile opens an image, packed or not', async () => {
  const { bytes } = buildElf({ loads: [{ physical: 0x5000n, data: pattern(0x5000, 4096) }] });
  for (const [name, content] of [
    ['plain', bytes],
    ['packed', gzipSync(bytes)],
  ] as const) {
    const path = join(folder, name);
    await writeFile(path, content);
    const machine = await openFile(path);
    expect(await frame(machine, 5)).toEqual(pattern(0x5000, 4096));
    await machine.close();
    await expectFailure(frame(machine, 5), 'READ_FAILED', 'closed');
  }
});

test('openFile fails as the image does', async () => {
  const path = join(folder, 'text');
  await writeFile(path, 'hello');
  await expectFailure(openFile(path), 'UNSUPPORTED_IMAGE', '68 65 6c 6c 6f');
});
