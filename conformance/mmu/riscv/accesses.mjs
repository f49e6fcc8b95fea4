// Cases of accesses that start from an empty TLB each.

import { randomOffset } from '../offsets.mjs';
import { SketchMemory } from '../sketch-memory.mjs';
import {
  asidBits,
  canonical,
  FORMATS,
  levelShift,
  MACHINE_32,
  MACHINES_64,
  MENVCFG_ADUE,
  MENVCFG_PBMTE,
  satpOf,
} from './control.mjs';
import { IMAGE, LAYOUT } from './layout.mjs';
import { AMO_NAMES } from './operations.mjs';
import { USER_PAGE } from './reference.mjs';
import { Stage } from './stage.mjs';
import { randomTables } from './tables.mjs';

/** @typedef {import('../random.mjs').Random} Random */
/** @typedef {import('./control.mjs').Control} Control */
/** @typedef {import('./control.mjs').Format} Format */
/** @typedef {import('./operations.mjs').Access} Access */
/** @typedef {import('./operations.mjs').Case} Case */
/** @typedef {import('./operations.mjs').Mode} Mode */
/** @typedef {import('./tables.mjs').Tables} Tables */

const OPERATIONS = 12;

/** Operations that are drawn at most; some cannot be made. */
const DRAWS = 120;

/** Pages that are drawn until one of them translates. */
const TRIES = 2;

/** @param {Mode} mode @returns {Format} */
export function formatNamed(mode) {
  return FORMATS.find(({ name }) => name === mode) ?? FORMATS[0];
}

/**
 * A processor and its registers, without satp.
 *
 * @param {Random} random
 * @param {32 | 64} xlen
 * @returns {Control}
 */
export function randomControl(random, xlen) {
  const machine = xlen === 32 ? MACHINE_32 : random.pick(MACHINES_64);
  let menvcfg = random.chance(0.7) ? MENVCFG_ADUE : 0n;
  if (machine.svpbmt && random.chance(0.7)) menvcfg |= MENVCFG_PBMTE;
  return { machine, satp: 0n, menvcfg };
}

/**
 * An address whose index at each level has an entry; a multiple of 4096.
 *
 * @param {Random} random
 * @param {Format} format
 * @param {Tables} tables
 */
export function hotPage(random, format, tables) {
  let va = 0n;
  for (let level = 0; level < format.levels; level++) {
    va += BigInt(random.pick(tables.hot(level))) << levelShift(format, level);
  }
  return canonical(format, va);
}

/**
 * @param {Random} random
 * @param {Format} format
 * @param {Tables} tables
 */
function randomPage(random, format, tables) {
  const { xlen, virtualBits, levels } = format;
  const choice = random.below(100);
  const va = hotPage(random, format, tables);
  if (choice < 4) {
    // The ends of both halves.
    const boundary = random.pick([0n, 1n << BigInt(virtualBits - 1), -1n << BigInt(virtualBits - 1)]);
    return BigInt.asUintN(xlen, boundary - BigInt(random.below(2) << 12));
  }
  if (choice < 12) {
    // The page of any size before or after.
    const step = 1n << levelShift(format, random.below(levels));
    return BigInt.asUintN(xlen, random.chance(0.5) ? va + step : va - step);
  }
  if (choice < 16 && virtualBits < xlen)
    return va ^ (1n << BigInt(virtualBits + random.below(xlen - virtualBits)));
  if (choice < 18) return random.bits(xlen) & ~0xfffn;
  return va;
}

/**
 * An access without an address.
 *
 * @param {Random} random
 * @param {32 | 64} xlen
 * @returns {Omit<Access, 'address' | 'flush'>}
 */
