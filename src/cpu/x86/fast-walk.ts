import type { UniformLevels } from '../../format/compile.ts';
import { combinedIndex, patIndexOf } from '../../format/index.ts';
import type { PhysicalMemory } from '../../memory/index.ts';
import type { Lookaside } from '../lookaside.ts';
import type { MmuPolicy } from '../mmu-policy.ts';
import { NONE } from '../translation-cache.ts';
import type { ControlState } from './control-state.ts';
import * as remembered from './remembered.ts';

// This module's own constants, which V8 compiles in; what is imported it reads from a cell at each use.
const { DIRTY, TYPE_SHIFT, TABLE_AND, TABLE_OR } = remembered;
/** What an entry of a page directory spans. */
const LAST_TABLE_ORDER = 9;
/** Of a page-directory-pointer table. */
const MIDDLE_TABLE_ORDER = 18;
/** Of a level-4 table. */
const FIRST_TABLE_ORDER = 27;

/**
 * The walk that is made most: through four uniform levels in flat memory, to a 4-KiB page. Everything is a small integer, and
 * whatever is unusual is left to `PageWalk`.
 */
export class FastWalk {
  /** The frame that was reached. */
  frame = 0;
  /** What is remembered of the page besides. */
  bits = 0;
  private readonly memory: PhysicalMemory;
  private readonly state: ControlState;
  private readonly known: Lookaside;
  private readonly remembers: boolean;
  private readonly marks: boolean;

  constructor(memory: PhysicalMemory, state: ControlState, known: Lookaside, policy: MmuPolicy) {
    this.memory = memory;
    this.state = state;
    this.known = known;
    this.remembers = policy.caching !== 'none';
    this.marks = policy.accessedDirty;
  }

  /**
   * The usual case of four uniform levels in flat memory: present entries without reserved bits, the accessed bit set in
   * all above the last, a 4-KiB page, no right denied. Everything is a small integer.
   *
   * @returns whether it was that; if not, nothing has happened
   */
  run(high: number, low: number, access: number, write: boolean, excused: boolean): boolean {
    const { memory, state, known } = this;
    const { uniform } = state;
    const words = memory.words;
    if (uniform === undefined || memory.shared || words.length === 0) return false;
    const first = memory.first;
    const count = memory.count;
    if (this.remembers) {
      const found = known.findTable(high, low);
      if (found !== NONE) {
        const { tables } = known;
        if (tables.orderOf(found) !== LAST_TABLE_ORDER) return false;
        const bits = tables.bitsOf(found);
        const place = (tables.nearFrameOf(found) - first) | 0;
        return this.finish(uniform, place, bits | ~TABLE_AND, bits, high, low, access, write, excused);
      }
    }
    const accessed = this.marks ? uniform.accessed : 0;
    const mask = uniform.mask | accessed;
    const wanted = uniform.value | accessed;
    const slow = uniform.high;
    let place = (state.root.frame - first) | 0;
    if (place >>> 0 >= count) return false;
    let at = (place << 10) | (((high >>> 7) & 511) << 1);
    const low0 = words[at] | 0;
    const high0 = words[at | 1] | 0;
    const table1 = (low0 >>> 12) | (high0 << 20);
    place = (table1 - first) | 0;
    if ((low0 & mask) !== wanted || (high0 & slow) !== 0 || place >>> 0 >= count) return false;
    at = (place << 10) | ((((high << 2) | (low >>> 30)) & 511) << 1);
    const low1 = words[at] | 0;
    const high1 = words[at | 1] | 0;
    const table2 = (low1 >>> 12) | (high1 << 20);
    place = (table2 - first) | 0;
    if ((low1 & mask) !== wanted || (high1 & slow) !== 0 || place >>> 0 >= count) return false;
    at = (place << 10) | (((low >>> 21) & 511) << 1);
    const low2 = words[at] | 0;
    const high2 = words[at | 1] | 0;
    const table3 = (low2 >>> 12) | (high2 << 20);
    place = (table3 - first) | 0;
    if ((low2 & mask) !== wanted || (high2 & slow) !== 0) return false;
    const and = low0 & low1 & low2;
    const or = high0 | high1 | high2;
    if (!this.finish(uniform, place, and, or, high, low, access, write, excused)) return false;
    if (this.remembers) {
      const upper = (low0 & TABLE_AND) | (high0 & TABLE_OR);
      const middle = (low0 & low1 & TABLE_AND) | ((high0 | high1) & TABLE_OR);
      known.addTable(FIRST_TABLE_ORDER, high, low, table1, upper);
      known.addTable(MIDDLE_TABLE_ORDER, high, low, table2, middle);
      known.addTable(LAST_TABLE_ORDER, high, low, table3, (and & TABLE_AND) | (or & TABLE_OR));
    }
    return true;
  }

  /**
   * The last level of {@link run}.
   *
   * @param place - of the last table in flat memory, counted from its first frame
   * @param and - low halves of the entries above
   * @param or - high halves of the entries above
   */
  private finish(
    uniform: UniformLevels,
    place: number,
    and: number,
    or: number,
    high: number,
    low: number,
    access: number,
    write: boolean,
    excused: boolean,
  ): boolean {
    const { memory, state } = this;
    const words = memory.words;
    if (place >>> 0 >= memory.count) return false;
    const at = (place << 10) | (((low >>> 12) & 511) << 1);
    const leaf = words[at] | 0;
    const upper = words[at | 1] | 0;
    if ((leaf & uniform.value) !== uniform.value || (upper & uniform.high) !== 0) return false;
    const rights = combinedIndex(and & leaf, or | upper, state.keys ? upper : 0);
    if (state.denials(rights, access, excused) !== 0) return false;
    const marked = this.marks ? leaf | uniform.accessed | (write ? uniform.dirty : 0) : leaf;
    if (marked !== leaf) words[at] = marked;
    const dirty = !this.marks || (marked & uniform.dirty) !== 0 ? DIRTY : 0;
    this.bits = rights | dirty | (patIndexOf(0, leaf) << TYPE_SHIFT);
    const frame = (leaf >>> 12) | (upper << 20);
    this.frame = frame;
    if (this.remembers) {
      this.known.addPage(high, low, 0, (leaf & uniform.global) !== 0, frame, this.bits);
    }
    return true;
  }
}
