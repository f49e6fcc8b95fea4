// Judges address spaces: tables made by edits of AddressSpace are given to a processor, which accesses both sides of each
// boundary; what it finds is held against a list of ranges. So is what the model of the processor finds, whose TLB keeps all
// that it may: groups of pages whose entries disagree show there.

import { GuestRam } from '../guest-ram.mjs';
import { performed } from '../judge.mjs';
import { createRandom, seedOf } from '../random.mjs';
import { Edits } from './edits.mjs';
import { probesOf } from './probes.mjs';

/** @typedef {import('../random.mjs').Random} Random */
/** @typedef {import('./host.mjs').Host} Host */
/** @typedef {import('./host.mjs').SpaceCase} SpaceCase */
/** @typedef {import('./host.mjs').Verdict} Verdict */

/**
 * @typedef {SpaceCase & {
 *   operations: readonly unknown[],
 *   one: any,
 *   verdicts: readonly Verdict[],
 *   troubles: readonly string[],
 * }} JudgedCase
 */

/** Cases per guest. */
const BATCH = 60;

/** Cases of each format in a run that is not told. */
const CASES = 100;

/**
 * @param {Host} host
 * @returns {Promise<import('../judge.mjs').AnyJudge>}
 */
export async function spaceJudge(host) {
  const { judge, formats } = host;
  const { AddressSpace } = await import('../../../dist/space/index.js');
  const { flatMemory } = await import('../../../dist/memory/index.js');
  const model = await host.model();
  const ram = new GuestRam(host.layout);
  const [start, end] = host.layout.ram;
  const memory = flatMemory(ram.words, [{ address: BigInt(start), offset: 0, length: end - start }]);
  const modeOf = (/** @type {number} */ number) => formats[number % formats.length];

  /**
   * @param {number} seed
   * @param {number} number
   * @returns {JudgedCase}
   */
  function createCase(seed, number) {
    const random = createRandom(seedOf(seed, number));
    const format = modeOf(number);
    const shape = host.shapeOf(format);
    const frames = new Frames(random, host, ram);
    const space = AddressSpace.create({
      format,
      memory,
      allocator: frames,
      control: host.randomControl(random),
      live: random.chance(0.5),
    });
    const edits = new Edits(random, host, shape, space, () => frames.isExhausted);
    edits.make();
    const troubles = [...edits.troubles];
    const { probes, verdicts, written } = probesOf(random, host, format, edits);
    for (const { address } of probes) {
      const wrong = translationTrouble(edits.space.translate(address), edits.ranges.at(address)?.physical);
      if (wrong !== undefined) troubles.push(`translate 0x${address.toString(16)}: ${wrong}`);
    }
    const words = frames.words();
    frames.end();
    const one = { number, mode: format, control: edits.space.control, words, probes, written };
    return { ...one, operations: probes, one: host.caseOf(one), verdicts, troubles };
  }

  return {
    ...judge,
    length: { cases: CASES * formats.length },
    batch: BATCH,
    modes: formats,
    modeOf,
    createCase,
    accesses: (/** @type {JudgedCase} */ one) => one.probes.length,
    run: (/** @type {readonly JudgedCase[]} */ cases) => judge.run(cases.map(({ one }) => one)),
    compare: (/** @type {JudgedCase} */ one, /** @type {any} */ answer) => compare(host, model, one, answer),
    describe: (/** @type {JudgedCase} */ one) => `case ${one.number}, ${one.mode}`,
  };
}

/**
 * @param {Host} host
 * @param {import('../judge.mjs').Subject<any, any, any>} model
 * @param {JudgedCase} judged
 * @param {{ results: readonly any[] }} answer
 * @returns {import('../report.mjs').Verdict}
 */
