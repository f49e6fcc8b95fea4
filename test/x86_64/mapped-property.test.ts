// Random calls on random tables, hostile ones too: every answer and every word of memory must be what the reference, which
// was written from the specification alone, has. Where the original panics, memory must be as before the call.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { flatMemory, OverlayMemory, type PhysicalMemory, SparseMemory } from '../../src/memory/index.ts';
import { MappedPageTable, OffsetPageTable, PageTable, VirtAddr } from '../../src/x86_64/index.ts';
import { LONG } from '../support/long.ts';
import { type Calls, hex, type Mapper, MapperCalls, type SizeName } from './calls.ts';
import { CountingAllocator } from './machine.ts';
import { ReferenceMapper } from './reference-mapper.ts';

const ROOT = 0x1000n;
/** Frames of physical memory; an entry that points elsewhere has no table. */
const FRAMES = 48;
const BYTES = FRAMES * 4096;
/** Frames from here are the allocator's. */
const FIRST_FREE = 0x2_0000n;

/** Physical memory, a mapper over it, and the frame of the memory that a frame of the mapper is in. */
interface Bench {
  readonly mapper: Mapper;
  readonly memory: PhysicalMemory;
  readonly place: (frame: number) => number;
}

const SHIFT = 0x5000n;
const XOR = 0x0_b000n;

/** `OffsetPageTable` over a memory in which physical addresses are as they are. */
function direct(memory: PhysicalMemory): Bench {
  return {
    mapper: new OffsetPageTable(PageTable.at(memory, ROOT), VirtAddr.zero()),
    memory,
    place: (frame) => frame,
  };
}

const BENCHES: Readonly<Record<string, () => Bench>> = {
  flat: () => direct(flatMemory(new ArrayBuffer(BYTES))),
  // The frames from 24 come first in the buffer, and can be reached without a search.
  'two regions': () =>
    direct(
      flatMemory(new ArrayBuffer(BYTES + 4096), [
        { address: 24n << 12n, offset: 0, length: BYTES / 2 },
        { address: 0n, offset: BYTES / 2 + 4096, length: BYTES / 2 },
      ]),
    ),
  sparse: () => {
    const sparse = new SparseMemory();
    for (let frame = FRAMES - 1; frame >= 0; frame -= 1) sparse.add(frame);
    return direct(sparse.memory);
  },
  overlay: () => direct(new OverlayMemory(flatMemory(new ArrayBuffer(BYTES))).memory),
  'a larger heap': () => {
    const memory = flatMemory(new ArrayBuffer(BYTES + Number(SHIFT)));
    return {
      mapper: new OffsetPageTable(PageTable.at(memory, ROOT + SHIFT), new VirtAddr(SHIFT)),
      memory,
      place: (frame) => frame + Number(SHIFT >> 12n),
    };
  },
  'an exclusive or': () => {
    const memory = flatMemory(new ArrayBuffer(BYTES));
    const mapping = {
      frameToPointer: (frame: { startAddress(): { asU64(): bigint } }) =>
        PageTable.at(memory, frame.startAddress().asU64() ^ XOR),
    };
    return {
      mapper: new MappedPageTable(PageTable.at(memory, ROOT ^ XOR), mapping),
      memory,
      place: (frame) => frame ^ Number(XOR >> 12n),
    };
  },
};

// ---- what is random

const sizes = fc.constantFrom<SizeName>('4KiB', '4KiB', '2MiB', '1GiB');
/** Indices at level 4, 3, 2 and 1; some pages come up again and again. */
const LEVELS = [
  [1n, 1n, 1n, 0n, 256n, 511n],
  [2n, 2n, 2n, 0n, 511n],
  [3n, 3n, 0n],
  [4n, 4n, 0n, 511n],
] as const;

/** An address in one of a few pages. */
const address = fc
  .tuple(...LEVELS.map((indices) => fc.constantFrom(...indices)))
  .map(([i4, i3, i2, i1]) =>
    BigInt.asUintN(64, BigInt.asIntN(48, (i4 << 39n) | (i3 << 30n) | (i2 << 21n) | (i1 << 12n))),
  );
