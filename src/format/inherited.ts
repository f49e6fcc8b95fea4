import { andRights, type CompiledFormat, orRights } from './compile.ts';
import type { EntryBits } from './paging.ts';

/**
 * What entries that lead to tables say together of the rights of all below, as `Paging.rights` takes it.
 *
 * @param entries - of a walk, root first, without the one that maps the page
 */
export function inheritedBits(
  { facts }: Pick<CompiledFormat, 'facts'>,
  entries: readonly EntryBits[],
): { readonly and: number; readonly or: number } {
  let and = -1;
  let or = 0;
  for (const { depth, low, high } of entries) {
    and = andRights(facts, depth, and, low);
    or = orRights(facts, depth, or, high);
  }
  return { and, or };
}
