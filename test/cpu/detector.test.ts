/**
 * What the detector of unsafe use finds, and what it must not report. What is a mistake, and what takes it away, follows
 * Intel SDM vol. 3A, section "Caching Translation Information".
 */
import { describe, expect, test } from 'vitest';
import { type DetectorOptions, type Report, X86Cpu } from '../../src/cpu/index.ts';
import { FORMAT_PAE } from '../../src/format/index.ts';
import { flatMemory, type PhysicalMemory } from '../../src/memory/index.ts';
import {
  FreeListFrameAllocator,
  OffsetPageTable,
  Page,
  type PageSize,
  PageTable,
  PageTableFlags,
  PageTableIndex,
  PhysFrame,
  RecursivePageTable,
  Size2MiB,
  VirtAddr,
} from '../../src/x86_64/index.ts';
import { LONG } from '../support/long.ts';
import { createRandom } from '../support/random-tables.ts';

const { PRESENT, WRITABLE, USER_ACCESSIBLE, GLOBAL, NO_EXECUTE, NO_CACHE } = PageTableFlags;
const RW = PRESENT.union(WRITABLE);
const ROOT = 0x1000n;
const OTHER_ROOT = 0x2000n;
const RECURSIVE = 100;
const CR4_PCIDE = 1n << 17n;
const CR4_SMEP = 1n << 20n;
const KEEP = 1n << 63n;
const EFER_NXE = 1n << 11n;

const PAGE = Page.containingAddress(new VirtAddr(0x40_0000n));
const NEIGHBOUR = Page.containingAddress(new VirtAddr(0x40_1000n));
const LARGE = Page.containingAddress(new VirtAddr(0x40_0000n), Size2MiB);
const A = PAGE.startAddress().asU64();
const B = NEIGHBOUR.startAddress().asU64();

/** A machine with a recursive table, a mapper on it, and a detector. */
class World {
  readonly memory: PhysicalMemory = flatMemory(new ArrayBuffer(0x1000 * 4096));
  readonly cpu: X86Cpu;
  readonly frames = new FreeListFrameAllocator([
    PhysFrame.range(PhysFrame.fromPfn(0x10), PhysFrame.fromPfn(0x200)),
  ]);
  readonly mapper: RecursivePageTable;

  constructor(options: DetectorOptions = {}) {
    // Two address spaces, each with a loop.
    this.memory.writeEntry(1, RECURSIVE, 0x1003, 0);
    this.memory.writeEntry(2, RECURSIVE, 0x2003, 0);
    this.cpu = new X86Cpu(this.memory, { cr3: ROOT }, { detector: options });
    const index = new PageTableIndex(RECURSIVE);
    const window = Page.fromPageTableIndices(index, index, index, index);
    this.mapper = new RecursivePageTable(PageTable.at(this.cpu, window.startAddress().asU64()));
  }

  map<S extends PageSize>(page: Page<S>, pfn: number, flags = RW): void {
    this.mapper.mapTo(page, PhysFrame.fromPfn(pfn, page.pageSize), flags, this.frames).flush();
  }

  /** A read that must succeed, by a translation that may be out of date. */
  read(address: bigint): void {
    expect(this.cpu.read(address, 8).kind).toBe('done');
  }

  get kinds(): string[] {
    return this.reports.map(({ kind }) => kind);
  }

  get reports(): readonly Report[] {
    return this.cpu.detector?.reports ?? [];
  }

  get stale(): number {
    return this.cpu.detector?.stale().length ?? 0;
  }

  /** Frame of the table at a level on the way to the page. */
  table(level: number): number {
    let frame = 1;
    for (const [at, index] of [PAGE.p4Index(), PAGE.p3Index(), PAGE.p2Index()].entries()) {
      if (4 - at === level) break;
      frame = this.memory.readEntry(frame, index.value) >>> 12;
    }
    return frame;
  }
}

