import { type Fault, ProcessorFault } from '../cpu/index.ts';
import type { TableMemory } from '../memory/table-memory.ts';

/** A processor as far as {@link PageCtrl} needs one; `X86Cpu` is one. Its memory is linear: tables by number of a linear page. */
export interface Processor extends TableMemory {
  /** CR3. */
  readonly cr3: bigint;
  /** Levels of its page tables now, 0 while paging is off; not given, it is not asked. */
  readonly levels?: number;
  /** INVLPG. */
  invlpg(address: bigint): Fault | undefined;
  /** MOV to CR3. */
  writeCr3(value: bigint): Fault | undefined;
  /** Whoever watches the processor, and wants to know of frames that become tables. */
  readonly detector?: { frameAllocated(frame: number): void } | undefined;
}

/** INVLPG for a page. */
export function invalidate(processor: Processor, address: bigint): void {
  refuse('INVLPG', processor.invlpg(address));
}

/** MOV to CR3 of the value that it holds. */
export function reloadCr3(processor: Processor): void {
  refuse('MOV to CR3', processor.writeCr3(processor.cr3));
}

function refuse(instruction: string, fault: Fault | undefined): void {
  if (fault !== undefined) throw new ProcessorFault(fault, `${instruction}: `);
}
