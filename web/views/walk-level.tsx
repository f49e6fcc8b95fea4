import { hex64 } from 'tablewalk/bits';
import { isAttemptOf, MAX_CHANGES, toggleChange } from '../changes.ts';
import { changedBits } from '../parts/bit-groups.ts';
import { EntryBits, FieldList } from '../parts/entry-bits.tsx';
import { RightsChips } from '../parts/rights-chips.tsx';
import { TableStrip } from '../parts/table-cells.tsx';
import { useAnswer } from '../parts/use-answer.ts';
import type { SpaceInfo, Walk } from '../protocol.ts';
import { entryValue, tableKey } from '../words.ts';
import type { PanelProps } from './panel.ts';

interface LevelProps extends PanelProps {
  readonly walk: Walk;
  readonly space: SpaceInfo;
  /** Which step of the walk. */
  readonly step: number;
}

/** Every right: what there is before the first entry. */
const ALL_RIGHTS = 63;

/** One level of a walk: the table, the entry that is taken, its bits, and what it does. */
export function WalkLevel({ client, version, attempt, place, go, walk, space, step }: LevelProps) {
  const { levels } = walk.explanation;
  const level = levels[step];
  const at = walk.tables[step];
  const words = walk.fields[step];
  const { index, entry, table } = level;
  const { value: whole } = useAnswer(
    (signal) => client.callUntil(signal, 'table', at),
    `${version} ${tableKey(at)}`,
  );
  const before = step === 0 ? ALL_RIGHTS : levels[step - 1].rightsSoFar;
  const ends = level.leads === 'nowhere' || level.leads === 'reserved';
  const { indexHigh, indexLow } = space.levels[level.depth];
  const changed = changedBits(place.changes, at, index);
  const label = `${entry} ${index} at ${hex64(level.address)}`;
  return (
    <section class={`card level-${step} ${ends ? 'ends' : ''}`} aria-label={label}>
      <header>
        <h3>
          {entry} {index}{' '}
          <span class="where">
            (address bits {indexHigh}:{indexLow})
          </span>{' '}
          <span class="mono">at {hex64(level.address)}</span>
        </h3>
        <span class="mono value">= {entryValue(level.value, space)}</span>
      </header>
      <TableStrip
        cells={whole?.cells}
        taken={index}
        label={`Entries of the ${table}: open it at ${entry} ${index}, which is taken`}
        open={() => go({ panel: 'table', table: at, entry: index })}
      />
      <EntryBits
        label={label}
        value={level.value}
        bytes={space.entryBytes}
        words={words}
        changed={changed}
        isFull={place.changes.length >= MAX_CHANGES}
        flip={(bit) => go({ changes: toggleChange(place.changes, { kind: 'entry', at, index, bit }) })}
      />
      {changed.size > 0 && (
        <p class="bits-now">{isAttemptOf(attempt, place.changes) ? `Now ${outcomeOf(walk)}` : 'Now …'}</p>
      )}
      <FieldList words={words} value={level.value} />
      <p class="does">
        <strong>{walk.leads[step]}</strong>
        {level.removes.length > 0 && <span class="takes">takes away {level.removes.join(', ')}</span>}
        <span class="so-far">
          rights so far{' '}
          <RightsChips rights={level.rightsSoFar} before={before} privileges={space.privileges} />
        </span>
      </p>
      <p class="small">{level.source}</p>
    </section>
  );
}

/** What the walk comes to, and its rights: one line beside bits that were flipped. */
function outcomeOf({ outcome, rows }: Walk): string {
  const rights = rows.find(([name]) => name === 'rights')?.[1];
  return rights === undefined ? outcome : `${outcome}; rights ${rights}`;
}
