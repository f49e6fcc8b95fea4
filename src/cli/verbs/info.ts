import { type ErrorCode, PageTableError } from '../../bits/index.ts';
import { captureTables } from '../../capture/index.ts';
import { takeCensus } from '../../inspect/index.ts';
import type { Machine } from '../../machine/index.ts';
import {
  type CountedSpace,
  type InfoRow,
  infoJson,
  layOut,
  machineRows,
  tableRows,
} from '../../report/index.ts';
import { choosePaging, type Session } from '../../session/index.ts';
import type { Output } from '../output.ts';
import type { SourceOptions } from '../session.ts';

/** Why an image may have no page tables to read, and still be worth a description. */
const DESCRIBED: ReadonlySet<ErrorCode> = new Set(['NO_ROOT', 'PAGING_DISABLED', 'UNSUPPORTED_IMAGE']);

/** `info`: what an image holds, and what its page tables consist of. */
export async function info(machine: Machine, options: SourceOptions, output: Output): Promise<number> {
  let session: Session | undefined;
  let why = '';
  try {
    session = choosePaging(machine, options);
  } catch (error) {
    // An image without a root or of another architecture is still worth a description; a wrong option is not.
    if (!(error instanceof PageTableError) || !DESCRIBED.has(error.code)) throw error;
    why = error.message;
  }
  const counted: CountedSpace[] = [];
  for (const space of session?.spaces ?? []) {
    const { memory } = await captureTables(machine, space.paging);
    counted.push({ space, census: takeCensus(memory, space.paging) });
  }
  if (output.mode !== 'text') {
    output.line(JSON.stringify(infoJson(machine, session, counted, why)));
  } else {
    const tables: InfoRow[] =
      session === undefined ? [['tables', `none read: ${why}`]] : tableRows(session, counted);
    for (const line of layOut([...machineRows(machine), ...tables])) output.line(line);
  }
  return counted.length > 0 && counted.every(({ census }) => census.tables === 0) ? 1 : 0;
}
