import { addressOf, hex64, pageOf } from '../../bits/index.ts';
import { capturePath } from '../../capture/index.ts';
import {
  type Access,
  type AccessResult,
  addressIn,
  type Paging,
  rightsText,
  X86_FORMATS,
} from '../../format/index.ts';
import {
  type ExplainedAccess,
  type ExplainedField,
  type ExplainedLevel,
  type Explanation,
  explain as explainAddress,
  type LinuxEntry,
} from '../../inspect/index.ts';
import { SparseMemory } from '../../memory/index.ts';
import type { Space } from '../choice.ts';
import type { Json, Output } from '../output.ts';
import { assumedText, type Session, sessionJson, spaceAt, spaceText } from '../session.ts';
import { layOut, parseHex, sizeText, wrap } from '../text.ts';
import { reasonText } from './reason.ts';

const WIDTH = 110;

/** `explain`: every step of one translation. Exit 1 if the address does not translate. */
export async function explain(session: Session, addressText: string, output: Output): Promise<number> {
  const address = parseHex('address', addressText);
  const into = new SparseMemory();
  const space = spaceAt(session, address);
  await capturePath(session.machine, space.paging, pageOf(address), into);
  const explanation = explainAddress(into.memory, space.paging, address);
  if (output.mode === 'text') printText(session, space, explanation, output);
  else output.line(JSON.stringify(toJson(session, explanation)));
  return explanation.end === 'mapped' ? 0 : 1;
}

function printText(session: Session, space: Space, it: Explanation, output: Output): void {
  const { paging } = space;
  const [user, supervisor] = paging.format.fact.privileges;
  output.line(`${hex64(it.address)} ${outcomeText(paging, it)} (${spaceText(space)})`);
  for (const level of it.levels) printLevel(paging, level, output);
  if (it.missingTable !== undefined) {
    output.line('');
    output.line(`The table at ${hex64(it.missingTable)} is not in the image: what it maps is not known.`);
  }
  output.line('');
  const rows: string[][] = [];
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
  for (const { label, text } of refusedLines(it.accesses, paging)) rows.push([label, text]);
  if (session.assumed.length > 0) rows.push(['assumed', assumedText(session)]);
  for (const line of layOut(rows)) output.line(line);
}

function groupText(bytes: bigint | undefined): string {
  return bytes === undefined ? '' : `, one of a contiguous group of ${sizeText(bytes)}`;
}

function outcomeText(paging: Paging, it: Explanation): string {
  if (it.physical !== undefined) return `translates to ${hex64(it.physical)}`;
  return `does not translate: ${reasonText(paging, it.end, it.levels, it.missingTable)}`;
}

function printLevel(paging: Paging, level: ExplainedLevel, output: Output): void {
  const { fact } = paging.format;
  const { indexHigh, indexLow } = fact.levels[level.depth];
  const digits = fact.entryBytes * 2;
  const value = `0x${level.value.toString(16).padStart(digits, '0')}`;
  const next = fact.levels[level.depth + 1]?.table ?? 'table';
  const target = level.target === undefined ? '' : ` at ${hex64(level.target)}`;
  const leads = {
    table: `leads to the ${next}${target}${level.recursive ? ', which is the root itself (recursive entry)' : ''}`,
    page: `maps the page${target}`,
    nowhere: 'not present: the walk ends here',
    reserved: 'reserved: the walk ends here with a fault',
  }[level.leads];
  output.line('');
  output.line(
    `${level.entry} ${level.index} (address bits ${indexHigh}:${indexLow}) at ${hex64(level.address)} = ${value}`,
  );
  output.line(`  ${leads}${level.removes.length > 0 ? `; takes away ${level.removes.join(', ')}` : ''}`);
  if (level.leads === 'nowhere') {
    const others = level.value === 0n ? '' : '; the processor ignores the other bits';
    output.line(`  ${fieldTexts(level.fields).slice(0, -1).join(', ')}${others}`);
    return;
  }
  for (const line of wrap(fieldTexts(level.fields), '  ', WIDTH)) output.line(line);
}

