import type { EntryEncoder } from '../format/index.ts';

/** A table that an edit reads or writes. */
export class EditedTable {
  /** Depth of the table; counts from the root, 0. */
  readonly depth: number;
  /** First page that it maps; where there are two halves with a hole between them, counted without the hole. */
  readonly page: number;
  /** The table whose entry leads to it; `undefined` for the root. */
  readonly parent: EditedTable | undefined;
  /** Index of that entry. */
  readonly index: number;
  /** Its frame; -1 for a table that is still to be made. */
  frame: number;
  /** For a table that is to be made: its number among these; otherwise -1. */
  readonly slot: number;
  /** For a copy of a table that others use, too: its frame; otherwise -1. */
  readonly copyOf: number;
  /** Its entries, as the edit finds them: from `at` on. */
  words: Uint32Array;
  at: number;
  /** What the entries that lead here say of rights: see `andRights` and `orRights`. */
  and = -1;
  or = 0;
  /** Whether a change of it has been written: of a table that is made. */
  isBegun = false;
  // Most often, one entry alone is followed: it needs no map.
  private firstIndex = -1;
  private first: EditedTable | undefined;
  private others: Map<number, EditedTable> | undefined;

  constructor(
    depth: number,
    page: number,
    place: { readonly frame: number; readonly slot: number; readonly copyOf: number },
    content: { readonly words: Uint32Array; readonly at: number },
    parent?: EditedTable,
    index = 0,
  ) {
    this.depth = depth;
    this.page = page;
    this.frame = place.frame;
    this.slot = place.slot;
    this.copyOf = place.copyOf;
    this.words = content.words;
    this.at = content.at;
    this.parent = parent;
    this.index = index;
  }

  /** Whether it is made by the edit, so that nobody sees what is written to it. */
  get isNew(): boolean {
    return this.slot >= 0;
  }

  /** Whether a table is known that an entry leads to. */
  get hasChildren(): boolean {
    return this.first !== undefined || (this.others !== undefined && this.others.size > 0);
  }

  /** The table that an entry leads to, where the edit knows it. */
  child(index: number): EditedTable | undefined {
    return index === this.firstIndex ? this.first : this.others?.get(index);
  }

  /** Notes the table that an entry leads to; `undefined` forgets it. */
  setChild(index: number, child: EditedTable | undefined): void {
    if (this.firstIndex < 0) this.firstIndex = index;
    if (index === this.firstIndex) this.first = child;
    else if (child === undefined) this.others?.delete(index);
    else {
      this.others ??= new Map();
      this.others.set(index, child);
    }
  }
}

/** {@link Change.kind}: entries that map pages one behind the other. */
export const FILL = 0;
/** {@link Change.kind}: entries of contiguous groups that all hold the group's address. */
export const FILL_GROUPS = 1;
/** {@link Change.kind}: zeros. */
export const CLEAR = 2;
/** {@link Change.kind}: bits cleared, then bits set. */
export const MASK = 3;
/** {@link Change.kind}: an entry that leads to a table that is made by the edit. */
export const POINT = 4;
/** {@link Change.kind}: all entries of another table. */
export const COPY = 5;

/**
 * Neighbouring entries of a table that are written in one way. A plan is a list of these, however many entries it writes.
 */
export class Change {
  readonly kind: number;
  readonly table: EditedTable;
  readonly index: number;
  count: number;
  /** `FILL`: first frame. `FILL_GROUPS`: first frame of the first group. */
  readonly frame: number;
  /** Bits that are set; of `FILL`: everything but the address. */
  readonly low: number;
  readonly high: number;
  /** `MASK`: bits that are cleared. */
  readonly clearLow: number;
  readonly clearHigh: number;
  /** `POINT`: the table. */
  readonly child: EditedTable | undefined;
  /** Whether the entries must be absent for a time on a machine that uses them. */
  breaks: boolean;

  constructor(
    kind: number,
    table: EditedTable,
    index: number,
    count: number,
    more: {
      readonly frame?: number;
      readonly low?: number;
      readonly high?: number;
      readonly clearLow?: number;
      readonly clearHigh?: number;
      readonly child?: EditedTable;
      readonly breaks?: boolean;
    } = {},
  ) {
    this.kind = kind;
    this.table = table;
    this.index = index;
    this.count = count;
    this.frame = more.frame ?? 0;
    this.low = more.low ?? 0;
    this.high = more.high ?? 0;
    this.clearLow = more.clearLow ?? 0;
    this.clearHigh = more.clearHigh ?? 0;
    this.child = more.child;
    this.breaks = more.breaks ?? false;
  }

