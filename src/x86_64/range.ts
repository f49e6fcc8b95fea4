import { PageTableError } from '../bits/index.ts';
import { INSPECT } from '../bits/inspect.ts';
import type { Block } from './block.ts';
import { checkSameSize, type PageSize } from './page-size.ts';

/** What a range is made of. */
interface Element<B> extends Pick<Block<PageSize, never>, 'pageSize' | 'size'> {
  equals(other: B): boolean;
  compare(other: B): -1 | 0 | 1;
  sub(other: B): number;
  sub(count: number): B;
  /** @internal */
  offsetBy(count: number): B | undefined;
}

/**
 * A range of pages or of frames, by its two bounds. It is its own iterator, as the original: `next` moves `start`, while
 * `for … of` works on a copy.
 *
 * Lengths count the hole between the halves of the address space; iterating does not jump over it.
 */
abstract class BlockRange<B extends Element<B>> {
  /** The first element; iterating moves it. */
  start: B;
  /** The bound at the upper end. */
  end: B;
  /** An element that has been given out and has no successor, while the range goes on. */
  private stuckAt: B | undefined;

  /**
   * @param start - first element
   * @param end - bound at the upper end, of the same size
   */
  constructor(start: B, end: B) {
    checkSameSize('range', start, end);
    this.start = start;
    this.end = end;
  }

  /** Name of the kind, for its debug text. */
  protected abstract get kind(): string;
  /** Whether it has no elements. */
  abstract isEmpty(): boolean;
  /** Number of elements, the hole counted; 0 if it is empty. */
  abstract len(): number;
  /** Moves the bounds past the last element. */
  protected abstract finish(): void;
  protected abstract copy(): BlockRange<B>;

  /**
   * Bytes, the hole counted.
   *
   * @throws {@link PageTableError} `OUT_OF_RANGE` for all 2^64 bytes
   */
  size(): bigint {
    const bytes = BigInt(this.len()) * this.start.size();
    if (bytes < 1n << 64n) return bytes;
    throw new PageTableError('OUT_OF_RANGE', `${this} has 2^64 bytes; expected a size of 64 bits`);
  }

  /**
   * The next element, by JavaScript's iterator protocol.
   *
   * @throws {@link PageTableError} `OUT_OF_RANGE` where the range runs into the hole
   */
  next(): IteratorResult<B, undefined> {
    if (this.isEmpty()) return { done: true, value: undefined };
    const value = this.start;
    if (value === this.stuckAt) {
      throw new PageTableError(
        'OUT_OF_RANGE',
        `${this} runs into the hole of the address space behind ${value}; expected a range in one half`,
      );
    }
    const next = value.offsetBy(1);
    if (next !== undefined) this.start = next;
    else if (this.len() === 1) this.finish();
    else this.stuckAt = value;
    return { done: false, value };
  }

  /** Whether both have the same bounds. */
  equals(other: this): boolean {
    return this.start.equals(other.start) && this.end.equals(other.end);
  }

  /** Iterates over a copy. */
  [Symbol.iterator](): IterableIterator<B> {
    const copy = this.copy();
    copy.stuckAt = this.stuckAt;
    const iterator = { next: () => copy.next(), [Symbol.iterator]: () => iterator };
    return iterator;
  }

  /** The original's debug text. */
  toString(): string {
    return `${this.kind} { start: ${this.start}, end: ${this.end} }`;
  }

  /** @internal */
  [INSPECT](): string {
    return this.toString();
  }
}

/** A range without its upper bound. */
export abstract class HalfOpenRange<B extends Element<B>> extends BlockRange<B> {
  /** Whether it has no elements: `start >= end`. */
  isEmpty(): boolean {
    return this.start.compare(this.end) >= 0;
  }

  len(): number {
    return this.isEmpty() ? 0 : this.end.sub(this.start);
  }

  protected finish(): void {
    this.start = this.end;
  }
}

/** A range with its upper bound. */
export abstract class ClosedRange<B extends Element<B>> extends BlockRange<B> {
  /** Whether it has no elements: `start > end`. */
  isEmpty(): boolean {
    return this.start.compare(this.end) > 0;
  }

  len(): number {
    return this.isEmpty() ? 0 : this.end.sub(this.start) + 1;
  }

  protected finish(): void {
    this.end = this.end.sub(1);
  }
}
