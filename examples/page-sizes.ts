// Page sizes are types: the compiler refuses a page of one size where another is wanted, and so does the library.
import { flatMemory } from 'tablewalk/memory';
import {
  BumpFrameAllocator,
  type Mapper,
  OffsetPageTable,
  Page,
  PageTable,
  PageTableFlags,
  PhysAddr,
  PhysFrame,
  Size2MiB,
  VirtAddr,
} from 'tablewalk/x86_64';

const tables = new BumpFrameAllocator([PhysFrame.range(PhysFrame.fromPfn(2), PhysFrame.fromPfn(256))]);
const root = PageTable.at(flatMemory(new ArrayBuffer(4 << 20)), 0x1000n);
const mapper: Mapper<Size2MiB> = new OffsetPageTable(root, VirtAddr.zero());

const page: Page<Size2MiB> = Page.containingAddress(new VirtAddr(0xffff_ffff_8012_3456n), Size2MiB);
const large = PhysFrame.fromStartAddress(new PhysAddr(0x20_0000n), Size2MiB);
mapper.mapTo(page, large, PageTableFlags.PRESENT, tables).flush();
console.log(`${page} to ${mapper.translatePage(page)}`);

const small = PhysFrame.fromStartAddress(new PhysAddr(0x20_0000n));
try {
  // @ts-expect-error: a 4-KiB frame is no frame for a 2-MiB page
  mapper.mapTo(page.add(1), small, PageTableFlags.PRESENT, tables);
} catch (error) {
  console.log(String(error));
}

/* prints
Page[2MiB](0xffffffff80000000) to PhysFrame[2MiB](0x200000)
PageTableError: mapTo: Page[2MiB](0xffffffff80200000) and PhysFrame[4KiB](0x200000); expected the same size
*/
