import { addressOf } from '../bits/index.ts';
import type { Absent, Fault } from './outcome.ts';

/**
 * Why the last access failed, as it was noted when it did; nothing is allocated until somebody asks.
 *
 * @typeParam Exception - what the architecture raises
 */
export abstract class FailureNote<Exception extends string = string> {
  /** `undefined` where memory was missing. */
  exception: Exception | undefined;
  /** Whether it was the page itself that was missing; otherwise it was a table. */
  isPageAbsent = false;
  /** Bits 31:0 of the address. */
  low = 0;
  /** The frame that was missing. */
  private frame = 0;

  /** Whether it was a fault that came from what was remembered. */
  abstract readonly isFromCache: boolean;

  /** The failure as an answer. */
  abstract describe(): Fault | Absent;

  /**
   * Memory was missing.
   *
   * @param low - bits 31:0 of the address
   */
  noteAbsent(frame: number, isPageAbsent: boolean, low: number): void {
    this.exception = undefined;
    this.frame = frame;
    this.isPageAbsent = isPageAbsent;
    this.low = low;
  }

  /** What was missing, where no exception was noted. */
  protected absent(): Absent {
    const offset = this.isPageAbsent ? this.low & 0xfff : 0;
    const what = this.isPageAbsent ? 'page' : 'table';
    return { kind: 'absent', what, address: addressOf(this.frame, offset) };
  }
}
