// Where `PageCtrl` differs from its original on purpose: whether what was found is the right better answer.

import { isDeepStrictEqual } from 'node:util';
import { isLastOfSpace } from './hal-values.mjs';
import { hex, u64 } from './values.mjs';

const PAGE_BYTES = 4096n;
const P = 1n;
const W = 2n;
const HUGE = 0x80n;
const ADDRESS = 0xf_ffff_ffff_f000n;

/**
 * Depth of the table whose entries map pages of a size.
 *
 * @type {Record<string, number>}
 */
const DEPTHS = { '4KB': 3, '2MB': 2, '1GB': 1 };

/** @typedef {{ memory: import('./memory.mjs').WordMemory, root: bigint }} Tables */
/** @typedef {import('./memory.mjs').Word} Word */

/**
 * The entries on the way to a page of 4 KiB, from the PML4's to the PT's, as far as there are tables: read without the
 * processor, and whatever bit 7 says.
 *
 * @param {Tables} tables
 * @param {bigint} va
 * @returns {Word[]}
 */
export function entriesTo({ memory, root }, va) {
  const entries = [];
  let table = root;
  for (let depth = 0; depth < 4; depth += 1) {
    const address = table + ((va >> BigInt(39 - 9 * depth)) & 511n) * 8n;
    const value = memory.read(address) ?? 0n;
    entries.push({ address, value });
    if ((value & P) === 0n) break;
    table = value & ADDRESS;
  }
  return entries;
}

/**
 * Whether an operation was refused where the original goes on: at a present entry with bit 7 above the page's own, behind which the
 * original takes for a table what is mapped there.
 *
 * @param {Tables} tables - the words are those after the operation
 * @param {Record<string, any>} recorded
 * @param {Record<string, any>} found
 */
export function isBlocked(tables, recorded, found) {
  const { op, size = '4KB' } = recorded;
  if (op === 'init_paging') return false;
  const first = firstPage(recorded);
  const way = entriesTo(tables, first + PAGE_BYTES * BigInt(pagesDone(found))).slice(0, DEPTHS[size]);
  const at = way.findIndex(({ value }) => (value & (P | HUGE)) === (P | HUGE));
  if (at < 0) return false;
  const refusal = at === 0 ? { err: 'Other' } : { err: 'WrongSize', size };
  const isRefused =
    op === 'translate_page' ? isDeepStrictEqual(found.result, refusal) : found.result.panic === true;
  return isRefused && isBeginning(recorded, found);
}

/**
 * Whether a range stopped as recorded, and its earlier pages were mapped as recorded, but the tables that the original had made for
 * the page at which it stopped were not.
 *
 * @param {Record<string, any>} recorded
 * @param {Record<string, any>} found
 */
export function isUntouched(recorded, found) {
  const { panic, fault } = recorded.result;
  const isSame =
    (panic !== undefined || fault !== undefined) &&
    panic === found.result.panic &&
    fault === found.result.fault;
  return isSame && pagesDone(found) > 0 && isBeginning(recorded, found);
}

/**
 * The page that an operation is about, or the first of them.
 *
 * @param {Record<string, any>} recorded
 */
function firstPage({ page, frame, virt }) {
  return u64(page ?? frame ?? virt[0], 'page');
}

/**
 * Whether a call that takes all frames first was refused because there are not enough, where the original links the first table, and
 * faults because that cannot be reached.
 *
 * @param {Tables} tables - the words are those after the operation
 * @param {Record<string, any>} recorded
 * @param {Record<string, any>} found
 */
export function isShortOfFrames(tables, recorded, found) {
  const { result, alloc = [] } = recorded;
  if (result.fault === undefined || found.result.code !== 'OUT_OF_FRAMES') return false;
  const page = firstPage(recorded) + PAGE_BYTES * BigInt(pagesDone(found));
  const missing = 4 - entriesTo(tables, page).length;
  return (
    windowsOf(page).map(hex).includes(result.fault) &&
    alloc.length - found.alloc.length === 1 &&
    missing > 1 &&
    isBeginning(recorded, found)
  );
}

/**
 * How many pages of a range were mapped.
 *
 * @param {Record<string, any>} found
 */
function pagesDone({ events }) {
  return events.filter((/** @type {string[]} */ [kind]) => kind === 'callback').length;
}

/**
 * Whether what was done is what the original did for the first pages of a range, all that were mapped; for a single page, nothing.
 *
 * @param {Record<string, any>} recorded
 * @param {Record<string, any>} found
 */
function isBeginning({ alloc = [], events = [], changed = [] }, found) {
  const last = found.events.length - 1;
  const isPrefix = (/** @type {string} */ member, /** @type {unknown[]} */ all) =>
    isDeepStrictEqual(found[member], all.slice(0, found[member].length));
  if (pagesDone(found) === 0) {
    return found.changed === undefined && found.alloc.length === 0 && found.events.length === 0;
  }
  return (
    found.events[last][0] === 'invlpg' &&
    isPrefix('events', events) &&
    isPrefix('alloc', alloc) &&
    Array.isArray(changed) &&
    Array.isArray(found.changed) &&
    found.changed.every((/** @type {unknown} */ word) =>
      changed.some((each) => isDeepStrictEqual(each, word)),
    )
  );
}

/**
 * Whether a range that breaks off before its last page, which is the last one of the address space, went on with that page.
 *
 * @param {Tables} tables - the words are those after the operation
 * @param {Record<string, any>} recorded
 * @param {Record<string, any>} found
 */
