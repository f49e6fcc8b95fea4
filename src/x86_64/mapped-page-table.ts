import { hex64, joinHalves, lowHalf, PageTableError } from '../bits/index.ts';
import { PhysicalMemory } from '../memory/index.ts';
import { canonicalHigh, indexAt, isCanonical, PhysAddr, VirtAddr, VirtAddrNotValid } from './addr.ts';
import { FlagUpdateError, MapToError, TranslateError, UnmapError } from './errors.ts';
import { PageTableFlags } from './flags.ts';
import { PhysFrame } from './frame.ts';
import type { FrameAllocator, FrameDeallocator } from './frame-allocator.ts';
import { type PageTableFrameMapping, PhysOffset } from './frame-mapping.ts';
import {
  type CleanUp,
  type FlushSink,
  type MappedFrame,
  type Mapper,
  MapperFlush,
  MapperFlushAll,
  type Translate,
  type TranslateResult,
  type Unmapped,
} from './mapper.ts';
import { Page, type PageRangeInclusive } from './page.ts';
import { checkSameSize, type PageSize, Size1GiB, Size2MiB, Size4KiB } from './page-size.ts';
import {
  isTableEmpty,
  type PageTable,
  ReadonlyPageTable,
  type TableMemory,
  zeroTable,
} from './page-table.ts';

// This module's own constants, which V8 compiles in; what is imported it reads from a cell at each use.
const Addr = PhysAddr;
const Frame = PhysFrame;
const Flush = MapperFlush;
const PRESENT = PageTableFlags.PRESENT.low;
const HUGE_PAGE = PageTableFlags.HUGE_PAGE.low;
/** The flags of a page that tables on the way to it get as well. */
const PARENT_FLAGS = PRESENT | PageTableFlags.WRITABLE.low | PageTableFlags.USER_ACCESSIBLE.low;
const ADDRESS_LOW = ~PageTableFlags.all().low;
const ADDRESS_HIGH = ~PageTableFlags.all().high;
/** Bits of a high half that only frames from 2^31 have, which the fast way leaves alone. */
const FAR = 0xf_f800;
/** Pages in each half of the address space; what must be added to a page number to get from the lower half over the hole. */
const HALF_PAGES = 2 ** 35;
const HOLE_PAGES = 2 ** 52 - 2 * HALF_PAGES;

/** How the way to an entry ended. */
const FOUND = 0;
const NOT_MAPPED = 1;
const HUGE = 2;

/** What a mapper may be given besides its table. */
export interface MapperOptions {
  /** Is told of every {@link MapperFlush.flush} and {@link MapperFlushAll.flushAll}. */
  readonly sink?: FlushSink | undefined;
}

/** An entry that a call is going to write. */
class Write {
  memory: TableMemory | undefined;
  page = 0;
  index = 0;
  low = 0;
  high = 0;
  /** A new table: the frame it was given, and where that is. */
  frame: PhysFrame | undefined;
  childMemory: TableMemory | undefined;
  childPage = 0;
}

/**
 * A mapper that reaches its tables through a mapping of the user's: from a frame to the table in it.
 *
 * Tables in a flat {@link PhysicalMemory} at a fixed offset are reached in a fast way, which knows the usual case of each
 * call and leaves everything else to the general one.
 */
