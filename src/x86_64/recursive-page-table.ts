import { hex64, joinHalves, lowHalf, PageTableError } from '../bits/index.ts';
import { wrongKind } from '../bits/wrong-kind.ts';
import { canonicalHigh, indexAt, isCanonical, PhysAddr, VirtAddr } from './addr.ts';
import { highOfUnit } from './block.ts';
import * as bits from './entry-bits.ts';
import { InvalidPageTable } from './errors.ts';
import { PageTableFlags } from './flags.ts';
import { MapperFlush } from './flush.ts';
import { PhysFrame } from './frame.ts';
import type { FrameAllocator } from './frame-allocator.ts';
import { wrongArguments } from './map-request.ts';
import type { MapperOptions, TranslateResult, Unmapped } from './mapper.ts';
import { Page } from './page.ts';
import type { PageSize, Size4KiB } from './page-size.ts';
import { checkTable, type PageTable } from './page-table.ts';
import { isProcessor, sinkOf } from './processor.ts';
import { RecursiveMap } from './recursive-map.ts';
import { RecursivePath } from './recursive-path.ts';
import { RecursiveWay, remembersAll } from './recursive-way.ts';
import { PageTableIndex } from './table-index.ts';
import { PARENT_FLAGS, TableMapper } from './table-mapper.ts';

// This module's own constants, which V8 compiles in; what is imported it reads from a cell at each use.
const AnyPage = Page;
const Frame = PhysFrame;
const Flush = MapperFlush;
const Flags = PageTableFlags;
const PARENTS = PARENT_FLAGS;
const { PRESENT, HUGE_PAGE, ADDRESS_LOW, ADDRESS_HIGH } = bits;
/** What the unmapping of a 4-KiB page looks at. */
const LEAF = PRESENT | HUGE_PAGE;
/** The index whose window ends at the last byte of the address space. */
const LAST_INDEX = 511;

/**
 * A mapper for a level-4 table that has an entry pointing back to it: that entry makes every table of the active address
 * space appear in the address space itself, and this is the only way in which tables are reached. So all it does goes
 * through the processor: an entry that is not present on the way, or one that is not writable, is a page fault, and what
 * the TLB still holds is what it sees.
 *
 * Tables always get `PRESENT` and `WRITABLE`, whatever flags are asked for. A page fault on the way is thrown as
 * `ProcessorFault`; what was written before it stays, as on a processor.
 */
export class RecursivePageTable extends TableMapper {
  private readonly mapping: RecursiveMap;
  /** The fast way, if the processor allows it. */
  private readonly way: RecursiveWay | undefined;

  /**
   * A mapper for the active level-4 table, which is seen through the processor at the address that the loop gives it.
   *
   * @param table - at the address whose four indices are all that of the entry pointing back:
   *   `PageTable.at(cpu, address)`
   * @param options - `sink`: is told of flushes, by default the processor
   * @throws {@link InvalidPageTable} `NotRecursive` if the indices of the table's address differ, `NotActive` unless the
   *   entry of that index is present and points to the table in CR3
   * @throws {@link PageTableError} `BAD_ARGUMENT` for index 511, whose window ends with the address space: programs in
   *   which addresses are pointers cannot have an object there. {@link newUnchecked} takes it
   */
  constructor(table: PageTable, options?: MapperOptions);
  /** @internal With an index that was not checked. */
  constructor(table: PageTable, options: MapperOptions | undefined, unchecked: number);
  constructor(table: PageTable, options: MapperOptions = {}, unchecked = -1) {
    checkTable('RecursivePageTable', table);
    const index = unchecked < 0 ? checkedIndex(table) : unchecked;
    const path = new RecursivePath(table, index);
    super(path, sinkOf(options.sink, table.memory));
    this.way = remembersAll(table.memory) ? new RecursiveWay(table.memory, index) : undefined;
    this.mapping = new RecursiveMap(path, this.sink);
  }

