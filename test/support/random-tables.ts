/**
 * Random x86 page tables in a small sparse memory, and linear addresses worth trying on them.
 *
 * Everything follows from the seed. The entries are biased: most addresses offered by
 * {@link interestingAddresses} translate, and each kind of edge (not present, reserved bits, absent
 * frames, large pages, shared and self-referencing tables) turns up every few addresses.
 */
import type { ReferenceMode, ReferenceRead } from './reference-walker.ts';

/** Physical memory: frame number to 1024 little-endian words; other frames are absent. */
export type SparseMemory = Map<number, Uint32Array>;

/** A deterministic stream of random numbers. */
export interface Random {
  /** A whole number in `[0, 2^32)`. */
  next(): number;
  /** A whole number in `[0, limit)`; `limit` at most 2^32. */
  below(limit: number): number;
  /** True with the given probability. */
  chance(probability: number): boolean;
  pick<T>(list: readonly T[]): T;
  /** 64 random bits. */
  bits64(): bigint;
}

/** Mulberry32 (Tommy Ettinger, public domain). */
export function createRandom(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  };
  const below = (limit: number): number => Math.floor((next() / 2 ** 32) * limit);
  return {
    next,
    below,
    chance: (probability) => next() < probability * 2 ** 32,
    pick: (list) => list[below(list.length)],
    bits64: () => (BigInt(next()) << 32n) | BigInt(next()),
  };
}

/** How the tables are made; all but the first two have defaults. */
export interface RandomTablesOptions {
  readonly seed: number;
  readonly mode: ReferenceMode;
  /** First frame for tables; they are spread over the 64 frames from here. Default 0x200. */
  readonly firstTableFrame?: number;
  /** Frames that pages are in, half-open. Default: all below `physBits`. */
  readonly pageFrames?: { readonly start: number; readonly end: number };
  /** MAXPHYADDR; address bits from here up count as reserved. Default 46, in 32-bit mode 32. */
  readonly physBits?: number;
  /** Probability of a reserved bit in an entry that can have one. Default 0.02. */
  readonly reserved?: number;
}

/** Tables made by {@link randomTables}. */
export interface RandomTables {
  readonly mode: ReferenceMode;
  readonly seed: number;
  readonly memory: SparseMemory;
  readonly cr3: bigint;
  /** Indices at which the tables have entries, per depth, root first. */
  readonly hotIndices: readonly (readonly number[])[];
}

/** What the generator must know of each level, root first. */
interface LevelShape {
  readonly shift: number;
  readonly indexBits: number;
  /** Whether some processors take PS=1 here as a large page. */
  readonly mayBeLarge: boolean;
}

const PML4E_AND_BELOW: readonly LevelShape[] = [
  { shift: 39, indexBits: 9, mayBeLarge: false },
  { shift: 30, indexBits: 9, mayBeLarge: true },
  { shift: 21, indexBits: 9, mayBeLarge: true },
  { shift: 12, indexBits: 9, mayBeLarge: false },
];

const SHAPES: Record<ReferenceMode, readonly LevelShape[]> = {
  '32-bit': [
    { shift: 22, indexBits: 10, mayBeLarge: true },
    { shift: 12, indexBits: 10, mayBeLarge: false },
  ],
  PAE: [
    { shift: 30, indexBits: 2, mayBeLarge: false },
    { shift: 21, indexBits: 9, mayBeLarge: true },
    { shift: 12, indexBits: 9, mayBeLarge: false },
  ],
  '4-level': PML4E_AND_BELOW,
  '5-level': [{ shift: 48, indexBits: 9, mayBeLarge: false }, ...PML4E_AND_BELOW],
};

const TABLE_FRAME_SPREAD = 64;
const FULL_MASK_64 = 0xffff_ffff_ffff_ffffn;

function entryBytesOf(mode: ReferenceMode): 4 | 8 {
  return mode === '32-bit' ? 4 : 8;
}

/** The reader that a walker needs: whole entries, `undefined` where a frame is absent. */
export function readerOf(memory: SparseMemory): ReferenceRead {
  return (pa, bytes) => {
    const words = memory.get(Number(pa >> 12n)); // physical addresses have at most 52 bits
    if (words === undefined) return undefined;
    const word = Number((pa & 0xfffn) >> 2n); // below 1024
    const low = BigInt(words[word]);
    return bytes === 4 ? low : low | (BigInt(words[word + 1]) << 32n);
  };
}

/** Stores one entry; the frame must be there. */
export function writeEntry(memory: SparseMemory, pa: bigint, bytes: 4 | 8, value: bigint): void {
  const frame = Number(pa >> 12n); // physical addresses have at most 52 bits
  const words = memory.get(frame);
  if (words === undefined) throw new Error(`writeEntry: frame 0x${frame.toString(16)} is absent`);
  const word = Number((pa & 0xfffn) >> 2n); // below 1024
  words[word] = Number(value & 0xffff_ffffn); // 32 bits
  if (bytes === 8) words[word + 1] = Number(value >> 32n); // 32 bits
}

