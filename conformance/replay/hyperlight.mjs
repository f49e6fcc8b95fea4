// The functions of tablewalk/hyperlight-vmem.

import { isDeepStrictEqual } from 'node:util';
import { PageTableError } from '../../dist/bits/index.js';
import {
  aarch64,
  amd64,
  MemoryTableOps,
  map,
  spaceAwareMap,
  virtToPhys,
  walkVaSpaces,
} from '../../dist/hyperlight-vmem/index.js';
import { RecordedAllocator } from './allocator.mjs';
import { RecordedTables, Stopped } from './hyperlight-tables.mjs';
import { describedMemory } from './memory.mjs';
import { brief, hex, listOf, MalformedFile, recordedWords, u64 } from './values.mjs';
import { digestOfNumbers } from './words.mjs';

const TABLE_BYTES = 4096n;
/** What addresses are smaller than. */
const END_OF_NUMBERS = 1n << 64n;

/** Bits that are all set in an entry that leads to a table. */
const TABLE_BITS = { amd64: 1n, aarch64: 3n };

/** Operations of which the files tell changed words; of one of the others, any word is a difference. */
const WRITES = new Set(['map', 'space_aware_map']);

/** None of the files has less memory, so it is sparse: few frames to look at, and it grows while tables are made. */
const MAX_FLAT_FRAMES = 1024;

/** Items that are listed one by one; more than these are a count and a digest. */
const MAX_LISTED = 20;

/** @typedef {import('../../dist/hyperlight-vmem/index.js').Architecture} Architecture */
/** @typedef {import('../../dist/hyperlight-vmem/index.js').Mapping} Mapping */
/** @typedef {import('../../dist/hyperlight-vmem/index.js').MappingKind} MappingKind */
/** @typedef {import('../../dist/hyperlight-vmem/index.js').SpaceAwareMapping} SpaceAwareMapping */
/** @typedef {import('./hyperlight-tables.mjs').State} State */
/** @typedef {Record<string, any>} Arguments */

/**
 * Each operation that calls the code under test: its arguments in the file, and the call, which gives the payload.
 *
 * @type {Record<string, { takes: readonly string[], call: (arch: Architecture, ops: any, args: Arguments) => unknown }>}
 */
const CALLS = {
  map: {
    takes: ['physBase', 'virtBase', 'len', 'mapping'],
    call(arch, ops, { mapping, ...range }) {
      map(arch, ops, /** @type {Mapping} */ ({ ...range, kind: mapping }));
      return true;
    },
  },
  virt_to_phys: {
    takes: ['address', 'len'],
    call: (arch, ops, { address, len }) =>
      itemsMember(
        [...virtToPhys(arch, ops, address, len)].map((mapping) => ({ kind: 'ThisSpace', mapping })),
      ),
  },
  walk_va_spaces: {
    takes: ['roots', 'address', 'len'],
    call: (arch, ops, { roots, address, len }) =>
      walkVaSpaces(arch, ops, roots, address, len).map(({ space, items }) => ({
        space: hex(space),
        items: itemsMember(items),
      })),
  },
  space_aware_map: {
    takes: ['depth', 'space', 'ourVa', 'theirVa', 'builtRoots'],
    call(arch, ops, { builtRoots, ...reference }) {
      // The file lists roots that stand for themselves.
      const roots = new Map(builtRoots.map((/** @type {bigint} */ root) => [root, root]));
      spaceAwareMap(arch, ops, /** @type {any} */ (reference), roots);
      return true;
    },
  },
};

/**
 * What the test itself does to the tables' state.
 *
 * @type {Record<string, { takes: readonly string[], call: (tables: RecordedTables, args: Arguments) => unknown }>}
 */
const STEPS = {
  new_root: { takes: [], call: (tables) => ({ ok: hex(tables.allocTable()) }) },
  set_root: {
    takes: ['root'],
    call(tables, { root }) {
      tables.state.root = root;
    },
  },
  freeze: {
    takes: ['below'],
    call(tables, { below }) {
      tables.state.frozenBelow = below;
    },
  },
};

export const hyperlightAmd64 = system(amd64);
export const hyperlightAarch64 = system(aarch64);

/**
 * Each operation runs on a user's own operations, {@link RecordedTables}, whose calls are counted. Where tables do not
 * move it runs before that, from the same memory and the same allocator, on the ready-made {@link MemoryTableOps}; a
 * result, frames or words that are not the same become the outcome `readyMade`, which no file has.
 *
 * @param {Architecture} arch
 * @returns {import('./sequence.mjs').System}
 */
