import { hex, joinHalves, PageTableError } from '../bits/index.ts';
import {
  type CompiledFormat,
  type EntryEncoder,
  type Field,
  type FieldRole,
  fieldsOf,
  type Paging,
} from '../format/index.ts';

/** What may be done with a page: `r` reads, `w` writes, `x` fetches. */
export type Rights = 'r' | 'rw' | 'rx' | 'rwx' | 'x';

/**
 * How pages are mapped, in words that all formats share.
 *
 * What is not given is: for the kernel only, write-back memory, not global, used and (if writable) written to already, so that
 * neither hardware nor a handler need mark it.
 */
export interface PageOptions {
  /** What the privilege that the page is for may do. A format that cannot say it refuses. */
  readonly rights: Rights;
  /** Whether the page is for applications. What the kernel may do with it then follows from format and control registers. */
  readonly user?: boolean;
  /**
   * `write-back`, `write-through`, `non-cacheable` or `device`; or a name by which lists show a memory type: `WC`, `Device-nGRE`.
   */
  readonly type?: string;
  /** Whether the translation is the same in all address spaces. */
  readonly global?: boolean;
  /** Whether it is marked as used. */
  readonly accessed?: boolean;
  /** Whether it is marked as written to. */
  readonly dirty?: boolean;
  /** More fields of the entry, by the names that the manual gives them: `{ PK: 3 }`. They go before what the words above say. */
  readonly fields?: Readonly<Record<string, number>>;
  /** Bits by their places in an entry of the last level, where no name says them. They go before all else. */
  readonly bits?: RawBits;
}

/** Bits of an entry, by their places. */
export interface RawBits {
  /** Which bits are given; none of those that say what the entry is, and where it leads. */
  readonly mask: bigint;
  /** What they are. */
  readonly value: bigint;
}

/** What {@link PageOptions} an entry has; with them, {@link AttributeEncoder.bits} gives the same bits. */
export interface PageDescription {
  readonly rights: Rights;
  readonly user: boolean;
  readonly type: string;
  readonly global: boolean;
  /** `undefined` where the format has no such bit. */
  readonly accessed: boolean | undefined;
  readonly dirty: boolean | undefined;
  /** What the words do not say, by name; and by place, where there is none. */
  readonly fields: Readonly<Record<string, number>>;
  readonly bits: RawBits | undefined;
}

/** Attribute bits of an entry of the last level. */
export interface AttributeBits {
  readonly low: number;
  readonly high: number;
}

/** A change of attributes: bits that are cleared, then bits that are set. */
export interface AttributeChange {
  readonly clear: AttributeBits;
  readonly set: AttributeBits;
  /** The same for pages of applications, where it differs: `clear` and `set` are then for those of the kernel. */
  readonly users?: { readonly clear: AttributeBits; readonly set: AttributeBits };
}

/** Names by which lists show codes that are no memory type. */
const NO_TYPES: readonly string[] = ['reserved', 'unpredictable'];

/** Names of memory types that stand for each common one, best first. */
const COMMON_TYPES: Readonly<Record<string, readonly string[]>> = {
  'write-back': ['WB', 'PMA'],
  'write-through': ['WT'],
  'non-cacheable': ['NC', 'WC', 'UC-', 'UC'],
  device: ['Device-nGnRE', 'Device-nGnRnE', 'UC', 'IO'],
};

/** Roles of the bits that choose a memory type. */
export const TYPE_ROLES: readonly FieldRole[] = [
  'write-through',
  'cache-disable',
  'pat',
  'attribute-index',
  'memory-type',
];
/** Roles of the bits that give and refuse rights. */
export const RIGHTS_ROLES: readonly FieldRole[] = [
  'read',
  'write',
  'execute',
  'user',
  'read-only',
  'execute-disable',
  'privileged-execute-disable',
  'dirty-modifier',
];
/** What only a page table's editor may write. */
const STRUCTURE_ROLES: readonly FieldRole[] = [
  'present',
  'page-size',
  'address',
  'address-high',
  'contiguous',
  'reserved',
];
/** SH of memory that processors share. */
const INNER_SHAREABLE = 3;

const NOTHING: AttributeBits = { low: 0, high: 0 };

