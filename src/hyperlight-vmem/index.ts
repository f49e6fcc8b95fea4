export {
  type FixedTableOps,
  type MovableTableOps,
  memoryOfTables,
  type TableOps,
  type TableReadOps,
} from '../memory/index.ts';
export {
  type Architecture,
  aarch64,
  amd64,
  type Layout,
  scratchBaseGpa,
  scratchBaseGva,
} from './architecture.ts';
export { CopyOnWriteTableOps } from './copy-on-write-table-ops.ts';
export { map } from './map.ts';
export {
  type BasicMapping,
  type CowMapping,
  type Mapping,
  type MappingKind,
  mergedMappings,
  type SpaceAwareMapping,
  type SpaceId,
  type SpaceReferenceMapping,
  type UnmappedMapping,
} from './mapping.ts';
export { GuestPageTableBuffer, MemoryTableOps, type MemoryTableOptions } from './memory-table-ops.ts';
export { type SpaceMappings, spaceAwareMap, type WalkOptions, walkVaSpaces } from './spaces.ts';
export { type MappedPage, type MappedPages, type TranslateOptions, virtToPhys } from './virt-to-phys.ts';
