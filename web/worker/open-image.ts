import { addressOf, PageTableError, pageOf } from 'tablewalk/bits';
import { captureTables } from 'tablewalk/capture';
import { rightsText } from 'tablewalk/format';
import {
  explain,
  findPhysical,
  type MergeRule,
  type TableIndex,
  tableIndex,
  takeCensus,
} from 'tablewalk/inspect';
import type { Machine } from 'tablewalk/machine';
import { ABSENT, SparseMemory } from 'tablewalk/memory';
import {
  accessName,
  accessText,
  explanationJson,
  explanationLines,
  explanationRows,
  fieldWords,
  type RegionRow as ListedRow,
  leadsText,
  listRows,
  machineRows,
  plural,
  regionCells,
  regionHeader,
  regionJson,
  ruleText,
  sessionJson,
  tableRows,
  writableAndExecutable,
} from 'tablewalk/report';
import {
  choosePaging,
  parseHex,
  rootAddress,
  type Session,
  type Space,
  spaceAt,
  spaceText,
  type TableOptions,
} from 'tablewalk/session';
import {
  type ByteSource,
  blobBytes,
  httpBytes,
  openImage,
  parseRegisters,
  withRegisters,
} from 'tablewalk/source';
import { tableAddress } from 'tablewalk/walk';
import type {
  Attempt,
  Change,
  EntryText,
  Found,
  Image,
  ImageSource,
  RegionFilter,
  RegionList,
  RegionRow,
  SpaceInfo,
  Table,
  TableAt,
  Tables,
  Walk,
} from '../protocol.ts';
import { outlineTables } from './build-atlas.ts';
import type { Looked } from './looked.ts';
import type { Methods } from './requests.ts';
import { Scratch } from './scratch.ts';
import { entriesOf, tableOf } from './table.ts';
import { stoppable, watched } from './watched.ts';
import type { Work } from './work.ts';

/** Tables that are read at most: of 4 KiB, 512 MiB. */
const MAX_TABLES = 1 << 17;
/** Rows of a list of regions at most. */
const MAX_ROWS = '300000';
/** Linear addresses that are told of a physical one, of each half. */
const MAX_FOUND = 500;

/** What the worker holds: one image, its tables, and a scratch copy of them. */
export class OpenImage implements Methods {
  private machine: Machine | undefined;
  private options: TableOptions = {};
  private session: Session | undefined;
  private captured = new SparseMemory(MAX_TABLES);
  private scratch: Scratch | undefined;
  private list: readonly ListedRow[] = [];
  private merge: MergeRule = 'physical';
  private readonly indexes = new Map<number, TableIndex>();

  async open(work: Work, image: ImageSource): Promise<Image> {
    // What is open stays until this one is.
    const bytes = image.blob === undefined ? await httpBytes(image.url ?? '') : blobBytes(image.blob);
    const machine = await machineOf(work, image, bytes).catch(async (error: unknown) => {
      await bytes.close();
      throw error;
    });
    const before = this.machine;
    this.machine = machine;
    this.session = undefined;
    this.scratch = undefined;
    await before?.close();
    const { architecture, cpus } = machine;
    return { name: image.name, architecture, rows: machineRows(machine), cpus };
  }

  async choose(work: Work, options: TableOptions): Promise<Tables> {
    const { machine } = this;
    if (machine === undefined) throw nothingOpen();
    // Until all is read, nothing is.
    this.session = undefined;
    const session = choosePaging(machine, options);
    this.captured = new SparseMemory(MAX_TABLES);
    this.scratch = undefined;
    await this.capture(work, session);
    if (session.spaces.every(({ paging }) => this.captured.locate(paging.root.frame) === ABSENT)) {
      const roots = session.spaces.map(spaceText).join('; ');
      throw new PageTableError('NO_ROOT', `the root table is not in the image: ${roots}`);
    }
    this.forget();
    const tables = await outlined(work, { session, memory: this.captured.memory }, this.captured.size);
    this.session = session;
    this.options = options;
    return tables;
  }

