// What the guest reads and what it sends. ../script-writer.mjs and ../answers.mjs have what is common to all guests.
//
// A case: its header (HEADER_BYTES), pokes, operations of 24 bytes, and addresses to peek at.

import { pokeCount, ScriptWriter } from '../script-writer.mjs';
import { ANSWER, ANSWER_BYTES, LAYOUT, SCRIPT, SNAPSHOT } from './layout.mjs';
import { AT_NAMES } from './operations.mjs';

/** @typedef {import('./operations.mjs').Access} Access */
/** @typedef {import('./operations.mjs').Case} Case */
/** @typedef {import('./operations.mjs').Found} Found */
/** @typedef {import('./operations.mjs').Operation} Operation */
/** @typedef {import('../answers.mjs').Answer<Found>} Answer */

const HEADER_BYTES = 80;
const OPERATION_BYTES = 24;

const CODE_STUB = 0;
const CODE_FETCH = 1;
const CODE_HERE = 2;

const FLAG_USER = 1;
const FLAG_PAN = 2;
const FLAG_FLUSH = 4;

/** Offsets in the guest's image. */
const ACCESS_STUBS = 0x800;
const AT_STUBS = 0x900;
const AT_HERE = 0x1000;
const STORE = 0x1080;
const REGISTERS = 0x10c0;
const INVALIDATIONS = 0x1200;

/** Each of these is 16 bytes long. */
const REGISTER_NAMES = /** @type {const} */ (['ttbr0', 'ttbr1', 'tcr', 'mair', 'sctlr']);
const SHARES = ['', 'IS', 'OS'];
export const INVALIDATION_NAMES = [
  ...['VMALLE1', 'ASIDE1', 'VAE1', 'VALE1', 'VAAE1', 'VAALE1', 'RVAE1', 'RVALE1', 'RVAAE1', 'RVAALE1'],
].flatMap((name) => SHARES.map((share) => name + share));

/** @type {import('../answers.mjs').ResultFormat<Found>} */
export const RESULT = { bytes: 32, decode: decodeFound };

/** Changed words that the answer to a case has, at most, for each operation: an entry for each of two pages, and two words. */
const CHANGED_BYTES = 8 * 16;

/** @param {readonly Case[]} cases */
export function encodeScript(cases) {
  const operations = cases.reduce((sum, each) => sum + each.operations.length, 0);
  const peeks = cases.reduce((sum, each) => sum + each.written.length, 0);
  const bytes = cases.length * HEADER_BYTES + operations * OPERATION_BYTES + peeks * 4;
  const answer = cases.length * 16 + operations * (RESULT.bytes + CHANGED_BYTES) + peeks * 8;
  const script = new ScriptWriter(LAYOUT, SNAPSHOT, bytes, cases);
  if (script.view.byteLength > ANSWER - SCRIPT || answer > ANSWER_BYTES) {
    throw new Error(
      `script: ${script.view.byteLength} bytes, which may be answered by ${answer}; there is no room`,
    );
  }
  let previous;
  for (const one of cases) {
    const { stubs, control } = one;
    script.put(pokeCount(one, previous), one.operations.length, one.written.length, one.number);
    script.put64(
      stubs.el1,
      stubs.el0,
      control.sctlr,
      control.tcr,
      control.ttbr0,
      control.ttbr1,
      control.mair,
      BigInt(one.arenaFrames) << 12n,
    );
    script.putPokes(one, previous);
    for (const operation of one.operations) {
      const { code, flags = 0, stub = 0, value = 0n, address = 0n } = encoded(operation);
      script.put(code | (flags << 8) | (stub << 16), 0);
      script.put64(value, address);
    }
    script.put(...one.written);
    previous = one;
  }
  return script.end();
}

/**
 * @param {Operation} operation
 * @returns {{ code: number, flags?: number, stub?: number, value?: bigint, address?: bigint }}
 */
function encoded(operation) {
  switch (operation.kind) {
    case 'read':
    case 'write':
    case 'fetch': {
      const { kind, user, pan, flush, value, address } = operation;
      const flags = (user ? FLAG_USER : 0) | (pan ? FLAG_PAN : 0) | (flush ? FLAG_FLUSH : 0);
      if (kind === 'fetch') return { code: CODE_FETCH, flags, address };
      return { code: CODE_STUB, flags, stub: stubOf(operation), value, address };
    }
    case 'at': {
      const { name, inside, pan, flush, address } = operation;
      const flags = (pan ? FLAG_PAN : 0) | (flush ? FLAG_FLUSH : 0);
      const stub = (inside ? AT_STUBS : AT_HERE) + AT_NAMES.indexOf(name) * 16;
      return { code: inside ? CODE_STUB : CODE_HERE, flags, stub, address };
    }
    case 'store':
      return { code: CODE_HERE, stub: STORE, value: operation.value, address: operation.address };
    case 'register': {
      const stub = REGISTERS + REGISTER_NAMES.indexOf(operation.name) * 16;
      return { code: CODE_HERE, stub, value: operation.value };
    }
    case 'tlbi': {
      const stub = INVALIDATIONS + INVALIDATION_NAMES.indexOf(operation.name) * 16;
      return { code: CODE_HERE, stub, value: operation.operand };
    }
  }
}

/** @param {Access} access */
function stubOf({ kind, bytes, unprivileged }) {
  return ACCESS_STUBS + 8 * ((unprivileged ? 8 : 0) + (kind === 'write' ? 4 : 0) + Math.log2(bytes));
}

/**
 * @param {DataView} view
 * @param {number} at
 * @returns {Found}
 */
function decodeFound(view, at) {
  return {
    vector: view.getUint32(at, true),
    esr: view.getUint32(at + 4, true),
    spsr: view.getUint32(at + 8, true),
    distance: view.getInt32(at + 12, true),
    far: view.getBigUint64(at + 16, true),
    value: view.getBigUint64(at + 24, true),
  };
}
