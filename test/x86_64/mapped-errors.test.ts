// Expected values: notes on the Rust crate, sections 7 to 9, and what an error of this library must say: the page that was asked
// for, and what was found.
import { describe, expect, test } from 'vitest';
import { ERROR_CODES, PageTableError } from '../../src/bits/index.ts';
import { flatMemory } from '../../src/memory/index.ts';
import {
  FlagUpdateError,
  FrameError,
  MappedPageTable,
  MapToError,
  Page,
  PageTable,
  PageTableFlags,
  PhysAddr,
  PhysFrame,
  Size1GiB,
  Size2MiB,
  type Size4KiB,
  TranslateError,
  UnmapError,
  VirtAddr,
} from '../../src/x86_64/index.ts';
import { type Calls, errorText, flagsOf, frame4, frameAt, page4, pageAt } from './calls.ts';
import { CountingAllocator, LAYOUTS, Machine } from './machine.ts';

const V = 0x80_8060_4000n;
const V2M = 0x80_8060_0000n;
const V1G = 0x80_8000_0000n;
const P = PageTableFlags.PRESENT;
const PW = P.union(PageTableFlags.WRITABLE);

/** The specification's chain of tables with P and W. */
const CHAIN: readonly (readonly [bigint, bigint])[] = [
  [0x1008n, 0x2003n],
  [0x2010n, 0x3003n],
  [0x3018n, 0x4003n],
];

function machineWith(...words: (readonly [bigint, bigint])[]): Machine {
  const machine = new Machine(LAYOUTS[0]);
  for (const [address, value] of [...CHAIN, ...words]) machine.poke(address, value);
  return machine;
}

