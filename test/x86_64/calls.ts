/**
 * Calls on a mapper, with addresses and flags as numbers and answers as text: `Ok`, `Ok(0x777000)`, `Mapped 2MiB 0x200000
 * off 0x4123 flags 0x83`, the name of an error with what it carries, or `abort` for what is a panic in the original.
 */
import { PageTableError } from '../../src/bits/index.ts';
import {
  FlagUpdateError,
  type FrameAllocator,
  type FrameDeallocator,
  type MappedPageTable,
  type MapperFlush,
  MapToError,
  Page,
  PageTableFlags,
  type PageTableFrameMapping,
  PhysAddr,
  PhysFrame,
  Size1GiB,
  Size2MiB,
  Size4KiB,
  TranslateError,
  UnmapError,
  VirtAddr,
} from '../../src/x86_64/index.ts';

/** Any of the three sizes. */
export type PageSize = Size4KiB | Size2MiB | Size1GiB;

/** A page size by the last part of its debug text. */
export type SizeName = '4KiB' | '2MiB' | '1GiB';

/** The sizes by name. */
export const SIZES: Readonly<Record<SizeName, PageSize>> = {
  '4KiB': Size4KiB,
  '2MiB': Size2MiB,
  '1GiB': Size1GiB,
};

/** The calls, as the tests' own reference and the mappers of the library both answer them. */
export interface Calls {
  map(size: SizeName, page: bigint, frame: bigint, flags: bigint): string;
  mapWith(size: SizeName, page: bigint, frame: bigint, flags: bigint, parents: bigint): string;
  identity(size: SizeName, frame: bigint, flags: bigint): string;
  unmap(size: SizeName, page: bigint): string;
  update(size: SizeName, page: bigint, flags: bigint): string;
  setFlags(level: 4 | 3 | 2, size: SizeName, page: bigint, flags: bigint): string;
  translatePage(size: SizeName, page: bigint): string;
  translate(address: bigint): string;
  translateAddr(address: bigint): string;
  cleanUp(): string;
  /** Both ends are pages of 4 KiB and belong to the range. */
  cleanUpRange(first: bigint, last: bigint): string;
}

/** What `OffsetPageTable` and `MappedPageTable` have in common. */
export type Mapper = Pick<
  MappedPageTable<PageTableFrameMapping>,
  | 'level4Table'
  | 'level4TableMut'
  | 'mapTo'
  | 'mapToWithTableFlags'
  | 'identityMap'
  | 'unmap'
  | 'updateFlags'
  | 'setFlagsP4Entry'
  | 'setFlagsP3Entry'
  | 'setFlagsP2Entry'
  | 'translatePage'
  | 'translate'
  | 'translateAddr'
  | 'cleanUp'
  | 'cleanUpAddrRange'
>;

/** `0x` and hexadecimal digits. */
export const hex = (value: bigint): string => `0x${value.toString(16)}`;

/** The page of a size that starts at an address; the address need not be a multiple of the size. */
export function pageAt(size: SizeName, address: bigint): Page<PageSize> {
  return Page.fromStartAddressUnchecked<PageSize>(VirtAddr.newUnsafe(address), SIZES[size]);
}

/** The frame of a size that starts at an address; the address need not be a multiple of the size. */
export function frameAt(size: SizeName, address: bigint): PhysFrame<PageSize> {
  return PhysFrame.fromStartAddressUnchecked<PageSize>(PhysAddr.newUnsafe(address), SIZES[size]);
}

/** A 4-KiB page. */
export function page4(address: bigint): Page<Size4KiB> {
  return Page.fromStartAddress(new VirtAddr(address));
}

/** A 4-KiB frame. */
export function frame4(address: bigint): PhysFrame<Size4KiB> {
  return PhysFrame.fromStartAddress(new PhysAddr(address));
}

/** Flags from their bits, unnamed ones included. */
export function flagsOf(bits: bigint): PageTableFlags {
  return PageTableFlags.fromBitsRetain(bits);
}

/** The error classes of the four families of methods. */
const FAMILIES = [MapToError, UnmapError, FlagUpdateError, TranslateError] as const;
type Family = (typeof FAMILIES)[number];

/**
 * The text of an error: of the family's own class what it says, of any other library error `abort`.
 *
 * @throws anything that the method may not throw
 */
export function errorText(family: Family | undefined, error: unknown): string {
  if (!(error instanceof PageTableError)) throw error;
  if (family !== undefined && error instanceof family) {
    const carried = error instanceof MapToError ? error.frame?.startAddress() : undefined;
    const addr = error instanceof UnmapError || error instanceof TranslateError ? error.addr : carried;
    return addr === undefined ? error.kind : `${error.kind}(${hex(addr.asU64())})`;
  }
  if (FAMILIES.some((other) => error instanceof other)) throw error;
  return 'abort';
}

