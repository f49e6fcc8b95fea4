import type { FormatFact } from './format.ts';

/**
 * What a processor that uses tables wants of those who change them.
 *
 * `breaks`: changes in which an entry must be absent for a time, with an invalidation before it is written again.
 */
export interface LiveRules {
  readonly breaks: {
    /** A table in the place of a page, or a page in the place of a table. */
    readonly size: 'always' | 'with another change' | 'never';
    /** Another frame. */
    readonly frame: boolean;
    /** Another memory type, cacheability or shareability. */
    readonly type: boolean;
    /** A global page in the place of one that was not. */
    readonly global: boolean;
    /** A page that joins or leaves a contiguous group. */
    readonly group: boolean;
    /** Attributes of a whole contiguous group, save what hardware changes in single members: they must never differ. */
    readonly groupAttributes: boolean;
    /** Rights in an entry that leads to a table. */
    readonly tableRights: boolean;
    /** Another table in the place of a table. */
    readonly table: boolean;
  };
  /** Whether a processor may remember that an entry was absent. */
  readonly remembersAbsent: boolean;
  /**
   * What may be left to be remembered as it was: rights that were narrower, and marks of use that were set. A processor faults
   * once then, and does not set the marks again.
   */
  readonly optional: { readonly narrower: boolean; readonly marks: boolean };
  /** Whether a page that becomes a table counts, for invalidation, as a change of a table. */
  readonly splitIsOfTable: boolean;
  /** Whether an entry that leads to a table must be invalidated by itself: dropping a page below it is not enough. */
  readonly tablesApart: boolean;
  /** Pages that are invalidated one by one at most before everything is, unless the user says otherwise. */
  readonly fullAfter: number;
  /** Manual and section. */
  readonly source: string;
}

/** By architecture. The last number is what Linux uses. */
export const LIVE_RULES: Readonly<Record<FormatFact['architecture'], LiveRules>> = {
  x86: {
    breaks: {
      size: 'with another change',
      frame: false,
      type: false,
      global: false,
      group: false,
      groupAttributes: false,
      tableRights: false,
      table: false,
    },
    remembersAbsent: false,
    optional: { narrower: true, marks: true },
    splitIsOfTable: false,
    tablesApart: false,
    fullAfter: 33,
    source:
      'Intel SDM vol. 3A (order 253668), chapter "Paging", sections "Invalidation of TLBs and Paging-Structure Caches" and "Details of TLB Use"',
  },
  aarch64: {
    breaks: {
      size: 'always',
      frame: true,
      type: true,
      global: true,
      group: true,
      groupAttributes: true,
      tableRights: true,
      table: true,
    },
    remembersAbsent: false,
    optional: { narrower: false, marks: false },
    splitIsOfTable: false,
    tablesApart: true,
    fullAfter: 512,
    source:
      'Arm ARM (DDI 0487), section "Using break-before-make when updating translation table entries" (R_WHZWS, R_DDMVT, R_KHRBC)',
  },
  riscv: {
    breaks: {
      size: 'never',
      frame: false,
      type: false,
      global: false,
      group: true,
      groupAttributes: false,
      tableRights: false,
      table: false,
    },
    remembersAbsent: true,
    optional: { narrower: true, marks: false },
    splitIsOfTable: true,
    tablesApart: true,
    fullAfter: 64,
    source:
      'RISC-V Privileged Architecture, sections "Supervisor Memory-Management Fence Instruction" and "Svnapot"',
  },
};
