// What is judged: performs the operations of a case, and tells outcomes in the guest's words.

import { SketchMemory } from '../sketch-memory.mjs';
import { LAYOUT } from './layout.mjs';
import { isTranslated } from './operations.mjs';
import { predict } from './reference.mjs';

/** @typedef {import('./operations.mjs').Case} Case */
/** @typedef {import('./operations.mjs').Operation} Operation */
/** @typedef {import('../judge.mjs').Subject<Case, Operation, Expected>} Subject */

/**
 * What an operation must give.
 *
 * @typedef {{ kind: 'done', value: bigint }
 *   | { kind: 'fault', esr: number, far: bigint }
 *   | { kind: 'par', value: bigint }
 *   | { kind: 'other', text: string }} Expected
 */

/** @type {Expected} */
const DONE = { kind: 'done', value: 0n };

/**
 * The model in `dist/cpu`, on memory like the guest's.
 *
 * @param {'all' | 'none' | number} caching - what its TLB keeps
 * @returns {Promise<Subject>}
 */
export async function modelSubject(caching) {
  throw new Error(`todo ${caching}`);
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
      if (!isTranslated(operation)) {
        if (operation.kind === 'store') memory.write(operation.address, 8, operation.value);
        else if (operation.kind === 'register') control[operation.name] = operation.value;
        return DONE;
      }
      const { fault, portions, par } = predict((pa, bytes) => memory.read(pa, bytes), control, operation);
      if (operation.kind === 'at') return { kind: 'par', value: par };
      if (fault !== undefined) return { kind: 'fault', esr: fault.esr, far: fault.far };
      // Two pages of one access may use the same entry, and each changes it in the same way.
      for (const { address, value } of portions.flatMap(({ updates }) => updates))
        memory.write(address, 8, value);
      let value = 0n;
      let shift = 0n;
      for (const { walk, bytes } of portions) {
        if (operation.kind === 'write') memory.write(walk.address, bytes, operation.value >> shift);
        else value |= memory.read(walk.address, bytes) << shift;
        shift += BigInt(bytes * 8);
      }
      return { kind: 'done', value };
    },
    word: (address) => Number(memory.read(BigInt(address), 4)), // 32 bits
    tableWords: () => memory.tableWords(),
    end() {},
  };
}
