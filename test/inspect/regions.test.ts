import { describe, expect, test } from 'vitest';
import { PageTableError } from '../../src/bits/index.ts';
import { x86Paging } from '../../src/format/index.ts';
import {
  listRegions,
  type MappedRegion,
  type MergeRule,
  type Region,
  type RegionOptions,
} from '../../src/inspect/index.ts';
import { ABSENT, type FrameLookup, PhysicalMemory } from '../../src/memory/index.ts';
import { entryTo, Tables } from '../support/tables.ts';
import { controlsOf, type Switches, sparseFrom } from '../support/x86-cases.ts';

// P, R/W, U/S, A and D; single bits.
const TABLE = 0x27n;
const PAGE = 0x67n;
const PS = 0x80n;
const G = 0x100n;
const XD = 1n << 63n;

// Effective rights as format/rights.ts numbers them: user r 1, w 2, x 4; supervisor r 8, w 16, x 32.
const ALL_RIGHTS = 63;

const UPPER_HALF = 2 ** 52 - 2 ** 35;

/** Tables 2, 3 and 4 under the root, 1: entries 0 all the way to page 0. */
function lowest(): Tables {
  const tables = new Tables();
  tables.add(4);
  return tables.set(1, 0, entryTo(2, TABLE)).set(2, 0, entryTo(3, TABLE)).set(3, 0, entryTo(4, TABLE));
}

function list(tables: Tables, options: RegionOptions = {}, switches: Partial<Switches> = {}): Region[] {
  const { ours } = controlsOf({ mode: '4-level', cr3: 0x1000n, physBits: 40, ...switches });
  return listRegions(sparseFrom(tables.frames).memory, x86Paging(ours), options);
}

/** Rows as `first-end kind frame rights`, pages and frames in hexadecimal, and what else matters. */
function brief(rows: readonly Region[]): string[] {
  return rows.map((row) => {
    const range = `${row.first.toString(16)}-${row.end.toString(16)}`;
    const repeat =
      row.repeat === undefined ? '' : ` x${row.repeat.count} every ${row.repeat.stride.toString(16)}`;
    if (row.kind === 'faulty') return `${range} faulty depth ${row.depth}${repeat}`;
    if (row.kind === 'mapped')
      return `${range} -> ${row.frame?.toString(16) ?? 'various'} ${row.rights}${repeat}`;
    return `${range} ${row.kind} ${row.frame.toString(16)} depth ${row.depth}${row.kind === 'shared' ? ` as ${row.same.toString(16)}` : ''}${repeat}`;
  });
}

