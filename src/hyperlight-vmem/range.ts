import { hex, highHalf, lowHalf, PageTableError } from '../bits/index.ts';
import type { Mapping, MappingKind } from './mapping.ts';

/** Pages in the 48-bit address space. */
export const SPACE_PAGES = 2 ** 36;
const MAX_U64 = 0xffff_ffff_ffff_ffffn;
const SPACE_BYTES = 1n << 48n;
/** Pages below an entry, by depth. */
const SPANS: readonly number[] = [2 ** 27, 2 ** 18, 2 ** 9, 1];

/** Virtual pages by their numbers in the 48-bit space, in `[0, 2^36]`. */
export interface PageRange {
  readonly first: number;
  readonly end: number;
}

/** Pages below an entry of a table at a depth. */
export function spanAt(depth: number): number {
  return SPANS[depth];
}

/** The index of the entry for a page in a table at a depth. */
export function indexAt(depth: number, page: number): number {
  return Math.floor(page / SPANS[depth]) % 512;
}

/** The number, in the 48-bit space, of the page that holds an address. */
export function pageInSpace(address: bigint): number {
  return (highHalf(address) & 0xffff) * 2 ** 20 + (lowHalf(address) >>> 12);
}

/** Refuses what is no unsigned 64-bit number. */
export function checkU64(operation: string, name: string, value: bigint): void {
  if (typeof value !== 'bigint') {
    throw new PageTableError('BAD_ARGUMENT', `${operation}: ${name} is ${kindOf(value)}; expected a bigint`);
  }
  if (value < 0n || value > MAX_U64) {
    throw new PageTableError(
      'OUT_OF_RANGE',
      `${operation}: ${name} is ${hex(value)}; expected 0 to 2^64 - 1`,
      {
        [name]: value,
      },
    );
  }
}

function kindOf(value: unknown): string {
  return value === null || typeof value !== 'object' ? `${typeof value} ${String(value)}` : 'an object';
}

/**
 * The pages that a range of addresses touches, cut at the end of the 48-bit space.
 *
 * @param address - its bits 63:48 do not count
 * @param len - bytes; without any, an address inside a page still touches that page
 * @throws {@link PageTableError} `OUT_OF_RANGE` if the end is beyond 64 bits
 */
export function rangeToRead(operation: string, address: bigint, len: bigint): PageRange {
  checkU64(operation, 'address', address);
  checkU64(operation, 'len', len);
  const start = BigInt.asUintN(48, address);
  if (start + len > MAX_U64) throw tooLong(operation, 'address', start, len);
  const end = start + len < SPACE_BYTES ? start + len : SPACE_BYTES;
  return { first: pageInSpace(start), end: Number((end + 0xfffn) >> 12n) };
}

/** Refuses a mapping that leaves 64 bits, virtually or physically, or goes round the 48-bit space more than once. */
export function checkMapping(operation: string, { physBase, virtBase, len, kind }: Mapping): void {
  checkKind(operation, kind);
  checkU64(operation, 'physBase', physBase);
  checkU64(operation, 'virtBase', virtBase);
  checkU64(operation, 'len', len);
  if (virtBase + len > MAX_U64) throw tooLong(operation, 'virtBase', virtBase, len);
  if (len > SPACE_BYTES) {
    throw new PageTableError('OUT_OF_RANGE', `${operation}: len is ${hex(len)}; expected at most 2^48`, {
      len,
    });
  }
  const lastPage = (virtBase + len - 1n) & ~0xfffn;
  const isMapped = kind.kind !== 'Unmapped' && len > 0n;
  if (isMapped && lastPage > virtBase && physBase + lastPage - virtBase > MAX_U64) {
    throw tooLong(operation, 'physBase', physBase, len);
  }
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
