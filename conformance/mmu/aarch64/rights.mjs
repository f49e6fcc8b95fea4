// Cases that together hold all combinations of rights: of a page, of the tables above it, of the registers, and of accesses.

import { SketchMemory } from '../sketch-memory.mjs';
import { drawnCase, randomControl } from './accesses.mjs';
import {
  GRANULES,
  SCTLR_WXN,
  TCR_BITS,
  TCR_GRANULE_SHIFTS,
  TCR_HA,
  TCR_HD,
  TCR_IPS_SHIFT,
  TCR_SIZE_SHIFTS,
} from './control.mjs';
import { LAYOUT } from './layout.mjs';
import { AT_NAMES } from './operations.mjs';
import { ACCESSED, DIRTY_MODIFIER, PXN, READ_ONLY, TABLE, USER, UXN, VALID } from './reference.mjs';
import { addWindow, tableSupply } from './tables.mjs';

/** @typedef {import('../random.mjs').Random} Random */
/** @typedef {import('./operations.mjs').Access} Access */
/** @typedef {import('./operations.mjs').Case} Case */
/** @typedef {import('./operations.mjs').Translate} Translate */

/** Every combination of these is a page. */
const PAGE_BITS = [USER, READ_ONLY, UXN, PXN, DIRTY_MODIFIER, ACCESSED];
const PAGES = 1 << PAGE_BITS.length;

/** PXNTable, UXNTable and APTable, from bit 59 on. */
const TABLE_RIGHTS = 16;

/** A case has half of the pages; hardware's updates make it impossible to use one twice. */
const PER_CASE = PAGES / 2;

/** Accesses and AT, of which each may be with PAN. */
const MANNERS = [
  .../** @type {const} */ (['read', 'write', 'fetch']).flatMap((kind) => [
    { kind, user: false, unprivileged: false },
    { kind, user: true, unprivileged: false },
    ...(kind === 'fetch' ? [] : [{ kind, user: false, unprivileged: true }]),
  ]),
  ...AT_NAMES.map((name) => ({ kind: /** @type {const} */ ('at'), name })),
];

/** Of the rest, each digit of a case's number. */
const DIGITS = /** @type {const} */ ({
  pages: 2,
  tables: TABLE_RIGHTS,
  manner: MANNERS.length,
  pan: 2,
  hpd: 2,
  ha: 2,
  hd: 2,
  wxn: 2,
});

const COUNT = Object.values(DIGITS).reduce((product, base) => product * base, 1);

/** Has no factor in common with the count: so many cases in a row are unlike each other. */
const STRIDE = 4099;

/** T0SZ or T1SZ with which the root is at level 1, and where that has its index. */
const SIZE = 25n;
const ROOT_SHIFT = 30n;

/** In the root, not in the way of the guest's page. */
const ROOT_INDEX = 16;

/**
 * @param {Random} random
 * @param {number} number
 * @param {number} rank - among the cases of this mode
 * @param {number} seed - of the run, which decides what it begins with
 * @returns {Case}
 */
export function rightsCase(random, number, rank, seed) {
  let rest = ((rank % COUNT) * STRIDE + (seed % COUNT)) % COUNT;
  /** @param {keyof typeof DIGITS} name */
  const digit = (name) => {
    const value = rest % DIGITS[name];
    rest = Math.floor(rest / DIGITS[name]);
    return value;
  };
  const firstPage = digit('pages') * PER_CASE;
  const tableRights = digit('tables');
  const manner = MANNERS[digit('manner')];
  const pan = digit('pan') === 1;

  const upper = random.chance(0.5);
  const which = upper ? 1 : 0;
  const control = randomControl(random, upper ? 'upper' : 'lower');
  const ttbr = upper ? 'ttbr1' : 'ttbr0';
  control.mair = 0xffff_ffff_ffff_ffffn;
  control.tcr &= ~(TCR_HA | TCR_HD | (7n << TCR_IPS_SHIFT) | (63n << TCR_SIZE_SHIFTS[which]));
  control.tcr &= ~(3n << TCR_GRANULE_SHIFTS[which]);
  control.tcr |= GRANULES[0].codes[which] << TCR_GRANULE_SHIFTS[which];
  control.tcr &= ~(TCR_BITS.hpd[which] | TCR_BITS.e0pd[which]);
  control.tcr |= (5n << TCR_IPS_SHIFT) | (SIZE << TCR_SIZE_SHIFTS[which]);
  if (digit('hpd') === 1) control.tcr |= TCR_BITS.hpd[which];
  if (digit('ha') === 1) control.tcr |= TCR_HA;
  if (digit('hd') === 1) control.tcr |= TCR_HD;
  control.sctlr &= ~SCTLR_WXN;
  if (digit('wxn') === 1) control.sctlr |= SCTLR_WXN;

  const memory = new SketchMemory(LAYOUT);
  const { take, arenaFrames } = tableSupply(random, control);
  const [root, second, last] = [take(), take(), take()];
  control[ttbr] = BigInt(root);
  const inRoot = random.chance(0.5);
  /**
   * @param {number} table
   * @param {number} index
   * @param {bigint} entry
   */
  const put = (table, index, entry) => memory.write(BigInt(table + index * 8), 8, entry);
  const [[start, end]] = LAYOUT.pageRanges;
  const restricted = (BigInt(tableRights) << 59n) | VALID | TABLE;
  put(root, ROOT_INDEX, BigInt(second) | (inRoot ? restricted : VALID | TABLE));
  put(second, 0, BigInt(last) | (inRoot ? VALID | TABLE : restricted));
  for (let page = 0; page < PAGES; page++) {
    let entry = VALID | TABLE | BigInt(start + random.below((end - start) / 4096) * 4096);
    for (const [i, bit] of PAGE_BITS.entries()) if ((page & (1 << i)) !== 0) entry |= bit;
    put(last, page, entry);
  }
  const guarded = new Set();
  const tables = {
    memory,
    guarded,
    arenaFrames,
    stubs: addWindow({ memory, guarded }, control, upper, take),
  };

  const base = BigInt.asUintN(64, (upper ? -1n << (64n - SIZE) : 0n) + (BigInt(ROOT_INDEX) << ROOT_SHIFT));
  const what = { number, mode: /** @type {const} */ ('rights'), control, count: PER_CASE, draws: PER_CASE };
  return drawnCase(what, tables, (i) => {
    const address = base + BigInt((firstPage + i) * 4096 + random.below(256) * 16);
    if (manner.kind === 'at') return { ...manner, inside: random.chance(0.5), address, pan, flush: true };
    const bytes = manner.kind === 'fetch' ? 4 : 8;
    return {
      ...manner,
      bytes,
      address,
      pan,
      value: manner.kind === 'write' ? random.bits(64) : 0n,
      flush: true,
    };
  });
}
