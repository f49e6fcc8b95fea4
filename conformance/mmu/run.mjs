// Judges the models of MMUs by emulators: random page tables, registers and accesses, each performed by a small program in a
// virtual machine and by the model.
//
// Usage: node conformance/mmu/run.mjs [--arch x86|aarch64|riscv] [--seed N] [--cases N | --accesses N] [--modes NAME,...] [--case K]
//                                      [--emulator qemu|bochs] [--caching all|none|N] [--against model|reference] [--space]
//
// Without --arch, all architectures that the emulator has are judged. A case follows from the architecture, the seed, its
// number and the emulator; --case performs that one alone. --emulator bochs runs the x86 program in Bochs. --caching says
// what the model's TLB keeps: all that it may (the default), nothing, or N translations. --against reference judges, in place
// of the model, the plain walker that the cases are made with.
//
// Prints for each mode the accesses, how they ended, differences, and how often each known deviation of the emulator was met;
// last `N passed, N failed, N skipped`, counted in cases. Exit code: 0 no differences, or the emulator is missing outside of
// CI; 1 differences, or a guest that did not come to its end; 2 wrong usage.

import { parseArgs } from 'node:util';
import { aarch64Judge } from './aarch64/judge.mjs';
import { AARCH64_HOST } from './aarch64/space.mjs';
import * as aarch64Subjects from './aarch64/subject.mjs';
import { batchesOf, judgeCases } from './judge.mjs';
import { Report, sumOf } from './report.mjs';
import { riscvJudge } from './riscv/judge.mjs';
import { RISCV_HOST } from './riscv/space.mjs';
import * as riscvSubjects from './riscv/subject.mjs';
import { spaceJudge } from './space/judge.mjs';
import { EMULATORS, x86Judge } from './x86/judge.mjs';
import { x86Host } from './x86/space.mjs';
import * as x86Subjects from './x86/subject.mjs';

/**
 * Judges of each architecture, by emulator.
 *
 * @type {Readonly<Record<string, Readonly<Record<string, (options: Options) => Promise<import('./judge.mjs').AnyJudge>>>>>}
 */
const ARCHITECTURES = {
  x86: {
    qemu: async (options) => x86Judge(EMULATORS.qemu, await subjectOf(x86Subjects, options)),
    bochs: async (options) => x86Judge(EMULATORS.bochs, await subjectOf(x86Subjects, options)),
  },
  aarch64: {
    qemu: async (options) => aarch64Judge(await subjectOf(aarch64Subjects, options)),
  },
  riscv: {
    qemu: async (options) => riscvJudge(await subjectOf(riscvSubjects, options)),
  },
};

/**
 * The same for address spaces.
 *
 * @type {Readonly<Record<string, Readonly<Record<string, () => import('./space/host.mjs').Host>>>>}
 */
const HOSTS = {
  x86: { qemu: () => x86Host(EMULATORS.qemu), bochs: () => x86Host(EMULATORS.bochs) },
  aarch64: { qemu: () => AARCH64_HOST },
  riscv: { qemu: () => RISCV_HOST },
};

process.exitCode = await main();

async function main() {
  const options = readOptions();
  if (options === undefined) return 2;
  /** @type {import('./report.mjs').Counts[]} */
  const counts = [];
  for (const arch of options.architectures) {
    const { emulator } = options;
    const judge = options.space
      ? await spaceJudge(HOSTS[arch][emulator]())
      : await ARCHITECTURES[arch][emulator](options);
    const outcome = await run(arch, judge, options);
    if (outcome === undefined) return 2;
    counts.push(outcome);
  }
  const { passed, failed, skipped } = sumOf(counts);
  console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
  return failed > 0 || (skipped > 0 && process.env['CI']) ? 1 : 0;
}

/**
 * @param {string} arch
 * @param {import('./judge.mjs').AnyJudge} judge
 * @param {Options} options
 * @returns {Promise<import('./report.mjs').Counts | undefined>} nothing if the usage is wrong; it was told then
 */