  /**
   * A mapper for a table that is not looked at.
   *
   * @param table - a level-4 table that is active, in the memory through which it is
   * @param recursiveIndex - of its entry that points back
   */
  static newUnchecked(
    table: PageTable,
    recursiveIndex: PageTableIndex,
    options?: MapperOptions,
  ): RecursivePageTable {
    if (!(recursiveIndex instanceof PageTableIndex)) {
      throw wrongKind('RecursivePageTable.newUnchecked', recursiveIndex, 'a PageTableIndex');
    }
    return new RecursivePageTable(table, options, recursiveIndex.value);
  }

  override mapTo<S extends PageSize>(
    page: Page<S>,
    frame: PhysFrame<S>,
    flags: PageTableFlags,
    allocator: FrameAllocator<Size4KiB>,
  ): MapperFlush<S> {
    this.map('mapTo', page, frame, flags, flags.low & PARENTS, 0, allocator);
    return new Flush(page, this.sink);
  }

  override unmap<S extends PageSize>(page: Page<S>): Unmapped<S> {
    if (!(page instanceof AnyPage)) throw wrongKind('unmap', page, 'a Page');
    const way = this.wayTo(page);
    if (way?.find(page.high, page.low, PRESENT) && (way.low & LEAF) === PRESENT && way.replace(0, 0)) {
      const frame = new Frame(way.high & ADDRESS_HIGH, way.low & ADDRESS_LOW, page.pageSize);
      return { frame, flush: new Flush(page, this.sink) };
    }
    return { frame: this.general.unmap(page), flush: new Flush(page, this.sink) };
  }

  override updateFlags<S extends PageSize>(page: Page<S>, flags: PageTableFlags): MapperFlush<S> {
    if (!(page instanceof AnyPage)) throw wrongKind('updateFlags', page, 'a Page');
    if (!(flags instanceof Flags)) throw wrongKind('updateFlags', flags, 'PageTableFlags');
    const way = this.wayTo(page);
    const isDone =
      way?.find(page.high, page.low, PRESENT) &&
      (way.low | way.high) !== 0 &&
      way.replace((way.low & ADDRESS_LOW) | flags.low, (way.high & ADDRESS_HIGH) | flags.high);
    if (!isDone) {
      const { level, leaf } = page.pageSize;
      this.general.change('updateFlags', page, level, flags.low | leaf, flags.high);
    }
    return new Flush(page, this.sink);
  }

  override translatePage<S extends PageSize>(page: Page<S>): PhysFrame<S> {
    if (!(page instanceof AnyPage)) throw wrongKind('translatePage', page, 'a Page');
    const way = this.wayTo(page);
    return way?.find(page.high, page.low, PRESENT) && (way.low | way.high) !== 0
      ? new Frame(way.high & ADDRESS_HIGH, way.low & ADDRESS_LOW, page.pageSize)
      : this.general.translatePage(page);
  }

  override translate(addr: VirtAddr | bigint): TranslateResult {
    const { high, low } = halvesOf('translate', addr);
    return this.general.result(this.general.search('translate', high, low), low);
  }

