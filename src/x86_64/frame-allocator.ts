import { PageTableError } from '../bits/index.ts';
import { wrongKind } from '../bits/wrong-kind.ts';
import { type PhysFrame, PhysFrameRange } from './frame.ts';
import type { PageSize, Size4KiB } from './page-size.ts';

/** Gives frames. */
export interface FrameAllocator<S extends PageSize = Size4KiB> {
  /** A frame that nobody uses, its contents unknown; `undefined` if there is none left. */
  allocateFrame(): PhysFrame<S> | undefined;
}

/** Takes frames back. */
export interface FrameDeallocator<S extends PageSize = Size4KiB> {
  /** @param frame - one that nobody uses any more */
  deallocateFrame(frame: PhysFrame<S>): void;
}

/** A region and how far it has been given out. */
interface Region<S extends PageSize> {
  readonly first: PhysFrame<S>;
  /** The frames that have never been given. */
  readonly rest: PhysFrameRange<S>;
}

/**
 * Gives the frames of some regions, one after the other, each once.
 */
export class BumpFrameAllocator<S extends PageSize = Size4KiB> implements FrameAllocator<S> {
  /** Frames that may be in use at the same time; infinite unless given. */
  readonly limit: number;
  private readonly regions: readonly Region<S>[];
  private current = 0;
  private inUse = 0;

  /**
   * @param regions - where frames come from, in this order; they must not overlap
   * @param options - `limit`: frames that may be in use at the same time, by default all
   * @throws {@link PageTableError} `OVERLAP`; `OUT_OF_RANGE` for a limit that is not a whole number, or negative
   */
  constructor(regions: Iterable<PhysFrameRange<S>>, options: { readonly limit?: number } = {}) {
    const limit = options.limit ?? Number.POSITIVE_INFINITY;
    if (!(limit >= 0 && (Number.isInteger(limit) || limit === Number.POSITIVE_INFINITY))) {
      throw new PageTableError(
        'OUT_OF_RANGE',
        `frame allocator: limit ${limit}; expected a whole number that is not negative`,
        { limit },
      );
    }
    this.limit = limit;
    if (regions instanceof PhysFrameRange) {
      throw wrongKind('frame allocator', regions, 'a list of regions: [range]');
    }
    this.regions = Array.from(regions, (region) => {
      if (!(region instanceof PhysFrameRange)) throw wrongKind('frame allocator', region, 'a PhysFrameRange');
      return { first: region.start, rest: new PhysFrameRange(region.start, region.end) };
    });
    const sorted = this.regions
      .map(({ rest }) => rest)
      .filter((region) => !region.isEmpty())
      .sort((a, b) => a.start.compare(b.start));
    for (let i = 1; i < sorted.length; i += 1) {
      if (sorted[i].start.compare(sorted[i - 1].end) < 0) {
        throw new PageTableError(
          'OVERLAP',
          `frame allocator: ${sorted[i - 1]} and ${sorted[i]} overlap; expected disjoint regions`,
        );
      }
    }
  }

  /** Frames in use. */
  get allocated(): number {
    return this.inUse;
  }

  /** Frames that it can still give. */
  get remaining(): number {
    const left = this.regions.reduce((sum, { rest }) => sum + rest.len(), this.free());
    return Math.min(left, this.limit - this.inUse);
  }

  allocateFrame(): PhysFrame<S> | undefined {
    if (this.inUse >= this.limit) return undefined;
    const frame = this.reuse() ?? this.next();
    if (frame !== undefined) this.inUse += 1;
    return frame;
  }

  /** Frames given back and not given again. */
  protected free(): number {
    return 0;
  }

  /** A frame that was given back. */
  protected reuse(): PhysFrame<S> | undefined {
    return undefined;
  }

  /** Counts a frame that was given back. */
  protected returned(): void {
    this.inUse -= 1;
  }

  /** Whether a frame was ever given. */
  protected gave(frame: PhysFrame<S>): boolean {
    return this.regions.some(
      ({ first, rest }) =>
        first.pageSize === frame.pageSize && first.compare(frame) <= 0 && frame.compare(rest.start) < 0,
    );
  }

  private next(): PhysFrame<S> | undefined {
    for (; this.current < this.regions.length; this.current += 1) {
      const { done, value } = this.regions[this.current].rest.next();
      if (done !== true) return value;
    }
    return undefined;
  }
}

/**
 * Gives the frames of some regions and takes them back: those given back are given first, the last one before others.
 */
export class FreeListFrameAllocator<S extends PageSize = Size4KiB>
  extends BumpFrameAllocator<S>
  implements FrameDeallocator<S>
{
  private readonly stack: PhysFrame<S>[] = [];
  private readonly numbers = new Set<number>();

  /** @throws {@link PageTableError} `BAD_ARGUMENT` for a frame that it did not give, or has already back */
  deallocateFrame(frame: PhysFrame<S>): void {
    const known = this.gave(frame);
    if (!known || this.numbers.has(frame.pfn())) {
      throw new PageTableError(
        'BAD_ARGUMENT',
        `deallocateFrame: ${frame} ${known ? 'is free already' : 'was not given by this allocator'}; expected a frame in use`,
        { frame: frame.pfn() },
      );
    }
    this.stack.push(frame);
    this.numbers.add(frame.pfn());
    this.returned();
  }

  protected override free(): number {
    return this.stack.length;
  }

  protected override reuse(): PhysFrame<S> | undefined {
    const frame = this.stack.pop();
    if (frame !== undefined) this.numbers.delete(frame.pfn());
    return frame;
  }
}
