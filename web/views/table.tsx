import { useEffect, useRef, useState } from 'preact/hooks';
import { pageOf } from 'tablewalk/bits';
import { cellLook } from '../map/cell-look.ts';
import { looksOf } from '../map/legend.tsx';
import { ErrorText } from '../parts/error-text.tsx';
import { PlaceLink } from '../parts/place-link.tsx';
import { TableGrid } from '../parts/table-cells.tsx';
import { useAnswer } from '../parts/use-answer.ts';
import type { SpaceInfo, Table, TableAt } from '../protocol.ts';
import { entryLabel, linearOf, tableKey, tableName } from '../words.ts';
import type { PanelProps } from './panel.ts';
import { TableAbout } from './table-about.tsx';
import { TableEntry } from './table-entry.tsx';
import { TableList } from './table-list.tsx';

/** Milliseconds of rest after which the entry that keys have come to is put into the URL. */
const REST = 120;

/** One table: where it is, what leads to it, all its entries. */
export function TableView(props: PanelProps) {
  const { client, tables, version, place } = props;
  const { spaces } = tables;
  const at = place.table ?? spaceOf(spaces, place.address).root;
  const known = spaces[at.space]?.levels[at.depth] !== undefined;
  const { value, error, waits } = useAnswer(
    known ? (signal) => client.callUntil(signal, 'table', at) : undefined,
    `${version} ${tableKey(at)}`,
  );
  if (error !== undefined || !known) return <NoTable {...props} at={at} error={error} />;
  if (value === undefined || spaces[value.at.space] === undefined)
    return <p role="status">Reading the table …</p>;
  return (
    <div class="table-view" aria-busy={waits}>
      <TableAbout table={value} spaces={spaces} place={place} go={props.go} />
      {value.missing ? (
        <p class="card ends">This table is not in the image: what it maps is not known.</p>
      ) : (
        <Entries {...props} table={value} waits={waits} />
      )}
    </div>
  );
}

/** The space to which an address belongs; without one, the first. */
function spaceOf(spaces: readonly SpaceInfo[], address: bigint | undefined): SpaceInfo {
  const page = address === undefined ? 0 : pageOf(address);
  return spaces.find(({ lowEnd, highStart }) => page < lowEnd || page >= highStart) ?? spaces[0];
}

interface NoTableProps extends PanelProps {
  readonly at: TableAt;
  readonly error: unknown;
}

/** Why there is no such table, and the way to one that there is. */
function NoTable({ tables: { spaces }, place, go, at, error }: NoTableProps) {
  const { root } = spaces[at.space] ?? spaces[0];
  return (
    <div>
      {error === undefined ? <p>{noTableText(at, spaces)}</p> : <ErrorText error={error} />}
      <p>
        <PlaceLink place={place} go={go} to={{ table: root, entry: undefined }}>
          Open the {tableName(root, spaces)}
        </PlaceLink>
        , the root
      </p>
    </div>
  );
}

/** Which part of a place is what no table has. */
function noTableText({ space, depth }: TableAt, spaces: readonly SpaceInfo[]): string {
  const one = spaces[space];
  if (one === undefined) {
    const known = spaces.length === 1 ? 'the only one is 0' : `expected one of 0 to ${spaces.length - 1}`;
    return `There is no such table: there is no address space ${space}; ${known}, ${spaces[0].title}.`;
  }
  const last = one.levels.length - 1;
  return `There is no such table: ${one.title} has none at depth ${depth}; expected one of 0, the root, to ${last}, the ${one.levels[last].table}.`;
}

/** All entries, as cells and as a list, and the one that is chosen. */
function Entries(props: PanelProps & { readonly table: Table; readonly waits: boolean }) {
  const { client, place, go, table, tables, waits } = props;
  const space = tables.spaces[table.at.space];
  const chosenThere = place.entry !== undefined && place.entry < table.count ? place.entry : undefined;
  const [entry, setEntry] = useState(chosenThere);
  const rest = useRef<ReturnType<typeof setTimeout>>(undefined);
  useEffect(() => () => clearTimeout(rest.current), [place.table && tableKey(place.table)]);
  useEffect(() => {
    // Until the next table is there, the one before is shown as it was.
    if (!waits) setEntry(chosenThere);
  }, [chosenThere, waits, tableKey(table.at)]);
  const choose = (index: number) => {
    setEntry(index);
    clearTimeout(rest.current);
    rest.current = setTimeout(() => go({ table: table.at, entry: index }, true), REST);
  };
  const open = (index: number) => {
    clearTimeout(rest.current);
    void client.call('entries', table.at, index, index + 1).then(([one]) => {
      if (one?.leads !== undefined) go({ table: one.leads, entry: undefined });
      else if (one !== undefined) go({ address: one.linear, panel: 'walk' });
    });
  };
  const looks = looksOf(space.privileges);
  const textOf = (index: number) => {
    const look = cellLook(table.cells[index]);
    return `${entryLabel(table.at, index, index, space)}, ${linearOf(table, space, index)}: ${looks.find(([one]) => one === look)?.[1] ?? look}`;
  };
  return (
    <>
      <div class="table-sides">
        <div>
          <TableGrid
            cells={table.cells}
            current={entry}
            label="Entries of the table"
            textOf={textOf}
            choose={choose}
            open={open}
          />
          <Counts table={table} space={space} />
        </div>
        <TableList {...props} space={space} entry={entry} choose={choose} open={open} />
      </div>
      {entry === undefined ? (
        <p class="small">Choose an entry to see its bits.</p>
      ) : (
        <TableEntry {...props} space={space} index={entry} />
      )}
    </>
  );
}

/** What kinds of entries there are, and how many of each: the legend of this table. */
function Counts({ table, space }: { readonly table: Table; readonly space: SpaceInfo }) {
  const counts = new Map<string, number>();
  for (const cell of table.cells) counts.set(cellLook(cell), (counts.get(cellLook(cell)) ?? 0) + 1);
  return (
    <ul class="counts">
      {looksOf(space.privileges)
        .filter(([look]) => counts.has(look))
        .map(([look, text]) => (
          <li key={look}>
            <span class={`swatch footed ${look}`} aria-hidden="true" />
            {counts.get(look)} × {text}
          </li>
        ))}
    </ul>
  );
}
