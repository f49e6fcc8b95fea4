// Address spaces of RISC-V, for ../space.

import { foundText, mismatch } from './compare.mjs';
import {
  canonical,
  FORMATS,
  levelShift,
  MACHINE_32,
  MACHINES_64,
  MENVCFG_ADUE,
  MENVCFG_PBMTE,
} from './control.mjs';
import { riscvJudge } from './judge.mjs';
import { IMAGE, isNowhere, LAYOUT, RAM_START } from './layout.mjs';
import { CAUSES } from './reference.mjs';
import { modelSubject, referenceSubject } from './subject.mjs';

/** @typedef {import('../space/host.mjs').Host} Host */
/** @typedef {import('../space/host.mjs').Probe} Probe */
/** @typedef {import('./control.mjs').Format} Format */

/** In every table that leads to the guest's page, and in the last one. */
const WINDOW_PATH = 5n;
const WINDOW_INDEX = 0x1f0n;

/** @param {string} name */
function formatOf(name) {
  return FORMATS.find((format) => format.name.toLowerCase() === name) ?? FORMATS[0];
}

/** @param {Format} format */
function windowStart(format) {
  let va = WINDOW_INDEX << 12n;
  for (let level = 1; level < format.levels; level++) va += WINDOW_PATH << levelShift(format, level);
  return va;
}

/** @type {Host} */
export const RISCV_HOST = {
  arch: 'riscv',
  formats: ['sv32', 'sv39', 'sv48', 'sv57'],
  frames: LAYOUT.arenaFrames,
  layout: LAYOUT,
  judge: riscvJudge(referenceSubject()),
  model: () => modelSubject('all'),
  randomControl: (random) => ({ svnapot: random.chance(0.5), svpbmt: random.chance(0.5) }),
  shapeOf(name) {
    const format = formatOf(name);
    const { xlen, virtualBits, levels } = format;
    const half = 1n << BigInt(virtualBits - 1);
    const end = 1n << BigInt(xlen);
    const start = windowStart(format);
    const page = /** @type {const} */ ({ physical: BigInt(IMAGE) });
    return {
      halves: [
        [0n, half],
        [canonical(format, half), end],
      ],
      addressEnd: end,
      // QEMU cuts addresses to 32 bits with RV32.
      physicalEnd: 1n << (xlen === 32 ? 32n : 56n),
      pageSizes: Array.from({ length: levels }, (_, level) => 1n << levelShift(format, level)),
      groupSizes: xlen === 32 ? [] : [16n << 12n],
      rights: ['r', 'rw', 'rx', 'rwx', 'x'],
      window: [
        { start, end: start + 4096n, ...page, attributes: { rights: 'x', user: false } },
        { start: start + 4096n, end: start + 8192n, ...page, attributes: { rights: 'x', user: true } },
      ],
      nowhere: [BigInt(RAM_START), ...(xlen === 32 ? [0xa000_0000n] : [1n << 40n, 3n << 50n])],
      accessBytes: xlen === 32 ? [4] : [4, 8],
      types: ['write-back', 'non-cacheable', 'device'],
      isMarked: true,
    };
  },
  // Without SUM and MXR.
  allows: ({ rights, user }, probe) =>
    user === probe.user && rights.includes({ read: 'r', write: 'w', fetch: 'x' }[probe.kind]),
  isNowhere: (mode, physical) => isNowhere(physical, formatOf(mode).xlen),
  caseOf({ number, mode, control, words, probes, written }) {
    const format = formatOf(mode);
    const { svnapot, svpbmt, satp } = control;
    const machine =
      MACHINES_64.find((each) => each.svnapot === svnapot && each.svpbmt === svpbmt) ?? MACHINES_64[0];
    const start = windowStart(format);
    return {
      number,
      control: {
        machine: format.xlen === 32 ? MACHINE_32 : machine,
        satp,
        menvcfg: MENVCFG_ADUE | (svpbmt ? MENVCFG_PBMTE : 0n),
      },
      stubs: { super: start, user: start + 4096n },
      arenaFrames: LAYOUT.arenaFrames,
      words,
      operations: probes.map(accessOf),
      predictions: [],
      written,
    };
  },
  check(_, probe, verdict, found) {
    const access = accessOf(probe);
    if (verdict.kind === 'memory') return mismatch(access, { kind: 'done', value: verdict.value }, found);
    const cause = CAUSES[probe.kind][verdict.kind === 'nowhere' ? 'access' : 'page'];
    return mismatch(access, { kind: 'fault', cause, tval: probe.address }, found);
  },
  describe: foundText,
};

/**
 * @param {Probe} probe
 * @returns {import('./operations.mjs').Access}
 */
function accessOf(probe) {
  return { ...probe, sum: false, mxr: false, modified: false, flush: false, amo: 'swap' };
}
