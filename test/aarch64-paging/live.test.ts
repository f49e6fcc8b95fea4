// Examples E of the notes (see README.md): changes of an active map, in both versions and with the fixes.
import { describe, expect, test } from 'vitest';
import { MapError, MemoryRegion } from './exports.ts';
import {
  AF,
  type Call,
  Driver,
  errorOf,
  F,
  G,
  KINDS,
  type Kind,
  M,
  N,
  NG,
  NO_BLOCKS,
  P,
  RO,
  SW0,
  U,
  V,
} from './machine.ts';

interface Step extends Call {
  /** What comes of it in 0.12.1. */
  readonly result?: string;
  readonly kinds?: Partial<Readonly<Record<Kind, string>>>;
}

interface Example {
  readonly name: string;
  readonly setup: readonly Call[];
  readonly live: readonly Step[];
  /** Tables afterwards, by shape. */
  readonly tables?: Partial<Readonly<Record<Kind, string>>>;
}

const map = (from: bigint, to: bigint, flags: bigint, rest: Partial<Step> = {}): Step => ({
  from,
  to,
  flags,
  ...rest,
});
const BBM = (from: bigint, to: bigint) => `BBM(0x${from.toString(16)}..0x${to.toString(16)})`;
/** The same in every shape. */
const all = (result: string): Partial<Step> => ({ result });
/** One result for 0.12.1 and with the fixes, another one in 0.5.0. */
const since = (result: string, v5: string): Partial<Step> => ({ result, kinds: { '0.5.0': v5 } });
/** Accepted by both versions, and refused with the fixes. */
const hole = (result: string): Partial<Step> => ({ kinds: { SEED: result, MODERN: result } });

const block = [map(M, 2n * M, F)];
const page = [map(0n, P, F)];
const UXN_PXN = 3n << 53n;
const DBM = 1n << 51n;

