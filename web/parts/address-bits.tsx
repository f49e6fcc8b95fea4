import type { Explanation } from 'tablewalk/inspect';
import type { SpaceInfo } from '../protocol.ts';
import { type AddressPart, splitAddress } from './address-split.ts';

interface AddressProps {
  readonly space: SpaceInfo;
  readonly explanation: Explanation;
}

/** The 64 bits of an address, grouped by what they choose. */
export function AddressBits({ space, explanation }: AddressProps) {
  const { address, levels } = explanation;
  const isPage = levels.at(-1)?.leads === 'page';
  const parts = splitAddress(address, space, { read: levels.length, isPage });
  return (
    <ol class="address-bits" aria-label="How the address splits">
      {parts.map((part) => {
        const { high, low, kind, depth, value } = part;
        return (
          <li key={high} class={`part ${kind} level-${Math.max(0, depth)}`}>
            <span class="where">{high === low ? high : `${high}:${low}`}</span>
            <span class="mono">{value.toString(2).padStart(high - low + 1, '0')}</span>
            <span>{partText(part, space)}</span>
          </li>
        );
      })}
    </ol>
  );
}

function partText({ kind, depth, value }: AddressPart, space: SpaceInfo): string {
  switch (kind) {
    case 'beyond':
      return beyondText(space);
    case 'index':
      return `${space.levels[depth].entry} ${value}`;
    case 'unread':
      return `${space.levels[depth].entry}: not reached`;
    case 'offset':
      return `offset 0x${value.toString(16)}`;
  }
}

/** What bits above the highest index have to be. */
function beyondText({ levels, lowEnd, highStart, half }: SpaceInfo): string {
  if (half !== undefined) return `${half} half`;
  const isExtended = lowEnd > 0 && highStart < 2 ** 52;
  return isExtended ? `copies of bit ${levels[0].indexHigh}` : 'not translated';
}
