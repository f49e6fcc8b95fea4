import type { Sharing, Tree } from '../edit/index.ts';
import { Cursor, DONE, TABLE } from '../walk/index.ts';

/**
 * Finds the tables to which several entries lead, in trees that are opened together.
 *
 * An entry that leads back to a table above it does not count: that table is not shared, it is found twice.
 *
 * @param trees - those that are new
 * @param others - those that are known already
 * @param sharing - told of what is found
 */
export function countReferences(trees: readonly Tree[], others: readonly Tree[], sharing: Sharing): void {
  const seen = new Set<number>();
  // What the others have was counted when they were opened.
  for (const tree of others) visit(tree, seen, () => {});
  for (const tree of trees) visit(tree, seen, (frame) => sharing.add(frame, 1));
}

/** Visits each table once, and tells of those that are met again. */
function visit({ memory, paging }: Tree, seen: Set<number>, meetAgain: (frame: number) => void): void {
  const cursor = new Cursor(memory, paging);
  /** Frames from the root to the table that is being read, by depth. */
  const above: number[] = [paging.root.frame];
  seen.add(paging.root.frame);
  for (let event = cursor.next(); event !== DONE; event = cursor.next()) {
    if (event !== TABLE) continue;
    const { frame, depth } = cursor;
    above.length = depth + 1;
    if (above.includes(frame)) {
      cursor.skip();
    } else if (seen.has(frame)) {
      meetAgain(frame);
      cursor.skip();
    } else {
      seen.add(frame);
      above.push(frame);
    }
  }
}
