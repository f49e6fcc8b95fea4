// What is judged: performs the operations of a case, and tells outcomes in the guest's words.

import { SketchMemory } from '../sketch-memory.mjs';
import { writtenSatp } from './control.mjs';
import { LAYOUT } from './layout.mjs';
import { amoResult, isAccess } from './operations.mjs';
import { predict } from './reference.mjs';

/** @typedef {import('./operations.mjs').Case} Case */
/** @typedef {import('./operations.mjs').Operation} Operation */
/** @typedef {import('../judge.mjs').Subject<Case, Operation, Expected>} Subject */

/**
 * What an operation must give. A value is what is read, or was before an AMO.
 *
 * @typedef {{ kind: 'done', value: bigint }
 *   | { kind: 'fault', cause: number, tval: bigint }
 *   | { kind: 'other', text: string }} Expected
 */

/** @type {Expected} */
const DONE = { kind: 'done', value: 0n };

/**
 * @param {'all' | 'none' | number} _caching - what its TLB keeps
 * @returns {Promise<Subject>}
 */
export async function modelSubject(_caching) {
  throw new Error('there is no model of RISC-V yet; expected --against reference');
}

/**
 * The walker of this folder in place of the model, to try the judge itself.
 *
 * @returns {Subject}
 */
export function referenceSubject() {
  let memory = new SketchMemory(LAYOUT);
  /** @type {import('./control.mjs').Control} */
  let control;
  return {
    begin(one) {
      memory = new SketchMemory(LAYOUT);
      memory.words = new Map(one.words);
      control = { ...one.control };
    },
    perform(operation) {
      if (!isAccess(operation)) {
        if (operation.kind === 'store') memory.write(operation.address, operation.bytes, operation.value);
        else if (operation.kind === 'register') {
          const { name, value } = operation;
          control[name] = name === 'satp' ? writtenSatp(control, value) : value;
        }
        return DONE;
      }
      const { fault, portions } = predict((pa, bytes) => memory.read(pa, bytes), control, operation);
      if (fault !== undefined) return { kind: 'fault', cause: fault.cause, tval: fault.tval };
      for (const { update } of portions) {
        // Two pages of one access may use the same entry.
        if (update !== undefined)
          memory.write(update.address, 1, memory.read(update.address, 1) | (update.after & 0xffn));
      }
      if (operation.kind !== 'amo') return { kind: 'done', value: memory.transfer(operation, portions) };
      const value = memory.transfer({ ...operation, kind: 'read' }, portions);
      memory.transfer({ kind: 'write', value: amoResult(operation, value) }, portions);
      return { kind: 'done', value };
    },
    word: (address) => Number(memory.read(BigInt(address), 4)), // 32 bits
    tableWords: () => memory.tableWords(),
    end() {},
  };
}
