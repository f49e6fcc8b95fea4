import { addressOf, joinHalves, offsetOf, pageOf } from '../bits/index.ts';
import {
  ACCESSES,
  type Access,
  type AccessResult,
  addressIn,
  andRights,
  type Field,
  groupOrder,
  isGlobal,
  type MemoryType,
  orRights,
  type Paging,
  type WalkEnd,
} from '../format/index.ts';
import type { PhysicalMemory } from '../memory/index.ts';
import { type Step, tableAddress, Walker } from '../walk/index.ts';
import { decodeLinux, type LinuxEntry } from './linux.ts';
import { rightsBelow } from './page-bits.ts';

/** One field of an entry, with what it holds. */
export interface ExplainedField extends Field {
  readonly value: bigint;
  /** What this value means. */
  readonly text: string;
}

/** One level of a walk. */
export interface ExplainedLevel {
  readonly depth: number;
  /** The manual's names. */
  readonly table: string;
  readonly entry: string;
  readonly index: number;
  /** Physical byte address of the entry. */
  readonly address: bigint;
  readonly value: bigint;
  /** Halves of `value`. */
  readonly low: number;
  readonly high: number;
  /** What the entry is. `reserved`: present, with a bit set that must be 0. */
  readonly leads: 'table' | 'page' | 'nowhere' | 'reserved';
  /** Physical byte address of the next table or of the page. */
  readonly target: bigint | undefined;
  /** Highest bits first. For an entry that is not present, only the present bit means anything. */
  readonly fields: readonly ExplainedField[];
  /** Where the format's manual describes the entry. */
  readonly source: string;
  /** What this entry takes away from everything below it: `writes`, `user access`, `fetches`. */
  readonly removes: readonly string[];
  /**
   * Effective rights, the bits of `format/rights.ts`, that the entries down to and including this one leave possible: of an
   * entry that leads to a table those that some page below it could have, of one that maps a page its own, otherwise 0.
   */
  readonly rightsSoFar: number;
  /** True if the entry leads to the very root: a recursive entry. */
  readonly recursive: boolean;
}

/** What one kind of access gets. */
export interface ExplainedAccess {
  readonly access: Access;
  readonly result: AccessResult;
}

/** Everything that can be said of one address. */
export interface Explanation {
  readonly address: bigint;
  readonly format: string;
  /** Physical byte address of the root table. */
  readonly root: bigint;
  readonly end: WalkEnd;
  readonly levels: readonly ExplainedLevel[];
  /** Physical byte address, where it translates. */
  readonly physical: bigint | undefined;
  /** Bytes of the page, where it translates. */
  readonly pageBytes: bigint | undefined;
  /** Bytes of the contiguous group to which the page belongs, where it does. */
  readonly groupBytes: bigint | undefined;
  readonly memoryType: MemoryType | undefined;
  readonly global: boolean | undefined;
  /** Effective rights, the bits of `format/rights.ts`, where it translates. */
  readonly rights: number | undefined;
  readonly accesses: readonly ExplainedAccess[];
  /** Physical byte address of the table that is missing, where one is. */
  readonly missingTable: bigint | undefined;
  /** What the deciding entry would be if the kernel is Linux. */
  readonly linux: LinuxEntry | undefined;
}

/**
 * Follows one address through the tables and says what every entry does.
 *
 * @param address - linear byte address, 64 bits
 * @throws {@link PageTableError} `OUT_OF_RANGE` if `address` is negative or wider than 64 bits
 */
