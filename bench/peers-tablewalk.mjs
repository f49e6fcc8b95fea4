// tablewalk's side of bench/peers.mjs: node bench/peers-tablewalk.mjs ROUNDS, after npm run build.

import { flatMemory, SparseMemory } from '../dist/memory/index.js';
import {
  BumpFrameAllocator,
  FreeListFrameAllocator,
  MappedPageTable,
  OffsetPageTable,
  Page,
  PageTable,
  PageTableFlags,
  PhysFrame,
  Size2MiB,
  Size4KiB,
  VirtAddr,
} from '../dist/x86_64/index.js';
import { COUNT, expect, inOrder, row, smallWorkloads, timed, workload } from './peers-rows.mjs';

const RAM_BYTES = 192 << 20;
const { PRESENT, WRITABLE, NO_EXECUTE } = PageTableFlags;
const RW = PRESENT.union(WRITABLE);
const RW_NX = RW.union(NO_EXECUTE);

const ram = new ArrayBuffer(RAM_BYTES);
new Uint8Array(ram).fill(0);
const memory = flatMemory(ram);
const root = PageTable.at(memory, 0n);
const mapper = new OffsetPageTable(root, VirtAddr.zero());
const tableFrames = PhysFrame.range(PhysFrame.fromPfn(1), PhysFrame.fromPfn(RAM_BYTES / 4096));

const small = smallWorkloads();
const large = [512, 32_768].map((count) =>
  workload({ map: `map 2M, ${count} in order` }, inOrder(count, Size2MiB), 0, Size2MiB),
);

// Pages and frames are prepared, as the Rust side's are, so that the mapper alone is timed. One function per row, each
// called for 1,024 pages at a time, so that V8 compiles it as it would a caller's.

function map({ pages, frames }, from, to, allocator) {
  for (let i = from; i < to; i += 1) mapper.mapTo(pages[i], frames[i], RW, allocator).ignore();
}

function mapNumbers({ numbers, first, size }, from, to, allocator) {
  for (let i = from; i < to; i += 1) {
    const page = Page.fromPageNumber(numbers[i], size);
    mapper.mapTo(page, PhysFrame.fromPfn(first + i * size.pages, size), RW, allocator).ignore();
  }
}

function mapLarge({ pages, frames }, from, to, allocator) {
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
  for (let i = from; i < to; i += 1) sum = (sum + mapper.translateAddr(addresses[i]).low) | 0;
  return sum;
}

function translateBigint({ bigints }, from, to) {
  let sum = 0n;
  for (let i = from; i < to; i += 1) sum ^= mapper.translateAddr(bigints[i]);
  return sum;
}

function afresh() {
  root.zero();
  return new BumpFrameAllocator([tableFrames]);
}

function mapped(load) {
  for (let i = 0, allocator = afresh(); i < load.pages.length; i += 1) {
    mapper.mapTo(load.pages[i], load.frames[i], RW, allocator);
  }
}

function measure(run) {
  for (const load of small) {
    row(run, load.map, 'Page', COUNT, () => timed(map, load, afresh())[0]);
    row(run, load.map, 'Page, made from its number', COUNT, () => timed(mapNumbers, load, afresh())[0]);
  }
  for (const load of large)
    row(run, load.map, 'Page', load.pages.length, () => timed(mapLarge, load, afresh())[0]);
  for (const load of small) {
    mapped(load);
    const checked = (work) => () => {
      const [time, sum] = timed(work, load);
      expect(sum, load.sum, work.name);
      return time;
    };
    row(
      run,
      `update flags 4K, ${load.order}`,
      'Page',
      COUNT,
      (i) => timed(update, load, i % 2 ? RW_NX : RW)[0],
    );
    row(run, `translate page 4K, ${load.order}`, 'Page', COUNT, checked(translatePage));
    row(run, `translate addr, ${load.order}`, 'VirtAddr', COUNT, () => timed(translateAddr, load)[0]);
    row(run, `translate addr, ${load.order}`, 'bigint', COUNT, () => timed(translateBigint, load)[0]);
    row(run, `unmap 4K, ${load.order}`, 'Page', COUNT, () => {
      mapped(load);
      return checked(unmap)();
    });
  }
  for (const load of small) cleanUp(run, load);
}

function cleanUp(run, load) {
  let tables = 0;
  const count = { deallocateFrame: () => (tables += 1) };
  const empty = () => {
    mapped(load);
    for (const page of load.pages) mapper.unmap(page);
    tables = 0;
    const start = process.hrtime.bigint();
    mapper.cleanUp(count);
    return Number(process.hrtime.bigint() - start);
  };
  empty();
  row(run, load.cleanUp, 'Page', tables, empty);
}

/** Uses every kind of memory and of mapper, as a long-lived process does. */
function useEverything() {
  const bytes = 1 << 20;
  const sparse = new SparseMemory();
  for (let frame = 0; frame < bytes / 4096; frame += 1) sparse.add(frame);
  const memories = [
    flatMemory(new SharedArrayBuffer(bytes)),
    flatMemory(new WebAssembly.Memory({ initial: bytes >> 16 })),
    flatMemory(new ArrayBuffer(bytes), [
      { address: 0n, offset: 0, length: bytes / 2 },
      { address: BigInt(bytes / 2), offset: bytes / 2, length: bytes / 2 },
    ]),
    sparse.memory,
  ];
  for (const each of memories) {
    const table = PageTable.at(each, 0n);
    const mapping = { frameToPointer: (frame) => PageTable.at(each, frame.startAddress().asU64()) };
    for (const other of [new OffsetPageTable(table, VirtAddr.zero()), new MappedPageTable(table, mapping)]) {
      for (let round = 0; round < 20; round += 1) {
        const allocator = new FreeListFrameAllocator([
          PhysFrame.range(PhysFrame.fromPfn(1), PhysFrame.fromPfn(64)),
        ]);
        for (const size of [Size4KiB, Size2MiB]) {
          for (let i = 0; i < 500; i += 1) {
            const page = Page.fromPageNumber(size.pages * (512 + i), size);
            const frame = PhysFrame.fromPfn(size.pages * i, size);
            other.mapTo(page, frame, RW, allocator).flush();
            other.updateFlags(page, RW_NX).flush();
            expect(other.translatePage(page).pfn(), frame.pfn(), 'translatePage');
            expect(
              other.translateAddr(page.startAddress().asU64()),
              frame.startAddress().asU64(),
              'translateAddr',
            );
            other.unmap(page).flush.flush();
          }
          other.cleanUp(allocator);
        }
      }
    }
  }
}

measure('first');
useEverything();
measure('second');
