import { describe, expect, test } from 'vitest';
import { PageTableError } from '../../src/bits/index.ts';
import {
  FORMAT_4_LEVEL,
  FORMAT_5_LEVEL,
  FORMAT_32_BIT,
  FORMAT_PAE,
  x86Paging,
} from '../../src/format/index.ts';
import { decodeLinuxX86, type Explanation, explain } from '../../src/inspect/index.ts';
import { entryTo, Tables } from '../support/tables.ts';
import { controlsOf, type Switches, sparseFrom } from '../support/x86-cases.ts';

// Expected values by hand from formats.md 1.2-1.7 and faults.md A.1-A.5.

const TABLE = 0x27n;
const PAGE = 0x67n;
const PS = 0x80n;
const XD = 1n << 63n;

/** Indices 256, 2, 3 and 4 of four levels, and offset 0xabc. */
const ADDRESS = 0xffff_8000_0000_0000n + (2n << 30n) + (3n << 21n) + (4n << 12n) + 0xabcn;

function tables(leaf = entryTo(0x12345, PAGE)): Tables {
  return new Tables()
    .set(1, 256, entryTo(2, TABLE))
    .set(2, 2, entryTo(3, TABLE))
    .set(3, 3, entryTo(4, TABLE))
    .set(4, 4, leaf);
}

function explained(made: Tables, switches: Partial<Switches> = {}, address = ADDRESS): Explanation {
  const { ours } = controlsOf({ mode: '4-level', cr3: 0x1000n, physBits: 40, ...switches });
  return explain(sparseFrom(made.frames).memory, x86Paging(ours), address);
}

describe('levels', () => {
  test('each has the names of the manual, its index, address and value, and where it leads', () => {
    const { levels, ...rest } = explained(tables());
    expect(
      levels.map(({ depth, table, entry, index, address, value, leads, target }) => [
        depth,
        table,
        entry,
        index,
        address,
        value,
        leads,
        target,
      ]),
    ).toEqual([
      [0, 'PML4 table', 'PML4E', 256, 0x1800n, 0x2027n, 'table', 0x2000n],
      [1, 'page-directory-pointer table', 'PDPTE', 2, 0x2010n, 0x3027n, 'table', 0x3000n],
      [2, 'page directory', 'PDE', 3, 0x3018n, 0x4027n, 'table', 0x4000n],
      [3, 'page table', 'PTE', 4, 0x4020n, 0x1234_5067n, 'page', 0x1234_5000n],
    ]);
    expect(rest).toMatchObject({
      address: ADDRESS,
      root: 0x1000n,
      end: 'mapped',
      physical: 0x1234_5abcn,
      pageBytes: 4096n,
      memoryType: { index: 0, name: 'WB' },
      global: false,
      rights: 63,
      missingTable: undefined,
      linux: undefined,
    });
  });

  test('a 1-GiB and a 2-MiB page: the offset is of the whole page, bit 12 is PAT', () => {
    const huge = tables().set(2, 2, (0x40_0000_0000n & ~0x3fff_ffffn) | PAGE | PS | (1n << 12n) | 8n);
    expect(explained(huge)).toMatchObject({
      physical: 0x40_0000_0000n + (ADDRESS & 0x3fff_ffffn),
      pageBytes: 1n << 30n,
      memoryType: { index: 5, name: 'WT' },
    });
    const large = tables().set(3, 3, 0x1_2340_0000n | PAGE | PS | 0x100n);
    expect(explained(large)).toMatchObject({
      physical: 0x1_2340_0000n + (ADDRESS & 0x1f_ffffn),
      pageBytes: 1n << 21n,
      memoryType: { index: 0, name: 'WB' },
      global: true,
    });
    expect(explained(large, { pge: false }).global).toBe(false);
    expect(
      explained(large)
        .levels.map(({ entry, leads, target }) => [entry, leads, target])
        .at(-1),
    ).toEqual(['PDE', 'page', 0x1_2340_0000n]);
  });

  test('32-bit: the target of a 4-MiB page has its PSE-36 bits', () => {
    const made = new Tables(4).set(1, 3, 0x0080_0000n | (0xa5n << 13n) | PAGE | PS);
    const { levels, physical, pageBytes } = explained(made, { mode: '32-bit' }, 0x00c1_2345n);
    expect([physical, pageBytes]).toEqual([0xa5_0081_2345n, 1n << 22n]);
    expect(levels[0]).toMatchObject({ address: 0x100cn, leads: 'page', target: 0xa5_0080_0000n });
  });

  test('PAE: the root is where CR3 says, to 32 bytes', () => {
    const made = new Tables().set(1, 0x40 / 8 + 3, entryTo(2, 1n)).set(2, 0, entryTo(0x12200, PAGE | PS));
    const { root, levels, physical } = explained(made, { mode: 'PAE', cr3: 0x1040n }, 0xc000_1234n);
    expect([root, levels[0].address, levels[0].index, physical]).toEqual([0x1040n, 0x1058n, 3, 0x1220_1234n]);
  });

  test('an entry that leads to the root is recursive, and no other', () => {
    const recursive = new Tables()
      .set(1, 256, entryTo(1, TABLE))
      .set(1, 2, entryTo(2, TABLE))
      .set(2, 3, entryTo(1, TABLE));
    const { levels } = explained(recursive, {}, ADDRESS);
    expect(levels.map(({ recursive: yes, target }) => [yes, target])).toEqual([
      [true, 0x1000n],
      [false, 0x2000n],
      [true, 0x1000n],
      [false, undefined],
    ]);
  });
});

