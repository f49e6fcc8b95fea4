import type { FieldFact, FieldRole } from '../format.ts';

function field(
  name: string,
  high: number,
  low: number,
  role: FieldRole,
  meaning: FieldFact['meaning'],
  more?: Pick<FieldFact, 'when' | 'otherwise' | 'takes' | 'addressLow'>,
): FieldFact {
  return { name, high, low, role, meaning, ...more };
}

// Names and meanings: RISC-V Privileged ISA, chapter "Supervisor-Level ISA", sections "Sv32" and "Sv39"; chapters "Svnapot
// Extension for NAPOT Translation Contiguity" and "Svpbmt Extension for Page-Based Memory Types".

export const VALID = field('V', 0, 0, 'present', ['invalid', 'valid']);

// Of an entry that maps a page.
export const READ = field('R', 1, 1, 'read', ['no reads', 'readable'], { takes: [0, 'reads'] });
export const WRITE = field('W', 2, 2, 'write', ['no writes', 'writable'], { takes: [0, 'writes'] });
export const EXECUTE = field('X', 3, 3, 'execute', ['no fetches', 'executable'], { takes: [0, 'fetches'] });
export const USER = field('U', 4, 4, 'user', ['S-mode only', 'U-mode allowed'], {
  takes: [0, 'U-mode access'],
});
export const GLOBAL = field('G', 5, 5, 'global', ['not global by itself', 'global']);
export const ACCESSED = field('A', 6, 6, 'accessed', ['not used yet', 'used']);
export const DIRTY = field('D', 7, 7, 'dirty', ['not written yet', 'written to']);
/** Bits that the processor ignores. */
export const SOFTWARE = field('RSW', 9, 8, 'ignored', 'free for software');
export const MEMORY_TYPE = field(
  'PBMT',
  62,
  61,
  'memory-type',
  ['PMA: as the physical address says', 'NC: non-cacheable', 'IO: strongly ordered', 'reserved'],
  { when: ['Svpbmt'], otherwise: 'reserved' },
);
export const NAPOT = field(
  'N',
  63,
  63,
  'contiguous',
  ['by itself', 'one of 16 entries that map 64 KiB together'],
  { when: ['Svnapot'], otherwise: 'reserved' },
);

// Of an entry that leads to a table: R = W = X = 0 tell it from a page.
export const POINTER: readonly FieldFact[] = [
  field('R', 1, 1, 'page-size', ['pointer', 'maps a page']),
  field('W', 2, 2, 'page-size', ['pointer', 'maps a page']),
  field('X', 3, 3, 'page-size', ['pointer', 'maps a page']),
];
export const GLOBAL_BELOW = field('G', 5, 5, 'global', [
  'says nothing of what is below',
  'everything below is global',
]);

/** Bits that must be 0 where `name` would stand in an entry that maps a page. */
export const mustBeZero = (name: string, high: number, low: number = high): FieldFact =>
  field(name, high, low, 'reserved', 'must be 0');
/** Bits that must be 0. */
export const reserved = (high: number, low: number = high): FieldFact => mustBeZero('reserved', high, low);
/** The physical address that an entry holds from bit `low` on, of which that bit is bit `low` + 2. */
export const physicalAddress = (high: number, low: number, what: string): FieldFact =>
  field('PPN', high, low, 'address', `physical address of the ${what}`, { addressLow: low + 2 });
