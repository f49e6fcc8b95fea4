import { addressOf, hex64, joinHalves } from '../bits/index.ts';
import { type Paging, rightsText } from '../format/index.ts';
import type { MappedRegion, Region } from '../inspect/index.ts';
import { tableAddress } from '../walk/index.ts';
import type { Json } from './json.ts';
import { tracksWrites } from './regions.ts';

/** A region, as `docs/json.md` describes it. */
export function regionJson(row: Region, paging: Paging): { readonly [key: string]: Json } {
  const span = {
    kind: row.kind,
    first: hex64(addressOf(row.first)),
    end: hex64(addressOf(row.end)),
    size: (row.end - row.first) * 4096,
    count: row.repeat?.count ?? 1,
    stride: row.repeat === undefined ? null : row.repeat.stride * 4096,
  };
  switch (row.kind) {
    case 'mapped':
      return { ...span, ...mappedJson(row, paging) };
    case 'shared':
      return {
        ...span,
        same: hex64(addressOf(row.same)),
        table: hex64(addressOf(row.frame)),
        pages: row.leaves,
      };
    case 'missing':
      return { ...span, table: hex64(tableAddress(paging, row.depth, row.frame)) };
    case 'faulty':
      return { ...span, entry: hex64(joinHalves(row.low, row.high)) };
  }
}

function mappedJson(row: MappedRegion, paging: Paging): { readonly [key: string]: Json } {
  return {
    physical: row.frame === undefined ? null : hex64(addressOf(row.frame)),
    user: rightsText(row.rights, true),
    supervisor: rightsText(row.rights, false),
    memoryType: row.memoryType?.name ?? null,
    global: row.global ?? null,
    pageSizes: row.pageShifts.map((shift) => 2 ** shift),
    groupSizes: row.groupShifts.map((shift) => 2 ** shift),
    pages: row.leaves,
    contiguous: row.contiguous,
    accessed: row.accessed,
    dirty: tracksWrites(paging) ? row.dirty : null,
  };
}
