// Replays one recorded sequence: each operation on its system, then everything recorded of it against what is found.

import { compareMembers, compareOutcome, isAborted } from './compare.mjs';
import { atLine } from './files.mjs';
import { brief, MalformedFile, recordedWords, wordList } from './values.mjs';

/** Operations after which there is a checkpoint. */
const CHECKPOINT_OPERATIONS = 50;

/**
 * How the files of one system are replayed. To add a system, write one of these and list it in `systems.mjs`.
 *
 * @typedef {object} System
 * @property {Readonly<Record<string, readonly string[]>>} operations - names of the arguments of each operation
 * @property {readonly string[]} outcomes - what else beside `result` and `changed` a line may tell of an operation
 * @property {readonly string[]} deliberate - names of all deliberate differences; each stands in `docs/differences.md`
 * @property {boolean} [stateless] - no operation depends on those before it, and files have no checkpoints
 * @property {(header: Record<string, any>) => Run} open - makes the initial state, without the header's `initial` words
 */

/**
 * One sequence under replay.
 *
 * @typedef {object} Run
 * @property {import('./memory.mjs').WordMemory} [memory] - the table memory, where the system has one
 * @property {(operation: Record<string, any>) => Record<string, any>} perform - does an operation, and tells `result` and
 *   the system's other outcomes in the words of the files
 * @property {(found: Record<string, any>) => void} [complete] - adds outcomes that follow from all that was found, changed
 *   words included
 * @property {() => any} save - the state beside memory
 * @property {(before: any, operation: Record<string, any>) => string | undefined | void} follow - brings the state beside memory
 *   to what is recorded, from what was saved before the operation; what of it cannot be told, if anything
 * @property {(before: any, operation: Record<string, any>) => void} [redo] - changes memory as the original did before it panicked,
 *   where that is recorded as a digest only
 * @property {() => Record<string, unknown>} checkpoint - what a checkpoint tells beside the words
 * @property {(operation: Record<string, any>, found: Record<string, any>) => Deliberate | undefined} [deliberate] - asked
 *   about an operation that differs from what is recorded: whether that is meant to be
 */

/**
 * A deliberate difference: its name, and whether nothing behind it in the file can be compared.
 *
 * @typedef {{ name: string, ends?: boolean }} Deliberate
 */

/**
 * An operation or a checkpoint that is not as recorded.
 *
 * @typedef {{ line: number, operation: number, recorded: Record<string, any>,
 *   wrong: import('./compare.mjs').Mismatch[] }} Difference
 */

/**
 * @typedef {object} Replayed
 * @property {number} operations - how many were replayed
 * @property {Difference[]} differences
 * @property {{ operation: number, name: string }[]} deliberate
 * @property {string} [ended] - why what is left of the file was not compared
 */

/**
 * Replays a sequence.
 *
 * @param {import('./files.mjs').Sequence} sequence
 * @param {System} system
 * @returns {Replayed}
 * @throws {MalformedFile} with the line, if the file is not what its format promises
 */
export function replaySequence({ header, lines }, system) {
  let number = 1;
  try {
    const replay = new Replay(system, header);
    for (const line of lines()) {
      number = line.number;
      replay.step(line);
      if (replay.result.ended !== undefined) return replay.result;
    }
    if (!replay.isWhole && !system.stateless)
      throw new MalformedFile('expected a checkpoint at the end, found the end of the file');
    return replay.result;
  } catch (error) {
    throw atLine(error, number);
  }
}

/** The replay of one sequence, line by line. */
class Replay {
  /** @type {Replayed} */
  result = { operations: 0, differences: [], deliberate: [] };
  /** Whether the file may end here: with a checkpoint, or with a `poke` where one is due, behind which some leave it out. */
  isWhole = false;
  #system;
  #run;

  /**
   * @param {System} system
   * @param {Record<string, any>} header
   */
  constructor(system, header) {
    this.#system = system;
    this.#run = system.open(header);
    for (const word of wordList(header.initial ?? [], 'initial')) this.#store(word);
  }

  /** @param {import('./files.mjs').Line} line */
  step({ number, value }) {
    this.isWhole = value.checkpoint instanceof Object;
    if (value.checkpoint instanceof Object) {
      this.#differs(number, value, this.#compareCheckpoint(value.checkpoint));
      return;
    }
    this.result.operations += 1;
    if (value.op === 'poke') {
      this.#store(wordList([[value.addr, value.value]], 'poke')[0]);
      this.isWhole = this.result.operations % CHECKPOINT_OPERATIONS === 0;
    } else {
      this.#operation(number, value);
    }
  }

  /**
   * Does an operation, compares, and goes on from what is recorded, so that each difference counts once.
   *
   * @param {number} line
   * @param {Record<string, any>} recorded
   */
  #operation(line, recorded) {
    this.#checkMembers(recorded);
    const { memory } = this.#run;
    const words = recordedWords(recorded);
    for (const { address } of words ?? []) memory?.watch(address);

