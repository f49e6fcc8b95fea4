import type { BreakSpans } from './breaks.ts';

/** What of a range must be invalidated, as bits: translations of pages, and entries that lead to tables. */
export const PAGES = 1;
/** See {@link PAGES}. */
export const TABLES = 2;
/** Entries of the root that a processor keeps in registers: it must load the root anew. */
export const ROOT = 4;

/** Neighbouring pages that a processor must forget. Pages are counted without the hole between two halves. */
export interface StaleRange {
  readonly first: number;
  end: number;
  /** `log2` of the 4-KiB pages that one invalidation covers: the size of the pages that were there. */
  readonly order: number;
  /** {@link PAGES}, {@link TABLES} or both; or {@link ROOT}. */
  scope: number;
  readonly global: boolean;
  /** Whether it must be done before the entries that come in their place are written. */
  breaks: boolean;
}

/** Gathers what must be invalidated, in the order of addresses; neighbours that are alike become one range. */
export class StaleList {
  private list: StaleRange[] = [];
  /** Ranges before this one are not added to. */
  private floor = 0;

  get length(): number {
    return this.list.length;
  }

  add(first: number, end: number, order: number, scope: number, global: boolean, breaks: boolean): void {
    const last = this.list.length > this.floor ? this.list[this.list.length - 1] : undefined;
    if (
      last !== undefined &&
      last.end === first &&
      last.order === order &&
      last.scope === scope &&
      last.global === global &&
      last.breaks === breaks
    ) {
      last.end = end;
      return;
    }
    this.list.push({ first, end, order, scope, global, breaks });
  }

  /** What follows is not added to what came before; the number of ranges so far. */
  mark(): number {
    this.floor = this.list.length;
    return this.floor;
  }

  /** A table was removed above all that came since a mark: entries that lead to tables must be forgotten as well. */
  raise(mark: number): void {
    for (let i = mark; i < this.list.length; i += 1) this.list[i].scope |= TABLES;
  }

  /** Forgets all that came since a mark. */
  cut(mark: number): void {
    this.list.length = mark;
    this.floor = Math.min(this.floor, mark);
  }

  /** Ranges are invalidated in between exactly if their entries are absent then. */
  settle(spans: BreakSpans): void {
    for (const range of this.list) {
      if (range.breaks) range.breaks = spans.covers(range.first, range.end);
      else if (range.scope === TABLES) range.breaks = spans.leadsTo(range.first, range.end);
    }
  }

  /**
   * What is invalidated while its entry is absent is not remembered again, so it is left out of what comes at the end. A root is
   * loaded both times.
   */
  finish(): void {
    this.joinAll((a, b) => a.breaks === b.breaks || (a.breaks && a.scope !== ROOT));
  }

  /** Everything, neighbours joined, in the order of addresses; what another range covers is left out. */
  sorted(): StaleRange[] {
    this.joinAll((a, b) => a.breaks === b.breaks);
    return this.list.filter((range, i) => range.scope !== TABLES || !this.hasTablesBelow(range, i + 1));
  }

  /** Whether another range forgets entries on the way to some address in a range of tables, and so what leads to it as well. */
  private hasTablesBelow({ end, breaks, order }: StaleRange, from: number): boolean {
    for (let i = from; i < this.list.length && this.list[i].first < end; i += 1) {
      const other = this.list[i];
      if ((other.scope & TABLES) !== 0 && other.breaks === breaks && other.order < order) return true;
    }
    return false;
  }

  private joinAll(isInstead: (a: StaleRange, b: StaleRange) => boolean): void {
    if (this.list.length < 2) return;
    const sorted = this.list.sort(
      (a, b) =>
        a.first - b.first || b.end - a.end || b.scope - a.scope || Number(b.breaks) - Number(a.breaks),
    );
    this.list = [];
    this.floor = 0;
    // Of ranges alike, the last one.
    const open: StaleRange[] = [];
    for (const range of sorted) {
      if (open.some((other) => isInstead(other, range) && includes(other, range))) continue;
      const { first, end, order, scope, global, breaks } = range;
      const at = open.findIndex((other) => isAlike(other, range));
      if (at >= 0 && first < open[at].end) {
        open[at].end = end;
        continue;
      }
      this.add(first, end, order, scope, global, breaks);
      const added = this.list[this.list.length - 1];
      if (at < 0) open.push(added);
      else open[at] = added;
    }
  }
}

function isAlike(a: StaleRange, b: StaleRange): boolean {
  return a.order === b.order && a.global === b.global && a.scope === b.scope && a.breaks === b.breaks;
}

/** Whether a range that does not begin later holds all of another one. */
function includes(a: StaleRange, b: StaleRange): boolean {
  return a.end >= b.end && a.order === b.order && a.global === b.global && (a.scope & b.scope) === b.scope;
}
