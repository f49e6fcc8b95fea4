/**
 * Accesses of one to eight bytes: their values, accesses that lie in two pages, and memory that is not there.
 *
 * Intel SDM vol. 1, sections "Fundamental Data Types" (4.1) and "Alignment of Words, Doublewords, Quadwords, and Double
 * Quadwords" (4.1.1); vol. 3A, section "Page-Fault Exceptions" (4.7).
 */
import { describe, expect, test } from 'vitest';
import type { X86Cpu } from '../../src/cpu/index.ts';
import { FETCH, READ } from '../../src/format/index.ts';
import type { ReferenceMode } from '../support/reference-walker.ts';
import { MODES } from '../support/x86-cases.ts';
import { attempt, CR0_PG, OPEN, P, RW, SmallMachine, textOf, to, US } from './small-machine.ts';

/** Two neighbouring pages in frames that are no neighbours. */
const FIRST = 0x40_3000n;
const SECOND = 0x40_4000n;
const SIZES = [1, 2, 3, 4, 5, 6, 7, 8];

function machine(mode: ReferenceMode = '4-level'): SmallMachine {
  return new SmallMachine(mode).map(FIRST, 0x1b).map(SECOND, 0xa);
}

/** The bytes of a frame. */
function bytesOf(small: SmallMachine, frame: number): Uint8Array {
  const { memory } = small;
  return new Uint8Array(memory.words.buffer, memory.locate(frame) * 4, 4096);
}

/** Fills both pages with bytes of which no two neighbours are alike. */
function fill(small: SmallMachine): void {
  for (const frame of [0x1b, 0xa])
    bytesOf(small, frame).forEach((_, i, all) => {
      all[i] = (i * 37 + frame) & 0xff;
    });
}

function littleEndian(bytes: readonly number[]): bigint {
  return bytes.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
}

/** Offsets from the first page's start: everywhere near the boundary, and at all alignments. */
const OFFSETS = [0, 1, 2, 3, 4, 5, 6, 7, 8, 100, ...Array.from({ length: 18 }, (_, i) => 4087 + i)];

