import { describe, expect, test } from 'vitest';
import { highHalf, lowHalf, PageTableError } from '../../src/bits/index.ts';
import {
  ACCESSES,
  describeEntry,
  FORMAT_SV32,
  FORMAT_SV39,
  FORMAT_SV48,
  FORMAT_SV57,
  type FormatFact,
  fieldsOf,
  groupOrder,
  isAccessed,
  isDirty,
  isFaultyPage,
  isFaultyTable,
  isGlobal,
  isPresent,
  knownRiscvControl,
  leadsToTable,
  nearTableFrame,
  pageFrame,
  pageOrder,
  pageWithin,
  pteRights,
  RISCV_DENIED_BY,
  RISCV_FORMATS,
  type RiscvControl,
  reservedTexts,
  resolveRiscvControl,
  rightsText,
  riscvDenials,
  riscvFormat,
  riscvMode,
  riscvPaging,
  satpAsid,
  satpFor,
  satpMode,
  satpRoot,
  tableFrame,
} from '../../src/format/index.ts';
import { listRegions } from '../../src/inspect/index.ts';
import { RESERVED, Walker } from '../../src/walk/index.ts';
import { Tables } from '../support/tables.ts';
import { sparseFrom } from '../support/x86-cases.ts';

// Expected values: RISC-V Privileged ISA, chapters "Supervisor-Level ISA", "Svnapot" and "Svpbmt", written out here.

const BASE: RiscvControl = {
  satp: 0x8000_1000_0008_0003n,
  xlen: 64,
  sum: false,
  mxr: false,
  svnapot: true,
  svpbmt: true,
  adue: false,
  physBits: 56,
};

function formatOf(fact: FormatFact, changes: Partial<RiscvControl> = {}) {
  return riscvFormat(fact, { ...BASE, physBits: fact === FORMAT_SV32 ? 34 : 56, ...changes });
}

/** Depth of the manual's level. */
const depthOf = (fact: FormatFact, level: number) => fact.levels.length - 1 - level;

/** What an entry is at a level. */
function kindOf(fact: FormatFact, level: number, pte: bigint, changes: Partial<RiscvControl> = {}) {
  const { facts } = formatOf(fact, changes);
  const depth = depthOf(fact, level);
  const [low, high] = [lowHalf(pte), highHalf(pte)];
  if (!isPresent(facts, depth, low)) return 'invalid';
  if (leadsToTable(facts, depth, low)) return isFaultyTable(facts, depth, low, high) ? 'fault' : 'table';
  return isFaultyPage(facts, depth, low, high) ? 'fault' : 'page';
}

describe('geometry', () => {
  test.each([
    [FORMAT_SV32, 32, 2, 10, [22, 12]],
    [FORMAT_SV39, 39, 3, 9, [30, 21, 12]],
    [FORMAT_SV48, 48, 4, 9, [39, 30, 21, 12]],
    [FORMAT_SV57, 57, 5, 9, [48, 39, 30, 21, 12]],
  ] as const)('$name', (fact, vaBits, levels, bits, sizes) => {
    expect(fact.name).toBe(`sv${vaBits}`);
    expect(fact.title).toBe(`RISC-V Sv${vaBits}`);
    expect(fact.vaBits).toBe(vaBits);
    expect(fact.entryBytes).toBe(vaBits === 32 ? 4 : 8);
    expect(fact.physBits).toBe(vaBits === 32 ? 34 : 56);
    expect(fact.levels.map(({ entry }) => entry)).toEqual(
      Array.from({ length: levels }, (_, i) => `level-${levels - 1 - i} PTE`),
    );
    expect(fact.levels.map(({ indexHigh, indexLow }) => indexHigh - indexLow + 1)).toEqual(
      Array.from({ length: levels }, () => bits),
    );
    expect(fact.levels.map(({ indexLow }) => indexLow)).toEqual(sizes);
    // Every level can hold pages.
    const { facts } = formatOf(fact);
    expect(sizes.map((_, depth) => pageOrder(facts, depth) + 12)).toEqual(sizes);
  });

  test.each(RISCV_FORMATS)('$name: the fields of every kind of entry cover each bit exactly once', (fact) => {
    for (const [svnapot, svpbmt] of [
      [false, false],
      [true, false],
      [false, true],
      [true, true],
    ]) {
      const { state } = formatOf(fact, { svnapot, svpbmt });
      for (const { entries } of fact.levels) {
        for (const entry of entries) {
          let next = fact.entryBytes * 8 - 1;
          for (const { high, low } of fieldsOf(entry, state)) {
            expect(high).toBe(next);
            next = low - 1;
          }
          expect(next).toBe(-1);
        }
      }
    }
  });
});

