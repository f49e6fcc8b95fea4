// What a guest found of a case against what the subject says.

import { compareWords } from '../compare-words.mjs';
import { performed } from '../judge.mjs';
import { WORD_DEVIATIONS } from './deviations.mjs';
import { ECALL, ILLEGAL_INSTRUCTION, isAccess, operationText, privilegeOf } from './operations.mjs';
import { walkText } from './reference.mjs';

/** @typedef {import('./operations.mjs').Case} Case */
/** @typedef {import('./operations.mjs').Operation} Operation */
/** @typedef {import('./operations.mjs').Found} Found */
/** @typedef {import('./reference.mjs').Prediction} Prediction */
/** @typedef {import('./subject.mjs').Expected} Expected */

/** From a stub's first instruction to its ECALL. */
const STUB_BYTES = 4;

/**
 * @param {Case} one
 * @param {import('./script.mjs').Answer} answer
 * @param {import('./subject.mjs').Subject} subject
 * @returns {import('../report.mjs').Verdict}
 */
export function compareCase(one, answer, subject) {
  /** @type {string[]} */
  const differences = [];
  /** @type {Map<string, number>} */
  const deviations = new Map();
  /** @type {Map<string, number>} */
  const faults = new Map();
  let accesses = 0;
  /**
   * @param {Map<string, number>} counts
   * @param {string} name
   */
  const count = (counts, name) => counts.set(name, (counts.get(name) ?? 0) + 1);

  subject.begin(one);
  for (const [i, operation] of one.operations.entries()) {
    const expected = performed(subject, operation, i);
    const found = answer.results[i];
    if (found === undefined) {
      differences.push(`operation ${i}: no result`);
      break;
    }
    const prediction = one.predictions[i];
    if (prediction !== undefined) {
      accesses++;
      if (prediction.fault !== undefined) count(faults, prediction.fault.kind);
    }
    // Exactly what QEMU does where it deviates stands for what the manual says.
    const deviating = one.deviating[i];
    const deviates =
      deviating !== undefined &&
      mismatch(operation, expectedOf(deviating.prediction, deviating.value), found) === undefined;
    if (deviates) for (const name of deviating.names) count(deviations, name);
    const wrong = deviates ? disagreement(expected, prediction) : mismatch(operation, expected, found);
    if (wrong !== undefined) differences.push(differenceText(one, i, expected, found, wrong));
  }
  const ofWords = (/** @type {string} */ name) => count(deviations, name);
  differences.push(...compareWords(one, answer, subject, WORD_DEVIATIONS, ofWords));
  subject.end(one);
  return { differences, deviations, faults, accesses, others: one.operations.length - accesses };
}

/**
 * @param {Prediction} prediction
 * @param {bigint} value - that is read, if it does not fault
 * @returns {Expected}
 */
export function expectedOf({ fault }, value) {
  return fault === undefined
    ? { kind: 'done', value }
    : { kind: 'fault', cause: fault.cause, tval: fault.tval };
}

/**
 * What is not as expected, in a few words.
 *
 * @param {Operation} operation
 * @param {Expected} expected
 * @param {Found} found
 */
export function mismatch(operation, expected, found) {
  if (expected.kind === 'other') return 'outcome';
  if (found.privilege !== privilegeOf(operation)) return 'privilege';
  if (expected.kind === 'fault') {
    if (found.cause !== expected.cause) return 'cause';
    if (found.tval !== expected.tval) return 'tval';
    return found.distance === 0 ? undefined : 'epc';
  }
  return operation.kind === 'fetch'
    ? fetchMismatch(expected, found)
    : valueMismatch(operation, expected, found);
}

/**
 * @param {{ value: bigint }} expected
 * @param {Found} found
 */
function fetchMismatch({ value }, { cause, distance, tval }) {
  if (cause !== ILLEGAL_INSTRUCTION || distance !== 0) return 'outcome';
  return tval === value ? undefined : 'instruction';
}

/**
 * @param {Operation} operation
 * @param {{ value: bigint }} expected
 * @param {Found} found
 */
function valueMismatch(operation, { value }, { cause, distance, privilege, tval, value: read }) {
  if (cause !== ECALL + privilege || distance !== STUB_BYTES) return 'outcome';
  if (tval !== 0n) return 'tval';
  if (!isAccess(operation) || operation.kind === 'write') return undefined;
  // Some loads extend the sign.
  return BigInt.asUintN(operation.bytes * 8, read) === value ? undefined : 'value';
}

/**
 * What the subject does otherwise than the manual, where QEMU cannot tell.
 *
 * @param {Expected} expected
 * @param {Prediction | undefined} prediction
 */
function disagreement(expected, prediction) {
  const fault = prediction?.fault;
  if (expected.kind !== 'fault' || fault === undefined) return 'outcome';
  return expected.cause === fault.cause && expected.tval === fault.tval ? undefined : 'cause or tval';
}

/**
 * @param {Case} one
 * @param {number} i
 * @param {Expected} expected
 * @param {Found} found
 * @param {string} wrong
 */
function differenceText(one, i, expected, found, wrong) {
  const lines = [
    `operation ${i}: ${operationText(one.operations[i])}`,
    `  ${wrong} differs`,
    `  found: ${foundText(found)}`,
    `  expected: ${expectedText(expected)}`,
  ];
  const deviating = one.deviating[i];
  if (deviating !== undefined) {
    const { names, prediction, value } = deviating;
    lines.push(`  expected of QEMU: ${expectedText(expectedOf(prediction, value))} (${names.join(', ')})`);
  }
  for (const { va, walk } of one.predictions[i]?.portions ?? []) {
    lines.push(`  walk of 0x${va.toString(16)}:`, ...walkText(walk).map((line) => `    ${line}`));
  }
  return lines.join('\n');
}

/** @param {Found} found */
export function foundText({ cause, distance, privilege, tval, value }) {
  return (
    `cause ${cause} from mode ${privilege}, tval 0x${tval.toString(16)}, ` +
    `epc ${distance} bytes from the instruction, value 0x${value.toString(16)}`
  );
}

/** @param {Expected} expected */
function expectedText(expected) {
  switch (expected.kind) {
    case 'done':
      return `done, value 0x${expected.value.toString(16)}`;
    case 'other':
      return expected.text;
    case 'fault':
      return `cause ${expected.cause}, tval 0x${expected.tval.toString(16)}`;
  }
}

/**
 * What a case starts from, in one line.
 *
 * @param {Case} one
 */
export function caseText({ number, mode, control: { machine, satp, menvcfg } }) {
  return `case ${number}, ${mode}, ${machine.name}: satp=0x${satp.toString(16)} menvcfg=0x${menvcfg.toString(16)}`;
}
