import { addressOf } from '../../bits/index.ts';
import {
  type CompiledFormat,
  entryOrder,
  groupOrder,
  isGlobal,
  orRights,
  tableFrame,
} from '../../format/index.ts';
import type { PhysicalMemory } from '../../memory/index.ts';
import { CachedEntries, type CachedEntry, isOfSpace } from './cached.ts';
import { type BreakRule, ChangeRules, type EntryKind, isMember, type LiveEntry } from './change-rules.ts';
import type { Aarch64State, HalfState } from './control-state.ts';
import { type EntryListener, type LiveTable, LiveTables } from './live-tables.ts';
import { GLOBAL } from './remembered.ts';

/** A high half that says that its page is one of a group. */
const ANY_GROUP = -1;

/** An entry that was looked at, in the table where it stands. */
export interface Spot {
  readonly table: LiveTable;
  readonly index: number;
}

/** What the tables say now of an address, at the entry of some size or above it. */
interface Found extends Spot {
  readonly kind: EntryKind;
}

/** Told of what must not be. */
export interface ChangeListener {
  /** An entry is in the tables, which just before was another one, while a TLB may hold one that must not be cached with it. */
  broken(spot: Spot, oldLow: number, oldHigh: number, cached: CachedEntry, rule: BreakRule): void;
  /** An entry, which just before was another one, does not go together with another of its contiguous group. */
  mixed(spot: Spot, oldLow: number, oldHigh: number, other: number): void;
  /** When it is now. */
  now(): number;
}

/** Follows the tables that walks can reach, and what has gone out of them and may be cached still. */
export class LiveChanges {
  readonly cached = new CachedEntries();
  private readonly state: Aarch64State;
  private readonly rules: ChangeRules;
  private readonly live: LiveTables;
  private readonly told: ChangeListener;
  /** The ASID under which the tables were looked at last. */
  private space: number;

  /**
   * @param onFrame - told of each frame of a table, and where it begins in memory
   * @param told - told of what must not be
   */
  constructor(
    memory: PhysicalMemory,
    state: Aarch64State,
    onFrame: (place: number, frame: number) => void,
    told: ChangeListener,
  ) {
    this.state = state;
    this.rules = new ChangeRules(state, memory);
    this.live = new LiveTables(memory, onFrame);
    this.told = told;
    this.space = state.space;
  }

  /** Looks at all tables that the registers name now. */
  look(): void {
    const { live, state } = this;
    const before = [...live.roots];
    const isOtherSpace = state.space !== this.space;
    if (isOtherSpace) for (const root of before) if (root !== undefined) this.keepAll(root);
    for (const half of [state.lower, state.upper]) {
      live.look(half.index, this.isWalkable(half) ? half : undefined, this.listener);
    }
    if (isOtherSpace || before.some((root, index) => root !== live.roots[index])) this.checkAll();
    this.space = state.space;
  }

  /** An entry was written to, at a place in memory. */
  written(place: number): void {
    this.live.written(place, this.listener);
  }

  private isWalkable(half: HalfState): boolean {
    return this.state.isOn && half.format !== undefined && !half.walksDisabled && !half.isRootTooHigh;
  }

  private readonly listener: EntryListener = (table, index, oldLow, oldHigh) => {
    const { format, depth, above, entries, children } = table;
    const { rules } = this;
    const old: LiveEntry = { low: oldLow, high: oldHigh, above };
    const now: LiveEntry = { low: entries[index << 1], high: entries[(index << 1) | 1], above };
    const before = rules.kindOf(format, depth, oldLow, oldHigh);
    const kind = rules.kindOf(format, depth, now.low, now.high);
    const child = children.get(index);
    const isSameTable =
      before === 'table' &&
      kind === 'table' &&
      tableFrame(format.facts, depth, now.low, now.high) === tableFrame(format.facts, depth, oldLow, oldHigh);
    if (before === kind && (kind !== 'table' || isSameTable) && rules.isSame(format, depth, kind, old, now))
      return;
    this.keep(table, index, old, before);
    if (isSameTable && child !== undefined) {
      setAbove(child, orRights(format.facts, depth, above, now.high));
    } else {
      children.delete(index);
      if (kind === 'table') this.live.follow(table, index);
      if (child !== undefined) {
        this.keepBelow(child, table, index);
        this.live.forget(child);
      }
    }
    if (kind === 'none') return;
    this.checkAgainstCached(table, index, oldLow, oldHigh, isSameTable);
    if (kind === 'leaf') this.checkGroup(table, index, oldLow, oldHigh);
  };

