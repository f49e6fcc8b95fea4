import { expect, test } from 'vitest';
import { flatMemory, PageTableError } from '../../src/index.ts';
import {
  AddressSpace,
  type CreateOptions,
  type InvalidationInstruction,
  invalidationInstructions,
  type MapOptions,
  type Rights,
  SPACE_FORMATS,
  type SpaceFormat,
  type SpaceInvalidation,
  type SpacePlan,
} from '../../src/space/index.ts';
import { LONG } from '../support/long.ts';
import { Random } from '../support/random.ts';
import { plainWalk } from './plain-walk.ts';
import { type Processor, processorFor } from './processors.ts';
import { StrictAllocator } from './strict-allocator.ts';

// Random edits of spaces that a processor uses, which remembers all that it may: after the instructions that an edit asks for, no
// access gets an answer that the tables do not give; without any single one of them, some access does.

/** Edits that are looked at, of each format. */
const EDITS = LONG ? 1000 : 30;
/** Edits of one space. */
const LIFE = 10;
const FRAMES = 120;
/** Instructions of one edit that are left out, one at a time. */
const LEFT_OUT = LONG ? 4 : 2;
const K4 = 0x1000n;
const M2 = 0x20_0000n;
const M4 = 0x40_0000n;
const G1 = 0x4000_0000n;

interface Shape {
  readonly control?: object;
  readonly asid: number;
  /** First addresses of the regions in which everything happens. */
  readonly bases: readonly bigint[];
  readonly sizes: readonly bigint[];
  readonly groups: boolean;
  readonly rights: readonly Rights[];
  readonly types: readonly string[];
}

const RW: readonly Rights[] = ['r', 'rw', 'rx', 'rwx'];
const TYPES = ['write-back', 'write-through', 'device'];
/** CR4: PSE, PAE, PGE, PCIDE. */
const PCIDE = { cr4: 0x2_00b0n };
const HIGH_48 = 0xffff_8000_4000_0000n;

const SHAPES: Readonly<Record<SpaceFormat, Shape>> = {
  '32-bit': {
    asid: 0,
    bases: [0x4000_0000n, 0xc000_0000n],
    sizes: [K4, M4],
    groups: false,
    rights: ['rx', 'rwx'],
    types: TYPES,
  },
  PAE: { asid: 0, bases: [G1, G1 * 3n], sizes: [K4, M2], groups: false, rights: RW, types: TYPES },
  '4-level': {
    control: PCIDE,
    asid: 5,
    bases: [G1, HIGH_48],
    sizes: [K4, M2, G1],
    groups: false,
    rights: RW,
    types: TYPES,
  },
  '5-level': {
    control: { cr4: 0x2_10b0n },
    asid: 5,
    bases: [G1, 0xff00_0000_4000_0000n],
    sizes: [K4, M2, G1],
    groups: false,
    rights: RW,
    types: TYPES,
  },
  'aarch64-4k': {
    asid: 5,
    bases: [G1, 0xffff_0000_4000_0000n],
    sizes: [K4, M2, G1],
    groups: true,
    rights: RW,
    types: TYPES,
  },
  sv32: {
    control: { adue: true },
    asid: 5,
    bases: [G1, 0xc000_0000n],
    sizes: [K4, M4],
    groups: false,
    rights: [...RW, 'x'],
    types: ['write-back'],
  },
  sv39: {
    control: { svnapot: true, svpbmt: true, adue: true },
    asid: 5,
    bases: [G1, 0xffff_ffc0_4000_0000n],
    sizes: [K4, M2, G1],
    groups: true,
    rights: [...RW, 'x'],
    types: ['write-back', 'non-cacheable', 'device'],
  },
  sv48: {
    control: { svnapot: true, adue: true },
    asid: 5,
    bases: [G1, HIGH_48],
    sizes: [K4, M2, G1],
    groups: true,
    rights: [...RW, 'x'],
    types: ['write-back'],
  },
  sv57: {
    control: { adue: true },
    asid: 5,
    bases: [G1, 0xff00_0000_4000_0000n],
    sizes: [K4, M2, G1],
    groups: false,
    rights: [...RW, 'x'],
    types: ['write-back'],
  },
};

