import { expect, test } from 'vitest';
import {
  FORMAT_SV32,
  FORMAT_SV39,
  resolveRiscvControl,
  riscvPaging,
  satpFor,
} from '../../src/format/index.ts';
import { decodeLinuxRiscv, printQemuRiscvMem } from '../../src/inspect/index.ts';
import { Tables } from '../support/tables.ts';
import { sparseFrom } from '../support/x86-cases.ts';

// The lines are those that QEMU 7.2.22 printed for `info mem` with the same words at 80100000, in M-mode: of
// qemu-system-riscv64 -cpu rv64,svpbmt=on,svnapot=on, and of qemu-system-riscv32 -cpu rv32.

/** The frame at which QEMU had the root. */
const ROOT = 0x80100;
const entry = (frame: number, flags: bigint) => (BigInt(frame) << 10n) | flags;
const RW = 0xc7n;

function listing(made: Tables, fact: typeof FORMAT_SV39): readonly [missing: number, text: string] {
  const satp = satpFor(fact, ROOT);
  const { control } = resolveRiscvControl({ satp, xlen: fact === FORMAT_SV32 ? 32 : 64 });
  const lines: string[] = [];
  const missing = printQemuRiscvMem(sparseFrom(made.frames).memory, riscvPaging(control), (line) =>
    lines.push(line),
  );
  return [missing, lines.join('\n')];
}

function sv39Tables(): Tables {
  return (
    new Tables()
      .set(ROOT, 0, entry(ROOT + 1, 1n))
      .set(ROOT, 2, entry(0x8_0000, 0xefn))
      .set(ROOT, 3, entry(0xc_0000, 0xefn))
      .set(ROOT, 255, entry(0x400_0000, RW))
      .set(ROOT, 256, entry(0x404_0000, RW))
      .set(ROOT, 511, entry(ROOT + 1, 1n))
      .set(ROOT + 1, 0, entry(ROOT + 2, 1n))
      .set(ROOT + 1, 1, entry(0x8_0200, RW))
      // W without R; a superpage that is not aligned.
      .set(ROOT + 1, 2, entry(0x8_0400, 0xc5n))
      .set(ROOT + 1, 3, entry(0x8_0601, RW))
      .set(ROOT + 2, 0, entry(0x8_0000, RW))
      .set(ROOT + 2, 1, entry(0x8_0001, RW))
      .set(ROOT + 2, 2, entry(0x8_0002, RW))
      .set(ROOT + 2, 3, entry(0x8_0003, 0x47n))
      // Svpbmt: NC and IO; two entries of a group (Svnapot); a pointer at the last level.
      .set(ROOT + 2, 4, entry(0x8_0004, RW | (1n << 61n)))
      .set(ROOT + 2, 5, entry(0x8_0005, RW | (1n << 62n)))
      .set(ROOT + 2, 16, entry(0x8_0018, RW | (1n << 63n)))
      .set(ROOT + 2, 17, entry(0x8_0018, RW | (1n << 63n)))
      .set(ROOT + 2, 20, entry(ROOT + 3, 1n))
      .set(ROOT + 2, 21, entry(0x8_0015, 0x1d9n))
      .set(ROOT + 2, 511, entry(0x8_01ff, RW))
  );
}

test('info mem of Sv39: rows end with their table; reserved bits are part of addresses', () => {
  expect(listing(sv39Tables(), FORMAT_SV39)).toEqual([
    0,
    `\
vaddr            paddr            size             attr
---------------- ---------------- ---------------- -------
0000000000000000 0000000080000000 0000000000003000 rw---ad
0000000000003000 0000000080003000 0000000000001000 rw---a-
0000000000004000 8000000080004000 0000000000001000 rw---ad
0000000000005000 0000000080005000 0000000000001000 rw---ad
0000000000010000 0000000080018000 0000000000001000 rw---ad
0000000000011000 0000000080018000 0000000000001000 rw---ad
0000000000015000 0000000080015000 0000000000001000 --xu-ad
00000000001ff000 00000000801ff000 0000000000001000 rw---ad
0000000000200000 0000000080200000 0000000000200000 rw---ad
0000000000400000 0000000080400000 0000000000200000 -w---ad
0000000000600000 0000000080601000 0000000000200000 rw---ad
0000000080000000 0000000080000000 0000000080000000 rwx-gad
0000003fc0000000 0000004000000000 0000000080000000 rw---ad
ffffffffc0000000 0000000080000000 0000000000003000 rw---ad
ffffffffc0003000 0000000080003000 0000000000001000 rw---a-
ffffffffc0004000 8000000080004000 0000000000001000 rw---ad
ffffffffc0005000 0000000080005000 0000000000001000 rw---ad
ffffffffc0010000 0000000080018000 0000000000001000 rw---ad
ffffffffc0011000 0000000080018000 0000000000001000 rw---ad
ffffffffc0015000 0000000080015000 0000000000001000 --xu-ad
ffffffffc01ff000 00000000801ff000 0000000000001000 rw---ad
ffffffffc0200000 0000000080200000 0000000000200000 rw---ad
ffffffffc0400000 0000000080400000 0000000000200000 -w---ad
ffffffffc0600000 0000000080601000 0000000000200000 rw---ad`,
  ]);
});

