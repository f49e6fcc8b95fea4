import { addressOf, hex, hex64, joinHalves, offsetOf, PageTableError, pageOf } from '../bits/index.ts';
import { INSPECT } from '../bits/inspect.ts';
import type { PhysicalMemory } from '../memory/index.ts';
import { addressValue, PhysicalAddress } from './address.ts';
import { Attributes } from './attributes.ts';
import type { Behaviour } from './behaviour.ts';
import { ADDRESS, FLAGS_HIGH, FLAGS_LOW, frameOf, highOf, LEAF_LEVEL, lowOf, TABLE, VALID } from './entry.ts';
import { checkFlags } from './flags.ts';
import type { LiveRules, ViolatedRule } from './live-rules.ts';
import { type AttributesOf, type Regime, Seed } from './regime.ts';
import { spent } from './region.ts';
import { UpdateError } from './update-error.ts';

/** What `flags()` gives: in the shape of 0.5 nothing where a bit is set that has no name. */
export type FlagsOf<R extends Regime> = Seed extends R ? AttributesOf<R> | undefined : AttributesOf<R>;

/**
 * An entry of a table, as a callback gets it, or as it was.
 *
 * One that is given to a callback is good until the callback returns: {@link clone} makes one to keep.
 */
export class Descriptor<R extends Regime = Regime> {
  /** @internal */
  readonly regime: R;
  /** @internal Bits 31:0, signed. */
  lowBits: number;
  /** @internal Bits 63:32, signed. */
  highBits: number;
  /** @internal Whether it may be used. */
  alive = true;

  /** @internal */
  constructor(regime: R, low = 0, high = 0) {
    this.regime = regime;
    this.lowBits = low;
    this.highBits = high;
  }

  /** Bits 31:0, signed. */
  get low(): number {
    if (!this.alive) throw spent('descriptor');
    return this.lowBits;
  }

  /** Bits 63:32, signed. */
  get high(): number {
    if (!this.alive) throw spent('descriptor');
    return this.highBits;
  }

  /** Frame number of the output address. */
  get frame(): number {
    return frameOf(this.low, this.highBits);
  }

  /** All 64 bits. */
  bits(): bigint {
    return joinHalves(this.low, this.highBits);
  }

  /** Whether bit 0 is set. */
  isValid(): boolean {
    return (this.low & VALID) !== 0;
  }

  /** Whether bits 0 and 1 are set: a table, or at level 3 a page. In the shape of 0.5 not if a bit is set that has no name. */
  isTableOrPage(): boolean {
    return (this.low & (VALID | TABLE)) === (VALID | TABLE) && this.flags() !== undefined;
  }

  /** All bits but the output address; in the shape of 0.5 `undefined` if one of them has no name. */
  flags(): FlagsOf<R> {
    const { attributes } = this.regime;
    const flags = attributes.fromBitsRetain(joinHalves(this.low & FLAGS_LOW, this.highBits & FLAGS_HIGH));
    const known = (this.regime as Regime) !== Seed || attributes.all().contains(flags);
    return (known ? flags : undefined) as FlagsOf<R>;
  }

  /** Bits 47:12, the address of the table, block or page. */
  outputAddress(): PhysicalAddress {
    return new PhysicalAddress(addressOf(this.frame));
  }

  /** A descriptor of the same bits, to be kept. */
  clone(): Descriptor<R> {
    return new Descriptor(this.regime, this.low, this.highBits);
  }

  /** The original's debug text. */
  toString(): string {
    return descriptorText(this.bits(), this.flagsText());
  }

  /** @internal The text of its flags, empty if it shows none. */
  flagsText(): string {
    return `${(this.isValid() && this.flags()) || ''}`;
  }

  /** @internal */
  [INSPECT](): string {
    return this.toString();
  }
}

/**
 * The original's debug text of an entry.
 *
 * @param flags - their text, empty if it shows none
 */
export function descriptorText(bits: bigint, flags: string): string {
  const text = `0x${bits.toString(16).padStart(14, '0')}`;
  return flags === '' ? text : `${text} (${hex64(bits & ADDRESS)}, ${flags})`;
}

/** An entry that can be changed: what changes it says where its new value goes. */
export abstract class WritableDescriptor<R extends Regime = Regime> extends Descriptor<R> {
  /** @internal Where it lies; `undefined` for a copy. */
  memory: PhysicalMemory | undefined;
  /** @internal Index of its low word. */
  at = 0;
  /** @internal Its level. */
  depth = 0;
  /** @internal Whether any change made it another value. */
  changed = false;
  /** @internal Whether the map is active. */
  live = false;
  /** @internal What rule a refused change would have violated. */
  refused: ViolatedRule | undefined;
  /** @internal The value that was refused. */
  wanted: bigint | undefined;

  /** @internal Remembers the entry that is live now. */
  abstract hold(): void;

  /** @internal */
  put(low: number, high: number): void {
    if (((low ^ this.lowBits) | (high ^ this.highBits)) === 0) return;
    this.lowBits = low;
    this.highBits = high;
    this.changed = true;
    const { memory } = this;
    if (memory !== undefined) memory.storeEntry(this.at, low, high);
  }
}

/** What a callback of `modifyRange` gets in the shape of 0.5. */
export class DescriptorMut extends WritableDescriptor<Seed> {
  /** @internal */
  hold(): void {}

