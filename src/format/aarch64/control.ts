import { hex, PageTableError } from '../../bits/index.ts';
import { bitOf, type ControlFlagFact } from '../control-flag.ts';
import { GRANULES, type Granule, INPUT_BITS } from './formats.ts';

// Arm ARM (DDI 0487), "TCR_EL1, Translation Control Register (EL1)", "SCTLR_EL1", "TTBR0_EL1".

/** TCR_EL1.A1: TTBR1 holds the ASID, not TTBR0. */
export const TCR_A1 = 1n << 22n;
/** TCR_EL1.AS: ASIDs have 16 bits, not 8. */
export const TCR_AS = 1n << 36n;
/** TCR_EL1.HA: hardware sets the access flag. */
export const TCR_HA = 1n << 39n;
/** TCR_EL1.HD: hardware tracks writes by DBM and AP[2]. */
export const TCR_HD = 1n << 40n;
/** TCR_EL1.DS: 52-bit addresses with the 4-KiB and 16-KiB granules (FEAT_LPA2). */
export const TCR_DS = 1n << 59n;
/** SCTLR_EL1.M: stage 1 translation is on. */
export const SCTLR_M = 1n << 0n;
/** SCTLR_EL1.WXN: what can be written is not executed. */
export const SCTLR_WXN = 1n << 19n;
/** SCTLR_EL1.EPAN: PAN counts for pages that EL0 can only execute. */
export const SCTLR_EPAN = 1n << 57n;

/** PSTATE.PAN: EL1 does not read or write what EL0 can. */
export const PSTATE_PAN = 1n << 22n;

/** Everything outside the tables that decides what they mean, of the EL1&0 regime. Registers are unsigned 64-bit values. */
export interface Aarch64Control {
  /** TTBR0_EL1; `undefined` where it is not known, and so the lower half is not. */
  readonly ttbr0: bigint | undefined;
  /** TTBR1_EL1; the same of the upper half. */
  readonly ttbr1: bigint | undefined;
  /** TCR_EL1. */
  readonly tcr: bigint;
  /** MAIR_EL1; `undefined` where it is not known: memory types are then indices. */
  readonly mair: bigint | undefined;
  /** SCTLR_EL1. */
  readonly sctlr: bigint;
  /** PSTATE.PAN. */
  readonly pan: boolean;
  /** Physical-address bits that the processor has (ID_AA64MMFR0_EL1.PARange), in `[32, 48]`. */
  readonly physBits: number;
}

/** Control state of which some may not be known. */
export type KnownAarch64Control = { readonly [N in keyof Aarch64Control]?: Aarch64Control[N] | undefined };

/** A value that no source gave. */
export interface Aarch64Assumption {
  readonly name: keyof Aarch64Control;
  /** For people: the value. */
  readonly short: string;
  /** The value, and what follows from it. */
  readonly text: string;
}

/** One half of the address space: that of TTBR0, with the upper bits 0, or that of TTBR1, with the upper bits 1. */
export type Half = 'lower' | 'upper';

/** What TCR_EL1 says of one half. */
export interface HalfControl {
  /** `undefined` for a code that is reserved. */
  readonly granule: Granule | undefined;
  /** 64 - TnSZ; the granule may not have such a size. */
  readonly inputBits: number;
  /** EPDn: no walks; a TLB miss is a translation fault of level 0. */
  readonly walksDisabled: boolean;
  /** HPDn: table descriptors take no rights away. */
  readonly hierarchyDisabled: boolean;
  /** TBIn: bits 63:56 of an address are passed over. */
  readonly topByteIgnored: boolean;
  /** TBIDn: but not those of fetches. */
  readonly topByteDataOnly: boolean;
  /** E0PDn: accesses of EL0 to this half fault at level 0. */
  readonly userDisabled: boolean;
}

/** Where the fields of each half stand in TCR_EL1. */
const FIELDS = {
  lower: { size: 0n, epd: 7n, granule: 14n, tbi: 37n, hpd: 41n, tbid: 51n, e0pd: 55n },
  upper: { size: 16n, epd: 23n, granule: 30n, tbi: 38n, hpd: 42n, tbid: 52n, e0pd: 56n },
} as const;

