// Mappers and tables over a processor. Expected values: the Intel SDM, vol. 3A, sections "Accessed and Dirty Flags" and "Caching
// Translation Information"; notes on the Rust crate, sections 8.2, 11 and 12.
import { describe, expect, test } from 'vitest';
import { ProcessorFault, X86Cpu, type X86CpuOptions } from '../../src/cpu/index.ts';
import type { KnownX86Control } from '../../src/format/index.ts';
import { flatMemory, OverlayMemory, type PhysicalMemory, SparseMemory } from '../../src/memory/index.ts';
import {
  type FlushSink,
  FreeListFrameAllocator,
  OffsetPageTable,
  Page,
  PageTable,
  PageTableEntry,
  PageTableFlags,
  PageTableIndex,
  PhysAddr,
  PhysFrame,
  RecursivePageTable,
  VirtAddr,
} from '../../src/x86_64/index.ts';
import { flagsOf, frame4, frameAt, hex, page4, pageAt } from './calls.ts';
import { addressAt, PAE_PGE, PCIDE, PG, PLAIN, SLOT, WP, windowOf } from './recursive-machine.ts';

/** As much of WebAssembly as is needed; its types are only in the DOM library. */
declare const WebAssembly: {
  readonly Memory: new (descriptor: {
    initial: number;
  }) => {
    readonly buffer: ArrayBuffer;
    grow(pages: number): number;
  };
};

const V = 0x80_8060_4000n;
const V2M = 0x80_8060_0000n;
const { PRESENT, WRITABLE, USER_ACCESSIBLE, NO_EXECUTE, NO_CACHE, GLOBAL } = PageTableFlags;
const PW = PRESENT.union(WRITABLE);
const BASE = addressAt(SLOT, SLOT, SLOT, SLOT);

type Word = readonly [address: bigint, value: bigint];

const at = (frame: bigint, index: number): bigint => frame + 8n * BigInt(index);
const LOOP: Word = [at(0x1000n, SLOT), 0x1003n];
const P4_1 = at(0x1000n, 1);
const P3_2 = at(0x2000n, 2);
const P2_3 = at(0x3000n, 3);
const LEAF = at(0x4000n, 4);
/** V's chain of tables. */
const C = (x: bigint): Word[] => [
  [P4_1, 0x2000n | x],
  [P3_2, 0x3000n | x],
  [P2_3, 0x4000n | x],
];
/** The first words of two frames of data. */
const DATA: readonly Word[] = [
  [0x8000n, 0x8888n],
  [0x9000n, 0x9999n],
];
const FRAMES = PhysFrame.range(frame4(0x1_0000n), frame4(0x2_0000n));

interface Made {
  readonly buffer: ArrayBuffer;
  readonly ram: BigUint64Array;
  readonly cpu: X86Cpu;
  readonly mapper: RecursivePageTable;
  readonly allocator: FreeListFrameAllocator;
}

/** 256 KiB of RAM, a processor that remembers all it may and marks what it uses, unless told otherwise, and a mapper. */
function made(
  words: readonly Word[] = [],
  registers: KnownX86Control = {},
  policy?: X86CpuOptions,
  sink?: FlushSink,
): Made {
  const buffer = new ArrayBuffer(0x4_0000);
  const ram = new BigUint64Array(buffer);
  // RAM has less than 2^32 bytes.
  for (const [address, value] of [LOOP, ...DATA, ...words]) ram[Number(address) / 8] = value;
  const known = { cr0: PG | WP, cr3: 0x1000n, physBits: 52, ...registers };
  const cpu = new X86Cpu(flatMemory(buffer), known, policy);
  const mapper = new RecursivePageTable(PageTable.at(cpu, BASE), sink === undefined ? {} : { sink });
  return { buffer, ram, cpu, mapper, allocator: new FreeListFrameAllocator([FRAMES]) };
}

const word = (ram: BigUint64Array, address: bigint): bigint => ram[Number(address) / 8];

/** What a read through the processor gives: a value, or the reasons for a fault. */
function readBy(cpu: X86Cpu, address: bigint): string {
  const outcome = cpu.read(address, 8);
  return outcome.kind === 'done'
    ? hex(outcome.value)
    : outcome.kind === 'fault'
      ? outcome.because.join()
      : 'absent';
}

function writeBy(cpu: X86Cpu, address: bigint, value: bigint): string {
  const outcome = cpu.write(address, 8, value);
  return outcome.kind === 'done' ? 'done' : outcome.kind === 'fault' ? outcome.because.join() : 'absent';
}

function thrown(call: () => unknown): unknown {
  try {
    call();
  } catch (error) {
    return error;
  }
  return undefined;
}

const MAPPED: readonly Word[] = [...C(3n), [LEAF, 0x8003n]];

