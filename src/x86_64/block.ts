import { hex, joinHalves, PageTableError } from '../bits/index.ts';
import { checkSameSize, type PageSize } from './page-size.ts';
import { Word } from './word.ts';

/** Number of the page behind the last one of the lower half. */
export const LOWER_END = 2 ** 35;
/** Number of the first page of the upper half. */
export const UPPER_START = 2 ** 52 - LOWER_END;
/** Pages in the hole between the halves. */
export const HOLE = UPPER_START - LOWER_END;

/** What one unit of the high half counts in 4-KiB units. */
const HIGH_UNITS = 0x10_0000;

/** A start address that is not a multiple of the page size. */
export class AddressNotAligned extends PageTableError {
  override readonly name: string = 'AddressNotAligned';

  constructor(what: string, address: bigint, size: PageSize) {
    super(
      'MISALIGNED',
      `${what}: ${hex(address)} is not a multiple of the page size; expected a ${size}-aligned address`,
      { address },
    );
  }
}

/**
 * An aligned piece of an address space: what pages and frames have in common. `Self` is which of them.
 *
 * Its start address is kept as two halves.
 */
export abstract class Block<S extends PageSize, Self extends Block<S, Self>> extends Word {
  /** Its size. */
  abstract readonly pageSize: S;

  /** Name of the kind, for its debug text. */
  protected abstract get kind(): string;
  /** The block of the same size at a start address in 4-KiB units; `undefined` if there is none. */
  protected abstract at(unit: number): Self | undefined;

  /** Start address in 4-KiB units. */
  protected unit(): number {
    return unitOf(this.high, this.low);
  }

  /** Whether both are the same block: same start, same size. */
  override equals(other: this): boolean {
    return this.pageSize === other.pageSize && super.equals(other);
  }

  /** Order by start address: -1, 0 or 1. */
  override compare(other: this): -1 | 0 | 1 {
    if (this.pageSize !== other.pageSize) checkSameSize('compare', this, other);
    return super.compare(other);
  }

  /** Bytes. */
  size(): bigint {
    return this.pageSize.SIZE;
  }

  /**
   * The block so many further on. Nothing is jumped over.
   *
   * @param count - a whole number, not negative
   * @throws {@link PageTableError} `OUT_OF_RANGE` if there is no such block
   */
  add(count: bigint | number): Self {
    return this.offset(count, 1);
  }

  /** The block so many before, as {@link add}; or how many blocks lie between this one and one that is not above. */
  sub(count: bigint | number): Self;
  sub(other: Self): number;
  sub(other: bigint | number | Self): Self | number {
    // A count from 2^53 may be rounded: it leads outside either way.
    if (typeof other !== 'object') return this.offset(other, -1);
    checkSameSize('difference', this, other);
    // Blocks made without a check may begin inside a unit.
    const borrow = (this.low & 0xfff) < (other.low & 0xfff) ? 1 : 0;
    const units = this.unit() - other.unit() - borrow;
    if (units < 0) {
      throw new PageTableError(
        'OUT_OF_RANGE',
        `${this} - ${other} is negative; expected a start that is not above`,
      );
    }
    return Math.floor(units / this.pageSize.pages);
  }

  /** @internal The block so many further on; `undefined` if there is none. */
  offsetBy(count: number): Self | undefined {
    const { pages, inner } = this.pageSize;
    return this.at(unitOf(this.high, this.low & ~inner) + count * pages);
  }

  private offset(count: bigint | number, sign: 1 | -1): Self {
    if (!(count >= 0 && (typeof count === 'bigint' || Number.isInteger(count)))) {
      throw new PageTableError(
        'OUT_OF_RANGE',
        `${this}: count ${count}; expected a whole number that is not negative`,
        { count },
      );
    }
    const result = this.offsetBy(sign * Number(count));
    if (result === undefined) throw outside(`${this} ${sign < 0 ? '-' : '+'} ${count}`);
    return result;
  }

  /** The original's debug text: kind, size, start address. */
  override toString(): string {
    return `${this.kind}[${this.pageSize}](${hex(joinHalves(this.low, this.high))})`;
  }
}

/** An address given as halves, in 4-KiB units. */
export function unitOf(high: number, low: number): number {
  return (high >>> 0) * HIGH_UNITS + (low >>> 12);
}

/** Bits 63:32 of an address given in 4-KiB units. */
export function highOfUnit(unit: number): number {
  return Math.floor(unit / HIGH_UNITS) | 0;
}

/** Says why a number of 4-KiB units is not the start of a block. */
export function notAStart(
  what: string,
  unit: number,
  valid: boolean,
  expected: string,
  size: PageSize,
): Error {
  return valid
    ? new AddressNotAligned(what, joinHalves(unit << 12, highOfUnit(unit)), size)
    : new PageTableError('OUT_OF_RANGE', `${what}: number ${unit}; expected a whole number ${expected}`, {
        number: unit,
      });
}

function outside(operation: string): PageTableError {
  return new PageTableError(
    'OUT_OF_RANGE',
    `${operation} lies outside the address space, or in the hole between its halves; expected a place inside`,
  );
}
