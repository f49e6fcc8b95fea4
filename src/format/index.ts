export * from './compile.ts';
export {
  type Bound,
  type EntryFact,
  type Field,
  type FieldFact,
  type FieldRole,
  type FormatFact,
  type FormatState,
  fieldsOf,
  type LevelFact,
} from './format.ts';
export type { AccessResult, EntryBits, MemoryType, Paging, Root, WalkEnd } from './paging.ts';
export * from './rights.ts';
export {
  type Assumption,
  modeOf,
  PAT_RESET,
  type ResolvedControl,
  resolveX86Control,
  rootOf,
  type X86Control,
  type X86ControlName,
  x86Format,
} from './x86/control.ts';
export { FORMAT_4_LEVEL, FORMAT_5_LEVEL, FORMAT_32_BIT, FORMAT_PAE, X86_FORMATS } from './x86/formats.ts';
export { x86Paging } from './x86/paging.ts';
