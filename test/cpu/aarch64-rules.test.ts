/**
 * What an access through AArch64 tables gets, rule by rule, in the order in which the manual's pseudocode checks. Expected values are
 * those of the manual: Arm ARM (DDI 0487), chapter D8 and the descriptions of ESR_EL1, FAR_EL1 and PAR_EL1.
 */
import { beforeEach, describe, expect, test } from 'vitest';
import { type Aarch64Cpu, FETCH, READ, WRITE } from '../../src/cpu/index.ts';
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
  type Kind,
  type Level,
  Machine,
  NG,
  OPEN,
  PAGE,
  PXN,
  PXN_TABLE,
  SCTLR_A,
  SCTLR_EPAN,
  SCTLR_M,
  SCTLR_WXN,
  SH_INNER,
  SH_OUTER,
  TABLE,
  TCR,
  TCR_E0PD0,
  TCR_E0PD1,
  TCR_EPD0,
  TCR_EPD1,
  TCR_HA,
  TCR_HD,
  TCR_HPD0,
  TCR_TBI0,
  TCR_TBI1,
  TCR_TBID0,
  to,
  UXN,
  UXN_TABLE,
  VALID,
} from './aarch64-machine.ts';

const VA = 0x40_0000n;
const HIGH = 0xffff_0000_0040_0000n;
const NONE = { caching: 'none' } as const;

let machine: Machine;
beforeEach(() => {
  machine = new Machine();
});

/** The six accesses: what each gets, as letters of those that are allowed. */
function rights(cpu: Aarch64Cpu, va = VA): string {
  return ([1, 0] as const)
    .map((el) =>
      (['read', 'write', 'fetch'] as const)
        .map((kind) => (translates(cpu, va, kind, el) ? kind[0] : '-'))
        .join('')
        .replace('f', 'x'),
    )
    .join(' ');
}

function translates(cpu: Aarch64Cpu, va: bigint, kind: Kind, el: 0 | 1): boolean {
  cpu.el = el;
  const code = { read: READ, write: WRITE, fetch: FETCH }[kind];
  const frame = cpu.translate(Number(BigInt.asIntN(32, va >> 32n)), Number(BigInt.asIntN(32, va)), code);
  cpu.el = 1;
  return frame >= 0;
}

describe('1: translation off', () => {
  test('addresses are physical, whatever the tables say', () => {
    machine.page(0x800);
    const cpu = machine.boot({ sctlr: 0n }, NONE);
    expect(attempt(cpu, 'read', 0x80_0000n)).toBe('0x800');
    expect(attempt(cpu, 'fetch', 0x80_0000n, { el: 0 })).toBe('0x800');
  });

  test('an address above the physical size is an address size fault of level 0', () => {
    const cpu = machine.boot({ sctlr: 0n, physBits: 40 }, NONE);
    expect(attempt(cpu, 'read', 1n << 40n)).toBe('0x00');
    expect(attempt(cpu, 'read', HIGH)).toBe('0x00');
    expect(cpu.esr).toBe(0x9600_0000n);
  });

  test('a tag is passed over where TBI says so', () => {
    machine.page(0x800);
    const cpu = machine.boot({ sctlr: 0n, tcr: TCR | TCR_TBI0 }, NONE);
    expect(attempt(cpu, 'read', 0xab00_0000_0080_0000n)).toBe('0x800');
    expect(attempt(machine.boot({ sctlr: 0n }, NONE), 'read', 0xab00_0000_0080_0000n)).toBe('0x00');
  });

  test('all memory is a device: data must be aligned', () => {
    machine.page(0x800);
    const cpu = machine.boot({ sctlr: 0n }, NONE);
    expect(attempt(cpu, 'read', 0x80_0001n)).toBe('0x21');
    expect(cpu.esr).toBe(0x9600_0021n);
  });

  test('it can be turned on and off', () => {
    machine.map(VA, 0x800).page(0x400);
    const cpu = machine.boot();
    expect(attempt(cpu, 'read', VA)).toBe('0x800');
    cpu.writeSystemRegister('SCTLR_EL1', 0n);
    expect(attempt(cpu, 'read', VA)).toBe('0x400');
    expect(() => cpu.paging('lower')).toThrow(expect.objectContaining({ code: 'PAGING_DISABLED' }));
  });
});

