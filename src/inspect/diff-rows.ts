import { copyOf, MAPPED, type Meaning } from './diff-side.ts';

/** A change in the making. */
export interface Row {
  readonly first: number;
  end: number;
  readonly before: Meaning;
  readonly after: Meaning;
}

/** Of what two tables map: no change, one, or several. One alone may go on in what comes next, without end. */
export type Found = undefined | Row | typeof SEVERAL;
/** More than one change. */
export const SEVERAL = 'several';

/** What a range means from some page of it on. */
export function cut(meaning: Meaning, pages: number): Meaning {
  return meaning.kind === MAPPED && pages > 0 ? { ...meaning, frame: meaning.frame + pages } : meaning;
}

/** A row of its own: what it is made of may change later. */
export function rowOf(first: number, end: number, before: Meaning, after: Meaning): Row {
  return { first, end, before: copyOf(before), after: copyOf(after) };
}

/** The same row so many pages later. */
export function moved(row: Row, pages: number): Row {
  return { ...row, first: row.first + pages, end: row.end + pages };
}

/** Adds pages to a row if they are its next ones, and their change is the same, with frames that go on. */
export function extend(row: Row, first: number, end: number, before: Meaning, after: Meaning): boolean {
  if (row.end !== first) return false;
  const length = first - row.first;
  if (!goesOn(row.before, before, length) || !goesOn(row.after, after, length)) return false;
  row.end = end;
  return true;
}

function goesOn(last: Meaning, next: Meaning, length: number): boolean {
  return (
    last.kind === next.kind &&
    last.code === next.code &&
    last.frame + (last.kind === MAPPED ? length : 0) === next.frame
  );
}

/** What was found in two neighbours together. */
export function join(found: Found, next: Found): Found {
  if (found === undefined || next === undefined) return found ?? next;
  if (found === SEVERAL || next === SEVERAL) return SEVERAL;
  return extend(found, next.first, next.end, next.before, next.after) ? found : SEVERAL;
}