/**
 * A mistake that somebody planted: `act` makes it unless the due invalidation is done in between.
 */
interface Mistake {
  readonly name: string;
  readonly finds: Report['kind'];
  /** What the message must say was due. */
  readonly due: RegExp;
  readonly act: (world: World, isRight: boolean) => void;
}

const MISTAKES: readonly Mistake[] = [
  {
    name: 'no flush after unmap',
    finds: 'stale-translation',
    due: /INVLPG 0x400000/,
    act: (world, isRight) => {
      world.map(PAGE, 0x800);
      world.read(A);
      const { flush } = world.mapper.unmap(PAGE);
      if (isRight) flush.flush();
      if (isRight) expect(world.cpu.read(A, 1)).toMatchObject({ exception: '#PF', errorCode: 0 });
      else world.read(A);
    },
  },
  {
    name: 'no flush after a remap',
    finds: 'stale-translation',
    due: /INVLPG 0x400000/,
    act: (world, isRight) => {
      world.map(PAGE, 0x800);
      world.read(A);
      const { flush } = world.mapper.unmap(PAGE);
      world.mapper.mapTo(PAGE, PhysFrame.fromPfn(0x801), RW, world.frames).ignore();
      if (isRight) flush.flush();
      world.read(A);
    },
  },
  {
    name: 'no flush after taking the right to write away',
    finds: 'stale-translation',
    due: /INVLPG 0x400000/,
    act: (world, isRight) => {
      world.map(PAGE, 0x800);
      world.cpu.write(A, 1, 1n);
      const flush = world.mapper.updateFlags(PAGE, PRESENT);
      // Reading is no more allowed than before.
      world.read(A);
      if (isRight) flush.flush();
      expect(world.cpu.write(A, 1, 2n).kind).toBe(isRight ? 'fault' : 'done');
    },
  },
  {
    name: 'no flush after forbidding fetches',
    finds: 'stale-translation',
    due: /INVLPG 0x400000/,
    act: (world, isRight) => {
      world.map(PAGE, 0x800);
      world.cpu.fetch(A, 1);
      const flush = world.mapper.updateFlags(PAGE, RW.union(NO_EXECUTE));
      if (isRight) flush.flush();
      expect(world.cpu.fetch(A, 1).kind).toBe(isRight ? 'fault' : 'done');
    },
  },
  {
    name: 'a page becomes a user page under SMEP without a flush',
    finds: 'stale-translation',
    due: /INVLPG/,
    act: (world, isRight) => {
      world.cpu.writeCr4(world.cpu.cr4 | CR4_SMEP);
      world.map(PAGE, 0x800);
      world.mapper.setFlagsP4Entry(PAGE, RW.union(USER_ACCESSIBLE)).flushAll();
      world.mapper.setFlagsP3Entry(PAGE, RW.union(USER_ACCESSIBLE)).flushAll();
      world.mapper.setFlagsP2Entry(PAGE, RW.union(USER_ACCESSIBLE)).flushAll();
      world.cpu.fetch(A, 1);
      const flush = world.mapper.updateFlags(PAGE, RW.union(USER_ACCESSIBLE));
      if (isRight) flush.flush();
      expect(world.cpu.fetch(A, 1).kind).toBe(isRight ? 'fault' : 'done');
    },
  },
  {
    name: 'another memory type without a flush',
    finds: 'stale-translation',
    due: /INVLPG 0x400000/,
    act: (world, isRight) => {
      world.map(PAGE, 0x800);
      world.read(A);
      const flush = world.mapper.updateFlags(PAGE, RW.union(NO_CACHE));
      if (isRight) flush.flush();
      world.read(A);
    },
  },
  {
    name: 'a global page flushed by CR3 alone',
    finds: 'stale-translation',
    due: /INVLPG 0x400000; MOV to CR3 keeps it/,
    act: (world, isRight) => {
      world.map(PAGE, 0x800, RW.union(GLOBAL));
      world.read(A);
      const { flush } = world.mapper.unmap(PAGE);
      world.mapper.mapTo(PAGE, PhysFrame.fromPfn(0x801), RW.union(GLOBAL), world.frames).ignore();
      world.cpu.reloadCr3();
      if (isRight) flush.flush();
      world.read(A);
    },
  },
  {
    name: 'the neighbour was flushed',
    finds: 'stale-translation',
    due: /INVLPG 0x400000/,
    act: (world, isRight) => {
      world.map(PAGE, 0x800);
      world.read(A);
      world.mapper.unmap(PAGE).flush.ignore();
      world.mapper.mapTo(PAGE, PhysFrame.fromPfn(0x801), RW, world.frames).ignore();
      world.cpu.invlpg(isRight ? A : B);
      world.read(A);
    },
  },
  {
    name: 'the wrong PCID was flushed',
    finds: 'stale-translation',
    due: /INVLPG 0x400000/,
    act: (world, isRight) => {
      world.map(PAGE, 0x800);
      world.cpu.writeCr4(world.cpu.cr4 | CR4_PCIDE);
      world.cpu.writeCr3(ROOT | 1n);
      world.read(A);
      world.memory.writeEntry(world.table(1), PAGE.p1Index().value, 0x801_003, 0);
      world.cpu.invpcid(0, isRight ? 1 : 2, A);
      world.read(A);
    },
  },
  {
    name: 'a PCID is used again for another root',
    finds: 'stale-translation',
    due: /MOV to CR3 with bit 63 clear, or INVPCID type 1, for PCID 5/,
    act: (world, isRight) => {
      world.map(PAGE, 0x800);
      // The other address space maps the page elsewhere.
      const other = new OffsetPageTable(PageTable.at(world.memory, OTHER_ROOT), VirtAddr.zero());
      other.mapTo(PAGE, PhysFrame.fromPfn(0x802), RW, world.frames).ignore();
      world.cpu.writeCr4(world.cpu.cr4 | CR4_PCIDE);
      world.cpu.writeCr3(ROOT | 5n);
      world.read(A);
      world.cpu.writeCr3(OTHER_ROOT | 5n | (isRight ? 0n : KEEP));
      world.read(A);
    },
  },
  {
    name: 'an entry above changed, and one page below was flushed',
    finds: 'stale-translation',
    due: /INVLPG for every page below the entry, or MOV to CR3/,
    act: (world, isRight) => {
      world.map(PAGE, 0x800);
      world.map(NEIGHBOUR, 0x801);
      world.cpu.write(A, 1, 1n);
      world.cpu.write(B, 1, 1n);
      const flush = world.mapper.setFlagsP3Entry(PAGE, PRESENT);
      if (isRight) flush.flushAll();
      else world.cpu.invlpg(B);
      expect(world.cpu.write(A, 1, 2n).kind).toBe(isRight ? 'fault' : 'done');
    },
  },
  {
    name: 'a new table in place of another, while the old one is remembered',
    finds: 'stale-translation',
    due: /INVLPG for every page below the entry/,
    act: (world, isRight) => {
      world.map(PAGE, 0x800);
      world.read(A);
      // The page directory's entry leads to a copy of the page table with another page in it.
      world.memory.writeEntry(0x300, PAGE.p1Index().value, 0x801_003, 0);
      world.memory.writeEntry(0x300, NEIGHBOUR.p1Index().value, 0x802_003, 0);
      world.memory.writeEntry(world.table(2), PAGE.p2Index().value, 0x300_003, 0);
      if (isRight) world.cpu.reloadCr3();
      // Nothing is remembered of the neighbour but the way to its table.
      if (isRight) world.read(B);
      else expect(world.cpu.read(B, 1)).toMatchObject({ kind: 'fault', fromCache: true });
      world.read(A);
    },
  },
  {
    name: 'clean-up without flushAll, and a table used anew',
    finds: 'freed-frame-reused',
    due: /MOV to CR3/,
    act: (world, isRight) => {
      world.map(PAGE, 0x800);
      world.read(A);
      world.mapper.unmap(PAGE).flush.flush();
      world.mapper.cleanUp(world.frames);
      if (isRight) world.cpu.reloadCr3();
      const far = Page.containingAddress(new VirtAddr(0x80_0000_0000n));
      world.mapper.mapTo(far, PhysFrame.fromPfn(0x800), RW, world.frames).flush();
    },
  },
  {
    name: 'a table is freed while an entry points to it',
    finds: 'freed-table-used',
    due: /still points to it/,
    act: (world, isRight) => {
      world.map(PAGE, 0x800);
      const table = world.table(1);
      if (isRight) world.memory.writeEntry(world.table(2), PAGE.p2Index().value, 0, 0);
      world.cpu.detector?.frameFreed(table);
      world.cpu.reloadCr3();
      expect(world.cpu.read(A, 1).kind).toBe(isRight ? 'fault' : 'done');
    },
  },
  {
    name: 'another page size and another frame in one step',
    finds: 'unsafe-change',
    due: /P = 0 in the entry, an invalidation, and only then/,
    act: (world, isRight) => {
      world.map(LARGE, 0x800);
      world.read(A);
      const entry = PageTable.at(world.cpu, windowOf(PAGE, 2)).get(PAGE.p2Index());
      world.memory.writeEntry(0x300, PAGE.p1Index().value, 0xc00_003, 0);
      if (isRight) entry.setUnused();
      if (isRight) world.cpu.invlpg(A);
      entry.setFrame(PhysFrame.fromPfn(0x300), RW);
      world.cpu.invlpg(A);
      world.read(A);
    },
  },
];

