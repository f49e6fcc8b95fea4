import { describe, expect, test } from 'vitest';
import { PageTableError } from '../../src/bits/index.ts';
import { riscvPaging, x86Paging } from '../../src/format/index.ts';
import { type DiffOptions, diffRegions, type PageMeaning, type RegionDiff } from '../../src/inspect/index.ts';
import { ABSENT, type FrameLookup, OverlayMemory, PhysicalMemory } from '../../src/memory/index.ts';
import { granule64K } from '../support/granule-64k.ts';
import { satpOf } from '../support/riscv-cases.ts';
import { entryTo, Tables } from '../support/tables.ts';
import { controlsOf, type Switches, sparseFrom } from '../support/x86-cases.ts';

const TABLE = 0x27n;
const PAGE = 0x67n;
const PS = 0x80n;
const XD = 1n << 63n;

type Control = Partial<Switches>;

function pagingOf(switches: Control = {}) {
  return x86Paging(controlsOf({ mode: '4-level', cr3: 0x1000n, physBits: 40, ...switches }).ours);
}

/** Tables 2, 3 and 4 under the root, 1: entries 0 all the way to page 0. */
function lowest(): Tables {
  const tables = new Tables();
  tables.add(4);
  return tables.set(1, 0, entryTo(2, TABLE)).set(2, 0, entryTo(3, TABLE)).set(3, 0, entryTo(4, TABLE));
}

function diff(
  before: Tables,
  after: Tables,
  options: DiffOptions = {},
  [a, b]: readonly [Control, Control] = [{}, {}],
): RegionDiff {
  return diffRegions(
    { memory: sparseFrom(before.frames).memory, paging: pagingOf(a) },
    { memory: sparseFrom(after.frames).memory, paging: pagingOf(b) },
    options,
  );
}

function textOf(meaning: PageMeaning | undefined): string {
  if (meaning === undefined) return '-';
  if (meaning.kind === 'faulty') return 'faulty';
  if (meaning.kind === 'missing') return `missing ${meaning.frame.toString(16)} depth ${meaning.depth}`;
  const { frame, rights, memoryType, global, pageShift } = meaning;
  const size = pageShift === undefined ? '' : ` 2^${pageShift}`;
  return `${frame.toString(16)} ${rights} ${memoryType}${global ? ' global' : ''}${size}`;
}

/** `first-end: before => after`, pages and frames in hexadecimal. */
function brief({ changes }: RegionDiff): string[] {
  return changes.map(
    ({ first, end, before, after }) =>
      `${first.toString(16)}-${end.toString(16)}: ${textOf(before)} => ${textOf(after)}`,
  );
}

