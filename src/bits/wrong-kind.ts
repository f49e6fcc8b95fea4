import { PageTableError } from './errors.ts';

/**
 * The error for a value of another kind than an operation takes: the compiler keeps kinds apart, JavaScript does not.
 *
 * @param operation - what was called
 * @param value - what it was given
 * @param expected - what it takes, in words
 */
export function wrongKind(operation: string, value: unknown, expected: string): PageTableError {
  const plain = typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean';
  const found = plain ? `the ${typeof value} ${value}` : String(value);
  return new PageTableError('BAD_ARGUMENT', `${operation}: ${found}; expected ${expected}`);
}
