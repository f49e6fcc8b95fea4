import type { PhysicalMemory } from 'tablewalk/memory';
import type { Session } from 'tablewalk/session';

/** The tables that are looked at: those of the image, or of the scratch copy. */
export interface Looked {
  readonly session: Session;
  readonly memory: PhysicalMemory;
}
