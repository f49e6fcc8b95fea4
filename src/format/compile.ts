import { PageTableError } from '../bits/index.ts';
import { exists, type FieldRole, type FormatFact, type FormatState, fieldsOf } from './format.ts';
import { addressShift, fieldMask, halves, mask } from './masks.ts';

// Where each number of a level stands in the facts; level `depth` starts at `depth * FACTS`. Masks are of the low or the
// high half of an entry; 4-byte entries have a high half of 0. None of these is exported: V8 reads what a module exports
// or imports from a cell at each use, which made a walk three times slower, and compiles a module's own constants in.
const INDEX_SHIFT = 0;
// The number of entries less 1.
const INDEX_MASK = 1;
// Bits that must be set for the entry to be used at all.
const PRESENT = 2;
// A present entry leads to a table if `low & TABLE_MASK === TABLE_VALUE`, otherwise to a page.
const TABLE_MASK = 3;
const TABLE_VALUE = 4;
const TABLE_RESERVED_LOW = 5;
const TABLE_RESERVED_HIGH = 6;
const TABLE_ADDRESS_LOW = 7;
const TABLE_ADDRESS_HIGH = 8;
const PAGE_RESERVED_LOW = 9;
const PAGE_RESERVED_HIGH = 10;
const PAGE_ADDRESS_LOW = 11;
const PAGE_ADDRESS_HIGH = 12;
// `log2` of the 4-KiB pages that a page of this level has.
const PAGE_ORDER = 13;
// Lowest bit, in the low half, of a second piece of a page's address (PSE-36), and its mask once shifted down.
const PIECE_SHIFT = 14;
const PIECE_MASK = 15;
// Rights bits of the low half of an entry that leads to a table, which count only if every level has them.
const TABLE_AND = 16;
// Rights bits of its high half, which count if any level has them.
const TABLE_OR = 17;
// Bits of the low half of an entry that maps a page.
const ACCESSED = 18;
const DIRTY = 19;
const GLOBAL = 20;
// Bit of the low half of an entry that leads to a table.
const TABLE_ACCESSED = 21;
// The same as TABLE_AND and TABLE_OR, of an entry that maps a page.
const PAGE_AND = 22;
const PAGE_OR = 23;
// Which of the bits in DIRTY and GLOBAL say it by being clear.
const DIRTY_FLIP = 24;
const GLOBAL_FLIP = 25;
// Bits of the high half without which no page is dirty.
const DIRTY_NEEDS = 26;
// The bit of the high half by which a page is one of a contiguous group.
const CONTIGUOUS = 27;
// `log2` of the 4-KiB pages in such a group.
const GROUP_ORDER = 28;
// By how much an address in an entry is shifted down to be a frame number, and what a unit of the high half counts in frames.
const ADDRESS_SHIFT = 29;
const HIGH_FRAMES = 30;
// The bit of the low half of an entry that leads to a table which says that all below is global. It is one of TABLE_AND, and
// counts by being clear.
const TABLE_GLOBAL = 31;
// Bits of a page number that go on inside a page: of its bits 25:0, and of its bits 51:26.
const SPAN_LOWER = 32;
const SPAN_UPPER = 33;
// Not 0 where more goes on inside a page than SPAN_LOWER says.
const UNUSUAL_SPAN = 34;
// The bit of the high half by which an entry is of a contiguous group with a code in the address, and what that code counts in
// frames.
const CODED_GROUP = 35;
const GROUP_CODE = 36;
// Where an entry can be reserved by more than a single bit, PAGE_RESERVED has every bit of which any entry that is has one,
// and these decide: bits that must be 0, and codes, each as the bits that are set in it (low, high), the bits of the low
// half that then are checked, and what they must be. A code of which no bit is set ends the list.
const PAGE_STRICT_LOW = 37;
const PAGE_STRICT_HIGH = 38;
const CODES = 39;
const CODE_FACTS = 4;
const MOST_CODES = 3;
const FACTS = 64;

/** Rights that a low half gives or refuses. */
const LOW_RIGHTS: readonly FieldRole[] = ['read', 'write', 'execute', 'user', 'read-only'];
/** Rights that a high half takes away, and the bit that gives writes back to hardware. */
const HIGH_RIGHTS: readonly FieldRole[] = [
  'execute-disable',
  'privileged-execute-disable',
  'user-disable',
  'write-disable',
  'dirty-modifier',
];

