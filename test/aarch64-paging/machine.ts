// Maps with tables from 0x10000 on, and their tables as the notes write them: `T1[2]=0x705+0x1000`.
import { expect } from 'vitest';
import {
  Attributes,
  BEHAVIOURS,
  type Behaviour,
  Constraints,
  El1And0,
  LinearMap,
  MapError,
  Mapping,
  MemoryRegion,
  MODERN,
  PageTableError,
  SEED,
  type Seed,
  TargetAllocator,
  type VaRange,
} from './exports.ts';

export const BASE = 0x1_0000n;
export const P = 0x1000n;
export const M = 0x20_0000n;
export const G = 0x4000_0000n;
export const V = 1n;
export const AF = 0x400n;
export const NG = 0x800n;
export const RO = 0x80n;
export const U = 0x40n;
export const N = 0x304n;
export const SW0 = 1n << 55n;
export const F = N | V | AF;
export const NO_BLOCKS = 1;

/** A shape with a behaviour. */
export type Kind = '0.5.0' | '0.12.1' | 'SEED' | 'MODERN';
export const KINDS: readonly Kind[] = ['0.5.0', '0.12.1', 'SEED', 'MODERN'];
export const EXACT: readonly Kind[] = ['0.5.0', '0.12.1'];

export const isSeed = (kind: Kind) => kind === '0.5.0' || kind === 'SEED';

export interface Made {
  readonly level?: number;
  readonly range?: VaRange;
  /** Of a LinearMap. */
  readonly offset?: bigint;
  readonly behaviour?: Behaviour;
}

/** One call, its arguments as numbers. */
export interface Call {
  readonly from: bigint;
  readonly to: bigint;
  readonly flags: bigint;
  readonly pa?: bigint;
  readonly constraints?: number;
}

/** A map in either shape, driven by numbers. */
export class Driver {
  readonly kind: Kind;
  readonly tables: TargetAllocator = new TargetAllocator(BASE);
  readonly seed: Mapping | LinearMap | undefined;
  readonly modern: Mapping<El1And0> | LinearMap<El1And0> | undefined;

  constructor(kind: Kind, made: Made = {}) {
    this.kind = kind;
    const { level = 1, range = 'Lower', offset } = made;
    const rows: Readonly<Record<Kind, Behaviour>> = { ...BEHAVIOURS, SEED, MODERN };
    const options = { behaviour: made.behaviour ?? rows[kind], translation: this.tables };
    if (isSeed(kind)) {
      this.seed =
        offset === undefined
          ? new Mapping(this.tables, 1, level, range, options)
          : new LinearMap(1, level, offset, range, options);
    } else {
      this.modern =
        offset === undefined
          ? Mapping.withAsidAndVaRange(this.tables, 1, level, El1And0, range, options)
          : LinearMap.withAsid(1, level, offset, El1And0, range, options);
    }
  }

  get map(): Mapping<Seed> | LinearMap<Seed> | Mapping<El1And0> | LinearMap<El1And0> {
    return (this.seed ?? this.modern) as Mapping<Seed>;
  }

  flags(bits: bigint): never {
    return (this.seed === undefined ? El1And0.attributes : Attributes).fromBitsRetain(bits) as never;
  }

  mapRange({ from, to, flags, pa = from, constraints = 0 }: Call): void {
    const region = new MemoryRegion(from, to);
    const limits = Constraints.fromBitsRetain(BigInt(constraints));
    const { map } = this;
    if (map instanceof LinearMap) map.mapRangeWithConstraints(region, this.flags(flags), limits);
    else (map as Mapping).mapRange(region, pa, this.flags(flags), limits);
  }

  /** Walks, and gives what the callback saw. */
  walk(from: bigint, to: bigint): Seen[] {
    const seen: Seen[] = [];
    this.map.walkRange(new MemoryRegion(from, to), (region, descriptor, level) => {
      seen.push([region.start().value, region.end().value, descriptor.bits(), level]);
    });
    return seen;
  }

  /** Modifies flags, and gives what the callback saw; it fails at the call of that number. */
  modify(from: bigint, to: bigint, set: bigint, clear: bigint, failAt = -1): Modified {
    const seen: Seen[] = [];
    const failed = errorOf(() => {
      (this.map as Mapping).modifyRange(new MemoryRegion(from, to), (region, descriptor, level) => {
        seen.push([region.start().value, region.end().value, descriptor.bits(), level]);
        if (seen.length - 1 === failAt) return false;
        if ((set | clear) !== 0n) descriptor.modifyFlags(this.flags(set), this.flags(clear));
        return true;
      });
    });
    return { seen, failed };
  }

  word(table: number, index: number): bigint {
    return new DataView(this.tables.asBytes().buffer).getBigUint64(table * 4096 + index * 8, true);
  }

  /** Expects the tables to hold what is listed, and nothing else but what {@link junk} allows. */
  expectTables(listed: string, junk?: Junk): void {
    const words = new Map<string, bigint>();
    for (const [, table, entries] of listed.matchAll(/T(\d+)((?: ?\[[^\]]*\]=\S+)+)/g)) {
      for (const [, first, last, value, step] of entries.matchAll(
        /\[(\d+)(?:\.\.(\d+))?\]=(0x[0-9a-f]+|\d+)(?:\+(0x[0-9a-f]+))?/g,
      )) {
        for (let i = Number(first); i <= Number(last ?? first); i += 1) {
          words.set(`${table}[${i}]`, BigInt(value) + BigInt(step ?? 0) * BigInt(i - Number(first)));
        }
      }
    }
    const bytes = new DataView(this.tables.asBytes().buffer);
    const wrong: string[] = [];
    for (let at = 0; at < bytes.byteLength; at += 8) {
      const name = `${at >> 12}[${(at & 4095) >> 3}]`;
      const expected = words.get(name) ?? junk?.(at >> 12, (at & 4095) >> 3) ?? 0n;
      const found = bytes.getBigUint64(at, true);
      if (found !== expected)
        wrong.push(`T${name}: ${found.toString(16)}, expected ${expected.toString(16)}`);
    }
    expect(wrong.slice(0, 8)).toEqual([]);
  }
}

export type Seen = readonly [start: bigint, end: bigint, bits: bigint, level: number];
export interface Modified {
  readonly seen: readonly Seen[];
  readonly failed: string;
}
export type Junk = (table: number, index: number) => bigint | undefined;

/**
 * What version 0.5.0 leaves in tables that it makes in place of empty entries: leaves of flags 0x400 whose addresses count from that of
 * the entry.
 *
 * @param parents - of each such table: level, and the address that its first entry has
 */
export function junkOf(parents: Readonly<Record<number, readonly [level: number, from: bigint]>>): Junk {
  return (table, index) => {
    const made = parents[table];
    if (made === undefined) return undefined;
    const [level, from] = made;
    return from + (BigInt(index) << (39n - 9n * BigInt(level))) + (level === 3 ? 0x402n : 0x400n);
  };
}

/** The error as the notes write it, or `Ok`. */
export function errorOf(run: () => void): string {
  try {
    run();
    return 'Ok';
  } catch (error) {
    if (error instanceof MapError) {
      const { kind, region, bits, flags, addr } = error;
      const short = kind === 'BreakBeforeMakeViolation' ? 'BBM' : kind;
      const hex = (value: bigint) => `0x${value.toString(16)}`;
      if (region !== undefined) return `${short}(${hex(region.start().value)}..${hex(region.end().value)})`;
      return `${short}(${hex(addr?.value ?? bits ?? flags?.bits() ?? 0n)})`;
    }
    if (error instanceof PageTableError) return `panic ${error.code}`;
    throw error;
  }
}
