import { describe, expect, test } from 'vitest';
import { PageTableError } from '../../src/bits/index.ts';
import { type Paging, x86Paging } from '../../src/format/index.ts';
import { flatMemory, type PhysicalMemory } from '../../src/memory/index.ts';
import { Cursor, DONE, FAULTY, MISSING, PAGE, type PageRange, TABLE } from '../../src/walk/index.ts';
import { createRandom, randomTables } from '../support/random-tables.ts';
import {
  type ReferenceControl,
  type ReferenceMode,
  type ReferenceRead,
  referenceLeaf,
} from '../support/reference-walker.ts';
import { entryTo, Tables } from '../support/tables.ts';
import { controlsOf, layOut, MODES, type Switches, sparseFrom } from '../support/x86-cases.ts';

// P, R/W, U/S, A and D.
const LEAD = 0x27n;
const LEAF = 0x67n;
const PS = 0x80n;
const XD = 1n << 63n;

/** One thing a cursor reported. */
interface Report {
  readonly event: 'page' | 'table' | 'faulty' | 'missing';
  readonly page: number;
  readonly order: number;
  readonly frame: number;
  readonly depth: number;
}

const NAMES = { [PAGE]: 'page', [TABLE]: 'table', [FAULTY]: 'faulty', [MISSING]: 'missing' } as const;

/** All reports of a cursor; `skip` says which tables to pass over. */
function reportsOf(cursor: Cursor, skip: (report: Report) => boolean = () => false): Report[] {
  const reports: Report[] = [];
  for (let event = cursor.next(); event !== DONE; event = cursor.next()) {
    const { page, order, frame, depth } = cursor;
    const report = { event: NAMES[event], page, order, frame, depth };
    reports.push(report);
    if (event === TABLE && skip(report)) cursor.skip();
  }
  return reports;
}

function pagingOf(switches: Switches): Paging {
  return x86Paging(controlsOf(switches).ours);
}

/** What the reports say of one page: its frame, or why it has none. Tables say nothing themselves. */
function saidOf(reports: readonly Report[], page: number): string {
  let low = 0;
  let high = reports.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (reports[middle].page <= page) low = middle + 1;
    else high = middle;
  }
  const last = reports[low - 1];
  if (last === undefined || page >= last.page + 2 ** last.order) return 'nothing';
  return last.event === 'page'
    ? `frame ${last.frame + page - last.page}`
    : `${last.event} at depth ${last.depth}`;
}

/** The same by the reference walker. */
function wanted(read: ReferenceRead, control: ReferenceControl, page: number): string {
  // The reference walker passes over address bits that these modes do not have.
  if (page >= 2 ** 20 && (control.mode === '32-bit' || control.mode === 'PAE')) return 'nothing';
  const found = referenceLeaf(read, control, BigInt(page) << 12n);
  switch (found.kind) {
    case 'leaf':
      return `frame ${found.pa >> 12n}`;
    case 'absent':
      return `missing at depth ${found.depth}`;
    case 'reserved':
    case 'pdpte-reserved':
      return `faulty at depth ${found.depth}`;
    case 'not-present':
    case 'non-canonical':
      return 'nothing';
  }
}

/** Differences between a cursor over a range and the reference walker, page by page; at most three are returned. */
function compare(
  memory: PhysicalMemory,
  read: ReferenceRead,
  switches: Switches,
  range: PageRange,
  pages: Iterable<number>,
): { differences: string[]; counts: Map<string, number> } {
  const { ours, reference } = controlsOf(switches);
  const reports = reportsOf(new Cursor(memory, x86Paging(ours), range));
  const said = reports.filter(({ event }) => event !== 'table');
  const differences: string[] = [];
  const counts = new Map<string, number>();
  for (const page of pages) {
    const want = wanted(read, reference, page);
    const found = saidOf(said, page);
    const kind = want.split(' ')[0];
    counts.set(kind, (counts.get(kind) ?? 0) + 1);
    if (found !== want && differences.length < 3) {
      differences.push(
        `page 0x${page.toString(16)} of [${range.first}, ${range.end}): expected ${want}, found ${found}`,
      );
    }
  }
  // In order, disjoint, and each reaching into the range.
  let end = 0;
  for (const { page, order } of said) {
    if (page < end || page >= range.end || page + 2 ** order <= range.first)
      differences.push(`report at page ${page}`);
    end = page + 2 ** order;
  }
  return { differences, counts };
}

