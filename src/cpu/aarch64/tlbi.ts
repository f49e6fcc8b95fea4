import { hex, PageTableError } from '../../bits/index.ts';
import { GRANULES } from '../../format/index.ts';
import { checkRegister } from '../register-value.ts';
import { GLOBAL, isOfGranule, levelOf } from './remembered.ts';

// Arm ARM (DDI 0487), section "TLB maintenance instructions".

/** What a TLBI instruction invalidates. */
export interface TlbInvalidation {
  /** The instruction as it was given: `TLBI VAE1IS, 0x1000000000400`. */
  readonly text: string;
  /** `nothing`: its operand is such that it need not invalidate anything. */
  readonly scope: 'all' | 'asid' | 'addresses' | 'nothing';
  /** Non-global entries of this ASID, and entries of this ASID that lead to tables; `undefined`: of any. */
  readonly asid: number | undefined;
  /** Not what leads to tables. */
  readonly lastLevelOnly: boolean;
  /** Number of the first 4-KiB page, an integer in `[0, 2^52)`. */
  readonly first: number;
  /** One more than the last. */
  readonly end: number;
  /** `log2` of the bytes of the granule whose entries it concerns; `undefined`: of any. */
  readonly granuleShift: number | undefined;
  /** Level of the entries of pages that it concerns, by the TTL field; `undefined`: any. */
  readonly level: number | undefined;
}

/** Something remembered, as far as TLBI instructions tell it from others. */
export interface Tagged {
  readonly isPage: boolean;
  /** ASID, or {@link GLOBAL}. */
  readonly space: number;
  /** `log2` of the 4-KiB pages that it spans. */
  readonly order: number;
  /** Number of the first 4-KiB page. */
  readonly first: number;
}

interface Operation {
  readonly scope: 'all' | 'asid' | 'address' | 'range';
  readonly anyAsid?: boolean;
  readonly lastLevelOnly?: boolean;
}

/** The operations of the EL1&0 regime, without IS and OS. */
const OPERATIONS: Readonly<Record<string, Operation>> = {
  VMALLE1: { scope: 'all' },
  ASIDE1: { scope: 'asid' },
  VAE1: { scope: 'address' },
  VALE1: { scope: 'address', lastLevelOnly: true },
  VAAE1: { scope: 'address', anyAsid: true },
  VAALE1: { scope: 'address', anyAsid: true, lastLevelOnly: true },
  RVAE1: { scope: 'range' },
  RVALE1: { scope: 'range', lastLevelOnly: true },
  RVAAE1: { scope: 'range', anyAsid: true },
  RVAALE1: { scope: 'range', anyAsid: true, lastLevelOnly: true },
};

/** Granules by the codes of TTL and TG. */
const GRANULE_CODES = ['none', '4K', '16K', '64K'] as const;
/** Pages of 64-bit addresses. */
const PAGES = 2 ** 52;

/**
 * What a TLBI instruction invalidates.
 *
 * @param operation - the manual's name: `VAE1`, `RVAALE1OS`, …
 * @param operand - the register that it takes; 0 for those that take none
 * @throws {@link PageTableError} `BAD_ARGUMENT` for an operation that there is not; `OUT_OF_RANGE` for an operand that is no
 *   unsigned 64-bit value
 */
export function decodeTlbi(operation: string, operand: bigint): TlbInvalidation {
  const known = OPERATIONS[operation.replace(/[IO]S$/, '')];
  if (known === undefined) {
    throw new PageTableError(
      'BAD_ARGUMENT',
      `tlbi: ${operation}; expected ${Object.keys(OPERATIONS).join(', ')}, each also with IS or OS`,
    );
  }
  checkRegister('tlbi', operand);
  const { scope, anyAsid = false, lastLevelOnly = false } = known;
  const text = scope === 'all' ? `TLBI ${operation}` : `TLBI ${operation}, ${hex(operand)}`;
  // 16 bits.
  const asid = anyAsid || scope === 'all' ? undefined : Number(operand >> 48n);
  const any = { first: 0, end: PAGES, granuleShift: undefined, level: undefined };
  if (scope === 'all' || scope === 'asid') return { text, scope, asid, lastLevelOnly, ...any };
  const where = scope === 'address' ? oneAddress(operand) : addressRange(operand);
  if (where === undefined) return { text, scope: 'nothing', asid, lastLevelOnly, ...any };
  return { text, scope: 'addresses', asid, lastLevelOnly, ...where };
}

