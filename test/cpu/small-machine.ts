/**
 * A small machine for tests of the processor: page tables made page by page, data pages whose words all hold their frame
 * number, and accesses whose results are short texts.
 */
import {
  type AccessOptions,
  type Fault,
  type Outcome,
  X86Cpu,
  type X86CpuOptions,
} from '../../src/cpu/index.ts';
import { FETCH, READ, WRITE } from '../../src/format/index.ts';
import { ABSENT, PhysicalMemory } from '../../src/memory/index.ts';
import type { ReferenceMode } from '../support/reference-walker.ts';
import { controlsOf, type Switches } from '../support/x86-cases.ts';

// Bits of entries and of registers, by the manual's names.
export const P = 1n << 0n;
export const RW = 1n << 1n;
export const US = 1n << 2n;
export const A = 1n << 5n;
export const D = 1n << 6n;
export const PS = 1n << 7n;
export const G = 1n << 8n;
export const XD = 1n << 63n;
/** A user page that may be written. */
export const OPEN = P | RW | US;
export const CR0_PE = 1n << 0n;
export const CR0_WP = 1n << 16n;
export const CR0_NW = 1n << 29n;
export const CR0_CD = 1n << 30n;
export const CR0_PG = 1n << 31n;
export const CR4_PSE = 1n << 4n;
export const CR4_PAE = 1n << 5n;
export const CR4_PGE = 1n << 7n;
export const CR4_LA57 = 1n << 12n;
export const CR4_PCIDE = 1n << 17n;
export const CR4_SMEP = 1n << 20n;
export const CR4_SMAP = 1n << 21n;
export const CR4_PKE = 1n << 22n;
export const CR4_CET = 1n << 23n;
export const CR4_PKS = 1n << 24n;
export const EFER_LME = 1n << 8n;
export const EFER_LMA = 1n << 10n;
export const EFER_NXE = 1n << 11n;
/** Bit 63 of the source of MOV to CR3: do not invalidate. */
export const NO_FLUSH = 1n << 63n;

/** Protection key 0 to 15 of a leaf. */
export function key(number: number): bigint {
  return BigInt(number) << 59n;
}

/** An entry. */
export function to(frame: number, flags: bigint): bigint {
  return (BigInt(frame) << 12n) | flags;
}

export type LevelName = 'PML5E' | 'PML4E' | 'PDPTE' | 'PDE' | 'PTE';

interface Level {
  readonly name: LevelName;
  readonly shift: bigint;
  readonly mask: bigint;
}

const PML4: readonly Level[] = [
  { name: 'PML4E', shift: 39n, mask: 511n },
  { name: 'PDPTE', shift: 30n, mask: 511n },
  { name: 'PDE', shift: 21n, mask: 511n },
  { name: 'PTE', shift: 12n, mask: 511n },
];

const LEVELS: Record<ReferenceMode, readonly Level[]> = {
  '32-bit': [
    { name: 'PDE', shift: 22n, mask: 1023n },
    { name: 'PTE', shift: 12n, mask: 1023n },
  ],
  PAE: [
    { name: 'PDPTE', shift: 30n, mask: 3n },
    { name: 'PDE', shift: 21n, mask: 511n },
    { name: 'PTE', shift: 12n, mask: 511n },
  ],
  '4-level': PML4,
  '5-level': [{ name: 'PML5E', shift: 48n, mask: 511n }, ...PML4],
};

/** Names of the levels of a mode, root first. */
export function levelNames(mode: ReferenceMode): readonly LevelName[] {
  return LEVELS[mode].map(({ name }) => name);
}

/** How a page is mapped; all have defaults. */
export interface Mapping {
  /** The entry that maps it: `PTE` by default. */
  readonly at?: LevelName;
  /** Flags of the entries above; `OPEN` by default. */
  readonly tables?: bigint;
}

/** Frames that lie one after the other, as processors like them best: the tables. Others are looked up. */
const FIRST_TABLE = 0x100;
const TABLES = 48;
const OTHERS = 16;

/** Memory with page tables, for one processor. */
export class SmallMachine {
  readonly mode: ReferenceMode;
  readonly memory: PhysicalMemory;
  /** Words of the frames that are no tables. */
  private readonly others = new Map<number, number>();
  /** Frame of the table that an entry leads to, by root, depth and address. */
  private readonly tables = new Map<string, number>();
  private nextTable = FIRST_TABLE + 1;
  /** The root in which {@link map}, {@link get} and {@link set} work. */
  root = FIRST_TABLE;

  constructor(mode: ReferenceMode) {
    this.mode = mode;
    const { others } = this;
    const words = new Uint32Array((TABLES + OTHERS) * 1024);
    this.memory = new PhysicalMemory(words, FIRST_TABLE, TABLES, {
      locate: (frame) => others.get(frame) ?? ABSENT,
    });
  }

  get cr3(): bigint {
    return BigInt(this.root) << 12n;
  }

  /** Makes a frame of which every word is the frame's number. */
  page(frame: number): this {
    const at = this.add(frame);
    this.memory.words.fill(frame, at, at + 1024);
    return this;
  }

  /** Makes a frame of zeros. */
  table(frame: number): this {
    this.add(frame);
    return this;
  }

