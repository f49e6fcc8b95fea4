import { PageTableError } from '../bits/index.ts';
import { INSPECT } from '../bits/inspect.ts';
import { wrongKind } from '../bits/wrong-kind.ts';
import { Address, type PAddr, type VAddr } from './addr.ts';
import { NotAligned } from './errors.ts';
import { bytesOf, type Size } from './size.ts';

/** A page of an address space: its first address and its size. Immutable. `A` tells linear pages from physical ones. */
export class Page<A extends Address = Address, S extends Size = Size> {
  private readonly base: A;
  private readonly of: S;

  private constructor(base: A, size: S) {
    this.base = base;
    this.of = size;
  }

  /**
   * The page in which an address lies.
   *
   * @throws {@link PageTableError} `BAD_ARGUMENT` for what is no address, or no size
   */
  static containing<A extends Address, S extends Size>(addr: A, size: S): Page<A, S> {
    checkAddress('Page.containing', addr);
    return new Page(addr.alignDown(bytesOf('Page.containing', size)), size);
  }

  /**
   * The page that starts at an address. Nothing is rounded.
   *
   * @throws {@link NotAligned}; {@link PageTableError} `BAD_ARGUMENT` for what is no address, or no size
   */
  static startingAt<A extends Address, S extends Size>(addr: A, size: S): Page<A, S> {
    checkAddress('Page.startingAt', addr);
    if (addr.isAligned(bytesOf('Page.startingAt', size))) return new Page(addr, size);
    throw new NotAligned(size, addr);
  }

  /** Its first address. */
  baseAddr(): A {
    return this.base;
  }

  /** Its last address: the last byte that belongs to it. */
  endAddr(): A {
    return this.base.add(this.of.asUsize() - 1n);
  }

  /** How large it is. */
  size(): S {
    return this.of;
  }

  /** Whether an address lies in it. */
  contains(addr: A): boolean {
    return this.base.compare(addr) <= 0 && this.endAddr().compare(addr) >= 0;
  }

  /** The pages from this one to `end`, which is the last of them. Neither order nor sizes are looked at. */
  rangeInclusive(end: Page<A, S>): PageRange<A, S> {
    return new PageRange(this, end);
  }

  /**
   * The pages from this one up to `end`, which is none of them.
   *
   * @throws {@link PageTableError} `OUT_OF_RANGE` if there is no page before `end`
   */
  rangeTo(end: Page<A, S>): PageRange<A, S> {
    return new PageRange(this, checkPage('rangeTo', end).sub(1n));
  }

  /**
   * The page so many pages further on.
   *
   * @param count - a whole number that is not negative
   * @throws {@link PageTableError} `OUT_OF_RANGE` if there is no such page
   */
  add(count: bigint | number): Page<A, S> {
    return new Page(this.base.add(this.bytes('+', count)), this.of);
  }

  /** The page so many pages before, as {@link add}. */
  sub(count: bigint | number): Page<A, S> {
    return new Page(this.base.sub(this.bytes('-', count)), this.of);
  }

  private bytes(sign: string, count: bigint | number): bigint {
    if (typeof count !== 'bigint' && !Number.isInteger(count)) {
      throw wrongKind(`${this} ${sign}`, count, 'a whole number of pages');
    }
    if (count < 0) {
      throw new PageTableError(
        'OUT_OF_RANGE',
        `${this} ${sign} ${count}: expected a number that is not negative`,
        {
          count,
        },
      );
    }
    return BigInt(count) * this.of.asUsize();
  }

  /** Whether both have the same first address and as many bytes. */
  equals(other: Page<A, S>): boolean {
    return this.compare(other) === 0;
  }

  /** Order of the first addresses: -1, 0 or 1; `undefined` for pages of different sizes, which have none. */
  compare(other: Page<A, S>): -1 | 0 | 1 | undefined {
    checkPage('compare', other);
    return hasSize(this, other.of) ? this.base.compare(other.base) : undefined;
  }

  /** The original's debug text. */
  toString(): string {
    return `Page { base: ${this.base}, size: ${this.of} }`;
  }

  /** @internal */
  [INSPECT](): string {
    return this.toString();
  }
}

