/**
 * What the TLB and the paging-structure caches keep, and what takes it away, row by row. A page is mapped to frame OLD and
 * accessed, its entry is changed in memory to NEW, and an access tells which of the two the processor uses.
 *
 * Sections are those of the Intel SDM, vol. 3A (order 253668), chapter "Paging", by their numbers as chapter 4.
 */
import { describe, expect, test } from 'vitest';
import type { X86Cpu, X86CpuOptions } from '../../src/cpu/index.ts';
import { MODES } from '../support/x86-cases.ts';
import {
  A,
  CR0_PG,
  CR0_WP,
  CR4_PAE,
  CR4_PCIDE,
  CR4_PGE,
  CR4_PKE,
  CR4_PSE,
  CR4_SMAP,
  CR4_SMEP,
  D,
  EFER_NXE,
  faultOf,
  frameOf,
  G,
  key,
  type LevelName,
  levelNames,
  NO_FLUSH,
  OPEN,
  P,
  PS,
  RW,
  SmallMachine,
  to,
  US,
  XD,
} from './small-machine.ts';

const VA = 0x40_3000n;
/** Another page under the same tables. */
const NEIGHBOUR = 0x40_5000n;
/** A page with no table in common with `VA` but the root; in 32-bit paging too. */
const FAR = 0xc040_3000n;
const OLD = 'old';
const NEW = 'new';
/** Frames that pages of all sizes may begin at. */
const FRAMES = { [OLD]: 0x4_0000, [NEW]: 0x8_0000 };

/** Number of a 4-KiB piece of large pages that is in memory, besides the first. */
const PIECE = 8;

function nameOf(frame: string): string {
  if (frame === '0x40000') return OLD;
  return frame === '0x80000' ? NEW : frame;
}

/** Which of the two an access uses, or its fault. */
function uses(cpu: X86Cpu, va: bigint, kind: 'read' | 'write' | 'fetch' = 'read', user = false): string {
  return nameOf(frameOf(cpu, va, kind, user));
}

/** Maps pages to OLD. */
function mapped(
  mode: (typeof MODES)[number],
  pages: readonly bigint[],
  flags = OPEN,
  at: LevelName = 'PTE',
): SmallMachine {
  const small = new SmallMachine(mode);
  for (const va of pages) small.map(va, FRAMES[OLD], flags, { at });
  // Where memory is, a processor may remember more than where there is none.
  for (const frame of [FRAMES[NEW], FRAMES[OLD] + PIECE, FRAMES[NEW] + PIECE]) small.page(frame);
  return small;
}

/** Changes pages to NEW. */
function change(small: SmallMachine, pages: readonly bigint[], flags = OPEN, at: LevelName = 'PTE'): void {
  for (const va of pages) small.set(va, at, to(FRAMES[NEW], at === 'PTE' ? flags : flags | PS));
}

/** Accesses pages that are mapped to OLD and changes them to NEW: all are remembered. */
function remembered(
  small: SmallMachine,
  cpu: X86Cpu,
  pages: readonly bigint[],
  flags = OPEN,
  at: LevelName = 'PTE',
): void {
  for (const va of pages) expect(uses(cpu, va)).toBe(OLD);
  change(small, pages, flags, at);
  for (const va of pages) expect(uses(cpu, va)).toBe(OLD);
}

