import { expect, test } from 'vitest';
import { flatMemory } from '../../src/index.ts';
import {
  AddressSpace,
  type CreateOptions,
  type MapOptions,
  type SpaceFormat,
} from '../../src/space/index.ts';
import { StrictAllocator } from './strict-allocator.ts';

// Cases worked out by hand: which pages fit follows from the page sizes that the manuals give each format.

const M2 = 0x20_0000n;
const M4 = 0x40_0000n;
const G1 = 0x4000_0000n;

function make(format: SpaceFormat, more: Partial<CreateOptions> = {}): AddressSpace {
  const memory = flatMemory(new ArrayBuffer(1 << 20));
  return AddressSpace.create({ format, memory, allocator: new StrictAllocator(1, 200), ...more });
}

const at = (physical: bigint, more: Partial<MapOptions> = {}): MapOptions => ({
  physical,
  rights: 'rw',
  ...more,
});

test.each<[SpaceFormat, bigint]>([
  ['32-bit', M4],
  ['PAE', M2],
  ['4-level', M2],
  ['5-level', M2],
  ['aarch64-4k', M2],
  ['sv32', M4],
  ['sv39', M2],
  ['sv48', M2],
  ['sv57', M2],
])('%s: every reason for which a page is 4 KiB', (format, large) => {
  const rights = format === '32-bit' ? 'rwx' : 'rw';
  const page = (physical: bigint, more: Partial<MapOptions> = {}) => at(physical, { rights, ...more });
  const space = make(format);
  const why = (address: bigint) => space.why(address);
  const base = large * 64n;
  expect(why(base)).toMatchObject({ reason: 'not-mapped', pageBytes: 0n });

  // A large page's worth and one page at each end: from 0x1000 before its start to 0x1000 behind its end.
  space.map(base - 0x1000n, large + 0x2000n, page(base - 0x1000n));
  expect(why(base + 0x1234n)).toMatchObject({ pageBytes: large });
  expect(why(base - 1n)).toMatchObject({
    reason: 'virtual-alignment',
    pageBytes: 0x1000n,
    larger: { address: base - large, bytes: large },
    at: base - 0x1000n,
  });
  expect(why(base + large)).toMatchObject({ reason: 'length', at: base + large + 0x1000n });

  space.map(4n * large + base, large, page(0x1000n));
  expect(why(4n * large + base)).toMatchObject({ reason: 'physical-alignment' });

  space.map(8n * large + base, large, page(8n * large, { maxPage: 0x1000n }));
  expect(space.why(8n * large + base, { maxPage: 0x1000n })).toMatchObject({ reason: 'cap' });
  expect(why(8n * large + base)).toMatchObject({ reason: 'nothing', larger: { address: 8n * large + base } });
  space.compact();
  expect(why(8n * large + base)).toMatchObject({ pageBytes: large });

  // Half of it is for applications.
  space.map(12n * large + base, large / 2n, page(12n * large));
  space.map(12n * large + base + large / 2n, large / 2n, page(12n * large + large / 2n, { user: true }));
  const attribute = why(12n * large + base);
  expect(attribute).toMatchObject({ reason: 'attribute', at: 12n * large + base + large / 2n });
  // Pages that nobody executes have PXN = UXN = 1, whoever they are for.
  const name = format === 'aarch64-4k' ? 'AP[1]' : format.startsWith('sv') ? 'U' : 'U/S';
  expect(attribute.attributes).toEqual([name]);

  // Half of it lies elsewhere, or something else is in the same range.
  space.map(16n * large + base, large / 2n, page(16n * large));
  space.map(16n * large + base + large / 2n, large / 2n, page(32n * large));
  expect(why(16n * large + base)).toMatchObject({ reason: 'not-contiguous' });
  space.map(20n * large + base, 0x1000n, page(20n * large));
  space.map(20n * large + base + 0x4000n, 0x1000n, page(0n));
  expect(why(20n * large + base)).toMatchObject({ reason: 'occupied', at: 20n * large + base + 0x4000n });
  expect(why(20n * large + base).text).toMatch(
    /^occupied: 0x[0-9a-f]{16}, in the range of a larger page, is in use$/,
  );
});

test.each<[SpaceFormat, bigint]>([
  ['32-bit', M4],
  ['PAE', M2],
  ['4-level', G1],
  ['aarch64-4k', G1],
  ['sv39', G1],
  ['sv48', G1 * 512n],
])('%s has no page larger than %i bytes', (format, most) => {
  const space = make(format);
  space.map(0n, most, at(0n, { rights: 'rx' }));
  expect(space.why(0x1234n)).toMatchObject({ reason: 'no-larger-page', pageBytes: most });
});

test('a table that two spaces use keeps its pages small', () => {
  const space = make('4-level');
  space.map(0n, M2, at(0n, { maxPage: 0x1000n }));
  const copy = space.clone({ tables: 'share' });
  expect(space.why(0n).reason).toBe('shared');
  // A write to the copy gives it tables of its own.
  copy.protect(0n, 0x1000n, { rights: 'r' });
  expect(space.why(0n).reason).toBe('nothing');
  expect(copy.why(0n)).toMatchObject({ reason: 'attribute', attributes: ['R/W'], at: 0x1000n });
});

test('a plan tells its pieces, and why each is not larger', () => {
  const space = make('4-level');
  const pieces = space.plan.map(0x1f_f000n, 0x40_2000n, at(0x1f_f000n)).pieces();
  expect(pieces).toEqual([
    {
      address: 0x1f_f000n,
      physical: 0x1f_f000n,
      bytes: 0x1000n,
      pageBytes: 0x1000n,
      why: 'virtual-alignment',
    },
    { address: M2, physical: M2, bytes: 2n * M2, pageBytes: M2, why: 'length' },
    { address: 3n * M2, physical: 3n * M2, bytes: 0x1000n, pageBytes: 0x1000n, why: 'length' },
  ]);
  expect(
    space.plan
      .map(0n, G1, at(0x1000n))
      .pieces()
      .every(({ why }) => why === 'physical-alignment'),
  ).toBe(true);
  expect(space.plan.map(0n, G1, at(0n, { maxPage: M2 })).pieces()).toMatchObject([{ bytes: G1, why: 'cap' }]);
  space.map(0n, M2, at(0n));
  expect(
    space.plan
      .unmap(0x1000n, 0x1000n)
      .pieces()
      .map(({ bytes, why }) => [bytes, why]),
  ).toEqual([
    [0x1000n, 'split'],
    [M2 - 0x2000n, 'split'],
  ]);
});