  /** Another ASID is current: all that is not global may stay cached under the one before. */
  private keepAll(table: LiveTable): void {
    const { format, depth, entries, children } = table;
    for (let index = 0; index << 1 < entries.length; index += 1) {
      const entry = entryOf({ table, index });
      if ((entry.low & 1) === 0) continue;
      const kind = this.rules.kindOf(format, depth, entry.low, entry.high);
      if (kind === 'table' || !isGlobal(format.facts, depth, entry.low)) this.keep(table, index, entry, kind);
      const child = children.get(index);
      if (child !== undefined) this.keepAll(child);
    }
  }

  /** Something went out of use that a TLB may hold. */
  private keep(table: LiveTable, index: number, { low, high, above }: LiveEntry, kind: EntryKind): void {
    if (kind === 'none') return;
    const { format, depth } = table;
    const order = entryOrder(format.facts, depth);
    const first = firstPageOf({ table, index });
    const isPage = kind === 'leaf';
    const isShared = isPage && isGlobal(format.facts, depth, low);
    this.cached.add({
      isPage,
      space: isShared ? GLOBAL : this.space,
      order,
      first,
      low,
      high,
      above,
      address: addressIn({ table, index }),
      since: this.told.now(),
      group: isPage && isMember(format.facts, depth, high) ? groupOf(format, depth, first) : undefined,
    });
  }

  /**
   * The same of all entries of a table, and below it, unless they are reached as before by another way.
   *
   * @param now - the table in which an entry led to it
   * @param at - index of that entry
   */
  private keepBelow(table: LiveTable, now: LiveTable, at: number): void {
    const { format, depth, above, entries, children } = table;
    for (let index = 0; index << 1 < entries.length; index += 1) {
      const { low, high } = entryOf({ table, index });
      if ((low & 1) === 0) continue;
      const found = this.find(now, at, {
        first: firstPageOf({ table, index }),
        order: entryOrder(format.facts, depth),
      });
      const entry = entryOf(found);
      const isThere = addressIn(found) === addressIn({ table, index });
      if (!(isThere && entry.low === low && entry.high === high)) {
        this.keep(table, index, { low, high, above }, this.rules.kindOf(format, depth, low, high));
      }
      const child = children.get(index);
      if (child !== undefined) this.keepBelow(child, now, at);
    }
  }

  /**
   * Whether what the tables say now goes together with what may be cached for the same addresses.
   *
   * @param isSameTable - the entry leads to the table to which it led: what is below has not changed
   */
  private checkAgainstCached(
    table: LiveTable,
    index: number,
    oldLow: number,
    oldHigh: number,
    isSameTable: boolean,
  ): void {
    const order = entryOrder(table.format.facts, table.depth);
    let reported = false;
    for (const entry of this.cached.over(firstPageOf({ table, index }), order)) {
      if (isSameTable && entry.order !== order) continue;
      const broken = this.brokenRule(table, index, entry);
      if (broken === undefined) continue;
      if (!reported) this.told.broken({ table, index }, oldLow, oldHigh, entry, broken);
      reported = true;
      // It has been told; what follows from it would be told again and again.
      this.cached.remove(entry);
    }
  }

  /** Other tables, or another ASID, are in use: what may be cached for that meets what they say. */
  private checkAll(): void {
    for (const entry of this.cached.all()) {
      for (const root of this.live.roots) {
        if (root === undefined) continue;
        const size = 2 ** entryOrder(root.format.facts, root.depth);
        const index = Math.floor((entry.first - root.firstPage) / size);
        if (index < 0 || index << 1 >= root.entries.length) continue;
        const broken = this.brokenRule(root, index, entry);
        if (broken === undefined) continue;
        const found = this.find(root, index, entry);
        const { low, high } = entryOf(found);
        this.told.broken(found, low, high, entry, broken);
        this.cached.remove(entry);
      }
    }
  }

  /** The rule that is broken if an entry is still cached, now that a table's entry is as it is. */
  private brokenRule(table: LiveTable, index: number, cached: CachedEntry): BreakRule | undefined {
    const found = this.find(table, index, cached);
    if (found.kind === 'none') return undefined;
    const { format, depth } = found.table;
    const now = entryOf(found);
    // Under another ASID only what is global can meet it.
    if (!isOfSpace(cached, this.state.space)) {
      return cached.isPage && this.hasGlobal(found, cached) ? 'global' : undefined;
    }
    const order = entryOrder(format.facts, depth);
    if (found.kind === 'leaf' && cached.isPage && order === cached.order) {
      return this.rules.betweenLeaves(format, depth, cached, now);
    }
    if (found.kind === 'leaf') return order >= cached.order ? 'size' : undefined;
    if (cached.isPage) return order <= cached.order ? 'size' : undefined;
    if (order !== cached.order) return undefined;
    return this.rules.tableRights(format, cached) === this.rules.tableRights(format, now)
      ? undefined
      : 'table rights';
  }

