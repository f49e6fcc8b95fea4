// Table memory under replay: the words that the code under test reads and writes, and which of them it changed.

import { ABSENT, flatMemory, SparseMemory } from '../../dist/memory/index.js';
import { brief, hex, MalformedFile, u64 } from './values.mjs';
import { Words } from './words.mjs';

/** @typedef {import('./words.mjs').Word} Word */

/**
 * Words that are not what they should be, and where the frames with them are in `memory.words`.
 *
 * @typedef {{ words: Words, frames: readonly number[] }} Changes
 */

const FRAME_BYTES = 4096n;
const FRAME_WORDS = Number(FRAME_BYTES) / 4;
const LOW_HALF = 0xffff_ffffn;
/** Half of an entry of a frame that nobody has cleared: entries that are present, and point nowhere. */
const JUNK = 0xa5a5_a5a5;

/** Frames up to which memory is one buffer (64 MiB): then mappers take their way through flat memory. */
const MAX_FLAT_FRAMES = 16384;

/** Frames between two that are looked at, up to which these are looked at as well: it costs less than a look more. */
const MAX_GAP_FRAMES = 8;

/**
 * Memory as a header describes it, all zero: flat where it is small, otherwise sparse and filled as it is touched.
 *
 * @param {any} described - the header's `memory`: `base` and `frames`
 * @param {bigint} [shift] - added to a recorded address, it gives the address in the memory that is made
 * @param {number} [maxFlatFrames] - up to so many frames it is flat
 */
export function describedMemory(described, shift = 0n, maxFlatFrames = MAX_FLAT_FRAMES) {
  const base = u64(described?.base, 'memory.base');
  const { frames } = described;
  if (base % FRAME_BYTES !== 0n || !Number.isSafeInteger(frames) || frames <= 0) {
    throw new MalformedFile(`memory: expected whole frames from a whole frame on, found ${brief(described)}`);
  }
  if (frames > maxFlatFrames) return sparseMemory(shift, Number((base + shift) / FRAME_BYTES), frames);
  const length = frames * Number(FRAME_BYTES);
  const memory = flatMemory(new ArrayBuffer(length), [{ address: base + shift, offset: 0, length }]);
  const numbers = Float64Array.from({ length: frames }, (_, i) => memory.first + i);
  return new WordMemory(memory, shift, { count: () => frames, frames: () => numbers });
}

/**
 * Memory whose frames come into being, as zeros, when they are first touched.
 *
 * @param {bigint} shift - as in {@link describedMemory}
 * @param {number} first - number of the first frame, in the memory that is made
 * @param {number} frames - how many there are
 */
export function sparseMemory(shift, first, frames) {
  /** @type {SparseMemory} */
  const sparse = new SparseMemory(undefined, {
    locate: (frame) => (frame >= first && frame < first + frames ? sparse.add(frame) : ABSENT),
  });
  /** @type {Slots} */
  const slots = { count: () => sparse.size, frames: () => sparse.frames(), few: true };
  return new WordMemory(sparse.memory, shift, slots);
}

/**
 * Where frames lie in a memory: slot after slot, 1024 words each.
 *
 * @typedef {object} Slots
 * @property {() => number} count - how many hold a frame now, from slot 0 on
 * @property {() => ArrayLike<number>} frames - their numbers, by slot
 * @property {boolean} [few] - whether they are few enough to look at all of them each time
 */

/**
 * Words by recorded address, and what they should hold.
 *
 * What changed since the last look is found by comparing memory with a copy. In flat memory a look goes only to frames
 * that are watched, because all take a millisecond; a look `everywhere` finds the rest.
 */
export class WordMemory {
  /** What the code under test works on. */
  memory;
  #shift;
  #slots;
  /** See {@link expected}. */
  #copy = new Uint32Array(0);
  /** The bytes of both; made anew when memory has moved. */
  #nowBytes = bytesOf(new Uint32Array(0));
  #copyBytes = bytesOf(this.#copy);
  /** @type {Set<number>} slots of the frames that are watched */
  #watched = new Set();
  /** @type {[number, number][] | undefined} runs of slots that cover those, first and behind the last, ascending */
  #runs;

  /**
   * @param {import('../../dist/memory/index.js').PhysicalMemory} memory
   * @param {bigint} shift - added to a recorded address, it gives the address in `memory`
   * @param {Slots} slots
   */
  constructor(memory, shift, slots) {
    this.memory = memory;
    this.#shift = shift;
    this.#slots = slots;
  }

  /**
   * From now on a look includes the frame of this address.
   *
   * @param {bigint} address - recorded address
   */
  watch(address) {
    const at = this.#frameAt(address);
    if (at !== ABSENT) this.#watchAt(at);
  }

  /**
   * Fills a frame with junk, but not what it should hold: code that does not clear it is found out.
   *
   * @param {bigint} address - recorded address of the frame
   */
  soil(address) {
    const at = this.#frameAt(address);
    if (at !== ABSENT) this.memory.words.fill(JUNK, at, at + FRAME_WORDS);
  }

