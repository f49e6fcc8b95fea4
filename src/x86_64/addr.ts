import { hex, highHalf, joinHalves, lowHalf, PageTableError } from '../bits/index.ts';
import { wrongKind } from '../bits/wrong-kind.ts';
import { stepped, wholeNumber } from './step.ts';
import { PageOffset, PageTableIndex, PageTableLevel } from './table-index.ts';
import { Word } from './word.ts';

const MAX_64 = 0xffff_ffff_ffff_ffffn;
/** Bytes of the canonical address space: addresses that count steps are at most this far apart. */
const SPACE = 1n << 48n;
/** First address of the upper half less the first one behind the lower half. */
const HOLE = 0xffff_0000_0000_0000n;
const LOWER_END = 1n << 47n;

/** An address that is not canonical: bits 63:47 are not all equal. */
export class VirtAddrNotValid extends PageTableError {
  override readonly name: string = 'VirtAddrNotValid';
  /** The whole value that was given. */
  readonly address: bigint;

  constructor(address: bigint) {
    super(
      'OUT_OF_RANGE',
      `VirtAddr: ${hex(address)} is not canonical; expected an unsigned 64-bit address with bits 63:47 all equal`,
      { address },
    );
    this.address = address;
  }
}

/** An address that has bits above bit 51. */
export class PhysAddrNotValid extends PageTableError {
  override readonly name: string = 'PhysAddrNotValid';
  /** The whole value that was given. */
  readonly address: bigint;

  constructor(address: bigint) {
    super(
      'OUT_OF_RANGE',
      `PhysAddr: ${hex(address)} has more than 52 bits; expected an address in [0, 2^52)`,
      {
        address,
      },
    );
    this.address = address;
  }
}

/**
 * Bits 63:32 of a canonical address.
 *
 * @throws {@link VirtAddrNotValid}
 */
export function canonicalHigh(address: bigint): number {
  const high = highHalf(address);
  if (isCanonical(high) && BigInt.asUintN(64, address) === address) return high;
  throw new VirtAddrNotValid(address);
}

/** Refuses what is no bigint, where types were not looked at. */
function bigintOf(operation: string, address: bigint): bigint {
  if (typeof address === 'bigint') return address;
  const hint = Number.isInteger(address) ? `: ${address}n` : '';
  throw wrongKind(operation, address, `a bigint${hint}`);
}

/** Bits 63:32 of an address of 52 bits. */
function physicalHigh(address: bigint): number {
  if (BigInt.asUintN(52, address) === address) return highHalf(address);
  throw new PhysAddrNotValid(address);
}

/** Whether bits 63:47 are all equal, given bits 63:32. */
export function isCanonical(high: number): boolean {
  return high >> 15 === high >> 31;
}

/**
 * The largest multiple of `align` that is not above an address.
 *
 * @throws {@link PageTableError} `MISALIGNED` unless `align` is a power of two; `OUT_OF_RANGE` unless the address is an
 *   unsigned 64-bit number
 */
export function alignDown(address: bigint, align: bigint): bigint {
  return checked(address) & ~lowBits(align);
}

/**
 * The smallest multiple of `align` that is not below an address.
 *
 * @throws {@link PageTableError} `MISALIGNED` unless `align` is a power of two; `OUT_OF_RANGE` if address or result has
 *   more than 64 bits, or the address is negative
 */
export function alignUp(address: bigint, align: bigint): bigint {
  const mask = lowBits(align);
  const aligned = (checked(address) + mask) & ~mask;
  if (aligned > MAX_64) throw overflow(`${hex(address)} aligned up to ${hex(align)}`, aligned);
  return aligned;
}

function checked(address: bigint): bigint {
  if (BigInt.asUintN(64, bigintOf('align', address)) === address) return address;
  throw new PageTableError('OUT_OF_RANGE', `address ${hex(address)}; expected an unsigned 64-bit address`, {
    address,
  });
}

function lowBits(align: bigint): bigint {
  if (align > 0n && (align & (align - 1n)) === 0n) return align - 1n;
  throw new PageTableError('MISALIGNED', `alignment ${hex(align)}; expected a power of two`, { align });
}

function overflow(operation: string, result: bigint): PageTableError {
  return new PageTableError(
    'OUT_OF_RANGE',
    `${operation} is ${hex(result)}; expected a result of 64 bits that is not negative`,
    { result },
  );
}

/** What the two kinds of addresses have in common; `Self` is the kind. */
abstract class Address<Self extends Address<Self>> extends Word {
  /** Name of the kind, for its debug text. */
  protected abstract get kind(): string;
  /** A checked address of the same kind. */
  protected abstract make(address: bigint): Self;
  /** An aligned address of the same kind. */
  protected abstract makeAligned(address: bigint): Self;

  /** The address itself. */
  asU64(): bigint {
    return joinHalves(this.low, this.high);
  }

