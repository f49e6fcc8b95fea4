export {
  type Access,
  FETCH,
  type KnownAarch64Control,
  type KnownRiscvControl,
  type KnownX86Control,
  READ,
  WRITE,
} from '../format/index.ts';
export { type Aarch64AccessOptions, Aarch64Cpu } from './aarch64/aarch64-cpu.ts';
export type { Aarch64CpuOptions, Aarch64System, AtOperation } from './aarch64/aarch64-system.ts';
export type { Aarch64Detector } from './aarch64/detector.ts';
export type { Detector, DetectorOptions } from './detector.ts';
export {
  type Aarch64Fault,
  type Absent,
  type Fault,
  faultText,
  type Outcome,
  ProcessorFault,
  type RiscvFault,
  type X86Fault,
} from './outcome.ts';
export {
  type BreakBeforeMake,
  type BreakStep,
  type ContiguousGroup,
  type EntryChange,
  type EntryWrite,
  type Invalidation,
  type Report,
  type Stale,
  staleLines,
} from './report.ts';
export type { RiscvDetector } from './riscv/detector.ts';
export { type RiscvAccessOptions, RiscvCpu } from './riscv/riscv-cpu.ts';
export type {
  RiscvCpuOptions,
  RiscvPrivilege,
  RiscvSystem,
  SfenceOperands,
} from './riscv/riscv-system.ts';
export type { X86Detector } from './x86/detector.ts';
export { type AccessOptions, X86Cpu } from './x86/x86-cpu.ts';
export type { Cpl, X86CpuOptions, X86System } from './x86/x86-system.ts';
