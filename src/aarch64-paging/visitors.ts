import { hex, joinHalves, PageTableError } from '../bits/index.ts';
import type { Behaviour } from './behaviour.ts';
import type { Descriptor, WritableDescriptor } from './descriptor.ts';
import { FLAGS_HIGH, FLAGS_LOW, frameOf, highOf, LEAF_LEVEL, lowOf, SPANS, TABLE, VALID } from './entry.ts';
import type { LiveRules, ViolatedRule } from './live-rules.ts';
import { Seed } from './regime.ts';
import { MemoryRegion } from './region.ts';
import { BETWEEN_PAGES, type Tables, type TableWatcher, type Visitor } from './tables.ts';
import { UpdateError } from './update-error.ts';

/** A descriptor, of whatever regime. */
export type Shown = Pick<Descriptor, 'lowBits' | 'highBits' | 'alive'>;
type Written = Shown &
  Pick<WritableDescriptor, 'memory' | 'at' | 'depth' | 'changed' | 'live' | 'refused' | 'wanted' | 'hold'>;

/** A leaf and the part of it that was visited. */
export interface Place {
  readonly level: number;
  /** First page, relative to the first one of the map. */
  readonly page: number;
  /** Behind the last one. */
  readonly end: number;
}

/** What a map does when a visitor cannot go on: throws the original's errors. */
export interface Failures {
  /** A callback failed. */
  fault(descriptor: Shown, before: bigint, cause: unknown): never;
  /** A live entry needs break-before-make. */
  violation(rule: ViolatedRule, place: Place, before: bigint, after: bigint, cause?: unknown): never;
}

/** A callback as visitors call it. */
export type LeafCallback = (
  region: MemoryRegion,
  descriptor: never,
  level: number,
  full: MemoryRegion,
) => unknown;

const nobody: LeafCallback = () => undefined;

/** Calls a callback for each leaf, always with the same objects. */
abstract class CallbackVisitor<D extends Shown> implements Visitor {
  protected readonly tables: Tables;
  protected readonly failures: Failures;
  protected readonly descriptor: D;
  protected readonly region: MemoryRegion = MemoryRegion.ofPages(0, 0);
  protected readonly part: MemoryRegion = MemoryRegion.ofPages(0, 0);
  /** Page number of the map's first page. */
  protected readonly bias: number;
  protected call: LeafCallback = nobody;

  constructor(tables: Tables, failures: Failures, bias: number, descriptor: D) {
    this.tables = tables;
    this.failures = failures;
    this.bias = bias;
    this.descriptor = descriptor;
  }

  abstract leaves(level: number, at: number, page: number, end: number): void;

  /** Begins an operation. */
  begin(call: LeafCallback): void {
    this.call = call;
    this.descriptor.alive = true;
  }

  /** Ends it: nobody can use the regions and the descriptor any more. */
  finish(): void {
    this.call = nobody;
    this.descriptor.alive = false;
    this.region.from = -1;
    this.part.from = -1;
  }

  /** Goes on with what a callback has thrown. */
  protected failed(error: unknown, low: number, high: number): never {
    if (!(error instanceof UpdateError)) throw error;
    return this.failures.fault(this.descriptor, joinHalves(low, high), error);
  }

  /** The part of a leaf that is in the range; `region` is all of it. */
  protected visited(page: number, end: number): MemoryRegion {
    const { part, region, bias } = this;
    const from = page + bias;
    if (from === region.from && end - page === region.count) return region;
    part.from = from;
    part.count = end - page;
    return part;
  }
}

/** Shows each leaf, for reading. */
export class WalkVisitor extends CallbackVisitor<Shown> {
  leaves(level: number, first: number, firstPage: number, end: number): void {
    const { tables, descriptor, region, bias, call } = this;
    const { memory } = tables;
    const span = SPANS[level];
    let at = first;
    let start = firstPage - (firstPage & (span - 1));
    region.count = span;
    try {
      for (let page = firstPage; page < end; page = start) {
        descriptor.lowBits = tables.load(at);
        descriptor.highBits = memory.high;
        region.from = start + bias;
        start += span;
        const part = span === 1 ? region : this.visited(page, Math.min(start, end));
        if (call(part, descriptor as never, level, region) === false) throw new UpdateError();
        at += 2;
      }
    } catch (error) {
      this.failed(error, descriptor.lowBits, descriptor.highBits);
    }
  }
}

/** Shows each leaf, for changing; of a live map first copies, to see whether the changes are allowed. */
export class EditVisitor extends CallbackVisitor<Written> {
  /** Whether a live entry was changed. */
  modified = false;
  private live = false;
  private dry = false;
  private readonly watcher: TableWatcher;
  private readonly rules: LiveRules;
  private readonly noSplit: boolean;
  private readonly seed: boolean;