  /** Maps the page of an address, and makes the page and the tables above it. */
  map(va: bigint, frame: number, flags = OPEN, { at = 'PTE', tables = OPEN }: Mapping = {}): this {
    const names = levelNames(this.mode);
    for (const name of names.slice(0, names.indexOf(at))) {
      const id = this.idOf(va, name);
      if (this.tables.has(id)) continue;
      const table = this.nextTable;
      this.nextTable += 1;
      this.tables.set(id, table);
      const isRegister = this.mode === 'PAE' && name === 'PDPTE';
      this.set(va, name, to(table, isRegister ? P : tables));
    }
    this.page(frame);
    return this.set(va, at, to(frame, at === 'PTE' ? flags : flags | PS));
  }

  /** The entry that an address uses at a level. */
  get(va: bigint, name: LevelName): bigint {
    const at = this.placeOf(va, name);
    const low = BigInt(this.memory.words[at]);
    return this.mode === '32-bit' ? low : low | (BigInt(this.memory.words[at + 1]) << 32n);
  }

  /** Changes the entry that an address uses at a level. */
  set(va: bigint, name: LevelName, value: bigint): this {
    const at = this.placeOf(va, name);
    this.memory.words[at] = Number(value & 0xffff_ffffn);
    if (this.mode !== '32-bit') this.memory.words[at + 1] = Number(value >> 32n);
    return this;
  }

  /** Frame of the table in which an address has its entry of a level. */
  tableOf(va: bigint, name: LevelName): number {
    const names = levelNames(this.mode);
    const depth = names.indexOf(name);
    return depth === 0 ? this.root : (this.tables.get(this.idOf(va, names[depth - 1])) ?? -1);
  }

  /** A, and D where there is one, of the entries that an address uses, root first, as letters. */
  marks(va: bigint, to: LevelName = 'PTE'): string {
    const names = levelNames(this.mode);
    return names
      .slice(0, names.indexOf(to) + 1)
      .map((name) => {
        const value = this.get(va, name);
        return `${value & A ? 'A' : '-'}${value & D ? 'D' : ''}`;
      })
      .join(' ');
  }

  /** A processor for this machine. Bits of `cr4` are set besides those of the switches. */
  boot(
    switches: Partial<Switches> & { readonly cr4?: bigint } = {},
    options: X86CpuOptions = { caching: 'all' },
  ): X86Cpu {
    const { cr4 = 0n, ...rest } = switches;
    const { ours } = controlsOf({ cr3: this.cr3, ...rest, mode: this.mode });
    return new X86Cpu(this.memory, { ...ours, cr4: ours.cr4 | cr4 }, options);
  }

  private add(frame: number): number {
    const known = this.memory.locate(frame);
    if (known !== ABSENT) return known;
    if (this.others.size === OTHERS) throw new Error('small machine: too many frames');
    const at = (TABLES + this.others.size) * 1024;
    this.others.set(frame, at);
    return at;
  }

  private placeOf(va: bigint, name: LevelName): number {
    const level = LEVELS[this.mode].find((it) => it.name === name);
    const base = this.memory.locate(this.tableOf(va, name));
    if (level === undefined || base < 0) throw new Error(`small machine: no ${name} for ${va.toString(16)}`);
    const index = Number((va >> level.shift) & level.mask);
    return base + index * (this.mode === '32-bit' ? 1 : 2);
  }

  private idOf(va: bigint, name: LevelName): string {
    const level = LEVELS[this.mode].find((it) => it.name === name);
    return `${this.root} ${name} ${va >> (level?.shift ?? 0n)}`;
  }
}

export type Kind = 'read' | 'write' | 'fetch';

/** Who makes an access: a supervisor by default. */
export interface Who extends AccessOptions {
  readonly user?: boolean;
}

/** What a fault or an absence is called: `#PF 0x7`, `#GP`, `absent 0x5000`. */
export function textOf(outcome: Exclude<Outcome, { kind: 'done' }>): string {
  if (outcome.kind === 'absent') return `absent 0x${outcome.address.toString(16)}`;
  return outcome.exception === '#PF' ? `#PF 0x${outcome.errorCode.toString(16)}` : outcome.exception;
}

/** Accesses four bytes. A read or fetch that succeeds gives their value, which tells the frame; a write writes 0. */
export function attempt(cpu: X86Cpu, kind: Kind, va: bigint, { user = false, ...options }: Who = {}): string {
  const before = cpu.cpl;
  cpu.cpl = user ? 3 : 0;
  const outcome = kind === 'write' ? cpu.write(va, 4, 0n, options) : cpu[kind](va, 4, options);
  cpu.cpl = before;
  return outcome.kind === 'done' ? `0x${outcome.value.toString(16)}` : textOf(outcome);
}

/** Translates for an access, and leaves the page as it is: the frame, or why not. */
export function frameOf(cpu: X86Cpu, va: bigint, kind: Kind = 'read', user = false): string {
  const before = cpu.cpl;
  cpu.cpl = user ? 3 : 0;
  const [high, low] = [Number(BigInt.asIntN(32, va >> 32n)), Number(BigInt.asIntN(32, va))];
  const frame = cpu.translate(high, low, { read: READ, write: WRITE, fetch: FETCH }[kind]);
  cpu.cpl = before;
  return frame >= 0 ? `0x${frame.toString(16)}` : textOf(cpu.failure());
}

/** The name of an instruction's fault; `done` if there is none. */
export function faultOf(fault: Fault | undefined): string {
  return fault === undefined ? 'done' : `${fault.exception}(${fault.errorCode})`;
}