describe('what is a change', () => {
  const one = (before: bigint, after: bigint, options: DiffOptions = {}) =>
    brief(diff(lowest().set(4, 7, before), lowest().set(4, 7, after), options));

  test.each<[string, bigint, string]>([
    ['another frame', entryTo(0x200, PAGE), '200 63 WB'],
    ['other rights', entryTo(0x100, 0x65n), '100 45 WB'],
    ['no fetches', entryTo(0x100, PAGE | XD), '100 27 WB'],
    ['another memory type', entryTo(0x100, PAGE | 0x18n), '100 63 UC'],
    ['global', entryTo(0x100, PAGE | 0x100n), '100 63 WB global'],
    ['not mapped', entryTo(0x100, PAGE - 1n), '-'],
    ['a reserved bit', entryTo(0x100, PAGE | (1n << 45n)), 'faulty'],
  ])('%s', (_, after, text) => {
    expect(one(entryTo(0x100, PAGE), after)).toEqual([`7-8: 100 63 WB => ${text}`]);
    expect(one(after, entryTo(0x100, PAGE))).toEqual([`7-8: ${text} => 100 63 WB`]);
  });

  test.each<[string, bigint]>([
    ['accessed and dirty', entryTo(0x100, 0x7n)],
    ['bits that are free for software', entryTo(0x100, PAGE | 0xe00n | (1n << 55n))],
    ['a PAT bit that names the same type', entryTo(0x100, PAGE | 0x80n)],
  ])('%s: none', (_, after) => {
    expect(one(entryTo(0x100, PAGE), after)).toEqual([]);
  });

  test('nor what an entry holds that is not present, or which bit is reserved', () => {
    expect(one(0n, 0xffff_fff0n)).toEqual([]);
    expect(one(entryTo(1, PAGE | (1n << 45n)), entryTo(2, PAGE | (1n << 46n)))).toEqual([]);
  });

  test('nor other tables that say the same', () => {
    const moved = new Tables()
      .set(1, 0, entryTo(12, TABLE))
      .set(12, 0, entryTo(13, TABLE))
      .set(13, 0, entryTo(14, TABLE))
      .set(14, 7, entryTo(0x100, PAGE));
    expect(brief(diff(lowest().set(4, 7, entryTo(0x100, PAGE)), moved))).toEqual([]);
  });

  test('a right that moves from the table to the page: none', () => {
    const before = lowest().set(4, 7, entryTo(0x100, 0x65n));
    const after = lowest().set(3, 0, entryTo(4, 0x25n)).set(4, 7, entryTo(0x100, PAGE));
    expect(brief(diff(before, after))).toEqual([]);
  });

  test('a table that is not there, on one side or another one', () => {
    const there = lowest().set(4, 7, entryTo(0x100, PAGE));
    const missing = lowest().set(3, 0, entryTo(0x99, TABLE));
    expect(brief(diff(there, missing))).toEqual([
      '0-7: - => missing 99 depth 3',
      '7-8: 100 63 WB => missing 99 depth 3',
      '8-200: - => missing 99 depth 3',
    ]);
    expect(brief(diff(missing, lowest().set(3, 0, entryTo(0x9a, TABLE))))).toEqual([
      '0-200: missing 99 depth 3 => missing 9a depth 3',
    ]);
    expect(brief(diff(missing, missing))).toEqual([]);
  });
});

test('of a table of 64 KiB any frame can be the one that is not there', () => {
  // TG0 = 64K, 29 bits: one table of 8,192 pages of 16 frames; IPS = 48 bits; AF and AP[1] in each page, and nG = 0: global.
  const paging = granule64K(35n);
  const tables = (missing?: number) => {
    const made = new Tables();
    for (let frame = 0x10; frame < 0x20; frame += 1) if (frame !== missing) made.add(frame);
    return made.set(0x12, 0, entryTo(0x100, 0x443n));
  };
  const view = (made: Tables) => ({ memory: sparseFrom(made.frames).memory, paging });
  // Entries 512 to 1023, and 1536 to 2047.
  expect(brief(diffRegions(view(tables()), view(tables(0x11))))).toEqual([
    '2000-4000: - => missing 11 depth 0',
  ]);
  expect(brief(diffRegions(view(tables(0x13)), view(tables(0x11))))).toEqual([
    '2000-4000: - => missing 11 depth 0',
    '6000-8000: missing 13 depth 0 => -',
  ]);
  // Page 0 of frame 12 is entry 1024.
  const other = tables().set(0x12, 0, entryTo(0x200, 0x443n));
  expect(brief(diffRegions(view(tables()), view(other)))).toEqual([
    '4000-4010: 100 31 WB global => 200 31 WB global',
  ]);
});

describe('neighbours', () => {
  test('that change alike are one row, over the end of tables, while frames go on on both sides', () => {
    const before = lowest().set(3, 1, entryTo(5, TABLE));
    const after = lowest().set(3, 1, entryTo(5, 0x25n));
    for (const tables of [before, after]) {
      const flags = tables === before ? PAGE : 0x65n;
      tables
        .fill(4, (index) => entryTo(0x400 + index, flags))
        .fill(5, (index) => entryTo(0x600 + index, PAGE));
    }
    expect(brief(diff(before, after))).toEqual(['0-400: 400 63 WB => 400 45 WB']);
    after.set(4, 9, entryTo(0x333, 0x65n));
    expect(brief(diff(before, after))).toEqual([
      '0-9: 400 63 WB => 400 45 WB',
      '9-a: 409 63 WB => 333 45 WB',
      'a-400: 40a 63 WB => 40a 45 WB',
    ]);
  });

  test('not over the canonical hole', () => {
    const filled = new Tables().set(1, 255, entryTo(2, TABLE)).set(1, 256, entryTo(2, TABLE));
    filled.fill(2, () => entryTo(0x4_0000, PAGE | PS | (1n << 45n)));
    const rows = brief(diff(new Tables().set(1, 0, 0n), filled));
    expect(rows).toEqual(['7f8000000-800000000: - => faulty', 'ffff800000000-ffff808000000: - => faulty']);
  });
});

