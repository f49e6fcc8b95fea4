import { addressOf, hex, highHalf, joinHalves, lowHalf } from '../bits/index.ts';
import { INSPECT } from '../bits/inspect.ts';
import { ProcessorFault } from '../cpu/index.ts';
import type { Bound } from '../format/index.ts';
import {
  ACCESSED,
  CACHE_DISABLE,
  DIRTY,
  EXECUTE_DISABLE,
  GLOBAL,
  PAGE_SIZE,
  PRESENT,
  READ_WRITE,
  WRITE_THROUGH,
} from '../format/x86/fields.ts';
import type { TableMemory } from '../memory/table-memory.ts';
import { PAddr, type VAddr } from './addr.ts';
import type { PageFlags } from './handle.ts';
import type { Page } from './page.ts';
import { expectActive, invalidate, type Processor } from './processor.ts';

/** Names of the tables, by level; level 0 has none. */
export const TABLE_NAMES = ['page', 'PT', 'PD', 'PDPT', 'PML4'] as const;

const bit = ({ low }: { readonly low: Bound }): bigint => 1n << BigInt(low as number);

const P = bit(PRESENT);
const W = bit(READ_WRITE);
const HUGE = bit(PAGE_SIZE);
const NOEXEC = bit(EXECUTE_DISABLE);
/** Bits 51:12, at every level. */
const ADDRESS = 0x000f_ffff_ffff_f000n;

/** The flags that the debug text shows, in its order. */
const SHOWN: readonly (readonly [string, bigint])[] = [
  ['PRESENT', P],
  ['WRITABLE', W],
  ['WRITE_THROUGH', bit(WRITE_THROUGH)],
  ['CACHE_DISABLE', bit(CACHE_DISABLE)],
  ['ACCESSED', bit(ACCESSED)],
  ['DIRTY', bit(DIRTY)],
  ['HUGE', HUGE],
  ['GLOBAL', bit(GLOBAL)],
];

/**
 * An entry of a table, in place: it shows what is there when asked, and a setter changes one bit of it. While CR3 names another PML4 than
 * when it was made, it throws a `PageTableError` `NOT_ACTIVE`.
 */
export class Entry implements PageFlags {
  /** Level of its table, 4 (PML4) to 1 (PT). */
  readonly level: number;
  private readonly memory: TableMemory;
  private readonly page: number;
  private readonly index: number;
  private readonly processor: Processor;
  private readonly root: bigint;

  /** @internal */
  constructor(
    memory: TableMemory,
    page: number,
    index: number,
    level: number,
    processor: Processor,
    root: bigint,
  ) {
    this.memory = memory;
    this.page = page;
    this.index = index;
    this.level = level;
    this.processor = processor;
    this.root = root;
  }

  /** All 64 bits. */
  bits(): bigint {
    return this.access(() => joinHalves(this.memory.readEntry(this.page, this.index), this.memory.high));
  }

  /** Bits 51:12, as an address. */
  physAddr(): PAddr {
    return PAddr.fromUsize(this.bits() & ADDRESS);
  }

  /** Bit 7: the entry maps a page of 2 MiB or 1 GiB; in a PT it is PAT. */
  isHuge(): boolean {
    return this.has(HUGE);
  }

  isPresent(): boolean {
    return this.has(P);
  }

  isWritable(): boolean {
    return this.has(W);
  }

  isExecutable(): boolean {
    return !this.has(NOEXEC);
  }

  setPresent(present: boolean): void {
    this.set(P, present);
  }

  setWritable(writable: boolean): void {
    this.set(W, writable);
  }

  setExecutable(executable: boolean): void {
    this.set(NOEXEC, !executable);
  }

  /** INVLPG. */
  commit(page: Page<VAddr>): void {
    invalidate(this.processor, page.baseAddr().asUsize());
  }

  /** @internal Replaces all 64 bits. */
  store(bits: bigint): void {
    this.access(() => this.memory.writeEntry(this.page, this.index, lowHalf(bits), highHalf(bits)));
  }

  private has(mask: bigint): boolean {
    return (this.bits() & mask) !== 0n;
  }

  private set(mask: bigint, value: boolean): void {
    const bits = this.bits();
    this.store(value ? bits | mask : bits & ~mask);
  }

  /** Reads or writes; a fault says which entry it was. Under another root, another table would be there. */
  private access<T>(call: () => T): T {
    const { processor, root } = this;
    if (processor.cr3 !== root) expectActive(this.where(), processor, root);
    try {
      return call();
    } catch (error) {
      if (!(error instanceof ProcessorFault)) throw error;
      throw new ProcessorFault(error.fault, `${this.where()}: `, { cause: error });
    }
  }

  private where(): string {
    return `entry ${this.index} of the ${TABLE_NAMES[this.level]} seen at ${hex(addressOf(this.page))}`;
  }

  /** The original's debug text. */
  toString(): string {
    const bits = this.bits();
    const flags = SHOWN.filter(([, mask]) => (bits & mask) !== 0n).map(([name]) => name);
    return `Entry { level: ${TABLE_NAMES[this.level]}, addr: ${this.physAddr()}, flags: ${flags.join(' | ')} }`;
  }

  /** @internal */
  [INSPECT](): string {
    return this.toString();
  }
}

/**
 * What an entry holds once it leads to a table or maps a page: the address and some bits are set, all others stay.
 *
 * @param kind - a table is writable; a page is read-only unless a bit from before says otherwise
 */
export function linked(bits: bigint, to: PAddr, kind: 'table' | 'page' | 'huge page'): bigint {
  const set = kind === 'table' ? P | W : kind === 'page' ? P : P | HUGE;
  return (bits & ~ADDRESS) | to.asUsize() | set;
}
