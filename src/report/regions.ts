import { hex64, hexPage } from '../bits/index.ts';
import { ACCESSES, type Paging, pageDirty, rightsText } from '../format/index.ts';
import type { FaultyRegion, MappedRegion, MergeRule, Region, Repeat } from '../inspect/index.ts';
import type { Session } from '../session/index.ts';
import { tableAddress } from '../walk/index.ts';
import { countText, pageSizeText, pagesText, plural, rangeText } from './text.ts';

/** What the columns of rights are called. */
export function privilegeHeaders({ spaces }: Session): string[] {
  const [user, supervisor] = spaces[0].paging.format.fact.privileges;
  return supervisor === 'supervisor' ? ['USER', 'SUPER'] : [user, supervisor];
}

/** The columns of a table of regions; the last one, without a name, is for remarks. */
export function regionHeader(session: Session): string[] {
  return [
    'LINEAR',
    'PHYSICAL',
    'SIZE',
    'PAGES',
    ...privilegeHeaders(session),
    'TYPE',
    'ACC',
    'DIRTY',
    'GLOBAL',
    '',
  ];
}

/**
 * The cells of a region, one for each column; or, where it maps nothing that is known, two: where it lies, and a remark.
 *
 * @param paging - the page tables that it comes from
 */
export function regionCells(row: Region, paging: Paging): string[] {
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
export function reservedText(row: FaultyRegion, paging: Paging): string {
  const result = paging.access('reserved', [row], ACCESSES[0]);
  return result.kind === 'fault' ? result.because.join(', ') : 'the entry is reserved';
}

/** Page sizes, and the sizes of contiguous groups with a `c`: `4K+64Kc`, smallest first. */
export function pageSizesText({ pageShifts, groupShifts, contiguous, leaves }: MappedRegion): string {
  const pages = contiguous === leaves ? [] : pageShifts.map((shift) => ({ shift, mark: '' }));
  const groups = groupShifts.map((shift) => ({ shift, mark: 'c' }));
  return [...pages, ...groups]
    .sort((a, b) => a.shift - b.shift)
    .map(({ shift, mark }) => `${pageSizeText(shift)}${mark}`)
    .join('+');
}

/** Whether hardware says of any page that it was written to. */
export function tracksWrites({ format }: Paging): boolean {
  return pageDirty(format.facts, format.levels - 1) !== 0;
}

/** `3 times, every 2 MiB`; empty where it is not repeated. */
export function repeatText(repeat: Repeat | undefined): string {
  return repeat === undefined ? '' : `${countText(repeat.count)} times, every ${pagesText(repeat.stride)}`;
}

/** How many of a row's pages have a bit. */
function shareText(count: number, of: number): string {
  return count === 0 ? 'none' : count === of ? 'all' : 'some';
}

/** Whether either privilege may both write and execute its pages. */
export function writableAndExecutable(row: Region): boolean {
  return row.kind === 'mapped' && ((row.rights & 6) === 6 || (row.rights & 48) === 48);
}

/** What makes a row, in a sentence. */
export function ruleText(rule: MergeRule): string {
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
