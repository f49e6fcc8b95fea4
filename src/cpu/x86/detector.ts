import { isPresent, leadsToTable } from '../../format/index.ts';
import type { PhysicalMemory } from '../../memory/index.ts';
import { Detector, type DetectorOptions } from '../detector.ts';
import type { Lookaside } from '../lookaside.ts';
import { unsafeMessage } from '../report.ts';
import type { ControlState } from './control-state.ts';
import { X86Meaning } from './meaning.ts';

/**
 * Finds what software forgot on x86. Besides what every {@link Detector} reports: a page size that changed together with
 * something else. One that changes alone is not reported.
 *
 * @see Intel SDM vol. 3A, section "Invalidation of TLBs and Paging-Structure Caches"
 */
export class X86Detector extends Detector {
  /** @internal */
  constructor(memory: PhysicalMemory, state: ControlState, known: Lookaside, options: DetectorOptions) {
    super(memory, new X86Meaning(state), known, options);
  }

  /** @internal A change between a page and a table must go through a state that is not present, unless nothing else changes. */
  protected override changed(place: number, oldLow: number, _oldHigh: number, newLow: number): void {
    const format = this.meaning.anyFormat;
    if (format === undefined) return;
    const { facts, levels } = format;
    const changesSize = (depth: number) =>
      isPresent(facts, depth, oldLow) &&
      isPresent(facts, depth, newLow) &&
      leadsToTable(facts, depth, oldLow) !== leadsToTable(facts, depth, newLow);
    if (!Array.from({ length: levels }, (_, depth) => depth).some(changesSize)) return;
    for (const entry of this.remembered()) {
      const step = entry.origin.steps.find((each) => this.compare.placeOf(each) === place);
      if (step === undefined || !entry.isPage || !this.isUsable(entry)) continue;
      // Through a recursive window the entry is the last of another page, too.
      if (!changesSize(step.depth)) continue;
      const stale = this.compare.staleness(entry);
      if (stale?.change === undefined) continue;
      this.report(stale.change, {
        kind: 'unsafe-change',
        address: stale.address,
        change: stale.change,
        what: stale.difference,
        message: unsafeMessage(stale.change, stale.difference),
      });
      return;
    }
  }
}
