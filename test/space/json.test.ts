import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { flatMemory } from '../../src/index.ts';
import {
  AddressSpace,
  type MapOptions,
  planFromJSON,
  type Rights,
  SPACE_FORMATS,
  type SpaceFormat,
  type SpaceJson,
  type SpacePolicy,
} from '../../src/space/index.ts';
import { Cursor, DONE, PAGE } from '../../src/walk/index.ts';
import { LONG } from '../support/long.ts';
import { Random } from '../support/random.ts';
import { StrictAllocator } from './strict-allocator.ts';

const M2 = 0x20_0000n;
const FRAMES = 200;
const ROUNDS = LONG ? 400 : 4;

interface Made {
  readonly space: AddressSpace;
  readonly allocator: StrictAllocator;
}

function place(first = 1): { memory: ReturnType<typeof flatMemory>; allocator: StrictAllocator } {
  return { memory: flatMemory(new ArrayBuffer(2 << 20)), allocator: new StrictAllocator(first, FRAMES) };
}

function make(format: SpaceFormat, control = {}, policy: SpacePolicy = {}): Made {
  const where = place();
  return { space: AddressSpace.create({ format, control, ...policy, ...where }), allocator: where.allocator };
}

/** The same tables in another place: another program's view of them. */
function twinOf({ space }: Made): Made {
  const where = place();
  where.memory.words.set(space.memory.words);
  const paging = space.pagings;
  const { allocator } = where;
  for (let i = 0; i < FRAMES; i += 1) allocator.allocate();
  return { space: AddressSpace.open({ paging, ...where }), allocator };
}

/** Every entry that maps a page: where, how large, and its bits as they stand in memory. */
function leaves(space: AddressSpace): string {
  return space.pagings
    .flatMap((paging) => {
      const found: string[] = [];
      const cursor = new Cursor(space.memory, paging);
      for (let event = cursor.next(); event !== DONE; event = cursor.next()) {
        if (event !== PAGE) continue;
        const { page, order, depth, low, high } = cursor;
        found.push([page, order, depth, low >>> 0, high >>> 0].map((one) => one.toString(16)).join(' '));
      }
      return found;
    })
    .join('\n');
}

const through = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

/** Random pages: sizes, attributes, fields with and without names. */
function scribble(random: Random, { space }: Made, format: SpaceFormat): void {
  const rights: Rights[] = format === '32-bit' ? ['rx', 'rwx'] : ['r', 'rw', 'rx', 'rwx'];
  const large = format === '32-bit' || format === 'sv32' ? 0x40_0000n : M2;
  for (let i = 0; i < 8; i += 1) {
    const start = BigInt(random.below(60)) * large + BigInt(random.below(3)) * 0x1000n;
    const options: MapOptions = {
      physical: BigInt(random.below(40)) * large,
      rights: rights[random.below(rights.length)],
      user: random.below(2) === 0,
      global: random.below(3) === 0,
      accessed: random.below(3) !== 0,
      dirty: random.below(3) !== 0,
      groups: random.below(2) === 0,
      overlap: 'replace',
      type: ['write-back', 'write-back', 'device'][
        format.startsWith('sv4') || format === 'sv32' ? 0 : random.below(3)
      ],
    };
    const bytes = 0x1000n * BigInt(1 + random.below(40)) + large * BigInt(random.below(3));
    space.map(start, bytes, options);
    // Bits of software that have no name of their own.
    const own = { 'aarch64-4k': 0x0180_0000_0000_0000n, sv32: 0x300n, '32-bit': 0xe00n, PAE: 0xe00n }[
      String(format)
    ];
    const mask = own ?? (format.startsWith('sv') ? 0x300n : 0x0010_0000_0000_0e00n);
    const value = mask & BigInt(random.below(2 ** 30)) & 0xfffn;
    if (random.below(2) === 0) space.protect(start, 0x1000n, { bits: { mask, value } });
  }
}

const CASES = SPACE_FORMATS.flatMap((format): [SpaceFormat, object][] =>
  format.startsWith('sv') && format !== 'sv32'
    ? [
        [format, { svnapot: true, svpbmt: true }],
        [format, { svpbmt: false }],
      ]
    : [[format, {}]],
);

