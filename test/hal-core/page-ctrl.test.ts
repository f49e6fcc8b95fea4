// Expected values: notes on mycelium, X1 to X38.
import { describe, expect, test } from 'vitest';
import type { ErrorCode, PageTableError } from '../../src/bits/index.ts';
import { ProcessorFault } from '../../src/cpu/index.ts';
import {
  AllocError,
  EmptyAlloc,
  PAddr,
  Size1Gb,
  Size2Mb,
  Size4Kb,
  TranslateError,
} from '../../src/hal-core/index.ts';
import { windowOf } from '../../src/hal-core/tables.ts';
import { base, CR0_WP, frame, frameOf, hex, Machine, page, pageOf, virt, WINDOW } from './machine.ts';
import { refused } from './thrown.ts';

const PML4 = 0x1000n;
const F1 = 0x1_0000n;
const F2 = 0x1_1000n;
const F3 = 0x1_2000n;
const F4 = 0x1_3000n;
const at = (table: bigint, index: number) => table + 8n * BigInt(index);

/** Tables down to a PT for the first 2 MiB. */
const TABLES = [
  [PML4, F1 | 3n],
  [F1, F2 | 3n],
  [F2, F3 | 3n],
] as const;

/** A machine with these tables, all else in them being 0, and with other words. */
function madeWith(...words: readonly (readonly [bigint, bigint])[]): Machine {
  const machine = new Machine();
  for (const table of [F1, F2, F3]) for (let i = 0; i < 512; i += 1) machine.poke(at(table, i), 0n);
  for (const [address, value] of [...TABLES, ...words]) machine.poke(address, value);
  machine.alloc.next = F4;
  return machine;
}

/** Expects a call to be refused, with nothing changed and no frame kept. */
function refusedWhole(
  machine: Machine,
  call: () => unknown,
  code: ErrorCode,
  says: string | RegExp = '',
): PageTableError {
  const frames = machine.alloc.used;
  const errors: PageTableError[] = [];
  expect(machine.changedBy(() => errors.push(refused(call, code, says)))).toEqual([]);
  expect(machine.alloc.used).toBe(frames);
  return errors[0];
}

describe('initPaging and current', () => {
  const fresh = (...words: readonly (readonly [bigint, bigint])[]) =>
    new Machine({ words, initialised: false });

  test('X1: entry 511 points back, and CR3 is written back', () => {
    const machine = fresh();
    machine.mm.initPaging(virt(WINDOW));
    expect(machine.peek(0x1ff8n)).toBe(0x1003n);
    expect(machine.log).toEqual(['cr3 0x1000']);
    expect(machine.mm.vmOffset().asUsize()).toBe(WINDOW);
  });

  test('X2: an entry that is present is refused', () => {
    const machine = fresh([0x1ff8n, 0x5001n]);
    const error = refusedWhole(
      machine,
      () => machine.mm.initPaging(virt(WINDOW)),
      'ALREADY_MAPPED',
      'entry 511 of the PML4 is in use: Entry { level: PML4, addr: PAddr(0x5000), flags: PRESENT }',
    );
    expect(error.detail).toEqual({ entry: 0x5001n });
    refused(() => machine.mm.current(), 'NOT_RECURSIVE');
  });

  test('X3: bits of an entry that is not present stay', () => {
    const machine = fresh([0x1ff8n, 0x8000_0000_0055_5f80n]);
    machine.mm.initPaging(virt(WINDOW));
    expect(machine.peek(0x1ff8n)).toBe(0x8000_0000_0000_1f83n);
  });

  test('X4: CR3 with any of its low bits is refused', () => {
    const machine = new Machine({ registers: { cr3: 0x1018n }, initialised: false });
    expect(
      refusedWhole(machine, () => machine.mm.initPaging(virt(WINDOW)), 'MISALIGNED', 'CR3 is 0x1018').detail,
    ).toEqual({ cr3: 0x1018n });
    const later = new Machine();
    later.cpu.writeCr3(0x1008n);
    refused(() => later.mm.current(), 'MISALIGNED', 'current: CR3 is 0x1008');
  });

  test('X5: before it there is no controller, and no window', () => {
    const { mm } = fresh();
    refused(() => mm.current(), 'NOT_RECURSIVE', 'current: paging was not initialised');
    refused(() => mm.vmOffset(), 'NOT_RECURSIVE');
    refused(() => mm.kernelVaddrOf(PAddr.zero()), 'NOT_RECURSIVE');
    refused(() => mm.kernelPaddrOf(virt(0n)), 'NOT_RECURSIVE');
  });

  test('the window shows physical memory at an offset', () => {
    const { mm } = new Machine();
    expect(mm.kernelVaddrOf(PAddr.fromUsize(0xb8000n)).asUsize()).toBe(0x1000_000b_8000n);
    expect(mm.kernelPaddrOf(virt(0x1000_000b_8000n)).asUsize()).toBe(0xb8000n);
    refused(
      () => mm.kernelPaddrOf(virt(0xb8000n)),
      'OUT_OF_RANGE',
      'kernelPaddrOf: VAddr(0xb8000) is below the window; expected an address from VAddr(0x100000000000) on',
    );
    refused(() => mm.kernelVaddrOf(PAddr.fromUsize(0x000f_ffff_ffff_f000n)), 'OUT_OF_RANGE');
  });

  test('processors do not know of each other', () => {
    const [one, other] = [new Machine(), fresh()];
    expect(one.ctrl.translateAddr(virt(0n))).toBe(undefined);
    refused(() => other.mm.current(), 'NOT_RECURSIVE');
  });
});

