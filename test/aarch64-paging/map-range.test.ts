// Examples A, B, C and D of the notes (see README.md): what `mapRange` and `compactSubtables` leave, in both versions.
import { describe, expect, test } from 'vitest';
import {
  type Call,
  Driver,
  EXACT,
  errorOf,
  F,
  G,
  isSeed,
  type Junk,
  junkOf,
  KINDS,
  type Kind,
  M,
  type Made,
  N,
  NG,
  NO_BLOCKS,
  P,
  RO,
  SW0,
  V,
} from './machine.ts';

interface Example extends Made {
  readonly name: string;
  readonly calls: readonly (Call | 'compact')[];
  /** Tables afterwards. */
  readonly tables: string;
  /** The same in version 0.5.0, where it is another. */
  readonly v5?: string;
  /** Tables that version 0.5.0 fills where an entry was empty, by number: level, and first address. */
  readonly junk?: Readonly<Record<number, readonly [level: number, from: bigint]>>;
  /** Which shapes; by default all but that of 0.5 with fixes. */
  readonly kinds?: readonly Kind[];
}

const map = (from: bigint, to: bigint, flags: bigint, rest: Partial<Call> = {}): Call => ({
  from,
  to,
  flags,
  ...rest,
});

const MODERN_ONLY: readonly Kind[] = ['0.12.1', 'MODERN'];

