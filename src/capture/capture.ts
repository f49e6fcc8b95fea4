import { addressOf, FRAME_BYTES, FRAME_WORDS, hex, PageTableError, pageOf } from '../bits/index.ts';
import { lastIndex, type Paging, type WalkEnd } from '../format/index.ts';
import type { Machine } from '../machine/index.ts';
import { ABSENT, SparseMemory } from '../memory/index.ts';
import {
  ALL_PAGES,
  Cursor,
  DONE,
  NOT_IN_MEMORY,
  type PageRange,
  type Path,
  TABLE,
  Walker,
} from '../walk/index.ts';

/** All that is asked of a machine here. */
export type FrameReader = Pick<Machine, 'readFrames'>;

/** Frames asked of a machine at a time: 1 MiB. */
const BATCH = 256;

/** Bytes that one call of {@link readLinear} reads at most: 64 MiB. */
export const MAX_LINEAR_READ = 2 ** 26;

/** How far a capture goes. */
export interface CaptureOptions {
  /** Pages whose tables are wanted; all by default. */
  readonly range?: PageRange;
  /** Where the tables go; a new one by default. Frames that it holds already are not read again. */
  readonly into?: SparseMemory;
  /** The table to begin with, all of which is wanted then; the root by default. */
  readonly table?: { readonly depth: number; readonly frame: number };
}

/**
 * Brings the page tables that a root reaches from a machine into sparse memory: level by level, all tables of a level
 * in batches. A table that several entries share is read once; one that the machine does not have stays absent.
 *
 * @returns the memory; walk it with the same `paging`
 * @throws {@link PageTableError} `LIMIT_EXCEEDED` if there are more tables than the memory may hold
 */
export async function captureTables(
  machine: FrameReader,
  paging: Paging,
  options: CaptureOptions = {},
): Promise<SparseMemory> {
  const into = options.into ?? new SparseMemory();
  const ranged = new Cursor(into.memory, paging, options.range ?? ALL_PAGES);
  const whole = new Cursor(into.memory, paging);
  // Frame of each table, and the first page that it maps; -1 if it is met in several places, of which the range may
  // hold different parts.
  const { table } = options;
  let level = new Map([table === undefined ? [paging.root.frame, 0] : [table.frame, -1]]);
  for (let depth = table?.depth ?? 0; depth < paging.format.levels && level.size > 0; depth += 1) {
    await readInto(machine, into, framesOf(paging, depth, [...level.keys()]));
    const next = new Map<number, number>();
    for (const [frame, page] of level) {
      const cursor = page < 0 ? whole : ranged;
      cursor.start({ depth, frame, page: Math.max(0, page) });
      for (let event = cursor.next(); event !== DONE; event = cursor.next()) {
        if (event !== TABLE) continue;
        next.set(cursor.frame, page < 0 || next.has(cursor.frame) ? -1 : cursor.page);
        cursor.skip();
      }
    }
    level = next;
  }
  return into;
}

/**
 * Brings only the tables on the way to one page.
 *
 * @param page - page number, an integer in `[0, 2^52)`
 * @param into - where they go
 */
export async function capturePath(
  machine: FrameReader,
  paging: Paging,
  page: number,
  into: SparseMemory,
): Promise<void> {
  const walker = new Walker(into.memory, paging);
  for (let depth = 0; depth < paging.format.levels; depth += 1) {
    const { end, frame } = walker.path(page);
    if (end !== 'not-in-memory' || frame === undefined) return;
    await readInto(machine, into, [frame]);
    if (into.locate(frame) === ABSENT) return;
  }
}

/** The frames in which tables of a depth lie: of larger granules and joined roots several, of a root smaller than a frame one. */
function framesOf({ format }: Paging, depth: number, tables: readonly number[]): number[] {
  const words = (lastIndex(format.facts, depth) + 1) << format.entryShift;
  const count = Math.max(1, words / FRAME_WORDS);
  if (count === 1) return [...tables];
  // Tables of a damaged image may overlap.
  return [...new Set(tables.flatMap((first) => Array.from({ length: count }, (_, i) => first + i)))];
}