describe('where tables are seen', () => {
  test('X6: the indices of 0x123456789000 are 36, 209, 179, 393', () => {
    const machine = new Machine();
    machine.ctrl.mapPage(page(0x1234_5678_9000n), frame(0xb8000n), machine.alloc);
    expect([machine.used(PML4), machine.used(F1), machine.used(F2), machine.used(F3)]).toEqual([
      [hex(at(PML4, 36)), '0x1ff8'],
      [hex(at(F1, 209))],
      [hex(at(F2, 179))],
      [hex(at(F3, 393))],
    ]);
  });

  test.each([
    ['X7', 0x1234_5678_9000n, [0xffff_ffff_ffe2_4000n, 0xffff_ffff_c48d_1000n, 0xffff_ff89_1a2b_3000n]],
    ['X8', 0xffff_8000_0000_0000n, [0xffff_ffff_fff0_0000n, 0xffff_ffff_e000_0000n, 0xffff_ffc0_0000_0000n]],
    ['X9', 0x7fff_ffff_f000n, [0xffff_ffff_ffef_f000n, 0xffff_ffff_dfff_f000n, 0xffff_ffbf_ffff_f000n]],
  ])('%s: PDPT, PD and PT of %s', (_, address, tables) => {
    expect([3, 2, 1].map((level) => windowOf(level, address))).toEqual(tables);
  });
});

