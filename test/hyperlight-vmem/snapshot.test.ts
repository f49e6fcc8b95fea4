// A snapshot as a host takes it: walk all address spaces, build them anew elsewhere, walk again.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type Architecture,
  aarch64,
  amd64,
  type FixedTableOps,
  GuestPageTableBuffer,
  map,
  type SpaceAwareMapping,
  type SpaceMappings,
  spaceAwareMap,
  virtToPhys,
  walkVaSpaces,
} from '../../src/hyperlight-vmem/index.ts';
import { LONG } from '../support/long.ts';
import { letters, MapOps, PAGE, pages, put, ROOT } from './stores.ts';

const ALL = 1n << 48n;

/** Builds what a walk has found in a new buffer. Gives the buffer and the new root of each space, in the order of the walk. */
function rebuild(
  architecture: Architecture,
  spaces: readonly SpaceMappings[],
): { readonly buffer: GuestPageTableBuffer; readonly roots: bigint[] } {
  const buffer = new GuestPageTableBuffer(0x8000_0000n);
  const roots = spaces.map((_, i) => (i === 0 ? buffer.initialRoot() : buffer.allocTable()));
  const built = new Map<bigint, bigint>();
  for (const [i, { space, items }] of spaces.entries()) {
    buffer.setRoot(roots[i]);
    if (!built.has(space)) built.set(space, roots[i]);
    for (const item of items) {
      if (item.kind === 'ThisSpace') map(architecture, buffer, item.mapping);
      else spaceAwareMap(architecture, buffer, item.reference, built);
    }
  }
  return { buffer, roots };
}

/** A walk with spaces by their number in it, so that two walks can be compared. */
function described(spaces: readonly SpaceMappings[]): string[][] {
  const numbers = new Map<bigint, number>();
  for (const [i, { space }] of spaces.entries()) if (!numbers.has(space)) numbers.set(space, i);
  const told = (item: SpaceAwareMapping) => {
    if (item.kind === 'ThisSpace') {
      const { virtBase, physBase, kind } = item.mapping;
      return `${virtBase.toString(16)} at ${physBase.toString(16)} ${letters(kind)}`;
    }
    const { depth, space, ourVa, theirVa } = item.reference;
    return `table ${depth} of ${numbers.get(space)}: ${ourVa.toString(16)} as ${theirVa.toString(16)}`;
  };
  return spaces.map(({ items }) => items.map(told));
}

/** The tables that lead from each entry of the spaces, with the number of ways to each: how much is shared. */
function tablesOf(ops: FixedTableOps<bigint>, architecture: Architecture, roots: readonly bigint[]): number {
  const seen = new Set<bigint>();
  const visit = (table: bigint, depth: number) => {
    if (seen.has(table)) return;
    seen.add(table);
    if (depth === 3) return;
    for (let i = 0n; i < 512n; i += 1n) {
      const entry = ops.readEntry(table + 8n * i);
      if (architecture === amd64 ? entry & 1n : (entry & 3n) === 3n)
        visit(entry & architecture.PTE_ADDR_MASK, depth + 1);
    }
  };
  for (const root of roots) visit(root, 0);
  return seen.size;
}

