/**
 * Effective rights as one small number: what each privilege may do through a mapping. Supervisor is the privilege of
 * the kernel (CPL 0 to 2, EL1, S-mode), user that of applications.
 */
export const USER_READ = 1;
export const USER_WRITE = 2;
export const USER_EXECUTE = 4;
export const SUPERVISOR_READ = 8;
export const SUPERVISOR_WRITE = 16;
export const SUPERVISOR_EXECUTE = 32;

/** What an access does. */
export type AccessKind = 'read' | 'write' | 'fetch';

/** One access as far as rights are concerned. */
export interface Access {
  readonly kind: AccessKind;
  readonly user: boolean;
}

/** The six accesses that {@link rightBit} numbers, supervisor first. */
export const ACCESSES: readonly Access[] = [
  { kind: 'read', user: false },
  { kind: 'write', user: false },
  { kind: 'fetch', user: false },
  { kind: 'read', user: true },
  { kind: 'write', user: true },
  { kind: 'fetch', user: true },
];

/** The bit of effective rights that allows an access. */
export function rightBit(access: Access): number {
  const user = access.kind === 'read' ? USER_READ : access.kind === 'write' ? USER_WRITE : USER_EXECUTE;
  return access.user ? user : user << 3;
}

/** `rwx` of one privilege, with `-` for what is missing. */
export function rightsText(rights: number, user: boolean): string {
  const bits = user ? rights : rights >> 3;
  return `${bits & 1 ? 'r' : '-'}${bits & 2 ? 'w' : '-'}${bits & 4 ? 'x' : '-'}`;
}
