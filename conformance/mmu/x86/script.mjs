// What the guest reads and what it sends. script-writer.mjs and answers.mjs have what is common to all guests.
//
// A case: its header (HEADER_BYTES), pokes, operations of 32 bytes, and addresses to peek at.

import { pokeCount, ScriptWriter } from '../script-writer.mjs';
import { CR0_PG, isLong } from './control.mjs';
import { ARENA, ARENA_ALIAS, LAYOUT, SNAPSHOT } from './layout.mjs';
import { isAccess } from './operations.mjs';

/** @typedef {import('./operations.mjs').Case} Case */
/** @typedef {import('./operations.mjs').Operation} Operation */
/** @typedef {import('./operations.mjs').Found} Found */

/** @typedef {import('../answers.mjs').Answer<Found>} Answer */

const HEADER_BYTES = 64;
const OPERATION_BYTES = 32;

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

/** @type {import('../answers.mjs').ResultFormat<Found>} */
export const RESULT = { bytes: 24, decode: decodeFound };

/**
 * @param {readonly Case[]} cases
 * @param {{ pku: boolean, pks: boolean }} processor
 */
export function encodeScript(cases, { pku, pks }) {
  const bytes = cases.reduce(
    (sum, { operations, written }) =>
      sum + HEADER_BYTES + operations.length * OPERATION_BYTES + written.length * 4,
    0,
  );
  const script = new ScriptWriter(LAYOUT, SNAPSHOT, bytes, cases);
  let previous;
  for (const one of cases) {
    if (one.operations.length > MAX_OPERATIONS)
      throw new Error(`script: ${one.operations.length} operations`);
    const { cr0, cr3, cr4, efer, pkru, pkrs } = one.control;
    script.put(
      pokeCount(one, previous),
      one.operations.length,
      one.written.length,
      (isLong(one.mode) ? CASE_64BIT : 0) | (pku ? CASE_PKU : 0) | (pks ? CASE_PKS : 0),
    );
    script.put64(cr0 | CR0_PG, cr3, cr4, efer);
    script.put(Number(pkru), Number(pkrs), one.number, 0); // 32 bits each
    script.putPokes(one, previous);
    for (const operation of one.operations) {
      putOperation(script.view, script.at, operation);
      script.at += OPERATION_BYTES;
    }
    script.put(...one.written);
    previous = one;
  }
  return script.end();
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
