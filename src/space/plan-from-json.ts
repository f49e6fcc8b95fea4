import { addressOf, hex, hex64, PageTableError, pageOf } from '../bits/index.ts';
import {
  Change,
  Edit,
  type EditedTable,
  EditPlan,
  type EditPolicy,
  MASK,
  MOST_TABLES,
  POINT,
  type Tree,
} from '../edit/index.ts';
import { tableFrame, withHole, withoutHole } from '../format/index.ts';
import { Cursor, DONE, TABLE } from '../walk/index.ts';
import { PLAN_SCHEMA } from './plan-json.ts';
import { JsonReader } from './read-json.ts';
import { scopeOf } from './result.ts';
import { SpacePlan } from './space-plan.ts';

/** What of a space a plan that is read needs. */
export interface PlanHome {
  /** The tables of each half, and whose plans are committed there. */
  readonly halves: readonly { readonly owner: object; readonly tree: Tree }[];
  readonly policy: EditPolicy;
  readonly asid: number;
}

/** Entries in one plan. */
const MOST_WRITES = 2 ** 22;
const FIELDS = [
  'schema',
  'format',
  'operation',
  'live',
  'tablesNeeded',
  'tablesFreed',
  'writes',
  'between',
  'invalidations',
] as const;
const WRITE_FIELDS = ['table', 'depth', 'index', 'address', 'before', 'after', 'leadsTo', 'breaks'] as const;
const RANGE_FIELDS = ['address', 'bytes', 'pageBytes', 'scope', 'global', 'asid'] as const;

/** A write as it is read. */
interface Write {
  readonly place: string;
  /** Frame of the table; -1 for one that is made. */
  readonly frame: number;
  readonly made: number;
  readonly depth: number;
  readonly index: number;
  readonly address: bigint;
  readonly before: bigint;
  readonly after: bigint;
  readonly leadsTo: number;
  readonly breaks: boolean;
}

/**
 * Reads a plan that `SpacePlan.toJSON` gave, for the tables that it was made for: each table is looked for by a walk to its
 * addresses, and each entry compared with what it was. It may do no more than a plan of this space could: lead to the tables that
 * it makes, free those that it replaces.
 *
 * What is to be invalidated is taken as the JSON says it.
 *
 * @throws {@link PageTableError} `STALE_PLAN` if the tables are not those, or have changed; `SHARED_TABLE` if others use one that
 *   it writes or replaces; `BAD_ARGUMENT`, `LIMIT_EXCEEDED` for what is no plan; `WRITE_XOR_EXECUTE`
 */
export function planFromJSON(space: { readonly home: PlanHome }, json: unknown): SpacePlan {
  return new PlanReader(space.home).read(json);
}

class PlanReader {
  private readonly home: PlanHome;
  private readonly reader: JsonReader = new JsonReader('plan JSON');
  private readonly made: EditedTable[] = [];
  private operation = 'plan';

  constructor(home: PlanHome) {
    this.home = home;
  }

  read(json: unknown): SpacePlan {
    const { reader, home } = this;
    const top = reader.object('it', json, FIELDS);
    reader.text('schema', top.schema, [PLAN_SCHEMA]);
    reader.text('format', top.format, [home.halves[0].tree.paging.format.fact.name]);
    this.operation = reader.text('operation', top.operation);
    const needed = reader.count('tablesNeeded', top.tablesNeeded, home.policy.maxTables + 1);
    if (!reader.boolean('live', top.live) && home.policy.live) {
      reader.refuse('live', 'true, since the tables are live', false);
    }
    const freed = reader.list('tablesFreed', top.tablesFreed, MOST_TABLES).map((one, i) => {
      return this.frame(`tablesFreed[${i}]`, one);
    });
    const writes = reader
      .list('writes', top.writes, MOST_WRITES)
      .map((one, i) => this.write(`writes[${i}]`, one, needed));
    const { owner, tree } = this.halfOf(writes[0]?.address ?? 0n);
    const edit = new Edit(tree, home.policy, this.operation, 0, 0);
    const tables = this.existing(edit, writes);
    this.make(edit, writes, tables, needed);
    const replaced = this.change(edit, writes, tables);
    this.free(edit, freed, replaced);
    for (const name of ['between', 'invalidations'] as const) {
      const ranges = reader.list(name, top[name], MOST_WRITES);
      ranges.forEach((one, i) => {
        this.range(edit, `${name}[${i}]`, one, name === 'between');
      });
    }
    const plan = new SpacePlan(new EditPlan(edit), owner, home.asid);
    plan.core.remember();
    return plan;
  }