describe('mapPage', () => {
  test('X10: makes tables, clears them, maps, and flushes with the commit (frames-before-tables)', () => {
    const machine = new Machine();
    const handle = machine.ctrl.mapPage(page(0x1234_5678_9000n), frame(0xb8000n), machine.alloc);
    handle.setWritable(true).setExecutable(false).commit();
    expect(
      [at(PML4, 36), at(F1, 209), at(F2, 179), at(F3, 393)].map((address) => machine.peek(address)),
    ).toEqual([0x10003n, 0x11003n, 0x12003n, 0x8000_0000_000b_8003n]);
    for (const table of [F1, F2, F3]) expect(machine.used(table)).toHaveLength(1);
    // The original takes each frame just before it links it.
    expect(machine.log).toEqual([
      'alloc 0x10000',
      'alloc 0x11000',
      'alloc 0x12000',
      'clear 0xffffffffffe24000',
      'clear 0xffffffffc48d1000',
      'clear 0xffffff891a2b3000',
      'invlpg 0x123456789000',
    ]);
  });

  test('X11: a new page is read-only, executable and present', () => {
    const machine = new Machine();
    const handle = machine.ctrl.mapPage(page(0x1000n), frame(0x5000n), machine.alloc);
    expect([handle.isWritable(), handle.isExecutable(), handle.isPresent()]).toEqual([false, true, true]);
    expect(handle.virtPage().equals(page(0x1000n))).toBe(true);
  });

  test('X12, X13: the entry is address and presence; the page cannot be mapped again, not even to the same frame', () => {
    const machine = madeWith();
    machine.ctrl.mapPage(page(0x1000n), frame(0x5000n), machine.alloc);
    expect(machine.peek(at(F3, 1))).toBe(0x5001n);
    for (const address of [0x5000n, 0x6000n]) {
      refusedWhole(
        machine,
        () => machine.ctrl.mapPage(page(0x1000n), frame(address), machine.alloc),
        'ALREADY_MAPPED',
        'Page { base: VAddr(0x1000), size: 4KB } is in use: Entry { level: PT, addr: PAddr(0x5000), flags: PRESENT }',
      );
    }
  });

  test('X14: with all tables there, nothing is allocated', () => {
    const machine = madeWith([at(F3, 1), 0x5001n]);
    machine.ctrl.mapPage(page(0x2000n), frame(0x6000n), new EmptyAlloc()).commit();
    expect(machine.peek(at(F3, 2))).toBe(0x6001n);
    expect(machine.log).toEqual(['invlpg 0x2000']);
  });

  test('X15: without a frame for the first table it says which', () => {
    const machine = new Machine();
    const error = refusedWhole(
      machine,
      () => machine.ctrl.mapPage(page(0x1000n), frame(0x5000n), new EmptyAlloc()),
      'OUT_OF_FRAMES',
      'no frame for the PDPT of Page { base: VAddr(0x1000), size: 4KB }: the allocator has no frames left',
    );
    expect(error.cause).toMatchObject({ name: 'AllocError' });
  });

  test('X16: without a frame for the third table nothing is linked, and frames go back (frames-before-tables)', () => {
    const machine = new Machine({ frames: 2 });
    // The original leaves PML4[0] and the first entry of the PDPT behind.
    refusedWhole(
      machine,
      () => machine.ctrl.mapPage(page(0x1000n), frame(0x5000n), machine.alloc),
      'OUT_OF_FRAMES',
      'no frame for the PT of',
    );
    expect(machine.log).toEqual(['alloc 0x10000', 'alloc 0x11000', 'dealloc 0x11000', 'dealloc 0x10000']);
  });

  test('X17: a read-only table becomes writable, with an INVLPG of the page', () => {
    const machine = madeWith([PML4, F1 | 1n]);
    const handle = machine.ctrl.mapPage(page(0x2000n), frame(0x6000n), machine.alloc);
    expect([machine.peek(PML4), machine.log]).toEqual([0x10003n, ['invlpg 0x2000']]);
    handle.commit();
    expect(machine.log).toEqual(['invlpg 0x2000', 'invlpg 0x2000']);
  });

  test('X18: NX of a table stays', () => {
    const machine = madeWith([PML4, 0x8000_0000_0001_0003n]);
    machine.ctrl.mapPage(page(0x2000n), frame(0x6000n), machine.alloc);
    expect(machine.peek(PML4)).toBe(0x8000_0000_0001_0003n);
  });

  test('X19: bit 7 in the place of a missing table is refused', () => {
    const machine = madeWith([at(F2, 1), 0x80n]);
    const error = refusedWhole(
      machine,
      () => machine.ctrl.mapPage(page(0x20_0000n), frame(0x6000n), machine.alloc),
      'HUGE_PAGE',
      'Page { base: VAddr(0x200000), size: 4KB } has no PT: Entry { level: PD, addr: PAddr(0x0), flags: HUGE } has bit 7',
    );
    expect(error.detail).toEqual({ entry: 0x80n });
  });

  test('X20: bit 7 in a PT entry that is not present is refused', () => {
    const machine = madeWith([at(F3, 2), 0x80n]);
    refusedWhole(
      machine,
      () => machine.ctrl.mapPage(page(0x2000n), frame(0x6000n), machine.alloc),
      'HUGE_PAGE',
      'level: PT',
    );
  });

  test('X21: other bits of an entry that is not present stay', () => {
    const machine = madeWith([at(F3, 2), 0x8000_0000_0077_7f66n]);
    machine.ctrl.mapPage(page(0x2000n), frame(0x5000n), machine.alloc);
    expect(machine.peek(at(F3, 2))).toBe(0x8000_0000_0000_5f67n);
  });

  test('X22: and those in the place of a missing table', () => {
    const machine = new Machine({ words: [[PML4, 0x8000_0000_0077_7f64n]] });
    machine.ctrl.mapPage(page(0x2000n), frame(0x5000n), machine.alloc);
    expect(machine.peek(PML4)).toBe(0x8000_0000_0001_0f67n);
  });

  test('X23, X24: a page made not present is not mapped, and can be mapped again', () => {
    const machine = madeWith();
    const { ctrl, alloc } = machine;
    ctrl.mapPage(page(0x1000n), frame(0x5000n), alloc).setWritable(true).setPresent(false).commit();
    expect(machine.peek(at(F3, 1))).toBe(0x5002n);
    refused(() => ctrl.translatePage(page(0x1000n)), 'NOT_MAPPED');
    ctrl.mapPage(page(0x1000n), frame(0x7000n), alloc);
    expect(machine.peek(at(F3, 1))).toBe(0x7003n);
  });

  test('X25: mapRange over two PTs takes frames as it goes on', () => {
    const machine = new Machine();
    const called: string[] = [];
    machine.ctrl.mapRange(
      page(0x1f_f000n).rangeInclusive(page(0x20_1000n)),
      frame(0x2_0000n).rangeInclusive(frame(0x2_2000n)),
      (handle) => machine.log.push(`callback ${hex(base(handle.virtPage()))}`) && called.push(''),
      machine.alloc,
    );
    expect(
      [at(F2, 0), at(F2, 1), at(F3, 511), at(F4, 0), at(F4, 1)].map((address) => machine.peek(address)),
    ).toEqual([0x12003n, 0x13003n, 0x20001n, 0x21001n, 0x22001n]);
    expect(machine.log.filter((line) => !line.startsWith('clear'))).toEqual([
      'alloc 0x10000',
      'alloc 0x11000',
      'alloc 0x12000',
      'callback 0x1ff000',
      'invlpg 0x1ff000',
      'alloc 0x13000',
      'callback 0x200000',
      'invlpg 0x200000',
      'callback 0x201000',
      'invlpg 0x201000',
    ]);
  });

  test('X34: the PML4, seen as a page, is in use', () => {
    const machine = new Machine();
    refusedWhole(
      machine,
      () => machine.ctrl.mapPage(page(0xffff_ffff_ffff_f000n), frame(0x5000n), machine.alloc),
      'ALREADY_MAPPED',
    );
  });

  test('X35: through slot 511, the PML4 is the PDPT of a page', () => {
    const machine = new Machine();
    machine.ctrl.mapPage(page(0xffff_ff80_0000_0000n), frame(0x5000n), machine.alloc);
    expect([PML4, F1, F2].map((address) => machine.peek(address))).toEqual([0x10003n, 0x11003n, 0x5001n]);
    expect(machine.alloc.used).toBe(2);
  });

  test('the original’s test: page 0 is mapped and written to', () => {
    const machine = madeWith();
    machine.ctrl.mapPage(page(0n), frame(0xb8000n), new EmptyAlloc()).setWritable(true).commit();
    expect(machine.cpu.write(3200n, 8, 0x2f592f412f4b2f4fn)).toMatchObject({ kind: 'done' });
    expect(machine.peek(0xb8000n + 3200n)).toBe(0x2f592f412f4b2f4fn);
  });

  test('the original’s test: identityMap, and what it maps to', () => {
    const machine = new Machine();
    const { ctrl, alloc } = machine;
    ctrl.identityMap(frame(0xb8000n), alloc).setWritable(true).commit();
    expect(base(ctrl.translatePage(page(0xb8000n)))).toBe(0xb8000n);
  });
});

