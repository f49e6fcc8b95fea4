// Page sizes are types for the recursive mapper too: `npm run types` refuses this file if a line marked as an error compiles, or
// another one does not.
import { expect, test } from 'vitest';
import type { X86Cpu } from '../../src/cpu/index.ts';
import type {
  CleanUp,
  FlushSink,
  FrameAllocator,
  Mapper,
  MapperAllSizes,
  MapperFlush,
  MapperFlushAll,
  Page,
  PageTable,
  PageTableFlags,
  PageTableIndex,
  PhysAddr,
  PhysFrame,
  Processor,
  ReadonlyPageTable,
  Size1GiB,
  Size2MiB,
  Size4KiB,
  TableMemory,
  Translate,
} from '../../src/x86_64/index.ts';
import { RecursivePageTable } from '../../src/x86_64/index.ts';

/** Takes a value of a type. */
declare function want<T>(value: T): void;

/** One of everything. */
interface Given {
  readonly cpu: X86Cpu;
  readonly mapper: RecursivePageTable;
  readonly allocator: FrameAllocator;
  readonly flags: PageTableFlags;
  readonly index: PageTableIndex;
  readonly sink: FlushSink;
  readonly page4: Page<Size4KiB>;
  readonly page2: Page<Size2MiB>;
  readonly page1: Page<Size1GiB>;
  readonly frame4: PhysFrame<Size4KiB>;
  readonly frame2: PhysFrame<Size2MiB>;
}

/** Lines that must compile. */
function accepted({ cpu, mapper, allocator, flags, index, sink, page4, page2, page1, frame2 }: Given): void {
  want<Processor>(cpu);
  want<TableMemory>(cpu);
  want<Mapper<Size4KiB>>(mapper);
  want<Mapper<Size2MiB>>(mapper);
  want<Mapper<Size1GiB>>(mapper);
  want<MapperAllSizes>(mapper);
  want<Translate>(mapper);
  want<CleanUp>(mapper);
  want<ReadonlyPageTable>(mapper.level4Table());
  want<PageTable>(mapper.level4TableMut());
  want<RecursivePageTable>(new RecursivePageTable(mapper.level4TableMut(), { sink }));
  want<RecursivePageTable>(new RecursivePageTable(mapper.level4TableMut(), { sink: cpu }));
  want<RecursivePageTable>(RecursivePageTable.newUnchecked(mapper.level4TableMut(), index));
  want<MapperFlush<Size2MiB>>(mapper.mapTo(page2, frame2, flags, allocator));
  want<MapperFlush<Size2MiB>>(mapper.identityMap(frame2, flags, allocator));
  want<{ frame: PhysFrame<Size2MiB>; flush: MapperFlush<Size2MiB> }>(mapper.unmap(page2));
  want<PhysFrame<Size1GiB>>(mapper.translatePage(page1));
  want<MapperFlushAll>(mapper.setFlagsP2Entry(page4, flags));
  want<bigint | undefined>(mapper.translateAddr(0n));
  want<PhysAddr | undefined>(mapper.translateAddr(page4.startAddress()));
}

/** Lines each of which must be refused. */
function refused({ mapper, allocator, flags, page4, page2, page1, frame4, frame2 }: Given): void {
  // @ts-expect-error a page of 4 KiB and a frame of 2 MiB
  mapper.mapTo(page4, frame2, flags, allocator);
  // @ts-expect-error a page of 1 GiB and a frame of 4 KiB
  mapper.mapToWithTableFlags(page1, frame4, flags, flags, allocator);
  // @ts-expect-error the frame that unmap gives has the size of the page
  want<{ frame: PhysFrame<Size4KiB> }>(mapper.unmap(page2));
  // @ts-expect-error so has the one that translatePage gives
  want<PhysFrame<Size4KiB>>(mapper.translatePage(page1));
  // @ts-expect-error an index is no number
  RecursivePageTable.newUnchecked(mapper.level4TableMut(), 200);
  // @ts-expect-error a table that is for reading only
  new RecursivePageTable(mapper.level4Table());
  // @ts-expect-error a table that is for reading only
  mapper.level4Table().zero();
}

test('the lines above are for the compiler', () => {
  expect([typeof accepted, typeof refused]).toEqual(['function', 'function']);
});
