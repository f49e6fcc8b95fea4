import type { DetectorOptions } from './detector.ts';

/** How a processor uses the freedom that the architecture leaves it. */
export interface MmuPolicy {
  readonly caching: 'all' | 'none' | number;
  readonly accessedDirty: boolean;
  readonly detector: DetectorOptions | undefined;
}
