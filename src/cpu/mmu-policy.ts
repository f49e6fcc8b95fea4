import { PageTableError } from '../bits/index.ts';
import { PhysicalMemory } from '../memory/index.ts';
import type { DetectorOptions } from './detector.ts';

/** How a processor uses the freedom that the architecture leaves it. */
export interface MmuPolicy {
  readonly caching: 'all' | 'none' | number;
  readonly accessedDirty: boolean;
  readonly detector: DetectorOptions | undefined;
}

/**
 * Refuses what no processor can be made with.
 *
 * @param processor - its class, for messages
 * @throws {@link PageTableError} `BAD_ARGUMENT`
 */
export function checkPolicy(
  processor: string,
  memory: PhysicalMemory,
  caching: MmuPolicy['caching'],
  hasDetector: boolean,
): void {
  if (!(memory instanceof PhysicalMemory)) {
    throw new PageTableError(
      'BAD_ARGUMENT',
      `${processor}: memory ${String(memory)}; expected a PhysicalMemory: what flatMemory makes, or the memory of a SparseMemory`,
    );
  }
  if (caching !== 'all' && caching !== 'none' && !(Number.isInteger(caching) && caching > 0)) {
    throw new PageTableError(
      'BAD_ARGUMENT',
      `${processor}: caching ${caching}; expected 'all', 'none', or a number of translations from 1`,
    );
  }
  if (hasDetector && caching === 'none') {
    throw new PageTableError(
      'BAD_ARGUMENT',
      `${processor}: a detector with caching 'none'; expected caching 'all' or a number, as nothing can be out of date otherwise`,
    );
  }
}
