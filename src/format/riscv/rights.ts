import { ACCESS_KINDS, ACCESSES, FETCH, rightBit, WRITE } from '../rights.ts';
import type { RiscvControl } from './control.ts';

/**
 * Why an access is refused; each is one bit. `R`, `W`, `X`, `U`, `A`, `D`: the bit of that name is 0; `SUM`: S-mode reads or
 * writes a user page with sstatus.SUM = 0; `USER_FETCH`: S-mode never executes a user page.
 */
export const RISCV_DENIED_BY = {
  R: 1,
  W: 2,
  X: 4,
  U: 8,
  A: 16,
  D: 32,
  SUM: 64,
  USER_FETCH: 128,
} as const;

/** What an entry says, in six bits, as {@link pteRights} packs it. */
const R = 1;
const W = 2;
const X = 4;
const U = 8;
const A = 16;
const D = 32;

/** The control state on which rights depend. */
export type RiscvRightsControl = Pick<RiscvControl, 'sum' | 'mxr' | 'adue'>;

/**
 * What the entry of a page says of rights; those above say nothing.
 *
 * @param low - low half of the entry
 * @returns 6 bits: R, W, X, U, A, D
 */
export function pteRights(low: number): number {
  return ((low >>> 1) & 15) | ((low >>> 2) & 48);
}

/**
 * Why an access is refused, as bits of {@link RISCV_DENIED_BY}; 0 where it is allowed.
 *
 * @param page - what the entry says, from {@link pteRights}
 * @param access - index into `ACCESSES`
 * @see RISC-V Privileged ISA, chapter "Supervisor-Level ISA", section "Virtual Address Translation Process"
 */
export function riscvDenials(page: number, access: number, { sum, mxr, adue }: RiscvRightsControl): number {
  const user = access >= ACCESS_KINDS;
  const kind = user ? access - ACCESS_KINDS : access;
  const by = RISCV_DENIED_BY;
  let denied = 0;
  if (user) denied |= (page & U) === 0 ? by.U : 0;
  else if ((page & U) !== 0) denied |= kind === FETCH ? by.USER_FETCH : sum ? 0 : by.SUM;
  if (kind === FETCH) denied |= (page & X) === 0 ? by.X : 0;
  else if (kind === WRITE) denied |= (page & W) === 0 ? by.W : 0;
  else denied |= (page & (mxr ? R | X : R)) === 0 ? by.R : 0;
  // Only what is not refused anyway would be recorded.
  if (denied !== 0 || adue) return denied;
  return ((page & A) === 0 ? by.A : 0) | (kind === WRITE && (page & D) === 0 ? by.D : 0);
}

/**
 * All combinations worked out once: a table from what an entry says to effective rights.
 *
 * @returns 64 bytes, indexed by {@link pteRights}
 */
export function riscvRightsTable(control: RiscvRightsControl): Uint8Array {
  return Uint8Array.from({ length: 64 }, (_, page) =>
    ACCESSES.reduce(
      (rights, access, code) =>
        riscvDenials(page, code, control) === 0 ? rights | rightBit(access) : rights,
      0,
    ),
  );
}
