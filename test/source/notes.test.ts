import { expect, test } from 'vitest';
import { memoryBytes, openElfCore } from '../../src/source/index.ts';
import { buildElf, description, type ElfSpec, note, pattern, qemuNote } from './build-elf.ts';
import { expectFailure } from './expect.ts';

const LOADS = [{ physical: 0x1000n, data: pattern(0x1000, 4096) }];
const open = (notes: readonly Uint8Array[], spec: ElfSpec = {}) =>
  openElfCore(memoryBytes(buildElf({ loads: LOADS, notes, ...spec }).bytes));

// Offsets from images.md 5.1.
const QEMU_VALUES = {
  8: 0xa1n,
  16: 0xb1n,
  24: 0xc1n,
  32: 0xd1n,
  40: 0x51n,
  48: 0xd2n,
  56: 0x5bn,
  64: 0xb2n,
  72: 8n,
  128: 15n,
  136: 0xffff_ffff_8100_0000n,
  144: 0x246n,
  152: 0xffff_ffff_0000_0010n,
  240: 0xf5n,
  264: 0x65n,
  392: 0x8005_0033n,
  400: 1n,
  408: 0x40_4020n,
  416: 0x2a4_2000n,
  424: 0x6f0n,
};
const QEMU_REGISTERS = {
  RAX: 0xa1n,
  RBX: 0xb1n,
  RCX: 0xc1n,
  RDX: 0xd1n,
  RSI: 0x51n,
  RDI: 0xd2n,
  RSP: 0x5bn,
  RBP: 0xb2n,
  R8: 8n,
  R9: 0n,
  R10: 0n,
  R11: 0n,
  R12: 0n,
  R13: 0n,
  R14: 0n,
  R15: 15n,
  RIP: 0xffff_ffff_8100_0000n,
  RFLAGS: 0x246n,
  CS: 0x10n,
  FS_BASE: 0xf5n,
  GS_BASE: 0x65n,
  CR0: 0x8005_0033n,
  CR2: 0x40_4020n,
  CR3: 0x2a4_2000n,
  CR4: 0x6f0n,
};

test('a QEMU note of 432 bytes gives every register but KERNEL_GS_BASE', async () => {
  const machine = await open([qemuNote(432, QEMU_VALUES)]);
  expect(machine.kind).toBe('ELF core written by QEMU');
  expect(machine.cpus).toEqual([{ index: 0, registers: QEMU_REGISTERS }]);
});

test('a QEMU note of 440 bytes gives KERNEL_GS_BASE too', async () => {
  const machine = await open([qemuNote(440, { ...QEMU_VALUES, 432: 0xffff_8a9d_0f80_0000n })]);
  expect(machine.cpus[0].registers).toEqual({ ...QEMU_REGISTERS, KERNEL_GS_BASE: 0xffff_8a9d_0f80_0000n });
});

test('NT_PRSTATUS i and QEMU note i are one processor, and QEMU is believed where both speak', async () => {
  const machine = await open([
    note('CORE', 1, description(336, { 240: 0x111n })),
    note('CORE', 1, description(336, { 240: 0x222n })),
    qemuNote(440, { 416: 0x1000n, 136: 0x333n }),
    qemuNote(440, { 416: 0x2000n, 136: 0x444n }),
  ]);
  expect(machine.cpus.map(({ index, registers: { RIP, CR3 } }) => [index, RIP, CR3])).toEqual([
    [0, 0x333n, 0x1000n],
    [1, 0x444n, 0x2000n],
  ]);
});

test('a QEMU note of another version keeps its place and leaves NT_PRSTATUS', async () => {
  const machine = await open([
    note('CORE', 1, description(336, { 240: 0x111n })),
    note('CORE', 1, description(336, { 240: 0x222n })),
    qemuNote(440, { 416: 0x1000n }, 2n),
    qemuNote(440, { 416: 0x2000n }),
  ]);
  expect(machine.cpus.map(({ registers: { RIP, CR3 } }) => [RIP, CR3])).toEqual([
    [0x111n, undefined],
    [0n, 0x2000n],
  ]);
  expect(machine.remarks).toEqual([expect.stringContaining('1 of 2 QEMU notes are not of version 1')]);
});

test('a QEMU note that is too short is a remark', async () => {
  const machine = await open([qemuNote(431, {}), note('QEMU', 0, new Uint8Array(3))]);
  expect(machine.cpus.map(({ registers }) => registers)).toEqual([{}, {}]);
  expect(machine.remarks).toEqual([expect.stringContaining('2 of 2 QEMU notes')]);
});

test('x86-64 NT_PRSTATUS holds the registers in the order of user_regs_struct', async () => {
  const values = Object.fromEntries(Array.from({ length: 27 }, (_, i) => [112 + 8 * i, BigInt(i)]));
  const machine = await open([note('CORE', 1, description(336, values))]);
  const order = [
    'R15',
    'R14',
    'R13',
    'R12',
    'RBP',
    'RBX',
    'R11',
    'R10',
    'R9',
    'R8',
    'RAX',
    'RCX',
    'RDX',
    'RSI',
    'RDI',
  ];
  expect(machine.cpus[0].registers).toEqual({
    ...Object.fromEntries(order.map((name, i) => [name, BigInt(i)])),
    RIP: 16n,
    CS: 17n,
    RFLAGS: 18n,
    RSP: 19n,
    FS_BASE: 21n,
    GS_BASE: 22n,
  });
  expect(machine.kind).toBe('ELF core');
});