test('info mem of Sv32: addresses of 8 digits, physical ones of 16', () => {
  const made = new Tables(4)
    .set(ROOT, 0, entry(ROOT + 1, 1n))
    .set(ROOT, 1, 0xc010_00dfn)
    // QEMU had a table of zeros there.
    .set(ROOT, 2, entry(ROOT + 2, 1n))
    .set(ROOT, 1022, entry(0x8_0000, 0xcfn))
    .set(ROOT, 1023, entry(0x8_0400, 0xcfn))
    .set(ROOT + 1, 0, entry(0x8_0000, 0x53n))
    .set(ROOT + 1, 1, entry(0x8_0001, 0x53n))
    .set(ROOT + 1, 1023, entry(0x30_0fff, 0xdfn));
  expect(listing(made, FORMAT_SV32)).toEqual([
    1,
    `\
vaddr    paddr            size     attr
-------- ---------------- -------- -------
00000000 0000000080000000 00002000 r--u-a-
003ff000 0000000300fff000 00001000 rwxu-ad
00400000 0000000300400000 00400000 rwxu-ad
ff800000 0000000080000000 00800000 rwx--ad`,
  ]);
});

test('tables that lead to themselves are refused before a line is printed', () => {
  const made = new Tables().fill(ROOT, (i) => entry(ROOT, i % 2 === 0 ? 0xcfn : 1n));
  const { control } = resolveRiscvControl({ satp: satpFor(FORMAT_SV39, ROOT), xlen: 64 });
  const lines: string[] = [];
  const print = () =>
    printQemuRiscvMem(sparseFrom(made.frames).memory, riscvPaging(control), (line) => lines.push(line));
  // 256 pages in each of 1 + 256 + 65,536 tables.
  expect(print).toThrow('16843008 pages');
  expect(lines).toEqual([]);
});

// Linux arch/riscv/include/asm/pgtable.h, pgtable-bits.h: PROT_NONE is bit 5, swap has its type in bits 11:7, the offset
// from bit 12.
test.each([
  ['PROT_NONE', FORMAT_SV39, 2, 0x2041_7ce2n, { kind: 'prot-none', frame: 0x8_105f }],
  ['PROT_NONE of 2 MiB', FORMAT_SV39, 1, entry(0x8_0200, 0xe2n), { kind: 'prot-none', frame: 0x8_0200 }],
  ['swap', FORMAT_SV39, 2, (0x12345n << 12n) | (3n << 7n), { kind: 'swap', type: 3, offset: 0x12345n }],
  [
    'migration',
    FORMAT_SV39,
    2,
    (0x12345n << 12n) | (30n << 7n),
    { kind: 'special', type: 30, offset: 0x12345n },
  ],
  ['swap with 32 bits', FORMAT_SV32, 1, 0x1234_5100n, { kind: 'swap', type: 2, offset: 0x12345n }],
  ['nothing', FORMAT_SV39, 2, 0n, undefined],
  ['a valid entry', FORMAT_SV39, 2, 0xc7n, undefined],
] as const)('Linux keeps in an invalid entry: %s', (_, fact, depth, value, expected) => {
  const low = Number(BigInt.asIntN(32, value));
  expect(decodeLinuxRiscv(fact, depth, low, Number(value >> 32n))).toEqual(expected);
});
