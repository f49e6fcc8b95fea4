import {
  andRights,
  EntryEncoder,
  groupOffset,
  isFaultyPage,
  isFaultyTable,
  isGlobal,
  isPresent,
  lastIndex,
  leadsToTable,
  type MemoryType,
  orRights,
  type Paging,
  pageFrame,
  tableFrame,
} from '../format/index.ts';
import { ABSENT, type PhysicalMemory } from '../memory/index.ts';

// What a range of pages is on one side.
/** Nothing is mapped. */
export const UNMAPPED = 0;
/** It is part of a page. */
export const MAPPED = 1;
/** A table says. */
export const BY_TABLE = 2;
/** An entry with a reserved bit set is on the way. */
export const RESERVED = 3;
/** A table on the way is not in memory. */
export const ABSENT_TABLE = 4;

/** What a range of pages is on one side: one of the numbers above, and what else tells it from others. */
export interface Meaning {
  readonly kind: number;
  /** First frame of the page's part; frame of the table, or of the part of one that is not there; otherwise 0. */
  readonly frame: number;
  /** Of a page: see {@link MappedCode}. Of a table that is not there: its depth. Otherwise 0. */
  readonly code: number;
  /** Of a table: what the entries above say of rights. Otherwise 0. */
  readonly and: number;
  readonly or: number;
}

/** A copy of a meaning: that of a {@link DiffSide} is another one after the next entry. */
export function copyOf({ kind, frame, code, and, or }: Meaning): Meaning {
  return { kind, frame, code, and, or };
}

/** Attributes of a page as one number: rights, global, page shift, and the number of the memory type's name. */
export const MappedCode = {
  of: (rights: number, global: boolean, pageShift: number, type: number) =>
    rights | (global ? 64 : 0) | (pageShift << 7) | (type << 13),
  rights: (code: number) => code & 63,
  global: (code: number) => (code & 64) !== 0,
  pageShift: (code: number) => (code >>> 7) & 63,
  type: (code: number) => code >>> 13,
} as const;

/** Places for codes of attributes; a power of two. */
const CODES = 64;

/** Names of memory types, numbered: both sides use one. */
export class TypeNames {
  readonly names: string[] = [];
  private readonly numbers = new Map<string, number>();

  numberOf({ name }: MemoryType): number {
    const known = this.numbers.get(name);
    if (known !== undefined) return known;
    this.numbers.set(name, this.names.length);
    return this.names.push(name) - 1;
  }
}

/** One side of a comparison: reads entries, and tells what they mean. */
export class DiffSide implements Meaning {
  // What the entry that was looked at last means.
  kind = UNMAPPED;
  frame = 0;
  code = 0;
  and = 0;
  or = 0;
  /** Halves of that entry, if there was one to load. */
  low = 0;
  high = 0;
  readonly memory: PhysicalMemory;
  readonly paging: Paging;
  private readonly types: TypeNames;
  private readonly withSizes: boolean;
  private readonly encodings: EntryEncoder['levels'];
  /** Codes that were worked out, by a hash of an entry's attributes, for the rights and the depth below. */
  private readonly codes = new Int32Array(CODES).fill(-1);
  private readonly codeLows = new Int32Array(CODES);
  private readonly codeHighs = new Int32Array(CODES);
  private codesDepth = -1;
  private codesAnd = 0;
  private codesOr = 0;

  constructor(memory: PhysicalMemory, paging: Paging, types: TypeNames, withSizes: boolean) {
    this.memory = memory;
    this.paging = paging;
    this.types = types;
    this.withSizes = withSizes;
    this.encodings = new EntryEncoder(paging.format).levels;
    memory.current();
  }

  /** The root. */
  root(): Meaning {
    return { kind: BY_TABLE, frame: this.paging.root.frame, code: 0, and: -1, or: 0 };
  }

  /** Where the frame of a table that holds an entry begins, in words; {@link ABSENT} if it is not there, or `table` is none. */
  baseOf(table: Meaning, depth: number, part: number): number {
    if (table.kind !== BY_TABLE) return ABSENT;
    const base = this.memory.locate(table.frame + part);
    return base === ABSENT ? ABSENT : base + (depth === 0 ? this.paging.root.word : 0);
  }