/** Where the table appears in the window that holds the page's entry of a level. */
function windowOf(page: Page, level: number): bigint {
  const r = new PageTableIndex(RECURSIVE);
  const [i4, i3, i2] = [page.p4Index(), page.p3Index(), page.p2Index()];
  const indexes = { 1: [r, i4, i3, i2], 2: [r, r, i4, i3], 3: [r, r, r, i4] }[level] ?? [r, r, r, r];
  const [a, b, c, d] = indexes;
  return Page.fromPageTableIndices(a, b, c, d).startAddress().asU64();
}

describe('planted mistakes', () => {
  test.each(MISTAKES)('$name: found', ({ finds, due, act }) => {
    const world = new World();
    act(world, false);
    expect(world.kinds).toContain(finds);
    const messages = world.reports.filter(({ kind }) => kind === finds).map(({ message }) => message);
    expect(messages.join('\n')).toMatch(due);
  });

  test.each(MISTAKES)('$name: nothing where it is done right', ({ act }) => {
    const world = new World();
    act(world, true);
    expect(world.reports.map(({ message }) => message)).toEqual([]);
    expect(world.stale).toBe(0);
  });

  test('PAE: the PDPTE changed, and CR3 was not loaded again', () => {
    for (const isRight of [false, true]) {
      const memory = flatMemory(new ArrayBuffer(0x100 * 4096));
      memory.writeEntry(1, 0, 0x2001, 0);
      for (const [directory, table, page] of [
        [2, 4, 0x10],
        [3, 5, 0x11],
      ]) {
        memory.writeEntry(directory, 0, (table << 12) | 3, 0);
        memory.writeEntry(table, 0, (page << 12) | 3, 0);
      }
      const cpu = new X86Cpu(memory, { cr3: 0x1000n }, { mode: FORMAT_PAE, detector: true });
      expect(cpu.read(0n, 1).kind).toBe('done');
      memory.writeEntry(1, 0, 0x3001, 0);
      if (isRight) cpu.reloadCr3();
      else cpu.invlpg(0n);
      expect(cpu.read(0n, 1).kind).toBe('done');
      const due = cpu.detector?.reports.map((report) => ('due' in report ? report.due : ''));
      expect(due).toEqual(isRight ? [] : ['MOV to CR3, which loads the PDPTEs']);
    }
  });
});

