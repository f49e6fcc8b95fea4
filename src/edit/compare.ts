import { isGlobal, pageFrame } from '../format/index.ts';
import type { EditedTable } from './change.ts';
import type { Edit } from './edit.ts';
import type { LevelMasks } from './masks.ts';

/** {@link compare}: the entry changes at all. */
export const CHANGES = 1;
/** {@link compare}: a processor may remember what is no longer right. */
export const STALE = 2;
/** {@link compare}: the entry must be absent in between. */
export const BREAKS = 4;

/**
 * What follows from writing one page's entry over another's.
 *
 * @returns bits {@link CHANGES}, {@link STALE}, {@link BREAKS}
 */
export function compare(
  edit: Edit,
  table: EditedTable,
  low: number,
  high: number,
  newLow: number,
  newHigh: number,
): number {
  const { depth, and, or } = table;
  const { facts } = edit;
  const lows = low ^ newLow;
  const highs = high ^ newHigh;
  if ((lows | highs) === 0) return 0;
  const masks = edit.tree.masks.levels[depth];
  const { breaks } = edit.rules;
  let result = CHANGES;
  if (isGlobal(facts, depth, low) !== isGlobal(facts, depth, newLow)) {
    result |= STALE;
    if (breaks.global && isGlobal(facts, depth, newLow)) result |= BREAKS;
  }
  if (pageFrame(facts, depth, low, high) !== pageFrame(facts, depth, newLow, newHigh)) {
    result |= breaks.frame ? STALE | BREAKS : STALE;
  }
  if (((lows & masks.typeLow) | (highs & masks.typeHigh)) !== 0) {
    result |= breaks.type ? STALE | BREAKS : STALE;
  }
  if (losesMark(edit, masks, low, newLow)) result |= STALE;
  if (breaks.groupAttributes && edit.isGrouped(table, high)) {
    const isApart =
      ((lows & masks.groupLow) | (highs & masks.groupHigh)) !== 0 ||
      isGlobal(facts, depth, low) !== isGlobal(facts, depth, newLow);
    if (isApart) result |= STALE | BREAKS;
  }
  if (((lows & masks.rightsLow) | (highs & masks.rightsHigh)) !== 0) {
    const { paging } = edit.tree;
    const before = paging.rights(and, or, low | masks.marksLow, high);
    const after = paging.rights(and, or, newLow | masks.marksLow, newHigh);
    if ((before & ~after) !== 0 || (after !== before && !edit.leavesNarrower)) result |= STALE;
  }
  return edit.policy.live ? result : result & ~BREAKS;
}

function losesMark({ rules, policy }: Edit, masks: LevelMasks, low: number, newLow: number): boolean {
  const isLeft = rules.optional.marks && policy.spuriousFaults === 'tolerate';
  return (low & ~newLow & masks.marksLow) !== 0 && !isLeft;
}
