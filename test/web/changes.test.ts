import { expect, test } from 'vitest';
import { changeName, isAttemptOf, MAX_CHANGES, toggleChange, withoutChange } from '../../web/changes.ts';
import type { Attempt, Change, Tables } from '../../web/protocol.ts';
import { fromFragment, START, toFragment } from '../../web/state.ts';

const nxe: Change = { kind: 'flag', register: 'EFER', name: 'NXE' };
const wp: Change = { kind: 'flag', register: 'CR0', name: 'WP' };
const bit = (frame: number, index: number, at: number): Change => ({
  kind: 'entry',
  at: { space: 0, depth: 3, frame },
  index,
  bit: at,
});

test('flipping a bit twice leaves the changes as they were, also where others came between', () => {
  const first = toggleChange([], nxe);
  expect(first).toEqual([nxe]);
  const three = toggleChange(toggleChange(first, bit(5, 6, 1)), wp);
  expect(three).toEqual([nxe, bit(5, 6, 1), wp]);
  expect(toggleChange(three, bit(5, 6, 1))).toEqual([nxe, wp]);
  expect(toggleChange(three, { ...nxe })).toEqual([bit(5, 6, 1), wp]);
});

test('changes of other entries, bits and flags are others', () => {
  const one = [bit(5, 6, 1)];
  for (const other of [bit(4, 6, 1), bit(5, 7, 1), bit(5, 6, 2), nxe])
    expect(toggleChange(one, other)).toEqual([...one, other]);
});

test('a place holds a bounded number of changes, and no change is lost on the way through a URL', () => {
  // A register's name may hold what separates changes elsewhere.
  let changes: readonly Change[] = [{ kind: 'flag', register: 'SCTLR_EL1', name: 'WXN' }, wp];
  for (let i = 0; i < 100; i += 1) changes = toggleChange(changes, bit(0xfffff, i, 63));
  expect(changes).toHaveLength(MAX_CHANGES);
  expect(fromFragment(toFragment({ ...START, changes })).changes).toEqual(changes);
});

test('undoing one change keeps the others in order', () => {
  expect(withoutChange([nxe, bit(5, 6, 1), wp], 1)).toEqual([nxe, wp]);
});

test('an attempt is of the changes that it was asked for', () => {
  // Nothing else of it is read.
  const attempt = { changes: [nxe, wp] } as unknown as Attempt;
  expect(isAttemptOf(attempt, [nxe, wp])).toBe(true);
  expect(isAttemptOf(attempt, [nxe])).toBe(false);
  expect(isAttemptOf(attempt, [nxe, bit(5, 6, 1)])).toBe(false);
  expect(isAttemptOf(undefined, [])).toBe(true);
  expect(isAttemptOf(undefined, [nxe])).toBe(false);
});

test('a change that cannot be made has a name, also where there is no such table', () => {
  const level = { table: 'page table', entry: 'PTE', indexHigh: 20, indexLow: 12 };
  const tables = { spaces: [{ levels: [level, level, level, level] }] } as unknown as Tables;
  expect(changeName(nxe, tables)).toBe('EFER.NXE');
  expect(changeName(bit(0x1b79, 234, 0), tables)).toBe('bit 0 of PTE 234 of the page table at 0x1b79000');
  expect(changeName({ kind: 'entry', at: { space: 1, depth: 4, frame: 1 }, index: 2, bit: 3 }, tables)).toBe(
    'bit 3 of entry 2 of a table at 0x1000, depth 4',
  );
});