describe('what is no mistake', () => {
  test('an entry that becomes present needs no flush', () => {
    const world = new World();
    world.map(NEIGHBOUR, 0x801);
    expect(world.cpu.read(A, 1).kind).toBe('fault');
    world.mapper.mapTo(PAGE, PhysFrame.fromPfn(0x800), RW, world.frames).ignore();
    world.read(A);
    expect(world.reports).toEqual([]);
  });

  test('rights that only widen need none: at worst an access faults once', () => {
    const world = new World();
    world.map(PAGE, 0x800, PRESENT);
    world.read(A);
    world.mapper.updateFlags(PAGE, RW).ignore();
    expect(world.cpu.write(A, 1, 1n)).toMatchObject({ kind: 'fault', errorCode: 3, fromCache: true });
    expect(world.cpu.write(A, 1, 1n).kind).toBe('done');
    expect(world.reports).toEqual([]);
  });

  test('a large page may become small ones that translate alike', () => {
    const world = new World();
    world.map(LARGE, 0x800);
    world.read(A);
    for (let index = 0; index < 512; index += 1) {
      world.memory.writeEntry(0x300, index, ((0x800 + index) << 12) | 3, 0);
    }
    PageTable.at(world.cpu, windowOf(PAGE, 2)).get(PAGE.p2Index()).setFrame(PhysFrame.fromPfn(0x300), RW);
    world.read(A);
    expect(world.reports).toEqual([]);
    expect(world.stale).toBe(0);
  });

  test('what nobody uses any more is not reported, but listed', () => {
    const world = new World();
    world.map(PAGE, 0x800);
    world.read(A);
    world.mapper.unmap(PAGE).flush.ignore();
    expect(world.reports).toEqual([]);
    expect(world.cpu.detector?.stale()).toMatchObject([
      { remembered: 'translation', address: A, shift: 12, difference: 'not mapped', due: 'INVLPG 0x400000' },
    ]);
    world.cpu.invlpg(A);
    expect(world.stale).toBe(0);
  });
});

