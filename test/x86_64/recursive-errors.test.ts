// Expected values: notes on the Rust crate, sections 7 to 12 and rows 42 to 44 of section 17; the Intel SDM, vol. 3A, section
// "Page-Fault Exceptions", for error codes and CR2; docs/errors.md and docs/differences.md for what is a panic in the original.
import { describe, expect, test } from 'vitest';
import { ERROR_CODES, type ErrorCode, PageTableError } from '../../src/bits/index.ts';
import { ProcessorFault, X86Cpu, type X86CpuOptions } from '../../src/cpu/index.ts';
import type { KnownX86Control } from '../../src/format/index.ts';
import { flatMemory } from '../../src/memory/index.ts';
import {
  FlagUpdateError,
  type FrameAllocator,
  FreeListFrameAllocator,
  InvalidPageTable,
  MapToError,
  Page,
  PageTable,
  PageTableFlags,
  PageTableIndex,
  PhysFrame,
  RecursivePageTable,
  Size2MiB,
  type TableMemory,
  TranslateError,
  UnmapError,
  VirtAddr,
  VirtAddrNotValid,
} from '../../src/x86_64/index.ts';
import { type Calls, flagsOf, frame4, frameAt, hex, page4, pageAt } from './calls.ts';
import {
  addressAt,
  entryWindow,
  PCIDE,
  PG,
  PLAIN,
  recursiveMachine,
  SLOT,
  said,
  WP,
  windowOf,
} from './recursive-machine.ts';

const V = 0x80_8060_4000n;
const V2M = 0x80_8060_0000n;
const { PRESENT, WRITABLE, USER_ACCESSIBLE, HUGE_PAGE } = PageTableFlags;
const PW = PRESENT.union(WRITABLE);
/** Where the level-4 table appears. */
const BASE = addressAt(SLOT, SLOT, SLOT, SLOT);

type Word = readonly [address: bigint, value: bigint];

/** Entry `index` of the table in a frame. */
const at = (frame: bigint, index: number): bigint => frame + 8n * BigInt(index);
const P4_1 = at(0x1000n, 1);
const P3_2 = at(0x2000n, 2);
const P2_3 = at(0x3000n, 3);
const LEAF = at(0x4000n, 4);
const LOOP: Word = [at(0x1000n, SLOT), 0x1003n];
/** V's chain of tables. */
const C = (x: bigint): Word[] => [
  [P4_1, 0x2000n | x],
  [P3_2, 0x3000n | x],
  [P2_3, 0x4000n | x],
];
const FRAMES = PhysFrame.range(frame4(0x1_0000n), frame4(0x2_0000n));

/** 128 KiB of RAM, and a processor whose CR3 is 0x1000. */
function cpuWith(words: readonly Word[], registers: KnownX86Control = {}, policy: X86CpuOptions = PLAIN) {
  const buffer = new ArrayBuffer(0x2_0000);
  const ram = new BigUint64Array(buffer);
  // RAM has less than 2^32 bytes.
  for (const [address, value] of words) ram[Number(address) / 8] = value;
  const cpu = new X86Cpu(flatMemory(buffer), { cr0: PG, cr3: 0x1000n, physBits: 52, ...registers }, policy);
  return { cpu, ram };
}

/** The same with a mapper, whose entry pointing back is {@link LOOP} unless the words have another one. */
function mapperWith(words: readonly Word[], registers?: KnownX86Control, policy?: X86CpuOptions) {
  const { cpu, ram } = cpuWith([LOOP, ...words], registers, policy);
  const mapper = new RecursivePageTable(PageTable.at(cpu, BASE));
  return { cpu, ram, mapper, allocator: new FreeListFrameAllocator([FRAMES]) };
}

/** RAM's words that are not zero, by address. */
const wordsOf = (ram: BigUint64Array): string[] =>
  [...ram].flatMap((value, i) => (value === 0n ? [] : [`${hex(8n * BigInt(i))}: ${hex(value)}`]));

function thrown(call: () => unknown): unknown {
  try {
    call();
  } catch (error) {
    return error;
  }
  return undefined;
}