type Where = Pick<TlbInvalidation, 'first' | 'end' | 'granuleShift' | 'level'>;

function oneAddress(operand: bigint): Where {
  // Four bits and 44: VA[55:12], of which the top bit repeats.
  const ttl = Number((operand >> 44n) & 15n);
  const first = Number(BigInt.asUintN(52, BigInt.asIntN(44, operand)));
  return { first, end: first + 1, ...hinted(ttl >> 2, ttl & 3) };
}

/** @returns `undefined` where nothing must be invalidated: a reserved granule, or a start that the level cannot have */
function addressRange(operand: bigint): Where | undefined {
  // Two, two, five, two and 37 bits.
  const code = Number((operand >> 46n) & 3n);
  const scale = Number((operand >> 44n) & 3n);
  const num = Number((operand >> 39n) & 31n);
  const ttl = Number((operand >> 37n) & 3n);
  const granule = GRANULES.find(({ name }) => name === GRANULE_CODES[code]);
  if (granule === undefined) return undefined;
  const granuleOrder = granule.shift - 12;
  const base = BigInt.asIntN(37, operand) << BigInt(granuleOrder);
  const first = Number(BigInt.asUintN(52, base));
  // Beyond the end of the address space it does not go on at its start.
  const end = Math.min(PAGES, first + (num + 1) * 2 ** (5 * scale + 1 + granuleOrder));
  const { level } = hinted(ttl === 0 ? 0 : code, ttl);
  const perEntry = level === undefined ? 1 : 2 ** (granuleOrder + (3 - level) * (granule.shift - 3));
  return first % perEntry === 0 ? { first, end, granuleShift: granule.shift, level } : undefined;
}

/** What a hint of granule and level says; codes that are reserved say nothing. */
function hinted(code: number, level: number): Pick<TlbInvalidation, 'granuleShift' | 'level'> {
  const granule = GRANULES.find(({ name }) => name === GRANULE_CODES[code]);
  // Without FEAT_LPA2 there is no level with blocks but those that have a group. 64K has one more with FEAT_LPA.
  const isLevel = granule?.leaves[level] !== undefined || (granule?.name === '64K' && level === 1);
  return isLevel ? { granuleShift: granule?.shift, level } : { granuleShift: undefined, level: undefined };
}

/** Whether what is remembered must go. */
export function covers(invalidation: TlbInvalidation, entry: Tagged): boolean {
  return whyLeft(invalidation, entry) === undefined;
}

/** Why an invalidation leaves something, in words; `undefined` if it must go. */
export function whyLeft(invalidation: TlbInvalidation, entry: Tagged): string | undefined {
  const { scope, asid, lastLevelOnly, first, end, granuleShift, level } = invalidation;
  if (scope === 'nothing')
    return 'its operand has a reserved or an unaligned field, so it need not do anything';
  if (scope === 'all') return undefined;
  if (asid !== undefined && entry.space !== asid && !(entry.space === GLOBAL && scope === 'addresses')) {
    return entry.space === GLOBAL
      ? 'keeps global translations'
      : `is for ASID ${asid}, and this belongs to ASID ${entry.space}`;
  }
  if (scope === 'asid') return undefined;
  if (entry.first >= end || entry.first + 2 ** entry.order <= first) return 'is for other addresses';
  if (lastLevelOnly && !entry.isPage) return 'is for the last level only, and keeps what leads to tables';
  if (granuleShift !== undefined && !isOfGranule(entry.order, granuleShift)) {
    return `says the granule of ${2 ** (granuleShift - 10)}K, and this is of another`;
  }
  const found = levelOf(entry.order);
  if (level !== undefined && (entry.isPage ? found !== level : found >= level)) {
    return `says by TTL that the page's entry is at level ${level}, and this is at level ${found}`;
  }
  return undefined;
}
