import { FRAME_WORDS, PageTableError } from '../bits/index.ts';
import { type Change, COPY, type EditedTable, FILL } from './change.ts';
import type { StaleRange } from './invalidation.ts';
import type { EditPlan } from './plan.ts';
import { giveBack, type TableStore, takeFrames } from './store.ts';

/** What a commit has done. */
export interface Committed {
  /** Frames of the tables that were made. */
  readonly made: readonly number[];
  /** What is still to be invalidated. */
  readonly stale: readonly StaleRange[];
  /** Gives back the tables that are not needed any more; to be called when all is invalidated. */
  readonly release: () => void;
}

/** Asks whoever runs the processors to invalidate. */
export type Invalidate = (stale: readonly StaleRange[]) => void;

/**
 * Makes the edit that a plan describes.
 *
 * Everything that can fail comes first: once the first entry that a processor may see is written, nothing but an error of a
 * user's own operations can stop it.
 *
 * @param invalidate - called between absence and new entries where a plan needs that
 * @throws {@link PageTableError} `STALE_PLAN`, `OUT_OF_FRAMES`, `BREAK_BEFORE_MAKE`; `REENTERED` if it is called while another
 *   edit asks for frames or invalidations. Nothing has changed then
 */
export function commit(plan: EditPlan, store: TableStore, invalidate?: Invalidate): Committed {
  const { sharing } = plan.tree;
  if (sharing.isBusy) {
    throw new PageTableError(
      'REENTERED',
      `${plan.operation}: another edit is being committed; expected an allocator, and a function that invalidates, which edit nothing`,
    );
  }
  sharing.isBusy = true;
  try {
    return make(plan, store, invalidate);
  } finally {
    sharing.isBusy = false;
  }
}

function make(plan: EditPlan, store: TableStore, invalidate?: Invalidate): Committed {
  plan.readFrom(store.begin());
  plan.check();
  if (plan.breaks && invalidate === undefined) throw plan.needsBreak();
  const { newTables } = plan;
  const made = takeFrames(plan.operation, store, newTables.length);
  for (let i = 0; i < made.length; i += 1) newTables[i].frame = made[i];
  if (store.isPlain && !plan.breaks) applyAll(plan, store);
  else writeAll(plan, store, made, invalidate);
  plan.finish();
  const { freed } = plan;
  return {
    made,
    stale: plan.stale.filter(({ breaks }) => !breaks),
    release: () => {
      for (const frame of freed) store.free(frame);
    },
  };
}

/** Writes straight to memory: tables that nobody sees yet first. */
function applyAll(plan: EditPlan, store: TableStore): void {
  const { changes } = plan;
  for (const change of changes) {
    const { table } = change;
    if (!table.isNew) continue;
    // A table that is filled or copied in one go need not be cleared.
    const isWhole = change.kind === COPY || (change.kind === FILL && isFull(change, plan));
    if (!table.isBegun && !isWhole) store.clear(table.frame);
    table.isBegun = true;
    apply(plan, change);
  }
  for (const change of changes) if (!change.table.isNew) apply(plan, change);
}

function apply(plan: EditPlan, change: Change): void {
  const { table, kind } = change;
  const { encoder, memory } = plan.tree;
  const words = memory.current();
  change.apply(words, plan.wordOf(table), encoder, kind === COPY ? plan.sourceOf(table) : undefined);
}

/** Whether a change writes a whole frame. */
function isFull({ count }: Change, { tree }: EditPlan): boolean {
  return count << tree.encoder.format.entryShift === FRAME_WORDS;
}

/** One entry that is to be written. */
interface Entry {
  readonly table: EditedTable;
  readonly index: number;
  readonly low: number;
  readonly high: number;
  /** What it was. */
  readonly oldLow: number;
  readonly oldHigh: number;
}

/** Writes entry by entry: those of tables that nobody sees yet first; where it must be, absence and an invalidation come before the rest. */
function writeAll(
  plan: EditPlan,
  store: TableStore,
  made: readonly number[],
  invalidate: Invalidate | undefined,
): void {
  const { entryShift } = plan.tree.encoder.format;
  const broken: Entry[] = [];
  const last: Entry[] = [];
  // Tables that are made lead to others that are made later: these come first, since they may move as they are written.
  for (const [table, changes] of plan.byTable()) {
    if (table.isNew) store.clear(table.frame);
    const { before, after } = plan.simulate(table, changes);
    const breaks = new Set(changes.filter((one) => one.breaks).flatMap(indicesOf));
    for (let index = 0; index < after.length >>> entryShift; index += 1) {
      const at = index << entryShift;
      const [oldLow, oldHigh] = [before[at], entryShift === 1 ? before[at + 1] : 0];
      const [low, high] = [after[at], entryShift === 1 ? after[at + 1] : 0];
      if (table.isNew) {
        if ((low | high) !== 0) store.write(table, index, low, high);
      } else if (low !== oldLow || high !== oldHigh) {
        const entry = { table, index, low, high, oldLow, oldHigh };
        last.push(entry);
        if (breaks.has(index)) broken.push(entry);
      }
    }
  }
  if (broken.length > 0 && invalidate !== undefined) {
    for (const { table, index } of broken) store.write(table, index, 0, 0);
    try {
      invalidate(plan.stale.filter((one) => one.breaks));
    } catch (error) {
      for (const { table, index, oldLow, oldHigh } of broken) store.write(table, index, oldLow, oldHigh);
      giveBack(made, store);
      throw error;
    }
  }
  for (const entry of last) {
    store.write(entry.table, entry.index, entry.low | newMarks(plan, entry), entry.high);
  }
}

/** What a processor has set in the entry of a page since the edit began, accessed and dirty, if the page stays where it is. */
function newMarks(plan: EditPlan, { table, index, low, high, oldLow, oldHigh }: Entry): number {
  const { encoder, masks } = plan.tree;
  const { alikeLow, alikeHigh } = encoder.levels[table.depth];
  const moves = (((low ^ oldLow) & ~alikeLow) | ((high ^ oldHigh) & ~alikeHigh)) !== 0;
  if (low === 0 || moves) return 0;
  const { words, at } = plan.sourceOf(table);
  const now = words[at + (index << encoder.format.entryShift)];
  const { marksLow } = masks.levels[table.depth];
  return ((now ^ oldLow) & ~marksLow) === 0 ? now & ~oldLow & marksLow : 0;
}

function indicesOf({ index, count }: Change): number[] {
  return Array.from({ length: count }, (_, i) => index + i);
}
