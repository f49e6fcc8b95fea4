export {
  type AttributeBits,
  type AttributeChange,
  AttributeEncoder,
  type Described,
  type PageDescription,
  type PageOptions,
  type RawBits,
  type Rights,
} from './attributes.ts';
export { Change, COPY, EditedTable, FILL, FILL_GROUPS, MASK, POINT } from './change.ts';
export { type Committed, commit, type Invalidate } from './commit.ts';
export { type CompactLimits, compactRange } from './compact.ts';
export { Edit } from './edit.ts';
export { PAGES, ROOT, type StaleRange, TABLES } from './invalidation.ts';
export { type Filling, mapRange, type Overlap } from './map.ts';
export { type PageMasks, pageMasks } from './masks.ts';
export { EditPlan, type PlannedWrite } from './plan.ts';
export { protectRange } from './protect.ts';
export { Sharing } from './sharing.ts';
export { type FrameAllocator, MemoryStore, OpsStore, type TableStore } from './store.ts';
export type { EditPolicy, Tree } from './tree.ts';
export { unmapRange } from './unmap.ts';
