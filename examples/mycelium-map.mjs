// The mapper of mycelium's kernel, over a model of the processor: tables are reached through the address space that they map.
import { X86Cpu } from 'tablewalk/cpu';
import { BumpAlloc, GuardedMap, Mm, PAddr, Page, Size2Mb, Size4Kb, VAddr } from 'tablewalk/hal-core';
import { flatMemory } from 'tablewalk/memory';

// What a bootloader leaves: a PML4 in frame 1, whose entry 256 leads to a window of all physical memory.
const ram = flatMemory(new ArrayBuffer(1 << 20));
ram.writeEntry(1, 256, 0x2003, 0);
ram.writeEntry(2, 0, 0x83, 0);
const cpu = new X86Cpu(ram, { cr3: 0x1000n });
const mm = new Mm(cpu);
mm.initPaging(VAddr.fromUsize(0xffff_8000_0000_0000n));

const virt = (address, size = Size4Kb) => Page.startingAt(VAddr.fromUsize(address), size);
const phys = (address, size = Size4Kb) => Page.startingAt(PAddr.fromUsize(address), size);
const frames = new BumpAlloc([phys(0x10000n).rangeTo(phys(0x20000n))]);
const pages = mm.current();

pages.mapRange(
  virt(0x1ff000n).rangeInclusive(virt(0x200000n)),
  phys(0xa0000n).rangeInclusive(phys(0xa1000n)),
  (handle) => handle.setWritable(true),
  frames,
);
cpu.write(0x1ffffcn, 8, 0x1122_3344_5566_7788n); // over the end of the first page
console.log(`${frames.allocated} tables; 0x200000 holds 0x${cpu.read(0x200000n, 4).value.toString(16)}`);
pages.mapPage(virt(0x4000_0000n, Size2Mb), phys(0n, Size2Mb), frames).commit();
console.log(`0x400a1000 is ${pages.translateAddr(VAddr.fromUsize(0x400a_1000n))}`);
try {
  new GuardedMap(pages).identityMap(phys(0xb8000n), frames).setWritable(true).commit();
} catch (error) {
  console.log(`${error.code}: ${error.message}`);
}

/* prints
4 tables; 0x200000 holds 0x11223344
0x400a1000 is PAddr(0xa1000)
UNSAFE_MAPPING: commit: Page { base: VAddr(0xb8000), size: 4KB } would be writable and executable; expected at most one of the two
*/
