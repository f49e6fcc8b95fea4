// A slow, obvious walker of RISC-V's page tables, without any cache. It tells in advance what an access will do, so that cases
// hold no access that would be undefined; it explains differences; and it can stand in for the model.
//
// See the RISC-V Instruction Set Manual, volume II (privileged architecture), chapter "Supervisor-Level ISA", sections "Sv32:
// Page-Based 32-bit Virtual-Memory Systems" to "Sv57", and the chapters of the extensions Svnapot, Svpbmt, Svade and Svadu.

import {
  canonical,
  formatOf,
  hasMemoryTypes,
  levelShift,
  rootAddress,
  setsAccessedAndDirty,
} from './control.mjs';
import { isNowhere } from './layout.mjs';

/** @typedef {import('./control.mjs').Control} Control */
/** @typedef {import('./control.mjs').Format} Format */
/** @typedef {import('./operations.mjs').Access} Access */

/**
 * An entry that a walk read.
 *
 * @typedef {{ level: number, address: bigint, value: bigint }} Entry
 */

/**
 * Why an entry is reserved, or a page not to be used.
 *
 * @typedef {'W without R' | 'bits 60 to 54' | 'memory type without Svpbmt' | 'memory type 3' | 'N without Svnapot' | 'code of N'
 *   | 'A, D or U in a pointer' | 'N or memory type in a pointer' | 'pointer in the last level' | 'misaligned page'
 *   | 'A or D clear'} Objection
 */

/**
 * A rule that an emulator breaks.
 *
 * @typedef {Objection | 'entry that cannot be read' | 'address above 32 bits' | 'AMO that may not read'
 *   | 'fetch from a page of U mode'} Rule
 */

/**
 * What the tables say of one virtual address.
 *
 * @typedef {object} Walk
 * @property {'leaf' | FaultKind} end
 * @property {readonly Entry[]} entries - the last one decided
 * @property {bigint} address - physical; of a leaf
 * @property {bigint} pageBytes
 * @property {bigint} flags - of the leaf
 * @property {boolean} group - a leaf of 64 KiB (Svnapot)
 * @property {boolean} global - by itself, or by a pointer above it
 * @property {boolean} globalAbove - by a pointer above it
 * @property {readonly Rule[]} broken - rules that the emulator broke
 */

/** @typedef {'page' | 'access'} FaultKind */

/** @typedef {{ address: bigint, before: bigint, after: bigint }} Update - of an entry */

/** @typedef {{ va: bigint, bytes: number, walk: Walk, update: Update | undefined }} Portion */

/**
 * What one access does. A portion is what lies in one page; the last one faults, if one does.
 *
 * @typedef {object} Prediction
 * @property {{ kind: FaultKind, cause: number, tval: bigint } | undefined} fault
 * @property {readonly Portion[]} portions
 * @property {readonly Rule[]} broken - rules that the emulator broke, without which this would not be as it is
 */

/**
 * Reads some bytes.
 *
 * @typedef {(address: bigint, bytes: number) => bigint} Read
 */

/**
 * Which rules are broken; by the manual, none.
 *
 * @typedef {(rule: Rule, control: Control) => boolean} Breaks
 */

export const VALID = 1n << 0n;
export const READ = 1n << 1n;
export const WRITE = 1n << 2n;
export const EXECUTE = 1n << 3n;
export const USER_PAGE = 1n << 4n;
export const GLOBAL = 1n << 5n;
export const ACCESSED = 1n << 6n;
export const DIRTY = 1n << 7n;
export const RESERVED = 0x7fn << 54n;
export const MEMORY_TYPE = 3n << 61n;
export const NAPOT = 1n << 63n;

/** A leaf, if one of them is set. */
const RIGHTS = READ | WRITE | EXECUTE;

/** Of 16 pages. */
const GROUP_BYTES = 1n << 16n;
const GROUP_CODE = 8n;

const PPN_SHIFT = 10n;

/** Causes of exceptions. */
export const CAUSES = {
  fetch: { access: 1, page: 12 },
  read: { access: 5, page: 13 },
  write: { access: 7, page: 15 },
  amo: { access: 7, page: 15 },
};

/** @type {Breaks} */
const NONE = () => false;

/** @type {Walk} */
const NOTHING = {
  end: 'leaf',
  entries: [],
  address: 0n,
  pageBytes: 0n,
  flags: 0n,
  group: false,
  global: false,
  globalAbove: false,
  broken: [],
};

/** @param {Format} format @param {bigint} value - of an entry */
function frameOf({ xlen }, value) {
  return xlen === 32 ? value >> PPN_SHIFT : BigInt.asUintN(44, value >> PPN_SHIFT);
}

