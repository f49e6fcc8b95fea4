import type { Half, Paging } from '../format/index.ts';

/** What every verb takes, as commander gives it. */
export interface SourceOptions {
  readonly raw?: true;
  readonly base?: string;
  readonly maxUnpacked?: string;
  readonly registers?: string;
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
}
