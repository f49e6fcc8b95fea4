// Page sizes are types: `npm run types` refuses this file if a line marked as an error compiles, or another one does not.
import { expect, test } from 'vitest';
import type {
  BumpFrameAllocator,
  FrameAllocator,
  FrameDeallocator,
  FreeListFrameAllocator,
  MappedPageTable,
  MapperFlush,
  NotGiantPageSize,
  OffsetPageTable,
  Page,
  PageRange,
  PageTable,
  PageTableEntry,
  PageTableFlags,
  PageTableFrameMapping,
  PageTableIndex,
  PhysAddr,
  PhysFrame,
  ReadonlyPageTable,
  ReadonlyPageTableEntry,
  Size1GiB,
  Size2MiB,
  Size4KiB,
  VirtAddr,
} from '../../src/x86_64/index.ts';
import type { PageSize } from './calls.ts';

/** Takes a value of a type. */
declare function want<T>(value: T): void;

/** One of everything. */
interface Given {
  readonly mapper: OffsetPageTable;
  readonly mapped: MappedPageTable<PageTableFrameMapping>;
  readonly allocator: FrameAllocator;
  readonly deallocator: FrameDeallocator;
  readonly flags: PageTableFlags;
  readonly page4: Page<Size4KiB>;
  readonly page2: Page<Size2MiB>;
  readonly page1: Page<Size1GiB>;
  readonly frame4: PhysFrame<Size4KiB>;
  readonly frame2: PhysFrame<Size2MiB>;
  readonly frame1: PhysFrame<Size1GiB>;
  readonly table: ReadonlyPageTable;
  readonly entry: ReadonlyPageTableEntry;
  readonly range4: PageRange<Size4KiB>;
  readonly range2: PageRange<Size2MiB>;
  readonly virt: VirtAddr;
  readonly phys: PhysAddr;
}

/** Lines that must compile. */
function accepted(given: Given): void {
  const { mapper, mapped, allocator, deallocator, flags, page4, page2, page1, frame4, frame2, frame1 } =
    given;
  want<MapperFlush<Size4KiB>>(mapper.mapTo(page4, frame4, flags, allocator));
  want<MapperFlush<Size2MiB>>(mapper.mapTo(page2, frame2, flags, allocator));
  want<MapperFlush<Size1GiB>>(mapper.mapToWithTableFlags(page1, frame1, flags, flags, allocator));
  want<MapperFlush<Size2MiB>>(mapped.mapTo(page2, frame2, flags, allocator));
  want<{ frame: PhysFrame<Size2MiB>; flush: MapperFlush<Size2MiB> }>(mapper.unmap(page2));
  want<PhysFrame<Size1GiB>>(mapper.translatePage(page1));
  want<bigint | undefined>(mapper.translateAddr(0x1000n));
  want<PhysAddr | undefined>(mapper.translateAddr(given.virt));
  want<ReadonlyPageTable>(mapper.level4Table());
  want<PageTable>(mapper.level4TableMut());
  want<Page>(page4);
  want<Page<PageSize>>(page2);
  want<Page<NotGiantPageSize>>(page2);
  want<PageTableIndex>(page4.p1Index());
  want<PageTableIndex>(page2.p2Index());
  want<PageTableIndex>(page4.p2Index());
  want<PageTableIndex>(page1.p3Index());
  want<number>(page2.sub(page2));
  want<Page<Size2MiB>>(page2.sub(1));
  want<Page<Size2MiB>>(page2.add(1n));
  want<bigint>(given.virt.sub(given.virt));
  want<VirtAddr>(given.virt.sub(1n));
  want<PageRange<Size4KiB>>(given.range2.as4kibPageRange());
  want<ReadonlyPageTableEntry>(given.table.get(0));
  want<PageTableEntry>(given.entry.clone());
  want<PageTable>(given.table.clone());
  want<FrameAllocator>({ allocateFrame: () => undefined });
  want<FrameAllocator<Size2MiB>>({ allocateFrame: () => frame2 });
  want<FrameDeallocator>(deallocator);
  for (const page of given.range4) want<Page<Size4KiB>>(page);
  const found = mapper.translate(0n);
  if (found.kind === 'Mapped') want<bigint>(found.frame.size());
  else if (found.kind === 'InvalidFrameAddress') want<PhysAddr>(found.addr);
  else want<'NotMapped'>(found.kind);
}

