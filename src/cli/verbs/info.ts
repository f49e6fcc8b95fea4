import { addressOf, type ErrorCode, hex, hex64, PageTableError } from '../../bits/index.ts';
import { captureTables } from '../../capture/index.ts';
import { type Census, takeCensus } from '../../inspect/index.ts';
import type { Machine } from '../../machine/index.ts';
import type { SourceOptions, Space } from '../choice.ts';
import type { Json, Output } from '../output.ts';
import { choosePaging, type Session, sessionJson, spaceText } from '../session.ts';
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
  const counted: { space: Space; census: Census }[] = [];
  for (const space of session?.spaces ?? []) {
    const { memory } = await captureTables(machine, space.paging);
    counted.push({ space, census: takeCensus(memory, space.paging) });
  }
  const none = counted.length > 0 && counted.every(({ census }) => census.tables === 0);

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
        ? { mode: null, root: null, rootFrom: null, spaces: [], unread: [], assumed: [] }
        : sessionJson(session)),
      ...censusJson(counted.length === 1 ? counted[0].census : undefined),
      census: counted.map(({ census }) => censusJson(census)),
      ...(why === '' ? {} : { noTables: why }),
    };
    output.line(JSON.stringify(record));
    return none ? 1 : 0;
  }

  const rows: string[][] = [
    ['image', `${machine.kind}${machine.architecture === undefined ? '' : `, ${machine.architecture}`}`],
  ];
  rows.push([
    'memory',
    `${pagesText(bytes)} in ${plural(machine.frames.length, 'range')}${spanText(machine)}`,
  ]);
  for (const cpu of machine.cpus) {
    const shown = SHOWN_REGISTERS.filter((name) => cpu.registers[name] !== undefined);
    rows.push([`CPU ${cpu.index}`, shown.map((name) => `${name} ${hex(cpu.registers[name])}`).join('  ')]);
  }
  for (const root of machine.roots)
    rows.push(['root', `${hex64(root.address)} ${root.name} (${root.source})`]);
  for (const remark of machine.remarks) rows.push(['remark', remark]);
  if (session === undefined) {
    rows.push(['tables', `none read: ${why}`]);
  } else {
    for (const { space, census } of counted) rows.push(['paging', spaceText(space)], ...censusRows(census));
    for (const text of session.unread) rows.push(['unread', text]);
    for (const { text } of session.assumed) rows.push(['assumed', text]);
  }
  for (const line of layOut(rows)) output.line(line);
  return none ? 1 : 0;
}

/** What is shown of each CPU. */
const SHOWN_REGISTERS = ['CR0', 'CR3', 'CR4', 'TTBR0_EL1', 'TTBR1_EL1', 'TCR_EL1', 'satp', 'RIP', 'PC', 'pc'];

function censusJson(census: Census | undefined): { readonly [key: string]: Json } {
  return {
    tables: census?.tables ?? null,
    pages:
      census === undefined
        ? null
        : Object.fromEntries([...census.pages].map(([shift, n]) => [String(2 ** shift), n])),
    missingEntries: census?.missing ?? null,
    faultyEntries: census?.faulty ?? null,
    recursiveEntries: census?.recursive ?? [],
  };
}

function censusRows(census: Census): string[][] {
  if (census.tables === 0) return [['tables', 'the root table is not in the image']];
  const sizes = [...census.pages].map(([shift, n]) => `${countText(n)} of ${pageSizeText(shift)}`).join(', ');
  const rows = [['tables', `${plural(census.tables, 'table')}; pages: ${sizes || 'none'}`]];
  const { recursive, missing, faulty } = census;
  if (recursive.length > 0) {
    const lead = recursive.length === 1 ? 'leads' : 'lead';
    rows.push([
      'recursive',
      `${plural(recursive.length, 'entry')} of the root ${lead} to the root itself: ${runsText(recursive)}`,
    ]);
  }
  if (missing > 0) rows.push(['missing', `${plural(missing, 'entry')} to tables that are not in the image`]);
  if (faulty > 0)
    rows.push([
      'faulty',
      `${plural(faulty, 'entry')} of which a bit or a code is reserved: every access faults`,
    ]);
  return rows;
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
