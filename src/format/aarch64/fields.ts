import type { Bound, FieldFact, FieldRole } from '../format.ts';

/** The first bit that an output address does not have, plus `plus`. */
const M = (plus = 0): Bound => ({ of: 'M', plus });

function field(
  name: string,
  high: Bound,
  low: Bound,
  role: FieldRole,
  meaning: FieldFact['meaning'],
  more?: Pick<FieldFact, 'when' | 'otherwise' | 'takes'>,
): FieldFact {
  return { name, high, low, role, meaning, ...more };
}

// Names and meanings: Arm ARM (DDI 0487), chapter D8, sections "VMSAv8-64 descriptor formats" and "Memory access control".

/** Bits 1:0 where only one code is valid: of a table at a level without blocks, or of a page. */
export const TYPE_ONLY = (what: string): FieldFact =>
  field('Type', 1, 0, 'present', ['invalid', 'reserved: invalid', 'invalid', what]);
export const VALID = field('Valid', 0, 0, 'present', ['invalid', 'valid']);
/** Bit 1 where both a block and a table can stand. */
export const TYPE = field('Type', 1, 1, 'page-size', ['block', 'table']);

export const ATTR_INDEX = field('AttrIndx', 4, 2, 'attribute-index', 'index into MAIR: the memory type');
export const NON_SECURE = field('NS', 5, 5, 'ignored', 'used in Secure state only');
export const AP_USER = field('AP[1]', 6, 6, 'user', ['EL1 only', 'EL0 allowed'], {
  takes: [0, 'EL0 reads and writes'],
});
export const AP_READ_ONLY = field('AP[2]', 7, 7, 'read-only', ['writable', 'read-only'], {
  takes: [1, 'writes'],
});
export const SHAREABILITY = field('SH', 9, 8, 'shareability', [
  'non-shareable',
  'reserved',
  'outer shareable',
  'inner shareable',
]);
export const ACCESS_FLAG = field('AF', 10, 10, 'accessed', ['not used yet', 'used']);
export const NOT_GLOBAL = field('nG', 11, 11, 'not-global', ['global', 'belongs to one ASID']);
export const BLOCK_TRANSLATION = field('nT', 16, 16, 'ignored', 'block translation entry, with FEAT_BBML1');
export const GUARDED = field('GP', 50, 50, 'ignored', 'guarded page (branch targets), with FEAT_BTI');
export const DIRTY_MODIFIER = field(
  'DBM',
  51,
  51,
  'dirty-modifier',
  ['AP[2] decides', 'hardware clears AP[2] on the first write'],
  { when: ['TCR.HD'], otherwise: 'ignored' },
);
export const CONTIGUOUS = field('Contiguous', 52, 52, 'contiguous', [
  'by itself',
  'one of a contiguous group',
]);
export const PRIVILEGED_EXECUTE_NEVER = field(
  'PXN',
  53,
  53,
  'privileged-execute-disable',
  ['EL1 fetches allowed', 'no EL1 fetches'],
  { takes: [1, 'EL1 fetches'] },
);
export const UNPRIVILEGED_EXECUTE_NEVER = field(
  'UXN',
  54,
  54,
  'execute-disable',
  ['EL0 fetches allowed', 'no EL0 fetches'],
  { takes: [1, 'EL0 fetches'] },
);

// Of table descriptors: they count for everything below, unless TCR.HPD is set.
const HIERARCHY = { when: ['hierarchy'], otherwise: 'ignored' } as const;
export const PXN_TABLE = field(
  'PXNTable',
  59,
  59,
  'privileged-execute-disable',
  ['no limit', 'no EL1 fetches'],
  {
    ...HIERARCHY,
    takes: [1, 'EL1 fetches'],
  },
);
export const UXN_TABLE = field('UXNTable', 60, 60, 'execute-disable', ['no limit', 'no EL0 fetches'], {
  ...HIERARCHY,
  takes: [1, 'EL0 fetches'],
});
export const AP_TABLE_USER = field(
  'APTable[0]',
  61,
  61,
  'user-disable',
  ['no limit', 'no EL0 reads and writes'],
  {
    ...HIERARCHY,
    takes: [1, 'EL0 reads and writes'],
  },
);
export const AP_TABLE_WRITE = field('APTable[1]', 62, 62, 'write-disable', ['no limit', 'no writes'], {
  ...HIERARCHY,
  takes: [1, 'writes'],
});

/** Bits that the processor ignores. */
export const ignored = (high: number, low: number = high): FieldFact =>
  field('ignored', high, low, 'ignored', 'free for software');
/** Bits that should be 0 and are not checked. */
export const res0 = (high: number, low: number = high): FieldFact =>
  field('RES0', high, low, 'ignored', 'should be 0; not checked');
/** The address that a descriptor holds, and the bits that it must leave 0: an address above the output size faults. */
export const outputAddress = (low: number, what: string): readonly FieldFact[] => [
  field('address', M(-1), low, 'address', `physical address of the ${what}`),
  field('address too high', 47, M(), 'reserved', 'must be 0: above the output size'),
];
