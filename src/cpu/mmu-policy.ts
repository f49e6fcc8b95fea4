import type { DetectorOptions } from './x86/detector.ts';

/** How a processor uses the freedom that the architecture leaves it. */
export interface MmuPolicy {
  readonly caching: 'all' | 'none' | number;
  readonly accessedDirty: boolean;
  readonly detector: DetectorOptions | undefined;
}
