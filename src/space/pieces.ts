import { addressOf } from '../bits/index.ts';
import type { EditPlan } from '../edit/index.ts';
import { type Change, FILL, FILL_GROUPS } from '../edit/index.ts';
import { withHole } from '../format/index.ts';
import type { PageLimit } from './why.ts';

/** Neighbouring pages of one size that a plan writes. */
export interface PlanPiece {
  /** First byte address, virtual and physical. */
  readonly address: bigint;
  readonly physical: bigint;
  readonly bytes: bigint;
  readonly pageBytes: bigint;
  /** Why its pages are not larger: of these reasons, the first that holds. */
  readonly why: PageLimit;
}

/** What a plan was asked for. */
export interface Asked {
  /** Its pages, counted without the hole between two halves. */
  readonly first: number;
  readonly end: number;
  /** `log2` of the 4-KiB pages that a page may have. */
  readonly maxOrder: number;
}

/** The pages that a plan writes, in the order of addresses. */
export function piecesOf(plan: EditPlan, asked: Asked): PlanPiece[] {
  const { format } = plan.tree.paging;
  const { encoder } = plan.tree;
  const pieces: { first: number; end: number; delta: number; order: number; why: PageLimit }[] = [];
  for (const change of plan.changes) {
    if (change.kind !== FILL && change.kind !== FILL_GROUPS) continue;
    const { order } = encoder.levels[change.table.depth];
    const first = change.table.page + change.index * 2 ** order;
    const end = first + change.count * 2 ** order;
    const delta = change.frame - first;
    pieces.push({ first, end, delta, order, why: whyOf(plan, asked, change, first, end) });
  }
  pieces.sort((a, b) => a.first - b.first);
  const joined: typeof pieces = [];
  for (const piece of pieces) {
    const last = joined[joined.length - 1];
    const goesOn =
      last !== undefined &&
      last.end === piece.first &&
      last.delta === piece.delta &&
      last.order === piece.order;
    if (goesOn && last.why === piece.why) last.end = piece.end;
    else joined.push(piece);
  }
  return joined.map(({ first, end, delta, order, why }) => ({
    address: addressOf(withHole(format, first)),
    physical: addressOf(first + delta),
    bytes: addressOf(end - first),
    pageBytes: 1n << BigInt(order + 12),
    why,
  }));
}

function whyOf(
  plan: EditPlan,
  asked: Asked,
  { table, frame }: Change,
  first: number,
  end: number,
): PageLimit {
  const above = plan.tree.encoder.levels.slice(0, table.depth).reverse();
  const larger = above.find(({ hasPages }) => hasPages);
  if (larger === undefined) return 'no-larger-page';
  if (first < asked.first || end > asked.end) return 'split';
  const span = 2 ** larger.order;
  if (larger.order > asked.maxOrder) return 'cap';
  if ((frame - first) % span !== 0) return 'physical-alignment';
  const start = first - (first % span);
  if (start + span > asked.end) return 'length';
  if (start < asked.first) return 'virtual-alignment';
  return frame + (start - first) + span > larger.frameEnd ? 'no-larger-page' : 'occupied';
}
