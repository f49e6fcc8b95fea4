import { type ErrorDetail, PageTableError } from '../bits/index.ts';

/** What a callback throws to fail, the original's `Err(())`; so does a descriptor that refuses a change. */
export class UpdateError extends PageTableError {
  override readonly name: string = 'UpdateError';

  /** @param message - why */
  constructor(message = 'the callback failed', detail: ErrorDetail = {}) {
    super('UPDATE_FAILED', message, detail);
  }
}
