// tablewalk's side of the recursive rows of bench/peers.mjs: node bench/peers-recursive.mjs ROUNDS, after
// npm run build. Each access to a table goes through the windows of the recursive entry, which the processor's model
// translates; what it remembers of that is part of what is timed. Flushes are ignored, as in Rust.

import { X86Cpu } from '../dist/cpu/index.js';
import { flatMemory, SparseMemory } from '../dist/memory/index.js';
import {
  BumpFrameAllocator,
  OffsetPageTable,
  Page,
  PageTable,
  PageTableFlags,
  PhysFrame,
  RecursivePageTable,
  Size2MiB,
  Size4KiB,
  VirtAddr,
} from '../dist/x86_64/index.js';

const ROUNDS = Number(process.argv[2] ?? 11);
const RAM_BYTES = 192 << 20;
const COUNT = 262_144;
/** The recursive entry, and the window of the root that it makes. */
const R = 100;
const WINDOW = [39n, 30n, 21n, 12n].reduce((address, shift) => address | (BigInt(R) << shift), 0n);
const { PRESENT, WRITABLE, NO_EXECUTE } = PageTableFlags;
const RW = PRESENT.union(WRITABLE);
const RW_NX = RW.union(NO_EXECUTE);

/** A root table in frame 0 that is empty but for its recursive entry, and a processor that uses it. */
function machine(memory, options) {
  const root = PageTable.at(memory, 0n);
  const cpu = new X86Cpu(memory, { cr3: 0n }, options);
  const reset = () => {
    root.zero();
    root.get(R).setFrame(PhysFrame.fromPfn(0), RW);
    cpu.reloadCr3();
  };
  reset();
  const mapper = new RecursivePageTable(PageTable.at(cpu, WINDOW));
  return { mapper, reset, offset: new OffsetPageTable(root, VirtAddr.zero()) };
}

const ram = new ArrayBuffer(RAM_BYTES);
new Uint8Array(ram).fill(0);
const { mapper, offset, reset } = machine(flatMemory(ram), { caching: 'all' });
const tableFrames = PhysFrame.range(PhysFrame.fromPfn(1), PhysFrame.fromPfn(RAM_BYTES / 4096));

/** Pages to map, in this order, the frames to map them to, and the names of the rows that do it. */
function workload(map, order, numbers) {
  const pages = numbers.map((number) => Page.fromPageNumber(number, Size4KiB));
  const frames = numbers.map((_, i) => PhysFrame.fromPfn(0x10_0000 + i));
  const addresses = pages.map((page) => page.startAddress().add(0x123));
  const bigints = addresses.map((address) => address.asU64());
  // What the addresses of all frames sum up to, modulo 2^32.
  let sum = 0;
  for (const frame of frames) sum = (sum + frame.low) | 0;
  return { map, order, pages, frames, addresses, bigints, sum };
}

/** Page numbers side by side. */
function inOrder() {
  return Array.from({ length: COUNT }, (_, i) => 0x7_f000_0000 + i);
}

/** A linear congruential generator of full period: it meets each of the 2^24 pages of 64 GiB once. */
function scattered() {
  let at = 0;
  return Array.from({ length: COUNT }, () => {
    at = (Math.imul(at, 1_664_525) + 1_013_904_223) & 0xff_ffff;
    return 0x1000_0000 + at;
  });
}

const loads = [
  workload('map 4K, 262144 in order', 'in order', inOrder()),
  workload('map 4K, 262144 random over 64 GiB', 'random', scattered()),
];

// Pages and frames are prepared, as the Rust side's are, so that the mapper alone is timed. One function per row, each
// called for 1,024 pages at a time, so that V8 compiles it as it would a caller's.

function map({ pages, frames }, from, to, allocator) {
  for (let i = from; i < to; i += 1) mapper.mapTo(pages[i], frames[i], RW, allocator).ignore();
}

function mapAgain({ pages, frames }, from, to, allocator) {
  for (let i = from; i < to; i += 1) mapper.mapTo(pages[i], frames[i], RW, allocator).ignore();
}

function update({ pages }, from, to, flags) {
  for (let i = from; i < to; i += 1) mapper.updateFlags(pages[i], flags).ignore();
}

function unmap({ pages }, from, to) {
  let sum = 0;
  for (let i = from; i < to; i += 1) {
    const { frame, flush } = mapper.unmap(pages[i]);
    flush.ignore();
    sum = (sum + frame.low) | 0;
  }
  return sum;
}

function translatePage({ pages }, from, to) {
  let sum = 0;
  for (let i = from; i < to; i += 1) sum = (sum + mapper.translatePage(pages[i]).low) | 0;
  return sum;
}

