import { hex, PageTableError } from '../bits/index.ts';

/**
 * Refuses what no 64-bit register holds.
 *
 * @param operation - what was called, for messages
 * @throws {@link PageTableError} `BAD_ARGUMENT` for what is no bigint; `OUT_OF_RANGE` if it is no unsigned 64-bit value
 */
export function checkRegister(operation: string, value: bigint): void {
  if (typeof value !== 'bigint') {
    throw new PageTableError('BAD_ARGUMENT', `${operation}: ${String(value)}; expected a bigint`);
  }
  if (BigInt.asUintN(64, value) !== value) {
    throw new PageTableError(
      'OUT_OF_RANGE',
      `${operation}: ${hex(value)}; expected an unsigned 64-bit value`,
      { value },
    );
  }
}
