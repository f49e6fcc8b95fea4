// What a case consists of.

/**
 * A read, write, fetch or AMO.
 *
 * @typedef {object} Access
 * @property {'read' | 'write' | 'fetch' | 'amo'} kind
 * @property {bigint} address - virtual
 * @property {1 | 2 | 4 | 8} bytes - of a fetch 4, of an AMO 4 or 8
 * @property {boolean} user - in U mode, otherwise in S mode
 * @property {boolean} sum - mstatus.SUM
 * @property {boolean} mxr - mstatus.MXR
 * @property {boolean} modified - in M mode with mstatus.MPRV, which is not for fetches
 * @property {boolean} flush - with an empty TLB
 * @property {bigint} value - written, or the operand of an AMO
 * @property {AmoName} amo
 */

/** @typedef {typeof AMO_NAMES[number]} AmoName */

/** @typedef {{ kind: 'store', address: bigint, bytes: 4 | 8, value: bigint }} Store - `address` is physical */

/** @typedef {{ kind: 'register', name: import('./control.mjs').RegisterName, value: bigint }} SetRegister */

/** @typedef {{ kind: 'fence', address: bigint | undefined, asid: bigint | undefined }} Fence - SFENCE.VMA; nothing: x0 */

/** @typedef {Access | Store | SetRegister | Fence} Operation */

/**
 * Page tables, registers, and operations in their order.
 *
 * @typedef {object} Case
 * @property {number} number
 * @property {Mode} mode
 * @property {import('./control.mjs').Control} control - at the beginning
 * @property {Stubs} stubs
 * @property {number} arenaFrames - that it uses
 * @property {ReadonlyMap<number, bigint>} words - of the tables by address, a multiple of 8; all others are 0
 * @property {readonly Operation[]} operations
 * @property {readonly (import('./reference.mjs').Prediction | undefined)[]} predictions - of accesses, by operation
 * @property {readonly (import('./stage.mjs').Deviating | undefined)[]} deviating - what QEMU does otherwise, by operation
 * @property {readonly number[]} written - addresses of words in pages that are written, multiples of 8
 * @property {ReadonlyMap<number, import('../loose-bits.mjs').Loose>} loose - bits of table words, by address of 32 bits
 */

/**
 * Virtual addresses of the guest's first page.
 *
 * @typedef {{ super: bigint, user: bigint }} Stubs
 */

/**
 * What the guest found of one operation.
 *
 * @typedef {object} Found
 * @property {number} cause - of the exception that ended it
 * @property {number} distance - from the instruction that accesses, or from the address of a fetch, to mepc
 * @property {number} privilege - of the mode that the exception came from
 * @property {bigint} tval
 * @property {bigint} value - a0
 */

/**
 * The mode of translation; in mode Bare nothing is translated.
 *
 * @typedef {typeof MODES[number]} Mode
 */
export const MODES = /** @type {const} */ (['Sv32', 'Sv39', 'Sv48', 'Sv57', 'Bare']);

export const AMO_NAMES = /** @type {const} */ (['swap', 'add', 'or']);

export const USER = 0;
export const SUPERVISOR = 1;
export const MACHINE = 3;

/** How a fetch ends that is allowed; mtval is the instruction. */
export const ILLEGAL_INSTRUCTION = 2;

/** How everything else ends that is allowed: ECALL from U mode, plus the mode's privilege. */
export const ECALL = 8;

/**
 * @param {Operation} operation
 * @returns {operation is Access}
 */
export function isAccess(operation) {
  const { kind } = operation;
  return kind === 'read' || kind === 'write' || kind === 'fetch' || kind === 'amo';
}

/**
 * The mode that an operation runs in.
 *
 * @param {Operation} operation
 */
export function privilegeOf(operation) {
  if (!isAccess(operation) || operation.modified) return MACHINE;
  return operation.user ? USER : SUPERVISOR;
}

/**
 * What an AMO leaves in memory.
 *
 * @param {Access} access
 * @param {bigint} old
 */
export function amoResult({ amo, bytes, value }, old) {
  const after = amo === 'swap' ? value : amo === 'add' ? old + value : old | value;
  return BigInt.asUintN(bytes * 8, after);
}

/**
 * An operation in words.
 *
 * @param {Operation} operation
 */
export function operationText(operation) {
  /** @param {bigint} value */
  const hex = (value) => `0x${value.toString(16)}`;
  switch (operation.kind) {
    case 'store':
      return `store ${hex(operation.value)} at physical ${hex(operation.address)}`;
    case 'register':
      return `${operation.name} = ${hex(operation.value)}`;
    case 'fence': {
      const [address, asid] = [operation.address, operation.asid].map((each) =>
        each === undefined ? 'x0' : hex(each),
      );
      return `SFENCE.VMA ${address}, ${asid}`;
    }
    case 'read':
    case 'write':
    case 'fetch':
    case 'amo': {
      const { kind, address, bytes, user, sum, mxr, modified, flush, value, amo } = operation;
      const what = {
        read: 'read',
        fetch: 'fetch',
        write: `write ${hex(value)} to`,
        amo: `AMO ${amo} ${hex(value)} at`,
      };
      const how = [
        `${bytes} bytes`,
        user ? 'U mode' : 'S mode',
        ...(modified ? ['by MPRV'] : []),
        ...(sum ? ['SUM'] : []),
        ...(mxr ? ['MXR'] : []),
        ...(flush ? ['empty TLB'] : []),
      ];
      return `${what[kind]} ${hex(address)} (${how.join(', ')})`;
    }
  }
}
