/**
 * The rules for one access, row by row: order of checks, error codes, rights, accessed and dirty bits, page sizes,
 * reserved bits. Expected values are the manual's.
 *
 * Sections are those of the Intel SDM, vol. 3A (order 253668), chapter "Paging", by their numbers as chapter 4.
 */
import { describe, expect, test } from 'vitest';
import type { X86Cpu } from '../../src/cpu/index.ts';
import type { ReferenceMode } from '../support/reference-walker.ts';
import { MODES } from '../support/x86-cases.ts';
import {
  A,
  attempt,
  D,
  faultOf,
  type Kind,
  key,
  type LevelName,
  levelNames,
  OPEN,
  P,
  PS,
  RW,
  SmallMachine,
  to,
  US,
  type Who,
  XD,
} from './small-machine.ts';

const VA = 0x40_3000n;
const PAGE = 0xa;
const USER: Who = { user: true };
const LONG_MODES = ['4-level', '5-level'] as const;

function machine(mode: ReferenceMode = '4-level', flags = OPEN, tables = OPEN): SmallMachine {
  return new SmallMachine(mode).map(VA, PAGE, flags, { tables });
}

/** A reserved bit of a mode's table entries at 46 physical-address bits; 32-bit ones have none. */
const ABOVE_WIDTH = 1n << 50n;

// "Canonical Addressing" (vol. 1, 3.3.7.1); vol. 3A 6.15, interrupts 12 and 13.
describe('an address that is not canonical', () => {
  test.each([
    ['4-level', 47n],
    ['5-level', 56n],
  ] as const)('%s: bits 63:%i must be equal; no table is read before', (mode, bit) => {
    // The root is not in memory, so that reading a table would show.
    const cpu = new SmallMachine(mode).boot({ cr3: 0x7000n });
    const half = 1n << bit;
    const canonical = [0n, half - 4n, (1n << 64n) - half, (1n << 64n) - 4n];
    const others = [half, 2n * half, 1n << 63n, (1n << 64n) - half - 4n];
    for (const va of canonical) expect(attempt(cpu, 'read', va)).toBe('absent 0x7000');
    for (const va of others) {
      for (const kind of ['read', 'write', 'fetch'] as const) {
        expect(attempt(cpu, kind, va)).toBe('#GP');
        expect(attempt(cpu, kind, va, USER)).toBe('#GP');
      }
    }
  });

  test('raises #SS(0) instead if the access goes through the stack segment', () => {
    const cpu = machine().boot();
    expect(attempt(cpu, 'write', 1n << 60n, { stack: true })).toBe('#SS');
    const failure = cpu.failure();
    expect(failure).toMatchObject({ exception: '#SS', errorCode: 0, cr2: undefined });
  });

  test('a page fault through the stack segment is a page fault', () => {
    expect(attempt(machine().boot(), 'read', 0x9000n, { stack: true })).toBe('#PF 0x0');
  });

  test('leaves CR2 alone', () => {
    const cpu = machine().boot();
    attempt(cpu, 'read', 0x9004n);
    attempt(cpu, 'read', 1n << 60n);
    expect(cpu.cr2).toBe(0x9004n);
  });
});

// 4.7: a fault is decided by the first entry from the root that is not present or has a reserved bit set.
describe.each(MODES)('%s: order of checks', (mode) => {
  const names = levelNames(mode).filter((name) => !(mode === 'PAE' && name === 'PDPTE'));
  const reserved = mode === '32-bit' ? undefined : ABOVE_WIDTH;

  test.each(names)('P = 0 in the %s is found before its reserved bits, and is error code 0', (name) => {
    const small = machine(mode);
    small.set(VA, name, (small.get(VA, name) & ~P) | (reserved ?? 0n) | (1n << 21n));
    expect(attempt(small.boot(), 'read', VA)).toBe('#PF 0x0');
  });

  test('a reserved bit of any level is P = 1, RSVD = 1', () => {
    for (const name of names) {
      const small = machine(mode);
      // In 32-bit paging only pages of 4 MiB have reserved bits.
      if (reserved === undefined && name === 'PTE') continue;
      small.set(VA, name, reserved === undefined ? OPEN | PS | (1n << 21n) : small.get(VA, name) | reserved);
      expect(attempt(small.boot(), 'read', VA), name).toBe('#PF 0x9');
      expect(attempt(small.boot(), 'write', VA, USER), name).toBe('#PF 0xf');
    }
  });

  test('what a higher level says hides what a lower one would say', () => {
    for (const [depth, upper] of names.entries()) {
      for (const lower of names.slice(depth + 1)) {
        const small = machine(mode);
        small.set(VA, lower, small.get(VA, lower) | (reserved ?? 0n));
        small.set(VA, upper, small.get(VA, upper) & ~P);
        expect(attempt(small.boot(), 'read', VA), `${upper} not present over ${lower}`).toBe('#PF 0x0');
        if (reserved === undefined) continue;
        small.set(VA, lower, small.get(VA, lower) & ~P);
        small.set(VA, upper, small.get(VA, upper) | P | reserved);
        expect(attempt(small.boot(), 'read', VA), `${upper} reserved over ${lower}`).toBe('#PF 0x9');
      }
    }
  });

  test('rights of tables are not looked at before a page is reached', () => {
    const denied = mode === '32-bit' ? P : P | XD;
    for (const name of names.slice(0, -1)) {
      const small = machine(mode);
      small.set(VA, name, (small.get(VA, name) & ~(RW | US)) | denied);
      small.set(VA, 'PTE', 0n);
      const cpu = small.boot();
      expect(attempt(cpu, 'write', VA, USER), name).toBe('#PF 0x6');
      expect(attempt(cpu, 'fetch', VA, USER), name).toBe(mode === '32-bit' ? '#PF 0x4' : '#PF 0x14');
    }
  });

  test('a reserved bit of the page is found before its rights', () => {
    const small = machine(mode, P | (reserved ?? 0n));
    if (reserved === undefined) small.set(VA, 'PDE', P | PS | (1n << 21n));
    expect(attempt(small.boot(), 'write', VA, USER)).toBe('#PF 0xf');
  });
});

