import { useEffect, useRef, useState } from 'preact/hooks';
import type { Client } from '../client.ts';
import type { RegionFilter, RegionList } from '../protocol.ts';

/** A list, told from others. */
export interface NumberedList extends RegionList {
  readonly id: number;
  /** Of which tables it is. */
  readonly version: number;
}

/** What there is of a list. */
export interface ListState {
  readonly list: NumberedList | undefined;
  readonly error: unknown;
  readonly isBusy: boolean;
}

/** The list for a filter. While another is made, and where its filter says nothing, the one before stays. */
export function useRegionList(client: Client, filter: RegionFilter, version: number): ListState {
  const [state, setState] = useState<ListState>({ list: undefined, error: undefined, isBusy: true });
  const lists = useRef(0);
  useEffect(() => {
    const controller = new AbortController();
    const { signal } = controller;
    setState((last) => ({ ...last, isBusy: true }));
    client.callUntil(signal, 'regions', filter).then(
      (result) => {
        if (signal.aborted) return;
        lists.current += 1;
        setState({ list: { ...result, id: lists.current, version }, error: undefined, isBusy: false });
      },
      (error: unknown) => {
        if (signal.aborted) return;
        // Of other tables, the worker has no list any more.
        setState(({ list }) => ({
          list: list?.version === version ? list : undefined,
          error,
          isBusy: false,
        }));
      },
    );
    return () => controller.abort();
  }, [client, JSON.stringify(filter), version]);
  return state;
}
