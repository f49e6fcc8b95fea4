import { joinHalves } from '../bits/index.ts';
import { FORMAT_4_LEVEL, FORMAT_5_LEVEL, type FormatFact } from '../format/index.ts';

/** What Linux keeps in an entry that the processor takes as not present. */
export type LinuxEntry =
  /** Access was taken away (`PROT_NONE`, NUMA balancing); the page is still there, from this frame on. */
  | { readonly kind: 'prot-none'; readonly frame: number }
  /** Swapped out. */
  | { readonly kind: 'swap'; readonly type: number; readonly offset: bigint }
  /** A migration, hardware-poison or marker entry; which one depends on the kernel's version and configuration. */
  | { readonly kind: 'special'; readonly type: number; readonly offset: bigint };

/** Swap types from here on have other uses, in every configuration; types below it may have from 26. */
const FIRST_SPECIAL_TYPE = 26;

/**
 * Decodes a not-present entry as a 64-bit x86 Linux kernel writes it. Whether the kernel is Linux, the caller knows.
 *
 * Bit 8 (the global bit) means PROT_NONE. Frames and swap offsets are stored inverted, so that a speculative access
 * (L1TF) hits no memory: bits 51:12 of a PROT_NONE entry, bits 58:9 of a swap entry; bits 63:59 hold the swap type.
 *
 * @param depth - of the entry; counts from the root, 0
 * @returns `undefined` for an entry of zeros, a present one, one of a level without pages, or a format of which the layout
 *   is another
 * @see Linux arch/x86/include/asm/pgtable_64.h (swap layout), pgtable-invert.h
 */
export function decodeLinuxX86(
  format: FormatFact,
  depth: number,
  low: number,
  high: number,
): LinuxEntry | undefined {
  if (format !== FORMAT_4_LEVEL && format !== FORMAT_5_LEVEL) return undefined;
  const page = format.levels[depth].entries.find((kind) => kind.leads === 'page');
  if (page?.pageShift === undefined) return undefined;
  const entry = joinHalves(low, high);
  if (entry === 0n || (entry & 1n) !== 0n) return undefined;
  if ((entry & 0x100n) !== 0n) {
    // Of a large page's address the low bits are 0 and stored as such. At most 40 bits are left.
    const address = BigInt.asUintN(52, ~entry) & -(1n << BigInt(page.pageShift));
    return { kind: 'prot-none', frame: Number(address >> 12n) };
  }
  // Five bits.
  const type = Number(entry >> 59n);
  const offset = (~entry >> 9n) & ((1n << 50n) - 1n);
  return { kind: type < FIRST_SPECIAL_TYPE ? 'swap' : 'special', type, offset };
}

/**
 * Decodes an invalid descriptor as an AArch64 Linux kernel from 6.0 to 6.10 writes it: bit 58 means PROT_NONE, the
 * address stands where it always does; of a swap entry bits 7:3 hold the type and 57:8 the offset.
 *
 * @param depth - of the entry; counts from the root, 0
 * @returns `undefined` for an entry of zeros, a valid one, one of a level without pages, or a format of another architecture
 * @see Linux arch/arm64/include/asm/pgtable.h (swap entries), pgtable-prot.h (`PTE_PROT_NONE`)
 */
export function decodeLinuxAarch64(
  format: FormatFact,
  depth: number,
  low: number,
  high: number,
): LinuxEntry | undefined {
  const page = format.levels[depth].entries.find((kind) => kind.leads === 'page');
  if (!format.name.startsWith('aarch64') || page?.pageShift === undefined) return undefined;
  const entry = joinHalves(low, high);
  if (entry === 0n || (entry & 1n) !== 0n) return undefined;
  if ((entry & (1n << 58n)) !== 0n) {
    // At most 36 bits are left.
    return {
      kind: 'prot-none',
      frame: Number(BigInt.asUintN(48, entry & -(1n << BigInt(page.pageShift))) >> 12n),
    };
  }
  // Five bits.
  const type = Number((entry >> 3n) & 31n);
  const offset = (entry >> 8n) & ((1n << 50n) - 1n);
  return { kind: type < FIRST_SPECIAL_TYPE ? 'swap' : 'special', type, offset };
}

/**
 * Decodes an entry with V = 0 as a RISC-V Linux kernel from 6.3 writes it: bit 5 (the global bit) means PROT_NONE, the
 * address stands where it always does; of a swap entry bits 11:7 hold the type and all from 12 the offset.
 *
 * @param depth - of the entry; counts from the root, 0
 * @returns `undefined` for an entry of zeros, a valid one, one of a level without pages, or a format of another architecture
 * @see Linux arch/riscv/include/asm/pgtable.h (swap entries), pgtable-bits.h (`_PAGE_PROT_NONE`)
 */
export function decodeLinuxRiscv(
  format: FormatFact,
  depth: number,
  low: number,
  high: number,
): LinuxEntry | undefined {
  const page = format.levels[depth].entries.find((kind) => kind.leads === 'page');
  if (!format.name.startsWith('sv') || page?.pageShift === undefined) return undefined;
  const entry = joinHalves(low, high);
  if (entry === 0n || (entry & 1n) !== 0n) return undefined;
  if ((entry & (1n << 5n)) !== 0n) {
    // Of a large page's frame the low bits are 0. At most 44 bits are left.
    const frame = BigInt.asUintN(44, entry >> 10n) & -(1n << BigInt(page.pageShift - 12));
    return { kind: 'prot-none', frame: Number(frame) };
  }
  // Five bits.
  const type = Number((entry >> 7n) & 31n);
  return { kind: type < FIRST_SPECIAL_TYPE ? 'swap' : 'special', type, offset: entry >> 12n };
}

/** Decodes a not-present entry as the Linux kernel of its architecture writes it; see the functions above. */
export function decodeLinux(
  format: FormatFact,
  depth: number,
  low: number,
  high: number,
): LinuxEntry | undefined {
  return (
    decodeLinuxX86(format, depth, low, high) ??
    decodeLinuxAarch64(format, depth, low, high) ??
    decodeLinuxRiscv(format, depth, low, high)
  );
}
