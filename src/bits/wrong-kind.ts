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

/** Characters of a text that a message has at most. */
const LONGEST = 200;

/** What a value is, in few words, whatever it is. */
function textOf(value: unknown): string {
  if (typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean') {
    return `the ${typeof value} ${value}`;
  }
  try {
    if (Array.isArray(value)) return `an array of ${value.length} elements`;
    if (ArrayBuffer.isView(value)) return `${value.constructor.name} of ${value.byteLength} bytes`;
    const text = String(value);
    if (text === '[object Object]') return `an object of class ${(value as object).constructor.name}`;
    return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
  } catch {
    // No text of its own: no prototype, or a method that throws.
    return `an ${typeof value}`;
  }
}
