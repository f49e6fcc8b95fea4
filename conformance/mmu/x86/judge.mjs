// x86 on each emulator.

import { decodeAnswers } from '../answers.mjs';
import { endedText, versionOf } from '../emulator.mjs';
import { BOCHS } from './bochs.mjs';
import { createCase, modeOf } from './cases.mjs';
import { caseText, compareCase } from './compare.mjs';
import { isAccess } from './operations.mjs';
import { QEMU } from './qemu.mjs';
import { encodeScript, RESULT } from './script.mjs';

/** @typedef {import('./operations.mjs').Case} Case */
/** @typedef {import('./script.mjs').Answer} Answer */

/**
 * An emulator that can run the guest.
 *
 * @typedef {object} Emulator
 * @property {string} command
 * @property {readonly string[]} versionArgs - that make it print its version
 * @property {string} debianPackage
 * @property {import('./control.mjs').Processor} processor
 * @property {import('./deviations.mjs').Deviations} deviations
 * @property {(script: Uint8Array) => Promise<{ answer: Uint8Array, ended: import('../emulator.mjs').Ended }>} run
 */

/** Cases per guest; more need more room for the script. */
const BATCH = 300;

export const EMULATORS = { qemu: QEMU, bochs: BOCHS };

/**
 * @param {Emulator} emulator
 * @param {import('./subject.mjs').Subject} subject
 * @returns {import('../judge.mjs').Judge<Case, Answer>}
 */
export function x86Judge(emulator, subject) {
  const { command, versionArgs, debianPackage, processor, deviations } = emulator;
  return {
    command,
    debianPackage,
    version: () => versionOf(command, versionArgs),
    length: { accesses: 20_000 },
    batch: BATCH,
    modes: processor.modes,
    modeOf,
    createCase: (seed, number) => createCase(seed, number, processor),
    accesses: (one) => one.operations.filter(isAccess).length,
    async run(cases) {
      const { answer, ended } = await emulator.run(encodeScript(cases, processor));
      const { answers, complete, panic } = decodeAnswers(answer, cases, RESULT);
      return { answers, trouble: complete ? undefined : troubleText(panic, ended) };
    },
    compare: (one, answer) => compareCase(one, answer, subject, deviations),
    describe: caseText,
  };
}

/**
 * @param {import('./operations.mjs').Found | undefined} panic
 * @param {import('../emulator.mjs').Ended} ended
 */
function troubleText(panic, ended) {
  if (panic !== undefined) {
    const where = `at 0x${(panic.distance >>> 0).toString(16)}, error code 0x${panic.errorCode.toString(16)}`;
    return `exception ${panic.vector} in the guest itself, ${where}`;
  }
  return endedText(ended);
}
