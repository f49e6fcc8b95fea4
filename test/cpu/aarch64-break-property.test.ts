/**
 * Random edits of live tables, with barriers and invalidations that are right, half right or missing in between: the detector reports
 * every edit that an oracle of its own forbids, and none that it allows.
 */
import { expect, test } from 'vitest';
import { Aarch64Cpu } from '../../src/cpu/index.ts';
import { PhysicalMemory } from '../../src/memory/index.ts';
import { BreakOracle, INDICES, type OracleTlbi } from '../support/break-oracle.ts';
import { LONG } from '../support/long.ts';
import { createRandom, type Random } from '../support/random-tables.ts';

/** One root, and tables for each level below. */
const ROOT = 0x100;
const TABLES = [[ROOT], [0x101, 0x102], [0x103, 0x104], [0x105, 0x106, 0x107, 0x108]];
/** Pages; the first two hold the same. */
const PAGES = [0x110, 0x111, 0x112, 0x200];
/** Indices that are edited, by level. */
const PLACES = [[0, 1], [0, 1, 16], [0, 1, 2, 15, 16], INDICES];
const FRAMES = 0x20;
const MAIR = 0x00_cc_bb_44_04_ffn;

interface Place {
  readonly level: number;
  readonly frame: number;
  readonly index: number;
}

/** Where an entry or a table is seen: its level there, and the first address that it maps. */
interface Seen {
  readonly level: number;
  readonly start: bigint;
}

class World {
  readonly random: Random;
  readonly memory: PhysicalMemory;
  readonly cpu: Aarch64Cpu;
  readonly oracle: BreakOracle;
  readonly log: string[] = [];
  readonly places: readonly Place[];
  forbidden = 0;
  allowed = 0;
  readonly rules = new Map<string, number>();
  private readonly ways = new Map<number, Seen[]>();

  constructor(seed: number) {
    const random = createRandom(seed);
    this.random = random;
    const words = new Uint32Array(FRAMES * 1024);
    this.memory = new PhysicalMemory(words, ROOT, FRAMES);
    for (const frame of PAGES) {
      const at = this.memory.locate(frame);
      if (at >= 0) words.fill(frame === PAGES[1] ? PAGES[0] : frame, at, at + 1024);
    }
    this.places = TABLES.flatMap((frames, level) =>
      frames.flatMap((frame) => PLACES[level].map((index) => ({ level, frame, index }))),
    );
    const [ha, hd, hpd] = [random.chance(0.5), random.chance(0.7), random.chance(0.3)];
    const bit = (on: boolean, at: bigint) => (on ? 1n << at : 0n);
    const tcr = 16n | (1n << 23n) | (2n << 32n) | bit(ha, 39n) | bit(hd, 40n) | bit(hpd, 41n);
    for (const place of this.places) if (random.chance(0.7)) this.store(place, this.fresh(place.level));
    this.store(this.places[0], BigInt(TABLES[1][0]) * 4096n + 3n);
    this.findWays();
    this.oracle = new BreakOracle(
      { root: BigInt(ROOT) * 4096n, mair: MAIR, ha, hd: ha && hd, hpd, outputBits: 40n },
      (address) => this.entry(address),
      (a, b, bytes) => this.sameContents(a, b, bytes),
    );
    this.cpu = new Aarch64Cpu(
      this.memory,
      { ttbr0: BigInt(ROOT) * 4096n, tcr, mair: MAIR },
      { detector: true },
    );
  }

  /** An edit, or something else. */
  step(): void {
    const { random } = this;
    if (random.chance(0.7)) this.edit();
    else if (random.chance(0.5)) this.invalidateProperly();
    else this.somethingElse();
  }

