import { hex, PageTableError } from '../../bits/index.ts';
import { bitOf, type ControlFlagFact } from '../control-flag.ts';
import type { FormatFact } from '../format.ts';
import type { Root } from '../paging.ts';
import { FORMAT_SV32, FORMAT_SV39, FORMAT_SV48, FORMAT_SV57, RISCV_FORMATS } from './formats.ts';

// RISC-V Privileged ISA, chapter "Supervisor-Level ISA": sections "Supervisor Status (sstatus) Register", "Supervisor
// Address Translation and Protection (satp) Register"; chapter "Machine-Level ISA", "Machine Environment Configuration".

/** sstatus.SUM: S-mode may read and write user pages. */
export const SSTATUS_SUM = 1n << 18n;
/** sstatus.MXR: what can be executed can be read. */
export const SSTATUS_MXR = 1n << 19n;
/** menvcfg.ADUE: hardware sets A and D (Svadu). On RV32 it is bit 29 of menvcfgh. */
export const MENVCFG_ADUE = 1n << 61n;
/** menvcfg.PBMTE: Svpbmt may be used. On RV32 it is bit 30 of menvcfgh. */
export const MENVCFG_PBMTE = 1n << 62n;

const STATUS = 'RISC-V Privileged ISA, section "Supervisor Status (sstatus) Register"';
const CONFIGURATION = 'RISC-V Privileged ISA, section "Machine Environment Configuration (menvcfg) Register"';

/** The bits of control registers that change what entries mean, but not which format they have. */
export const RISCV_FLAGS: readonly ControlFlagFact<'sstatus' | 'menvcfg'>[] = [
  {
    register: 'sstatus',
    name: 'SUM',
    bit: bitOf(SSTATUS_SUM),
    meaning: 'S-mode may read and write user pages',
    source: STATUS,
  },
  {
    register: 'sstatus',
    name: 'MXR',
    bit: bitOf(SSTATUS_MXR),
    meaning: 'what can be executed can be read',
    source: STATUS,
  },
  {
    register: 'menvcfg',
    name: 'PBMTE',
    bit: bitOf(MENVCFG_PBMTE),
    meaning: 'bits 62:61 of an entry are a memory type; otherwise they are reserved',
    source: CONFIGURATION,
    formats: RISCV_FORMATS.filter((one) => one !== FORMAT_SV32),
  },
  {
    register: 'menvcfg',
    name: 'ADUE',
    bit: bitOf(MENVCFG_ADUE),
    meaning: 'hardware sets A and D; otherwise an access that needs one set faults',
    source: CONFIGURATION,
  },
];

/** Everything outside the tables that decides what they mean. Registers are unsigned values of `xlen` bits. */
export interface RiscvControl {
  readonly satp: bigint;
  /** Bits of a register: RV32 or RV64. */
  readonly xlen: 32 | 64;
  /** sstatus.SUM. */
  readonly sum: boolean;
  /** sstatus.MXR. */
  readonly mxr: boolean;
  /** Whether bit 63 of an entry marks a contiguous group (Svnapot). */
  readonly svnapot: boolean;
  /** Whether bits 62:61 of an entry are a memory type (Svpbmt, and menvcfg.PBMTE = 1). */
  readonly svpbmt: boolean;
  /** Whether hardware sets A and D (menvcfg.ADUE); otherwise an access that needs one set is a page fault (Svade). */
  readonly adue: boolean;
  /** Physical-address bits that the processor has, in `[32, 56]`; in Sv32 at most 34. */
  readonly physBits: number;
}

/** Control state of which some may not be known. */
export type KnownRiscvControl = { readonly [N in keyof RiscvControl]?: RiscvControl[N] | undefined };

/** A value that no source gave. */
export interface RiscvAssumption {
  readonly name: keyof RiscvControl;
  /** For people: the value. */
  readonly short: string;
  /** The value, and what follows from it. */
  readonly text: string;
}

/** Where the fields of satp stand. */
const SATP = {
  32: { modeLow: 31n, asidLow: 22n, asidBits: 9, ppnBits: 22 },
  64: { modeLow: 60n, asidLow: 44n, asidBits: 16, ppnBits: 44 },
} as const;

/** Formats by satp.MODE; 0 is Bare, all others are reserved. */
const MODES: Readonly<Record<32 | 64, ReadonlyMap<number, FormatFact>>> = {
  32: new Map([[1, FORMAT_SV32]]),
  64: new Map([
    [8, FORMAT_SV39],
    [9, FORMAT_SV48],
    [10, FORMAT_SV57],
  ]),
};

/** satp.MODE: 1 bit on RV32, 4 bits on RV64; 0 is Bare. */
export function satpMode({ satp, xlen }: Pick<RiscvControl, 'satp' | 'xlen'>): number {
  // At most four bits.
  return Number(BigInt.asUintN(xlen, satp) >> SATP[xlen].modeLow);
}

/** satp.ASID: in `[0, 512)` on RV32, `[0, 65536)` on RV64. */
export function satpAsid({ satp, xlen }: Pick<RiscvControl, 'satp' | 'xlen'>): number {
  const { asidLow, asidBits } = SATP[xlen];
  return Number(BigInt.asUintN(asidBits, satp >> asidLow));
}

