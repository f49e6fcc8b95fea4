/**
 * Which changes of live AArch64 tables need break-before-make, worked out the slow way: all that a TLB may hold is a list of
 * descriptors, and after each edit the whole tree is read afresh and compared with it. Written from the manual's rules alone,
 * without a look at `src/`.
 *
 * The 4-KiB granule, one half of 48 bits from level 0 on.
 *
 * @see Arm ARM (DDI 0487), D8.17 (R_WHZWS, R_DDMVT, I_WZCBG), D8.4.1.2 (I_QYWJF), D8.7.1 (R_QTRPM), D8.17.6 (R_LQLSD)
 */

/** A descriptor at its place. */
interface Seen {
  readonly address: bigint;
  readonly level: number;
  readonly start: bigint;
  readonly kind: 'leaf' | 'table';
  readonly value: bigint;
  /** APTable[1] of the tables above: nothing below is writable. */
  readonly noWrites: boolean;
}

/** What a TLB may hold and the tables no longer have. */
interface Held extends Seen {
  /** `undefined` if it is global. */
  readonly asid: number | undefined;
  /** Whether a DSB has made its going visible. */
  visible: boolean;
  /** Addresses that must be invalidated, and whether each was, but not yet for certain. */
  readonly due: Map<bigint, boolean>;
}

/** An invalidation, as the manual's table of scopes has it. */
export interface OracleTlbi {
  readonly scope: 'all' | 'asid' | 'addresses';
  readonly asid?: number;
  readonly lastLevel?: boolean;
  readonly start?: bigint;
  readonly end?: bigint;
  /** TTL. */
  readonly level?: number;
}

export interface OracleControl {
  readonly root: bigint;
  readonly mair: bigint;
  readonly ha: boolean;
  readonly hd: boolean;
  readonly hpd: boolean;
  readonly outputBits: bigint;
}

const bit = (value: bigint, at: number) => (value >> BigInt(at)) & 1n;
const sizeOf = (level: number) => 1n << BigInt(39 - 9 * level);
const addressOf = (value: bigint, low: bigint) => value & ((1n << 48n) - 1n) & ~((1n << low) - 1n);

/** Whether two were seen at the same place, with the same value. */
function isSame(a: Seen, b: Seen): boolean {
  return a.address === b.address && a.start === b.start && a.value === b.value && a.noWrites === b.noWrites;
}

/** Type, cacheability and shareability. Allocation hints are no part of it, nor is SH where nothing is cached. */
function memoryOf(mair: bigint, value: bigint): string {
  const byte = Number((mair >> (8n * ((value >> 2n) & 7n))) & 255n);
  if (byte < 16) return `device ${byte >> 2}`;
  const cache = (nibble: number) => (nibble === 4 ? 'NC' : nibble & 4 ? 'WB' : 'WT');
  const name = `${cache(byte >> 4)} ${cache(byte & 15)}`;
  return name === 'NC NC' ? name : `${name} ${(value >> 8n) & 3n}`;
}

export class BreakOracle {
  readonly control: OracleControl;
  private asid = 0;
  private readonly read: (address: bigint) => bigint;
  private readonly sameContents: (a: bigint, b: bigint, bytes: bigint) => boolean;
  private view: Map<string, Seen>;
  private held: Held[] = [];

  constructor(
    control: OracleControl,
    read: (address: bigint) => bigint,
    sameContents: (a: bigint, b: bigint, bytes: bigint) => boolean,
  ) {
    this.control = control;
    this.read = read;
    this.sameContents = sameContents;
    this.view = this.look();
  }

  /**
   * An entry was written, or several were.
   *
   * @returns the rules that are broken
   */
  edited(): Set<string> {
    const before = this.view;
    const after = this.look();
    this.view = after;
    for (const [key, old] of before) {
      const now = after.get(key);
      if (now?.value === old.value && now.address === old.address) continue;
      this.held.push({ ...old, asid: this.asidOf(old), visible: false, due: this.dueFor(old) });
    }
    return this.broken((key, now) => {
      const old = before.get(key);
      return now.value !== old?.value || now.address !== old.address;
    });
  }