describe('the constructor (section 10, rows 42 to 44)', () => {
  /** The kind of the error, or `Ok`. */
  const made = (cpu: X86Cpu, address: bigint): string => {
    const error = thrown(() => new RecursivePageTable(PageTable.at(cpu, address)));
    if (error === undefined) return 'Ok';
    expect(error).toBeInstanceOf(InvalidPageTable);
    expect(error).toBeInstanceOf(PageTableError);
    const { kind, code, message } = error as InvalidPageTable;
    expect(code).toBe(kind === 'NotRecursive' ? 'NOT_RECURSIVE' : 'NOT_ACTIVE');
    expect(message).toContain(address.toString(16));
    return kind;
  };

  test.each([
    ['at level 1', [SLOT, SLOT, SLOT, 201]],
    ['at level 2', [SLOT, SLOT, 201, SLOT]],
    ['at level 3', [SLOT, 201, SLOT, SLOT]],
    ['at level 4', [201, SLOT, SLOT, SLOT]],
    ['at each level', [1, 2, 3, 4]],
  ] as const)('NotRecursive: another index %s', (_, [i4, i3, i2, i1]) => {
    // The entry 201 leads to the level-4 table as well, and V is mapped to it.
    const { cpu } = cpuWith([LOOP, [at(0x1000n, 201), 0x1003n], ...C(3n), [LEAF, 0x1003n]]);
    expect(made(cpu, addressAt(i4, i3, i2, i1))).toBe('NotRecursive');
    expect(made(cpu, addressAt(201, 201, 201, 201))).toBe('Ok');
  });

  test('NotRecursive is said whatever CR3 holds', () => {
    // In the table at 0x5000 the entry 1 leads to itself.
    const { cpu } = cpuWith([
      [P4_1, 0x2003n],
      [P3_2, 0x3003n],
      [P2_3, 0x4003n],
      [LEAF, 0x5003n],
    ]);
    expect(made(cpu, V)).toBe('NotRecursive');
  });

  /** A table in frame 0x5000 that appears at the address of the loop, though it is not in CR3. */
  const through = (entry: bigint): Word[] => [
    [at(0x1000n, SLOT), 0x2003n],
    [at(0x2000n, SLOT), 0x3003n],
    [at(0x3000n, SLOT), 0x4003n],
    [at(0x4000n, SLOT), 0x5003n],
    [at(0x5000n, SLOT), entry],
  ];

  test.each([
    ['has HUGE_PAGE', 0x1083n, 'NotActive'],
    ['is not present', 0x1002n, 'NotActive'],
    ['is unused', 0n, 'NotActive'],
    ['points to another frame', 0x5003n, 'NotActive'],
    ['points to another frame by one of the highest bits', 0x8_0000_0000_1003n, 'NotActive'],
    ['points to the frame in CR3', 0x1003n, 'Ok'],
  ] as const)('NotActive: the entry %s', (_, entry, result) => {
    const { cpu } = cpuWith(through(entry));
    expect(made(cpu, BASE)).toBe(result);
  });

  test('NotActive: the table itself is recursive, but another one is in CR3', () => {
    const { cpu } = cpuWith([
      [at(0x1000n, SLOT), 0x5003n],
      [at(0x5000n, SLOT), 0x5003n],
    ]);
    expect(made(cpu, BASE)).toBe('NotActive');
    cpu.writeCr3(0x5000n);
    expect(made(cpu, BASE)).toBe('Ok');
  });

  test('NotActive: the entry was taken away while the TLB holds the window', () => {
    const { cpu, ram } = cpuWith([LOOP], {}, { accessedDirty: false });
    expect(made(cpu, BASE)).toBe('Ok');
    ram[Number(LOOP[0]) / 8] = 0n;
    expect(made(cpu, BASE)).toBe('NotActive');
  });

  test('an entry pointing back that is not present does not even show the table: a page fault', () => {
    const { cpu } = cpuWith([]);
    expect(thrown(() => PageTable.at(cpu, BASE))).toBeInstanceOf(ProcessorFault);
  });

  test.each([
    ['WRITABLE is not asked for, and the cache bits of CR3 do not count', 0x1001n, 0x1018n, {}],
    ['the PCID in CR3 does not count', 0x1003n, 0x1abcn, { cr4: (1n << 5n) | PCIDE }],
    ['the bits outside the address do not count', 0xfff0_0000_0000_1f7fn, 0x1000n, {}],
  ] as const)('%s', (_, entry, cr3, registers) => {
    const { cpu } = cpuWith([[LOOP[0], entry]], { cr3, ...registers });
    expect(made(cpu, BASE)).toBe('Ok');
  });

  test('what errors of the constructor carry', () => {
    const { cpu } = cpuWith([...through(0x6003n), [P4_1, 0x1003n]]);
    const error = thrown(() => new RecursivePageTable(PageTable.at(cpu, BASE))) as InvalidPageTable;
    expect(error.detail).toMatchObject({ address: BASE, entry: 0x6003n, cr3: 0x1000n });
    for (const text of ['6003', '1000', 'entry 200']) expect(error.message).toContain(text);
  });

  describe('the entry 511', () => {
    const LAST = 0xffff_ffff_ffff_f000n;
    const loop: Word = [at(0x1000n, 511), 0x1003n];

    test('is refused by the constructor, which says who takes it', () => {
      const { cpu } = cpuWith([loop]);
      const error = thrown(() => new RecursivePageTable(PageTable.at(cpu, LAST))) as PageTableError;
      expect(error).toMatchObject({ name: 'PageTableError', code: 'BAD_ARGUMENT', detail: { index: 511 } });
      expect(error.message).toContain('newUnchecked');
    });

    test('is taken by newUnchecked, and works', () => {
      const { cpu, ram } = cpuWith([loop]);
      const mapper = RecursivePageTable.newUnchecked(PageTable.at(cpu, LAST), new PageTableIndex(511));
      const allocator = new FreeListFrameAllocator([FRAMES]);
      const top = 0xffff_ff7f_ffff_f000n;
      mapper.mapTo(page4(top), frame4(0x7000n), PW, allocator).flush();
      expect(mapper.translateAddr(top + 5n)).toBe(0x7005n);
      expect(wordsOf(ram)).toEqual([
        '0x1ff0: 0x10003',
        '0x1ff8: 0x1003',
        '0x10ff8: 0x11003',
        '0x11ff8: 0x12003',
        '0x12ff8: 0x7003',
      ]);
      mapper.unmap(page4(top)).flush.flush();
      mapper.cleanUp(allocator);
      expect(allocator.allocated).toBe(0);
      expect(cpu.read(LAST + 0xff8n, 8)).toEqual({ kind: 'done', value: 0x1003n });
    });
  });

  test('newUnchecked looks at nothing', () => {
    const { cpu } = cpuWith([LOOP, ...C(3n), [LEAF, 0x5003n], [at(0x5000n, 9), 0x99000n]]);
    // V shows a table that is neither recursive nor active.
    const mapper = RecursivePageTable.newUnchecked(PageTable.at(cpu, V), new PageTableIndex(7));
    expect(mapper.level4Table().get(9).bits()).toBe(0x99000n);
    expect(mapper.translateAddr(0n)).toBe(undefined);
  });

  test('a table that is not seen through a processor is refused', () => {
    const memory = flatMemory(new ArrayBuffer(0x2000));
    for (const table of [PageTable.at(memory, 0x1000n), new PageTable()]) {
      const error = thrown(() => new RecursivePageTable(table)) as PageTableError;
      expect(error).toMatchObject({ name: 'PageTableError', code: 'BAD_ARGUMENT' });
      expect(error.message).toContain('PageTable.at(cpu, address)');
    }
  });
});

