import { addressOf, hex, hex64, PageTableError } from '../bits/index.ts';
import type { AttributeEncoder, Tree } from '../edit/index.ts';
import type { Paging } from '../format/index.ts';
import { Cursor, DONE, PAGE, TABLE, Walker } from '../walk/index.ts';

/**
 * Why a page is not larger:
 *
 * - `not-mapped`: there is no page
 * - `no-larger-page`: the format has none, or none that could lie at that physical address
 * - `cap`: a larger one was not allowed
 * - `physical-alignment`: virtual and physical address differ by what is no multiple of the larger page
 * - `virtual-alignment`: what is mapped alike begins inside the larger page's range
 * - `length`: it ends there, or is shorter than that
 * - `attribute`: the neighbours have other attributes
 * - `not-contiguous`: the neighbours are mapped to memory that lies elsewhere
 * - `occupied`: other things are in the range
 * - `shared`: others use the table, too
 * - `split`: a larger page was there, of which a part was changed
 * - `nothing`: it could be larger; `compact` makes it so
 */
export type PageLimit =
  | 'not-mapped'
  | 'no-larger-page'
  | 'cap'
  | 'physical-alignment'
  | 'virtual-alignment'
  | 'length'
  | 'attribute'
  | 'not-contiguous'
  | 'occupied'
  | 'shared'
  | 'split'
  | 'nothing';

/** Why the page at an address is not larger. */
export interface PageReason {
  readonly reason: PageLimit;
  /** Bytes of the page; 0 if there is none. */
  readonly pageBytes: bigint;
  /** The next larger page that the format has, and the range that it would map. */
  readonly larger?: { readonly address: bigint; readonly bytes: bigint };
  /** First byte address, in the larger page's range, of what is in the way. */
  readonly at?: bigint;
  /** `attribute`: what differs, by the manual's names of fields; or `rights`, if tables above make the difference. */
  readonly attributes?: readonly string[];
  /** One line for people. */
  readonly text: string;
}

/** Entries that are looked at for one answer. */
const MOST_ENTRIES = 2 ** 22;

/** One page, or a stretch of pages that go on where the last one ends. */
interface Stretch {
  first: number;
  end: number;
  readonly delta: number;
  readonly rights: number;
  readonly low: number;
  readonly high: number;
}

/** What stands beside a stretch. */
interface Beside {
  readonly reason: 'attribute' | 'not-contiguous' | 'occupied';
  readonly page: number;
  readonly attributes?: readonly string[];
}

/**
 * Says why the page that maps an address is not larger. Contiguous groups do not count as larger pages.
 *
 * @param page - number of the page
 * @param maxOrder - `log2` of the 4-KiB pages that a page may have
 * @throws {@link PageTableError} `LIMIT_EXCEEDED` if more than 4,194,304 entries would have to be looked at
 */
export function whyNotLarger(
  tree: Tree,
  attributes: AttributeEncoder,
  page: number,
  maxOrder: number,
): PageReason {
  const { memory, paging, encoder, sharing } = tree;
  const { end, steps, pageShift, frame } = new Walker(memory, paging).path(page);
  if (end !== 'mapped' || pageShift === undefined || frame === undefined) {
    return reasonOf('not-mapped', 0n, `nothing is mapped at ${hex64(addressOf(page))} (${end})`);
  }
  const pageBytes = 1n << BigInt(pageShift);
  const depth = steps.length - 1;
  const above = encoder.levels.slice(0, depth).reverse();
  const larger = above.find(({ hasPages }) => hasPages);
  const title = paging.format.fact.title;
  if (larger === undefined) return reasonOf('no-larger-page', pageBytes, `${title} has no larger page`);
  const span = 2 ** larger.order;
  const start = page - (page % span);
  const bytes = addressOf(span);
  const range = { larger: { address: addressOf(start), bytes } };
  const tell = (reason: PageLimit, text: string, more: Partial<PageReason> = {}) =>
    reasonOf(reason, pageBytes, text, { ...range, ...more });
  if (larger.order > maxOrder) return tell('cap', `pages of ${hex(bytes)} bytes are not allowed (maxPage)`);
  const delta = frame - page;
  const shift = ((delta % span) + span) % span;
  if (shift !== 0) {
    const text = `virtual and physical address differ by ${hex(addressOf(shift))} more than a multiple of ${hex(bytes)}`;
    return tell('physical-alignment', text);
  }
  const found = around(tree, attributes, page, start, start + span);
  const { stretch, before, after } = found;
  const beside = after ?? before;
  if (beside !== undefined) {
    const at = addressOf(beside.page);
    const what = {
      attribute: `has other attributes: ${beside.attributes?.join(', ')}`,
      'not-contiguous': 'is mapped to memory that lies elsewhere',
      occupied: 'is taken by something else',
    }[beside.reason];
    const more = { at, ...(beside.attributes === undefined ? {} : { attributes: beside.attributes }) };
    return tell(beside.reason, `${hex64(at)} beside it ${what}`, more);
  }
  if (stretch.first > start || stretch.end < start + span) {
    if (found.other !== undefined) {
      const at = addressOf(found.other);
      return tell('occupied', `${hex64(at)}, in the range of a larger page, is in use`, { at });
    }
    const isShort = stretch.end < start + span;
    const at = addressOf(isShort ? stretch.end : stretch.first);
    return isShort
      ? tell('length', `what is mapped ends at ${hex64(at)}, before a page of ${hex(bytes)} bytes would`, {
          at,
        })
      : tell(
          'virtual-alignment',
          `what is mapped begins at ${hex64(at)}, which is no multiple of ${hex(bytes)}`,
          {
            at,
          },
        );
  }
  if (start + delta + span > larger.frameEnd) {
    return tell(
      'no-larger-page',
      `no page of ${hex(bytes)} bytes can lie at ${hex64(addressOf(start + delta))}`,
    );
  }
  // What stands below a shared table is shared as well.
  const shared = steps.slice(1).find(({ tableFrame }) => sharing.countOf(tableFrame) > 1);
  if (shared !== undefined) {
    return tell('shared', `others use the table at ${hex64(addressOf(shared.tableFrame))}, too`);
  }
  return tell('nothing', `a page of ${hex(bytes)} bytes could take its place (compact)`);
}

