/**
 * What is remembered and for how long: Arm ARM (DDI 0487), section "TLB maintenance", "Translation table entries permitted to be
 * cached in a TLB" and the descriptions of the TLBI instructions.
 */
import { beforeEach, describe, expect, test } from 'vitest';
import type { Aarch64Cpu } from '../../src/cpu/index.ts';
import {
  AF,
  AP_EL0,
  AP_RO,
  attempt,
  BLOCK,
  DBM,
  Machine,
  OPEN,
  operand,
  PAGE,
  ROOTS,
  TABLE,
  TCR,
  TCR_A1,
  TCR_AS,
  TCR_HA,
  TCR_HD,
  to,
} from './aarch64-machine.ts';

const A = 0x40_0000n;
const B = A + 0x1000n;
/** Below the same table as A, and not accessed before. */
const C = A + 0x5000n;
/** A global page elsewhere, and another one. */
const G = 0x8000_0000n;
const H = G + 0x1000n;
const GLOBAL = AF | AP_EL0;
const ASID_5 = 5n << 48n;
const ASID_6 = 6n << 48n;
const ROOT = BigInt(ROOTS[0]) << 12n;

let machine: Machine;
let cpu: Aarch64Cpu;
beforeEach(() => {
  machine = new Machine();
});

function complete(kind = 'DSB ISH'): void {
  cpu.barrier(kind);
}

/** Operand of a range: granule, scale, number, level and first address. */
function range(va: bigint, asid = 0, { tg = 1n, scale = 0n, num = 0n, ttl = 0n, shift = 12n } = {}): bigint {
  const base = (va >> shift) & ((1n << 37n) - 1n);
  return (BigInt(asid) << 48n) | (tg << 46n) | (scale << 44n) | (num << 39n) | (ttl << 37n) | base;
}

describe('scope', () => {
  /**
   * What an operation removes of what is remembered: pages a and b of ASID 5, c of ASID 6 at a's address, the global pages g and h,
   * and t, the entry that leads to a's table under ASID 5.
   */
  function removed(operation: string, value?: bigint): string {
    machine.map(A, 0x800).map(B, 0x801).map(C, 0x802).map(G, 0x803, GLOBAL).map(H, 0x804, GLOBAL);
    cpu = machine.boot({ ttbr0: ROOT | ASID_5 });
    for (const va of [A, B, G, H]) attempt(cpu, 'read', va);
    cpu.writeSystemRegister('TTBR0_EL1', ROOT | ASID_6);
    attempt(cpu, 'read', A);
    cpu.writeSystemRegister('TTBR0_EL1', ROOT | ASID_5);
    // The pages go; another table takes the place of a's, with another page at C.
    machine.set(A, 3, 0n).set(B, 3, 0n);
    machine.page(0x810);
    const table = machine.newFrame();
    const place = machine.memory.locate(table);
    machine.memory.words.set([Number(to(0x810, OPEN | PAGE)), 0], place + 10);
    machine.set(A, 2, to(table, TABLE));
    machine.set(G, 3, 0n).set(H, 3, 0n);
    cpu.tlbi(operation, value);
    complete();
    const isGone = (va: bigint) => attempt(cpu, 'read', va).startsWith('0x0');
    // Looking changes what is remembered: first the tables, then the pages.
    const leads = attempt(cpu, 'read', C) === '0x810' ? 't' : '';
    const found = [
      isGone(A) ? 'a' : '',
      isGone(B) ? 'b' : '',
      isGone(G) ? 'g' : '',
      isGone(H) ? 'h' : '',
      leads,
    ];
    cpu.writeSystemRegister('TTBR0_EL1', ROOT | ASID_6);
    return [...found, isGone(A) ? 'c' : ''].join('');
  }

  test.each([
    ['VMALLE1', undefined, 'abghtc'],
    ['ASIDE1', operand(0n, 5), 'abt'],
    ['ASIDE1', operand(0n, 6), 'c'],
    ['VAE1', operand(A, 5), 'at'],
    ['VAE1', operand(A, 6), 'c'],
    ['VAE1', operand(A, 7), ''],
    ['VAE1', operand(G, 5), 'g'],
    ['VAE1', operand(G, 7), 'g'],
    ['VALE1', operand(A, 5), 'a'],
    ['VALE1', operand(H, 5), 'h'],
    ['VAAE1', operand(A), 'atc'],
    ['VAAE1', operand(H), 'h'],
    ['VAALE1', operand(A), 'ac'],
    ['RVAE1', range(A, 5), 'abt'],
    ['RVAE1', range(A, 6), 'c'],
    ['RVALE1', range(A, 5), 'ab'],
    ['RVAAE1', range(A), 'abtc'],
    ['RVAALE1', range(A), 'abc'],
    // 2 * 2^5 pages of 4 KiB from H - 63 pages on.
    ['RVALE1', range(H - 0x3f000n, 9, { scale: 1n, num: 0n }), 'gh'],
    ['RVALE1', range(H - 0x40000n, 9, { scale: 1n, num: 0n }), 'g'],
    // 32 * 2^16 pages: 8 GiB.
    ['RVAALE1', range(0n, 0, { scale: 3n, num: 31n }), 'abghc'],
  ] as const)('%s %s removes "%s"', (operation, value, want) => {
    for (const suffix of ['', 'IS', 'OS']) {
      machine = new Machine();
      expect(removed(`${operation}${suffix}`, value), suffix).toBe(want);
    }
  });

  test('an address is taken from bit 55 on: bits 63:56 are as that one', () => {
    const high = 0xffff_8000_0040_0000n;
    machine.map(high, 0x800);
    cpu = machine.boot();
    attempt(cpu, 'read', high);
    machine.set(high, 3, 0n);
    cpu.tlbi('VAAE1', operand(high));
    complete();
    expect(attempt(cpu, 'read', high)).toBe('0x07');
  });

  test('a range in the upper half does not go on in the lower one', () => {
    machine.map(0n, 0x800, GLOBAL).map(0xffff_ffff_ffff_f000n, 0x801, GLOBAL);
    cpu = machine.boot();
    for (const va of [0n, 0xffff_ffff_ffff_f000n]) attempt(cpu, 'read', va);
    machine.set(0n, 3, 0n).set(0xffff_ffff_ffff_f000n, 3, 0n);
    cpu.tlbi('RVAAE1', range(0xffff_ffff_ffff_e000n, 0, { num: 3n }));
    complete();
    expect(attempt(cpu, 'read', 0xffff_ffff_ffff_f000n)).toBe('0x07');
    expect(attempt(cpu, 'read', 0n)).toBe('0x800');
  });
});

