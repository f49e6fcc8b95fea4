// Each switch of a behaviour, off and on: what the notes list as a difference of the versions (section 1) or as a defect (section 16).
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import {
  Attributes,
  BEHAVIOURS,
  type Behaviour,
  type BehaviourName,
  behaviourWith,
  El1And0,
  El1Attributes,
  El2,
  El3,
  El23Attributes,
  IdMap,
  LinearMap,
  MapError,
  MemoryRegion,
  MODERN,
  SEED,
  Stage2,
  Stage2Attributes,
  TargetAllocator,
  VaRange,
} from './exports.ts';
import { AF, type Call, Driver, errorOf, F, G, type Kind, M, N, NG, P, RO, SW0, U, V } from './machine.ts';
import { Recorder } from './recorder.ts';

interface Switch {
  /** What is done, and what comes of it. */
  readonly run: (behaviour: Behaviour) => unknown;
  readonly off: unknown;
  readonly on: unknown;
  /** In which shape; by default that of a regime. */
  readonly kind?: Kind;
}

const map = (from: bigint, to: bigint, flags: bigint, rest: Partial<Call> = {}): Call => ({
  from,
  to,
  flags,
  ...rest,
});

/** Makes calls, the last one of an active map if asked for; gives the error of that one, or else words of tables. */
const after =
  (kind: Kind, calls: readonly Call[], words: readonly (readonly [table: number, index: number])[]) =>
  (behaviour: Behaviour): string[] => {
    const driver = new Driver(kind, { behaviour });
    for (const call of calls) driver.mapRange(call);
    return words.map(([table, index]) => `0x${driver.word(table, index).toString(16)}`);
  };

const live =
  (kind: Kind, setup: readonly Call[], call: Call) =>
  (behaviour: Behaviour): string => {
    const driver = new Driver(kind, { behaviour });
    for (const each of setup) driver.mapRange(each);
    driver.map.activate();
    return errorOf(() => driver.mapRange(call));
  };

/** What a callback makes of a live page of these flags. */
const liveSet =
  (flags: bigint, ...values: readonly (readonly [pa: bigint, flags: bigint])[]) =>
  (behaviour: Behaviour): string => {
    const driver = new Driver('MODERN', { behaviour });
    driver.mapRange(map(0n, P, flags));
    driver.map.activate();
    return errorOf(() =>
      driver.modern?.modifyRange(new MemoryRegion(0n, P), (_region, entry) => {
        for (const [pa, set] of values) entry.set(pa, driver.flags(set));
      }),
    );
  };

const UPPER = 0xffff_ffff_ffff_f000n;
const TOP = 1n << 64n;

/** Maps the last page of all. */
const top = (behaviour: Behaviour): unknown => {
  const driver = new Driver('MODERN', { behaviour, range: 'Upper' });
  const result = errorOf(() => driver.mapRange(map(UPPER, TOP, F, { pa: P })));
  return result === 'Ok' ? driver.map.translate(TOP - 1n)?.address.value : result;
};

/** What a processor is told when a page of the upper range is changed. */
const told = (behaviour: Behaviour): string[] => {
  const processor = new Recorder();
  const linear = LinearMap.withAsid(1, 1, 1n << 39n, El1And0, VaRange.Upper, { behaviour, processor });
  linear.markActive();
  linear.mapRange(new MemoryRegion(0xffff_ff80_0000_0000n, 0xffff_ff80_0000_1000n), El1Attributes.VALID);
  return processor.take();
};

const page = [map(0n, P, F)];
const block = [map(M, 2n * M, F)];