describe('2 to 7: before any table', () => {
  test.each([15n, 49n, 0n, 63n])('T0SZ = %i is out of range: translation fault of level 0', (size) => {
    machine.map(0n, 0x800);
    const cpu = machine.boot({ tcr: (TCR & ~63n) | size }, NONE);
    expect(attempt(cpu, 'read', 0n)).toBe('0x04');
    expect(attempt(cpu, 'read', 0xffff_ffff_ffff_0000n)).toBe('0x04');
  });

  test('T0SZ beyond what 64K has is out of range as well', () => {
    const tcr = (TCR & ~63n) | 48n | (1n << 14n);
    expect(attempt(machine.boot({ tcr }, NONE), 'read', 0n)).toBe('0x04');
  });

  test.each([
    [1n << 48n, 'just above the lower half'],
    [1n << 54n, 'with bits up to 54'],
    [1n << 55n, 'in the upper half by bit 55, and nothing else'],
    [0xfffe_ffff_ffff_f000n, 'just below the upper half'],
    [1n << 63n, 'with a tag, which counts without TBI'],
  ])('%s is no address: %s', (va) => {
    expect(attempt(machine.boot({}, NONE), 'read', va)).toBe('0x04');
  });

  test.each([
    [TCR_TBI0, 0xab00_0000_0040_0000n, '0x800'],
    [TCR_TBI1, 0xab00_0000_0040_0000n, '0x04'],
    [TCR_TBI1, 0x01ff_0000_0040_0000n, '0x801'],
    [TCR_TBI0, 0x01ff_0000_0040_0000n, '0x04'],
  ])('TCR %s: a tag is passed over in its own half, and chooses none', (bits, va, want) => {
    machine.map(VA, 0x800).map(HIGH, 0x801);
    expect(attempt(machine.boot({ tcr: TCR | bits }, NONE), 'read', va)).toBe(want);
  });

  test('TBID limits that to data; FAR keeps the tag', () => {
    machine.map(VA, 0x800, OPEN | AP_RO);
    const cpu = machine.boot({ tcr: TCR | TCR_TBI0 | TCR_TBID0 });
    const tagged = VA | (0x5an << 56n);
    expect(attempt(cpu, 'read', tagged)).toBe('0x800');
    expect(attempt(cpu, 'fetch', VA)).toBe('0x800');
    expect(attempt(cpu, 'fetch', tagged)).toBe('0x04');
    expect(cpu.far).toBe(tagged);
    expect(attempt(cpu, 'write', tagged + 8n)).toBe('0x0f');
    expect(cpu.far).toBe(tagged + 8n);
  });

  test('E0PD refuses EL0 its half at level 0, and EL1 nothing', () => {
    machine.map(VA, 0x800).map(HIGH, 0x801);
    const lower = machine.boot({ tcr: TCR | TCR_E0PD0 }, NONE);
    expect(attempt(lower, 'read', VA)).toBe('0x800');
    expect(attempt(lower, 'read', VA, { el: 0 })).toBe('0x04');
    expect(attempt(lower, 'read', VA, { unprivileged: true })).toBe('0x04');
    expect(attempt(lower, 'read', HIGH, { el: 0 })).toBe('0x801');
    expect(attempt(machine.boot({ tcr: TCR | TCR_E0PD1 }, NONE), 'fetch', HIGH, { el: 0 })).toBe('0x04');
  });

  test('EPD: no walks, a translation fault of level 0; what the TLB has still counts', () => {
    machine.map(VA, 0x800).map(HIGH, 0x801);
    const cpu = machine.boot();
    expect(attempt(cpu, 'read', VA)).toBe('0x800');
    cpu.writeSystemRegister('TCR_EL1', TCR | TCR_EPD0 | TCR_EPD1);
    expect(attempt(cpu, 'read', VA)).toBe('0x800');
    expect(attempt(cpu, 'read', HIGH)).toBe('0x04');
    cpu.tlbi('VMALLE1');
    cpu.barrier('DSB NSH');
    expect(attempt(cpu, 'read', VA)).toBe('0x04');
    expect(cpu.paging('lower')).toBe(undefined);
  });

  test('a root above the output size is an address size fault of level 0', () => {
    machine.map(VA, 0x800);
    const ttbr0 = (1n << 40n) | 0x10_0000n;
    expect(attempt(machine.boot({ ttbr0 }, NONE), 'read', VA)).toBe('0x00');
    expect(attempt(machine.boot({ ttbr0, tcr: TCR | (5n << 32n) }, NONE), 'read', VA)).not.toBe('0x00');
    expect(attempt(machine.boot({ ttbr0, tcr: TCR | (5n << 32n), physBits: 36 }, NONE), 'read', VA)).toBe(
      '0x00',
    );
  });

  test('ASID and CnP are no part of the root', () => {
    machine.map(VA, 0x800);
    expect(attempt(machine.boot({ ttbr0: 0xabcd_0000_0010_0001n }, NONE), 'read', VA)).toBe('0x800');
  });
});

