/**
 * What the detector reports on AArch64, and what it must not. Rules: Arm ARM (DDI 0487), sections "Using break-before-make when
 * updating translation table entries" (R_WHZWS, R_DDMVT), "Support levels for changing table or block size" and "The Contiguous bit".
 */
import { beforeEach, describe, expect, test } from 'vitest';
import type { Aarch64Cpu, DetectorOptions, KnownAarch64Control, Report } from '../../src/cpu/index.ts';
import {
  AF,
  AP_EL0,
  AP_RO,
  AP_TABLE_NO_EL0,
  AP_TABLE_RO,
  attempt,
  attr,
  BLOCK,
  CONTIGUOUS,
  DBM,
  type Level,
  Machine,
  NG,
  OPEN,
  operand,
  PAGE,
  PXN,
  PXN_TABLE,
  ROOTS,
  SH_INNER,
  SH_OUTER,
  SOFTWARE,
  TABLE,
  TCR,
  TCR_EPD0,
  TCR_HA,
  TCR_HD,
  TCR_HPD0,
  to,
  UXN,
  UXN_TABLE,
} from './aarch64-machine.ts';

const A = 0x40_0000n;
const B = A + 0x1000n;
/** Where all tables are seen by the processor: a block that maps the first 2 MiB of memory. */
const WINDOW = 0x20_0000_0000n;
/** Frames with the same contents as 0x800, and with others. */
const SAME = 0x801;
const OTHER = 0x802;
const ABSENT = 0x9_9999;
const READ_ONLY = AF | NG | AP_RO | SH_INNER;

class World {
  readonly machine = new Machine();
  readonly cpu: Aarch64Cpu;

  constructor(
    prepare: (machine: Machine) => void,
    registers: KnownAarch64Control = {},
    options: DetectorOptions = {},
  ) {
    const { machine } = this;
    machine.map(WINDOW, 0, AF | NG, 2);
    for (const frame of [0x800, SAME, OTHER]) machine.page(frame);
    const { memory } = machine;
    memory.words.fill(0x800, memory.locate(SAME), memory.locate(SAME) + 1024);
    prepare(machine);
    this.cpu = machine.boot(registers, { detector: options });
  }

  get reports(): readonly Report[] {
    return this.cpu.detector?.reports ?? [];
  }

  /** What was reported, in short. */
  get found(): string[] {
    return this.reports.map((report) => (report.kind === 'break-before-make' ? report.rule : report.kind));
  }

  /** Writes an entry, through the processor or not. */
  write(va: bigint, level: Level, value: bigint, through: boolean): void {
    if (!through) {
      this.machine.set(va, level, value);
      return;
    }
    const address = WINDOW + this.machine.addressOf(va, level);
    expect(this.cpu.write(address, 8, value).kind).toBe('done');
  }

  /** DSB, TLBI, DSB. */
  invalidate(operation: string, value = 0n): void {
    this.cpu.barrier('DSB ISHST');
    this.cpu.tlbi(operation, value);
    this.cpu.barrier('DSB ISH');
  }
}

interface Row {
  readonly name: string;
  readonly before: bigint;
  readonly after: bigint;
  /** The rule that is broken without break-before-make; none if it is not needed. */
  readonly rule?: string;
  readonly level?: Level;
  readonly registers?: KnownAarch64Control;
  /** Bits of the entry above. */
  readonly above?: bigint;
}

const page = (frame: number, bits: bigint) => to(frame, bits | PAGE);
const HA = { tcr: TCR | TCR_HA };
const HD = { tcr: TCR | TCR_HA | TCR_HD };

