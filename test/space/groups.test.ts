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
