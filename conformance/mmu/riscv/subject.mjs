// What is judged: performs the operations of a case, and tells outcomes in the guest's words.

import { GuestRam } from '../guest-ram.mjs';
import { SketchMemory } from '../sketch-memory.mjs';
import { hasMemoryTypes, setsAccessedAndDirty, writtenSatp } from './control.mjs';
import { LAYOUT, RAM_BYTES, RAM_START } from './layout.mjs';
import { amoResult, isAccess } from './operations.mjs';
import { CAUSES, predict } from './reference.mjs';

/** @typedef {import('./operations.mjs').Access} Access */
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

/** Index of the kind among those of the model. */
const WRITE = 1;

/**
 * The model in `dist/cpu`, on memory like the guest's.
 *
 * @param {'all' | 'none' | number} caching - what its TLB keeps
 * @returns {Promise<Subject>}
 */
export async function modelSubject(caching) {
  const { RiscvCpu } = await import('../../../dist/cpu/index.js');
  const { flatMemory } = await import('../../../dist/memory/index.js');
  const ram = new GuestRam(LAYOUT);
  const memory = flatMemory(ram.words, [{ address: BigInt(RAM_START), offset: 0, length: RAM_BYTES }]);
  /** @type {import('../../../dist/cpu/index.js').RiscvCpu} */
  let cpu;
  /** @type {Case} */
  let current;

  /**
   * @param {ReturnType<import('../../../dist/cpu/index.js').RiscvCpu['read']>} outcome
   * @param {Access} access
   * @param {number} index
   * @returns {Expected}
   */
  const told = (outcome, access, index) => {
    if (outcome.kind === 'done') return { kind: 'done', value: outcome.value };
    if (outcome.kind === 'absent') {
      // The model leaves to others what an access to missing memory is; at which page it ends is the reference's word.
      const tval = current.predictions[index]?.fault?.tval ?? access.address;
      return { kind: 'fault', cause: CAUSES[access.kind].access, tval };
    }
    const { exception, cause, stval } = outcome;
    if (cpu.scause !== BigInt(cause) || cpu.stval !== stval) {
      return { kind: 'other', text: `${exception}, scause and stval are not as it says` };
    }
    return { kind: 'fault', cause, tval: stval };
  };

  /**
   * An AMO is a write that tells what was there.
   *
   * @param {Access} access
   * @param {number} index
   */
  const exchange = (access, index) => {
    const { address, bytes } = access;
    const frame = cpu.translate(Number(address >> 32n), Number(address & 0xffff_ffffn), WRITE); // 32 bits each
    if (frame < 0) return told(cpu.failure(), access, index);
    const at = frame * 4096 + Number(address & 0xfffn); // 12 bits
    if (at < RAM_START || at >= RAM_START + RAM_BYTES) {
      return told({ kind: 'absent', what: 'page', address: BigInt(at) }, access, index);
    }
    const old = BigInt(ram.word(at)) | (bytes === 8 ? BigInt(ram.word(at + 4)) << 32n : 0n);
    const outcome = cpu.write(address, bytes, amoResult(access, old));
    return told(outcome.kind === 'done' ? { kind: 'done', value: old } : outcome, access, index);
  };

  /**
   * @param {import('./control.mjs').RegisterName} name
   * @param {bigint} value
   */
  const setRegister = (name, value) => {
    if (name === 'menvcfg' && cpu.xlen === 32) cpu.writeCsr('menvcfgh', value >> 32n);
    else cpu.writeCsr(name, value);
  };

  return {
    begin(one) {
      current = one;
      ram.begin(one);
      const { machine, satp } = one.control;
      const control = {
        xlen: machine.xlen,
        satp,
        svnapot: machine.svnapot,
        svpbmt: hasMemoryTypes(one.control),
        adue: setsAccessedAndDirty(one.control),
      };
      cpu = new RiscvCpu(memory, control, { caching });
    },
    perform(operation, index) {
      switch (operation.kind) {
        case 'store': {
          const at = Number(operation.address); // in the arena
          if (operation.bytes === 8) ram.put64(at, operation.value);
          else ram.put(at, Number(operation.value)); // 32 bits
          return DONE;
        }
        case 'register':
          setRegister(operation.name, operation.value);
          return DONE;
        case 'fence': {
          const { address, asid } = operation;
          cpu.sfenceVma({
            ...(address === undefined ? {} : { address }),
            ...(asid === undefined ? {} : { asid }),
          });
          return DONE;
        }
        default:
      }
      const { kind, address, bytes, user, sum, mxr, modified, flush, value } = operation;
      const mode = user ? 'U' : 'S';
      if (flush) cpu.sfenceVma();
      cpu.sum = sum;
      cpu.mxr = mxr;
      // What an AMO asks first has no such option.
      const isOption = modified && kind !== 'amo';
      cpu.privilege = isOption ? 'M' : mode;
      const options = isOption ? /** @type {const} */ ({ as: mode }) : {};
      switch (kind) {
        case 'read':
          return told(cpu.read(address, bytes, options), operation, index);
        case 'write':
          return told(cpu.write(address, bytes, value, options), operation, index);
        case 'fetch':
          return told(cpu.fetch(address, bytes), operation, index);
        case 'amo':
          return exchange(operation, index);
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
