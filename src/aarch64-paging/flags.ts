import { hex, highHalf, joinHalves, lowHalf } from '../bits/index.ts';
import { INSPECT } from '../bits/inspect.ts';
import { wrongKind } from '../bits/wrong-kind.ts';

/**
 * A set of flags of one type. Immutable, and held as two halves of 64 bits; a set can hold bits that its type does not name.
 *
 * `N` is the type's name: the compiler takes no flags of one type where those of another are wanted.
 */
export class Flags<N extends string = string> {
  /** What kind of flags they are. */
  readonly type: FlagsType<N>;
  /** Bits 31:0, signed. */
  readonly low: number;
  /** Bits 63:32, signed. */
  readonly high: number;

  /** @internal */
  constructor(type: FlagsType<N>, low: number, high: number) {
    this.type = type;
    this.low = low;
    this.high = high;
  }

  /** The bits. */
  bits(): bigint {
    return joinHalves(this.low, this.high);
  }

  /** The bits. */
  valueOf(): bigint {
    return this.bits();
  }

  /** Whether no bit is set. */
  isEmpty(): boolean {
    return (this.low | this.high) === 0;
  }

  /** Whether every flag that the type names is set. */
  isAll(): boolean {
    return this.contains(this.type.all());
  }

  /** Whether both are the same bits. */
  equals(other: Flags<N>): boolean {
    return this.low === other.low && this.high === other.high;
  }

  /** Whether all of the other flags are set; true if there are none. */
  contains(other: Flags<N>): boolean {
    return (this.low & other.low) === other.low && (this.high & other.high) === other.high;
  }

  /** Whether any of the other flags is set. */
  intersects(other: Flags<N>): boolean {
    return ((this.low & other.low) | (this.high & other.high)) !== 0;
  }

  /** These flags and all of the others: `|` of the original. */
  union(...others: readonly Flags<N>[]): Flags<N> {
    let { low, high } = this;
    for (const other of others) {
      low |= this.same(other).low;
      high |= other.high;
    }
    return new Flags(this.type, low, high);
  }

  /** The same as {@link union}. */
  or(...others: readonly Flags<N>[]): Flags<N> {
    return this.union(...others);
  }

  /** The flags in both: `&` of the original. */
  intersection(other: Flags<N>): Flags<N> {
    return new Flags(this.type, this.low & this.same(other).low, this.high & other.high);
  }

  /** The same as {@link intersection}. */
  and(other: Flags<N>): Flags<N> {
    return this.intersection(other);
  }

  /** The flags in one of the two: `^` of the original. */
  symmetricDifference(other: Flags<N>): Flags<N> {
    return new Flags(this.type, this.low ^ this.same(other).low, this.high ^ other.high);
  }

  /** The same as {@link symmetricDifference}. */
  xor(other: Flags<N>): Flags<N> {
    return this.symmetricDifference(other);
  }

  /** These flags without the others: `-` of the original. */
  difference(other: Flags<N>): Flags<N> {
    return new Flags(this.type, this.low & ~this.same(other).low, this.high & ~other.high);
  }

  /** Every flag that has a name and is not in here: `!` of the original. */
  complement(): Flags<N> {
    return this.type.all().difference(this);
  }

  /** The original's debug text: `El1Attributes(VALID | NON_GLOBAL)`. */
  toString(): string {
    const names: string[] = [];
    let rest = this.bits();
    for (const [name, bits] of this.type.named) {
      // A name is listed if all its bits are there, and one of them is not told by a name before it.
      if ((rest & bits) === 0n || (this.bits() & bits) !== bits) continue;
      names.push(name);
      rest &= ~bits;
    }
    if (rest !== 0n || names.length === 0) names.push(hex(rest));
    return `${this.type.name}(${names.join(' | ')})`;
  }

  /** @internal */
  [INSPECT](): string {
    return this.toString();
  }

  private same(other: Flags<N>): Flags<N> {
    checkFlags('flags', other, this.type);
    return other;
  }
}

/** A type of flags: makes sets of them. Its constants are properties of the same name as in the original. */
export class FlagsType<N extends string = string> {
  /** The original's name of the type. */
  readonly name: N;
  /** Every name with its bits, in the order of the original's declaration. */
  readonly named: readonly (readonly [string, bigint])[];
  /** @internal Bits 31:0 that have a name. */
  readonly low: number;
  /** @internal Bits 63:32 that have a name. */
  readonly high: number;

  /** @internal */
  constructor(name: N, named: Readonly<Record<string, bigint>>) {
    this.name = name;
    this.named = Object.entries(named);
    const all = this.named.reduce((sum, [, bits]) => sum | bits, 0n);
    this.low = lowHalf(all);
    this.high = highHalf(all);
  }

  /** No flag. */
  empty(): Flags<N> {
    return new Flags(this, 0, 0);
  }

  /** Every flag that has a name. */
  all(): Flags<N> {
    return new Flags(this, this.low, this.high);
  }

  /** Flags by their bits; `undefined` if one of these has no name. */
  fromBits(bits: bigint): Flags<N> | undefined {
    const flags = this.fromBitsRetain(bits);
    return flags.bits() === bits && this.all().contains(flags) ? flags : undefined;
  }

  /** Flags by their bits; bits without a name are dropped. */
  fromBitsTruncate(bits: bigint): Flags<N> {
    return this.fromBitsRetain(bits).intersection(this.all());
  }

  /** Flags by their bits, those without a name as well; 64 bits. */
  fromBitsRetain(bits: bigint): Flags<N> {
    return new Flags(this, lowHalf(bits), highHalf(bits));
  }

  /** The flags of a name, such as `VALID`. */
  fromName(name: string): Flags<N> | undefined {
    const found = this.named.find(([each]) => each === name);
    return found && this.fromBitsRetain(found[1]);
  }
}

/**
 * Refuses what is no set of flags of a type.
 *
 * @throws {@link PageTableError} `BAD_ARGUMENT`
 */
export function checkFlags<N extends string>(operation: string, flags: Flags<N>, type: FlagsType<N>): void {
  if ((flags as Flags<N> | null | undefined)?.type === type) return;
  throw wrongKind(operation, flags, type.name);
}

/** A type of flags with its constants. */
export type FlagsTypeWith<N extends string, C> = FlagsType<N> & { readonly [K in keyof C]: Flags<N> };

/**
 * Makes a type of flags.
 *
 * @param name - the original's
 * @param named - the bits of every name, in the order of the original's declaration
 * @param masks - further constants, which debug texts do not name
 */
export function flagsType<
  N extends string,
  C extends Readonly<Record<string, bigint>>,
  // biome-ignore lint/complexity/noBannedTypes: no further constants
  M extends Readonly<Record<string, bigint>> = {},
>(name: N, named: C, masks?: M): FlagsTypeWith<N, C & M> {
  const type = new FlagsType(name, named);
  const constants = Object.entries({ ...named, ...masks }).map(([each, bits]) => [
    each,
    type.fromBitsRetain(bits),
  ]);
  return Object.assign(type, Object.fromEntries(constants));
}
