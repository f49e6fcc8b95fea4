import type { VirtAddr } from './addr.ts';
import { PhysOffset } from './frame-mapping.ts';
import { MappedPageTable } from './mapped-page-table.ts';
import type { MapperOptions } from './mapper.ts';
import { checkTable, type PageTable } from './page-table.ts';

/**
 * A mapper for when all of physical memory appears at one place of the memory through which tables are reached: guest
 * RAM inside an emulator's heap, or a kernel's direct map seen through an MMU.
 */
export class OffsetPageTable extends MappedPageTable<PhysOffset> {
  /**
   * @param level4Table - the root; its memory is the one through which the other tables are reached too
   * @param physOffset - where physical address 0 appears in that memory, a multiple of 4096
   * @param options - `sink`: is told of flushes
   * @throws {@link PageTableError} `MISALIGNED`
   */
  constructor(level4Table: PageTable, physOffset: VirtAddr, options?: MapperOptions) {
    checkTable('OffsetPageTable', level4Table);
    super(level4Table, new PhysOffset(level4Table.memory, physOffset), options);
  }

  /** Kind, root and offset. */
  override toString(): string {
    return `OffsetPageTable { level4Table: ${this.level4Table()}, physOffset: ${this.physOffset()} }`;
  }

  /** Where physical address 0 appears. */
  physOffset(): VirtAddr {
    return this.pageTableFrameMapping().offset;
  }
}