// 4.7, figure "Page-Fault Error Code".
describe('error codes', () => {
  type Row = readonly [
    code: number,
    what: string,
    flags: bigint,
    kind: Kind,
    who: Who,
    switches: Parameters<SmallMachine['boot']>[0],
  ];
  const rows: Row[] = [
    [0x00, 'supervisor read, not present', 0n, 'read', {}, {}],
    [0x02, 'supervisor write, not present', 0n, 'write', {}, {}],
    [0x04, 'user read, not present', 0n, 'read', USER, {}],
    [0x06, 'user write, not present', 0n, 'write', USER, {}],
    [0x03, 'supervisor write, read-only, CR0.WP = 1', P | US, 'write', {}, {}],
    [0x05, 'user read of a supervisor page', P | RW, 'read', USER, {}],
    [0x07, 'user write of a supervisor page', P | RW, 'write', USER, {}],
    [0x07, 'user write, read-only', P | US, 'write', USER, {}],
    [0x09, 'supervisor read, reserved bit', OPEN | ABOVE_WIDTH, 'read', {}, {}],
    [0x0b, 'supervisor write, reserved bit', OPEN | ABOVE_WIDTH, 'write', {}, {}],
    [0x0d, 'user read, reserved bit', OPEN | ABOVE_WIDTH, 'read', USER, {}],
    [0x19, 'supervisor fetch, reserved bit', OPEN | ABOVE_WIDTH, 'fetch', {}, {}],
    [0x11, 'supervisor fetch, XD', P | XD, 'fetch', {}, {}],
    [0x11, 'supervisor fetch of a user page with SMEP', OPEN, 'fetch', {}, { smep: true }],
    [0x15, 'user fetch, XD', OPEN | XD, 'fetch', USER, {}],
    [0x15, 'user fetch of a supervisor page', P, 'fetch', USER, {}],
    [0x10, 'supervisor fetch, not present', 0n, 'fetch', {}, {}],
    [0x14, 'user fetch, not present', 0n, 'fetch', USER, {}],
    [0x14, 'user fetch, not present, SMEP alone', 0n, 'fetch', USER, { nxe: false, smep: true }],
    [0x04, 'user fetch with neither NXE nor SMEP: I/D = 0', 0n, 'fetch', USER, { nxe: false }],
    [0x05, 'the same of a supervisor page', P, 'fetch', USER, { nxe: false }],
    [0x01, 'supervisor read of a user page with SMAP', OPEN, 'read', {}, { smap: true }],
    [0x03, 'supervisor write of a user page with SMAP', OPEN, 'write', {}, { smap: true }],
    [0x21, 'supervisor read, key', OPEN | key(3), 'read', {}, { pke: true, pkru: 1 << 6 }],
    [0x25, 'user read, key', OPEN | key(3), 'read', USER, { pke: true, pkru: 1 << 6 }],
    [0x27, 'user write, key', OPEN | key(3), 'write', USER, { pke: true, pkru: 2 << 6 }],
    [0x23, 'supervisor write, key, WP = 1', OPEN | key(3), 'write', {}, { pke: true, pkru: 2 << 6 }],
    [0x21, 'supervisor read, supervisor key', P | key(15), 'read', {}, { pks: true, pkrs: 1 << 30 }],
    // PK says whether the key denies, whatever else does.
    [0x27, 'user write, read-only and key', P | US | key(3), 'write', USER, { pke: true, pkru: 2 << 6 }],
    [0x07, 'user write, read-only, key allows', P | US | key(3), 'write', USER, { pke: true, pkru: 1 << 4 }],
    [0x21, 'SMAP and key', OPEN | key(3), 'read', {}, { smap: true, pke: true, pkru: 1 << 6 }],
    // Without a translation there is no key.
    [0x04, 'user read, not present, key', key(3), 'read', USER, { pke: true, pkru: 1 << 6 }],
    [
      0x0d,
      'user read, reserved bit, key',
      OPEN | ABOVE_WIDTH | key(3),
      'read',
      USER,
      { pke: true, pkru: 64 },
    ],
    // An access by the processor itself is a supervisor access at CPL 3 too (4.6.1).
    [0x00, 'implicit, at CPL 3, not present', 0n, 'read', { user: true, implicit: true }, {}],
    [0x02, 'implicit write, at CPL 3', 0n, 'write', { user: true, implicit: true }, {}],
  ];

  test.each(rows)('0x%s: %s', (code, _, flags, kind, who, switches) => {
    const small = machine().set(VA, 'PTE', to(PAGE, flags));
    const cpu = small.boot(switches);
    expect(attempt(cpu, kind, VA + 0x123n, who)).toBe(`#PF 0x${code.toString(16)}`);
    const failure = cpu.failure();
    expect(failure).toMatchObject({ address: VA + 0x123n, cr2: VA + 0x123n });
    expect(cpu.cr2).toBe(VA + 0x123n);
    const bits = [0, 1, 2, 3, 4, 5].filter((bit) => (code >> bit) & 1).length;
    expect(failure).toHaveProperty('errorBits.length', bits);
  });

  test('I/D is set in 32-bit paging with SMEP only: NXE counts with CR4.PAE = 1 alone', () => {
    const small = machine('32-bit');
    expect(attempt(small.boot({ nxe: true }), 'fetch', 0x9000n)).toBe('#PF 0x0');
    expect(attempt(small.boot({ nxe: true, smep: true }), 'fetch', 0x9000n)).toBe('#PF 0x10');
  });

  test('CR2 holds all 64 bits of the address', () => {
    const cpu = machine().boot();
    attempt(cpu, 'read', 0xffff_8000_1234_5678n);
    expect(cpu.cr2).toBe(0xffff_8000_1234_5678n);
  });
});

