import { hex, highHalf, lowHalf, PageTableError } from '../bits/index.ts';
import { wrongKind } from '../bits/wrong-kind.ts';
import type { Mapping, MappingKind } from './mapping.ts';

// Numbers of pages, and bytes in a page, for addresses of 64 bits and of 48. A `bigint` is taken apart once: sums of them cost tens of nanoseconds.
const ALL_PAGES = 2 ** 52;
const SPACE_PAGES = 2 ** 36;
const PAGES_PER_HIGH = 2 ** 20;
const OFFSET_MASK = 0xfff;
const PAGE_BYTES = 4096;

/** Refuses what is no unsigned 64-bit number. */
export function checkU64(operation: string, name: string, value: bigint): void {
  if (typeof value !== 'bigint') throw wrongKind(`${operation}: ${name}`, value, 'a bigint');
  if (BigInt.asUintN(64, value) !== value) {
    throw new PageTableError(
      'OUT_OF_RANGE',
      `${operation}: ${name} is ${hex(value)}; expected 0 to 2^64 - 1`,
      {
        [name]: value,
      },
    );
  }
}

/** The page of an address of 64 bits, in `[0, 2^52)`. */
function pageAt(address: bigint): number {
  return (highHalf(address) >>> 0) * PAGES_PER_HIGH + (lowHalf(address) >>> 12);
}

/** The page of an address in the 48-bit space, in `[0, 2^36)`. */
export function pageInSpace(address: bigint): number {
  return (highHalf(address) & 0xffff) * PAGES_PER_HIGH + (lowHalf(address) >>> 12);
}

/** Pages by their numbers in the 48-bit space. */
export interface SpaceRange {
  /** The first, in `[0, 2^36)`. */
  readonly first: number;
  /** How many. */
  readonly count: number;
}

/**
 * The pages that a range of addresses touches, cut at the end of the 48-bit space.
 *
 * @param address - its bits 63:48 do not count
 * @param len - bytes; without any, an address inside a page still touches that page
 * @throws {@link PageTableError} `OUT_OF_RANGE` if the end is beyond 64 bits
 */
export function rangeToRead(operation: string, address: bigint, len: bigint): SpaceRange {
  checkU64(operation, 'address', address);
  checkU64(operation, 'len', len);
  const first = pageInSpace(address);
  const inPages = (lowHalf(address) & OFFSET_MASK) + (lowHalf(len) & OFFSET_MASK);
  const end = first + pageAt(len) + Math.ceil(inPages / PAGE_BYTES);
  if (first + pageAt(len) + Math.floor(inPages / PAGE_BYTES) >= ALL_PAGES) {
    throw tooLong(operation, 'address', BigInt.asUintN(48, address), len);
  }
  return { first, count: Math.min(end, SPACE_PAGES) - first };
}

/**
 * The pages that a mapping touches; it may go on from the end of the 48-bit space to its beginning.
 *
 * @throws {@link PageTableError} `OUT_OF_RANGE` if it leaves 64 bits, virtually or physically, or goes round the 48-bit space
 *   more than once; `BAD_ARGUMENT`
 */
export function rangeToMap(operation: string, mapping: Mapping): SpaceRange {
  if (typeof mapping !== 'object' || mapping === null) throw wrongKind(operation, mapping, 'a mapping');
  const { physBase, virtBase, len, kind } = mapping;
  checkKind(operation, kind);
  checkU64(operation, 'physBase', physBase);
  checkU64(operation, 'virtBase', virtBase);
  checkU64(operation, 'len', len);
  const offset = lowHalf(virtBase) & OFFSET_MASK;
  const inPages = offset + (lowHalf(len) & OFFSET_MASK);
  const lenPages = pageAt(len);
  if (pageAt(virtBase) + lenPages + Math.floor(inPages / PAGE_BYTES) >= ALL_PAGES) {
    throw tooLong(operation, 'virtBase', virtBase, len);
  }
  const count = len === 0n ? 0 : lenPages + Math.ceil(inPages / PAGE_BYTES);
  if (count > SPACE_PAGES) {
    throw new PageTableError(
      'OUT_OF_RANGE',
      `${operation}: virtBase ${hex(virtBase)} and len ${hex(len)} touch ${count} pages; expected at most 2^36, all there are`,
      { virtBase, len },
    );
  }
  // The second page and all after it have the address inside the first page taken off theirs.
  const before = (lowHalf(physBase) & OFFSET_MASK) < offset ? 1 : 0;
  if (count > 1 && kind.kind !== 'Unmapped' && pageAt(physBase) - before + count - 1 >= ALL_PAGES) {
    throw tooLong(operation, 'physBase', physBase, len);
  }
  return { first: pageInSpace(virtBase), count };
}

function tooLong(operation: string, name: string, start: bigint, len: bigint): PageTableError {
  return new PageTableError(
    'OUT_OF_RANGE',
    `${operation}: ${name} ${hex(start)} and len ${hex(len)} end at ${hex(start + len)}; expected at most 2^64 - 1`,
    { [name]: start, len },
  );
}

/** Refuses what is no kind of mapping. */
function checkKind(operation: string, kind: MappingKind): void {
  const found: string | undefined = kind?.kind;
  if (found !== 'Unmapped' && found !== 'Basic' && found !== 'Cow') {
    throw new PageTableError(
      'BAD_ARGUMENT',
      `${operation}: kind is ${String(found)}; expected Unmapped, Basic or Cow`,
    );
  }
}
