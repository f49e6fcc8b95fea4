import {
  type CompiledFormat,
  groupOrder,
  isFaultyPage,
  isFaultyTable,
  isGlobal,
  isPresent,
  leadsToTable,
  pageAccessed,
  pageFrame,
  withDirty,
} from '../../format/index.ts';
import { ABSENT, type PhysicalMemory } from '../../memory/index.ts';
import type { Aarch64State } from './control-state.ts';
import { memoryOf } from './meaning.ts';
import { TABLE_OR } from './remembered.ts';

// Which changes of live entries need break-before-make.
// Arm ARM (DDI 0487), sections "Using break-before-make when updating translation table entries" (R_WHZWS, R_DDMVT),
// "Support levels for changing table or block size" (R_KHRBC), "Stage 1 hierarchical permissions" (I_QYWJF).

/** Why a change needs break-before-make. */
export type BreakRule = 'memory type' | 'output address' | 'size' | 'contiguous' | 'global' | 'table rights';

/** Each rule, and where the manual has it. */
export const BREAK_RULES: Readonly<Record<BreakRule, string>> = {
  'memory type': 'a change of memory type, cacheability or shareability (Arm ARM D8.17.1, R_WHZWS)',
  'output address':
    'another output address, where the old or the new translation can be written to or the contents differ (Arm ARM D8.17.1, R_WHZWS)',
  size: 'a table in the place of a block or page, or the other way round (Arm ARM D8.17.1, R_WHZWS)',
  contiguous: 'a change of the Contiguous bit (Arm ARM D8.17.2, R_KHRBC)',
  global: 'a global entry where a non-global one may be cached (Arm ARM D8.17.1, R_WHZWS)',
  'table rights': 'a change of APTable, UXNTable or PXNTable (Arm ARM D8.4.1.2, I_QYWJF)',
};

/** What an entry is to a TLB. */
export type EntryKind = 'none' | 'leaf' | 'table';

const AP_READ_ONLY = 0x80;
/** APTable[1] in a high half. */
const NO_WRITES = 0x4000_0000;
const WORDS = 1024;
/** Bits 11:2 of a leaf, without AF. */
const LEAF_LOW = 0xbfc;
/** GP, DBM, Contiguous, PXN and UXN in a high half. */
const LEAF_HIGH = 0x7c_0000;
/** The same without DBM and Contiguous. */
const GROUP_HIGH = 0x64_0000;

/** An entry as it counts for a TLB. */
export interface LiveEntry {
  readonly low: number;
  readonly high: number;
  /** PXNTable, UXNTable and APTable of the entries above. */
  readonly above: number;
}

/** The rules under the current registers. */
export class ChangeRules {
  private readonly state: Aarch64State;
  private readonly memory: PhysicalMemory;

  constructor(state: Aarch64State, memory: PhysicalMemory) {
    this.state = state;
    this.memory = memory;
  }

  /** What an entry is to a TLB: one that faults is never cached. */
  kindOf({ facts }: CompiledFormat, depth: number, low: number, high: number): EntryKind {
    if (!isPresent(facts, depth, low)) return 'none';
    if (leadsToTable(facts, depth, low)) return isFaultyTable(facts, depth, low, high) ? 'none' : 'table';
    if (isFaultyPage(facts, depth, low, high)) return 'none';
    return this.state.flagFaults && (low & pageAccessed(facts, depth)) === 0 ? 'none' : 'leaf';
  }

  /** Whether two descriptors are the same to a TLB. Software bits, and what hardware sets by itself, do not count. */
  isSame(
    format: CompiledFormat,
    depth: number,
    kind: EntryKind,
    before: LiveEntry,
    after: LiveEntry,
  ): boolean {
    if (kind === 'none') return true;
    const { facts } = format;
    if (kind === 'table') return this.tableRights(format, before) === this.tableRights(format, after);
    return (
      pageFrame(facts, depth, before.low, before.high) === pageFrame(facts, depth, after.low, after.high) &&
      ((before.low ^ after.low) & LEAF_LOW) === 0 &&
      ((before.high ^ after.high) & LEAF_HIGH) === 0
    );
  }

  /** PXNTable, UXNTable and APTable of a table's entry, as far as they count. */
  tableRights({ state }: CompiledFormat, { high }: LiveEntry): number {
    return state.states.has('hierarchy') ? high & TABLE_OR : 0;
  }

  /**
   * Which rule two pages or blocks of one size break, if both are cached for one address.
   *
   * @param before - what may be cached
   * @param after - what the tables say now
   */
  betweenLeaves(
    format: CompiledFormat,
    depth: number,
    before: LiveEntry,
    after: LiveEntry,
  ): BreakRule | undefined {
    const { facts } = format;
    const [type, other] = [(before.low >>> 2) & 0xff, (after.low >>> 2) & 0xff];
    if (type !== other && memoryOf(this.state, type) !== memoryOf(this.state, other)) return 'memory type';
    const frame = pageFrame(facts, depth, before.low, before.high);
    const next = pageFrame(facts, depth, after.low, after.high);
    if (frame !== next) {
      const isWritten = this.isWritable(format, depth, before) || this.isWritable(format, depth, after);
      if (isWritten || !this.hasSameContents(frame, next, 2 ** orderOf(format, depth)))
        return 'output address';
    }
    if (isMember(facts, depth, before.high) !== isMember(facts, depth, after.high)) return 'contiguous';
    if (!isGlobal(facts, depth, before.low) && isGlobal(facts, depth, after.low)) return 'global';
    return undefined;
  }

  /** Whether two members of a contiguous group go together: AF may differ, and AP[2] where hardware clears it. */
  areOfOneGroup(format: CompiledFormat, depth: number, a: LiveEntry, b: LiveEntry, apart: number): boolean {
    const { facts } = format;
    if (!isMember(facts, depth, b.high)) return false;
    const clean = (entry: LiveEntry) => withDirty(facts, depth, entry.low, entry.high) & LEAF_LOW;
    return (
      pageFrame(facts, depth, b.low, b.high) - pageFrame(facts, depth, a.low, a.high) === apart &&
      clean(a) === clean(b) &&
      ((a.high ^ b.high) & GROUP_HIGH) === 0
    );
  }

  /** Whether a page can be written to at any exception level. */
  private isWritable({ facts }: CompiledFormat, depth: number, { low, high, above }: LiveEntry): boolean {
    if ((above & NO_WRITES) !== 0) return false;
    return (withDirty(facts, depth, low, high) & AP_READ_ONLY) === 0;
  }

  /** Whether two runs of frames hold the same; what is not in memory is never known to. */
  private hasSameContents(first: number, other: number, frames: number): boolean {
    const { memory } = this;
    for (let i = 0; i < frames; i += 1) {
      const a = memory.locate(first + i);
      const b = memory.locate(other + i);
      if (a === ABSENT || b === ABSENT) return false;
      const words = memory.current();
      for (let word = 0; word < WORDS; word += 1) if (words[a + word] !== words[b + word]) return false;
    }
    return true;
  }
}

/** Whether a page is one of a contiguous group. */
export function isMember(facts: Int32Array, depth: number, high: number): boolean {
  return groupOrder(facts, depth, high) !== 0;
}

function orderOf({ fact }: CompiledFormat, depth: number): number {
  return fact.levels[depth].indexLow - 12;
}
