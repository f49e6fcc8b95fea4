/**
 * What is remembered and for how long: RISC-V Privileged ISA, sections "Supervisor Memory-Management Fence Instruction" and "Virtual
 * Address Translation Process", chapters "Svnapot" and "Svvptc".
 */
import { beforeEach, describe, expect, test } from 'vitest';
import type { RiscvCpu } from '../../src/cpu/index.ts';
import { A, attempt, D, G, Machine, N, R, RW, to, V, W } from './riscv-machine.ts';

const P = 0x40_0000n;
/** Below the same tables as P. */
const Q = P + 0x1000n;
/** The same, and not accessed before. */
const NEXT = P + 0x5000n;
/** A global page elsewhere, and one below a pointer that is global. */
const GLOBAL = 0x8000_0000n;
const BELOW = 0xc000_0000n;

let machine: Machine;
let cpu: RiscvCpu;
beforeEach(() => {
  machine = new Machine();
});

/** What a read gets: the frame, or the cause of the fault. */
const read = (va: bigint) => attempt(cpu, 'read', va);

/** A new table that is a copy of another, with a page at one index more. */
function copyOfTable(frame: number, index: number, page: number): number {
  const { memory } = machine;
  const copy = machine.newFrame();
  const [from, at] = [memory.locate(frame), memory.locate(copy)];
  memory.words.copyWithin(at, from, from + 1024);
  memory.words.set([Number(to(page, RW)), 0], at + 2 * index);
  machine.page(page);
  return copy;
}

describe('scope of SFENCE.VMA', () => {
  /**
   * What a fence removes of what is remembered: pages p and q of ASID 5, o of ASID 6 at p's address, g that is global by its own
   * entry and b by a pointer; t, the pointer to p's table under ASID 5, and s, the one above b.
   */
  function removed(operands: { address?: bigint; asid?: bigint }): string {
    machine
      .map(P, 0x800)
      .map(Q, 0x801)
      .map(GLOBAL, 0x803, RW | G)
      .map(BELOW, 0x804);
    machine.set(BELOW, 1, machine.get(BELOW, 1) | G);
    cpu = machine.boot({ satp: machine.satp(5) });
    for (const va of [P, Q, GLOBAL, BELOW]) read(va);
    cpu.writeCsr('satp', machine.satp(6));
    machine.set(P, 0, to(0x802, RW)).page(0x802);
    // The pointers of ASID 6 are remembered as well.
    expect(read(P)).toBe('0x802');
    cpu.writeCsr('satp', machine.satp(5));
    const table = copyOfTable(machine.tableOf(P, 0), 5, 0x810);
    const other = copyOfTable(machine.tableOf(BELOW, 0), 5, 0x811);
    for (const va of [P, Q, GLOBAL, BELOW]) machine.set(va, 0, 0n);
    machine.memory.words.fill(0, machine.memory.locate(table), machine.memory.locate(table) + 4);
    machine.memory.words.fill(0, machine.memory.locate(other), machine.memory.locate(other) + 4);
    machine.set(P, 1, to(table, V)).set(BELOW, 1, to(other, V | G));
    cpu.sfenceVma(operands);
    // Looking changes what is remembered: first the pointers, then the pages.
    const found = [read(NEXT) === '0x810' ? 't' : '', read(BELOW + 0x5000n) === '0x811' ? 's' : ''];
    for (const [va, name] of [
      [P, 'p'],
      [Q, 'q'],
      [GLOBAL, 'g'],
      [BELOW, 'b'],
    ] as const) {
      if (read(va) === '13') found.push(name);
    }
    cpu.writeCsr('satp', machine.satp(6));
    if (read(P) === '13') found.push('o');
    return found.filter(Boolean).sort().join('');
  }

  test.each([
    ['x0, x0', {}, 'bgopqst'],
    ['x0, ASID', { asid: 5n }, 'pqt'],
    ['x0, another ASID', { asid: 6n }, 'o'],
    ['x0, ASID with bits that none has', { asid: 5n | (1n << 16n) }, 'pqt'],
    ['VA, x0', { address: P }, 'op'],
    ['VA inside the page, x0', { address: P + 0xfffn }, 'op'],
    ['VA of a global page, x0', { address: GLOBAL }, 'g'],
    ['VA of a page below a global pointer, x0', { address: BELOW }, 'b'],
    ['VA, ASID', { address: P, asid: 5n }, 'p'],
    ['VA, another ASID', { address: P, asid: 6n }, 'o'],
    ['VA of a global page, ASID', { address: GLOBAL, asid: 5n }, ''],
    ['VA below a global pointer, ASID', { address: BELOW, asid: 5n }, ''],
    ['VA that is not sign-extended, x0', { address: P | (1n << 40n) }, ''],
    ['VA that nothing is known of, x0', { address: 0x1234_5000n }, ''],
  ] as const)('%s', (_, operands, want) => {
    expect(removed(operands)).toBe(want);
  });

  test('with more ASIDs than are looked at one by one', () => {
    machine.map(P, 0x800).map(Q, 0x801);
    cpu = machine.boot();
    for (let asid = 0; asid < 100; asid += 1) {
      cpu.writeCsr('satp', machine.satp(asid));
      for (const va of [P, Q]) read(va);
    }
    machine.set(P, 0, 0n).set(Q, 0, 0n);
    cpu.sfenceVma({ address: P });
    for (const asid of [0, 50, 99]) {
      cpu.writeCsr('satp', machine.satp(asid));
      expect([read(P), read(Q)]).toEqual(['13', '0x801']);
    }
  });

  test('a superpage goes as a whole, by any of its addresses', () => {
    const large = 0x4000_0000n;
    machine.map(large, 0x4_0000, RW, 2).page(0x4_0000 + 0x205);
    cpu = machine.boot();
    for (const offset of [0n, 0x20_5000n]) read(large + offset);
    machine.set(large, 2, 0n);
    cpu.sfenceVma({ address: large + 0x3fff_f000n });
    expect([0n, 0x20_5000n].map((offset) => read(large + offset))).toEqual(['13', '13']);
  });

  test('it acts for the same processor in M-mode, and with translation off', () => {
    machine.map(P, 0x800);
    for (const prepare of [
      () => {
        cpu.privilege = 'M';
      },
      () => cpu.writeCsr('satp', 0n),
    ]) {
      machine.set(P, 0, to(0x800, RW));
      cpu = machine.boot();
      read(P);
      machine.set(P, 0, 0n);
      prepare();
      cpu.sfenceVma({ address: P });
      cpu.privilege = 'S';
      cpu.writeCsr('satp', machine.satp());
      expect(read(P)).toBe('13');
    }
  });

  test('operands that no register holds are refused', () => {
    cpu = machine.boot();
    for (const operands of [{ address: -1n }, { address: 1n << 64n }, { asid: 1n << 64n }]) {
      expect(() => cpu.sfenceVma(operands)).toThrow('expected an unsigned 64-bit value');
    }
    expect(() => cpu.sfenceVma({ address: 4096 as unknown as bigint })).toThrow('expected a bigint');
    cpu = new Machine('sv32').boot();
    expect(() => cpu.sfenceVma({ address: 1n << 32n })).toThrow('expected an unsigned 32-bit value');
  });
});

