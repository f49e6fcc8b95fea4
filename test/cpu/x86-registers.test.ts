/**
 * Which values control registers take, who may write them, and what follows from them.
 *
 * Intel SDM (order 325462): vol. 3A, "Control Registers" (2.5), "Paging-Mode Enabling" (4.1.2), "PDPTE Registers" (4.4.1),
 * "Process-Context Identifiers" (4.10.1), "Initializing IA-32e Mode" (9.8.5 or 10.8.5), "Privileged Instructions" (5.9);
 * vol. 2, "MOV - Move to/from Control Registers", "WRMSR", "WRPKRU", "INVLPG", "INVPCID"; vol. 4, IA32_EFER, IA32_PKRS.
 */
import { describe, expect, test } from 'vitest';
import { type Cpl, type Fault, X86Cpu, type X86CpuOptions } from '../../src/cpu/index.ts';
import { FORMAT_32_BIT, FORMAT_PAE } from '../../src/format/index.ts';
import type { ReferenceMode } from '../support/reference-walker.ts';
import { controlsOf } from '../support/x86-cases.ts';
import {
  attempt,
  CR0_CD,
  CR0_NW,
  CR0_PE,
  CR0_PG,
  CR0_WP,
  CR4_CET,
  CR4_LA57,
  CR4_PAE,
  CR4_PCIDE,
  CR4_PGE,
  CR4_PKE,
  CR4_PKS,
  CR4_PSE,
  CR4_SMAP,
  CR4_SMEP,
  EFER_LMA,
  EFER_LME,
  EFER_NXE,
  faultOf,
  NO_FLUSH,
  P,
  SmallMachine,
  to,
} from './small-machine.ts';

const VA = 0x40_3000n;
const GP = '#GP(0)';

function machine(mode: ReferenceMode = '4-level'): SmallMachine {
  return new SmallMachine(mode).map(VA, 0xa);
}

interface Registers {
  readonly cr0: bigint;
  readonly cr3: bigint;
  readonly cr4: bigint;
  readonly efer: bigint;
  readonly pkrs: bigint;
  readonly pkru: bigint;
}

function registersOf({ cr0, cr3, cr4, efer, pkrs, pkru }: X86Cpu): Registers {
  return { cr0, cr3, cr4, efer, pkrs, pkru };
}

/** An instruction is refused with #GP(0), and changes no register. */
function expectRefused(cpu: X86Cpu, instruction: () => Fault | undefined): void {
  const before = registersOf(cpu);
  const fault = instruction();
  expect(faultOf(fault)).toBe(GP);
  expect(fault).toMatchObject({ cr2: undefined, errorBits: [] });
  expect(registersOf(cpu)).toEqual(before);
}

/** A processor with paging off; EFER.LME and CR4 as wanted. */
function unpaged(cr4 = 0n, efer = 0n): X86Cpu {
  const small = machine(cr4 & CR4_PAE ? (efer & EFER_LME ? '4-level' : 'PAE') : '32-bit');
  return new X86Cpu(small.memory, { cr0: CR0_PE, cr3: small.cr3, cr4, efer, physBits: 46 });
}

