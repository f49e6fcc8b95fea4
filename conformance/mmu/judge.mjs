// How an architecture is judged: what run.mjs needs of it.

/**
 * A case, as far as everyone needs to know it.
 *
 * @typedef {{ number: number, mode: string, operations: readonly unknown[] }} AnyCase
 */

/**
 * What is judged: performs the operations of a case, and tells outcomes in the guest's words.
 *
 * @template Case
 * @template Operation
 * @template Expected
 * @typedef {import('./compare-words.mjs').SubjectMemory & {
 *   begin: (one: Case) => void,
 *   perform: (operation: Operation, index: number) => Expected,
 *   end: (one: Case) => void,
 * }} Subject
 */

/**
 * What a subject makes of an operation. An error of its own is no outcome of a processor.
 *
 * @template Operation
 * @template Expected
 * @param {{ perform: (operation: Operation, index: number) => Expected }} subject
 * @param {Operation} operation
 * @param {number} index
 * @returns {Expected | { kind: 'other', text: string }}
 */
export function performed(subject, operation, index) {
  try {
    return subject.perform(operation, index);
  } catch (error) {
    return { kind: 'other', text: String(error) };
  }
}

/**
 * What an emulator made of cases: answers to the first of them or to all, and what stopped it before the end.
 *
 * @template Answer
 * @typedef {{ answers: readonly Answer[], trouble: string | undefined }} Answers
 */

/**
 * One architecture on one emulator, with what is to be judged.
 *
 * @template {AnyCase} Case
 * @template Answer
 * @typedef {object} Judge
 * @property {string} command - of the emulator
 * @property {string} debianPackage - that has it
 * @property {() => string | undefined} version - of the emulator; nothing if it is not there
 * @property {Length} length - of a run that is not told
 * @property {number} batch - cases per guest
 * @property {readonly string[]} modes
 * @property {(number: number) => string} modeOf - the mode of a case
 * @property {(seed: number, number: number) => Case} createCase
 * @property {(one: Case) => number} accesses - how many a case has
 * @property {(cases: readonly Case[]) => Promise<Answers<Answer>>} run
 * @property {(one: Case, answer: Answer) => import('./report.mjs').Verdict} compare
 * @property {(one: Case) => string} describe
 */

/**
 * A judge of whatever architecture.
 *
 * @typedef {Judge<any, any>} AnyJudge
 */

/**
 * How long a run is: so many cases, or cases until there are so many accesses.
 *
 * @typedef {{ cases: number } | { accesses: number }} Length
 */

/**
 * Makes the cases of a run, in groups for one guest each.
 *
 * @template {AnyCase} Case
 * @template Answer
 * @param {Judge<Case, Answer>} judge
 * @param {{ seed: number, length: Length, modes: readonly string[], only: number | undefined }} options
 * @returns {Generator<Case[], undefined>}
 */
export function* batchesOf(judge, { seed, length, modes, only }) {
  if (only !== undefined) {
    yield [judge.createCase(seed, only)];
    return undefined;
  }
  const limit = 'cases' in length ? length.cases : length.accesses;
  let made = 0;
  let number = 0;
  while (made < limit) {
    /** @type {Case[]} */
    const batch = [];
    while (batch.length < judge.batch && made < limit) {
      if (modes.includes(judge.modeOf(number))) {
        const one = judge.createCase(seed, number);
        made += 'cases' in length ? 1 : judge.accesses(one);
        batch.push(one);
      }
      number++;
    }
    yield batch;
  }
  return undefined;
}

/**
 * Runs cases and reports what came out. One that the guest does not survive is reported, and the next ones are run anew.
 *
 * @template {AnyCase} Case
 * @template Answer
 * @param {Judge<Case, Answer>} judge
 * @param {readonly Case[]} cases
 * @param {Promise<Answers<Answer>>} first - of all of them
 * @param {import('./report.mjs').Report} report
 */
export async function judgeCases(judge, cases, first, report) {
  let left = cases;
  let running = first;
  while (true) {
    const { answers, trouble } = await running;
    for (const [i, answer] of answers.entries()) {
      const one = left[i];
      report.add(one.mode, one.number, judge.compare(one, answer), judge.describe(one));
    }
    if (trouble === undefined) return;
    const culprit = left[answers.length];
    if (culprit === undefined) {
      report.fail(left[left.length - 1], trouble, 'after the last case');
      return;
    }
    report.fail(culprit, trouble, judge.describe(culprit));
    left = left.slice(answers.length + 1);
    if (left.length === 0 || report.gaveUp) return;
    running = judge.run(left);
  }
}
