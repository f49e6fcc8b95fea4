import { PageTableError } from '../bits/index.ts';
import type { Entry } from './entry.ts';

/** Entries that one call has changed, so that it can put them back. */
export class Edit {
  private readonly steps: (() => void)[] = [];

  /**
   * Changes an entry.
   *
   * @param flush - is called after the entry was put back
   */
  store(entry: Entry, bits: bigint, flush: () => void): void {
    const before = entry.bits();
    entry.store(bits);
    this.steps.push(() => {
      entry.store(before);
      flush();
    });
  }

  /**
   * Makes changes; if that fails on the way, puts back what was changed, last first.
   *
   * @param undone - is given the error once all is as it was, and returns the one that is to be thrown
   */
  static run<T>(changes: (edit: Edit) => T, undone: (error: unknown) => unknown = (error) => error): T {
    const edit = new Edit();
    try {
      return changes(edit);
    } catch (error) {
      const failures = edit.undo();
      throw failures.length === 0 ? undone(error) : stuck(error, failures);
    }
  }

  /** Puts back all that can be put back, and returns what was thrown meanwhile. */
  private undo(): unknown[] {
    const failures: unknown[] = [];
    for (const step of this.steps.reverse()) {
      try {
        step();
      } catch (failure) {
        failures.push(failure);
      }
    }
    return failures;
  }
}

/** The error of a call whose changes could not all be undone: it says so if it is one of ours. */
function stuck(error: unknown, failures: readonly unknown[]): unknown {
  if (!(error instanceof PageTableError)) return error;
  return new PageTableError(
    error.code,
    `${error.message}; ${failures.length} entries could not be put back, or not be flushed: ${failures[0]}`,
    { ...error.detail, stuck: failures.length },
    { cause: error },
  );
}
