export type { FrameAllocator, Overlap, PageOptions, PlannedWrite, RawBits, Rights } from '../edit/index.ts';
export { AddressSpace, type OpenOptions } from './address-space.ts';
export {
  type InstructionOptions,
  type InvalidationInstruction,
  invalidationInstructions,
} from './instructions.ts';
export { type Control, type KnownControl, SPACE_FORMATS, type SpaceFormat } from './machines.ts';
export type {
  CommitOptions,
  CompactOptions,
  CreateOptions,
  JsonOptions,
  MapOptions,
  ProtectOptions,
  SpacePolicy,
  SpaceTranslation,
  UnmapOptions,
} from './options.ts';
export type { PlanPiece } from './pieces.ts';
export { planFromJSON } from './plan-from-json.ts';
export type { InvalidationJson, PlanJson, WriteJson } from './plan-json.ts';
export type { EditResult, SpaceInvalidation } from './result.ts';
export type { MappingJson, SpaceJson } from './space-json.ts';
export { SpacePlan } from './space-plan.ts';
export { UnfinishedEdit } from './unfinished-edit.ts';
export type { PageLimit, PageReason } from './why.ts';
