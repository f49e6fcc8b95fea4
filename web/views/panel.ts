import type { Client } from '../client.ts';
import type { Attempt, Image, Tables } from '../protocol.ts';
import type { Go, Place } from '../state.ts';

/** What every panel gets. */
export interface PanelProps {
  readonly client: Client;
  readonly image: Image;
  /** The tables as they are shown: those of the scratch copy, where it has changes. */
  readonly tables: Tables;
  /** Grows whenever `tables` are others: what was asked of the worker before is out of date. */
  readonly version: number;
  readonly attempt: Attempt | undefined;
  readonly place: Place;
  readonly go: Go;
}