function* pagesOf(first: number, end: number): Iterable<number> {
  for (let page = first; page < end; page += 1) yield page;
}

/** Pages that an address space of the mode has, as ranges. */
const SPACES: Readonly<Record<ReferenceMode, readonly PageRange[]>> = {
  '32-bit': [{ first: 0, end: 2 ** 20 }],
  PAE: [{ first: 0, end: 2 ** 20 }],
  '4-level': [
    { first: 0, end: 2 ** 35 },
    { first: 2 ** 52 - 2 ** 35, end: 2 ** 52 },
  ],
  '5-level': [
    { first: 0, end: 2 ** 44 },
    { first: 2 ** 52 - 2 ** 44, end: 2 ** 52 },
  ],
};

describe('a cursor finds every page of a small space that the reference walker finds, and no other', () => {
  test.each([
    ['32-bit', [6]],
    ['PAE', [33]],
  ] as const)('%s: all 1,048,576 pages', (mode, seeds) => {
    const counts = new Map<string, number>();
    for (const seed of seeds) {
      const tables = randomTables({ seed, mode, physBits: mode === 'PAE' ? 40 : 32, reserved: 0.05 });
      const { memory, read } = layOut(tables.memory, 'sparse', { first: 0, end: 0 });
      // Without PSE-36, bits 21:13 of a 4-MiB page are reserved.
      const switches = { mode, cr3: tables.cr3, physBits: 40, pse36: false };
      const found = compare(memory, read, switches, { first: 0, end: 2 ** 20 }, pagesOf(0, 2 ** 20));
      expect(found.differences).toEqual([]);
      for (const [kind, count] of found.counts) counts.set(kind, (counts.get(kind) ?? 0) + count);
    }
    const seen = [...counts].map(([kind, count]) => `${kind} ${count}`).join(', ');
    console.log(`cursor, ${mode}, seeds ${seeds.join(' and ')}: every page; ${seen}`);
    expect([...counts.keys()].sort()).toEqual(['faulty', 'frame', 'missing', 'nothing']);
  });
});

describe('a cursor over a range finds what the reference walker finds there', () => {
  test.each(MODES)('%s: ranges that begin and end anywhere', (mode) => {
    const seed = 500;
    const counts = new Map<string, number>();
    let ranges = 0;
    for (let i = 0; i < 16; i += 1) {
      const random = createRandom(seed + i);
      const physBits = random.pick([40, 52]);
      const tables = randomTables({ seed: seed + i, mode, physBits: mode === '32-bit' ? 32 : physBits });
      const layout = random.pick(['flat', 'regions', 'sparse', 'overlay'] as const);
      const { memory, read } = layOut(tables.memory, layout, { first: 0x200, end: 0x240 });
      const switches = { mode, cr3: tables.cr3, physBits, page1GB: random.chance(0.7) };
      const edges = edgesOf(mode, tables.hotIndices);
      for (let k = 0; k < 10; k += 1) {
        const near = () => Math.min(2 ** 52 - 1, Math.max(0, random.pick(edges) + random.below(7) - 3));
        const first = near();
        const end = Math.min(
          2 ** 52,
          random.chance(0.75) ? first + 1 + random.below(600) : Math.max(near(), first + 1),
        );
        ranges += 1;
        const sampled = [
          ...pagesOf(first, Math.min(end, first + 400)),
          ...pagesOf(Math.max(first, end - 200), end),
        ];
        const found = compare(memory, read, switches, { first, end }, sampled);
        expect([seed + i, found.differences]).toEqual([seed + i, []]);
        for (const [kind, count] of found.counts) counts.set(kind, (counts.get(kind) ?? 0) + count);
      }
    }
    const seen = [...counts].map(([kind, count]) => `${kind} ${count}`).join(', ');
    console.log(`cursor, ${mode}: ${ranges} ranges from seed ${seed}; pages ${seen}`);
    expect([...counts.keys()].sort()).toEqual(['faulty', 'frame', 'missing', 'nothing']);
  });
});

