// Cases of accesses and translations that start from an empty TLB each.

import { randomOffset } from '../offsets.mjs';
import {
  GRANULES,
  halfOf,
  isSizeValid,
  isUpper,
  levelShift,
  MIN_SIZE,
  rootLevel,
  SCTLR_A,
  SCTLR_BASE,
  SCTLR_C,
  SCTLR_I,
  SCTLR_M,
  SCTLR_SPAN,
  SCTLR_WXN,
  TCR_BITS,
  TCR_GRANULE_SHIFTS,
  TCR_HA,
  TCR_HD,
  TCR_IPS_SHIFT,
  TCR_SIZE_SHIFTS,
} from './control.mjs';
import { IMAGE, LAYOUT } from './layout.mjs';
import { AT_NAMES } from './operations.mjs';
import { Stage } from './stage.mjs';
import { randomTables } from './tables.mjs';

/** @typedef {import('../random.mjs').Random} Random */
/** @typedef {import('./control.mjs').Control} Control */
/** @typedef {import('./operations.mjs').Access} Access */
/** @typedef {import('./operations.mjs').Case} Case */
/** @typedef {import('./operations.mjs').Mode} Mode */
/** @typedef {import('./operations.mjs').Translate} Translate */
/** @typedef {import('./tables.mjs').Tables} Tables */

const OPERATIONS = 12;

/** Bits of addresses that QEMU's processor has and others may not have. */
const PHYSICAL_TOP = 15n << 48n;

/** Operations that are drawn at most; some cannot be made. */
const DRAWS = 120;

/** Bytes of MAIR: device, and normal memory of all kinds that are not reserved. */
const MEMORY_TYPES = [
  0x00, 0x04, 0x08, 0x0c, 0x44, 0x44, 0xff, 0xff, 0xff, 0xee, 0xbb, 0x4f, 0xf4, 0x33, 0x77,
];

const NO_CONTROL = { ttbr0: 0n, ttbr1: 0n, tcr: 0n, mair: 0n, sctlr: 0n };

/** Half of the addresses are translated by tables of these sizes. */
const COMMON_SIZES = [16, 16, 25, 28];

/**
 * T0SZ or T1SZ.
 *
 * @param {Random} random
 * @param {import('./control.mjs').Granule} granule
 * @param {boolean} isHome - the guest's page needs some room
 */
function randomSize(random, { shift, maxSize }, isHome) {
  if (random.chance(0.5)) return random.pick(COMMON_SIZES);
  if (isHome) return MIN_SIZE + random.below(40 - MIN_SIZE);
  const size = random.chance(0.2) ? random.below(64) : MIN_SIZE + random.below(maxSize + 1 - MIN_SIZE);
  // QEMU's processor has addresses of 52 bits with this granule.
  return shift === 16 && size >= 12 ? Math.max(size, MIN_SIZE) : size;
}

/**
 * Registers other than TTBRs.
 *
 * @param {Random} random
 * @param {'lower' | 'upper' | 'none'} home - the half that must be walked
 * @returns {Control}
 */