describe('merging', () => {
  test('pages that are contiguous in both spaces and alike make one row', () => {
    const tables = lowest();
    for (let i = 0; i < 5; i += 1) tables.set(4, 10 + i, entryTo(0x100 + i, PAGE));
    expect(list(tables)).toEqual([
      {
        kind: 'mapped',
        first: 10,
        end: 15,
        frame: 0x100,
        rights: ALL_RIGHTS,
        memoryType: { index: 0, name: 'WB', from: 'PAT entry 0 (PAT=0 PCD=0 PWT=0)' },
        global: false,
        pageShifts: [12],
        groupShifts: [],
        contiguous: 0,
        leaves: 5,
        accessed: 5,
        dirty: 5,
      },
    ]);
  });

  test('over the end of a table, and through pages of several sizes', () => {
    const tables = lowest()
      .set(4, 511, entryTo(0x3ff, PAGE))
      .set(3, 1, entryTo(0x400, PAGE | PS))
      .set(3, 2, entryTo(0x600, PAGE | PS))
      .set(3, 3, entryTo(5, TABLE))
      .set(5, 0, entryTo(0x800, PAGE));
    const rows = list(tables);
    expect(brief(rows)).toEqual(['1ff-601 -> 3ff 63']);
    expect(rows[0]).toMatchObject({ pageShifts: [12, 21], leaves: 4 });
  });

  test('a 1-GiB page is one row of 2^18 pages', () => {
    expect(brief(list(lowest().set(2, 5, entryTo(0x4_0000, PAGE | PS))))).toEqual([
      '140000-180000 -> 40000 63',
    ]);
  });

  test('not over the canonical hole (QEMU info mem joins the two sides)', () => {
    const tables = new Tables();
    for (const [entry, base] of [
      [255, 0x10],
      [256, 0x20],
    ]) {
      tables.set(1, entry, entryTo(base, TABLE));
      for (const index of entry === 255 ? [511] : [0]) {
        tables.set(base, index, entryTo(base + 1, TABLE));
        tables.set(base + 1, index, entryTo(base + 2, TABLE));
        tables.set(base + 2, index, entryTo(entry === 255 ? 0x500 : 0x501, PAGE));
      }
    }
    expect(brief(list(tables, { merge: 'rights' }))).toEqual([
      '7ffffffff-800000000 -> 500 63',
      'ffff800000000-ffff800000001 -> 501 63',
    ]);
  });

  test('a row reaches the very end of the space, 2^52 (QEMU info mem prints another address)', () => {
    const tables = new Tables();
    for (const frame of [1, 2, 3]) tables.set(frame, 511, entryTo(frame + 1, TABLE));
    tables.set(4, 510, entryTo(0x70, PAGE)).set(4, 511, entryTo(0x71, PAGE));
    expect(list(tables)[0]).toMatchObject({ first: 2 ** 52 - 2, end: 2 ** 52, frame: 0x70 });
  });

  test('5-level tables are listed, entry 0 of the PML5 table unsigned (QEMU info mem prints nothing)', () => {
    const tables = lowest()
      .set(4, 0, entryTo(0x70, PAGE))
      .set(9, 0, entryTo(1, TABLE))
      .set(1, 511, entryTo(2, TABLE));
    expect(brief(list(tables, {}, { mode: '5-level', cr3: 0x9000n }))).toEqual([
      '0-1 -> 70 63',
      'ff8000000-ff8000001 -> 70 63',
    ]);
  });

  test.each([
    ['frames that do not follow', PAGE, entryTo(0x105, PAGE)],
    ['other rights', PAGE, entryTo(0x101, PAGE & ~2n)],
    ['another memory type', PAGE, entryTo(0x101, PAGE | 8n)],
    ['one that is global', PAGE, entryTo(0x101, PAGE | G)],
    ['execute-disable', PAGE, entryTo(0x101, PAGE | XD)],
  ])('%s begin a new row', (_, flags, second) => {
    const tables = lowest().set(4, 0, entryTo(0x100, flags)).set(4, 1, second);
    expect(list(tables)).toHaveLength(2);
  });

  test('accessed, dirty and software bits do not, and are counted', () => {
    const tables = lowest()
      .set(4, 0, entryTo(0x100, 0x7n))
      .set(4, 1, entryTo(0x101, 0x27n))
      .set(4, 2, entryTo(0x102, 0x67n | (7n << 9n)))
      .set(4, 3, entryTo(0x103, 0x27n | (0x7fn << 52n)));
    expect(list(tables)).toMatchObject([{ first: 0, end: 4, leaves: 4, accessed: 3, dirty: 1 }]);
  });

  test('each rule asks for what it says', () => {
    // Five neighbours that follow each other in frames; each differs from the one before in one more thing.
    const tables = lowest()
      .set(4, 510, entryTo(0x3fe, 0x27n))
      .set(4, 511, entryTo(0x3ff, 0x67n)) // dirty
      .set(3, 1, entryTo(0x400, 0x67n | PS)) // another size
      .set(3, 2, entryTo(0x800, 0x67n | PS)) // another place
      .set(3, 3, entryTo(0xa00, 0x65n | PS)); // other rights
    const rows = (merge: MergeRule) => brief(list(tables, { merge }));
    const last = '600-800 -> a00 45';
    // R/W = 0: user r-x (5), supervisor r-x (40).
    expect(rows('rights')).toEqual(['1fe-600 -> various 63', last]);
    expect(rows('physical')).toEqual(['1fe-400 -> 3fe 63', '400-600 -> 800 63', last]);
    expect(rows('size')).toEqual(['1fe-200 -> 3fe 63', '200-400 -> 400 63', '400-600 -> 800 63', last]);
    const single = ['1fe-1ff -> 3fe 63', '1ff-200 -> 3ff 63', '200-400 -> 400 63', '400-600 -> 800 63', last];
    expect(rows('attributes')).toEqual(single);
    expect(rows('none')).toEqual(single);
  });

  test('attributes: pages alike in accessed and dirty bits are merged, others are not', () => {
    const tables = lowest();
    [0x7n, 0x7n, 0x27n, 0x27n, 0x67n, 0x67n].forEach((flags, i) => {
      tables.set(4, i, entryTo(0x100 + i, flags));
    });
    expect(brief(list(tables, { merge: 'attributes' }))).toEqual([
      '0-2 -> 100 63',
      '2-4 -> 102 63',
      '4-6 -> 104 63',
    ]);
    expect(list(tables, { merge: 'none' })).toHaveLength(6);
  });

  test('by rights alone, what differs is left out: frame, type, global', () => {
    const tables = lowest()
      .set(4, 0, entryTo(0x100, PAGE))
      .set(4, 1, entryTo(0x101, PAGE | G | 0x18n));
    expect(list(tables, { merge: 'rights' })).toMatchObject([
      { first: 0, end: 2, frame: 0x100, memoryType: undefined, global: undefined, leaves: 2 },
    ]);
  });
});

