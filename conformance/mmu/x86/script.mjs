// What the guest reads and what it sends.
//
// A script: "TWX1", the arena's address and bytes, the snapshot's address, the number of page ranges, each range's start and
// end; then the cases, and -1. A case: its header (HEADER_BYTES), pokes of 12 bytes (address, 8 bytes for there), operations
// of 32 bytes, and addresses to peek at. All numbers are little-endian, of 32 bits unless said otherwise.
//
// The answer: "TWB1"; for each case "CASE", its number, the bytes of its results, the results of 24 bytes each, changed words
// of the arena as (address, word) up to an address of -1, and 8 bytes for each peek; then "DONE". "PANI" and a result instead
// of a case or the end tell of an exception outside of any operation.

import { CR0_PG, isLong } from './control.mjs';
import { ARENA, ARENA_ALIAS, ARENA_FRAMES, PAGE_RANGES, patternWord, SNAPSHOT } from './layout.mjs';
import { isAccess } from './operations.mjs';

/** @typedef {import('./operations.mjs').Case} Case */
/** @typedef {import('./operations.mjs').Operation} Operation */
/** @typedef {import('./operations.mjs').Found} Found */

/**
 * What the guest tells of a case.
 *
 * @typedef {object} Answer
 * @property {readonly Found[]} results - one per operation; a single one if paging could not be switched on
 * @property {ReadonlyMap<number, number>} changed - 32-bit words of the arena by address
 * @property {readonly bigint[]} peeked - the words at `written`
 */

/** For what comes before the first case and after the last. */
const MAX_START_BYTES = 256;

const HEADER_BYTES = 64;
const POKE_BYTES = 12;
const OPERATION_BYTES = 32;
const RESULT_BYTES = 24;

/** The guest has room for this many. */
export const MAX_OPERATIONS = 256;

const CASE_64BIT = 1;
const CASE_PKU = 2;
const CASE_PKS = 4;

const FLAG_USER = 1;
const FLAG_AC = 2;
const FLAG_FLUSH = 4;

const MSR = { efer: 0xc000_0080, pkrs: 0x6e1 };

/** Numbers of the operations, in the order of the guest's tables. */
const CODES = {
  read: 0,
  write: 0,
  fetch: 1,
  store: 2,
  store4: 3,
  invlpg: 4,
  cr0: 5,
  cr3: 6,
  cr4: 7,
  pkru: 8,
  pkrs: 9,
  efer: 9,
  invpcid: 10,
};

const BEGIN = 0x3142_5754;
const CASE = 0x4553_4143;
const END = 0x454e_4f44;

/**
 * Bytes of a case in a script, at most.
 *
 * @param {Case} one
 * @param {Case | undefined} previous
 */
function scriptBytes(one, previous) {
  const pokes = one.words.size + (previous?.written.length ?? 0);
  return HEADER_BYTES + pokes * POKE_BYTES + one.operations.length * OPERATION_BYTES + one.written.length * 4;
}

/**
 * @param {readonly Case[]} cases
 * @param {{ pku: boolean, pks: boolean }} processor
 */
