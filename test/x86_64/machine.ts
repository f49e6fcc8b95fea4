/**
 * Guest memory with a mapper over it, in each way that a mapper can reach its tables, beside a copy of what memory must
 * hold. All addresses given are physical ones of the guest.
 */
import { flatMemory, type PhysicalMemory } from '../../src/memory/index.ts';
import {
  type FlushSink,
  type FrameAllocator,
  type FrameDeallocator,
  MappedPageTable,
  OffsetPageTable,
  PageTable,
  type PhysFrame,
  VirtAddr,
} from '../../src/x86_64/index.ts';
import { frame4, hex, type Mapper, MapperCalls } from './calls.ts';

/** The root of all machines, as in the specification's section 17. */
export const ROOT = 0x1000n;
/** The first frame that the allocator hands out. */
export const FIRST_FREE = 0x10000n;

const MIB = 2 ** 20;

/** A way to reach tables. */
export interface Layout {
  readonly name: string;
  readonly bufferBytes: number;
  /** Where in the buffer the byte with this physical address lies. */
  readonly place: (physical: bigint) => bigint;
  /** The other way round. */
  readonly physical: (place: bigint) => bigint;
  readonly makeMapper: (memory: PhysicalMemory, sink: FlushSink | undefined) => Mapper;
}

const options = (sink: FlushSink | undefined) => (sink === undefined ? {} : { sink });

/** `OffsetPageTable` where the guest's address 0 lies at `offset` in the buffer. */
function offsetLayout(name: string, bufferBytes: number, offset: bigint): Layout {
  return {
    name,
    bufferBytes,
    place: (physical) => physical + offset,
    physical: (place) => place - offset,
    makeMapper: (memory, sink) =>
      new OffsetPageTable(PageTable.at(memory, ROOT + offset), new VirtAddr(offset), options(sink)),
  };
}

const XOR = 0x10_0000n;

/** The ways, each tried with every case. */
export const LAYOUTS: readonly Layout[] = [
  offsetLayout('OffsetPageTable', 64 * MIB, 0n),
  offsetLayout('OffsetPageTable in a larger heap', 68 * MIB, 0x10_0000n),
  {
    name: 'MappedPageTable',
    bufferBytes: 64 * MIB,
    place: (physical) => physical ^ XOR,
    physical: (place) => place ^ XOR,
    makeMapper: (memory, sink) =>
      new MappedPageTable(
        PageTable.at(memory, ROOT ^ XOR),
        { frameToPointer: (frame) => PageTable.at(memory, frame.startAddress().asU64() ^ XOR) },
        options(sink),
      ),
  },
];

/** Hands out frames in ascending order and takes every frame back, never to hand it out again. */
export class CountingAllocator implements FrameAllocator, FrameDeallocator {
  readonly taken: bigint[] = [];
  readonly freed: bigint[] = [];
  private readonly limit: number;
  private readonly first: bigint;
  /** Called with each frame that comes back. */
  onFree: ((frame: bigint) => void) | undefined;

  constructor(limit: number, first = FIRST_FREE) {
    this.limit = limit;
    this.first = first;
  }

  allocateFrame(): PhysFrame | undefined {
    if (this.taken.length >= this.limit) return undefined;
    const address = this.first + 4096n * BigInt(this.taken.length);
    this.taken.push(address);
    return frame4(address);
  }

  deallocateFrame(frame: PhysFrame): void {
    const address = frame.startAddress().asU64();
    this.freed.push(address);
    this.onFree?.(address);
  }
}

/** A buffer, and what it must hold. */
interface Buffers {
  readonly actual: Buffer;
  readonly expected: Buffer;
}

/** Buffers that hold zeros only, by size: making new ones for each case would take most of the time. */
const spare = new Map<number, Buffers[]>();

function takeBuffers(bytes: number): Buffers {
  return (
    spare.get(bytes)?.pop() ?? {
      actual: Buffer.from(new ArrayBuffer(bytes)),
      expected: Buffer.from(new ArrayBuffer(bytes)),
    }
  );
}

