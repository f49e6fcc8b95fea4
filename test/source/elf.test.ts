import fc from 'fast-check';
import { expect, test } from 'vitest';
import { PageTableError } from '../../src/bits/index.ts';
import { memoryBytes, openElfCore } from '../../src/source/index.ts';
import { buildElf, concat, description, type ElfSpec, note, pattern, qemuNote } from './build-elf.ts';
import { countingBytes, expectFailure, failure, frame, framesOf } from './expect.ts';

const LOADS = [
  { physical: 0x1000n, data: pattern(0x1000, 8192) },
  { physical: 0x40000n, data: pattern(0x40000, 4096) },
];
const open = (spec: ElfSpec) => openElfCore(memoryBytes(buildElf(spec).bytes));

test.each([32, 64] as const)('a %i-bit core gives its memory by physical address', async (bits) => {
  const machine = await open({ bits, machine: bits === 32 ? 3 : 62, loads: LOADS });
  expect(machine).toMatchObject({
    kind: 'ELF core',
    architecture: 'x86',
    longMode: bits === 64,
    remarks: [],
  });
  expect(framesOf(machine.frames)).toEqual([1, 2, 0x40]);
  expect(await frame(machine, 2)).toEqual(pattern(0x2000, 4096));
  expect(await frame(machine, 0x40)).toEqual(pattern(0x40000, 4096));
  expect(await frame(machine, 3)).toBeUndefined();
});

test('64-bit i386 cores, which QEMU writes above 4 GiB, are not in long mode', async () => {
  const machine = await open({ machine: 3, loads: [{ physical: 0x1_0000_0000n, data: pattern(0, 4096) }] });
  expect(machine).toMatchObject({ longMode: false, frames: [{ first: 0x100000, end: 0x100001 }] });
});

test.each<[string, ElfSpec]>([
  ['section headers first', { sectionsFirst: true }],
  ['a bogus e_ehsize, as QEMU 7.2 writes', { sectionsFirst: true, ehsize: 8 }],
  ['headers behind the data', { headersLast: true }],
  ['program headers with room to grow', { entryBytes: 80 }],
  ['a count in section header 0', { extendedCount: true }],
  ['a count in section header 0, 32 bits', { extendedCount: true, bits: 32, machine: 3 }],
])('%s makes no difference', async (_, spec) => {
  const machine = await open({ loads: LOADS, notes: [qemuNote(440, { 416: 0x1000n })], ...spec });
  expect(framesOf(machine.frames)).toEqual([1, 2, 0x40]);
  expect(await frame(machine, 0x40)).toEqual(pattern(0x40000, 4096));
  expect(machine.cpus[0].registers['CR3']).toBe(0x1000n);
});

test('more than 65,535 program headers are read in bounded batches', async () => {
  const count = 70_000;
  // Every other page, all backed by one page of the file.
  const loads = Array.from({ length: count }, (_, i) => ({
    physical: BigInt(i) * 0x2000n,
    memoryBytes: 0x1000n,
    fileBytes: 0x1000n,
    offset: 0n,
  }));
  const bytes = countingBytes(buildElf({ extendedCount: true, loads }).bytes);
  const machine = await openElfCore(bytes);
  expect(machine.frames).toHaveLength(count);
  expect(machine.frames[count - 1]).toEqual({ first: 2 * count - 2, end: 2 * count - 1 });
  expect(Math.max(...bytes.reads.map(([, length]) => length))).toBeLessThanOrEqual(2 ** 18);
});

test.each<[string, ElfSpec, string]>([
  ['big-endian', { encoding: 2 }, '2 (big-endian)'],
  ['of an unknown class', { elfClass: 3 }, 'class 3'],
  ['a program', { type: 2 }, 'e_type 2 (a program)'],
  ['of an unknown machine', { machine: 22 }, 'e_machine 22'],
  ['without memory', { loads: [], notes: [qemuNote(440, {})] }, 'no PT_LOAD'],
  [
    'of a process',
    { loads: LOADS.map((load) => ({ ...load, virtual: load.physical, physical: 0n })) },
    'p_paddr 0',
  ],
])('a file that is %s is not supported', async (_, spec, said) => {
  await expectFailure(open({ loads: LOADS, ...spec }), 'UNSUPPORTED_IMAGE', said);
});

test.each<[string, ElfSpec, string]>([
  [
    'p_filesz above p_memsz',
    { loads: [{ physical: 0n, data: pattern(0, 8), memoryBytes: 7n }] },
    'segment 0 (PT_LOAD)',
  ],
  ['p_offset at 2^53', { loads: [{ physical: 0n, offset: 1n << 53n }] }, 'p_offset 0x20000000000000'],
  [
    'p_memsz of all ones',
    { loads: [{ physical: 0n, memoryBytes: (1n << 64n) - 1n }] },
    'p_memsz 0xffffffffffffffff',
  ],
  [
    'p_paddr + p_memsz at 2^53',
    { loads: [...LOADS, { physical: (1n << 53n) - 1n, memoryBytes: 1n }] },
    'segment 2 (PT_LOAD): p_paddr + p_memsz',
  ],
  [
    'p_offset + p_filesz at 2^53',
    { loads: [{ physical: 0n, offset: (1n << 53n) - 1n, fileBytes: 1n, memoryBytes: 1n }] },
    'p_offset + p_filesz: 0x1fffffffffffff + 0x1',
  ],
])('%s is malformed, and the message names it', async (_, spec, said) => {
  await expectFailure(open(spec), 'MALFORMED_IMAGE', said);
});