const ROWS: readonly Row[] = [
  // Output address.
  {
    name: 'another address, writable',
    before: page(0x800, OPEN),
    after: page(SAME, OPEN),
    rule: 'output address',
  },
  {
    name: 'another address, read-only, same contents',
    before: page(0x800, READ_ONLY),
    after: page(SAME, READ_ONLY),
  },
  {
    name: 'another address, read-only, other contents',
    before: page(0x800, READ_ONLY),
    after: page(OTHER, READ_ONLY),
    rule: 'output address',
  },
  {
    name: 'another address, read-only, contents that nobody knows',
    before: page(0x800, READ_ONLY),
    after: page(ABSENT, READ_ONLY),
    rule: 'output address',
  },
  {
    name: 'another address, same contents, writable before',
    before: page(0x800, OPEN),
    after: page(SAME, READ_ONLY),
    rule: 'output address',
  },
  {
    name: 'another address, same contents, writable now',
    before: page(0x800, READ_ONLY),
    after: page(SAME, AF | NG | SH_INNER),
    rule: 'output address',
  },
  {
    name: 'another address, same contents, writable by hardware',
    before: page(0x800, READ_ONLY | DBM),
    after: page(SAME, READ_ONLY | DBM),
    registers: HD,
    rule: 'output address',
  },
  {
    name: 'another address, same contents, DBM without HD',
    before: page(0x800, READ_ONLY | DBM),
    after: page(SAME, READ_ONLY | DBM),
    registers: HA,
  },
  {
    name: 'another address, same contents, below a read-only table',
    before: page(0x800, OPEN),
    after: page(SAME, OPEN),
    above: AP_TABLE_RO,
  },
  {
    name: 'another address, same contents, below a table of which the rights do not count',
    before: page(0x800, OPEN),
    after: page(SAME, OPEN),
    above: AP_TABLE_RO,
    registers: { tcr: TCR | TCR_HPD0 },
    rule: 'output address',
  },
  // Memory type, cacheability, shareability.
  ...[1, 2, 3, 5].map((index) => ({
    name: `write-back to AttrIndx ${index}`,
    before: page(0x800, OPEN),
    after: page(0x800, OPEN | attr(index)),
    rule: 'memory type',
  })),
  {
    name: 'one kind of device to another',
    before: page(0x800, OPEN | attr(1)),
    after: page(0x800, OPEN | attr(5)),
    rule: 'memory type',
  },
  { name: 'other allocation hints', before: page(0x800, OPEN), after: page(0x800, OPEN | attr(4)) },
  {
    name: 'shareability of cached memory',
    before: page(0x800, AF | NG | SH_INNER),
    after: page(0x800, AF | NG | SH_OUTER),
    rule: 'memory type',
  },
  ...[1, 2].map((index) => ({
    name: `shareability of memory that is not cached, AttrIndx ${index}`,
    before: page(0x800, AF | NG | attr(index) | SH_INNER),
    after: page(0x800, AF | NG | attr(index)),
  })),
  // Rights, flags and software bits.
  {
    name: 'fewer rights',
    before: page(0x800, OPEN),
    after: page(0x800, (OPEN & ~AP_EL0) | AP_RO | UXN | PXN),
  },
  { name: 'more rights', before: page(0x800, READ_ONLY | UXN | PXN), after: page(0x800, OPEN) },
  { name: 'AF taken away', before: page(0x800, OPEN), after: page(0x800, OPEN & ~AF) },
  {
    name: 'AF taken away, and hardware may set it',
    before: page(0x800, OPEN),
    after: page(0x800, OPEN & ~AF),
    registers: HA,
  },
  { name: 'DBM', before: page(0x800, OPEN), after: page(0x800, OPEN | DBM), registers: HD },
  {
    name: 'AP[2] of a page with DBM',
    before: page(0x800, OPEN | DBM),
    after: page(0x800, OPEN | DBM | AP_RO),
    registers: HD,
  },
  { name: 'software bits', before: page(0x800, OPEN), after: page(0x800, OPEN | SOFTWARE | (7n << 56n)) },
  { name: 'global to non-global', before: page(0x800, AF), after: page(0x800, AF | NG) },
  { name: 'non-global to global', before: page(0x800, AF | NG), after: page(0x800, AF), rule: 'global' },
  {
    name: 'the Contiguous bit set',
    before: page(0x800, OPEN),
    after: page(0x800, OPEN | CONTIGUOUS),
    rule: 'contiguous',
  },
  {
    name: 'the Contiguous bit cleared',
    before: page(0x800, OPEN | CONTIGUOUS),
    after: page(0x800, OPEN),
    rule: 'contiguous',
  },
  // Entries that are not there, or fault.
  { name: 'invalid to valid', before: 0n, after: page(0x800, OPEN) },
  { name: 'valid to invalid', before: page(0x800, OPEN), after: 0n },
  { name: 'invalid with other bits to valid', before: page(OTHER, OPEN) & ~1n, after: page(0x800, OPEN) },
  { name: 'AF = 0 to another address', before: page(0x800, OPEN & ~AF), after: page(SAME, OPEN) },
  {
    name: 'AF = 0 to another address, and hardware may set it',
    before: page(0x800, OPEN & ~AF),
    after: page(SAME, OPEN),
    registers: HA,
    rule: 'output address',
  },
  {
    name: 'an address that is too high to another',
    before: page(0x800, OPEN) | (1n << 40n),
    after: page(SAME, OPEN),
  },
  { name: 'a reserved type to a page', before: to(0x800, OPEN | 1n), after: page(SAME, OPEN) },
  // Blocks and tables. Frame 0x120 is an empty table.
  ...([1, 2] as const).flatMap((level) => [
    {
      name: `a block to a table at level ${level}`,
      before: to(0x4_0000, OPEN | BLOCK),
      after: to(0x120, TABLE),
      level,
      rule: 'size',
    },
    {
      name: `a table to a block at level ${level}`,
      before: to(0x120, TABLE),
      after: to(0x4_0000, OPEN | BLOCK),
      level,
      rule: 'size',
    },
    ...[AP_TABLE_RO, AP_TABLE_NO_EL0, UXN_TABLE, PXN_TABLE].flatMap((bits) => [
      {
        name: `table rights ${bits} at level ${level}`,
        before: to(0x120, TABLE),
        after: to(0x120, TABLE) | bits,
        level,
        rule: 'table rights',
      },
      {
        name: `table rights ${bits} at level ${level}, which do not count`,
        before: to(0x120, TABLE) | bits,
        after: to(0x120, TABLE),
        level,
        registers: { tcr: TCR | TCR_HPD0 },
      },
    ]),
    {
      name: `bits of a table at level ${level} that are ignored`,
      before: to(0x120, TABLE),
      after: to(0x120, TABLE) | (0x7fn << 51n) | 0xffcn,
      level,
    },
    {
      name: `another table at level ${level}, as empty`,
      before: to(0x120, TABLE),
      after: to(0x121, TABLE),
      level,
    },
  ]),
  {
    name: 'a block with another address',
    before: to(0x200, OPEN | BLOCK),
    after: to(0x400, OPEN | BLOCK),
    level: 2,
    rule: 'output address',
  },
  {
    name: 'bits of a block below its address',
    before: to(0x200, OPEN | BLOCK),
    after: to(0x201, OPEN | BLOCK),
    level: 2,
  },
];