/** What the tables say of a page. */
interface Meaning {
  /** Where its entry is, and what it holds. */
  readonly entry: string;
  readonly global: boolean;
  readonly frame: number;
  readonly accesses: number;
}

/** Instructions at the two times at which an edit asks for them. */
type Stages = readonly [between: readonly InvalidationInstruction[], end: readonly InvalidationInstruction[]];

class Run {
  readonly random: Random;
  readonly format: SpaceFormat;
  readonly shape: Shape;
  readonly memory = flatMemory(new ArrayBuffer((FRAMES + 1) * 4096));
  readonly allocator = new StrictAllocator(0, FRAMES);
  readonly isLive: boolean;
  readonly isStrict: boolean;
  readonly arch: 'x86' | 'aarch64' | 'riscv';
  space: AddressSpace;
  cpu: Processor;
  /** Addresses of which pages have been used. */
  private readonly known = new Set<bigint>();
  edits = 0;
  leftOut = 0;
  excused = 0;

  constructor(format: SpaceFormat, seed: number) {
    const random = new Random(seed);
    this.random = random;
    this.format = format;
    this.shape = SHAPES[format];
    this.arch = format.startsWith('sv') ? 'riscv' : format === 'aarch64-4k' ? 'aarch64' : 'x86';
    this.isLive = random.chance(0.6);
    const tolerates = random.chance(0.25);
    // A fault of AArch64 does not go away by itself.
    this.isStrict = !tolerates || this.arch === 'aarch64';
    const options: CreateOptions = {
      format,
      memory: this.memory,
      allocator: this.allocator,
      live: this.isLive,
      asid: this.shape.asid,
      spuriousFaults: tolerates ? 'tolerate' : 'avoid',
      ...(this.shape.control === undefined ? {} : { control: this.shape.control }),
    };
    this.space = AddressSpace.create(options);
    for (let i = 0; i < 5; i += 1) this.commitQuietly();
    if (random.chance(0.3)) this.space = this.space.clone({ tables: 'share' });
    this.cpu = processorFor(this.space);
  }

  private commitQuietly(): void {
    const plan = this.plan();
    if (plan === undefined || plan.tablesNeeded > FRAMES - this.allocator.used.size) return;
    this.space.commit(plan, { invalidate: () => {} });
  }

  private pick(): [address: bigint, bytes: bigint] {
    const { random, shape } = this;
    const size = random.pick(shape.sizes);
    const slot = random.pick([0n, 0n, size, 2n * size]);
    const shift = random.pick([0n, 0n, 0n, 1n, 3n, 16n, 17n, -1n]) * K4;
    const bytes = random.pick([K4, 2n * K4, 5n * K4, 16n * K4, size, size, size + 3n * K4, 2n * size]);
    const at = random.pick(shape.bases) + slot + shift;
    // The first page of all and the last one stay out of it.
    return [at, at + bytes > 0xffff_f000n && at < 1n << 32n ? K4 : bytes];
  }

  /** A random edit; `undefined` if it cannot be made. */
  private plan(): SpacePlan | undefined {
    const { random, shape, space, arch } = this;
    const [address, bytes] = this.pick();
    const choice = random.below(100);
    const marks =
      arch === 'riscv' || random.chance(0.6) ? {} : arch === 'x86' ? { dirty: false } : { accessed: false };
    const page = {
      rights: random.pick(shape.rights),
      user: random.chance(0.5),
      type: random.pick(shape.types),
      global: random.chance(0.3),
    };
    const groups = shape.groups && random.chance(0.5);
    try {
      if (choice < 40) {
        const aligned = address % G1 === 0n || random.chance(0.8) ? 0n : 5n * K4;
        const options: MapOptions = {
          ...page,
          ...(random.chance(0.1) ? marks : {}),
          groups,
          physical: (address % (2n * G1)) + random.pick([0n, 2n * G1 - 0x4000_0000n]) + aligned,
          overlap: random.pick(['replace', 'keep'] as const),
          ...(random.chance(0.3) ? { maxPage: K4 } : {}),
        };
        return space.plan.map(address, bytes, options);
      }
      if (choice < 60) return space.plan.unmap(address, bytes);
      if (choice < 88) {
        const { rights, user, type, global } = page;
        const change = random.pick([
          { rights, user },
          { rights, user },
          { type },
          { global },
          { ...(arch === 'riscv' ? { rights, user } : marks) },
        ]);
        if (Object.keys(change).length === 0) return undefined;
        return space.plan.protect(address, bytes, { ...change, missing: 'ignore' });
      }
      return random.pick(space.plan.compact({ groups }));
    } catch (error) {
      if (error instanceof PageTableError && ['LIMIT_EXCEEDED', 'OUT_OF_RANGE'].includes(error.code))
        return undefined;
      throw error;
    }
  }