describe('page sizes', () => {
  const large = () => lowest().set(3, 0, entryTo(0x400, PAGE | PS));
  const split = () => lowest().fill(4, (index) => entryTo(0x400 + index, PAGE));

  test('a 2-MiB page that was split is the same, unless sizes count', () => {
    expect(brief(diff(large(), split()))).toEqual([]);
    expect(brief(diff(large(), split(), { sizes: true }))).toEqual([
      '0-200: 400 63 WB 2^21 => 400 63 WB 2^12',
    ]);
    expect(brief(diff(large(), large(), { sizes: true }))).toEqual([]);
  });

  test('of a page that was split, what then changed', () => {
    const after = split().set(4, 5, entryTo(0x405, 0x65n)).set(4, 6, 0n).set(4, 511, entryTo(0x100, PAGE));
    expect(brief(diff(large(), after))).toEqual([
      '5-6: 405 63 WB => 405 45 WB',
      '6-7: 406 63 WB => -',
      '1ff-200: 5ff 63 WB => 100 63 WB',
    ]);
    expect(brief(diff(after, large())).at(-1)).toBe('1ff-200: 100 63 WB => 5ff 63 WB');
  });

  test('1 GiB against 4 KiB: bit 12 is PAT of one and address of the other', () => {
    const huge = lowest().set(2, 0, entryTo(0x4_0000, PAGE | PS | (1n << 12n)));
    const small = lowest()
      .fill(3, (index) => entryTo(0x4_0000 + 512 * index, PAGE | PS | (1n << 12n)))
      .set(3, 3, entryTo(4, TABLE))
      .fill(4, (index) => entryTo(0x4_0600 + index, PAGE | 0x80n));
    expect(brief(diff(huge, small))).toEqual([]);
    small.set(4, 1, entryTo(0x4_0601, PAGE | 8n));
    expect(brief(diff(huge, small))).toEqual(['601-602: 40601 63 WB => 40601 63 WT']);
  });

  test('a Svnapot group against single pages', () => {
    const entry = (frame: number, flags: bigint) => (BigInt(frame) << 10n) | flags;
    const tables = () => new Tables().set(1, 0, entry(2, 1n)).set(2, 0, entry(3, 1n));
    const group = tables();
    const single = tables();
    for (let i = 0; i < 16; i += 1) {
      group.set(3, 16 + i, XD | entry(0x108, 0xcfn));
      single.set(3, 16 + i, entry(0x100 + i, 0xcfn));
    }
    const paging = riscvPaging({
      satp: satpOf('sv39', 1n),
      xlen: 64,
      sum: false,
      mxr: false,
      svnapot: true,
      svpbmt: false,
      adue: false,
      physBits: 56,
    });
    const view = (made: Tables) => ({ memory: sparseFrom(made.frames).memory, paging });
    expect(brief(diffRegions(view(group), view(single)))).toEqual([]);
    single.set(3, 18, entry(0x103, 0xcfn));
    expect(brief(diffRegions(view(group), view(single)))).toEqual(['12-13: 102 56 PMA => 103 56 PMA']);
  });
});

