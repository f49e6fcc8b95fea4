// Where QEMU 7.2 is known to do otherwise than the manual says. Each entry is as narrow as it can be, and brings what QEMU
// did to what the manual says; a run prints how often each was needed. Of Bochs none is known.
//
// Some are kept out of the cases instead, since they cannot be corrected: QEMU does not refuse a MOV to CR4 that clears PAE in
// long mode, nor one to CR3 with bits beyond MAXPHYADDR (`refusesReservedBits` in control.mjs), and its TLB does not notice
// a change of CR4.PKE or PKS (`toggleKeys` in sequences.mjs).
//
// The manual is Intel SDM vol. 3A (order 253668), chapter "Paging", unless said otherwise.

import { DONE, UNTOUCHED_CR2 } from './operations.mjs';
import { keyDenies } from './reference.mjs';
import { LARGE_PDPTE_ACCESSED, PAE_PDPTE_ACCESSED, STRADDLE_ACCESSED } from './stage.mjs';

/** @typedef {import('./operations.mjs').Access} Access */
/** @typedef {import('./operations.mjs').Found} Found */

/**
 * An access and what is known of it before it is made.
 *
 * @typedef {object} Circumstances
 * @property {import('./control.mjs').Mode} mode
 * @property {import('./control.mjs').Control} control - as it is at the access
 * @property {Access} access
 * @property {import('./reference.mjs').Prediction} prediction
 */

/**
 * @typedef {object} Deviation
 * @property {string} name
 * @property {string} manual - what the manual says instead
 * @property {(found: Found, circumstances: Circumstances) => Found | undefined} correct - what the manual says, if this is it
 */

const ERROR_P = 1;
const ERROR_RSVD = 8;
const ERROR_PK = 32;

const SS = 12;
const GP = 13;
const PF = 14;

/** @type {readonly Deviation[]} */
const OF_ACCESSES = [
  {
    name: 'reserved bit reported with P=0',
    manual: '"Page-Fault Exceptions": RSVD is set only with P, since only present entries have reserved bits',
    correct(found) {
      if (found.vector !== PF || (found.errorCode & (ERROR_P | ERROR_RSVD)) !== ERROR_RSVD) return undefined;
      return { ...found, errorCode: found.errorCode | ERROR_P };
    },
  },
  {
    name: 'non-canonical through the stack segment is #GP',
    manual: 'vol. 1, "Canonical Addressing", and vol. 3A, "Interrupt 12": a stack reference gives #SS(0)',
    correct(found, { access, prediction }) {
      if (found.vector !== GP || found.errorCode !== 0 || !access.stack || prediction.canonical)
        return undefined;
      return { ...found, vector: SS };
    },
  },
  {
    name: 'key of a supervisor-mode address ignored for a user access',
    manual:
      '"Page-Fault Exceptions": PK is set whenever the key of the address denies a data access, whatever else denies it',
    correct(found, { mode, control, access, prediction: { portions, straddle } }) {
      const { walk } = straddle?.portion ?? portions.at(-1) ?? {};
      if (found.vector !== PF || (found.errorCode & (ERROR_P | ERROR_RSVD | ERROR_PK)) !== ERROR_P)
        return undefined;
      if (!access.user || walk?.end !== 'leaf' || walk.user) return undefined;
      if (!keyDenies(mode, control, walk, access)) return undefined;
      return { ...found, errorCode: found.errorCode | ERROR_PK };
    },
  },
  {
    name: 'page fault before the canonical boundary',
    manual:
      'vol. 1, "Canonical Addressing": every byte must be canonical, before any translation: #GP(0) or #SS(0)',
    correct(found, { access, prediction: { straddle } }) {
      if (found.vector !== PF || found.cr2 !== access.address) return undefined;
      if (straddle === undefined || found.errorCode !== straddle.errorCode) return undefined;
      return { ...found, vector: access.stack ? SS : GP, errorCode: 0, cr2: UNTOUCHED_CR2 };
    },
  },
];

/**
 * Accessed bits that QEMU sets against the manual. Where they may show is found out while a case is being made.
 *
 * @type {readonly { name: string, manual: string }[]}
 */
const OF_WORDS = [
  {
    name: LARGE_PDPTE_ACCESSED,
    manual:
      '"Accessed and Dirty Flags": set when an entry is used for a translation; a refused access has none',
  },
  {
    name: STRADDLE_ACCESSED,
    manual: 'an access that is not canonical in all its bytes is refused before any translation',
  },
  {
    name: PAE_PDPTE_ACCESSED,
    manual: '"PDPTE Registers": bit 5 of a PDPTE is reserved, and the processor does not write it',
  },
];

/**
 * Operations on registers that are done although they must give #GP(0), by why they must.
 *
 * @type {readonly { name: string, manual: string, refusal: import('./operations.mjs').Refusal }[]}
 */
const OF_REGISTERS = [
  {
    name: 'MOV to CR3 ignores reserved bits of PDPTEs',
    manual: '"PDPTE Registers": the load gives #GP(0) if a PDPTE is present and has a reserved bit',
    refusal: 'reserved bit in a PDPTE',
  },
];

/**
 * What an emulator does otherwise than the manual says.
 *
 * @typedef {object} Deviations
 * @property {readonly Deviation[]} ofAccesses
 * @property {readonly { name: string, manual: string }[]} ofWords
 * @property {readonly { name: string, manual: string, refusal: import('./operations.mjs').Refusal }[]} ofRegisters
 */

/** @type {Deviations} */
export const QEMU_DEVIATIONS = { ofAccesses: OF_ACCESSES, ofWords: OF_WORDS, ofRegisters: OF_REGISTERS };

/** @type {Deviations} */
export const NO_DEVIATIONS = { ofAccesses: [], ofWords: [], ofRegisters: [] };

/**
 * Brings what an emulator did to what the manual says.
 *
 * @param {Found} found
 * @param {Circumstances} circumstances
 * @param {Deviations} deviations
 * @returns {{ corrected: Found, used: readonly string[] }}
 */
export function correctAccess(found, circumstances, { ofAccesses }) {
  /** @type {string[]} */
  const used = [];
  let corrected = found;
  for (const deviation of ofAccesses) {
    const next = deviation.correct(corrected, circumstances);
    if (next === undefined) continue;
    corrected = next;
    used.push(deviation.name);
  }
  return { corrected, used };
}

/**
 * The same of an operation on a register.
 *
 * @param {Found} found
 * @param {import('./operations.mjs').Refusal | undefined} refusal - why the manual refuses it
 * @param {Deviations} deviations
 * @returns {{ corrected: Found, used: readonly string[] }}
 */
export function correctRegister(found, refusal, { ofRegisters }) {
  const deviation = ofRegisters.find((each) => each.refusal === refusal);
  if (deviation === undefined || found.vector !== DONE) return { corrected: found, used: [] };
  return { corrected: { ...found, vector: GP, errorCode: 0, distance: 0 }, used: [deviation.name] };
}