/** The pages from a first one to a last one, both of them included. Immutable. */
export class PageRange<A extends Address = Address, S extends Size = Size> {
  private readonly first: Page<A, S>;
  private readonly last: Page<A, S>;

  /**
   * What {@link Page.rangeInclusive} gives. Neither order nor sizes are looked at.
   *
   * @throws {@link PageTableError} `BAD_ARGUMENT` unless both are pages of the same kind of addresses
   */
  constructor(first: Page<A, S>, last: Page<A, S>) {
    this.first = checkPage('PageRange', first);
    this.last = checkPage('PageRange', last);
    first.baseAddr().compare(last.baseAddr());
  }

  /** The first page. */
  start(): Page<A, S> {
    return this.first;
  }

  /** The last page, which belongs to the range. */
  end(): Page<A, S> {
    return this.last;
  }

  /** The first address of the first page. */
  baseAddr(): A {
    return this.first.baseAddr();
  }

  /** The last address of the last page: the last byte that belongs to the range. */
  endAddr(): A {
    return this.last.endAddr();
  }

  /**
   * The size of its pages.
   *
   * @throws {@link PageTableError} `BAD_ARGUMENT` if the first page and the last page have different sizes
   */
  pageSize(): S {
    if (hasSize(this.first, this.last.size())) return this.first.size();
    throw new PageTableError('BAD_ARGUMENT', `${this} mixes sizes; expected pages of one size`);
  }

  /**
   * Bytes.
   *
   * @throws {@link PageTableError} `BAD_ARGUMENT` if it mixes sizes; `OUT_OF_RANGE` if it ends before it starts, or its
   *   ends lie in different halves of the address space
   */
  size(): bigint {
    const page = this.pageSize().asUsize();
    const bytes = this.baseAddr().difference(this.endAddr()) + 1n;
    if (bytes >= page) return bytes;
    throw new PageTableError(
      'OUT_OF_RANGE',
      `${this} has ${bytes} bytes; expected a range of at least one page, in one half of the address space`,
      { size: bytes },
    );
  }

  /** Number of pages. Throws as {@link size}. */
  len(): bigint {
    return this.size() / this.pageSize().asUsize();
  }

  /** Whether both have the same first and the same last page. */
  equals(other: PageRange<A, S>): boolean {
    checkRange('equals', other);
    return this.first.equals(other.first) && this.last.equals(other.last);
  }

  /**
   * Its pages in ascending order, from the start each time. A range that mixes sizes goes on behind its end.
   *
   * @throws {@link PageTableError} `OUT_OF_RANGE` in place of a page that has no successor, unless it is the last one
   */
  *[Symbol.iterator](): Generator<Page<A, S>, void, undefined> {
    let page: Page<A, S> | undefined = this.first;
    while (page !== undefined && page.compare(this.last) !== 1) {
      const next: Page<A, S> | undefined = page.equals(this.last) ? undefined : page.add(1n);
      yield page;
      page = next;
    }
  }

  /** The original's debug text. */
  toString(): string {
    return `PageRange { start: ${this.first}, end: ${this.last} }`;
  }

  /** @internal */
  [INSPECT](): string {
    return this.toString();
  }
}

/** Whether a page has as many bytes as a size says. */
export function hasSize(page: Page, size: Size): boolean {
  return page.size().asUsize() === size.asUsize();
}

/** Refuses what is no page; or, if that is asked for, no page of linear addresses, or of physical ones. */
export function checkPage<P extends Page>(operation: string, page: P, kind?: typeof VAddr | typeof PAddr): P {
  if (page instanceof Page && (kind === undefined || page.baseAddr() instanceof kind)) return page;
  throw wrongKind(operation, page, kind === undefined ? 'a Page' : `a Page of ${kind.name}`);
}

/** The same for ranges. */
export function checkRange<R extends PageRange>(
  operation: string,
  range: R,
  kind?: typeof VAddr | typeof PAddr,
): R {
  if (range instanceof PageRange && (kind === undefined || range.baseAddr() instanceof kind)) return range;
  throw wrongKind(operation, range, kind === undefined ? 'a PageRange' : `a PageRange of ${kind.name}`);
}

function checkAddress(operation: string, addr: unknown): void {
  if (!(addr instanceof Address)) throw wrongKind(operation, addr, 'a VAddr or a PAddr');
}
