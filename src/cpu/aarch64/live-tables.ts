import {
  type CompiledFormat,
  entryOrder,
  isFaultyTable,
  isPresent,
  lastIndex,
  leadsToTable,
  orRights,
  tableFrame,
} from '../../format/index.ts';
import { ABSENT, type PhysicalMemory } from '../../memory/index.ts';
import type { HalfState } from './control-state.ts';

/** Tables that are watched at most, each counted once for each way to it. */
const MOST_TABLES = 4096;
const WORDS = 1024;
/** `log2` of the words in a frame. */
const FRAME_SHIFT = 10;

/** A table that walks can reach, as it was when it was last looked at. */
export interface LiveTable {
  readonly format: CompiledFormat;
  readonly depth: number;
  /** Its first frame. */
  readonly frame: number;
  /** Index of its first word in that frame. */
  readonly word: number;
  /** Number of the first 4-KiB page that it maps. */
  readonly firstPage: number;
  /** PXNTable, UXNTable and APTable of the entries above. */
  above: number;
  /** The entries: pairs of halves. */
  readonly entries: Int32Array;
  /** The tables to which its entries lead, by index. */
  readonly children: Map<number, LiveTable>;
}

/** Told of an entry that is not as it was; the table has it as it is now, and its children as they were. */
export type EntryListener = (table: LiveTable, index: number, oldLow: number, oldHigh: number) => void;

/** The tables that the processor's walks can reach, and copies of them: what has changed since, and where. */
export class LiveTables {
  private readonly memory: PhysicalMemory;
  /** Told of each frame of a table. */
  private readonly onFrame: (place: number, frame: number) => void;
  /** Of each half; `undefined` while walks go nowhere in it. */
  readonly roots: (LiveTable | undefined)[] = [undefined, undefined];
  /** Tables by the word at which each of their frames begins in memory. */
  private readonly byPlace = new Map<number, Set<LiveTable>>();
  private count = 0;

  constructor(memory: PhysicalMemory, onFrame: (place: number, frame: number) => void) {
    this.memory = memory;
    this.onFrame = onFrame;
  }

  /**
   * Looks at the tables of a half.
   *
   * @param half - `undefined` while walks go nowhere in it
   * @param changed - told of what has changed since the last look; nothing if the root is another one
   */
  look(index: 0 | 1, half: HalfState | undefined, changed: EntryListener): void {
    const before = this.roots[index];
    if (half?.format === undefined) {
      if (before !== undefined) this.forget(before);
      this.roots[index] = undefined;
      return;
    }
    const { format, root } = half;
    if (before !== undefined && isSame(before, format, root.frame, root.word)) {
      this.compare(before, changed);
      return;
    }
    if (before !== undefined) this.forget(before);
    const firstPage = half.index === 0 ? 0 : 2 ** 52 - 2 ** (half.inputBits - 12);
    this.roots[index] = this.make(format, 0, root.frame, root.word, firstPage, 0);
  }

  /**
   * An entry was written to, at a place in memory.
   *
   * @param place - index of its low word
   */
  written(place: number, changed: EntryListener): void {
    for (const table of [...(this.byPlace.get(place & -WORDS) ?? [])]) {
      const part = this.partAt(table, place & -WORDS);
      if (part < 0) continue;
      const at = part * WORDS + (place & (WORDS - 1)) - table.word;
      if (at >= 0 && at < table.entries.length) this.compareEntry(table, at >> 1, place, changed);
    }
  }

  /** The table that an entry leads to, made anew; `undefined` where there are too many. */
  follow(table: LiveTable, index: number): LiveTable | undefined {
    const { format, depth, firstPage } = table;
    const low = table.entries[index << 1];
    const high = table.entries[(index << 1) | 1];
    const frame = tableFrame(format.facts, depth, low, high);
    const first = firstPage + index * 2 ** entryOrder(format.facts, depth);
    const above = orRights(format.facts, depth, table.above, high);
    const child = this.make(format, depth + 1, frame, 0, first, above);
    if (child === undefined) table.children.delete(index);
    else table.children.set(index, child);
    return child;
  }

