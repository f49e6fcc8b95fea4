import { ACCESS_KINDS } from '../../format/index.ts';
import type { Absent, RiscvFault } from '../outcome.ts';
import { RiscvSystem } from './riscv-system.ts';

// This module's own constants, which V8 compiles in; what is imported it reads from a cell at each use.
const USER = ACCESS_KINDS;

/** What an access may be besides its kind. */
export interface RiscvAccessOptions {
  /** As mstatus.MPRV makes loads and stores of M-mode: translated, and with the rights of this mode (MPP). */
  readonly as?: 'U' | 'S';
}

/**
 * A RISC-V hart as far as its supervisor-level address translation goes: satp, sstatus.SUM and MXR, menvcfg, page walks in
 * Sv32, Sv39, Sv48 and Sv57 with Svnapot and Svpbmt, accessed and dirty bits set by hardware (Svadu) or faulted for (Svade),
 * exceptions with scause and stval, a TLB with ASIDs and global translations, and SFENCE.VMA.
 *
 * Addresses are `bigint` in `read`, `write` and `fetch`. Where nothing may be allocated they are two 32-bit halves: `load`,
 * `store`, `translate`. Faults are answers everywhere; only `readEntry` and `writeEntry`, through which a mapper uses a
 * processor as its memory, throw them.
 *
 * Not modelled: the hypervisor extension, PMP, shadow stacks, pointer masking. Accesses need not be aligned.
 *
 * @see RISC-V Privileged ISA, chapter "Supervisor-Level ISA"
 */
export class RiscvCpu extends RiscvSystem<RiscvAccessOptions> {
  /** @internal A fault forgets nothing. */
  protected override readonly retries = false;

  override failure(): RiscvFault | Absent {
    return this.mmu.failed.describe();
  }

  /** @internal */
  protected override isMisaligned(): boolean {
    return false;
  }

  /** @internal */
  protected override addressBits(): 32 | 64 {
    return this.xlen;
  }

  /** @internal */
  protected override refusesSpan(): boolean {
    return false;
  }

  /** @internal */
  protected override placeOf(
    high: number,
    low: number,
    kind: number,
    options: RiscvAccessOptions | undefined,
  ): number {
    const { mmu } = this;
    const as = options?.as;
    if (as === undefined) return mmu.reach(high, low, kind + this.user);
    return mmu.reachWith(high, low, as === 'U' ? kind + USER : kind, false, true);
  }
}
