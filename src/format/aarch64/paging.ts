import { hex, PageTableError } from '../../bits/index.ts';
import { andPageRights, type CompiledFormat, compileFormat, orPageRights, orRights } from '../compile.ts';
import { describeEntry } from '../describe.ts';
import type { AccessResult, EntryBits, MemoryType, Paging, Root, WalkEnd } from '../paging.ts';
import {
  type Access,
  accessNumber,
  SUPERVISOR_EXECUTE,
  SUPERVISOR_READ,
  SUPERVISOR_WRITE,
} from '../rights.ts';
import {
  type Aarch64Control,
  type Half,
  halfControl,
  outputBits,
  SCTLR_EPAN,
  SCTLR_M,
  SCTLR_WXN,
  TCR_HA,
  TCR_HD,
  walkableHalf,
} from './control.ts';
import { aarch64DenialTexts, abortSyndrome, FAULT_STATUS, invalidText, syndromeBits } from './faults.ts';
import { aarch64Format } from './formats.ts';
import { mairType } from './memory-types.ts';
import {
  type Aarch64RightsControl,
  aarch64Denials,
  aarch64RightsTable,
  combinedDescriptors,
} from './rights.ts';

/** AF in the low half of a descriptor. */
const AF = 0x400;
/** The level of an entry at the last depth. */
const LAST_LEVEL = 3;

/** Which half an address is in: bit 55 says it, also where the bits above are a tag. */
export function halfOf(address: bigint): Half {
  return ((address >> 55n) & 1n) === 0n ? 'lower' : 'upper';
}

/** The control state on which rights depend. */
export function aarch64RightsControl({ sctlr }: Pick<Aarch64Control, 'sctlr'>): Aarch64RightsControl {
  return { wxn: (sctlr & SCTLR_WXN) !== 0n, epan: (sctlr & SCTLR_EPAN) !== 0n };
}

/**
 * The format of one half under given control state.
 *
 * @throws {@link PageTableError} `BAD_ARGUMENT` for a granule or a size that no walk can be made with
 */
export function aarch64HalfFormat(control: Aarch64Control, half: Half): CompiledFormat {
  const { granule, inputBits, hierarchyDisabled, topByteIgnored, topByteDataOnly } = walkableHalf(
    control.tcr,
    half,
  );
  const states = new Set<string>();
  if (!hierarchyDisabled) states.add('hierarchy');
  if ((control.tcr & TCR_HA) !== 0n && (control.tcr & TCR_HD) !== 0n) states.add('TCR.HD');
  const M = outputBits(control);
  return compileFormat(aarch64Format(granule, inputBits, half === 'upper'), {
    M,
    P: 32,
    states,
    ...(topByteIgnored ? { tagged: topByteDataOnly ? ('data' as const) : ('all' as const) } : {}),
  });
}

/** The root table that TTBRn_EL1 names. The bits below its own size are passed over, as are CnP and the ASID. */
export function aarch64Root(format: CompiledFormat, ttbr: bigint): Root {
  const { indexHigh, indexLow } = format.fact.levels[0];
  const bytes = 8n << BigInt(indexHigh - indexLow + 1);
  const address = BigInt.asUintN(48, ttbr) & -bytes;
  // Frames have at most 36 bits, the offset 12.
  return { frame: Number(address >> 12n), word: Number((address & 0xfffn) >> 2n) };
}

/**
 * The page tables of one half of the EL1&0 regime.
 *
 * @returns `undefined` if TCR_EL1.EPDn = 1, there are no walks then, or if TTBRn_EL1 is not known
 * @throws {@link PageTableError} `PAGING_DISABLED` if SCTLR_EL1.M is 0; `BAD_ARGUMENT` for a granule or a size of which the
 *   code is reserved or out of range, and for FEAT_LPA2
 */