describe('translatePage', () => {
  const wrongSize = (machine: Machine, call: () => unknown) => {
    const error = refusedWhole(machine, call, 'HUGE_PAGE') as TranslateError;
    expect(error).toBeInstanceOf(TranslateError);
    return [error.kind, error.size, error.mappedSize];
  };

  test('X26: what is mapped, and what is not', () => {
    const machine = new Machine();
    const { ctrl, alloc } = machine;
    ctrl.mapPage(page(0x1234_5678_9000n), frame(0xb8000n), alloc).commit();
    expect(ctrl.translatePage(page(0x1234_5678_9000n)).equals(frame(0xb8000n))).toBe(true);
    for (const address of [0x1234_5678_a000n, 0x8000_0000_0000n - 0x1000n]) {
      const error = refused(() => ctrl.translatePage(page(address)), 'NOT_MAPPED', 'is not mapped: Entry');
      expect(error).toMatchObject({ name: 'TranslateError', kind: 'NotMapped' });
    }
  });

  test('X27: a table where a large page was asked for', () => {
    const machine = madeWith();
    expect(wrongSize(machine, () => machine.ctrl.translatePage(pageOf(0n, Size2Mb)))).toEqual([
      'WrongSize',
      Size2Mb,
      undefined,
    ]);
    refused(
      () => machine.ctrl.translatePage(pageOf(0n, Size1Gb)),
      'HUGE_PAGE',
      'leads to a table; expected one that maps a page of 1GB',
    );
    expect(wrongSize(machine, () => machine.ctrl.translatePage(pageOf(0n, Size1Gb)))).toEqual([
      'WrongSize',
      Size1Gb,
      undefined,
    ]);
  });

  test('X28: a large page', () => {
    const machine = madeWith([at(F2, 1), 0x83n]);
    expect(machine.ctrl.translatePage(pageOf(0x20_0000n, Size2Mb)).equals(frameOf(0n, Size2Mb))).toBe(true);
  });

  test('X29: a small page inside a large one has the wrong size (huge-page-on-the-way)', () => {
    const machine = madeWith([at(F2, 1), 0x83n]);
    // The original takes the mapped memory for a table: NotMapped, as that is all zero.
    expect(wrongSize(machine, () => machine.ctrl.translatePage(page(0x20_0000n)))).toEqual([
      'WrongSize',
      Size4Kb,
      Size2Mb,
    ]);
  });

  test('X30: and cannot be mapped (huge-page-on-the-way)', () => {
    const machine = madeWith([at(F2, 1), 0x83n]);
    // The original writes 0x6001 to physical address 0.
    refusedWhole(
      machine,
      () => machine.ctrl.mapPage(page(0x20_0000n), frame(0x6000n), machine.alloc),
      'HUGE_PAGE',
      'has no PT: Entry { level: PD, addr: PAddr(0x0), flags: PRESENT | WRITABLE | HUGE }',
    );
  });

  test('X31: a large page at an address that is no multiple of its size is refused', () => {
    const machine = madeWith([at(F2, 1), 0x20_1083n]);
    refusedWhole(
      machine,
      () => machine.ctrl.translatePage(pageOf(0x20_0000n, Size2Mb)),
      'INVALID_FRAME',
      'multiple of 0x200000',
    );
    refusedWhole(machine, () => machine.ctrl.translateAddr(virt(0x20_0000n)), 'INVALID_FRAME');
    refusedWhole(machine, () => machine.ctrl.unmap(pageOf(0x20_0000n, Size2Mb)), 'INVALID_FRAME');
  });

  test('X32: bit 7 in a PT entry is the wrong size', () => {
    const machine = madeWith([at(F3, 1), 0x5081n]);
    expect(wrongSize(machine, () => machine.ctrl.translatePage(page(0x1000n)))).toEqual([
      'WrongSize',
      Size4Kb,
      Size4Kb,
    ]);
  });

  test('X33: a small page inside a page of 1 GiB (huge-page-on-the-way)', () => {
    const machine = madeWith([at(F1, 1), 0x83n], [0n, 0x3063n]);
    // The original takes 0x3063, which is mapped memory, for an entry.
    expect(wrongSize(machine, () => machine.ctrl.translatePage(page(0x4000_0000n)))).toEqual([
      'WrongSize',
      Size4Kb,
      Size1Gb,
    ]);
  });

  test('X36: the PML4 is mapped by its own entry', () => {
    expect(base(new Machine().ctrl.translatePage(page(0xffff_ffff_ffff_f000n)))).toBe(0x1000n);
  });

  test('X38: the debug text of an entry has its level, its address and the flags that have a name', () => {
    const machine = madeWith([at(F3, 1), 0x8000_0000_000b_81fbn]);
    const { message } = refused(
      () => machine.ctrl.mapPage(page(0x1000n), frame(0n), machine.alloc),
      'ALREADY_MAPPED',
    );
    expect(message).toContain(
      'Entry { level: PT, addr: PAddr(0xb8000), flags: PRESENT | WRITABLE | WRITE_THROUGH | CACHE_DISABLE | ACCESSED | DIRTY | HUGE | GLOBAL };',
    );
  });
});

