// A slow, obvious walker of x86 page tables without any cache. It tells in advance what an access will do, so that cases
// hold no access that would destroy the guest or be undefined; it explains differences; and it can stand in for the model.
//
// See Intel SDM vol. 3A (order 253668), chapter "Paging".

import {
  CR0_WP,
  CR4_PKE,
  CR4_PKS,
  CR4_PSE,
  CR4_SMAP,
  CR4_SMEP,
  EFER_NXE,
  entryBytes,
  isLong,
  PHYS_BITS,
} from './control.mjs';

/** @typedef {import('./control.mjs').Control} Control */
/** @typedef {import('./control.mjs').Mode} Mode */
/** @typedef {import('./operations.mjs').Access} Access */

/** @typedef {{ name: string, shift: bigint, indexBits: bigint }} Level */

/**
 * An entry that a walk read.
 *
 * @typedef {{ level: string, address: bigint, value: bigint }} Entry
 */

/**
 * What the tables say of one linear address.
 *
 * @typedef {object} Walk
 * @property {'leaf' | 'not-present' | 'reserved'} end
 * @property {readonly Entry[]} entries - the last one decided
 * @property {bigint} address - physical; of a leaf
 * @property {bigint} pageBytes
 * @property {boolean} user - U/S is set everywhere
 * @property {boolean} writable - R/W is set everywhere
 * @property {boolean} noExecute - XD is set somewhere
 * @property {number} key
 * @property {boolean} global - G is set in the leaf
 */

/** @typedef {{ vector: 12 | 13 | 14, errorCode: number, cr2: bigint | undefined }} Fault */

/** @typedef {{ address: bigint, value: bigint }} Update */

/** @typedef {{ linear: bigint, bytes: number, walk: Walk, updates: readonly Update[] }} Portion */

/**
 * What one access does.
 *
 * @typedef {object} Prediction
 * @property {boolean} canonical
 * @property {Fault | undefined} fault
 * @property {readonly Portion[]} portions - one for each page, up to the one that faults
 * @property {Straddle | undefined} straddle - if only its first bytes are canonical
 */

/**
 * What the first bytes of an access would do alone.
 *
 * @typedef {{ portion: Portion, errorCode: number | undefined }} Straddle
 */

/**
 * Reads an entry of 4 or 8 bytes.
 *
 * @typedef {(address: bigint, bytes: 4 | 8) => bigint} ReadEntry
 */

const PRESENT = 1n << 0n;
const READ_WRITE = 1n << 1n;
const USER = 1n << 2n;
export const ACCESSED = 1n << 5n;
export const DIRTY = 1n << 6n;
const PAGE_SIZE = 1n << 7n;
const GLOBAL = 1n << 8n;
const EXECUTE_DISABLE = 1n << 63n;

const ERROR_P = 1;
const ERROR_WRITE = 2;
const ERROR_USER = 4;
const ERROR_RSVD = 8;
const ERROR_FETCH = 16;
const ERROR_PK = 32;

/** @type {readonly Level[]} */
const FOUR_LEVELS = [
  { name: 'PML4E', shift: 39n, indexBits: 9n },
  { name: 'PDPTE', shift: 30n, indexBits: 9n },
  { name: 'PDE', shift: 21n, indexBits: 9n },
  { name: 'PTE', shift: 12n, indexBits: 9n },
];

/** @type {Record<Mode, readonly Level[]>} */
export const LEVELS = {
  '32-bit': [
    { name: 'PDE', shift: 22n, indexBits: 10n },
    { name: 'PTE', shift: 12n, indexBits: 10n },
  ],
  PAE: [{ name: 'PDPTE', shift: 30n, indexBits: 2n }, ...FOUR_LEVELS.slice(2)],
  '4-level': FOUR_LEVELS,
  '5-level': [{ name: 'PML5E', shift: 48n, indexBits: 9n }, ...FOUR_LEVELS],
};

/**
 * Bits `high` to `low`, both included.
 *
 * @param {number} high
 * @param {number} low
 */
function bits(high, low) {
  return ((1n << BigInt(high - low + 1)) - 1n) << BigInt(low);
}

/**
 * @param {Mode} mode
 * @param {bigint} cr3
 */
export function rootAddress(mode, cr3) {
  if (mode === '32-bit') return cr3 & bits(31, 12);
  if (mode === 'PAE') return cr3 & bits(31, 5);
  return cr3 & bits(PHYS_BITS - 1, 12);
}

/**
 * @param {Mode} mode
 * @param {bigint} linear
 */
export function isCanonical(mode, linear) {
  if (!isLong(mode)) return true;
  const width = mode === '5-level' ? 57 : 48;
  return BigInt.asUintN(64, BigInt.asIntN(width, linear)) === linear;
}

