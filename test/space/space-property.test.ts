import { expect, test } from 'vitest';
import { flatMemory, PageTableError } from '../../src/index.ts';
import {
  AddressSpace,
  type CompactOptions,
  type MapOptions,
  type Overlap,
  type PageOptions,
  type Rights,
  SPACE_FORMATS,
  type SpaceFormat,
  type SpacePlan,
} from '../../src/space/index.ts';
import { Cursor, DONE, TABLE } from '../../src/walk/index.ts';
import { LONG } from '../support/long.ts';
import { Random } from '../support/random.ts';
import { JUDGED, judgeOf, mayAccess } from './judge.ts';
import { plainWalk } from './plain-walk.ts';
import { type ModelRange, RangeModel } from './range-model.ts';
import { StrictAllocator } from './strict-allocator.ts';

// Random edits of spaces, each against a sorted list of ranges: after each, the programs in test/support, which walk tables as the
// manuals say, find at every boundary what the list says.

const OPERATIONS = Number(process.env['SPACE_OPERATIONS'] ?? (LONG ? 1_000_000 : 12_000));
/** Operations on one space before the next one is made. */
const LIFE = 60;
const FRAMES = 400;

interface Shape {
  readonly control?: object;
  /** Bits of a virtual address, and whether there are two ends. */
  readonly vaBits: number;
  readonly halves: 'one' | 'signed' | 'two';
  /** Bytes of pages. */
  readonly sizes: readonly bigint[];
  /** Sizes of contiguous groups. */
  readonly groups: readonly bigint[];
  readonly physBits: number;
  readonly rights: readonly Rights[];
  readonly types: readonly string[];
}

const K4 = 0x1000n;
const M2 = 0x20_0000n;
const G1 = 0x4000_0000n;
const RW: readonly Rights[] = ['r', 'rw', 'rx', 'rwx'];
const X86_TYPES = ['write-back', 'write-through', 'non-cacheable', 'device'];
/** WB, UC, UC, UC, WT, WC, UC-, UC: two of the words need the PAT bit, which large pages have elsewhere. */
const PAT = { pat: 0x0007_0104_0000_0006n };
/** Names of memory types by word: of x86 with that PAT, AArch64, and RISC-V with Svpbmt. */
const TYPE_NAMES: Readonly<Record<string, readonly string[]>> = {
  'write-back': ['WB', 'PMA'],
  'write-through': ['WT'],
  'non-cacheable': ['WC', 'NC'],
  device: ['UC', 'Device-nGnRE', 'IO'],
};

const SHAPES: Readonly<Record<SpaceFormat, Shape>> = {
  '32-bit': {
    control: PAT,
    vaBits: 32,
    halves: 'one',
    sizes: [K4, 0x40_0000n],
    groups: [],
    physBits: 32,
    rights: ['rx', 'rwx'],
    types: X86_TYPES,
  },
  PAE: {
    control: PAT,
    vaBits: 32,
    halves: 'one',
    sizes: [K4, M2],
    groups: [],
    physBits: 40,
    rights: RW,
    types: X86_TYPES,
  },
  '4-level': {
    control: PAT,
    vaBits: 48,
    halves: 'signed',
    sizes: [K4, M2, G1],
    groups: [],
    physBits: 46,
    rights: RW,
    types: X86_TYPES,
  },
  '5-level': {
    control: PAT,
    vaBits: 57,
    halves: 'signed',
    sizes: [K4, M2, G1],
    groups: [],
    physBits: 52,
    rights: RW,
    types: X86_TYPES,
  },
  'aarch64-4k': {
    vaBits: 48,
    halves: 'two',
    sizes: [K4, M2, G1],
    groups: [0x1_0000n, 0x200_0000n, 0x4_0000_0000n],
    physBits: 48,
    rights: RW,
    types: X86_TYPES,
  },
  sv32: {
    vaBits: 32,
    halves: 'one',
    sizes: [K4, 0x40_0000n],
    groups: [],
    physBits: 34,
    rights: [...RW, 'x'],
    types: ['write-back'],
  },
  sv39: {
    control: { svnapot: true, svpbmt: true },
    vaBits: 39,
    halves: 'signed',
    sizes: [K4, M2, G1],
    groups: [0x1_0000n],
    physBits: 56,
    rights: [...RW, 'x'],
    types: ['write-back', 'non-cacheable', 'device'],
  },
  sv48: {
    vaBits: 48,
    halves: 'signed',
    sizes: [K4, M2, G1, G1 * 512n],
    groups: [],
    physBits: 50,
    rights: [...RW, 'x'],
    types: ['write-back'],
  },
  sv57: {
    vaBits: 57,
    halves: 'signed',
    sizes: [K4, M2, G1, G1 * 512n, G1 * 512n * 512n],
    groups: [],
    physBits: 56,
    rights: [...RW, 'x'],
    types: ['write-back'],
  },
};

