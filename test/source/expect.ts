import { expect } from 'vitest';
import { type ErrorCode, PageTableError } from '../../src/bits/index.ts';
import type { FrameRange, Machine } from '../../src/machine/index.ts';
import { type ByteSource, memoryBytes } from '../../src/source/index.ts';

/** Awaits a rejection and returns it as the typed error it must be. */
export async function failure(promise: Promise<unknown>): Promise<PageTableError> {
  const error: unknown = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof PageTableError)) throw new Error(`expected a PageTableError, found ${error}`);
  return error;
}

/** Expects a rejection with a code and a message that says all of `said`. */
export async function expectFailure(
  promise: Promise<unknown>,
  code: ErrorCode,
  ...said: string[]
): Promise<void> {
  const error = await failure(promise);
  expect(error.code, error.message).toBe(code);
  for (const text of said) expect(error.message).toContain(text);
}

/** Every frame number in a list of ranges. */
export function framesOf(ranges: readonly FrameRange[]): number[] {
  return ranges.flatMap(({ first, end }) => Array.from({ length: end - first }, (_, i) => first + i));
}

/** Reads one frame; `undefined` if the machine does not have it. */
export async function frame(machine: Machine, number: number): Promise<Uint8Array | undefined> {
  const target = new Uint8Array(4096);
  const [present] = await machine.readFrames([number], target);
  return present === 1 ? target : undefined;
}

/** A source over an array that lists the reads made from it. */
export function countingBytes(
  data: Uint8Array,
): ByteSource & { readonly reads: [offset: number, length: number][] } {
  const inner = memoryBytes(data);
  const reads: [number, number][] = [];
  return {
    size: inner.size,
    reads,
    read(offset, length) {
      reads.push([offset, length]);
      return inner.read(offset, length);
    },
    close: () => inner.close(),
  };
}

/** Compares bytes; a matcher that looks at each one takes seconds for a megabyte. */
export function expectBytes(actual: Uint8Array | undefined, expected: Uint8Array): void {
  if (actual === undefined || Buffer.compare(actual, expected) !== 0) expect(actual).toEqual(expected);
}