describe.each([true, false])('through the processor: %s', (through) => {
  const start = ({ before, level = 3, registers = {}, above = 0n }: Row) =>
    new World((machine) => {
      machine.map(A, 0x800);
      machine.set(A, level, before);
      if (above !== 0n) machine.set(A, (level - 1) as Level, machine.get(A, (level - 1) as Level) | above);
    }, registers);

  test.each(ROWS)('$name', (row) => {
    const { after, level = 3, rule } = row;
    const expected = rule === undefined ? [] : [rule];
    const world = start(row);
    world.write(A, level, after, through);
    world.cpu.barrier('DSB ISH');
    expect(world.found).toEqual(expected);

    // Broken, but not invalidated.
    const hasty = start(row);
    hasty.write(A, level, 0n, through);
    hasty.cpu.barrier('DSB ISH');
    hasty.write(A, level, after, through);
    hasty.cpu.barrier('DSB ISH');
    expect(hasty.found).toEqual(expected);

    const right = start(row);
    right.write(A, level, 0n, through);
    // Of a contiguous group each page would have to go.
    if (rule === 'contiguous') right.invalidate('VMALLE1IS');
    else right.invalidate('VAE1IS', operand(A));
    right.write(A, level, after, through);
    right.cpu.barrier('DSB ISH');
    expect(right.found).toEqual([]);
  });
});

