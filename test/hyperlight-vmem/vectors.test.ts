// Observed results of hyperlight's own code, and its unit tests: both architectures, through a user's operations and through the ready-made ones.
import { describe, expect, test } from 'vitest';
import {
  type Architecture,
  aarch64,
  amd64,
  type FixedTableOps,
  GuestPageTableBuffer,
  type SpaceAwareMapping,
  scratchBaseGpa,
  scratchBaseGva,
  spaceAwareMap,
  virtToPhys,
  walkVaSpaces,
} from '../../src/hyperlight-vmem/index.ts';
import { kind, letters, MapOps, MovingOps, PAGE, pages, put, ROOT } from './stores.ts';

/** The table with a number: 0 is the root. */
const table = (number: number) => ROOT + BigInt(number) * PAGE;
/** The address of an entry. */
const at = (number: number, index: number) => table(number) + BigInt(8 * index);

interface Case {
  readonly arch: Architecture;
  /** Low bits of an entry that leads to a table. */
  readonly link: bigint;
  /** The value for the architecture. */
  is<T>(amd: T, arm: T): T;
}

const AMD: Case = { arch: amd64, link: 0x23n, is: (amd) => amd };
const ARM: Case = { arch: aarch64, link: 3n, is: (_, arm) => arm };

const STORES: readonly [name: string, make: () => FixedTableOps<bigint>][] = [
  ["a user's operations", () => new MapOps()],
  ['a growing buffer', () => new GuestPageTableBuffer(ROOT, { outside: 'ignore' })],
];

