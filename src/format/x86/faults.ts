import { ACCESS_KINDS, FETCH, WRITE } from '../rights.ts';
import { CR4_PAE, CR4_SMEP, EFER_NXE, type X86Control } from './control.ts';
import { DENIED_BY } from './rights.ts';

/** What of a page fault's error code says the cause: P = 0 in an entry. */
export const CAUSE_NOT_PRESENT = 0;
/** A reserved bit: P and RSVD. */
export const CAUSE_RESERVED = 9;
/** A right that is missing: P. */
const CAUSE_DENIED = 1;
/** A protection key: P and PK. */
const CAUSE_KEY = 0x21;

/** Bits of a page fault's error code, from bit 0: the manual's names, and what a set bit says. */
const ERROR_BITS = [
  'P present',
  'W/R write',
  'U/S user',
  'RSVD reserved bit',
  'I/D fetch',
  'PK protection key',
] as const;

/** The cause of a page fault by which an access is refused, from the bits of {@link DENIED_BY}. */
export function causeOf(denied: number): number {
  return (denied & DENIED_BY.KEY) !== 0 ? CAUSE_KEY : CAUSE_DENIED;
}

/** Whether page faults tell fetches from reads. */
export function tellsFetches(control: X86Control): boolean {
  const noExecute = (control.cr4 & CR4_PAE) !== 0n && (control.efer & EFER_NXE) !== 0n;
  return noExecute || (control.cr4 & CR4_SMEP) !== 0n;
}

/**
 * A page fault's error code.
 *
 * @param access - index into `ACCESSES`
 * @param cause - P, RSVD and PK as the cause sets them
 * @param fetches - see {@link tellsFetches}
 * @see Intel SDM vol. 3A, figure "Page-Fault Error Code"
 */
export function pageFaultCode(access: number, cause: number, fetches: boolean): number {
  const user = access >= ACCESS_KINDS;
  const kind = user ? access - ACCESS_KINDS : access;
  return cause | (kind === WRITE ? 2 : 0) | (user ? 4 : 0) | (kind === FETCH && fetches ? 16 : 0);
}

/** The bits that are set in a page fault's error code, by name and meaning. */
export function pageFaultBits(errorCode: number): string[] {
  return ERROR_BITS.filter((_, bit) => (errorCode >> bit) & 1);
}

/**
 * Why an access is refused, in words.
 *
 * @param denied - bits of {@link DENIED_BY}
 * @param page - what the entries say together, as `combinedIndex` packs it
 * @param where - in which entries a bit is as the fault needs it: a text that follows the bit and its value
 */
export function denialTexts(
  denied: number,
  page: number,
  where: (bit: 'U/S' | 'R/W' | 'XD') => string,
): string[] {
  const register = (page & 2) !== 0 ? 'PKRU' : 'PKRS';
  return [
    ...(denied & DENIED_BY.US ? [`U/S = 0${where('U/S')}`] : []),
    ...(denied & DENIED_BY.RW ? [`R/W = 0${where('R/W')}`] : []),
    ...(denied & DENIED_BY.XD ? [`XD = 1${where('XD')}`] : []),
    ...(denied & DENIED_BY.SMEP ? ['CR4.SMEP = 1 and the page is a user page'] : []),
    ...(denied & DENIED_BY.SMAP
      ? ['CR4.SMAP = 1 and the page is a user page (allowed while RFLAGS.AC = 1)']
      : []),
    ...(denied & DENIED_BY.KEY ? [`${register} denies protection key ${page >> 3}`] : []),
  ];
}
