import { describe, expect, test } from 'vitest';
import { interestingAddresses, randomTables, readerOf, writeEntry } from './random-tables.ts';
import {
  type ReferenceAccess,
  type ReferenceControl,
  type ReferenceMode,
  type ReferenceResult,
  referenceLeaf,
  referenceRights,
  referenceWalk,
} from './reference-walker.ts';

// Expected values: formats.md 1.1-1.7 and faults.md A.1-A.8, by hand.

const WP = 1n << 16n;
const PSE = 1n << 4n;
const PGE = 1n << 7n;
const SMEP = 1n << 20n;
const SMAP = 1n << 21n;
const PKE = 1n << 22n;
const PKS = 1n << 24n;
const NXE = 1n << 11n;
const XD = 1n << 63n;
const ROOT = 0x1000n;

const USER_READ: ReferenceAccess = { kind: 'read', user: true };
const USER_WRITE: ReferenceAccess = { kind: 'write', user: true };
const USER_FETCH: ReferenceAccess = { kind: 'fetch', user: true };
const KERNEL_READ: ReferenceAccess = { kind: 'read', user: false };
const KERNEL_WRITE: ReferenceAccess = { kind: 'write', user: false };
const KERNEL_FETCH: ReferenceAccess = { kind: 'fetch', user: false };

function control(mode: ReferenceMode, changes: Partial<ReferenceControl> = {}): ReferenceControl {
  return {
    mode,
    cr0: WP,
    cr3: ROOT,
    cr4: mode === '32-bit' ? PSE : 0n,
    efer: NXE,
    physBits: 46,
    page1GB: true,
    pse36: true,
    pkru: 0,
    pkrs: 0,
    rflagsAC: false,
    ...changes,
  };
}

/** Memory of a few frames with the given entries. */
function memoryWith(bytes: 4 | 8, entries: readonly (readonly [pa: bigint, value: bigint])[]) {
  const memory = new Map([1, 2, 3, 4, 5].map((frame) => [frame, new Uint32Array(1024)]));
  for (const [pa, value] of entries) writeEntry(memory, pa, bytes, value);
  return readerOf(memory);
}

/** Four levels to one 4 KiB page; indices 1, 2, 3 and 4, so VA 0x80_8060_4000. */
const VA4 = (1n << 39n) | (2n << 30n) | (3n << 21n) | (4n << 12n);

function fourLevels(leaf: bigint, upper: { pml4e?: bigint; pdpte?: bigint; pde?: bigint } = {}) {
  return memoryWith(8, [
    [0x1008n, upper.pml4e ?? 0x2007n],
    [0x2010n, upper.pdpte ?? 0x3007n],
    [0x3018n, upper.pde ?? 0x4007n],
    [0x4020n, leaf],
  ]);
}

function errorCode(result: ReferenceResult): number | string {
  return result.kind === 'page-fault' ? result.errorCode : result.kind;
}

