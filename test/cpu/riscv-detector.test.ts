/**
 * What the detector reports on RISC-V, and what it must not. Rules: RISC-V Privileged ISA, section "Supervisor Memory-Management Fence
 * Instruction", the list of common uses of the instruction behind its description.
 */
import { beforeEach, describe, expect, test } from 'vitest';
import {
  type DetectorOptions,
  FETCH,
  type KnownRiscvControl,
  READ,
  type Report,
  type RiscvCpu,
  WRITE,
} from '../../src/cpu/index.ts';
import { createRandom } from '../support/random-tables.ts';
import { referenceRiscvWalk } from '../support/reference-riscv.ts';
import { readerOfRiscv } from '../support/riscv-cases.ts';
import { A, attempt, D, G, type Kind, Machine, N, R, ROOT, RW, RWX, to, U, V, X } from './riscv-machine.ts';

const P = 0x40_0000n;
/** Below the same table. */
const Q = P + 0x1000n;
/** Where all tables are seen by the processor: a superpage that maps the first 2 MiB of memory. */
const WINDOW = 0x20_0000_0000n;

let machine: Machine;
let cpu: RiscvCpu;

beforeEach(() => {
  machine = new Machine();
});

function boot(registers: KnownRiscvControl = {}, detector: DetectorOptions = {}): void {
  machine.map(WINDOW, 0, RW, 1);
  cpu = machine.boot(registers, { detector });
}

/** Writes an entry through the processor. */
function write(va: bigint, level: number, value: bigint): void {
  expect(cpu.write(WINDOW + machine.addressOf(va, level), 8, value).kind).toBe('done');
}

const reports = (): readonly Report[] => cpu.detector?.reports ?? [];
const message = () => reports()[0]?.message ?? '';

describe('a fence that is missing', () => {
  test('a page that went away: who changed it, and what was due', () => {
    machine.map(P, 0x800);
    boot({ satp: machine.satp(5) });
    expect(attempt(cpu, 'read', P)).toBe('0x800');
    write(P, 0, 0n);
    expect(reports()).toEqual([]);
    expect(attempt(cpu, 'read', P)).toBe('0x800');
    expect(reports()).toMatchObject([
      {
        kind: 'stale-translation',
        difference: 'not mapped',
        space: 5,
        address: P,
        due: 'SFENCE.VMA with rs1 = 0x400000, rs2 = ASID 5 or x0',
        change: { entry: 'level-0 PTE', after: 0n, write: { address: WINDOW + machine.addressOf(P, 0) } },
        done: [],
      },
    ]);
    expect(message()).toContain('S-mode read of 0x0000000000400000 used a translation that is out of date');
  });

  test.each([
    ['another frame', to(0x801, RW), 'frame'],
    ['fewer rights', to(0x800, V | R | A | D), 'rights'],
    ['pages of U-mode', to(0x800, RW | U), 'rights'],
    ['another memory type', to(0x800, RW | (1n << 61n)), 'memory type'],
  ] as const)('%s', (_, value, difference) => {
    machine.map(P, 0x800).page(0x801);
    boot();
    attempt(cpu, 'write', P);
    write(P, 0, value);
    attempt(cpu, 'write', P);
    expect(reports()).toMatchObject([{ kind: 'stale-translation', difference }]);
  });

  test('a fence by ASID leaves what is global, and that is told', () => {
    machine.map(P, 0x800, RW | G);
    boot({ satp: machine.satp(5) });
    attempt(cpu, 'read', P);
    write(P, 0, 0n);
    cpu.sfenceVma({ address: P, asid: 5n });
    attempt(cpu, 'read', P);
    expect(reports()).toMatchObject([
      {
        space: undefined,
        due: 'SFENCE.VMA with rs1 = 0x400000, rs2 = x0 (an ASID would keep it, since it is global)',
        done: [{ instruction: 'SFENCE.VMA 0x400000, 5', left: 'names an ASID, and so keeps what is global' }],
      },
    ]);
  });

  test('a fence by address leaves what leads to tables, and that is told', () => {
    machine.map(P, 0x800).map(Q, 0x801);
    boot();
    attempt(cpu, 'read', P);
    const table = machine.newFrame();
    machine.memory.words.set([Number(to(0x800, RW)), 0], machine.memory.locate(table));
    write(P, 1, to(table, V));
    cpu.sfenceVma({ address: P });
    cpu.sfenceVma({ address: Q });
    attempt(cpu, 'read', Q);
    expect(reports()).toMatchObject([
      {
        difference: 'not mapped',
        change: { entry: 'level-1 PTE' },
        due: 'SFENCE.VMA with rs1 = x0, rs2 = ASID 0 or x0; an address would leave what leads to tables',
      },
    ]);
    expect(cpu.detector?.stale().map(({ remembered }) => remembered)).toContain('table');
  });

  test('for another address, for another ASID, before the change', () => {
    machine.map(P, 0x800);
    boot({ satp: machine.satp(5) });
    attempt(cpu, 'read', P);
    write(P, 0, 0n);
    cpu.sfenceVma({ address: Q });
    cpu.sfenceVma({ address: P, asid: 6n });
    cpu.sfenceVma({ asid: 6n });
    attempt(cpu, 'read', P);
    expect(reports()).toMatchObject([
      {
        done: [
          { left: 'is for another address' },
          { left: 'is for ASID 6, and this belongs to ASID 5' },
          { left: 'is for ASID 6, and this belongs to ASID 5' },
        ],
      },
    ]);
  });

  test('another root under the same ASID', () => {
    machine.map(P, 0x800).page(0x801);
    const { memory } = machine;
    const other = machine.newFrame();
    const large = machine.newFrame();
    const small = machine.newFrame();
    memory.words.set([Number(to(large, V)), 0], memory.locate(other));
    memory.words.set([Number(to(small, V)), 0], memory.locate(large) + 4);
    memory.words.set([Number(to(0x801, RW)), 0], memory.locate(small));
    boot();
    attempt(cpu, 'read', P);
    cpu.writeCsr('satp', machine.satp() + BigInt(other - ROOT));
    attempt(cpu, 'read', P);
    expect(reports()).toMatchObject([
      {
        difference: 'frame',
        change: undefined,
        due: 'SFENCE.VMA with rs1 = x0, rs2 = ASID 0 or x0: there is another root now',
      },
    ]);
  });

  test('one of a Svnapot group, of which the other entries are remembered by it', () => {
    const group = 0x1_0000n;
    machine.map(group, 0x800).page(0x803).page(0x900);
    for (let i = 0n; i < 16n; i += 1n) machine.set(group + i * 0x1000n, 0, to(0x808, N | RW));
    boot();
    expect(attempt(cpu, 'read', group)).toBe('0x800');
    write(group + 0x3000n, 0, to(0x900, RW));
    cpu.sfenceVma({ address: group });
    expect(attempt(cpu, 'read', group + 0x3000n)).toBe('0x803');
    expect(reports()).toMatchObject([
      { kind: 'stale-translation', difference: 'frame', address: group + 0x3000n },
    ]);
  });
});

