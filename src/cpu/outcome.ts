import { type ErrorDetail, hex64, PageTableError } from '../bits/index.ts';

/** A fault that an access or an instruction raises. */
export interface Fault {
  readonly kind: 'fault';
  readonly exception: '#PF' | '#GP' | '#SS';
  readonly errorCode: number;
  /** The bits that are set in a page fault's error code, by name and meaning. */
  readonly errorBits: readonly string[];
  /** The linear byte address that faulted: the first byte that could not be accessed. Not for instructions. */
  readonly address: bigint | undefined;
  /** What was written to CR2; only page faults do. */
  readonly cr2: bigint | undefined;
  /** What caused it: `R/W = 0 in PTE`, `CR4.SMEP = 1 …`. */
  readonly because: readonly string[];
  /** Whether it came from a translation that was remembered: tried again, the access may well succeed. */
  readonly fromCache: boolean;
}

/** There is no memory at a physical address: an emulator asks its devices, or delivers what its bus does. */
export interface Absent {
  readonly kind: 'absent';
  /** What is missing: what the access wanted, or a table on the way to it. */
  readonly what: 'page' | 'table';
  /** Physical byte address: of the first byte of the access that is not there, or of the table. */
  readonly address: bigint;
}

/** What an access gets. */
export type Outcome =
  /** A value of as many bytes as were asked for, unsigned. */
  { readonly kind: 'done'; readonly value: bigint } | Fault | Absent;

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
  const bits = errorBits.length === 0 ? '' : ` (${errorBits.join(', ')})`;
  const at = address === undefined ? '' : ` at ${hex64(address)}`;
  const code =
    exception === '#PF' ? `, error code 0x${errorCode.toString(16).padStart(2, '0')}${bits}` : '(0)';
  return `${exception}${exception === '#PF' ? `${at}${code}` : `${code}${at}`}: ${because.join('; ')}`;
}

function detailOf({ exception, errorCode, address }: Fault): ErrorDetail {
  return { exception, errorCode, ...(address === undefined ? {} : { address }) };
}
