// Maps of tablewalk/aarch64-paging as the recorded files describe them, and recorded operations on them.

import { isDeepStrictEqual } from 'node:util';
import {
  Attributes,
  Constraints,
  El1And0,
  El1Attributes,
  El2,
  El2And0,
  El3,
  El23Attributes,
  IdMap,
  LinearMap,
  MapError,
  Mapping,
  MemoryRegion,
  RootTable,
  Stage2,
  Stage2Attributes,
  TargetAllocator,
  UpdateError,
} from '../../dist/aarch64-paging/index.js';
import { PageTableError } from '../../dist/bits/index.js';
import { SparseMemory } from '../../dist/memory/index.js';
import { brief, checked, decimal, hex, MalformedFile, u64 } from './values.mjs';
import { digestOfNumbers } from './words.mjs';

/** Calls of a callback that are listed one by one; more than these are a count and a digest. */
const MAX_LISTED = 24;
/** Bytes of a debug text from which on it is a length and a digest. */
const MAX_TEXT = 700;
const LEAF = 3;
const VALID = 1n;
const TABLE = 2n;
/** Pages of 4 GiB, which differ in the lower halves of their addresses only. */
const LOW_PAGES = 0x10_0000;
/** Pages that an entry of each level maps. */
const SPANS = [2 ** 27, 2 ** 18, 2 ** 9, 1];

/** @type {Readonly<Record<string, { regime: any, flags: any, hasAsid: boolean }>>} */
const REGIMES = {
  El1And0: { regime: El1And0, flags: El1Attributes, hasAsid: true },
  El2And0: { regime: El2And0, flags: El1Attributes, hasAsid: true },
  El2: { regime: El2, flags: El23Attributes, hasAsid: false },
  El3: { regime: El3, flags: El23Attributes, hasAsid: false },
  Stage2: { regime: Stage2, flags: Stage2Attributes, hasAsid: false },
};

/**
 * What a header says.
 *
 * @typedef {object} Shape
 * @property {boolean} seed - version 0.5.0, otherwise 0.12.1
 * @property {string} kind - RootTable, Mapping, IdMap, LinearMap
 * @property {string} regime
 * @property {any} level - of the root
 * @property {any} range - Lower or Upper
 * @property {bigint} base - address of the first table
 * @property {any} asid
 * @property {bigint} offset - of a LinearMap
 */

/**
 * @param {Record<string, any>} header
 * @returns {Shape}
 */
export function shapeOf(header) {
  const { system, crateVersion, regime, rootLevel, vaRange, asid, allocator } = header;
  if (crateVersion !== '0.5.0' && crateVersion !== '0.12.1') {
    throw new MalformedFile(`crateVersion: expected 0.5.0 or 0.12.1, found ${brief(crateVersion)}`);
  }
  if (!Object.hasOwn(REGIMES, regime)) {
    throw new MalformedFile(
      `regime: expected one of ${Object.keys(REGIMES).join(', ')}, found ${brief(regime)}`,
    );
  }
  if (allocator?.policy !== 'lowest-free-slot') {
    throw new MalformedFile(`allocator: expected policy "lowest-free-slot", found ${brief(allocator)}`);
  }
  return {
    seed: crateVersion === '0.5.0',
    kind: system.slice(system.indexOf('/') + 1),
    regime,
    level: rootLevel,
    range: vaRange,
    base: u64(allocator.base, 'allocator.base'),
    asid,
    offset: header.offset === undefined ? 0n : decimal(header.offset, 'offset'),
  };
}

/** A user's own source of tables, in the slots that a `TargetAllocator` would take. */
export class SlotTranslation {
  /** @type {boolean[]} whether each slot holds a table */
  used = [];
  #sparse = new SparseMemory();
  #first;

  /** @param {bigint} base - address of slot 0 */
  constructor(base) {
    this.#first = Number(base / 4096n);
  }

  get memory() {
    return this.#sparse.memory;
  }

  allocateTable() {
    const free = this.used.indexOf(false);
    const slot = free < 0 ? this.used.length : free;
    this.used[slot] = true;
    // What a user's table holds before it is given is no concern of the map's.
    const at = this.#sparse.add(this.#first + slot);
    this.memory.words.fill(0xa5a5_a5a5, at, at + 1024);
    return this.#first + slot;
  }

