// Maps and the model of the processor together: what it is told is enough, and it understands it.
import { describe, expect, test } from 'vitest';
import { Aarch64Cpu } from '../../src/cpu/index.ts';
import { flatMemory } from '../../src/memory/index.ts';
import {
  Attributes,
  type Behaviour,
  behaviourWith,
  Constraints,
  El1And0,
  El1Attributes,
  IdMap,
  LinearMap,
  MemoryRegion,
  MODERN,
  type Translation,
  VaRange,
} from './exports.ts';
import { F, M, NG, P, RO, V } from './machine.ts';

/** 39 bits in both halves, 4-KiB granule, 48 bits of output, tables in write-back memory that is shared. */
const TCR = 25n | (25n << 16n) | (2n << 30n) | (5n << 32n) | (0x35n << 8n) | (0x35n << 24n);
const MMU_ON = 1n;

/** A processor with its MMU on and no tables, and frames for tables from 0x100000 on. */
function machine() {
  const memory = flatMemory(new ArrayBuffer(8 << 20));
  const cpu = new Aarch64Cpu(memory, { ttbr0: 0n, ttbr1: 0n, tcr: TCR, mair: 0xff04n, sctlr: MMU_ON });
  let next = 0x100;
  const translation: Translation = {
    memory,
    allocateTable: () => next++,
    deallocateTable: () => undefined,
  };
  return { cpu, options: { translation, processor: cpu } };
}

const el1 = (bits: bigint) => El1Attributes.fromBitsRetain(bits);
const region = (from: bigint, to: bigint) => new MemoryRegion(from, to);

test('the page’s example: the processor sees the map, its changes, and what was there before', () => {
  const { cpu, options } = machine();
  const idmap = new IdMap(1, 1, options);
  const all = region(0x20_0000n, 0x40_0000n);
  const flags = Attributes.NORMAL.or(Attributes.NON_GLOBAL).or(Attributes.VALID);
  idmap.mapRange(all, flags);
  expect(cpu.read(0x20_1000n, 8).kind).toBe('fault');
  idmap.activate();
  expect(cpu.ttbr0).toBe((1n << 48n) | idmap.rootAddress().value);
  expect(cpu.write(0x20_1000n, 8, 0x1122n).kind).toBe('done');
  expect(cpu.read(0x20_1000n, 8)).toMatchObject({ kind: 'done', value: 0x1122n });
  idmap.deactivate();
  expect(cpu.read(0x20_1000n, 8).kind).toBe('fault');
  idmap.mapRange(all, flags.or(Attributes.READ_ONLY));
  idmap.activate();
  expect(cpu.read(0x20_1000n, 8)).toMatchObject({ kind: 'done', value: 0x1122n });
  expect(cpu.write(0x20_1000n, 8, 1n).kind).toBe('fault');
});

test('the upper range', () => {
  const { cpu, options } = machine();
  const start = 0xffff_ff80_0000_0000n;
  const map = LinearMap.withAsid(3, 1, 1n << 39n, El1And0, VaRange.Upper, options);
  const previous = map.activate();
  map.mapRange(region(start, start + M), el1(F));
  expect(cpu.write(start + 0x18n, 8, 7n).kind).toBe('done');
  map.mapRange(region(start, start + M), el1(F | RO));
  expect(cpu.write(start + 0x18n, 8, 8n).kind).toBe('fault');
  expect(cpu.read(start + 0x18n, 8)).toMatchObject({ value: 7n });
  map.deactivate(previous);
  expect(cpu.ttbr1).toBe(0n);
});

describe('changes while active count at once', () => {
  /** Four pages that are mapped, and known to the processor. */
  function known(behaviour: Behaviour) {
    const { cpu, options } = machine();
    const map = IdMap.withAsid(1, 1, El1And0, { ...options, behaviour });
    map.activate();
    map.mapRange(region(0n, 4n * P), el1(F | NG));
    const kinds = () => [0n, 1n, 2n, 3n].map((page) => cpu.write(page * P, 8, page).kind);
    expect(kinds()).toEqual(Array(4).fill('done'));
    return { map, kinds };
  }

  test('of flags, by mapRange and by modifyRange', () => {
    const { map, kinds } = known(MODERN);
    map.mapRange(region(0n, 2n * P), el1(F | NG | RO));
    expect(kinds()).toEqual(['fault', 'fault', 'done', 'done']);
    map.modifyRange(region(P, 3n * P), (_region, entry) => {
      const isReadOnly = (entry.bits() & RO) !== 0n;
      entry.modifyFlags(el1(isReadOnly ? 0n : RO), el1(isReadOnly ? RO : 0n));
    });
    expect(kinds()).toEqual(['fault', 'done', 'fault', 'done']);
  });

  test('of what is mapped: break, and then make', () => {
    const { map, kinds } = known(MODERN);
    map.mapRange(region(0n, P), el1(F & ~V));
    expect(kinds()).toEqual(['fault', 'done', 'done', 'done']);
    map.mapRange(region(0n, P), el1(F));
    expect(kinds()).toEqual(Array(4).fill('done'));
  });

  test('of tables: what 0.12.1 forgets of one that is freed, the processor goes on using (16.10)', () => {
    for (const [on, expected] of [
      [false, ['fault', 'done', 'done', 'done']],
      [true, Array(4).fill('fault')],
    ] as const) {
      const { map, kinds } = known(behaviourWith(MODERN, { 'freed-tables-are-invalidated': on }));
      map.mapRange(region(0n, M), el1(0n));
      expect(kinds()).toEqual(expected);
    }
  });

  test('a live block that 0.12.1 splits is refused', () => {
    const { cpu, options } = machine();
    const map = IdMap.withAsid(1, 1, El1And0, options);
    map.mapRange(region(0n, M), el1(F));
    map.activate();
    expect(() =>
      map.mapRangeWithConstraints(region(0n, M), el1(F | RO), Constraints.NO_BLOCK_MAPPINGS),
    ).toThrow(expect.objectContaining({ code: 'BREAK_BEFORE_MAKE' }));
    expect(cpu.write(0n, 8, 1n).kind).toBe('done');
  });
});
