import type { SpaceInfo } from '../protocol.ts';

/** Neighbouring bits of a linear address that do one thing. */
export interface AddressPart {
  readonly high: number;
  readonly low: number;
  /** `beyond`: above what the tables translate. `unread`: an index that the walk did not come to. */
  readonly kind: 'beyond' | 'index' | 'unread' | 'offset';
  /** Of an index: the level, root 0. */
  readonly depth: number;
  readonly value: bigint;
}

/**
 * Splits an address into what each of its bits does, highest first.
 *
 * @param address - 64 bits
 * @param read - levels of which an entry was read
 * @param isPage - whether the last of them maps a page: then all bits below its index are the offset
 */
export function splitAddress(
  address: bigint,
  { levels }: Pick<SpaceInfo, 'levels'>,
  { read, isPage }: { readonly read: number; readonly isPage: boolean },
): AddressPart[] {
  const part = (high: number, low: number, kind: AddressPart['kind'], depth: number): AddressPart => ({
    high,
    low,
    kind,
    depth,
    value: (address >> BigInt(low)) & ((1n << BigInt(high - low + 1)) - 1n),
  });
  const shown = isPage ? levels.slice(0, read) : levels;
  const last = shown[shown.length - 1];
  const top = levels[0].indexHigh;
  return [
    ...(top < 63 ? [part(63, top + 1, 'beyond', -1)] : []),
    ...shown.map(({ indexHigh, indexLow }, depth) =>
      part(indexHigh, indexLow, depth < read ? 'index' : 'unread', depth),
    ),
    part(last.indexLow - 1, 0, 'offset', -1),
  ];
}
