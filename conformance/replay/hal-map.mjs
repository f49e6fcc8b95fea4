// The provided methods of tablewalk/hal-core's `Map`, over the mapper that the files were recorded with: a dictionary.

import { isDeepStrictEqual } from 'node:util';
import { PageTableError } from '../../dist/bits/index.js';
import { EmptyAlloc, Handle, PAddr, Map as PageMap, VAddr } from '../../dist/hal-core/index.js';
import { baseOf, isLastOfSpace, readPage, readSize } from './hal-values.mjs';
import { brief, hex, listOf, MalformedFile, u64 } from './values.mjs';

/** @typedef {Record<string, any>} Arguments */

/**
 * Each operation: its arguments, and the call, which gives the payload.
 *
 * @type {Record<string, { takes: readonly string[], call: (mapper: Dictionary, args: Arguments) => unknown }>}
 */
const OPERATIONS = {
  map_range: {
    takes: ['virt', 'phys'],
    call: (mapper, { virt, phys }) =>
      rangeMember(mapper.mapRange(virt, phys, (handle) => mapper.look(handle), new EmptyAlloc())),
  },
  unmap_range: {
    takes: ['virt'],
    call(mapper, { virt }) {
      mapper.unmapRange(virt);
      return true;
    },
  },
  identity_map: {
    takes: ['phys', 'setWritable', 'setExecutable'],
    call: (mapper, { phys, setWritable, setExecutable }) => {
      const handle = mapper.identityMap(phys, new EmptyAlloc());
      return baseOf(handle.setWritable(setWritable).setExecutable(setExecutable).commit());
    },
  },
  identity_map_range: {
    takes: ['phys'],
    call: (mapper, { phys }) =>
      rangeMember(mapper.identityMapRange(phys, (handle) => mapper.look(handle), new EmptyAlloc())),
  },
  flags_mut: {
    takes: ['virt', 'setWritable', 'setExecutable', 'setPresent'],
    call: (mapper, { virt, setWritable, setExecutable, setPresent }) => {
      const handle = mapper.flagsMut(virt).setWritable(setWritable);
      return baseOf(handle.setExecutable(setExecutable).setPresent(setPresent).commit());
    },
  },
};

/** @type {import('./sequence.mjs').System} */
export const halMap = {
  operations: Object.fromEntries(Object.entries(OPERATIONS).map(([name, { takes }]) => [name, takes])),
  outcomes: ['events'],
  deliberate: ['identity-map-range-works', 'last-page-is-yielded'],
  open() {
    const mapper = new Dictionary();
    /** @type {Entries} what was mapped before the last operation */
    let before = new Map();
    return {
      perform(operation) {
        const args = argumentsOf(operation);
        mapper.events = [];
        before = copyOf(mapper.entries);
        return { result: resultOf(() => OPERATIONS[operation.op].call(mapper, args)), events: mapper.events };
      },
      save() {},
      // What the setters did is not among the events: it is kept where these are as recorded, for the next checkpoint.
      follow(_, { events = [] }) {
        if (!isDeepStrictEqual(mapper.events, events)) restore(mapper, before, events);
      },
      checkpoint: () => ({ mapped: mappedMember(mapper.entries) }),
      deliberate(recorded, found) {
        if (recorded.op === 'identity_map_range') {
          return isIdentityMapped(recorded, found, before) ? { name: 'identity-map-range-works' } : undefined;
        }
        return isLastYielded(recorded, found, before) ? { name: 'last-page-is-yielded' } : undefined;
      },
    };
  },
};

/** @typedef {Map<bigint, Entry>} Entries - by virtual base */

/** What the mapper aborts with. */
class MapperAbort extends PageTableError {}

/** Keyed by base alone: it does not notice where pages of different sizes overlap. */
class Dictionary extends PageMap {
  /** @type {Entries} */
  entries = new Map();
  /** @type {unknown[][]} */
  events = [];

  /**
   * @override
   * @param {any} virt
   * @param {any} phys
   */
  mapPage(virt, phys) {
    const key = virt.baseAddr().asUsize();
    if (this.entries.has(key)) throw new MapperAbort('ALREADY_MAPPED', `${virt} is mapped`);
    const entry = new Entry(phys, this);
    this.entries.set(key, entry);
    this.events.push(['map', baseOf(virt), baseOf(phys), String(virt.size())]);
    return new Handle(virt, entry);
  }

  /**
   * @override
   * @param {any} virt
   */
  flagsMut(virt) {
    return new Handle(virt, this.#entryOf(virt));
  }

  /**
   * @override
   * @param {any} virt
   */
  unmap(virt) {
    const { phys } = this.#entryOf(virt);
    this.entries.delete(virt.baseAddr().asUsize());
    this.events.push(['unmap', baseOf(virt)]);
    return phys;
  }

  /** @param {any} handle - that a callback is given */
  look(handle) {
    const flags = [handle.isPresent(), handle.isWritable(), handle.isExecutable()];
    this.events.push(['callback', baseOf(handle.virtPage()), ...flags]);
  }

  /** @param {any} virt */
  #entryOf(virt) {
    const entry = this.entries.get(virt.baseAddr().asUsize());
    if (entry === undefined) throw new MapperAbort('NOT_MAPPED', `${virt} is not mapped`);
    return entry;
  }
}

/** An entry of the dictionary, with the flags that it has when it comes into being. */
class Entry {
  present = true;
  writable = false;
  executable = true;
  committed = false;
  #mapper;

  /**
   * @param {any} phys - the physical page
   * @param {Dictionary} mapper - told when it is committed
   */
  constructor(phys, mapper) {
    this.phys = phys;
    this.#mapper = mapper;
  }

  isPresent() {
    return this.present;
  }

  isWritable() {
    return this.writable;
  }

