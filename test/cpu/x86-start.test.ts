/** How a processor is made, and what it says of arguments that are none. */
import { expect, test } from 'vitest';
import { X86Cpu } from '../../src/cpu/index.ts';
import { FORMAT_4_LEVEL, FORMAT_5_LEVEL, FORMAT_PAE } from '../../src/format/index.ts';
import { flatMemory, SparseMemory } from '../../src/memory/index.ts';

const CR0_PE = 1n;
const CR0_PG = 1n << 31n;
const PAE = 1n << 5n;
const LME = 1n << 8n;

/** One MiB with a PML4 at 0x1000 that leads to a 1-GiB page at 0. */
function gigabyte() {
  const memory = flatMemory(new ArrayBuffer(1 << 20));
  memory.writeEntry(1, 0, 0x2003, 0);
  memory.writeEntry(2, 0, 0x83, 0);
  return memory;
}

test('what CPUID tells stays the same in all modes: a processor that starts without paging has 1-GiB pages later', () => {
  const cpu = new X86Cpu(gigabyte(), { cr0: CR0_PE, cr4: 0n, efer: 0n, physBits: 46 });
  expect(cpu.read(0x2000n, 4)).toEqual({ kind: 'done', value: 0x83n });
  expect(cpu.writeCr4(PAE)).toBe(undefined);
  expect(cpu.writeEfer(LME)).toBe(undefined);
  expect(cpu.writeCr3(0x1000n)).toBe(undefined);
  expect(cpu.writeCr0(CR0_PE | CR0_PG)).toBe(undefined);
  expect(cpu.levels).toBe(4);
  expect(cpu.read(0x2000n, 1)).toEqual({ kind: 'done', value: 0xa3n });
});

test('registers without PAE are those of 32-bit paging, whatever else is not given', () => {
  expect(new X86Cpu(gigabyte(), { cr3: 0x1000n, cr4: 0x10n }).levels).toBe(2);
});

test.each([
  [{ cr4: 0x10a0n }, FORMAT_4_LEVEL, 'CR4'],
  [{ efer: 0n }, FORMAT_5_LEVEL, 'EFER'],
  [{ efer: 0x500n }, FORMAT_PAE, 'EFER'],
])('a mode that contradicts the registers is refused: %o', (registers, mode, name) => {
  expect(() => new X86Cpu(gigabyte(), registers, { mode })).toThrow(
    expect.objectContaining({ code: 'BAD_ARGUMENT', message: expect.stringContaining(name) }),
  );
});

test.each([
  ['a mode by name', () => new X86Cpu(gigabyte(), {}, { mode: '32-bit' as never })],
  ['a register that is none', () => new X86Cpu(gigabyte(), { CR3: 0x1000n } as never)],
  ['a policy that is none', () => new X86Cpu(gigabyte(), {}, { caching: 'some' as never })],
  ['a number for a register', () => new X86Cpu(gigabyte(), { cr3: 0x1000 as never })],
  ['half a bit of a width', () => new X86Cpu(gigabyte(), { physBits: 36.5 })],
  ['a width beyond the architecture', () => new X86Cpu(gigabyte(), { cr0: 0x11n, physBits: 100 })],
  ['33 bits of PKRU', () => new X86Cpu(gigabyte(), { pkru: 1n << 32n })],
  ['no memory', () => new X86Cpu(undefined as never)],
  ['a sparse memory itself', () => new X86Cpu(new SparseMemory() as never)],
  ['a number for an address', () => new X86Cpu(gigabyte()).read(0x1000 as never, 4)],
  ['a number for a value', () => new X86Cpu(gigabyte()).writeCr3(0x1000 as never)],
  [
    'a privilege level that is none',
    () => {
      new X86Cpu(gigabyte()).cpl = 7 as never;
    },
  ],
])('%s is refused, and named', (_, call) => {
  expect(call).toThrow(expect.objectContaining({ code: 'BAD_ARGUMENT' }));
});

test.each([-4096n, 1n << 70n])('%s is no address for INVLPG', (address) => {
  expect(() => new X86Cpu(gigabyte()).invlpg(address)).toThrow(
    expect.objectContaining({ code: 'OUT_OF_RANGE' }),
  );
});

test.each(['all', 'none', 4] as const)(
  'frames that differ in bits above 31 are different frames: %s',
  (caching) => {
    const memory = flatMemory(new ArrayBuffer(1 << 20));
    for (const [frame, low] of [
      [1, 0x2023],
      [2, 0x3023],
      [3, 0x4023],
      [4, 0x5063],
    ]) {
      memory.writeEntry(frame, 0, low, 0);
    }
    const cpu = new X86Cpu(memory, { cr3: 0x1000_0000_1000n, physBits: 46 }, { caching });
    expect(cpu.read(0n, 4)).toEqual({ kind: 'absent', what: 'table', address: 0x1000_0000_1000n });
    cpu.writeCr3(0x1000n);
    expect(cpu.read(0n, 4).kind).toBe('done');
  },
);

test('RAM at 2^44: its tables are found there, and frames that are not there are absent', () => {
  const high = 1n << 44n;
  const memory = flatMemory(new ArrayBuffer(1 << 20), [{ address: high, offset: 0, length: 1 << 20 }]);
  const first = Number(high >> 12n);
  // Bit 44 of an address is bit 12 of an entry's high half.
  memory.writeEntry(first + 1, 0, 0x2023, 1 << 12);
  memory.writeEntry(first + 2, 0, 0x3023, 0);
  const cpu = new X86Cpu(memory, { cr3: high | 0x1000n, physBits: 46 });
  expect(cpu.read(0n, 4)).toEqual({ kind: 'absent', what: 'table', address: 0x3000n });
});

test('CR2 is written by MOV, at CPL 0 alone', () => {
  const cpu = new X86Cpu(gigabyte());
  expect(cpu.writeCr2(0xffff_8000_1234_5678n)).toBe(undefined);
  cpu.cpl = 3;
  expect(cpu.writeCr2(1n)).toMatchObject({ exception: '#GP' });
  expect(cpu.cr2).toBe(0xffff_8000_1234_5678n);
});

test('a thousand invalidated translations make room at the limit for those that are good', () => {
  const memory = flatMemory(new ArrayBuffer(1 << 20));
  memory.writeEntry(1, 0, 0x2027, 0);
  memory.writeEntry(2, 0, 0x3027, 0);
  memory.writeEntry(3, 0, 0x4027, 0);
  for (let index = 0; index < 512; index += 1) memory.writeEntry(4, index, 0x10067, 0);
  const cpu = new X86Cpu(memory, { cr3: 0x1000n }, { caching: 8 });
  cpu.read(0n, 1);
  memory.writeEntry(4, 0, 0x11067, 0);
  memory.words[0x10 * 1024] = 1;
  for (let index = 1; index < 7; index += 1) {
    cpu.read(BigInt(index) << 12n, 1);
    cpu.invlpg(BigInt(index) << 12n);
  }
  // Seven are gone, the first is still remembered.
  expect(cpu.read(0n, 1)).toEqual({ kind: 'done', value: 1n });
});
