// Where each number of an entry stands in `entries`.
const HIGH = 0;
const LOW = 1;
/** Order and space. */
const META = 2;
/** The next entry with the same hash, plus 1; 0 at the end. */
const NEXT = 3;
/** The clock when it came; -1 once it is gone. */
const BORN = 4;
const BITS = 5;
const FRAME_LOW = 6;
const FRAME_HIGH = 7;
/** log2 of the numbers that an entry has. */
const STRIDE = 3;

/** Orders: `log2` of the 4-KiB pages that an entry spans. */
const ORDERS = 64;
const SPACE_SHIFT = 6;
const SMALLEST = 256;
/** The clock begins anew, in an empty cache, before it leaves the small integers. */
const LAST_TICK = 2 ** 30;

/** Nothing was found. */
export const NONE = -1;

/** Entries that a cache that keeps everything holds at most: 32 bytes each. */
export const MOST_ENTRIES = 2 ** 20;

/**
 * What a processor remembers of its page tables, tagged with address space and size: one of these holds translations (the
 * TLB), another the entries that lead to tables (the paging-structure caches).
 *
 * Nothing goes before it is told to, or before there is no room: a translation that software forgot to invalidate stays
 * as long as an architecture allows. Invalidating an address space costs nothing: it moves a clock on.
 */
export class TranslationCache<Note = undefined> {
  /** Eight numbers an entry. An entry's own number is the index of the first of them. */
  private entries: Int32Array;
  private heads: Int32Array;
  /** What `heads` are indexed by: the upper bits of a hash. */
  private hashShift: number;
  private used = 0;
  /** The entry that goes next when there is no more room. */
  private oldest = 0;
  private readonly limit: number;
  /** How many entries there may be of each order, so that orders that do not occur cost nothing. */
  private readonly counts = new Int32Array(ORDERS);
  private clock = 0;
  /** How many entries may still go to make room before it looks for what is gone already. */
  private patience = 0;
  /** How often an entry that was good went because there was no more room. */
  evictions = 0;
  /** By space: entries that came earlier than this are gone. */
  private readonly since: Int32Array;
  // By order: which bits of an address count.
  private readonly maskHigh = new Int32Array(ORDERS);
  private readonly maskLow = new Int32Array(ORDERS);
  /** What the caller noted about entries. */
  private notes: (Note | undefined)[] = [];

  /**
   * @param spaces - address spaces, numbered from 0
   * @param limit - entries that it may hold; when there is no more room, the oldest goes
   */
  constructor(spaces: number, limit: number) {
    this.limit = limit;
    const room = Math.min(SMALLEST, limit);
    const bits = 32 - Math.clz32(room * 2 - 1);
    this.entries = new Int32Array(room << STRIDE);
    this.heads = new Int32Array(1 << bits);
    this.hashShift = 32 - bits;
    this.since = new Int32Array(spaces);
    for (let order = 0; order < ORDERS; order += 1) {
      this.maskHigh[order] = order <= 20 ? -1 : order >= 52 ? 0 : -1 << (order - 20);
      this.maskLow[order] = order >= 20 ? 0 : -4096 << order;
    }
  }

  /** Whether there may be an entry of an order. */
  has(order: number): boolean {
    return this.counts[order] !== 0;
  }

  /**
   * The entry for an address.
   *
   * @param order - `log2` of the 4-KiB pages that it spans
   * @param space - address space
   * @param high - bits 63:32 of the address
   * @param low - bits 31:0
   * @returns its number, good until the cache changes, or {@link NONE}
   */
  find(order: number, space: number, high: number, low: number): number {
    const at = this.search(order, space, high, low);
    return at >= 0 && this.isAlive(at) ? at : NONE;
  }

  /** The frame of an entry: the first of its page, or that of the table. */
  frameOf(at: number): number {
    return this.entries[at + FRAME_HIGH] * 0x1_0000_0000 + (this.entries[at + FRAME_LOW] >>> 0);
  }

  /** {@link frameOf} as a small integer; -1 for a frame from 2^31. */
  nearFrameOf(at: number): number {
    const low = this.entries[at + FRAME_LOW];
    return low >= 0 && this.entries[at + FRAME_HIGH] === 0 ? low : -1;
  }

  /** What else was stored with an entry. */
  bitsOf(at: number): number {
    return this.entries[at + BITS];
  }

  /** The space of an entry. */
  spaceOf(at: number): number {
    return this.entries[at + META] >>> SPACE_SHIFT;
  }

  /** The order of an entry. */
  orderOf(at: number): number {
    return this.entries[at + META] & (ORDERS - 1);
  }

  /** Bits 63:32 of the first address of an entry. */
  highOf(at: number): number {
    return this.entries[at + HIGH];
  }

  /** Bits 31:0 of the first address of an entry. */
  lowOf(at: number): number {
    return this.entries[at + LOW];
  }

  /** What was noted about an entry. */
  noteOf(at: number): Note | undefined {
    return this.notes[at >> STRIDE];
  }

  /** Notes something about an entry, until it is replaced. */
  note(at: number, note: Note): void {
    this.notes[at >> STRIDE] = note;
  }

  /** Numbers of all entries. */
  *alive(): IterableIterator<number> {
    for (let at = 0; at < this.used << STRIDE; at += 1 << STRIDE) if (this.isAlive(at)) yield at;
  }

