import type { Root } from '../format/index.ts';

/** An entry as the processor has read it. */
export interface Step {
  readonly depth: number;
  /** Frame of the table that it lies in. */
  readonly table: number;
  /** Index of its low word in that frame. */
  readonly word: number;
  readonly low: number;
  readonly high: number;
}

/** What a remembered translation, or table, was made from. */
export interface Origin {
  /** The entries, root first. */
  readonly steps: readonly Step[];
  readonly root: Root;
  /** When it was made. */
  readonly order: number;
}

/** An entry of the TLB, or of the paging-structure caches. */
export interface Remembered {
  readonly isPage: boolean;
  readonly space: number;
  /** `log2` of the 4-KiB pages that it spans. */
  readonly order: number;
  readonly high: number;
  readonly low: number;
  readonly frame: number;
  readonly bits: number;
  readonly origin: Origin;
}

/** An instruction that invalidated something. */
export interface Done {
  readonly order: number;
  readonly instruction: string;
  readonly left: (entry: Remembered) => string;
}