export function encodeScript(cases, { pku, pks }) {
  const bytes = cases.reduce((sum, one, i) => sum + scriptBytes(one, cases[i - 1]), MAX_START_BYTES);
  const view = new DataView(new ArrayBuffer(bytes));
  let at = 0;
  /** @param {readonly number[]} words */
  const put = (...words) => {
    for (const word of words) {
      view.setUint32(at, word, true);
      at += 4;
    }
  };
  /** @param {readonly bigint[]} words */
  const put64 = (...words) => {
    for (const word of words) {
      view.setBigUint64(at, word, true);
      at += 8;
    }
  };

  put(0x3158_5754, ARENA, ARENA_FRAMES * 4096, SNAPSHOT, PAGE_RANGES.length, ...PAGE_RANGES.flat());
  let previous;
  for (const one of cases) {
    if (one.operations.length > MAX_OPERATIONS)
      throw new Error(`script: ${one.operations.length} operations`);
    const { cr0, cr3, cr4, efer, pkru, pkrs } = one.control;
    const restored = previous?.written ?? [];
    put(
      one.words.size + restored.length,
      one.operations.length,
      one.written.length,
      (isLong(one.mode) ? CASE_64BIT : 0) | (pku ? CASE_PKU : 0) | (pks ? CASE_PKS : 0),
    );
    put64(cr0 | CR0_PG, cr3, cr4, efer);
    put(Number(pkru), Number(pkrs), one.number, 0); // 32 bits each
    for (const address of restored) put(address, patternWord(address), patternWord(address + 4));
    for (const [address, value] of one.words) {
      put(address);
      put64(value);
    }
    for (const operation of one.operations) {
      putOperation(view, at, operation);
      at += OPERATION_BYTES;
    }
    put(...one.written);
    previous = one;
  }
  put(0xffff_ffff);
  return new Uint8Array(view.buffer, 0, at);
}

/**
 * @param {DataView} view
 * @param {number} at
 * @param {Operation} operation
 */
function putOperation(view, at, operation) {
  let code = CODES[operation.kind];
  let flags = 0;
  let stub = 0;
  let selector = 0;
  let value = 0n;
  let address = 0n;
  if (isAccess(operation)) {
    const { kind, bytes, user, ac, stack, flush } = operation;
    flags = (user ? FLAG_USER : 0) | (ac ? FLAG_AC : 0) | (flush ? FLAG_FLUSH : 0);
    stub = 16 * ((stack ? 8 : 0) + (kind === 'write' ? 4 : 0) + Math.log2(bytes));
    ({ value, address } = operation);
  } else {
    switch (operation.kind) {
      case 'store':
        if (operation.bytes === 4) code = CODES.store4;
        value = operation.value;
        address = operation.address - BigInt(ARENA) + BigInt(ARENA_ALIAS);
        break;
      case 'invlpg':
        address = operation.address;
        break;
      case 'invpcid':
        selector = operation.type;
        value = BigInt(operation.pcid);
        address = operation.address;
        break;
      case 'pkrs':
      case 'efer':
        selector = MSR[operation.kind];
        value = operation.value;
        break;
      case 'cr0':
      case 'cr3':
      case 'cr4':
      case 'pkru':
        value = operation.value;
        break;
    }
  }
  view.setUint8(at, code);
  view.setUint8(at + 1, flags);
  view.setUint16(at + 2, stub, true);
  view.setUint32(at + 4, selector, true);
  view.setBigUint64(at + 8, value, true);
  view.setBigUint64(at + 16, address, true);
}

/**
 * Reads what the guest sent, as far as it got.
 *
 * @param {Uint8Array} bytes - may begin with other text
 * @param {readonly Case[]} cases
 * @returns {{ answers: Answer[], complete: boolean, panic: Found | undefined }}
 */
export function decodeAnswers(bytes, cases) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).indexOf('TWB1');
  /** @type {Answer[]} */
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
        return { answers, complete: false, panic: mark === END ? undefined : decodeFound(view, at) };
      }
      const number = next();
      if (number !== one.number)
        throw new Error(`the guest answers case ${number} in place of ${one.number}`);
      const resultBytes = next();
      /** @type {Found[]} */
      const results = [];
      for (const end = at + resultBytes; at < end; at += RESULT_BYTES) results.push(decodeFound(view, at));
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

/**
 * @param {DataView} view
 * @param {number} at
 * @returns {Found}
 */
function decodeFound(view, at) {
  return {
    vector: view.getUint8(at),
    fromCpl: view.getUint8(at + 1),
    errorCode: view.getUint16(at + 2, true),
    distance: view.getInt32(at + 4, true),
    cr2: view.getBigUint64(at + 8, true),
    value: view.getBigUint64(at + 16, true),
  };
}
