// Bits of AArch64 table entries as the model knows them: which ones the flag types of the original name, and which may
// change in a live entry.

export const VALID = 1n;
/** Bit 1: above level 3 a table, at level 3 a page. */
export const TABLE = 2n;
export const ACCESSED = 1n << 10n;
export const NON_GLOBAL = 1n << 11n;

const READ_ONLY = 1n << 7n;
const NT = 1n << 16n;
const SOFTWARE = 0xfn << 55n;

/**
 * @param {number} first
 * @param {number} last
 */
function bits(first, last) {
  return (1n << BigInt(last + 1)) - (1n << BigInt(first));
}

/** Bits that a type names. */
const NAMED = {
  Attributes: bits(0, 2) | bits(6, 11) | bits(51, 51) | bits(53, 58),
  El1Attributes: bits(0, 11) | NT | bits(50, 63),
  El23Attributes: bits(0, 11) | NT | bits(50, 52) | bits(54, 63),
  Stage2Attributes: bits(0, 10) | bits(54, 58),
};

/** @typedef {keyof typeof NAMED} Type */

/**
 * The type of flags of each regime; version 0.5 knows one regime and has a type of its own for it.
 *
 * @type {Readonly<Record<string, Exclude<Type, 'Attributes'>>>}
 */
const TYPES = {
  El1And0: 'El1Attributes',
  El2And0: 'El1Attributes',
  El2: 'El23Attributes',
  El3: 'El23Attributes',
  Stage2: 'Stage2Attributes',
};

/**
 * @param {{ seed: boolean, regime: string }} shape
 * @returns {bigint} the bits that the type of flags names
 */
export function bitsOf({ seed, regime }) {
  return NAMED[seed ? 'Attributes' : TYPES[regime]];
}

/**
 * @param {{ regime: string }} shape
 * @returns the type by which changes of live entries are judged in both versions
 */
export function typeOf({ regime }) {
  return TYPES[regime];
}

const PXN_UXN = bits(53, 54);
const DBM = 1n << 51n;
const XN = 1n << 54n;

/** Bits that a live valid leaf may lose without break-before-make. */
export const CLEARED = {
  El1Attributes: VALID | READ_ONLY | ACCESSED | DBM | PXN_UXN | SOFTWARE,
  El23Attributes: VALID | READ_ONLY | ACCESSED | DBM | XN | SOFTWARE,
  Stage2Attributes: VALID | bits(6, 7) | ACCESSED | XN | SOFTWARE,
};

/** Bits that it may get. */
export const SET = {
  El1Attributes: CLEARED.El1Attributes | NON_GLOBAL,
  El23Attributes: CLEARED.El23Attributes | NON_GLOBAL,
  Stage2Attributes: CLEARED.Stage2Attributes,
};