  /**
   * Another ASID is current: everything is used under that.
   *
   * @returns the rules that are broken
   */
  switched(asid: number): Set<string> {
    if (asid === this.asid) return new Set();
    // What is not global stays cached under the one before.
    for (const seen of this.view.values()) {
      if (this.asidOf(seen) === undefined) continue;
      this.held = this.held.filter((held) => !(held.asid === this.asid && isSame(held, seen)));
      this.held.push({ ...seen, asid: this.asid, visible: false, due: this.dueFor(seen) });
    }
    this.asid = asid;
    return this.broken(() => true);
  }

  /** The rules that are broken by some of the descriptors in the tables. */
  private broken(isNew: (key: string, now: Seen) => boolean): Set<string> {
    const broken = new Set<string>();
    const told = new Set<Held>();
    for (const [key, now] of this.view) {
      if (!isNew(key, now)) continue;
      for (const held of this.held) {
        const rule = this.conflict(held, now);
        if (rule === undefined) continue;
        broken.add(rule);
        told.add(held);
      }
    }
    // What has been told is not told again.
    this.held = this.held.filter((held) => !told.has(held));
    return broken;
  }

  /** Whether the valid entries of the contiguous group of the entry at an address do not go together. */
  isGroupBroken(level: number, start: bigint): boolean {
    const now = this.view.get(`${level} ${start}`);
    if (now?.kind !== 'leaf') return false;
    const size = sizeOf(level);
    const first = start - (start % (16n * size));
    for (let i = 0n; i < 16n; i += 1n) {
      const other = this.view.get(`${level} ${first + i * size}`);
      if (other === undefined || other === now) continue;
      const ours = bit(now.value, 52) === 1n;
      if (!ours && !(other.kind === 'leaf' && bit(other.value, 52) === 1n)) continue;
      if (other.kind === 'table' || bit(other.value, 52) !== bit(now.value, 52)) return true;
      const low = BigInt(39 - 9 * level);
      const apart = addressOf(other.value, low) - addressOf(now.value, low);
      if (apart !== first + i * size - start) return true;
      if (this.attributes(other.value) !== this.attributes(now.value)) return true;
    }
    return false;
  }

  /** A DSB. */
  barrier(isFull: boolean): void {
    for (const held of this.held) held.visible = true;
    if (!isFull) return;
    for (const held of this.held) {
      for (const [address, isDone] of held.due) if (isDone) held.due.delete(address);
    }
    this.held = this.held.filter(({ due }) => due.size > 0);
  }

  tlbi({ scope, asid, lastLevel = false, start = 0n, end = 0n, level }: OracleTlbi): void {
    for (const held of this.held) {
      if (!held.visible) continue;
      const isTable = held.kind === 'table';
      if (scope === 'asid' && held.asid !== asid) continue;
      if (scope === 'addresses') {
        if (asid !== undefined && held.asid !== undefined && held.asid !== asid) continue;
        if (isTable && lastLevel) continue;
        if (level !== undefined && (isTable ? held.level >= level : held.level !== level)) continue;
      }
      for (const address of held.due.keys()) {
        const meets = scope !== 'addresses' || (address < end && start < address + sizeOf(held.level));
        if (meets) held.due.set(address, true);
      }
    }
  }

