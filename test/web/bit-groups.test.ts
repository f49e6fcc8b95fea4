import { expect, test } from 'vitest';
import type { FieldWords } from '../../src/report/index.ts';
import { bitGroups, bitText, changedBits, groupsIn, isNamed } from '../../web/parts/bit-groups.ts';

/** Words of a field, as `fieldWords` gives them, as far as groups look at them. */
function words(
  name: string,
  high: number,
  low: number,
  value: bigint,
  meaning = '',
  role = name,
): FieldWords {
  const place = high === low ? `bit ${low}` : `bits ${high}:${low}`;
  const shown = `${value}`;
  const field = { name, high, low, role, value, text: meaning, meaning } as FieldWords['field'];
  return { field, place, value: shown, meaning, text: `${name}=${shown}`, shown: true };
}

const PRESENT = words('P', 0, 0, 1n, 'present', 'present');
const WRITABLE = words('R/W', 1, 1, 1n, 'writable', 'read-only');
const ADDRESS = words('address', 31, 12, 5n);

test('fields become groups, highest first, and bits without a field are groups of their own', () => {
  const groups = bitGroups([PRESENT, WRITABLE, ADDRESS], 64);
  expect(groups.map(({ high, low, words }) => [high, low, words?.field.name])).toEqual([
    [63, 32, undefined],
    [31, 12, 'address'],
    [11, 2, undefined],
    [1, 1, 'R/W'],
    [0, 0, 'P'],
  ]);
});

test('of an entry that is not present all bits but one belong to nobody', () => {
  const groups = bitGroups([PRESENT], 32);
  expect(groups.map(({ high, low }) => [high, low])).toEqual([
    [31, 1],
    [0, 0],
  ]);
});

test('a group that crosses a row is split where the row ends', () => {
  const groups = bitGroups([PRESENT, words('address', 51, 12, 0n)], 64);
  const parts = (high: number, low: number) =>
    groupsIn(groups, high, low).map((part) => [part.high, part.low]);
  expect(parts(63, 32)).toEqual([
    [63, 52],
    [51, 32],
  ]);
  expect(parts(31, 0)).toEqual([
    [31, 12],
    [11, 1],
    [0, 0],
  ]);
});

test('a bit says its field, its value and what that means', () => {
  expect(bitText(1, true, WRITABLE)).toBe('bit 1, R/W = 1: writable');
  expect(bitText(12, true, ADDRESS)).toBe('bit 12 = 1, of address (bits 31:12) = 5');
  expect(bitText(9, false, words('ignored', 9, 9, 0n, 'ignored'))).toBe('bit 9 = 0: ignored');
  expect(bitText(40, false, undefined)).toBe('bit 40 = 0: not used while the entry is not present');
});

test('what the manual has no name for is not named', () => {
  expect(isNamed(words('ignored', 9, 9, 0n))).toBe(false);
  expect(isNamed(words('PK', 62, 59, 0n, 'ignored', 'ignored'))).toBe(true);
  expect(isNamed(ADDRESS)).toBe(true);
});

test('bits are changed in the entry that was changed, not in its neighbours', () => {
  const at = { space: 0, depth: 2, frame: 7 };
  const changes = [
    { kind: 'entry', at, index: 5, bit: 1 },
    { kind: 'entry', at, index: 6, bit: 2 },
    { kind: 'entry', at: { ...at, depth: 1 }, index: 5, bit: 3 },
    { kind: 'flag', register: 'CR0', name: 'WP' },
  ] as const;
  expect([...changedBits(changes, { ...at }, 5)]).toEqual([1]);
});