describe('space.toJSON', () => {
  test.each(CASES)('%s %o: a space made from its JSON has the same entries', (format, control) => {
    const random = new Random(0x15ace);
    for (let round = 0; round < ROUNDS; round += 1) {
      const made = make(format, control);
      scribble(random, made, format);
      const json = through(made.space);
      const again = AddressSpace.fromJSON(json, place(300));
      expect(leaves(again)).toBe(leaves(made.space));
      expect(through(again)).toEqual({ ...(json as SpaceJson), control: expect.anything() });
    }
  });

  test('rights that tables above take away are taken from the pages themselves', () => {
    const made = make('4-level');
    made.space.map(0n, 0x1000n, { physical: 0x5000n, rights: 'rwx', user: true });
    const steps = made.space.walk(0n).steps;
    // R/W = 0 in the PDE, U/S = 0 in the PDPTE, XD = 1 in the PML4E.
    made.space.memory.words[Number(steps[2].address) / 4] &= ~2;
    made.space.memory.words[Number(steps[1].address) / 4] &= ~4;
    made.space.memory.words[Number(steps[0].address) / 4 + 1] |= 2 ** 31;
    const again = AddressSpace.fromJSON(through(made.space), place(300));
    expect(made.space.translate(0n)).toMatchObject({ user: '---', supervisor: 'r--' });
    expect(again.translate(0n)).toEqual(made.space.translate(0n));
  });

  const valid = () => {
    const { space } = make('4-level');
    space.map(0n, 0x3000n, { physical: 0x5000n, rights: 'rw' });
    return through(space) as SpaceJson & { mappings: Record<string, unknown>[] };
  };
  const hostile: [string, (json: ReturnType<typeof valid>) => unknown, RegExp][] = [
    ['nothing', () => null, /it: expected an object, found null/],
    ['an array', () => [], /it: expected an object/],
    [
      'another schema',
      (json) => ({ ...json, schema: 'x' }),
      /schema: expected one of tablewalk\/space\/1, found 'x'/,
    ],
    ['an unknown format', (json) => ({ ...json, format: 'toString' }), /format: expected one of 32-bit/],
    ['a field that is not known', (json) => ({ ...json, extra: 1 }), /it: expected no field but/],
    [
      'another register',
      (json) => ({ ...json, control: { satp: '0x0' } }),
      /control: expected no field but cr0/,
    ],
    ['a register that is a number', (json) => ({ ...json, control: { cr4: 1 } }), /control.cr4: expected 0x/],
    ['mappings that are text', (json) => ({ ...json, mappings: 'x' }), /mappings: expected an array/],
  ];
  const mapping: [string, Record<string, unknown>, RegExp][] = [
    ['a negative address', { address: '-0x1000' }, /mappings\[0\].address: expected 0x/],
    ['a long address', { address: `0x${'f'.repeat(5000)}` }, /found '0xf{58}…'/],
    ['an address beside a page', { address: '0x10' }, /expected multiples of its pages/],
    ['no bytes', { bytes: '0x0' }, /expected multiples/],
    ['odd pages', { pageBytes: '0x3000' }, /pageBytes: expected a power of two/],
    ['pages that there are not', { bytes: '0x4000', pageBytes: '0x4000', physical: '0x0' }, /maxPage 0x4000/],
    ['a hole in the address space', { address: '0x0000800000000000' }, /expected a range inside/],
    ['too much', { bytes: '0xfffffffffffff000' }, /expected/],
    ['rights that there are not', { rights: 'w' }, /rights: expected one of r, rw/],
    ['a type that there is not', { type: 'toString' }, /memory type toString/],
    ['a field that there is not', { fields: { address: 1 } }, /has no field address/],
    [
      'the present bit',
      { bits: { mask: '0x1', value: '0x0' } },
      /bits 0x0 of 0x1; expected bigints, a mask inside/,
    ],
    ['groups that x86 has not', { contiguous: true }, /expected whole groups/],
  ];
  test.each([
    ...hostile,
    ...mapping.map(([name, fields, message]): (typeof hostile)[number] => [
      name,
      (json) => ({ ...json, mappings: [{ ...json.mappings[0], ...fields }] }),
      message,
    ]),
  ])('refuses %s, and gives all frames back', (_, change, message) => {
    const where = place();
    expect(() => AddressSpace.fromJSON(change(valid()), where)).toThrow(message);
    expect(where.allocator.used.size).toBe(0);
  });
});

