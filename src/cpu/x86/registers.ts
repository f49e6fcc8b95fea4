import { hex } from '../../bits/index.ts';
import {
  CR0_CD,
  CR0_NW,
  CR0_PE,
  CR0_PG,
  CR0_WP,
  CR4_CET,
  CR4_LA57,
  CR4_PAE,
  CR4_PCIDE,
  CR4_PGE,
  CR4_PSE,
  CR4_SMEP,
  EFER_LMA,
  EFER_LME,
} from '../../format/index.ts';

// Which values control registers take, and what writing them does besides.
// Intel SDM vol. 3A, sections "Control Registers", "Initializing IA-32e Mode", "Operations that Invalidate TLBs and
// Paging-Structure Caches"; vol. 2, "MOV - Move to/from Control Registers".

/** The registers that writes are checked against. */
export interface ControlRegisters {
  readonly cr0: bigint;
  readonly cr3: bigint;
  readonly cr4: bigint;
  readonly efer: bigint;
}

/** What a write of CR0 or CR4 removes from the TLB and the paging-structure caches. */
export type Flush = 'nothing' | 'current PCID' | 'everything';

/** Defined bits of CR0: PE, MP, EM, TS, ET, NE, WP, AM, NW, CD, PG. */
const CR0_DEFINED = 0xe005_003fn;
/** Defined bits of CR4: 14:0, 25:16, LASS (27) and FRED (32). LAM_SUP (28) changes what is canonical, and is not modelled. */
const CR4_DEFINED = 0x1_0bff_7fffn;
/** Defined bits of EFER: SCE, LME, LMA, NXE, and AMD's SVME, LMSLE, FFXSR, TCE, MCOMMIT, INTWB, AIBRSE. */
const EFER_DEFINED = 0x26_fd01n;

/** Whether registers select 64-bit mode's formats. */
export function isLongMode({ cr0, efer }: Pick<ControlRegisters, 'cr0' | 'efer'>): boolean {
  return (cr0 & CR0_PG) !== 0n && (efer & EFER_LME) !== 0n;
}

/** Whether registers select PAE paging. */
export function isPaePaging({ cr0, cr4, efer }: Omit<ControlRegisters, 'cr3'>): boolean {
  return (cr0 & CR0_PG) !== 0n && (cr4 & CR4_PAE) !== 0n && (efer & EFER_LME) === 0n;
}

/**
 * Why a value for CR0 raises #GP(0).
 *
 * @returns `undefined` if it is taken
 */
export function refusedCr0(now: ControlRegisters, value: bigint): string | undefined {
  const has = (bit: bigint) => (value & bit) !== 0n;
  if (value >> 32n !== 0n) return `CR0 = ${hex(value)}: bits 63:32 must be 0`;
  if (has(CR0_PG) && !has(CR0_PE)) return 'CR0.PG = 1 with CR0.PE = 0';
  if (has(CR0_NW) && !has(CR0_CD)) return 'CR0.NW = 1 with CR0.CD = 0';
  const turnsOn = has(CR0_PG) && (now.cr0 & CR0_PG) === 0n;
  if (turnsOn && (now.efer & EFER_LME) !== 0n && (now.cr4 & CR4_PAE) === 0n) {
    return 'CR0.PG = 1 with EFER.LME = 1 and CR4.PAE = 0';
  }
  if (!has(CR0_WP) && (now.cr4 & CR4_CET) !== 0n) return 'CR0.WP = 0 with CR4.CET = 1';
  if (!has(CR0_PG) && (now.cr4 & CR4_PCIDE) !== 0n) return 'CR0.PG = 0 with CR4.PCIDE = 1';
  return undefined;
}

/** CR0 as it reads after a write: undefined bits read as 0, ET as 1. */
export function storedCr0(value: bigint): bigint {
  return (value & CR0_DEFINED) | 0x10n;
}