/** First, last, middle, and a few random indices of a table. */
function chooseHotIndices(random: Random, indexBits: number): number[] {
  const size = 1 << indexBits;
  const chosen = new Set([0, 1, size / 2 - 1, size / 2, size - 2, size - 1]);
  while (chosen.size < Math.min(size, 14)) chosen.add(random.below(size));
  return [...chosen];
}

/** Flags of a present entry; rights are granted so that about two walks in three keep each. */
function randomFlags(random: Random, mode: ReferenceMode): bigint {
  const granted = 1 - 0.35 / SHAPES[mode].length;
  let flags = 1n;
  if (random.chance(granted)) flags |= 1n << 1n; // R/W
  if (random.chance(granted)) flags |= 1n << 2n; // U/S
  if (random.chance(0.2)) flags |= 1n << 3n; // PWT
  if (random.chance(0.2)) flags |= 1n << 4n; // PCD
  if (random.chance(0.5)) flags |= 1n << 5n; // A
  if (random.chance(0.3)) flags |= 1n << 6n; // D
  if (random.chance(0.2)) flags |= 1n << 8n; // G
  if (random.chance(0.3)) flags |= BigInt(random.below(8)) << 9n; // ignored
  if (mode === '4-level' || mode === '5-level') {
    if (random.chance(0.3)) flags |= BigInt(random.below(128)) << 52n; // ignored
    if (random.chance(0.4)) flags |= BigInt(random.below(16)) << 59n; // key in a leaf
  }
  if (mode !== '32-bit' && random.chance(0.03)) flags |= 1n << 63n; // XD
  return flags;
}

/** One bit that some entry of the mode reserves: above the width, or low in a large page. */
function randomReservedBit(random: Random, mode: ReferenceMode, physBits: number): bigint {
  const low = 13 + random.below(mode === '32-bit' ? 9 : 17);
  if (mode === '32-bit' || random.chance(0.4)) return 1n << BigInt(low);
  const top = mode === 'PAE' ? 63 : 52;
  return 1n << BigInt(physBits + random.below(Math.max(1, top - physBits)));
}

/** Makes one table tree, with sharing, in frames around `firstTableFrame`. */
export function randomTables(options: RandomTablesOptions): RandomTables {
  const { seed, mode } = options;
  const firstTableFrame = options.firstTableFrame ?? 0x200;
  const physBits = options.physBits ?? (mode === '32-bit' ? 32 : 46);
  const pageFrames = options.pageFrames ?? { start: 0, end: 2 ** (physBits - 12) };
  const reserved = options.reserved ?? 0.02;
  const random = createRandom(seed);
  const shapes = SHAPES[mode];
  const entryBytes = entryBytesOf(mode);

  const unusedFrames = Array.from({ length: TABLE_FRAME_SPREAD }, (_, i) => firstTableFrame + i);
  const takeFrame = (): number => {
    const [frame] = unusedFrames.splice(random.below(unusedFrames.length), 1);
    return frame;
  };
  const framesByDepth = shapes.map((_, depth) =>
    Array.from({ length: depth === 0 ? 1 : 2 + random.below(2) }, takeFrame),
  );
  const allTables = framesByDepth.flat();
  const memory: SparseMemory = new Map(allTables.map((frame) => [frame, new Uint32Array(1024)]));
  const hotIndices = shapes.map((shape) => chooseHotIndices(random, shape.indexBits));

  const pageFrame = (shift: number): bigint => {
    const pages = 2 ** (shift - 12);
    const count = pageFrames.end - pageFrames.start;
    // More than 2^32 frames need two draws; the product stays below 2^53.
    const offset = Math.floor((random.next() / 2 ** 32) * count);
    const aligned = Math.ceil((pageFrames.start + offset) / pages) * pages;
    return BigInt(aligned + pages > pageFrames.end ? largestAligned(pageFrames, pages) : aligned);
  };

  const tableFrame = (depth: number): number => {
    if (random.chance(0.03)) return random.pick(unusedFrames); // absent
    if (random.chance(0.06)) return random.pick(allTables); // itself, its parent, any other
    return random.pick(framesByDepth[depth + 1]);
  };

  const randomEntry = (depth: number): bigint => {
    const shape = shapes[depth];
    const width = entryBytes === 4 ? 0xffff_ffffn : FULL_MASK_64;
    const isLast = depth === shapes.length - 1;
    // P=0: every other bit is free.
    if (random.chance(isLast ? 0.08 : 0.03)) return random.bits64() & width & ~1n;
    if (random.chance(0.02)) return 0n;

    let entry: bigint;
    if (mode === 'PAE' && depth === 0) {
      // PDPTEs have no rights bits; a set one is reserved.
      entry = 1n | (BigInt(random.below(4)) << 3n) | (BigInt(random.below(8)) << 9n);
      if (random.chance(reserved * 2)) entry |= 1n << BigInt(random.pick([1, 2, 5, 6, 7, 8]));
      entry |= BigInt(tableFrame(depth)) << 12n;
    } else if (isLast) {
      entry = randomFlags(random, mode) | (pageFrame(shape.shift) << 12n);
      if (random.chance(0.3)) entry |= 1n << 7n; // PAT
    } else if (random.chance(shape.mayBeLarge ? 0.2 : 0.01)) {
      entry = randomFlags(random, mode) | (1n << 7n) | (pageFrame(shape.shift) << 12n);
      if (random.chance(0.3)) entry |= 1n << 12n; // PAT
    } else {
      entry = randomFlags(random, mode) | (BigInt(tableFrame(depth)) << 12n);
    }
    // Low bits are reserved in large pages only, and 32-bit entries have no others.
    const isLarge = !isLast && (entry & (1n << 7n)) !== 0n;
    if (random.chance(isLarge ? reserved * 4 : reserved)) {
      const bit = randomReservedBit(random, mode, physBits);
      if (isLarge || (mode !== '32-bit' && bit >> BigInt(physBits) !== 0n)) entry |= bit;
    }
    return entry & width;
  };

  const rootOffset = mode === 'PAE' ? BigInt(random.below(128)) * 32n : 0n;
  framesByDepth.forEach((frames, depth) => {
    for (const frame of frames) {
      for (const index of hotIndices[depth]) {
        const offset = BigInt(index * entryBytes) + (depth === 0 ? rootOffset : 0n);
        const pa = (BigInt(frame) << 12n) + offset;
        writeEntry(memory, pa, entryBytes, randomEntry(depth));
      }
    }
  });

  const lowCr3Bits = mode === 'PAE' ? 0n : BigInt(random.below(4)) << 3n; // PWT, PCD
  const cr3 = (BigInt(framesByDepth[0][0]) << 12n) + rootOffset + lowCr3Bits;
  return { mode, seed, memory, cr3, hotIndices };
}

