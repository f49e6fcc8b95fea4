import { hex, PageTableError } from '../../bits/index.ts';
import { andRights, orRights, pageOrder } from '../compile.ts';
import { describeEntry } from '../describe.ts';
import type { AccessResult, EntryBits, MemoryType, Paging, WalkEnd } from '../paging.ts';
import { type Access, accessNumber } from '../rights.ts';
import { CR4_PKE, CR4_PKS, modeOf, rootOf, type X86Control, x86Format } from './control.ts';
import {
  CAUSE_NOT_PRESENT,
  CAUSE_RESERVED,
  causeOf,
  denialTexts,
  pageFaultBits,
  pageFaultCode,
  tellsFetches,
} from './faults.ts';
import { FORMAT_PAE } from './formats.ts';
import { combinedIndex, denials, RW, rightsControl, rightsTable, US, XD } from './rights.ts';

const MEMORY_TYPES = ['UC', 'WC', 'reserved', 'reserved', 'WT', 'WP', 'WB', 'UC-'] as const;

/**
 * The page tables that x86 control state selects.
 *
 * @throws {@link PageTableError} `PAGING_DISABLED` if CR0.PG is 0
 * @throws {@link PageTableError} `OUT_OF_RANGE` if `physBits` is not a whole number in [32, 52]
 */
export function x86Paging(control: X86Control): Paging {
  const fact = modeOf(control.cr0, control.cr4, control.efer);
  if (fact === undefined) {
    throw new PageTableError(
      'PAGING_DISABLED',
      `paging is off (CR0 = ${hex(control.cr0)}, PG = 0): linear addresses are physical addresses`,
      { cr0: control.cr0 },
    );
  }
  const format = x86Format(fact, control);
  const keys = fact.signExtended && (control.cr4 & (CR4_PKE | CR4_PKS)) !== 0n;
  const state = rightsControl(control, keys);
  const table = rightsTable(state);
  const types = Array.from({ length: 8 }, (_, index): MemoryType => {
    // Three bits.
    const name = MEMORY_TYPES[Number((control.pat >> BigInt(8 * index)) & 7n)];
    const bits = `PAT=${index >> 2} PCD=${(index >> 1) & 1} PWT=${index & 1}`;
    return { index, name, from: `PAT entry ${index} (${bits})` };
  });

  const andOf = (bits: EntryBits) => andRights(format.facts, bits.depth, -1, bits.low);
  const orOf = (bits: EntryBits) => orRights(format.facts, bits.depth, 0, bits.high);
  /** Whether an entry takes a right away. */
  const takes = {
    'U/S': (bits: EntryBits) => (andOf(bits) & US) === 0,
    'R/W': (bits: EntryBits) => (andOf(bits) & RW) === 0,
    XD: (bits: EntryBits) => (orOf(bits) & XD) !== 0,
  };

  const fetches = tellsFetches(control);
  const pageFault = (wanted: Access, cause: number, because: readonly string[]): AccessResult => {
    const errorCode = pageFaultCode(accessNumber(wanted), cause, fetches);
    return { kind: 'fault', exception: '#PF', errorCode, errorBits: pageFaultBits(errorCode), because };
  };

  const access = (end: WalkEnd, entries: readonly EntryBits[], wanted: Access): AccessResult => {
    // Addresses that a 32-bit mode cannot form are no accesses either.
    if (end === 'not-in-memory' || (end === 'non-canonical' && !fact.signExtended))
      return { kind: 'unknown' };
    if (end === 'non-canonical') {
      return {
        kind: 'fault',
        exception: '#GP',
        errorCode: 0,
        errorBits: [],
        because: ['address not canonical'],
      };
    }
    const last = entries[entries.length - 1];
    const lastName = fact.levels[last.depth].entry;
    if (end === 'not-present') return pageFault(wanted, CAUSE_NOT_PRESENT, [`P = 0 in ${lastName}`]);
    if (end === 'reserved' && fact === FORMAT_PAE && last.depth === 0) {
      return {
        kind: 'fault',
        exception: '#GP',
        errorCode: 0,
        errorBits: [],
        because: ['reserved bit set in PDPTE: CR3 cannot be loaded'],
      };
    }
    if (end === 'reserved') return pageFault(wanted, CAUSE_RESERVED, [`reserved bit set in ${lastName}`]);
    const and = entries.reduce((bits, entry) => bits & andOf(entry), -1);
    const or = entries.reduce((bits, entry) => bits | orOf(entry), 0);
    const page = combinedIndex(and, or, keys ? last.high : 0);
    const denied = denials(page, accessNumber(wanted), state, wanted.ac);
    if (denied === 0) return { kind: 'allowed' };
    const because = denialTexts(denied, page, (bit) => {
      const names = entries.filter(takes[bit]).map((bits) => fact.levels[bits.depth].entry);
      return ` in ${names.join(', ')}`;
    });
    return pageFault(wanted, causeOf(denied), because);
  };

  return {
    format,
    root: rootOf(fact, control.cr3, control.physBits),
    rights: (and, or, low, high) => table[combinedIndex(and & low, or | high, keys ? high : 0)],
    memoryType: (depth, low) => {
      return types[patIndexOf(pageOrder(format.facts, depth), low)];
    },
    access,
    describe: (bits) => describeEntry(format, bits),
  };
}

/**
 * The entry of IA32_PAT that gives a page its memory type: PAT, PCD and PWT of its entry.
 *
 * @param order - `log2` of the page's 4-KiB pages: PAT lies elsewhere in entries of large pages
 * @param low - low half of the entry
 * @returns an index in `[0, 8)`
 */
export function patIndexOf(order: number, low: number): number {
  const pat = order === 0 ? low >>> 7 : low >>> 12;
  return ((pat & 1) << 2) | ((low >>> 3) & 3);
}
