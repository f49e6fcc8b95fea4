import { PageTableError } from '../bits/index.ts';
import { wrongKind } from '../bits/wrong-kind.ts';

/** A limit that a caller may have given. */
export function limitOf(operation: string, name: string, given: number | undefined, usual: number): number {
  const limit = given ?? usual;
  if (typeof limit === 'number' && limit >= 0) return limit;
  throw wrongKind(`${operation}: ${name}`, given, 'a number from 0');
}

/** The error for more than a limit. */
export function tooMany(operation: string, what: string, limit: number): PageTableError {
  return new PageTableError(
    'LIMIT_EXCEEDED',
    `${operation}: more than ${limit} ${what}; give a higher limit, or a smaller range`,
    { limit },
  );
}
