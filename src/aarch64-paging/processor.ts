/** A processor as far as a map needs one; `Aarch64Cpu` is one. */
export interface Processor {
  /** MRS of a register of the manual's name, such as `TTBR0_EL1`. */
  readSystemRegister(name: string): bigint;
  /** MSR. */
  writeSystemRegister(name: string, value: bigint): void;
  /** TLBI, such as `VAAE1IS`, with what its register holds. */
  tlbi(operation: string, operand?: bigint): void;
  /** A barrier, such as `DSB ISH`. */
  barrier(kind: string): void;
}