const SWITCHES: Readonly<Record<BehaviourName, Switch>> = {
  'accessed-only-if-given': {
    kind: 'SEED',
    run: after('SEED', [map(0n, P, N | V)], [[2, 0]]),
    off: ['0x707'],
    on: ['0x307'],
  },
  'invalid-leaves-have-no-address': {
    kind: 'SEED',
    run: after('SEED', [map(P, 2n * P, SW0)], [[2, 1]]),
    off: ['0x80000000001402'],
    on: ['0x80000000000400'],
  },
  'clean-split-of-empty-entries': {
    kind: 'SEED',
    run: after('SEED', page, [
      [1, 1],
      [2, 1],
    ]),
    off: ['0x200400', '0x1402'],
    on: ['0x0', '0x0'],
  },
  'unknown-bits-survive-a-split': {
    kind: 'SEED',
    run: after('SEED', [map(M, 2n * M, F | (1n << 52n)), map(M, M + P, F)], [[2, 1]]),
    off: ['0x0'],
    on: ['0x10000000201707'],
  },
  'no-level-0-blocks': {
    run: (behaviour) => {
      const driver = new Driver('MODERN', { behaviour, level: 0 });
      driver.mapRange(map(0n, 1n << 39n, F));
      return driver.map.statistics().valid;
    },
    off: [1, 0, 0, 0],
    on: [0, 512, 0, 0],
  },
  'identical-blocks-stay': {
    run: after('MODERN', [...block, map(M, M + P, F)], [[1, 1]]),
    off: ['0x12003'],
    on: ['0x200705'],
  },
  'unmapped-tables-are-freed': {
    run: after('MODERN', [...page, map(0n, M, 0n)], [[1, 0]]),
    off: ['0x12003'],
    on: ['0x0'],
  },
  'violation-names-the-region': {
    run: live('MODERN', block, map(0n, M + P, F | RO)),
    off: 'BBM(0x0..0x201000)',
    on: 'BBM(0x200000..0x201000)',
  },
  'errors-stay-themselves-while-active': {
    run: live('MODERN', [], map(2n * P, P, F)),
    off: 'BBM(0x2000..0x1000)',
    on: 'RegionBackwards(0x2000..0x1000)',
  },
  'live-changes-by-masks': {
    kind: 'SEED',
    run: live('SEED', page, map(0n, P, F | U)),
    off: 'Ok',
    on: 'BBM(0x0..0x1000)',
  },
  'live-changes-are-invalidated': {
    run: (behaviour) => told(behaviour).at(-1),
    off: 'DSB ISHST',
    on: 'ISB',
  },
  'no-live-split': {
    run: live('MODERN', block, map(M, 2n * M, F | RO, { constraints: 1 })),
    off: 'Ok',
    on: 'BBM(0x200000..0x400000)',
  },
  'no-live-change-of-address': {
    // A page has no address inside: only its frame counts, which both see. A part of a block does.
    run: (behaviour) =>
      live(
        'MODERN',
        block,
        map(M + P, M + 2n * P, F, { pa: M + 2n * P }),
      )(behaviourWith(behaviour, { 'no-live-split': false })),
    off: 'Ok',
    on: 'BBM(0x201000..0x202000)',
  },
  'no-break-and-make-in-one-callback': {
    run: liveSet(F, [0n, N | 2n], [P, F | 2n]),
    off: 'Ok',
    on: 'BBM(0x0..0x1000)',
  },
  'unnamed-bits-count': {
    run: (behaviour) => {
      const stage2 = new IdMap(1, Stage2, { behaviour });
      const flags = Stage2Attributes.fromBitsRetain(0x4fdn);
      stage2.mapRange(new MemoryRegion(0n, P), flags);
      stage2.markActive();
      const contiguous = flags.or(Stage2Attributes.fromBitsRetain(1n << 52n));
      return errorOf(() => stage2.mapRange(new MemoryRegion(0n, P), contiguous));
    },
    off: 'Ok',
    on: 'BBM(0x0..0x1000)',
  },
  'leaves-stay-leaves': {
    run: (behaviour) => {
      const driver = new Driver('MODERN', { behaviour });
      return errorOf(() =>
        driver.modern?.modifyRange(new MemoryRegion(0n, G), (_region, entry) =>
          entry.set(P, driver.flags(3n)),
        ),
      );
    },
    off: 'Ok',
    on: 'PteUpdateFault(0x0)',
  },
  'top-of-the-upper-range': { run: top, off: 'panic OUT_OF_RANGE', on: 0x1fffn },
  'no-underflow-of-addresses': {
    run: (behaviour) => {
      const driver = new Driver('MODERN', { behaviour, offset: -P });
      return errorOf(() => driver.mapRange(map(P, 2n * P, 0n)));
    },
    off: 'panic OUT_OF_RANGE',
    on: 'Ok',
  },
  'whole-linear-range-is-checked': {
    run: (behaviour) => {
      const linear = new LinearMap(1, (1n << 63n) - 2n * P, El2, { behaviour });
      return errorOf(() => linear.mapRange(new MemoryRegion(P, 3n * P), El23Attributes.VALID));
    },
    off: 'Ok',
    on: 'InvalidVirtualAddress(0x2000)',
  },
  'res1-is-set': {
    run: (behaviour) =>
      [El2, El3].map((regime) => {
        const privileged = new IdMap(1, regime as El2, { behaviour });
        const region = new MemoryRegion(0n, P);
        privileged.mapRange(region, El23Attributes.VALID);
        const mapped = privileged.translate(0n)?.descriptor.bits();
        // Nothing is set in what is not valid.
        privileged.mapRange(region, El23Attributes.empty());
        expect(privileged.statistics().invalid).toEqual([0, 0, 0, 0]);
        return mapped;
      }),
    off: [3n, 3n],
    on: [0x43n, 0x43n],
  },
  'freed-tables-are-invalidated': {
    run: (behaviour) => {
      const processor = new Recorder();
      const id = IdMap.withAsid(1, 1, El1And0, { behaviour, processor });
      id.mapRange(new MemoryRegion(0n, 2n * P), El1Attributes.VALID);
      id.markActive();
      id.mapRange(new MemoryRegion(0n, M), El1Attributes.empty());
      return processor.take().includes('TLBI VAAE1IS 0x1');
    },
    off: false,
    on: true,
  },
  'stores-before-invalidation': {
    run: (behaviour) => told(behaviour).map((event) => event.split(' 0x')[0]),
    off: ['TLBI VAAE1IS', 'DSB ISH', 'ISB'],
    on: ['DSB ISHST', 'TLBI VAAE1IS', 'DSB ISH', 'ISB'],
  },
  'invalidation-in-44-bits': {
    run: (behaviour) => told(behaviour)[1],
    off: 'TLBI VAAE1IS 0xffffff8000000',
    on: 'TLBI VAAE1IS 0xffff8000000',
  },
};

