/**
 * What an access through RISC-V tables gets, rule by rule, in the order in which the manual checks. Expected values are those of
 * the manual: RISC-V Privileged ISA, chapters "Supervisor-Level ISA", "Svnapot", "Svpbmt", "Svadu", and the table of mcause values.
 */
import { beforeEach, describe, expect, test } from 'vitest';
import { FETCH, READ, type RiscvCpu, WRITE } from '../../src/cpu/index.ts';
import { RISCV_MODES, type RiscvMode } from '../support/riscv-cases.ts';
import { A, attempt, D, G, Machine, N, R, RW, RWX, rights, textOf, to, U, V, W, X } from './riscv-machine.ts';

const VA = 0x40_0000n;
const NONE = { caching: 'none' } as const;
const MODES: readonly RiscvMode[] = ['sv32', 'sv39', 'sv48', 'sv57'];

let machine: Machine;
beforeEach(() => {
  machine = new Machine();
});

/** What each kind of access gets. */
function causes(cpu: RiscvCpu, va = VA, privilege: 'U' | 'S' | 'M' = 'S'): string[] {
  return (['fetch', 'read', 'write'] as const).map((kind) => attempt(cpu, kind, va, { privilege }));
}

const PAGE_FAULTS = ['12', '13', '15'];
const ACCESS_FAULTS = ['1', '5', '7'];

describe('0: no translation', () => {
  test('with satp.MODE = Bare addresses are physical, for every privilege', () => {
    machine.map(VA, 0x800).page(0x400);
    const cpu = machine.boot({ satp: 0n });
    for (const privilege of ['U', 'S', 'M'] as const) {
      expect(attempt(cpu, 'read', VA, { privilege })).toBe('0x400');
    }
    expect(() => cpu.paging()).toThrow('MODE = Bare');
  });

  test('in M-mode addresses are physical, whatever satp says', () => {
    machine.map(VA, 0x800).page(0x400);
    const cpu = machine.boot();
    expect(attempt(cpu, 'read', VA)).toBe('0x800');
    expect(attempt(cpu, 'read', VA, { privilege: 'M' })).toBe('0x400');
    expect(attempt(cpu, 'read', VA)).toBe('0x800');
  });

  test('as MPRV has it, accesses of M-mode are translated with the rights of another mode', () => {
    machine.map(VA, 0x800).map(VA + 0x1000n, 0x801, RW | U);
    const cpu = machine.boot();
    const as = (va: bigint, mode: 'U' | 'S') => attempt(cpu, 'read', va, { privilege: 'M', as: mode });
    expect([as(VA, 'S'), as(VA, 'U'), as(VA + 0x1000n, 'S'), as(VA + 0x1000n, 'U')]).toEqual([
      '0x800',
      '13',
      '13',
      '0x801',
    ]);
  });

  test('a physical address that the processor has not is an access fault', () => {
    const cpu = machine.boot({ satp: 0n, physBits: 40 });
    expect(causes(cpu, 1n << 40n)).toEqual(ACCESS_FAULTS);
    expect(attempt(cpu, 'read', (1n << 40n) - 4096n)).toBe('absent 0xfffffff000');
    expect(causes(cpu, 1n << 40n, 'M')).toEqual(ACCESS_FAULTS);
  });
});

describe('1: sign extension', () => {
  test.each([
    ['sv39', 38],
    ['sv48', 47],
    ['sv57', 56],
  ] as const)('%s: the bits above bit %i are as that one', (mode, top) => {
    machine = new Machine(mode);
    const highest = (1n << 64n) - (1n << BigInt(top));
    machine.map(highest, 0x800).map((1n << BigInt(top)) - 4096n, 0x801);
    const cpu = machine.boot();
    expect(attempt(cpu, 'read', highest)).toBe('0x800');
    expect(attempt(cpu, 'read', (1n << BigInt(top)) - 4096n)).toBe('0x801');
    for (const va of [1n << BigInt(top), highest - 4096n, highest ^ (1n << 63n)]) {
      expect(causes(cpu, va)).toEqual(PAGE_FAULTS);
    }
    expect(cpu.read(1n << BigInt(top), 1)).toMatchObject({
      because: [`bits 63:${top + 1} of the address are not all as bit ${top}`],
    });
  });
});