export function explain(memory: PhysicalMemory, paging: Paging, address: bigint): Explanation {
  const { fact, facts } = paging.format;
  const { end, steps, frame, pageShift } = new Walker(memory, paging).path(pageOf(address));
  const last = steps[steps.length - 1];
  const mapped = end === 'mapped' && frame !== undefined && pageShift !== undefined;
  // Frames are below 2^44: no shift of numbers.
  const page = mapped ? addressOf(frame - (frame % 2 ** (pageShift - 12))) : undefined;
  const group = mapped ? groupOrder(facts, last.depth, last.high) : 0;
  let and = -1;
  let or = 0;
  const levels = steps.map((step) => {
    const { depth, low, high } = step;
    const level = explainLevel(paging, step, step === last ? end : undefined, page);
    if (level.leads === 'page') return { ...level, rightsSoFar: paging.rights(and, or, low, high) };
    if (level.leads !== 'table') return { ...level, rightsSoFar: 0 };
    and = andRights(facts, depth, and, low);
    or = orRights(facts, depth, or, high);
    return { ...level, rightsSoFar: rightsBelow(paging, depth, and, or) };
  });
  return {
    address,
    format: fact.title,
    root: tableAddress(paging, 0, paging.root.frame),
    end,
    levels,
    physical: mapped ? addressOf(frame, offsetOf(address)) : undefined,
    pageBytes: mapped ? 1n << BigInt(pageShift) : undefined,
    groupBytes: group === 0 ? undefined : 1n << BigInt(group + 12),
    memoryType: mapped ? paging.memoryType(last.depth, last.low, last.high) : undefined,
    global: mapped ? isGlobal(facts, last.depth, last.low, and) : undefined,
    rights: mapped ? paging.rights(and, or, last.low, last.high) : undefined,
    accesses: ACCESSES.map((access) => {
      // Where only data may be tagged, such an address is out of range for a fetch.
      const isRefused = access.kind === 'fetch' && paging.format.state.tagged === 'data' && hasTag(address);
      return {
        access,
        result: paging.access(isRefused ? 'non-canonical' : end, steps, access, mapped ? frame : undefined),
      };
    }),
    missingTable:
      end === 'not-in-memory' && frame !== undefined ? tableAddress(paging, steps.length, frame) : undefined,
    linux: end === 'not-present' ? decodeLinux(fact, last.depth, last.low, last.high) : undefined,
  };
}

/** Whether bits 63:56 are not all as bit 55. */
function hasTag(address: bigint): boolean {
  return BigInt.asUintN(64, BigInt.asIntN(56, address)) !== address;
}

/**
 * @param end - how the walk ended, at the last step
 * @param page - physical byte address of the page, where there is one
 */
function explainLevel(
  paging: Paging,
  step: Step,
  end: WalkEnd | undefined,
  page: bigint | undefined,
): Omit<ExplainedLevel, 'rightsSoFar'> {
  const { fact } = paging.format;
  const level = fact.levels[step.depth];
  const value = joinHalves(step.low, step.high);
  const described = paging.describe(step);
  const absent = end === 'not-present';
  const faulty = end === 'reserved';
  const shown = absent ? described.fields.filter((field) => field.role === 'present') : described.fields;
  const fields = shown.map((field) => explainField(field, value));
  const used = absent || faulty ? [] : fields.toReversed();
  // Hardware makes such a page writable when it is written to.
  const yields = used.some(({ role, value }) => role === 'dirty-modifier' && value === 1n);
  const removes = used.flatMap(({ takes, value, role }) =>
    takes && value === BigInt(takes[0]) && !(yields && role === 'read-only') ? takes[1] : [],
  );
  const leads = absent ? 'nowhere' : faulty ? 'reserved' : described.entry.leads;
  const table = fields.reduce(
    (sum, field) => (field.role === 'address' ? sum | addressIn(field, field.value) : sum),
    0n,
  );
  const target = leads === 'table' ? table : leads === 'page' ? page : undefined;
  return {
    depth: step.depth,
    table: level.table,
    entry: level.entry,
    index: step.index,
    address: step.address,
    value,
    low: step.low,
    high: step.high,
    leads,
    target,
    fields,
    source: described.entry.source,
    removes,
    recursive: leads === 'table' && target === tableAddress(paging, 0, paging.root.frame),
  };
}

function explainField(field: Field, entry: bigint): ExplainedField {
  const value = (entry >> BigInt(field.low)) & ((1n << BigInt(field.high - field.low + 1)) - 1n);
  // A field with a meaning for each value has a few bits.
  const text = typeof field.meaning === 'string' ? field.meaning : (field.meaning[Number(value)] ?? '');
  return { ...field, value, text };
}