describe.each(MODES)('%s: one to eight bytes', (mode) => {
  test.each(['all', 'none', 1] as const)(
    'reads are little-endian at every alignment, caching %s',
    (caching) => {
      const small = machine(mode);
      fill(small);
      const all = [...bytesOf(small, 0x1b), ...bytesOf(small, 0xa)];
      const cpu = small.boot({}, { caching });
      for (const offset of OFFSETS) {
        for (const size of SIZES) {
          const value = littleEndian(all.slice(offset, offset + size));
          const va = FIRST + BigInt(offset);
          const what = `${size} bytes at +${offset}`;
          expect(cpu.read(va, size), what).toEqual({ kind: 'done', value });
          expect(cpu.fetch(va, size), what).toEqual({ kind: 'done', value });
          for (const kind of [READ, FETCH]) {
            expect(cpu.load(0, Number(va), size, kind), what).toBe(true);
            expect(cpu.low, what).toBe(Number(BigInt.asIntN(32, value)));
            expect(cpu.high, what).toBe(Number(BigInt.asIntN(32, value >> 32n)));
          }
        }
      }
    },
  );

  test('writes change exactly their bytes', () => {
    for (const through of ['write', 'store'] as const) {
      const small = machine(mode);
      fill(small);
      const all = [...bytesOf(small, 0x1b), ...bytesOf(small, 0xa)];
      const cpu = small.boot();
      for (const offset of OFFSETS) {
        for (const size of SIZES) {
          const value = BigInt.asUintN(8 * size, 0xf1e2_d3c4_b5a6_9788n * BigInt(offset + size));
          const va = FIRST + BigInt(offset);
          if (through === 'write') expect(cpu.write(va, size, value)).toEqual({ kind: 'done', value });
          else
            expect(
              cpu.store(0, Number(va), size, Number(value & 0xffff_ffffn) | 0, Number(value >> 32n) | 0),
            ).toBe(true);
          for (let i = 0; i < size; i += 1) all[offset + i] = Number((value >> BigInt(8 * i)) & 0xffn);
        }
      }
      expect([...bytesOf(small, 0x1b)], through).toEqual(all.slice(0, 4096));
      expect([...bytesOf(small, 0xa)], through).toEqual(all.slice(4096));
    }
  });

  test('both pages of a write must be writable before a byte is written', () => {
    for (const [refused, cr2, flags, code] of [
      [FIRST, FIRST + 4093n, P, '#PF 0x3'],
      [SECOND, SECOND, P, '#PF 0x3'],
      [FIRST, FIRST + 4093n, 0n, '#PF 0x2'],
      [SECOND, SECOND, 0n, '#PF 0x2'],
    ] as const) {
      const small = machine(mode);
      small.set(refused, 'PTE', to(refused === FIRST ? 0x1b : 0xa, flags));
      const cpu = small.boot();
      for (let size = 4; size <= 8; size += 1) {
        const outcome = cpu.write(FIRST + 4093n, size, 0n);
        expect(outcome.kind === 'done' ? 'done' : textOf(outcome)).toBe(code);
        // The first byte that could not be written: of the second page, its first.
        expect(outcome).toMatchObject({ address: cr2, cr2 });
        expect(cpu.cr2).toBe(cr2);
        expect(cpu.store(0, Number(FIRST) + 4093, size, 0, 0)).toBe(false);
        expect(cpu.failure()).toMatchObject({ address: cr2 });
      }
      expect(new Set(bytesOf(small, 0x1b).filter((_, i) => i % 4 === 0))).toEqual(new Set([0x1b]));
      expect(new Set(bytesOf(small, 0xa).filter((_, i) => i % 4 === 0))).toEqual(new Set([0xa]));
    }
  });

  test('of two pages that fault, the first is reported', () => {
    const small = machine(mode).set(FIRST, 'PTE', 0n).set(SECOND, 'PTE', to(0xa, P));
    const cpu = small.boot();
    expect(cpu.write(FIRST + 4095n, 2, 0n)).toMatchObject({ errorCode: 2, cr2: FIRST + 4095n });
    expect(small.get(SECOND, 'PTE')).toBe(to(0xa, P));
  });

  test('reads and fetches in two pages need both', () => {
    const small = machine(mode).set(SECOND, 'PTE', to(0xa, P | RW));
    const cpu = small.boot();
    cpu.cpl = 3;
    for (const kind of ['read', 'fetch'] as const) {
      expect(cpu[kind](FIRST + 4092n, 4).kind).toBe('done');
      const code = kind === 'fetch' && mode !== '32-bit' ? 0x15 : 0x05;
      expect(cpu[kind](FIRST + 4092n, 5)).toMatchObject({ errorCode: code, cr2: SECOND });
    }
  });

  test('a page of absent memory is an answer, and nothing is written', () => {
    const small = machine(mode).set(SECOND, 'PTE', to(0x7777, OPEN));
    const cpu = small.boot();
    expect(cpu.write(FIRST + 4090n, 8, 0n)).toEqual({ kind: 'absent', what: 'page', address: 0x777_7000n });
    expect(cpu.read(SECOND + 8n, 8)).toEqual({ kind: 'absent', what: 'page', address: 0x777_7008n });
    expect(cpu.write(SECOND + 8n, 3, 0n)).toEqual({ kind: 'absent', what: 'page', address: 0x777_7008n });
    expect(bytesOf(small, 0x1b)[4092]).toBe(0x1b);
  });

  test('a table of absent memory is an answer, and names the table', () => {
    const names = { '32-bit': 'PDE', PAE: 'PDE', '4-level': 'PDPTE', '5-level': 'PML4E' } as const;
    const small = machine(mode);
    small.set(FIRST, names[mode], to(0x7777, OPEN));
    const cpu = small.boot();
    expect(cpu.read(FIRST, 4)).toEqual({ kind: 'absent', what: 'table', address: 0x777_7000n });
    expect(cpu.cr2).toBe(0n);
  });

  test('the implicit and stack options hold for both pages', () => {
    const small = machine(mode).set(SECOND, 'PTE', to(0xa, P | RW));
    const cpu = small.boot();
    cpu.cpl = 3;
    expect(cpu.read(FIRST + 4094n, 4, { implicit: true }).kind).toBe('done');
    expect(cpu.read(FIRST + 4094n, 4, { stack: true })).toMatchObject({ errorCode: 5, cr2: SECOND });
  });
});

describe.each([
  ['4-level', 1n << 47n],
  ['5-level', 1n << 56n],
] as const)('%s: an access over the end of the canonical half', (mode, end) => {
  test('raises #GP, or #SS through the stack, before any table is read', () => {
    const small = new SmallMachine(mode).map(end - 4096n, 0xa);
    const cpu = small.boot();
    expect(attempt(cpu, 'read', end - 4n)).toBe('0xa');
    const marks = small.marks(end - 4096n);
    const before = small.memory.words.slice();
    for (let size = 5; size <= 8; size += 1) {
      expect(cpu.read(end - 4n, size)).toMatchObject({ exception: '#GP', errorCode: 0, cr2: undefined });
      expect(cpu.write(end - 4n, size, 0n)).toMatchObject({ exception: '#GP' });
      expect(cpu.write(end - 4n, size, 0n, { stack: true })).toMatchObject({ exception: '#SS' });
    }
    expect(small.marks(end - 4096n)).toBe(marks);
    expect(small.memory.words).toEqual(before);
    // Not even the first page's absence is seen.
    small.set(end - 4096n, 'PTE', 0n);
    cpu.invlpg(end - 4096n);
    expect(cpu.read(end - 1n, 2)).toMatchObject({ exception: '#GP' });
  });

  test('from below the upper half raises #GP for its first byte', () => {
    const upper = (1n << 64n) - end;
    const cpu = new SmallMachine(mode).map(upper, 0xa).boot();
    expect(cpu.read(upper - 1n, 2)).toMatchObject({ exception: '#GP', address: upper - 1n });
  });
});

