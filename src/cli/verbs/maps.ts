import { addressOf, hex64, hexPage, joinHalves, PageTableError } from '../../bits/index.ts';
import { captureTables } from '../../capture/index.ts';
import {
  ACCESSES,
  type FormatFact,
  type Paging,
  pageDirty,
  RISCV_FORMATS,
  rightsText,
  X86_FORMATS,
} from '../../format/index.ts';
import {
  type Cluster,
  DEFAULT_MAX_ROWS,
  type FaultyRegion,
  joinRegions,
  listRegions,
  type MappedRegion,
  MERGE_RULES,
  type MergeRule,
  printQemuMem,
  printQemuRiscvMem,
  printQemuTlb,
  type Region,
  type Repeat,
} from '../../inspect/index.ts';
import { ABSENT, type PhysicalMemory, SparseMemory } from '../../memory/index.ts';
import { tableAddress } from '../../walk/index.ts';
import { type Json, type Output, writeRecords } from '../output.ts';
import { noteSession, type Session, sessionJson } from '../session.ts';
import { countText, layOut, pageSizeText, pagesText, parseCount, plural, rangeText } from '../text.ts';
import { filterRows, parsePages, parseRange, type RowFilter } from './filters.ts';

/** What `maps` takes beside the options of every verb. */
export interface MapsOptions extends RowFilter {
  readonly range?: string;
  readonly merge?: string;
  readonly gap?: string;
  readonly all?: true;
  readonly limit?: string;
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