  constructor(tables: Tables, failures: Failures, bias: number, descriptor: Written, watcher: TableWatcher) {
    super(tables, failures, bias, descriptor);
    this.watcher = watcher;
    this.rules = tables.rules;
    this.noSplit = tables.behaviour['no-live-split'];
    this.seed = tables.regime === Seed;
  }

  /** Whether the map is active, and whether to work on copies. */
  mode(live: boolean, dry: boolean): void {
    this.live = live;
    this.dry = dry;
    this.modified = false;
    this.descriptor.live = live;
    this.descriptor.memory = dry ? undefined : this.tables.memory;
  }

  leaves(level: number, first: number, firstPage: number, end: number): void {
    this.descriptor.depth = level;
    this.region.count = SPANS[level];
    if (this.live) this.liveLeaves(level, first, firstPage, end);
    else this.idleLeaves(level, first, firstPage, end);
  }

  /** Leaves of a map that is not active; only whole ones come here. */
  private idleLeaves(level: number, first: number, page: number, end: number): void {
    const { tables, descriptor, region, call } = this;
    const { memory } = tables;
    const span = SPANS[level];
    const endPage = end + this.bias;
    let at = first;
    let from = page + this.bias;
    let low = 0;
    let high = 0;
    let { words } = memory;
    try {
      while (from < endPage) {
        if (memory.words !== words || words.length === 0) words = memory.current();
        low = words[at] | 0;
        high = words[at + 1] | 0;
        descriptor.lowBits = low;
        descriptor.highBits = high;
        descriptor.changed = false;
        descriptor.at = at;
        region.from = from;
        from += span;
        if (call(region, descriptor as never, level, region) === false) throw new UpdateError();
        at += 2;
      }
    } catch (error) {
      this.failed(error, low, high);
    }
  }

  private liveLeaves(level: number, first: number, firstPage: number, end: number): void {
    const { descriptor, region, bias } = this;
    const span = SPANS[level];
    let at = first;
    let start = firstPage - (firstPage & (span - 1));
    for (let page = firstPage; page < end; page = start) {
      region.from = start + bias;
      start += span;
      descriptor.at = at;
      this.liveLeaf(level, at, page, Math.min(start, end));
      at += 2;
    }
  }

  private liveLeaf(level: number, at: number, page: number, end: number): void {
    const { tables, descriptor } = this;
    const low = tables.load(at);
    const { high } = tables.memory;
    const part = end - page < SPANS[level];
    descriptor.lowBits = low;
    descriptor.highBits = high;
    descriptor.changed = false;
    descriptor.hold();
    if (!this.dry || this.isShown(part, low, high, level, page, end)) {
      this.show(this.visited(page, end), low, high, level, page, end);
      if (this.dry) this.check(part, low, high, level, page, end);
      else if (descriptor.changed) {
        this.modified = true;
        this.watcher.invalidate(page);
      }
    }
  }

  /** Shows the callback the entry that the descriptor has. */
  private show(
    part: MemoryRegion,
    low: number,
    high: number,
    level: number,
    page: number,
    end: number,
  ): void {
    try {
      if (this.call(part, this.descriptor as never, level, this.region) === false) throw new UpdateError();
    } catch (error) {
      if (!this.dry || !(error instanceof UpdateError)) this.failed(error, low, high);
      this.violation(this.descriptor.refused ?? 'callback', low, high, level, page, end, error);
    }
  }

  /** Whether the callback is to see a live leaf at all. */
  private isShown(
    part: boolean,
    low: number,
    high: number,
    level: number,
    page: number,
    end: number,
  ): boolean {
    if ((low & VALID) === 0) return this.rules.byMasks;
    if (part && (this.noSplit || !this.rules.byMasks))
      this.violation('block-size', low, high, level, page, end);
    return true;
  }

  /** Whether a live leaf may become what the callback has made of its copy. */
  private check(part: boolean, low: number, high: number, level: number, page: number, end: number): void {
    if ((low & VALID) === 0) return;
    const { lowBits, highBits } = this.descriptor;
    let rule: ViolatedRule | undefined;
    if (!this.rules.byMasks && this.rules.isUnknown(lowBits, highBits)) rule = 'attributes';
    else if ((this.seed || !this.rules.byMasks) && (lowBits & VALID) !== 0) {
      const frame = frameOf(lowBits, highBits);
      rule = this.rules.violated(low, high, frame, 0, lowBits & FLAGS_LOW, highBits & FLAGS_HIGH);
    }
    const differs = ((lowBits ^ low) & FLAGS_LOW) | ((highBits ^ high) & FLAGS_HIGH);
    if (part && differs !== 0) rule ??= 'block-size';
    if (rule !== undefined) this.violation(rule, low, high, level, page, end);
  }

