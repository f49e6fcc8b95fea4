// Where QEMU 7.2 is known to do otherwise than the manual says. Each entry is as narrow as it can be, and brings what QEMU did
// to what the manual says; a run prints how often each was needed.
//
// The manual is the Arm Architecture Reference Manual (DDI 0487, issue L), chapter D8, unless said otherwise.

import { BRK_ESR, UNTOUCHED_FAR } from './operations.mjs';
import { strayBlock } from './reference.mjs';
import { AT_DIRTIES, STRAY_BLOCK_ACCESSED, STRAY_BLOCK_DIRTIED, seemsUnwritable } from './stage.mjs';

/** @typedef {import('./operations.mjs').Access} Access */
/** @typedef {import('./operations.mjs').Found} Found */
/** @typedef {import('./operations.mjs').Translate} Translate */

/**
 * @typedef {object} Deviation
 * @property {string} name
 * @property {string} manual - what the manual says instead
 * @property {(found: Found, operation: Access | Translate, prediction: import('./reference.mjs').Prediction) => Found | undefined}
 *   correct - what the manual says, if this is it
 */

/** Status code in ESR: an external abort. */
const NOTHING_THERE = 16;

/**
 * Whether QEMU, once it has taken an entry for a block, may find that.
 *
 * @param {number} status
 * @param {number} level
 */
function mayFollow(status, level) {
  return status === NOTHING_THERE || ((status & 3) === level && status <= 12 + level && (status & ~3) !== 4);
}

/** PAR of a success: whether it faulted, and the shareability. */
const PAR_F = 1n;
const PAR_SH = 3n << 7n;
const OUTER_SHAREABLE = 2n << 7n;

/** @type {readonly Deviation[]} */
export const DEVIATIONS = [
  {
    name: 'block where there is none is one',
    manual:
      '"VMSAv8-64 descriptor formats": without 52-bit addresses, bits 1:0 = 01 are invalid at level 0 with a granule of 4 KiB, ' +
      'and at levels below 2 with those of 16 and 64 KiB',
    correct(found, operation, { fault, portions, par }) {
      const entry = strayBlock(portions[portions.length - 1].walk);
      if (fault === undefined || entry === undefined) return undefined;
      if (operation.kind === 'at') {
        const status = Number((found.value >> 1n) & 63n); // 6 bits
        const faulted = (found.value & PAR_F) !== 0n;
        return !faulted || mayFollow(status, entry.level) ? { ...found, value: par } : undefined;
      }
      const { esr, far } = fault;
      if (((found.esr ^ esr) & ~63) !== 0 || !mayFollow(found.esr & 63, entry.level)) return undefined;
      // QEMU splits unaligned accesses before it finds nothing there.
      return { ...found, esr, far: (found.esr & 63) === NOTHING_THERE ? far : found.far };
    },
  },
  {
    name: 'page that hardware may make dirty is executable',
    manual:
      '"Stage 1 data accesses using Direct permissions", dirty state: a page with DBM counts as writable, and what is ' +
      'writable at EL0, or with SCTLR.WXN, is not executable',
    correct(found, operation, { fault, portions }) {
      if (operation.kind !== 'fetch' || fault?.kind !== 'permission') return undefined;
      if (!seemsUnwritable(operation, portions[0].walk)) return undefined;
      if ((found.esr & 0xffff_0000) >>> 0 !== BRK_ESR || found.far !== UNTOUCHED_FAR) return undefined;
      return { ...found, esr: fault.esr, far: fault.far };
    },
  },
  {
    name: 'PC alignment fault behind an instruction abort',
    manual:
      '"Synchronous exception prioritization for exceptions taken to AArch64 state": the PC is checked first',
    correct(found, operation, { fault }) {
      if (operation.kind !== 'fetch' || fault?.kind !== 'alignment' || found.far !== fault.far)
        return undefined;
      const exceptionClass = found.esr >>> 26;
      return exceptionClass === 0x20 || exceptionClass === 0x21 ? { ...found, esr: fault.esr } : undefined;
    },
  },
  {
    name: 'PAR tells the shareability of device memory and of what is not cached',
    manual: 'PAR_EL1, SH: 10 for device memory and for normal memory that is not cacheable, inner and outer',
    correct(found, operation, { par, portions }) {
      if (operation.kind !== 'at' || ((found.value | par) & PAR_F) !== 0n) return undefined;
      const { entries, shareability } = portions[0].walk;
      const raw = BigInt(entries.length === 0 ? 0 : shareability) << 7n;
      if ((par & PAR_SH) !== OUTER_SHAREABLE || raw === OUTER_SHAREABLE) return undefined;
      if ((found.value & PAR_SH) !== raw) return undefined;
      return { ...found, value: (found.value & ~PAR_SH) | OUTER_SHAREABLE };
    },
  },
];

/** @type {readonly import('../compare-words.mjs').WordDeviation[]} */
export const WORD_DEVIATIONS = [
  {
    name: AT_DIRTIES,
    manual: '"Hardware management of the dirty state": address translation instructions do not update it',
    clears: true,
  },
  { name: STRAY_BLOCK_ACCESSED, manual: 'an invalid entry is not updated' },
  { name: STRAY_BLOCK_DIRTIED, manual: 'an invalid entry is not updated', clears: true },
];

/**
 * Brings what an emulator did to what the manual says.
 *
 * @param {Found} found
 * @param {Access | Translate} operation
 * @param {import('./reference.mjs').Prediction} prediction
 * @returns {{ corrected: Found, used: readonly string[] }}
 */
export function correct(found, operation, prediction) {
  /** @type {string[]} */
  const used = [];
  let corrected = found;
  for (const deviation of DEVIATIONS) {
    const next = deviation.correct(corrected, operation, prediction);
    if (next === undefined) continue;
    corrected = next;
    used.push(deviation.name);
  }
  return { corrected, used };
}
