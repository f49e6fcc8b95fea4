import { joinHalves, lowHalf, type PageTableError } from '../bits/index.ts';
import { wrongKind } from '../bits/wrong-kind.ts';
import type { PhysicalMemory } from '../memory/index.ts';
import { canonicalHigh, PhysAddr, VirtAddr } from './addr.ts';
import * as bits from './entry-bits.ts';
import { PageTableFlags } from './flags.ts';
import { flatWay } from './flat-way.ts';
import { MapperFlush } from './flush.ts';
import { PhysFrame } from './frame.ts';
import type { FrameAllocator } from './frame-allocator.ts';
import type { PageTableFrameMapping } from './frame-mapping.ts';
import { MapPlan } from './map-plan.ts';
import { wrongArguments } from './map-request.ts';
import type { MapperOptions, TranslateResult, Unmapped } from './mapper.ts';
import { Page } from './page.ts';
import { type PageSize, Size1GiB, Size2MiB, Size4KiB } from './page-size.ts';
import { checkTable, type PageTable } from './page-table.ts';
import { sinkOf } from './processor.ts';
import { TableMapper } from './table-mapper.ts';
import { MappedPath } from './table-path.ts';

// This module's own constants, which V8 compiles in; what is imported it reads from a cell at each use.
const Addr = PhysAddr;
const Frame = PhysFrame;
const Flush = MapperFlush;
const Flags = PageTableFlags;
const AnyPage = Page;
const Virt = VirtAddr;
/** By level, from 1. */
const SIZES = [Size4KiB, Size2MiB, Size1GiB] as const;
const { PRESENT, HUGE_PAGE, ADDRESS_LOW, ADDRESS_HIGH } = bits;
/** Bits of a high half that only frames from 2^31 have, which the fast way leaves alone. */
const FAR = 0xf_f800;

/**
 * A mapper that reaches its tables through a mapping of the user's: from a frame to the table in it.
 *
 * Tables in a flat {@link PhysicalMemory} at a fixed offset are reached in a fast way, which knows the usual case of each
 * call and leaves everything else to the general one.
 */
export class MappedPageTable<P extends PageTableFrameMapping = PageTableFrameMapping> extends TableMapper {
  private readonly mapping: P;
  private readonly plan: MapPlan;

  // The fast way: the words of flat memory, the frame in front of them, and how many frames there are. Each is set once:
  // V8 then compiles the values in, as long as no buffer is ever replaced.
  private words: Uint32Array;
  private readonly first: number;
  private readonly count: number;
  private readonly flat: PhysicalMemory | undefined;

  /**
   * @param level4Table - the root
   * @param mapping - where the other tables are
   * @param options - `sink`: is told of flushes
   */
  constructor(level4Table: PageTable, mapping: P, options: MapperOptions = {}) {
    checkTable('mapper', level4Table);
    const flat = flatWay(level4Table, mapping);
    const path = new MappedPath(level4Table, mapping, flat?.root ?? -1);
    super(path, sinkOf(options.sink, level4Table.memory));
    this.mapping = mapping;
    this.flat = flat?.memory;
    this.words = flat?.memory.current() ?? new Uint32Array(0);
    this.first = flat?.first ?? 0;
    this.count = flat?.memory.count ?? 0;
    this.plan = new MapPlan(path, this.sink);
    // Here and not in the fast way, which is as long as V8 takes for inlining (460 bytes of bytecode).
    path.entered = () => this.renew();
  }

  /** The mapping that was given. */
  pageTableFrameMapping(): P {
    return this.mapping;
  }

  override mapTo<S extends PageSize>(
    page: Page<S>,
    frame: PhysFrame<S>,
    flags: PageTableFlags,
    allocator: FrameAllocator<Size4KiB>,
  ): MapperFlush<S> {
    // PARENT_FLAGS as a literal: with a few bytes more, V8 no longer puts the whole call into a caller's loop.
    this.map('mapTo', page, frame, flags, flags.low & 7, 0, allocator);
    return new Flush(page, this.sink);
  }

  override unmap<S extends PageSize>(page: Page<S>): Unmapped<S> {
    if (!(page instanceof AnyPage)) throw wrongKind('unmap', page, 'a Page');
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
    return { frame: this.general.unmap(page), flush: new Flush(page, this.sink) };
  }

  override updateFlags<S extends PageSize>(page: Page<S>, flags: PageTableFlags): MapperFlush<S> {
    if (!(page instanceof AnyPage)) throw wrongKind('updateFlags', page, 'a Page');
    if (!(flags instanceof Flags)) throw wrongKind('updateFlags', flags, 'PageTableFlags');
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
    this.general.change('updateFlags', page, size.level, set, flags.high);
    return new Flush(page, this.sink);
  }

  override translatePage<S extends PageSize>(page: Page<S>): PhysFrame<S> {
    if (!(page instanceof AnyPage)) throw wrongKind('translatePage', page, 'a Page');
    const size = page.pageSize;
    const at = this.locate(page.high, page.low, size.level, PRESENT);
    if (at >= 0) {
      const low = this.words[at] | 0;
      const high = this.words[at | 1] | 0;
      if ((low | high) !== 0 && (low & size.inner) === 0)
        return new Frame(high & ADDRESS_HIGH, low & ADDRESS_LOW, size);
    }
    return this.general.translatePage(page);
  }

  override translate(addr: VirtAddr | bigint): TranslateResult {
    const { high, low } = typeof addr === 'bigint' ? new VirtAddr(addr) : addr;
    if (typeof addr !== 'bigint' && !(addr instanceof VirtAddr)) throw noAddress('translate', addr);
    return this.general.result(this.search('translate', high, low), low);
  }