  private edit(): void {
    const { random, oracle, cpu } = this;
    const place = this.somePlace();
    const address = BigInt(place.frame) * 4096n + BigInt(place.index) * 8n;
    const now = this.entry(address);
    let next = random.chance(0.35) ? this.fresh(place.level) : this.mutated(now, place.level);
    // Upper entries come back soon, so that what is below is live most of the time.
    if ((now & 1n) === 0n && place.level < 2) next = this.fresh(place.level) | 3n;
    // Broken first, as often as not, and made anew later.
    if ((now & 1n) === 1n && random.chance(place.level < 2 ? 0.1 : 0.3))
      next = random.chance(0.5) ? 0n : now & ~1n;

    this.log.push(
      `L${place.level} 0x${address.toString(16)} from 0x${now.toString(16)} to 0x${next.toString(16)}`,
    );
    const before = this.seenAt(place);
    this.store(place, next);
    this.findWays();
    // An entry that leads to its own table may be seen elsewhere now; there it is not the one that changed.
    const seen = this.seenAt(place).filter(({ level, start }) =>
      before.some((each) => each.level === level && each.start === start),
    );
    cpu.detector?.check();
    const broken = oracle.edited();
    this.compare(broken);
    if (broken.size > 0) this.forbidden += 1;
    else this.allowed += 1;
    const groups = (cpu.detector?.reports ?? []).filter(({ kind }) => kind === 'contiguous-group');
    if (groups.length > 0 !== this.isGroupBroken(seen, now, next)) {
      this.fail('a contiguous group', groups[0]?.message);
    }
    cpu.detector?.clear();
  }

  /** What the detector says, and what the oracle does. */
  private compare(broken: ReadonlySet<string>): void {
    const reports = this.cpu.detector?.reports ?? [];
    const found = reports.filter(({ kind }) => kind === 'break-before-make');
    if (found.length > 0 !== broken.size > 0) {
      this.fail(`forbidden by ${[...broken].join(' and ') || 'nothing'}`, found[0]?.message);
    }
    for (const report of found) {
      if (report.kind !== 'break-before-make') continue;
      if (!broken.has(report.rule))
        this.fail(`forbidden by ${[...broken]}, not by ${report.rule}`, report.message);
      this.rules.set(report.rule, (this.rules.get(report.rule) ?? 0) + 1);
    }
  }

  /** Whether the entry was changed, and its group does not go together at some address where it is seen. */
  private isGroupBroken(seen: readonly Seen[], now: bigint, next: bigint): boolean {
    return seen.some(({ level, start }) => {
      // Bits that are ignored: for software, AF, NS, and those of a block below its address.
      const below = ((1n << BigInt(39 - 9 * level)) - 1n) & ~0xfffn;
      const software = (0x1ffn << 55n) | (1n << 10n) | (1n << 5n) | below;
      const isSame =
        this.kindOf(level, now) === this.kindOf(level, next) && ((now ^ next) & ~software) === 0n;
      return !isSame && this.oracle.isGroupBroken(level, start);
    });
  }

  /** Table, leaf or nothing at all, and whether the flag lets it be cached. */
  private kindOf(level: number, value: bigint): string {
    if ((value & 1n) === 0n || (level === 3 && (value & 2n) === 0n)) return 'none';
    if (level < 3 && (value & 2n) !== 0n) return 'table';
    return this.oracle.control.ha || (value & (1n << 10n)) !== 0n ? 'leaf' : 'none';
  }

  /** The addresses that an entry maps, and its level there: one for each way to its table. */
  private seenAt({ frame, index }: Place): Seen[] {
    return (this.ways.get(frame) ?? []).map(({ level, start }) => {
      return { level, start: start + BigInt(index) * (1n << BigInt(39 - 9 * level)) };
    });
  }

  /** Level and first address of each table, for each way to it. */
  private findWays(): void {
    this.ways.clear();
    const visit = (frame: number, level: number, start: bigint) => {
      this.ways.set(frame, [...(this.ways.get(frame) ?? []), { level, start }]);
      if (level === 3) return;
      for (const index of INDICES) {
        const value = this.entry(BigInt(frame) * 4096n + BigInt(index) * 8n);
        const address = value & 0xffff_ffff_f000n;
        if ((value & 3n) !== 3n || address >> 40n !== 0n) continue;
        visit(Number(address >> 12n), level + 1, start + BigInt(index) * (1n << BigInt(39 - 9 * level)));
      }
    };
    visit(ROOT, 0, 0n);
  }