  private violation(
    rule: ViolatedRule,
    low: number,
    high: number,
    level: number,
    page: number,
    end: number,
    cause?: unknown,
  ): never {
    const { descriptor } = this;
    const after = descriptor.wanted ?? joinHalves(descriptor.lowBits, descriptor.highBits);
    return this.failures.violation(rule, { level, page, end }, joinHalves(low, high), after, cause);
  }
}

/** Looks whether a live map can be made to map a range to frames. */
export class MapCheck implements Visitor {
  private readonly tables: Tables;
  private readonly failures: Failures;
  private readonly rules: LiveRules;
  private readonly behaviour: Behaviour;
  /** Frame of page 0, if the whole map were mapped so. */
  private readonly shift: number;
  private readonly low: number;
  private readonly high: number;
  private readonly mode: number;

  constructor(
    tables: Tables,
    failures: Failures,
    rules: LiveRules,
    shift: number,
    low: number,
    high: number,
    mode: number,
  ) {
    this.tables = tables;
    this.failures = failures;
    this.rules = rules;
    this.behaviour = tables.behaviour;
    this.shift = shift;
    this.low = low;
    this.high = high;
    this.mode = mode;
  }

  leaves(level: number, at: number, page: number, end: number): void {
    const span = SPANS[level];
    for (let each = page, word = at; each < end; word += 2) {
      const next = Math.min(end, each - (each & (span - 1)) + span);
      this.leaf(level, word, each, next);
      each = next;
    }
  }

  private leaf(level: number, at: number, page: number, end: number): void {
    const oldLow = this.tables.load(at);
    const oldHigh = this.tables.memory.high;
    const { rules, high } = this;
    const valid = (oldLow & VALID) !== 0;
    const frame = page + this.shift;
    if (!valid && !rules.byMasks) return;
    if (frame >= 2 ** 52) throw addressOverflow(frame);
    if (!valid) return;
    const low = level === LEAF_LEVEL && rules.byMasks ? this.low | TABLE : this.low;
    const rule = this.rule(oldLow, oldHigh, level, page, end, frame, low);
    if (rule === undefined) return;
    const after = joinHalves(lowOf(frame) | low, highOf(frame) | high);
    this.failures.violation(rule, { level, page, end }, joinHalves(oldLow, oldHigh), after);
  }

  private rule(
    oldLow: number,
    oldHigh: number,
    level: number,
    page: number,
    end: number,
    frame: number,
    low: number,
  ): ViolatedRule | undefined {
    const { rules, high } = this;
    const span = SPANS[level];
    const within = page & (span - 1);
    const part = end - page < span;
    const stays = (low & VALID) !== 0;
    if (!rules.byMasks) {
      if (part) return 'block-size';
      if (rules.isUnknown(low, high)) return 'attributes';
    }
    if (stays) {
      const exact = this.behaviour['no-live-change-of-address'];
      const target = exact ? frame - within : frame - (frame % span);
      // Version 0.5 sees what the entry would hold; 0.12 what was asked for.
      const seen = rules.byMasks ? target : frameOf(lowOf(target), highOf(target));
      const rule = rules.violated(oldLow, oldHigh, seen, 0, low, high);
      if (rule !== undefined) return rule;
    }
    const same = (oldLow & FLAGS_LOW) === low && (oldHigh & FLAGS_HIGH) === high;
    if (part && !same) return 'block-size';
    if (!this.behaviour['no-live-split'] || level === LEAF_LEVEL) return undefined;
    const identical =
      same &&
      this.behaviour['identical-blocks-stay'] &&
      frame - within === frameOf(oldLow, oldHigh) &&
      (this.mode & BETWEEN_PAGES) === 0;
    const block =
      !part &&
      this.mode === 0 &&
      (level > 0 || !this.behaviour['no-level-0-blocks']) &&
      (frame & (span - 1)) === 0;
    return identical || block ? undefined : 'block-size';
  }
}

/** Has each leaf of a range forgotten. */
export class InvalidateVisitor implements Visitor {
  private readonly watcher: TableWatcher;

  constructor(watcher: TableWatcher) {
    this.watcher = watcher;
  }

  leaves(level: number, _at: number, page: number, end: number): void {
    const span = SPANS[level];
    for (let each = page; each < end; each += span - (each & (span - 1))) this.watcher.invalidate(each);
  }
}

/** The error for physical addresses that do not end. */
export function addressOverflow(frame: number): PageTableError {
  return new PageTableError(
    'OUT_OF_RANGE',
    `map: the physical addresses reach ${hex(BigInt(frame) << 12n)}; expected addresses below 2^64`,
    { frame },
  );
}