/** Frame bit at which a second address piece goes: physical-address bit 32. */
const PIECE_FRAME = 0x10_0000;
/** With addresses from bit 12 on: frames below 2^31, which are small integers, have none of the others set. */
const NEAR_ADDRESS_HIGH = 0x7ff;
/** Physical-address bits of a format that does not say. */
const PHYS_BITS = 52;

/**
 * A format on a given machine: its table of facts turned into the numbers that a walk needs.
 */
export interface CompiledFormat {
  readonly fact: FormatFact;
  readonly state: FormatState;
  /** Number of levels. */
  readonly levels: number;
  /** What walks need of each level, for the functions below. */
  readonly facts: Int32Array;
  /** By depth: what a page number is multiplied by so that the index is in its lowest whole bits. Exact powers of two. */
  readonly indexScale: Float64Array;
  /** `log2` of the 32-bit words in an entry. */
  readonly entryShift: 0 | 1;
  /** Page numbers in `[0, lowEnd)` and `[highStart, 2^52)` are translated, others are not canonical. */
  readonly lowEnd: number;
  /** See {@link lowEnd}; 2^52 where there is no upper half. */
  readonly highStart: number;
  /** Whether bits 63:56 of an address are a tag, at least of data. */
  readonly tagged: boolean;
  /** Whether entries of contiguous groups hold a code in their addresses: see {@link groupOffset}. */
  readonly groupCodes: boolean;
}

