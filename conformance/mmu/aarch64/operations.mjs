// What a case consists of.

/**
 * A read, write or fetch.
 *
 * @typedef {object} Access
 * @property {'read' | 'write' | 'fetch'} kind
 * @property {bigint} address - virtual
 * @property {1 | 2 | 4 | 8} bytes - of a fetch 4
 * @property {boolean} user - at EL0
 * @property {boolean} unprivileged - LDTR or STTR
 * @property {boolean} pan - PSTATE.PAN
 * @property {boolean} flush - with an empty TLB
 * @property {bigint} value - written
 */

/**
 * An address translation instruction.
 *
 * @typedef {object} Translate
 * @property {'at'} kind
 * @property {AtName} name
 * @property {bigint} address - virtual
 * @property {boolean} inside - at EL1, otherwise at EL2
 * @property {boolean} pan - PSTATE.PAN
 * @property {boolean} flush - with an empty TLB
 */

/** @typedef {typeof AT_NAMES[number]} AtName */

/** @typedef {{ kind: 'store', address: bigint, value: bigint }} Store - of 8 bytes; `address` is physical */

/** @typedef {{ kind: 'register', name: import('./control.mjs').RegisterName, value: bigint }} SetRegister */

/** @typedef {{ kind: 'tlbi', name: string, operand: bigint }} Invalidate - `name` with IS or OS, or without */

/** @typedef {Access | Translate | Store | SetRegister | Invalidate} Operation */

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
 * @property {readonly (import('./reference.mjs').Prediction | undefined)[]} predictions - of accesses and AT, by operation
 * @property {readonly number[]} written - addresses of words in pages that are written, multiples of 8
 * @property {ReadonlyMap<number, import('../loose-bits.mjs').Loose>} loose - bits of table words, by address of 32 bits
 */

/**
 * Virtual addresses of the guest's first page.
 *
 * @typedef {{ el1: bigint, el0: bigint }} Stubs
 */

/**
 * What the guest found of one operation.
 *
 * @typedef {object} Found
 * @property {number} vector - of the exception that ended it, or {@link NO_VECTOR}
 * @property {number} esr
 * @property {number} spsr
 * @property {number} distance - from the instruction that accesses, or from the address of a fetch, to ELR
 * @property {bigint} far
 * @property {bigint} value - X0, or PAR
 */

/**
 * What the cases of a mode are about: the half that the guest's page is in, or accesses and AT without translation, or AT alone
 * with the page in no half, or all combinations of rights.
 *
 * @typedef {typeof MODES[number]} Mode
 */
export const MODES = /** @type {const} */ (['TTBR0', 'TTBR1', 'rights', 'AT', 'MMU off']);

export const AT_NAMES = /** @type {const} */ (['S1E1R', 'S1E1W', 'S1E0R', 'S1E0W', 'S1E1RP', 'S1E1WP']);

/** In place of a vector: the operation ran at EL2 and ended without an exception. */
export const NO_VECTOR = 0xff;

/** FAR before each access. */
export const UNTOUCHED_FAR = 0x5a5a_5a5an;

/** ESR after SVC #0: how other accesses end. */
export const SVC_ESR = 0x5600_0000;

/** ESR after BRK, without its operand: how a fetch ends. */
export const BRK_ESR = 0xf200_0000;

/**
 * @param {Operation} operation
 * @returns {operation is Access}
 */
export function isAccess(operation) {
  return operation.kind === 'read' || operation.kind === 'write' || operation.kind === 'fetch';
}

/**
 * Whether an operation asks the MMU something.
 *
 * @param {Operation} operation
 * @returns {operation is Access | Translate}
 */
export function isTranslated(operation) {
  return isAccess(operation) || operation.kind === 'at';
}

/**
 * An operation in words.
 *
 * @param {Operation} operation
 */
export function operationText(operation) {
  /** @param {bigint | number} value */
  const hex = (value) => `0x${value.toString(16)}`;
  switch (operation.kind) {
    case 'read':
    case 'write':
    case 'fetch': {
      const { kind, address, bytes, user, unprivileged, pan, flush, value } = operation;
      const what = kind === 'write' ? `write ${hex(value)} to` : kind;
      const how = [
        `${bytes} bytes`,
        `EL${user ? 0 : 1}`,
        ...(unprivileged ? ['unprivileged'] : []),
        ...(pan ? ['PAN'] : []),
        ...(flush ? ['empty TLB'] : []),
      ];
      return `${what} ${hex(address)} (${how.join(', ')})`;
    }
    case 'at': {
      const { name, address, inside, pan, flush } = operation;
      const how = [`at EL${inside ? 1 : 2}`, ...(pan ? ['PAN'] : []), ...(flush ? ['empty TLB'] : [])];
      return `AT ${name} ${hex(address)} (${how.join(', ')})`;
    }
    case 'store':
      return `store ${hex(operation.value)} at physical ${hex(operation.address)}`;
    case 'register':
      return `${operation.name.toUpperCase()}_EL1 = ${hex(operation.value)}`;
    case 'tlbi':
      return `TLBI ${operation.name} ${hex(operation.operand)}`;
  }
}
