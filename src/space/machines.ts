import { PageTableError } from '../bits/index.ts';
import {
  type Aarch64Control,
  aarch64Paging,
  CR0_PE,
  CR4_PCIDE,
  EFER_NXE,
  FORMAT_4_LEVEL,
  FORMAT_5_LEVEL,
  FORMAT_32_BIT,
  FORMAT_PAE,
  FORMAT_SV32,
  FORMAT_SV39,
  FORMAT_SV48,
  FORMAT_SV57,
  type FormatFact,
  type KnownAarch64Control,
  type KnownRiscvControl,
  type KnownX86Control,
  type Paging,
  type RiscvControl,
  resolveAarch64Control,
  resolveRiscvControl,
  resolveX86Control,
  riscvPaging,
  satpAsid,
  satpFor,
  TCR_AS,
  type X86Control,
  x86Paging,
} from '../format/index.ts';

/** Formats in which a space can be made. */
export type SpaceFormat =
  | '32-bit'
  | 'PAE'
  | '4-level'
  | '5-level'
  | 'aarch64-4k'
  | 'sv32'
  | 'sv39'
  | 'sv48'
  | 'sv57';

/** Registers that decide what tables mean, as far as they are given. */
export type KnownControl = KnownX86Control | KnownAarch64Control | KnownRiscvControl;
/** Registers that decide what tables mean. */
export type Control = X86Control | Aarch64Control | RiscvControl;

/** How a machine is set up to use a space. */
export interface Machine {
  /** One, or that of the lower half and that of the upper half. */
  readonly pagings: readonly Paging[];
  readonly control: Control;
}

/** A format, the roots that it needs, and what the registers are for given ones. */
interface SpaceKind {
  readonly roots: number;
  /** Address-space identifiers that there are. */
  readonly asidEnd: number;
  /** @param frames - of the roots */
  machine(control: KnownControl, frames: readonly number[], asid: number): Machine;
}

/** MAIR_EL1 unless given: WB, Device-nGnRE, NC, WT, Device-nGnRnE. */
const MAIR = 0x00_bb_44_04_ffn;

/** The address in TTBRn_EL1. */
const ROOT_BITS = 0xffff_ffff_f000n;

const x86 = (fact: FormatFact): SpaceKind => ({
  roots: 1,
  // CR3 of the others has no room for one.
  asidEnd: fact.signExtended ? 4096 : 1,
  machine: (given, [frame], asid) => {
    const known: KnownX86Control = { ...given, cr3: (BigInt(frame) << 12n) | BigInt(asid) };
    const { control } = resolveX86Control(known, undefined, fact);
    // 32-bit paging has no XD bit, with or without EFER.NXE.
    const efer = fact === FORMAT_32_BIT ? control.efer & ~EFER_NXE : control.efer;
    // Without PE, a processor refuses PG.
    const cr4 = asid === 0 ? control.cr4 : control.cr4 | CR4_PCIDE;
    const complete = { ...control, cr0: control.cr0 | CR0_PE, cr4, efer };
    return { control: complete, pagings: [x86Paging(complete)] };
  },
});

const riscv = (fact: FormatFact): SpaceKind => ({
  roots: 1,
  asidEnd: fact === FORMAT_SV32 ? 512 : 65536,
  machine: (given, [frame], asid) => {
    const xlen = fact === FORMAT_SV32 ? 32 : 64;
    const known: KnownRiscvControl = { ...given, xlen, satp: satpFor(fact, frame, asid) };
    const { control } = resolveRiscvControl(known);
    return { control, pagings: [riscvPaging(control)] };
  },
});

const aarch64: SpaceKind = {
  roots: 2,
  asidEnd: 65536,
  machine: (given, [lower, upper = lower], asid) => {
    const ttbr = (frame: number) => (BigInt(asid) << 48n) | (BigInt(frame) << 12n);
    const known: KnownAarch64Control = { mair: MAIR, ...given, ttbr0: ttbr(lower), ttbr1: ttbr(upper) };
    const resolved = resolveAarch64Control(known).control;
    const control = asid < 256 ? resolved : { ...resolved, tcr: resolved.tcr | TCR_AS };
    const pagings = [aarch64Paging(control, 'lower'), aarch64Paging(control, 'upper')];
    return { control, pagings: pagings.filter((paging) => paging !== undefined) };
  },
};

const KINDS: Readonly<Record<SpaceFormat, SpaceKind>> = {
  '32-bit': x86(FORMAT_32_BIT),
  PAE: x86(FORMAT_PAE),
  '4-level': x86(FORMAT_4_LEVEL),
  '5-level': x86(FORMAT_5_LEVEL),
  'aarch64-4k': aarch64,
  sv32: riscv(FORMAT_SV32),
  sv39: riscv(FORMAT_SV39),
  sv48: riscv(FORMAT_SV48),
  sv57: riscv(FORMAT_SV57),
};

/** The formats in which a space can be made. */
export const SPACE_FORMATS = Object.keys(KINDS) as SpaceFormat[];

/**
 * What is known of a format.
 *
 * @throws {@link PageTableError} `BAD_ARGUMENT` for another
 */
export function spaceKind(format: SpaceFormat): SpaceKind {
  if (Object.hasOwn(KINDS, format)) return KINDS[format];
  throw new PageTableError(
    'BAD_ARGUMENT',
    `address space: format ${String(format)}; expected one of ${SPACE_FORMATS.join(', ')}`,
  );
}

/** Registers that lead to other roots and are the same otherwise. */
export function withRoots(control: Control, pagings: readonly Paging[]): Control {
  const bytes = (index: number) =>
    (BigInt(pagings[index].root.frame) << 12n) + BigInt(pagings[index].root.word * 4);
  if ('cr3' in control) return { ...control, cr3: bytes(0) | (control.cr3 & 0xfffn) };
  if ('satp' in control) {
    const frame = pagings[0].root.frame;
    return { ...control, satp: satpFor(pagings[0].format.fact, frame, satpAsid(control)) };
  }
  const ttbr = (old: bigint | undefined, paging: Paging | undefined) =>
    paging === undefined ? old : ((old ?? 0n) & ~ROOT_BITS) | (BigInt(paging.root.frame) << 12n);
  const half = (upper: boolean) => pagings.find(({ format }) => (format.fact.upper ?? false) === upper);
  return { ...control, ttbr0: ttbr(control.ttbr0, half(false)), ttbr1: ttbr(control.ttbr1, half(true)) };
}
