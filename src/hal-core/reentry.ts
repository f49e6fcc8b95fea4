import { PageTableError } from '../bits/index.ts';

/** What a mapper has its {@link Reentry} by: a symbol, so that no field of a mapper of one's own can take its place. */
export const REENTRY: unique symbol = Symbol('reentry');

/** Refuses calls of a mapper from inside its own calls: from a callback, an allocator, a processor. */
export class Reentry {
  private running: string | undefined;

  /**
   * Refuses if a call is running.
   *
   * @throws {@link PageTableError} `REENTERED`
   */
  refuse(operation: string): void {
    if (this.running === undefined) return;
    throw new PageTableError(
      'REENTERED',
      `${operation}: called from inside ${this.running} of the same mapper; expected the call after that has returned`,
    );
  }

  /** Makes a call during which all others are refused. */
  run<T>(operation: string, call: () => T): T {
    this.refuse(operation);
    this.running = operation;
    try {
      return call();
    } finally {
      this.running = undefined;
    }
  }
}