describe.each([AMD, ARM])('$arch', ({ arch, link, is }) => {
  describe.each(STORES)('in %s', (_, make) => {
    const mapped = (virt: bigint, phys: bigint, len: bigint, rights?: string) => {
      const ops = make();
      put(arch, ops, virt, phys, len, rights);
      return ops;
    };
    const tablesOf = (ops: FixedTableOps<bigint>) =>
      Number(
        (ops instanceof MapOps ? ops.next - ROOT : BigInt((ops as GuestPageTableBuffer).size) * PAGE) / PAGE,
      );
    const entries = (ops: FixedTableOps<bigint>, number: number) =>
      Object.fromEntries(
        Array.from({ length: 512 }, (_, i) => [i, ops.readEntry(at(number, i))] as const).filter(
          ([, e]) => e !== 0n,
        ),
      );
    const leaf = (rights: string, address: bigint) => {
      const [amd, arm] = LEAF_BITS[rights];
      return is(amd, arm) | address;
    };

    test.each(Object.keys(LEAF_BITS))('V1 to V6: the entry of a page %s', (rights) => {
      const ops = mapped(0x1000n, 0x1000n, PAGE, rights);
      expect(entries(ops, 3)).toEqual({ 1: leaf(rights, 0x1000n) });
    });

    test('V7: Unmapped makes tables and writes 0', () => {
      const ops = mapped(0x1000n, 0x1000n, PAGE, 'none');
      expect(tablesOf(ops)).toBe(4);
      expect(entries(ops, 2)).toEqual({ 0: table(3) | link });
      expect(entries(ops, 3)).toEqual({});
    });

    test('V8: entries that lead to tables', () => {
      const ops = mapped(0x1000n, 0x1000n, PAGE);
      expect([0, 1, 2].map((number) => entries(ops, number))).toEqual(
        [1, 2, 3].map((n) => ({ 0: table(n) | link })),
      );
    });

    test('V11: across 1 GiB, a directory and its table are made', () => {
      const ops = mapped(0x3fff_f000n, 0x20_0000n, 0x3000n);
      expect(tablesOf(ops)).toBe(6);
      expect(entries(ops, 0)).toEqual({ 0: table(1) | link });
      expect(entries(ops, 1)).toEqual({ 0: table(2) | link, 1: table(4) | link });
      expect(entries(ops, 2)).toEqual({ 511: table(3) | link });
      expect(entries(ops, 3)).toEqual({ 511: leaf('rw-', 0x20_0000n) });
      expect(entries(ops, 4)).toEqual({ 0: table(5) | link });
      expect(entries(ops, 5)).toEqual({ 0: leaf('rw-', 0x20_1000n), 1: leaf('rw-', 0x20_2000n) });
    });

    test('V12: across 512 GiB, three tables', () => {
      const ops = mapped(0x7f_ffff_f000n, 0n, 0x2000n);
      expect(tablesOf(ops)).toBe(7);
      expect(Object.keys(entries(ops, 0))).toEqual(['0', '1']);
    });

    test('V13: across 2 MiB three times', () => {
      const ops = mapped(0x1f_f000n, 0n, 0x40_2000n);
      expect(tablesOf(ops)).toBe(7);
      expect(entries(ops, 2)).toEqual(Object.fromEntries([3, 4, 5, 6].map((n, i) => [i, table(n) | link])));
    });

    test('V15, V16: a page is mapped whole', () => {
      expect(entries(mapped(0x1000n, 0x5000n, 1n), 3)).toEqual({ 1: leaf('rw-', 0x5000n) });
      expect(Object.keys(entries(mapped(0x1000n, 0x1000n, 0x2200n), 3))).toEqual(['1', '2', '3']);
    });

    test('V17: 2 MiB are 512 pages', () => {
      const ops = mapped(0x20_0000n, 0x4000_0000n, 0x20_0000n);
      expect(tablesOf(ops)).toBe(4);
      expect(entries(ops, 2)).toEqual({ 1: table(3) | link });
      expect(ops.readEntry(at(3, 0))).toBe(leaf('rw-', 0x4000_0000n));
      expect(ops.readEntry(at(3, 511))).toBe(leaf('rw-', 0x401f_f000n));
    });

    test('V18: an address inside a page is stored as it is', () => {
      expect(entries(mapped(0x1800n, 0x1800n, 0x1000n), 3)).toEqual({
        1: is(0x8000_0000_0000_1863n, 0x60_0000_0000_1f03n),
        2: is(0x8000_0000_0000_2063n, 0x60_0000_0000_2f03n),
      });
    });

    test('V19: so too across a table', () => {
      const ops = mapped(0x1f_f800n, 0x7800n, 0x1000n, 'rwx');
      expect(entries(ops, 3)).toEqual({ 511: is(0x7863n, 0x40_0000_0000_7f03n) });
      expect(entries(ops, 4)).toEqual({ 0: is(0x8063n, 0x40_0000_0000_8f03n) });
    });

    test('V20, V21: low bits of an address that fall on flags', () => {
      const readOnly = mapped(0x1000n, 0x1200n, PAGE, 'r--');
      expect(entries(readOnly, 3)).toEqual({ 1: is(0x8000_0000_0000_1261n, 0x60_0000_0000_1f83n) });
      expect(pages(arch, readOnly)).toEqual([[0x1000n, 0x1000n, is('cow-', 'r--')]]);
      const cow = mapped(0x1000n, 0x1800n, PAGE, 'cow-');
      expect(pages(arch, cow)).toEqual([[0x1000n, 0x1000n, is('r--', 'cow-')]]);
    });

    test('V22, V23: the middle of three pages is replaced, and taken out', () => {
      const ops = mapped(0x1000n, 0x1000n, 0x3000n);
      put(arch, ops, 0x2000n, 0x9000n, PAGE, 'cowx');
      expect(tablesOf(ops)).toBe(4);
      expect(entries(ops, 3)).toEqual({
        1: leaf('rw-', 0x1000n),
        2: leaf('cowx', 0x9000n),
        3: leaf('rw-', 0x3000n),
      });
      put(arch, ops, 0x2000n, 0n, PAGE, 'none');
      expect(pages(arch, ops, 0n, 0x10000n).map(([virt]) => virt)).toEqual([0x1000n, 0x3000n]);
    });

    test('V24, V25: which pages a range touches', () => {
      const ops = mapped(0x1000n, 0x1000n, 0x2000n);
      const found = (address: bigint, len: bigint) => pages(arch, ops, address, len).map(([virt]) => virt);
      expect(found(0x1000n, 0n)).toEqual([]);
      expect(found(0x1234n, 0n)).toEqual([0x1000n]);
      expect(found(0x1f00n, 0x100n)).toEqual([0x1000n]);
      expect(found(0x1f00n, 0x300n)).toEqual([0x1000n, 0x2000n]);
    });

    test('V26, V28: the last pages, by either form of their address', () => {
      const ops = mapped(0xffff_ffff_ffff_e000n, 0xf_ffff_e000n, PAGE);
      expect([0, 1, 2, 3].map((n) => Object.keys(entries(ops, n)))).toEqual([
        ['511'],
        ['511'],
        ['511'],
        ['510'],
      ]);
      const virt = is(0xffff_ffff_ffff_e000n, 0xffff_ffff_e000n);
      for (const address of [0xffff_ffff_ffff_e000n, 0xffff_ffff_e000n]) {
        expect(pages(arch, ops, address, PAGE)).toEqual([[virt, 0xf_ffff_e000n, 'rw-']]);
      }
      put(arch, ops, 0xffff_ffff_ffff_f000n, 0n, 0xfffn);
      expect(Object.keys(entries(ops, 3))).toEqual(['510', '511']);
    });

    test('V27: a range that ends at 2^64 is refused, and nothing is touched', () => {
      const ops = make();
      expect(() => put(arch, ops, 0xffff_ffff_ffff_f000n, 0n, PAGE)).toThrow(
        expect.objectContaining({
          code: 'OUT_OF_RANGE',
          message:
            'map: virtBase 0xfffffffffffff000 and len 0x1000 end at 0x10000000000000000; expected at most 2^64 - 1',
        }),
      );
      if (ops instanceof MapOps) expect(ops.log).toEqual([]);
      expect(tablesOf(ops)).toBe(1);
    });

    test('V29, V30: bits above bit 47 do not count, and a range runs across the hole', () => {
      const ops = mapped(0x1_0000_0000_1000n, 0x5000n, PAGE);
      expect(pages(arch, ops, 0x1000n, 1n)).toEqual([[0x1000n, 0x5000n, 'rw-']]);
      expect(pages(arch, ops, 0x1_0000_0000_1000n, 1n)).toEqual([[0x1000n, 0x5000n, 'rw-']]);
      const across = mapped(0x7fff_ffff_f000n, 0x5000n, 0x2000n);
      expect(Object.keys(entries(across, 0))).toEqual(['255', '256']);
      expect(pages(arch, across, 0x7fff_ffff_f000n, 0x2000n).map(([virt]) => virt)).toEqual([
        0x7fff_ffff_f000n,
        is(0xffff_8000_0000_0000n, 0x8000_0000_0000n),
      ]);
    });

    test('V31: a mapping goes on from the end of the space to its beginning; a translation ends there', () => {
      const ops = mapped(0xffff_ffff_f000n, 0x5000n, 0x2000n);
      expect(Object.keys(entries(ops, 0))).toEqual(['0', '511']);
      expect(pages(arch, ops, 0n, 1n)).toEqual([[0n, 0x6000n, 'rw-']]);
      expect(pages(arch, ops, 0xffff_ffff_f000n, 0x2000n).map(([, phys]) => phys)).toEqual([0x5000n]);
    });

    test('V32, V33: the longest ranges', () => {
      const ops = mapped(0x1000n, 0x1000n, PAGE);
      put(arch, ops, 0xffff_ffff_ffff_f000n, 0x7000n, 0xfffn);
      expect(pages(arch, ops, 0n, 2n ** 64n - 1n)).toHaveLength(2);
      expect(() => virtToPhys(arch, ops, 0x1000n, 2n ** 64n - 1n)).toThrow(
        expect.objectContaining({ code: 'OUT_OF_RANGE' }),
      );
      expect(pages(arch, ops, 2n ** 64n - 1n, 1n)).toHaveLength(1);
      expect(pages(arch, ops, 2n ** 64n - 1n, 0x5000n)).toHaveLength(1);
    });

    test('V34: physical addresses beyond 2^64 are refused before anything is touched', () => {
      const ops = make();
      expect(() => put(arch, ops, 0x1000n, 2n ** 64n - PAGE, 0x2000n)).toThrow(/physBase 0xfffffffffffff000/);
      expect(tablesOf(ops)).toBe(1);
    });

    test('V35: bits above the address', () => {
      const ops = mapped(0x1000n, 0x10_0000_0000_0000n, PAGE, 'rwx');
      expect(entries(ops, 3)).toEqual({ 1: is(0x10_0000_0000_0063n, 0x50_0000_0000_0f03n) });
      expect(pages(arch, ops)).toEqual([[0x1000n, 0n, 'rwx']]);
    });

    test('V36: a large page on the way is a table on amd64 and absent on aarch64', () => {
      const ops = mapped(0x1000n, 0x1000n, PAGE);
      const large = is(0x20_0083n, 0x20_0701n);
      ops.writeEntry(at(2, 1), large);
      expect(pages(arch, ops, 0x20_0000n, PAGE)).toEqual([]);
      put(arch, ops, 0x20_0000n, 0x7000n, PAGE);
      expect(ops.readEntry(at(2, 1))).toBe(is(large, table(4) | link));
      if (arch === aarch64) expect(entries(ops, 4)).toEqual({ 0: leaf('rw-', 0x7000n) });
      else if (ops instanceof MapOps) expect(ops.words.get(0x20_0000n)).toBe(leaf('rw-', 0x7000n));
    });

    test('V37: which entries are pages', () => {
      const ops = mapped(0x1000n, 0x1000n, PAGE);
      ops.writeEntry(at(3, 1), 0x5001n);
      expect(pages(arch, ops)).toEqual(is([[0x1000n, 0x5000n, 'r-x']], []));
    });

    test('V39: junk in an absent entry is replaced', () => {
      const ops = make();
      ops.writeEntry(at(0, 0), 0xdead_b000n);
      put(arch, ops, 0x1000n, 0x1000n, PAGE);
      expect(ops.readEntry(at(0, 0))).toBe(table(1) | link);
    });

    test('V40: entries on the way stay as they are, and do not count for rights', () => {
      const ops = mapped(0x1000n, 0x1000n, PAGE);
      const kept = is(table(3) | 1n | (1n << 63n), table(3) | 3n | (3n << 61n));
      ops.writeEntry(at(2, 0), kept);
      put(arch, ops, 0x2000n, 0x2000n, PAGE, 'rwx');
      expect(ops.readEntry(at(2, 0))).toBe(kept);
      expect(pages(arch, ops, 0x2000n, 1n)).toEqual([[0x2000n, 0x2000n, 'rwx']]);
    });

    test('V45: two spaces that share tables', () => {
      const ops = mapped(0x1000n, 0x1000n, 0x2000n);
      const second = ops.allocTable();
      ops.writeEntry(second + 8n, ops.readEntry(at(0, 0)));
      put(arch, withRoot(ops, second), 0x4000_0000n, 0x7000n, PAGE, 'cow-');
      // Its directory is table 6.
      ops.writeEntry(at(6, 5), ops.readEntry(at(2, 0)));
      const spaces = walkVaSpaces(arch, ops, [ROOT, second], 0n, 1n << 48n);
      expect(spaces.map(({ space }) => space)).toEqual([ROOT, second]);
      expect(spaces[0].items.map(told)).toEqual(['1000 1000 rw-', '2000 2000 rw-']);
      expect(spaces[1].items.map(told)).toEqual(
        is(
          [
            '40000000 7000 cow-',
            '40a01000 1000 rw-',
            '40a02000 2000 rw-',
            '8000001000 1000 rw-',
            '8000002000 2000 rw-',
          ],
          ['40000000 7000 cow-', 'table 3 of 100000: 40a00000 as 0', 'table 1 of 100000: 8000000000 as 0'],
        ),
      );
    });

    test('V46, V47: a space given twice, and a table used twice', () => {
      const ops = mapped(0x1000n, 0x1000n, PAGE);
      const all = (roots: readonly bigint[]) =>
        walkVaSpaces(arch, ops, roots, 0n, 1n << 48n).map(({ items }) => items.map(told));
      const page = '1000 1000 rw-';
      expect(all([ROOT, ROOT])).toEqual([[page], is([page], ['table 0 of 100000: 0 as 0'])]);
      ops.writeEntry(at(2, 3), ops.readEntry(at(2, 0)));
      expect(all([ROOT])).toEqual([[page, is('601000 1000 rw-', 'table 3 of 100000: 600000 as 0')]]);
    });

    test('V48: a table that contains itself shows the tables as pages', () => {
      const ops = mapped(0x1000n, 0x1000n, PAGE);
      ops.writeEntry(at(0, 511), ROOT | link);
      const upper = (address: bigint) => is(address, BigInt.asUintN(48, address));
      const found = [...virtToPhys(arch, ops, upper(0xffff_ff80_0000_0000n), 1n << 39n)];
      expect(found.map(({ virtBase, physBase }) => [virtBase, physBase])).toEqual([
        [upper(0xffff_ff80_0000_0000n), table(3)],
        [upper(0xffff_ffff_c000_0000n), table(2)],
        [upper(0xffff_ffff_ffe0_0000n), table(1)],
        [upper(0xffff_ffff_ffff_f000n), table(0)],
      ]);
    });

    test('V49: a shared table of which only a part is walked', () => {
      const ops = mapped(0x4000_2000n, 0x1000n, PAGE);
      const second = ops.allocTable();
      ops.writeEntry(second, ops.readEntry(at(0, 0)));
      const spaces = walkVaSpaces(arch, ops, [ROOT, second], 0x4000_2000n, PAGE);
      expect(spaces.map(({ items }) => items.map(told))).toEqual([
        ['40002000 1000 rw-'],
        [is('40002000 1000 rw-', 'table 1 of 100000: 40002000 as 40002000')],
      ]);
    });

    test('V50: a table that another space has at another depth is walked', () => {
      // The page that is mapped is a table of one page itself: one level further down, it is the last.
      const ops = mapped(0x1000n, table(4), PAGE);
      const [page, second] = [ops.allocTable(), ops.allocTable()];
      ops.writeEntry(page + 8n * 7n, leaf('r-x', 0x9000n));
      ops.writeEntry(second, table(2) | link);
      const [, { items }] = walkVaSpaces(arch, ops, [ROOT, second], 0n, 1n << 40n);
      expect(items.map(told)).toEqual(['207000 9000 r-x']);
    });

    test('V51, V52: no roots, a range across pages, and an empty table', () => {
      const ops = mapped(0x2000n, 0x2000n, 0x2000n);
      expect(walkVaSpaces(arch, ops, [], 0n, 1n)).toEqual([]);
      expect(walkVaSpaces(arch, ops, [ROOT], 0x2fffn, 2n)[0].items.map(told)).toEqual([
        '2000 2000 rw-',
        '3000 3000 rw-',
      ]);
      put(arch, ops, 0x2000n, 0n, 0x2000n, 'none');
      const second = ops.allocTable();
      ops.writeEntry(second, ops.readEntry(at(0, 0)));
      expect(walkVaSpaces(arch, ops, [ROOT, second], 0n, 1n << 40n)[1].items.map(told)).toEqual(
        is([], ['table 1 of 100000: 0 as 0']),
      );
    });

    test('V53: pages ascend by the 48 bits of their addresses', () => {
      const ops = make();
      const wanted = [0xffff_ffff_8000_0000n, 0x40_0000_0000n, 0x1000n, 0x7fff_ffff_f000n, 0x20_0000n];
      for (const virt of wanted) put(arch, ops, virt, 0x1000n, PAGE);
      expect(pages(arch, ops).map(([virt]) => BigInt.asUintN(48, virt))).toEqual([
        0x1000n,
        0x20_0000n,
        0x40_0000_0000n,
        0x7fff_ffff_f000n,
        0xffff_8000_0000n,
      ]);
    });

    test('V54: spaceAwareMap works (`space-aware-map-works`; the original does nothing)', () => {
      const ops = mapped(0x1000n, 0x1000n, PAGE);
      const second = ops.allocTable();
      const reference = { depth: 3, space: 1n, ourVa: 0x4000_0000n, theirVa: 0n };
      spaceAwareMap(arch, withRoot(ops, second), reference, new Map([[1n, ROOT]]));
      expect(pages(arch, withRoot(ops, second))).toEqual([[0x4000_1000n, 0x1000n, 'rw-']]);
    });

    test('V55: the scratch region', () => {
      const ops = make();
      const [gpa, gva] = [scratchBaseGpa(arch, 0x4_0000n), scratchBaseGva(arch, 0x4_0000n)];
      expect([gpa, gva]).toEqual(
        is([0xf_fffc_0000n, 0xffff_ffff_fffb_f000n], [0xf_fffb_c000n, 0xffff_fffb_e000n]),
      );
      put(arch, ops, gva, gpa, 0x4_0000n);
      const found = entries(ops, 3);
      const [first, last] = is([447, 510], [446, 509]);
      expect(Object.keys(found)).toHaveLength(64);
      expect(found[first]).toBe(is(0x8000_000f_fffc_0063n, 0x60_000f_fffb_cf03n));
      expect(found[last]).toBe(is(0x8000_000f_ffff_f063n, 0x60_000f_ffff_bf03n));
      const { IO_PAGE } = arch.layout;
      if (IO_PAGE !== undefined) {
        put(arch, ops, IO_PAGE.virt, IO_PAGE.phys, PAGE);
        expect(ops.readEntry(at(3, 510))).toBe(0x60_000f_ffff_ff03n);
      }
      expect(IO_PAGE === undefined).toBe(is(true, false));
    });

    test('V56: a second root, and the tables below each', () => {
      const ops = make();
      const second = ops.allocTable();
      put(arch, ops, 0x1000n, 0x1000n, PAGE);
      put(arch, withRoot(ops, second), 0x1000n, 0x1000n, PAGE);
      expect([0, 2, 3].map((n) => entries(ops, n)[0])).toEqual([2, 3, 4].map((n) => table(n) | link));
      expect([1, 5, 6].map((n) => entries(ops, n)[0])).toEqual([5, 6, 7].map((n) => table(n) | link));
    });

    test('V57: an entry that leads out of the store finds nothing', () => {
      const ops = make();
      ops.writeEntry(at(0, 0), 0xdead_beef_f000n | link);
      expect(pages(arch, ops)).toEqual([]);
    });

    test('V58: an iterator sees changes of entries, not of the root', () => {
      const ops = mapped(0x1000n, 0x1000n, 0x2000n);
      const second = ops.allocTable();
      const found = virtToPhys(arch, ops, 0x1000n, 0x2000n);
      expect(found.next().value?.physBase).toBe(0x1000n);
      put(arch, ops, 0x2000n, 0x9000n, PAGE, 'r--');
      if (ops instanceof MapOps) ops.root = second;
      else (ops as GuestPageTableBuffer).setRoot(second);
      const { value } = found.next();
      expect([value?.physBase, value && letters(value.kind)]).toEqual([0x9000n, 'r--']);
      expect(found.next()).toEqual({ done: true, value: undefined });
      expect(found.next().done).toBe(true);
      expect(pages(arch, ops)).toEqual([]);
    });
  });

  test('V9: the calls for one page, none of its tables there', () => {
    const ops = new MapOps();
    put(arch, ops, 0x7fff_ffe0_1000n, 0xab_c000n, PAGE);
    const l = link.toString(16).padStart(3, '0');
    expect(ops.log).toEqual([
      'root',
      'read 1007f8',
      'alloc 101000',
      `write 1007f8 101${l}`,
      'read 101ff8',
      'alloc 102000',
      `write 101ff8 102${l}`,
      'read 102ff8',
      'alloc 103000',
      `write 102ff8 103${l}`,
      `write 103008 ${is('8000000000abc063', '60000000abcf03')}`,
    ]);
  });

  test('V10: the calls for two pages whose tables are there', () => {
    const ops = new MapOps();
    put(arch, ops, 0x1000n, 0x1000n, PAGE);
    ops.log.length = 0;
    put(arch, ops, 0x5000n, 0x5000n, 0x2000n, 'cowx');
    expect(ops.log).toEqual([
      'root',
      'read 100000',
      'read 101000',
      'read 102000',
      `write 103028 ${is('5261', 'c0000000005f83')}`,
      `write 103030 ${is('6261', 'c0000000006f83')}`,
    ]);
  });

  test('V14: without length nothing is read', () => {
    const ops = new MapOps();
    put(arch, ops, 0x1000n, 0x1000n, 0n);
    expect(ops.log).toEqual(['root']);
  });

  describe('tables that are copied whenever they are written to', () => {
    const frozenWith = (len: bigint) => {
      const ops = new MovingOps();
      put(arch, ops, 0x1000n, 0x1000n, len);
      ops.frozen = ops.inner.next;
      ops.inner.log.length = 0;
      return ops;
    };
    const words = (ops: MovingOps, number: number, index: number) => ops.inner.words.get(at(number, index));

    test('V41: one page: its table and all above it are copied', () => {
      const ops = frozenWith(0x2000n);
      put(arch, ops, 0x1000n, 0x9000n, PAGE);
      expect(ops.inner.log.filter((line) => !/^read/.test(line))).toEqual([
        'root',
        'copy 103000 104000',
        `write 104008 ${is('8000000000009063', '60000000009f03')}`,
        'copy 102000 105000',
        `write 105000 ${(table(4) | link).toString(16)}`,
        'copy 101000 106000',
        `write 106000 ${(table(5) | link).toString(16)}`,
        'copy 100000 107000',
        `write 107000 ${(table(6) | link).toString(16)}`,
        'root 107000',
      ]);
      expect(pages(arch, ops)).toEqual([
        [0x1000n, 0x9000n, 'rw-'],
        [0x2000n, 0x2000n, 'rw-'],
      ]);
    });

    test('V42: two pages in one call: the first is lost', () => {
      const ops = frozenWith(0x2000n);
      put(arch, ops, 0x1000n, 0x9000n, 0x2000n);
      expect(ops.inner.next).toBe(table(12));
      expect(pages(arch, ops)).toEqual([
        [0x1000n, 0x1000n, 'rw-'],
        [0x2000n, 0xa000n, 'rw-'],
      ]);
    });

    test('V43: two tables of one directory: the first is lost', () => {
      const ops = frozenWith(0x2000n);
      put(arch, ops, 0x3f_f000n, 0x9000n, 0x2000n);
      expect(pages(arch, ops).map(([virt]) => virt)).toEqual([0x1000n, 0x2000n, 0x40_0000n]);
    });

    test('V44: a new table is taken before copies of those above it', () => {
      const ops = frozenWith(0x2000n);
      put(arch, ops, 0x20_0000n, 0x9000n, PAGE);
      expect(ops.inner.log.filter((line) => /^(alloc|copy|root )/.test(line))).toEqual([
        'alloc 104000',
        'copy 102000 105000',
        'copy 101000 106000',
        'copy 100000 107000',
        'root 107000',
      ]);
      expect(words(ops, 4, 0)).toBe(is(0x8000_0000_0000_9063n, 0x60_0000_0000_9f03n));
    });
  });
});