describe('MOV to CR0', () => {
  test.each([32n, 33n, 63n])('bit %i is reserved', (bit) => {
    const cpu = machine().boot();
    expectRefused(cpu, () => cpu.writeCr0(cpu.cr0 | (1n << bit)));
  });

  test('PG = 1 needs PE = 1', () => {
    const off = unpaged();
    expectRefused(off, () => off.writeCr0(CR0_PG));
    const cpu = machine().boot();
    expectRefused(cpu, () => cpu.writeCr0(cpu.cr0 & ~CR0_PE));
  });

  test('NW = 1 needs CD = 1', () => {
    const cpu = machine().boot();
    expectRefused(cpu, () => cpu.writeCr0(cpu.cr0 | CR0_NW));
    expect(faultOf(cpu.writeCr0(cpu.cr0 | CR0_CD))).toBe('done');
    expect(faultOf(cpu.writeCr0(cpu.cr0 | CR0_NW))).toBe('done');
    expectRefused(cpu, () => cpu.writeCr0(cpu.cr0 & ~CR0_CD));
  });

  test('PG 0 to 1 with EFER.LME = 1 needs CR4.PAE = 1', () => {
    const cpu = unpaged(0n, EFER_LME);
    expectRefused(cpu, () => cpu.writeCr0(cpu.cr0 | CR0_PG));
    expect(faultOf(cpu.writeCr4(CR4_PAE))).toBe('done');
    expect(faultOf(cpu.writeCr0(cpu.cr0 | CR0_PG))).toBe('done');
    expect(cpu.efer & EFER_LMA).toBe(EFER_LMA);
  });

  test('PG = 0 needs CR4.PCIDE = 0', () => {
    const cpu = machine().boot({ cr4: CR4_PCIDE });
    expectRefused(cpu, () => cpu.writeCr0(cpu.cr0 & ~CR0_PG));
    expect(faultOf(cpu.writeCr4(cpu.cr4 & ~CR4_PCIDE))).toBe('done');
    expect(faultOf(cpu.writeCr0(cpu.cr0 & ~CR0_PG))).toBe('done');
  });

  // "CR4.CET ... can be set only if CR0.WP is set, and it must be clear before CR0.WP can be cleared" (2.5).
  test('WP = 0 needs CR4.CET = 0', () => {
    const cpu = machine().boot({ cr4: CR4_CET });
    expectRefused(cpu, () => cpu.writeCr0(cpu.cr0 & ~CR0_WP));
  });

  test('ET reads as 1, and bits that are not defined as 0', () => {
    const cpu = machine().boot();
    expect(faultOf(cpu.writeCr0(CR0_PG | CR0_PE | (1n << 6n) | (1n << 17n) | (1n << 28n)))).toBe('done');
    expect(cpu.cr0).toBe(CR0_PG | CR0_PE | (1n << 4n));
  });
});

describe('MOV to CR4', () => {
  // 2.5, figure "Control Registers": bit 15 and, without FRED and LAM, all from 26 up.
  test.each([15n, 26n, 28n, 29n, 31n, 33n, 63n])('bit %i is reserved', (bit) => {
    const cpu = machine().boot();
    expectRefused(cpu, () => cpu.writeCr4(cpu.cr4 | (1n << bit)));
  });

  test.each(['4-level', '5-level'] as const)('%s: PAE = 0 is refused in IA-32e mode', (mode) => {
    const cpu = machine(mode).boot();
    expectRefused(cpu, () => cpu.writeCr4(cpu.cr4 & ~CR4_PAE));
  });

  test.each(['4-level', '5-level'] as const)('%s: LA57 cannot change in IA-32e mode', (mode) => {
    const cpu = machine(mode).boot();
    expectRefused(cpu, () => cpu.writeCr4(cpu.cr4 ^ CR4_LA57));
  });

  test.each(['32-bit', 'PAE'] as const)(
    '%s: LA57 may change outside IA-32e mode, and means nothing',
    (mode) => {
      const cpu = machine(mode).boot();
      expect(faultOf(cpu.writeCr4(cpu.cr4 | CR4_LA57))).toBe('done');
      expect(attempt(cpu, 'read', VA)).toBe('0xa');
    },
  );

  test.each(['32-bit', 'PAE'] as const)('%s: PCIDE = 1 needs IA-32e mode', (mode) => {
    const cpu = machine(mode).boot();
    expectRefused(cpu, () => cpu.writeCr4(cpu.cr4 | CR4_PCIDE));
  });

  test.each([0x1n, 0x8n, 0x10n, 0x800n])('PCIDE 0 to 1 needs CR3 11:0 = 0; they are 0x%s', (low) => {
    const small = machine();
    const cpu = small.boot({ cr3: small.cr3 | low });
    expectRefused(cpu, () => cpu.writeCr4(cpu.cr4 | CR4_PCIDE));
    cpu.writeCr3(small.cr3);
    expect(faultOf(cpu.writeCr4(cpu.cr4 | CR4_PCIDE))).toBe('done');
    // That it stays 1 is no change.
    cpu.writeCr3(small.cr3 | low);
    expect(faultOf(cpu.writeCr4(cpu.cr4 ^ CR4_PGE))).toBe('done');
  });

  test('CET = 1 needs CR0.WP = 1', () => {
    const cpu = machine().boot({ wp: false });
    expectRefused(cpu, () => cpu.writeCr4(cpu.cr4 | CR4_CET));
  });

  test.each([CR4_PSE, CR4_PGE, CR4_SMEP, CR4_SMAP, CR4_PKE, CR4_PKS])(
    '0x%s may change at any time',
    (bit) => {
      for (const mode of ['32-bit', 'PAE', '4-level', '5-level'] as const) {
        const cpu = machine(mode).boot();
        const cr4 = cpu.cr4 ^ bit;
        expect(faultOf(cpu.writeCr4(cr4)), mode).toBe('done');
        expect(cpu.cr4).toBe(cr4);
      }
    },
  );
});