// 4.6.1 "Determination of Access Rights".
describe('rights', () => {
  const SUP = P | RW;
  const IMPLICIT: Who = { implicit: true };
  type Row = readonly [
    allowed: boolean,
    what: string,
    flags: bigint,
    kind: Kind,
    who: Who & { readonly ac?: boolean },
    switches: Parameters<SmallMachine['boot']>[0],
  ];
  const rows: Row[] = [
    [true, 'supervisor reads a supervisor page', P, 'read', {}, {}],
    [true, 'supervisor reads a supervisor page with SMAP', P, 'read', {}, { smap: true }],
    [true, 'supervisor reads a user page without SMAP', OPEN, 'read', {}, {}],
    [false, 'supervisor reads a user page with SMAP', OPEN, 'read', {}, { smap: true }],
    [true, 'supervisor reads a user page with SMAP and AC = 1', OPEN, 'read', { ac: true }, { smap: true }],
    [false, 'implicit read of a user page with SMAP', OPEN, 'read', IMPLICIT, { smap: true }],
    [false, 'implicit read with SMAP, AC = 1', OPEN, 'read', { ...IMPLICIT, ac: true }, { smap: true }],
    [
      false,
      'implicit read at CPL 3 with SMAP, AC = 1',
      OPEN,
      'read',
      { ...IMPLICIT, ac: true, user: true },
      { smap: true },
    ],
    [true, 'implicit read at CPL 3 of a supervisor page', SUP, 'read', { ...IMPLICIT, ...USER }, {}],
    [true, 'implicit read of a supervisor page with SMAP', SUP, 'read', IMPLICIT, { smap: true }],
    [true, 'user reads a user page with SMAP', OPEN, 'read', USER, { smap: true }],
    [true, 'user reads a user page with SMAP, AC = 1', OPEN, 'read', { ...USER, ac: true }, { smap: true }],
    [false, 'supervisor writes a user page with SMAP', OPEN, 'write', {}, { smap: true }],
    [true, 'supervisor writes a user page with SMAP, AC = 1', OPEN, 'write', { ac: true }, { smap: true }],
    [false, 'AC = 1 does not make a page writable', P | US, 'write', { ac: true }, { smap: true }],
    [true, 'supervisor writes a supervisor page', SUP, 'write', {}, {}],
    [false, 'supervisor writes a read-only page, WP = 1', P, 'write', {}, {}],
    [true, 'supervisor writes a read-only page, WP = 0', P, 'write', {}, { wp: false }],
    [true, 'supervisor writes a read-only user page, WP = 0', P | US, 'write', {}, { wp: false }],
    [false, 'the same with SMAP', P | US, 'write', {}, { wp: false, smap: true }],
    [false, 'user writes a read-only page, WP = 1', P | US, 'write', USER, {}],
    [false, 'user writes a read-only page, WP = 0', P | US, 'write', USER, { wp: false }],
    [
      true,
      'implicit write at CPL 3 of a read-only page, WP = 0',
      P,
      'write',
      { ...IMPLICIT, ...USER },
      { wp: false },
    ],
    [true, 'user writes a user page', OPEN, 'write', USER, {}],
    [true, 'user reads a user page', P | US, 'read', USER, {}],
    [false, 'user reads a supervisor page', SUP, 'read', USER, {}],
    [false, 'user writes a supervisor page', SUP, 'write', USER, {}],
    [false, 'user writes a supervisor page, WP = 0', SUP, 'write', USER, { wp: false }],
    [false, 'user fetches from a supervisor page', SUP, 'fetch', USER, {}],
    [false, 'user reads a supervisor page, AC = 1', SUP, 'read', { ...USER, ac: true }, {}],
    [true, 'supervisor fetches from a supervisor page', P, 'fetch', {}, {}],
    [true, 'supervisor fetches from a supervisor page with SMEP', P, 'fetch', {}, { smep: true }],
    [true, 'supervisor fetches from a user page without SMEP', OPEN, 'fetch', {}, {}],
    [false, 'supervisor fetches from a user page with SMEP', OPEN, 'fetch', {}, { smep: true }],
    [false, 'AC = 1 does not excuse from SMEP', OPEN, 'fetch', { ac: true }, { smep: true }],
    [true, 'user fetches from a user page with SMEP', OPEN, 'fetch', USER, { smep: true }],
    [true, 'SMEP does not concern reads', OPEN, 'read', {}, { smep: true }],
    [true, 'SMAP does not concern fetches', OPEN, 'fetch', {}, { smap: true }],
    [false, 'supervisor fetches, XD = 1', P | XD, 'fetch', {}, {}],
    [false, 'user fetches, XD = 1', OPEN | XD, 'fetch', USER, {}],
    [true, 'XD does not concern reads', OPEN | XD, 'read', USER, {}],
    [true, 'XD does not concern writes', OPEN | XD, 'write', USER, {}],
  ];

  test.each(rows)('%s: %s', (allowed, _, flags, kind, { ac = false, ...who }, switches) => {
    for (const mode of MODES) {
      if (mode === '32-bit' && (flags & XD) !== 0n) continue;
      const cpu = machine(mode, flags).boot(switches);
      cpu.ac = ac;
      const found = attempt(cpu, kind, VA, who);
      if (allowed) expect(found, mode).toBe(kind === 'write' ? '0x0' : '0xa');
      else expect(found, mode).toMatch('#PF');
    }
  });

  test.each(MODES)('%s: a clear R/W or U/S bit, or a set XD bit, at any level counts', (mode) => {
    for (const name of levelNames(mode)) {
      // PDPTEs of PAE paging have no rights (4.4.2).
      if (mode === 'PAE' && name === 'PDPTE') continue;
      const small = machine(mode);
      const entry = small.get(VA, name);
      small.set(VA, name, entry & ~RW);
      expect(attempt(small.boot(), 'write', VA, USER), name).toBe('#PF 0x7');
      expect(attempt(small.boot(), 'read', VA, USER), name).toBe('0xa');
      small.set(VA, name, entry & ~US);
      expect(attempt(small.boot(), 'read', VA, USER), name).toBe('#PF 0x5');
      expect(attempt(small.boot({ smap: true }), 'read', VA), name).toBe('0xa');
      if (mode === '32-bit') continue;
      small.set(VA, name, entry | XD);
      expect(attempt(small.boot(), 'fetch', VA, USER), name).toBe('#PF 0x15');
    }
  });

  test.each(['PAE', '4-level', '5-level'] as const)('%s: with NXE = 0 bit 63 is reserved', (mode) => {
    for (const name of levelNames(mode)) {
      if (mode === 'PAE' && name === 'PDPTE') continue;
      const small = machine(mode);
      small.set(VA, name, small.get(VA, name) | XD);
      const cpu = small.boot({ nxe: false });
      expect(attempt(cpu, 'read', VA), name).toBe('#PF 0x9');
      expect(attempt(cpu, 'write', VA, USER), name).toBe('#PF 0xf');
      expect(attempt(cpu, 'fetch', VA), name).toBe('#PF 0x9');
    }
  });
});

