import type { PhysicalMemory } from '../memory/index.ts';
import { LOWER_END, UPPER_START } from './block.ts';
import type { PageTableFrameMapping } from './frame-mapping.ts';
import type { PageTable, TableMemory } from './page-table.ts';
import { offsetIn } from './table-path.ts';

/** What the fast way needs to know, if there is one: tables in flat memory, all reached with small integers. */
export function flatWay(
  { memory, page }: PageTable,
  mapping: PageTableFrameMapping,
): { memory: PhysicalMemory; first: number; root: number } | undefined {
  const offset = offsetIn(memory, mapping);
  if (!isPhysical(memory) || offset === undefined || memory.shared) return undefined;
  const end = memory.first + memory.count;
  const canonical = end <= LOWER_END || memory.first >= UPPER_START;
  const first = memory.first - offset.pages;
  return canonical && page >= memory.first && page < end && Math.abs(first) < 2 ** 31
    ? { memory, first, root: (page - memory.first) << 10 }
    : undefined;
}

/** Whether tables lie in physical memory itself. Asked of its shape, so that its code need not come along. */
function isPhysical(memory: TableMemory): memory is PhysicalMemory {
  return 'loadEntry' in memory && 'count' in memory && 'words' in memory;
}