describe('MOV to CR3', () => {
  test.each([32, 40, 46, 51])('bits from MAXPHYADDR = %i up to 60 are reserved', (physBits) => {
    const small = machine();
    const cpu = small.boot({ physBits });
    for (let bit = physBits; bit <= 60; bit += 1) {
      expectRefused(cpu, () => cpu.writeCr3(small.cr3 | (1n << BigInt(bit))));
    }
    expect(faultOf(cpu.writeCr3(small.cr3 | (1n << BigInt(physBits - 1))))).toBe('done');
  });

  // They are CR3.LAM_U57 and CR3.LAM_U48 of processors with linear-address masking.
  test.each([61n, 62n])('bit %i is reserved without LAM', (bit) => {
    const small = machine();
    const cpu = small.boot();
    expectRefused(cpu, () => cpu.writeCr3(small.cr3 | (1n << bit)));
  });

  test('bit 63 is reserved with PCIDE = 0; with PCIDE = 1 it is taken and not stored', () => {
    const small = machine();
    const cpu = small.boot();
    expectRefused(cpu, () => cpu.writeCr3(small.cr3 | NO_FLUSH));
    cpu.writeCr4(cpu.cr4 | CR4_PCIDE);
    expect(faultOf(cpu.writeCr3(small.cr3 | 5n | NO_FLUSH))).toBe('done');
    expect(cpu.cr3).toBe(small.cr3 | 5n);
    expectRefused(cpu, () => cpu.writeCr3(small.cr3 | (1n << 60n) | NO_FLUSH));
  });

  test('the low bits are kept', () => {
    const small = machine();
    const cpu = small.boot();
    expect(faultOf(cpu.writeCr3(small.cr3 | 0xabcn))).toBe('done');
    expect(cpu.cr3).toBe(small.cr3 | 0xabcn);
  });

  test('another root takes effect at once', () => {
    const small = machine();
    const cpu = small.boot();
    expect(attempt(cpu, 'read', VA)).toBe('0xa');
    cpu.writeCr3(0x30_0000n);
    expect(cpu.rootFrame).toBe(0x300);
    expect(attempt(cpu, 'read', VA)).toBe('absent 0x300000');
  });
});

describe('WRMSR to IA32_EFER', () => {
  test.each([1n, 7n, 9n, 16n, 32n, 63n])('bit %i is reserved', (bit) => {
    const cpu = machine().boot();
    expectRefused(cpu, () => cpu.writeEfer(cpu.efer | (1n << bit)));
  });

  test('LME cannot change while paging is on', () => {
    for (const mode of ['32-bit', 'PAE', '4-level', '5-level'] as const) {
      const cpu = machine(mode).boot();
      expectRefused(cpu, () => cpu.writeEfer(cpu.efer ^ EFER_LME));
    }
    const off = unpaged(CR4_PAE);
    expect(faultOf(off.writeEfer(EFER_LME))).toBe('done');
  });

  test('LMA is not written', () => {
    const cpu = machine().boot();
    expect(faultOf(cpu.writeEfer(cpu.efer & ~EFER_LMA))).toBe('done');
    expect(cpu.efer & EFER_LMA).toBe(EFER_LMA);
    const pae = machine('PAE').boot();
    expect(faultOf(pae.writeEfer(pae.efer | EFER_LMA))).toBe('done');
    expect(pae.efer & EFER_LMA).toBe(0n);
  });

  test('NXE takes effect', () => {
    const small = machine();
    small.set(VA, 'PTE', small.get(VA, 'PTE') | (1n << 63n));
    const cpu = small.boot({}, { caching: 'none' });
    expect(attempt(cpu, 'read', VA)).toBe('0xa');
    expect(faultOf(cpu.writeEfer(cpu.efer & ~EFER_NXE))).toBe('done');
    expect(attempt(cpu, 'read', VA)).toBe('#PF 0x9');
  });
});

