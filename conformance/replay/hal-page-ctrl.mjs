// `PageCtrl` of tablewalk/hal-core, on a processor.

import { PageTableError } from '../../dist/bits/index.js';
import { ProcessorFault, X86Cpu } from '../../dist/cpu/index.js';
import {
  Alloc,
  AllocError,
  Mm,
  PAddr,
  Size1Gb,
  Size2Mb,
  Size4Kb,
  TranslateError,
  VAddr,
} from '../../dist/hal-core/index.js';
import { RecordedAllocator } from './allocator.mjs';
import {
  entriesTo,
  isBlocked,
  isEdited,
  isLastYielded,
  isMapped,
  isShortOfFrames,
  isUndone,
  isUntouched,
} from './hal-page-ctrl-deliberate.mjs';
import { baseOf, pageAt, readSize } from './hal-values.mjs';
import { describedMemory } from './memory.mjs';
import { brief, checked, hex, listOf, MalformedFile, u64 } from './values.mjs';

/** CR0 with paging on and write protection off. */
const CR0_PG = 1n << 31n;

/** What the original has not implemented, and panics at. */
const UNIMPLEMENTED = ['unmap', 'flags_mut'];

/** The sizes that tables can map. */
const SIZES = { '4KB': Size4Kb, '2MB': Size2Mb, '1GB': Size1Gb };

/** @typedef {Record<string, any>} Arguments */
/** @typedef {import('./memory.mjs').WordMemory} WordMemory */
/** @typedef {import('./memory.mjs').Word} Word */

/**
 * Each operation: its arguments, and the call, which gives the payload.
 *
 * @type {Record<string, { takes: readonly string[], call: (machine: Machine, args: Arguments) => unknown }>}
 */
const OPERATIONS = {
  init_paging: {
    takes: ['vmOffset'],
    call({ mm }, { vmOffset }) {
      mm.initPaging(vmOffset);
      return true;
    },
  },
  map_page: {
    takes: ['page', 'frame', 'setWritable', 'setExecutable', 'setPresent', 'commit'],
    call({ mm, frames }, { page, frame, setWritable, setExecutable, setPresent, commit }) {
      const handle = mm.current().mapPage(page, frame, frames);
      const flags = [handle.isPresent(), handle.isWritable(), handle.isExecutable()];
      if (setWritable !== undefined) handle.setWritable(setWritable);
      if (setExecutable !== undefined) handle.setExecutable(setExecutable);
      if (setPresent !== undefined) handle.setPresent(setPresent);
      if (commit) handle.commit();
      return { handle: flags };
    },
  },
  map_range: {
    takes: ['virt', 'phys'],
    call({ mm, frames, cpu }, { virt, phys }) {
      const look = (/** @type {any} */ handle) => {
        cpu.events.push(['callback', baseOf(handle.virtPage())]);
      };
      return mm.current().mapRange(virt, phys, look, frames).equals(virt);
    },
  },
  identity_map: {
    takes: ['frame', 'commit'],
    call({ mm, frames }, { frame, commit }) {
      const handle = mm.current().identityMap(frame, frames);
      if (commit) handle.commit();
      return baseOf(handle.virtPage());
    },
  },
  translate_page: {
    takes: ['size', 'page'],
    call: ({ mm }, { page }) => baseOf(mm.current().translatePage(page)),
  },
  unmap: { takes: ['page'], call: ({ mm }, { page }) => baseOf(mm.current().unmap(page)) },
  // The original panics, so the files do not say what is done with the flags: the page becomes writable, or read-only.
  flags_mut: {
    takes: ['page'],
    call({ mm }, { page }) {
      const handle = mm.current().flagsMut(page);
      return baseOf(handle.setWritable(!handle.isWritable()).commit());
    },
  },
};

/**
 * What a sequence works with.
 *
 * @typedef {{ memory: WordMemory, root: bigint, cpu: RecordedCpu, mm: Mm, frames: LoggedFrames }} Machine
 */

