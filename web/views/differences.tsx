import { useState } from 'preact/hooks';
import { hex64 } from 'tablewalk/bits';
import { plural, sizeText } from 'tablewalk/report';
import { type Part, splitMeanings } from '../meaning-parts.ts';
import { RangeLinks } from '../parts/range-links.tsx';
import { useNarrow } from '../parts/use-narrow.ts';
import { VirtualList } from '../parts/virtual-list.tsx';
import type { Attempt } from '../protocol.ts';
import type { PanelProps } from './panel.ts';

/** Heights of a row: of two lines, and where there is less room, of six. */
const WIDE_ROW = 46;
const NARROW_ROW = 124;

/** What changes meaning, range by range: what it was, and what it is in the scratch copy. */
export function Differences({ attempt, place, go }: PanelProps & { readonly attempt: Attempt }) {
  const [current, setCurrent] = useState(0);
  const isNarrow = useNarrow();
  const { rows, bytes, more } = attempt;
  const rowHeight = isNarrow ? NARROW_ROW : WIDE_ROW;
  const cells = (index: number) => {
    const row = rows[index];
    const links = (
      <RangeLinks
        first={row.first}
        end={row.end}
        place={place}
        go={go}
        tabIndex={index === current ? 0 : -1}
      />
    );
    const [was, is] = splitMeanings(row.before, row.after);
    const meanings = (
      <>
        <Meaning label="before" parts={was} />
        <Meaning label="after" parts={is} />
      </>
    );
    const size = sizeText(row.end - row.first);
    if (isNarrow) {
      return (
        <td>
          {links}
          <div class="repeat">{row.repeat === '' ? size : `${size}, ${row.repeat}`}</div>
          {meanings}
        </td>
      );
    }
    return (
      <>
        <td>
          {links}
          <div class="repeat">{row.repeat}</div>
        </td>
        <td class="num">{size}</td>
        <td>{meanings}</td>
      </>
    );
  };
  return (
    <section aria-labelledby="try-differences">
      <h2 id="try-differences">What changes meaning</h2>
      <p>{summaryText(attempt)}</p>
      {rows.length > 0 && (
        <div class="sized" style={{ '--rows': `${rows.length * rowHeight}px` }}>
          <VirtualList
            // Other changes: from the first row again.
            key={`${rows.length} ${bytes} ${more} ${isNarrow}`}
            label="What changes meaning"
            class={isNarrow ? 'difference-list narrow mono' : 'difference-list mono'}
            count={rows.length}
            rowHeight={rowHeight}
            columns={isNarrow ? NARROW_COLUMNS : WIDE_COLUMNS}
            current={current}
            onCurrent={setCurrent}
            renderRow={cells}
          />
        </div>
      )}
    </section>
  );
}

const WIDE_COLUMNS = [
  { name: 'LINEAR', width: 'calc(38ch + 16px)' },
  { name: 'SIZE', width: 'calc(10ch + 16px)', class: 'num' },
  { name: 'BEFORE, AFTER', width: 'auto' },
];
const NARROW_COLUMNS = [{ name: 'LINEAR, BEFORE, AFTER', width: 'auto' }];

/** What a range means on one side, with what the other side has not. */
function Meaning({ label, parts }: { readonly label: string; readonly parts: readonly Part[] }) {
  return (
    <div class={label}>
      <span class="side">{label}</span>
      {parts.map(({ text, changed }, i) => (changed ? <strong key={i}>{text}</strong> : text))}
    </div>
  );
}

function summaryText({ rows, bytes, more }: Attempt): string {
  if (rows.length === 0)
    return 'Nothing: every address leads where it led, with the same rights, memory type and global bit.';
  const ranges = plural(rows.length, 'range');
  const size = sizeText(bytes);
  if (!more) return `${ranges} of linear addresses, ${size} in all.`;
  const last = hex64(rows[rows.length - 1].first);
  return `At least ${size} of linear addresses. Only the first ${ranges} are listed, up to that at ${last}.`;
}
