import { CLASS_NAMES, CLASS_OF, FAULTY, LEAF, MISSING, TABLE } from './atlas.ts';
import type { Look } from './painter.ts';

/** How a cell looks, of those that an outline's `cells` have. */
export function cellLook(cell: number): Look {
  if (cell >= LEAF) return CLASS_NAMES[CLASS_OF[cell & 63]];
  switch (cell) {
    case TABLE:
      return 'table';
    case MISSING:
      return 'missing';
    case FAULTY:
      return 'faulty';
  }
  return 'hole';
}
