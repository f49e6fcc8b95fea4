/** Random tables and registers for AArch64: most addresses translate, and each kind of edge turns up every few. */
import { PhysicalMemory } from '../../src/memory/index.ts';
import type { Random } from './random-tables.ts';
import { type Aarch64ReferenceControl, referenceHalf } from './reference-aarch64.ts';
import type { ReferenceRead } from './reference-walker.ts';

/** First frame of memory. */
const FIRST = 0x4_0000;
/** Bytes of a slot that holds a table of any granule. */
const SLOT = 0x1_0000n;
const SLOTS = 12;
const BASE = BigInt(FIRST) << 12n;

/** Registers, tables and memory. */
export interface Aarch64Case {
  readonly control: Aarch64ReferenceControl;
  readonly memory: PhysicalMemory;
  /** Indices at which tables have entries, by how many a table has. */
  readonly hot: (entries: number) => readonly number[];
}

/** Reads memory as a reference walker wants it. */
export function readerOfMemory(memory: PhysicalMemory): ReferenceRead {
  return (pa) => {
    const base = memory.locate(Number(pa >> 12n));
    if (base < 0) return undefined;
    const at = base + Number((pa & 0xfffn) >> 2n);
    return BigInt(memory.words[at]) | (BigInt(memory.words[at + 1]) << 32n);
  };
}

/** Indices that tables are used at. */
function hot(entries: number): readonly number[] {
  return entries <= 4 ? Array.from({ length: entries }, (_, i) => i) : [0, 1, entries >> 1, entries - 1];
}

const MAIR_BYTES = [0xff, 0xff, 0x44, 0x00, 0x04, 0x0c, 0xbb, 0xf4, 0x40, 0xa0];
const SIZES = [16, 16, 17, 20, 22, 24, 25, 28, 30, 32, 33, 34, 39, 42, 47];

/** TCR_EL1 with anything in it that is modelled. */
function randomTcr(random: Random): bigint {
  const size = () => BigInt(random.chance(0.03) ? random.below(64) : random.pick(SIZES));
  const on = (bit: number, chance: number) => (random.chance(chance) ? 1n << BigInt(bit) : 0n);
  const tg0 = BigInt(random.pick([0, 0, 1, 2, random.below(4)]));
  const tg1 = BigInt(random.pick([2, 2, 3, 1, random.below(4)]));
  let tcr = size() | (tg0 << 14n) | (size() << 16n) | (tg1 << 30n);
  tcr |= BigInt(random.pick([0, 1, 2, 5, 5, 6])) << 32n;
  tcr |= on(22, 0.5) | on(36, 0.5) | on(39, 0.4) | on(40, 0.6);
  tcr |= on(7, 0.03) | on(23, 0.03) | on(41, 0.3) | on(42, 0.3) | on(37, 0.4) | on(38, 0.4);
  return tcr | on(51, 0.3) | on(52, 0.3) | on(55, 0.1) | on(56, 0.1);
}

/** A descriptor. */
export function randomDescriptor(random: Random, level: number, granuleShift: number): bigint {
  const on = (bit: number, chance: number) => (random.chance(chance) ? 1n << BigInt(bit) : 0n);
  const slot = BASE + BigInt(random.below(SLOTS)) * SLOT;
  const tooHigh = random.chance(0.02) ? 1n << BigInt(random.pick([33, 37, 41, 47])) : 0n;
  if (random.chance(0.04)) return slot | BigInt(random.below(2048) * 2);
  if (level < 3 && random.chance(level === 2 ? 0.6 : 0.8)) {
    const rights = on(59, 0.08) | on(60, 0.08) | on(61, 0.08) | on(62, 0.08);
    return slot | tooHigh | rights | on(10, 0.1) | on(63, 0.1) | on(52, 0.1) | 3n;
  }
  const attributes = BigInt(random.below(8) << 2) | on(6, 0.6) | on(7, 0.4) | BigInt(random.below(4) << 8);
  const upper =
    on(50, 0.1) | on(51, 0.3) | on(52, 0.1) | on(53, 0.3) | on(54, 0.3) | on(55, 0.1) | on(63, 0.1);
  const code = level === 3 ? (random.chance(0.97) ? 3n : 1n) : 1n;
  // Bits below the address are passed over.
  const shift = BigInt(granuleShift + (3 - level) * (granuleShift - 3));
  const address = random.chance(0.8) ? slot : BigInt(random.below(2 ** 20)) << shift;
  return (address & ((1n << 48n) - 1n)) | tooHigh | attributes | upper | on(10, 0.85) | on(11, 0.5) | code;
}

