import { describe, expect, test } from 'vitest';
import { flatMemory, type PageTableError } from '../../src/index.ts';
import {
  AddressSpace,
  type CreateOptions,
  type InstructionOptions,
  invalidationInstructions,
  type SpaceFormat,
  type SpaceInvalidation,
  type SpacePlan,
} from '../../src/space/index.ts';
import { StrictAllocator } from './strict-allocator.ts';

// What manuals ask of those who change tables that are in use, row by row: an edit that makes the change, and the instructions
// that must come of it. Written from the manuals' rules, without a look at the code.

const K4 = 0x1000n;
const M2 = 0x20_0000n;
const G1 = 0x4000_0000n;
/** Where data lies. */
const DATA = 0x800_0000n;
const AT = 0x4000_0000n;

/** What an edit wants: instructions while entries are absent, and those at its end. */
interface Wanted {
  /** `undefined`: nothing need be absent. */
  readonly between?: readonly string[];
  readonly end: readonly string[];
}

function spaceOf(format: SpaceFormat, options: Partial<CreateOptions> = {}): AddressSpace {
  const memory = flatMemory(new ArrayBuffer(64 * 4096));
  return AddressSpace.create({
    format,
    memory,
    allocator: new StrictAllocator(0, 64),
    live: true,
    ...options,
  });
}

const both = <T>(make: (spuriousFaults: 'avoid' | 'tolerate') => T): readonly [T, T] => [
  make('avoid'),
  make('tolerate'),
];

/** Makes an edit of a live space; where entries must be absent, it is refused first when nobody can be asked to invalidate. */
function edit(space: AddressSpace, make: () => SpacePlan, options: InstructionOptions = {}): Wanted {
  const text = (list: readonly SpaceInvalidation[]) =>
    invalidationInstructions(space, list, options).map((one) => one.text);
  const plan = make();
  if (plan.breaks) {
    const before = space.memory.words.slice();
    expect(codeOf(() => space.commit(make()))).toBe('BREAK_BEFORE_MAKE');
    expect(space.memory.words).toEqual(before);
  }
  const lists: (readonly SpaceInvalidation[])[] = [];
  const result = space.commit(plan, { invalidate: (list) => lists.push(list) });
  const between = plan.breaks ? { between: text(lists[0] ?? []) } : {};
  return { ...between, end: text(result.invalidations) };
}

function codeOf(action: () => unknown): string | undefined {
  try {
    action();
    return undefined;
  } catch (error) {
    return (error as PageTableError).code;
  }
}

/** The word of memory at which an entry of a walk stands. */
function placeOf(space: AddressSpace, address: bigint, depth: number): number {
  const step = space.walk(address).steps[depth];
  const [{ format }] = space.pagings;
  return space.memory.locate(step.tableFrame) + (step.index << format.entryShift);
}