  isExecutable() {
    return this.executable;
  }

  /** @param {boolean} present */
  setPresent(present) {
    this.present = present;
  }

  /** @param {boolean} writable */
  setWritable(writable) {
    this.writable = writable;
  }

  /** @param {boolean} executable */
  setExecutable(executable) {
    this.executable = executable;
  }

  /** @param {any} page */
  commit(page) {
    this.committed = true;
    this.#mapper.events.push(['commit', baseOf(page)]);
  }

  copy() {
    return Object.assign(new Entry(this.phys, this.#mapper), this);
  }
}

/** @param {Entries} entries */
function copyOf(entries) {
  return new Map([...entries].map(([base, entry]) => [base, entry.copy()]));
}

/**
 * Brings a mapper to what is recorded.
 *
 * @param {Dictionary} mapper
 * @param {Entries} before - what was mapped before the operation
 * @param {readonly any[]} events - recorded
 */
function restore(mapper, before, events) {
  mapper.entries = before;
  for (const [kind, virt, phys, size] of events) {
    const base = u64(virt, kind);
    if (kind === 'map') {
      mapper.entries.set(base, new Entry(readPage(PAddr, [phys, size], kind), mapper));
    } else if (kind === 'unmap') {
      mapper.entries.delete(base);
    } else if (kind === 'commit') {
      const entry = mapper.entries.get(base);
      if (entry !== undefined) entry.committed = true;
    }
  }
}

/** @param {Entries} entries */
function mappedMember(entries) {
  return [...entries]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([base, { phys, present, writable, executable, committed }]) => {
      const sizeBytes = hex(phys.size().asUsize());
      return [hex(base), baseOf(phys), sizeBytes, present, writable, executable, committed];
    });
}

/**
 * Whether every page of the range was mapped to itself, up to the first one that was mapped already.
 *
 * @param {Record<string, any>} recorded
 * @param {Record<string, any>} found
 * @param {Entries} before - what was mapped before the operation
 */
function isIdentityMapped({ phys: [first, last, size] }, found, before) {
  const events = [];
  for (let base = u64(first, 'phys'); base <= u64(last, 'phys'); base += readSize(size).asUsize()) {
    if (before.has(base)) {
      return found.result.by === 'mapper' && isDeepStrictEqual(found.events, events);
    }
    const page = hex(base);
    events.push(['map', page, page, size], ['callback', page, true, false, true], ['commit', page]);
  }
  return isDeepStrictEqual(found.result, { ok: [first, last] }) && isDeepStrictEqual(found.events, events);
}

/**
 * Whether a range that breaks off before its last page, which is the last one of the address space, was gone through to its end, unless
 * the mapper refused that page.
 *
 * @param {Record<string, any>} recorded
 * @param {Record<string, any>} found
 * @param {Entries} before - what was mapped before the operation
 */
function isLastYielded({ op, virt, phys, result, events = [] }, found, before) {
  const isRange = op === 'map_range' || op === 'unmap_range';
  if (!isRange || result.by !== 'defaults') return false;
  const [first, last, size] = virt;
  const sizeBytes = readSize(size).asUsize();
  const isLast =
    isLastOfSpace('VAddr', u64(last, 'virt'), sizeBytes) ||
    (op === 'map_range' && isLastOfSpace('PAddr', u64(phys[1], 'phys'), sizeBytes));
  const pagesBefore = (u64(last, 'virt') - u64(first, 'virt')) / sizeBytes;
  if (!isLast || BigInt(events.length) !== pagesBefore * (op === 'map_range' ? 3n : 1n)) return false;
  if (before.has(u64(last, 'virt')) === (op === 'map_range')) {
    return found.result.by === 'mapper' && isDeepStrictEqual(found.events, events);
  }
  const [more, ok] =
    op === 'map_range'
      ? [
          [
            ['map', last, phys[1], size],
            ['callback', last, true, false, true],
            ['commit', last],
          ],
          [first, last],
        ]
      : [[['unmap', last]], true];
  return isDeepStrictEqual(found.result, { ok }) && isDeepStrictEqual(found.events, [...events, ...more]);
}

/** @param {any} range */
function rangeMember(range) {
  return [baseOf(range.start()), baseOf(range.end())];
}

/** @param {() => unknown} call */
function resultOf(call) {
  try {
    return { ok: call() };
  } catch (error) {
    if (!(error instanceof PageTableError)) return { threw: String(error) };
    return { panic: true, by: isOfMapper(error) ? 'mapper' : 'defaults', message: String(error) };
  }
}

/**
 * @param {unknown} error
 * @returns {boolean} whether it is the mapper's, or comes from one of the mapper's
 */
function isOfMapper(error) {
  return error instanceof MapperAbort || (error instanceof Error && isOfMapper(error.cause));
}

/**
 * @param {Record<string, any>} operation
 * @returns {Arguments}
 */
function argumentsOf(operation) {
  return Object.fromEntries(
    OPERATIONS[operation.op].takes.map((name) => [name, readArgument(operation[name], name)]),
  );
}

/**
 * @param {unknown} value
 * @param {string} name
 */
function readArgument(value, name) {
  if (name === 'virt' || name === 'phys') return readUnit(name === 'virt' ? VAddr : PAddr, value, name);
  if (typeof value === 'boolean') return value;
  throw new MalformedFile(`${name}: expected true or false, found ${brief(value)}`);
}

/**
 * @param {any} Space
 * @param {unknown} value - a page as `[base, size]`, or a range as `[first base, last base, size]`
 * @param {string} name
 */
function readUnit(Space, value, name) {
  const bases = [...listOf(value, name)];
  const size = bases.pop();
  const [first, last] = bases.map((base) => readPage(Space, [base, size], name));
  return last === undefined ? first : first.rangeInclusive(last);
}
