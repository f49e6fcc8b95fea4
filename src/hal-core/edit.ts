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

  /** Makes changes; if that fails on the way, puts back what was changed, last first. */
  static run<T>(changes: (edit: Edit) => T): T {
    const edit = new Edit();
    try {
      return changes(edit);
    } catch (error) {
      for (const undo of edit.steps.reverse()) undo();
      throw error;
    }
  }
}
