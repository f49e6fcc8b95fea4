/**
 * Memory in which page tables lie: entries by page and index. `PhysicalMemory` is one, a processor that translates the
 * addresses first is another.
 */
export interface TableMemory {
  /**
   * Reads an entry.
   *
   * @param page - the table's address in this memory divided by 4096
   * @param index - of the entry, in `[0, 512)`
   * @returns bits 31:0, signed; bits 63:32, signed, are then in {@link high}
   */
  readEntry(page: number, index: number): number;
  /** Bits 63:32 of the entry that was last read. */
  readonly high: number;
  /** Writes an entry, as {@link readEntry} reads it. */
  writeEntry(page: number, index: number, low: number, high: number): void;
  /** Fills a table with zeros; without it, entries are written one by one. */
  clearFrame?(page: number): void;
  /** Whether a table holds nothing but zeros; without it, entries are read one by one. */
  isClear?(page: number): boolean;
}