describe('effective rights', () => {
  const rights = (tables: Tables, switches: Partial<Switches> = {}) =>
    list(tables, {}, switches).map((row) => (row.kind === 'mapped' ? row.rights : row.kind));

  test('a read-only supervisor PDPTE over a writable user page: read-only, supervisor (gdb-pt-dump prints W:1 S:0)', () => {
    const tables = lowest().set(4, 0, entryTo(0x100, PAGE)).set(2, 0, entryTo(3, 0x21n));
    // Supervisor r-x: 8 + 32.
    expect(rights(tables)).toEqual([40]);
    // With CR0.WP = 0 the supervisor may write all the same.
    expect(rights(tables, { wp: false })).toEqual([56]);
  });

  test('XD of a PDE forbids fetches from its pages (gdb-pt-dump shows them executable)', () => {
    const tables = lowest()
      .set(4, 0, entryTo(0x100, PAGE))
      .set(3, 0, entryTo(4, TABLE | XD));
    expect(rights(tables)).toEqual([1 + 2 + 8 + 16]);
  });

  test('SMEP takes fetches, SMAP data, from the supervisor on user pages', () => {
    const tables = lowest().set(4, 0, entryTo(0x100, PAGE));
    expect(rights(tables, { smep: true })).toEqual([7 + 8 + 16]);
    expect(rights(tables, { smap: true })).toEqual([7 + 32]);
    expect(rights(tables, { smep: true, smap: true })).toEqual([7]);
  });

  test('a protection key takes data accesses, of user pages by PKRU', () => {
    const tables = lowest().set(4, 0, entryTo(0x100, PAGE | (3n << 59n)));
    // Key 3: access-disable is bit 6, write-disable bit 7.
    expect(rights(tables, { pke: true, pkru: 1 << 6 })).toEqual([4 + 32]);
    expect(rights(tables, { pke: true, pkru: 1 << 7 })).toEqual([1 + 4 + 8 + 32]);
    expect(rights(tables, { pke: true, pkru: 1 << 7, wp: false })).toEqual([1 + 4 + 8 + 16 + 32]);
    expect(rights(tables, { pke: false, pks: true, pkru: 3 << 6, pkrs: 3 << 6 })).toEqual([63]);
  });

  test('a table that two entries share with other rights is listed with each', () => {
    const tables = lowest()
      .set(4, 0, entryTo(0x100, PAGE))
      .set(3, 1, entryTo(4, TABLE & ~2n))
      .set(3, 2, entryTo(4, TABLE | XD));
    expect(brief(list(tables))).toEqual(['0-1 -> 100 63', '200-201 -> 100 45', '400-401 -> 100 27']);
  });
});