describe('2: entries that cannot be read', () => {
  test('a table that the processor cannot address is an access fault of the original access', () => {
    machine.map(VA, 0x800);
    machine.set(VA, 1, to(2 ** 28, V));
    const cpu = machine.boot({ physBits: 40 });
    expect(causes(cpu)).toEqual(ACCESS_FAULTS);
    expect(cpu.read(VA, 1)).toMatchObject({ because: ['a table lies above 40 bits'] });
    const far = machine.boot({ physBits: 40, satp: machine.satp() | (1n << 40n) });
    expect(causes(far)).toEqual(ACCESS_FAULTS);
  });

  test('a table where there is no memory is told to the emulator', () => {
    machine.map(VA, 0x800);
    machine.set(VA, 1, to(0x9999, V));
    expect(causes(machine.boot())).toEqual(Array.from({ length: 3 }, () => 'absent 0x9999000'));
  });
});

describe('3 and 4: invalid and reserved entries', () => {
  test.each(MODES)('%s: V = 0 at every level', (mode) => {
    const { levels } = RISCV_MODES[mode];
    for (let level = 0; level < levels; level += 1) {
      machine = new Machine(mode).map(VA, 0x800);
      machine.set(VA, level, machine.get(VA, level) & ~V);
      expect(causes(machine.boot())).toEqual(PAGE_FAULTS);
    }
  });

  test.each(MODES)('%s: W without R, at every level', (mode) => {
    const { levels } = RISCV_MODES[mode];
    for (let level = 0; level < levels; level += 1) {
      for (const bits of [W, W | X]) {
        machine = new Machine(mode).map(VA, 0x800);
        machine.set(VA, level, to(0, V | A | D | bits));
        const cpu = machine.boot();
        expect(causes(cpu)).toEqual(PAGE_FAULTS);
        expect(cpu.read(VA, 1)).toMatchObject({ fromCache: true });
      }
    }
  });

  test.each(MODES)('%s: U, A or D in what leads to a table; G and RSW are free', (mode) => {
    const { levels } = RISCV_MODES[mode];
    for (let level = 1; level < levels; level += 1) {
      for (const [bits, faults] of [
        [U, true],
        [A, true],
        [D, true],
        [G, false],
        [3n << 8n, false],
      ] as const) {
        machine = new Machine(mode).map(VA, 0x800);
        machine.set(VA, level, machine.get(VA, level) | bits);
        expect(attempt(machine.boot(), 'read', VA)).toBe(faults ? '13' : '0x800');
      }
    }
  });

  test.each(MODES)('%s: a pointer at level 0', (mode) => {
    machine = new Machine(mode).map(VA, 0x800);
    machine.set(VA, 0, to(0x800, V));
    expect(causes(machine.boot())).toEqual(PAGE_FAULTS);
  });

  test('bits 60:54 at every level', () => {
    for (let level = 0; level < 3; level += 1) {
      for (let bit = 54n; bit <= 60n; bit += 1n) {
        machine = new Machine().map(VA, 0x800);
        machine.set(VA, level, machine.get(VA, level) | (1n << bit));
        expect(causes(machine.boot(undefined, NONE))).toEqual(PAGE_FAULTS);
      }
    }
  });

  test('PBMT: codes 1 and 2 with Svpbmt, in pages only; 3 never', () => {
    for (const svpbmt of [true, false]) {
      for (const pbmt of [1n, 2n, 3n]) {
        machine = new Machine().map(VA, 0x800, RW | (pbmt << 61n));
        const want = svpbmt && pbmt < 3n ? '0x800' : '13';
        expect([svpbmt, pbmt, attempt(machine.boot({ svpbmt }), 'read', VA)]).toEqual([svpbmt, pbmt, want]);
        machine = new Machine().map(VA, 0x800);
        machine.set(VA, 1, machine.get(VA, 1) | (pbmt << 61n));
        expect(attempt(machine.boot({ svpbmt }), 'read', VA)).toBe('13');
      }
    }
  });

  test('menvcfg.PBMTE switches Svpbmt', () => {
    machine.map(VA, 0x800, RW | (1n << 61n));
    const cpu = machine.boot(undefined, NONE);
    expect(attempt(cpu, 'read', VA)).toBe('0x800');
    cpu.writeCsr('menvcfg', 0n);
    expect(attempt(cpu, 'read', VA)).toBe('13');
    cpu.writeCsr('menvcfg', 1n << 62n);
    expect(attempt(cpu, 'read', VA)).toBe('0x800');
  });
});

