// Address spaces of x86, for ../space.

import { foundText } from './compare.mjs';
import { CR0_ET, CR0_NE, CR0_PE, CR0_PG, isLong, MODES } from './control.mjs';
import { x86Judge } from './judge.mjs';
import { ARENA_FRAMES, LAYOUT, RAM_BYTES, USER_CODE, WINDOW, WINDOW_PAGES } from './layout.mjs';
import { DONE, GP, INT3_VECTOR, PF, UNTOUCHED_CR2 } from './operations.mjs';
import { modelSubject, referenceSubject } from './subject.mjs';

/** @typedef {import('../space/host.mjs').Host} Host */
/** @typedef {import('../space/host.mjs').Probe} Probe */
/** @typedef {import('../space/host.mjs').Shape} Shape */
/** @typedef {import('./control.mjs').Mode} Mode */

/** Bits of a page fault's error code. */
const ERROR = { present: 1, write: 2, user: 4, fetch: 16 };

/** @type {Readonly<Record<Mode, readonly bigint[]>>} */
const PAGE_SHIFTS = {
  '32-bit': [12n, 22n],
  PAE: [12n, 21n],
  '4-level': [12n, 21n, 30n],
  '5-level': [12n, 21n, 30n],
};

/**
 * @param {Mode} mode
 * @returns {Shape['halves']}
 */
function halvesOf(mode) {
  if (!isLong(mode)) return [[0n, 1n << 32n]];
  const half = 1n << (mode === '4-level' ? 47n : 56n);
  return [
    [0n, half],
    [(1n << 64n) - half, 1n << 64n],
  ];
}

/**
 * @param {import('./judge.mjs').Emulator} emulator
 * @returns {Host}
 */
export function x86Host(emulator) {
  return {
    arch: 'x86',
    formats: MODES.filter((mode) => emulator.processor.modes.includes(mode)),
    frames: ARENA_FRAMES,
    layout: LAYOUT,
    judge: x86Judge(emulator, referenceSubject()),
    model: () => modelSubject('all'),
    randomControl: () => ({}),
    shapeOf(name) {
      const mode = /** @type {Mode} */ (name);
      const [window, user] = [BigInt(WINDOW), BigInt(USER_CODE)];
      const windowEnd = window + BigInt(WINDOW_PAGES * 4096);
      return {
        halves: halvesOf(mode),
        addressEnd: 1n << (isLong(mode) ? 64n : 32n),
        physicalEnd: 1n << (mode === '32-bit' ? 32n : 40n),
        pageSizes: PAGE_SHIFTS[mode].map((shift) => 1n << shift),
        groupSizes: [],
        rights: mode === '32-bit' ? ['rx', 'rwx'] : ['r', 'rw', 'rx', 'rwx'],
        window: [
          { start: window, end: windowEnd, physical: window, attributes: { rights: 'rwx', user: false } },
          { start: user, end: user + 4096n, physical: window, attributes: { rights: 'rx', user: true } },
        ],
        nowhere: mode === '32-bit' ? [0n, 0x4000_0000n] : [0n, 0x4000_0000n, 1n << 38n],
        accessBytes: isLong(mode) ? [4, 8] : [4],
        types: ['write-back', 'write-through', 'non-cacheable', 'device'],
        isMarked: true,
      };
    },
    // Without SMEP and SMAP, and with CR0.WP.
    allows: ({ rights, user }, probe) =>
      (user || !probe.user) && (probe.kind === 'read' || rights.includes(probe.kind === 'write' ? 'w' : 'x')),
    isNowhere: (_, physical) =>
      (physical >= BigInt(RAM_BYTES) && physical < 0xc000_0000n) || physical >= 1n << 37n,
    caseOf({ number, mode, control, words, probes, written }) {
      const { cr0, cr3, cr4, efer } = control;
      return {
        number,
        mode,
        control: { cr0: cr0 | CR0_PE | CR0_ET | CR0_NE | CR0_PG, cr3, cr4, efer, pkru: 0n, pkrs: 0n },
        words,
        operations: probes.map((probe) => ({
          ...probe,
          bytes: probe.kind === 'fetch' ? 1 : probe.bytes,
          ac: false,
          stack: false,
          flush: false,
        })),
        written,
      };
    },
    check(name, probe, { kind, ...verdict }, found) {
      const mode = /** @type {Mode} */ (name);
      if (
        kind === 'unmapped' &&
        !halvesOf(mode).some(([low, high]) => probe.address >= low && probe.address < high)
      ) {
        return found.vector === GP && found.errorCode === 0 ? undefined : 'outcome differs';
      }
      if (kind === 'unmapped' || kind === 'refused')
        return faultMismatch(mode, probe, kind === 'refused', found);
      if (found.vector !== (probe.kind === 'fetch' ? INT3_VECTOR : DONE)) return 'outcome differs';
      if (found.cr2 !== UNTOUCHED_CR2) return 'CR2 differs';
      // What is read where nothing is, nobody says.
      const isKnown = probe.kind === 'read' && 'value' in verdict;
      return isKnown && found.value !== verdict.value ? 'value differs' : undefined;
    },
    describe: foundText,
  };
}

/**
 * @param {Mode} mode
 * @param {Probe} probe
 * @param {boolean} isPresent
 * @param {import('./operations.mjs').Found} found
 */
function faultMismatch(mode, { kind, user, address }, isPresent, found) {
  if (found.vector !== PF) return 'outcome differs';
  const errorCode =
    (isPresent ? ERROR.present : 0) |
    (kind === 'write' ? ERROR.write : 0) |
    (user ? ERROR.user : 0) |
    // With EFER.NXE, which 32-bit paging does not have.
    (kind === 'fetch' && mode !== '32-bit' ? ERROR.fetch : 0);
  if (found.errorCode !== errorCode) return 'error code differs';
  return found.cr2 === address ? undefined : 'CR2 differs';
}