const EXAMPLES: readonly Example[] = [
  {
    name: 'E1: identical pages',
    setup: [map(M, 2n * M, F, { constraints: NO_BLOCKS })],
    live: [map(M, M + P, F)],
  },
  {
    name: 'E2: around a block',
    setup: block,
    live: [map(M - P, 2n * M + P, F)],
    tables: {
      '0.12.1': 'T0[0]=0x11003 T1[0]=0x12003 [1]=0x200705 [2]=0x13003 T2[511]=0x1ff707 T3[0]=0x400707',
      MODERN: 'T0[0]=0x11003 T1[0]=0x12003 [1]=0x200705 [2]=0x13003 T2[511]=0x1ff707 T3[0]=0x400707',
    },
  },
  { name: 'E3: an identical part', setup: block, live: [map(M, M + P, F, since('Ok', BBM(M, M + P)))] },
  { name: 'E4: another part', setup: block, live: [map(M, M + P, F | RO, all(BBM(M, M + P)))] },
  { name: 'E4: a part unmapped', setup: block, live: [map(M, M + P, N, all(BBM(M, M + P)))] },
  {
    name: 'E5: the region',
    setup: block,
    live: [map(0n, M + P, F | RO, since(BBM(M, M + P), BBM(0n, M + P)))],
  },
  {
    name: 'E6: another memory type',
    setup: [map(0n, 2n * P, F)],
    live: [map(0n, 2n * P, V | AF | NG, since(BBM(0n, P), BBM(0n, 2n * P)))],
  },
  {
    name: 'E7: unmapped',
    setup: block,
    live: [map(M, 2n * M, N)],
    tables: { '0.12.1': 'T0[0]=0x11003 T1[1]=0x304', SEED: 'T0[0]=0x11003 T1[1]=0x200704' },
  },
  {
    name: 'E8: read-only',
    setup: block,
    live: [map(M, 2n * M, F | RO)],
    tables: { MODERN: 'T0[0]=0x11003 T1[1]=0x200785', SEED: 'T0[0]=0x11003 T1[1]=0x200785' },
  },
  {
    name: 'E9: not global, and back',
    setup: page,
    live: [map(0n, P, F | NG), map(0n, P, F, all(BBM(0n, P)))],
  },
  { name: 'E10: another address', setup: page, live: [map(0n, P, F, { pa: P, ...all(BBM(0n, P)) })] },
  { name: 'E11: break, and then make', setup: page, live: [map(0n, P, N), map(0n, P, F, { pa: P })] },
  {
    name: 'E12: access from EL0',
    setup: page,
    live: [map(0n, P, F | U, { result: BBM(0n, P), kinds: { '0.5.0': 'Ok' } })],
  },
  {
    name: 'E13: a block into pages (16.2)',
    setup: block,
    live: [map(M, 2n * M, F | RO, { constraints: NO_BLOCKS, ...hole(BBM(M, 2n * M)) })],
  },
  {
    name: 'E14: another address inside the block (16.3)',
    setup: block,
    live: [map(M, 2n * M, F, { pa: M + P, ...hole(BBM(M, 2n * M)) })],
    tables: { '0.12.1': 'T0[0]=0x11003 T1[1]=0x12003 T2[0..511]=0x201707+0x1000' },
  },
  {
    name: 'E15: the same for a part (16.3)',
    setup: block,
    live: [
      map(M + P, M + 2n * P, F, {
        pa: M + 2n * P,
        kinds: {
          '0.5.0': BBM(M + P, M + 2n * P),
          SEED: BBM(M + P, M + 2n * P),
          MODERN: BBM(M + P, M + 2n * P),
        },
      }),
    ],
    tables: { '0.12.1': 'T0[0]=0x11003 T1[1]=0x12003 T2[0]=0x200707 [1]=0x202707 [2..511]=0x202707+0x1000' },
  },
  {
    name: 'E16: what may be set and cleared',
    setup: page,
    live: [
      map(0n, P, F | UXN_PXN),
      map(0n, P, F),
      map(0n, P, F | DBM | SW0),
      map(0n, P, F),
      map(0n, P, F & ~AF),
    ],
  },
  {
    name: 'E18: the second page',
    setup: [map(0n, P, F), map(P, 2n * P, F | NG)],
    live: [map(0n, 2n * P, F | RO, since(BBM(P, 2n * P), BBM(0n, 2n * P)))],
    tables: { '0.12.1': 'T0[0]=0x11003 T1[0]=0x12003 T2[0]=0x707 [1]=0x1f07' },
  },
  {
    name: 'E19: unmapping a GiB',
    setup: [map(0n, G, F)],
    live: [map(0n, M, F, since('Ok', BBM(0n, M))), map(0n, M, 0n, all(BBM(0n, M))), map(0n, G, 0n)],
    tables: { '0.12.1': '', MODERN: '', '0.5.0': 'T0[0]=0x400', SEED: 'T0[0]=0x400' },
  },
  {
    name: 'E20: a table away, and a block',
    setup: page,
    live: [map(0n, M, 0n), map(0n, M, V | AF)],
    tables: {
      '0.12.1': 'T0[0]=0x11003 T1[0]=0x401',
      MODERN: 'T0[0]=0x11003 T1[0]=0x401',
      SEED: 'T0[0]=0x11003 T1[0]=0x401',
    },
  },
  { name: 'E21: new tables', setup: [], live: [map(G, G + P, F)] },
];

describe.each(EXAMPLES)('$name', ({ setup, live, tables }) => {
  test.each(KINDS)('%s', (kind) => {
    const driver = new Driver(kind);
    for (const call of setup) driver.mapRange(call);
    driver.map.activate();
    for (const step of live) {
      const before = driver.tables.asBytes();
      const expected = step.kinds?.[kind] ?? step.result ?? 'Ok';
      expect(errorOf(() => driver.mapRange(step))).toBe(expected);
      if (expected !== 'Ok') expect(driver.tables.asBytes()).toEqual(before);
    }
    const listed = tables?.[kind];
    if (listed !== undefined) driver.expectTables(listed);
  });
});