describe('page faults', () => {
  /** What each method needs to go through V's tables, and what it writes. */
  const calls: readonly (readonly [name: string, call: (calls: Calls) => string, writes: 'leaf' | 'none'])[] =
    [
      ['mapToWithTableFlags', (c) => c.mapWith('4KiB', V, 0x9000n, 1n, 0n), 'leaf'],
      ['updateFlags', (c) => c.update('4KiB', V, 1n), 'leaf'],
      ['translatePage', (c) => c.translatePage('4KiB', V), 'none'],
      ['translate', (c) => c.translate(V), 'none'],
      ['translateAddr', (c) => c.translateAddr(V), 'none'],
    ];
  const levels = [
    [4, P4_1, 0x2000n],
    [3, P3_2, 0x3000n],
    [2, P2_3, 0x4000n],
  ] as const;
  const rows = calls.flatMap(([name, call]) =>
    levels.map(([level, entry, table]) => ({ name, call, level, entry, table })),
  );

  test.each(rows)(
    '$name through a level-$level entry that is not present',
    ({ call, level, entry, table }) => {
      const { machine, cpu } = recursiveMachine();
      for (const [address, value] of C(3n)) machine.poke(address, value);
      // In use, as software marks a table that is swapped out.
      machine.poke(entry, table | 0x202n);
      call(machine.calls);
      const error = machine.calls.error as ProcessorFault;
      expect(error).toBeInstanceOf(ProcessorFault);
      expect(error).toMatchObject({ name: 'ProcessorFault', code: 'PROCESSOR_FAULT' });
      const child = (level - 1) as 3 | 2 | 1;
      // Not present, a read, by the supervisor.
      expect(error.fault).toMatchObject({ kind: 'fault', exception: '#PF', errorCode: 0, fromCache: false });
      expect((error.fault.cr2 ?? 0n) & ~0xfffn).toBe(windowOf(SLOT, V, child));
      expect(cpu.cr2).toBe(error.fault.cr2);
      expect(error.message).toContain(`the level-${level} entry ${5 - level}`);
      expect(error.message).toContain(hex(table | 0x202n).slice(2));
      expect(machine.differences()).toEqual([]);
      machine.release();
    },
  );

  test('CR2 is the address of the entry, not of its page', () => {
    const { machine, cpu } = recursiveMachine();
    for (const [address, value] of C(3n)) machine.poke(address, value);
    machine.poke(P2_3, 0x4202n);
    machine.calls.translate(V);
    expect((machine.calls.error as ProcessorFault).fault.cr2).toBe(entryWindow(SLOT, V, 1));
    expect(cpu.cr2).toBe(entryWindow(SLOT, V, 1));
  });

  const WRITES: readonly (readonly [
    name: string,
    readOnly: Word,
    level: 4 | 3 | 2 | 1,
    call: (calls: Calls) => string,
  ])[] = [
    ['mapTo, of the page', [P2_3, 0x4001n], 1, (c) => c.map('4KiB', V + 0x1000n, 0x9000n, 1n)],
    ['mapTo, of a large page', [P3_2, 0x3001n], 2, (c) => c.map('2MiB', V2M + 0x20_0000n, 0n, 1n)],
    ['mapTo, of a giant page', [P4_1, 0x2001n], 3, (c) => c.map('1GiB', 0x80_c000_0000n, 0n, 1n)],
    ['mapTo, of flags for a table', [P3_2, 0x3005n], 2, (c) => c.mapWith('4KiB', V + 0x1000n, 0n, 1n, 5n)],
    ['unmap', [P2_3, 0x4001n], 1, (c) => c.unmap('4KiB', V)],
    ['updateFlags', [P2_3, 0x4001n], 1, (c) => c.update('4KiB', V, 1n)],
    ['setFlagsP4Entry', LOOP, 4, (c) => c.setFlags(4, '4KiB', V, 1n)],
    ['setFlagsP3Entry', [P4_1, 0x2001n], 3, (c) => c.setFlags(3, '4KiB', V, 1n)],
    ['setFlagsP2Entry', [P3_2, 0x3001n], 2, (c) => c.setFlags(2, '4KiB', V, 1n)],
  ];

  test.each(WRITES)(
    'with CR0.WP a table that is read-only cannot be written: %s',
    (name, word, level, call) => {
      const isSlot = name === 'setFlagsP4Entry';
      const { machine, cpu } = recursiveMachine({
        registers: { cr0: PG | WP },
        ...(isSlot ? { entry: 0x1001n } : {}),
      });
      // The other tables are writable, and have the flags that would be added.
      for (const [address, value] of [...C(3n), [LEAF, 0x777003n] as const]) machine.poke(address, value);
      if (!isSlot) machine.poke(...word);
      if (name.includes('flags for a table')) machine.poke(P4_1, 0x2007n);
      call(machine.calls);
      const error = machine.calls.error as ProcessorFault;
      expect(error).toBeInstanceOf(ProcessorFault);
      // Present, a write, by the supervisor.
      expect(error.fault).toMatchObject({ exception: '#PF', errorCode: 3 });
      expect((error.fault.cr2 ?? 0n) & ~0xfffn).toBe(windowOf(SLOT, V, level));
      expect(machine.differences()).toEqual([]);
      // As on a processor the same works without CR0.WP.
      cpu.writeCr0(PG | 1n);
      expect(said(machine, call)).toMatch(/^Ok/);
    },
  );

  test('what was written before a page fault stays', () => {
    const { machine } = recursiveMachine({ registers: { cr0: PG | WP } });
    for (const [address, value] of [
      [P4_1, 0x2003n],
      [P3_2, 0x3001n],
      [P2_3, 0x4001n],
    ] as const) {
      machine.poke(address, value);
    }
    // USER_ACCESSIBLE reaches the first two; the level-2 table, below a read-only entry, cannot be written.
    machine.calls.map('4KiB', V, 0x9000n, 5n);
    expect(machine.calls.error).toBeInstanceOf(ProcessorFault);
    machine.expectWord(P4_1, 0x2007n);
    machine.expectWord(P3_2, 0x3005n);
    expect(machine.differences()).toEqual([]);
    machine.release();
  });

  test('tables made before a page fault stay, and are used when the call is made again', () => {
    let left = 9;
    const { machine } = recursiveMachine({
      through: (cpu): TableMemory => ({
        get high() {
          return cpu.high;
        },
        readEntry: (page, index) => cpu.readEntry(page, index),
        writeEntry(page, index, low, high) {
          // Behind the first table, the entry pointing back is gone.
          if (low !== 0) left -= 1;
          if (left === 0) machine.poke(at(0x1000n, SLOT), 0n);
          cpu.writeEntry(page, index, low, high);
        },
      }),
    });
    const back: bigint[] = [];
    const given = [0x12000n, 0x11000n, 0x10000n];
    const allocator = {
      allocateFrame: () => frame4(given.pop() ?? 0n),
      deallocateFrame: (frame: PhysFrame) => void back.push(frame.startAddress().asU64()),
    };
    const call = () => machine.mapper.mapTo(page4(V), frame4(0x9000n), PW, allocator).ignore();
    left = 2;
    expect(thrown(call)).toBeInstanceOf(ProcessorFault);
    // Frames that were not linked go back, last first.
    expect(back).toEqual([0x12000n, 0x11000n]);
    machine.expectWord(P4_1, 0x10003n);
    machine.expectZeros(0x10000n);
    expect(machine.differences()).toEqual([]);
    machine.poke(...LOOP);
    given.push(...back);
    call();
    expect(machine.calls.translateAddr(V)).toBe('0x9000');
    expect(machine.peek(P4_1)).toBe(0x10003n);
  });

  test('a mapper works in supervisor mode: at CPL 3 its tables are out of reach', () => {
    const { cpu, mapper, allocator, ram } = mapperWith(C(3n));
    const before = wordsOf(ram);
    cpu.cpl = 3;
    const error = thrown(() => mapper.mapTo(page4(V), frame4(0x9000n), PW, allocator)) as ProcessorFault;
    expect(error).toBeInstanceOf(ProcessorFault);
    // Present, a read, by the user.
    expect(error.fault.errorCode).toBe(5);
    expect(wordsOf(ram)).toEqual(before);
    cpu.cpl = 0;
    mapper.mapTo(page4(V), frame4(0x9000n), PW, allocator).flush();
    cpu.cpl = 3;
    expect(thrown(() => mapper.unmap(page4(V)))).toBeInstanceOf(ProcessorFault);
    cpu.cpl = 0;
    const { flush } = mapper.unmap(page4(V));
    cpu.cpl = 3;
    // INVLPG is privileged.
    expect(thrown(() => flush.flush())).toMatchObject({
      code: 'PROCESSOR_FAULT',
      fault: { exception: '#GP' },
    });
    cpu.cpl = 0;
    flush.flush();
  });

  test('with CR4.SMAP tables that users may access are out of reach, unless RFLAGS.AC is set', () => {
    const { cpu } = cpuWith([[LOOP[0], 0x1007n], ...C(7n)], { cr4: (1n << 5n) | (1n << 21n) });
    expect(thrown(() => PageTable.at(cpu, BASE))).toMatchObject({
      code: 'PROCESSOR_FAULT',
      fault: { errorCode: 1 },
    });
    cpu.ac = true;
    const mapper = new RecursivePageTable(PageTable.at(cpu, BASE));
    mapper.mapTo(page4(V), frame4(0x9000n), PW, { allocateFrame: () => undefined }).flush();
    cpu.ac = false;
    expect(thrown(() => mapper.translateAddr(V))).toBeInstanceOf(ProcessorFault);
    // One entry on the way that users may not use is enough.
    cpu.ac = true;
    mapper.level4TableMut().get(SLOT).setFlags(PW);
    cpu.ac = false;
    expect(mapper.translateAddr(V)).toBe(0x9000n);
  });

  test('a table where no memory is', () => {
    const { mapper, allocator } = mapperWith([[P4_1, 0x9999_9003n]]);
    for (const call of [
      () => mapper.translateAddr(V),
      () => mapper.updateFlags(page4(V), PW),
      () => mapper.mapTo(page4(V), frame4(0x9000n), PW, allocator),
      () => mapper.cleanUp(allocator),
    ]) {
      const error = thrown(call) as PageTableError;
      expect(error).toMatchObject({ code: 'NOT_IN_MEMORY' });
      expect(error.message).toContain('99999');
    }
    expect(allocator.allocated).toBe(0);
  });

  test('a frame of the allocator where no memory is: it is linked before it can be seen', () => {
    const { mapper, ram } = mapperWith([]);
    const allocator = { allocateFrame: () => frame4(0x9999_9000n) };
    const error = thrown(() => mapper.mapTo(page4(V), frame4(0x9000n), PW, allocator)) as PageTableError;
    expect(error).toMatchObject({ code: 'NOT_IN_MEMORY' });
    expect(error.message).toContain('99999');
    expect(wordsOf(ram)).toEqual(['0x1008: 0x99999003', '0x1640: 0x1003']);
  });

  test('clean-up keeps what it has freed before it fails', () => {
    const { mapper, ram } = mapperWith([...C(3n), [at(0x1000n, 2), 0x9999_9003n]]);
    const freed: string[] = [];
    const error = thrown(() => mapper.cleanUp({ deallocateFrame: (frame) => freed.push(String(frame)) }));
    expect(error).toMatchObject({ code: 'NOT_IN_MEMORY', detail: { freed: 3 } });
    expect(freed).toEqual([4, 3, 2].map((pfn) => `PhysFrame[4KiB](0x${pfn}000)`));
    expect(wordsOf(ram)).toEqual(['0x1010: 0x99999003', '0x1640: 0x1003']);
  });

  test('clean-up frees no table that it cannot unlink', () => {
    const { machine } = recursiveMachine({ registers: { cr0: PG | WP } });
    for (const [address, value] of [...C(3n), [P3_2, 0x3001n] as const]) machine.poke(address, value);
    machine.calls.cleanUp();
    expect(machine.calls.error).toBeInstanceOf(ProcessorFault);
    expect(machine.allocator.freed).toEqual([]);
    expect(machine.differences()).toEqual([]);
    machine.release();
  });

  test('a page fault that keeps a table from being unlinked says how many were freed before', () => {
    // Index 1 and all below it can be unlinked; below index 2 the level-3 table is read-only.
    const words: Word[] = [...C(3n), [at(0x1000n, 2), 0x5001n], [at(0x5000n, 0), 0x6003n]];
    const { mapper } = mapperWith(words, { cr0: PG | WP });
    const freed: string[] = [];
    const error = thrown(() => mapper.cleanUp({ deallocateFrame: (frame) => freed.push(String(frame)) }));
    expect(freed).toHaveLength(3);
    expect(error).toBeInstanceOf(ProcessorFault);
    expect(error).toMatchObject({ code: 'PROCESSOR_FAULT', detail: { freed: 3 } });
  });

  test('a page fault on the way of a clean-up is a ProcessorFault too', () => {
    // A reserved address bit in the entry of the second table.
    const { mapper } = mapperWith([...C(3n), [at(0x1000n, 2), (1n << 51n) | 3n]], {
      physBits: 40,
    });
    const error = thrown(() => mapper.cleanUp({ deallocateFrame: () => {} }));
    expect(error).toMatchObject({ code: 'PROCESSOR_FAULT', detail: { freed: 3 } });
    expect(error).toBeInstanceOf(ProcessorFault);
  });
});