describe('flushes are instructions of the processor through which the mapper sees its tables (section 12)', () => {
  test('a page that was unmapped can be used until it is flushed', () => {
    const { cpu, mapper } = made(MAPPED);
    expect(readBy(cpu, V)).toBe('0x8888');
    const { frame, flush } = mapper.unmap(page4(V));
    expect(frame.pfn()).toBe(8);
    expect(readBy(cpu, V)).toBe('0x8888');
    flush.flush();
    expect(readBy(cpu, V)).toBe('P = 0 in PTE');
  });

  test('ignore does nothing, and neither does a flush that is dropped', () => {
    const { cpu, mapper, allocator } = made(MAPPED);
    expect(readBy(cpu, V)).toBe('0x8888');
    mapper.unmap(page4(V)).flush.ignore();
    mapper.mapTo(page4(V), frame4(0x9000n), PW, allocator);
    expect(readBy(cpu, V)).toBe('0x8888');
    mapper.updateFlags(page4(V), PW).flush();
    expect(readBy(cpu, V)).toBe('0x9999');
  });

  test('new flags of a page count from the flush on', () => {
    const { cpu, mapper } = made(MAPPED);
    expect(writeBy(cpu, V, 0x1n)).toBe('done');
    const flush = mapper.updateFlags(page4(V), PRESENT);
    expect(writeBy(cpu, V, 0x2n)).toBe('done');
    flush.flush();
    expect(writeBy(cpu, V, 0x3n)).toBe('R/W = 0 in PTE');
    expect(readBy(cpu, V)).toBe('0x2');
  });

  test('the flush of a page leaves other pages, and takes one that is global too', () => {
    const { cpu, mapper } = made([...C(3n), [LEAF, 0x8103n], [at(0x4000n, 5), 0x9003n]], { cr4: PAE_PGE });
    expect([readBy(cpu, V), readBy(cpu, V + 0x1000n)]).toEqual(['0x8888', '0x9999']);
    const first = mapper.unmap(page4(V)).flush;
    mapper.unmap(page4(V + 0x1000n)).flush.ignore();
    first.flush();
    expect(readBy(cpu, V)).toBe('P = 0 in PTE');
    expect(readBy(cpu, V + 0x1000n)).toBe('0x9999');
  });

  test('one flush is enough for a large page', () => {
    const { cpu, mapper } = made([...C(3n), [P2_3, 0x83n]]);
    expect([readBy(cpu, V2M + 0x8000n), readBy(cpu, V2M + 0x9000n)]).toEqual(['0x8888', '0x9999']);
    mapper.unmap(pageAt('2MiB', V2M)).flush.flush();
    expect([readBy(cpu, V2M + 0x8000n), readBy(cpu, V2M + 0x9000n)]).toEqual([
      'P = 0 in PDE',
      'P = 0 in PDE',
    ]);
  });

  test.each([4, 3, 2] as const)('flags of a level-%i entry count from flushAll on', (level) => {
    const { cpu, mapper } = made(MAPPED);
    expect(writeBy(cpu, V, 0x1n)).toBe('done');
    const flush =
      level === 4
        ? mapper.setFlagsP4Entry(page4(V), PRESENT)
        : level === 3
          ? mapper.setFlagsP3Entry(page4(V), PRESENT)
          : mapper.setFlagsP2Entry(page4(V), PRESENT);
    flush.ignore();
    expect(writeBy(cpu, V, 0x2n)).toBe('done');
    flush.flushAll();
    expect(writeBy(cpu, V, 0x3n)).toContain('R/W = 0');
  });

  test('flushAll keeps global translations', () => {
    const { cpu, mapper } = made([...C(3n), [LEAF, 0x8103n], [at(0x4000n, 5), 0x9003n]], { cr4: PAE_PGE });
    expect([readBy(cpu, V), readBy(cpu, V + 0x1000n)]).toEqual(['0x8888', '0x9999']);
    for (const page of [page4(V), page4(V + 0x1000n)]) mapper.unmap(page).flush.ignore();
    mapper.setFlagsP4Entry(page4(V), PW).flushAll();
    expect([readBy(cpu, V), readBy(cpu, V + 0x1000n)]).toEqual(['0x8888', 'P = 0 in PTE']);
  });

  test('flushAll stays with the current PCID, and leaves those of others', () => {
    const { cpu, mapper } = made(MAPPED, { cr3: 0x1000n, cr4: (1n << 5n) | PCIDE });
    const other = 1n << 63n;
    expect(readBy(cpu, V)).toBe('0x8888');
    cpu.writeCr3(0x1abcn | other);
    expect(readBy(cpu, V)).toBe('0x8888');
    mapper.unmap(page4(V)).flush.ignore();
    mapper.setFlagsP4Entry(page4(V), PW).flushAll();
    expect(cpu.cr3).toBe(0x1abcn);
    expect(readBy(cpu, V)).toBe('P = 0 in PTE');
    cpu.writeCr3(0x1000n | other);
    expect(readBy(cpu, V)).toBe('0x8888');
  });

  test('a sink that is given is told instead', () => {
    const log: string[] = [];
    const sink = {
      invalidate: (page: { toString(): string }) => void log.push(String(page)),
      invalidateAll: () => void log.push('all'),
    };
    const { cpu, mapper } = made(MAPPED, {}, {}, sink);
    expect(readBy(cpu, V)).toBe('0x8888');
    mapper.setFlagsP4Entry(page4(V), PW).flushAll();
    mapper.unmap(page4(V)).flush.flush();
    expect(log).toEqual(['all', 'Page[4KiB](0x8080604000)']);
    expect(readBy(cpu, V)).toBe('0x8888');
  });

  test('newUnchecked takes a sink too, and flushes the processor without one', () => {
    const log: string[] = [];
    const sink: FlushSink = { invalidate: (page) => void log.push(String(page)), invalidateAll: () => {} };
    const { cpu, mapper } = made(MAPPED);
    const table = mapper.level4TableMut();
    const slot = new PageTableIndex(SLOT);
    RecursivePageTable.newUnchecked(table, slot, { sink }).updateFlags(page4(V), PW).flush();
    expect(log).toEqual(['Page[4KiB](0x8080604000)']);
    expect(readBy(cpu, V)).toBe('0x8888');
    RecursivePageTable.newUnchecked(table, slot).unmap(page4(V)).flush.flush();
    expect(readBy(cpu, V)).toBe('P = 0 in PTE');
  });

  test('every method gives the flush of its page', () => {
    const { mapper, allocator } = made();
    const giant = pageAt('1GiB', 0x4000_0000n);
    const flushes = [
      mapper.mapTo(page4(V), frame4(0x9000n), PW, allocator),
      mapper.mapToWithTableFlags(giant, frameAt('1GiB', 0x8000_0000n), PW, PW, allocator),
      mapper.identityMap(frameAt('2MiB', 0x20_0000n), PW, allocator),
      mapper.updateFlags(page4(V), PRESENT),
      mapper.unmap(page4(V)).flush,
    ];
    expect(flushes.map((flush) => String(flush.page()))).toEqual([
      'Page[4KiB](0x8080604000)',
      'Page[1GiB](0x40000000)',
      'Page[2MiB](0x200000)',
      'Page[4KiB](0x8080604000)',
      'Page[4KiB](0x8080604000)',
    ]);
  });
});

