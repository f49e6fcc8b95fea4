import {
  andPageRights,
  andRights,
  EntryEncoder,
  type FieldRole,
  isFaultyPage,
  leadsToTable,
  orPageRights,
  orRights,
  type Paging,
  pageAccessed,
  pageDirty,
  roleMask,
} from '../format/index.ts';

/** Two halves of an entry that maps a page, as far as rights are concerned. */
interface PageBits {
  readonly low: number;
  readonly high: number;
}

/** What a set of page tables can still give, by what the entries above have taken. */
class PossibleRights {
  private readonly paging: Paging;
  /** By depth: every page entry of that level that differs in rights from the others. */
  private readonly pages: readonly (readonly PageBits[])[];
  private readonly known = new Map<string, number>();

  constructor(paging: Paging) {
    this.paging = paging;
    this.pages = paging.format.fact.levels.map((_, depth) => pagesAt(paging, depth));
  }

  below(depth: number, and: number, or: number): number {
    const key = `${depth} ${and} ${or}`;
    let rights = this.known.get(key);
    if (rights === undefined) {
      rights = 0;
      for (const pages of this.pages.slice(depth + 1)) {
        for (const { low, high } of pages) rights |= this.paging.rights(and, or, low, high);
      }
      this.known.set(key, rights);
    }
    return rights;
  }
}

const KNOWN = new WeakMap<Paging, PossibleRights>();

/**
 * The effective rights that some page below an entry which leads to a table could have: those of every page entry that could
 * follow, together. That no single page has them all at once is possible (W^X).
 *
 * @param depth - of the entry, counted from the root, 0
 * @param and - what `andRights` gathered down to and including the entry
 * @param or - what `orRights` gathered
 * @returns the bits of `format/rights.ts`
 */
export function rightsBelow(paging: Paging, depth: number, and: number, or: number): number {
  let possible = KNOWN.get(paging);
  if (possible === undefined) {
    possible = new PossibleRights(paging);
    KNOWN.set(paging, possible);
  }
  return possible.below(depth, and, or);
}

/** The bits that choose a memory type. */
const TYPE_ROLES: readonly FieldRole[] = [
  'write-through',
  'cache-disable',
  'pat',
  'attribute-index',
  'memory-type',
];

/**
 * Whether two sets of page tables, wherever their roots are, make the same of the same entries: pages, tables and reserved bits,
 * effective rights, names of memory types, global bits.
 */
export function makeTheSame(a: Paging, b: Paging): boolean {
  if (a === b) return true;
  const { facts, fact, state } = a.format;
  const other = b.format.facts;
  if (
    fact !== b.format.fact ||
    facts.length !== other.length ||
    facts.some((word, at) => word !== other[at])
  ) {
    return false;
  }
  let andBits = 0;
  let orBits = 0;
  for (let depth = 0; depth < a.format.levels - 1; depth += 1) {
    andBits |= ~andRights(facts, depth, -1, 0) | ~andRights(facts, depth, -1, -1);
    orBits |= orRights(facts, depth, 0, -1);
  }
  const [ands, ors] = [subsets(andBits), subsets(orBits)];
  return fact.levels.every((_, depth) => {
    const { page, pageLow } = new EntryEncoder(a.format).levels[depth];
    if (page === undefined) return true;
    const types = roleMask(page, state, ...TYPE_ROLES);
    const sameTypes = subsets(types.low).every((low) =>
      subsets(types.high).every(
        (high) =>
          a.memoryType(depth, low | pageLow, high).name === b.memoryType(depth, low | pageLow, high).name,
      ),
    );
    const pages = pagesAt(a, depth);
    return (
      sameTypes &&
      ands.every((taken) =>
        ors.every((or) =>
          pages.every(({ low, high }) => a.rights(~taken, or, low, high) === b.rights(~taken, or, low, high)),
        ),
      )
    );
  });
}

/** Page entries of a level with every combination of the bits on which rights depend, reserved ones left out. */
function pagesAt({ format }: Paging, depth: number): PageBits[] {
  const { facts, state } = format;
  const { page, pageLow } = new EntryEncoder(format).levels[depth];
  if (page === undefined) return [];
  const key = roleMask(page, state, 'protection-key');
  const lowBits =
    ~andPageRights(facts, depth, -1, 0) | pageAccessed(facts, depth) | pageDirty(facts, depth) | key.low;
  const highBits = orPageRights(facts, depth, 0, -1) | key.high;
  return subsets(lowBits & ~pageLow).flatMap((bits) => {
    const low = bits | pageLow;
    if (leadsToTable(facts, depth, low)) return [];
    return subsets(highBits)
      .filter((high) => !isFaultyPage(facts, depth, low, high))
      .map((high) => ({ low, high }));
  });
}

/** Every choice of the bits of a mask. */
function subsets(mask: number): number[] {
  const list = [0];
  for (let bits = mask; bits !== 0; bits = (bits - 1) & mask) list.push(bits);
  return list;
}