describe('fields', () => {
  test('of a PTE: highest first, with the value of each and what it means', () => {
    const { levels } = explained(tables(XD | (5n << 59n) | (1n << 52n) | entryTo(0x12345, 0x167n)), {
      pke: true,
    });
    expect(levels[3].fields.map(({ name, high, low, value }) => [name, high, low, value])).toEqual([
      ['XD', 63, 63, 1n],
      ['PK', 62, 59, 5n],
      ['ignored', 58, 52, 1n],
      ['reserved', 51, 40, 0n],
      ['address', 39, 12, 0x12345n],
      ['R', 11, 11, 0n],
      ['ignored', 10, 9, 0n],
      ['G', 8, 8, 1n],
      ['PAT', 7, 7, 0n],
      ['D', 6, 6, 1n],
      ['A', 5, 5, 1n],
      ['PCD', 4, 4, 0n],
      ['PWT', 3, 3, 0n],
      ['U/S', 2, 2, 1n],
      ['R/W', 1, 1, 1n],
      ['P', 0, 0, 1n],
    ]);
    const texts = new Map(levels[3].fields.map(({ name, text }) => [name, text]));
    expect([texts.get('P'), texts.get('R/W'), texts.get('U/S'), texts.get('XD')]).toEqual([
      'present',
      'writable',
      'user allowed',
      'no fetches',
    ]);
  });

  test('the other value of a bit has the other meaning', () => {
    const { levels } = explained(tables(entryTo(0x12345, 1n)));
    const texts = new Map(levels[3].fields.map(({ name, text }) => [name, text]));
    expect([texts.get('R/W'), texts.get('U/S'), texts.get('XD')]).toEqual([
      'read-only',
      'supervisor only',
      'fetches allowed',
    ]);
  });

  test('of an entry that is not present only P means anything', () => {
    const { levels } = explained(tables(0xffff_ffff_ffff_fffen));
    expect(levels[3]).toMatchObject({ leads: 'nowhere', target: undefined, removes: [] });
    expect(levels[3].fields.map(({ name, value }) => [name, value])).toEqual([['P', 0n]]);
  });

  test('of an entry with a reserved bit: the bits that are set, and no target', () => {
    const { end, levels, rights, physical } = explained(tables().set(3, 3, entryTo(4, TABLE | (1n << 45n))));
    expect([end, rights, physical]).toEqual(['reserved', undefined, undefined]);
    expect(levels).toHaveLength(3);
    expect(levels[2]).toMatchObject({ leads: 'reserved', target: undefined, removes: [] });
    expect(levels[2].fields.find(({ role }) => role === 'reserved')).toMatchObject({
      high: 51,
      low: 40,
      value: 1n << 5n,
    });
  });

  test('every level names its source in the manual', () => {
    for (const { source } of explained(tables()).levels) expect(source).toMatch(/^Intel SDM/);
  });
});

