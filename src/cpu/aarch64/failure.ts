import { joinHalves } from '../../bits/index.ts';
import {
  ACCESS_KINDS,
  aarch64DenialTexts,
  abortSyndrome,
  type EntryBits,
  FETCH,
  invalidText,
  STATUS_ALIGNMENT,
  syndromeBits,
} from '../../format/index.ts';
import { NOT_PRESENT } from '../../walk/index.ts';
import { FailureNote } from '../failure-note.ts';
import type { Aarch64Fault, Absent } from '../outcome.ts';
import { MAPPED, type PageWalk } from '../page-walk.ts';
import type { Aarch64State } from './control-state.ts';

/** Where what decided came from: a full walk, the TLB, or a walk that began below the root. */
export type Source = 'walk' | 'TLB' | 'tables';

/** What refused an access, where it was not a walk. */
export type Cause =
  /** The entries of a walk, or what is remembered of them. */
  | 'entries'
  /** AF = 0 while hardware does not set it. */
  | 'access flag'
  | 'flat'
  | 'size'
  | 'range'
  | 'user disabled'
  | 'walks disabled'
  | 'root'
  | 'device'
  | 'SCTLR.A'
  | 'PC';

/** ESR_EL1 of a PC alignment fault: EC 0x22 and IL. */
const PC_ALIGNMENT = 0x8a00_0000;
const PC_FAULT = 'PC alignment fault';

/**
 * Why the last access failed, as it was noted when it did; nothing is allocated until somebody asks. What the walk saw is
 * read from it then, so it must be asked for before the next access.
 */
export class Aarch64Failure extends FailureNote<Aarch64Fault['exception']> {
  /** Bits 31:0 of ESR_EL1. */
  syndrome = 0;
  /** Fault status code. */
  status = 0;
  /** Bits 63:32 of the address as it was given, tag and all. */
  high = 0;
  private readonly state: Aarch64State;
  private readonly walk: PageWalk;
  private cause: Cause = 'entries';
  private source: Source = 'walk';
  /** How the walk ended; {@link MAPPED} where a right was missing. */
  private end: number = MAPPED;
  private denied = 0;

  constructor(state: Aarch64State, walk: PageWalk) {
    super();
    this.state = state;
    this.walk = walk;
  }

  /**
   * An abort.
   *
   * @param access - index into `ACCESSES` of the access that is reported
   * @param status - fault status code
   */
  noteAbort(high: number, low: number, access: number, status: number, cause: Cause): void {
    const kind = access >= ACCESS_KINDS ? access - ACCESS_KINDS : access;
    this.exception = cause === 'PC' ? PC_FAULT : kind === FETCH ? 'Instruction Abort' : 'Data Abort';
    this.syndrome = cause === 'PC' ? PC_ALIGNMENT : abortSyndrome(access, status);
    this.status = status;
    this.high = high;
    this.low = low;
    this.cause = cause;
    this.source = 'walk';
  }

  /**
   * What of an abort the entries have decided, behind {@link noteAbort}.
   *
   * @param source - where they came from
   * @param end - how the walk ended, or {@link MAPPED}
   * @param denied - bits of `AARCH64_DENIED_BY`, where a right was missing
   */
  noteEntries(source: Source, end: number, denied: number): void {
    this.source = source;
    this.end = end;
    this.denied = denied;
  }

  override get isFromCache(): boolean {
    return this.exception !== undefined && this.source !== 'walk';
  }

  override describe(): Aarch64Fault | Absent {
    const { exception, syndrome, status } = this;
    if (exception === undefined) return this.absent();
    const isAlignment = exception === PC_FAULT || status === STATUS_ALIGNMENT;
    return {
      kind: 'fault',
      exception,
      errorCode: syndrome,
      errorBits: exception === PC_FAULT ? [] : syndromeBits(syndrome),
      address: joinHalves(this.low, this.high),
      level: isAlignment ? undefined : status & 3,
      because: this.reasons(),
      fromCache: this.isFromCache,
    };
  }

  private reasons(): string[] {
    const { state, cause } = this;
    const half = state.halfOf(this.high);
    const n = half.index;
    const { physBits } = state.registers;
    switch (cause) {
      case 'entries':
      case 'access flag':
        return this.entryReasons();
      case 'flat':
        return [`SCTLR_EL1.M = 0, and the address has more than ${physBits} bits`];
      case 'size':
        return [`T${n}SZ = ${64 - half.inputBits} is out of range`];
      case 'range':
        return [`bits 63:${half.inputBits} of the address are not all ${n}`];
      case 'user disabled':
        return [`TCR_EL1.E0PD${n} = 1`];
      case 'walks disabled':
        return [`TCR_EL1.EPD${n} = 1`];
      case 'root':
        return [`the root in TTBR${n}_EL1 lies above ${half.format?.state.M} bits`];
      case 'device':
        return ['the access is not aligned, and the memory is a device'];
      case 'SCTLR.A':
        return ['the access is not aligned, and SCTLR_EL1.A = 1'];
      case 'PC':
        return ['the address of an instruction is not a multiple of 4'];
    }
  }

  private entryReasons(): string[] {
    const { walk, end } = this;
    const { format } = this.state.halfOf(this.high);
    if (format === undefined) return [];
    if (this.source === 'TLB') {
      return aarch64DenialTexts(this.denied, format, [], ' in the translation that the TLB holds');
    }
    const name = format.fact.levels[walk.depth].entry;
    if (end === NOT_PRESENT) return [`${invalidText(walk.lows[walk.depth])} in ${name}`];
    if (end !== MAPPED) return [`address above ${format.state.M} bits in ${name}`];
    if (this.cause === 'access flag') return [`AF = 0 in ${name}, and TCR_EL1.HA = 0`];
    const entries: EntryBits[] = [];
    for (let depth = walk.start; depth <= walk.depth; depth += 1) {
      entries.push({ depth, low: walk.lows[depth], high: walk.highs[depth] });
    }
    return aarch64DenialTexts(this.denied, format, entries, ' in a table entry that is remembered');
  }
}
