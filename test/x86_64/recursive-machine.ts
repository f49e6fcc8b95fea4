/**
 * Guest memory with a recursive mapper over it, which reaches its tables through a processor only. The rest is as in
 * machine.ts.
 */
import { ProcessorFault, X86Cpu, type X86CpuOptions } from '../../src/cpu/index.ts';
import type { KnownX86Control } from '../../src/format/index.ts';
import type { PhysicalMemory } from '../../src/memory/index.ts';
import {
  type MapperOptions,
  PageTable,
  PageTableIndex,
  RecursivePageTable,
  type TableMemory,
} from '../../src/x86_64/index.ts';
import { hex } from './calls.ts';
import { Machine, type MachineOptions, ROOT } from './machine.ts';

/** Index of the level-4 entry that points back, as in section 17 of the notes. */
export const SLOT = 200;
/** CR0.PG. */
export const PG = 1n << 31n;
/** CR0.WP. */
export const WP = 1n << 16n;
/** CR4.PAE and CR4.PGE. */
export const PAE_PGE = (1n << 5n) | (1n << 7n);
/** CR4.PCIDE. */
export const PCIDE = 1n << 17n;

/** Every access walks afresh and marks nothing, and supervisor writes are never refused: what section 17 assumes. */
export const PLAIN: X86CpuOptions = { caching: 'none', accessedDirty: false };

/** The address with these indices, from level 4 to level 1, with bits 63:48 like bit 47. */
export function addressAt(i4: number, i3: number, i2: number, i1: number): bigint {
  const bits = [i4, i3, i2, i1].reduce((sum, index) => (sum << 9n) | BigInt(index), 0n) << 12n;
  return BigInt.asUintN(64, BigInt.asIntN(48, bits));
}

/** Index of an address at a level. */
function indexOf(address: bigint, level: number): number {
  // Nine bits.
  return Number((address >> BigInt(12 + 9 * (level - 1))) & 511n);
}

/** Where the table of a level on the way to an address appears (section 8.2). */
export function windowOf(slot: number, address: bigint, level: 4 | 3 | 2 | 1): bigint {
  const [i4, i3, i2] = [4, 3, 2].map((each) => indexOf(address, each));
  switch (level) {
    case 4:
      return addressAt(slot, slot, slot, slot);
    case 3:
      return addressAt(slot, slot, slot, i4);
    case 2:
      return addressAt(slot, slot, i4, i3);
    case 1:
      return addressAt(slot, i4, i3, i2);
  }
}

/** Where the entry of a level on the way to an address appears. */
export function entryWindow(slot: number, address: bigint, level: 4 | 3 | 2 | 1): bigint {
  return windowOf(slot, address, level) + 8n * BigInt(indexOf(address, level));
}

/** How a recursive machine differs from that of section 17. */
export interface RecursiveOptions extends MachineOptions {
  readonly slot?: number;
  /** What the entry pointing back holds: by default the root with P and W. */
  readonly entry?: bigint;
  readonly registers?: KnownX86Control;
  readonly policy?: X86CpuOptions;
  /** Whether the index is not checked. */
  readonly unchecked?: boolean;
  /** Stands between mapper and processor; the index is then not checked. */
  readonly through?: (cpu: X86Cpu) => TableMemory;
  readonly mapperOptions?: MapperOptions;
}

/** A machine, its processor and its mapper. */
export interface RecursiveMachine {
  readonly machine: Machine;
  readonly cpu: X86Cpu;
  readonly mapper: RecursivePageTable;
}

/** A new machine whose memory holds nothing but the entry pointing back. */
export function recursiveMachine(options: RecursiveOptions = {}): RecursiveMachine {
  const { slot = SLOT, entry = ROOT | 3n, registers = {}, policy = PLAIN, through } = options;
  const made: { cpu?: X86Cpu; mapper?: RecursivePageTable } = {};
  const makeMapper = (memory: PhysicalMemory) => {
    // Less than 2^32.
    memory.writeEntry(Number(ROOT >> 12n), slot, Number(entry & 0xffff_ffffn), Number(entry >> 32n));
    const cpu = new X86Cpu(memory, { cr0: PG, cr3: ROOT, physBits: 52, ...registers }, policy);
    const table = PageTable.at(through?.(cpu) ?? cpu, addressAt(slot, slot, slot, slot));
    const mapper =
      options.unchecked || through !== undefined
        ? RecursivePageTable.newUnchecked(table, new PageTableIndex(slot), options.mapperOptions)
        : new RecursivePageTable(table, options.mapperOptions);
    made.cpu = cpu;
    made.mapper = mapper;
    return mapper;
  };
  const same = (address: bigint) => address;
  const machine = new Machine(
    { name: 'RecursivePageTable', bufferBytes: 2 ** 22, place: same, physical: same, makeMapper },
    options,
  );
  machine.poke(ROOT + 8n * BigInt(slot), entry);
  const { cpu, mapper } = made;
  if (cpu === undefined || mapper === undefined) throw new Error('no mapper was made');
  return { machine, cpu, mapper };
}

/** What {@link said} says of a page fault at an address. */
export const faultIn = (address: bigint): string => `fault ${hex(address & ~0xfffn)}`;

/** What a call on a mapper says; for a page fault the page in which it was, as in the recorded sequences. */
export function said(machine: Machine, call: (calls: Machine['calls']) => string): string {
  const text = call(machine.calls);
  const { error } = machine.calls;
  return error instanceof ProcessorFault ? faultIn(error.fault.cr2 ?? -1n) : text;
}
