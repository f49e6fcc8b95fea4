export {
  AARCH64_FLAGS,
  type Aarch64Assumption,
  type Aarch64Control,
  type Aarch64FlagFact,
  type Aarch64FlagRegister,
  type Half,
  type HalfControl,
  halfControl,
  hasInputBits,
  type KnownAarch64Control,
  knownAarch64Control,
  outputBits,
  PSTATE_PAN,
  resolveAarch64Control,
  SCTLR_EPAN,
  SCTLR_M,
  SCTLR_WXN,
  TCR_A1,
  TCR_AS,
  TCR_DS,
  TCR_HA,
  TCR_HD,
} from './aarch64/control.ts';
export {
  aarch64DenialTexts,
  abortSyndrome,
  FAULT_STATUS,
  invalidText,
  STATUS_ALIGNMENT,
  statusText,
  syndromeBits,
} from './aarch64/faults.ts';
export { aarch64Format, GRANULES, type Granule, startLevel } from './aarch64/formats.ts';
export { type MairType, mairType } from './aarch64/memory-types.ts';
export {
  aarch64HalfFormat,
  aarch64Paging,
  aarch64Pagings,
  aarch64RightsControl,
  aarch64Root,
  halfOf,
} from './aarch64/paging.ts';
export {
  AARCH64_DENIED_BY,
  type Aarch64RightsControl,
  aarch64Denials,
  aarch64RightsTable,
  combinedDescriptors,
} from './aarch64/rights.ts';
export {
  andPageRights,
  andRights,
  type CompiledFormat,
  compileFormat,
  dirtyFlip,
  encodedShift,
  entryOrder,
  groupOffset,
  groupOrder,
  indexOf,
  isAccessed,
  isDirty,
  isFaultyPage,
  isFaultyTable,
  isGlobal,
  isPresent,
  lastIndex,
  leadsToTable,
  nearTableFrame,
  orPageRights,
  orRights,
  pageAccessed,
  pageDirty,
  pageFrame,
  pageOrder,
  pageWithin,
  tableAccessed,
  tableFrame,
  untagged,
  withDirty,
} from './compile.ts';
export type { ControlFlagFact } from './control-flag.ts';
export { describeEntry, reservedTexts } from './describe.ts';
export { EntryEncoder, kindOf, type LevelEncoding } from './encode.ts';
export {
  addressIn,
  type Bound,
  type EntryFact,
  type Field,
  type FieldFact,
  type FieldRole,
  type FormatFact,
  type FormatState,
  fieldsOf,
  type LevelFact,
  type ReservedCode,
} from './format.ts';
export { withHole, withoutHole } from './hole.ts';
export { inheritedBits } from './inherited.ts';
export { LIVE_RULES, type LiveRules } from './live-rules.ts';
export { roleMask } from './masks.ts';
export type { AccessResult, EntryBits, MemoryType, Paging, Root, WalkEnd } from './paging.ts';
export {
  ACCESS_KINDS,
  ACCESSES,
  type Access,
  type AccessKind,
  accessNumber,
  FETCH,
  READ,
  rightBit,
  rightsText,
  SUPERVISOR_EXECUTE,
  SUPERVISOR_READ,
  SUPERVISOR_WRITE,
  USER_EXECUTE,
  USER_READ,
  USER_WRITE,
  WRITE,
} from './rights.ts';
export {
  type KnownRiscvControl,
  knownRiscvControl,
  MENVCFG_ADUE,
  MENVCFG_PBMTE,
  RISCV_FLAGS,
  type RiscvAssumption,
  type RiscvControl,
  resolveRiscvControl,
  riscvMode,
  SSTATUS_MXR,
  SSTATUS_SUM,
  satpAsid,
  satpFor,
  satpMode,
  satpRoot,
} from './riscv/control.ts';
export { RISCV_EXCEPTIONS, type RiscvCause, riscvCause, riscvDenialTexts } from './riscv/faults.ts';
export { FORMAT_SV32, FORMAT_SV39, FORMAT_SV48, FORMAT_SV57, RISCV_FORMATS } from './riscv/formats.ts';
export { riscvFormat, riscvPaging } from './riscv/paging.ts';
export {
  pteRights,
  RISCV_DENIED_BY,
  type RiscvRightsControl,
  riscvDenials,
  riscvRightsTable,
} from './riscv/rights.ts';
export {
  type Assumption,
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
  type KnownX86Control,
  knownX86Control,
  modeOf,
  PAT_RESET,
  type ResolvedControl,
  resolveX86Control,
  rootOf,
  X86_FLAGS,
  type X86Control,
  type X86ControlName,
  x86Format,
} from './x86/control.ts';
export {
  CAUSE_NOT_PRESENT,
  CAUSE_RESERVED,
  causeOf,
  denialTexts,
  pageFaultBits,
  pageFaultCode,
  tellsFetches,
} from './x86/faults.ts';
export { FORMAT_4_LEVEL, FORMAT_5_LEVEL, FORMAT_32_BIT, FORMAT_PAE, X86_FORMATS } from './x86/formats.ts';
export { patIndexOf, x86Paging } from './x86/paging.ts';
export { combinedIndex, denials, type RightsControl, rightsControl } from './x86/rights.ts';
