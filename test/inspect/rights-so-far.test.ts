import { describe, expect, test } from 'vitest';
import { aarch64Paging, riscvPaging, x86Paging } from '../../src/format/index.ts';
import { explain } from '../../src/inspect/index.ts';
import { satpOf } from '../support/riscv-cases.ts';
import { entryTo, Tables } from '../support/tables.ts';
import { controlsOf, type Switches, sparseFrom } from '../support/x86-cases.ts';

// Effective rights as format/rights.ts numbers them: user r 1, w 2, x 4; supervisor r 8, w 16, x 32. Expected values by hand.
const ALL = 63;

describe('x86: Intel SDM vol. 3A, "Determination of Access Rights"', () => {
  const TABLE = 0x27n;
  const PAGE = 0x67n;
  const XD = 1n << 63n;

  const soFar = (entries: readonly bigint[], switches: Partial<Switches> = {}): number[] => {
    const tables = new Tables();
    entries.forEach((entry, depth) => {
      tables.set(1 + depth, 0, entry);
    });
    const { ours } = controlsOf({ mode: '4-level', cr3: 0x1000n, physBits: 40, ...switches });
    const { levels } = explain(sparseFrom(tables.frames).memory, x86Paging(ours), 0n);
    return levels.map(({ rightsSoFar }) => rightsSoFar);
  };

  test('each entry takes its own: R/W = 0 writes, U/S = 0 user access, XD = 1 fetches', () => {
    const path = [entryTo(2, 0x25n), entryTo(3, 0x21n), entryTo(4, 0x21n | XD), entryTo(9, PAGE)];
    // User and supervisor r-x; supervisor r-x; supervisor r--.
    expect(soFar(path)).toEqual([45, 40, 8, 8]);
    const open = [entryTo(2, TABLE), entryTo(3, TABLE), entryTo(4, TABLE), entryTo(9, 0x21n)];
    expect(soFar(open)).toEqual([ALL, ALL, ALL, 40]);
  });

  test('CR0.WP = 0: a supervisor writes whatever R/W says', () => {
    expect(soFar([entryTo(2, 0x25n)], { wp: false })).toEqual([61]);
    expect(soFar([entryTo(2, 0x21n)], { wp: false })).toEqual([56]);
  });

  test('SMEP and SMAP take from user pages alone: below an entry that allows both there can be others', () => {
    const path = [entryTo(2, TABLE), entryTo(3, TABLE), entryTo(4, TABLE), entryTo(9, PAGE)];
    expect(soFar(path, { smep: true, smap: true })).toEqual([ALL, ALL, ALL, 7]);
  });

  test('keys: where PKRU denies data of all sixteen, user pages keep fetches', () => {
    const all = { pke: true, pkru: 0xffff_ffff };
    expect(soFar([entryTo(2, TABLE)], all)).toEqual([4 + 56]);
    // Key 0 is left.
    expect(soFar([entryTo(2, TABLE)], { pke: true, pkru: 0xffff_fffc })).toEqual([ALL]);
  });

  test('0 where the walk ends: nothing present, a reserved bit', () => {
    expect(soFar([entryTo(2, TABLE), 0n])).toEqual([ALL, 0]);
    expect(soFar([entryTo(2, 0x25n), entryTo(3, TABLE | (1n << 45n))])).toEqual([45, 0]);
  });

  test('a missing table may hold anything that is left', () => {
    expect(soFar([entryTo(99, 0x25n)])).toEqual([45]);
  });

  test('a large page has its own rights', () => {
    expect(soFar([entryTo(2, TABLE), entryTo(0x4_0000, 0xe5n)])).toEqual([ALL, 45]);
  });

  test('a PDPTE of PAE takes nothing; without XD, in 32-bit paging, nothing takes fetches', () => {
    expect(soFar([entryTo(2, 1n), entryTo(3, 0x25n), entryTo(9, PAGE)], { mode: 'PAE' })).toEqual([
      ALL,
      45,
      45,
    ]);
    const tables = new Tables(4).set(1, 0, entryTo(2, 0x21n)).set(2, 0, entryTo(9, PAGE));
    const { ours } = controlsOf({ mode: '32-bit', cr3: 0x1000n });
    const { levels } = explain(sparseFrom(tables.frames).memory, x86Paging(ours), 0n);
    expect(levels.map(({ rightsSoFar }) => rightsSoFar)).toEqual([40, 40]);
  });
});

