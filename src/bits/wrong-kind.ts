import { PageTableError } from './errors.ts';

/**
 * The error for a value of another kind than an operation takes: the compiler keeps kinds apart, JavaScript does not.
 *
 * @param operation - what was called
 * @param value - what it was given
 * @param expected - what it takes, in words
 */
export function wrongKind(operation: string, value: unknown, expected: string): PageTableError {
  return new PageTableError('BAD_ARGUMENT', `${operation}: ${textOf(value)}; expected ${expected}`);
}

/** What a value is, in few words, whatever it is. */
function textOf(value: unknown): string {
  const kind = typeof value;
  if (kind === 'number' || kind === 'bigint' || kind === 'boolean') return `the ${kind} ${value}`;
  try {
    const text = String(value);
    if (text.length < 200) return text;
  } catch {
    // It has no text: no prototype, or a method that throws.
  }
  return Object.prototype.toString.call(value);
}
