// Addresses need not be numbers: what the functions of the module know of them is what the operations tell.
import { expect, test } from 'vitest';
import { amd64, type FixedTableOps, virtToPhys, walkVaSpaces } from '../../src/hyperlight-vmem/index.ts';
import { MapOps, PAGE, pages, put, ROOT } from './stores.ts';

/** A table in a list and an entry in it, as in the tests of the original. */
type Pair = readonly [table: number, entry: number];

class ListOps implements FixedTableOps<Pair> {
  readonly tableMovability = 'MayNotMoveTable';
  readonly tables: bigint[][] = [new Array(512).fill(0n)];
  readonly offsets: bigint[] = [];

  entryAddr(addr: Pair, entryOffset: bigint): Pair {
    this.offsets.push(entryOffset);
    return this.fromPhys(this.toPhys(addr) + entryOffset);
  }
  readEntry([table, entry]: Pair): bigint {
    return this.tables[table]?.[entry] ?? 0n;
  }
  toPhys([table, entry]: Pair): bigint {
    return BigInt(table * 4096 + entry * 8);
  }
  fromPhys(phys: bigint): Pair {
    return [Number(phys / PAGE), Number(phys % PAGE) / 8];
  }
  rootTable(): Pair {
    return [0, 0];
  }
  allocTable(): Pair {
    this.tables.push(new Array(512).fill(0n));
    return [this.tables.length - 1, 0];
  }
  writeEntry([table, entry]: Pair, value: bigint): void {
    this.tables[table][entry] = value;
  }
}

test('tables in a list, addressed by pairs', () => {
  const ops = new ListOps();
  put(amd64, ops, 0x40_2000n, 0x9000n, 0x2000n, 'r-x');
  expect(ops.tables).toHaveLength(4);
  expect(ops.tables[2][2]).toBe(0x3023n);
  expect(ops.tables[3].slice(1, 5)).toEqual([0n, 0x9061n, 0xa061n, 0n]);
  const found = virtToPhys(amd64, ops, 0x40_3fffn, 1n);
  expect(found.next().value?.physBase).toBe(0xa000n);
  const [{ space, items }] = walkVaSpaces(amd64, ops, [[0, 0]], 0n, 1n << 48n);
  expect([space, items.length]).toEqual([0n, 2]);
  // The values of the original's test of its mock: (3, 42) as a physical address and back, and offsets from (2, 0) and (1, 10).
  expect(ops.fromPhys(ops.toPhys([3, 42]))).toEqual([3, 42]);
  expect(ops.entryAddr([2, 0], 40n)).toEqual([2, 5]);
  expect(ops.entryAddr([1, 10], 16n)).toEqual([1, 12]);
});

test('offsets are bytes, and are added to whatever is given', () => {
  const ops = new ListOps();
  put(amd64, ops, 0x7fff_ffff_f000n, 0x9000n, PAGE);
  // The entry that leads to a new table is asked for twice: to be read, and to be written.
  expect(ops.offsets).toEqual([0x7f8n, 0x7f8n, 0xff8n, 0xff8n, 0xff8n, 0xff8n, 0xff8n]);
  expect(new MapOps().entryAddr(ROOT + 16n, 8n)).toBe(ROOT + 24n);
  expect(pages(amd64, ops)).toEqual([[0x7fff_ffff_f000n, 0x9000n, 'rw-']]);
});
