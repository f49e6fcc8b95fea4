// What the guest found of a case against what the subject says.

import { compareWords } from '../compare-words.mjs';
import { performed } from '../judge.mjs';
import { correctAccess, correctRegister } from './deviations.mjs';
import { DONE, INT3_VECTOR, isAccess, operationText, PF, UNTOUCHED_CR2 } from './operations.mjs';
import { rootAddress, walkText } from './reference.mjs';

/** @typedef {import('./operations.mjs').Case} Case */
/** @typedef {import('./operations.mjs').Operation} Operation */
/** @typedef {import('./operations.mjs').Found} Found */
/** @typedef {import('./subject.mjs').Expected} Expected */

/** @type {Readonly<Record<number, string>>} */
const NAMES = { 12: '#SS', 13: '#GP', 14: '#PF' };

/**
 * @param {Case} one
 * @param {import('./script.mjs').Answer} answer
 * @param {import('./subject.mjs').Subject} subject
 * @param {import('./deviations.mjs').Deviations} known
 * @returns {import('../report.mjs').Verdict}
 */
export function compareCase(one, answer, subject, known) {
  /** @type {string[]} */
  const differences = [];
  /** @type {Map<string, number>} */
  const deviations = new Map();
  /** @type {Map<string, number>} */
  const faults = new Map();
  let accesses = 0;
  let control = one.control;

  subject.begin(one);
  if (answer.results.length !== one.operations.length) {
    const [first] = answer.results;
    differences.push(`${answer.results.length} results, the first one: ${foundText(first)}`);
  }
  for (const [i, operation] of one.operations.entries()) {
    const expected = performed(subject, operation, i);
    const found = answer.results[i];
    if (found === undefined) break;
    let corrected = found;
    const prediction = one.predictions[i];
    if (isAccess(operation) && prediction !== undefined) {
      accesses++;
      const result = correctAccess(found, { mode: one.mode, control, access: operation, prediction }, known);
      corrected = result.corrected;
      for (const name of result.used) count(deviations, name);
      if (expected.kind === 'fault') count(faults, NAMES[expected.vector]);
    } else {
      const result = correctRegister(found, one.refusals.get(i), known);
      corrected = result.corrected;
      for (const name of result.used) count(deviations, name);
    }
    const wrong = mismatch(operation, expected, corrected);
    if (wrong !== undefined) differences.push(differenceText(one, i, expected, found, wrong));
    control = controlAfter(control, operation, expected);
  }
  const ofWords = (/** @type {string} */ name) => count(deviations, name);
  differences.push(...compareWords(one, answer, subject, known.ofWords, ofWords));
  subject.end(one);
  return { differences, deviations, faults, accesses, others: one.operations.length - accesses };
}

/**
 * @param {Map<string, number>} counts
 * @param {string} name
 */
function count(counts, name) {
  counts.set(name, (counts.get(name) ?? 0) + 1);
}

/**
 * @param {import('./control.mjs').Control} control
 * @param {Operation} operation
 * @param {Expected} expected
 */
function controlAfter(control, operation, expected) {
  if (expected.kind !== 'done') return control;
  switch (operation.kind) {
    case 'cr0':
    case 'cr3':
    case 'cr4':
    case 'efer':
    case 'pkru':
    case 'pkrs':
      return { ...control, [operation.kind]: operation.value };
    default:
      return control;
  }
}

/**
 * What is not as expected, in a few words.
 *
 * @param {Operation} operation
 * @param {Expected} expected
 * @param {Found} found
 */
function mismatch(operation, expected, found) {
  if (expected.kind === 'other') return 'outcome';
  if (expected.kind === 'fault') {
    if (found.vector !== expected.vector) return 'outcome';
    if (found.errorCode !== expected.errorCode) return 'error code';
    if (isAccess(operation)) {
      if (found.cr2 !== (expected.vector === PF ? expected.cr2 : UNTOUCHED_CR2)) return 'CR2';
      if (expected.vector === PF && found.fromCpl !== (operation.user ? 3 : 0)) return 'privilege level';
    }
    // IRET may refuse a non-canonical address before it goes there.
    const atTarget = operation.kind !== 'fetch' || expected.vector === PF;
    return atTarget && found.distance !== 0 ? 'instruction pointer' : undefined;
  }
  if (operation.kind === 'fetch') {
    if (found.vector !== INT3_VECTOR || found.distance !== 1) return 'outcome';
  } else if (found.vector !== DONE) return 'outcome';
  if (isAccess(operation)) {
    if (found.fromCpl !== (operation.user ? 3 : 0)) return 'privilege level';
    if (found.cr2 !== UNTOUCHED_CR2) return 'CR2';
  }
  return operation.kind === 'read' && found.value !== expected.value ? 'value' : undefined;
}

/**
 * @param {Case} one
 * @param {number} i
 * @param {Expected} expected
 * @param {Found} found
 * @param {string} wrong
 */
function differenceText(one, i, expected, found, wrong) {
  const prediction = one.predictions[i];
  const lines = [
    `operation ${i}: ${operationText(one.operations[i])}`,
    `  ${wrong} differs`,
    `  found: ${foundText(found)}`,
    `  expected: ${expectedText(expected)}`,
  ];
  for (const { linear, walk } of prediction?.portions ?? []) {
    lines.push(`  walk of 0x${linear.toString(16)}:`, ...walkText(walk).map((line) => `    ${line}`));
  }
  return lines.join('\n');
}

/** @param {Found | undefined} found */
export function foundText(found) {
  if (found === undefined) return 'nothing';
  const { vector, fromCpl, errorCode, distance, cr2, value } = found;
  if (vector === DONE) return `done, value 0x${value.toString(16)}`;
  return (
    `vector ${vector}, error code 0x${errorCode.toString(16)}, CR2 0x${cr2.toString(16)}, ` +
    `from CPL ${fromCpl}, ${distance} bytes from the instruction`
  );
}

/** @param {Expected} expected */
function expectedText(expected) {
  if (expected.kind === 'done') return `done, value 0x${expected.value.toString(16)}`;
  if (expected.kind === 'other') return expected.text;
  const { vector, errorCode, cr2 } = expected;
  const where = cr2 === undefined ? '' : `, CR2 0x${cr2.toString(16)}`;
  return `vector ${vector}, error code 0x${errorCode.toString(16)}${where}`;
}

/**
 * What a case starts from, in one line.
 *
 * @param {Case} one
 */
export function caseText(one) {
  const { cr0, cr3, cr4, efer, pkru, pkrs } = one.control;
  const registers = Object.entries({ cr0, cr3, cr4, efer, pkru, pkrs })
    .map(([name, value]) => `${name}=0x${value.toString(16)}`)
    .join(' ');
  return `case ${one.number}, ${one.mode}, root at 0x${rootAddress(one.mode, cr3).toString(16)}: ${registers}`;
}
