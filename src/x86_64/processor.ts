import { wrongKind } from '../bits/wrong-kind.ts';
import { type Fault, ProcessorFault } from '../cpu/index.ts';
import type { FlushSink } from './flush.ts';
import type { PhysFrame } from './frame.ts';
import type { Page } from './page.ts';
import type { PageSize } from './page-size.ts';
import type { TableMemory } from './page-table.ts';

/** A processor as far as mappers need one; `X86Cpu` is one. */
export interface Processor extends TableMemory {
  /** CR3. */
  readonly cr3: bigint;
  /** Levels of its page tables now, 0 while paging is off; not given, it is not asked. */
  readonly levels?: number;
  /** INVLPG for the address of which the two halves are given. */
  invalidate(high: number, low: number): Fault | undefined;
  /** MOV to CR3 of the value that it holds. */
  reloadCr3(): Fault | undefined;
  /** Whoever watches the processor, and wants to know of tables that come and go, by frame number. */
  readonly detector?: { frameFreed(frame: number): void; frameAllocated(frame: number): void } | undefined;
}

/** Whether a memory, or whatever is told of flushes, is a processor. */
export function isProcessor(value: TableMemory | FlushSink | Processor): value is Processor {
  return 'reloadCr3' in value && 'invalidate' in value;
}

/** What a mapper tells of flushes: what it was given, or else the processor through which it sees its tables. */
export function sinkOf(given: FlushSink | Processor | undefined, memory: TableMemory): FlushSink | undefined {
  if (given !== undefined && (typeof given !== 'object' || given === null)) {
    throw wrongKind('sink', given, 'a FlushSink, or a processor');
  }
  const sink = given ?? (isProcessor(memory) ? memory : undefined);
  return sink !== undefined && isProcessor(sink) ? new ProcessorSink(sink) : sink;
}

/** Flushes as instructions of a processor. */
class ProcessorSink implements FlushSink {
  private readonly processor: Processor;

  constructor(processor: Processor) {
    this.processor = processor;
  }

  invalidate(page: Page<PageSize>): void {
    refuse('flush', this.processor.invalidate(page.high, page.low));
  }

  invalidateAll(): void {
    refuse('flushAll', this.processor.reloadCr3());
  }

  tableFreed(frame: PhysFrame): void {
    this.processor.detector?.frameFreed(frame.pfn());
  }

  tableAllocated(frame: PhysFrame): void {
    this.processor.detector?.frameAllocated(frame.pfn());
  }
}

function refuse(operation: string, fault: Fault | undefined): void {
  if (fault !== undefined) throw new ProcessorFault(fault, `${operation}: `);
}
