import { PageTableError } from '../bits/index.ts';
import {
  andRights,
  groupOrder,
  isAccessed,
  isDirty,
  isGlobal,
  type MemoryType,
  orRights,
  type Paging,
} from '../format/index.ts';
import type { PhysicalMemory } from '../memory/index.ts';
import { ALL_PAGES, Cursor, DONE, FAULTY, MISSING, PAGE, type PageRange, TABLE } from '../walk/index.ts';

/** How often a row stands again: `count` times in all, `stride` pages apart. */
export interface Repeat {
  readonly count: number;
  readonly stride: number;
}

/**
 * When neighbouring pages make one region. All rules ask for contiguous pages with equal effective rights;
 * `physical` for contiguous frames, equal memory type and global bit too; `size` moreover for equal page size;
 * `attributes` moreover for equal accessed and dirty bits. With `none` each page stands by itself.
 */
export const MERGE_RULES = ['rights', 'physical', 'size', 'attributes', 'none'] as const;

/** One of {@link MERGE_RULES}. */
export type MergeRule = (typeof MERGE_RULES)[number];

/** A range of contiguous pages with equal effective rights; what else is equal, the {@link MergeRule} says. */
export interface MappedRegion extends Span {
  readonly kind: 'mapped';
  /** First frame; `undefined` where frames are not contiguous. */
  readonly frame: number | undefined;
  /** Effective rights, the bits of `format/rights.ts`. */
  readonly rights: number;
  /** `undefined` where there are several. */
  readonly memoryType: MemoryType | undefined;
  /** `undefined` where some pages are global and some not. */
  readonly global: boolean | undefined;
  /** `log2` of the bytes of each page size used, smallest first. */
  readonly pageShifts: readonly number[];
  /** `log2` of the bytes of each size of contiguous groups (AArch64, Svnapot) to which pages belong, smallest first. */
  readonly groupShifts: readonly number[];
  /** How many of the entries belong to a contiguous group. */
  readonly contiguous: number;
  /** Entries that map it, and how many of them are accessed and dirty. */
  readonly leaves: number;
  readonly accessed: number;
  readonly dirty: number;
}

/** A range whose tables lead to a table that was listed before: its rows are the ones there. */
export interface SharedRegion extends Span {
  readonly kind: 'shared';
  readonly depth: number;
  /** Frame of the table. */
  readonly frame: number;
  /** First page of the range where its rows stand. */
  readonly same: number;
  /** Entries that map pages, in one copy. */
  readonly leaves: number;
  /** The rows of the table by itself, counted from its first page. */
  readonly content: readonly Region[];
}

/** A range of which the table is not in the image: nobody knows what it maps. */
export interface MissingRegion extends Span {
  readonly kind: 'missing';
  readonly depth: number;
  /** Frame of the table. */
  readonly frame: number;
}

/** A range whose entry has a reserved bit set: every access to it faults. */
export interface FaultyRegion extends Span {
  readonly kind: 'faulty';
  readonly depth: number;
  /** Halves of the entry. */
  readonly low: number;
  readonly high: number;
}

interface Span {
  /** First page. */
  readonly first: number;
  /** One past the last page of the first copy. */
  readonly end: number;
  /** Present where the same stands more often. */
  readonly repeat?: Repeat;
}

/** A row of {@link listRegions}. */
export type Region = MappedRegion | SharedRegion | MissingRegion | FaultyRegion;

/** What is listed. */
export interface RegionOptions {
  /** Pages to list; regions are cut to it. All by default. */
  readonly range?: PageRange;
  /** `physical` by default. */
  readonly merge?: MergeRule;
  /** Lists every row by itself: no repetition folded, shared tables in full. */
  readonly all?: boolean;
  /** Rows at most; 1,000,000 by default. */
  readonly maxRows?: number;
}

/** Rows that a list may have unless its maker says otherwise. */
export const DEFAULT_MAX_ROWS = 1_000_000;

/** Copies from which repetition is folded into one row: two alike may be chance. */
const FOLD_FROM = 3;

/**
 * Lists what page tables map, in address order.
 *
 * Time and memory are bounded by the size of the tables, also where they point at themselves, unless `all` is set;
 * then by `maxRows`: of rows, and of what is met again.
 *
 * @throws {@link PageTableError} `OUT_OF_RANGE` if `maxRows` is less than 1, `LIMIT_EXCEEDED` if there would be more than `maxRows` rows, or `all` meets more than `maxRows` tables and pages again
 */
export function listRegions(memory: PhysicalMemory, paging: Paging, options: RegionOptions = {}): Region[] {
  return new Lister(memory, paging, options).list();
}