  /** Most often a live one, of a page. */
  private somePlace(): Place {
    const { random } = this;
    const wanted = random.pick([0, 1, 2, 2, 2, 3, 3, 3, 3, 3]);
    for (let tries = 0; ; tries += 1) {
      const place = random.pick(this.places);
      if (place.level !== wanted) continue;
      if (tries > 20 || random.chance(0.1) || this.seenAt(place).length > 0) return place;
    }
  }

  private invalidateProperly(): void {
    const { random } = this;
    this.barrier(random.pick(['DSB ISHST', 'DSB ISH']));
    const count = random.chance(0.3) ? 2 : 1;
    for (let i = 0; i < count; i += 1) this.tlbi();
    this.barrier('DSB ISH');
  }

  private somethingElse(): void {
    const { random, cpu, oracle } = this;
    const choice = random.below(10);
    if (choice < 4) this.barrier(random.pick(['DSB ISHST', 'DSB ISH', 'DSB SY', 'DMB ISH', 'ISB']));
    else if (choice < 9) this.tlbi();
    else {
      const asid = random.below(2);
      this.log.push(`ASID ${asid}`);
      cpu.writeSystemRegister('TTBR0_EL1', BigInt(ROOT) * 4096n + (BigInt(asid) << 48n));
      this.compare(oracle.switched(asid));
      cpu.detector?.clear();
    }
  }

  private barrier(kind: string): void {
    this.log.push(kind);
    this.cpu.barrier(kind);
    if (kind.startsWith('DSB')) this.oracle.barrier(kind !== 'DSB ISHST');
  }

  private tlbi(): void {
    const { random, cpu, oracle } = this;
    const asid = random.chance(0.85) ? cpu.asid : random.below(2);
    const place = random.pick(this.places);
    const starts = this.seenAt(place).map(({ start }) => start);
    const va = starts.length > 0 ? random.pick(starts) : BigInt(random.below(2 ** 30)) * 4096n;
    const choice = random.below(20);
    const operand = (BigInt(asid) << 48n) | (va >> 12n);
    let name: string;
    let value = operand;
    let meant: OracleTlbi;
    if (choice < 4) {
      [name, value, meant] = ['VMALLE1IS', 0n, { scope: 'all' }];
    } else if (choice < 6) {
      [name, meant] = ['ASIDE1', { scope: 'asid', asid }];
    } else if (choice < 14) {
      const anyAsid = random.chance(0.3);
      const lastLevel = random.chance(0.3);
      const level = random.chance(0.15) ? 1 + random.below(3) : undefined;
      name = `VA${anyAsid ? 'A' : ''}${lastLevel ? 'L' : ''}E1IS`;
      value |= level === undefined ? 0n : BigInt(4 + level) << 44n;
      meant = { scope: 'addresses', start: va, end: va + 4096n, lastLevel };
      if (!anyAsid) meant = { ...meant, asid };
      if (level !== undefined) meant = { ...meant, level };
    } else {
      const lastLevel = random.chance(0.3);
      const [scale, num] = [random.below(4), random.below(32)];
      name = `RVA${lastLevel ? 'L' : ''}E1OS`;
      value =
        (BigInt(asid) << 48n) | (1n << 46n) | (BigInt(scale) << 44n) | (BigInt(num) << 39n) | (va >> 12n);
      const bytes = BigInt(num + 1) * (1n << BigInt(5 * scale + 1)) * 4096n;
      meant = { scope: 'addresses', asid, start: va, end: va + bytes, lastLevel };
    }
    this.log.push(`TLBI ${name}, 0x${value.toString(16)}`);
    cpu.tlbi(name, value);
    oracle.tlbi(meant);
  }

