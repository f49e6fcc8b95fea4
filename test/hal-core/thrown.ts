import { expect } from 'vitest';
import { type ErrorCode, PageTableError } from '../../src/bits/index.ts';

/** The error that a call throws, which must be one of the package's. */
export function thrown(call: () => unknown): PageTableError {
  let found: unknown;
  try {
    call();
  } catch (error) {
    found = error;
  }
  if (!(found instanceof PageTableError))
    throw new Error(`expected a PageTableError, found ${String(found)}`);
  return found;
}

/** Expects a call to throw an error with a code, whose text says something. */
export function refused(call: () => unknown, code: ErrorCode, says: string | RegExp = ''): PageTableError {
  const error = thrown(call);
  expect(error).toMatchObject({
    code,
    message: typeof says === 'string' ? expect.stringContaining(says) : expect.stringMatching(says),
  });
  return error;
}