/** First pages of filled entries of every depth, and the ends of the space and of its halves. */
function edgesOf(mode: ReferenceMode, hot: readonly (readonly number[])[]): number[] {
  const shifts = {
    '32-bit': [10, 0],
    PAE: [18, 9, 0],
    '4-level': [27, 18, 9, 0],
    '5-level': [36, 27, 18, 9, 0],
  }[mode];
  const [{ end: lowEnd }] = SPACES[mode];
  const edges: number[] = SPACES[mode].flatMap(({ first, end }) => [first, end]);
  const add = (page: number) => edges.push(page < lowEnd ? page : page + 2 ** 52 - 2 * lowEnd);
  for (let i = 0; i < 40; i += 1) {
    let page = 0;
    shifts.forEach((shift, depth) => {
      page += hot[depth][(i * (depth + 3)) % hot[depth].length] * 2 ** shift;
      add(page);
    });
  }
  return edges;
}

const FROM_ZERO = { first: 0, end: 16 };

/** Root 1, entries 0 and 300; tables 2, 3 and 4, with one page each of 1 GiB, 2 MiB and 4 KiB. */
function threeSizes(): Tables {
  return new Tables()
    .set(1, 0, entryTo(2, LEAD))
    .set(1, 300, entryTo(2, LEAD))
    .set(2, 1, entryTo(3, LEAD))
    .set(2, 2, entryTo(0x40000, LEAF | PS))
    .set(3, 5, entryTo(4, LEAD))
    .set(3, 6, entryTo(0x600, LEAF | PS))
    .set(4, 7, entryTo(0x77, LEAF));
}

/** First page of root entry 300: in the upper half. */
const UPPER = 2 ** 52 - 2 ** 36 + 300 * 2 ** 27;

function cursorOver(tables: Tables, range?: PageRange, switches: Partial<Switches> = {}): Cursor {
  const { memory } = layOut(tables.frames, 'flat', FROM_ZERO);
  return new Cursor(memory, pagingOf({ mode: '4-level', cr3: 0x1000n, physBits: 40, ...switches }), range);
}

function brief(reports: readonly Report[]): string[] {
  return reports.map(
    ({ event, page, order, frame }) => `${event} ${page.toString(16)}+2^${order} -> ${frame.toString(16)}`,
  );
}

describe('order', () => {
  const inHalf = (base: number) => {
    const at = (page: number) => (base + page).toString(16);
    return [
      `table ${at(0)}+2^27 -> 2`,
      `table ${at(2 ** 18)}+2^18 -> 3`,
      `table ${at(2 ** 18 + 5 * 512)}+2^9 -> 4`,
      `page ${at(2 ** 18 + 5 * 512 + 7)}+2^0 -> 77`,
      `page ${at(2 ** 18 + 6 * 512)}+2^9 -> 600`,
      `page ${at(2 * 2 ** 18)}+2^18 -> 40000`,
    ];
  };

  test('tables come before what they lead to, everything else by address, the upper half last', () => {
    expect(brief(reportsOf(cursorOver(threeSizes())))).toEqual([...inHalf(0), ...inHalf(UPPER)]);
  });

  test('skip passes over a table and all below it, and over nothing else', () => {
    const all = reportsOf(cursorOver(threeSizes()));
    const upper = (report: Report) => report.depth === 0 && report.page >= UPPER;
    expect(brief(reportsOf(cursorOver(threeSizes()), upper))).toEqual(brief(all.slice(0, 7)));
    const lowest = (report: Report) => report.depth === 2;
    expect(brief(reportsOf(cursorOver(threeSizes()), lowest))).toEqual(
      brief(all.filter(({ frame }) => frame !== 0x77)),
    );
    expect(brief(reportsOf(cursorOver(threeSizes()), () => true))).toEqual([inHalf(0)[0], inHalf(UPPER)[0]]);
  });

  test('skip counts once, and only right after a table', () => {
    const cursor = cursorOver(threeSizes());
    const seen: string[] = [];
    for (let event = cursor.next(); event !== DONE; event = cursor.next()) {
      const { page, order, frame, depth } = cursor;
      seen.push(...brief([{ event: NAMES[event], page, order, frame, depth }]));
      if (event === PAGE) cursor.skip();
      if (event === TABLE && depth === 2) {
        cursor.skip();
        cursor.skip();
      }
    }
    expect(seen).toEqual([...inHalf(0), ...inHalf(UPPER)].filter((line) => !line.endsWith('-> 77')));
  });

  test('a cursor that is done stays so, and start makes it begin afresh', () => {
    const cursor = cursorOver(threeSizes());
    const before = brief(reportsOf(cursor));
    expect([cursor.next(), cursor.next()]).toEqual([DONE, DONE]);
    cursor.start({ depth: 0, frame: 1, page: 0 });
    expect(brief(reportsOf(cursor))).toEqual(before);
  });

  test('start at a lower table visits that one alone, at the pages given', () => {
    const cursor = cursorOver(threeSizes());
    cursor.start({ depth: 2, frame: 3, page: 0x4000_0000 });
    expect(brief(reportsOf(cursor))).toEqual([
      'table 40000a00+2^9 -> 4',
      'page 40000a07+2^0 -> 77',
      'page 40000c00+2^9 -> 600',
    ]);
  });
});