describe('the typical error codes of faults.md A.2', () => {
  const walk = (leaf: bigint, access: ReferenceAccess, changes: Partial<ReferenceControl> = {}) =>
    errorCode(referenceWalk(fourLevels(leaf), control('4-level', changes), VA4, access));

  test.each([
    ['0: kernel read, not present', 0n, KERNEL_READ, {}, 0x00],
    ['2: kernel write, not present', 0n, KERNEL_WRITE, {}, 0x02],
    ['4: user read, not present', 0n, USER_READ, {}, 0x04],
    ['6: user write, not present', 0n, USER_WRITE, {}, 0x06],
    ['3: kernel write, read-only, WP=1', 0x5005n, KERNEL_WRITE, {}, 0x03],
    ['5: user read of a supervisor page', 0x5003n, USER_READ, {}, 0x05],
    ['7: user write, read-only', 0x5005n, USER_WRITE, {}, 0x07],
    ['7: user write, read-only, whatever WP', 0x5005n, USER_WRITE, { cr0: 0n }, 0x07],
    ['9: kernel read, reserved bit', 0x5003n | (1n << 46n), KERNEL_READ, {}, 0x09],
    ['0x0D: user read, reserved bit', 0x5007n | (1n << 51n), USER_READ, {}, 0x0d],
    ['0x11: kernel fetch, XD', 0x5003n | XD, KERNEL_FETCH, {}, 0x11],
    ['0x11: kernel fetch of a user page, SMEP', 0x5007n, KERNEL_FETCH, { cr4: SMEP }, 0x11],
    ['0x15: user fetch, XD', 0x5007n | XD, USER_FETCH, {}, 0x15],
    ['0x14: user fetch, not present, NXE=1', 0n, USER_FETCH, {}, 0x14],
    ['4: user fetch, not present, NXE=0 and SMEP=0', 0n, USER_FETCH, { efer: 0n }, 0x04],
    ['0x14: user fetch, not present, SMEP=1', 0n, USER_FETCH, { efer: 0n, cr4: SMEP }, 0x14],
    ['9: kernel read, XD is reserved with NXE=0', 0x5003n | XD, KERNEL_READ, { efer: 0n }, 0x09],
    ['1: kernel read of a user page, SMAP', 0x5007n, KERNEL_READ, { cr4: SMAP }, 0x01],
  ] as const)('%s', (_, leaf, access, changes, expected) => {
    expect(walk(leaf, access, changes)).toBe(expected);
  });

  test('0x21, 0x25 and 0x27: a protection key denies', () => {
    const page = 0x5007n | (3n << 59n);
    const accessDisable3 = { cr4: PKE, pkru: 0b01 << 6 };
    const writeDisable3 = { cr4: PKE, pkru: 0b10 << 6 };
    expect(walk(page, KERNEL_READ, accessDisable3)).toBe(0x21);
    expect(walk(page, USER_READ, accessDisable3)).toBe(0x25);
    expect(walk(page, USER_WRITE, writeDisable3)).toBe(0x27);
    expect(walk(page, USER_READ, writeDisable3)).toBe('ok');
    expect(walk(page, KERNEL_WRITE, writeDisable3)).toBe(0x23);
    expect(walk(page, KERNEL_WRITE, { ...writeDisable3, cr0: 0n })).toBe('ok');
    expect(walk(page, USER_FETCH, accessDisable3)).toBe('ok');
    expect(walk(page, USER_READ, { pkru: 0b01 << 6 })).toBe('ok');
    const supervisorPage = 0x5003n | (3n << 59n);
    expect(walk(supervisorPage, KERNEL_READ, { cr4: PKS, pkrs: 0b01 << 6 })).toBe(0x21);
    expect(walk(supervisorPage, KERNEL_READ, accessDisable3)).toBe('ok');
  });

  test('a supervisor write ignores R/W when WP=0', () => {
    expect(walk(0x5005n, KERNEL_WRITE, { cr0: 0n })).toBe('ok');
  });

  test('RFLAGS.AC lifts SMAP for explicit accesses only', () => {
    const smap = { cr4: SMAP, rflagsAC: true };
    expect(walk(0x5007n, KERNEL_READ, smap)).toBe('ok');
    expect(walk(0x5007n, { ...KERNEL_READ, implicit: true }, smap)).toBe(0x01);
    expect(walk(0x5007n, KERNEL_FETCH, { cr4: SMAP })).toBe('ok');
  });

  test('an implicit access at CPL 3 is a supervisor access', () => {
    expect(walk(0x5003n, { kind: 'read', user: true, implicit: true })).toBe('ok');
    expect(walk(0n, { kind: 'write', user: true, implicit: true })).toBe(0x02);
  });
});

