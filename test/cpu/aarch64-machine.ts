/**
 * A small machine for tests of the AArch64 processor: page tables made page by page with the 4-KiB granule, data pages whose
 * words all hold their frame number, and accesses whose results are short texts.
 */
import {
  type Aarch64AccessOptions,
  Aarch64Cpu,
  type Aarch64CpuOptions,
  type KnownAarch64Control,
  type Outcome,
} from '../../src/cpu/index.ts';
import { ABSENT, PhysicalMemory } from '../../src/memory/index.ts';

// Bits of descriptors, by the manual's names (Arm ARM, tables D8-50 and D8-52).
export const VALID = 1n;
export const TABLE = 3n;
export const PAGE = 3n;
export const BLOCK = 1n;
export const attr = (index: number): bigint => BigInt(index) << 2n;
export const AP_EL0 = 1n << 6n;
export const AP_RO = 1n << 7n;
export const SH_OUTER = 2n << 8n;
export const SH_INNER = 3n << 8n;
export const AF = 1n << 10n;
export const NG = 1n << 11n;
export const DBM = 1n << 51n;
export const CONTIGUOUS = 1n << 52n;
export const PXN = 1n << 53n;
export const UXN = 1n << 54n;
export const SOFTWARE = 1n << 55n;
export const PXN_TABLE = 1n << 59n;
export const UXN_TABLE = 1n << 60n;
export const AP_TABLE_NO_EL0 = 1n << 61n;
export const AP_TABLE_RO = 1n << 62n;

// TCR_EL1 and SCTLR_EL1.
export const TCR_EPD0 = 1n << 7n;
export const TCR_A1 = 1n << 22n;
export const TCR_EPD1 = 1n << 23n;
export const TCR_AS = 1n << 36n;
export const TCR_TBI0 = 1n << 37n;
export const TCR_TBI1 = 1n << 38n;
export const TCR_HA = 1n << 39n;
export const TCR_HD = 1n << 40n;
export const TCR_HPD0 = 1n << 41n;
export const TCR_HPD1 = 1n << 42n;
export const TCR_TBID0 = 1n << 51n;
export const TCR_DS = 1n << 59n;
export const TCR_E0PD0 = 1n << 55n;
export const TCR_E0PD1 = 1n << 56n;
export const SCTLR_M = 1n;
export const SCTLR_A = 1n << 1n;
export const SCTLR_WXN = 1n << 19n;
export const SCTLR_EPAN = 1n << 57n;
/** Two halves of 48 bits with the 4-KiB granule, 40-bit output addresses. */
export const TCR = 16n | (16n << 16n) | (2n << 30n) | (2n << 32n);
/** AttrIndx 0: write-back; 1: Device-nGnRE; 2: non-cacheable; 3: write-through; 4: write-back with other hints; 5: Device-nGnRnE. */
export const MAIR = 0x00_cc_bb_44_04_ffn;
/** A page of which EL0 may do everything. */
export const OPEN = AP_EL0 | AF | NG | SH_INNER;

const FIRST = 0x100;
const FRAMES = 96;
/** Where tables are. */
export const ROOTS = [FIRST, FIRST + 1] as const;

/** An entry for a frame. */
export function to(frame: number, bits: bigint): bigint {
  return (BigInt(frame) << 12n) | bits;
}

export type Level = 0 | 1 | 2 | 3;

export class Machine {
  readonly memory: PhysicalMemory;
  private readonly tables = new Map<string, number>();
  private next = FIRST + 2;
  /** The root that `map`, `get` and `set` work in for the lower half. */
  lowerRoot: number = ROOTS[0];
  private readonly others = new Map<number, number>();

  constructor() {
    const words = new Uint32Array((FRAMES + 32) * 1024);
    const { others } = this;
    this.memory = new PhysicalMemory(words, FIRST, FRAMES, {
      locate: (frame) => others.get(frame) ?? ABSENT,
    });
  }

  /** A processor with this machine's roots. */
  boot(registers: KnownAarch64Control = {}, options: Aarch64CpuOptions = {}): Aarch64Cpu {
    const [lower, upper] = ROOTS.map((frame) => BigInt(frame) << 12n);
    return new Aarch64Cpu(
      this.memory,
      { ttbr0: lower, ttbr1: upper, tcr: TCR, mair: MAIR, ...registers },
      options,
    );
  }

