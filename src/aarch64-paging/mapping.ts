import { addressValue, PhysicalAddress } from './address.ts';
import type { Constraints } from './attributes.ts';
import { LiveMap } from './live-map.ts';
import type { AttributesOf, Regime, Seed, VaRange, WithAsid, WithoutAsid } from './regime.ts';
import { shapeOf } from './regime.ts';
import type { MemoryRegion } from './region.ts';
import type { MapOptions } from './table-map.ts';
import type { Translation } from './target-allocator.ts';

/**
 * A map of virtual addresses to any physical ones.
 *
 * `R` is the translation regime; without one, it is a map in the shape of version 0.5.
 */
export class Mapping<R extends Regime = Seed> extends LiveMap<R> {
  /**
   * In the shape of version 0.5.
   *
   * @param translation - where tables are and come from
   * @param asid - address space identifier of 16 bits
   * @param rootLevel - 0 for 2^48 bytes, 1 for 2^39, 2 for 2^30, 3 for 2^21
   * @param vaRange - which addresses
   * @throws {@link PageTableError} `OUT_OF_RANGE` for another level or ASID
   */
  constructor(
    translation: Translation,
    asid: number,
    rootLevel: number,
    vaRange: VaRange,
    options?: MapOptions,
  );
  /** For a regime that has no ASIDs. */
  constructor(translation: Translation, rootLevel: number, regime: R & WithoutAsid, options?: MapOptions);
  /** @internal */
  constructor(
    translation: Translation,
    asid: number,
    rootLevel: number,
    vaRange: VaRange,
    options: MapOptions | undefined,
    regime: R,
  );
  constructor(
    translation: Translation,
    first: number,
    second: number | R,
    third?: VaRange | MapOptions,
    fourth?: MapOptions,
    regime?: R,
  ) {
    if (typeof second === 'object') {
      super(
        translation,
        undefined,
        first,
        shapeOf('Mapping', second, undefined).regime,
        'Lower',
        third as MapOptions,
      );
    } else {
      const shape = shapeOf<R>('Mapping', third as VaRange, regime);
      super(translation, first, second, shape.regime, shape.vaRange, fourth);
    }
  }

  /** For a regime that has ASIDs, and two ranges of addresses. */
  static withAsidAndVaRange<R extends WithAsid>(
    translation: Translation,
    asid: number,
    rootLevel: number,
    regime: R,
    vaRange: VaRange,
    options?: MapOptions,
  ): Mapping<R> {
    return new Mapping<R>(translation, asid, rootLevel, vaRange, options, regime);
  }

  /**
   * Maps a range to physical addresses from `pa` on: with the largest blocks that both allow, and pages where there are tables of
   * them already. Flags without `VALID` unmap.
   *
   * @param range - virtual addresses
   * @param pa - physical address of its first byte; bits 11:0 and those from 48 on are dropped
   * @param flags - of every leaf
   * @param constraints - what not to use
   * @throws {@link MapError} `InvalidFlags`, `RegionBackwards`, `AddressRange`; `BreakBeforeMakeViolation` if the map is active
   *   and the change is not allowed then; all before anything is written
   */
  mapRange(
    range: MemoryRegion,
    pa: bigint | PhysicalAddress,
    flags: AttributesOf<R>,
    constraints?: Constraints,
  ): void {
    this.mapTo(range, new PhysicalAddress(addressValue('mapRange', pa)).value, flags, constraints);
  }
}