describe('what each entry removes', () => {
  test('R/W = 0 writes, U/S = 0 user access, XD = 1 fetches, of everything below it', () => {
    const made = new Tables()
      .set(1, 256, entryTo(2, 0x25n))
      .set(2, 2, entryTo(3, 0x23n))
      .set(3, 3, entryTo(4, TABLE | XD))
      .set(4, 4, entryTo(0x12345, PAGE));
    const { levels, rights } = explained(made);
    expect(levels.map(({ removes }) => removes)).toEqual([['writes'], ['user access'], ['fetches'], []]);
    // What is left: the supervisor reads.
    expect(rights).toBe(8);
  });

  test('several things at once', () => {
    const { levels } = explained(tables(XD | entryTo(0x12345, 0x61n)));
    expect([...levels[3].removes].sort()).toEqual(['fetches', 'user access', 'writes']);
  });

  test('bit 63 removes nothing where EFER.NXE = 0: it is reserved', () => {
    const { end, levels } = explained(tables(XD | entryTo(0x12345, PAGE)), { nxe: false });
    expect([end, levels[3].removes]).toEqual(['reserved', []]);
  });

  test('a PDPTE of PAE paging has no rights to remove', () => {
    const made = new Tables().set(1, 3, entryTo(2, 1n)).set(2, 0, entryTo(0x12200, PAGE | PS));
    expect(explained(made, { mode: 'PAE' }, 0xc000_0000n).levels.map(({ removes }) => removes)).toEqual([
      [],
      [],
    ]);
  });
});

