import { addressOf, hex, hex64 } from '../bits/index.ts';
import type { EditPlan } from '../edit/index.ts';
import type { SpaceInvalidation } from './result.ts';

/** What a plan's JSON says that it is. */
export const PLAN_SCHEMA = 'tablewalk/plan/1';

/** One entry that a plan writes. Numbers are `0x…`. */
export interface WriteJson {
  /** Physical byte address of the table, or which of the tables that are made it is. */
  readonly table: string | { readonly made: number };
  readonly depth: number;
  readonly index: number;
  /** First byte address that the entry spans. */
  readonly address: string;
  readonly before: string;
  /** Of an entry that leads to a table that is made, without the address. */
  readonly after: string;
  /** Which of the tables that are made it leads to. */
  readonly leadsTo: number | null;
  /** Whether it must be absent, and invalidated, in between. */
  readonly breaks: boolean;
}

/** A range that processors must forget. */
export interface InvalidationJson {
  readonly address: string;
  readonly bytes: string;
  readonly pageBytes: string;
  readonly scope: SpaceInvalidation['scope'];
  readonly global: boolean;
  readonly asid: number | null;
}

/** A plan as JSON. */
export interface PlanJson {
  readonly schema: typeof PLAN_SCHEMA;
  readonly format: string;
  readonly operation: string;
  /** Whether it was made for tables that processors use meanwhile. */
  readonly live: boolean;
  readonly tablesNeeded: number;
  /** Physical byte addresses. */
  readonly tablesFreed: readonly string[];
  /** In the order of `SpacePlan.writes`. */
  readonly writes: readonly WriteJson[];
  /** What is invalidated while entries are absent, and at the end. */
  readonly between: readonly InvalidationJson[];
  readonly invalidations: readonly InvalidationJson[];
}

/** A plan as JSON. */
export function planJson(
  plan: EditPlan,
  between: readonly SpaceInvalidation[],
  invalidations: readonly SpaceInvalidation[],
): PlanJson {
  return {
    schema: PLAN_SCHEMA,
    format: plan.tree.paging.format.fact.name,
    operation: plan.operation,
    live: plan.policy.live,
    tablesNeeded: plan.newTables.length,
    tablesFreed: plan.freed.map((frame) => hex64(addressOf(frame))),
    writes: Array.from(
      plan.writes(),
      ({ table, address, before, after, leadsTo, ...rest }): WriteJson => ({
        table: typeof table === 'bigint' ? hex64(table) : table,
        ...rest,
        address: hex64(address),
        before: hex64(before),
        after: hex64(after),
        leadsTo: leadsTo ?? null,
      }),
    ),
    between: between.map(invalidationJson),
    invalidations: invalidations.map(invalidationJson),
  };
}

function invalidationJson({
  address,
  bytes,
  pageBytes,
  scope,
  global,
  asid,
}: SpaceInvalidation): InvalidationJson {
  return {
    address: hex64(address),
    bytes: hex(bytes),
    pageBytes: hex(pageBytes),
    scope,
    global,
    asid: asid ?? null,
  };
}
