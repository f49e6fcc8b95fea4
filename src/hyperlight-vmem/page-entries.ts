import { highHalf, lowHalf } from '../bits/index.ts';
import type { Architecture } from './architecture.ts';
import type { MappingKind } from './mapping.ts';

const PAGE_BYTES = 4096;
const PAGE_SHIFT = 12;
const PAGES_PER_HIGH = 2 ** 20;

/**
 * The entries of consecutive pages, by halves: a physical address that goes on page by page, joined with bits that stay. Bits of the address
 * that no address should have are stored as they come, as in the original.
 */
export class PageEntries {
  /** The address of the next page, by halves. */
  low = 0;
  high = 0;
  /** What is joined with it. */
  readonly flagsLow: number;
  readonly flagsHigh: number;
  /** Bytes from a page to the next: 4096, or 0 for entries that are all 0. */
  readonly step: number;
  /** Bytes from the first page to the second: less where the first address lies inside its page. */
  private firstStep: number;

  /**
   * @param architecture - whose entries
   * @param kind - of all pages
   * @param physBase - physical byte address of the first
   * @param offset - of the first virtual address in its page, bytes
   */
  constructor(architecture: Architecture, kind: MappingKind, physBase: bigint, offset: number) {
    if (kind.kind === 'Unmapped') {
      this.flagsLow = 0;
      this.flagsHigh = 0;
      this.step = 0;
      this.firstStep = 0;
      return;
    }
    const { facts } = architecture;
    const isCow = kind.kind === 'Cow';
    const isWritable = kind.kind === 'Basic' && kind.writable;
    this.low = lowHalf(physBase);
    this.high = highHalf(physBase);
    this.flagsLow = facts.page | (isWritable ? facts.writable : facts.readOnly) | (isCow ? facts.cowLow : 0);
    this.flagsHigh = (kind.executable ? facts.executable : facts.noExecute) | (isCow ? facts.cowHigh : 0);
    this.step = PAGE_BYTES;
    this.firstStep = PAGE_BYTES - offset;
  }

  /** Whether the next page is the first of all, and its address lies inside it. */
  get isInside(): boolean {
    return this.firstStep !== this.step;
  }

  /** How many of the next pages, from 1 to `limit`, have entries that differ in bits 31:12 only. */
  runLength(limit: number): number {
    return this.step === 0 ? limit : Math.min(limit, PAGES_PER_HIGH - (this.low >>> PAGE_SHIFT));
  }

  /** Goes on by some pages, 1 to 512. */
  advance(pages = 1): void {
    const sum = (this.low >>> 0) + this.firstStep + (pages - 1) * this.step;
    this.low = sum | 0;
    if (sum > 0xffff_ffff) this.high = (this.high + 1) | 0;
    this.firstStep = this.step;
  }
}