describe('hints of granule and level', () => {
  /** Whether an operation removes a page, and a block of 2 MiB. */
  function removed(operation: string, operandOf: (va: bigint) => bigint): string {
    const block = 0x60_0000n;
    machine.map(A, 0x800).map(block, 0x200, OPEN, 2);
    cpu = machine.boot();
    for (const va of [A, block]) attempt(cpu, 'read', va);
    machine.set(A, 3, 0n).set(block, 2, 0n);
    for (const va of [A, block]) cpu.tlbi(operation, operandOf(va));
    complete();
    return [
      attempt(cpu, 'read', A) === '0x07' ? 'page' : '',
      attempt(cpu, 'read', block) === '0x06' ? 'block' : '',
    ]
      .filter(Boolean)
      .join(' ');
  }

  // TTL: granule (01 4K, 10 16K, 11 64K) and level; table D8-123.
  test.each([
    [0b0000, 'page block'],
    [0b0011, 'page block'],
    [0b0111, 'page'],
    [0b0110, 'block'],
    [0b0101, ''],
    [0b0100, 'page block'],
    [0b1011, ''],
    [0b1000, 'page block'],
    [0b1111, ''],
  ])('TTL %i removes: %s', (ttl, want) => {
    expect(removed('VAE1', (va) => operand(va, 0, ttl))).toBe(want);
    machine = new Machine();
    expect(removed('VAALE1', (va) => operand(va, 0, ttl))).toBe(want);
  });

  test.each([
    [{ tg: 1n, ttl: 0n }, 'page block'],
    [{ tg: 1n, ttl: 3n }, 'page'],
    [{ tg: 1n, ttl: 2n }, 'block'],
    [{ tg: 2n, shift: 14n }, ''],
    [{ tg: 3n, shift: 16n }, ''],
    // Reserved.
    [{ tg: 0n }, ''],
  ])('a range with %s removes: %s', (fields, want) => {
    expect(removed('RVAE1', (va) => range(va, 0, fields))).toBe(want);
  });

  test('a range that begins where its level has no entry need not remove anything', () => {
    expect(removed('RVAE1', (va) => range(va + 0x1000n, 0, { ttl: 2n, num: 3n }))).toBe('');
  });

  test('a block goes as a whole, by any of its addresses', () => {
    const block = 0x60_0000n;
    machine.map(block, 0x200, OPEN, 2).page(0x205);
    cpu = machine.boot();
    for (const offset of [0n, 0x5000n]) attempt(cpu, 'read', block + offset);
    machine.set(block, 2, 0n);
    cpu.tlbi('VALE1', operand(block + 0x1f_f000n));
    complete();
    expect([0n, 0x5000n].map((offset) => attempt(cpu, 'read', block + offset))).toEqual(['0x06', '0x06']);
  });

  test('what leads to tables goes where the hint is of a level below', () => {
    for (const [ttl, want] of [
      [0b0111, '0x810'],
      [0b0110, '0x802'],
    ] as const) {
      machine = new Machine();
      machine.map(A, 0x800).map(C, 0x802).page(0x810);
      cpu = machine.boot();
      attempt(cpu, 'read', A);
      const table = machine.newFrame();
      machine.memory.words.set([Number(to(0x810, OPEN | PAGE)), 0], machine.memory.locate(table) + 10);
      machine.set(A, 2, to(table, TABLE));
      cpu.tlbi('VAE1', operand(A, 0, ttl));
      complete();
      expect(attempt(cpu, 'read', C)).toBe(want);
    }
  });
});