describe('worked entries', () => {
  // The PTE of each, and where it leads.
  test.each([
    ['Sv39 4K: PA 80001000, RW G A D', FORMAT_SV39, 0, 0x2000_04e7n, 'page', 0x8_0001, 'rw-', true],
    ['Sv39 2M: PA 80200000, RX G A D', FORMAT_SV39, 1, 0x2008_00ebn, 'page', 0x8_0200, 'r-x', true],
    ['Sv39 pointer: next 80002000', FORMAT_SV39, 1, 0x2000_0801n, 'table', 0x8_0002, undefined, false],
    [
      'Sv39 NAPOT 64K: PA 80010000, RW A D',
      FORMAT_SV39,
      0,
      0x8000_0000_2000_60c7n,
      'page',
      0x8_0010,
      'rw-',
      false,
    ],
    [
      'Sv39 PBMT=IO: PA 10000000, RW A D',
      FORMAT_SV39,
      0,
      0x4000_0000_0400_00c7n,
      'page',
      0x1_0000,
      'rw-',
      false,
    ],
  ] as const)('%s', (_, fact, level, pte, kind, frame, rights, global) => {
    const { facts } = formatOf(fact);
    const depth = depthOf(fact, level);
    const [low, high] = [lowHalf(pte), highHalf(pte)];
    expect(kindOf(fact, level, pte)).toBe(kind);
    if (kind === 'table') {
      expect(tableFrame(facts, depth, low, high)).toBe(frame);
      return;
    }
    // Of a group it is the address of the first page.
    expect(pageFrame(facts, depth, low, high) + pageWithin(facts, depth, high, 0, 0)).toBe(frame);
    expect(rightsText(riscvPaging(BASE).rights(-1, 0, low, high), false)).toBe(rights);
    expect(rightsText(riscvPaging(BASE).rights(-1, 0, low, high), true)).toBe('---');
    expect(isGlobal(facts, depth, low)).toBe(global);
    expect([isAccessed(facts, depth, low), isDirty(facts, depth, low, high)]).toEqual([true, true]);
  });

  test('Sv32 4M: PA 3_0040_0000, RWX U A D', () => {
    const { facts } = formatOf(FORMAT_SV32);
    const low = 0xc010_00df | 0;
    expect(kindOf(FORMAT_SV32, 1, 0xc010_00dfn)).toBe('page');
    expect(pageFrame(facts, 0, low, 0)).toBe(0x30_0400);
    const paging = riscvPaging({ ...BASE, xlen: 32, satp: 0x8000_0000n, physBits: 34, sum: true });
    expect(rightsText(paging.rights(-1, 0, low, 0), true)).toBe('rwx');
    // S-mode reads and writes it with SUM; it never executes it.
    expect(rightsText(paging.rights(-1, 0, low, 0), false)).toBe('rw-');
  });

  test('satp: Sv39, ASID 1, root 80003000', () => {
    expect(satpFor(FORMAT_SV39, 0x8_0003, 1)).toBe(0x8000_1000_0008_0003n);
    const it = { satp: 0x8000_1000_0008_0003n, xlen: 64 } as const;
    expect([satpMode(it), satpAsid(it), satpRoot(it)]).toEqual([8, 1, { frame: 0x8_0003, word: 0 }]);
    expect(riscvMode(it)).toBe(FORMAT_SV39);
  });

  test('memory types: PBMT 0 PMA, 1 NC, 2 IO; without Svpbmt all are PMA', () => {
    const names = (changes: Partial<RiscvControl>) =>
      [0, 1, 2].map((pbmt) => riscvPaging({ ...BASE, ...changes }).memoryType(2, 0x4e7, pbmt << 29).name);
    expect(names({})).toEqual(['PMA', 'NC', 'IO']);
    expect(names({ svpbmt: false })).toEqual(['PMA', 'PMA', 'PMA']);
  });
});

