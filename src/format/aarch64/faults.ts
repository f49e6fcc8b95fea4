import { andPageRights, type CompiledFormat, orPageRights, orRights } from '../compile.ts';
import type { EntryBits } from '../paging.ts';
import { ACCESS_KINDS, ACCESSES, FETCH, WRITE } from '../rights.ts';
import { AARCH64_DENIED_BY, aarch64Denials, combinedDescriptors } from './rights.ts';

/** Kinds of faults of a walk, as bits 5:2 of a fault status code; bits 1:0 are the level. */
export const FAULT_STATUS = {
  addressSize: 0,
  translation: 4,
  accessFlag: 8,
  permission: 12,
} as const;
/** The status code of an alignment fault, which has no level. */
export const STATUS_ALIGNMENT = 0x21;

const NAMES = ['address size', 'translation', 'access flag', 'permission'] as const;
const WNR = 0x40;
const IL = 0x200_0000;
const EC_SHIFT = 26;
const EC_INSTRUCTION_ABORT = 0x20;
const EC_DATA_ABORT = 0x24;

/** A fault status code in words: `translation fault, level 2`. */
export function statusText(status: number): string {
  if (status === STATUS_ALIGNMENT) return 'alignment fault';
  return `${NAMES[(status >> 2) & 3]} fault, level ${status & 3}`;
}

/**
 * ESR_EL1 of an abort taken to EL1.
 *
 * @param access - index into `ACCESSES`
 * @param status - fault status code: DFSC or IFSC
 * @returns bits 31:0, unsigned; the others are 0
 * @see Arm ARM (DDI 0487), "ESR_EL1, Exception Syndrome Register (EL1)"
 */
export function abortSyndrome(access: number, status: number): number {
  const user = access >= ACCESS_KINDS;
  const kind = user ? access - ACCESS_KINDS : access;
  const exception = (kind === FETCH ? EC_INSTRUCTION_ABORT : EC_DATA_ABORT) + (user ? 0 : 1);
  return exception * 2 ** EC_SHIFT + (IL | (kind === WRITE ? WNR : 0) | status);
}

/** What a syndrome says, by name and meaning: `DFSC 0x07 translation fault, level 3`, `WnR write`. */
export function syndromeBits(syndrome: number): string[] {
  const status = syndrome & 0x3f;
  const isFetch = syndrome / 2 ** EC_SHIFT < EC_DATA_ABORT;
  const code = `${isFetch ? 'IFSC' : 'DFSC'} 0x${status.toString(16).padStart(2, '0')} ${statusText(status)}`;
  return !isFetch && (syndrome & WNR) !== 0 ? [code, 'WnR write'] : [code];
}

/** The bits of entries that refuse an access, by what refuses; those of tables stand in an entry above. */
const BITS = [
  ['AP1', 'AP[1] = 0'],
  ['AP1_TABLE', 'APTable[0] = 1'],
  ['AP2', 'AP[2] = 1'],
  ['AP2_TABLE', 'APTable[1] = 1'],
  ['UXN', 'UXN = 1'],
  ['UXN_TABLE', 'UXNTable = 1'],
  ['PXN', 'PXN = 1'],
  ['PXN_TABLE', 'PXNTable = 1'],
] as const;

/** The low half of no page at all, which takes no rights: AP[1] = 1, AP[2] = 0. */
const NO_PAGE = 0x40;

/**
 * Why an access is refused, in words.
 *
 * @param denied - bits of {@link AARCH64_DENIED_BY}
 * @param format - what the entries mean
 * @param entries - those of the walk, of which the last maps the page
 * @param elsewhere - where a bit stands that none of the entries has: a text that follows the bit and its value
 */
export function aarch64DenialTexts(
  denied: number,
  { fact, facts }: CompiledFormat,
  entries: readonly EntryBits[],
  elsewhere = '',
): string[] {
  const by = AARCH64_DENIED_BY;
  const last = entries[entries.length - 1];
  /** The bits of one entry, packed as those of all are. */
  const ownBits = (entry: EntryBits) =>
    entry === last
      ? combinedDescriptors(
          andPageRights(facts, entry.depth, -1, entry.low),
          orPageRights(facts, entry.depth, 0, entry.high),
        )
      : combinedDescriptors(NO_PAGE, orRights(facts, entry.depth, 0, entry.high));
  const where = (bit: number) => {
    const names = entries
      .filter((entry) => denies(bit, ownBits(entry)))
      .map(({ depth }) => fact.levels[depth].entry);
    return names.length === 0 ? elsewhere : ` in ${names.join(', ')}`;
  };
  return [
    ...BITS.flatMap(([name, text]) => (denied & by[name] ? [`${text}${where(by[name])}`] : [])),
    ...(denied & by.EL0_WRITABLE ? ['EL0 can write to the page, so EL1 does not execute it'] : []),
    ...(denied & by.WXN ? ['SCTLR_EL1.WXN = 1 and the page can be written to'] : []),
    ...(denied & by.PAN ? ['PSTATE.PAN = 1 and the page is accessible to EL0'] : []),
    ...(denied & by.EPAN ? ['PSTATE.PAN = 1, SCTLR_EL1.EPAN = 1, and EL0 can execute the page'] : []),
  ];
}

/** What makes a descriptor invalid. */
export function invalidText(low: number): string {
  return (low & 1) === 0 ? 'bit 0 = 0' : 'reserved type (bits 1:0 = 01)';
}

/** Whether the bits of one entry alone refuse something by a bit of {@link AARCH64_DENIED_BY}. */
function denies(bit: number, page: number): boolean {
  const control = { wxn: false, epan: false };
  return ACCESSES.some((_, access) => (aarch64Denials(page, access, control, false) & bit) !== 0);
}
