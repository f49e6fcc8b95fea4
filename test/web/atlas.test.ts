import { listRegions, type MappedRegion } from 'tablewalk/inspect';
import { SparseMemory } from 'tablewalk/memory';
import { choosePaging } from 'tablewalk/session';
import { expect, test } from 'vitest';
import { CLASS_NAMES, CLASS_OF, CLASSES, HAS_WX, LEAF, TABLE } from '../../web/map/atlas.ts';
import { type Piece, Scale } from '../../web/map/scale.ts';
import { buildAtlas } from '../../web/worker/build-atlas.ts';
import { openSample } from './sample.ts';

const SAMPLES = ['linux-amd64-la48', 'linux-arm64-4k-nokaslr', 'linux-riscv64-sv39'];

test.for(SAMPLES)('%s: the outline counts the pages that the list of regions has, by class', async (name) => {
  const { spaces, memory, atlases } = await openSample(name);
  spaces.forEach(({ paging }, i) => {
    const expected = new Array<number>(CLASSES).fill(0);
    for (const row of listRegions(memory, paging, { all: true })) {
      if (row.kind === 'mapped') expected[CLASS_OF[row.rights]] += row.end - row.first;
    }
    expect([...atlases[i].pages.subarray(0, CLASSES)]).toEqual(expected);
    expect((atlases[i].marks[0] & HAS_WX) !== 0).toBe(expected[CLASS_NAMES.indexOf('wx')] > 0);
  });
});

test.for(SAMPLES)('%s: each region has its place on the map, in order, with its rights', async (name) => {
  const { spaces, memory, atlases } = await openSample(name);
  const scale = new Scale(atlases);
  const rows = spaces.flatMap(({ paging }) =>
    listRegions(memory, paging).filter((row): row is MappedRegion => row.kind === 'mapped'),
  );
  let before = 0;
  for (const row of rows) {
    const { left, right } = scale.place(row.first);
    expect(left).toBeGreaterThanOrEqual(before);
    expect(right).toBeGreaterThan(left);
    before = left;
    const path = scale.path((left + right) / 2);
    const leaf = path[path.length - 1];
    expect(leaf.cell).toBe(LEAF | row.rights);
    const pages = scale.pagesOf(leaf);
    expect(pages.first).toBeLessThanOrEqual(row.first);
    expect(pages.end).toBeGreaterThan(row.first);
    expect(scale.pageAt((left + right) / 2)).toBe(row.first);
  }
  expect(rows.length).toBeGreaterThan(50);
});

test('tables that lead to themselves are outlined once', () => {
  const into = new SparseMemory();
  const words = into.memory.words.length;
  expect(words).toBe(0);
  const at = into.add(1);
  // Every entry of the root leads to the root: present, writable, user.
  for (let i = 0; i < 512; i += 1) into.memory.words[at + 2 * i] = 0x1007;
  const machine = {
    kind: 'made up',
    architecture: 'x86' as const,
    longMode: true,
    cpus: [],
    roots: [],
    frames: [{ first: 1, end: 2 }],
    remarks: [],
    readFrames: async () => new Uint8Array(1),
    close: async () => {},
  };
  const { spaces } = choosePaging(machine, { root: '0x1000', mode: '4-level' });
  const atlas = buildAtlas(into.memory, spaces[0].paging);
  expect(atlas.depths.length).toBe(4);
  // 2^36 pages, each of which user and kernel may write: 512 tables of tables of tables of pages.
  expect(atlas.pages[CLASS_NAMES.indexOf('wx')]).toBe(2 ** 36);
  const pieces: Piece[] = [];
  const scale = new Scale([atlas]);
  scale.top(0, 1, (piece) => pieces.push(piece));
  // Both halves, and between them no address.
  expect(pieces.map(({ count, cell }) => [count, cell])).toEqual([
    [256, TABLE],
    [0, 4],
    [256, TABLE],
  ]);
});

test('classes: users before the kernel, and what can be written and executed before all', () => {
  const name = (rights: number) => CLASS_NAMES[CLASS_OF[rights]];
  expect([0o00, 0o01, 0o13, 0o15, 0o10, 0o30, 0o50, 0o71, 0o07].map(name)).toEqual([
    'none',
    'user-r',
    'user-rw',
    'user-rx',
    'kernel-r',
    'kernel-rw',
    'kernel-rx',
    'wx',
    'wx',
  ]);
});