/** Fields that mean something only together; the line `type` says what. */
const TYPE_ROLES: readonly string[] = ['write-through', 'cache-disable', 'pat', 'attribute-index'];

/** `R/W=1 writable`, lowest bit first. Ignored and reserved bits are named where they are set. */
function fieldTexts(fields: readonly ExplainedField[]): string[] {
  const texts: string[] = [];
  const odd: string[] = [];
  fields.toReversed().forEach((field, i, ascending) => {
    const wide = field.high > field.low;
    const place = wide ? `bits ${field.high}:${field.low}` : `bit ${field.low}`;
    const coded = typeof field.meaning !== 'string';
    const shown = field.role === 'address' ? shownAddress(field) : field.value;
    const value = wide && !coded ? `0x${shown.toString(16)}` : `${shown}`;
    // Of neighbours that say something together, the last one says it.
    const next = ascending[i + 1];
    const isPart = next?.role === field.role && next.text === field.text;
    if (field.role !== 'ignored' && field.role !== 'reserved') {
      const says = coded && !TYPE_ROLES.includes(field.role) && !isPart;
      const about = says ? ` ${field.text}` : wide ? ` (${place})` : '';
      texts.push(`${field.name}=${value}${about}`);
    } else if (field.value !== 0n) {
      odd.push(`${place}=${value} ${field.role === 'ignored' ? 'ignored' : 'RESERVED, must be 0'}`);
    }
  });
  return [...texts, ...odd, 'all other bits 0'];
}

/** An address is shown whole, not as the bits that hold it; where its bits stand elsewhere, as the number of its frame. */
function shownAddress(field: ExplainedField): bigint {
  const address = addressIn(field, field.value);
  return field.addressLow === undefined ? address : address >> 12n;
}

/** What refused accesses get, a line each. */
function refusedLines(
  accesses: readonly ExplainedAccess[],
  paging: Paging,
): { label: string; text: string }[] {
  return accesses.flatMap(({ access, result }) =>
    result.kind === 'fault'
      ? [{ label: accessName(access, paging), text: `${faultText(result)}: ${result.because.join('; ')}` }]
      : [],
  );
}

function accessName({ user, kind }: Access, paging: Paging): string {
  return `${paging.format.fact.privileges[user ? 0 : 1]} ${kind}`;
}

function faultText({ exception, errorCode, errorBits }: Extract<AccessResult, { kind: 'fault' }>): string {
  const code = `0x${errorCode.toString(16).padStart(2, '0')}`;
  if (exception === '#GP') return 'general-protection fault (#GP)';
  if (exception.endsWith('Abort')) return `${exception}, ESR ${code} (${errorBits.join(', ')})`;
  if (exception !== '#PF') return `${exception}, cause ${errorCode}`;
  const bits = errorCode & 1 ? errorBits : ['P=0 not present', ...errorBits];
  return `page fault (#PF), error code ${code} (${bits.join(', ')})`;
}

function linuxText(entry: LinuxEntry, { format }: Paging): string {
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

function toJson(session: Session, it: Explanation): Json {
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
    pageSize: it.pageBytes === undefined ? null : Number(it.pageBytes), // at most 2^48
    groupSize: it.groupBytes === undefined ? null : Number(it.groupBytes), // at most 2^34
    memoryType: it.memoryType?.name ?? null,
    memoryTypeFrom: it.memoryType?.from ?? null,
    patEntry: it.memoryType?.from.startsWith('PAT') ? it.memoryType.index : null,
    global: it.global ?? null,
    user: it.rights === undefined ? null : rightsText(it.rights, true),
    supervisor: it.rights === undefined ? null : rightsText(it.rights, false),
    accesses: it.accesses.map(({ access, result }) => ({
      access: `${access.user ? 'user' : 'supervisor'} ${access.kind}`,
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
