import type { EntryFact, FieldFact, FormatFact, LevelFact, ReservedCode } from '../format.ts';
import {
  ACCESSED,
  DIRTY,
  EXECUTE,
  GLOBAL,
  GLOBAL_BELOW,
  MEMORY_TYPE,
  mustBeZero,
  NAPOT,
  POINTER,
  physicalAddress,
  READ,
  reserved,
  SOFTWARE,
  USER,
  VALID,
  WRITE,
} from './fields.ts';

const RV = 'RISC-V Privileged ISA, chapter "Supervisor-Level ISA"';

/** Lowest bit of the physical page number in every entry. */
const PPN_LOW = 10;
const PAGE_SHIFT = 12;

/** What the formats with entries of one size have in common. */
interface Family {
  readonly entryBytes: 4 | 8;
  /** Bits of an address that choose an entry of a table. */
  readonly indexBits: number;
  /** Highest bit of the physical page number. */
  readonly ppnHigh: number;
  /** Above it, in an entry that maps a page. */
  readonly pageHigh: (level: number) => readonly FieldFact[];
  /** The same in one that leads to a table. */
  readonly tableHigh: readonly FieldFact[];
  /** Codes that are reserved in an entry that maps a page, besides W without R. */
  readonly reserved: (level: number) => readonly ReservedCode[];
  /** Entries in a contiguous group of the last level, and the bits of the page number that mark it. */
  readonly group?: Pick<EntryFact, 'contiguous' | 'groupCode'>;
  readonly physBits: number;
}

/** RV32: 4-byte entries, 1024 to a table. */
const NARROW: Family = {
  entryBytes: 4,
  indexBits: 10,
  ppnHigh: 31,
  pageHigh: () => [],
  tableHigh: [],
  reserved: () => [],
  physBits: 34,
};

/** The bits of the page number in which a Svnapot entry says its size: 64 KiB, and no other. */
const NAPOT_CODE = { high: 13, low: 10, value: 8 };

/** RV64: 8-byte entries, 512 to a table. */
const WIDE: Family = {
  entryBytes: 8,
  indexBits: 9,
  ppnHigh: 53,
  pageHigh: (level) => [reserved(60, 54), MEMORY_TYPE, level === 0 ? NAPOT : mustBeZero('N', 63)],
  tableHigh: [reserved(60, 54), mustBeZero('PBMT', 62, 61), mustBeZero('N', 63)],
  reserved: (level) => [
    { set: [61, 62], text: 'PBMT = 3 (reserved)' },
    ...(level === 0
      ? [{ set: [63], needs: NAPOT_CODE, text: 'N = 1 with bits 13:10 (PPN[3:0]) other than 1000' }]
      : []),
  ],
  group: { contiguous: 16, groupCode: NAPOT_CODE },
  physBits: 56,
};

const WRITE_ONLY: ReservedCode = {
  set: [2],
  needs: { high: 1, low: 1, value: 1 },
  text: 'W = 1 with R = 0 (reserved)',
};

function pageEntry(family: Family, level: number): EntryFact {
  const below = level * family.indexBits;
  const ppnLow = PPN_LOW + below;
  return {
    leads: 'page',
    pageShift: PAGE_SHIFT + below,
    pageSize: 1,
    ...(level === 0 ? family.group : {}),
    reserved: [WRITE_ONLY, ...family.reserved(level)],
    source: `${RV}, section "Addressing and Memory Protection"`,
    fields: [
      VALID,
      READ,
      WRITE,
      EXECUTE,
      USER,
      GLOBAL,
      ACCESSED,
      DIRTY,
      SOFTWARE,
      ...(level === 0
        ? []
        : [mustBeZero(level === 1 ? 'PPN[0]' : `PPN[${level - 1}:0]`, ppnLow - 1, PPN_LOW)]),
      physicalAddress(family.ppnHigh, ppnLow, level === 0 ? 'page' : 'superpage'),
      ...family.pageHigh(level),
    ],
  };
}

function tableEntry(family: Family, level: number): EntryFact {
  return {
    leads: 'table',
    pageSize: 0,
    ...(level === 0 ? { invalid: 'a pointer to a table (R = W = X = 0)' } : {}),
    source: `${RV}, section "Addressing and Memory Protection"`,
    fields: [
      VALID,
      ...POINTER,
      mustBeZero('U', 4),
      GLOBAL_BELOW,
      mustBeZero('A', 6),
      mustBeZero('D', 7),
      SOFTWARE,
      physicalAddress(family.ppnHigh, PPN_LOW, 'next table'),
      ...family.tableHigh,
    ],
  };
}

function levelFact(family: Family, level: number): LevelFact {
  const indexLow = PAGE_SHIFT + level * family.indexBits;
  return {
    table: `level-${level} table`,
    entry: `level-${level} PTE`,
    indexHigh: indexLow + family.indexBits - 1,
    indexLow,
    entries: [pageEntry(family, level), tableEntry(family, level)],
  };
}

function formatFact(vaBits: 32 | 39 | 48 | 57): FormatFact {
  const family = vaBits === 32 ? NARROW : WIDE;
  const levels = (vaBits - PAGE_SHIFT) / family.indexBits;
  return {
    name: `sv${vaBits}`,
    title: `RISC-V Sv${vaBits}`,
    architecture: 'riscv',
    entryBytes: family.entryBytes,
    vaBits,
    physBits: family.physBits,
    signExtended: vaBits !== 32,
    privileges: ['U', 'S'],
    levels: Array.from({ length: levels }, (_, depth) => levelFact(family, levels - 1 - depth)),
    source: `${RV}, section "Sv${vaBits}"`,
  };
}

/** Sv32: 32-bit addresses, two levels of 4-byte entries. */
export const FORMAT_SV32: FormatFact = formatFact(32);
/** Sv39: three levels. */
export const FORMAT_SV39: FormatFact = formatFact(39);
/** Sv48: four levels. */
export const FORMAT_SV48: FormatFact = formatFact(48);
/** Sv57: five levels. */
export const FORMAT_SV57: FormatFact = formatFact(57);

/** Every RISC-V format. */
export const RISCV_FORMATS: readonly FormatFact[] = [FORMAT_SV32, FORMAT_SV39, FORMAT_SV48, FORMAT_SV57];