  step(): void {
    const { random, space, memory } = this;
    const plan = this.plan();
    if (plan === undefined || plan.tablesNeeded > FRAMES - this.allocator.used.size) return;
    const fullAfter = random.pick([undefined, undefined, 600, 0]);
    const limit = fullAfter === undefined ? {} : { fullAfter };
    const options = { ...limit, ranges: random.chance(0.3), levelHints: random.chance(0.5) };
    const instructions = (list: readonly SpaceInvalidation[]) =>
      invalidationInstructions(space, list, options);
    const stages: Stages = [
      plan.breaks ? instructions(plan.invalidationsBetween) : [],
      instructions(plan.invalidations),
    ];
    const lists = [...plan.invalidationsBetween, ...plan.invalidations];
    const every = stages.flatMap((list) => list.filter(counts));
    const omitted = every.length === 0 ? [] : Array.from({ length: LEFT_OUT }, () => random.pick(every));
    const points = this.points(plan, lists, omitted);
    const before = memory.words.slice();
    const meanings = this.meanings(points);
    this.touch(this.cpu, points);
    if (plan.breaks) this.checkRefused(plan);
    let middle: Uint32Array | undefined;
    const calls: (readonly SpaceInvalidation[])[] = [];
    const invalidate = (list: readonly SpaceInvalidation[]) => {
      calls.push(list);
      const isBetween = plan.breaks && calls.length === 1;
      if (isBetween) middle = memory.words.slice();
      for (const one of instructions(list)) this.cpu.execute(one);
      if (isBetween) this.touch(this.cpu, points);
    };
    const wanted = [plan.invalidationsBetween, plan.invalidations].filter(
      (list, i) => list.length > 0 || (plan.breaks && i === 0),
    );
    const result = space.commit(plan, { invalidate });
    // Barriers of an edit that invalidates nothing.
    if (result.invalidations.length === 0) for (const one of stages[1]) this.cpu.execute(one);
    expect(calls).toEqual(wanted);
    const after = memory.words.slice();
    this.edits += 1;
    const problems = this.problems(this.cpu, points);
    if (this.isLive || this.arch !== 'aarch64') problems.push(...this.cpu.reports());
    if (problems.length > 0) throw new Error(`${plan.operation}: ${problems.slice(0, 3).join('; ')}`);
    const settled = memory.words.slice();
    for (const one of omitted) {
      this.leaveOut(plan, one, stages, points, meanings, before, middle, after);
    }
    memory.words.set(settled);
  }