// 4.6.2 "Protection Keys".
describe.each(LONG_MODES)('%s: protection keys', (mode) => {
  /** Results of read and write as a letter each, of a page with key 5. */
  function readWrite(register: number, user: boolean, pageIsUser: boolean, wp: boolean): string {
    const flags = (pageIsUser ? OPEN : P | RW) | key(5);
    const rights = register << 10;
    const switches = pageIsUser ? { pke: true, pkru: rights } : { pks: true, pkrs: rights };
    const cpu = machine(mode, flags).boot({ wp, ...switches });
    const letter = (kind: Kind) => (attempt(cpu, kind, VA, { user }).startsWith('#PF') ? '-' : kind[0]);
    return letter('read') + letter('write');
  }

  test.each([
    // AD WD: both read and write, or write alone, are denied.
    [0b00, 'rw', 'rw', 'rw'],
    [0b01, '--', '--', '--'],
    [0b10, 'r-', 'r-', 'rw'],
    [0b11, '--', '--', '--'],
  ])('WD and AD = %i: user %s, supervisor %s, supervisor with WP = 0 %s', (bits, user, wp1, wp0) => {
    expect(readWrite(bits, true, true, true)).toBe(user);
    expect(readWrite(bits, true, true, false)).toBe(user);
    expect(readWrite(bits, false, true, true)).toBe(wp1);
    expect(readWrite(bits, false, true, false)).toBe(wp0);
    expect(readWrite(bits, false, false, true)).toBe(wp1);
    expect(readWrite(bits, false, false, false)).toBe(wp0);
  });

  test('fetches are not concerned', () => {
    const all = 0xffff_ffff;
    const cpu = machine(mode, OPEN | key(5)).boot({ pke: true, pkru: all });
    expect(attempt(cpu, 'fetch', VA, USER)).toBe('0xa');
    const supervisor = machine(mode, P | key(5)).boot({ pks: true, pkrs: all });
    expect(attempt(supervisor, 'fetch', VA)).toBe('0xa');
  });

  test('PKRU is for user pages, PKRS for supervisor pages, each with its switch in CR4', () => {
    const all = { pkru: 0xffff_ffff, pkrs: 0xffff_ffff };
    const user = machine(mode, OPEN);
    const supervisor = machine(mode, P | RW);
    expect(attempt(user.boot({ ...all, pks: true }), 'read', VA)).toBe('0xa');
    expect(attempt(user.boot({ ...all, pke: true }), 'read', VA)).toBe('#PF 0x21');
    expect(attempt(supervisor.boot({ ...all, pke: true }), 'read', VA)).toBe('0xa');
    expect(attempt(supervisor.boot({ ...all, pks: true }), 'read', VA)).toBe('#PF 0x21');
  });

  test.each(Array.from({ length: 16 }, (_, number) => number))('key %i has bits of its own', (number) => {
    const small = machine(mode, OPEN | key(number));
    const own = 1 << (2 * number);
    expect(attempt(small.boot({ pke: true, pkru: own >>> 0 }), 'read', VA)).toBe('#PF 0x21');
    expect(attempt(small.boot({ pke: true, pkru: ~(own * 3) >>> 0 }), 'read', VA)).toBe('0xa');
  });

  test('the key is that of the entry that maps the page; bits 62:59 of others are ignored', () => {
    const deniesFive = { pke: true, pkru: 1 << 10 };
    const small = machine(mode, OPEN, OPEN | key(5));
    expect(attempt(small.boot(deniesFive), 'read', VA)).toBe('0xa');
    for (const [at, frame] of [
      ['PDE', 0x200],
      ['PDPTE', 0x4_0000],
    ] as const) {
      const large = new SmallMachine(mode).map(0n, frame, OPEN | key(5), { at });
      expect(attempt(large.boot(deniesFive), 'read', 0n), at).toBe('#PF 0x21');
    }
  });
});