/** A table that was listed: where, how many leaves it leads to, and whether anything at all was said of it. */
interface Seen {
  readonly page: number;
  readonly leaves: number;
  /** Pages that its own entries map. */
  readonly pages: number;
  readonly empty: boolean;
}

/** 4-KiB pages by their `log2`, and lists of one page shift: each once, since there may be millions of rows. */
const SPANS = Float64Array.from({ length: 53 }, (_, order) => 2 ** order);
const SHIFTS: readonly (readonly number[])[] = Array.from({ length: 65 }, (_, shift) => [shift]);
const NO_SHIFTS: readonly number[] = [];

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
type Row = Mutable<MappedRegion> | Mutable<SharedRegion> | Mutable<MissingRegion> | Mutable<FaultyRegion>;

class Lister {
  private readonly memory: PhysicalMemory;
  private readonly paging: Paging;
  private readonly range: PageRange;
  private readonly merge: MergeRule;
  private readonly all: boolean;
  private readonly maxRows: number;
  /** Tables and pages read again because everything is to be unfolded. */
  private repeats = 0;
  /** Tables met, by frame, depth and inherited rights. */
  private readonly seen = new Map<string, Seen>();
  /** Rows of the tables that are met again, each by itself. */
  private readonly contents = new Map<string, readonly Region[]>();

  constructor(memory: PhysicalMemory, paging: Paging, options: RegionOptions) {
    this.memory = memory;
    this.paging = paging;
    this.range = options.range ?? ALL_PAGES;
    this.merge = options.merge ?? 'physical';
    this.all = options.all ?? false;
    this.maxRows = options.maxRows ?? DEFAULT_MAX_ROWS;
    if (!(this.maxRows >= 1)) {
      throw new PageTableError('OUT_OF_RANGE', `regions: maxRows ${this.maxRows}; expected at least 1`, {
        maxRows: this.maxRows,
      });
    }
  }

  list(): Region[] {
    const cursor = new Cursor(this.memory, this.paging, this.range);
    const rows = new RowList(this.range, this.merge, this.all, this.maxRows);
    this.visit(cursor, rows, this.range);
    return rows.finish();
  }

  /** Adds everything that a cursor still has to visit. */
  private visit(cursor: Cursor, rows: RowList, range: PageRange): void {
    const { facts } = this.paging.format;
    /** Tables being read: their key, where they begin, what was listed before them, and their own pages. */
    const open: { key: string; depth: number; page: number; leaves: number; added: number; pages: number }[] =
      [];
    const close = (depth: number) => {
      for (
        let last = open[open.length - 1];
        last !== undefined && last.depth > depth;
        last = open[open.length - 1]
      ) {
        open.pop();
        const leaves = rows.leaves - last.leaves;
        const empty = rows.added === last.added;
        this.seen.set(last.key, { page: last.page, leaves, pages: last.pages, empty });
      }
    };
    for (let event = cursor.next(); event !== DONE; event = cursor.next()) {
      const { depth, page, order, frame, low, high } = cursor;
      const end = page + SPANS[order];
      if (open.length > 0 && open[open.length - 1].depth > depth) close(depth);
      switch (event) {
        case PAGE: {
          const rights = this.paging.rights(cursor.and, cursor.or, low, high);
          const memoryType = this.paging.memoryType(depth, low, high);
          const global = isGlobal(facts, depth, low, cursor.and);
          // Neighbours that go on alike are one row, unless there is to be one of each.
          const count = this.merge === 'none' ? 1 : 1 + cursor.skipAlike();
          rows.addPages(count, page, order, frame, rights, memoryType, global, low, high, facts, depth);
          const table = open[open.length - 1];
          if (table?.depth === depth) table.pages += count;
          break;
        }
        case MISSING:
          rows.add({ kind: 'missing', first: page, end, depth, frame });
          break;
        case FAULTY:
          rows.add({ kind: 'faulty', first: page, end, depth, low, high });
          break;
        case TABLE: {
          // Of a table that reaches out of the range, only a part is read here.
          if (page < range.first || end > range.end) break;
          const and = andRights(facts, depth, cursor.and, low);
          const or = orRights(facts, depth, cursor.or, high);
          const key = `${frame} ${depth + 1} ${and} ${or}`;
          const seen = this.seen.get(key);
          if (seen === undefined) {
            open.push({ key, depth: depth + 1, page, leaves: rows.leaves, added: rows.added, pages: 0 });
            break;
          }
          if (this.all && !seen.empty) {
            this.countRepeat(1 + seen.pages);
            break;
          }
          cursor.skip();
          if (seen.empty) break;
          const content = this.contentOf(key, frame, depth + 1, and, or);
          if (content.length === 1 && content[0].kind !== 'shared') rows.addCopy(content[0], page);
          else
            rows.addShared({
              kind: 'shared',
              first: page,
              end,
              depth: depth + 1,
              frame,
              same: seen.page,
              leaves: seen.leaves,
              content,
            });
          break;
        }
      }
    }
    close(-1);
  }

