import { addressOf, pageOf } from '../bits/index.ts';
import { ABSENT, type PhysicalMemory } from '../memory/index.ts';
import type { Architecture } from './architecture.ts';
import { MemoryTableOps, outside } from './memory-table-ops.ts';
import { unlinkable } from './operation-path.ts';
import type { PageEntries } from './page-entries.ts';
import { LAST_DEPTH, type WritablePath } from './table-path.ts';

const HIGH_OF_FRAME = 2 ** -20;
const FRAMES_PER_HIGH = 2 ** 20;

/** A path through tables in a memory, by frame numbers and halves. It makes no `bigint`. */
export class MemoryPath implements WritablePath {
  high = 0;
  private readonly architecture: Architecture;
  private readonly ops: MemoryTableOps;
  readonly memory: PhysicalMemory;
  /** Where the tables lie in the memory's words, by depth. Frames stay where they are when memory grows. */
  private readonly places: number[];
  private readonly frames: number[];

  /** @param root - physical byte address of the table where the path begins */
  constructor(architecture: Architecture, ops: MemoryTableOps, root: bigint) {
    const frame = pageOf(root);
    const place = ops.memory.locate(frame);
    this.architecture = architecture;
    this.ops = ops;
    this.memory = ops.memory;
    this.places = [place, place, place, place];
    this.frames = [frame, frame, frame, frame];
  }

  read(depth: number, index: number): number {
    const { memory } = this;
    const place = this.places[depth];
    if (place < 0) {
      this.high = 0;
      return 0;
    }
    memory.current();
    const low = memory.loadEntry(place + (index << 1));
    this.high = memory.high;
    return low;
  }

  lastPlace(): number {
    return this.memory.shared ? ABSENT : this.places[LAST_DEPTH];
  }

  enter(depth: number, low: number, high: number): void {
    this.go(depth + 1, (high & this.architecture.facts.addressHigh) * FRAMES_PER_HIGH + (low >>> 12));
  }

  create(depth: number, index: number): void {
    this.isThere(depth);
    const table = this.ops.allocTable();
    const { PTE_ADDR_MASK } = this.architecture;
    if (BigInt.asUintN(64, table & ~PTE_ADDR_MASK) !== 0n)
      throw unlinkable('allocTable', table, this.architecture);
    const frame = pageOf(table);
    this.write(depth, index, (frame << 12) | this.architecture.facts.table, frame * HIGH_OF_FRAME);
    this.go(depth + 1, frame);
  }

  expect(pages: number): void {
    this.ops.expectTables(Math.ceil(pages / 512));
  }

  write(depth: number, index: number, low: number, high: number): void {
    if (this.isThere(depth)) this.memory.storeEntry(this.places[depth] + (index << 1), low, high);
  }

  writeRun(index: number, count: number, entries: PageEntries): void {
    if (!this.isThere(LAST_DEPTH)) {
      entries.advance(count);
      return;
    }
    const { memory } = this;
    let at = this.places[LAST_DEPTH] + (index << 1);
    const end = at + (count << 1);
    while (at < end) {
      const { step, flagsHigh } = entries;
      let low = entries.low | entries.flagsLow;
      const high = entries.high | flagsHigh;
      // Entry by entry where other threads look on, and where the first address lies inside its page.
      const run = memory.shared || entries.isInside ? 1 : entries.runLength((end - at) >> 1);
      if (run === 1) {
        memory.storeEntry(at, low, high);
        at += 2;
      } else {
        const { words } = memory;
        for (const stop = at + (run << 1); at < stop; at += 2) {
          words[at] = low;
          words[at + 1] = high;
          low = (low + step) | 0;
        }
      }
      entries.advance(run);
    }
  }

  keyOf(depth: number): number {
    return this.frames[depth];
  }

  private go(depth: number, frame: number): void {
    this.frames[depth] = frame;
    this.places[depth] = this.memory.locate(frame);
  }

  /** Whether the table at a depth is there to be written to. Throws if it is not, and that is no case to ignore. */
  private isThere(depth: number): boolean {
    this.memory.current();
    if (this.places[depth] !== ABSENT) return true;
    if (this.ops.ignoresOutside) return false;
    throw outside('map', addressOf(this.frames[depth]));
  }
}

const PLAIN = MemoryTableOps.prototype;

/** Operations of a memory, if they stand as they are: whoever overrides one wants it to be called. */
export function plainMemory(ops: object): MemoryTableOps | undefined {
  return ops instanceof MemoryTableOps &&
    ops.entryAddr === PLAIN.entryAddr &&
    ops.readEntry === PLAIN.readEntry &&
    ops.writeEntry === PLAIN.writeEntry &&
    ops.toPhys === PLAIN.toPhys &&
    ops.fromPhys === PLAIN.fromPhys
    ? ops
    : undefined;
}
