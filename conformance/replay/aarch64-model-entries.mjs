// What the model of aarch64-paging says of changes: what a descriptor takes, and what a live map allows.

import { CLEARED, NON_GLOBAL, SET, TABLE, typeOf, VALID } from './aarch64-flags.mjs';
import {
  ADDRESS,
  END,
  Failure,
  FLAGS,
  hexRange,
  LEAF,
  ModelTables,
  PAGES_ONLY,
  spanOf,
  TABLE_BYTES,
} from './aarch64-model-tables.mjs';

/** Bits by which version 0.5 tells memory types. */
const MEMORY_TYPE = 0x304n;

/** @typedef {import('./aarch64-model-tables.mjs').Range} Range */
/** @typedef {{ level: number, live: boolean, held: bigint, value: bigint, store: (value: bigint) => void }} Entry */
/** @typedef {(range: Range, entry: Entry) => void} Updater */
/** @typedef {'fine' | 'refused' | 'panic'} Verdict */

/** The callback's own failure, or a change that is refused. */
export class Refused extends Error {}

/** Tables, and changes of entries. */
export class ModelEntries extends ModelTables {
  /**
   * @param {Entry} entry
   * @param {bigint} set
   * @param {bigint} clear
   */
  modifyFlags(entry, set, clear) {
    const { seed } = this.shape;
    const changed = (entry.value | set) & ~clear;
    if (((changed ^ entry.value) & TABLE) !== 0n) throw seed ? new Failure({ panic: true }) : new Refused();
    if (seed) this.store(entry, changed);
    else this.set(entry, entry.value & ADDRESS, ((entry.value & FLAGS) | set) & ~clear & this.named);
  }

  /**
   * @param {Entry} entry
   * @param {bigint} pa
   * @param {bigint} flags
   */
  set(entry, pa, flags) {
    const isTable = entry.level < LEAF && (flags & (VALID | TABLE)) === (VALID | TABLE);
    if (isTable && this.has('leaves-stay-leaves')) throw new Refused();
    this.setAny(entry, pa, flags);
  }

  /**
   * @param {Entry} entry
   * @param {bigint} pa
   * @param {bigint} flags
   */
  setAny(entry, pa, flags) {
    const value = (pa & ADDRESS) | flags;
    if (entry.live && (flags & VALID) !== 0n) {
      const isBroken = (entry.value & VALID) === 0n && (entry.held & VALID) !== 0n;
      const old =
        isBroken && this.shape.fixes.has('no-break-and-make-in-one-callback') ? entry.held : entry.value;
      const isSameAddress = pa === (old & ADDRESS) && this.isAddress(old, value);
      const isAllowed = (old & VALID) === 0n || (isSameAddress && this.mayBecome(old, flags));
      if (!isAllowed) {
        if (isBroken) this.reasons.add('no-break-and-make-in-one-callback');
        throw new Refused();
      }
      entry.held = value;
    }
    this.store(entry, value);
  }

  /**
   * @param {Entry} entry
   * @param {bigint} value
   */
  store(entry, value) {
    entry.value = value;
    entry.store(value);
  }

  /**
   * Whether a live valid leaf may get other flags, by the masks of version 0.12.
   *
   * @param {bigint} old
   * @param {bigint} flags
   */
  mayBecome(old, flags) {
    const set = flags & ~(old & FLAGS) & ~SET[typeOf(this.shape)];
    const cleared = old & FLAGS & ~flags & ~CLEARED[typeOf(this.shape)];
    const bad = set | cleared;
    if ((bad & this.named) !== 0n) return false;
    return (bad & FLAGS) === 0n || !this.has('unnamed-bits-count');
  }

  /**
   * Whether a live leaf keeps its output address, to which flags may add bits.
   *
   * @param {bigint} old
   * @param {bigint} value
   */
  isAddress(old, value) {
    return ((old ^ value) & ADDRESS) === 0n || !this.has('unnamed-bits-count');
  }