async function run(arch, judge, { seed, length, only, emulator, space, modes: wanted = judge.modes }) {
  const version = judge.version();
  if (version === undefined) {
    console.log(`${judge.command} is not there (Debian: ${judge.debianPackage}); nothing was compared`);
    return { passed: 0, failed: 0, skipped: 1 };
  }
  const modes = judge.modes.filter((mode) => wanted.includes(mode));
  const unknown = wanted.find((mode) => !modes.includes(mode));
  if (unknown !== undefined || modes.length === 0) {
    console.error(`--modes ${unknown}: expected some of ${judge.modes.join(',')}`);
    return undefined;
  }
  console.log(`${arch} by ${version}`);
  console.log(`seed ${seed}`);

  const again = `node conformance/mmu/run.mjs${space ? ' --space' : ''} --arch ${arch} --emulator ${emulator} --seed ${seed} --case`;
  const report = new Report(modes, again);
  const batches = batchesOf(judge, { seed, length: length ?? judge.length, modes, only });
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
  return report.print();
}

/**
 * @typedef {{ architectures: readonly string[], seed: number, length: import('./judge.mjs').Length | undefined,
 *   modes: readonly string[] | undefined, only: number | undefined, emulator: string,
 *   against: 'model' | 'reference', caching: 'all' | 'none' | number, space: boolean }} Options
 */

/**
 * @template Subject
 * @param {{ modelSubject: (caching: 'all' | 'none' | number) => Promise<Subject>, referenceSubject: () => Subject }} subjects
 * @param {Options} options
 */
function subjectOf({ modelSubject, referenceSubject }, { against, caching }) {
  return against === 'model' ? modelSubject(caching) : referenceSubject();
}

/** @returns {Options | undefined} nothing if the usage is wrong; it was told then */
function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        arch: { type: 'string' },
        seed: { type: 'string' },
        cases: { type: 'string' },
        accesses: { type: 'string' },
        modes: { type: 'string' },
        case: { type: 'string' },
        emulator: { type: 'string', default: 'qemu' },
        against: { type: 'string', default: 'model' },
        caching: { type: 'string', default: 'all' },
        space: { type: 'boolean', default: false },
      },
    });
    const { arch, emulator, against, caching, space } = values;
    const having = Object.keys(ARCHITECTURES).filter((each) => Object.hasOwn(ARCHITECTURES[each], emulator));
    if (having.length === 0) oneOf('emulator', Object.keys(EMULATORS), emulator);
    const architectures = arch === undefined ? having : [oneOf('arch', having, arch)];
    const cases = numberOf('cases', values.cases, 1);
    const accesses = numberOf('accesses', values.accesses, 1);
    if (cases !== undefined && accesses !== undefined)
      throw new Error('--cases and --accesses: expected one of them');
    const only = numberOf('case', values.case);
    if (architectures.length > 1 && (only !== undefined || values.modes !== undefined)) {
      throw new Error(
        `--${only === undefined ? 'modes' : 'case'}: expected --arch, one of ${having.join(', ')}`,
      );
    }
    return {
      architectures,
      seed: numberOf('seed', values.seed) ?? Math.floor(Math.random() * 2 ** 32),
      length: cases !== undefined ? { cases } : accesses !== undefined ? { accesses } : undefined,
      modes: values.modes?.split(','),
      only,
      emulator,
      against: oneOf('against', /** @type {const} */ (['model', 'reference']), against),
      caching: caching === 'all' || caching === 'none' ? caching : (numberOf('caching', caching, 1) ?? 'all'),
      space,
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
 * @template {string} T
 * @param {string} name
 * @param {readonly T[]} choices
 * @param {string} text
 * @returns {T}
 */
function oneOf(name, choices, text) {
  const choice = choices.find((each) => each === text);
  if (choice === undefined) throw new Error(`--${name} ${text}: expected one of ${choices.join(', ')}`);
  return choice;
}
