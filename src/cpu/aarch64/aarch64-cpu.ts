import { ACCESS_KINDS, FETCH } from '../../format/index.ts';
import type { Aarch64Fault, Absent } from '../outcome.ts';
import { Aarch64System } from './aarch64-system.ts';

// This module's own constants, which V8 compiles in; what is imported it reads from a cell at each use.
const USER = ACCESS_KINDS;
const KIND_FETCH = FETCH;

/** What an access may be besides its kind. */
export interface Aarch64AccessOptions {
  /** As LDTR and STTR make it: with the rights of EL0, at any exception level. */
  readonly unprivileged?: boolean;
}

/**
 * An AArch64 processor as far as stage 1 of its EL1&0 translation regime goes: registers, page walks that set AF and clear AP[2]
 * where TCR_EL1.HA and HD say so, access rights, exceptions with ESR_EL1 and FAR_EL1, a TLB with ASIDs and global pages, and
 * the instructions TLBI, DSB and AT.
 *
 * Addresses are `bigint` in `read`, `write` and `fetch`. Where nothing may be allocated they are two 32-bit halves: `load`,
 * `store`, `translate`. Faults are answers everywhere; only `readEntry` and `writeEntry`, through which a mapper uses a
 * processor as its memory, throw them.
 *
 * Not modelled: stage 2, EL2 and EL3, 52-bit addresses, FEAT_S1PIE and S1POE, FEAT_HAFT, big-endian data, NFDn.
 *
 * @see Arm ARM (DDI 0487), chapter D8 "The AArch64 Virtual Memory System Architecture"
 */
export class Aarch64Cpu extends Aarch64System<Aarch64AccessOptions> {
  /** @internal A fault forgets nothing. */
  protected override readonly retries = false;

  override failure(): Aarch64Fault | Absent {
    return this.mmu.failed.describe();
  }

  /** @internal Accesses of a size that no instruction has are made byte by byte. */
  protected override isMisaligned(low: number, bytes: number, kind: number): boolean {
    if (kind === KIND_FETCH) return (low & 3) !== 0;
    return (bytes & (bytes - 1)) === 0 && (low & (bytes - 1)) !== 0;
  }

  /** @internal */
  protected override addressBits(): 32 | 64 {
    return 64;
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
    options: Aarch64AccessOptions | undefined,
    misaligned: boolean,
  ): number {
    const { mmu } = this;
    const access = kind + (options?.unprivileged ? USER : this.user);
    return misaligned ? mmu.reachWith(high, low, access, mmu.excused, true) : mmu.reach(high, low, access);
  }
}
