// Processors, modes of translation, and the registers that it depends on.
//
// See the RISC-V Instruction Set Manual, volume II (privileged architecture), chapter "Supervisor-Level ISA" and the chapters of
// the extensions Svnapot, Svpbmt and Svadu.

/**
 * A processor that QEMU can be. Those of 32 bits have neither extension.
 *
 * @typedef {{ name: string, xlen: 32 | 64, svnapot: boolean, svpbmt: boolean }} Machine
 */

/**
 * A mode of translation.
 *
 * @typedef {object} Format
 * @property {FormatName} name
 * @property {32 | 64} xlen
 * @property {bigint} code - in satp.MODE
 * @property {number} levels
 * @property {number} indexBits - of a virtual address, per level
 * @property {4 | 8} entryBytes
 * @property {number} virtualBits
 */

/** @typedef {'Sv32' | 'Sv39' | 'Sv48' | 'Sv57'} FormatName */

/**
 * Whole values of registers, and the processor that has them. menvcfg exists with RV64 alone here, but its ADUE counts.
 *
 * @typedef {{ machine: Machine, satp: bigint, menvcfg: bigint }} Control
 */

/** @typedef {'satp' | 'menvcfg'} RegisterName */

/** @type {readonly Machine[]} */
export const MACHINES_64 = [false, true].flatMap((svnapot) =>
  [false, true].map((svpbmt) => ({
    name: `rv64${svnapot ? ' svnapot' : ''}${svpbmt ? ' svpbmt' : ''}`,
    xlen: /** @type {const} */ (64),
    svnapot,
    svpbmt,
  })),
);

/** @type {Machine} */
export const MACHINE_32 = { name: 'rv32', xlen: 32, svnapot: false, svpbmt: false };

/** @param {number} levels */
function format64(levels) {
  return /** @type {const} */ ({
    xlen: 64,
    levels,
    indexBits: 9,
    entryBytes: 8,
    virtualBits: 12 + levels * 9,
  });
}

/** @type {readonly Format[]} */
export const FORMATS = [
  { name: 'Sv32', xlen: 32, code: 1n, levels: 2, indexBits: 10, entryBytes: 4, virtualBits: 32 },
  { name: 'Sv39', code: 8n, ...format64(3) },
  { name: 'Sv48', code: 9n, ...format64(4) },
  { name: 'Sv57', code: 10n, ...format64(5) },
];

/** Places of fields in satp, and their sizes in bits. */
const SATP = {
  32: { mode: 31n, asid: 22n, asidBits: 9, ppnBits: 22 },
  64: { mode: 60n, asid: 44n, asidBits: 16, ppnBits: 44 },
};

export const MENVCFG_ADUE = 1n << 61n;
export const MENVCFG_PBMTE = 1n << 62n;

/** @param {Control} control */
export function formatOf({ machine: { xlen }, satp }) {
  const code = satp >> SATP[xlen].mode;
  return FORMATS.find((format) => format.xlen === xlen && format.code === code);
}

/**
 * What satp holds after a write: with a mode that is not there, what it held before.
 *
 * @param {Control} control
 * @param {bigint} value
 */
export function writtenSatp(control, value) {
  const { xlen } = control.machine;
  const isBare = value >> SATP[xlen].mode === 0n;
  return isBare || formatOf({ ...control, satp: value }) !== undefined ? value : control.satp;
}

/** @param {Control} control */
export function rootAddress({ machine: { xlen }, satp }) {
  return BigInt.asUintN(SATP[xlen].ppnBits, satp) << 12n;
}

/** @param {32 | 64} xlen */
export function asidBits(xlen) {
  return SATP[xlen].asidBits;
}

/**
 * @param {Format} format
 * @param {{ asid: bigint, root: bigint }} parts - `root` is a physical address
 */
export function satpOf({ xlen, code }, { asid, root }) {
  const { mode, asid: place } = SATP[xlen];
  return (code << mode) | (asid << place) | (root >> 12n);
}

/**
 * Whether bits 62 and 61 of an entry are a memory type.
 *
 * @param {Control} control
 */
export function hasMemoryTypes({ machine: { svpbmt }, menvcfg }) {
  return svpbmt && (menvcfg & MENVCFG_PBMTE) !== 0n;
}

/**
 * Whether hardware sets A and D (Svadu). Otherwise their absence is a page fault (Svade).
 *
 * @param {Control} control
 */
export function setsAccessedAndDirty({ menvcfg }) {
  return (menvcfg & MENVCFG_ADUE) !== 0n;
}

/**
 * The place of a level's index in an address. Level 0 is the last.
 *
 * @param {Format} format
 * @param {number} level
 */
export function levelShift({ indexBits }, level) {
  return BigInt(12 + indexBits * level);
}

/**
 * An address with its top bits equal to the highest that is translated.
 *
 * @param {Format} format
 * @param {bigint} va - its bits above are ignored
 */
export function canonical({ virtualBits, xlen }, va) {
  return BigInt.asUintN(xlen, BigInt.asIntN(virtualBits, va));
}
