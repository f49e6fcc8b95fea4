export { type Absent, type Fault, faultText, type Outcome, PageFault } from './outcome.ts';
export { type AccessOptions, type Cpl, X86Cpu, type X86CpuOptions } from './x86/x86-cpu.ts';