/** 4.10.2.2, 4.10.2.3 */
describe('what is remembered', () => {
  test.each(MODES)('%s: a translation is used until it is invalidated, whatever the tables say', (mode) => {
    const small = mapped(mode, [VA]);
    const cpu = small.boot();
    remembered(small, cpu, [VA]);
    for (const name of levelNames(mode)) small.set(VA, name, 0n);
    for (const kind of ['read', 'fetch'] as const) expect(uses(cpu, VA, kind)).toBe(OLD);
  });

  test.each(MODES)('%s: an entry that is not present is not remembered', (mode) => {
    for (const name of levelNames(mode)) {
      if (mode === 'PAE' && name === 'PDPTE') continue;
      const small = mapped(mode, [VA]);
      const entry = small.get(VA, name);
      small.set(VA, name, entry & ~P);
      const cpu = small.boot();
      expect(uses(cpu, VA), name).toBe('#PF 0x0');
      small.set(VA, name, entry);
      expect(uses(cpu, VA), name).toBe(OLD);
    }
  });

  test.each(['PAE', '4-level', '5-level'] as const)('%s: an entry with reserved bits is not', (mode) => {
    for (const name of levelNames(mode)) {
      if (mode === 'PAE' && name === 'PDPTE') continue;
      const small = mapped(mode, [VA]);
      const entry = small.get(VA, name);
      small.set(VA, name, entry | (1n << 50n));
      const cpu = small.boot();
      expect(uses(cpu, VA), name).toBe('#PF 0x9');
      small.set(VA, name, entry);
      expect(uses(cpu, VA), name).toBe(OLD);
    }
  });

  test('A cleared in memory is not set again, nor D', () => {
    const small = mapped('4-level', [VA]);
    const cpu = small.boot();
    uses(cpu, VA, 'write');
    expect(small.marks(VA)).toBe('A A A AD');
    for (const name of levelNames('4-level')) small.set(VA, name, small.get(VA, name) & ~(A | D));
    uses(cpu, VA);
    uses(cpu, VA, 'write');
    expect(small.marks(VA)).toBe('- - - -');
    cpu.invlpg(VA);
    uses(cpu, VA, 'write');
    expect(small.marks(VA)).toBe('A A A AD');
  });

  test('a walk from a remembered table sets A below it only', () => {
    const small = mapped('4-level', [VA, NEIGHBOUR]);
    const cpu = small.boot();
    uses(cpu, VA);
    for (const name of ['PML4E', 'PDPTE', 'PDE'] as const) small.set(VA, name, small.get(VA, name) & ~A);
    uses(cpu, NEIGHBOUR, 'write');
    expect(small.marks(NEIGHBOUR)).toBe('- - - AD');
  });

  test.each(MODES)('%s: a write with a remembered D = 0 walks again', (mode) => {
    const small = mapped(mode, [VA]);
    const cpu = small.boot();
    remembered(small, cpu, [VA]);
    expect(uses(cpu, VA, 'write')).toBe(NEW);
    expect(small.get(VA, 'PTE') & D).toBe(D);
  });

  test('a write with a remembered D = 1 does not', () => {
    const small = mapped('4-level', [VA], OPEN | D);
    const cpu = small.boot();
    remembered(small, cpu, [VA]);
    expect(uses(cpu, VA, 'write')).toBe(OLD);
    expect(small.get(VA, 'PTE') & D).toBe(0n);
  });

  // Both are allowed by 4.10.2.3, but what a processor has just written it should read back, and `'all'` has one
  // translation for an address.
  test('the translation of a write that walked again replaces that of reads', () => {
    const small = mapped('4-level', [VA]);
    const cpu = small.boot();
    remembered(small, cpu, [VA]);
    expect(uses(cpu, VA, 'write')).toBe(NEW);
    expect(uses(cpu, VA)).toBe(NEW);
    expect(cpu.write(VA, 4, 0x1234n).kind).toBe('done');
    expect(cpu.read(VA, 4)).toEqual({ kind: 'done', value: 0x1234n });
  });

  test('and those of all pieces of a large page', () => {
    const small = mapped('4-level', [0n], OPEN, 'PDE');
    const cpu = small.boot();
    expect(frameOf(cpu, 0x8000n)).toBe('0x40008');
    remembered(small, cpu, [0n], OPEN, 'PDE');
    expect(uses(cpu, 0n, 'write')).toBe(NEW);
    expect(frameOf(cpu, 0x8000n)).toBe('0x80008');
  });

  // 4.10.2.2 lists the protection key with 4-level and 5-level paging, without a condition. (Editions up to about 2018
  // made it necessary with CR4.PKE = 1 only.)
  test('a translation from before CR4.PKE was set has its protection key', () => {
    const small = mapped('4-level', [VA], OPEN | key(5));
    const cpu = small.boot({ pkru: 1 << 10 });
    expect(uses(cpu, VA)).toBe(OLD);
    cpu.writeCr4(cpu.cr4 | CR4_PKE);
    expect(uses(cpu, VA)).toBe('#PF 0x21');
  });

  test.each([
    ['32-bit', 'PDE', 0x3f_f000n],
    ['PAE', 'PDE', 0x1f_f000n],
    ['4-level', 'PDE', 0x1f_f000n],
    ['4-level', 'PDPTE', 0x3fff_f000n],
    ['5-level', 'PDPTE', 0x3fff_f000n],
  ] as const)('%s: all of a large page mapped by a %s', (mode, at, last) => {
    const small = mapped(mode, [0n], OPEN, at);
    const cpu = small.boot();
    remembered(small, cpu, [0n], OPEN, at);
    const lastFrame = FRAMES[OLD] + Number(last >> 12n);
    expect(frameOf(cpu, last)).toBe(`0x${lastFrame.toString(16)}`);
  });
});

/** 4.10.3 */
describe('paging-structure caches', () => {
  test.each([
    ['32-bit', 'PDE'],
    ['PAE', 'PDE'],
    ['4-level', 'PML4E'],
    ['4-level', 'PDPTE'],
    ['4-level', 'PDE'],
    ['5-level', 'PML5E'],
    ['5-level', 'PDE'],
  ] as const)('%s: a %s is used until it is invalidated, for pages not accessed before too', (mode, name) => {
    const small = mapped(mode, [VA, NEIGHBOUR]);
    const cpu = small.boot();
    uses(cpu, VA);
    small.set(VA, name, 0n);
    expect(uses(cpu, NEIGHBOUR)).toBe(OLD);
    cpu.invlpg(VA);
    expect(uses(cpu, VA)).toBe('#PF 0x0');
    expect(uses(cpu, NEIGHBOUR)).toBe(OLD);
    cpu.invlpg(NEIGHBOUR);
    expect(uses(cpu, NEIGHBOUR)).toBe('#PF 0x0');
  });

  test('their rights are those that the tables had', () => {
    const small = mapped('4-level', [VA, NEIGHBOUR]);
    const cpu = small.boot();
    uses(cpu, VA);
    small.set(VA, 'PDPTE', small.get(VA, 'PDPTE') & ~(RW | US));
    expect(uses(cpu, NEIGHBOUR, 'write', true)).toBe(OLD);
    cpu.invlpg(VA);
    expect(uses(cpu, VA, 'write', true)).toBe('#PF 0x7');
  });

  test('rights that the tables had not are refused, and granted when tried again', () => {
    const small = mapped('4-level', [VA, NEIGHBOUR]);
    const open = small.get(VA, 'PDPTE');
    for (const [denied, kind] of [
      [open & ~RW, 'write'],
      [open & ~US, 'read'],
      [open | XD, 'fetch'],
    ] as const) {
      const cpu = small.set(VA, 'PDPTE', denied).boot();
      uses(cpu, VA);
      small.set(VA, 'PDPTE', open);
      expect(uses(cpu, NEIGHBOUR, kind, true)).toMatch('#PF');
      expect(cpu.failure()).toMatchObject({ fromCache: true });
      expect(uses(cpu, NEIGHBOUR, kind, true)).toBe(OLD);
    }
  });

  test('the one nearest to the page is used', () => {
    const small = mapped('4-level', [VA, NEIGHBOUR, 0x60_0000n]);
    const cpu = small.boot();
    uses(cpu, VA);
    small.set(VA, 'PDE', 0n).set(VA, 'PDPTE', 0n);
    expect(uses(cpu, NEIGHBOUR), 'from the PDE').toBe(OLD);
    expect(uses(cpu, 0x60_0000n), 'from the PDPTE').toBe(OLD);
    expect(uses(cpu, 0x80_0000n)).toBe('#PF 0x0');
  });

  test('entries of PAE paging that lie in registers are none of them', () => {
    const small = mapped('PAE', [VA, 0x60_0000n]);
    const cpu = small.boot();
    uses(cpu, VA);
    small.set(VA, 'PDPTE', 0n);
    // This loads the registers and invalidates nothing.
    cpu.writeCr4(cpu.cr4 ^ CR4_PSE);
    expect(uses(cpu, VA), 'from the TLB').toBe(OLD);
    expect(uses(cpu, 0x60_0000n)).toBe('#PF 0x0');
  });

  test('an entry that maps a page is none of them', () => {
    const small = mapped('4-level', [0n], OPEN, 'PDE');
    const cpu = small.boot();
    uses(cpu, 0n);
    small.set(0n, 'PDE', 0n);
    cpu.invpcid(0, 0, 0n);
    expect(uses(cpu, 0n)).toBe('#PF 0x0');
  });
});

