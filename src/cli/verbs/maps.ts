import { PageTableError } from '../../bits/index.ts';
import { captureTables } from '../../capture/index.ts';
import { type FormatFact, RISCV_FORMATS, X86_FORMATS } from '../../format/index.ts';
import {
  type Cluster,
  joinRegions,
  printQemuMem,
  printQemuRiscvMem,
  printQemuTlb,
} from '../../inspect/index.ts';
import { ABSENT, type PhysicalMemory, SparseMemory } from '../../memory/index.ts';
import {
  clusterCells,
  clusterHeader,
  clusterJson,
  layOut,
  listRows,
  parsePages,
  parseRange,
  plural,
  type RegionRow,
  type RowOptions,
  regionCells,
  regionHeader,
  regionJson,
  ruleText,
  sessionJson,
  writableAndExecutable,
} from '../../report/index.ts';
import type { Session } from '../../session/index.ts';
import { type Output, writeRecords } from '../output.ts';
import { noteSession } from '../session.ts';

/** What `maps` takes beside the options of every verb. */
export interface MapsOptions extends RowOptions {
  readonly gap?: string;
  readonly format?: string;
}

/** `maps`: what is mapped where. */
export async function maps(session: Session, options: MapsOptions, output: Output): Promise<number> {
  const range = options.range === undefined ? undefined : parseRange(options.range);
  const into = new SparseMemory();
  const within = range === undefined ? {} : { range };
  for (const { paging } of session.spaces) await captureTables(session.machine, paging, { into, ...within });
  const { memory } = into;
  if (options.format !== undefined && options.format !== 'table')
    return printAsQemu(session, memory, options, output);

  const { rows, merge } = listRows(session, memory, options);
  const clusters =
    options.gap === undefined
      ? undefined
      : joinRegions(
          rows.map(({ region }) => region),
          parsePages('--gap', options.gap),
        );
  if (output.mode !== 'text') {
    const head = { ...sessionJson(session), merge };
    if (clusters === undefined)
      writeRecords(
        output,
        'regions',
        rows.map(({ region, paging }) => regionJson(region, paging)),
        head,
      );
    else writeRecords(output, 'clusters', clusters.map(clusterJson), head);
  } else if (clusters === undefined) {
    printTable(rows, session, output);
    noteSession(session, output, `${plural(rows.length, 'row')}. ${ruleText(merge)}`);
  } else {
    printClusters(clusters, session, output);
    const regions = clusters.reduce((sum, one) => sum + one.regions, 0);
    const rule = `A row joins regions that lie at most ${options.gap} apart.`;
    noteSession(
      session,
      output,
      `${plural(regions, 'region')} in ${plural(clusters.length, 'row')}. ${rule}`,
    );
  }
  const unread = rows.filter(({ region }) => region.kind === 'missing').length;
  if (unread > 0)
    output.note(`${plural(unread, 'row')} of tables that are not in the image: what they map is not known.`);
  return rootIsThere(session, memory) ? 0 : 1;
}

/** Whether anything could be read at all. */
function rootIsThere(session: Session, memory: PhysicalMemory): boolean {
  return session.spaces.some(({ paging }) => memory.locate(paging.root.frame) !== ABSENT);
}

/** What QEMU's monitor prints, by the format of the tables. */
const LISTINGS: Readonly<
  Record<string, readonly { formats: readonly FormatFact[]; print: typeof printQemuMem }[]>
> = {
  'qemu-tlb': [{ formats: X86_FORMATS, print: printQemuTlb }],
  'qemu-mem': [
    { formats: X86_FORMATS, print: printQemuMem },
    { formats: RISCV_FORMATS, print: printQemuRiscvMem },
  ],
};

function printAsQemu(session: Session, memory: PhysicalMemory, options: MapsOptions, output: Output): number {
  const listing = LISTINGS[options.format ?? ''];
  if (listing === undefined) {
    throw new PageTableError(
      'BAD_ARGUMENT',
      `--format is '${options.format}'; expected table, qemu-tlb or qemu-mem`,
    );
  }
  for (const name of ['range', 'rights', 'size', 'minSize', 'merge', 'gap', 'all', 'limit'] as const) {
    if (options[name] === undefined) continue;
    throw new PageTableError(
      'BAD_ARGUMENT',
      `--format ${options.format} prints what QEMU prints; leave --${name === 'minSize' ? 'min-size' : name} out`,
    );
  }
  if (output.mode !== 'text') {
    throw new PageTableError(
      'BAD_ARGUMENT',
      `--format ${options.format} is text; leave --json and --ndjson out`,
    );
  }
  const { paging } = session.spaces[0];
  const print = listing.find(({ formats }) => formats.includes(paging.format.fact))?.print;
  if (print === undefined) {
    throw new PageTableError(
      'BAD_ARGUMENT',
      `--format ${options.format}: QEMU prints no such list of ${paging.format.fact.title}; expected table`,
    );
  }
  const missing = print(memory, paging, (line) => output.line(line));
  noteSession(session, output);
  if (missing > 0) {
    output.note(
      `${plural(missing, 'entry')} to tables that are not in the image: what they map is not printed.`,
    );
  }
  return rootIsThere(session, memory) ? 0 : 1;
}

function printTable(rows: readonly RegionRow[], session: Session, output: Output): void {
  const cells = rows.map(({ region, paging }) => regionCells(region, paging));
  layOut([regionHeader(session), ...cells], new Set([2])).forEach((line, i) => {
    const row = rows[i - 1]?.region;
    output.line(
      row !== undefined && output.colour && writableAndExecutable(row) ? `\x1b[31m${line}\x1b[0m` : line,
    );
  });
}

function printClusters(list: readonly Cluster[], session: Session, output: Output): void {
  const rows = [clusterHeader(session), ...list.map(clusterCells)];
  for (const line of layOut(rows, new Set([1, 2, 3]))) output.line(line);
}
