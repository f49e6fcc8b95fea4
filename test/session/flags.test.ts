import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { captureTables } from '../../src/capture/index.ts';
import { type AccessKind, rightsText } from '../../src/format/index.ts';
import { explain, listRegions } from '../../src/inspect/index.ts';
import type { Architecture, Machine, NamedRoot } from '../../src/machine/index.ts';
import { SparseMemory } from '../../src/memory/index.ts';
import {
  type ControlFlag,
  choosePaging,
  flipFlag,
  type Session,
  sessionText,
  spaceAt,
  type TableOptions,
} from '../../src/session/index.ts';
import { parseRegisters, withRegisters } from '../../src/source/index.ts';
import { openFile } from '../../src/source/node/index.ts';
import { machineFrom } from '../support/machine-from.ts';
import { AMD64, ARM64, RISCV64, samplePath } from '../support/sample.ts';
import { entryTo, Tables } from '../support/tables.ts';

const machineOf = (architecture: Architecture, tables: Tables, more: Partial<Machine> = {}): Machine => ({
  ...machineFrom(tables.frames),
  architecture,
  ...more,
});

function flagOf(session: Session, name: string): ControlFlag {
  const flag = session.flags.find((one) => one.name === name);
  if (flag === undefined) throw new Error(`no flag ${name}`);
  return flag;
}

function flip(machine: Machine, options: TableOptions, ...names: readonly string[]): TableOptions {
  return names.reduce((given, name) => {
    const session = choosePaging(machine, given);
    return flipFlag(session, given, flagOf(session, name));
  }, options);
}

const states = ({ flags }: Session) => flags.map(({ name, on }) => [name, on]);

async function explained(machine: Machine, options: TableOptions, va: bigint) {
  const session = choosePaging(machine, options);
  const { paging } = spaceAt(session, va);
  const { memory } = await captureTables(machine, paging, { into: new SparseMemory() });
  return { ...explain(memory, paging, va), paging };
}

/** What an access gets: `allowed`, or its code. */
async function get(machine: Machine, options: TableOptions, va: bigint, user: boolean, kind: AccessKind) {
  const { accesses } = await explained(machine, options, va);
  const result = accesses.find(({ access }) => access.user === user && access.kind === kind)?.result;
  return result?.kind === 'fault' ? result.errorCode : result?.kind;
}

const P = 1n;
const RW = 2n;
const US = 4n;
const XD = 1n << 63n;
const KEY_1 = 1n << 59n;

/** Root in frame 1; every table lets all through, so that the PTEs decide. */
const x86 = machineOf(
  'x86',
  new Tables()
    .set(1, 0, entryTo(2, P | RW | US))
    .set(2, 0, entryTo(3, P | RW | US))
    .set(3, 0, entryTo(4, P | RW | US))
    .set(4, 0, entryTo(16, P | RW | US))
    .set(4, 1, entryTo(17, P))
    .set(4, 2, entryTo(18, P | RW | XD))
    .set(4, 3, entryTo(19, P | RW | US | KEY_1))
    .set(4, 4, entryTo(20, P | RW | KEY_1))
    .set(4, 5, entryTo(21, P | RW | (1n << 8n))),
);
// PE, WP, PG; PAE, PGE; LME, LMA, NXE; key 1 denies everything.
const X86_GIVEN = { root: '1000', cr0: '80010001', cr4: 'a0', efer: 'd00', pkru: 'c', pkrs: 'c' };