/** What the frames of an allocator hold at first. */
const junk: Uint8Array[] = [];

function junkOf(frame: number): Uint8Array {
  for (let i = BigInt(junk.length); i <= frame; i += 1n) {
    const words = BigUint64Array.from(
      { length: 512 },
      (_, k) => 0xdead_0000_0000_0000n + 512n * i + BigInt(k),
    );
    junk.push(new Uint8Array(words.buffer));
  }
  return junk[frame];
}

/** What a new machine has besides its layout. */
export interface MachineOptions {
  /** Frames that the allocator has; 16 by default. All are filled with junk at first. */
  readonly frames?: number;
  readonly sink?: FlushSink;
}

/** Guest memory, a mapper, an allocator, and what memory must hold. */
export class Machine {
  readonly layout: Layout;
  readonly memory: PhysicalMemory;
  readonly mapper: Mapper;
  readonly calls: MapperCalls;
  readonly allocator: CountingAllocator;
  private readonly buffers: Buffers;
  /** Places in the buffer of the frames that may hold something. */
  private readonly used = new Set<number>();

  constructor(layout: Layout, { frames = 16, sink }: MachineOptions = {}) {
    this.layout = layout;
    this.buffers = takeBuffers(layout.bufferBytes);
    this.memory = flatMemory(this.buffers.actual.buffer);
    this.mapper = layout.makeMapper(this.memory, sink);
    this.allocator = new CountingAllocator(frames);
    this.calls = new MapperCalls(this.mapper, this.allocator);
    const { actual, expected } = this.buffers;
    for (let i = 0; i < frames; i += 1) {
      const at = this.at(FIRST_FREE + 4096n * BigInt(i));
      this.used.add(at);
      for (const buffer of [actual, expected]) buffer.set(junkOf(i), at);
    }
  }

  /** Stores a word in memory, which is also what memory must hold from now on. */
  poke(address: bigint, value: bigint): void {
    this.buffers.actual.writeBigUInt64LE(value, this.at(address));
    this.expectWord(address, value);
  }

  /** Memory must hold this word from now on. */
  expectWord(address: bigint, value: bigint): void {
    const at = this.at(address);
    this.used.add(at - (at % 4096));
    this.buffers.expected.writeBigUInt64LE(value, at);
  }

  /** The frame must hold nothing but zeros from now on. */
  expectZeros(frame: bigint): void {
    this.buffers.expected.fill(0, this.at(frame), this.at(frame) + 4096);
  }

  /** The word that memory holds. */
  peek(address: bigint): bigint {
    return this.buffers.actual.readBigUInt64LE(this.at(address));
  }

  /** Every word of the whole buffer that is not what it must be. */
  differences(): string[] {
    const { actual, expected } = this.buffers;
    if (actual.equals(expected)) return [];
    const found: string[] = [];
    for (let at = 0; at < actual.length; at += 4096) {
      if (actual.compare(expected, at, at + 4096, at, at + 4096) === 0) continue;
      for (let word = at; word < at + 4096; word += 8) {
        const [is, must] = [actual.readBigUInt64LE(word), expected.readBigUInt64LE(word)];
        if (is !== must)
          found.push(`[${hex(this.layout.physical(BigInt(word)))}] is ${hex(is)}, must be ${hex(must)}`);
      }
    }
    return found;
  }

  /** Gives the buffers back. Only where {@link differences} has just found none. */
  release(): void {
    const { actual, expected } = this.buffers;
    for (const at of this.used) {
      actual.fill(0, at, at + 4096);
      expected.fill(0, at, at + 4096);
    }
    const list = spare.get(actual.length) ?? [];
    list.push(this.buffers);
    spare.set(actual.length, list);
  }

  private at(address: bigint): number {
    // Buffers have at most 2^27 bytes.
    return Number(this.layout.place(address));
  }
}
