/** Registers, and what they do not take. */
import { describe, expect, test } from 'vitest';
import {
  Aarch64Cpu,
  type AtOperation,
  type KnownAarch64Control,
  ProcessorFault,
} from '../../src/cpu/index.ts';
import { flatMemory } from '../../src/memory/index.ts';
import { attempt, Machine, OPEN, PAGE, TCR, TCR_DS, to } from './aarch64-machine.ts';

const memory = flatMemory(new ArrayBuffer(0x10_000));
const BAD = expect.objectContaining({ code: 'BAD_ARGUMENT' });
const OUT = expect.objectContaining({ code: 'OUT_OF_RANGE' });

describe('system registers', () => {
  test.each(['TTBR0_EL1', 'TTBR1_EL1', 'MAIR_EL1', 'ESR_EL1', 'FAR_EL1', 'PAR_EL1'])(
    '%s keeps 64 bits',
    (name) => {
      const cpu = new Aarch64Cpu(memory);
      const value = 0x8765_4321_fedc_ba98n;
      cpu.writeSystemRegister(name, value);
      expect(cpu.readSystemRegister(name)).toBe(value);
    },
  );

  test('they are the same by name and by getter', () => {
    const registers = { ttbr0: 0x1000n, ttbr1: 0x2000n, tcr: TCR, mair: 0x44n, sctlr: 0x1001n };
    const cpu = new Aarch64Cpu(memory, registers);
    for (const name of ['ttbr0', 'ttbr1', 'tcr', 'mair', 'sctlr'] as const) {
      expect(cpu.readSystemRegister(`${name.toUpperCase()}_EL1`)).toBe(registers[name]);
      expect(cpu[name]).toBe(registers[name]);
    }
  });

  test('without any: two halves of 48 bits with 4 KiB, EL1, no PAN, normal memory', () => {
    const cpu = new Aarch64Cpu(memory);
    expect(cpu).toMatchObject({ el: 1, pan: false, asid: 0, ttbr0: 0n, ttbr1: 0n, sctlr: 1n });
    expect(cpu.paging('lower')?.format.fact.vaBits).toBe(48);
    expect(cpu.paging('upper')?.memoryType(3, 0, 0).name).toBe('WB');
  });

  test('others are refused, and told which there are', () => {
    const cpu = new Aarch64Cpu(memory);
    expect(() => cpu.readSystemRegister('TTBR0_EL2')).toThrow(/TTBR0_EL2; expected TTBR0_EL1, .*PAR_EL1/);
    expect(() => cpu.writeSystemRegister('ttbr0', 0n)).toThrow(BAD);
    expect(() => cpu.readSystemRegister('toString')).toThrow(BAD);
  });

  test('what is no unsigned 64-bit value is refused', () => {
    const cpu = new Aarch64Cpu(memory);
    for (const value of [-1n, 1n << 64n]) {
      expect(() => cpu.writeSystemRegister('TTBR0_EL1', value)).toThrow(OUT);
      expect(() => cpu.tlbi('VAE1', value)).toThrow(OUT);
      expect(() => cpu.at('S1E1R', value)).toThrow(OUT);
    }
    expect(() => cpu.writeSystemRegister('MAIR_EL1', 1 as unknown as bigint)).toThrow(BAD);
  });

  test('what is not modelled is refused, and nothing changes', () => {
    const cpu = new Aarch64Cpu(memory, { tcr: TCR });
    expect(() => cpu.writeSystemRegister('TCR_EL1', TCR | TCR_DS)).toThrow(/DS = 1/);
    expect(() => cpu.writeSystemRegister('SCTLR_EL1', 1n | (1n << 25n))).toThrow(/big-endian/);
    expect([cpu.tcr, cpu.sctlr]).toEqual([TCR, 1n]);
    expect(() => new Aarch64Cpu(memory, { tcr: TCR | TCR_DS })).toThrow(BAD);
  });
});