describe('address spaces', () => {
  test('what belongs to a PCID that is not loaded may be out of date until it is loaded with a flush', () => {
    const world = new World();
    const { cpu } = world;
    world.map(PAGE, 0x800);
    cpu.writeCr4(cpu.cr4 | CR4_PCIDE);
    cpu.writeCr3(ROOT | 5n);
    world.read(A);
    cpu.writeCr3(OTHER_ROOT | 1n | KEEP);
    const table = world.table(1);
    world.memory.writeEntry(world.table(2), PAGE.p2Index().value, 0, 0);
    cpu.detector?.frameFreed(table);
    cpu.detector?.frameAllocated(table);
    expect(world.reports).toEqual([]);
    expect(world.stale).toBe(0);
    const ofPcid5 = () => cpu.detector?.stale({ allSpaces: true }).filter(({ space }) => space === 5);
    expect(ofPcid5()?.map(({ remembered }) => remembered)).toEqual(['translation', 'table']);
    cpu.writeCr3(ROOT | 5n);
    expect(ofPcid5()).toEqual([]);
    expect(world.reports).toEqual([]);
  });
});

describe('the cause', () => {
  test('is the entry that explains the difference, not one above that merely changed', () => {
    const world = new World();
    world.map(PAGE, 0x800);
    world.read(A);
    // Right: the entries above get U/S.
    world.map(NEIGHBOUR, 0x801, RW.union(USER_ACCESSIBLE));
    world.mapper.unmap(PAGE).flush.ignore();
    world.read(A);
    expect(world.reports).toMatchObject([{ change: { entry: 'PTE' }, due: 'INVLPG 0x400000' }]);
  });

  test('is no write that came before the last change, if that was made elsewhere', () => {
    const world = new World();
    world.map(PAGE, 0x800);
    world.mapper.updateFlags(PAGE, PRESENT).flush();
    world.read(A);
    world.memory.writeEntry(world.table(1), PAGE.p1Index().value, 0x801_001, 0);
    world.read(A);
    expect(world.reports).toMatchObject([{ change: { write: undefined }, done: [] }]);
  });

  test('one write that makes many pages stale is one report', () => {
    const world = new World();
    const pages = Array.from({ length: 20 }, (_, i) => PAGE.add(i));
    for (const page of pages) world.map(page, 0x800);
    for (const page of pages) world.read(page.startAddress().asU64());
    world.mapper.setFlagsP2Entry(PAGE, WRITABLE).ignore();
    for (const page of pages) world.read(page.startAddress().asU64());
    expect(world.kinds).toEqual(['stale-translation']);
  });

  test('a page size is changed unsafely also where the table was seen through the window before', () => {
    const world = new World();
    world.map(PAGE, 0x800);
    world.read(A);
    const entry = windowOf(PAGE, 2) + 8n * BigInt(PAGE.p2Index().value);
    expect(world.cpu.write(entry, 8, 0xa0_0083n).kind).toBe('done');
    expect(world.kinds).toContain('unsafe-change');
  });
});