function compare(host, model, { mode, one, probes, verdicts, troubles }, { results }) {
  const differences = [...troubles];
  model.begin(one);
  /** @type {Map<string, number>} */
  const faults = new Map();
  for (const [i, probe] of probes.entries()) {
    const verdict = verdicts[i];
    if (verdict.kind !== 'memory') faults.set(verdict.kind, (faults.get(verdict.kind) ?? 0) + 1);
    const { kind, address, bytes, user } = probe;
    const what = `${kind} 0x${address.toString(16)}, ${bytes} bytes, ${user ? 'user' : 'kernel'}`;
    const found = results[i];
    const wrong = found === undefined ? 'no result' : host.check(mode, probe, verdict, found);
    if (wrong !== undefined) {
      const text = found === undefined ? 'nothing' : host.describe(found);
      differences.push(`${what}: ${wrong}\n  found: ${text}\n  expected: ${verdictText(verdict)}`);
    }
    const told = performed(model, one.operations[i], i);
    if (!isAsTold(probe, verdict, told)) {
      const text = Object.values(told).map(String).join(' ');
      differences.push(`${what}: the model: ${text}\n  expected: ${verdictText(verdict)}`);
    }
  }
  model.end(one);
  return { differences, deviations: new Map(), faults, accesses: probes.length, others: 0 };
}

/**
 * Whether a model says what it should.
 *
 * @param {import('./host.mjs').Probe} probe
 * @param {Verdict} verdict
 * @param {{ kind: string, value?: bigint }} told
 */
function isAsTold({ kind }, verdict, told) {
  if (verdict.kind === 'nowhere') return true; // the models leave that to others
  if (verdict.kind !== 'memory') return told.kind === 'fault';
  return told.kind === 'done' && (kind !== 'read' || told.value === verdict.value);
}

/** @param {Verdict} verdict */
function verdictText(verdict) {
  if (verdict.kind !== 'memory') return verdict.kind;
  return `0x${verdict.value.toString(16)} of physical 0x${verdict.physical.toString(16)}`;
}

/**
 * @param {{ kind: string, physical?: bigint }} found
 * @param {bigint | undefined} physical
 */
function translationTrouble({ kind, physical: found }, physical) {
  if (found === physical) return undefined;
  const expected = physical === undefined ? 'not mapped' : `0x${physical.toString(16)}`;
  return `${kind} ${found === undefined ? '' : `0x${found.toString(16)}`}; expected ${expected}`;
}

/** Frames of the arena for tables, in a random order. Their contents are random, too. */
class Frames {
  isExhausted = false;
  /** @type {Set<number>} */
  taken = new Set();

  /**
   * @param {Random} random
   * @param {Host} host
   * @param {GuestRam} ram
   */
  constructor(random, host, ram) {
    this.random = random;
    this.ram = ram;
    const first = host.layout.arena / 4096;
    this.all = Array.from({ length: host.frames }, (_, i) => first + i);
    this.unused = [...this.all];
  }

  allocate() {
    this.isExhausted = this.unused.length === 0;
    if (this.isExhausted) return undefined;
    const [frame] = this.unused.splice(this.random.below(this.unused.length), 1);
    this.taken.add(frame);
    this.spoil(frame);
    return frame;
  }

  /** @param {number} frame */
  free(frame) {
    if (!this.taken.delete(frame))
      throw new Error(`frame 0x${frame.toString(16)} is given back, and was not taken`);
    this.unused.push(frame);
    this.spoil(frame);
  }

  /** @param {number} frame */
  spoil(frame) {
    const value = this.random.next();
    for (let at = frame * 4096; at < (frame + 1) * 4096; at += 4) this.ram.put(at, value);
  }

  /** What the tables hold. */
  words() {
    /** @type {Map<number, bigint>} */
    const words = new Map();
    for (const frame of this.taken) {
      for (let at = frame * 4096; at < (frame + 1) * 4096; at += 8) {
        const value = BigInt(this.ram.word(at)) | (BigInt(this.ram.word(at + 4)) << 32n);
        if (value !== 0n) words.set(at, value);
      }
    }
    return words;
  }

  end() {
    for (const frame of this.all)
      for (let at = frame * 4096; at < (frame + 1) * 4096; at += 4) this.ram.put(at, 0);
  }
}
