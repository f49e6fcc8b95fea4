import { useEffect, useRef, useState } from 'preact/hooks';
import { hex64 } from 'tablewalk/bits';
import { useNarrow } from '../parts/use-narrow.ts';
import { VirtualList } from '../parts/virtual-list.tsx';
import type { EntryText, SpaceInfo, Table } from '../protocol.ts';
import { entryValue, leadsName, linearOf, tableKey } from '../words.ts';
import type { PanelProps } from './panel.ts';

interface ListProps extends PanelProps {
  readonly table: Table;
  readonly space: SpaceInfo;
  readonly entry: number | undefined;
  readonly choose: (index: number) => void;
  readonly open: (index: number) => void;
}

/** Entries that are asked for at a time. */
const BLOCK = 128;

/** Heights of a row: of one line, and where there is less room, of two. */
const WIDE_ROW = 24;
const NARROW_ROW = 44;

/** The entries of a table, one a row; their words are asked for as they come into view. */
export function TableList({ client, version, table, space, entry, choose, open }: ListProps) {
  const texts = useRef(new Map<number, EntryText>());
  const textsOf = useRef(tableKey(table.at));
  if (textsOf.current !== tableKey(table.at)) {
    textsOf.current = tableKey(table.at);
    texts.current = new Map();
  }
  const asked = useRef(new Set<number>());
  const asking = useRef(new AbortController());
  const windowOf = useRef({ from: 0, to: 0 });
  const [, setCount] = useState(0);
  const isNarrow = useNarrow();
  const ask = (from: number, to: number) => {
    windowOf.current = { from, to };
    for (let block = Math.floor(from / BLOCK); block * BLOCK < to; block += 1) {
      if (asked.current.has(block)) continue;
      const mine = asked.current;
      mine.add(block);
      client.callUntil(asking.current.signal, 'entries', table.at, block * BLOCK, (block + 1) * BLOCK).then(
        (list) => {
          // Another version is shown by now: its own answers come.
          if (mine !== asked.current) return;
          for (const one of list) texts.current.set(one.index, one);
          setCount((count) => count + 1);
        },
        () => mine.delete(block),
      );
    }
  };
  useEffect(() => {
    // The old words stay until the new ones are there.
    asked.current = new Set();
    asking.current.abort();
    asking.current = new AbortController();
    if (windowOf.current.to > 0) ask(windowOf.current.from, windowOf.current.to);
  }, [version, tableKey(table.at)]);
  const renderRow = (index: number) => {
    const one = texts.current.get(index);
    const value = (BigInt(table.highs[index]) << 32n) | BigInt(table.lows[index]);
    const leads = one !== undefined && <Leads one={one} space={space} />;
    const leadsClass = one?.target === undefined ? 'where' : undefined;
    const number = (
      <td key="index" class="number">
        {index}
      </td>
    );
    if (isNarrow)
      return [
        number,
        <td key="rest">
          <div class="mono">
            {linearOf(table, space, index)} {entryValue(value, space)}
          </div>
          <div class={leadsClass}>
            {leads} <span class="mono">{one?.rights?.join(' ')}</span>
          </div>
        </td>,
      ];
    return [
      number,
      <td key="linear" class="mono">
        {linearOf(table, space, index)}
      </td>,
      <td key="value" class="mono">
        {entryValue(value, space)}
      </td>,
      ...space.privileges.map((name, i) => (
        <td key={name} class="mono">
          {one?.rights?.[i]}
        </td>
      )),
      <td key="leads" class={leadsClass}>
        {leads}
      </td>,
    ];
  };
  return (
    <VirtualList
      // Other heights of rows: another list.
      key={`${isNarrow}`}
      class={isNarrow ? 'entries narrow' : 'entries'}
      label="Entries of the table"
      count={table.count}
      rowHeight={isNarrow ? NARROW_ROW : WIDE_ROW}
      columns={isNarrow ? NARROW_COLUMNS : wideColumns(space)}
      renderRow={renderRow}
      onWindow={ask}
      current={entry}
      onCurrent={choose}
      onActivate={(index) => {
        if (index === entry) open(index);
      }}
    />
  );
}

const NARROW_COLUMNS = [
  { name: 'entry', width: '52px', class: 'number' },
  { name: 'linear address, value, leads to', width: 'auto' },
];

function wideColumns({ entryBytes, privileges }: SpaceInfo) {
  return [
    { name: 'entry', width: '58px', class: 'number' },
    { name: 'linear address', width: '146px' },
    { name: 'value', width: entryBytes === 8 ? '162px' : '100px' },
    ...privileges.map((name) => ({ name, width: `${Math.max(4, name.length) * 9 + 18}px` })),
    { name: 'leads to', width: 'auto' },
  ];
}

/** Where an entry leads: the address first, which is what differs from row to row. */
function Leads({ one, space }: { readonly one: EntryText; readonly space: SpaceInfo }) {
  if (one.target === undefined) return <>{one.text}</>;
  return (
    <>
      <span class="mono">{hex64(one.target)}</span> {leadsName(one, space)}
    </>
  );
}
