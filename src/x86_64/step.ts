import { PageTableError } from '../bits/index.ts';

/** The result of a step, or an error that says from where and how far it went. */
export function stepped<T>(
  result: T | undefined,
  direction: 'forward' | 'backward',
  start: T,
  count: bigint | number,
): T {
  if (result !== undefined) return result;
  throw new PageTableError(
    'OUT_OF_RANGE',
    `${start}, ${count} steps ${direction}, lies outside the address space; expected a place inside`,
    { count },
  );
}

/**
 * A count or a distance as a `bigint`.
 *
 * @throws {@link PageTableError} `OUT_OF_RANGE` for a number that is not whole
 */
export function wholeNumber(count: bigint | number): bigint {
  if (typeof count === 'bigint' || Number.isInteger(count)) return BigInt(count);
  throw new PageTableError('OUT_OF_RANGE', `count ${count}; expected a whole number`, { count });
}