/** The registers of EL1 that hold flags. */
export type Aarch64FlagRegister = 'SCTLR_EL1' | 'TCR_EL1' | 'PSTATE';

/** A flag, and the half that it concerns where it does not concern both. */
export interface Aarch64FlagFact extends ControlFlagFact<Aarch64FlagRegister> {
  readonly half?: Half;
}

const PERMISSIONS = 'Arm ARM (DDI 0487), section "Stage 1 permissions"';
const HIERARCHY = 'Arm ARM (DDI 0487), section "Stage 1 hierarchical permissions"';
const TCR = 'Arm ARM (DDI 0487), "TCR_EL1, Translation Control Register (EL1)"';

function flag(
  register: Aarch64FlagRegister,
  name: string,
  mask: bigint,
  meaning: string,
  source: string,
  half?: Half,
): Aarch64FlagFact {
  const fact = { register, name, bit: bitOf(mask), meaning, source };
  return half === undefined ? fact : { ...fact, half };
}

/** The bits of control registers that change what entries mean, but not which format they have. */
export const AARCH64_FLAGS: readonly Aarch64FlagFact[] = [
  flag('SCTLR_EL1', 'WXN', SCTLR_WXN, 'what can be written is not executed', PERMISSIONS),
  flag('SCTLR_EL1', 'EPAN', SCTLR_EPAN, 'PAN = 1 forbids EL1 what EL0 can only execute, too', PERMISSIONS),
  flag('PSTATE', 'PAN', PSTATE_PAN, 'EL1 does not read or write what EL0 can', PERMISSIONS),
  ...(['lower', 'upper'] as const).flatMap((half, n) => {
    const at = FIELDS[half];
    return [
      flag(
        'TCR_EL1',
        `HPD${n}`,
        1n << at.hpd,
        `table descriptors of the ${half} half take no rights away`,
        HIERARCHY,
        half,
      ),
      flag('TCR_EL1', `E0PD${n}`, 1n << at.e0pd, `EL0 has no access to the ${half} half`, TCR, half),
    ];
  }),
  flag('TCR_EL1', 'HA', TCR_HA, 'hardware sets AF; otherwise an entry with AF = 0 faults', TCR),
  flag('TCR_EL1', 'HD', TCR_HD, 'with HA = 1, hardware clears AP[2] on the first write where DBM = 1', TCR),
];

/** TCR_EL1 as far as one half goes. */
export function halfControl(tcr: bigint, half: Half): HalfControl {
  const at = FIELDS[half];
  const isSet = (bit: bigint) => ((tcr >> bit) & 1n) !== 0n;
  // Two bits and six.
  const code = Number((tcr >> at.granule) & 3n);
  return {
    granule: GRANULES.find(({ tg0, tg1 }) => (half === 'lower' ? tg0 : tg1) === code),
    inputBits: 64 - Number((tcr >> at.size) & 63n),
    walksDisabled: isSet(at.epd),
    hierarchyDisabled: isSet(at.hpd),
    topByteIgnored: isSet(at.tbi),
    topByteDataOnly: isSet(at.tbid),
    userDisabled: isSet(at.e0pd),
  };
}

/** Whether a granule has halves of a size. */
export function hasInputBits(granule: Granule, inputBits: number): boolean {
  const [least, most] = INPUT_BITS[granule.name];
  return inputBits >= least && inputBits <= most;
}

/** Output sizes by the code in TCR_EL1.IPS; those above 48 bits need other formats. */
const OUTPUT_BITS = [32, 36, 40, 42, 44, 48, 52, 56] as const;
const MOST_OUTPUT_BITS = 48;

/** Bits that output addresses may have: what TCR_EL1.IPS allows, the processor has, and the formats here hold. */
export function outputBits({ tcr, physBits }: Pick<Aarch64Control, 'tcr' | 'physBits'>): number {
  // Three bits.
  return Math.min(OUTPUT_BITS[Number((tcr >> 32n) & 7n)], physBits, MOST_OUTPUT_BITS);
}

/** TCR_EL1 where nothing says it: two halves of 48 bits with the 4-KiB granule, 48-bit output addresses. */
const TCR_DEFAULT = 16n | (16n << 16n) | (2n << 30n) | (5n << 32n);