describe('what the TLB holds is what the mapper sees', () => {
  test('a fault that comes from a remembered translation is tried once again', () => {
    // Reading remembers the windows as read-only; then the tables get WRITABLE, and are written through the same windows.
    const { mapper, allocator, ram } = made([...C(1n), [LEAF, 0n]]);
    mapper.mapTo(page4(V), frame4(0x9000n), PW, allocator).flush();
    expect(mapper.translateAddr(V)).toBe(0x9000n);
    expect([P4_1, P3_2, P2_3, LEAF].map((address) => word(ram, address) & ~0x60n)).toEqual([
      0x2003n,
      0x3003n,
      0x4003n,
      0x9003n,
    ]);
  });

  test('a fault that the tables confirm is thrown, remembered translation or not', () => {
    const { mapper, allocator } = made(C(1n));
    const call = () => mapper.mapTo(page4(V), frame4(0x9000n), PRESENT, allocator);
    for (let times = 0; times < 2; times += 1) {
      const error = thrown(call) as ProcessorFault;
      expect(error).toBeInstanceOf(ProcessorFault);
      expect(error.fault).toMatchObject({ exception: '#PF', errorCode: 3 });
    }
  });

  test('after a clean-up without a flush a new table is written where the old one was (section 11)', () => {
    const remake = (flushes: boolean): Made => {
      const given = made();
      const { cpu, mapper, allocator } = given;
      mapper.mapTo(page4(V), frame4(0x9000n), PW, allocator).flush();
      mapper.unmap(page4(V)).flush.flush();
      mapper.cleanUp({ deallocateFrame: () => {} });
      if (flushes) cpu.reloadCr3();
      mapper.mapTo(page4(V), frame4(0x9000n), PW, allocator).flush();
      return given;
    };
    // The first tables were in the frames 0x10 to 0x12; the second ones are in those from 0x13.
    const flushed = remake(true);
    expect(word(flushed.ram, P4_1) & ~0x60n).toBe(0x13003n);
    expect(word(flushed.ram, at(0x15000n, 4))).toBe(0x9003n);
    expect(readBy(flushed.cpu, V)).toBe('0x9999');
    const stale = remake(false);
    expect(word(stale.ram, P4_1) & ~0x60n).toBe(0x13003n);
    expect(word(stale.ram, at(0x12000n, 4))).toBe(0x9003n);
    expect(word(stale.ram, at(0x15000n, 4))).toBe(0n);
  });

  test('a change made in memory is seen by a processor that remembers only what it must', () => {
    const { mapper, ram } = made(MAPPED);
    expect(mapper.translateAddr(V)).toBe(0x8000n);
    // An entry of a table that is seen: no translation is stale.
    ram[Number(LEAF) / 8] = 0x9003n;
    expect(mapper.translateAddr(V)).toBe(0x9000n);
    // Another table: the window that is remembered shows the old one until the processor forgets.
    ram[Number(at(0x6000n, 4)) / 8] = 0x8003n;
    ram[Number(P2_3) / 8] = 0x6003n;
    expect(mapper.translateAddr(V)).toBe(0x9000n);
    mapper.setFlagsP4Entry(page4(V), PW).flushAll();
    expect(mapper.translateAddr(V)).toBe(0x8000n);
  });
});

