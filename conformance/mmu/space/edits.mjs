// Random edits of an address space, and the same on a list of ranges.
//
// Ranges lie around a few places, so that edits meet: some begin or end in the middle of large pages, some cross the limits of
// tables, some are as large as the largest pages.

import { Ranges } from './ranges.mjs';

/** @typedef {import('../random.mjs').Random} Random */
/** @typedef {import('./host.mjs').Host} Host */
/** @typedef {import('./host.mjs').Shape} Shape */
/** @typedef {import('./ranges.mjs').Attributes} Attributes */
/** @typedef {import('../../../dist/space/index.js').AddressSpace} AddressSpace */

const PAGE = 4096n;
const MIN_EDITS = 4;
const MAX_EDITS = 22;

/** Entries that one edit may write; there are not many tables. */
const MAX_ENTRIES = 4096n;

/** Ranges that edits meet at. */
const ANCHORS = 3;

/** No processor uses the tables yet. */
const invalidate = () => {};

/** Makes an address space with edits, and says what it should map. */
export class Edits {
  /**
   * What the space did otherwise than it should.
   *
   * @type {string[]}
   */
  troubles = [];
  /** @type {{ space: AddressSpace, ranges: Ranges }[]} */
  others = [];

  /**
   * @param {Random} random
   * @param {Host} host
   * @param {Shape} shape
   * @param {AddressSpace} space - an empty one
   * @param {() => boolean} isExhausted - whether there was no frame for the last edit
   */
  constructor(random, host, shape, space, isExhausted) {
    this.random = random;
    this.host = host;
    this.shape = shape;
    this.space = space;
    this.isExhausted = isExhausted;
    this.ranges = new Ranges();
    /** What the guest itself needs. */
    this.own = new Ranges();
    for (const { start, end, physical, attributes } of shape.window) {
      space.map(start, end - start, { physical, ...attributes });
      this.ranges.put({ start, end, physical, attributes });
      this.own.put({ start, end, physical, attributes });
    }
    this.anchors = Array.from({ length: ANCHORS }, () => this.randomAnchor());
  }

  /** Does edits. One of the spaces that are there then is left in `space`, with its ranges. */
  make() {
    const { random } = this;
    const count = MIN_EDITS + random.below(MAX_EDITS - MIN_EDITS);
    for (let i = 0; i < count; i++) this.edit();
    const all = [{ space: this.space, ranges: this.ranges }, ...this.others];
    ({ space: this.space, ranges: this.ranges } = random.pick(all));
  }

  edit() {
    const choice = this.random.below(100);
    if (choice < 47) this.map();
    else if (choice < 64) this.unmap();
    else if (choice < 82) this.protect();
    else if (choice < 95) this.compact();
    else this.clone();
  }

  // --- Edits ------------------------------------------------------------------------------------

  map() {
    const { random, ranges } = this;
    const { start, end, physical } = this.newRange();
    const attributes = this.randomAttributes();
    const overlap = random.pick(/** @type {const} */ (['refuse', 'refuse', 'replace', 'keep']));
    const isRefused = overlap === 'refuse' && ranges.overlapping(start, end).length > 0;
    const options = {
      physical,
      ...attributes,
      overlap,
      type: random.pick(this.shape.types),
      ...(this.shape.isMarked && random.chance(0.3)
        ? { accessed: random.chance(0.5), dirty: random.chance(0.5) }
        : {}),
      global: random.chance(0.3),
      groups: random.chance(0.7),
      ...(random.chance(0.25) ? { maxPage: random.pick(this.usableSizes(end - start)) } : {}),
    };
    this.attempt('map', start, end, isRefused ? 'ALREADY_MAPPED' : undefined, options, () => {
      const mapping = { start, end, physical, attributes };
      if (overlap === 'keep') ranges.putBetween(mapping);
      else ranges.put(mapping);
    });
  }

  unmap() {
    const { start, end } = this.oldRange();
    const missing = this.random.pick(/** @type {const} */ (['ignore', 'ignore', 'refuse']));
    const isRefused = missing === 'refuse' && !this.ranges.covers(start, end);
    this.attempt('unmap', start, end, isRefused ? 'NOT_MAPPED' : undefined, { missing }, () =>
      this.ranges.remove(start, end),
    );
  }

  protect() {
    const { start, end } = this.oldRange();
    const attributes = this.randomAttributes();
    const missing = this.random.pick(/** @type {const} */ (['ignore', 'ignore', 'refuse']));
    const isRefused = missing === 'refuse' && !this.ranges.covers(start, end);
    this.attempt(
      'protect',
      start,
      end,
      isRefused ? 'NOT_MAPPED' : undefined,
      { ...attributes, missing },
      () => this.ranges.change(start, end, attributes),
    );
  }

  compact() {
    const { random } = this;
    const groups = random.chance(0.5);
    try {
      if (random.chance(0.4)) this.space.compact({ groups, invalidate });
      else {
        const { start, end } = this.oldRange();
        this.space.compact({ address: start, bytes: end - start, groups, invalidate });
      }
    } catch (error) {
      this.refused('compact', error, undefined);
    }
  }

  clone() {
    const { random } = this;
    try {
      const twin = this.space.clone({ tables: random.pick(/** @type {const} */ (['share', 'copy'])) });
      const old = { space: this.space, ranges: this.ranges };
      this.ranges = this.ranges.copy();
      if (random.chance(0.5)) {
        this.space = twin;
        this.others.push(old);
      } else this.others.push({ space: twin, ranges: old.ranges });
    } catch (error) {
      this.refused('clone', error, undefined);
    }
  }