/** The library error that a call throws. */
function thrown(call: () => unknown): PageTableError {
  try {
    call();
  } catch (error) {
    if (error instanceof PageTableError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe('what errors carry (section 7)', () => {
  test('PageAlreadyMapped carries the frame of the caller, of its size', () => {
    const { mapper, allocator } = machineWith([0x4020n, 0x777001n]);
    const small = thrown(() => mapper.mapTo(page4(V), frame4(0x123000n), PW, allocator));
    expect(small).toBeInstanceOf(MapToError);
    expect((small as MapToError).kind).toBe('PageAlreadyMapped');
    expect(String((small as MapToError).frame)).toBe('PhysFrame[4KiB](0x123000)');
    const frame = PhysFrame.fromStartAddress(new PhysAddr(0x60_0000n), Size2MiB);
    const large = thrown(() =>
      mapper.mapTo(Page.fromStartAddress(new VirtAddr(V2M), Size2MiB), frame, P, allocator),
    );
    expect(String((large as MapToError).frame)).toBe('PhysFrame[2MiB](0x600000)');
    const giant = thrown(() =>
      mapper.identityMap(PhysFrame.fromStartAddress(new PhysAddr(V1G), Size1GiB), P, allocator),
    );
    expect(String((giant as MapToError).frame)).toBe('PhysFrame[1GiB](0x8080000000)');
  });

  test('the other errors of mapTo carry no frame', () => {
    const machine = machineWith([0x3018n, 0x20_0081n]);
    const huge = thrown(() => machine.mapper.mapTo(page4(V), frame4(0x123000n), P, machine.allocator));
    expect(huge).toMatchObject({ kind: 'ParentEntryHugePage', frame: undefined });
    const none = new CountingAllocator(0);
    const failed = thrown(() => machine.mapper.mapTo(page4(0n), frame4(0x123000n), P, none));
    expect(failed).toMatchObject({ kind: 'FrameAllocationFailed', frame: undefined });
  });

  test('InvalidFrameAddress carries the address, of unmap and of translatePage', () => {
    const { mapper } = machineWith([0x3018n, 0x20_1083n]);
    const page = Page.fromStartAddress(new VirtAddr(V2M), Size2MiB);
    const unmap = thrown(() => mapper.unmap(page));
    expect(unmap).toBeInstanceOf(UnmapError);
    expect(unmap).toMatchObject({ kind: 'InvalidFrameAddress' });
    expect(String((unmap as UnmapError).addr)).toBe('PhysAddr(0x201000)');
    const translate = thrown(() => mapper.translatePage(page));
    expect(translate).toBeInstanceOf(TranslateError);
    expect(translate).toMatchObject({ kind: 'InvalidFrameAddress' });
    expect(String((translate as TranslateError).addr)).toBe('PhysAddr(0x201000)');
    expect(thrown(() => mapper.unmap(page4(0n)))).toMatchObject({ kind: 'PageNotMapped', addr: undefined });
  });

  test('each family of methods has its own class', () => {
    const { mapper, allocator } = machineWith([0x4020n, 0x777001n]);
    expect(thrown(() => mapper.mapTo(page4(V), frame4(0n), P, allocator))).toBeInstanceOf(MapToError);
    expect(thrown(() => mapper.unmap(page4(0n)))).toBeInstanceOf(UnmapError);
    expect(thrown(() => mapper.updateFlags(page4(0n), P))).toBeInstanceOf(FlagUpdateError);
    expect(thrown(() => mapper.setFlagsP4Entry(page4(0n), P))).toBeInstanceOf(FlagUpdateError);
    expect(thrown(() => mapper.translatePage(page4(0n)))).toBeInstanceOf(TranslateError);
    expect(thrown(() => mapper.level4Table().get(0).frame())).toBeInstanceOf(FrameError);
  });
});

describe('what errors say', () => {
  const cases: readonly (readonly [
    name: string,
    words: readonly (readonly [bigint, bigint])[],
    call: (calls: Calls) => string,
    result: string,
    texts: readonly string[],
  ])[] = [
    [
      'a used leaf',
      [[0x4020n, 0x777001n]],
      (c) => c.map('4KiB', V, 0x123000n, 1n),
      'PageAlreadyMapped(0x123000)',
      ['8080604000', '777001'],
    ],
    [
      'a used large leaf',
      [[0x3018n, 0x80_0083n]],
      (c) => c.map('2MiB', V2M, 0x60_0000n, 1n),
      'PageAlreadyMapped(0x600000)',
      ['8080600000', '800083'],
    ],
    [
      'a huge parent, mapping',
      [[0x3018n, 0x20_0083n]],
      (c) => c.map('4KiB', V, 0x123000n, 1n),
      'ParentEntryHugePage',
      ['8080604000', '200083'],
    ],
    [
      'a huge parent, unmapping',
      [[0x3018n, 0x20_0083n]],
      (c) => c.unmap('4KiB', V),
      'ParentEntryHugePage',
      ['8080604000', '200083'],
    ],
    [
      'a huge parent, updating',
      [[0x3018n, 0x20_0083n]],
      (c) => c.update('4KiB', V, 1n),
      'ParentEntryHugePage',
      ['8080604000', '200083'],
    ],
    [
      'a huge parent, setting flags',
      [[0x2010n, 0x4000_0083n]],
      (c) => c.setFlags(2, '4KiB', V, 1n),
      'ParentEntryHugePage',
      ['8080604000', '40000083'],
    ],
    [
      'a huge parent, translating',
      [[0x2010n, 0x4000_0083n]],
      (c) => c.translatePage('4KiB', V),
      'ParentEntryHugePage',
      ['8080604000', '40000083'],
    ],
    [
      'a large page that is a table',
      [],
      (c) => c.unmap('2MiB', V2M),
      'ParentEntryHugePage',
      ['8080600000', '4003'],
    ],
    [
      'a parent that is not present',
      [[0x3018n, 0x4202n]],
      (c) => c.unmap('4KiB', V),
      'PageNotMapped',
      ['8080604000', '4202'],
    ],
    ['an unused leaf', [], (c) => c.update('4KiB', V, 1n), 'PageNotMapped', ['8080604000']],
    ['an unused leaf, translating', [], (c) => c.translatePage('4KiB', V), 'PageNotMapped', ['8080604000']],
    [
      'a misaligned frame',
      [[0x3018n, 0x20_1083n]],
      (c) => c.unmap('2MiB', V2M),
      'InvalidFrameAddress(0x201000)',
      ['8080600000', '201000'],
    ],
    [
      'no flags for a new parent',
      [[0x3018n, 0n]],
      (c) => c.map('4KiB', V, 0x123000n, 0n),
      'abort',
      ['8080604000'],
    ],
    ['HUGE_PAGE for a 4-KiB page', [], (c) => c.map('4KiB', V, 0x123000n, 0x81n), 'abort', ['8080604000']],
    [
      'a parent that is not present, mapping',
      [[0x3018n, 0x4202n]],
      (c) => c.mapWith('4KiB', V, 0x123000n, 1n, 0n),
      'abort',
      ['8080604000', '4202'],
    ],
    [
      'HUGE_PAGE in the level-4 table',
      [[0x1008n, 0x4000_0083n]],
      (c) => c.translate(V + 0x123n),
      'abort',
      ['8080604', '40000083'],
    ],
    ['a frame from 2^47', [], (c) => c.identity('4KiB', 0x8000_0000_0000n, 1n), 'abort', ['800000000000']],
  ];

  test.each(cases)('%s: the page, and what was found', (_, words, call, result, texts) => {
    const { calls } = machineWith(...words);
    expect(call(calls)).toBe(result);
    const error = calls.error as PageTableError;
    for (const text of texts) expect(error.message.toLowerCase()).toContain(text);
    expect(ERROR_CODES).toContain(error.code);
  });

  test('FrameAllocationFailed: the page for which a table was missing', () => {
    const machine = new Machine(LAYOUTS[0], { frames: 0 });
    expect(machine.calls.map('4KiB', V, 0x123000n, 1n)).toBe('FrameAllocationFailed');
    expect((machine.calls.error as Error).message.toLowerCase()).toContain('8080604000');
  });
});

describe('sizes do not mix at run time', () => {
  const small = { page: page4(V + 0x1000n), frame: frame4(0x123000n) };
  const large = { page: pageAt('2MiB', V2M + 0x20_0000n), frame: frameAt('2MiB', 0x60_0000n) };
  const giant = { page: pageAt('1GiB', V1G + 0x4000_0000n), frame: frameAt('1GiB', 0xc000_0000n) };

  test.each([
    ['4 KiB', '2 MiB', small, large],
    ['4 KiB', '1 GiB', small, giant],
    ['2 MiB', '4 KiB', large, small],
    ['2 MiB', '1 GiB', large, giant],
    ['1 GiB', '4 KiB', giant, small],
    ['1 GiB', '2 MiB', giant, large],
  ] as const)('a page of %s is not mapped to a frame of %s', (_, __, { page }, { frame }) => {
    const machine = machineWith();
    const { mapper, allocator } = machine;
    const user = PageTableFlags.fromBitsRetain(7n);
    for (const call of [
      () => mapper.mapTo(page as never, frame as never, user, allocator),
      () => mapper.mapToWithTableFlags(page as never, frame as never, user, user, allocator),
    ]) {
      expect(errorText(MapToError, thrown(call))).toBe('abort');
    }
    expect(machine.differences()).toEqual([]);
    expect(allocator.taken).toEqual([]);
    machine.release();
  });

  test('clean-up takes a range of 4-KiB pages only', () => {
    const machine = machineWith();
    const page = Page.fromStartAddress(new VirtAddr(V2M), Size2MiB);
    const range = Page.rangeInclusive(page, page) as never;
    expect(
      errorText(
        undefined,
        thrown(() => machine.mapper.cleanUpAddrRange(range, machine.allocator)),
      ),
    ).toBe('abort');
    expect(machine.differences()).toEqual([]);
    expect(machine.allocator.freed).toEqual([]);
    machine.release();
  });

  test('a table is made in a 4-KiB frame only (section 6)', () => {
    const machine = machineWith();
    const frame = PhysFrame.fromStartAddress(new PhysAddr(0x20_0000n), Size2MiB);
    const allocator = { allocateFrame: () => frame as never as PhysFrame<Size4KiB> };
    const call = () => machine.mapper.mapTo(page4(0n), frame4(0x123000n), PW, allocator);
    expect(errorText(MapToError, thrown(call))).toBe('abort');
    expect(machine.differences()).toEqual([]);
    machine.release();
  });
});

describe('what the caller’s own functions throw passes through unchanged', () => {
  class Mine extends Error {}
  const mine = new Mine('the disk is on fire');
  const fail = (): never => {
    throw mine;
  };
  test('from the allocator', () => {
    const machine = machineWith();
    const call = () =>
      machine.mapper.mapTo(page4(0n), frame4(0x123000n), PW, {
        allocateFrame: fail,
      });
    expect(caughtBy(call)).toBe(mine);
  });

  test('from the deallocator', () => {
    const machine = machineWith();
    expect(caughtBy(() => machine.mapper.cleanUp({ deallocateFrame: fail }))).toBe(mine);
  });

  test('from the frame mapping', () => {
    const memory = flatMemory(new ArrayBuffer(0x8000));
    const level4 = PageTable.at(memory, 0x1000n);
    level4.get(1).setFrame(frame4(0x2000n), PW);
    const mapper = new MappedPageTable(level4, { frameToPointer: fail });
    const allocator = new CountingAllocator(3, 0x4000n);
    for (const call of [
      () => mapper.mapTo(page4(V), frame4(0x123000n), flagsOf(7n), allocator),
      () => mapper.unmap(page4(V)),
      () => mapper.updateFlags(page4(V), P),
      () => mapper.setFlagsP3Entry(page4(V), P),
      () => mapper.translatePage(page4(V)),
      () => mapper.translate(V),
      () => mapper.cleanUp(allocator),
    ]) {
      expect(caughtBy(call)).toBe(mine);
    }
    // A panic in the mapping is one before the first write (section 8.3, step 4).
    expect(level4.get(1).bits()).toBe(0x2003n);
  });
});

describe('a mapper cannot be changed from inside what it calls: the original’s borrow checker rules that out', () => {
  // The page is mapped, so that each call would find what it wants.
  const WORDS = [...CHAIN, [0x4020n, 0x777003n]] as const;
  const MAPPED = page4(V);
  const UNMAPPED = page4(V + 0x1000n);
  const edits: Readonly<Record<string, (machine: Machine) => unknown>> = {
    mapTo: ({ mapper, allocator }) => mapper.mapTo(UNMAPPED, frame4(0x9000n), PW, allocator),
    mapToWithTableFlags: ({ mapper, allocator }) =>
      mapper.mapToWithTableFlags(UNMAPPED, frame4(0x9000n), PW, PW, allocator),
    identityMap: ({ mapper, allocator }) => mapper.identityMap(frame4(V + 0x1000n), PW, allocator),
    unmap: ({ mapper }) => mapper.unmap(MAPPED),
    updateFlags: ({ mapper }) => mapper.updateFlags(MAPPED, P),
    setFlagsP4Entry: ({ mapper }) => mapper.setFlagsP4Entry(MAPPED, P),
    setFlagsP3Entry: ({ mapper }) => mapper.setFlagsP3Entry(MAPPED, P),
    setFlagsP2Entry: ({ mapper }) => mapper.setFlagsP2Entry(MAPPED, P),
    cleanUp: ({ mapper, allocator }) => mapper.cleanUp(allocator),
    cleanUpAddrRange: ({ mapper, allocator }) =>
      mapper.cleanUpAddrRange(Page.rangeInclusive(MAPPED, MAPPED), allocator),
  };
  const rows = LAYOUTS.flatMap((layout) =>
    Object.entries(edits).map(([name, edit]) => ({ layout, name, edit })),
  );

  test.each(rows)('$layout.name: $name from the allocator', ({ layout, edit }) => {
    const machine = new Machine(layout);
    for (const [address, value] of WORDS) machine.poke(address, value);
    let refusal: unknown;
    const allocator = {
      allocateFrame: () => {
        refusal = caughtBy(() => edit(machine));
        return undefined;
      },
    };
    const call = () => machine.mapper.mapTo(page4(0n), frame4(0x9000n), PW, allocator);
    expect(errorText(MapToError, thrown(call))).toBe('FrameAllocationFailed');
    expect(refusal).toBeInstanceOf(PageTableError);
    expect(machine.differences()).toEqual([]);
    // It works again afterwards.
    expect(machine.calls.unmap('4KiB', V)).toBe('Ok(0x777000)');
    machine.expectWord(0x4020n, 0n);
    expect(machine.differences()).toEqual([]);
    machine.release();
  });

  test.each(rows)('$layout.name: $name from the deallocator', ({ layout, edit }) => {
    const machine = new Machine(layout);
    for (const [address, value] of WORDS) machine.poke(address, value);
    // An empty table for the clean-up to free.
    machine.poke(0x1010n, 0x8003n);
    let refusal: unknown;
    machine.mapper.cleanUp({
      deallocateFrame: () => {
        refusal = caughtBy(() => edit(machine));
      },
    });
    expect(refusal).toBeInstanceOf(PageTableError);
    machine.expectWord(0x1010n, 0n);
    expect(machine.differences()).toEqual([]);
    expect(machine.calls.unmap('4KiB', V)).toBe('Ok(0x777000)');
    machine.expectWord(0x4020n, 0n);
    expect(machine.differences()).toEqual([]);
    machine.release();
  });
});

/** What a call throws, if it throws. */
function caughtBy(call: () => unknown): unknown {
  try {
    call();
  } catch (error) {
    return error;
  }
  return undefined;
}