/** A space, what it should be, and a place of its own for edits. */
interface Subject {
  readonly space: AddressSpace;
  readonly model: RangeModel;
}

/** Virtual addresses that a space has, in pages: both ends of each half. */
function zones({ vaBits, halves }: Shape): readonly [bigint, bigint][] {
  const pages = 1n << BigInt(vaBits - 12);
  if (halves === 'one') return [[0n, pages]];
  const part = halves === 'signed' ? pages / 2n : pages;
  return [
    [0n, part],
    [(1n << 52n) - part, 1n << 52n],
  ];
}

class Run {
  readonly shape: Shape;
  readonly format: SpaceFormat;
  readonly random: Random;
  readonly allocator = new StrictAllocator(1, FRAMES);
  readonly memory = flatMemory(new ArrayBuffer((FRAMES + 1) * 4096));
  subjects: Subject[] = [];
  operations = 0;
  applied = 0;
  failures = 0;
  private wasShared = false;

  constructor(format: SpaceFormat, seed: number) {
    this.format = format;
    this.shape = SHAPES[format];
    this.random = new Random(seed);
    const { control = {} } = this.shape;
    // What was in the frames before is nobody's business.
    this.memory.words.fill(this.random.next());
    const space = AddressSpace.create({
      format,
      memory: this.memory,
      allocator: this.allocator,
      control,
      maxTables: 2 * FRAMES,
    });
    this.subjects = [{ space, model: new RangeModel() }];
  }

  private range(): [bigint, bigint] {
    const { random, shape } = this;
    const [from, to] = random.pick(zones(shape));
    const size = random.pick(shape.sizes) / K4;
    const near = random.chance(0.5) ? from : to - size * 4n;
    const known = this.subjects.flatMap(({ model }) => model.ranges);
    const start =
      known.length > 0 && random.chance(0.6)
        ? random.pick([random.pick(known).first, random.pick(known).end - size])
        : near + BigInt(random.below(4)) * size;
    const shift = BigInt(random.pick([0, 0, 0, 1, 3, 16, 511, -1, -2]));
    const first = clamp(start + shift, from, to - 1n);
    const length = random.pick([
      1n,
      BigInt(1 + random.below(40)),
      size * BigInt(1 + random.below(3)),
      size * BigInt(1 + random.below(2)) + BigInt(random.below(5) - 2),
    ]);
    return [first, clamp(first + (length > 0n ? length : 1n), first + 1n, to)];
  }

  private page(): ModelRange['options'] {
    const { random, shape } = this;
    return {
      rights: random.pick(shape.rights),
      user: random.chance(0.5),
      type: random.pick(shape.types),
      global: random.chance(0.3),
    };
  }

  private frameFor(first: bigint, end: bigint): bigint {
    const { random, shape } = this;
    const limit = (1n << BigInt(shape.physBits - 12)) - (end - first);
    const size = random.pick(shape.sizes) / K4;
    const base = random.bits(shape.physBits - 12) % (limit + 1n);
    // Often so that large pages fit.
    const fitting = base - (base % size) + (first % size);
    return random.chance(0.7) && fitting <= limit && fitting >= 0n ? fitting : base;
  }