describe('x86 (SDM "Invalidation of TLBs and Paging-Structure Caches", "Details of TLB Use")', () => {
  const mapped = (
    options: Partial<Parameters<AddressSpace['map']>[2]> = {},
    more: Partial<CreateOptions> = {},
    bytes = K4,
  ) => {
    const space = spaceOf('4-level', more);
    // A neighbour, so that no table goes.
    if (bytes < M2) space.map(AT + 0x10_0000n, K4, { physical: DATA, rights: 'r' });
    space.map(AT, bytes, { physical: DATA + M2, rights: 'rw', ...options });
    return space;
  };
  const invlpg = { end: ['INVLPG 0x40000000'] };
  const nothing = { end: [] };

  test('an entry that becomes present wants nothing, nor does a table', () => {
    const space = mapped();
    expect(edit(space, () => space.plan.map(AT + K4, K4, { physical: DATA, rights: 'rw' }))).toEqual(nothing);
    expect(edit(space, () => space.plan.map(AT + G1, K4, { physical: DATA, rights: 'rw' }))).toEqual(nothing);
    const at = placeOf(space, AT + 8n * K4, 3);
    space.memory.words[at] = 0xffff_fffe;
    expect(
      edit(space, () =>
        space.plan.map(AT + 8n * K4, K4, { physical: DATA, rights: 'r', overlap: 'replace' }),
      ),
    ).toEqual(nothing);
  });

  test.each([
    ['R/W 0 to 1', { rights: 'r' }, { rights: 'rw' }],
    ['XD 1 to 0', { rights: 'r' }, { rights: 'rx' }],
    ['U/S 0 to 1 with SMEP = 0', { rights: 'rx' }, { rights: 'rx', user: true }],
  ] as const)('rights that only widen, %s: optional', (_, before, after) => {
    const found = both((spuriousFaults) => {
      const space = mapped(before, { spuriousFaults });
      return edit(space, () => space.plan.protect(AT, K4, after));
    });
    expect(found).toEqual([invlpg, nothing]);
  });

  test.each([
    ['SMEP', 1n << 20n, 'rx'],
    ['SMAP', 1n << 21n, 'r'],
  ] as const)('U/S 0 to 1 with %s = 1 takes something from the kernel', (_, bit, rights) => {
    const found = both((spuriousFaults) => {
      const space = mapped({ rights }, { spuriousFaults, control: { cr4: 0xb0n | bit } });
      return edit(space, () => space.plan.protect(AT, K4, { rights, user: true }));
    });
    expect(found).toEqual([invlpg, invlpg]);
  });

  test.each(['accessed', 'dirty'] as const)('%s 0 to 1 wants nothing; 1 to 0 is optional', (mark) => {
    const space = mapped({ [mark]: false });
    expect(edit(space, () => space.plan.protect(AT, K4, { [mark]: true }))).toEqual(nothing);
    const found = both((spuriousFaults) => {
      const marked = mapped({}, { spuriousFaults });
      return edit(marked, () => marked.plan.protect(AT, K4, { [mark]: false }));
    });
    expect(found).toEqual([invlpg, nothing]);
  });

  test.each([
    ['P 1 to 0', (space: AddressSpace) => space.plan.unmap(AT, K4)],
    [
      'another frame',
      (space: AddressSpace) => space.plan.map(AT, K4, { physical: DATA, rights: 'rwx', overlap: 'replace' }),
    ],
    ['no writes', (space: AddressSpace) => space.plan.protect(AT, K4, { rights: 'rx' })],
    ['no fetches', (space: AddressSpace) => space.plan.protect(AT, K4, { rights: 'rw' })],
    ['another memory type', (space: AddressSpace) => space.plan.protect(AT, K4, { type: 'write-through' })],
    ['global', (space: AddressSpace) => space.plan.protect(AT, K4, { global: true })],
  ] as const)('a page, %s: INVLPG', (_, change) => {
    const found = both((spuriousFaults) => {
      const space = mapped({ rights: 'rwx' }, { spuriousFaults });
      return edit(space, () => change(space));
    });
    expect(found).toEqual([invlpg, invlpg]);
  });

  test('a page that applications lose, and one that stops being global: INVLPG', () => {
    const space = mapped({ user: true });
    expect(edit(space, () => space.plan.protect(AT, K4, { rights: 'rw', user: false }))).toEqual(invlpg);
    const global = mapped({ global: true });
    expect(edit(global, () => global.plan.protect(AT, K4, { global: false }))).toEqual(invlpg);
  });

  test('rights that widen and narrow at once are no mere widening', () => {
    const found = both((spuriousFaults) => {
      const space = mapped({ rights: 'rw' }, { spuriousFaults });
      return edit(space, () => space.plan.protect(AT, K4, { rights: 'rx' }));
    });
    expect(found).toEqual([invlpg, invlpg]);
  });

  test('each page of a range by itself, each large page once', () => {
    const space = mapped({}, {}, K4 * 3n);
    expect(edit(space, () => space.plan.unmap(AT, K4 * 3n))).toEqual({
      end: ['INVLPG 0x40000000', 'INVLPG 0x40001000', 'INVLPG 0x40002000'],
    });
    const large = mapped({ maxPage: M2 }, {}, 2n * M2);
    expect(edit(large, () => large.plan.unmap(AT, 2n * M2))).toEqual({
      end: ['INVLPG 0x40000000', 'INVLPG 0x40200000'],
    });
  });

  test('a table that goes: INVLPG of every page under it, which drops what led to it', () => {
    const space = spaceOf('4-level');
    space.map(AT, K4 * 2n, { physical: DATA, rights: 'rw' });
    expect(edit(space, () => space.plan.unmap(AT, K4 * 2n))).toEqual({
      end: ['INVLPG 0x40000000', 'INVLPG 0x40001000'],
    });
  });

  test('a table of which nothing is left: one INVLPG of any address', () => {
    const space = spaceOf('4-level');
    space.map(AT, K4, { physical: DATA, rights: 'rw' });
    space.memory.words.fill(0, placeOf(space, AT, 3), placeOf(space, AT, 3) + 2);
    const [plan] = space.plan.compact();
    const { end } = edit(space, () => plan);
    expect(end.map((text) => text.split(' ')[0])).toEqual(['INVLPG']);
  });

  test('a table in the place of one that is shared: one INVLPG, or those of the pages that change', () => {
    const space = mapped();
    const clone = space.clone({ tables: 'share' });
    const { end } = edit(clone, () => clone.plan.map(AT + K4, K4, { physical: DATA, rights: 'rw' }));
    expect(end.map((text) => text.split(' ')[0])).toEqual(['INVLPG']);
    expect(edit(clone, () => clone.plan.unmap(AT, K4))).toEqual(invlpg);
  });

  test('more than 33 pages: CR3 is loaded; where some are global, CR4.PGE is toggled', () => {
    const count = 34n * K4;
    const some = mapped({}, {}, count);
    expect(edit(some, () => some.plan.unmap(AT, count))).toEqual({ end: ['MOV CR3, CR3'] });
    const global = mapped({ global: true }, {}, count);
    expect(edit(global, () => global.plan.unmap(AT, count))).toEqual({
      end: ['MOV CR4 with PGE = 0', 'MOV CR4 with PGE = 1'],
    });
    const one = mapped({}, {}, 33n * K4);
    expect(edit(one, () => one.plan.unmap(AT, 33n * K4)).end.length).toBe(33);
    const never = mapped({}, {}, count);
    const all = { fullAfter: Number.POSITIVE_INFINITY };
    expect(edit(never, () => never.plan.unmap(AT, count), all).end.length).toBe(34);
  });

  test.each([
    [
      'frame',
      (space: AddressSpace) => space.plan.map(AT, K4, { physical: DATA, rights: 'rw', overlap: 'replace' }),
    ],
    ['rights', (space: AddressSpace) => space.plan.protect(AT, K4, { rights: 'r' })],
    ['memory type', (space: AddressSpace) => space.plan.protect(AT, K4, { type: 'device' })],
  ] as const)('another page size and another %s: absent in between, one INVLPG there', (_, change) => {
    const space = mapped({}, {}, M2);
    const found = edit(space, () => change(space));
    expect(found.between?.length).toBe(1);
    expect(found.between?.[0]).toMatch(/^INVLPG 0x40[01]/);
    expect(found.end).toEqual([]);
  });

  test('another page size and other rights in a table that is shared: the entry that leads to its copy is absent', () => {
    const space = spaceOf('4-level');
    space.map(AT, M2, { physical: DATA, rights: 'rw' });
    const clone = space.clone({ tables: 'share' });
    const found = edit(clone, () => clone.plan.protect(AT, K4, { rights: 'r' }));
    expect(found.between).toEqual(['INVLPG 0x40000000']);
    expect(found.end).toEqual([]);
  });

  test('pages that become one that maps the same: nothing need be absent', () => {
    const space = mapped({ maxPage: K4 }, {}, M2);
    const [plan] = space.plan.compact();
    // All 512 translations go, as one INVLPG later on would find that of the large page only.
    expect(edit(space, () => plan)).toEqual({ end: ['MOV CR3, CR3'] });
  });

  test('a large page of which a part goes: nothing need be absent, one INVLPG', () => {
    const space = mapped({}, {}, M2);
    const found = edit(space, () => space.plan.unmap(AT + 3n * K4, K4));
    expect(found.between).toBeUndefined();
    expect(found.end.length).toBe(1);
    expect(found.end[0]).toMatch(/^INVLPG 0x40[01]/);
  });

  test('a PDPTE of PAE paging: CR3 is loaded, even where it becomes present', () => {
    const space = spaceOf('PAE');
    const map = (address: bigint, global = false) =>
      edit(space, () => space.plan.map(address, K4, { physical: DATA, rights: 'rw', global }));
    expect(map(AT)).toEqual({ end: ['MOV CR3, CR3'] });
    expect(map(AT + M2)).toEqual(nothing);
    expect(edit(space, () => space.plan.unmap(AT, G1))).toEqual({ end: ['MOV CR3, CR3'] });
    expect(map(AT, true)).toEqual({ end: ['MOV CR3, CR3'] });
    // Loading CR3 keeps what is global.
    expect(edit(space, () => space.plan.unmap(AT, G1))).toEqual({
      end: ['MOV CR3, CR3', 'INVLPG 0x40000000'],
    });
  });
});