describe('10 to 13: descriptors', () => {
  test.each([
    [0, 0x04],
    [1, 0x05],
    [2, 0x06],
    [3, 0x07],
  ] as const)('bit 0 = 0 at level %i', (level, status) => {
    machine.map(VA, 0x800);
    machine.set(VA, level, machine.get(VA, level) & ~VALID);
    const cpu = machine.boot({}, NONE);
    cpu.el = 0;
    expect(cpu.write(VA + 8n, 4, 0n)).toMatchObject({
      exception: 'Data Abort',
      errorCode: 0x9200_0040 + status,
      level,
      address: VA + 8n,
      because: [`bit 0 = 0 in L${level} descriptor`],
      fromCache: false,
    });
    expect([cpu.esr, cpu.far]).toEqual([BigInt(0x9200_0040 + status), VA + 8n]);
  });

  test('code 01 at level 3 is invalid, and so is a block at level 0', () => {
    machine.map(VA, 0x800);
    machine.set(VA, 3, to(0x800, OPEN | 1n));
    expect(attempt(machine.boot({}, NONE), 'read', VA)).toBe('0x07');
    machine.set(VA, 0, to(0, OPEN | 1n));
    expect(attempt(machine.boot({}, NONE), 'read', VA)).toBe('0x04');
  });

  test.each([
    [1, 0x01],
    [2, 0x02],
    [3, 0x03],
  ] as const)('an address above the output size at level %i, of tables and pages', (level, status) => {
    machine.map(VA, 0x800);
    machine.set(VA, level, machine.get(VA, level) | (1n << 40n));
    const cpu = machine.boot({}, NONE);
    expect(attempt(cpu, 'fetch', VA)).toBe(`0x0${status}`);
    expect(cpu.esr).toBe(0x8600_0000n | BigInt(status));
    // IPS 48 bits: it is only somewhere else.
    expect(attempt(machine.boot({ tcr: TCR | (5n << 32n) }, NONE), 'read', VA)).not.toBe(`0x0${status}`);
  });

  test.each([
    [1, 30n],
    [2, 21n],
  ] as const)(
    'a block at level %i maps what its address says, and bits below are passed over',
    (level, shift) => {
      const base = 1n << shift;
      machine.page(Number((base + 0x3000n) >> 12n));
      machine
        .map(0n, Number(base >> 12n), OPEN, level)
        .set(0n, level, base | OPEN | BLOCK | (1n << 16n) | (1n << 12n));
      expect(attempt(machine.boot({}, NONE), 'read', 0x3000n)).toBe(
        `0x${((base + 0x3000n) >> 12n).toString(16)}`,
      );
    },
  );

  test('a table that is not in memory is absent, and the address is its own', () => {
    machine.map(VA, 0x800).set(VA, 2, to(0x9_0000, TABLE));
    expect(attempt(machine.boot({}, NONE), 'read', VA)).toBe('absent 0x90000000');
  });

  test('with 16 KiB and 64 KiB tables have more entries, and no level has other blocks', () => {
    // 64 KiB, 42 bits: level 2 at the root, of 8192 entries, in 16 frames.
    const { memory } = machine;
    const entry = (frame: number, index: number, value: bigint) => {
      const at = memory.locate(frame + (index >> 9)) + ((index & 511) << 1);
      memory.words[at] = Number(value & 0xffff_ffffn);
      memory.words[at + 1] = Number(value >> 32n);
    };
    machine.page(0x810);
    entry(0x100, 8191, (0x110n << 12n) | TABLE);
    entry(0x110, 8190, (0x810n << 12n) | OPEN | PAGE);
    entry(0x100, 5, (1n << 29n) | OPEN | BLOCK);
    const tcr = 22n | (1n << 14n) | TCR_EPD1 | (2n << 32n);
    const cpu = machine.boot({ ttbr0: 0x10_0000n, tcr }, NONE);
    const va = (8191n << 29n) | (8190n << 16n);
    expect(attempt(cpu, 'read', va)).toBe('0x810');
    expect(translates(cpu, 5n << 29n, 'read', 1)).toBe(true);
    expect(attempt(cpu, 'read', va + 0x1_0000n)).toBe('0x07');
  });
});