describe('what is a panic in the original has a code, and leaves memory and allocator as they were', () => {
  type Given = ReturnType<typeof mapperWith>;
  const cases: readonly (readonly [
    name: string,
    code: ErrorCode,
    words: readonly Word[],
    call: (given: Given) => unknown,
  ])[] = [
    [
      'HUGE_PAGE in the flags for a new table',
      'BAD_ARGUMENT',
      [],
      ({ mapper, allocator }) =>
        mapper.mapToWithTableFlags(page4(V), frame4(0n), PW, PW.union(HUGE_PAGE), allocator),
    ],
    [
      'HUGE_PAGE in the flags of a small page',
      'BAD_ARGUMENT',
      [],
      ({ mapper, allocator }) => mapper.mapTo(page4(V), frame4(0n), PW.union(HUGE_PAGE), allocator),
    ],
    [
      'HUGE_PAGE in the flags of a small page below tables that would be widened',
      'BAD_ARGUMENT',
      C(1n),
      ({ mapper, allocator }) => mapper.mapTo(page4(V), frame4(0n), PW.union(HUGE_PAGE), allocator),
    ],
    [
      'a frame for a page that is not aligned to 4 KiB',
      'MISALIGNED',
      [[P4_1, 0x2003n]],
      ({ mapper, allocator }) =>
        mapper.mapTo(pageAt('2MiB', V2M), frameAt('2MiB', 0x20_0800n), PW, allocator),
    ],
    [
      'a first frame for a table that is not aligned',
      'MISALIGNED',
      [],
      ({ mapper }) =>
        mapper.mapTo(page4(V), frame4(0n), PW, {
          allocateFrame: () => frameAt('4KiB', 0x1_0800n) as PhysFrame,
        }),
    ],
    [
      'a first frame for a table that is not of 4 KiB',
      'BAD_ARGUMENT',
      [],
      ({ mapper }) =>
        mapper.mapTo(page4(V), frame4(0n), PW, {
          allocateFrame: () => frameAt('2MiB', 0x20_0000n) as never,
        }),
    ],
    [
      'HUGE_PAGE in the level-4 table, asked for an address',
      'CORRUPT_TABLE',
      [[P4_1, 0x83n]],
      ({ mapper }) => mapper.translate(V),
    ],
    [
      'HUGE_PAGE in a level-1 table, asked for an address',
      'CORRUPT_TABLE',
      [...C(3n), [LEAF, 0x5083n]],
      ({ mapper }) => mapper.translateAddr(V),
    ],
  ];

  test.each(cases)('%s', (_, code, words, call) => {
    const given = mapperWith(words);
    const before = wordsOf(given.ram);
    const error = thrown(() => call(given));
    expect(error).toMatchObject({ name: 'PageTableError', code });
    expect((error as Error).message.toLowerCase()).toMatch(/80806|page/);
    expect(wordsOf(given.ram)).toEqual(before);
    expect(given.allocator.allocated).toBe(0);
  });

  test('a frame from 2^47 for itself', () => {
    const { mapper, allocator, ram } = mapperWith([]);
    for (const size of ['4KiB', '2MiB', '1GiB'] as const) {
      const call = () => mapper.identityMap(frameAt(size, 0x8000_0000_0000n), PW, allocator);
      expect(thrown(call)).toBeInstanceOf(VirtAddrNotValid);
    }
    expect(wordsOf(ram)).toEqual(['0x1640: 0x1003']);
    expect(allocator.allocated).toBe(0);
  });

  test('an address that is not canonical', () => {
    const { mapper } = mapperWith([]);
    for (const call of [
      () => mapper.translate(0x8000_0000_0000n),
      () => mapper.translateAddr(0xffff_7fff_ffff_f000n),
      () => new VirtAddr(0x8000_0000_0000n),
    ]) {
      expect(thrown(call)).toBeInstanceOf(VirtAddrNotValid);
    }
  });

  test('frames that a refused call had taken go back last first', () => {
    const { machine } = recursiveMachine();
    expect(machine.calls.map('4KiB', V, 0x9000n, 0x81n)).toBe('abort');
    expect(machine.allocator.taken).toEqual([0x10000n, 0x11000n, 0x12000n]);
    expect(machine.allocator.freed).toEqual([0x12000n, 0x11000n, 0x10000n]);
    // An allocator that gives first what came back last then gives the same ones in the same order.
    const { mapper, allocator, ram } = mapperWith([]);
    const refused = () => mapper.mapTo(page4(V), frame4(0n), PW.union(HUGE_PAGE), allocator);
    expect(thrown(refused)).toMatchObject({ code: 'BAD_ARGUMENT' });
    mapper.mapTo(page4(V), frame4(0n), PW, allocator).ignore();
    expect(ram[0x1008 / 8]).toBe(0x10003n);
  });

  test.each([1, 2])('a frame for table %i, after others, that is not aligned', (bad) => {
    const { mapper, ram } = mapperWith([]);
    const before = wordsOf(ram);
    const back: string[] = [];
    let count = 0;
    const allocator = {
      allocateFrame() {
        count += 1;
        return frameAt('4KiB', 0xf000n + 0x1000n * BigInt(count) + (count > bad ? 8n : 0n)) as PhysFrame;
      },
      deallocateFrame: (frame: PhysFrame) => void back.push(String(frame)),
    };
    expect(thrown(() => mapper.mapTo(page4(V), frame4(0n), PW, allocator))).toMatchObject({
      code: 'MISALIGNED',
    });
    expect(wordsOf(ram)).toEqual(before);
    expect(back).toHaveLength(count);
  });

  test('a first frame that is not aligned goes back as well', () => {
    const { mapper } = mapperWith([]);
    const back: string[] = [];
    const allocator = {
      allocateFrame: () => frameAt('4KiB', 0x1_0800n) as PhysFrame,
      deallocateFrame: (frame: PhysFrame) => void back.push(String(frame)),
    };
    expect(thrown(() => mapper.mapTo(page4(V), frame4(0n), PW, allocator))).toMatchObject({
      code: 'MISALIGNED',
    });
    expect(back).toEqual(['PhysFrame[4KiB](0x10800)']);
  });

  test('behind a table that is made present on the way, nothing can be foreseen: what is above stays changed', () => {
    const { mapper, allocator, ram } = mapperWith([...C(3n), [P3_2, 0x3202n]]);
    const call = () => mapper.mapTo(page4(V), frame4(0n), PW.union(HUGE_PAGE), allocator);
    expect(thrown(call)).toMatchObject({ code: 'BAD_ARGUMENT' });
    // As in the original.
    expect(wordsOf(ram)).toEqual(['0x1008: 0x2003', '0x1640: 0x1003', '0x2010: 0x3203', '0x3018: 0x4003']);
  });

  test('an allocator that cannot take frames back loses those that a refused call had taken', () => {
    const { mapper, ram } = mapperWith([]);
    const source = new FreeListFrameAllocator([FRAMES]);
    const allocator = { allocateFrame: () => source.allocateFrame() };
    const call = () => mapper.mapTo(page4(V), frame4(0n), PW.union(HUGE_PAGE), allocator);
    expect(thrown(call)).toMatchObject({ code: 'BAD_ARGUMENT' });
    expect(wordsOf(ram)).toEqual(['0x1640: 0x1003']);
    expect(source.allocated).toBe(3);
  });
});

