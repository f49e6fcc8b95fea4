import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fromFragment, NO_FILTER, PANELS, type Place, START, toFragment } from '../../web/state.ts';

const table = fc.record({
  space: fc.constantFrom(0, 1),
  depth: fc.integer({ min: 0, max: 4 }),
  frame: fc.integer({ min: 0, max: 2 ** 52 - 1 }),
});

const place: fc.Arbitrary<Place> = fc.record({
  sample: fc.option(fc.constantFrom('linux-amd64-la48', 'linux-riscv64-sv39'), { nil: undefined }),
  panel: fc.constantFrom(...PANELS),
  address: fc.option(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), { nil: undefined }),
  zoom: fc.option(
    fc
      .tuple(fc.integer({ min: 0, max: 2 ** 52 - 1 }), fc.integer({ min: 0, max: 2 ** 52 - 1 }))
      .map(([a, b]) => ({
        first: Math.min(a, b),
        last: Math.max(a, b),
      })),
    { nil: undefined },
  ),
  table: fc.option(table, { nil: undefined }),
  entry: fc.option(fc.integer({ min: 0, max: 8191 }), { nil: undefined }),
  filter: fc.constantFrom(NO_FILTER, {
    range: '0-7fff',
    rights: 'user:wx',
    size: '2M',
    minSize: '64K',
    merge: 'none',
  }),
  physical: fc.option(fc.bigInt({ min: 0n, max: 2n ** 56n - 1n }), { nil: undefined }),
  changes: fc.array(
    fc.oneof(
      fc.record({
        kind: fc.constant('entry' as const),
        at: table,
        index: fc.integer({ min: 0, max: 8191 }),
        bit: fc.integer({ min: 0, max: 63 }),
      }),
      fc.constant({ kind: 'flag' as const, register: 'SCTLR_EL1', name: 'WXN' }),
    ),
    { maxLength: 5 },
  ),
  options: fc.constantFrom(
    {},
    { cr3: '0x1000', cr4: '20' },
    { satp: '0x8000000000081000', svpbmt: false },
    { amd: true as const },
  ),
});

test('a place comes back from its fragment', () => {
  fc.assert(
    fc.property(place, (one) => {
      expect(fromFragment(`#${toFragment(one)}`)).toEqual(one);
    }),
  );
});

test('what a fragment holds besides is passed over, whatever it is', () => {
  const odd =
    'sample=../../etc&panel=nothing&va=12345678901234567&zoom=5&table=9.9.zz&entry=1e9&try=a*b.c*1.2.3.4.99&o.cr3';
  expect(fromFragment(`#${odd}`)).toEqual({
    ...START,
    changes: [{ kind: 'flag', register: 'b', name: 'c' }],
    options: { cr3: '' },
  });
  fc.assert(
    fc.property(fc.string({ maxLength: 300, unit: 'grapheme' }), (text) => {
      const found = fromFragment(`#${text}`);
      expect(PANELS).toContain(found.panel);
      expect(found.changes.length).toBeLessThanOrEqual(64);
    }),
  );
});