describe('repetition', () => {
  test('one page at a fixed stride from one shared table is one counted row (Linux espfix: 65,536 times)', () => {
    // One read-only page every 64 KiB: 32 entries of one table, which 2,048 PDEs share.
    const tables = new Tables().set(1, 510, entryTo(2, TABLE));
    for (let pdpte = 0; pdpte < 4; pdpte += 1) tables.set(2, 8 + pdpte, entryTo(3, TABLE));
    tables.fill(3, () => entryTo(4, TABLE));
    for (let i = 0; i < 512; i += 16) tables.set(4, i, entryTo(0x1234, PAGE & ~2n));
    const rows = list(tables);
    const first = 2 ** 52 - 2 ** 36 + 510 * 2 ** 27 + 8 * 2 ** 18;
    expect(rows).toHaveLength(1);
    expect(rows[0]).toMatchObject({
      kind: 'mapped',
      first,
      end: first + 1,
      frame: 0x1234,
      leaves: 1,
      repeat: { count: 65_536, stride: 16 },
    });
  });

  test.each<[string, RegionOptions]>([
    ['', {}],
    ['in a range', { range: { first: UPPER_HALF, end: 2 ** 52 } }],
  ])(
    'a zero page repeated without a gap is one counted row, also 2^27 times, at once (KASAN) %s',
    (_, options) => {
      const tables = new Tables()
        .set(1, 300, entryTo(2, TABLE))
        .fill(2, () => entryTo(3, TABLE))
        .fill(3, () => entryTo(4, TABLE))
        .fill(4, () => entryTo(0x555, (PAGE & ~2n) | XD));
      let reads = 0;
      const sparse = sparseFrom(tables.frames);
      const lookup: FrameLookup = {
        locate: (frame) => {
          reads += 1;
          if (reads > 1000) throw new Error('more than 1000 tables were read');
          return sparse.locate(frame);
        },
      };
      expect(lookup.locate(99)).toBe(ABSENT);
      const memory = new PhysicalMemory(sparse.memory.words, 0, 0, lookup);
      const paging = x86Paging(controlsOf({ mode: '4-level', cr3: 0x1000n, physBits: 40 }).ours);
      const started = performance.now();
      const rows = listRegions(memory, paging, options);
      const elapsed = performance.now() - started;
      console.log(`regions: 2^27 zero pages in ${elapsed.toFixed(1)} ms, ${reads} tables read`);
      expect(rows).toHaveLength(1);
      expect(rows[0]).toMatchObject({
        first: 2 ** 52 - 2 ** 36 + 300 * 2 ** 27,
        frame: 0x555,
        rights: 9,
        leaves: 1,
        repeat: { count: 2 ** 27, stride: 1 },
      });
      expect(elapsed).toBeLessThan(10_000);
    },
  );

  test('a table whose entries are all alike is listed in full extent (chipsec lists one entry, others none)', () => {
    expect(list(lowest().fill(4, () => entryTo(0x555, PAGE)))).toMatchObject([
      { first: 0, end: 1, repeat: { count: 512, stride: 1 } },
    ]);
  });

  test('two alike are no repetition; three are', () => {
    const tables = lowest().set(4, 0, entryTo(0x555, PAGE)).set(4, 8, entryTo(0x555, PAGE));
    expect(brief(list(tables))).toEqual(['0-1 -> 555 63', '8-9 -> 555 63']);
    tables.set(4, 16, entryTo(0x555, PAGE));
    expect(brief(list(tables))).toEqual(['0-1 -> 555 63 x3 every 8']);
  });

  test('a break in the stride ends the repetition', () => {
    const tables = lowest();
    for (const i of [0, 2, 4, 6, 9, 11, 13]) tables.set(4, i, entryTo(0x555, PAGE));
    expect(brief(list(tables))).toEqual(['0-1 -> 555 63 x4 every 2', '9-a -> 555 63 x3 every 2']);
  });

  test('accessed and dirty bits that differ are no repetition: the counts of a row are those of each copy', () => {
    const tables = lowest();
    for (const i of [0, 2, 4]) tables.set(4, i, entryTo(0x555, i === 2 ? 0x27n : 0x67n));
    expect(list(tables)).toHaveLength(3);
  });

  test('runs of several pages repeat too', () => {
    const tables = lowest();
    for (const i of [0, 10, 20, 30]) {
      tables.set(4, i, entryTo(0x700, PAGE)).set(4, i + 1, entryTo(0x701, PAGE));
    }
    expect(brief(list(tables))).toEqual(['0-2 -> 700 63 x4 every a']);
    expect((list(tables)[0] as MappedRegion).leaves).toBe(2);
  });

  test('faulty entries and missing tables repeat too', () => {
    const tables = lowest();
    for (const i of [0, 1, 2, 3]) tables.set(4, i, entryTo(0x555, PAGE | (1n << 45n)));
    for (const i of [8, 9, 10]) tables.set(3, i, entryTo(0x999, TABLE));
    expect(brief(list(tables))).toEqual([
      '0-1 faulty depth 3 x4 every 1',
      '1000-1200 missing 999 depth 3 x3 every 200',
    ]);
  });

  test('all: every row by itself', () => {
    const tables = lowest()
      .fill(4, () => entryTo(0x555, PAGE))
      .set(3, 1, entryTo(4, TABLE));
    const rows = list(tables, { all: true });
    expect(rows).toHaveLength(1024);
    rows.forEach((row, i) => {
      expect([row.first, row.end, row.repeat]).toEqual([i, i + 1, undefined]);
      expect(row).toMatchObject({ kind: 'mapped', frame: 0x555, leaves: 1 });
    });
  });
});

