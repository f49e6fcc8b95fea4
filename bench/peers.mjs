// tablewalk beside Rust, in alternating processes: npm run bench:peers [-- RUNS [ROUNDS [SCRIPT]]]
import { spawnSync } from 'node:child_process';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { median, ratio } from './measure.mjs';

const RUNS = Number(process.argv[2] ?? 5);
const ROUNDS = Number(process.argv[3] ?? 11);
/** Scripts of tablewalk's side, and the part of the Rust program that each stands beside. */
const PARTS = {
  'peers-tablewalk.mjs': 'mappers',
  'peers-recursive.mjs': 'recursive',
  'peers-hyperlight.mjs': 'hyperlight',
  'peers-aarch64-paging.mjs': 'aarch64-paging',
  'peers-space.mjs': 'space',
};
const SCRIPTS = process.argv[4]
  ? [process.argv[4]]
  : Object.keys(PARTS).map((name) => fileURLToPath(new URL(name, import.meta.url)));
const CRATE = fileURLToPath(new URL('peers/', import.meta.url));
const PEERS = ['x86_64', 'page_table_multiarch', 'hyperlight-common', 'aarch64-paging'];

/**
 * What a process prints for each row, one line of JSON each: nanoseconds per operation of each round, and a checksum of
 * what was done, if it has one.
 * @typedef {{ peer: string, row: string, interface: string, run?: 'first' | 'second', count: number, ns: number[], sum?: number }} Line
 */

if (!(Number.isInteger(RUNS) && RUNS > 0 && Number.isInteger(ROUNDS) && ROUNDS > 0)) {
  fail(2, 'usage: node bench/peers.mjs [RUNS [ROUNDS [SCRIPT]]]');
}
if (SCRIPTS.some((script) => PARTS[basename(script)] === undefined)) {
  fail(2, `expected a script with one of the names ${Object.keys(PARTS).join(', ')}; found ${SCRIPTS}`);
}

/** Says what is wrong, and ends. */
function fail(code, message) {
  console.error(message);
  process.exit(code);
}

/** Output of a command that ends well; its errors go where ours go. */
function output(command, args, missing) {
  const options = { encoding: 'utf8', maxBuffer: 1 << 28, stdio: ['ignore', 'pipe', 'inherit'] };
  const { error, signal, status, stdout } = spawnSync(command, args, options);
  if (error?.code === 'ENOENT' && missing) fail(2, missing);
  if (error) throw error;
  if (status !== 0) fail(1, `${command} ${args.join(' ')}: ended with ${signal ?? `exit code ${status}`}`);
  return stdout;
}

/**
 * Lines of one process.
 * @returns {Line[]}
 */
function lines(command, args) {
  return output(command, args)
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));
}

/** Identifies what one line measures, in all runs. */
function keyOf({ peer, row, interface: kind, run = 'first' }) {
  return JSON.stringify(peer === 'tablewalk' ? [peer, row, kind, run] : [peer, row]);
}

/** Median of the runs' times, or `-`. */
function time(key) {
  return medians.has(key) ? median(medians.get(key)).toFixed(2) : '-';
}

/** Median of the runs' ratios, or `-` if a side is missing. */
function times(key, base) {
  return medians.has(key) && medians.has(base) ? ratio(medians, key, base).toFixed(2) : '-';
}

const missing =
  'npm run bench:peers builds a Rust program: it needs cargo (Rust 1.89 or newer), which is not there.';
const places = ['--manifest-path', `${CRATE}Cargo.toml`, '--target-dir', `${CRATE}target`];
output('cargo', ['build', '--release', '--locked', '--quiet', ...places], missing);
const rustc = output('rustc', ['--version'], missing).split(' ')[1];

/** Medians by what was measured, one for each run. */
const medians = new Map();
/** Operations and checksums by row. */
const counts = new Map();
const sums = new Map();
/** Interfaces of tablewalk by row, in the order of the table. */
const rows = new Map();
/** Interfaces of the peers, by peer. */
const interfaces = new Map(PEERS.map((peer) => [peer, new Set()]));

/** All sides must do the same. */
function compare(known, { peer, row }, found, what) {
  if (found === undefined) return;
  if ((known.get(row) ?? found) !== found) {
    fail(1, `"${row}": the ${what} is ${found} for ${peer}, and ${known.get(row)} for another side`);
  }
  known.set(row, found);
}

for (let run = 0; run < RUNS; run += 1) {
  for (const script of SCRIPTS) {
    // Rust's side is short: before and after, so that it meets the same changes of the machine's speed.
    const peers = () => lines(`${CRATE}target/release/peers`, [`${ROUNDS}`, PARTS[basename(script)]]);
    const times = new Map();
    for (const line of [...peers(), ...lines(process.execPath, [script, `${ROUNDS}`]), ...peers()]) {
      const { peer, row, interface: kind, count, ns, sum } = line;
      compare(counts, line, count, 'number of operations');
      compare(sums, line, sum, 'checksum');
      if (!rows.has(row)) rows.set(row, new Set());
      if (peer === 'tablewalk') rows.get(row).add(kind);
      else interfaces.get(peer).add(kind);
      const key = keyOf(line);
      times.set(key, [...(times.get(key) ?? []), ...ns]);
    }
    for (const [key, ns] of times) {
      if (!medians.has(key)) medians.set(key, []);
      medians.get(key)[run] = median(ns);
    }
  }
}

console.log(
  `Median of ${RUNS} alternating runs (${ROUNDS} rounds each); Node ${process.version}, rustc ${rustc}.`,
);
console.log('Nanoseconds per operation; a ratio is tablewalk / peer, run by run.\n');
const shown = PEERS.filter((peer) => interfaces.get(peer).size > 0);
const table = [
  ['row', 'interface', 'tablewalk', ...shown.flatMap((peer) => [peer, 'ratio']), 'second / first'],
];
for (const [row, kinds] of rows) {
  for (const kind of kinds.size === 0 ? ['-'] : kinds) {
    const own = { peer: 'tablewalk', row, interface: kind };
    const [first, second] = ['first', 'second'].map((run) => keyOf({ ...own, run }));
    const sides = shown
      .map((peer) => keyOf({ peer, row }))
      .flatMap((peer) => [time(peer), times(first, peer)]);
    table.push([row, kind, time(first), ...sides, times(second, first)]);
  }
}
const widths = table[0].map((_, i) => Math.max(...table.map((line) => line[i].length)));
for (const line of table) {
  console.log(line.map((text, i) => (i < 2 ? text.padEnd(widths[i]) : text.padStart(widths[i]))).join('  '));
}
console.log('\nInterfaces of the peers:');
for (const peer of shown) console.log(`  ${peer}: ${[...interfaces.get(peer)].join('; ')}`);
