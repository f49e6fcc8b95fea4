import { useEffect, useRef, useState } from 'preact/hooks';
import type { Client } from './client.ts';
import type { Attempt, Change } from './protocol.ts';

/** The scratch copy. */
export interface Attempted {
  /** What was made last, while there are changes. */
  readonly attempt: Attempt | undefined;
  /** Why the changes that are asked for now cannot be made. */
  readonly error: unknown;
  /** Grows with each attempt. */
  readonly version: number;
}

/**
 * The scratch copy follows the place.
 *
 * @param opened - which tables are open, as a number; `undefined` if there are none. Others have no changes at first
 */
export function useAttempt(
  client: Client,
  opened: number | undefined,
  changes: readonly Change[],
): Attempted {
  const [state, setState] = useState<Attempted & { readonly of: number | undefined }>({
    of: undefined,
    attempt: undefined,
    error: undefined,
    version: 0,
  });
  const key = JSON.stringify(changes);
  const applied = useRef<{ readonly of: number | undefined; readonly key: string }>({
    of: undefined,
    key: '[]',
  });
  const running = useRef<AbortController>(undefined);
  useEffect(() => {
    const before = applied.current.of === opened ? applied.current.key : '[]';
    applied.current = { of: opened, key };
    if (opened === undefined || before === key) return;
    // What came before is given up: nobody waits for it.
    running.current?.abort();
    const controller = new AbortController();
    running.current = controller;
    const { signal } = controller;
    client.callUntil(signal, 'attempt', changes).then(
      (result) =>
        signal.aborted ||
        setState(({ version }) => ({
          of: opened,
          attempt: changes.length === 0 ? undefined : result,
          error: undefined,
          version: version + 1,
        })),
      (error: unknown) =>
        signal.aborted ||
        // What cannot be made leaves the tables of the image.
        setState(({ version }) => ({ of: opened, attempt: undefined, error, version: version + 1 })),
    );
  }, [key, opened]);
  return state.of === opened ? state : { attempt: undefined, error: undefined, version: state.version };
}
