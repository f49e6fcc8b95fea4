import { hex, PageTableError } from '../../bits/index.ts';
import {
  type Aarch64Control,
  type Aarch64RightsControl,
  aarch64Denials,
  aarch64HalfFormat,
  aarch64RightsControl,
  aarch64Root,
  type CompiledFormat,
  entryOrder,
  GRANULES,
  type Half,
  halfControl,
  hasInputBits,
  type KnownAarch64Control,
  outputBits,
  type Root,
  resolveAarch64Control,
  SCTLR_M,
  TCR_A1,
  TCR_AS,
  TCR_DS,
  TCR_HA,
} from '../../format/index.ts';
import type { Tagging } from '../lookaside.ts';
import { PAGE_ORDERS, TABLE_ORDERS } from './remembered.ts';

/** SCTLR_EL1.A: accesses of data must be aligned. */
const SCTLR_A = 1n << 1n;
/** SCTLR_EL1.EE and E0E: big-endian data and tables. */
const SCTLR_BIG_ENDIAN = (1n << 25n) | (1n << 24n);
/** MAIR_EL1 where nothing is given: normal write-back memory, whatever the index. */
const MAIR_DEFAULT = 0xffff_ffff_ffff_ffffn;
/** Denials that nobody asked for yet. */
const UNKNOWN = 0xffff;
/** Where denials of accesses begin that PSTATE.PAN does not count for: behind those of 256 kinds of pages and 8 of accesses. */
const EXCUSED = 1 << 11;
const LAST_LEVEL = 3;

/** The registers, all known. */
export type Registers = Aarch64Control & {
  readonly ttbr0: bigint;
  readonly ttbr1: bigint;
  readonly mair: bigint;
};

/** One half of the address space, and what the registers make of it. */
export interface HalfState {
  /** 0: that of TTBR0; 1: that of TTBR1. */
  readonly index: 0 | 1;
  /** What bits 63:32 of its addresses are, as far as they are all alike: 0 or -1. */
  readonly sign: 0 | -1;
  /** Bits that its addresses have: 64 - TnSZ. */
  readonly inputBits: number;
  /** `undefined` if TnSZ is out of range: every access then faults. */
  readonly format: CompiledFormat | undefined;
  readonly root: Root;
  /** Whether the root lies above the output size. */
  readonly isRootTooHigh: boolean;
  /** Level of the root. */
  readonly firstLevel: number;
  /** By depth: `log2` of the 4-KiB pages that an entry spans. */
  readonly orders: readonly number[];
  readonly walksDisabled: boolean;
  readonly userDisabled: boolean;
  readonly topByteIgnored: boolean;
  readonly topByteDataOnly: boolean;
}

/** The registers of translation, and all that follows from them alone. Everything that changes them goes through {@link adopt}. */
export class Aarch64State implements Tagging {
  registers: Registers;
  /** Addresses have 64 bits. */
  readonly highMask = -1;
  readonly pageOrders: readonly number[] = PAGE_ORDERS;
  readonly tableOrders: readonly number[] = TABLE_ORDERS;
  /** The current ASID. */
  space = 0;
  /** Whether stage 1 translates. */
  isOn = false;
  /** Whether every access of data must be aligned. */
  checksAlignment = false;
  /** Whether an entry with AF = 0 faults; hardware sets it otherwise. */
  flagFaults = true;
  lower: HalfState;
  upper: HalfState;
  private rights: Aarch64RightsControl;
  /** Whether each byte of MAIR is a type of device memory, by bit. */
  private devices = 0;
  /** Denials by case. */
  private readonly denied = new Uint16Array(2 * EXCUSED).fill(UNKNOWN);

  /**
   * @param known - registers; those that are missing are as `resolveAarch64Control` assumes, TTBR0 and TTBR1 are 0, and all of
   *   MAIR says normal write-back memory
   * @throws {@link PageTableError} `BAD_ARGUMENT` for values that are no registers, or ask for what is not modelled
   */
  constructor(known: KnownAarch64Control) {
    const registers = completed(known);
    this.registers = registers;
    this.lower = halfState(registers, 'lower');
    this.upper = halfState(registers, 'upper');
    this.rights = aarch64RightsControl(registers);
    this.adopt(registers);
  }

  /**
   * Takes new registers over.
   *
   * @throws {@link PageTableError} `BAD_ARGUMENT` for what is not modelled; nothing has changed then
   */
  adopt(next: Registers): void {
    checkModelled(next);
    const { tcr, sctlr, mair } = next;
    this.registers = next;
    this.lower = halfState(next, 'lower');
    this.upper = halfState(next, 'upper');
    this.isOn = (sctlr & SCTLR_M) !== 0n;
    this.checksAlignment = (sctlr & SCTLR_A) !== 0n;
    this.flagFaults = (tcr & TCR_HA) === 0n;
    // At most 16 bits.
    const asid = Number(((tcr & TCR_A1) === 0n ? next.ttbr0 : next.ttbr1) >> 48n);
    this.space = (tcr & TCR_AS) === 0n ? asid & 0xff : asid;
    this.rights = aarch64RightsControl(next);
    this.denied.fill(UNKNOWN);
    this.devices = 0;
    for (let index = 0; index < 8; index += 1) {
      // 0000xxxx, of which what is no device is reserved.
      if (((mair >> BigInt(8 * index + 4)) & 15n) === 0n) this.devices |= 1 << index;
    }
  }

  /** The half that an address is in: bit 55 says it. */
  halfOf(high: number): HalfState {
    return (high & 0x80_0000) === 0 ? this.lower : this.upper;
  }

