import { addressOf, hex64, pageOf } from '../../bits/index.ts';
import { capturePath } from '../../capture/index.ts';
import { type Access, rightsText } from '../../format/index.ts';
import {
  type ExplainedAccess,
  type ExplainedField,
  type ExplainedLevel,
  type Explanation,
  explain as explainAddress,
  type LinuxEntry,
} from '../../inspect/index.ts';
import { SparseMemory } from '../../memory/index.ts';
import type { Json, Output } from '../output.ts';
import { assumedText, type Session, sessionJson, sessionText } from '../session.ts';
import { layOut, parseHex, sizeText, wrap } from '../text.ts';
import { reasonText } from './reason.ts';

const WIDTH = 110;

/** `explain`: every step of one translation. Exit 1 if the address does not translate. */
export async function explain(session: Session, addressText: string, output: Output): Promise<number> {
  const address = parseHex('address', addressText);
  const into = new SparseMemory();
  await capturePath(session.machine, session.paging, pageOf(address), into);
  const explanation = explainAddress(into.memory, session.paging, address);
  if (output.mode === 'text') printText(session, explanation, output);
  else output.line(JSON.stringify(toJson(session, explanation)));
  return explanation.end === 'mapped' ? 0 : 1;
}

function printText(session: Session, it: Explanation, output: Output): void {
  output.line(`${hex64(it.address)} ${outcomeText(session, it)} (${sessionText(session)})`);
  for (const level of it.levels) printLevel(session, level, output);
  if (it.missingTable !== undefined) {
    output.line('');
    output.line(`The table at ${hex64(it.missingTable)} is not in the image: what it maps is not known.`);
  }
  output.line('');
  const rows: string[][] = [];
  if (it.physical !== undefined && it.pageBytes !== undefined && it.rights !== undefined) {
    const page = it.pageBytes;
    const global = it.global ? ', global: stays in the TLB when CR3 changes' : '';
    rows.push([
      'physical',
      `${hex64(it.physical)}, in the ${sizeText(page)} page at ${hex64(it.physical - (it.physical % page))}${global}`,
    ]);
    const index = it.memoryType?.index ?? 0;
    const bits = `PAT=${index >> 2} PCD=${(index >> 1) & 1} PWT=${index & 1}`;
    rows.push(['type', `${it.memoryType?.name}, from PAT entry ${index} (${bits})`]);
    rows.push(['rights', `user ${rightsText(it.rights, true)}, supervisor ${rightsText(it.rights, false)}`]);
  }
  if (it.linux !== undefined) rows.push(['if Linux', linuxText(it.linux)]);
  for (const { label, text } of refusedLines(it.accesses)) rows.push([label, text]);
  if (session.assumed.length > 0) rows.push(['assumed', assumedText(session)]);
  for (const line of layOut(rows)) output.line(line);
}

function outcomeText(session: Session, it: Explanation): string {
  if (it.physical !== undefined) return `translates to ${hex64(it.physical)}`;
  return `does not translate: ${reasonText(session, it.end, it.levels, it.missingTable)}`;
}

function printLevel(session: Session, level: ExplainedLevel, output: Output): void {
  const { fact } = session.paging.format;
  const { indexHigh, indexLow } = fact.levels[level.depth];
  const digits = fact.entryBytes * 2;
  const value = `0x${level.value.toString(16).padStart(digits, '0')}`;
  const next = fact.levels[level.depth + 1]?.table ?? 'table';
  const target = level.target === undefined ? '' : ` at ${hex64(level.target)}`;
  const leads = {
    table: `leads to the ${next}${target}${level.recursive ? ', which is the root itself (recursive entry)' : ''}`,
    page: `maps the page${target}`,
    nowhere: 'not present: the walk ends here',
    reserved: 'has a reserved bit set: the walk ends here with a fault',
  }[level.leads];
  output.line('');
  output.line(
    `${level.entry} ${level.index} (address bits ${indexHigh}:${indexLow}) at ${hex64(level.address)} = ${value}`,
  );
  output.line(`  ${leads}${level.removes.length > 0 ? `; takes away ${level.removes.join(', ')}` : ''}`);
  if (level.leads === 'nowhere') {
    output.line(
      level.value === 0n ? '  P=0 not present' : '  P=0 not present; the processor ignores the other bits',
    );
    return;
  }
  for (const line of wrap(fieldTexts(level.fields), '  ', WIDTH)) output.line(line);
}

/** Fields that mean something only together; the line `type` says what. */
const TYPE_ROLES: readonly string[] = ['write-through', 'cache-disable', 'pat'];

