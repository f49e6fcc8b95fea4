import { hex, joinHalves } from '../../bits/index.ts';
import {
  andRights,
  type CompiledFormat,
  combinedIndex,
  orRights,
  pageAccessed,
  pageDirty,
  patIndexOf,
  type Root,
  tableAccessed,
} from '../../format/index.ts';
import type { Meaning } from '../meaning.ts';
import type { Remembered, Step } from '../origin.ts';
import type { PageWalk } from '../page-walk.ts';
import type { ControlState } from './control-state.ts';
import { GLOBAL, RIGHTS, TABLE_AND, TABLE_OR, TYPE_SHIFT } from './remembered.ts';

/** What a detector must know of x86. */
export class X86Meaning implements Meaning {
  readonly processor = 'X86Cpu';
  readonly global: number = GLOBAL;
  private readonly state: ControlState;

  constructor(state: ControlState) {
    this.state = state;
  }

  get space(): number {
    return this.state.space;
  }

  get anyFormat(): CompiledFormat | undefined {
    return this.state.format;
  }

  formatAt(): CompiledFormat | undefined {
    return this.state.format;
  }

  rootAt(): Root {
    return this.state.root;
  }

  depthBelow(_high: number, order: number): number {
    return this.state.depthBelow(order);
  }

  pageBits(walk: PageWalk, format: CompiledFormat): number {
    const leaf = walk.lows[walk.depth];
    const key = this.state.keys ? walk.highs[walk.depth] : 0;
    return combinedIndex(walk.and, walk.or, key) | (patIndexOf(walk.order(format), leaf) << TYPE_SHIFT);
  }

  tableBits(walk: PageWalk, depth: number): number {
    return (walk.ands[depth] & TABLE_AND) | (walk.ors[depth] & TABLE_OR);
  }

  denials(bits: number, access: number, excused: boolean): number {
    return this.state.denials(bits & RIGHTS, access, excused);
  }

  isOtherType(bits: number, others: number): boolean {
    const { pat } = this.state.control;
    const typeOf = (of: number) => (pat >> BigInt(8 * (of >> TYPE_SHIFT))) & 7n;
    return typeOf(bits) !== typeOf(others);
  }

  isWider(bits: number, now: number): boolean {
    return (bits & ~now & TABLE_AND) !== 0 || (now & ~bits & TABLE_OR) !== 0;
  }

  narrows(
    { facts }: CompiledFormat,
    depth: number,
    _isTable: boolean,
    oldLow: number,
    oldHigh: number,
    low: number,
    high: number,
  ): boolean {
    const lost = andRights(facts, depth, -1, oldLow) & ~andRights(facts, depth, -1, low);
    const forbidden = orRights(facts, depth, 0, high) & ~orRights(facts, depth, 0, oldHigh);
    return lost !== 0 || forbidden !== 0;
  }

  marksOf({ facts, levels }: CompiledFormat, depth: number | undefined): number {
    // PAE's PDPTEs have none.
    if (depth !== undefined && (tableAccessed(facts, depth) | pageAccessed(facts, depth)) === 0) return 0;
    // Through a recursive entry, a table's entry gets the marks of a page's.
    let marks = 0;
    for (let each = 0; each < levels; each += 1) {
      marks |= tableAccessed(facts, each) | pageAccessed(facts, each) | pageDirty(facts, each);
    }
    return marks;
  }

  dueFor(
    { isPage, space, low, high, origin }: Remembered,
    changed: Step | undefined,
    isSameRoot: boolean,
  ): string {
    const { state } = this;
    const page = hex(joinHalves(low, high));
    const isGlobal = space === GLOBAL;
    if (changed === undefined && isSameRoot) {
      return 'an invalidation after the control register changed that gives the entries another meaning';
    }
    if (changed === undefined) {
      return isGlobal
        ? 'a change of CR4.PGE or INVPCID type 2: the translation is global, but the root is another one'
        : `MOV to CR3 with bit 63 clear, or INVPCID type 1, for PCID ${space}: it has another root now`;
    }
    if (state.pdptes !== undefined && changed.depth === 0) return 'MOV to CR3, which loads the PDPTEs';
    const isLeaf = isPage && changed === origin.steps[origin.steps.length - 1];
    const under = space === state.space || isGlobal ? '' : ` under PCID ${space}, or INVPCID type 0 for it`;
    const keeps = isGlobal ? '; MOV to CR3 keeps it, since it is global' : '';
    if (isLeaf) return `INVLPG ${page}${under}${keeps}`;
    const pages = `INVLPG for every page below the entry${under}`;
    return isGlobal ? `${pages}, or a change of CR4.PGE${keeps}` : `${pages}, or MOV to CR3`;
  }
}
