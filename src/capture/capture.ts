import { FRAME_BYTES, FRAME_WORDS, hex, PageTableError } from '../bits/index.ts';
import type { Paging } from '../format/index.ts';
import type { Machine } from '../machine/index.ts';
import { ABSENT, SparseMemory } from '../memory/index.ts';
import { ALL_PAGES, Cursor, DONE, type PageRange, TABLE, Walker } from '../walk/index.ts';

/** Frames asked of a machine at a time: 1 MiB. */
const BATCH = 256;

/** How far a capture goes. */
export interface CaptureOptions {
  /** Pages whose tables are wanted; all by default. */
  readonly range?: PageRange;
  /** Where the tables go; a new one by default. Frames that it holds already are not read again. */
  readonly into?: SparseMemory;
}

/**
 * Brings the page tables that a root reaches from a machine into sparse memory: level by level, all tables of a level
 * in batches. A table that several entries share is read once; one that the machine does not have stays absent.
 *
 * @returns the memory; walk it with the same `paging`
 * @throws {@link PageTableError} `LIMIT_EXCEEDED` if there are more tables than the memory may hold
 */
export async function captureTables(
  machine: Machine,
  paging: Paging,
  options: CaptureOptions = {},
): Promise<SparseMemory> {
  const into = options.into ?? new SparseMemory();
  const ranged = new Cursor(into.memory, paging, options.range ?? ALL_PAGES);
  const whole = new Cursor(into.memory, paging);
  // Frame of each table, and the first page that it maps; -1 if it is met in several places, of which the range may
  // hold different parts.
  let level = new Map([[paging.root.frame, 0]]);
  for (let depth = 0; depth < paging.format.levels && level.size > 0; depth += 1) {
    await readInto(machine, into, [...level.keys()]);
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
  machine: Machine,
  paging: Paging,
  page: number,
  into: SparseMemory,
): Promise<void> {
  const walker = new Walker(into.memory, paging);
  for (let depth = 0; depth < paging.format.levels; depth += 1) {
    const { end, frame } = walker.path(page);
    if (end !== 'not-in-memory' || frame === undefined) return;
    await readInto(machine, into, [frame]);
  }
}

/** Reads the frames that are not there yet. */
async function readInto(machine: Machine, into: SparseMemory, frames: readonly number[]): Promise<void> {
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

/** A piece of linear memory that was read. */
export interface LinearBytes {
  readonly bytes: Uint8Array;
  /** The byte addresses that could not be read, half-open, and why. */
  readonly holes: readonly { readonly first: bigint; readonly end: bigint; readonly reason: string }[];
}

/**
 * Reads linear memory through page tables.
 *
 * @param address - linear byte address
 * @param length - bytes, in `[0, 2^26]`
 * @throws {@link PageTableError} `OUT_OF_RANGE` if the length is not in that range or the end is past 2^64
 */
export async function readLinear(
  machine: Machine,
  paging: Paging,
  address: bigint,
  length: number,
  into: SparseMemory = new SparseMemory(),
): Promise<LinearBytes> {
  if (
    !(Number.isInteger(length) && length >= 0 && length <= MAX_READ) ||
    address + BigInt(length) > 2n ** 64n
  ) {
    throw new PageTableError(
      'OUT_OF_RANGE',
      `read: ${length} bytes at ${hex(address)}; expected at most ${MAX_READ} bytes that end at or below 2^64`,
      { address, length },
    );
  }
  const bytes = new Uint8Array(length);
  const holes: { first: bigint; end: bigint; reason: string }[] = [];
  const walker = new Walker(into.memory, paging);
  const frame = new Uint8Array(FRAME_BYTES);
  for (let done = 0; done < length; ) {
    const at = address + BigInt(done);
    const offset = Number(at & 0xfffn);
    const part = Math.min(FRAME_BYTES - offset, length - done);
    const page = Number(at >> 12n);
    await capturePath(machine, paging, page, into);
    const path = walker.path(page);
    let reason: string | undefined;
    if (path.end !== 'mapped' || path.frame === undefined) reason = path.end;
    else if ((await machine.readFrames([path.frame], frame))[0] === 0) reason = 'not in image';
    else bytes.set(frame.subarray(offset, offset + part), done);
    if (reason !== undefined) {
      const last = holes[holes.length - 1];
      const end = at + BigInt(part);
      if (last?.end === at && last.reason === reason) last.end = end;
      else holes.push({ first: at, end, reason });
    }
    done += part;
  }
  return { bytes, holes };
}

/** Bytes that one call of {@link readLinear} reads at most: 64 MiB. */
const MAX_READ = 2 ** 26;
