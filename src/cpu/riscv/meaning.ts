import { hex, joinHalves } from '../../bits/index.ts';
import { type CompiledFormat, pteRights, type Root } from '../../format/index.ts';
import type { Meaning } from '../meaning.ts';
import type { Remembered, Step } from '../origin.ts';
import type { PageWalk } from '../page-walk.ts';
import type { RiscvState } from './control-state.ts';
import { ACCESSED, DIRTY, RIGHTS, TABLE_NOT_GLOBAL, TYPE_SHIFT } from './remembered.ts';

/** R, W and X in a low half. */
const RWX = 0xe;
const U = 0x10;
/** A and D. */
const MARKS = 0xc0;
/** Place of PBMT in a high half. */
const PBMT_SHIFT = 29;

/** What a detector must know of RISC-V. */
export class RiscvMeaning implements Meaning {
  readonly processor = 'RiscvCpu';
  readonly privileges = ['U-mode', 'S-mode'] as const;
  readonly freedAdvice = {
    root: 'it is the root in satp: load another one before the table is freed',
    entry: 'an entry above still points to it: clear it before the table is freed',
    remembered:
      'the processor still remembers it: SFENCE.VMA with rs1 = x0 before it is freed; with an address it leaves what leads to tables',
  };
  readonly global: number;
  private readonly state: RiscvState;

  constructor(state: RiscvState) {
    this.state = state;
    this.global = state.global;
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

  pageBits(walk: PageWalk): number {
    const { depth } = walk;
    return pteRights(walk.lows[depth]) | (((walk.highs[depth] >>> PBMT_SHIFT) & 3) << TYPE_SHIFT);
  }

  tableBits(walk: PageWalk, depth: number): number {
    return walk.ands[depth] & TABLE_NOT_GLOBAL;
  }

  /** A and D that software has cleared take nothing from what is remembered. */
  denials(bits: number, access: number): number {
    return this.state.denials((bits & RIGHTS) | ACCESSED | DIRTY, access);
  }

  isOtherType(bits: number, others: number): boolean {
    return (bits ^ others) >>> TYPE_SHIFT !== 0;
  }

  /** What leads to tables says nothing of rights. */
  isWider(): boolean {
    return false;
  }

  narrows(
    _format: CompiledFormat,
    _depth: number,
    isTable: boolean,
    oldLow: number,
    _oldHigh: number,
    low: number,
  ): boolean {
    // U gives pages to one privilege and takes them from the other.
    return !isTable && ((oldLow & ~low & RWX) !== 0 || ((oldLow ^ low) & U) !== 0);
  }

  marksOf(): number {
    return MARKS;
  }

  dueFor(
    { isPage, space, low, high, origin }: Remembered,
    changed: Step | undefined,
    isSameRoot: boolean,
  ): string {
    const isGlobal = space === this.global;
    const rs2 = isGlobal ? 'x0 (an ASID would keep it, since it is global)' : `ASID ${space} or x0`;
    if (changed === undefined && isSameRoot) {
      return 'SFENCE.VMA x0, x0 after the control register changed that gives the entries another meaning';
    }
    if (changed === undefined) return `SFENCE.VMA with rs1 = x0, rs2 = ${rs2}: there is another root now`;
    const isLeaf = isPage && changed === origin.steps[origin.steps.length - 1];
    const address = BigInt.asUintN(this.state.registers.xlen, joinHalves(low, high));
    return isLeaf
      ? `SFENCE.VMA with rs1 = ${hex(address)}, rs2 = ${rs2}`
      : `SFENCE.VMA with rs1 = x0, rs2 = ${rs2}; an address would leave what leads to tables`;
  }
}