  /** All descriptors that walks reach and that a TLB may hold. */
  private look(): Map<string, Seen> {
    const found = new Map<string, Seen>();
    const { root, ha, hpd, outputBits } = this.control;
    const visit = (table: bigint, level: number, base: bigint, noWrites: boolean) => {
      for (const index of INDICES) {
        const address = table + BigInt(index) * 8n;
        const value = this.read(address);
        // Translation faults: invalid, blocks at level 0, code 01 at level 3.
        if (bit(value, 0) === 0n) continue;
        const isTable = level < 3 && bit(value, 1) === 1n;
        if (!isTable && (level === 0 || (level === 3 && bit(value, 1) === 0n))) continue;
        const low = isTable ? 12n : BigInt(39 - 9 * level);
        // Address size faults, and access flag faults.
        if (addressOf(value, low) >> outputBits !== 0n) continue;
        if (!isTable && bit(value, 10) === 0n && !ha) continue;
        const start = base + BigInt(index) * sizeOf(level);
        found.set(`${level} ${start}`, {
          address,
          level,
          start,
          kind: isTable ? 'table' : 'leaf',
          value,
          noWrites,
        });
        if (isTable) {
          visit(addressOf(value, 12n), level + 1, start, noWrites || (!hpd && bit(value, 62) === 1n));
        }
      }
    };
    visit(root, 0, 0n, false);
    return found;
  }

  private asidOf({ kind, value }: Seen): number | undefined {
    return kind === 'leaf' && bit(value, 11) === 0n ? undefined : this.asid;
  }

  /** Each page of a contiguous group must be invalidated. */
  private dueFor({ kind, value, level, start }: Seen): Map<bigint, boolean> {
    const size = sizeOf(level);
    if (kind === 'table' || bit(value, 52) === 0n) return new Map([[start, false]]);
    const first = start - (start % (16n * size));
    return new Map(Array.from({ length: 16 }, (_, i) => [first + BigInt(i) * size, false]));
  }

  /** Which rule is broken while one is cached and the other is in the tables. */
  private conflict(held: Held, now: Seen): string | undefined {
    const [a, b] = [held.start + sizeOf(held.level), now.start + sizeOf(now.level)];
    if (held.start >= b || now.start >= a) return undefined;
    const isGlobal = now.kind === 'leaf' && bit(now.value, 11) === 0n;
    const meetsGlobal = isGlobal && held.kind === 'leaf' && held.asid !== undefined;
    if (held.asid !== undefined && held.asid !== this.asid) return meetsGlobal ? 'global' : undefined;
    if (held.kind === 'leaf' && now.kind === 'leaf') {
      return held.level === now.level ? this.betweenLeaves(held, now) : 'size';
    }
    // A page or block, and a table below or at its place.
    if (held.kind === 'leaf') return now.level >= held.level ? 'size' : undefined;
    if (now.kind === 'leaf') return held.level >= now.level ? 'size' : undefined;
    if (held.level !== now.level || this.control.hpd) return undefined;
    return ((held.value ^ now.value) >> 59n) & 15n ? 'table rights' : undefined;
  }

  private betweenLeaves(held: Held, now: Seen): string | undefined {
    const { mair } = this.control;
    if (memoryOf(mair, held.value) !== memoryOf(mair, now.value)) return 'memory type';
    const low = BigInt(39 - 9 * now.level);
    const [old, next] = [addressOf(held.value, low), addressOf(now.value, low)];
    if (old !== next) {
      const isWritten = this.isWritable(held) || this.isWritable(now);
      if (isWritten || !this.sameContents(old, next, sizeOf(now.level))) return 'output address';
    }
    if (bit(held.value, 52) !== bit(now.value, 52)) return 'contiguous';
    if (bit(held.value, 11) === 1n && bit(now.value, 11) === 0n) return 'global';
    return undefined;
  }

  private isWritable({ value, noWrites }: Seen): boolean {
    if (noWrites) return false;
    return bit(value, 7) === 0n || (this.control.ha && this.control.hd && bit(value, 51) === 1n);
  }

  /** Attributes and rights that members of a group share: AttrIndx, AP, SH, nG, GP, PXN, UXN. */
  private attributes(value: bigint): bigint {
    const hardware = this.control.ha && this.control.hd && bit(value, 51) === 1n;
    const fields = value & ((0xbffn & ~3n) | (1n << 50n) | (3n << 53n));
    return hardware ? fields & ~(1n << 7n) : fields;
  }
}

/** Indices at which tables have entries, whatever level they are used at. */
export const INDICES: readonly number[] = [0, 1, 2, 14, 15, 16, 511];
