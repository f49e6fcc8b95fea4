import { FRAME_BYTES, hexPage, PageTableError } from '../bits/index.ts';
import { isCanonical, type VirtAddr } from './addr.ts';
import { highOfUnit, unitOf } from './block.ts';
import type { PhysFrame } from './frame.ts';
import { PageTable, type TableMemory } from './page-table.ts';

/** Says where the table is that lies in a frame. */
export interface PageTableFrameMapping {
  /** @param frame - a frame that holds a table, or will */
  frameToPointer(frame: PhysFrame): PageTable;
}

/** All of physical memory appears at one place of the memory through which tables are reached. */
export class PhysOffset implements PageTableFrameMapping {
  /** Where physical address 0 appears. */
  readonly offset: VirtAddr;
  /** The same in 4-KiB units. */
  readonly pages: number;
  /** Through which tables are reached. */
  readonly memory: TableMemory;

  /**
   * @param memory - through which tables are reached
   * @param offset - where physical address 0 appears in it, a multiple of 4096
   * @throws {@link PageTableError} `MISALIGNED`
   */
  constructor(memory: TableMemory, offset: VirtAddr) {
    if ((offset.low & (FRAME_BYTES - 1)) !== 0) {
      throw new PageTableError(
        'MISALIGNED',
        `physical memory offset ${offset}; expected a multiple of ${FRAME_BYTES}. RAM at another place of a buffer is ` +
          'given to flatMemory as a region',
        { offset: offset.asU64() },
      );
    }
    this.memory = memory;
    this.offset = offset;
    this.pages = unitOf(offset.high, offset.low);
  }

  frameToPointer(frame: PhysFrame): PageTable {
    return new PageTable(this.memory, this.pageOf(frame.high, frame.low));
  }

  /**
   * Where a frame appears, in 4-KiB units.
   *
   * @param high - bits 63:32 of the frame's address
   * @param low - bits 31:0
   * @throws {@link PageTableError} `OUT_OF_RANGE` if that is not a canonical address
   */
  pageOf(high: number, low: number): number {
    const frame = unitOf(high, low);
    const page = this.pages + frame;
    if (page < 2 ** 52 && isCanonical(highOfUnit(page))) return page;
    throw new PageTableError(
      'OUT_OF_RANGE',
      `the table in frame 0x${hexPage(frame)} would lie at ${this.offset} + 0x${hexPage(frame)}; expected a canonical address`,
      { frame },
    );
  }
}
