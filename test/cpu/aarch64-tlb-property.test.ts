/**
 * Random edits and accesses. With every edit made as the architecture asks for, the processor answers like a fresh walk, and the
 * detector is silent; with some of the invalidations left out, the detector reports each access that got what the tables no longer give.
 */
import { expect, test } from 'vitest';
import { type Aarch64Cpu, FETCH, READ, WRITE } from '../../src/cpu/index.ts';
import { readerOfMemory } from '../support/aarch64-cases.ts';
import { LONG } from '../support/long.ts';
import { createRandom, type Random } from '../support/random-tables.ts';
import { type Aarch64ReferenceControl, referenceAarch64Walk } from '../support/reference-aarch64.ts';
import {
  AF,
  AP_EL0,
  AP_RO,
  AP_TABLE_NO_EL0,
  AP_TABLE_RO,
  BLOCK,
  DBM,
  type Level,
  MAIR,
  Machine,
  NG,
  operand,
  PAGE,
  PXN,
  ROOTS,
  TABLE,
  TCR,
  TCR_HA,
  TCR_HD,
  to,
  UXN,
} from './aarch64-machine.ts';

const KINDS = { read: READ, write: WRITE, fetch: FETCH } as const;
const ROOT = BigInt(ROOTS[0]) << 12n;
const UPPER = 0xffff_0000_0000_0000n;
/** Pages, and the first addresses of what one entry of level 2 maps. */
const REGIONS = [0x0n, 0x20_0000n, 0x4000_0000n, UPPER, UPPER + 0x20_0000n];
const PAGES = REGIONS.flatMap((region) => [0n, 0x1000n, 0x5000n].map((offset) => region + offset));
const BLOCKS = [0x60_0000n, UPPER + 0x60_0000n];
const FRAMES = [0x800, 0x801, 0x802, 0x803];

class World {
  readonly random: Random;
  readonly machine = new Machine();
  readonly cpu: Aarch64Cpu;
  readonly control: Aarch64ReferenceControl;
  /** How likely an invalidation is left out. */
  readonly carelessness: number;
  /** Whether more than one ASID is used. */
  readonly switches: boolean;
  readonly log: string[] = [];
  missed = 0;
  caught = 0;

  constructor(seed: number, carelessness: number) {
    const random = createRandom(seed);
    this.random = random;
    this.carelessness = carelessness;
    this.switches = random.chance(0.5);
    for (const va of PAGES) this.machine.map(va, random.pick(FRAMES), this.bits());
    for (const va of BLOCKS) this.machine.map(va, 0x200, this.bits(), 2);
    const tcr = TCR | (random.chance(0.5) ? TCR_HA : 0n) | (random.chance(0.5) ? TCR_HD : 0n);
    this.control = {
      ttbr0: ROOT,
      ttbr1: BigInt(ROOTS[1]) << 12n,
      tcr,
      mair: MAIR,
      sctlr: 1n,
      pan: false,
      physBits: 48,
    };
    this.cpu = this.machine.boot({ tcr }, { detector: true });
  }

  step(): void {
    const { random } = this;
    if (random.chance(0.6)) this.access();
    else if (this.switches && random.chance(0.2)) {
      const asid = BigInt(random.below(3));
      this.cpu.writeSystemRegister('TTBR0_EL1', ROOT | (asid << 48n));
      this.log.push(`ASID ${asid}`);
    } else this.edit();
  }

  private access(): void {
    const { random, cpu, control } = this;
    const va = random.pick(random.chance(0.2) ? BLOCKS : PAGES) + BigInt(random.below(64) * 8);
    const el = random.chance(0.5) ? 0 : 1;
    const kind = random.pick(['read', 'write', 'fetch'] as const);
    const want = referenceAarch64Walk(readerOfMemory(this.machine.memory), control, va, { kind, el });
    cpu.el = el;
    const before = cpu.detector?.count ?? 0;
    const frame = cpu.translate(
      Number(BigInt.asIntN(32, va >> 32n)),
      Number(BigInt.asIntN(32, va)),
      KINDS[kind],
    );
    cpu.el = 1;
    const failure = cpu.failure();
    this.log.push(`EL${el} ${kind} 0x${va.toString(16)}: ${frame >= 0 ? frame.toString(16) : 'fault'}`);
    const wanted = want.kind === 'ok' ? Number(want.pa >> 12n) : -1;
    if (wanted === Math.max(frame, -1)) return;
    // A fault for rights that have widened meanwhile is no harm.
    if (frame < 0 && failure.kind === 'fault' && failure.fromCache && this.carelessness > 0) return;
    this.missed += 1;
    if ((cpu.detector?.count ?? 0) > before) this.caught += 1;
    // What was reported for the same write before is not reported again.
    else if (this.carelessness === 0 || cpu.detector?.stale().length === 0)
      this.fail(`expected ${wanted.toString(16)}`);
    cpu.detector?.clear();
  }

