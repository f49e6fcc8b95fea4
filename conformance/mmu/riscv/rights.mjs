// Cases that together hold all combinations of rights: of a page, of the processor's modes and registers, and of accesses.

import { drawnCase, formatNamed, randomControl } from './accesses.mjs';
import { asidBits, canonical, levelShift, MENVCFG_ADUE, satpOf } from './control.mjs';
import { LAYOUT } from './layout.mjs';
import { AMO_NAMES } from './operations.mjs';
import { ACCESSED, DIRTY, EXECUTE, GLOBAL, READ, USER_PAGE, VALID, WRITE } from './reference.mjs';
import { framed, plainTables } from './tables.mjs';

/** @typedef {import('../random.mjs').Random} Random */
/** @typedef {import('./operations.mjs').Case} Case */
/** @typedef {import('./operations.mjs').Mode} Mode */

/** Every combination of these is a page. */
const PAGE_BITS = [READ, WRITE, EXECUTE, USER_PAGE, ACCESSED, DIRTY, GLOBAL];
const PAGES = 1 << PAGE_BITS.length;

const KINDS = /** @type {const} */ (['read', 'write', 'fetch', 'amo']);

/** Of the rest, each digit of a case's number. Hardware's updates make it impossible to use a page twice. */
const DIGITS = /** @type {const} */ ({ half: 2, kind: KINDS.length, user: 2, sum: 2, mxr: 2, adue: 2 });

const PER_CASE = PAGES / DIGITS.half;

const COUNT = Object.values(DIGITS).reduce((product, base) => product * base, 1);

/** Has no factor in common with the count: so many cases in a row are unlike each other. */
const STRIDE = 37;

/** Of all tables on the way, not in the way of the guest's page. */
const INDEX = 16;

/**
 * @param {Random} random
 * @param {number} number
 * @param {Mode} mode - not Bare
 * @param {number} rank - among the cases of this kind and mode
 * @param {number} seed - of the run, which decides what it begins with
 * @returns {Case}
 */
export function rightsCase(random, number, mode, rank, seed) {
  let rest = ((rank % COUNT) * STRIDE + (seed % COUNT)) % COUNT;
  /** @param {keyof typeof DIGITS} name */
  const digit = (name) => {
    const value = rest % DIGITS[name];
    rest = Math.floor(rest / DIGITS[name]);
    return value;
  };
  const firstPage = digit('half') * PER_CASE;
  const kind = KINDS[digit('kind')];
  const [user, sum, mxr] = [digit('user') === 1, digit('sum') === 1, digit('mxr') === 1];

  const format = formatNamed(mode);
  const { xlen, levels } = format;
  const { tables, root, put, take } = plainTables(random, format);
  const control = randomControl(random, xlen);
  control.menvcfg = digit('adue') === 1 ? control.menvcfg | MENVCFG_ADUE : control.menvcfg & ~MENVCFG_ADUE;
  control.satp = satpOf(format, { asid: random.bits(asidBits(xlen)), root: BigInt(root) });

  let table = root;
  let base = 0n;
  for (let level = levels - 1; level > 0; level--) {
    const next = take();
    put(table, INDEX, VALID | framed(BigInt(next)));
    base += BigInt(INDEX) << levelShift(format, level);
    table = next;
  }
  const [[start, end]] = LAYOUT.pageRanges;
  for (let page = 0; page < PAGES; page++) {
    let entry = VALID | framed(BigInt(start + random.below((end - start) / 4096) * 4096));
    for (const [i, bit] of PAGE_BITS.entries()) if ((page & (1 << i)) !== 0) entry |= bit;
    put(table, page, entry);
  }
  const bytes = kind === 'fetch' || xlen === 32 ? 4 : 8;
  return drawnCase({ number, mode, control, count: PER_CASE, draws: PER_CASE }, tables, (i) => ({
    kind,
    bytes,
    user,
    sum,
    mxr,
    modified: kind !== 'fetch' && random.chance(0.25),
    amo: random.pick(AMO_NAMES),
    address: canonical(format, base + BigInt((firstPage + i) * 4096 + random.below(256) * 16)),
    value: kind === 'write' || kind === 'amo' ? random.bits(bytes * 8) : 0n,
    flush: true,
  }));
}
