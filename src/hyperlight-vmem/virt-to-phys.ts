import { addressOf } from '../bits/index.ts';
import { INSPECT } from '../bits/inspect.ts';
import type { TableReadOps } from '../memory/index.ts';
import { type Architecture, checkArchitecture } from './architecture.ts';
import { limitOf } from './limits.ts';
import type { Mapping, MappingKind } from './mapping.ts';
import { pathOf } from './path-of.ts';
import { rangeToRead } from './range.ts';
import { type PagesOfTable, TableWalk } from './table-walk.ts';

const FRAMES_PER_HIGH = 2 ** 20;
const PAGE_BYTES = 4096n;
const PAGE_SHIFT = 12;
const MAX_TABLES = 1 << 22;

/**
 * A page that is mapped. Addresses are worked out when they are asked for: `page` and `frame` cost no `bigint`. To be copied or spread, it must be made a
 * plain object first: {@link toMapping}.
 */
export class MappedPage implements Mapping {
  /** Number of the frame, in `[0, 2^40)`: `physBase` divided by 4096. */
  readonly frame: number;
  readonly kind: MappingKind;
  private readonly table: PagesOfTable;
  private readonly index: number;

  /** @internal The page that a walk has found. */
  constructor({ architecture, table, index, low, high }: TableWalk) {
    this.frame = (high & architecture.facts.addressHigh) * FRAMES_PER_HIGH + (low >>> PAGE_SHIFT);
    this.kind = architecture.kindOf(low, high);
    this.table = table;
    this.index = index;
  }

  /** Number of the virtual page, in `[0, 2^52)`: `virtBase` divided by 4096. */
  get page(): number {
    return this.table.firstPage + this.index;
  }

  get physBase(): bigint {
    return addressOf(this.frame);
  }

  get virtBase(): bigint {
    return addressOf(this.page);
  }

  get len(): bigint {
    return PAGE_BYTES;
  }

  /** The same as a plain object. */
  toMapping(): Mapping {
    return { physBase: this.physBase, virtBase: this.virtBase, len: this.len, kind: this.kind };
  }

  /** What Node prints. */
  [INSPECT](): Mapping {
    return this.toMapping();
  }
}

/** Mapped pages, found one by one. */
export interface MappedPages extends Iterator<MappedPage, undefined> {
  /** For loops, spreading and the like, which go on from here. What it gives with `done` means nothing. */
  [Symbol.iterator](): Iterator<MappedPage, unknown>;
}

class PageIterator implements MappedPages {
  private readonly walk: TableWalk;

  constructor(walk: TableWalk) {
    this.walk = walk;
  }

  next(): IteratorResult<MappedPage, undefined> {
    const { walk } = this;
    return walk.advance() ? { done: false, value: new MappedPage(walk) } : { done: true, value: undefined };
  }

  [Symbol.iterator](): Iterator<MappedPage, unknown> {
    return new LoopedPages(this.walk);
  }
}

/**
 * The same for loops, which do not look at the value of the last step: it is a page, too. So there is one way to make a step, and V8
 * makes neither its object nor the page where it can see all of a loop. Measured: 9 instead of 13 nanoseconds for a page.
 */
class LoopedPages {
  private readonly walk: TableWalk;

  constructor(walk: TableWalk) {
    this.walk = walk;
  }

  next(): { done: boolean; value: MappedPage } {
    const { walk } = this;
    const found = walk.advance();
    return { done: !found, value: new MappedPage(walk) };
  }
}

/** How {@link virtToPhys} walks. */
export interface TranslateOptions {
  /** Tables below the root that may be entered, a table counted as often as entries lead to it; 4,194,304 unless given. */
  readonly maxTables?: number;
}

/**
 * The mapped pages that a range of virtual addresses touches, ascending in the 48-bit space, one item for each page; pages that are not
 * mapped are left out. Entries above the last level count as tables if they are present; their rights are not joined with the page's.
 *
 * Root and range are fixed by the call; each entry is read when the iterator gets to it, so changes made in between are seen. Tables that contain
 * themselves lead to as many items as a processor would see pages: stop when there are enough.
 *
 * @param architecture - `amd64` or `aarch64`
 * @param op - of the store
 * @param address - byte address; bits above bit 47 do not count
 * @param len - bytes; the range ends with the 48-bit space at the latest. Without any, an address inside a page still finds that page
 * @throws {@link PageTableError} `OUT_OF_RANGE` if the end is beyond 64 bits; `BAD_ARGUMENT`. The iterator throws `LIMIT_EXCEEDED` if there
 *   are more tables than `options` allow
 */
export function virtToPhys<A>(
  architecture: Architecture,
  op: TableReadOps<A>,
  address: bigint,
  len: bigint,
  options: TranslateOptions = {},
): MappedPages {
  checkArchitecture('virtToPhys', architecture);
  const range = rangeToRead('virtToPhys', address, len);
  const path = pathOf('virtToPhys', architecture, op);
  const maxTables = limitOf('virtToPhys', 'maxTables', options?.maxTables, MAX_TABLES);
  return new PageIterator(new TableWalk(architecture, path, range, maxTables));
}
