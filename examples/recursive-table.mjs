// A recursive page table from nothing: one entry that points back to its table makes all tables appear in the address space.
import { X86Cpu } from 'tablewalk/cpu';
import { flatMemory } from 'tablewalk/memory';
import {
  BumpFrameAllocator,
  Page,
  PageTable,
  PageTableFlags,
  PageTableIndex,
  PhysFrame,
  RecursivePageTable,
  VirtAddr,
} from 'tablewalk/x86_64';

const { PRESENT, WRITABLE } = PageTableFlags;
const ram = flatMemory(new ArrayBuffer(1 << 20));
const frames = new BumpFrameAllocator([PhysFrame.range(PhysFrame.fromPfn(2), PhysFrame.fromPfn(128))]);

// Before paging is on: the level-4 table is frame 1, and its entry 510 points to frame 1.
const loop = new PageTableIndex(510);
PageTable.at(ram, 0x1000n).get(loop).setFrame(PhysFrame.fromPfn(1), PRESENT.union(WRITABLE));
const cpu = new X86Cpu(ram, { cr3: 0x1000n });

// Four times through the loop, a walk ends at the level-4 table itself.
const window = Page.fromPageTableIndices(loop, loop, loop, loop);
const mapper = new RecursivePageTable(PageTable.at(cpu, window.startAddress().asU64()));
console.log(`the level-4 table appears at ${window}`);

// From here on, no physical address is used: the processor walks to every table, as it does for a kernel.
const page = Page.containingAddress(new VirtAddr(0xffff_8000_0000_0000n));
mapper.mapTo(page, PhysFrame.fromPfn(200), PRESENT.union(WRITABLE), frames).flush();
cpu.write(0xffff_8000_0000_0123n, 8, 0x1122_3344_5566_7788n);
const { value } = cpu.read(0xffff_8000_0000_0123n, 8);
console.log(`the page is in ${mapper.translatePage(page)}, and holds 0x${value.toString(16)}`);

// Once through the loop less, the level-3 table of the page appears, and so on down.
const [i4, i3, i2] = [page.p4Index(), page.p3Index(), page.p2Index()];
const level1 = PageTable.at(cpu, Page.fromPageTableIndices(loop, i4, i3, i2).startAddress().asU64());
console.log(`its level-1 table appears as ${level1}; entry 0 is ${level1.get(page.p1Index())}`);

/* prints
the level-4 table appears at Page[4KiB](0xffffff7fbfdfe000)
the page is in PhysFrame[4KiB](0xc8000), and holds 0x1122334455667788
its level-1 table appears as PageTable at 0xffffff4000000000; entry 0 is PageTableEntry { addr: PhysAddr(0xc8000), flags: PageTableFlags(PRESENT | WRITABLE | ACCESSED | DIRTY) }
*/
