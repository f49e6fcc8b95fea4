import { PageTableError } from '../bits/index.ts';
import { lastIndex, type Paging, withHole } from '../format/index.ts';
import { ABSENT, type PhysicalMemory } from '../memory/index.ts';
import { ALL_PAGES, type PageRange } from '../walk/index.ts';
import { cut, extend, type Found, join, moved, type Row, rowOf, SEVERAL } from './diff-rows.ts';
import {
  ABSENT_TABLE,
  areAlike,
  BY_TABLE,
  copyOf,
  DiffSide,
  MAPPED,
  MappedCode,
  type Meaning,
  TypeNames,
  UNMAPPED,
} from './diff-side.ts';
import { makeTheSame } from './page-bits.ts';

/** Page tables: where they lie, and what they mean. */
export interface PagingView {
  readonly memory: PhysicalMemory;
  readonly paging: Paging;
}

/** What a range of pages means on one side; `undefined` stands for nothing mapped. */
export type PageMeaning =
  | {
      readonly kind: 'mapped';
      /** Frame of the first page. */
      readonly frame: number;
      /** Effective rights, the bits of `format/rights.ts`. */
      readonly rights: number;
      /** Name of the memory type. */
      readonly memoryType: string;
      readonly global: boolean;
      /** `log2` of the bytes of the pages; only where sizes are compared. */
      readonly pageShift: number | undefined;
    }
  /** A table that would decide is not in memory: its depth, and its frame. */
  | { readonly kind: 'missing'; readonly depth: number; readonly frame: number }
  /** An entry on the way has a reserved bit set. */
  | { readonly kind: 'faulty' };

/** Contiguous pages that changed alike. */
export interface RegionChange {
  /** First 4-KiB page. */
  readonly first: number;
  /** One past the last page. */
  readonly end: number;
  readonly before: PageMeaning | undefined;
  readonly after: PageMeaning | undefined;
}

/** What is compared, and how much is listed. */
export interface DiffOptions {
  /** Pages to compare; changes are cut to it. All by default. */
  readonly range?: PageRange;
  /** Whether pages that differ in size alone are a change; they are not by default. */
  readonly sizes?: boolean;
  /** Changes at most; 10,000 by default. */
  readonly maxRows?: number;
  /** Different pairs of tables that are compared at most; 1,048,576 by default. */
  readonly maxTables?: number;
}

/** What {@link diffRegions} found. */
export interface RegionDiff {
  /** In address order. */
  readonly changes: readonly RegionChange[];
  /** Whether a limit ended the comparison. */
  readonly more: boolean;
  /** The list is complete for all pages below this one. */
  readonly end: number;
}

/** Changes that are listed unless their maker says otherwise. */
export const DEFAULT_MAX_CHANGES = 10_000;
const DEFAULT_MAX_TABLES = 2 ** 20;

/**
 * Which linear addresses mean something else after than before: another physical address, other effective rights, another
 * memory type, or global or not. Accessed and dirty bits do not count, nor do the tables themselves.
 *
 * Two tables are compared once for each depth and each set of rights that the entries above leave; they are compared again, at
 * each place, only if there is more than one change in them. Where the memory is the very same object on both sides, and registers make the same of entries,
 * tables that both sides share are passed over. The work is bounded by `maxTables` and `maxRows`, whatever the tables hold:
 * where one of them ends the list, go on with a `range` from its `end`.
 *
 * @throws {@link PageTableError} `BAD_ARGUMENT` if the formats split addresses differently; `OUT_OF_RANGE` if the range is not
 *   one of whole numbers in [0, 2^52], or a limit is not at least 1
 */
export function diffRegions(before: PagingView, after: PagingView, options: DiffOptions = {}): RegionDiff {
  return new Differ(before, after, options).compare();
}

