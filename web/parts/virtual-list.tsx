import type { ComponentChildren, VNode } from 'preact';
import { useEffect, useId, useLayoutEffect, useRef, useState } from 'preact/hooks';
import {
  contentHeight,
  type ListPosition,
  offsetAround,
  offsetShowing,
  positionAt,
  rowAfterKey,
  rowsAt,
  scrolledTo,
} from './list-rows.ts';

interface ListProps {
  /** Name for those who listen. */
  readonly label: string;
  readonly count: number;
  /** CSS pixels. */
  readonly rowHeight: number;
  /** Names of the columns, and their widths as in CSS; `auto` shares what is left. */
  readonly columns: readonly { readonly name: string; readonly width: string; readonly class?: string }[];
  /** Cells of a row, a `td` for each column. */
  readonly renderRow: (index: number) => ComponentChildren;
  /** Told which rows `[from, to)` are drawn, whenever others are. */
  readonly onWindow?: (from: number, to: number) => void;
  /** The row that is current; scrolled into view when it becomes another. */
  readonly current?: number | undefined;
  /** Told when keys or a click make another row current. */
  readonly onCurrent?: (index: number) => void;
  /** Enter or a click. */
  readonly onActivate?: (index: number) => void;
  /** Name for the style sheet, where the height of the list and the least width of its table stand. */
  readonly class?: string;
}

/** The rows that are drawn, and what they were drawn for. */
interface DrawnRows {
  readonly renderRow: ListProps['renderRow'];
  readonly row: number | undefined;
  readonly rows: ReadonlyMap<number, VNode>;
}

/** Milliseconds of rest after which the scroll bar is put where it belongs, in lists taller than an element can be. */
const REST = 150;

