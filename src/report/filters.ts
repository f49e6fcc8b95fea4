import { PageTableError, pageOf } from '../bits/index.ts';
import type { FormatFact } from '../format/index.ts';
import { filterRegions, type Region } from '../inspect/index.ts';
import { parseHex, parseSize } from '../session/index.ts';
import type { PageRange } from '../walk/index.ts';
import { pageSizeText } from './text.ts';

/** What chooses rows, as texts by the names of the command's options. */
export interface RowFilter {
  readonly rights?: string;
  readonly size?: string;
  readonly minSize?: string;
}

/**
 * Reads a range of addresses: `A-B` (end not included) or `A+LENGTH`, as the pages that these addresses touch.
 *
 * @throws {@link PageTableError} `BAD_ARGUMENT` if it is not one
 */
export function parseRange(text: string): PageRange {
  const [from, to, extra] = text.split(/[-+]/);
  if (from === undefined || to === undefined || extra !== undefined) {
    throw new PageTableError('BAD_ARGUMENT', `--range is '${text}'; expected FIRST-END or FIRST+LENGTH`, {
      text,
    });
  }
  const first = parseHex('--range', from);
  if (text.includes('+') && /^[0-9]+$/.test(to)) {
    throw new PageTableError(
      'BAD_ARGUMENT',
      `--range is '${text}'; expected the length with 0x or a unit, as in +0x${to} or +2M`,
      { text },
    );
  }
  const end = text.includes('+') ? first + parseSize('--range length', to) : parseHex('--range', to);
  // FIRST-0 reaches to the end of the address space.
  const last = end === 0n && !text.includes('+') ? 2n ** 64n : end;
  if (last <= first || last > 2n ** 64n) {
    throw new PageTableError(
      'BAD_ARGUMENT',
      `--range is '${text}'; expected an end above the first address, at most 2^64`,
    );
  }
  // At most 2^52 pages.
  return { first: pageOf(first), end: Number((last + 4095n) >> 12n) };
}

/**
 * Reads a size as a number of 4-KiB pages.
 *
 * @throws {@link PageTableError} `BAD_ARGUMENT` if it is not a multiple of 4096
 */
export function parsePages(what: string, text: string): number {
  const bytes = parseSize(what, text);
  if (bytes % 4096n !== 0n || bytes >= 2n ** 64n) {
    throw new PageTableError('BAD_ARGUMENT', `${what} is '${text}'; expected a multiple of 4K below 2^64`, {
      text,
    });
  }
  return pageOf(bytes);
}

/**
 * Keeps the rows that a filter asks for.
 *
 * @throws {@link PageTableError} `BAD_ARGUMENT` for a text that says nothing
 */
export function filterRows(
  rows: readonly Region[],
  filter: RowFilter,
  format: FormatFact,
): readonly Region[] {
  const wanted = filter.rights === undefined ? undefined : parseRights(filter.rights);
  const shift = filter.size === undefined ? undefined : parsePageShift(filter.size, format);
  const least = filter.minSize === undefined ? 0 : parsePages('--min-size', filter.minSize);
  if (wanted === undefined && shift === undefined && least === 0) return rows;
  return filterRegions(
    rows,
    (row) =>
      row.end - row.first >= least &&
      (shift === undefined || row.pageShifts.includes(shift)) &&
      (wanted === undefined || wanted.some((rights) => (row.rights & rights) === rights)),
  );
}

/** `wx`, `user:w`, `super:rx`: the rights that a row must have, for either privilege or the one named. */
function parseRights(text: string): number[] {
  const match = /^(?:(user|super):)?([rwx]+)$/.exec(text);
  if (match === null) {
    throw new PageTableError(
      'BAD_ARGUMENT',
      `--rights is '${text}'; expected some of rwx, or user:… or super:…`,
      { text },
    );
  }
  const bits = [...match[2]].reduce((sum, letter) => sum | (1 << 'rwx'.indexOf(letter)), 0);
  if (match[1] === 'user') return [bits];
  return match[1] === 'super' ? [bits << 3] : [bits, bits << 3];
}

function parsePageShift(text: string, format: FormatFact): number {
  const bytes = parseSize('--size', text);
  const shifts = format.levels.flatMap((level) => level.entries.flatMap((entry) => entry.pageShift ?? []));
  const shift = shifts.find((one) => 1n << BigInt(one) === bytes);
  if (shift === undefined) {
    const sizes = shifts.toSorted((a, b) => a - b).map(pageSizeText);
    throw new PageTableError(
      'BAD_ARGUMENT',
      `--size is '${text}'; expected a page size of ${format.title}: ${sizes.join(', ')}`,
      { text },
    );
  }
  return shift;
}
