import { addressOf, hex, offsetOf, PageTableError, pageOf } from '../bits/index.ts';
import { INSPECT } from '../bits/inspect.ts';
import { wrongKind } from '../bits/wrong-kind.ts';
import type { PhysicalMemory } from '../memory/index.ts';
import { addressValue, PhysicalAddress, type VirtualAddress } from './address.ts';
import { Attributes, Constraints } from './attributes.ts';
import { type Behaviour, MODERN, SEED } from './behaviour.ts';
import type { ModifyCallback, WalkCallback } from './callbacks.ts';
import { tableLines } from './debug-text.ts';
import { Descriptor, DescriptorMut, UpdatableDescriptor } from './descriptor.ts';
import { ACCESSED, frameOf, LEAF_LEVEL, SPANS, TABLE, VALID } from './entry.ts';
import { causedBy, MapError, violationError } from './errors.ts';
import { checkFlags } from './flags.ts';
import { Invalidation } from './invalidation.ts';
import type { Processor } from './processor.ts';
import type { AttributesOf, Regime, VaRange } from './regime.ts';
import { Seed } from './regime.ts';
import { addressAt, checkRegion, MemoryRegion } from './region.ts';
import { BETWEEN_PAGES, PAGES_ONLY, Tables, type Visitor } from './tables.ts';
import type { Translation } from './target-allocator.ts';
import {
  addressOverflow,
  EditVisitor,
  type Failures,
  InvalidateVisitor,
  type LeafCallback,
  MapCheck,
  type Shown,
  WalkVisitor,
} from './visitors.ts';

/** Pages of the whole address space. */
const ALL_PAGES = 2 ** 52;

/** How a map is to behave, and what it acts on. */
export interface MapOptions {
  /** What it does as which version of the original; by default as it should be. */
  readonly behaviour?: Behaviour;
  /** Whom `activate` and `deactivate` tell, and who must forget what is changed while the map is active. */
  readonly processor?: Processor;
}

/** Where an address leads. */
export interface Translated<R extends Regime> {
  /** The physical address. */
  readonly address: PhysicalAddress;
  /** Level of the leaf. */
  readonly level: number;
  /** The leaf. */
  readonly descriptor: Descriptor<R>;
}

/** What a map's tables hold, by level of the table. */
export interface TableStatistics {
  /** Tables. */
  readonly tables: readonly number[];
  /** Valid blocks and pages. */
  readonly valid: readonly number[];
  /** Entries that are neither valid nor zero. */
  readonly invalid: readonly number[];
}

/** What all maps have in common: tables below a root, and ranges of them. `R` is the translation regime. */
export abstract class TableMap<R extends Regime> {
  /** Its translation regime. */
  readonly regime: R;
  /** What it does otherwise than which version of the original. */
  readonly behaviour: Behaviour;
  /** @internal */
  readonly tables: Tables;
  /** @internal */
  readonly processor: Processor | undefined;
  /** @internal How often it was activated and not deactivated. */
  activeCount = 0;
  /** @internal */
  readonly range: VaRange;
  /** Number of its first page. */
  private readonly bias: number;
  /** Behind the last page that can be worked on. */
  private readonly limit: number;
  /** What is running: how many walks, or -1 for a change, or -2 once it was freed. */
  private running = 0;
  /** First page of the range, relative to that of the map, and behind the last one. */
  private page = 0;
  private end = 0;
  private walker: WalkVisitor | undefined;
  private readonly editor: EditVisitor;
  private readonly failures: Failures;
  private readonly invalidation: Invalidation;
  /** Region of the running change. */
  private region: MemoryRegion | undefined;
  private readonly swallows: boolean;