  // ---- fields

  private frame(place: string, value: unknown): number {
    const address = this.reader.wide(place, value);
    if ((address & 0xfffn) !== 0n) this.reader.refuse(place, 'the address of a frame', value);
    return pageOf(address);
  }

  private write(place: string, json: unknown, needed: number): Write {
    const { reader } = this;
    const one = reader.object(place, json, WRITE_FIELDS);
    const isMade = typeof one.table === 'object';
    const table = isMade ? reader.object(`${place}.table`, one.table, ['made']) : undefined;
    const slot = (name: string, value: unknown) => reader.count(`${place}.${name}`, value, needed);
    const wide = (name: 'address' | 'before' | 'after') => reader.wide(`${place}.${name}`, one[name]);
    // A root need not begin with its frame.
    const frame = isMade ? -1 : pageOf(reader.wide(`${place}.table`, one.table));
    return {
      place,
      frame,
      made: table === undefined ? -1 : slot('table.made', table.made),
      depth: reader.count(`${place}.depth`, one.depth, this.home.halves[0].tree.paging.format.levels),
      index: reader.count(`${place}.index`, one.index, 2 ** 13),
      address: wide('address'),
      before: wide('before'),
      after: wide('after'),
      leadsTo: one.leadsTo === null ? -1 : slot('leadsTo', one.leadsTo),
      breaks: reader.boolean(`${place}.breaks`, one.breaks),
    };
  }

  private halfOf(address: bigint): PlanHome['halves'][number] {
    const page = pageOf(address);
    const found = this.home.halves.find(({ tree }) => {
      const { lowEnd, highStart } = tree.paging.format;
      return page < lowEnd || page >= highStart;
    });
    return (
      found ?? this.reader.refuse('writes[0].address', 'an address that the space translates', hex64(address))
    );
  }

  /** A page as the edit counts it: without the hole between two halves. */
  private pageIn(edit: Edit, place: string, address: bigint): number {
    const { lowEnd, highStart } = edit.format;
    const page = pageOf(address);
    if ((address & 0xfffn) !== 0n || (page >= lowEnd && page < highStart)) {
      return this.reader.refuse(place, "a page's address in the half of the first write", hex64(address));
    }
    return withoutHole(edit.format, page);
  }

  // ---- tables

  /** The tables that are there and written to, by the place of the write. */
  private existing(edit: Edit, writes: readonly Write[]): Map<Write, EditedTable> {
    const tables = new Map<Write, EditedTable>();
    for (const write of writes) {
      if (write.made >= 0) continue;
      const page = this.pageIn(edit, `${write.place}.address`, write.address);
      const table = this.walk(edit, write, page);
      const frame = table.depth === 0 ? edit.tree.paging.root.frame : table.frame;
      if (frame !== write.frame) {
        throw this.stale(
          write,
          `the walk leads to the table at ${hex(addressOf(frame))}, not ${hex(addressOf(write.frame))}`,
        );
      }
      this.checkIndex(edit, table, write, page);
      tables.set(write, table);
    }
    return tables;
  }

  private walk(edit: Edit, write: Write, page: number): EditedTable {
    let table = edit.root;
    while (table.depth < write.depth) {
      const index = Math.floor((page - table.page) / edit.spanOf(table));
      const [low, high] = [edit.low(table, index), edit.high(table, index)];
      if (
        index >= edit.entriesAt(table.depth) ||
        !edit.isUsable(table, low, high) ||
        !edit.leadsToTable(table, low)
      ) {
        throw this.stale(write, `the ${edit.entryText(table, index)} leads to no table`);
      }
      this.checkOwn(edit, tableFrame(edit.facts, table.depth, low, high), write);
      table = edit.enter(table, index, low, high);
    }
    return table;
  }

  private checkIndex(edit: Edit, table: EditedTable, write: Write, page: number): void {
    if (write.index < edit.entriesAt(table.depth) && edit.pageAt(table, write.index) === page) return;
    this.reader.refuse(
      write.place,
      'an index that belongs to its address',
      `${write.index} and ${hex64(write.address)}`,
    );
  }