  /**
   * Gives the words of a frame that are still junk the values that they should have.
   *
   * @param {bigint} address - recorded address of the frame
   */
  unsoil(address) {
    const start = this.#frameAt(address);
    if (start === ABSENT) return;
    const { words } = this.memory;
    const copy = this.expected();
    for (let at = start; at < start + FRAME_WORDS; at += 2) {
      if (words[at] === JUNK && words[at + 1] === JUNK) words.set(copy.subarray(at, at + 2), at);
    }
  }

  /**
   * Writes a word that is not the code under test's doing.
   *
   * @param {Word} word
   */
  store({ address, value }) {
    if (!this.write({ address, value })) {
      throw new MalformedFile(
        `word at ${hex(address)}: expected a multiple of 8 inside the described memory`,
      );
    }
    setWord(this.expected(), Number(this.#wordAt(address)), value);
  }

  /**
   * @param {bigint} address - recorded address
   * @returns {bigint | undefined} the word there; undefined where no memory is
   */
  read(address) {
    const at = this.#wordAt(address);
    return at === undefined ? undefined : wordOf(this.memory.words, at);
  }

  /**
   * Writes a word for the code under test, and from now on looks at its frame.
   *
   * @param {Word} word
   * @returns {boolean} whether memory is there
   */
  write({ address, value }) {
    const at = this.#wordAt(address);
    if (at === undefined) return false;
    this.#watchAt(at);
    setWord(this.memory.words, at, value);
    return true;
  }

  /**
   * Fills a frame for the code under test, with the words of another one or with zeros, and from now on looks at it.
   *
   * @param {bigint} address - recorded address of the frame
   * @param {bigint} [from] - that of the other
   */
  fill(address, from) {
    const at = this.#wordAt(address);
    const source = from === undefined ? undefined : this.#wordAt(from);
    if (at === undefined) return;
    this.#watchAt(at);
    const { words } = this.memory;
    if (source === undefined) words.fill(0, at, at + FRAME_WORDS);
    else words.copyWithin(at, source, source + FRAME_WORDS);
  }

  /**
   * The words that are not what they should be, ascending by address, with the values that they have.
   *
   * @returns {readonly Word[]}
   */
  changes() {
    return this.look().words.all();
  }

  /**
   * Looks which words are not what they should be.
   *
   * @param {{ everywhere?: boolean, expected?: readonly Word[] | undefined }} [options] - whether to look into all frames that are
   *   present; words that it may well be, which is found out much faster than which ones it is
   * @returns {Changes}
   */
  look({ everywhere = false, expected } = {}) {
    if (expected !== undefined && this.#changesAre(expected)) {
      const frames = new Set(expected.map(({ address }) => this.#frameAt(address)));
      return { words: Words.of(expected), frames: [...frames] };
    }
    const copy = this.expected();
    const now = this.memory.words;
    const slots = this.#changedSlots(everywhere);
    const isChanged = (/** @type {number} */ at) => now[at] !== copy[at] || now[at + 1] !== copy[at + 1];
    return { words: this.#words(slots, now, isChanged), frames: slots.map((slot) => slot * FRAME_WORDS) };
  }

  /**
   * Takes words as they are for what they should be.
   *
   * @param {Changes} changes - of the last look
   */
  accept({ frames }) {
    const copy = this.expected();
    const { words } = this.memory;
    for (const at of frames) {
      this.#watchAt(at);
      copy.set(words.subarray(at, at + FRAME_WORDS), at);
    }
  }

  /**
   * Gives words back the values that they should have.
   *
   * @param {Changes} changes - of the last look
   */
  undo({ frames }) {
    const copy = this.expected();
    const { words } = this.memory;
    for (const at of frames) words.set(copy.subarray(at, at + FRAME_WORDS), at);
  }

  /** All words that should not be zero, ascending by address. */
  nonZero() {
    const copy = this.expected();
    const slots = this.#slots.few
      ? Array.from({ length: this.#slots.count() }, (_, slot) => slot)
      : [...this.#watched];
    return this.#words(slots, copy, (at) => copy[at] !== 0 || copy[at + 1] !== 0);
  }

  /**
   * Words of some slots, ascending by address.
   *
   * @param {readonly number[]} slots
   * @param {Uint32Array} values - where they are
   * @param {(at: number) => boolean} isWanted - by index of the lower half
   */
  #words(slots, values, isWanted) {
    const frames = slots.length === 0 ? [] : this.#slots.frames();
    const words = new Words(slots.length);
    for (const slot of slots.toSorted((a, b) => frames[a] - frames[b])) {
      const address = BigInt(frames[slot]) * FRAME_BYTES - this.#shift;
      const low = Number(address & LOW_HALF);
      const high = Number(address >> 32n);
      const start = slot * FRAME_WORDS;
      for (let at = start; at < start + FRAME_WORDS; at += 2) {
        if (isWanted(at)) words.add(low + (at - start) * 4, high, values[at], values[at + 1]);
      }
    }
    return words;
  }

  /**
   * Whether exactly these words are not what they should be, and have these values.
   *
   * @param {readonly Word[]} expected
   */
  #changesAre(expected) {
    const places = expected.map(({ address }) => this.#wordAt(address) ?? ABSENT);
    const copy = this.expected();
    const old = places.map((at) => (at === ABSENT ? 0n : wordOf(copy, at)));
    const isChange = expected.every(
      ({ address, value }, i) =>
        places[i] !== ABSENT && old[i] !== value && (i === 0 || expected[i - 1].address < address),
    );
    if (!isChange) return false;
    for (const [i, { value }] of expected.entries()) setWord(copy, places[i], value);
    const isSame = this.#runsToSee(false).every(([first, end]) => !this.#isChanged(first, end));
    for (const [i, value] of old.entries()) setWord(copy, places[i], value);
    return isSame;
  }

  /**
   * @param {boolean} everywhere
   * @returns {number[]} slots whose words are not what they should be
   */
  #changedSlots(everywhere) {
    return this.#runsToSee(everywhere)
      .filter(([first, end]) => this.#isChanged(first, end))
      .flatMap(([first, end]) => this.#findChanged(first, end));
  }

  /**
   * @param {boolean} everywhere
   * @returns {[number, number][]}
   */
  #runsToSee(everywhere) {
    if (everywhere || this.#slots.few) return [[0, this.#slots.count()]];
    this.#runs ??= runsOf(this.#watched);
    return this.#runs;
  }

  /**
   * @param {number} first - a slot
   * @param {number} end - behind the last slot; something in between is changed
   * @returns {number[]} which
   */
  #findChanged(first, end) {
    if (end - first === 1) return [first];
    const middle = (first + end) >> 1;
    const lower = this.#isChanged(first, middle) ? this.#findChanged(first, middle) : [];
    // What is not below the middle is above it.
    const upper = lower.length === 0 || this.#isChanged(middle, end) ? this.#findChanged(middle, end) : [];
    return [...lower, ...upper];
  }

  /**
   * @param {number} first - a slot
   * @param {number} end - behind the last slot
   */
  #isChanged(first, end) {
    const from = first * Number(FRAME_BYTES);
    const to = end * Number(FRAME_BYTES);
    return this.#nowBytes.compare(this.#copyBytes, from, to, from, to) !== 0;
  }

  /** What the words of `memory` should be, each at its own index. */
  expected() {
    const { words } = this.memory;
    if (this.#nowBytes.buffer !== words.buffer) {
      const copy = new Uint32Array(words.length);
      copy.set(this.#copy);
      this.#copy = copy;
      this.#nowBytes = bytesOf(words);
      this.#copyBytes = bytesOf(copy);
    }
    return this.#copy;
  }

  /** @param {number} at - index of a word */
  #watchAt(at) {
    const slot = Math.floor(at / FRAME_WORDS);
    if (this.#slots.few || this.#watched.has(slot)) return;
    this.#watched.add(slot);
    this.#runs = undefined;
  }

  /**
   * @param {bigint} address
   * @returns {number | undefined} index of the word's lower half in `memory.words`
   */
  #wordAt(address) {
    const at = this.#frameAt(address);
    return at === ABSENT || address % 8n !== 0n ? undefined : at + Number(address % FRAME_BYTES) / 4;
  }

  /**
   * @param {bigint} address
   * @returns {number} index of its frame in `memory.words`, or `ABSENT`
   */
  #frameAt(address) {
    return this.memory.locate(Number((address + this.#shift) / FRAME_BYTES));
  }
}

/**
 * @param {Uint32Array} words
 * @returns {Buffer<ArrayBufferLike>} their bytes, in place
 */
function bytesOf({ buffer, byteOffset, byteLength }) {
  return Buffer.from(buffer, byteOffset, byteLength);
}

/**
 * @param {Uint32Array} words
 * @param {number} at - index of its lower half
 */
function wordOf(words, at) {
  return (BigInt(words[at + 1]) << 32n) | BigInt(words[at]);
}

/**
 * @param {Uint32Array} words
 * @param {number} at - index of its lower half
 * @param {bigint} value
 */
function setWord(words, at, value) {
  words[at] = Number(value & LOW_HALF);
  words[at + 1] = Number(value >> 32n);
}

/**
 * Runs of numbers that cover others and little more.
 *
 * @param {Iterable<number>} slots
 * @returns {[number, number][]}
 */
function runsOf(slots) {
  /** @type {[number, number][]} */
  const runs = [];
  for (const slot of [...slots].sort((a, b) => a - b)) {
    const last = runs.at(-1);
    if (last !== undefined && slot - last[1] <= MAX_GAP_FRAMES) last[1] = slot + 1;
    else runs.push([slot, slot + 1]);
  }
  return runs;
}