/** Makes the calls on a mapper of the library. */
export class MapperCalls implements Calls {
  readonly mapper: Mapper;
  private readonly allocator: FrameAllocator & FrameDeallocator;
  /** The last error that became text. */
  error: unknown;

  constructor(mapper: Mapper, allocator: FrameAllocator & FrameDeallocator) {
    this.mapper = mapper;
    this.allocator = allocator;
  }

  map(size: SizeName, page: bigint, frame: bigint, flags: bigint): string {
    return this.say(MapToError, () => {
      const at = pageAt(size, page);
      const flush = this.mapper.mapTo(at, frameAt(size, frame), flagsOf(flags), this.allocator);
      return flushed(flush, at);
    });
  }

  mapWith(size: SizeName, page: bigint, frame: bigint, flags: bigint, parents: bigint): string {
    return this.say(MapToError, () => {
      const at = pageAt(size, page);
      const to = frameAt(size, frame);
      const flush = this.mapper.mapToWithTableFlags(at, to, flagsOf(flags), flagsOf(parents), this.allocator);
      return flushed(flush, at);
    });
  }

  identity(size: SizeName, frame: bigint, flags: bigint): string {
    return this.say(MapToError, () => {
      const flush = this.mapper.identityMap(frameAt(size, frame), flagsOf(flags), this.allocator);
      return flushed(flush, pageAt(size, frame - (frame % SIZES[size].SIZE)));
    });
  }

  unmap(size: SizeName, page: bigint): string {
    return this.say(UnmapError, () => {
      const at = pageAt(size, page);
      const { frame, flush } = this.mapper.unmap(at);
      if (flushed(flush, at) !== 'Ok') return flushed(flush, at);
      return frame.pageSize === SIZES[size] ? `Ok(${hex(frame.startAddress().asU64())})` : `Ok(${frame})`;
    });
  }

  update(size: SizeName, page: bigint, flags: bigint): string {
    return this.say(FlagUpdateError, () => {
      const at = pageAt(size, page);
      return flushed(this.mapper.updateFlags(at, flagsOf(flags)), at);
    });
  }

  setFlags(level: 4 | 3 | 2, size: SizeName, page: bigint, flags: bigint): string {
    return this.say(FlagUpdateError, () => {
      const at = pageAt(size, page);
      const given = flagsOf(flags);
      if (level === 4) this.mapper.setFlagsP4Entry(at, given).ignore();
      else if (level === 3) this.mapper.setFlagsP3Entry(at, given).ignore();
      else this.mapper.setFlagsP2Entry(at, given).ignore();
      return 'Ok';
    });
  }

  translatePage(size: SizeName, page: bigint): string {
    return this.say(TranslateError, () => {
      const frame = this.mapper.translatePage(pageAt(size, page));
      return frame.pageSize === SIZES[size] ? `Ok(${hex(frame.startAddress().asU64())})` : `Ok(${frame})`;
    });
  }

  translate(address: bigint): string {
    return this.say(undefined, () => {
      const found = this.mapper.translate(address);
      switch (found.kind) {
        case 'Mapped': {
          const { frame, offset, flags } = found;
          const start = hex(frame.startAddress().asU64());
          return `Mapped ${frame.pageSize.DEBUG_STR} ${start} off 0x${offset.toString(16)} flags ${hex(flags.bits())}`;
        }
        case 'NotMapped':
          return 'NotMapped';
        case 'InvalidFrameAddress':
          return `InvalidFrameAddress(${hex(found.addr.asU64())})`;
      }
    });
  }

  translateAddr(address: bigint): string {
    return this.say(undefined, () => {
      const found = this.mapper.translateAddr(address);
      return found === undefined ? 'none' : hex(found);
    });
  }

  cleanUp(): string {
    return this.say(undefined, () => {
      this.mapper.cleanUp(this.allocator);
      return 'Ok';
    });
  }

  cleanUpRange(first: bigint, last: bigint): string {
    return this.say(undefined, () => {
      const range = Page.rangeInclusive(page4(first), page4(last));
      this.mapper.cleanUpAddrRange(range, this.allocator);
      return 'Ok';
    });
  }

  private say(family: Family | undefined, call: () => string): string {
    this.error = undefined;
    try {
      return call();
    } catch (error) {
      this.error = error;
      return errorText(family, error);
    }
  }
}

/** `Ok` for a flush of the page that was asked for. */
function flushed(flush: MapperFlush<PageSize>, page: Page<PageSize>): string {
  const named = flush.page();
  const same = named.pageSize === page.pageSize && named.startAddress().equals(page.startAddress());
  return same ? 'Ok' : `Ok, but to flush ${named}`;
}
