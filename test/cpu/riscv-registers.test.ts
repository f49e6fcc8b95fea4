/** Registers, and what they do not take. */
import { describe, expect, test } from 'vitest';
import {
  type KnownRiscvControl,
  ProcessorFault,
  RiscvCpu,
  type RiscvPrivilege,
} from '../../src/cpu/index.ts';
import { flatMemory } from '../../src/memory/index.ts';
import { attempt, Machine } from './riscv-machine.ts';

const memory = flatMemory(new ArrayBuffer(0x10_000));
const BAD = expect.objectContaining({ code: 'BAD_ARGUMENT' });
const OUT = expect.objectContaining({ code: 'OUT_OF_RANGE' });
const SUM = 1n << 18n;
const MXR = 1n << 19n;

describe('registers', () => {
  test('without any: RV64, Bare, S-mode', () => {
    const cpu = new RiscvCpu(memory);
    expect(cpu).toMatchObject({ xlen: 64, satp: 0n, asid: 0, privilege: 'S', sum: false, mxr: false });
    expect(() => cpu.paging()).toThrow(expect.objectContaining({ code: 'PAGING_DISABLED' }));
  });

  test('satp: MODE, ASID and PPN; a mode that there is not leaves it as it is', () => {
    const cpu = new RiscvCpu(memory);
    const satp = (mode: bigint) => (mode << 60n) | (0xabcdn << 44n) | 0x123n;
    for (const mode of [8n, 9n, 10n]) {
      cpu.writeCsr('satp', satp(mode));
      expect([cpu.readCsr('satp'), cpu.satp, cpu.asid]).toEqual([satp(mode), satp(mode), 0xabcd]);
      expect(cpu.paging()).toMatchObject({ root: { frame: 0x123 }, format: { levels: Number(mode) - 5 } });
    }
    for (const mode of [1n, 7n, 11n, 15n]) {
      cpu.writeCsr('satp', satp(mode));
      expect(cpu.satp).toBe(satp(10n));
    }
    const narrow = new RiscvCpu(memory, { xlen: 32 });
    narrow.writeCsr('satp', 0xffff_ffffn);
    expect([narrow.satp, narrow.asid, narrow.paging().format.fact.name]).toEqual([0xffff_ffffn, 511, 'sv32']);
  });

  test('sstatus has SUM and MXR', () => {
    const cpu = new RiscvCpu(memory, { sum: true });
    expect(cpu.readCsr('sstatus')).toBe(SUM);
    cpu.writeCsr('sstatus', MXR | 2n);
    expect([cpu.readCsr('sstatus'), cpu.sum, cpu.mxr]).toEqual([MXR, false, true]);
    cpu.sum = true;
    cpu.mxr = false;
    expect(cpu.readCsr('sstatus')).toBe(SUM);
  });

  test('menvcfg has ADUE and PBMTE; on RV32 menvcfgh has ADUE', () => {
    const cpu = new RiscvCpu(memory, { adue: true, svpbmt: false });
    expect(cpu.readCsr('menvcfg')).toBe(1n << 61n);
    cpu.writeCsr('menvcfg', 1n << 62n);
    expect(cpu.readCsr('menvcfg')).toBe(1n << 62n);
    expect(() => cpu.readCsr('menvcfgh')).toThrow(BAD);
    const narrow = new RiscvCpu(memory, { xlen: 32, adue: false });
    narrow.writeCsr('menvcfg', 0xffff_ffffn);
    expect([narrow.readCsr('menvcfg'), narrow.readCsr('menvcfgh')]).toEqual([0n, 0n]);
    narrow.writeCsr('menvcfgh', 0xffff_ffffn);
    expect(narrow.readCsr('menvcfgh')).toBe(1n << 29n);
  });

  test('scause and stval keep what is written, until a fault', () => {
    const machine = new Machine();
    const cpu = machine.boot();
    cpu.writeCsr('scause', (1n << 63n) | 5n);
    cpu.writeCsr('stval', 0x8765_4321_fedc_ba98n);
    expect([cpu.scause, cpu.stval]).toEqual([(1n << 63n) | 5n, 0x8765_4321_fedc_ba98n]);
    attempt(cpu, 'write', 0x1234n);
    expect([cpu.readCsr('scause'), cpu.readCsr('stval')]).toEqual([15n, 0x1234n]);
  });

  test('others are refused, and told which there are', () => {
    const cpu = new RiscvCpu(memory);
    expect(() => cpu.readCsr('mstatus')).toThrow(
      'readCsr: mstatus; expected satp, sstatus, menvcfg, scause, stval',
    );
    expect(() => cpu.writeCsr('toString', 0n)).toThrow(BAD);
  });

  test('what no register holds is refused', () => {
    const cpu = new RiscvCpu(memory);
    for (const value of [-1n, 1n << 64n]) expect(() => cpu.writeCsr('stval', value)).toThrow(OUT);
    expect(() => cpu.writeCsr('satp', 1 as unknown as bigint)).toThrow(BAD);
    expect(() => new RiscvCpu(memory, { xlen: 32 }).writeCsr('satp', 1n << 32n)).toThrow(OUT);
    expect(() => {
      cpu.privilege = 'H' as RiscvPrivilege;
    }).toThrow(BAD);
  });
});

describe('making one', () => {
  test.each([
    [{ satp: -1n }, 'satp = -1; expected an unsigned bigint of 64 bits'],
    [{ satp: 1n << 60n }, 'MODE = 1 is reserved'],
    [{ xlen: 32, satp: 1n << 32n }, 'expected an unsigned bigint of 32 bits'],
    [{ xlen: 128 }, 'xlen 128; expected 32 or 64'],
    [{ physBits: 57 }, 'physBits 57; expected a whole number in [32, 56]'],
    [{ xlen: 32, physBits: 35 }, 'expected a whole number in [32, 34]'],
    [{ sum: 1 }, 'sum = 1; expected true or false'],
    [{ ttbr0: 0n }, 'register ttbr0; expected some of satp, xlen, sum'],
  ])('%s is refused', (registers, message) => {
    const make = () => new RiscvCpu(memory, registers as KnownRiscvControl);
    expect(make).toThrow(BAD);
    expect(make).toThrow(message);
  });

  test('policies that there are not are refused', () => {
    expect(() => new RiscvCpu(memory, {}, { caching: 0 })).toThrow(BAD);
    expect(() => new RiscvCpu(memory, {}, { caching: 'none', detector: true })).toThrow(BAD);
    expect(() => new RiscvCpu({} as never)).toThrow('RiscvCpu: memory');
  });

  test('faults that are thrown tell what happened', () => {
    const cpu = new Machine().boot();
    try {
      cpu.writeEntry(1, 0, 0, 0);
      expect.fail('no fault');
    } catch (error) {
      expect(error).toBeInstanceOf(ProcessorFault);
      expect(error).toMatchObject({
        code: 'PROCESSOR_FAULT',
        detail: { exception: 'store/AMO page fault', errorCode: 15, address: 0x1000n },
      });
    }
  });
});
