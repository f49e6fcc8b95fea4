import { hex, joinHalves } from '../../bits/index.ts';
import {
  type CompiledFormat,
  combinedDescriptors,
  mairType,
  pageAccessed,
  type Root,
  withDirty,
} from '../../format/index.ts';
import type { Meaning } from '../meaning.ts';
import type { Remembered, Step } from '../origin.ts';
import type { PageWalk } from '../page-walk.ts';
import { type Aarch64State, depthBelow } from './control-state.ts';
import { GLOBAL, RIGHTS, TABLE_OR, TYPE_SHIFT } from './remembered.ts';

/** Rights bits that take something: APTable, UXNTable and PXNTable; UXN and PXN. */
const PAGE_TAKES = 0x60_0000;
const DBM = 0x8_0000;
const AP_USER = 0x40;
const AP_READ_ONLY = 0x80;

/** What a detector must know of AArch64. */
export class Aarch64Meaning implements Meaning {
  readonly processor = 'Aarch64Cpu';
  readonly privileges = ['EL0', 'EL1'] as const;
  readonly freedAdvice = {
    root: 'it is the root in a TTBR: load another one before the table is freed',
    entry: 'an entry above still points to it: clear it before the table is freed',
    remembered:
      'the processor still remembers it: invalidate it (TLBI VAE1 for each page below, or ASIDE1; then DSB) before it is freed',
  };
  readonly global: number = GLOBAL;
  private readonly state: Aarch64State;

  constructor(state: Aarch64State) {
    this.state = state;
  }

  get space(): number {
    return this.state.space;
  }

  get anyFormat(): CompiledFormat | undefined {
    return this.state.lower.format ?? this.state.upper.format;
  }

  formatAt(high: number): CompiledFormat | undefined {
    return this.state.isOn ? this.state.halfOf(high).format : undefined;
  }

  rootAt(high: number): Root {
    return this.state.halfOf(high).root;
  }

  depthBelow(high: number, order: number): number {
    return depthBelow(this.state.halfOf(high), order);
  }

  pageBits(walk: PageWalk): number {
    const attributes = (walk.lows[walk.depth] >>> 2) & 0xff;
    return combinedDescriptors(walk.and, walk.or) | (attributes << TYPE_SHIFT);
  }

  tableBits(walk: PageWalk, depth: number): number {
    return walk.ors[depth] & TABLE_OR;
  }

  denials(bits: number, access: number, excused: boolean): number {
    return this.state.denials(bits & RIGHTS, access, excused);
  }

  isOtherType(bits: number, others: number): boolean {
    const [now, before] = [bits >>> TYPE_SHIFT, others >>> TYPE_SHIFT];
    return now !== before && memoryOf(this.state, now) !== memoryOf(this.state, before);
  }

  isWider(bits: number, now: number): boolean {
    return (now & ~bits & TABLE_OR) !== 0;
  }

  narrows(
    format: CompiledFormat,
    depth: number,
    isTable: boolean,
    oldLow: number,
    oldHigh: number,
    low: number,
    high: number,
  ): boolean {
    if (isTable) return (high & ~oldHigh & TABLE_OR) !== 0;
    const wasReadOnly = (withDirty(format.facts, depth, oldLow, oldHigh) & AP_READ_ONLY) !== 0;
    const isReadOnly = (withDirty(format.facts, depth, low, high) & AP_READ_ONLY) !== 0;
    return (
      (oldLow & ~low & AP_USER) !== 0 || (isReadOnly && !wasReadOnly) || (high & ~oldHigh & PAGE_TAKES) !== 0
    );
  }

  marksOf({ facts, levels, state }: CompiledFormat, depth: number | undefined, high: number): number {
    const last = depth ?? levels - 1;
    // AP[2] of pages that hardware may make writable.
    const dirty = state.states.has('TCR.HD') && (high & DBM) !== 0 ? AP_READ_ONLY : 0;
    return pageAccessed(facts, last) | dirty;
  }

  dueFor(
    { isPage, space, low, high, origin }: Remembered,
    changed: Step | undefined,
    isSameRoot: boolean,
  ): string {
    const isGlobal = space === GLOBAL;
    if (changed === undefined) {
      if (isSameRoot) {
        return 'TLBI VMALLE1 and DSB, after the system register changed that gives the entries another meaning';
      }
      return isGlobal
        ? 'TLBI VMALLE1, or VAAE1 for each page, and DSB: the translation is global, but the root is another one'
        : `TLBI ASIDE1 for ASID ${space}, and DSB: it has another root now`;
    }
    const under = isGlobal ? 'under any ASID' : `under ASID ${space}`;
    const keeps = isGlobal ? '; ASIDE1 keeps it, since it is global' : '';
    const isLeaf = isPage && changed === origin.steps[origin.steps.length - 1];
    return isLeaf
      ? `TLBI VALE1 or VAE1 for ${hex(joinHalves(low, high))} ${under}, and DSB${keeps}`
      : `TLBI VAE1 for every page below the entry ${under}, and DSB; VALE1 leaves what leads to tables${keeps}`;
  }
}

/**
 * Memory type, cacheability and shareability of bits 9:2 of an entry, in a form that can be compared. Hints do not count, nor
 * does the shareability of memory that is not cached.
 */
export function memoryOf(state: Aarch64State, attributes: number): string {
  const { name, device } = mairType(state.attributeOf(attributes & 7));
  return device || name === 'NC'
    ? name
    : `${name}, ${['non-', 'reserved ', 'outer ', 'inner '][attributes >>> 6]}shareable`;
}
