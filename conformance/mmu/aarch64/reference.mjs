// A slow, obvious walker of AArch64's stage-1 tables for EL1&0, without any cache. It tells in advance what an
// access will do, so that cases hold no access that would be undefined; it explains differences; and it can stand in for
// the model.
//
// See Arm Architecture Reference Manual (DDI 0487, issue L), chapter D8.

import {
  halfOf,
  indexBits,
  isSizeValid,
  isUpper,
  levelShift,
  outputBits,
  PHYS_BITS,
  rootLevel,
  SCTLR_A,
  SCTLR_M,
  SCTLR_WXN,
  TCR_HA,
  TCR_HD,
} from './control.mjs';

/** @typedef {import('./control.mjs').Control} Control */
/** @typedef {import('./control.mjs').Half} Half */
/** @typedef {import('./operations.mjs').Access} Access */
/** @typedef {import('./operations.mjs').Translate} Translate */

/**
 * An entry that a walk read.
 *
 * @typedef {{ level: number, address: bigint, value: bigint }} Entry
 */

/** @typedef {'address size' | 'translation' | 'access flag' | 'permission'} WalkFault */

/** @typedef {WalkFault | 'alignment'} FaultKind */

/**
 * What an access is to the MMU.
 *
 * @typedef {object} Manner
 * @property {'read' | 'write' | 'fetch'} kind
 * @property {boolean} asUser - checked as EL0
 * @property {boolean} pan - PSTATE.PAN counts
 */

/**
 * What the tables say of one virtual address.
 *
 * @typedef {object} Walk
 * @property {'leaf' | WalkFault} end - never permission
 * @property {readonly Entry[]} entries - the last one decided; none of a fault before the first, and without translation
 * @property {number} level - that a fault reports
 * @property {bigint} address - physical; of a leaf
 * @property {bigint} pageBytes
 * @property {boolean} forUser - EL0 may access it: AP[1], no APTable[0]
 * @property {boolean} readOnly - for both: AP[2] or APTable[1]; a page that hardware may make dirty is not
 * @property {boolean} tracked - hardware makes it dirty when it is written: DBM
 * @property {boolean} clean - it is not dirty yet: AP[2]
 * @property {boolean} unaccessed - hardware sets AF
 * @property {boolean} uxn
 * @property {boolean} pxn
 * @property {boolean} global
 * @property {number} memoryType - byte of MAIR
 * @property {number} shareability - SH
 */

/** @typedef {{ address: bigint, value: bigint }} Update */

/** @typedef {{ va: bigint, bytes: number, walk: Walk, updates: readonly Update[] }} Portion */

/**
 * What one access does, or an AT. A portion is what lies in one page; the last one faults, if one does.
 *
 * @typedef {object} Prediction
 * @property {Manner} manner
 * @property {{ kind: FaultKind, far: bigint, esr: number } | undefined} fault
 * @property {readonly Portion[]} portions
 * @property {bigint} par - of an AT
 */

/**
 * Reads some bytes.
 *
 * @typedef {(address: bigint, bytes: number) => bigint} Read
 */

export const VALID = 1n << 0n;
export const TABLE = 1n << 1n;
export const USER = 1n << 6n;
export const READ_ONLY = 1n << 7n;
export const ACCESSED = 1n << 10n;
export const NON_GLOBAL = 1n << 11n;
export const DIRTY_MODIFIER = 1n << 51n;
export const PXN = 1n << 53n;
export const UXN = 1n << 54n;
export const PXN_TABLE = 1n << 59n;
export const UXN_TABLE = 1n << 60n;
export const NO_USER_TABLE = 1n << 61n;
export const READ_ONLY_TABLE = 1n << 62n;

/** Status codes of level 0. */
export const STATUS = { 'address size': 0, translation: 4, 'access flag': 8, permission: 12 };

const ALIGNMENT_STATUS = 0x21;
const PC_ALIGNMENT_ESR = 0x8a00_0000;

/**
 * Bits `high` to `low`, both included.
 *
 * @param {number} high
 * @param {number} low
 */