  /** Bounds the work where rows do not: tables that lead to themselves can hold less than they take to read. */
  private countRepeat(count: number): void {
    this.repeats += count;
    if (this.repeats > this.maxRows) throw tooMany('tables and pages met again', this.maxRows);
  }

  /** The rows of a table by itself, counted from its first page. */
  private contentOf(key: string, frame: number, depth: number, and: number, or: number): readonly Region[] {
    const known = this.contents.get(key);
    if (known !== undefined) return known;
    const cursor = new Cursor(this.memory, this.paging);
    cursor.start({ depth, frame, page: 0, and, or });
    const rows = new RowList(ALL_PAGES, this.merge, false, this.maxRows);
    this.visit(cursor, rows, ALL_PAGES);
    const content = rows.finish();
    this.contents.set(key, content);
    return content;
  }
}

/** Rows in the making: pages are merged into the last row, and repetition is folded. */
class RowList {
  /** Leaves added so far, copies included. */
  leaves = 0;
  /** Pages and rows added so far. */
  added = 0;
  private readonly rows: Row[] = [];
  private readonly range: PageRange;
  private readonly rule: MergeRule;
  private readonly all: boolean;
  private readonly maxRows: number;

  constructor(range: PageRange, rule: MergeRule, all: boolean, maxRows: number) {
    this.range = range;
    this.rule = rule;
    this.all = all;
    this.maxRows = maxRows;
  }

  /** Adds pages that go on alike, of which the first is given: to the last row if they continue it. */
  addPages(
    count: number,
    page: number,
    order: number,
    frame: number,
    rights: number,
    memoryType: MemoryType,
    global: boolean,
    low: number,
    high: number,
    facts: Int32Array,
    depth: number,
  ): void {
    const first = Math.max(page, this.range.first);
    const end = Math.min(page + count * SPANS[order], this.range.end);
    const start = frame + (first - page);
    const accessed = isAccessed(facts, depth, low) ? count : 0;
    const dirty = isDirty(facts, depth, low, high) ? count : 0;
    const group = groupOrder(facts, depth, high);
    this.leaves += count;
    const last = this.rows.length === 0 ? undefined : this.rows[this.rows.length - 1];
    if (
      last?.kind === 'mapped' &&
      this.rule === 'physical' &&
      group === 0 &&
      last.repeat === undefined &&
      last.end === first &&
      last.rights === rights &&
      last.frame !== undefined &&
      last.frame + (first - last.first) === start &&
      last.memoryType === memoryType &&
      last.global === global &&
      last.pageShifts === SHIFTS[order + 12] &&
      last.groupShifts === NO_SHIFTS
    ) {
      // What merging comes to for a page like all those of the row.
      this.added += 1;
      last.end = end;
      last.leaves += count;
      last.accessed += accessed;
      last.dirty += dirty;
      return;
    }
    this.merge({
      kind: 'mapped',
      first,
      end,
      frame: start,
      rights,
      memoryType,
      global,
      pageShifts: SHIFTS[order + 12],
      groupShifts: group === 0 ? NO_SHIFTS : SHIFTS[group + 12],
      contiguous: group === 0 ? 0 : 1,
      leaves: count,
      accessed,
      dirty,
    });
  }

  /** Adds a copy of a row that is relative to `page`. */
  addCopy(row: Region, page: number): void {
    const copy = { ...row, first: row.first + page, end: row.end + page };
    if (copy.kind !== 'mapped') {
      this.add(copy);
      return;
    }
    this.leaves += copy.leaves * (copy.repeat?.count ?? 1);
    this.merge(copy);
  }

  /** Adds a reference to a table that stands elsewhere. */
  addShared(row: SharedRegion): void {
    this.leaves += row.leaves;
    this.add({ ...row });
  }

  /** Adds a mapped row: to the last row if it continues it. */
  private merge(row: Mutable<MappedRegion>): void {
    const last = this.rows[this.rows.length - 1];
    if (last?.kind !== 'mapped' || !continues(last, row, this.rule)) {
      this.add(row);
      return;
    }
    this.added += 1;
    if (!frameContinues(last, row)) last.frame = undefined;
    if (!sameType(last, row)) last.memoryType = undefined;
    if (last.global !== row.global) last.global = undefined;
    last.end = row.end;
    last.leaves += row.leaves;
    last.accessed += row.accessed;
    last.dirty += row.dirty;
    last.contiguous += row.contiguous;
    last.pageShifts = union(last.pageShifts, row.pageShifts);
    last.groupShifts = union(last.groupShifts, row.groupShifts);
  }