/** What is being done, in words that are put together only where they are needed. */
export interface Described {
  toString(): string;
}

/** Options without further fields, and what was worked out of them. */
type Known<T> = {
  readonly [Name in keyof PageOptions]: PageOptions[Name] | undefined;
} & { readonly result: T };

/** Descriptions that an encoder remembers. */
const MOST_KNOWN = 1024;

/** All that can be asked for. */
export const ALL_RIGHTS: readonly Rights[] = ['r', 'rw', 'rx', 'rwx', 'x'];

/** Turns {@link PageOptions} into bits of one format under given control state. */
export class AttributeEncoder {
  private readonly paging: Paging;
  private readonly format: CompiledFormat;
  private readonly fields: readonly Field[];
  private readonly last: number;
  // Who changes pages one by one asks the same again and again.
  private lastBits: Known<AttributeBits> | undefined;
  private lastChange: Known<AttributeChange> | undefined;
  /** The bits that attributes are made of. */
  private readonly own: AttributeBits;
  private readonly words = new Map<string, AttributeBits>();
  private readonly known = new Map<string, PageDescription>();

  constructor(paging: Paging, encoder: EntryEncoder) {
    this.paging = paging;
    this.format = paging.format;
    this.last = paging.format.levels - 1;
    const page = encoder.levels[this.last].page;
    this.fields = page === undefined ? [] : fieldsOf(page, paging.format.state);
    const { attributeLow, attributeHigh } = encoder.levels[this.last];
    this.own = { low: attributeLow, high: attributeHigh };
  }

  /**
   * The bits of a page.
   *
   * @param operation - what is being done, for messages
   * @throws {@link PageTableError} `NOT_REPRESENTABLE` if the format cannot say it under its control state; `BAD_ARGUMENT` for
   *   rights, types or fields that there are not
   */
  bits(operation: Described, options: PageOptions): AttributeBits {
    if (this.lastBits !== undefined && isKnown(this.lastBits, options)) return this.lastBits.result;
    const { rights, user = false, type = 'write-back', global = false, fields = {} } = options;
    const words = [
      this.rights(operation, rights, user),
      this.type(operation, type),
      this.global(global),
      options.accessed === false ? NOTHING : this.maskOf('accessed'),
      (options.dirty ?? rights.includes('w')) ? this.dirty() : NOTHING,
      this.value('shareability', INNER_SHAREABLE),
    ].reduce(join, NOTHING);
    const named = Object.entries(fields).reduce(
      (bits, [name, value]) =>
        replace(bits, this.maskNamed(operation, name), this.field(operation, name, value)),
      words,
    );
    const raw = this.raw(operation, options.bits);
    const result = replace(named, raw.clear, raw.set);
    this.lastBits = known(options, result);
    return result;
  }

  /**
   * The opposite of {@link bits}: what gives those bits.
   *
   * @param low - attributes of a page, in the form of an entry of the last level
   * @param high - bits 63:32 of them
   */
  describe(low: number, high: number): PageDescription {
    const key = `${low},${high}`;
    const known = this.known.get(key);
    if (known !== undefined) return known;
    const { rights, user } = this.rightsOf(low, high);
    const has = (role: FieldRole) => {
      const mask = this.maskOf(role);
      return (mask.low | mask.high) === 0 ? undefined : ((low & mask.low) | (high & mask.high)) !== 0;
    };
    const words = {
      rights,
      user,
      type: this.paging.memoryType(this.last, low, high).name,
      global: has('global') ?? has('not-global') === false,
      accessed: has('accessed'),
      dirty: has('dirty'),
    };
    const { accessed, dirty, ...rest } = words;
    const marks = {
      ...(accessed === undefined ? {} : { accessed }),
      ...(dirty === undefined ? {} : { dirty }),
    };
    const said = this.bits('describe', { ...rest, ...marks });
    const fields: Record<string, number> = {};
    let mask = wide({ low: (said.low ^ low) & this.own.low, high: (said.high ^ high) & this.own.high });
    const value = wide({ low: low & this.own.low, high: high & this.own.high });
    const own = this.nameable();
    for (const field of own) {
      const place = wide(fieldMask(field));
      if ((mask & place) === 0n || own.some((one) => one !== field && one.name === field.name)) continue;
      // At most 32 bits wide: no attribute is wider.
      fields[field.name] = Number((value & place) >> BigInt(field.low));
      mask &= ~place;
    }
    const description = { ...words, fields, bits: mask === 0n ? undefined : { mask, value: value & mask } };
    if (this.known.size < MOST_KNOWN) this.known.set(key, description);
    return description;
  }

