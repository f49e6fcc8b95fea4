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
import { COUNT, expect, row, smallWorkloads, timed } from './peers-rows.mjs';

const RAM_BYTES = 192 << 20;
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

const loads = smallWorkloads();

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
  for (const load of loads)
    row(run, `recursive ${load.map}`, 'Page', COUNT, () => timed(map, load, afresh())[0]);
  for (const load of loads) {
    const allocator = mapped(load);
    const checked = (work) => () => {
      const [time, sum] = timed(work, load);
      expect(sum, load.sum, work.name);
      return time;
    };
    row(run, `recursive map again 4K, ${load.order}`, 'Page', COUNT, () => {
      checked(unmap)();
      return timed(mapAgain, load, allocator)[0];
    });
    row(
      run,
      `recursive update flags 4K, ${load.order}`,
      'Page',
      COUNT,
      (i) => timed(update, load, i % 2 ? RW_NX : RW)[0],
    );
    row(run, `recursive translate page 4K, ${load.order}`, 'Page', COUNT, checked(translatePage));
    row(run, `recursive translate addr, ${load.order}`, 'VirtAddr', COUNT, checked(translateAddr));
    row(
      run,
      `recursive translate addr, ${load.order}`,
      'bigint',
      COUNT,
      () => timed(translateBigint, load)[0],
    );
    row(run, `recursive unmap 4K, ${load.order}`, 'Page', COUNT, () => {
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