/** Reads the frames that are not there yet. */
async function readInto(machine: FrameReader, into: SparseMemory, frames: readonly number[]): Promise<void> {
  const wanted = frames.filter((frame) => into.locate(frame) === ABSENT);
  for (let start = 0; start < wanted.length; start += BATCH) {
    const batch = wanted.slice(start, start + BATCH);
    const bytes = new Uint8Array(batch.length * FRAME_BYTES);
    const present = await machine.readFrames(batch, bytes);
    const words = new Uint32Array(bytes.buffer);
    batch.forEach((frame, i) => {
      if (present[i] === 0) return;
      const at = into.add(frame);
      into.memory.words.set(words.subarray(i * FRAME_WORDS, (i + 1) * FRAME_WORDS), at);
    });
  }
}

/** Why a byte cannot be read: its page is not there, or the walk to it ended so. */
export type LinearHole = 'not-in-image' | 'table-not-in-image' | Exclude<WalkEnd, 'mapped' | 'not-in-memory'>;

/** A piece of linear memory that was read. */
export interface LinearBytes {
  readonly bytes: Uint8Array;
  /** The byte addresses that could not be read, half-open, and why. */
  readonly holes: readonly { readonly first: bigint; readonly end: bigint; readonly reason: LinearHole }[];
}

/**
 * Reads linear memory through page tables.
 *
 * @param address - linear byte address
 * @param length - bytes, in `[0, MAX_LINEAR_READ]`
 * @throws {@link PageTableError} `OUT_OF_RANGE` if the length is not in that range or the end is past 2^64
 */
export async function readLinear(
  machine: FrameReader,
  paging: Paging,
  address: bigint,
  length: number,
  into: SparseMemory = new SparseMemory(),
): Promise<LinearBytes> {
  if (
    !(Number.isInteger(length) && length >= 0 && length <= MAX_LINEAR_READ) ||
    address + BigInt(length) > 2n ** 64n
  ) {
    throw new PageTableError(
      'OUT_OF_RANGE',
      `read: ${length} bytes at ${hex(address)}; expected at most ${MAX_LINEAR_READ} bytes that end at or below 2^64`,
      { address, length },
    );
  }
  const bytes = new Uint8Array(length);
  if (length === 0) return { bytes, holes: [] };
  const holes: { first: bigint; end: bigint; reason: LinearHole }[] = [];
  const walker = new Walker(into.memory, paging);
  const last = address + BigInt(length);
  const addHole = (page: number, reason: LinearHole): void => {
    const first = addressOf(page) > address ? addressOf(page) : address;
    const end = addressOf(page + 1) < last ? addressOf(page + 1) : last;
    const before = holes[holes.length - 1];
    if (before?.end === first && before.reason === reason) before.end = end;
    else holes.push({ first, end, reason });
  };
  // At most 2^52.
  const endPage = Number((last + 4095n) >> 12n);
  for (let first = pageOf(address); first < endPage; first += BATCH) {
    const pages = Array.from({ length: Math.min(BATCH, endPage - first) }, (_, i) => first + i);
    const paths: Path[] = [];
    for (const page of pages) {
      if (walker.translate(page) === NOT_IN_MEMORY) await capturePath(machine, paging, page, into);
      paths.push(walker.path(page));
    }
    const frames = paths.flatMap(({ end, frame }) =>
      end === 'mapped' && frame !== undefined ? [frame] : [],
    );
    const data = new Uint8Array(frames.length * FRAME_BYTES);
    const present = await machine.readFrames(frames, data);
    let next = 0;
    for (const [i, { end }] of paths.entries()) {
      if (end !== 'mapped') {
        addHole(pages[i], end === 'not-in-memory' ? 'table-not-in-image' : end);
        continue;
      }
      const at = next * FRAME_BYTES;
      next += 1;
      if (present[next - 1] === 0) {
        addHole(pages[i], 'not-in-image');
        continue;
      }
      // Less than 2^27 bytes, counted from the first one asked for; negative in the first page.
      const place = Number(addressOf(pages[i]) - address);
      const from = Math.max(0, -place);
      bytes.set(data.subarray(at + from, at + Math.min(FRAME_BYTES, length - place)), place + from);
    }
  }
  return { bytes, holes };
}