function translateAddr({ addresses }, from, to) {
  let sum = 0;
  for (let i = from; i < to; i += 1) sum = (sum + mapper.translateAddr(addresses[i]).low - 0x123) | 0;
  return sum;
}

function translateBigint({ bigints }, from, to) {
  let sum = 0n;
  for (let i = from; i < to; i += 1) sum ^= mapper.translateAddr(bigints[i]);
  return sum;
}

/** Long enough for V8 to compile for good and to move what lives on out of the way; Rust needs one pass. */
const WARM_UP = 500_000_000n;

/** Runs a row to warm up and then for each round, and prints what the driver reads. */
function row(run, name, kind, pass) {
  for (const end = process.hrtime.bigint() + WARM_UP; process.hrtime.bigint() < end; ) pass(0);
  const ns = Array.from({ length: ROUNDS }, (_, round) => pass(round + 1) / COUNT);
  console.log(
    JSON.stringify({ peer: 'tablewalk', row: `recursive ${name}`, interface: kind, run, count: COUNT, ns }),
  );
}

/** Nanoseconds that a function takes for all pages of a workload, and the sum of what it returns. */
function timed(work, load, extra) {
  const start = process.hrtime.bigint();
  let sum = 0;
  for (let from = 0; from < COUNT; from += 1024) {
    const part = work(load, from, from + 1024, extra);
    if (typeof part === 'number') sum = (sum + part) | 0;
  }
  return [Number(process.hrtime.bigint() - start), sum];
}

function expect(found, expected, what) {
  if (found !== expected) throw new Error(`${what}: ${found}; expected ${expected}`);
}

/** An empty root, and frames for all other tables. */
function afresh() {
  reset();
  return new BumpFrameAllocator([tableFrames]);
}

/** Maps all pages; a mapper that needs no windows must then find them. */
function mapped(load) {
  const allocator = afresh();
  timed(map, load, allocator);
  let sum = 0;
  for (const page of load.pages) sum = (sum + offset.translatePage(page).low) | 0;
  expect(sum, load.sum, 'OffsetPageTable');
  return allocator;
}

function measure(run) {
  for (const load of loads) row(run, load.map, 'Page', () => timed(map, load, afresh())[0]);
  for (const load of loads) {
    const allocator = mapped(load);
    const checked = (work) => () => {
      const [time, sum] = timed(work, load);
      expect(sum, load.sum, work.name);
      return time;
    };
    row(run, `map again 4K, ${load.order}`, 'Page', () => {
      checked(unmap)();
      return timed(mapAgain, load, allocator)[0];
    });
    row(run, `update flags 4K, ${load.order}`, 'Page', (i) => timed(update, load, i % 2 ? RW_NX : RW)[0]);
    row(run, `translate page 4K, ${load.order}`, 'Page', checked(translatePage));
    row(run, `translate addr, ${load.order}`, 'VirtAddr', checked(translateAddr));
    row(run, `translate addr, ${load.order}`, 'bigint', () => timed(translateBigint, load)[0]);
    row(run, `unmap 4K, ${load.order}`, 'Page', () => {
      timed(map, load, afresh());
      return checked(unmap)();
    });
  }
}

/** Uses every kind of memory and of mapper, as a long-lived process does. */
function useEverything() {
  const bytes = 1 << 20;
  const sparse = new SparseMemory();
  for (let frame = 0; frame < bytes / 4096; frame += 1) sparse.add(frame);
  const memories = [
    flatMemory(new SharedArrayBuffer(bytes)),
    flatMemory(new ArrayBuffer(bytes)),
    sparse.memory,
  ];
  for (const memory of memories) {
    for (const caching of ['all', 'none']) {
      const other = machine(memory, { caching });
      for (const each of [other.mapper, other.offset]) {
        for (let round = 0; round < 20; round += 1) {
          other.reset();
          const frames = PhysFrame.range(PhysFrame.fromPfn(1), PhysFrame.fromPfn(64));
          const allocator = new BumpFrameAllocator([frames]);
          for (const size of [Size4KiB, Size2MiB]) {
            for (let i = 0; i < 500; i += 1) {
              const page = Page.fromPageNumber(size.pages * (512 + i), size);
              const frame = PhysFrame.fromPfn(size.pages * i, size);
              each.mapTo(page, frame, RW, allocator).flush();
              each.updateFlags(page, RW_NX).flush();
              expect(each.translatePage(page).pfn(), frame.pfn(), 'translatePage');
              const address = each.translateAddr(page.startAddress().asU64());
              expect(address, frame.startAddress().asU64(), 'translateAddr');
              each.unmap(page).flush.flush();
            }
          }
        }
      }
    }
  }
}

measure('first');
useEverything();
measure('second');
