import { hex, highHalf, joinHalves, lowHalf } from '../bits/index.ts';
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
  USER_SUPERVISOR,
  WRITE_THROUGH,
} from '../format/x86/fields.ts';
import { Word } from './word.ts';

/**
 * Flags of an entry: every bit that does not belong to the address, 11:0 and 63:52. Immutable: `insert` and its like
 * return the changed set.
 *
 * A set can hold bits that have no name (`fromBitsRetain`); they are kept, and written to entries as they are.
 */
export class PageTableFlags extends Word {
  /** The entry is in use: the page is mapped, or the table is there. */
  static readonly PRESENT: PageTableFlags = PageTableFlags.bit(PRESENT.low);
  /** Writes are allowed, if every level allows them. */
  static readonly WRITABLE: PageTableFlags = PageTableFlags.bit(READ_WRITE.low);
  /** User-mode accesses are allowed, if every level allows them. */
  static readonly USER_ACCESSIBLE: PageTableFlags = PageTableFlags.bit(USER_SUPERVISOR.low);
  /** Part of the memory type (PWT). */
  static readonly WRITE_THROUGH: PageTableFlags = PageTableFlags.bit(WRITE_THROUGH.low);
  /** Part of the memory type (PCD). */
  static readonly NO_CACHE: PageTableFlags = PageTableFlags.bit(CACHE_DISABLE.low);
  /** Set by the processor when the entry is used. */
  static readonly ACCESSED: PageTableFlags = PageTableFlags.bit(ACCESSED.low);
  /** Set by the processor when the page is written to. */
  static readonly DIRTY: PageTableFlags = PageTableFlags.bit(DIRTY.low);
  /** The entry maps a page of 2 MiB or 1 GiB; in a level-1 entry the same bit is PAT. */
  static readonly HUGE_PAGE: PageTableFlags = PageTableFlags.bit(PAGE_SIZE.low);
  /** The translation survives a switch of address spaces. */
  static readonly GLOBAL: PageTableFlags = PageTableFlags.bit(GLOBAL.low);
  /** Bit 9, free for software. */
  static readonly BIT_9: PageTableFlags = PageTableFlags.bit(9);
  /** Bit 10, free for software. */
  static readonly BIT_10: PageTableFlags = PageTableFlags.bit(10);
  /** Bit 11, free for software. */
  static readonly BIT_11: PageTableFlags = PageTableFlags.bit(11);
  /** Bit 52, free for software. */
  static readonly BIT_52: PageTableFlags = PageTableFlags.bit(52);
  /** Bit 53, free for software. */
  static readonly BIT_53: PageTableFlags = PageTableFlags.bit(53);
  /** Bit 54, free for software. */
  static readonly BIT_54: PageTableFlags = PageTableFlags.bit(54);
  /** Bit 55, free for software. */
  static readonly BIT_55: PageTableFlags = PageTableFlags.bit(55);
  /** Bit 56, free for software. */
  static readonly BIT_56: PageTableFlags = PageTableFlags.bit(56);
  /** Bit 57, free for software. */
  static readonly BIT_57: PageTableFlags = PageTableFlags.bit(57);
  /** Bit 58, free for software. */
  static readonly BIT_58: PageTableFlags = PageTableFlags.bit(58);
  /** Bit 59, free for software, unless protection keys are on. */
  static readonly BIT_59: PageTableFlags = PageTableFlags.bit(59);
  /** Bit 60, free for software, unless protection keys are on. */
  static readonly BIT_60: PageTableFlags = PageTableFlags.bit(60);
  /** Bit 61, free for software, unless protection keys are on. */
  static readonly BIT_61: PageTableFlags = PageTableFlags.bit(61);
  /** Bit 62, free for software, unless protection keys are on. */
  static readonly BIT_62: PageTableFlags = PageTableFlags.bit(62);
  /** Fetches are forbidden, if EFER.NXE is set. */
  static readonly NO_EXECUTE: PageTableFlags = PageTableFlags.bit(EXECUTE_DISABLE.low);

  readonly high: number;
  readonly low: number;

  private constructor(high: number, low: number) {
    super();
    this.high = high;
    this.low = low;
  }

  /** The set of one bit. */
  private static bit(at: Bound): PageTableFlags {
    return PageTableFlags.fromBitsRetain(1n << BigInt(Number(at)));
  }

  /** No flag. */
  static empty(): PageTableFlags {
    return new PageTableFlags(0, 0);
  }

  /** Every flag that has a name. */
  static all(): PageTableFlags {
    return PageTableFlags.empty().complement();
  }

  /** Flags by their bits; `undefined` if one of these has no name. */
  static fromBits(bits: bigint): PageTableFlags | undefined {
    const flags = PageTableFlags.fromBitsRetain(bits);
    return flags.bits() === bits && PageTableFlags.all().contains(flags) ? flags : undefined;
  }

