import { useRef, useState } from 'preact/hooks';
import { RangeLinks } from '../parts/range-links.tsx';
import { VirtualList } from '../parts/virtual-list.tsx';
import type { RegionRow } from '../protocol.ts';
import type { Go, Place } from '../state.ts';
import type { PanelProps } from './panel.ts';
import type { NumberedList } from './region-list.ts';

/** Rows that are asked for at a time. */
const BATCH = 200;

/** Height of a row. */
const ROW_HEIGHT = 24;

/** Characters of the first column: a range, and the link to the map. */
const RANGE_WIDTH = 33;

interface RegionTableProps extends PanelProps {
  readonly list: NumberedList;
}

/** The rows of a list, as far as they are seen. */
export function RegionTable({ list, client, place, go }: RegionTableProps) {
  const { rows, widths, load } = useRows(client, list);
  const [current, setCurrent] = useState(0);
  const last = list.header.length - 1;
  const columns = list.header.map((name, i) => ({
    name: i === last ? 'NOTE' : name,
    width: i === last ? 'auto' : `calc(${widths[i] + (i === 0 ? 5 : 0)}ch + 16px)`,
    ...(i === SIZE ? { class: 'num' } : {}),
  }));
  return (
    <div class="sized" style={{ '--rows': `${list.count * ROW_HEIGHT}px` }}>
      <VirtualList
        label="Regions"
        class="region-list mono"
        count={list.count}
        rowHeight={ROW_HEIGHT}
        columns={columns}
        current={current}
        onCurrent={setCurrent}
        onWindow={load}
        renderRow={(index) => (
          <RowCells
            row={rows.get(index)}
            columns={columns.length}
            isCurrent={index === current}
            place={place}
            go={go}
          />
        )}
      />
    </div>
  );
}

/** The column of sizes, which is aligned to the right, as by `maps`. */
const SIZE = 2;

interface RowCellsProps {
  readonly row: RegionRow | undefined;
  readonly columns: number;
  /** Only its links are among those that the Tab key goes through. */
  readonly isCurrent: boolean;
  readonly place: Place;
  readonly go: Go;
}

function RowCells({ row, columns, isCurrent, place, go }: RowCellsProps) {
  if (row === undefined) return <td colSpan={columns}>…</td>;
  const { cells, first, end, wx } = row;
  const isRemark = cells.length < columns;
  return (
    <>
      <td class={wx ? 'is-wx' : undefined}>
        <RangeLinks first={first} end={end} place={place} go={go} tabIndex={isCurrent ? 0 : -1} />
      </td>
      {cells.slice(1).map((cell, i) => {
        const column = i + 1;
        if (isRemark)
          return (
            <td key={column} colSpan={columns - 1} title={cell}>
              {cell}
            </td>
          );
        return (
          <td key={column} class={column === SIZE ? 'num' : undefined}>
            {column === columns - 1 && wx && <strong>W+X</strong>} {cell}
          </td>
        );
      })}
    </>
  );
}

/** The rows that have come so far, and how wide their columns have to be, in characters. */
function useRows(client: PanelProps['client'], list: NumberedList) {
  const rows = useRef(new Map<number, RegionRow>());
  const asked = useRef(new Set<number>());
  const [widths, setWidths] = useState<readonly number[]>(() =>
    list.header.map((name, i) => Math.max(name.length, i === 0 ? RANGE_WIDTH : 0)),
  );
  const [, redraw] = useState(0);
  const load = (from: number, to: number) => {
    for (let at = from - (from % BATCH); at < to; at += BATCH) {
      if (asked.current.has(at)) continue;
      asked.current.add(at);
      const forget = () => asked.current.delete(at);
      client.call('regionRows', at, at + BATCH).then((answer) => {
        // A list of other tables is on its way: this one has no rows any more.
        if (answer.length < Math.min(BATCH, list.count - at)) forget();
        else for (const [i, row] of answer.entries()) rows.current.set(at + i, row);
        setWidths((before) => widened(before, answer));
        redraw((one) => one + 1);
      }, forget);
    }
  };
  return { rows: rows.current, widths, load };
}

function widened(widths: readonly number[], rows: readonly RegionRow[]): readonly number[] {
  return widths.map((width, i) =>
    rows.reduce(
      (most, { cells }) => (cells.length < widths.length ? most : Math.max(most, cells[i].length)),
      width,
    ),
  );
}
