// AArch64 on QEMU.

import { decodeAnswers } from '../answers.mjs';
import { endedText, versionOf } from '../emulator.mjs';
import { createCase, modeOf } from './cases.mjs';
import { caseText, compareCase } from './compare.mjs';
import { isTranslated, MODES } from './operations.mjs';
import { COMMAND, runScript } from './qemu.mjs';
import { encodeScript, RESULT } from './script.mjs';

/** @typedef {import('./operations.mjs').Case} Case */
/** @typedef {import('./script.mjs').Answer} Answer */

/** Cases per guest; more need more room for the script and the answers. */
const BATCH = 500;

/**
 * @param {import('./subject.mjs').Subject} subject
 * @returns {import('../judge.mjs').Judge<Case, Answer>}
 */
export function aarch64Judge(subject) {
  return {
    command: COMMAND,
    debianPackage: 'qemu-system-arm',
    version: () => versionOf(COMMAND, ['--version']),
    length: { cases: 10_000 },
    batch: BATCH,
    modes: MODES,
    modeOf,
    createCase,
    accesses: (one) => one.operations.filter(isTranslated).length,
    async run(cases) {
      const { answer, ended } = await runScript(encodeScript(cases));
      const { answers, complete, panic } = decodeAnswers(answer, cases, RESULT);
      return { answers, trouble: complete ? undefined : troubleText(panic, ended) };
    },
    compare: (one, answer) => compareCase(one, answer, subject),
    describe: caseText,
  };
}

/**
 * @param {import('./operations.mjs').Found | undefined} panic
 * @param {import('../emulator.mjs').Ended} ended
 */
function troubleText(panic, ended) {
  if (panic !== undefined) {
    const where = `at 0x${(panic.distance >>> 0).toString(16)}, FAR 0x${panic.far.toString(16)}`;
    return `exception in the guest itself, ESR 0x${panic.esr.toString(16)} ${where}`;
  }
  return endedText(ended);
}