/** What a write of CR0 flushes. */
export function flushOfCr0(before: bigint, after: bigint): Flush {
  return (before & CR0_PG) !== 0n && (after & CR0_PG) === 0n ? 'everything' : 'nothing';
}

/** Whether a write of CR0 or CR4 that leaves PAE paging on loads the PDPTE registers. */
export function loadsPdptes(before: ControlRegisters, after: ControlRegisters): boolean {
  const changed = (before.cr0 ^ after.cr0) & (CR0_CD | CR0_NW | CR0_PG);
  const changed4 = (before.cr4 ^ after.cr4) & (CR4_PAE | CR4_PGE | CR4_PSE | CR4_SMEP);
  return isPaePaging(after) && (changed !== 0n || changed4 !== 0n);
}

/** Why a value for CR4 raises #GP(0). */
export function refusedCr4(now: ControlRegisters, value: bigint): string | undefined {
  const has = (bit: bigint) => (value & bit) !== 0n;
  const gains = (bit: bigint) => has(bit) && (now.cr4 & bit) === 0n;
  if ((value & ~CR4_DEFINED) !== 0n)
    return `CR4 = ${hex(value)}: bits ${hex(value & ~CR4_DEFINED)} are reserved, or not modelled`;
  if (has(CR4_CET) && (now.cr0 & CR0_WP) === 0n) return 'CR4.CET = 1 with CR0.WP = 0';
  const long = isLongMode(now);
  if (long && !has(CR4_PAE)) return 'CR4.PAE = 0 while EFER.LMA = 1';
  if (long && has(CR4_LA57) !== ((now.cr4 & CR4_LA57) !== 0n)) return 'CR4.LA57 changes while EFER.LMA = 1';
  if (gains(CR4_PCIDE) && !long) return 'CR4.PCIDE = 1 while EFER.LMA = 0';
  if (gains(CR4_PCIDE) && (now.cr3 & 0xfffn) !== 0n)
    return `CR4.PCIDE = 1 while CR3 bits 11:0 are ${hex(now.cr3 & 0xfffn)}`;
  return undefined;
}

/** What a write of CR4 flushes. */
export function flushOfCr4(before: bigint, after: bigint): Flush {
  const changed = before ^ after;
  if ((changed & CR4_PGE) !== 0n || (changed & before & CR4_PCIDE) !== 0n) return 'everything';
  if ((changed & CR4_PAE) !== 0n || (changed & after & CR4_SMEP) !== 0n) return 'current PCID';
  return 'nothing';
}

/** Why a value for CR3 raises #GP(0). */
export function refusedCr3(now: ControlRegisters, value: bigint, physBits: number): string | undefined {
  if (!isLongMode(now)) {
    return value >> 32n === 0n ? undefined : `CR3 = ${hex(value)}: outside 64-bit mode it has 32 bits`;
  }
  // Bit 63 says whether to flush, and only where there are PCIDs; LAM is not modelled.
  const root = (now.cr4 & CR4_PCIDE) === 0n ? value : BigInt.asUintN(63, value);
  return root >> BigInt(physBits) === 0n
    ? undefined
    : `CR3 = ${hex(value)}: reserved bits from ${physBits} up are set`;
}

/** Why a value for EFER raises #GP(0). */
export function refusedEfer(now: ControlRegisters, value: bigint): string | undefined {
  if ((value & ~EFER_DEFINED) !== 0n) {
    return `EFER = ${hex(value)}: bits ${hex(value & ~EFER_DEFINED)} are reserved, or not modelled`;
  }
  return (now.cr0 & CR0_PG) !== 0n && ((value ^ now.efer) & EFER_LME) !== 0n
    ? 'EFER.LME changes while CR0.PG = 1'
    : undefined;
}

/** EFER as it reads: LMA follows from LME and paging, whatever is written. */
export function storedEfer(value: bigint, cr0: bigint): bigint {
  const lma = (value & EFER_LME) !== 0n && (cr0 & CR0_PG) !== 0n;
  return (value & ~EFER_LMA) | (lma ? EFER_LMA : 0n);
}