describe('14: the access flag', () => {
  test.each([
    [1, 0x09],
    [2, 0x0a],
    [3, 0x0b],
  ] as const)('AF = 0 at level %i faults unless hardware sets it', (level, status) => {
    machine.map(0n, 0x4_0000, OPEN & ~AF, level);
    const cpu = machine.boot({}, NONE);
    expect(attempt(cpu, 'read', 0n)).toBe(`0x${status.toString(16).padStart(2, '0')}`);
    expect(machine.get(0n, level) & AF).toBe(0n);
    const setting = machine.boot({ tcr: TCR | TCR_HA }, NONE);
    expect(translates(setting, 0n, 'read', 1)).toBe(true);
    expect(machine.get(0n, level) & AF).toBe(AF);
  });

  test('it comes before rights, behind the address size', () => {
    machine.map(VA, 0x800, AP_RO);
    expect(attempt(machine.boot({}, NONE), 'write', VA)).toBe('0x0b');
    machine.set(VA, 3, machine.get(VA, 3) | (1n << 40n));
    expect(attempt(machine.boot({}, NONE), 'write', VA)).toBe('0x03');
  });

  test('a refused access sets no flag', () => {
    machine.map(VA, 0x800, AP_RO);
    const cpu = machine.boot({ tcr: TCR | TCR_HA });
    expect(attempt(cpu, 'write', VA)).toBe('0x0f');
    expect(machine.get(VA, 3) & AF).toBe(0n);
  });

  test('AF of table descriptors is not looked at', () => {
    machine.map(VA, 0x800);
    expect(attempt(machine.boot({}, NONE), 'read', VA)).toBe('0x800');
    expect(machine.get(VA, 2)).toBe(to(machine.tableOf(VA, 3), TABLE));
  });
});

