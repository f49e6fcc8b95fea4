// Where tables can lie, and which words of them are written. Expected values: notes on the Rust crate, sections 8, 11, 17 and 18.
import { describe, expect, test } from 'vitest';
import { flatMemory } from '../../src/memory/index.ts';
import {
  MappedPageTable,
  OffsetPageTable,
  Page,
  PageTable,
  PageTableFlags,
  type PhysFrame,
  Size1GiB,
  Size2MiB,
  type TableMemory,
  VirtAddr,
} from '../../src/x86_64/index.ts';
import { flagsOf, frame4, hex, MapperCalls, page4 } from './calls.ts';
import { CountingAllocator, LAYOUTS, Machine } from './machine.ts';

const V = 0x80_8060_4000n;
const V2M = 0x80_8060_0000n;
const PW = PageTableFlags.PRESENT.union(PageTableFlags.WRITABLE);

/** As much of WebAssembly as is needed; its types are only in the DOM library. */
declare const WebAssembly: {
  readonly Memory: new (descriptor: {
    initial: number;
  }) => {
    readonly buffer: ArrayBuffer;
    grow(pages: number): number;
  };
};

/** Memory of a caller's own, everywhere zero at first, that keeps a log of what is written. */
class LoggedMemory implements TableMemory {
  readonly words = new Map<string, readonly [low: number, high: number]>();
  readonly log: string[] = [];
  high = 0;

  readEntry(page: number, index: number): number {
    const [low, high] = this.words.get(`${page} ${index}`) ?? [0, 0];
    this.high = high;
    return low;
  }