describe('EFER.LMA follows EFER.LME and CR0.PG', () => {
  test('turning paging on and off', () => {
    const cpu = unpaged(CR4_PAE, EFER_LME);
    expect(cpu.efer).toBe(EFER_LME);
    cpu.writeCr0(cpu.cr0 | CR0_PG);
    expect(cpu.efer).toBe(EFER_LME | EFER_LMA);
    expect(attempt(cpu, 'read', VA)).toBe('0xa');
    cpu.writeCr0(cpu.cr0 & ~CR0_PG);
    expect(cpu.efer).toBe(EFER_LME);
    expect(attempt(cpu, 'read', 0xa000n)).toBe('0xa');
  });

  test('LME = 0: paging is that of protected mode', () => {
    for (const cr4 of [0n, CR4_PAE]) {
      const cpu = unpaged(cr4);
      cpu.writeCr0(cpu.cr0 | CR0_PG);
      expect(cpu.efer).toBe(0n);
      expect(attempt(cpu, 'read', VA)).toBe('0xa');
    }
  });

  test('in the constructor too', () => {
    const small = machine();
    const { ours } = controlsOf({ mode: '4-level', cr3: small.cr3 });
    const cpu = new X86Cpu(small.memory, { ...ours, efer: EFER_LME });
    expect(cpu.efer).toBe(EFER_LME | EFER_LMA);
    const off = new X86Cpu(small.memory, { ...ours, cr0: CR0_PE, efer: EFER_LME | EFER_LMA });
    expect(off.efer).toBe(EFER_LME);
  });
});

describe('protection-key registers', () => {
  test.each([32n, 63n])('WRMSR to IA32_PKRS: bit %i is reserved', (bit) => {
    const cpu = machine().boot({ pks: true });
    expectRefused(cpu, () => cpu.writePkrs(1n << bit));
    expect(faultOf(cpu.writePkrs(0xffff_ffffn))).toBe('done');
    expect(cpu.pkrs).toBe(0xffff_ffffn);
  });

  test('WRPKRU is not privileged', () => {
    const cpu = machine().boot({ pke: true });
    cpu.cpl = 3;
    cpu.writePkru(0x1234_5678n);
    expect(cpu.pkru).toBe(0x1234_5678n);
  });

  test('PKRU has 32 bits', () => {
    const cpu = machine().boot();
    for (const value of [1n << 32n, -1n]) {
      expect(() => cpu.writePkru(value)).toThrow(expect.objectContaining({ code: 'OUT_OF_RANGE' }));
    }
  });
});

describe('privileged instructions', () => {
  const instructions: readonly [string, (cpu: X86Cpu) => Fault | undefined][] = [
    ['MOV to CR0', (cpu) => cpu.writeCr0(cpu.cr0)],
    ['MOV to CR3', (cpu) => cpu.writeCr3(cpu.cr3)],
    ['MOV to CR3 of its own value', (cpu) => cpu.reloadCr3()],
    ['MOV to CR4', (cpu) => cpu.writeCr4(cpu.cr4)],
    ['WRMSR to IA32_EFER', (cpu) => cpu.writeEfer(cpu.efer)],
    ['WRMSR to IA32_PKRS', (cpu) => cpu.writePkrs(0n)],
    ['INVLPG', (cpu) => cpu.invlpg(VA)],
    ['INVLPG of an address that is not canonical', (cpu) => cpu.invlpg(1n << 60n)],
    ['INVLPG in halves', (cpu) => cpu.invalidate(0, Number(VA))],
    ['INVPCID 0', (cpu) => cpu.invpcid(0, 0, VA)],
    ['INVPCID 1', (cpu) => cpu.invpcid(1)],
    ['INVPCID 2', (cpu) => cpu.invpcid(2)],
    ['INVPCID 3', (cpu) => cpu.invpcid(3)],
  ];

  test.each(instructions)('%s raises #GP(0) at CPL 1, 2 and 3, and does nothing', (_, instruction) => {
    const small = machine();
    const cpu = small.boot();
    const before = registersOf(cpu);
    expect(attempt(cpu, 'read', VA)).toBe('0xa');
    small.page(0xb).set(VA, 'PTE', to(0xb, P));
    for (const cpl of [1, 2, 3] satisfies Cpl[]) {
      cpu.cpl = cpl;
      expect(faultOf(instruction(cpu))).toBe(GP);
      expect(cpu.cpl).toBe(cpl);
    }
    cpu.cpl = 0;
    expect(registersOf(cpu)).toEqual(before);
    expect(attempt(cpu, 'read', VA), 'nothing was invalidated').toBe('0xa');
    expect(faultOf(instruction(cpu))).toBe('done');
  });
});

