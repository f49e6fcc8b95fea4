// How the cost of AddressSpace grows: node --expose-gc --max-old-space-size=12000 bench/space-scale.mjs [PLOT.svg], after npm run build.

import { writeFileSync } from 'node:fs';
import { flatMemory } from '../dist/memory/index.js';
import { AddressSpace } from '../dist/space/index.js';
import { median } from './measure.mjs';
import { timedOnce } from './peers-rows.mjs';
import { plot } from './space-plot.mjs';
import { FrameStack } from './space-tables.mjs';

const PAGE = 4096n;
const KIB = 1024;
const GIB = KIB ** 3;
const TIB = KIB ** 4;
const VIRT = 0x7000_0000_0000n;
/** Room for the tables of 256 GiB of 4-KiB pages. */
const FRAMES = 132_000;
/** Leaves of the lists: those of 64 GiB. */
const LEAVES = 2 ** 24;
/** How long a row is repeated at least, in nanoseconds, and how often at most. */
const ENOUGH = 400_000_000;
const MOST = 2_000;

const words = new Uint32Array(FRAMES * 1024);
const memory = flatMemory(words);
const make = (format) => AddressSpace.create({ format, memory, allocator: new FrameStack(0, FRAMES) });

/** Median time of a call of `map` with new tables, and the entries that it writes. */
function mapping(space, bytes, options) {
  const length = BigInt(bytes);
  const times = [];
  let tables = 0;
  let leaves = 0;
  for (let sum = 0; times.length < 5 || (sum < ENOUGH && times.length < MOST); ) {
    const [time, { tablesMade }] = timedOnce(() =>
      space.map(VIRT, length, { physical: 0n, rights: 'rw', ...options }),
    );
    times.push(time);
    sum += time;
    tables = tablesMade.length;
    leaves = options.maxPage === PAGE ? bytes / 4096 : largestPages(bytes);
    space.unmap(VIRT, length);
  }
  return { bytes, entries: leaves + tables, ns: median(times) };
}

/** Pages that a power of 2 of bytes takes, from an address on that is aligned to all of them. */
function largestPages(bytes) {
  return bytes / [GIB, 2 * KIB ** 2, 4 * KIB].find((size) => size <= bytes);
}

function curve(name, most, options) {
  const space = make('4-level');
  const points = [];
  // Without note at first: V8 compiles in the meantime.
  for (let bytes = 4 * KIB; bytes <= GIB; bytes *= 4) mapping(space, bytes, options);
  for (let bytes = 4 * KIB; bytes <= most; bytes *= 4) points.push(mapping(space, bytes, options));
  console.log(`\nmap, ${name}`);
  for (const { bytes, entries, ns } of points) {
    const cells = [
      sizeOf(bytes).padStart(8),
      `${entries} entries`.padStart(18),
      `${(ns / 1000).toFixed(1)} us`.padStart(13),
    ];
    console.log(`${cells.join('  ')}  ${(ns / entries).toFixed(2).padStart(8)} ns per entry`);
  }
  return { name, points };
}

function sizeOf(bytes) {
  const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'];
  const unit = Math.floor(Math.log2(bytes) / 10);
  return `${bytes / KIB ** unit} ${units[unit]}`;
}

/** Time and memory of a list of 16 million leaves. */
function lists() {
  const bytes = BigInt(LEAVES) * PAGE;
  const merged = make('4-level');
  merged.map(VIRT, bytes, { physical: 0n, rights: 'rw', maxPage: PAGE });
  console.log('\nregions of 16,777,216 leaves');
  list('that merge into one row', merged);
  const limit = timedOnce(() => {
    let found = 0;
    for (let i = 0; i < LEAVES * 2; i += 2) found += words[i] & 1;
    return found;
  });
  console.log(`  a plain loop over as many entries: ${(limit[0] / 1e6).toFixed(0)} ms`);
  // Every other page read-only, by hand: quicker than 8 million calls.
  for (let i = 0; i < words.length; i += 4) if ((words[i] & 0xff) === 0x63) words[i] &= ~0x42;
  list('of alternating rights, none of which merges', merged);
}

function list(what, space) {
  globalThis.gc?.();
  const before = process.memoryUsage().heapUsed;
  const [time, rows] = timedOnce(() => space.regions({ maxRows: LEAVES }));
  globalThis.gc?.();
  const kept = process.memoryUsage().heapUsed - before;
  const each = `${(time / LEAVES).toFixed(1)} ns a leaf`;
  console.log(
    `  ${what}: ${rows.length} rows, ${(time / 1e6).toFixed(0)} ms, ${each}; heap ${(kept / 2 ** 20).toFixed(0)} MiB more`,
  );
}

const curves = [
  curve('4-KiB pages', 256 * GIB, { maxPage: PAGE }),
  curve('the largest pages that fit', TIB, {}),
];
const largest = make('sv48');
const [ns] = [median(Array.from({ length: 200 }, () => timeOf(largest)))];
console.log(`\nmap of 1 TiB in two 512-GiB pages of Sv48: ${(ns / 1000).toFixed(1)} us`);

function timeOf(space) {
  const [time] = timedOnce(() => space.map(1n << 40n, 1n << 40n, { physical: 0n, rights: 'rw' }));
  space.unmap(1n << 40n, 1n << 40n);
  return time;
}

lists();
if (process.argv[2] !== undefined) writeFileSync(process.argv[2], plot(curves));
