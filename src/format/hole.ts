import type { CompiledFormat } from './compile.ts';

/** The part of a format that says where the hole between two halves is. */
type Hole = Pick<CompiledFormat, 'lowEnd' | 'highStart'>;

/**
 * The number of a page as tables count: without the hole between two halves.
 *
 * @param page - an integer in `[0, 2^52)` outside of the hole
 */
export function withoutHole({ lowEnd, highStart }: Hole, page: number): number {
  return page < lowEnd ? page : page - (highStart - lowEnd);
}

/** The opposite of {@link withoutHole}: the number of a page as addresses have it. */
export function withHole({ lowEnd, highStart }: Hole, page: number): number {
  return page < lowEnd ? page : page + (highStart - lowEnd);
}
