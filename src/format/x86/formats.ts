import type { EntryFact, FieldFact, FormatFact, LevelFact } from '../format.ts';
import {
  CACHE_DISABLE,
  DIRTY,
  EXECUTE_DISABLE,
  GLOBAL,
  ignored,
  M,
  P,
  PAGE_SIZE,
  PAT_4K,
  PAT_LARGE,
  PRESENT,
  PROTECTION_KEY,
  pageAddress,
  pageAddressHigh,
  RESTART,
  RIGHTS_AND_CACHE,
  reserved,
  reservedOnAmd,
  tableAddress,
  WRITE_THROUGH,
} from './fields.ts';

/** CPL 3, and CPL 0 to 2. */
const PRIVILEGES = ['user', 'supervisor'] as const;

const SDM = 'Intel SDM vol. 3A (order 253668), chapter "Paging"';

// ---- 32-bit paging: 4-byte entries, 1,024 to a table ----

const SDM_32 = `${SDM}, section "32-Bit Paging"`;

/** 32-bit paging. CR4.PSE gives 4-MiB pages; PSE-36 gives them 40-bit addresses. */
export const FORMAT_32_BIT: FormatFact = {
  name: '32-bit',
  title: 'x86 32-bit paging',
  architecture: 'x86',
  entryBytes: 4,
  vaBits: 32,
  signExtended: false,
  privileges: PRIVILEGES,
  source: SDM_32,
  levels: [
    {
      table: 'page directory',
      entry: 'PDE',
      indexHigh: 31,
      indexLow: 22,
      entries: [
        {
          leads: 'page',
          pageShift: 22,
          pageSize: 1,
          when: ['CR4.PSE'],
          source: `${SDM_32}, table "Format of a 32-Bit Page-Directory Entry that Maps a 4-MByte Page"`,
          fields: [
            ...RIGHTS_AND_CACHE,
            DIRTY,
            PAGE_SIZE,
            GLOBAL,
            ignored(11, 9),
            PAT_LARGE,
            pageAddressHigh(P(-20), 13),
            reserved(21, P(-19)),
            pageAddress(31, 22),
          ],
        },
        {
          leads: 'table',
          pageSize: 0,
          source: `${SDM_32}, table "Format of a 32-Bit Page-Directory Entry that References a Page Table"`,
          fields: [
            ...RIGHTS_AND_CACHE,
            ignored(6),
            { ...PAGE_SIZE, when: ['CR4.PSE'] },
            ignored(11, 8),
            tableAddress(31),
          ],
        },
      ],
    },
    {
      table: 'page table',
      entry: 'PTE',
      indexHigh: 21,
      indexLow: 12,
      entries: [
        {
          leads: 'page',
          pageShift: 12,
          source: `${SDM_32}, table "Format of a 32-Bit Page-Table Entry that Maps a 4-KByte Page"`,
          fields: [...RIGHTS_AND_CACHE, DIRTY, PAT_4K, GLOBAL, ignored(11, 9), pageAddress(31, 12)],
        },
      ],
    },
  ],
};

// ---- PAE, 4-level and 5-level paging: 8-byte entries, 512 to a table ----

/** The bits in which PAE entries differ from those of 4-level and 5-level paging. */
interface Family {
  readonly section: string;
  /** Bits 11:9. */
  readonly software: readonly FieldFact[];
  /** Everything above the physical address. */
  high(leads: 'table' | 'page'): readonly FieldFact[];
}

const PAE: Family = {
  section: `${SDM}, section "PAE Paging"`,
  software: [ignored(11, 9)],
  high: () => [reserved(62, M()), EXECUTE_DISABLE],
};

const LONG: Family = {
  section: `${SDM}, section "4-Level Paging and 5-Level Paging"`,
  software: [ignored(10, 9), RESTART],
  high: (leads) => [
    reserved(51, M()),
    ...(leads === 'page' ? [ignored(58, 52), PROTECTION_KEY] : [ignored(62, 52)]),
    EXECUTE_DISABLE,
  ],
};

/** An entry that leads to a table, at a level that has (`PS` = 0) or does not have large pages. */
function tableEntry(family: Family, format: string, bit7: FieldFact, bit8: FieldFact): EntryFact {
  return {
    leads: 'table',
    pageSize: 0,
    source: `${family.section}, table "Format of a ${format}"`,
    fields: [
      ...RIGHTS_AND_CACHE,
      ignored(6),
      bit7,
      bit8,
      ...family.software,
      tableAddress(M(-1)),
      ...family.high('table'),
    ],
  };
}