describe('completion', () => {
  test.each([
    ['DSB SY', true],
    ['DSB ISH', true],
    ['DSB NSH', true],
    ['DSB', true],
    ['DSB ISHST', false],
    ['DSB LD', false],
    ['DMB ISH', false],
    ['ISB', false],
  ])('%s completes an invalidation: %s', (kind, want) => {
    machine.map(A, 0x800);
    cpu = machine.boot();
    attempt(cpu, 'read', A);
    machine.set(A, 3, 0n);
    cpu.tlbi('VAE1IS', operand(A));
    expect(attempt(cpu, 'read', A)).toBe('0x800');
    complete(kind);
    expect(attempt(cpu, 'read', A)).toBe(want ? '0x07' : '0x800');
  });

  test('a barrier alone removes nothing', () => {
    machine.map(A, 0x800);
    cpu = machine.boot();
    attempt(cpu, 'read', A);
    machine.set(A, 3, 0n);
    complete('DSB SY');
    complete('ISB');
    expect(attempt(cpu, 'read', A)).toBe('0x800');
  });
});

describe('what is remembered', () => {
  test('nothing of a walk that ends in a translation, address size or access flag fault', () => {
    for (const entry of [0n, to(0x800, OPEN | PAGE) | (1n << 40n), to(0x800, PAGE)]) {
      machine = new Machine().map(A, 0x800);
      machine.set(A, 3, entry);
      cpu = machine.boot();
      expect(cpu.read(A, 4).kind).toBe('fault');
      machine.set(A, 3, to(0x800, OPEN | PAGE));
      expect(attempt(cpu, 'read', A)).toBe('0x800');
    }
  });

  test('a permission fault, until it is invalidated', () => {
    machine.map(A, 0x800, OPEN | AP_RO);
    cpu = machine.boot();
    expect(cpu.write(A, 4, 0n)).toMatchObject({ level: 3, fromCache: false });
    machine.set(A, 3, to(0x800, OPEN | PAGE));
    expect(cpu.write(A, 4, 0n)).toMatchObject({
      level: 3,
      fromCache: true,
      because: ['AP[2] = 1 in the translation that the TLB holds'],
    });
    cpu.tlbi('VALE1', operand(A));
    complete();
    expect(cpu.write(A, 4, 0n).kind).toBe('done');
  });

  test('ASIDs are apart, global pages are not', () => {
    machine.map(A, 0x800).map(G, 0x803, GLOBAL);
    const other = machine.newFrame();
    machine.memory.words.copyWithin(
      machine.memory.locate(other),
      machine.memory.locate(ROOTS[0]),
      machine.memory.locate(ROOTS[0]) + 1024,
    );
    cpu = machine.boot({ ttbr0: ROOT | ASID_5 });
    for (const va of [A, G]) attempt(cpu, 'read', va);
    machine.set(A, 3, 0n).set(G, 3, 0n);
    cpu.writeSystemRegister('TTBR0_EL1', (BigInt(other) << 12n) | ASID_6);
    expect([A, G].map((va) => attempt(cpu, 'read', va))).toEqual(['0x07', '0x803']);
    cpu.writeSystemRegister('TTBR0_EL1', ROOT | ASID_5);
    expect(attempt(cpu, 'read', A)).toBe('0x800');
  });

  test('TCR.A1 takes the ASID from TTBR1, and without AS it has 8 bits', () => {
    cpu = machine.boot({ ttbr0: 0x1234n << 48n, ttbr1: 0xabcdn << 48n });
    expect(cpu.asid).toBe(0x34);
    cpu.writeSystemRegister('TCR_EL1', TCR | TCR_AS);
    expect(cpu.asid).toBe(0x1234);
    cpu.writeSystemRegister('TCR_EL1', TCR | TCR_AS | TCR_A1);
    expect(cpu.asid).toBe(0xabcd);
    cpu.writeSystemRegister('TTBR1_EL1', 7n << 48n);
    expect(cpu.asid).toBe(7);
  });

  test('registers invalidate nothing: another root, another MAIR, translation off and on', () => {
    machine.map(A, 0x800);
    cpu = machine.boot();
    attempt(cpu, 'read', A);
    machine.set(A, 0, 0n);
    cpu.writeSystemRegister('TTBR0_EL1', ROOT | 1n);
    cpu.writeSystemRegister('SCTLR_EL1', 0n);
    cpu.writeSystemRegister('SCTLR_EL1', 1n);
    expect(attempt(cpu, 'read', A)).toBe('0x800');
  });

  test('rights of EL0 and EL1, PAN and WXN are worked out at use', () => {
    machine.map(A, 0x800);
    cpu = machine.boot();
    expect(attempt(cpu, 'read', A)).toBe('0x800');
    cpu.pan = true;
    expect(attempt(cpu, 'read', A)).toBe('0x0f');
    expect(attempt(cpu, 'fetch', A, { el: 0 })).toBe('0x800');
    cpu.writeSystemRegister('SCTLR_EL1', 1n | (1n << 19n));
    expect(attempt(cpu, 'fetch', A, { el: 0 })).toBe('0x0f');
  });

  test('a write to a page that is remembered as clean goes to its entry', () => {
    machine.map(A, 0x800, OPEN | AP_RO | DBM);
    cpu = machine.boot({ tcr: TCR | TCR_HA | TCR_HD });
    attempt(cpu, 'read', A);
    machine.page(0x801).set(A, 3, to(0x801, OPEN | AP_RO | DBM | PAGE));
    expect(attempt(cpu, 'read', A)).toBe('0x800');
    expect(cpu.write(A, 4, 7n).kind).toBe('done');
    expect(attempt(cpu, 'read', A)).toBe('0x7');
    expect(machine.get(A, 3)).toBe(to(0x801, OPEN | DBM | PAGE));
  });

  test('a number of translations; the oldest goes first', () => {
    machine.map(A, 0x800).map(B, 0x801).map(C, 0x802);
    cpu = machine.boot({}, { caching: 2 });
    for (const va of [A, B, C]) attempt(cpu, 'read', va);
    for (const va of [A, B, C]) machine.set(va, 3, 0n);
    expect([B, C, A].map((va) => attempt(cpu, 'read', va))).toEqual(['0x801', '0x802', '0x07']);
  });

  test('none at all', () => {
    machine.map(A, 0x800);
    cpu = machine.boot({}, { caching: 'none' });
    attempt(cpu, 'read', A);
    machine.set(A, 3, 0n);
    expect(attempt(cpu, 'read', A)).toBe('0x07');
  });

  test('entries that lead to tables, from which walks begin', () => {
    machine.map(A, 0x800).map(C, 0x802);
    cpu = machine.boot();
    attempt(cpu, 'read', A);
    machine.set(A, 1, 0n);
    expect(attempt(cpu, 'read', C)).toBe('0x802');
    machine.set(C + 0x1000n, 3, 0n);
    expect(cpu.read(C + 0x1000n, 4)).toMatchObject({ level: 3, fromCache: true });
  });

  test('a block where a page was', () => {
    machine.map(A, 0x800);
    cpu = machine.boot();
    attempt(cpu, 'read', A);
    machine.page(0x200).set(A, 2, to(0x200, OPEN | BLOCK));
    expect(attempt(cpu, 'read', A)).toBe('0x800');
    cpu.tlbi('VAE1', operand(A));
    complete();
    expect(attempt(cpu, 'read', A)).toBe('0x200');
  });
});
