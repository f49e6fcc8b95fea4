import type { Registers } from '../machine/index.ts';
import { EM_386, EM_AARCH64, EM_RISCV, EM_X86_64 } from './elf.ts';

/** Which registers a note holds and where. */
interface RegisterLayout {
  /** Size of the description that this layout is for. */
  readonly bytes: number;
  readonly fields: readonly RegisterField[];
}

interface RegisterField {
  readonly name: string;
  readonly offset: number;
  readonly bytes: 2 | 4 | 8;
}

/** The segment selector that `names` lists among wider registers. */
const SELECTOR = 'CS';

/** Registers of equal width in a row; `-` is a place that is passed over. A selector is the low 16 bits of its place. */
function row(offset: number, bytes: 4 | 8, names: string): RegisterField[] {
  return names
    .split(' ')
    .map((name, i) => ({ name, offset: offset + i * bytes, bytes: name === SELECTOR ? (2 as const) : bytes }))
    .filter(({ name }) => name !== '-');
}

/** Linux `struct elf_prstatus` of each machine: `pr_reg` in the order of its `user_regs_struct`. */
const PRSTATUS: Readonly<Record<number, readonly RegisterLayout[]>> = {
  [EM_X86_64]: [
    {
      bytes: 336,
      fields: row(
        112,
        8,
        'R15 R14 R13 R12 RBP RBX R11 R10 R9 R8 RAX RCX RDX RSI RDI - RIP CS RFLAGS RSP - FS_BASE GS_BASE',
      ),
    },
  ],
  // The names of the 64-bit registers, of which these are the low halves: one name for one register in every dump.
  [EM_386]: [{ bytes: 144, fields: row(72, 4, 'RBX RCX RDX RSI RDI RBP RAX - - - - - RIP CS RFLAGS RSP') }],
  [EM_AARCH64]: [{ bytes: 392, fields: row(360, 8, 'SP PC') }],
  [EM_RISCV]: [
    { bytes: 376, fields: row(112, 8, 'pc - sp') },
    { bytes: 204, fields: row(72, 4, 'pc - sp') },
  ],
};

/** QEMU `target/i386/arch_dump.c`, `struct QEMUCPUState`, version 1. */
const QEMU_FIELDS: readonly RegisterField[] = [
  ...row(0x08, 8, 'RAX RBX RCX RDX RSI RDI RSP RBP R8 R9 R10 R11 R12 R13 R14 R15 RIP RFLAGS CS'),
  ...row(0xf0, 8, 'FS_BASE'),
  ...row(0x108, 8, 'GS_BASE'),
  ...row(0x188, 8, 'CR0 - CR2 CR3 CR4'),
];
const QEMU_VERSION = 1;
const QEMU_BYTES = 432;
const QEMU_LATER_FIELDS = row(0x1b0, 8, 'KERNEL_GS_BASE');
const QEMU_LATER_BYTES = 440;

/**
 * The registers in an NT_PRSTATUS note.
 *
 * @param machine - `e_machine`
 * @returns `undefined` if the size is not that of this machine's `struct elf_prstatus`
 */
export function prstatusRegisters(machine: number, description: DataView): Registers | undefined {
  const layout = PRSTATUS[machine]?.find(({ bytes }) => bytes === description.byteLength);
  return layout && readFields(description, layout.fields);
}

/**
 * The registers in a QEMU note of an x86 machine.
 *
 * @returns `undefined` if the note is not of version 1 or is too short
 */
export function qemuRegisters(description: DataView): Registers | undefined {
  const bytes = description.byteLength;
  if (bytes < QEMU_BYTES || description.getUint32(0, true) !== QEMU_VERSION) return undefined;
  return readFields(
    description,
    bytes < QEMU_LATER_BYTES ? QEMU_FIELDS : [...QEMU_FIELDS, ...QEMU_LATER_FIELDS],
  );
}

function readFields(view: DataView, fields: readonly RegisterField[]): Registers {
  return Object.fromEntries(
    fields.map(({ name, offset, bytes }) => {
      if (bytes === 8) return [name, view.getBigUint64(offset, true)];
      return [name, BigInt(bytes === 4 ? view.getUint32(offset, true) : view.getUint16(offset, true))];
    }),
  );
}
