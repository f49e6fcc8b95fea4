import { hex64, pageOf } from 'tablewalk/bits';
import { rangeText } from 'tablewalk/report';
import type { Go, Place } from '../state.ts';
import { PlaceLink } from './place-link.tsx';

interface RangeLinksProps {
  /** Linear byte addresses, of whole pages; the end is not included. */
  readonly first: bigint;
  readonly end: bigint;
  readonly place: Place;
  readonly go: Go;
  readonly tabIndex: number;
}

/** A range as the way to the walk to its first address, and the way to its place on the map. */
export function RangeLinks({ first, end, place, go, tabIndex }: RangeLinksProps) {
  // An end of 2^64 is a page number still.
  const pages = { first: pageOf(first), end: Number(end >> 12n) };
  return (
    <>
      <PlaceLink place={place} go={go} to={{ address: first, panel: 'walk' }} tabIndex={tabIndex}>
        {rangeText(pages.first, pages.end)}
      </PlaceLink>{' '}
      <PlaceLink
        place={place}
        go={go}
        to={{ zoom: { first: pages.first, last: pages.end - 1 } }}
        label={`Show ${hex64(first)} on the map`}
        tabIndex={tabIndex}
      >
        map
      </PlaceLink>
    </>
  );
}
