import { wrongKind } from '../bits/wrong-kind.ts';
import { PhysAddr } from './addr.ts';
import { AddressNotAligned, Block, highOfUnit, notAStart } from './block.ts';
import { checkSize, type PageSize, Size4KiB } from './page-size.ts';
import { ClosedRange, HalfOpenRange } from './range.ts';

/** Number of 4-KiB frames in the 52-bit physical address space. */
const FRAMES = 2 ** 40;

/**
 * A frame: an aligned piece of physical memory. `PhysFrame<Size2MiB>` and `PhysFrame<Size4KiB>` are different types, and
 * `pageSize` tells them apart at run time.
 */
export class PhysFrame<S extends PageSize = Size4KiB> extends Block<S, PhysFrame<S>> {
  readonly high: number;
  readonly low: number;
  readonly pageSize: S;

  /**
   * The frame at an address, without a `bigint` and without a check: a frame that is not aligned, if the address is not.
   *
   * @param high - bits 51:32 of the address
   * @param low - bits 31:0, signed
   * @param pageSize - one of the three sizes
   */
  constructor(high: number, low: number, pageSize: S) {
    super();
    this.high = high;
    this.low = low;
    this.pageSize = pageSize;
  }

  /**
   * The frame that starts at an address.
   *
   * @throws {@link AddressNotAligned}
   */
  static fromStartAddress(address: PhysAddr): PhysFrame;
  static fromStartAddress<S extends PageSize>(address: PhysAddr, size: S): PhysFrame<S>;
  static fromStartAddress(address: PhysAddr, size: PageSize = Size4KiB): PhysFrame<PageSize> {
    checkSize(size);
    if (!(address instanceof PhysAddr)) throw wrongKind('PhysFrame.fromStartAddress', address, 'a PhysAddr');
    if ((address.low & (size.inner | 0xfff)) !== 0) {
      throw new AddressNotAligned('PhysFrame', address.asU64(), size);
    }
    return new PhysFrame(address.high, address.low, size);
  }

  /** The same without the check: a frame that is not aligned, if the address is not. */
  static fromStartAddressUnchecked(address: PhysAddr): PhysFrame;
  static fromStartAddressUnchecked<S extends PageSize>(address: PhysAddr, size: S): PhysFrame<S>;
  static fromStartAddressUnchecked(address: PhysAddr, size: PageSize = Size4KiB): PhysFrame<PageSize> {
    checkSize(size);
    if (!(address instanceof PhysAddr))
      throw wrongKind('PhysFrame.fromStartAddressUnchecked', address, 'a PhysAddr');
    return new PhysFrame(address.high, address.low, size);
  }

  /** The frame in which an address lies. */
  static containingAddress(address: PhysAddr): PhysFrame;
  static containingAddress<S extends PageSize>(address: PhysAddr, size: S): PhysFrame<S>;
  static containingAddress(address: PhysAddr, size: PageSize = Size4KiB): PhysFrame<PageSize> {
    checkSize(size);
    if (!(address instanceof PhysAddr)) throw wrongKind('PhysFrame.containingAddress', address, 'a PhysAddr');
    return new PhysFrame(address.high, address.low & ~(size.inner | 0xfff), size);
  }

  /**
   * The frame with a number, without a `bigint`.
   *
   * @param frame - start address divided by 4096, whatever the size: a whole number in `[0, 2^40)`
   * @throws {@link PageTableError} `OUT_OF_RANGE` if it is none; {@link AddressNotAligned}
   */
  static fromPfn(frame: number): PhysFrame;
  static fromPfn<S extends PageSize>(frame: number, size: S): PhysFrame<S>;
  static fromPfn(frame: number, size: PageSize = Size4KiB): PhysFrame<PageSize> {
    checkSize(size);
    const valid = isFrameNumber(frame);
    if (!valid || ((frame << 12) & size.inner) !== 0) {
      throw notAStart('PhysFrame', frame, valid, 'in [0, 2^40)', size);
    }
    return new PhysFrame(highOfUnit(frame), frame << 12, size);
  }

  protected get kind(): string {
    return 'PhysFrame';
  }

  protected at(unit: number): PhysFrame<S> | undefined {
    return isFrameNumber(unit) ? new PhysFrame(highOfUnit(unit), unit << 12, this.pageSize) : undefined;
  }

  /** Its first address. */
  startAddress(): PhysAddr {
    return new PhysAddr(this.high, this.low);
  }

  /** Its start address divided by 4096: a whole number in `[0, 2^40)`. */
  pfn(): number {
    return this.unit();
  }

  /** Whether it has a size; the compiler then knows it too. */
  hasSize<T extends PageSize>(size: T): this is PhysFrame<T> {
    return this.pageSize === (size as PageSize);
  }

  /** The frames from `start` up to but not including `end`. */
  static range<S extends PageSize>(start: PhysFrame<S>, end: PhysFrame<S>): PhysFrameRange<S> {
    return new PhysFrameRange(start, end);
  }

  /** The frames from `start` up to and including `end`. */
  static rangeInclusive<S extends PageSize>(
    start: PhysFrame<S>,
    end: PhysFrame<S>,
  ): PhysFrameRangeInclusive<S> {
    return new PhysFrameRangeInclusive(start, end);
  }
}

/** Whether a number is that of a frame with an address of 52 bits. */
function isFrameNumber(frame: number): boolean {
  return Math.floor(frame) === frame && frame >= 0 && frame < FRAMES;
}

/** The frames from `start` up to but not including `end`. */
export class PhysFrameRange<S extends PageSize = Size4KiB> extends HalfOpenRange<PhysFrame<S>> {
  protected get kind(): string {
    return 'PhysFrameRange';
  }

  protected copy(): PhysFrameRange<S> {
    return new PhysFrameRange(this.start, this.end);
  }
}

/** The frames from `start` up to and including `end`. */
export class PhysFrameRangeInclusive<S extends PageSize = Size4KiB> extends ClosedRange<PhysFrame<S>> {
  protected get kind(): string {
    return 'PhysFrameRangeInclusive';
  }

  protected copy(): PhysFrameRangeInclusive<S> {
    return new PhysFrameRangeInclusive(this.start, this.end);
  }
}