  /** @param {number} frame */
  deallocateTable(frame) {
    const slot = frame - this.#first;
    if (this.used[slot] !== true) throw new Error(`no table in slot ${slot}`);
    this.used[slot] = false;
    this.memory.words.fill(0, slot * 1024, (slot + 1) * 1024);
  }

  /**
   * Becomes as another source of tables is.
   *
   * @param {readonly boolean[]} used - its slots
   * @param {Uint32Array} words - its memory
   */
  follow(used, words) {
    this.used = [...used];
    for (let slot = 0; slot < used.length; slot += 1) this.#sparse.add(this.#first + slot);
    this.memory.words.set(words.subarray(0, used.length * 1024));
  }
}

/** The package's own source of tables, which tells its slots. */
export class TracedAllocator extends TargetAllocator {
  /** @type {boolean[]} whether each slot holds a table */
  used = [];

  /** @override */
  allocateTable() {
    const frame = super.allocateTable();
    this.used[this.#slotOf(frame)] = true;
    return frame;
  }

  /**
   * @override
   * @param {number} frame
   */
  deallocateTable(frame) {
    super.deallocateTable(frame);
    this.used[this.#slotOf(frame)] = false;
  }

  /** @param {number} frame */
  #slotOf(frame) {
    return frame - Number(this.base().value / 4096n);
  }
}

/** A map, and recorded operations on it. */
export class Machine {
  #map;
  #shape;
  #flags;
  #log = new CallLog();
  #operations = 0;

  /**
   * @param {Shape} shape
   * @param {any} translation
   * @param {any} behaviour
   */
  constructor(shape, translation, behaviour) {
    this.#shape = shape;
    this.#flags = shape.seed ? Attributes : REGIMES[shape.regime].flags;
    this.#map = checked('header', () => mapOf(shape, translation, { behaviour }));
  }

  /** Bytes of its address space, and where its root is. */
  get place() {
    return { size: this.#map.size().value ?? this.#map.size(), root: this.#map.rootAddress().value };
  }

  /** Whether it is active. */
  get active() {
    return this.#shape.kind !== 'RootTable' && this.#map.active();
  }

  /**
   * Does an operation.
   *
   * @param {Record<string, any>} operation
   * @returns {{ result: any, log: CallLog }} the log is good until the next operation
   */
  perform(operation) {
    this.#operations += 1;
    const { op } = operation;
    const log = this.#log;
    log.clear();
    if (op !== 'walk_range' && op !== 'modify_range') {
      return { result: this.#resultOf(() => this.#call(operation)), log };
    }
    const callback = this.#callback(operation, log);
    const result = this.#resultOf(() => {
      const region = regionOf(operation);
      if (op === 'walk_range') this.#map.walkRange(region, callback);
      else this.#map.modifyRange(region, callback);
      return true;
    });
    return { result, log };
  }

  /** @param {Record<string, any>} operation */
  #call(operation) {
    const map = this.#map;
    const { op } = operation;
    if (op === 'map_range') this.#mapRange(operation);
    else if (op === 'compact_subtables') map.compactSubtables();
    else if (op === 'activate') map.activate();
    else if (op === 'deactivate') map.deactivate();
    else return textMember(this.#text());
    return true;
  }

  /** @param {Record<string, any>} operation */
  #mapRange(operation) {
    const { pa, constraints: given } = operation;
    const region = regionOf(operation);
    const flags = this.#flags.fromBitsRetain(u64(operation.flags, 'flags'));
    if (!Number.isSafeInteger(given)) {
      throw new MalformedFile(`constraints: expected a number, found ${brief(given)}`);
    }
    const constraints = Constraints.fromBitsRetain(BigInt(given));
    if (pa !== undefined) this.#map.mapRange(region, u64(pa, 'pa'), flags, constraints);
    else if (given === 0 && this.#operations % 2 === 0) this.#map.mapRange(region, flags);
    else this.#map.mapRangeWithConstraints(region, flags, constraints);
  }

  /**
   * What the recording's callback does.
   *
   * @param {Record<string, any>} operation
   * @param {CallLog} log
   */
  #callback({ op, action, failAt, start }, log) {
    const act = op === 'walk_range' ? () => undefined : this.#action(action, u64(start, 'start') & -4096n);
    // A callback may fail in either way.
    const throws = this.#operations % 2 === 0;
    /** @type {(region: any, descriptor: any, level: number, full: any) => boolean | undefined} */
    return (region, descriptor, level, full) => {
      const isFailing = log.length === failAt;
      log.add(region, descriptor, level, full);
      if (!isFailing) return act(region, descriptor, level);
      if (throws) throw new UpdateError();
      return false;
    };
  }