// 4.4.1: loaded by MOV to CR0 and CR4 that change CR0.CD, NW, PG or CR4.PAE, PGE, PSE, SMEP, if PAE paging is on after.
describe('PDPTE registers and MOV to CR0 and CR4', () => {
  /** A PDPTE in memory is not what the register holds: an access tells whether it was loaded. */
  function edited(value = 0n, switches: Parameters<SmallMachine['boot']>[0] = {}): X86Cpu {
    const small = machine('PAE');
    const cpu = small.boot(switches, { caching: 'none' });
    small.set(VA, 'PDPTE', value);
    expect(attempt(cpu, 'read', VA)).toBe('0xa');
    return cpu;
  }

  const loading: readonly [string, (cpu: X86Cpu) => Fault | undefined][] = [
    ['CR0.CD', (cpu) => cpu.writeCr0(cpu.cr0 ^ CR0_CD)],
    ['CR0.CD and NW', (cpu) => cpu.writeCr0(cpu.cr0 ^ (CR0_CD | CR0_NW))],
    ['CR4.PGE', (cpu) => cpu.writeCr4(cpu.cr4 ^ CR4_PGE)],
    ['CR4.PSE', (cpu) => cpu.writeCr4(cpu.cr4 ^ CR4_PSE)],
    ['CR4.SMEP', (cpu) => cpu.writeCr4(cpu.cr4 ^ CR4_SMEP)],
  ];

  test.each(loading)('a change of %s loads them', (_, change) => {
    const cpu = edited();
    expect(faultOf(change(cpu))).toBe('done');
    expect(attempt(cpu, 'read', VA)).toBe('#PF 0x0');
  });

  test.each(loading)(
    'a change of %s is refused if one has reserved bits, and changes nothing',
    (_, change) => {
      const cpu = edited(to(0x101, P | 2n));
      expectRefused(cpu, () => change(cpu));
      expect(attempt(cpu, 'read', VA)).toBe('0xa');
    },
  );

  test('a change of CR0.NW alone loads them', () => {
    const small = machine('PAE');
    const cpu = small.boot({}, { caching: 'none' });
    cpu.writeCr0(cpu.cr0 | CR0_CD);
    small.set(VA, 'PDPTE', 0n);
    cpu.writeCr0(cpu.cr0 | CR0_NW);
    expect(attempt(cpu, 'read', VA)).toBe('#PF 0x0');
  });

  test.each<readonly [string, (cpu: X86Cpu) => Fault | undefined]>([
    ['CR0.WP', (cpu) => cpu.writeCr0(cpu.cr0 ^ CR0_WP)],
    ['CR4.SMAP', (cpu) => cpu.writeCr4(cpu.cr4 ^ CR4_SMAP)],
    ['CR4.PKE', (cpu) => cpu.writeCr4(cpu.cr4 ^ CR4_PKE)],
    ['nothing in CR0', (cpu) => cpu.writeCr0(cpu.cr0)],
    ['nothing in CR4', (cpu) => cpu.writeCr4(cpu.cr4)],
    ['EFER.NXE', (cpu) => cpu.writeEfer(cpu.efer ^ EFER_NXE)],
  ])('a change of %s does not', (_, change) => {
    const cpu = edited(to(0x101, P | 2n));
    cpu.ac = true;
    expect(faultOf(change(cpu))).toBe('done');
    expect(attempt(cpu, 'read', VA)).toBe('0xa');
  });

  test('CR0.PG 0 to 1 loads them, and is refused if one has reserved bits', () => {
    const small = machine('PAE');
    const cpu = small.boot();
    const on = cpu.cr0;
    const entry = small.get(VA, 'PDPTE');
    cpu.writeCr0(on & ~CR0_PG);
    small.set(VA, 'PDPTE', entry | 4n);
    expectRefused(cpu, () => cpu.writeCr0(on));
    expect(attempt(cpu, 'read', 0xa000n)).toBe('0xa');
    small.set(VA, 'PDPTE', entry);
    expect(faultOf(cpu.writeCr0(on))).toBe('done');
    expect(attempt(cpu, 'read', VA)).toBe('0xa');
  });

  test('CR4.PAE 0 to 1 loads them, and is refused if one has reserved bits', () => {
    const small = machine('PAE');
    // The same frames as tables of 32-bit paging: entry 0 of the root is a PDE.
    const entry = small.get(VA, 'PDPTE');
    const cpu = new X86Cpu(small.memory, { cr0: CR0_PG | CR0_PE, cr3: small.cr3, cr4: 0n, efer: 0n });
    small.set(VA, 'PDPTE', entry | 4n);
    expectRefused(cpu, () => cpu.writeCr4(CR4_PAE));
    small.set(VA, 'PDPTE', entry);
    expect(faultOf(cpu.writeCr4(CR4_PAE))).toBe('done');
    expect(attempt(cpu, 'read', VA)).toBe('0xa');
  });

  test('outside PAE paging MOV to CR3 loads none', () => {
    const small = machine('32-bit').table(0x300);
    const cpu = small.boot();
    small.memory.words.fill(0xffff_ffff, small.memory.locate(0x300), small.memory.locate(0x300) + 8);
    expect(faultOf(cpu.writeCr3(0x30_0000n))).toBe('done');
    cpu.writeCr0(cpu.cr0 & ~CR0_PG);
    expect(faultOf(cpu.writeCr4(cpu.cr4 | CR4_PAE))).toBe('done');
    expectRefused(cpu, () => cpu.writeCr0(cpu.cr0 | CR0_PG));
  });
});

