// Fields of the registers of EL1 that paging depends on.

/**
 * Whole values.
 *
 * @typedef {object} Control
 * @property {bigint} ttbr0
 * @property {bigint} ttbr1
 * @property {bigint} tcr
 * @property {bigint} mair
 * @property {bigint} sctlr
 */

/** @typedef {keyof Control} RegisterName */

/**
 * What TCR and a TTBR say of one half of the address space.
 *
 * @typedef {object} Half
 * @property {boolean} upper
 * @property {Granule} granule
 * @property {number} size - T0SZ or T1SZ
 * @property {boolean} walks - not EPD0 or EPD1
 * @property {boolean} ignoresTableRights - HPD0 or HPD1
 * @property {boolean} hidden - from EL0: E0PD0 or E0PD1
 * @property {boolean} ignoresTag - of data: TBI0 or TBI1
 * @property {boolean} ignoresFetchTag - TBI0 without TBID0, or the same of the upper half
 * @property {bigint} ttbr
 */

export const SCTLR_M = 1n << 0n;
export const SCTLR_A = 1n << 1n;
export const SCTLR_C = 1n << 2n;
export const SCTLR_I = 1n << 12n;
export const SCTLR_WXN = 1n << 19n;
export const SCTLR_SPAN = 1n << 23n;

/** Bits 29, 28, 22, 20, 11, 8 and 7: 1, or without a meaning here. */
export const SCTLR_BASE = 0x3050_0980n;

export const TCR_A1 = 1n << 22n;
export const TCR_AS = 1n << 36n;
export const TCR_HA = 1n << 39n;
export const TCR_HD = 1n << 40n;

/**
 * Bits of TCR by half, lower first.
 *
 * @type {Readonly<Record<'epd' | 'tbi' | 'hpd' | 'tbid' | 'e0pd', readonly [bigint, bigint]>>}
 */
export const TCR_BITS = {
  epd: [1n << 7n, 1n << 23n],
  tbi: [1n << 37n, 1n << 38n],
  hpd: [1n << 41n, 1n << 42n],
  tbid: [1n << 51n, 1n << 52n],
  e0pd: [1n << 55n, 1n << 56n],
};

/** Places of T0SZ and T1SZ in TCR. */
export const TCR_SIZE_SHIFTS = /** @type {const} */ ([0n, 16n]);

export const TCR_IPS_SHIFT = 32n;

/** Places of TG0 and TG1. */
export const TCR_GRANULE_SHIFTS = /** @type {const} */ ([14n, 30n]);

/**
 * A size of pages and tables.
 *
 * @typedef {object} Granule
 * @property {number} shift - binary logarithm of its bytes
 * @property {readonly [bigint, bigint]} codes - TG0 and TG1
 * @property {bigint} tlbiCode - in the operands of TLBI
 * @property {readonly number[]} blocks - levels that have them
 * @property {number} maxSize - of T0SZ and T1SZ, with FEAT_TTST
 */

/** @type {readonly Granule[]} */
export const GRANULES = [
  { shift: 12, codes: [0n, 2n], tlbiCode: 1n, blocks: [1, 2], maxSize: 48 },
  { shift: 14, codes: [2n, 1n], tlbiCode: 2n, blocks: [2], maxSize: 48 },
  { shift: 16, codes: [1n, 3n], tlbiCode: 3n, blocks: [2], maxSize: 47 },
];

/** The least that T0SZ and T1SZ may be without 52-bit addresses. */
export const MIN_SIZE = 16;

/** Physical address bits of QEMU's processor `max`, which the codes of TCR.IPS are below. */
export const PHYS_BITS = 52;

/** Without 52-bit descriptors no more than 48 are reached; the last code is reserved. */
const OUTPUT_BITS = [32, 36, 40, 42, 44, 48, 48, 48];

/**
 * The half that an address belongs to, whether valid or not: bit 55 decides.
 *
 * @param {bigint} va - 64 bits
 */
export function isUpper(va) {
  return ((va >> 55n) & 1n) !== 0n;
}

/**
 * @param {Control} control
 * @param {boolean} upper
 * @returns {Half}
 */
export function halfOf({ tcr, ttbr0, ttbr1 }, upper) {
  const which = upper ? 1 : 0;
  const { epd, tbi, hpd, tbid, e0pd } = TCR_BITS;
  const ignoresTag = (tcr & tbi[which]) !== 0n;
  const code = (tcr >> TCR_GRANULE_SHIFTS[which]) & 3n;
  return {
    upper,
    granule: GRANULES.find(({ codes }) => codes[which] === code) ?? GRANULES[0],
    size: Number((tcr >> TCR_SIZE_SHIFTS[which]) & 63n), // 6 bits
    walks: (tcr & epd[which]) === 0n,
    ignoresTableRights: (tcr & hpd[which]) !== 0n,
    hidden: (tcr & e0pd[which]) !== 0n,
    ignoresTag,
    ignoresFetchTag: ignoresTag && (tcr & tbid[which]) === 0n,
    ttbr: upper ? ttbr1 : ttbr0,
  };
}

/** @param {Control} control */
export function outputBits({ tcr }) {
  return OUTPUT_BITS[Number((tcr >> TCR_IPS_SHIFT) & 7n)]; // 3 bits
}

/**
 * Whether TnSZ can be walked with.
 *
 * @param {Half} half
 */
export function isSizeValid({ size, granule }) {
  return size >= MIN_SIZE && size <= granule.maxSize;
}

/**
 * The level of the root table.
 *
 * @param {Half} half - of a valid size
 */
export function rootLevel({ size, granule: { shift } }) {
  return 3 - Math.floor((64 - size - 1 - shift) / (shift - 3));
}

/**
 * The place of a level's index in an address.
 *
 * @param {Granule} granule
 * @param {number} level
 */
export function levelShift({ shift }, level) {
  return BigInt(shift + (shift - 3) * (3 - level));
}

/**
 * Binary logarithm of the number of entries in a table.
 *
 * @param {Half} half - of a valid size
 * @param {number} level
 */
export function indexBits(half, level) {
  const { granule, size } = half;
  return level === rootLevel(half) ? 64 - size - Number(levelShift(granule, level)) : granule.shift - 3; // at most 47
}
