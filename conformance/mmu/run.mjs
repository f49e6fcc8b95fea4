// Judges the model of the x86 MMU by QEMU or Bochs: random page tables, registers and accesses, each performed by a small program in
// a virtual machine and by the model.
//
// Usage: node conformance/mmu/run.mjs [--seed N] [--accesses N] [--modes 32-bit,PAE,4-level,5-level] [--case K]
//                                      [--emulator qemu|bochs] [--caching all|none|N] [--against model|reference]
//
// A case follows from the seed, its number and the emulator; --case performs that one alone. --emulator bochs runs the same
// program in Bochs. --caching says what the model's TLB keeps: all that it may (the default), nothing, or N translations.
// --against reference judges, in place of the model, the plain walker that the cases are made with.
//
// Prints for each mode the accesses, how they ended, differences, and how often each known deviation of the emulator was met;
// last `N passed, N failed, N skipped`, counted in cases. Exit code: 0 no differences, or the emulator is missing outside of
// CI; 1 differences, or a guest that did not come to its end; 2 wrong usage.

import { parseArgs } from 'node:util';
import { batchesOf, judgeCases } from './judge.mjs';
import { Report } from './report.mjs';
import { EMULATORS, x86Judge } from './x86/judge.mjs';
import { modelSubject, referenceSubject } from './x86/subject.mjs';

/** Cases per guest; more need more room for the script. */
const BATCH = 300;

const DEFAULT_ACCESSES = 20_000;

const SUBJECTS = { model: modelSubject, reference: referenceSubject };

process.exitCode = await main();

async function main() {
  const options = readOptions();
  if (options === undefined) return 2;
  const { seed, emulator, against } = options;
  const judge = x86Judge(EMULATORS[emulator], await SUBJECTS[against](options.caching));
  const version = judge.version();
  if (version === undefined) {
    console.log(`${judge.command} is not there (Debian: ${judge.debianPackage}); nothing was compared`);
    console.log('0 passed, 0 failed, 1 skipped');
    return process.env['CI'] ? 1 : 0;
  }
  console.log(version);
  console.log(`seed ${seed}`);
  const wanted = options.modes ?? judge.modes;
  const modes = judge.modes.filter((mode) => wanted.includes(mode));
  const unknown = wanted.find((mode) => !modes.includes(mode));
  if (unknown !== undefined || modes.length === 0) {
    console.error(`--modes ${unknown}: expected some of ${judge.modes.join(',')}`);
    return 2;
  }

  const again = `node conformance/mmu/run.mjs --emulator ${emulator} --seed ${seed} --case`;
  const report = new Report(modes, again);
  const batches = batchesOf(judge, { ...options, modes, batch: BATCH });
  let next = batches.next();
  let running = next.done ? undefined : judge.run(next.value);
  while (!next.done && running !== undefined) {
    const cases = next.value;
    const answers = running;
    // A guest runs while the cases of the next one are being made, and another one while answers are compared.
    next = batches.next();
    await answers;
    running = next.done || report.gaveUp ? undefined : judge.run(next.value);
    await judgeCases(judge, cases, answers, report);
  }
  return report.print() ? 0 : 1;
}

/**
 * @typedef {{ seed: number, accesses: number, modes: readonly string[] | undefined, only: number | undefined,
 *   emulator: keyof typeof EMULATORS, against: keyof typeof SUBJECTS, caching: 'all' | 'none' | number }} Options
 */

/** @returns {Options | undefined} nothing if the usage is wrong; it was told then */
function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        seed: { type: 'string' },
        accesses: { type: 'string' },
        modes: { type: 'string' },
        case: { type: 'string' },
        emulator: { type: 'string', default: 'qemu' },
        against: { type: 'string', default: 'model' },
        caching: { type: 'string', default: 'all' },
      },
    });
    const { emulator, against, caching } = values;
    return {
      seed: numberOf('seed', values.seed) ?? Math.floor(Math.random() * 2 ** 32),
      accesses: numberOf('accesses', values.accesses, 1) ?? DEFAULT_ACCESSES,
      modes: values.modes?.split(','),
      only: numberOf('case', values.case),
      emulator: keyOf('emulator', EMULATORS, emulator),
      against: keyOf('against', SUBJECTS, against),
      caching: caching === 'all' || caching === 'none' ? caching : (numberOf('caching', caching, 1) ?? 'all'),
    };
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    return undefined;
  }
}

/**
 * @param {string} name
 * @param {string | undefined} text
 * @param {number} [least]
 */
function numberOf(name, text, least = 0) {
  if (text === undefined) return undefined;
  const number = /^\d{1,10}$/.test(text) ? Number(text) : -1;
  if (number < least || number >= 2 ** 32) {
    throw new Error(`--${name} ${text}: expected a whole number from ${least}, below 2^32`);
  }
  return number;
}

/**
 * @template {object} T
 * @param {string} name
 * @param {T} choices
 * @param {string} text
 * @returns {keyof T}
 */
function keyOf(name, choices, text) {
  if (!Object.hasOwn(choices, text)) {
    throw new Error(`--${name} ${text}: expected one of ${Object.keys(choices).join(', ')}`);
  }
  return /** @type {keyof T} */ (text);
}