/**
 * The PML4 is given as physical memory: the files' window of physical memory lies beside the tables. All others are reached through a
 * processor that walks afresh for each access, and sets no accessed and dirty bits.
 *
 * @type {import('./sequence.mjs').System}
 */
export const halPageCtrl = {
  operations: Object.fromEntries(Object.entries(OPERATIONS).map(([name, { takes }]) => [name, takes])),
  outcomes: ['alloc', 'freed', 'events'],
  deliberate: [
    'last-page-is-yielded',
    'huge-page-on-the-way',
    'fault-is-undone',
    'failed-page-is-untouched',
    'all-frames-first',
    'unmap-works',
    'flags-mut-works',
  ],
  open(header) {
    const { recursiveIndex, cr0wp, setsAccessedDirty } = header;
    if (recursiveIndex !== 511 || cr0wp !== false || setsAccessedDirty !== false) {
      throw new MalformedFile(
        'processor: expected recursive index 511, CR0.WP = 0, and no accessed and dirty bits',
      );
    }
    const memory = describedMemory(header.memory);
    const root = u64(header.root, 'root');
    const registers = { cr0: CR0_PG, cr3: u64(header.cr3, 'cr3'), physBits: 52 };
    const cpu = checked(
      'cr3',
      () => new RecordedCpu(memory.memory, registers, { caching: 'none', accessedDirty: false }),
    );
    const allocator = new RecordedAllocator(header.allocator);
    const machine = {
      memory,
      root,
      cpu,
      mm: new Mm(cpu, { physicalMemory: memory.memory }),
      frames: new LoggedFrames(allocator, memory),
    };
    memory.watch(root);
    /** @type {Word[]} the entries on the way to the page, before the last operation */
    let before = [];
    return {
      memory,
      perform(operation) {
        const args = argumentsOf(operation);
        if (args.page !== undefined) before = entriesTo(machine, u64(operation.page, 'page'));
        cpu.events = [];
        machine.frames.begin();
        let result = resultOf(() => OPERATIONS[operation.op].call(machine, args));
        if (UNIMPLEMENTED.includes(operation.op)) result = asPanic(result, isMapped(before));
        const isAborted = 'panic' in result || 'fault' in result;
        return { result, events: cpu.events, ...machine.frames.end(isAborted) };
      },
      save: () => allocator.save(),
      follow: (state, operation) => allocator.follow(state, operation),
      checkpoint: () => allocator.checkpoint(),
      deliberate(recorded, found) {
        if (isBlocked(machine, recorded, found)) return { name: 'huge-page-on-the-way' };
        if (isLastYielded(machine, recorded, found)) return { name: 'last-page-is-yielded' };
        if (isUndone(recorded, found)) return { name: 'fault-is-undone' };
        if (isShortOfFrames(machine, recorded, found)) return { name: 'all-frames-first' };
        if (isUntouched(recorded, found)) return { name: 'failed-page-is-untouched' };
        if (!isEdited(machine, recorded, found, before)) return undefined;
        return { name: recorded.op === 'unmap' ? 'unmap-works' : 'flags-mut-works' };
      },
    };
  },
};

/** A processor that tells which instructions were executed. */
class RecordedCpu extends X86Cpu {
  /** @type {unknown[][]} */
  events = [];

  /**
   * @override
   * @param {bigint} address
   */
  invlpg(address) {
    this.events.push(['invlpg', hex(address)]);
    return super.invlpg(address);
  }

  /**
   * @override
   * @param {bigint} value
   */
  writeCr3(value) {
    this.events.push(['cr3', hex(value)]);
    return super.writeCr3(value);
  }
}

/**
 * The recorded allocator as `PageCtrl` sees it. The original gives nothing back: what comes back was never taken.
 *
 * @extends {Alloc<Size4Kb>}
 */
class LoggedFrames extends Alloc {
  /** @type {bigint[]} */
  #alloc = [];
  /** @type {bigint[]} frames that came back, but not in the order in which they can be given again */
  #freed = [];
  /** @type {bigint[]} */
  #soiled = [];
  #allocator;
  #memory;

