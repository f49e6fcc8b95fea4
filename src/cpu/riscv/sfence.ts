import { hex } from '../../bits/index.ts';
import { pagesInside } from '../page-walk.ts';

// RISC-V Privileged ISA, section "Supervisor Memory-Management Fence Instruction".

/** What an SFENCE.VMA instruction removes. */
export interface Fence {
  /** The instruction: `SFENCE.VMA 0x1000, 5`. */
  readonly text: string;
  /** rs1: an address, of which what ends its walk goes, and nothing that leads to tables; `undefined` for x0: everything. */
  readonly address: bigint | undefined;
  /** rs2: an ASID, of which what is not global goes; `undefined` for x0: of all, and what is global. */
  readonly asid: number | undefined;
}

/** Something remembered, as far as fences tell it from others. */
export interface Tagged {
  /** Whether it ends a walk: a page, or an entry that faults. Otherwise it leads to a table. */
  readonly isPage: boolean;
  /** ASID, or the space of what is global. */
  readonly space: number;
  /** `log2` of the 4-KiB pages that it spans. */
  readonly order: number;
  // The first address.
  readonly high: number;
  readonly low: number;
}

/** What a fence with these operands is. */
export function fenceOf(address: bigint | undefined, asid: number | undefined): Fence {
  const text = `SFENCE.VMA ${address === undefined ? 'x0' : hex(address)}, ${asid === undefined ? 'x0' : asid}`;
  return { text, address, asid };
}

/**
 * Why a fence leaves something, in words; `undefined` if it must go.
 *
 * @param global - the space of what is global
 */
export function whyLeft({ address, asid }: Fence, tag: Tagged, global: number): string | undefined {
  if (asid !== undefined && tag.space !== asid) {
    return tag.space === global
      ? 'names an ASID, and so keeps what is global'
      : `is for ASID ${asid}, and this belongs to ASID ${tag.space}`;
  }
  if (address === undefined) return undefined;
  // Halves of 64 bits.
  const high = Number(BigInt.asIntN(32, address >> 32n));
  const low = Number(BigInt.asIntN(32, address));
  const behind = (high - tag.high) * 2 ** 20 + ((low >>> 12) - (tag.low >>> 12));
  if (behind !== pagesInside(high, low, tag.order)) return 'is for another address';
  return tag.isPage ? undefined : 'names an address, and so keeps what leads to tables';
}
