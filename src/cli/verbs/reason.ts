import { hex64 } from '../../bits/index.ts';
import type { WalkEnd } from '../../format/index.ts';
import type { Session } from '../session.ts';

/**
 * Why an address does not translate, in a few words.
 *
 * @param steps - the entries of its walk
 * @param missing - physical address of the table that is not there
 */
export function reasonText(
  session: Session,
  end: WalkEnd,
  steps: readonly { readonly depth: number; readonly address: bigint }[],
  missing: bigint | undefined,
): string {
  const { levels, vaBits, signExtended } = session.paging.format.fact;
  const last = steps[steps.length - 1];
  const entry = last === undefined ? '' : `${levels[last.depth].entry} at ${hex64(last.address)}`;
  const reasons: Record<WalkEnd, string> = {
    mapped: 'mapped',
    'not-present': `not present: P = 0 in ${entry}`,
    reserved: `reserved bit set in ${entry}`,
    'not-in-memory': `not in image: the table at ${hex64(missing ?? 0n)} is not there`,
    'non-canonical': signExtended
      ? `not canonical: bits 63:${vaBits} do not all equal bit ${vaBits - 1}`
      : `wider than ${vaBits} bits`,
  };
  return reasons[end];
}
