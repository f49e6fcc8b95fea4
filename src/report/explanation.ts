import { addressOf, hex64 } from '../bits/index.ts';
import { type Paging, rightsText, X86_FORMATS } from '../format/index.ts';
import type { ExplainedLevel, Explanation, LinuxEntry } from '../inspect/index.ts';
import { assumedText, type Session, type Space, spaceText } from '../session/index.ts';
import { refusedRows } from './accesses.ts';
import { fieldTexts } from './fields.ts';
import { reasonText } from './reason.ts';
import { layOut, sizeText, wrap } from './text.ts';

/** Characters of a line. */
const WIDTH = 110;

/** Every step of one translation, as `explain` prints it. */
export function explanationLines(session: Session, space: Space, it: Explanation): string[] {
  const { paging } = space;
  const missing = missingText(it);
  return [
    `${hex64(it.address)} ${outcomeText(paging, it)} (${spaceText(space)})`,
    ...it.levels.flatMap((level) => ['', ...levelLines(paging, level)]),
    ...(missing === undefined ? [] : ['', missing]),
    '',
    ...layOut(explanationRows(session, space, it)),
  ];
}

/** `translates to 0x…`, or why it does not. */
export function outcomeText(paging: Paging, it: Explanation): string {
  if (it.physical !== undefined) return `translates to ${hex64(it.physical)}`;
  return `does not translate: ${reasonText(paging, it.end, it.levels, it.missingTable)}`;
}

/** What is not known where a table is not there; `undefined` where none is missing. */
export function missingText({ missingTable }: Explanation): string | undefined {
  return missingTable === undefined
    ? undefined
    : `The table at ${hex64(missingTable)} is not in the image: what it maps is not known.`;
}

/** What a translation comes to: a name and a text each, refused accesses and what is assumed among them. */
export function explanationRows(
  session: Session,
  { paging }: Space,
  it: Explanation,
): (readonly [name: string, text: string])[] {
  const [user, supervisor] = paging.format.fact.privileges;
  const rows: (readonly [string, string])[] = [];
  if (it.physical !== undefined && it.pageBytes !== undefined && it.rights !== undefined) {
    const page = it.pageBytes;
    const global = it.global ? ', global: stays in the TLB when the address space changes' : '';
    rows.push([
      'physical',
      `${hex64(it.physical)}, in the ${sizeText(page)} page at ${hex64(it.physical - (it.physical % page))}${groupText(it.groupBytes)}${global}`,
    ]);
    rows.push(['type', `${it.memoryType?.text ?? it.memoryType?.name}, from ${it.memoryType?.from}`]);
    rows.push([
      'rights',
      `${user} ${rightsText(it.rights, true)}, ${supervisor} ${rightsText(it.rights, false)}`,
    ]);
  }
  if (it.linux !== undefined) rows.push(['if Linux', linuxText(it.linux, paging)]);
  rows.push(...refusedRows(it.accesses, paging));
  if (session.assumed.length > 0) rows.push(['assumed', assumedText(session)]);
  return rows;
}

function groupText(bytes: bigint | undefined): string {
  return bytes === undefined ? '' : `, one of a contiguous group of ${sizeText(bytes)}`;
}

/** One entry of a walk: which it is, where it leads, and its fields, on several lines. */
export function levelLines(paging: Paging, level: ExplainedLevel): string[] {
  const takes = level.removes.length > 0 ? `; takes away ${level.removes.join(', ')}` : '';
  const lines = [levelTitle(paging, level), `  ${leadsText(paging, level)}${takes}`];
  if (level.leads === 'nowhere') {
    const others = level.value === 0n ? '' : '; the processor ignores the other bits';
    return [...lines, `  ${fieldTexts(level.fields).slice(0, -1).join(', ')}${others}`];
  }
  return [...lines, ...wrap(fieldTexts(level.fields), '  ', WIDTH)];
}

/** Which entry it is, where it stands and what it holds: `PTE 1 (address bits 20:12) at 0x… = 0x…`. */
export function levelTitle({ format: { fact } }: Paging, level: ExplainedLevel): string {
  const { indexHigh, indexLow } = fact.levels[level.depth];
  const value = `0x${level.value.toString(16).padStart(fact.entryBytes * 2, '0')}`;
  return `${level.entry} ${level.index} (address bits ${indexHigh}:${indexLow}) at ${hex64(level.address)} = ${value}`;
}

/** Where an entry leads: `maps the page at 0x…`. */
export function leadsText({ format: { fact } }: Paging, level: ExplainedLevel): string {
  const next = fact.levels[level.depth + 1]?.table ?? 'table';
  const target = level.target === undefined ? '' : ` at ${hex64(level.target)}`;
  return {
    table: `leads to the ${next}${target}${level.recursive ? ', which is the root itself (recursive entry)' : ''}`,
    page: `maps the page${target}`,
    nowhere: 'not present: the walk ends here',
    reserved: 'reserved: the walk ends here with a fault',
  }[level.leads];
}

/** What an entry that is not present would be to Linux. */
export function linuxText(entry: LinuxEntry, { format }: Paging): string {
  // x86 kernels keep numbers inverted, so that a speculative access hits no memory.
  const how = X86_FORMATS.includes(format.fact) ? ' (stored inverted)' : '';
  switch (entry.kind) {
    case 'prot-none':
      return `PROT_NONE: the page is still there, at ${hex64(addressOf(entry.frame))}${how}`;
    case 'swap':
      return `swapped out: swap area ${entry.type}, page offset 0x${entry.offset.toString(16)}${how}`;
    case 'special':
      return `special swap type ${entry.type} (migration, hardware poison or marker, as the kernel's version has it), offset 0x${entry.offset.toString(16)}`;
  }
}
