// What the measurements of AddressSpace have in common: where tables come from, and what they map, read by hand.

/** Gives the frames [first, end), the last given back first. */
export class FrameStack {
  constructor(first, end) {
    this.next = first;
    this.end = end;
    this.freed = [];
  }

  allocate() {
    if (this.freed.length > 0) return this.freed.pop();
    if (this.next === this.end) return undefined;
    this.next += 1;
    return this.next - 1;
  }

  free(frame) {
    this.freed.push(frame);
  }
}

/** Whether an entry above the last level leads to a table, and what is not compared: marks of use (x86: A and D). */
const KINDS = {
  x86: { isTable: (low) => (low & 0x80) === 0, ignored: 0x60 },
  aarch64: { isTable: (low) => (low & 2) !== 0, ignored: 0 },
};

/**
 * A checksum of all pages that tables of 512 entries map: their numbers and entries, wherever the tables lie. The Rust
 * side has the same.
 *
 * @param {Uint32Array} words - of the memory in which the tables lie, from physical address 0 on
 * @param {number} root - frame
 * @param {'x86' | 'aarch64'} kind
 */
export function leafChecksum(words, root, kind, levels) {
  const { isTable, ignored } = KINDS[kind];
  const mix = (hash, half) => Math.imul(hash ^ half, 0x0100_0193);
  const visit = (frame, above, page, before) => {
    let hash = before;
    for (let index = 0; index < 512; index += 1) {
      const at = frame * 1024 + index * 2;
      const low = words[at];
      const high = words[at + 1];
      const first = page + index * 512 ** above;
      if ((low & 1) === 0) continue;
      if (above > 0 && isTable(low))
        hash = visit((low >>> 12) + (high & 0xffff) * 2 ** 20, above - 1, first, hash);
      else hash = mix(mix(mix(hash, first % 2 ** 32), low & ~ignored), high);
    }
    return hash;
  };
  return visit(root, levels - 1, 0, 0) >>> 0;
}
