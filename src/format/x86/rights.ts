import { ACCESS_KINDS, ACCESSES, FETCH, rightBit, WRITE } from '../rights.ts';
import { CR0_WP, CR4_PKE, CR4_PKS, CR4_SMAP, CR4_SMEP, type X86Control } from './control.ts';

/** R/W in the low half of an entry. */
export const RW = 2;
/** U/S in the low half of an entry. */
export const US = 4;
/** XD in the high half of an 8-byte entry. */
export const XD = 0x8000_0000 | 0;

/** Why an access is refused; each is one bit. */
export const DENIED_BY = { US: 1, RW: 2, XD: 4, SMEP: 8, SMAP: 16, KEY: 32 } as const;

// What the entries of a walk say together, as `combinedIndex` packs it.
const WRITABLE = 1;
const USER = 2;
const NO_EXECUTE = 4;
const KEY_SHIFT = 3;

/** The control state on which rights depend, as small values that cost nothing to look at. */
export interface RightsControl {
  readonly wp: boolean;
  readonly smep: boolean;
  readonly smap: boolean;
  readonly pke: boolean;
  readonly pks: boolean;
  /** 32 bits. */
  readonly pkru: number;
  /** 32 bits. */
  readonly pkrs: number;
}

/**
 * The part of control state on which rights depend.
 *
 * @param keys - whether the format has protection keys
 */
export function rightsControl(control: X86Control, keys: boolean): RightsControl {
  return {
    wp: (control.cr0 & CR0_WP) !== 0n,
    smep: (control.cr4 & CR4_SMEP) !== 0n,
    smap: (control.cr4 & CR4_SMAP) !== 0n,
    pke: keys && (control.cr4 & CR4_PKE) !== 0n,
    pks: keys && (control.cr4 & CR4_PKS) !== 0n,
    // 32-bit registers.
    pkru: Number(BigInt.asIntN(32, control.pkru)),
    pkrs: Number(BigInt.asIntN(32, control.pkrs)),
  };
}

/**
 * Why an access is refused, as bits of {@link DENIED_BY}; 0 where it is allowed.
 *
 * @param page - what the entries say together, from {@link combinedIndex}
 * @param access - index into {@link ACCESSES}
 * @param excused - whether RFLAGS.AC = 1 excuses a supervisor access from SMAP; it never excuses an implicit one
 * @see Intel SDM vol. 3A, sections "Determination of Access Rights" and "Protection Keys"
 */
export function denials(page: number, access: number, control: RightsControl, excused = false): number {
  const user = access >= ACCESS_KINDS;
  const kind = user ? access - ACCESS_KINDS : access;
  let denied = 0;
  if (user && (page & USER) === 0) denied |= DENIED_BY.US;
  if (kind === FETCH) {
    if ((page & NO_EXECUTE) !== 0) denied |= DENIED_BY.XD;
    if (!user && (page & USER) !== 0 && control.smep) denied |= DENIED_BY.SMEP;
    return denied;
  }
  const obeysWrite = user || control.wp;
  if (kind === WRITE && (page & WRITABLE) === 0 && obeysWrite) denied |= DENIED_BY.RW;
  if (!user && (page & USER) !== 0 && control.smap && !excused) denied |= DENIED_BY.SMAP;
  if ((page & USER) !== 0 ? control.pke : control.pks) {
    const register = (page & USER) !== 0 ? control.pkru : control.pkrs;
    const bits = (register >>> (2 * (page >> KEY_SHIFT))) & 3;
    if ((bits & 1) !== 0 || (bits !== 0 && kind === WRITE && obeysWrite)) denied |= DENIED_BY.KEY;
  }
  return denied;
}

/**
 * All combinations worked out once: a table from what the entries say to effective rights. RFLAGS.AC counts as 0.
 *
 * @returns 128 bytes, indexed by {@link combinedIndex}
 */
export function rightsTable(control: RightsControl): Uint8Array {
  return Uint8Array.from({ length: 128 }, (_, page) =>
    ACCESSES.reduce(
      (rights, access, code) => (denials(page, code, control) === 0 ? rights | rightBit(access) : rights),
      0,
    ),
  );
}

/**
 * What the entries of a walk say together, in seven bits: R/W of all levels, U/S of all levels, XD of any level, and the
 * protection key of the last.
 *
 * @param and - bitwise AND of the low halves' rights bits
 * @param or - bitwise OR of the high halves' execute-disable bits
 * @param high - high half of the leaf, or 0 where the format has no keys
 */
export function combinedIndex(and: number, or: number, high: number): number {
  return ((and >>> 1) & 3) | ((or >>> 31) << 2) | (((high >>> 27) & 15) << KEY_SHIFT);
}