describe('the order of checks of faults.md A.1', () => {
  const walk = (read: ReturnType<typeof fourLevels>, access: ReferenceAccess) =>
    referenceWalk(read, control('4-level'), VA4, access);

  test('P beats RSVD in the same entry', () => {
    expect(errorCode(walk(fourLevels((1n << 51n) | 0x5006n), USER_READ))).toBe(0x04);
  });

  test('a supervisor-only PML4E over a not-present PTE gives P=0 to a user access', () => {
    const result = walk(fourLevels(0n, { pml4e: 0x2003n }), USER_READ);
    expect(result).toMatchObject({ reason: 'not-present', errorCode: 0x04, depth: 3 });
  });

  test('a reserved bit in a PDE hides what is in the PTE', () => {
    const result = walk(fourLevels(0n, { pde: 0x4007n | (1n << 50n) }), USER_READ);
    expect(result).toMatchObject({
      reason: 'reserved',
      errorCode: 0x0d,
      depth: 2,
      entryAddress: 0x3018n,
      reservedBits: 1n << 50n,
    });
  });

  test('PS=1 in a PML4E is reserved', () => {
    const result = walk(fourLevels(0x5007n, { pml4e: 0x2087n }), USER_READ);
    expect(result).toMatchObject({ reason: 'reserved', depth: 0, reservedBits: 0x80n });
  });

  test('a clear R/W or U/S at any depth counts, and is a fault of the leaf', () => {
    const result = walk(fourLevels(0x5007n, { pdpte: 0x3005n }), USER_WRITE);
    expect(result).toMatchObject({ reason: 'rights', errorCode: 0x07, depth: 3 });
    expect(errorCode(walk(fourLevels(0x5007n, { pdpte: 0x3003n }), USER_READ))).toBe(0x05);
  });

  test('a non-canonical address faults before any table is read', () => {
    const read = () => {
      throw new Error('read');
    };
    const low = 1n << 47n;
    const result = referenceWalk(read, control('4-level'), low, KERNEL_READ);
    expect(result).toEqual({ kind: 'general-protection' });
    const high = 0xffff_7fff_ffff_ffffn;
    expect(referenceWalk(read, control('4-level'), high, KERNEL_READ)).toEqual(result);
    expect(referenceWalk(read, control('5-level'), 1n << 56n, KERNEL_READ)).toEqual(result);
  });

  test('memory that is not there is neither a fault nor an answer', () => {
    const result = walk(fourLevels(0x5007n, { pde: 0x7000_0007n }), USER_READ);
    expect(result).toMatchObject({ kind: 'absent', depth: 3, entryAddress: 0x7000_0020n });
    expect(walk(() => undefined, USER_READ)).toMatchObject({ kind: 'absent', depth: 0 });
  });
});