describe('what invalidates', () => {
  let world: World;
  /** Breaks a page of ASID 0, or what else is there, does something, and makes another one. */
  function remade(steps: (cpu: Aarch64Cpu) => void, bits = OPEN, level: Level = 3): string[] {
    world = new World((machine) => machine.map(A, level === 3 ? 0x800 : 0x200, bits, level));
    world.machine.set(A, level, 0n);
    steps(world.cpu);
    world.machine.set(A, level, level === 3 ? page(OTHER, bits) : to(0x400, bits | BLOCK));
    world.cpu.barrier('DSB ISH');
    return world.found;
  }
  const all =
    (operation: string, value = 0n) =>
    (cpu: Aarch64Cpu) => {
      cpu.barrier('DSB ISHST');
      cpu.tlbi(operation, value);
      cpu.barrier('DSB ISH');
    };
  const RANGE = (1n << 46n) | (A >> 12n);

  test.each([
    ['VAE1', operand(A)],
    ['VALE1IS', operand(A)],
    ['VAALE1OS', operand(A)],
    ['VAE1', operand(A, 0, 0b0111)],
    ['ASIDE1', 0n],
    ['VMALLE1IS', 0n],
    ['RVALE1', RANGE],
  ])('%s %s does', (operation, value) => {
    expect(remade(all(operation, value))).toEqual([]);
  });

  test.each([
    ['VAE1', operand(B), 'is for other addresses'],
    ['VAE1', operand(A, 3), 'is for ASID 3, and this belongs to ASID 0'],
    [
      'VAE1',
      operand(A, 0, 0b0110),
      "says by TTL that the page's entry is at level 2, and this is at level 3",
    ],
    ['VAE1', operand(A, 0, 0b1011), 'says the granule of 16K, and this is of another'],
    ['ASIDE1', operand(0n, 1), 'is for ASID 1'],
    ['RVAE1', (2n << 46n) | (A >> 14n), 'says the granule of 16K'],
    ['RVAE1', A >> 12n, 'a reserved or an unaligned field'],
  ])('%s %s does not: %s', (operation, value, why) => {
    expect(remade(all(operation, value))).toEqual(['output address']);
    expect(world.reports[0].message).toContain(why);
  });

  test('ASIDE1 keeps global translations', () => {
    expect(remade(all('ASIDE1'), AF)).toEqual(['output address']);
    expect(world.reports[0].message).toContain('keeps global translations');
    expect(remade(all('VALE1', operand(A, 77)), AF)).toEqual([]);
  });

  test('a DSB must come before it, and one of loads and stores behind it', () => {
    const early = (cpu: Aarch64Cpu) => {
      cpu.tlbi('VAE1', operand(A));
      cpu.barrier('DSB ISH');
    };
    expect(remade(early)).toEqual(['output address']);
    expect(world.reports[0].message).toContain('came with no DSB between the write and it');
    const open = (last: string) => (cpu: Aarch64Cpu) => {
      cpu.barrier('DSB ISHST');
      cpu.tlbi('VAE1', operand(A));
      cpu.barrier(last);
    };
    for (const last of ['DSB ISHST', 'DMB ISH', 'ISB']) {
      expect(remade(open(last)), last).toEqual(['output address']);
      expect(world.reports[0].message).toContain('no DSB of loads and stores came after it');
    }
    expect(remade(open('DSB NSH'))).toEqual([]);
  });

  test('a block goes by any of its addresses', () => {
    expect(remade(all('VALE1', operand(A + 0x12_3000n)), OPEN, 2)).toEqual([]);
  });

  test('a contiguous group goes page by page', () => {
    const bits = OPEN | CONTIGUOUS;
    const group = Array.from({ length: 16 }, (_, i) => A + BigInt(i) * 0x1000n);
    for (const last of [15, 16]) {
      world = new World((machine) => {
        for (const [i, va] of group.entries()) machine.map(va, 0x810 + i, bits);
      });
      for (const va of group) world.machine.set(va, 3, 0n);
      world.cpu.barrier('DSB ISHST');
      for (const va of group.slice(0, last)) world.cpu.tlbi('VAE1IS', operand(va));
      world.cpu.barrier('DSB ISH');
      world.machine.set(A, 3, page(0x810, OPEN));
      world.cpu.barrier('DSB ISH');
      expect(world.found).toEqual(last === 16 ? [] : ['contiguous']);
    }
  });

  test('where a table was: itself, and each page below it', () => {
    const start = () =>
      new World((machine) => {
        machine.map(A, 0x800).map(B, SAME);
      });
    const make = (its: World, ...invalidations: (readonly [string, bigint])[]) => {
      its.machine.set(A, 2, 0n);
      its.cpu.barrier('DSB ISH');
      for (const [operation, value] of invalidations) its.cpu.tlbi(operation, value);
      its.cpu.barrier('DSB ISH');
      its.machine.set(A, 2, to(0x200, OPEN | BLOCK));
      its.cpu.barrier('DSB ISH');
      return its.found;
    };
    expect(make(start(), ['VAE1', operand(A)], ['VALE1', operand(B)])).toEqual([]);
    expect(make(start(), ['VAE1', operand(A)])).toEqual(['size']);
    expect(make(start(), ['VALE1', operand(A)], ['VALE1', operand(B)])).toEqual(['size']);
    // The two pages, and the entry that led to them.
    expect(make(start())).toEqual(['size']);
  });

  test('another table: what its pages are now', () => {
    const relinked = (frame: number, bits: bigint) => {
      world = new World((machine) => {
        machine.map(A, 0x800, READ_ONLY);
        const { memory } = machine;
        const value = page(frame, bits);
        const at = memory.locate(0x120) + Number((A >> 12n) & 511n) * 2;
        memory.words.set([Number(value & 0xffff_ffffn), Number(value >> 32n)], at);
      });
      world.machine.set(A, 2, to(0x120, TABLE));
      world.cpu.barrier('DSB ISH');
      return world.found;
    };
    expect(relinked(0x800, READ_ONLY)).toEqual([]);
    expect(relinked(SAME, READ_ONLY)).toEqual([]);
    expect(relinked(OTHER, READ_ONLY)).toEqual(['output address']);
    expect(relinked(0x800, READ_ONLY | attr(2))).toEqual(['memory type']);
  });

  test('what was cached under another ASID meets only what is global', () => {
    const switched = (bits: bigint) => {
      world = new World((machine) => machine.map(A, 0x800), {
        ttbr0: (BigInt(ROOTS[0]) << 12n) | (5n << 48n),
      });
      world.machine.set(A, 3, 0n);
      world.cpu.barrier('DSB ISH');
      world.cpu.writeSystemRegister('TTBR0_EL1', (BigInt(ROOTS[0]) << 12n) | (6n << 48n));
      world.machine.set(A, 3, page(OTHER, bits));
      world.cpu.barrier('DSB ISH');
      return world.found;
    };
    expect(switched(OPEN)).toEqual([]);
    expect(switched(AF)).toEqual(['global']);
  });
});