describe('errors of the methods (section 7)', () => {
  test('each family of methods has its own class, kind and code', () => {
    const { mapper, allocator } = mapperWith([...C(3n), [LEAF, 0x777001n], [at(0x3000n, 4), 0x20_1083n]]);
    const large = pageAt('2MiB', V2M + 0x20_0000n);
    const rows: [call: () => unknown, type: unknown, fields: object][] = [
      [
        () => mapper.mapTo(page4(V), frame4(0x123000n), PRESENT, allocator),
        MapToError,
        { kind: 'PageAlreadyMapped', code: 'ALREADY_MAPPED', frame: frame4(0x123000n) },
      ],
      [
        () => mapper.mapTo(page4(V2M + 0x20_0000n), frame4(0n), PRESENT, allocator),
        MapToError,
        { kind: 'ParentEntryHugePage', code: 'HUGE_PAGE', frame: undefined },
      ],
      [
        () => mapper.mapTo(page4(0n), frame4(0n), PRESENT, { allocateFrame: () => undefined }),
        MapToError,
        { kind: 'FrameAllocationFailed', code: 'OUT_OF_FRAMES', frame: undefined },
      ],
      [() => mapper.unmap(page4(0n)), UnmapError, { kind: 'PageNotMapped', code: 'NOT_MAPPED' }],
      [
        () => mapper.unmap(pageAt('2MiB', V2M)),
        UnmapError,
        { kind: 'ParentEntryHugePage', code: 'HUGE_PAGE' },
      ],
      [() => mapper.unmap(large), UnmapError, { kind: 'InvalidFrameAddress', code: 'INVALID_FRAME' }],
      [
        () => mapper.updateFlags(page4(0n), PW),
        FlagUpdateError,
        { kind: 'PageNotMapped', code: 'NOT_MAPPED' },
      ],
      [
        () => mapper.setFlagsP2Entry(large, PW),
        FlagUpdateError,
        { kind: 'ParentEntryHugePage', code: 'HUGE_PAGE' },
      ],
      [() => mapper.translatePage(page4(0n)), TranslateError, { kind: 'PageNotMapped', code: 'NOT_MAPPED' }],
      [
        () => mapper.translatePage(large),
        TranslateError,
        { kind: 'InvalidFrameAddress', code: 'INVALID_FRAME' },
      ],
    ];
    for (const [call, type, fields] of rows) {
      const error = thrown(call);
      expect(error).toBeInstanceOf(type);
      expect(error).toMatchObject(fields);
      expect(ERROR_CODES).toContain((error as PageTableError).code);
    }
    expect(String((thrown(() => mapper.unmap(large)) as UnmapError).addr)).toBe('PhysAddr(0x201000)');
    expect(String((thrown(() => mapper.translatePage(large)) as TranslateError).addr)).toBe(
      'PhysAddr(0x201000)',
    );
  });

  test('below a large page nothing is read, not even the level-4 table (section 9.5)', () => {
    const { cpu, mapper } = mapperWith([]);
    // Without its tables every read would fault.
    cpu.writeCr3(0x5000n);
    for (const call of [
      () => mapper.setFlagsP3Entry(pageAt('1GiB', 0n), PW),
      () => mapper.setFlagsP2Entry(pageAt('1GiB', 0n), PW),
      () => mapper.setFlagsP2Entry(pageAt('2MiB', V2M), PW),
    ]) {
      expect(thrown(call)).toMatchObject({ name: 'FlagUpdateError', kind: 'ParentEntryHugePage' });
    }
    expect(thrown(() => mapper.setFlagsP4Entry(pageAt('1GiB', 0n), PW))).toBeInstanceOf(ProcessorFault);
  });

  test('they name the page that was asked for, and the entry that was found', () => {
    const { mapper, allocator } = mapperWith([...C(3n), [LEAF, 0x777001n]]);
    const error = thrown(() => mapper.mapTo(page4(V), frame4(0x123000n), PRESENT, allocator)) as MapToError;
    expect(error.detail).toMatchObject({ page: V, level: 1, index: 4, entry: 0x777001n, frame: 0x123000n });
    for (const text of ['mapTo', '8080604000', '777001', '123000']) expect(error.message).toContain(text);
    const unused = thrown(() => mapper.unmap(page4(0n))) as UnmapError;
    expect(unused.detail).toMatchObject({ page: 0n, level: 4, index: 0, entry: 0n });
  });

  test('an allocator may say "none" with null', () => {
    const { mapper } = mapperWith([]);
    const call = () => mapper.mapTo(page4(V), frame4(0n), PW, { allocateFrame: () => null as never });
    expect(thrown(call)).toMatchObject({ kind: 'FrameAllocationFailed' });
  });
});