describe('AArch64 (Arm ARM D8.17)', () => {
  const ASID = 5;
  const operand = (address: bigint) => `0x${((BigInt(ASID) << 48n) | (address >> 12n)).toString(16)}`;
  const any = (address: bigint) => `0x${(address >> 12n).toString(16)}`;
  const around = (...list: string[]) => ['DSB ISHST', ...list, 'DSB ISH', 'ISB'];
  const nothing = ['DSB ISHST', 'ISB'];
  const mapped = (
    options: Partial<Parameters<AddressSpace['map']>[2]> = {},
    more: Partial<CreateOptions> = {},
    bytes = K4,
  ) => {
    const space = spaceOf('aarch64-4k', { asid: ASID, ...more });
    if (bytes < M2) space.map(AT + 0x10_0000n, K4, { physical: DATA, rights: 'r' });
    space.map(AT, bytes, { physical: DATA + M2, rights: 'rw', ...options });
    return space;
  };
  const page = around(`TLBI VALE1IS, ${operand(AT)}`);

  test('an entry that becomes valid: barriers, no TLBI', () => {
    const space = mapped();
    expect(edit(space, () => space.plan.map(AT + K4, K4, { physical: DATA, rights: 'rw' }))).toEqual({
      end: nothing,
    });
    const unused = mapped({ accessed: false });
    expect(edit(unused, () => unused.plan.protect(AT, K4, { accessed: true }))).toEqual({ end: nothing });
  });

  test.each([
    ['valid to invalid', (space: AddressSpace) => space.plan.unmap(AT, K4)],
    ['narrower rights', (space: AddressSpace) => space.plan.protect(AT, K4, { rights: 'r' })],
    ['wider rights', (space: AddressSpace) => space.plan.protect(AT, K4, { rights: 'rwx' })],
    ['AF 1 to 0', (space: AddressSpace) => space.plan.protect(AT, K4, { accessed: false })],
  ] as const)('%s: TLBI after, nothing absent', (_, change) => {
    const found = both((spuriousFaults) => {
      const space = mapped({}, { spuriousFaults });
      return edit(space, () => change(space));
    });
    expect(found).toEqual([{ end: page }, { end: page }]);
  });

  test('global to non-global: TLBI for any ASID, nothing absent', () => {
    const space = mapped({ global: true });
    expect(edit(space, () => space.plan.protect(AT, K4, { global: false }))).toEqual({
      end: around(`TLBI VAALE1IS, ${any(AT)}`),
    });
  });

  test.each([
    ['another memory type', (space: AddressSpace) => space.plan.protect(AT, K4, { type: 'device' })],
    ['another shareability', (space: AddressSpace) => space.plan.protect(AT, K4, { fields: { SH: 2 } })],
    [
      'another output address that is written to',
      (space: AddressSpace) => space.plan.map(AT, K4, { physical: DATA, rights: 'rw', overlap: 'replace' }),
    ],
    ['non-global to global', (space: AddressSpace) => space.plan.protect(AT, K4, { global: true })],
  ] as const)('%s: break, TLBI, make', (_, change) => {
    const space = mapped();
    expect(edit(space, () => change(space))).toEqual({ between: page, end: nothing });
  });

  test('another output address of a page that nobody writes, with other contents: break, TLBI, make', () => {
    const space = mapped({ rights: 'r' });
    const replace = () => space.plan.map(AT, K4, { physical: DATA, rights: 'r', overlap: 'replace' });
    expect(edit(space, replace)).toEqual({ between: page, end: nothing });
  });

  test('a block that becomes a table: break, TLBI, make', () => {
    const space = mapped({}, {}, M2);
    expect(edit(space, () => space.plan.protect(AT, K4, { rights: 'r' }))).toEqual({
      between: page,
      end: nothing,
    });
    const part = mapped({}, {}, M2);
    expect(edit(part, () => part.plan.unmap(AT, K4))).toEqual({ between: page, end: nothing });
  });

  test('a table that becomes a block: break, TLBI of every page and of what led to it, make', () => {
    const space = mapped({ maxPage: K4 }, {}, M2);
    const [lower, upper] = space.plan.compact();
    expect(upper.breaks).toBe(false);
    const { between = [], end } = edit(space, () => lower, { fullAfter: 1000 });
    const wanted = Array.from({ length: 512 }, (_, i) => `TLBI VAE1IS, ${operand(AT + BigInt(i) * K4)}`);
    expect(between).toEqual(around(...wanted));
    expect(end).toEqual(nothing);
  });

  test('a page that leaves a contiguous group: break, TLBI of the whole group, make', () => {
    const space = mapped({ groups: true }, {}, 16n * K4);
    const wanted = Array.from({ length: 16 }, (_, i) => `TLBI VALE1IS, ${operand(AT + BigInt(i) * K4)}`);
    expect(edit(space, () => space.plan.protect(AT + 5n * K4, K4, { rights: 'r' }))).toEqual({
      between: around(...wanted),
      end: nothing,
    });
  });

  test('one page of a contiguous group that goes, too: no bit may differ among members', () => {
    const space = mapped({ groups: true }, {}, 16n * K4);
    const wanted = Array.from({ length: 16 }, (_, i) => `TLBI VALE1IS, ${operand(AT + BigInt(i) * K4)}`);
    const found = edit(space, () => space.plan.unmap(AT + 5n * K4, K4));
    expect(found.between).toEqual(around(...wanted));
  });

  test('rights of a whole contiguous group: TLBI of all of it', () => {
    const space = mapped({ groups: true }, {}, 16n * K4);
    const wanted = Array.from({ length: 16 }, (_, i) => `TLBI VALE1IS, ${operand(AT + BigInt(i) * K4)}`);
    expect(edit(space, () => space.plan.protect(AT, 16n * K4, { rights: 'r' })).end).toEqual(
      around(...wanted),
    );
  });

  test('fetches from a whole contiguous group: break, TLBI, make, since members may not differ for a time', () => {
    const space = mapped({ groups: true }, {}, 16n * K4);
    const wanted = Array.from({ length: 16 }, (_, i) => `TLBI VALE1IS, ${operand(AT + BigInt(i) * K4)}`);
    const found = edit(space, () => space.plan.protect(AT, 16n * K4, { rights: 'rwx' }));
    expect(found).toEqual({ between: around(...wanted), end: nothing });
  });

  test('pages that become a contiguous group: break, TLBI, make', () => {
    const space = mapped({}, {}, 16n * K4);
    const wanted = Array.from({ length: 16 }, (_, i) => `TLBI VALE1IS, ${operand(AT + BigInt(i) * K4)}`);
    const [plan] = space.plan.compact({ groups: true });
    expect(edit(space, () => plan)).toEqual({ between: around(...wanted), end: nothing });
  });

  test('APTable: break, TLBI of all below and of what leads there, make', () => {
    const space = mapped();
    // APTable[1]: no writes.
    space.memory.words[placeOf(space, AT, 2) + 1] |= 0x4000_0000;
    const found = edit(space, () => space.plan.protect(AT, K4, { rights: 'rw' }));
    expect(found.between).toEqual(
      around(`TLBI VAE1IS, ${operand(AT)}`, `TLBI VAE1IS, ${operand(AT + 0x10_0000n)}`),
    );
    expect(found.end).toEqual(nothing);
  });

  test('a software bit: nothing', () => {
    const space = mapped();
    space.memory.words[placeOf(space, AT, 3) + 1] |= 0x0080_0000;
    expect(edit(space, () => space.plan.protect(AT, K4, { rights: 'rw' }))).toEqual({ end: nothing });
  });

  test('a table that goes: VAE1IS, not VALE1IS', () => {
    const space = spaceOf('aarch64-4k', { asid: ASID });
    space.map(AT, K4, { physical: DATA, rights: 'rw' });
    expect(edit(space, () => space.plan.unmap(AT, K4))).toEqual({
      end: around(`TLBI VAE1IS, ${operand(AT)}`),
    });
    space.map(AT, K4, { physical: DATA, rights: 'rw', global: true });
    expect(edit(space, () => space.plan.unmap(AT, K4))).toEqual({
      end: around(`TLBI VAAE1IS, ${any(AT)}`),
    });
  });

  test('the upper half: VA[55:12] of the address', () => {
    const space = spaceOf('aarch64-4k', { asid: ASID });
    const high = 0xffff_8000_0000_0000n;
    space.map(high, 2n * K4, { physical: DATA, rights: 'rw' });
    expect(edit(space, () => space.plan.unmap(high, K4))).toEqual({
      end: around('TLBI VALE1IS, 0x5ff800000000'.replace('0x5', '0x50')),
    });
  });

  test('TTL: granule 4K in bits 3:2, the level in bits 1:0', () => {
    const space = mapped({}, {}, 2n * M2);
    expect(edit(space, () => space.plan.unmap(AT, M2), { levelHints: true })).toEqual({
      // 01 and 10 at bit 44.
      end: around(`TLBI VALE1IS, 0x${((5n << 48n) | (0b0110n << 44n) | (AT >> 12n)).toString(16)}`),
    });
  });

  test('ranges: (NUM + 1) * 2^(5 * SCALE + 1) granules from BaseADDR', () => {
    const space = mapped({ maxPage: K4 }, {}, 103n * K4);
    const range = (at: bigint, scale: bigint, num: bigint) =>
      `0x${((5n << 48n) | (1n << 46n) | (scale << 44n) | (num << 39n) | (at >> 12n)).toString(16)}`;
    // 64 + 38 + 1.
    expect(edit(space, () => space.plan.unmap(AT, 103n * K4), { ranges: true })).toEqual({
      end: around(
        `TLBI RVALE1IS, ${range(AT, 1n, 0n)}`,
        `TLBI RVALE1IS, ${range(AT + 64n * K4, 0n, 18n)}`,
        `TLBI VALE1IS, ${operand(AT + 102n * K4)}`,
      ),
    });
  });

  test('more than 512: all of the ASID, or all of it where some are global', () => {
    const count = 513n * K4;
    const some = mapped({ maxPage: K4 }, {}, count);
    expect(edit(some, () => some.plan.unmap(AT, count))).toEqual({
      end: around('TLBI ASIDE1IS, 0x5000000000000'),
    });
    const global = mapped({ maxPage: K4, global: true }, {}, count);
    expect(edit(global, () => global.plan.unmap(AT, count))).toEqual({ end: around('TLBI VMALLE1IS') });
  });
});

