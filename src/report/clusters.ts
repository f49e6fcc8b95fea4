import { addressOf, hex64 } from '../bits/index.ts';
import type { Cluster } from '../inspect/index.ts';
import type { Session } from '../session/index.ts';
import type { Json } from './json.ts';
import { privilegeHeaders, repeatText } from './regions.ts';
import { countText, pageSizeText, pagesText, rangeText } from './text.ts';

/** The columns of an overview; the last one, without a name, is for remarks. */
export function clusterHeader(session: Session): string[] {
  return ['LINEAR', 'SPAN', 'MAPPED', 'REGIONS', 'PAGES', ...privilegeHeaders(session), ''];
}

/** The cells of regions that lie near each other, one for each column. */
export function clusterCells(one: Cluster): string[] {
  return [
    rangeText(one.first, one.end),
    pagesText(one.end - one.first),
    pagesText(one.mapped),
    countText(one.regions),
    sortedShifts(one).map(pageSizeText).join('+'),
    [...one.user].join(' '),
    [...one.supervisor].join(' '),
    [repeatText(one.repeat), one.missing ? 'partly not in image' : '', one.faulty ? 'has faulty entries' : '']
      .filter((text) => text !== '')
      .join(', '),
  ];
}

function sortedShifts({ pageShifts }: Cluster): number[] {
  return [...pageShifts].sort((a, b) => a - b);
}

/** The same, as `docs/json.md` describes it. */
export function clusterJson(one: Cluster): { readonly [key: string]: Json } {
  return {
    first: hex64(addressOf(one.first)),
    end: hex64(addressOf(one.end)),
    mapped: one.mapped * 4096,
    regions: one.regions,
    pageSizes: sortedShifts(one).map((shift) => 2 ** shift),
    user: [...one.user],
    supervisor: [...one.supervisor],
    count: one.repeat?.count ?? 1,
    stride: one.repeat === undefined ? null : one.repeat.stride * 4096,
    missing: one.missing,
    faulty: one.faulty,
  };
}