function bits(high, low) {
  return high < low ? 0n : ((1n << BigInt(high - low + 1)) - 1n) << BigInt(low);
}

/** @param {WalkFault} kind @param {number} level */
function statusOf(kind, level) {
  return STATUS[kind] + level;
}

/**
 * Where a walk begins.
 *
 * @param {Half} half - of a valid size
 */
export function rootAddress(half) {
  const tableBits = indexBits(half, rootLevel(half)) + 3;
  return half.ttbr & bits(47, tableBits);
}

/** @type {Walk} */
const NOTHING = {
  end: 'leaf',
  entries: [],
  level: 0,
  address: 0n,
  pageBytes: 0n,
  forUser: true,
  readOnly: false,
  tracked: false,
  clean: false,
  unaccessed: false,
  uxn: false,
  pxn: false,
  global: false,
  memoryType: 0,
  shareability: 2,
};

/**
 * The address without what tags it, and whether what is left of its top agrees with bit 55.
 *
 * @param {Half} half
 * @param {Manner} manner
 * @param {bigint} va
 * @param {number} width - bits that are translated
 */
function isInRange({ upper, ignoresTag, ignoresFetchTag }, { kind }, va, width) {
  const top = (kind === 'fetch' ? ignoresFetchTag : ignoresTag) ? 55 : 63;
  const mask = bits(top, width);
  return (va & mask) === (upper ? mask : 0n);
}

/**
 * Walks the tables for one virtual address.
 *
 * @param {Read} read
 * @param {Control} control
 * @param {bigint} va
 * @param {Manner} manner
 * @returns {Walk}
 */
export function walkTables(read, control, va, manner) {
  const half = halfOf(control, isUpper(va));
  if ((control.sctlr & SCTLR_M) === 0n) {
    const flat = isInRange({ ...half, upper: false }, manner, va, PHYS_BITS);
    if (!flat) return { ...NOTHING, end: 'address size' };
    return { ...NOTHING, address: va & bits(PHYS_BITS - 1, 0), pageBytes: 1n << BigInt(PHYS_BITS) };
  }
  if (!isSizeValid(half)) return { ...NOTHING, end: 'translation' };
  if (!isInRange(half, manner, va, 64 - half.size)) return { ...NOTHING, end: 'translation' };
  if ((manner.asUser && half.hidden) || !half.walks) return { ...NOTHING, end: 'translation' };
  const tooHigh = bits(47, outputBits(control));
  if ((half.ttbr & tooHigh) !== 0n) return { ...NOTHING, end: 'address size' };

  /** @type {Entry[]} */
  const entries = [];
  let table = rootAddress(half);
  let attributes = 0n;
  for (let level = rootLevel(half); ; level++) {
    const shift = levelShift(half.granule, level);
    const index = (va >> shift) & ((1n << BigInt(indexBits(half, level))) - 1n);
    const address = table + index * 8n;
    const value = read(address, 8);
    entries.push({ level, address, value });
    if (!isUsed(half, level, value)) return { ...NOTHING, end: 'translation', entries, level };
    if ((value & tooHigh) !== 0n) return { ...NOTHING, end: 'address size', entries, level };
    if (level < 3 && (value & TABLE) !== 0n) {
      table = value & bits(47, half.granule.shift);
      if (!half.ignoresTableRights) attributes |= value;
      continue;
    }
    return { ...leafOf(control, value, attributes, va, shift), entries, level };
  }
}

/**
 * Whether an entry is a table's, a block's or a page's.
 *
 * @param {Half} half
 * @param {number} level
 * @param {bigint} value
 */
function isUsed({ granule }, level, value) {
  if ((value & VALID) === 0n) return false;
  return (value & TABLE) !== 0n || granule.blocks.includes(level);
}

/**
 * The entry that a walk ended with, if it has the code of a block where there is none. In the last level that is another thing.
 *
 * @param {Walk} walk
 * @returns {Entry | undefined}
 */
export function strayBlock({ end, entries }) {
  const last = entries.at(-1);
  if (end !== 'translation' || last === undefined || last.level === 3) return undefined;
  return (last.value & (VALID | TABLE)) === VALID ? last : undefined;
}

