import { PageTableError } from '../bits/index.ts';
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
  /** More fields of the entry, by the names that the manual gives them: `{ PK: 3 }`. */
  readonly fields?: Readonly<Record<string, number>>;
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
}

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

/** Turns {@link PageOptions} into bits of one format under given control state. */
export class AttributeEncoder {
  private readonly paging: Paging;
  private readonly format: CompiledFormat;
  private readonly fields: readonly Field[];
  private readonly last: number;
  // Who changes pages one by one asks the same again and again.
  private lastBits: Known<AttributeBits> | undefined;
  private lastChange: Known<AttributeChange> | undefined;

  constructor(paging: Paging, encoder: EntryEncoder) {
    this.paging = paging;
    this.format = paging.format;
    this.last = paging.format.levels - 1;
    const page = encoder.levels[this.last].page;
    this.fields = page === undefined ? [] : fieldsOf(page, paging.format.state);
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
    const parts = [
      this.rights(operation, rights, user),
      this.type(operation, type),
      this.global(global),
      options.accessed === false ? NOTHING : this.maskOf('accessed'),
      (options.dirty ?? rights.includes('w')) ? this.dirty() : NOTHING,
      'SH' in fields ? NOTHING : this.value('shareability', INNER_SHAREABLE),
      ...Object.entries(fields).map(([name, value]) => this.field(operation, name, value)),
    ];
    const result = parts.reduce(join, NOTHING);
    this.lastBits = known(options, result);
    return result;
  }

  /**
   * The change that gives pages some attributes and leaves the others.
   *
   * @throws {@link PageTableError} as {@link bits}
   */
  change(operation: Described, options: Partial<PageOptions>): AttributeChange {
    if (this.lastChange !== undefined && isKnown(this.lastChange, options)) return this.lastChange.result;
    const { rights, user, type, global, accessed, dirty, fields = {} } = options;
    const clear: AttributeBits[] = [];
    const set: AttributeBits[] = [];
    if (rights !== undefined) {
      clear.push(this.maskOf(...RIGHTS_ROLES));
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
    for (const [name, value] of Object.entries(fields)) {
      const { high, low } = this.named(operation, name);
      clear.push(place(2n ** BigInt(high - low + 1) - 1n, low));
      set.push(this.field(operation, name, value));
    }
    const result = { clear: clear.reduce(join, NOTHING), set: set.reduce(join, NOTHING) };
    this.lastChange = known(options, result);
    return result;
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
    const has = (role: FieldRole) => this.fields.some((field) => field.role === role);
    const title = this.format.fact.title;
    const refuse = (why: string): never => {
      throw new PageTableError('NOT_REPRESENTABLE', `${operation}: rights ${rights}: ${title} ${why}`, {
        rights,
      });
    };
    if (!reads && !has('read')) refuse('has no pages that cannot be read; expected r with them');
    if (writes && !reads) refuse('has no pages that can be written and not read; expected r with w');
    if (!executes && !has('execute') && !has('execute-disable')) {
      refuse('cannot refuse fetches here (no XD bit); expected rights with x');
    }
    const bit = (role: FieldRole, value: boolean) => (value ? this.maskOf(role) : NOTHING);
    const privileged = has('privileged-execute-disable');
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
    // Without a choice, the machine itself knows what lies where.
    if (codes.length === 1 && wanted in COMMON_TYPES) return NOTHING;
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
    const own = this.fields.filter(({ role }) => !STRUCTURE_ROLES.includes(role));
    const field = own.find((one) => one.name === name);
    if (field !== undefined) return field;
    const names = [...new Set(own.map((one) => one.name))].join(', ');
    throw new PageTableError(
      'BAD_ARGUMENT',
      `${operation}: ${this.format.fact.title} has no field ${name} that can be given; expected one of ${names}`,
    );
  }

  private value(role: FieldRole, value: number): AttributeBits {
    const field = this.fields.find((one) => one.role === role);
    return field === undefined ? NOTHING : place(BigInt(value), field.low);
  }

  private maskOf(...roles: FieldRole[]): AttributeBits {
    return this.fields
      .filter(({ role }) => roles.includes(role))
      .map(({ high, low }) => place(2n ** BigInt(high - low + 1) - 1n, low))
      .reduce(join, NOTHING);
  }
}

function known<T>(options: Partial<PageOptions>, result: T): Known<T> {
  const { rights, user, type, global, accessed, dirty, fields } = options;
  return { rights, user, type, global, accessed, dirty, fields, result };
}

/** Whether options without further fields are those of the last time. */
function isKnown(last: Known<unknown>, options: Partial<PageOptions>): boolean {
  return (
    last.fields === undefined &&
    options.fields === undefined &&
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

function join(a: AttributeBits, b: AttributeBits): AttributeBits {
  return { low: a.low | b.low, high: a.high | b.high };
}