describe('freed tables', () => {
  test('a walk through a table that was freed', () => {
    machine.map(P, 0x800).map(Q, 0x801);
    boot();
    attempt(cpu, 'read', P);
    const table = machine.tableOf(P, 0);
    write(P, 1, 0n);
    cpu.sfenceVma({ address: P });
    cpu.detector?.frameFreed(table);
    attempt(cpu, 'read', Q);
    expect(reports()).toMatchObject([{ kind: 'freed-table-used', by: 'remembered' }, {}]);
    expect(message()).toContain('SFENCE.VMA with rs1 = x0 before it is freed');
  });

  test('a frame that is used anew while a translation still leads to it', () => {
    machine.map(P, 0x800);
    boot();
    attempt(cpu, 'read', P);
    write(P, 0, 0n);
    cpu.detector?.frameFreed(0x800);
    cpu.detector?.frameAllocated(0x800);
    expect(reports()).toMatchObject([{ kind: 'freed-frame-reused', address: P }]);
  });
});

describe('what is no mistake', () => {
  const silent = (...kinds: Kind[]) => {
    for (const kind of kinds) attempt(cpu, kind, P);
    expect(reports()).toEqual([]);
  };

  test('an entry that becomes valid: the fault that may come is told as one of the cache', () => {
    machine.map(P, 0x800);
    machine.set(P, 0, 0n);
    boot();
    attempt(cpu, 'read', P);
    write(P, 0, to(0x800, RW));
    expect(cpu.read(P, 4)).toMatchObject({ kind: 'fault', fromCache: true });
    silent('read');
    expect(cpu.detector?.stale()).toEqual([]);
  });

  test('rights that widen, A and D that are cleared', () => {
    machine.map(P, 0x800, V | R | A | D);
    boot();
    attempt(cpu, 'read', P);
    write(P, 0, to(0x800, RWX));
    silent('read', 'write');
    cpu.sfenceVma();
    attempt(cpu, 'write', P);
    write(P, 0, to(0x800, V | R | X));
    cpu.sfenceVma();
    silent('read');
    write(P, 0, to(0x800, RWX & ~(A | D)));
    silent('read', 'write');
    cpu.writeCsr('menvcfg', 0n);
    silent('read');
  });

  test('a superpage that becomes a table with the same pages, and back', () => {
    machine.map(P, 0x800, RW, 0);
    for (let i = 0n; i < 512n; i += 1n) {
      const at = machine.memory.locate(machine.tableOf(P, 0)) + Number(i) * 2;
      machine.memory.words[at] = Number(to(0x200 + Number(i), RW));
    }
    machine.page(0x200);
    const table = machine.get(P, 1);
    boot();
    silent('read');
    write(P, 1, to(0x200, RW));
    silent('read', 'write');
    cpu.sfenceVma({ address: P });
    silent('read');
    cpu.sfenceVma();
    silent('read');
    write(P, 1, table);
    silent('read', 'write');
  });

  test('what is fenced as it should be', () => {
    machine.map(P, 0x800).page(0x801);
    boot({ satp: machine.satp(5) });
    attempt(cpu, 'read', P);
    write(P, 0, to(0x801, RW));
    cpu.sfenceVma({ address: P, asid: 5n });
    silent('read');
    write(P, 1, 0n);
    cpu.sfenceVma({ asid: 5n });
    silent('read');
    expect(cpu.detector?.stale({ allSpaces: true })).toEqual([]);
  });
});

