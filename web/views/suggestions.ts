import {
  type AtlasData,
  CLASS_NAMES,
  CLASS_OF,
  CLASSES,
  type ClassName,
  childOf,
  LEAF,
  linearPage,
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
  const { counts, depths, orders } = atlas;
  const holds = holdsOf(atlas, classes);
  let page = 0;
  // Each turn goes one level down.
  for (let node = 0; ; ) {
    const depth = depths[node];
    const count = counts[depth];
    const at = Array.from({ length: count }, (_, i) => (last ? count - 1 - i : i)).find((i) =>
      holds(node, i),
    );
    if (at === undefined) return undefined;
    page += at * 2 ** orders[depth];
    const child = childOf(atlas, node, at);
    if (child < 0) return linearPage(atlas, page);
    node = child;
  }
}

/** The longest run `[first, end)` of linear pages of a class, the first of equal ones. */
export function longestRun(
  atlas: AtlasData,
  kind: ClassName,
): { readonly first: number; readonly end: number } | undefined {
  const { counts, depths, orders } = atlas;
  const holds = holdsOf(atlas, [kind]);
  let longest = { first: 0, end: 0 };
  let run = { first: 0, end: 0 };
  let left = MAX_TABLES;
  const look = (node: number, page: number): void => {
    left -= 1;
    const depth = depths[node];
    const span = 2 ** orders[depth];
    for (let i = 0; i < counts[depth] && left > 0; i += 1) {
      if (!holds(node, i)) continue;
      const first = page + i * span;
      const child = childOf(atlas, node, i);
      if (child >= 0) {
        look(child, first);
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

/** Whether an entry of a node is a page of some classes, or leads to such. */
function holdsOf(atlas: AtlasData, classes: readonly ClassName[]): (node: number, index: number) => boolean {
  const { cells, pages, starts } = atlas;
  const wanted = classes.map((name) => CLASS_NAMES.indexOf(name));
  return (node, index) => {
    const cell = cells[starts[node] + index];
    if (cell >= LEAF) return wanted.includes(CLASS_OF[cell & 63]);
    const child = childOf(atlas, node, index);
    return child >= 0 && wanted.some((kind) => pages[child * CLASSES + kind] > 0);
  };
}