describe('a range', () => {
  const only = (first: number, end: number) => brief(reportsOf(cursorOver(threeSizes(), { first, end })));
  const one = 2 ** 18;

  test('that lies inside a large page visits that page, whole', () => {
    expect(only(2 * one + 100, 2 * one + 101)).toEqual([
      'table 0+2^27 -> 2',
      `page ${(2 * one).toString(16)}+2^18 -> 40000`,
    ]);
  });

  test('that begins in the middle of a table visits only entries from there', () => {
    expect(only(one + 5 * 512 + 8, one + 6 * 512 + 1)).toEqual([
      'table 0+2^27 -> 2',
      `table ${one.toString(16)}+2^18 -> 3`,
      `table ${(one + 5 * 512).toString(16)}+2^9 -> 4`,
      `page ${(one + 6 * 512).toString(16)}+2^9 -> 600`,
    ]);
  });

  test('that ends in the middle of a table visits only entries before', () => {
    expect(only(0, one + 5 * 512 + 7)).toEqual([
      'table 0+2^27 -> 2',
      `table ${one.toString(16)}+2^18 -> 3`,
      `table ${(one + 5 * 512).toString(16)}+2^9 -> 4`,
    ]);
  });

  test('from the lower half over the canonical hole into the upper one visits both', () => {
    expect(only(2 * one, UPPER + one)).toEqual([
      'table 0+2^27 -> 2',
      `page ${(2 * one).toString(16)}+2^18 -> 40000`,
      `table ${UPPER.toString(16)}+2^27 -> 2`,
    ]);
  });

  test('that lies in the canonical hole visits nothing', () => {
    expect(only(2 ** 35, 2 ** 52 - 2 ** 35)).toEqual([]);
    expect(only(2 ** 35 + 12345, 2 ** 51)).toEqual([]);
  });

  test('that begins in the canonical hole visits the upper half from its beginning', () => {
    const tables = new Tables().set(1, 256, entryTo(2, LEAD)).set(2, 0, entryTo(0x40000, LEAF | PS));
    const half = 2 ** 52 - 2 ** 35;
    const cursor = cursorOver(tables, { first: 2 ** 40, end: 2 ** 52 });
    expect(brief(reportsOf(cursor))).toEqual([
      `table ${half.toString(16)}+2^27 -> 2`,
      `page ${half.toString(16)}+2^18 -> 40000`,
    ]);
  });

  test('up to the end of the space includes the last page, and one that ends before it does not', () => {
    const tables = new Tables();
    for (const frame of [1, 2, 3]) tables.set(frame, 511, entryTo(frame + 1, LEAD));
    tables.set(4, 511, entryTo(0x77, LEAF)).set(4, 510, entryTo(0x78, LEAF));
    const pages = (range: PageRange) =>
      reportsOf(cursorOver(tables, range)).flatMap(({ event, frame }) => (event === 'page' ? [frame] : []));
    expect(pages({ first: 2 ** 52 - 2, end: 2 ** 52 })).toEqual([0x78, 0x77]);
    expect(pages({ first: 2 ** 52 - 1, end: 2 ** 52 })).toEqual([0x77]);
    expect(pages({ first: 0, end: 2 ** 52 - 1 })).toEqual([0x78]);
  });

  test('of no pages visits nothing, also inside a large page', () => {
    expect(only(0, 0)).toEqual([]);
    expect(only(2 ** 52, 2 ** 52)).toEqual([]);
    expect(only(2 * one + 100, 2 * one + 100)).toEqual([]);
    expect(only(one + 5 * 512 + 7, one + 5 * 512 + 7)).toEqual([]);
  });

  test.each([
    [-1, 5],
    [0, 2 ** 52 + 1],
    [0.5, 5],
    [0, 4.5],
    [Number.NaN, 5],
    [0, Number.NaN],
    [10, 5],
  ])('[%d, %d) is out of range', (first, end) => {
    const make = () => cursorOver(threeSizes(), { first, end });
    expect(make).toThrow(PageTableError);
    expect(make).toThrow(expect.objectContaining({ code: 'OUT_OF_RANGE', detail: { first, end } }));
  });
});