describe('control registers', () => {
  const tables = lowest()
    .set(4, 1, entryTo(0x100, PAGE))
    .set(4, 2, entryTo(0x101, 0x63n))
    .set(4, 3, entryTo(0x102, 0x61n | 0x100n));

  test.each<[string, Control, Control, string[]]>([
    ['SMEP', {}, { smep: true }, ['1-2: 100 63 WB => 100 31 WB']],
    ['CR0.WP', { wp: false }, {}, ['3-4: 102 56 WB global => 102 40 WB global']],
    ['CR4.PGE', {}, { pge: false }, ['3-4: 102 40 WB global => 102 40 WB']],
    ['EFER.NXE', {}, { nxe: false }, []],
    [
      'PAT',
      {},
      { pat: 0x0007_0406_0007_0401n },
      [
        '1-2: 100 63 WB => 100 63 WC',
        '2-3: 101 56 WB => 101 56 WC',
        '3-4: 102 40 WB global => 102 40 WC global',
      ],
    ],
  ])('%s', (_, before, after, rows) => {
    expect(brief(diff(tables, tables, {}, [before, after]))).toEqual(rows);
    const { memory } = sparseFrom(tables.frames);
    const views = [before, after].map((switches) => ({ memory, paging: pagingOf(switches) }));
    expect(brief(diffRegions(views[0], views[1]))).toEqual(rows);
  });

  test('another root in the same memory: tables that both have are not read', () => {
    const both = lowest()
      .set(4, 1, entryTo(0x100, PAGE))
      .set(9, 0, entryTo(2, TABLE))
      .set(9, 1, entryTo(10, TABLE));
    both.set(1, 256, entryTo(2, TABLE)).set(9, 256, entryTo(2, TABLE)).add(10);
    const sparse = sparseFrom(both.frames);
    const read: number[] = [];
    const lookup: FrameLookup = {
      locate: (frame) => {
        read.push(frame);
        return sparse.locate(frame);
      },
    };
    expect(lookup.locate(99)).toBe(ABSENT);
    const memory = new PhysicalMemory(sparse.memory.words, 0, 0, lookup);
    const at = (cr3: bigint) => ({ memory, paging: pagingOf({ cr3 }) });
    expect(diffRegions(at(0x1000n), at(0x9000n))).toEqual({ changes: [], more: false, end: 2 ** 52 });
    expect(read).toEqual([99, 1, 9, 10]);
  });

  test('formats that split addresses otherwise are refused', () => {
    const { memory } = sparseFrom(tables.frames);
    const compare = () =>
      diffRegions({ memory, paging: pagingOf() }, { memory, paging: pagingOf({ mode: '5-level' }) });
    expect(compare).toThrow(PageTableError);
    expect(compare).toThrow(expect.objectContaining({ code: 'BAD_ARGUMENT' }));
  });
});