test.each(['32-bit', 'PAE'] as const)('%s: there are no protection keys', (mode) => {
  const cpu = machine(mode).boot({ pke: true, pks: true, pkru: 0xffff_ffff, pkrs: 0xffff_ffff });
  expect(attempt(cpu, 'read', VA, USER)).toBe('0xa');
});

// 4.8 "Accessed and Dirty Flags".
describe('accessed and dirty bits', () => {
  const none: Record<ReferenceMode, string> = {
    '32-bit': '- -',
    PAE: '- - -',
    '4-level': '- - - -',
    '5-level': '- - - - -',
  };
  // PDPTEs of PAE paging have neither.
  const all: Record<ReferenceMode, string> = {
    '32-bit': 'A A',
    PAE: '- A A',
    '4-level': 'A A A A',
    '5-level': 'A A A A A',
  };

  test.each(MODES)('%s: A is set at every level, D in the page of a write alone', (mode) => {
    for (const kind of ['read', 'fetch', 'write'] as const) {
      const small = machine(mode);
      expect(small.marks(VA)).toBe(none[mode]);
      attempt(small.boot(), kind, VA);
      expect(small.marks(VA), kind).toBe(kind === 'write' ? `${all[mode]}D` : all[mode]);
    }
  });

  test.each(MODES)('%s: no other bit of an entry changes', (mode) => {
    const small = machine(mode);
    const before = levelNames(mode).map((name) => small.get(VA, name));
    attempt(small.boot(), 'write', VA);
    const after = levelNames(mode).map((name) => small.get(VA, name) & ~(A | D));
    expect(after).toEqual(before);
  });

  test.each(MODES)('%s: a write after a read sets D, if the translation is remembered too', (mode) => {
    for (const caching of ['all', 'none'] as const) {
      const small = machine(mode);
      const cpu = small.boot({}, { caching });
      attempt(cpu, 'read', VA);
      attempt(cpu, 'write', VA);
      expect(small.marks(VA), caching).toBe(`${all[mode]}D`);
    }
  });

  test.each([
    ['32-bit', 'PDE', 0x400, 'AD'],
    ['PAE', 'PDE', 0x200, '- AD'],
    ['4-level', 'PDE', 0x200, 'A A AD'],
    ['4-level', 'PDPTE', 0x4_0000, 'A AD'],
    ['5-level', 'PDPTE', 0x4_0000, 'A A AD'],
  ] as const)('%s: a page mapped by a %s has D there', (mode, at, frame, marks) => {
    const small = new SmallMachine(mode).map(0n, frame, OPEN, { at });
    attempt(small.boot(), 'write', 0n);
    expect(small.marks(0n, at)).toBe(marks);
  });

  test.each(MODES)('%s: a refused access sets neither A nor D of the page', (mode) => {
    for (const [flags, kind, who] of [
      [P | US, 'write', USER],
      [P | US, 'write', {}],
      [P | RW, 'read', USER],
      [P | RW, 'write', USER],
      [P | RW, 'fetch', USER],
    ] as const) {
      const small = machine(mode, flags);
      expect(attempt(small.boot(), kind, VA, who)).toMatch('#PF');
      expect(small.get(VA, 'PTE')).toBe(to(PAGE, flags));
    }
  });

  test('an entry that is not present or has a reserved bit set is left as it is', () => {
    for (const name of levelNames('4-level')) {
      for (const change of [(entry: bigint) => entry & ~P, (entry: bigint) => entry | ABOVE_WIDTH]) {
        const small = machine();
        const entry = change(small.get(VA, name));
        small.set(VA, name, entry);
        expect(attempt(small.boot(), 'write', VA)).toMatch('#PF');
        expect(small.get(VA, name)).toBe(entry);
      }
    }
  });

  test('D of entries that lead to tables is ignored and stays', () => {
    const small = machine('4-level', OPEN, OPEN | D);
    attempt(small.boot(), 'read', VA);
    expect(small.marks(VA)).toBe('AD AD AD A');
  });

  test('a supervisor write of a read-only page with WP = 0 sets D', () => {
    const small = machine('4-level', P);
    attempt(small.boot({ wp: false }), 'write', VA);
    expect(small.marks(VA)).toBe('A A A AD');
  });

  test('with accessedDirty off, walks write nothing', () => {
    const small = machine();
    attempt(small.boot({}, { accessedDirty: false }), 'write', VA);
    expect(small.marks(VA)).toBe('- - - -');
  });
});