describe('the fast way answers as the general way, which `translate` always takes', () => {
  const frameOf = (mapper: RecursivePageTable, address: bigint): bigint | undefined => {
    const found = mapper.translate(address);
    return found.kind === 'Mapped' ? found.frame.startAddress().asU64() : undefined;
  };
  /** Its bits 31:21 are those of V, each the other way round; bits 63:32 are the same. */
  const OPPOSITE = 0x80_7f80_0000n;
  /** Another page with the same bits 63:32. */
  const OTHER = 0x80_0000_0000n;

  test('after an address whose tables were made in between', () => {
    const { mapper, allocator } = made();
    mapper.mapTo(page4(OTHER), frame4(0x9000n), PW, allocator).flush();
    expect(mapper.translateAddr(OTHER)).toBe(0x9000n);
    expect(mapper.translateAddr(V)).toBe(undefined);
    // A new mapping needs no flush.
    mapper.mapTo(page4(V), frame4(0x8000n), PW, allocator).ignore();
    expect(frameOf(mapper, OPPOSITE)).toBe(undefined);
    expect(mapper.translateAddr(OPPOSITE)).toBe(undefined);
  });

  test('after an address whose level-1 table is not in memory', () => {
    const { mapper, allocator, ram } = made([...C(3n), [P2_3, 0x9999_9003n]]);
    mapper.mapTo(page4(OTHER), frame4(0x9000n), PW, allocator).flush();
    mapper.updateFlags(page4(OTHER), PW).ignore();
    expect(mapper.translateAddr(OTHER)).toBe(0x9000n);
    expect(thrown(() => mapper.translateAddr(V))).toMatchObject({ code: 'NOT_IN_MEMORY' });
    expect(frameOf(mapper, OPPOSITE)).toBe(undefined);
    expect(thrown(() => mapper.unmap(page4(OPPOSITE)))).toMatchObject({ kind: 'PageNotMapped' });
    // OTHER's level-1 table is the second new one.
    expect(word(ram, 0x11000n)).toBe(0x9003n);
    expect(mapper.translateAddr(OTHER)).toBe(0x9000n);
  });

  test('at CPL 3, after a call in supervisor mode', () => {
    const { cpu, mapper, ram } = made(MAPPED);
    mapper.updateFlags(page4(V), PRESENT);
    cpu.cpl = 3;
    expect(thrown(() => mapper.translate(V))).toBeInstanceOf(ProcessorFault);
    expect(thrown(() => mapper.translateAddr(V))).toBeInstanceOf(ProcessorFault);
    cpu.cpl = 0;
    mapper.updateFlags(page4(V), PW);
    cpu.cpl = 3;
    expect(thrown(() => mapper.unmap(page4(V)))).toBeInstanceOf(ProcessorFault);
    expect(word(ram, LEAF)).toBe(0x8003n);
  });

  test('once CR0.WP is set, tables that are read-only are no longer written', () => {
    const { cpu, mapper, ram } = made([...C(1n), [LEAF, 0x8003n]], { cr0: PG });
    mapper.updateFlags(page4(V), PRESENT);
    cpu.writeCr0(PG | WP | 1n);
    expect(thrown(() => mapper.updateFlags(page4(V), PW))).toBeInstanceOf(ProcessorFault);
    expect(word(ram, LEAF)).toBe(0x8001n);
  });

  test('once another CR3 is loaded, with or without a flush, its tables are edited', () => {
    for (const bit of [0n, 1n << 63n]) {
      const other: Word[] = [
        [at(0x20000n, SLOT), 0x20003n],
        [at(0x20000n, 1), 0x21003n],
        [at(0x21000n, 2), 0x22003n],
        [at(0x22000n, 3), 0x23003n],
        [at(0x23000n, 4), 0x9003n],
      ];
      const { cpu, mapper, ram } = made([...MAPPED, ...other], { cr4: (1n << 5n) | PCIDE });
      expect(mapper.translateAddr(V)).toBe(0x8000n);
      cpu.writeCr3(0x20001n | bit);
      expect(mapper.translateAddr(V)).toBe(0x9000n);
      mapper.updateFlags(page4(V), PRESENT);
      cpu.writeCr3(0x1000n | bit);
      expect(mapper.translateAddr(V)).toBe(0x8000n);
      mapper.unmap(page4(V));
      expect([word(ram, LEAF), word(ram, at(0x23000n, 4))]).toEqual([0n, 0x9001n]);
    }
  });

  test('after a window is invalidated, the table that is there now is used', () => {
    const { cpu, mapper, ram } = made([...MAPPED, [at(0x6000n, 4), 0x9003n]]);
    expect(mapper.translateAddr(V)).toBe(0x8000n);
    ram[Number(P2_3) / 8] = 0x6003n;
    expect(mapper.translateAddr(V)).toBe(0x8000n);
    cpu.invlpg(windowOf(SLOT, V, 1));
    expect(mapper.translateAddr(V)).toBe(0x9000n);
    mapper.updateFlags(page4(V), PRESENT);
    expect([word(ram, LEAF), word(ram, at(0x6000n, 4))]).toEqual([0x8003n, 0x9001n]);
  });

  test('entries on the way count as they are in memory', () => {
    const { mapper, ram } = made(MAPPED);
    expect(mapper.translateAddr(V)).toBe(0x8000n);
    ram[Number(P3_2) / 8] = 0n;
    expect(mapper.translateAddr(V)).toBe(undefined);
    ram[Number(P3_2) / 8] = 0x83n;
    expect(mapper.translateAddr(V)).toBe(0x60_4000n);
    expect(thrown(() => mapper.unmap(page4(V)))).toMatchObject({ kind: 'ParentEntryHugePage' });
    ram[Number(P3_2) / 8] = 0x3003n;
    ram[Number(P4_1) / 8] = 0x83n;
    expect(thrown(() => mapper.translateAddr(V))).toMatchObject({ code: 'CORRUPT_TABLE' });
    ram[Number(P4_1) / 8] = 0x2003n;
    ram[Number(LEAF) / 8] = 0x8083n;
    expect(thrown(() => mapper.translateAddr(V))).toMatchObject({ code: 'CORRUPT_TABLE' });
  });
});