// Intel SDM vol. 3A, "Determination of Access Rights", "Protection Keys", figure "Page-Fault Error Code": bit 0 P, 1 W/R, 2 U/S,
// 3 RSVD, 4 I/D, 5 PK.
describe('a flag of x86 decides as the manual says', () => {
  it.each([
    ['WP', 0x1000n, false, 'write', 0x03, 'allowed'],
    ['WP', 0x1000n, true, 'write', 0x07, 0x07],
    ['SMEP', 0n, false, 'fetch', 'allowed', 0x11],
    ['SMEP', 0n, true, 'fetch', 'allowed', 'allowed'],
    ['SMAP', 0n, false, 'read', 'allowed', 0x01],
    ['SMAP', 0n, false, 'write', 'allowed', 0x03],
    ['SMAP', 0x1000n, false, 'read', 'allowed', 'allowed'],
    ['PKE', 0x3000n, true, 'read', 'allowed', 0x25],
    ['PKE', 0x4000n, false, 'read', 'allowed', 'allowed'],
    ['PKS', 0x4000n, false, 'read', 'allowed', 0x21],
    ['PKS', 0x3000n, false, 'read', 'allowed', 'allowed'],
    ['NXE', 0x2000n, false, 'fetch', 0x11, 0x09],
    ['NXE', 0x2000n, false, 'read', 'allowed', 0x09],
  ] as const)('%s at %s, user %s, %s', async (name, va, user, kind, before, after) => {
    expect(await get(x86, X86_GIVEN, va, user, kind)).toBe(before);
    const flipped = flip(x86, X86_GIVEN, name);
    expect(await get(x86, flipped, va, user, kind)).toBe(after);
    expect(await get(x86, flip(x86, flipped, name), va, user, kind)).toBe(before);
  });

  it('with CR4.PGE = 0 no page is global', async () => {
    expect((await explained(x86, X86_GIVEN, 0x5000n)).global).toBe(true);
    expect((await explained(x86, flip(x86, X86_GIVEN, 'PGE'), 0x5000n)).global).toBe(false);
  });

  it('with CR4.PSE = 0 PS of a PDE is passed over', async () => {
    // A page of 4 MiB at 0x400000, or a table in that frame, which holds a page at 0x9000.
    const tables = new Tables(4).set(1, 0, 0x400083n).set(0x400, 1, 0x9003n);
    const machine = machineOf('x86', tables);
    const options = { root: '1000', mode: '32-bit' };
    expect((await explained(machine, options, 0x1234n)).physical).toBe(0x401234n);
    expect((await explained(machine, flip(machine, options, 'PSE'), 0x1234n)).physical).toBe(0x9234n);
  });

  it('flags that a format does not have are not listed', () => {
    const names = (mode: string) =>
      choosePaging(x86, { root: '1000', mode })
        .flags.map(({ name }) => name)
        .join(' ');
    expect(names('32-bit')).toBe('WP PSE PGE SMEP SMAP');
    expect(names('PAE')).toBe('WP PGE SMEP SMAP NXE');
    expect(names('4-level')).toBe('WP PGE SMEP SMAP PKE PKS NXE');
  });
});

const AF = 1n << 10n;
const EL0 = 1n << 6n;
const READ_ONLY = 1n << 7n;
const DBM = 1n << 51n;

/** Both halves have the root in frame 1; entry 1 of the level 2 table has APTable[0]: nothing for EL0. */
const arm = machineOf(
  'aarch64',
  new Tables()
    .set(1, 0, entryTo(2, 3n))
    .set(2, 0, entryTo(3, 3n))
    .set(3, 0, entryTo(4, 3n))
    .set(3, 1, entryTo(4, 3n | (1n << 61n)))
    .set(4, 0, entryTo(16, 3n | AF | EL0))
    .set(4, 1, entryTo(17, 3n | AF))
    .set(4, 2, entryTo(18, 3n | EL0))
    .set(4, 3, entryTo(19, 3n | AF | EL0 | READ_ONLY | DBM)),
);
// 48 bits, 4K granule, IPS = 48 bits; M.
const ARM_GIVEN = { ttbr0: '1000', ttbr1: '1000', tcr: '580100010', mair: 'ff', sctlr: '1', pstate: '0' };
const UPPER = 0xffff000000000000n;

// Arm ARM (DDI 0487), "Stage 1 permissions"; fault status codes: 0x0f permission, 0x0b access flag, 0x07 translation, all of
// level 3; 0x04 translation of level 0.
describe('a flag of AArch64 decides as the manual says', () => {
  it.each([
    [[], 'WXN', 0n, true, 'fetch', 'allowed', 0x0f],
    [[], 'WXN', 0x1000n, false, 'fetch', 'allowed', 0x0f],
    [[], 'WXN', 0x3000n, true, 'fetch', 'allowed', 'allowed'],
    [[], 'PAN', 0n, false, 'read', 'allowed', 0x0f],
    [[], 'PAN', 0n, false, 'write', 'allowed', 0x0f],
    [[], 'PAN', 0x1000n, false, 'write', 'allowed', 'allowed'],
    // Of the page at 0x1000, EL0 may execute only.
    [['PAN'], 'EPAN', 0x1000n, false, 'read', 'allowed', 0x0f],
    [[], 'EPAN', 0x1000n, false, 'read', 'allowed', 'allowed'],
    [[], 'HPD0', 0x200000n, true, 'read', 0x0f, 'allowed'],
    [[], 'HPD1', 0x200000n, true, 'read', 0x0f, 0x0f],
    [[], 'HPD1', UPPER + 0x200000n, true, 'read', 0x0f, 'allowed'],
    [[], 'E0PD0', 0n, true, 'read', 'allowed', 0x04],
    [[], 'E0PD0', UPPER, true, 'read', 'allowed', 'allowed'],
    [[], 'E0PD1', UPPER, true, 'read', 'allowed', 0x04],
    [[], 'HA', 0x2000n, true, 'read', 0x0b, 'allowed'],
    [['HA'], 'HD', 0x3000n, true, 'write', 0x0f, 'allowed'],
    [[], 'HD', 0x3000n, true, 'write', 0x0f, 0x0f],
  ] as const)('after %j, %s at %s, user %s, %s', async (first, name, va, user, kind, before, after) => {
    // The status is the lowest six bits of ESR_EL1.
    const status = async (options: TableOptions) => {
      const result = await get(arm, options, va, user, kind);
      return typeof result === 'number' ? result & 63 : result;
    };
    const options = flip(arm, ARM_GIVEN, ...first);
    expect(await status(options)).toBe(before);
    const flipped = flip(arm, options, name);
    expect(await status(flipped)).toBe(after);
    expect(await status(flip(arm, flipped, name))).toBe(before);
  });

  it('flags of a half that is not read are not listed', () => {
    const { flags } = choosePaging(arm, { ttbr1: '1000' });
    expect(flags.map(({ name }) => name).join(' ')).toBe('WXN EPAN PAN HPD1 E0PD1 HA HD');
  });
});

