import { joinHalves, PageTableError } from '../bits/index.ts';
import type { Behaviour } from './behaviour.ts';
import { FLAGS_HIGH, FLAGS_LOW, frameOf } from './entry.ts';
import type { Regime } from './regime.ts';

/** What must not be done to a live entry without making it invalid first. */
export type ViolatedRule =
  /** Its output address changes. */
  | 'output-address'
  /** A block becomes a table, or what it maps becomes smaller. */
  | 'block-size'
  /** Attributes change that the TLB may hold in two versions at once. */
  | 'attributes'
  /** The callback failed, which in a live map counts as a violation. */
  | 'callback';

/** Memory type and shareability as version 0.5 sees them, and not-global. */
const SEED_FIXED = 0x304;
const NON_GLOBAL = 0x800;

/** What may be changed in a live valid leaf without making it invalid first. */
export class LiveRules {
  /** Whether the rules of version 0.12 hold, which go by masks; otherwise those of 0.5. */
  readonly byMasks: boolean;
  /** Whether an invalid value stored in between does not make every other value good. */
  readonly noBreakAndMake: boolean;
  /** Flags that have a name. The type of flags itself, with all its constants, is slow to read. */
  readonly namedLow: number;
  readonly namedHigh: number;
  private readonly regime: Regime;
  /** Bits of which changes count. */
  private readonly seenLow: number;
  private readonly seenHigh: number;

  constructor(regime: Regime, behaviour: Behaviour) {
    const { attributes } = regime;
    const all = behaviour['unnamed-bits-count'];
    this.regime = regime;
    this.namedLow = attributes.low;
    this.namedHigh = attributes.high;
    this.byMasks = behaviour['live-changes-by-masks'];
    this.noBreakAndMake = behaviour['no-break-and-make-in-one-callback'];
    this.seenLow = all ? -1 : attributes.low;
    this.seenHigh = all ? -1 : attributes.high;
  }

  /** Whether an entry has a flag without a name. */
  isUnknown(low: number, high: number): boolean {
    return ((low & FLAGS_LOW & ~this.namedLow) | (high & FLAGS_HIGH & ~this.namedHigh)) !== 0;
  }

  /**
   * The rule that a new valid value violates, if any.
   *
   * @param oldLow - of the valid value that is live
   * @param oldHigh - of the same
   * @param frame - of the new output address
   * @param offset - of the new output address in that frame
   * @param low - new flags; in the low half also others
   * @param high - of the same
   */
  violated(
    oldLow: number,
    oldHigh: number,
    frame: number,
    offset: number,
    low: number,
    high: number,
  ): ViolatedRule | undefined {
    if (offset !== 0 || frame !== frameOf(oldLow, oldHigh)) return 'output-address';
    const wasLow = oldLow & FLAGS_LOW;
    const wasHigh = oldHigh & FLAGS_HIGH;
    if (!this.byMasks) {
      if (this.isUnknown(oldLow, oldHigh)) {
        const bits = joinHalves(oldLow, oldHigh);
        const message = `a live entry has a flag without a name: ${bits.toString(16)}; expected named ones only`;
        throw new PageTableError('CORRUPT_TABLE', message, { bits });
      }
      return (((wasLow ^ low) & SEED_FIXED) | (wasLow & ~low & NON_GLOBAL)) === 0 ? undefined : 'attributes';
    }
    const { mayBeSet, mayBeCleared } = this.regime;
    const badLow = ((low & ~wasLow & ~mayBeSet[0]) | (wasLow & ~low & ~mayBeCleared[0])) & this.seenLow;
    const badHigh = ((high & ~wasHigh & ~mayBeSet[1]) | (wasHigh & ~high & ~mayBeCleared[1])) & this.seenHigh;
    return (badLow | badHigh) === 0 ? undefined : 'attributes';
  }
}