describe.each([amd64, aarch64])('%s', (architecture) => {
  const walk = (ops: FixedTableOps<bigint>, roots: readonly bigint[]) =>
    walkVaSpaces(architecture, ops, roots, 0n, ALL, { aliases: true });

  test('three processes that share a kernel half, a library and a page table', () => {
    const ops = new MapOps();
    const [first, second, third] = [ROOT, ops.allocTable(), ops.allocTable()];
    const inSpace = (root: bigint, virt: bigint, phys: bigint, len: bigint, rights: string) => {
      ops.root = root;
      put(architecture, ops, virt, phys, len, rights);
    };
    inSpace(first, 0xffff_8000_0000_0000n, 0x100_0000n, 0x20_3000n, 'rw-');
    inSpace(first, 0x40_0000n, 0x20_0000n, 0x3000n, 'r-x');
    inSpace(first, 0x7f00_0000_0000n, 0x50_0000n, 0x4000n, 'cow-');
    const entry = (table: bigint, index: bigint) => ops.readEntry(table + 8n * index);
    const below = (table: bigint, index: bigint) => entry(table, index) & architecture.PTE_ADDR_MASK;
    for (const root of [second, third]) ops.writeEntry(root + 8n * 256n, entry(first, 256n));
    // The library's directory at another address; one last table twice in the same space.
    inSpace(second, 0x1000n, 0x60_0000n, PAGE, 'rw-');
    ops.writeEntry(below(second, 0n) + 8n * 3n, entry(below(first, 254n), 0n));
    inSpace(third, 0x8000_0000n, 0x70_0000n, 0x2000n, 'cowx');
    const directory = below(below(third, 0n), 2n);
    ops.writeEntry(directory + 8n * 7n, entry(directory, 0n));

    const roots = [first, second, third];
    const before = walk(ops, roots);
    expect(described(before).map((items) => items.filter((item) => /^table/.test(item)))).toEqual([
      [],
      [
        'table 2 of 0: c0000000 as 7f0000000000',
        architecture === amd64
          ? 'table 1 of 0: ffff800000000000 as ffff800000000000'
          : 'table 1 of 0: 800000000000 as 800000000000',
      ],
      [
        'table 3 of 2: 80e00000 as 80000000',
        architecture === amd64
          ? 'table 1 of 0: ffff800000000000 as ffff800000000000'
          : 'table 1 of 0: 800000000000 as 800000000000',
      ],
    ]);
    const { buffer, roots: builtRoots } = rebuild(architecture, before);
    expect(described(walk(buffer, builtRoots))).toEqual(described(before));
    expect(tablesOf(buffer, architecture, builtRoots)).toBe(tablesOf(ops, architecture, roots));
    expect(buffer.size).toBe(tablesOf(ops, architecture, roots));
    for (const [i, root] of roots.entries()) {
      ops.root = root;
      buffer.setRoot(builtRoots[i]);
      expect(pages(architecture, buffer)).toEqual(pages(architecture, ops));
    }
    // A table that is shared is one table: a page mapped through one space appears in the other.
    buffer.setRoot(builtRoots[1]);
    put(architecture, buffer, 0xc000_9000n, 0x99_0000n, PAGE);
    buffer.setRoot(builtRoots[0]);
    expect(pages(architecture, buffer, 0x7f00_0000_9000n, 1n)).toEqual([
      [0x7f00_0000_9000n, 0x99_0000n, 'rw-'],
    ]);
  });

  test('a space given twice shares its root', () => {
    const ops = new MapOps();
    put(architecture, ops, 0x1000n, 0x5000n, 0x2000n);
    const before = walk(ops, [ROOT, ROOT]);
    expect(described(before)[1]).toEqual(['table 0 of 0: 0 as 0']);
    const { buffer, roots } = rebuild(architecture, before);
    for (const root of roots) {
      buffer.setRoot(root);
      expect(pages(architecture, buffer)).toEqual(pages(architecture, ops));
    }
    // Two roots, of which all entries are the same.
    expect(buffer.size).toBe(2 + 3);
  });

  test('spaces with random pages and random shared tables, rebuilt', () => {
    const page = fc.record({
      space: fc.nat(3),
      virt: fc
        .tuple(fc.constantFrom(0n, 1n, 255n, 256n, 511n), fc.nat(1), fc.nat(2), fc.nat(3))
        .map(([a, b, c, d]) => (a << 39n) | (BigInt(b) << 30n) | (BigInt(c) << 21n) | (BigInt(d) << 12n)),
      phys: fc.bigInt({ min: 1n, max: 0xffffn }),
      rights: fc.constantFrom('r--', 'rw-', 'r-x', 'cow-', 'cowx'),
    });
    const share = fc.record({
      depth: fc.integer({ min: 1, max: 3 }),
      to: fc.nat(3),
      from: fc.nat(3),
      // Where the tables are found among those of a space, by their indices on the way.
      ours: fc.tuple(fc.nat(2), fc.nat(1), fc.nat(2)),
      theirs: fc.tuple(fc.constantFrom(0, 1, 255, 256, 511), fc.nat(1), fc.nat(2)),
    });
    fc.assert(
      fc.property(
        fc.array(page, { minLength: 1, maxLength: 30 }),
        fc.array(share, { maxLength: 6 }),
        (given, shares) => {
          const ops = new MapOps();
          const roots = [ROOT, ops.allocTable(), ops.allocTable(), ops.allocTable()];
          for (const { space, virt, phys, rights } of given) {
            ops.root = roots[space];
            put(architecture, ops, virt, phys * PAGE, PAGE, rights);
          }
          const tableAt = (root: bigint, path: readonly number[]): bigint | undefined =>
            path.reduce<bigint | undefined>((table, index) => {
              if (table === undefined) return undefined;
              const entry = ops.readEntry(table + 8n * BigInt(index));
              return (entry & 1n) === 1n ? entry & architecture.PTE_ADDR_MASK : undefined;
            }, root);
          for (const { depth, to, from, ours, theirs } of shares) {
            const shared = tableAt(roots[from], theirs.slice(0, depth));
            const holder = tableAt(roots[to], ours.slice(0, depth - 1));
            // A table that holds itself at its own depth does not exist: holders are one depth above.
            if (shared === undefined || holder === undefined) continue;
            ops.writeEntry(
              holder + 8n * BigInt(ours[depth - 1]),
              shared | (architecture === amd64 ? 0x23n : 3n),
            );
          }
          const before = walk(ops, roots);
          const { buffer, roots: builtRoots } = rebuild(architecture, before);
          expect(described(walk(buffer, builtRoots))).toEqual(described(before));
          expect(tablesOf(buffer, architecture, builtRoots)).toBe(tablesOf(ops, architecture, roots));
          for (const [i, root] of roots.entries()) {
            ops.root = root;
            buffer.setRoot(builtRoots[i]);
            expect(pages(architecture, buffer)).toEqual(pages(architecture, ops));
          }
        },
      ),
      { numRuns: LONG ? 2000 : 100 },
    );
  }, 600_000);

  test('the bytes of a buffer are its tables, in order', () => {
    const buffer = new GuestPageTableBuffer(ROOT);
    put(architecture, buffer, 0x1000n, 0x5000n, 0x2000n);
    const bytes = buffer.intoBytes();
    expect(bytes).toHaveLength(4 * 4096);
    const words = new BigUint64Array(bytes.buffer);
    for (const [i, word] of words.entries()) expect(buffer.readEntry(ROOT + 8n * BigInt(i))).toBe(word);
    put(architecture, buffer, 0x3000n, 0x9000n, PAGE);
    expect(words[3 * 512 + 3]).toBe(0n);
    expect([...virtToPhys(architecture, buffer, 0n, ALL)]).toHaveLength(3);
  });
});