  private fresh(level: number): bigint {
    const { random } = this;
    if (random.chance(0.15)) return BigInt(random.below(1000)) * 2n;
    if (level < 3 && random.chance(level === 0 ? 1 : 0.6)) {
      const frame = BigInt(random.pick(random.chance(0.9) ? TABLES[level + 1] : TABLES.flat()));
      return (frame << 12n) | 3n | (random.chance(0.15) ? 1n << BigInt(59 + random.below(4)) : 0n);
    }
    const frame =
      level === 3 ? BigInt(random.pick(PAGES)) << 12n : BigInt(random.below(3) + 1) << BigInt(39 - 9 * level);
    const bits = BigInt(random.pick([0x743, 0xf43, 0xf43, 0xfc3, 0xfc3, 0xf83]));
    return frame | (bits & ~2n) | (level === 3 ? 2n : 0n) | (random.chance(0.1) ? 1n << 52n : 0n);
  }

  /** One field changed. */
  private mutated(now: bigint, level: number): bigint {
    const { random } = this;
    const isTable = level < 3 && (now & 3n) === 3n;
    const choice = random.below(isTable ? 4 : 9);
    if (isTable) {
      if (choice === 0) return now ^ (1n << BigInt(59 + random.below(4)));
      if (choice === 1) return now ^ (1n << BigInt(51 + random.below(8)));
      if (choice === 2) return this.fresh(level);
      return now ^ (1n << BigInt(2 + random.below(10)));
    }
    if (choice === 0) return (now & ~0x1cn) | BigInt(random.below(6) << 2);
    if (choice === 1) return now ^ (1n << BigInt(8 + random.below(2)));
    if (choice === 2) return now ^ (1n << BigInt(6 + random.below(2)));
    if (choice === 3) return now ^ (1n << 11n);
    if (choice === 4) return now ^ (1n << BigInt(random.pick([51, 53, 54])));
    if (choice === 5) return now ^ (1n << BigInt(55 + random.below(4)));
    if (choice === 6) return now ^ (1n << BigInt(random.pick([10, 10, 52, 40])));
    return (now & ~0xffff_ffff_f000n) | (this.fresh(level) & 0xffff_ffff_f000n);
  }

  private entry(address: bigint): bigint {
    const at = this.memory.locate(Number(address >> 12n));
    if (at < 0) return 0n;
    const word = at + Number(address & 0xfffn) / 4;
    return BigInt(this.memory.words[word]) | (BigInt(this.memory.words[word + 1]) << 32n);
  }

  private store({ frame, index }: Place, value: bigint): void {
    const at = this.memory.locate(frame) + 2 * index;
    this.memory.words[at] = Number(value & 0xffff_ffffn);
    this.memory.words[at + 1] = Number(value >> 32n);
  }

  private sameContents(a: bigint, b: bigint, bytes: bigint): boolean {
    if (bytes !== 4096n) return false;
    const [x, y] = [a, b].map((address) => this.memory.locate(Number(address >> 12n)));
    if (x < 0 || y < 0) return false;
    const { words } = this.memory;
    for (let i = 0; i < 1024; i += 1) if (words[x + i] !== words[y + i]) return false;
    return true;
  }

  private fail(want: string, found = 'nothing'): never {
    throw new Error(`${want}; found:\n${found}\nlast steps:\n  ${this.log.slice(-40).join('\n  ')}`);
  }
}

const EDITS = LONG ? 100_000 : 10_000;
const EDITS_A_WORLD = 500;

test(`${EDITS} random edits of live tables`, () => {
  const totals = { forbidden: 0, allowed: 0 };
  const rules = new Map<string, number>();
  for (let seed = 1; totals.forbidden + totals.allowed < EDITS; seed += 1) {
    const world = new World(seed);
    try {
      while (world.forbidden + world.allowed < EDITS_A_WORLD) world.step();
    } catch (error) {
      throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error });
    }
    totals.forbidden += world.forbidden;
    totals.allowed += world.allowed;
    for (const [rule, count] of world.rules) rules.set(rule, (rules.get(rule) ?? 0) + count);
  }
  // Enough of each, so that neither silence nor noise could pass.
  expect(totals.forbidden).toBeGreaterThan(EDITS / 20);
  expect(totals.allowed).toBeGreaterThan(EDITS / 4);
  expect(
    [...rules]
      .filter(([, count]) => count >= 10)
      .map(([rule]) => rule)
      .sort(),
  ).toEqual(['contiguous', 'global', 'memory type', 'output address', 'size', 'table rights']);
});