describe('construction', () => {
  test.each([
    [{ ttbr2: 0n }, /ttbr2; expected some of ttbr0/],
    [{ tcr: -1n }, /tcr = -1/],
    [{ mair: 5 }, /mair = 5/],
    [{ physBits: 52 }, /physBits 52; expected a whole number in \[32, 48\]/],
    [{ physBits: 40.5 }, /physBits/],
  ])('%s', (registers, message) => {
    expect(() => new Aarch64Cpu(memory, registers as KnownAarch64Control)).toThrow(message);
  });

  test('memory and caching of a wrong kind', () => {
    expect(() => new Aarch64Cpu({} as never)).toThrow(/Aarch64Cpu: memory/);
    expect(() => new Aarch64Cpu(memory, {}, { caching: 0 })).toThrow(/Aarch64Cpu: caching 0/);
    expect(() => new Aarch64Cpu(memory, {}, { caching: 'none', detector: true })).toThrow(
      /a detector with caching/,
    );
  });
});

describe('instructions', () => {
  test('names that there are not', () => {
    const cpu = new Aarch64Cpu(memory);
    expect(() => cpu.tlbi('VAE2')).toThrow(/VAE2; expected VMALLE1, ASIDE1/);
    expect(() => cpu.tlbi('constructor')).toThrow(BAD);
    expect(() => cpu.barrier('DSB FOO')).toThrow(BAD);
    expect(() => cpu.barrier('dsb ish')).toThrow(BAD);
    expect(() => cpu.at('S12E1R' as AtOperation, 0n)).toThrow(/S12E1R; expected S1E1R/);
    expect(() => cpu.at('toString' as AtOperation, 0n)).toThrow(BAD);
    expect(() => {
      cpu.el = 2 as 1;
    }).toThrow(BAD);
  });
});

describe('accesses', () => {
  test('of 1 to 8 bytes at addresses of 64 bits', () => {
    const cpu = new Machine().map(0n, 0x800).boot();
    expect(() => cpu.read(0n, 9)).toThrow(OUT);
    expect(() => cpu.read(1n << 64n, 1)).toThrow(OUT);
    expect(() => cpu.write(0n, 1, 256n)).toThrow(OUT);
    for (const bytes of [1, 2, 3, 5, 8]) {
      expect(cpu.write(0x10n, bytes, 0xabn).kind).toBe('done');
      expect(cpu.read(0x10n, bytes)).toEqual({ kind: 'done', value: 0xabn });
    }
  });

  test('in halves: load, store and translate', () => {
    const va = 0xffff_8000_0040_0008n;
    const machine = new Machine().map(va, 0x800);
    const cpu = machine.boot();
    const high = 0xffff_8000 | 0;
    expect(cpu.store(high, 0x40_0008, 8, -1, 0x1234)).toBe(true);
    expect(cpu.load(high, 0x40_0008, 8)).toBe(true);
    expect([cpu.low, cpu.high]).toEqual([-1, 0x1234]);
    expect(cpu.translate(high, 0x40_0008, 0)).toBe(0x800);
    expect(cpu.store(high, 0x40_1008, 4, 1)).toBe(false);
    expect(cpu.failure()).toMatchObject({ kind: 'fault', level: 3 });
    expect(cpu.translate(high, 0x40_1008, 0)).toBeLessThan(0);
  });

  test('to entries, for mappers: a fault is thrown', () => {
    const machine = new Machine().map(0x40_0000n, 0x800);
    const cpu = machine.boot();
    cpu.writeEntry(0x400, 3, 5, 7);
    expect([cpu.readEntry(0x400, 3), cpu.high]).toEqual([5, 7]);
    expect(() => cpu.readEntry(0x401, 0)).toThrow(ProcessorFault);
    expect(() => cpu.readEntry(0x401, 0)).toThrow(
      'Data Abort at 0x0000000000401000, ESR 0x96000007 (DFSC 0x07 translation fault, level 3): bit 0 = 0 in L3 descriptor',
    );
  });

  test('where there is no memory', () => {
    const machine = new Machine().map(0x40_0000n, 0x800);
    machine.set(0x40_0000n, 3, to(0x7_7777, OPEN | PAGE));
    const cpu = machine.boot();
    expect(attempt(cpu, 'read', 0x40_0010n)).toBe('absent 0x77777010');
    expect(cpu.translate(0, 0x40_0010, 0)).toBe(0x7_7777);
    expect(() => cpu.readEntry(0x400, 0)).toThrow(expect.objectContaining({ code: 'NOT_IN_MEMORY' }));
    machine.page(0x7_7777);
    cpu.memoryChanged();
    expect(attempt(cpu, 'read', 0x40_0010n)).toBe('0x77777');
  });
});