/** Lines each of which must be refused. */
function refused(given: Given): void {
  const { mapper, mapped, allocator, flags, page4, page2, page1, frame4, frame2, frame1 } = given;
  // @ts-expect-error a page of 4 KiB and a frame of 2 MiB
  mapper.mapTo(page4, frame2, flags, allocator);
  // @ts-expect-error a page of 2 MiB and a frame of 4 KiB
  mapper.mapTo(page2, frame4, flags, allocator);
  // @ts-expect-error a page of 1 GiB and a frame of 2 MiB
  mapper.mapToWithTableFlags(page1, frame2, flags, flags, allocator);
  // @ts-expect-error a page of 2 MiB and a frame of 1 GiB
  mapped.mapTo(page2, frame1, flags, allocator);
  // @ts-expect-error a page of 2 MiB where one of 4 KiB is wanted
  want<Page<Size4KiB>>(page2);
  // @ts-expect-error the same, where the size is left out
  want<Page>(page2);
  // @ts-expect-error a page of 4 KiB where one of 2 MiB is wanted
  want<Page<Size2MiB>>(page4);
  // @ts-expect-error a page of 1 GiB where one of 4 KiB or 2 MiB is wanted
  want<Page<NotGiantPageSize>>(page1);
  // @ts-expect-error a frame of 2 MiB where one of 4 KiB is wanted
  want<PhysFrame<Size4KiB>>(frame2);
  // @ts-expect-error a frame of 4 KiB where one of 1 GiB is wanted
  want<PhysFrame<Size1GiB>>(frame4);
  // @ts-expect-error a page is no frame
  want<PhysFrame<Size4KiB>>(page4);
  // @ts-expect-error a physical address is no virtual one
  want<VirtAddr>(given.phys);
  // @ts-expect-error a virtual address is no physical one
  want<PhysAddr>(given.virt);
  // @ts-expect-error a page of 2 MiB has no index in a level-1 table
  page2.p1Index();
  // @ts-expect-error a page of 1 GiB has no index in a level-1 table
  page1.p1Index();
  // @ts-expect-error a page of 1 GiB has no index in a level-2 table
  page1.p2Index();
  // @ts-expect-error pages of different sizes have no difference
  page2.sub(page4);
  // @ts-expect-error frames of different sizes have no difference
  frame2.sub(frame4);
  // @ts-expect-error an entry that is for reading only
  given.entry.setFlags(flags);
  // @ts-expect-error an entry that is for reading only
  given.entry.setUnused();
  // @ts-expect-error an entry of a table that is for reading only
  mapper.level4Table().get(0).setAddr(given.phys, flags);
  // @ts-expect-error a table that is for reading only
  given.table.zero();
  // @ts-expect-error a table that is for reading only is none that can be written
  want<PageTable>(given.table);
  // @ts-expect-error a range of 4-KiB pages has 4-KiB pages already
  given.range4.as4kibPageRange();
  // @ts-expect-error a range of 2-MiB pages where one of 4-KiB pages is wanted
  want<PageRange<Size4KiB>>(given.range2);
  // @ts-expect-error an allocator of 2-MiB frames makes no tables
  mapper.mapTo(page4, frame4, flags, want2MiB);
  // @ts-expect-error the frame that unmap gives has the size of the page
  want<{ frame: PhysFrame<Size4KiB> }>(mapper.unmap(page2));
  // @ts-expect-error so has the one that translatePage gives
  want<PhysFrame<Size4KiB>>(mapper.translatePage(page1));
  // @ts-expect-error flags are no number
  mapper.updateFlags(page4, 3n);
  // @ts-expect-error a bump allocator takes nothing back
  want<FrameDeallocator>({} as BumpFrameAllocator<Size4KiB>);
  // @ts-expect-error a free list of 2-MiB frames takes no 4-KiB frame back
  ({}) as FreeListFrameAllocator<Size2MiB> satisfies FrameDeallocator<Size4KiB>;
}

declare const want2MiB: FrameAllocator<Size2MiB>;

test('the lines above are for the compiler', () => {
  expect([typeof accepted, typeof refused]).toEqual(['function', 'function']);
});
