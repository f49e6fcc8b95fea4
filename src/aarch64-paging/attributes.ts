import { type Flags, type FlagsTypeWith, flagsType } from './flags.ts';

const bit = (at: number) => 1n << BigInt(at);

/** Bits of a block or page that all formats of stage 1 have, in the original's order of declaration. */
const START = {
  /** The entry is in use. */
  VALID: bit(0),
  /** At level 3 a page; above, a table instead of a block. `mapRange` sets it, and does not take it. */
  TABLE_OR_PAGE: bit(1),
};

const SOFTWARE = {
  /** Bit 55, free for software. */
  SWFLAG_0: bit(55),
  /** Bit 56, free for software. */
  SWFLAG_1: bit(56),
  /** Bit 57, free for software. */
  SWFLAG_2: bit(57),
  /** Bit 58, free for software. */
  SWFLAG_3: bit(58),
};

const MEMORY = {
  /** Memory type of MAIR byte 0. */
  ATTRIBUTE_INDEX_0: 0n,
  /** Memory type of MAIR byte 1. */
  ATTRIBUTE_INDEX_1: 1n << 2n,
  /** Memory type of MAIR byte 2. */
  ATTRIBUTE_INDEX_2: 2n << 2n,
  /** Memory type of MAIR byte 3. */
  ATTRIBUTE_INDEX_3: 3n << 2n,
  /** Memory type of MAIR byte 4. */
  ATTRIBUTE_INDEX_4: 4n << 2n,
  /** Memory type of MAIR byte 5. */
  ATTRIBUTE_INDEX_5: 5n << 2n,
  /** Memory type of MAIR byte 6. */
  ATTRIBUTE_INDEX_6: 6n << 2n,
  /** Memory type of MAIR byte 7. */
  ATTRIBUTE_INDEX_7: 7n << 2n,
  /** Shared with the outer domain. */
  OUTER_SHAREABLE: 2n << 8n,
  /** Shared with the inner domain. */
  INNER_SHAREABLE: 3n << 8n,
  /** The output address is in the non-secure space. */
  NS: bit(5),
};

const MIDDLE = {
  /** Writes are forbidden. */
  READ_ONLY: bit(7),
  /** Access flag: an access to an entry without it faults, unless the hardware sets it. */
  ACCESSED: bit(10),
  /** The translation is for one ASID only. */
  NON_GLOBAL: bit(11),
  /** Block translation entry. It lies within the output address. */
  NT: bit(16),
  /** Guarded page: indirect branches must lead to BTI. */
  GP: bit(50),
  /** Dirty bit modifier: a write makes it writable. */
  DBM: bit(51),
  /** One of a contiguous group, or protected. */
  CONTIGUOUS_OR_PROTECTED: bit(52),
};

const TABLE = {
  /** In a table descriptor: PXN for all below. */
  PXN_TABLE: bit(59),
  /** In a table descriptor: UXN, or XN, for all below. */
  XN_TABLE: bit(60),
  /** In a table descriptor: no access from EL0 below. */
  AP_TABLE_NO_EL0: bit(61),
  /** In a table descriptor: no writes below. */
  AP_TABLE_NO_WRITE: bit(62),
  /** In a table descriptor: tables and pages below are non-secure. */
  NS_TABLE: bit(63),
};

const MASKS = {
  /** Both bits of shareability. */
  SHAREABILITY_MASK: 3n << 8n,
  /** The three bits of the memory type. */
  ATTRIBUTE_INDEX_MASK: 7n << 2n,
};

const SEED_BITS = {
  ...START,
  /** Memory type of MAIR byte 0, which the original takes for Device-nGnRE; not shareable. */
  DEVICE_NGNRE: 0n,
  /** Memory type of MAIR byte 1, which the original takes for write-back memory; inner shareable. */
  NORMAL: (1n << 2n) | (3n << 8n),
  /** Access from EL0 is allowed. */
  USER: bit(6),
  /** Writes are forbidden. */
  READ_ONLY: bit(7),
  /** Access flag; `mapRange` sets it. */
  ACCESSED: bit(10),
  /** The translation is for one ASID only. */
  NON_GLOBAL: bit(11),
  /** Dirty bit modifier: a write makes it writable. */
  DBM: bit(51),
  /** Fetches are forbidden, at EL1 and at EL0. */
  EXECUTE_NEVER: 3n << 53n,
  ...SOFTWARE,
};

