import { Constraints } from './attributes.ts';
import type { HeapMapOptions } from './id-map.ts';
import { LinearTranslation } from './linear-translation.ts';
import { LiveMap } from './live-map.ts';
import {
  type AttributesOf,
  type Regime,
  type Seed,
  shapeOf,
  type VaRange,
  type WithAsid,
  type WithoutAsid,
} from './regime.ts';
import { addressAt, checkRegion, type MemoryRegion } from './region.ts';

/**
 * A map in which every virtual address is unmapped, or mapped to the physical one at a fixed distance.
 *
 * `R` is the translation regime; without one, it is a map in the shape of version 0.5.
 */
export class LinearMap<R extends Regime = Seed> extends LiveMap<R> {
  private readonly linear: LinearTranslation;

  /**
   * In the shape of version 0.5.
   *
   * @param asid - address space identifier of 16 bits
   * @param rootLevel - 0 for 2^48 bytes, 1 for 2^39, 2 for 2^30, 3 for 2^21
   * @param offset - physical address less virtual address: signed, a multiple of 4096
   * @param vaRange - which addresses
   * @throws {@link PageTableError} `OUT_OF_RANGE`, `MISALIGNED`
   */
  constructor(asid: number, rootLevel: number, offset: bigint, vaRange: VaRange, options?: HeapMapOptions);
  /** For a regime that has no ASIDs. */
  constructor(rootLevel: number, offset: bigint, regime: R & WithoutAsid, options?: HeapMapOptions);
  /** @internal */
  constructor(
    asid: number,
    rootLevel: number,
    offset: bigint,
    vaRange: VaRange,
    options: HeapMapOptions | undefined,
    regime: R,
  );
  constructor(
    first: number,
    second: number | bigint,
    third: bigint | R,
    fourth?: VaRange | HeapMapOptions,
    fifth?: HeapMapOptions,
    given?: R,
  ) {
    const seed = typeof second === 'number';
    const options = seed ? fifth : (fourth as HeapMapOptions | undefined);
    const linear = new LinearTranslation((seed ? third : second) as bigint);
    const { regime, vaRange } = shapeOf<R>('LinearMap', (seed ? fourth : third) as R | VaRange, given);
    const [asid, level] = seed ? [first, second] : [undefined, first];
    super(options?.translation ?? linear, asid, level, regime, vaRange, options);
    this.linear = linear;
  }

  /** For a regime that has ASIDs, and two ranges of addresses. */
  static withAsid<R extends WithAsid>(
    asid: number,
    rootLevel: number,
    offset: bigint,
    regime: R,
    vaRange: VaRange,
    options?: HeapMapOptions,
  ): LinearMap<R> {
    return new LinearMap<R>(asid, rootLevel, offset, vaRange, options, regime);
  }

  /**
   * Maps a range to the physical addresses at the map's distance: with the largest blocks possible, and pages where there are
   * tables of them already. Flags without `VALID` unmap.
   *
   * @param range - virtual addresses
   * @param flags - of every leaf
   * @throws {@link MapError} `InvalidVirtualAddress` if an address of the range has no physical one; `InvalidFlags`,
   *   `RegionBackwards`, `AddressRange`; `BreakBeforeMakeViolation` if the map is active and the change is not allowed then; all
   *   before anything is written
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
    const pa = this.linear.virtualToPhysical(checkRegion('mapRange', range).start());
    if (this.behaviour['whole-linear-range-is-checked'] && range.endPage > range.firstPage) {
      this.linear.virtualToPhysical(addressAt(range.endPage - 1));
    }
    this.mapTo(range, pa.value, flags, constraints);
  }

  /** The original's debug text: all entries of all tables. */
  override toString(): string {
    return `LinearMap { mapping: ${super.toString()} }`;
  }
}