const V = 1n;
const R = 2n;
const W = 4n;
const X = 8n;
const U = 16n;
const A = 64n;
const D = 128n;
const pte = (frame: number, flags: bigint) => (BigInt(frame) << 10n) | flags;

const riscv = machineOf(
  'riscv',
  new Tables()
    .set(1, 0, pte(2, V))
    .set(2, 0, pte(3, V))
    .set(3, 0, pte(16, V | R | W | X | U | A | D))
    .set(3, 1, pte(17, V | X | A))
    .set(3, 2, pte(18, V | R | W))
    .set(3, 3, pte(19, V | R | W | A))
    .set(3, 4, pte(20, V | R | W | A | D | (1n << 61n))),
);
const RISCV_GIVEN = { satp: '8000000000000001', sstatus: '0', menvcfg: '6000000000000000' };

// RISC-V Privileged ISA, "Virtual Address Translation Process"; causes: 12 instruction, 13 load, 15 store page fault.
describe('a flag of RISC-V decides as the manual says', () => {
  it.each([
    ['SUM', 0n, false, 'read', 13, 'allowed'],
    ['SUM', 0n, false, 'write', 15, 'allowed'],
    ['SUM', 0n, false, 'fetch', 12, 12],
    ['SUM', 0n, true, 'read', 'allowed', 'allowed'],
    ['MXR', 0x1000n, false, 'read', 13, 'allowed'],
    ['MXR', 0x1000n, false, 'write', 15, 15],
    ['ADUE', 0x2000n, false, 'read', 'allowed', 13],
    ['ADUE', 0x3000n, false, 'read', 'allowed', 'allowed'],
    ['ADUE', 0x3000n, false, 'write', 'allowed', 15],
    ['PBMTE', 0x4000n, false, 'read', 'allowed', 13],
    ['PBMTE', 0n, true, 'read', 'allowed', 'allowed'],
  ] as const)('%s at %s, user %s, %s', async (name, va, user, kind, before, after) => {
    expect(await get(riscv, RISCV_GIVEN, va, user, kind)).toBe(before);
    const flipped = flip(riscv, RISCV_GIVEN, name);
    expect(await get(riscv, flipped, va, user, kind)).toBe(after);
    expect(await get(riscv, flip(riscv, flipped, name), va, user, kind)).toBe(before);
  });

  it('a processor without Svpbmt has no PBMTE, and neither has Sv32', () => {
    const names = (options: TableOptions) => choosePaging(riscv, options).flags.map(({ name }) => name);
    expect(names({ ...RISCV_GIVEN, svpbmt: false })).toEqual(['SUM', 'MXR', 'ADUE']);
    expect(names({ root: '1000', mode: 'sv32' })).toEqual(['SUM', 'MXR', 'ADUE']);
  });
});

const named = (more: Partial<NamedRoot>): NamedRoot[] => [
  { name: 'root', address: 0x1000n, source: 'test', ...more },
];
const sample = async (name: string) =>
  withRegisters(
    await openFile(samplePath('core.elf.gz', name)),
    parseRegisters(readFileSync(samplePath('registers.json', name), 'utf8')),
  );

