// Speed as ratios within one run: npm run bench
import { captureTables } from '../dist/capture/index.js';
import { knownX86Control, resolveX86Control, x86Paging } from '../dist/format/index.js';
import { listRegions } from '../dist/inspect/index.js';
import { flatMemory } from '../dist/memory/index.js';
import { openFile } from '../dist/source/node/index.js';
import { Cursor, DONE, PAGE, TABLE, Walker } from '../dist/walk/index.js';
import { mapperAllocation } from './mapper-allocation.mjs';
import { allocation, measure, median, ratio } from './measure.mjs';
import { processorRows } from './processor.mjs';
import { everything, FIRST, fourLevel, gibibyte, PAGES, sparse } from './tables.mjs';

const ROUNDS = Number(process.argv[2] ?? 41);
const words = gibibyte();
const sequential = Float64Array.from({ length: PAGES }, (_, i) => FIRST + i);
const random = new Float64Array(PAGES);
for (let i = 0, seed = 1; i < PAGES; i += 1) {
  seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) | 0;
  random[i] = FIRST + ((seed >>> 8) % PAGES);
}
const addresses = Array.from(random.subarray(0, 65_536), (page) => BigInt(page) << 12n);

/** What one would write by hand for four levels in one flat array: present bit, both halves of the address, no more. */
function bareWalk(page) {
  let at = ((page * (1 / 0x800_0000)) & 511) << 1;
  let low = words[at];
  let high = words[at + 1];
  if ((low & 1) === 0) return -1;
  at = (((high << 20) | (low >>> 12)) << 10) | (((page >>> 18) & 511) << 1);
  low = words[at];
  high = words[at + 1];
  if ((low & 1) === 0) return -1;
  at = (((high << 20) | (low >>> 12)) << 10) | (((page >>> 9) & 511) << 1);
  low = words[at];
  high = words[at + 1];
  if ((low & 1) === 0) return -1;
  at = (((high << 20) | (low >>> 12)) << 10) | ((page & 511) << 1);
  low = words[at];
  high = words[at + 1];
  return (low & 1) === 0 ? -1 : (high << 20) | (low >>> 12);
}

/** The same with the low halves only: right while no frame lies above 4 GiB. */
function bareWalkLow(page) {
  let entry = words[((page * (1 / 0x800_0000)) & 511) << 1];
  if ((entry & 1) === 0) return -1;
  entry = words[((entry >>> 12) << 10) | (((page >>> 18) & 511) << 1)];
  if ((entry & 1) === 0) return -1;
  entry = words[((entry >>> 12) << 10) | (((page >>> 9) & 511) << 1)];
  if ((entry & 1) === 0) return -1;
  entry = words[((entry >>> 12) << 10) | ((page & 511) << 1)];
  return (entry & 1) === 0 ? -1 : entry >>> 12;
}

const flatWalker = new Walker(flatMemory(words.buffer), fourLevel());
const sparseWalker = new Walker(sparse(words), fourLevel());
const chain = new Uint32Array(words.length);
for (let i = 0; i < chain.length; i += 1) chain[i] = (i + 5_009_201) % chain.length;

const filled = new Uint32Array(chain.length);

const machine = await openFile(new URL('../samples/linux-amd64-la48/core.elf.gz', import.meta.url).pathname);
const samplePaging = x86Paging(
  resolveX86Control(knownX86Control(machine.cpus[0].registers), machine.longMode).control,
);
const sampleMemory = (await captureTables(machine, samplePaging)).memory;
await machine.close();

function countPages(memory, paging) {
  const cursor = new Cursor(memory, paging);
  let pages = 0;
  for (let event = cursor.next(); event !== DONE; event = cursor.next()) if (event === PAGE) pages += 1;
  return pages;
}
const leaves = countPages(sampleMemory, samplePaging);

