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
  readonly text: string;
  /** Number of a 4-KiB page of the linear address space. */
  readonly page: number;
}

/** Pages to begin with, as far as an address space has such. */
export function suggestPages(atlases: readonly AtlasData[]): Suggestion[] {
  const all = CLASS_NAMES;
  const seek = (text: string, classes: readonly ClassName[], last: boolean): Suggestion[] => {
    const found = (last ? atlases.toReversed() : atlases)
      .map((atlas) => findPage(atlas, classes, last))
      .find((page) => page !== undefined);
    return found === undefined ? [] : [{ text, page: found }];
  };
  const list = [
    ...seek('first mapped page', all, false),
    ...seek('code of an application', ['user-rx'], false),
    ...seek('code of the kernel', ['kernel-rx'], true),
    ...seek('written and executed by one privilege', ['wx'], false),
    ...seek('last mapped page', all, true),
  ];
  return list.filter(({ page }, i) => list.findIndex((other) => other.page === page) === i);
}

/** The first or the last page of some classes, found without a look at tables that have none. */
export function findPage(atlas: AtlasData, classes: readonly ClassName[], last: boolean): number | undefined {
  const { cells, children, counts, depths, orders, pages, starts } = atlas;
  const wanted = classes.map((name) => CLASS_NAMES.indexOf(name));
  const holds = (cell: number, child: number) =>
    cell >= LEAF
      ? wanted.includes(CLASS_OF[cell & 63])
      : cell === TABLE && wanted.some((kind) => pages[child * CLASSES + kind] > 0);
  let page = 0;
  // Each turn goes one level down.
  for (let node = 0; ; ) {
    const depth = depths[node];
    const count = counts[depth];
    const at = Array.from({ length: count }, (_, i) => (last ? count - 1 - i : i)).find((i) =>
      holds(cells[starts[node] + i], children[starts[node] + i]),
    );
    if (at === undefined) return undefined;
    page += at * 2 ** orders[depth];
    const cell = starts[node] + at;
    if (cells[cell] !== TABLE) return linearPage(atlas, page);
    node = children[cell];
  }
}
