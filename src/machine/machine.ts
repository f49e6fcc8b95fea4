/** A half-open range of 4-KiB frame numbers. */
export interface FrameRange {
  readonly first: number;
  /** One past the last frame. */
  readonly end: number;
}

/** Registers by the name their manual gives them (`CR3`, `RFLAGS`); a register that is not known is not there. */
export type Registers = Readonly<Record<string, bigint>>;

/** What is known of one processor. */
export interface Cpu {
  /** Its number in the machine, from 0. */
  readonly index: number;
  readonly registers: Registers;
}

/** A page-table root that the machine names, apart from those in its processors' registers. */
export interface NamedRoot {
  /** For example `swapper_pg_dir`. */
  readonly name: string;
  /** Physical byte address of the root table. */
  readonly address: bigint;
  /** Where it was found, for people: `VMCOREINFO SYMBOL(swapper_pg_dir)`. */
  readonly source: string;
  /** Number of table levels below and including this root, where the machine says so. */
  readonly levels?: number;
  /** Bits of an address that it translates, where the machine says so (AArch64: of the upper half). */
  readonly vaBits?: number;
  /** Bytes of a page of the smallest size, where the machine says so. */
  readonly pageBytes?: number;
}

/** The processor families whose page tables a machine can have. */
export type Architecture = 'x86' | 'aarch64' | 'riscv';

/**
 * What can be asked of a machine, running or stored. Nothing here interprets page tables.
 */
export interface Machine {
  /** What kind of source this is, in a few words: `ELF core written by QEMU`. */
  readonly kind: string;
  /** `undefined` where the source does not say (a raw image). */
  readonly architecture: Architecture | undefined;
  /**
   * x86 only: whether the machine was in long mode (EFER.LMA = 1), where the source says so.
   */
  readonly longMode: boolean | undefined;
  /** RISC-V only: the width of registers, where the source says so. */
  readonly xlen?: 32 | 64;
  readonly cpus: readonly Cpu[];
  readonly roots: readonly NamedRoot[];
  /** The frames that {@link Machine.readFrames} can give: sorted, disjoint, not adjacent. */
  readonly frames: readonly FrameRange[];
  /** Anything a reader of results should know about this source, one sentence each. */
  readonly remarks: readonly string[];

  /**
   * Reads whole 4-KiB frames.
   *
   * @param frames - frame numbers, in any order; each an integer in `[0, 2^52)`
   * @param target - `frames.length * 4096` bytes; frame `i` goes to byte `i * 4096`. Absent frames leave their part untouched
   * @returns one byte per frame: 1 if it was read, 0 if the machine does not have it
   * @throws {@link PageTableError} `READ_FAILED` if the source fails underneath
   */
  readFrames(frames: ArrayLike<number>, target: Uint8Array): Promise<Uint8Array>;

  /** Releases what the source holds open. A closed machine is not used again. */
  close(): Promise<void>;
}