describe('15: alignment', () => {
  test.each([
    [0, 'done'],
    [1, '0x21'],
    [2, 'done'],
    [3, 'done'],
    [5, '0x21'],
  ])('AttrIndx %i, %s', (index, want) => {
    machine.map(VA, 0x800, OPEN | attr(index));
    const cpu = machine.boot({}, NONE);
    const done = (result: string) => (result.startsWith('0x') && result.length > 4 ? 'done' : result);
    for (const kind of ['read', 'write'] as const) {
      expect(done(attempt(cpu, kind, VA + 2n)), kind).toBe(
        want === 'done' && kind === 'write' ? '0x0' : want,
      );
      expect(attempt(cpu, kind, VA + 4n), kind).not.toBe('0x21');
    }
  });

  test('it comes before rights, behind the access flag', () => {
    machine.map(VA, 0x800, AF | AP_RO | attr(1));
    expect(attempt(machine.boot({}, NONE), 'write', VA + 1n)).toBe('0x21');
    machine.map(VA, 0x800, AP_RO | attr(1));
    expect(attempt(machine.boot({}, NONE), 'write', VA + 1n)).toBe('0x0b');
  });

  test('SCTLR.A: all data must be aligned, and this is found before anything else', () => {
    machine.map(VA, 0x800);
    const cpu = machine.boot({ sctlr: SCTLR_M | SCTLR_A }, NONE);
    expect(attempt(cpu, 'read', VA + 1n)).toBe('0x21');
    expect(attempt(cpu, 'read', 0x1234_5679n)).toBe('0x21');
    expect(attempt(cpu, 'read', VA + 4n)).toBe('0x800');
  });

  test('a fetch from an address that is no multiple of 4 is a PC alignment fault', () => {
    const cpu = machine.boot({}, NONE);
    expect(attempt(cpu, 'fetch', VA + 2n)).toBe('PC');
    expect([cpu.esr, cpu.far]).toEqual([0x8a00_0000n, VA + 2n]);
  });

  test('an access to two pages: each is translated, and none is written unless both can be', () => {
    machine.map(VA, 0x800).map(VA + 0x1000n, 0x801, OPEN | AP_RO);
    const cpu = machine.boot();
    expect(cpu.read(VA + 0xffen, 4)).toEqual({ kind: 'done', value: 0x0801_0000n });
    expect(cpu.write(VA + 0xffcn, 8, 0n)).toMatchObject({ address: VA + 0x1000n, level: 3 });
    expect(attempt(cpu, 'read', VA + 0xffcn)).toBe('0x800');
    machine.map(VA + 0x2000n, 0x802, OPEN | attr(1));
    expect(attempt(cpu, 'read', VA + 0x1ffen)).toBe('0x21');
  });
});

