import type { Origin } from './origin.ts';
import * as cache from './translation-cache.ts';

// This module's own constants, which V8 compiles in; what is imported it reads from a cell at each use.
const { NONE, TranslationCache } = cache;

/** What of a processor's registers decides how it finds what it remembers. */
export interface Tagging {
  /** Address space that is current: a PCID or an ASID. */
  readonly space: number;
  /** `log2` of the 4-KiB pages in each size of page that there may be. */
  readonly pageOrders: readonly number[];
  /** `log2` of the 4-KiB pages that entries which lead to tables span, small ones first. */
  readonly tableOrders: readonly number[];
}

/** The TLB and the caches of entries that lead to tables: what is remembered under the current registers, and how it is found. */
export class Lookaside {
  /** The TLB. */
  readonly pages: cache.TranslationCache<Origin>;
  /** The caches of entries that lead to tables. */
  readonly tables: cache.TranslationCache<Origin>;
  private readonly state: Tagging;
  /** The space of global translations; those below it are numbered by PCID or ASID. */
  private readonly global: number;
  /** Whether there may be global translations. */
  private globals = false;
  /** Whether there may be tables that are reached in every space. */
  private globalTables = false;

  /**
   * @param state - the registers
   * @param spaces - how many spaces there are, without that of global translations, which has this number
   * @param limit - entries of each kind that it may hold
   */
  constructor(state: Tagging, spaces: number, limit: number) {
    this.state = state;
    this.global = spaces;
    this.pages = new TranslationCache(spaces + 1, limit);
    this.tables = new TranslationCache(spaces + 1, limit);
  }

  /** The translation of an address: of the current space, or a global one. */
  findPage(high: number, low: number): number {
    const { pages } = this;
    const { pageOrders, space } = this.state;
    for (let i = 0; i < pageOrders.length; i += 1) {
      const order = pageOrders[i];
      if (pages.has(order)) {
        const at = pages.find(order, space, high, low);
        if (at !== NONE) return at;
        if (this.globals) {
          const global = pages.find(order, this.global, high, low);
          if (global !== NONE) return global;
        }
      }
    }
    return NONE;
  }

  /** The lowest table that is remembered on the way to an address. */
  findTable(high: number, low: number): number {
    const { tables } = this;
    const { tableOrders, space } = this.state;
    for (let i = 0; i < tableOrders.length; i += 1) {
      const order = tableOrders[i];
      if (tables.has(order)) {
        const at = tables.find(order, space, high, low);
        if (at !== NONE) return at;
        if (this.globalTables) {
          const global = tables.find(order, this.global, high, low);
          if (global !== NONE) return global;
        }
      }
    }
    return NONE;
  }

  /**
   * Remembers a table.
   *
   * @param order - of the entry that leads to it
   * @param frame - of the table
   * @param bits - what the entries that lead to it say of rights
   * @param isGlobal - whether they say that everything below is global
   */
  addTable(
    order: number,
    high: number,
    low: number,
    frame: number,
    bits: number,
    isGlobal: boolean = false,
  ): number {
    if (isGlobal) this.globalTables = true;
    return this.tables.insert(order, isGlobal ? this.global : this.state.space, high, low, frame, bits);
  }

  /** Remembers a translation. */
  addPage(high: number, low: number, order: number, isGlobal: boolean, frame: number, bits: number): number {
    if (isGlobal) this.globals = true;
    return this.pages.insert(order, isGlobal ? this.global : this.state.space, high, low, frame, bits);
  }

  /**
   * Forgets the translations of an address in one space.
   *
   * @returns whether one of them was a large page
   */
  dropPage(high: number, low: number, space: number): boolean {
    const { pages } = this;
    const { pageOrders } = this.state;
    let isLarge = false;
    for (let i = 0; i < pageOrders.length; i += 1) {
      const order = pageOrders[i];
      const at = pages.has(order) ? pages.find(order, space, high, low) : NONE;
      if (at === NONE) continue;
      pages.drop(at);
      if (order > 0) isLarge = true;
    }
    return isLarge;
  }

  /** Forgets the tables of a space on the way to an address. */
  dropTables(high: number, low: number, space: number): void {
    const { tables } = this;
    const { tableOrders } = this.state;
    for (const order of tableOrders) {
      const at = tables.has(order) ? tables.find(order, space, high, low) : NONE;
      if (at !== NONE) tables.drop(at);
    }
  }

  /** Forgets everything of a space. */
  dropSpace(space: number): void {
    this.pages.dropSpace(space);
    this.tables.dropSpace(space);
  }

  /** Forgets everything of all spaces, save what is global. */
  dropSpaces(): void {
    this.pages.dropSpaces(this.global);
    this.tables.dropSpaces(this.global);
  }

  /** Forgets all that is global. */
  dropGlobals(): void {
    this.pages.dropSpace(this.global);
    if (this.globalTables) this.tables.dropSpace(this.global);
    this.globals = false;
    this.globalTables = false;
  }
}
