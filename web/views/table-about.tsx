import { pagesText, plural, rangeText } from 'tablewalk/report';
import { PlaceLink } from '../parts/place-link.tsx';
import type { SpaceInfo, Table } from '../protocol.ts';
import type { Go, Place } from '../state.ts';
import { entryLabel, rangesOf, tableName } from '../words.ts';

interface AboutProps {
  readonly table: Table;
  readonly spaces: readonly SpaceInfo[];
  readonly place: Place;
  readonly go: Go;
}

/** Links of a list that is no longer than this; what is more is only counted. */
const MAX_PARENTS = 1000;

/** Which table it is, what it maps, and what leads to it. */
export function TableAbout({ table, spaces, place, go }: AboutProps) {
  const { at, count, order, parents, ways } = table;
  const space = spaces[at.space];
  const name = tableName(at, spaces);
  const ranges = rangesOf(table, space);
  return (
    <header class="table-about">
      <h2>
        {name[0].toUpperCase()}
        {name.slice(1)}
      </h2>
      <p class="small">{space.text}</p>
      <dl class="facts">
        <div class="fact">
          <dt>level</dt>
          <dd>
            {at.depth + 1} of {space.levels.length}; {plural(count, 'entry')} of {space.entryBytes} bytes,
            each for {pagesText(2 ** order)}
          </dd>
        </div>
        <div class="fact">
          <dt>maps</dt>
          <dd>
            {ranges.map(({ first, end }, i) => (
              <span key={first}>
                {i > 0 && ' and '}
                <PlaceLink
                  place={place}
                  go={go}
                  class="mono"
                  to={{ zoom: at.depth === 0 ? undefined : { first, last: end - 1 } }}
                  label={`${rangeText(first, end)}: show on the map`}
                >
                  {rangeText(first, end)}
                </PlaceLink>
              </span>
            ))}
            {ways > 1 && `; the first of ${plural(ways, 'range')}`}
          </dd>
        </div>
        <div class="fact">
          <dt>led to by</dt>
          <dd>
            {parents.length === 0 && 'the root register only'}
            {parents.length > 0 && (
              <ul class="parents">
                {parents.slice(0, MAX_PARENTS).map((parent) => (
                  <li key={`${parent.at.depth} ${parent.at.frame} ${parent.index}`}>
                    <PlaceLink place={place} go={go} to={{ table: parent.at, entry: parent.index }}>
                      {entryLabel(parent.at, parent.index, parent.index + parent.count - 1, space)}
                    </PlaceLink>{' '}
                    of the {tableName(parent.at, spaces)}
                  </li>
                ))}
                {parents.length > MAX_PARENTS && <li>and {plural(parents.length - MAX_PARENTS, 'other')}</li>}
              </ul>
            )}
          </dd>
        </div>
      </dl>
    </header>
  );
}