describe('accesses', () => {
  /** What each of supervisor read, write, fetch and user read, write, fetch gets. */
  const results = (explanation: Explanation) =>
    explanation.accesses.map(({ access, result }) => {
      const who = `${access.user ? 'user' : 'supervisor'} ${access.kind}`;
      return `${who}: ${result.kind === 'fault' ? `${result.exception} ${result.errorCode.toString(16)}` : result.kind}`;
    });
  const of = (codes: readonly string[]) =>
    ['supervisor read', 'supervisor write', 'supervisor fetch', 'user read', 'user write', 'user fetch'].map(
      (who, i) => `${who}: ${codes[i]}`,
    );
  const ok = 'allowed';

  // faults.md A.2: "Typical codes".
  test.each<[string, bigint, Partial<Switches>, readonly string[]]>([
    ['a user page', entryTo(1, 7n), {}, [ok, ok, ok, ok, ok, ok]],
    ['not present', 0n, {}, ['#PF 0', '#PF 2', '#PF 10', '#PF 4', '#PF 6', '#PF 14']],
    [
      'not present, no NXE, no SMEP: fetches show as reads',
      0n,
      { nxe: false },
      ['#PF 0', '#PF 2', '#PF 0', '#PF 4', '#PF 6', '#PF 4'],
    ],
    [
      'not present, no NXE, SMEP',
      0n,
      { nxe: false, smep: true },
      ['#PF 0', '#PF 2', '#PF 10', '#PF 4', '#PF 6', '#PF 14'],
    ],
    ['a supervisor page', entryTo(1, 3n), {}, [ok, ok, ok, '#PF 5', '#PF 7', '#PF 15']],
    ['a read-only user page', entryTo(1, 5n), {}, [ok, '#PF 3', ok, ok, '#PF 7', ok]],
    ['the same with CR0.WP = 0', entryTo(1, 5n), { wp: false }, [ok, ok, ok, ok, '#PF 7', ok]],
    ['execute-disable', XD | entryTo(1, 7n), {}, [ok, ok, '#PF 11', ok, ok, '#PF 15']],
    ['SMEP', entryTo(1, 7n), { smep: true }, [ok, ok, '#PF 11', ok, ok, ok]],
    ['SMAP', entryTo(1, 7n), { smap: true }, ['#PF 1', '#PF 3', ok, ok, ok, ok]],
    [
      'a reserved bit',
      entryTo(1, 7n) | (1n << 51n),
      {},
      ['#PF 9', '#PF b', '#PF 19', '#PF d', '#PF f', '#PF 1d'],
    ],
    // Key 1: access-disable is bit 2 of PKRU, write-disable bit 3. Fetches are never checked.
    [
      'a key that denies all',
      (1n << 59n) | entryTo(1, 7n),
      { pke: true, pkru: 4 },
      ['#PF 21', '#PF 23', ok, '#PF 25', '#PF 27', ok],
    ],
    [
      'a key that denies writes',
      (1n << 59n) | entryTo(1, 7n),
      { pke: true, pkru: 8 },
      [ok, '#PF 23', ok, ok, '#PF 27', ok],
    ],
    [
      'PKRS on a supervisor page',
      (1n << 59n) | entryTo(1, 3n),
      { pks: true, pkrs: 8 },
      [ok, '#PF 23', ok, '#PF 5', '#PF 27', '#PF 15'],
    ],
  ])('%s', (_, leaf, switches, codes) => {
    expect(results(explained(tables(leaf), switches))).toEqual(of(codes));
  });

  test('an address that is not canonical: #GP for every access', () => {
    const found = explained(tables(), {}, 0x8000_0000_0000n);
    expect([found.end, found.levels]).toEqual(['non-canonical', []]);
    expect(results(found)).toEqual(of(Array(6).fill('#GP 0')));
  });

  test('a PAE PDPTE with a reserved bit: #GP, since CR3 could not be loaded', () => {
    const found = explained(new Tables().set(1, 3, entryTo(2, 3n)), { mode: 'PAE' }, 0xc000_0000n);
    expect(results(found)).toEqual(of(Array(6).fill('#GP 0')));
  });

  test('the reason names the entries, or the register, that denied', () => {
    const made = tables(XD | entryTo(0x12345, 0x61n)).set(2, 2, entryTo(3, 0x25n));
    const reasons = explained(made, { smep: true }).accesses.map(({ result }) =>
      result.kind === 'fault' ? result.because.join('; ') : '',
    );
    expect(reasons[0]).toBe('');
    expect(reasons[1]).toContain('R/W = 0 in PDPTE, PTE');
    expect(reasons[2]).toContain('XD = 1 in PTE');
    expect(reasons[3]).toContain('U/S = 0 in PTE');
    expect(reasons[4]).toContain('U/S = 0 in PTE');
    expect(reasons[4]).toContain('R/W = 0 in PDPTE, PTE');
    const smep = explained(tables(), { smep: true, smap: true }).accesses.map(({ result }) =>
      result.kind === 'fault' ? result.because.join() : '',
    );
    expect(smep[0]).toContain('SMAP');
    expect(smep[2]).toContain('SMEP');
  });
});

