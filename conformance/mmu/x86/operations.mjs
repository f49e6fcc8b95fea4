// What a case consists of.

/**
 * A read, write or fetch.
 *
 * @typedef {object} Access
 * @property {'read' | 'write' | 'fetch'} kind
 * @property {bigint} address - linear
 * @property {1 | 2 | 4 | 8} bytes - of a fetch 1
 * @property {boolean} user - at CPL 3
 * @property {boolean} ac - RFLAGS.AC
 * @property {boolean} stack - through the stack segment
 * @property {boolean} flush - with an empty TLB
 * @property {bigint} value - written
 */

/**
 * A store by the guest's own code to an entry of the tables; `address` is physical.
 *
 * @typedef {{ kind: 'store', address: bigint, bytes: 4 | 8, value: bigint }} Store
 */

/** @typedef {{ kind: 'cr0' | 'cr3' | 'cr4' | 'pkru' | 'pkrs' | 'efer', value: bigint }} SetRegister */

/** @typedef {{ kind: 'invlpg', address: bigint }} Invlpg */

/** @typedef {{ kind: 'invpcid', type: number, pcid: number, address: bigint }} Invpcid */

/** @typedef {Access | Store | SetRegister | Invlpg | Invpcid} Operation */

/**
 * Page tables, registers, and operations in their order.
 *
 * @typedef {object} Case
 * @property {number} number
 * @property {import('./control.mjs').Mode} mode
 * @property {import('./control.mjs').Control} control - at the beginning
 * @property {ReadonlyMap<number, bigint>} words - of the tables by address, a multiple of 8; all others are 0
 * @property {readonly Operation[]} operations
 * @property {readonly (import('./reference.mjs').Prediction | undefined)[]} predictions - of accesses, by operation
 * @property {ReadonlyMap<number, Refusal>} refusals - by operation
 * @property {readonly number[]} written - addresses of words in pages that are written, multiples of 8
 * @property {ReadonlyMap<number, import('../loose-bits.mjs').Loose>} loose - bits of table words that may have either value, by address of 32 bits
 */

/**
 * Why an operation that is no access gives #GP(0).
 *
 * @typedef {'reserved bit' | 'reserved bit in a PDPTE' | 'CR3 at CR4.PCIDE' | 'operand'} Refusal
 */

/**
 * What the guest found of one operation.
 *
 * @typedef {object} Found
 * @property {number} vector - {@link DONE} if it was done; 3 after a fetch
 * @property {number} fromCpl - privilege level that the exception interrupted
 * @property {number} errorCode
 * @property {number} distance - from the instruction that accesses, or from the byte fetched, to the saved instruction pointer
 * @property {bigint} cr2
 * @property {bigint} value - read
 */

/** Vector of the interrupt that ends an operation. */
export const DONE = 0x80;

/** Vector of the exception that ends a fetch that is allowed. */
export const INT3_VECTOR = 3;

/** Vectors of exceptions that end an access. */
export const GP = 13;
export const PF = 14;

/** CR2 before each access. */
export const UNTOUCHED_CR2 = 0x5a5a_5a5an;

/**
 * @param {Operation} operation
 * @returns {operation is Access}
 */
export function isAccess(operation) {
  return operation.kind === 'read' || operation.kind === 'write' || operation.kind === 'fetch';
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
      const { kind, address, bytes, user, ac, stack, flush, value } = operation;
      const what = kind === 'write' ? `write ${hex(value)} to` : kind;
      const how = [
        `${bytes} bytes`,
        `CPL ${user ? 3 : 0}`,
        ...(ac ? ['AC'] : []),
        ...(stack ? ['through the stack segment'] : []),
        ...(flush ? ['empty TLB'] : []),
      ];
      return `${what} ${hex(address)} (${how.join(', ')})`;
    }
    case 'store':
      return `store ${hex(operation.value)} at physical ${hex(operation.address)} (${operation.bytes} bytes)`;
    case 'invlpg':
      return `INVLPG ${hex(operation.address)}`;
    case 'invpcid':
      return `INVPCID type ${operation.type}, PCID ${operation.pcid}, ${hex(operation.address)}`;
    case 'cr0':
    case 'cr3':
    case 'cr4':
    case 'pkru':
    case 'pkrs':
    case 'efer':
      return `${operation.kind.toUpperCase()} = ${hex(operation.value)}`;
  }
}