describe('what is invalid or reserved', () => {
  const wide = [FORMAT_SV39, FORMAT_SV48, FORMAT_SV57] as const;

  test('V = 0: nothing else counts', () => {
    for (const fact of RISCV_FORMATS)
      expect(kindOf(fact, 0, (1n << BigInt(8 * fact.entryBytes)) - 2n)).toBe('invalid');
  });

  test('R = W = X = 0 is a pointer, and reserved at the last level; W without R is reserved', () => {
    for (const fact of RISCV_FORMATS) {
      for (let level = 0; level < fact.levels.length; level += 1) {
        const kinds = Array.from({ length: 8 }, (_, rwx) => kindOf(fact, level, BigInt((rwx << 1) | 1)));
        // R is the lowest bit of the three.
        const pointer = level === 0 ? 'fault' : 'table';
        expect(kinds).toEqual([pointer, 'page', 'fault', 'page', 'page', 'page', 'fault', 'page']);
      }
    }
  });

  test('a pointer has U, A, D, PBMT, N and 60:54 clear; G and RSW are free', () => {
    for (const fact of RISCV_FORMATS) {
      for (let bit = 4; bit < fact.entryBytes * 8; bit += 1) {
        const faults = [4, 6, 7].includes(bit) || bit >= 54;
        expect([bit, kindOf(fact, 1, 1n | (1n << BigInt(bit)))]).toEqual([bit, faults ? 'fault' : 'table']);
      }
    }
  });

  test('a page has bits 60:54 clear', () => {
    for (const fact of wide) {
      for (let level = 0; level < fact.levels.length; level += 1) {
        for (let bit = 4; bit <= 60; bit += 1) {
          if (bit >= 10 && bit < 10 + 9 * level) continue;
          const want = bit >= 54 ? 'fault' : 'page';
          expect([level, bit, kindOf(fact, level, 3n | (1n << BigInt(bit)))]).toEqual([level, bit, want]);
        }
      }
    }
  });

  test('a superpage has the lower parts of its page number clear', () => {
    for (const fact of RISCV_FORMATS) {
      const bits = fact === FORMAT_SV32 ? 10 : 9;
      for (let level = 1; level < fact.levels.length; level += 1) {
        for (let bit = 10; bit < 10 + bits * (level + 1); bit += 1) {
          const want = bit < 10 + bits * level ? 'fault' : 'page';
          if (bit < Math.min(54, fact.entryBytes * 8))
            expect([level, bit, kindOf(fact, level, 7n | (1n << BigInt(bit)))]).toEqual([level, bit, want]);
        }
      }
    }
  });

  test('PBMT: 3 is reserved, all but 0 without Svpbmt', () => {
    const kinds = (svpbmt: boolean) =>
      [0n, 1n, 2n, 3n].map((pbmt) => kindOf(FORMAT_SV39, 2, 3n | (pbmt << 61n), { svpbmt }));
    expect(kinds(true)).toEqual(['page', 'page', 'page', 'fault']);
    expect(kinds(false)).toEqual(['page', 'fault', 'fault', 'fault']);
  });

  test('N: in an entry of level 0 with PPN[3:0] = 1000 only, and with Svnapot', () => {
    const n = 1n << 63n;
    for (let code = 0n; code < 16n; code += 1n) {
      const pte = n | (code << 10n) | 3n;
      expect([code, kindOf(FORMAT_SV39, 0, pte)]).toEqual([code, code === 8n ? 'page' : 'fault']);
      expect(kindOf(FORMAT_SV39, 0, pte, { svnapot: false })).toBe('fault');
    }
    for (const level of [1, 2]) expect(kindOf(FORMAT_SV39, level, n | 3n)).toBe('fault');
  });

  test('what makes an entry reserved is told', () => {
    const told = (level: number, pte: bigint, changes: Partial<RiscvControl> = {}) => {
      const depth = depthOf(FORMAT_SV39, level);
      return reservedTexts(formatOf(FORMAT_SV39, changes), { depth, low: lowHalf(pte), high: highHalf(pte) });
    };
    expect(told(0, 5n)).toEqual(['W = 1 with R = 0 (reserved)']);
    expect(told(0, 1n)).toEqual(['a pointer to a table (R = W = X = 0)']);
    expect(told(2, 3n | (1n << 12n))).toEqual(['PPN[1:0] (bits 27:10) not 0']);
    expect(told(1, 0x41n)).toEqual(['A (bit 6) not 0']);
    expect(told(0, 3n | (3n << 61n))).toEqual(['PBMT = 3 (reserved)']);
    expect(told(0, 3n | (1n << 61n), { svpbmt: false })).toEqual(['PBMT (bits 62:61) not 0']);
    expect(told(0, 3n | (1n << 63n))).toEqual(['N = 1 with bits 13:10 (PPN[3:0]) other than 1000']);
    expect(told(0, 3n | (1n << 54n))).toEqual(['reserved bits 60:54 not 0']);
    expect(told(0, 0x2000_04e7n)).toEqual([]);
  });
});

