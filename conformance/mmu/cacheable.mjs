// What of a walk a TLB may hold, of any architecture.

/**
 * A walk as far as it matters here: the last entry decided how it ends.
 *
 * @typedef {{ end: string, entries: readonly { address: bigint }[] }} AnyWalk
 */

/**
 * @param {AnyWalk} walk
 * @param {bigint} address - of an entry
 */
export function uses({ entries }, address) {
  return entries.some((entry) => entry.address === address);
}

/**
 * Whether something made from an entry may be cached for a walk: not if the entry is what ended it in a fault.
 *
 * @param {AnyWalk} walk
 * @param {bigint} address - of the entry
 */
export function mayBeCached({ end, entries }, address) {
  return uses({ end, entries: end === 'leaf' ? entries : entries.slice(0, -1) }, address);
}
