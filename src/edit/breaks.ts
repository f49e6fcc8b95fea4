import type { EntryEncoder } from '../format/index.ts';
import { type Change, type EditedTable, POINT } from './change.ts';

/** Pages whose entries are absent for a time, as ranges in the order of addresses. */
export class BreakSpans {
  private readonly spans: readonly Span[];
  /** What copies of tables map whose pointer is absent for a time. */
  private readonly copies: readonly Span[];

  constructor(spans: readonly Span[], copies: readonly Span[]) {
    this.spans = joined(spans);
    this.copies = copies;
  }

  /** Whether all entries for a range are absent. */
  covers(first: number, end: number): boolean {
    const { spans } = this;
    let low = 0;
    let high = spans.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (spans[middle].end <= first) low = middle + 1;
      else high = middle;
    }
    return low < spans.length && spans[low].first <= first && end <= spans[low].end;
  }

  /** Whether a range is that of a copied table whose pointer is absent. */
  leadsTo(first: number, end: number): boolean {
    return this.copies.some((copy) => copy.first <= first && end <= copy.end);
  }
}

interface Span {
  readonly first: number;
  readonly end: number;
}

/**
 * The pages whose entries are absent for a time.
 *
 * Where an entry of a copied table asks for that, the entry in the table that processors see is the one to be absent, which leads
 * to the copy.
 */
export function breakSpans(changes: readonly Change[], { levels }: EntryEncoder): BreakSpans {
  const copies = new Map<EditedTable, Span>();
  for (const { breaks, table } of changes) {
    // Nobody has seen a new table that is no copy.
    if (!breaks || table.copyOf < 0) continue;
    let copy = table;
    while (copy.parent?.isNew) copy = copy.parent;
    if (copy.parent === undefined || copies.has(copy)) continue;
    copies.set(copy, { first: copy.page, end: copy.page + 2 ** levels[copy.parent.depth].order });
  }
  if (copies.size > 0) {
    for (const change of changes) {
      if (change.kind === POINT && change.child !== undefined && copies.has(change.child))
        change.breaks = true;
    }
  }
  const spans = changes
    .filter(({ breaks, table }) => breaks && !table.isNew)
    .map(({ table, index, count }): Span => {
      const span = 2 ** levels[table.depth].order;
      return { first: table.page + index * span, end: table.page + (index + count) * span };
    });
  return new BreakSpans(spans, [...copies.values()]);
}

function joined(spans: readonly Span[]): Span[] {
  const list: { first: number; end: number }[] = [];
  for (const { first, end } of [...spans].sort((a, b) => a.first - b.first)) {
    const last = list[list.length - 1];
    if (last !== undefined && first <= last.end) last.end = Math.max(last.end, end);
    else list.push({ first, end });
  }
  return list;
}
