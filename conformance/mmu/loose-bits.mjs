// Which bits of table entries need not be as expected after a case.

/**
 * Bits whose value the manual does not give, or, with the name of a deviation, those that the emulator changes against it.
 *
 * @typedef {{ free: number, deviating: ReadonlyMap<string, number> }} Loose
 */

/** Loose bits by address of 32 bits, as they are after the operations so far. */
export class LooseBits {
  /** @type {Map<number, { free: number, deviating: Map<string, number> }>} */
  at = new Map();

  /**
   * Whether something in a word is loose.
   *
   * @param {number} address - of one of its bytes
   */
  has(address) {
    return this.at.has(address - (address % 4));
  }

  /**
   * The manual leaves bits open.
   *
   * @param {bigint} address - of an entry
   * @param {number} bits
   */
  free(address, bits) {
    if (bits !== 0) this.open(address).free |= bits;
  }

  /**
   * @param {bigint} address - of an entry
   * @param {string} name - of a deviation
   * @param {number} bits
   */
  deviate(address, name, bits) {
    const { deviating } = this.open(address);
    deviating.set(name, (deviating.get(name) ?? 0) | bits);
  }

  /**
   * Bits that are certain now.
   *
   * @param {bigint} address - of an entry
   * @param {number} bits
   * @param {string} [stays] - a deviation that nothing ends
   */
  settle(address, bits, stays) {
    const at = Number(address); // below 2^40
    const known = this.at.get(at);
    if (known === undefined) return;
    known.free &= ~bits;
    for (const [name, loose] of known.deviating) {
      if (name === stays) continue;
      if ((loose & ~bits) === 0) known.deviating.delete(name);
      else known.deviating.set(name, loose & ~bits);
    }
    if (known.free === 0 && known.deviating.size === 0) this.at.delete(at);
  }

  /** @param {number} address - of a byte that is written */
  write(address) {
    const byte = address % 4;
    if (this.at.has(address - byte)) this.settle(BigInt(address - byte), 0xff << (8 * byte));
  }

  /** @param {bigint} address - of an entry */
  open(address) {
    const at = Number(address); // below 2^40
    const known = this.at.get(at) ?? { free: 0, deviating: new Map() };
    this.at.set(at, known);
    return known;
  }
}
