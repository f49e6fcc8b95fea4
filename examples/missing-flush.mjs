// A forgotten TLB flush, found by an ordinary test. The processor remembers translations for as long as it is allowed to, so the
// mistake shows each time, and the detector says what it was.
import { X86Cpu } from 'tablewalk/cpu';
import { flatMemory } from 'tablewalk/memory';
import * as x86 from 'tablewalk/x86_64';

const { PRESENT, WRITABLE } = x86.PageTableFlags;
const flags = PRESENT.union(WRITABLE);
const ram = flatMemory(new ArrayBuffer(1 << 20));
const frames = new x86.BumpFrameAllocator([
  x86.PhysFrame.range(x86.PhysFrame.fromPfn(2), x86.PhysFrame.fromPfn(64)),
]);
x86.PageTable.at(ram, 0x1000n).get(510).setFrame(x86.PhysFrame.fromPfn(1), flags); // the loop of a recursive table
const cpu = new X86Cpu(ram, { cr3: 0x1000n }, { detector: { traces: true } });
const mapper = new x86.RecursivePageTable(x86.PageTable.at(cpu, 0xffff_ff7f_bfdf_e000n));
const page = x86.Page.containingAddress(new x86.VirtAddr(0x40_0000n));

/** Gives the page to another frame, as a kernel does when a process is swapped in somewhere else. */
function move(pfn, { flush }) {
  const removed = mapper.unmap(page);
  mapper.mapTo(page, x86.PhysFrame.fromPfn(pfn), flags, frames).ignore(); // nothing was mapped: nothing to forget
  if (flush) removed.flush.flush();
  else removed.flush.ignore(); // the mistake
}

mapper.mapTo(page, x86.PhysFrame.fromPfn(100), flags, frames).ignore();
cpu.write(0x40_0000n, 4, 0xaaaan); // goes to frame 100, which the processor now remembers

move(101, { flush: true });
cpu.write(0x40_0000n, 4, 0xbbbbn);
console.log(`with the flush:    ${cpu.detector.count} reports, frame 101 holds ${hex(101)}`);

move(102, { flush: false });
cpu.write(0x40_0000n, 4, 0xccccn);
console.log(
  `without the flush: ${cpu.detector.count} report, frame 101 holds ${hex(101)}, frame 102 ${hex(102)}\n`,
);

console.log(
  'The page belongs to frame 102 now, but the write went to frame 101: the processor had remembered the old',
);
console.log('translation in its TLB, and nobody had told it to forget.\n');
for (const { message } of cpu.detector.reports) console.log(message.replace(/file:\S*\//g, ''));

/** The first word of a frame. */
function hex(pfn) {
  return `0x${ram.words[ram.locate(pfn)].toString(16)}`;
}

/* prints
with the flush:    0 reports, frame 101 holds 0xbbbb
without the flush: 1 report, frame 101 holds 0xcccc, frame 102 0x0

The page belongs to frame 102 now, but the write went to frame 101: the processor had remembered the old
translation in its TLB, and nobody had told it to forget.

supervisor write of 0x0000000000400000 used a translation that is out of date
  remembered   0x0000000000400000 to 0x0000000000400fff at 0x0000000000065000
  the tables   lead to 0x0000000000066000
  changed      PTE at 0x0000000000004000, from 0x0000000000065063 to 0x0000000000066003
  by           a write to 0xffffff0000002000
               at move (missing-flush.mjs:21:10)
               at missing-flush.mjs:33:1
  was due      INVLPG 0x400000
  done since   nothing
*/