describe('addresses', () => {
  test('frames of 44 bits, of tables and of pages', () => {
    const { facts } = formatOf(FORMAT_SV39);
    const pte = (ppn: bigint) => (ppn << 10n) | 1n;
    for (const ppn of [
      0n,
      1n,
      0x3f_ffffn,
      0x40_0000n,
      2n ** 31n - 1n,
      2n ** 31n,
      2n ** 43n + 5n,
      2n ** 44n - 1n,
    ]) {
      const [low, high] = [lowHalf(pte(ppn)), highHalf(pte(ppn))];
      expect(tableFrame(facts, 0, low, high)).toBe(Number(ppn));
      expect(nearTableFrame(facts, 0, low, high)).toBe(ppn < 2n ** 31n ? Number(ppn) : -1);
      const page = pte(ppn) | 2n;
      expect(pageFrame(facts, 2, lowHalf(page), highHalf(page))).toBe(Number(ppn));
    }
  });

  test('a walk through tables above 2^43 frames, to a page there', () => {
    const [root, middle, last, page] = [2n ** 44n - 1n, 2n ** 43n + 1n, 2n ** 43n + 2n, 2n ** 44n - 2n];
    const tables = new Tables()
      .set(Number(root), 511, (middle << 10n) | 1n)
      .set(Number(middle), 0, (last << 10n) | 1n)
      .set(Number(last), 3, (page << 10n) | 0xcfn);
    const paging = riscvPaging({ ...BASE, satp: satpFor(FORMAT_SV39, Number(root)) });
    const walker = new Walker(sparseFrom(tables.frames).memory, paging);
    expect(walker.translateAddress(0xffff_ffff_c000_3123n)).toBe((page << 12n) | 0x123n);
  });

  test.each([
    ['Sv48, 2^39 bytes', FORMAT_SV48, 39],
    ['Sv57, 2^48 bytes', FORMAT_SV57, 48],
  ] as const)('%s: one page of the root', (_, fact, shift) => {
    const tables = new Tables()
      .set(1, 1, 0xcfn | (1n << BigInt(shift - 2)))
      .set(1, 2, 0xcfn | (1n << BigInt(shift - 3)));
    const paging = riscvPaging({ ...BASE, satp: satpFor(fact, 1) });
    const walker = new Walker(sparseFrom(tables.frames).memory, paging);
    // Every bit below the page's size goes through.
    const inside = (1n << BigInt(shift)) - 0x1234n;
    expect(walker.translateAddress((1n << BigInt(shift)) | inside)).toBe((1n << BigInt(shift)) | inside);
    // The next entry's page number is not aligned.
    expect(walker.translate(2 * 2 ** (shift - 12))).toBe(RESERVED);
  });

  test('Svnapot: 16 entries with one address; bits 15:12 come from the virtual address', () => {
    const tables = new Tables().set(1, 0, 0x801n).set(2, 0, 0xc01n);
    for (let i = 16; i < 32; i += 1) tables.set(3, i, 0x8000_0000_2000_60c7n);
    const { memory } = sparseFrom(tables.frames);
    const paging = riscvPaging({ ...BASE, satp: satpFor(FORMAT_SV39, 1) });
    const walker = new Walker(memory, paging);
    for (let i = 0; i < 16; i += 1) {
      expect(walker.translateAddress(0x1_0000n + BigInt(i * 4096 + 7))).toBe(
        0x8001_0000n + BigInt(i * 4096 + 7),
      );
    }
    expect(groupOrder(paging.format.facts, 2, 1 << 31)).toBe(4);
    const [region] = listRegions(memory, paging);
    expect(region).toMatchObject({
      first: 16,
      end: 32,
      frame: 0x8_0010,
      contiguous: 16,
      groupShifts: [16],
      leaves: 16,
    });
  });

  test('G of a pointer makes everything below it global', () => {
    const tables = new Tables()
      .set(1, 0, 0x821n)
      .set(1, 1, 0x801n)
      .set(2, 0, 0xc01n)
      .set(3, 0, 0x40cfn)
      .set(3, 1, 0x44efn);
    const { memory } = sparseFrom(tables.frames);
    const rows = listRegions(memory, riscvPaging({ ...BASE, satp: satpFor(FORMAT_SV39, 1) }), { all: true });
    expect(rows.map((row) => row.kind === 'mapped' && [row.first, row.global])).toEqual([
      [0, true],
      [2 ** 18, false],
      [2 ** 18 + 1, true],
    ]);
  });
});

