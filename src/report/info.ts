import { addressOf, hex, hex64 } from '../bits/index.ts';
import type { Census } from '../inspect/index.ts';
import type { Machine } from '../machine/index.ts';
import { type Session, type Space, spaceText } from '../session/index.ts';
import { type Json, sessionJson } from './json.ts';
import { countText, pageSizeText, pagesText, plural, rangeText } from './text.ts';

/** A name and a text: `CPU 0`, `CR0 0x80050033  CR3 0x…`. */
export type InfoRow = readonly [name: string, text: string];

/** Page tables, and what they consist of. */
export interface CountedSpace {
  readonly space: Space;
  readonly census: Census;
}

/** What an image holds, as `info` prints it; {@link tableRows} say what its page tables do. */
export function machineRows(machine: Machine): InfoRow[] {
  const bytes = machine.frames.reduce((sum, range) => sum + (range.end - range.first), 0);
  return [
    ['image', `${machine.kind}${machine.architecture === undefined ? '' : `, ${machine.architecture}`}`],
    ['memory', `${pagesText(bytes)} in ${plural(machine.frames.length, 'range')}${spanText(machine)}`],
    ...machine.cpus.map(({ index, registers }): InfoRow => {
      const shown = SHOWN_REGISTERS.filter((name) => registers[name] !== undefined);
      return [`CPU ${index}`, shown.map((name) => `${name} ${hex(registers[name])}`).join('  ')];
    }),
    ...machine.roots.map(
      ({ address, name, source }): InfoRow => ['root', `${hex64(address)} ${name} (${source})`],
    ),
    ...machine.remarks.map((remark): InfoRow => ['remark', remark]),
  ];
}

/** What the page tables consist of that were chosen in an image, and what was assumed. */
export function tableRows(session: Session, counted: readonly CountedSpace[]): InfoRow[] {
  return [
    ...counted.flatMap(({ space, census }): InfoRow[] => [
      ['paging', spaceText(space)],
      ...censusRows(census),
    ]),
    ...session.unread.map((text): InfoRow => ['unread', text]),
    ...session.assumed.map(({ text }): InfoRow => ['assumed', text]),
  ];
}

/**
 * The same of an image and its page tables, as `docs/json.md` describes it.
 *
 * @param session - `undefined` where no page tables could be chosen
 * @param why - the reason; empty where they could
 */
export function infoJson(
  machine: Machine,
  session: Session | undefined,
  counted: readonly CountedSpace[],
  why = '',
): { readonly [key: string]: Json } {
  return {
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
}

/** What is shown of each CPU. */
const SHOWN_REGISTERS = ['CR0', 'CR3', 'CR4', 'TTBR0_EL1', 'TTBR1_EL1', 'TCR_EL1', 'satp', 'RIP', 'PC', 'pc'];

/** What page tables consist of; all `null` where they were not read. */
export function censusJson(census: Census | undefined): { readonly [key: string]: Json } {
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

/** What page tables consist of: a name and a text each. */
export function censusRows(census: Census): InfoRow[] {
  if (census.tables === 0) return [['tables', 'the root table is not in the image']];
  const sizes = [...census.pages].map(([shift, n]) => `${countText(n)} of ${pageSizeText(shift)}`).join(', ');
  const rows: InfoRow[] = [['tables', `${plural(census.tables, 'table')}; pages: ${sizes || 'none'}`]];
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
