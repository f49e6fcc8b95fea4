import { hex64, pageOf } from 'tablewalk/bits';
import { MAX_CHANGES, toggleChange } from '../changes.ts';
import { changedBits } from '../parts/bit-groups.ts';
import { EntryBits, FieldList } from '../parts/entry-bits.tsx';
import { ErrorText } from '../parts/error-text.tsx';
import { PlaceLink } from '../parts/place-link.tsx';
import { useAnswer } from '../parts/use-answer.ts';
import type { SpaceInfo, Table } from '../protocol.ts';
import { entryLabel, entryValue, leadsWords, tableKey } from '../words.ts';
import type { PanelProps } from './panel.ts';

interface EntryProps extends PanelProps {
  readonly table: Table;
  readonly space: SpaceInfo;
  readonly index: number;
}

/** The entry that is chosen, bit by bit, and what can be done with it. */
export function TableEntry({ client, version, place, go, table, space, index }: EntryProps) {
  const { at, order } = table;
  const { value: list, error } = useAnswer(
    (signal) => client.callUntil(signal, 'entries', at, index, index + 1),
    `${version} ${tableKey(at)} ${index}`,
  );
  const one = list?.[0];
  if (error !== undefined) return <ErrorText error={error} />;
  // Nothing stands here only until the first answer comes.
  if (list === undefined) return <section class="card entry-card" aria-busy="true" />;
  if (one === undefined) return <p class="card ends">This part of the table is not in the image.</p>;
  const { leads, target, linear, rights } = one;
  const name = entryLabel(at, one.index, one.index, space);
  const where = hex64(table.address + BigInt(one.index * space.entryBytes));
  const first = pageOf(linear);
  return (
    <section class="card entry-card" aria-label={`Entry ${name}`}>
      <header>
        <h3>
          {name} <span class="mono">at {where}</span>
        </h3>
        <span class="mono value">= {entryValue(one.value, space)}</span>
      </header>
      <p class="does">
        <strong>{leadsWords(one, space)}</strong>
        <span>
          for linear address <span class="mono">{hex64(linear)}</span>
        </span>
        {rights !== undefined && (
          <span>
            rights {space.privileges[0]} <span class="mono">{rights[0]}</span>, {space.privileges[1]}{' '}
            <span class="mono">{rights[1]}</span>
          </span>
        )}
      </p>
      <EntryBits
        label={`${name} at ${where}`}
        value={one.value}
        bytes={space.entryBytes}
        words={one.fields}
        changed={changedBits(place.changes, at, one.index)}
        isFull={place.changes.length >= MAX_CHANGES}
        flip={(bit) =>
          go({ changes: toggleChange(place.changes, { kind: 'entry', at, index: one.index, bit }) })
        }
      />
      <FieldList words={one.fields} value={one.value} />
      <p class="ways">
        {leads !== undefined && (
          <PlaceLink place={place} go={go} to={{ table: leads, entry: undefined }}>
            Open the {space.levels[leads.depth].table}
          </PlaceLink>
        )}
        <PlaceLink place={place} go={go} to={{ panel: 'walk', address: linear }}>
          Walk to its linear address
        </PlaceLink>
        {target !== undefined && (
          <PlaceLink place={place} go={go} to={{ panel: 'find', physical: target }}>
            Find what reaches {hex64(target)}
          </PlaceLink>
        )}
        <PlaceLink place={place} go={go} to={{ zoom: { first, last: first + 2 ** order - 1 } }}>
          Show on the map
        </PlaceLink>
      </p>
    </section>
  );
}
