// Reads what a guest sent.
//
// "TWB1"; for each case "CASE", its number, the bytes of its results, the results, changed words of the arena as (address,
// word) up to an address of -1, and 8 bytes for each peek; then "DONE". "PANI" and a result instead of a case or the end tell
// of an exception outside of any operation. All numbers are little-endian, of 32 bits; results are the architecture's own.

/**
 * What a guest tells of a case.
 *
 * @template Found
 * @typedef {object} Answer
 * @property {readonly Found[]} results - one per operation; fewer if the case could not be begun
 * @property {ReadonlyMap<number, number>} changed - 32-bit words of the arena by address
 * @property {readonly bigint[]} peeked - the words at `written`
 */

/**
 * @template Found
 * @typedef {{ bytes: number, decode: (view: DataView, at: number) => Found }} ResultFormat
 */

const BEGIN = 0x3142_5754;
const CASE = 0x4553_4143;
const END = 0x454e_4f44;
const PANIC = 0x494e_4150;

/**
 * Reads answers, as far as the guest got.
 *
 * @template Found
 * @param {Uint8Array} bytes - may begin with other text
 * @param {readonly { number: number, written: readonly number[] }[]} cases
 * @param {ResultFormat<Found>} result
 * @returns {{ answers: Answer<Found>[], complete: boolean, panic: Found | undefined }}
 */
export function decodeAnswers(bytes, cases, result) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).indexOf('TWB1');
  /** @type {Answer<Found>[]} */
  const answers = [];
  if (at < 0 || view.getUint32(at, true) !== BEGIN) return { answers, complete: false, panic: undefined };
  at += 4;
  const next = () => {
    at += 4;
    return view.getUint32(at - 4, true);
  };
  try {
    for (const one of cases) {
      const mark = next();
      if (mark !== CASE) {
        return { answers, complete: false, panic: mark === PANIC ? result.decode(view, at) : undefined };
      }
      const number = next();
      if (number !== one.number)
        throw new Error(`the guest answers case ${number} in place of ${one.number}`);
      const resultBytes = next();
      /** @type {Found[]} */
      const results = [];
      for (const end = at + resultBytes; at < end; at += result.bytes) results.push(result.decode(view, at));
      /** @type {Map<number, number>} */
      const changed = new Map();
      for (let address = next(); address !== 0xffff_ffff; address = next()) changed.set(address, next());
      const peeked = one.written.map(() => {
        at += 8;
        return view.getBigUint64(at - 8, true);
      });
      answers.push({ results, changed, peeked });
    }
    return { answers, complete: next() === END, panic: undefined };
  } catch (error) {
    if (error instanceof RangeError) return { answers, complete: false, panic: undefined };
    throw error;
  }
}