// 4.3 to 4.5: what PS means.
describe('page sizes', () => {
  const at = (mode: ReferenceMode, name: LevelName, frame: number) =>
    new SmallMachine(mode).map(0n, frame, OPEN, { at: name });

  test('32-bit: PS in a PDE maps 4 MiB with CR4.PSE = 1', () => {
    const small = at('32-bit', 'PDE', 0x400).page(0x7ff);
    const cpu = small.boot();
    expect(attempt(cpu, 'read', 0n)).toBe('0x400');
    expect(attempt(cpu, 'read', 0x3f_f000n)).toBe('0x7ff');
    expect(attempt(cpu, 'read', 0x40_0000n)).toBe('#PF 0x0');
  });

  test('32-bit: PS in a PDE is ignored with CR4.PSE = 0', () => {
    const small = machine('32-bit', OPEN, OPEN | PS);
    expect(attempt(small.boot({ pse: false }), 'read', VA)).toBe('0xa');
  });

  test('32-bit: a 4-MiB page has bits 39:32 of its address in bits 20:13 of the PDE', () => {
    const small = new SmallMachine('32-bit').page(0xff0_0400);
    small.set(0n, 'PDE', 0x0040_0000n | (0xffn << 13n) | OPEN | PS);
    expect(attempt(small.boot({ physBits: 40 }), 'read', 0n)).toBe('0xff00400');
    // Bit 12 is PAT, no part of the address.
    small.set(0n, 'PDE', 0x0040_0000n | (1n << 13n) | (1n << 12n) | OPEN | PS).page(0x10_0400);
    expect(attempt(small.boot({ physBits: 40 }), 'read', 0n)).toBe('0x100400');
  });

  test.each(['PAE', '4-level', '5-level'] as const)(
    '%s: PS in a PDE maps 2 MiB, whatever CR4.PSE',
    (mode) => {
      for (const pse of [true, false]) {
        const cpu = at(mode, 'PDE', 0x200).page(0x3ff).boot({ pse });
        expect(attempt(cpu, 'read', 0n)).toBe('0x200');
        expect(attempt(cpu, 'read', 0x1f_f000n)).toBe('0x3ff');
        expect(attempt(cpu, 'read', 0x20_0000n)).toBe('#PF 0x0');
      }
    },
  );

  test.each(LONG_MODES)('%s: PS in a PDPTE maps 1 GiB, or is reserved without such pages', (mode) => {
    const small = at(mode, 'PDPTE', 0x4_0000).page(0x7_ffff);
    expect(attempt(small.boot({ pse: false }), 'read', 0n)).toBe('0x40000');
    expect(attempt(small.boot(), 'read', 0x3fff_f000n)).toBe('0x7ffff');
    expect(attempt(small.boot({ page1GB: false }), 'read', 0n)).toBe('#PF 0x9');
  });

  test.each(LONG_MODES)('%s: PS in a PML4E or PML5E is reserved', (mode) => {
    const names = levelNames(mode).filter((name) => name.startsWith('PML'));
    for (const name of names) {
      const small = machine(mode);
      small.set(VA, name, small.get(VA, name) | PS);
      expect(attempt(small.boot(), 'read', VA), name).toBe('#PF 0x9');
    }
  });

  test.each(MODES)('%s: bit 7 of a PTE is PAT, no size', (mode) => {
    expect(attempt(machine(mode, OPEN | PS).boot(), 'read', VA)).toBe('0xa');
  });

  test.each([
    ['4-level', 'PDE', 0x200],
    ['4-level', 'PDPTE', 0x4_0000],
    ['PAE', 'PDE', 0x200],
    ['32-bit', 'PDE', 0x400],
  ] as const)('%s: bit 12 of a %s that maps a page is PAT, no address bit', (mode, name, frame) => {
    const small = at(mode, name, frame);
    small.set(0n, name, small.get(0n, name) | (1n << 12n));
    expect(attempt(small.boot(), 'read', 0n)).toBe(`0x${frame.toString(16)}`);
  });
});