const page = fc.record({ size: sizes, address }).map(({ size, address }) => {
  const mask = { '4KiB': 0xfffn, '2MiB': 0x1f_ffffn, '1GiB': 0x3fff_ffffn }[size];
  return { size, at: address & ~mask };
});

const FLAGS = [
  0n,
  1n,
  1n,
  3n,
  3n,
  7n,
  2n,
  5n,
  0x63n,
  0x80n,
  0x81n,
  0x83n,
  0x101n,
  0x200n,
  1n << 63n,
  (1n << 63n) | 1n,
];
const flags = fc.oneof(
  { weight: 20, arbitrary: fc.constantFrom(...FLAGS) },
  // Bits that belong to the address (section 2: flags are not masked).
  { weight: 1, arbitrary: fc.constantFrom(0x1001n, 0x3003n, 0x2_0001n, 0x8000_0000_0001n) },
);
/** Frames: tables, frames of the allocator, large ones, ones that are not there, ones that are misaligned. */
const FRAME_ADDRESSES = [
  0n,
  0x2_1000n,
  0x20_0000n,
  0x40_0000n,
  0x20_1000n,
  0x4000_0000n,
  0x4020_0000n,
  0x7fff_c000_0000n,
  0x8000_0000_0000n,
  0xf_ffff_ffff_f000n,
  0x1_2345_6000n,
  0x9_0800n,
];
const frame = fc.constantFrom(...FRAME_ADDRESSES);

const table = fc.integer({ min: 1, max: 9 }).map((number) => BigInt(number) << 12n);
/** Tables of level 4, 3, 2 and 1, as a rule. */
const TABLES = [[0x1000n], [0x2000n, 0x3000n], [0x4000n, 0x5000n], [0x6000n, 0x7000n]] as const;
const tableFlags = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(1n, 3n, 7n) },
  { weight: 1, arbitrary: fc.constantFrom(...FLAGS) },
);
const alignedFrame = fc.constantFrom(...FRAME_ADDRESSES.filter((one) => one % 4096n === 0n));

/** A word of a table of a level: a pointer to the next one, a page, or something else. */
const wordOf = (depth: number) =>
  fc
    .record({
      table: fc.constantFrom(...TABLES[depth]),
      index: fc.constantFrom(...LEVELS[depth]),
      target: fc.oneof(
        { weight: 6, arbitrary: depth === 3 ? alignedFrame : fc.constantFrom(...TABLES[depth + 1]) },
        { weight: 1, arbitrary: table },
        { weight: 1, arbitrary: alignedFrame },
      ),
      flags: tableFlags,
    })
    .map(({ table, index, target, flags }) => ({ at: table + 8n * index, value: target | flags }));
const word = fc.oneof(wordOf(0), wordOf(1), wordOf(2), wordOf(3));

interface Call {
  readonly name: string;
  readonly run: (calls: Calls) => string;
}

const calls: fc.Arbitrary<Call> = fc
  .record({ kind: fc.nat(20), page, frame, flags, parents: flags, address, last: address })
  .map(({ kind, page: { size, at }, frame, flags, parents, address, last }): Call => {
    const of = `${size} ${hex(at)}`;
    switch (kind) {
      case 0:
        return { name: 'cleanUp', run: (c) => c.cleanUp() };
      case 1:
        return {
          name: `cleanUpRange ${hex(address)} ${hex(last)}`,
          run: (c) => c.cleanUpRange(address, last),
        };
      case 2:
        return {
          name: `identity ${size} ${hex(frame)} ${hex(flags)}`,
          run: (c) => c.identity(size, frame, flags),
        };
      case 3:
      case 4:
        return { name: `update ${of} ${hex(flags)}`, run: (c) => c.update(size, at, flags) };
      case 5:
      case 6:
      case 7: {
        const level = ([4, 3, 2] as const)[kind - 5];
        return {
          name: `setFlags${level} ${of} ${hex(flags)}`,
          run: (c) => c.setFlags(level, size, at, flags),
        };
      }
      case 8:
        return { name: `translatePage ${of}`, run: (c) => c.translatePage(size, at) };
      case 9:
        return { name: `translate ${hex(address)}`, run: (c) => c.translate(address + 0x234n) };
      case 10:
        return { name: `translateAddr ${hex(address)}`, run: (c) => c.translateAddr(address + 0x234n) };
      case 11:
      case 12:
      case 13:
        return { name: `unmap ${of}`, run: (c) => c.unmap(size, at) };
      case 14:
      case 15:
      case 16:
        return {
          name: `mapWith ${of} ${hex(frame)} ${hex(flags)} ${hex(parents)}`,
          run: (c) => c.mapWith(size, at, frame, flags, parents),
        };
      default:
        return { name: `map ${of} ${hex(frame)} ${hex(flags)}`, run: (c) => c.map(size, at, frame, flags) };
    }
  });

