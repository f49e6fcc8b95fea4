// The guest's RAM without storing what it is filled with: only words that differ from that.

/** Frames of tables are zero at first, all others hold the pattern. */
export class SketchMemory {
  /**
   * Words of 8 bytes by address.
   *
   * @type {Map<number, bigint>}
   */
  words = new Map();

  /** @param {import('./layout.mjs').Layout} layout */
  constructor(layout) {
    this.layout = layout;
  }

  /** @param {number} address - a multiple of 8 */
  word(address) {
    const known = this.words.get(address);
    if (known !== undefined) return known;
    if (this.layout.isArenaByte(address)) return 0n;
    return BigInt(this.layout.patternWord(address)) | (BigInt(this.layout.patternWord(address + 4)) << 32n);
  }

  /** @type {import('./compare-words.mjs').SubjectMemory['tableWords']} */
  *tableWords() {
    for (const address of this.words.keys())
      if (this.layout.isArenaByte(address)) yield* [address, address + 4];
  }

  /**
   * @param {bigint} address - below 2^40
   * @param {number} bytes - at most 8
   */
  read(address, bytes) {
    const at = Number(address); // exact, see above
    const shift = BigInt(at % 8) * 8n;
    const first = at - (at % 8);
    let value = this.word(first);
    if ((at % 8) + bytes > 8) value |= this.word(first + 8) << 64n;
    return (value >> shift) & ((1n << BigInt(bytes * 8)) - 1n);
  }

  /**
   * @param {bigint} address - below 2^40
   * @param {number} bytes - at most 8
   * @param {bigint} value
   */
  write(address, bytes, value) {
    const at = Number(address); // exact, see above
    for (let i = 0; i < bytes; i++) {
      const byteAt = at + i;
      const word = byteAt - (byteAt % 8);
      const shift = BigInt(byteAt % 8) * 8n;
      const byte = (value >> BigInt(i * 8)) & 0xffn;
      this.words.set(word, (this.word(word) & ~(0xffn << shift)) | (byte << shift));
    }
  }
}
