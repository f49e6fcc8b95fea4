import { ACCESSES, type Access, rightBit } from '../rights.ts';
import { CR0_WP, CR4_PKE, CR4_PKS, CR4_SMAP, CR4_SMEP, type X86Control } from './control.ts';

/** R/W in the low half of an entry. */
export const RW = 2;
/** U/S in the low half of an entry. */
export const US = 4;
/** XD in the high half of an 8-byte entry. */
export const XD = 0x8000_0000 | 0;

/** Why an access is refused; each is one bit. */
export const DENIED_BY = { US: 1, RW: 2, XD: 4, SMEP: 8, SMAP: 16, KEY: 32 } as const;

/** What the entries of a walk say together. */
export interface Combined {
  /** U/S = 1 at every level. */
  readonly user: boolean;
  /** R/W = 1 at every level. */
  readonly writable: boolean;
  /** XD = 1 at any level. */
  readonly noExecute: boolean;
  /** Protection key of the leaf, in `[0, 16)`. */
  readonly key: number;
}

/**
 * Why an access is refused, as bits of {@link DENIED_BY}; 0 where it is allowed. RFLAGS.AC counts as 0.
 *
 * @see Intel SDM vol. 3A, sections "Determination of Access Rights" and "Protection Keys"
 */
export function denials(page: Combined, access: Access, control: X86Control, keys: boolean): number {
  const data = access.kind !== 'fetch';
  let denied = 0;
  if (access.user && !page.user) denied |= DENIED_BY.US;
  if (access.kind === 'fetch' && page.noExecute) denied |= DENIED_BY.XD;
  const obeysWrite = access.user || (control.cr0 & CR0_WP) !== 0n;
  if (access.kind === 'write' && !page.writable && obeysWrite) denied |= DENIED_BY.RW;
  if (!access.user && page.user) {
    if (!data && (control.cr4 & CR4_SMEP) !== 0n) denied |= DENIED_BY.SMEP;
    if (data && (control.cr4 & CR4_SMAP) !== 0n) denied |= DENIED_BY.SMAP;
  }
  if (keys && data) {
    const on = (control.cr4 & (page.user ? CR4_PKE : CR4_PKS)) !== 0n;
    // Two bits of a 32-bit register.
    const bits = Number(((page.user ? control.pkru : control.pkrs) >> BigInt(2 * page.key)) & 3n);
    if (on && ((bits & 1) !== 0 || ((bits & 2) !== 0 && access.kind === 'write' && obeysWrite))) {
      denied |= DENIED_BY.KEY;
    }
  }
  return denied;
}

/**
 * All combinations worked out once: a table from what the entries say to effective rights.
 *
 * @returns 128 bytes, indexed by {@link combinedIndex}
 */
export function rightsTable(control: X86Control, keys: boolean): Uint8Array {
  return Uint8Array.from({ length: 128 }, (_, index) => {
    const page = {
      writable: (index & 1) !== 0,
      user: (index & 2) !== 0,
      noExecute: (index & 4) !== 0,
      key: index >> 3,
    };
    return ACCESSES.reduce(
      (rights, access) => (denials(page, access, control, keys) === 0 ? rights | rightBit(access) : rights),
      0,
    );
  });
}

/** The index of {@link rightsTable} for combined rights bits and the leaf's high half. */
export function combinedIndex(and: number, or: number, high: number): number {
  return ((and >>> 1) & 3) | ((or >>> 31) << 2) | (((high >>> 27) & 15) << 3);
}