describe('RISC-V (Privileged ISA, "Supervisor Memory-Management Fence Instruction", "Svnapot")', () => {
  const ASID = 7;
  const mapped = (
    options: Partial<Parameters<AddressSpace['map']>[2]> = {},
    more: Partial<CreateOptions> = {},
    bytes = K4,
  ) => {
    const space = spaceOf('sv39', { asid: ASID, control: { svnapot: true, svpbmt: true }, ...more });
    if (bytes < M2) space.map(AT / 4n + 0x10_0000n, K4, { physical: DATA, rights: 'r' });
    space.map(AT / 4n, bytes, { physical: DATA + M2, rights: 'rw', ...options });
    return space;
  };
  const VA = AT / 4n;
  const page = { end: ['SFENCE.VMA 0x10000000, 7'] };
  const all = { end: ['SFENCE.VMA x0, 7'] };
  const nothing = { end: [] };

  test.each([
    ['invalid', (space: AddressSpace) => space.plan.unmap(VA, K4)],
    ['narrower', (space: AddressSpace) => space.plan.protect(VA, K4, { rights: 'r' })],
    [
      'another frame',
      (space: AddressSpace) => space.plan.map(VA, K4, { physical: DATA, rights: 'rw', overlap: 'replace' }),
    ],
    ['another type', (space: AddressSpace) => space.plan.protect(VA, K4, { type: 'device' })],
    ['for applications', (space: AddressSpace) => space.plan.protect(VA, K4, { rights: 'rw', user: true })],
  ] as const)('a leaf, %s: rs1 = its address, rs2 = the ASID', (_, change) => {
    const found = both((spuriousFaults) => {
      const space = mapped({}, { spuriousFaults });
      return edit(space, () => change(space));
    });
    expect(found).toEqual([page, page]);
  });

  test('a leaf that is global: rs2 = x0; a large one once', () => {
    const space = mapped({ global: true });
    expect(edit(space, () => space.plan.unmap(VA, K4))).toEqual({ end: ['SFENCE.VMA 0x10000000, x0'] });
    const large = mapped({}, {}, 2n * M2);
    expect(edit(large, () => large.plan.unmap(VA, M2))).toEqual(page);
  });

  test.each([
    ['a table that goes', {}, K4, (space: AddressSpace) => space.plan.unmap(VA, M2)],
    ['a leaf that becomes a table', {}, M2, (space: AddressSpace) => space.plan.unmap(VA, K4)],
    ['a table that becomes a leaf', { maxPage: K4 }, M2, (space: AddressSpace) => space.plan.compact()[0]],
  ] as const)('%s: rs1 = x0, nothing absent', (_, options, bytes, change) => {
    const found = both((spuriousFaults) => {
      const space = mapped(options, { spuriousFaults }, bytes);
      const plan = change(space);
      return edit(space, () => plan);
    });
    expect(found).toEqual([all, all]);
  });

  test('an entry that becomes valid: a fence, or a fault once', () => {
    const found = both((spuriousFaults) => {
      const space = mapped({}, { spuriousFaults });
      const leaf = edit(space, () => space.plan.map(VA + K4, K4, { physical: DATA, rights: 'rw' }));
      const table = edit(space, () => space.plan.map(VA + G1, K4, { physical: DATA, rights: 'rw' }));
      return [leaf, table];
    });
    expect(found).toEqual([
      [{ end: ['SFENCE.VMA 0x10001000, 7'] }, all],
      [nothing, nothing],
    ]);
  });

  test('wider rights: a fence, or a fault once', () => {
    const found = both((spuriousFaults) => {
      const space = mapped({}, { spuriousFaults });
      return edit(space, () => space.plan.protect(VA, K4, { rights: 'rwx' }));
    });
    expect(found).toEqual([page, nothing]);
  });

  test.each([
    [
      'of which a page changes',
      { groups: true },
      (space: AddressSpace) => space.plan.protect(VA + 5n * K4, K4, { rights: 'r' }),
    ],
    ['that is made of pages', {}, (space: AddressSpace) => space.plan.compact({ groups: true })[0]],
  ] as const)('a Svnapot group %s: all absent, each page fenced, then written', (_, options, change) => {
    const wanted = Array.from({ length: 16 }, (_, i) => `SFENCE.VMA 0x1000${i.toString(16)}000, 7`);
    const found = both((spuriousFaults) => {
      const space = mapped(options, { spuriousFaults }, 16n * K4);
      const plan = change(space);
      return edit(space, () => plan);
    });
    // They become valid again: another fence, or a fault once.
    expect(found).toEqual([
      { between: wanted, end: wanted },
      { between: wanted, end: [] },
    ]);
  });

  test('more than 64: all of the ASID, or all of it where some are global', () => {
    const count = 65n * K4;
    const some = mapped({}, {}, count);
    expect(edit(some, () => some.plan.unmap(VA, count))).toEqual(all);
    const global = mapped({ global: true }, {}, count);
    expect(edit(global, () => global.plan.unmap(VA, count))).toEqual({ end: ['SFENCE.VMA x0, x0'] });
  });
});
