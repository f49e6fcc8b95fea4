// What the guests read and what they send. ../script-writer.mjs and ../answers.mjs have what is common to all guests.
//
// A case: its header (HEADER_BYTES), pokes, operations of 24 bytes, and addresses to peek at.

import { pokeCount, ScriptWriter } from '../script-writer.mjs';
import { ANSWER, ANSWER_BYTES, LAYOUT, SCRIPT, SNAPSHOT } from './layout.mjs';
import { AMO_NAMES, isAccess, MACHINE, privilegeOf, SUPERVISOR, USER } from './operations.mjs';

/** @typedef {import('./operations.mjs').Access} Access */
/** @typedef {import('./operations.mjs').Case} Case */
/** @typedef {import('./operations.mjs').Found} Found */
/** @typedef {import('./operations.mjs').Operation} Operation */
/** @typedef {import('../answers.mjs').Answer<Found>} Answer */

const HEADER_BYTES = 56;
const OPERATION_BYTES = 24;

const FLAG_FETCH = 1;
const FLAG_MACHINE = 2;
const FLAG_USER = 4;
const FLAG_FLUSH = 8;

/** Bits of mstatus. */
const MPP_SHIFT = 11;
const MPRV = 1 << 17;
const SUM = 1 << 18;
const MXR = 1 << 19;

/** Offsets in the guest's image of stubs, each 8 bytes long. */
const LOADS = 0x100;
const STORES = 0x120;
const AMOS = 0x140;
const REGISTERS = { satp: 0x200, menvcfg: 0x208 };
const FENCES = 0x210;

/** @type {import('../answers.mjs').ResultFormat<Found>} */
export const RESULT = { bytes: 32, decode: decodeFound };

/** What a guest tells of a changed entry or word, and of its neighbour. */
const CHANGED_BYTES = 32;

/**
 * What the answer to an operation may need: its result, and changed words; an access changes two of each in two pages.
 *
 * @param {Operation} operation
 */
function answerBytes(operation) {
  return RESULT.bytes + (isAccess(operation) ? 4 : operation.kind === 'store' ? 1 : 0) * CHANGED_BYTES;
}

/** @param {readonly Case[]} cases */
export function encodeScript(cases) {
  const all = cases.flatMap((each) => each.operations);
  const peeks = cases.reduce((sum, each) => sum + each.written.length, 0);
  const bytes = cases.length * HEADER_BYTES + all.length * OPERATION_BYTES + peeks * 4;
  const answer = cases.length * 16 + all.reduce((sum, each) => sum + answerBytes(each), 0) + peeks * 8;
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
    script.put64(stubs.super, stubs.user, control.satp, control.menvcfg, BigInt(one.arenaFrames) << 12n);
    script.putPokes(one, previous);
    for (const operation of one.operations) {
      const { stub, value = 0n, address = 0n } = encoded(operation);
      const { flags, status } = circumstances(operation);
      script.put(stub | (flags << 16), status);
      script.put64(value, address);
    }
    script.put(...one.written);
    previous = one;
  }
  return script.end();
}

/**
 * @param {Operation} operation
 * @returns {{ stub: number, value?: bigint, address?: bigint }}
 */
function encoded(operation) {
  switch (operation.kind) {
    case 'read':
    case 'write':
    case 'fetch':
    case 'amo':
      return { stub: stubOf(operation), value: operation.value, address: operation.address };
    case 'store':
      return {
        stub: STORES + 8 * Math.log2(operation.bytes),
        value: operation.value,
        address: operation.address,
      };
    case 'register':
      return { stub: REGISTERS[operation.name], value: operation.value };
    case 'fence': {
      const { address, asid } = operation;
      const index = (address === undefined ? 0 : 1) + (asid === undefined ? 0 : 2);
      return { stub: FENCES + 8 * index, value: asid ?? 0n, address: address ?? 0n };
    }
  }
}

/** @param {Access} access */
function stubOf({ kind, bytes, amo }) {
  if (kind === 'fetch') return 0;
  if (kind === 'amo') return AMOS + 16 * AMO_NAMES.indexOf(amo) + (bytes === 8 ? 8 : 0);
  return (kind === 'write' ? STORES : LOADS) + 8 * Math.log2(bytes);
}

/**
 * Flags, and bits of mstatus.
 *
 * @param {Operation} operation
 */
function circumstances(operation) {
  const privilege = privilegeOf(operation);
  let flags = privilege === MACHINE ? FLAG_MACHINE : privilege === USER ? FLAG_USER : 0;
  if (!isAccess(operation)) return { flags, status: MACHINE << MPP_SHIFT };
  const { kind, user, sum, mxr, modified, flush } = operation;
  flags |= (kind === 'fetch' ? FLAG_FETCH : 0) | (flush ? FLAG_FLUSH : 0);
  const status = (sum ? SUM : 0) | (mxr ? MXR : 0) | (modified ? MPRV : 0);
  return { flags, status: status | ((user ? USER : SUPERVISOR) << MPP_SHIFT) };
}

/**
 * @param {DataView} view
 * @param {number} at
 * @returns {Found}
 */
function decodeFound(view, at) {
  return {
    cause: view.getUint32(at, true),
    distance: view.getInt32(at + 4, true),
    privilege: view.getUint32(at + 8, true),
    tval: view.getBigUint64(at + 16, true),
    value: view.getBigUint64(at + 24, true),
  };
}
