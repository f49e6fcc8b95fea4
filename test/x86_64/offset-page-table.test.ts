// Expected values: the original's documentation of OffsetPageTable and its examples; notes on the Rust crate, sections 8.1, 8.3, 9
// and 11; docs/errors.md for the codes of what is a panic in the original.
import { describe, expect, test } from 'vitest';
import { type ErrorCode, PageTableError } from '../../src/bits/index.ts';
import { flatMemory } from '../../src/memory/index.ts';
import {
  BumpFrameAllocator,
  FlagUpdateError,
  type FrameAllocator,
  FreeListFrameAllocator,
  type MapperAllSizes,
  MapToError,
  OffsetPageTable,
  Page,
  PageTable,
  PageTableFlags,
  PhysAddr,
  PhysFrame,
  PhysOffset,
  Size1GiB,
  Size2MiB,
  type TableMemory,
  TranslateError,
  UnmapError,
  VirtAddr,
  VirtAddrNotValid,
} from '../../src/x86_64/index.ts';
import { flagsOf, frame4, frameAt, page4, pageAt } from './calls.ts';

const V = 0x80_8060_4000n;
const { PRESENT, WRITABLE, USER_ACCESSIBLE, NO_EXECUTE, NO_CACHE, HUGE_PAGE } = PageTableFlags;
const PW = PRESENT.union(WRITABLE);
const FRAMES = PhysFrame.range(frame4(0x1_0000n), frame4(0x2_0000n));

/** V's chain of tables, with P and W. */
const CHAIN: readonly (readonly [address: bigint, value: bigint])[] = [
  [0x1008n, 0x2003n],
  [0x2010n, 0x3003n],
  [0x3018n, 0x4003n],
];

/** 128 KiB of RAM with the root in frame 1. */
function machineWith(...words: (readonly [address: bigint, value: bigint])[]) {
  const buffer = new ArrayBuffer(0x2_0000);
  const ram = new BigUint64Array(buffer);
  // RAM has less than 2^32 bytes.
  for (const [address, value] of words) ram[Number(address) / 8] = value;
  const memory = flatMemory(buffer);
  const mapper = new OffsetPageTable(PageTable.at(memory, 0x1000n), VirtAddr.zero());
  return { memory, mapper, ram, allocator: new FreeListFrameAllocator([FRAMES]) };
}

function thrown(call: () => unknown): unknown {
  try {
    call();
  } catch (error) {
    return error;
  }
  return undefined;
}

describe('an offset', () => {
  test('physical address 0x5000 is reached at physOffset + 0x5000', () => {
    const buffer = new ArrayBuffer(0xa000);
    const memory = flatMemory(buffer);
    const mapper = new OffsetPageTable(PageTable.at(memory, 0x4000n), new VirtAddr(0x3000n));
    expect(mapper.physOffset().asU64()).toBe(0x3000n);
    const bytes = new DataView(buffer);
    // The level-4 entry leads to the table in frame 5, which maps 1 GiB.
    bytes.setBigUint64(0x4000, 0x5003n, true);
    bytes.setBigUint64(0x8000, 0x4000_0083n, true);
    expect(mapper.translateAddr(0x123n)).toBe(0x4000_0123n);
    const table = new PhysOffset(memory, new VirtAddr(0x3000n)).frameToPointer(frame4(0x5000n));
    expect(table.get(0).bits()).toBe(0x4000_0083n);
  });

  test.each([1n, 0x800n, 0xffff_8000_0000_0008n])('%s is refused as an offset', (offset) => {
    const root = PageTable.at(flatMemory(new ArrayBuffer(0x2000)), 0x1000n);
    const error = thrown(() => new OffsetPageTable(root, new VirtAddr(offset)));
    expect(error).toBeInstanceOf(PageTableError);
    expect(error).toMatchObject({ code: 'MISALIGNED' });
  });
});

test('the text of a mapper names kind, root and offset', () => {
  const memory = flatMemory(new ArrayBuffer(0x8000));
  const mapper = new OffsetPageTable(PageTable.at(memory, 0x4000n), new VirtAddr(0x3000n));
  for (const part of ['OffsetPageTable', '0x4000', 'VirtAddr(0x3000)'])
    expect(String(mapper)).toContain(part);
});