  /**
   * @param {'map' | 'unmap' | 'protect'} name
   * @param {bigint} start
   * @param {bigint} end
   * @param {string | undefined} code - of the error that is due
   * @param {any} options
   * @param {() => void} note - what has changed
   */
  attempt(name, start, end, code, options, note) {
    if (this.own.overlapping(start, end).length > 0) return;
    const { space } = this;
    const bytes = end - start;
    const text = `${name} 0x${start.toString(16)}, 0x${bytes.toString(16)} bytes`;
    try {
      if (this.random.chance(0.7)) space[name](start, bytes, { ...options, invalidate });
      else space.commit(space.plan[name](start, bytes, options), { invalidate });
    } catch (error) {
      this.refused(text, error, code);
      return;
    }
    if (code !== undefined) this.troubles.push(`${text}: done; expected ${code}`);
    note();
  }

  /**
   * @param {string} text
   * @param {unknown} error
   * @param {string | undefined} code - of the error that is due
   */
  refused(text, error, code) {
    const found = error instanceof Error && 'code' in error ? error.code : undefined;
    if (found !== undefined && found === code) return;
    if (found === 'OUT_OF_FRAMES' && this.isExhausted()) return;
    this.troubles.push(`${text}: ${error}; expected ${code ?? 'no error'}`);
  }

  // --- Where and what ---------------------------------------------------------------------------

  /** @returns {Attributes} */
  randomAttributes() {
    const { random } = this;
    return { rights: random.pick(this.shape.rights), user: random.chance(0.5) };
  }

  /** An address that may be mapped, in most cases where tables begin or end. */
  randomAnchor() {
    const { random, shape } = this;
    const [start, end] = random.pick(shape.halves);
    const choice = random.below(100);
    if (choice < 15) return start;
    if (choice < 35) return end;
    const step = random.pick(shape.pageSizes);
    const offset = ((random.bits(64) % (end - start)) / step) * step;
    return start + offset;
  }

  /** Where an edit may begin or end. */
  randomPoint() {
    const { random, shape } = this;
    const anchor = random.pick(this.anchors);
    const choice = random.below(100);
    const step = choice < 45 ? PAGE : random.pick(shape.pageSizes);
    return anchor + BigInt(random.below(13) - 6) * step;
  }

  /**
   * Inside one half, and not empty.
   *
   * @param {bigint} start
   * @param {bigint} bytes
   */
  clamped(start, bytes) {
    const { halves } = this.shape;
    const [low, high] = halves.find((half) => start < half[1]) ?? halves[halves.length - 1];
    const most = high - low;
    const size = bytes < PAGE ? PAGE : bytes > most ? most : bytes;
    const first = start < low ? low : start + size > high ? high - size : start;
    return { start: first, end: first + size };
  }

  /** Of an edit of what is there: most often from near one of its limits. */
  oldRange() {
    const { random, ranges } = this;
    const others = ranges.list.filter(({ start }) => this.own.at(start) === undefined);
    const point = () => {
      if (others.length === 0 || random.chance(0.3)) return this.randomPoint();
      const { start, end } = random.pick(others);
      if (random.chance(0.4)) {
        // Where a page or group inside it may begin.
        const size = random.pick([...this.shape.pageSizes, ...this.shape.groupSizes]);
        const inside = start + (random.bits(64) % (end - start));
        return inside - (inside % size) + BigInt(random.pick([0, 0, 1, -1])) * PAGE;
      }
      const limit = random.pick([start, end]);
      // Beside it, or in a group or large page that begins there.
      return limit + BigInt(random.chance(0.6) ? random.pick([0, 0, 1, -1]) : random.below(81) - 40) * PAGE;
    };
    const [a, b] = [point(), point()];
    const most = 1n << 44n;
    const far = a < b ? b - a : a - b;
    if (far > most || far === 0n) return this.clamped(a, this.randomBytes());
    return this.clamped(a < b ? a : b, far);
  }

  randomBytes() {
    const { random, shape } = this;
    const choice = random.below(100);
    if (choice < 45) return BigInt(1 + random.below(24)) * PAGE;
    const size = random.pick([...shape.pageSizes, ...shape.groupSizes]);
    const pages = BigInt(1 + random.below(3)) * size;
    return choice < 75 ? pages : pages + BigInt(random.below(17) - 8) * PAGE;
  }

  /**
   * Sizes of pages that a range can be mapped with.
   *
   * @param {bigint} bytes
   */
  usableSizes(bytes) {
    const { pageSizes } = this.shape;
    const usable = pageSizes.filter((size) => bytes / size <= MAX_ENTRIES);
    return usable.length > 0 ? usable : pageSizes.slice(-1);
  }

  /** A range and where it shall be mapped. */
  newRange() {
    const { random, shape, host } = this;
    const { start, end } = this.clamped(this.randomPoint(), this.randomBytes());
    const bytes = end - start;
    // So that the largest pages that are not larger than the range can be used.
    const usable = this.usableSizes(bytes);
    const fitting = [...usable, ...shape.groupSizes].filter(
      (size) => size >= usable[0] && size <= bytes * 2n,
    );
    const largest = usable.filter((size) => size <= bytes * 2n).at(-1) ?? usable[0];
    const align = random.chance(0.4) ? largest : fitting.length > 0 ? random.pick(fitting) : usable[0];
    const [ramStart, ramEnd] = random.pick(host.layout.pageRanges).map(BigInt);
    const wanted = [
      ramStart + BigInt(random.below(Number((ramEnd - ramStart) / PAGE))) * PAGE, // below 2^20
      random.pick(shape.nowhere),
    ];
    const fits = bytes < ramEnd - ramStart;
    const base = fits && random.chance(0.85) ? wanted[0] : random.pick(wanted);
    const aligned = base - (base % align) + (start % align);
    const physical = aligned + bytes <= shape.physicalEnd ? aligned : start % align;
    return { start, end, physical };
  }
}