export class MappedPageTable<P extends PageTableFrameMapping = PageTableFrameMapping>
  implements Mapper<Size4KiB>, Mapper<Size2MiB>, Mapper<Size1GiB>, Translate, CleanUp
{
  private readonly root: PageTable;
  private readonly mapping: P;
  private readonly sink: FlushSink | undefined;
  /** The mapping, if it is an offset: it then has a form without objects. */
  private readonly offset: PhysOffset | undefined;

  // The fast way: the words, the root's first word (-1 if there is no fast way, or not now), the frame in front of all,
  // and how many there are.
  private words: Uint32Array;
  private fastRoot: number;
  private readonly flatRoot: number;
  private readonly first: number;
  private readonly count: number;
  private readonly flat: PhysicalMemory | undefined;

  // The entry to which the general way came last.
  private memory: TableMemory;
  private page = 0;
  private level = 4;
  private index = 0;
  private low = 0;
  private high = 0;
  private readonly writes = [new Write(), new Write(), new Write(), new Write()];
  private busy = false;

  /**
   * @param level4Table - the root
   * @param mapping - where the other tables are
   * @param options - `sink`: is told of flushes
   */
  constructor(level4Table: PageTable, mapping: P, options: MapperOptions = {}) {
    this.root = level4Table;
    this.mapping = mapping;
    this.sink = options.sink;
    this.offset = mapping instanceof PhysOffset ? mapping : undefined;
    this.memory = level4Table.memory;
    // Each field is set once: V8 then compiles the values in, as long as no buffer is ever replaced.
    const fast = flatWay(level4Table, this.offset);
    this.flat = fast?.memory;
    this.words = fast?.memory.current() ?? new Uint32Array(0);
    this.first = fast?.first ?? 0;
    this.count = fast?.memory.count ?? 0;
    this.flatRoot = fast?.root ?? -1;
    this.fastRoot = this.flatRoot;
  }

  /** The root, to look at. */
  level4Table(): ReadonlyPageTable {
    return ReadonlyPageTable.of(this.root);
  }

  /** The root, to change. */
  level4TableMut(): PageTable {
    return this.root;
  }

  /** The mapping that was given. */
  pageTableFrameMapping(): P {
    return this.mapping;
  }

  mapTo<S extends PageSize>(
    page: Page<S>,
    frame: PhysFrame<S>,
    flags: PageTableFlags,
    allocator: FrameAllocator<Size4KiB>,
  ): MapperFlush<S> {
    this.map(page, frame, flags, flags.low & PARENT_FLAGS, 0, allocator);
    return new Flush(page, this.sink);
  }

  mapToWithTableFlags<S extends PageSize>(
    page: Page<S>,
    frame: PhysFrame<S>,
    flags: PageTableFlags,
    parentTableFlags: PageTableFlags,
    allocator: FrameAllocator<Size4KiB>,
  ): MapperFlush<S> {
    this.map(page, frame, flags, parentTableFlags.low, parentTableFlags.high, allocator);
    return new Flush(page, this.sink);
  }

  identityMap<S extends PageSize>(
    frame: PhysFrame<S>,
    flags: PageTableFlags,
    allocator: FrameAllocator<Size4KiB>,
  ): MapperFlush<S> {
    if (!isCanonical(frame.high)) throw new VirtAddrNotValid(frame.startAddress().asU64());
    const page = Page.containingAddress(new VirtAddr(frame.high, frame.low), frame.pageSize);
    return this.mapTo(page, frame, flags, allocator);
  }

  unmap<S extends PageSize>(page: Page<S>): Unmapped<S> {
    const size = page.pageSize;
    const at = this.locate(page.high, page.low, size.level, PRESENT);
    if (at >= 0) {
      const low = this.words[at] | 0;
      const high = this.words[at | 1] | 0;
      if ((low & (PRESENT | HUGE_PAGE)) === (PRESENT | size.leaf) && (low & size.inner) === 0) {
        this.words[at] = 0;
        this.words[at | 1] = 0;
        return {
          frame: new Frame(high & ADDRESS_HIGH, low & ADDRESS_LOW, size),
          flush: new Flush(page, this.sink),
        };
      }
    }
    return this.unmapSlowly(page);
  }

  private unmapSlowly<S extends PageSize>(page: Page<S>): Unmapped<S> {
    const size = page.pageSize;
    const end = this.find(page.high, page.low, size.level);
    if (end === HUGE) throw new UnmapError('ParentEntryHugePage', this.refusal('unmap', page, end));
    if (end === NOT_MAPPED || (this.low & PRESENT) === 0) {
      throw new UnmapError('PageNotMapped', this.refusal('unmap', page, NOT_MAPPED));
    }
    if ((this.low & HUGE_PAGE) !== size.leaf) {
      throw new UnmapError('ParentEntryHugePage', this.refusal('unmap', page, HUGE));
    }
    if ((this.low & size.inner) !== 0) {
      throw new UnmapError('InvalidFrameAddress', this.refusal('unmap', page, FOUND), this.address());
    }
    this.memory.writeEntry(this.page, this.index, 0, 0);
    return {
      frame: new Frame(this.high & ADDRESS_HIGH, this.low & ADDRESS_LOW, size),
      flush: new Flush(page, this.sink),
    };
  }

  updateFlags<S extends PageSize>(page: Page<S>, flags: PageTableFlags): MapperFlush<S> {
    const size = page.pageSize;
    const set = flags.low | size.leaf;
    const at = this.locate(page.high, page.low, size.level, PRESENT);
    if (at >= 0) {
      const low = this.words[at] | 0;
      const high = this.words[at | 1] | 0;
      if ((low | high) !== 0) {
        this.words[at] = (low & ADDRESS_LOW) | set;
        this.words[at | 1] = (high & ADDRESS_HIGH) | flags.high;
        return new Flush(page, this.sink);
      }
    }
    this.change('updateFlags', page, size.level, set, flags.high);
    return new Flush(page, this.sink);
  }

  setFlagsP4Entry<S extends PageSize>(page: Page<S>, flags: PageTableFlags): MapperFlushAll {
    return this.setFlags('setFlagsP4Entry', page, 4, flags);
  }

  setFlagsP3Entry<S extends PageSize>(page: Page<S>, flags: PageTableFlags): MapperFlushAll {
    return this.setFlags('setFlagsP3Entry', page, 3, flags);
  }

  setFlagsP2Entry<S extends PageSize>(page: Page<S>, flags: PageTableFlags): MapperFlushAll {
    return this.setFlags('setFlagsP2Entry', page, 2, flags);
  }

  translatePage<S extends PageSize>(page: Page<S>): PhysFrame<S> {
    const size = page.pageSize;
    const at = this.locate(page.high, page.low, size.level, PRESENT);
    if (at >= 0) {
      const low = this.words[at] | 0;
      const high = this.words[at | 1] | 0;
      if ((low | high) !== 0 && (low & size.inner) === 0)
        return new Frame(high & ADDRESS_HIGH, low & ADDRESS_LOW, size);
    }
    return this.translateSlowly(page);
  }

  private translateSlowly<S extends PageSize>(page: Page<S>): PhysFrame<S> {
    const size = page.pageSize;
    const end = this.find(page.high, page.low, size.level);
    if (end === HUGE)
      throw new TranslateError('ParentEntryHugePage', this.refusal('translatePage', page, end));
    if (end === NOT_MAPPED || (this.low | this.high) === 0) {
      throw new TranslateError('PageNotMapped', this.refusal('translatePage', page, NOT_MAPPED));
    }
    if ((this.low & size.inner) !== 0) {
      throw new TranslateError(
        'InvalidFrameAddress',
        this.refusal('translatePage', page, end),
        this.address(),
      );
    }
    return new Frame(this.high & ADDRESS_HIGH, this.low & ADDRESS_LOW, size);
  }

  translate(addr: VirtAddr | bigint): TranslateResult {
    const { high, low } = typeof addr === 'bigint' ? new VirtAddr(addr) : addr;
    const size = this.search(high, low);
    if (size === undefined) return { kind: 'NotMapped' };
    return {
      kind: 'Mapped',
      // The size is one of the three, and the frame of just that size.
      frame: new Frame(this.high & ADDRESS_HIGH, this.low & ADDRESS_LOW & ~size.inner, size) as MappedFrame,
      offset: low & (size.inner | 0xfff),
      flags: PageTableFlags.fromHalves(this.high & ~ADDRESS_HIGH, this.low & ~ADDRESS_LOW),
    };
  }

  translateAddr(addr: VirtAddr): PhysAddr | undefined;
  translateAddr(addr: bigint): bigint | undefined;
  translateAddr(addr: VirtAddr | bigint): PhysAddr | bigint | undefined {
    return typeof addr === 'bigint' ? this.translateBigint(addr) : this.translateWord(addr);
  }

  private translateWord(addr: VirtAddr): PhysAddr | undefined {
    const at = this.locate(addr.high, addr.low, 1, PRESENT);
    if (at >= 0) {
      const low = this.words[at] | 0;
      const high = this.words[at | 1] | 0;
      return (low | high) === 0
        ? undefined
        : new Addr(high & ADDRESS_HIGH, (low & ADDRESS_LOW) | (addr.low & 0xfff));
    }
    const size = this.search(addr.high, addr.low);
    if (size === undefined) return undefined;
    const inner = size.inner | 0xfff;
    return new Addr(this.high & ADDRESS_HIGH, (this.low & ~inner) | (addr.low & inner));
  }

  private translateBigint(addr: bigint): bigint | undefined {
    const offset = lowHalf(addr);
    const at = this.locate(canonicalHigh(addr), offset, 1, PRESENT);
    if (at >= 0) {
      const low = this.words[at] | 0;
      const high = this.words[at | 1] | 0;
      return (low | high) === 0
        ? undefined
        : joinHalves((low & ADDRESS_LOW) | (offset & 0xfff), high & ADDRESS_HIGH);
    }
    const found = this.translateWord(new VirtAddr(addr));
    return found === undefined ? undefined : found.asU64();
  }

  cleanUp(deallocator: FrameDeallocator<Size4KiB>): void {
    this.clean(0, 2 ** 52 - 1, deallocator);
  }

  cleanUpAddrRange(range: PageRangeInclusive<Size4KiB>, deallocator: FrameDeallocator<Size4KiB>): void {
    if (range.start.pageSize !== Size4KiB) {
      throw new PageTableError('BAD_ARGUMENT', `cleanUpAddrRange: ${range}; expected a range of 4-KiB pages`);
    }
    this.clean(range.start.pageNumber(), range.end.pageNumber(), deallocator);
  }

  /** Kind, root and mapping. */
  toString(): string {
    return `${this.offset === undefined ? 'MappedPageTable' : 'OffsetPageTable'} { level4Table: ${this.root} }`;
  }

  // ---- the fast way

  /**
   * The word at which the entry of a page lies, if all tables on the way lie in flat memory and have what is required.
   *
   * @param required - flags that every table on the way must have, `PRESENT` among them and `HUGE_PAGE` not
   * @returns an index, or -1: then {@link find} must look
   */
  private locate(high: number, low: number, level: number, required: number): number {
    const words = this.words;
    const first = this.first;
    const count = this.count;
    if (this.fastRoot < 0) return -1;
    // What the entries hold is checked once at the end: until then only every index must be in bounds.
    let at = this.fastRoot | (((high >>> 7) & 511) << 1);
    let entry = words[at] | 0;
    let upper = words[at | 1] | 0;
    let all = entry;
    let any = entry;
    let far = upper;
    let place = (((entry >>> 12) | (upper << 20)) - first) | 0;
    if (place >>> 0 >= count) return -1;
    at = (place << 10) | ((((high << 2) | (low >>> 30)) & 511) << 1);
    if (level < 3) {
      entry = words[at] | 0;
      upper = words[at | 1] | 0;
      all &= entry;
      any |= entry;
      far |= upper;
      place = (((entry >>> 12) | (upper << 20)) - first) | 0;
      if (place >>> 0 >= count) return -1;
      at = (place << 10) | (((low >>> 21) & 511) << 1);
      if (level < 2) {
        entry = words[at] | 0;
        upper = words[at | 1] | 0;
        all &= entry;
        any |= entry;
        far |= upper;
        place = (((entry >>> 12) | (upper << 20)) - first) | 0;
        if (place >>> 0 >= count) return -1;
        at = (place << 10) | (((low >>> 12) & 511) << 1);
      }
    }
    return (all & required) === required && (any & HUGE_PAGE) === 0 && (far & FAR) === 0 ? at : -1;
  }

  /** Takes the words afresh if the buffer was replaced, as a WebAssembly memory's is when it grows. */
  private refresh(): void {
    if (this.flat !== undefined && this.words.length === 0) this.words = this.flat.current();
  }

  // ---- the general way

  /** Goes to the entry of a level on the way to an address, and leaves it in the fields. */
  private find(high: number, low: number, level: number): number {
    this.enter();
    try {
      this.memory = this.root.memory;
      this.page = this.root.page;
      for (this.level = 4; ; this.level -= 1) {
        this.index = indexAt(high, low, this.level);
        this.low = this.memory.readEntry(this.page, this.index);
        this.high = this.memory.high;
        if (this.level === level) return FOUND;
        if ((this.low & PRESENT) === 0) return NOT_MAPPED;
        if ((this.low & HUGE_PAGE) !== 0) return HUGE;
        this.follow(this.high, this.low);
      }
    } finally {
      this.leave();
    }
  }

  /** Goes to the table to which an entry points. */
  private follow(high: number, low: number): void {
    if (this.offset !== undefined) {
      this.page = this.offset.pageOf(high & ADDRESS_HIGH, low);
    } else {
      const { memory, page } = this.mapping.frameToPointer(
        new Frame(high & ADDRESS_HIGH, low & ADDRESS_LOW, Size4KiB),
      );
      this.memory = memory;
      this.page = page;
    }
  }

  private enter(): void {
    if (this.busy) {
      throw new PageTableError(
        'REENTERED',
        'the mapper was called from inside an allocator, deallocator or frame mapping that it called itself',
      );
    }
    this.busy = true;
    // A call from a callback must not slip through the fast way.
    this.fastRoot = -1;
    this.refresh();
  }

  private leave(): void {
    this.busy = false;
    this.fastRoot = this.flatRoot;
  }

  /** Replaces the flags of an entry that must be used. */
  private change(operation: string, page: Page<PageSize>, level: number, low: number, high: number): void {
    const end = this.find(page.high, page.low, level);
    if (end === HUGE) throw new FlagUpdateError('ParentEntryHugePage', this.refusal(operation, page, end));
    if (end === NOT_MAPPED || (this.low | this.high) === 0) {
      throw new FlagUpdateError('PageNotMapped', this.refusal(operation, page, NOT_MAPPED));
    }
    const address = this.low & ADDRESS_LOW;
    this.memory.writeEntry(this.page, this.index, address | low, (this.high & ADDRESS_HIGH) | high);
  }

  private setFlags(
    operation: string,
    page: Page<PageSize>,
    level: number,
    flags: PageTableFlags,
  ): MapperFlushAll {
    if (level <= page.pageSize.level) {
      throw new FlagUpdateError(
        'ParentEntryHugePage',
        `${operation}: ${page} has no table at level ${level - 1}; expected a page of a smaller size`,
      );
    }
    this.change(operation, page, level, flags.low, flags.high);
    return new MapperFlushAll(this.sink);
  }

  /** Finds the entry that maps an address; its halves are then in the fields. */
  private search(high: number, low: number): PageSize | undefined {
    const end = this.find(high, low, 1);
    if (end === NOT_MAPPED || (end === FOUND && (this.low | this.high) === 0)) return undefined;
    if (this.level === 4) {
      throw new PageTableError(
        'CORRUPT_TABLE',
        `translate: ${new VirtAddr(high, low)}: ${this.entry()} has HUGE_PAGE; expected a table, as no page has 512 GiB`,
        { entry: joinHalves(this.low, this.high) },
      );
    }
    return this.level === 3 ? Size1GiB : this.level === 2 ? Size2MiB : Size4KiB;
  }

  private map(
    page: Page<PageSize>,
    frame: PhysFrame<PageSize>,
    flags: PageTableFlags,
    parentsLow: number,
    parentsHigh: number,
    allocator: FrameAllocator<Size4KiB>,
  ): void {
    const size = page.pageSize;
    if (frame.pageSize !== size) checkSameSize('mapTo', page, frame);
    // HUGE_PAGE where it cannot be, flags that few tables have, a frame that no entry can hold: all for the general way.
    const misplaced = (size.leaf === 0 ? parentsLow | flags.low : parentsLow) & HUGE_PAGE;
    if ((misplaced | parentsHigh | (frame.low & 0xfff)) === 0) {
      const at = this.locate(page.high, page.low, size.level, parentsLow | PRESENT);
      if (at >= 0 && (this.words[at] | 0 | (this.words[at | 1] | 0)) === 0) {
        this.words[at] = frame.low | flags.low | size.leaf;
        this.words[at | 1] = frame.high | flags.high;
        return;
      }
    }
    this.mapSlowly(page, frame, flags, parentsLow, parentsHigh, allocator);
  }

  /**
   * Maps a page in two steps: everything that can fail is found out first, then the entries are written, in the
   * original's order. A refusal of the original's leaves what that leaves; any other error leaves memory as it was.
   */
  private mapSlowly(
    page: Page<PageSize>,
    frame: PhysFrame<PageSize>,
    flags: PageTableFlags,
    parentsLow: number,
    parentsHigh: number,
    allocator: FrameAllocator<Size4KiB>,
  ): void {
    let planned = 0;
    this.enter();
    try {
      let fresh = false;
      let refused: MapToError['kind'] | undefined;
      this.memory = this.root.memory;
      this.page = this.root.page;
      for (this.level = 4; this.level > page.pageSize.level; this.level -= 1) {
        this.load(page, fresh, planned);
        const write = this.writes[planned];
        write.frame = undefined;
        fresh = (this.low | this.high) === 0;
        if (fresh) {
          write.frame = allocator.allocateFrame();
          if (write.frame === undefined) {
            refused = 'FrameAllocationFailed';
            break;
          }
          planned += 1;
          this.checkNewTable(page, write.frame, parentsLow);
          this.low = write.frame.low;
          this.high = write.frame.high;
        }
        const low = this.low | parentsLow;
        const high = this.high | parentsHigh;
        if (!fresh && (low !== this.low || high !== this.high)) planned += 1;
        this.plan(write, low, high);
        if ((low & PRESENT) === 0) {
          throw new PageTableError(
            'CORRUPT_TABLE',
            `mapTo: ${page}: ${this.entry()} would lead to a table without PRESENT; expected PRESENT in the flags for tables`,
          );
        }
        if ((low & HUGE_PAGE) !== 0) {
          refused = 'ParentEntryHugePage';
          break;
        }
        this.follow(high, low);
        if (fresh) {
          write.childMemory = this.memory;
          write.childPage = this.page;
          this.memory.readEntry(this.page, 0);
        }
      }
      if (refused === undefined) {
        this.load(page, fresh, planned);
        if ((this.low | this.high) !== 0) {
          refused = 'PageAlreadyMapped';
        } else {
          checkLeaf(page, frame, flags);
          const write = this.writes[planned];
          write.frame = undefined;
          this.plan(write, frame.low | flags.low | page.pageSize.leaf, frame.high | flags.high);
          planned += 1;
        }
      }
      const message = refused === undefined ? '' : this.mapRefusal(page, frame, refused);
      const done = planned;
      // From here on nothing is given back.
      planned = 0;
      for (let i = 0; i < done; i += 1) commit(this.writes[i]);
      if (refused !== undefined) {
        throw new MapToError(refused, message, refused === 'PageAlreadyMapped' ? frame : undefined);
      }
    } finally {
      this.giveBack(planned, allocator);
      this.leave();
    }
  }

  /** Reads the entry of a page in the table that was reached, as it will be after the planned writes. */
  private load(page: Page<PageSize>, fresh: boolean, planned: number): void {
    this.index = indexAt(page.high, page.low, this.level);
    this.low = fresh ? 0 : this.memory.readEntry(this.page, this.index);
    this.high = fresh ? 0 : this.memory.high;
    // A table that contains itself is written to on the way.
    for (let i = 0; !fresh && i < planned; i += 1) {
      const write = this.writes[i];
      if (write.memory === this.memory && write.page === this.page && write.index === this.index) {
        this.low = write.low;
        this.high = write.high;
      }
    }
  }

  private plan(write: Write, low: number, high: number): void {
    write.memory = this.memory;
    write.page = this.page;
    write.index = this.index;
    write.low = low;
    write.high = high;
  }

  /** Returns the frames of planned tables to an allocator that takes frames. */
  private giveBack(planned: number, allocator: FrameAllocator<Size4KiB>): void {
    const back = allocator as Partial<FrameDeallocator<Size4KiB>>;
    for (let i = planned - 1; i >= 0; i -= 1) {
      const { frame } = this.writes[i];
      if (frame !== undefined) back.deallocateFrame?.(frame);
    }
  }

  private checkNewTable(page: Page<PageSize>, frame: PhysFrame, parentsLow: number): void {
    if ((parentsLow & HUGE_PAGE) !== 0) {
      throw new PageTableError(
        'BAD_ARGUMENT',
        `mapTo: ${page}: flags for tables contain HUGE_PAGE; a table cannot have it`,
      );
    }
    if (frame.pageSize !== Size4KiB || (frame.low & 0xfff) !== 0) {
      throw new PageTableError(
        frame.pageSize === Size4KiB ? 'MISALIGNED' : 'BAD_ARGUMENT',
        `mapTo: ${page}: the allocator gave ${frame}; expected a 4-KiB frame aligned to 4096`,
      );
    }
  }

  private clean(first: number, last: number, deallocator: FrameDeallocator<Size4KiB>): void {
    this.enter();
    try {
      this.visit(this.root.memory, this.root.page, 4, first, last, deallocator);
    } finally {
      this.leave();
    }
  }

  /** Frees the empty tables below one, between two pages, and says whether it is empty itself. */
  private visit(
    memory: TableMemory,
    page: number,
    level: number,
    first: number,
    last: number,
    deallocator: FrameDeallocator<Size4KiB>,
  ): boolean {
    if (first > last) return false;
    const span = 512 ** (level - 1);
    const base = level === 4 ? 0 : first - (first % (512 * span));
    const end = Math.floor(last / span) % 512;
    for (let index = Math.floor(first / span) % 512; level > 1 && index <= end; index += 1) {
      const low = memory.readEntry(page, index);
      const high = memory.high;
      if ((low & (PRESENT | HUGE_PAGE)) !== PRESENT) continue;
      const lower = base + index * span;
      const start = base < HALF_PAGES && lower >= HALF_PAGES ? lower + HOLE_PAGES : lower;
      this.memory = memory;
      this.follow(high, low);
      const empty = this.visit(
        this.memory,
        this.page,
        level - 1,
        Math.max(first, start),
        Math.min(last, start + span - 1),
        deallocator,
      );
      if (empty) {
        memory.writeEntry(page, index, 0, 0);
        deallocator.deallocateFrame(new Frame(high & ADDRESS_HIGH, low & ADDRESS_LOW, Size4KiB));
      }
    }
    return isTableEmpty(memory, page);
  }

  // ---- messages

  /** The entry in the fields, for messages. */
  private entry(): string {
    return `the level-${this.level} entry ${this.index} (${hex64(joinHalves(this.low, this.high))})`;
  }

  private address(): PhysAddr {
    return new PhysAddr(this.high & ADDRESS_HIGH, this.low & ADDRESS_LOW);
  }

  /** Why the way to a page's entry, or the entry itself, is not as an operation needs it. */
  private refusal(operation: string, page: Page<PageSize>, end: number): string {
    const own = this.level === page.pageSize.level;
    const found =
      end === NOT_MAPPED
        ? (this.low | this.high) === 0
          ? 'is unused'
          : 'is not present'
        : end === FOUND
          ? `holds the address ${this.address()}, which is not a multiple of ${page.pageSize}`
          : (this.low & HUGE_PAGE) !== 0
            ? 'has HUGE_PAGE'
            : 'points to a table';
    const expected = own
      ? `an entry that maps ${page.pageSize}`
      : `a table on the way to pages of ${page.pageSize}`;
    return `${operation}: ${page}: ${this.entry()} ${found}; expected ${expected}`;
  }

  private mapRefusal(page: Page<PageSize>, frame: PhysFrame<PageSize>, kind: MapToError['kind']): string {
    const at = `mapTo: ${page} to ${frame}`;
    if (kind === 'FrameAllocationFailed') {
      return `${at}: no frame is left for a table of level ${this.level - 1}; expected the allocator to give one`;
    }
    const expected = kind === 'PageAlreadyMapped' ? 'an unused entry' : 'a table';
    return `${at}: ${this.entry()} ${kind === 'PageAlreadyMapped' ? 'is in use' : 'has HUGE_PAGE'}; expected ${expected}`;
  }
}