  add(row: Row): void {
    this.added += 1;
    row.first = Math.max(row.first, this.range.first);
    row.end = Math.min(row.end, this.range.end);
    // The last row is complete now: only a complete row can be another copy of the one before.
    this.foldLast();
    this.rows.push(row);
    // One more may be folded yet.
    if (this.rows.length > this.maxRows + 1) throw tooMany('rows', this.maxRows);
  }

  finish(): Region[] {
    this.foldLast();
    if (this.rows.length <= this.maxRows && this.rows.every(isComplete)) return this.rows;
    const rows: Region[] = [];
    for (const row of this.rows) {
      if (row.repeat === undefined || isComplete(row)) {
        rows.push(row);
        continue;
      }
      const { repeat, ...plain } = row;
      for (let i = 0; i < repeat.count; i += 1) {
        rows.push({ ...plain, first: plain.first + i * repeat.stride, end: plain.end + i * repeat.stride });
      }
    }
    if (rows.length > this.maxRows) throw tooMany('rows', this.maxRows);
    return rows;
  }

  /** Folds the last row into the one before if it is the next copy of it. */
  private foldLast(): void {
    if (this.all || this.rows.length < 2) return;
    const row = this.rows[this.rows.length - 1];
    const before = this.rows[this.rows.length - 2];
    const distance = row.first - before.first;
    const count = before.repeat?.count ?? 1;
    const stride = before.repeat?.stride ?? row.repeat?.stride ?? distance;
    if (distance !== count * stride || (row.repeat?.stride ?? stride) !== stride || !alike(before, row))
      return;
    before.repeat = { count: count + (row.repeat?.count ?? 1), stride };
    this.rows.pop();
  }
}

/** Whether a row stays one row. */
function isComplete({ repeat }: Row): boolean {
  return repeat === undefined || repeat.count >= FOLD_FROM;
}

function tooMany(what: string, maxRows: number): PageTableError {
  return new PageTableError(
    'LIMIT_EXCEEDED',
    `regions: more than ${maxRows} ${what}; narrow the range or raise the limit`,
    { maxRows },
  );
}

/** Whether a row continues the one before under a rule. */
function continues(last: MappedRegion, row: MappedRegion, rule: MergeRule): boolean {
  if (rule === 'none' || last.repeat !== undefined || row.repeat !== undefined) return false;
  if (last.end !== row.first || last.rights !== row.rights) return false;
  if (rule === 'rights') return true;
  if (!frameContinues(last, row) || !sameType(last, row) || last.global !== row.global) return false;
  if (rule === 'physical') return true;
  if (!sameSizes(last, row)) return false;
  // Under this rule the counts of a row are 0 or all.
  return rule === 'size' || (last.accessed > 0 === row.accessed > 0 && last.dirty > 0 === row.dirty > 0);
}

/** Types of one name are one type, whichever entry of the machine's table they come from. */
function sameType(a: MappedRegion, b: MappedRegion): boolean {
  return a.memoryType === b.memoryType || a.memoryType?.name === b.memoryType?.name;
}

function sameSizes(a: MappedRegion, b: MappedRegion): boolean {
  return a.pageShifts.join() === b.pageShifts.join() && a.groupShifts.join() === b.groupShifts.join();
}

/** The numbers of two short lists, smallest first; the first list itself if it has them all. */
function union(list: readonly number[], more: readonly number[]): readonly number[] {
  const added = more.filter((one) => !list.includes(one));
  return added.length === 0 ? list : [...list, ...added].sort((a, b) => a - b);
}

function frameContinues(last: MappedRegion, row: MappedRegion): boolean {
  return last.frame !== undefined && last.frame + (last.end - last.first) === row.frame;
}

/** Whether two rows say the same of different pages. */
function alike(a: Row, b: Row): boolean {
  if (a.end - a.first !== b.end - b.first) return false;
  if (a.kind === 'mapped' && b.kind === 'mapped') {
    return (
      a.frame !== undefined &&
      a.frame === b.frame &&
      a.rights === b.rights &&
      sameType(a, b) &&
      a.global === b.global &&
      a.leaves === b.leaves &&
      a.accessed === b.accessed &&
      a.dirty === b.dirty &&
      sameSizes(a, b)
    );
  }
  if (a.kind === 'shared' && b.kind === 'shared')
    return a.frame === b.frame && a.same === b.same && a.depth === b.depth;
  if (a.kind === 'missing' && b.kind === 'missing') return a.frame === b.frame && a.depth === b.depth;
  if (a.kind === 'faulty' && b.kind === 'faulty')
    return a.low === b.low && a.high === b.high && a.depth === b.depth;
  return false;
}
