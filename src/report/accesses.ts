import type { Access, AccessResult, Paging } from '../format/index.ts';
import type { ExplainedAccess } from '../inspect/index.ts';

/** One access by name: `user write`, `EL1 fetch`. */
export function accessName({ user, kind }: Access, paging: Paging): string {
  return `${paging.format.fact.privileges[user ? 0 : 1]} ${kind}`;
}

/** The exception of a refused access, with what its code says: `page fault (#PF), error code 0x07 (…)`. */
export function faultText({
  exception,
  errorCode,
  errorBits,
}: Extract<AccessResult, { kind: 'fault' }>): string {
  const code = `0x${errorCode.toString(16).padStart(2, '0')}`;
  if (exception === '#GP') return 'general-protection fault (#GP)';
  if (exception.endsWith('Abort')) return `${exception}, ESR ${code} (${errorBits.join(', ')})`;
  if (exception !== '#PF') return `${exception}, cause ${errorCode}`;
  const bits = errorCode & 1 ? errorBits : ['P=0 not present', ...errorBits];
  return `page fault (#PF), error code ${code} (${bits.join(', ')})`;
}

/** What an access gets: `allowed`, `not known`, or its fault and why. */
export function accessText(result: AccessResult): string {
  switch (result.kind) {
    case 'allowed':
      return 'allowed';
    case 'unknown':
      return 'not known';
    case 'fault':
      return `${faultText(result)}: ${result.because.join('; ')}`;
  }
}

/** What refused accesses get: a name and a text each. */
export function refusedRows(
  accesses: readonly ExplainedAccess[],
  paging: Paging,
): (readonly [name: string, text: string])[] {
  return accesses
    .filter(({ result }) => result.kind === 'fault')
    .map(({ access, result }) => [accessName(access, paging), accessText(result)] as const);
}
