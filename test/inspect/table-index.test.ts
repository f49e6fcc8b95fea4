import { describe, expect, test } from 'vitest';
import { type Paging, x86Paging } from '../../src/format/index.ts';
import { type TableIndex, tableIndex } from '../../src/inspect/index.ts';
import { ABSENT, type FrameLookup, PhysicalMemory } from '../../src/memory/index.ts';
import { granule64K } from '../support/granule-64k.ts';
import { entryTo, Tables } from '../support/tables.ts';
import { controlsOf, type Switches, sparseFrom } from '../support/x86-cases.ts';

const TABLE = 0x27n;
const PAGE = 0x67n;
const PS = 0x80n;

function pagingOf(switches: Partial<Switches> = {}): Paging {
  return x86Paging(controlsOf({ mode: '4-level', cr3: 0x1000n, physBits: 40, ...switches }).ours);
}

function indexOf(tables: Tables, switches: Partial<Switches> = {}): TableIndex {
  return tableIndex(sparseFrom(tables.frames).memory, pagingOf(switches));
}

/** `depth frame: first page, ways, parents`, numbers in hexadecimal. */
function brief(index: TableIndex): string[] {
  return Array.from({ length: index.size }, (_, number) => {
    const { depth, frame, first, ways } = index.table(number);
    const parents = index.parents(number).map((parent) => {
      const count = parent.count === 1 ? '' : `+${parent.count}`;
      return `${parent.depth}:${parent.frame.toString(16)}[${parent.index}]${count}`;
    });
    return `${depth} ${frame.toString(16)}: ${first.toString(16)} ${ways} ${parents.join(' ')}`.trimEnd();
  });
}

describe('tables', () => {
  test('each with its parents, its first page, and how many ways lead to it', () => {
    const tables = new Tables()
      .set(1, 0, entryTo(2, TABLE))
      .set(1, 256, entryTo(3, TABLE))
      .set(2, 5, entryTo(4, TABLE))
      .set(2, 6, entryTo(4, TABLE))
      .set(3, 1, entryTo(4, TABLE))
      .set(4, 2, entryTo(5, TABLE))
      .set(4, 3, entryTo(0x400, PAGE | PS))
      .set(5, 0, entryTo(0x100, PAGE));
    expect(brief(indexOf(tables))).toEqual([
      '0 1: 0 1',
      '1 2: 0 1 0:1[0]',
      '1 3: ffff800000000 1 0:1[256]',
      '2 4: 140000 3 1:2[5]+2 1:3[1]',
      '3 5: 140400 3 2:4[2]',
    ]);
  });

  test('the lowest page counts, whatever is met first', () => {
    const tables = new Tables()
      .set(1, 0, entryTo(2, TABLE))
      .set(1, 1, entryTo(3, TABLE))
      .set(2, 7, entryTo(5, TABLE))
      .set(3, 0, entryTo(4, TABLE))
      .set(2, 8, entryTo(4, TABLE));
    expect(brief(indexOf(tables))[4]).toBe('2 4: 200000 2 1:2[8] 1:3[0]');
  });

  test('a recursive entry: the root and what it leads to are tables of lower levels, too', () => {
    const tables = new Tables().set(1, 0, entryTo(2, TABLE)).set(1, 511, entryTo(1, TABLE));
    tables.add(2);
    expect(brief(indexOf(tables))).toEqual([
      '0 1: 0 1',
      '1 2: 0 1 0:1[0]',
      '1 1: ffffff8000000 1 0:1[511]',
      '2 2: ffffff8000000 1 1:1[0]',
      '2 1: ffffffffc0000 1 1:1[511]',
      '3 2: ffffffffc0000 1 2:1[0]',
      '3 1: ffffffffffe00 1 2:1[511]',
    ]);
  });

  test('a root that is all itself: 512 ways a level, and it is read once a level', () => {
    const sparse = sparseFrom(new Tables().fill(1, () => entryTo(1, TABLE)).frames);
    let reads = 0;
    const lookup: FrameLookup = {
      locate: (frame) => {
        reads += 1;
        return sparse.locate(frame);
      },
    };
    expect(lookup.locate(2)).toBe(ABSENT);
    const index = tableIndex(new PhysicalMemory(sparse.memory.words, 0, 0, lookup), pagingOf());
    expect(brief(index)).toEqual([
      '0 1: 0 1',
      '1 1: 0 512 0:1[0]+512',
      '2 1: 0 262144 1:1[0]+512',
      '3 1: 0 134217728 2:1[0]+512',
    ]);
    expect(reads).toBe(1 + 3);
    expect([0, 1, 2, 3].map((number) => index.table(number).entries)).toEqual([0, 512, 512, 512]);
  });

  test('five levels of it: 2^36 ways, exactly', () => {
    const index = indexOf(
      new Tables().fill(1, () => entryTo(1, TABLE)),
      { mode: '5-level' },
    );
    expect(index.table(4).ways).toBe(2 ** 36);
  });

  test('PAE: a root of 32 bytes in the middle of a frame', () => {
    const tables = new Tables().set(1, 8 + 3, entryTo(2, 1n)).set(2, 4, entryTo(3, TABLE));
    expect(brief(indexOf(tables, { mode: 'PAE', cr3: 0x1040n }))).toEqual([
      '0 1: 0 1',
      '1 2: c0000 1 0:1[3]',
      '2 3: c0800 1 1:2[4]',
    ]);
  });

  test('tables that are not there are in it, and counted above the last level', () => {
    const tables = new Tables().set(1, 0, entryTo(0x99, TABLE)).set(1, 1, entryTo(2, TABLE));
    tables.add(2);
    const index = indexOf(tables);
    expect(brief(index)).toEqual(['0 1: 0 1', '1 99: 0 1 0:1[0]', '1 2: 8000000 1 0:1[1]']);
    expect(index.missing).toBe(1);
  });

  test('entries with a reserved bit lead nowhere', () => {
    expect(indexOf(new Tables().set(1, 0, entryTo(2, TABLE | (1n << 45n)))).size).toBe(1);
  });
});

describe('looking up', () => {
  const tables = new Tables().set(1, 0, entryTo(2, TABLE)).set(1, 511, entryTo(1, TABLE));
  tables.add(2);
  const index = indexOf(tables);

  test('by depth and frame', () => {
    expect([index.numberOf(0, 1), index.numberOf(1, 1), index.numberOf(2, 2)]).toEqual([0, 2, 3]);
    expect([index.numberOf(0, 2), index.numberOf(9, 1)]).toEqual([undefined, undefined]);
  });

  test('by frames: each depth by itself', () => {
    expect(index.within(2, 3).map((number) => index.table(number).depth)).toEqual([1, 2, 3]);
    expect(index.within(1, 1)).toEqual([]);
    expect(index.within(3, 2 ** 52)).toEqual([]);
  });

  test('a table of 64 KiB lies in sixteen frames', () => {
    // TG0 = 64K, 42 bits: two levels; IPS = 48 bits.
    const paging = granule64K(22n);
    // Entry 8191 is the last of the sixteenth frame.
    const made = new Tables().set(0x1f, 511, entryTo(0x20, 3n));
    for (let frame = 0x10; frame < 0x30; frame += 1) made.add(frame);
    const wide = tableIndex(sparseFrom(made.frames).memory, paging);
    expect(brief(wide)).toEqual(['0 10: 0 1', '1 20: 3ffe0000 1 0:10[8191]']);
    expect(wide.within(0x2f, 0x30)).toEqual([1]);
    expect(wide.within(0x1f, 0x21)).toEqual([0, 1]);
    expect(wide.within(0x30, 0x31)).toEqual([]);
  });
});