/** Registers and tables. Both halves have their root in slot 0 or 1. */
export function randomCase(random: Random): Aarch64Case {
  const tcr = randomTcr(random);
  const mair = Array.from({ length: 8 }, () => random.pick(MAIR_BYTES)).reduce(
    (all, byte, i) => all | (BigInt(byte) << BigInt(8 * i)),
    0n,
  );
  const on = (bit: number, chance: number) => (random.chance(chance) ? 1n << BigInt(bit) : 0n);
  const sctlr = on(0, 0.97) | on(1, 0.05) | on(19, 0.2) | on(57, 0.3);
  const root = () => {
    const slot =
      BASE + BigInt(random.below(2)) * SLOT + (random.chance(0.3) ? BigInt(random.below(64) * 64) : 0n);
    const tooHigh = random.chance(0.02) ? 1n << 45n : 0n;
    return slot | tooHigh | BigInt(random.below(2)) | (BigInt(random.below(0x1_0000)) << 48n);
  };
  const control: Aarch64ReferenceControl = {
    ttbr0: root(),
    ttbr1: root(),
    tcr,
    mair,
    sctlr,
    pan: random.chance(0.3),
    physBits: random.pick([32, 36, 40, 48, 48]),
  };
  const words = new Uint32Array((SLOTS * Number(SLOT)) / 4);
  const memory = new PhysicalMemory(words, FIRST, words.length / 1024);
  for (let slot = 0; slot < SLOTS; slot += 1) {
    const half = referenceHalf(tcr, random.chance(0.5) ? 0n : 1n << 55n);
    // A table for some level; the levels of a walk through it may well be others.
    const level = Math.min(3, Math.floor(slot / 3) + random.below(2));
    const entries = 2 ** (half.granuleShift - 3);
    const places = new Set([...hot(entries), ...hot(16), ...hot(512), ...hot(2048), ...hot(32), ...hot(64)]);
    for (const index of places) {
      if (index >= entries) continue;
      const at = (slot * Number(SLOT)) / 4 + index * 2;
      const value = randomDescriptor(random, level, half.granuleShift);
      words[at] = Number(value & 0xffff_ffffn);
      words[at + 1] = Number(value >> 32n);
    }
  }
  return { control, memory, hot };
}

/** An address that the tables of a case may well translate. */
export function randomAddress(random: Random, { control, hot: indices }: Aarch64Case): bigint {
  const upper = random.chance(0.5);
  const half = referenceHalf(control.tcr, upper ? 1n << 55n : 0n);
  const { granuleShift: g, tnsz } = half;
  const inputBits = Math.min(48, Math.max(16, 64 - tnsz));
  let va = BigInt(random.below(2 ** g));
  for (let shift = g; shift < inputBits; shift += g - 3) {
    const bits = Math.min(g - 3, inputBits - shift);
    va |= BigInt(random.pick(indices(2 ** bits))) << BigInt(shift);
  }
  if (upper) va |= ((1n << 64n) - 1n) & ~((1n << BigInt(inputBits)) - 1n);
  if (random.chance(0.15)) va ^= BigInt(random.below(256)) << 56n;
  if (random.chance(0.03)) va ^= 1n << BigInt(random.below(64));
  return va;
}