// One function per row, so that each loop is compiled for its own callee.
const rows = [
  row('bare walk, both halves, random', 'page number', random, (p, from, to) => {
    let sum = 0;
    for (let i = from; i < to; i += 1) sum = (sum + bareWalk(p[i])) | 0;
    return sum;
  }),
  row('bare walk, low halves only, random', 'page number', random, (p, from, to) => {
    let sum = 0;
    for (let i = from; i < to; i += 1) sum = (sum + bareWalkLow(p[i])) | 0;
    return sum;
  }),
  row('translate, flat, random', 'page number', random, (p, from, to) => {
    let sum = 0;
    for (let i = from; i < to; i += 1) sum = (sum + flatWalker.translate(p[i])) | 0;
    return sum;
  }),
  row('translate, flat, sequential', 'page number', sequential, (p, from, to) => {
    let sum = 0;
    for (let i = from; i < to; i += 1) sum = (sum + flatWalker.translate(p[i])) | 0;
    return sum;
  }),
  row('translate, sparse, random', 'page number', random, (p, from, to) => {
    let sum = 0;
    for (let i = from; i < to; i += 1) sum = (sum + sparseWalker.translate(p[i])) | 0;
    return sum;
  }),
  row('translate, sparse, sequential', 'page number', sequential, (p, from, to) => {
    let sum = 0;
    for (let i = from; i < to; i += 1) sum = (sum + sparseWalker.translate(p[i])) | 0;
    return sum;
  }),
  row('translateAddress, flat, random', 'bigint', addresses, (a, from, to) => {
    let sum = 0n;
    for (let i = from; i < to; i += 1) sum ^= flatWalker.translateAddress(a[i]) ?? 0n;
    return sum;
  }),
  row('path, flat, random', 'object', random.subarray(0, 16_384), (p, from, to) => {
    let sum = 0;
    for (let i = from; i < to; i += 1) sum = (sum + (flatWalker.path(p[i]).frame ?? 0)) | 0;
    return sum;
  }),
  row('limit: dependent load', 'machine', { length: 65_536 }, (_, from, to) => {
    let at = from;
    for (let i = from; i < to; i += 1) at = chain[at];
    return at;
  }),
  ...processorRows(row, random),
  whole('limit: fill a word', 'machine', filled.length, () => filled.fill(7)),
  whole('Cursor, each page of the sample', 'object', leaves, () => countPages(sampleMemory, samplePaging)),
  whole('listRegions, each page of the sample', 'object', leaves, () =>
    listRegions(sampleMemory, samplePaging),
  ),
];

/** A row that does many operations: in short calls, so that V8 compiles the loop as it would a caller's. */
function row(name, kind, operations, body) {
  const work = () => {
    for (let from = 0; from < operations.length; from += 1024) body(operations, from, from + 1024);
  };
  return { name, interface: kind, count: operations.length, work };
}

/** A row that is one long operation, counted in parts. */
function whole(name, kind, count, work) {
  return { name, interface: kind, count, work };
}

/** Uses every format and every kind of memory, as a long-lived process does. */
function useEverything() {
  const { memories, pagings } = everything();
  for (const memory of memories) {
    for (const paging of pagings) {
      const walker = new Walker(memory, paging);
      const limit = paging.format.fact.vaBits === 32 ? 2 ** 20 : 2 ** 52;
      for (let i = 0; i < 20_000; i += 1) walker.translate((i % 2 ? random[i] : i) % limit);
      for (let i = 0; i < 500; i += 1) walker.path(random[i] % limit);
      // Tables read in a format that they were not made for can lead anywhere: each is passed over at the second level.
      const cursor = new Cursor(memory, paging);
      for (let event = cursor.next(); event !== DONE; event = cursor.next()) {
        if (event === TABLE && cursor.depth === 1) cursor.skip();
      }
    }
  }
}

const first = measure(rows, ROUNDS);
useEverything();
const second = measure(rows, ROUNDS);

const BASE = 'bare walk, both halves, random';
console.log(
  `Median of ${ROUNDS} interleaved rounds; Node ${process.version}. "x bare" is against "${BASE}", same run.\n`,
);
const cells = [['row', 'interface', 'ns', 'x bare', 'second run', 'second / first']];
for (const { name, interface: kind } of rows) {
  const before = median(first.get(name));
  const after = median(second.get(name));
  cells.push([
    name,
    kind,
    before.toFixed(2),
    ratio(first, name, BASE).toFixed(2),
    after.toFixed(2),
    (ratio(second, name, BASE) / ratio(first, name, BASE)).toFixed(2),
  ]);
}
const widths = cells[0].map((_, i) => Math.max(...cells.map((line) => line[i].length)));
for (const line of cells) {
  console.log(
    line
      .map((cell, i) => (i < 2 ? cell.padEnd(widths[i]) : cell.padStart(widths[i])))
      .join('  ')
      .trimEnd(),
  );
}

console.log(`
TLB hit / array load: ${['X86Cpu.translate, TLB hit', 'X86Cpu.load, TLB hit, 4 bytes']
  .map((name) => `${name} ${ratio(first, name, 'limit: array load, 1 MiB').toFixed(2)}`)
  .join('; ')}.`);
const all = (median(first.get('Cursor, each page of the sample')) * leaves) / 1e6;
console.log(`\nAll ${leaves} pages of the sample: ${all.toFixed(1)} ms.`);
for (const name of ['translate, flat, random', 'translate, sparse, random']) {
  const { bytes, collections } = await allocation(
    rows.find((one) => one.name === name),
    20,
  );
  console.log(
    `${name}: ${bytes.toFixed(3)} bytes allocated per walk, ${collections} garbage collections in ${20 * PAGES} walks.`,
  );
}
for (const line of mapperAllocation()) console.log(line);