describe('rights', () => {
  const V = 1;
  const [R, W, X, U, A, D] = [2, 4, 8, 16, 64, 128];
  const text = (low: number, changes: Partial<RiscvControl> = {}) => {
    const rights = riscvPaging({ ...BASE, ...changes }).rights(-1, 0, low | V, 0);
    return `${rightsText(rights, true)} ${rightsText(rights, false)}`;
  };

  test.each([
    ['R', R | A, {}, '--- r--'],
    ['RW', R | W | A | D, {}, '--- rw-'],
    ['X', X | A, {}, '--- --x'],
    ['X with MXR', X | A, { mxr: true }, '--- r-x'],
    ['RWXU', R | W | X | U | A | D, {}, 'rwx ---'],
    ['RWXU with SUM: data only', R | W | X | U | A | D, { sum: true }, 'rwx rw-'],
    ['XU with MXR', X | U | A, { mxr: true }, 'r-x ---'],
    ['XU with MXR and SUM', X | U | A, { mxr: true, sum: true }, 'r-x r--'],
    ['A = 0', R | W | X, {}, '--- ---'],
    ['A = 0, set by hardware', R | W | X, { adue: true }, '--- rwx'],
    ['D = 0', R | W | A, {}, '--- r--'],
    ['D = 0, set by hardware', R | W | A, { adue: true }, '--- rw-'],
  ] as const)('%s', (_, low, changes, want) => {
    expect(text(low, changes)).toBe(want);
  });

  test('A and D refuse only what nothing else refuses', () => {
    const control = { sum: false, mxr: false, adue: false };
    const by = RISCV_DENIED_BY;
    const write = ACCESSES.findIndex(({ kind, user }) => kind === 'write' && !user);
    expect(riscvDenials(pteRights(R | V), write, control)).toBe(by.W);
    expect(riscvDenials(pteRights(R | W | V), write, control)).toBe(by.A | by.D);
    expect(riscvDenials(pteRights(R | W | U | V), write, control)).toBe(by.SUM);
  });
});

describe('faults', () => {
  const entries = (...ptes: bigint[]) =>
    ptes.map((pte, depth) => ({ depth, low: lowHalf(pte), high: highHalf(pte) }));
  const paging = (changes: Partial<RiscvControl> = {}) => riscvPaging({ ...BASE, ...changes });
  const [read, write, fetch] = [
    { kind: 'read', user: false },
    { kind: 'write', user: false },
    { kind: 'fetch', user: false },
  ] as const;

  test('causes: 12, 13, 15 for page faults, 1, 5, 7 for access faults', () => {
    const codes = [fetch, read, write].map((access) => {
      const page = paging().access('not-present', entries(0n), access);
      const far = paging({ physBits: 40 }).access('not-in-memory', entries(1n | (1n << 53n)), access);
      return [page, far].map((result) => result.kind === 'fault' && [result.errorCode, result.exception]);
    });
    expect(codes).toEqual([
      [
        [12, 'instruction page fault'],
        [1, 'instruction access fault'],
      ],
      [
        [13, 'load page fault'],
        [5, 'load access fault'],
      ],
      [
        [15, 'store/AMO page fault'],
        [7, 'store/AMO access fault'],
      ],
    ]);
  });

  test.each([
    ['V = 0', 'not-present', [0x801n, 0n], {}, ['V = 0 in level-1 PTE']],
    ['reserved', 'reserved', [0x801n, 0xc01n, 5n], {}, ['W = 1 with R = 0 (reserved) in level-0 PTE']],
    [
      'rights',
      'mapped',
      [0x801n, 0xc01n, 0x4d9n],
      {},
      ['R = 0 in level-0 PTE', 'sstatus.SUM = 0 and the page is a user page'],
    ],
    ['A', 'mapped', [0x801n, 0xc01n, 0x483n], {}, ['A = 0 in level-0 PTE, and menvcfg.ADUE = 0']],
    [
      'too far',
      'mapped',
      [0x801n, 0xc01n, 0x4c3n | (1n << 53n)],
      { physBits: 40 },
      ['the page of level-0 PTE above 40 bits'],
    ],
  ] as const)('%s: why', (_, end, ptes, changes, because) => {
    expect(paging(changes).access(end, entries(...ptes), read)).toMatchObject({ kind: 'fault', because });
  });

  test('an address that is not sign-extended is a page fault; on RV32 there is none', () => {
    expect(paging().access('non-canonical', [], read)).toMatchObject({
      errorCode: 13,
      because: ['bits 63:39 of the address are not all as bit 38'],
    });
    const sv32 = paging({ xlen: 32, satp: 0x8000_0000n, physBits: 34 });
    expect(sv32.access('non-canonical', [], read)).toEqual({ kind: 'unknown' });
  });
});