describe('shared tables', () => {
  /** Table 4 maps three runs that cannot be one row. */
  function shared(): Tables {
    return lowest()
      .set(4, 0, entryTo(0x100, PAGE))
      .set(4, 7, entryTo(0x200, PAGE))
      .set(4, 8, entryTo(0x201, PAGE))
      .set(4, 9, entryTo(0x300, PAGE & ~4n));
  }

  test('a table of several rows is listed where it is met first, then referred to', () => {
    const tables = shared().set(3, 5, entryTo(4, TABLE));
    const rows = list(tables);
    expect(brief(rows)).toEqual([
      '0-1 -> 100 63',
      '7-9 -> 200 63',
      '9-a -> 300 56',
      'a00-c00 shared 4 depth 3 as 0',
    ]);
    expect(rows[3]).toMatchObject({ leaves: 4 });
  });

  test('references at a fixed stride are one counted row', () => {
    const tables = shared();
    for (const i of [5, 6, 7, 8]) tables.set(3, i, entryTo(4, TABLE));
    expect(brief(list(tables)).at(-1)).toBe('a00-c00 shared 4 depth 3 as 0 x4 every 200');
  });

  test('of several levels, the highest shared table is referred to', () => {
    const tables = shared().set(2, 3, entryTo(3, TABLE)).set(1, 256, entryTo(2, TABLE));
    const upper = UPPER_HALF.toString(16);
    expect(brief(list(tables)).slice(3)).toEqual([
      'c0000-100000 shared 3 depth 2 as 0',
      `${upper}-${(UPPER_HALF + 2 ** 27).toString(16)} shared 2 depth 1 as 0`,
    ]);
  });

  test('a table with nothing in it is no row, however often it is met', () => {
    expect(list(lowest().set(3, 5, entryTo(4, TABLE)).set(2, 1, entryTo(3, TABLE)))).toEqual([]);
  });

  test('a table of one row is copied, so that it can repeat or merge', () => {
    const tables = lowest();
    for (let i = 0; i < 512; i += 1) tables.set(4, i, entryTo(0x400 + i, PAGE));
    tables.set(3, 1, entryTo(4, TABLE)).set(3, 3, entryTo(4, TABLE));
    expect(brief(list(tables))).toEqual(['0-200 -> 400 63', '200-400 -> 400 63', '600-800 -> 400 63']);
    expect(brief(list(tables, { merge: 'rights' }))).toEqual(['0-400 -> various 63', '600-800 -> 400 63']);
    expect((list(tables, { merge: 'rights' })[0] as MappedRegion).leaves).toBe(1024);
  });

  test('all: shared tables are listed in full each time', () => {
    const tables = shared().set(3, 5, entryTo(4, TABLE));
    expect(brief(list(tables, { all: true }))).toEqual([
      '0-1 -> 100 63',
      '7-9 -> 200 63',
      '9-a -> 300 56',
      'a00-a01 -> 100 63',
      'a07-a09 -> 200 63',
      'a09-a0a -> 300 56',
    ]);
  });

  test('a recursive root entry: the tables themselves are listed as pages, and nothing is listed for ever', () => {
    // Entry 511 of the root leads to the root: the last 2^27 pages are tables and the root's own entries.
    const tables = lowest().set(4, 0, entryTo(0x100, PAGE)).set(1, 511, entryTo(1, TABLE));
    const base = 2 ** 52 - 2 ** 27;
    const rows = brief(list(tables));
    expect(rows[0]).toBe('0-1 -> 100 63');
    // Through the root twice: PTE-level view of table 4's page; thrice: of table 3; and so on down to the root itself.
    expect(rows).toContain(`${base.toString(16)}-${(base + 1).toString(16)} -> 4 63`);
    expect(rows.at(-1)).toBe(`${(2 ** 52 - 1).toString(16)}-${(2 ** 52).toString(16)} -> 1 63`);
  });
});