/** 4.10.4.1, INVLPG */
describe('INVLPG', () => {
  test.each(MODES)('%s: takes the page it names and no other', (mode) => {
    const pages = [VA, NEIGHBOUR, FAR];
    const small = mapped(mode, pages);
    const cpu = small.boot();
    remembered(small, cpu, pages);
    expect(faultOf(cpu.invlpg(VA + 0xfffn))).toBe('done');
    expect(pages.map((va) => uses(cpu, va))).toEqual([NEW, OLD, OLD]);
  });

  test.each([
    ['32-bit', 'PDE', 0x3f_f123n, 0x40_0000n],
    ['PAE', 'PDE', 0x1f_f123n, 0x20_0000n],
    ['4-level', 'PDE', 0x1f_f123n, 0x20_0000n],
    ['4-level', 'PDPTE', 0x3fff_f123n, 0x4000_0000n],
    ['5-level', 'PDPTE', 0x3fff_f123n, 0x4000_0000n],
  ] as const)(
    '%s: takes all of a large page mapped by a %s, by any address in it',
    (mode, at, inside, next) => {
      for (const flags of [OPEN, OPEN | G]) {
        const small = mapped(mode, [0n, next], flags, at);
        const cpu = small.boot();
        // Pieces of it, accessed before.
        for (const va of [0x1000n, 0x8000n, inside]) expect(frameOf(cpu, va)).toMatch(/^0x[4-7]/);
        remembered(small, cpu, [0n, next], flags, at);
        cpu.invlpg(inside);
        expect(uses(cpu, 0n)).toBe(NEW);
        expect(frameOf(cpu, 0x8000n)).toBe('0x80008');
        expect(uses(cpu, next), 'the page behind it stays').toBe(OLD);
      }
    },
  );

  test.each(MODES)('%s: takes global translations of the page', (mode) => {
    const small = mapped(mode, [VA, NEIGHBOUR], OPEN | G);
    const cpu = small.boot();
    remembered(small, cpu, [VA, NEIGHBOUR], OPEN | G);
    cpu.invlpg(VA);
    expect(uses(cpu, VA)).toBe(NEW);
    expect(uses(cpu, NEIGHBOUR)).toBe(OLD);
  });

  test.each(MODES)('%s: takes all tables, whatever the address', (mode) => {
    const small = mapped(mode, [VA, NEIGHBOUR]);
    const cpu = small.boot();
    uses(cpu, VA);
    small.set(VA, 'PDE', 0n);
    cpu.invlpg(FAR);
    expect(uses(cpu, VA), 'the translation stays').toBe(OLD);
    expect(uses(cpu, NEIGHBOUR)).toBe('#PF 0x0');
  });

  test.each(['4-level', '5-level'] as const)(
    '%s: does nothing for an address that is not canonical',
    (mode) => {
      const small = mapped(mode, [VA, NEIGHBOUR]);
      const cpu = small.boot();
      uses(cpu, VA);
      change(small, [VA]);
      small.set(VA, 'PDE', 0n);
      expect(faultOf(cpu.invlpg(VA | (1n << 60n)))).toBe('done');
      expect(uses(cpu, VA)).toBe(OLD);
      expect(uses(cpu, NEIGHBOUR)).toBe(OLD);
    },
  );

  test('takes translations of the current PCID only, save global ones', () => {
    const small = mapped('4-level', [VA]);
    small.map(NEIGHBOUR, FRAMES[OLD], OPEN | G);
    const cpu = small.boot({ cr4: CR4_PCIDE, cr3: small.cr3 | 1n });
    uses(cpu, VA);
    uses(cpu, NEIGHBOUR);
    cpu.writeCr3(small.cr3 | 2n | NO_FLUSH);
    change(small, [VA]);
    change(small, [NEIGHBOUR], OPEN | G);
    cpu.invlpg(VA);
    cpu.invlpg(NEIGHBOUR);
    cpu.writeCr3(small.cr3 | 1n | NO_FLUSH);
    expect(uses(cpu, VA)).toBe(OLD);
    expect(uses(cpu, NEIGHBOUR)).toBe(NEW);
  });

  test('takes tables of the current PCID only', () => {
    const small = mapped('4-level', [VA, NEIGHBOUR]);
    const cpu = small.boot({ cr4: CR4_PCIDE, cr3: small.cr3 | 1n });
    uses(cpu, VA);
    small.set(VA, 'PDE', 0n);
    cpu.writeCr3(small.cr3 | 2n | NO_FLUSH);
    cpu.invlpg(VA);
    cpu.writeCr3(small.cr3 | 1n | NO_FLUSH);
    expect(uses(cpu, NEIGHBOUR)).toBe(OLD);
  });
});

