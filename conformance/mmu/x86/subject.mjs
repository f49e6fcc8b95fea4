// What is judged: performs the operations of a case, and tells outcomes in the guest's words.

import { GuestRam } from '../guest-ram.mjs';
import { SketchMemory } from '../sketch-memory.mjs';
import { CR4_PGE, entryBytes, PHYS_BITS } from './control.mjs';
import { LAYOUT } from './layout.mjs';
import { isAccess } from './operations.mjs';
import { predict } from './reference.mjs';

/** @typedef {import('./operations.mjs').Case} Case */
/** @typedef {import('./operations.mjs').Operation} Operation */

/**
 * What an operation must give.
 *
 * @typedef {{ kind: 'done', value: bigint }
 *   | { kind: 'fault', vector: number, errorCode: number, cr2: bigint | undefined }
 *   | { kind: 'other', text: string }} Expected
 */

/** @typedef {import('../judge.mjs').Subject<Case, Operation, Expected>} Subject */

const VECTORS = { '#SS': 12, '#GP': 13, '#PF': 14 };

/** PAT after reset. */
const PAT = 0x0007_0406_0007_0406n;

/** @type {Expected} */
const DONE = { kind: 'done', value: 0n };

/**
 * The model in `dist/cpu`, on memory like the guest's.
 *
 * @param {'all' | 'none' | number} caching - what its TLB keeps
 * @returns {Promise<Subject>}
 */
export async function modelSubject(caching) {
  const { X86Cpu } = await import('../../../dist/cpu/index.js');
  const { flatMemory } = await import('../../../dist/memory/index.js');
  const ram = new GuestRam(LAYOUT);
  const memory = flatMemory(ram.words);
  /** @type {import('../../../dist/cpu/index.js').X86Cpu} */
  let cpu;

  /**
   * @param {any} outcome
   * @returns {Expected}
   */
  const told = (outcome) => {
    if (outcome === undefined) return DONE;
    if (outcome.kind === 'done') return { kind: 'done', value: outcome.value };
    if (outcome.kind === 'absent') {
      return { kind: 'other', text: `no memory at 0x${outcome.address.toString(16)}` };
    }
    const { exception, errorCode, cr2 } = outcome;
    return {
      kind: 'fault',
      vector: VECTORS[/** @type {keyof typeof VECTORS} */ (exception)],
      errorCode,
      cr2,
    };
  };

  return {
    begin(one) {
      ram.begin(one);
      cpu = new X86Cpu(
        memory,
        { ...one.control, pat: PAT, physBits: PHYS_BITS, page1GB: true, pse36: true, amd: false },
        { caching, accessedDirty: true },
      );
    },
    perform(operation) {
      cpu.cpl = 0;
      if (isAccess(operation)) {
        if (operation.flush) {
          const { cr3, cr4 } = cpu;
          const refused = cpu.writeCr3(cr3);
          if (refused !== undefined) return told(refused);
          if ((cr4 & CR4_PGE) !== 0n) {
            cpu.writeCr4(cr4 ^ CR4_PGE);
            cpu.writeCr4(cr4);
          }
        }
        const { kind, address, bytes, value, stack } = operation;
        cpu.cpl = operation.user ? 3 : 0;
        cpu.ac = operation.ac;
        switch (kind) {
          case 'read':
            return told(cpu.read(address, bytes, { stack }));
          case 'write':
            return told(cpu.write(address, bytes, value, { stack }));
          case 'fetch':
            return told(cpu.fetch(address, bytes));
        }
      }
      switch (operation.kind) {
        case 'store': {
          const at = Number(operation.address); // in the arena
          if (operation.bytes === 8) ram.put64(at, operation.value);
          else ram.put(at, Number(operation.value)); // 32 bits
          return DONE;
        }
        case 'cr0':
          return told(cpu.writeCr0(operation.value));
        case 'cr3':
          return told(cpu.writeCr3(operation.value));
        case 'cr4':
          return told(cpu.writeCr4(operation.value));
        case 'efer':
          return told(cpu.writeEfer(operation.value));
        case 'pkru':
          return told(cpu.writePkru(operation.value));
        case 'pkrs':
          return told(cpu.writePkrs(operation.value));
        case 'invlpg':
          return told(cpu.invlpg(operation.address));
        case 'invpcid':
          return told(cpu.invpcid(/** @type {0} */ (operation.type), operation.pcid, operation.address));
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
  /** @type {import('./control.mjs').Mode} */
  let mode;
  /** @type {Case['refusals']} */
  let refusals;
  return {
    begin(one) {
      memory = new SketchMemory(LAYOUT);
      memory.words = new Map(one.words);
      control = { ...one.control };
      ({ mode, refusals } = one);
    },
    perform(operation, index) {
      if (refusals.has(index)) return { kind: 'fault', vector: VECTORS['#GP'], errorCode: 0, cr2: undefined };
      if (!isAccess(operation)) {
        if (operation.kind === 'store') memory.write(operation.address, operation.bytes, operation.value);
        else if (operation.kind !== 'invlpg' && operation.kind !== 'invpcid') {
          control[operation.kind] = operation.value;
        }
        return DONE;
      }
      const { fault, portions } = predict((pa, bytes) => memory.read(pa, bytes), mode, control, operation);
      if (fault !== undefined) return { kind: 'fault', ...fault };
      let value = 0n;
      let shift = 0n;
      for (const { updates } of portions) {
        const size = entryBytes(mode);
        for (const { address, value: set } of updates) {
          memory.write(address, size, memory.read(address, size) | set);
        }
      }
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