  /** Whether there is a global page or block at an entry, or below it, where something else was. */
  private hasGlobal({ kind, table, index }: Found, cached: CachedEntry): boolean {
    const { format, depth, children } = table;
    if (kind === 'leaf') return isGlobal(format.facts, depth, table.entries[index << 1]);
    const child = children.get(index);
    if (child === undefined) return false;
    const size = 2 ** entryOrder(format.facts, child.depth);
    for (let below = 0; below << 1 < child.entries.length; below += 1) {
      const first = child.firstPage + below * size;
      if (first >= cached.first + 2 ** cached.order || first + size <= cached.first) continue;
      const { low, high } = entryOf({ table: child, index: below });
      const found = { kind: this.rules.kindOf(format, child.depth, low, high), table: child, index: below };
      if (found.kind !== 'none' && this.hasGlobal(found, cached)) return true;
    }
    return false;
  }

  /** What the tables say where an entry was: a page above or there, or a table there, or nothing. */
  private find(table: LiveTable, index: number, cached: Pick<CachedEntry, 'first' | 'order'>): Found {
    const { format, depth } = table;
    const { low, high } = entryOf({ table, index });
    const kind = this.rules.kindOf(format, depth, low, high);
    const child = table.children.get(index);
    const isThere = entryOrder(format.facts, depth) <= cached.order;
    if (kind !== 'table' || isThere || child === undefined) return { kind, table, index };
    const at = Math.floor((cached.first - child.firstPage) / 2 ** entryOrder(format.facts, child.depth));
    return this.find(child, at, cached);
  }

  /** Whether a page goes together with the others of its contiguous group. */
  private checkGroup(table: LiveTable, index: number, oldLow: number, oldHigh: number): void {
    const { format, depth } = table;
    const bits = groupOrder(format.facts, depth, ANY_GROUP) - entryOrder(format.facts, depth);
    if (bits <= 0) return;
    const now = entryOf({ table, index });
    const start = (index >> bits) << bits;
    const isOne = isMember(format.facts, depth, now.high);
    for (let other = start; other < start + 2 ** bits && other << 1 < table.entries.length; other += 1) {
      if (other === index) continue;
      const entry = entryOf({ table, index: other });
      const kind = this.rules.kindOf(format, depth, entry.low, entry.high);
      if (kind === 'none') continue;
      if (!isOne && !(kind === 'leaf' && isMember(format.facts, depth, entry.high))) continue;
      const apart = (other - index) * 2 ** entryOrder(format.facts, depth);
      if (kind === 'leaf' && isOne && this.rules.areOfOneGroup(format, depth, now, entry, apart)) continue;
      this.told.mixed({ table, index }, oldLow, oldHigh, other);
      return;
    }
  }
}

/** An entry of a table. */
export function entryOf({ table: { above, entries }, index }: Spot): LiveEntry {
  return { low: entries[index << 1], high: entries[(index << 1) | 1], above };
}

/** Number of the first 4-KiB page that an entry maps. */
export function firstPageOf({ table: { format, depth, firstPage }, index }: Spot): number {
  return firstPage + index * 2 ** entryOrder(format.facts, depth);
}

/** Physical byte address of an entry. */
export function addressIn({ table: { frame, word }, index }: Spot): bigint {
  return addressOf(frame, word * 4 + index * 8);
}

/** First pages of the members of the contiguous group that a page is in. */
function groupOf({ facts }: CompiledFormat, depth: number, first: number): Set<number> {
  const [size, all] = [2 ** entryOrder(facts, depth), 2 ** groupOrder(facts, depth, ANY_GROUP)];
  const start = first - (first % all);
  return new Set(Array.from({ length: all / size }, (_, member) => start + member * size));
}

/** Table entries above have changed what they take away. */
function setAbove(table: LiveTable, above: number): void {
  table.above = above;
  const { format, depth, entries } = table;
  for (const [index, child] of table.children) {
    setAbove(child, orRights(format.facts, depth, above, entries[(index << 1) | 1]));
  }
}