/**
 * @param {Control} control
 * @param {bigint} value - of the leaf
 * @param {bigint} tables - what the tables above say in bits 62 to 59
 * @param {bigint} va
 * @param {bigint} shift
 * @returns {Walk}
 */
function leafOf({ tcr, mair }, value, tables, va, shift) {
  const updatesFlag = (tcr & TCR_HA) !== 0n;
  if ((value & ACCESSED) === 0n && !updatesFlag) return { ...NOTHING, end: 'access flag' };
  const pageBytes = 1n << shift;
  const tracked = updatesFlag && (tcr & TCR_HD) !== 0n && (value & DIRTY_MODIFIER) !== 0n;
  const clean = (value & READ_ONLY) !== 0n && tracked;
  const attribute = (value >> 2n) & 7n;
  return {
    ...NOTHING,
    address: (value & bits(47, Number(shift))) | (va & (pageBytes - 1n)), // a shift is at most 42
    pageBytes,
    forUser: (value & USER) !== 0n && (tables & NO_USER_TABLE) === 0n,
    readOnly: ((value & READ_ONLY) !== 0n && !clean) || (tables & READ_ONLY_TABLE) !== 0n,
    tracked,
    clean,
    unaccessed: (value & ACCESSED) === 0n,
    uxn: (value & UXN) !== 0n || (tables & UXN_TABLE) !== 0n,
    pxn: (value & PXN) !== 0n || (tables & PXN_TABLE) !== 0n,
    global: (value & NON_GLOBAL) === 0n,
    memoryType: Number((mair >> (attribute * 8n)) & 0xffn), // 8 bits
    shareability: Number((value >> 8n) & 3n), // 2 bits
  };
}

/**
 * Whether the rights of a page let an access through.
 *
 * @param {Control} control
 * @param {Walk} walk - that ends in a leaf
 * @param {Manner} manner
 */
export function rightsAllow({ sctlr }, walk, { kind, asUser, pan }) {
  if ((sctlr & SCTLR_M) === 0n) return true;
  const userWrites = walk.forUser && !walk.readOnly;
  const writes = asUser ? userWrites : !walk.readOnly;
  if (kind === 'fetch') {
    if ((sctlr & SCTLR_WXN) !== 0n && writes) return false;
    return asUser ? !walk.uxn : !walk.pxn && !userWrites;
  }
  if (asUser ? !walk.forUser : pan && walk.forUser) return false;
  return kind === 'read' || writes;
}

/**
 * What an allowed access changes in the leaf.
 *
 * @param {Walk} walk
 * @param {boolean} dirties
 * @returns {Update[]}
 */
function updatesOf(walk, dirties) {
  const leaf = walk.entries.at(-1);
  if (leaf === undefined) return [];
  let value = leaf.value;
  if (walk.unaccessed) value |= ACCESSED;
  if (walk.clean && dirties) value &= ~READ_ONLY;
  return value === leaf.value ? [] : [{ address: leaf.address, value }];
}

/**
 * The fault of an access whose walk is known, if it faults.
 *
 * @param {Control} control
 * @param {Walk} walk
 * @param {Manner} manner
 * @returns {{ kind: WalkFault, level: number } | undefined}
 */
function faultOf(control, walk, manner) {
  if (walk.end !== 'leaf') return { kind: walk.end, level: walk.level };
  return rightsAllow(control, walk, manner) ? undefined : { kind: 'permission', level: walk.level };
}

/** @param {Access | Translate} operation @returns {Manner} */
function mannerOf(operation) {
  if (operation.kind === 'at') {
    const { name, pan } = operation;
    return {
      kind: name[4] === 'W' ? 'write' : 'read',
      asUser: name[3] === '0',
      pan: pan && name.endsWith('P'),
    };
  }
  const { kind, user, unprivileged, pan } = operation;
  return { kind, asUser: user || unprivileged, pan };
}

/**
 * ESR of an abort.
 *
 * @param {Pick<Access, 'kind' | 'user'>} access
 * @param {number} status
 */
