import { PageTableError } from '../bits/index.ts';
import type { EditResult } from './result.ts';

/**
 * An edit was made, and processors could not be asked to forget what was there: the edit stays.
 */
export class UnfinishedEdit extends PageTableError {
  /** What was done; its invalidations are due, and `release` after them. */
  readonly result: EditResult;

  /** @param cause - what the function that invalidates threw */
  constructor(operation: string, result: EditResult, cause: unknown) {
    super(
      'UPDATE_FAILED',
      `${operation}: all is written, and the function that invalidates failed; expected it to return (result has what is still to be done)`,
      {},
      { cause },
    );
    this.result = result;
  }
}