/** What the fast way needs to know, if there is one: tables in flat memory, all reached with small integers. */
function flatWay({ memory, page }: PageTable, offset: PhysOffset | undefined) {
  if (!(memory instanceof PhysicalMemory) || offset === undefined || memory.shared) return undefined;
  const end = memory.first + memory.count;
  const canonical = end <= HALF_PAGES || memory.first >= HALF_PAGES + HOLE_PAGES;
  const first = memory.first - offset.pages;
  return canonical && page >= memory.first && page < end && Math.abs(first) < 2 ** 31
    ? { memory, first, root: (page - memory.first) << 10 }
    : undefined;
}

function checkLeaf(page: Page<PageSize>, frame: PhysFrame<PageSize>, flags: PageTableFlags): void {
  if (page.pageSize.level === 1 && (flags.low & HUGE_PAGE) !== 0) {
    throw new PageTableError(
      'BAD_ARGUMENT',
      `mapTo: ${page} with ${flags}; expected flags without HUGE_PAGE, which is PAT in a level-1 entry`,
    );
  }
  if ((frame.low & 0xfff) !== 0) {
    throw new PageTableError('MISALIGNED', `mapTo: ${page} to ${frame}; expected a frame aligned to 4096`);
  }
}

/** Writes an entry; a new table is emptied first, so that nobody walks through what its frame held before. */
function commit({ memory, page, index, low, high, frame, childMemory, childPage }: Write): void {
  const own = childMemory === memory && childPage === page;
  if (frame !== undefined && childMemory !== undefined && !own) zeroTable(childMemory, childPage);
  memory?.writeEntry(page, index, low, high);
  // The original writes the entry first, which shows only if the new table is the one that holds it.
  if (frame !== undefined && childMemory !== undefined && own) zeroTable(childMemory, childPage);
}
