import { joinHalves, PageTableError } from '../bits/index.ts';
import { wrongKind } from '../bits/wrong-kind.ts';
import type { MappingKind } from './mapping.ts';

/** Entries by halves, and what bits of them mean: all in which the architectures differ. */
interface EntryFacts {
  /** Bits that are joined with a table's address in the entry that leads to it. */
  readonly table: number;
  /** Bits 31:0 that are all set in an entry that leads to a table, or, at the last level, maps a page. */
  readonly present: number;
  /** Bits 63:32 that belong to the address; below bit 32 it is bits 31:12. */
  readonly addressHigh: number;
  /** Bits of every page. */
  readonly page: number;
  /** Bits 31:0 of pages that can be written to, and those of all others. */
  readonly writable: number;
  readonly readOnly: number;
  /** Bits 63:32 of pages that can be executed, and those of all others. */
  readonly executable: number;
  readonly noExecute: number;
  /** The bit 63:32 that tells the two apart. */
  readonly noExecuteBit: number;
  /** The field of software's own bits that marks copy-on-write, by halves: where it is, and its value then. */
  readonly cowMaskLow: number;
  readonly cowMaskHigh: number;
  readonly cowLow: number;
  readonly cowHigh: number;
}

/** Where hyperlight puts things. Byte addresses; ends and tops are the last byte. */
export interface Layout {
  /** Last virtual byte of the scratch region. The page after it is left free. */
  readonly SCRATCH_TOP_GVA: bigint;
  /** Last physical byte of the scratch region. */
  readonly SCRATCH_TOP_GPA: bigint;
  /** Virtual addresses at which a snapshot's page tables are visible. */
  readonly SNAPSHOT_PT_GVA_MIN: bigint;
  readonly SNAPSHOT_PT_GVA_MAX: bigint;
  /** Physical and virtual address of the page for input and output, where it is not a port. */
  readonly IO_PAGE: { readonly phys: bigint; readonly virt: bigint } | undefined;
}

const WRITABLE = 1;
const COW = 2;
const EXECUTABLE = 4;

/** What a page can be mapped as, by the bits above; copy-on-write goes before writable. */
const KINDS: readonly MappingKind[] = Array.from({ length: 8 }, (_, bits) => {
  const executable = (bits & EXECUTABLE) !== 0;
  return Object.freeze(
    (bits & COW) !== 0
      ? { kind: 'Cow', readable: true, executable }
      : { kind: 'Basic', readable: true, writable: (bits & WRITABLE) !== 0, executable },
  );
});

/**
 * An architecture's entries: four levels of tables of 512 entries, pages of 4 KiB, 48 bits of virtual address.
 */
export class Architecture {
  readonly name: 'amd64' | 'aarch64';
  readonly PAGE_SIZE = 4096;
  readonly PAGE_TABLE_SIZE = 4096;
  readonly PAGE_TABLE_ENTRIES_PER_TABLE = 512;
  /** Virtual address bits. */
  readonly VA_BITS = 48;
  /** The bit without which an entry is absent. On aarch64 bit 1 must be set as well. */
  readonly PAGE_PRESENT = 1n;
  /** The bits of an entry that are an address. */
  readonly PTE_ADDR_MASK: bigint;
  readonly layout: Layout;
  /** Whether virtual addresses are given with bit 47 repeated in bits 63:48. */
  readonly extendsSign: boolean;
  /** Whether `walkVaSpaces` finds shared tables unless told otherwise. */
  readonly findsAliases: boolean;
  /** @internal */
  readonly facts: EntryFacts;

  /** @internal */
  constructor(
    name: 'amd64' | 'aarch64',
    facts: EntryFacts,
    layout: Layout,
    options: { readonly extendsSign: boolean; readonly findsAliases: boolean },
  ) {
    this.name = name;
    this.facts = facts;
    this.layout = layout;
    this.extendsSign = options.extendsSign;
    this.findsAliases = options.findsAliases;
    this.PTE_ADDR_MASK = joinHalves(~0xfff, facts.addressHigh);
  }

  /**
   * @internal What an entry's bits make of a page.
   *
   * @param low - bits 31:0
   * @param high - bits 63:32
   */
  kindOf(low: number, high: number): MappingKind {
    const { facts } = this;
    const isCow = (low & facts.cowMaskLow) === facts.cowLow && (high & facts.cowMaskHigh) === facts.cowHigh;
    // Of `writable` and `readOnly` one has a bit that the other has not.
    const isWritable = ((low ^ facts.readOnly) & (facts.writable ^ facts.readOnly)) !== 0;
    const isExecutable = (high & facts.noExecuteBit) === 0;
    return KINDS[(isCow ? COW : isWritable ? WRITABLE : 0) | (isExecutable ? EXECUTABLE : 0)];
  }

