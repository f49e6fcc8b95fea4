/**
 * A small machine for tests of the RISC-V processor: page tables made page by page, data pages whose words all hold their frame
 * number, and accesses whose results are short texts.
 */
import {
  type KnownRiscvControl,
  type Outcome,
  type RiscvAccessOptions,
  RiscvCpu,
  type RiscvCpuOptions,
  type RiscvPrivilege,
} from '../../src/cpu/index.ts';
import { ABSENT, PhysicalMemory } from '../../src/memory/index.ts';
import { RISCV_MODES, type RiscvMode, satpOf } from '../support/riscv-cases.ts';

// Bits of entries, by the manual's names.
export const V = 1n;
export const R = 2n;
export const W = 4n;
export const X = 8n;
export const U = 16n;
export const G = 32n;
export const A = 64n;
export const D = 128n;
export const N = 1n << 63n;
export const RW = V | R | W | A | D;
export const RWX = RW | X;

const FIRST = 0x100;
const FRAMES = 96;
/** Where the tables begin. */
export const ROOT = FIRST;

/** An entry for a frame. */
export function to(frame: number, bits: bigint): bigint {
  return (BigInt(frame) << 10n) | bits;
}

export class Machine {
  readonly mode: RiscvMode;
  readonly memory: PhysicalMemory;
  private readonly tables = new Map<string, number>();
  private next = FIRST + 1;
  private readonly others = new Map<number, number>();

  constructor(mode: RiscvMode = 'sv39') {
    this.mode = mode;
    const words = new Uint32Array((FRAMES + 32) * 1024);
    const { others } = this;
    this.memory = new PhysicalMemory(words, FIRST, FRAMES, {
      locate: (frame) => others.get(frame) ?? ABSENT,
    });
  }

  /** satp with this machine's root. */
  satp(asid = 0): bigint {
    return satpOf(this.mode, BigInt(ROOT), BigInt(asid));
  }

  /** A processor with this machine's root, in S-mode. A and D are set by hardware unless asked for otherwise. */
  boot(registers: KnownRiscvControl = {}, options: RiscvCpuOptions = {}): RiscvCpu {
    const xlen = this.mode === 'sv32' ? 32 : 64;
    return new RiscvCpu(this.memory, { xlen, satp: this.satp(), adue: true, ...registers }, options);
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

  /** Maps the page of an address at the manual's level, and makes the page and the tables above it. */
  map(va: bigint, frame: number, bits: bigint = RW, level = 0): this {
    const { levels } = RISCV_MODES[this.mode];
    for (let above = levels - 1; above > level; above -= 1) {
      const id = this.idOf(va, above);
      if (this.tables.has(id)) continue;
      const table = this.newFrame();
      this.tables.set(id, table);
      this.set(va, above, to(table, V));
    }
    this.page(frame);
    return this.set(va, level, to(frame, bits));
  }

  /** The entry that an address uses at a level. */
  get(va: bigint, level: number): bigint {
    const at = this.placeOf(va, level);
    const low = BigInt(this.memory.words[at]);
    return this.mode === 'sv32' ? low : low | (BigInt(this.memory.words[at + 1]) << 32n);
  }

  /** Changes the entry that an address uses at a level. */
  set(va: bigint, level: number, value: bigint): this {
    const at = this.placeOf(va, level);
    this.memory.words[at] = Number(value & 0xffff_ffffn);
    if (this.mode !== 'sv32') this.memory.words[at + 1] = Number(value >> 32n);
    return this;
  }

  /** Frame of the table in which an address has its entry of a level. */
  tableOf(va: bigint, level: number): number {
    if (level === RISCV_MODES[this.mode].levels - 1) return ROOT;
    const frame = this.tables.get(this.idOf(va, level + 1));
    if (frame === undefined) throw new Error(`machine: no table of level ${level}`);
    return frame;
  }

  /** Physical byte address of an entry. */
  addressOf(va: bigint, level: number): bigint {
    const { bits, bytes } = RISCV_MODES[this.mode];
    const index = (va >> BigInt(12 + level * bits)) & ((1n << BigInt(bits)) - 1n);
    return BigInt(this.tableOf(va, level)) * 4096n + index * BigInt(bytes);
  }

  private placeOf(va: bigint, level: number): number {
    const address = this.addressOf(va, level);
    return this.memory.locate(Number(address >> 12n)) + Number((address & 0xfffn) >> 2n);
  }

  private idOf(va: bigint, level: number): string {
    return `${level} ${va >> BigInt(12 + level * RISCV_MODES[this.mode].bits)}`;
  }
}

export type Kind = 'read' | 'write' | 'fetch';

/** What a fault or an absence is called: `13`, the cause of an exception, or what else it is. */
export function textOf(outcome: Exclude<Outcome, { kind: 'done' }>): string {
  return outcome.kind === 'absent' ? `absent 0x${outcome.address.toString(16)}` : `${outcome.errorCode}`;
}

/** Who makes an access: S-mode by default. */
export interface Who extends RiscvAccessOptions {
  readonly privilege?: RiscvPrivilege;
}

/** Accesses four bytes. A read or fetch that succeeds gives their value, which tells the frame; a write writes what was there. */
export function attempt(
  cpu: RiscvCpu,
  kind: Kind,
  va: bigint,
  { privilege = 'S', ...options }: Who = {},
): string {
  const before = cpu.privilege;
  cpu.privilege = privilege;
  const outcome = kind === 'write' ? cpu.write(va, 4, 0n, options) : cpu[kind](va, 4, options);
  cpu.privilege = before;
  return outcome.kind === 'done' ? `0x${outcome.value.toString(16)}` : textOf(outcome);
}

/** The six accesses of a page: what each privilege may, U first. */
export function rights(cpu: RiscvCpu, va: bigint): string {
  const letters = { read: 'r', write: 'w', fetch: 'x' } as const;
  return (['U', 'S'] as const)
    .map((privilege) =>
      (['read', 'write', 'fetch'] as const)
        .map((kind) => (attempt(cpu, kind, va, { privilege }).startsWith('0x') ? letters[kind] : '-'))
        .join(''),
    )
    .join(' ');
}
