export { flatMemory, type GrowableMemory, type RamBuffer, type RamRegion } from './flat.ts';
export { OverlayMemory, type WordChange } from './overlay.ts';
export { ABSENT, type FrameLookup, NO_FRAMES, PhysicalMemory } from './physical-memory.ts';
export { DEFAULT_MAX_FRAMES, SparseMemory } from './sparse.ts';
export {
  type FixedTableOps,
  type MovableTableOps,
  memoryOfTables,
  type TableOps,
  type TableReadOps,
} from './table-ops.ts';
