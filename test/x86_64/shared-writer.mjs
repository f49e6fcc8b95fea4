// A thread that edits one page of tables in shared memory until it is told to stop. See shared-memory.test.ts.
import { parentPort, workerData } from 'node:worker_threads';
import { flatMemory } from '../../dist/memory/index.js';
import {
  OffsetPageTable,
  Page,
  PageTable,
  PageTableFlags,
  PhysFrame,
  VirtAddr,
} from '../../dist/x86_64/index.js';

const { ram, stop, root, pages, frames, halves } = workerData;
const memory = flatMemory(ram);
if (halves) {
  // What must not be done: the store of an entry in two parts.
  memory.storeEntry = (at, low, high) => {
    memory.words[at] = low;
    memory.words[at + 1] = high;
  };
}
const mapper = new OffsetPageTable(PageTable.at(memory, root), VirtAddr.zero());
const flags = PageTableFlags.PRESENT;
const none = { allocateFrame: () => undefined };
const [remapped, rewritten] = pages.map((number) => Page.fromPageNumber(number));
const [one, other] = frames.map((number) => PhysFrame.fromPfn(number));
const entry = PageTable.at(memory, 0x4000n).get(rewritten.p1Index());

let edits = 0;
parentPort.postMessage('started');
while (Atomics.load(stop, 0) === 0) {
  // Through nothing, as a kernel does it, and from one frame to the other at once.
  mapper.mapTo(remapped, one, flags, none).ignore();
  entry.setFrame(other, flags);
  mapper.unmap(remapped);
  mapper.mapTo(remapped, other, flags, none).ignore();
  entry.setFrame(one, flags);
  mapper.unmap(remapped);
  edits += 6;
}
parentPort.postMessage(edits);
