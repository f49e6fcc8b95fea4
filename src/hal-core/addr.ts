import { hex, PageTableError } from '../bits/index.ts';
import { INSPECT } from '../bits/inspect.ts';
import { wrongKind } from '../bits/wrong-kind.ts';

const MAX_64 = (1n << 64n) - 1n;
const MAX_I64 = (1n << 63n) - 1n;

/** An address that its kind cannot have. */
export class InvalidAddress extends PageTableError {
  override readonly name: string = 'InvalidAddress';
  /** The whole value that was given. */
  readonly addr: bigint;
  /** What is wrong with it. */
  readonly msg: string;

  /**
   * @param kind - what it should have been: `VAddr` or `PAddr`
   * @param addr - the whole value
   * @param msg - what is wrong with it
   * @param expected - what the kind takes
   */
  constructor(kind: string, addr: bigint, msg: string, expected: string) {
    super('OUT_OF_RANGE', `${kind}: ${hex(addr)} ${msg}; expected ${expected}`, { addr });
    this.addr = addr;
    this.msg = msg;
  }
}

/** An address, {@link VAddr} or {@link PAddr}. Immutable. */
export abstract class Address {
  /** Name of the kind; keeps the kinds apart as types. */
  abstract readonly kind: 'VAddr' | 'PAddr';
  /** Unsigned, at most 64 bits. */
  protected readonly bits: bigint;

  protected constructor(bits: bigint) {
    this.bits = bits;
  }

  /** @throws {@link InvalidAddress} unless the kind has such an address */
  protected abstract checked(address: bigint): this;
  /** Any 64 bits. */
  protected abstract unchecked(address: bigint): this;
  /** @throws {@link PageTableError} `BAD_ARGUMENT` unless it is of the same kind */
  protected abstract same(operation: string, other: unknown): this;

  /** The address itself. */
  asUsize(): bigint {
    return this.bits;
  }

  /**
   * The address so many bytes further on.
   *
   * @param bytes - an unsigned 64-bit number, or an address taken for one
   * @throws {@link InvalidAddress} if the result is not valid; {@link PageTableError} `OUT_OF_RANGE` if it has more than 64 bits
   */
  add(bytes: bigint | this): this {
    return this.checked(this.sum('+', bytes));
  }

  /** The address (not the distance) so many bytes before, as {@link add}. */
  sub(bytes: bigint | this): this {
    return this.checked(this.sum('-', bytes));
  }

  /**
   * The original's `+=`: as {@link add}, but the result need not be valid.
   *
   * @throws {@link PageTableError} `OUT_OF_RANGE` if the result has more than 64 bits
   */
  addUnchecked(bytes: bigint | this): this {
    return this.unchecked(this.sum('+', bytes));
  }

  /** The original's `-=`, as {@link addUnchecked}. */
  subUnchecked(bytes: bigint | this): this {
    return this.unchecked(this.sum('-', bytes));
  }

  private sum(sign: '+' | '-', bytes: bigint | this): bigint {
    const operation = `${this} ${sign}`;
    const count = bytes instanceof Address ? this.same(operation, bytes).bits : bigintOf(operation, bytes);
    if (count < 0n || count > MAX_64) {
      throw new PageTableError(
        'OUT_OF_RANGE',
        `${operation} ${hex(count)}: expected an unsigned 64-bit number of bytes`,
        { count },
      );
    }
    const result = sign === '+' ? this.bits + count : this.bits - count;
    if (result >= 0n && result <= MAX_64) return result;
    throw overflow(`${operation} ${hex(count)}`, result);
  }

  /**
   * The smallest aligned address that is not below this one.
   *
   * @param align - bytes, a power of two
   * @throws {@link PageTableError} `MISALIGNED` for any other `align`; `OUT_OF_RANGE` if there is no such address
   */
  alignUp(align: bigint): this {
    const mask = lowBits('alignUp', align);
    const result = (this.bits + mask) & ~mask;
    if (result > MAX_64) throw overflow(`${this} aligned up to ${hex(align)}`, result);
    return this.checked(result);
  }

  /**
   * The largest aligned address that is not above this one.
   *
   * @param align - bytes, a power of two
   * @throws {@link PageTableError} `MISALIGNED` for any other `align`; {@link InvalidAddress} if the result is not valid
   */
  alignDown(align: bigint): this {
    return this.checked(this.bits & ~lowBits('alignDown', align));
  }

  /**
   * Whether the address is a multiple of a number.
   *
   * @param align - bytes, a power of two
   * @throws {@link PageTableError} `MISALIGNED` for any other `align`
   */
  isAligned(align: bigint): boolean {
    return (this.bits & lowBits('isAligned', align)) === 0n;
  }

  /**
   * The address so many bytes further on or, where negative, before.
   *
   * @param bytes - a signed 64-bit number
   * @throws as {@link add}: nothing saturates
   */
  offset(bytes: bigint): this {
    return bytes > 0n ? this.add(bytes) : this.sub(-bigintOf('offset', bytes));
  }

  /**
   * How many bytes another address lies above this one; negative if it lies below. As in the original, the sign is the
   * wrong way round where the two lie in different halves of the address space.
   *
   * @throws {@link PageTableError} `OUT_OF_RANGE` if it has more than 64 bits, signed; valid addresses never do
   */
  difference(other: this): bigint {
    const to = this.same('difference', other).bits;
    if (this.bits <= to) return BigInt.asIntN(64, to - this.bits);
    const below = BigInt.asIntN(64, this.bits) - BigInt.asIntN(64, to);
    if (below >= -MAX_I64 && below <= MAX_I64) return -below;
    throw overflow(`the difference of ${this} and ${other}`, -below);
  }