  toString(): string {
    return this.name;
  }
}

/**
 * x86-64 with 4-level paging. Pages are for the supervisor, cacheable, accessed and dirty from the start; bit 9 marks copy-on-write.
 *
 * @see Intel SDM vol. 3A, section "4-Level Paging and 5-Level Paging", for the bits themselves
 */
export const amd64 = new Architecture(
  'amd64',
  {
    table: 0x23, // P, R/W, A
    present: 1,
    addressHigh: 0x000f_ffff,
    page: 0x61, // P, A, D
    writable: 2,
    readOnly: 0,
    executable: 0,
    noExecute: 1 << 31,
    noExecuteBit: 1 << 31,
    cowMaskLow: 0xe00,
    cowLow: 0x200,
    cowMaskHigh: 0,
    cowHigh: 0,
  },
  {
    SCRATCH_TOP_GVA: 0xffff_ffff_ffff_efffn,
    SCRATCH_TOP_GPA: 0xf_ffff_ffffn,
    SNAPSHOT_PT_GVA_MIN: 0xffff_8000_0000_0000n,
    SNAPSHOT_PT_GVA_MAX: 0xffff_80ff_ffff_ffffn,
    IO_PAGE: undefined,
  },
  { extendsSign: true, findsAliases: false },
);

/**
 * AArch64, stage 1, 4-KiB granule, lower half. Pages are for EL1, not global, inner shareable, accessed from the start; the software field
 * in bits 58:55 is 1 for copy-on-write. Blocks count as absent.
 *
 * @see Arm Architecture Reference Manual for A-profile (DDI 0487), section "VMSAv8-64 translation table format descriptors"
 */
export const aarch64 = new Architecture(
  'aarch64',
  {
    table: 3,
    present: 3,
    addressHigh: 0xffff,
    page: 0xf03, // nG, AF, SH = inner shareable, AttrIndx = 0
    writable: 0,
    readOnly: 0x80, // AP[2]
    executable: 1 << 22, // UXN
    noExecute: 3 << 21, // UXN, PXN
    noExecuteBit: 1 << 21, // PXN
    cowMaskLow: 0,
    cowLow: 0,
    cowMaskHigh: 0xf << 23,
    cowHigh: 1 << 23,
  },
  {
    SCRATCH_TOP_GVA: 0xffff_ffff_dfffn,
    SCRATCH_TOP_GPA: 0xf_ffff_bfffn,
    SNAPSHOT_PT_GVA_MIN: 0x8000_0000_0000n,
    SNAPSHOT_PT_GVA_MAX: 0x80ff_ffff_ffffn,
    IO_PAGE: { phys: 0xf_ffff_f000n, virt: 0xffff_ffff_e000n },
  },
  { extendsSign: false, findsAliases: true },
);

/** First physical byte of a scratch region of so many bytes. */
export function scratchBaseGpa(architecture: Architecture, bytes: bigint): bigint {
  checkArchitecture('scratchBaseGpa', architecture);
  return belowTop(architecture.layout.SCRATCH_TOP_GPA, bytes);
}

/** First virtual byte of a scratch region of so many bytes. */
export function scratchBaseGva(architecture: Architecture, bytes: bigint): bigint {
  checkArchitecture('scratchBaseGva', architecture);
  return belowTop(architecture.layout.SCRATCH_TOP_GVA, bytes);
}

function belowTop(top: bigint, bytes: bigint): bigint {
  if (typeof bytes !== 'bigint' || bytes < 0n || bytes > top + 1n) {
    throw new PageTableError(
      'OUT_OF_RANGE',
      `scratch region: ${String(bytes)} bytes; expected a bigint from 0 to ${top + 1n}`,
    );
  }
  return top - bytes + 1n;
}

/** Refuses anything but an architecture: the first argument is easily forgotten. */
export function checkArchitecture(operation: string, given: unknown): asserts given is Architecture {
  if (!(given instanceof Architecture)) {
    throw wrongKind(`${operation}: architecture`, given, 'amd64 or aarch64 as first argument');
  }
}
