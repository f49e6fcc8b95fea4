import { hex, PageTableError } from '../../bits/index.ts';
import { andRights, leadsToTable, orRights, pageOrder } from '../compile.ts';
import { exists, fieldsOf } from '../format.ts';
import type { AccessResult, EntryBits, MemoryType, Paging, WalkEnd } from '../paging.ts';
import type { Access } from '../rights.ts';
import {
  CR4_PAE,
  CR4_PKE,
  CR4_PKS,
  CR4_SMEP,
  EFER_NXE,
  modeOf,
  rootOf,
  type X86Control,
  x86Format,
} from './control.ts';
import { FORMAT_PAE } from './formats.ts';
import { combinedIndex, DENIED_BY, denials, RW, rightsTable, US, XD } from './rights.ts';

const MEMORY_TYPES = ['UC', 'WC', 'reserved', 'reserved', 'WT', 'WP', 'WB', 'UC-'] as const;

/** Bits of a page fault's error code, from bit 0: the manual's names, and what a set bit says. */
const ERROR_BITS = [
  'P present',
  'W/R write',
  'U/S user',
  'RSVD reserved bit',
  'I/D fetch',
  'PK protection key',
] as const;

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
  const table = rightsTable(control, keys);
  const types = Array.from({ length: 8 }, (_, index): MemoryType => {
    // Three bits.
    const name = MEMORY_TYPES[Number((control.pat >> BigInt(8 * index)) & 7n)];
    return { index, name };
  });

  const describe = (bits: EntryBits) => {
    const level = fact.levels[bits.depth];
    const leads = leadsToTable(format.facts, bits.depth, bits.low) ? 'table' : 'page';
    const kinds = level.entries.filter((entry) => exists(entry, format.state));
    const entry = kinds.find((kind) => kind.leads === leads) ?? kinds[0];
    return { entry, fields: fieldsOf(entry, format.state) };
  };

  /** Names the entries whose bit is as a fault needs it. */
  const blame = (
    entries: readonly EntryBits[],
    text: string,
    fault: (bits: EntryBits) => boolean,
  ): string[] => {
    const names = entries.filter(fault).map((bits) => fact.levels[bits.depth].entry);
    return names.length === 0 ? [] : [`${text} in ${names.join(', ')}`];
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
    if (end === 'not-present') return pageFault(wanted, control, 0, [`P = 0 in ${lastName}`]);
    if (end === 'reserved' && fact === FORMAT_PAE && last.depth === 0) {
      return {
        kind: 'fault',
        exception: '#GP',
        errorCode: 0,
        errorBits: [],
        because: ['reserved bit set in PDPTE: CR3 cannot be loaded'],
      };
    }
    if (end === 'reserved') return pageFault(wanted, control, 9, [`reserved bit set in ${lastName}`]);
    const andOf = (bits: EntryBits) => andRights(format.facts, bits.depth, -1, bits.low);
    const orOf = (bits: EntryBits) => orRights(format.facts, bits.depth, 0, bits.high);
    const page = {
      user: entries.every((bits) => (andOf(bits) & US) !== 0),
      writable: entries.every((bits) => (andOf(bits) & RW) !== 0),
      noExecute: entries.some((bits) => (orOf(bits) & XD) !== 0),
      key: (last.high >>> 27) & 15,
    };
    const denied = denials(page, wanted, control, keys);
    if (denied === 0) return { kind: 'allowed' };
    const because = [
      ...(denied & DENIED_BY.US ? blame(entries, 'U/S = 0', (bits) => (andOf(bits) & US) === 0) : []),
      ...(denied & DENIED_BY.RW ? blame(entries, 'R/W = 0', (bits) => (andOf(bits) & RW) === 0) : []),
      ...(denied & DENIED_BY.XD ? blame(entries, 'XD = 1', (bits) => (orOf(bits) & XD) !== 0) : []),
      ...(denied & DENIED_BY.SMEP ? ['CR4.SMEP = 1 and the page is a user page'] : []),
      ...(denied & DENIED_BY.SMAP
        ? ['CR4.SMAP = 1 and the page is a user page (allowed while RFLAGS.AC = 1)']
        : []),
      ...(denied & DENIED_BY.KEY ? [`${page.user ? 'PKRU' : 'PKRS'} denies protection key ${page.key}`] : []),
    ];
    return pageFault(wanted, control, denied & DENIED_BY.KEY ? 0x21 : 1, because);
  };

  return {
    format,
    root: rootOf(fact, control.cr3, control.physBits),
    rights: (and, or, low, high) => table[combinedIndex(and & low, or | high, keys ? high : 0)],
    memoryType: (depth, low) => {
      const pat = pageOrder(format.facts, depth) === 0 ? low >>> 7 : low >>> 12;
      return types[((pat & 1) << 2) | ((low >>> 3) & 3)];
    },
    access,
    describe,
  };
}

/**
 * A page fault with its error code.
 *
 * @param cause - P, RSVD and PK bits as the cause sets them
 * @see Intel SDM vol. 3A, figure "Page-Fault Error Code"
 */
function pageFault(
  access: Access,
  control: X86Control,
  cause: number,
  because: readonly string[],
): AccessResult {
  const fetchShown =
    (control.cr4 & CR4_SMEP) !== 0n || ((control.cr4 & CR4_PAE) !== 0n && (control.efer & EFER_NXE) !== 0n);
  const errorCode =
    cause |
    (access.kind === 'write' ? 2 : 0) |
    (access.user ? 4 : 0) |
    (access.kind === 'fetch' && fetchShown ? 16 : 0);
  const errorBits = ERROR_BITS.filter((_, bit) => (errorCode >> bit) & 1);
  return { kind: 'fault', exception: '#PF', errorCode, errorBits, because };
}