/** 4.10.4.1, MOV to CR3 */
describe('MOV to CR3', () => {
  test.each(MODES)('%s, PCIDE = 0: takes everything but global translations', (mode) => {
    for (const reload of [(cpu: X86Cpu) => cpu.writeCr3(cpu.cr3), (cpu: X86Cpu) => cpu.reloadCr3()]) {
      const small = mapped(mode, [VA, NEIGHBOUR]);
      small.map(FAR, FRAMES[OLD], OPEN | G);
      const cpu = small.boot();
      remembered(small, cpu, [VA]);
      remembered(small, cpu, [FAR], OPEN | G);
      const pde = small.get(VA, 'PDE');
      small.set(VA, 'PDE', 0n);
      expect(faultOf(reload(cpu))).toBe('done');
      expect(uses(cpu, FAR)).toBe(OLD);
      expect(uses(cpu, NEIGHBOUR), 'tables go').toBe('#PF 0x0');
      small.set(VA, 'PDE', pde);
      expect(uses(cpu, VA)).toBe(NEW);
    }
  });

  test.each(MODES)('%s: G is ignored with CR4.PGE = 0', (mode) => {
    const small = mapped(mode, [VA], OPEN | G);
    const cpu = small.boot({ pge: false });
    remembered(small, cpu, [VA], OPEN | G);
    cpu.writeCr3(cpu.cr3);
    expect(uses(cpu, VA)).toBe(NEW);
  });

  test('PCIDE = 1: takes what belongs to the PCID in the source, not to the one before', () => {
    const small = mapped('4-level', [VA]);
    const cpu = small.boot({ cr4: CR4_PCIDE, cr3: small.cr3 | 1n });
    uses(cpu, VA);
    cpu.writeCr3(small.cr3 | 2n);
    uses(cpu, VA);
    change(small, [VA]);
    cpu.writeCr3(small.cr3 | 2n);
    expect(uses(cpu, VA), 'PCID 2 was named').toBe(NEW);
    cpu.writeCr3(small.cr3 | 1n | NO_FLUSH);
    expect(uses(cpu, VA), 'PCID 1 was not').toBe(OLD);
    cpu.writeCr3(small.cr3 | 1n);
    expect(uses(cpu, VA)).toBe(NEW);
  });

  test('PCIDE = 1: tables go by PCID too', () => {
    const small = mapped('4-level', [VA, NEIGHBOUR, VA + 0x8000n]);
    const cpu = small.boot({ cr4: CR4_PCIDE, cr3: small.cr3 | 1n });
    uses(cpu, VA);
    small.set(VA, 'PDE', 0n);
    cpu.writeCr3(small.cr3 | 2n);
    expect(uses(cpu, VA)).toBe('#PF 0x0');
    cpu.writeCr3(small.cr3 | 1n | NO_FLUSH);
    expect(uses(cpu, NEIGHBOUR)).toBe(OLD);
    cpu.writeCr3(small.cr3 | 1n);
    expect(uses(cpu, VA + 0x8000n)).toBe('#PF 0x0');
  });

  test('PCIDE = 1, bit 63 = 1: takes nothing, even if the root is another', () => {
    const small = mapped('4-level', [VA, NEIGHBOUR]);
    const cpu = small.table(0x300).boot({ cr4: CR4_PCIDE, cr3: small.cr3 | 1n });
    uses(cpu, VA);
    cpu.writeCr3(0x30_0000n | 1n | NO_FLUSH);
    expect(cpu.rootFrame).toBe(0x300);
    expect(uses(cpu, VA)).toBe(OLD);
    expect(uses(cpu, NEIGHBOUR)).toBe(OLD);
    expect(uses(cpu, 1n << 40n)).toBe('#PF 0x0');
    cpu.writeCr3(0x30_0000n | 1n);
    expect(uses(cpu, VA)).toBe('#PF 0x0');
  });

  test('translations of one PCID are not used under another', () => {
    const small = mapped('4-level', [VA]);
    const cpu = small.boot({ cr4: CR4_PCIDE, cr3: small.cr3 | 1n });
    remembered(small, cpu, [VA]);
    for (const pcid of [0n, 2n, 0xfffn]) {
      cpu.writeCr3(small.cr3 | pcid | NO_FLUSH);
      expect(uses(cpu, VA)).toBe(NEW);
    }
    cpu.writeCr3(small.cr3 | 1n | NO_FLUSH);
    expect(uses(cpu, VA)).toBe(OLD);
  });

  test('global translations are used under every PCID', () => {
    const small = mapped('4-level', [VA], OPEN | G);
    const cpu = small.boot({ cr4: CR4_PCIDE, cr3: small.cr3 | 1n });
    remembered(small, cpu, [VA], OPEN | G);
    for (const source of [2n, 2n | NO_FLUSH, 0n, 1n, 0xfffn]) {
      cpu.writeCr3(small.cr3 | source);
      expect(uses(cpu, VA)).toBe(OLD);
    }
  });

  test('tables over global pages are not global', () => {
    const small = mapped('4-level', [VA, NEIGHBOUR], OPEN | G);
    const cpu = small.boot({ cr4: CR4_PCIDE, cr3: small.cr3 | 1n });
    uses(cpu, VA);
    small.set(VA, 'PDE', small.get(VA, 'PDE') & ~P);
    cpu.writeCr3(small.cr3 | 2n | NO_FLUSH);
    expect(uses(cpu, VA)).toBe(OLD);
    expect(uses(cpu, NEIGHBOUR)).toBe('#PF 0x0');
  });
});

