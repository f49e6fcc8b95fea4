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
export {
  type InstructionOptions,
  type InvalidationInstruction,
  invalidationInstructions,
} from './instructions.ts';
export { type Control, type KnownControl, SPACE_FORMATS, type SpaceFormat } from './machines.ts';
export type { EditResult, SpaceInvalidation } from './result.ts';
export { SpacePlan } from './space-plan.ts';
