import { PageTableError } from '../bits/index.ts';
import {
  type EntryFact,
  exists,
  type FieldRole,
  type FormatFact,
  type FormatState,
  fieldsOf,
} from './format.ts';

/**
 * Where each number of a level stands in {@link CompiledFormat.facts}; level `depth` starts at `depth * FACTS`.
 * Masks are of the low or the high half of an entry; 4-byte entries have a high half of 0.
 */
export const INDEX_SHIFT = 0;
/** Index mask: the number of entries less 1. */
export const INDEX_MASK = 1;
/** Bits that must be set for the entry to be used at all. */
export const PRESENT = 2;
/** A present entry leads to a table if `low & TABLE_MASK === TABLE_VALUE`; otherwise to a page. */
export const TABLE_MASK = 3;
/** See {@link TABLE_MASK}. */
export const TABLE_VALUE = 4;
/** Reserved bits of an entry that leads to a table. */
export const TABLE_RESERVED_LOW = 5;
/** See {@link TABLE_RESERVED_LOW}. */
export const TABLE_RESERVED_HIGH = 6;
/** Address bits of an entry that leads to a table. */
export const TABLE_ADDRESS_LOW = 7;
/** See {@link TABLE_ADDRESS_LOW}. */
export const TABLE_ADDRESS_HIGH = 8;
/** Reserved bits of an entry that leads to a page. */
export const PAGE_RESERVED_LOW = 9;
/** See {@link PAGE_RESERVED_LOW}. */
export const PAGE_RESERVED_HIGH = 10;
/** Address bits of an entry that leads to a page. */
export const PAGE_ADDRESS_LOW = 11;
/** See {@link PAGE_ADDRESS_LOW}. */
export const PAGE_ADDRESS_HIGH = 12;
/** `log2` of the 4-KiB pages that a page of this level has. */
export const PAGE_ORDER = 13;
/** Lowest bit of a second piece of a page's address, lying in the low half (PSE-36). */
export const PIECE_SHIFT = 14;
/** Mask of that piece, once shifted down; 0 where there is none. */
export const PIECE_MASK = 15;
/** Rights bits of the low half that count only if every level has them. */
export const RIGHTS_AND = 16;
/** Rights bits of the high half that count if any level has them. */
export const RIGHTS_OR = 17;
/** Accessed bit of a page's entry, low half. */
export const ACCESSED = 18;
/** Dirty bit of a page's entry, low half. */
export const DIRTY = 19;
/** Global bit of a page's entry, low half. */
export const GLOBAL = 20;
/** Numbers per level. */
export const FACTS = 24;

/** Frame bit at which a second address piece goes: physical-address bit 32. */
const PIECE_FRAME = 0x10_0000;

/**
 * A format on a given machine: its table of facts turned into the numbers that a walk needs.
 */
export interface CompiledFormat {
  readonly fact: FormatFact;
  readonly state: FormatState;
  /** Number of levels. */
  readonly levels: number;
  /** {@link FACTS} integers per level, root first. */
  readonly facts: Int32Array;
  /** By depth: what a page number is multiplied by so that the index is in its lowest whole bits. Exact powers of two. */
  readonly indexScale: Float64Array;
  /** `log2` of the 32-bit words in an entry. */
  readonly entryShift: 0 | 1;
  /** Page numbers in `[0, lowEnd)` and `[highStart, 2^52)` are translated, others are not canonical. */
  readonly lowEnd: number;
  /** See {@link lowEnd}; 2^52 where there is no upper half. */
  readonly highStart: number;
}

