import { PerformanceObserver } from 'node:perf_hooks';

/**
 * One row: what is done, through which interface, and `work(round)`, which does it `count` times.
 * @typedef {{ name: string, interface: string, count: number, work: (round: number) => unknown }} Row
 */

/**
 * Runs all rows in turn, round after round, so that a change of the machine's speed meets all alike.
 *
 * @param {readonly Row[]} rows
 * @param {number} rounds
 * @returns {Map<string, Float64Array>} nanoseconds per operation, by row and round
 */
export function measure(rows, rounds) {
  const times = new Map(rows.map((row) => [row.name, new Float64Array(rounds)]));
  for (const row of rows) for (let i = 0; i < 3; i += 1) row.work(i);
  for (let round = 0; round < rounds; round += 1) {
    for (const row of rows) {
      // Once untimed: what the caches hold is then this row's doing, not its neighbour's.
      row.work(round);
      const start = process.hrtime.bigint();
      row.work(round);
      times.get(row.name)[round] = Number(process.hrtime.bigint() - start) / row.count;
    }
  }
  return times;
}

/** Median of numbers. */
export function median(values) {
  const sorted = Float64Array.from(values).sort();
  return sorted[sorted.length >> 1];
}

/** Median of the ratios of two rows, round by round. */
export function ratio(times, name, base) {
  const other = times.get(base);
  return median(times.get(name).map((time, round) => time / other[round]));
}

/**
 * Bytes that an operation leaves on the heap, and garbage collections while it runs.
 *
 * @param {Row} row
 * @param {number} times
 */
export async function allocation(row, times) {
  let collections = 0;
  const observer = new PerformanceObserver((list) => {
    collections += list.getEntries().length;
  });
  observer.observe({ entryTypes: ['gc'] });
  row.work(0);
  const before = process.memoryUsage().heapUsed;
  for (let i = 0; i < times; i += 1) row.work(i);
  const bytes = (process.memoryUsage().heapUsed - before) / (times * row.count);
  // Observers are told at the next turn of the event loop.
  await new Promise((resolve) => setTimeout(resolve, 10));
  observer.disconnect();
  return { bytes, collections };
}
