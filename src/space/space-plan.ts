import type { EditPlan, PlannedWrite } from '../edit/index.ts';
import { type PlanPiece, piecesOf } from './pieces.ts';
import { type PlanJson, planJson } from './plan-json.ts';
import { invalidationsOf, type SpaceInvalidation } from './result.ts';

/**
 * An edit of a space that is worked out and not made: `AddressSpace.commit` makes it.
 */
export class SpacePlan {
  /** @internal */
  readonly core: EditPlan;
  /** @internal Of which tables it is. */
  readonly owner: object;
  private readonly asid: number | undefined;
  private readonly maxOrder: number;

  /** @internal Use `AddressSpace.plan`. */
  constructor(core: EditPlan, owner: object, asid: number | undefined, maxOrder = Number.POSITIVE_INFINITY) {
    this.core = core;
    this.owner = owner;
    this.asid = asid;
    this.maxOrder = maxOrder;
  }

  /** What is done, in words. */
  get operation(): string {
    return this.core.operation;
  }

  /** Tables that it makes; `commit` takes exactly so many frames from the allocator. */
  get tablesNeeded(): number {
    return this.core.newTables.length;
  }

  /** Frames of tables that are not needed any more. */
  get tablesFreed(): readonly number[] {
    return this.core.freed;
  }

  /** Whether entries must be absent for a time, with an invalidation before they are written again. */
  get breaks(): boolean {
    return this.core.breaks;
  }

  /** What must be invalidated while those entries are absent. */
  get invalidationsBetween(): SpaceInvalidation[] {
    return this.invalidationsWith(true);
  }

  /** What must be invalidated when all is written. */
  get invalidations(): SpaceInvalidation[] {
    return this.invalidationsWith(false);
  }

  /**
   * The entries that it writes, each once, in a safe order: tables that nobody sees yet, then the others. Where `breaks` is set,
   * zeros come before the latter in a live space.
   */
  writes(): Generator<PlannedWrite> {
    return this.core.writes();
  }

  /** The pages that it writes, in the order of addresses, and why they are not larger. */
  pieces(): PlanPiece[] {
    const { first, end } = this.core.range;
    return piecesOf(this.core, { first, end, maxOrder: this.maxOrder });
  }

  /** The plan for `JSON.stringify`; `planFromJSON` reads it. Of one that copies shared tables it tells, but cannot be read back. */
  toJSON(): PlanJson {
    return planJson(this.core, this.invalidationsBetween, this.invalidations);
  }

  private invalidationsWith(breaks: boolean): SpaceInvalidation[] {
    const { stale, tree } = this.core;
    return invalidationsOf(
      stale.filter((range) => range.breaks === breaks),
      tree.paging,
      this.asid,
    );
  }
}
