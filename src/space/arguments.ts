import { addressOf, FRAME_BYTES, hex, hex64, offsetOf, PageTableError } from '../bits/index.ts';
import type { Described } from '../edit/index.ts';
import { lastIndex, type Paging } from '../format/index.ts';
import type { SpacePolicy } from './options.ts';

const PAGE_MASK = 0xfffn;
/** One past the last page of a 64-bit address space. */
const PAGES_END = 2 ** 52;

/** Refuses tables larger than a frame: those of the 16K and 64K granules. */
export function checkTables({ format }: Paging): void {
  const { fact, facts, levels, entryShift } = format;
  const bytes = Math.max(
    ...Array.from({ length: levels }, (_, depth) => (lastIndex(facts, depth) + 1) * 4 * 2 ** entryShift),
  );
  if (bytes <= FRAME_BYTES) return;
  throw new PageTableError(
    'BAD_ARGUMENT',
    `address space: ${fact.title} has tables of ${bytes} bytes; expected a format with tables of at most ${FRAME_BYTES}`,
    { bytes },
  );
}

/** Refuses roots that registers cannot hold: CR3 of PAE and 32-bit paging has 32 bits. */
export function checkRoots(pagings: readonly Paging[], frames: readonly number[]): void {
  pagings.forEach(({ root, format }, i) => {
    if (root.frame === frames[i]) return;
    throw new PageTableError(
      'INVALID_FRAME',
      `create: the allocator gave frame ${hex(frames[i])} for the root; expected one that the registers of ${format.fact.title} can hold`,
      { frame: frames[i] },
    );
  });
}

/** Refuses what is none of some words. */
export function checkWord(operation: Described, name: string, word: string, words: readonly string[]): void {
  if (words.includes(word)) return;
  throw new PageTableError(
    'BAD_ARGUMENT',
    `${operation}: ${name} ${JSON.stringify(word)}; expected ${words.map((one) => JSON.stringify(one)).join(' or ')}`,
  );
}

/** Refuses a policy of which a value says nothing. */
export function checkPolicy({ spuriousFaults, whenShared, maxTables }: SpacePolicy): void {
  if (spuriousFaults !== undefined)
    checkWord('address space', 'spuriousFaults', spuriousFaults, ['avoid', 'tolerate']);
  if (whenShared !== undefined) checkWord('address space', 'whenShared', whenShared, ['copy', 'refuse']);
  if (maxTables !== undefined && !(Number.isInteger(maxTables) && maxTables >= 0)) {
    throw new PageTableError(
      'OUT_OF_RANGE',
      `address space: maxTables ${maxTables}; expected a whole number from 0`,
    );
  }
}

/** Refuses what is not a multiple of a page in 64 bits. */
export function checkAligned(operation: Described, what: string, value: bigint): void {
  if (typeof value === 'bigint' && BigInt.asUintN(64, value) === value && offsetOf(value) === 0) return;
  const found = typeof value === 'bigint' ? hex(value) : String(value);
  const isRange = typeof value === 'bigint' && (value & PAGE_MASK) === 0n;
  throw new PageTableError(
    isRange ? 'OUT_OF_RANGE' : 'MISALIGNED',
    `${operation}: ${what} ${found}; expected a bigint in [0, 2^64) that is a multiple of 4096`,
    typeof value === 'bigint' ? { value } : {},
  );
}

/** What is done with a range, in words. */
export function described(verb: string, address: bigint, bytes: bigint): Described {
  return { toString: () => `${verb} ${rangeText(address, bytes)}` };
}

function rangeText(address: bigint, bytes: bigint): string {
  return typeof address === 'bigint' && typeof bytes === 'bigint'
    ? `${hex64(address)}, ${hex(bytes)} bytes`
    : `${String(address)}, ${String(bytes)} bytes`;
}

/** The ranges that a half translates, in words. */
export function rangesOf({ format }: Paging): string[] {
  const { lowEnd, highStart } = format;
  const text = (first: number, end: number) => `[${hex64(addressOf(first))}, ${hex64(BigInt(end) << 12n)})`;
  return [
    ...(lowEnd > 0 ? [text(0, lowEnd)] : []),
    ...(highStart < PAGES_END ? [text(highStart, PAGES_END)] : []),
  ];
}
