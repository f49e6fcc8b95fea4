import { addressOf, hex, joinHalves, offsetOf, PageTableError, pageOf } from '../bits/index.ts';
import { INSPECT } from '../bits/inspect.ts';
import type { PhysicalMemory } from '../memory/index.ts';
import { addressValue, PhysicalAddress } from './address.ts';
import { Attributes } from './attributes.ts';
import type { Behaviour } from './behaviour.ts';
import { FLAGS_HIGH, FLAGS_LOW, frameOf, highOf, LEAF_LEVEL, lowOf, TABLE, VALID } from './entry.ts';
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
    const flags = this.isValid() ? this.flags() : undefined;
    const text = `0x${this.bits().toString(16).padStart(14, '0')}`;
    return flags === undefined ? text : `${text} (${this.outputAddress()}, ${flags})`;
  }

  /** @internal */
  [INSPECT](): string {
    return this.toString();
  }
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
  /** @internal What rule a refused change would have violated. */
  refused: ViolatedRule | undefined;
  /** @internal The value that was refused. */
  wanted: bigint | undefined;

  /** @internal Becomes the descriptor of an entry. */
  take(low: number, high: number, at: number, level: number, _live: boolean): void {
    this.lowBits = low;
    this.highBits = high;
    this.at = at;
    this.depth = level;
    this.changed = false;
    this.refused = undefined;
    this.wanted = undefined;
  }

  /** @internal */
  put(low: number, high: number): void {
    if (low === this.lowBits && high === this.highBits) return;
    this.lowBits = low;
    this.highBits = high;
    this.changed = true;
    if (this.memory !== undefined) this.memory.storeEntry(this.at, low, high);
  }
}

/** What a callback of `modifyRange` gets in the shape of 0.5. */
export class DescriptorMut extends WritableDescriptor<Seed> {
  /**
   * Sets flags, and then clears flags.
   *
   * @throws {@link PageTableError} `BAD_ARGUMENT` if bit 1 would change: a page, a block and a table stay what they are
   */
  modifyFlags(set: Attributes, clear: Attributes): void {
    const low =
      (this.low | Attributes.check('modifyFlags', set).low) & ~Attributes.check('modifyFlags', clear).low;
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
  /** @internal Whether the rules hold. */
  live = false;
  /** @internal The valid value that the processor may know; 0 if there is none. */
  heldLow = 0;
  /** @internal */
  heldHigh = 0;
  private readonly leavesStay: boolean;

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
    this.regime.attributes.check('set', flags);
    this.change(pageOf(address), offsetOf(address), flags.low, flags.high);
  }

  /**
   * Sets flags, and then clears flags. Bits without a name are lost, as in the original.
   *
   * @throws {@link UpdateError} if bit 1 would change, or as {@link set}
   */
  modifyFlags(set: AttributesOf<R>, clear: AttributesOf<R>): void {
    const { attributes } = this.regime;
    attributes.check('modifyFlags', set);
    attributes.check('modifyFlags', clear);
    const was = this.low & FLAGS_LOW;
    const low = (was | set.low) & ~clear.low & attributes.low;
    const high = ((this.highBits & FLAGS_HIGH) | set.high) & ~clear.high & attributes.high;
    if (((was ^ low) & TABLE) !== 0) this.refuse('modifyFlags: bit 1 would change', low, high);
    this.change(this.frame, 0, low, high);
  }

  /** @internal */
  override take(low: number, high: number, at: number, level: number, live: boolean): void {
    super.take(low, high, at, level, live);
    this.live = live;
    this.heldLow = low;
    this.heldHigh = high;
  }

  private change(frame: number, offset: number, low: number, high: number): void {
    const newLow = lowOf(frame) | low;
    const newHigh = highOf(frame) | high;
    const valid = (low & VALID) !== 0;
    if (this.leavesStay && this.depth < LEAF_LEVEL && (low & TABLE) !== 0 && valid) {
      this.refuse('set: a block cannot become a table', newLow, newHigh);
    }
    if (this.live) {
      if (!this.rules.noBreakAndMake) {
        this.heldLow = this.low;
        this.heldHigh = this.highBits;
      }
      if (valid && (this.heldLow & VALID) !== 0) {
        this.refused = this.rules.violated(this.heldLow, this.heldHigh, frame, offset, low, high);
        if (this.refused !== undefined) {
          this.refuse('set: it must be made invalid first, while the map is active', newLow, newHigh);
        }
      }
      if (valid) {
        this.heldLow = newLow;
        this.heldHigh = newHigh;
      }
    }
    this.put(newLow, newHigh);
  }

  private refuse(reason: string, low: number, high: number): never {
    const after = joinHalves(low, high);
    this.wanted = after;
    throw new UpdateError(`${reason}: ${this} cannot become ${hex(after)}`, { before: this.bits(), after });
  }
}