describe('memory other than a buffer that stays', () => {
  const allocator = () => new FreeListFrameAllocator([FRAMES]);
  const over = (memory: PhysicalMemory, policy: X86CpuOptions) => {
    const root = PageTable.at(memory, 0x1000n);
    root.get(SLOT).setFrame(frame4(0x1000n), PW);
    const cpu = new X86Cpu(memory, { cr0: PG | WP, cr3: 0x1000n, physBits: 52 }, policy);
    return { cpu, mapper: new RecursivePageTable(PageTable.at(cpu, BASE)) };
  };
  const sparse = (): PhysicalMemory => {
    const all = new SparseMemory();
    for (let frame = 63; frame >= 0; frame -= 1) all.add(frame);
    return all.memory;
  };
  const kinds: readonly (readonly [name: string, make: () => PhysicalMemory])[] = [
    ['sparse memory', sparse],
    ['an overlay', () => new OverlayMemory(flatMemory(new ArrayBuffer(0x4_0000))).memory],
    ['shared memory', () => flatMemory(new SharedArrayBuffer(0x4_0000))],
  ];

  test.each(kinds)('%s', (_, make) => {
    for (const policy of [PLAIN, {}]) {
      const { cpu, mapper } = over(make(), policy);
      const frames = allocator();
      mapper.mapTo(page4(V), frame4(0x9000n), PW, frames).flush();
      expect(writeBy(cpu, V, 0x77n)).toBe('done');
      mapper.mapTo(page4(V + 0x1000n), frame4(0x9000n), PRESENT, frames).flush();
      expect(readBy(cpu, V + 0x1000n)).toBe('0x77');
      expect([mapper.translateAddr(V), mapper.translateAddr(V + 0x1005n)]).toEqual([0x9000n, 0x9005n]);
      for (const page of [page4(V), page4(V + 0x1000n)]) mapper.unmap(page).flush.flush();
      mapper.cleanUp(frames);
      expect(frames.allocated).toBe(0);
      expect(mapper.translateAddr(V)).toBe(undefined);
    }
  });

  test.each([
    ['remembers nothing', PLAIN],
    ['remembers everything', {}],
  ] as const)('a WebAssembly memory that grows, under a processor that %s', (_, policy) => {
    const wasm = new WebAssembly.Memory({ initial: 4 });
    const { cpu, mapper } = over(flatMemory(wasm), policy);
    const frames = allocator();
    mapper.mapTo(page4(V), frame4(0x9000n), PW, frames).flush();
    expect([writeBy(cpu, V, 0x77n), readBy(cpu, V), mapper.translateAddr(V)]).toEqual([
      'done',
      '0x77',
      0x9000n,
    ]);
    wasm.grow(1);
    expect([readBy(cpu, V), writeBy(cpu, V, 0x78n), readBy(cpu, V)]).toEqual(['0x77', 'done', '0x78']);
    wasm.grow(1);
    expect(mapper.translateAddr(V)).toBe(0x9000n);
    wasm.grow(1);
    mapper.mapTo(page4(V + 0x20_0000n), frame4(0x8000n), PW, frames).flush();
    expect(mapper.translateAddr(V + 0x20_0000n)).toBe(0x8000n);
    wasm.grow(1);
    expect(mapper.level4Table().get(SLOT).bits() & ~0x60n).toBe(0x1003n);
    expect(mapper.unmap(page4(V)).frame.pfn()).toBe(9);
  });
});