/** 4.10.4.1 and vol. 2, INVPCID */
describe('INVPCID', () => {
  const GLOBAL_PAGE = 0x40_6000n;
  const PAGES = [VA, NEIGHBOUR];

  /** PCID 1 and 2 have both pages and their tables, and there is a global page. The current PCID is 3. */
  function full(): { readonly small: SmallMachine; readonly cpu: X86Cpu } {
    const small = mapped('4-level', PAGES);
    small.map(GLOBAL_PAGE, FRAMES[OLD], OPEN | G);
    const cpu = small.boot({ cr4: CR4_PCIDE, cr3: small.cr3 | 1n });
    for (const pcid of [1n, 2n]) {
      cpu.writeCr3(small.cr3 | pcid | NO_FLUSH);
      for (const va of [...PAGES, GLOBAL_PAGE]) expect(uses(cpu, va)).toBe(OLD);
    }
    cpu.writeCr3(small.cr3 | 3n | NO_FLUSH);
    change(small, PAGES);
    change(small, [GLOBAL_PAGE], OPEN | G);
    return { small, cpu };
  }

  /** What PCID 1 and 2 use for both pages, and what is used for the global one. */
  function state(small: SmallMachine, cpu: X86Cpu): string {
    const texts: string[] = [];
    for (const pcid of [1n, 2n]) {
      cpu.writeCr3(small.cr3 | pcid | NO_FLUSH);
      texts.push(...PAGES.map((va) => uses(cpu, va)));
    }
    return [...texts, uses(cpu, GLOBAL_PAGE)].join(' ');
  }

  test.each([
    [0, 1, VA + 0x123n, 'new old old old old'],
    [0, 2, NEIGHBOUR, 'old old old new old'],
    [0, 3, VA, 'old old old old old'],
    [0, 1, GLOBAL_PAGE, 'old old old old old'],
    [1, 1, 0n, 'new new old old old'],
    [1, 2, 1n << 60n, 'old old new new old'],
    [1, 3, 0n, 'old old old old old'],
    [2, 0, 0n, 'new new new new new'],
    [3, 0, 0n, 'new new new new old'],
    [2, 7, 1n << 60n, 'new new new new new'],
    [3, 7, 1n << 60n, 'new new new new old'],
  ])('type %i, PCID %i, address %s: %s', (type, pcid, va, expected) => {
    const { small, cpu } = full();
    expect(faultOf(cpu.invpcid(type, pcid, va))).toBe('done');
    expect(state(small, cpu)).toBe(expected);
  });

  test.each([
    [0, 1, '#PF 0x0 old'],
    [0, 2, 'old #PF 0x0'],
    [1, 1, '#PF 0x0 old'],
    [1, 2, 'old #PF 0x0'],
    [2, 0, '#PF 0x0 #PF 0x0'],
    [3, 0, '#PF 0x0 #PF 0x0'],
  ])('type %i, PCID %i: takes the tables of the address: %s', (type, pcid, expected) => {
    const small = mapped('4-level', [VA, NEIGHBOUR]);
    const cpu = small.boot({ cr4: CR4_PCIDE, cr3: small.cr3 | 1n });
    for (const pcid of [1n, 2n]) {
      cpu.writeCr3(small.cr3 | pcid | NO_FLUSH);
      uses(cpu, VA);
    }
    small.set(VA, 'PDE', 0n);
    cpu.invpcid(type, pcid, NEIGHBOUR);
    const found = [1n, 2n].map((pcid) => {
      cpu.writeCr3(small.cr3 | pcid | NO_FLUSH);
      return uses(cpu, NEIGHBOUR);
    });
    expect(found.join(' ')).toBe(expected);
  });

  test('type 0 takes all of a large page', () => {
    const small = mapped('4-level', [0n], OPEN, 'PDE');
    const cpu = small.boot({ cr4: CR4_PCIDE });
    remembered(small, cpu, [0n], OPEN, 'PDE');
    cpu.invpcid(0, 0, 0x1f_f000n);
    expect(uses(cpu, 0n)).toBe(NEW);
  });

  test.each([4, 5, -1, 0xffff_ffff, 1.5])('type %d raises #GP', (type) => {
    expect(faultOf(mapped('4-level', [VA]).boot().invpcid(type))).toBe('#GP(0)');
  });

  test.each([0, 1, 2, 3])('type %i: descriptor bits 63:12 raise #GP', (type) => {
    const cpu = mapped('4-level', [VA]).boot({ cr4: CR4_PCIDE });
    expect(faultOf(cpu.invpcid(type, 0x1000))).toBe('#GP(0)');
    expect(faultOf(cpu.invpcid(type, 0xfff))).toBe('done');
  });

  test('type 0 raises #GP for an address that is not canonical; the others do not look at it', () => {
    const cpu = mapped('4-level', [VA]).boot();
    expect(faultOf(cpu.invpcid(0, 0, 1n << 60n))).toBe('#GP(0)');
    for (const type of [1, 2, 3]) expect(faultOf(cpu.invpcid(type, 0, 1n << 60n))).toBe('done');
  });

  test('types 0 and 1 raise #GP for a PCID other than 0 while CR4.PCIDE = 0', () => {
    for (const mode of MODES) {
      const cpu = mapped(mode, [VA]).boot();
      expect([0, 1, 2, 3].map((type) => faultOf(cpu.invpcid(type, 1)))).toEqual([
        '#GP(0)',
        '#GP(0)',
        'done',
        'done',
      ]);
      expect(faultOf(cpu.invpcid(1, 0))).toBe('done');
    }
  });

  test('with #GP nothing is invalidated', () => {
    const { small, cpu } = full();
    cpu.invpcid(4);
    cpu.invpcid(2, 0x1000);
    cpu.invpcid(0, 1, 1n << 60n);
    expect(state(small, cpu)).toBe('old old old old old');
  });
});