  /** Names of the fields in which two attributes differ; marks of use do not count. */
  differences(low: number, high: number, otherLow: number, otherHigh: number): string[] {
    const marks = this.marks();
    const different = wide({ low: (low ^ otherLow) & ~marks.low, high: (high ^ otherHigh) & ~marks.high });
    return this.nameable()
      .filter((field) => (wide(fieldMask(field)) & different) !== 0n)
      .map(({ name }) => name);
  }

  /** The words that come nearest to the rights bits of an entry. */
  private rightsOf(low: number, high: number): { rights: Rights; user: boolean } {
    const mask = this.maskOf(...RIGHTS_ROLES);
    let best: { rights: Rights; user: boolean } = { rights: 'r', user: false };
    let least = Number.POSITIVE_INFINITY;
    for (const user of [false, true]) {
      for (const rights of ALL_RIGHTS) {
        if (this.refusal(rights) !== undefined) continue;
        const key = `${rights} ${user}`;
        const bits = this.words.get(key) ?? this.rights('describe', rights, user);
        this.words.set(key, bits);
        const distance = ones((bits.low ^ low) & mask.low) + ones((bits.high ^ high) & mask.high);
        if (distance < least) {
          least = distance;
          best = { rights, user };
        }
      }
    }
    return best;
  }

  /**
   * The change that gives pages some attributes and leaves the others. Rights without `user` are given to whom a page is for.
   *
   * @throws {@link PageTableError} as {@link bits}
   */
  change(operation: Described, options: Partial<PageOptions>): AttributeChange {
    if (this.lastChange !== undefined && isKnown(this.lastChange, options)) return this.lastChange.result;
    const { rights, user, type, global, accessed, dirty, fields = {} } = options;
    const clear: AttributeBits[] = [];
    const set: AttributeBits[] = [];
    if (rights !== undefined) {
      const roles = user === undefined ? RIGHTS_ROLES.filter((role) => role !== 'user') : RIGHTS_ROLES;
      clear.push(this.maskOf(...roles));
      set.push(this.rights(operation, rights, user ?? false));
      // Where hardware does not mark pages as written to, one that was read-only would fault for ever.
      if (rights.includes('w') && dirty !== false) set.push(this.dirty());
    } else if (user !== undefined) {
      throw new PageTableError(
        'BAD_ARGUMENT',
        `${operation}: user is given without rights; expected both, since what an entry refuses depends on both`,
      );
    }
    if (type !== undefined) {
      clear.push(this.maskOf(...TYPE_ROLES));
      set.push(this.type(operation, type));
    }
    if (global !== undefined) {
      clear.push(this.maskOf('global', 'not-global'));
      set.push(this.global(global));
    }
    if (accessed !== undefined) {
      clear.push(this.maskOf('accessed'));
      if (accessed) set.push(this.maskOf('accessed'));
    }
    if (dirty !== undefined) {
      clear.push(this.dirty());
      if (dirty) set.push(this.dirty());
    }
    let all = set.reduce(join, NOTHING);
    for (const [name, value] of Object.entries(fields)) {
      const mask = this.maskNamed(operation, name);
      clear.push(mask);
      all = replace(all, mask, this.field(operation, name, value));
    }
    const raw = this.raw(operation, options.bits);
    clear.push(raw.clear);
    const result = { clear: clear.reduce(join, NOTHING), set: replace(all, raw.clear, raw.set) };
    if (rights === undefined || user !== undefined) {
      this.lastChange = known(options, result);
      return result;
    }
    const { clear: usersClear, set: usersSet } = this.change(operation, { ...options, user: true });
    const mask = this.maskOf('user');
    const users = {
      clear: { low: usersClear.low & ~mask.low, high: usersClear.high & ~mask.high },
      set: { low: usersSet.low & ~mask.low, high: usersSet.high & ~mask.high },
    };
    const isSame = users.set.low === result.set.low && users.set.high === result.set.high;
    const both: AttributeChange = isSame ? result : { ...result, users };
    this.lastChange = known(options, both);
    return both;
  }