test('V38: software bits next to the one for copy-on-write', () => {
  const ops = new MapOps();
  put(amd64, ops, 0x1000n, 0x1000n, 0x2000n);
  ops.words.set(at(3, 1), 0x1663n);
  ops.words.set(at(3, 2), 0x2263n);
  expect(pages(amd64, ops).map(([, , rights]) => rights)).toEqual(['rwx', 'cowx']);
});

test("the original's own tests", () => {
  const found = (ops: MapOps, address: bigint, len: bigint) =>
    pages(amd64, ops, address, len).map(([virt]) => virt);
  const two = new MapOps();
  put(amd64, two, 0x1000n, 0x1000n, 0x2000n);
  expect(found(two, 0x1000n, 1n)).toEqual([0x1000n]);
  expect(found(two, 0x1234n, 1n)).toEqual([0x1000n]);
  expect(found(two, 0x1f00n, 0x300n)).toEqual([0x1000n, 0x2000n]);
  expect(found(two, 0x5000n, 1n)).toEqual([]);
  expect(found(new MapOps(), 0x1000n, 1n)).toEqual([]);
  const three = new MapOps();
  put(amd64, three, 0x1000n, 0x1000n, 0x2200n);
  expect(found(three, 0x1234n, 0x2010n)).toEqual([0x1000n, 0x2000n, 0x3000n]);
  const four = new MapOps();
  put(amd64, four, 0x1_0000n, 0x1_0000n, 0x4000n);
  expect([16, 17, 18, 19].map((i) => (four.words.get(at(3, i)) ?? 0n) & amd64.PTE_ADDR_MASK)).toEqual([
    0x1_0000n,
    0x1_1000n,
    0x1_2000n,
    0x1_3000n,
  ]);
  for (const rights of ['r--', 'rw-', 'r-x', 'rwx', 'cow-', 'cowx']) {
    const ops = new MapOps();
    put(amd64, ops, 0x1000n, 0x1000n, PAGE, rights);
    expect(pages(amd64, ops)[0][2]).toBe(rights);
    expect(kind(rights)).toEqual([...virtToPhys(amd64, ops, 0x1000n, 1n)][0].kind);
  }
});

