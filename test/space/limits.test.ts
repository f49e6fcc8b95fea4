import { expect, test } from 'vitest';
import { flatMemory } from '../../src/index.ts';
import { AddressSpace, type SpaceFormat } from '../../src/space/index.ts';
import { StrictAllocator } from './strict-allocator.ts';

// Rights that the entry of a table takes from all below it. Bits: Intel SDM vol. 3A, "4-Level Paging", tables of PDE and PTE (R/W: 1,
// U/S: 2, XD: 63); Arm ARM, "Hierarchical control of data access permissions" (APTable: 62:61, PXNTable: 59, UXNTable: 60).

test.each<[SpaceFormat, string, (low: number, high: number) => [number, number], string, string]>([
  ['4-level', 'R/W = 0', (low, high) => [low & ~2, high], 'r-x', 'r-x'],
  ['4-level', 'U/S = 0', (low, high) => [low & ~4, high], '---', 'rwx'],
  ['4-level', 'XD = 1', (low, high) => [low, high | (1 << 31)], 'rw-', 'rw-'],
  ['PAE', 'R/W = 0', (low, high) => [low & ~2, high], 'r-x', 'r-x'],
  ['aarch64-4k', 'APTable[1] = 1', (low, high) => [low, high | (1 << 30)], 'r-x', 'r--'],
  ['aarch64-4k', 'UXNTable = 1', (low, high) => [low, high | (1 << 28)], 'rw-', 'rw-'],
])(
  '%s: a page that comes in the place of a table with %s has no more rights',
  (format, _, change, user, supervisor) => {
    const memory = flatMemory(new ArrayBuffer(1 << 18));
    const space = AddressSpace.create({ format, memory, allocator: new StrictAllocator(1, 60) });
    space.map(0n, 0x40_0000n, { physical: 0n, rights: 'rwx', user: true, maxPage: 0x1000n });
    const { steps } = space.walk(0n);
    const table = steps[steps.length - 2];
    const [low, high] = change(table.low, table.high);
    memory.writeEntry(table.tableFrame, table.index, low, high);
    expect(space.translate(0n)).toMatchObject({ pageBytes: 0x1000n, user, supervisor });
    const full = space.translate(0x20_0000n);
    space.compact();
    expect(space.translate(0n)).toMatchObject({ pageBytes: 0x20_0000n, user, supervisor });
    expect(space.translate(0x20_0000n)).toEqual({ ...full, pageBytes: 0x20_0000n });
  },
);