  /** Without one instruction, something must show. */
  private leaveOut(
    plan: SpacePlan,
    omitted: InvalidationInstruction,
    stages: Stages,
    points: readonly bigint[],
    meanings: ReadonlyMap<bigint, Meaning>,
    before: Uint32Array,
    middle: Uint32Array | undefined,
    after: Uint32Array,
  ): void {
    const { memory, space } = this;
    const replay = (): Processor => {
      memory.words.set(before);
      const cpu = processorFor(space);
      this.touch(cpu, points);
      if (middle !== undefined) {
        memory.words.set(middle);
        for (const one of stages[0]) if (one !== omitted) cpu.execute(one);
        this.touch(cpu, points);
      }
      memory.words.set(after);
      for (const one of stages[1]) if (one !== omitted) cpu.execute(one);
      return cpu;
    };
    this.leftOut += 1;
    const cpu = replay();
    if (this.problems(cpu, points).length > 0 || (this.isLive && cpu.reports().length > 0)) return;
    const now = this.meanings(points);
    const changed = points.filter(
      (point) => isNear(omitted, point) && meanings.get(point)?.entry !== now.get(point)?.entry,
    );
    const isHarmless = (point: bigint) => {
      const [old, next] = [meanings.get(point), now.get(point)];
      // With AF = 0 nothing is remembered; that it is invalidated all the same does no harm.
      if (this.arch === 'aarch64' && old?.accesses === 0) return true;
      if (old === undefined || next === undefined || old.frame !== next.frame) return false;
      // Narrower rights may be left where a fault is tolerated.
      const allowed = this.isStrict ? old.accesses === next.accesses : (old.accesses & ~next.accesses) === 0;
      return allowed && (next.global || !old.global);
    };
    // What is done at the other time may do it as well.
    const isBetween = stages[0].includes(omitted);
    const address = addressIn(omitted);
    const isCovered = (isBetween ? stages[1] : stages[0]).some((one) => {
      if (!counts(one)) return false;
      const other = addressIn(one);
      if (isBetween && (other === undefined || this.arch === 'x86')) return true;
      return this.arch === 'aarch64' && (other === undefined || other === address);
    });
    if (isCovered || (changed.length > 0 && changed.every(isHarmless))) {
      this.excused += 1;
      return;
    }
    if (this.showsElsewhere(replay(), points) || this.showsLater(replay(), points)) return;
    throw new Error(
      `${plan.operation}: nothing shows without ${omitted.text}, ${stages[0].includes(omitted) ? 'in between' : 'at the end'} ` +
        `(live ${this.isLive}, strict ${this.isStrict})`,
    );
  }

  /** What was global shows under another root. */
  private showsElsewhere(cpu: Processor, points: readonly bigint[]): boolean {
    this.memory.clearFrame(FRAMES);
    const local = points.filter((point) => !this.isGlobal(point));
    cpu.leave(FRAMES);
    return local.some((point) => reaches(cpu, point));
  }

  /** What is left of small pages shows when the large page in their place goes. */
  private showsLater(cpu: Processor, points: readonly bigint[]): boolean {
    const { memory, space } = this;
    for (const point of points) {
      const path = space.walk(point);
      const last = path.steps.at(-1);
      if (path.end !== 'mapped' || last === undefined || path.pageShift === undefined) continue;
      const at = memory.locate(last.tableFrame) + (Number(last.address & 0xfffn) >> 2);
      const pageBytes = 1n << BigInt(path.pageShift);
      const global = this.isGlobal(point);
      memory.words[at] = 0;
      const one: SpaceInvalidation = {
        address: point - (point % pageBytes),
        bytes: pageBytes,
        pageBytes,
        scope: 'pages',
        global,
        asid: global ? undefined : this.shape.asid,
      };
      for (const instruction of invalidationInstructions(space, [one])) cpu.execute(instruction);
    }
    return points.some((point) => reaches(cpu, point));
  }

  private checkRefused(plan: SpacePlan): void {
    const before = this.memory.words.slice();
    let code = '';
    try {
      this.space.commit(plan);
    } catch (error) {
      code = error instanceof PageTableError ? error.code : String(error);
    }
    expect(code).toBe('BREAK_BEFORE_MAKE');
    expect(Buffer.from(this.memory.words.buffer).equals(Buffer.from(before.buffer))).toBe(true);
  }