  /** The tables that are made: each has one entry that leads to it, in a table that is there or was made before. */
  private make(edit: Edit, writes: readonly Write[], tables: Map<Write, EditedTable>, needed: number): void {
    const leads = new Map<number, Write>();
    for (const write of writes) {
      if (write.leadsTo < 0) continue;
      if (leads.has(write.leadsTo))
        this.reader.refuse(`${write.place}.leadsTo`, 'one entry for each table', write.leadsTo);
      leads.set(write.leadsTo, write);
    }
    for (let slot = 0; slot < needed; slot += 1) {
      const write = leads.get(slot);
      if (write === undefined) this.reader.refuse('tablesNeeded', 'an entry that leads to each table', slot);
      const parent = write.made >= 0 ? this.made[write.made] : tables.get(write);
      if (parent === undefined || parent.depth !== write.depth || parent.depth + 1 >= edit.format.levels) {
        this.reader.refuse(write.place, 'a table made before, at the depth given', write.made);
      }
      if (write.made >= 0)
        this.checkIndex(edit, parent, write, this.pageIn(edit, write.place, write.address));
      if (parent.child(write.index) !== undefined) {
        this.reader.refuse(write.place, 'no writes below an entry that is replaced', write.index);
      }
      this.made.push(edit.newTable(parent, write.index));
    }
    for (const write of writes) {
      if (write.made < 0) continue;
      const table = this.made[write.made];
      if (table.depth !== write.depth)
        this.reader.refuse(`${write.place}.depth`, String(table.depth), write.depth);
      this.checkIndex(edit, table, write, this.pageIn(edit, write.place, write.address));
      tables.set(write, table);
    }
  }

  // ---- entries

  /** Adds the changes; the tables that entries led to and lead to no more. */
  private change(edit: Edit, writes: readonly Write[], tables: ReadonlyMap<Write, EditedTable>): Set<number> {
    const seen = new Map<EditedTable, Set<number>>();
    const replaced = new Set<number>();
    for (const write of writes) {
      const table = tables.get(write) ?? edit.root;
      const indices = seen.get(table) ?? new Set();
      if (indices.has(write.index)) this.reader.refuse(write.place, 'one write of each entry', write.index);
      seen.set(table, indices.add(write.index));
      this.changeEntry(edit, table, write, replaced);
    }
    return replaced;
  }

  private changeEntry(edit: Edit, table: EditedTable, write: Write, replaced: Set<number>): void {
    const { index, leadsTo, breaks, place } = write;
    const [low, high] = [edit.low(table, index), edit.high(table, index)];
    const before = this.halves(edit, `${place}.before`, write.before);
    const after = this.halves(edit, `${place}.after`, write.after);
    const { marksLow } = edit.tree.masks.levels[table.depth];
    if (((before.low ^ low) & ~marksLow) !== 0 || before.high !== high) {
      throw this.stale(write, `the ${edit.entryText(table, index)} is not ${hex64(write.before)} any more`);
    }
    const wasTable = edit.isUsable(table, low, high) && edit.leadsToTable(table, low);
    const isPresent = edit.isPresent(table, after.low);
    const isTable = isPresent && edit.leadsToTable(table, after.low);
    if (isPresent ? edit.isFaulty(table, after.low, after.high) : write.after !== 0n) {
      this.reader.refuse(`${place}.after`, 'zero, or an entry without reserved bits', hex64(write.after));
    }
    const frameOf = (one: { low: number; high: number }) =>
      tableFrame(edit.facts, table.depth, one.low, one.high);
    if (isTable !== leadsTo >= 0 && !(isTable && wasTable && frameOf(after) === frameOf({ low, high }))) {
      this.reader.refuse(
        `${place}.after`,
        'a page, or a table that the plan makes or that is there',
        hex64(write.after),
      );
    }
    if (isTable && leadsTo >= 0 && frameOf(after) !== 0) {
      this.reader.refuse(`${place}.after`, 'no address where a table is made', hex64(write.after));
    }
    if (isPresent && !isTable) edit.checkRights(table, edit.pageAt(table, index), after.low, after.high);
    if (wasTable && (!isTable || leadsTo >= 0)) {
      if (table.child(index)?.isNew === false)
        this.reader.refuse(place, 'no writes below an entry that is replaced', index);
      this.checkOwn(edit, tableFrame(edit.facts, table.depth, low, high), write);
      this.below(edit, table, index, frameOf({ low, high }), replaced, write);
    }
    if (leadsTo >= 0) {
      edit.changes.push(new Change(POINT, table, index, 1, { child: this.made[leadsTo], ...after, breaks }));
      return;
    }
    // Marks that a processor sets meanwhile stay where the page stays.
    const isSame =
      !table.isNew &&
      isPresent &&
      edit.isPresent(table, low) &&
      samePlace(edit, table, index, { low, high }, after);
    const clear = isSame ? { clearLow: before.low & ~after.low, clearHigh: before.high & ~after.high } : ALL;
    const set = isSame ? { low: after.low & ~before.low, high: after.high & ~before.high } : after;
    edit.changes.push(new Change(MASK, table, index, 1, { ...clear, ...set, breaks }));
  }