describe('what is remembered', () => {
  test('entries with V = 0 at every level, until a fence; with cachesInvalid = false none', () => {
    for (const level of [0, 1, 2]) {
      for (const cachesInvalid of [true, false]) {
        machine = new Machine().map(P, 0x800);
        const entry = machine.get(P, level);
        machine.set(P, level, 0n);
        cpu = machine.boot(undefined, { cachesInvalid });
        expect(cpu.read(P, 4)).toMatchObject({ fromCache: false, because: [`V = 0 in level-${level} PTE`] });
        machine.set(P, level, entry);
        if (!cachesInvalid) {
          expect(read(P)).toBe('0x800');
          continue;
        }
        expect(cpu.read(P, 4)).toMatchObject({
          cause: 13,
          fromCache: true,
          because: [`V = 0 in level-${level} PTE, as it is remembered`],
        });
        // It ends the walk, so the address suffices.
        cpu.sfenceVma({ address: P });
        expect(read(P)).toBe('0x800');
      }
    }
  });

  test('entries with something reserved', () => {
    for (const [cachesInvalid, want] of [
      [true, '13'],
      [false, '0x800'],
    ] as const) {
      machine.map(P, 0x800, V | W | A | D);
      cpu = machine.boot(undefined, { cachesInvalid });
      expect(read(P)).toBe('13');
      machine.set(P, 0, to(0x800, RW));
      expect(read(P)).toBe(want);
    }
  });

  test('an entry that refuses the access, until a fence; A and D that are 0 as well without hardware that sets them', () => {
    for (const [before, adue] of [
      [V | R | A | D, true],
      [V | R | W | A, false],
      [V | R | W, false],
    ] as const) {
      machine = new Machine().map(P, 0x800, before);
      cpu = machine.boot({ adue });
      expect(attempt(cpu, 'write', P)).toBe('15');
      machine.set(P, 0, to(0x800, RW));
      expect(cpu.write(P, 4, 0n)).toMatchObject({ cause: 15, fromCache: true });
      cpu.sfenceVma({ address: P, asid: 0n });
      expect(cpu.write(P, 4, 0n).kind).toBe('done');
    }
  });

  test('what leads to tables, also of a walk that ended in a fault', () => {
    machine.map(P, 0x800);
    machine.set(NEXT, 0, 0n);
    cpu = machine.boot();
    expect(read(NEXT)).toBe('13');
    const table = copyOfTable(machine.tableOf(P, 0), 5, 0x810);
    machine.set(P, 1, to(table, V));
    cpu.sfenceVma({ address: NEXT });
    expect(cpu.read(NEXT, 4)).toMatchObject({ kind: 'fault', fromCache: true });
    cpu.sfenceVma();
    expect(read(NEXT)).toBe('0x810');
  });

  test('a pointer that is global serves every ASID', () => {
    machine.map(P, 0x800).map(Q, 0x801);
    machine.set(P, 2, machine.get(P, 2) | G);
    cpu = machine.boot({ satp: machine.satp(1) });
    read(P);
    machine.set(P, 2, 0n);
    cpu.writeCsr('satp', machine.satp(2));
    expect(read(Q)).toBe('0x801');
    cpu.sfenceVma({ asid: 2n });
    expect(read(NEXT)).toBe('13');
    cpu.sfenceVma();
    expect(cpu.read(Q, 4)).toMatchObject({ because: ['V = 0 in level-2 PTE'] });
  });

  test('D is set by a walk, which sees what the tables say now', () => {
    machine.map(P, 0x800, V | R | W | A).page(0x801);
    cpu = machine.boot();
    read(P);
    machine.set(P, 0, to(0x801, V | R | W | A));
    expect(read(P)).toBe('0x800');
    attempt(cpu, 'write', P);
    expect(machine.get(P, 0)).toBe(to(0x801, RW));
    expect(read(P)).toBe('0x0');
  });

  test('satp fences nothing: another root, another ASID and back, translation off and on', () => {
    machine.map(P, 0x800);
    cpu = machine.boot({ satp: machine.satp(1) });
    read(P);
    machine.set(P, 0, 0n);
    for (const satp of [machine.satp(2), 0n, machine.satp(1) + 7n]) cpu.writeCsr('satp', satp);
    expect(read(P)).toBe('0x800');
    cpu.writeCsr('satp', machine.satp(3));
    expect(read(P)).toBe('13');
  });

  test('a Svnapot entry is remembered for all 16 pages, each of which goes by its own address', () => {
    const group = 0x1_0000n;
    machine.map(group, 0x800).page(0x803).page(0x807).page(0x900);
    machine.set(group, 0, to(0x808, N | RW));
    for (const i of [3n, 7n]) machine.set(group + i * 0x1000n, 0, to(0x900, RW));
    cpu = machine.boot();
    expect(read(group)).toBe('0x800');
    // The others' own entries were never read.
    expect([3n, 7n].map((i) => read(group + i * 0x1000n))).toEqual(['0x803', '0x807']);
    cpu.sfenceVma({ address: group + 0x3000n });
    expect([3n, 7n].map((i) => read(group + i * 0x1000n))).toEqual(['0x900', '0x807']);
  });

  test('nothing without caching; a number of translations, the oldest going first', () => {
    machine.map(P, 0x800).map(Q, 0x801).map(NEXT, 0x802);
    cpu = machine.boot(undefined, { caching: 'none' });
    read(P);
    machine.set(P, 0, 0n);
    expect(read(P)).toBe('13');
    machine.set(P, 0, to(0x800, RW));
    cpu = machine.boot(undefined, { caching: 2 });
    for (const va of [P, Q, NEXT]) read(va);
    for (const va of [P, Q, NEXT]) machine.set(va, 0, to(0x803, RW));
    machine.page(0x803);
    expect([NEXT, Q, P].map(read)).toEqual(['0x802', '0x801', '0x803']);
  });
});
