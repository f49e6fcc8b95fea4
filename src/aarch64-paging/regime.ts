import { wrongKind } from '../bits/wrong-kind.ts';
import { Attributes, El1Attributes, El23Attributes, Stage2Attributes } from './attributes.ts';
import type { Flags, FlagsType } from './flags.ts';

/** Which of the two ranges of virtual addresses: the lower one from 0, or the upper one below 2^64. */
export type VaRange = 'Lower' | 'Upper';
export const VaRange = { Lower: 'Lower', Upper: 'Upper' } as const;

/**
 * A translation regime: what kind of attributes its entries have, and how the processor is told of its tables.
 *
 * `N` is its name, `A` the name of its type of attributes, `I` whether it has ASIDs and two ranges.
 */
export interface Regime<N extends string = string, A extends string = string, I extends boolean = boolean> {
  /** The original's name. */
  readonly name: N;
  /** Its attributes. */
  readonly attributes: FlagsType<A>;
  /** Whether it has ASIDs, and two ranges of virtual addresses. */
  readonly hasAsid: I;
  /** @internal Exception level in the names of its registers. */
  readonly suffix: string;
  /** @internal TLBI by address. */
  readonly invalidate: string;
  /** @internal Bits of AP that are to be 1 in each leaf. */
  readonly res1: number;
  /** @internal Bits that a live valid leaf may get without break-before-make, as halves. */
  readonly mayBeSet: readonly [low: number, high: number];
  /** @internal Bits that it may lose. */
  readonly mayBeCleared: readonly [low: number, high: number];
}

/** VALID, READ_ONLY, ACCESSED; DBM, execute-never, software. */
const CLEARED = [0x481, 0x07e8_0000] as const;
const SET = [0xc81, 0x07e8_0000] as const;
const CLEARED_XN = [0x481, 0x07c8_0000] as const;
const SET_XN = [0xc81, 0x07c8_0000] as const;
/** VALID, S2AP, access flag; XN, software. */
const STAGE_2 = [0x4c1, 0x07c0_0000] as const;

/** The regime of version 0.5: EL1 and EL0. */
export type Seed = Regime<'Seed', 'Attributes', true>;
export const Seed: Seed = {
  name: 'Seed',
  attributes: Attributes,
  hasAsid: true,
  suffix: 'EL1',
  invalidate: 'VAAE1IS',
  res1: 0,
  mayBeSet: SET,
  mayBeCleared: CLEARED,
};

/** Stage 1 of EL1 and EL0. */
export type El1And0 = Regime<'El1And0', 'El1Attributes', true>;
export const El1And0: El1And0 = { ...Seed, name: 'El1And0', attributes: El1Attributes };

/** Stage 1 of EL2 and EL0, of a host with virtualization extensions. */
export type El2And0 = Regime<'El2And0', 'El1Attributes', true>;
export const El2And0: El2And0 = { ...El1And0, name: 'El2And0', suffix: 'EL2', invalidate: 'VAE2IS' };

/** Stage 1 of EL2 alone. */
export type El2 = Regime<'El2', 'El23Attributes', false>;
export const El2: El2 = {
  name: 'El2',
  attributes: El23Attributes,
  hasAsid: false,
  suffix: 'EL2',
  invalidate: 'VAE2IS',
  res1: 0x40,
  mayBeSet: SET_XN,
  mayBeCleared: CLEARED_XN,
};

/** Stage 1 of EL3. */
export type El3 = Regime<'El3', 'El23Attributes', false>;
export const El3: El3 = { ...El2, name: 'El3', suffix: 'EL3', invalidate: 'VAE3IS' };

/** Stage 2 of EL1 and EL0. */
export type Stage2 = Regime<'Stage2', 'Stage2Attributes', false>;
export const Stage2: Stage2 = {
  name: 'Stage2',
  attributes: Stage2Attributes,
  hasAsid: false,
  suffix: 'EL2',
  invalidate: 'IPAS2E1IS',
  res1: 0,
  mayBeSet: STAGE_2,
  mayBeCleared: STAGE_2,
};

const ALL: readonly Regime[] = [Seed, El1And0, El2And0, El2, El3, Stage2];

/** A regime that has ASIDs and two ranges. */
export type WithAsid = Regime<string, string, true>;
/** A regime that has neither. */
export type WithoutAsid = Regime<string, string, false>;

/** The attributes of a regime. */
export type AttributesOf<R extends Regime> = Flags<R['attributes']['name']>;

/** Refuses what is no regime. */
export function checkAnyRegime(operation: string, regime: Regime): void {
  if (!ALL.includes(regime)) throw wrongKind(operation, regime, 'a regime, such as El1And0');
}

/** Refuses what is no regime, or has ASIDs where there must be none. */
function checkRegime(operation: string, regime: Regime, hasAsid: boolean): void {
  checkAnyRegime(operation, regime);
  if (regime.hasAsid === hasAsid) return;
  throw wrongKind(operation, `the regime ${regime.name}`, `a regime ${hasAsid ? 'with' : 'without'} ASIDs`);
}

/** Refuses what is no range of addresses. */
function checkVaRange(operation: string, vaRange: VaRange): void {
  if (vaRange === 'Lower' || vaRange === 'Upper') return;
  throw wrongKind(operation, vaRange, 'VaRange.Lower or VaRange.Upper');
}

/**
 * What the arguments of a constructor say: a range of addresses, with a regime that has two, or without one in the shape of
 * version 0.5; or else a regime that has one range.
 */
export function shapeOf<R extends Regime>(
  operation: string,
  given: R | VaRange,
  regime: R | undefined,
): { readonly regime: R; readonly vaRange: VaRange } {
  if (typeof given === 'object') {
    checkRegime(operation, given, false);
    return { regime: given, vaRange: 'Lower' };
  }
  checkVaRange(operation, given);
  const found: Regime = regime ?? Seed;
  checkRegime(operation, found, true);
  return { regime: found as R, vaRange: given };
}
