// Table memory under replay: the words that the code under test reads and writes, and which of them it changed.

import { ABSENT, flatMemory, SparseMemory } from '../../dist/memory/index.js';
import { brief, hex, MalformedFile, u64 } from './values.mjs';

/**
 * A 64-bit word by its recorded address.
 *
 * @typedef {{ address: bigint, value: bigint }} Word
 */

const FRAME_BYTES = 4096n;
const FRAME_WORDS = Number(FRAME_BYTES) / 4;
const ZEROS = Buffer.alloc(Number(FRAME_BYTES));
/** What a frame holds that nobody has cleared: entries that are present, and point nowhere. */
const JUNK = 0xa5;

/** Frames up to which memory is one buffer (64 MiB): then mappers take their way through flat memory. */
const MAX_FLAT_FRAMES = 16384;

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
  return new WordMemory(memory, shift, () => Array.from({ length: frames }, (_, i) => memory.first + i));
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
  return new WordMemory(sparse.memory, shift, () => sparse.frames(), { few: true });
}

/**
 * Words by recorded address, and what they should hold.
 *
 * What changed since the last look is found by comparing frames with a copy; a frame without one should hold zeros. In
 * flat memory a look goes only to frames with a copy, because all take milliseconds; a look `everywhere` finds the rest.
 */
export class WordMemory {
  /** What the code under test works on. */
  memory;
  #shift;
  #present;
  #few;
  /** @type {Map<number, Buffer>} what each known frame should hold */
  #copies = new Map();

  /**
   * @param {import('../../dist/memory/index.js').PhysicalMemory} memory
   * @param {bigint} shift - added to a recorded address, it gives the address in `memory`
   * @param {() => Iterable<number>} present - numbers of the frames that `memory` holds now
   * @param {{ few?: boolean }} [options] - whether these are few enough to look at all of them each time
   */
  constructor(memory, shift, present, { few = false } = {}) {
    this.memory = memory;
    this.#shift = shift;
    this.#present = present;
    this.#few = few;
  }

  /**
   * From now on a look includes the frame of this address.
   *
   * @param {bigint} address - recorded address
   */
  watch(address) {
    const frame = this.#frameOf(address);
    if (this.memory.locate(frame) !== ABSENT) this.#copyOf(frame);
  }

  /**
   * Fills a frame with junk, but not what it should hold: code that does not clear it is found out.
   *
   * @param {bigint} address - recorded address of the frame
   */
  soil(address) {
    const frame = this.#frameOf(address);
    if (this.memory.locate(frame) !== ABSENT) this.#bytes(frame).fill(JUNK);
  }

  /**
   * Gives the words of a frame that are still junk the values that they should have.
   *
   * @param {bigint} address - recorded address of the frame
   */
  unsoil(address) {
    const frame = this.#frameOf(address);
    if (this.memory.locate(frame) === ABSENT) return;
    const bytes = this.#bytes(frame);
    const copy = this.#copyOf(frame);
    for (let at = 0; at < bytes.length; at += 8) {
      if (bytes.subarray(at, at + 8).every((byte) => byte === JUNK)) copy.copy(bytes, at, at, at + 8);
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
    this.#copyOf(this.#frameOf(address)).writeBigUInt64LE(value, Number(address % FRAME_BYTES));
  }

  /**
   * @param {bigint} address - recorded address
   * @returns {bigint | undefined} the word there; undefined where no memory is
   */
  read(address) {
    const at = this.#wordAt(address);
    if (at === undefined) return undefined;
    const { words } = this.memory;
    return (BigInt(words[at + 1]) << 32n) | BigInt(words[at]);
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
    this.#copyOf(this.#frameOf(address));
    this.memory.words[at] = Number(value & 0xffff_ffffn);
    this.memory.words[at + 1] = Number(value >> 32n);
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
    this.watch(address);
    const { words } = this.memory;
    if (source === undefined) words.fill(0, at, at + FRAME_WORDS);
    else words.copyWithin(at, source, source + FRAME_WORDS);
  }

  /**
   * The words that are not what they should be, ascending by address, with the values that they have.
   *
   * @param {{ everywhere?: boolean }} [options] - whether to look into all frames that are present
   * @returns {Word[]}
   */
  changes({ everywhere = false } = {}) {
    if (everywhere || this.#few) this.#watchNonZero();
    /** @type {Word[]} */
    const changed = [];
    for (const [frame, copy] of this.#copies) {
      const now = this.#bytes(frame);
      if (!now.equals(copy)) changed.push(...this.#wordsOf(frame, now, (at) => copy.readBigUInt64LE(at)));
    }
    return changed.sort(byAddress);
  }

  /**
   * Takes words as they are for what they should be.
   *
   * @param {readonly Word[]} changed - from {@link changes}
   */
  accept(changed) {
    for (const word of changed) this.store(word);
  }

  /**
   * Gives words back the values that they should have.
   *
   * @param {readonly Word[]} changed - from {@link changes}
   */
  undo(changed) {
    for (const { address } of changed) {
      const copy = this.#copyOf(this.#frameOf(address));
      this.store({ address, value: copy.readBigUInt64LE(Number(address % FRAME_BYTES)) });
    }
  }

  /** All words that should not be zero, ascending by address. */
  nonZero() {
    return [...this.#copies].flatMap(([frame, copy]) => this.#wordsOf(frame, copy, () => 0n)).sort(byAddress);
  }

  /**
   * @param {bigint} address
   * @returns {number | undefined} index of the word's lower half in `memory.words`
   */
  #wordAt(address) {
    const at = this.memory.locate(this.#frameOf(address));
    return at === ABSENT || address % 8n !== 0n ? undefined : at + Number(address % FRAME_BYTES) / 4;
  }

  /** @param {bigint} address */
  #frameOf(address) {
    return Number((address + this.#shift) / FRAME_BYTES);
  }

  /** @param {number} frame */
  #copyOf(frame) {
    let copy = this.#copies.get(frame);
    if (copy === undefined) {
      copy = Buffer.alloc(Number(FRAME_BYTES));
      this.#copies.set(frame, copy);
    }
    return copy;
  }

  /**
   * A view of a frame; the memory may move when it grows.
   *
   * @param {number} frame
   */
  #bytes(frame) {
    const at = this.memory.locate(frame);
    const { buffer, byteOffset } = this.memory.words;
    return Buffer.from(buffer, byteOffset + at * 4, Number(FRAME_BYTES));
  }

  /** Makes copies of zeros for frames that should be zero and are not. */
  #watchNonZero() {
    for (const frame of this.#present()) {
      if (!this.#copies.has(frame) && !this.#bytes(frame).equals(ZEROS)) this.#copyOf(frame);
    }
  }

  /**
   * The words of a frame that differ from others.
   *
   * @param {number} frame
   * @param {Buffer} bytes
   * @param {(at: number) => bigint} other - the word that one at this offset is compared with
   * @returns {Word[]}
   */
  #wordsOf(frame, bytes, other) {
    const words = [];
    for (let at = 0; at < bytes.length; at += 8) {
      const value = bytes.readBigUInt64LE(at);
      if (value !== other(at))
        words.push({ address: BigInt(frame) * FRAME_BYTES - this.#shift + BigInt(at), value });
    }
    return words;
  }
}

/**
 * @param {Word} a
 * @param {Word} b
 */
function byAddress(a, b) {
  return a.address < b.address ? -1 : 1;
}