// 4.3 to 4.5, tables of entry formats; 4.7 on RSVD. `hi` stands for bits 51:M.
describe('reserved bits', () => {
  const range = (high: number, low: number) =>
    Array.from({ length: Math.max(0, high - low + 1) }, (_, i) => low + i);

  /** The bits of an entry that make an access fail as reserved when they are set. */
  function reservedBits(
    small: SmallMachine,
    va: bigint,
    name: LevelName,
    switches: Parameters<SmallMachine['boot']>[0],
  ): number[] {
    const entry = small.get(va, name);
    const found: number[] = [];
    for (const bit of range(small.mode === '32-bit' ? 31 : 63, 1)) {
      small.set(va, name, entry | (1n << BigInt(bit)));
      const cpu = small.boot(switches, { caching: 'none' });
      if (attempt(cpu, 'read', va) === '#PF 0x9') found.push(bit);
    }
    small.set(va, name, entry);
    return found;
  }

  /** A page table at frame 0x400, so that PS in the PDE makes a page without low address bits. */
  function tableAt2M(mode: ReferenceMode): SmallMachine {
    const small = machine(mode).table(0x400);
    const pte = small.get(VA, 'PTE');
    small.set(VA, 'PDE', to(0x400, OPEN));
    const at = small.memory.locate(0x400);
    const index = Number((VA >> 12n) & (mode === '32-bit' ? 1023n : 511n));
    small.memory.words[at + index * (mode === '32-bit' ? 1 : 2)] = Number(pte);
    return small;
  }

  test.each([32, 36, 40, 46, 51, 52])('4-level and 5-level, M = %i', (m) => {
    const hi = range(51, m);
    for (const mode of LONG_MODES) {
      for (const nxe of [true, false]) {
        const xd = nxe ? [] : [63];
        const switches = { physBits: m, nxe };
        const small = machine(mode);
        const tables = levelNames(mode).filter((name) => name.startsWith('PML'));
        for (const name of tables) {
          expect(reservedBits(small, VA, name, switches), name).toEqual([7, ...hi, ...xd]);
        }
        const without1G = { ...switches, page1GB: false };
        expect(reservedBits(small, VA, 'PDPTE', without1G)).toEqual([7, ...hi, ...xd]);
        expect(reservedBits(tableAt2M(mode), VA, 'PDE', switches)).toEqual([...hi, ...xd]);
        expect(reservedBits(small, VA, 'PTE', switches)).toEqual([...hi, ...xd]);
        const page2M = new SmallMachine(mode).map(0n, 0, OPEN, { at: 'PDE' });
        expect(reservedBits(page2M, 0n, 'PDE', switches)).toEqual([...range(20, 13), ...hi, ...xd]);
        const page1G = new SmallMachine(mode).map(0n, 0, OPEN, { at: 'PDPTE' });
        expect(reservedBits(page1G, 0n, 'PDPTE', switches)).toEqual([...range(29, 13), ...hi, ...xd]);
      }
    }
  });

  test.each([32, 36, 46, 52])('PAE, M = %i: bits 62:M too', (m) => {
    for (const nxe of [true, false]) {
      const switches = { physBits: m, nxe };
      const hi = range(nxe ? 62 : 63, m);
      expect(reservedBits(tableAt2M('PAE'), VA, 'PDE', switches)).toEqual(hi);
      expect(reservedBits(machine('PAE'), VA, 'PTE', switches)).toEqual(hi);
      const page2M = new SmallMachine('PAE').map(0n, 0, OPEN, { at: 'PDE' });
      expect(reservedBits(page2M, 0n, 'PDE', switches)).toEqual([...range(20, 13), ...hi]);
    }
  });

  // 4.3: with PSE-36 and M' = min(40, MAXPHYADDR), bits 21:(M'-19); without it 21:13.
  test.each([
    [true, 32, range(21, 13)],
    [true, 36, range(21, 17)],
    [true, 40, [21]],
    [true, 52, [21]],
    [false, 40, range(21, 13)],
  ])('32-bit, PSE-36 %s, M = %i: a 4-MiB page has %j', (pse36, physBits, bits) => {
    const switches = { pse36, physBits };
    const page4M = new SmallMachine('32-bit').map(0n, 0, OPEN, { at: 'PDE' });
    expect(reservedBits(page4M, 0n, 'PDE', switches)).toEqual(bits);
    expect(reservedBits(machine('32-bit'), VA, 'PTE', switches)).toEqual([]);
    expect(reservedBits(tableAt2M('32-bit'), VA, 'PDE', { ...switches, pse: false })).toEqual([]);
  });
});

