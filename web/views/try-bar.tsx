import type { Attempt } from '../protocol.ts';
import type { Go, Place } from '../state.ts';

export function TryBar({ attempt }: { readonly attempt: Attempt; readonly place: Place; readonly go: Go }) {
  return <p>{attempt.done.length}</p>;
}
