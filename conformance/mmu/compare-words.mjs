// Memory after a case: the guest's against the subject's.

/**
 * @typedef {object} TableCase
 * @property {ReadonlyMap<number, bigint>} words - of the tables at the beginning by address, a multiple of 8; all others are 0
 * @property {readonly number[]} written - addresses of words in pages that are written, multiples of 8
 * @property {ReadonlyMap<number, import('./loose-bits.mjs').Loose>} loose - by address of 32 bits
 */

/**
 * The subject's memory.
 *
 * @typedef {object} SubjectMemory
 * @property {(address: number) => number} word - 32 bits; `address` is a multiple of 4
 * @property {() => Iterable<number>} tableWords - addresses of the words of the arena that are not 0
 */

/**
 * What an emulator does to table entries otherwise than the manual says; it sets bits, or it clears them.
 *
 * @typedef {{ name: string, manual: string, clears?: true }} WordDeviation
 */

/**
 * @param {TableCase} one
 * @param {{ changed: ReadonlyMap<number, number>, peeked: readonly bigint[] }} answer
 * @param {SubjectMemory} memory
 * @param {readonly WordDeviation[]} known
 * @param {(name: string) => void} count - is told of each deviation met
 * @returns {string[]} the differences
 */
export function compareWords(one, answer, memory, known, count) {
  /** @type {string[]} */
  const differences = [];
  const initial = [...one.words.keys()].flatMap((address) => [address, address + 4]);
  for (const address of new Set([...initial, ...answer.changed.keys(), ...memory.tableWords()])) {
    const expected = memory.word(address);
    const found = answer.changed.get(address) ?? initialWord(one, address);
    if (expected === found && !one.loose.has(address)) continue;
    const { free = 0, deviating = new Map() } = one.loose.get(address) ?? {};
    let wrong = (expected ^ found) & ~free;
    for (const [name, bits] of deviating) {
      const deviation = known.find((each) => each.name === name);
      if (deviation === undefined) continue;
      // The subject must not do the same.
      const changed = (deviation.clears ? ~expected : expected) & bits & ~free;
      if (changed !== 0) differences.push(`${name}: ${wordText('table word', address, expected, found)}`);
      if ((wrong & bits) === 0 || (found & bits) !== (deviation.clears ? 0 : bits)) continue;
      wrong &= ~bits;
      count(name);
    }
    if (wrong !== 0) differences.push(wordText('table word', address, expected, found));
  }
  for (const [i, address] of one.written.entries()) {
    const expected = BigInt(memory.word(address)) | (BigInt(memory.word(address + 4)) << 32n);
    if (answer.peeked[i] !== expected)
      differences.push(wordText('page word', address, expected, answer.peeked[i]));
  }
  return differences;
}

/**
 * @param {TableCase} one
 * @param {number} address - a multiple of 4
 */
function initialWord(one, address) {
  const word = one.words.get(address - (address % 8)) ?? 0n;
  return Number((address % 8 === 0 ? word : word >> 32n) & 0xffff_ffffn); // 32 bits
}

/**
 * @param {string} what
 * @param {number} address
 * @param {bigint | number} expected
 * @param {bigint | number} found
 */
function wordText(what, address, expected, found) {
  return `${what} at 0x${address.toString(16)}: found 0x${found.toString(16)}, expected 0x${expected.toString(16)}`;
}