describe('plan.toJSON', () => {
  const edits: [string, (plan: AddressSpace['plan']) => ReturnType<AddressSpace['plan']['map']>][] = [
    [
      'map',
      (plan) => plan.map(0x7f_f000n, 0x100_3000n, { physical: 0x7f_f000n, rights: 'rx', overlap: 'replace' }),
    ],
    [
      'map over pages',
      (plan) => plan.map(0n, 0x3000n, { physical: 0x9000n, rights: 'rx', overlap: 'replace' }),
    ],
    ['unmap', (plan) => plan.unmap(0x1000n, 0x60_0000n)],
    ['unmap all', (plan) => plan.unmap(0n, 0x400_0000n)],
    ['protect', (plan) => plan.protect(0x1000n, 0x40_0000n, { rights: 'rx', missing: 'ignore' })],
    ['compact', (plan) => plan.compact()[0]],
  ];
  const rights = (format: SpaceFormat): Rights => (format === '32-bit' ? 'rwx' : 'rw');
  const filled = (format: SpaceFormat, policy: SpacePolicy = {}): Made => {
    const made = make(format, {}, policy);
    const { space } = made;
    space.map(0n, 0x80_0000n, { physical: 0n, rights: rights(format) });
    space.map(0x80_0000n, 0x80_0000n, { physical: 0x80_0000n, rights: rights(format), maxPage: 0x1000n });
    space.map(0x200_0000n, 0x5000n, { physical: 0x6000n, rights: rights(format), user: true });
    return made;
  };

  test.each(SPACE_FORMATS.flatMap((format) => edits.map(([name, edit]) => ({ format, name, edit }))))(
    '$format: $name, read back over the same tables elsewhere, does the same',
    ({ format, edit }) => {
      const made = filled(format);
      const twin = twinOf(made);
      const plan = edit(made.space.plan);
      const json = through(plan);
      const read = planFromJSON(twin.space, json);
      expect(JSON.stringify(read)).toBe(JSON.stringify(plan));
      for (const frame of [...twin.allocator.used].reverse()) {
        if (!made.allocator.used.has(frame)) twin.allocator.free(frame);
      }
      const done = made.space.commit(plan);
      const again = twin.space.commit(read);
      expect(leaves(twin.space)).toBe(leaves(made.space));
      expect(again.tablesFreed).toEqual(done.tablesFreed);
      expect(again.tablesMade.length).toBe(done.tablesMade.length);
      expect(again.invalidations).toEqual(done.invalidations.map((one) => ({ ...one })));
    },
  );

  test('marks that a processor sets meanwhile are no change; anything else is', () => {
    const made = filled('4-level');
    made.space.map(0x300_0000n, 0x1000n, { physical: 0n, rights: 'rw', accessed: false, dirty: false });
    const { space } = made;
    const json = through(space.plan.protect(0x300_0000n, 0x1000n, { rights: 'r' }));
    const { address } = space.walk(0x300_0000n).steps[3];
    // A (bit 5) and D (bit 6).
    space.memory.words[Number(address) / 4] |= 0x60;
    const read = planFromJSON(space, json);
    space.memory.words[Number(address) / 4] |= 0x200;
    expect(() => planFromJSON(space, json)).toThrow(/is not 0x8000000000000003 any more/);
    expect(() => space.commit(read)).toThrow(expect.objectContaining({ code: 'STALE_PLAN' }));
    space.memory.words[Number(address) / 4] &= ~0x200;
    space.commit(read);
    expect(space.memory.words[Number(address) / 4]).toBe(0x61);
    expect(() => space.commit(read)).toThrow(expect.objectContaining({ code: 'STALE_PLAN' }));
  });

  test('a live plan keeps its absence in between', () => {
    const made = filled('aarch64-4k', { live: true });
    const json = through(made.space.plan.unmap(0x1000n, 0x1000n));
    expect(json).toMatchObject({
      live: true,
      between: [{ address: '0x0000000000000000', bytes: '0x200000' }],
    });
    const read = planFromJSON(made.space, json);
    expect(() => made.space.commit(read)).toThrow(expect.objectContaining({ code: 'BREAK_BEFORE_MAKE' }));
    let calls = 0;
    made.space.commit(read, { invalidate: () => (calls += 1) });
    expect(calls).toBeGreaterThan(0);
    expect(made.space.translate(0x1000n).kind).toBe('not-present');
    expect(made.space.translate(0x2000n)).toMatchObject({ physical: 0x2000n });
    const quiet = filled('aarch64-4k');
    expect(() => planFromJSON(made.space, through(quiet.space.plan.unmap(0n, 0x1000n)))).toThrow(
      /live: expected true/,
    );
  });

  test('tables that others use are not written by a plan that was read', () => {
    const made = filled('4-level');
    const json = through(made.space.plan.unmap(0x80_0000n, 0x1000n));
    made.space.clone({ tables: 'share' });
    expect(() => planFromJSON(made.space, json)).toThrow(expect.objectContaining({ code: 'SHARED_TABLE' }));
  });

  type Loose = Record<string, unknown> & {
    writes: Record<string, unknown>[];
    between: unknown[];
    invalidations: Record<string, unknown>[];
  };
  const write = (index: number, fields: object) => (json: Loose) => {
    const writes = json.writes.map((one, i) => (i === index ? { ...one, ...fields } : one));
    return { ...json, writes };
  };
  // The plan splits one large page: 511 entries of a new table, then the entry that leads to it.
  test.each<[string, (json: Loose) => unknown, RegExp]>([
    ['nothing', () => undefined, /it: expected an object/],
    [
      'another format',
      (json) => ({ ...json, format: 'sv39' }),
      /format: expected one of 4-level, found 'sv39'/,
    ],
    [
      'too many tables',
      (json) => ({ ...json, tablesNeeded: 2 ** 40 }),
      /tablesNeeded: expected a whole number/,
    ],
    [
      'a table to which nothing leads',
      (json) => ({ ...json, tablesNeeded: 2 }),
      /an entry that leads to each table, found 1/,
    ],
    [
      'a frame that it does not replace',
      (json) => ({ ...json, tablesFreed: ['0x1000'] }),
      /tablesFreed\[0\]: expected a table that the plan/,
    ],
    ['another table', write(511, { table: '0x0000000000009000' }), /the walk leads to the table at 0x/],
    ['a table that is not there', write(511, { address: '0x0000000100000000' }), /leads to no table/],
    ['the wrong index', write(511, { index: 3 }), /an index that belongs to its address/],
    ['what is not there', write(511, { before: '0x0' }), /any more/],
    [
      'a table of its own choice',
      write(511, { after: '0x5003', leadsTo: null }),
      /an entry that leads to each table/,
    ],
    [
      'an entry that is not present and not zero',
      write(0, { after: '0x0000000000005002' }),
      /after: expected zero, or an entry without reserved bits/,
    ],
    ['a present bit only', write(511, { after: '0x00000000abc00003' }), /no address where a table is made/],
    [
      'the same entry twice',
      (json) => ({ ...json, writes: [json.writes[0], ...json.writes] }),
      /one write of each entry/,
    ],
    ['a text for an index', write(0, { index: '0' }), /writes\[0\].index: expected a whole number/],
    [
      'a range beyond the space',
      (json) => ({ ...json, invalidations: [{ ...json.invalidations[0], bytes: '0xfffffffffffff000' }] }),
      /whole pages/,
    ],
    [
      'an odd page',
      (json) => ({ ...json, invalidations: [{ ...json.invalidations[0], pageBytes: '0x1001' }] }),
      /whole pages/,
    ],
  ])('refuses %s', (_, change, message) => {
    const made = filled('4-level');
    const json = through(made.space.plan.unmap(0x1000n, 0x1000n)) as Loose;
    const held = made.allocator.used.size;
    const words = made.space.memory.words.slice();
    expect(() => planFromJSON(made.space, change(json))).toThrow(message);
    expect(made.allocator.used.size).toBe(held);
    expect(made.space.memory.words.every((word, i) => word === words[i])).toBe(true);
  });
});

