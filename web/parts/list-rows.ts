/** A list of rows of one height, of which a part is seen. Lengths are CSS pixels. */
export interface ListSize {
  /** Rows; any number. */
  readonly count: number;
  readonly rowHeight: number;
  /** Height of the part that is seen, without the header. */
  readonly view: number;
}

/** Where a list is: what the browser says, and what it stands for. */
export interface ListPosition {
  /** In `[0, contentHeight - view]`. */
  readonly scrollTop: number;
  /** Pixels of rows above the part that is seen; more than `scrollTop` can be where the list is taller than an element. */
  readonly offset: number;
}

/** The tallest element made. Browsers end at 16 to 33 million pixels. */
export const MAX_HEIGHT = 10_000_000;

/** Rows drawn above and below the part that is seen. */
const AROUND = 8;

/** Height of the element that holds the rows. */
export function contentHeight({ count, rowHeight }: ListSize): number {
  return Math.min(count * rowHeight, MAX_HEIGHT);
}

/** Where the reader is after the browser has scrolled. */
export function scrolledTo(size: ListSize, before: ListPosition, scrollTop: number): ListPosition {
  const lastTop = lastScrollTop(size);
  if (lastOffset(size) === lastTop) return { scrollTop, offset: clampOffset(size, scrollTop) };
  if (scrollTop <= 0) return { scrollTop, offset: 0 };
  if (scrollTop >= lastTop) return { scrollTop, offset: lastOffset(size) };
  const by = scrollTop - before.scrollTop;
  // A wheel or a finger moves rows as far as it moves; the scroll bar goes anywhere.
  const offset = Math.abs(by) <= size.view ? before.offset + by : offsetAt(size, scrollTop);
  return { scrollTop, offset: clampOffset(size, offset) };
}

/** The position at an offset. */
export function positionAt(size: ListSize, offset: number): ListPosition {
  const at = clampOffset(size, offset);
  const last = lastOffset(size);
  return { scrollTop: last === 0 ? 0 : Math.round((at / last) * lastScrollTop(size)), offset: at };
}

/** The rows `[from, to)` to draw. */
export function rowsAt({ count, rowHeight, view }: ListSize, offset: number): { from: number; to: number } {
  return {
    from: Math.min(count, Math.max(0, Math.floor(offset / rowHeight) - AROUND)),
    to: Math.min(count, Math.ceil((offset + view) / rowHeight) + AROUND),
  };
}

/** The offset nearest to one at which the whole of a row is seen. */
export function offsetShowing(size: ListSize, offset: number, row: number): number {
  const top = row * size.rowHeight;
  return clampOffset(size, Math.max(Math.min(offset, top), top + size.rowHeight - size.view));
}

/** The offset at which a row stands in the middle, as far as the ends allow. */
export function offsetAround(size: ListSize, row: number): number {
  return clampOffset(size, (row + 0.5) * size.rowHeight - size.view / 2);
}

/** The row to which a key leads from another; `undefined` if it leads nowhere. Rows of which there are none are not led to. */
export function rowAfterKey(size: ListSize, row: number | undefined, key: string): number | undefined {
  const page = Math.max(1, Math.floor(size.view / size.rowHeight) - 1);
  const steps: Record<string, number> = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page };
  const last = size.count - 1;
  if (last < 0) return undefined;
  if (key === 'Home') return 0;
  if (key === 'End') return last;
  const step = Object.hasOwn(steps, key) ? steps[key] : undefined;
  if (step === undefined) return undefined;
  return row === undefined ? 0 : Math.min(last, Math.max(0, row + step));
}

function lastScrollTop(size: ListSize): number {
  return Math.max(0, contentHeight(size) - size.view);
}

function lastOffset({ count, rowHeight, view }: ListSize): number {
  return Math.max(0, count * rowHeight - view);
}

function clampOffset(size: ListSize, offset: number): number {
  return Math.min(lastOffset(size), Math.max(0, offset));
}

function offsetAt(size: ListSize, scrollTop: number): number {
  const last = lastScrollTop(size);
  return last === 0 ? 0 : (scrollTop / last) * lastOffset(size);
}