function system(arch) {
  return {
    operations: Object.fromEntries(
      Object.entries({ ...CALLS, ...STEPS }).map(([name, { takes }]) => [name, takes]),
    ),
    outcomes: ['reads', 'writes', 'alloc', 'moved', 'updateRoot', 'readyMade'],
    deliberate: ['space-aware-map-works', 'unmapped-needs-no-address'],
    open(header) {
      const { movability } = header;
      if (movability !== 'MayMoveTable' && movability !== 'MayNotMoveTable') {
        throw new MalformedFile(
          `movability: expected MayMoveTable or MayNotMoveTable, found ${brief(movability)}`,
        );
      }
      const memory = describedMemory(header.memory, 0n, MAX_FLAT_FRAMES);
      /** @type {State} */
      const state = {
        allocator: new RecordedAllocator(header.allocator),
        root: u64(header.root, 'root'),
        frozenBelow: 0n,
      };
      memory.watch(state.root);
      /** What the other space's entry was before the last `space_aware_map`. */
      let shared = 0n;
      /** @type {Outcome | undefined} what the last operation did on the ready-made operations */
      let readyMade;
      const save = () => ({
        allocator: state.allocator.save(),
        root: state.root,
        frozenBelow: state.frozenBelow,
      });
      return {
        memory,
        perform(operation) {
          const args = argumentsOf(operation);
          const before = save();
          if (operation.op === 'space_aware_map') {
            shared = entryFor(arch, memory, args.space, args.theirVa, args.depth) ?? 0n;
          }
          const { call } = CALLS[operation.op] ?? {};
          readyMade = undefined;
          if (call !== undefined && movability === 'MayNotMoveTable') {
            // A word that was written where none may be is left, and found with what is done next.
            const look = () =>
              WRITES.has(operation.op) ? memory.look({ expected: recordedWords(operation) }) : undefined;
            readyMade = onReadyMade(memory, state, (ops) => call(arch, ops, args), look);
            state.allocator.restore(before.allocator);
          }
          const tables = new RecordedTables(movability, memory, state);
          if (call === undefined) {
            return { result: STEPS[operation.op].call(tables, args), ...tables.outcomes() };
          }
          const result = resultOf(() => call(arch, tables, args));
          return { result, ...tables.outcomes(), ...counts(operation.op, result, tables) };
        },
        complete(found) {
          const { result, alloc, changed } = found;
          const isSame = readyMade === undefined || isDeepStrictEqual(readyMade, { result, alloc, changed });
          if (!isSame) found.readyMade = readyMade;
        },
        save,
        follow(before, operation) {
          const { alloc = [], moved = [], updateRoot = [] } = operation;
          state.allocator.follow(before.allocator, { alloc: [...alloc, ...moved] });
          state.frozenBelow = operation.op === 'freeze' ? u64(operation.below, 'below') : before.frozenBelow;
          state.root = u64(
            operation.op === 'set_root' ? operation.root : (updateRoot.at(-1) ?? hex(before.root)),
            'root',
          );
        },
        // Where the original panics on the way, pages were mapped one by one up to there.
        redo(before, operation) {
          state.allocator.restore(before.allocator);
          const tables = new RecordedTables(movability, memory, state, operation.writes);
          if (operation.op === 'map') mapUntilStopped(arch, tables, argumentsOf(operation));
        },
        checkpoint: () => ({ ...state.allocator.checkpoint(), root: hex(state.root) }),
        deliberate(recorded, found) {
          const args = { ...argumentsOf(recorded), root: state.root, shared };
          if (recorded.op === 'space_aware_map' && isShared(arch, memory, args, found)) {
            return { name: 'space-aware-map-works' };
          }
          const isArithmetic = recorded.op === 'map' && recorded.result.arithmetic === true;
          return isArithmetic && isUnmapped(arch, memory, args, found)
            ? { name: 'unmapped-needs-no-address' }
            : undefined;
        },
      };
    },
  };
}

/**
 * Maps page by page, wrapping physical addresses around, until the tables stop it.
 *
 * @param {Architecture} arch
 * @param {RecordedTables} tables
 * @param {Arguments} args
 */
function mapUntilStopped(arch, tables, { physBase, virtBase, len, mapping }) {
  try {
    let va = virtBase;
    while (va < virtBase + len) {
      const next = (va & ~(TABLE_BYTES - 1n)) + TABLE_BYTES;
      const phys = BigInt.asUintN(64, physBase + (va - virtBase));
      map(arch, tables, { physBase: phys, virtBase: va, len: 1n, kind: mapping });
      va = next;
    }
  } catch (error) {
    if (!(error instanceof Stopped)) throw error;
  }
}

/**
 * What a call did.
 *
 * @typedef {{ result: unknown, alloc: string[], changed: unknown }} Outcome
 */

