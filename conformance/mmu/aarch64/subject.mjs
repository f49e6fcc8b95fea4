// What is judged: performs the operations of a case, and tells outcomes in the guest's words.

import { GuestRam } from '../guest-ram.mjs';
import { SketchMemory } from '../sketch-memory.mjs';
import { LAYOUT, RAM_BYTES, RAM_START } from './layout.mjs';
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
  const { Aarch64Cpu } = await import('../../../dist/cpu/index.js');
  const { flatMemory } = await import('../../../dist/memory/index.js');
  const ram = new GuestRam(LAYOUT);
  const memory = flatMemory(ram.words, [{ address: BigInt(RAM_START), offset: 0, length: RAM_BYTES }]);
  /** @type {import('../../../dist/cpu/index.js').Aarch64Cpu} */
  let cpu;

  /**
   * @param {string} name
   * @param {bigint} operand
   */
  const invalidate = (name, operand) => {
    cpu.tlbi(name, operand);
    cpu.barrier('DSB ISH');
    cpu.barrier('ISB');
  };

  /**
   * @param {ReturnType<import('../../../dist/cpu/index.js').Aarch64Cpu['read']>} outcome
   * @returns {Expected}
   */
  const told = (outcome) => {
    if (outcome.kind === 'done') return { kind: 'done', value: outcome.value };
    if (outcome.kind === 'absent') {
      return { kind: 'other', text: `no memory at 0x${outcome.address.toString(16)}` };
    }
    const { exception, errorCode, address } = outcome;
    if (cpu.esr !== BigInt(errorCode) || cpu.far !== address) {
      return { kind: 'other', text: `${exception}, ESR and FAR are not as it says` };
    }
    return { kind: 'fault', esr: errorCode, far: address };
  };

  return {
    begin(one) {
      ram.begin(one);
      cpu = new Aarch64Cpu(memory, { ...one.control, physBits: 48 }, { caching });
    },
    perform(operation) {
      if (operation.kind === 'store') {
        ram.put64(Number(operation.address), operation.value); // in the arena
        return DONE;
      }
      if (operation.kind === 'register') {
        cpu.writeSystemRegister(`${operation.name.toUpperCase()}_EL1`, operation.value);
        return DONE;
      }
      if (operation.kind === 'tlbi') {
        invalidate(operation.name, operation.operand);
        return DONE;
      }
      if (operation.flush) invalidate('VMALLE1', 0n);
      cpu.pan = operation.pan;
      if (operation.kind === 'at') {
        cpu.el = 1;
        return { kind: 'par', value: cpu.at(operation.name, operation.address) };
      }
      const { kind, address, bytes, user, unprivileged, value } = operation;
      cpu.el = user ? 0 : 1;
      switch (kind) {
        case 'read':
          return told(cpu.read(address, bytes, { unprivileged }));
        case 'write':
          return told(cpu.write(address, bytes, value, { unprivileged }));
        case 'fetch':
          return told(cpu.fetch(address, bytes));
      }
    },
    word: (address) => ram.word(address),
    tableWords: () => ram.tableWords(),
    end: (one) => ram.end(one),
  };
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