test.each([
  ['32-bit', 0xffff_f000n],
  ['PAE', 0xffff_f000n],
  ['4-level', 0xffff_ffff_ffff_f000n],
  ['5-level', 0xffff_ffff_ffff_f000n],
] as const)('%s: behind the end of the address space comes its beginning', (mode, last) => {
  const small = new SmallMachine(mode).map(last, 0x1b).map(0n, 0xa);
  const cpu = small.boot();
  expect(cpu.read(last + 4092n, 8)).toEqual({ kind: 'done', value: 0xa_0000_001bn });
  expect(cpu.write(last + 4094n, 4, 0x4433_2211n).kind).toBe('done');
  expect([...bytesOf(small, 0x1b).slice(4094)]).toEqual([0x11, 0x22]);
  expect([...bytesOf(small, 0xa).slice(0, 2)]).toEqual([0x33, 0x44]);
  small.set(0n, 'PTE', 0n);
  cpu.invlpg(0n);
  expect(cpu.read(last + 4092n, 8)).toMatchObject({ errorCode: 0, cr2: 0n });
});

describe('paging off', () => {
  function unpaged(): { readonly cpu: X86Cpu; readonly small: SmallMachine } {
    const small = new SmallMachine('32-bit').page(0xa).page(0xb);
    const cpu = small.boot();
    cpu.writeCr0(cpu.cr0 & ~CR0_PG);
    return { cpu, small };
  }

  test('accesses of all sizes go to physical memory, in two pages too', () => {
    const { cpu } = unpaged();
    expect(cpu.read(0xaffcn, 8)).toEqual({ kind: 'done', value: 0xb_0000_000an });
    expect(cpu.write(0xaffen, 4, 0x4433_2211n).kind).toBe('done');
    expect(cpu.read(0xaffcn, 8)).toEqual({ kind: 'done', value: 0x4433_2211_000an });
  });

  test('absent memory in either page is an answer', () => {
    const { cpu } = unpaged();
    expect(cpu.read(0xbffcn, 8)).toEqual({ kind: 'absent', what: 'page', address: 0xc000n });
    expect(cpu.write(0x9ffcn, 8, 1n)).toEqual({ kind: 'absent', what: 'page', address: 0x9ffcn });
    expect(cpu.read(0xa000n, 4)).toEqual({ kind: 'done', value: 0xan });
  });
});

describe('arguments', () => {
  test.each(['32-bit', 'PAE'] as const)('%s: an address of more than 32 bits is refused', (mode) => {
    const cpu = machine(mode).boot();
    for (const va of [1n << 32n, 1n << 63n, -1n]) {
      expect(() => cpu.read(va, 1)).toThrow(expect.objectContaining({ code: 'OUT_OF_RANGE' }));
      expect(() => cpu.write(va, 1, 0n)).toThrow(expect.objectContaining({ code: 'OUT_OF_RANGE' }));
      expect(() => cpu.fetch(va, 1)).toThrow(expect.objectContaining({ code: 'OUT_OF_RANGE' }));
    }
  });

  test('in 64-bit mode, one of more than 64', () => {
    const cpu = machine().boot();
    for (const va of [1n << 64n, -1n]) {
      expect(() => cpu.read(va, 1)).toThrow(expect.objectContaining({ code: 'OUT_OF_RANGE' }));
    }
  });

  test.each([0, 9, -1, 1.5, Number.NaN])('%d bytes are refused', (bytes) => {
    const cpu = machine().boot();
    expect(() => cpu.read(FIRST, bytes)).toThrow(expect.objectContaining({ code: 'OUT_OF_RANGE' }));
    expect(() => cpu.fetch(FIRST, bytes)).toThrow(expect.objectContaining({ code: 'OUT_OF_RANGE' }));
    expect(() => cpu.load(0, Number(FIRST), bytes)).toThrow(
      expect.objectContaining({ code: 'OUT_OF_RANGE' }),
    );
    expect(() => cpu.store(0, Number(FIRST), bytes, 0)).toThrow(
      expect.objectContaining({ code: 'OUT_OF_RANGE' }),
    );
  });

  test.each([0, 9, -1, 1.5, Number.NaN])('a write of %d bytes is refused', (bytes) => {
    const cpu = machine().boot();
    expect(() => cpu.write(FIRST, bytes, 0n)).toThrow(expect.objectContaining({ code: 'OUT_OF_RANGE' }));
  });

  test.each(SIZES)('a value of more than %i bytes is refused, and a negative one', (bytes) => {
    const cpu = machine().boot();
    for (const value of [1n << BigInt(8 * bytes), -1n]) {
      expect(() => cpu.write(FIRST, bytes, value)).toThrow(expect.objectContaining({ code: 'OUT_OF_RANGE' }));
    }
  });
});

test('a read-only second page under CR0.WP = 0 takes a supervisor write', () => {
  const small = machine().set(SECOND, 'PTE', to(0xa, P | US));
  const cpu = small.boot({ wp: false });
  expect(cpu.write(FIRST + 4092n, 8, 0x2_0000_0001n).kind).toBe('done');
  expect(bytesOf(small, 0xa)[0]).toBe(2);
});