  /**
   * Looks whether a live map may map a range.
   *
   * @param {Range} range
   * @param {bigint} pa
   * @param {bigint} flags
   * @param {number} constraints
   */
  checkMap(range, pa, flags, constraints) {
    this.check(range, (piece, entry) => {
      const { level, value } = entry;
      const span = spanOf(level);
      const target = pa + piece.start - range.start;
      if (target >= END) throw new Failure({ panic: true });
      const within = piece.start % span;
      const rounded = (target / span) * span;
      const to = this.shape.fixes.has('no-live-change-of-address')
        ? (target - within) & -TABLE_BYTES
        : rounded;
      const isPage = level === LEAF && this.shape.fixes.has('live-changes-by-masks');
      const wanted = (to & ADDRESS) | flags | (isPage ? TABLE : 0n);
      if (
        (value & VALID) !== 0n &&
        (flags & VALID) !== 0n &&
        to !== rounded &&
        rounded === (value & ADDRESS)
      ) {
        this.reasons.add('no-live-change-of-address');
      }
      if (this.shape.seed) this.store(entry, wanted);
      else this.setAny(entry, to, isPage ? flags | TABLE : flags);
      if (level === LEAF || (value & VALID) === 0n) return;
      const isWhole = piece.end - piece.start === span;
      const isSame = (value & FLAGS) === flags && target - within === (value & ADDRESS);
      const staysBlock = isWhole && target % span === 0n && (constraints & PAGES_ONLY) === 0 && level > 0;
      const isSplit = !staysBlock && !(isSame && this.shape.fixes.has('identical-blocks-stay'));
      if (isSplit && this.has('no-live-split', isWhole || (value & FLAGS) === flags)) throw new Refused();
    });
  }

  /**
   * Looks whether a live map may be changed.
   *
   * @param {Range} range
   * @param {Updater} update
   */
  checkModify(range, update) {
    this.check(range, (piece, entry) => {
      const isValid = (entry.value & VALID) !== 0n;
      const isPart = piece.end - piece.start < spanOf(entry.level);
      if (isPart && isValid && this.has('no-live-split')) throw new Refused();
      if (this.shape.seed && !isValid) this.has('live-changes-by-masks');
      update(piece, entry);
    });
  }

  /**
   * Tries an updater on copies of the entries of a live map.
   *
   * @param {Range} range
   * @param {Updater} update
   */
  check(range, update) {
    const { seed, fixes } = this.shape;
    const violation = (/** @type {Range} */ named) =>
      new Failure({ err: 'BreakBeforeMakeViolation', ...hexRange(named) });
    const byMasks = fixes.has('live-changes-by-masks');
    try {
      this.verify(range);
    } catch (error) {
      throw this.has('errors-stay-themselves-while-active') ? error : violation(range);
    }
    this.walk(0, this.shape.level, range, (piece, table, index, level) => {
      const value = this.read(table, index);
      if (!byMasks && (value & VALID) === 0n) return;
      const isWhole = piece.end - piece.start === spanOf(level);
      /** @type {Entry} */
      const copy = { level, live: !seed, held: value, value, store: () => undefined };
      try {
        if (!byMasks && !isWhole) throw new Refused();
        update(piece, copy);
        const asSeed = seed ? this.seedVerdict(value, copy.value, isWhole) : 'refused';
        const verdict = byMasks ? this.verdict(value, copy.value, isWhole) : asSeed;
        if (seed && verdict !== asSeed) this.has('live-changes-by-masks');
        if (verdict === 'panic') throw new Failure({ panic: true });
        if (verdict === 'refused') throw new Refused();
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        const isPart = piece.start !== range.start || piece.end !== range.end;
        throw violation(this.has('violation-names-the-region', isPart) ? piece : range);
      }
    });
  }

  /**
   * What version 0.12 says of a change, beside what its descriptors refuse at once; those of 0.5 refuse nothing.
   *
   * @param {bigint} old
   * @param {bigint} value
   * @param {boolean} isWhole
   * @returns {Verdict}
   */
  verdict(old, value, isWhole) {
    if ((old & VALID) === 0n) return 'fine';
    if (!isWhole && ((old ^ value) & FLAGS) !== 0n) return 'refused';
    if (!this.shape.seed || (value & VALID) === 0n) return 'fine';
    return ((old ^ value) & ADDRESS) === 0n && this.mayBecome(old, value & FLAGS) ? 'fine' : 'refused';
  }

  /**
   * What version 0.5 says of it.
   *
   * @param {bigint} old
   * @param {bigint} value
   * @param {boolean} isWhole
   * @returns {Verdict}
   */
  seedVerdict(old, value, isWhole) {
    if ((old & VALID) === 0n) return 'fine';
    if (!isWhole || this.isUnknown(value)) return 'refused';
    if ((value & VALID) === 0n) return 'fine';
    if (((value ^ old) & ADDRESS) !== 0n) return 'refused';
    if (this.isUnknown(old)) return 'panic';
    return ((value ^ old) & MEMORY_TYPE) === 0n && (old & ~value & NON_GLOBAL) === 0n ? 'fine' : 'refused';
  }
}
