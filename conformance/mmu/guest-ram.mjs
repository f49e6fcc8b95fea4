// The guest's RAM in full, for a model to work on.

/** Holds at the beginning of each case what the guest's own RAM holds then. */
export class GuestRam {
  /** @param {import('./layout.mjs').Layout} layout */
  constructor(layout) {
    const [start, end] = layout.ram;
    this.layout = layout;
    this.start = start;
    this.frames = layout.arenaFrames;
    this.words = new Uint32Array((end - start) / 4);
    for (const [first, last] of layout.pageRanges) {
      for (let address = first; address < last; address += 4) this.put(address, layout.patternWord(address));
    }
  }

  /** @param {number} address - a multiple of 4 */
  word(address) {
    return this.words[(address - this.start) >>> 2];
  }

  /**
   * @param {number} address - a multiple of 4
   * @param {number} value - 32 bits
   */
  put(address, value) {
    this.words[(address - this.start) >>> 2] = value;
  }

  /**
   * @param {number} address - a multiple of 4
   * @param {bigint} value - 64 bits
   */
  put64(address, value) {
    this.put(address, Number(value & 0xffff_ffffn)); // 32 bits
    this.put(address + 4, Number(value >> 32n)); // 32 bits
  }

  /** @type {import('./compare-words.mjs').SubjectMemory['tableWords']} */
  tableWords() {
    const { words, start } = this;
    const first = (this.layout.arena - start) >>> 2;
    const end = first + this.frames * 1024;
    const addresses = [];
    for (let i = first; i < end; i++) if (words[i] !== 0) addresses.push(start + i * 4);
    return addresses;
  }

  /**
   * The tables of a case.
   *
   * @param {{ words: ReadonlyMap<number, bigint>, arenaFrames?: number }} one - `arenaFrames`: what it uses, if not all
   */
  begin({ words, arenaFrames = this.layout.arenaFrames }) {
    this.frames = arenaFrames;
    for (const [address, value] of words) this.put64(address, value);
  }

  /**
   * Undoes all that a case did.
   *
   * @param {{ written: readonly number[] }} one
   */
  end({ written }) {
    const first = (this.layout.arena - this.start) >>> 2;
    this.words.fill(0, first, first + this.frames * 1024);
    for (const address of written) {
      this.put(address, this.layout.patternWord(address));
      this.put(address + 4, this.layout.patternWord(address + 4));
    }
  }
}