/**
 * Makes a call on the ready-made operations on a memory, which clear new tables themselves, and undoes what it wrote.
 *
 * @param {import('./memory.mjs').WordMemory} memory
 * @param {State} state
 * @param {(ops: MemoryTableOps) => unknown} call
 * @param {() => import('./memory.mjs').Changes | undefined} look - for the words that it changed
 * @returns {Outcome}
 */
function onReadyMade(memory, state, call, look) {
  const tables = new RecordedTables('MayNotMoveTable', memory, state);
  const allocTable = () => {
    const table = tables.allocTable();
    memory.soil(table);
    return table;
  };
  const ops = new MemoryTableOps(memory.memory, { root: state.root, allocTable, outside: 'ignore' });
  const result = resultOf(() => call(ops));
  const changes = look();
  if (changes !== undefined) memory.undo(changes);
  return { result, alloc: tables.outcomes().alloc, changed: changes?.words.member() };
}

/**
 * How often entries were read and written, which is recorded of `map` only; nothing if it was refused beforehand.
 *
 * @param {string} op
 * @param {object} result
 * @param {RecordedTables} tables
 */
function counts(op, result, { reads, writes }) {
  const isUntouched = reads + writes === 0 && !('ok' in result);
  return op !== 'map' || isUntouched ? {} : { reads, writes };
}

/**
 * Addresses of the entries that lead from a root to the table at a depth, as far as there are tables.
 *
 * @param {Architecture} arch
 * @param {import('./memory.mjs').WordMemory} memory
 * @param {bigint} root
 * @param {bigint} va
 * @param {number} depth - of the table, 1 to 3; 4 for the entry of a page
 */
function entriesTo(arch, memory, root, va, depth) {
  const entries = [];
  /** @type {bigint | undefined} */
  let table = root;
  for (let above = 0; above < depth && table !== undefined; above += 1) {
    const index = (va >> BigInt(39 - 9 * above)) & 511n;
    entries.push(table + index * 8n);
    table = tableOf(arch, memory.read(entries[above]));
  }
  return entries;
}

/**
 * The entry that leads to the table at a depth; undefined if there is no such table.
 *
 * @param {Architecture} arch
 * @param {import('./memory.mjs').WordMemory} memory
 * @param {bigint} root
 * @param {bigint} va
 * @param {number} depth
 */
function entryFor(arch, memory, root, va, depth) {
  const entries = entriesTo(arch, memory, root, va, depth);
  const entry = entries.length === depth ? memory.read(entries[depth - 1]) : undefined;
  return tableOf(arch, entry) === undefined ? undefined : entry;
}

/**
 * @param {Architecture} arch
 * @param {bigint | undefined} entry
 * @returns {bigint | undefined} the table that it leads to
 */
function tableOf(arch, entry = 0n) {
  const isTable = (entry & TABLE_BITS[arch.name]) === TABLE_BITS[arch.name];
  return isTable ? entry & arch.PTE_ADDR_MASK : undefined;
}

/**
 * Whether our entry for the table to be shared is now what the other space's was, absent if there was none, and nothing
 * else changed but what leads to it: entries that link tables that were made, and copies of tables that had to move.
 *
 * @param {Architecture} arch
 * @param {import('./memory.mjs').WordMemory} memory - after the operation
 * @param {Arguments} args
 * @param {Record<string, any>} found
 */
function isShared(arch, memory, { root, ourVa, depth, shared }, found) {
  const entries = entriesTo(arch, memory, root, ourVa, depth);
  // Where tables lie outside the memory, what is written is lost.
  const isLost = memory.read(entries[entries.length - 1]) === undefined;
  const target = entries[depth - 1];
  const isTarget = target !== undefined && memory.read(target) === shared;
  if (found.result.ok !== true || !(isTarget || isLost)) return false;
  const originals = new Map(
    found.moved.map((/** @type {string[]} */ [old, copy]) => [u64(copy, 'moved'), old]),
  );
  const made = new Set([...found.alloc, ...found.moved.map((/** @type {string[]} */ [, copy]) => copy)]);
  return memory.changes().every(({ address, value }) => {
    if (address === target) return true;
    if (entries.includes(address)) return made.has(hex(value & arch.PTE_ADDR_MASK));
    const offset = address % TABLE_BYTES;
    const original = originals.get(address - offset);
    return original !== undefined && memory.read(u64(original, 'moved') + offset) === value;
  });
}

/**
 * Whether a range that has no physical addresses, so that none can be beyond 64 bits, is unmapped as any other: its pages are
 * absent, and nothing changed but them and entries that link tables that were made.
 *
 * @param {Architecture} arch
 * @param {import('./memory.mjs').WordMemory} memory - after the operation
 * @param {Arguments} args
 * @param {Record<string, any>} found
 */