describe('flagsMut and unmap', () => {
  test('X37: flagsMut gives the entry of a page that is mapped (flags-mut-works)', () => {
    const machine = madeWith([at(F3, 1), 0x8000_0000_0000_5063n]);
    // The original panics, as it does for all of X37.
    const handle = machine.ctrl.flagsMut(page(0x1000n));
    expect([handle.isPresent(), handle.isWritable(), handle.isExecutable()]).toEqual([true, true, false]);
    handle.setWritable(false).setExecutable(true);
    expect([machine.peek(at(F3, 1)), machine.log]).toEqual([0x5061n, []]);
    expect(handle.commit().equals(page(0x1000n))).toBe(true);
    expect(machine.log).toEqual(['invlpg 0x1000']);
  });

  test('X37: unmap clears the entry, flushes, and gives the frame; no table goes (unmap-works)', () => {
    const machine = madeWith([at(F3, 1), 0x8000_0000_0000_5f63n]);
    expect(machine.ctrl.unmap(page(0x1000n)).equals(frame(0x5000n))).toBe(true);
    expect([machine.peek(at(F3, 1)), machine.log, machine.used(F2)]).toEqual([
      0n,
      ['invlpg 0x1000'],
      [hex(F2)],
    ]);
    refusedWhole(machine, () => machine.ctrl.unmap(page(0x1000n)), 'NOT_MAPPED', 'unmap: Page');
  });

  test('X37: unmapRange unmaps page by page (unmap-works)', () => {
    const machine = madeWith([at(F3, 1), 0x5001n], [at(F3, 2), 0x9001n]);
    machine.ctrl.unmapRange(page(0x1000n).rangeInclusive(page(0x2000n)));
    expect([machine.used(F3), machine.log]).toEqual([[], ['invlpg 0x1000', 'invlpg 0x2000']]);
  });

  test('both make read-only tables writable, with an INVLPG for each', () => {
    for (const call of ['flagsMut', 'unmap'] as const) {
      const machine = madeWith([PML4, F1 | 1n], [F2, F3 | 1n], [at(F3, 1), 0x5001n]);
      machine.ctrl[call](page(0x1000n));
      expect([machine.peek(PML4), machine.peek(F2)]).toEqual([F1 | 3n, F3 | 3n]);
      expect(machine.log.slice(0, 2)).toEqual(['invlpg 0x1000', 'invlpg 0x1000']);
    }
  });

  test.each([
    ['NOT_MAPPED', 'a page that is not mapped', []],
    ['NOT_MAPPED', 'one below a table that is missing', [[F2, 0n]]],
    ['HUGE_PAGE', 'one inside a large page', [[F2, 0x83n]]],
    ['HUGE_PAGE', 'a PT entry with bit 7', [[at(F3, 1), 0x5081n]]],
    ['CORRUPT_TABLE', 'one below a PML4 entry with bit 7', [[PML4, F1 | 0x83n]]],
  ] as const)('%s: both refuse %s, and leave read-only tables as they are', (code, _, words) => {
    const machine = madeWith([F1, F2 | 1n], ...words);
    expect(
      refusedWhole(machine, () => machine.ctrl.flagsMut(page(0x1000n)), code, /^flagsMut: /),
    ).toBeInstanceOf(TranslateError);
    expect(refusedWhole(machine, () => machine.ctrl.unmap(page(0x1000n)), code, /^unmap: /)).toBeInstanceOf(
      TranslateError,
    );
    expect(machine.log).toEqual([]);
  });

  test('both refuse the PML4, seen as a page: its entry makes all tables seen', () => {
    const machine = new Machine();
    refusedWhole(
      machine,
      () => machine.ctrl.unmap(page(0xffff_ffff_ffff_f000n)),
      'BAD_ARGUMENT',
      'is the PML4',
    );
    refusedWhole(
      machine,
      () => machine.ctrl.flagsMut(page(0xffff_ffff_ffff_f000n)),
      'BAD_ARGUMENT',
      'is the PML4',
    );
  });
});