describe('tables in many places', () => {
  test('a change in a shared table is listed at each, with the rights of each', () => {
    const shared = (leaf: bigint) =>
      lowest().set(4, 7, leaf).set(3, 2, entryTo(4, 0x25n)).set(1, 256, entryTo(2, TABLE));
    expect(brief(diff(shared(entryTo(0x100, PAGE)), shared(entryTo(0x101, PAGE))))).toEqual([
      '7-8: 100 63 WB => 101 63 WB',
      '407-408: 100 45 WB => 101 45 WB',
      'ffff800000007-ffff800000008: 100 63 WB => 101 63 WB',
      'ffff800000407-ffff800000408: 100 45 WB => 101 45 WB',
    ]);
  });

  test('a change that an edit on an overlay makes, seen through a recursive entry as well', () => {
    const { memory } = sparseFrom(
      lowest().set(4, 7, entryTo(0x100, PAGE)).set(1, 511, entryTo(1, TABLE)).frames,
    );
    const overlay = new OverlayMemory(memory);
    overlay.memory.writeEntry(3, 0, Number(entryTo(5, TABLE)), 0);
    const paging = pagingOf();
    const found = diffRegions({ memory, paging }, { memory: overlay.memory, paging });
    // Table 5 is not there. The recursive entry shows page tables as pages: the page of table 4 is now that of 5.
    expect(brief(found)).toEqual([
      '0-7: - => missing 5 depth 3',
      '7-8: 100 63 WB => missing 5 depth 3',
      '8-200: - => missing 5 depth 3',
      `${(2 ** 52 - 2 ** 27).toString(16)}-${(2 ** 52 - 2 ** 27 + 1).toString(16)}: 4 63 WB => 5 63 WB`,
    ]);
  });

  test('a table that is all itself against one that is not: as many rows as allowed, at once, and where they end', () => {
    const itself = () => new Tables().fill(1, () => entryTo(1, TABLE));
    expect(brief(diff(itself(), itself()))).toEqual([]);
    const found = diff(itself(), itself().set(1, 5, 0n), { maxRows: 100 });
    // Entry 5 of the last of four levels, 512 pages apart; at higher levels all below it.
    expect(brief(found).slice(0, 2)).toEqual(['5-6: 1 63 WB => -', '205-206: 1 63 WB => -']);
    expect([found.changes.length, found.more, found.end]).toEqual([100, true, found.changes[99].end]);
  });

  test('rows that go on for ever are ended as well', () => {
    // Every entry of the last level is reserved: one row of 2^36 pages, met table by table.
    const faulty = new Tables().fill(1, () => entryTo(1, TABLE | PS));
    const root = new Tables().set(1, 0, 0n);
    expect(brief(diff(root, faulty, {}))).toEqual([
      '0-800000000: - => faulty',
      'ffff800000000-10000000000000: - => faulty',
    ]);
    const deep = new Tables()
      .fill(1, () => entryTo(2, TABLE))
      .fill(2, () => entryTo(3, TABLE))
      .fill(3, () => entryTo(4, TABLE))
      .fill(4, () => entryTo(0x100, PAGE | (1n << 45n)));
    const all = ['0-800000000: - => faulty', 'ffff800000000-10000000000000: - => faulty'];
    for (const options of [{}, { maxTables: 3 }]) {
      const found = diff(root, deep, options);
      expect([brief(found), found.more, found.end]).toEqual([all, false, 2 ** 52]);
    }
    expect(diff(root, deep, { maxTables: 2 })).toEqual({ changes: [], more: true, end: 0 });
    expect(brief(diff(root, deep, { range: { first: 5, end: 0x1234 } }))).toEqual(['5-1234: - => faulty']);
    // Two changes in each table of the last level: as many rows as allowed, with what comes before them.
    const found = diff(root, deep.set(4, 9, 0n).set(4, 10, 0n), { maxRows: 3 });
    expect(brief(found)).toEqual(['0-9: - => faulty', 'b-209: - => faulty', '20b-409: - => faulty']);
    expect([found.more, found.end]).toEqual([true, 0x40b]);
  });

  test('going on from where it ended gives the rest', () => {
    const before = lowest();
    const after = lowest();
    for (let i = 0; i < 40; i += 1) after.set(4, 3 * i, entryTo(0x100, PAGE));
    const whole = diff(before, after).changes;
    expect(whole).toHaveLength(40);
    const parts = [];
    for (let first = 0; first < 2 ** 52; ) {
      const part = diff(before, after, { maxRows: 7, range: { first, end: 2 ** 52 } });
      parts.push(...part.changes);
      first = part.end;
    }
    expect(parts).toEqual(whole);
  });
});

describe('a range', () => {
  test('cuts changes, also those of large pages', () => {
    const before = lowest().set(2, 1, entryTo(0x4_0000, PAGE | PS));
    const after = lowest().set(2, 1, entryTo(0x8_0000, PAGE | PS));
    const range = { first: 0x4_0010, end: 0x4_0020 };
    expect(brief(diff(before, after, { range }))).toEqual(['40010-40020: 40010 63 WB => 80010 63 WB']);
    expect(brief(diff(before, after, { range: { first: 0, end: 0x4_0000 } }))).toEqual([]);
    expect(brief(diff(before, after, { range: { first: 2 ** 40, end: 2 ** 41 } }))).toEqual([]);
  });

  test.each<DiffOptions>([
    { range: { first: 2, end: 1 } },
    { range: { first: 0, end: 2 ** 53 } },
    { range: { first: 0.5, end: 1 } },
    { maxRows: 0 },
    { maxTables: Number.NaN },
  ])('%j is out of range', (options) => {
    expect(() => diff(lowest(), lowest(), options)).toThrow(PageTableError);
    expect(() => diff(lowest(), lowest(), options)).toThrow(
      expect.objectContaining({ code: 'OUT_OF_RANGE' }),
    );
  });
});
