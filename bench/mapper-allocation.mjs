import { flatMemory, SparseMemory } from '../dist/memory/index.js';
import {
  BumpFrameAllocator,
  OffsetPageTable,
  Page,
  PageTable,
  PageTableFlags,
  PhysFrame,
  VirtAddr,
} from '../dist/x86_64/index.js';
import { median } from './measure.mjs';

const COUNT = 16_384;
const FRAMES = 64;
const { PRESENT, WRITABLE } = PageTableFlags;

const RW = PRESENT.union(WRITABLE);

/**
 * Each call, what it returns, and the bytes of that on a 64-bit machine: of objects, three words and one for each field;
 * 40 of a bigint read from a typed array.
 */
const CALLS = [
  [
    'mapTo',
    'MapperFlush',
    40,
    ({ mapper, allocator }, { page, frame }) => mapper.mapTo(page, frame, RW, allocator),
  ],
  ['updateFlags', 'MapperFlush', 40, ({ mapper }, { page }) => mapper.updateFlags(page, PRESENT)],
  ['translatePage', 'PhysFrame', 48, ({ mapper }, { page }) => mapper.translatePage(page)],
  ['translateAddr', 'PhysAddr', 40, ({ mapper }, { address }) => mapper.translateAddr(address)],
  [
    'translateAddr',
    'bigint, as a typed array makes it,',
    40,
    ({ mapper }, { wide }) => mapper.translateAddr(wide),
  ],
  ['unmap', '{ frame, flush } and both', 128, ({ mapper }, { page }) => mapper.unmap(page)],
];

/**
 * Lines that say how many bytes each call of a mapper leaves on the heap, beside those of the objects that it returns.
 *
 * @returns {string[]}
 */
export function mapperAllocation() {
  const sparse = new SparseMemory();
  for (let frame = 0; frame < FRAMES; frame += 1) sparse.add(frame);
  const inputs = Array.from({ length: COUNT }, (_, i) => {
    const page = Page.fromPageNumber(0x7_f000_0000 + i);
    const address = page.startAddress();
    return { page, frame: PhysFrame.fromPfn(0x10_0000 + i), address, wide: address.asU64() };
  });
  const lines = [];
  for (const [kind, memory] of [
    ['flat', flatMemory(new ArrayBuffer(FRAMES * 4096))],
    ['sparse', sparse.memory],
  ]) {
    const found = new Map();
    // The last rounds are what compiled code does; a garbage collection falls into few of them.
    for (let round = 0; round < 30; round += 1) {
      const root = PageTable.at(memory, 0n);
      root.zero();
      const frames = PhysFrame.range(PhysFrame.fromPfn(1), PhysFrame.fromPfn(FRAMES));
      const setup = {
        mapper: new OffsetPageTable(root, VirtAddr.zero()),
        allocator: new BumpFrameAllocator([frames]),
      };
      for (const call of CALLS) {
        if (round < 20) bytesPerCall(setup, inputs, call[3]);
        else found.set(call, [...(found.get(call) ?? []), bytesPerCall(setup, inputs, call[3])]);
      }
    }
    for (const [[name, result, expected], bytes] of found) {
      lines.push(
        `${name}, ${kind} memory: ${median(bytes).toFixed(1)} bytes per call; ${result} has ${expected}.`,
      );
    }
  }
  return lines;
}

/** Bytes that a call leaves, its result kept alive so that it is really made. */
function bytesPerCall(setup, inputs, call) {
  const results = new Array(COUNT).fill(undefined);
  const before = process.memoryUsage().heapUsed;
  for (let i = 0; i < COUNT; i += 1) results[i] = call(setup, inputs[i]);
  return (process.memoryUsage().heapUsed - before) / results.length;
}