  step(): void {
    const { random } = this;
    const subject = random.pick(this.subjects);
    const { space, model } = subject;
    this.operations += 1;
    const [first, end] = this.range();
    const [address, bytes] = [first * K4, (end - first) * K4];
    const choice = random.next() % 100;
    if (choice < 45) {
      const options = this.page();
      const overlap: Overlap = random.pick(['refuse', 'replace', 'keep']);
      const frame = this.frameFor(first, end);
      const maxPage = random.chance(0.2) ? { maxPage: random.pick(this.shape.sizes) } : {};
      const groups = this.shape.groups.length > 0 && random.chance(0.4);
      const all: MapOptions = { ...options, ...maxPage, groups, physical: frame * K4, overlap };
      const range = { first, end, frame, options };
      const isFree = !model.touches(first, end);
      if (overlap === 'refuse' && !isFree) {
        const before = this.memory.words.slice();
        const code = thrown(() => space.map(address, bytes, all))?.code;
        // Where there are too many tables before the first page that is in the way.
        if (code !== 'LIMIT_EXCEEDED') expect(code).toBe('ALREADY_MAPPED');
        expect(compareWords(this.memory.words, before)).toBe(0);
        return;
      }
      if (!this.apply(space, () => space.plan.map(address, bytes, all))) return;
      if (overlap === 'keep') model.keep(range);
      else model.map(range);
      if (isFree) this.checkSizes(subject, range, all);
    } else if (choice < 65) {
      if (!this.apply(space, () => space.plan.unmap(address, bytes))) return;
      model.unmap(first, end);
    } else if (choice < 85) {
      const { rights, user, type, global } = this.page();
      const change = random.pick<Partial<PageOptions>>([
        { rights, user },
        { type },
        { global },
        { rights, user, type },
      ]);
      const hole = model.hole(first, end);
      const missing = random.pick(['ignore', 'refuse'] as const);
      if (hole !== undefined && missing === 'refuse') {
        const error = thrown(() => space.protect(address, bytes, { ...change, missing }));
        expect(error?.code).toBe('NOT_MAPPED');
        expect(error?.detail['address']).toBe(hole * K4);
        return;
      }
      if (!this.apply(space, () => space.plan.protect(address, bytes, { ...change, missing }))) return;
      model.protect(first, end, change);
    } else if (choice < 93) {
      const groups = random.chance(0.5);
      const options: CompactOptions = random.chance(0.5) ? { groups } : { address, bytes, groups };
      for (const i of space.plan.compact(options).keys()) {
        const plan = space.plan.compact(options)[i];
        if (plan !== undefined) this.apply(space, () => plan);
      }
      // What others use is not touched.
      if (options.address === undefined && this.subjects.length === 1 && !this.wasShared) {
        for (const range of model.merged())
          this.checkSizes(subject, range, { groups: options.groups ?? false }, 'at least');
      }
    } else if (this.subjects.length < 4) {
      this.clone(subject);
    } else {
      this.drop(subject);
    }
    this.check(subject, [first, end]);
  }

