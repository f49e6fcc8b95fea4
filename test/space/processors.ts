import { Aarch64Cpu, RiscvCpu, X86Cpu } from '../../src/cpu/index.ts';
import {
  type Aarch64Control,
  CR4_PGE,
  FETCH,
  type PhysicalMemory,
  READ,
  type RiscvControl,
  satpFor,
  WRITE,
  type X86Control,
} from '../../src/index.ts';
import type { AddressSpace, InvalidationInstruction } from '../../src/space/index.ts';

/** A processor of any architecture that remembers all that it may, and has a detector. */
export interface Processor {
  /** The frame to which an access comes; negative for a fault. Accesses are numbered as `JUDGED` lists them. */
  translate(address: bigint, access: number): number;
  execute(instruction: InvalidationInstruction): void;
  /** What the detector has reported, as texts. */
  reports(): string[];
  /** What is remembered and the tables no longer give, as texts. */
  stale(): string[];
  /** Loads another root under another address-space identifier. */
  leave(emptyRoot: number): void;
}

const KINDS = [READ, WRITE, FETCH];
const high = (address: bigint) => Number(BigInt.asIntN(32, address >> 32n));
const low = (address: bigint) => Number(BigInt.asIntN(32, address));

/** A processor with the registers of a space. */
export function processorFor(space: AddressSpace): Processor {
  const { control, memory } = space;
  if (control === undefined) throw new Error('no control state');
  if ('cr3' in control) return x86(memory, control);
  if ('satp' in control) return riscv(memory, control, space);
  return aarch64(memory, control);
}

function x86(memory: PhysicalMemory, control: X86Control): Processor {
  const cpu = new X86Cpu(memory, control, { detector: true });
  return {
    translate: (address, access) => {
      cpu.cpl = access < 3 ? 0 : 3;
      const frame = cpu.translate(high(address), low(address), KINDS[access % 3]);
      cpu.cpl = 0;
      return frame;
    },
    execute: (instruction) => {
      if (instruction.op === 'INVLPG') cpu.invlpg(instruction.address);
      else if (instruction.op === 'MOV CR3') cpu.writeCr3(cpu.cr3);
      else if (instruction.op === 'MOV CR4') {
        cpu.writeCr4(instruction.pge ? cpu.cr4 | CR4_PGE : cpu.cr4 & ~CR4_PGE);
      } else throw new Error(`no instruction of x86: ${instruction.text}`);
    },
    reports: () => cpu.detector?.reports.map(({ message }) => message) ?? [],
    stale: () => cpu.detector?.stale().map((one) => JSON.stringify(one, text)) ?? [],
    leave: (emptyRoot) => {
      const pcid = (control.cr4 & 0x2_0000n) === 0n ? 0n : 0x123n;
      cpu.writeCr3((BigInt(emptyRoot) << 12n) | pcid);
    },
  };
}

function aarch64(memory: PhysicalMemory, control: Aarch64Control): Processor {
  const cpu = new Aarch64Cpu(memory, control, { detector: true });
  return {
    translate: (address, access) => {
      cpu.el = access < 3 ? 1 : 0;
      const frame = cpu.translate(high(address), low(address), KINDS[access % 3]);
      cpu.el = 1;
      return frame;
    },
    execute: (instruction) => {
      if (instruction.op === 'TLBI') cpu.tlbi(instruction.operation, instruction.operand ?? 0n);
      else if (instruction.op === 'DSB ISH' || instruction.op === 'DSB ISHST' || instruction.op === 'ISB') {
        cpu.barrier(instruction.op);
      } else throw new Error(`no instruction of AArch64: ${instruction.text}`);
    },
    reports: () => cpu.detector?.reports.map(({ message }) => message) ?? [],
    stale: () => cpu.detector?.stale().map((one) => JSON.stringify(one, text)) ?? [],
    leave: (emptyRoot) => {
      const root = (BigInt(emptyRoot) << 12n) | (0x123n << 48n);
      cpu.writeSystemRegister('TTBR0_EL1', root);
      cpu.writeSystemRegister('TTBR1_EL1', root);
    },
  };
}

function riscv(memory: PhysicalMemory, control: RiscvControl, { pagings }: AddressSpace): Processor {
  const cpu = new RiscvCpu(memory, control, { detector: true });
  return {
    translate: (address, access) => {
      cpu.privilege = access < 3 ? 'S' : 'U';
      const frame = cpu.translate(high(address), low(address), KINDS[access % 3]);
      cpu.privilege = 'S';
      return frame;
    },
    execute: (instruction) => {
      if (instruction.op !== 'SFENCE.VMA') throw new Error(`no instruction of RISC-V: ${instruction.text}`);
      const { address, asid } = instruction;
      cpu.sfenceVma({
        ...(address === undefined ? {} : { address }),
        ...(asid === undefined ? {} : { asid: BigInt(asid) }),
      });
    },
    reports: () => cpu.detector?.reports.map(({ message }) => message) ?? [],
    stale: () => cpu.detector?.stale().map((one) => JSON.stringify(one, text)) ?? [],
    leave: (emptyRoot) => cpu.writeCsr('satp', satpFor(pagings[0].format.fact, emptyRoot, 0x123)),
  };
}

function text(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? `0x${value.toString(16)}` : value;
}