/** 4.10.4.1, MOV to CR4 and MOV to CR0 */
describe('MOV to CR4 and CR0', () => {
  const PAGES = [VA, FAR];

  /** A page, a global page, and a table without translation, all remembered and changed. */
  function full(mode: (typeof MODES)[number], switches: Parameters<SmallMachine['boot']>[0] = {}) {
    const small = mapped(mode, [VA, NEIGHBOUR]);
    small.map(FAR, FRAMES[OLD], OPEN | G);
    const cpu = small.boot(switches);
    remembered(small, cpu, [VA]);
    remembered(small, cpu, [FAR], OPEN | G);
    change(small, [NEIGHBOUR]);
    // A second table for the neighbour.
    small.table(0x380);
    return { small, cpu };
  }

  test.each(MODES)('%s: a change of PGE takes everything, global translations too', (mode) => {
    for (const pge of [true, false]) {
      const { small, cpu } = full(mode, { pge });
      small.set(VA, 'PDE', small.get(VA, 'PDE') & ~P);
      expect(faultOf(cpu.writeCr4(cpu.cr4 ^ CR4_PGE))).toBe('done');
      expect(uses(cpu, NEIGHBOUR)).toBe('#PF 0x0');
      small.set(VA, 'PDE', small.get(VA, 'PDE') | P);
      expect(PAGES.map((va) => uses(cpu, va))).toEqual([NEW, NEW]);
    }
  });

  test('a change of PGE takes all PCIDs', () => {
    const small = mapped('4-level', [VA]);
    const cpu = small.boot({ cr4: CR4_PCIDE, cr3: small.cr3 | 1n });
    remembered(small, cpu, [VA]);
    cpu.writeCr3(small.cr3 | 2n | NO_FLUSH);
    cpu.writeCr4(cpu.cr4 ^ CR4_PGE);
    cpu.writeCr3(small.cr3 | 1n | NO_FLUSH);
    expect(uses(cpu, VA)).toBe(NEW);
  });

  test('PCIDE 1 to 0 takes everything of all PCIDs, and 0 to 1 nothing', () => {
    const small = mapped('4-level', [VA]);
    small.map(NEIGHBOUR, FRAMES[OLD], OPEN | G);
    const cpu = small.boot({ cr4: CR4_PCIDE });
    for (const pcid of [1n, 0n]) {
      cpu.writeCr3(small.cr3 | pcid | NO_FLUSH);
      uses(cpu, VA);
      uses(cpu, NEIGHBOUR);
    }
    change(small, [VA]);
    change(small, [NEIGHBOUR], OPEN | G);
    cpu.writeCr4(cpu.cr4 & ~CR4_PCIDE);
    expect([VA, NEIGHBOUR].map((va) => uses(cpu, va))).toEqual([NEW, NEW]);
    small.set(VA, 'PTE', to(FRAMES[OLD], OPEN));
    cpu.writeCr4(cpu.cr4 | CR4_PCIDE);
    expect(uses(cpu, VA), 'PCID 0').toBe(NEW);
    cpu.writeCr3(small.cr3 | 1n | NO_FLUSH);
    expect(uses(cpu, VA), 'PCID 1').toBe(OLD);
  });

  test('PAE 1 to 0 takes everything', () => {
    const small = mapped('PAE', [VA], OPEN | G);
    const cpu = small.boot();
    expect(uses(cpu, VA)).toBe(OLD);
    // The root's first PDPTE is a PDE for the first 4 MiB of 32-bit paging, the upper half of it one for the next.
    cpu.writeCr4(cpu.cr4 & ~CR4_PAE);
    expect(uses(cpu, VA)).toBe('#PF 0x0');
    cpu.writeCr4(cpu.cr4 | CR4_PAE);
    expect(uses(cpu, VA)).toBe(OLD);
  });

  test.each(MODES)('%s: SMEP 0 to 1 takes what belongs to the current PCID, 1 to 0 need not', (mode) => {
    const { small, cpu } = full(mode);
    small.set(VA, 'PDE', small.get(VA, 'PDE') & ~P);
    cpu.writeCr4(cpu.cr4 | CR4_SMEP);
    expect(uses(cpu, NEIGHBOUR)).toBe('#PF 0x0');
    small.set(VA, 'PDE', small.get(VA, 'PDE') | P);
    // "All TLB entries ... for the current PCID": the global one was made under it.
    expect(PAGES.map((va) => uses(cpu, va))).toEqual([NEW, NEW]);
    small.set(VA, 'PTE', to(FRAMES[OLD], OPEN));
    cpu.writeCr4(cpu.cr4 & ~CR4_SMEP);
    expect(uses(cpu, VA)).toBe(NEW);
  });

  test('SMEP 0 to 1 leaves other PCIDs alone', () => {
    const small = mapped('4-level', [VA]);
    const cpu = small.boot({ cr4: CR4_PCIDE, cr3: small.cr3 | 1n });
    remembered(small, cpu, [VA]);
    cpu.writeCr3(small.cr3 | 2n | NO_FLUSH);
    cpu.writeCr4(cpu.cr4 | CR4_SMEP);
    cpu.writeCr3(small.cr3 | 1n | NO_FLUSH);
    expect(uses(cpu, VA)).toBe(OLD);
  });

  test.each(MODES)('%s: CR0.PG 1 to 0 takes everything, global translations too', (mode) => {
    const { cpu } = full(mode);
    const on = cpu.cr0;
    expect(faultOf(cpu.writeCr0(on & ~CR0_PG))).toBe('done');
    expect(frameOf(cpu, VA)).toBe('0x403');
    expect(faultOf(cpu.writeCr0(on))).toBe('done');
    expect(PAGES.map((va) => uses(cpu, va))).toEqual([NEW, NEW]);
  });

  test.each([
    ['CR4.PSE', (cpu: X86Cpu) => cpu.writeCr4(cpu.cr4 ^ CR4_PSE)],
    ['CR4.SMAP', (cpu: X86Cpu) => cpu.writeCr4(cpu.cr4 ^ CR4_SMAP)],
    ['CR4.PKE', (cpu: X86Cpu) => cpu.writeCr4(cpu.cr4 ^ CR4_PKE)],
    ['CR0.WP', (cpu: X86Cpu) => cpu.writeCr0(cpu.cr0 ^ CR0_WP)],
    ['CR0.CD', (cpu: X86Cpu) => cpu.writeCr0(cpu.cr0 ^ (1n << 30n))],
    ['EFER.NXE', (cpu: X86Cpu) => cpu.writeEfer(cpu.efer ^ EFER_NXE)],
    ['nothing in CR4', (cpu: X86Cpu) => cpu.writeCr4(cpu.cr4)],
    ['nothing in CR0', (cpu: X86Cpu) => cpu.writeCr0(cpu.cr0)],
  ])('a change of %s takes nothing', (_, instruction) => {
    for (const mode of MODES) {
      const { cpu } = full(mode);
      cpu.ac = true;
      expect(faultOf(instruction(cpu))).toBe('done');
      expect(
        PAGES.map((va) => uses(cpu, va)),
        mode,
      ).toEqual([OLD, OLD]);
    }
  });

  test('a refused instruction takes nothing', () => {
    const small = mapped('PAE', [VA]);
    const cpu = small.boot();
    remembered(small, cpu, [VA]);
    small.set(VA, 'PDPTE', small.get(VA, 'PDPTE') | 2n);
    expect(faultOf(cpu.writeCr4(cpu.cr4 ^ CR4_PGE))).toBe('#GP(0)');
    expect(faultOf(cpu.writeCr3(cpu.cr3))).toBe('#GP(0)');
    expect(uses(cpu, VA)).toBe(OLD);
  });
});

