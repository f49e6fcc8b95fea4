import { NONE, TranslationCache } from '../translation-cache.ts';
import type { ControlState } from './control-state.ts';
import type { Origin } from './origin.ts';
import * as remembered from './remembered.ts';

// This module's own constants, which V8 compiles in; what is imported it reads from a cell at each use.
const { PCIDS, GLOBAL, TABLE_AND, TABLE_OR } = remembered;

/** The TLB and the paging-structure caches: what is remembered under the current registers, and how it is found. */
export class Lookaside {
  /** The TLB. */
  readonly pages: TranslationCache<Origin>;
  /** The paging-structure caches. */
  readonly tables: TranslationCache<Origin>;
  private readonly state: ControlState;
  /** Whether there may be global translations. */
  private globals = false;

  /**
   * @param state - the registers
   * @param limit - entries of each kind that it may hold
   */
  constructor(state: ControlState, limit: number) {
    this.state = state;
    this.pages = new TranslationCache(PCIDS + 1, limit);
    this.tables = new TranslationCache(PCIDS, limit);
  }

  /** The translation of an address: of the current PCID, or a global one. */
  findPage(high: number, low: number): number {
    const { pages } = this;
    const { pageOrders, pcid } = this.state;
    for (let i = 0; i < pageOrders.length; i += 1) {
      const order = pageOrders[i];
      if (pages.has(order)) {
        const at = pages.find(order, pcid, high, low);
        if (at !== NONE) return at;
        if (this.globals) {
          const global = pages.find(order, GLOBAL, high, low);
          if (global !== NONE) return global;
        }
      }
    }
    return NONE;
  }

  /** The lowest table that is remembered on the way to an address. */
  findTable(high: number, low: number): number {
    const { tables } = this;
    const { tableOrders, pcid } = this.state;
    for (let depth = tableOrders.length - 2; depth >= 0; depth -= 1) {
      const order = tableOrders[depth];
      if (tables.has(order)) {
        const at = tables.find(order, pcid, high, low);
        if (at !== NONE) return at;
      }
    }
    return NONE;
  }

  /**
   * Remembers a table.
   *
   * @param depth - of the entry that leads to it
   * @param frame - of the table
   * @param and - low halves of the entries that lead to it
   * @param or - their high halves
   */
  addTable(depth: number, high: number, low: number, frame: number, and: number, or: number): number {
    const { tableOrders, pcid } = this.state;
    const bits = (and & TABLE_AND) | (or & TABLE_OR);
    return this.tables.insert(tableOrders[depth], pcid, high, low, frame, bits);
  }

  /** Remembers a translation. */
  addPage(high: number, low: number, order: number, isGlobal: boolean, frame: number, bits: number): number {
    if (isGlobal) this.globals = true;
    return this.pages.insert(order, isGlobal ? GLOBAL : this.state.pcid, high, low, frame, bits);
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

  /** Forgets the tables of a PCID on the way to an address. */
  dropTables(high: number, low: number, pcid: number): void {
    const { tables } = this;
    const { tableOrders } = this.state;
    for (const order of tableOrders) {
      const at = tables.has(order) ? tables.find(order, pcid, high, low) : NONE;
      if (at !== NONE) tables.drop(at);
    }
  }

  /** Forgets everything of a PCID. */
  dropPcid(pcid: number): void {
    this.pages.dropSpace(pcid);
    this.tables.dropSpace(pcid);
  }

  /** Forgets everything of all PCIDs. */
  dropPcids(): void {
    this.pages.dropSpaces(PCIDS);
    this.tables.dropSpaces(PCIDS);
  }

  /** Forgets all global translations. */
  dropGlobals(): void {
    this.pages.dropSpace(GLOBAL);
    this.globals = false;
  }
}