test('i386 NT_PRSTATUS holds 32-bit registers, given under the names of the 64-bit ones', async () => {
  const values = Object.fromEntries(Array.from({ length: 17 }, (_, i) => [72 + 4 * i, BigInt(i)]));
  const machine = await open([note('CORE', 1, description(144, values, 4))], { bits: 32, machine: 3 });
  const order = ['RBX', 'RCX', 'RDX', 'RSI', 'RDI', 'RBP', 'RAX'];
  expect(machine.cpus[0].registers).toEqual({
    ...Object.fromEntries(order.map((name, i) => [name, BigInt(i)])),
    RIP: 12n,
    CS: 13n,
    RFLAGS: 14n,
    RSP: 15n,
  });
});

test('AArch64 and RISC-V processors are counted, with program counter and stack pointer', async () => {
  const arm = await open(
    [note('CORE', 1, description(392, { 360: 0x10n, 368: 0x20n })), note('CORE', 2, new Uint8Array(528))],
    {
      machine: 183,
    },
  );
  expect(arm).toMatchObject({ architecture: 'aarch64', longMode: undefined });
  expect(arm.cpus).toEqual([{ index: 0, registers: { SP: 0x10n, PC: 0x20n } }]);
  const riscv = await open([note('CORE', 1, description(376, { 112: 0x30n, 128: 0x40n }))], { machine: 243 });
  expect(riscv).toMatchObject({ architecture: 'riscv', longMode: undefined, xlen: 64 });
  expect(riscv.cpus).toEqual([{ index: 0, registers: { pc: 0x30n, sp: 0x40n } }]);
});

test('an NT_PRSTATUS of unknown size is a processor with a remark', async () => {
  const machine = await open([note('CORE', 1, new Uint8Array(335))]);
  expect(machine.cpus).toEqual([{ index: 0, registers: {} }]);
  expect(machine.remarks).toEqual([expect.stringContaining('1 of 1 NT_PRSTATUS')]);
});

test('a VMCOREINFO note is kept and names the root; without QEMU notes the core is kdump', async () => {
  const text =
    'OSRELEASE=6.1.0\nSYMBOL(swapper_pg_dir)=ffffffff82e0a000\nNUMBER(phys_base)=-4096\nNUMBER(pgtable_l5_enabled)=0\n';
  const info = note('VMCOREINFO', 0, new TextEncoder().encode(text));
  const machine = await open([info]);
  expect(machine.kind).toBe('ELF core of Linux (kdump)');
  expect(machine.vmcoreinfo.get('OSRELEASE')).toBe('6.1.0');
  expect(machine.roots).toEqual([
    { name: 'swapper_pg_dir', address: 0x2e09000n, source: 'VMCOREINFO SYMBOL(swapper_pg_dir)', levels: 4 },
  ]);
  expect((await open([info, qemuNote(440, {})])).kind).toBe('ELF core written by QEMU');
  // The formula is that of x86-64.
  expect((await open([info], { machine: 183 })).roots).toEqual([]);
});

test('other notes, empty notes and zero padding at the end are passed over', async () => {
  const machine = await open([
    note('LINUX', 0x405, new Uint8Array(7)),
    new Uint8Array(12),
    note('A-NAME-LONGER-THAN-ANY-THAT-COUNTS', 1, new Uint8Array(4)),
    note('CORE', 3, new Uint8Array(136)),
    qemuNote(440, {}),
    new Uint8Array(11),
  ]);
  expect(machine.cpus).toHaveLength(1);
  expect(machine.remarks).toEqual([]);
});

test.each([
  ['name', 0],
  ['description', 4],
])('a note with a huge %s size is malformed', async (_, at) => {
  for (const size of [0xffff_ffff, 0x8000_0000, 441]) {
    const broken = qemuNote(440, {});
    new DataView(broken.buffer).setUint32(at, size, true);
    await expectFailure(
      open([qemuNote(440, {}), broken]),
      'MALFORMED_IMAGE',
      `${size}`,
      'the segment has 448 left',
    );
  }
});

test('bytes behind the last note that are no note are malformed', async () => {
  await expectFailure(
    open([qemuNote(440, {}), Uint8Array.of(0, 0, 1)]),
    'MALFORMED_IMAGE',
    'the segment has 3 left',
  );
});

test('more than 64 MiB of notes are refused before they are read', async () => {
  const { bytes } = buildElf({ loads: LOADS, notes: [qemuNote(440, {})] });
  new DataView(bytes.buffer).setBigUint64(64 + 32, (64n << 20n) + 1n, true);
  await expectFailure(openElfCore(memoryBytes(bytes)), 'LIMIT_EXCEEDED', '67108865', '67108864');
});