const KINDS = ['read', 'write', 'fetch'] as const;
const CODES = { read: READ, write: WRITE, fetch: FETCH } as const;
const PAGES = [0n, 0x1000n, 0x5000n, 0x20_0000n, 0x20_1000n, 0x4000_0000n];
const BLOCKS = [0x60_0000n, 0x80_0000n];
const FRAMES = [0x800, 0x801, 0x802, 0x803];

/** Random edits, each with the fence that it needs unless one is left out, and accesses. */
function run(seed: number, carelessness: number): { missed: number; caught: number; silent: boolean } {
  const random = createRandom(seed);
  machine = new Machine();
  const bits = () => {
    const on = (bit: bigint, chance: number) => (random.chance(chance) ? bit : 0n);
    return V | R | A | D | on(4n, 0.7) | on(X, 0.5) | on(U, 0.5) | on(G, 0.3);
  };
  for (const va of PAGES) machine.map(va, random.pick(FRAMES), bits());
  for (const va of BLOCKS) machine.map(va, 0x200, bits(), 1);
  const registers = { sum: random.chance(0.5), mxr: random.chance(0.3), svnapot: true, svpbmt: true };
  cpu = machine.boot(registers, { detector: true, cachesInvalid: random.chance(0.5) });
  const control = { satp: machine.satp(), xlen: 64, adue: true, physBits: 56, ...registers } as const;
  const read = readerOfRiscv(machine.memory);
  let missed = 0;
  let caught = 0;
  for (let step = 0; step < 250; step += 1) {
    if (random.chance(0.6)) {
      const va = random.pick([...PAGES, ...BLOCKS]) + BigInt(random.below(64) * 8);
      const kind = random.pick(KINDS);
      const privilege = random.pick(['U', 'S'] as const);
      const want = referenceRiscvWalk(read, control, va, { kind, privilege });
      const before = cpu.detector?.count ?? 0;
      cpu.privilege = privilege;
      const frame = cpu.translate(0, Number(va), CODES[kind]);
      cpu.privilege = 'S';
      const wanted = want.kind === 'ok' ? Number(want.pa >> 12n) : -1;
      if (wanted >= 0 && frame < 0) {
        // Lazily: a fence, and the same again.
        expect(cpu.failure()).toMatchObject({ fromCache: true });
        cpu.sfenceVma({ address: va });
      } else if (frame !== wanted) {
        missed += 1;
        if ((cpu.detector?.count ?? 0) > before) caught += 1;
        cpu.detector?.clear();
      }
      continue;
    }
    const large = random.chance(0.3);
    const va = random.pick(large ? BLOCKS : PAGES);
    const frame = large ? random.pick([0x200, 0x400]) : random.pick(FRAMES);
    const isGlobal = (machine.get(va, large ? 1 : 0) & G) !== 0n;
    machine.set(va, large ? 1 : 0, random.chance(0.2) ? 0n : to(frame, bits()));
    if (random.chance(carelessness)) continue;
    cpu.sfenceVma({
      ...(random.chance(0.7) ? { address: va } : {}),
      ...(isGlobal || random.chance(0.5) ? {} : { asid: 0n }),
    });
  }
  return { missed, caught, silent: cpu.detector?.count === 0 };
}

describe('random edits', () => {
  test('with every fence that is due, nothing is out of date, and nothing is reported', () => {
    for (let seed = 1; seed <= 12; seed += 1) {
      expect([seed, run(seed, 0)]).toEqual([seed, { missed: 0, caught: 0, silent: true }]);
      expect(cpu.detector?.stale({ allSpaces: true })).toEqual([]);
    }
  });

  test('with some left out, accesses that they spoil are reported', () => {
    let [missed, caught] = [0, 0];
    for (let seed = 1; seed <= 12; seed += 1) {
      const found = run(seed, 0.3);
      missed += found.missed;
      caught += found.caught;
    }
    expect(missed).toBeGreaterThan(20);
    expect(caught).toBe(missed);
  });
});