describe('translation', () => {
  test('four levels to a 4 KiB page', () => {
    const result = referenceWalk(
      fourLevels(0x1234_5000n | 0x19fn | (5n << 59n)),
      control('4-level', { cr4: PGE }),
      VA4 + 0xabcn,
      USER_READ,
    );
    expect(result).toMatchObject({
      kind: 'ok',
      pa: 0x1234_5abcn,
      pageSize: 0x1000n,
      page: { user: true, writable: true, noExecute: false, protectionKey: 5 },
      patIndex: 7,
      global: true,
      dirty: false,
    });
    expect(result).toHaveProperty('entries', [
      { level: 'PML4E', depth: 0, address: 0x1008n, value: 0x2007n },
      { level: 'PDPTE', depth: 1, address: 0x2010n, value: 0x3007n },
      { level: 'PDE', depth: 2, address: 0x3018n, value: 0x4007n },
      { level: 'PTE', depth: 3, address: 0x4020n, value: 0x1234_5000n | 0x19fn | (5n << 59n) },
    ]);
  });

  test('a 2 MiB page keeps PAT in bit 12, and bits 20:13 are reserved', () => {
    const read = fourLevels(0n, { pde: 0x4060_1087n });
    const result = referenceWalk(read, control('4-level'), VA4 + 0x12n, KERNEL_READ);
    expect(result).toMatchObject({
      kind: 'ok',
      pa: 0x4060_4012n,
      pageSize: 1n << 21n,
      patIndex: 4,
    });
    const bad = fourLevels(0n, { pde: 0x4060_2087n });
    expect(errorCode(referenceWalk(bad, control('4-level'), VA4, KERNEL_READ))).toBe(0x09);
  });

  test('a 1 GiB page needs Page1GB', () => {
    const read = fourLevels(0n, { pdpte: 0x8000_0087n });
    const result = referenceWalk(read, control('4-level'), VA4, USER_WRITE);
    expect(result).toMatchObject({ kind: 'ok', pa: 0x8060_4000n, pageSize: 1n << 30n });
    const without = control('4-level', { page1GB: false });
    const fault = referenceWalk(read, without, VA4, USER_WRITE);
    expect(fault).toMatchObject({ errorCode: 0x0f, depth: 1, reservedBits: 0x80n });
  });

  test('five levels, in the upper half', () => {
    const read = memoryWith(8, [
      [0x1ff8n, 0x2003n],
      [0x2008n, 0x3003n],
      [0x3010n, 0x4003n],
      [0x4018n, 0x1f_ffe0_0083n],
    ]);
    const va = 0xffff_0000_0000_0000n | VA4 | 0x7n;
    const result = referenceWalk(read, control('5-level'), va, KERNEL_READ);
    expect(result).toMatchObject({ kind: 'ok', pa: 0x1f_ffe0_4007n, pageSize: 1n << 21n });
    expect(referenceLeaf(read, control('5-level'), va)).toMatchObject({
      page: { user: false, writable: true },
    });
  });

  test('32-bit: 4 MiB pages with PSE-36, and PS ignored without PSE', () => {
    const read = memoryWith(4, [
      [0x1004n, 0x0080_6087n], // bits 14:13: PA 33:32
      [0x1008n, 0x0001_0087n], // bit 16: PA 35
      [0x100cn, 0x0002_0087n], // bit 17: PA 36
      [0x1010n, 0x0000_2087n],
      [0x2010n, 0x0000_5007n],
    ]);
    const narrow = control('32-bit', { physBits: 36 });
    const walk = (c: ReferenceControl, va: bigint) => referenceWalk(read, c, va, KERNEL_READ);
    expect(walk(narrow, 0x0040_0123n)).toMatchObject({ kind: 'ok', pa: 0x3_0080_0123n });
    expect(walk(narrow, 0x0080_0000n)).toMatchObject({ kind: 'ok', pa: 0x8_0000_0000n });
    expect(walk(narrow, 0x00c0_0000n)).toMatchObject({ errorCode: 0x09, reservedBits: 1n << 17n });
    expect(walk(control('32-bit', { physBits: 40 }), 0x00c0_0000n)).toMatchObject({
      kind: 'ok',
      pa: 0x10_0000_0000n,
    });
    const noPse36 = control('32-bit', { pse36: false });
    expect(walk(noPse36, 0x0040_0000n)).toMatchObject({ reservedBits: 0x6000n });
    expect(walk(control('32-bit', { cr4: 0n }), 0x0100_4000n)).toMatchObject({
      kind: 'ok',
      pa: 0x5000n,
      pageSize: 0x1000n,
    });
  });

  test('PAE: rights start at the PDE, and bits above the width are reserved', () => {
    const read = memoryWith(8, [
      [0x1028n, 0x2001n], // PDPTE 1
      [0x2008n, 0x3007n],
      [0x3010n, 0x5007n],
      [0x3018n, 0x5007n | (1n << 52n)],
      [0x2010n, 0x4060_0087n],
      [0x1030n, 0x2021n], // PDPTE 2: bit 5
    ]);
    const pae = control('PAE', { cr3: 0x103fn }); // CR3 bits 4:0 are ignored
    const walk = (va: bigint, access = USER_WRITE) => referenceWalk(read, pae, va, access);
    expect(walk(0x4020_2345n)).toMatchObject({ kind: 'ok', pa: 0x5345n });
    expect(walk(0x4020_3000n)).toMatchObject({ errorCode: 0x0f, depth: 2 });
    expect(walk(0x4040_0001n)).toMatchObject({ kind: 'ok', pa: 0x4060_0001n, pageSize: 1n << 21n });
    expect(walk(0xc000_0000n)).toMatchObject({ errorCode: 0x06, depth: 0 });
    expect(walk(0x8000_0000n)).toMatchObject({ kind: 'pdpte-reserved', reservedBits: 0x20n });
  });
});

