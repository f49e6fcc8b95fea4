import type { Absent, RiscvFault } from '../outcome.ts';
import { RiscvSystem } from './riscv-system.ts';

/** What an access may be besides its kind: nothing yet. */
export type RiscvAccessOptions = Readonly<Record<string, never>>;

/**
 * A RISC-V hart as far as its supervisor-level address translation goes: satp, sstatus.SUM and MXR, menvcfg, page walks in
 * Sv32, Sv39, Sv48 and Sv57 with Svnapot and Svpbmt, accessed and dirty bits set by hardware (Svadu) or faulted for (Svade),
 * exceptions with scause and stval, a TLB with ASIDs and global translations, and SFENCE.VMA.
 *
 * Addresses are `bigint` in `read`, `write` and `fetch`. Where nothing may be allocated they are two 32-bit halves: `load`,
 * `store`, `translate`. Faults are answers everywhere; only `readEntry` and `writeEntry`, through which a mapper uses a
 * processor as its memory, throw them.
 *
 * Not modelled: the hypervisor extension, PMP, MPRV, shadow stacks, pointer masking. Accesses need not be aligned.
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
  protected override placeOf(high: number, low: number, kind: number): number {
    return this.mmu.reach(high, low, kind + this.user);
  }
}