describe('a call from inside another one is refused', () => {
  const MAPPED = page4(V);
  const UNMAPPED = page4(V + 0x1000n);
  type Given = ReturnType<typeof mapperWith>;
  const calls: Readonly<Record<string, (given: Given) => unknown>> = {
    mapTo: ({ mapper, allocator }) => mapper.mapTo(UNMAPPED, frame4(0x9000n), PW, allocator),
    mapToWithTableFlags: ({ mapper, allocator }) =>
      mapper.mapToWithTableFlags(UNMAPPED, frame4(0x9000n), PW, PW, allocator),
    identityMap: ({ mapper, allocator }) => mapper.identityMap(frame4(V + 0x1000n), PW, allocator),
    unmap: ({ mapper }) => mapper.unmap(MAPPED),
    updateFlags: ({ mapper }) => mapper.updateFlags(MAPPED, PRESENT),
    setFlagsP4Entry: ({ mapper }) => mapper.setFlagsP4Entry(MAPPED, PRESENT),
    setFlagsP3Entry: ({ mapper }) => mapper.setFlagsP3Entry(MAPPED, PRESENT),
    setFlagsP2Entry: ({ mapper }) => mapper.setFlagsP2Entry(MAPPED, PRESENT),
    translatePage: ({ mapper }) => mapper.translatePage(MAPPED),
    translate: ({ mapper }) => mapper.translate(V),
    translateAddr: ({ mapper }) => mapper.translateAddr(V),
    cleanUp: ({ mapper, allocator }) => mapper.cleanUp(allocator),
    cleanUpAddrRange: ({ mapper, allocator }) =>
      mapper.cleanUpAddrRange(Page.rangeInclusive(MAPPED, MAPPED), allocator),
    level4TableMut: ({ mapper }) => mapper.level4TableMut(),
  };
  const rows = Object.entries(calls).map(([name, call]) => ({ name, call }));
  const WORDS = [...C(3n), [LEAF, 0x777003n]] as const;
  const AFTER = { code: 'REENTERED' };

  test.each(rows)('$name, from the allocator', ({ call }) => {
    // With flags that make it look ahead, and without.
    for (const [flags, policy] of [
      [PW, PLAIN],
      [PW.union(HUGE_PAGE), PLAIN],
      [PW, { accessedDirty: false }],
    ] as const) {
      const given = mapperWith(WORDS, {}, policy);
      given.mapper.translateAddr(V);
      const before = wordsOf(given.ram);
      const inside: unknown[] = [];
      const allocator = {
        allocateFrame() {
          inside.push(thrown(() => call(given)));
          return undefined;
        },
      };
      expect(thrown(() => given.mapper.mapTo(page4(0n), frame4(0x9000n), flags, allocator))).toMatchObject({
        kind: 'FrameAllocationFailed',
      });
      expect(inside.length).toBeGreaterThan(0);
      for (const error of inside) expect(error).toMatchObject(AFTER);
      expect(wordsOf(given.ram)).toEqual(before);
      // It works again afterwards.
      expect(given.mapper.unmap(MAPPED).frame.pfn()).toBe(0x777);
    }
  });

  test.each(rows)('$name, from a deallocator', ({ call }) => {
    const given = mapperWith([...WORDS, [at(0x1000n, 2), 0x8003n]]);
    const inside: unknown[] = [];
    given.mapper.cleanUp({ deallocateFrame: () => void inside.push(thrown(() => call(given))) });
    expect(inside).toHaveLength(1);
    expect(inside[0]).toMatchObject(AFTER);
    expect(given.mapper.unmap(MAPPED).frame.pfn()).toBe(0x777);
  });

  test.each(rows)('$name, while frames go back after a panic of the original', ({ call }) => {
    const given = mapperWith(WORDS);
    const before = wordsOf(given.ram);
    const inside: unknown[] = [];
    const allocator = {
      allocateFrame: () => given.allocator.allocateFrame(),
      deallocateFrame: (frame: PhysFrame) => {
        given.allocator.deallocateFrame(frame);
        inside.push(thrown(() => call(given)));
      },
    };
    const flags = PW.union(HUGE_PAGE);
    expect(thrown(() => given.mapper.mapTo(page4(0n), frame4(0n), flags, allocator))).toMatchObject({
      code: 'BAD_ARGUMENT',
    });
    expect(inside).toHaveLength(3);
    for (const error of inside) expect(error).toMatchObject(AFTER);
    expect(wordsOf(given.ram)).toEqual(before);
  });

  test('from a memory that stands between mapper and processor', () => {
    const inside: unknown[] = [];
    let listening = false;
    const { machine, mapper } = recursiveMachine({
      through: (cpu): TableMemory => ({
        get high() {
          return cpu.high;
        },
        readEntry: (page, index) => cpu.readEntry(page, index),
        writeEntry(page, index, low, high) {
          if (listening) inside.push(thrown(() => mapper.translateAddr(V)));
          cpu.writeEntry(page, index, low, high);
        },
      }),
    });
    for (const [address, value] of WORDS) machine.poke(address, value);
    listening = true;
    mapper.updateFlags(page4(V), PRESENT);
    expect(mapper.unmap(page4(V)).frame.pfn()).toBe(0x777);
    expect(inside).toHaveLength(2);
    for (const error of inside) expect(error).toMatchObject(AFTER);
  });

  test('a table that was taken before still answers', () => {
    const { mapper } = mapperWith(WORDS);
    const table = mapper.level4TableMut();
    const seen: bigint[] = [];
    const allocator: FrameAllocator = {
      allocateFrame() {
        seen.push(table.get(1).bits(), mapper.level4Table().get(1).bits());
        return undefined;
      },
    };
    expect(thrown(() => mapper.mapTo(page4(0n), frame4(0n), PW, allocator))).toBeInstanceOf(MapToError);
    expect(seen).toEqual([0x2003n, 0x2003n]);
  });
});