/** 4.6.1 and 4.6.2: modifiers are applied to each access. */
describe('modifiers take effect at once on what is remembered', () => {
  test('CR0.WP', () => {
    const cpu = mapped('4-level', [VA], P | US | D).boot();
    expect(uses(cpu, VA)).toBe(OLD);
    cpu.writeCr0(cpu.cr0 & ~CR0_WP);
    expect(uses(cpu, VA, 'write')).toBe(OLD);
    expect(uses(cpu, VA, 'write', true)).toBe('#PF 0x7');
    expect(uses(cpu, VA, 'write')).toBe(OLD);
    cpu.writeCr0(cpu.cr0 | CR0_WP);
    expect(uses(cpu, VA, 'write')).toBe('#PF 0x3');
  });

  test('CR4.SMAP and RFLAGS.AC', () => {
    const cpu = mapped('4-level', [VA]).boot();
    expect(uses(cpu, VA)).toBe(OLD);
    cpu.writeCr4(cpu.cr4 | CR4_SMAP);
    expect(uses(cpu, VA)).toBe('#PF 0x1');
    cpu.ac = true;
    expect(uses(cpu, VA)).toBe(OLD);
    cpu.ac = false;
    expect(uses(cpu, VA)).toBe('#PF 0x1');
    cpu.writeCr4(cpu.cr4 & ~CR4_SMAP);
    expect(uses(cpu, VA)).toBe(OLD);
  });

  test('RFLAGS.AC that was set before SMAP', () => {
    const cpu = mapped('4-level', [VA]).boot();
    cpu.ac = true;
    cpu.writeCr4(cpu.cr4 | CR4_SMAP);
    expect(uses(cpu, VA)).toBe(OLD);
    cpu.writeCr4(cpu.cr4 & ~CR4_SMAP);
    cpu.ac = false;
    expect(uses(cpu, VA)).toBe(OLD);
    cpu.writeCr4(cpu.cr4 | CR4_SMAP);
    expect(uses(cpu, VA)).toBe('#PF 0x1');
  });

  test('CR4.SMEP', () => {
    const cpu = mapped('4-level', [VA]).boot({ smep: true });
    expect(uses(cpu, VA, 'fetch', true)).toBe(OLD);
    expect(uses(cpu, VA, 'fetch')).toBe('#PF 0x11');
    cpu.writeCr4(cpu.cr4 & ~CR4_SMEP);
    expect(uses(cpu, VA, 'fetch')).toBe(OLD);
  });

  test('the privilege level', () => {
    const cpu = mapped('4-level', [VA], P | RW).boot();
    expect(uses(cpu, VA)).toBe(OLD);
    expect(uses(cpu, VA, 'read', true)).toBe('#PF 0x5');
    expect(uses(cpu, VA)).toBe(OLD);
  });

  test('PKRU and IA32_PKRS', () => {
    const user = mapped('4-level', [VA], OPEN | key(1)).boot({ pke: true });
    expect(uses(user, VA)).toBe(OLD);
    user.writePkru(1n << 2n);
    expect(uses(user, VA)).toBe('#PF 0x21');
    user.writePkru(0n);
    expect(uses(user, VA)).toBe(OLD);
    const supervisor = mapped('4-level', [VA], P | RW | key(1)).boot({ pks: true });
    expect(uses(supervisor, VA)).toBe(OLD);
    supervisor.writePkrs(1n << 2n);
    expect(uses(supervisor, VA)).toBe('#PF 0x21');
    supervisor.writePkrs(0n);
    expect(uses(supervisor, VA)).toBe(OLD);
  });
});