  /** Bits that hardware sets by itself: accessed, dirty. */
  marks(): AttributeBits {
    return join(this.maskOf('accessed'), this.dirty());
  }

  private rights(operation: Described, rights: Rights, user: boolean): AttributeBits {
    if (!/^(r?w?x?)$/.test(rights) || rights.length === 0) {
      throw new PageTableError(
        'BAD_ARGUMENT',
        `${operation}: rights ${JSON.stringify(rights)}; expected r, rw, rx, rwx or x`,
      );
    }
    const [reads, writes, executes] = ['r', 'w', 'x'].map((right) => rights.includes(right));
    const why = this.refusal(rights);
    if (why !== undefined) {
      const { title } = this.format.fact;
      throw new PageTableError('NOT_REPRESENTABLE', `${operation}: rights ${rights}: ${title} ${why}`, {
        rights,
      });
    }
    const bit = (role: FieldRole, value: boolean) => (value ? this.maskOf(role) : NOTHING);
    const privileged = this.has('privileged-execute-disable');
    return [
      bit('read', reads),
      bit('write', writes),
      bit('read-only', !writes),
      bit('execute', executes),
      // Where both privileges have a bit, the other one never executes the page.
      bit('execute-disable', privileged ? !(executes && user) : !executes),
      bit('privileged-execute-disable', !(executes && !user)),
      bit('user', user),
    ].reduce(join, NOTHING);
  }

  /** Why the format cannot say some rights; `undefined` if it can. */
  private refusal(rights: Rights): string | undefined {
    const [reads, writes, executes] = ['r', 'w', 'x'].map((right) => rights.includes(right));
    if (!reads && !this.has('read')) return 'has no pages that cannot be read; expected r with them';
    if (writes && !reads) return 'has no pages that can be written and not read; expected r with w';
    if (!executes && !this.has('execute') && !this.has('execute-disable')) {
      return 'cannot refuse fetches here (no XD bit); expected rights with x';
    }
    return undefined;
  }

  private has(role: FieldRole): boolean {
    return this.fields.some((field) => field.role === role);
  }

  private type(operation: Described, wanted: string): AttributeBits {
    const fields = this.fields.filter(({ role }) => TYPE_ROLES.includes(role)).sort((a, b) => a.low - b.low);
    const width = fields.reduce((bits, { high, low }) => bits + high - low + 1, 0);
    const codes = Array.from({ length: 2 ** width }, (_, index) => {
      let rest = BigInt(index);
      let bits = NOTHING;
      for (const { high, low } of fields) {
        const size = BigInt(high - low + 1);
        bits = join(bits, place(rest & (2n ** size - 1n), low));
        rest >>= size;
      }
      return { bits, name: this.paging.memoryType(this.last, bits.low, bits.high).name };
    });
    // Codes that mean nothing.
    for (let i = codes.length - 1; i >= 0; i -= 1) if (NO_TYPES.includes(codes[i].name)) codes.splice(i, 1);
    // Without a choice, the machine itself knows what lies where.
    if (codes.length === 1 && Object.hasOwn(COMMON_TYPES, wanted)) return NOTHING;
    const names = Object.hasOwn(COMMON_TYPES, wanted) ? COMMON_TYPES[wanted] : [wanted];
    for (const name of names) {
      const code = codes.find((one) => one.name === name);
      if (code !== undefined) return code.bits;
    }
    const known = [...new Set(codes.map(({ name }) => name))].join(', ');
    throw new PageTableError(
      'NOT_REPRESENTABLE',
      `${operation}: memory type ${wanted}: the machine has ${known}; expected one of these, or ` +
        `${Object.keys(COMMON_TYPES).join(', ')} where it has such a type`,
      { type: wanted },
    );
  }

  private global(global: boolean): AttributeBits {
    return global ? this.maskOf('global') : this.maskOf('not-global');
  }

