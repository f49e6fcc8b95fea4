/** Random tables and registers for RISC-V: most addresses translate, and each kind of edge turns up every few. */
import type { PhysicalMemory } from '../../src/memory/index.ts';
import type { Random, SparseMemory } from './random-tables.ts';
import { writeEntry } from './random-tables.ts';
import type { RiscvReferenceControl } from './reference-riscv.ts';
import type { ReferenceRead } from './reference-walker.ts';

/** By mode: bits of an address, levels, bits of an index, bytes of an entry, satp.MODE. */
export const RISCV_MODES = {
  sv32: { vaBits: 32, levels: 2, bits: 10, bytes: 4, mode: 1n },
  sv39: { vaBits: 39, levels: 3, bits: 9, bytes: 8, mode: 8n },
  sv48: { vaBits: 48, levels: 4, bits: 9, bytes: 8, mode: 9n },
  sv57: { vaBits: 57, levels: 5, bits: 9, bytes: 8, mode: 10n },
} as const;

export type RiscvMode = keyof typeof RISCV_MODES;

/** satp by its fields. */
export function satpOf(mode: RiscvMode, ppn: bigint, asid = 0n): bigint {
  const code = RISCV_MODES[mode].mode;
  return mode === 'sv32' ? (code << 31n) | (asid << 22n) | ppn : (code << 60n) | (asid << 44n) | ppn;
}

/** Reads memory as a reference walker wants it. */
export function readerOfRiscv(memory: PhysicalMemory): ReferenceRead {
  return (pa, bytes) => {
    // Physical addresses have at most 56 bits.
    const base = memory.locate(Number(pa >> 12n));
    if (base < 0) return undefined;
    const at = base + Number((pa & 0xfffn) >> 2n);
    const low = BigInt(memory.words[at]);
    return bytes === 4 ? low : low | (BigInt(memory.words[at + 1]) << 32n);
  };
}

export interface RiscvCase {
  readonly mode: RiscvMode;
  readonly control: RiscvReferenceControl;
  readonly frames: SparseMemory;
  /** By the manual's level: frames of tables. */
  readonly tables: readonly (readonly number[])[];
  /** By the manual's level: indices at which tables have entries. */
  readonly hot: readonly (readonly number[])[];
}

/** An entry of a level, valid or not. */
export function randomPte(
  random: Random,
  mode: RiscvMode,
  level: number,
  tables: readonly (readonly number[])[],
  physBits: number,
): bigint {
  const { bits, bytes } = RISCV_MODES[mode];
  const on = (bit: number, chance: number) => (random.chance(chance) ? 1n << BigInt(bit) : 0n);
  const wide = bytes === 8;
  const ppnBits = wide ? 44 : 22;
  const odd = () => (wide && random.chance(0.02) ? 1n << BigInt(54 + random.below(10)) : 0n);
  const all = random.bits64() & (wide ? (1n << 64n) - 1n : 0xffff_ffffn);
  if (random.chance(0.03)) return all & ~1n;
  if (random.chance(0.02)) return all | 1n;
  if (level > 0 && random.chance(0.8)) {
    const near = random.chance(0.05) ? random.pick(tables.flat()) : random.pick(tables[level - 1]);
    // Some lead out of the memory, or above what the processor has.
    const frame = random.chance(0.03) ? random.below(2 ** 20) * 2 ** (ppnBits - 20) : near;
    return (BigInt(frame) << 10n) | 1n | on(5, 0.15) | on(random.pick([4, 6, 7]), 0.02) | on(8, 0.2) | odd();
  }
  const rwx = BigInt(random.chance(0.04) ? random.below(8) : random.pick([1, 3, 3, 3, 4, 5, 7]));
  const flags = (rwx << 1n) | 1n | on(4, 0.5) | on(5, 0.3) | on(6, 0.85) | on(7, 0.6) | on(9, 0.2);
  const frameBits = random.chance(0.05) ? ppnBits : physBits - 12;
  const napot = wide && level === 0 && random.chance(0.2);
  let ppn = random.bits64() & ((1n << BigInt(frameBits)) - 1n);
  if (random.chance(0.97)) ppn &= ~((1n << BigInt(level * bits)) - 1n);
  if (napot && random.chance(0.9)) ppn = (ppn & ~15n) | 8n;
  const pbmt = wide && random.chance(0.15) ? BigInt(random.below(4)) << 61n : 0n;
  return (ppn << 10n) | flags | pbmt | (napot ? 1n << 63n : 0n) | odd();
}

/** Registers and tables. The tables lie from `firstFrame` on, a few of them shared. */
export function randomRiscvCase(
  random: Random,
  mode: RiscvMode,
  options: { readonly firstFrame: number; readonly svnapot: boolean; readonly svpbmt: boolean },
): RiscvCase {
  const { levels, bits, bytes } = RISCV_MODES[mode];
  const wide = bytes === 8;
  const physBits = wide ? random.pick([56, 56, 48, 41]) : random.pick([34, 34, 32]);
  let next = options.firstFrame;
  const tables = Array.from({ length: levels }, (_, level) =>
    Array.from({ length: level === levels - 1 ? 1 : 2 + random.below(2) }, () => {
      next += 1 + random.below(2);
      return next;
    }),
  );
  const hot = tables.map(() => {
    const last = 2 ** bits - 1;
    const group = random.below(last >> 4) << 4;
    return [0, 1, last >> 1, (last >> 1) + 1, last, random.below(last), group + 3, group + 12, group + 15];
  });
  const frames: SparseMemory = new Map();
  for (const [level, list] of tables.entries()) {
    for (const frame of list) {
      frames.set(frame, new Uint32Array(1024));
      for (const index of hot[level]) {
        const pte = randomPte(random, mode, level, tables, physBits);
        writeEntry(frames, BigInt(frame) * 4096n + BigInt(index * bytes), bytes, pte);
      }
    }
  }
  const control: RiscvReferenceControl = {
    satp: satpOf(mode, BigInt(tables[levels - 1][0]), BigInt(random.below(512))),
    xlen: wide ? 64 : 32,
    sum: random.chance(0.5),
    mxr: random.chance(0.3),
    svnapot: wide && options.svnapot,
    svpbmt: wide && options.svpbmt,
    adue: random.chance(0.5),
    physBits,
  };
  return { mode, control, frames, tables, hot };
}

/** An address that the tables of a case may well translate. */
export function randomRiscvAddress(random: Random, { mode, hot }: RiscvCase): bigint {
  const { vaBits, levels, bits } = RISCV_MODES[mode];
  let va = BigInt(random.below(4096));
  for (let level = 0; level < levels; level += 1) {
    va |= BigInt(random.pick(hot[level])) << BigInt(12 + level * bits);
  }
  if (random.chance(0.1)) va ^= 1n << BigInt(random.below(vaBits));
  if (vaBits === 32) return va;
  va = BigInt.asUintN(64, BigInt.asIntN(vaBits, va));
  return random.chance(0.04) ? va ^ (1n << BigInt(vaBits - 1 + random.below(65 - vaBits))) : va;
}
