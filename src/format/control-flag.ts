import type { FormatFact } from './format.ts';

/** A single bit of a control register that changes what entries mean, but not which format they have. */
export interface ControlFlagFact<R extends string = string> {
  /** The manual's names of the register and of the bit: `CR4`, `SMEP`. */
  readonly register: R;
  readonly name: string;
  /** Its place in the register, in `[0, 64)`. */
  readonly bit: number;
  /** What holds while it is 1, in a few words. */
  readonly meaning: string;
  /** Where the manual describes it. */
  readonly source: string;
  /** The formats whose entries it concerns; not given, all of the architecture. */
  readonly formats?: readonly FormatFact[];
}

/** The place of the only bit of a mask that is 1. */
export function bitOf(mask: bigint): number {
  return mask.toString(2).length - 1;
}
