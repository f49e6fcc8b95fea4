import {
  type AtlasData,
  CLASS_NAMES,
  CLASS_OF,
  CLASSES,
  type ClassName,
  LEAF,
  linearPage,
  TABLE,
} from '../map/atlas.ts';

/** A page worth a look. */
export interface Suggestion {
  /** What it is: one thing, or several with commas between. */
  readonly text: string;
  /** Number of a 4-KiB page of the linear address space. */
  readonly page: number;
}

/** Tables that are looked at in the search for the longest run: some spaces lead to the same ones again and again. */
const MAX_TABLES = 1 << 15;

/** Pages to begin with, as far as an address space has such. */
export function suggestPages(atlases: readonly AtlasData[]): Suggestion[] {
  const seek = (classes: readonly ClassName[], last: boolean) =>
    (last ? atlases.toReversed() : atlases)
      .map((atlas) => findPage(atlas, classes, last))
      .find((page) => page !== undefined);
  const runs = atlases.flatMap((atlas) => longestRun(atlas, 'kernel-rx') ?? []);
  const found = [
    ['first mapped page', seek(CLASS_NAMES, false)],
    ['code of an application', seek(['user-rx'], false)],
    // Modules and other small pieces lie apart from the kernel's own code.
    ['code of the kernel', runs.toSorted((a, b) => b.end - b.first - (a.end - a.first)).at(0)?.first],
    ['written and executed by one privilege', seek(['wx'], false)],
    ['last mapped page', seek(CLASS_NAMES, true)],
  ] as const;
  const texts = new Map<number, string>();
  for (const [text, page] of found) {
    if (page === undefined) continue;
    const before = texts.get(page);
    texts.set(page, before === undefined ? text : `${before}, ${text}`);
  }
  return [...texts].map(([page, text]) => ({ text, page }));
}

/** The first or the last page of some classes, found without a look at tables that have none. */
export function findPage(atlas: AtlasData, classes: readonly ClassName[], last: boolean): number | undefined {
  const { cells, children, counts, depths, orders, starts } = atlas;
  const holds = holdsOf(atlas, classes);
  let page = 0;
  // Each turn goes one level down.
  for (let node = 0; ; ) {
    const depth = depths[node];
    const count = counts[depth];
    const at = Array.from({ length: count }, (_, i) => (last ? count - 1 - i : i)).find((i) =>
      holds(starts[node] + i),
    );
    if (at === undefined) return undefined;
    page += at * 2 ** orders[depth];
    const cell = starts[node] + at;
    if (cells[cell] !== TABLE) return linearPage(atlas, page);
    node = children[cell];
  }
}

/** The longest run `[first, end)` of linear pages of a class, the first of equal ones. */
export function longestRun(
  atlas: AtlasData,
  kind: ClassName,
): { readonly first: number; readonly end: number } | undefined {
  const { cells, children, counts, depths, orders, starts } = atlas;
  const holds = holdsOf(atlas, [kind]);
  let longest = { first: 0, end: 0 };
  let run = { first: 0, end: 0 };
  let left = MAX_TABLES;
  const look = (node: number, page: number): void => {
    left -= 1;
    const depth = depths[node];
    const span = 2 ** orders[depth];
    for (let i = 0; i < counts[depth] && left > 0; i += 1) {
      const cell = starts[node] + i;
      if (!holds(cell)) continue;
      const first = page + i * span;
      if (cells[cell] === TABLE) {
        look(children[cell], first);
        continue;
      }
      // Between the halves lies what is no address.
      const goesOn = run.end === first && first !== atlas.lowEnd;
      run = { first: goesOn ? run.first : first, end: first + span };
      if (run.end - run.first > longest.end - longest.first) longest = run;
    }
  };
  look(0, 0);
  const length = longest.end - longest.first;
  if (length === 0) return undefined;
  const first = linearPage(atlas, longest.first);
  return { first, end: first + length };
}

/** Whether a cell is a page of some classes, or leads to such. */
function holdsOf(
  { cells, children, pages }: AtlasData,
  classes: readonly ClassName[],
): (cell: number) => boolean {
  const wanted = classes.map((name) => CLASS_NAMES.indexOf(name));
  return (cell) =>
    cells[cell] >= LEAF
      ? wanted.includes(CLASS_OF[cells[cell] & 63])
      : cells[cell] === TABLE && wanted.some((kind) => pages[children[cell] * CLASSES + kind] > 0);
}