test('more segments than any dump has are refused before their table is built', async () => {
  const head = buildElf({ extendedCount: true, loads: LOADS }).bytes.subarray(0, 200);
  new DataView(head.buffer).setUint32(64 + 44, 5_000_000, true);
  const { read } = memoryBytes(concat([head, new Uint8Array(100)]));
  const bytes = { size: 2 ** 30, read, close: async () => {} };
  await expectFailure(openElfCore(bytes), 'LIMIT_EXCEEDED', '5000000');
  await expectFailure(openElfCore({ ...bytes, size: 300 }), 'TRUNCATED_IMAGE', '5000000 program headers');
});

test('segments whose p_paddr is all ones have no physical address and are passed over', async () => {
  for (const [bits, none] of [
    [64, (1n << 64n) - 1n],
    [32, (1n << 32n) - 1n],
  ] as const) {
    const machine = await open({ bits, loads: [...LOADS, { physical: none, data: pattern(0, 4096) }] });
    expect(framesOf(machine.frames)).toEqual([1, 2, 0x40]);
    expect(machine.remarks).toEqual([expect.stringContaining('1 of 3 segments have no physical address')]);
  }
});

test('program headers that are too small are malformed', async () => {
  const { bytes } = buildElf({ loads: LOADS });
  new DataView(bytes.buffer).setUint16(54, 55, true);
  await expectFailure(openElfCore(memoryBytes(bytes)), 'MALFORMED_IMAGE', 'e_phentsize 55', '56');
});

test.each<[string, ElfSpec]>([
  ['64 bits', { extendedCount: true }],
  ['32 bits', { bits: 32, machine: 3, extendedCount: true }],
  ['headers last', { headersLast: true }],
])('a cut at any byte is a typed error or a machine whose frames are right: %s', async (_, spec) => {
  const notes = [
    note('CORE', 1, description(336, { 112: 15n })),
    note('CORE', 1, description(336, {})),
    qemuNote(440, { 416: 0x1000n }),
    qemuNote(432, {}),
    note('VMCOREINFO', 0, new TextEncoder().encode('PAGESIZE=4096\n')),
  ];
  const built = buildElf({ ...spec, loads: LOADS, notes });
  const { bytes, notesEnd, dataOffsets } = built;
  // Every byte of headers and notes, and of the data every 97th and those about a page's end.
  const near = dataOffsets.flatMap((offset) =>
    [0, 4096, 8192].flatMap((at) => [-1, 0, 1].map((d) => offset + at + d)),
  );
  const cuts = new Set([...near, bytes.length]);
  const dense = (at: number) => at <= notesEnd && !(at > dataOffsets[0] && at < dataOffsets[1]);
  for (let at = 0; at < bytes.length; at++) if (at % 97 === 0 || dense(at)) cuts.add(at);
  for (const cut of cuts) {
    if (cut > bytes.length) continue;
    const opening = openElfCore(memoryBytes(bytes.subarray(0, cut)));
    if (cut < notesEnd) {
      const { code, message } = await failure(opening);
      expect(code, `cut at ${cut}: ${message}`).toBe(cut < 4 ? 'UNSUPPORTED_IMAGE' : 'TRUNCATED_IMAGE');
      continue;
    }
    const machine = await opening;
    const whole = [
      [1, dataOffsets[0]],
      [2, dataOffsets[0] + 4096],
      [0x40, dataOffsets[1]],
    ].filter(([, offset]) => offset + 4096 <= cut);
    expect(framesOf(machine.frames), `cut at ${cut}`).toEqual(whole.map(([number]) => number));
    for (const [number] of whole) expect(await frame(machine, number)).toEqual(pattern(number * 4096, 4096));
    expect(machine.remarks.some((remark) => remark.includes('cut short'))).toBe(cut < bytes.length);
    expect(machine.cpus).toHaveLength(2);
  }
});

test('whatever stands in headers and notes, the answer is a machine that can be read or a typed error', async () => {
  const notes = [note('CORE', 1, description(336, {})), qemuNote(440, { 416: 0x1000n })];
  const { bytes, notesEnd } = buildElf({ extendedCount: true, loads: LOADS, notes });
  const at = fc.oneof(fc.integer({ min: 0, max: notesEnd - 1 }), fc.integer({ min: 0, max: 350 }));
  const value = fc.oneof(fc.constantFrom(0, 0x7f, 0x80, 0xff), fc.integer({ min: 0, max: 255 }));
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(at, value), { minLength: 1, maxLength: 8 }), async (changes) => {
      const changed = bytes.slice();
      for (const [offset, byte] of changes) changed[offset] = byte;
      try {
        const machine = await openElfCore(memoryBytes(changed));
        const firsts = machine.frames.map(({ first }) => first);
        const present = await machine.readFrames(firsts, new Uint8Array(firsts.length * 4096));
        expect(present.every((one) => one === 1)).toBe(true);
      } catch (error) {
        expect(error).toBeInstanceOf(PageTableError);
      }
    }),
    { numRuns: 2000 },
  );
});
