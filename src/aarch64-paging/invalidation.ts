import type { Behaviour } from './behaviour.ts';
import type { Processor } from './processor.ts';
import type { Regime } from './regime.ts';
import type { TableWatcher } from './tables.ts';

/** Tells a processor what to forget of an active map, and waits until it has. */
export class Invalidation implements TableWatcher {
  /** Whether there is anybody to be told. */
  readonly isTold: boolean;
  private readonly processor: Processor | undefined;
  private readonly regime: Regime;
  /** Page number of the map's first page. */
  private readonly bias: number;
  private readonly invalidates: boolean;
  private readonly waits: boolean;
  private readonly masks: boolean;
  /** What will be told once all stores were waited for. */
  private pages: number[] = [];

  constructor(processor: Processor | undefined, regime: Regime, bias: number, behaviour: Behaviour) {
    this.processor = processor;
    this.regime = regime;
    this.bias = bias;
    this.invalidates = behaviour['live-changes-are-invalidated'];
    this.waits = behaviour['stores-before-invalidation'];
    this.masks = behaviour['invalidation-in-44-bits'];
    this.isTold = this.invalidates && processor !== undefined;
  }

  invalidate(page: number): void {
    if (this.isTold && this.waits) this.pages.push(page);
    else if (this.isTold) this.tell(page);
  }

  synchronize(): void {
    this.finish(true);
  }

  /**
   * Ends a change.
   *
   * @param changed - whether anything was changed of which the processor knows
   */
  finish(changed: boolean): void {
    const { processor, pages } = this;
    if (processor === undefined) return;
    if (!this.invalidates) {
      processor.barrier('DSB ISHST');
    } else if (changed) {
      if (this.waits) processor.barrier('DSB ISHST');
      this.pages = [];
      for (const page of pages) this.tell(page);
      processor.barrier('DSB ISH');
      processor.barrier('ISB');
    }
  }

  /** Ends a change that failed: what was done of it must be forgotten as well. */
  abandon(): void {
    if (this.pages.length > 0) this.finish(true);
  }

  private tell(page: number): void {
    const operand = BigInt(page + this.bias);
    this.processor?.tlbi(this.regime.invalidate, this.masks ? BigInt.asUintN(44, operand) : operand);
  }
}
