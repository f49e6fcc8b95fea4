import { plural, sizeText } from 'tablewalk/report';
import { isAttemptOf, MAX_CHANGES, withoutChange } from '../changes.ts';
import { PlaceLink } from '../parts/place-link.tsx';
import type { Attempt } from '../protocol.ts';
import type { Go, Place } from '../state.ts';

interface TryBarProps {
  /** What was made last; not given before the first. */
  readonly attempt: Attempt | undefined;
  /** Whether something went wrong since. */
  readonly failed: boolean;
  readonly place: Place;
  readonly go: Go;
}

/** Says on every panel that a scratch copy is looked at, and what its changes come to. */
export function TryBar({ attempt, failed, place, go }: TryBarProps) {
  const { changes } = place;
  const isMade = isAttemptOf(attempt, changes);
  const isBad = failed && !isMade;
  const isShown = attempt !== undefined || changes.length > 0;
  // What is announced has to stand there before it says something.
  return (
    <div class={isShown ? 'try-bar' : undefined}>
      <p role="status">
        {isShown && (
          <>
            <strong>Scratch copy:</strong>{' '}
            {isBad && `${plural(changes.length, 'change')} that cannot be made as they stand. `}
            {!isMade && !isBad && `${plural(changes.length, 'change')} …`}
            {attempt !== undefined &&
              (isMade || isBad) &&
              `${isBad ? 'What is shown: ' : ''}${attemptText(attempt)}`}
            {changes.length >= MAX_CHANGES && `. There can be no more than ${MAX_CHANGES}`}
          </>
        )}
      </p>
      {isShown && (
        <div class="buttons">
          {place.panel !== 'try' && (
            <PlaceLink place={place} go={go} to={{ panel: 'try' }}>
              What changes
            </PlaceLink>
          )}
          <button
            type="button"
            disabled={changes.length === 0}
            onClick={() => go({ changes: withoutChange(changes, changes.length - 1) })}
          >
            Undo last
          </button>
          <button type="button" disabled={changes.length === 0} onClick={() => go({ changes: [] })}>
            Discard
          </button>
        </div>
      )}
    </div>
  );
}

/** `2 changes, 12 MiB change meaning`. */
export function attemptText({ changes, bytes, more }: Attempt): string {
  const size = bytes === 0n ? 'nothing' : `${more ? 'at least ' : ''}${sizeText(bytes)}`;
  const verb = bytes === 0n ? 'changes' : 'change';
  return `${plural(changes.length, 'change')}, ${size} ${verb} meaning`;
}