describe('contiguous groups', () => {
  const bits = OPEN | CONTIGUOUS;
  const start = (registers: KnownAarch64Control = {}) =>
    new World((machine) => {
      for (let i = 0; i < 15; i += 1) machine.map(A + BigInt(i) * 0x1000n, 0x810 + i, bits);
    }, registers);
  const LAST = A + 0xf000n;

  test.each([
    ['its own', page(0x81f, bits), []],
    ['invalid', page(0x81f, bits) & ~1n, []],
    ['another address', page(0x820, bits), ['contiguous-group']],
    ['other rights', page(0x81f, bits | UXN), ['contiguous-group']],
    ['other rights of EL0', page(0x81f, bits & ~AP_EL0), ['contiguous-group']],
    ['another type', page(0x81f, bits | attr(2)), ['contiguous-group']],
    ['no Contiguous bit', page(0x81f, OPEN), ['contiguous-group']],
    ['software bits', page(0x81f, bits | SOFTWARE), []],
  ])('the last entry with %s', (_, value, want) => {
    const world = start();
    world.machine.set(LAST, 3, value);
    world.cpu.barrier('DSB ISH');
    expect(world.found).toEqual(want);
  });

  test('AF and AP[2] may differ where hardware changes them', () => {
    const world = start({ tcr: TCR | TCR_HA | TCR_HD });
    world.machine.set(LAST, 3, page(0x81f, bits & ~AF));
    world.cpu.barrier('DSB ISH');
    world.machine.set(LAST, 3, page(0x81f, bits | DBM | AP_RO));
    world.cpu.barrier('DSB ISH');
    expect(world.found).toEqual([]);
  });

  test('the message names both entries', () => {
    const world = start();
    world.write(LAST, 3, page(0x820, bits), true);
    expect(world.reports[0].message).toMatch(
      /L3 descriptor at .*another .*L3 descriptor at .*R_QTRPM.*was due/s,
    );
  });
});