describe('what else is found', () => {
  test('a page is unmapped, and its frame is used anew while the TLB still has it', () => {
    for (const isRight of [false, true]) {
      const world = new World();
      world.map(PAGE, 0x800);
      world.read(A);
      const { frame, flush } = world.mapper.unmap(PAGE);
      if (isRight) flush.flush();
      world.cpu.detector?.frameFreed(frame.pfn());
      world.cpu.detector?.frameAllocated(frame.pfn());
      expect(world.kinds).toEqual(isRight ? [] : ['freed-frame-reused']);
    }
  });

  test('a dirty bit that was cleared without a flush, where that is asked for', () => {
    for (const dirty of [false, true]) {
      const world = new World({ dirty });
      world.map(PAGE, 0x800);
      world.cpu.write(A, 1, 1n);
      world.mapper.updateFlags(PAGE, RW).ignore();
      world.cpu.write(A, 1, 2n);
      expect(world.reports.map((report) => 'difference' in report && report.difference)).toEqual(
        dirty ? ['dirty'] : [],
      );
    }
  });

  test('a walk that ends in a fault went through a freed table all the same', () => {
    const world = new World();
    world.map(PAGE, 0x800);
    world.read(A);
    const table = world.table(1);
    world.memory.writeEntry(world.table(2), PAGE.p2Index().value, 0, 0);
    world.cpu.detector?.frameFreed(table);
    expect(world.cpu.read(B, 1).kind).toBe('fault');
    expect(world.reports).toMatchObject([{ kind: 'freed-table-used', by: 'remembered' }]);
  });

  test('an entry of PAT that is the same memory type is no other type', () => {
    const world = new World();
    world.map(PAGE, 0x800);
    world.read(A);
    // PAT is set: entry 4 instead of 0, both WB after reset.
    world.memory.writeEntry(world.table(1), PAGE.p1Index().value, 0x80_00a3, 0);
    world.read(A);
    expect(world.reports).toEqual([]);
  });

  test('what is no frame number is refused', () => {
    const { detector } = new World().cpu;
    expect(() => detector?.frameFreed(0x4000n as never)).toThrow(/expected a frame number/);
  });
});