  override translateAddr(addr: VirtAddr): PhysAddr | undefined;
  override translateAddr(addr: bigint): bigint | undefined;
  override translateAddr(addr: VirtAddr | bigint): PhysAddr | bigint | undefined {
    const { high, low } = halvesOf('translateAddr', addr);
    const way = this.path.fastRoot < 0 ? undefined : this.way;
    // An unused entry, and one that claims to be huge, are left to the general way.
    if (way?.find(high, low, PRESENT) && way.low !== 0 && (way.low & HUGE_PAGE) === 0) {
      return addressOf(addr, way.high & ADDRESS_HIGH, (way.low & ADDRESS_LOW) | (low & 0xfff));
    }
    const { general } = this;
    const size = general.search('translateAddr', high, low);
    if (size === undefined) return undefined;
    const inner = size.inner | 0xfff;
    return addressOf(addr, general.high & ADDRESS_HIGH, (general.low & ~inner) | (low & inner));
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
    if (
      !(page instanceof AnyPage && frame instanceof Frame && flags instanceof Flags) ||
      frame.pageSize !== page.pageSize
    ) {
      throw wrongArguments(operation, page, frame, flags);
    }
    const way = this.wayTo(page);
    // What is unusual, or can be refused, is for the general way.
    const unusual = ((parentsLow | flags.low) & HUGE_PAGE) | parentsHigh | (frame.low & 0xfff);
    const isDone =
      unusual === 0 &&
      way?.find(page.high, page.low, parentsLow | PRESENT) &&
      (way.low | way.high) === 0 &&
      way.replace(frame.low | flags.low, frame.high | flags.high);
    if (!isDone) this.mapping.map(operation, page, frame, flags, parentsLow, parentsHigh, allocator);
  }

  /** The fast way to a page's entry, unless there is none, or a call is under way. */
  private wayTo(page: Page<PageSize>): RecursiveWay | undefined {
    return page.pageSize.level === 1 && this.path.fastRoot >= 0 ? this.way : undefined;
  }

  /** Kind, index and root. */
  override toString(): string {
    return `RecursivePageTable { recursiveIndex: ${this.path.skipped}, level4Table: ${this.path.root} }`;
  }
}

/** The recursive index of a table that is recursive and active. */
function checkedIndex(table: PageTable): number {
  const { memory, page } = table;
  if (!isProcessor(memory)) {
    throw wrongKind(
      'RecursivePageTable',
      table,
      'a table seen through a processor: PageTable.at(cpu, address)',
    );
  }
  if (memory.levels !== undefined && memory.levels !== 4) {
    throw wrongKind("RecursivePageTable: levels of the processor's page tables", memory.levels, '4');
  }
  const high = highOfUnit(page);
  const low = page << 12;
  const address = hex64(joinHalves(low, high));
  const [index, ...others] = [4, 3, 2, 1].map((level) => indexAt(high, low, level));
  if (others.some((other) => other !== index) || !isCanonical(high)) {
    throw new InvalidPageTable(
      'NotRecursive',
      `the table at ${address} has the indices ${index}, ${others.join(', ')}; expected four equal ones`,
      { address: joinHalves(low, high) },
    );
  }
  const entry = table.get(index);
  const bits = entry.bits();
  const active = memory.cr3;
  const isActive =
    (lowHalf(bits) & (PRESENT | HUGE_PAGE)) === PRESENT && ((bits ^ active) & 0xf_ffff_ffff_f000n) === 0n;
  if (!isActive) {
    throw new InvalidPageTable(
      'NotActive',
      `entry ${index} of the table at ${address} is ${hex64(bits)}; expected a present entry with the frame in CR3, ` +
        `${hex64(active)}`,
      { address: joinHalves(low, high), entry: bits, cr3: active },
    );
  }
  if (index === LAST_INDEX) {
    throw new PageTableError(
      'BAD_ARGUMENT',
      `RecursivePageTable: index ${LAST_INDEX}, whose window ends with the address space; expected another one, or newUnchecked`,
      { index },
    );
  }
  return index;
}

/** An address in the form in which one was given. */
function addressOf(given: VirtAddr | bigint, high: number, low: number): PhysAddr | bigint {
  return typeof given === 'bigint' ? joinHalves(low, high) : new PhysAddr(high, low);
}

function halvesOf(operation: string, addr: VirtAddr | bigint): { high: number; low: number } {
  if (typeof addr === 'bigint') return { high: canonicalHigh(addr), low: lowHalf(addr) };
  if (!(addr instanceof VirtAddr)) throw wrongKind(operation, addr, 'a VirtAddr or a bigint');
  return addr;
}
