import { PageTableError, pageOf } from '../bits/index.ts';
import { wrongKind } from '../bits/wrong-kind.ts';
import type { TableMemory } from '../memory/table-memory.ts';
import { PAddr, VAddr } from './addr.ts';
import { Edit } from './edit.ts';
import { linked } from './entry.ts';
import { PageCtrl } from './page-ctrl.ts';
import { type Processor, reloadCr3, rootOf } from './processor.ts';
import { Reentry } from './reentry.ts';
import { RECURSIVE_INDEX, Tables } from './tables.ts';

/** What a processor's memory management may be told. */
export interface MmOptions {
  /** Where the PML4 is, by frame number: memory that has it where the processor has no window of physical memory. */
  readonly physicalMemory?: TableMemory;
}

/** The memory management of one processor. */
export class Mm {
  private readonly processor: Processor;
  private readonly physicalMemory: TableMemory | undefined;
  private readonly reentry = new Reentry();
  private offset: VAddr | undefined;

  /**
   * @param processor - whose tables are edited, through its own memory accesses
   * @param options - where the PML4 is, if not in the processor's window of physical memory
   */
  constructor(processor: Processor, options: MmOptions = {}) {
    if (!isTableMemory(processor) || [processor.invlpg, processor.writeCr3].some(isNoFunction)) {
      throw wrongKind('Mm', processor, 'a processor, such as an X86Cpu');
    }
    if (typeof options !== 'object' || options === null) throw wrongKind('Mm', options, 'options');
    const { physicalMemory } = options;
    if (physicalMemory !== undefined && !isTableMemory(physicalMemory)) {
      throw wrongKind('Mm', physicalMemory, 'memory with readEntry and writeEntry, such as a PhysicalMemory');
    }
    this.processor = processor;
    this.physicalMemory = physicalMemory;
  }

  /**
   * Makes entry 511 of the active PML4 point back to it, and writes CR3 back.
   *
   * @param vmOffset - where the window of physical memory begins: physical address `p` is seen at `vmOffset + p`
   * @throws {@link PageTableError} `ALREADY_MAPPED` if the entry is in use; `MISALIGNED` if CR3 has any of its low 12 bits, or
   *   `vmOffset` is no multiple of 4096
   */
  initPaging(vmOffset: VAddr): void {
    if (!(vmOffset instanceof VAddr)) throw wrongKind('initPaging', vmOffset, 'a VAddr');
    if (!vmOffset.isAligned(4096n)) {
      throw new PageTableError(
        'MISALIGNED',
        `initPaging: window at ${vmOffset}; expected a multiple of 4096`,
      );
    }
    this.reentry.run('initPaging', () => {
      const { tables, root } = this.active('initPaging', vmOffset);
      const loop = tables.loop();
      if (loop.isPresent()) {
        throw new PageTableError(
          'ALREADY_MAPPED',
          `initPaging: entry ${RECURSIVE_INDEX} of the PML4 is in use: ${loop}; expected one that is not present`,
          { entry: loop.bits() },
        );
      }
      Edit.run((edit) => {
        edit.store(loop, linked(loop.bits(), root, 'table'), () => {});
        reloadCr3(this.processor);
      });
      this.offset = vmOffset;
    });
  }

  /**
   * The active page tables. Once CR3 names others, all calls are refused until it names these again.
   *
   * @throws {@link PageTableError} `NOT_RECURSIVE` before {@link initPaging}; `MISALIGNED` as there
   */
  current(): PageCtrl {
    return new PageCtrl(this.active('current', this.initialised('current')).tables, this.reentry);
  }

  /**
   * Where the window of physical memory begins.
   *
   * @throws {@link PageTableError} `NOT_RECURSIVE` before {@link initPaging}
   */
  vmOffset(): VAddr {
    return this.initialised('vmOffset');
  }

  /**
   * Where a physical address is seen in the window of physical memory. Throws as {@link vmOffset}, and for what is no address.
   */
  kernelVaddrOf(pa: PAddr): VAddr {
    if (!(pa instanceof PAddr)) throw wrongKind('kernelVaddrOf', pa, 'a PAddr');
    return this.initialised('kernelVaddrOf').add(pa.asUsize());
  }

  /** The physical address that is seen at an address of the window. Throws as {@link kernelVaddrOf}. */
  kernelPaddrOf(va: VAddr): PAddr {
    if (!(va instanceof VAddr)) throw wrongKind('kernelPaddrOf', va, 'a VAddr');
    const window = this.initialised('kernelPaddrOf');
    const distance = va.asUsize() - window.asUsize();
    if (distance >= 0n) return PAddr.fromUsize(distance);
    throw new PageTableError(
      'OUT_OF_RANGE',
      `kernelPaddrOf: ${va} is below the window; expected an address from ${window} on`,
      { va: va.asUsize(), window: window.asUsize() },
    );
  }

  private initialised(operation: string): VAddr {
    if (this.offset !== undefined) return this.offset;
    throw new PageTableError(
      'NOT_RECURSIVE',
      `${operation}: paging was not initialised; expected a call of initPaging before it`,
    );
  }

  /** The tables that CR3 names, and the address of the PML4. */
  private active(operation: string, vmOffset: VAddr): { tables: Tables; root: PAddr } {
    const { processor, physicalMemory } = this;
    const root = rootOf(operation, processor);
    const top =
      physicalMemory === undefined
        ? { memory: processor, page: pageOf(vmOffset.add(root.asUsize()).asUsize()) }
        : { memory: physicalMemory, page: pageOf(root.asUsize()) };
    return { tables: new Tables(processor, top, root.asUsize()), root };
  }
}

function isTableMemory(memory: TableMemory): boolean {
  return ![memory?.readEntry, memory?.writeEntry].some(isNoFunction);
}

function isNoFunction(value: unknown): boolean {
  return typeof value !== 'function';
}
