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
 * @property {number} size - T0SZ or T1SZ
 * @property {boolean} walks - not EPD0 or EPD1
 * @property {boolean} ignoresTableRights - HPD0 or HPD1
 * @property {boolean} hidden - from EL0: E0PD0 or E0PD1
 * @property {boolean} ignoresTag - of data: TBI0 or TBI1
 * @property {boolean} ignoresFetchTag - TBI0 without TBID0, or the same of the upper half
 * @property {bigint} ttbr
 */

export const SCTLR_M = 1n << 0n;
export const SCTLR_C = 1n << 2n;
export const SCTLR_I = 1n << 12n;
export const SCTLR_WXN = 1n << 19n;
export const SCTLR_SPAN = 1n << 23n;

/** Bits 29, 28, 22, 20, 11, 8 and 7: 1, or without a meaning here. */
export const SCTLR_BASE = 0x3050_0980n;

export const TCR_TG1_4K = 2n << 30n;
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

/** What T0SZ and T1SZ may be, with FEAT_TTST and a granule of 4 KiB. */
export const MIN_SIZE = 16;
export const MAX_SIZE = 48;

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
  return {
    upper,
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
export function isSizeValid({ size }) {
  return size >= MIN_SIZE && size <= MAX_SIZE;
}

/**
 * The level of the root table.
 *
 * @param {Half} half - of a valid size
 */
export function rootLevel({ size }) {
  return 3 - Math.floor((64 - size - 1 - 12) / 9);
}

/**
 * The place of a level's index in an address.
 *
 * @param {number} level
 */
export function levelShift(level) {
  return BigInt(12 + 9 * (3 - level));
}

/**
 * Binary logarithm of the number of entries in a table.
 *
 * @param {Half} half - of a valid size
 * @param {number} level
 */
export function indexBits(half, level) {
  return level === rootLevel(half) ? 64 - half.size - Number(levelShift(level)) : 9; // shifts are at most 39
}
