import type { PhysicalMemory } from '../../memory/index.ts';
import { Detector, type DetectorOptions } from '../detector.ts';
import type { Lookaside } from '../lookaside.ts';
import type { Remembered } from '../origin.ts';
import type { RiscvState } from './control-state.ts';
import { RiscvMeaning } from './meaning.ts';
import { FAULTY } from './remembered.ts';
import { type Fence, whyLeft } from './sfence.ts';

/**
 * Finds what software forgot on RISC-V: what every {@link Detector} reports. Entries may change from a page to a table and
 * back in one step, and faults by an entry that was invalid are no mistake: software may leave the fence out and try again.
 *
 * @see RISC-V Privileged ISA, section "Supervisor Memory-Management Fence Instruction"
 */
export class RiscvDetector extends Detector {
  private readonly global: number;

  /** @internal */
  constructor(memory: PhysicalMemory, state: RiscvState, known: Lookaside, options: DetectorOptions) {
    super(memory, new RiscvMeaning(state), known, options);
    this.global = state.global;
  }

  /** @internal A fence was executed. */
  fenced(fence: Fence): void {
    this.invalidated(fence.text, (tag) => whyLeft(fence, tag, this.global) ?? 'came before the change');
  }

  /** @internal No change needs more than one step. */
  protected override changed(): void {}

  /** @internal Entries that fault lead nowhere. */
  protected override *remembered(): IterableIterator<Remembered> {
    for (const entry of super.remembered()) {
      if (!entry.isPage || (entry.bits & FAULTY) === 0) yield entry;
    }
  }
}
