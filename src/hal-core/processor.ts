import { hex, PageTableError } from '../bits/index.ts';
import { wrongKind } from '../bits/wrong-kind.ts';
import { type Fault, ProcessorFault } from '../cpu/index.ts';
import type { TableMemory } from '../memory/table-memory.ts';
import { bigintOf, PAddr } from './addr.ts';

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

/**
 * The address of the PML4.
 *
 * @throws {@link PageTableError} `PAGING_DISABLED`; `BAD_ARGUMENT` unless there are 4 levels; `MISALIGNED` if CR3 has flags
 */
export function rootOf(operation: string, processor: Processor): PAddr {
  const { cr3, levels = 4 } = processor;
  if (levels !== 4) {
    throw new PageTableError(
      levels === 0 ? 'PAGING_DISABLED' : 'BAD_ARGUMENT',
      `${operation}: the processor has ${levels} levels of page tables; expected 4`,
      { levels },
    );
  }
  if ((bigintOf(`${operation}: CR3`, cr3) & 0xfffn) !== 0n) {
    throw new PageTableError(
      'MISALIGNED',
      `${operation}: CR3 is ${hex(cr3)}; expected the address of the PML4, without flags or a PCID`,
      { cr3 },
    );
  }
  return PAddr.fromUsize(cr3);
}

/**
 * Refuses if CR3 no longer names the PML4 that it named: all other tables are seen through it.
 *
 * @throws {@link PageTableError} `NOT_ACTIVE`
 */
export function expectActive(operation: string, processor: Processor, root: bigint): void {
  const { cr3 } = processor;
  if (cr3 === root) return;
  throw new PageTableError(
    'NOT_ACTIVE',
    `${operation}: CR3 is ${hex(cr3)}; expected ${hex(root)}, the PML4 for which this PageCtrl was made: Mm.current makes another`,
    { cr3, root },
  );
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
  if (fault === undefined) return;
  if (fault?.kind !== 'fault') throw wrongKind(`${instruction} returned`, fault, 'a fault, or nothing');
  throw new ProcessorFault(fault, `${instruction}: `);
}
