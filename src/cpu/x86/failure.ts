import { joinHalves } from '../../bits/index.ts';
import { andRights, denialTexts, orRights, pageFaultBits } from '../../format/index.ts';
import { NOT_PRESENT } from '../../walk/index.ts';
import { FailureNote } from '../failure-note.ts';
import type { Absent, X86Fault } from '../outcome.ts';
import { MAPPED, type PageWalk } from '../page-walk.ts';
import type { ControlState } from './control-state.ts';

/** Where the entry that decided came from: a full walk, the TLB, or a walk that began below the root. */
export type Source = 'walk' | 'TLB' | 'tables';

/**
 * Why the last access failed, as it was noted when it did; nothing is allocated until somebody asks. What the walk saw is
 * read from it then, so it must be asked for before the next access.
 */
export class Failure extends FailureNote<X86Fault['exception']> {
  private readonly state: ControlState;
  private readonly walk: PageWalk;
  private high = 0;
  private errorCode = 0;
  private source: Source = 'walk';
  /** How the walk ended; {@link MAPPED} where a right was missing. */
  private end: number = MAPPED;
  private denied = 0;
  private rights = 0;

  constructor(state: ControlState, walk: PageWalk) {
    super();
    this.state = state;
    this.walk = walk;
  }

  /** An address was not canonical. */
  noteAddress(exception: '#GP' | '#SS', high: number, low: number): void {
    this.exception = exception;
    this.high = high;
    this.low = low;
    this.errorCode = 0;
    this.source = 'walk';
  }

  /**
   * A page fault.
   *
   * @param end - how the walk ended, or {@link MAPPED}
   * @param denied - bits of `DENIED_BY`, where a right was missing
   * @param rights - what the entries say together
   */
  notePageFault(
    high: number,
    low: number,
    errorCode: number,
    source: Source,
    end: number,
    denied: number,
    rights: number,
  ): void {
    this.exception = '#PF';
    this.high = high;
    this.low = low;
    this.errorCode = errorCode;
    this.source = source;
    this.end = end;
    this.denied = denied;
    this.rights = rights;
  }

  override get isFromCache(): boolean {
    return this.exception === '#PF' && this.source !== 'walk';
  }

  override describe(): X86Fault | Absent {
    const { exception, errorCode } = this;
    if (exception === undefined) return this.absent();
    const address = joinHalves(this.low, this.high);
    const isPageFault = exception === '#PF';
    return {
      kind: 'fault',
      exception,
      errorCode,
      errorBits: isPageFault ? pageFaultBits(errorCode) : [],
      address,
      cr2: isPageFault ? address : undefined,
      because: isPageFault ? this.reasons() : ['address not canonical'],
      fromCache: this.isFromCache,
    };
  }

  private reasons(): string[] {
    const { walk } = this;
    const levels = this.state.format?.fact.levels ?? [];
    const name = levels[walk.depth]?.entry ?? '';
    if (this.end === NOT_PRESENT) return [`P = 0 in ${name}`];
    if (this.end !== MAPPED) return [`reserved bit set in ${name}`];
    return denialTexts(this.denied, this.rights, (bit) => {
      if (this.source === 'TLB') return ' in the translation that the TLB holds';
      const names = levels
        .filter((_, depth) => depth >= walk.start && depth <= walk.depth && this.takes(depth, bit))
        .map(({ entry }) => entry);
      return names.length === 0
        ? ' in an entry above, which the paging-structure caches hold'
        : ` in ${names.join(', ')}`;
    });
  }

  /** Whether an entry of the walk takes a right away. */
  private takes(depth: number, bit: 'U/S' | 'R/W' | 'XD'): boolean {
    const { walk } = this;
    const facts = this.state.format?.facts;
    if (facts === undefined) return false;
    if (bit === 'XD') return orRights(facts, depth, 0, walk.highs[depth]) !== 0;
    return (andRights(facts, depth, -1, walk.lows[depth]) & (bit === 'R/W' ? 2 : 4)) === 0;
  }
}
