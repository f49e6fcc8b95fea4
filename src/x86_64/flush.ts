import { INSPECT } from '../bits/inspect.ts';
import type { PhysFrame } from './frame.ts';
import type { Page } from './page.ts';
import type { PageSize, Size4KiB } from './page-size.ts';

/** Where flushes go: a model of the TLB, or a list of what must be invalidated on a real machine. */
export interface FlushSink {
  /** One page of any size. */
  invalidate(page: Page<PageSize>): void;
  /** Everything that is not global. */
  invalidateAll(): void;
  /** A table was unlinked, and its frame goes back to the allocator now. */
  tableFreed?(frame: PhysFrame): void;
  /** A frame was taken from the allocator for a table. */
  tableAllocated?(frame: PhysFrame): void;
}

/** The translation of one page has changed, and the TLB may still hold the old one. */
export class MapperFlush<S extends PageSize = Size4KiB> {
  private readonly changed: Page<S>;
  private readonly sink: FlushSink | undefined;

  /**
   * @param page - the page that was changed
   * @param sink - is told of it by {@link flush}; without one, nothing is
   */
  constructor(page: Page<S>, sink?: FlushSink) {
    this.changed = page;
    this.sink = sink;
  }

  /** The page that was changed. */
  page(): Page<S> {
    return this.changed;
  }

  /** Invalidates the page in the sink. */
  flush(): void {
    this.sink?.invalidate(this.changed);
  }

  /** Does nothing: the TLB is known not to hold the page. */
  ignore(): void {}

  /** The original's debug text. */
  toString(): string {
    return `MapperFlush(${this.changed})`;
  }

  /** @internal */
  [INSPECT](): string {
    return this.toString();
  }
}

/** An entry above pages has changed, and the TLB may hold any number of old translations. */
export class MapperFlushAll {
  private readonly sink: FlushSink | undefined;

  /** @param sink - is told by {@link flushAll}; without one, nothing is */
  constructor(sink?: FlushSink) {
    this.sink = sink;
  }

  /** Invalidates everything in the sink. */
  flushAll(): void {
    this.sink?.invalidateAll();
  }

  /** Does nothing: the TLB is known to hold none of the pages. */
  ignore(): void {}
}