describe('docs/schema', () => {
  const schema = (name: string) =>
    JSON.parse(readFileSync(new URL(`../../docs/schema/${name}.schema.json`, import.meta.url), 'utf8'));
  test.each(SPACE_FORMATS)('%s: what is written is as the schemas say', (format) => {
    const made = make(format);
    scribble(new Random(7), made, format);
    expect(violations(schema('space'), through(made.space))).toEqual([]);
    expect(violations(schema('plan'), through(made.space.plan.unmap(0n, 0x800_1000n)))).toEqual([]);
    expect(violations(schema('plan'), through(made.space))).not.toEqual([]);
  });
});

interface Schema {
  readonly type?: string | readonly string[];
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly pattern?: string;
  readonly minimum?: number;
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: boolean | Schema;
  readonly items?: Schema;
  readonly oneOf?: readonly Schema[];
}

/** As much of JSON Schema as the two use. */
function violations(schema: Schema, value: unknown, at = ''): string[] {
  const kind = value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value;
  const kinds = kind === 'number' && Number.isInteger(value) ? ['number', 'integer'] : [kind];
  const types = typeof schema.type === 'string' ? [schema.type] : schema.type;
  const found: string[] = [];
  if (types && !types.some((one) => kinds.includes(one))) found.push(`${at}: ${kind}`);
  if (schema.const !== undefined && schema.const !== value) found.push(`${at}: const`);
  if (schema.enum && !schema.enum.includes(value)) found.push(`${at}: enum`);
  if (schema.pattern && typeof value === 'string' && !new RegExp(schema.pattern).test(value))
    found.push(`${at}: ${value}`);
  if (schema.minimum !== undefined && Number(value) < schema.minimum) found.push(`${at}: minimum`);
  if (schema.oneOf && schema.oneOf.filter((one) => violations(one, value).length === 0).length !== 1) {
    found.push(`${at}: oneOf`);
  }
  if (Array.isArray(value)) {
    const { items } = schema;
    if (items) found.push(...value.flatMap((one, i) => violations(items, one, `${at}[${i}]`)));
  } else if (typeof value === 'object' && value !== null) {
    for (const name of schema.required ?? []) if (!(name in value)) found.push(`${at}.${name}: missing`);
    for (const [name, one] of Object.entries(value)) {
      const its = schema.properties?.[name] ?? schema.additionalProperties;
      if (its === false) found.push(`${at}.${name}: unknown`);
      else if (typeof its === 'object') found.push(...violations(its, one, `${at}.${name}`));
    }
  }
  return found;
}
