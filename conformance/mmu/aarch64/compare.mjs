// What the guest found of a case against what the subject says.

import { compareWords } from '../compare-words.mjs';
import { performed } from '../judge.mjs';
import { correct, WORD_DEVIATIONS } from './deviations.mjs';
import { BRK } from './layout.mjs';
import {
  BRK_ESR,
  isAccess,
  isTranslated,
  NO_VECTOR,
  operationText,
  SVC_ESR,
  UNTOUCHED_FAR,
} from './operations.mjs';
import { walkText } from './reference.mjs';

/** @typedef {import('./operations.mjs').Case} Case */
/** @typedef {import('./operations.mjs').Operation} Operation */
/** @typedef {import('./operations.mjs').Found} Found */
/** @typedef {import('./subject.mjs').Expected} Expected */

/** Vectors of synchronous exceptions. */
const FROM_EL1 = 4;
const FROM_EL0 = 8;

/** From a stub's first instruction to behind its SVC. */
const ACCESS_BYTES = 8;
const AT_BYTES = 16;

const PAR_F = 1n;

/** Bits of PAR that may have any value: NS and bit 10 of a success, bits 63 to 48 of a fault. */
const OPEN_OF_SUCCESS = 3n << 9n;
const OPEN_OF_FAULT = 0xffffn << 48n;

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
    let corrected = found;
    if (isTranslated(operation) && prediction !== undefined) {
      accesses++;
      const result = correct(found, operation, prediction);
      corrected = result.corrected;
      for (const name of result.used) count(deviations, name);
      if (prediction.fault !== undefined) count(faults, prediction.fault.kind);
    }
    const wrong = mismatch(operation, expected, corrected);
    if (wrong !== undefined) differences.push(differenceText(one, i, expected, found, wrong));
  }
  const ofWords = (/** @type {string} */ name) => count(deviations, name);
  differences.push(...compareWords(one, answer, subject, WORD_DEVIATIONS, ofWords));
  subject.end(one);
  return { differences, deviations, faults, accesses, others: one.operations.length - accesses };
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
  if (isAccess(operation)) {
    if (found.vector !== (operation.user ? FROM_EL0 : FROM_EL1)) return 'privilege level';
    return expected.kind === 'fault'
      ? faultMismatch(expected, found)
      : valueMismatch(operation, expected, found);
  }
  const inside = operation.kind === 'at' && operation.inside;
  if (found.vector !== (inside ? FROM_EL1 : NO_VECTOR)) return 'outcome';
  if (inside && (found.esr !== SVC_ESR || found.distance !== AT_BYTES)) return 'outcome';
  if (expected.kind !== 'par') return undefined;
  const open = (expected.value & PAR_F) === 0n ? OPEN_OF_SUCCESS : OPEN_OF_FAULT;
  return ((found.value ^ expected.value) & ~open) === 0n ? undefined : 'PAR';
}

/**
 * @param {{ esr: number, far: bigint }} expected
 * @param {Found} found
 */
function faultMismatch({ esr, far }, found) {
  if (found.esr !== esr) return 'ESR';
  if (found.far !== far) return 'FAR';
  return found.distance === 0 ? undefined : 'ELR';
}

/**
 * @param {import('./operations.mjs').Access} access
 * @param {{ value: bigint }} expected
 * @param {Found} found
 */
function valueMismatch({ kind }, { value }, found) {
  const isFetch = kind === 'fetch';
  const isDone = isFetch ? (found.esr & 0xffff_0000) >>> 0 === BRK_ESR : found.esr === SVC_ESR;
  if (!isDone || found.distance !== (isFetch ? 0 : ACCESS_BYTES)) return 'outcome';
  if (found.far !== UNTOUCHED_FAR) return 'FAR';
  const read = isFetch ? BigInt((BRK | ((found.esr & 0xffff) << 5)) >>> 0) : found.value;
  return kind === 'write' || read === value ? undefined : 'value';
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
  for (const { va, walk } of one.predictions[i]?.portions ?? []) {
    lines.push(`  walk of 0x${va.toString(16)}:`, ...walkText(walk).map((line) => `    ${line}`));
  }
  return lines.join('\n');
}

/** @param {Found} found */
export function foundText({ vector, esr, spsr, distance, far, value }) {
  if (vector === NO_VECTOR) return `done, value 0x${value.toString(16)}`;
  return (
    `vector ${vector}, ESR 0x${esr.toString(16)}, FAR 0x${far.toString(16)}, SPSR 0x${spsr.toString(16)}, ` +
    `ELR ${distance} bytes from the instruction, value 0x${value.toString(16)}`
  );
}

/** @param {Expected} expected */
function expectedText(expected) {
  switch (expected.kind) {
    case 'done':
      return `done, value 0x${expected.value.toString(16)}`;
    case 'par':
      return `PAR 0x${expected.value.toString(16)}`;
    case 'other':
      return expected.text;
    case 'fault':
      return `ESR 0x${expected.esr.toString(16)}, FAR 0x${expected.far.toString(16)}`;
  }
}

/**
 * What a case starts from, in one line.
 *
 * @param {Case} one
 */
export function caseText({ number, mode, control }) {
  const registers = Object.entries(control)
    .map(([name, value]) => `${name}=0x${value.toString(16)}`)
    .join(' ');
  return `case ${number}, ${mode}: ${registers}`;
}
