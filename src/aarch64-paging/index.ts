export { PhysicalAddress, VirtualAddress } from './address.ts';
export { Attributes, Constraints, El1Attributes, El23Attributes, Stage2Attributes } from './attributes.ts';
export { BEHAVIOURS, type Behaviour, type BehaviourName, behaviourWith, MODERN, SEED } from './behaviour.ts';
export type { ModifyCallback, WalkCallback } from './callbacks.ts';
export { Descriptor, DescriptorMut, UpdatableDescriptor } from './descriptor.ts';
export { BITS_PER_LEVEL, LEAF_LEVEL, PAGE_SIZE } from './entry.ts';
export { MapError, type Violation } from './errors.ts';
export { Flags, FlagsType, type FlagsTypeWith } from './flags.ts';
export { type HeapMapOptions, IdMap } from './id-map.ts';
export { LinearMap } from './linear-map.ts';
export { IdTranslation, LinearTranslation } from './linear-translation.ts';
export { LiveMap } from './live-map.ts';
export type { ViolatedRule } from './live-rules.ts';
export { Mair, MairAttribute, NormalMemory } from './mair.ts';
export { Mapping } from './mapping.ts';
export { PageTable } from './page-table.ts';
export type { Processor } from './processor.ts';
export {
  type AttributesOf,
  El1And0,
  El2,
  El2And0,
  El3,
  type Regime,
  type Seed,
  Stage2,
  VaRange,
  type WithAsid,
  type WithoutAsid,
} from './regime.ts';
export { MemoryRegion } from './region.ts';
export { RootTable } from './root-table.ts';
export {
  type MapOptions,
  TableMap,
  type TableStatistics,
  type Translated,
} from './table-map.ts';
export { TargetAllocator, type Translation } from './target-allocator.ts';
export { UpdateError } from './update-error.ts';