/** A table of which only the rows that are seen are drawn, so that it may have any number of them. */
export function VirtualList(props: ListProps) {
  const { label, count, rowHeight, columns, renderRow, onWindow, onCurrent, onActivate } = props;
  const scroller = useRef<HTMLDivElement>(null);
  const head = useRef<HTMLTableSectionElement>(null);
  const id = useId();
  const view = useView(scroller, head);
  const [position, setPosition] = useState<ListPosition>({ scrollTop: 0, offset: 0 });
  const [row, setRow] = useState(props.current);
  const size = { count, rowHeight, view };
  const offset = Math.min(position.offset, Math.max(0, count * rowHeight - view));
  const { from, to } = rowsAt(size, offset);

  /** Scrolls to an offset; a position that the browser has already is not set again. */
  const scrollTo = (next: ListPosition) => {
    setPosition(next);
    const element = scroller.current;
    if (element !== null && element.scrollTop !== next.scrollTop) element.scrollTop = next.scrollTop;
  };
  const showRow = (index: number) => {
    const next = offsetShowing(size, offset, index);
    if (next !== offset) scrollTo(positionAt(size, next));
  };

  useLayoutEffect(() => {
    const { current } = props;
    if (current === row && current !== undefined && current >= from && current < to) return;
    setRow(current);
    // What is listed may be another: it is looked at from its beginning.
    if (current === undefined && row !== undefined) scrollTo({ scrollTop: 0, offset: 0 });
    if (current === undefined || current >= count || view === 0) return;
    // Near rows are shown by a little scrolling; what surrounds one far away is shown with it.
    if (current >= from && current < to) showRow(current);
    else scrollTo(positionAt(size, offsetAround(size, current)));
  }, [props.current, view > 0]);
  useEffect(() => {
    if (view > 0 && to > from) onWindow?.(from, to);
  }, [from, to, count, view > 0]);

  const rest = useRef<ReturnType<typeof setTimeout>>(undefined);
  useEffect(() => () => clearTimeout(rest.current), []);
  const onScroll = (event: Event) => {
    if (!(event.currentTarget instanceof HTMLElement)) return;
    const next = scrolledTo(size, position, event.currentTarget.scrollTop);
    if (next.scrollTop === position.scrollTop) return;
    setPosition(next);
    clearTimeout(rest.current);
    if (count * rowHeight > contentHeight(size))
      rest.current = setTimeout(() => scrollTo(positionAt(size, next.offset)), REST);
  };
  const take = (index: number) => {
    setRow(index);
    showRow(index);
    if (index !== row) onCurrent?.(index);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const next = rowAfterKey(size, row, event.key);
    if (next !== undefined) {
      // A link in the row that was current may be drawn no longer.
      if (event.target !== event.currentTarget && event.currentTarget instanceof HTMLElement)
        event.currentTarget.focus({ preventScroll: true });
      take(next);
    }
    // A link in a row is opened by its own Enter.
    else if (event.key === 'Enter' && event.target === event.currentTarget && row !== undefined)
      onActivate?.(row);
    else return;
    event.preventDefault();
  };
  const onClick = (event: MouseEvent) => {
    const element = event.target instanceof Element ? event.target.closest('[data-row]') : null;
    const index = Number(element?.getAttribute('data-row') ?? Number.NaN);
    if (Number.isNaN(index)) return;
    take(index);
    onActivate?.(index);
  };

  // What is above the first row that is drawn, in pixels: below 0 nothing can stand.
  const first = Math.max(from, Math.ceil((offset - position.scrollTop) / rowHeight));
  const above = position.scrollTop - offset + first * rowHeight;
  const below = contentHeight(size) - above - (to - first) * rowHeight;
  // Scrolling alone leaves rows as they are: the same objects are not looked into again.
  const drawn = useRef<DrawnRows>({ renderRow, row, rows: new Map() });
  const known =
    drawn.current.renderRow === renderRow && drawn.current.row === row ? drawn.current.rows : undefined;
  const rows = new Map<number, VNode>();
  for (let index = first; index < to; index += 1) {
    rows.set(
      index,
      known?.get(index) ?? (
        <tr
          key={index}
          id={`${id}-${index}`}
          class={index === row ? 'current' : undefined}
          aria-rowindex={index + 2}
          aria-selected={index === row}
          data-row={index}
          style={{ height: `${rowHeight}px` }}
        >
          {renderRow(index)}
        </tr>
      ),
    );
  }
  drawn.current = { renderRow, row, rows };
  return (
    <div ref={scroller} class={`list ${props.class ?? ''}`} onScroll={onScroll}>
      <table
        // biome-ignore lint/a11y/noNoninteractiveElementToInteractiveRole: a table of which one row is current is a grid.
        role="grid"
        tabIndex={0}
        aria-label={label}
        aria-rowcount={count + 1}
        aria-activedescendant={row !== undefined && row >= first && row < to ? `${id}-${row}` : undefined}
        onKeyDown={onKeyDown}
        onClick={onClick}
      >
        <colgroup>
          {columns.map(({ name, width }) => (
            <col key={name} style={{ width }} />
          ))}
        </colgroup>
        <thead ref={head}>
          <tr aria-rowindex={1}>
            {columns.map((column) => (
              <th key={column.name} scope="col" class={column.class}>
                {column.name}
              </th>
            ))}
          </tr>
        </thead>
        <Space height={above} />
        <tbody>{[...rows.values()]}</tbody>
        <Space height={below} />
      </table>
    </div>
  );
}

/** Rows that are not drawn. */
function Space({ height }: { readonly height: number }) {
  return (
    <tbody aria-hidden="true">
      <tr style={{ height: `${height}px` }} />
    </tbody>
  );
}

/** Height of the part of a scroller that is below its header. */
function useView(
  scroller: { readonly current: HTMLElement | null },
  head: { readonly current: HTMLElement | null },
): number {
  const [view, setView] = useState(0);
  useLayoutEffect(() => {
    const outer = scroller.current;
    const inner = head.current;
    if (outer === null || inner === null) return;
    const measure = () => setView(Math.max(0, outer.clientHeight - inner.offsetHeight));
    const observer = new ResizeObserver(measure);
    observer.observe(outer);
    measure();
    return () => observer.disconnect();
  }, []);
  return view;
}