const EXAMPLES: readonly Example[] = [
  {
    name: 'A1',
    calls: [map(0n, 1n, F)],
    tables: 'T0[0]=0x11003 T1[0]=0x12003 T2[0]=0x707',
    junk: { 1: [2, 0n], 2: [3, 0n] },
  },
  {
    name: 'A2: the access flag is set in 0.5',
    calls: [map(0n, 1n, N | V)],
    tables: 'T0[0]=0x11003 T1[0]=0x12003 T2[0]=0x307',
    v5: 'T0[0]=0x11003 T1[0]=0x12003 T2[0]=0x707',
    junk: { 1: [2, 0n], 2: [3, 0n] },
  },
  {
    name: 'A3: the page’s example',
    calls: [map(0x8020_0000n, 0x8040_0000n, N | NG | V)],
    tables: 'T0[2]=0x11003 T1[1]=0x80200b05',
    v5: 'T0[2]=0x11003 T1[1]=0x80200f05',
    junk: { 1: [2, 0n] },
  },
  {
    name: 'A4: the same, read-only',
    calls: [map(0x8020_0000n, 0x8040_0000n, N | NG | V), map(0x8020_0000n, 0x8040_0000n, N | NG | RO | V)],
    tables: 'T0[2]=0x11003 T1[1]=0x80200b85',
    v5: 'T0[2]=0x11003 T1[1]=0x80200f85',
    junk: { 1: [2, 0n] },
  },
  {
    name: 'A5',
    calls: [map(0x3f_f000n, 0x40_1000n, F)],
    tables: 'T0[0]=0x11003 T1[1]=0x12003 T1[2]=0x13003 T2[511]=0x3ff707 T3[0]=0x400707',
    junk: { 1: [2, 0n], 2: [3, M], 3: [3, 2n * M] },
  },
  {
    name: 'A6: the last page',
    calls: [map(0x7f_ffff_ffffn, 0x80_0000_0000n, F)],
    tables: 'T0[511]=0x11003 T1[511]=0x12003 T2[511]=0x7ffffff707',
    junk: { 1: [2, 0n], 2: [3, 511n * M] },
  },
  { name: 'A7', calls: [map(0n, 0x80_0000_0000n, F)], tables: 'T0[0..511]=0x705+0x40000000' },
  {
    name: 'A8',
    calls: [map(0x3fff_f000n, 0x8020_1000n, F)],
    tables:
      'T0[0]=0x11003 [1]=0x40000705 [2]=0x13003 T1[511]=0x12003 T2[511]=0x3ffff707 T3[0]=0x80000705 [1]=0x14003 T4[0]=0x80200707',
    junk: { 1: [2, 0n], 2: [3, 511n * M], 3: [2, 0n], 4: [3, M] },
  },
  {
    name: 'A9: no blocks',
    calls: [map(M, 2n * M, F, { constraints: NO_BLOCKS })],
    tables: 'T0[0]=0x11003 T1[1]=0x12003 T2[0..511]=0x200707+0x1000',
    junk: { 1: [2, 0n] },
  },
  {
    name: 'A10: no contiguous hint',
    calls: [map(M, 2n * M, F, { constraints: 2 })],
    tables: 'T0[0]=0x11003 T1[1]=0x200705',
    junk: { 1: [2, 0n] },
  },
  {
    name: 'A11: no blocks at level 0 since 0.12',
    level: 0,
    calls: [map(0n, 0x80_0000_0000n, F)],
    tables: 'T0[0]=0x11003 T1[0..511]=0x705+0x40000000',
    v5: 'T0[0]=0x705',
  },
  { name: 'A12', level: 3, calls: [map(0n, M, F, { pa: G })], tables: 'T0[0..511]=0x40000707+0x1000' },
  { name: 'A13', level: 2, calls: [map(0n, G, F)], tables: 'T0[0..511]=0x705+0x200000' },
  {
    name: 'A14',
    offset: P,
    calls: [map(0n, M, F)],
    tables: 'T0[0]=0x11003 T1[0]=0x12003 T2[0..511]=0x1707+0x1000',
    junk: { 1: [2, 0n] },
  },
  {
    name: 'A15',
    offset: 1n << 29n,
    calls: [map(0n, G, F)],
    tables: 'T0[0]=0x11003 T1[0..511]=0x20000705+0x200000',
  },
  { name: 'A16', offset: 1n << 30n, calls: [map(0n, G, F)], tables: 'T0[0]=0x40000705' },
  {
    name: 'A17',
    calls: [map(P, M + P, F, { pa: G })],
    tables: 'T0[0]=0x11003 T1[0]=0x12003 [1]=0x13003 T2[1..511]=0x40000707+0x1000 T3[0]=0x401ff707',
    junk: { 1: [2, 0n], 2: [3, 0n], 3: [3, M] },
  },
  {
    name: 'A18',
    offset: -P,
    calls: [map(P, 3n * P, F)],
    tables: 'T0[0]=0x11003 T1[0]=0x12003 T2[1]=0x707 [2]=0x1707',
    junk: { 1: [2, 0n], 2: [3, 0n] },
  },
  {
    name: 'A19: the upper range',
    range: 'Upper',
    calls: [map(0xffff_ff80_0000_0000n, 0xffff_ff80_0000_2000n, F, { pa: 0x8000_0000n })],
    tables: 'T0[0]=0x11003 T1[0]=0x12003 T2[0]=0x80000707 [1]=0x80001707',
    junk: { 1: [2, 0n], 2: [3, 0n] },
  },
  {
    name: 'A20',
    range: 'Upper',
    calls: [map(0xffff_ffff_8000_0000n, 0xffff_ffff_c000_0000n, F, { pa: 0n })],
    tables: 'T0[510]=0x705',
  },
  {
    name: 'A21',
    level: 0,
    calls: [map(0xffff_ffff_f000n, 0x1_0000_0000_0000n, F, { pa: 0n })],
    tables: 'T0[511]=0x11003 T1[511]=0x12003 T2[511]=0x13003 T3[511]=0x707',
    junk: { 1: [1, 0n], 2: [2, 511n * G], 3: [3, 511n * G + 511n * M] },
  },
  {
    name: 'A22: bits of the physical address that an entry has no room for',
    calls: [map(0n, P, F, { pa: 0x1234_5678n }), map(P, 2n * P, F, { pa: 0xf_ffff_ffff_f000n })],
    tables: 'T0[0]=0x11003 T1[0]=0x12003 T2[0]=0x12345707 [1]=0xfffffffff707',
    junk: { 1: [2, 0n], 2: [3, 0n] },
  },
  {
    name: 'A23',
    calls: [map(0n, M, F, { pa: 0x20_0800n })],
    tables: 'T0[0]=0x11003 T1[0]=0x12003 T2[0..511]=0x200707+0x1000',
    junk: { 1: [2, 0n] },
  },
  {
    name: 'A24: flags of tables are taken',
    calls: [map(0n, P, F | (1n << 63n) | (1n << 59n))],
    tables: 'T0[0]=0x11003 T1[0]=0x12003 T2[0]=0x8800000000000707',
    junk: { 1: [2, 0n], 2: [3, 0n] },
  },
  {
    name: 'B1',
    calls: [map(M, 2n * M, F), map(M + P, M + 2n * P, F | RO)],
    tables: 'T0[0]=0x11003 T1[1]=0x12003 T2[0]=0x200707 [1]=0x201787 [2..511]=0x202707+0x1000',
    junk: { 1: [2, 0n] },
  },
  {
    name: 'B2',
    calls: [map(G, 2n * G, F), map(0x4020_1000n, 0x4020_2000n, F | RO)],
    tables:
      'T0[1]=0x11003 T1[0]=0x40000705 [1]=0x12003 [2..511]=0x40400705+0x200000 T2[0]=0x40200707 [1]=0x40201787 [2..511]=0x40202707+0x1000',
  },
  {
    name: 'B3: an identical part',
    calls: [map(M, 2n * M, F), map(M + P, M + 2n * P, F)],
    tables: 'T0[0]=0x11003 T1[1]=0x200705',
    v5: 'T0[0]=0x11003 T1[1]=0x12003 T2[0..511]=0x200707+0x1000',
    junk: { 1: [2, 0n] },
  },
  {
    name: 'B4: identical, as pages',
    calls: [map(M, 2n * M, F), map(M, 2n * M, F, { constraints: NO_BLOCKS })],
    tables: 'T0[0]=0x11003 T1[1]=0x200705',
    v5: 'T0[0]=0x11003 T1[1]=0x12003 T2[0..511]=0x200707+0x1000',
    junk: { 1: [2, 0n] },
  },
  {
    name: 'B5: flags go to the parts',
    calls: [map(G, 2n * G, 0xe0_0000_0000_0f45n), map(G, G + P, F)],
    tables:
      'T0[1]=0x11003 T1[0]=0x12003 [1..511]=0xe0000040200f45+0x200000 T2[0]=0x40000707 [1..511]=0xe0000040001f47+0x1000',
  },
  {
    name: 'B6',
    calls: [map(G, 2n * G, F), map(G, 2n * G, F, { pa: 0xc000_0000n })],
    tables: 'T0[1]=0xc0000705',
  },
  {
    name: 'B7: tables stay',
    calls: [map(0n, P, F), map(0n, G, F | RO)],
    tables: 'T0[0]=0x11003 T1[0]=0x12003 [1..511]=0x200785+0x200000 T2[0..511]=0x787+0x1000',
  },
  {
    name: 'B8: blocks are not merged',
    calls: [map(G, G + M, F), map(G, 2n * G, F)],
    tables: 'T0[1]=0x11003 T1[0..511]=0x40000705+0x200000',
  },
  {
    name: 'B9',
    calls: [map(G, 2n * G, F), map(G, G + M, F | RO, { constraints: NO_BLOCKS })],
    tables: 'T0[1]=0x11003 T1[0]=0x12003 [1..511]=0x40200705+0x200000 T2[0..511]=0x40000787+0x1000',
  },
  {
    name: 'B10: 0.5 drops what has a flag without a name',
    calls: [map(G, G + M, F | (1n << 52n)), map(G, G + P, F)],
    tables: 'T0[1]=0x11003 T1[0]=0x12003 T2[0]=0x40000707 [1..511]=0x10000040001707+0x1000',
    v5: 'T0[1]=0x11003 T1[0]=0x12003 T2[0]=0x40000707',
    junk: { 1: [2, 0n] },
  },
  {
    name: 'B11',
    level: 2,
    calls: [map(0n, M, F, { pa: M }), map(0x1f_f000n, 0x20_1000n, F | RO, { pa: 0x3f_f000n })],
    tables: 'T0[0]=0x11003 [1]=0x12003 T1[0..510]=0x200707+0x1000 [511]=0x3ff787 T2[0]=0x400787',
    junk: { 2: [3, 0n] },
  },
  {
    name: 'C1: a page that is not valid',
    calls: [map(0n, P, N | SW0, { pa: 0x5000n })],
    tables: 'T0[0]=0x11003 T1[0]=0x12003 T2[0]=0x80000000000304',
    v5: 'T0[0]=0x11003 T1[0]=0x12003 T2[0]=0x80000000005706',
    junk: { 1: [2, 0n], 2: [3, 0n] },
  },
  {
    name: 'C2: a block that is not valid',
    calls: [map(0n, M, N | NG | SW0, { pa: 0x40_0000n })],
    tables: 'T0[0]=0x11003 T1[0]=0x80000000000b04',
    v5: 'T0[0]=0x11003 T1[0]=0x80000000400f04',
    junk: { 1: [2, 0n] },
  },
  {
    name: 'C3',
    calls: [map(0n, M, N | NG | SW0), map(0n, P, N | NG | F)],
    tables: 'T0[0]=0x11003 T1[0]=0x12003 T2[0]=0xf07 [1..511]=0x80000000000b04+0x0',
    v5: 'T0[0]=0x11003 T1[0]=0x12003 T2[0]=0xf07 [1..511]=0x80000000001f06+0x1000',
    junk: { 1: [2, 0n] },
  },
  {
    name: 'C4',
    calls: [map(0n, 2n * P, F), map(0n, P, 0n)],
    tables: 'T0[0]=0x11003 T1[0]=0x12003 T2[0]=0x0 [1]=0x1707',
    v5: 'T0[0]=0x11003 T1[0]=0x12003 T2[0]=0x402 [1]=0x1707',
    junk: { 1: [2, 0n], 2: [3, 0n] },
  },
  {
    name: 'C5: a table that is unmapped is freed',
    calls: [map(0n, P, F), map(0n, M, 0n)],
    tables: 'T0[0]=0x11003',
    v5: 'T0[0]=0x11003 T1[0]=0x12003 T2[0..511]=0x402+0x1000',
    junk: { 1: [2, 0n] },
  },
  {
    name: 'C5, as pages',
    calls: [map(0n, P, F), map(0n, M, 0n, { constraints: NO_BLOCKS })],
    tables: 'T0[0]=0x11003',
    kinds: MODERN_ONLY,
  },
  { name: 'C6', calls: [map(0n, P, F), map(0n, G, 0n)], tables: '', kinds: MODERN_ONLY },
  {
    name: 'C7',
    calls: [map(0n, P, F), map(0n, M, SW0)],
    tables: 'T0[0]=0x11003 T1[0]=0x80000000000000',
    kinds: MODERN_ONLY,
  },
  {
    name: 'C8',
    calls: [map(0n, M, F), map(0n, P, 0n)],
    tables: 'T0[0]=0x11003 T1[0]=0x12003 T2[0]=0x0 [1..511]=0x1707+0x1000',
    kinds: MODERN_ONLY,
  },
  { name: 'C9: nothing is made', calls: [map(P, 2n * P, 0n)], tables: '', kinds: MODERN_ONLY },
  {
    name: 'C9: tables are made',
    calls: [map(G + P, G + 2n * P, 0n)],
    tables: 'T0[1]=0x11003 T1[0]=0x12003 T2[0]=0x0',
    kinds: MODERN_ONLY,
  },
  { name: 'C10', calls: [map(G, 2n * G, 0n)], tables: '', v5: 'T0[1]=0x40000400' },
  { name: 'C10: a part', calls: [map(G, G + M, 0n)], tables: 'T0[1]=0x11003 T1[0]=0x0', kinds: MODERN_ONLY },
  {
    name: 'C11',
    calls: [map(0n, 2n * P, F), map(0n, 2n * P, 0n), 'compact'],
    tables: '',
    kinds: MODERN_ONLY,
  },
  {
    name: 'C12',
    calls: [map(0n, 2n * P, SW0), 'compact'],
    tables: 'T0[0]=0x11003 T1[0]=0x12003 T2[0]=0x80000000000000 [1]=0x80000000000000',
    kinds: MODERN_ONLY,
  },
  {
    name: 'C13',
    calls: [map(0n, P, F), map(M, M + P, F), map(0n, P, 0n), 'compact'],
    tables: 'T0[0]=0x11003 T1[1]=0x13003 T3[0]=0x200707',
    kinds: MODERN_ONLY,
  },
  {
    name: 'C14: an identical part that is not valid',
    calls: [map(0n, M, SW0), map(P, 2n * P, SW0)],
    tables: 'T0[0]=0x11003 T1[0]=0x80000000000000',
    kinds: MODERN_ONLY,
  },
  {
    name: 'C14 above the first GiB',
    calls: [map(G, 2n * G, SW0), map(G + P, G + 2n * P, SW0)],
    tables: 'T0[1]=0x11003 T1[0]=0x12003 [1..511]=0x80000000000000+0x0 T2[0..511]=0x80000000000000+0x0',
    kinds: MODERN_ONLY,
  },
  {
    name: 'C15',
    level: 0,
    calls: [map(0n, 1n << 39n, F), map(0n, 1n << 39n, 0n)],
    tables: '',
    kinds: MODERN_ONLY,
  },
  {
    name: 'C15 from empty',
    level: 0,
    calls: [map(1n << 39n, 1n << 40n, SW0)],
    tables: 'T0[1]=0x11003 T1[0..511]=0x80000000000000+0x0',
    kinds: MODERN_ONLY,
  },
];

