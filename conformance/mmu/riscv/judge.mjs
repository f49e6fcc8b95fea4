// RISC-V on QEMU.

import { decodeAnswers } from '../answers.mjs';
import { endedText, versionOf } from '../emulator.mjs';
import { createCase, modeOf } from './cases.mjs';
import { caseText, compareCase } from './compare.mjs';
import { isAccess, MODES } from './operations.mjs';
import { COMMANDS, runScript } from './qemu.mjs';
import { encodeScript, RESULT } from './script.mjs';

/** @typedef {import('./control.mjs').Machine} Machine */
/** @typedef {import('./operations.mjs').Case} Case */
/** @typedef {import('./script.mjs').Answer} Answer */

/** Cases per group of guests, one for each processor; more need more room for the script and the answers. */
const BATCH = 1000;

/**
 * @param {import('./subject.mjs').Subject} subject
 * @returns {import('../judge.mjs').Judge<Case, Answer>}
 */
export function riscvJudge(subject) {
  return {
    command: COMMANDS[64],
    debianPackage: 'qemu-system-misc',
    version: () => versionOf(COMMANDS[64], ['--version']),
    length: { cases: 10_000 },
    batch: BATCH,
    modes: MODES,
    modeOf,
    createCase,
    accesses: (one) => one.operations.filter(isAccess).length,
    run: runCases,
    compare: (one, answer) => compareCase(one, answer, subject),
    describe: caseText,
  };
}

/**
 * Runs cases, each on its processor.
 *
 * @param {readonly Case[]} cases
 * @returns {Promise<import('../judge.mjs').Answers<Answer>>}
 */
async function runCases(cases) {
  /** @type {Map<Machine, Case[]>} */
  const byMachine = new Map();
  for (const one of cases) {
    const { machine } = one.control;
    const others = byMachine.get(machine);
    if (others === undefined) byMachine.set(machine, [one]);
    else others.push(one);
  }
  /** @type {Map<Case, Answer>} */
  const answered = new Map();
  /** @type {Map<Case, string>} */
  const troubles = new Map();
  for (const [machine, group] of byMachine) {
    const { answer, ended } = await runScript(machine, encodeScript(group));
    const { answers, complete, panic } = decodeAnswers(answer, group, RESULT);
    for (const [i, each] of answers.entries()) answered.set(group[i], each);
    if (!complete) troubles.set(group[answers.length] ?? group[group.length - 1], troubleText(panic, ended));
  }
  /** @type {Answer[]} */
  const answers = [];
  for (const one of cases) {
    const answer = answered.get(one);
    if (answer === undefined) return { answers, trouble: troubles.get(one) };
    answers.push(answer);
  }
  const [trouble] = troubles.values();
  return { answers, trouble };
}

/**
 * @param {import('./operations.mjs').Found | undefined} panic
 * @param {import('../emulator.mjs').Ended} ended
 */
function troubleText(panic, ended) {
  if (panic === undefined) return endedText(ended);
  const { cause, distance, tval } = panic;
  return `exception in the guest itself, cause ${cause} at 0x${(distance >>> 0).toString(16)}, mtval 0x${tval.toString(16)}`;
}