describe('16: rights', () => {
  // Table D8-62 and R_VWLLR: what EL0 can write, EL1 does not execute.
  test.each([
    [0n, 'rwx --x'],
    [AP_EL0, 'rw- rwx'],
    [AP_RO, 'r-x --x'],
    [AP_RO | AP_EL0, 'r-x r-x'],
    [UXN, 'rwx ---'],
    [PXN, 'rw- --x'],
    [AP_RO | AP_EL0 | UXN | PXN, 'r-- r--'],
    [AP_EL0 | UXN, 'rw- rw-'],
  ])('AP, UXN and PXN %s: %s', (bits, want) => {
    machine.map(VA, 0x800, AF | bits);
    expect(rights(machine.boot({}, NONE))).toBe(want);
  });

  test.each([
    [0n, AP_TABLE_NO_EL0, 'rwx --x'],
    [AP_EL0, AP_TABLE_NO_EL0, 'rwx --x'],
    [AP_EL0, AP_TABLE_RO, 'r-x r-x'],
    [AP_EL0, AP_TABLE_RO | AP_TABLE_NO_EL0, 'r-x --x'],
    [AP_EL0, UXN_TABLE, 'rw- rw-'],
    [0n, PXN_TABLE, 'rw- --x'],
  ])('page %s below a table with %s: %s', (bits, table, want) => {
    for (const level of [0, 1, 2] as const) {
      machine = new Machine();
      machine.map(VA, 0x800, AF | bits);
      machine.set(VA, level, machine.get(VA, level) | table);
      expect(rights(machine.boot({}, NONE)), `level ${level}`).toBe(want);
    }
  });

  test('HPD: tables take nothing', () => {
    machine.map(VA, 0x800, AF | AP_EL0);
    machine.set(VA, 1, machine.get(VA, 1) | AP_TABLE_RO | AP_TABLE_NO_EL0 | UXN_TABLE | PXN_TABLE);
    expect(rights(machine.boot({ tcr: TCR | TCR_HPD0 }, NONE))).toBe('rw- rwx');
    expect(rights(machine.boot({}, NONE))).toBe('r-- ---');
  });

  test.each([
    [0n, 'rw- --x'],
    [AP_EL0, 'rw- rw-'],
    [AP_RO | AP_EL0, 'r-x r-x'],
  ])('WXN: what can be written is not executed: %s: %s', (bits, want) => {
    machine.map(VA, 0x800, AF | bits);
    expect(rights(machine.boot({ sctlr: SCTLR_M | SCTLR_WXN }, NONE))).toBe(want);
  });

  test.each([
    [AP_EL0, 0n, '--- rwx'],
    [AP_RO | AP_EL0, 0n, '--x r-x'],
    [0n, 0n, 'rwx --x'],
    [0n, SCTLR_EPAN, '--x --x'],
    [UXN, SCTLR_EPAN, 'rwx ---'],
  ])('PAN keeps EL1 from data of EL0: %s, SCTLR %s: %s', (bits, epan, want) => {
    machine.map(VA, 0x800, AF | bits);
    const cpu = machine.boot({ pan: true, sctlr: SCTLR_M | epan }, NONE);
    expect(rights(cpu)).toBe(want);
    cpu.pan = false;
    expect(rights(cpu)).toBe(rights(machine.boot({}, NONE)));
  });

  test('unprivileged accesses have the rights of EL0, whatever PAN is; the exception comes from EL1', () => {
    machine.map(VA, 0x800).map(VA + 0x1000n, 0x801, AF);
    const cpu = machine.boot({ pan: true }, NONE);
    expect(attempt(cpu, 'read', VA)).toBe('0x0f');
    expect(attempt(cpu, 'read', VA, { unprivileged: true })).toBe('0x800');
    expect(attempt(cpu, 'write', VA, { unprivileged: true })).toBe('0x0');
    expect(attempt(cpu, 'read', VA + 0x1000n)).toBe('0x801');
    expect(attempt(cpu, 'read', VA + 0x1000n, { unprivileged: true })).toBe('0x0f');
    expect(cpu.esr).toBe(0x9600_000fn);
  });

  // ESR_EL1: EC, IL, WnR, status; levels of blocks.
  test.each([
    ['read', 0, 3, 0x9200_000fn],
    ['write', 0, 2, 0x9200_004en],
    ['fetch', 0, 1, 0x8200_000dn],
    ['write', 1, 3, 0x9600_004fn],
    ['fetch', 1, 3, 0x8600_000fn],
  ] as const)('%s at EL%i of a page at level %i', (kind, el, level, want) => {
    machine.map(0n, 0x4_0000, AF | AP_RO | UXN | PXN, level as Level);
    const cpu = machine.boot({}, NONE);
    cpu.el = el;
    attempt(cpu, kind, 0x40n, { el });
    expect([cpu.esr, cpu.far]).toEqual([want, 0x40n]);
  });

  test('the message says which entry takes what', () => {
    machine.map(VA, 0x800, AF | AP_EL0 | AP_RO);
    machine.set(VA, 1, machine.get(VA, 1) | AP_TABLE_RO);
    const cpu = machine.boot({}, NONE);
    expect(cpu.write(VA, 4, 0n)).toMatchObject({
      because: ['AP[2] = 1 in L3 descriptor', 'APTable[1] = 1 in L1 descriptor'],
      errorBits: ['DFSC 0x0f permission fault, level 3', 'WnR write'],
    });
  });
});

describe('17: hardware updates', () => {
  const HAD = TCR | TCR_HA | TCR_HD;

  test('with HD and DBM a read-only page is writable, and the first write clears AP[2]', () => {
    machine.map(VA, 0x800, AF | AP_EL0 | AP_RO | DBM);
    const cpu = machine.boot({ tcr: HAD });
    expect(attempt(cpu, 'read', VA)).toBe('0x800');
    expect(machine.get(VA, 3) & AP_RO).toBe(AP_RO);
    expect(attempt(cpu, 'write', VA, { el: 0 })).toBe('0x0');
    expect(machine.get(VA, 3)).toBe(to(0x800, AF | AP_EL0 | DBM | PAGE));
  });

  test.each([
    ['HD without HA', TCR | TCR_HD, 0n],
    ['HA without HD', TCR | TCR_HA, 0n],
    ['APTable[1] above', HAD, AP_TABLE_RO],
  ])('not with %s', (_, tcr, table) => {
    machine.map(VA, 0x800, AF | AP_RO | DBM);
    machine.set(VA, 2, machine.get(VA, 2) | table);
    expect(attempt(machine.boot({ tcr }), 'write', VA)).toBe('0x0f');
    expect(machine.get(VA, 3) & AP_RO).toBe(AP_RO);
  });

  test('such pages count as writable for EL1 fetches and WXN too', () => {
    machine.map(VA, 0x800, AF | AP_EL0 | AP_RO | DBM);
    expect(rights(machine.boot({ tcr: HAD }, NONE))).toBe('rw- rwx');
    machine.map(VA, 0x800, AF | AP_EL0 | AP_RO | DBM);
    expect(rights(machine.boot({ tcr: HAD, sctlr: SCTLR_M | SCTLR_WXN }, NONE))).toBe('rw- rw-');
  });

  test('an entry that another agent has changed meanwhile is not overwritten', () => {
    machine.map(VA, 0x800, AF | AP_RO | DBM);
    const cpu = machine.boot({ tcr: HAD });
    expect(attempt(cpu, 'read', VA)).toBe('0x800');
    machine.set(VA, 3, 0n);
    // Remembered, but a write must go to the entry itself.
    expect(attempt(cpu, 'write', VA)).toBe('0x07');
    expect(machine.get(VA, 3)).toBe(0n);
  });
});

