export { Address, InvalidAddress, PAddr, VAddr } from './addr.ts';
export { Alloc, BumpAlloc, EmptyAlloc } from './alloc.ts';
export { AllocError, NotAligned, TranslateError } from './errors.ts';
export { Handle, type PageFlags } from './handle.ts';
export { Map } from './map.ts';
export { Page, PageRange } from './page.ts';
export { Region } from './region.ts';
export { AnySize, MIN_PAGE_SIZE, type Size, Size1Gb, Size2Mb, Size4Kb, type StaticSize } from './size.ts';
