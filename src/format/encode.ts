import type { CompiledFormat } from './compile.ts';
import { type EntryFact, exists, type FieldRole, fieldsOf } from './format.ts';
import { addressShift, roleMask } from './masks.ts';

/** Roles of the bits that say what an entry is and where it leads; all others are attributes. */
const STRUCTURE: readonly FieldRole[] = ['present', 'page-size', 'contiguous'];

/** Frame bit at which a second address piece goes: physical-address bit 32. */
const PIECE_ORDER = 20;

/** What an encoder needs of the entries of one level. */
export interface LevelEncoding {
  /** `log2` of the 4-KiB pages that an entry spans. */
  readonly order: number;
  /** 4-KiB pages that an entry spans. */
  readonly span: number;
  /** Whether an entry can map a page. */
  readonly hasPages: boolean;
  /** The bits that make an entry one that maps a page. */
  readonly pageLow: number;
  /** The bits that make it one that leads to a table and takes no rights. */
  readonly tableLow: number;
  /** The bit that stands elsewhere than at the last level (x86: PAT), here; 0 where it stands in the same place. */
  readonly movedBit: number;
  /** Frames above which no page of this level can lie, exclusive. */
  readonly frameEnd: number;
  /** Attribute bits of an entry that maps a page, at this level. */
  readonly attributeLow: number;
  readonly attributeHigh: number;
  /** Bits in which entries are alike that map pages alike: all but those of the address. */
  readonly alikeLow: number;
  readonly alikeHigh: number;
  /** Entries of a contiguous group; 1 without groups. */
  readonly group: number;
  /** The bit that makes an entry one of a contiguous group. */
  readonly groupHigh: number;
  /** What is added to a group's frame where all its entries hold the same address; 0 where each holds its own. */
  readonly groupCode: number;
  /** Where a second piece of the address begins; 0 without one (PSE-36). */
  readonly pieceShift: number;
  /** The kind of entry that maps a page, with its fields. */
  readonly page: EntryFact | undefined;
}

/**
 * Makes entries of a format: the opposite of what a walk does with its facts.
 *
 * Attributes of a page are passed around as two halves of an entry of the last level without structure and address; so two
 * pages of different size can be compared, and split and merged.
 */
export class EntryEncoder {
  readonly format: CompiledFormat;
  /** Root first. */
  readonly levels: readonly LevelEncoding[];
  /** Lowest bit of the address in an entry. */
  readonly addressShift: number;
  /** Frames above which no table can lie, exclusive. */
  readonly tableFrameEnd: number;
  /** Frames above which no page of any level can lie, exclusive. */
  readonly frameEnd: number;
  /** Bits 31:0 of what was made last. */
  low = 0;
  /** Bits 63:32 of it. */
  high = 0;
  private readonly lastMovedBit: number;
  private readonly lowFrames: number;

  constructor(format: CompiledFormat) {
    this.format = format;
    const { fact, state } = format;
    const last = kindOf(fact.levels[format.levels - 1].entries, format, 'page');
    this.addressShift = last === undefined ? 12 : addressShift(fieldsOf(last, format.state));
    const tables = fact.levels.flatMap(({ entries }) => kindOf(entries, format, 'table') ?? []);
    this.tableFrameEnd = Math.min(...tables.map((table) => frameEnd(table, format, this.addressShift)));
    this.lowFrames = 2 ** (32 - this.addressShift);
    this.lastMovedBit = last === undefined ? 0 : roleMask(last, state, 'pat').low;
    const attributes = last === undefined ? { low: 0, high: 0 } : attributeBits(last, format);
    this.levels = fact.levels.map((level) => {
      const page = kindOf(level.entries, format, 'page');
      const table = kindOf(level.entries, format, 'table');
      const pat = page === undefined ? 0 : roleMask(page, state, 'pat').low;
      const address =
        page === undefined ? { low: 0, high: 0 } : roleMask(page, state, 'address', 'address-high');
      const groupHigh = page === undefined ? 0 : roleMask(page, state, 'contiguous').high;
      return {
        order: level.indexLow - 12,
        span: 2 ** (level.indexLow - 12),
        hasPages: page !== undefined,
        pageLow: page === undefined ? 0 : structureOf(page, format),
        tableLow:
          table === undefined ? 0 : structureOf(table, format) | roleMask(table, state, 'write', 'user').low,
        movedBit: pat === this.lastMovedBit ? 0 : pat,
        frameEnd: page === undefined ? 0 : frameEnd(page, format, this.addressShift),
        // The bit that moves stands in the place of an address bit.
        attributeLow: attributes.low,
        attributeHigh: attributes.high,
        alikeLow: ~address.low,
        alikeHigh: format.entryShift === 1 ? ~address.high : 0,
        // The control state may not have the bit.
        group: groupHigh === 0 ? 1 : (page?.contiguous ?? 1),
        groupHigh,
        groupCode: page?.groupCode === undefined ? 0 : (page.contiguous ?? 1) / 2,
        pieceShift: (page && fieldsOf(page, state).find(({ role }) => role === 'address-high')?.low) ?? 0,
        page,
      };
    });
    this.frameEnd = Math.max(...this.levels.map((level) => level.frameEnd));
  }