describe('what Linux keeps in an entry that is not present', () => {
  // Linux arch/x86/include/asm/pgtable_64.h: type in bits 63:59, ~offset in 58:9, G (bit 8) clear in a swap entry;
  // pgtable-invert.h: the frame of a PROT_NONE entry is inverted. The entries are put together by hand as it says.
  const ALL_50 = (1n << 50n) - 1n;
  const swap = (type: bigint, offset: bigint) => (type << 59n) | ((~offset & ALL_50) << 9n);
  const protNone = (frame: bigint) => ((~frame & 0xff_ffff_ffffn) << 12n) | 0x120n; // PROT_NONE, A

  const PTE = 3;
  const PDE = 2;
  const decode = (entry: bigint, depth = PTE, format = FORMAT_4_LEVEL) =>
    decodeLinuxX86(format, depth, Number(entry & 0xffff_ffffn), Number(entry >> 32n)); // 32 bits each

  test.each([0n, 1n, 0x1234n, 0xff_ffff_ffffn])('PROT_NONE: frame %d, stored inverted', (frame) => {
    expect(decode(protNone(frame))).toEqual({ kind: 'prot-none', frame: Number(frame) });
    // Whatever else a PROT_NONE entry keeps: R/W, U/S, D, XD, software bits.
    expect(decode(protNone(frame) | XD | (0x7ffn << 52n) | 0xe46n)).toEqual({
      kind: 'prot-none',
      frame: Number(frame),
    });
  });

  test.each([
    [0n, 0n],
    [0n, 1n],
    [1n, 0x12345n],
    [25n, ALL_50],
  ])('swap: type %d, offset %d, stored inverted', (type, offset) => {
    expect(decode(swap(type, offset))).toEqual({ kind: 'swap', type: Number(type), offset });
    // Soft-dirty (1), uffd-wp (2) and exclusive (3) are no part of it.
    expect(decode(swap(type, offset) | 0xen)).toEqual({ kind: 'swap', type: Number(type), offset });
  });

  test.each([26n, 31n])('type %d is no swap area in every configuration', (type) => {
    expect(decode(swap(type, 7n))).toEqual({ kind: 'special', type: Number(type), offset: 7n });
  });

  test('PROT_NONE of a 2-MiB page: only bits 51:21 are inverted, the lower ones are 0 and stay so', () => {
    // pfn_pmd masks with PHYSICAL_PMD_PAGE_MASK after inverting.
    const frame = 0x1_2345_6600n;
    const entry = ((~frame & 0xff_ffff_fe00n) << 12n) | 0x1a0n; // PROT_NONE, PS, A
    expect(decode(entry, PDE)).toEqual({ kind: 'prot-none', frame: Number(frame) });
  });

  test('a PML4E is never a page or swapped out', () => {
    expect(decode(swap(1n, 2n), 0)).toBeUndefined();
    expect(decode(protNone(5n), 0)).toBeUndefined();
  });

  test('zeros, a present entry, and formats with another layout are nothing', () => {
    expect(decode(0n)).toBeUndefined();
    expect(decode(protNone(5n) | 1n)).toBeUndefined();
    expect(decode(swap(1n, 2n), 4, FORMAT_5_LEVEL)).toMatchObject({ kind: 'swap' });
    expect(decode(swap(1n, 2n), 2, FORMAT_PAE)).toBeUndefined();
    expect(decode(swap(1n, 2n), 1, FORMAT_32_BIT)).toBeUndefined();
  });

  test('explain decodes the entry that decided, at any level', () => {
    expect(explained(tables(protNone(0x12345n))).linux).toEqual({ kind: 'prot-none', frame: 0x12345 });
    expect(explained(tables().set(3, 3, swap(2n, 9n))).linux).toEqual({ kind: 'swap', type: 2, offset: 9n });
    expect(explained(tables(0n)).linux).toBeUndefined();
    expect(explained(tables()).linux).toBeUndefined();
  });
});

describe('addresses', () => {
  test.each([-1n, 1n << 64n])('%d is out of range', (address) => {
    expect(() => explained(tables(), {}, address)).toThrow(PageTableError);
    expect(() => explained(tables(), {}, address)).toThrow(expect.objectContaining({ code: 'OUT_OF_RANGE' }));
  });

  test('the last byte of the space is explained', () => {
    const made = new Tables();
    for (const frame of [1, 2, 3]) made.set(frame, 511, entryTo(frame + 1, TABLE));
    made.set(4, 511, entryTo(0x77, PAGE));
    expect(explained(made, {}, (1n << 64n) - 1n).physical).toBe(0x7_7fffn);
  });
});