/** @param {bigint} value - of an entry that is valid */
export function isPointer(value) {
  return (value & RIGHTS) === 0n;
}

/**
 * All that makes a valid entry a page fault, whatever the access is.
 *
 * @param {Control} control
 * @param {Format} format
 * @param {number} level
 * @param {bigint} value
 * @returns {Objection[]}
 */
function objections(control, format, level, value) {
  const isLong = format.xlen === 64;
  const type = isLong ? (value & MEMORY_TYPE) >> 61n : 0n;
  const isGroup = isLong && (value & NAPOT) !== 0n;
  /** @type {Objection[]} */
  const found = [];
  if (isLong && (value & RESERVED) !== 0n) found.push('bits 60 to 54');
  if (isPointer(value)) {
    if ((value & (ACCESSED | DIRTY | USER_PAGE)) !== 0n) found.push('A, D or U in a pointer');
    if (isGroup || type !== 0n) found.push('N or memory type in a pointer');
    if (level === 0) found.push('pointer in the last level');
    return found;
  }
  if ((value & (READ | WRITE)) === WRITE) found.push('W without R');
  if (type !== 0n && !hasMemoryTypes(control)) found.push('memory type without Svpbmt');
  if (type === 3n && hasMemoryTypes(control)) found.push('memory type 3');
  if (isGroup && !control.machine.svnapot) found.push('N without Svnapot');
  const frame = frameOf(format, value);
  if (isGroup && control.machine.svnapot && (level > 0 || (frame & 15n) !== GROUP_CODE))
    found.push('code of N');
  if (level > 0 && BigInt.asUintN(format.indexBits * level, frame) !== 0n) found.push('misaligned page');
  return found;
}

/**
 * Walks the tables for one virtual address.
 *
 * @param {Read} read
 * @param {Control} control
 * @param {bigint} va
 * @param {Breaks} breaks
 * @returns {Walk}
 */
export function walkTables(read, control, va, breaks = NONE) {
  const format = formatOf(control);
  if (format === undefined) return { ...NOTHING, address: va, pageBytes: 1n << 64n };
  if (canonical(format, va) !== va) return { ...NOTHING, end: 'page' };
  /** @type {Entry[]} */
  const entries = [];
  /** @type {Rule[]} */
  const broken = [];
  let table = rootAddress(control);
  let globalAbove = false;
  for (let level = format.levels - 1; ; level--) {
    const shift = levelShift(format, level);
    const address = table + BigInt.asUintN(format.indexBits, va >> shift) * BigInt(format.entryBytes);
    if (isNowhere(address, format.xlen)) {
      if (!breaks('entry that cannot be read', control))
        return { ...NOTHING, end: 'access', entries, broken };
      return { ...NOTHING, end: 'page', entries, broken: [...broken, 'entry that cannot be read'] };
    }
    const value = read(address, format.entryBytes);
    entries.push({ level, address, value });
    if ((value & VALID) === 0n) return { ...NOTHING, end: 'page', entries, globalAbove, broken };
    const wrong = objections(control, format, level, value);
    if (wrong.some((each) => !breaks(each, control)))
      return { ...NOTHING, end: 'page', entries, globalAbove, broken };
    broken.push(...wrong);
    if (isPointer(value)) {
      table = frameOf(format, value) << 12n;
      globalAbove ||= (value & GLOBAL) !== 0n;
      continue;
    }
    const group = control.machine.svnapot && format.xlen === 64 && (value & NAPOT) !== 0n;
    const pageBytes = group ? GROUP_BYTES : 1n << shift;
    const offset = va & (pageBytes - 1n);
    let base = frameOf(format, value) << 12n;
    if (format.xlen === 32 && base >> 32n !== 0n && breaks('address above 32 bits', control)) {
      base = BigInt.asUintN(32, base);
      broken.push('address above 32 bits');
    }
    return {
      end: 'leaf',
      entries,
      address: base - (base & (pageBytes - 1n)) + offset,
      pageBytes,
      flags: value & 0xffn,
      group,
      global: globalAbove || (value & GLOBAL) !== 0n,
      globalAbove,
      broken,
    };
  }
}

/**
 * Whether the rights of a page let an access through.
 *
 * @param {bigint} flags - of the page
 * @param {Pick<Access, 'kind' | 'user' | 'sum' | 'mxr'>} access
 */