  /**
   * Remembers an entry, in place of an earlier one for the same address.
   *
   * @param frame - an integer in `[0, 2^52)`
   * @param bits - 32 bits of the caller's
   * @returns its number
   */
  insert(order: number, space: number, high: number, low: number, frame: number, bits: number): number {
    let at = this.search(order, space, high, low);
    if (at < 0) at = this.link(order, space, high & this.maskHigh[order], low & this.maskLow[order]);
    const { entries } = this;
    entries[at + BORN] = this.clock;
    entries[at + BITS] = bits;
    entries[at + FRAME_LOW] = frame;
    entries[at + FRAME_HIGH] = frame < 0x1_0000_0000 ? 0 : frame / 0x1_0000_0000;
    return at;
  }

  /** Forgets one entry. */
  drop(at: number): void {
    this.entries[at + BORN] = -1;
  }

  /** Forgets everything in a space. */
  dropSpace(space: number): void {
    this.since[space] = this.tick();
  }

  /**
   * Forgets everything in the spaces `[0, end)`.
   *
   * @param end - one more than the last space
   */
  dropSpaces(end: number): void {
    this.since.fill(this.tick(), 0, end);
  }

  private search(order: number, space: number, high: number, low: number): number {
    const { entries } = this;
    const keyHigh = high & this.maskHigh[order];
    const keyLow = low & this.maskLow[order];
    const meta = order | (space << SPACE_SHIFT);
    for (let next = this.heads[this.hash(keyHigh, keyLow, meta)]; next !== 0; ) {
      const at = next - 1;
      if (entries[at + LOW] === keyLow && entries[at + HIGH] === keyHigh && entries[at + META] === meta) {
        return at;
      }
      next = entries[at + NEXT];
    }
    return NONE;
  }

  private hash(high: number, low: number, meta: number): number {
    const mixed = low ^ Math.imul(high, 0x5bd1_e995) ^ Math.imul(meta, 0x1b87_3593);
    return Math.imul(mixed ^ (mixed >>> 15), 0x9e37_79b1 | 0) >>> this.hashShift;
  }

  private isAlive(at: number): boolean {
    const { entries } = this;
    const meta = entries[at + META];
    return entries[at + BORN] >= this.since[meta >>> SPACE_SHIFT];
  }

  /** Makes room for an entry, and puts it into its chain. */
  private link(order: number, space: number, high: number, low: number): number {
    if (this.used << STRIDE === this.entries.length) this.makeRoom();
    let at = this.used << STRIDE;
    if (at < this.entries.length) {
      this.used += 1;
    } else {
      at = this.oldest << STRIDE;
      this.oldest = (this.oldest + 1) % this.used;
      if (this.isAlive(at)) this.evictions += 1;
      this.unlink(at);
    }
    const { entries, heads } = this;
    const meta = order | (space << SPACE_SHIFT);
    const place = this.hash(high, low, meta);
    entries[at + HIGH] = high;
    entries[at + LOW] = low;
    entries[at + META] = meta;
    entries[at + NEXT] = heads[place];
    heads[place] = at + 1;
    this.counts[order] += 1;
    return at;
  }

  private unlink(at: number): void {
    const { entries, heads } = this;
    const place = this.hash(entries[at + HIGH], entries[at + LOW], entries[at + META]);
    const after = entries[at + NEXT];
    this.counts[this.orderOf(at)] -= 1;
    if (heads[place] === at + 1) {
      heads[place] = after;
      return;
    }
    let before = heads[place] - 1;
    while (entries[before + NEXT] !== at + 1) before = entries[before + NEXT] - 1;
    entries[before + NEXT] = after;
  }

  /** Leaves out what is gone and, if that is little, grows. At its limit a cache lets its oldest entries go instead. */
  private makeRoom(): void {
    const { entries, notes } = this;
    const room = entries.length >> STRIDE;
    // At the limit it is worth looking for what is gone only now and then.
    this.patience -= 1;
    if (room >= this.limit && this.patience > 0) return;
    const kept: number[] = [];
    for (let at = 0; at < entries.length; at += 1 << STRIDE) if (this.isAlive(at)) kept.push(at);
    this.patience = room >> 1;
    if (room >= this.limit && kept.length * 2 > room) return;
    this.empty(kept.length * 2 > room ? Math.min(room * 2, this.limit) : room);
    for (const from of kept) {
      const meta = entries[from + META];
      const at = this.link(
        meta & (ORDERS - 1),
        meta >>> SPACE_SHIFT,
        entries[from + HIGH],
        entries[from + LOW],
      );
      for (let i = BORN; i <= FRAME_HIGH; i += 1) this.entries[at + i] = entries[from + i];
      this.notes[at >> STRIDE] = notes[from >> STRIDE];
    }
  }

  /** Begins with nothing, and room for a number of entries. */
  private empty(room: number): void {
    const bits = 32 - Math.clz32(room * 2 - 1);
    this.entries = new Int32Array(room << STRIDE);
    this.heads = new Int32Array(1 << bits);
    this.hashShift = 32 - bits;
    this.used = 0;
    this.oldest = 0;
    this.counts.fill(0);
    this.notes = [];
  }

  private tick(): number {
    if (this.clock === LAST_TICK) {
      this.empty(this.entries.length >> STRIDE);
      this.since.fill(0);
      this.clock = 0;
    }
    this.clock += 1;
    return this.clock;
  }
}
