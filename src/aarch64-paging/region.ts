import { addressOf, PageTableError, pageOf } from '../bits/index.ts';
import { INSPECT } from '../bits/inspect.ts';
import { wrongKind } from '../bits/wrong-kind.ts';
import { addressValue, VirtualAddress } from './address.ts';

const PAGE = 4096n;
const SPACE = 1n << 64n;
/** Pages of the whole address space. */
const ALL_PAGES = 2 ** 52;

/**
 * A range of virtual addresses in whole pages, half-open. Its end may lie before its start, and may be 2^64.
 *
 * A region that is given to a callback is good until the callback returns: {@link clone} makes one to keep.
 */
export class MemoryRegion {
  /** @internal First page; -1 in a region whose callback has returned. */
  from: number;
  /** @internal Pages; negative if the end is before the start. */
  count: number;

  /**
   * @param start - rounded down to 4096
   * @param end - rounded up to 4096; exclusive
   * @throws {@link PageTableError} `OUT_OF_RANGE` unless both are in `[0, 2^64]`
   */
  constructor(start: bigint | VirtualAddress, end: bigint | VirtualAddress) {
    this.from = boundary(addressValue('MemoryRegion', start), 0n);
    this.count = boundary(addressValue('MemoryRegion', end), PAGE - 1n) - this.from;
  }

  /** The same as the constructor, of a range of addresses. */
  static fromRange(range: { readonly start: VirtualAddress; readonly end: VirtualAddress }): MemoryRegion {
    return new MemoryRegion(range.start, range.end);
  }

  /**
   * The region of page numbers, without a `bigint`.
   *
   * @param firstPage - first address divided by 4096, in `[0, 2^52]`
   * @param endPage - exclusive, in `[0, 2^52]`
   * @throws {@link PageTableError} `OUT_OF_RANGE`
   */
  static ofPages(firstPage: number, endPage: number): MemoryRegion {
    const region = new MemoryRegion(0n, 0n);
    region.from = checkPage(firstPage);
    region.count = checkPage(endPage) - firstPage;
    return region;
  }

  /** Number of its first page. */
  get firstPage(): number {
    if (this.from < 0) throw spent('region');
    return this.from;
  }

  /** Number of the page behind its last one. */
  get endPage(): number {
    if (this.from < 0) throw spent('region');
    return this.from + this.count;
  }

  /** First address. */
  start(): VirtualAddress {
    return addressAt(this.firstPage);
  }

  /** First address behind it. */
  end(): VirtualAddress {
    return addressAt(this.endPage);
  }

  /**
   * Bytes.
   *
   * @throws {@link PageTableError} `OUT_OF_RANGE` if its end lies before its start
   */
  len(): bigint {
    return this.end().sub(this.start());
  }

  /** Whether start and end are the same. */
  isEmpty(): boolean {
    return this.firstPage === this.endPage;
  }

  /** Whether both are the same range. */
  equals(other: MemoryRegion): boolean {
    return this.firstPage === other.firstPage && this.endPage === other.endPage;
  }

  /** A region of its own, to be kept. */
  clone(): MemoryRegion {
    return MemoryRegion.ofPages(this.firstPage, this.endPage);
  }

  /** The original's text: `0x0000000000001000..0x0000000000057000`. */
  toString(): string {
    return `${this.start()}..${this.end()}`;
  }

  /** @internal */
  [INSPECT](): string {
    return this.toString();
  }
}

/** The virtual address at which a page starts; also of the page behind the last one. */
export function addressAt(page: number): VirtualAddress {
  return new VirtualAddress(page === ALL_PAGES ? SPACE : addressOf(page));
}

/** Refuses what is no region. */
export function checkRegion(operation: string, region: MemoryRegion): MemoryRegion {
  if (region instanceof MemoryRegion) return region;
  throw wrongKind(operation, region, 'a MemoryRegion');
}

/** What is thrown where a region or a descriptor is used after its callback. */
export function spent(what: string): PageTableError {
  return new PageTableError(
    'BAD_ARGUMENT',
    `${what}: used after the callback that it was given to; expected its clone(), or what was read from it`,
  );
}

/** The page of an address, after adding so many bytes. */
function boundary(address: bigint, more: bigint): number {
  if (address <= SPACE && address + more >= SPACE) return ALL_PAGES;
  return pageOf(address < 0n ? address : address + more);
}

function checkPage(page: number): number {
  if (Number.isInteger(page) && page >= 0 && page <= ALL_PAGES) return page;
  throw new PageTableError(
    'OUT_OF_RANGE',
    `MemoryRegion: page ${page}; expected a whole number in [0, 2^52]`,
    {
      page,
    },
  );
}