/**
 * Completes control state from whatever is known, and lists what had to be assumed.
 *
 * @param known - what the source or the user gives; fields may be missing
 */
export function resolveAarch64Control(known: KnownAarch64Control): {
  readonly control: Aarch64Control;
  readonly assumed: readonly Aarch64Assumption[];
} {
  const assumed: Aarch64Assumption[] = [];
  const assume = <N extends 'tcr' | 'sctlr' | 'pan'>(
    name: N,
    value: Aarch64Control[N],
    short: string,
    consequence: string,
  ): Aarch64Control[N] => {
    const given: Aarch64Control[N] | undefined = known[name];
    if (given === undefined) assumed.push({ name, short, text: `${short}: ${consequence}` });
    return given ?? value;
  };
  const control: Aarch64Control = {
    ttbr0: known.ttbr0,
    ttbr1: known.ttbr1,
    tcr: assume(
      'tcr',
      TCR_DEFAULT,
      `TCR_EL1 = ${hex(TCR_DEFAULT)} (T0SZ = T1SZ = 16, 4K granule, IPS = 48 bits)`,
      'two halves of 48 bits; without HA, an entry with AF = 0 faults; table descriptors take rights away',
    ),
    mair: known.mair,
    sctlr: assume('sctlr', SCTLR_M, 'SCTLR_EL1.M = 1, WXN = 0', 'what can be written may be executed'),
    pan: assume('pan', false, 'PSTATE.PAN = 0', 'EL1 may access what EL0 can'),
    physBits: known.physBits ?? MOST_OUTPUT_BITS,
  };
  if (known.mair === undefined) {
    const text = 'MAIR_EL1 not known: memory types are shown as indices into it';
    assumed.push({ name: 'mair', short: 'MAIR_EL1 not known', text });
  }
  return { control, assumed };
}

/** Control state as far as a processor's registers tell, by their manual names: `TTBR0_EL1`, `PSTATE`. */
export function knownAarch64Control(
  registers: Readonly<Record<string, bigint | undefined>>,
): KnownAarch64Control {
  const pstate = registers['PSTATE'];
  const features = registers['ID_AA64MMFR0_EL1'];
  return {
    ttbr0: registers['TTBR0_EL1'],
    ttbr1: registers['TTBR1_EL1'],
    tcr: registers['TCR_EL1'],
    mair: registers['MAIR_EL1'],
    sctlr: registers['SCTLR_EL1'],
    pan: pstate === undefined ? undefined : (pstate & PSTATE_PAN) !== 0n,
    // PARange: four bits, of which the codes are those of IPS.
    physBits:
      features === undefined ? undefined : Math.min(OUTPUT_BITS[Number(features & 7n)], MOST_OUTPUT_BITS),
  };
}

/**
 * The granule and size of a half, where walks can be made with them.
 *
 * @throws {@link PageTableError} `BAD_ARGUMENT` for codes that are reserved, sizes out of range, and FEAT_LPA2
 */
export function walkableHalf(tcr: bigint, half: Half): HalfControl & { readonly granule: Granule } {
  const it = halfControl(tcr, half);
  const n = half === 'lower' ? 0 : 1;
  const { granule, inputBits } = it;
  if (granule === undefined) {
    throw new PageTableError(
      'BAD_ARGUMENT',
      `TCR_EL1 = ${hex(tcr)}: TG${n} holds a reserved code; expected that of a granule of 4K, 16K or 64K`,
      { tcr },
    );
  }
  if ((tcr & TCR_DS) !== 0n) {
    throw new PageTableError(
      'BAD_ARGUMENT',
      `TCR_EL1 = ${hex(tcr)}: DS = 1, 52-bit addresses (FEAT_LPA2); expected DS = 0`,
      { tcr },
    );
  }
  if (!hasInputBits(granule, inputBits)) {
    const [least, most] = INPUT_BITS[granule.name];
    throw new PageTableError(
      'BAD_ARGUMENT',
      `TCR_EL1 = ${hex(tcr)}: T${n}SZ = ${64 - inputBits}; expected ${64 - most} to ${64 - least} with the ${granule.name} granule`,
      { tcr },
    );
  }
  return { ...it, granule };
}
