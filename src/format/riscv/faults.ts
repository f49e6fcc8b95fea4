import type { AccessKind } from '../rights.ts';
import { RISCV_DENIED_BY } from './rights.ts';

/** The exceptions that an access can cause, by its kind: what scause holds, and the manual's name. */
const CAUSES = {
  fetch: { page: 12, access: 1 },
  read: { page: 13, access: 5 },
  write: { page: 15, access: 7 },
} as const;

/** Names of the exceptions that accesses cause, by the value of scause. */
export const RISCV_EXCEPTIONS = {
  1: 'instruction access fault',
  5: 'load access fault',
  7: 'store/AMO access fault',
  12: 'instruction page fault',
  13: 'load page fault',
  15: 'store/AMO page fault',
} as const;

/** A value of scause that an access can cause. */
export type RiscvCause = keyof typeof RISCV_EXCEPTIONS;

/**
 * The cause of a fault.
 *
 * @param by - `page`: the tables refuse the access; `access`: an entry or the page lies where the machine has no memory
 * @see RISC-V Privileged ISA, chapter "Machine-Level ISA", table of mcause values
 */
export function riscvCause(kind: AccessKind, by: 'page' | 'access'): RiscvCause {
  return CAUSES[kind][by];
}

/** The control bits that would have allowed what a bit refuses, or what the rule is. */
const TEXTS = [
  ['U', 'U = 0'],
  ['R', 'R = 0'],
  ['W', 'W = 0'],
  ['X', 'X = 0'],
] as const;

/**
 * Why an access is refused, in words.
 *
 * @param denied - bits of {@link RISCV_DENIED_BY}
 * @param where - where the entry stands: ` in level-0 PTE`
 */
export function riscvDenialTexts(denied: number, where: string): string[] {
  const by = RISCV_DENIED_BY;
  return [
    ...TEXTS.flatMap(([name, text]) => (denied & by[name] ? [`${text}${where}`] : [])),
    ...(denied & by.SUM ? ['sstatus.SUM = 0 and the page is a user page'] : []),
    ...(denied & by.USER_FETCH ? ['the page is a user page, which S-mode never executes'] : []),
    ...(denied & by.A ? [`A = 0${where}, and menvcfg.ADUE = 0`] : []),
    ...(denied & by.D ? [`D = 0${where}, and menvcfg.ADUE = 0`] : []),
  ];
}