  /**
   * Writes the entries, to the table itself or to a copy of it.
   *
   * @param at - word at which the table begins
   * @param source - the words that are copied, and where they begin: of `COPY`
   */
  apply(
    words: Uint32Array,
    at: number,
    encoder: EntryEncoder,
    source?: { words: Uint32Array; at: number },
  ): void {
    const { entryShift } = encoder.format;
    const start = at + (this.index << entryShift);
    const end = start + (this.count << entryShift);
    switch (this.kind) {
      case FILL:
        if (entryShift === 1 && encoder.levels[this.table.depth].pieceShift === 0)
          this.fill(words, start, end, encoder);
        else this.fillEach(words, start, encoder);
        return;
      case FILL_GROUPS:
        this.fillEach(words, start, encoder);
        return;
      case CLEAR:
        words.fill(0, start, end);
        return;
      case MASK:
        this.mask(words, start, end, entryShift);
        return;
      case POINT:
        // A table that is still to be made has no frame yet.
        encoder.pointer(Math.max(0, this.child?.frame ?? 0), this.low, this.high);
        words[start] = encoder.low;
        if (entryShift === 1) words[start + 1] = encoder.high;
        return;
      case COPY:
        if (source !== undefined) words.set(source.words.subarray(source.at, source.at + end - start), start);
    }
  }

  /** Entries of 8 bytes, each with an address that is a step higher. */
  private fill(words: Uint32Array, start: number, end: number, encoder: EntryEncoder): void {
    const { order } = encoder.levels[this.table.depth];
    encoder.page(this.table.depth, this.frame, this.low, this.high);
    let low = encoder.low | 0;
    let high = encoder.high | 0;
    // A step from 2^32 on adds to the high half only.
    const shift = order + encoder.addressShift;
    const step = shift < 32 ? 1 << shift : 0;
    const highStep = shift < 32 ? 0 : (2 ** (shift - 32)) | 0;
    for (let at = start; at < end; ) {
      // The inner loops store and add, and nothing else: they end where the low half is full.
      const room = step === 0 ? 1 : Math.ceil((2 ** 32 - (low >>> 0)) / (step >>> 0));
      const stop = Math.min(end, at + room * 2);
      // Four entries a turn take three quarters of the time.
      for (const last = stop - 8; at <= last; at += 8) {
        words[at] = low;
        words[at + 1] = high;
        words[at + 2] = (low + step) | 0;
        words[at + 3] = high;
        words[at + 4] = (low + 2 * step) | 0;
        words[at + 5] = high;
        words[at + 6] = (low + 3 * step) | 0;
        words[at + 7] = high;
        low = (low + 4 * step) | 0;
      }
      for (; at < stop; at += 2) {
        words[at] = low;
        words[at + 1] = high;
        low = (low + step) | 0;
      }
      high = (high + (step === 0 ? highStep : 1)) | 0;
    }
  }

  private fillEach(words: Uint32Array, start: number, encoder: EntryEncoder): void {
    const { depth } = this.table;
    const { span, group, groupHigh, groupCode } = encoder.levels[depth];
    const { entryShift } = encoder.format;
    const inGroup = this.kind === FILL_GROUPS;
    for (let i = 0; i < this.count; i += 1) {
      const coded = inGroup && groupCode !== 0;
      const frame = this.frame + (coded ? i - (i % group) : i) * span;
      encoder.page(depth, coded ? frame + groupCode : frame, this.low, this.high | (inGroup ? groupHigh : 0));
      const at = start + (i << entryShift);
      words[at] = encoder.low;
      if (entryShift === 1) words[at + 1] = encoder.high;
    }
  }

  private mask(words: Uint32Array, start: number, end: number, entryShift: number): void {
    const { low, high, clearLow, clearHigh } = this;
    if (entryShift === 0) {
      for (let at = start; at < end; at += 1) words[at] = (words[at] & ~clearLow) | low;
      return;
    }
    for (let at = start; at < end; at += 2) {
      words[at] = (words[at] & ~clearLow) | low;
      words[at + 1] = (words[at + 1] & ~clearHigh) | high;
    }
  }
}
