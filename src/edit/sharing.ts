/**
 * Which tables more than one entry leads to, in all the spaces that know of each other.
 */
export class Sharing {
  /** Entries that lead to a table, where there are several. */
  private readonly counts = new Map<number, number>();
  /** Edits committed so far, and tables shared: what was planned before the last one may rest on tables that are gone. */
  version = 0;
  /** Whether an edit is being committed: whoever is asked for frames or for invalidations then must not edit. */
  isBusy = false;

  /** Tables that are shared. */
  get size(): number {
    return this.counts.size;
  }

  /** How many entries lead to a table; 1 unless it is shared. */
  countOf(frame: number): number {
    return this.counts.get(frame) ?? 1;
  }

  /** Adds entries that lead to a table; a negative number takes them away. */
  add(frame: number, entries: number): void {
    const count = this.countOf(frame) + entries;
    if (count > 1) this.counts.set(frame, count);
    else this.counts.delete(frame);
    this.version += 1;
  }
}

/** Changes to a {@link Sharing} that are not made yet. */
export class SharingDraft {
  readonly sharing: Sharing;
  private readonly log: { readonly frame: number; readonly entries: number }[] = [];
  private readonly sums = new Map<number, number>();

  constructor(sharing: Sharing) {
    this.sharing = sharing;
  }

  /** Changes so far. */
  get length(): number {
    return this.log.length;
  }

  countOf(frame: number): number {
    const count = this.sharing.size === 0 ? 1 : this.sharing.countOf(frame);
    return this.log.length === 0 ? count : count + (this.sums.get(frame) ?? 0);
  }

  add(frame: number, entries: number): void {
    this.log.push({ frame, entries });
    this.sums.set(frame, (this.sums.get(frame) ?? 0) + entries);
  }

  /** Forgets the changes since there were `length`. */
  cut(length: number): void {
    for (const { frame, entries } of this.log.splice(length)) {
      this.sums.set(frame, (this.sums.get(frame) ?? 0) - entries);
    }
  }

  /** Makes the changes. */
  apply(): void {
    for (const { frame, entries } of this.log) this.sharing.add(frame, entries);
    this.cut(0);
    this.sharing.version += 1;
  }
}
