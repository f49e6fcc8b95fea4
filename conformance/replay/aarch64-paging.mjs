// The maps of tablewalk/aarch64-paging.

import { isDeepStrictEqual } from 'node:util';
import { BEHAVIOURS, MODERN, SEED } from '../../dist/aarch64-paging/index.js';
import { Machine, SlotTranslation, shapeOf, TracedAllocator } from './aarch64-machine.mjs';
import { Model } from './aarch64-model.mjs';
import { compareOutcome } from './compare.mjs';
import { WordMemory } from './memory.mjs';
import { hex, MalformedFile, u64 } from './values.mjs';
import { digestOfNumbers } from './words.mjs';

const SLOT_WORDS = 1024;

/** What version 0.12 does otherwise than 0.5, which maps in the shape of 0.5 do as well unless told otherwise. */
const NEWER = [
  'clean-split-of-empty-entries',
  'unknown-bits-survive-a-split',
  'no-level-0-blocks',
  'identical-blocks-stay',
  'unmapped-tables-are-freed',
  'violation-names-the-region',
  'errors-stay-themselves-while-active',
  'live-changes-by-masks',
];
/** What it does otherwise, and maps in the shape of 0.5 do not. */
const ONLY_NEWER = ['accessed-only-if-given', 'invalid-leaves-have-no-address'];
/** What maps of either shape do otherwise than their original. */
const BETTER = [
  'top-of-the-upper-range',
  'no-underflow-of-addresses',
  'whole-linear-range-is-checked',
  'res1-is-set',
  'leaves-stay-leaves',
  'no-break-and-make-in-one-callback',
  'no-live-change-of-address',
  'unnamed-bits-count',
  'no-live-split',
];

/** What the model of each recorded version does otherwise than 0.5.0. */
export const RECORDED = { '0.5.0': new Set(), '0.12.1': new Set([...NEWER, ...ONLY_NEWER]) };

const OPERATIONS = {
  map_range: ['start', 'end', 'pa', 'flags', 'constraints'],
  walk_range: ['start', 'end', 'failAt'],
  modify_range: ['start', 'end', 'action', 'failAt'],
  compact_subtables: [],
  activate: [],
  deactivate: [],
  debug: [],
};

const OUTCOMES = ['slots', 'log', 'withFixes'];

/**
 * Each operation runs twice, from the same state: on a map that is to behave exactly as the recorded version, with the
 * package's own `TargetAllocator`, and on one with all fixes, with tables of a user's own. What the second one does
 * otherwise becomes the outcome `withFixes`, which no file has; it is deliberate if the model of those fixes does the same.
 *
 * @type {import('./sequence.mjs').System}
 */