  /**
   * @param {any} action
   * @param {bigint} from - where the operation's region starts
   * @returns {(region: any, descriptor: any, level: number) => undefined}
   */
  #action(action, from) {
    const { kind, level: only } = action ?? {};
    const number = (/** @type {string} */ name) => u64(action[name], `action.${name}`);
    const flagsOf = (/** @type {bigint} */ bits) => this.#flags.fromBitsRetain(bits);
    if (kind === 'noop') return () => undefined;
    if (kind === 'modifyFlags' || kind === 'modifyFlagsAtLevel') {
      const [set, clear] = [flagsOf(number('set')), flagsOf(number('clear'))];
      return (_, descriptor, level) => {
        if (kind === 'modifyFlags' || level === only) descriptor.modifyFlags(set, clear);
      };
    }
    if (kind === 'clear') return (_, descriptor) => descriptor.set(0n, flagsOf(0n));
    const bits = number('flags');
    // A valid page has bit 1.
    const [ofBlocks, ofPages] = [bits, (bits & VALID) === 0n ? bits : bits | TABLE].map(flagsOf);
    const flagsAt = (/** @type {number} */ level) => (level === LEAF ? ofPages : ofBlocks);
    if (kind === 'setFlags') {
      return (_, descriptor, level) => descriptor.set(descriptor.outputAddress(), flagsAt(level));
    }
    if (kind === 'setPa') {
      const pa = number('pa');
      return (region, descriptor, level) =>
        descriptor.set(BigInt.asUintN(64, pa + region.start().value - from), flagsAt(level));
    }
    if (kind === 'breakMake') {
      const valid = flagsOf(VALID);
      return (_, descriptor, level) => {
        const address = descriptor.outputAddress();
        descriptor.set(address, flagsAt(level).difference(valid));
        descriptor.set(address, flagsAt(level));
      };
    }
    throw new MalformedFile(`action: expected one of a known kind, found ${brief(action)}`);
  }

  /** The debug text as it is recorded: that of the `Mapping` in an `IdMap` or a `LinearMap`. */
  #text() {
    const { kind } = this.#shape;
    const text = String(this.#map);
    const prefix = `${kind} { mapping: `;
    if (kind !== 'IdMap' && kind !== 'LinearMap') return text;
    return text.startsWith(prefix) && text.endsWith(' }')
      ? text.slice(prefix.length, -2)
      : `not a ${kind}: ${text}`;
  }

  /** @param {() => unknown} call */
  #resultOf(call) {
    try {
      return { ok: call() };
    } catch (error) {
      if (error instanceof MapError) return this.#refusal(error);
      if (error instanceof MalformedFile) throw error;
      if (!(error instanceof PageTableError)) return { threw: String(error) };
      return { panic: true, code: error.code, message: error.message };
    }
  }

  /** @param {any} error - a `MapError` */
  #refusal({ kind, addr, region, bits, descriptor, flags, message }) {
    const result = {
      err: kind,
      ...(addr === undefined ? {} : { addr: hex(addr.value) }),
      ...(region === undefined ? {} : { start: hex(region.start().value), end: hex(region.end().value) }),
      ...(bits === undefined ? {} : { bits: hex(bits) }),
      ...(flags === undefined ? {} : { flags: hex(flags.bits()) }),
    };
    const text = this.#display(kind, { addr, region, bits, descriptor, flags });
    return message.startsWith(text) ? result : { ...result, message };
  }

  /**
   * The original's text of an error.
   *
   * @param {string} kind
   * @param {Record<string, any>} payload
   */
  #display(kind, { addr, region, bits, descriptor, flags }) {
    const { seed } = this.#shape;
    const text = {
      AddressRange: `Virtual address ${padded(addr?.value)} out of range`,
      InvalidVirtualAddress: `Invalid virtual address ${padded(addr?.value)} for mapping`,
      RegionBackwards: `End of memory region ${regionText(region)} is before start.`,
      PteUpdateFault: `Error updating page table entry ${seed ? descriptor : bits}`,
      InvalidFlags: `Flags ${seed ? flags : hex(flags?.bits() ?? 0)} unsupported for mapping.`,
      BreakBeforeMakeViolation: `Cannot remap region ${regionText(region)} while translation is live.`,
    }[kind];
    return text ?? `an error of another kind than ${kind}`;
  }
}

