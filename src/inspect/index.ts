export { type Census, takeCensus } from './census.ts';
export {
  type ExplainedAccess,
  type ExplainedField,
  type ExplainedLevel,
  type Explanation,
  explain,
} from './explain.ts';
export {
  decodeLinux,
  decodeLinuxAarch64,
  decodeLinuxRiscv,
  decodeLinuxX86,
  type LinuxEntry,
} from './linux.ts';
export { type Cluster, filterRegions, joinRegions, type Summary } from './overview.ts';
export { printQemuMem, printQemuTlb } from './qemu-monitor.ts';
export { printQemuRiscvMem } from './qemu-riscv.ts';
export {
  DEFAULT_MAX_ROWS,
  type FaultyRegion,
  listRegions,
  type MappedRegion,
  MERGE_RULES,
  type MergeRule,
  type MissingRegion,
  type Region,
  type RegionOptions,
  type Repeat,
  type SharedRegion,
} from './regions.ts';
