import { PageTableError } from '../bits/index.ts';
import { INSPECT } from '../bits/inspect.ts';
import { stepped } from './step.ts';

/** A small number with an upper bound. Immutable. */
abstract class Bounded {
  /** The number. */
  readonly value: number;

  protected constructor(value: number) {
    this.value = value;
  }

  /** Name of the kind, for its debug text. */
  protected abstract get kind(): string;

  /** Whether both are the same number. */
  equals(other: this): boolean {
    return this.value === other.value;
  }

  /** Order: -1, 0 or 1. */
  compare(other: this): -1 | 0 | 1 {
    return this.value === other.value ? 0 : this.value < other.value ? -1 : 1;
  }

  /** The number, so that it can be used as one. */
  valueOf(): number {
    return this.value;
  }

  /** The original's debug text. */
  toString(): string {
    return `${this.kind}(${this.value})`;
  }

  /** @internal */
  [INSPECT](): string {
    return this.toString();
  }
}

/** Index of an entry in a page table, in `[0, 512)`. */
export class PageTableIndex extends Bounded {
  protected get kind(): string {
    return 'PageTableIndex';
  }

  /**
   * @param index - in `[0, 512)`
   * @throws {@link PageTableError} `OUT_OF_RANGE`
   */
  constructor(index: number) {
    super(checked('PageTableIndex', index, 512));
  }

  /** The index modulo 512. */
  static newTruncate(index: number): PageTableIndex {
    return new PageTableIndex(index & 511);
  }

  /** Indices from `start` up to `end`: lower bound and exact number; `[0, undefined]` if `end` lies before `start`. */
  static stepsBetween(start: PageTableIndex, end: PageTableIndex): [number, number | undefined] {
    const steps = end.value - start.value;
    return steps < 0 ? [0, undefined] : [steps, steps];
  }

  /** The index so many further on; `undefined` from 512. */
  static forwardChecked(start: PageTableIndex, count: number): PageTableIndex | undefined {
    return count >= 0 ? PageTableIndex.moved(start, count) : undefined;
  }

  private static moved(start: PageTableIndex, count: number): PageTableIndex | undefined {
    const to = start.value + count;
    return to >= 0 && to < 512 ? new PageTableIndex(to) : undefined;
  }

  /** The same. @throws {@link PageTableError} `OUT_OF_RANGE` from 512 */
  static forward(start: PageTableIndex, count: number): PageTableIndex {
    return stepped(PageTableIndex.forwardChecked(start, count), 'forward', start, count);
  }

  /** The index so many before; `undefined` below 0. */
  static backwardChecked(start: PageTableIndex, count: number): PageTableIndex | undefined {
    return count >= 0 ? PageTableIndex.moved(start, -count) : undefined;
  }

  /** The same. @throws {@link PageTableError} `OUT_OF_RANGE` below 0 */
  static backward(start: PageTableIndex, count: number): PageTableIndex {
    return stepped(PageTableIndex.backwardChecked(start, count), 'backward', start, count);
  }
}

/** Offset of a byte in a 4-KiB page, in `[0, 4096)`. */
export class PageOffset extends Bounded {
  protected get kind(): string {
    return 'PageOffset';
  }

  /**
   * @param offset - bytes, in `[0, 4096)`
   * @throws {@link PageTableError} `OUT_OF_RANGE`
   */
  constructor(offset: number) {
    super(checked('PageOffset', offset, 4096));
  }

  /** The offset modulo 4096. */
  static newTruncate(offset: number): PageOffset {
    return new PageOffset(offset & 4095);
  }
}

/** Level of a table: the root is `Four`. */
export class PageTableLevel extends Bounded {
  static readonly One: PageTableLevel = new PageTableLevel(1);
  static readonly Two: PageTableLevel = new PageTableLevel(2);
  static readonly Three: PageTableLevel = new PageTableLevel(3);
  static readonly Four: PageTableLevel = new PageTableLevel(4);
  private static readonly all = [
    PageTableLevel.One,
    PageTableLevel.Two,
    PageTableLevel.Three,
    PageTableLevel.Four,
  ];

  private constructor(value: 1 | 2 | 3 | 4) {
    super(value);
  }

  /** `undefined` below `One`. */
  nextLowerLevel(): PageTableLevel | undefined {
    return PageTableLevel.all[this.value - 2];
  }

  /** `undefined` above `Four`. */
  nextHigherLevel(): PageTableLevel | undefined {
    return PageTableLevel.all[this.value];
  }

  /** Bytes of address space that a table of this level covers. */
  tableAddressSpaceAlignment(): bigint {
    return 1n << BigInt(12 + 9 * this.value);
  }

  /** Bytes of address space that an entry of this level covers. */
  entryAddressSpaceAlignment(): bigint {
    return 1n << BigInt(12 + 9 * (this.value - 1));
  }

  protected get kind(): string {
    return 'PageTableLevel';
  }

  override toString(): string {
    return ['One', 'Two', 'Three', 'Four'][this.value - 1];
  }
}

function checked(name: string, value: number, end: number): number {
  if (Number.isInteger(value) && value >= 0 && value < end) return value;
  throw new PageTableError('OUT_OF_RANGE', `${name}: ${value}; expected a whole number in [0, ${end})`, {
    value,
  });
}
