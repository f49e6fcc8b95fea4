import { pageOf } from '../bits/index.ts';
import type { TableMemory } from '../memory/table-memory.ts';
import { Entry } from './entry.ts';
import { expectActive, type Processor, rootOf } from './processor.ts';

/** Entries in a table. */
const ENTRIES = 512;
/** The entry of the PML4 that points back to it. */
export const RECURSIVE_INDEX = 511;
/** Linear page at which the entry that points back shows the PML4. */
export const PML4_WINDOW = 0xffff_ffff_ffff_f000n;

/** The PML4 where a caller sees it: a memory, and its page there. */
export interface TopTable {
  readonly memory: TableMemory;
  readonly page: number;
}

/**
 * The tables of a processor, each at the place where it is seen: the PML4 where one is told, all others through its entry 511, which
 * points back to it and so shows each table at an address that follows from the addresses it maps.
 */
export class Tables {
  readonly processor: Processor;
  private readonly top: TopTable;
  /** Physical address of the PML4. */
  readonly root: bigint;

  constructor(processor: Processor, top: TopTable, root: bigint) {
    this.processor = processor;
    this.top = top;
    this.root = root;
  }

  /** Refuses unless the processor has paging with 4 levels, and these tables. */
  expectActive(operation: string): void {
    rootOf(operation, this.processor);
    expectActive(operation, this.processor, this.root);
  }

  /** The entry of a linear address in the table of a level, 4 (PML4) to 1 (PT). */
  entry(level: number, address: bigint): Entry {
    // Nine bits.
    const index = Number((address >> shiftOf(level)) & 511n);
    const { memory, page } =
      level === 4 ? this.top : { memory: this.processor, page: pageOf(windowOf(level, address)) };
    return new Entry(memory, page, index, level, this.processor, this.root);
  }

  /** The entry of the PML4 that points back to it. */
  loop(): Entry {
    return this.entry(4, PML4_WINDOW);
  }

  /** Fills the table of a level, 3 (PDPT) to 1 (PT), on the way to an address with zeros. */
  clear(level: number, address: bigint): void {
    const { processor } = this;
    const page = pageOf(windowOf(level, address));
    if (processor.clearFrame !== undefined) processor.clearFrame(page);
    else for (let index = 0; index < ENTRIES; index += 1) processor.writeEntry(page, index, 0, 0);
  }
}

/** Position of the index of a level in an address. */
function shiftOf(level: number): bigint {
  return BigInt(3 + 9 * level);
}

/** Linear address at which the table of a level, 3 (PDPT) to 1 (PT), on the way to an address is seen. */
export function windowOf(level: number, address: bigint): bigint {
  const turns = BigInt(9 * level);
  // The indices of the levels above, moved down past one 511 for each level that the walk goes round.
  const indices = (BigInt.asUintN(48, address) >> turns) & ~0xfffn;
  return BigInt.asUintN(64, -1n << (48n - turns)) | indices;
}