describe('5: superpages', () => {
  test.each(MODES)('%s: every level maps pages, and their lower page numbers must be 0', (mode) => {
    const { levels, bits, vaBits } = RISCV_MODES[mode];
    for (let level = 1; level < levels; level += 1) {
      const pages = 2 ** (bits * level);
      // Somewhere inside, and the frame there.
      const va = (BigInt(3 * pages + 5) << 12n) & ((1n << BigInt(vaBits - 1)) - 1n);
      machine = new Machine(mode).map(va, pages, RWX, level).page(pages + (Number(va >> 12n) % pages));
      const cpu = machine.boot();
      const frame = cpu.translate(Number(va >> 32n), Number(BigInt.asIntN(32, va)), READ);
      expect(frame).toBe(pages + (Number(va >> 12n) % pages));
      for (const bit of [0, bits * level - 1]) {
        machine.set(va, level, to(pages + 2 ** bit, RWX));
        expect(causes(machine.boot(), va)).toEqual(PAGE_FAULTS);
      }
    }
  });
});

describe('6 and 8: rights', () => {
  test.each([
    [R, {}, '--- r--'],
    [R | W, {}, '--- rw-'],
    [X, {}, '--- --x'],
    [R | X, {}, '--- r-x'],
    [R | W | X, {}, '--- rwx'],
    [R | W | X | U, {}, 'rwx ---'],
    [R | U, {}, 'r-- ---'],
    [X | U, {}, '--x ---'],
    [R | W | X | U, { sum: true }, 'rwx rw-'],
    [X | U, { sum: true }, '--x ---'],
    [X | U, { sum: true, mxr: true }, 'r-x r--'],
    [X | U, { mxr: true }, 'r-x ---'],
    [X, { mxr: true }, '--- r-x'],
    [R, { mxr: true }, '--- r--'],
    [R | W, { sum: true }, '--- rw-'],
  ] as const)('entry 0x%s, %s: %s', (bits, registers, want) => {
    machine.map(VA, 0x800, V | A | D | bits);
    expect(rights(machine.boot(registers), VA)).toBe(want);
    expect(rights(machine.boot(registers, NONE), VA)).toBe(want);
  });

  test('SUM and MXR take effect at once, for what is remembered too', () => {
    machine.map(VA, 0x800, V | A | D | X | U);
    const cpu = machine.boot();
    expect(rights(cpu, VA)).toBe('--x ---');
    cpu.mxr = true;
    expect(rights(cpu, VA)).toBe('r-x ---');
    cpu.sum = true;
    expect(rights(cpu, VA)).toBe('r-x r--');
    cpu.writeCsr('sstatus', 0n);
    expect(rights(cpu, VA)).toBe('--x ---');
  });

  test('what refused is told', () => {
    machine.map(VA, 0x800, V | A | D | R | U);
    const cpu = machine.boot(undefined, NONE);
    const why = (kind: 'read' | 'fetch') => cpu[kind](VA, 4);
    expect(why('read')).toMatchObject({
      exception: 'load page fault',
      cause: 13,
      stval: VA,
      because: ['sstatus.SUM = 0 and the page is a user page'],
    });
    expect(why('fetch')).toMatchObject({
      exception: 'instruction page fault',
      because: ['X = 0 in level-0 PTE', 'the page is a user page, which S-mode never executes'],
    });
  });
});

