import type { Bound, FieldFact, FieldRole } from '../format.ts';

/** The first bit that a physical address does not have, plus `plus`. */
export const M = (plus = 0): Bound => ({ of: 'M', plus });
/** The same for the physical address of a 4-MiB page. */
export const P = (plus = 0): Bound => ({ of: 'P', plus });

function field(
  name: string,
  high: Bound,
  low: Bound,
  role: FieldRole,
  meaning: FieldFact['meaning'],
  more?: Pick<FieldFact, 'when' | 'otherwise' | 'takes'>,
): FieldFact {
  return { name, high, low, role, meaning, ...more };
}

// Names and meanings: Intel SDM vol. 3A, chapter "Paging", tables of the formats of each entry.

// Marked as pure, so that a bundle of who needs one of them leaves the others out.
export const PRESENT = /* @__PURE__ */ field('P', 0, 0, 'present', ['not present', 'present']);
export const READ_WRITE = /* @__PURE__ */ field('R/W', 1, 1, 'write', ['read-only', 'writable'], {
  takes: [0, 'writes'],
});
export const USER_SUPERVISOR = /* @__PURE__ */ field(
  'U/S',
  2,
  2,
  'user',
  ['supervisor only', 'user allowed'],
  {
    takes: [0, 'user access'],
  },
);
export const WRITE_THROUGH = /* @__PURE__ */ field('PWT', 3, 3, 'write-through', [
  'memory-type bit clear',
  'memory-type bit set',
]);
export const CACHE_DISABLE = /* @__PURE__ */ field('PCD', 4, 4, 'cache-disable', [
  'memory-type bit clear',
  'memory-type bit set',
]);
export const ACCESSED = /* @__PURE__ */ field('A', 5, 5, 'accessed', ['not used yet', 'used']);
export const DIRTY = /* @__PURE__ */ field('D', 6, 6, 'dirty', ['not written yet', 'written to']);
export const PAGE_SIZE = /* @__PURE__ */ field('PS', 7, 7, 'page-size', ['points to a table', 'maps a page']);
export const PAT_4K = /* @__PURE__ */ field('PAT', 7, 7, 'pat', [
  'memory-type bit clear',
  'memory-type bit set',
]);
export const PAT_LARGE = /* @__PURE__ */ field('PAT', 12, 12, 'pat', [
  'memory-type bit clear',
  'memory-type bit set',
]);
export const GLOBAL = /* @__PURE__ */ field('G', 8, 8, 'global', ['not global', 'global'], {
  when: ['CR4.PGE'],
});
export const EXECUTE_DISABLE = /* @__PURE__ */ field(
  'XD',
  63,
  63,
  'execute-disable',
  ['fetches allowed', 'no fetches'],
  {
    when: ['EFER.NXE'],
    otherwise: 'reserved',
    takes: [1, 'fetches'],
  },
);
export const PROTECTION_KEY = /* @__PURE__ */ field('PK', 62, 59, 'protection-key', 'protection key', {
  when: ['CR4.PKE', 'CR4.PKS'],
});
/** Bit 11 restarts HLAT paging in ordinary paging structures; without HLAT it is ignored. */
export const RESTART = /* @__PURE__ */ field('R', 11, 11, 'ignored', 'ignored without HLAT paging');

/** Bits that the processor ignores. */
export const ignored = (high: Bound, low: Bound = high): FieldFact =>
  field('ignored', high, low, 'ignored', 'free for software');
/** Bits that must be 0. */
export const reserved = (high: Bound, low: Bound = high): FieldFact =>
  field('reserved', high, low, 'reserved', 'must be 0');
/** Bits that must be 0 on AMD processors and are ignored on others. */
export const reservedOnAmd = (at: number): FieldFact =>
  field('MBZ', at, at, 'reserved', 'must be 0', { when: ['AMD'] });
/** The physical address of the next table. */
export const tableAddress = (high: Bound, low: Bound = 12): FieldFact =>
  field('address', high, low, 'address', 'physical address of the next table');
/** The physical address of a page. */
export const pageAddress = (high: Bound, low: Bound): FieldFact =>
  field('address', high, low, 'address', 'physical address of the page');
/** Physical-address bits 39:32 of a 4-MiB page (PSE-36). */
export const pageAddressHigh = (high: Bound, low: Bound): FieldFact =>
  field('address 39:32', high, low, 'address-high', 'upper physical address of the page (PSE-36)');

/** The six lowest bits, alike in every entry that has rights. */
export const RIGHTS_AND_CACHE: readonly FieldFact[] = [
  PRESENT,
  READ_WRITE,
  USER_SUPERVISOR,
  WRITE_THROUGH,
  CACHE_DISABLE,
  ACCESSED,
];