describe('what is not live', () => {
  const change = (world: World) => {
    world.machine.set(A, 3, page(OTHER, OPEN));
    world.cpu.barrier('DSB ISH');
    return world.found;
  };
  const start = (registers: KnownAarch64Control = {}) =>
    new World((machine) => machine.map(A, 0x800), registers);

  test('tables while translation is off, or there are no walks', () => {
    expect(change(start({ sctlr: 0n }))).toEqual([]);
    expect(change(start({ tcr: TCR | TCR_EPD0 }))).toEqual([]);
    expect(change(start())).toEqual(['output address']);
  });

  test('tables under another root', () => {
    const world = start();
    world.cpu.writeSystemRegister('TTBR0_EL1', 0n);
    expect(change(world)).toEqual([]);
  });

  test('tables of an ASID that is not loaded, until it is', () => {
    const ROOT = BigInt(ROOTS[0]) << 12n;
    for (const [operation, want] of [
      ['', ['output address']],
      ['ASIDE1', []],
    ] as const) {
      const world = start({ ttbr0: ROOT | (5n << 48n) });
      world.cpu.writeSystemRegister('TTBR0_EL1', (BigInt(world.machine.newFrame()) << 12n) | (6n << 48n));
      world.machine.set(A, 3, page(OTHER, OPEN));
      world.cpu.barrier('DSB ISH');
      if (operation !== '') world.invalidate(operation, 5n << 48n);
      expect(world.found).toEqual([]);
      world.cpu.writeSystemRegister('TTBR0_EL1', ROOT | (5n << 48n));
      expect(world.found).toEqual(want);
      if (operation === '') expect(world.reports[0].message).toMatch(/in use now {3}L3 descriptor/);
    }
  });

  test('tables below an entry that is invalid, once that is invalidated', () => {
    const world = start();
    world.machine.set(A, 1, 0n);
    world.invalidate('VMALLE1');
    world.machine.set(A, 3, page(OTHER, OPEN));
    world.cpu.barrier('DSB ISH');
    world.machine.set(A, 1, to(world.machine.tableOf(A, 2), TABLE));
    world.cpu.barrier('DSB ISH');
    expect(world.found).toEqual([]);
  });

  test('they are live as soon as a register says so', () => {
    const world = start({ sctlr: 0n });
    world.cpu.writeSystemRegister('SCTLR_EL1', 1n);
    expect(change(world)).toEqual(['output address']);
  });
});