test.each([
  [0x80_0000_0000n, [1, 0, 0, 0]],
  [0x4000_0000n, [0, 1, 0, 0]],
  [0x20_0000n, [0, 0, 1, 0]],
  [0x1000n, [0, 0, 0, 1]],
  [0xff80_0000_0000n, [511, 0, 0, 0]],
])('the indices of an address', (virt, indices) => {
  const ops = new MapOps();
  put(amd64, ops, virt, 0n, PAGE);
  expect([...ops.words.keys()].map((address) => Number((address & 0xfffn) >> 3n))).toEqual(indices);
});

const LEAF_BITS: Readonly<Record<string, readonly [amd: bigint, arm: bigint]>> = {
  'rw-': [0x8000_0000_0000_0063n, 0x60_0000_0000_0f03n],
  'r--': [0x8000_0000_0000_0061n, 0x60_0000_0000_0f83n],
  rwx: [0x63n, 0x40_0000_0000_0f03n],
  'r-x': [0x61n, 0x40_0000_0000_0f83n],
  'cow-': [0x8000_0000_0000_0261n, 0xe0_0000_0000_0f83n],
  cowx: [0x261n, 0xc0_0000_0000_0f83n],
};

/** The same operations with another root. */
function withRoot(ops: FixedTableOps<bigint>, root: bigint): FixedTableOps<bigint> {
  return {
    tableMovability: 'MayNotMoveTable',
    entryAddr: (addr, offset) => ops.entryAddr(addr, offset),
    readEntry: (addr) => ops.readEntry(addr),
    toPhys: (addr) => addr,
    fromPhys: (phys) => phys,
    rootTable: () => root,
    allocTable: () => ops.allocTable(),
    writeEntry: (addr, entry) => ops.writeEntry(addr, entry),
  };
}

/** An item in one line. */
function told(item: SpaceAwareMapping): string {
  if (item.kind === 'ThisSpace') {
    const { virtBase, physBase, kind } = item.mapping;
    return `${virtBase.toString(16)} ${physBase.toString(16)} ${letters(kind)}`;
  }
  const { depth, space, ourVa, theirVa } = item.reference;
  return `table ${depth} of ${space.toString(16)}: ${ourVa.toString(16)} as ${theirVa.toString(16)}`;
}