export function randomManner(random, xlen) {
  const kind = random.pick(/** @type {const} */ (['read', 'read', 'write', 'write', 'fetch', 'amo']));
  const most = xlen / 8;
  const sizes = /** @type {const} */ ([1, 2, 4, 8]).filter(
    (each) => each <= most && (kind !== 'amo' || each >= 4),
  );
  const bytes = kind === 'fetch' ? 4 : random.pick(sizes);
  return {
    kind,
    bytes,
    user: random.chance(0.45),
    sum: random.chance(0.5),
    mxr: random.chance(0.4),
    modified: kind !== 'fetch' && random.chance(0.25),
    value: kind === 'write' || kind === 'amo' ? random.bits(bytes * 8) : 0n,
    amo: random.pick(AMO_NAMES),
  };
}

/**
 * More often than not one that a page is for.
 *
 * @param {Random} random
 * @param {32 | 64} xlen
 * @param {import('./reference.mjs').Walk} walk
 */
export function mannerFor(random, xlen, { end, flags }) {
  const manner = randomManner(random, xlen);
  if (end === 'leaf' && random.chance(0.5)) manner.user = (flags & USER_PAGE) !== 0n;
  return manner;
}

/**
 * Of an access in its page, or into the next one.
 *
 * @param {Random} random
 * @param {Pick<Access, 'kind' | 'bytes'>} access
 */
export function offsetFor(random, { kind, bytes }) {
  if (kind === 'fetch') return random.below(256) * 16;
  if (kind === 'amo') return random.below(4096 / bytes) * bytes;
  return randomOffset(random, bytes);
}

/**
 * Makes a case of operations that are drawn one by one.
 *
 * @param {{ number: number, mode: Mode, control: Control, count: number, draws: number }} what - `count` of operations, and
 *   how many to draw at most
 * @param {import('./tables.mjs').StagedTables} tables
 * @param {(index: number, stage: Stage) => Access} draw
 * @returns {Case}
 */
export function drawnCase({ number, mode, control, count, draws }, tables, draw) {
  const stage = new Stage(control, tables, { editsTables: true });
  for (let i = 0; i < draws && stage.operations.length < count; i++) stage.attempt(draw(i, stage));
  return stage.finish(number, mode);
}

/**
 * @param {Random} random
 * @param {number} number
 * @param {Mode} mode - not Bare
 * @returns {Case}
 */
export function accessesCase(random, number, mode) {
  const format = formatNamed(mode);
  const { xlen } = format;
  const tables = randomTables(random, format);
  const control = randomControl(random, xlen);
  control.satp = satpOf(format, { asid: random.bits(asidBits(xlen)), root: tables.root });
  return drawnCase({ number, mode, control, count: OPERATIONS, draws: DRAWS }, tables, (_, stage) => {
    let page = randomPage(random, format, tables);
    let walk = stage.walk(page);
    for (let i = 0; i < TRIES && walk.end !== 'leaf'; i++) {
      page = randomPage(random, format, tables);
      walk = stage.walk(page);
    }
    const manner = mannerFor(random, xlen, walk);
    return { ...manner, address: page + BigInt(offsetFor(random, manner)), flush: true };
  });
}

/**
 * Without translation.
 *
 * @param {Random} random
 * @param {number} number
 * @returns {Case}
 */
export function untranslatedCase(random, number) {
  const xlen = random.chance(0.5) ? 32 : 64;
  const control = randomControl(random, xlen);
  const stubs = { super: BigInt(IMAGE), user: BigInt(IMAGE) };
  const tables = { memory: new SketchMemory(LAYOUT), guarded: new Set(), arenaFrames: 1, stubs };
  const [[start, end]] = LAYOUT.pageRanges;
  return drawnCase({ number, mode: 'Bare', control, count: OPERATIONS, draws: DRAWS }, tables, () => {
    const manner = randomManner(random, xlen);
    let address = BigInt(start + random.below((end - start) / 4096) * 4096 + offsetFor(random, manner));
    if (xlen === 64 && random.chance(0.2)) address |= 1n << BigInt(36 + random.below(20));
    return { ...manner, address, flush: true };
  });
}
