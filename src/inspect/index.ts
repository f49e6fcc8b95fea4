export { type Census, takeCensus } from './census.ts';
export {
  DEFAULT_MAX_CHANGES,
  type DiffOptions,
  diffRegions,
  type PageMeaning,
  type PagingView,
  type RegionChange,
  type RegionDiff,
} from './diff.ts';
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
  DEFAULT_MAX_RESULTS,
  type FrameMapping,
  type FrameTable,
  findPhysical,
  type PhysicalRange,
  type PhysicalReferences,
  type ReferenceOptions,
} from './references.ts';
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
export { type IndexedTable, TableIndex, type TableParent, tableIndex } from './table-index.ts';