/** The root table that satp.PPN names; it has at most 44 bits. */
export function satpRoot({ satp, xlen }: Pick<RiscvControl, 'satp' | 'xlen'>): Root {
  return { frame: Number(BigInt.asUintN(SATP[xlen].ppnBits, satp)), word: 0 };
}

/** The format that satp selects; `undefined` while translation is off (Bare), and for a reserved mode. */
export function riscvMode(control: Pick<RiscvControl, 'satp' | 'xlen'>): FormatFact | undefined {
  return MODES[control.xlen].get(satpMode(control));
}

/**
 * The value of satp that selects a format and a root.
 *
 * @param fact - one of `RISCV_FORMATS`
 * @param frame - of the root: in `[0, 2^44)`, in Sv32 `[0, 2^22)`
 * @param asid - in `[0, 65536)`, in Sv32 `[0, 512)`
 * @throws {@link PageTableError} `OUT_OF_RANGE` for a frame or an ASID that does not fit, `BAD_ARGUMENT` for another format
 */
export function satpFor(fact: FormatFact, frame: number, asid = 0): bigint {
  const xlen = fact === FORMAT_SV32 ? 32 : 64;
  const mode = [...MODES[xlen]].find(([, one]) => one === fact)?.[0];
  if (mode === undefined) {
    throw new PageTableError('BAD_ARGUMENT', `satp: format ${fact.name}; expected one of RISC-V`, {
      format: fact.name,
    });
  }
  const { modeLow, asidLow, asidBits, ppnBits } = SATP[xlen];
  const isIn = (value: number, bits: number) => Number.isInteger(value) && value >= 0 && value < 2 ** bits;
  if (!isIn(frame, ppnBits) || !isIn(asid, asidBits)) {
    throw new PageTableError(
      'OUT_OF_RANGE',
      `satp: root frame ${hex(frame)}, ASID ${asid}; expected whole numbers of at most ${ppnBits} and ${asidBits} bits`,
      { frame, asid },
    );
  }
  return (BigInt(mode) << modeLow) | (BigInt(asid) << asidLow) | BigInt(frame);
}

/**
 * Completes control state from whatever is known, and lists what had to be assumed. Without satp it is Bare.
 *
 * @param known - what the source or the user gives; fields may be missing
 */
export function resolveRiscvControl(known: KnownRiscvControl): {
  readonly control: RiscvControl;
  readonly assumed: readonly RiscvAssumption[];
} {
  const assumed: RiscvAssumption[] = [];
  const assume = <N extends keyof RiscvControl>(
    name: N,
    value: RiscvControl[N],
    short: string,
    consequence: string,
  ): RiscvControl[N] => {
    const given: RiscvControl[N] | undefined = known[name];
    if (given === undefined) assumed.push({ name, short, text: `${short}: ${consequence}` });
    return given ?? value;
  };
  const xlen = known.xlen ?? 64;
  const wide = xlen === 64;
  const control: RiscvControl = {
    satp: known.satp ?? 0n,
    xlen,
    sum: assume('sum', false, 'sstatus.SUM = 0', 'S-mode may not read and write what U-mode can'),
    mxr: assume('mxr', false, 'sstatus.MXR = 0', 'pages that can only be executed cannot be read'),
    svnapot: wide && assume('svnapot', true, 'Svnapot', 'entries with N = 1 are of contiguous groups'),
    svpbmt: wide && assume('svpbmt', true, 'Svpbmt, menvcfg.PBMTE = 1', 'bits 62:61 choose memory types'),
    adue: assume('adue', true, 'menvcfg.ADUE = 1', 'entries with A = 0 or D = 0 refuse nothing by that'),
    physBits: known.physBits ?? (wide ? 56 : 34),
  };
  return { control, assumed };
}

/**
 * Control state as far as a processor's registers tell, by their manual names: `satp`, `sstatus` or `mstatus`, `menvcfg`
 * (and `menvcfgh`), `misa`, which tells the width of the others.
 */
export function knownRiscvControl(
  registers: Readonly<Record<string, bigint | undefined>>,
): KnownRiscvControl {
  const { satp, misa, menvcfg, menvcfgh } = registers;
  const status = registers['sstatus'] ?? registers['mstatus'];
  // MXL is in the two highest bits of 32, or of 64.
  const xlen = misa === undefined ? undefined : misa >> 62n === 2n ? 64 : misa >> 30n === 1n ? 32 : undefined;
  const isSet = (value: bigint | undefined, bits: bigint) =>
    value === undefined ? undefined : (value & bits) !== 0n;
  const config =
    menvcfgh !== undefined
      ? (menvcfgh << 32n) | BigInt.asUintN(32, menvcfg ?? 0n)
      : xlen === 32
        ? undefined
        : menvcfg;
  return {
    satp,
    xlen,
    sum: isSet(status, SSTATUS_SUM),
    mxr: isSet(status, SSTATUS_MXR),
    svpbmt: isSet(config, MENVCFG_PBMTE),
    adue: isSet(config, MENVCFG_ADUE),
  };
}