  /** Whether both are the same address. */
  equals(other: this): boolean {
    return this.bits === this.same('equals', other).bits;
  }

  /** Order of the unsigned values: -1, 0 or 1. */
  compare(other: this): -1 | 0 | 1 {
    const to = this.same('compare', other).bits;
    return this.bits === to ? 0 : this.bits < to ? -1 : 1;
  }

  /** The address itself, so that `<` and `>` compare values. */
  valueOf(): bigint {
    return this.bits;
  }

  /**
   * The original's debug text, `VAddr(0x1000)`.
   *
   * @param width - characters that the number with its `0x` has at least; zeros are put in front
   */
  toString(width = 0): string {
    return `${this.kind}(0x${this.bits.toString(16).padStart(width - 2, '0')})`;
  }

  /** @internal */
  [INSPECT](): string {
    return this.toString();
  }
}

/** A canonical linear address of 4-level paging: bits 63:47 are all equal. */
export class VAddr extends Address {
  readonly kind = 'VAddr';

  /**
   * @param address - a canonical byte address
   * @throws {@link InvalidAddress}
   */
  static fromUsize(address: bigint): VAddr {
    bigintOf('VAddr', address);
    if (BigInt.asUintN(64, BigInt.asIntN(48, address)) === address) return new VAddr(address);
    throw new InvalidAddress(
      'VAddr',
      address,
      wrongWith(address, 'is not canonical'),
      'an unsigned 64-bit address with bits 63:47 all equal',
    );
  }

  /** The same as {@link fromUsize}. */
  static fromU64(address: bigint): VAddr {
    return VAddr.fromUsize(address);
  }

  /** The same as {@link fromUsize}: what the original returns as an error is thrown. */
  static fromUsizeChecked(address: bigint): VAddr {
    return VAddr.fromUsize(address);
  }

  /**
   * Any 64-bit value, canonical or not.
   *
   * @throws {@link InvalidAddress} if it has more than 64 bits
   */
  static fromUsizeUnchecked(address: bigint): VAddr {
    if (BigInt.asUintN(64, bigintOf('VAddr', address)) === address) return new VAddr(address);
    throw new InvalidAddress('VAddr', address, wrongWith(address), 'an unsigned 64-bit value');
  }

  /** Address 0. */
  static zero(): VAddr {
    return new VAddr(0n);
  }

  protected checked(address: bigint): this {
    return VAddr.fromUsize(address) as this;
  }

  protected unchecked(address: bigint): this {
    return new VAddr(address) as this;
  }

  protected same(operation: string, other: unknown): this {
    if (other instanceof VAddr) return other as this;
    throw wrongKind(operation, other, 'a VAddr');
  }
}

/** A physical address of at most 52 bits. */
export class PAddr extends Address {
  readonly kind = 'PAddr';

  /**
   * @param address - a byte address in `[0, 2^52)`
   * @throws {@link InvalidAddress}
   */
  static fromUsize(address: bigint): PAddr {
    if (BigInt.asUintN(52, bigintOf('PAddr', address)) === address) return new PAddr(address);
    throw new InvalidAddress(
      'PAddr',
      address,
      wrongWith(address, 'has one of its top 12 bits set'),
      'an address in [0, 2^52)',
    );
  }

  /** The same as {@link fromUsize}. */
  static fromU64(address: bigint): PAddr {
    return PAddr.fromUsize(address);
  }

  /** The same as {@link fromUsize}: what the original returns as an error is thrown. */
  static fromUsizeChecked(address: bigint): PAddr {
    return PAddr.fromUsize(address);
  }

  /** Address 0. */
  static zero(): PAddr {
    return new PAddr(0n);
  }

  protected checked(address: bigint): this {
    return PAddr.fromUsize(address) as this;
  }

  protected unchecked(address: bigint): this {
    return new PAddr(address) as this;
  }

  protected same(operation: string, other: unknown): this {
    if (other instanceof PAddr) return other as this;
    throw wrongKind(operation, other, 'a PAddr');
  }
}

/** Refuses what is no bigint, where types were not looked at. */
export function bigintOf(operation: string, value: bigint): bigint {
  if (typeof value === 'bigint') return value;
  const hint = Number.isInteger(value) ? `: ${value}n` : '';
  throw wrongKind(operation, value, `a bigint${hint}`);
}

/** What is wrong with an address: the sign, the length, or else what is said. */
function wrongWith(address: bigint, otherwise = ''): string {
  if (address < 0n) return 'is negative';
  return address > MAX_64 ? 'has more than 64 bits' : otherwise;
}

/** The bits below a power of two. */
function lowBits(operation: string, align: bigint): bigint {
  if (bigintOf(operation, align) > 0n && align <= MAX_64 && (align & (align - 1n)) === 0n) return align - 1n;
  throw new PageTableError(
    'MISALIGNED',
    `${operation}: alignment ${hex(align)}; expected a power of two of at most 64 bits`,
    { align },
  );
}

function overflow(operation: string, result: bigint): PageTableError {
  return new PageTableError('OUT_OF_RANGE', `${operation} is ${hex(result)}; expected a result of 64 bits`, {
    result,
  });
}