class Differ {
  private readonly before: DiffSide;
  private readonly after: DiffSide;
  private readonly names = new TypeNames();
  private readonly range: PageRange;
  private readonly withSizes: boolean;
  private readonly maxRows: number;
  /** Different pairs of tables that may still be compared. */
  private left: number;
  private readonly sameMemory: boolean;
  private readonly samePaging: boolean;
  /** Pairs of tables that were compared as a whole, and what was found; rows are counted from the first page. */
  private readonly known = new Map<string, Found>();
  private readonly rows: Row[] = [];
  private end = ALL_PAGES.end;
  private more = false;

  constructor(before: PagingView, after: PagingView, options: DiffOptions) {
    const { maxRows = DEFAULT_MAX_CHANGES, maxTables = DEFAULT_MAX_TABLES, range = ALL_PAGES } = options;
    if (!areAlike(before.paging, after.paging)) {
      const [a, b] = [before.paging.format.fact.title, after.paging.format.fact.title];
      throw new PageTableError(
        'BAD_ARGUMENT',
        `diff: the tables before are ${a}, those after ${b}; expected formats that split addresses alike`,
        { before: a, after: b },
      );
    }
    for (const [name, value] of Object.entries({ maxRows, maxTables })) {
      if (!(value >= 1)) {
        throw new PageTableError('OUT_OF_RANGE', `diff: ${name} ${value}; expected at least 1`, {
          [name]: value,
        });
      }
    }
    const { first, end } = range;
    if (!(Number.isInteger(first) && Number.isInteger(end) && first >= 0 && first <= end && end <= 2 ** 52)) {
      throw new PageTableError(
        'OUT_OF_RANGE',
        `diff: pages [${first}, ${end}); expected whole numbers in [0, 2^52], the first not above the end`,
        { first, end },
      );
    }
    this.range = range;
    this.end = end;
    this.withSizes = options.sizes ?? false;
    this.before = new DiffSide(before.memory, before.paging, this.names, this.withSizes);
    this.after = new DiffSide(after.memory, after.paging, this.names, this.withSizes);
    this.maxRows = maxRows;
    this.left = maxTables;
    this.sameMemory = before.memory === after.memory;
    this.samePaging = makeTheSame(before.paging, after.paging);
  }

  compare(): RegionDiff {
    this.visit(0, this.before.root(), this.after.root(), 0);
    const changes = this.rows.map(({ first, end, before, after }) => ({
      first,
      end,
      before: this.meaningOf(before),
      after: this.meaningOf(after),
    }));
    return { changes, more: this.more, end: this.end };
  }

  /**
   * Compares two tables, or a table with what the other side has in its whole range.
   *
   * @param page - first page of the range; of the root without the hole between two halves
   * @returns what was found; where it was stopped, not all
   */
  private visit(depth: number, a: Meaning, b: Meaning, page: number): Found {
    const { before, after, samePaging, sameMemory } = this;
    const { format } = before.paging;
    const { entryShift, indexScale } = format;
    const span = 1 / indexScale[depth];
    const partMask = (1024 >>> entryShift) - 1;
    const alike = samePaging && a.kind === b.kind && a.and === b.and && a.or === b.or;
    const [first, limit] = this.indices(depth, page);
    let found: Found;
    let baseA = ABSENT;
    let baseB = ABSENT;
    for (let index = first; index < limit; index += 1) {
      if (index === first || (index & partMask) === 0) {
        const part = index >>> (10 - entryShift);
        baseA = before.baseOf(a, depth, part);
        baseB = after.baseOf(b, depth, part);
      }
      const offset = (index & partMask) << entryShift;
      if (baseA !== ABSENT) before.load(baseA + offset);
      if (baseB !== ABSENT) after.load(baseB + offset);
      if (alike && baseA !== ABSENT && baseB !== ABSENT) {
        const isSame = before.low === after.low && before.high === after.high;
        if (isSame && (sameMemory || !before.leadsDown(depth))) continue;
      }
      if (baseA === ABSENT) before.derive(a, depth, index);
      else before.decode(a, depth, index);
      if (baseB === ABSENT) after.derive(b, depth, index);
      else after.decode(b, depth, index);
      const start = page + index * span;
      const at = depth === 0 ? withHole(format, start) : start;
      if (before.kind === BY_TABLE || after.kind === BY_TABLE) {
        found = join(found, this.descend(depth + 1, copyOf(before), copyOf(after), at));
      } else if (before.kind !== after.kind || before.frame !== after.frame || before.code !== after.code) {
        this.emit(at, at + span, before, after);
        if (found === undefined) found = rowOf(at, at + span, before, after);
        else if (found !== SEVERAL && !extend(found, at, at + span, before, after)) found = SEVERAL;
      }
      if (this.more) break;
    }
    return found;
  }

