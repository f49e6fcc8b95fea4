import { hex, PageTableError } from '../../bits/index.ts';
import { type CompiledFormat, compileFormat, leadsToTable, pageFrame, tableFrame } from '../compile.ts';
import { describeEntry, reservedTexts } from '../describe.ts';
import type { FormatFact } from '../format.ts';
import type { AccessResult, EntryBits, MemoryType, Paging, WalkEnd } from '../paging.ts';
import { type Access, accessNumber } from '../rights.ts';
import { type RiscvControl, riscvMode, satpMode, satpRoot } from './control.ts';
import { RISCV_EXCEPTIONS, riscvCause, riscvDenialTexts } from './faults.ts';
import { pteRights, riscvDenials, riscvRightsTable } from './rights.ts';

// RISC-V Privileged ISA, chapter "Svpbmt Extension for Page-Based Memory Types".
const MEMORY_TYPES = [
  ['PMA', 'PMA: what the physical address has'],
  ['NC', 'NC: non-cacheable, idempotent, weakly ordered'],
  ['IO', 'IO: non-cacheable, non-idempotent, strongly ordered'],
  ['reserved', 'reserved'],
] as const;

/** A RISC-V format under given control state. */
export function riscvFormat(
  fact: FormatFact,
  { svnapot, svpbmt, physBits }: Pick<RiscvControl, 'svnapot' | 'svpbmt' | 'physBits'>,
): CompiledFormat {
  const states = new Set<string>();
  if (svnapot) states.add('Svnapot');
  if (svpbmt) states.add('Svpbmt');
  return compileFormat(fact, { M: physBits, P: 32, states });
}

/**
 * The page tables that satp selects.
 *
 * @throws {@link PageTableError} `PAGING_DISABLED` if satp.MODE is Bare, `BAD_ARGUMENT` if it is reserved, `OUT_OF_RANGE` if
 *   `physBits` is not a whole number in [32, 56], or [32, 34] with Sv32
 */
export function riscvPaging(control: RiscvControl): Paging {
  const fact = riscvMode(control);
  if (fact === undefined) throw noFormat(control);
  const format = riscvFormat(fact, control);
  const { facts } = format;
  const root = satpRoot(control);
  const table = riscvRightsTable(control);
  const types = MEMORY_TYPES.map(
    ([name, text], index): MemoryType => ({ index, name, text, from: `PBMT = ${index}` }),
  );
  const plain: MemoryType = { ...types[0], from: 'a machine without Svpbmt' };
  const hasTypes = fact.entryBytes === 8 && control.svpbmt;
  const limit = 2 ** (control.physBits - 12);

  const fault = (wanted: Access, by: 'page' | 'access', because: readonly string[]): AccessResult => {
    const errorCode = riscvCause(wanted.kind, by);
    const exception = RISCV_EXCEPTIONS[errorCode];
    return { kind: 'fault', exception, errorCode, errorBits: [`cause ${errorCode} ${exception}`], because };
  };
  const tooFar = (what: string) => `${what} above ${control.physBits} bits`;

  const access = (
    end: WalkEnd,
    entries: readonly EntryBits[],
    wanted: Access,
    frame?: number,
  ): AccessResult => {
    if (end === 'non-canonical') {
      // Addresses that RV32 cannot form are no accesses either.
      if (!fact.signExtended) return { kind: 'unknown' };
      const text = `bits 63:${fact.vaBits} of the address are not all as bit ${fact.vaBits - 1}`;
      return fault(wanted, 'page', [text]);
    }
    if (root.frame >= limit) return fault(wanted, 'access', [tooFar('the root in satp')]);
    for (const { depth, low, high } of entries) {
      // What is invalid or reserved leads nowhere.
      const isTable = leadsToTable(facts, depth, low) && (end !== 'reserved' || depth < entries.length - 1);
      if (isTable && tableFrame(facts, depth, low, high) >= limit) {
        return fault(wanted, 'access', [tooFar(`the table of ${fact.levels[depth].entry}`)]);
      }
    }
    if (end === 'not-in-memory') return { kind: 'unknown' };
    const last = entries[entries.length - 1];
    const name = fact.levels[last.depth].entry;
    if (end === 'not-present') return fault(wanted, 'page', [`V = 0 in ${name}`]);
    if (end === 'reserved') {
      return fault(
        wanted,
        'page',
        reservedTexts(format, last).map((text) => `${text} in ${name}`),
      );
    }
    const denied = riscvDenials(pteRights(last.low), accessNumber(wanted), control);
    if (denied !== 0) return fault(wanted, 'page', riscvDenialTexts(denied, ` in ${name}`));
    if ((frame ?? pageFrame(facts, last.depth, last.low, last.high)) >= limit) {
      return fault(wanted, 'access', [tooFar(`the page of ${name}`)]);
    }
    return { kind: 'allowed' };
  };

  return {
    format,
    root,
    rights: (_and, _or, low) => table[pteRights(low)],
    memoryType: (_, __, high) => (hasTypes ? types[(high >>> 29) & 3] : plain),
    access,
    describe: (bits) => describeEntry(format, bits),
  };
}

function noFormat({ satp, xlen }: RiscvControl): PageTableError {
  const mode = satpMode({ satp, xlen });
  if (mode === 0) {
    return new PageTableError(
      'PAGING_DISABLED',
      `translation is off (satp = ${hex(satp)}, MODE = Bare): virtual addresses are physical addresses`,
      { satp },
    );
  }
  return new PageTableError(
    'BAD_ARGUMENT',
    `satp = ${hex(satp)}: MODE = ${mode} is reserved; expected 8, 9 or 10 (Sv39, Sv48, Sv57), or 0 (Bare)`,
    { satp },
  );
}