  /** @internal */
  constructor(translation: Translation, level: number, regime: R, range: VaRange, options: MapOptions = {}) {
    if (!(Number.isInteger(level) && level >= 0 && level <= LEAF_LEVEL)) {
      throw new PageTableError(
        'OUT_OF_RANGE',
        `Invalid root table level ${level}; expected 0 to ${LEAF_LEVEL}`,
        {
          level,
        },
      );
    }
    this.regime = regime;
    this.range = range;
    this.behaviour = options.behaviour ?? (regime === (Seed as Regime) ? SEED : MODERN);
    this.processor = options.processor;
    const tables = new Tables(translation, regime, level, this.behaviour);
    this.tables = tables;
    this.bias = range === 'Upper' ? ALL_PAGES - tables.pages : 0;
    const top = range === 'Upper' && !this.behaviour['top-of-the-upper-range'];
    this.limit = top ? tables.pages - SPANS[level] : tables.pages;
    this.swallows = !this.behaviour['errors-stay-themselves-while-active'];
    this.invalidation = new Invalidation(this.processor, regime, this.bias, this.behaviour);
    this.failures = {
      fault: (descriptor, before, cause) => this.fault(descriptor, before, cause),
      violation: (rule, place, before, after, cause) => {
        const region = this.regionOf(place.page, place.end);
        const start = place.page - (place.page % SPANS[place.level]);
        const entry = this.regionOf(start, start + SPANS[place.level]);
        const named = this.behaviour['violation-names-the-region'] ? region : (this.region ?? region);
        throw violationError(named.clone(), { rule, level: place.level, entry, before, after }, cause);
      },
    };
    const descriptor =
      regime === (Seed as Regime)
        ? new DescriptorMut(Seed)
        : new UpdatableDescriptor(regime, this.behaviour, tables.rules);
    this.editor = new EditVisitor(tables, this.failures, this.bias, descriptor, this.invalidation);
  }

  /** The memory in which its tables lie. */
  get memory(): PhysicalMemory {
    return this.tables.memory;
  }

  /** Where its tables come from. */
  translation(): Translation {
    return this.tables.translation;
  }

  /** Bytes of its address space. */
  size(): bigint {
    return addressOf(this.tables.pages);
  }

  /** Physical address of its root. */
  rootAddress(): PhysicalAddress {
    return new PhysicalAddress(addressOf(this.tables.root));
  }

  /**
   * Calls a function for each leaf of a range, mapped or not, in order. It may walk, but not change the map.
   *
   * @throws {@link MapError} `RegionBackwards`, `AddressRange`, or `PteUpdateFault` if the function failed; what else it
   *   throws passes through
   */
  walkRange(range: MemoryRegion, f: WalkCallback<R>): void {
    this.refuse('walkRange', -1);
    checkCallback('walkRange', f);
    this.enter('walkRange', range);
    const visitor =
      this.walker ?? new WalkVisitor(this.tables, this.failures, this.bias, new Descriptor(this.regime));
    this.walker = undefined;
    this.running += 1;
    visitor.begin(f as LeafCallback);
    try {
      this.visit(visitor);
    } finally {
      visitor.finish();
      this.walker = visitor;
      this.running -= 1;
    }
  }

  /**
   * Calls a function for each leaf of a range, which may change it. Leaves that reach out of the range are split before.
   * What was changed before a failure stays.
   *
   * @throws {@link MapError} as {@link walkRange}; `BreakBeforeMakeViolation` if the map is active and a change is not
   *   allowed then, before anything is changed
   */
  modifyRange(range: MemoryRegion, f: ModifyCallback<R>): void {
    checkCallback('modifyRange', f);
    this.change('modifyRange', range, () => {
      const { editor } = this;
      const live = this.activeCount !== 0;
      editor.begin(f as LeafCallback);
      try {
        if (live) {
          this.look(range, () => {
            editor.mode(true, true);
            this.visit(editor);
          });
        }
        this.enter('modifyRange', range);
        editor.mode(live, false);
        this.visit(editor, true);
      } finally {
        editor.finish();
      }
      this.invalidation.finish(editor.modified);
    });
  }

  /**
   * Where an address leads, or `undefined`.
   *
   * @param va - virtual address
   */
  translate(va: bigint | VirtualAddress): Translated<R> | undefined {
    const address = addressValue('translate', va);
    const page = pageOf(address) - this.bias;
    if (page < 0 || page >= this.tables.pages) return undefined;
    this.refuse('translate', -1);
    let found: Translated<R> | undefined;
    const { tables } = this;
    tables.visit(page, page + 1, {
      leaves: (level, at) => {
        const low = tables.load(at);
        const high = tables.memory.high;
        // What the hardware takes for a leaf: a page with bit 1, and blocks at levels 1 and 2 only.
        if ((low & VALID) === 0 || ((low & TABLE) !== 0) !== (level === LEAF_LEVEL) || level === 0) return;
        const frame = frameOf(low, high) + (page % SPANS[level]);
        found = {
          address: new PhysicalAddress(addressOf(frame, offsetOf(address))),
          level,
          descriptor: new Descriptor(this.regime, low, high),
        };
      },
    });
    return found;
  }

