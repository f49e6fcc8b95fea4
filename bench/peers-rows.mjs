// What tablewalk's sides of bench/peers.mjs have in common: the pages, and how a row is measured and printed. The loops
// themselves stand with each mapper: V8 compiles each for its own callee.

import { Page, PhysFrame, Size4KiB } from '../dist/x86_64/index.js';

/** Rounds that the driver asks for. */
export const ROUNDS = Number(process.argv[2] ?? 11);
/** Pages of the workloads with 4-KiB pages. */
export const COUNT = 262_144;

/** Long enough for V8 to compile for good and to move what lives on out of the way; Rust needs one pass. */
const WARM_UP = 500_000_000n;

/**
 * Pages to map, in this order, the frames to map them to, and the names of the rows that do it.
 *
 * @param {{ map: string, order?: string, cleanUp?: string }} names
 * @param {number[]} numbers - of the pages
 * @param {number} first - number of the first frame
 * @param {any} size
 */
export function workload(names, numbers, first = 0x10_0000, size = Size4KiB) {
  const pages = numbers.map((number) => Page.fromPageNumber(number, size));
  const frames = numbers.map((_, i) => PhysFrame.fromPfn(first + i * size.pages, size));
  const addresses = pages.map((page) => page.startAddress().add(0x123));
  const bigints = addresses.map((address) => address.asU64());
  // What the addresses of all frames sum up to, modulo 2^32.
  let sum = 0;
  for (const frame of frames) sum = (sum + frame.low) | 0;
  return { ...names, pages, frames, addresses, bigints, sum, numbers, first, size };
}

/** Numbers of as many pages, side by side. */
export function inOrder(count, size = Size4KiB) {
  return Array.from({ length: count }, (_, i) => 0x7_f000_0000 + i * size.pages);
}

/** A linear congruential generator of full period: it meets each of the 2^24 pages of 64 GiB once. */
export function scattered(count) {
  let at = 0;
  return Array.from({ length: count }, () => {
    at = (Math.imul(at, 1_664_525) + 1_013_904_223) & 0xff_ffff;
    return 0x1000_0000 + at;
  });
}

/** Numbers of all pages of a gibibyte, each once: a linear congruential generator, of full period for a power of 2. */
export function shuffled(count = COUNT) {
  let at = 0;
  return Array.from({ length: count }, () => {
    at = (at * 1_664_525 + 1_013_904_223) % count;
    return at;
  });
}

/** The workloads of 4-KiB pages. */
export function smallWorkloads() {
  return [
    workload(
      { map: 'map 4K, 262144 in order', order: 'in order', cleanUp: 'clean up, 514 tables' },
      inOrder(COUNT),
    ),
    workload(
      { map: 'map 4K, 262144 random over 64 GiB', order: 'random', cleanUp: 'clean up, random' },
      scattered(COUNT),
    ),
  ];
}

/** Runs a row to warm up and then for each round, and prints what the driver reads. */
export function row(run, name, kind, count, pass) {
  report(run, name, kind, count, times(count, pass));
}

/** As {@link row}, for passes that return their time and a checksum of what they did: the same each time, and in Rust. */
export function rowWithSum(run, name, kind, count, pass) {
  const [, sum] = pass();
  const ns = times(count, () => {
    const [time, found] = pass();
    expect(found, sum, name);
    return time;
  });
  report(run, name, kind, count, ns, sum);
}

/** Nanoseconds per operation, by round. */
function times(count, pass) {
  for (const end = process.hrtime.bigint() + WARM_UP; process.hrtime.bigint() < end; ) pass(0);
  return Array.from({ length: ROUNDS }, (_, round) => pass(round + 1) / count);
}

function report(run, name, kind, count, ns, sum) {
  console.log(JSON.stringify({ peer: 'tablewalk', row: name, interface: kind, run, count, ns, sum }));
}

/** Nanoseconds that a function takes for all pages of a workload, 1,024 at a time, and the sum of what it returns. */
export function timed(work, load, extra) {
  const start = process.hrtime.bigint();
  let sum = 0;
  for (let from = 0; from < load.pages.length; from += 1024) {
    const part = work(load, from, Math.min(from + 1024, load.pages.length), extra);
    if (typeof part === 'number') sum = (sum + part) | 0;
  }
  return [Number(process.hrtime.bigint() - start), sum];
}

/** Nanoseconds that a function takes, and what it returns. */
export function timedOnce(work) {
  const start = process.hrtime.bigint();
  const result = work();
  return [Number(process.hrtime.bigint() - start), result];
}

/** A checksum of all entries, in halves. */
export function checksum(words) {
  let sum = 0;
  for (let i = 0; i < words.length; i += 1) sum = Math.imul(sum ^ words[i], 0x0100_0193);
  return sum >>> 0;
}

export function expect(found, expected, what) {
  if (found !== expected) throw new Error(`${what}: ${found}; expected ${expected}`);
}
