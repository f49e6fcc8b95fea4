import { GLOBAL } from './remembered.ts';
import { covers, type TlbInvalidation } from './tlbi.ts';

/** An entry that the tables no longer have, but a TLB may. */
export interface CachedEntry {
  readonly isPage: boolean;
  /** ASID, or {@link GLOBAL}. */
  readonly space: number;
  /** `log2` of the 4-KiB pages that it spans. */
  readonly order: number;
  /** Number of the first of them. */
  readonly first: number;
  readonly low: number;
  readonly high: number;
  /** PXNTable, UXNTable and APTable of the entries above. */
  readonly above: number;
  /** Physical byte address of the entry. */
  readonly address: bigint;
  /** When it went out of the tables. */
  readonly since: number;
  /** The first pages of a contiguous group of which each must be invalidated; `undefined` if it stands for itself. */
  readonly group: Set<number> | undefined;
}

/** Entries that are kept at most; beyond that all are forgotten, and nothing is reported for them. */
const MOST_ENTRIES = 2 ** 17;
/** Members of a contiguous group. */
const MOST_MEMBERS = 128;

/** What a TLB may hold that the tables no longer have, until invalidations have removed it for certain. */
export class CachedEntries {
  /** By order, then by first page. */
  private readonly byOrder = new Map<number, Map<number, CachedEntry[]>>();
  private count = 0;

  /** In place of an earlier one of the same entry, with the same value. */
  add(entry: CachedEntry): void {
    if (this.count >= MOST_ENTRIES) this.clear();
    const pages = this.byOrder.get(entry.order) ?? new Map<number, CachedEntry[]>();
    this.byOrder.set(entry.order, pages);
    const here = pages.get(entry.first) ?? [];
    pages.set(entry.first, here);
    const earlier = here.findIndex((each) => isSame(each, entry));
    if (earlier >= 0) here.splice(earlier, 1);
    else this.count += 1;
    here.push(entry);
  }

  /** Entries that concern some of the `2 ** order` pages from `first` on; those that went last come first. */
  over(first: number, order: number): CachedEntry[] {
    const found: CachedEntry[] = [];
    for (const [size, pages] of this.byOrder) {
      if (size >= order) {
        found.push(...(pages.get(first - (first % 2 ** size)) ?? []));
      } else if (pages.size < 2 ** (order - size)) {
        for (const [at, entries] of pages) if (at >= first && at < first + 2 ** order) found.push(...entries);
      } else {
        for (let at = first; at < first + 2 ** order; at += 2 ** size) found.push(...(pages.get(at) ?? []));
      }
    }
    return found.sort((a, b) => b.since - a.since);
  }

  /** All of them. */
  all(): CachedEntry[] {
    return [...this.byOrder.values()].flatMap((pages) => [...pages.values()].flat());
  }

  remove(entry: CachedEntry): void {
    const pages = this.byOrder.get(entry.order);
    const here = pages?.get(entry.first);
    const at = here?.indexOf(entry) ?? -1;
    if (pages === undefined || here === undefined || at < 0) return;
    here.splice(at, 1);
    this.count -= 1;
    if (here.length === 0) pages.delete(entry.first);
    if (pages.size === 0) this.byOrder.delete(entry.order);
  }

  clear(): void {
    this.byOrder.clear();
    this.count = 0;
  }

  /**
   * An invalidation is complete.
   *
   * @param before - it counts for what went out of the tables before this, and was seen to
   */
  invalidated(invalidation: TlbInvalidation, before: number): void {
    if (this.count === 0 || invalidation.scope === 'nothing') return;
    for (const entry of this.candidates(invalidation)) {
      if (entry.since >= before) continue;
      if (entry.group === undefined) {
        if (covers(invalidation, entry)) this.remove(entry);
        continue;
      }
      for (const first of [...entry.group]) {
        if (covers(invalidation, { isPage: true, space: entry.space, order: entry.order, first })) {
          entry.group.delete(first);
        }
      }
      if (entry.group.size === 0) this.remove(entry);
    }
  }

  /** What an invalidation may concern. */
  private candidates({ scope, first, end }: TlbInvalidation): CachedEntry[] {
    const isOne = scope === 'addresses' && end - first === 1;
    return [...this.byOrder].flatMap(([order, pages]) => {
      if (!isOne || pages.size <= 2 * MOST_MEMBERS) return [...pages.values()].flat();
      // The address itself may be of another member of a contiguous group.
      const at = first - (first % 2 ** order);
      return Array.from({ length: 2 * MOST_MEMBERS - 1 }, (_, i) => {
        return pages.get(at + (i - MOST_MEMBERS + 1) * 2 ** order) ?? [];
      }).flat();
    });
  }
}

function isSame(a: CachedEntry, b: CachedEntry): boolean {
  return (
    a.space === b.space &&
    a.address === b.address &&
    a.low === b.low &&
    a.high === b.high &&
    a.above === b.above &&
    a.isPage === b.isPage
  );
}

/** Whether an entry of one space can be used while another is current. */
export function isOfSpace({ space }: CachedEntry, current: number): boolean {
  return space === GLOBAL || space === current;
}