  /** Counts tables and leaves. */
  statistics(): TableStatistics {
    this.refuse('statistics', -1);
    const tables = [0, 0, 0, 0];
    const valid = [0, 0, 0, 0];
    const invalid = [0, 0, 0, 0];
    tables[this.tables.level] = 1;
    this.tables.visit(0, this.tables.pages, {
      leaves: (level, at, page, end) => {
        for (let word = at, each = page; each < end; word += 2, each += SPANS[level]) {
          const low = this.tables.load(word);
          if ((low & VALID) !== 0) valid[level] += 1;
          else if ((low | this.tables.memory.high) !== 0) invalid[level] += 1;
        }
        // The first leaf of a table is the first one of all tables above it that begin there.
        for (let above = level; above > this.tables.level && page % SPANS[above - 1] === 0; above -= 1) {
          tables[above] += 1;
        }
      },
    });
    return { tables, valid, invalid };
  }

  /**
   * Frees tables that hold nothing but zeros.
   */
  compactSubtables(): void {
    this.change('compactSubtables', undefined, () => this.tables.compact());
  }

  /**
   * Frees all tables: what is below first, the root last. Nothing can be done with the map then.
   *
   * @throws {@link PageTableError} `BAD_ARGUMENT` if the map is active
   */
  free(): void {
    this.change('free', undefined, () => this.tables.free(this.tables.level, this.tables.root));
    this.running = -2;
  }

  /** Frees all tables, at the end of a `using` block. */
  [Symbol.dispose](): void {
    if (this.running !== -2) this.free();
  }

  /** The original's debug text: all entries of all tables. */
  toString(): string {
    this.refuse('toString', -1);
    const { regime, tables, range } = this;
    const more =
      regime === (Seed as Regime)
        ? ''
        : `translation_regime: PhantomData<aarch64_paging::paging::${regime.name}>, va_range: ${regime.hasAsid ? range : '()'}, `;
    return `RootTable { pa: ${this.rootAddress()}, ${more}level: ${tables.level}, table:\n${tableLines(tables)}}`;
  }

  /** @internal */
  [INSPECT](): string {
    return this.toString();
  }

  /** @internal Maps a range to physical addresses from one on, or to the identical ones. */
  mapTo(
    range: MemoryRegion,
    pa: bigint | undefined,
    flags: AttributesOf<R>,
    constraints: Constraints = Constraints.empty(),
  ): void {
    const { regime, tables, behaviour } = this;
    checkRegion('mapRange', range);
    checkFlags('mapRange', flags, regime.attributes);
    checkFlags('mapRange', constraints, Constraints);
    const frame = pa === undefined ? range.firstPage : pageOf(pa);
    const mode =
      (constraints.intersects(Constraints.NO_BLOCK_MAPPINGS) ? PAGES_ONLY : 0) |
      (pa === undefined || offsetOf(pa) === 0 ? 0 : BETWEEN_PAGES);
    const res1 = behaviour['res1-is-set'] && (flags.low & VALID) !== 0 ? regime.res1 : 0;
    const accessed = behaviour['accessed-only-if-given'] ? 0 : ACCESSED;
    const low = flags.low | res1 | accessed;
    this.change('mapRange', range, () => {
      const live = this.activeCount !== 0;
      if (live) {
        this.look(range, () => {
          const check = new MapCheck(
            tables,
            this.failures,
            tables.rules,
            frame - this.page,
            low,
            flags.high,
            mode,
          );
          this.visit(check);
        });
      }
      if ((flags.low & TABLE) !== 0) throw this.invalidFlags(flags);
      this.enter('mapRange', range);
      const last = frame + this.end - this.page;
      if (
        last > ALL_PAGES ||
        (last === ALL_PAGES && !behaviour['no-underflow-of-addresses'] && this.end > this.page)
      ) {
        throw addressOverflow(last);
      }
      try {
        this.within((page, end) => tables.mapRange(page, end, frame, low, flags.high, mode));
      } finally {
        if (live && this.invalidation.isTold) this.visit(new InvalidateVisitor(this.invalidation));
        this.invalidation.finish(live);
      }
    });
  }

  /**
   * @internal Makes a change, during which all else is refused.
   *
   * @throws {@link PageTableError} `REENTERED`
   */
  change(operation: string, range: MemoryRegion | undefined, run: () => void): void {
    this.refuse(operation, 0);
    this.running = -1;
    this.region = range;
    const watched = this.activeCount !== 0 && this.invalidation.isTold;
    this.tables.watcher =
      watched && this.behaviour['freed-tables-are-invalidated'] ? this.invalidation : undefined;
    try {
      run();
    } finally {
      this.running = 0;
      this.region = undefined;
      this.invalidation.abandon();
    }
  }