describe('what the caller’s own functions throw passes through unchanged', () => {
  const mine = new Error('the disk is on fire');
  const fail = (): never => {
    throw mine;
  };

  test('from the allocator: nothing was made before', () => {
    const { mapper, ram } = mapperWith([]);
    let count = 0;
    const allocator = { allocateFrame: () => (count++ === 0 ? frame4(0x10000n) : fail()) };
    expect(thrown(() => mapper.mapTo(page4(V), frame4(0n), PW, allocator))).toBe(mine);
    expect(wordsOf(ram)).toEqual(['0x1640: 0x1003']);
  });

  test('from a deallocator that gets frames back: the first error counts, and the mapper goes on', () => {
    const { mapper, ram } = mapperWith([]);
    let count = 0;
    const broken = {
      allocateFrame: () => (count++ === 0 ? frame4(0x10000n) : fail()),
      deallocateFrame: () => {
        throw new Error('second');
      },
    };
    const error = thrown(() => mapper.mapTo(page4(V), frame4(0n), PW, broken));
    expect(error).toBe(mine);
    expect(wordsOf(ram)).toEqual(['0x1640: 0x1003']);
    expect(mapper.translateAddr(V)).toBe(undefined);
  });

  test('from the allocator, while it is asked ahead: frames that are not linked go back', () => {
    const { mapper, ram } = mapperWith([]);
    const back: string[] = [];
    let count = 0;
    const allocator = {
      allocateFrame: () => (count++ === 0 ? frame4(0x10000n) : fail()),
      deallocateFrame: (frame: PhysFrame) => void back.push(String(frame)),
    };
    // HUGE_PAGE in the flags of a small page makes it look ahead.
    expect(thrown(() => mapper.mapTo(page4(V), frame4(0n), PW.union(HUGE_PAGE), allocator))).toBe(mine);
    expect(wordsOf(ram)).toEqual(['0x1640: 0x1003']);
    expect(back).toEqual(['PhysFrame[4KiB](0x10000)']);
  });

  test('from the deallocator: the table is unlinked', () => {
    const { mapper, ram } = mapperWith(C(3n));
    expect(thrown(() => mapper.cleanUp({ deallocateFrame: fail }))).toBe(mine);
    expect(wordsOf(ram)).toEqual(['0x1008: 0x2003', '0x1640: 0x1003', '0x2010: 0x3003']);
  });

  test('from a memory that stands between mapper and processor', () => {
    let failing = false;
    const { mapper } = recursiveMachine({
      through: (cpu): TableMemory => ({
        high: 0,
        readEntry: (page, index) => (failing ? fail() : cpu.readEntry(page, index)),
        writeEntry: fail,
      }),
    });
    failing = true;
    const { allocator } = mapperWith([]);
    for (const call of [
      () => mapper.mapTo(page4(V), frame4(0n), PW, allocator),
      () => mapper.unmap(page4(V)),
      () => mapper.translate(V),
      () => mapper.cleanUp(allocator),
    ]) {
      expect(thrown(call)).toBe(mine);
    }
  });
});