  private edit(): void {
    const { random, machine } = this;
    const choice = random.below(10);
    if (choice < 6) {
      const va = random.pick(PAGES);
      const next = random.chance(0.2) ? 0n : to(random.pick(FRAMES), this.bits() | PAGE);
      if (this.hasTable(va)) this.change(va, 3, next, [va]);
    } else if (choice < 8) {
      const va = random.pick(BLOCKS);
      this.change(va, 2, random.chance(0.2) ? 0n : to(random.pick([0x200, 0x400]), this.bits() | BLOCK), [
        va,
      ]);
    } else {
      // A table goes, comes back, or takes rights.
      const region = random.pick(REGIONS);
      const pages = PAGES.filter((va) => va >> 21n === region >> 21n);
      const table = to(machine.tableOf(region, 3), TABLE);
      const rights = random.pick([0n, 0n, AP_TABLE_RO, AP_TABLE_NO_EL0]);
      this.change(region, 2, random.chance(0.3) ? 0n : table | rights, pages);
    }
  }

  /** Break, invalidate, make; an entry that was invalid is only made. */
  private change(va: bigint, level: Level, next: bigint, pages: readonly bigint[]): void {
    const { machine, cpu } = this;
    const now = machine.get(va, level);
    if ((now & 1n) === 1n) {
      machine.set(va, level, 0n);
      this.log.push(`0x${va.toString(16)} L${level} broken`);
      if (this.random.chance(this.carelessness)) this.log.push('not invalidated');
      else this.invalidate(level < 3 && (now & 2n) !== 0n, pages);
    }
    machine.set(va, level, next);
    this.log.push(`0x${va.toString(16)} L${level} from 0x${now.toString(16)} to 0x${next.toString(16)}`);
    cpu.barrier('DSB ISHST');
  }

  private invalidate(isTable: boolean, pages: readonly bigint[]): void {
    const { random, cpu } = this;
    cpu.barrier('DSB ISHST');
    const any = this.switches;
    const last = !isTable && random.chance(0.5) ? 'L' : '';
    const choice = random.below(8);
    if (choice === 0) this.tlbi('VMALLE1IS', 0n);
    for (const va of choice === 0 ? [] : pages) {
      const asid = any ? 0 : cpu.asid;
      const ttl = isTable || random.chance(0.5) ? 0 : BLOCKS.includes(va) ? 0b0110 : 0b0111;
      if (choice < 5) {
        this.tlbi(`VA${any ? 'A' : ''}${last}E1`, operand(va, asid, ttl));
      } else {
        const base = (va >> 12n) & ((1n << 37n) - 1n);
        this.tlbi(`RVA${any ? 'A' : ''}${last}E1IS`, (BigInt(asid) << 48n) | (1n << 46n) | base);
      }
    }
    cpu.barrier('DSB ISH');
  }

  private tlbi(name: string, value: bigint): void {
    this.log.push(`TLBI ${name}, 0x${value.toString(16)}`);
    this.cpu.tlbi(name, value);
  }

  private hasTable(va: bigint): boolean {
    return (this.machine.get(va, 2) & 3n) === 3n;
  }

  private bits(): bigint {
    const { random } = this;
    const on = (bit: bigint, chance: number) => (random.chance(chance) ? bit : 0n);
    return AF | on(AP_EL0, 0.6) | on(AP_RO, 0.3) | on(NG, 0.6) | on(DBM, 0.2) | on(UXN, 0.2) | on(PXN, 0.2);
  }

  fail(want: string): never {
    const found = this.cpu.detector?.reports[0]?.message;
    throw new Error(`${want}; found:\n${found}\nlast steps:\n  ${this.log.slice(-40).join('\n  ')}`);
  }
}

const SEEDS = LONG ? 400 : 12;
const STEPS = 250;

test('with every edit made as it should be, nothing is out of date, and nothing is reported', () => {
  for (let seed = 1; seed <= SEEDS; seed += 1) {
    const world = new World(seed, 0);
    for (let i = 0; i < STEPS; i += 1) {
      world.step();
      if (world.cpu.detector?.count !== 0) world.fail(`seed ${seed}: silence`);
    }
    expect(world.missed, `seed ${seed}`).toBe(0);
    expect(world.cpu.detector?.stale({ allSpaces: true }), `seed ${seed}`).toEqual([]);
  }
});

test('with some invalidations left out, each access that they spoil is reported', () => {
  let caught = 0;
  for (let seed = 1; seed <= SEEDS; seed += 1) {
    const world = new World(seed, 0.3);
    for (let i = 0; i < STEPS; i += 1) world.step();
    caught += world.caught;
  }
  expect(caught).toBeGreaterThan(SEEDS);
});
