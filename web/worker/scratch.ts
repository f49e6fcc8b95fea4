import { addressOf, hex, PageTableError } from 'tablewalk/bits';
import { captureTables } from 'tablewalk/capture';
import { isFaultyTable, isPresent, lastIndex, leadsToTable, type Paging, tableFrame } from 'tablewalk/format';
import { diffRegions, type TableIndex, tableIndex } from 'tablewalk/inspect';
import type { Machine } from 'tablewalk/machine';
import { ABSENT, OverlayMemory, type PhysicalMemory, type SparseMemory } from 'tablewalk/memory';
import { repeatText } from 'tablewalk/report';
import { choosePaging, flipFlag, type Session, type TableOptions } from 'tablewalk/session';
import { tableAddress } from 'tablewalk/walk';
import type { Attempt, Change, ChangedRange, TableAt } from '../protocol.ts';
import { foldChanges } from './fold-changes.ts';
import type { Looked } from './looked.ts';
import { meaningText } from './meaning-text.ts';
import { stoppable } from './watched.ts';
import type { Work } from './work.ts';

/** Ranges that are compared, before those that stand again and again are folded: Linux has one page 65,536 times. */
const MAX_COMPARED = 300_000;
/** Ranges that are told to change. */
const MAX_CHANGED = 20_000;

type EntryChange = Extract<Change, { kind: 'entry' }>;

/** A copy of the tables that may be changed: the image's own stay as they are, in memory as in the file. */
export class Scratch implements Looked {
  session: Session;
  /** Each change in words. */
  readonly done: string[] = [];
  private readonly machine: Machine;
  private readonly original: Session;
  private readonly captured: SparseMemory;
  private options: TableOptions;
  private overlay: OverlayMemory | undefined;
  /** By space: its tables, as they were when one was last looked for in vain. */
  private readonly indexes = new Map<number, TableIndex>();
  /** Entries that were changed so far. */
  private readonly written: EntryChange[] = [];

  constructor(machine: Machine, session: Session, options: TableOptions, captured: SparseMemory) {
    this.machine = machine;
    this.original = session;
    this.session = session;
    this.options = options;
    this.captured = captured;
  }

  /** Where the changed tables are. */
  get memory(): PhysicalMemory {
    return this.overlay?.memory ?? this.captured.memory;
  }

  /**
   * Makes a change, and reads the tables to which it leads.
   *
   * @throws {@link PageTableError} `OUT_OF_RANGE` if there is no such entry, bit or flag
   */
  async make(work: Work, change: Change): Promise<void> {
    const reader = stoppable(this.machine, work, this.captured);
    if (change.kind === 'flag') {
      this.flip(change.register, change.name);
      for (const { paging } of this.session.spaces)
        await captureTables(reader, paging, { into: this.captured });
    } else {
      this.write(change);
      this.written.push(change);
    }
    // An entry that was changed before may lead to a table only now, by what a flag makes of it.
    for (const one of this.written) {
      const { paging } = this.session.spaces[one.at.space];
      const table = this.tableBelow(one);
      if (table !== undefined) await captureTables(reader, paging, { into: this.captured, table });
    }
  }

  /** Which addresses mean something else than in the image. */
  differences(): Pick<Attempt, 'rows' | 'bytes' | 'more'> {
    const rows: ChangedRange[] = [];
    let pages = 0;
    let more = false;
    this.original.spaces.forEach(({ paging }, i) => {
      const after = this.session.spaces[i];
      if (after === undefined) return;
      const diff = diffRegions(
        { memory: this.captured.memory, paging },
        { memory: this.memory, paging: after.paging },
        { maxRows: MAX_COMPARED },
      );
      const folded = foldChanges(diff.changes);
      more ||= diff.more || rows.length + folded.length > MAX_CHANGED;
      pages += diff.changes.reduce((sum, { first, end }) => sum + end - first, 0);
      const { privileges } = paging.format.fact;
      for (const { first, end, before, after: then, repeat } of folded.slice(0, MAX_CHANGED - rows.length)) {
        rows.push({
          first: addressOf(first),
          end: addressOf(end),
          before: meaningText(before, privileges),
          after: meaningText(then, privileges),
          repeat: repeatText(repeat),
        });
      }
    });
    return { rows, bytes: addressOf(pages), more };
  }

