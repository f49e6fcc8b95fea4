import type { Half, Paging } from '../format/index.ts';

/**
 * What a user gives to choose page tables: texts by the names of the command's options, hexadecimal where they are values of
 * registers. The four that deny (`page1gb`, `pse36`, `svnapot`, `svpbmt`) count where they are `false`.
 */
export interface TableOptions {
  readonly cpu?: string;
  readonly root?: string;
  readonly mode?: string;
  readonly cr0?: string;
  readonly cr3?: string;
  readonly cr4?: string;
  readonly efer?: string;
  readonly pat?: string;
  readonly pkru?: string;
  readonly pkrs?: string;
  readonly ttbr0?: string;
  readonly ttbr1?: string;
  readonly tcr?: string;
  readonly mair?: string;
  readonly sctlr?: string;
  readonly pstate?: string;
  readonly satp?: string;
  readonly sstatus?: string;
  readonly menvcfg?: string;
  readonly svnapot?: boolean;
  readonly svpbmt?: boolean;
  readonly physBits?: string;
  readonly page1gb?: boolean;
  readonly pse36?: boolean;
  readonly amd?: true;
}

/** An address space, or one half of it: page tables with a root of their own. */
export interface Space {
  readonly paging: Paging;
  /** Where the root comes from: `CR3 of CPU 0`. */
  readonly rootFrom: string;
  /** Which half of the address space it is, where there are two. */
  readonly half?: Half;
}

/** Page tables that were chosen in a machine. */
export interface Choice {
  /** At least one; the lower half first. */
  readonly spaces: readonly Space[];
  /** Halves of which nothing can be read, and why: `lower half: …`. */
  readonly unread: readonly string[];
  /** What no source gave: in short, and what follows from it. */
  readonly assumed: readonly { readonly short: string; readonly text: string }[];
  /** The bits of control registers on which the meaning of entries depends. */
  readonly flags: readonly ControlFlag[];
}

/** Options that hold a register with flags. */
export type FlagOption = 'cr0' | 'cr4' | 'efer' | 'sctlr' | 'tcr' | 'pstate' | 'sstatus' | 'menvcfg';

/** One bit of a control register, as it stands. */
export interface ControlFlag {
  /** The manual's names of the register and of the bit: `CR4`, `SMEP`. */
  readonly register: string;
  readonly name: string;
  /** The option that holds the register. */
  readonly option: FlagOption;
  /** Its place in the register, in `[0, 64)`. */
  readonly bit: number;
  /** What holds while it is 1, in a few words. */
  readonly meaning: string;
  /** Where the manual describes it. */
  readonly source: string;
  readonly on: boolean;
  /** The register in effect, assumed or not; of PSTATE, sstatus and menvcfg only the bits that are flags. */
  readonly value: bigint;
}
