// Where a guest keeps what, and what its RAM is filled with.

/** Half of the golden ratio's digits: mixes the bits of an address. */
const MULTIPLIER = 0x9e37_79b1;

/** The memory of a guest. Addresses are physical and below 2^32. */
export class Layout {
  /**
   * @param {object} parts
   * @param {readonly [number, number]} parts.ram - all RAM, half-open
   * @param {number} parts.arena - where the frames for page tables begin: zero before each case, and compared after it
   * @param {number} parts.arenaFrames
   * @param {readonly (readonly [number, number])[]} parts.pageRanges - RAM that pages may be in, half-open; the guest fills it
   * @param {(mixed: number) => number} parts.trapOf - the first word of each 16 bytes there: traps when it is executed.
   *   `mixed` is a number of 32 bits that differs from place to place
   */
  constructor({ ram, arena, arenaFrames, pageRanges, trapOf }) {
    this.ram = ram;
    this.arena = arena;
    this.arenaFrames = arenaFrames;
    this.pageRanges = pageRanges;
    this.trapOf = trapOf;
  }

  /**
   * A 32-bit word of the initial content of pages: different at each address.
   *
   * @param {number} address - a multiple of 4
   */
  patternWord(address) {
    const block = address >>> 4;
    const mixed = Math.imul(block, MULTIPLIER);
    switch (address & 12) {
      case 0:
        return this.trapOf(mixed >>> 0);
      case 4:
        return block;
      case 8:
        return mixed >>> 0;
      default:
        return (~mixed ^ block) >>> 0;
    }
  }

  /** @param {number} address - of a byte */
  isPageByte(address) {
    return this.pageRanges.some(([start, end]) => address >= start && address < end);
  }

  /** @param {number} address - of a byte */
  isArenaByte(address) {
    return address >= this.arena && address < this.arena + this.arenaFrames * 4096;
  }

  /**
   * Room for tables in the arena, in an order of its own.
   *
   * @param {import('./random.mjs').Random} random
   * @param {{ count: number, bytes: number }} [tables] - so many from the beginning, so large; by default, all frames
   * @returns {() => number} takes one that is still free
   */
  frameSupply(random, { count, bytes } = { count: this.arenaFrames, bytes: 4096 }) {
    const free = Array.from({ length: count }, (_, i) => this.arena + i * bytes);
    return () => free.splice(random.below(free.length), 1)[0];
  }
}