export function rightsAllow(flags, { kind, user, sum, mxr }) {
  const isUserPage = (flags & USER_PAGE) !== 0n;
  if (user ? !isUserPage : isUserPage && (kind === 'fetch' || !sum)) return false;
  const readable = (flags & READ) !== 0n || (mxr && (flags & EXECUTE) !== 0n);
  switch (kind) {
    case 'fetch':
      return (flags & EXECUTE) !== 0n;
    case 'read':
      return readable;
    case 'write':
      return (flags & WRITE) !== 0n;
    case 'amo':
      return readable && (flags & WRITE) !== 0n;
  }
}

/**
 * Whether a page is refused to a fetch in S mode, but a read may have brought it into a TLB that knows only one sort of access.
 *
 * @param {bigint} flags - of the page
 * @param {Access} access
 */
function isReadBySum(flags, { kind, user, sum, flush }) {
  return (
    kind === 'fetch' && !user && sum && !flush && rightsAllow(flags, { kind, user: true, sum, mxr: false })
  );
}

/**
 * One page's part of an access.
 *
 * @param {Read} read
 * @param {Control} control
 * @param {Access} access
 * @param {{ va: bigint, bytes: number }} where
 * @param {Breaks} breaks
 * @returns {Portion & { fault: FaultKind | undefined }}
 */
function portionOf(read, control, access, { va, bytes }, breaks) {
  const walk = walkTables(read, control, va, breaks);
  const plain = { va, bytes, walk, update: undefined };
  if (walk.end !== 'leaf') return { ...plain, fault: walk.end };
  const nowhere = isNowhere(walk.address, control.machine.xlen) ? 'access' : undefined;
  const leaf = walk.entries.at(-1);
  if (leaf === undefined) return { ...plain, fault: nowhere }; // mode Bare
  if (!rightsAllow(walk.flags, access)) {
    // QEMU has it in its TLB then, so it sets nothing.
    const goesOn = isReadBySum(walk.flags, access) && breaks('fetch from a page of U mode', control);
    if (!goesOn) return { ...plain, fault: 'page' };
    return {
      ...plain,
      walk: { ...walk, broken: [...walk.broken, 'fetch from a page of U mode'] },
      fault: nowhere,
    };
  }
  const needed = ACCESSED | (access.kind === 'write' || access.kind === 'amo' ? DIRTY : 0n);
  /** @type {Rule[]} */
  let broken = [...walk.broken];
  if ((leaf.value & needed) !== needed && !setsAccessedAndDirty(control)) {
    if (!breaks('A or D clear', control)) return { ...plain, fault: 'page' };
    broken = [...broken, 'A or D clear'];
  }
  const after = leaf.value | needed;
  const update = after === leaf.value ? undefined : { address: leaf.address, before: leaf.value, after };
  // QEMU finds it too late.
  const fault = broken.includes('code of N') ? 'page' : nowhere;
  return { va, bytes, walk: { ...walk, broken }, update, fault };
}

/**
 * What an access does, with nothing in any cache.
 *
 * @param {Read} read
 * @param {Control} control
 * @param {Access} access
 * @param {Breaks} [breaks] - for what an emulator does
 * @returns {Prediction}
 */
export function predict(read, control, access, breaks = NONE) {
  if (access.kind === 'amo' && breaks('AMO that may not read', control)) {
    const asRead = predict(read, control, { ...access, kind: 'read' }, breaks);
    if (asRead.fault !== undefined) {
      return { ...asRead, broken: [...asRead.broken, 'AMO that may not read'] };
    }
  }
  const { address, bytes } = access;
  const onFirst = Math.min(bytes, 4096 - Number(address & 0xfffn)); // at most 4096
  /** @type {Portion[]} */
  const portions = [];
  /** @type {Rule[]} */
  const broken = [];
  for (const [offset, size] of [
    [0, onFirst],
    [onFirst, bytes - onFirst],
  ]) {
    if (size === 0) break;
    const va = BigInt.asUintN(control.machine.xlen, address + BigInt(offset));
    const { fault, ...portion } = portionOf(read, control, access, { va, bytes: size }, breaks);
    portions.push(portion);
    broken.push(...portion.walk.broken);
    if (fault !== undefined) {
      return { fault: { kind: fault, cause: CAUSES[access.kind][fault], tval: va }, portions, broken };
    }
  }
  return { fault: undefined, portions, broken };
}

/**
 * A walk in one line per entry, for people.
 *
 * @param {Walk} walk
 */
export function walkText({ end, entries, address, pageBytes }) {
  return [
    ...entries.map(
      (entry) => `level ${entry.level} at 0x${entry.address.toString(16)} = 0x${entry.value.toString(16)}`,
    ),
    end === 'leaf'
      ? `0x${address.toString(16)} in a page of 0x${pageBytes.toString(16)} bytes`
      : `${end} fault`,
  ];
}