export const aarch64Paging = {
  operations: OPERATIONS,
  outcomes: OUTCOMES,
  deliberate: [...BETTER, ...NEWER],
  open(header) {
    const shape = shapeOf(header);
    const { seed, base } = shape;
    const target = new TracedAllocator(base);
    const exact = new Machine(shape, target, BEHAVIOURS[seed ? '0.5.0' : '0.12.1']);
    const tables = new SlotTranslation(base);
    const better = new Machine(shape, tables, seed ? SEED : MODERN);
    if (exact.place.size !== u64(header.size, 'size') || exact.place.root !== base) {
      throw new MalformedFile(`size: expected that of the map, ${hex(exact.place.size)}`);
    }
    const first = Number(base / 4096n);
    const memory = new WordMemory(target.memory, 0n, {
      count: () => target.used.length,
      frames: () => target.used.map((_, slot) => first + slot),
      few: true,
    });
    const model = { ...shape, fixes: new Set([...BETTER, ...NEWER, ...(seed ? [] : ONLY_NEWER)]) };
    const own = new Set(seed ? [...NEWER, ...BETTER] : BETTER);
    let used = [...target.used];
    let active = 0;
    /** @type {unknown} what words the last operation changed */
    let changed;
    /** Whether it did the same with fixes. */
    let isSame = true;
    /** @type {ReturnType<Machine['perform']>} what the last operation did */
    let asRecorded;
    /** @type {typeof asRecorded} what it did with fixes */
    let fixed;
    return {
      memory,
      perform(operation) {
        used = [...target.used];
        asRecorded = exact.perform(operation);
        // A text is long, and made by the same code.
        fixed = operation.op === 'debug' ? asRecorded : better.perform(operation);
        const slots = target.used.length > used.length ? target.used.length : undefined;
        return { result: asRecorded.result, log: asRecorded.log.member(), slots };
      },
      complete(found) {
        changed = found.changed;
        const words = differingWords(target, tables);
        isSame =
          isDeepStrictEqual(told(fixed.result), told(asRecorded.result)) &&
          fixed.log.equals(asRecorded.log) &&
          isDeepStrictEqual(tables.used, target.used) &&
          words.length === 0;
        if (isSame) return;
        found.withFixes = { result: fixed.result, log: fixed.log.member(), words };
      },
      save: () => undefined,
      follow(_, operation) {
        const { op, result } = operation;
        if ('ok' in result) active += op === 'activate' ? 1 : op === 'deactivate' ? -1 : 0;
        const isAsRecorded = isDeepStrictEqual(changed, operation.changed);
        if (!isAsRecorded && !isDeepStrictEqual(slotsBelow(memory, shape, target.used.length), target.used)) {
          return 'it is not told which slots are in use';
        }
        if (!isSame || !isAsRecorded) tables.follow(target.used, target.memory.words);
        return undefined;
      },
      checkpoint: () => ({
        slots: target.used.length,
        active: exact.active === active > 0 ? active : exact.active,
      }),
      deliberate(recorded, found) {
        const { withFixes, ...others } = found;
        const isRecorded = compareOutcome(recorded, others, ['changed', ...OUTCOMES]).length === 0;
        if (withFixes === undefined || !isRecorded || recorded.op === 'debug') return undefined;
        const words = new BigUint64Array(memory.expected().slice(0, used.length * SLOT_WORDS).buffer);
        const state = { words, used: [...used], active };
        const modelled = new Model(model, state);
        const result = modelled.perform(recorded);
        const isRight =
          isDeepStrictEqual(result, told(withFixes.result)) &&
          isDeepStrictEqual(logMember(modelled.log), withFixes.log) &&
          isDeepStrictEqual(state.used, tables.used) &&
          Buffer.compare(
            bytesOf(state.words, state.used.length),
            bytesOf(tables.memory.words, state.used.length),
          ) === 0;
        const name = [...modelled.reasons].find((reason) => own.has(reason));
        return isRight && name !== undefined ? { name } : undefined;
      },
    };
  },
};

/**
 * Which slots hold tables that the root leads to.
 *
 * @param {WordMemory} memory
 * @param {import('./aarch64-machine.mjs').Shape} shape
 * @param {number} slots - how many there are
 */
function slotsBelow(memory, { base, level: rootLevel }, slots) {
  const used = Array(slots).fill(false);
  const visit = (/** @type {number} */ slot, /** @type {number} */ level) => {
    used[slot] = true;
    const table = base + BigInt(slot) * 4096n;
    for (let index = 0n; level < 3 && index < 512n; index += 1n) {
      const entry = memory.read(table + index * 8n) ?? 0n;
      if ((entry & 3n) === 3n) visit(Number(((entry & 0xffff_ffff_f000n) - base) / 4096n), level + 1);
    }
  };
  visit(0, rootLevel);
  return used;
}

/**
 * A result without what the files do not tell.
 *
 * @param {any} result
 */
function told(result) {
  return 'panic' in result ? { panic: true } : result;
}

/**
 * The first words of which two sources of tables do not have the same.
 *
 * @param {TracedAllocator} a
 * @param {SlotTranslation} b
 */
function differingWords(a, b) {
  const slots = Math.max(a.used.length, b.used.length);
  const [one, other] = [a.memory.words, b.memory.words];
  if (a.used.length === b.used.length && Buffer.compare(bytesOf(one, slots), bytesOf(other, slots)) === 0) {
    return [];
  }
  const words = [];
  for (let at = 0; at < slots * SLOT_WORDS && words.length < 8; at += 1) {
    if ((one[at] ?? 0) !== (other[at] ?? 0)) words.push([at, one[at], other[at]]);
  }
  return words.length === 0 ? [[a.used.length, b.used.length]] : words;
}

/**
 * @param {ArrayBufferView} words
 * @param {number} slots
 */
function bytesOf({ buffer, byteOffset }, slots) {
  return new Uint8Array(buffer, byteOffset, slots * SLOT_WORDS * 4);
}

/**
 * The `log` of calls of a callback.
 *
 * @param {readonly bigint[]} numbers - start, end, level and entry of each
 */
export function logMember(numbers) {
  if (numbers.length > 24 * 4) {
    // An end of 2^64 becomes 0.
    return { count: numbers.length / 4, sha256: digestOfNumbers(BigUint64Array.from(numbers)) };
  }
  return Array.from({ length: numbers.length / 4 }, (_, i) => {
    const [start, end, level, entry] = numbers.slice(4 * i, 4 * i + 4);
    return [hex(start), hex(end), Number(level), hex(entry)];
  });
}
