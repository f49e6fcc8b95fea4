/** Runs before each test file: arrays of bytes and words are compared as memory is, not element by element. */
import { expect } from 'vitest';

const DONE = Symbol.for('tablewalk: arrays of numbers are compared as memory');
const worker = globalThis as { [DONE]?: true };

/** Says `true` of arrays of one class with the same bytes, and nothing of anything else. */
function sameMemory(a: unknown, b: unknown): true | undefined {
  if (!ArrayBuffer.isView(a) || !ArrayBuffer.isView(b) || a.constructor !== b.constructor) return undefined;
  const [bytes, others] = [a, b].map((view) => Buffer.from(view.buffer, view.byteOffset, view.byteLength));
  return bytes.equals(others) ? true : undefined;
}

// A worker runs many files.
if (!worker[DONE]) {
  worker[DONE] = true;
  expect.addEqualityTesters([sameMemory]);
}