  private flip(register: string, name: string): void {
    const flag = this.session.flags.find((one) => one.register === register && one.name === name);
    if (flag === undefined) {
      const known = this.session.flags.map((one) => `${one.register}.${one.name}`).join(', ');
      throw new PageTableError('OUT_OF_RANGE', `try: no flag ${register}.${name}; expected one of ${known}`);
    }
    this.options = flipFlag(this.session, this.options, flag);
    this.session = choosePaging(this.machine, this.options);
    this.done.push(`${register}.${name}: ${flag.on ? '1 → 0' : '0 → 1'}`);
  }

  /** Flips a bit of an entry. */
  private write({ at, index, bit }: EntryChange): void {
    const space = this.session.spaces[at.space];
    if (space === undefined) throw new PageTableError('OUT_OF_RANGE', `try: no address space ${at.space}`);
    const { paging } = space;
    const { facts, levels, fact } = paging.format;
    const { depth, frame } = at;
    const last = depth < levels ? lastIndex(facts, depth) : -1;
    if (index > last || bit >= fact.entryBytes * 8) {
      throw new PageTableError(
        'OUT_OF_RANGE',
        `try: bit ${bit} of entry ${index} at depth ${depth}; expected one of ${fact.entryBytes * 8} bits, of ${last + 1} entries`,
      );
    }
    this.overlay ??= new OverlayMemory(this.captured.memory);
    const address = hex(tableAddress(paging, depth, frame));
    const from = this.placeOf(paging, at, index);
    if (!this.leadsTo(paging, at) || from === ABSENT) {
      throw new PageTableError('OUT_OF_RANGE', `try: no table at ${address}, depth ${depth}, in the image`);
    }
    const words = this.memory.current();
    words[from + (bit >> 5)] ^= 1 << (bit & 31);
    const isSet = ((words[from + (bit >> 5)] >>> (bit & 31)) & 1) === 1;
    const [low, high] = this.halvesAt(paging, from);
    const field = paging
      .describe({ depth, low, high })
      .fields.find((one) => bit >= one.low && bit <= one.high);
    const { table, entry } = fact.levels[depth];
    const name = field === undefined ? '' : ` (${field.name})`;
    this.done.push(
      `${entry} ${index} of the ${table} at ${address}: bit ${bit}${name} ${isSet ? '0 → 1' : '1 → 0'}`,
    );
  }

  /** The table to which an entry leads as it is now. */
  private tableBelow({ at, index }: EntryChange): { depth: number; frame: number } | undefined {
    const { paging } = this.session.spaces[at.space];
    const { facts } = paging.format;
    const { depth } = at;
    const from = this.placeOf(paging, at, index);
    if (from === ABSENT) return undefined;
    const [low, high] = this.halvesAt(paging, from);
    const leads =
      isPresent(facts, depth, low) &&
      leadsToTable(facts, depth, low) &&
      !isFaultyTable(facts, depth, low, high);
    return leads ? { depth: depth + 1, frame: tableFrame(facts, depth, low, high) } : undefined;
  }

  /** Where the words of an entry are in the scratch copy; `ABSENT` if its table is not there. */
  private placeOf({ format, root }: Paging, { depth, frame }: TableAt, index: number): number {
    const offset = (depth === 0 ? root.word : 0) + (index << format.entryShift);
    const base = this.memory.locate(frame + (offset >> 10));
    return base === ABSENT ? ABSENT : base + (offset & 1023);
  }

  private halvesAt({ format }: Paging, from: number): readonly [low: number, high: number] {
    const words = this.memory.current();
    return [words[from] | 0, format.entryShift === 1 ? words[from + 1] | 0 : 0];
  }

  /** Whether any entry leads to a table, or did before a change. */
  private leadsTo(paging: Paging, { space, depth, frame }: TableAt): boolean {
    if (this.indexes.get(space)?.numberOf(depth, frame) !== undefined) return true;
    const index = tableIndex(this.memory, paging);
    this.indexes.set(space, index);
    return index.numberOf(depth, frame) !== undefined;
  }
}