  /** Whether it is address 0. */
  isNull(): boolean {
    return this.high === 0 && this.low === 0;
  }

  /**
   * The address so many bytes further on. Nothing is jumped over: only the result must be valid.
   *
   * @param bytes - an unsigned 64-bit number
   * @throws {@link PageTableError} `OUT_OF_RANGE` if the result is not a valid address
   */
  add(bytes: bigint | number): Self {
    return this.moved('+', bytes, this.asU64() + wholeNumber(bytes));
  }

  /** The address so many bytes before, as {@link add}; or the distance in bytes from an address that is not above. */
  sub(bytes: bigint | number): Self;
  sub(other: Self): bigint;
  sub(other: bigint | number | Self): Self | bigint {
    if (typeof other !== 'object') return this.moved('-', other, this.asU64() - wholeNumber(other));
    const distance = this.asU64() - other.asU64();
    if (distance < 0n) throw overflow(`${this} - ${other}`, distance);
    return distance;
  }

  private moved(sign: string, bytes: bigint | number, result: bigint): Self {
    if (bytes < 0 || result < 0n || result > MAX_64) throw overflow(`${this} ${sign} ${hex(bytes)}`, result);
    return this.make(result);
  }

  /**
   * The largest aligned address that is not above this one.
   *
   * @param align - bytes, a power of two
   * @throws {@link PageTableError} `MISALIGNED` for any other `align`
   */
  alignDown(align: bigint): Self {
    return this.makeAligned(alignDown(this.asU64(), align));
  }

  /**
   * The smallest aligned address that is not below this one.
   *
   * @param align - bytes, a power of two
   * @throws {@link PageTableError} `MISALIGNED` for any other `align`; `OUT_OF_RANGE` if there is no such address
   */
  alignUp(align: bigint): Self {
    return this.makeAligned(alignUp(this.asU64(), align));
  }

  /** Whether {@link alignDown} gives this address. */
  isAligned(align: bigint): boolean {
    return this.alignDown(align).asU64() === this.asU64();
  }

  /** The original's debug text; with a radix, the bare number in it, as the original's other formats. */
  override toString(radix?: number): string {
    return radix === undefined ? `${this.kind}(${hex(this.asU64())})` : this.asU64().toString(radix);
  }
}

/**
 * A canonical 64-bit linear address of 4-level paging: bits 63:47 are all equal.
 *
 * Ranges and steps count pages and bytes; `add` and `sub` compute with plain addresses and never jump over the hole
 * between the halves, `forward` and `backward` do.
 */
export class VirtAddr extends Address<VirtAddr> {
  readonly high: number;
  readonly low: number;

  /**
   * @param address - a canonical byte address
   * @throws {@link VirtAddrNotValid}
   */
  constructor(address: bigint);
  /** @internal Two halves that are known to be valid. */
  constructor(high: number, low: number);
  constructor(addressOrHigh: bigint | number, low?: number) {
    super();
    if (typeof addressOrHigh === 'number') {
      this.high = addressOrHigh;
      this.low = low ?? Number(bigintOf('VirtAddr', addressOrHigh as never));
    } else {
      this.high = canonicalHigh(bigintOf('VirtAddr', addressOrHigh));
      this.low = lowHalf(addressOrHigh);
    }
  }

  /** The same as the constructor. */
  static tryNew(address: bigint): VirtAddr {
    return new VirtAddr(address);
  }

  /** Replaces bits 63:48 by copies of bit 47. */
  static newTruncate(address: bigint): VirtAddr {
    bigintOf('VirtAddr.newTruncate', address);
    return new VirtAddr((highHalf(address) << 16) >> 16, lowHalf(address));
  }

  /** Any 64-bit value, not checked. */
  static newUnsafe(address: bigint): VirtAddr {
    bigintOf('VirtAddr.newUnsafe', address);
    return new VirtAddr(highHalf(address), lowHalf(address));
  }

  /** Address 0. */
  static zero(): VirtAddr {
    return new VirtAddr(0, 0);
  }

  protected get kind(): string {
    return 'VirtAddr';
  }

  protected make(address: bigint): VirtAddr {
    return new VirtAddr(address);
  }

  protected makeAligned(address: bigint): VirtAddr {
    return VirtAddr.newTruncate(address);
  }

  /** Bits 11:0. */
  pageOffset(): PageOffset {
    return new PageOffset(this.low & 0xfff);
  }

  /** Bits 20:12, the index in the level-1 table. */
  p1Index(): PageTableIndex {
    return new PageTableIndex(indexAt(this.high, this.low, 1));
  }

  /** Bits 29:21, the index in the level-2 table. */
  p2Index(): PageTableIndex {
    return new PageTableIndex(indexAt(this.high, this.low, 2));
  }

  /** Bits 38:30, the index in the level-3 table. */
  p3Index(): PageTableIndex {
    return new PageTableIndex(indexAt(this.high, this.low, 3));
  }