  /** Loads the entry at a word. */
  load(at: number): void {
    const { memory } = this;
    if (this.paging.format.entryShift === 1) {
      this.low = memory.loadEntry(at);
      this.high = memory.high;
    } else {
      this.low = memory.words[at] | 0;
      this.high = 0;
    }
  }

  /** Whether the entry that was loaded leads to a table. */
  leadsDown(depth: number): boolean {
    const { facts } = this.paging.format;
    return isPresent(facts, depth, this.low) && leadsToTable(facts, depth, this.low);
  }

  /** Tells what the entry that was loaded means, in the table `table`. */
  decode(table: Meaning, depth: number, index: number): void {
    const { facts } = this.paging.format;
    const { low, high } = this;
    if (!isPresent(facts, depth, low)) {
      this.set(UNMAPPED, 0, 0);
    } else if (leadsToTable(facts, depth, low)) {
      if (isFaultyTable(facts, depth, low, high)) {
        this.set(RESERVED, 0, 0);
        return;
      }
      this.set(BY_TABLE, tableFrame(facts, depth, low, high), 0);
      this.and = andRights(facts, depth, table.and, low);
      this.or = orRights(facts, depth, table.or, high);
    } else if (isFaultyPage(facts, depth, low, high)) {
      this.set(RESERVED, 0, 0);
    } else {
      const frame = pageFrame(facts, depth, low, high) + groupOffset(facts, depth, high, index);
      this.set(MAPPED, frame, this.codeOf(depth, low, high, table.and, table.or));
    }
  }

  /** The same where no entry was loaded: a part of a table that is not there, or of what spans the whole table. */
  derive(table: Meaning, depth: number, index: number): void {
    const { entryShift } = this.paging.format;
    if (table.kind === BY_TABLE) {
      this.set(ABSENT_TABLE, table.frame + (index >>> (10 - entryShift)), depth);
    } else {
      const within = table.kind === MAPPED ? index * this.encodings[depth].span : 0;
      this.set(table.kind, table.frame + within, table.code);
    }
  }

  private set(kind: number, frame: number, code: number): void {
    this.kind = kind;
    this.frame = frame;
    this.code = code;
    this.and = 0;
    this.or = 0;
  }

  private codeOf(depth: number, low: number, high: number, and: number, or: number): number {
    const { codes, codeLows, codeHighs, paging } = this;
    const { alikeLow, alikeHigh, order } = this.encodings[depth];
    if (depth !== this.codesDepth || and !== this.codesAnd || or !== this.codesOr) {
      codes.fill(-1);
      this.codesDepth = depth;
      this.codesAnd = and;
      this.codesOr = or;
    }
    const plainLow = low & alikeLow;
    const plainHigh = high & alikeHigh;
    // Attributes are in bits 11:0 and 31:16 of the halves.
    const at = (plainLow ^ (plainLow >>> 6) ^ (plainHigh >>> 20) ^ (plainHigh >>> 26)) & (CODES - 1);
    const known = codes[at];
    if (known >= 0 && codeLows[at] === plainLow && codeHighs[at] === plainHigh) return known;
    const code = MappedCode.of(
      paging.rights(and, or, low, high),
      isGlobal(paging.format.facts, depth, low, and),
      this.withSizes ? order + 12 : 0,
      this.types.numberOf(paging.memoryType(depth, low, high)),
    );
    codes[at] = code;
    codeLows[at] = plainLow;
    codeHighs[at] = plainHigh;
    return code;
  }
}

/** Whether two formats split addresses alike: the same levels, entries and halves. */
export function areAlike({ format: a }: Paging, { format: b }: Paging): boolean {
  return (
    a.levels === b.levels &&
    a.entryShift === b.entryShift &&
    a.lowEnd === b.lowEnd &&
    a.highStart === b.highStart &&
    a.fact.architecture === b.fact.architecture &&
    a.fact.levels.every(
      ({ indexLow }, depth) =>
        indexLow === b.fact.levels[depth].indexLow && lastIndex(a.facts, depth) === lastIndex(b.facts, depth),
    )
  );
}
