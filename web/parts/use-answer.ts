import { useEffect, useState } from 'preact/hooks';

/** What was asked of the worker, as far as it is known. */
export interface Answer<T> {
  /** The last answer; it stays until the next one is there. */
  readonly value: T | undefined;
  readonly error: unknown;
  /** Whether the answer to what is asked now is still to come. */
  readonly waits: boolean;
}

/**
 * Asks anew whenever the key is another. Answers to questions that are no longer asked are dropped, and what works on them is
 * told to give up.
 *
 * @param ask - given when nobody waits for its answer any more; `undefined` if there is nothing to ask
 */
export function useAnswer<T>(ask: ((signal: AbortSignal) => Promise<T>) | undefined, key: string): Answer<T> {
  const [state, setState] = useState<Omit<Answer<T>, 'waits'> & { readonly key: string }>({
    key: '',
    value: undefined,
    error: undefined,
  });
  const isAsked = ask !== undefined;
  useEffect(() => {
    if (ask === undefined) {
      setState({ key, value: undefined, error: undefined });
      return;
    }
    const controller = new AbortController();
    const { signal } = controller;
    ask(signal).then(
      (value) => !signal.aborted && setState({ key, value, error: undefined }),
      (error: unknown) => !signal.aborted && setState({ key, value: undefined, error }),
    );
    return () => controller.abort();
  }, [key, isAsked]);
  return { value: state.value, error: state.error, waits: state.key !== key };
}