  /** Bits 47:39, the index in the level-4 table. */
  p4Index(): PageTableIndex {
    return new PageTableIndex(indexAt(this.high, this.low, 4));
  }

  /** The index in the table of a level. */
  pageTableIndex(level: PageTableLevel): PageTableIndex {
    if (!(level instanceof PageTableLevel)) throw wrongKind('pageTableIndex', level, 'a PageTableLevel');
    return new PageTableIndex(indexAt(this.high, this.low, level.value));
  }

  /**
   * Addresses from `start` up to `end`, the hole not counted.
   *
   * @returns lower bound and exact number, as the original's `Step`; `[0n, undefined]` if `end` lies before `start`
   */
  static stepsBetween(start: VirtAddr, end: VirtAddr): [bigint, bigint | undefined] {
    if (start.compare(end) > 0) return [0n, undefined];
    const steps = (end.asU64() - start.asU64()) & (SPACE - 1n);
    return [steps, steps];
  }

  /** The address so many steps further on, over the hole; `undefined` if there is none. */
  static forwardChecked(start: VirtAddr, steps: bigint | number): VirtAddr | undefined {
    const count = wholeNumber(steps);
    if (count < 0n || count > SPACE) return undefined;
    const from = start.asU64();
    const to = from + count;
    if (from < LOWER_END && to >= LOWER_END) {
      return to < SPACE ? new VirtAddr(to + HOLE) : undefined;
    }
    return to <= MAX_64 ? new VirtAddr(to) : undefined;
  }

  /**
   * The address so many steps further on, over the hole.
   *
   * @throws {@link PageTableError} `OUT_OF_RANGE` if there is none
   */
  static forward(start: VirtAddr, count: bigint | number): VirtAddr {
    return stepped(VirtAddr.forwardChecked(start, count), 'forward', start, count);
  }

  /** The address so many steps before, over the hole; `undefined` if there is none. */
  static backwardChecked(start: VirtAddr, steps: bigint | number): VirtAddr | undefined {
    const count = wholeNumber(steps);
    if (count < 0n || count > SPACE) return undefined;
    const from = start.asU64();
    const to = from - count;
    if (from >= LOWER_END && to < MAX_64 + 1n - LOWER_END) {
      return to >= HOLE ? new VirtAddr(to - HOLE) : undefined;
    }
    return to >= 0n ? new VirtAddr(to) : undefined;
  }

  /**
   * The address so many steps before, over the hole.
   *
   * @throws {@link PageTableError} `OUT_OF_RANGE` if there is none
   */
  static backward(start: VirtAddr, count: bigint | number): VirtAddr {
    return stepped(VirtAddr.backwardChecked(start, count), 'backward', start, count);
  }
}

/** A physical address of at most 52 bits. */
export class PhysAddr extends Address<PhysAddr> {
  readonly high: number;
  readonly low: number;

  /**
   * @param address - a byte address in `[0, 2^52)`
   * @throws {@link PhysAddrNotValid}
   */
  constructor(address: bigint);
  /** @internal Two halves that are known to be valid. */
  constructor(high: number, low: number);
  constructor(addressOrHigh: bigint | number, low?: number) {
    super();
    if (typeof addressOrHigh === 'number') {
      this.high = addressOrHigh;
      this.low = low ?? Number(bigintOf('PhysAddr', addressOrHigh as never));
    } else {
      this.high = physicalHigh(bigintOf('PhysAddr', addressOrHigh));
      this.low = lowHalf(addressOrHigh);
    }
  }

  /** The same as the constructor. */
  static tryNew(address: bigint): PhysAddr {
    return new PhysAddr(address);
  }

  /** Drops bits 63:52. */
  static newTruncate(address: bigint): PhysAddr {
    bigintOf('PhysAddr.newTruncate', address);
    return new PhysAddr(highHalf(address) & 0xf_ffff, lowHalf(address));
  }

  /** Any 64-bit value, not checked. */
  static newUnsafe(address: bigint): PhysAddr {
    bigintOf('PhysAddr.newUnsafe', address);
    return new PhysAddr(highHalf(address), lowHalf(address));
  }

  /** Address 0. */
  static zero(): PhysAddr {
    return new PhysAddr(0, 0);
  }

  protected get kind(): string {
    return 'PhysAddr';
  }

  protected make(address: bigint): PhysAddr {
    return new PhysAddr(address);
  }

  protected makeAligned(address: bigint): PhysAddr {
    return new PhysAddr(address);
  }

  override alignDown(align: bigint): PhysAddr {
    return PhysAddr.newUnsafe(alignDown(this.asU64(), align));
  }
}

/** The index of an address in the table of a level, 4 to 1. */
export function indexAt(high: number, low: number, level: number): number {
  if (level === 1) return (low >>> 12) & 511;
  if (level === 2) return (low >>> 21) & 511;
  return level === 3 ? ((high << 2) | (low >>> 30)) & 511 : (high >>> 7) & 511;
}