export function isLastYielded(tables, recorded, found) {
  const { op, virt, phys, result, alloc = [], events = [] } = recorded;
  if (op !== 'map_range' || result.panic !== true) return false;
  const first = u64(virt[0], 'virt');
  const last = u64(virt[1], 'virt');
  const target = u64(phys[1], 'phys');
  const isLast = isLastOfSpace('VAddr', last, PAGE_BYTES) || isLastOfSpace('PAddr', target, PAGE_BYTES);
  const isAtLast =
    isLast &&
    BigInt(pagesDone({ events })) * PAGE_BYTES === last - first &&
    isDeepStrictEqual(found.events.slice(0, events.length), events) &&
    isDeepStrictEqual(found.alloc.slice(0, alloc.length), alloc);
  if (!isAtLast) return false;
  const more = found.events.slice(events.length);
  return found.result.ok === true
    ? isMappedNow(tables, recorded, last, target, more)
    : isFaultOf(last, recorded, found, more);
}

/**
 * Whether the last page of a range was mapped.
 *
 * @param {Tables} tables
 * @param {Record<string, any>} recorded
 * @param {bigint} last
 * @param {bigint} target
 * @param {readonly unknown[]} events - of this page
 */
function isMappedNow(tables, { changed = [] }, last, target, events) {
  if (events.length < 2) return false;
  const invlpg = ['invlpg', hex(last)];
  const expected = [...Array(events.length - 2).fill(invlpg), ['callback', hex(last)], invlpg];
  const way = entriesTo(tables, last);
  const leaf = way[3]?.value ?? 0n;
  const listed = Array.isArray(changed) ? changed.map(([address]) => u64(address, 'changed')) : [];
  const known = [...way.map(({ address }) => address), ...listed];
  return (
    isDeepStrictEqual(events, expected) &&
    (leaf & (P | ADDRESS)) === (target | P) &&
    tables.memory.changes().every(({ address, value }) => value === 0n || known.includes(address))
  );
}

/**
 * Whether the last page of a range could not be mapped because a table on the way to it cannot be reached, and nothing more was changed.
 *
 * @param {bigint} last
 * @param {Record<string, any>} recorded
 * @param {Record<string, any>} found
 * @param {readonly any[]} events - of this page
 */
function isFaultOf(last, { alloc = [], changed }, found, events) {
  const seen = windowsOf(last).map(hex);
  return (
    seen.includes(found.result.fault) &&
    found.alloc.length === alloc.length &&
    isDeepStrictEqual(found.changed, changed) &&
    events.every(([kind, address]) => kind === 'invlpg' && seen.includes(address))
  );
}

/**
 * Whether a call faulted as recorded, at a new table that cannot be reached, and then unlinked what it had linked: all is as before, and
 * INVLPG was executed for where those tables had been seen.
 *
 * @param {Record<string, any>} recorded
 * @param {Record<string, any>} found
 */
export function isUndone(recorded, found) {
  const { result, alloc = [], events = [] } = recorded;
  if (result.fault === undefined) return false;
  const seen = windowsOf(firstPage(recorded)).map(hex);
  const end = seen.indexOf(result.fault) + 1;
  const linked = seen.slice(end - alloc.length, end).reverse();
  return (
    end >= alloc.length &&
    alloc.length > 0 &&
    found.result.fault === result.fault &&
    found.changed === undefined &&
    found.alloc.length === 0 &&
    isDeepStrictEqual(found.events, [...events, ...linked.map((address) => ['invlpg', address])])
  );
}

/**
 * Addresses at which entry 511 of the PML4 shows the PDPT, the PD and the PT on the way to a page.
 *
 * @param {bigint} va
 */
function windowsOf(va) {
  return [1n, 2n, 3n].map((depth) => {
    const turns = 9n * (4n - depth);
    const indices = (BigInt.asUintN(48, va) >> turns) & ~0xfffn;
    return BigInt.asUintN(64, -1n << (12n + 9n * depth)) | indices;
  });
}

/**
 * Whether a page of 4 KiB is mapped.
 *
 * @param {readonly Word[]} way - the entries on the way to it
 */
export function isMapped(way) {
  return way.length === 4 && way.every(({ value }) => (value & (P | HUGE)) === P);
}

/**
 * Whether a page that was mapped is unmapped, or had its right to be written changed, and INVLPG was executed for it. Tables on the way
 * become writable, with an INVLPG each.
 *
 * @param {Tables} tables
 * @param {Record<string, any>} recorded
 * @param {Record<string, any>} found
 * @param {readonly Word[]} before - the entries on the way, before the operation
 */
export function isEdited({ memory }, { op, page }, found, before) {
  if ((op !== 'unmap' && op !== 'flags_mut') || !isMapped(before)) return false;
  const leaf = before[3];
  const after = before.map(({ value }, i) => (i < 3 ? value | W : op === 'unmap' ? 0n : value ^ W));
  const changes = before
    .map(({ address }, i) => ({ address, value: after[i] }))
    .filter(({ value }, i) => value !== before[i].value)
    .sort(byAddress);
  const upgraded = after.slice(0, 3).filter((value, i) => value !== before[i].value).length;
  return (
    found.result.ok === (op === 'unmap' ? hex(leaf.value & ADDRESS) : page) &&
    isDeepStrictEqual(memory.changes(), changes) &&
    isDeepStrictEqual(found.events, Array(upgraded + 1).fill(['invlpg', page]))
  );
}

/**
 * @param {Word} a
 * @param {Word} b
 */
function byAddress(a, b) {
  return a.address < b.address ? -1 : 1;
}
