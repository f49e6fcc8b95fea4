import { expect, test } from 'vitest';
import { parseRegisters, withRegisters } from '../../src/source/index.ts';
import { ARM64, RISCV64, sampleLines } from '../support/sample.ts';

test('QEMU’s monitor, x86: equations of hexadecimal numbers, a processor after each header', () => {
  const lines = [0, 1].flatMap((cpu) => sampleLines(`info-registers-cpu${cpu}.txt.gz`));
  const cpus = parseRegisters(lines.join('\n'));
  expect(cpus.map(({ index }) => index)).toEqual([0, 1]);
  // registers.json of the sample.
  expect(cpus[0].registers).toMatchObject({ CR0: 0x8005_0033n, CR3: 0x2a4_2000n, CR4: 0x6f0n });
  expect(cpus[1].registers['CR3']).toBe(0x287_e000n);
  expect(cpus[0].registers['EFER']).toBe(0xd01n);
});

test('QEMU’s monitor, arm64: PC and PSTATE', () => {
  const [cpu] = parseRegisters(sampleLines('info-registers-cpu0.txt.gz', ARM64).join('\n'));
  expect(cpu.registers).toMatchObject({ PC: 0xffff_8000_0801_0c80n, PSTATE: 0x40_03c5n });
});

test('QEMU’s monitor, RISC-V: names and numbers in columns, in small letters as in the manual', () => {
  const lines = [0, 1].flatMap((cpu) => sampleLines(`info-registers-cpu${cpu}.txt.gz`, RISCV64));
  const cpus = parseRegisters(lines.join('\n'));
  // registers.json of the sample.
  expect(cpus.map(({ registers }) => registers['satp'])).toEqual([
    0x8002_3000_0008_8235n,
    0x8002_4000_0008_3067n,
  ]);
  expect(cpus[0].registers).toMatchObject({ v: 0n, pc: 0xffff_ffff_80a7_662cn, mstatus: 0xa_0000_40a0n });
});

test('gdb, RISC-V: all names are of the manual once one tells the architecture', () => {
  const [cpu] = parseRegisters(
    'ra 0x10d06 0x10d06\nsp 0x3f0 0x3f0\nPC 0x80 0x80\nSATP 0x1 1\npriv 0x1 prv:1 [Supervisor]',
  );
  expect(cpu.registers).toEqual({ ra: 0x10d06n, sp: 0x3f0n, pc: 0x80n, satp: 1n, priv: 1n });
});

test('gdb: names, hexadecimal and something else in columns; names of the manual', () => {
  const [cpu] = parseRegisters(
    'cr3            0x2a42000           [ PDBR=10818 PCID=0 ]\ncpsr 0x3c5 965\nSCTLR 0x30d00805 1',
  );
  expect(cpu).toEqual({ index: 0, registers: { CR3: 0x2a4_2000n, PSTATE: 0x3c5n, SCTLR_EL1: 0x30d0_0805n } });
});

test('JSON: one processor, several, or under cpus; what is no register is passed over', () => {
  const want = [{ index: 0, registers: { TTBR0_EL1: 0x1000n, MAIR_EL1: 255n } }];
  const one = { TTBR0_EL1: '0x1000', MAIR_EL1: 255, name: 'x', wide: `0x${'f'.repeat(17)}`, minus: -1 };
  expect(parseRegisters(JSON.stringify(one))).toEqual(want);
  expect(parseRegisters(JSON.stringify([one]))).toEqual(want);
  expect(parseRegisters(JSON.stringify({ cpus: [one, { pc: 1 }] }))[1]).toEqual({
    index: 1,
    registers: { PC: 1n },
  });
});

test.each([
  ['', /none found/],
  ['{', /not JSON/],
  ['[]', /none found/],
  ['[1, null, "a"]', /none found/],
  [`[${'{},'.repeat(5000)}{}]`, /5001 processors; expected at most 4096/],
  ['a'.repeat(2 ** 24 + 1), /at most 16777216/],
])('refuses %.20s', (text, message) => {
  expect(() => parseRegisters(text)).toThrow(message);
});

test('given registers count before those of the machine, and tell an architecture that it does not', () => {
  const machine = {
    kind: 'raw memory image',
    architecture: undefined,
    longMode: undefined,
    cpus: [{ index: 0, registers: { PC: 1n, SP: 2n } }],
    roots: [],
    frames: [],
    remarks: [],
    readFrames: () => Promise.resolve(new Uint8Array(0)),
    close: () => Promise.resolve(),
  };
  const merged = withRegisters(machine, [
    { index: 1, registers: { TTBR0_EL1: 4n } },
    { index: 0, registers: { PC: 3n } },
  ]);
  expect(merged.architecture).toBe('aarch64');
  expect(withRegisters(machine, [{ index: 0, registers: { mstatus: 1n } }]).architecture).toBe('riscv');
  expect(merged.cpus).toEqual([
    { index: 0, registers: { PC: 3n, SP: 2n } },
    { index: 1, registers: { TTBR0_EL1: 4n } },
  ]);
});