  /** A table, and all below it, is watched no more. */
  forget(table: LiveTable): void {
    this.count -= 1;
    for (const place of this.placesOf(table)) {
      const here = this.byPlace.get(place);
      here?.delete(table);
      if (here?.size === 0) this.byPlace.delete(place);
    }
    for (const child of table.children.values()) this.forget(child);
  }

  private make(
    format: CompiledFormat,
    depth: number,
    frame: number,
    word: number,
    firstPage: number,
    above: number,
  ): LiveTable | undefined {
    if (this.count >= MOST_TABLES) return undefined;
    this.count += 1;
    const entries = new Int32Array((lastIndex(format.facts, depth) + 1) * 2);
    const table: LiveTable = { format, depth, frame, word, firstPage, above, entries, children: new Map() };
    const places = this.placesOf(table);
    this.memory.current();
    places.forEach((place, part) => {
      if (place === ABSENT) return;
      const start = part === 0 ? word : 0;
      const to = Math.max(0, part * WORDS - word);
      const length = Math.min(entries.length - to, WORDS - start);
      entries.set(this.memory.words.subarray(place + start, place + start + length), to);
      const here = this.byPlace.get(place) ?? new Set();
      this.byPlace.set(place, here.add(table));
      this.onFrame(place, frame + part);
    });
    for (let at = 0; at < entries.length; at += 2) {
      const low = entries[at];
      if (isPresent(format.facts, depth, low) && leadsToTable(format.facts, depth, low)) {
        if (!isFaultyTable(format.facts, depth, low, entries[at + 1])) this.follow(table, at >> 1);
      }
    }
    return table;
  }

  private compare(table: LiveTable, changed: EntryListener): void {
    const { entries, word } = table;
    const words = this.memory.current();
    this.placesOf(table).forEach((place, part) => {
      if (place === ABSENT) return;
      const start = part === 0 ? word : 0;
      const from = Math.max(0, part * WORDS - word);
      const end = Math.min(entries.length, from + WORDS - start);
      const offset = place + start - from;
      for (let at = from; at < end; at += 1) {
        if ((words[offset + at] | 0) === entries[at]) continue;
        this.compareEntry(table, at >> 1, offset + (at & -2), changed);
        at |= 1;
      }
    });
    for (const child of [...table.children.values()]) this.compare(child, changed);
  }

  private compareEntry(table: LiveTable, index: number, place: number, changed: EntryListener): void {
    const { entries } = table;
    const oldLow = entries[index << 1];
    const oldHigh = entries[(index << 1) | 1];
    const low = this.memory.loadEntry(place);
    const { high } = this.memory;
    if (low === oldLow && high === oldHigh) return;
    entries[index << 1] = low;
    entries[(index << 1) | 1] = high;
    changed(table, index, oldLow, oldHigh);
  }

  /** Where each frame of a table begins in memory. */
  private placesOf({ frame, word, entries }: LiveTable): number[] {
    const parts = (word + entries.length + WORDS - 1) >>> FRAME_SHIFT;
    return Array.from({ length: parts }, (_, part) => this.memory.locate(frame + part));
  }

  /** Which frame of a table begins at a place; -1 if none does. */
  private partAt(table: LiveTable, place: number): number {
    return this.placesOf(table).indexOf(place);
  }
}

/** Whether a table that is watched is what the registers name. */
function isSame(table: LiveTable, format: CompiledFormat, frame: number, word: number): boolean {
  const before = table.format;
  return (
    table.frame === frame &&
    table.word === word &&
    before.fact === format.fact &&
    before.state.M === format.state.M &&
    [...before.state.states].join() === [...format.state.states].join()
  );
}