describe('pages of 2 MiB and 1 GiB', () => {
  test.each([
    [
      '2 MiB',
      Size2Mb,
      0x4060_0000n,
      0x20_0000n,
      [at(PML4, 0), at(F1, 1), at(F2, 3)],
      [0x10003n, 0x11003n, 0x20_0081n],
    ],
    ['1 GiB', Size1Gb, 0x80_4000_0000n, 0x8000_0000n, [at(PML4, 1), at(F1, 1)], [0x10003n, 0x8000_0081n]],
  ])(
    'a page of %s is mapped, changed and unmapped (large-pages-work)',
    (_, size, address, phys, entries, values) => {
      const machine = new Machine();
      const { ctrl, alloc } = machine;
      const [virtual, physical] = [pageOf(address, size), frameOf(phys, size)];
      const handle = ctrl.mapPage(virtual, physical, alloc);
      const leaf = entries.at(-1) as bigint;
      expect(entries.map((each) => machine.peek(each))).toEqual(values);
      handle.setWritable(true).commit();
      expect(machine.peek(leaf)).toBe(phys | 0x83n);
      expect(ctrl.translatePage(virtual).equals(physical)).toBe(true);
      expect(ctrl.translateAddr(virt(address + 0x12345n))?.asUsize()).toBe(phys + 0x12345n);
      refusedWhole(machine, () => ctrl.mapPage(virtual, physical, alloc), 'ALREADY_MAPPED');
      ctrl.flagsMut(virtual).setExecutable(false).commit();
      expect(machine.peek(leaf)).toBe(phys | 0x8000_0000_0000_0083n);
      // As X24, with the bit that says that it is large.
      ctrl.flagsMut(virtual).setPresent(false).commit();
      ctrl.mapPage(virtual, physical, alloc).commit();
      expect(ctrl.unmap(virtual).equals(physical)).toBe(true);
      expect(machine.peek(leaf)).toBe(0n);
      expect(ctrl.translateAddr(virt(address))).toBe(undefined);
    },
  );

  test('one is not mapped over a table', () => {
    const machine = madeWith();
    for (const size of [Size2Mb, Size1Gb]) {
      refusedWhole(
        machine,
        () => machine.ctrl.mapPage<typeof size>(pageOf(0n, size), frameOf(0n, size), machine.alloc),
        'ALREADY_MAPPED',
      );
    }
  });

  test('a range of them is mapped and unmapped', () => {
    const machine = new Machine();
    const virtual = pageOf(0x3fe0_0000n, Size2Mb).rangeInclusive(pageOf(0x4000_0000n, Size2Mb));
    machine.ctrl.mapRange(
      virtual,
      frameOf(0n, Size2Mb).rangeTo(frameOf(0x40_0000n, Size2Mb)),
      () => {},
      machine.alloc,
    );
    expect([machine.peek(at(F2, 511)), machine.peek(F3)]).toEqual([0x81n, 0x20_0081n]);
    machine.ctrl.unmapRange(virtual);
    expect([machine.used(F2), machine.used(F3)]).toEqual([[], []]);
  });
});

