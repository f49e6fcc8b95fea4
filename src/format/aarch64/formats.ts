import { PageTableError } from '../../bits/index.ts';
import type { EntryFact, FieldFact, FormatFact, LevelFact } from '../format.ts';
import {
  ACCESS_FLAG,
  AP_READ_ONLY,
  AP_TABLE_USER,
  AP_TABLE_WRITE,
  AP_USER,
  ATTR_INDEX,
  BLOCK_TRANSLATION,
  CONTIGUOUS,
  DIRTY_MODIFIER,
  GUARDED,
  ignored,
  NON_SECURE,
  NOT_GLOBAL,
  outputAddress,
  PRIVILEGED_EXECUTE_NEVER,
  PXN_TABLE,
  res0,
  SHAREABILITY,
  TYPE,
  TYPE_ONLY,
  UNPRIVILEGED_EXECUTE_NEVER,
  UXN_TABLE,
  VALID,
} from './fields.ts';

const ARM = 'Arm ARM (DDI 0487), chapter D8 "The AArch64 Virtual Memory System Architecture"';

/** A size of pages and of tables, with what its levels can hold. */
export interface Granule {
  readonly name: '4K' | '16K' | '64K';
  /** `log2` of its bytes. */
  readonly shift: number;
  /** TCR_EL1.TG0 and TG1, which have codes of their own. */
  readonly tg0: number;
  readonly tg1: number;
  /** By level: whether blocks (or pages) stand there, and how many make a contiguous group. */
  readonly leaves: Readonly<Record<number, { readonly contiguous: number }>>;
}

/** The granules; without FEAT_LPA2 and FEAT_LPA, which add blocks at one level more. */
export const GRANULES: readonly Granule[] = [
  {
    name: '4K',
    shift: 12,
    tg0: 0,
    tg1: 2,
    leaves: { 1: { contiguous: 16 }, 2: { contiguous: 16 }, 3: { contiguous: 16 } },
  },
  { name: '16K', shift: 14, tg0: 2, tg1: 1, leaves: { 2: { contiguous: 32 }, 3: { contiguous: 128 } } },
  { name: '64K', shift: 16, tg0: 1, tg1: 3, leaves: { 2: { contiguous: 32 }, 3: { contiguous: 32 } } },
];

/** What the bits of a stage's descriptors are, save their type and address. */
interface Stage {
  readonly title: string;
  /** Above bit 1 and below the address. */
  readonly pageLow: readonly FieldFact[];
  /** Above bit 47. */
  readonly pageHigh: readonly FieldFact[];
  readonly tableHigh: readonly FieldFact[];
}

/** Stage 1 of a translation regime with two privileges. */
const STAGE_1: Stage = {
  title: 'stage 1',
  pageLow: [ATTR_INDEX, NON_SECURE, AP_USER, AP_READ_ONLY, SHAREABILITY, ACCESS_FLAG, NOT_GLOBAL],
  pageHigh: [
    res0(49, 48),
    GUARDED,
    DIRTY_MODIFIER,
    CONTIGUOUS,
    PRIVILEGED_EXECUTE_NEVER,
    UNPRIVILEGED_EXECUTE_NEVER,
    ignored(63, 55),
  ],
  tableHigh: [
    res0(50, 48),
    ignored(58, 51),
    PXN_TABLE,
    UXN_TABLE,
    AP_TABLE_USER,
    AP_TABLE_WRITE,
    { ...ignored(63), name: 'NSTable' },
  ],
};

const LAST_LEVEL = 3;

/** Input sizes in bits: TCR_ELx.TnSZ is 64 less these. The smallest need FEAT_TTST. */
export const INPUT_BITS = { '4K': [16, 48], '16K': [16, 48], '64K': [17, 48] } as const;

/** `log2` of what an entry of a level spans. */
function spanShift({ shift }: Granule, level: number): number {
  return shift + (LAST_LEVEL - level) * (shift - 3);
}