/** Tables for the page with the indices 1, 2, 3 and 4. */
const CHAIN = [
  { at: 0x1008n, value: 0x2003n },
  { at: 0x2010n, value: 0x4003n },
  { at: 0x4018n, value: 0x6003n },
];

const scenario = fc.record({
  chain: fc.constantFrom<typeof CHAIN>(CHAIN, CHAIN, []),
  words: fc.array(word, { maxLength: 30, size: 'max' }),
  frames: fc.constantFrom(0, 1, 2, 3, 5, 8, 15, 15, 15),
  sequence: fc.array(calls, { minLength: 1, maxLength: 25, size: 'max' }),
});
type Scenario = typeof scenario extends fc.Arbitrary<infer T> ? T : never;

// ---- how it is judged

/** What the allocator's frames hold before it gives them. */
const JUNK = BigUint64Array.from({ length: 15 * 512 }, (_, i) => 0xdead_0000_0000_0000n + BigInt(i));
const JUNK_WORDS = new Uint32Array(JUNK.buffer);

const bytesOf = (words: Uint32Array | BigUint64Array) =>
  Buffer.from(words.buffer, words.byteOffset, words.byteLength);

/** Plays a scenario on both; `count` is told of each answer. */
function play(
  make: () => Bench,
  { chain, words, frames, sequence }: Scenario,
  count: (key: string) => void,
): void {
  const expected = new BigUint64Array(BYTES / 8);
  const expectedBytes = bytesOf(expected);
  const { mapper, memory, place } = make();
  const indexOf = (frame: number) => memory.locate(place(frame));
  const allocator = new CountingAllocator(frames, FIRST_FREE);
  const ours = new MapperCalls(mapper, {
    allocateFrame: () => allocator.allocateFrame(),
    deallocateFrame: (frame) => allocator.deallocateFrame(frame),
  });
  const referenceFrames = { taken: [] as bigint[], freed: [] as bigint[] };
  // Addresses below are those of memory that is there.
  const reference = new ReferenceMapper({
    memory: {
      read: (at) => expected[Number(at / 8n)],
      write: (at, value) => {
        expected[Number(at / 8n)] = value;
      },
    },
    root: ROOT,
    place: (frame) => (frame < BigInt(BYTES) ? frame : undefined),
    allocate: () => {
      if (referenceFrames.taken.length >= frames) return undefined;
      const frame = FIRST_FREE + 4096n * BigInt(referenceFrames.taken.length);
      referenceFrames.taken.push(frame);
      return frame;
    },
    free: (frame) => {
      referenceFrames.freed.push(frame);
    },
  });
  const poke = (at: bigint, value: bigint) => {
    expected[Number(at / 8n)] = value;
    const index = indexOf(Number(at >> 12n)) + Number(at & 0xfffn) / 4;
    memory.words[index] = Number(value & 0xffff_ffffn);
    memory.words[index + 1] = Number(value >> 32n);
  };
  expected.set(JUNK.subarray(0, frames * 512), Number(FIRST_FREE / 8n));
  for (let i = 0; i < frames; i += 1) {
    const at = indexOf(Number(FIRST_FREE >> 12n) + i);
    memory.words.set(JUNK_WORDS.subarray(i * 1024, (i + 1) * 1024), at);
  }
  for (const { at, value } of [...chain, ...words]) poke(at, value);

  let bytes = bytesOf(memory.words);
  const log: string[] = [];
  for (const { name, run } of sequence) {
    const before = { taken: allocator.taken.length, freed: allocator.freed.length };
    const must = run(reference);
    const is = run(ours);
    log.push(`${name}: ${must}`);
    if (is !== must) expect(is, log.join('\n')).toBe(must);
    count(`${name.split(' ')[0]} ${must.startsWith('0x') ? 'mapped' : must.split(/[ (]/)[0]}`);
    // A clean-up that meets a table outside memory keeps what it has done before.
    if (must === 'abort' && !name.startsWith('cleanUp')) {
      // Where the original loses frames, the library may have asked for fewer, and may have given them back.
      const taken = allocator.taken.slice(before.taken);
      const freed = allocator.freed.splice(before.freed);
      expect(taken.length).toBeLessThanOrEqual(referenceFrames.taken.length - before.taken);
      if (freed.length > 0) expect(freed.toReversed()).toEqual(taken);
      referenceFrames.taken.length = allocator.taken.length;
    }
    expectFrames(allocator.taken, referenceFrames.taken, log);
    expectFrames(allocator.freed, referenceFrames.freed, log);
    for (let number = 0; number < FRAMES; number += 1) {
      const at = indexOf(number);
      // An overlay grows when a frame is first asked for.
      if (bytes.byteLength !== memory.words.byteLength) bytes = bytesOf(memory.words);
      const [from, to] = [at * 4, (at + 1024) * 4];
      if (bytes.compare(expectedBytes, number * 4096, (number + 1) * 4096, from, to) !== 0) {
        const actual = memory.words.subarray(at, at + 1024);
        const wanted = new Uint32Array(expected.buffer, number * 4096, 1024);
        const word = actual.findIndex((value, index) => value !== wanted[index]);
        const shown = (list: Uint32Array) => `0x${list[word].toString(16)}`;
        expect.fail(
          `${log.join('\n')}\nframe 0x${number.toString(16)} word ${word} is ${shown(actual)}, must be ${shown(wanted)}`,
        );
      }
    }
  }
}