  /** Refuses what must not happen now; `walks` is how many walks may be running, -1 for any number. */
  private refuse(operation: string, walks: number): void {
    const { running } = this;
    if (running === 0 || (running > 0 && walks < 0)) return;
    throw this.refusal(operation);
  }

  private refusal(operation: string): PageTableError {
    const { running } = this;
    if (running === -2) return new PageTableError('BAD_ARGUMENT', `${operation}: the map was freed`);
    return new PageTableError(
      'REENTERED',
      `${operation}: called from inside ${running > 0 ? 'walkRange' : 'a change'} of the same map; expected the call after that has returned`,
    );
  }

  /** Takes a range to work on. */
  private enter(operation: string, range: MemoryRegion): void {
    checkRegion(operation, range);
    const page = range.firstPage - this.bias;
    const end = range.endPage - this.bias;
    if (!(page >= 0 && page < end && end <= this.limit)) this.verify(operation, range);
    this.page = page;
    this.end = end;
  }

  /** Refuses a range that the map does not have. */
  private verify(operation: string, range: MemoryRegion): void {
    const { firstPage, endPage } = range;
    if (!this.behaviour['top-of-the-upper-range'] && (endPage === 0 || endPage === ALL_PAGES)) {
      throw atTop(operation, range);
    }
    if (endPage < firstPage) {
      throw new MapError(
        'RegionBackwards',
        `End of memory region ${range} is before start.`,
        { region: range.clone() },
        { start: range.start().value, end: range.end().value },
      );
    }
    const lower = this.bias === 0;
    if (lower ? firstPage >= ALL_PAGES / 2 : firstPage < this.bias) throw this.outOfRange(firstPage);
    if (lower && endPage > this.tables.pages) throw this.outOfRange(endPage);
  }

  private outOfRange(page: number): MapError {
    const addr = addressAt(page);
    const { pages } = this.tables;
    const all = this.regionOf(0, pages);
    return new MapError(
      'AddressRange',
      `Virtual address ${addr} out of range; expected a region within ${all}`,
      { addr },
      { address: addr.value },
    );
  }

  /** Works on the range that was taken, as far as the behaviour lets it. */
  private within(run: (page: number, end: number) => void): void {
    const { page, end, limit } = this;
    const all = end <= limit || page === end;
    if (all || page < limit) run(page, all ? end : limit);
    if (!all) throw atTop('range', this.regionOf(page, end));
  }

  private visit(visitor: Visitor, splits = false): void {
    if (this.end <= this.limit) this.tables.visit(this.page, this.end, visitor, splits);
    else this.within((page, end) => this.tables.visit(page, end, visitor, splits));
  }

  /** Looks whether a change of a live map is allowed. */
  private look(range: MemoryRegion, run: () => void): void {
    try {
      this.enter('range', range);
      run();
    } catch (error) {
      if (!this.swallows || !(error instanceof MapError) || error.violation !== undefined) throw error;
      throw violationError(range.clone(), undefined, error);
    }
  }

  /** Pages relative to the map's first one as a region. */
  private regionOf(page: number, end: number): MemoryRegion {
    return MemoryRegion.ofPages(page + this.bias, end + this.bias);
  }

  private fault(descriptor: Shown, before: bigint, cause: unknown): never {
    const found = new Descriptor<Regime>(this.regime, descriptor.lowBits, descriptor.highBits);
    const seed = this.regime === (Seed as Regime);
    const bits = seed ? found.bits() : before;
    throw new MapError(
      'PteUpdateFault',
      `Error updating page table entry ${seed ? found : bits}`,
      { bits, descriptor: found },
      { bits },
      causedBy(cause),
    );
  }

  private invalidFlags(given: AttributesOf<R>): MapError {
    const seed = this.regime === (Seed as Regime);
    const flags = seed ? Attributes.TABLE_OR_PAGE : given;
    return new MapError(
      'InvalidFlags',
      `Flags ${seed ? flags : hex(flags.bits())} unsupported for mapping.`,
      { flags },
      { flags: given.bits() },
    );
  }
}

function checkCallback(operation: string, f: unknown): void {
  if (typeof f !== 'function') throw wrongKind(operation, f, 'a function');
}

function atTop(operation: string, range: MemoryRegion): PageTableError {
  return new PageTableError(
    'OUT_OF_RANGE',
    `${operation}: ${range} reaches to where addresses end, which this version of the original cannot`,
    { start: range.start().value, end: range.end().value },
  );
}
