// Accesses that tell what an address space maps: at both sides of each boundary, and between.

import { SketchMemory } from '../sketch-memory.mjs';

/** @typedef {import('../random.mjs').Random} Random */
/** @typedef {import('./host.mjs').Host} Host */
/** @typedef {import('./host.mjs').Probe} Probe */
/** @typedef {import('./host.mjs').Shape} Shape */
/** @typedef {import('./host.mjs').Verdict} Verdict */
/** @typedef {import('./ranges.mjs').Ranges} Ranges */

/** Accesses of a case. */
const MAX_PROBES = 120;

const KINDS = /** @type {const} */ (['read', 'write', 'fetch']);

/**
 * Accesses and what becomes of them.
 *
 * @param {Random} random
 * @param {Host} host
 * @param {string} format
 * @param {{ ranges: Ranges, own: Ranges }} mapped - `own` is what the guest itself needs
 * @returns {{ probes: Probe[], verdicts: Verdict[], written: readonly number[] }}
 */
export function probesOf(random, host, format, { ranges, own }) {
  const shape = host.shapeOf(format);
  const memory = new SketchMemory(host.layout);
  /** @type {Set<number>} */
  const written = new Set();
  /** @type {Probe[]} */
  const probes = [];
  /** @type {Verdict[]} */
  const verdicts = [];
  const points = shuffled(random, pointsOf(random, shape, ranges)).filter(
    (point) => own.at(point) === undefined,
  );
  // A read of whoever the page is for, and another access.
  for (const probe of points.flatMap((point) => [
    probeAt(random, shape, ranges, point, true),
    probeAt(random, shape, ranges, point, false),
  ])) {
    if (probes.length >= MAX_PROBES) break;
    const verdict = verdictOf(host, format, memory, ranges, probe);
    if (verdict === undefined) continue;
    if (probe.kind === 'write' && verdict.kind === 'memory') {
      memory.write(verdict.physical, probe.bytes, probe.value);
      const at = Number(verdict.physical); // in RAM
      written.add(at - (at % 8));
    }
    probes.push(probe);
    verdicts.push(verdict);
  }
  return { probes, verdicts, written: [...written] };
}

/**
 * Places to look at, each a multiple of 16.
 *
 * @param {Random} random
 * @param {Shape} shape
 * @param {Ranges} ranges
 */
function pointsOf(random, { pageSizes, addressEnd }, { list }) {
  /** @type {Set<bigint>} */
  const points = new Set();
  for (const { start, end } of list) {
    for (const limit of [start, end]) for (const point of [limit - 16n, limit]) points.add(point);
    const bytes = end - start;
    for (let i = 0; i < 2; i++) points.add(start + ((random.bits(64) % bytes) & ~15n));
    // The first limits of larger pages inside.
    for (const size of pageSizes) {
      const limit = (start / size + 1n) * size;
      if (limit < end && size > 4096n) for (const point of [limit - 16n, limit]) points.add(point);
    }
  }
  return [...points].filter((point) => point >= 0n && point < addressEnd);
}

/**
 * @template T
 * @param {Random} random
 * @param {readonly T[]} list
 */
function shuffled(random, list) {
  const rest = [...list];
  return list.map(() => rest.splice(random.below(rest.length), 1)[0]);
}

/**
 * @param {Random} random
 * @param {Shape} shape
 * @param {Ranges} ranges
 * @param {bigint} point
 * @param {boolean} isFitting - a read of whoever the page is for
 * @returns {Probe}
 */
function probeAt(random, { accessBytes }, ranges, point, isFitting) {
  const there = ranges.at(point);
  const kind = isFitting ? 'read' : random.pick(KINDS);
  const isOwner = there !== undefined && (isFitting || random.chance(0.6));
  const user = isOwner ? there.attributes.user : random.chance(0.5);
  if (kind === 'fetch') return { kind, address: point, bytes: 4, user, value: 0n };
  const bytes = /** @type {4 | 8} */ (random.pick(accessBytes));
  const address = point + BigInt(random.below(16 / bytes) * bytes);
  return { kind, address, bytes, user, value: kind === 'write' ? random.bits(bytes * 8) : 0n };
}

/**
 * What an access must give; nothing if that is not known, or the guest cannot be asked.
 *
 * @param {Host} host
 * @param {string} format
 * @param {SketchMemory} memory
 * @param {Ranges} ranges
 * @param {Probe} probe
 * @returns {Verdict | undefined}
 */
function verdictOf(host, format, memory, ranges, probe) {
  const there = ranges.at(probe.address);
  if (there === undefined) return { kind: 'unmapped' };
  if (!host.allows(there.attributes, probe)) return { kind: 'refused' };
  const { physical } = there;
  const at = Number(physical); // below 2^56; inexact ones are not in RAM
  if (host.layout.isPageByte(at)) {
    const value = memory.read(physical, probe.bytes);
    const isTrap = value === BigInt(host.layout.patternWord(at));
    return probe.kind === 'fetch' && !isTrap ? undefined : { kind: 'memory', physical, value };
  }
  return host.isNowhere(format, physical) && probe.kind === 'read' ? { kind: 'nowhere' } : undefined;
}
