import { addressOf, hex, joinHalves } from '../../bits/index.ts';
import { ABSENT, type PhysicalMemory } from '../../memory/index.ts';
import { Detector, type DetectorOptions } from '../detector.ts';
import type { Lookaside } from '../lookaside.ts';
import type { Tag } from '../origin.ts';
import { type BreakStep, breakMessage, type EntryChange, groupMessage } from '../report.ts';
import type { CachedEntry } from './cached.ts';
import { BREAK_RULES, type BreakRule } from './change-rules.ts';
import type { Aarch64State } from './control-state.ts';
import { addressIn, entryOf, firstPageOf, LiveChanges, type Spot } from './live-changes.ts';
import { Aarch64Meaning } from './meaning.ts';
import { GLOBAL, levelOf } from './remembered.ts';
import { type Tagged, type TlbInvalidation, whyLeft } from './tlbi.ts';

/** Invalidations that wait for a DSB at most; they may always come earlier. */
const MOST_WAITING = 1024;

/** An invalidation that no DSB has waited for yet. */
interface Pending {
  readonly invalidation: TlbInvalidation;
  /** When the last DSB came before it, which made writes before that visible. */
  readonly seen: number;
  isComplete: boolean;
}

/**
 * Finds what software forgot on AArch64. Besides what every {@link Detector} reports: entries that changed in one step where
 * the architecture asks for break-before-make, or were made anew before what they were had been invalidated; and contiguous
 * groups of which the members do not go together.
 *
 * It looks at the tables whenever one is written to through the processor, and else at each TLBI, barrier and MSR: a change
 * that is made and undone between two of these is not seen. {@link check} looks at once.
 *
 * @see Arm ARM (DDI 0487), section "Using break-before-make when updating translation table entries"
 */
export class Aarch64Detector extends Detector {
  private readonly live: LiveChanges;
  private waiting: Pending[] = [];
  /** When the last DSB came that waited for stores. */
  private lastBarrier = 0;

  /** @internal */
  constructor(memory: PhysicalMemory, state: Aarch64State, known: Lookaside, options: DetectorOptions) {
    super(memory, new Aarch64Meaning(state), known, options);
    this.live = new LiveChanges(memory, state, (place, frame) => this.known.set(place, frame), {
      broken: (...found) => this.reportBreak(...found),
      mixed: (...found) => this.reportGroup(...found),
      now: () => this.order,
    });
    this.live.look();
  }

  /**
   * Looks at the tables for changes that did not go through the processor, as each TLBI, barrier and MSR does.
   *
   * @throws {@link PageTableError} `REENTERED` from inside `onReport`
   */
  check(): void {
    this.refuseReentry();
    this.live.look();
  }

  // ---- what the processor tells

  /** @internal A TLBI instruction. */
  tlbi(invalidation: TlbInvalidation): void {
    this.check();
    const pending: Pending = { invalidation, seen: this.lastBarrier, isComplete: false };
    this.waiting.push(pending);
    if (this.waiting.length > MOST_WAITING) this.complete();
    this.invalidated(invalidation.text, (tag, since) => {
      const why = whyLeft(invalidation, tagged(tag));
      if (why !== undefined) return why;
      if (pending.seen <= since) return 'came with no DSB between the write and it';
      return pending.isComplete
        ? 'came too early'
        : 'is not complete: no DSB of loads and stores came after it';
    });
  }

  /** @internal A DSB that waits for stores, and perhaps for loads and TLBI instructions as well. */
  barrier(kind: string, isFull: boolean): void {
    this.check();
    this.invalidated(kind, () => 'waits for what came before, and invalidates nothing itself');
    this.lastBarrier = this.order;
    if (isFull) this.complete();
  }

  /** What was invalidated is gone. */
  private complete(): void {
    for (const pending of this.waiting) {
      pending.isComplete = true;
      this.live.cached.invalidated(pending.invalidation, pending.seen);
    }
    this.waiting = [];
  }

  /** @internal An entry was written to through the processor. */
  protected override changed(place: number): void {
    this.live.written(place);
  }

  // ---- reports

  private reportBreak(
    spot: Spot,
    oldLow: number,
    oldHigh: number,
    cached: CachedEntry,
    rule: BreakRule,
  ): void {
    const change = this.changeAt(spot, oldLow, oldHigh);
    const before: BreakStep = {
      entry: `L${levelOf(cached.order)} descriptor`,
      address: cached.address,
      value: joinHalves(cached.low, cached.high),
    };
    const first = addressOf(cached.first);
    const space = cached.space === GLOBAL ? undefined : cached.space;
    const what = cached.group !== undefined ? 'each page of the contiguous group of ' : '';
    const under = space === undefined ? 'under any ASID' : `under ASID ${space}`;
    const operation = cached.isPage ? 'TLBI VALE1IS or VAE1IS' : 'TLBI VAE1IS, not VALE1IS,';
    const due = `an invalid entry, DSB, ${operation} for ${what}${hex(first)} ${under}, DSB, and only then the new entry`;
    const report = {
      kind: 'break-before-make',
      address: addressOf(firstPageOf(spot)),
      rule,
      reason: BREAK_RULES[rule],
      change,
      cached: before,
      shift: cached.order + 12,
      cachedAddress: first,
      space,
      due,
      done: this.compare.doneSince(tagOf(cached), cached.since),
    } as const;
    this.report(change.write ?? cached, { ...report, message: breakMessage(report) });
  }

  private reportGroup(spot: Spot, oldLow: number, oldHigh: number, other: number): void {
    const change = this.changeAt(spot, oldLow, oldHigh);
    const { low, high } = entryOf({ ...spot, index: other });
    const report = {
      kind: 'contiguous-group',
      address: addressOf(firstPageOf(spot)),
      change,
      other: {
        entry: change.entry,
        address: addressIn({ ...spot, index: other }),
        value: joinHalves(low, high),
      },
    } as const;
    this.report(change.write ?? change, { ...report, message: groupMessage(report) });
  }

  private changeAt(spot: Spot, oldLow: number, oldHigh: number): EntryChange {
    const { format, depth } = spot.table;
    const { low, high } = entryOf(spot);
    const place = this.placeOf(spot);
    return {
      entry: format.fact.levels[depth].entry,
      address: addressIn(spot),
      before: joinHalves(oldLow, oldHigh),
      after: joinHalves(low, high),
      write: place === ABSENT ? undefined : this.compare.writeOf(place, low, high, 0),
    };
  }

  private placeOf({ table, index }: Spot): number {
    const at = table.word + index * 2;
    const base = this.memory.locate(table.frame + (at >>> 10));
    return base === ABSENT ? ABSENT : base + (at & 1023);
  }
}

function tagged({ isPage, space, order, high, low }: Tag): Tagged {
  return { isPage, space, order, first: (high >>> 0) * 2 ** 20 + (low >>> 12) };
}

function tagOf({ isPage, space, order, first }: CachedEntry): Tag {
  return { isPage, space, order, high: (first * 2 ** -20) | 0, low: (first % 2 ** 20) << 12 };
}
