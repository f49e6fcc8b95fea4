import type { Absent, X86Fault } from '../outcome.ts';
import { X86System } from './x86-system.ts';

/** What an access may be besides its kind. */
export interface AccessOptions {
  /** Through the stack segment (`push`, an address based on RSP or RBP): an address that is not canonical is then #SS. */
  readonly stack?: boolean;
  /** By the processor itself (descriptor tables, task-state segment): a supervisor access at any CPL. */
  readonly implicit?: boolean;
}

/**
 * An x86 processor as far as its memory management goes: control registers, page walks that set accessed and dirty bits,
 * access rights, faults, a TLB and paging-structure caches, and the instructions that invalidate them.
 *
 * Linear addresses are `bigint` in `read`, `write` and `fetch`. Where nothing may be allocated they are two 32-bit halves:
 * `load`, `store`, `translate`. Faults are answers everywhere; only `readEntry` and `writeEntry`, through which a `PageTable`
 * uses a processor as its memory, throw them.
 *
 * Not modelled: segmentation, shadow stacks, LAM, HLAT, memory encryption, nested paging.
 *
 * @see Intel SDM vol. 3A, chapter "Paging"
 */
export class X86Cpu extends X86System<AccessOptions> {
  /** @internal A page fault forgets what is remembered for its address, so operating systems try again. */
  protected override readonly retries = true;

  override failure(): X86Fault | Absent {
    return this.mmu.failed.describe();
  }

  /** @internal x86 has no alignment that page tables know of. */
  protected override isMisaligned(): boolean {
    return false;
  }

  /** @internal */
  protected override addressBits(): 32 | 64 {
    return this.state.signShift < 0 ? 32 : 64;
  }

  /** @internal An address that is not canonical is found before any table is read. */
  protected override refusesSpan(
    high: number,
    nextHigh: number,
    nextLow: number,
    kind: number,
    options: AccessOptions | undefined,
  ): boolean {
    const { state } = this;
    if (!state.isCanonical(high) || state.isCanonical(nextHigh)) return false;
    return !this.mmu.translate(nextHigh, nextLow, kind + this.user, false, options?.stack === true);
  }

  /** @internal */
  protected override placeOf(
    high: number,
    low: number,
    kind: number,
    options: AccessOptions | undefined,
  ): number {
    const { mmu } = this;
    if (options === undefined || !(options.implicit || options.stack))
      return mmu.reach(high, low, kind + this.user);
    const access = kind + (options.implicit ? 0 : this.user);
    const excused = mmu.excused && !options.implicit;
    return mmu.reachWith(high, low, access, excused, options.stack === true);
  }
}