describe('AT and PAR_EL1', () => {
  test.each([
    ['S1E1R', OPEN, 0xff00_0000_0080_0b80n],
    ['S1E0W', OPEN, 0xff00_0000_0080_0b80n],
    ['S1E1R', AF | SH_OUTER, 0xff00_0000_0080_0b00n],
    // Devices and non-cacheable memory are outer shareable.
    ['S1E1R', AF | SH_INNER | attr(1), 0x0400_0000_0080_0b00n],
    ['S1E1W', AF | attr(2), 0x4400_0000_0080_0b00n],
    // Permission fault, level 3.
    ['S1E0R', AF, 0x81fn],
    ['S1E1W', AF | AP_RO, 0x81fn],
    // Access flag.
    ['S1E1R', 0n, 0x817n],
  ] as const)('%s of a page with %s', (operation, bits, want) => {
    machine.map(VA, 0x800, bits);
    const cpu = machine.boot();
    expect(cpu.at(operation, VA + 0x123n)).toBe(want);
    expect(cpu.par).toBe(want);
    expect(cpu.readSystemRegister('PAR_EL1')).toBe(want);
  });

  test('an invalid L2 descriptor is 0x80d, and no exception comes', () => {
    machine.map(VA, 0x800).set(VA, 2, 0n);
    const cpu = machine.boot();
    expect(cpu.at('S1E1R', VA)).toBe(0x80dn);
    expect([cpu.esr, cpu.far]).toEqual([0n, 0n]);
  });

  test('only the forms with P obey PAN', () => {
    machine.map(VA, 0x800);
    const cpu = machine.boot({ pan: true });
    expect(cpu.at('S1E1R', VA) & 1n).toBe(0n);
    expect(cpu.at('S1E1RP', VA)).toBe(0x81fn);
    expect(cpu.at('S1E1WP', VA)).toBe(0x81fn);
    cpu.pan = false;
    expect(cpu.at('S1E1WP', VA) & 1n).toBe(0n);
  });

  test('it makes nothing dirty, and sets AF where hardware does', () => {
    machine.map(VA, 0x800, AP_RO | DBM | NG);
    const cpu = machine.boot({ tcr: TCR | TCR_HA | TCR_HD });
    expect(cpu.at('S1E1W', VA) & 1n).toBe(0n);
    expect(machine.get(VA, 3)).toBe(to(0x800, AF | AP_RO | DBM | NG | PAGE));
  });

  test('a table that is not in memory is an external abort', () => {
    machine.map(VA, 0x800).set(VA, 2, to(0x9_0000, TABLE));
    expect(() => machine.boot().at('S1E1R', VA)).toThrow(expect.objectContaining({ code: 'NOT_IN_MEMORY' }));
  });
});

test('a contiguous bit makes no difference to one access', () => {
  machine.map(VA, 0x800, OPEN | CONTIGUOUS);
  const cpu = machine.boot();
  expect(attempt(cpu, 'read', VA)).toBe('0x800');
  expect(attempt(cpu, 'read', VA + 0x1000n)).toBe('0x07');
});
