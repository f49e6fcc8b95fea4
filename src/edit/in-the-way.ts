import { addressOf, hex, hex64, PageTableError } from '../bits/index.ts';
import { rightsText, withHole } from '../format/index.ts';
import { Cursor, DONE, PAGE, type PageRange, TABLE } from '../walk/index.ts';
import type { TableReader } from './table-reader.ts';
import type { Tree } from './tree.ts';

/**
 * The error for something that is mapped where nothing should be: it names the first range that is in the way, and what is there.
 *
 * @param page - the first page that is in the way, counted without the hole between two halves
 */
export function conflict({ tree, format, end: last, operation }: TableReader, page: number): PageTableError {
  const first = withHole(format, page);
  const found = firstMapped(tree, { first, end: first + (last - page) });
  const address = addressOf(found?.first ?? first);
  const end = addressOf(found?.end ?? first + 1);
  const text = found === undefined ? 'by software, of an absent entry' : found.text;
  return new PageTableError(
    'ALREADY_MAPPED',
    `${operation}: ${hex64(address)} to ${hex64(end)} is in use: ${text}; expected nothing there (overlap: 'replace' or 'keep')`,
    { address, end, ...(found === undefined ? {} : { physical: addressOf(found.frame) }) },
  );
}

/** A mapped range. */
interface MappedRange {
  readonly first: number;
  readonly end: number;
  readonly frame: number;
  readonly text: string;
}

/** The range that begins with the first mapped page of another range, as far as it is mapped alike. */
function firstMapped({ memory, paging }: Tree, range: PageRange): MappedRange | undefined {
  const cursor = new Cursor(memory, paging, range);
  let first: MappedRange | undefined;
  let rights = 0;
  for (let event = cursor.next(); event !== DONE; event = cursor.next()) {
    if (event === TABLE) continue;
    const page = Math.max(cursor.page, range.first);
    const end = Math.min(cursor.page + 2 ** cursor.order, range.end);
    const frame = cursor.frame + (page - cursor.page);
    if (event !== PAGE) return first;
    const now = paging.rights(cursor.and, cursor.or, cursor.low, cursor.high);
    if (first === undefined) {
      rights = now;
      const type = paging.memoryType(cursor.depth, cursor.low, cursor.high).name;
      const [user, supervisor] = paging.format.fact.privileges;
      const text =
        `mapped to ${hex64(addressOf(frame))} in pages of ${hex(2 ** (cursor.order + 12))} bytes, ` +
        `${user} ${rightsText(now, true)}, ${supervisor} ${rightsText(now, false)}, ${type}`;
      first = { first: page, end, frame, text };
    } else if (page === first.end && frame - first.frame === page - first.first && now === rights) {
      first = { ...first, end };
    } else {
      return first;
    }
  }
  return first;
}