export function randomControl(random, home) {
  /**
   * @param {bigint} bit
   * @param {number} probability
   */
  const maybe = (bit, probability) => (random.chance(probability) ? bit : 0n);
  let tcr = maybe(TCR_HA, 0.55) | maybe(TCR_HD, 0.6);
  const output = BigInt(random.chance(0.4) ? 5 : random.below(8));
  for (const which of [0, 1]) {
    const isHome = home === (which === 1 ? 'upper' : 'lower');
    const granule = random.chance(0.7) ? GRANULES[0] : random.pick(GRANULES);
    tcr |= granule.codes[which] << TCR_GRANULE_SHIFTS[which];
    tcr |= BigInt(randomSize(random, granule, isHome)) << TCR_SIZE_SHIFTS[which];
    tcr |= maybe(TCR_BITS.epd[which], isHome ? 0 : 0.08);
    tcr |= maybe(TCR_BITS.tbi[which], 0.5) | maybe(TCR_BITS.tbid[which], 0.3);
    tcr |= maybe(TCR_BITS.hpd[which], 0.25) | maybe(TCR_BITS.e0pd[which], 0.12);
  }
  // With the granule of 64 KiB QEMU's processor has output addresses of 52 bits.
  const isLarge = [false, true].some((upper) => halfOf({ ...NO_CONTROL, tcr }, upper).granule.shift === 16);
  tcr |= (output > 5n && isLarge ? 5n : output) << TCR_IPS_SHIFT;
  // Cacheability and shareability of walks, A1, AS, and the permission for bits 62 to 59: nothing that translation depends on.
  if (random.chance(0.5)) tcr |= (random.bits(6) << 8n) | (random.bits(6) << 24n);
  if (random.chance(0.5)) tcr |= (random.bits(1) << 22n) | (random.bits(1) << 36n) | (random.bits(8) << 43n);
  let mair = 0n;
  for (let i = 0n; i < 8n; i++) mair |= BigInt(random.pick(MEMORY_TYPES)) << (i * 8n);
  const sctlr =
    SCTLR_BASE |
    SCTLR_M |
    maybe(SCTLR_A, 0.1) |
    maybe(SCTLR_WXN, 0.35) |
    maybe(SCTLR_C, 0.8) |
    maybe(SCTLR_I, 0.8) |
    maybe(SCTLR_SPAN, 0.5);
  return { ...NO_CONTROL, tcr, mair, sctlr };
}

/**
 * An address whose index at each level has an entry, without a tag; a multiple of 4096.
 *
 * @param {Random} random
 * @param {Control} control
 * @param {Tables} tables
 * @param {boolean} upper
 */
export function hotPage(random, control, tables, upper) {
  const half = halfOf(control, upper);
  if (!isSizeValid(half)) return BigInt.asUintN(64, upper ? -1n << 30n : 0n) | (random.bits(30) & ~0xfffn);
  let va = upper ? -1n << BigInt(64 - half.size) : 0n;
  for (let level = rootLevel(half); level <= 3; level++) {
    va += BigInt(random.pick(tables.hot(half, level))) << levelShift(half.granule, level);
  }
  return BigInt.asUintN(64, va + (random.bits(half.granule.shift - 12) << 12n));
}

/**
 * First addresses beyond a half, and the ends of the address space.
 *
 * @param {Control} control
 */
function boundaries(control) {
  const lower = halfOf(control, false);
  const upper = halfOf(control, true);
  return [
    0n,
    1n << 55n,
    1n << 48n,
    1n << BigInt(64 - lower.size),
    -1n << BigInt(64 - upper.size),
    -1n << 48n,
  ];
}

/**
 * @param {Random} random
 * @param {Control} control
 * @param {Tables} tables
 * @param {'read' | 'write' | 'fetch'} kind
 * @param {number} bytes
 */
function randomAddress(random, control, tables, kind, bytes) {
  const choice = random.below(100);
  const upper = random.chance(0.5);
  let va = hotPage(random, control, tables, upper);
  if (choice < 4) va = BigInt.asUintN(64, random.pick(boundaries(control)) - BigInt(random.below(2) << 12));
  else if (choice < 12) {
    // The page of any size before or after.
    const step = 1n << levelShift(halfOf(control, upper).granule, 1 + random.below(3));
    va = BigInt.asUintN(64, random.chance(0.5) ? va + step : va - step);
  } else if (choice < 18) {
    const { size, granule } = halfOf(control, upper);
    const lowest = 64 - Math.min(Math.max(size, 1), granule.maxSize);
    va ^= 1n << BigInt(lowest + random.below(64 - lowest));
  } else if (choice < 20) va = random.bits(64);
  va -= va % 4096n;

  const half = halfOf(control, isUpper(va));
  const isFetch = kind === 'fetch';
  if (half.ignoresTag && random.chance(0.5)) va ^= random.bits(8) << 56n;
  // Where tags of fetches are ignored, a branch takes them off.
  if (isFetch && half.ignoresFetchTag) va = BigInt.asUintN(64, BigInt.asIntN(56, va));
  if (isFetch) return va + BigInt(random.below(256) * 16 + (random.chance(0.03) ? 1 + random.below(3) : 0));
  return va + BigInt(randomOffset(random, bytes));
}

