import { ACCESS_KINDS, ACCESSES, FETCH, rightBit, WRITE } from '../rights.ts';

/**
 * Why an access is refused; each is one bit. Where it stands: `AP1` (AP[1] = 0), `AP2` (AP[2] = 1), `UXN` and `PXN` in the
 * entry of the page; the same with `_TABLE` in an entry above; `EL0_WRITABLE`: EL1 never executes what EL0 can write;
 * `WXN`, `PAN`, `EPAN`: the control bits of these names.
 */
export const AARCH64_DENIED_BY = {
  AP1: 1,
  AP1_TABLE: 2,
  AP2: 4,
  AP2_TABLE: 8,
  UXN: 16,
  UXN_TABLE: 32,
  PXN: 64,
  PXN_TABLE: 128,
  EL0_WRITABLE: 256,
  WXN: 512,
  PAN: 1024,
  EPAN: 2048,
} as const;

/** What the entries of a walk say together, in eight bits, as {@link combinedDescriptors} packs it. */
const USER = 1;
const READ_ONLY = 2;
const PXN = 4;
const UXN = 8;
const PXN_TABLE = 16;
const UXN_TABLE = 32;
const NO_USER_TABLE = 64;
const NO_WRITE_TABLE = 128;

/** The control state on which rights depend. */
export interface Aarch64RightsControl {
  /** SCTLR_EL1.WXN: what can be written is not executed. */
  readonly wxn: boolean;
  /** SCTLR_EL1.EPAN: PSTATE.PAN counts for pages that EL0 can only execute as well. */
  readonly epan: boolean;
}

/**
 * What the entries of a walk say together.
 *
 * @param and - bits 31:0 of the page's entry, as `andPageRights` leaves them
 * @param or - bits 63:32 that take rights away, as `orRights` and `orPageRights` gather them
 * @returns 8 bits: AP[1], AP[2] (0 where hardware may clear it), PXN, UXN, PXNTable, UXNTable, APTable[0], APTable[1]
 */
export function combinedDescriptors(and: number, or: number): number {
  const user = (and >>> 6) & 1;
  const readOnly = ((and >>> 7) & ~(or >>> 19) & 1) << 1;
  return user | readOnly | (((or >>> 21) & 3) << 2) | (((or >>> 27) & 15) << 4);
}

/**
 * Why an access is refused, as bits of {@link AARCH64_DENIED_BY}; 0 where it is allowed.
 *
 * @param page - what the entries say together, from {@link combinedDescriptors}
 * @param access - index into `ACCESSES`
 * @param pan - whether PSTATE.PAN counts for this access
 * @see Arm ARM (DDI 0487), section "Stage 1 permissions", direct scheme
 */
export function aarch64Denials(
  page: number,
  access: number,
  control: Aarch64RightsControl,
  pan: boolean,
): number {
  const user = access >= ACCESS_KINDS;
  const kind = user ? access - ACCESS_KINDS : access;
  const by = AARCH64_DENIED_BY;
  const noUser = ((page & USER) === 0 ? by.AP1 : 0) | ((page & NO_USER_TABLE) !== 0 ? by.AP1_TABLE : 0);
  const noWrite =
    ((page & READ_ONLY) !== 0 ? by.AP2 : 0) | ((page & NO_WRITE_TABLE) !== 0 ? by.AP2_TABLE : 0);
  const noUserFetch = ((page & UXN) !== 0 ? by.UXN : 0) | ((page & UXN_TABLE) !== 0 ? by.UXN_TABLE : 0);
  const userWrites = noUser === 0 && noWrite === 0;
  if (kind === FETCH) {
    if (user) return noUserFetch | (control.wxn && userWrites ? by.WXN : 0);
    return (
      ((page & PXN) !== 0 ? by.PXN : 0) |
      ((page & PXN_TABLE) !== 0 ? by.PXN_TABLE : 0) |
      (userWrites ? by.EL0_WRITABLE : 0) |
      (control.wxn && noWrite === 0 ? by.WXN : 0)
    );
  }
  let denied = kind === WRITE ? noWrite : 0;
  if (user) return denied | noUser;
  if (pan && noUser === 0) denied |= by.PAN;
  else if (pan && control.epan && noUserFetch === 0) denied |= by.EPAN;
  return denied;
}

/**
 * All combinations worked out once: a table from what the entries say to effective rights.
 *
 * @returns 256 bytes, indexed by {@link combinedDescriptors}
 */
export function aarch64RightsTable(control: Aarch64RightsControl, pan: boolean): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, page) =>
    ACCESSES.reduce(
      (rights, access, code) =>
        aarch64Denials(page, code, control, pan) === 0 ? rights | rightBit(access) : rights,
      0,
    ),
  );
}