// 4.4.1 "PDPTE Registers".
describe('the PDPTE registers of PAE paging', () => {
  const OTHER_ROOT = 0x300;

  /** A second root with the same tables. */
  function twoRoots(): SmallMachine {
    const small = machine('PAE').table(OTHER_ROOT);
    const entry = small.get(VA, 'PDPTE');
    small.root = OTHER_ROOT;
    small.memory.words[small.memory.locate(OTHER_ROOT)] = Number(entry);
    small.root = 0x100;
    return small;
  }

  function setPdpte(small: SmallMachine, index: number, value: bigint): void {
    const at = small.memory.locate(OTHER_ROOT) + 2 * index;
    small.memory.words[at] = Number(value & 0xffff_ffffn);
    small.memory.words[at + 1] = Number(value >> 32n);
  }

  test.each([1, 2, 5, 6, 7, 8, 46, 51, 52, 62, 63])(
    'MOV to CR3 refuses a present PDPTE with bit %i',
    (bit) => {
      for (const index of [0, 1, 2, 3]) {
        const small = twoRoots();
        const cpu = small.boot();
        setPdpte(small, index, to(0x111, P) | (1n << BigInt(bit)));
        expect(faultOf(cpu.writeCr3(BigInt(OTHER_ROOT) << 12n))).toBe('#GP(0)');
        expect(cpu.cr3).toBe(small.cr3);
        // What was loaded before is still used.
        expect(attempt(cpu, 'read', VA)).toBe('0xa');
      }
    },
  );

  test.each([3, 4, 9, 10, 11, 45])('and takes bit %i', (bit) => {
    const small = twoRoots();
    setPdpte(small, 3, to(0x111, P) | (1n << BigInt(bit)));
    expect(faultOf(small.boot().writeCr3(BigInt(OTHER_ROOT) << 12n))).toBe('done');
  });

  test('of a PDPTE with P = 0 the other bits are ignored', () => {
    const small = twoRoots();
    setPdpte(small, 3, 0xffff_ffff_ffff_fffen);
    expect(faultOf(small.boot().writeCr3(BigInt(OTHER_ROOT) << 12n))).toBe('done');
  });

  test('a PDPTE changed in memory counts from the next load on', () => {
    const small = machine('PAE');
    const cpu = small.boot({}, { caching: 'none' });
    const entry = small.get(VA, 'PDPTE');
    small.set(VA, 'PDPTE', 0n);
    expect(attempt(cpu, 'read', VA)).toBe('0xa');
    expect(faultOf(cpu.invlpg(VA))).toBe('done');
    expect(attempt(cpu, 'read', VA)).toBe('0xa');
    expect(faultOf(cpu.writeCr3(cpu.cr3))).toBe('done');
    expect(attempt(cpu, 'read', VA)).toBe('#PF 0x0');
    small.set(VA, 'PDPTE', entry);
    expect(attempt(cpu, 'read', VA)).toBe('#PF 0x0');
    cpu.writeCr3(cpu.cr3);
    expect(attempt(cpu, 'read', VA)).toBe('0xa');
  });

  test('a register with P = 0 is a page fault with P = 0', () => {
    const cpu = machine('PAE').boot();
    expect(attempt(cpu, 'read', 0xc000_0000n)).toBe('#PF 0x0');
    expect(attempt(cpu, 'write', 0xc000_0000n, USER)).toBe('#PF 0x6');
  });

  test('the four of them lie in 32 bytes at CR3 31:5; bits 4:0 are ignored', () => {
    const small = machine('PAE');
    const at = small.memory.locate(small.root);
    small.memory.words.copyWithin(at + 8, at, at + 8);
    small.memory.words.fill(0, at, at + 8);
    for (const low of [0x20n, 0x3fn]) {
      expect(attempt(small.boot({ cr3: small.cr3 | low }), 'read', VA)).toBe('0xa');
    }
  });
});

test.each(MODES)('%s: the low bits of CR3 are no part of the address of the root', (mode) => {
  const low = mode === 'PAE' ? 0x1fn : 0xfffn;
  const small = machine(mode);
  expect(attempt(small.boot({ cr3: small.cr3 | low }), 'read', VA)).toBe('0xa');
});

test('with paging off, addresses are physical and nothing is refused', () => {
  const small = new SmallMachine('32-bit').page(PAGE);
  const cpu: X86Cpu = small.boot();
  expect(faultOf(cpu.writeCr0(cpu.cr0 & ~(1n << 31n)))).toBe('done');
  for (const who of [{}, USER]) {
    expect(attempt(cpu, 'fetch', 0xa000n, who)).toBe('0xa');
  }
  expect(attempt(cpu, 'write', 0xa000n, USER)).toBe('0x0');
  expect(attempt(cpu, 'read', 0xffff_f000n)).toBe('absent 0xfffff000');
  expect(cpu.rootFrame).toBeUndefined();
});