/**
 * An access or a translation, without an address.
 *
 * @param {Random} random
 * @param {{ atOnly: boolean, userStubs: boolean }} what
 */
export function randomManner(random, { atOnly, userStubs }) {
  if (atOnly || random.chance(0.3)) {
    const name = random.pick(AT_NAMES);
    return /** @type {const} */ ({
      kind: 'at',
      name,
      inside: !atOnly && random.chance(0.5),
      pan: random.chance(0.5),
    });
  }
  const kind = random.pick(/** @type {const} */ (['read', 'read', 'write', 'write', 'fetch']));
  const bytes = kind === 'fetch' ? 4 : random.pick(/** @type {const} */ ([1, 2, 4, 8]));
  return {
    kind,
    bytes,
    user: random.chance(0.45) && (userStubs || kind === 'fetch'),
    unprivileged: kind !== 'fetch' && random.chance(0.25),
    pan: random.chance(0.5),
    value: kind === 'write' ? random.bits(bytes * 8) : 0n,
  };
}

/**
 * Makes a case of operations that are drawn one by one.
 *
 * @param {{ number: number, mode: Mode, control: Control, count: number, draws: number }} what - `count` of operations, and
 *   how many to draw at most
 * @param {import('./tables.mjs').StagedTables} tables
 * @param {(index: number) => Access | Translate} draw
 * @returns {Case}
 */
export function drawnCase({ number, mode, control, count, draws }, tables, draw) {
  const stage = new Stage(control, tables, { editsTables: true });
  for (let i = 0; i < draws && stage.operations.length < count; i++) stage.attempt(draw(i));
  return stage.finish(number, mode);
}

/**
 * @param {Random} random
 * @param {number} number
 * @param {'TTBR0' | 'TTBR1' | 'AT'} mode
 * @returns {Case}
 */
export function accessesCase(random, number, mode) {
  const home = mode === 'AT' ? 'none' : mode === 'TTBR1' ? 'upper' : 'lower';
  const control = randomControl(random, home);
  const tables = randomTables(random, control, home);
  const what = { atOnly: home === 'none', userStubs: !halfOf(control, home === 'upper').hidden };
  return drawnCase({ number, mode, control, count: OPERATIONS, draws: DRAWS }, tables, () => {
    const manner = randomManner(random, what);
    const bytes = manner.kind === 'at' ? 1 : manner.bytes;
    const address = randomAddress(
      random,
      control,
      tables,
      manner.kind === 'at' ? 'read' : manner.kind,
      bytes,
    );
    return { ...manner, address, flush: true };
  });
}

/**
 * Without translation: SCTLR.M is 0.
 *
 * @param {Random} random
 * @param {number} number
 * @returns {Case}
 */
export function untranslatedCase(random, number) {
  const control = randomControl(random, 'none');
  control.sctlr &= ~SCTLR_M;
  const tables = {
    ...randomTables(random, control, 'none'),
    stubs: { el1: BigInt(IMAGE), el0: BigInt(IMAGE) },
  };
  const [[start, end]] = LAYOUT.pageRanges;
  return drawnCase({ number, mode: 'MMU off', control, count: OPERATIONS, draws: DRAWS }, tables, () => {
    const manner = randomManner(random, { atOnly: false, userStubs: true });
    const bytes = manner.kind === 'at' ? 1 : manner.bytes;
    const block = BigInt(start + random.below((end - start) / 16) * 16);
    let address = manner.kind === 'fetch' ? block : block + BigInt(random.below(16 / bytes) * bytes);
    const choice = random.below(100);
    if (choice < 30) address |= 1n << BigInt(52 + random.below(12));
    else if (choice < 50 && manner.kind === 'at') address = random.bits(64) & ~PHYSICAL_TOP;
    const half = halfOf(control, isUpper(address));
    if (manner.kind === 'fetch' && half.ignoresFetchTag) {
      address = BigInt.asUintN(64, BigInt.asIntN(56, address));
    }
    return { ...manner, address, flush: true };
  });
}