describe('the constructor takes no registers that a processor does not take', () => {
  const { ours } = controlsOf({ mode: '4-level', cr3: 0x10_0000n });
  const pae = controlsOf({ mode: 'PAE', cr3: 0x10_0000n }).ours;

  test.each([
    ['CR0.NW without CD', { ...ours, cr0: ours.cr0 | CR0_NW }],
    ['EFER.LME without CR4.PAE', { ...ours, cr4: 0n }],
    ['CR4 bit 15', { ...ours, cr4: ours.cr4 | (1n << 15n) }],
    ['CR4.PCIDE in PAE paging', { ...pae, cr4: pae.cr4 | CR4_PCIDE }],
    ['CR4.PCIDE with paging off', { ...ours, cr0: CR0_PE, cr4: ours.cr4 | CR4_PCIDE }],
    ['CR3 above MAXPHYADDR', { ...ours, cr3: 1n << 46n }],
    ['EFER bit 1', { ...ours, efer: ours.efer | 2n }],
    ['CR0 bit 32', { ...ours, cr0: ours.cr0 | (1n << 32n) }],
    [
      'CR3 bit 63 with PCIDE = 1, which is never stored',
      { ...ours, cr4: ours.cr4 | CR4_PCIDE, cr3: NO_FLUSH },
    ],
  ])('%s', (_, registers) => {
    const small = machine('4-level');
    expect(() => new X86Cpu(small.memory, registers)).toThrow(
      expect.objectContaining({ code: 'BAD_ARGUMENT' }),
    );
  });

  test('PDPTEs with reserved bits, or that are not in memory', () => {
    const small = machine('PAE');
    small.set(VA, 'PDPTE', small.get(VA, 'PDPTE') | 2n);
    for (const cr3 of [small.cr3, 0x7000n]) {
      expect(() => small.boot({ cr3 })).toThrow(expect.objectContaining({ code: 'BAD_ARGUMENT' }));
    }
  });

  test.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY])('caching %d', (caching) => {
    expect(() => machine().boot({}, { caching })).toThrow(expect.objectContaining({ code: 'BAD_ARGUMENT' }));
  });

  test('a PCID in CR3 is taken', () => {
    const small = machine();
    const cpu = small.boot({ cr3: small.cr3 | 7n, cr4: CR4_PCIDE });
    expect(cpu.cr3).toBe(small.cr3 | 7n);
    expect(attempt(cpu, 'read', VA)).toBe('0xa');
  });
});

describe('the mode', () => {
  test.each([
    ['32-bit', FORMAT_32_BIT],
    ['PAE', FORMAT_PAE],
  ] as const)('%s can be chosen where the registers do not say it', (name, mode) => {
    const small = machine(name);
    const options: X86CpuOptions = { mode };
    const cpu = new X86Cpu(small.memory, { cr3: small.cr3 }, options);
    expect(attempt(cpu, 'read', VA)).toBe('0xa');
    expect(cpu.efer & EFER_LMA).toBe(0n);
    expect(cpu.cr4 & CR4_PAE).toBe(name === 'PAE' ? CR4_PAE : 0n);
  });

  test('without registers it is 4-level paging with WP, NXE, PGE and PSE, at CPL 0', () => {
    const cpu = new X86Cpu(new SmallMachine('4-level').memory);
    expect(registersOf(cpu)).toEqual({
      cr0: CR0_PG | CR0_WP | CR0_PE | (1n << 4n),
      cr3: 0n,
      cr4: CR4_PAE | CR4_PGE | CR4_PSE,
      efer: EFER_LME | EFER_LMA | EFER_NXE,
      pkru: 0n,
      pkrs: 0n,
    });
    expect(cpu.cpl).toBe(0);
    expect(cpu.ac).toBe(false);
    expect(cpu.cr2).toBe(0n);
  });
});