/** Turns a format's table of facts into numbers for one machine. */
export function compileFormat(fact: FormatFact, state: FormatState): CompiledFormat {
  const most = fact.physBits ?? PHYS_BITS;
  if (!(state.M >= 32 && state.M <= most && Number.isInteger(state.M))) {
    throw new PageTableError(
      'OUT_OF_RANGE',
      `format ${fact.name}: ${state.M} physical-address bits; expected a whole number in [32, ${most}]`,
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
    const only = fieldsOf(kinds[0], state);
    const toTable = table === undefined ? only : fieldsOf(table, state);
    const toPage = page === undefined ? only : fieldsOf(page, state);
    const present = mask(only, 'present');
    facts[at + PRESENT] = present.low;
    const shift = addressShift(only);
    facts[at + ADDRESS_SHIFT] = shift;
    facts[at + HIGH_FRAMES] = 2 ** (32 - shift);
    // At a level of one kind both pairs are the same.
    facts[at + TABLE_GLOBAL] = table === undefined ? 0 : mask(toTable, 'global').low;
    facts[at + TABLE_AND] = mask(toTable, ...LOW_RIGHTS).low | facts[at + TABLE_GLOBAL];
    facts[at + TABLE_OR] = mask(toTable, ...HIGH_RIGHTS).high;
    facts[at + PAGE_AND] = mask(toPage, ...LOW_RIGHTS).low;
    facts[at + PAGE_OR] = mask(toPage, ...HIGH_RIGHTS).high;
    // Without a kind that leads to a table, the value asked for has a bit that the mask has not.
    facts[at + TABLE_VALUE] = table === undefined ? 1 : present.low;
    if (table !== undefined) {
      const select = page === undefined ? 0 : mask(toTable, 'page-size').low;
      facts[at + TABLE_MASK] = present.low | select;
      if (table.pageSize === 1) facts[at + TABLE_VALUE] |= select;
      const reserved = mask(toTable, 'reserved');
      const address = mask(toTable, 'address');
      // Every present entry has this bit.
      if (table.invalid !== undefined) reserved.low |= present.low;
      facts.set([reserved.low, reserved.high, address.low, address.high], at + TABLE_RESERVED_LOW);
      facts[at + TABLE_ACCESSED] = mask(toTable, 'accessed').low;
    }
    if (page?.pageShift !== undefined) {
      const reserved = mask(toPage, 'reserved');
      const address = mask(toPage, 'address');
      facts.set([reserved.low, reserved.high, address.low, address.high], at + PAGE_RESERVED_LOW);
      facts.set([reserved.low, reserved.high], at + PAGE_STRICT_LOW);
      for (const [i, code] of (page.reserved ?? []).slice(0, MOST_CODES).entries()) {
        const set = halves(code.set.reduce((bits, bit) => bits | (1n << BigInt(bit)), 0n));
        const { high, low, value } = code.needs ?? { high: 0, low: 0, value: 2 };
        const checked = halves(fieldMask(high, low)).low;
        facts.set([set.low, set.high, checked, value << low], at + CODES + i * CODE_FACTS);
        facts[at + PAGE_RESERVED_LOW] |= set.low;
        facts[at + PAGE_RESERVED_HIGH] |= set.high;
      }
      facts[at + PAGE_ORDER] = page.pageShift - 12;
      const span = 2 ** (page.pageShift - 12);
      facts[at + SPAN_LOWER] = (span - 1) % 2 ** 26;
      facts[at + SPAN_UPPER] = Math.floor((span - 1) / 2 ** 26);
      facts[at + ACCESSED] = mask(toPage, 'accessed').low;
      // Where hardware tracks writes by a modifier, a page is dirty once it is no more read-only.
      facts[at + DIRTY_NEEDS] = mask(toPage, 'dirty-modifier').high;
      facts[at + DIRTY_FLIP] = facts[at + DIRTY_NEEDS] === 0 ? 0 : mask(toPage, 'read-only').low;
      facts[at + DIRTY] = mask(toPage, 'dirty').low | facts[at + DIRTY_FLIP];
      facts[at + GLOBAL_FLIP] = mask(toPage, 'not-global').low;
      facts[at + GLOBAL] = mask(toPage, 'global').low | facts[at + GLOBAL_FLIP];
      facts[at + CONTIGUOUS] = mask(toPage, 'contiguous').high;
      facts[at + GROUP_ORDER] = page.pageShift - 12 + Math.log2(page.contiguous ?? 1);
      if (page.groupCode !== undefined) {
        facts[at + CODED_GROUP] = facts[at + CONTIGUOUS];
        const { low, value } = page.groupCode;
        facts[at + GROUP_CODE] = (value << low) >>> shift;
      }
      facts[at + UNUSUAL_SPAN] = facts[at + SPAN_UPPER] | facts[at + CODED_GROUP];
      const piece = toPage.find((field) => field.role === 'address-high');
      facts[at + PIECE_SHIFT] = piece?.low ?? 0;
      facts[at + PIECE_MASK] = piece === undefined ? 0 : 2 ** (piece.high - piece.low + 1) - 1;
    }
  });
  const pages = 2 ** (fact.vaBits - 12);
  const lowEnd = fact.upper ? 0 : fact.signExtended ? pages / 2 : pages;
  return {
    fact,
    state,
    levels: fact.levels.length,
    facts,
    indexScale: Float64Array.from(fact.levels, (level) => 2 ** -(level.indexLow - 12)),
    entryShift: fact.entryBytes === 8 ? 1 : 0,
    lowEnd,
    tagged: state.tagged !== undefined,
    groupCodes: fact.levels.some((_, depth) => facts[depth * FACTS + CODED_GROUP] !== 0),
    highStart: fact.upper || fact.signExtended ? 2 ** 52 - (pages - lowEnd) : 2 ** 52,
  };
}

/** Distance of the pages that neighbouring entries map, as `log2`. */
export function entryOrder(facts: Int32Array, depth: number): number {
  return facts[depth * FACTS + INDEX_SHIFT];
}

/** Highest index in a table. */
export function lastIndex(facts: Int32Array, depth: number): number {
  return facts[depth * FACTS + INDEX_MASK];
}

/**
 * The index of a page in the table at `depth`.
 *
 * @param upper - bits 51:26 of the page number
 * @param lower - bits 25:0
 */
export function indexOf(facts: Int32Array, depth: number, upper: number, lower: number): number {
  const shift = facts[depth * FACTS + INDEX_SHIFT];
  const bits = shift < 26 ? (lower >>> shift) | (upper << (26 - shift)) : upper >>> (shift - 26);
  return bits & facts[depth * FACTS + INDEX_MASK];
}

/**
 * Bits 51:26 of a page number without a tag: bits 51:44 become as bit 43.
 *
 * @param upper - bits 51:26 of the page number
 */
export function untagged(upper: number): number {
  return ((upper << 14) >> 14) & 0x3ff_ffff;
}