describe('a range', () => {
  test('cuts rows at both ends', () => {
    const tables = lowest().set(2, 1, entryTo(0x4_0000, PAGE | PS));
    expect(brief(list(tables, { range: { first: 2 ** 18 + 5, end: 2 ** 18 + 9 } }))).toEqual([
      '40005-40009 -> 40005 63',
    ]);
  });

  test('leaves out what lies outside, and the copies of a shared table that it cuts are listed in full', () => {
    const tables = lowest()
      .set(4, 0, entryTo(0x100, PAGE))
      .set(4, 7, entryTo(0x200, PAGE))
      .set(3, 1, entryTo(4, TABLE))
      .set(3, 2, entryTo(4, TABLE));
    expect(brief(list(tables, { range: { first: 1, end: 0x401 } }))).toEqual([
      '7-8 -> 200 63',
      '200-201 -> 100 63',
      '207-208 -> 200 63',
      '400-401 -> 100 63',
    ]);
  });

  test('missing and faulty rows are cut as well: a row never leaves the range', () => {
    const tables = lowest()
      .set(3, 9, entryTo(0x999, TABLE))
      .set(3, 10, entryTo(0x400, PAGE | PS | (1n << 45n)));
    const range = { first: 9 * 512 + 100, end: 10 * 512 + 50 };
    for (const { first, end } of list(tables, { range })) {
      expect([first >= range.first, end <= range.end]).toEqual([true, true]);
    }
    expect(list(tables, { range })).toHaveLength(2);
  });

  test('of no pages has no rows, also inside a large page', () => {
    const tables = lowest().set(2, 1, entryTo(0x4_0000, PAGE | PS));
    expect(list(tables, { range: { first: 2 ** 18 + 5, end: 2 ** 18 + 5 } })).toEqual([]);
  });

  test('in the canonical hole has no rows', () => {
    expect(
      list(
        lowest().fill(1, () => entryTo(2, TABLE)),
        { range: { first: 2 ** 36, end: 2 ** 50 } },
      ),
    ).toEqual([]);
  });

  test('that is no range is a typed error', () => {
    expect(() => list(lowest(), { range: { first: 5, end: 2 ** 53 } })).toThrow(PageTableError);
  });
});