function isUnmapped(arch, memory, { root, mapping, physBase, virtBase, len }, found) {
  const isBeyond = mapping.kind === 'Unmapped' && physBase + len > END_OF_NUMBERS;
  if (!isBeyond || virtBase + len >= END_OF_NUMBERS || found.result.ok !== true) return false;
  const pages = [];
  for (let va = virtBase & ~(TABLE_BYTES - 1n); va < virtBase + len; va += TABLE_BYTES) pages.push(va);
  return (
    found.writes === pages.length + found.alloc.length &&
    pages.every((va) => isAbsent(arch, memory, root, va)) &&
    memory
      .changes()
      .every(({ value }) => value === 0n || found.alloc.includes(hex(value & arch.PTE_ADDR_MASK)))
  );
}

/**
 * Whether there is no page; where tables lie outside the memory, there is none.
 *
 * @param {Architecture} arch
 * @param {import('./memory.mjs').WordMemory} memory
 * @param {bigint} root
 * @param {bigint} va
 */
function isAbsent(arch, memory, root, va) {
  const entry = entriesTo(arch, memory, root, va, 4)[3];
  return entry === undefined || (memory.read(entry) ?? 0n) === 0n;
}

/** @param {() => unknown} call */
function resultOf(call) {
  try {
    return { ok: call() };
  } catch (error) {
    return error instanceof PageTableError ? { panic: true, message: String(error) } : thrown(error);
  }
}

/**
 * An error that is not of this package equals nothing in the files; one that says that the file is at fault goes on.
 *
 * @param {unknown} error
 */
function thrown(error) {
  if (error instanceof MalformedFile) throw error;
  return { threw: String(error) };
}

/** @param {readonly SpaceAwareMapping[] | readonly any[]} items */
function itemsMember(items) {
  if (items.length <= MAX_LISTED) return items.map(listedItem);
  const numbers = new BigUint64Array(4 * items.length);
  for (const [i, item] of items.entries()) numbers.set(itemNumbers(item), 4 * i);
  return { count: items.length, sha256: digestOfNumbers(numbers) };
}

/** @param {SpaceAwareMapping} item */
function listedItem(item) {
  if (item.kind === 'ThisSpace') {
    const { physBase, virtBase } = item.mapping;
    return [hex(physBase), hex(virtBase), kindNumber(item.mapping)];
  }
  const { depth, space, ourVa, theirVa } = item.reference;
  return { depth, space: hex(space), ourVa: hex(ourVa), theirVa: hex(theirVa) };
}

/** @param {SpaceAwareMapping} item */
function itemNumbers(item) {
  if (item.kind === 'ThisSpace') {
    const { physBase, virtBase } = item.mapping;
    return [0n, physBase, virtBase, BigInt(kindNumber(item.mapping))];
  }
  const { depth, space, ourVa, theirVa } = item.reference;
  return [256n + BigInt(depth), space, ourVa, theirVa];
}

/**
 * A mapping's kind as the files write it, or a number that none has if it is not what every item must be: one readable
 * page, whose page and frame numbers, where it tells them, are those of its addresses.
 *
 * @param {any} mapping
 */
function kindNumber({ physBase, virtBase, len, kind, page, frame }) {
  const isPage =
    len === TABLE_BYTES &&
    kind.readable === true &&
    (frame === undefined || BigInt(frame) * TABLE_BYTES === physBase) &&
    (page === undefined || BigInt(page) * TABLE_BYTES === virtBase);
  if (!isPage) return 255;
  return (kind.kind === 'Cow' ? 4 : Number(kind.writable)) + 2 * Number(kind.executable);
}

/**
 * @param {Record<string, any>} operation
 * @returns {Arguments}
 */
function argumentsOf(operation) {
  const { takes } = CALLS[operation.op] ?? STEPS[operation.op];
  return Object.fromEntries(takes.map((name) => [name, readArgument(operation[name], name)]));
}

/**
 * @param {unknown} value
 * @param {string} name
 */
function readArgument(value, name) {
  if (name === 'depth') return readDepth(value);
  if (name === 'mapping') return readMapping(value);
  if (name === 'roots' || name === 'builtRoots') return listOf(value, name).map((root) => u64(root, name));
  return u64(value, name);
}

/** @param {unknown} value */
function readDepth(value) {
  if (Number.isSafeInteger(value)) return value;
  throw new MalformedFile(`depth: expected a number, found ${brief(value)}`);
}

/**
 * @param {any} value
 * @returns {MappingKind}
 */
function readMapping(value) {
  const rights = {
    Unmapped: [],
    Basic: ['readable', 'writable', 'executable'],
    Cow: ['readable', 'executable'],
  }[String(value?.kind)];
  if (rights?.every((right) => typeof value[right] === 'boolean')) return value;
  throw new MalformedFile(`mapping: expected a kind with its rights, found ${brief(value)}`);
}