  /**
   * @param {RecordedAllocator} allocator
   * @param {WordMemory} memory
   */
  constructor(allocator, memory) {
    super();
    this.#allocator = allocator;
    this.#memory = memory;
  }

  begin() {
    this.#alloc = [];
    this.#freed = [];
    this.#soiled = [];
  }

  /** @param {boolean} isAborted - then frames that were taken need not be cleared */
  end(isAborted) {
    if (isAborted) for (const frame of this.#soiled) this.#memory.unsoil(frame);
    return { alloc: this.#alloc.map(hex), freed: this.#freed.map(hex) };
  }

  /**
   * @override
   * @param {any} size
   * @param {bigint} length
   */
  allocRange(size, length) {
    const address = length === 1n ? this.#allocator.take() : undefined;
    if (address === undefined) throw AllocError.oom();
    this.#alloc.push(address);
    this.#soiled.push(address);
    this.#memory.watch(address);
    this.#memory.soil(address);
    const page = pageAt(PAddr, hex(address), size, 'alloc');
    return page.rangeInclusive(page);
  }

  /**
   * @override
   * @param {any} range
   */
  deallocRange(range) {
    const address = range.baseAddr().asUsize();
    if (address !== this.#alloc.at(-1)) {
      this.#freed.push(address);
      return;
    }
    this.#alloc.pop();
    this.#allocator.next = address;
  }
}

/**
 * @param {() => unknown} call
 * @returns {Record<string, unknown>}
 */
function resultOf(call) {
  try {
    return { ok: call() };
  } catch (error) {
    if (!(error instanceof PageTableError)) return { threw: String(error) };
    const message = String(error);
    const fault = faultOf(error);
    if (fault !== undefined) return { fault: hex((fault.cr2 ?? 0n) & ~0xfffn), message };
    if (!(error instanceof TranslateError)) return { panic: true, code: error.code, message };
    return { err: error.kind, ...(error.size === undefined ? {} : { size: String(error.size) }) };
  }
}

/**
 * The result of what the original always panics at: that is as recorded if it is refused, for a good reason.
 *
 * @param {Record<string, unknown>} result
 * @param {boolean} isThere - whether the page is mapped
 */
function asPanic(result, isThere) {
  const isRefused = 'fault' in result || ('err' in result && !isThere);
  return isRefused ? { panic: true } : result;
}

/**
 * @param {unknown} error
 * @returns {import('../../dist/cpu/index.js').Fault | undefined} the page fault that it comes from
 */
function faultOf(error) {
  if (error instanceof ProcessorFault) return error.fault;
  return error instanceof Error ? faultOf(error.cause) : undefined;
}

/**
 * @param {Record<string, any>} operation
 * @returns {Arguments}
 */
function argumentsOf(operation) {
  const { takes } = OPERATIONS[operation.op];
  return Object.fromEntries(takes.map((name) => [name, readArgument(operation[name], name, operation.size)]));
}

/**
 * @param {unknown} value
 * @param {string} name
 * @param {unknown} sizeName
 */
function readArgument(value, name, sizeName) {
  const size = readSize(sizeName ?? '4KB', SIZES);
  if (name === 'size') return size;
  if (name === 'page') return pageAt(VAddr, value, size, name);
  if (name === 'frame') return pageAt(PAddr, value, size, name);
  if (name === 'vmOffset') return checked(name, () => VAddr.fromUsize(u64(value, name)));
  if (name === 'virt' || name === 'phys') return readRange(name === 'virt' ? VAddr : PAddr, value, name);
  if (typeof value === 'boolean' || value === undefined) return value;
  throw new MalformedFile(`${name}: expected true or false, found ${brief(value)}`);
}

/**
 * @param {any} Space
 * @param {unknown} pair - `[first base, last base]`
 * @param {string} name
 */
function readRange(Space, pair, name) {
  const [first, last] = listOf(pair, name).map((base) => pageAt(Space, base, Size4Kb, name));
  return checked(name, () => first.rangeInclusive(last));
}