/**
 * @param {Shape} shape
 * @param {any} translation
 * @param {any} options
 * @returns {any} a map, made by the constructor for it
 */
function mapOf({ seed, kind, regime: name, level, range, asid, offset }, translation, options) {
  const all = { ...options, translation };
  const { regime, hasAsid } = REGIMES[name];
  if (kind === 'RootTable') {
    if (seed) return new RootTable(translation, level, range, options);
    if (hasAsid) return RootTable.withVaRange(translation, level, regime, range, options);
    return new RootTable(translation, level, regime, options);
  }
  if (kind === 'Mapping') {
    if (seed) return new Mapping(translation, asid, level, range, options);
    if (hasAsid) return Mapping.withAsidAndVaRange(translation, asid, level, regime, range, options);
    return new Mapping(translation, level, regime, options);
  }
  if (kind === 'IdMap') {
    if (seed) return new IdMap(asid, level, all);
    return hasAsid ? IdMap.withAsid(asid, level, regime, all) : new IdMap(level, regime, all);
  }
  if (seed) return new LinearMap(asid, level, offset, range, all);
  return hasAsid
    ? LinearMap.withAsid(asid, level, offset, regime, range, all)
    : new LinearMap(level, offset, regime, all);
}

/** Calls of a callback, in order. */
class CallLog {
  /** Number of calls. */
  length = 0;
  /** @type {unknown[]} the first ones, as the files list them */
  #listed = [];
  /** Halves of start, end, level and entry of each; as long as the longest log so far. */
  #halves = new Uint32Array(8 << 10);

  /** Begins another log. */
  clear() {
    this.length = 0;
    this.#listed = [];
  }

  /** @param {CallLog} other */
  equals(other) {
    if (this.length !== other.length) return false;
    if (this.length <= MAX_LISTED) return isDeepStrictEqual(this.#listed, other.#listed);
    const end = this.length * 32;
    return (
      Buffer.compare(Buffer.from(this.#halves.buffer, 0, end), Buffer.from(other.#halves.buffer, 0, end)) ===
      0
    );
  }

  /**
   * @param {any} region
   * @param {any} descriptor
   * @param {number} level
   * @param {any} full - the region of the whole entry
   */
  add(region, descriptor, level, full) {
    const { firstPage, endPage } = region;
    // Short logs are read as addresses, long ones as numbers, so that both are compared.
    if (this.length <= MAX_LISTED) {
      const isRight =
        full.firstPage <= firstPage &&
        full.endPage >= endPage &&
        full.firstPage % SPANS[level] === 0 &&
        full.endPage - full.firstPage === SPANS[level] &&
        (descriptor.level?.() ?? level) === level;
      const entry = [hex(region.start().value), hex(region.end().value), level, hex(descriptor.bits())];
      this.#listed.push(isRight ? entry : { entry, full: String(full) });
    }
    const at = this.length * 8;
    if (at === this.#halves.length) {
      const longer = new Uint32Array(2 * at);
      longer.set(this.#halves);
      this.#halves = longer;
    }
    const halves = this.#halves;
    halves[at] = firstPage << 12;
    halves[at + 1] = firstPage / LOW_PAGES;
    halves[at + 2] = endPage << 12;
    halves[at + 3] = endPage / LOW_PAGES;
    halves[at + 4] = level;
    halves[at + 5] = 0;
    halves[at + 6] = descriptor.low;
    halves[at + 7] = descriptor.high;
    this.length += 1;
  }

  /** The `log` of these calls. */
  member() {
    if (this.length <= MAX_LISTED) return this.#listed;
    return { count: this.length, sha256: digestOfNumbers(this.#halves.subarray(0, this.length * 8)) };
  }
}

/** @param {Record<string, any>} operation */
function regionOf({ start, end }) {
  return new MemoryRegion(u64(start, 'start'), u64(end, 'end'));
}

/** @param {string} text */
function textMember(text) {
  const bytes = Buffer.from(text);
  if (bytes.length < MAX_TEXT) return { text };
  return { length: bytes.length, sha256: digestOfNumbers(bytes) };
}

/** @param {bigint | undefined} address */
function padded(address) {
  return `0x${(address ?? 0n).toString(16).padStart(16, '0')}`;
}

/** @param {any} region */
function regionText(region) {
  return region === undefined ? '' : `${padded(region.start().value)}..${padded(region.end().value)}`;
}