  private halves(edit: Edit, place: string, entry: bigint): { low: number; high: number } {
    if (edit.format.entryShift === 0 && entry >> 32n !== 0n)
      this.reader.refuse(place, 'an entry of 32 bits', hex64(entry));
    return { low: Number(BigInt.asIntN(32, entry)), high: Number(BigInt.asIntN(32, entry >> 32n)) };
  }

  /** Notes a table that is replaced, and those below it. */
  private below(
    edit: Edit,
    table: EditedTable,
    index: number,
    frame: number,
    replaced: Set<number>,
    write: Write,
  ): void {
    // A table that stands above is not replaced with an entry that leads back to it.
    const above = new Set<number>();
    for (let one: EditedTable | undefined = table; one !== undefined; one = one.parent) above.add(one.frame);
    if (above.has(frame)) return;
    replaced.add(frame);
    const first = withHole(edit.format, edit.pageAt(table, index));
    const cursor = new Cursor(edit.tree.memory, edit.tree.paging, { first, end: first + edit.spanOf(table) });
    for (let event = cursor.next(); event !== DONE; event = cursor.next()) {
      if (event !== TABLE || cursor.depth <= table.depth) continue;
      const isMet = replaced.has(cursor.frame) || above.has(cursor.frame);
      this.checkOwn(edit, cursor.frame, write);
      if (isMet) cursor.skip();
      else replaced.add(cursor.frame);
    }
  }

  /** Refuses a table that others use, too. */
  private checkOwn(edit: Edit, frame: number, write: Write): void {
    if (edit.sharing.countOf(frame) === 1) return;
    throw new PageTableError(
      'SHARED_TABLE',
      `${this.operation}: ${write.place}: others use the table at ${hex(addressOf(frame))}, too; expected a plan made anew`,
      { table: addressOf(frame) },
    );
  }

  private free(edit: Edit, freed: readonly number[], replaced: ReadonlySet<number>): void {
    const seen = new Set([edit.tree.paging.root.frame]);
    freed.forEach((frame, i) => {
      if (!replaced.has(frame) || seen.has(frame)) {
        this.reader.refuse(
          `tablesFreed[${i}]`,
          'a table that the plan replaces, once',
          hex(addressOf(frame)),
        );
      }
      seen.add(frame);
      edit.freed.push(frame);
    });
  }

  // ---- invalidations

  private range(edit: Edit, place: string, json: unknown, breaks: boolean): void {
    const { reader } = this;
    const one = reader.object(place, json, RANGE_FIELDS);
    const wide = (name: 'address' | 'bytes' | 'pageBytes') => reader.wide(`${place}.${name}`, one[name]);
    const [bytes, pageBytes] = [wide('bytes'), wide('pageBytes')];
    const first = this.pageIn(edit, `${place}.address`, wide('address'));
    const order = pageBytes < 0x1000n ? -1 : pageBytes.toString(2).length - 13;
    const isFit =
      order >= 0 && pageBytes === 1n << BigInt(order + 12) && bytes > 0n && bytes % pageBytes === 0n;
    const { lowEnd, highStart } = edit.format;
    const end = first + pageOf(isFit ? bytes : 0n);
    if (!isFit || end > lowEnd + (2 ** 52 - highStart)) {
      reader.refuse(place, 'whole pages of a power of two, inside the address space', hex(bytes));
    }
    const scope = scopeOf(reader.text(`${place}.scope`, one.scope, ['pages', 'tables', 'all', 'root']));
    if (one.asid !== null) reader.count(`${place}.asid`, one.asid, 2 ** 16);
    edit.stale.add(first, end, order, scope, reader.boolean(`${place}.global`, one.global), breaks);
  }

  private stale(write: Write, what: string): PageTableError {
    return new PageTableError(
      'STALE_PLAN',
      `${this.operation}: ${write.place}: ${what}; expected the tables for which the plan was made`,
      { address: write.address },
    );
  }
}

const ALL = { clearLow: -1, clearHigh: -1 };

/** Whether two entries map the same frame, or lead to the same table. */
function samePlace(
  edit: Edit,
  table: EditedTable,
  index: number,
  before: { low: number; high: number },
  after: { low: number; high: number },
): boolean {
  const isTable = edit.leadsToTable(table, before.low);
  if (isTable !== edit.leadsToTable(table, after.low)) return false;
  if (isTable) return true;
  return (
    edit.frameOf(table, index, before.low, before.high) === edit.frameOf(table, index, after.low, after.high)
  );
}