function reasonOf(
  reason: PageLimit,
  pageBytes: bigint,
  text: string,
  more: Partial<PageReason> = {},
): PageReason {
  return { reason, pageBytes, ...more, text: `${reason}: ${text}` };
}

/** The stretch around a page that is mapped alike, and what stands beside it, inside a range. */
function around(
  tree: Tree,
  attributes: AttributeEncoder,
  page: number,
  start: number,
  end: number,
): { stretch: Stretch; before?: Beside; after?: Beside; other?: number } {
  const { memory, paging, encoder } = tree;
  const cursor = new Cursor(memory, paging, { first: start, end });
  let stretch: Stretch | undefined;
  let previous: Stretch | undefined;
  let after: Beside | undefined;
  let other: number | undefined;
  let count = 0;
  for (let event = cursor.next(); event !== DONE; event = cursor.next()) {
    count += 1;
    if (count > MOST_ENTRIES) {
      throw new PageTableError(
        'LIMIT_EXCEEDED',
        `why: more than ${MOST_ENTRIES} entries in the range of a larger page; expected fewer`,
        { entries: MOST_ENTRIES },
      );
    }
    if (event === TABLE) continue;
    const first = Math.max(start, cursor.page);
    const isOurs = stretch !== undefined && stretch.end > page;
    if (event !== PAGE) {
      if (isOurs && stretch?.end === first) after = { reason: 'occupied', page: first };
      if (isOurs) {
        other ??= first;
        break;
      }
      other ??= first;
      continue;
    }
    const next = Math.min(end, cursor.page + 2 ** cursor.order);
    encoder.attributesOf(cursor.depth, cursor.low, cursor.high);
    const marks = attributes.marks();
    const now: Stretch = {
      first,
      end: next,
      delta: cursor.frame - cursor.page,
      rights: rightsOf(paging, cursor, marks.low),
      low: encoder.low,
      high: encoder.high,
    };
    const named = stretch === undefined ? [] : differencesOf(attributes, stretch, now);
    if (stretch !== undefined && stretch.end === first && stretch.delta === now.delta && named.length === 0) {
      stretch.end = next;
    } else if (isOurs && stretch !== undefined) {
      if (stretch.end === first) after = besideOf(stretch, now, first, named);
      other ??= first;
      break;
    } else {
      if (stretch !== undefined) other ??= stretch.first;
      previous = stretch;
      stretch = now;
    }
  }
  if (stretch === undefined) throw new PageTableError('NOT_MAPPED', 'why: the tables changed meanwhile');
  if (after === undefined && stretch.end < end && isTaken(tree, stretch.end)) {
    after = { reason: 'occupied', page: stretch.end };
  }
  let before: Beside | undefined;
  if (stretch.first > start) {
    const last = stretch.first - 1;
    if (previous?.end === stretch.first) {
      before = besideOf(previous, stretch, last, differencesOf(attributes, previous, stretch));
    } else if (isTaken(tree, last)) {
      before = { reason: 'occupied', page: last };
    }
  }
  return {
    stretch,
    ...(before === undefined ? {} : { before }),
    ...(after === undefined ? {} : { after }),
    ...(other === undefined ? {} : { other }),
  };
}

function besideOf(one: Stretch, next: Stretch, page: number, named: readonly string[]): Beside {
  return one.delta === next.delta
    ? { reason: 'attribute', page, attributes: named }
    : { reason: 'not-contiguous', page };
}

/** What two stretches differ in, other than where they lie. */
function differencesOf(attributes: AttributeEncoder, one: Stretch, next: Stretch): string[] {
  const named = attributes.differences(one.low, one.high, next.low, next.high);
  return named.length === 0 && one.rights !== next.rights ? ['rights'] : named;
}

/** Effective rights of a page that hardware has marked. */
function rightsOf(paging: Paging, { and, or, low, high }: Cursor, marks: number): number {
  return paging.rights(and, or, low | marks, high);
}

/** Whether an entry that is no page holds something. */
function isTaken({ memory, paging }: Tree, page: number): boolean {
  const { end, steps } = new Walker(memory, paging).path(page);
  const last = steps[steps.length - 1];
  return end !== 'not-present' || (last !== undefined && (last.low | last.high) !== 0);
}