/** An entry that maps a page of `2 ** pageShift` bytes. */
function pageEntry(family: Family, format: string, pageShift: number, when?: readonly string[]): EntryFact {
  const large = pageShift > 12;
  return {
    leads: 'page',
    pageShift,
    source: `${family.section}, table "Format of a ${format}"`,
    ...(large ? { pageSize: 1 as const } : {}),
    ...(when === undefined ? {} : { when }),
    fields: [
      ...RIGHTS_AND_CACHE,
      DIRTY,
      large ? PAGE_SIZE : PAT_4K,
      GLOBAL,
      ...family.software,
      ...(large ? [PAT_LARGE, reserved(pageShift - 1, 13)] : []),
      pageAddress(M(-1), pageShift),
      ...family.high('page'),
    ],
  };
}

function pageTableLevel(family: Family): LevelFact {
  return {
    table: 'page table',
    entry: 'PTE',
    indexHigh: 20,
    indexLow: 12,
    entries: [pageEntry(family, 'Page-Table Entry that Maps a 4-KByte Page', 12)],
  };
}

function pageDirectoryLevel(family: Family): LevelFact {
  return {
    table: 'page directory',
    entry: 'PDE',
    indexHigh: 29,
    indexLow: 21,
    entries: [
      pageEntry(family, 'Page-Directory Entry that Maps a 2-MByte Page', 21),
      tableEntry(family, 'Page-Directory Entry that References a Page Table', PAGE_SIZE, ignored(8)),
    ],
  };
}

/** PAE paging. */
export const FORMAT_PAE: FormatFact = {
  name: 'PAE',
  title: 'x86 PAE paging',
  architecture: 'x86',
  entryBytes: 8,
  vaBits: 32,
  signExtended: false,
  // The four PDPTEs (section "PDPTE Registers").
  rootInRegisters: true,
  privileges: PRIVILEGES,
  source: PAE.section,
  levels: [
    {
      table: 'page-directory-pointer table',
      entry: 'PDPTE',
      indexHigh: 31,
      indexLow: 30,
      entries: [
        {
          leads: 'table',
          source: `${PAE.section}, table "Format of a PAE Page-Directory-Pointer-Table Entry (PDPTE)"`,
          fields: [
            PRESENT,
            reserved(2, 1),
            WRITE_THROUGH,
            CACHE_DISABLE,
            reserved(8, 5),
            ignored(11, 9),
            tableAddress(M(-1)),
            reserved(63, M()),
          ],
        },
      ],
    },
    pageDirectoryLevel(PAE),
    pageTableLevel(PAE),
  ],
};

function topLevel(table: string, entry: string, indexHigh: number): LevelFact {
  return {
    table,
    entry,
    indexHigh,
    indexLow: indexHigh - 8,
    entries: [tableEntry(LONG, `${entry} that References the Next Table`, reserved(7), reservedOnAmd(8))],
  };
}

const FOUR_LEVELS: readonly LevelFact[] = [
  topLevel('PML4 table', 'PML4E', 47),
  {
    table: 'page-directory-pointer table',
    entry: 'PDPTE',
    indexHigh: 38,
    indexLow: 30,
    entries: [
      pageEntry(LONG, 'Page-Directory-Pointer-Table Entry (PDPTE) that Maps a 1-GByte Page', 30, ['Page1GB']),
      tableEntry(
        LONG,
        'Page-Directory-Pointer-Table Entry (PDPTE) that References a Page Directory',
        // Without 1-GiB pages, a PS bit that is set is a reserved bit that is set.
        { ...PAGE_SIZE, when: ['Page1GB'], otherwise: 'reserved' },
        ignored(8),
      ),
    ],
  },
  pageDirectoryLevel(LONG),
  pageTableLevel(LONG),
];

/** 4-level paging: 48-bit linear addresses. */
export const FORMAT_4_LEVEL: FormatFact = {
  name: '4-level',
  title: 'x86-64 4-level paging',
  architecture: 'x86',
  entryBytes: 8,
  vaBits: 48,
  signExtended: true,
  privileges: PRIVILEGES,
  source: LONG.section,
  levels: FOUR_LEVELS,
};

/** 5-level paging: 57-bit linear addresses. */
export const FORMAT_5_LEVEL: FormatFact = {
  name: '5-level',
  title: 'x86-64 5-level paging',
  architecture: 'x86',
  entryBytes: 8,
  vaBits: 57,
  signExtended: true,
  privileges: PRIVILEGES,
  source: LONG.section,
  levels: [topLevel('PML5 table', 'PML5E', 56), ...FOUR_LEVELS],
};

/** Every x86 format. */
export const X86_FORMATS: readonly FormatFact[] = [FORMAT_32_BIT, FORMAT_PAE, FORMAT_4_LEVEL, FORMAT_5_LEVEL];