/** Whether the processor uses an entry at all. */
export function isPresent(facts: Int32Array, depth: number, low: number): boolean {
  const present = facts[depth * FACTS + PRESENT];
  return (low & present) === present;
}

/** Whether a present entry leads to a table; otherwise it maps a page. */
export function leadsToTable(facts: Int32Array, depth: number, low: number): boolean {
  return (low & facts[depth * FACTS + TABLE_MASK]) === facts[depth * FACTS + TABLE_VALUE];
}

/** Whether an entry that leads to a table has a reserved bit set. */
export function isFaultyTable(facts: Int32Array, depth: number, low: number, high: number): boolean {
  const at = depth * FACTS;
  return ((low & facts[at + TABLE_RESERVED_LOW]) | (high & facts[at + TABLE_RESERVED_HIGH])) !== 0;
}

/** Whether an entry that maps a page has a reserved bit set, or holds a reserved code. */
export function isFaultyPage(facts: Int32Array, depth: number, low: number, high: number): boolean {
  const at = depth * FACTS;
  return (
    ((low & facts[at + PAGE_RESERVED_LOW]) | (high & facts[at + PAGE_RESERVED_HIGH])) !== 0 &&
    isReserved(facts, at, low, high)
  );
}

/** {@link isFaultyPage} of an entry with a bit that is reserved, or that some reserved code has. */
function isReserved(facts: Int32Array, at: number, low: number, high: number): boolean {
  if (((low & facts[at + PAGE_STRICT_LOW]) | (high & facts[at + PAGE_STRICT_HIGH])) !== 0) return true;
  const end = at + CODES + MOST_CODES * CODE_FACTS;
  for (let code = at + CODES; code < end; code += CODE_FACTS) {
    const setLow = facts[code];
    const setHigh = facts[code + 1];
    if ((setLow | setHigh) === 0) return false;
    if (
      (low & setLow) === setLow &&
      (high & setHigh) === setHigh &&
      (low & facts[code + 2]) !== facts[code + 3]
    )
      return true;
  }
  return false;
}

/**
 * The frame to which an entry that leads to a table points.
 *
 * @returns a frame number in `[0, 2^44)`
 */
export function tableFrame(facts: Int32Array, depth: number, low: number, high: number): number {
  const at = depth * FACTS;
  const frame = (low & facts[at + TABLE_ADDRESS_LOW]) >>> facts[at + ADDRESS_SHIFT];
  const upper = high & facts[at + TABLE_ADDRESS_HIGH];
  return upper === 0 ? frame : frame + upper * facts[at + HIGH_FRAMES];
}

/**
 * {@link tableFrame} as a small integer, where it is one.
 *
 * @returns a frame number in `[0, 2^31)`, or -1 for one from 2^31
 */
export function nearTableFrame(facts: Int32Array, depth: number, low: number, high: number): number {
  const at = depth * FACTS;
  const shift = facts[at + ADDRESS_SHIFT];
  const upper = high & facts[at + TABLE_ADDRESS_HIGH];
  // Shifts work modulo 32.
  return upper >>> (shift - 1) !== 0
    ? -1
    : ((low & facts[at + TABLE_ADDRESS_LOW]) >>> shift) | (upper << -shift);
}

/**
 * The first 4-KiB frame of the page to which an entry points. It is what the address field says: where the entries of a
 * contiguous group all hold one address with a code in it, {@link pageWithin} or {@link groupOffset} must be added.
 *
 * @returns a frame number in `[0, 2^44)`
 */
export function pageFrame(facts: Int32Array, depth: number, low: number, high: number): number {
  const at = depth * FACTS;
  const frame =
    ((low & facts[at + PAGE_ADDRESS_LOW]) >>> facts[at + ADDRESS_SHIFT]) +
    ((low >>> facts[at + PIECE_SHIFT]) & facts[at + PIECE_MASK]) * PIECE_FRAME;
  const upper = high & facts[at + PAGE_ADDRESS_HIGH];
  return upper === 0 ? frame : frame + upper * facts[at + HIGH_FRAMES];
}

/**
 * How far a 4-KiB page lies behind the frame that {@link pageFrame} answers for its entry.
 *
 * @param high - high half of the entry
 * @param upper - bits 51:26 of the page number
 * @param lower - bits 25:0
 * @returns 4-KiB pages, less than 2^36
 */