describe('9: A and D', () => {
  const entry = (bits: bigint) => to(0x800, V | R | W | X | bits);

  test.each([
    ['read', 0n, A],
    ['fetch', 0n, A],
    ['write', 0n, A | D],
    ['write', A, A | D],
    ['read', A, A],
    ['write', A | D, A | D],
  ] as const)('set by hardware: a %s with 0x%s leaves 0x%s', (kind, before, after) => {
    for (const options of [NONE, {}]) {
      machine = new Machine().map(VA, 0x800).page(0x800);
      machine.set(VA, 0, entry(before));
      const cpu = machine.boot({ adue: true }, options);
      expect(attempt(cpu, kind, VA)).not.toMatch(/^1/);
      expect(machine.get(VA, 0)).toBe(entry(after));
      // Nothing above the page has them.
      expect([1, 2].map((level) => machine.get(VA, level) & (A | D))).toEqual([0n, 0n]);
    }
  });

  test('a write after a read sets D', () => {
    machine.map(VA, 0x800);
    machine.set(VA, 0, entry(0n));
    const cpu = machine.boot();
    attempt(cpu, 'read', VA);
    attempt(cpu, 'write', VA);
    expect(machine.get(VA, 0)).toBe(entry(A | D));
  });

  test.each([
    [0n, ['12', '13', '15']],
    [A, ['0x800', '0x800', '15']],
    [D, ['12', '13', '15']],
    [A | D, ['0x800', '0x800', '0x0']],
  ] as const)('Svade: with 0x%s: %s, and nothing is written', (bits, want) => {
    for (const options of [NONE, {}]) {
      machine = new Machine().map(VA, 0x800);
      machine.set(VA, 0, entry(bits));
      const cpu = machine.boot({ adue: false }, options);
      expect(causes(cpu)).toEqual(want);
      expect(machine.get(VA, 0)).toBe(entry(bits));
    }
  });

  test('nothing is set for an access that is refused', () => {
    machine.map(VA, 0x800, V | R);
    const cpu = machine.boot();
    expect([attempt(cpu, 'write', VA), attempt(cpu, 'read', VA, { privilege: 'U' })]).toEqual(['15', '13']);
    expect(machine.get(VA, 0)).toBe(to(0x800, V | R));
  });

  test('menvcfg.ADUE chooses, on RV32 in menvcfgh', () => {
    machine.map(VA, 0x800, V | R);
    const cpu = machine.boot({ adue: false }, NONE);
    expect(attempt(cpu, 'read', VA)).toBe('13');
    cpu.writeCsr('menvcfg', 1n << 61n);
    expect(attempt(cpu, 'read', VA)).toBe('0x800');
    machine = new Machine('sv32').map(VA, 0x800, V | R);
    const narrow = machine.boot({ adue: false }, NONE);
    narrow.writeCsr('menvcfgh', 1n << 29n);
    expect(attempt(narrow, 'read', VA)).toBe('0x800');
  });
});

describe('10: the physical address', () => {
  test('a page that the processor cannot address is an access fault, after A and D are set', () => {
    machine.map(VA, 0x800);
    machine.set(VA, 0, to(2 ** 28, V | R | W | X));
    const cpu = machine.boot({ physBits: 40 });
    expect(causes(cpu)).toEqual(ACCESS_FAULTS);
    expect(causes(cpu)).toEqual(ACCESS_FAULTS);
    expect(machine.get(VA, 0)).toBe(to(2 ** 28, V | R | W | X | A | D));
  });

  test('a page where there is no memory is told to the emulator', () => {
    machine.map(VA, 0x800);
    machine.set(VA, 0, to(0x9999, RW));
    expect(attempt(machine.boot(), 'read', VA + 8n)).toBe('absent 0x9999008');
  });
});

