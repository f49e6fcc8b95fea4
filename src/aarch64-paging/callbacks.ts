import type { Descriptor, DescriptorMut, UpdatableDescriptor } from './descriptor.ts';
import type { Regime, Seed } from './regime.ts';
import type { MemoryRegion } from './region.ts';

/**
 * What `walkRange` calls for each leaf, mapped or not.
 *
 * @param region - the part of the range that the leaf maps
 * @param descriptor - the leaf
 * @param level - of its table
 * @param full - all that the leaf maps
 * @returns `false` to fail, as an {@link UpdateError} does
 */
export type WalkCallback<R extends Regime> = (
  region: MemoryRegion,
  descriptor: Descriptor<R>,
  level: number,
  full: MemoryRegion,
) => unknown;

/**
 * What `modifyRange` calls for each leaf, mapped or not, after splitting those that reach out of the range. While the map is
 * active, it is first called with copies of what is there, to see whether the changes are allowed.
 */
export type ModifyCallback<R extends Regime> = R extends Seed
  ? (region: MemoryRegion, descriptor: DescriptorMut, level: number, full: MemoryRegion) => unknown
  : (region: MemoryRegion, descriptor: UpdatableDescriptor<R>, level: number, full: MemoryRegion) => unknown;