  /** Whether an AttrIndx chooses device memory. */
  isDevice(index: number): boolean {
    return ((this.devices >> index) & 1) !== 0;
  }

  /** The byte of MAIR_EL1 that an AttrIndx chooses. */
  attributeOf(index: number): number {
    // Eight bits.
    return Number((this.registers.mair >> BigInt(8 * index)) & 0xffn);
  }

  /**
   * Why an access is refused, as `aarch64Denials` says: each case is worked out once.
   *
   * @param page - what the entries say together, eight bits
   * @param access - index into `ACCESSES`
   * @param excused - whether PSTATE.PAN does not count
   */
  denials(page: number, access: number, excused: boolean): number {
    const at = page | (access << 8) | (excused ? EXCUSED : 0);
    const known = this.denied[at];
    return known === UNKNOWN ? this.workOut(at, page, access, excused) : known;
  }

  private workOut(at: number, page: number, access: number, excused: boolean): number {
    const found = aarch64Denials(page, access, this.rights, !excused);
    this.denied[at] = found;
    return found;
  }
}

/** Bits 63:32 of an address without a tag: bits 63:56 become as bit 55. */
export function untaggedHigh(high: number): number {
  return (high << 8) >> 8;
}

/** Whether an address is one of a half: its bits above the input size are all as bit 55. */
export function isInHalf({ sign, inputBits }: HalfState, high: number, low: number): boolean {
  if (inputBits >= 32) return inputBits === 32 ? high === sign : high >> (inputBits - 32) === sign;
  return high === sign && low >> inputBits === sign;
}

/** Depth of the tables to which entries of a half lead that span `2 ** order` pages; 0 if it has none. */
export function depthBelow({ orders }: HalfState, order: number): number {
  return orders.indexOf(order) + 1;
}

function halfState(registers: Registers, half: Half): HalfState {
  const given = halfControl(registers.tcr, half);
  const index = half === 'lower' ? 0 : 1;
  // A reserved code chooses some granule that the processor has: here the smallest.
  const granule = given.granule ?? GRANULES[0];
  const { inputBits, walksDisabled, userDisabled, topByteIgnored, topByteDataOnly } = given;
  const sign = half === 'lower' ? 0 : -1;
  const common = {
    index,
    sign,
    inputBits,
    walksDisabled,
    userDisabled,
    topByteIgnored,
    topByteDataOnly,
  } as const;
  if (!hasInputBits(granule, inputBits)) {
    return { ...common, format: undefined, root: NO_ROOT, isRootTooHigh: false, firstLevel: 0, orders: [] };
  }
  const shift = half === 'lower' ? 14n : 30n;
  const code = BigInt(half === 'lower' ? granule.tg0 : granule.tg1);
  const tcr = (registers.tcr & ~(3n << shift)) | (code << shift);
  const format = aarch64HalfFormat({ ...registers, tcr }, half);
  const root = aarch64Root(format, half === 'lower' ? registers.ttbr0 : registers.ttbr1);
  return {
    ...common,
    format,
    root,
    isRootTooHigh: root.frame >= 2 ** (outputBits(registers) - 12),
    firstLevel: LAST_LEVEL + 1 - format.levels,
    orders: Array.from({ length: format.levels }, (_, depth) => entryOrder(format.facts, depth)),
  };
}

const NO_ROOT: Root = { frame: 0, word: 0 };

/** Refuses what registers may ask for and is not modelled. */
function checkModelled({ tcr, sctlr }: Registers): void {
  if ((tcr & TCR_DS) !== 0n) {
    throw new PageTableError(
      'BAD_ARGUMENT',
      `TCR_EL1 = ${hex(tcr)}: DS = 1, 52-bit addresses (FEAT_LPA2), is not modelled; expected DS = 0`,
      { tcr },
    );
  }
  if ((sctlr & SCTLR_BIG_ENDIAN) !== 0n) {
    throw new PageTableError(
      'BAD_ARGUMENT',
      `SCTLR_EL1 = ${hex(sctlr)}: EE or E0E = 1, big-endian data, is not modelled; expected both 0`,
      { sctlr },
    );
  }
}

const REGISTERS = ['ttbr0', 'ttbr1', 'tcr', 'mair', 'sctlr'] as const;
const NAMES: readonly string[] = [...REGISTERS, 'pan', 'physBits'];

/** Registers as given, completed with what is assumed. */
function completed(known: KnownAarch64Control): Registers {
  const stranger = Object.keys(known).find((name) => !NAMES.includes(name));
  if (stranger !== undefined) {
    throw new PageTableError(
      'BAD_ARGUMENT',
      `Aarch64Cpu: register ${stranger}; expected some of ${NAMES.join(', ')}`,
    );
  }
  for (const name of REGISTERS) {
    const value: unknown = known[name];
    if (value !== undefined && (typeof value !== 'bigint' || BigInt.asUintN(64, value) !== value)) {
      throw new PageTableError(
        'BAD_ARGUMENT',
        `Aarch64Cpu: ${name} = ${String(value)}; expected an unsigned bigint of 64 bits`,
      );
    }
  }
  const { physBits = 48 } = known;
  if (!(Number.isInteger(physBits) && physBits >= 32 && physBits <= 48)) {
    throw new PageTableError(
      'BAD_ARGUMENT',
      `Aarch64Cpu: physBits ${String(physBits)}; expected a whole number in [32, 48]`,
    );
  }
  const { control } = resolveAarch64Control(known);
  const { ttbr0 = 0n, ttbr1 = 0n, mair = MAIR_DEFAULT } = known;
  const registers: Registers = { ...control, ttbr0, ttbr1, mair, physBits };
  checkModelled(registers);
  return registers;
}
