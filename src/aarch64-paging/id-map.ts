import { Constraints } from './attributes.ts';
import { IdTranslation } from './linear-translation.ts';
import { LiveMap } from './live-map.ts';
import {
  type AttributesOf,
  type Regime,
  type Seed,
  shapeOf,
  type WithAsid,
  type WithoutAsid,
} from './regime.ts';
import type { MemoryRegion } from './region.ts';
import type { MapOptions } from './table-map.ts';
import type { Translation } from './target-allocator.ts';

/** How a map is to behave that could do without a {@link Translation}. */
export interface HeapMapOptions extends MapOptions {
  /** Where tables are and come from; by default a heap of its own. */
  readonly translation?: Translation;
}

/**
 * A map in which every virtual address is unmapped, or mapped to the identical physical one.
 *
 * `R` is the translation regime; without one, it is a map in the shape of version 0.5.
 */
export class IdMap<R extends Regime = Seed> extends LiveMap<R> {
  /**
   * In the shape of version 0.5.
   *
   * @param asid - address space identifier of 16 bits
   * @param rootLevel - 0 for 2^48 bytes, 1 for 2^39, 2 for 2^30, 3 for 2^21
   * @throws {@link PageTableError} `OUT_OF_RANGE` for another level or ASID
   */
  constructor(asid: number, rootLevel: number, options?: HeapMapOptions);
  /** For a regime that has no ASIDs. */
  constructor(rootLevel: number, regime: R & WithoutAsid, options?: HeapMapOptions);
  /** @internal */
  constructor(asid: number, rootLevel: number, options: HeapMapOptions | undefined, regime: R);
  constructor(first: number, second: number | R, options?: HeapMapOptions, regime?: R) {
    const translation = options?.translation ?? new IdTranslation();
    const given = typeof second === 'object' ? second : 'Lower';
    const shape = shapeOf('IdMap', given, regime);
    const [asid, level] = typeof second === 'object' ? [undefined, first] : [first, second];
    super(translation, asid, level, shape.regime, 'Lower', options);
  }

  /** For a regime that has ASIDs. */
  static withAsid<R extends WithAsid>(
    asid: number,
    rootLevel: number,
    regime: R,
    options?: HeapMapOptions,
  ): IdMap<R> {
    return new IdMap<R>(asid, rootLevel, options, regime);
  }

  /**
   * Maps a range to the identical physical addresses: with the largest blocks possible, and pages where there are tables of them
   * already. Flags without `VALID` unmap.
   *
   * @param range - virtual addresses
   * @param flags - of every leaf
   * @throws {@link MapError} `InvalidFlags`, `RegionBackwards`, `AddressRange`; `BreakBeforeMakeViolation` if the map is active
   *   and the change is not allowed then; all before anything is written
   */
  mapRange(range: MemoryRegion, flags: AttributesOf<R>): void {
    this.mapRangeWithConstraints(range, flags, Constraints.empty());
  }

  /**
   * The same, without what the constraints forbid.
   *
   * @param constraints - what not to use
   */
  mapRangeWithConstraints(range: MemoryRegion, flags: AttributesOf<R>, constraints: Constraints): void {
    this.mapTo(range, undefined, flags, constraints);
  }

  /** The original's debug text: all entries of all tables. */
  override toString(): string {
    return `IdMap { mapping: ${super.toString()} }`;
  }
}
