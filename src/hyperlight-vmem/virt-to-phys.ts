import { joinHalves } from '../bits/index.ts';
import type { TableReadOps } from '../memory/index.ts';
import { type Architecture, checkArchitecture } from './architecture.ts';
import type { Mapping, MappingKind } from './mapping.ts';
import { pathOf } from './path-of.ts';
import { rangeToRead } from './range.ts';
import { TableWalk } from './table-walk.ts';

const FRAMES_PER_HIGH = 2 ** 20;
const PAGE_BYTES = 4096n;

/** A page that is mapped. Addresses are worked out when they are asked for: `page` and `frame` cost no `bigint`. */
export class MappedPage implements Mapping {
  // Halves, which V8 keeps in the object itself; a page number would need an object of its own.
  private readonly architecture: Architecture;
  private readonly virtHigh: number;
  private readonly virtLow: number;
  private readonly low: number;
  private readonly high: number;

  /** @internal The page that a walk has found. */
  constructor(architecture: Architecture, walk: TableWalk) {
    this.architecture = architecture;
    this.virtHigh = walk.virtHigh;
    this.virtLow = walk.virtLow;
    this.low = walk.low;
    this.high = walk.high;
  }

  /** Number of the virtual page, in `[0, 2^52)`: `virtBase` divided by 4096. */
  get page(): number {
    return (this.virtHigh >>> 0) * FRAMES_PER_HIGH + (this.virtLow >>> 12);
  }

  /** Number of the frame, in `[0, 2^40)`: `physBase` divided by 4096. */
  get frame(): number {
    return (this.high & this.architecture.facts.addressHigh) * FRAMES_PER_HIGH + (this.low >>> 12);
  }

  get physBase(): bigint {
    return joinHalves(this.low & ~0xfff, this.high & this.architecture.facts.addressHigh);
  }

  get virtBase(): bigint {
    return joinHalves(this.virtLow, this.virtHigh);
  }

  get len(): bigint {
    return PAGE_BYTES;
  }

  get kind(): MappingKind {
    return this.architecture.kindOf(this.low, this.high);
  }

  /** The same as a plain object. */
  toMapping(): Mapping {
    return { physBase: this.physBase, virtBase: this.virtBase, len: this.len, kind: this.kind };
  }

  /** What Node prints. */
  [Symbol.for('nodejs.util.inspect.custom')](): Mapping {
    return this.toMapping();
  }
}

/** The present pages of a range, one at a time. */
class MappedPages implements IterableIterator<MappedPage, undefined> {
  private readonly architecture: Architecture;
  private readonly walk: TableWalk;

  constructor(architecture: Architecture, walk: TableWalk) {
    this.architecture = architecture;
    this.walk = walk;
  }

  next(): IteratorResult<MappedPage, undefined> {
    const { architecture, walk } = this;
    if (!walk.advance()) return { done: true, value: undefined };
    return { done: false, value: new MappedPage(architecture, walk) };
  }

  [Symbol.iterator](): this {
    return this;
  }
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
 * @throws {@link PageTableError} `OUT_OF_RANGE` if the end is beyond 64 bits; `BAD_ARGUMENT`
 */
export function virtToPhys<A>(
  architecture: Architecture,
  op: TableReadOps<A>,
  address: bigint,
  len: bigint,
): IterableIterator<MappedPage, undefined> {
  checkArchitecture('virtToPhys', architecture);
  const range = rangeToRead('virtToPhys', address, len);
  const path = pathOf('virtToPhys', architecture, op);
  return new MappedPages(architecture, new TableWalk(architecture, path, range));
}