describe('what is not there', () => {
  test('a missing table, and an entry with a reserved bit: the whole range of the entry', () => {
    const tables = lowest()
      .set(2, 3, entryTo(0x999, TABLE))
      .set(3, 2, entryTo(0x400, PAGE | PS | (1n << 13n)));
    expect(list(tables)).toEqual([
      { kind: 'faulty', first: 0x400, end: 0x600, depth: 2, low: 0x4020e7, high: 0 },
      { kind: 'missing', first: 3 * 2 ** 18, end: 4 * 2 ** 18, depth: 2, frame: 0x999 },
    ]);
  });

  test('empty tables: no rows', () => {
    expect(list(lowest())).toEqual([]);
  });
});

describe('the limit on rows', () => {
  const tables = lowest();
  for (let i = 0; i < 512; i += 2) tables.set(4, i, entryTo(0x1000 + i * 3, PAGE));

  test('a list of as many rows as allowed is complete; one more is a typed error', () => {
    expect(list(tables, { maxRows: 256 })).toHaveLength(256);
    const more = () => list(tables, { maxRows: 255 });
    expect(more).toThrow(PageTableError);
    expect(more).toThrow(expect.objectContaining({ code: 'LIMIT_EXCEEDED', detail: { maxRows: 255 } }));
  });

  test('counts rows as they are given, also two that are alike', () => {
    // Pairs of equal pages: folded only from three on.
    const pairs = lowest();
    for (let i = 0; i < 40; i += 4) {
      pairs.set(4, i, entryTo(0x1000 + i, PAGE)).set(4, i + 2, entryTo(0x1000 + i, PAGE));
    }
    expect(list(pairs)).toHaveLength(20);
    expect(list(pairs, { maxRows: 20 })).toHaveLength(20);
    for (const maxRows of [10, 11, 15, 19]) expect(() => list(pairs, { maxRows })).toThrow(PageTableError);
  });

  test('repetition counts as one row', () => {
    expect(
      list(
        lowest().fill(4, () => entryTo(0x555, PAGE)),
        { maxRows: 2 },
      ),
    ).toHaveLength(1);
  });
});

describe('other formats', () => {
  test('32-bit: 4-MiB pages with PSE-36, next to 4-KiB pages', () => {
    const tables = new Tables(4)
      .set(1, 0, entryTo(2, TABLE))
      .set(2, 1023, entryTo(0x3ff, PAGE))
      .set(1, 1, entryTo(0x400, PAGE | PS))
      .set(1, 1023, entryTo(0x400, PAGE | PS | (1n << 13n)));
    expect(brief(list(tables, {}, { mode: '32-bit' }))).toEqual([
      '3ff-800 -> 3ff 63',
      'ffc00-100000 -> 100400 63',
    ]);
  });

  test('PAE: PDPTEs give no rights, XD does not show in the frame (gdb-pt-dump cannot list PAE)', () => {
    const tables = new Tables()
      .set(1, 3, entryTo(2, 1n))
      .set(2, 511, entryTo(3, TABLE))
      .set(3, 510, entryTo(0x12345, PAGE | XD))
      .set(3, 511, entryTo(0x12346, PAGE | XD));
    // Fetches are forbidden: rw- for both.
    expect(brief(list(tables, {}, { mode: 'PAE' }))).toEqual(['ffffe-100000 -> 12345 27']);
  });
});
