import { addressOf } from 'tablewalk/bits';
import type { Attempt, Change, TableAt, Tables } from './protocol.ts';

/** Changes that a place can hold. */
export const MAX_CHANGES = 64;

/** Whether two changes flip the same bit. */
export function isSameChange(a: Change, b: Change): boolean {
  if (a.kind === 'flag') return b.kind === 'flag' && a.register === b.register && a.name === b.name;
  return b.kind === 'entry' && a.index === b.index && a.bit === b.bit && sameTable(a.at, b.at);
}

/** Whether two places are one. */
function sameTable(a: TableAt, b: TableAt): boolean {
  return a.space === b.space && a.depth === b.depth && a.frame === b.frame;
}

/** Flips a bit: one that is flipped already is as it was in the image. Beyond {@link MAX_CHANGES}, nothing is added. */
export function toggleChange(changes: readonly Change[], change: Change): readonly Change[] {
  const rest = changes.filter((one) => !isSameChange(one, change));
  if (rest.length < changes.length) return rest;
  return changes.length < MAX_CHANGES ? [...changes, change] : changes;
}

/** All but one. */
export function withoutChange(changes: readonly Change[], index: number): readonly Change[] {
  return changes.filter((_, i) => i !== index);
}

/** Whether an attempt is of these changes; not while they are being made, nor if they cannot be. */
export function isAttemptOf(attempt: Attempt | undefined, changes: readonly Change[]): boolean {
  const made = attempt?.changes ?? [];
  return made.length === changes.length && made.every((one, i) => isSameChange(one, changes[i]));
}

/** A change of which nobody has said yet what it does: `bit 63 of PDE 5 of the page directory at 0x1000`. */
export function changeName(change: Change, { spaces }: Tables): string {
  if (change.kind === 'flag') return `${change.register}.${change.name}`;
  const { at, index, bit } = change;
  const level = spaces[at.space]?.levels[at.depth];
  const where = `0x${addressOf(at.frame).toString(16)}`;
  return level === undefined
    ? `bit ${bit} of entry ${index} of a table at ${where}, depth ${at.depth}`
    : `bit ${bit} of ${level.entry} ${index} of the ${level.table} at ${where}`;
}