export function syndrome({ kind, user }, status) {
  const exceptionClass = (kind === 'fetch' ? 0x20 : 0x24) + (user ? 0 : 1);
  return ((exceptionClass << 26) | (1 << 25) | (kind === 'write' ? 1 << 6 : 0) | status) >>> 0;
}

/**
 * ESR of an access that is not aligned, where it must be whatever memory it is to.
 *
 * @param {Control} control
 * @param {Access} access
 */
function misalignment({ sctlr }, access) {
  if (access.address % BigInt(access.bytes) === 0n) return undefined;
  if (access.kind === 'fetch') return PC_ALIGNMENT_ESR;
  return (sctlr & SCTLR_A) === 0n ? undefined : syndrome(access, ALIGNMENT_STATUS);
}

/**
 * PAR, where bits 9 and 10 of a success and 63 to 48 of a fault may be anything.
 *
 * @param {Walk} walk
 * @param {{ kind: WalkFault, level: number } | undefined} fault
 */
function parOf(walk, fault) {
  if (fault !== undefined) return BigInt((1 << 11) | (statusOf(fault.kind, fault.level) << 1) | 1);
  const { address, memoryType, shareability } = walk;
  // Device memory and what is not cached at all are outer shareable.
  const shared = memoryType < 0x10 || memoryType === 0x44 ? 2 : shareability;
  return (
    (BigInt(memoryType) << 56n) | (address & bits(PHYS_BITS - 1, 12)) | BigInt((1 << 11) | (shared << 7))
  );
}

/**
 * What an access or an AT does, with nothing in any cache.
 *
 * @param {Read} read
 * @param {Control} control
 * @param {Access | Translate} operation
 * @returns {Prediction}
 */
export function predict(read, control, operation) {
  const manner = mannerOf(operation);
  if (operation.kind === 'at') {
    const { address: va } = operation;
    const walk = walkTables(read, control, va, manner);
    const fault = faultOf(control, walk, manner);
    const portion = { va, bytes: 0, walk, updates: fault === undefined ? updatesOf(walk, false) : [] };
    const told = fault && { kind: fault.kind, far: 0n, esr: 0 };
    return { manner, fault: told, portions: [portion], par: parOf(walk, fault) };
  }
  const { address, bytes } = operation;
  const misaligned = misalignment(control, operation);
  if (misaligned !== undefined) {
    const walk = walkTables(read, control, address, manner);
    const portions = [{ va: address, bytes: 0, walk, updates: [] }];
    return { manner, fault: { kind: 'alignment', far: address, esr: misaligned }, portions, par: 0n };
  }
  const onFirst = Math.min(bytes, 4096 - Number(address & 0xfffn)); // at most 4096
  /** @type {Portion[]} */
  const portions = [];
  for (const [offset, size] of [
    [0, onFirst],
    [onFirst, bytes - onFirst],
  ]) {
    if (size === 0) break;
    const va = BigInt.asUintN(64, address + BigInt(offset));
    const walk = walkTables(read, control, va, manner);
    const fault = faultOf(control, walk, manner);
    const updates = fault === undefined ? updatesOf(walk, manner.kind === 'write') : [];
    portions.push({ va, bytes: size, walk, updates });
    if (fault !== undefined) {
      const esr = syndrome(operation, statusOf(fault.kind, fault.level));
      return { manner, fault: { kind: fault.kind, far: va, esr }, portions, par: 0n };
    }
  }
  return { manner, fault: undefined, portions, par: 0n };
}

/**
 * A walk in one line per entry, for people.
 *
 * @param {Walk} walk
 */
export function walkText(walk) {
  const lines = walk.entries.map(
    ({ level, address, value }) => `L${level} at 0x${address.toString(16)} = 0x${value.toString(16)}`,
  );
  const { end, level, address, pageBytes, entries: _, ...rest } = walk;
  const details = Object.entries(rest).map(([name, value]) => `${name} ${value}`);
  lines.push(
    end === 'leaf'
      ? `0x${address.toString(16)} in a page of 0x${pageBytes.toString(16)} bytes: ${details.join(', ')}`
      : `${end}, level ${level}`,
  );
  return lines;
}