const EL1_BITS = {
  ...START,
  ...MEMORY,
  /** Access from EL0 is allowed. */
  USER: bit(6),
  ...MIDDLE,
  /** Fetches at EL1 are forbidden. */
  PXN: bit(53),
  /** Fetches at EL0 are forbidden. */
  UXN: bit(54),
  ...SOFTWARE,
  ...TABLE,
};

const EL23_BITS = {
  ...START,
  ...MEMORY,
  /** AP[1], which is 1 where there is no EL0. */
  USER_RES1: bit(6),
  ...MIDDLE,
  /** Fetches are forbidden. */
  XN: bit(54),
  ...SOFTWARE,
  ...TABLE,
};

const STAGE2_BITS = {
  ...START,
  /** Device-nGnRnE memory. */
  MEMATTR_DEVICE_nGnRnE: 0n,
  /** Device-nGnRE memory. */
  MEMATTR_DEVICE_nGnRE: 1n << 2n,
  /** Device-nGRE memory. */
  MEMATTR_DEVICE_nGRE: 2n << 2n,
  /** Device-GRE memory. */
  MEMATTR_DEVICE_GRE: 3n << 2n,
  /** Normal memory, inner non-cacheable. */
  MEMATTR_NORMAL_INNER_NC: 1n << 2n,
  /** Normal memory, inner write-through. */
  MEMATTR_NORMAL_INNER_WT: 2n << 2n,
  /** Normal memory, inner write-back. */
  MEMATTR_NORMAL_INNER_WB: 3n << 2n,
  /** Normal memory, outer non-cacheable. */
  MEMATTR_NORMAL_OUTER_NC: 1n << 4n,
  /** Normal memory, outer write-through. */
  MEMATTR_NORMAL_OUTER_WT: 2n << 4n,
  /** Normal memory, outer write-back. */
  MEMATTR_NORMAL_OUTER_WB: 3n << 4n,
  /** No access. */
  S2AP_ACCESS_NONE: 0n,
  /** Reads only. */
  S2AP_ACCESS_RO: 1n << 6n,
  /** Writes only. */
  S2AP_ACCESS_WO: 2n << 6n,
  /** Reads and writes. */
  S2AP_ACCESS_RW: 3n << 6n,
  /** Not shareable. */
  SH_NONE: 0n,
  /** Shared with the outer domain. */
  SH_OUTER: 2n << 8n,
  /** Shared with the inner domain. */
  SH_INNER: 3n << 8n,
  /** Access flag. */
  ACCESS_FLAG: bit(10),
  /** Fetches are forbidden. */
  XN: bit(54),
  ...SOFTWARE,
};

/** Attributes of version 0.5: EL1 and EL0, with MAIR bytes 0 and 1 as its two memory types. */
export type Attributes = Flags<'Attributes'>;
export const Attributes: FlagsTypeWith<'Attributes', typeof SEED_BITS> = flagsType('Attributes', SEED_BITS);

/** Attributes of stage 1 for EL1 and EL0, and for EL2 and EL0. */
export type El1Attributes = Flags<'El1Attributes'>;
export const El1Attributes: FlagsTypeWith<'El1Attributes', typeof EL1_BITS & typeof MASKS> = flagsType(
  'El1Attributes',
  EL1_BITS,
  MASKS,
);

/** Attributes of stage 1 for EL2 alone and for EL3. */
export type El23Attributes = Flags<'El23Attributes'>;
export const El23Attributes: FlagsTypeWith<'El23Attributes', typeof EL23_BITS & typeof MASKS> = flagsType(
  'El23Attributes',
  EL23_BITS,
  MASKS,
);

/** Attributes of stage 2. */
export type Stage2Attributes = Flags<'Stage2Attributes'>;
export const Stage2Attributes: FlagsTypeWith<'Stage2Attributes', typeof STAGE2_BITS> = flagsType(
  'Stage2Attributes',
  STAGE2_BITS,
);

const CONSTRAINT_BITS = {
  /** Map pages only, no blocks. */
  NO_BLOCK_MAPPINGS: 1n,
  /** Accepted, and without effect: the contiguous bit is never set by itself. */
  NO_CONTIGUOUS_HINT: 2n,
};

/** What a mapping may not use. */
export type Constraints = Flags<'Constraints'>;
export const Constraints: FlagsTypeWith<'Constraints', typeof CONSTRAINT_BITS> = flagsType(
  'Constraints',
  CONSTRAINT_BITS,
);
