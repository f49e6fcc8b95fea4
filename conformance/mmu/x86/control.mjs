// Bits of the x86 control registers, and the paging modes.

/** @typedef {'32-bit' | 'PAE' | '4-level' | '5-level'} Mode */

/**
 * Registers that paging depends on; whole values.
 *
 * @typedef {object} Control
 * @property {bigint} cr0
 * @property {bigint} cr3
 * @property {bigint} cr4
 * @property {bigint} efer
 * @property {bigint} pkru
 * @property {bigint} pkrs
 */

/**
 * What an emulated processor has, as far as cases depend on it.
 *
 * @typedef {object} Processor
 * @property {readonly Mode[]} modes
 * @property {boolean} pku - PKRU and CR4.PKE
 * @property {boolean} pks - IA32_PKRS and CR4.PKS
 * @property {boolean} pcid - CR4.PCIDE and INVPCID
 * @property {boolean} refusesReservedBits - of CR3 and CR4, with #GP; otherwise the guest would not survive them
 */

/** @type {readonly Mode[]} */
export const MODES = ['32-bit', 'PAE', '4-level', '5-level'];

export const CR0_PE = 1n << 0n;
export const CR0_ET = 1n << 4n;
export const CR0_NE = 1n << 5n;
export const CR0_WP = 1n << 16n;
export const CR0_PG = 1n << 31n;

export const CR4_PSE = 1n << 4n;
export const CR4_PAE = 1n << 5n;
export const CR4_PGE = 1n << 7n;
export const CR4_LA57 = 1n << 12n;
export const CR4_PCIDE = 1n << 17n;
export const CR4_SMEP = 1n << 20n;
export const CR4_SMAP = 1n << 21n;
export const CR4_PKE = 1n << 22n;
export const CR4_PKS = 1n << 24n;

export const EFER_LME = 1n << 8n;
export const EFER_LMA = 1n << 10n;
export const EFER_NXE = 1n << 11n;

/** MAXPHYADDR of QEMU's processors under TCG, and of Bochs. */
export const PHYS_BITS = 40;

/** @param {Mode} mode */
export function isLong(mode) {
  return mode === '4-level' || mode === '5-level';
}

/** @param {Mode} mode */
export function entryBytes(mode) {
  return mode === '32-bit' ? 4 : 8;
}