describe('Svnapot', () => {
  const GROUP = 0x1_0000n;
  const napot = (bits = RW) => to(0x808, N | bits);

  function group(): Machine {
    const made = new Machine();
    for (let i = 0; i < 16; i += 1) {
      made.map(GROUP + BigInt(i * 4096), 0x800 + i);
      made.set(GROUP + BigInt(i * 4096), 0, napot());
    }
    return made;
  }

  test('16 entries with one address: bits 15:12 come from the virtual address', () => {
    for (const options of [NONE, {}]) {
      const cpu = group().boot(undefined, options);
      for (let i = 0; i < 16; i += 1) {
        expect(attempt(cpu, 'read', GROUP + BigInt(i * 4096))).toBe(`0x${(0x800 + i).toString(16)}`);
      }
    }
  });

  test('A and D are set in the entry that was used', () => {
    machine = group();
    const third = GROUP + 0x3000n;
    machine.set(third, 0, napot(V | R | W));
    const cpu = machine.boot();
    attempt(cpu, 'write', third);
    expect(machine.get(third, 0)).toBe(napot(RW));
    expect(machine.get(GROUP, 0)).toBe(napot());
  });

  test('any other code, another level, or no Svnapot: a page fault', () => {
    for (let code = 0; code < 16; code += 1) {
      machine = new Machine().map(GROUP, 0x800);
      machine.set(GROUP, 0, to(0x800 | code, N | RW));
      expect([code, causes(machine.boot(), GROUP)]).toEqual([
        code,
        code === 8 ? ['12', '0x800', '0x0'] : PAGE_FAULTS,
      ]);
      expect(causes(machine.boot({ svnapot: false }), GROUP)).toEqual(PAGE_FAULTS);
    }
    for (const level of [1, 2]) {
      machine = new Machine().map(1n << 30n, 2 ** 18, N | RW, level);
      expect(causes(machine.boot(), 1n << 30n)).toEqual(PAGE_FAULTS);
    }
  });
});

describe('what is reported', () => {
  test('scause and stval; of an access in two pages, the second one', () => {
    machine.map(VA, 0x800);
    const cpu = machine.boot();
    expect(textOf(cpu.read(VA + 0xffen, 4) as never)).toBe('13');
    expect([cpu.scause, cpu.stval]).toEqual([13n, VA + 0x1000n]);
    expect(cpu.write(VA - 2n, 4, 0n)).toMatchObject({ cause: 15, stval: VA - 2n });
    expect([cpu.scause, cpu.stval]).toEqual([15n, VA - 2n]);
  });

  test('an access that crosses the end of the address space goes on at its start', () => {
    const last = (1n << 64n) - 4096n;
    machine.map(last, 0x800).map(0n, 0x801);
    const cpu = machine.boot();
    expect(cpu.read(last + 0xffen, 4)).toEqual({ kind: 'done', value: 0x0801_0000n });
  });

  test('stval has 32 bits on RV32, and addresses wrap around there', () => {
    machine = new Machine('sv32').map(0xffff_f000n, 0x800).map(0n, 0x801);
    const cpu = machine.boot();
    expect(cpu.read(0xffff_fffen, 4)).toEqual({ kind: 'done', value: 0x0801_0000n });
    expect(cpu.read(0xc000_0000n, 1)).toMatchObject({ stval: 0xc000_0000n });
    expect(() => cpu.read(1n << 32n, 1)).toThrow('an unsigned address of 32 bits');
  });

  test('entries of tables through the processor: faults are thrown', () => {
    machine.map(VA, 0x800);
    const cpu = machine.boot();
    cpu.writeEntry(Number(VA >> 12n), 3, 5, 6);
    expect([cpu.readEntry(Number(VA >> 12n), 3), cpu.high]).toEqual([5, 6]);
    expect(() => cpu.readEntry(0x999, 0)).toThrow(
      'load page fault at 0x0000000000999000, scause 13: V = 0 in level-1 PTE',
    );
  });

  test('without allocation: load, store, translate', () => {
    machine.map(VA, 0x800);
    const cpu = machine.boot();
    expect([cpu.store(0, Number(VA), 8, 1, 2), cpu.load(0, Number(VA), 8), cpu.low, cpu.high]).toEqual([
      true,
      true,
      1,
      2,
    ]);
    expect([READ, WRITE].map((kind) => cpu.translate(0, Number(VA), kind))).toEqual([0x800, 0x800]);
    expect(cpu.translate(0, Number(VA), FETCH)).toBe(-1);
    expect(cpu.failure()).toMatchObject({ cause: 12, fromCache: true });
  });
});