  /**
   * Sets flags, and then clears flags.
   *
   * @throws {@link PageTableError} `BAD_ARGUMENT` if bit 1 would change: a page, a block and a table stay what they are
   */
  modifyFlags(set: Attributes, clear: Attributes): void {
    checkFlags('modifyFlags', set, Attributes);
    checkFlags('modifyFlags', clear, Attributes);
    const low = (this.low | set.low) & ~clear.low;
    if (((low ^ this.lowBits) & TABLE) !== 0) {
      throw new PageTableError(
        'BAD_ARGUMENT',
        `modifyFlags: cannot convert between table and block or page descriptors: ${this}`,
        { bits: this.bits() },
      );
    }
    this.put(low, (this.highBits | set.high) & ~clear.high);
  }
}

/** What a callback of `modifyRange` gets for a map of a regime. */
export class UpdatableDescriptor<R extends Regime = Regime> extends WritableDescriptor<R> {
  /** @internal */
  readonly rules: LiveRules;
  /** @internal The valid value that the processor may know; 0 if there is none. */
  heldLow = 0;
  /** @internal */
  heldHigh = 0;
  private readonly leavesStay: boolean;
  /** Of the last `modifyFlags`, and what it comes to. */
  private lastSet: AttributesOf<R> | undefined;
  private lastClear: AttributesOf<R> | undefined;
  private orLow = 0;
  private orHigh = 0;
  private andLow = 0;
  private andHigh = 0;
  private address = 0;

  /** @internal */
  constructor(regime: R, behaviour: Behaviour, rules: LiveRules) {
    super(regime);
    this.rules = rules;
    this.leavesStay = behaviour['leaves-stay-leaves'];
  }

  /** The level of its table. */
  level(): number {
    return this.low === this.lowBits ? this.depth : 0;
  }

  /** Whether any change made it another value. */
  updated(): boolean {
    return this.low === this.lowBits && this.changed;
  }

  /** Whether bit 1 is set above level 3. */
  isTable(): boolean {
    return (this.low & TABLE) !== 0 && this.depth < LEAF_LEVEL;
  }

  /**
   * Sets the whole entry.
   *
   * @param pa - output address; what lies outside of bits 47:12 is dropped
   * @param flags - all others
   * @throws {@link UpdateError} if the map is active, and the entry must be made invalid first; left to itself, it makes the callback fail
   */
  set(pa: bigint | PhysicalAddress, flags: AttributesOf<R>): void {
    const address = new PhysicalAddress(addressValue('set', pa)).value;
    checkFlags('set', flags, this.regime.attributes);
    const frame = pageOf(address);
    const low = lowOf(frame) | flags.low;
    const high = highOf(frame) | flags.high;
    if (this.leavesStay && this.depth < LEAF_LEVEL && (flags.low & (VALID | TABLE)) === (VALID | TABLE)) {
      this.refuse('set: a block cannot become a table', low, high);
    }
    if (this.live) this.checkLive(frame, offsetOf(address), flags.low, flags.high, low, high);
    this.put(low, high);
  }

  /**
   * Sets flags, and then clears flags. Bits without a name are lost, as in the original.
   *
   * @throws {@link UpdateError} if bit 1 would change, or as {@link set}
   */
  modifyFlags(set: AttributesOf<R>, clear: AttributesOf<R>): void {
    if (set !== this.lastSet || clear !== this.lastClear) this.prepare(set, clear);
    const { low, highBits } = this;
    const newLow = ((low | this.orLow) & this.andLow) | this.address;
    const newHigh = (highBits | this.orHigh) & this.andHigh;
    if (((low ^ newLow) & TABLE) !== 0) this.refuse('modifyFlags: bit 1 would change', newLow, newHigh);
    if (this.live) {
      const flagsLow = (newLow & FLAGS_LOW) | this.address;
      this.checkLive(this.frame, 0, flagsLow, newHigh & FLAGS_HIGH, newLow, newHigh);
    }
    this.put(newLow, newHigh);
  }

  /** Makes masks of what is set and cleared: mostly the same for many entries. */
  private prepare(set: AttributesOf<R>, clear: AttributesOf<R>): void {
    const { attributes } = this.regime;
    checkFlags('modifyFlags', set, attributes);
    checkFlags('modifyFlags', clear, attributes);
    const { namedLow, namedHigh } = this.rules;
    const keptLow = ~clear.low & namedLow;
    this.orLow = set.low & FLAGS_LOW;
    this.andLow = keptLow | ~FLAGS_LOW;
    // A flag that lies within the address (NT) goes there.
    this.address = set.low & keptLow & ~FLAGS_LOW;
    this.orHigh = set.high & FLAGS_HIGH;
    this.andHigh = (~clear.high & namedHigh) | ~FLAGS_HIGH;
    this.lastSet = set;
    this.lastClear = clear;
  }

  /** @internal */
  hold(): void {
    this.heldLow = this.lowBits;
    this.heldHigh = this.highBits;
    this.refused = undefined;
    this.wanted = undefined;
  }

  /** Refuses a new value of a live entry that needs break-before-make. */
  private checkLive(
    frame: number,
    offset: number,
    low: number,
    high: number,
    newLow: number,
    newHigh: number,
  ): void {
    if (!this.rules.noBreakAndMake) {
      this.heldLow = this.lowBits;
      this.heldHigh = this.highBits;
    }
    if ((low & VALID) === 0) return;
    if ((this.heldLow & VALID) !== 0) {
      this.refused = this.rules.violated(this.heldLow, this.heldHigh, frame, offset, low, high);
      if (this.refused !== undefined) {
        this.refuse('it must be made invalid first, while the map is active', newLow, newHigh);
      }
    }
    this.heldLow = newLow;
    this.heldHigh = newHigh;
  }

  private refuse(reason: string, low: number, high: number): never {
    const after = joinHalves(low, high);
    this.wanted = after;
    throw new UpdateError(`${reason}: ${this} cannot become ${hex(after)}`, { before: this.bits(), after });
  }
}