test('a mapper maps pages of all sizes', () => {
  const { mapper, allocator } = machineWith();
  const all: MapperAllSizes = mapper;
  all.mapTo(page4(V), frame4(0x5000n), PW, allocator).ignore();
  const large = Page.containingAddress(new VirtAddr(0n), Size2MiB);
  all.mapTo(large, PhysFrame.fromPfn(0x200, Size2MiB), PW, allocator).ignore();
  const giant = Page.containingAddress(new VirtAddr(0x4000_0000n), Size1GiB);
  all.mapTo(giant, PhysFrame.fromPfn(0x8_0000, Size1GiB), PW, allocator).ignore();
  expect([mapper.translateAddr(V), mapper.translateAddr(5n), mapper.translateAddr(0x4000_0005n)]).toEqual([
    0x5000n,
    0x20_0005n,
    0x8000_0005n,
  ]);
});

test('setFlagsP4Entry replaces the flags of the level-4 entry of pages of every size (section 9.5)', () => {
  for (const size of ['4KiB', '2MiB', '1GiB'] as const) {
    const { mapper, ram } = machineWith(...CHAIN);
    mapper.setFlagsP4Entry(pageAt(size, 0x80_8000_0000n), PRESENT.union(USER_ACCESSIBLE)).ignore();
    expect([ram[0x1008 / 8], ram[0x2010 / 8], ram[0x3018 / 8]]).toEqual([0x2005n, 0x3003n, 0x4003n]);
    expect(() => mapper.setFlagsP4Entry(pageAt(size, 0n), PW)).toThrow(FlagUpdateError);
  }
});

describe('what is a panic in the original has a code, and leaves memory and allocator as they were', () => {
  type Given = ReturnType<typeof machineWith>;
  const cases: readonly (readonly [
    name: string,
    code: ErrorCode,
    words: readonly (readonly [bigint, bigint])[],
    call: (given: Given) => unknown,
  ])[] = [
    [
      'flags for a new table without PRESENT',
      'BAD_ARGUMENT',
      [],
      ({ mapper, allocator }) => mapper.mapTo(page4(V), frame4(0x5000n), WRITABLE, allocator),
    ],
    [
      'a table on the way that stays not present',
      'CORRUPT_TABLE',
      [CHAIN[0], [0x2010n, 0x3002n]],
      ({ mapper, allocator }) =>
        mapper.mapToWithTableFlags(page4(V), frame4(0x5000n), PW, USER_ACCESSIBLE, allocator),
    ],
    [
      'HUGE_PAGE in the flags for a new table',
      'BAD_ARGUMENT',
      [CHAIN[0]],
      ({ mapper, allocator }) =>
        mapper.mapToWithTableFlags(
          pageAt('2MiB', 0n),
          frameAt('2MiB', 0n),
          PW,
          PW.union(HUGE_PAGE),
          allocator,
        ),
    ],
    [
      'a frame for a table that is not aligned',
      'MISALIGNED',
      [],
      ({ mapper }) =>
        mapper.mapTo(page4(V), frame4(0x5000n), PW, {
          allocateFrame: () => PhysFrame.fromStartAddressUnchecked(new PhysAddr(0x5800n)),
        }),
    ],
    [
      'HUGE_PAGE in the flags of a small page',
      'BAD_ARGUMENT',
      [CHAIN[0]],
      ({ mapper, allocator }) => mapper.mapTo(page4(V), frame4(0x5000n), PW.union(HUGE_PAGE), allocator),
    ],
    [
      'a frame for a page that is not aligned to 4 KiB',
      'MISALIGNED',
      [],
      ({ mapper, allocator }) => mapper.mapTo(page4(V), frameAt('4KiB', 0x5800n), PW, allocator),
    ],
    [
      'HUGE_PAGE in the level-4 table, asked for an address',
      'CORRUPT_TABLE',
      [[0x1008n, 0x83n]],
      ({ mapper }) => mapper.translate(V),
    ],
    [
      'a page and a frame of two sizes',
      'BAD_ARGUMENT',
      CHAIN,
      ({ mapper, allocator }) => mapper.mapTo(page4(V), frameAt('2MiB', 0n) as never, PW, allocator),
    ],
    [
      'a call from inside the allocator',
      'REENTERED',
      [],
      ({ mapper }) =>
        mapper.mapTo(page4(V), frame4(0x5000n), PW, { allocateFrame: () => mapper.translatePage(page4(V)) }),
    ],
    [
      'a table that is not in memory',
      'NOT_IN_MEMORY',
      [[0x1008n, 0x7f_ffff_f003n]],
      ({ mapper, allocator }) => mapper.mapTo(page4(V), frame4(0x5000n), PW, allocator),
    ],
    [
      'a new table that is not in memory',
      'NOT_IN_MEMORY',
      [CHAIN[0]],
      ({ mapper }) =>
        mapper.mapTo(page4(V), frame4(0x5000n), PW, { allocateFrame: () => frame4(0x7f_ffff_f000n) }),
    ],
  ];

  test.each(cases)('%s: %s', (_, code, words, call) => {
    const given = machineWith(...words);
    const before = given.ram.slice();
    const error = thrown(() => call(given));
    expect(error).toBeInstanceOf(PageTableError);
    for (const family of [MapToError, UnmapError, FlagUpdateError, TranslateError]) {
      expect(error).not.toBeInstanceOf(family);
    }
    expect(error).toMatchObject({ code });
    expect(given.ram).toEqual(before);
    // The frames that it would have given are given now, in the same order.
    expect(given.allocator.allocated).toBe(0);
    const next = [1, 2, 3].map(() => given.allocator.allocateFrame()?.pfn());
    expect(next).toEqual([0x10, 0x11, 0x12]);
  });

  test('a frame from 2^47 for itself', () => {
    const { mapper, allocator } = machineWith();
    const error = thrown(() => mapper.identityMap(frame4(0x8000_0000_0000n), PW, allocator));
    expect(error).toBeInstanceOf(VirtAddrNotValid);
    expect(error).toMatchObject({ code: 'OUT_OF_RANGE', address: 0x8000_0000_0000n });
    expect(allocator.allocated).toBe(0);
  });

  test('an allocator that takes no frames back keeps what it gave', () => {
    const { mapper } = machineWith();
    const allocator = new BumpFrameAllocator([FRAMES]);
    const call = () => mapper.mapTo(page4(V), frame4(0x5000n), PW.union(HUGE_PAGE), allocator);
    expect(thrown(call)).toMatchObject({ code: 'BAD_ARGUMENT' });
    expect(allocator.allocated).toBe(3);
  });
});