    const before = this.#run.save();
    const found = this.#run.perform(recorded);
    const changes = memory?.look({ everywhere: words === undefined, expected: words });
    found.changed = changes?.words.member();
    this.#run.complete?.(found);

    const wrong = compareOutcome(recorded, found, ['changed', ...this.#system.outcomes]);
    const deliberate = wrong.length > 0 ? this.#deliberate(recorded, found) : undefined;
    if (deliberate === undefined) this.#differs(line, recorded, wrong);

    const [mismatch] = compareMembers(recorded, found, ['changed']);
    if (mismatch === undefined) {
      if (changes !== undefined) memory?.accept(changes);
    } else {
      if (changes !== undefined) memory?.undo(changes);
      for (const word of words ?? []) this.#store(word);
      if (words === undefined && !this.#redo(before, recorded)) {
        this.result.ended = `the words that operation ${this.result.operations} changed are recorded as a digest only`;
      }
    }
    const lost = this.#run.follow(before, recorded);
    if (lost !== undefined) this.result.ended = `${lost} after operation ${this.result.operations}`;
    if (deliberate?.ends) this.result.ended = `deliberate difference ${deliberate.name}`;
  }

  /**
   * Finds the words of which a digest is recorded.
   *
   * @param {unknown} before - the state beside memory
   * @param {Record<string, any>} recorded
   * @returns {boolean} whether memory has them now
   */
  #redo(before, recorded) {
    const { memory } = this.#run;
    if (memory === undefined || !isAborted(recorded.result)) return false;
    this.#run.redo?.(before, recorded);
    const changes = memory.look({ everywhere: true });
    const { count, sha256 } = recorded.changed;
    const isSame = count === changes.words.count && sha256 === changes.words.digest();
    if (isSame) memory.accept(changes);
    else memory.undo(changes);
    return isSame;
  }

  /**
   * Nothing that is recorded may go without being compared.
   *
   * @param {Record<string, any>} recorded
   */
  #checkMembers(recorded) {
    if (!Object.hasOwn(this.#system.operations, recorded.op)) {
      throw new MalformedFile(`expected an operation of the system, found ${brief(recorded)}`);
    }
    const known = [
      'op',
      'result',
      'changed',
      ...this.#system.operations[recorded.op],
      ...this.#system.outcomes,
    ];
    const unknown = Object.keys(recorded).find((member) => !known.includes(member));
    if (unknown !== undefined) throw new MalformedFile(`${recorded.op}: member "${unknown}" is not known`);
  }

  /**
   * @param {Record<string, any>} recorded
   * @param {Record<string, any>} found
   */
  #deliberate(recorded, found) {
    const deliberate = this.#run.deliberate?.(recorded, found);
    if (deliberate === undefined) return undefined;
    if (!this.#system.deliberate.includes(deliberate.name)) {
      throw new Error(`deliberate difference "${deliberate.name}" is not among those that the system lists`);
    }
    this.result.deliberate.push({ operation: this.result.operations, name: deliberate.name });
    return deliberate;
  }

  /**
   * @param {Record<string, any>} recorded
   * @returns {import('./compare.mjs').Mismatch[]}
   */
  #compareCheckpoint(recorded) {
    if (recorded.op !== this.result.operations) {
      throw new MalformedFile(
        `expected a checkpoint after ${this.result.operations} operations, found ${brief(recorded)}`,
      );
    }
    const { memory } = this.#run;
    /** @type {Record<string, unknown>} */
    const found = { op: this.result.operations, ...this.#run.checkpoint() };
    const stray = memory?.look({ everywhere: true });
    if (memory !== undefined && stray !== undefined) {
      memory.undo(stray);
      const words = memory.nonZero();
      found.count = words.count;
      found.sha256 = words.digest();
      if (recorded.nonZero !== undefined) found.nonZero = words.listed();
    }
    const wrong = compareMembers(recorded, found, new Set([...Object.keys(recorded), ...Object.keys(found)]));
    if (stray !== undefined && stray.words.count > 0) {
      wrong.push({ member: 'words written unseen', expected: [], found: stray.words.listed() });
    }
    return wrong;
  }

  /**
   * @param {number} line
   * @param {Record<string, any>} recorded
   * @param {import('./compare.mjs').Mismatch[]} wrong
   */
  #differs(line, recorded, wrong) {
    if (wrong.length === 0) return;
    this.result.differences.push({ line, operation: this.result.operations, recorded, wrong });
  }

  /** @param {import('./memory.mjs').Word} word */
  #store(word) {
    if (this.#run.memory === undefined) throw new MalformedFile('words of a system without memory');
    this.#run.memory.store(word);
  }
}
