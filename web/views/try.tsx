import { useRef } from 'preact/hooks';
import type { ControlFlag } from 'tablewalk/session';
import {
  changeName,
  isAttemptOf,
  isSameChange,
  MAX_CHANGES,
  toggleChange,
  withoutChange,
} from '../changes.ts';
import { PlaceLink } from '../parts/place-link.tsx';
import type { Change } from '../protocol.ts';
import { Differences } from './differences.tsx';
import type { PanelProps } from './panel.ts';

/** Changes of a scratch copy: control flags, what was changed so far, and what follows from it. */
export function TryView(props: PanelProps) {
  const { attempt, place, go } = props;
  return (
    <div class="try">
      <p>
        Changes are made to a scratch copy of the page tables, in memory; the file is never written to. The
        map and all panels show the copy until its changes are undone. Bits of entries are flipped where the
        entries are shown: in{' '}
        <PlaceLink place={place} go={go} to={{ panel: 'walk' }}>
          Walk
        </PlaceLink>{' '}
        and{' '}
        <PlaceLink place={place} go={go} to={{ panel: 'table' }}>
          Table
        </PlaceLink>
        .
      </p>
      <Flags {...props} />
      <Changes {...props} />
      {attempt !== undefined && <Differences {...props} attempt={attempt} />}
    </div>
  );
}

/** The control flags by their registers, each a switch. */
function Flags({ attempt, tables, place, go }: PanelProps) {
  const { changes } = place;
  const registers = [...new Set(tables.flags.map(({ register }) => register))];
  return (
    <section aria-labelledby="try-flags">
      <h2 id="try-flags">Control flags</h2>
      <div class="flags">
        {registers.map((register) => (
          <fieldset key={register}>
            <legend class="mono">{register}</legend>
            {tables.flags
              .filter((flag) => flag.register === register)
              .map((flag) => (
                <Flag
                  key={flag.name}
                  flag={flag}
                  changes={changes}
                  made={attempt?.changes ?? []}
                  flip={(change) => go({ changes: toggleChange(changes, change) })}
                />
              ))}
          </fieldset>
        ))}
      </div>
    </section>
  );
}

interface FlagProps {
  readonly flag: ControlFlag;
  readonly changes: readonly Change[];
  /** Those of which the tables that are shown are. */
  readonly made: readonly Change[];
  flip(change: Change): void;
}

function Flag({ flag, changes, made, flip }: FlagProps) {
  const { register, name, meaning, source } = flag;
  const change = { kind: 'flag', register, name } as const;
  const isFlipped = changes.some((one) => isSameChange(one, change));
  // The switch is where the reader put it, also while what it comes to is worked out.
  const on = flag.on !== (isFlipped !== made.some((one) => isSameChange(one, change)));
  const id = `flag-${register}-${name}`;
  return (
    <div class={isFlipped ? 'flag flipped' : 'flag'}>
      <label>
        <input
          type="checkbox"
          checked={on}
          disabled={!isFlipped && changes.length >= MAX_CHANGES}
          aria-describedby={id}
          onClick={(event) => {
            // The place says how it is set.
            event.preventDefault();
            flip(change);
          }}
        />
        <span class="mono name">{name}</span> = <span class="mono">{on ? '1' : '0'}</span>
        {isFlipped && <span class="badge">flipped</span>}
      </label>
      <span id={id}>{meaning}</span>
      <span class="small">{source}</span>
    </div>
  );
}

/** What was changed, each with its way back. */
function Changes({ attempt, tables, place, go }: PanelProps) {
  const { changes } = place;
  const done = isAttemptOf(attempt, changes) ? (attempt?.done ?? []) : undefined;
  const heading = useRef<HTMLHeadingElement>(null);
  // The button that was used is gone then.
  const undo = (rest: readonly Change[]) => {
    heading.current?.focus();
    go({ changes: rest });
  };
  return (
    <section aria-labelledby="try-changes">
      <h2 id="try-changes" ref={heading} tabIndex={-1}>
        Changes made
      </h2>
      {changes.length === 0 ? (
        <p class="small">None: all panels show the tables as they are in the image.</p>
      ) : (
        <>
          <ol class="changes">
            {changes.map((change, i) => {
              const text = done?.[i] ?? changeName(change, tables);
              return (
                <li key={`${i} ${text}`}>
                  <div>
                    <span>
                      {text}
                      {change.kind === 'entry' && (
                        <>
                          {' '}
                          <PlaceLink
                            place={place}
                            go={go}
                            to={{ panel: 'table', table: change.at, entry: change.index }}
                            label={`Show the entry of change ${i + 1}`}
                          >
                            show
                          </PlaceLink>
                        </>
                      )}
                    </span>
                    <button
                      type="button"
                      onClick={() => undo(withoutChange(changes, i))}
                      aria-label={`Undo: ${text}`}
                    >
                      Undo
                    </button>
                  </div>
                </li>
              );
            })}
          </ol>
          {changes.length >= MAX_CHANGES && <p>There can be no more than {MAX_CHANGES} changes.</p>}
          <p class="buttons">
            <button type="button" onClick={() => undo(withoutChange(changes, changes.length - 1))}>
              Undo last
            </button>
            <button type="button" onClick={() => undo([])}>
              Discard all
            </button>
          </p>
        </>
      )}
    </section>
  );
}