export function pageWithin(
  facts: Int32Array,
  depth: number,
  high: number,
  upper: number,
  lower: number,
): number {
  const at = depth * FACTS;
  const within = lower & facts[at + SPAN_LOWER];
  return facts[at + UNUSUAL_SPAN] === 0
    ? within
    : within + (upper & facts[at + SPAN_UPPER]) * 2 ** 26 + groupOffset(facts, depth, high, lower);
}

/**
 * What is added to the frame that {@link pageFrame} answers for an entry of a contiguous group whose entries all hold one
 * address with a code in it: the place of the page in the group, less the code.
 *
 * @param high - high half of the entry
 * @param lower - bits 25:0 of the page number
 * @returns 0 where the entry is in no such group
 */
export function groupOffset(facts: Int32Array, depth: number, high: number, lower: number): number {
  const at = depth * FACTS;
  return (high & facts[at + CODED_GROUP]) === 0
    ? 0
    : (lower & ((1 << facts[at + GROUP_ORDER]) - 1)) - facts[at + GROUP_CODE];
}

/** Lowest bit of the frame's number in an entry at `depth`. */
export function encodedShift(facts: Int32Array, depth: number): number {
  return facts[depth * FACTS + ADDRESS_SHIFT];
}

/** `log2` of the 4-KiB pages in a page that an entry at `depth` maps. */
export function pageOrder(facts: Int32Array, depth: number): number {
  return facts[depth * FACTS + PAGE_ORDER];
}

/**
 * Rights bits that all levels so far have, with one more entry that leads to a table; -1 to begin with. Bits by which an
 * entry makes everything below global are clear in it once one has been set: see {@link isGlobal}.
 */
export function andRights(facts: Int32Array, depth: number, and: number, low: number): number {
  const at = depth * FACTS;
  return and & ((low ^ facts[at + TABLE_GLOBAL]) | ~facts[at + TABLE_AND]);
}

/** Bits that take rights away at any level so far, with one more entry that leads to a table; 0 to begin with. */
export function orRights(facts: Int32Array, depth: number, or: number, high: number): number {
  return or | (high & facts[depth * FACTS + TABLE_OR]);
}

/** {@link andRights} with the entry that maps the page. */
export function andPageRights(facts: Int32Array, depth: number, and: number, low: number): number {
  return and & (low | ~facts[depth * FACTS + PAGE_AND]);
}

/** {@link orRights} with the entry that maps the page. */
export function orPageRights(facts: Int32Array, depth: number, or: number, high: number): number {
  return or | (high & facts[depth * FACTS + PAGE_OR]);
}

/** The accessed bit in the low half of an entry that leads to a table; 0 where such entries have none. */
export function tableAccessed(facts: Int32Array, depth: number): number {
  return facts[depth * FACTS + TABLE_ACCESSED];
}

/** The accessed bit in the low half of an entry that maps a page. */
export function pageAccessed(facts: Int32Array, depth: number): number {
  return facts[depth * FACTS + ACCESSED];
}

/** The dirty bit in the low half of an entry that maps a page: see {@link dirtyFlip}. */
export function pageDirty(facts: Int32Array, depth: number): number {
  return facts[depth * FACTS + DIRTY];
}

/** {@link pageDirty} where the page is dirty when that bit is clear, and 0 where it is when it is set. */
export function dirtyFlip(facts: Int32Array, depth: number): number {
  return facts[depth * FACTS + DIRTY_FLIP];
}

/** The low half of an entry that maps a page as a write through it leaves it. */
export function withDirty(facts: Int32Array, depth: number, low: number, high: number): number {
  const at = depth * FACTS;
  const flip = facts[at + DIRTY_FLIP];
  if (flip === 0) return low | facts[at + DIRTY];
  return (high & facts[at + DIRTY_NEEDS]) === facts[at + DIRTY_NEEDS] ? low & ~flip : low;
}

/** Whether an entry that maps a page has its accessed bit. */
export function isAccessed(facts: Int32Array, depth: number, low: number): boolean {
  return (low & pageAccessed(facts, depth)) !== 0;
}