describe('accessed and dirty bits (faults.md A.5)', () => {
  test('a write sets A everywhere and D on the leaf only', () => {
    const result = referenceWalk(fourLevels(0x5007n), control('4-level'), VA4, USER_WRITE);
    expect(result).toHaveProperty('updates', [
      { address: 0x1008n, value: 0x2027n },
      { address: 0x2010n, value: 0x3027n },
      { address: 0x3018n, value: 0x4027n },
      { address: 0x4020n, value: 0x5067n },
    ]);
  });

  test('entries that are up to date are not written', () => {
    const read = fourLevels(0x5067n, { pml4e: 0x2027n, pdpte: 0x3027n });
    const result = referenceWalk(read, control('4-level'), VA4, USER_WRITE);
    expect(result).toHaveProperty('updates', [{ address: 0x3018n, value: 0x4027n }]);
  });

  test('a PML4E that names its own table collects A and D in one entry', () => {
    const read = memoryWith(8, [[0x1ff8n, 0x1007n]]);
    const va = 0xffff_ffff_ffff_f000n;
    const result = referenceWalk(read, control('4-level'), va, USER_WRITE);
    expect(result).toMatchObject({ kind: 'ok', pa: 0x1000n });
    expect(result).toHaveProperty('updates', [{ address: 0x1ff8n, value: 0x1067n }]);
  });
});

describe('effective rights', () => {
  const page = { user: true, writable: false, noExecute: false, protectionKey: 0 };

  test('a read-only user page', () => {
    expect(referenceRights(control('4-level'), page)).toEqual({
      user: { read: true, write: false, execute: true },
      supervisor: { read: true, write: false, execute: true },
    });
  });

  test('with SMEP and SMAP, whatever AC says', () => {
    const c = control('4-level', { cr0: 0n, cr4: SMEP | SMAP, rflagsAC: true });
    expect(referenceRights(c, page)).toEqual({
      user: { read: true, write: false, execute: true },
      supervisor: { read: false, write: false, execute: false },
    });
  });
});

describe('random tables', () => {
  test.each(['32-bit', 'PAE', '4-level', '5-level'] as const)(
    '%s: the same seed gives the same tables, and every kind of answer turns up',
    (mode) => {
      const first = randomTables({ seed: 7, mode });
      const second = randomTables({ seed: 7, mode });
      expect([...first.memory]).toEqual([...second.memory]);
      expect(interestingAddresses(first, 3, 50)).toEqual(interestingAddresses(second, 3, 50));

      const seen = new Map<string, number>();
      for (let seed = 0; seed < 40; seed++) {
        const tables = randomTables({ seed, mode });
        const read = readerOf(tables.memory);
        const c = control(mode, { cr3: tables.cr3, physBits: mode === '32-bit' ? 36 : 46 });
        for (const va of interestingAddresses(tables, seed, 50)) {
          const result = referenceWalk(read, c, va, USER_READ);
          const kind = result.kind === 'page-fault' ? result.reason : result.kind;
          seen.set(kind, (seen.get(kind) ?? 0) + 1);
        }
      }
      const expected = ['ok', 'not-present', 'reserved', 'rights', 'absent'];
      if (mode === 'PAE') expected.push('pdpte-reserved');
      if (mode === '4-level' || mode === '5-level') expected.push('general-protection');
      expect([...seen.keys()].sort()).toEqual(expected.sort());
      expect(seen.get('ok')).toBeGreaterThan(2000 * 0.2);
    },
  );
});