describe.each(EXAMPLES)('$name', ({ calls, tables, v5, junk, kinds, ...made }) => {
  test.each(kinds ?? ['0.5.0', '0.12.1', 'MODERN'])('%s', (kind) => {
    const driver = new Driver(kind as Kind, made);
    for (const call of calls) {
      if (call === 'compact') driver.map.compactSubtables();
      else driver.mapRange(call);
    }
    const old = kind === '0.5.0';
    const filled: Junk | undefined = old && junk !== undefined ? junkOf(junk) : undefined;
    driver.expectTables((old ? v5 : undefined) ?? tables, filled);
  });
});

test('C16: modifyFlags keeps the address and bit 1 of an entry that is not valid any more', () => {
  for (const kind of EXACT) {
    const driver = new Driver(kind);
    driver.mapRange(map(0n, 2n * P, F | SW0));
    driver.modify(0n, P, 0n, V);
    expect(driver.word(2, 0)).toBe(0x80_0000_0000_0706n);
  }
});

const END = 1n << 39n;

describe('D: errors, before anything is written', () => {
  test.each<[string, Made, Call, string, string?]>([
    ['D1', {}, map(END, END + 1n, F), 'AddressRange(0x8000001000)'],
    ['D1, from 0', {}, map(0n, END + 1n, F), 'AddressRange(0x8000001000)'],
    ['D2', {}, map(0xffff_ffff_ffff_e000n, 0xffff_ffff_ffff_f000n, F), 'AddressRange(0xffffffffffffe000)'],
    ['D3', { range: 'Upper' }, map(0n, P, F), 'AddressRange(0x0)'],
    [
      'D3, just below',
      { range: 'Upper' },
      map(0xffff_ff7f_ffff_f000n, 0xffff_ff80_0000_1000n, F),
      'AddressRange(0xffffff7ffffff000)',
    ],
    ['D4', {}, map(0x3000n, 0x1000n, F), 'RegionBackwards(0x3000..0x1000)'],
    ['D4, out of range', {}, map(0x180_0000_0000n, 0x1000n, F), 'RegionBackwards(0x18000000000..0x1000)'],
    ['D5', {}, map(0n, P, F | 2n), 'InvalidFlags(0x707)', 'InvalidFlags(0x2)'],
    ['D5, backwards', {}, map(0x3000n, 0x1000n, F | 2n), 'InvalidFlags(0x707)', 'InvalidFlags(0x2)'],
    ['D7', { offset: -P }, map(0n, 1n, F | 2n), 'InvalidVirtualAddress(0x0)'],
    ['D8', { offset: -P }, map(0x3000n, 0x1000n, F | 2n), 'InvalidFlags(0x707)', 'InvalidFlags(0x2)'],
    ['D9', { offset: 1n << 39n, range: 'Upper' }, map(0n, P, F), 'AddressRange(0x0)'],
    [
      'D9, no physical address',
      { offset: 1n << 38n, range: 'Upper' },
      map(0xffff_ff80_0000_0000n, 0xffff_ff80_0000_1000n, F),
      'InvalidVirtualAddress(0xffffff8000000000)',
    ],
    ['D10', { level: 3 }, map(0n, 0x20_0001n, F), 'AddressRange(0x201000)'],
  ])('%s', (_name, made, call, expected, v5) => {
    for (const kind of KINDS) {
      const driver = new Driver(kind, made);
      expect(errorOf(() => driver.mapRange(call))).toBe((isSeed(kind) ? v5 : undefined) ?? expected);
      driver.expectTables('');
    }
  });

  test('D6: while active, 0.5.0 calls every error a violation', () => {
    const calls: [Call, string, string][] = [
      [map(0x3000n, 0x1000n, F), 'RegionBackwards(0x3000..0x1000)', 'BBM(0x3000..0x1000)'],
      [map(0x3000n, 0x1000n, F | 2n), 'RegionBackwards(0x3000..0x1000)', 'BBM(0x3000..0x1000)'],
      [map(0n, END + 1n, F), 'AddressRange(0x8000001000)', 'BBM(0x0..0x8000001000)'],
    ];
    for (const kind of KINDS) {
      const driver = new Driver(kind);
      driver.map.activate();
      for (const [call, expected, v5] of calls) {
        expect(errorOf(() => driver.mapRange(call))).toBe(kind === '0.5.0' ? v5 : expected);
      }
    }
  });
});