describe('rights of the entries above', () => {
  test('R/W and U/S are what every entry above has, XD what any has', () => {
    const tables = new Tables()
      .set(1, 0, entryTo(2, 0x5n))
      .set(2, 0, entryTo(3, 0x7n | XD))
      .set(3, 0, entryTo(4, 0x3n))
      .set(4, 0, entryTo(0x77, LEAF));
    const cursor = cursorOver(tables);
    const seen: [number, boolean, boolean, boolean][] = [];
    for (let event = cursor.next(); event !== DONE; event = cursor.next()) {
      seen.push([cursor.depth, (cursor.and & 2) !== 0, (cursor.and & 4) !== 0, cursor.or < 0]);
    }
    // Depth, R/W, U/S, XD: of the entries above, so at the root nothing is taken away.
    expect(seen).toEqual([
      [0, true, true, false],
      [1, false, true, false],
      [2, false, true, true],
      [3, false, false, true],
    ]);
  });

  test('PAE: a PDPTE has no rights bits and takes nothing away', () => {
    const tables = new Tables().set(1, 3, entryTo(2, 1n)).set(2, 0, entryTo(0x400, LEAF | PS));
    const cursor = cursorOver(tables, undefined, { mode: 'PAE' });
    expect([cursor.next(), cursor.next()]).toEqual([TABLE, PAGE]);
    expect([cursor.page, cursor.and & 6, cursor.or]).toEqual([3 * 2 ** 18, 6, 0]);
  });
});

describe('what is not there', () => {
  test('a missing table is reported once, with all that it would map', () => {
    const tables = threeSizes().set(3, 9, entryTo(0xabc, LEAD)).set(2, 3, entryTo(0xabd, LEAD));
    const missing = reportsOf(cursorOver(tables, { first: 0, end: 2 ** 27 })).filter(
      ({ event }) => event === 'missing',
    );
    expect(missing).toEqual([
      { event: 'missing', page: 2 ** 18 + 9 * 512, order: 9, frame: 0xabc, depth: 3 },
      { event: 'missing', page: 3 * 2 ** 18, order: 18, frame: 0xabd, depth: 2 },
    ]);
  });

  test('also where the range begins in its middle', () => {
    const tables = threeSizes().set(3, 9, entryTo(0xabc, LEAD));
    const page = 2 ** 18 + 9 * 512;
    const reports = reportsOf(cursorOver(tables, { first: page + 100, end: page + 101 }));
    expect(reports.at(-1)).toEqual({ event: 'missing', page, order: 9, frame: 0xabc, depth: 3 });
  });

  test.each(MODES)('%s: without a root, every page of the space is missing, and no other', (mode) => {
    const memory = sparseFrom(new Tables().frames).memory;
    const reports = reportsOf(new Cursor(memory, pagingOf({ mode, cr3: 0x1000n })));
    expect(
      reports.every(({ event, depth, frame }) => event === 'missing' && depth === 0 && frame === 1),
    ).toBe(true);
    const ranges = reports.map(({ page, order }) => ({ first: page, end: page + 2 ** order }));
    expect(ranges).toEqual(SPACES[mode]);
  });

  test('an entry with a reserved bit is reported with its value, and not entered', () => {
    const tables = threeSizes().set(2, 1, entryTo(3, LEAD | (1n << 45n)));
    const cursor = cursorOver(tables, { first: 0, end: 2 ** 27 });
    expect([cursor.next(), cursor.next()]).toEqual([TABLE, FAULTY]);
    expect([cursor.page, cursor.order, cursor.depth, cursor.low, cursor.high]).toEqual([
      2 ** 18,
      18,
      1,
      0x3027,
      1 << 13,
    ]);
    expect(cursor.next()).toBe(PAGE);
    expect(cursor.frame).toBe(0x40000);
  });

  test('entries that are not present are passed over, whatever else they hold', () => {
    expect(reportsOf(cursorOver(new Tables().fill(1, () => 0xffff_ffff_ffff_fffen)))).toEqual([]);
  });
});