  /** The bit that says that a page was written to, where one says it by being set. */
  private dirty(): AttributeBits {
    return this.maskOf('dirty');
  }

  private field(operation: Described, name: string, value: number): AttributeBits {
    const { high, low } = this.named(operation, name);
    const end = 2 ** (high - low + 1);
    if (!(Number.isInteger(value) && value >= 0 && value < end)) {
      throw new PageTableError(
        'OUT_OF_RANGE',
        `${operation}: field ${name} = ${value}; expected a whole number in [0, ${end}), bits ${high}:${low}`,
        { value },
      );
    }
    return place(BigInt(value), low);
  }

  private named(operation: Described, name: string): Field {
    const own = this.nameable();
    const field = own.find((one) => one.name === name);
    if (field !== undefined) return field;
    const names = [...new Set(own.map((one) => one.name))].join(', ');
    throw new PageTableError(
      'BAD_ARGUMENT',
      `${operation}: ${this.format.fact.title} has no field ${name} that can be given; expected one of ${names}`,
    );
  }

  private nameable(): Field[] {
    return this.fields.filter(({ role }) => !STRUCTURE_ROLES.includes(role));
  }

  private maskNamed(operation: Described, name: string): AttributeBits {
    return fieldMask(this.named(operation, name));
  }

  /** Bits that are given by their places, as a change. */
  private raw(operation: Described, raw: RawBits | undefined): AttributeChange {
    if (raw === undefined) return { clear: NOTHING, set: NOTHING };
    const { mask, value } = raw;
    const own = wide(this.own);
    const isFit = [mask, value].every((one) => typeof one === 'bigint' && one >= 0n && (one & ~own) === 0n);
    if (!isFit || (value & ~mask) !== 0n) {
      throw new PageTableError(
        'OUT_OF_RANGE',
        `${operation}: bits ${text(value)} of ${text(mask)}; expected bigints, a mask inside ${hex(own)}, which leaves out what an entry ` +
          'is and where it leads, and a value inside the mask',
      );
    }
    return { clear: place(mask, 0), set: place(value, 0) };
  }

  private value(role: FieldRole, value: number): AttributeBits {
    const field = this.fields.find((one) => one.role === role);
    return field === undefined ? NOTHING : place(BigInt(value), field.low);
  }

  private maskOf(...roles: FieldRole[]): AttributeBits {
    return this.fields
      .filter(({ role }) => roles.includes(role))
      .map(fieldMask)
      .reduce(join, NOTHING);
  }
}

function known<T>(options: Partial<PageOptions>, result: T): Known<T> {
  const { rights, user, type, global, accessed, dirty, fields, bits } = options;
  return { rights, user, type, global, accessed, dirty, fields, bits, result };
}

/** Whether options without further fields are those of the last time. */
function isKnown(last: Known<unknown>, options: Partial<PageOptions>): boolean {
  return (
    (last.fields ?? last.bits ?? options.fields ?? options.bits) === undefined &&
    last.rights === options.rights &&
    last.user === options.user &&
    last.type === options.type &&
    last.global === options.global &&
    last.accessed === options.accessed &&
    last.dirty === options.dirty
  );
}

function place(value: bigint, low: number): AttributeBits {
  const bits = value << BigInt(low);
  return { low: Number(BigInt.asIntN(32, bits)), high: Number(BigInt.asIntN(32, bits >> 32n)) };
}

function fieldMask({ high, low }: Field): AttributeBits {
  return place(2n ** BigInt(high - low + 1) - 1n, low);
}

function wide({ low, high }: AttributeBits): bigint {
  return joinHalves(low, high);
}

function text(value: unknown): string {
  return typeof value === 'bigint' ? hex(value) : String(value);
}

function ones(bits: number): number {
  let count = 0;
  for (let rest = bits; rest !== 0; rest &= rest - 1) count += 1;
  return count;
}

/** Bits with some of them replaced. */
function replace(bits: AttributeBits, mask: AttributeBits, value: AttributeBits): AttributeBits {
  return { low: (bits.low & ~mask.low) | value.low, high: (bits.high & ~mask.high) | value.high };
}

function join(a: AttributeBits, b: AttributeBits): AttributeBits {
  return { low: a.low | b.low, high: a.high | b.high };
}
