/**
 * What a format's data table looks like. One table per format holds every field of every level; all code that decodes,
 * checks or explains entries reads it there.
 */

/** What a field does, for code; its name is for people. */
export type FieldRole =
  | 'present'
  | 'read'
  | 'write'
  | 'execute'
  | 'read-only'
  | 'write-disable'
  | 'user'
  | 'user-disable'
  | 'execute-disable'
  | 'privileged-execute-disable'
  | 'write-through'
  | 'cache-disable'
  | 'accessed'
  | 'dirty'
  | 'dirty-modifier'
  | 'page-size'
  | 'pat'
  | 'attribute-index'
  | 'memory-type'
  | 'shareability'
  | 'contiguous'
  | 'global'
  | 'not-global'
  | 'protection-key'
  | 'address'
  | 'address-high'
  | 'ignored'
  | 'reserved';

/**
 * A bit position: a number, or one that follows from the machine. `M` is the number of physical-address bits; `P` the
 * number of them that a 4-MiB page can use.
 */
export type Bound = number | { readonly of: 'M' | 'P'; readonly plus: number };

/** One field of one kind of entry, as the manual gives it. */
export interface FieldFact {
  /** The manual's name: `R/W`, `XD`. */
  readonly name: string;
  readonly high: Bound;
  readonly low: Bound;
  readonly role: FieldRole;
  /** Of an address: which of its bits the lowest bit of the field is; its own place where not given. */
  readonly addressLow?: number;
  /** What it means, in a few words; or what each of its values means, in order. */
  readonly meaning: string | readonly string[];
  /** The value with which a bit takes a right from everything that the entry leads to, and the right, in words. */
  readonly takes?: readonly [value: 0 | 1, what: string];
  /** Names of the control states under which the field is this; without one of them it is `otherwise`. */
  readonly when?: readonly string[];
  /** What the bits are where no state of `when` holds. */
  readonly otherwise?: 'ignored' | 'reserved';
}

/** A combination of bits that no valid entry has. */
export interface ReservedCode {
  /** The bits that are set in it. */
  readonly set: readonly number[];
  /** Bits below 32 that then must hold a value; not given, no entry with those bits set is valid. */
  readonly needs?: { readonly high: number; readonly low: number; readonly value: number };
  /** What is reserved, in words. */
  readonly text: string;
}

/** One kind of entry that a table can hold. */
export interface EntryFact {
  /** What a present entry of this kind leads to. */
  readonly leads: 'table' | 'page';
  /** For a page: `log2` of its bytes. */
  readonly pageShift?: number;
  /** For a page: entries in a contiguous group. */
  readonly contiguous?: number;
  /** Lowest bits of the address field of entries in a contiguous group: a code, for which the virtual address stands. */
  readonly groupCode?: { readonly high: number; readonly low: number; readonly value: number };
  /** What no entry of this kind may hold, besides the bits that are reserved. At most three. */
  readonly reserved?: readonly ReservedCode[];
  /** Why every entry of this kind is reserved, where it is. */
  readonly invalid?: string;
  /** Value of the bits of role `page-size` that select this kind, where there is more than one kind. */
  readonly pageSize?: 0 | 1;
  /** Control states of which one must hold for this kind to exist. */
  readonly when?: readonly string[];
  readonly fields: readonly FieldFact[];
  /** Manual and section. */
  readonly source: string;
}

/** One level of tables. */
export interface LevelFact {
  /** The manual's name of the table, for example `page directory`. */
  readonly table: string;
  /** The manual's name of its entries, for example `PDE`. */
  readonly entry: string;
  /** Highest and lowest bit of the linear address that select the entry. */
  readonly indexHigh: number;
  readonly indexLow: number;
  /** Kinds of present entries; the first whose conditions hold is the one. */
  readonly entries: readonly EntryFact[];
}

/** One page-table format. */
export interface FormatFact {
  /** Name by which users choose it: `4-level`. */
  readonly name: string;
  /** Full name, for people. */
  readonly title: string;
  /** What machines it is of. */
  readonly architecture: 'x86' | 'aarch64' | 'riscv';
  readonly entryBytes: 4 | 8;
  /** Width of a linear address that the tables translate. */
  readonly vaBits: number;
  /** Width of the widest physical address that entries can hold; 52 where not given. */
  readonly physBits?: number;
  /** Whether the bits above `vaBits` repeat its top bit (canonical addresses), or do not exist. */
  readonly signExtended: boolean;
  /** Whether the bits above `vaBits` are all 1 instead: one of two halves, each with a root of its own. */
  readonly upper?: boolean;
  /** The manual's names of the two privileges: of applications, and of the kernel. */
  readonly privileges: readonly [user: string, supervisor: string];
  /** Root first. */
  readonly levels: readonly LevelFact[];
  readonly source: string;
}

/** A field with its place known: what {@link FieldFact} becomes on a given machine. */
export interface Field {
  readonly name: string;
  readonly high: number;
  readonly low: number;
  readonly role: FieldRole;
  readonly addressLow?: number;
  readonly meaning: string | readonly string[];
  readonly takes?: readonly [value: 0 | 1, what: string];
}

/** What of a machine decides how entries are read. */
export interface FormatState {
  /** Physical-address bits: from 32 to what the format can hold. */
  readonly M: number;
  /** Physical-address bits that a 4-MiB page can use, in `[32, 40]`. */
  readonly P: number;
  /** Control states that hold, by the names used in the tables: `EFER.NXE`. */
  readonly states: ReadonlySet<string>;
  /** Whose addresses have a tag in bits 63:56, which is passed over: bit 55 stands for them. */
  readonly tagged?: 'all' | 'data';
}

/** The fields of an entry on a given machine, highest bits first. Fields that have no bits there are left out. */
export function fieldsOf(entry: EntryFact, state: FormatState): Field[] {
  const fields: Field[] = [];
  for (const fact of entry.fields) {
    const high = bit(fact.high, state);
    const low = bit(fact.low, state);
    if (high < low) continue;
    const holds = fact.when === undefined || fact.when.some((name) => state.states.has(name));
    fields.push(
      holds
        ? {
            name: fact.name,
            high,
            low,
            role: fact.role,
            meaning: fact.meaning,
            ...(fact.addressLow === undefined ? {} : { addressLow: fact.addressLow }),
            ...(fact.takes === undefined ? {} : { takes: fact.takes }),
          }
        : {
            name: fact.name,
            high,
            low,
            role: fact.otherwise ?? 'ignored',
            meaning: `${fact.otherwise ?? 'ignored'} unless ${fact.when?.join(' or ')}`,
          },
    );
  }
  return fields.sort((a, b) => b.high - a.high);
}

/** The physical address that a field of role `address` holds. */
export function addressIn(field: Pick<Field, 'low' | 'addressLow'>, value: bigint): bigint {
  return value << BigInt(field.addressLow ?? field.low);
}

/** Whether a kind of entry exists on a given machine. */
export function exists(entry: EntryFact, state: FormatState): boolean {
  return entry.when === undefined || entry.when.some((name) => state.states.has(name));
}

function bit(bound: Bound, state: FormatState): number {
  return typeof bound === 'number' ? bound : state[bound.of] + bound.plus;
}
