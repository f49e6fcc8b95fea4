import { addressOf, type ErrorCode, hex, hex64, PageTableError } from '../../bits/index.ts';
import { captureTables } from '../../capture/index.ts';
import { takeCensus } from '../../inspect/index.ts';
import type { Machine } from '../../machine/index.ts';
import type { Json, Output } from '../output.ts';
import { choosePaging, type Session, type SourceOptions, sessionJson, sessionText } from '../session.ts';
import { countText, layOut, pageSizeText, pagesText, plural, rangeText } from '../text.ts';

/** Why an image may have no page tables to read, and still be worth a description. */
const DESCRIBED: ReadonlySet<ErrorCode> = new Set(['NO_ROOT', 'PAGING_DISABLED', 'UNSUPPORTED_IMAGE']);

/** `info`: what an image holds, and what its page tables consist of. */
export async function info(machine: Machine, options: SourceOptions, output: Output): Promise<number> {
  const bytes = machine.frames.reduce((sum, range) => sum + (range.end - range.first), 0);
  let session: Session | undefined;
  let why = '';
  try {
    session = choosePaging(machine, options);
  } catch (error) {
    // An image without a root or of another architecture is still worth a description; a wrong option is not.
    if (!(error instanceof PageTableError) || !DESCRIBED.has(error.code)) throw error;
    why = error.message;
  }
  const census =
    session === undefined
      ? undefined
      : takeCensus((await captureTables(machine, session.paging)).memory, session.paging);

  if (output.mode !== 'text') {
    const record: { [key: string]: Json } = {
      kind: machine.kind,
      architecture: machine.architecture ?? null,
      memory: machine.frames.map((range) => ({
        first: hex64(addressOf(range.first)),
        end: hex64(addressOf(range.end)),
      })),
      cpus: machine.cpus.map((cpu) => ({
        cpu: cpu.index,
        registers: Object.fromEntries(
          Object.entries(cpu.registers).map(([name, value]) => [name, hex64(value)]),
        ),
      })),
      roots: machine.roots.map((root) => ({
        name: root.name,
        address: hex64(root.address),
        source: root.source,
      })),
      remarks: machine.remarks,
      ...(session === undefined
        ? { mode: null, root: null, rootFrom: null, assumed: [] }
        : sessionJson(session)),
      tables: census?.tables ?? null,
      pages:
        census === undefined
          ? null
          : Object.fromEntries([...census.pages].map(([shift, n]) => [String(2 ** shift), n])),
      missingEntries: census?.missing ?? null,
      faultyEntries: census?.faulty ?? null,
      recursiveEntries: census?.recursive ?? [],
      ...(why === '' ? {} : { noTables: why }),
    };
    output.line(JSON.stringify(record));
    return census?.tables === 0 ? 1 : 0;
  }

  const rows: string[][] = [
    ['image', `${machine.kind}${machine.architecture === undefined ? '' : `, ${machine.architecture}`}`],
  ];
  rows.push([
    'memory',
    `${pagesText(bytes)} in ${plural(machine.frames.length, 'range')}${spanText(machine)}`,
  ]);
  for (const cpu of machine.cpus) {
    const shown = ['CR0', 'CR3', 'CR4', 'RIP', 'PC', 'pc'].filter(
      (name) => cpu.registers[name] !== undefined,
    );
    rows.push([`CPU ${cpu.index}`, shown.map((name) => `${name} ${hex(cpu.registers[name])}`).join('  ')]);
  }
  for (const root of machine.roots)
    rows.push(['root', `${hex64(root.address)} ${root.name} (${root.source})`]);
  for (const remark of machine.remarks) rows.push(['remark', remark]);
  if (session === undefined || census === undefined) {
    rows.push(['tables', `none read: ${why}`]);
  } else {
    rows.push(['paging', sessionText(session)]);
    const sizes = [...census.pages]
      .map(([shift, n]) => `${countText(n)} of ${pageSizeText(shift)}`)
      .join(', ');
    rows.push([
      'tables',
      census.tables === 0
        ? 'the root table is not in the image'
        : `${plural(census.tables, 'table')}; pages: ${sizes || 'none'}`,
    ]);
    if (census.recursive.length > 0) {
      rows.push([
        'recursive',
        `${plural(census.recursive.length, 'entry')} of the root ${census.recursive.length === 1 ? 'leads' : 'lead'} to the root itself: ${runsText(census.recursive)}`,
      ]);
    }
    if (census.missing > 0 && census.tables > 0) {
      rows.push(['missing', `${plural(census.missing, 'entry')} to tables that are not in the image`]);
    }
    if (census.faulty > 0) rows.push(['faulty', `${plural(census.faulty, 'entry')} with a reserved bit set`]);
    for (const { text } of session.assumed) rows.push(['assumed', text]);
  }
  for (const line of layOut(rows)) output.line(line);
  return census?.tables === 0 ? 1 : 0;
}

function spanText(machine: Machine): string {
  const last = machine.frames[machine.frames.length - 1];
  return last === undefined ? '' : `, physical ${rangeText(machine.frames[0].first, last.end)}`;
}

/** Numbers in order, runs of them as `0-511`. */
function runsText(numbers: readonly number[]): string {
  const runs: [number, number][] = [];
  for (const number of numbers) {
    const last = runs[runs.length - 1];
    if (last !== undefined && last[1] === number - 1) last[1] = number;
    else runs.push([number, number]);
  }
  return runs.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`)).join(', ');
}
