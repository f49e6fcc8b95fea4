export { type Absent, type Fault, faultText, type Outcome, PageFault } from './outcome.ts';
export {
  type EntryChange,
  type EntryWrite,
  type Invalidation,
  type Report,
  type Stale,
  staleLines,
} from './report.ts';
export type { DetectorOptions, X86Detector } from './x86/detector.ts';
export { type AccessOptions, type Cpl, X86Cpu, type X86CpuOptions } from './x86/x86-cpu.ts';