/**
 * @param {Mode} mode
 * @param {Control} control
 * @param {Level} level
 * @param {bigint} value
 */
function isLeaf(mode, control, level, value) {
  if (level.name === 'PTE') return true;
  if ((value & PAGE_SIZE) === 0n) return false;
  if (level.name === 'PDE') return mode !== '32-bit' || (control.cr4 & CR4_PSE) !== 0n;
  return level.name === 'PDPTE' && isLong(mode);
}

/**
 * Bits that must be 0 in a present entry.
 *
 * @param {Mode} mode
 * @param {Control} control
 * @param {Level} level
 * @param {boolean} leaf
 */
export function reservedBits(mode, control, level, leaf) {
  if (mode === '32-bit') return leaf && level.name === 'PDE' ? bits(21, 21) : 0n;
  if (mode === 'PAE' && level.name === 'PDPTE') return bits(63, PHYS_BITS) | bits(8, 5) | bits(2, 1);
  let mask = mode === 'PAE' ? bits(62, PHYS_BITS) : bits(51, PHYS_BITS);
  if ((control.efer & EFER_NXE) === 0n) mask |= EXECUTE_DISABLE;
  if (level.name === 'PML5E' || level.name === 'PML4E') mask |= PAGE_SIZE;
  if (leaf && level.name === 'PDPTE') mask |= bits(29, 13);
  if (leaf && level.name === 'PDE') mask |= bits(20, 13);
  return mask;
}

/**
 * Walks the tables for one linear address, which must be canonical.
 *
 * @param {ReadEntry} read
 * @param {Mode} mode
 * @param {Control} control
 * @param {bigint} linear
 * @returns {Walk}
 */
export function walkTables(read, mode, control, linear) {
  const size = entryBytes(mode);
  /** @type {Entry[]} */
  const entries = [];
  const walk = {
    entries,
    address: 0n,
    pageBytes: 0n,
    user: true,
    writable: true,
    noExecute: false,
    key: 0,
    global: false,
  };
  let table = rootAddress(mode, control.cr3);
  for (const level of LEVELS[mode]) {
    const index = (linear >> level.shift) & ((1n << level.indexBits) - 1n);
    const address = table + index * BigInt(size);
    const value = read(address, size);
    entries.push({ level: level.name, address, value });
    if ((value & PRESENT) === 0n) return { ...walk, end: 'not-present' };
    const leaf = isLeaf(mode, control, level, value);
    if ((value & reservedBits(mode, control, level, leaf)) !== 0n) return { ...walk, end: 'reserved' };

    if (mode !== 'PAE' || level.name !== 'PDPTE') {
      walk.user &&= (value & USER) !== 0n;
      walk.writable &&= (value & READ_WRITE) !== 0n;
      walk.noExecute ||= (value & EXECUTE_DISABLE) !== 0n;
    }
    if (!leaf) {
      table = value & bits(mode === '32-bit' ? 31 : PHYS_BITS - 1, 12);
      continue;
    }
    walk.pageBytes = 1n << level.shift;
    const offset = linear & (walk.pageBytes - 1n);
    let frame = value & bits((mode === '32-bit' ? 32 : PHYS_BITS) - 1, Number(level.shift)); // shift at most 30
    if (mode === '32-bit' && level.name === 'PDE') frame |= (value & bits(20, 13)) << 19n;
    walk.address = frame + offset;
    walk.key = isLong(mode) ? Number((value >> 59n) & 15n) : 0; // 4 bits
    walk.global = (value & GLOBAL) !== 0n;
    return { ...walk, end: 'leaf' };
  }
  throw new Error('the last level has leaves only');
}

/**
 * Whether the protection key of the page denies an access.
 *
 * @param {Mode} mode
 * @param {Control} control
 * @param {Walk} walk
 * @param {Access} access
 */
export function keyDenies(mode, control, walk, access) {
  if (!isLong(mode) || access.kind === 'fetch') return false;
  if ((control.cr4 & (walk.user ? CR4_PKE : CR4_PKS)) === 0n) return false;
  const rights = (walk.user ? control.pkru : control.pkrs) >> BigInt(2 * walk.key);
  if ((rights & 1n) !== 0n) return true;
  const obeysWriteDisable = access.user || (control.cr0 & CR0_WP) !== 0n;
  return access.kind === 'write' && (rights & 2n) !== 0n && obeysWriteDisable;
}

/**
 * Whether U/S, R/W, XD, SMEP and SMAP let an access through.
 *
 * @param {Control} control
 * @param {Walk} walk
 * @param {Access} access
 */
function rightsAllow(control, walk, access) {
  if (access.user && !walk.user) return false;
  if (access.kind === 'fetch') {
    return !walk.noExecute && (access.user || !walk.user || (control.cr4 & CR4_SMEP) === 0n);
  }
  if (!access.user && walk.user && (control.cr4 & CR4_SMAP) !== 0n && !access.ac) return false;
  if (access.kind === 'read' || walk.writable) return true;
  return !access.user && (control.cr0 & CR0_WP) === 0n;
}