describe('accessed and dirty bits', () => {
  const A = 0x20n;
  const D = 0x40n;
  const policy: X86CpuOptions = { caching: 'none', accessedDirty: true };
  const chain = (ram: BigUint64Array) =>
    [LOOP[0], P4_1, P3_2, P2_3, LEAF].map((address) => word(ram, address));

  test('tables that are read through windows are marked accessed, the page itself is not', () => {
    const { mapper, ram } = made(MAPPED, {}, policy);
    expect(mapper.translateAddr(V)).toBe(0x8000n);
    expect(chain(ram)).toEqual([0x1003n | A, 0x2003n | A, 0x3003n | A, 0x4003n | A, 0x8003n]);
  });

  test('a table that is written is marked dirty in the entry that leads to it', () => {
    const { mapper, ram } = made(MAPPED, {}, policy);
    mapper.updateFlags(page4(V), PW);
    expect(chain(ram)).toEqual([0x1003n | A, 0x2003n | A, 0x3003n | A, 0x4003n | A | D, 0x8003n]);
    mapper.setFlagsP3Entry(page4(V), PW);
    // The flags replace the bit that was there.
    expect(chain(ram)).toEqual([0x1003n | A, 0x2003n | A | D, 0x3003n, 0x4003n | A | D, 0x8003n]);
  });

  test('new tables are dirty from the start: they are emptied through their windows', () => {
    const { mapper, allocator, ram } = made([], {}, policy);
    mapper.mapTo(page4(V), frame4(0x9000n), PW, allocator).flush();
    expect(
      [LOOP[0], P4_1, at(0x10000n, 2), at(0x11000n, 3), at(0x12000n, 4)].map((a) => word(ram, a)),
    ).toEqual([0x1003n | A | D, 0x10003n | A | D, 0x11003n | A | D, 0x12003n | A | D, 0x9003n]);
  });

  test('without them nothing is marked', () => {
    const { mapper, ram } = made(MAPPED, {}, PLAIN);
    mapper.updateFlags(page4(V), PW);
    expect(chain(ram)).toEqual([0x1003n, 0x2003n, 0x3003n, 0x4003n, 0x8003n]);
  });
});

describe('a PageTable seen through a processor', () => {
  const shown = (words: readonly Word[] = MAPPED, policy: X86CpuOptions = PLAIN) => {
    const given = made(words, {}, policy);
    // V's level-1 table, in its window.
    return { ...given, table: PageTable.at(given.cpu, windowOf(SLOT, V, 1)) };
  };

  test('get shows an entry, and what is written to it is in memory', () => {
    const { table, ram } = shown();
    expect(table.get(4).bits()).toBe(0x8003n);
    expect(table.get(4).frame().pfn()).toBe(8);
    table.get(5).setAddr(new PhysAddr(0xf_ffff_ffff_f000n), flagsOf(0xfff0_0000_0000_0003n));
    expect(word(ram, at(0x4000n, 5))).toBe(0xffff_ffff_ffff_f003n);
    table.get(5).setFlags(PRESENT);
    expect(word(ram, at(0x4000n, 5))).toBe(0x000f_ffff_ffff_f001n);
    table.get(5).setUnused();
    expect(table.get(5).isUnused()).toBe(true);
  });

  test('set, iter, isEmpty, zero and clone', () => {
    const { table, ram } = shown();
    const entry = new PageTableEntry();
    entry.setAddr(new PhysAddr(0x7000n), PW);
    table.set(511, entry);
    expect(word(ram, at(0x4000n, 511))).toBe(0x7003n);
    const bits = [...table.iter()].map((each) => each.bits());
    expect([bits.length, bits[4], bits[511], bits[0]]).toEqual([512, 0x8003n, 0x7003n, 0n]);
    for (const each of table.iterMut()) if (!each.isUnused()) each.setFlags(PRESENT);
    expect(word(ram, at(0x4000n, 511))).toBe(0x7001n);
    const copy = table.clone();
    expect(table.isEmpty()).toBe(false);
    table.zero();
    expect(table.isEmpty()).toBe(true);
    expect(new Set(ram.subarray(0x4000 / 8, 0x5000 / 8))).toEqual(new Set([0n]));
    // The copy lies in no memory.
    expect([copy.get(4).bits(), copy.get(511).bits()]).toEqual([0x8001n, 0x7001n]);
  });

  test('faults are thrown by whatever reads', () => {
    const { table, cpu, ram } = shown();
    ram[Number(P2_3) / 8] = 0x4002n;
    for (const call of [
      () => table.get(4).bits(),
      () => table.get(4).isUnused(),
      () => table.isEmpty(),
      () => table.clone(),
      () => [...table.iter()].map((entry) => entry.bits()),
      () => table.zero(),
      () => table.get(4).setFlags(PW),
      () => table.set(4, new PageTableEntry()),
      () => PageTable.at(cpu, windowOf(SLOT, V, 1)),
    ]) {
      const error = thrown(call);
      expect(error).toBeInstanceOf(ProcessorFault);
      expect(error).toMatchObject({ code: 'PROCESSOR_FAULT', fault: { because: ['P = 0 in PTE'] } });
    }
    expect(word(ram, LEAF)).toBe(0x8003n);
  });

  test('a table that is read-only can be read, and writing it faults', () => {
    const { table, ram } = shown([...C(3n), [P2_3, 0x4001n], [LEAF, 0x8003n]]);
    expect(table.get(4).bits()).toBe(0x8003n);
    for (const call of [() => table.zero(), () => table.get(4).setUnused()]) {
      expect(thrown(call)).toMatchObject({ code: 'PROCESSOR_FAULT', fault: { errorCode: 3 } });
    }
    expect(word(ram, LEAF)).toBe(0x8003n);
  });

  test('at an address that is not canonical there is none', () => {
    const { cpu } = made();
    expect(thrown(() => PageTable.at(cpu, 0x8000_0000_0000n))).toMatchObject({
      code: 'PROCESSOR_FAULT',
      fault: { exception: '#GP' },
    });
  });

  test('where no memory is there is none', () => {
    const { cpu } = made([...C(3n), [LEAF, 0x9999_9003n]]);
    expect(thrown(() => PageTable.at(cpu, V))).toMatchObject({ code: 'NOT_IN_MEMORY' });
  });
});