describe.each([
  ['x86, all assumed', async () => x86, { root: '1000' }],
  ['x86 of 32 bits', async () => machineOf('x86', new Tables(4)), { root: '1000', mode: '32-bit' }],
  [
    'x86 with five levels that the image names, in a file of 32 bits',
    async () => machineOf('x86', new Tables(), { roots: named({ levels: 5 }), longMode: false }),
    {},
  ],
  ['AArch64, all assumed', async () => arm, { ttbr0: '1000' }],
  [
    'AArch64, sizes that the image names',
    async () => machineOf('aarch64', new Tables(), { roots: named({ vaBits: 39, pageBytes: 4096 }) }),
    {},
  ],
  ['RISC-V, all assumed', async () => riscv, { root: '1000', mode: 'sv39' }],
  ['the sample of x86', () => sample(AMD64), {}],
  ['the sample of AArch64', () => sample(ARM64), {}],
  ['the sample of RISC-V', () => sample(RISCV64), {}],
] as const)('%s', (_, open, options) => {
  it('a flip changes one flag and nothing else, and a second flip changes it back', async () => {
    const machine = await open();
    const before = choosePaging(machine, options);
    const tables = (session: Session) =>
      session.spaces.map(({ paging }) => [paging.root, paging.format.fact.name, paging.format.state.M]);
    expect(before.flags.length).toBeGreaterThan(3);
    for (const flag of before.flags) {
      const flipped = flipFlag(before, options, flag);
      const after = choosePaging(machine, flipped);
      const expected = before.flags.map(({ name, on }) => [name, name === flag.name ? !on : on]);
      expect(states(after)).toEqual(expected);
      expect([sessionText(after), tables(after)]).toEqual([sessionText(before), tables(before)]);
      const back = choosePaging(machine, flipFlag(after, flipped, flagOf(after, flag.name)));
      expect(back.flags).toEqual(before.flags);
      expect([sessionText(back), tables(back)]).toEqual([sessionText(before), tables(before)]);
    }
    await machine.close();
  });

  it('flips add up, whether or not tables are chosen between them', async () => {
    const machine = await open();
    const before = choosePaging(machine, options);
    const all = before.flags.map(({ name, on }) => [name, !on]);
    const chosen = flip(machine, options, ...before.flags.map(({ name }) => name));
    expect(states(choosePaging(machine, chosen))).toEqual(all);
    const atOnce = before.flags.reduce<TableOptions>((given, flag) => flipFlag(before, given, flag), options);
    expect(states(choosePaging(machine, atOnce))).toEqual(all);
    await machine.close();
  });
});

describe('rights in the samples', () => {
  /** The rights of user and supervisor that occur together, with flags flipped. */
  async function rights(name: string, ...flags: readonly string[]): Promise<Set<string>> {
    const machine = await sample(name);
    const into = new SparseMemory();
    const found = new Set<string>();
    const { spaces } = choosePaging(machine, flip(machine, {}, ...flags));
    for (const { paging } of spaces) {
      await captureTables(machine, paging, { into });
      for (const row of listRegions(into.memory, paging, { merge: 'rights' })) {
        if (row.kind === 'mapped')
          found.add(`${rightsText(row.rights, true)} ${rightsText(row.rights, false)}`);
      }
    }
    await machine.close();
    return found;
  }
  /** The same with a flag on and off, however it stands in the sample. */
  async function both(name: string, flag: string): Promise<{ on: Set<string>; off: Set<string> }> {
    const machine = await sample(name);
    const { on } = flagOf(choosePaging(machine, {}), flag);
    await machine.close();
    const asIs = await rights(name);
    const flipped = await rights(name, flag);
    return on ? { on: asIs, off: flipped } : { on: flipped, off: asIs };
  }

  it('with CR0.WP = 0 a supervisor writes whatever it reads', async () => {
    const { on, off } = await both(AMD64, 'WP');
    expect([...on].join()).toMatch(/ r-x/);
    for (const text of off) expect(text).not.toMatch(/ r-.$/);
  });

  it('with PSTATE.PAN = 1 EL1 has no data access to what EL0 can access', async () => {
    const { on, off } = await both(ARM64, 'PAN');
    for (const text of on) if (text.startsWith('r')) expect(text).toMatch(/ --.$/);
    for (const text of off) if (text.startsWith('r')) expect(text).toMatch(/ r..$/);
  });

  it('with sstatus.SUM = 0 S-mode has no access to user pages', async () => {
    const { on, off } = await both(RISCV64, 'SUM');
    for (const text of on) if (text.startsWith('r')) expect(text).toMatch(/ r.-$/);
    for (const text of off) if (text.startsWith('r')) expect(text).toMatch(/ ---$/);
  });
});