/**
 * @param {Mode} mode
 * @param {Control} control
 * @param {Access} access
 */
function errorOfAccess(mode, control, access) {
  const tellsFetch =
    (control.cr4 & CR4_SMEP) !== 0n || (mode !== '32-bit' && (control.efer & EFER_NXE) !== 0n);
  return (
    (access.kind === 'write' ? ERROR_WRITE : 0) |
    (access.user ? ERROR_USER : 0) |
    (access.kind === 'fetch' && tellsFetch ? ERROR_FETCH : 0)
  );
}

/**
 * Page-fault error code of an access whose walk is known, if it faults.
 *
 * @param {Mode} mode
 * @param {Control} control
 * @param {Walk} walk
 * @param {Access} access
 */
function pageFault(mode, control, walk, access) {
  const code = errorOfAccess(mode, control, access);
  if (walk.end === 'not-present') return code;
  if (walk.end === 'reserved') return code | ERROR_P | ERROR_RSVD;
  const denied = keyDenies(mode, control, walk, access);
  if (rightsAllow(control, walk, access) && !denied) return undefined;
  return code | ERROR_P | (denied ? ERROR_PK : 0);
}

/**
 * Accessed and dirty bits that an allowed access sets.
 *
 * @param {Mode} mode
 * @param {Walk} walk
 * @param {Access} access
 * @returns {Update[]}
 */
function updatesOf(mode, walk, access) {
  // One entry may be used at several depths: its bits add up.
  /** @type {Map<bigint, bigint>} */
  const after = new Map();
  for (const [depth, { level, address, value }] of walk.entries.entries()) {
    if (mode === 'PAE' && level === 'PDPTE') continue;
    const dirty = depth === walk.entries.length - 1 && access.kind === 'write' ? DIRTY : 0n;
    after.set(address, (after.get(address) ?? value) | ACCESSED | dirty);
  }
  return walk.entries
    .filter(({ address, value }) => after.has(address) && after.get(address) !== value)
    .map(({ address }) => ({ address, value: after.get(address) ?? 0n }));
}

/**
 * What an access does, with nothing in any cache.
 *
 * @param {ReadEntry} read
 * @param {Mode} mode
 * @param {Control} control
 * @param {Access} access
 * @returns {Prediction}
 */
export function predict(read, mode, control, access) {
  const last = BigInt.asUintN(64, access.address + BigInt(access.bytes - 1));
  const beginsCanonical = isCanonical(mode, access.address);
  const canonical = beginsCanonical && isCanonical(mode, last);
  const onFirst = Math.min(access.bytes, 4096 - Number(access.address & 0xfffn)); // at most 4096
  /**
   * @param {number} offset
   * @param {number} bytes
   */
  const part = (offset, bytes) => {
    const linear = BigInt.asUintN(isLong(mode) ? 64 : 32, access.address + BigInt(offset));
    const walk = walkTables(read, mode, control, linear);
    const errorCode = pageFault(mode, control, walk, access);
    const updates = errorCode === undefined ? updatesOf(mode, walk, access) : [];
    return { portion: { linear, bytes, walk, updates }, errorCode };
  };
  if (!canonical) {
    const vector = access.stack ? 12 : 13;
    const straddle = beginsCanonical ? part(0, onFirst) : undefined;
    return { canonical, fault: { vector, errorCode: 0, cr2: undefined }, portions: [], straddle };
  }
  /** @type {Portion[]} */
  const portions = [];
  for (const [offset, bytes] of [
    [0, onFirst],
    [onFirst, access.bytes - onFirst],
  ]) {
    if (bytes === 0) break;
    const { portion, errorCode } = part(offset, bytes);
    portions.push(portion);
    if (errorCode !== undefined) {
      const fault = /** @type {const} */ ({ vector: 14, errorCode, cr2: portion.linear });
      return { canonical, fault, portions, straddle: undefined };
    }
  }
  return { canonical, fault: undefined, portions, straddle: undefined };
}

/**
 * A walk in one line per entry, for people.
 *
 * @param {Walk} walk
 */
export function walkText(walk) {
  const lines = walk.entries.map(
    ({ level, address, value }) => `${level} at 0x${address.toString(16)} = 0x${value.toString(16)}`,
  );
  lines.push(
    walk.end === 'leaf'
      ? `0x${walk.address.toString(16)} in a page of 0x${walk.pageBytes.toString(16)} bytes, user ${walk.user}, ` +
          `writable ${walk.writable}, no-execute ${walk.noExecute}, key ${walk.key}, global ${walk.global}`
      : walk.end,
  );
  return lines;
}