  /** Commits a plan, after allocation has failed at every place where it can; `false` if there is no room for its tables. */
  private apply(space: AddressSpace, make: () => SpacePlan): boolean {
    const { allocator, memory } = this;
    let plan: SpacePlan;
    try {
      plan = make();
    } catch (error) {
      if (error instanceof PageTableError && error.code === 'LIMIT_EXCEEDED') return false;
      throw error;
    }
    const needed = plan.tablesNeeded;
    const freed = [...plan.tablesFreed];
    const before = memory.words.slice();
    const used = allocator.used.size;
    const fails = [...new Set([0, 1, needed - 1, this.random.below(Math.max(1, needed))])].filter(
      (budget) => budget >= 0 && budget < needed,
    );
    for (const budget of needed < 8 ? Array.from({ length: needed }, (_, i) => i) : fails) {
      allocator.budget = budget;
      expect(thrown(() => space.commit(plan))?.code).toBe('OUT_OF_FRAMES');
      expect(allocator.used.size).toBe(used);
      this.failures += 1;
    }
    if (needed > 0) expect(compareWords(memory.words, before)).toBe(0);
    allocator.budget = needed;
    if (needed > FRAMES - used) {
      expect(thrown(() => space.commit(plan))?.code).toBe('OUT_OF_FRAMES');
      allocator.budget = Number.POSITIVE_INFINITY;
      return false;
    }
    const result = space.commit(plan);
    // Exactly as many as it said.
    expect(allocator.budget).toBe(0);
    allocator.budget = Number.POSITIVE_INFINITY;
    expect(result.tablesMade.length).toBe(needed);
    expect([...result.tablesFreed]).toEqual(freed);
    expect(allocator.used.size).toBe(used + needed - freed.length);
    this.applied += 1;
    return true;
  }

  private clone({ space, model }: Subject): void {
    const tables = this.random.pick(['share', 'copy'] as const);
    if (tables === 'share') this.wasShared = true;
    const before = this.memory.words.slice();
    const used = this.allocator.used.size;
    this.allocator.budget = this.random.below(3);
    const error = thrown(() => this.subjects.push({ space: space.clone({ tables }), model: model.copy() }));
    this.allocator.budget = Number.POSITIVE_INFINITY;
    if (error !== undefined) {
      expect(error.code).toBe('OUT_OF_FRAMES');
      expect(compareWords(this.memory.words, before)).toBe(0);
      expect(this.allocator.used.size).toBe(used);
    }
  }

  /** Unmaps all of a space and forgets it. */
  private drop(subject: Subject): void {
    const { space, model } = subject;
    for (const { first, end } of [...model.ranges]) {
      if (!this.apply(space, () => space.plan.unmap(first * K4, (end - first) * K4))) return;
      model.unmap(first, end);
    }
    for (const root of space.roots) this.allocator.free(Number(root >> 12n));
    this.subjects = this.subjects.filter((one) => one !== subject);
  }

  /** Every boundary and its neighbours, and that each frame in use is a table of somebody's. */
  private check(changed: Subject, near: readonly bigint[]): void {
    for (const { space, model } of this.subjects) {
      const points = new Set(space === changed.space ? near : []);
      for (const { first, end } of model.ranges) {
        for (const page of [first, end, (first + end) / 2n]) points.add(page);
      }
      const every = [...points].flatMap((page) => [page - 1n, page]);
      // Those of the space that was edited, and some of the others, which nothing may have touched.
      const chosen = space === changed.space ? every : every.filter(() => this.random.chance(0.2));
      for (const page of chosen) this.checkPage(space, model, page);
    }
    const tables = reachable(this.subjects.map(({ space }) => space));
    if (tables.size !== this.allocator.used.size) {
      expect([...this.allocator.used].filter((frame) => !tables.has(frame))).toEqual([]);
    }
    expect(tables.size).toBe(this.allocator.used.size);
  }

  private checkPage(space: AddressSpace, model: RangeModel, page: bigint): void {
    if (!zones(this.shape).some(([from, to]) => from <= page && page < to)) return;
    const range = model.at(page);
    const found = plainWalk(this.memory, this.format, rootFor(space, page), Number(page));
    let wanted = 0;
    for (const [i, access] of JUDGED.entries()) {
      if (range !== undefined && mayAccess(this.format, range.options, access)) wanted |= 1 << i;
    }
    const frame = range === undefined ? undefined : Number(range.frame + page - range.first);
    if (found?.frame !== frame || (found?.accesses ?? 0) !== wanted) {
      expect({ page: page.toString(16), ...found }).toEqual({
        page: page.toString(16),
        frame,
        accesses: wanted,
      });
    }
    if (!this.random.chance(0.02)) return;
    const translation = space.translate(page * K4);
    if (range !== undefined && translation.kind === 'mapped') {
      expect(TYPE_NAMES[range.options.type]).toContain(translation.type);
    }
    // What knows every rule must say the same.
    const verdict = judgeOf(space, this.format).accesses(page * K4);
    const pa = frame === undefined ? undefined : BigInt(frame) * K4;
    expect(verdict).toEqual(JUDGED.map((_, i) => (((wanted >> i) & 1) === 1 ? pa : undefined)));
  }

