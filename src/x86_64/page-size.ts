import { PageTableError } from '../bits/index.ts';
import { wrongKind } from '../bits/wrong-kind.ts';
import { PageTableFlags } from './flags.ts';

/** What a page size is: one of {@link Size4KiB}, {@link Size2MiB}, {@link Size1GiB}. `Name` keeps them apart as types. */
class SizeOf<Name extends '4KiB' | '2MiB' | '1GiB'> {
  /** Bytes. */
  readonly SIZE: bigint;
  /** Name for debug texts. */
  readonly DEBUG_STR: Name;
  /** 4-KiB pages. */
  readonly pages: number;
  /** Level of the table whose entries map pages of this size: 1, 2 or 3. */
  readonly level: number;
  /** Bits of an entry's low half that hold an address in general, but must be 0 in the address of a page of this size. */
  readonly inner: number;
  /** Flags that an entry needs to map a page of this size. */
  readonly leaf: number;

  constructor(name: Name, level: 1 | 2 | 3) {
    this.DEBUG_STR = name;
    this.level = level;
    this.pages = 512 ** (level - 1);
    this.SIZE = 4096n * BigInt(this.pages);
    this.inner = (this.pages - 1) << 12;
    this.leaf = level === 1 ? 0 : PageTableFlags.HUGE_PAGE.low;
  }

  /** The name. */
  toString(): string {
    return this.DEBUG_STR;
  }
}

/** Pages of 4 KiB, mapped by level-1 entries. */
export type Size4KiB = SizeOf<'4KiB'>;
/** Pages of 2 MiB, mapped by level-2 entries. */
export type Size2MiB = SizeOf<'2MiB'>;
/** Pages of 1 GiB, mapped by level-3 entries. */
export type Size1GiB = SizeOf<'1GiB'>;
/** Any size of pages. */
export type PageSize = Size4KiB | Size2MiB | Size1GiB;
/** Any size but 1 GiB. */
export type NotGiantPageSize = Size4KiB | Size2MiB;

/** Pages of 4 KiB, mapped by level-1 entries. */
export const Size4KiB: Size4KiB = new SizeOf('4KiB', 1);
/** Pages of 2 MiB, mapped by level-2 entries. */
export const Size2MiB: Size2MiB = new SizeOf('2MiB', 2);
/** Pages of 1 GiB, mapped by level-3 entries. */
export const Size1GiB: Size1GiB = new SizeOf('1GiB', 3);

/** Refuses what is none of the three sizes. */
export function checkSize(size: PageSize): void {
  if (size !== Size4KiB && size !== Size2MiB && size !== Size1GiB) {
    throw wrongKind('page size', size, 'one of Size4KiB, Size2MiB and Size1GiB');
  }
}

/** Refuses two things of different sizes: types keep them apart, but not in JavaScript. */
export function checkSameSize(operation: string, one: Sized, other: Sized): void {
  if (one.pageSize !== other.pageSize) {
    throw new PageTableError('BAD_ARGUMENT', `${operation}: ${one} and ${other}; expected the same size`);
  }
}

interface Sized {
  readonly pageSize: PageSize;
}