  override translateAddr(addr: VirtAddr): PhysAddr | undefined;
  override translateAddr(addr: bigint): bigint | undefined;
  override translateAddr(addr: VirtAddr | bigint): PhysAddr | bigint | undefined {
    return typeof addr === 'bigint' ? this.translateBigint(addr) : this.translateWord(addr);
  }

  private translateWord(addr: VirtAddr): PhysAddr | undefined {
    if (!(addr instanceof Virt)) throw noAddress('translateAddr', addr);
    const at = this.locate(addr.high, addr.low, 1, PRESENT);
    if (at >= 0) {
      const low = this.words[at] | 0;
      const high = this.words[at | 1] | 0;
      return (low | high) === 0
        ? undefined
        : new Addr(high & ADDRESS_HIGH, (low & ADDRESS_LOW) | (addr.low & 0xfff));
    }
    const size = this.search('translateAddr', addr.high, addr.low);
    if (size === undefined) return undefined;
    const inner = size.inner | 0xfff;
    return new Addr(this.general.high & ADDRESS_HIGH, (this.general.low & ~inner) | (addr.low & inner));
  }

  private translateBigint(addr: bigint): bigint | undefined {
    const upper = canonicalHigh(addr);
    const offset = lowHalf(addr);
    const at = this.locate(upper, offset, 1, PRESENT);
    if (at >= 0) {
      const low = this.words[at] | 0;
      const high = this.words[at | 1] | 0;
      return (low | high) === 0
        ? undefined
        : joinHalves((low & ADDRESS_LOW) | (offset & 0xfff), high & ADDRESS_HIGH);
    }
    const size = this.search('translateAddr', upper, offset);
    if (size === undefined) return undefined;
    const inner = size.inner | 0xfff;
    return joinHalves((this.general.low & ~inner) | (offset & inner), this.general.high & ADDRESS_HIGH);
  }

  /** Kind and root. */
  override toString(): string {
    return `MappedPageTable { level4Table: ${this.path.root} }`;
  }

  // ---- the fast way

  /**
   * The word at which the entry of a page lies, if all tables on the way lie in flat memory and have what is required.
   *
   * @param required - flags that every table on the way must have, `PRESENT` among them and `HUGE_PAGE` not
   * @returns an index, or -1: then the general way must look
   */
  private locate(high: number, low: number, level: number, required: number): number {
    const words = this.words;
    const first = this.first;
    const count = this.count;
    const root = this.path.fastRoot;
    if (root < 0 || words.length === 0) return -1;
    const mask = required | HUGE_PAGE;
    // What is wrong with the entries is gathered and looked at once: until then only every index must be in bounds.
    let at = root | (((high >>> 7) & 511) << 1);
    let entry = words[at] | 0;
    let upper = words[at | 1] | 0;
    let wrong = ((entry & mask) ^ required) | (upper & FAR);
    let place = (((entry >>> 12) | (upper << 20)) - first) | 0;
    if (place >>> 0 >= count) return -1;
    at = (place << 10) | ((((high << 2) | (low >>> 30)) & 511) << 1);
    if (level < 3) {
      entry = words[at] | 0;
      upper = words[at | 1] | 0;
      wrong |= ((entry & mask) ^ required) | (upper & FAR);
      place = (((entry >>> 12) | (upper << 20)) - first) | 0;
      if (place >>> 0 >= count) return -1;
      at = (place << 10) | (((low >>> 21) & 511) << 1);
      if (level < 2) {
        entry = words[at] | 0;
        upper = words[at | 1] | 0;
        wrong |= ((entry & mask) ^ required) | (upper & FAR);
        place = (((entry >>> 12) | (upper << 20)) - first) | 0;
        if (place >>> 0 >= count) return -1;
        at = (place << 10) | (((low >>> 12) & 511) << 1);
      }
    }
    return wrong === 0 ? at : -1;
  }

  /** Looks again for the words of a buffer that was replaced, as a WebAssembly memory's is when it grows. */
  private renew(): void {
    if (this.flat !== undefined && this.words.length === 0) this.words = this.flat.current();
  }

  // ---- the general way

  /** The size of the page that maps an address; its entry is then in `general`. */
  private search(operation: string, high: number, low: number): PageSize | undefined {
    for (const size of SIZES) {
      const at = this.locate(high, low, size.level, PRESENT);
      const entry = at < 0 ? 0 : this.words[at] | 0;
      // An unused level-1 entry and all that is unusual are left to the general way.
      if (entry !== 0 && (size.leaf === 0 || (entry & (PRESENT | HUGE_PAGE)) === (PRESENT | HUGE_PAGE))) {
        this.general.low = entry;
        this.general.high = this.words[at | 1] | 0;
        return size;
      }
    }
    return this.general.search(operation, high, low);
  }

  /** @internal */
  protected override map(
    operation: string,
    page: Page<PageSize>,
    frame: PhysFrame<PageSize>,
    flags: PageTableFlags,
    parentsLow: number,
    parentsHigh: number,
    allocator: FrameAllocator<Size4KiB>,
  ): void {
    const size = page.pageSize;
    if (
      !(page instanceof AnyPage && frame instanceof Frame && flags instanceof Flags) ||
      frame.pageSize !== size
    ) {
      throw wrongArguments(operation, page, frame, flags);
    }
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
    this.path.enter();
    this.plan.map(operation, page, frame, flags, parentsLow, parentsHigh, allocator);
  }
}

function noAddress(operation: string, value: unknown): PageTableError {
  return wrongKind(operation, value, 'a VirtAddr or a bigint');
}