  async explain(_work: Work, address: bigint): Promise<Walk> {
    const { session, memory } = this.looked();
    const space = spaceAt(session, address);
    const { paging } = space;
    const it = explain(memory, paging, address);
    const index = session.spaces.indexOf(space);
    const lines = explanationLines(session, space, it);
    return {
      space: index,
      explanation: it,
      lines,
      outcome: lines[0],
      fields: it.levels.map(({ fields }) => fieldWords(fields)),
      leads: it.levels.map((level) => leadsText(paging, level)),
      rows: explanationRows(session, space, it),
      accesses: it.accesses.map(({ access, result }) => ({
        name: accessName(access, paging),
        allowed: result.kind === 'allowed',
        text: accessText(result),
      })),
      // The first entry of a table lies where the table begins, also where a table spans several frames.
      tables: it.levels.map(({ depth, address: at, index: i }) => ({
        space: index,
        depth,
        frame: pageOf(at - BigInt(i * paging.format.fact.entryBytes)),
      })),
      json: JSON.stringify(explanationJson(session, it), null, 2),
    };
  }

  async table(_work: Work, at: TableAt): Promise<Table> {
    return tableOf(this.looked(), this.index(at.space), at);
  }

  async entries(_work: Work, at: TableAt, from: number, to: number): Promise<readonly EntryText[]> {
    return entriesOf(this.looked(), this.index(at.space), at, from, to);
  }

  async regions(work: Work, filter: RegionFilter): Promise<RegionList> {
    const { session, memory } = this.looked();
    await work.breathe('listing regions', 0);
    // An empty field of the form is none.
    const given = Object.fromEntries(Object.entries(filter).filter(([, text]) => text !== ''));
    const { rows, merge } = listRows(session, memory, { ...given, limit: MAX_ROWS });
    this.list = rows;
    this.merge = merge;
    const unread = rows.filter(({ region }) => region.kind === 'missing').length;
    const left =
      unread === 0
        ? ''
        : ` ${plural(unread, 'row')} of tables that are not in the image: what they map is not known.`;
    return {
      count: rows.length,
      header: regionHeader(session),
      note: `${plural(rows.length, 'row')}. ${ruleText(merge)}${left}`,
    };
  }

  async regionRows(_work: Work, from: number, to: number): Promise<readonly RegionRow[]> {
    return this.list.slice(from, to).map(({ region, paging }) => ({
      cells: regionCells(region, paging),
      first: addressOf(region.first),
      end: addressOf(region.end),
      wx: writableAndExecutable(region),
    }));
  }

  async find(_work: Work, physical: bigint): Promise<Found> {
    const { session, memory } = this.looked();
    if (physical >= 1n << 56n) {
      throw new PageTableError(
        'OUT_OF_RANGE',
        `find: physical address 0x${physical.toString(16)}; expected one below 2^56`,
      );
    }
    const frame = pageOf(physical);
    const offset = physical % 4096n;
    const found = session.spaces.map(({ paging }, space) => {
      const references = findPhysical(
        memory,
        paging,
        { first: frame, end: frame + 1 },
        { maxResults: MAX_FOUND, index: this.index(space) },
      );
      return { references, paging, space };
    });
    return {
      physical,
      pages: found.flatMap(({ references }) =>
        // One frame is asked for: each mapping is one page.
        references.mappings.map(({ first, rights, pageShift }) => ({
          linear: addressOf(first) + offset,
          rights: [rightsText(rights, true), rightsText(rights, false)] as const,
          pageShift,
        })),
      ),
      count: found.reduce((sum, { references }) => sum + references.pages, 0),
      more: found.some(({ references }) => references.moreMappings),
      missing: found.reduce((sum, { references }) => sum + references.missing, 0),
      tables: found.flatMap(({ references, paging, space }) =>
        references.tables.map(({ depth, frame: first }) => ({
          at: { space, depth, frame: first },
          name: `${paging.format.fact.levels[depth].table} at 0x${tableAddress(paging, depth, first).toString(16)}`,
        })),
      ),
      inImage: this.machine?.frames.some(({ first, end }) => frame >= first && frame < end) ?? false,
    };
  }

  async attempt(work: Work, changes: readonly Change[]): Promise<Attempt> {
    if (this.session === undefined || this.machine === undefined) throw nothingOpen();
    // Whatever becomes of it: what cannot be made leaves the tables of the image, as the page shows them then.
    this.scratch = undefined;
    this.forget();
    const scratch = new Scratch(this.machine, this.session, this.options, this.captured);
    for (const change of changes) await scratch.make(work, change);
    await work.breathe('comparing', 0);
    const differences = scratch.differences();
    const tables = await outlined(work, scratch, this.captured.size);
    if (changes.length > 0) this.scratch = scratch;
    return { ...differences, changes, done: scratch.done, tables };
  }