  writeEntry(page: number, index: number, low: number, high: number): void {
    this.words.set(`${page} ${index}`, [low, high]);
    const value = (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
    this.log.push(`${page.toString(16)}[${index}] = ${hex(value)}`);
  }

  /** Stores an entry without a note of it. */
  poke(page: number, index: number, value: bigint): void {
    // 32 bits each.
    this.words.set(`${page} ${index}`, [Number(value & 0xffff_ffffn) | 0, Number(value >> 32n) | 0]);
  }
}

function logged(...words: (readonly [page: number, index: number, value: bigint])[]): {
  memory: LoggedMemory;
  calls: MapperCalls;
} {
  const memory = new LoggedMemory();
  for (const [page, index, value] of words) memory.poke(page, index, value);
  const mapper = new OffsetPageTable(PageTable.at(memory, 0x1000n), VirtAddr.zero());
  return { memory, calls: new MapperCalls(mapper, new CountingAllocator(16)) };
}

const CHAIN = [
  [1, 1, 0x2003n],
  [2, 2, 0x3003n],
  [3, 3, 0x4003n],
] as const;

describe('what is written', () => {
  test('a parent that has the flags is not written (8.3 step 2, section 18)', () => {
    const { memory, calls } = logged(...CHAIN);
    expect(calls.map('4KiB', V, 0x8_0012_3000n, 3n)).toBe('Ok');
    expect(memory.log).toEqual(['4[4] = 0x800123003']);
  });

  test('nor one for which no flags are given', () => {
    const { memory, calls } = logged([1, 1, 0x2001n], [2, 2, 0x3001n], [3, 3, 0x4001n]);
    expect(calls.mapWith('4KiB', V, 0x123000n, 3n, 0n)).toBe('Ok');
    expect(memory.log).toEqual(['4[4] = 0x123003']);
  });

  test('parents are widened from the top down, then the leaf is written', () => {
    const { memory, calls } = logged([1, 1, 0x2001n], [2, 2, 0x3003n], [3, 3, 0x4001n]);
    expect(calls.map('4KiB', V, 0x123000n, 3n)).toBe('Ok');
    expect(memory.log).toEqual(['1[1] = 0x2003', '3[3] = 0x4003', '4[4] = 0x123003']);
  });

  test('an entry that is met twice on the way, in a table that contains itself, is widened once', () => {
    const { memory, calls } = logged([1, 1, 0x1001n]);
    // The page with the indices 1, 1, 1 and 4.
    expect(calls.map('4KiB', 0x80_4020_4000n, 0x123000n, 3n)).toBe('Ok');
    expect(memory.log).toEqual(['1[1] = 0x1003', '1[4] = 0x123003']);
  });

  test('unmap and updateFlags write the leaf alone', () => {
    const { memory, calls } = logged(...CHAIN, [4, 4, 0x8000_0000_0077_7067n]);
    expect(calls.update('4KiB', V, 1n)).toBe('Ok');
    expect(calls.unmap('4KiB', V)).toBe('Ok(0x777000)');
    expect(memory.log).toEqual(['4[4] = 0x777001', '4[4] = 0x0']);
  });

  test('calls that only look write nothing', () => {
    const { memory, calls } = logged(...CHAIN, [4, 4, 0x777003n]);
    expect(calls.translate(V)).toBe('Mapped 4KiB 0x777000 off 0x0 flags 0x3');
    expect(calls.translateAddr(V + 5n)).toBe('0x777005');
    expect(calls.translatePage('4KiB', V)).toBe('Ok(0x777000)');
    expect(calls.cleanUp()).toBe('Ok');
    expect(calls.unmap('2MiB', V2M)).toBe('ParentEntryHugePage');
    expect(memory.log).toEqual([]);
  });

  test('where the original panics nothing is written, not even to be undone (rows 5, 14, 16, 28, 30, 33)', () => {
    const empty = logged();
    expect(empty.calls.map('4KiB', V, 0x123000n, 0n)).toBe('abort');
    expect(empty.calls.map('4KiB', V, 0x123000n, 0x81n)).toBe('abort');
    expect(empty.calls.mapWith('4KiB', V, 0x123000n, 1n, 0x81n)).toBe('abort');
    expect(empty.calls.identity('4KiB', 0x8000_0000_0000n, 1n)).toBe('abort');
    expect(empty.memory.log).toEqual([]);

    const chain = logged([1, 1, 0x2001n], [2, 2, 0x3001n], [3, 3, 0x4200n]);
    expect(chain.calls.mapWith('4KiB', V, 0x123000n, 1n, 2n)).toBe('abort');
    expect(chain.memory.log).toEqual([]);
    const leaf = logged([1, 1, 0x2001n], [2, 2, 0x3001n], [3, 3, 0x4001n]);
    expect(leaf.calls.map('4KiB', V, 0x123000n, 0x83n)).toBe('abort');
    expect(leaf.memory.log).toEqual([]);

    const huge = logged([1, 1, 0x4000_0083n]);
    expect(huge.calls.translate(V)).toBe('abort');
    expect(huge.memory.log).toEqual([]);
  });

  test('a table is unlinked before its frame is given back (section 11, step 3)', () => {
    const machine = new Machine(LAYOUTS[0]);
    for (const [page, index, value] of CHAIN) machine.poke(BigInt(page * 4096 + index * 8), value);
    const entries: string[] = [];
    machine.allocator.onFree = (frame) => {
      entries.push(
        `${hex(frame)}: ${[0x3018n, 0x2010n, 0x1008n].map((at) => hex(machine.peek(at))).join(' ')}`,
      );
    };
    machine.mapper.cleanUp(machine.allocator);
    expect(entries).toEqual(['0x4000: 0x0 0x3003 0x2003', '0x3000: 0x0 0x0 0x2003', '0x2000: 0x0 0x0 0x0']);
  });
});

/** The values that a call stores in one piece. */
function atomicStores(call: () => unknown): bigint[] {
  const stored: bigint[] = [];
  const store = Atomics.store;
  const spied = Atomics as { store: (...operands: never[]) => unknown };
  spied.store = (...operands) => {
    stored.push(BigInt.asUintN(64, operands[2] as bigint));
    return Reflect.apply(store, Atomics, operands);
  };
  try {
    call();
  } finally {
    spied.store = store as typeof spied.store;
  }
  return stored;
}

describe('where tables lie', () => {
  test('physical memory seen in the upper half, as a kernel sees it', () => {
    const physOffset = 0xffff_8880_0000_0000n;
    const buffer = new ArrayBuffer(0x2_0000);
    const memory = flatMemory(buffer, [{ address: physOffset, offset: 0, length: 0x2_0000 }]);
    const mapper = new OffsetPageTable(PageTable.at(memory, physOffset + 0x1000n), new VirtAddr(physOffset));
    expect(mapper.physOffset().asU64()).toBe(physOffset);
    mapper.mapTo(page4(V), frame4(0x123000n), PW, new CountingAllocator(16)).ignore();
    const words = new BigUint64Array(buffer);
    expect([0x1008, 0x10010, 0x11018, 0x12020].map((at) => words[at / 8])).toEqual([
      0x10003n,
      0x11003n,
      0x12003n,
      0x123003n,
    ]);
    expect(mapper.translateAddr(new VirtAddr(V + 5n))?.asU64()).toBe(0x123005n);
  });

  test('tables of their own, found by a map (8.1: the level-4 table is never looked up)', () => {
    const tables = new Map<bigint, PageTable>();
    const asked: string[] = [];
    const mapping = {
      frameToPointer: (frame: PhysFrame) => {
        const address = frame.startAddress().asU64();
        asked.push(hex(address));
        const found = tables.get(address) ?? new PageTable();
        tables.set(address, found);
        return found;
      },
    };
    const level4 = new PageTable();
    const mapper = new MappedPageTable(level4, mapping);
    const allocator = new CountingAllocator(16);
    expect(mapper.pageTableFrameMapping()).toBe(mapping);
    mapper.mapTo(page4(V), frame4(0x123000n), PW, allocator).ignore();
    expect([...new Set(asked)]).toEqual(['0x10000', '0x11000', '0x12000']);
    expect(level4.get(1).bits()).toBe(0x10003n);
    expect(mapper.level4Table().get(1).bits()).toBe(0x10003n);
    expect(tables.get(0x12000n)?.get(4).bits()).toBe(0x123003n);
    expect(mapper.translateAddr(V)).toBe(0x123000n);
    mapper.unmap(page4(V)).flush.ignore();
    mapper.cleanUp(allocator);
    expect(allocator.freed).toEqual([0x12000n, 0x11000n, 0x10000n]);
    expect(mapper.level4Table().isEmpty()).toBe(true);
  });

  test('two mappers over the same tables see the same', () => {
    const memory = flatMemory(new ArrayBuffer(0x2_0000));
    const allocator = new CountingAllocator(16);
    const offset = new OffsetPageTable(PageTable.at(memory, 0x1000n), VirtAddr.zero());
    const mapped = new MappedPageTable(PageTable.at(memory, 0x1000n), {
      frameToPointer: (frame) => PageTable.at(memory, frame.startAddress().asU64()),
    });
    offset.mapTo(page4(V), frame4(0x123000n), PW, allocator).ignore();
    expect(mapped.translateAddr(V)).toBe(0x123000n);
    mapped.unmap(page4(V)).flush.ignore();
    expect(offset.translateAddr(V)).toBeUndefined();
  });

  test('what is changed through level4TableMut and in memory counts at once', () => {
    const buffer = new ArrayBuffer(0x2_0000);
    const memory = flatMemory(buffer);
    const mapper = new OffsetPageTable(PageTable.at(memory, 0x1000n), VirtAddr.zero());
    mapper.level4TableMut().get(1).setFrame(frame4(0x2000n), PW);
    new BigUint64Array(buffer)[0x2010 / 8] = 0x4000_0083n;
    expect(mapper.translateAddr(V)).toBe(0x4060_4000n);
    mapper.level4TableMut().get(1).setUnused();
    expect(mapper.translateAddr(V)).toBeUndefined();
  });

  test('a WebAssembly memory may grow between calls', () => {
    const wasm = new WebAssembly.Memory({ initial: 2 });
    const memory = flatMemory(wasm);
    const mapper = new OffsetPageTable(PageTable.at(memory, 0x1000n), VirtAddr.zero());
    const allocator = new CountingAllocator(16);
    const level4 = mapper.level4Table();
    mapper.mapTo(page4(V), frame4(0x123000n), PW, allocator).ignore();
    wasm.grow(1);
    expect(mapper.translateAddr(V)).toBe(0x123000n);
    wasm.grow(1);
    mapper.mapTo(page4(V + 0x1000n), frame4(0x124000n), PW, allocator).ignore();
    expect(new DataView(wasm.buffer).getBigUint64(0x12028, true)).toBe(0x124003n);
    wasm.grow(1);
    expect(level4.get(1).bits()).toBe(0x10003n);
    wasm.grow(1);
    mapper.level4TableMut().get(2).setFlags(PW);
    expect(new DataView(wasm.buffer).getBigUint64(0x1010, true)).toBe(3n);
    wasm.grow(1);
    mapper.unmap(page4(V)).flush.ignore();
    wasm.grow(1);
    mapper.cleanUp(allocator);
    expect(new DataView(wasm.buffer).getBigUint64(0x12020, true)).toBe(0n);
  });

  test('on shared memory every entry is stored at once', () => {
    const shared = new SharedArrayBuffer(0x2_0000);
    const mapper = new OffsetPageTable(PageTable.at(flatMemory(shared), 0x1000n), VirtAddr.zero());
    const allocator = new CountingAllocator(16);
    const user = flagsOf(7n);
    expect(atomicStores(() => mapper.mapTo(page4(V), frame4(0x123000n), PW, allocator))).toEqual(
      expect.arrayContaining([0x10003n, 0x11003n, 0x12003n, 0x123003n]),
    );
    // Now that the tables are there each call stores one entry.
    const second = page4(V + 0x1000n);
    expect(atomicStores(() => mapper.mapTo(second, frame4(0x124000n), PW, allocator))).toEqual([0x124003n]);
    expect(atomicStores(() => mapper.updateFlags(second, user))).toEqual([0x124007n]);
    expect(atomicStores(() => mapper.setFlagsP2Entry(second, user))).toEqual([0x12007n]);
    expect(atomicStores(() => mapper.unmap(second))).toEqual([0n]);
    expect(atomicStores(() => mapper.level4TableMut().get(1).setFlags(user))).toEqual([0x10007n]);
    expect(mapper.translateAddr(V)).toBe(0x123000n);
  });
});

test('translate and translateAddr take a VirtAddr or a bigint, and answer in kind', () => {
  const { mapper, allocator } = new Machine(LAYOUTS[0]);
  mapper.mapTo(page4(V), frame4(0x123000n), PW, allocator).ignore();
  expect(mapper.translateAddr(V + 0x123n)).toBe(0x123123n);
  expect(mapper.translateAddr(new VirtAddr(V + 0x123n))?.asU64()).toBe(0x123123n);
  expect(mapper.translateAddr(0n)).toBeUndefined();
  expect(mapper.translateAddr(VirtAddr.zero())).toBeUndefined();
  for (const found of [mapper.translate(V + 0x123n), mapper.translate(new VirtAddr(V + 0x123n))]) {
    expect(found.kind).toBe('Mapped');
    if (found.kind !== 'Mapped') continue;
    expect(String(found.frame)).toBe('PhysFrame[4KiB](0x123000)');
    expect(found.offset).toBe(0x123);
    expect(found.flags.equals(PW)).toBe(true);
  }
});

test('the frame of a mapped page has the size of the page (section 7)', () => {
  const { mapper, calls } = new Machine(LAYOUTS[0]);
  calls.map('2MiB', 0x20_0000n, 0x40_0000n, 3n);
  calls.map('1GiB', 0x4000_0000n, 0x8000_0000n, 3n);
  const sizes = [0x2f_ffffn, 0x4000_0005n].map((address) => {
    const found = mapper.translate(address);
    return found.kind === 'Mapped' ? [found.frame.pageSize, found.frame.size(), found.offset] : found.kind;
  });
  expect(sizes).toEqual([
    [Size2MiB, 0x20_0000n, 0xf_ffff],
    [Size1GiB, 0x4000_0000n, 5],
  ]);
  expect(Page.containingAddress(new VirtAddr(0x2f_ffffn), Size2MiB).startAddress().asU64()).toBe(0x20_0000n);
});
