import { type EntryEncoder, type FieldRole, roleMask } from '../format/index.ts';
import { RIGHTS_ROLES, TYPE_ROLES } from './attributes.ts';

/** Which bits of the entries of pages at one level say what. */
export interface LevelMasks {
  /** Memory type, cacheability and shareability. */
  readonly typeLow: number;
  readonly typeHigh: number;
  readonly rightsLow: number;
  readonly rightsHigh: number;
  /** The bit by which a page is for applications. */
  readonly userLow: number;
  /** Rights in which members of a contiguous group must agree: all but those by which hardware marks a page as written to. */
  readonly groupLow: number;
  readonly groupHigh: number;
  /** What hardware sets by itself: accessed, dirty. */
  readonly marksLow: number;
  /** The same in entries of this level that lead to tables. */
  readonly tableMarksLow: number;
}

/** A right that an entry which leads to a table can take from all below it. */
export interface TableLimit {
  /** In the low half: the bit that takes it by being clear. */
  readonly low: number;
  /** In the high half: the bit that takes it by being set. */
  readonly high: number;
  /** How the entry of a page takes it: bits that it clears and sets. */
  readonly clearLow: number;
  readonly setLow: number;
  readonly clearHigh: number;
  readonly setHigh: number;
}

/** {@link LevelMasks} of each level, root first, and the rights that tables can take. */
export interface PageMasks {
  readonly levels: readonly LevelMasks[];
  readonly limits: readonly TableLimit[];
}

/** Roles by which a table takes a right, and what takes it in the entry of a page. */
const LIMITS: readonly {
  readonly role: FieldRole;
  readonly clears?: readonly FieldRole[];
  readonly sets?: readonly FieldRole[];
}[] = [
  { role: 'write', clears: ['write'] },
  { role: 'user', clears: ['user'] },
  { role: 'execute-disable', sets: ['execute-disable'] },
  { role: 'privileged-execute-disable', sets: ['privileged-execute-disable'] },
  { role: 'user-disable', clears: ['user'] },
  { role: 'write-disable', clears: ['dirty-modifier'], sets: ['read-only'] },
];

/** Works out the masks of a format. */
export function pageMasks(encoder: EntryEncoder): PageMasks {
  const { state, fact, levels } = encoder.format;
  const masks = encoder.levels.map(({ page }, depth): LevelMasks => {
    const table = fact.levels[depth].entries.find(({ leads }) => leads === 'table');
    const of = (...roles: FieldRole[]) =>
      page === undefined ? { low: 0, high: 0 } : roleMask(page, state, ...roles);
    const type = of(...TYPE_ROLES, 'shareability');
    const rights = of(...RIGHTS_ROLES);
    const marked = of('read-only', 'dirty-modifier');
    return {
      typeLow: type.low,
      typeHigh: type.high,
      rightsLow: rights.low,
      rightsHigh: rights.high,
      userLow: of('user').low,
      groupLow: rights.low & ~marked.low,
      groupHigh: rights.high & ~marked.high,
      marksLow: of('accessed', 'dirty').low,
      tableMarksLow: table === undefined ? 0 : roleMask(table, state, 'accessed').low,
    };
  });
  const page = encoder.levels[levels - 1].page;
  const table = fact.levels
    .flatMap(({ entries }) => entries)
    .filter((entry) => entry.leads === 'table' && entry.invalid === undefined);
  const limits = LIMITS.flatMap(({ role, clears = [], sets = [] }): TableLimit[] => {
    const bits = table
      .map((entry) => roleMask(entry, state, role))
      .find(({ low, high }) => (low | high) !== 0);
    if (bits === undefined || page === undefined) return [];
    const clear = roleMask(page, state, ...clears);
    const set = roleMask(page, state, ...sets);
    return [
      {
        low: bits.low,
        high: bits.high,
        clearLow: clear.low,
        setLow: set.low,
        clearHigh: clear.high,
        setHigh: set.high,
      },
    ];
  });
  return { levels: masks, limits };
}