describe('a report', () => {
  test('names the entry before and after, the write, and what was done instead', () => {
    const world = new World({ traces: true });
    world.map(PAGE, 0x800, RW.union(GLOBAL));
    world.read(A + 8n);
    world.mapper.unmap(PAGE).flush.ignore();
    world.cpu.reloadCr3();
    world.read(A + 8n);
    expect(world.reports).toHaveLength(1);
    const [report] = world.reports;
    expect(report).toMatchObject({
      kind: 'stale-translation',
      access: { kind: 'read', user: false },
      accessed: A + 8n,
      remembered: 'translation',
      address: A,
      difference: 'not mapped',
      used: 0x80_0000n,
      current: undefined,
      change: {
        entry: 'PTE',
        address: BigInt(world.table(1)) * 4096n,
        // A is 0 in the entry that the mapper wrote; the access has set it.
        before: 0x80_0123n,
        after: 0n,
      },
      done: [{ instruction: 'MOV to CR3', left: 'keeps global translations' }],
    });
    if (report.kind !== 'stale-translation') throw new Error('not reached');
    expect(report.change?.write?.address).toBe(windowOf(PAGE, 1));
    expect(report.change?.write?.trace[0]).toContain('detector.test.ts');
  });

  test('comes again when the mistake is made again, and clear() begins anew', () => {
    const world = new World();
    const mistake = () => {
      world.map(PAGE, 0x800);
      world.read(A);
      const { flush } = world.mapper.unmap(PAGE);
      world.read(A);
      world.read(A);
      flush.flush();
    };
    mistake();
    mistake();
    expect(world.kinds).toEqual(['stale-translation', 'stale-translation']);
    world.cpu.detector?.clear();
    expect(world.reports).toEqual([]);
    expect(world.cpu.detector?.count).toBe(0);
    mistake();
    expect(world.kinds).toEqual(['stale-translation']);
  });

  test('an access from inside onReport is refused, and the one it is about goes on', () => {
    const codes: unknown[] = [];
    const world = new World({
      onReport: () => {
        for (const call of [() => world.cpu.read(B, 8), () => world.cpu.write(B, 8, 1n)]) {
          expect(call).toThrow(expect.objectContaining({ code: 'REENTERED' }));
          codes.push('refused');
        }
      },
    });
    world.map(PAGE, 0x800);
    world.map(NEIGHBOUR, 0x801);
    world.read(A);
    world.cpu.write(B, 8, 5n);
    world.cpu.write(A, 8, 0x77n);
    world.mapper.unmap(PAGE).flush.ignore();
    expect(world.cpu.read(A, 8)).toEqual({ kind: 'done', value: 0x77n });
    expect(codes).toHaveLength(2);
    expect(world.cpu.read(B, 8)).toEqual({ kind: 'done', value: 5n });
  });

  test('names a control register where no entry has changed', () => {
    const world = new World();
    world.map(PAGE, 0x800);
    world.cpu.writeEfer(world.cpu.efer & ~EFER_NXE);
    world.cpu.write(A, 1, 1n);
    world.mapper.updateFlags(PAGE, RW.union(NO_EXECUTE)).flush();
    // Reserved now, and remembered as soon as it is not.
    world.cpu.writeEfer(world.cpu.efer | EFER_NXE);
    world.read(A);
    world.cpu.writeEfer(world.cpu.efer & ~EFER_NXE);
    world.read(A);
    expect(world.reports).toMatchObject([{ difference: 'not mapped', change: undefined }]);
    expect(world.reports[0]?.message).toContain('control register');
  });

  test('comes once, is handed out, and is counted beyond the limit', () => {
    const told: Report[] = [];
    const world = new World({ limit: 1, onReport: (report) => told.push(report) });
    for (const page of [PAGE, NEIGHBOUR]) {
      world.map(page, 0x800);
      world.read(page.startAddress().asU64());
      world.mapper.unmap(page).flush.ignore();
      world.read(page.startAddress().asU64());
      world.read(page.startAddress().asU64());
    }
    expect(world.reports).toHaveLength(1);
    expect(world.cpu.detector?.count).toBe(2);
    expect(told).toHaveLength(2);
  });

  test('without a detector there is none, and it refuses a processor that remembers nothing', () => {
    const memory = flatMemory(new ArrayBuffer(0x10 * 4096));
    expect(new X86Cpu(memory).detector).toBe(undefined);
    expect(() => new X86Cpu(memory, {}, { detector: true, caching: 'none' })).toThrow(/caching/);
  });
});

