export type { FrameAllocator, Overlap, PageOptions, PlannedWrite, Rights } from '../edit/index.ts';
export {
  AddressSpace,
  type CommitOptions,
  type CompactOptions,
  type CreateOptions,
  type MapOptions,
  type OpenOptions,
  type ProtectOptions,
  type SpacePolicy,
  type SpaceTranslation,
  type UnmapOptions,
} from './address-space.ts';
export { type Control, type KnownControl, SPACE_FORMATS, type SpaceFormat } from './machines.ts';
export type { PlanPiece } from './pieces.ts';
export type { EditResult, SpaceInvalidation } from './result.ts';
export { SpacePlan } from './space-plan.ts';
export type { PageLimit, PageReason } from './why.ts';