  /** {@link visit}, unless what it finds is known: a table with several changes is read again, each time for more of them. */
  private descend(depth: number, a: Meaning, b: Meaning, page: number): Found {
    const key = `${depth} ${keyOf(a)} ${keyOf(b)}`;
    const isKnown = this.known.has(key);
    const known = this.known.get(key);
    if (isKnown && known === undefined) return undefined;
    if (known !== undefined && known !== SEVERAL) {
      const row = moved(known, page);
      this.emit(row.first, row.end, row.before, row.after);
      return row;
    }
    if (!isKnown) {
      if (this.left === 0) {
        this.stop(page);
        return undefined;
      }
      this.left -= 1;
    }
    const found = this.visit(depth, a, b, page);
    const span = 1 / this.before.paging.format.indexScale[depth - 1];
    const isWhole = page >= this.range.first && page + span <= this.range.end;
    if (isWhole && !this.more) {
      this.known.set(key, found === undefined || found === SEVERAL ? found : moved(found, -page));
    }
    return found;
  }

  /** The entries of a table that reach into the range. */
  private indices(depth: number, page: number): readonly [first: number, limit: number] {
    const { facts, indexScale, lowEnd, highStart } = this.before.paging.format;
    const { range } = this;
    const hole = depth === 0 ? highStart - lowEnd : 0;
    // In the root, the upper half follows the lower one.
    const place = (at: number) => (at <= lowEnd || hole === 0 ? at : Math.max(lowEnd, at - hole));
    const scale = indexScale[depth];
    const entries = lastIndex(facts, depth) + 1;
    return [
      Math.min(entries, Math.max(0, Math.floor((place(range.first) - page) * scale))),
      Math.min(entries, Math.max(0, Math.ceil((place(range.end) - page) * scale))),
    ];
  }

  /** Adds a change: to the last one if it goes on alike. */
  private emit(start: number, rowEnd: number, a: Meaning, b: Meaning): void {
    const first = Math.max(start, this.range.first);
    const end = Math.min(rowEnd, this.range.end);
    // A row that was found in a table which only reaches into the range can lie outside.
    if (first >= end) return;
    const before = cut(a, first - start);
    const after = cut(b, first - start);
    const last = this.rows[this.rows.length - 1];
    if (last !== undefined && extend(last, first, end, before, after)) return;
    if (this.rows.length === this.maxRows) this.stop(first);
    else this.rows.push(rowOf(first, end, before, after));
  }

  private stop(page: number): void {
    this.more = true;
    this.end = Math.max(page, this.range.first);
  }

  private meaningOf({ kind, frame, code }: Meaning): PageMeaning | undefined {
    if (kind === UNMAPPED) return undefined;
    if (kind === ABSENT_TABLE) return { kind: 'missing', depth: code, frame };
    if (kind !== MAPPED) return { kind: 'faulty' };
    return {
      kind: 'mapped',
      frame,
      rights: MappedCode.rights(code),
      memoryType: this.names.names[MappedCode.type(code)],
      global: MappedCode.global(code),
      pageShift: this.withSizes ? MappedCode.pageShift(code) : undefined,
    };
  }
}

function keyOf({ kind, frame, code, and, or }: Meaning): string {
  return `${kind} ${frame} ${code} ${and} ${or}`;
}