describe('silence', () => {
  const OPERATIONS = LONG ? 100_000 : 8_000;

  /** Random calls, each flushed as its flush value says, with accesses in between. */
  function exercise(seed: number, operations: number, flushes = true): World {
    const world = new World();
    const { mapper, cpu, frames } = world;
    const random = createRandom(seed);
    const pages = Array.from({ length: 48 }, () =>
      Page.containingAddress(
        VirtAddr.newTruncate(
          (BigInt(random.pick([0, 1, 255, 256, 511])) << 39n) |
            (BigInt(random.below(2)) << 30n) |
            (BigInt(random.below(3)) << 21n) |
            (BigInt(random.below(4)) << 12n),
        ),
      ),
    );
    const flags = [RW, PRESENT, RW.union(USER_ACCESSIBLE), PRESENT.union(NO_EXECUTE), RW.union(NO_CACHE)];
    /** Calls that the tables refuse change nothing, or widen. */
    const attempt = (call: () => void) => {
      try {
        call();
      } catch (error) {
        expect(error).toHaveProperty('kind');
      }
    };
    for (let i = 0; i < operations; i += 1) {
      const page = random.pick(pages);
      const address = page.startAddress().asU64();
      const choice = random.below(100);
      const pfn = 0x400 + random.below(0x400);
      if (choice < 25) {
        // A translation that is flushed page by page may be global.
        const wanted = random.chance(0.2) ? random.pick(flags).union(GLOBAL) : random.pick(flags);
        attempt(() => mapper.mapTo(page, PhysFrame.fromPfn(pfn), wanted, frames).flush());
      } else if (choice < 40) {
        attempt(() => {
          const { flush } = mapper.unmap(page);
          if (flushes) flush.flush();
        });
      } else if (choice < 50) {
        attempt(() => mapper.updateFlags(page, random.pick(flags)).flush());
      } else if (choice < 52) {
        // The flush of an entry above goes through CR3, which keeps global pages: there are none below for a while.
        unmapGlobals(world, pages);
        attempt(() => mapper.setFlagsP3Entry(page, random.pick([RW, RW.union(USER_ACCESSIBLE)])).flushAll());
      } else if (choice < 54) {
        mapper.cleanUp(frames);
        cpu.reloadCr3();
      } else if (choice < 58) {
        mapper.translateAddr(address);
      } else {
        cpu.cpl = random.chance(0.3) ? 3 : 0;
        const kind = random.below(3);
        if (kind === 0) cpu.read(address + 8n, 8);
        else if (kind === 1) cpu.write(address + 16n, 4, 7n);
        else cpu.fetch(address, 3);
        cpu.cpl = 0;
      }
      if (world.reports.length > 0) break;
    }
    return world;
  }

  function unmapGlobals({ mapper }: World, pages: readonly Page[]): void {
    for (const page of pages) {
      const found = mapper.translate(page.startAddress());
      if (found.kind === 'Mapped' && found.flags.contains(GLOBAL)) mapper.unmap(page).flush.flush();
    }
  }

  test(`${OPERATIONS} random operations that are flushed as their flush values say`, () => {
    for (let seed = 1; seed <= 4; seed += 1) {
      const world = exercise(seed, OPERATIONS / 4);
      expect(world.reports.map(({ message }) => `seed ${seed}: ${message}`)).toEqual([]);
      expect(world.stale, `seed ${seed}`).toBe(0);
    }
  });

  test.each([1, 2, 3])('the same without the flushes of unmapped pages is not silent: seed %i', (seed) => {
    expect(exercise(seed, 2000, false).kinds).toContain('stale-translation');
  });
});
