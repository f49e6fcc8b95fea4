import { joinHalves } from '../../bits/index.ts';
import {
  ACCESSES,
  RISCV_EXCEPTIONS,
  type RiscvCause,
  reservedTexts,
  riscvCause,
  riscvDenialTexts,
} from '../../format/index.ts';
import { NOT_PRESENT } from '../../walk/index.ts';
import { FailureNote } from '../failure-note.ts';
import type { Absent, RiscvFault } from '../outcome.ts';
import { MAPPED, type PageWalk } from '../page-walk.ts';
import type { RiscvState } from './control-state.ts';

/** Where what decided came from: a full walk, what is remembered of the page, or a walk that began below the root. */
export type Source = 'walk' | 'TLB' | 'tables';

/** What refused an access, where it was not a page's entry. */
export type Refusal =
  /** The entries of a walk, or what is remembered of them. */
  | 'entries'
  /** The address is not sign-extended. */
  | 'range'
  /** A table lies beyond the physical addresses. */
  | 'table too far'
  /** The page does. */
  | 'page too far';

/**
 * Why the last access failed, as it was noted when it did; nothing is allocated until somebody asks. What the walk saw is
 * read from it then, so it must be asked for before the next access.
 */
export class RiscvFailure extends FailureNote<RiscvFault['exception']> {
  /** scause. */
  cause: RiscvCause = 13;
  /** Bits 63:32 of the address. */
  high = 0;
  private readonly state: RiscvState;
  private readonly walk: PageWalk;
  private refusal: Refusal = 'entries';
  private source: Source = 'walk';
  /** How the walk ended; {@link MAPPED} where a right was missing. */
  private end: number = MAPPED;
  private denied = 0;
  private level = 0;

  constructor(state: RiscvState, walk: PageWalk) {
    super();
    this.state = state;
    this.walk = walk;
  }

  /**
   * A fault.
   *
   * @param access - index into `ACCESSES`
   */
  noteFault(high: number, low: number, access: number, refusal: Refusal): void {
    const isPage = refusal === 'entries' || refusal === 'range';
    this.cause = riscvCause(ACCESSES[access].kind, isPage ? 'page' : 'access');
    this.exception = RISCV_EXCEPTIONS[this.cause];
    this.high = high;
    this.low = low;
    this.refusal = refusal;
    this.source = 'walk';
  }

  /**
   * What of a fault the entries have decided, behind {@link noteFault}.
   *
   * @param source - where they came from
   * @param end - how the walk ended, or {@link MAPPED}
   * @param denied - bits of `RISCV_DENIED_BY`, where a right was missing
   * @param level - the manual's level of the entry that decided
   */
  noteEntries(source: Source, end: number, denied: number, level: number): void {
    this.source = source;
    this.end = end;
    this.denied = denied;
    this.level = level;
  }

  override get isFromCache(): boolean {
    return this.exception !== undefined && this.source !== 'walk';
  }

  override describe(): RiscvFault | Absent {
    const { exception, cause } = this;
    if (exception === undefined) return this.absent();
    const address = BigInt.asUintN(this.state.registers.xlen, joinHalves(this.low, this.high));
    return {
      kind: 'fault',
      exception,
      cause,
      stval: address,
      errorCode: cause,
      address,
      errorBits: [`cause ${cause} ${exception}`],
      because: this.reasons(),
      fromCache: this.isFromCache,
    };
  }

  private reasons(): string[] {
    const { format, registers } = this.state;
    const { physBits } = registers;
    switch (this.refusal) {
      case 'entries':
        return this.entryReasons();
      case 'range': {
        const bits = format?.fact.vaBits ?? 0;
        return [`bits 63:${bits} of the address are not all as bit ${bits - 1}`];
      }
      case 'table too far':
        return [`a table lies above ${physBits} bits`];
      case 'page too far':
        return [`the physical address has more than ${physBits} bits`];
    }
  }

  private entryReasons(): string[] {
    const { walk, end, source, denied } = this;
    const where = ` in level-${this.level} PTE${source === 'TLB' ? ', as it is remembered' : ''}`;
    if (end === MAPPED) return riscvDenialTexts(denied, where);
    if (end === NOT_PRESENT) return [`V = 0${where}`];
    const { format } = this.state;
    if (source === 'TLB' || format === undefined) return [`something reserved${where}`];
    const { depth } = walk;
    const bits = { depth, low: walk.lows[depth], high: walk.highs[depth] };
    return reservedTexts(format, bits).map((text) => `${text}${where}`);
  }
}
