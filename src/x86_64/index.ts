export { alignDown, alignUp, PhysAddr, PhysAddrNotValid, VirtAddr, VirtAddrNotValid } from './addr.ts';
export { AddressNotAligned } from './block.ts';
export {
  FlagUpdateError,
  FrameError,
  InvalidPageTable,
  MapToError,
  TranslateError,
  UnmapError,
} from './errors.ts';
export { PageTableFlags } from './flags.ts';
export { type FlushSink, MapperFlush, MapperFlushAll } from './flush.ts';
export { PhysFrame, PhysFrameRange, PhysFrameRangeInclusive } from './frame.ts';
export {
  BumpFrameAllocator,
  type FrameAllocator,
  type FrameDeallocator,
  FreeListFrameAllocator,
} from './frame-allocator.ts';
export { type PageTableFrameMapping, PhysOffset } from './frame-mapping.ts';
export { MappedPageTable } from './mapped-page-table.ts';
export type {
  CleanUp,
  MappedFrame,
  Mapper,
  MapperAllSizes,
  MapperOptions,
  Translate,
  TranslateResult,
  Unmapped,
} from './mapper.ts';
export { OffsetPageTable } from './offset-page-table.ts';
export { type Index, Page, PageRange, PageRangeInclusive } from './page.ts';
export { type NotGiantPageSize, type PageSize, Size1GiB, Size2MiB, Size4KiB } from './page-size.ts';
export {
  PageTable,
  PageTableEntry,
  ReadonlyPageTable,
  ReadonlyPageTableEntry,
  type TableMemory,
} from './page-table.ts';
export type { Processor } from './processor.ts';
export { RecursivePageTable } from './recursive-page-table.ts';
export { PageOffset, PageTableIndex, PageTableLevel } from './table-index.ts';
