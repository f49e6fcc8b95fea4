export {
  ALL_RIGHTS,
  AttributeEncoder,
  type Described,
  type PageDescription,
  type PageOptions,
  type RawBits,
  type Rights,
} from './attributes.ts';
export { Change, EditedTable, FILL, FILL_GROUPS, MASK, POINT } from './change.ts';
export { commit } from './commit.ts';
export { compactRange } from './compact.ts';
export { Edit } from './edit.ts';
export { PAGES, ROOT, type StaleRange, TABLES } from './invalidation.ts';
export { mapRange, type Overlap } from './map.ts';
export { pageMasks } from './masks.ts';
export { EditPlan, type PlannedWrite } from './plan.ts';
export { protectRange } from './protect.ts';
export { Sharing } from './sharing.ts';
export { type FrameAllocator, MemoryStore, OpsStore, type TableStore, takeFrames } from './store.ts';
export { type EditPolicy, MOST_TABLES, type Tree } from './tree.ts';
export { unmapRange } from './unmap.ts';
