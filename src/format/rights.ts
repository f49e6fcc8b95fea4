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

// Accesses as small numbers: the kind, and ACCESS_KINDS more for user accesses. They index ACCESSES.
/** A supervisor read. */
export const READ = 0;
/** A supervisor write. */
export const WRITE = 1;
/** A supervisor fetch. */
export const FETCH = 2;
/** Added to a kind, it makes the access a user access. */
export const ACCESS_KINDS = 3;

/** What an access does. */
export type AccessKind = 'read' | 'write' | 'fetch';

/** One access as far as rights are concerned. */
export interface Access {
  readonly kind: AccessKind;
  readonly user: boolean;
  /** x86: whether RFLAGS.AC is 1, which excuses a supervisor access to user pages from SMAP. Not given, it is 0. */
  readonly ac?: boolean;
}

/** The six accesses, by number: supervisor first. */
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

/** The number of an access: its index in {@link ACCESSES}. */
export function accessNumber({ kind, user }: Access): number {
  const number = kind === 'read' ? READ : kind === 'write' ? WRITE : FETCH;
  return user ? number + ACCESS_KINDS : number;
}