test.each<[string, bigint, bigint]>([
  ['guarded page set', F, F | (1n << 50n)],
  ['contiguous set', F, F | (1n << 52n)],
  ['outer shareable', F, F - (1n << 8n)],
  ['memory type 1 to 3', F, F | 8n],
])('E17: %s is refused', (_name, before, after) => {
  for (const kind of ['0.12.1', 'MODERN'] as const) {
    const driver = new Driver(kind);
    driver.mapRange(map(0n, P, before));
    driver.map.activate();
    expect(errorOf(() => driver.mapRange(map(0n, P, after)))).toBe(BBM(0n, P));
  }
});

test('a deactivated map takes every change (E9)', () => {
  for (const kind of KINDS) {
    const driver = new Driver(kind);
    driver.mapRange(map(0n, P, F | NG));
    driver.map.activate();
    expect(errorOf(() => driver.mapRange(map(0n, P, F)))).toBe(BBM(0n, P));
    driver.map.deactivate();
    expect(errorOf(() => driver.mapRange(map(0n, P, F)))).toBe('Ok');
  }
});

test('flags of an active map that mapRange does not take (precedence, section 13)', () => {
  for (const kind of KINDS) {
    const driver = new Driver(kind);
    for (const call of block) driver.mapRange(call);
    driver.mapRange(map(0n, P, F));
    driver.map.activate();
    // Over a page the check of live changes finds nothing, over a block bit 1 would make it a table.
    const wrong = kind === '0.5.0' || kind === 'SEED' ? 'InvalidFlags(0x2)' : 'InvalidFlags(0x707)';
    expect(errorOf(() => driver.mapRange(map(0n, P, F | 2n)))).toBe(wrong);
    const over = errorOf(() => driver.mapRange(map(M, 2n * M, F | 2n)));
    expect(over).toBe(kind === '0.5.0' ? wrong : BBM(M, 2n * M));
  }
});

describe('a violation says what it is about', () => {
  const violated = (kind: Kind, setup: readonly Call[], call: Call): MapError => {
    const driver = new Driver(kind);
    for (const each of setup) driver.mapRange(each);
    driver.map.activate();
    try {
      driver.mapRange(call);
    } catch (error) {
      if (error instanceof MapError) return error;
    }
    throw new Error('no violation');
  };

  test('the entry, both values, the rule, and the original’s sentence first', () => {
    const error = violated('MODERN', block, map(M, M + P, F | RO));
    expect(error.code).toBe('BREAK_BEFORE_MAKE');
    expect(error.message).toBe(
      'Cannot remap region 0x0000000000200000..0x0000000000201000 while translation is live. The level-2 entry of ' +
        '0x0000000000200000..0x0000000000400000, 0x0000000000200705, was to become 0x0000000000200785: a block would be split, or only ' +
        'a part of it changed. Make it invalid first, or deactivate the map.',
    );
    expect(error.violation).toEqual({
      rule: 'block-size',
      level: 2,
      entry: new MemoryRegion(M, 2n * M),
      before: 0x20_0705n,
      after: 0x20_0785n,
    });
  });

  test.each<[string, readonly Call[], Call, bigint]>([
    ['output-address', page, map(0n, P, F, { pa: P }), 0x1707n],
    ['attributes', page, map(0n, P, F | U), 0x747n],
    ['block-size', block, map(M, 2n * M, F | RO, { constraints: NO_BLOCKS }), 0x20_0785n],
  ])('%s', (rule, setup, call, after) => {
    for (const kind of ['SEED', 'MODERN'] as const) {
      const { violation, detail } = violated(kind, setup, call);
      expect(violation).toMatchObject({ rule, after });
      expect(detail).toMatchObject({ rule, after });
    }
  });
});