describe('OffsetPageTable over a processor: a kernel’s direct map', () => {
  const DIRECT = 0xffff_8880_0000_0000n;
  // The direct map: index 273 at level 4, and 0 at level 3, for 1 GiB from physical 0.
  const DIRECT_MAP: readonly Word[] = [
    [at(0x1000n, 273), 0x7003n],
    [0x7000n, 0x83n],
  ];
  const direct = (words: readonly Word[] = [], policy?: X86CpuOptions) => {
    const given = made([...DIRECT_MAP, ...words], {}, policy);
    const offset = new OffsetPageTable(PageTable.at(given.cpu, DIRECT + 0x1000n), new VirtAddr(DIRECT));
    return { ...given, offset };
  };

  test('its tables are reached through the tables of the processor', () => {
    const { offset, allocator, ram, cpu } = direct();
    offset.mapTo(page4(V), frame4(0x9000n), PW, allocator).flush();
    expect([P4_1, at(0x10000n, 2), at(0x11000n, 3), at(0x12000n, 4)].map((a) => word(ram, a))).toEqual([
      0x10003n,
      0x11003n,
      0x12003n,
      0x9003n,
    ]);
    expect(readBy(cpu, V)).toBe('0x9999');
    // The giant page of the direct map was written through.
    expect(word(ram, 0x7000n)).toBe(0xe3n);
    expect(offset.translateAddr(V + 5n)).toBe(0x9005n);
  });

  test('its flushes are instructions of that processor', () => {
    const { offset, cpu } = direct(MAPPED);
    expect(readBy(cpu, V)).toBe('0x8888');
    const { flush } = offset.unmap(page4(V));
    expect(readBy(cpu, V)).toBe('0x8888');
    flush.flush();
    expect(readBy(cpu, V)).toBe('P = 0 in PTE');
    offset.setFlagsP4Entry(page4(V), PRESENT).flushAll();
    expect(cpu.cr3).toBe(0x1000n);
  });

  test('clean-up gives the tables back', () => {
    const { offset, allocator, cpu } = direct();
    offset.mapTo(page4(V), frame4(0x9000n), PW, allocator).flush();
    offset.unmap(page4(V)).flush.flush();
    offset.cleanUpAddrRange(Page.rangeInclusive(page4(0n), page4(0x7fff_ffff_f000n)), allocator);
    expect(allocator.allocated).toBe(0);
    cpu.reloadCr3();
    expect(readBy(cpu, V)).toBe('P = 0 in PML4E');
  });

  test('a direct map that does not reach a table, or is read-only, is a page fault', () => {
    const { offset, allocator, ram, cpu } = direct([[P4_1, 0x4000_2003n]], PLAIN);
    const error = thrown(() => offset.mapTo(page4(V), frame4(0x9000n), PW, allocator)) as ProcessorFault;
    expect(error).toBeInstanceOf(ProcessorFault);
    expect((error.fault.cr2 ?? 0n) & ~0xfffn).toBe(DIRECT + 0x4000_2000n);
    expect(error.message).toContain('the level-4 entry 1');
    ram[0x7000 / 8] = 0x81n;
    ram[Number(P4_1) / 8] = 0n;
    const before = ram.slice();
    expect(thrown(() => offset.mapTo(page4(V), frame4(0x9000n), PW, allocator))).toBeInstanceOf(
      ProcessorFault,
    );
    expect(ram).toEqual(before);
    // What was not linked went back.
    expect(allocator.allocated).toBe(0);
    expect(cpu.cr2 & ~0xfffn).toBe(DIRECT + 0x10000n);
  });

  test('the processor can be the sink of a mapper that sees its tables elsewhere', () => {
    const { cpu, buffer } = made(MAPPED);
    expect(readBy(cpu, V)).toBe('0x8888');
    const root = PageTable.at(flatMemory(buffer), 0x1000n);
    const offset = new OffsetPageTable(root, VirtAddr.zero(), { sink: cpu });
    const { flush } = offset.unmap(page4(V));
    expect(readBy(cpu, V)).toBe('0x8888');
    flush.flush();
    expect(readBy(cpu, V)).toBe('P = 0 in PTE');
    offset.mapTo(page4(V), frame4(0x8000n), PW, { allocateFrame: () => undefined }).ignore();
    expect(readBy(cpu, V)).toBe('0x8888');
    offset.setFlagsP2Entry(page4(V), PageTableFlags.empty()).flushAll();
    expect(readBy(cpu, V)).toBe('P = 0 in PDE');
  });
});

