import { addressOf, hex, hex64, PageTableError } from '../bits/index.ts';
import {
  ALL_RIGHTS,
  type AttributeEncoder,
  type PageDescription,
  type PageOptions,
  type Rights,
  type Tree,
} from '../edit/index.ts';
import { groupOrder } from '../format/index.ts';
import { Cursor, DONE, MISSING, PAGE } from '../walk/index.ts';
import { type Control, type KnownControl, SPACE_FORMATS, type SpaceFormat, spaceKind } from './machines.ts';
import { JsonReader } from './read-json.ts';

/** What a space's JSON says that it is. */
export const SPACE_SCHEMA = 'tablewalk/space/1';
/** Mappings in one JSON. */
const MOST_MAPPINGS = 2 ** 20;
const FIELDS = [
  'address',
  'bytes',
  'physical',
  'pageBytes',
  'contiguous',
  'rights',
  'user',
  'type',
  'global',
  'accessed',
  'dirty',
  'fields',
  'bits',
] as const;

/** Neighbouring pages of one size with the same attributes, one behind the other in both spaces. Numbers are `0x…`. */
export interface MappingJson {
  readonly address: string;
  readonly bytes: string;
  readonly physical: string;
  readonly pageBytes: string;
  /** Whether the pages are in contiguous groups. */
  readonly contiguous: boolean;
  readonly rights: Rights;
  readonly user: boolean;
  readonly type: string;
  readonly global: boolean;
  /** `null` where the format has no such bit. */
  readonly accessed: boolean | null;
  readonly dirty: boolean | null;
  /** What the words do not say, by the manual's names. */
  readonly fields: Readonly<Record<string, number>>;
  /** And what has no name of its own, by place. */
  readonly bits: { readonly mask: string; readonly value: string } | null;
}

/** A space as JSON: what it maps and how, not where its tables lie. */
export interface SpaceJson {
  readonly schema: typeof SPACE_SCHEMA;
  readonly format: string;
  readonly asid: number;
  /** Registers and facts of the machine; `null` for tables that were opened. */
  readonly control: Readonly<Record<string, string | number | boolean>> | null;
  readonly mappings: readonly MappingJson[];
}

/** A mapping that was read. */
export interface ReadMapping {
  readonly address: bigint;
  readonly bytes: bigint;
  readonly pageBytes: bigint;
  readonly options: PageOptions & { readonly physical: bigint };
  readonly contiguous: boolean;
}

/** What was read of a space's JSON. */
export interface ReadSpace {
  readonly format: SpaceFormat;
  readonly asid: number;
  readonly control: KnownControl;
  readonly mappings: readonly ReadMapping[];
}

/** Pages that are alike. */
interface Run {
  readonly page: number;
  end: number;
  readonly frame: number;
  readonly order: number;
  readonly low: number;
  readonly high: number;
  readonly contiguous: boolean;
}

/**
 * What a space maps, as JSON. Rights that tables above take away are taken from the pages' own.
 *
 * @throws {@link PageTableError} `NOT_IN_MEMORY` if a table is missing; `LIMIT_EXCEEDED` above 1,048,576 mappings
 */
export function spaceJson(
  halves: readonly { readonly tree: Tree; readonly attributes: AttributeEncoder }[],
  control: Control | undefined,
  asid: number,
): SpaceJson {
  return {
    schema: SPACE_SCHEMA,
    format: halves[0].tree.paging.format.fact.name,
    asid,
    control: control === undefined ? null : controlJson(control),
    mappings: halves.flatMap(({ tree, attributes }) =>
      runsOf(tree).map((run) => mappingJson(run, attributes.describe(run.low, run.high))),
    ),
  };
}

function controlJson(control: Control): Record<string, string | number | boolean> {
  const json: Record<string, string | number | boolean> = {};
  for (const [name, value] of Object.entries(control)) {
    // Registers are bigints, all else is a number or a boolean.
    if (value !== undefined) json[name] = typeof value === 'bigint' ? hex64(value) : value;
  }
  return json;
}

function mappingJson({ page, end, frame, order, contiguous }: Run, said: PageDescription): MappingJson {
  const { accessed, dirty, bits, ...words } = said;
  return {
    address: hex64(addressOf(page)),
    bytes: hex(addressOf(end - page)),
    physical: hex64(addressOf(frame)),
    pageBytes: hex(1n << BigInt(order + 12)),
    contiguous,
    ...words,
    accessed: accessed ?? null,
    dirty: dirty ?? null,
    bits: bits === undefined ? null : { mask: hex(bits.mask), value: hex(bits.value) },
  };
}