describe('calls on tables that cannot be reached', () => {
  const calls: readonly (readonly [
    string,
    (mapper: OffsetPageTable, allocator: FrameAllocator) => unknown,
  ])[] = [
    ['mapTo', (mapper, allocator) => mapper.mapTo(page4(V), frame4(0x5000n), PW, allocator)],
    ['unmap', (mapper) => mapper.unmap(page4(V))],
    ['updateFlags', (mapper) => mapper.updateFlags(page4(V), PW)],
    ['setFlagsP2Entry', (mapper) => mapper.setFlagsP2Entry(page4(V), PW)],
    ['translatePage', (mapper) => mapper.translatePage(page4(V))],
    ['translate', (mapper) => mapper.translate(V)],
    ['translateAddr', (mapper) => mapper.translateAddr(V)],
  ];

  test.each(calls)('%s: a table at no address, or where no memory is', (_, call) => {
    const offset = 0x1000_0000_0000n;
    const buffer = new ArrayBuffer(0x4000);
    const memory = flatMemory(buffer, [{ address: offset, offset: 0, length: 0x4000 }]);
    const root = PageTable.at(memory, offset + 0x1000n);
    const mapper = new OffsetPageTable(root, new VirtAddr(offset));
    const allocator = new BumpFrameAllocator([FRAMES]);
    root.get(1).setFrame(frame4(0x7000_0000_0000n), PW);
    expect(thrown(() => call(mapper, allocator))).toMatchObject({ code: 'OUT_OF_RANGE' });
    root.get(1).setFrame(frame4(0x5000n), PW);
    expect(thrown(() => call(mapper, allocator))).toMatchObject({ code: 'NOT_IN_MEMORY' });
    expect(root.get(1).bits()).toBe(0x5003n);
  });

  test.each([
    ['NOT_IN_MEMORY', 0x7f_ffff_f003n],
    ['OUT_OF_RANGE', 0x7000_0000_0003n],
  ])('what clean-up has freed before it fails stays freed: %s', (code, entry) => {
    const offset = 0x1000_0000_0000n;
    const buffer = new ArrayBuffer(0x4000);
    const words = new BigUint64Array(buffer);
    words[0x1000 / 8] = 0x2003n;
    words[0x1010 / 8] = entry;
    const memory = flatMemory(buffer, [{ address: offset, offset: 0, length: 0x4000 }]);
    const mapper = new OffsetPageTable(PageTable.at(memory, offset + 0x1000n), new VirtAddr(offset));
    const freed: string[] = [];
    const deallocator = { deallocateFrame: (frame: PhysFrame) => void freed.push(String(frame)) };
    expect(thrown(() => mapper.cleanUp(deallocator))).toMatchObject({ code });
    expect(freed).toEqual(['PhysFrame[4KiB](0x2000)']);
    expect([words[0x1000 / 8], words[0x1010 / 8]]).toEqual([0n, entry]);
  });

  test('an error of clean-up counts what was freed before it', () => {
    const { mapper } = machineWith([0x1000n, 0x2003n], [0x1010n, 0x7f_ffff_f003n]);
    expect(thrown(() => mapper.cleanUp({ deallocateFrame: () => {} }))).toMatchObject({
      code: 'NOT_IN_MEMORY',
      detail: { freed: 1 },
    });
  });
});