/** As much of WebAssembly as is needed; its types are only in the DOM library. */
declare const WebAssembly: {
  readonly Memory: new (descriptor: {
    initial: number;
  }) => { readonly buffer: ArrayBuffer; grow(pages: number): number };
};

test('a cursor that is under way goes on when the WebAssembly memory grows', () => {
  const wasm = new WebAssembly.Memory({ initial: 1 });
  const words = new Uint32Array(wasm.buffer);
  for (const [frame, given] of threeSizes().frames) words.set(given, frame * 1024);
  const cursor = new Cursor(flatMemory(wasm), pagingOf({ mode: '4-level', cr3: 0x1000n }));
  const whole = reportsOf(cursorOver(threeSizes()));
  expect([cursor.next(), cursor.page, cursor.frame]).toEqual([TABLE, 0, 2]);
  wasm.grow(1);
  expect(brief(reportsOf(cursor))).toEqual(brief(whole.slice(1)));
});

describe('neighbours that go on alike', () => {
  /** Runs of a cursor: the first page of each, and how many are passed over. */
  function runsOf(cursor: Cursor): string[] {
    const runs: string[] = [];
    for (let event = cursor.next(); event !== DONE; event = cursor.next()) {
      if (event === PAGE) runs.push(`${cursor.page}+${cursor.skipAlike()}`);
    }
    return runs;
  }

  const paging = pagingOf({ mode: '4-level', cr3: 0x1000n, physBits: 40 });

  function lowest(): Tables {
    const tables = new Tables().set(1, 0, entryTo(2, LEAD)).set(2, 0, entryTo(3, LEAD));
    return tables.set(3, 0, entryTo(4, LEAD)).set(3, 1, entryTo(5, LEAD));
  }

  test('a run ends with its table, and where a frame, another bit or the high half differs', () => {
    const tables = lowest();
    const entries = [
      ...[0x100, 0x101, 0x102].map((frame) => entryTo(frame, LEAF)),
      entryTo(0x104, LEAF),
      entryTo(0x105, LEAF & ~0x40n),
      entryTo(0x106, (LEAF & ~0x40n) | XD),
      // The low half is full after the first.
      entryTo(0xf_ffff, LEAF),
      entryTo(0x10_0000, LEAF),
      entryTo(0x10_0001, LEAF),
    ];
    entries.forEach((entry, index) => {
      tables.set(4, index, entry);
    });
    for (let index = 509; index < 512; index += 1) tables.set(4, index, entryTo(0x200 + index, LEAF));
    tables.set(5, 0, entryTo(0x200 + 512, LEAF));
    const { memory } = sparseFrom(tables.frames);
    const whole = ['0+2', '3+0', '4+0', '5+0', '6+0', '7+1', '509+2', '512+0'];
    expect(runsOf(new Cursor(memory, paging))).toEqual(whole);
    expect(runsOf(new Cursor(memory, paging, { first: 1, end: 511 }))).toEqual([
      '1+1',
      ...whole.slice(1, 6),
      '509+1',
    ]);
  });

  test('large pages step by their size', () => {
    const tables = lowest();
    for (let i = 0; i < 3; i += 1) tables.set(3, 2 + i, entryTo(512 * (8 + i), LEAF | PS));
    tables.set(3, 5, entryTo(512 * 11 + 1, LEAF | PS));
    expect(runsOf(new Cursor(sparseFrom(tables.frames).memory, paging))).toEqual(['1024+2', '2560+0']);
  });
});