  /** Pages at which something may change or stay: ends of ranges, and pages in them. */
  private points(
    plan: SpacePlan,
    lists: readonly SpaceInvalidation[],
    omitted: readonly InvalidationInstruction[],
  ): bigint[] {
    const { random } = this;
    const points = new Set<bigint>();
    const [, from = '0', length = '0'] = /(0x[0-9a-f]+), (0x[0-9a-f]+) bytes/.exec(plan.operation) ?? [];
    const ends = [BigInt(from), BigInt(from) + BigInt(length)];
    for (const { address, bytes, pageBytes } of lists) {
      const count = Number(bytes / pageBytes);
      ends.push(address, address + bytes);
      for (let i = 0; i < Math.min(count, 40); i += 1) {
        const page = address + BigInt(count <= 40 ? i : random.below(count)) * pageBytes;
        points.add(page);
        if (pageBytes > K4) points.add(page + pageBytes - K4);
      }
    }
    for (const one of omitted) {
      const address = addressIn(one);
      if (address !== undefined) points.add(address);
    }
    for (const { address, bytes, scope } of lists) {
      if (scope !== 'pages') for (const page of this.mappedIn(address, bytes)) points.add(page);
    }
    for (const end of ends) for (const near of [end - K4, end]) points.add(near);
    for (const one of this.known) if (random.chance(0.2)) points.add(one);
    for (const base of this.shape.bases) points.add(base);
    const valid = [...points].filter(
      (point) => point > 0n && this.shape.bases.some((base) => point >> 34n === base >> 34n),
    );
    const inFormat = valid.filter((point) => this.vaEnd === undefined || point < this.vaEnd);
    for (const point of inFormat) this.known.add(point);
    return inFormat;
  }

  /** Some pages that are mapped in a range. */
  private mappedIn(address: bigint, bytes: bigint): bigint[] {
    const found: bigint[] = [];
    for (const region of this.space.regions()) {
      if (region.kind !== 'mapped') continue;
      const start = BigInt(region.first) * K4;
      const end = BigInt(region.end) * K4;
      const first = start > address ? start : address;
      const last = end < address + bytes ? end : address + bytes;
      if (first < last) found.push(first, last - K4);
    }
    return found.slice(0, 40);
  }

  private get vaEnd(): bigint | undefined {
    return ['32-bit', 'PAE', 'sv32'].includes(this.format) ? 1n << 32n : undefined;
  }

  private expected(point: bigint): { frame: number; accesses: number } {
    const { pagings } = this.space;
    const page = point >> 12n;
    const root = pagings[page >> 51n === 0n ? 0 : pagings.length - 1].root.frame;
    const found = plainWalk(this.memory, this.format, root, Number(page));
    return { frame: found?.frame ?? -1, accesses: found?.accesses ?? 0 };
  }

  /** Makes a processor remember all that it may. */
  private touch(cpu: Processor, points: readonly bigint[]): void {
    for (const point of points) {
      const { accesses } = this.expected(point);
      for (let access = 0; access < 6; access += 1) {
        // A page fault of x86 forgets.
        if (this.arch === 'riscv' || (accesses & (1 << access)) !== 0) cpu.translate(point, access);
      }
    }
  }

  /** Accesses that get what the tables do not give. */
  private problems(cpu: Processor, points: readonly bigint[]): string[] {
    const found = cpu.stale().map((text) => `stale: ${text}`);
    const say = (point: bigint, access: number, got: number) =>
      found.push(
        `0x${point.toString(16)}, access ${access}: frame ${got}, not as ${JSON.stringify(this.expected(point))}`,
      );
    for (const point of points) {
      const { frame, accesses } = this.expected(point);
      for (let access = 0; access < 6; access += 1) {
        if ((accesses & (1 << access)) === 0) continue;
        let got = cpu.translate(point, access);
        if (got < 0 && !this.isStrict) got = this.arch === 'x86' ? cpu.translate(point, access) : frame;
        if (got !== frame) say(point, access, got);
      }
      if (this.arch === 'x86' && this.isStrict && accesses !== 0) this.checkMarks(point, accesses, found);
    }
    for (const point of points) {
      const { accesses } = this.expected(point);
      for (let access = 0; access < 6; access += 1) {
        if ((accesses & (1 << access)) !== 0) continue;
        const got = cpu.translate(point, access);
        if (got >= 0) say(point, access, got);
      }
    }
    return found;
  }

  /** After reads and writes that are allowed, A and D are set. */
  private checkMarks(point: bigint, accesses: number, found: string[]): void {
    const low = this.space.walk(point).steps.at(-1)?.low ?? 0;
    const wanted = 0x20 | ((accesses & 0b010_010) !== 0 ? 0x40 : 0);
    if ((low & wanted) !== wanted) found.push(`0x${point.toString(16)}: A and D are not set again`);
  }