describe.each(Object.entries(SWITCHES))('%s', (name, { run, off, on, kind = 'MODERN' }) => {
  const base = kind === 'SEED' ? SEED : MODERN;

  test('off', () => expect(run(behaviourWith(base, { [name]: false }))).toEqual(off));
  test('on', () => expect(run(behaviourWith(base, { [name]: true }))).toEqual(on));
});

test('each has a row in docs/differences.md', () => {
  const text = readFileSync(new URL('../../docs/differences.md', import.meta.url), 'utf8');
  const documented = new Set(text.match(/(?<=^\| `)[^`]+(?=`)/gm));
  expect(Object.keys(SWITCHES).filter((name) => !documented.has(name))).toEqual([]);
});

describe('the rows', () => {
  const names = (behaviour: Behaviour, value: boolean) =>
    Object.entries(behaviour)
      .filter(([, on]) => on === value)
      .map(([name]) => name);

  test('have every switch, and cannot be changed', () => {
    for (const behaviour of [...Object.values(BEHAVIOURS), SEED, MODERN]) {
      expect(Object.keys(behaviour)).toEqual(Object.keys(SWITCHES));
      expect(Object.isFrozen(behaviour)).toBe(true);
    }
  });

  test('0.5.0 has none; maps by default have all that is better', () => {
    expect(names(BEHAVIOURS['0.5.0'], true)).toEqual([]);
    expect(names(BEHAVIOURS['0.12.1'], true)).toHaveLength(11);
    expect(names(SEED, false)).toEqual(['accessed-only-if-given', 'invalid-leaves-have-no-address']);
    expect(names(MODERN, false)).toEqual([]);
    expect(new IdMap(1, 1).behaviour).toBe(SEED);
    expect(new IdMap(1, El2).behaviour).toBe(MODERN);
  });

  test('a name that there is not is refused', () => {
    for (const name of ['no-such-switch', 'toString']) {
      expect(() => behaviourWith(MODERN, { [name]: true })).toThrow(
        expect.objectContaining({ code: 'BAD_ARGUMENT', message: expect.stringContaining(name) }),
      );
    }
  });
});

describe('the shape of 0.5 with its fixes', () => {
  test('a table that is unmapped becomes a block that keeps its address', () => {
    const driver = new Driver('SEED');
    driver.mapRange(map(M, M + P, F));
    driver.mapRange(map(M, 2n * M, N));
    driver.expectTables('T0[0]=0x11003 T1[1]=0x200704');
  });

  test('unless it must be pages, or has an address that no block has', () => {
    for (const rest of [{ constraints: 1 }, { pa: 0x20_1000n }]) {
      const driver = new Driver('SEED');
      driver.mapRange(map(M, M + P, F));
      driver.mapRange(map(M, 2n * M, N, rest));
      expect(driver.word(1, 1)).toBe(0x1_2003n);
    }
  });

  test('a live entry with flags that have no name is no panic', () => {
    for (const [kind, result] of [
      ['0.5.0', 'panic CORRUPT_TABLE'],
      ['SEED', 'Ok'],
    ] as const) {
      const driver = new Driver(kind);
      driver.mapRange(map(0n, P, F | (1n << 49n)));
      driver.map.activate();
      expect(errorOf(() => driver.mapRange(map(0n, P, F | (kind === 'SEED' ? 1n << 49n : 0n) | RO)))).toBe(
        result,
      );
    }
  });

  test('bits of the physical address that an entry has no room for do not count', () => {
    for (const [kind, result] of [
      ['0.5.0', 'Ok'],
      ['SEED', 'Ok'],
      ['0.12.1', 'BBM(0x0..0x1000)'],
      ['MODERN', 'BBM(0x0..0x1000)'],
    ] as const) {
      const driver = new Driver(kind);
      driver.mapRange(map(0n, P, F));
      driver.map.activate();
      expect(errorOf(() => driver.mapRange(map(0n, P, F, { pa: 1n << 48n })))).toBe(result);
    }
  });

  test('a callback may not make in one live entry what needs two steps', () => {
    const driver = new Driver('SEED');
    driver.mapRange(map(0n, P, F | NG));
    driver.map.activate();
    expect(driver.modify(0n, P, 0n, NG).failed).toBe('BBM(0x0..0x1000)');
    expect(driver.modify(0n, P, 0n, V).failed).toBe('Ok');
    expect(driver.modify(0n, P, V, NG).failed).toBe('Ok');
    expect(driver.word(2, 0)).toBe(0x707n);
  });
});

describe('break and make in one callback (16.5)', () => {
  test('is allowed where the change would be', () => {
    expect(liveSet(F, [0n, N | 2n], [0n, F | RO | 2n])(MODERN)).toBe('Ok');
    expect(liveSet(F, [0n, N | 2n])(MODERN)).toBe('Ok');
    expect(liveSet(F, [0n, F | RO | 2n], [0n, F | NG | RO | 2n], [0n, F | 2n])(MODERN)).toBe(
      'BBM(0x0..0x1000)',
    );
  });

  test('is free for what was not valid', () => {
    expect(liveSet(N, [P, F | 2n])(MODERN)).toBe('Ok');
    expect(liveSet(N, [P, F | 2n], [2n * P, F | 2n])(MODERN)).toBe('BBM(0x0..0x1000)');
  });
});

describe('where addresses end', () => {
  test('0.12.1 does what comes before the last GiB, then stops', () => {
    const driver = new Driver('0.12.1', { range: 'Upper' });
    const start = TOP - 2n * G;
    expect(errorOf(() => driver.mapRange(map(start, TOP - G + P, F, { pa: 0n })))).toBe('panic OUT_OF_RANGE');
    driver.expectTables('T0[510]=0x705');
    expect(errorOf(() => driver.walk(start, TOP - P))).toBe('panic OUT_OF_RANGE');
    // Nothing is nothing.
    expect(errorOf(() => driver.mapRange(map(UPPER, UPPER, F, { pa: 0n })))).toBe('Ok');
    expect(errorOf(() => driver.mapRange(map(0n, 0n, F)))).toBe('panic OUT_OF_RANGE');
  });

  test('by default all of it works', () => {
    const driver = new Driver('MODERN', { range: 'Upper' });
    driver.mapRange(map(TOP - 2n * G, TOP, F, { pa: 0n }));
    driver.expectTables('T0[510]=0x705 [511]=0x40000705');
    expect(driver.walk(TOP - P, TOP)).toEqual([[TOP - P, TOP, 0x4000_0705n, 1]]);
    expect(driver.modify(TOP - P, TOP, RO, 0n)).toMatchObject({
      failed: 'Ok',
      seen: [[TOP - P, TOP, 0x7fff_f707n, 3]],
    });
  });

  test('physical addresses may reach to the end, and no further', () => {
    const last = (1n << 64n) - P;
    for (const kind of ['0.12.1', 'MODERN'] as const) {
      const driver = new Driver(kind);
      const exact = kind === '0.12.1';
      expect(errorOf(() => driver.mapRange(map(0n, P, F, { pa: last })))).toBe(
        exact ? 'panic OUT_OF_RANGE' : 'Ok',
      );
      const before = driver.tables.asBytes();
      expect(errorOf(() => driver.mapRange(map(0n, 2n * P, F, { pa: last })))).toBe('panic OUT_OF_RANGE');
      expect(driver.tables.asBytes()).toEqual(before);
      driver.map.activate();
      expect(errorOf(() => driver.mapRange(map(P, 3n * P, F, { pa: last })))).toBe('panic OUT_OF_RANGE');
    }
    const seed = new IdMap(1, 1);
    expect(() => seed.mapRange(new MemoryRegion(0n, P), Attributes.TABLE_OR_PAGE)).toThrow(MapError);
    expect(AF).toBe(Attributes.ACCESSED.bits());
    expect(new TargetAllocator(0n).size).toBe(0);
  });
});
