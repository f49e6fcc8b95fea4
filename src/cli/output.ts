import type { Json } from '../report/index.ts';

/** Where a command writes: results, messages, and how results look. */
export interface Output {
  readonly mode: 'text' | 'json' | 'ndjson';
  /** Whether results may carry colour. */
  readonly colour: boolean;
  /** Writes one line of the result. */
  line(text: string): void;
  /** Writes one message. */
  note(text: string): void;
  /** Hands over now what was written so far: for a verb that goes on without an end. */
  flush(): void;
}

/**
 * Writes records: one object that holds them all under `key`, or one line for each.
 *
 * @param head - what the object holds beside them; not written with `ndjson`
 */
export function writeRecords(
  output: Output,
  key: string,
  records: readonly Json[],
  head: { readonly [key: string]: Json } = {},
): void {
  if (output.mode === 'json') output.line(JSON.stringify({ ...head, [key]: records }));
  else for (const record of records) output.line(JSON.stringify(record));
}
