import { useState } from 'preact/hooks';
import { hexPage, pageOf } from 'tablewalk/bits';
import { countText, plural, rangeText, sizeText } from 'tablewalk/report';
import { type Part, splitMeanings } from '../meaning-parts.ts';
import { PlaceLink } from '../parts/place-link.tsx';
import { VirtualList } from '../parts/virtual-list.tsx';
import type { Attempt } from '../protocol.ts';
import { address as addressText } from '../words.ts';
import type { PanelProps } from './panel.ts';

/** Height of two lines, and what is around them. */
const ROW_HEIGHT = 46;

/** What changes meaning, range by range: what it was, and what it is in the scratch copy. */
export function Differences({ attempt, place, go }: PanelProps & { readonly attempt: Attempt }) {
  const [current, setCurrent] = useState(0);
  const { rows, bytes, more } = attempt;
  return (
    <section aria-labelledby="try-differences">
      <h3 id="try-differences">What changes meaning</h3>
      <p>{summaryText(attempt)}</p>
      {rows.length > 0 && (
        <VirtualList
          // Other changes: from the first row again.
          key={`${rows.length} ${bytes} ${more}`}
          label="What changes meaning"
          class="difference-list mono"
          count={rows.length}
          rowHeight={ROW_HEIGHT}
          columns={[
            { name: 'LINEAR', width: 'calc(38ch + 16px)' },
            { name: 'SIZE', width: 'calc(10ch + 16px)', class: 'right' },
            { name: 'BEFORE, AFTER', width: 'auto' },
          ]}
          current={current}
          onCurrent={setCurrent}
          renderRow={(index) => {
            const { first, end, before, after, repeat } = rows[index];
            const tabIndex = index === current ? 0 : -1;
            const [was, is] = splitMeanings(before, after);
            // An end of 2^64 is a page number still.
            const pages = { first: pageOf(first), end: Number(end >> 12n) };
            return (
              <>
                <td>
                  <PlaceLink place={place} go={go} to={{ address: first, panel: 'walk' }} tabIndex={tabIndex}>
                    {rangeText(pages.first, pages.end)}
                  </PlaceLink>{' '}
                  <PlaceLink
                    place={place}
                    go={go}
                    to={{ zoom: { first: pages.first, last: pages.end - 1 } }}
                    label={`Show ${addressText(first)} on the map`}
                    tabIndex={tabIndex}
                  >
                    map
                  </PlaceLink>
                  <div class="repeat">{repeat}</div>
                </td>
                <td class="right">{sizeText(end - first)}</td>
                <td>
                  <Meaning label="before" parts={was} />
                  <Meaning label="after" parts={is} />
                </td>
              </>
            );
          }}
        />
      )}
    </section>
  );
}

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
  const ranges = `${plural(rows.length, 'range')} of linear addresses, ${sizeText(bytes)} in all`;
  if (!more) return `${ranges}.`;
  const end = rows[rows.length - 1].end;
  return `The first ${countText(rows.length)} ranges of linear addresses, ${sizeText(bytes)} in all, are listed; what changes from 0x${hexPage(Number(end >> 12n))} on is not.`;
}
