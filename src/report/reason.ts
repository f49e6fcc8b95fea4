import { hex64 } from '../bits/index.ts';
import { ACCESSES, type EntryBits, type Paging, type WalkEnd } from '../format/index.ts';

/**
 * Why an address does not translate, in a few words.
 *
 * @param steps - the entries of its walk
 * @param missing - physical address of the table that is not there
 */
export function reasonText(
  paging: Paging,
  end: WalkEnd,
  steps: readonly (EntryBits & { readonly address: bigint })[],
  missing: bigint | undefined,
): string {
  const { vaBits, signExtended, upper } = paging.format.fact;
  const last = steps[steps.length - 1];
  // What any access meets there: the entry, and what of it stops the walk.
  const result = end === 'not-in-memory' ? undefined : paging.access(end, steps, ACCESSES[0]);
  const because = result?.kind === 'fault' ? result.because[0] : '';
  const at = last === undefined ? '' : ` at ${hex64(last.address)}`;
  const equal = signExtended ? `do not all equal bit ${vaBits - 1}` : 'are not all 1';
  const reasons: Record<WalkEnd, string> = {
    mapped: 'mapped',
    'not-present': `not present: ${because}${at}`,
    reserved: `${because}${at}`,
    'not-in-memory': `not in image: the table at ${hex64(missing ?? 0n)} is not there`,
    'non-canonical':
      signExtended || upper ? `not canonical: bits 63:${vaBits} ${equal}` : `wider than ${vaBits} bits`,
  };
  return reasons[end];
}