/** Checks which frames were taken or given back, and in which order. */
function expectFrames(is: readonly bigint[], must: readonly bigint[], log: readonly string[]): void {
  if (is.join() !== must.join()) expect(is.map(hex), log.join('\n')).toEqual(must.map(hex));
}

describe('answers and memory are those of the reference', () => {
  Object.entries(BENCHES).forEach(([name, make], number) => {
    test(`tables in ${name}`, () => {
      const seed = 5001 + number;
      const seen = new Map<string, number>();
      fc.assert(
        fc.property(scenario, (one) => {
          play(make, one, (key) => seen.set(key, (seen.get(key) ?? 0) + 1));
        }),
        { numRuns: LONG ? 8_000 : 400, seed },
      );
      const total = [...seen.values()].reduce((sum, times) => sum + times, 0);
      const list = [...seen].sort().map(([key, times]) => `${key} ${times}`);
      console.log(`mapper and reference, ${name}: ${total} calls from seed ${seed}; ${list.join(', ')}`);
      for (const key of [
        'map Ok',
        'map PageAlreadyMapped',
        'map ParentEntryHugePage',
        'map FrameAllocationFailed',
        'map abort',
        'mapWith Ok',
        'mapWith abort',
        'unmap Ok',
        'unmap ParentEntryHugePage',
        'update Ok',
        'update ParentEntryHugePage',
        'setFlags4 Ok',
        'setFlags3 Ok',
        'setFlags2 Ok',
        'translate Mapped',
        'translate NotMapped',
        'translatePage Ok',
        'translatePage InvalidFrameAddress',
        'cleanUp Ok',
        'cleanUpRange Ok',
      ]) {
        expect([key, (seen.get(key) ?? 0) >= 5]).toEqual([key, true]);
      }
    });
  });
});