function tableEntry(granule: Granule, stage: Stage, level: number): EntryFact {
  const hasBlocks = granule.leaves[level] !== undefined;
  return {
    leads: 'table',
    pageSize: 1,
    source: `${ARM}, section "VMSAv8-64 Table descriptor"`,
    fields: [
      ...(hasBlocks ? [VALID, TYPE] : [TYPE_ONLY('table')]),
      ignored(granule.shift - 1, 2),
      ...outputAddress(granule.shift, 'next table'),
      ...stage.tableHigh,
    ],
  };
}

function pageEntry(granule: Granule, stage: Stage, level: number): EntryFact {
  const shift = spanShift(granule, level);
  const isBlock = level < LAST_LEVEL;
  return {
    leads: 'page',
    pageShift: shift,
    contiguous: granule.leaves[level].contiguous,
    pageSize: 0,
    source: `${ARM}, section "VMSAv8-64 Block descriptor and Page descriptor"`,
    fields: [
      ...(isBlock ? [VALID, TYPE] : [TYPE_ONLY('page')]),
      ...stage.pageLow,
      ...(isBlock
        ? [res0(15, 12), BLOCK_TRANSLATION, res0(shift - 1, 17)]
        : granule.shift > 12
          ? [res0(granule.shift - 1, 12)]
          : []),
      ...outputAddress(shift, isBlock ? 'block' : 'page'),
      ...stage.pageHigh,
    ],
  };
}

function levelFact(granule: Granule, stage: Stage, level: number, indexHigh: number): LevelFact {
  const entries: EntryFact[] = [];
  if (granule.leaves[level] !== undefined) entries.push(pageEntry(granule, stage, level));
  if (level < LAST_LEVEL) entries.push(tableEntry(granule, stage, level));
  return {
    table: `level ${level} table`,
    entry: `L${level} descriptor`,
    indexHigh,
    indexLow: spanShift(granule, level),
    entries,
  };
}

/** The level of the root table: 0 to 3. */
export function startLevel(granule: Granule, inputBits: number): number {
  return LAST_LEVEL - Math.floor((inputBits - 1 - granule.shift) / (granule.shift - 3));
}

const made = new Map<string, FormatFact>();

/**
 * A format of stage 1 of the EL1&0 regime: one half of the address space.
 *
 * @param inputBits - size of the half, `64 - TnSZ`
 * @param upper - whether it is the half of TTBR1, of which the addresses end at 2^64
 * @throws {@link PageTableError} `OUT_OF_RANGE` if the granule has no such size
 */
export function aarch64Format(granule: Granule, inputBits: number, upper: boolean): FormatFact {
  const [least, most] = INPUT_BITS[granule.name];
  if (!(Number.isInteger(inputBits) && inputBits >= least && inputBits <= most)) {
    throw new PageTableError(
      'OUT_OF_RANGE',
      `T${upper ? 1 : 0}SZ = ${64 - inputBits}; expected ${64 - most} to ${64 - least} with the ${granule.name} granule`,
      { inputBits },
    );
  }
  const key = `${granule.name} ${inputBits} ${upper}`;
  const before = made.get(key);
  if (before !== undefined) return before;
  const start = startLevel(granule, inputBits);
  const levels = Array.from({ length: LAST_LEVEL + 1 - start }, (_, depth) => {
    const level = start + depth;
    const indexHigh = depth === 0 ? inputBits - 1 : spanShift(granule, level) + granule.shift - 4;
    return levelFact(granule, STAGE_1, level, indexHigh);
  });
  const fact: FormatFact = {
    name: `aarch64-${granule.name.toLowerCase()}`,
    title: `AArch64 ${STAGE_1.title}, ${granule.name} granule, ${inputBits}-bit ${upper ? 'upper' : 'lower'} half`,
    architecture: 'aarch64',
    entryBytes: 8,
    vaBits: inputBits,
    signExtended: false,
    ...(upper ? { upper } : {}),
    privileges: ['EL0', 'EL1'],
    levels,
    source: ARM,
  };
  made.set(key, fact);
  return fact;
}
