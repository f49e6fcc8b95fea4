import { FRAME_WORDS, PageTableError } from '../bits/index.ts';
import { type Sharing, type TableStore, type Tree, takeFrames } from '../edit/index.ts';
import {
  isFaultyTable,
  isPresent,
  lastIndex,
  leadsToTable,
  type Paging,
  tableFrame,
} from '../format/index.ts';
import type { PhysicalMemory } from '../memory/index.ts';
import { Cursor, DONE, MISSING, TABLE } from '../walk/index.ts';

/** New roots that lead to the same tables: these are shared from now on. */
export function shareTables(
  trees: readonly Tree[],
  store: Pick<TableStore, 'allocate' | 'free'>,
  sharing: Sharing,
): Paging[] {
  const frames = takeFrames('clone', store, trees.length);
  return trees.map(({ memory, paging }, i) => {
    copyFrame(memory, paging.root.frame, frames[i]);
    const { facts, entryShift } = paging.format;
    const at = memory.locate(frames[i]) + paging.root.word;
    for (let index = 0; index <= lastIndex(facts, 0); index += 1) {
      const low = memory.words[at + (index << entryShift)] | 0;
      const high = entryShift === 1 ? memory.words[at + (index << 1) + 1] | 0 : 0;
      if (!isPresent(facts, 0, low) || !leadsToTable(facts, 0, low) || isFaultyTable(facts, 0, low, high))
        continue;
      const frame = tableFrame(facts, 0, low, high);
      if (frame !== paging.root.frame) sharing.add(frame, 1);
    }
    return { ...paging, root: { frame: frames[i], word: paging.root.word } };
  });
}

/** Copies of all tables; one to which several entries lead is copied once, and shared in the copy as well. */
export function copyTables(
  trees: readonly Tree[],
  store: Pick<TableStore, 'allocate' | 'free'>,
  sharing: Sharing,
): Paging[] {
  const copies = new Map<number, number>();
  const references: number[] = [];
  for (const { memory, paging } of trees) {
    copies.set(paging.root.frame, -1);
    const cursor = new Cursor(memory, paging);
    const above = [paging.root.frame];
    for (let event = cursor.next(); event !== DONE; event = cursor.next()) {
      if (event === MISSING) {
        throw new PageTableError(
          'NOT_IN_MEMORY',
          'clone: a table is not in memory; expected all tables there',
        );
      }
      if (event !== TABLE) continue;
      above.length = cursor.depth + 1;
      if (copies.has(cursor.frame)) {
        if (!above.includes(cursor.frame)) references.push(cursor.frame);
        cursor.skip();
      } else {
        copies.set(cursor.frame, -1);
        above.push(cursor.frame);
      }
    }
  }
  const frames = takeFrames('clone', store, copies.size);
  [...copies.keys()].forEach((frame, i) => {
    copies.set(frame, frames[i]);
  });
  const copyOf = (frame: number) => copies.get(frame) ?? frame;
  for (const tree of trees) redirect(tree, copies);
  for (const frame of references) sharing.add(copyOf(frame), 1);
  return trees.map(({ paging }) => ({
    ...paging,
    root: { frame: copyOf(paging.root.frame), word: paging.root.word },
  }));
}

/** Copies the tables of a tree, and makes entries lead to the copies. */
function redirect({ memory, paging, encoder }: Tree, copies: ReadonlyMap<number, number>): void {
  const { facts, entryShift } = paging.format;
  const done = new Set<number>();
  const copy = (frame: number, depth: number, word: number): void => {
    const to = copies.get(frame);
    if (to === undefined || done.has(frame)) return;
    done.add(frame);
    copyFrame(memory, frame, to);
    for (let index = 0; index <= lastIndex(facts, depth); index += 1) {
      const at = memory.locate(to) + word + (index << entryShift);
      const low = memory.words[at] | 0;
      const high = entryShift === 1 ? memory.words[at + 1] | 0 : 0;
      const isTable = isPresent(facts, depth, low) && leadsToTable(facts, depth, low);
      if (!isTable || isFaultyTable(facts, depth, low, high)) continue;
      const next = tableFrame(facts, depth, low, high);
      const target = copies.get(next);
      if (target === undefined) continue;
      encoder.pointerBits(depth, low, high);
      encoder.pointer(target, encoder.low, encoder.high);
      const [newLow, newHigh] = [encoder.low, encoder.high];
      if (entryShift === 1) memory.storeEntry(at, newLow, newHigh);
      else memory.words[at] = newLow;
      // At most five levels.
      if (depth + 1 < paging.format.levels) copy(next, depth + 1, 0);
    }
  };
  copy(paging.root.frame, 0, paging.root.word);
}

function copyFrame(memory: PhysicalMemory, from: number, to: number): void {
  const words = memory.current();
  const start = memory.locate(from);
  words.copyWithin(memory.locate(to), start, start + FRAME_WORDS);
}