  /** The largest page that alignment, length and the cap allow. */
  private checkSizes(
    { space }: Subject,
    range: ModelRange,
    { maxPage, groups }: Pick<MapOptions, 'maxPage' | 'groups'>,
    how: 'exactly' | 'at least' = 'exactly',
  ): void {
    const judge = judgeOf(space, this.format);
    const { first, end, frame } = range;
    const cap = maxPage ?? 1n << 60n;
    const sizes = [...this.shape.sizes, ...(groups ? this.shape.groups : [])]
      .filter((size) => size <= cap)
      .sort((a, b) => (a < b ? 1 : -1));
    for (const page of [first, (first + end) / 2n, end - 1n]) {
      const size = sizes.find((bytes) => {
        const span = bytes / K4;
        const start = page - (page % span);
        return start >= first && start + span <= end && (frame - first) % span === 0n;
      });
      const found = judge.pageBytes(page * K4);
      // Groups that are there already stay.
      if (
        found !== size &&
        !(how === 'at least' && found !== undefined && size !== undefined && found > size)
      ) {
        expect(found).toBe(size);
      }
    }
  }
}

function thrown(action: () => unknown): PageTableError | undefined {
  try {
    action();
    return undefined;
  } catch (error) {
    if (error instanceof PageTableError) return error;
    throw error;
  }
}

/** 0 if two arrays are the same. */
function compareWords(a: Uint32Array, b: Uint32Array): number {
  return Buffer.from(a.buffer, a.byteOffset, a.byteLength).compare(
    Buffer.from(b.buffer, b.byteOffset, b.byteLength),
  );
}

function clamp(value: bigint, from: bigint, to: bigint): bigint {
  return value < from ? from : value > to ? to : value;
}

/** Frame of the root that translates a page: of the second one in the upper half, where there are two. */
function rootFor({ pagings }: AddressSpace, page: bigint): number {
  return pagings[page >> 51n === 0n ? 0 : pagings.length - 1].root.frame;
}

/** Frames of all tables that spaces have. */
function reachable(spaces: readonly AddressSpace[]): Set<number> {
  const seen = new Set<number>();
  for (const { memory, pagings } of spaces) {
    for (const paging of pagings) {
      seen.add(paging.root.frame);
      const cursor = new Cursor(memory, paging);
      for (let event = cursor.next(); event !== DONE; event = cursor.next()) {
        if (event !== TABLE) continue;
        if (seen.has(cursor.frame)) cursor.skip();
        else seen.add(cursor.frame);
      }
    }
  }
  return seen;
}

for (const [number, format] of SPACE_FORMATS.entries()) {
  test(`${format}: every edit of a space is what a sorted list of ranges says`, {
    timeout: 3_600_000,
  }, () => {
    const share = Math.ceil(OPERATIONS / SPACE_FORMATS.length);
    let done = 0;
    for (let life = 0; done < share; life += 1) {
      const seed = (number + 1) * 1_000_003 + life * 7919;
      const run = new Run(format, seed);
      try {
        for (let i = 0; i < LIFE; i += 1) run.step();
      } catch (error) {
        if (error instanceof Error)
          error.message = `seed ${seed}, operation ${run.operations}: ${error.message}`;
        throw error;
      }
      done += run.operations;
    }
  });
}