describe('control state', () => {
  const thrown = (changes: Partial<RiscvControl>) => {
    try {
      riscvPaging({ ...BASE, ...changes });
    } catch (error) {
      return error instanceof PageTableError ? error.code : String(error);
    }
    return 'nothing';
  };

  test('satp.MODE chooses the format; Bare and reserved modes are refused', () => {
    const name = (mode: number) => riscvPaging({ ...BASE, satp: BigInt(mode) << 60n }).format.fact.name;
    expect([8, 9, 10].map(name)).toEqual(['sv39', 'sv48', 'sv57']);
    expect(thrown({ satp: 0x1234n })).toBe('PAGING_DISABLED');
    for (const mode of [1n, 7n, 11n, 15n]) expect(thrown({ satp: mode << 60n })).toBe('BAD_ARGUMENT');
    expect(thrown({ xlen: 32, satp: 0x7fff_ffffn, physBits: 34 })).toBe('PAGING_DISABLED');
    expect(riscvPaging({ ...BASE, xlen: 32, satp: 0xffff_ffffn, physBits: 34 }).root.frame).toBe(0x3f_ffff);
    expect(satpAsid({ xlen: 32, satp: 0xffc0_0000n })).toBe(511);
    expect(satpAsid({ xlen: 64, satp: 0x8fff_f000_0000_0000n })).toBe(0xffff);
  });

  test('physical widths: up to 56 bits, 34 in Sv32', () => {
    for (const physBits of [32, 56]) expect(thrown({ physBits })).toBe('nothing');
    for (const physBits of [31, 57, 40.5]) expect(thrown({ physBits })).toBe('OUT_OF_RANGE');
    expect(thrown({ xlen: 32, satp: 0x8000_0000n, physBits: 35 })).toBe('OUT_OF_RANGE');
  });

  test('satpFor refuses what does not fit', () => {
    expect(satpFor(FORMAT_SV32, 0x3f_ffff, 511)).toBe(0xffff_ffffn);
    expect(() => satpFor(FORMAT_SV32, 0x40_0000)).toThrow('expected whole numbers of at most 22 and 9 bits');
    expect(() => satpFor(FORMAT_SV57, 0, 0x1_0000)).toThrow(PageTableError);
  });

  test('registers by name: satp, sstatus or mstatus, menvcfg, misa', () => {
    const SUM = 1n << 18n;
    const MXR = 1n << 19n;
    expect(knownRiscvControl({ satp: 5n, sstatus: SUM, menvcfg: 1n << 61n })).toEqual({
      satp: 5n,
      xlen: undefined,
      sum: true,
      mxr: false,
      adue: true,
      svpbmt: false,
    });
    expect(
      knownRiscvControl({ mstatus: MXR, misa: (2n << 62n) | 0x1_4112dn, menvcfg: 1n << 62n }),
    ).toMatchObject({
      xlen: 64,
      sum: false,
      mxr: true,
      adue: false,
      svpbmt: true,
    });
    expect(knownRiscvControl({ misa: 0x4014_1125n, menvcfg: 0n, menvcfgh: 1n << 29n })).toMatchObject({
      xlen: 32,
      adue: true,
    });
  });

  test('what is assumed is told', () => {
    expect(resolveRiscvControl({ satp: 1n }).assumed.map(({ name }) => name)).toEqual([
      'sum',
      'mxr',
      'svnapot',
      'svpbmt',
      'adue',
    ]);
    expect(resolveRiscvControl({ ...BASE }).assumed).toEqual([]);
    expect(resolveRiscvControl({ xlen: 32 }).control).toMatchObject({
      svnapot: false,
      svpbmt: false,
      physBits: 34,
    });
  });

  test('the kind of an entry, described', () => {
    const format = formatOf(FORMAT_SV39);
    const named = (depth: number, pte: bigint) =>
      describeEntry(format, { depth, low: lowHalf(pte) })
        .fields.map(({ name }) => name)
        .join(' ');
    expect(named(0, 0x801n)).toBe('N PBMT reserved PPN RSW D A G U X W R V');
    expect(named(1, 3n)).toBe('N PBMT reserved PPN PPN[0] RSW D A G U X W R V');
  });
});