export function aarch64Paging(control: Aarch64Control, half: Half): Paging | undefined {
  if ((control.sctlr & SCTLR_M) === 0n) {
    throw new PageTableError(
      'PAGING_DISABLED',
      `translation is off (SCTLR_EL1 = ${hex(control.sctlr)}, M = 0): virtual addresses are physical addresses`,
      { sctlr: control.sctlr },
    );
  }
  const ttbr = half === 'lower' ? control.ttbr0 : control.ttbr1;
  if (ttbr === undefined || halfControl(control.tcr, half).walksDisabled) return undefined;
  const { userDisabled } = walkableHalf(control.tcr, half);
  const format = aarch64HalfFormat(control, half);
  const { fact, facts } = format;
  const state = aarch64RightsControl(control);
  const table = aarch64RightsTable(state, control.pan);
  const flagFaults = (control.tcr & TCR_HA) === 0n;
  const mask = userDisabled ? SUPERVISOR_READ | SUPERVISOR_WRITE | SUPERVISOR_EXECUTE : -1;
  const { mair } = control;
  const types = Array.from({ length: 8 }, (_, index): MemoryType => {
    if (mair === undefined) {
      return { index, name: `AttrIndx ${index}`, from: `byte ${index} of MAIR_EL1, which is not known` };
    }
    // Eight bits.
    const byte = Number((mair >> BigInt(8 * index)) & 0xffn);
    const { name, text } = mairType(byte);
    const from = `byte ${index} of MAIR_EL1 (0x${byte.toString(16).padStart(2, '0')})`;
    return { index, name, text, from };
  });

  const abort = (wanted: Access, status: number, because: readonly string[]): AccessResult => {
    const errorCode = abortSyndrome(accessNumber(wanted), status);
    const exception = wanted.kind === 'fetch' ? 'Instruction Abort' : 'Data Abort';
    return { kind: 'fault', exception, errorCode, errorBits: syndromeBits(errorCode), because };
  };

  const access = (end: WalkEnd, entries: readonly EntryBits[], wanted: Access): AccessResult => {
    if (end === 'not-in-memory') return { kind: 'unknown' };
    if (end === 'non-canonical') {
      const bits = `bits 63:${fact.vaBits} of the address are not all ${half === 'upper' ? 1 : 0}`;
      return abort(wanted, FAULT_STATUS.translation, [bits]);
    }
    if (wanted.user && userDisabled) {
      return abort(wanted, FAULT_STATUS.translation, [`TCR_EL1.E0PD${half === 'upper' ? 1 : 0} = 1`]);
    }
    const last = entries[entries.length - 1];
    const level = LAST_LEVEL + 1 - format.levels + last.depth;
    const name = fact.levels[last.depth].entry;
    if (end === 'not-present') {
      return abort(wanted, FAULT_STATUS.translation | level, [`${invalidText(last.low)} in ${name}`]);
    }
    if (end === 'reserved') {
      const because = `address above ${format.state.M} bits in ${name}`;
      return abort(wanted, FAULT_STATUS.addressSize | level, [because]);
    }
    if (flagFaults && (last.low & AF) === 0) {
      return abort(wanted, FAULT_STATUS.accessFlag | level, [`AF = 0 in ${name}, and TCR_EL1.HA = 0`]);
    }
    const all = entries.slice(0, -1).reduce((or, entry) => orRights(facts, entry.depth, or, entry.high), 0);
    const page = combinedDescriptors(
      andPageRights(facts, last.depth, -1, last.low),
      orPageRights(facts, last.depth, all, last.high),
    );
    const denied = aarch64Denials(page, accessNumber(wanted), state, control.pan);
    if (denied === 0) return { kind: 'allowed' };
    return abort(wanted, FAULT_STATUS.permission | level, aarch64DenialTexts(denied, format, entries));
  };

  return {
    format,
    root: aarch64Root(format, ttbr),
    rights: (and, or, low, high) => {
      if (flagFaults && (low & AF) === 0) return 0;
      // The last entry's own masks do not depend on its level.
      const last = format.levels - 1;
      const page = combinedDescriptors(
        andPageRights(facts, last, and, low),
        orPageRights(facts, last, or, high),
      );
      return table[page] & mask;
    },
    memoryType: (_, low) => types[(low >>> 2) & 7],
    access,
    describe: (bits) => describeEntry(format, bits),
  };
}

/**
 * The page tables of both halves, the lower one first; a half of which {@link aarch64Paging} has none is left out.
 *
 * @throws {@link PageTableError} as {@link aarch64Paging}
 */
export function aarch64Pagings(control: Aarch64Control): Paging[] {
  const halves: readonly Half[] = ['lower', 'upper'];
  return halves.flatMap((half) => aarch64Paging(control, half) ?? []);
}