function runsOf({ memory, paging, encoder, masks }: Tree): Run[] {
  const runs: Run[] = [];
  const cursor = new Cursor(memory, paging);
  let last: Run | undefined;
  for (let event = cursor.next(); event !== DONE; event = cursor.next()) {
    if (event === MISSING) {
      throw new PageTableError(
        'NOT_IN_MEMORY',
        `space JSON: the table at ${hex(addressOf(cursor.frame))} is not in memory; expected all tables there`,
        { table: addressOf(cursor.frame) },
      );
    }
    if (event !== PAGE) continue;
    const { page, order, frame, depth } = cursor;
    encoder.attributesOf(depth, cursor.low, cursor.high);
    let { low, high } = encoder;
    for (const limit of masks.limits) {
      const isTaken = (limit.low !== 0 && (cursor.and & limit.low) === 0) || (cursor.or & limit.high) !== 0;
      if (!isTaken) continue;
      low = (low & ~limit.clearLow) | limit.setLow;
      high = (high & ~limit.clearHigh) | limit.setHigh;
    }
    const contiguous = groupOrder(paging.format.facts, depth, cursor.high) !== 0;
    const goesOn =
      last !== undefined &&
      last.end === page &&
      last.order === order &&
      frame - last.frame === page - last.page &&
      last.low === low &&
      last.high === high &&
      last.contiguous === contiguous;
    if (goesOn && last !== undefined) {
      last.end = page + 2 ** order;
      continue;
    }
    if (runs.length === MOST_MAPPINGS) {
      throw new PageTableError(
        'LIMIT_EXCEEDED',
        `space JSON: more than ${MOST_MAPPINGS} mappings; expected fewer, and no tables that lead back to themselves`,
        { mappings: MOST_MAPPINGS },
      );
    }
    last = { page, end: page + 2 ** order, frame, order, low, high, contiguous };
    runs.push(last);
  }
  return runs;
}

/**
 * Reads a space's JSON; what its words mean in the format is not looked at yet.
 *
 * @throws {@link PageTableError} `BAD_ARGUMENT`; `MISALIGNED`; `LIMIT_EXCEEDED` above 1,048,576 mappings
 */
export function readSpaceJson(json: unknown): ReadSpace {
  const reader = new JsonReader('space JSON');
  const top = reader.object('it', json, ['schema', 'format', 'asid', 'control', 'mappings']);
  reader.text('schema', top.schema, [SPACE_SCHEMA]);
  const format = reader.text('format', top.format, SPACE_FORMATS);
  const asid = reader.count('asid', top.asid, 2 ** 16);
  const mappings = reader.list('mappings', top.mappings, MOST_MAPPINGS);
  return {
    format,
    asid,
    control: top.control === null ? {} : readControl(reader, format, top.control),
    mappings: mappings.map((one, i) => readMapping(reader, `mappings[${i}]`, one)),
  };
}

/** Registers by the names and kinds that the format's have. */
function readControl(reader: JsonReader, format: SpaceFormat, json: unknown): KnownControl {
  const kind = spaceKind(format);
  const known = kind.machine({}, Array<number>(kind.roots).fill(0), 0).control;
  const kinds = new Map<string, string>(Object.entries(known).map(([name, value]) => [name, typeof value]));
  const given = Object.entries(reader.object('control', json, [...kinds.keys()]));
  const read = given.map(([name, value]): [string, unknown] => {
    const place = `control.${name}`;
    if (kinds.get(name) === 'bigint') return [name, reader.wide(place, value)];
    if (kinds.get(name) === 'number') return [name, reader.count(place, value, 2 ** 32)];
    return [name, reader.boolean(place, value)];
  });
  // Names and kinds are those of the format's control state.
  return Object.fromEntries(read) as KnownControl;
}

function readMapping(reader: JsonReader, place: string, json: unknown): ReadMapping {
  const one = reader.object(place, json, FIELDS);
  const wide = (name: 'address' | 'bytes' | 'physical' | 'pageBytes') =>
    reader.wide(`${place}.${name}`, one[name]);
  const boolean = (name: (typeof FIELDS)[number]) => reader.boolean(`${place}.${name}`, one[name]);
  const mark = (name: 'accessed' | 'dirty') => (one[name] === null ? {} : { [name]: boolean(name) });
  const [address, bytes, physical, pageBytes] = (['address', 'bytes', 'physical', 'pageBytes'] as const).map(
    wide,
  );
  const isPage = pageBytes >= 0x1000n && (pageBytes & (pageBytes - 1n)) === 0n;
  if (!isPage) reader.refuse(`${place}.pageBytes`, 'a power of two from 0x1000 on', one.pageBytes);
  if (bytes === 0n || (address | bytes | physical) & (pageBytes - 1n)) {
    throw new PageTableError(
      'MISALIGNED',
      `space JSON: ${place}: ${hex(bytes)} bytes from ${hex(address)} to ${hex(physical)}; expected multiples of its pages' ${hex(pageBytes)} bytes`,
      { address, bytes, physical },
    );
  }
  const fields = Object.entries(reader.object(`${place}.fields`, one.fields));
  const bits = one.bits === null ? undefined : reader.object(`${place}.bits`, one.bits, ['mask', 'value']);
  return {
    address,
    bytes,
    pageBytes,
    contiguous: boolean('contiguous'),
    options: {
      physical,
      rights: reader.text(`${place}.rights`, one.rights, ALL_RIGHTS),
      user: boolean('user'),
      type: reader.text(`${place}.type`, one.type),
      global: boolean('global'),
      ...mark('accessed'),
      ...mark('dirty'),
      fields: Object.fromEntries(
        fields.map(([name, value]) => [name, reader.count(`${place}.fields.${name}`, value, 2 ** 32)]),
      ),
      ...(bits === undefined
        ? {}
        : {
            bits: {
              mask: reader.wide(`${place}.bits.mask`, bits.mask),
              value: reader.wide(`${place}.bits.value`, bits.value),
            },
          }),
    },
  };
}
