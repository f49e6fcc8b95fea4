import { type ErrorDetail, hex, hex64, PageTableError } from '../bits/index.ts';
import type { RISCV_EXCEPTIONS, RiscvCause } from '../format/index.ts';

/** What a fault of any architecture tells. */
interface AnyFault {
  readonly kind: 'fault';
  /** What the error code says, by name and meaning. */
  readonly errorBits: readonly string[];
  /** What caused it: `R/W = 0 in PTE`, `AP[2] = 1 in L3 descriptor`. */
  readonly because: readonly string[];
  /** Whether it came from a translation that was remembered: with that forgotten, the access may well succeed. */
  readonly fromCache: boolean;
}

/** A fault that an access or an instruction raises on an x86 processor. */
export interface X86Fault extends AnyFault {
  readonly exception: '#PF' | '#GP' | '#SS';
  readonly errorCode: number;
  /** The linear byte address that faulted: the first byte that could not be accessed. Not for instructions. */
  readonly address: bigint | undefined;
  /** What was written to CR2; only page faults do. */
  readonly cr2: bigint | undefined;
}

/** An exception that an access raises on an AArch64 processor, taken to EL1. */
export interface Aarch64Fault extends AnyFault {
  readonly exception: 'Data Abort' | 'Instruction Abort' | 'PC alignment fault';
  /** Bits 31:0 of ESR_EL1, unsigned; those above are 0. */
  readonly errorCode: number;
  /** What was written to FAR_EL1: the first byte that could not be accessed, tag and all. */
  readonly address: bigint;
  /** The level that the fault status code tells; `undefined` for alignment faults. */
  readonly level: number | undefined;
  /** There is no CR2. */
  readonly cr2?: undefined;
}

/** An exception that an access raises on a RISC-V processor. */
export interface RiscvFault extends AnyFault {
  readonly exception: (typeof RISCV_EXCEPTIONS)[RiscvCause];
  /** What was written to scause. */
  readonly cause: RiscvCause;
  /** What was written to stval: the first byte that could not be accessed. */
  readonly stval: bigint;
  /** {@link cause}, by the name that faults of every architecture have. */
  readonly errorCode: RiscvCause;
  /** {@link stval}, by that name. */
  readonly address: bigint;
  /** There is no CR2. */
  readonly cr2?: undefined;
}

/** A fault that an access or an instruction raises. */
export type Fault = X86Fault | Aarch64Fault | RiscvFault;

/** There is no memory at a physical address: an emulator asks its devices, or delivers what its bus does. */
export interface Absent {
  readonly kind: 'absent';
  /** What is missing: what the access wanted, or a table on the way to it. */
  readonly what: 'page' | 'table';
  /** Physical byte address: of the first byte of the access that is not there, or of the table. */
  readonly address: bigint;
}

/** What an access gets. */
export type Outcome<F extends Fault = Fault> =
  /** A value of as many bytes as were asked for, unsigned. */
  { readonly kind: 'done'; readonly value: bigint } | F | Absent;

/** Thrown where code that cannot take a fault for an answer, such as a mapper, accesses memory through a processor. */
export class ProcessorFault extends PageTableError {
  override readonly name: string = 'ProcessorFault';
  /** What the processor reported. */
  readonly fault: Fault;

  /**
   * @param fault - what the processor reported
   * @param context - what was being done, in front of the message
   * @param options - `cause`, and what else was found
   */
  constructor(
    fault: Fault,
    context = '',
    { detail = {}, ...options }: ErrorOptions & { readonly detail?: ErrorDetail } = {},
  ) {
    super('PROCESSOR_FAULT', `${context}${faultText(fault)}`, { ...detailOf(fault), ...detail }, options);
    this.fault = fault;
  }
}

/** One line for people. */
export function faultText(fault: Fault): string {
  const { exception, errorCode, errorBits, address, because } = fault;
  if ('stval' in fault)
    return `${exception}${placeText(address)}, scause ${errorCode}: ${because.join('; ')}`;
  const bits = errorBits.length === 0 ? '' : ` (${errorBits.join(', ')})`;
  const at = placeText(address);
  const causes = because.join('; ');
  if (exception === '#GP' || exception === '#SS') return `${exception}(0)${at}: ${causes}`;
  const code =
    exception === '#PF' ? `error code 0x${errorCode.toString(16).padStart(2, '0')}` : `ESR ${hex(errorCode)}`;
  return `${exception}${at}, ${code}${bits}: ${causes}`;
}

function placeText(address: bigint | undefined): string {
  return address === undefined ? '' : ` at ${hex64(address)}`;
}

function detailOf({ exception, errorCode, address }: Fault): ErrorDetail {
  return { exception, errorCode, ...(address === undefined ? {} : { address }) };
}