/** Whether an entry that maps a page says that it was written to. */
export function isDirty(facts: Int32Array, depth: number, low: number, high: number): boolean {
  const at = depth * FACTS;
  return (
    ((low ^ facts[at + DIRTY_FLIP]) & facts[at + DIRTY]) !== 0 &&
    (high & facts[at + DIRTY_NEEDS]) === facts[at + DIRTY_NEEDS]
  );
}

/**
 * Whether an entry that maps a page is global.
 *
 * @param and - what {@link andRights} gathered from the entries above
 */
export function isGlobal(facts: Int32Array, depth: number, low: number, and = -1): boolean {
  const at = depth * FACTS;
  return (
    ((low ^ facts[at + GLOBAL_FLIP]) & facts[at + GLOBAL]) !== 0 || (~and & facts[at + TABLE_GLOBAL]) !== 0
  );
}

/**
 * `log2` of the 4-KiB pages in the contiguous group to which an entry that maps a page belongs.
 *
 * @returns 0 if it belongs to none
 */
export function groupOrder(facts: Int32Array, depth: number, high: number): number {
  const at = depth * FACTS;
  return (high & facts[at + CONTIGUOUS]) !== 0 ? facts[at + GROUP_ORDER] : 0;
}

/** A format as a reader takes it that knows no reserved bits. */
export function ignoreReserved(format: CompiledFormat): CompiledFormat {
  const facts = format.facts.slice();
  for (let at = 0; at < facts.length; at += FACTS) {
    // Nothing can be below the last level.
    if (at + FACTS < facts.length) facts.fill(0, at + TABLE_RESERVED_LOW, at + TABLE_RESERVED_HIGH + 1);
    facts.fill(0, at + PAGE_RESERVED_LOW, at + PAGE_RESERVED_HIGH + 1);
  }
  return { ...format, facts };
}

/** What a walk through four uniform levels checks of every entry. */
export interface UniformLevels {
  /** Bits of an upper entry's low half that must be as in `value`: nothing but an ordinary pointer has them so. */
  readonly mask: number;
  /** Also the bits that the last entry must have. */
  readonly value: number;
  /** Bits of the high half that must be 0: reserved ones, and those of frames from 2^31. */
  readonly high: number;
  /** The accessed bit of every entry. */
  readonly accessed: number;
  /** The dirty bit of a last entry. */
  readonly dirty: number;
  /** The bit of a last entry that makes its page global; 0 if none does. */
  readonly global: number;
}

/**
 * The checks common to all levels of a format of four levels with 512 entries of 8 bytes, and addresses from bit 12 on.
 *
 * @returns `undefined` for any other format
 */
export function uniformLevels({
  fact,
  levels,
  facts,
  entryShift,
}: CompiledFormat): UniformLevels | undefined {
  if (levels !== 4 || entryShift !== 1 || fact.vaBits !== 48) return undefined;
  const value = facts[TABLE_VALUE];
  let mask = 0;
  let high = 0;
  for (let depth = 0; depth < 4; depth += 1) {
    const at = depth * FACTS;
    if (facts[at + INDEX_SHIFT] !== 9 * (3 - depth) || facts[at + INDEX_MASK] !== 511) return undefined;
    if (facts[at + ADDRESS_SHIFT] !== 12) return undefined;
    if (depth === 3) {
      if (facts[at + PRESENT] !== value || facts[at + PAGE_RESERVED_LOW] !== 0) return undefined;
      high |= facts[at + PAGE_RESERVED_HIGH] | (facts[at + PAGE_ADDRESS_HIGH] & ~NEAR_ADDRESS_HIGH);
    } else {
      if (facts[at + TABLE_VALUE] !== value || facts[at + TABLE_ADDRESS_LOW] !== (0xffff_f000 | 0))
        return undefined;
      mask |= facts[at + TABLE_MASK] | facts[at + TABLE_RESERVED_LOW];
      high |= facts[at + TABLE_RESERVED_HIGH] | (facts[at + TABLE_ADDRESS_HIGH] & ~NEAR_ADDRESS_HIGH);
    }
  }
  const last = 3 * FACTS;
  return {
    mask,
    value,
    high,
    accessed: facts[last + ACCESSED],
    dirty: facts[last + DIRTY],
    global: facts[last + GLOBAL],
  };
}