describe('arguments of the wrong kind or size', () => {
  const given = () => mapperWith([...C(3n), [LEAF, 0x777003n]]);
  type Given = ReturnType<typeof given>;
  const rows: readonly (readonly [text: string, call: (given: Given) => unknown])[] = [
    ['mapTo: the bigint 5; expected a Page', (g) => g.mapper.mapTo(5n as never, frame4(0n), PW, g.allocator)],
    [
      'mapTo: Page[4KiB](0x8080604000); expected a PhysFrame',
      (g) => g.mapper.mapTo(page4(V), page4(V) as never, PW, g.allocator),
    ],
    [
      'mapTo: the bigint 3; expected PageTableFlags',
      (g) => g.mapper.mapTo(page4(V), frame4(0n), 3n as never, g.allocator),
    ],
    [
      'mapTo: Page[4KiB](0x8080604000) and PhysFrame[2MiB](0x0); expected the same size',
      (g) => g.mapper.mapTo(page4(V), frameAt('2MiB', 0n) as never, PW, g.allocator),
    ],
    [
      'mapToWithTableFlags: the number 3; expected PageTableFlags',
      (g) => g.mapper.mapToWithTableFlags(page4(V), frame4(0n), PW, 3 as never, g.allocator),
    ],
    [
      'mapToWithTableFlags: Page[2MiB](0x8080600000) and PhysFrame[4KiB](0x0); expected the same size',
      (g) => g.mapper.mapToWithTableFlags(pageAt('2MiB', V2M), frame4(0n) as never, PW, PW, g.allocator),
    ],
    [
      'identityMap: Page[4KiB](0x8080604000); expected a PhysFrame',
      (g) => g.mapper.identityMap(page4(V) as never, PW, g.allocator),
    ],
    [
      'identityMap: the number 3; expected PageTableFlags',
      (g) => g.mapper.identityMap(frame4(0n), 3 as never, g.allocator),
    ],
    ['unmap: the bigint 20480; expected a Page', (g) => g.mapper.unmap(0x5000n as never)],
    ['updateFlags: undefined; expected a Page', (g) => g.mapper.updateFlags(undefined as never, PW)],
    ['updateFlags: the number 3; expected PageTableFlags', (g) => g.mapper.updateFlags(page4(V), 3 as never)],
    ['setFlagsP4Entry: null; expected a Page', (g) => g.mapper.setFlagsP4Entry(null as never, PW)],
    [
      'setFlagsP3Entry: the bigint 3; expected PageTableFlags',
      (g) => g.mapper.setFlagsP3Entry(page4(V), 3n as never),
    ],
    [
      'setFlagsP2Entry: PhysFrame[4KiB](0x0); expected a Page',
      (g) => g.mapper.setFlagsP2Entry(frame4(0n) as never, PW),
    ],
    [
      'translatePage: PhysFrame[4KiB](0x1000); expected a Page',
      (g) => g.mapper.translatePage(frame4(0x1000n) as never),
    ],
    ['translate: the number 5; expected a VirtAddr or a bigint', (g) => g.mapper.translate(5 as never)],
    [
      'translateAddr: 0x5000; expected a VirtAddr or a bigint',
      (g) => g.mapper.translateAddr('0x5000' as never),
    ],
    [
      'expected a PageRangeInclusive',
      (g) => g.mapper.cleanUpAddrRange(Page.range(page4(0n), page4(V)) as never, g.allocator),
    ],
    [
      'expected a range of 4-KiB pages',
      (g) => {
        const page = Page.fromStartAddress(new VirtAddr(V2M), Size2MiB);
        g.mapper.cleanUpAddrRange(Page.rangeInclusive(page, page) as never, g.allocator);
      },
    ],
  ];

  test.each(rows)('%s', (text, call) => {
    const made = given();
    const before = wordsOf(made.ram);
    const error = thrown(() => call(made)) as PageTableError;
    expect(error).toMatchObject({ name: 'PageTableError', code: 'BAD_ARGUMENT' });
    expect(error.message).toContain(text);
    expect(wordsOf(made.ram)).toEqual(before);
    expect(made.allocator.allocated).toBe(0);
    // No call is under way any more.
    expect(made.mapper.translateAddr(V)).toBe(0x777000n);
  });

  test.each([[5], [{}], [undefined]])('a table that is none is named: %s', (table) => {
    const error = thrown(() => new RecursivePageTable(table as never));
    expect(error).toMatchObject({ name: 'PageTableError', code: 'BAD_ARGUMENT' });
  });

  test('an index that is no PageTableIndex is not taken for "check it"', () => {
    const { cpu } = given();
    const call = () => RecursivePageTable.newUnchecked(PageTable.at(cpu, BASE), 5 as never);
    expect(thrown(call)).toMatchObject({ name: 'PageTableError', code: 'BAD_ARGUMENT' });
  });

  test('USER_ACCESSIBLE and the like are no reason to refuse', () => {
    const { mapper, allocator } = given();
    mapper
      .mapTo(page4(0n), frame4(0n), flagsOf(0x7ff0_0000_0000_0e5fn).union(USER_ACCESSIBLE), allocator)
      .ignore();
    expect(mapper.translateAddr(5n)).toBe(5n);
  });
});
