// Writes what a guest reads. Numbers are little-endian, of 32 bits unless said otherwise.
//
// A script: "TWX1", the arena's address and bytes, the snapshot's address, the number of page ranges, each range's start and
// end; then the cases, and -1. A case is the architecture's own, but has pokes of 12 bytes: an address, and 8 bytes for there.

const POKE_BYTES = 12;

/** For what comes before the first case and after the last. */
const MAX_START_BYTES = 256;

/** @typedef {{ words: ReadonlyMap<number, bigint>, written: readonly number[] }} Poked */

/** A script that grows. */
export class ScriptWriter {
  at = 0;

  /**
   * @param {import('./layout.mjs').Layout} layout
   * @param {number} snapshot - where the guest keeps the arena as it was at the beginning of a case
   * @param {number} caseBytes - of all cases, without their pokes
   * @param {readonly Poked[]} cases
   */
  constructor(layout, snapshot, caseBytes, cases) {
    const pokes = cases.reduce((sum, { words, written }) => sum + words.size + written.length, 0);
    this.view = new DataView(new ArrayBuffer(MAX_START_BYTES + caseBytes + pokes * POKE_BYTES));
    this.layout = layout;
    const { arena, arenaFrames, pageRanges } = layout;
    this.put(0x3158_5754, arena, arenaFrames * 4096, snapshot, pageRanges.length, ...pageRanges.flat());
  }

  /** @param {readonly number[]} words */
  put(...words) {
    for (const word of words) {
      this.view.setUint32(this.at, word, true);
      this.at += 4;
    }
  }

  /** @param {readonly bigint[]} words */
  put64(...words) {
    for (const word of words) {
      this.view.setBigUint64(this.at, word, true);
      this.at += 8;
    }
  }

  /**
   * Pokes that undo what the case before wrote, and give a case its tables.
   *
   * @param {Poked} one
   * @param {Poked | undefined} previous
   */
  putPokes(one, previous) {
    for (const address of previous?.written ?? []) {
      this.put(address, this.layout.patternWord(address), this.layout.patternWord(address + 4));
    }
    for (const [address, value] of one.words) {
      this.put(address);
      this.put64(value);
    }
  }

  /** The whole script. */
  end() {
    this.put(0xffff_ffff);
    return new Uint8Array(this.view.buffer, 0, this.at);
  }
}

/**
 * How many pokes a case has.
 *
 * @param {Poked} one
 * @param {Poked | undefined} previous
 */
export function pokeCount(one, previous) {
  return one.words.size + (previous?.written.length ?? 0);
}