describe('AArch64: Arm ARM (DDI 0487), "Hierarchical control" of permissions, and "Stage 1 permissions"', () => {
  const bit = (at: number) => 1n << BigInt(at);
  // TG0 = 4K, 48 bits in both halves, TG1 = 4K, IPS = 48 bits, HA.
  const TCR = 16n | (16n << 16n) | (2n << 30n) | (5n << 32n) | bit(39);
  // Of a page: AP[1] = 1, AF, valid.
  const PAGE = 0x443n;

  const soFar = (
    entries: readonly bigint[],
    changes: { readonly tcr?: bigint; readonly sctlr?: bigint; readonly pan?: boolean } = {},
  ): number[] => {
    const tables = new Tables();
    entries.forEach((entry, depth) => {
      tables.set(1 + depth, 0, entryTo(depth === 3 ? 9 : 2 + depth, entry));
    });
    const paging = aarch64Paging(
      {
        ttbr0: 0x1000n,
        ttbr1: 0n,
        tcr: changes.tcr ?? TCR,
        mair: 0xffn,
        sctlr: changes.sctlr ?? 1n,
        pan: changes.pan ?? false,
        physBits: 48,
      },
      'lower',
    );
    if (paging === undefined) throw new Error('no walks');
    const { levels } = explain(sparseFrom(tables.frames).memory, paging, 0n);
    return levels.map(({ rightsSoFar }) => rightsSoFar);
  };

  test('a plain table leaves all: what EL0 can write EL1 never executes, yet other pages it can', () => {
    // The page is for EL0: rwx, and EL1 rw-.
    expect(soFar([3n, 3n, 3n, PAGE])).toEqual([ALL, ALL, ALL, 7 + 24]);
  });

  test.each([
    ['APTable[0]: no data accesses from EL0, which can still execute', 61, 4 + 56],
    ['APTable[1]: no writes', 62, 45],
    ['UXNTable: no fetches from EL0', 60, ALL - 4],
    ['PXNTable: no fetches from EL1', 59, ALL - 32],
  ])('%s', (_, at, rights) => {
    expect(soFar([3n, bit(at) | 3n, 3n])).toEqual([ALL, rights, rights]);
    // TCR_EL1.HPD0: the bits mean nothing.
    expect(soFar([3n, bit(at) | 3n, 3n], { tcr: TCR | bit(41) })).toEqual([ALL, ALL, ALL]);
  });

  test('two tables take together', () => {
    expect(soFar([bit(62) | 3n, bit(60) | 3n, bit(59) | 3n, PAGE])).toEqual([45, 41, 9, 9]);
  });

  test('WXN: a page can be written or executed; above it, both are possible', () => {
    const path = [3n, 3n, 3n, PAGE];
    expect(soFar(path, { sctlr: 1n | bit(19) })).toEqual([ALL, ALL, ALL, 3 + 24]);
  });

  test('PAN takes data accesses of EL1 to pages of EL0: others are left to it', () => {
    expect(soFar([3n, 3n, 3n, PAGE], { pan: true })).toEqual([ALL, ALL, ALL, 7]);
  });

  test('without HA a page whose AF is 0 has no rights, those with AF = 1 do', () => {
    expect(soFar([3n, 3n, 3n, 0x43n], { tcr: TCR & ~bit(39) })).toEqual([ALL, ALL, ALL, 0]);
  });

  test('E0PD0: nothing of this half is for EL0', () => {
    expect(soFar([3n, 3n], { tcr: TCR | bit(55) })).toEqual([56, 56]);
  });
});

describe('RISC-V: tables take nothing', () => {
  const soFar = (leaf: bigint, sum: boolean): number[] => {
    // PPN from bit 10 on; V; of the leaf also R, W, X, U, A, D.
    const entry = (frame: number, flags: bigint) => (BigInt(frame) << 10n) | flags;
    const tables = new Tables().set(1, 0, entry(2, 1n)).set(2, 0, entry(3, 0x21n)).set(3, 0, entry(9, leaf));
    const paging = riscvPaging({
      satp: satpOf('sv39', 1n),
      xlen: 64,
      sum,
      mxr: false,
      svnapot: true,
      svpbmt: true,
      adue: false,
      physBits: 56,
    });
    const { levels } = explain(sparseFrom(tables.frames).memory, paging, 0n);
    return levels.map(({ rightsSoFar }) => rightsSoFar);
  };

  test('each leaves all; the page has its own', () => {
    expect(soFar(0xdfn, false)).toEqual([ALL, ALL, 7]);
    expect(soFar(0xdfn, true)).toEqual([ALL, ALL, 7 + 24]);
    // S-mode, r-x, without A.
    expect(soFar(0xcbn, false)).toEqual([ALL, ALL, 40]);
    expect(soFar(0x8bn, false)).toEqual([ALL, ALL, 0]);
  });
});