  /**
   * Makes an entry that maps a page.
   *
   * @param depth - where it stands
   * @param frame - first frame of the page
   * @param low - attributes, as an entry of the last level has them
   * @param high - bits 63:32 of them
   */
  page(depth: number, frame: number, low: number, high: number): void {
    this.attributes(depth, low, high);
    const { pageLow, pieceShift } = this.levels[depth];
    if (pieceShift !== 0) {
      const piece = Math.floor(frame / 2 ** PIECE_ORDER);
      this.low |= pageLow | (piece << pieceShift) | (frame << this.addressShift);
      return;
    }
    // Not by a remainder: of numbers above 2^31 that is a call.
    const above = Math.floor(frame / this.lowFrames);
    this.low |= pageLow | ((frame - above * this.lowFrames) << this.addressShift);
    this.high |= above;
  }

  /** Attributes in the form in which an entry at `depth` has them, in {@link low} and {@link high}. */
  attributes(depth: number, low: number, high: number): void {
    const { movedBit } = this.levels[depth];
    const moves = movedBit !== 0 && (low & this.lastMovedBit) !== 0;
    this.low = movedBit === 0 ? low : (low & ~this.lastMovedBit) | (moves ? movedBit : 0);
    this.high = high;
  }

  /**
   * The attributes of an entry that maps a page, in {@link low} and {@link high}: without structure and address.
   *
   * @param low - bits 31:0 of the entry
   * @param high - bits 63:32
   */
  attributesOf(depth: number, low: number, high: number): void {
    const { movedBit, attributeLow, attributeHigh } = this.levels[depth];
    const moves = movedBit !== 0 && (low & movedBit) !== 0;
    const plain = movedBit === 0 ? low : (low & ~this.lastMovedBit) | (moves ? this.lastMovedBit : 0);
    this.low = plain & attributeLow;
    this.high = high & attributeHigh;
  }

  /**
   * Makes an entry that leads to a table and takes no rights away.
   *
   * @param frame - of the table
   */
  table(depth: number, frame: number): void {
    this.pointer(frame, this.levels[depth].tableLow, 0);
  }

  /** Makes an entry that leads to a table, with bits of another one that does. */
  pointer(frame: number, low: number, high: number): void {
    const above = Math.floor(frame / this.lowFrames);
    this.low = low | ((frame - above * this.lowFrames) << this.addressShift);
    this.high = high | above;
  }

  /** Everything but the address of an entry that leads to a table, in {@link low} and {@link high}. */
  pointerBits(depth: number, low: number, high: number): void {
    const table = kindOf(this.format.fact.levels[depth].entries, this.format, 'table');
    const address = table === undefined ? { low: 0, high: 0 } : roleMask(table, this.format.state, 'address');
    this.low = low & ~address.low;
    this.high = high & ~address.high;
  }
}

/** The kind of entry at a level that leads to a page or a table, on a given machine. */
export function kindOf(
  kinds: readonly EntryFact[],
  { state }: CompiledFormat,
  leads: EntryFact['leads'],
): EntryFact | undefined {
  return kinds.find((kind) => kind.leads === leads && kind.invalid === undefined && exists(kind, state));
}

function structureOf(entry: EntryFact, { state }: CompiledFormat): number {
  const present = roleMask(entry, state, 'present').low;
  return present | (entry.pageSize === 1 ? roleMask(entry, state, 'page-size').low : 0);
}

/** The bits of an entry that are neither structure nor address nor reserved. */
function attributeBits(
  entry: EntryFact,
  { state, entryShift }: CompiledFormat,
): { low: number; high: number } {
  const other = roleMask(entry, state, ...STRUCTURE, 'address', 'address-high', 'reserved');
  return { low: ~other.low, high: entryShift === 1 ? ~other.high : 0 };
}

function frameEnd(entry: EntryFact, { state }: CompiledFormat, shift: number): number {
  const fields = fieldsOf(entry, state);
  const piece = fields.find(({ role }) => role === 'address-high');
  if (piece !== undefined) return 2 ** (PIECE_ORDER + piece.high - piece.low + 1);
  const top = fields.reduce((most, { role, high }) => (role === 'address' ? Math.max(most, high) : most), 0);
  return Math.min(2 ** (top + 1 - shift), 2 ** (state.M - 12));
}
