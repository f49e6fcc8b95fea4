// Address spaces of AArch64, for ../space.

import { foundText } from './compare.mjs';
import { SCTLR_BASE, SCTLR_M } from './control.mjs';
import { aarch64Judge } from './judge.mjs';
import { BRK, IMAGE, LAYOUT, RAM_BYTES, RAM_START } from './layout.mjs';
import { BRK_ESR, SVC_ESR, UNTOUCHED_FAR } from './operations.mjs';
import { STATUS, syndrome } from './reference.mjs';
import { modelSubject, referenceSubject } from './subject.mjs';

/** @typedef {import('../space/host.mjs').Host} Host */
/** @typedef {import('../space/host.mjs').Probe} Probe */

/** Of the guest's page, for EL1; the one for EL0 is behind. */
const WINDOW = 0x0281_40bf_0000n;

const HALF = 1n << 48n;
const ADDRESS_END = 1n << 64n;

/** Status code of an external abort. */
const NOTHING_THERE = 16;

/** From a stub's first instruction to behind its SVC. */
const ACCESS_BYTES = 8;

/** @type {Host} */
export const AARCH64_HOST = {
  arch: 'aarch64',
  formats: ['aarch64-4k'],
  frames: 32,
  layout: LAYOUT,
  judge: aarch64Judge(referenceSubject()),
  model: () => modelSubject('all'),
  randomControl: () => ({}),
  shapeOf: () => ({
    halves: [
      [0n, HALF],
      [ADDRESS_END - HALF, ADDRESS_END],
    ],
    addressEnd: ADDRESS_END,
    physicalEnd: 1n << 48n,
    pageSizes: [12n, 21n, 30n].map((shift) => 1n << shift),
    groupSizes: [16n << 12n, 16n << 21n],
    rights: ['r', 'rw', 'rx', 'rwx'],
    window: [
      {
        start: WINDOW,
        end: WINDOW + 4096n,
        physical: BigInt(IMAGE),
        attributes: { rights: 'rx', user: false },
      },
      {
        start: WINDOW + 4096n,
        end: WINDOW + 8192n,
        physical: BigInt(IMAGE),
        attributes: { rights: 'rx', user: true },
      },
    ],
    nowhere: [BigInt(RAM_START), 1n << 36n, 3n << 45n],
    accessBytes: [4, 8],
    types: ['write-back', 'write-through', 'non-cacheable'],
    isMarked: false,
  }),
  // EL1 reads what EL0 may access, writes it if EL0 may, and never executes it.
  allows({ rights, user }, probe) {
    if (probe.kind === 'fetch') return rights.includes('x') && user === probe.user;
    return (user || !probe.user) && (probe.kind === 'read' || rights.includes('w'));
  },
  isNowhere: (_, physical) =>
    (physical >= BigInt(RAM_START + RAM_BYTES) && physical < 1n << 37n) || physical >= 1n << 46n,
  caseOf({ number, control, words, probes, written }) {
    const { ttbr0, ttbr1, tcr, mair, sctlr } = control;
    return {
      number,
      control: { ttbr0, ttbr1, tcr, mair, sctlr: sctlr | SCTLR_BASE | SCTLR_M },
      stubs: { el1: WINDOW, el0: WINDOW + 4096n },
      arenaFrames: 32,
      words,
      operations: probes.map((probe) => ({ ...probe, unprivileged: false, pan: false, flush: false })),
      written,
    };
  },
  check(_, probe, verdict, found) {
    if (verdict.kind !== 'memory') return faultMismatch(probe, verdict.kind, found);
    if (found.far !== UNTOUCHED_FAR) return 'FAR differs';
    if (probe.kind === 'fetch') {
      const instruction = BigInt((BRK | ((found.esr & 0xffff) << 5)) >>> 0);
      const isDone = (found.esr & 0xffff_0000) >>> 0 === BRK_ESR && found.distance === 0;
      return isDone && instruction === verdict.value ? undefined : 'instruction differs';
    }
    if (found.esr !== SVC_ESR || found.distance !== ACCESS_BYTES) return 'outcome differs';
    return probe.kind === 'write' || found.value === verdict.value ? undefined : 'value differs';
  },
  describe: foundText,
};

/**
 * @param {Probe} probe
 * @param {'nowhere' | 'unmapped' | 'refused'} kind
 * @param {import('./operations.mjs').Found} found
 */
function faultMismatch(probe, kind, found) {
  const status = { nowhere: NOTHING_THERE, unmapped: STATUS.translation, refused: STATUS.permission }[kind];
  // Which level it was depends on the tables alone.
  const level = kind === 'nowhere' ? 0 : 3;
  if (((found.esr ^ syndrome(probe, status)) & ~level) !== 0) return 'ESR differs';
  if (found.far !== probe.address) return 'FAR differs';
  return found.distance === 0 ? undefined : 'ELR differs';
}