describe('through the processor', () => {
  test('the PML4 is seen in the window, and what is mapped counts at once', () => {
    const machine = new Machine({ window: 'tables', registers: { cr0: (1n << 31n) | CR0_WP }, policy: {} });
    const { ctrl, alloc, cpu } = machine;
    ctrl.mapPage(page(0x1000n), frame(0xb8000n), alloc).setWritable(true).commit();
    expect(cpu.write(0x1008n, 8, 0x1122n)).toMatchObject({ kind: 'done' });
    expect(machine.peek(0xb8008n)).toBe(0x1122n);
    ctrl.flagsMut(page(0x1000n)).setWritable(false).commit();
    expect(cpu.write(0x1008n, 8, 0n)).toMatchObject({ kind: 'fault', because: ['R/W = 0 in PTE'] });
    ctrl.unmap(page(0x1000n));
    expect(cpu.read(0x1008n, 8)).toMatchObject({ kind: 'fault' });
    ctrl.mapPage(page(0x1000n), frame(0xb9000n), alloc).commit();
    expect(cpu.read(0x1008n, 8)).toEqual({ kind: 'done', value: 0n });
  });

  test('a read-only table is no obstacle with CR0.WP = 1', () => {
    const machine = new Machine({ window: 'tables', registers: { cr0: (1n << 31n) | CR0_WP }, policy: {} });
    const { ctrl, alloc } = machine;
    ctrl.mapPage(page(0x1000n), frame(0xb8000n), alloc).commit();
    machine.poke(PML4, machine.peek(PML4) & ~2n);
    machine.poke(F2, machine.peek(F2) & ~2n);
    machine.cpu.reloadCr3();
    ctrl.mapPage(page(0x2000n), frame(0xb9000n), alloc).commit();
    expect(base(ctrl.translatePage(page(0x2000n)))).toBe(0xb9000n);
  });

  test('a commit that is left out shows as a stale translation', () => {
    const machine = new Machine({ window: 'tables', policy: {} });
    const { ctrl, alloc, cpu } = machine;
    ctrl.mapPage(page(0x1000n), frame(0xb8000n), alloc).setWritable(true).commit();
    expect(cpu.write(0x1000n, 8, 7n)).toMatchObject({ kind: 'done' });
    const handle = ctrl.flagsMut(page(0x1000n)).setPresent(false);
    expect(cpu.read(0x1000n, 8)).toEqual({ kind: 'done', value: 7n });
    handle.commit();
    expect(cpu.read(0x1000n, 8)).toMatchObject({ kind: 'fault' });
  });

  test('tables that are not seen are a fault of the processor, and nothing is changed', () => {
    const machine = new Machine();
    machine.poke(0x1ff8n, 0n);
    const error = refusedWhole(
      machine,
      () => machine.ctrl.mapPage(page(0x1000n), frame(0x5000n), machine.alloc),
      'PROCESSOR_FAULT',
      'P = 0 in PML4E',
    );
    expect(error).toBeInstanceOf(ProcessorFault);
    // The entry of the PML4 was written before its table was not seen.
    expect(machine.log).toEqual([
      'alloc 0x10000',
      'alloc 0x11000',
      'alloc 0x12000',
      'invlpg 0xffffffffffe00000',
      'dealloc 0x12000',
      'dealloc 0x11000',
      'dealloc 0x10000',
    ]);
  });

  test.each([1, 2, 3])(
    'table %s in a frame where no memory is: those linked before it are taken away again',
    (nth) => {
      const machine = new Machine({ policy: { accessedDirty: false } });
      const { alloc } = machine;
      alloc.free.push(...[F1, F2, F3].with(nth - 1, 0x10_0000n).reverse());
      // What frames hold besides does not count.
      const junk = [F1, F2, F3].flatMap((table) => machine.used(table)).slice(0, 512 * (nth - 1));
      const changed = machine.changedBy(() =>
        refused(() => machine.ctrl.mapPage(page(0x1000n), frame(0x5000n), alloc), 'NOT_IN_MEMORY'),
      );
      expect(changed).toEqual(junk);
      expect(alloc.used).toBe(0);
      alloc.free.length = 0;
      machine.ctrl.mapPage(page(0x1000n), frame(0x5000n), alloc).commit();
      expect(machine.peek(at(F3, 1))).toBe(0x5001n);
    },
  );

  test('an instruction that faults is thrown, and a mapping that cannot be flushed is put back', () => {
    const machine = madeWith([PML4, F1 | 5n], [F1, F2 | 7n], [F2, F3 | 7n], [at(F3, 1), 0x5007n]);
    machine.poke(0x1ff8n, 0x1007n);
    machine.cpu.cpl = 3;
    refusedWhole(
      machine,
      () => machine.ctrl.mapPage(page(0x2000n), frame(0x6000n), machine.alloc),
      'PROCESSOR_FAULT',
      'INVLPG: #GP',
    );
  });

  test.each(['PageTableError', 'Error'])(
    'an undo that fails keeps no other from being made, and no frame that may be linked goes back (%s)',
    (kind) => {
      const machine = new Machine();
      const { processor, alloc } = machine;
      const { clearFrame, invlpg } = processor;
      const mine = kind === 'Error' ? new Error('device lost') : AllocError.oom();
      const tables: number[] = [];
      processor.clearFrame = (table) => {
        if (tables.push(table) === 3) throw mine;
        clearFrame?.(table);
      };
      let flushes = 0;
      processor.invlpg = (address) => {
        flushes += 1;
        if (flushes === 1) throw new Error('INVLPG failed');
        return invlpg(address);
      };
      const call = () => machine.ctrl.mapPage(page(0x1000n), frame(0x5000n), alloc);
      if (kind === 'Error') expect(call).toThrow(mine);
      else {
        const says =
          'no frames left; 1 entries could not be put back, or not be flushed: Error: INVLPG failed';
        expect(refused(call, 'OUT_OF_FRAMES', says)).toMatchObject({ cause: mine, detail: { stuck: 1 } });
      }
      expect([machine.peek(PML4), flushes, alloc.used]).toEqual([0n, 3, 3]);
      machine.ctrl.mapPage(page(0x1000n), frame(0x5000n), alloc).commit();
      expect(machine.peek(PML4)).toBe(F4 | 3n);
    },
  );

  test('paging that is off, or of 5 levels, is refused', () => {
    const off = new Machine({ registers: { cr0: 0n }, initialised: false });
    refused(() => off.mm.initPaging(virt(0n)), 'PAGING_DISABLED', 'has 0 levels');
    const five = new Machine({ registers: { cr4: 0x10a0n, efer: 0x500n }, initialised: false });
    refused(() => five.mm.initPaging(virt(0n)), 'BAD_ARGUMENT', 'has 5 levels');
  });
});

describe('a root that is no longer active', () => {
  const OTHER = 0x6000n;

  /** A machine with two roots, a mapper for each, and a page in each; the second root is active. */
  function twoRoots(window: 'tables' | 'beside' = 'beside') {
    const machine = new Machine({ window });
    const one = machine.ctrl;
    const handle = one.mapPage(page(0x1000n), frame(0x5000n), machine.alloc);
    // The window of physical memory is in both.
    if (window === 'tables') machine.poke(at(OTHER, 256), 0x2003n);
    machine.cpu.writeCr3(OTHER);
    machine.mm.initPaging(machine.mm.vmOffset());
    const two = machine.ctrl;
    two.mapPage(page(0x1000n), frame(0x7000n), machine.alloc).commit();
    return { machine, one, two, handle };
  }

  test.each(['tables', 'beside'] as const)(
    'is refused by every call, before anything is read or written (window %s)',
    (window) => {
      const { machine, one, two, handle } = twoRoots(window);
      const calls: Readonly<Record<string, () => unknown>> = {
        mapPage: () => one.mapPage(page(0x2000n), frame(0x8000n), machine.alloc),
        flagsMut: () => one.flagsMut(page(0x1000n)),
        unmap: () => one.unmap(page(0x1000n)),
        translatePage: () => one.translatePage(page(0x1000n)),
        translateAddr: () => one.translateAddr(virt(0x1000n)),
        'entry 1 of the PT seen at 0xffffff8000000000': () => handle.setWritable(true),
      };
      for (const [name, call] of Object.entries(calls)) {
        const error = refusedWhole(machine, call, 'NOT_ACTIVE', 'CR3 is 0x6000; expected 0x1000');
        expect([error.message.startsWith(`${name}: `), error.detail]).toEqual([
          true,
          { cr3: OTHER, root: PML4 },
        ]);
      }
      refused(() => handle.isWritable(), 'NOT_ACTIVE');
      expect(base(two.translatePage(page(0x1000n)))).toBe(0x7000n);
      machine.cpu.writeCr3(PML4);
      expect([base(one.translatePage(page(0x1000n))), handle.isWritable()]).toEqual([0x5000n, false]);
      refused(() => two.unmap(page(0x1000n)), 'NOT_ACTIVE');
    },
  );

  test('is refused where CR3 changes inside a call', () => {
    const machine = new Machine();
    const { alloc, ctrl } = machine;
    const allocRange = alloc.allocRange.bind(alloc);
    alloc.allocRange = (size, len) => {
      machine.cpu.writeCr3(OTHER);
      return allocRange(size, len);
    };
    refusedWhole(machine, () => ctrl.mapPage(page(0x1000n), frame(0x5000n), alloc), 'NOT_ACTIVE');
  });

  test('paging that is off is refused too', () => {
    const { machine, two } = twoRoots();
    Object.defineProperty(machine.processor, 'levels', { value: 0 });
    refused(() => two.translateAddr(virt(0x1000n)), 'PAGING_DISABLED', 'translateAddr: ');
  });
});

