import type { PageMeaning, RegionChange, Repeat } from 'tablewalk/inspect';

/** A change, and how often it stands at a fixed stride. */
export interface FoldedChange extends RegionChange {
  readonly repeat: Repeat | undefined;
}

/** Copies from which repetition is folded, as in the rows of `maps`. */
const FOLD_FROM = 3;

/** Rows that may repeat together, as a page and the gap behind it do. */
const MAX_PERIOD = 4;

/** Makes one row of changes that are alike to the frame, and stand again and again at a fixed stride, one or a few together. */
export function foldChanges(changes: readonly RegionChange[]): FoldedChange[] {
  const rows: FoldedChange[] = [];
  for (let i = 0; i < changes.length; ) {
    let period = 1;
    let count = copiesAt(changes, i, period);
    while (count < FOLD_FROM && period < MAX_PERIOD) {
      period += 1;
      count = copiesAt(changes, i, period);
    }
    if (count < FOLD_FROM) {
      rows.push({ ...changes[i], repeat: undefined });
      i += 1;
      continue;
    }
    const stride = changes[i + period].first - changes[i].first;
    for (const one of changes.slice(i, i + period)) rows.push({ ...one, repeat: { count, stride } });
    i += period * count;
  }
  return rows;
}

/** How often the `period` changes from a place on stand there one after the other, at one stride. */
function copiesAt(changes: readonly RegionChange[], start: number, period: number): number {
  if (start + period >= changes.length) return 1;
  const stride = changes[start + period].first - changes[start].first;
  let i = start;
  while (
    i + period < changes.length &&
    changes[i + period].first - changes[i].first === stride &&
    isAlike(changes[i], changes[i + period])
  )
    i += 1;
  return 1 + Math.floor((i - start) / period);
}

function isAlike(a: RegionChange, b: RegionChange): boolean {
  return a.end - a.first === b.end - b.first && means(a.before, b.before) && means(a.after, b.after);
}

/** Whether two meanings are the same. */
function means(a: PageMeaning | undefined, b: PageMeaning | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  switch (a.kind) {
    case 'mapped':
      return (
        b.kind === 'mapped' &&
        a.frame === b.frame &&
        a.rights === b.rights &&
        a.memoryType === b.memoryType &&
        a.global === b.global
      );
    case 'missing':
      return b.kind === 'missing' && a.depth === b.depth && a.frame === b.frame;
    case 'faulty':
      return b.kind === 'faulty';
  }
}
