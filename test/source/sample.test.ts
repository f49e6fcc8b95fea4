import { readFile } from 'node:fs/promises';
import { gunzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { openFile } from '../../src/source/node/index.ts';
import { samplePath } from '../support/sample.ts';
import { expectBytes, frame } from './expect.ts';

// A Debian kernel in QEMU 7.2. Registers are those of QEMU's `info registers`, places those of `readelf -lW`.
const PATH = samplePath('core.elf.gz');

test('a real QEMU dump says what QEMU said of its processors', async () => {
  const machine = await openFile(PATH);
  expect(machine).toMatchObject({
    kind: 'ELF core written by QEMU',
    architecture: 'x86',
    longMode: true,
    roots: [],
    remarks: [],
  });
  const registers = machine.cpus.map((cpu) => cpu.registers);
  expect(registers).toHaveLength(2);
  expect(registers[0]).toMatchObject({
    CR0: 0x80050033n,
    CR2: 0x404020n,
    CR3: 0x2a42000n,
    CR4: 0x6f0n,
    RIP: 0x40202en,
    RSP: 0x7ffed3929560n,
    RFLAGS: 0x202n,
    CS: 0x33n,
    RAX: 0x28b2d4a8n,
    RBP: 0x23n,
    R11: 0x206n,
    FS_BASE: 0n,
  });
  expect(registers[1]).toMatchObject({
    CR0: 0x80050033n,
    CR2: 0x7f75ed6f8000n,
    CR3: 0x287e000n,
    CR4: 0x6e0n,
    RIP: 0x4020dbn,
    RSP: 0x7ffed3929560n,
  });
  await machine.close();
});

test('a real QEMU dump gives the frames that readelf lists', async () => {
  const machine = await openFile(PATH);
  // 66 PT_LOAD, none adjoining, together 197 pages.
  expect(machine.frames).toHaveLength(66);
  expect(machine.frames.reduce((sum, { first, end }) => sum + end - first, 0)).toBe(197);
  expect(machine.frames.slice(0, 3)).toEqual([
    { first: 0x9c, end: 0x9d },
    { first: 0x1000, end: 0x1041 },
    { first: 0x1054, end: 0x1058 },
  ]);
  expect(machine.frames[65]).toEqual({ first: 0xfeaa, end: 0xfeac });

  const file = gunzipSync(await readFile(PATH));
  for (const [number, offset] of [
    [0x9c, 0x2000],
    [0x1000, 0x3000],
    [0x1040, 0x43000],
    [0xfeaa, 0xc5000],
    [0xfeab, 0xc6000],
  ]) {
    expectBytes(await frame(machine, number), file.subarray(offset, offset + 4096));
  }
  expect(await frame(machine, 0)).toBeUndefined();
  expect(await frame(machine, 0x9d)).toBeUndefined();
  await machine.close();
});