describe('an allocator', () => {
  test('that calls the mapper is refused, and its frames go back', () => {
    const machine = new Machine();
    const { alloc } = machine;
    const allocRange = alloc.allocRange.bind(alloc);
    alloc.allocRange = (size, len) => {
      if (alloc.used === 1) machine.ctrl.unmap(page(0x1000n));
      return allocRange(size, len);
    };
    refusedWhole(
      machine,
      () => machine.ctrl.mapPage(page(0x1000n), frame(0x5000n), alloc),
      'REENTERED',
      /no frame for the PD of .*unmap: called from inside mapPage/,
    );
    for (const call of ['translatePage', 'flagsMut'] as const) {
      alloc.allocRange = () => machine.ctrl[call](page(0x1000n)) as never;
      refused(() => machine.ctrl.mapPage(page(0x1000n), frame(0x5000n), alloc), 'REENTERED', call);
    }
  });

  test('that takes no frames back: the error says how many are lost', () => {
    const machine = new Machine({ frames: 2 });
    machine.alloc.deallocRange = () => {
      throw new Error('never');
    };
    const error = refused(
      () => machine.ctrl.mapPage(page(0x1000n), frame(0x5000n), machine.alloc),
      'OUT_OF_FRAMES',
      '2 frames were not taken back: Error: never',
    );
    expect(error.detail).toEqual({ lost: 2 });
  });

  test.each([
    [
      'the PML4',
      [PML4],
      'no frame for the PT of',
      'PAddr(0x1000), size: 4KB }; expected a frame that is not in use: this one is the PML4',
    ],
    ['a table on the way', [F1], 'no frame for the PT of', 'this one is the PDPT'],
    ['the last table on the way', [F2], 'no frame for the PT of', 'this one is the PD'],
  ])('that gives %s is refused before anything is written', (_, frames, ...says) => {
    const machine = madeWith([F2, 0n]);
    machine.alloc.free.push(...frames);
    for (const text of says) {
      refusedWhole(
        machine,
        () => machine.ctrl.mapPage(page(0x1000n), frame(0x5000n), machine.alloc),
        'BAD_ARGUMENT',
        text,
      );
    }
    expect(machine.log.slice(0, 2)).toEqual([`alloc ${hex(frames[0])}`, `dealloc ${hex(frames[0])}`]);
  });

  test('that gives a frame twice in a call is refused, and both go back', () => {
    const machine = new Machine();
    machine.alloc.free.push(F3, F1, F3);
    refusedWhole(
      machine,
      () => machine.ctrl.mapPage(page(0x1000n), frame(0x5000n), machine.alloc),
      'BAD_ARGUMENT',
      /no frame for the PT of .*PAddr\(0x12000\).*this one is the PDPT/,
    );
    expect(machine.alloc.free).toEqual([F3, F1, F3]);
  });

  test('that gives what is no frame is refused', () => {
    const machine = new Machine();
    for (const [given, says] of [
      [page(0n), 'a Page of PAddr'],
      [undefined, 'undefined'],
      [
        frameOf(0n, Size2Mb),
        'no frame for the PDPT of Page { base: VAddr(0x1000), size: 4KB }: the allocator gave: Page',
      ],
    ] as const) {
      machine.alloc.alloc = () => given as never;
      refusedWhole(
        machine,
        () => machine.ctrl.mapPage(page(0x1000n), frame(0x5000n), machine.alloc),
        'BAD_ARGUMENT',
        says,
      );
    }
  });

  test('whose own error is passed on as it is', () => {
    const machine = new Machine();
    const mine = new Error('mine');
    machine.alloc.alloc = () => {
      throw mine;
    };
    expect(() => machine.ctrl.mapPage(page(0x1000n), frame(0x5000n), machine.alloc)).toThrow(mine);
  });
});
