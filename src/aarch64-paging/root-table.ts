import { addressValue, PhysicalAddress } from './address.ts';
import type { Constraints } from './attributes.ts';
import type { AttributesOf, Regime, Seed, VaRange, WithAsid, WithoutAsid } from './regime.ts';
import { shapeOf } from './regime.ts';
import type { MemoryRegion } from './region.ts';
import { type MapOptions, TableMap } from './table-map.ts';
import type { Translation } from './target-allocator.ts';

/**
 * Tables of one address space. They are never active: nothing is held against what a live map may do, and no processor is told.
 *
 * `R` is the translation regime; without one, it is a root in the shape of version 0.5.
 */
export class RootTable<R extends Regime = Seed> extends TableMap<R> {
  /**
   * In the shape of version 0.5.
   *
   * @param translation - where tables are and come from
   * @param level - of the root: 0 for 2^48 bytes, 1 for 2^39, 2 for 2^30, 3 for 2^21
   * @param vaRange - which addresses
   * @throws {@link PageTableError} `OUT_OF_RANGE` for another level
   */
  constructor(translation: Translation, level: number, vaRange: VaRange, options?: MapOptions);
  /** For a regime that has one range of addresses. */
  constructor(translation: Translation, level: number, regime: R & WithoutAsid, options?: MapOptions);
  /** @internal */
  constructor(translation: Translation, level: number, vaRange: VaRange, options?: MapOptions, regime?: R);
  constructor(translation: Translation, level: number, given: R | VaRange, options?: MapOptions, regime?: R) {
    const shape = shapeOf<R>('RootTable', given, regime);
    super(translation, level, shape.regime, shape.vaRange, options);
  }

  /** For a regime that has two ranges of addresses. */
  static withVaRange<R extends WithAsid>(
    translation: Translation,
    level: number,
    regime: R,
    vaRange: VaRange,
    options?: MapOptions,
  ): RootTable<R> {
    return new RootTable<R>(translation, level, vaRange, options, regime);
  }

  /**
   * Maps a range to physical addresses from `pa` on: with the largest blocks that both allow, and pages where there are tables of
   * them already. Flags without `VALID` unmap.
   *
   * @param range - virtual addresses
   * @param pa - physical address of its first byte; bits 11:0 and those from 48 on are dropped
   * @param flags - of every leaf
   * @param constraints - what not to use
   * @throws {@link MapError} `InvalidFlags`, `RegionBackwards`, `AddressRange`, before anything is written
   */
  mapRange(
    range: MemoryRegion,
    pa: bigint | PhysicalAddress,
    flags: AttributesOf<R>,
    constraints?: Constraints,
  ): void {
    this.mapTo(range, new PhysicalAddress(addressValue('mapRange', pa)).value, flags, constraints);
  }

  /** Physical address of the root. */
  toPhysical(): PhysicalAddress {
    return this.rootAddress();
  }

  /** Which addresses it is for. */
  vaRange(): VaRange {
    return this.range;
  }
}
