import type { CompiledFormat } from './compile.ts';
import type { EntryFact, Field } from './format.ts';
import type { Access } from './rights.ts';

/** Where a root table lies. */
export interface Root {
  readonly frame: number;
  /** Index of its first 32-bit word in that frame; 0 unless the format allows roots smaller than a frame. */
  readonly word: number;
}

/** One entry of a walk, as far as its bits are concerned. */
export interface EntryBits {
  readonly depth: number;
  readonly low: number;
  readonly high: number;
}

/** How a walk ended, as far as faults are concerned. */
export type WalkEnd = 'mapped' | 'not-present' | 'reserved' | 'not-in-memory' | 'non-canonical';

/** What an access gets. */
export type AccessResult =
  | { readonly kind: 'allowed' }
  /** The tables that would decide are not there, or there is no such access. */
  | { readonly kind: 'unknown' }
  | {
      readonly kind: 'fault';
      /** x86: `#PF` or `#GP`; AArch64: `Data Abort` or `Instruction Abort`; RISC-V: the cause by name, `load page fault`. */
      readonly exception: string;
      /** x86: the error code; AArch64: ESR_EL1; RISC-V: scause. */
      readonly errorCode: number;
      /** What the error code says, by name and meaning: `P present`, `W/R write`, … */
      readonly errorBits: readonly string[];
      /** What caused it: `R/W = 0 in PTE`, `CR4.SMEP = 1`. */
      readonly because: readonly string[];
    };

/** A memory type, as the tables choose it. */
export interface MemoryType {
  /** Index into the machine's table of types (x86: PAT entry; AArch64: AttrIndx), or the code itself (RISC-V: PBMT). */
  readonly index: number;
  /** The type's name: `WB`. */
  readonly name: string;
  /** The same in words, where the name does not say all. */
  readonly text?: string;
  /** Where it comes from: `PAT entry 1 (PAT=0 PCD=0 PWT=1)`, `byte 1 of MAIR_EL1 (0x44)`. */
  readonly from: string;
}

/**
 * One set of page tables on one machine: the format, the root, and what the control registers make of the entries.
 */
export interface Paging {
  readonly format: CompiledFormat;
  readonly root: Root;
  /**
   * Effective rights of a page.
   *
   * @param and - rights bits that all entries that lead to its table have, see `andRights`
   * @param or - bits of their high halves that take rights away, see `orRights`
   * @param low - low half of its entry
   * @param high - high half
   * @returns the bits of `rights.ts`
   */
  rights(and: number, or: number, low: number, high: number): number;
  /** Memory type of a page whose entry stands at `depth`. */
  memoryType(depth: number, low: number, high: number): MemoryType;
  /**
   * What one access gets at the end of a walk over `entries`.
   *
   * @param frame - frame of the 4-KiB page, where the walk came to one; not given, the first of the page that the entry maps
   */
  access(end: WalkEnd, entries: readonly EntryBits[], access: Access, frame?: number): AccessResult;
  /** The kind of a present entry, and its fields, highest bits first. */
  describe(bits: EntryBits): { readonly entry: EntryFact; readonly fields: readonly Field[] };
}