/** Turns a format's table of facts into numbers for one machine. */
export function compileFormat(fact: FormatFact, state: FormatState): CompiledFormat {
  if (!(state.M >= 32 && state.M <= 52 && Number.isInteger(state.M))) {
    throw new PageTableError(
      'OUT_OF_RANGE',
      `format ${fact.name}: ${state.M} physical-address bits; expected a whole number in [32, 52]`,
      { physBits: state.M },
    );
  }
  const facts = new Int32Array(fact.levels.length * FACTS);
  fact.levels.forEach((level, depth) => {
    const at = depth * FACTS;
    facts[at + INDEX_SHIFT] = level.indexLow - 12;
    facts[at + INDEX_MASK] = 2 ** (level.indexHigh - level.indexLow + 1) - 1;
    const kinds = level.entries.filter((entry) => exists(entry, state));
    const table = kinds.find((entry) => entry.leads === 'table');
    const page = kinds.find((entry) => entry.leads === 'page');
    const present = mask(kinds[0], state, 'present');
    facts[at + RIGHTS_AND] = mask(kinds[0], state, 'write').low | mask(kinds[0], state, 'user').low;
    facts[at + RIGHTS_OR] = mask(kinds[0], state, 'execute-disable').high;
    facts[at + PRESENT] = present.low;
    // Without a kind that leads to a table, the value asked for has a bit that the mask has not.
    facts[at + TABLE_VALUE] = table === undefined ? 1 : present.low;
    if (table !== undefined) {
      const select = page === undefined ? 0 : mask(table, state, 'page-size').low;
      facts[at + TABLE_MASK] = present.low | select;
      const reserved = mask(table, state, 'reserved');
      const address = mask(table, state, 'address');
      facts.set([reserved.low, reserved.high, address.low, address.high], at + TABLE_RESERVED_LOW);
    }
    if (page?.pageShift !== undefined) {
      const reserved = mask(page, state, 'reserved');
      const address = mask(page, state, 'address');
      facts.set([reserved.low, reserved.high, address.low, address.high], at + PAGE_RESERVED_LOW);
      facts[at + PAGE_ORDER] = page.pageShift - 12;
      facts[at + ACCESSED] = mask(page, state, 'accessed').low;
      facts[at + DIRTY] = mask(page, state, 'dirty').low;
      facts[at + GLOBAL] = mask(page, state, 'global').low;
      const piece = fieldsOf(page, state).find((field) => field.role === 'address-high');
      facts[at + PIECE_SHIFT] = piece?.low ?? 0;
      facts[at + PIECE_MASK] = piece === undefined ? 0 : 2 ** (piece.high - piece.low + 1) - 1;
    }
  });
  const lowEnd = 2 ** (fact.vaBits - (fact.signExtended ? 13 : 12));
  return {
    fact,
    state,
    levels: fact.levels.length,
    facts,
    indexScale: Float64Array.from(fact.levels, (level) => 2 ** -(level.indexLow - 12)),
    entryShift: fact.entryBytes === 8 ? 1 : 0,
    lowEnd,
    highStart: fact.signExtended ? 2 ** 52 - lowEnd : 2 ** 52,
  };
}

/** The bits of an entry that have a role, as two halves. */
function mask(entry: EntryFact, state: FormatState, role: FieldRole): { low: number; high: number } {
  let bits = 0n;
  for (const field of fieldsOf(entry, state)) {
    if (field.role === role) bits |= ((1n << BigInt(field.high - field.low + 1)) - 1n) << BigInt(field.low);
  }
  return { low: Number(BigInt.asIntN(32, bits)), high: Number(BigInt.asIntN(32, bits >> 32n)) };
}

/**
 * The frame to which an entry that leads to a table points.
 *
 * @returns a frame number in `[0, 2^40)`
 */
export function tableFrame(facts: Int32Array, at: number, low: number, high: number): number {
  return ((low & facts[at + TABLE_ADDRESS_LOW]) >>> 12) + (high & facts[at + TABLE_ADDRESS_HIGH]) * 0x10_0000;
}

/**
 * The first 4-KiB frame of the page to which an entry points.
 *
 * @returns a frame number in `[0, 2^40)`
 */
export function pageFrame(facts: Int32Array, at: number, low: number, high: number): number {
  return (
    ((low & facts[at + PAGE_ADDRESS_LOW]) >>> 12) +
    (high & facts[at + PAGE_ADDRESS_HIGH]) * 0x10_0000 +
    ((low >>> facts[at + PIECE_SHIFT]) & facts[at + PIECE_MASK]) * PIECE_FRAME
  );
}