/** `R/W=1 writable`, lowest bit first. Ignored and reserved bits are named where they are set. */
function fieldTexts(fields: readonly ExplainedField[]): string[] {
  const texts: string[] = [];
  const odd: string[] = [];
  for (const field of fields.toReversed()) {
    const wide = field.high > field.low;
    const place = wide ? `bits ${field.high}:${field.low}` : `bit ${field.low}`;
    // An address is shown whole, not as the bits that hold it.
    const shown = field.role === 'address' ? field.value << BigInt(field.low) : field.value;
    const value = wide ? `0x${shown.toString(16)}` : `${shown}`;
    if (field.role !== 'ignored' && field.role !== 'reserved') {
      const about = wide ? ` (${place})` : TYPE_ROLES.includes(field.role) ? '' : ` ${field.text}`;
      texts.push(`${field.name}=${value}${about}`);
    } else if (field.value !== 0n) {
      odd.push(`${place}=${value} ${field.role === 'ignored' ? 'ignored' : 'RESERVED, must be 0'}`);
    }
  }
  return [...texts, ...odd, 'all other bits 0'];
}

/** What refused accesses get, a line each. */
function refusedLines(accesses: readonly ExplainedAccess[]): { label: string; text: string }[] {
  const lines: { label: string; text: string }[] = [];
  for (const { access, result } of accesses) {
    if (result.kind !== 'fault') continue;
    const label = `${access.user ? 'user' : 'supervisor'} ${access.kind}`;
    const because = result.because.join('; ');
    if (result.exception === '#PF') {
      const bits = result.errorCode & 1 ? result.errorBits : ['P=0 not present', ...result.errorBits];
      const code = `error code 0x${result.errorCode.toString(16).padStart(2, '0')} (${bits.join(', ')})`;
      lines.push({ label, text: `page fault (#PF), ${code}: ${because}` });
    } else {
      lines.push({ label, text: `general-protection fault (#GP): ${because}` });
    }
  }
  return lines;
}

function linuxText(entry: LinuxEntry): string {
  switch (entry.kind) {
    case 'prot-none':
      return `PROT_NONE: the page is still there, at ${hex64(addressOf(entry.frame))} (frame number stored inverted)`;
    case 'swap':
      return `swapped out: swap area ${entry.type}, page offset 0x${entry.offset.toString(16)} (stored inverted)`;
    case 'special':
      return `special swap type ${entry.type} (migration, hardware poison or marker, as the kernel's version has it), offset 0x${entry.offset.toString(16)}`;
  }
}

function toJson(session: Session, it: Explanation): Json {
  const accessName = (access: Access) => `${access.user ? 'user' : 'supervisor'} ${access.kind}`;
  return {
    va: hex64(it.address),
    ...sessionJson(session),
    outcome: it.end,
    levels: it.levels.map((level) => ({
      depth: level.depth,
      table: level.table,
      entry: level.entry,
      index: level.index,
      address: hex64(level.address),
      value: hex64(level.value),
      leads: level.leads,
      target: level.target === undefined ? null : hex64(level.target),
      removes: level.removes,
      recursive: level.recursive,
      source: level.source,
      fields: level.fields.map((field) => ({
        name: field.name,
        high: field.high,
        low: field.low,
        value: `0x${field.value.toString(16)}`,
        role: field.role,
        text: field.text,
      })),
    })),
    pa: it.physical === undefined ? null : hex64(it.physical),
    pageSize: it.pageBytes === undefined ? null : Number(it.pageBytes), // at most 2^30
    memoryType: it.memoryType?.name ?? null,
    patEntry: it.memoryType?.index ?? null,
    global: it.global ?? null,
    user: it.rights === undefined ? null : rightsText(it.rights, true),
    supervisor: it.rights === undefined ? null : rightsText(it.rights, false),
    accesses: it.accesses.map(({ access, result }) => ({
      access: accessName(access),
      result: result.kind,
      ...(result.kind === 'fault'
        ? {
            exception: result.exception,
            errorCode: result.errorCode,
            errorBits: result.errorBits,
            because: result.because,
          }
        : {}),
    })),
    missingTable: it.missingTable === undefined ? null : hex64(it.missingTable),
    linux: it.linux === undefined ? null : linuxJson(it.linux),
  };
}

function linuxJson(entry: LinuxEntry): Json {
  if (entry.kind === 'prot-none') return { kind: entry.kind, pa: hex64(addressOf(entry.frame)) };
  return { kind: entry.kind, type: entry.type, offset: `0x${entry.offset.toString(16)}` };
}
