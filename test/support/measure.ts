/** Measures time and heap of a piece of work. */
import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** What a piece of work took. */
export interface Cost {
  readonly milliseconds: number;
  /** Growth of heap and array buffers from before to just after, garbage included. */
  readonly megabytes: number;
}

/** Bytes in use now, of the heap and of array buffers. Unlike `process.memoryUsage`, this asks nothing of the system. */
export function bytesInUse(): number {
  const { used_heap_size: heap, external_memory: external } = getHeapStatistics();
  return heap + external;
}

/** Frees what nobody refers to. */
export function collectGarbage(): void {
  collect();
}

/** Runs the work once. Garbage of what went before may make it seem to take less memory: collect it where that matters. */
export async function costOf(work: () => unknown): Promise<Cost> {
  const before = bytesInUse();
  const started = performance.now();
  await work();
  const milliseconds = performance.now() - started;
  return { milliseconds, megabytes: Math.max(0, bytesInUse() - before) / 2 ** 20 };
}
