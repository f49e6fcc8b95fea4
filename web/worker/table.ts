import { addressOf, joinHalves, PageTableError, pageOf } from 'tablewalk/bits';
import { entryOrder, inheritedBits, lastIndex, rightsText, withHole, withoutHole } from 'tablewalk/format';
import { explain, type TableIndex } from 'tablewalk/inspect';
import { ABSENT } from 'tablewalk/memory';
import { fieldTexts, fieldWords } from 'tablewalk/report';
import {
  Cursor,
  DONE,
  FAULTY as FAULTY_ENTRY,
  MISSING as MISSING_PART,
  PAGE,
  TABLE as TABLE_ENTRY,
  tableAddress,
} from 'tablewalk/walk';
import { FAULTY, LEAF, MISSING, TABLE } from '../map/atlas.ts';
import type { EntryText, Table, TableAt } from '../protocol.ts';
import type { Looked } from './looked.ts';

/** Entries that are told at a time. */
const MAX_ENTRIES = 1024;

/**
 * One table with its entries.
 *
 * @throws {@link PageTableError} `OUT_OF_RANGE` if nothing leads to such a table
 */
export function tableOf({ session, memory }: Looked, index: TableIndex, at: TableAt): Table {
  const { paging } = session.spaces[at.space];
  const { format } = paging;
  const { facts, entryShift, fact } = format;
  const { depth, frame } = at;
  const number = numberOf(index, at);
  const { first, ways } = index.table(number);
  const count = lastIndex(facts, depth) + 1;
  const order = entryOrder(facts, depth);
  const cells = new Uint8Array(count);
  const lows = new Uint32Array(count);
  const highs = new Uint32Array(count);
  const frames = Math.max(1, (count << entryShift) / 1024);
  const word = depth === 0 ? paging.root.word : 0;
  let missing = true;
  for (let part = 0; part < frames; part += 1) {
    const base = memory.locate(frame + part);
    if (base === ABSENT) continue;
    missing = false;
    const words = memory.current();
    for (
      let i = (part * 1024) >> entryShift;
      i < Math.min(count, ((part + 1) * 1024) >> entryShift);
      i += 1
    ) {
      const from = base + word + ((i << entryShift) & 1023);
      lows[i] = words[from];
      highs[i] = entryShift === 1 ? words[from + 1] : 0;
    }
  }
  // What the entries are, and the rights of their pages as far as this way of the ways leads to them.
  const steps = explain(memory, paging, addressOf(first)).levels;
  const above = inheritedBits(format, steps.slice(0, depth));
  const cursor = new Cursor(memory, paging);
  cursor.start({ depth, frame, page: 0, ...above });
  for (let event = cursor.next(); event !== DONE; event = cursor.next()) {
    const i = (depth === 0 ? withoutHole(format, cursor.page) : cursor.page) / 2 ** order;
    if (event === TABLE_ENTRY) {
      cells[i] = TABLE;
      cursor.skip();
    } else if (event === MISSING_PART) cells.fill(MISSING, i, i + 2 ** (cursor.order - order));
    else if (event === PAGE) cells[i] = LEAF | paging.rights(cursor.and, cursor.or, cursor.low, cursor.high);
    else if (event === FAULTY_ENTRY) cells[i] = FAULTY;
  }
  return {
    at,
    address: tableAddress(paging, depth, frame),
    count,
    cells,
    lows,
    highs,
    page: first,
    upperFrom: depth === 0 && fact.signExtended ? count / 2 : count,
    order,
    parents: index.parents(number).map((parent) => ({
      at: { space: at.space, depth: parent.depth, frame: parent.frame },
      index: parent.index,
      count: parent.count,
      entry: fact.levels[parent.depth].entry,
    })),
    ways,
    missing,
  };
}

/** What entries say, in words. */
export function entriesOf(
  looked: Looked,
  index: TableIndex,
  at: TableAt,
  from: number,
  to: number,
): readonly EntryText[] {
  const { session, memory } = looked;
  const { paging } = session.spaces[at.space];
  const { format } = paging;
  const { facts, fact } = format;
  const { depth } = at;
  const { first } = index.table(numberOf(index, at));
  const count = lastIndex(facts, depth) + 1;
  const base = depth === 0 ? 0 : first;
  const list: EntryText[] = [];
  for (let i = Math.max(0, from); i < Math.min(count, to, from + MAX_ENTRIES); i += 1) {
    const page = base + i * 2 ** entryOrder(facts, depth);
    const linear = addressOf(depth === 0 ? withHole(format, page) : page);
    const it = explain(memory, paging, linear);
    const level = it.levels[depth];
    if (level === undefined) continue;
    const isPage = level.leads === 'page' && it.rights !== undefined;
    list.push({
      index: i,
      linear,
      value: joinHalves(level.low, level.high),
      text:
        level.leads === 'nowhere'
          ? absentText(level.value, fact.entryBytes)
          : fieldTexts(level.fields).join(', '),
      leads:
        level.leads === 'table' && level.target !== undefined
          ? { space: at.space, depth: depth + 1, frame: pageOf(level.target) }
          : undefined,
      target: level.target,
      rights: isPage ? [rightsText(it.rights, true), rightsText(it.rights, false)] : undefined,
      fields: fieldWords(level.fields),
    });
  }
  return list;
}

function absentText(value: bigint, bytes: number): string {
  return value === 0n
    ? 'not present'
    : `not present; the other bits are software's: 0x${value.toString(16).padStart(bytes * 2, '0')}`;
}

function numberOf(index: TableIndex, { depth, frame }: TableAt): number {
  const number = index.numberOf(depth, frame);
  if (number !== undefined) return number;
  throw new PageTableError(
    'OUT_OF_RANGE',
    `no entry leads to a table at 0x${addressOf(frame).toString(16)} at depth ${depth}`,
    { depth, frame },
  );
}