  private meanings(points: readonly bigint[]): Map<bigint, Meaning> {
    return new Map(
      points.map((point) => {
        const last = this.space.walk(point).steps.at(-1);
        const entry = last === undefined ? '' : `${last.address} ${last.high} ${last.low}`;
        return [point, { entry, global: this.isGlobal(point), ...this.expected(point) }];
      }),
    );
  }

  private isGlobal(point: bigint): boolean {
    const low = this.space.walk(point).steps.at(-1)?.low ?? 0;
    return this.arch === 'x86'
      ? (low & 0x100) !== 0
      : this.arch === 'riscv'
        ? (low & 0x20) !== 0
        : (low & 0x800) === 0;
  }

  /** Under another root only pages that are global may be found. */
  finish(): void {
    const { memory, cpu } = this;
    memory.clearFrame(FRAMES);
    const globals = new Map([...this.known].map((point) => [point, this.isGlobal(point)]));
    cpu.leave(FRAMES);
    for (const [point, isGlobal] of globals) {
      if (isGlobal) continue;
      for (let access = 0; access < 6; access += 1) {
        if (cpu.translate(point, access) >= 0) throw new Error(`0x${point.toString(16)} is still global`);
      }
    }
  }
}

/** Whether any access comes to a frame. */
function reaches(cpu: Processor, point: bigint): boolean {
  return [0, 1, 2, 3, 4, 5].some((access) => cpu.translate(point, access) >= 0);
}

/** The address that an instruction names, if it names one. */
function addressIn(instruction: InvalidationInstruction): bigint | undefined {
  if (instruction.op === 'INVLPG' || instruction.op === 'SFENCE.VMA') return instruction.address;
  if (instruction.op !== 'TLBI' || instruction.operand === undefined) return undefined;
  if (!instruction.operation.startsWith('VA')) return undefined;
  // VA[55:12], of which the top bit repeats.
  return BigInt.asUintN(64, BigInt.asIntN(44, instruction.operand) << 12n);
}

/** Whether an instruction is about a page, as far as it names one. */
function isNear(instruction: InvalidationInstruction, point: bigint): boolean {
  const range = rangeIn(instruction);
  if (range !== undefined) return range.first <= point && point < range.end;
  const address = addressIn(instruction);
  return address === undefined || address === point;
}

/** The addresses that a TLBI by range is about (Arm ARM, "TLBI RVAE1IS"): BaseADDR, NUM and SCALE. */
function rangeIn(instruction: InvalidationInstruction): { first: bigint; end: bigint } | undefined {
  if (instruction.op !== 'TLBI' || !instruction.operation.startsWith('RVA')) return undefined;
  const { operand = 0n } = instruction;
  const first = BigInt.asUintN(64, BigInt.asIntN(37, operand) << 12n);
  const pages = (((operand >> 39n) & 31n) + 1n) << (5n * ((operand >> 44n) & 3n) + 1n);
  return { first, end: first + (pages << 12n) };
}

function counts(instruction: InvalidationInstruction): boolean {
  switch (instruction.op) {
    case 'MOV CR4':
      return !instruction.pge;
    case 'DSB ISHST':
    case 'DSB ISH':
    case 'ISB':
      return false;
    case 'INVLPG':
    case 'MOV CR3':
    case 'TLBI':
    case 'SFENCE.VMA':
      return true;
  }
}

for (const [number, format] of SPACE_FORMATS.entries()) {
  test(`${format}: the instructions of an edit are enough, and each of them is needed`, {
    timeout: 3_600_000,
  }, () => {
    let done = 0;
    let excused = 0;
    let leftOut = 0;
    for (let life = 0; done < EDITS; life += 1) {
      const seed = (number + 1) * 1_000_003 + life * 7919;
      const run = new Run(format, seed);
      try {
        for (let i = 0; i < LIFE; i += 1) run.step();
        run.finish();
      } catch (error) {
        if (error instanceof Error) error.message = `seed ${seed}, edit ${run.edits}: ${error.message}`;
        throw error;
      }
      done += run.edits;
      excused += run.excused;
      leftOut += run.leftOut;
    }
    expect(leftOut).toBeGreaterThan(done / 8);
    expect(excused).toBeLessThan(leftOut / 2);
  });
}