/** 4.10.4.1, on page faults; 4.10.4.3 on spurious ones. */
describe('a page fault takes what it came from', () => {
  test.each([
    ['R/W 0 to 1', P | US, 'write', true, '#PF 0x7'],
    ['U/S 0 to 1', P | RW, 'read', true, '#PF 0x5'],
    ['XD 1 to 0', OPEN | XD, 'fetch', false, '#PF 0x11'],
  ] as const)(
    '%s: one spurious fault, and the access succeeds when tried again',
    (_, flags, kind, user, fault) => {
      for (const global of [0n, G]) {
        const small = mapped('4-level', [VA], flags | global);
        const cpu = small.boot();
        expect(uses(cpu, VA)).toBe(OLD);
        change(small, [VA], OPEN | global);
        expect(uses(cpu, VA, kind, user)).toBe(fault);
        expect(cpu.failure()).toMatchObject({ fromCache: true });
        expect(uses(cpu, VA, kind, user)).toBe(NEW);
      }
    },
  );

  test('a fault that the tables cause comes again, and not from the cache', () => {
    const small = mapped('4-level', [VA], P | US);
    const cpu = small.boot();
    uses(cpu, VA);
    expect(uses(cpu, VA, 'write')).toBe('#PF 0x3');
    expect(cpu.failure()).toMatchObject({ fromCache: true });
    expect(uses(cpu, VA, 'write')).toBe('#PF 0x3');
    expect(cpu.failure()).toMatchObject({ fromCache: false });
  });

  test('it takes the translation for all accesses', () => {
    const small = mapped('4-level', [VA], P | US);
    const cpu = small.boot();
    expect(uses(cpu, VA)).toBe(OLD);
    change(small, [VA], P | US);
    expect(uses(cpu, VA)).toBe(OLD);
    expect(uses(cpu, VA, 'write')).toBe('#PF 0x3');
    expect(uses(cpu, VA)).toBe(NEW);
  });

  test('it takes no other page', () => {
    const small = mapped('4-level', [VA, NEIGHBOUR], P | US);
    const cpu = small.boot();
    remembered(small, cpu, [VA, NEIGHBOUR], P | US);
    expect(uses(cpu, VA, 'write')).toBe('#PF 0x3');
    expect(uses(cpu, NEIGHBOUR)).toBe(OLD);
  });

  test.each([
    ['32-bit', 'PDE'],
    ['PAE', 'PDE'],
    ['4-level', 'PDE'],
    ['4-level', 'PDPTE'],
  ] as const)('%s: it takes all of a large page mapped by a %s', (mode, at) => {
    const small = mapped(mode, [0n], P | US, at);
    const cpu = small.boot();
    frameOf(cpu, 0x8000n);
    remembered(small, cpu, [0n], P | US, at);
    expect(uses(cpu, 0x8000n, 'write')).toBe('#PF 0x3');
    expect(uses(cpu, 0n)).toBe(NEW);
  });

  test('it takes the tables that its address uses', () => {
    const small = mapped('4-level', [VA, NEIGHBOUR]);
    const cpu = small.boot();
    uses(cpu, VA);
    // The remembered table says that there is no page here; the new one has one.
    const absent = VA + 0x10_0000n;
    small.table(0x380);
    const at = small.memory.locate(0x380) + 2 * Number((absent >> 12n) & 511n);
    small.memory.words[at] = Number(to(FRAMES[NEW], OPEN));
    small.set(VA, 'PDE', to(0x380, OPEN));
    expect(uses(cpu, absent)).toBe('#PF 0x0');
    expect(cpu.failure()).toMatchObject({ fromCache: true });
    expect(uses(cpu, absent)).toBe(NEW);
  });

  test('it leaves what belongs to other PCIDs', () => {
    const small = mapped('4-level', [VA], P | US);
    const cpu = small.boot({ cr4: CR4_PCIDE, cr3: small.cr3 | 1n });
    remembered(small, cpu, [VA], P | US);
    cpu.writeCr3(small.cr3 | 2n);
    expect(uses(cpu, VA, 'write')).toBe('#PF 0x3');
    cpu.writeCr3(small.cr3 | 1n | NO_FLUSH);
    expect(uses(cpu, VA)).toBe(OLD);
  });

  test('#GP for an address that is not canonical takes nothing', () => {
    const small = mapped('4-level', [VA]);
    const cpu = small.boot();
    remembered(small, cpu, [VA]);
    expect(uses(cpu, VA | (1n << 60n))).toBe('#GP');
    expect(cpu.failure()).toMatchObject({ fromCache: false });
    expect(uses(cpu, VA)).toBe(OLD);
  });
});

describe('policies', () => {
  const pages = Array.from({ length: 6 }, (_, i) => VA + BigInt(i) * 0x1000n);

  function stale(options: X86CpuOptions): string {
    const small = mapped('4-level', pages);
    const cpu = small.boot({}, options);
    for (const va of pages) uses(cpu, va);
    change(small, pages);
    // The last first: what is walked for anew takes the place of the oldest.
    return [...pages]
      .reverse()
      .map((va) => uses(cpu, va))
      .join(' ');
  }

  test("'none' walks for every access", () => {
    expect(stale({ caching: 'none' })).toBe('new new new new new new');
    const small = mapped('4-level', [VA, NEIGHBOUR]);
    const cpu = small.boot({}, { caching: 'none' });
    uses(cpu, VA);
    small.set(VA, 'PDE', 0n);
    expect(uses(cpu, NEIGHBOUR)).toBe('#PF 0x0');
    expect(cpu.failure()).toMatchObject({ fromCache: false });
  });

  test("'none' still keeps the PDPTE registers, which are no cache", () => {
    const small = mapped('PAE', [VA]);
    const cpu = small.boot({}, { caching: 'none' });
    small.set(VA, 'PDPTE', 0n);
    expect(uses(cpu, VA)).toBe(OLD);
  });

  test("'all', the default, keeps everything", () => {
    expect(stale({ caching: 'all' })).toBe('old old old old old old');
    expect(stale({})).toBe('old old old old old old');
  });

  test.each([
    [1, 'old new new new new new'],
    [3, 'old old old new new new'],
    [5, 'old old old old old new'],
    [6, 'old old old old old old'],
    [1000, 'old old old old old old'],
  ])('a number keeps so many, the oldest going first: %i', (caching, expected) => {
    expect(stale({ caching })).toBe(expected);
  });

  test.each([1, 2, 7, 300])('with %i, what was evicted is nowhere left', (caching) => {
    const many = Array.from({ length: 700 }, (_, i) => BigInt(i) * 0x1000n);
    const small = mapped('4-level', many);
    const cpu = small.boot({}, { caching });
    for (const va of many) uses(cpu, va);
    change(small, many);
    const kept = many.slice(-caching);
    for (const va of [...kept].reverse()) expect(uses(cpu, va)).toBe(OLD);
    for (const va of many.slice(0, -caching)) expect(uses(cpu, va)).toBe(NEW);
  });

  test("'all' keeps thousands", () => {
    const many = Array.from({ length: 5000 }, (_, i) => BigInt(i) * 0x1000n);
    const small = mapped('4-level', many);
    const cpu = small.boot();
    for (const va of many) uses(cpu, va);
    change(small, many);
    expect(many.filter((va) => uses(cpu, va) !== OLD)).toEqual([]);
    cpu.invlpg(many[4321]);
    expect(many.filter((va) => uses(cpu, va) !== OLD)).toEqual([many[4321]]);
    cpu.writeCr3(cpu.cr3);
    expect(many.filter((va) => uses(cpu, va) !== NEW)).toEqual([]);
  });

  test('thousands of switches between address spaces mix nothing up', () => {
    const small = mapped('4-level', [VA]);
    const cpu = small.boot({ cr4: CR4_PCIDE });
    for (let i = 0; i < 20_000; i += 1) {
      const frame = i % 2 ? OLD : NEW;
      small.set(VA, 'PTE', to(FRAMES[frame], OPEN));
      cpu.writeCr3(small.cr3 | BigInt(i % 4096));
      if (uses(cpu, VA) !== frame) expect(`switch ${i}: ${uses(cpu, VA)}`).toBe(`switch ${i}: ${frame}`);
    }
  });
});
