import type { PageOptions } from '../../src/space/index.ts';

/** What is mapped from `first` to `end`, pages of 4 KiB. */
export interface ModelRange {
  readonly first: bigint;
  readonly end: bigint;
  /** Frame of the first page. */
  readonly frame: bigint;
  readonly options: Required<Pick<PageOptions, 'rights' | 'user' | 'type' | 'global'>>;
}

/** An address space as a sorted list of ranges: what an edit of page tables must come to. */
export class RangeModel {
  private list: readonly ModelRange[] = [];

  get ranges(): readonly ModelRange[] {
    return this.list;
  }

  copy(): RangeModel {
    const copy = new RangeModel();
    copy.list = this.list;
    return copy;
  }

  at(page: bigint): ModelRange | undefined {
    return this.list.find(({ first, end }) => first <= page && page < end);
  }

  /** Ranges joined where one goes on as the one before ends. */
  merged(): ModelRange[] {
    const joined: ModelRange[] = [];
    for (const range of this.list) {
      const last = joined[joined.length - 1];
      const goesOn =
        last?.end === range.first &&
        last.frame + (last.end - last.first) === range.frame &&
        (['rights', 'user', 'type', 'global'] as const).every(
          (name) => last.options[name] === range.options[name],
        );
      if (goesOn) joined[joined.length - 1] = { ...last, end: range.end };
      else joined.push(range);
    }
    return joined;
  }

  /** Whether something in a range is mapped. */
  touches(first: bigint, end: bigint): boolean {
    return this.list.some((range) => range.first < end && first < range.end);
  }

  /** First page in a range that is not mapped. */
  hole(first: bigint, end: bigint): bigint | undefined {
    let page = first;
    for (const range of this.list) if (range.first <= page && page < range.end) page = range.end;
    return page < end ? page : undefined;
  }

  unmap(first: bigint, end: bigint): void {
    this.list = this.list.flatMap((range) => {
      if (range.end <= first || end <= range.first) return [range];
      return [cut(range, range.first, first), cut(range, end, range.end)].filter(
        (one) => one.first < one.end,
      );
    });
  }

  map(range: ModelRange): void {
    this.unmap(range.first, range.end);
    this.list = [...this.list, range].sort((a, b) => (a.first < b.first ? -1 : 1));
  }

  /** Maps the holes of a range only. */
  keep(range: ModelRange): void {
    const before = this.list.filter(({ first, end }) => first < range.end && range.first < end);
    let page = range.first;
    const holes: ModelRange[] = [];
    for (const one of before) {
      if (page < one.first) holes.push(cut(range, page, one.first));
      page = one.end;
    }
    if (page < range.end) holes.push(cut(range, page, range.end));
    this.list = [...this.list, ...holes].sort((a, b) => (a.first < b.first ? -1 : 1));
  }

  protect(first: bigint, end: bigint, change: Partial<ModelRange['options']>): void {
    this.list = this.list.flatMap((range) => {
      if (range.end <= first || end <= range.first) return [range];
      const inner = cut(range, first > range.first ? first : range.first, end < range.end ? end : range.end);
      const changed = { ...inner, options: { ...inner.options, ...change } };
      return [cut(range, range.first, first), changed, cut(range, end, range.end)].filter(
        (one) => one.first < one.end,
      );
    });
  }
}

function cut(range: ModelRange, first: bigint, end: bigint): ModelRange {
  return { ...range, first, end, frame: range.frame + first - range.first };
}