describe('reports', () => {
  let world: World;
  beforeEach(() => {
    world = new World((machine) => machine.map(A, 0x800), {}, { traces: true });
  });

  test('say which entry, which bits, which rule, what was due and what was done', () => {
    world.write(A, 3, 0n, true);
    world.cpu.tlbi('VALE1IS', operand(B));
    world.cpu.barrier('DSB ISH');
    world.write(A, 3, page(OTHER, OPEN), true);
    const address = world.machine.addressOf(A, 3);
    expect(world.reports).toMatchObject([
      {
        kind: 'break-before-make',
        address: A,
        rule: 'output address',
        change: { entry: 'L3 descriptor', address, before: 0n, after: page(OTHER, OPEN) },
        cached: { entry: 'L3 descriptor', address, value: page(0x800, OPEN) },
        cachedAddress: A,
        shift: 12,
        space: 0,
        done: [
          { instruction: 'TLBI VALE1IS, 0x401', left: 'is for other addresses' },
          { instruction: 'DSB ISH' },
        ],
      },
    ]);
    const [{ message }] = world.reports;
    expect(message).toContain('changed      L3 descriptor at');
    expect(message).toContain(
      `by           a write to 0x${(WINDOW + address).toString(16).padStart(16, '0')}`,
    );
    expect(message).toContain('aarch64-detector.test.ts');
    expect(message).toContain('R_WHZWS');
    expect(message).toContain(
      'was due      an invalid entry, DSB, TLBI VALE1IS or VAE1IS for 0x400000 under ASID 0, DSB',
    );
  });

  test('come once for each change; what follows is not told again', () => {
    for (const frame of [OTHER, OTHER, SAME]) world.write(A, 3, page(frame, OPEN), true);
    expect(world.found).toEqual(['output address', 'output address']);
    world.write(A, 3, page(SAME, OPEN | UXN), true);
    expect(world.found).toHaveLength(2);
  });

  test('from inside onReport neither accesses nor instructions are taken', () => {
    let refused = 0;
    const told = new World(
      (machine) => machine.map(A, 0x800),
      {},
      {
        onReport: () => {
          const { cpu } = told;
          for (const call of [
            () => cpu.read(A, 4),
            () => cpu.tlbi('VMALLE1'),
            () => cpu.barrier('DSB SY'),
            () => cpu.writeSystemRegister('TTBR0_EL1', 0n),
            () => cpu.detector?.check(),
          ]) {
            expect(call).toThrow(expect.objectContaining({ code: 'REENTERED' }));
            refused += 1;
          }
        },
      },
    );
    const { ttbr0 } = told.cpu;
    told.machine.set(A, 3, page(OTHER, OPEN));
    told.cpu.barrier('DSB ISH');
    expect([refused, told.cpu.ttbr0]).toEqual([5, ttbr0]);
  });

  test('check() looks at once', () => {
    world.machine.set(A, 3, page(OTHER, OPEN));
    expect(world.found).toEqual([]);
    world.cpu.detector?.check();
    expect(world.found).toEqual(['output address']);
  });

  test('of stale use: as on other processors, with what AArch64 has', () => {
    expect(attempt(world.cpu, 'read', A)).toBe('0x800');
    world.write(A, 3, 0n, true);
    world.cpu.tlbi('ASIDE1', operand(0n, 3));
    world.cpu.tlbi('VALE1', operand(A));
    expect(attempt(world.cpu, 'read', A)).toBe('0x800');
    expect(world.reports).toMatchObject([
      {
        kind: 'stale-translation',
        difference: 'not mapped',
        accessed: A,
        space: 0,
        due: 'TLBI VALE1 or VAE1 for 0x400000 under ASID 0, and DSB',
        done: [
          { instruction: 'TLBI ASIDE1, 0x3000000000000', left: 'is for ASID 3, and this belongs to ASID 0' },
          { left: 'came with no DSB between the write and it' },
        ],
      },
    ]);
    expect(world.reports[0].message).toContain('EL1 read of 0x0000000000400000 used a translation');
    world.cpu.barrier('DSB ISH');
    expect(world.cpu.detector?.stale()).toEqual([]);
  });

  test('of stale tables and rights', () => {
    attempt(world.cpu, 'read', A);
    world.write(A, 3, page(0x800, OPEN | AP_RO), true);
    expect(world.cpu.detector?.stale()).toMatchObject([{ difference: 'rights', remembered: 'translation' }]);
    expect(attempt(world.cpu, 'write', A)).toBe('0x0');
    expect(world.found).toEqual(['stale-translation']);
    world.invalidate('VALE1', operand(A));
    world.write(A, 2, 0n, true);
    expect(world.cpu.detector?.stale()).toMatchObject([{ remembered: 'table', shift: 21 }]);
    expect(world.cpu.detector?.stale()[0].due).toContain('VALE1 leaves what leads to tables');
  });

  test('of tables that are freed and still walked through', () => {
    const frame = world.machine.tableOf(A, 3);
    attempt(world.cpu, 'read', A);
    world.write(A, 2, 0n, true);
    world.cpu.detector?.frameFreed(frame);
    attempt(world.cpu, 'read', B);
    expect(world.reports).toMatchObject([{ kind: 'freed-table-used', by: 'remembered' }]);
    expect(world.reports[0].message).toContain('TLBI VAE1');
  });
});

test('tables that lead to themselves are watched up to a limit', () => {
  const machine = new Machine();
  for (let index = 0; index < 512; index += 1) {
    machine.memory.words.set([ROOTS[0] * 4096 + 3, 0], machine.memory.locate(ROOTS[0]) + 2 * index);
  }
  const cpu = machine.boot({}, { detector: true });
  cpu.barrier('DSB ISH');
  expect(cpu.detector?.reports).toEqual([]);
});