  /** Makes a frame of which every word is the frame's number. */
  page(frame: number): this {
    let at = this.memory.locate(frame);
    if (at === ABSENT) {
      at = (FRAMES + this.others.size) * 1024;
      this.others.set(frame, at);
    }
    this.memory.words.fill(frame, at, at + 1024);
    return this;
  }

  /** Frame of a new table, or of any other use. */
  newFrame(): number {
    const frame = this.next;
    this.next += 1;
    if (frame >= FIRST + FRAMES) throw new Error('machine: too many tables');
    return frame;
  }

  /** Maps the page of an address, and makes the page and the tables above it. */
  map(va: bigint, frame: number, bits: bigint = OPEN, level: Level = 3): this {
    for (let above = 0; above < level; above += 1) {
      if (this.tables.has(this.idOf(va, above))) continue;
      const table = this.newFrame();
      this.tables.set(this.idOf(va, above), table);
      this.set(va, above as Level, to(table, TABLE));
    }
    this.page(frame);
    return this.set(va, level, to(frame, bits | (level === 3 ? PAGE : BLOCK)));
  }

  /** The entry that an address uses at a level. */
  get(va: bigint, level: Level): bigint {
    const at = this.placeOf(va, level);
    return BigInt(this.memory.words[at]) | (BigInt(this.memory.words[at + 1]) << 32n);
  }

  /** Changes the entry that an address uses at a level. */
  set(va: bigint, level: Level, value: bigint): this {
    const at = this.placeOf(va, level);
    this.memory.words[at] = Number(value & 0xffff_ffffn);
    this.memory.words[at + 1] = Number(value >> 32n);
    return this;
  }

  /** Frame of the table in which an address has its entry of a level. */
  tableOf(va: bigint, level: number): number {
    if (level === 0) return (va >> 55n) & 1n ? ROOTS[1] : this.lowerRoot;
    const frame = this.tables.get(this.idOf(va, level - 1));
    if (frame === undefined) throw new Error(`machine: no table of level ${level}`);
    return frame;
  }

  /** Physical byte address of an entry. */
  addressOf(va: bigint, level: Level): bigint {
    const index = (va >> BigInt(39 - 9 * level)) & 511n;
    return (BigInt(this.tableOf(va, level)) << 12n) + index * 8n;
  }

  private placeOf(va: bigint, level: Level): number {
    const address = this.addressOf(va, level);
    return this.memory.locate(Number(address >> 12n)) + Number((address & 0xfffn) >> 2n);
  }

  private idOf(va: bigint, level: number): string {
    return `${this.tableOfRoot(va)} ${level} ${va >> BigInt(39 - 9 * level)}`;
  }

  private tableOfRoot(va: bigint): number {
    return (va >> 55n) & 1n ? ROOTS[1] : this.lowerRoot;
  }
}

export type Kind = 'read' | 'write' | 'fetch';

/** What a fault or an absence is called: `0x07`, the status code of an abort, or what else it is. */
export function textOf(outcome: Exclude<Outcome, { kind: 'done' }>): string {
  if (outcome.kind === 'absent') return `absent 0x${outcome.address.toString(16)}`;
  if (outcome.exception === 'PC alignment fault') return 'PC';
  return `0x${(outcome.errorCode & 0x3f).toString(16).padStart(2, '0')}`;
}

/** Who makes an access: EL1 by default. */
export interface Who extends Aarch64AccessOptions {
  readonly el?: 0 | 1;
}

/** Accesses four bytes. A read or fetch that succeeds gives their value, which tells the frame; a write writes what was there. */
export function attempt(cpu: Aarch64Cpu, kind: Kind, va: bigint, { el = 1, ...options }: Who = {}): string {
  const before = cpu.el;
  cpu.el = el;
  const outcome = kind === 'write' ? cpu.write(va, 4, 0n, options) : cpu[kind](va, 4, options);
  cpu.el = before;
  return outcome.kind === 'done' ? `0x${outcome.value.toString(16)}` : textOf(outcome);
}

/** Operand of TLBI by address, and by ASID. */
export function operand(va: bigint, asid = 0, ttl = 0): bigint {
  return (BigInt(asid) << 48n) | (BigInt(ttl) << 44n) | ((va >> 12n) & ((1n << 44n) - 1n));
}