  /** Flags by their bits; bits without a name are dropped. */
  static fromBitsTruncate(bits: bigint): PageTableFlags {
    return PageTableFlags.fromBitsRetain(bits).intersection(PageTableFlags.all());
  }

  /** Flags by their bits, those without a name as well; 64 bits. */
  static fromBitsRetain(bits: bigint): PageTableFlags {
    return new PageTableFlags(highHalf(bits), lowHalf(bits));
  }

  /** The flag of a name, such as `PRESENT`. */
  static fromName(name: string): PageTableFlags | undefined {
    return NAMES.find(([each]) => each === name)?.[1];
  }

  /** @internal Two halves of an entry, or of a set. */
  static fromHalves(high: number, low: number): PageTableFlags {
    return new PageTableFlags(high, low);
  }

  /** The bits. */
  bits(): bigint {
    return joinHalves(this.low, this.high);
  }

  /** Whether no bit is set. */
  isEmpty(): boolean {
    return (this.high | this.low) === 0;
  }

  /** Whether every flag that has a name is set. */
  isAll(): boolean {
    return this.contains(PageTableFlags.all());
  }

  /** Whether all of the other flags are set; true if there are none. */
  contains(other: PageTableFlags): boolean {
    return (this.high & other.high) === other.high && (this.low & other.low) === other.low;
  }

  /** Whether any of the other flags is set. */
  intersects(other: PageTableFlags): boolean {
    return ((this.high & other.high) | (this.low & other.low)) !== 0;
  }

  /** These flags and all of the others: `|` of the original. */
  union(...others: readonly PageTableFlags[]): PageTableFlags {
    let { high, low }: Word = this;
    for (const other of others) {
      high |= other.high;
      low |= other.low;
    }
    return new PageTableFlags(high, low);
  }

  /** The flags in both: `&` of the original. */
  intersection(other: PageTableFlags): PageTableFlags {
    return new PageTableFlags(this.high & other.high, this.low & other.low);
  }

  /** These flags without the others: `-` of the original. */
  difference(other: PageTableFlags): PageTableFlags {
    return new PageTableFlags(this.high & ~other.high, this.low & ~other.low);
  }

  /** The flags in one of the two: `^` of the original. */
  symmetricDifference(other: PageTableFlags): PageTableFlags {
    return new PageTableFlags(this.high ^ other.high, this.low ^ other.low);
  }

  /** Every flag that has a name and is not in here: `!` of the original. */
  complement(): PageTableFlags {
    return new PageTableFlags(~this.high & ALL.high, ~this.low & ALL.low);
  }

  /** With the other flags; this set stays as it is. */
  insert(other: PageTableFlags): PageTableFlags {
    return this.union(other);
  }

  /** Without the other flags; this set stays as it is. */
  remove(other: PageTableFlags): PageTableFlags {
    return this.difference(other);
  }

  /** With each of the other flags turned over; this set stays as it is. */
  toggle(other: PageTableFlags): PageTableFlags {
    return this.symmetricDifference(other);
  }

  /** With or without the other flags; this set stays as it is. */
  set(other: PageTableFlags, value: boolean): PageTableFlags {
    return value ? this.union(other) : this.difference(other);
  }

  /** Each flag, lowest bit first; bits without a name last, in one set. */
  *iter(): IterableIterator<PageTableFlags> {
    for (const [, flag] of this.iterNames()) yield flag;
    const rest = this.difference(PageTableFlags.all());
    if (!rest.isEmpty()) yield rest;
  }

  /** As {@link iter}. */
  [Symbol.iterator](): IterableIterator<PageTableFlags> {
    return this.iter();
  }

  /** Each flag that has a name, with it, lowest bit first. */
  *iterNames(): IterableIterator<[string, PageTableFlags]> {
    for (const [name, flag] of NAMES) if (this.contains(flag)) yield [name, flag];
  }

  /** The original's debug text: `PageTableFlags(PRESENT | WRITABLE)`. */
  override toString(): string {
    const names = Array.from(this.iterNames(), ([name]) => name);
    const rest = this.difference(PageTableFlags.all());
    if (!rest.isEmpty() || names.length === 0) names.push(hex(rest.bits()));
    return `PageTableFlags(${names.join(' | ')})`;
  }
}

/** Every flag with its name, lowest bit first. */
const NAMES: readonly [string, PageTableFlags][] = Object.entries(PageTableFlags)
  .filter((each): each is [string, PageTableFlags] => each[1] instanceof PageTableFlags)
  .sort(([, a], [, b]) => a.compare(b));

const ALL = NAMES.reduce((all, [, flag]) => all.union(flag), PageTableFlags.fromHalves(0, 0));