function largestAligned(range: { readonly end: number }, pages: number): number {
  return Math.floor(range.end / pages - 1) * pages;
}

/** Copies bit 47, or 56 with five levels, into all bits above it. */
function makeCanonical(mode: ReferenceMode, va: bigint): bigint {
  if (mode === '32-bit' || mode === 'PAE') return va & 0xffff_ffffn;
  return BigInt.asUintN(64, BigInt.asIntN(mode === '5-level' ? 57 : 48, va));
}

/** Offsets at the page's ends and anywhere inside, for all page sizes. */
function randomOffset(random: Random, shift: number): bigint {
  const size = 1n << BigInt(shift);
  if (random.chance(0.15)) return 0n;
  if (random.chance(0.15)) return size - 1n;
  return random.bits64() % size;
}

/** Ends of the address space, of its canonical halves, and of the first and last pages. */
function boundaryAddresses(mode: ReferenceMode): bigint[] {
  if (mode === '32-bit' || mode === 'PAE') {
    return [0n, 0xfffn, 0x1000n, 0x3f_ffffn, 0x40_0000n, 0x7fff_ffffn, 0x8000_0000n, 0xffff_ffffn];
  }
  const half = mode === '5-level' ? 1n << 56n : 1n << 47n;
  const upper = (1n << 64n) - half;
  return [0n, 0xfffn, 0x1000n, half - 1n, half, upper - 1n, upper, FULL_MASK_64];
}

/** One canonical address whose index at every depth is one at which the tables have entries. */
function hotAddress(tables: RandomTables, random: Random): bigint {
  const shapes = SHAPES[tables.mode];
  let va = randomOffset(random, 12);
  shapes.forEach((shape, depth) => {
    va |= BigInt(random.pick(tables.hotIndices[depth])) << BigInt(shape.shift);
  });
  return makeCanonical(tables.mode, va);
}

/**
 * Addresses to try: seven in ten lead through filled entries all the way; the rest are their
 * neighbours, boundaries, non-canonical and uniformly random ones.
 */
export function interestingAddresses(tables: RandomTables, seed: number, count: number): bigint[] {
  const random = createRandom(seed);
  const { mode } = tables;
  const boundaries = boundaryAddresses(mode);
  const shapes = SHAPES[mode];
  return Array.from({ length: count }, () => {
    const choice = random.below(100);
    const va = hotAddress(tables, random);
    if (choice < 70) return va;
    if (choice < 85) {
      // The byte, or the page of any size, before or after.
      const step = random.chance(0.3) ? 1n : 1n << BigInt(random.pick(shapes).shift);
      return makeCanonical(mode, BigInt.asUintN(64, random.chance(0.5) ? va + step : va - step));
    }
    if (choice < 92) return random.pick(boundaries);
    if (mode === '32-bit' || mode === 'PAE') return random.bits64() & 0xffff_ffffn;
    if (choice < 96) {
      // Non-canonical by one flipped bit, if the bit is above the implemented ones.
      const lowest = mode === '5-level' ? 57 : 48;
      return va ^ (1n << BigInt(lowest + random.below(64 - lowest)));
    }
    return makeCanonical(mode, random.bits64());
  });
}