  const merge = MERGE_RULES.find((rule) => rule === (options.merge ?? 'physical'));
  if (merge === undefined) {
    throw new PageTableError(
      'BAD_ARGUMENT',
      `--merge is '${options.merge}'; expected one of ${MERGE_RULES.join(', ')}`,
    );
  }
  const maxRows =
    options.limit === undefined ? DEFAULT_MAX_ROWS : parseCount('--limit', options.limit, 1, 2 ** 31);
  const rows: Row[] = [];
  for (const { paging } of session.spaces) {
    const more = options.all ? { all: true } : {};
    const listed = listRegions(memory, paging, { merge, maxRows, ...more, ...within });
    rows.push(...filterRows(listed, options, paging.format.fact).map((region) => ({ region, paging })));
  }
  if (rows.length > maxRows) {
    throw new PageTableError(
      'LIMIT_EXCEEDED',
      `regions: more than ${maxRows} rows; narrow the range or raise the limit`,
      { maxRows },
    );
  }
  const clusters =
    options.gap === undefined
      ? undefined
      : joinRegions(
          rows.map(({ region }) => region),
          parsePages('--gap', options.gap),
        );
  if (output.mode !== 'text') {
    const head = { ...sessionJson(session), merge };
    if (clusters === undefined) writeRecords(output, 'regions', rows.map(regionJson), head);
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

/** A row, and the page tables that it comes from. */
interface Row {
  readonly region: Region;
  readonly paging: Paging;
}

/** What the columns of rights are called. */
function privilegeHeaders({ spaces }: Session): string[] {
  const [user, supervisor] = spaces[0].paging.format.fact.privileges;
  return supervisor === 'supervisor' ? ['USER', 'SUPER'] : [user, supervisor];
}

function printTable(rows: readonly Row[], session: Session, output: Output): void {
  const rights = privilegeHeaders(session);
  const header = ['LINEAR', 'PHYSICAL', 'SIZE', 'PAGES', ...rights, 'TYPE', 'ACC', 'DIRTY', 'GLOBAL', ''];
  layOut([header, ...rows.map(rowCells)], new Set([2])).forEach((line, i) => {
    const row = rows[i - 1]?.region;
    output.line(
      row !== undefined && output.colour && writableAndExecutable(row) ? `\x1b[31m${line}\x1b[0m` : line,
    );
  });
}

function rowCells({ region: row, paging }: Row): string[] {
  const range = rangeText(row.first, row.end);
  const repeat = repeatText(row.repeat);
  switch (row.kind) {
    case 'mapped':
      return [
        range,
        row.frame === undefined ? '(scattered)' : hexPage(row.frame),
        pagesText(row.end - row.first),
        pageSizesText(row),
        rightsText(row.rights, true),
        rightsText(row.rights, false),
        row.memoryType?.name ?? 'mixed',
        shareText(row.accessed, row.leaves),
        tracksWrites(paging) ? shareText(row.dirty, row.leaves) : '-',
        row.global === undefined ? 'some' : row.global ? 'yes' : 'no',
        repeat,
      ];
    case 'shared':
      return [range, `same as ${hexPage(row.same)}: ${plural(row.leaves, 'page')} of one table. ${repeat}`];
    case 'missing':
      return [
        range,
        `not in image: the table at ${hex64(tableAddress(paging, row.depth, row.frame))}. ${repeat}`,
      ];
    case 'faulty':
      return [range, `every access faults: ${reservedText(row, paging)}. ${repeat}`];
  }
}

/** What of an entry makes every access fault. */
function reservedText(row: FaultyRegion, paging: Paging): string {
  const result = paging.access('reserved', [row], ACCESSES[0]);
  return result.kind === 'fault' ? result.because.join(', ') : 'the entry is reserved';
}

/** Page sizes, and the sizes of contiguous groups with a `c`: `4K+64Kc`, smallest first. */
function pageSizesText({ pageShifts, groupShifts, contiguous, leaves }: MappedRegion): string {
  const pages = contiguous === leaves ? [] : pageShifts.map((shift) => ({ shift, mark: '' }));
  const groups = groupShifts.map((shift) => ({ shift, mark: 'c' }));
  return [...pages, ...groups]
    .sort((a, b) => a.shift - b.shift)
    .map(({ shift, mark }) => `${pageSizeText(shift)}${mark}`)
    .join('+');
}

/** Whether hardware says of any page that it was written to. */
function tracksWrites({ format }: Paging): boolean {
  return pageDirty(format.facts, format.levels - 1) !== 0;
}

function repeatText(repeat: Repeat | undefined): string {
  return repeat === undefined ? '' : `${countText(repeat.count)} times, every ${pagesText(repeat.stride)}`;
}

/** How many of a row's pages have a bit. */
function shareText(count: number, of: number): string {
  return count === 0 ? 'none' : count === of ? 'all' : 'some';
}

function writableAndExecutable(row: Region): boolean {
  return row.kind === 'mapped' && ((row.rights & 6) === 6 || (row.rights & 48) === 48);
}

function printClusters(list: readonly Cluster[], session: Session, output: Output): void {
  const rows = list.map((one) => [
    rangeText(one.first, one.end),
    pagesText(one.end - one.first),
    pagesText(one.mapped),
    countText(one.regions),
    [...one.pageShifts]
      .sort((a, b) => a - b)
      .map(pageSizeText)
      .join('+'),
    [...one.user].join(' '),
    [...one.supervisor].join(' '),
    [repeatText(one.repeat), one.missing ? 'partly not in image' : '', one.faulty ? 'has faulty entries' : '']
      .filter((text) => text !== '')
      .join(', '),
  ]);
  const header = ['LINEAR', 'SPAN', 'MAPPED', 'REGIONS', 'PAGES', ...privilegeHeaders(session), ''];
  for (const line of layOut([header, ...rows], new Set([1, 2, 3]))) output.line(line);
}

function clusterJson(one: Cluster): Json {
  return {
    first: hex64(addressOf(one.first)),
    end: hex64(addressOf(one.end)),
    mapped: one.mapped * 4096,
    regions: one.regions,
    pageSizes: [...one.pageShifts].sort((a, b) => a - b).map((shift) => 2 ** shift),
    user: [...one.user],
    supervisor: [...one.supervisor],
    count: one.repeat?.count ?? 1,
    stride: one.repeat === undefined ? null : one.repeat.stride * 4096,
    missing: one.missing,
    faulty: one.faulty,
  };
}

function regionJson({ region: row, paging }: Row): Json {
  const span = {
    kind: row.kind,
    first: hex64(addressOf(row.first)),
    end: hex64(addressOf(row.end)),
    size: (row.end - row.first) * 4096,
    count: row.repeat?.count ?? 1,
    stride: row.repeat === undefined ? null : row.repeat.stride * 4096,
  };
  switch (row.kind) {
    case 'mapped':
      return { ...span, ...mappedJson(row, paging) };
    case 'shared':
      return {
        ...span,
        same: hex64(addressOf(row.same)),
        table: hex64(addressOf(row.frame)),
        pages: row.leaves,
      };
    case 'missing':
      return { ...span, table: hex64(tableAddress(paging, row.depth, row.frame)) };
    case 'faulty':
      return { ...span, entry: hex64(joinHalves(row.low, row.high)) };
  }
}

function mappedJson(row: MappedRegion, paging: Paging): { readonly [key: string]: Json } {
  return {
    physical: row.frame === undefined ? null : hex64(addressOf(row.frame)),
    user: rightsText(row.rights, true),
    supervisor: rightsText(row.rights, false),
    memoryType: row.memoryType?.name ?? null,
    global: row.global ?? null,
    pageSizes: row.pageShifts.map((shift) => 2 ** shift),
    groupSizes: row.groupShifts.map((shift) => 2 ** shift),
    pages: row.leaves,
    contiguous: row.contiguous,
    accessed: row.accessed,
    dirty: tracksWrites(paging) ? row.dirty : null,
  };
}

function ruleText(rule: MergeRule): string {
  const rules: Record<MergeRule, string> = {
    rights: 'A row is contiguous in linear space with equal rights.',
    physical:
      'A row is contiguous in linear and physical space with equal rights, memory type and global bit.',
    size: 'A row is contiguous in linear and physical space with equal rights, memory type, global bit and page size.',
    attributes:
      'A row is contiguous in linear and physical space with equal rights, memory type, global, accessed and dirty bits and page size.',
    none: 'A row is one page.',
  };
  return rules[rule];
}