describe('a recursive mapper and another one over the same RAM', () => {
  test('see each other’s edits', () => {
    const { buffer, mapper, allocator } = made([], {}, PLAIN);
    const offset = new OffsetPageTable(PageTable.at(flatMemory(buffer), 0x1000n), VirtAddr.zero());
    mapper.mapTo(page4(V), frame4(0x9000n), PW, allocator).flush();
    expect(offset.translateAddr(V)).toBe(0x9000n);
    offset.mapTo(page4(V + 0x1000n), frame4(0x8000n), PW.union(GLOBAL), allocator).flush();
    expect(mapper.translateAddr(V + 0x1000n)).toBe(0x8000n);
    expect(mapper.unmap(page4(V + 0x1000n)).frame.pfn()).toBe(8);
    expect(offset.translateAddr(V + 0x1000n)).toBe(undefined);
    expect(offset.unmap(page4(V)).frame.pfn()).toBe(9);
    mapper.cleanUp(allocator);
    expect(allocator.allocated).toBe(0);
    expect(offset.level4Table().get(1).isUnused()).toBe(true);
  });

  test('also where both see them through the processor', () => {
    const words: readonly Word[] = [
      [at(0x1000n, 273), 0x7003n],
      [0x7000n, 0x83n],
    ];
    const { cpu, mapper, allocator } = made(words);
    const direct = 0xffff_8880_0000_0000n;
    const offset = new OffsetPageTable(PageTable.at(cpu, direct + 0x1000n), new VirtAddr(direct));
    offset.mapTo(page4(V), frame4(0x9000n), PW, allocator).flush();
    expect(mapper.translateAddr(V)).toBe(0x9000n);
    expect(readBy(cpu, V)).toBe('0x9999');
    mapper.unmap(page4(V)).flush.flush();
    expect(offset.translateAddr(V)).toBe(undefined);
    expect(readBy(cpu, V)).toBe('P = 0 in PTE');
  });
});

describe('the original’s examples', () => {
  test('of map_to: a page for user mode', () => {
    const { cpu, mapper, allocator } = made([[LOOP[0], 0x1007n]]);
    const flags = PRESENT.union(WRITABLE, USER_ACCESSIBLE);
    mapper.mapTo(page4(V), frame4(0x9000n), flags, allocator).flush();
    cpu.cpl = 3;
    expect(readBy(cpu, V)).toBe('0x9999');
  });

  test('of map_to_with_table_flags: tables get USER_ACCESSIBLE, and new ones are present and writable besides', () => {
    const { mapper, allocator, ram } = made([[P4_1, 0x2003n]], {}, PLAIN);
    const flags = PRESENT.union(WRITABLE, USER_ACCESSIBLE, NO_EXECUTE, NO_CACHE);
    mapper.mapToWithTableFlags(page4(V), frame4(0x9000n), flags, USER_ACCESSIBLE, allocator).flush();
    expect([P4_1, P3_2, at(0x10000n, 3), at(0x11000n, 4)].map((address) => word(ram, address))).toEqual([
      0x2007n,
      0x1_0007n,
      0x1_1007n,
      0x8000_0000_0000_9017n,
    ]);
  });

  test('of clean_up_addr_range: the lower half', () => {
    const { mapper, allocator, ram } = made([], {}, PLAIN);
    for (const address of [V, 0xffff_8000_0000_0000n]) {
      mapper.mapTo(page4(address), frame4(0x9000n), PW, allocator).flush();
      mapper.unmap(page4(address)).flush.flush();
    }
    mapper.cleanUpAddrRange(Page.rangeInclusive(page4(0n), page4(0x7fff_ffff_f000n)), allocator);
    expect([P4_1, LOOP[0], at(0x1000n, 256)].map((address) => word(ram, address))).toEqual([
      0n,
      0x1003n,
      0x1_3003n,
    ]);
    expect(allocator.allocated).toBe(3);
  });
});