describe('new tables', () => {
  /** Memory of a caller's own that starts full of ones and keeps a log of what is written. */
  class Logged implements TableMemory {
    readonly log: string[] = [];
    private readonly words = new Map<string, readonly [low: number, high: number]>();
    high = 0;

    readEntry(page: number, index: number): number {
      const [low, high] = this.words.get(`${page} ${index}`) ?? (page === 1 ? [0, 0] : [-1, -1]);
      this.high = high;
      return low;
    }

    writeEntry(page: number, index: number, low: number, high: number): void {
      this.words.set(`${page} ${index}`, [low, high]);
      this.log.push(`${page.toString(16)} ${(low | high) === 0 ? 'cleared' : 'linked'}`);
    }
  }

  function mapOne() {
    const memory = new Logged();
    const mapper = new OffsetPageTable(PageTable.at(memory, 0x1000n), VirtAddr.zero());
    const frames = new BumpFrameAllocator([FRAMES]);
    const allocator = {
      allocateFrame: () => {
        memory.log.push('asked');
        return frames.allocateFrame();
      },
    };
    mapper.mapTo(page4(V), frame4(0x5000n), PW, allocator).ignore();
    // The same line again and again as one.
    return memory.log.filter((line, i) => line !== memory.log[i - 1] || line === 'asked');
  }

  test('every one has its frame before anything is written, and is empty before an entry leads to it', () => {
    expect(mapOne()).toEqual([
      'asked',
      'asked',
      'asked',
      '10 cleared',
      '1 linked',
      '11 cleared',
      '10 linked',
      '12 cleared',
      '11 linked',
      '12 linked',
    ]);
  });
});

describe('the examples of the documentation', () => {
  test('the example of map_to: a page for user mode', () => {
    const { mapper, ram, allocator } = machineWith();
    mapper.mapTo(page4(V), frame4(0x5000n), PRESENT.union(WRITABLE, USER_ACCESSIBLE), allocator).flush();
    expect([ram[0x1008 / 8], ram[0x1_0010 / 8], ram[0x1_1018 / 8], ram[0x1_2020 / 8]]).toEqual([
      0x1_0007n,
      0x1_1007n,
      0x1_2007n,
      0x5007n,
    ]);
  });

  test('the example of map_to_with_table_flags: tables get USER_ACCESSIBLE alone, so they must be there', () => {
    const map = ({ mapper, allocator }: ReturnType<typeof machineWith>) => {
      const flags = PRESENT.union(WRITABLE, USER_ACCESSIBLE, NO_EXECUTE, NO_CACHE);
      mapper.mapToWithTableFlags(page4(V), frame4(0x5000n), flags, USER_ACCESSIBLE, allocator).flush();
    };
    const there = machineWith(...CHAIN);
    map(there);
    const { ram } = there;
    expect([ram[0x1008 / 8], ram[0x2010 / 8], ram[0x3018 / 8], ram[0x4020 / 8]]).toEqual([
      0x2007n,
      0x3007n,
      0x4007n,
      0x8000_0000_0000_5017n,
    ]);
    // Section 8.3, step 3: a panic in the original.
    expect(thrown(() => map(machineWith()))).toMatchObject({ code: 'BAD_ARGUMENT' });
  });

  test('the example of clean_up_addr_range: the lower half', () => {
    const { mapper, ram, allocator } = machineWith();
    for (const address of [V, 0xffff_8000_0000_0000n]) {
      mapper.mapTo(page4(address), frame4(0x5000n), flagsOf(3n), allocator).ignore();
      mapper.unmap(page4(address)).flush.ignore();
    }
    const lowerHalf = Page.rangeInclusive(
      Page.containingAddress(new VirtAddr(0n)),
      Page.containingAddress(new VirtAddr(0x7fff_ffff_ffffn)),
    );
    mapper.cleanUpAddrRange(lowerHalf, allocator);
    expect([ram[0x1008 / 8], ram[0x1800 / 8]]).toEqual([0n, 0x1_3003n]);
    expect(allocator.allocated).toBe(3);
  });
});
