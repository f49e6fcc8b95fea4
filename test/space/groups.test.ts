import { expect, test } from 'vitest';
import { flatMemory } from '../../src/index.ts';
import { AddressSpace } from '../../src/space/index.ts';
import { StrictAllocator } from './strict-allocator.ts';

// RISC-V Privileged ISA, chapter "Svnapot": bit 63 of an entry, and 1000 in the lowest bits of its PPN, make a group of 64 KiB.

const PPN_SHIFT = 10n;

function sv39(svnapot: boolean): AddressSpace {
  const memory = flatMemory(new Uint32Array(16 * 1024));
  return AddressSpace.create({
    format: 'sv39',
    memory,
    allocator: new StrictAllocator(1, 15),
    control: { svnapot },
  });
}

function lastEntry(space: AddressSpace, address: bigint): bigint {
  const step = space.walk(address).steps.at(-1);
  expect(step?.depth).toBe(2);
  return (BigInt((step?.high ?? 0) >>> 0) << 32n) | BigInt((step?.low ?? 0) >>> 0);
}

test('without Svnapot groups are not made: each entry holds its own address', () => {
  const space = sv39(false);
  space.map(0x1000_0000n, 0x2_0000n, { physical: 0x81_0000n, rights: 'rw', groups: true });
  for (let page = 0n; page < 32n; page++) {
    expect(lastEntry(space, 0x1000_0000n + page * 4096n) >> PPN_SHIFT).toBe(0x810n + page);
  }
  expect(() =>
    space.map(0x2000_0000n, 0x1_0000n, {
      physical: 0x81_0000n,
      rights: 'rw',
      groups: true,
      maxPage: 0x1_0000n,
    }),
  ).toThrow('maxPage 0x10000');
  space.compact({ groups: true });
  expect(lastEntry(space, 0x1000_3000n) >> PPN_SHIFT).toBe(0x813n);
});

test('with Svnapot all entries of a group hold the same', () => {
  const space = sv39(true);
  space.map(0x1000_0000n, 0x2_0000n, { physical: 0x81_0000n, rights: 'rw', groups: true });
  for (let page = 0n; page < 32n; page++) {
    const code = page < 16n ? 0x818n : 0x828n;
    expect(lastEntry(space, 0x1000_0000n + page * 4096n) >> PPN_SHIFT).toBe((1n << 53n) | code);
  }
});

const M2 = 0x20_0000n;
const START = 0x4200_0000n;

/** Sixteen blocks of 2 MiB in one group: Arm ARM, D8.7.1. */
function group(): AddressSpace {
  const memory = flatMemory(new Uint32Array(16 * 1024));
  const space = AddressSpace.create({ format: 'aarch64-4k', memory, allocator: new StrictAllocator(1, 15) });
  space.map(START, 16n * M2, { physical: START, rights: 'rx', groups: true });
  return space;
}

/** The kernel's rights to the first page of each block. */
function rightsOf(space: AddressSpace): string[] {
  return Array.from({ length: 16 }, (_, i) => {
    const found = space.translate(START + BigInt(i) * M2);
    return found.kind === 'mapped' ? found.supervisor : '';
  });
}

test('an edit that ends inside the last member of a group reaches all members before it', () => {
  const unmapped = group();
  unmapped.unmap(START, 16n * M2 - 4096n);
  expect(rightsOf(unmapped)).toEqual(Array(16).fill(''));
  expect(unmapped.translate(START + 16n * M2 - 4096n)).toMatchObject({ supervisor: 'r-x' });

  const changed = group();
  changed.protect(START, 16n * M2 - 4096n, { rights: 'rw', user: false });
  expect(rightsOf(changed)).toEqual(Array(16).fill('rw-'));
  expect(changed.translate(START + 16n * M2 - 4096n)).toMatchObject({ supervisor: 'r-x' });
});

test('an edit that begins inside the first member of a group reaches all members behind it', () => {
  const unmapped = group();
  unmapped.unmap(START + 4096n, 16n * M2 - 4096n);
  expect(rightsOf(unmapped)).toEqual(['r-x', ...Array(15).fill('')]);

  const changed = group();
  changed.protect(START + 4096n, 16n * M2 - 4096n, { rights: 'rw', user: false });
  expect(rightsOf(changed)).toEqual(['r-x', ...Array(15).fill('rw-')]);
});