  async exportRegions(work: Work): Promise<Blob> {
    const { session } = this.looked();
    const head = JSON.stringify({ ...sessionJson(session), merge: this.merge });
    const parts = [head.slice(0, -1), ',"regions":[\n'];
    for (const [i, { region, paging }] of this.list.entries()) {
      if (i % 1000 === 0) await work.breathe('writing rows', i, this.list.length);
      parts.push(i === 0 ? '' : ',\n', JSON.stringify(regionJson(region, paging)));
    }
    return new Blob([...parts, '\n]}\n'], { type: 'application/json' });
  }

  /** The tables that are looked at now. */
  private looked(): Looked {
    if (this.scratch !== undefined) return this.scratch;
    if (this.session === undefined) throw nothingOpen();
    return { session: this.session, memory: this.captured.memory };
  }

  private index(space: number): TableIndex {
    const known = this.indexes.get(space);
    if (known !== undefined) return known;
    const { session, memory } = this.looked();
    const one = session.spaces[space];
    if (one === undefined)
      throw new PageTableError('OUT_OF_RANGE', `space ${space}; expected one of ${session.spaces.length}`);
    const index = tableIndex(memory, one.paging);
    this.indexes.set(space, index);
    return index;
  }

  private async capture(work: Work, session: Session): Promise<void> {
    if (this.machine === undefined) throw nothingOpen();
    const reader = stoppable(this.machine, work, this.captured);
    for (const { paging } of session.spaces) await captureTables(reader, paging, { into: this.captured });
  }

  /** Other tables are looked at: what is known of those before is of no use. */
  private forget(): void {
    this.indexes.clear();
    this.list = [];
  }
}

/**
 * Everything that the page shows of tables without asking again.
 *
 * @param tables - how many there are, for the reports of progress
 */
async function outlined(work: Work, { session, memory }: Looked, tables: number): Promise<Tables> {
  const atlases = [];
  const counted = [];
  for (const space of session.spaces) {
    const steps = outlineTables(memory, space.paging);
    let step = steps.next();
    // A table may count several times, for each set of rights that it inherits.
    for (; !step.done; step = steps.next()) await work.breathe('outlining tables', step.value);
    atlases.push(step.value);
    await work.breathe('counting pages', tables, tables);
    counted.push({ space, census: takeCensus(memory, space.paging) });
  }
  return {
    spaces: session.spaces.map(spaceInfo),
    unread: session.unread,
    assumed: session.assumed.map(({ text }) => text),
    flags: session.flags,
    rows: tableRows(session, counted),
    atlases,
  };
}

function spaceInfo(space: Space, i: number): SpaceInfo {
  const { paging, half } = space;
  const { fact, lowEnd, highStart } = paging.format;
  const shifts = fact.levels.flatMap(({ entries }) => entries.flatMap(({ pageShift }) => pageShift ?? []));
  return {
    text: spaceText(space),
    title: fact.title,
    half,
    root: { space: i, depth: 0, frame: paging.root.frame },
    rootAddress: rootAddress(paging),
    entryBytes: fact.entryBytes,
    vaBits: fact.vaBits,
    levels: fact.levels.map(({ table, entry, indexHigh, indexLow }) => ({
      table,
      entry,
      indexHigh,
      indexLow,
    })),
    privileges: fact.privileges,
    pageShifts: [...new Set(shifts)].sort((a, b) => a - b),
    lowEnd,
    highStart,
  };
}

/** The machine in a file, with the registers that were given. */
async function machineOf(work: Work, image: ImageSource, bytes: ByteSource): Promise<Machine> {
  const base = image.base === undefined ? {} : { base: parseHex('the physical address', image.base) };
  const limit = image.maxUnpackedBytes === undefined ? {} : { maxUnpackedBytes: image.maxUnpackedBytes };
  const source = watched(bytes, work, 'reading the file');
  const opened = await openImage(source, {
    ...base,
    ...limit,
    ...(image.raw === true || image.base !== undefined ? { format: 'raw' as const } : {}),
  });
  source.rest();
  return image.registers === undefined ? opened : withRegisters(opened, parseRegisters(image.registers));
}

function nothingOpen(): PageTableError {
  return new PageTableError('BAD_ARGUMENT', 'no image is open');
}
