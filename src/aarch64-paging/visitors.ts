import { hex, joinHalves, PageTableError } from '../bits/index.ts';
import type { Behaviour } from './behaviour.ts';
import type { Descriptor, WritableDescriptor } from './descriptor.ts';
import { FLAGS_HIGH, FLAGS_LOW, frameOf, highOf, LEAF_LEVEL, lowOf, SPANS, TABLE, VALID } from './entry.ts';
import type { LiveRules, ViolatedRule } from './live-rules.ts';
import { Seed } from './regime.ts';
import { MemoryRegion } from './region.ts';
import { BETWEEN_PAGES, type Tables, type Visitor } from './tables.ts';
import { UpdateError } from './update-error.ts';

/** A descriptor, of whatever regime. */
export type Shown = Pick<Descriptor, 'lowBits' | 'highBits' | 'alive'>;
type Written = Shown &
  Pick<WritableDescriptor, 'memory' | 'changed' | 'refused' | 'wanted'> & {
    take(low: number, high: number, at: number, level: number, live: boolean): void;
  };

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
  /** A live entry was changed. */
  invalidate(page: number): void;
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
  private readonly region: MemoryRegion = MemoryRegion.ofPages(0, 0);
  private readonly full: MemoryRegion = MemoryRegion.ofPages(0, 0);
  /** Page number of the map's first page. */
  private readonly bias: number;
  private call: LeafCallback = nobody;

  constructor(tables: Tables, failures: Failures, bias: number, descriptor: D) {
    this.tables = tables;
    this.failures = failures;
    this.bias = bias;
    this.descriptor = descriptor;
  }

  abstract leaf(level: number, at: number, page: number, end: number): void;
  protected abstract failed(level: number, page: number, end: number, cause: unknown): never;

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
    this.full.from = -1;
  }

  /** Shows the callback the entry that the descriptor has. */
  protected show(level: number, page: number, end: number): void {
    const { region, full } = this;
    const span = SPANS[level];
    const first = page + this.bias;
    region.from = first;
    region.to = end + this.bias;
    full.from = first - (page & (span - 1));
    full.to = full.from + span;
    let cause: unknown;
    try {
      if (this.call(region, this.descriptor as never, level, full) !== false) return;
    } catch (error) {
      if (!(error instanceof UpdateError)) throw error;
      cause = error;
    }
    this.failed(level, page, end, cause);
  }
}

/** Shows each leaf, for reading. */
export class WalkVisitor extends CallbackVisitor<Shown> {
  leaf(level: number, at: number, page: number, end: number): void {
    this.descriptor.lowBits = this.tables.load(at);
    this.descriptor.highBits = this.tables.memory.high;
    this.show(level, page, end);
  }

  protected failed(_level: number, _page: number, _end: number, cause: unknown): never {
    return this.failures.fault(
      this.descriptor,
      joinHalves(this.descriptor.lowBits, this.descriptor.highBits),
      cause,
    );
  }
}

/** Shows each leaf, for changing; of a live map first copies, to see whether the changes are allowed. */
export class EditVisitor extends CallbackVisitor<Written> {
  /** Whether a live entry was changed. */
  modified = false;
  private live = false;
  private dry = false;
  /** The entry before the callback. */
  private low = 0;
  private high = 0;
  private readonly rules: LiveRules;
  private readonly noSplit: boolean;
  private readonly seed: boolean;

  constructor(tables: Tables, failures: Failures, bias: number, descriptor: Written, rules: LiveRules) {
    super(tables, failures, bias, descriptor);
    this.rules = rules;
    this.noSplit = tables.behaviour['no-live-split'];
    this.seed = tables.regime === Seed;
  }

  /** Whether the map is active, and whether to work on copies. */
  mode(live: boolean, dry: boolean): void {
    this.live = live;
    this.dry = dry;
    this.modified = false;
    this.descriptor.memory = dry ? undefined : this.tables.memory;
  }

  leaf(level: number, at: number, page: number, end: number): void {
    const { descriptor } = this;
    const low = this.tables.load(at);
    const high = this.tables.memory.high;
    this.low = low;
    this.high = high;
    descriptor.take(low, high, at, level, this.live);
    if (this.dry) {
      const valid = (low & VALID) !== 0;
      if (!valid && !this.rules.byMasks) return;
      const part = valid && end - page < SPANS[level];
      if (part && (this.noSplit || !this.rules.byMasks)) this.violation('block-size', level, page, end);
      this.show(level, page, end);
      if (valid) this.check(part, level, page, end);
    } else {
      this.show(level, page, end);
      if (this.live && descriptor.changed) {
        this.modified = true;
        this.failures.invalidate(page);
      }
    }
  }

  /** Whether a live valid leaf may become what the callback has made of its copy. */
  private check(part: boolean, level: number, page: number, end: number): void {
    const { lowBits, highBits } = this.descriptor;
    let rule: ViolatedRule | undefined;
    if (!this.rules.byMasks && this.rules.isUnknown(lowBits, highBits)) rule = 'attributes';
    else if ((this.seed || !this.rules.byMasks) && (lowBits & VALID) !== 0) {
      const frame = frameOf(lowBits, highBits);
      rule = this.rules.violated(this.low, this.high, frame, 0, lowBits & FLAGS_LOW, highBits & FLAGS_HIGH);
    }
    const differs = ((lowBits ^ this.low) & FLAGS_LOW) | ((highBits ^ this.high) & FLAGS_HIGH);
    if (part && differs !== 0) rule ??= 'block-size';
    if (rule !== undefined) this.violation(rule, level, page, end);
  }

  protected failed(level: number, page: number, end: number, cause: unknown): never {
    if (this.dry) this.violation(this.descriptor.refused ?? 'callback', level, page, end, cause);
    return this.failures.fault(this.descriptor, joinHalves(this.low, this.high), cause);
  }

  private violation(rule: ViolatedRule, level: number, page: number, end: number, cause?: unknown): never {
    const { descriptor } = this;
    const after = descriptor.wanted ?? joinHalves(descriptor.lowBits, descriptor.highBits);
    const before = joinHalves(this.low, this.high);
    return this.failures.violation(rule, { level, page, end }, before, after, cause);
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

  leaf(level: number, at: number, page: number, end: number): void {
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

/** Tells the processor to forget each leaf of a range. */
export class InvalidateVisitor implements Visitor {
  private readonly failures: Failures;

  constructor(failures: Failures) {
    this.failures = failures;
  }

  leaf(_level: number, _at: number, page: number): void {
    this.failures.invalidate(page);
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
